//! A machine for a test: network and mounts of its own, an API server, an image with busybox, a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use maru_apiserver::testing::TestServer;
use maru_auth::Identity;
use maru_client::Client;
use maru_container::Cgroup;
use maru_http::{Limits, Server};
use maru_images::{DirectoryForm, DirectoryLayer, ImageStore};
use maru_net::{HostLinkOptions, HostLinks, PodNetworkOptions, PodNetworks};
use maru_node::{Node, NodeOptions};
use maru_oci::{ImageConfig, Platform, RuntimeConfig};
use maru_task::Scope;
use maru_testkit::{Host, TempDir};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const HELPER: &str = env!("CARGO_BIN_EXE_maru-node-helper");
const BUSYBOX: &str = "/bin/busybox";
pub(crate) const IMAGE: &str = "test/busybox:1";

/// Says why the tests cannot run here.
fn skip() -> bool {
    let reason = if !nix::unistd::geteuid().is_root() {
        "they need root"
    } else if !Path::new(BUSYBOX).exists() {
        "they need /bin/busybox (apt-get install busybox-static)"
    } else {
        return false;
    };
    eprintln!("tests with containers are skipped: {reason}");
    true
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Kills what a failed test leaves.
struct Leftovers(Cgroup);

impl Drop for Leftovers {
    fn drop(&mut self) {
        if let Err(error) = self.0.remove() {
            eprintln!("the test's cgroup stays: {error}");
        }
    }
}

/// Runs a test on a machine of its own; at the end everything must be gone.
pub(crate) fn on_machine(test: impl AsyncFnOnce(&mut Machine) + Send) {
    if skip() {
        return;
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let cgroup = format!("maru-node-test-{}-{number}", std::process::id());
    let _leftovers = Leftovers(Cgroup::at(format!("/{cgroup}")));
    Host::new().run(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut machine = Machine::start(cgroup).await;
            test(&mut machine).await;
            machine.end().await;
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    });
}

/// A machine for a test.
pub(crate) struct Machine {
    pub(crate) directory: TempDir,
    _server: TestServer,
    pub(crate) client: Client,
    pub(crate) node: Node,
    pub(crate) networks: PodNetworks,
    images: ImageStore,
    scope: Scope,
    cgroup: String,
    _links: HostLinks,
}

impl Machine {
    async fn start(cgroup: String) -> Self {
        let directory = TempDir::new();
        let server = maru_apiserver::testing::start(&directory.join("api")).await;
        let client = maru_client::in_process(&server.handler, &Identity::new("test", &[Identity::MASTERS]));
        let images = ImageStore::open(&directory.join("images")).unwrap();
        make_image(&images, &directory.join("busybox"));
        let links = HostLinks::prepare(HostLinkOptions {
            directory: directory.join("run"),
            node_address: Ipv4Addr::new(10, 42, 0, 1),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
        })
        .await
        .unwrap();
        let networks = PodNetworks::new(PodNetworkOptions {
            instance: cgroup.clone(),
            directory: directory.join("ns"),
            gateway: PodNetworkOptions::GATEWAY,
            node_address: Ipv4Addr::new(10, 42, 0, 1),
            mtu: 1500,
        });
        let scope = Scope::root("node");
        let options = options(&directory, &images, &networks, &cgroup);
        let node = Node::start(scope.clone(), client.clone(), options).await.unwrap();
        let machine = Self { directory, _server: server, client, node, networks, images, scope, cgroup, _links: links };
        // A controller writes it in the product; every pod's token volume shows it.
        machine
            .make(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "none"}}))
            .await;
        machine
    }

    /// Ends the node's tasks as a stop or crash of the process does, and starts a new one on the same directory.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    pub(crate) async fn stop(&mut self) {
        self.scope.shutdown(Duration::from_secs(10)).await.unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.scope = Scope::root("node");
        let options = options(&self.directory, &self.images, &self.networks, &self.cgroup);
        self.node = Node::start(self.scope.clone(), self.client.clone(), options).await.unwrap();
    }

    /// Stops all pods and checks that nothing is left.
    async fn end(&mut self) {
        self.node.stop_all().await.unwrap();
        self.scope.shutdown(Duration::from_secs(10)).await.unwrap();
        self.assert_clean();
    }

    /// Checks that no mount, network or process of any pod is left.
    pub(crate) fn assert_clean(&self) {
        let mounts: Vec<PathBuf> = maru_testkit::mounts_under(&self.directory.join("node"));
        assert_eq!(mounts, Vec::<PathBuf>::new());
        assert_eq!(self.networks.existing().unwrap(), vec![]);
        assert_eq!(maru_testkit::links(maru_net::POD_LINK_PREFIX), Vec::<String>::new());
        for part in ["node/pods", "node/shims", "node/logs"] {
            let left: Vec<_> = std::fs::read_dir(self.directory.join(part)).into_iter().flatten().flatten().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Makes a pod of this machine; the specification may leave out what is always the same.
    pub(crate) async fn create(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = json!("node");
        for list in ["initContainers", "containers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                if container["image"].is_null() {
                    container["image"] = json!(IMAGE);
                }
            }
        }
        if spec["terminationGracePeriodSeconds"].is_null() {
            spec["terminationGracePeriodSeconds"] = json!(1);
        }
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec});
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap()
    }

    pub(crate) async fn make(&self, object: Value) {
        let object: kube::core::DynamicObject = serde_json::from_value(object).unwrap();
        let kind = object.types.clone().unwrap();
        let resource = kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::try_from(&kind).unwrap());
        let api: Api<kube::core::DynamicObject> = Api::namespaced_with(self.client.clone(), "default", &resource);
        let name = object.metadata.name.clone().unwrap();
        if let Some(present) = api.get_opt(&name).await.unwrap() {
            let mut next = object;
            next.metadata.resource_version = present.metadata.resource_version;
            api.replace(&name, &PostParams::default(), &next).await.unwrap();
        } else {
            api.create(&PostParams::default(), &object).await.unwrap();
        }
    }

    /// Waits until the pod is as wanted.
    pub(crate) async fn wait(&self, name: &str, what: &str, wanted: impl Fn(&Pod) -> bool) -> Pod {
        let api = self.pods();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let pod = api.get_opt(name).await.unwrap();
            if let Some(pod) = pod.as_ref().filter(|pod| wanted(pod)) {
                return pod.clone();
            }
            if tokio::time::Instant::now() > deadline {
                let events = self.events(name).await;
                let status = pod.map(|pod| serde_json::to_string_pretty(&pod.status).unwrap());
                panic!("{name} was not {what} in time: {}\n{events:#?}", status.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn wait_ready(&self, name: &str) -> Pod {
        self.wait(name, "ready", |pod| condition(pod, "Ready") == Some("True")).await
    }

    pub(crate) async fn wait_phase(&self, name: &str, phase: &str) -> Pod {
        self.wait(name, phase, |pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some(phase))
            .await
    }

    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let events = api.list(&ListParams::default().fields(&format!("involvedObject.name={name}"))).await.unwrap();
        events
            .items
            .into_iter()
            .map(|event| format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default()))
            .collect()
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.pods().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn wait_gone(&self, name: &str) {
        let api = self.pods();
        maru_testkit::wait_until(PATIENCE, format!("{name} is gone"), async || {
            api.get_opt(name).await.unwrap().is_none()
        })
        .await;
    }

    /// Asks the node's handler for a text.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        use http_body_util::BodyExt as _;
        let request = http::Request::get(path).body(maru_http::empty()).unwrap();
        let response = self.node.kubelet().call(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    pub(crate) async fn logs(&self, pod: &str, container: &str, query: &str) -> String {
        self.get(&format!("/containerLogs/default/{pod}/{container}?{query}")).await.1
    }

    /// Waits until a container has written a text.
    pub(crate) async fn wait_log(&self, pod: &str, container: &str, text: &str) -> String {
        maru_testkit::wait_for(PATIENCE, format!("{pod}/{container} writes {text:?}"), async || {
            let logs = self.logs(pod, container, "").await;
            logs.contains(text).then_some(logs)
        })
        .await
    }
}

fn options(directory: &TempDir, images: &ImageStore, networks: &PodNetworks, cgroup: &str) -> NodeOptions {
    let mut options =
        NodeOptions::new("node", directory.join("node"), PathBuf::from(HELPER), images.clone(), networks.clone());
    options.cgroup_parent = cgroup.to_owned();
    options.resolv_conf = directory.write("resolv.conf", "nameserver 192.0.2.53\n");
    options.registries = Arc::default();
    options
}

fn make_image(images: &ImageStore, root: &Path) {
    for directory in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
    let applets = "sh cat echo sleep true false id mkdir ls kill env head tail touch wc grep date chmod hostname stat httpd nc rm trap";
    for applet in applets.split_ascii_whitespace() {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/tmp:/bin/sh\n").unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\n").unwrap();
    let form = DirectoryLayer { form: DirectoryForm::Plain, modified_max: 0 };
    let layer = images.put_directory(root, form).unwrap();
    let config = ImageConfig {
        config: RuntimeConfig {
            env: vec!["PATH=/bin".to_owned()],
            cmd: Some(vec!["/bin/sh".to_owned()]),
            ..RuntimeConfig::default()
        },
        ..ImageConfig::for_platform(&Platform::host())
    };
    let digest = images.commit_image(config, &[layer]).unwrap();
    images.tag(&digest, &IMAGE.parse().unwrap()).unwrap();
}

pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|one| one.type_ == kind).map(|one| one.status.as_str())
}

pub(crate) fn container(pod: &Pod, index: usize) -> ContainerStatus {
    let status = pod.status.clone().unwrap_or_default();
    status.container_statuses.unwrap_or_default().get(index).cloned().unwrap_or_default()
}

pub(crate) fn waiting(pod: &Pod) -> String {
    container(pod, 0).state.and_then(|state| state.waiting).and_then(|waiting| waiting.reason).unwrap_or_default()
}

/// A container that runs a shell script.
pub(crate) fn sh(name: &str, script: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c", script]})
}

/// Serves the node's handler on a socket, as upgrades need a connection.
pub(crate) async fn serve(machine: &Machine, scope: &Scope) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server =
        Server { name: "kubelet", listener, tls: None, handler: machine.node.kubelet(), limits: Limits::default() };
    drop(scope.spawn("serve", maru_http::serve(scope.clone(), server)));
    address
}

/// A client's WebSocket.
pub(crate) type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// Opens a WebSocket that speaks `protocol`.
pub(crate) async fn websocket(address: SocketAddr, target: &str, protocol: &'static str) -> Socket {
    let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static(protocol));
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
    socket
}
