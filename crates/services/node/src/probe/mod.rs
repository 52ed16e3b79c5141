//! Asks containers whether they have started, live and are ready; and runs their life cycle hooks.

mod exec;
mod grpc;
mod http;
mod tally;
mod tls;
mod worker;

pub(crate) use worker::{ProbeEvent, ProbeKind, ProbePlan, run_probes};

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use maru_container::{ContainerId, Shim};
use tokio::net::TcpStream;

/// What is asked: one of the ways that a probe or hook may name.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    Exec(ExecAction),
    Http(HTTPGetAction),
    Tcp(TCPSocketAction),
    Grpc(GRPCAction),
    Sleep(Duration),
}

impl Check {
    pub(crate) fn of_probe(probe: &Probe) -> Option<Self> {
        if let Some(exec) = &probe.exec {
            return Some(Self::Exec(exec.clone()));
        }
        if let Some(http) = &probe.http_get {
            return Some(Self::Http(http.clone()));
        }
        if let Some(tcp) = &probe.tcp_socket {
            return Some(Self::Tcp(tcp.clone()));
        }
        probe.grpc.clone().map(Self::Grpc)
    }

    pub(crate) fn of_hook(hook: &LifecycleHandler) -> Option<Self> {
        if let Some(exec) = &hook.exec {
            return Some(Self::Exec(exec.clone()));
        }
        if let Some(http) = &hook.http_get {
            return Some(Self::Http(http.clone()));
        }
        if let Some(tcp) = &hook.tcp_socket {
            return Some(Self::Tcp(tcp.clone()));
        }
        let seconds = hook.sleep.as_ref()?.seconds;
        Some(Self::Sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }
}

/// Who is asked.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Absent when the container cannot run further programs; then only what needs no program is asked.
    pub(crate) shim: Option<Shim>,
    pub(crate) id: ContainerId,
    /// The pod's address; the machine's own for pods in its network.
    pub(crate) address: IpAddr,
    pub(crate) container: Container,
}

impl Target {
    /// Finds a port's number, by its name if it is one.
    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let named = |name: &str| {
            let ports = self.container.ports.iter().flatten();
            ports.filter(|one| one.name.as_deref() == Some(name)).map(|one| one.container_port).next()
        };
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => named(name).or_else(|| name.parse().ok()),
        };
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
        number.ok_or_else(|| match port {
            IntOrString::Int(number) => format!("invalid port number: {number}"),
            IntOrString::String(name) => {
                format!("couldn't find port \"{name}\" in container \"{}\"", self.container.name)
            }
        })
    }
}

/// Asks once; an error is the words for the event.
///
/// # Cancel safety
/// Dropping it closes connections and kills the program it runs.
pub(crate) async fn check(check: &Check, target: &Target, timeout: Duration) -> Result<(), String> {
    match check {
        Check::Exec(action) => exec::run(action, target, timeout).await,
        Check::Http(action) => http::get(action, target, timeout).await,
        Check::Grpc(action) => grpc::health(action, target, timeout).await,
        Check::Tcp(action) => {
            let host = match action.host.as_deref().filter(|host| !host.is_empty()) {
                Some(host) => host.to_owned(),
                None => target.address.to_string(),
            };
            connect(&host, target.port(&action.port)?, timeout).await.map(drop)
        }
        Check::Sleep(duration) => {
            tokio::time::sleep(*duration).await;
            Ok(())
        }
    }
}

async fn connect(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let shown = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") };
    match tokio::time::timeout(timeout, TcpStream::connect((bare, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(format!("dial tcp {shown}: connect: connection refused"))
        }
        Ok(Err(error)) => Err(format!("dial tcp {shown}: {error}")),
        Err(_) => Err(format!("dial tcp {shown}: i/o timeout")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A target for checks that run no program.
    pub(crate) fn target(address: &str, container: serde_json::Value) -> Target {
        Target {
            shim: None,
            id: ContainerId::new("c", 0),
            address: address.parse().unwrap(),
            container: serde_json::from_value(container).unwrap(),
        }
    }

    #[test]
    fn ports_are_found_by_name_or_number() {
        let target =
            target("127.0.0.1", serde_json::json!({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}));
        assert_eq!(target.port(&IntOrString::String("web".to_owned())), Ok(8080));
        assert_eq!(target.port(&IntOrString::Int(9)), Ok(9));
        assert!(target.port(&IntOrString::Int(0)).is_err());
        assert_eq!(
            target.port(&IntOrString::String("no".to_owned())),
            Err("couldn't find port \"no\" in container \"c\"".to_owned())
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_and_an_open_one_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = i32::from(listener.local_addr().unwrap().port());
        let target = target("127.0.0.1", serde_json::json!({"name": "c"}));
        let tcp = |port| Check::Tcp(TCPSocketAction { host: None, port: IntOrString::Int(port) });
        assert_eq!(check(&tcp(port), &target, Duration::from_secs(1)).await, Ok(()));
        drop(listener);
        let error = check(&tcp(port), &target, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error, format!("dial tcp 127.0.0.1:{port}: connect: connection refused"));
    }
}
