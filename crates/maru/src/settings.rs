//! Configuration, read once and checked before a port is bound.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use maru_net::Cidr;

use crate::arguments::{GlobalArguments, UpArguments};

/// Where things are in the data folder.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) data: PathBuf,
}

impl Paths {
    pub(crate) fn new(data: &Path) -> Self {
        // Instances are told apart by their folder, whatever way it is spelled: `/a/` is `/a`.
        let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        Self { data: absolute.components().collect() }
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.data.join("objects")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.data.join("keys")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.data.join("node")
    }

    pub(crate) fn alerts(&self) -> PathBuf {
        self.data.join("alerts")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.data.join("console")
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        self.data.join("metrics")
    }

    pub(crate) fn evidence(&self) -> PathBuf {
        self.data.join("evidence")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// Where the pods' namespaces are pinned: not in the data, as they do not outlive the machine.
    pub(crate) fn namespaces(&self) -> PathBuf {
        Path::new("/run").join(format!("maru-{}", self.instance()))
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.data.join("admin.kubeconfig")
    }

    /// Names what this instance makes outside of its folder: the nftables table, links, cgroups.
    pub(crate) fn instance(&self) -> String {
        maru_ids::short_hash(&self.data.to_string_lossy(), 6)
    }

    /// The cgroup above all pods of this instance.
    pub(crate) fn cgroup(&self) -> String {
        format!("/maru-{}", self.instance())
    }
}

/// What `maru up` starts with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) paths: Paths,
    pub(crate) node_name: String,
    pub(crate) api: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) alerts: SocketAddr,
    pub(crate) console: SocketAddr,
    /// Names by which people reach the console.
    pub(crate) console_hosts: Vec<String>,
    pub(crate) console_assets: Option<PathBuf>,
    pub(crate) pods: Cidr,
    pub(crate) services: Cidr,
    /// The node's address as pods see it: the first of the pods' range.
    pub(crate) node_address: Ipv4Addr,
    /// The API's address in pods: the first of the Services' range.
    pub(crate) api_service: Ipv4Addr,
    /// The resolver's address: the tenth of the Services' range.
    pub(crate) dns_service: Ipv4Addr,
}

impl Settings {
    /// Checks what was typed; all that is wrong is told at once.
    pub(crate) fn new(global: &GlobalArguments, up: &UpArguments) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let hostname = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let node_name = up.node_name.clone().or_else(hostname).unwrap_or_default().to_lowercase();
        let valid = |name: &str| {
            !name.is_empty()
                && name.len() <= 63
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        };
        if !valid(&node_name) {
            wrong.push(format!(
                "\"{node_name}\" is no name for a node: use lowercase letters, digits, - and .; set one with --node-name"
            ));
        }
        let ports = [
            ("--api-port", up.api_port),
            ("--http-port", up.http_port),
            ("--https-port", up.https_port),
            ("--metrics-port", up.metrics_port),
            ("--alerts-port", up.alerts_port),
            ("--console-listen", up.console_listen.port()),
        ];
        for (index, (flag, port)) in ports.iter().enumerate() {
            for (other, same) in ports.iter().skip(index + 1) {
                if port == same && *port != 0 {
                    wrong.push(format!("{flag} and {other} are both {port}; give each its own"));
                }
            }
        }
        let (pods, services) = (up.pod_cidr, up.service_cidr);
        check_range("--pod-cidr", pods, &mut wrong);
        check_range("--service-cidr", services, &mut wrong);
        if pods.contains(services.network()) || services.contains(pods.network()) {
            wrong.push(format!("--pod-cidr {pods} and --service-cidr {services} overlap"));
        }
        let address = |range: Cidr, offset| range.nth(offset).unwrap_or(range.network());
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            paths: Paths::new(&global.data),
            node_name,
            api: SocketAddr::new(up.bind, up.api_port),
            http: SocketAddr::new(up.bind, up.http_port),
            https: SocketAddr::new(up.bind, up.https_port),
            metrics: SocketAddr::new(up.bind, up.metrics_port),
            alerts: SocketAddr::new(up.bind, up.alerts_port),
            console: up.console_listen,
            console_hosts: up.console_host.iter().map(|name| name.to_lowercase()).collect(),
            console_assets: up.console_assets.clone(),
            pods,
            services,
            node_address: address(pods, 1),
            api_service: address(services, 1),
            dns_service: address(services, 10),
        })
    }
}

fn check_range(flag: &str, cidr: Cidr, wrong: &mut Vec<String>) {
    if !(8..=28).contains(&cidr.prefix_length()) {
        wrong.push(format!("{flag} {cidr}: use a prefix length from 8 to 28"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn settings(flags: &str) -> Result<Settings, Vec<String>> {
        let words = ["maru", "up"].into_iter().chain(flags.split_whitespace());
        let arguments = crate::arguments::Arguments::parse_from(words);
        let crate::arguments::Command::Up(up) = &arguments.command else { unreachable!("up was typed") };
        Settings::new(&arguments.global, up)
    }

    #[test]
    fn addresses_follow_from_the_ranges() {
        let settings = settings("--node-name one --pod-cidr 10.50.0.0/20 --service-cidr 10.97.0.0/20").unwrap();
        assert_eq!(settings.node_address.to_string(), "10.50.0.1");
        assert_eq!(settings.api_service.to_string(), "10.97.0.1");
        assert_eq!(settings.dns_service.to_string(), "10.97.0.10");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let wrong = settings("--node-name Not_A_Name --http-port 6443 --service-cidr 10.42.0.0/16").unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }

    #[test]
    fn instances_are_told_apart_by_their_folder() {
        assert_ne!(Paths::new(Path::new("/a")).instance(), Paths::new(Path::new("/b")).instance());
        assert_eq!(Paths::new(Path::new("/a/")).cgroup(), Paths::new(Path::new("/a")).cgroup());
    }
}
