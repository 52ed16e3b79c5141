//! Content that tries to become something else.

use maru_documents::{
    Block, Cell, DocumentError, Format, Image, Language, Paragraph, ParagraphStyle, Row, Run, Table, write,
};
use proptest::prelude::*;

use crate::formats::document;
use crate::sample;
use crate::unzip::{part, unzip, well_formed};

fn table(texts: &[&str]) -> Table {
    Table {
        caption: None,
        sheet: Some("t".to_owned()),
        columns: vec![1],
        header_rows: 0,
        rows: texts.iter().map(|text| Row::of(vec![Cell::text(*text)])).collect(),
    }
}

#[test]
fn no_text_becomes_a_formula() {
    let texts = [
        "=HYPERLINK(\"http://a/\")",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "=1",
        "1234",
        "TRUE",
        "#REF!",
    ];
    let bytes = write(&document(vec![Block::Table(table(&texts))]), Format::Xlsx).unwrap();
    let sheet = part(&bytes, "xl/worksheets/sheet2.xml");
    assert!(!sheet.contains("<f>") && !sheet.contains("<f "));
    assert_eq!(sheet.matches(" t=\"s\"").count(), texts.len(), "{sheet}");
    let styles = part(&bytes, "xl/styles.xml");
    let quoted: Vec<bool> = styles.split("<xf ").skip(2).map(|xf| xf.contains("quotePrefix=\"1\"")).collect();
    let used = sheet.split(" s=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse::<usize>().unwrap());
    let marked: Vec<bool> = used.map(|style| quoted[style]).collect();
    assert_eq!(marked, [true, true, true, true, true, true, false, false, false]);
}

#[test]
fn very_long_cells_lose_nothing() {
    let long: String = (0..200_000).map(|index| char::from_u32(0xac00 + index % 11_172).unwrap()).collect();
    let bytes = write(&document(vec![Block::Table(table(&[&long, "next"]))]), Format::Xlsx).unwrap();
    let texts = well_formed("strings", &part(&bytes, "xl/sharedStrings.xml"));
    assert!(texts.iter().all(|text| text.encode_utf16().count() <= 32_767));
    let workbook = part(&bytes, "xl/workbook.xml");
    assert!(workbook.contains("name=\"Long texts\""), "{workbook}");
    let mut joined = String::new();
    for text in texts.iter().filter(|text| text.chars().count() > 1000) {
        joined.push_str(text.split('…').next().unwrap());
    }
    assert!(joined == long, "{} of {}", joined.chars().count(), long.chars().count());
    for format in [Format::Html, Format::Docx, Format::Hwpx] {
        write(&document(vec![Block::Table(table(&[&long]))]), format).unwrap();
    }
}

#[test]
fn pictures_that_run_or_load_something_are_refused() {
    let image = |svg: &str| {
        Block::Image(Image {
            svg: svg.to_owned(),
            metafile: None,
            description: "d".to_owned(),
            caption: None,
            width_mm: 10,
            height_mm: 10,
        })
    };
    for format in Format::ALL {
        let error = write(&document(vec![image("<svg><script>alert(1)</script></svg>")]), format).unwrap_err();
        assert!(matches!(error, DocumentError::Picture { .. }), "{error}");
        write(&document(vec![image(sample::SVG)]), format).unwrap();
    }
}

#[test]
fn hostile_data_stays_text_in_all_documents() {
    const HOSTILE: &str = "</td><script>alert(1)</script>\"'&amp;]]>\u{0}\u{b}\u{202e}gpj.exe\u{ffff}=1\r\n_x0041_";
    let mut data = sample::definition(2);
    data.cover.project = HOSTILE.to_owned();
    data.cover.author = HOSTILE.to_owned();
    for entry in &mut data.requirements {
        entry.id = format!("{HOSTILE}{}", entry.id);
        entry.title = HOSTILE.to_owned();
        entry.statement = HOSTILE.to_owned();
        entry.category = HOSTILE.to_owned();
        entry.derived_from = vec![HOSTILE.to_owned(), "javascript:alert(1)".to_owned()];
    }
    let document = maru_documents::requirements_definition(&data, Language::En);
    let html = String::from_utf8(write(&document, Format::Html).unwrap()).unwrap();
    assert!(!html.contains("<script") && !html.contains("\u{202e}") && !html.contains("href=\"javascript"));
    for format in [Format::Docx, Format::Xlsx, Format::Hwpx] {
        let (_, contents) = unzip(&write(&document, format).unwrap());
        for (name, content) in contents.into_iter().filter(|(name, _)| name.ends_with(".xml") || name.ends_with(".hpf"))
        {
            let text = String::from_utf8(content).unwrap();
            well_formed(&name, &text);
            assert!(!text.contains("<script") && !text.contains('\u{202e}') && !text.contains('\u{b}'), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_text_arrives_whole_and_well_formed(text in "[\\PC\\n\\t<>&\"'=_x0-9A-F\u{0}-\u{1f}]{0,60}") {
        let mut document = document(vec![
            Block::Paragraph(Paragraph { runs: vec![Run::plain(&*text)], style: ParagraphStyle::Body }),
            Block::Table(table(&[&text])),
        ]);
        document.title = text.clone();
        document.meta.author = text.clone();
        let expected: String = text
            .chars()
            .filter(|character| !character.is_control() && !matches!(u32::from(*character) & 0xfffe, 0xfffe))
            .collect();
        for format in [Format::Docx, Format::Xlsx, Format::Hwpx] {
            let bytes = write(&document, format).unwrap();
            let (_, contents) = unzip(&bytes);
            for (name, content) in &contents {
                if name.ends_with(".xml") || name.ends_with(".rels") || name.ends_with(".hpf") {
                    well_formed(name, std::str::from_utf8(content).unwrap());
                }
            }
        }
        let docx = part(&write(&document, Format::Docx).unwrap(), "word/document.xml");
        let found: String = well_formed("document", &docx).concat();
        // Only where nothing is replaced: spaces alone between tags are no text for the checker.
        if !expected.trim().is_empty() && !expected.chars().any(|character| matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fdd0}'..='\u{fdef}')) {
            let dense = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert!(dense(&found).contains(&dense(&expected)), "{:?} in {:?}", expected, found);
        }
        write(&document, Format::Html).unwrap();
    }
}
