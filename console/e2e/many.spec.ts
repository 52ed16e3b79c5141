// Lists of thousands scroll and are filtered quickly. Without the recorder of other tests.
import type { Locator, Page } from '@playwright/test';
import { type Api, expect, seriousFindings, test } from './support';

test.use({ trace: 'off' });

test('five thousand objects scroll and filter smoothly', async ({ page, api }) => {
  test.setTimeout(240_000);
  const namespace = await api.namespace('many');
  await makeMany(api, namespace, 5_000);
  await page.goto(`/workloads/configmaps?namespace=${namespace}`);
  const table = page.getByRole('table').first();
  await expect(table).toHaveAttribute('aria-rowcount', /^500\d$/, { timeout: 60_000 });
  const frames = await scrolled(table);
  test.info().annotations.push({
    type: 'frames',
    description: `p95 ${frames.p95} ms, longest ${frames.longest} ms of ${frames.count}`,
  });
  process.stdout.write(`scrolling: ${test.info().annotations.at(-1)?.description}\n`);
  expect(frames.rows, 'rows that are drawn').toBeLessThan(120);
  expect(frames.p95, 'milliseconds between frames').toBeLessThanOrEqual(100);
  const filter = page.getByRole('textbox', { name: 'Filter' });
  await page.keyboard.press('/');
  await expect(filter).toBeFocused();
  const slowest = await typed(page, filter, 'many-4321');
  test.info().annotations.push({ type: 'interaction', description: `slowest ${slowest} ms` });
  process.stdout.write(`typing: ${test.info().annotations.at(-1)?.description}\n`);
  expect(slowest, 'milliseconds until a key is answered').toBeLessThanOrEqual(400);
  await expect(page.getByRole('link', { name: 'many-4321' })).toBeVisible();
  expect(await seriousFindings(page)).toEqual([]);
});

async function makeMany(api: Api, namespace: string, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, index) => index);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) {
        await api.post(path, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: `many-${number}`, labels: { n: `${number % 10}` } },
        });
      }
    }),
  );
}

/** Scrolls a table from its head to its end, a page at each frame. */
function scrolled(table: Locator): Promise<{ p95: number; longest: number; count: number; rows: number }> {
  return table.evaluate(async (element) => {
    const times: number[] = [];
    let rows = 0;
    let before = await new Promise<number>(requestAnimationFrame);
    const step = Math.max(200, element.scrollHeight / 200);
    while (element.scrollTop + element.clientHeight < element.scrollHeight - 2 && times.length < 400) {
      element.scrollBy(0, step);
      const now = await new Promise<number>(requestAnimationFrame);
      times.push(now - before);
      before = now;
      rows = Math.max(rows, element.querySelectorAll('[role="row"]').length);
    }
    times.sort((a, b) => a - b);
    return {
      p95: Math.round(times[Math.floor(times.length * 0.95)] ?? 0),
      longest: Math.round(times.at(-1) ?? 0),
      count: times.length,
      rows,
    };
  });
}

/** Types and tells how long the slowest key took until the page had drawn its answer. */
async function typed(page: Page, field: Locator, text: string): Promise<number> {
  await page.evaluate(() => {
    const seen = { slowest: 0 };
    Object.assign(window, { seen });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        if (/^key|^input/.test(entry.name)) seen.slowest = Math.max(seen.slowest, entry.duration);
    }).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit);
  });
  await field.pressSequentially(text, { delay: 60 });
  return page.evaluate(() => (window as unknown as { seen: { slowest: number } }).seen.slowest);
}
