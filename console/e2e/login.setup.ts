// The login link is used once; all tests then share its session.
import { existsSync } from 'node:fs';
import { expect, test as setup } from '@playwright/test';
import { STATE } from './state';

setup('log in with the link', async ({ browser, baseURL }) => {
  const link = process.env.MARU_CONSOLE_URL;
  setup.skip(link === undefined, 'MARU_CONSOLE_URL is not set: it is a login link, see "maru console link"');
  // A session of an earlier run that still lives is as good; the link may have been used by it.
  const kept = existsSync(STATE) ? { storageState: STATE } : {};
  const context = await browser.newContext({ ...(baseURL === undefined ? {} : { baseURL }), ...kept });
  const page = await context.newPage();
  const session = await page.request.get('/console/v1/session');
  const { pathname, search } = new URL(link ?? '/', baseURL);
  await page.goto(session.ok() ? '/' : pathname + search);
  await expect(page.getByRole('main').getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.getByRole('textbox', { name: /token/i })).toHaveCount(0);
  await context.storageState({ path: STATE });
  await context.close();
});
