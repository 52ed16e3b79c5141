//! Runs the packages' own scripts, by the image's own dpkg, in a sandboxed container.

use std::fs;
use std::path::{Path, PathBuf};

use maru_container::{ContainerConfig, Mount, Namespace, OutputStream, Resources, RunConfig, RuntimeKind};

use crate::error::{BuildError, blocking, io_error};
use crate::network::LoopbackNetwork;
use crate::packages::apt::Package;
use crate::progress::Steps;

/// Where the container sees the packages.
const ARCHIVES: &str = "/run/maru-packages";
/// What scripts leave that differs from run to run and that nothing needs.
const CHANGING: [&str; 12] = [
    "var/log",
    "var/cache/ldconfig",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
];

/// What a configuration needs.
pub(crate) struct Configuration<'a> {
    pub(crate) root: &'a Path,
    pub(crate) packages: &'a [Package],
    /// A directory for the container's state.
    pub(crate) directory: PathBuf,
    pub(crate) executable: Option<PathBuf>,
    pub(crate) cgroup: String,
    pub(crate) documentation: bool,
    /// The time that scripts should use.
    pub(crate) epoch: i64,
}

/// Installs the unpacked packages anew, with their scripts.
pub(crate) async fn configure(given: Configuration<'_>, steps: &Steps) -> Result<(), BuildError> {
    let archives = given.packages.first().and_then(|package| package.file.parent()).map(Path::to_owned);
    let Some(archives) = archives else { return Ok(()) };
    let network = blocking(LoopbackNetwork::new).await?;
    let env = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("LC_ALL", "C.UTF-8"),
        ("SOURCE_DATE_EPOCH", &given.epoch.to_string()),
    ];
    let mut container = ContainerConfig {
        args: vec!["/bin/sh".to_owned(), "-ec".to_owned(), script(given.packages, given.documentation)],
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        mounts: vec![Mount::bind(archives, ARCHIVES).read_only()],
        resources: Resources { cpu_shares: Some(102), ..Resources::default() },
        hostname: Some("build".to_owned()),
        ..ContainerConfig::default()
    };
    container.namespaces.network = Namespace::Path(network.path().to_owned());
    let run = RunConfig {
        executable: given.executable,
        directory: given.directory,
        rootfs: given.root.to_owned(),
        container,
        cgroup: given.cgroup,
        runtime: RuntimeKind::Embedded,
        timeout: None,
    };
    let (mut stdout, mut stderr) = (steps.lines(), steps.lines());
    let step = "configure the packages";
    let status = maru_container::run(run, |stream, bytes| match stream {
        OutputStream::Stdout => stdout.write(bytes),
        OutputStream::Stderr => stderr.write(bytes),
    })
    .await
    .map_err(|error| BuildError::Container { step: step.to_owned(), source: Box::new(error) })?;
    drop((stdout, stderr));
    if !status.is_success() {
        return Err(BuildError::Step { step: step.to_owned(), status: format!("exit code {}", status.code) });
    }
    let root = given.root.to_owned();
    blocking(move || {
        drop(network);
        clean(&root)
    })
    .await
}

/// Essential packages first, whatever they depend on, as they need each other; then the rest in the order of dependencies.
fn script(packages: &[Package], documentation: bool) -> String {
    let files = |essential: bool| -> Vec<String> {
        let chosen = packages.iter().filter(|package| (package.field("Essential") == "yes") == essential);
        chosen.filter_map(|package| Some(format!("'{}'", package.file.file_name()?.to_str()?))).collect()
    };
    let mut options = "--force-depends --force-confnew --force-unsafe-io --no-debsig".to_owned();
    if !documentation {
        for path in ["man", "info", "locale", "lintian", "linda", "groff", "doc-base"] {
            options.push_str(&format!(" '--path-exclude=/usr/share/{path}/*'"));
        }
        options.push_str(" '--path-exclude=/usr/share/doc/*' '--path-include=/usr/share/doc/*/copyright'");
    }
    let (essential, rest) = (files(true).join(" "), files(false).join(" "));
    let mut text = format!(
        "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d\nchmod 755 /usr/sbin/policy-rc.d\ncd {ARCHIVES}\n"
    );
    if !essential.is_empty() {
        text.push_str(&format!("dpkg {options} --install {essential}\n"));
    }
    if !rest.is_empty() {
        text.push_str(&format!("dpkg {options} --unpack {rest}\n"));
    }
    text.push_str("dpkg --force-confnew --force-unsafe-io --configure --pending\nrm /usr/sbin/policy-rc.d\n");
    text
}

/// Removes what differs from run to run. Only names that packages own are gone through, and no link is followed.
fn clean(root: &Path) -> Result<(), BuildError> {
    let inside = crate::inside::Inside::open(root)?;
    for name in CHANGING {
        let path = Path::new(name);
        let (Some(parent), Some(last)) = (path.parent(), path.file_name()) else { continue };
        let Some(place) = inside.locate(parent)?.map(|parent| parent.join(last)) else { continue };
        let Ok(metadata) = fs::symlink_metadata(&place) else { continue };
        if metadata.is_dir() {
            empty(&place)?;
        } else {
            fs::remove_file(&place).map_err(io_error("remove", &place))?;
        }
    }
    Ok(())
}

/// Removes the files below a directory and keeps the directories, which programs expect.
fn empty(directory: &Path) -> Result<(), BuildError> {
    for entry in fs::read_dir(directory).map_err(io_error("list", directory))? {
        let entry = entry.map_err(io_error("list", directory))?;
        let path = entry.path();
        if entry.file_type().map_err(io_error("look at", &path))?.is_dir() {
            empty(&path)?;
        } else {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}
