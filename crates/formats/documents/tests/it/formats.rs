//! What is in the files.

use maru_documents::{
    Block, Cell, Document, DocumentError, Format, Heading, Image, Language, List, ListItem, ListKind, Metadata,
    Numbering, Orientation, RequirementsDefinition, Row, Run, Table, write,
};

use crate::sample;
use crate::unzip::{part, unzip, well_formed};

/// A document of one table.
fn of_table(table: Table) -> Document {
    document(vec![Block::Table(table)])
}

pub(crate) fn document(blocks: Vec<Block>) -> Document {
    Document {
        title: "시험".to_owned(),
        subtitle: None,
        language: Language::En,
        orientation: Orientation::Portrait,
        meta: Metadata {
            number: "N-1".to_owned(),
            version: "1".to_owned(),
            date: "2026-11-22".parse().unwrap(),
            organisation: String::new(),
            author: String::new(),
            baseline: None,
        },
        blocks,
    }
}

fn spans() -> Table {
    Table {
        caption: Some("spans".to_owned()),
        sheet: Some("spans".to_owned()),
        columns: vec![1, 2, 1],
        header_rows: 2,
        rows: vec![
            Row::of(vec![Cell::header("a").down(2), Cell::header("b").across(2)]),
            Row::of(vec![Cell::header("c"), Cell::header("d")]),
            Row::of(vec![Cell::text("1").across(2).down(2), Cell::text("2")]),
            Row::of(vec![Cell::count(3)]),
            Row::of(vec![]),
        ],
    }
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    for (name, document) in sample::all(5, Language::Ko) {
        for format in Format::ALL {
            assert!(write(&document, format).unwrap() == write(&document.clone(), format).unwrap(), "{name}.{format}");
        }
    }
}

#[test]
fn data_as_json_gives_the_same_document() {
    let data = sample::definition(3);
    let json = serde_json::to_string(&data).unwrap();
    let read: RequirementsDefinition = serde_json::from_str(&json).unwrap();
    assert_eq!(data, read);
    assert!(json.contains("\"date\":\"2026-11-22\"") && json.contains("\"derivedFrom\":[\"nfr-001\"]"), "{json}");
}

#[test]
fn every_part_is_well_formed_and_every_text_arrives() {
    for language in [Language::Ko, Language::En] {
        for (name, document) in sample::all(5, language) {
            for format in [Format::Docx, Format::Xlsx, Format::Hwpx] {
                let (_, contents) = unzip(&write(&document, format).unwrap());
                let mut texts = String::new();
                for (part, content) in contents {
                    if part.ends_with(".xml")
                        || part.ends_with(".rels")
                        || part.ends_with(".hpf")
                        || part.ends_with(".rdf")
                    {
                        texts.push_str(&well_formed(&part, &String::from_utf8(content).unwrap()).join("\n"));
                    }
                }
                for wanted in [document.title.as_str(), "온라인 상점 구축 사업", "SHOP-", "nfr-003", "김하늘"]
                {
                    assert!(texts.contains(wanted), "{name}.{format}: no {wanted}");
                }
            }
            let html = String::from_utf8(write(&document, Format::Html).unwrap()).unwrap();
            assert!(html.contains(&format!("<title>{}</title>", document.title)) && html.contains("nfr-003"), "{name}");
        }
    }
}

#[test]
fn html_needs_nothing_else_and_runs_nothing() {
    let (_, document) = sample::all(2, Language::Ko).into_iter().next().unwrap();
    let html = String::from_utf8(write(&document, Format::Html).unwrap()).unwrap();
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
    assert!(html.contains("default-src &#39;none&#39;") && html.contains("data:image/svg+xml;base64,"));
    assert!(html.contains("@media print") && html.contains("@page"));
    // Links of the table of contents lead to headings.
    for link in html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(html.contains(&format!("id=\"{link}\"")), "{link}");
    }
    assert!(html.contains("<a href=\"#h9\">nfr-001</a>") || html.contains(">nfr-001</a>"));
}

#[test]
fn worksheets_have_the_pictures_that_are_metafiles() {
    let image = |metafile: Option<Vec<u8>>| {
        Block::Image(Image {
            svg: "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"4\" height=\"2\"/>".to_owned(),
            metafile,
            description: "두 상자 & 화살표".to_owned(),
            caption: Some("흐름".to_owned()),
            width_mm: 80,
            height_mm: 40,
        })
    };
    let plain = write(&document(vec![image(None)]), Format::Xlsx).unwrap();
    assert!(!unzip(&plain).0.iter().any(|name| name.contains("drawing")));
    let drawn = write(&document(vec![image(Some(vec![1, 2])), image(Some(vec![3]))]), Format::Xlsx).unwrap();
    let (names, contents) = unzip(&drawn);
    assert_eq!(contents["xl/media/image2.emf"], [3]);
    let drawing = part(&drawn, "xl/drawings/drawing1.xml");
    assert!(drawing.contains("두 상자 &amp; 화살표") && drawing.contains("cx=\"2880000\""), "{drawing}");
    // 40 mm are eight rows of 16 points; the second picture begins below the first one's caption.
    let rows: Vec<&str> = drawing.split("<xdr:row>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(rows, ["1", "11"]);
    assert!(part(&drawn, "xl/worksheets/sheet1.xml").contains("<drawing xmlns:r="));
    assert!(part(&drawn, "[Content_Types].xml").contains("image/x-emf"));
    assert!(names.contains(&"xl/drawings/_rels/drawing1.xml.rels".to_owned()));
}

#[test]
fn spans_and_headers_are_written_in_every_format() {
    let document = of_table(spans());
    let html = String::from_utf8(write(&document, Format::Html).unwrap()).unwrap();
    assert!(html.contains("rowspan=\"2\"") && html.contains("<thead>") && html.contains("colspan=\"2\" rowspan=\"2\""));
    let docx = part(&write(&document, Format::Docx).unwrap(), "word/document.xml");
    assert_eq!(docx.matches("<w:tblHeader/>").count(), 2);
    assert_eq!(docx.matches("w:val=\"restart\"").count(), 2);
    assert_eq!(docx.matches("w:val=\"continue\"").count(), 2);
    let xlsx = write(&document, Format::Xlsx).unwrap();
    let sheet = part(&xlsx, "xl/worksheets/sheet2.xml");
    for wanted in [
        "ySplit=\"2\"",
        "state=\"frozen\"",
        "<autoFilter ref=\"A2:C5\"/>",
        "\"A1:A2\"",
        "\"B1:C1\"",
        "\"A3:B4\"",
        "<v>3</v>",
    ] {
        assert!(sheet.contains(wanted), "{wanted} in {sheet}");
    }
    let workbook = part(&xlsx, "xl/workbook.xml");
    assert!(workbook.contains("'spans'!$A$2:$C$5") && workbook.contains("'spans'!$1:$2"), "{workbook}");
    let hwpx = part(&write(&document, Format::Hwpx).unwrap(), "Contents/section0.xml");
    assert!(hwpx.contains("rowCnt=\"5\" colCnt=\"3\"") && hwpx.contains("repeatHeader=\"1\""));
    assert!(
        hwpx.contains("<hp:cellAddr colAddr=\"2\" rowAddr=\"3\"/>") && hwpx.contains("colSpan=\"2\" rowSpan=\"2\"")
    );
}

#[test]
fn tables_that_do_not_fit_together_are_refused() {
    let with = |rows: Vec<Row>, columns: Vec<u16>, header_rows: usize| {
        of_table(Table { caption: Some("t".to_owned()), sheet: None, columns, header_rows, rows })
    };
    let one = || Cell::text("x");
    for bad in [
        with(vec![], vec![1], 0),
        with(vec![Row::of(vec![one()])], vec![], 0),
        with(vec![Row::of(vec![one()])], vec![0], 0),
        with(vec![Row::of(vec![one(), one()])], vec![1], 0),
        with(vec![Row::of(vec![one().down(2)])], vec![1], 0),
        with(vec![Row::of(vec![one().across(0)])], vec![1], 0),
        with(vec![Row::of(vec![one().across(usize::MAX)])], vec![1], 0),
        with(vec![Row::of(vec![one().down(2)]), Row::of(vec![])], vec![1], 1),
        with(vec![Row::of(vec![one(), one().down(2)]), Row::of(vec![one().across(2)])], vec![1, 1], 0),
    ] {
        for format in Format::ALL {
            let error = write(&bad, format).unwrap_err();
            assert!(matches!(error, DocumentError::Table { .. }), "{error}");
        }
    }
}

#[test]
fn headings_count_by_level_and_lists_nest() {
    let heading =
        |level, numbering| Block::Heading(Heading { level, text: format!("t{level}"), numbering, anchor: None });
    let item = |depth| ListItem { runs: vec![Run::plain(format!("d{depth}"))], depth };
    let document = document(vec![
        heading(1, Numbering::Counted),
        heading(2, Numbering::Counted),
        heading(2, Numbering::Counted),
        heading(1, Numbering::Uncounted),
        heading(1, Numbering::Counted),
        heading(3, Numbering::Counted),
        Block::List(List { kind: ListKind::Numbers, items: vec![item(0), item(1), item(3), item(0)] }),
        Block::List(List { kind: ListKind::Bullets, items: vec![item(2), item(0)] }),
        Block::List(List { kind: ListKind::Bullets, items: vec![] }),
        Block::PageBreak,
    ]);
    let html = String::from_utf8(write(&document, Format::Html).unwrap()).unwrap();
    for wanted in ["1. t1", "1.1. t2", "1.2. t2", ">t1<", "2. t1", "2.1.1. t3"] {
        assert!(html.contains(wanted), "{wanted}");
    }
    assert!(html.contains("<ol><li>d0<ol><li>d1<ol><li>d3</li></ol></li></ol></li><li>d0</li></ol>"), "{html}");
    for format in Format::ALL {
        write(&document, format).unwrap();
    }
}

#[test]
fn hwpx_begins_with_its_type_as_it_is() {
    let bytes = write(&document(vec![]), Format::Hwpx).unwrap();
    let (names, _) = unzip(&bytes);
    assert_eq!(names[0], "mimetype");
    assert_eq!(&bytes[30..57], b"mimetypeapplication/hwp+zip");
    for wanted in
        ["version.xml", "settings.xml", "Contents/content.hpf", "Contents/header.xml", "Contents/section0.xml"]
    {
        assert!(names.iter().any(|name| name == wanted), "{wanted}");
    }
    // Every shape that the section refers to is in the header.
    let document = sample::all(2, Language::Ko).into_iter().next().unwrap().1;
    let bytes = write(&document, Format::Hwpx).unwrap();
    let (header, section) = (part(&bytes, "Contents/header.xml"), part(&bytes, "Contents/section0.xml"));
    for (reference, element) in [
        ("charPrIDRef", "hh:charPr"),
        ("paraPrIDRef", "hh:paraPr"),
        ("styleIDRef", "hh:style"),
        ("borderFillIDRef", "hh:borderFill"),
    ] {
        for id in section.split(&format!(" {reference}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(header.contains(&format!("<{element} id=\"{id}\"")), "{element} {id}");
        }
    }
}

#[test]
fn hwpx_has_the_pictures_that_are_metafiles() {
    let image = |metafile: Option<Vec<u8>>, width_mm, height_mm| {
        Block::Image(Image {
            svg: "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"4\" height=\"2\"/>".to_owned(),
            metafile,
            description: "두 상자 & 화살표".to_owned(),
            caption: Some("흐름".to_owned()),
            width_mm,
            height_mm,
        })
    };
    let plain = write(&document(vec![image(None, 80, 40)]), Format::Hwpx).unwrap();
    assert!(part(&plain, "Contents/section0.xml").contains("[두 상자 &amp; 화살표] ("));
    assert!(!unzip(&plain).0.iter().any(|name| name.starts_with("BinData")));
    let blocks = vec![
        image(Some(vec![1, 2]), 80, 40),
        image(None, 80, 40),
        image(Some(vec![3]), 400, 100),
        image(Some(vec![4]), 60, 600),
    ];
    let drawn = write(&document(blocks.clone()), Format::Hwpx).unwrap();
    assert_eq!(drawn, write(&document(blocks), Format::Hwpx).unwrap());
    let (_, contents) = unzip(&drawn);
    assert_eq!((&contents["BinData/image1.emf"][..], &contents["BinData/image2.emf"][..]), (&[1, 2][..], &[3][..]));
    let (package, section) = (part(&drawn, "Contents/content.hpf"), part(&drawn, "Contents/section0.xml"));
    // Each reference leads to an item of the manifest, and each item to a file.
    let pictures: Vec<&str> = section.split("<hp:pic ").skip(1).collect();
    assert_eq!(pictures.len(), 3);
    for (index, picture) in pictures.iter().enumerate() {
        let id = format!("image{}", index + 1);
        assert!(picture.contains(&format!("binaryItemIDRef=\"{id}\"")), "{picture}");
        let file = format!("BinData/{id}.emf");
        let item = format!("<opf:item id=\"{id}\" href=\"{file}\" media-type=\"image/emf\" isEmbeded=\"1\"/>");
        assert!(package.contains(&item) && contents.contains_key(&file), "{package}");
        assert!(picture.contains("<hp:shapeComment>두 상자 &amp; 화살표</hp:shapeComment>"), "{picture}");
    }
    // 80 × 40 mm; one as wide as the column; one as high as the page has room.
    let size = |picture: &str| -> (u32, u32) {
        let size = picture.split("<hp:sz ").nth(1).unwrap();
        let of =
            |name: &str| size.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        (of("width"), of("height"))
    };
    assert_eq!(size(pictures[0]), (22_677, 11_338));
    assert_eq!(size(pictures[1]), (48_190, 12_047));
    let (width, height) = size(pictures[2]);
    assert!((60_000..62_000).contains(&height) && (6_000..6_200).contains(&width), "{width} × {height}");
}

#[test]
fn sheets_get_names_that_readers_take() {
    let table = |name: &str| Block::Table(Table { sheet: Some(name.to_owned()), ..spans() });
    let names =
        ["a/b", "A b", "", "History", "'x'", &"긴".repeat(40), &"긴".repeat(40), "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀"];
    let bytes = write(&document(names.iter().map(|name| table(name)).collect()), Format::Xlsx).unwrap();
    let workbook = part(&bytes, "xl/workbook.xml");
    let found: Vec<&str> =
        workbook.split("<sheet name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let short = "긴".repeat(29);
    let emoji = "😀".repeat(15);
    let wanted =
        ["Document", "a b", "A b 2", "Sheet", "Sheet 2", "x", &"긴".repeat(31), &format!("{short} 2"), emoji.as_str()];
    assert_eq!(found, wanted);
}

#[test]
#[cfg(not(feature = "pdf"))]
fn what_is_not_written_says_so() {
    #[cfg(not(feature = "pdf"))]
    assert_eq!(
        write(&document(vec![]), Format::Pdf).unwrap_err().to_string(),
        "pdf is not supported by this build; build with `cargo build --release -p maru --features pdf`, or write html and print it"
    );
    assert_eq!("DOCX".parse::<Format>().unwrap(), Format::Docx);
    assert_eq!(
        "odt".parse::<Format>().unwrap_err().to_string(),
        "format \"odt\" is not known; use html, docx, xlsx, hwpx or pdf"
    );
}

#[test]
fn dates_are_days_of_the_calendar() {
    for bad in [
        "",
        "2026-02-29",
        "2026-13-01",
        "2026-1-1",
        "2026-00-10",
        "2026-04-31",
        "26-01-01",
        "2026-01-01T",
        "+026-01-01",
    ] {
        assert!(bad.parse::<maru_documents::Date>().is_err(), "{bad}");
    }
    let date: maru_documents::Date = "2024-02-29".parse().unwrap();
    assert_eq!((date.to_string(), date.written(Language::Ko)), ("2024-02-29".to_owned(), "2024년 2월 29일".to_owned()));
}
