//! Objects in, routes and statuses out.

use http::{HeaderMap, Method};
use serde_json::json;

use super::{Condition, HTTP_PORT, ParentStatus, Place, Plan, Transport};
use crate::fixtures::{
    add_gateway, add_http_route, add_ingress, add_named_gateway, add_secret, add_service, add_tls_policy, parse, plan,
    plan_with, world,
};
use crate::inputs::{Inputs, Protocol};
use crate::table::{Mirror, RequestView};

/// Returns the series that a request is counted under: route and service.
fn ask(plan: &Plan, port: u16, host: &str, path: &str) -> Option<(String, String)> {
    ask_at(plan, Place::shared(port), host, path)
}

fn ask_at(plan: &Plan, place: Place, host: &str, path: &str) -> Option<(String, String)> {
    let headers = HeaderMap::new();
    let view = RequestView { host, path, query: "", method: &Method::GET, headers: &headers };
    let (action, _) = plan.entrances.get(&place)?.hosts.find(&view)?;
    let (route, service) = &plan.series[action.targets.first()?.series];
    Some((route.to_string(), service.to_string()))
}

fn service_for(plan: &Plan, host: &str, path: &str) -> String {
    ask(plan, HTTP_PORT, host, path).map_or_else(|| "404".to_owned(), |(_, service)| service)
}

fn one(name: &str, conditions: &[Condition]) -> (bool, &'static str) {
    let condition = conditions.iter().find(|condition| condition.kind == name).unwrap();
    (condition.holds, condition.reason)
}

fn parent<'a>(plan: &'a Plan, route: &str) -> &'a ParentStatus {
    &plan.statuses.http_routes[&("shop".to_owned(), route.to_owned())][0]
}

fn services() -> Inputs {
    let mut inputs = world();
    for name in ["a", "b", "c"] {
        add_service(&mut inputs, name, &[([10, 0, 0, 1], 8080).into()], None);
    }
    inputs
}

#[test]
fn ingresses_route_by_host_and_path() {
    let mut inputs = services();
    add_ingress(&mut inputs, Some("shop.example"), "/", "a");
    add_ingress(&mut inputs, Some("shop.example"), "/api", "b");
    add_ingress(&mut inputs, Some("*.example"), "/", "c");
    add_ingress(&mut inputs, None, "/any", "c");
    add_ingress(&mut inputs, Some("lost.example"), "/", "missing");
    let plan = plan(&inputs);
    let table = [
        ("shop.example", "/", "shop/a:80"),
        ("shop.example", "/api/x", "shop/b:80"),
        ("shop.example", "/apix", "shop/a:80"),
        ("x.example", "/", "shop/c:80"),
        ("x.y.example", "/", "404"),
        ("elsewhere", "/any", "shop/c:80"),
        ("elsewhere", "/", "404"),
        ("lost.example", "/", "none"),
    ];
    for (host, path, expected) in table {
        assert_eq!(service_for(&plan, host, path), expected, "{host}{path}");
    }
    assert_eq!(plan.statuses.ingresses.len(), 5);
}

#[test]
fn only_our_ingresses_are_served() {
    let mut inputs = services();
    inputs.ingress_classes.push(parse(json!({"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/nginx"}})));
    let ingress = |name: &str, class: Option<&str>| {
        parse(json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "ingressClassName": class,
                "defaultBackend": {"service": {"name": name, "port": {"number": 80}}},
            },
        }))
    };
    inputs.ingresses = vec![ingress("a", Some("nginx"))];
    assert!(plan(&inputs).entrances[&Place::shared(HTTP_PORT)].hosts.is_empty());
    inputs.ingresses.push(ingress("b", Some("maru")));
    let plan = plan(&inputs);
    assert_eq!(service_for(&plan, "anything", "/"), "shop/b:80");
    assert_eq!(plan.statuses.ingresses, [("shop".to_owned(), "b".to_owned())]);
}

#[test]
fn endpoints_are_the_ready_ones() {
    let mut inputs = services();
    inputs.endpoint_slices.push(parse(json!({
        "metadata": {"name": "a-9", "namespace": "shop", "labels": {"kubernetes.io/service-name": "a"}},
        "addressType": "IPv4",
        "ports": [{"name": "admin", "port": 1}, {"name": "web", "port": 8081}],
        "endpoints": [
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
            {"addresses": ["10.0.0.3"], "conditions": {}},
        ],
    })));
    add_ingress(&mut inputs, None, "/", "a");
    let plan = plan(&inputs);
    assert_eq!(plan.backends.len(), 1);
    assert_eq!(plan.backends[0].endpoints, [([10, 0, 0, 1], 8080).into(), ([10, 0, 0, 3], 8081).into()]);
    assert_eq!(plan.backends[0].protocol, Protocol::Http1);
}

#[test]
fn routes_attach_where_hosts_and_namespaces_allow() {
    let mut inputs = services();
    add_gateway(
        &mut inputs,
        json!([
            {"name": "web", "port": 80, "protocol": "HTTP", "hostname": "*.shop.example"},
            {"name": "open", "port": 8080, "protocol": "HTTP",
             "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}}},
        ]),
    );
    let to = |service: &str| json!([{"backendRefs": [{"name": service, "port": 80}]}]);
    add_http_route(&mut inputs, "shop", json!(["a.shop.example", "elsewhere"]), to("a"));
    add_http_route(&mut inputs, "other", json!([]), to("a"));
    let plan = plan(&inputs);
    assert_eq!(service_for(&plan, "a.shop.example", "/"), "shop/a:80");
    assert_eq!(service_for(&plan, "elsewhere", "/"), "404", "the listener does not serve it");
    assert_eq!(ask(&plan, 8080, "elsewhere", "/").unwrap().0, "httproute/shop/route0");
    assert_eq!(one("Accepted", &parent(&plan, "route0").conditions), (true, "Accepted"));
    let foreign = &plan.statuses.http_routes[&("other".to_owned(), "route1".to_owned())][0];
    assert_eq!(one("Accepted", &foreign.conditions), (false, "NotAllowedByListeners"));
    let gateway = &plan.statuses.gateways[&("shop".to_owned(), "gate".to_owned())];
    let attached: Vec<usize> = gateway.listeners.iter().map(|listener| listener.attached).collect();
    assert_eq!(attached, [1, 1]);
    assert_eq!(one("Programmed", &gateway.conditions), (true, "Programmed"));
}

#[test]
fn rules_with_names_are_counted_apart() {
    let mut inputs = services();
    add_gateway(&mut inputs, json!([{"name": "web", "port": 8080, "protocol": "HTTP"}]));
    let backends = json!([{"name": "a", "port": 80}]);
    let rules = json!([
        {"name": "place-order", "backendRefs": backends, "matches": [{"path": {"type": "Exact", "value": "/orders"}}]},
        {"backendRefs": backends},
    ]);
    add_http_route(&mut inputs, "shop", json!([]), rules);
    let plan = plan(&inputs);
    let label = |path: &str| ask(&plan, 8080, "any.example", path).unwrap().0;
    assert_eq!(label("/orders"), "httproute/shop/route0/place-order");
    assert_eq!(label("/"), "httproute/shop/route0");
}

#[test]
fn wrong_listeners_say_what_is_wrong() {
    let mut inputs = services();
    add_secret(&mut inputs, "good", "shop.example");
    inputs.secrets.push(parse(json!({"metadata": {"name": "bad", "namespace": "shop"}, "data": {}})));
    let tls =
        |name: &str, namespace: Option<&str>| json!({"certificateRefs": [{"name": name, "namespace": namespace}]});
    let table = [
        (json!({"port": 80, "protocol": "HTTP"}), "Accepted", (true, "Accepted")),
        (json!({"port": 90, "protocol": "TCP"}), "Accepted", (false, "UnsupportedProtocol")),
        (json!({"port": 80, "protocol": "HTTPS", "tls": tls("good", None)}), "Accepted", (false, "ProtocolConflict")),
        (json!({"port": 443, "protocol": "HTTPS", "tls": tls("good", None)}), "ResolvedRefs", (true, "ResolvedRefs")),
        (
            json!({"port": 443, "protocol": "HTTPS", "tls": tls("bad", None)}),
            "ResolvedRefs",
            (false, "InvalidCertificateRef"),
        ),
        (json!({"port": 443, "protocol": "HTTPS", "tls": tls("none", None)}), "Programmed", (false, "Invalid")),
        (json!({"port": 443, "protocol": "HTTPS"}), "ResolvedRefs", (false, "InvalidCertificateRef")),
        (
            json!({"port": 443, "protocol": "HTTPS", "tls": tls("x", Some("other"))}),
            "ResolvedRefs",
            (false, "RefNotPermitted"),
        ),
        (
            json!({"port": 80, "protocol": "HTTP", "allowedRoutes": {"kinds": [{"kind": "TCPRoute"}]}}),
            "ResolvedRefs",
            (false, "InvalidRouteKinds"),
        ),
    ];
    for (mut listener, kind, expected) in table {
        listener["name"] = json!("one");
        let shown = listener.to_string();
        inputs.gateways.clear();
        add_gateway(&mut inputs, json!([listener]));
        let plan = plan(&inputs);
        let gateway = &plan.statuses.gateways[&("shop".to_owned(), "gate".to_owned())];
        assert_eq!(one(kind, &gateway.listeners[0].conditions), expected, "{shown}");
    }
}

#[test]
fn references_over_namespaces_need_a_grant() {
    let mut inputs = services();
    add_gateway(
        &mut inputs,
        json!([{"name": "web", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}]),
    );
    let rules = json!([{"backendRefs": [{"name": "a", "namespace": "shop", "port": 80}]}]);
    add_http_route(&mut inputs, "other", json!([]), rules);
    let key = ("other".to_owned(), "route0".to_owned());
    let refused = plan(&inputs);
    let conditions = &refused.statuses.http_routes[&key][0].conditions;
    assert_eq!(one("ResolvedRefs", conditions), (false, "RefNotPermitted"));
    assert_eq!(one("Accepted", conditions), (true, "Accepted"));
    assert_eq!(service_for(&refused, "x", "/"), "none");
    inputs.reference_grants.push(parse(json!({
        "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
        "metadata": {"name": "grant", "namespace": "shop"},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "other"}],
            "to": [{"group": "", "kind": "Service"}],
        },
    })));
    let granted = plan(&inputs);
    assert_eq!(one("ResolvedRefs", &granted.statuses.http_routes[&key][0].conditions), (true, "ResolvedRefs"));
    assert_eq!(service_for(&granted, "x", "/"), "shop/a:80");
}

#[test]
fn wrong_routes_say_what_is_wrong() {
    let mut inputs = services();
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP", "hostname": "a.example"}]));
    let backend = json!([{"name": "a", "port": 80}]);
    let table = [
        (json!(["b.example"]), json!([]), "Accepted", (false, "NoMatchingListenerHostname")),
        (
            json!([]),
            json!([{"backendRefs": [{"name": "nobody", "port": 80}]}]),
            "ResolvedRefs",
            (false, "BackendNotFound"),
        ),
        (json!([]), json!([{"backendRefs": [{"name": "a", "port": 81}]}]), "ResolvedRefs", (false, "BackendNotFound")),
        (
            json!([]),
            json!([{"backendRefs": [{"name": "a", "kind": "Bucket"}]}]),
            "ResolvedRefs",
            (false, "InvalidKind"),
        ),
        (
            json!([]),
            json!([{"backendRefs": backend, "filters": [{"type": "ExtensionRef"}]}]),
            "Accepted",
            (false, "UnsupportedValue"),
        ),
        (
            json!([]),
            json!([{"backendRefs": backend, "matches": [{"path": {"type": "RegularExpression", "value": "("}}]}]),
            "Accepted",
            (false, "UnsupportedValue"),
        ),
    ];
    for (hostnames, rules, kind, expected) in table {
        let shown = rules.to_string();
        inputs.http_routes.clear();
        add_http_route(&mut inputs, "shop", hostnames, rules);
        let plan = plan(&inputs);
        assert_eq!(one(kind, &parent(&plan, "route0").conditions), expected, "{shown}");
    }
}

#[test]
fn grpc_routes_match_services_and_methods() {
    let mut inputs = services();
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP"}]));
    inputs.grpc_routes.push(parse(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute",
        "metadata": {"name": "rpc", "namespace": "shop"},
        "spec": {
            "parentRefs": [{"name": "gate", "sectionName": "web"}],
            "rules": [
                {"matches": [{"method": {"service": "shop.Orders", "method": "Place"}}],
                 "backendRefs": [{"name": "a", "port": 80}]},
                {"matches": [{"method": {"service": "shop.Orders"}}], "backendRefs": [{"name": "b", "port": 80}]},
            ],
        },
    })));
    let plan = plan(&inputs);
    assert_eq!(service_for(&plan, "x", "/shop.Orders/Place"), "shop/a:80");
    assert_eq!(service_for(&plan, "x", "/shop.Orders/List"), "shop/b:80");
    assert_eq!(service_for(&plan, "x", "/shop.OrdersX/List"), "404");
    assert!(plan.backends.iter().all(|backend| backend.protocol == Protocol::Http2));
}

/// Adds the Service that a Gateway's address comes from.
fn add_address(inputs: &mut Inputs, gateway: &str, address: &str) {
    inputs.services.push(parse(json!({
        "metadata": {
            "name": format!("{gateway}-maru"), "namespace": "shop",
            "labels": {"gateway.networking.k8s.io/gateway-name": gateway},
        },
        "spec": {"clusterIP": address, "ports": [{"port": 80}]},
    })));
}

#[test]
fn gateways_with_own_addresses_are_apart() {
    let mut inputs = services();
    let listeners = json!([{"name": "web", "port": 80, "protocol": "HTTP"}]);
    for name in ["gate", "other"] {
        add_named_gateway(&mut inputs, name, listeners.clone());
    }
    for (route, gateway) in [("a", "gate"), ("b", "other")] {
        add_http_route(&mut inputs, "shop", json!([]), json!([{"backendRefs": [{"name": route, "port": 80}]}]));
        let mut object = serde_json::to_value(&*inputs.http_routes.pop().unwrap()).unwrap();
        object["spec"]["parentRefs"] = json!([{"name": gateway}]);
        inputs.http_routes.push(parse(object));
    }
    let own = |inputs: &Inputs| plan_with(inputs, |facts| facts.own_addresses = true);
    let awaited = own(&inputs);
    let gateway = |plan: &Plan, name: &str| {
        let status = &plan.statuses.gateways[&("shop".to_owned(), name.to_owned())];
        (one("Programmed", &status.conditions), status.address)
    };
    assert_eq!(gateway(&awaited, "gate"), ((false, "AddressNotAssigned"), None));
    let names: Vec<&str> = awaited.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["gate-maru", "other-maru"]);

    add_address(&mut inputs, "gate", "10.96.0.7");
    add_address(&mut inputs, "other", "10.96.0.8");
    let plan = own(&inputs);
    assert_eq!(gateway(&plan, "gate"), ((true, "Programmed"), Some([10, 96, 0, 7].into())));
    let at = |address: [u8; 4]| Place { address: Some(address.into()), port: 80 };
    for (place, expected) in [(at([10, 96, 0, 7]), "shop/a:80"), (at([10, 96, 0, 8]), "shop/b:80")] {
        assert_eq!(ask_at(&plan, place, "x", "/").unwrap().1, expected);
    }
    assert_eq!(service_for(&plan, "x", "/"), "shop/a:80", "on the shared port the first one decides");
}

#[test]
fn a_service_of_somebody_else_gives_no_address() {
    let mut inputs = services();
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP"}]));
    add_address(&mut inputs, "gate", "10.96.0.7");
    let mut object = serde_json::to_value(&*inputs.services.pop().unwrap()).unwrap();
    object["metadata"]["labels"] = json!({});
    inputs.services.push(parse(object));
    let plan = plan_with(&inputs, |facts| facts.own_addresses = true);
    assert!(plan.entrances.keys().all(|place| place.address.is_none()));
}

#[test]
fn the_most_specific_listener_decides_alone() {
    let mut inputs = services();
    add_gateway(
        &mut inputs,
        json!([
            {"name": "all", "port": 80, "protocol": "HTTP"},
            {"name": "below", "port": 80, "protocol": "HTTP", "hostname": "*.example"},
            {"name": "exact", "port": 80, "protocol": "HTTP", "hostname": "a.example"},
        ]),
    );
    for (section, service) in [("all", "a"), ("below", "b"), ("exact", "c")] {
        let backends = json!([{"name": service, "port": 80}]);
        let path = format!("/{section}");
        add_http_route(
            &mut inputs,
            "shop",
            json!([]),
            json!([{"matches": [{"path": {"value": path}}], "backendRefs": backends}]),
        );
        let mut object = serde_json::to_value(&*inputs.http_routes.pop().unwrap()).unwrap();
        object["spec"]["parentRefs"] = json!([{"name": "gate", "sectionName": section}]);
        inputs.http_routes.push(parse(object));
    }
    add_address(&mut inputs, "gate", "10.96.0.7");
    let plan = plan_with(&inputs, |facts| facts.own_addresses = true);
    let place = Place { address: Some([10, 96, 0, 7].into()), port: 80 };
    let table = [
        ("a.example", "/exact", Some("shop/c:80")),
        ("a.example", "/below", None),
        ("a.example", "/all", None),
        ("b.example", "/below", Some("shop/b:80")),
        ("b.example", "/all", None),
        ("elsewhere", "/all", Some("shop/a:80")),
    ];
    for (host, path, expected) in table {
        let found = ask_at(&plan, place, host, path).map(|(_, service)| service);
        assert_eq!(found.as_deref(), expected, "{host}{path}");
    }
}

#[test]
fn names_outside_are_for_ingresses() {
    let mut inputs = services();
    inputs.services.push(parse(json!({
        "metadata": {"name": "outside", "namespace": "shop"},
        "spec": {"type": "ExternalName", "externalName": "api.example", "ports": [{"name": "web", "port": 8080}]},
    })));
    add_ingress(&mut inputs, Some("out.example"), "/", "outside");
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP"}]));
    add_http_route(&mut inputs, "shop", json!([]), json!([{"backendRefs": [{"name": "outside", "port": 8080}]}]));
    let plan = plan_with(&inputs, |facts| {
        facts.resolved.insert("api.example".to_owned(), vec![[192, 0, 2, 9].into()]);
    });
    assert_eq!(service_for(&plan, "out.example", "/"), "shop/outside:8080");
    assert_eq!(plan.backends[0].endpoints, [([192, 0, 2, 9], 8080).into()]);
    assert!(plan.wanted_names.contains("api.example"));
    assert_eq!(one("ResolvedRefs", &parent(&plan, "route0").conditions), (false, "BackendNotFound"));
}

#[test]
fn policies_for_upstreams_say_what_they_do() {
    let mut inputs = services();
    add_gateway(&mut inputs, json!([{"name": "web", "port": 80, "protocol": "HTTP"}]));
    let backends = json!([{"name": "a", "port": 80}, {"name": "b", "port": 80}, {"name": "c", "port": 80}]);
    add_http_route(&mut inputs, "shop", json!([]), json!([{"backendRefs": backends}]));
    let authority = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem();
    let validation = json!({"hostname": "a.example"});
    add_tls_policy(&mut inputs, "first", "a", &authority, validation.clone());
    add_tls_policy(&mut inputs, "second", "a", &authority, validation.clone());
    add_tls_policy(&mut inputs, "broken", "b", "no certificate", validation);
    inputs.backend_tls_policies.push(parse(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "BackendTLSPolicy",
        "metadata": {"name": "strange", "namespace": "shop"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "c"}],
            "validation": {"hostname": "c.example", "caCertificateRefs": [{"group": "x.io", "kind": "Box", "name": "x"}]},
        },
    })));
    let plan = plan(&inputs);
    let said = |policy: &str| {
        let ancestors = &plan.statuses.backend_tls_policies[&("shop".to_owned(), policy.to_owned())];
        assert_eq!(ancestors.len(), 1, "{policy}");
        assert_eq!(ancestors[0].parent.name, "gate");
        (one("Accepted", &ancestors[0].conditions), one("ResolvedRefs", &ancestors[0].conditions))
    };
    let fine = (true, "ResolvedRefs");
    assert_eq!(said("first"), ((true, "Accepted"), fine));
    assert_eq!(said("second"), ((false, "Conflicted"), fine));
    assert_eq!(said("broken"), ((false, "NoValidCACertificate"), (false, "InvalidCACertificateRef")));
    assert_eq!(said("strange"), ((false, "NoValidCACertificate"), (false, "InvalidKind")));
    let transports: Vec<&Transport> = plan.backends.iter().map(|backend| &backend.transport).collect();
    assert!(matches!(transports[..], [Transport::Tls(_), Transport::Broken, Transport::Broken]));
}

#[test]
fn mirrors_take_their_share() {
    let count = |share| (0..1000).filter(|random| Mirror { backend: 0, share }.takes(*random)).count();
    let table = [((1, 1), 1000), ((0, 100), 0), ((25, 100), 250), ((1, 8), 125), ((3, 0), 0), ((200, 100), 1000)];
    for (share, expected) in table {
        assert_eq!(count(share), expected, "{share:?}");
    }
}
