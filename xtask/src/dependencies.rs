//! What may come in from outside: sources, licences, crates that are banned, and names in manifests that nothing uses.
//!
//! Source: the style guide, §9. The published tools for this do not read this edition's manifests, or take minutes to build.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::tidy::{Finding, files_below, finding};

/// Licences that may be in the binary.
const LICENCES: [&str; 11] = [
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unlicense",
    "Unicode-3.0",
    // Mozilla's list of certificate authorities: data.
    "CDLA-Permissive-2.0",
    // Changes to the crate's own files are to be published; there are none.
    "MPL-2.0",
];

/// Crates whose manifest names no licence, and what their licence file says.
const LICENCE_FILES: [(&str, &str); 1] = [("rust-criu", "MIT")];

/// What must not come in, and why.
const BANNED: [(&str, &str); 5] = [
    ("aws-lc-rs", "ring is the one provider of cryptography"),
    ("aws-lc-sys", "ring is the one provider of cryptography"),
    ("openssl-sys", "ring and rustls are the one way to TLS"),
    ("native-tls", "ring and rustls are the one way to TLS"),
    ("serde_yaml", "serde-saphyr is the one reader of YAML; this one is not kept any more"),
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks all packages of the checkout at `root`.
///
/// # Errors
/// When cargo does not tell what there is, or a file cannot be read.
pub(crate) fn check(root: &Path) -> io::Result<Vec<Finding>> {
    let metadata = metadata(root)?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut findings = Vec::new();
    for package in packages {
        if package["source"].is_null() {
            check_unused(package, &mut findings)?;
        } else {
            check_outside(package, &mut findings);
        }
    }
    Ok(findings)
}

fn metadata(root: &Path) -> io::Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("cargo metadata ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

fn check_outside(package: &Value, findings: &mut Vec<Finding>) {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let name = text("name");
    let place = format!("{name} {}", text("version"));
    if text("source") != REGISTRY {
        findings.push(finding(&place, format!("comes from {}; only crates.io is a source", text("source"))));
    }
    if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        findings.push(finding(&place, format!("is banned: {reason}")));
    }
    let from_file = LICENCE_FILES.iter().find(|(known, _)| *known == name).map(|(_, licence)| *licence);
    let licence = package["license"].as_str().or(from_file).unwrap_or_default();
    if !is_allowed(licence) {
        findings.push(finding(&place, format!("its licence \"{licence}\" is none of {}", LICENCES.join(", "))));
    }
}

/// Tells whether an SPDX expression (or its old form with a slash) can be fulfilled by the licences that are allowed.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest) && rest.is_empty()
}

fn any(words: &mut &[&str]) -> bool {
    let mut allowed = all(words);
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        allowed |= all(words);
    }
    allowed
}

fn all(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        allowed &= one(words);
    }
    allowed
}

fn one(words: &mut &[&str]) -> bool {
    match words.split_first() {
        Some((&"(", rest)) => {
            *words = rest;
            let allowed = any(words);
            let Some((&")", rest)) = words.split_first() else { return false };
            *words = rest;
            allowed
        }
        Some((licence, rest)) => {
            *words = rest;
            // An exception only adds permissions.
            if let [first, _, after @ ..] = rest
                && *first == "WITH"
            {
                *words = after;
            }
            LICENCES.contains(licence)
        }
        None => false,
    }
}

/// Every dependency of our own manifests is named in the package's code.
fn check_unused(package: &Value, findings: &mut Vec<Finding>) -> io::Result<()> {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().unwrap_or(manifest);
    let mut words = BTreeSet::new();
    let mut files = files_below(folder, &["rs"])?;
    // A module may live in another package's folder.
    for file in files.clone() {
        let text = std::fs::read_to_string(&file)?;
        for outside in text.lines().filter_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]")) {
            let module = file.with_file_name(outside);
            files.extend(files_below(module.parent().unwrap_or(&module), &["rs"])?);
        }
    }
    for file in files {
        let text = std::fs::read_to_string(file)?;
        words.extend(text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').map(str::to_owned));
    }
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let name = dependency["rename"].as_str().or(dependency["name"].as_str()).unwrap_or_default();
        if !words.contains(&name.replace('-', "_")) {
            let place = package["name"].as_str().unwrap_or_default();
            findings.push(finding(place, format!("depends on {name}, which its code never names")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_weighed_as_expressions() {
        for good in
            ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-2.0) AND Zlib", "Apache-2.0 WITH LLVM-exception"]
        {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT MIT", "OR"] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}
