// Conflicts, gates, approvals and documents as a person works with them, in a project of the test's own.
import { type Api, expect, look, seriousFindings, test } from './support';

const API = 'maru.dev/v1alpha1';
const LANGUAGES = ['en', 'ko'] as const;

const WORDS = {
  en: {
    infeasible: 'They cannot all hold',
    feasible: 'All can hold together',
    conflicts: 'Conflicts',
    alone: 'One requirement alone',
    attempt: 'Try',
    tried: /With the limits that you try/,
    reset: 'Back to what is written',
    stages: 'Stages',
    noBaseline: /the customer has not approved a baseline/,
    take: 'Take a baseline',
    name: 'Name',
    approve: 'Approve a baseline…',
    role: 'In the role',
    say: 'Record',
    approvals: 'Approvals',
    approved: 'approved',
    baselines: 'Baselines',
    make: 'Make a document',
    preview: /^Preview/,
    requirementsDefinition: 'Requirements definition',
  },
  ko: {
    infeasible: '모두 만족할 수는 없음',
    feasible: '모두 함께 만족할 수 있음',
    conflicts: '충돌',
    alone: '하나만 완화할 때',
    attempt: '시험',
    tried: /시험 중인 한도의 결과/,
    reset: '작성된 값으로 되돌리기',
    stages: '단계',
    noBaseline: /고객이 요구사항 기준선을 승인하지 않았습니다/,
    take: '기준선 만들기',
    name: '이름',
    approve: '기준선 승인…',
    role: '역할',
    say: '기록',
    approvals: '승인',
    approved: '승인',
    baselines: '기준선',
    make: '문서 만들기',
    preview: /^미리보기/,
    requirementsDefinition: '요구사항 정의서',
  },
} as const;

/** A project whose two requirements cannot both hold: what is available enough costs too much. */
async function project(api: Api, language: 'en' | 'ko'): Promise<string> {
  const namespace = await api.namespace('decide');
  const make = (kind: string, name: string, spec: object) =>
    api.create({ apiVersion: API, kind, metadata: { name, namespace }, spec });
  await make('Project', namespace, { title: { ko: '작은 가게', en: 'A small shop' }, language });
  await make('Architecture', 'web', {
    services: [
      {
        name: 'web',
        options: [
          { name: 'one', replicas: 1, availability: '99%', cost: '20000 KRW/month' },
          { name: 'two', replicas: 2, availability: '99.9%', cost: '90000 KRW/month' },
        ],
      },
    ],
  });
  await make('Requirement', 'nfr-1', {
    title: { ko: '가용성', en: 'Availability' },
    statement: { ko: '가게는 항상 열려 있어야 한다.', en: 'The shop shall be open.' },
    priority: 'must',
    allocatedTo: ['web'],
    criterion: { indicator: 'availability', atLeast: '99.9%', window: '30d' },
  });
  await make('Requirement', 'nfr-2', {
    title: { ko: '비용', en: 'Cost' },
    statement: { ko: '가게는 비싸지 않아야 한다.', en: 'The shop shall be cheap.' },
    priority: 'should',
    allocatedTo: ['web'],
    criterion: { indicator: 'cost', atMost: '50000 KRW/month' },
  });
  return namespace;
}

for (const language of LANGUAGES) {
  const words = WORDS[language];

  test.describe(language, () => {
    test.beforeEach(async ({ page }) => {
      await look(page, { language, theme: 'light', width: 1280 });
    });

    test('a conflict is seen, a relaxation is tried, and nothing is written', async ({ page, api }) => {
      const namespace = await project(api, language);
      await page.goto(`/spine/analysis?project=${namespace}`);
      await expect(page.getByText(words.infeasible)).toBeVisible();
      const conflicts = page.getByRole('region', { name: words.conflicts, exact: true });
      await expect(conflicts.getByRole('link', { name: 'nfr-1' })).toBeVisible();
      await expect(conflicts.getByRole('link', { name: 'nfr-2' })).toBeVisible();
      expect(await seriousFindings(page)).toEqual([]);
      const alone = page.getByRole('region', { name: words.alone, exact: true });
      await alone.getByRole('button', { name: words.attempt, exact: true }).first().click();
      await expect(page.getByText(words.feasible)).toBeVisible();
      await expect(page.getByText(words.tried)).toBeVisible();
      await expect(page).toHaveURL(/try=/);
      await page.reload();
      await expect(page.getByText(words.feasible)).toBeVisible();
      await page.getByRole('button', { name: words.reset, exact: true }).click();
      await expect(page.getByText(words.infeasible)).toBeVisible();
      // A limit is typed: what cannot be read is told.
      const cost = page.getByRole('textbox', { name: /nfr-2/ });
      await cost.fill('soon');
      await expect(page.getByRole('alert')).toContainText('soon');
      await cost.fill('100000 KRW/month');
      await expect(page.getByText(words.feasible)).toBeVisible();
      // And by the keyboard on the slider.
      await page.getByRole('button', { name: words.reset, exact: true }).click();
      await page.getByRole('slider', { name: /nfr-2/ }).focus();
      await page.keyboard.press('End');
      await expect(page.getByText(words.feasible)).toBeVisible();
      const path = `/apis/${API}/namespaces/${namespace}/requirements/nfr-2`;
      const kept = await api.get<{ spec: { criterion: { atMost: string } } }>(path);
      expect(kept.spec.criterion.atMost).toBe('50000 KRW/month');
    });

    test('a gate says what opens it; a baseline is taken and approved', async ({ page, api }) => {
      const namespace = await project(api, language);
      await page.goto(`/spine/gates?project=${namespace}`);
      const stages = page.getByRole('region', { name: words.stages, exact: true });
      await expect(stages.getByText(words.noBaseline)).toBeVisible();
      expect(await seriousFindings(page)).toEqual([]);
      await page.getByRole('button', { name: words.take, exact: true }).click();
      const taking = page.getByRole('dialog');
      await taking.getByLabel(words.name, { exact: false }).first().fill('v1');
      await taking.getByRole('button', { name: words.take, exact: true }).click();
      await expect(taking).toHaveCount(0);
      const baselines = page.getByRole('region', { name: words.baselines, exact: true });
      await baselines.getByRole('button', { name: words.approve }).click();
      const saying = page.getByRole('dialog');
      await saying.getByLabel(words.role).fill('customer');
      await saying.getByRole('button', { name: words.say, exact: true }).click();
      await expect(saying).toHaveCount(0);
      const approvals = page.getByRole('region', { name: words.approvals, exact: true });
      await expect(approvals.getByText(words.approved, { exact: true }).first()).toBeVisible();
      await expect(approvals.getByRole('link', { name: /^sha256-/ })).toBeVisible();
      await expect(stages.getByText(words.noBaseline)).toHaveCount(0);
      expect(await seriousFindings(page)).toEqual([]);
    });

    test('a document is made, looked at and downloaded', async ({ page, api, broken }) => {
      const namespace = await project(api, language);
      await page.goto(`/spine/documents?project=${namespace}`);
      await page.getByRole('button', { name: words.make, exact: true }).first().click();
      const dialog = page.getByRole('dialog');
      // Before the frame of the preview is there: axe runs scripts in frames, which this one refuses.
      expect(await seriousFindings(page)).toEqual([]);
      await dialog.getByRole('button', { name: words.make, exact: true }).click();
      await expect(dialog).toHaveCount(0);
      const frame = page.frameLocator(`iframe`);
      await expect(frame.getByText('nfr-2').first()).toBeVisible();
      await expect(page.getByTitle(words.preview)).toHaveAttribute('sandbox', '');
      const shown = page.getByRole('region', { name: words.requirementsDefinition, exact: true });
      const download = page.waitForEvent('download');
      await shown.getByRole('link', { name: /^DOCX/ }).click();
      expect((await download).suggestedFilename()).toBe(`requirements-definition-${language}.docx`);
      // The frame refuses the scripts with which this test looks into it; that is what it is for.
      for (const text of broken.splice(0)) {
        if (!/about:srcdoc|document is sandboxed/.test(text)) broken.push(text);
      }
    });
  });
}
