// Requirements, the matrix and evidence as a person works with them, in a project of the test's own.
import { type Api, expect, look, seriousFindings, settled, test } from './support';

const API = 'maru.dev/v1alpha1';
const LANGUAGES = ['en', 'ko'] as const;

const WORDS = {
  en: {
    verdicts: 'Verdicts',
    notMeasured: /Not measured/,
    conforming: /Conforming/,
    priority: 'Priority',
    should: 'Should',
    lint: 'Text and links',
    suspectLinks: 'Suspect links',
    findings: 'Findings in the text',
    derivation: 'Derivation',
    reviewed: 'Reviewed: it still follows',
    approve: 'Approve as customer',
    comment: 'Why',
    sign: 'Sign',
    checks: 'Checks',
    met: 'Met',
    approvals: 'Approvals',
    verification: 'Verification',
    right: 'right',
    download: 'Download: Envelope',
    from: 'From',
    changes: 'Changes',
    changed: /Changed/,
    added: /Added/,
    details: /What changed in fr-2/,
    requirements: 'Requirements',
    matrix: 'Traceability matrix',
    stands: 'Stands',
    verified: /Verified/,
    evidence: 'Evidence',
    filter: 'Filter',
    gone: 'There is no such requirement',
    gaps: 'Gaps',
    withoutDesign: /without design/,
  },
  ko: {
    verdicts: '판정별 개수',
    notMeasured: /미측정/,
    conforming: /적합/,
    priority: '우선순위',
    should: '권장',
    lint: '문장과 연결',
    suspectLinks: '재검토할 연결',
    findings: '문장 지적',
    derivation: '파생 관계',
    reviewed: '검토함: 그대로 유효',
    approve: 'customer(으)로 승인',
    comment: '사유',
    sign: '서명',
    checks: '검증',
    met: '충족',
    approvals: '승인',
    verification: '검증',
    right: '맞음',
    download: '내려받기: 봉투',
    from: '이전',
    changes: '변경별 개수',
    changed: /^\d+\s*변경$/,
    added: /추가/,
    details: /fr-2 변경 내용/,
    requirements: '요구사항',
    matrix: '추적표',
    stands: '검증',
    verified: /검증됨/,
    evidence: '증거',
    filter: '필터',
    gone: '요구사항이 없습니다',
    gaps: '빠진 것',
    withoutDesign: /설계 없음/,
  },
} as const;

/** A project with a goal, what derives from it, a vague word, an acceptance and a link whose parent was worded anew. */
async function project(api: Api): Promise<string> {
  const namespace = await api.namespace('spine');
  const make = (kind: string, name: string, spec: object) =>
    api.create({ apiVersion: API, kind, metadata: { name, namespace }, spec });
  await make('Project', namespace, { title: { ko: '시험 가게', en: 'A shop to try' }, language: 'ko' });
  await make('Requirement', 'goal-1', {
    statement: { ko: '고객은 물건을 살 수 있어야 한다.', en: 'A customer shall be able to buy things.' },
    source: { document: 'RFP-1', clause: '1' },
  });
  await make('Requirement', 'fr-1', {
    title: { ko: '받아들이기', en: 'Acceptance' },
    statement: { ko: '고객은 시연을 받아들여야 한다.', en: 'The customer shall accept the demonstration.' },
    priority: 'must',
    derivedFrom: [{ name: 'goal-1' }],
    allocatedTo: ['shop'],
    criterion: { indicator: 'acceptance', by: 'customer' },
    verify: [{ approval: { role: 'customer' } }],
  });
  await make('Requirement', 'fr-2', {
    title: { ko: '빠른 화면', en: 'A quick page' },
    statement: { ko: '가게는 화면을 빠르게 보여 주어야 한다.', en: 'The shop shall quickly show the page.' },
    priority: 'should',
    derivedFrom: [{ name: 'goal-1', fingerprint: `sha256:${'a'.repeat(64)}` }],
  });
  await make('WorkItem', 'task-1', {
    title: { ko: '시연하기', en: 'Demonstrate' },
    type: 'task',
    state: 'done',
    requirements: ['fr-1'],
    commits: ['2948997'],
  });
  const path = `/apis/${API}/namespaces/${namespace}/requirements/fr-2`;
  await expect
    .poll(async () => (await api.get<{ status?: { suspect?: unknown[] } }>(path)).status?.suspect?.length ?? 0)
    .toBe(1);
  return namespace;
}

test('no letter is lost, however fast somebody types and however slow the page is', async ({ page, api }) => {
  const namespace = await project(api);
  await look(page, { language: 'en', theme: 'light', width: 1280 });
  await page.goto(`/spine/requirements?project=${namespace}`);
  await expect(page.getByRole('table', { name: 'Requirements' }).getByRole('row')).toHaveCount(4);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: 8 });
  const field = page.getByRole('textbox', { name: 'Filter' });
  for (const delay of [5, 20, 80]) {
    await field.fill('');
    await field.pressSequentially('acceptance of what is asked', { delay });
    await expect(field).toHaveValue('acceptance of what is asked');
    await expect(page).toHaveURL(/q=acceptance\+of\+what\+is\+asked/);
    await expect(field).toHaveValue('acceptance of what is asked');
  }
});

for (const language of LANGUAGES) {
  const words = WORDS[language];

  test.describe(language, () => {
    test.beforeEach(async ({ page }) => {
      await look(page, { language, theme: 'light', width: 1280 });
    });

    test('requirements are found by verdict, priority, findings and words, and the address keeps it', async ({
      page,
      api,
    }) => {
      const namespace = await project(api);
      await page.goto(`/spine/requirements?project=${namespace}`);
      const table = page.getByRole('table', { name: words.requirements });
      await expect(table.getByRole('row')).toHaveCount(4);
      await page.getByRole('group', { name: words.verdicts }).getByRole('button', { name: words.notMeasured }).click();
      await expect(page).toHaveURL(/verdict=NotMeasured/);
      await page.getByRole('combobox', { name: words.priority }).click();
      await page.getByRole('option', { name: words.should }).click();
      await expect(table.getByRole('row')).toHaveCount(2);
      await page.getByRole('combobox', { name: words.lint }).click();
      await page.getByRole('option', { name: words.suspectLinks }).click();
      await expect(page).toHaveURL(/lint=suspect/);
      await page.reload();
      await expect(table.getByRole('link', { name: /fr-2/ })).toBeVisible();
      await expect(table.getByRole('row')).toHaveCount(2);
      await page.goto(`/spine/requirements?project=${namespace}`);
      await table.getByRole('link', { name: /fr-1/ }).press('/');
      await expect(page.getByRole('textbox', { name: words.filter })).toBeFocused();
      await page.keyboard.type(language === 'ko' ? '받아들이기' : 'acceptance');
      await expect(table.getByRole('row')).toHaveCount(2);
      await page.keyboard.press('Escape');
      await expect(table.getByRole('row')).toHaveCount(4);
    });

    test('a finding is read where it is, and a suspect link is reviewed', async ({ page, api }) => {
      const namespace = await project(api);
      await page.goto(`/spine/requirements/${namespace}/fr-2`);
      const mark = page.getByText(language === 'ko' ? '빠르게' : 'quickly', { exact: true }).first();
      await mark.hover();
      await expect(page.getByRole('tooltip')).toBeVisible();
      await expect(page.getByRole('list', { name: words.findings }).getByText('vague-word').first()).toBeVisible();
      const derivation = page.getByRole('region', { name: words.derivation });
      await expect(derivation.getByRole('link', { name: /goal-1/ }).first()).toBeVisible();
      await derivation.getByRole('button', { name: words.reviewed }).click();
      await expect(derivation.getByRole('button', { name: words.reviewed })).toHaveCount(0);
      await derivation
        .getByRole('link', { name: /goal-1/ })
        .first()
        .click();
      await expect(page).toHaveURL(new RegExp(`/${namespace}/goal-1$`));
      await expect(page.getByRole('heading', { level: 1, name: /goal-1/ })).toBeVisible();
    });

    test('a word of approval becomes a verdict, and its evidence stands up to being checked', async ({ page, api }) => {
      const namespace = await project(api);
      await page.goto(`/spine/requirements/${namespace}/fr-1`);
      await page.getByRole('button', { name: words.approve }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel(words.comment).fill(language === 'ko' ? '잘 됩니다' : 'It works');
      await dialog.getByRole('button', { name: words.sign }).click();
      await expect(dialog).toHaveCount(0);
      const checks = page.getByRole('region', { name: words.checks, exact: true });
      await expect(checks.getByText(words.met, { exact: true })).toBeVisible();
      await expect(page.getByRole('region', { name: words.approvals, exact: true })).toContainText(
        language === 'ko' ? '잘 됩니다' : 'It works',
      );
      expect(await seriousFindings(page)).toEqual([]);
      await checks.getByRole('link', { name: /^sha256-/ }).click();
      const verification = page.getByRole('region', { name: words.verification, exact: true });
      await expect(verification.getByText(words.right, { exact: true })).toHaveCount(5);
      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: words.download }).click();
      expect((await download).suggestedFilename()).toMatch(/^sha256-[0-9a-f]+\.json$/);
      expect(await seriousFindings(page)).toEqual([]);
      await page.goto(`/spine/evidence?project=${namespace}`);
      await page.getByRole('group', { name: words.stands }).getByRole('button', { name: words.verified }).click();
      await expect(page.getByRole('table', { name: words.evidence }).getByRole('row')).toHaveCount(2);
      expect(await seriousFindings(page)).toEqual([]);
    });

    test('the matrix shows gaps, and what changed since a baseline, word by word', async ({ page, api }) => {
      const namespace = await project(api);
      const baselines = `/apis/${API}/namespaces/${namespace}/baselines`;
      await api.create({ apiVersion: API, kind: 'Baseline', metadata: { name: 'v1', namespace }, spec: {} });
      await expect
        .poll(async () => (await api.get<{ status?: { content?: string } }>(`${baselines}/v1`)).status?.content)
        .toBeTruthy();
      await api.patch(`/apis/${API}/namespaces/${namespace}/requirements/fr-2`, {
        spec: {
          statement: { ko: '가게는 화면을 1초 안에 보여 주어야 한다.', en: 'The shop shall show the page within 1 s.' },
        },
      });
      await api.create({
        apiVersion: API,
        kind: 'Requirement',
        metadata: { name: 'fr-3', namespace },
        spec: { statement: 'The shop shall sell.', derivedFrom: [{ name: 'goal-1' }] },
      });
      await page.goto(`/spine/matrix?project=${namespace}`);
      const table = page.getByRole('table', { name: words.matrix });
      await expect(table.getByRole('row')).toHaveCount(5);
      await page.getByRole('group', { name: words.gaps }).getByRole('button', { name: words.withoutDesign }).click();
      await expect(table.getByRole('row')).toHaveCount(3);
      await page.getByRole('group', { name: words.gaps }).getByRole('button', { name: words.withoutDesign }).click();
      await page.getByRole('combobox', { name: words.from }).click();
      await page.getByRole('option', { name: /^v1/ }).click();
      await expect(page).toHaveURL(/from=v1/);
      const changes = page.getByRole('group', { name: words.changes });
      await expect(changes.getByRole('button', { name: words.added })).toContainText('1');
      await changes.getByRole('button', { name: words.changed }).click();
      await expect(table.getByRole('row')).toHaveCount(2);
      expect(await seriousFindings(page)).toEqual([]);
      await table.getByRole('button', { name: words.details }).click();
      const drawer = page.getByRole('dialog', { name: words.details });
      await expect(drawer.getByRole('deletion').first()).toContainText(language === 'ko' ? '빠르게' : 'quickly');
      await expect(drawer.getByRole('insertion').first()).toContainText(language === 'ko' ? '1초' : 'within');
    });

    test('a requirement that is not there says so', async ({ page, api }) => {
      const namespace = await project(api);
      await page.goto(`/spine/requirements/${namespace}/nothing`);
      await expect(page.getByRole('heading', { name: words.gone })).toBeVisible();
      await settled(page);
    });
  });
}
