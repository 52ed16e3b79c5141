// What the shop's Node services share: HTTP, health, metrics, structured logs, failure switches.
'use strict';
const http = require('node:http');

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1, 2.5, 5];

class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class Service {
  constructor(name, ready = async () => {}) {
    this.name = name;
    this.ready = ready;
    this.routes = [];
    this.failures = { slow_ms: 0, slow_ratio: 1, error_ratio: 0, leak_bytes: 0 };
    this.leaked = [];
    this.requests = new Map();
    this.durations = new Map();
  }

  route(method, path, answer) {
    const pattern = new RegExp('^' + path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)') + '$');
    this.routes.push({ method, path, pattern, answer });
  }

  log(level, message, fields = {}) {
    console.log(JSON.stringify({ time: new Date().toISOString(), level, service: this.name, message, ...fields }));
  }

  changeFailures(wanted) {
    if (wanted.crash) process.exit(42);
    for (const [key, value] of Object.entries(wanted)) {
      if (!(key in this.failures)) throw new HttpError(400, `there is no failure switch "${key}"`);
      if (typeof value !== 'number' || value < 0) throw new HttpError(400, `${key} must be a number of at least 0`);
      this.failures[key] = value;
    }
  }

  async strike() {
    const { slow_ms, slow_ratio, error_ratio, leak_bytes } = this.failures;
    if (leak_bytes) this.leaked.push(Buffer.alloc(leak_bytes, 1));
    if (slow_ms && Math.random() < slow_ratio) await new Promise((done) => setTimeout(done, slow_ms));
    if (Math.random() < error_ratio) throw new HttpError(500, 'a failure switch is on');
  }

  async answer(method, path, body) {
    if (path === '/healthz') return [200, path, { status: 'ok' }];
    if (path === '/readyz') {
      try {
        await this.ready();
        return [200, path, { status: 'ready' }];
      } catch (error) {
        return [503, path, { error: error.message }];
      }
    }
    if (path === '/admin/failures') {
      if (method === 'POST') this.changeFailures(JSON.parse(body || '{}'));
      return [200, path, this.failures];
    }
    for (const route of this.routes) {
      const match = route.method === method && route.pattern.exec(path);
      if (match) {
        await this.strike();
        const [status, content] = await route.answer(match.groups || {}, body ? JSON.parse(body) : undefined);
        return [status, route.path, content];
      }
    }
    return [404, 'unknown', { error: `${this.name} has no ${method} ${path}` }];
  }

  count(method, route, status, seconds) {
    const key = `method="${method}",route="${route}",code="${status}"`;
    this.requests.set(key, (this.requests.get(key) || 0) + 1);
    const labels = `method="${method}",route="${route}"`;
    const entry = this.durations.get(labels) || { buckets: new Array(BUCKETS.length + 1).fill(0), sum: 0 };
    const index = BUCKETS.findIndex((bound) => seconds <= bound);
    entry.buckets[index < 0 ? BUCKETS.length : index] += 1;
    entry.sum += seconds;
    this.durations.set(labels, entry);
  }

  metrics() {
    const lines = ['# TYPE http_requests_total counter'];
    for (const [labels, value] of this.requests) lines.push(`http_requests_total{${labels}} ${value}`);
    lines.push('# TYPE http_request_duration_seconds histogram');
    for (const [labels, { buckets, sum }] of this.durations) {
      let seen = 0;
      buckets.forEach((value, index) => {
        seen += value;
        lines.push(`http_request_duration_seconds_bucket{${labels},le="${BUCKETS[index] ?? '+Inf'}"} ${seen}`);
      });
      lines.push(`http_request_duration_seconds_sum{${labels}} ${sum}`);
      lines.push(`http_request_duration_seconds_count{${labels}} ${seen}`);
    }
    return lines.join('\n') + '\n';
  }

  serve(port = 8080) {
    const server = http.createServer(async (request, response) => {
      const started = process.hrtime.bigint();
      const path = request.url.split('?')[0];
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      if (path === '/metrics') {
        response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(this.metrics());
        return;
      }
      let status, route, content;
      try {
        [status, route, content] = await this.answer(request.method, path, Buffer.concat(chunks).toString());
      } catch (error) {
        const wrong = error instanceof SyntaxError ? 400 : 500;
        [status, route, content] = [error.status || wrong, path, { error: error.message }];
      }
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      if (path !== '/healthz' && path !== '/readyz') {
        this.count(request.method, status === 404 ? 'unknown' : route, status, seconds);
        this.log(status < 500 ? 'info' : 'error', 'request', {
          method: request.method, path, status, milliseconds: Math.round(seconds * 1e5) / 100,
          trace: request.headers.traceparent || '', ...(status >= 500 ? { error: content.error } : {}),
        });
      }
      const html = typeof content === 'string';
      response.writeHead(status, { 'content-type': html ? 'text/html; charset=utf-8' : 'application/json' });
      response.end(html ? content : JSON.stringify(content));
    });
    process.on('SIGTERM', () => {
      server.close(() => { this.log('info', 'stopped'); process.exit(0); });
      server.closeIdleConnections?.();
    });
    server.listen(port, '0.0.0.0', () => this.log('info', 'started', { port }));
  }
}

// Calls another service; returns its JSON answer or throws with its message.
function call(method, url, content) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, timeout: 3000, headers: { 'content-type': 'application/json' } }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode >= 400) {
          const status = response.statusCode < 500 ? response.statusCode : 502;
          reject(new HttpError(status, `${url} answered ${response.statusCode}: ${text}`));
        } else {
          resolve(JSON.parse(text));
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error('timed out')));
    request.on('error', (error) => reject(new HttpError(502, `${url} did not answer: ${error.message}`)));
    request.end(content === undefined ? undefined : JSON.stringify(content));
  });
}

module.exports = { Service, HttpError, call };
