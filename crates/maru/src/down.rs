//! `maru down`: stops Maru and all that it runs, and removes what it made on the machine.

use std::time::Duration;

use anyhow::Context as _;
use maru_container::Cgroup;
use maru_net::{HostLinkOptions, HostLinks, PodNetworkOptions, PodNetworks};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::arguments::{DownArguments, GlobalArguments};
use crate::instance::Instance;
use crate::report::Report;
use crate::settings::Paths;

/// How long a running Maru gets to stop its pods by their grace periods.
const STOP_TIME_MAX: Duration = Duration::from_secs(90);

pub(crate) async fn run(global: &GlobalArguments, down: &DownArguments, report: Report) -> anyhow::Result<u8> {
    anyhow::ensure!(nix::unistd::geteuid().is_root(), "stopping needs root; run: sudo maru down");
    let paths = Paths::new(&global.data);
    anyhow::ensure!(
        paths.data.exists(),
        "there is no Maru at \"{}\"; name its folder with --data",
        paths.data.display()
    );
    if let Some(running) = Instance::running(&paths) {
        report.progress(format_args!("stopping Maru (process {}) and its pods", running.pid));
        std::fs::write(paths.data.join(crate::up::DOWN_MARK), "").context("cannot ask Maru to stop its pods")?;
        kill(Pid::from_raw(running.pid), Signal::SIGTERM).context("cannot signal Maru")?;
        let deadline = tokio::time::Instant::now() + STOP_TIME_MAX;
        while Instance::running(&paths).is_some() {
            if tokio::time::Instant::now() >= deadline {
                report.progress(format_args!("Maru did not stop within {} s and is killed", STOP_TIME_MAX.as_secs()));
                kill(Pid::from_raw(running.pid), Signal::SIGKILL).context("cannot kill Maru")?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let lock = Instance::lock(&paths)?;
    sweep(&paths).await?;
    if down.delete_data {
        std::fs::remove_dir_all(&paths.data).with_context(|| format!("cannot delete \"{}\"", paths.data.display()))?;
        report.line("stopped; the data is deleted");
    } else {
        report.line(format_args!("stopped; the data stays in {}", paths.data.display()));
    }
    drop(lock);
    Ok(0)
}

/// Removes what an instance made on the machine, whoever left it: processes, mounts, namespaces, links, rules, cgroups.
pub(crate) async fn sweep(paths: &Paths) -> anyhow::Result<()> {
    let cgroup = Cgroup::at(paths.cgroup());
    if cgroup.exists() {
        tokio::task::spawn_blocking(move || cgroup.remove()).await?.context("cannot remove the pods' cgroups")?;
    }
    let networks = PodNetworks::new(PodNetworkOptions {
        instance: paths.instance(),
        directory: paths.namespaces(),
        gateway: PodNetworkOptions::GATEWAY,
        node_address: std::net::Ipv4Addr::UNSPECIFIED,
        mtu: 1500,
    });
    networks.teardown().await.context("cannot remove the pods' networks")?;
    maru_network::teardown(&paths.instance()).await.context("cannot remove the packet rules")?;
    if let Some(options) = read_host_links(paths) {
        HostLinks::adopt(options).teardown().await.context("cannot remove the machine's own links")?;
    }
    unmount_below(&paths.data)?;
    match std::fs::remove_dir_all(paths.namespaces()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    for name in [crate::up::DOWN_MARK, crate::up::NETWORK_RECORD] {
        match std::fs::remove_file(paths.data.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// What the last start prepared, so that exactly this is removed.
fn read_host_links(paths: &Paths) -> Option<HostLinkOptions> {
    let text = std::fs::read_to_string(paths.data.join(crate::up::NETWORK_RECORD)).ok()?;
    let (address, range) = text.trim().split_once(' ')?;
    Some(HostLinkOptions {
        directory: paths.namespaces(),
        node_address: address.parse().ok()?,
        service_cidr: range.parse().ok()?,
    })
}

/// Unmounts all mounts below a folder, the innermost first.
fn unmount_below(folder: &std::path::Path) -> anyhow::Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
    let mut below: Vec<String> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .filter(|path| std::path::Path::new(path) != folder && std::path::Path::new(path).starts_with(folder))
        .collect();
    below.reverse();
    for path in below {
        nix::mount::umount2(path.as_str(), nix::mount::MntFlags::MNT_DETACH)
            .with_context(|| format!("cannot unmount \"{path}\""))?;
    }
    Ok(())
}

/// The kernel writes spaces and the like as octal.
fn unescape(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}
