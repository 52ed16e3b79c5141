//! `maru up`: the rooms in their order, from the first key to the last answer, and back.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use maru_alerts::Alerts;
use maru_apiserver::{ApiServer, ApiServerOptions, SealedSecrets};
use maru_assurance::AssuranceOptions;
use maru_auth::{BearerTokens, CertificateAuthority, ClientAuth, Identity, SecretSealer, ServerNames, TokenIssuer};
use maru_client::Client;
use maru_gateway::{Gateway, GatewayOptions};
use maru_http::TlsSource;
use maru_metrics::{ClusterOptions, Metrics};
use maru_net::{HostLinkOptions, HostLinks, PodNetworkOptions, PodNetworks, Uplink};
use maru_network::{DnsOptions, InProcess, Network, NetworkOptions, Protocol};
use maru_node::{Node, NodeOptions};
use maru_objects::{Store, StoreOptions};
use maru_process::{Ledger, ProcessOptions};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::system_clock;
use maru_workloads::WorkloadOptions;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::arguments::{GlobalArguments, UpArguments};
use crate::console::ConsoleParts;
use crate::instance::{Instance, Running};
use crate::kubeconfig;
use crate::preflight::{self, Machine, Severity};
use crate::report::Report;
use crate::settings::Settings;

/// In the data folder while `maru down` wants the pods stopped as well.
pub(crate) const DOWN_MARK: &str = "down-requested";
/// In the data folder: what was prepared on the machine's own links.
pub(crate) const NETWORK_RECORD: &str = "host-network";

/// How long each group of tasks gets to end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// The administrator's client certificate is made anew with each start.
const ADMIN_VALIDITY: Duration = Duration::from_secs(365 * 86_400);

/// Reads what was typed; all errors at once.
pub(crate) fn settings(global: &GlobalArguments, up: &UpArguments, _report: Report) -> anyhow::Result<Settings> {
    Settings::new(global, up).map_err(|wrong| anyhow::anyhow!("{}", wrong.join("; ")))
}

/// Checks the machine; warnings are told, what is missing ends the start.
pub(crate) fn check(settings: &Settings, report: Report) -> anyhow::Result<()> {
    let mut findings = preflight::judge(&Machine::observe(&settings.paths.data));
    findings.extend(preflight::check_ports(settings));
    report.findings(&findings, false);
    let missing: Vec<String> = findings
        .iter()
        .filter(|one| one.severity == Severity::Missing)
        .map(|one| format!("{} → {}", one.message, one.mend))
        .collect();
    anyhow::ensure!(missing.is_empty(), "this machine cannot run Maru yet: {}", missing.join("; "));
    Ok(())
}

/// `maru doctor`: the same checks, with what is fine.
pub(crate) fn doctor(global: &GlobalArguments, up: &UpArguments, report: Report) -> anyhow::Result<u8> {
    let settings = settings(global, up, report)?;
    let mut findings = preflight::judge(&Machine::observe(&settings.paths.data));
    let running = Instance::running(&settings.paths);
    if running.is_none() {
        findings.extend(preflight::check_ports(&settings));
    }
    report.findings(&findings, true);
    let bad = findings.iter().filter(|one| one.severity == Severity::Missing).count();
    report.line(match &running {
        Some(running) => format!("Maru runs (process {}), API https://{}", running.pid, running.api),
        None => format!("Maru does not run on {}", settings.paths.data.display()),
    });
    report.value(&json!({"running": running, "findings": findings.iter().map(|one|
        json!({"what": one.what, "severity": format!("{:?}", one.severity), "message": one.message, "mend": one.mend}))
        .collect::<Vec<_>>()}));
    Ok(u8::from(bad > 0))
}

/// Runs Maru until a signal.
pub(crate) async fn run(global: &GlobalArguments, up: &UpArguments, report: Report) -> anyhow::Result<u8> {
    let started = Instant::now();
    let settings = settings(global, up, report)?;
    if let Some(running) = Instance::running(&settings.paths) {
        anyhow::bail!(
            "Maru already runs on \"{}\" (process {}); stop it with \"maru down\", or choose another folder with --data",
            settings.paths.data.display(),
            running.pid
        );
    }
    check(&settings, report)?;
    let mut instance = Instance::lock(&settings.paths)?;
    let mut signals = Signals::listen()?;
    let house = tokio::select! {
        house = Box::pin(House::start(&settings, report, started)) => house?,
        () = signals.next() => anyhow::bail!("stopped while starting"),
    };
    let running = Running {
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        api: settings.api.to_string(),
        http: settings.http.to_string(),
        https: settings.https.to_string(),
        console: crate::console::address(&settings),
        ready: true,
    };
    instance.publish(&running)?;
    let link = crate::console::greeting_link(&settings.paths, &running.console)?;
    greet(&settings, report, started, &link);
    signals.next().await;
    report.progress("stopping; a second Ctrl-C stops at once, and pods go on running");
    let down = settings.paths.data.join(DOWN_MARK).exists();
    tokio::select! {
        result = house.stop(down) => result?,
        () = signals.next() => anyhow::bail!("stopped at once"),
    }
    drop(instance);
    Ok(0)
}

fn greet(settings: &Settings, report: Report, started: Instant, link: &str) {
    report.line(format_args!("\nready in {:.2} s", started.elapsed().as_secs_f64()));
    report.line(format_args!("  API       https://{}", settings.api));
    report.line(format_args!("  gateway   http://{}  https://{}", settings.http, settings.https));
    report.line(format_args!("  metrics   https://{}", settings.metrics));
    report.line(format_args!("  alerts    https://{}", settings.alerts));
    report.line(format_args!("  console   {link}"));
    report.line(format_args!("  data      {}", settings.paths.data.display()));
    report.line(format_args!(
        "\ntry:\n  export KUBECONFIG={}\n  kubectl get pods -A\n",
        settings.paths.kubeconfig().display()
    ));
}

/// The signals that ask to stop. Caught from the moment this is made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// All rooms, running.
struct House {
    store: Store,
    metrics: Metrics,
    metrics_scope: Scope,
    alerts: Alerts,
    alerts_scope: Scope,
    links: HostLinks,
    network: Network,
    node: Node,
    console_scope: Scope,
    gateway_scope: Scope,
    reconcilers: Scope,
    node_scope: Scope,
    network_scope: Scope,
    api_scope: Scope,
}

/// The keys of this instance, made at the first start.
struct Keys {
    authority: Arc<CertificateAuthority>,
    tokens: Arc<TokenIssuer>,
    bearer: Arc<BearerTokens>,
    sealer: Arc<SealedSecrets>,
}

impl Keys {
    fn load(settings: &Settings) -> anyhow::Result<Self> {
        let folder = settings.paths.keys();
        Ok(Self {
            authority: CertificateAuthority::load_or_create(&folder, system_clock())?,
            tokens: Arc::new(TokenIssuer::load_or_create(&folder, system_clock())?),
            bearer: Arc::new(BearerTokens::load_or_create(&folder)?),
            sealer: Arc::new(SealedSecrets::new(SecretSealer::load_or_create(&folder)?)),
        })
    }
}

impl House {
    async fn start(settings: &Settings, report: Report, started: Instant) -> anyhow::Result<Self> {
        let step = |name: &str, what: &dyn std::fmt::Display| {
            report.line(format_args!("{:>7.0} ms  {name:<10} {what}", started.elapsed().as_secs_f64() * 1000.0));
        };
        let registry = Registry::default();
        let logs = settings.paths.logs();
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot create \"{}\"", logs.display()))?;
        let keys = Keys::load(settings).context("the keys cannot be used")?;
        let store = open_store(settings, &keys, &registry).await?;
        step("objects", &settings.paths.objects().display());

        let uplink = maru_net::detect_uplink().await?;
        let links = prepare_links(settings).await?;
        let api_scope = Scope::root("api");
        let api = ApiServer::start(&api_scope, api_options(settings, &keys, &store, &registry)?).await?;
        let tls = server_tls(&keys.authority, settings, uplink.as_ref(), ClientAuth::Optional)?;
        serve_api(&api, &tls, settings).await?;
        write_kubeconfig(&keys.authority, settings)?;
        step("API", &format_args!("https://{}", settings.api));

        let handler = api.handler();
        // Each room may do what its own role says; only the start itself makes kinds known.
        let client = |room: &str| maru_client::as_user(&handler, &format!("system:maru:{room}"), &[]);
        let setup = maru_client::as_user(&handler, "system:maru", &[Identity::MASTERS]);
        let alerts_scope = Scope::root("alerts");
        let alerts = crate::alerts::start(&alerts_scope, settings, &tls, client("alerts"), &registry).await?;
        step("alerts", &format_args!("https://{}", settings.alerts));
        let metrics_scope = Scope::root("metrics");
        let metrics =
            crate::metrics::start(&metrics_scope, settings, &tls, client("metrics"), &registry, &alerts).await?;
        step("metrics", &format_args!("https://{}", settings.metrics));
        install_definitions(&setup, "maru-gateway", maru_gateway::crds()).await?;
        install_definitions(&setup, "maru-process", maru_process::crds()).await?;
        install_definitions(&setup, "maru-metrics", maru_metrics::crds()).await?;
        apply(&setup, "maru-metrics", maru_metrics::built_in_objects()).await?;
        let options = ClusterOptions::new(client("metrics"), &settings.node_name, system_clock());
        maru_metrics::follow_cluster(&metrics_scope, &metrics, options);
        let reconcilers = Scope::root("reconcilers");
        let options = AssuranceOptions { metrics: metrics.reader(), clock: system_clock() };
        maru_assurance::start(&reconcilers, client("assurance"), options);
        let ledger = Ledger::open(&settings.paths.evidence())?;
        api.set_contents(maru_process::contents(ledger.clone()));
        let options = ProcessOptions { ledger, clock: system_clock() };
        maru_process::start(&reconcilers, client("process"), options);
        let mut options =
            WorkloadOptions::new(&settings.node_name, settings.paths.volumes(), keys.authority.certificate_pem());
        options.registry = registry.clone();
        drop(reconcilers.spawn("workloads", maru_workloads::run(reconcilers.clone(), client("workloads"), options)));

        let network_scope = Scope::root("network");
        let network = Network::start(&network_scope, client("network"), network_options(settings, &registry)).await?;
        step("network", &format_args!("pods {}, services {}", settings.pods, settings.services));

        let node_scope = Scope::root("node");
        let options = node_options(settings, uplink.as_ref(), &registry)?;
        let node = Node::start(node_scope.clone(), client("node"), options).await?;
        api.set_kubelet(node.kubelet());
        step("node", &settings.node_name);

        let gateway_scope = Scope::root("gateway");
        let options = gateway_options(settings, uplink.as_ref(), &registry);
        Gateway::start(gateway_scope.clone(), client("gateway"), options).await?;
        step("gateway", &format_args!("http://{} https://{}", settings.http, settings.https));

        let console_scope = Scope::root("console");
        let tls = server_tls(&keys.authority, settings, uplink.as_ref(), ClientAuth::None)?;
        let parts =
            ConsoleParts { api: handler.clone(), client: client("console"), metrics: &metrics, alerts: &alerts };
        crate::console::start(&console_scope, settings, tls, parts, &registry).await?;
        step("console", &crate::console::address(settings));
        Ok(Self {
            store,
            metrics,
            metrics_scope,
            alerts,
            alerts_scope,
            links,
            network,
            node,
            console_scope,
            gateway_scope,
            reconcilers,
            node_scope,
            network_scope,
            api_scope,
        })
    }

    /// Stops in the reverse order; with `down` the pods stop as well, and nothing is left on the machine.
    async fn stop(self, down: bool) -> anyhow::Result<()> {
        self.metrics.set_stopping();
        self.alerts.set_stopping();
        end(&self.console_scope).await;
        end(&self.gateway_scope).await;
        end(&self.reconcilers).await;
        if down {
            self.node.stop_all().await.context("not all pods could be stopped")?;
        }
        end(&self.node_scope).await;
        end(&self.network_scope).await;
        end(&self.metrics_scope).await;
        end(&self.alerts_scope).await;
        end(&self.api_scope).await;
        if down {
            self.network.teardown().await.context("the packet rules could not be removed")?;
            self.links.teardown().await.context("the machine's links could not be restored")?;
        }
        let store = self.store;
        tokio::task::spawn_blocking(move || store.close()).await?;
        Ok(())
    }
}

async fn end(scope: &Scope) {
    if let Err(still) = scope.shutdown(DRAIN_TIME_MAX).await {
        tracing::warn!(scope = scope.name(), tasks = still.tasks, "tasks did not end in time");
    }
}

async fn open_store(settings: &Settings, keys: &Keys, registry: &Registry) -> anyhow::Result<Store> {
    let mut options = StoreOptions::new(settings.paths.objects());
    options.sealer = Some(Arc::clone(&keys.sealer) as _);
    options.registry = registry.clone();
    Ok(tokio::task::spawn_blocking(move || Store::open(options)).await??)
}

fn api_options(
    settings: &Settings,
    keys: &Keys,
    store: &Store,
    registry: &Registry,
) -> anyhow::Result<ApiServerOptions> {
    let mut options = ApiServerOptions::new(store.clone(), Arc::clone(&keys.tokens));
    options.bearer = Some(Arc::clone(&keys.bearer));
    options.service_cidr = settings.services.to_string().parse()?;
    options.advertise = Some((settings.node_address.into(), settings.api.port()));
    options.registry = registry.clone();
    Ok(options)
}

async fn prepare_links(settings: &Settings) -> anyhow::Result<HostLinks> {
    let record = settings.paths.data.join(NETWORK_RECORD);
    std::fs::write(&record, format!("{} {}\n", settings.node_address, settings.services))
        .with_context(|| format!("cannot write \"{}\"", record.display()))?;
    Ok(HostLinks::prepare(HostLinkOptions {
        directory: settings.paths.namespaces(),
        node_address: settings.node_address,
        service_cidr: settings.services,
    })
    .await?)
}

/// Returns the certificate of all that this machine serves itself.
fn server_tls(
    authority: &Arc<CertificateAuthority>,
    settings: &Settings,
    uplink: Option<&Uplink>,
    clients: ClientAuth,
) -> anyhow::Result<TlsSource> {
    let mut ips: Vec<IpAddr> = vec![
        [127, 0, 0, 1].into(),
        settings.api_service.into(),
        settings.node_address.into(),
        settings.api.ip(),
        settings.console.ip(),
    ];
    ips.extend(uplink.map(|uplink| IpAddr::from(uplink.address)));
    ips.retain(|ip| !ip.is_unspecified());
    let short = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
    let own = ["localhost", settings.node_name.as_str()].into_iter();
    let own = own.chain(settings.console_hosts.iter().map(String::as_str));
    let dns = short.into_iter().chain(own).map(str::to_owned).collect();
    Ok(authority.server_tls(ServerNames { dns, ips }, clients)?)
}

/// Serves the API where people reach it, on its Service's address, and where its endpoints say.
async fn serve_api(api: &ApiServer, tls: &TlsSource, settings: &Settings) -> anyhow::Result<()> {
    let mut addresses = vec![settings.api, SocketAddr::new(settings.api_service.into(), 443)];
    if !settings.api.ip().is_unspecified() {
        addresses.push(SocketAddr::new(settings.node_address.into(), settings.api.port()));
    }
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        let listener =
            listener.with_context(|| format!("the API cannot listen on {address}; choose another with --api-port"))?;
        api.serve(listener, Arc::clone(tls));
    }
    Ok(())
}

fn write_kubeconfig(authority: &CertificateAuthority, settings: &Settings) -> anyhow::Result<()> {
    let admin = authority.issue_client("maru-admin", &[Identity::MASTERS], ADMIN_VALIDITY)?;
    let host = if settings.api.ip().is_unspecified() { [127, 0, 0, 1].into() } else { settings.api.ip() };
    let server = format!("https://{}", SocketAddr::new(host, settings.api.port()));
    let text = kubeconfig::render(&server, authority.certificate_pem(), &admin.certificate_pem, admin.key_pem.reveal());
    let path = settings.paths.kubeconfig();
    kubeconfig::write_private(&path, &text).with_context(|| format!("cannot write \"{}\"", path.display()))
}

/// Makes kinds known that are not built in: those of the Gateway API and our own.
async fn install_definitions(client: &Client, manager: &str, definitions: Vec<Value>) -> anyhow::Result<()> {
    let path = |definition: &Value| {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    };
    apply(client, manager, definitions.into_iter().map(|definition| (path(&definition), definition)).collect()).await
}

/// Applies objects at their paths.
async fn apply(client: &Client, manager: &str, objects: Vec<(String, Value)>) -> anyhow::Result<()> {
    for (path, object) in objects {
        let request = http::Request::patch(format!("{path}?fieldManager={manager}&force=true"))
            .header("content-type", "application/apply-patch+yaml")
            .body(object.to_string().into_bytes())?;
        let applied: Result<Value, _> = client.request(request).await;
        applied.with_context(|| format!("\"{path}\" cannot be applied"))?;
    }
    Ok(())
}

fn network_options(settings: &Settings, registry: &Registry) -> NetworkOptions {
    NetworkOptions {
        instance: settings.paths.instance(),
        node_name: settings.node_name.clone(),
        service_cidr: settings.services,
        pod_cidr: settings.pods,
        node_address: settings.node_address,
        in_process: vec![InProcess { address: settings.api_service, protocol: Protocol::Tcp, port: 443 }],
        dns: DnsOptions::on(settings.dns_service),
        registry: registry.clone(),
    }
}

fn node_options(settings: &Settings, uplink: Option<&Uplink>, registry: &Registry) -> anyhow::Result<NodeOptions> {
    let images = maru_images::ImageStore::open(&settings.paths.images())?;
    let networks = PodNetworks::new(PodNetworkOptions {
        instance: settings.paths.instance(),
        directory: settings.paths.namespaces(),
        gateway: PodNetworkOptions::GATEWAY,
        node_address: settings.node_address,
        mtu: uplink.map_or(1500, |uplink| uplink.mtu),
    });
    let executable = std::env::current_exe().context("the binary's own path is not known")?;
    let mut options = NodeOptions::new(&settings.node_name, settings.paths.node(), executable, images, networks);
    options.registries = Arc::new(crate::image::registry_options());
    options.cgroup_parent = settings.paths.cgroup();
    options.pod_cidr = (settings.pods.network(), settings.pods.prefix_length());
    options.addresses = vec![uplink.map_or(settings.node_address, |uplink| uplink.address).into()];
    options.cluster_dns = vec![settings.dns_service.into()];
    options.registry = registry.clone();
    Ok(options)
}

fn gateway_options(settings: &Settings, uplink: Option<&Uplink>, registry: &Registry) -> GatewayOptions {
    let published = match settings.http.ip() {
        ip if ip.is_unspecified() => uplink.map_or(settings.node_address, |uplink| uplink.address).into(),
        ip => ip,
    };
    GatewayOptions {
        http_ports: vec![settings.http],
        https_ports: vec![settings.https],
        listener_address: settings.http.ip(),
        own_addresses: true,
        access_log: Some(settings.paths.logs().join("access.log")),
        published_address: Some(published),
        registry: registry.clone(),
        ..GatewayOptions::default()
    }
}
