//! Real readers open what was written: LibreOffice, and Python's openpyxl and python-docx. They are skipped with one line where they
//! are not installed; `MARU_PYTHON` names the interpreter of an environment that has the two packages.

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

#[test]
fn five_hundred_requirements_are_written_soon() {
    let begin = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut bytes = 0;
    for (_, document) in sample::all(500, Language::Ko) {
        for format in Format::ALL {
            bytes += write(&document, format).unwrap().len();
        }
    }
    let seconds = (std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - begin).as_secs_f64();
    println!("4 documents of 500 requirements in 4 formats: {bytes} bytes in {seconds:.2} s");
    // The goal is 10 s for all of them; a loaded machine and an unoptimised build get three times that.
    assert!(seconds < 30.0, "{seconds} s");
}
