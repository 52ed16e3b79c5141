import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// `npm run dev` beside a running Maru: requests go there with the cookie of its login link.
const server = process.env.MARU_CONSOLE_URL ?? 'http://127.0.0.1:7080';

export default defineConfig({
  plugins: [react()],
  build: { target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 700, reportCompressedSize: false },
  html: { cspNonce: '__MARU_NONCE__' },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/apis', '/openapi', '/version', '/console', '/prometheus', '/alertmanager', '/process', '/login'].map(
        (path) => [path, { target: server, ws: true, changeOrigin: true, headers: { origin: server } }],
      ),
    ),
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}'], restoreMocks: true },
});
