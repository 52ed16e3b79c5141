// What others write is text and nothing else; nothing is offered that the API refuses; a lost connection comes back; sessions end.
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Page } from '@playwright/test';
import { expect, loginAs, settled, test } from './support';

const SPINE = 'maru.dev/v1alpha1';
/** HTML, SVG and Markdown that would leave a trace if any of it were obeyed. */
const HOSTILE = [
  '<img src=x onerror="window.trace=1">',
  '<svg onload="window.trace=2"></svg>',
  '<script>window.trace=3</script>',
  '[click](javascript:window.trace=4)',
  '![x](http://attacker.invalid/x.png)',
].join(' ');

async function expectNoTrace(page: Page): Promise<void> {
  expect(await page.evaluate(() => (window as { trace?: number }).trace)).toBeUndefined();
  await expect(page.locator('img[src="x"], script:not([src]), a[href^="javascript:"]')).toHaveCount(0);
}

test('names, labels, annotations and statements are text', async ({ page, api }) => {
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    if (new URL(request.url()).hostname === 'attacker.invalid') elsewhere.push(request.url());
  });
  const namespace = await api.namespace('hostile');
  const annotations = { 'example.org/note': HOSTILE };
  await api.create({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'hostile', namespace, annotations },
    data: { 'a.html': HOSTILE },
  });
  await api.create({
    apiVersion: SPINE,
    kind: 'Project',
    metadata: { name: 'hostile', namespace },
    spec: { title: HOSTILE },
  });
  await api.create({
    apiVersion: SPINE,
    kind: 'Requirement',
    metadata: { name: 'fr-001', namespace, annotations },
    spec: {
      title: HOSTILE,
      statement: { en: HOSTILE, ko: HOSTILE },
      priority: 'must',
      source: { document: HOSTILE, clause: '1' },
      verify: [{ approval: { role: 'customer' } }],
    },
  });
  for (const path of [
    '/',
    `/?project=${namespace}`,
    `/workloads/configmaps/-?namespace=${namespace}`,
    `/workloads/configmaps/${namespace}/hostile`,
    `/workloads/configmaps/${namespace}/hostile?tab=yaml`,
    `/spine/requirements?project=${namespace}`,
    `/spine/requirements/${namespace}/fr-001`,
    `/spine/matrix?project=${namespace}`,
    `/topology?namespace=${encodeURIComponent(HOSTILE)}`,
    `/spine/requirements?q=${encodeURIComponent(HOSTILE)}`,
  ]) {
    await page.goto(path);
    await page.waitForLoadState('networkidle');
    await expectNoTrace(page);
  }
  await page.goto(`/spine/requirements/${namespace}/fr-001`);
  await expect(page.getByText('onerror="window.trace=1"').first()).toBeVisible();
  expect(elsewhere, 'requests to other hosts').toEqual([]);
});

test('lines of logs are text', async ({ page, api }) => {
  const namespace = await api.namespace('hostile-log');
  await api.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'hostile', namespace },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'app',
          image: 'maru/base:latest',
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-c', 'printf "%s\\n" "$LINE"; printf "\\033[31m%s\\033[0m\\n" "$LINE"; sleep 600'],
          env: [{ name: 'LINE', value: HOSTILE }],
        },
      ],
    },
  });
  await page.goto(`/workloads/pods/${namespace}/hostile?tab=logs`);
  await expect(page.getByText('onerror="window.trace=1"').first()).toBeVisible({ timeout: 60_000 });
  await expectNoTrace(page);
});

test('the page cannot be framed, and sends nobody elsewhere', async ({ page, request, baseURL }) => {
  const answer = await request.get('/');
  expect(answer.headers()['content-security-policy']).toContain("frame-ancestors 'none'");
  // Somebody else's page tries: the browser shows nothing of ours in it.
  await page.route('http://attacker.invalid/', (route) =>
    route.fulfill({ contentType: 'text/html', body: `<iframe src="${baseURL}/" title="victim"></iframe>` }),
  );
  await page.goto('http://attacker.invalid/');
  await expect.poll(() => page.frames().length).toBe(2);
  await expect(page.frameLocator('iframe').getByRole('navigation')).toHaveCount(0);
  const framed = page.frames().find((frame) => frame !== page.mainFrame());
  expect(framed?.url() ?? '', 'what stands in the frame').not.toBe(`${baseURL}/`);
  for (const next of [
    '//attacker.invalid/',
    'https://attacker.invalid/',
    '/\\attacker.invalid',
    'javascript:alert(1)',
  ]) {
    await page.goto(`/login?code=none&next=${encodeURIComponent(next)}`).catch(() => undefined);
    expect(new URL(page.url()).origin).toBe(baseURL);
  }
});

test('who only reads is offered nothing that the API refuses', async ({ browser, api, baseURL }) => {
  const namespace = await api.namespace('viewer');
  await api.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'none' }] } },
    },
  });
  const token = await api.tokenOf(namespace, 'view');
  const context = await loginAs(browser, baseURL ?? '', token);
  const page = await context.newPage();
  const refused: string[] = [];
  page.on('response', (response) => {
    const method = response.request().method();
    if (response.status() === 403 && method !== 'GET' && method !== 'HEAD') refused.push(`${method} ${response.url()}`);
  });
  for (const path of [
    '/',
    `/workloads/deployments.apps?namespace=${namespace}`,
    `/workloads/deployments.apps/${namespace}/web`,
    `/workloads/deployments.apps/${namespace}/web?tab=yaml`,
    `/topology?namespace=${namespace}`,
  ]) {
    await page.goto(path);
    await settled(page);
    const acts = page
      .getByRole('main')
      .getByRole('button', { name: /^(delete|scale|restart|undo|apply|save|create|pause|resume|drain|cordon)\b/i });
    for (const act of await acts.all()) {
      await expect(act, `${path}: ${await act.textContent()}`).toBeDisabled();
    }
  }
  expect(refused).toEqual([]);
  await context.close();
});

test('a lost connection is shown, and comes back without a reload', async ({ browser, api, baseURL, storageState }) => {
  const wire = await Wire.to(new URL(baseURL ?? ''));
  const context = await browser.newContext({
    baseURL: wire.origin,
    ...(storageState === undefined ? {} : { storageState }),
  });
  const page = await context.newPage();
  const namespace = await api.namespace('wire');
  await page.goto(`/workloads/configmaps?namespace=${namespace}`);
  await settled(page);
  await page.evaluate(() => Object.assign(window, { stayed: true }));
  wire.cut();
  const lost = page.getByText(/The connection is lost/);
  await expect(lost).toBeVisible();
  await api.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made-meanwhile', namespace } });
  await wire.mend();
  await expect(lost).toHaveCount(0);
  await expect(page.getByText('made-meanwhile')).toBeVisible();
  expect(await page.evaluate(() => (window as { stayed?: boolean }).stayed)).toBe(true);
  await context.close();
  wire.cut();
});

test('a session that is ended elsewhere ends here', async ({ browser, api, baseURL }) => {
  const namespace = await api.namespace('sessions');
  const token = await api.tokenOf(namespace, 'view');
  const [here, there] = [await loginAs(browser, baseURL ?? '', token), await loginAs(browser, baseURL ?? '', token)];
  const page = await there.newPage();
  await page.goto('/settings');
  await page.getByRole('button', { name: 'Log out everywhere' }).click();
  const [other] = here.pages();
  for (const one of [page, ...(other ? [other] : [])]) {
    await one.bringToFront();
    await expect(one.getByRole('heading', { name: 'Log in to Maru' })).toBeVisible({ timeout: 30_000 });
  }
  await here.close();
  await there.close();
});

/** A wire to Maru that can be cut: the page speaks to another port of this machine. */
class Wire {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  private constructor(private readonly to: URL) {}

  static async to(target: URL): Promise<Wire> {
    const wire = new Wire(target);
    await wire.mend();
    return wire;
  }

  get origin(): string {
    return `${this.to.protocol}//${this.to.hostname}:${this.#port}`;
  }

  async mend(): Promise<void> {
    const server = createServer((near) => {
      const far = connect(Number(this.to.port), this.to.hostname);
      for (const [one, other] of [[near, far] as const, [far, near] as const]) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    await new Promise<void>((done) => server.listen(this.#port, this.to.hostname, done));
    const address = server.address();
    if (typeof address === 'object' && address) this.#port = address.port;
    this.#server = server;
  }

  cut(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
