"""What the shop's Python services share: HTTP, health, metrics, structured logs, failure switches."""

import json
import os
import random
import re
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1, 2.5, 5)


class HttpError(Exception):
    """Ends a request with this status and message."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Failures:
    """Failure switches: slow (ms, ratio), errors (ratio), crash, leak (bytes a request)."""

    def __init__(self):
        self.settings = {"slow_ms": 0, "slow_ratio": 1.0, "error_ratio": 0.0, "leak_bytes": 0}
        self.leaked = []

    def change(self, wanted):
        if wanted.get("crash"):
            os._exit(42)
        for key, value in wanted.items():
            if key not in self.settings:
                raise HttpError(400, f"there is no failure switch {key!r}; there are {sorted(self.settings)} and 'crash'")
            if not isinstance(value, (int, float)) or value < 0:
                raise HttpError(400, f"{key} must be a number of at least 0")
            self.settings[key] = value

    def strike(self):
        settings = self.settings
        if settings["leak_bytes"]:
            self.leaked.append(bytearray(int(settings["leak_bytes"])))
        if settings["slow_ms"] and random.random() < settings["slow_ratio"]:
            time.sleep(settings["slow_ms"] / 1000)
        if random.random() < settings["error_ratio"]:
            raise HttpError(500, "a failure switch is on")


class Service:
    """An HTTP service with routes such as ``("GET", "/orders/{id}")``."""

    def __init__(self, name, ready=lambda: None):
        self.name = name
        self.ready = ready
        self.routes = []
        self.failures = Failures()
        self.lock = threading.Lock()
        self.requests = {}
        self.durations = {}

    def route(self, method, path):
        pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")

        def add(function):
            self.routes.append((method, path, pattern, function))
            return function

        return add

    def log(self, level, message, **fields):
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": level, "service": self.name}
        print(json.dumps({**line, "message": message, **fields}, ensure_ascii=False), flush=True)

    def count(self, method, route, status, seconds):
        with self.lock:
            key = (method, route, status)
            self.requests[key] = self.requests.get(key, 0) + 1
            buckets = self.durations.setdefault((method, route), [[0] * (len(BUCKETS) + 1), 0.0])
            index = next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
            buckets[0][index] += 1
            buckets[1] += seconds

    def metrics(self):
        lines = ["# TYPE http_requests_total counter"]
        with self.lock:
            for (method, route, status), value in sorted(self.requests.items()):
                lines.append(f'http_requests_total{{method="{method}",route="{route}",code="{status}"}} {value}')
            lines.append("# TYPE http_request_duration_seconds histogram")
            for (method, route), (buckets, total) in sorted(self.durations.items()):
                labels = f'method="{method}",route="{route}"'
                seen = 0
                for bound, value in zip((*BUCKETS, "+Inf"), buckets):
                    seen += value
                    lines.append(f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {seen}')
                lines.append(f'http_request_duration_seconds_sum{{{labels}}} {total:.6f}')
                lines.append(f'http_request_duration_seconds_count{{{labels}}} {seen}')
        return "\n".join(lines) + "\n"

    def answer(self, method, path, body):
        """Returns status, route and the answer's content."""
        if path == "/healthz":
            return 200, path, {"status": "ok"}
        if path == "/readyz":
            try:
                self.ready()
                return 200, path, {"status": "ready"}
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not ready
                return 503, path, {"error": str(error)}
        if path == "/admin/failures":
            if method == "POST":
                self.failures.change(json.loads(body or b"{}"))
            return 200, path, self.failures.settings
        for wanted, route, pattern, function in self.routes:
            match = pattern.match(path)
            if match and wanted == method:
                self.failures.strike()
                status, content = function(json.loads(body) if body else None, **match.groupdict())
                return status, route, content
        return 404, "unknown", {"error": f"{self.name} has no {method} {path}"}

    def serve(self, port=8080):
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                started = time.perf_counter()
                path = self.path.split("?")[0]
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if path == "/metrics":
                    return self.send(200, service.metrics().encode(), "text/plain; version=0.0.4")
                try:
                    status, route, content = service.answer(self.command, path, body)
                except HttpError as error:
                    status, route, content = error.status, path, {"error": str(error)}
                except json.JSONDecodeError as error:
                    status, route, content = 400, path, {"error": f"the body is not JSON: {error}"}
                except Exception as error:  # noqa: BLE001 - one request must not end the service
                    status, route, content = 500, path, {"error": f"{type(error).__name__}: {error}"}
                seconds = time.perf_counter() - started
                if path not in ("/healthz", "/readyz"):
                    service.count(self.command, route if status != 404 else "unknown", status, seconds)
                    service.log("info" if status < 500 else "error", "request", method=self.command, path=path,
                                status=status, milliseconds=round(seconds * 1000, 2),
                                **({"error": content["error"]} if status >= 500 else {}),
                                trace=self.headers.get("traceparent", ""))
                self.send(status, json.dumps(content, ensure_ascii=False).encode(), "application/json")

            do_GET = do_POST = do_DELETE = do_PUT = handle_any

            def send(self, status, content, content_type):
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("0.0.0.0", port), Handler)
        server.daemon_threads = True
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        self.log("info", "started", port=port)
        server.serve_forever()
        self.log("info", "stopped")
        sys.exit(0)


def call(method, url, content=None, timeout=3):
    """Calls another service; returns its JSON answer or raises HttpError with its message."""
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        message = error.read().decode(errors="replace")
        raise HttpError(error.code if error.code < 500 else 502, f"{url} answered {error.code}: {message}") from error
    except OSError as error:
        raise HttpError(502, f"{url} did not answer: {error}") from error
