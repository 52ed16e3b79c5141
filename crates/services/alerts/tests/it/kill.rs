//! A real process that is killed with SIGKILL again and again.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use maru_task::Scope;
use maru_testkit::{TempDir, wait_for};
use serde_json::json;

use crate::{Ear, PATIENCE, serve};

/// Where the child finds its folder.
const FOLDER: &str = "MARU_TEST_ALERTS_FOLDER";

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // SIGKILL.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The child: serves until it is killed.
#[tokio::test]
#[ignore = "it is the process that another test kills"]
async fn serves() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut options = maru_alerts::AlertsOptions::new(folder.join("alerts"));
    options.config = maru_alerts::ConfigSource::File(folder.join("alertmanager.yml"));
    let scope = Scope::root("child");
    let alerts = maru_alerts::Alerts::open(&scope, options).unwrap();
    let url = serve(&scope, alerts.handler()).await;
    std::fs::write(folder.join("url.new"), url).unwrap();
    std::fs::rename(folder.join("url.new"), folder.join("url")).unwrap();
    std::future::pending::<()>().await;
}

async fn start(folder: &TempDir) -> (Program, String) {
    drop(std::fs::remove_file(folder.join("url")));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::serves", "--exact", "--ignored"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = wait_for(PATIENCE, "the child", || async { std::fs::read_to_string(folder.join("url")).ok() }).await;
    (Program(child), url)
}

#[tokio::test]
async fn nothing_is_sent_twice_after_a_kill() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let scope = Scope::root("ear");
    let ear = Ear::default();
    let hook = serve(&scope, ear.handler()).await;
    let folder = TempDir::new();
    let config = format!(
        "route: {{receiver: ops, group_by: [alertname], group_wait: 0s, group_interval: 1s}}\nreceivers: [{{name: ops, webhook_configs: [{{url: '{hook}/'}}]}}]\n"
    );
    std::fs::write(folder.join("alertmanager.yml"), config).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for round in 0..4 {
        let (program, url) = start(&folder).await;
        // All that was brought before is brought again, and one more.
        let alerts: Vec<_> = (0..=round).map(|number| json!({"labels": {"alertname": format!("a{number}")}})).collect();
        let post = client.post(format!("{url}/api/v2/alerts")).header("content-type", "application/json");
        assert_eq!(post.body(json!(alerts).to_string()).send().await.unwrap().status(), 200);
        wait_for(PATIENCE, "the log", || async {
            let log = std::fs::read_to_string(folder.join("alerts/alerts.log")).unwrap_or_default();
            let told = log.matches("\"notified\"").count();
            (told > round).then_some(())
        })
        .await;
        drop(program);
    }
    let (_program, url) = start(&folder).await;
    // Two looks of each group later still nothing new was sent.
    wait_for(PATIENCE, "two looks", || async {
        let answer = client.get(format!("{url}/api/v2/alerts/traces")).send().await.unwrap().bytes().await.unwrap();
        let traces: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        let looked = |trace: &serde_json::Value| trace["decisions"][0]["times"].as_u64().unwrap_or(0) >= 2;
        let traces = traces.as_array().unwrap().clone();
        (traces.len() == 4 && traces.iter().all(looked)).then_some(())
    })
    .await;
    let mut told: Vec<String> =
        ear.heard().iter().map(|one| one["groupLabels"]["alertname"].as_str().unwrap().to_owned()).collect();
    told.sort();
    assert_eq!(told, ["a0", "a1", "a2", "a3"]);
    scope.cancel();
}
