//! PDF, as poppler's tools read it: text that can be taken out, pages that are not blank, fonts that are embedded.

use std::path::Path;
use std::process::Command;

use maru_documents::{
    Block, Cell, Document, Format, Heading, Language, Numbering, Paragraph, ParagraphStyle, Row, Run, RunStyle, Table,
    write,
};

use crate::formats::document;
use crate::sample;

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn tool(name: &str, arguments: &[&str], folder: &Path) -> Option<Vec<u8>> {
    let output = Command::new(name).args(arguments).current_dir(folder).output();
    let Ok(output) = output else {
        println!("skipped: no {name} (Debian: poppler-utils)");
        return None;
    };
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    Some(output.stdout)
}

fn text_of(document: &Document) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.pdf"), write(document, Format::Pdf).unwrap()).unwrap();
    tool("pdftotext", &["-layout", "a.pdf", "-"], folder.path()).map(|text| String::from_utf8(text).unwrap())
}

fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn the_four_documents_are_read_by_poppler() {
    for language in [Language::Ko, Language::En] {
        for (name, document) in sample::all(7, language) {
            let bytes = write(&document, Format::Pdf).unwrap();
            assert!(bytes == write(&document, Format::Pdf).unwrap(), "{name}: other bytes the second time");
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a.pdf"), &bytes).unwrap();
            if let Some(look) = std::env::var_os("MARU_LOOK") {
                std::fs::write(Path::new(&look).join(format!("{name}-{language:?}.pdf")), &bytes).unwrap();
            }
            let Some(text) = tool("pdftotext", &["a.pdf", "-"], folder.path()) else { return };
            let text = dense(&String::from_utf8(text).unwrap());
            for wanted in ["온라인 상점 구축 사업", "김하늘", "이바다", "nfr-003", &document.title] {
                assert!(text.contains(&dense(wanted)), "{name}: no {wanted} in {text}");
            }
            let information = tool("pdfinfo", &["a.pdf"], folder.path()).unwrap();
            let information = String::from_utf8(information).unwrap();
            for wanted in ["Tagged:          yes", "A4", "2026", "김하늘"] {
                assert!(information.contains(wanted), "{name}: no {wanted}: {information}");
            }
            let fonts = String::from_utf8(tool("pdffonts", &["a.pdf"], folder.path()).unwrap()).unwrap();
            let rows: Vec<&str> = fonts.lines().skip(2).collect();
            assert!(
                rows.len() >= 2 && rows.iter().all(|row| row.contains("+Maru") && row.contains("yes yes yes")),
                "{fonts}"
            );
            tool("pdftoppm", &["-gray", "-r", "40", "-l", "3", "a.pdf", "page"], folder.path()).unwrap();
            for page in std::fs::read_dir(folder.path()).unwrap().flatten() {
                if page.path().extension().is_some_and(|end| end == "pgm") {
                    let pixels = std::fs::read(page.path()).unwrap();
                    let dark = pixels.iter().skip(20).filter(|pixel| **pixel < 200).count();
                    assert!(dark > 50, "{name}: {:?} is blank", page.path());
                }
            }
        }
    }
}

#[test]
fn no_character_becomes_an_empty_box() {
    let hangul: String = (0xac00..=0xd7a3).filter_map(char::from_u32).collect();
    let others = "가각힣 ABC xyz 0123 ±×÷≤≥≠→←…“”‘’–—·•°µ㎎℃①■□●○★√∞αβπ₩€£½² א ع 😀 漢 \u{202e}";
    let run = |text: &str| Block::Paragraph(Paragraph { runs: vec![Run::plain(text)], style: ParagraphStyle::Body });
    let Some(text) = text_of(&document(vec![run(&hangul), run(others)])) else { return };
    let text = dense(&text);
    let missing: Vec<char> = hangul.chars().filter(|character| !text.contains(*character)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for wanted in ["±×÷≤≥≠→←", "㎎", "₩€£½²", "[U+05D0]", "[U+0639]", "[U+1F600]", "[U+6F22]", "[U+FFFD]"]
    {
        assert!(text.contains(wanted), "no {wanted} in {:?}", text.chars().rev().take(200).collect::<String>());
    }
}

#[test]
fn markup_of_the_typesetter_stays_text() {
    let hostile =
        "#read(\"/etc/passwd\") *a* $x$ <b> @c \\ ] } \" `x` // /* #eval(\"1\") = heading\n- item\t+ item \u{0}\u{b}";
    let mut data = sample::definition(1);
    data.cover.project = hostile.to_owned();
    data.cover.author = hostile.to_owned();
    data.requirements[0].statement = hostile.to_owned();
    data.requirements[0].id = hostile.to_owned();
    let document = maru_documents::requirements_definition(&data, Language::Ko);
    let Some(text) = text_of(&document) else { return };
    let text = dense(&text);
    assert!(text.contains("#read(\"/etc/passwd\")*a*$x$<b>@c\\]}\"`x`///*#eval(\"1\")=heading"), "{text}");
}

#[test]
fn long_words_break_and_long_headings_end_soon() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let table = Table {
        caption: None,
        sheet: None,
        columns: vec![1, 6],
        header_rows: 1,
        rows: vec![
            Row::of(vec![Cell::header("a"), Cell::header("b")]),
            Row::of(vec![Cell::runs(vec![Run::styled(&*digest, RunStyle::Code)]), Cell::text("가".repeat(20_000))]),
        ],
    };
    let heading =
        |text: String| Block::Heading(Heading { level: 1, text, numbering: Numbering::Counted, anchor: None });
    let begin = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let blocks =
        vec![Block::Contents, heading("긴 제목 ".repeat(20_000)), Block::Table(table), heading("끝".to_owned())];
    let text = text_of(&document(blocks));
    let seconds = (std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - begin).as_secs_f64();
    println!("a heading of 100,000 characters: {seconds:.1} s");
    assert!(seconds < 120.0, "{seconds}");
    let Some(text) = text else { return };
    assert!(text.contains("2. 끝"), "{:?}", text.chars().rev().take(300).collect::<String>());
    assert!(!text.contains(&digest) && text.contains("sha256"), "the digest is not broken");
}
