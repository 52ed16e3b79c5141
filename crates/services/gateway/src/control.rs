//! Follows the objects, keeps the data plane at what they say, and writes their statuses.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use maru_client::Client;
use maru_task::Scope;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::certificates::CertificateCache;
use crate::compile::{self, CONTROLLER, Facts, GatewayService, HTTP_PORT, HTTPS_PORT, Place, Plan, Statuses};
use crate::external::Names;
use crate::inputs::Inputs;
use crate::kinds::{self, GROUP};
use crate::options::GatewayOptions;
use crate::plane::{Bound, DataPlane};
use crate::services;
use crate::status::{self, Stamp};

/// Changes that come together are taken together.
const COALESCE: Duration = Duration::from_millis(20);
/// Ports that could not be served and statuses that could not be written are tried again.
const RESYNC: Duration = Duration::from_secs(30);
/// After this time the ports are served with what is known, although not every kind could be listed.
const FIRST_SYNC_MAX: Duration = Duration::from_secs(5);
/// Pauses between tries of a watch that fails.
const WATCH_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The objects of one kind as last seen.
struct Followed<K> {
    objects: Mutex<BTreeMap<(String, String), Arc<K>>>,
    synced: AtomicBool,
}

impl<K> Default for Followed<K> {
    fn default() -> Self {
        Self { objects: Mutex::default(), synced: AtomicBool::new(false) }
    }
}

impl<K> Followed<K> {
    fn all(&self) -> Vec<Arc<K>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }
}

fn key_of<K: kube::Resource>(object: &K) -> (String, String) {
    let metadata = object.meta();
    (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// Keeps `followed` at what the API server has, for as long as the scope lives.
async fn follow<K>(api: Api<K>, followed: Arc<Followed<K>>, changed: Arc<Notify>, trim: fn(&mut K) -> bool)
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    let mut arriving = BTreeMap::new();
    let mut pause = WATCH_RETRY.0;
    while let Some(event) = events.next().await {
        let mut objects = followed.objects.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::Init) => arriving.clear(),
            Ok(Event::InitApply(mut object)) => {
                if trim(&mut object) {
                    arriving.insert(key_of(&object), Arc::new(object));
                }
            }
            Ok(Event::InitDone) => {
                *objects = std::mem::take(&mut arriving);
                followed.synced.store(true, Ordering::Release);
                pause = WATCH_RETRY.0;
                changed.notify_one();
            }
            Ok(Event::Apply(mut object)) => {
                if trim(&mut object) {
                    objects.insert(key_of(&object), Arc::new(object));
                } else {
                    objects.remove(&key_of(&object));
                }
                changed.notify_one();
            }
            Ok(Event::Delete(object)) => {
                objects.remove(&key_of(&object));
                changed.notify_one();
            }
            Err(error) => {
                drop(objects);
                tracing::debug!(%error, "a watch of the gateway failed; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(WATCH_RETRY.1);
            }
        }
    }
}

fn trim_any<K: kube::Resource>(object: &mut K) -> bool {
    object.meta_mut().managed_fields = None;
    true
}

/// Only certificates are kept in memory.
fn trim_secret(secret: &mut Secret) -> bool {
    secret.metadata.managed_fields = None;
    secret.data.as_ref().is_some_and(|data| data.contains_key("tls.crt") && data.contains_key("tls.key"))
}

/// Only authorities are kept in memory.
fn trim_config_map(map: &mut ConfigMap) -> bool {
    map.metadata.managed_fields = None;
    map.data.as_ref().is_some_and(|data| data.contains_key("ca.crt"))
}

#[derive(Default)]
struct World {
    ingresses: Arc<Followed<Ingress>>,
    ingress_classes: Arc<Followed<IngressClass>>,
    services: Arc<Followed<Service>>,
    endpoint_slices: Arc<Followed<EndpointSlice>>,
    secrets: Arc<Followed<Secret>>,
    namespaces: Arc<Followed<Namespace>>,
    gateway_classes: Arc<Followed<kinds::GatewayClass>>,
    gateways: Arc<Followed<kinds::Gateway>>,
    http_routes: Arc<Followed<kinds::HttpRoute>>,
    grpc_routes: Arc<Followed<kinds::GrpcRoute>>,
    reference_grants: Arc<Followed<kinds::ReferenceGrant>>,
    backend_tls_policies: Arc<Followed<kinds::BackendTlsPolicy>>,
    config_maps: Arc<Followed<ConfigMap>>,
}

impl World {
    fn follow(scope: &Scope, client: &Client, changed: &Arc<Notify>) -> Self {
        let world = Self::default();
        macro_rules! follow {
            ($field:ident, $api:expr, $trim:expr) => {
                let following = follow($api, Arc::clone(&world.$field), Arc::clone(changed), $trim);
                drop(scope.spawn_until_cancelled(stringify!($field), following));
            };
        }
        follow!(ingresses, Api::all(client.clone()), trim_any);
        follow!(ingress_classes, Api::all(client.clone()), trim_any);
        follow!(services, Api::all(client.clone()), trim_any);
        follow!(endpoint_slices, Api::all(client.clone()), trim_any);
        follow!(secrets, Api::all(client.clone()), trim_secret);
        follow!(config_maps, Api::all(client.clone()), trim_config_map);
        follow!(namespaces, Api::all(client.clone()), trim_any);
        let v1 = |kind: &str| kinds::resource(kind, "v1");
        follow!(gateway_classes, Api::all_with(client.clone(), &v1("GatewayClass")), trim_any);
        follow!(gateways, Api::all_with(client.clone(), &v1("Gateway")), trim_any);
        follow!(http_routes, Api::all_with(client.clone(), &v1("HTTPRoute")), trim_any);
        follow!(backend_tls_policies, Api::all_with(client.clone(), &v1("BackendTLSPolicy")), trim_any);
        follow!(grpc_routes, Api::all_with(client.clone(), &v1("GRPCRoute")), trim_any);
        let grants = kinds::resource("ReferenceGrant", "v1beta1");
        follow!(reference_grants, Api::all_with(client.clone(), &grants), trim_any);
        world
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            ingresses: self.ingresses.all(),
            ingress_classes: self.ingress_classes.all(),
            services: self.services.all(),
            endpoint_slices: self.endpoint_slices.all(),
            secrets: self.secrets.all(),
            namespaces: self.namespaces.all(),
            gateway_classes: self.gateway_classes.all(),
            gateways: self.gateways.all(),
            http_routes: self.http_routes.all(),
            grpc_routes: self.grpc_routes.all(),
            reference_grants: self.reference_grants.all(),
            backend_tls_policies: self.backend_tls_policies.all(),
            config_maps: self.config_maps.all(),
        }
    }

    fn is_synced(&self) -> bool {
        self.ingresses.is_synced()
            && self.ingress_classes.is_synced()
            && self.services.is_synced()
            && self.endpoint_slices.is_synced()
            && self.secrets.is_synced()
            && self.namespaces.is_synced()
            && self.gateway_classes.is_synced()
            && self.gateways.is_synced()
            && self.http_routes.is_synced()
            && self.grpc_routes.is_synced()
            && self.reference_grants.is_synced()
            && self.backend_tls_policies.is_synced()
            && self.config_maps.is_synced()
    }
}

/// The loop that keeps everything together.
pub(crate) struct Control {
    pub client: Client,
    pub options: GatewayOptions,
    pub plane: Arc<DataPlane>,
    /// Served with the first configuration.
    pub waiting: Vec<(Place, bool, Bound)>,
    pub cache: CertificateCache,
    /// What is served beside the shared ports 80 and 443.
    pub ports: BTreeMap<Place, (bool, SocketAddr)>,
    pub facts: Facts,
}

impl Control {
    pub(crate) async fn run(mut self, scope: Scope) {
        let changed = Arc::new(Notify::new());
        let world = World::follow(&scope, &self.client, &changed);
        let names = Names::follow(&scope, &changed);
        let started = tokio::time::Instant::now();
        loop {
            let quiet = if self.waiting.is_empty() { RESYNC } else { FIRST_SYNC_MAX.saturating_sub(started.elapsed()) };
            tokio::select! {
                () = scope.cancelled() => return,
                () = changed.notified() => tokio::time::sleep(COALESCE).await,
                () = tokio::time::sleep(quiet) => self.forget_problems(),
            }
            // Serving half of the routes would answer 404 for the other half.
            if !self.waiting.is_empty() && !world.is_synced() && started.elapsed() < FIRST_SYNC_MAX {
                continue;
            }
            let inputs = world.inputs();
            self.make_classes(&world, &inputs).await;
            self.facts.resolved = names.addresses();
            let (statuses, services) = self.put_into_effect(&inputs, &names).await;
            for (place, tls, bound) in std::mem::take(&mut self.waiting) {
                self.plane.serve(place, tls, bound).await;
            }
            services::keep(&self.client, &inputs, &services).await;
            self.write_statuses(&inputs, &statuses).await;
        }
    }

    /// Ports that were taken may be free by now.
    fn forget_problems(&mut self) {
        self.facts.port_problems.retain(|place, _| is_fixed(*place));
    }

    async fn put_into_effect(&mut self, inputs: &Inputs, names: &Names) -> (Statuses, Vec<GatewayService>) {
        let mut plan = compile::compile(inputs, &self.facts, &mut self.cache);
        if self.open_ports(&plan).await {
            plan = compile::compile(inputs, &self.facts, &mut self.cache);
        }
        names.want(std::mem::take(&mut plan.wanted_names));
        let (statuses, services) = (std::mem::take(&mut plan.statuses), std::mem::take(&mut plan.services));
        self.plane.apply(plan);
        (statuses, services)
    }

    /// Serves what the plan has beside the shared ports 80 and 443. Returns whether one could not be served.
    async fn open_ports(&mut self, plan: &Plan) -> bool {
        let wanted: BTreeMap<Place, bool> = plan
            .entrances
            .iter()
            .filter(|(place, _)| !is_fixed(**place))
            .map(|(place, entrance)| (*place, entrance.tls))
            .collect();
        let served = self.ports.iter();
        let gone = served.filter(|(place, (tls, _))| wanted.get(place) != Some(tls)).map(|(place, _)| *place);
        for place in gone.collect::<Vec<Place>>() {
            if let Some((_, address)) = self.ports.remove(&place) {
                self.plane.unlisten(address).await;
            }
        }
        let mut problem = false;
        for (place, tls) in wanted {
            if self.ports.contains_key(&place) {
                continue;
            }
            match self.socket_of(place).and_then(|address| self.plane.bind(address)) {
                Ok(bound) => {
                    self.ports.insert(place, (tls, bound.address));
                    self.plane.serve(place, tls, bound).await;
                }
                Err(error) => {
                    let message = format!("port {} cannot be served on this machine: {error}", place.port);
                    self.facts.port_problems.insert(place, message);
                    problem = true;
                }
            }
        }
        problem
    }

    fn socket_of(&self, place: Place) -> std::io::Result<SocketAddr> {
        if let Some(address) = place.address {
            return Ok(SocketAddr::new(address, place.port));
        }
        let number = place.port.checked_add(self.options.listener_port_offset);
        let number = number.ok_or_else(|| std::io::Error::other("there is no such port"))?;
        Ok(SocketAddr::new(self.options.listener_address, number))
    }

    /// Makes our classes when nobody has.
    async fn make_classes(&self, world: &World, inputs: &Inputs) {
        let options = &self.options;
        let ingress_class =
            inputs.ingress_classes.iter().any(|one| one.metadata.name.as_ref() == Some(&options.ingress_class));
        if world.ingress_classes.is_synced() && !ingress_class {
            let object = json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {
                    "name": options.ingress_class,
                    "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
                },
                "spec": {"controller": CONTROLLER},
            });
            self.create(&ApiResource::erase::<IngressClass>(&()), object).await;
        }
        let gateway_class =
            inputs.gateway_classes.iter().any(|one| one.metadata.name.as_ref() == Some(&options.gateway_class));
        if world.gateway_classes.is_synced() && !gateway_class {
            let object = json!({
                "apiVersion": format!("{GROUP}/v1"),
                "kind": "GatewayClass",
                "metadata": {"name": options.gateway_class},
                "spec": {"controllerName": CONTROLLER},
            });
            self.create(&kinds::resource("GatewayClass", "v1"), object).await;
        }
    }

    async fn create(&self, resource: &ApiResource, object: Value) {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let Ok(object) = serde_json::from_value::<DynamicObject>(object) else { return };
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => tracing::info!(kind = resource.kind, name = object.metadata.name, "class made"),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => tracing::warn!(kind = resource.kind, %error, "a class could not be made; trying again"),
        }
    }

    async fn write_statuses(&self, inputs: &Inputs, statuses: &Statuses) {
        let now = self.options.clock.now();
        let address = self.options.published_address;
        for class in &inputs.gateway_classes {
            let name = class.metadata.name.clone().unwrap_or_default();
            if let Some(conditions) = statuses.classes.get(&name) {
                let observed = class.status.clone().unwrap_or_default();
                let desired = status::class(&observed, conditions, stamp(&class.metadata, now));
                self.write("GatewayClass", &class.metadata, &observed, desired).await;
            }
        }
        for gateway in &inputs.gateways {
            if let Some(one) = statuses.gateways.get(&key_of(&**gateway)) {
                let observed = gateway.status.clone().unwrap_or_default();
                let desired = status::gateway(&observed, one, address, stamp(&gateway.metadata, now));
                self.write("Gateway", &gateway.metadata, &observed, desired).await;
            }
        }
        for route in &inputs.http_routes {
            let parents = statuses.http_routes.get(&key_of(&**route)).map_or(&[][..], Vec::as_slice);
            let observed = route.status.clone().unwrap_or_default();
            let desired = status::route(&observed, parents, stamp(&route.metadata, now));
            self.write("HTTPRoute", &route.metadata, &observed, desired).await;
        }
        for route in &inputs.grpc_routes {
            let parents = statuses.grpc_routes.get(&key_of(&**route)).map_or(&[][..], Vec::as_slice);
            let observed = route.status.clone().unwrap_or_default();
            let desired = status::route(&observed, parents, stamp(&route.metadata, now));
            self.write("GRPCRoute", &route.metadata, &observed, desired).await;
        }
        for policy in &inputs.backend_tls_policies {
            let ancestors = statuses.backend_tls_policies.get(&key_of(&**policy)).map_or(&[][..], Vec::as_slice);
            let observed = policy.status.clone().unwrap_or_default();
            let desired = status::policy(&observed, ancestors, stamp(&policy.metadata, now));
            self.write("BackendTLSPolicy", &policy.metadata, &observed, desired).await;
        }
        if let Some(address) = address {
            self.write_ingresses(inputs, statuses, address).await;
        }
    }

    async fn write_ingresses(&self, inputs: &Inputs, statuses: &Statuses, address: IpAddr) {
        let resource = ApiResource::erase::<Ingress>(&());
        for ingress in inputs.ingresses.iter().filter(|ingress| statuses.ingresses.contains(&key_of(&***ingress))) {
            let observed = serde_json::to_value(&ingress.status).unwrap_or_default();
            let desired = status::ingress(address);
            self.write_status(&resource, &ingress.metadata, &observed, desired).await;
        }
    }

    async fn write(&self, kind: &str, metadata: &kube::core::ObjectMeta, observed: &Value, desired: Value) {
        self.write_status(&kinds::resource(kind, "v1"), metadata, observed, desired).await;
    }

    async fn write_status(
        &self,
        resource: &ApiResource,
        metadata: &kube::core::ObjectMeta,
        observed: &Value,
        desired: Value,
    ) {
        if status::says(observed, &desired) {
            return;
        }
        let name = metadata.name.as_deref().unwrap_or_default();
        let api: Api<DynamicObject> = match metadata.namespace.as_deref() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let patch = Patch::Merge(json!({"status": desired}));
        match api.patch_status(name, &PatchParams::default(), &patch).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                tracing::debug!(kind = resource.kind, name, %error, "a status could not be written; trying again later");
            }
        }
    }
}

/// Served for as long as the gateway runs.
fn is_fixed(place: Place) -> bool {
    place == Place::shared(HTTP_PORT) || place == Place::shared(HTTPS_PORT)
}

fn stamp(metadata: &kube::core::ObjectMeta, now: maru_time::Timestamp) -> Stamp {
    Stamp { generation: metadata.generation.unwrap_or(0), now }
}
