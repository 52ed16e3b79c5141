//! Takes the built page from `console/dist` into the binary, compressed. Node is never run here: `make console` does that.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

fn main() -> std::io::Result<()> {
    // Cargo is the one who says where to write.
    let folder = |name: &str| PathBuf::from(std::env::var_os(name).unwrap_or_default());
    let dist = folder("CARGO_MANIFEST_DIR").join("../../../console/dist");
    let out = folder("OUT_DIR");
    // A folder that does not exist would count as changed with every build; one that cannot be made counts as empty.
    drop(std::fs::create_dir_all(&dist));
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let content = std::fs::read(file)?;
        let path = file.strip_prefix(&dist).unwrap_or(file).to_string_lossy().into_owned();
        let mut sum = Crc::new();
        sum.update(&content);
        let packed = if is_text(&path) { Some(gzip(&content)?) } else { None };
        let is_packed = packed.is_some();
        let copy = out.join(format!("asset-{number}"));
        std::fs::write(&copy, packed.as_deref().unwrap_or(&content))?;
        let (sum, length) = (sum.sum(), content.len());
        writeln!(
            table,
            "File {{ path: {:?}, is_packed: {is_packed}, etag: \"\\\"{sum:08x}-{length:x}\\\"\", content: include_bytes!({:?}) }},",
            format!("/{path}"),
            copy.display().to_string(),
        )
        .map_err(std::io::Error::other)?;
    }
    table.push(']');
    std::fs::write(out.join("assets.rs"), table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            // Maps of the sources are for the desk.
            false if path.extension().is_some_and(|ending| ending == "map") => {}
            false => files.push(path),
        }
    }
    Ok(())
}

/// What `index.html` says changes with each answer, so it stays as it is.
fn is_text(path: &str) -> bool {
    path != "index.html"
        && [".js", ".mjs", ".css", ".svg", ".json", ".txt", ".html"].iter().any(|one| path.ends_with(one))
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}
