// What all tests of the console share: a page that may not break rules, the API with the session of the link, and how the page looks.
import { AxeBuilder } from '@axe-core/playwright';
import {
  type APIRequestContext,
  type Browser,
  type BrowserContext,
  test as base,
  expect,
  type Page,
} from '@playwright/test';

export { expect };

export interface Look {
  language: 'en' | 'ko';
  theme: 'light' | 'dark';
  width: 1280 | 390;
}

/** Remembers what pages say to their console and what the content security policy refuses; none of it is expected. */
export function watchRules(page: Page): string[] {
  const broken: string[] = [];
  page.on('console', (message) => {
    // Chromium itself reports each answer that is no success; whether one is expected is the test's business.
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(message.text())) {
      broken.push(message.text());
    }
  });
  page.on('pageerror', (error) => broken.push(`${error.name}: ${error.message}`));
  return broken;
}

/** `page` whose breaches of rules fail the test at its end, and the API. */
export const test = base.extend<{ api: Api; broken: string[] }>({
  broken: [
    async ({ page }, use) => {
      const broken = watchRules(page);
      await use(broken);
      expect(broken, 'errors in the console, or refused by the content security policy').toEqual([]);
    },
    { auto: true },
  ],
  api: async ({ request, baseURL }, use) => {
    const api = new Api(request, baseURL ?? '');
    await use(api);
    await api.clean();
  },
});

interface Named {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; [field: string]: unknown };
  [field: string]: unknown;
}

const PLURALS: Record<string, string> = {
  Ingress: 'ingresses',
  NetworkPolicy: 'networkpolicies',
  Evidence: 'evidence',
};

/** Kubernetes' API through the console, as its page uses it. What is made here goes when the test ends. */
export class Api {
  readonly #made: string[] = [];

  constructor(
    private readonly request: APIRequestContext,
    private readonly origin: string,
  ) {}

  /** The headers of a page of the console. */
  get headers(): Record<string, string> {
    return { origin: this.origin, 'sec-fetch-site': 'same-origin' };
  }

  async get<T = Named>(path: string): Promise<T> {
    const answer = await this.request.get(path, { headers: this.headers });
    expect(answer.ok(), `GET ${path}: ${answer.status()}`).toBe(true);
    return (await answer.json()) as T;
  }

  async items<T = Named>(path: string): Promise<T[]> {
    const answer = await this.request.get(path, { headers: this.headers });
    return answer.ok() ? ((await answer.json()) as { items: T[] }).items : [];
  }

  async create(object: Named): Promise<Named> {
    const collection = pathOf(object);
    const answer = await this.request.post(collection, { headers: this.headers, data: object });
    expect(answer.ok(), `POST ${collection}: ${answer.status()} ${answer.ok() ? '' : await answer.text()}`).toBe(true);
    this.#made.push(`${collection}/${object.metadata.name}`);
    return (await answer.json()) as Named;
  }

  async post<T>(path: string, data: unknown): Promise<T> {
    const answer = await this.request.post(path, { headers: this.headers, data });
    expect(answer.ok(), `POST ${path}: ${answer.status()} ${answer.ok() ? '' : await answer.text()}`).toBe(true);
    return (await answer.json()) as T;
  }

  async patch(path: string, data: unknown): Promise<void> {
    const headers = { ...this.headers, 'content-type': 'application/merge-patch+json' };
    const answer = await this.request.patch(path, { headers, data });
    expect(answer.ok(), `PATCH ${path}: ${answer.status()}`).toBe(true);
  }

  async delete(path: string): Promise<void> {
    await this.request.delete(path, { headers: this.headers, failOnStatusCode: false });
  }

  /** A namespace of this test's own. */
  async namespace(prefix: string): Promise<string> {
    const name = `${prefix}-${Math.random().toString(36).slice(2, 8)}`;
    await this.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    // Service accounts appear with the namespace; what follows may need them.
    await expect
      .poll(async () => (await this.items(`/api/v1/namespaces/${name}/serviceaccounts`)).length, { timeout: 30_000 })
      .toBeGreaterThan(0);
    return name;
  }

  /** The token of a new service account with a role that Kubernetes has: `view`, `edit`. */
  async tokenOf(namespace: string, role: string, everywhere = false): Promise<string> {
    const name = `${role}er-${Math.random().toString(36).slice(2, 8)}`;
    await this.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
    const subject = { kind: 'ServiceAccount', name, namespace };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role };
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    await this.create(
      everywhere
        ? { apiVersion, kind: 'ClusterRoleBinding', metadata: { name }, roleRef, subjects: [subject] }
        : { apiVersion, kind: 'RoleBinding', metadata: { name, namespace }, roleRef, subjects: [subject] },
    );
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
    return (await this.post<{ status: { token: string } }>(path, asked)).status.token;
  }

  async clean(): Promise<void> {
    for (const path of this.#made.splice(0).toReversed()) await this.delete(path);
  }
}

function pathOf(object: Named): string {
  const root = object.apiVersion.includes('/') ? `/apis/${object.apiVersion}` : `/api/${object.apiVersion}`;
  const plural = PLURALS[object.kind] ?? `${object.kind.toLowerCase()}s`;
  const { namespace } = object.metadata;
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}

/** A browser of somebody else, logged in with a token as a person does. */
export async function loginAs(browser: Browser, origin: string, token: string): Promise<BrowserContext> {
  const context = await browser.newContext({ baseURL: origin, storageState: { cookies: [], origins: [] } });
  const page = await context.newPage();
  await page.goto('/');
  await page.getByLabel(/^token/i).fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('navigation')).toBeVisible();
  return context;
}

/** Chooses language, colours and width for the pages that are opened next. */
export async function look(page: Page, wanted: Look): Promise<void> {
  await page.setViewportSize({ width: wanted.width, height: wanted.width === 390 ? 844 : 800 });
  await page.addInitScript(({ language, theme }) => {
    localStorage.setItem('maru.preferences', JSON.stringify({ language, timeZone: 'UTC' }));
    localStorage.setItem('mantine-color-scheme-value', theme);
  }, wanted);
}

/** Waits until a page has loaded what it shows. */
export async function settled(page: Page): Promise<void> {
  await expect(page.getByRole('main').getByRole('heading', { level: 1 }).first()).toBeVisible();
  await expect(page.getByRole('status', { name: /^(Loading…|불러오는 중…)$/ })).toHaveCount(0);
  await page.waitForLoadState('networkidle');
}

/** The findings of axe that keep people from using a page. */
export async function seriousFindings(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .filter((one) => one.impact === 'serious' || one.impact === 'critical')
    .map(
      (one) =>
        `${one.id} (${one.impact}): ${one.help}: ${one.nodes
          .map((node) => `${node.target.join(' ')} (${node.any.map((check) => check.message).join(', ')})`)
          .join('; ')}`,
    );
}
