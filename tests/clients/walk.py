"""What a program does with a cluster, through the Python client. Usage: walk.py KUBECONFIG"""

import json
import socket
import sys
import time
import urllib.request

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import portforward, stream

PATIENCE = 90


def pod(name, script):
    container = {"name": "main", "image": "test/busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }


def expect(condition, what):
    if not condition:
        sys.exit(f"expected {what}")


def refused(call, status):
    try:
        call()
    except ApiException as error:
        expect(error.status == status, f"{status}, not {error.status}: {error.body}")
        return json.loads(error.body)
    sys.exit(f"expected a refusal with {status}")


def walk():
    core = client.CoreV1Api()
    web = "mkdir -p /www; echo page > /www/index.html; echo started; exec httpd -f -p 127.0.0.1:8080 -h /www"
    core.create_namespaced_pod("default", pod("web", web))
    expect(refused(lambda: core.create_namespaced_pod("default", pod("web", web)), 409)["reason"] == "AlreadyExists", "AlreadyExists")
    expect(refused(lambda: core.read_namespaced_pod("none", "default"), 404)["reason"] == "NotFound", "NotFound")
    broken = refused(lambda: core.create_namespaced_pod("default", {"metadata": {"name": "x"}, "spec": {}}), 422)
    expect("spec.containers" in broken["message"], f"spec.containers in {broken['message']}")

    for event in watch.Watch().stream(core.list_namespaced_pod, "default", label_selector="app=web", timeout_seconds=PATIENCE):
        if event["object"].status.phase == "Running":
            break
    else:
        sys.exit("expected a running pod")

    expect("started" in core.read_namespaced_pod_log("web", "default"), "the log")

    run = stream(
        core.connect_get_namespaced_pod_exec, "web", "default", command=["sh", "-c", "cat; echo err >&2; exit 3"],
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )
    run.write_stdin("in\n")
    out = ""
    while run.is_open() and "in" not in out:
        run.update(timeout=1)
        out += run.read_stdout() if run.peek_stdout() else ""
    expect("in" in out, f"what was typed, not {out!r}")
    run.close()
    said = stream(core.connect_get_namespaced_pod_exec, "web", "default", command=["echo", "hello"], stdout=True, stdin=False, tty=False, stderr=False)
    expect(said.strip() == "hello", f"hello, not {said!r}")

    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports="8080")
    connection = forward.socket(8080)
    connection.setblocking(True)
    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    deadline = time.monotonic() + PATIENCE
    while b"page" not in answer and time.monotonic() < deadline:
        answer += connection.recv(4096)
    expect(b"page" in answer, f"the page, not {answer!r}")
    connection.close()
    expect(forward.error(8080) is None, forward.error(8080))

    core.patch_namespaced_pod("web", "default", {"metadata": {"annotations": {"seen": "yes"}}})
    expect(core.read_namespaced_pod("web", "default").metadata.annotations["seen"] == "yes", "the annotation")


def own_kinds():
    api = client.ApiextensionsV1Api()
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}}}}
    api.create_custom_resource_definition({
        "metadata": {"name": "boats.sea.example"},
        "spec": {
            "group": "sea.example", "scope": "Namespaced", "names": {"kind": "Boat", "plural": "boats"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    })
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        conditions = api.read_custom_resource_definition("boats.sea.example").status.conditions or []
        if any(one.type == "Established" and one.status == "True" for one in conditions):
            break
    boats = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="sea.example/v1", kind="Boat")
    boat = {"apiVersion": "sea.example/v1", "kind": "Boat", "metadata": {"name": "one"}, "spec": {"size": 3}}
    boats.server_side_apply(body=boat, name="one", namespace="default", field_manager="walk")
    expect(boats.get(name="one", namespace="default").spec.size == 3, "the boat")
    custom = client.CustomObjectsApi()
    wrong = dict(boat, metadata={"name": "two"}, spec={"size": 0})
    refused(lambda: custom.create_namespaced_custom_object("sea.example", "v1", "default", "boats", wrong), 422)
    custom.delete_namespaced_custom_object("sea.example", "v1", "default", "boats", "one")
    api.delete_custom_resource_definition("boats.sea.example")


config.load_kube_config(sys.argv[1])
walk()
own_kinds()
print("done")
