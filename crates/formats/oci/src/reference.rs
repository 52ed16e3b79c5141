//! Image references and their one normalised spelling.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The registry of names that name none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The namespace of names with one component in the default registry.
const DEFAULT_NAMESPACE: &str = "library";
/// The tag of names with neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Longest repository name, registry included, as registries enforce it.
const NAME_LENGTH_MAX: usize = 255;
/// Longest tag.
const TAG_LENGTH_MAX: usize = 128;

/// The name of an image, normalised as docker does: `nginx` is `docker.io/library/nginx:latest` and the local name
/// `shop/orders:dev` is `docker.io/shop/orders:dev`, whoever says it. Has a tag, a digest, or both. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(Arc<Parts>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an image reference: {problem}")]
pub struct ReferenceError {
    /// The text as given.
    pub text: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl Reference {
    /// Returns the registry with its port, e.g. `docker.io` or `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.0.registry
    }

    /// Returns the repository within the registry, e.g. `library/nginx`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.0.repository
    }

    /// Returns the tag; `None` only when there is a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.0.tag.as_deref()
    }

    /// Returns the digest, if the reference is pinned.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.0.digest.as_ref()
    }

    /// Returns the same repository at a digest, without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self(Arc::new(Parts { tag: None, digest: Some(digest), ..Parts::clone(&self.0) }))
    }

    /// Returns the same repository at a tag.
    ///
    /// # Errors
    /// When the text is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError { text: tag.to_owned(), problem: TAG_PROBLEM });
        }
        Ok(Self(Arc::new(Parts { tag: Some(tag.to_owned()), digest: None, ..Parts::clone(&self.0) })))
    }

    /// Returns registry and repository without tag or digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.0.registry, self.0.repository)
    }

    /// Returns the short spelling that people use, e.g. `nginx:latest` or `shop/orders:dev`.
    #[must_use]
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let Some(rest) = full.strip_prefix(DEFAULT_REGISTRY).and_then(|rest| rest.strip_prefix('/')) else {
            return full;
        };
        rest.strip_prefix(DEFAULT_NAMESPACE).and_then(|rest| rest.strip_prefix('/')).unwrap_or(rest).to_owned()
    }
}

const TAG_PROBLEM: &str = "a tag has up to 128 letters, digits, '_', '.' and '-', and starts with none of the last two";

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| ReferenceError { text: text.chars().take(300).collect(), problem })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let (rest, digest) = match text.split_once('@') {
        None => (text, None),
        Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|_| "what follows '@' is not a digest")?)),
    };
    // A colon after the last slash starts a tag; before it, a port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(TAG_PROBLEM);
    }
    let (registry, path) = match name.split_once('/') {
        Some((first, path))
            if first.contains(['.', ':']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
    if !is_registry(registry) {
        return Err("the registry is not a host name with an optional port");
    }
    let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        format!("{DEFAULT_NAMESPACE}/{path}")
    } else {
        path.to_owned()
    };
    if !repository.split('/').all(is_component) {
        return Err("each part of the name has lowercase letters and digits, separated by '.', '_', '__' or '-'");
    }
    if registry.len() + 1 + repository.len() > NAME_LENGTH_MAX {
        return Err("the name is longer than 255 characters");
    }
    let tag = match (tag, &digest) {
        (None, None) => Some(DEFAULT_TAG.to_owned()),
        (tag, _) => tag.map(str::to_owned),
    };
    Ok(Reference(Arc::new(Parts { registry: registry.to_owned(), repository, tag, digest })))
}

fn is_tag(tag: &str) -> bool {
    let first = tag.as_bytes().first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    first
        && tag.len() <= TAG_LENGTH_MAX
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = if let Some(rest) = registry.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return false;
        }
        return port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    } else {
        match registry.split_once(':') {
            None => (registry, None),
            Some((host, port)) => (host, Some(port)),
        }
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| {
            !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
        })
}

/// One part of a repository: runs of lowercase letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().is_some_and(plain) || !bytes.last().is_some_and(plain) {
        return false;
    }
    bytes
        .split(plain)
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-'))
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.0.registry, self.0.repository)?;
        if let Some(tag) = &self.0.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.0.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_have_one_normalised_spelling() {
        let hex = "a".repeat(64);
        for (text, full, familiar) in [
            ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("docker.io/nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("shop/orders:dev", "docker.io/shop/orders:dev", "shop/orders:dev"),
            ("localhost/orders", "localhost/orders:latest", "localhost/orders:latest"),
            ("localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1"),
            (
                "registry.example/a__b/c--d.e_f",
                "registry.example/a__b/c--d.e_f:latest",
                "registry.example/a__b/c--d.e_f:latest",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            (&format!("a@sha256:{hex}"), &format!("docker.io/library/a@sha256:{hex}"), &format!("a@sha256:{hex}")),
            (
                &format!("a:v@sha256:{hex}"),
                &format!("docker.io/library/a:v@sha256:{hex}"),
                &format!("a:v@sha256:{hex}"),
            ),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(full.parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn texts_that_are_no_reference_are_refused() {
        for text in [
            "",
            "UPPER",
            "a//b",
            "a:",
            "a:-x",
            "a@sha256:12",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "http://x/y",
            "a b",
            "../a",
            "x.y:99999/z",
            "/a",
            "a/",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
        assert!(format!("a:{}", "t".repeat(129)).parse::<Reference>().is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in "[a-z0-9:/@._-]{0,60}|\\PC{0,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference.clone());
                prop_assert_eq!(reference.familiar().parse::<Reference>().unwrap(), reference);
            }
        }
    }
}
