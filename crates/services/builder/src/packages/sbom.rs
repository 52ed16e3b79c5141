//! The bill of materials: CycloneDX 1.6 in JSON, with the same bytes for the same packages.

use serde_json::{Value, json};

use crate::packages::apt::Package;

/// Where the image itself holds the bill.
pub(crate) const PATH: &str = "usr/share/sbom/packages.cdx.json";

/// What the distribution is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Distribution {
    /// `ID` of os-release, e.g. `debian`.
    pub(crate) id: String,
    /// `VERSION_ID` of os-release, or the suite.
    pub(crate) version: String,
}

impl Distribution {
    /// Reads os-release(5).
    pub(crate) fn parse(os_release: &str, suite: &str) -> Self {
        let get = |key: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim_matches('"').to_owned()).filter(|value| !value.is_empty())
        };
        Self {
            id: get("ID").unwrap_or_else(|| "debian".to_owned()),
            version: get("VERSION_ID").unwrap_or_else(|| suite.to_owned()),
        }
    }
}

/// Licences of a package by its name, as its copyright file says.
pub(crate) type Licences = std::collections::BTreeMap<String, Vec<String>>;

/// Returns the bill's bytes.
pub(crate) fn bill(name: &str, packages: &[Package], licences: &Licences, distribution: &Distribution) -> Vec<u8> {
    let mut components = vec![json!({
        "type": "operating-system",
        "bom-ref": format!("os:{}-{}", distribution.id, distribution.version),
        "name": distribution.id,
        "version": distribution.version,
    })];
    components.extend(packages.iter().map(|package| component(package, licences, distribution)));
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": { "components": [{ "type": "application", "name": "maru", "version": env!("CARGO_PKG_VERSION") }] },
            "component": { "type": "container", "bom-ref": "image", "name": name },
        },
        "components": components,
    });
    let digest = maru_oci::Digest::sha256(document.to_string().as_bytes());
    document["serialNumber"] = json!(format!("urn:uuid:{}", uuid(digest.hex())));
    let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn component(package: &Package, licences: &Licences, distribution: &Distribution) -> Value {
    let (name, version, architecture) = (package.name(), package.field("Version"), package.field("Architecture"));
    let url = format!(
        "pkg:deb/{}/{}@{}?arch={architecture}&distro={}-{}",
        distribution.id,
        percent(name),
        percent(version),
        distribution.id,
        distribution.version
    );
    // `Source: name (version)`, absent when both are the package's own.
    let source = package.field("Source");
    let (source_name, source_version) =
        source.split_once(' ').unwrap_or((if source.is_empty() { name } else { source }, ""));
    let source_version = source_version.trim_matches(['(', ')']);
    let mut value = json!({
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": version,
        "purl": url,
        "supplier": { "name": package.field("Maintainer") },
        "hashes": [{ "alg": "SHA-256", "content": package.field("SHA256") }],
        "properties": [
            { "name": "maru:deb:source", "value": source_name },
            { "name": "maru:deb:source-version", "value": if source_version.is_empty() { version } else { source_version } },
        ],
    });
    let homepage = package.field("Homepage");
    if !homepage.is_empty() {
        value["externalReferences"] = json!([{ "type": "website", "url": homepage }]);
    }
    if let Some(names) = licences.get(name).filter(|names| !names.is_empty()) {
        value["licenses"] = names.iter().map(|name| json!({ "license": { "name": name } })).collect();
    }
    value
}

/// Writes a hash in the form of a version 8 UUID (RFC 9562: custom content).
fn uuid(hex: &str) -> String {
    let mut digits: Vec<char> = hex.chars().take(32).collect();
    for (at, digit) in [(12, '8'), (16, '8')] {
        if let Some(place) = digits.get_mut(at) {
            *place = digit;
        }
    }
    let mut text = String::new();
    for (at, digit) in digits.into_iter().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// Escapes as package URLs want it.
fn percent(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Returns the licences that a machine-readable copyright file names (DEP-5); none for others.
pub(crate) fn licences(copyright: &str) -> Vec<String> {
    if !copyright.starts_with("Format:") {
        return Vec::new();
    }
    let mut names: Vec<String> = copyright
        .lines()
        .filter_map(|line| line.strip_prefix("License:"))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_packages_give_the_same_bill() {
        let fields = [
            ("Package", "libstdc++6"),
            ("Version", "1:12.2.0-14+deb12u1"),
            ("Architecture", "amd64"),
            ("SHA256", "ab"),
            ("Source", "gcc-12 (12.2)"),
            ("Maintainer", "M"),
        ];
        let package = Package {
            fields: fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            file: "x".into(),
        };
        let distribution = Distribution::parse("ID=debian\nVERSION_ID=\"12\"\n", "bookworm");
        let licences = Licences::from([(
            "libstdc++6".to_owned(),
            licences("Format: x\nLicense: GPL-3+\nLicense: MIT\nLicense: MIT\n"),
        )]);
        let first = bill("shop", std::slice::from_ref(&package), &licences, &distribution);
        assert_eq!(first, bill("shop", &[package], &licences, &distribution));
        let value: Value = serde_json::from_slice(&first).unwrap();
        assert_eq!(value["specVersion"], "1.6");
        assert_eq!(
            value["components"][1]["purl"],
            "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        );
        assert_eq!(value["components"][1]["licenses"][1]["license"]["name"], "MIT");
        assert_eq!(value["serialNumber"].as_str().unwrap().len(), 45);
    }
}
