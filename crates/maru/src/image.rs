//! `maru image`: images of this machine, with or without a running server.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use maru_images::{Credentials, ImageStore, PullOptions, RegistryOptions};
use maru_oci::Reference;
use serde_json::json;

use crate::arguments::{GlobalArguments, ImageCommand, PullArguments};
use crate::instance::Instance;
use crate::report::Report;
use crate::settings::Paths;

mod build;
pub(crate) mod provenance;

pub(crate) use build::{DockerfileBuild, build_dockerfile, build_packages, is_built_from};

pub(crate) async fn run(global: &GlobalArguments, command: ImageCommand, report: Report) -> anyhow::Result<u8> {
    let paths = Paths::new(&global.data);
    let store = open(&paths)?;
    match command {
        ImageCommand::Build(arguments) => build::run_build(&paths, &store, arguments, report).await?,
        ImageCommand::Packages(arguments) => build::run_packages(&paths, &store, &arguments, report).await?,
        ImageCommand::Pull(arguments) => pull(&store, &arguments, report).await?,
        ImageCommand::Load { archive } => load(store, &archive, report).await?,
        ImageCommand::Save { images, output } => save(store, images, output, report).await?,
        ImageCommand::Ls => list(&store, report)?,
        ImageCommand::Rm { images } => remove(&paths, &store, &images, report)?,
        ImageCommand::Inspect { image } => inspect(&store, &image, report)?,
    }
    Ok(0)
}

/// Opens the machine's image store.
pub(crate) fn open(paths: &Paths) -> anyhow::Result<ImageStore> {
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "images are kept by root; run the same command with sudo");
    std::fs::create_dir_all(&paths.data).with_context(|| format!("cannot create \"{}\"", paths.data.display()))?;
    let folder = paths.images();
    ImageStore::open(&folder).with_context(|| format!("cannot open the images in \"{}\"", folder.display()))
}

/// Reads how registries are reached from the environment, as other clients do.
#[expect(clippy::disallowed_methods, reason = "configuration is read in the binary")]
pub(crate) fn registry_options() -> RegistryOptions {
    let read = |name: &str| {
        std::env::var(name).or_else(|_| std::env::var(name.to_uppercase())).ok().filter(|value| !value.is_empty())
    };
    RegistryOptions {
        ca_bundle: read("ssl_cert_file").map(Into::into).filter(|path: &std::path::PathBuf| path.is_file()),
        http_proxy: read("http_proxy"),
        https_proxy: read("https_proxy"),
        no_proxy: read("no_proxy"),
        ..RegistryOptions::default()
    }
}

fn parse(name: &str) -> anyhow::Result<Reference> {
    Ok(name.parse::<Reference>()?)
}

async fn pull(store: &ImageStore, arguments: &PullArguments, report: Report) -> anyhow::Result<()> {
    let reference = parse(&arguments.image)?;
    let mut registries = registry_options();
    registries.docker_config.clone_from(&arguments.auth_file);
    if arguments.insecure {
        registries.insecure.push(reference.registry().to_owned());
    }
    report.progress(format_args!("pulling {}", reference.familiar()));
    let options =
        PullOptions { registries: Arc::new(registries), credentials: Credentials::FromConfig, progress: None };
    let digest = store.pull(&reference, options).await?;
    report.line(format_args!("{} {digest}", reference.familiar()));
    report.value(&json!({"image": reference.to_string(), "digest": digest.to_string()}));
    Ok(())
}

async fn load(store: ImageStore, archive: &Path, report: Report) -> anyhow::Result<()> {
    let path = archive.to_owned();
    let loaded = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let mut reader: Box<dyn Read> = if path == Path::new("-") {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(&path).with_context(|| format!("cannot read \"{}\"", path.display()))?)
        };
        store.load(reader.as_mut()).with_context(|| format!("cannot load \"{}\"", path.display()))
    })
    .await??;
    for one in &loaded {
        for reference in &one.references {
            report.line(format_args!("{} {}", reference.familiar(), one.digest));
        }
    }
    let names = |references: &[Reference]| references.iter().map(ToString::to_string).collect::<Vec<_>>();
    report.value(&json!(
        loaded
            .iter()
            .map(|one| json!({"images": names(&one.references), "digest": one.digest.to_string()}))
            .collect::<Vec<_>>()
    ));
    Ok(())
}

async fn save(
    store: ImageStore,
    images: Vec<String>,
    output: std::path::PathBuf,
    report: Report,
) -> anyhow::Result<()> {
    let references = images.iter().map(|name| parse(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let path = output.clone();
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        let mut file = File::create(&path).with_context(|| format!("cannot write \"{}\"", path.display()))?;
        store.save(&references, &mut file)?;
        file.sync_all()?;
        Ok(())
    })
    .await??;
    report.line(format_args!("saved {} in {}", images.join(", "), output.display()));
    report.value(&json!({"images": images, "archive": output}));
    Ok(())
}

fn list(store: &ImageStore, report: Report) -> anyhow::Result<()> {
    let images = store.list()?;
    let rows: Vec<Vec<String>> = images
        .iter()
        .map(|one| {
            let digest = one.digest.to_string();
            let short: String = digest.chars().skip("sha256:".len()).take(12).collect();
            vec![one.reference.familiar(), short, megabytes(one.size)]
        })
        .collect();
    report.line(maru_cli::table(&["IMAGE", "DIGEST", "SIZE"], &rows));
    report.value(&json!(
        images
            .iter()
            .map(|one| json!({"image": one.reference.to_string(), "digest": one.digest.to_string(), "bytes": one.size}))
            .collect::<Vec<_>>()
    ));
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

fn remove(paths: &Paths, store: &ImageStore, images: &[String], report: Report) -> anyhow::Result<()> {
    for name in images {
        let reference = parse(name)?;
        anyhow::ensure!(store.remove(&reference)?, "there is no image \"{}\" on this machine", reference.familiar());
        report.line(format_args!("{} removed", reference.familiar()));
    }
    // A running node knows which images its pods use, and collects by itself.
    let bytes = if Instance::running(paths).is_some() {
        0
    } else {
        store.collect_garbage(&BTreeSet::new(), &BTreeSet::new())?.bytes
    };
    report.line(format_args!("{} freed", megabytes(bytes)));
    report.value(&json!({"removed": images, "bytes": bytes}));
    Ok(())
}

fn inspect(store: &ImageStore, name: &str, report: Report) -> anyhow::Result<()> {
    let reference = parse(name)?;
    let digest = store.resolve(&reference)?;
    let digest = digest.with_context(|| {
        format!("there is no image \"{}\" on this machine; \"maru image ls\" lists what is", reference.familiar())
    })?;
    let config = store.config(&digest)?;
    report.raw(format_args!(
        "{:#}",
        json!({"image": reference.to_string(), "digest": digest.to_string(), "config": config})
    ));
    Ok(())
}
