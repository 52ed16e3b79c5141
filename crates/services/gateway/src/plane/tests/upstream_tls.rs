//! TLS to upstreams, as policies say.

use std::sync::Arc;

use maru_http::{Handler, Limits, Server};
use maru_task::Scope;
use rcgen::{CertificateParams, SanType};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};

use super::Serving;
use crate::fixtures::{add_ingress, add_service, add_tls_policy, world};

/// A certificate that is its own authority, for a host and an identity.
struct Certificate {
    pem: String,
    config: Arc<rustls::ServerConfig>,
}

fn certificate() -> Certificate {
    let mut params = CertificateParams::new(["inner.example".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::URI("spiffe://cluster.local/ns/shop/sa/a".try_into().unwrap()));
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], private)
        .unwrap();
    Certificate { pem: made.pem(), config: Arc::new(config) }
}

#[tokio::test]
async fn upstreams_are_trusted_for_their_names_alone() {
    let certificate = certificate();
    let scope = Scope::root("upstream");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Handler::new(async |request: http::Request<maru_http::Body>| {
        let tls = request.extensions().get::<maru_http::ConnectionInfo>().is_some_and(|info| info.tls);
        http::Response::new(maru_http::full(if tls { "over TLS" } else { "plain" }))
    });
    let config = Arc::clone(&certificate.config);
    let tls: maru_http::TlsSource = Arc::new(move || Arc::clone(&config));
    let server = Server { name: "upstream", listener, tls: Some(tls), handler, limits: Limits::default() };
    drop(scope.spawn("upstream", maru_http::serve(scope.clone(), server)));

    let other = rcgen::generate_simple_self_signed(["inner.example".to_owned()]).unwrap().cert.pem();
    let names = |names: Value| json!({"hostname": "inner.example", "subjectAltNames": names});
    let host = |host: &str| json!([{"type": "Hostname", "hostname": host}]);
    let uri = |uri: &str| json!([{"type": "URI", "uri": uri}]);
    let table = [
        ("right", &certificate.pem, json!({"hostname": "inner.example"}), 200),
        ("other-name", &certificate.pem, json!({"hostname": "else.example"}), 502),
        ("other-authority", &other, json!({"hostname": "inner.example"}), 502),
        ("host", &certificate.pem, names(host("inner.example")), 200),
        ("other-host", &certificate.pem, names(host("else.example")), 502),
        ("identity", &certificate.pem, names(uri("spiffe://cluster.local/ns/shop/sa/a")), 200),
        ("other-identity", &certificate.pem, names(uri("spiffe://cluster.local/ns/shop/sa/b")), 502),
    ];
    let mut inputs = world();
    for (name, authority, validation, _) in &table {
        add_service(&mut inputs, name, &[address], None);
        add_ingress(&mut inputs, Some(name), "/", name);
        add_tls_policy(&mut inputs, name, name, authority, validation.clone());
    }
    add_service(&mut inputs, "broken", &[address], None);
    add_ingress(&mut inputs, Some("broken"), "/", "broken");
    add_tls_policy(&mut inputs, "broken", "broken", "nothing", json!({"hostname": "inner.example"}));
    let serving = Serving::start(&inputs).await;
    for (name, _, _, expected) in &table {
        // Twice: connections of other policies are not used again.
        for _ in 0..2 {
            let response = serving.get(name, "/").await;
            assert_eq!(response.status(), *expected, "{name}");
            if *expected == 200 {
                assert_eq!(response.text().await.unwrap(), "over TLS");
            }
        }
    }
    assert_eq!(serving.get("broken", "/").await.status(), 502);
    serving.stop().await;
    scope.cancel();
}
