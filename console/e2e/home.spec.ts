// Home, the palette and the keys, as a person uses them.
import type { Page } from '@playwright/test';
import { expect, look, settled, test } from './support';

test('what fails is told with its reason, and goes when it is mended', async ({ page, api }) => {
  const namespace = await api.namespace('home');
  await page.goto('/');
  await settled(page);
  await api.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'no-such-image', namespace },
    spec: { containers: [{ name: 'web', image: 'registry.invalid/none:1', imagePullPolicy: 'Never' }] },
  });
  const attention = page.getByRole('region', { name: 'Needs attention' });
  const item = attention.getByRole('listitem').filter({ hasText: namespace });
  await expect(item).toContainText('no-such-image');
  await expect(item).toContainText(/ErrImageNeverPull|ErrImagePull|ImagePullBackOff/);
  await item.getByRole('link', { name: 'See its events' }).click();
  await expect(page).toHaveURL(new RegExp(`/workloads/pods/${namespace}/no-such-image\\?tab=events`));
  await page.goBack();
  await expect(item).toBeVisible();
  await api.delete(`/api/v1/namespaces/${namespace}/pods/no-such-image?gracePeriodSeconds=0`);
  await expect(item).toHaveCount(0);
});

test('both languages, and the choice stays', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: '한국어로 보기' }).click();
  await expect(page.getByRole('heading', { name: '확인이 필요한 항목' })).toBeVisible();
  await page.reload();
  await expect(page.getByRole('heading', { name: '최근 활동' })).toBeVisible();
  await page.getByRole('button', { name: 'View in English' }).click();
  await expect(page.getByRole('heading', { name: 'Recent activity' })).toBeVisible();
});

test('the palette finds pages, objects and kinds, and remembers', async ({ page, api }) => {
  const namespace = await api.namespace('palette');
  await api.create({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'found-by-name', namespace },
    data: { a: 'b' },
  });
  await page.goto('/');
  await settled(page);

  await page.keyboard.press('Control+k');
  const field = page.getByRole('combobox', { name: /A page, an object/ });
  await expect(field).toBeFocused();
  await field.fill('found-by');
  await expect(page.getByRole('option', { name: /found-by-name/ })).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(`/workloads/configmaps/${namespace}/found-by-name`);

  await page.getByRole('main').focus();
  await page.keyboard.press(':');
  await expect(field).toHaveValue(':');
  await field.fill(`:cm ${namespace}`);
  await page.getByRole('option', { name: new RegExp(`ConfigMap in ${namespace}`) }).click();
  await expect(page).toHaveURL(`/workloads/configmaps?namespace=${namespace}`);

  await page.keyboard.press('Control+k');
  await expect(page.getByRole('group', { name: 'Recent' }).getByRole('option').first()).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(field).toHaveCount(0);
});

test('keys go anywhere, also while Hangul is switched on', async ({ page }) => {
  await page.goto('/');
  await settled(page);
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await expect(page).toHaveURL('/settings');
  // The key `h` as a Korean keyboard sends it.
  await page.evaluate(() => {
    for (const [key, code] of [['ㅎ', 'KeyG'] as const, ['ㅗ', 'KeyH'] as const]) {
      document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, bubbles: true }));
    }
  });
  await expect(page).toHaveURL('/');
});

test('an input method’s Enter chooses its syllable and nothing of ours', async ({ page }) => {
  await page.goto('/');
  await settled(page);
  await page.keyboard.press('Control+k');
  const field = page.getByRole('combobox', { name: /A page, an object/ });
  await expect(field).toBeFocused();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Input.imeSetComposition', { text: 'ㅅ', selectionStart: 1, selectionEnd: 1 });
  await devtools.send('Input.imeSetComposition', { text: '설', selectionStart: 1, selectionEnd: 1 });
  await field.dispatchEvent('keydown', { key: 'Enter', code: 'Enter', keyCode: 229, isComposing: true, bubbles: true });
  await expect(field).toBeVisible();
  await devtools.send('Input.insertText', { text: '설정' });
  await expect(field).toHaveValue('설정');
});

test('a phone can read it', async ({ page }) => {
  await look(page, { width: 390, language: 'ko', theme: 'light' });
  await page.goto('/');
  await settled(page);
  await expect(page.getByRole('navigation')).not.toBeInViewport();
  await page.getByRole('button', { name: '탐색 메뉴' }).click();
  await page.getByRole('navigation').getByRole('link', { name: '설정' }).click();
  await expect(page.getByRole('heading', { level: 1, name: '설정' })).toBeVisible();
  await expect(page.getByRole('navigation')).not.toBeInViewport();
  expect(await widthBeyond(page)).toBeLessThanOrEqual(0);
});

function widthBeyond(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

test('the graph has a table with the same', async ({ page, api }) => {
  const namespace = await api.namespace('graph');
  await api.create({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  await page.goto(`/topology?namespace=${namespace}`);
  await expect(page.getByRole('heading', { level: 1, name: 'Topology' })).toBeVisible();
  const box = page.getByRole('group', { name: 'web' });
  await expect(box).toBeVisible();
  await box.focus();
  await page.keyboard.press('Enter');
  await expect(
    page.getByRole('complementary', { name: 'Details' }).getByRole('link', { name: 'Open the service' }),
  ).toBeVisible();
  await page.getByText('Table', { exact: true }).click();
  await expect(page.getByRole('table', { name: 'Services' }).getByRole('link', { name: 'web' })).toBeVisible();
});
