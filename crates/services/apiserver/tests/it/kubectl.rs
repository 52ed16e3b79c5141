//! What people type: kubectl over TLS.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::support::{Cluster, Listening};

/// kubectl with a kubeconfig of its own.
struct Kubectl {
    cluster: Cluster,
    listening: Listening,
    program: PathBuf,
    kubeconfig: PathBuf,
}

struct Output {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Kubectl {
    /// Starts a server, or says why the test is left out.
    async fn start() -> Option<Self> {
        // Another kubectl is tried with `KUBECTL=/path/to/it cargo test`.
        let candidates = [option_env!("KUBECTL").unwrap_or_default(), "/usr/local/bin/kubectl", "/usr/bin/kubectl"];
        let program = candidates.iter().map(PathBuf::from).find(|path| path.is_file());
        let Some(program) = program else {
            println!("skipped: kubectl is not installed");
            return None;
        };
        let cluster = Cluster::start().await;
        let listening = Listening::start(&cluster).await;
        let user = listening.certificate_user("admin", &["system:masters"]);
        let kubeconfig = cluster.directory.path().join("kubeconfig");
        std::fs::write(&kubeconfig, listening.kubeconfig(user).to_string()).unwrap();
        Some(Self { cluster, listening, program, kubeconfig })
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.cluster.directory.path())
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output())
            .await
            .expect("kubectl ends")
            .unwrap();
        Output {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed; arguments are split at spaces.
    async fn run(&self, line: &str) -> String {
        self.feed(line, "").await
    }

    async fn feed(&self, line: &str, input: &str) -> String {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let output = self.run_with(&arguments, input).await;
        assert!(output.success, "kubectl {line}\n{}\n{}", output.stdout, output.stderr);
        output.stdout
    }

    /// Runs a command that must fail, and returns what it says.
    async fn fail(&self, line: &str, input: &str) -> String {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let output = self.run_with(&arguments, input).await;
        assert!(!output.success, "kubectl {line}\n{}", output.stdout);
        output.stderr
    }

    fn directory(&self) -> &Path {
        self.cluster.directory.path()
    }
}

const MANIFEST: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'web:1', ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
";

#[tokio::test]
async fn apply_shows_and_changes_what_is_there() {
    let Some(kubectl) = Kubectl::start().await else { return };
    let text = kubectl.feed("apply -f -", MANIFEST).await;
    assert_eq!(text, "deployment.apps/web created\nservice/web created\n");
    let text = kubectl.feed("apply -f -", MANIFEST).await;
    assert_eq!(text, "deployment.apps/web unchanged\nservice/web unchanged\n");
    let changed = MANIFEST.replace("web:1", "web:2");
    let text = kubectl.run_with(&["diff", "-f", "-"], &changed).await;
    assert!(
        text.stdout.contains("-      - image: web:1") && text.stdout.contains("+      - image: web:2"),
        "{}{}",
        text.stdout,
        text.stderr
    );
    let text = kubectl.feed("apply -f -", &changed).await;
    assert_eq!(text, "deployment.apps/web configured\nservice/web unchanged\n");
    let text = kubectl.run("get deploy,svc -o wide").await;
    assert!(
        text.contains("deployment.apps/web   0/2") && text.contains("web:2") && text.contains("service/web"),
        "{text}"
    );
    let text = kubectl.run("get all").await;
    assert!(text.contains("deployment.apps/web") && text.contains("service/kubernetes"), "{text}");
    let misspelt = MANIFEST.replace("replicas", "replcas");
    let text = kubectl.fail("apply -f -", &misspelt).await;
    // Older ones check by themselves, in other words.
    assert!(text.contains("unknown field \"") && text.contains("replcas\""), "{text}");
    let text = kubectl.feed("delete -f -", MANIFEST).await;
    assert_eq!(text, "deployment.apps \"web\" deleted\nservice \"web\" deleted\n");
}

#[tokio::test]
async fn apply_on_the_server_tells_conflicts() {
    let Some(kubectl) = Kubectl::start().await else { return };
    let text = kubectl.feed("apply --server-side -f -", MANIFEST).await;
    assert_eq!(text, "deployment.apps/web serverside-applied\nservice/web serverside-applied\n");
    kubectl.run("set image deploy/web web=web:9").await;
    let text = kubectl.fail("apply --server-side -f -", MANIFEST).await;
    assert!(
        text.contains("conflict with \"kubectl-set\" using apps/v1")
            && text.contains(".spec.template.spec.containers[name=\"web\"].image"),
        "{text}"
    );
    let text = kubectl.feed("apply --server-side --force-conflicts -f -", MANIFEST).await;
    assert_eq!(text, "deployment.apps/web serverside-applied\nservice/web serverside-applied\n");
    let text = kubectl.run("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}").await;
    assert_eq!(text, "web:1");
    let text = kubectl.feed("apply --server-side --dry-run=server -f -", MANIFEST).await;
    assert!(text.contains("serverside-applied (server dry run)"), "{text}");
}

#[tokio::test]
async fn objects_are_labelled_scaled_patched_and_restarted() {
    let Some(kubectl) = Kubectl::start().await else { return };
    kubectl.feed("apply -f -", MANIFEST).await;
    assert_eq!(kubectl.run("label deploy web tier=front").await, "deployment.apps/web labeled\n");
    assert_eq!(kubectl.run("annotate deploy web note=x").await, "deployment.apps/web annotated\n");
    assert_eq!(kubectl.run("scale deploy web --replicas=5").await, "deployment.apps/web scaled\n");
    assert_eq!(kubectl.run("set image deploy/web web=web:7").await, "deployment.apps/web image updated\n");
    assert_eq!(kubectl.run("set env deploy/web A=b").await, "deployment.apps/web env updated\n");
    assert_eq!(kubectl.run("rollout restart deploy/web").await, "deployment.apps/web restarted\n");
    assert_eq!(kubectl.run("patch deploy web -p {\"spec\":{\"paused\":true}}").await, "deployment.apps/web patched\n");
    let (_, deployment) = kubectl.cluster.get("/apis/apps/v1/namespaces/default/deployments/web").await;
    assert_eq!(deployment["spec"]["replicas"], 5);
    assert_eq!(deployment["metadata"]["labels"]["tier"], "front");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["image"], &container["env"][0]["value"]), (&json!("web:7"), &json!("b")));
    assert!(deployment["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string());
    let text = kubectl.run("get deploy -l tier=front -o name").await;
    assert_eq!(text, "deployment.apps/web\n");
    let text = kubectl.run("describe deploy web").await;
    assert!(text.contains("Replicas:") && text.contains("5 desired"), "{text}");
    assert_eq!(kubectl.run("expose deploy web --port=80 --name=front").await, "service/front exposed\n");
    assert_eq!(
        kubectl.run("autoscale deploy web --max=9").await,
        "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    );
}

#[tokio::test]
async fn a_rollout_is_followed_to_its_end() {
    let Some(kubectl) = Kubectl::start().await else { return };
    kubectl.feed("apply -f -", MANIFEST).await;
    let mut follow = kubectl.command(&["rollout", "status", "deploy/web", "--timeout=30s"]).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.starts_with("Waiting for deployment"), "{first}");
    let status = json!({"status": {
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        "conditions": [{"type": "Available", "status": "True", "reason": "r", "message": "m"}],
    }});
    let (code, body) = kubectl.cluster.merge("/apis/apps/v1/namespaces/default/deployments/web/status", &status).await;
    assert_eq!(code, 200, "{body}");
    let mut last = first;
    while let Some(line) = lines.next_line().await.unwrap() {
        last = line;
    }
    assert_eq!(last, "deployment \"web\" successfully rolled out");
    assert!(follow.wait().await.unwrap().success());
    assert_eq!(
        kubectl.run("wait deploy/web --for=condition=Available --timeout=5s").await,
        "deployment.apps/web condition met\n"
    );
}

#[tokio::test]
async fn a_get_follows_changes() {
    let Some(kubectl) = Kubectl::start().await else { return };
    let mut follow = kubectl.command(&["get", "cm", "-w", "--no-headers"]).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    // The list may come before or after: the watch tells it either way.
    kubectl.run("create configmap seen --from-literal=a=1").await;
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("seen") {
                return line;
            }
        }
        panic!("the watch ended")
    };
    let line = tokio::time::timeout(Duration::from_secs(20), found).await.expect("the watch tells the new object");
    assert!(line.split_whitespace().nth(1) == Some("1"), "{line}");
    follow.start_kill().unwrap();
    follow.wait().await.unwrap();
}

#[tokio::test]
async fn protobuf_bodies_are_understood() {
    let Some(kubectl) = Kubectl::start().await else { return };
    assert_eq!(kubectl.run("create configmap c --from-literal=a=1").await, "configmap/c created\n");
    assert_eq!(kubectl.run("create secret generic s --from-literal=a=1").await, "secret/s created\n");
    assert_eq!(kubectl.run("create deployment d --image=web:1 --port=80").await, "deployment.apps/d created\n");
    assert_eq!(kubectl.run("create namespace n").await, "namespace/n created\n");
    assert_eq!(kubectl.run("create serviceaccount a").await, "serviceaccount/a created\n");
    assert_eq!(kubectl.run("create job j --image=web:1").await, "job.batch/j created\n");
    assert_eq!(
        kubectl.run("create role r --verb=get --resource=pods").await,
        "role.rbac.authorization.k8s.io/r created\n"
    );
    assert_eq!(
        kubectl.run("create rolebinding r --role=r --serviceaccount=default:a").await,
        "rolebinding.rbac.authorization.k8s.io/r created\n"
    );
    assert_eq!(kubectl.run("auth can-i create pods").await, "yes\n");
    let text = kubectl.run_with(&["auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:a"], "").await;
    assert_eq!(text.stdout, "no\n", "{}", text.stderr);
    assert_eq!(kubectl.run("auth can-i get pods --as=system:serviceaccount:default:a").await, "yes\n");
    let text = kubectl.run("auth can-i --list --as=system:serviceaccount:default:a").await;
    assert!(text.contains("pods"), "{text}");
    // Clients before 1.27 and 1.24 do not know these two.
    let whoami = kubectl.run_with(&["auth", "whoami"], "").await;
    assert!(whoami.stdout.contains("admin") || whoami.stderr.contains("unknown command"), "{}", whoami.stderr);
    let created = kubectl.run_with(&["create", "token", "a"], "").await;
    let token = if created.stderr.contains("unknown") || created.stderr.contains("must specify") {
        let path = "/api/v1/namespaces/default/serviceaccounts/a/token";
        kubectl.cluster.post(path, &json!({"spec": {}})).await.1["status"]["token"].as_str().unwrap().to_owned()
    } else {
        created.stdout
    };
    assert_eq!(token.trim().split('.').count(), 3, "{token} {}", created.stderr);
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> =
        kube::Api::namespaced(kubectl.listening.token_client(Some(token.trim())), "default");
    assert!(
        matches!(pods.get("x").await.unwrap_err(), kube::Error::Api(status) if status.code == 404),
        "allowed, and not there"
    );
    let (_, secret) = kubectl.cluster.get("/api/v1/namespaces/default/secrets/s").await;
    assert_eq!(secret["data"]["a"], "MQ==");
    assert_eq!(kubectl.run("delete configmap c").await, "configmap \"c\" deleted\n");
}

#[tokio::test]
async fn what_is_served_is_explained() {
    let Some(kubectl) = Kubectl::start().await else { return };
    let text = kubectl.run("api-resources").await;
    assert!(
        text.lines().any(|line| line.starts_with("deployments") && line.contains("deploy") && line.contains("apps/v1")),
        "{text}"
    );
    let text = kubectl.run("api-versions").await;
    assert!(text.contains("batch/v1\n") && text.ends_with("v1\n"), "{text}");
    let text = kubectl.run("explain deployment.spec.replicas").await;
    assert!(text.contains("replicas <integer>"), "{text}");
    let text = kubectl.run("version -o json").await;
    let version: Value = serde_json::from_str(&text).unwrap();
    assert!(version["serverVersion"]["gitVersion"].as_str().unwrap().starts_with("v1."), "{text}");
    let definition = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boxes.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Box, plural: boxes, shortNames: [bx]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, description: How large it is}}}
";
    kubectl.feed("apply -f -", definition).await;
    kubectl.run("wait crd/boxes.example.com --for=condition=Established --timeout=5s").await;
    let text = kubectl
        .feed("apply -f -", "apiVersion: example.com/v1\nkind: Box\nmetadata: {name: b}\nspec: {size: 3}\n")
        .await;
    assert_eq!(text, "box.example.com/b created\n");
    let text = kubectl.run("get bx --no-headers").await;
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["b", "3"], "{text}");
    let text = kubectl.run("explain box.spec.size").await;
    assert!(text.contains("How large it is"), "{text}");
    let text = kubectl
        .feed(
            "apply --server-side -f -",
            "apiVersion: example.com/v1\nkind: Box\nmetadata: {name: c}\nspec: {size: 4}\n",
        )
        .await;
    assert_eq!(text, "box.example.com/c serverside-applied\n");
    assert!(kubectl.directory().join("kubeconfig").exists());
}
