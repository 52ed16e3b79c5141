//! Real readers open what was written: LibreOffice, and Python's openpyxl, python-docx and python-hwpx. They are skipped with one line
//! where they are not installed; `MARU_PYTHON` names the interpreter of an environment that has the packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use maru_documents::{Format, Language, write};

use crate::sample;

fn write_all(folder: &Path, count: usize, formats: &[Format]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (name, document) in sample::all(count, Language::Ko) {
        for format in formats {
            let file = folder.join(format!("{name}.{format}"));
            std::fs::write(&file, write(&document, *format).unwrap()).unwrap();
            files.push(file);
        }
    }
    files
}

#[test]
fn libreoffice_opens_documents_and_worksheets() {
    if !Command::new("soffice").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no soffice (Debian: libreoffice-writer-nogui libreoffice-calc-nogui)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let profile = format!("-env:UserInstallation=file://{}/profile", folder.path().display());
    for (format, filter, ending) in
        [(Format::Docx, "txt:Text (encoded):UTF8", "txt"), (Format::Xlsx, "html:HTML (StarCalc)", "html")]
    {
        let files = write_all(folder.path(), 3, &[format]);
        // A reader that never ends fails the test instead of holding it up.
        let output = Command::new("timeout")
            .args(["--kill-after=10", "300", "soffice"])
            .args([&profile, "--headless", "--norestore", "--convert-to", filter, "--outdir"])
            .arg(folder.path())
            .args(&files)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        for file in &files {
            let text = std::fs::read(file.with_extension(ending))
                .unwrap_or_else(|error| panic!("{file:?}: {error}, {output:?}"));
            let text = String::from_utf8_lossy(&text);
            for wanted in ["온라인 상점 구축 사업", "nfr-003", "김하늘", "감리"] {
                assert!(text.contains(wanted), "{}: no {wanted}", file.display());
            }
        }
    }
}

/// Prints what the readers see, and fails when they see otherwise.
const CHECK: &str = r#"
import sys, pathlib, openpyxl, docx
folder = pathlib.Path(sys.argv[1])
for file in sorted(folder.glob("*.xlsx")):
    book = openpyxl.load_workbook(file)
    assert len(book.worksheets) >= 4, file
    for sheet in book.worksheets[1:]:
        assert sheet.freeze_panes and sheet.auto_filter.ref, (file, sheet.title)
        assert all(cell.value for cell in sheet[1]), (file, sheet.title)
        for row in sheet.iter_rows():
            assert all(cell.data_type != "f" for cell in row), (file, sheet.title)
    assert book.properties.creator == "김하늘" and book.properties.created.year == 2026
matrix = openpyxl.load_workbook(folder / "matrix.xlsx")["추적표"]
assert matrix.max_row == 4 and matrix["A2"].value == "nfr-001" and matrix["K2"].value == "부적합", [c.value for c in matrix[2]]
for file in sorted(folder.glob("*.docx")):
    document = docx.Document(file)
    assert document.core_properties.author == "김하늘" and document.core_properties.created.year == 2026
    headings = [p.text for p in document.paragraphs if p.style.name.startswith("Heading")]
    assert any(text.startswith("1. ") for text in headings), headings
    assert len(document.tables) >= 3 and document.tables[0].cell(0, 1).text == "온라인 상점 구축 사업"
definition = docx.Document(folder / "definition.docx")
assert len(definition.inline_shapes) == 1
assert any("nfr-002 주문 응답 시간 2" in p.text for p in definition.paragraphs if p.style.name == "Heading 2")
print("seen")
"#;

#[test]
fn python_readers_see_the_same() {
    let python = std::env::var_os("MARU_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    if !Command::new(&python).args(["-c", "import openpyxl, docx"]).output().is_ok_and(|output| output.status.success())
    {
        println!("skipped: no Python with openpyxl and python-docx (name one in MARU_PYTHON)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), 3, &[Format::Docx, Format::Xlsx]);
    let output = Command::new(&python).args(["-c", CHECK]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"seen\n");
}

/// Holds HWPX against the format's schemas and the rules of its package, and reads it: texts, and pictures with their files.
const CHECK_HWPX: &str = r#"
import pathlib, sys
from hwpx.document import HwpxDocument
from hwpx.tools.package_validator import validate_editor_open_safety, validate_package
from hwpx.tools.validator import validate_document

folder = pathlib.Path(sys.argv[1])
for file in sorted(folder.glob("*.hwpx")):
    for report in (validate_document(file), validate_package(file)):
        assert report.ok and not report.warnings, (file, report.issues)
    assert validate_editor_open_safety(file).ok, file
    document = HwpxDocument.open(file)
    pictures = document.media.picture_references()
    sizes = [(picture.width, picture.height) for picture in pictures]
    assert sizes == ([(28346, 8503), (28346, 8503)] if file.stem == "pictures" else []), (file, sizes)
    items = {item.item_id: item.size for item in document.media.images}
    assert all(items[picture.binary_item_id_ref] > 0 for picture in pictures), (file, items)
    text = document.text.plain()
    wanted = "Figure 2. 끝" if file.stem == "pictures" else "온라인 상점 구축 사업"
    assert wanted in text, (file, text[:1000])
print("seen")
"#;

#[test]
fn python_hwpx_finds_no_fault() {
    use maru_documents::{Block, Image};
    let python = std::env::var_os("MARU_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    if !Command::new(&python).args(["-c", "import hwpx"]).output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no Python with python-hwpx (name one in MARU_PYTHON)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_all(folder.path(), 3, &[Format::Hwpx]);
    let image = |caption: &str| {
        Block::Image(Image {
            svg: sample::SVG.to_owned(),
            metafile: Some(vec![1, 0, 0, 0]),
            description: "주문에서 결제로 <가는> 흐름".to_owned(),
            caption: Some(caption.to_owned()),
            width_mm: 100,
            height_mm: 30,
        })
    };
    let pictures = crate::formats::document(vec![image("처음"), image("끝")]);
    std::fs::write(folder.path().join("pictures.hwpx"), write(&pictures, Format::Hwpx).unwrap()).unwrap();
    let output = Command::new(&python).args(["-c", CHECK_HWPX]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"seen\n");
}

#[test]
fn five_hundred_requirements_are_written_soon() {
    let begin = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut bytes = 0;
    for (_, document) in sample::all(500, Language::Ko) {
        // PDF is laid out by another program, and has its own tests.
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Pdf) {
            bytes += write(&document, format).unwrap().len();
        }
    }
    let seconds = (std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - begin).as_secs_f64();
    println!("4 documents of 500 requirements in 4 formats: {bytes} bytes in {seconds:.2} s");
    // The goal is 10 s for all of them; a loaded machine and an unoptimised build get far more than that.
    assert!(seconds < 120.0, "{seconds} s");
}

/// Content that keeps readers busy: each document must be open soon.
#[test]
fn libreoffice_ends_with_hostile_content_soon() {
    use maru_documents::{Block, Cell, Heading, Numbering, Paragraph, ParagraphStyle, Row, Run, Table};
    if !Command::new("soffice").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no soffice (Debian: libreoffice-writer-nogui libreoffice-calc-nogui)");
        return;
    }
    let heading =
        |text: String| Block::Heading(Heading { level: 1, text, numbering: Numbering::Counted, anchor: None });
    let run = |text: &str| Block::Paragraph(Paragraph { runs: vec![Run::plain(text)], style: ParagraphStyle::Body });
    let cell = |text: String| Table {
        caption: Some("long".to_owned()),
        sheet: Some("long".to_owned()),
        columns: vec![1, 1],
        header_rows: 1,
        rows: vec![
            Row::of(vec![Cell::header("a"), Cell::header("b")]),
            Row::of(vec![Cell::text(text), Cell::text("끝난 칸")]),
        ],
    };
    let mixed = "שלום עולם مرحبا 한국어 English 😀👩‍👩‍👧 漢字 é 각";
    let blocks = vec![
        Block::Contents,
        heading("긴 제목 ".repeat(20_000)),
        heading("x".repeat(100_000)),
        run(&"가".repeat(100_000)),
        Block::Table(cell("나".repeat(100_000))),
        run(mixed),
        run("제어\u{0}\u{1}\u{b}\u{1f}문자\u{202e}뒤집힘\u{feff}"),
        heading("끝난 제목".to_owned()),
    ];
    let document = crate::formats::document(blocks);
    let folder = tempfile::tempdir().unwrap();
    let profile = format!("-env:UserInstallation=file://{}/profile", folder.path().display());
    for (format, filter, ending) in
        [(Format::Docx, "txt:Text (encoded):UTF8", "txt"), (Format::Xlsx, "html:HTML (StarCalc)", "html")]
    {
        let file = folder.path().join(format!("hostile.{format}"));
        std::fs::write(&file, write(&document, format).unwrap()).unwrap();
        let begin = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let output = Command::new("timeout")
            .args(["--kill-after=10", "240", "soffice", &profile, "--headless", "--norestore", "--convert-to", filter])
            .arg("--outdir")
            .arg(folder.path())
            .arg(&file)
            .output()
            .unwrap();
        let seconds = (std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - begin).as_secs_f64();
        println!("LibreOffice read a hostile {format} in {seconds:.1} s");
        assert!(output.status.success(), "{format}: {seconds:.0} s, {output:?}");
        let text = std::fs::read(file.with_extension(ending)).unwrap();
        let text = String::from_utf8_lossy(&text);
        for wanted in ["끝난 제목", "끝난 칸", "제어문자", "שלום", "مرحبا", "한국어", "😀"] {
            assert!(text.contains(wanted), "{format}: no {wanted}");
        }
        assert!(!text.contains('\u{202e}'), "{format}");
    }
}
