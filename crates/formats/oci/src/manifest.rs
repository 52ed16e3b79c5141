//! Manifests, indexes and descriptors, in OCI's and Docker's media types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Media types of what an image is made of.
pub mod media_type {
    /// OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// The configuration of an artifact that needs none.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// OCI layer, not compressed.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker image manifest, version 2 schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// CycloneDX bill of materials.
    pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
}

/// Points to content by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's length in bytes.
    pub size: u64,
    /// What kind of artifact it is, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Other places to fetch it from; never used with credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The platform an index's entry is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Creates a descriptor without optional fields.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            artifact_type: None,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// An operating system and processor architecture, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// E.g. `amd64`, `arm64`.
    pub architecture: String,
    /// E.g. `linux`.
    pub os: String,
    /// E.g. `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Version of the operating system, for Windows.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
}

impl Platform {
    /// Returns the platform this program was compiled for.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: None, os_version: None }
    }

    /// Tells how well an offered platform suits this one: `None` not at all, larger is better.
    #[must_use]
    pub fn suits(&self, offered: &Self) -> Option<u8> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        // v8 is what arm64 means when it says nothing.
        let wanted = self.variant.as_deref().or((self.architecture == "arm64").then_some("v8"));
        match (wanted, offered.variant.as_deref()) {
            (None, None) => Some(3),
            (Some(wanted), Some(offered)) if wanted == offered => Some(3),
            (_, None) => Some(2),
            (None, Some("v1")) => Some(2),
            _ => None,
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

/// An image manifest: a configuration and its layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact it is, when it is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// What the artifact is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index: manifests, usually one for each platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact it is, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// What the artifact is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// Returns the entry that suits a platform best. An entry without platform suits when it is the only one.
    #[must_use]
    pub fn select(&self, platform: &Platform) -> Option<&Descriptor> {
        let mut best: Option<(u8, &Descriptor)> = None;
        for entry in &self.manifests {
            let Some(score) = entry.platform.as_ref().and_then(|offered| platform.suits(offered)) else { continue };
            if best.is_none_or(|(before, _)| score > before) {
                best = Some((score, entry));
            }
        }
        match (best, self.manifests.as_slice()) {
            (Some((_, entry)), _) => Some(entry),
            (None, [only]) if only.platform.is_none() => Some(only),
            _ => None,
        }
    }
}

/// A manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// An image or artifact.
    Manifest(Box<Manifest>),
    /// Several of them.
    Index(Box<Index>),
}

/// Bytes are neither a manifest nor an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// They are not the JSON of one.
    #[error("not an image manifest")]
    Malformed(#[source] serde_json::Error),
    /// They are of a format that is not read.
    #[error(
        "manifest format \"{found}\" is not supported; supported are OCI images and indexes and Docker version 2 schema 2"
    )]
    Unsupported {
        /// Media type or schema version found.
        found: String,
    },
}

impl Document {
    /// Largest manifest that is read, as registries commonly accept.
    pub const BYTES_MAX: usize = 4 << 20;

    /// Reads a manifest or an index. The media type inside decides; without one, the fields do.
    ///
    /// # Errors
    /// When the bytes are neither.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            schema_version: u32,
            media_type: Option<String>,
            manifests: Option<serde::de::IgnoredAny>,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(DocumentError::Malformed)?;
        if head.schema_version != 2 {
            return Err(DocumentError::Unsupported { found: format!("schema version {}", head.schema_version) });
        }
        let index = match head.media_type.as_deref() {
            Some(media_type::MANIFEST | media_type::DOCKER_MANIFEST) => false,
            Some(media_type::INDEX | media_type::DOCKER_INDEX) => true,
            None => head.manifests.is_some(),
            Some(other) => return Err(DocumentError::Unsupported { found: other.to_owned() }),
        };
        if index {
            serde_json::from_slice(bytes).map(Self::Index).map_err(DocumentError::Malformed)
        } else {
            serde_json::from_slice(bytes).map(Self::Manifest).map_err(DocumentError::Malformed)
        }
    }

    /// Returns the media type to send it with.
    #[must_use]
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(manifest) => manifest.media_type.as_deref().unwrap_or(media_type::MANIFEST),
            Self::Index(index) => index.media_type.as_deref().unwrap_or(media_type::INDEX),
        }
    }
}

/// Reads `null` as empty: Go writes nil maps and slices so.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(architecture: &str, variant: Option<&str>) -> Descriptor {
        let platform = Platform {
            architecture: architecture.into(),
            os: "linux".into(),
            variant: variant.map(Into::into),
            os_version: None,
        };
        Descriptor {
            platform: Some(platform),
            ..Descriptor::new(media_type::MANIFEST, Digest::sha256(architecture.as_bytes()), 1)
        }
    }

    fn index(manifests: Vec<Descriptor>) -> Index {
        Index {
            schema_version: 2,
            media_type: None,
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn the_best_platform_is_selected() {
        let arm = Platform { architecture: "arm64".into(), os: "linux".into(), variant: None, os_version: None };
        let amd = Platform { architecture: "amd64".into(), ..arm.clone() };
        let all = index(vec![entry("amd64", Some("v3")), entry("arm64", Some("v8")), entry("amd64", None)]);
        assert_eq!(all.select(&arm), Some(&all.manifests[1]));
        assert_eq!(all.select(&amd), Some(&all.manifests[2]));
        assert_eq!(index(vec![entry("s390x", None)]).select(&amd), None);
        let bare = index(vec![Descriptor::new(media_type::MANIFEST, Digest::sha256(b""), 0)]);
        assert!(bare.select(&amd).is_some());
    }

    #[test]
    fn documents_are_told_apart() {
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":null,"annotations":null}}"#,
            media_type::CONFIG,
            Digest::sha256(b"{}")
        );
        assert!(matches!(Document::parse(manifest.as_bytes()), Ok(Document::Manifest(_))));
        assert!(matches!(Document::parse(br#"{"schemaVersion":2,"manifests":[]}"#), Ok(Document::Index(_))));
        assert!(matches!(Document::parse(br#"{"schemaVersion":1}"#), Err(DocumentError::Unsupported { .. })));
        assert!(matches!(Document::parse(b"{"), Err(DocumentError::Malformed(_))));
    }
}
