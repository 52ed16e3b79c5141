//! Changes while many ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::upstreams::Upstream;
use super::{Serving, client};
use crate::fixtures::{add_ingress, add_service, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_change_without_a_failed_request() {
    let upstreams = [Upstream::start("a").await, Upstream::start("b").await];
    let configurations: Vec<_> = upstreams
        .iter()
        .map(|upstream| {
            let mut inputs = world();
            add_service(&mut inputs, "a", &[upstream.address], None);
            add_ingress(&mut inputs, Some("shop.example"), "/", "a");
            inputs
        })
        .collect();
    let serving = Serving::start(&configurations[0]).await;
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (stop, served, address) = (Arc::clone(&stop), Arc::clone(&served), serving.http);
            serving.scope.spawn("client", async move {
                let client = client();
                while !stop.load(Ordering::Relaxed) {
                    let url = format!("http://{address}/echo");
                    let request = client.post(url).header("host", "shop.example").body(vec![1u8; number * 1000]);
                    let response = request.send().await.unwrap();
                    assert_eq!(response.status(), 200);
                    assert!(response.text().await.unwrap().contains(&format!("\"body_bytes\":{}", number * 1000)));
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for turn in 1..=40 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        serving.apply(&configurations[turn % 2]);
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(served.load(Ordering::Relaxed) > 200);
    assert!(upstreams.iter().all(|upstream| upstream.requests.load(Ordering::Relaxed) > 20));
    serving.stop().await;
}

#[tokio::test]
async fn stopping_lets_open_requests_end() {
    let upstream = Upstream::start("a").await;
    let mut inputs = world();
    add_service(&mut inputs, "a", &[upstream.address], None);
    add_ingress(&mut inputs, None, "/", "a");
    let serving = Serving::start(&inputs).await;
    let address = serving.http;
    let scope = maru_task::Scope::root("client");
    let open = scope.spawn("open", async move { client().get(format!("http://{address}/slow")).send().await });
    maru_testkit::wait_until(Duration::from_secs(5), "the request to arrive", || async {
        upstream.requests.load(Ordering::Relaxed) == 1
    })
    .await;
    serving.stop().await;
    assert_eq!(open.await.unwrap().unwrap().status(), 200);
    assert!(client().get(format!("http://{address}/")).send().await.is_err());
}
