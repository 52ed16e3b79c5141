//! `RUN`: a program in a sandboxed container upon the layers so far.

use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maru_container::{
    ContainerConfig, Mount as ContainerMount, MountSource, Namespace, OutputStream, Propagation, Resources, RunConfig,
    RuntimeKind, User,
};
use maru_oci::{Command, Instruction, Mount, MountKind, Network, RunInstruction};

use crate::dockerfile::sources::{Override, Selection, SourceRoot, clean};
use crate::dockerfile::stage::Stage;
use crate::dockerfile::{BuildNetwork, copy};
use crate::error::{BuildError, blocking, io_error};
use crate::inside::Inside;
use crate::network::LoopbackNetwork;
use crate::progress::Steps;
use crate::work::MountDirectory;

/// Where steps see the host's certificates.
const CERTIFICATES: &str = "/run/maru-build/ca-certificates.crt";
/// Variables by which programs are told of certificates.
const CERTIFICATE_VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
];
/// What a container puts into its root for mounts of its own.
const OWN_MOUNTS: [&str; 4] = ["/proc", "/sys", "/dev", "/etc"];

/// Everything that must stay until the container has ended.
#[derive(Default)]
struct Held {
    mounts: Vec<ContainerMount>,
    env: Vec<(String, String)>,
    /// Mounted stages and images.
    sources: Vec<MountDirectory>,
    /// Locked caches.
    locks: Vec<File>,
    /// The network of a step that has none.
    network: Option<LoopbackNetwork>,
}

/// Does a `RUN`; tells whether its result was there already.
pub(crate) async fn run(
    stage: &mut Stage,
    instruction: &Instruction,
    given: &RunInstruction,
    steps: &Steps,
) -> Result<bool, BuildError> {
    let arguments = arguments(stage, given);
    let env = environment(stage);
    let mounted_inputs = input_digest(stage, given).await?;
    let described = format!(
        "{arguments:?}\n{env:?}\n{}\n{}\n{:?}\n{:?}\n{mounted_inputs}",
        stage.config.config.user, stage.config.config.working_dir, given.mounts, given.network
    );
    let key = stage.key(&["run", &described]);
    if stage.recall(&key).await? {
        return Ok(true);
    }
    let (mounted, rootfs) = stage.mount().await?;
    let held = hold(stage, given).await?;
    let container = container(stage, arguments, env, &held);
    let targets: Vec<String> = container.mounts.iter().map(|mount| mount.target.clone()).collect();
    let root = rootfs.path.clone();
    let stubs = blocking(move || missing_targets(&root, &targets)).await?;
    let (mut stdout, mut stderr) = (steps.lines(), steps.lines());
    let config = RunConfig {
        executable: stage.build.request.executable.clone(),
        directory: stage.build.work.path("run"),
        rootfs: rootfs.path.clone(),
        container,
        cgroup: crate::work::cgroup(&stage.build.request.cgroup_parent),
        runtime: RuntimeKind::Embedded,
        timeout: None,
    };
    let outcome = maru_container::run(config, |stream, bytes| match stream {
        OutputStream::Stdout => stdout.write(bytes),
        OutputStream::Stderr => stderr.write(bytes),
    })
    .await;
    drop((stdout, stderr));
    let status =
        outcome.map_err(|error| BuildError::Container { step: instruction.text.clone(), source: Box::new(error) })?;
    if !status.is_success() {
        let mut text = match status.signal {
            Some(signal) => format!("signal {signal}"),
            None => format!("exit code {}", status.code),
        };
        if status.oom_killed {
            text.push_str(" after the kernel ran out of memory for it");
        }
        return Err(BuildError::Step { step: instruction.text.clone(), status: text });
    }
    let root = rootfs.path.clone();
    blocking(move || {
        drop(held);
        remove_stubs(&root, &stubs)
    })
    .await?;
    stage.keep(mounted, rootfs.upper, key).await?;
    Ok(false)
}

/// Returns the program and its arguments; heredocs become the shell's input or the script itself.
fn arguments(stage: &Stage, given: &RunInstruction) -> Vec<String> {
    let (Command::Shell(text), Some(first)) = (&given.command, given.heredocs.first()) else {
        return stage.arguments_of(&given.command);
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let whole = given.heredocs.len() == 1 && words.len() == 1 && text.trim_start().starts_with("<<");
    let script = if whole {
        match first.content.strip_prefix("#!").and_then(|rest| rest.split_once('\n')) {
            // The program that the script names reads it as a file.
            Some((program, _)) => {
                let mark = "MARU_BUILD_SCRIPT_END";
                let quoted = if first.expand { mark.to_owned() } else { format!("'{mark}'") };
                let file = "/run/maru-build-script";
                format!(
                    "cat > {file} <<{quoted} && {} {file} ; s=$? ; rm -f {file} ; exit $s\n{}{mark}\n",
                    program.trim(),
                    first.content
                )
            }
            None => first.content.clone(),
        }
    } else {
        let mut script = format!("{text}\n");
        for heredoc in &given.heredocs {
            script.push_str(&heredoc.content);
            script.push_str(&heredoc.name);
            script.push('\n');
        }
        script
    };
    stage.arguments_of(&Command::Shell(script))
}

/// Returns the environment that decides what a step does: without proxies and certificates.
fn environment(stage: &Stage) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = stage
        .arguments
        .iter()
        .filter(|(name, _)| !stage.build.plan.platform_arguments.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for entry in &stage.config.config.env {
        if let Some((name, value)) = entry.split_once('=') {
            env.retain(|(known, _)| known != name);
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    let has = |name: &str, env: &[(String, String)]| env.iter().any(|(known, _)| known == name);
    if !has("PATH", &env)
        && let Some((name, value)) = crate::packages::PATH.split_once('=')
    {
        env.push((name.to_owned(), value.to_owned()));
    }
    // Compilers and archivers that know it write no times of their own.
    if !has("SOURCE_DATE_EPOCH", &env) {
        env.push(("SOURCE_DATE_EPOCH".to_owned(), stage.build.request.epoch.to_string()));
    }
    env
}

fn container(stage: &Stage, arguments: Vec<String>, mut env: Vec<(String, String)>, held: &Held) -> ContainerConfig {
    let access = &stage.build.request.access;
    let has = |name: &str, env: &[(String, String)]| env.iter().any(|(known, _)| known == name);
    for (name, value) in
        [("http_proxy", &access.http_proxy), ("https_proxy", &access.https_proxy), ("no_proxy", &access.no_proxy)]
    {
        for name in [name.to_owned(), name.to_ascii_uppercase()] {
            if let Some(value) = value.as_ref().filter(|_| !has(&name, &env)) {
                env.push((name, value.clone()));
            }
        }
    }
    env.extend(held.env.iter().cloned());
    let mut mounts = held.mounts.clone();
    if let Some(bundle) = &access.ca_bundle {
        mounts.push(ContainerMount::bind(bundle, CERTIFICATES).read_only());
        for name in CERTIFICATE_VARIABLES
            .iter()
            .filter(|name| !has(name, &env))
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
        {
            env.push((name, CERTIFICATES.to_owned()));
        }
    }
    let mut config = ContainerConfig {
        args: arguments,
        env,
        working_directory: stage.config.config.working_dir.clone(),
        user: User { user: stage.config.config.user.clone(), ..User::default() },
        // Builds give way to running applications.
        resources: Resources { cpu_shares: Some(102), ..Resources::default() },
        hostname: Some("build".to_owned()),
        ..ContainerConfig::default()
    };
    if let Some(network) = &held.network {
        config.namespaces.network = Namespace::Path(network.path().to_owned());
    } else {
        config.namespaces.network = Namespace::Host;
        config.namespaces.uts = Namespace::Host;
        config.hostname = None;
        for name in ["/etc/resolv.conf", "/etc/hosts"] {
            // The file itself: a link in the container may lead elsewhere.
            if let Ok(file) = Path::new(name).canonicalize() {
                mounts.push(ContainerMount::bind(file, name).read_only());
            }
        }
    }
    config.mounts = mounts;
    config
}

/// Hashes what bind mounts show, for the cache.
async fn input_digest(stage: &Stage, given: &RunInstruction) -> Result<String, BuildError> {
    let mut text = String::new();
    for mount in given.mounts.iter().filter(|mount| mount.kind == MountKind::Bind) {
        let source = mount.source.as_deref().map(|word| stage.expand(word)).transpose()?.unwrap_or_default();
        if let Some(from) = &mount.from {
            let name = stage.expand(from)?;
            let (directory, rootfs) = copy::mount_source(stage, &name).await?;
            text.push_str(&digest_below(stage, rootfs.path, source, Some(directory)).await?);
        } else {
            text.push_str(&digest_below(stage, stage.build.request.context.clone(), source, None).await?);
        }
        text.push('\n');
    }
    Ok(text)
}

async fn digest_below(
    stage: &Stage,
    root: PathBuf,
    source: String,
    held: Option<MountDirectory>,
) -> Result<String, BuildError> {
    let build = Arc::clone(&stage.build);
    blocking(move || {
        let nothing = maru_oci::IgnoreRules::default();
        let ignore = if held.is_some() { &nothing } else { &build.ignore };
        let from = SourceRoot { root: &root, ignore, exclude: &nothing };
        let mut selection = Selection::new(Override { keep_owner: true, ..Override::default() });
        let to = crate::dockerfile::sources::Destination { path: PathBuf::from("mount"), directory: true };
        selection.source(&from, &clean(&source), &to)?;
        Ok(selection.digest()?.to_string())
    })
    .await
}

/// Prepares the mounts of a step.
async fn hold(stage: &Stage, given: &RunInstruction) -> Result<Held, BuildError> {
    let mut held = Held::default();
    let isolated = match given.network {
        Network::Host => false,
        Network::None => true,
        Network::Default => stage.build.request.network == BuildNetwork::None,
    };
    if isolated {
        held.network = Some(blocking(LoopbackNetwork::new).await?);
    }
    for mount in &given.mounts {
        match mount.kind {
            MountKind::Bind => bind(stage, mount, &mut held).await?,
            MountKind::Cache => cache(stage, mount, &mut held).await?,
            MountKind::Tmpfs => held.mounts.push(ContainerMount {
                source: MountSource::Tmpfs { size_bytes: mount.size },
                target: target(stage, mount)?,
                read_only: false,
                propagation: Propagation::Private,
                options: Vec::new(),
            }),
            MountKind::Secret => secret(stage, mount, &mut held)?,
        }
    }
    Ok(held)
}

fn target(stage: &Stage, mount: &Mount) -> Result<String, BuildError> {
    let word = mount.target.as_deref().unwrap_or_default();
    Ok(format!("/{}", clean(&stage.absolute(&stage.expand(word)?))))
}

async fn bind(stage: &Stage, mount: &Mount, held: &mut Held) -> Result<(), BuildError> {
    let writable = mount.read_only == Some(false);
    let source = clean(&mount.source.as_deref().map(|word| stage.expand(word)).transpose()?.unwrap_or_default());
    let root = match &mount.from {
        Some(from) => {
            let (directory, rootfs) = copy::mount_source(stage, &stage.expand(from)?).await?;
            held.sources.push(directory);
            rootfs.path
        }
        None if writable => {
            return Err(BuildError::Specification {
                problem: "--mount=type=bind of the context is read-only; rw is not supported".to_owned(),
            });
        }
        None => stage.build.request.context.clone(),
    };
    let place = Inside::open(&root)?.locate(&source)?.ok_or_else(|| crate::dockerfile::sources::missing(&source))?;
    let bound = ContainerMount::bind(place, target(stage, mount)?);
    held.mounts.push(if writable { bound } else { bound.read_only() });
    Ok(())
}

async fn cache(stage: &Stage, mount: &Mount, held: &mut Held) -> Result<(), BuildError> {
    let target = target(stage, mount)?;
    let id = mount.id.as_deref().map(|word| stage.expand(word)).transpose()?.unwrap_or_else(|| target.clone());
    let directory = stage.build.store.directory().join("builder").join("caches").join(maru_ids::short_hash(&id, 32));
    let (mode, uid, gid) = (mount.mode.unwrap_or(0o755), mount.uid, mount.gid);
    let locked = mount.sharing.as_deref().is_some_and(|sharing| sharing != "shared");
    let place = directory.clone();
    let lock = blocking(move || {
        if !place.is_dir() {
            fs::create_dir_all(&place).map_err(io_error("create", &place))?;
            fs::set_permissions(&place, fs::Permissions::from_mode(mode))
                .map_err(io_error("set the permissions of", &place))?;
            std::os::unix::fs::chown(&place, Some(uid), Some(gid)).map_err(io_error("set the owner of", &place))?;
        }
        if !locked {
            return Ok(None);
        }
        let path = place.with_extension("lock");
        let file = File::create(&path).map_err(io_error("create", &path))?;
        file.lock().map_err(io_error("lock", &path))?;
        Ok(Some(file))
    })
    .await?;
    held.locks.extend(lock);
    let bound = ContainerMount::bind(directory, target);
    held.mounts.push(if mount.read_only == Some(true) { bound.read_only() } else { bound });
    Ok(())
}

fn secret(stage: &Stage, mount: &Mount, held: &mut Held) -> Result<(), BuildError> {
    let id = match (&mount.id, &mount.source, &mount.target) {
        (Some(id), _, _) | (None, Some(id), _) => stage.expand(id)?,
        (None, None, Some(target)) => target.rsplit('/').next().unwrap_or_default().to_owned(),
        (None, None, None) => String::new(),
    };
    let Some(file) = stage.build.request.secrets.get(&id) else {
        return if mount.required {
            Err(BuildError::Specification { problem: format!("the secret \"{id}\" was not given") })
        } else {
            Ok(())
        };
    };
    let content = fs::read(file).map_err(io_error("read", file))?;
    if let Some(name) = &mount.env {
        held.env.push((name.clone(), String::from_utf8_lossy(&content).into_owned()));
    }
    if mount.env.is_none() || mount.target.is_some() {
        let path = stage.build.work.path(&format!("secret-{}", maru_ids::random_suffix(10)));
        let mut copy =
            File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(io_error("create", &path))?;
        std::io::Write::write_all(&mut copy, &content).map_err(io_error("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mount.mode.unwrap_or(0o400)))
            .map_err(io_error("set the permissions of", &path))?;
        std::os::unix::fs::chown(&path, Some(mount.uid), Some(mount.gid))
            .map_err(io_error("set the owner of", &path))?;
        let target = if mount.target.is_some() { target(stage, mount)? } else { format!("/run/secrets/{id}") };
        held.mounts.push(ContainerMount::bind(path, target).read_only());
    }
    Ok(())
}

/// Returns the paths that will exist only because something is mounted there, deepest first.
fn missing_targets(root: &Path, targets: &[String]) -> Result<Vec<PathBuf>, BuildError> {
    let inside = Inside::open(root)?;
    let mut missing = Vec::new();
    let own = OWN_MOUNTS.iter().map(|path| (*path).to_owned());
    for target in own.chain(targets.iter().cloned()) {
        let path = PathBuf::from(target.trim_matches('/'));
        for ancestor in path.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            if !inside.has_name(ancestor)? {
                missing.push(ancestor.to_owned());
            }
        }
    }
    missing.sort();
    missing.dedup();
    missing.reverse();
    Ok(missing)
}

/// Removes what was made for mounts only, where it is still empty.
fn remove_stubs(root: &Path, stubs: &[PathBuf]) -> Result<(), BuildError> {
    let inside = Inside::open(root)?;
    for stub in stubs {
        let (Some(parent), Some(name)) = (stub.parent(), stub.file_name()) else { continue };
        let Some(place) = inside.locate(parent)?.map(|parent| parent.join(name)) else { continue };
        let Ok(metadata) = fs::symlink_metadata(&place) else { continue };
        if metadata.is_dir() {
            // A directory that the step has put something into stays.
            drop(fs::remove_dir(&place));
        } else if metadata.is_file() && metadata.len() == 0 {
            fs::remove_file(&place).map_err(io_error("remove", &place))?;
        }
    }
    Ok(())
}
