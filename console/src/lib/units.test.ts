import { expect, test } from 'vitest';
import { makeFormat } from './format';
import { formatValue, guessUnit } from './units';

const format = makeFormat('en', 'Asia/Seoul');
const write = (value: number, unit: string, decimals?: number) => formatValue(value, unit, format, decimals);

test('values are written in their unit', () => {
  expect(write(0.0123, 'seconds')).toBe('12.3 ms');
  expect(write(1536, 'bytes')).toBe('1.5 KiB');
  expect(write(1536, 'bytes/s')).toBe('1.5 KiB/s');
  expect(write(1234, 'requests/s')).toBe('1.23 k/s');
  expect(write(12_345, 'none')).toBe('12,345');
  expect(write(12_345, 'count')).toBe('12.3 k');
  expect(write(0.125, 'ratio')).toBe('12.5 %');
  expect(write(0.125, 'ratio', 2)).toBe('12.50 %');
  expect(write(4, 'queries')).toBe('4 queries');
  expect(write(1_795_000_000, 'timestamp')).toBe('2026-11-18 20:06:40');
  expect(write(Number.NaN, 'bytes')).toBe('NaN');
  expect(write(Number.POSITIVE_INFINITY, 'seconds')).toBe('+∞');
  expect(formatValue(null, 'bytes', format)).toBe('—');
});

test('a share near the whole is not rounded to it', () => {
  expect(write(0.9995, 'ratio')).toBe('99.95 %');
  expect(write(0.99999, 'ratio')).toBe('99.999 %');
  expect(write(1, 'ratio')).toBe('100 %');
});

test('units are guessed by the names of metrics', () => {
  expect(guessUnit('rate(http_requests_total[5m])')).toBe('ops/s');
  expect(guessUnit('histogram_quantile(0.9, sum by (le) (rate(x_duration_seconds_bucket[5m])))')).toBe('seconds');
  expect(guessUnit('node_memory_MemFree_bytes')).toBe('bytes');
  expect(guessUnit('rate(node_network_receive_bytes_total[1m])')).toBe('bytes/s');
  expect(guessUnit('slo:budget_left:ratio{slo="a"}')).toBe('ratio');
  expect(guessUnit('time() - node_boot_time_seconds')).toBe('seconds');
  expect(guessUnit('up')).toBe('none');
  expect(guessUnit('count by (job) (process_resident_memory_bytes)')).toBe('none');
});
