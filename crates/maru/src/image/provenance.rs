//! How an image came to be: an in-toto statement with SLSA provenance 1, signed by this machine's builder.
//!
//! Source: SLSA Provenance 1, in-toto Statement 1, DSSE 1.0.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use maru_evidence::Signer;
use maru_oci::Digest;
use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::{Value, json};

use crate::requirements::git;
use crate::settings::Paths;

const BUILD_TYPE: &str = "https://maru.dev/build/dockerfile/v1";
const BUILDER: &str = "https://maru.dev/builder/v1";

/// What a build took and gave.
pub(crate) struct Built<'a> {
    pub(crate) images: &'a [String],
    pub(crate) digest: String,
    pub(crate) context: &'a Path,
    pub(crate) dockerfile: &'a Path,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// The key of this machine's builder, made at its first use; the public one lies beside it.
pub(crate) fn builder_key(paths: &Paths) -> anyhow::Result<(Signer, PathBuf)> {
    let folder = paths.keys();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create \"{}\"", folder.display()))?;
    let (private, public) = (folder.join("builder.pk8"), folder.join("builder.pem"));
    if !private.exists() {
        let write = |content: &[u8]| {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&private)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write(&Signer::generate()?).with_context(|| format!("cannot write \"{}\"", private.display()))?;
    }
    let pkcs8 = std::fs::read(&private).with_context(|| format!("cannot read \"{}\"", private.display()))?;
    let signer = Signer::from_pkcs8(&pkcs8).with_context(|| format!("\"{}\" cannot be used", private.display()))?;
    let pem = signer.public_key().to_pem();
    std::fs::write(&public, pem).with_context(|| format!("cannot write \"{}\"", public.display()))?;
    Ok((signer, public))
}

/// Says how an image was built, signed.
pub(crate) async fn statement(built: &Built<'_>, signer: &Signer) -> anyhow::Result<Vec<u8>> {
    let dockerfile =
        std::fs::read(built.dockerfile).with_context(|| format!("cannot read \"{}\"", built.dockerfile.display()))?;
    let hex = |digest: &str| digest.rsplit(':').next().unwrap_or_default().to_owned();
    let mut sources = vec![json!({
        "uri": format!("file:{}", built.dockerfile.display()),
        "digest": {"sha256": hex(&Digest::sha256(&dockerfile).to_string())},
    })];
    let source = Source::of(built.context).await;
    sources.extend(source.commit.iter().map(|id| json!({"uri": source.uri, "digest": {"gitCommit": id}})));
    let subjects: Vec<Value> =
        built.images.iter().map(|name| json!({"name": name, "digest": {"sha256": hex(&built.digest)}})).collect();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "context": built.context.display().to_string(),
                    "dockerfile": built.dockerfile.display().to_string(),
                },
                // What lies in the context is no commit when it was changed since.
                "internalParameters": {"changedSinceCommit": source.is_changed},
                "resolvedDependencies": sources,
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"maru": env!("CARGO_PKG_VERSION")}},
                "metadata": {"startedOn": rfc3339_seconds(built.from), "finishedOn": rfc3339_seconds(built.to)},
            },
        },
    });
    Ok(signer.sign(statement.to_string().as_bytes()))
}

/// Where a folder comes from, as git tells.
#[derive(Default)]
struct Source {
    uri: String,
    /// The commit that the folder is as it is; none when it was changed since, or is in no repository.
    commit: Option<String>,
    is_changed: bool,
}

impl Source {
    async fn of(folder: &Path) -> Self {
        let Some(head) = git(folder, &["rev-parse", "HEAD"]).await else { return Self::default() };
        let changed = git(folder, &["status", "--porcelain", "--", "."]).await;
        let is_changed = changed.is_none_or(|lines| !lines.trim().is_empty());
        let uri = git(folder, &["config", "--get", "remote.origin.url"]).await.unwrap_or_default();
        let uri = if uri.trim().is_empty() { "git+file:.".to_owned() } else { format!("git+{}", uri.trim()) };
        Self { uri, commit: (!is_changed).then(|| head.trim().to_owned()), is_changed }
    }
}
