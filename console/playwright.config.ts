// Tests against a running Maru: MARU_CONSOLE_URL is a login link (`maru console link`), which is used once. MARU_SCREENSHOTS is a folder
// for pictures of all pages. Nothing is started here.
import { existsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';
import { STATE } from './e2e/state';

const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const system = process.env.MARU_CHROMIUM ?? browsers.find((path) => existsSync(path));
const link = new URL(process.env.MARU_CONSOLE_URL ?? 'http://console.localhost:7080/');
// Browsers know that names under `localhost` are this machine; what tests ask besides may not.
if (link.hostname.endsWith('.localhost')) link.hostname = '127.0.0.1';

export default defineConfig({
  testDir: 'e2e',
  outputDir: 'e2e/.results/runs',
  // One browser at a time: the machine runs Maru and its pods too.
  workers: Number(process.env.MARU_E2E_WORKERS ?? 1),
  timeout: 90_000,
  expect: { timeout: 20_000 },
  retries: 0,
  reporter: [['list']],
  use: {
    baseURL: link.origin,
    viewport: { width: 1280, height: 800 },
    locale: 'en-US',
    timezoneId: 'UTC',
    trace: 'retain-on-failure',
    ignoreHTTPSErrors: true,
    launchOptions: {
      ...(system === undefined ? {} : { executablePath: system }),
      // Chromium's sandbox refuses to run as root.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    },
  },
  projects: [
    { name: 'login', testMatch: 'login.setup.ts' },
    { name: 'console', testMatch: '*.spec.ts', dependencies: ['login'], use: { storageState: STATE } },
  ],
});
