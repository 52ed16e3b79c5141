// Every page in both languages, both colours and two widths: reachable by everybody, without errors, pictured for reviewers.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from '../src/paths';
import { type Api, expect, type Look, look, seriousFindings, settled, test, watchRules } from './support';

const LOOKS: Look[] = [1280, 390].flatMap((width) =>
  (['en', 'ko'] as const).flatMap((language) =>
    (['light', 'dark'] as const).map((theme) => ({ width: width as Look['width'], language, theme })),
  ),
);

interface Found {
  metadata: { name: string; namespace?: string };
}

const SPINE = '/apis/maru.dev/v1alpha1';
const first = async (api: Api, path: string) => (await api.items<Found>(path))[0]?.metadata;

/** The pages, and where to look for an object that one of them is about. A page without an object to show is left out. */
const PAGES: Record<string, (api: Api) => Promise<string | undefined>> = {
  home: async () => paths.home(),
  requirements: async () => paths.requirements(),
  requirement: async (api) => {
    const found = await first(api, `${SPINE}/requirements`);
    return found && paths.requirement(found.namespace ?? '', found.name);
  },
  matrix: async () => paths.matrix(),
  analysis: async () => paths.analysis(),
  gates: async () => paths.gates(),
  documents: async () => paths.documents(),
  'evidence-list': async () => paths.evidenceList(),
  evidence: async (api) => {
    const found = await first(api, `${SPINE}/evidence`);
    return found && paths.evidence(found.namespace ?? '', found.name);
  },
  topology: async () => paths.topology(),
  'topology-table': async () => `${paths.topology()}?view=table`,
  workloads: async () => paths.workloads(),
  kind: async () => paths.kind({ group: '', plural: 'pods' }),
  object: async (api) => {
    const found = await first(api, '/apis/apps/v1/deployments');
    return found && paths.object({ group: 'apps', plural: 'deployments' }, found.namespace, found.name);
  },
  'object-yaml': async (api) => {
    const found = await first(api, '/apis/apps/v1/deployments');
    return found && paths.object({ group: 'apps', plural: 'deployments' }, found.namespace, found.name, 'yaml');
  },
  create: async () => paths.create(),
  logs: async () => paths.logs(),
  explore: async () => paths.explore('up'),
  boards: async () => paths.boards(),
  board: async (api) => {
    const found = await first(api, `${SPINE}/boards`);
    return found && paths.board(found.namespace ?? '', found.name);
  },
  objectives: async () => paths.objectives(),
  objective: async (api) => {
    const found = await first(api, `${SPINE}/servicelevelobjectives`);
    return found && paths.objective(found.namespace ?? '', found.name);
  },
  alerts: async () => paths.alerts(),
  silences: async () => paths.silences(),
  settings: async () => paths.settings(),
};

const pictures = process.env.MARU_SCREENSHOTS;

for (const [name, addressOf] of Object.entries(PAGES)) {
  test(`${name}: everybody can use it`, async ({ api, browser, baseURL, storageState }) => {
    test.setTimeout(300_000);
    const address = await addressOf(api);
    test.skip(address === undefined, 'there is no object to show');
    for (const one of LOOKS) {
      const label = `${name}-${one.width}-${one.language}-${one.theme}`;
      await test.step(label, async () => {
        const context = await browser.newContext({
          ...(baseURL === undefined ? {} : { baseURL }),
          ...(storageState === undefined ? {} : { storageState }),
          reducedMotion: 'reduce',
        });
        const page = await context.newPage();
        const broken = watchRules(page);
        await look(page, one);
        await page.goto(address ?? '/');
        await settled(page);
        if (pictures !== undefined) {
          mkdirSync(pictures, { recursive: true });
          await page.screenshot({ path: join(pictures, `${label}.png`), fullPage: one.width === 390 });
        }
        expect.soft(await seriousFindings(page), `axe: ${label}`).toEqual([]);
        expect.soft(broken, `rules: ${label}`).toEqual([]);
        expect
          .soft(
            await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
            `wider than the screen: ${label}`,
          )
          .toBeLessThanOrEqual(0);
        await expect.soft(page.getByRole('heading', { level: 1 }), `one title: ${label}`).toHaveCount(1);
        expect.soft(await page.evaluate(() => document.documentElement.lang)).toBe(one.language);
        await context.close();
      });
    }
  });
}
