// Metrics, boards, objectives and alerts, as a person uses them, in both languages.
import { expect, look, seriousFindings, settled, test } from './support';

const LANGUAGES = ['en', 'ko'] as const;

const WORDS = {
  en: {
    query: 'Query A',
    run: 'Run',
    add: 'Add a query',
    table: 'Table',
    metric: 'Metric',
    samples: /samples read/,
    compare: 'Compare with earlier',
    hour: 'an hour earlier',
    browse: 'Browse metrics',
    metrics: 'Metrics',
    filter: 'Filter',
    suggestions: 'Usual queries',
    history: 'History',
    numbers: 'Show the numbers',
    time: /^Time:/,
    fifteen: '15 min',
    boards: 'Boards',
    objectives: 'Objectives',
    newObjective: 'New objective',
    service: /^Service/,
    percent: 'Share that must be good (%)',
    namespace: 'Namespace',
    create: 'Create',
    open: 'Open window',
    burn: 'Burn rate',
    alerts: 'Alerts',
    whyOf: (name: string) => `Why is ${name} told, or not`,
    silenceOf: (name: string) => `Silence ${name}`,
    why: /^Why/,
    silence: 'Silence',
    silenced: 'Show silenced',
    preview: 'What it silences now',
    edit: 'Change',
    until: 'For how long',
    save: 'Save',
    end: /^End the silence/,
    endIt: 'End',
    rules: 'Rules',
    holds: 'holds',
    rehearse: 'Rehearse',
    wouldFire: /alerts? would have fired/,
    routing: 'Routing',
    way: 'Which way would these labels go?',
    takes: 'takes it',
    told: /Why was I \(not\) paged/,
  },
  ko: {
    query: '쿼리 A',
    run: '실행',
    add: '쿼리 추가',
    table: '표',
    metric: '메트릭',
    samples: /표본 .*개 읽음/,
    compare: '이전과 비교',
    hour: '1시간 전',
    browse: '메트릭 찾아보기',
    metrics: '메트릭',
    filter: '필터',
    suggestions: '자주 쓰는 쿼리',
    history: '기록',
    numbers: '숫자로 보기',
    time: /^시간:/,
    fifteen: '15분',
    boards: '대시보드',
    objectives: '서비스 목표',
    newObjective: '새 목표',
    service: /^서비스/,
    percent: '양호해야 하는 비율 (%)',
    namespace: '네임스페이스',
    create: '만들기',
    open: '진행 중인 기간',
    burn: '소진 속도',
    alerts: '경보',
    whyOf: (name: string) => `${name} 알림의 이유`,
    silenceOf: (name: string) => `${name} 무음`,
    why: /^이유/,
    silence: '무음 시작',
    silenced: '무음도 보기',
    preview: '지금 무음이 될 경보',
    edit: '바꾸기',
    until: '기간',
    save: '저장',
    end: /끝내기$/,
    endIt: '끝내기',
    rules: '규칙',
    holds: '만족',
    rehearse: '예행연습',
    wouldFire: /경보 \d+개가 발생했을/,
    routing: '전달 경로',
    way: '이 레이블은 어디로 갈까요?',
    takes: '여기로 감',
    told: /알림 추적/,
  },
} as const;

for (const language of LANGUAGES) {
  const words = WORDS[language];

  test.describe(language, () => {
    test.setTimeout(240_000);
    test.beforeEach(async ({ page }) => {
      await look(page, { language, theme: language === 'en' ? 'light' : 'dark', width: 1280 });
    });

    test('explore: a query is completed, run, zoomed, compared and read as a table', async ({ page }) => {
      await page.goto('/metrics/explore');
      const editor = page.getByRole('textbox', { name: words.query });
      await editor.click();
      await page.keyboard.type('apiserver_request_t');
      await page
        .getByRole('option', { name: /apiserver_request_total/ })
        .first()
        .waitFor();
      await page.keyboard.press('Escape');
      await page.keyboard.press('ControlOrMeta+a');
      await page.keyboard.type('sum by (code) (rate(apiserver_request_total[1m]))');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: words.run, exact: true }).click();
      await expect(page.getByText(words.samples)).toBeVisible();
      await expect(page).toHaveURL(/expr=sum/);
      const chart = page.getByRole('img', { name: /apiserver_request_total/ });
      await expect(chart).toBeVisible();
      await expect(page.getByRole('button', { name: '{code="200"}' })).toBeVisible();

      const box = await chart.boundingBox();
      if (box === null) throw new Error('the chart has no place');
      await page.mouse.move(box.x + box.width * 0.6, box.y + 100);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.9, box.y + 110, { steps: 6 });
      await page.mouse.up();
      await expect(page).toHaveURL(/from=2\d{3}-/);
      await page.goBack();
      await expect(page).not.toHaveURL(/from=2\d{3}-/);

      await page.getByRole('button', { name: words.time }).click();
      await page.getByRole('button', { name: words.fifteen, exact: true }).click();
      await expect(page).toHaveURL(/from=now-15m/);

      await page.getByRole('combobox', { name: words.compare }).click();
      await page.getByRole('option', { name: words.hour }).click();
      await expect(page).toHaveURL(/compare=1h/);

      await chart.hover();
      await page.getByRole('button', { name: words.numbers }).click();
      await expect(page.getByRole('columnheader', { name: '{code="200"}' })).toBeVisible();

      await page.getByRole('tab', { name: words.table }).click();
      await expect(page.getByRole('table').getByRole('cell', { name: '200', exact: true })).toBeVisible();
    });

    test('explore: a mistake is told at its place; metrics are found by browsing', async ({ page }) => {
      await page.goto('/metrics/explore?expr=rate(up)');
      await expect(page.getByRole('alert')).toContainText('expected type range vector');
      await expect(page.getByRole('group', { name: words.query })).toBeVisible();
      await page.getByRole('button', { name: words.browse }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('textbox', { name: words.filter }).fill('node_memory_MemTotal_bytes');
      await dialog.getByRole('row').filter({ hasText: 'node_memory_MemTotal_bytes' }).click();
      await expect(dialog.getByText(words.suggestions)).toBeVisible();
      await dialog.getByRole('button', { name: /sum\(node_memory_MemTotal_bytes\)/ }).click();
      await expect(page).toHaveURL(/expr=sum%28node_memory_MemTotal/);
      await expect(page.getByRole('img', { name: /node_memory_MemTotal_bytes/ })).toBeVisible();
    });

    test('boards: the services of the gateway, by a variable', async ({ page }) => {
      await page.goto('/metrics/boards');
      await page.getByRole('link', { name: 'Machine' }).click();
      await expect(page.getByRole('heading', { level: 1, name: 'Machine' })).toBeVisible();
      await expect(page.getByRole('region', { name: 'Memory in use' })).toContainText('%');
      await expect(page.getByRole('img', { name: /^Use by mode/ })).toBeVisible();
      await page.getByRole('button', { name: words.time }).click();
      await page.getByRole('button', { name: words.fifteen, exact: true }).click();
      await expect(page).toHaveURL(/from=now-15m/);
    });

    test('objectives: one is made by a form, and judged', async ({ page, api }) => {
      const namespace = await api.namespace('e2e-objective');
      await page.goto('/objectives');
      await page.getByRole('button', { name: words.newObjective }).first().click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel(words.service).fill('storefront');
      await dialog.getByLabel(words.percent).fill('99.5');
      await dialog.getByRole('combobox', { name: words.namespace }).click();
      await page.getByRole('option', { name: namespace }).click();
      await dialog.getByRole('button', { name: words.create }).click();
      await expect(page.getByRole('heading', { level: 1, name: 'storefront-latency' })).toBeVisible();
      await expect(page.getByText(words.open)).toBeVisible();
      await expect(page.getByText(words.burn, { exact: true })).toBeVisible();
      expect(await seriousFindings(page)).toEqual([]);
    });

    test('alerts: one that fires is understood, silenced, changed, and told again', async ({ page, api }) => {
      const namespace = await api.namespace('e2e-alert');
      const alertname = `Busy${namespace.replace(/\W/g, '')}`;
      await api.create({
        apiVersion: 'monitoring.coreos.com/v1',
        kind: 'PrometheusRule',
        metadata: { name: 'busy', namespace },
        spec: {
          groups: [
            {
              name: 'busy',
              interval: '1s',
              rules: [
                {
                  alert: alertname,
                  expr: 'sum(rate(apiserver_request_total[5m])) > 0.0001',
                  labels: { severity: 'ticket', team: namespace },
                  annotations: { summary: '<b>busy</b> at {{ $value | humanize }}' },
                },
              ],
            },
          ],
        },
      });
      const filter = encodeURIComponent(`team="${namespace}"`);
      await page.goto(`/alerts?filter=${filter}`);
      const row = page.getByRole('group', { name: alertname });
      await expect(row).toBeVisible({ timeout: 90_000 });
      // What alerts say is text, never markup.
      await expect(row).toContainText('<b>busy</b> at');

      await row.getByRole('link', { name: words.whyOf(alertname) }).click();
      await expect(page.getByRole('heading', { level: 1, name: words.told })).toBeVisible();
      await expect(page.getByText(words.holds, { exact: true }).first()).toBeVisible();
      expect(await seriousFindings(page)).toEqual([]);

      await page.goBack();
      await page.getByRole('link', { name: words.silenceOf(alertname) }).click();
      const dialog = page.getByRole('dialog');
      await expect(dialog.getByText(words.preview)).toBeVisible();
      await expect(dialog.getByRole('status')).toContainText(alertname);
      await dialog.getByRole('textbox', { name: words.why }).fill('a test works on it');
      await dialog.getByRole('button', { name: words.silence, exact: true }).click();
      const silence = page.getByRole('row').filter({ hasText: alertname });
      await expect(silence).toBeVisible();

      await page.goto(`/alerts?filter=${filter}`);
      await expect(page.getByRole('group', { name: alertname })).toHaveCount(0);
      await page.getByRole('switch', { name: words.silenced }).click();
      await expect(page.getByRole('group', { name: alertname })).toBeVisible();

      await page.goto('/alerts/silences');
      await silence.getByRole('button', { name: new RegExp(`^${words.edit}`) }).click();
      await dialog.getByRole('textbox', { name: words.why }).fill('a test still works on it');
      await dialog.getByRole('button', { name: words.save }).click();
      await expect(silence).toContainText('still works');
      await silence.getByRole('button', { name: words.end }).click();
      await page.getByRole('dialog').getByRole('button', { name: words.endIt, exact: true }).click();
      await expect(silence).toHaveCount(0);

      await page.goto(`/alerts/rules?q=${alertname}`);
      await page.getByRole('row').filter({ hasText: alertname }).click();
      await expect(page.getByRole('dialog').getByText(words.holds, { exact: true }).first()).toBeVisible();
    });

    test('alerts: rules are rehearsed before they are saved, and routes tried', async ({ page }) => {
      await page.goto(`/alerts/rehearsal?expr=${encodeURIComponent('up == 1')}&from=now-15m`);
      await page.getByRole('button', { name: words.rehearse, exact: true }).click();
      await expect(page.getByRole('status').filter({ hasText: words.wouldFire })).toBeVisible();
      await page.getByRole('tab', { name: words.routing }).click();
      await page.getByRole('textbox', { name: words.way }).fill('alertname="A"');
      await expect(page.getByText(words.takes)).toBeVisible();
    });

    test('all pages about metrics are usable by everybody', async ({ page }) => {
      for (const path of [
        '/metrics/explore?expr=up',
        '/metrics/boards',
        '/metrics/boards/maru-system/services',
        '/objectives',
        '/alerts',
        '/alerts/rules',
        '/alerts/silences',
        '/alerts/routing',
      ]) {
        await page.goto(path);
        await settled(page);
        expect(await seriousFindings(page), path).toEqual([]);
      }
    });
  });
}
