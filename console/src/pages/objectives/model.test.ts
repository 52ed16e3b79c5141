import { expect, test } from 'vitest';
import { fraction, queriesOf, selectorOf, specOf, type Wanted, windowOf } from './model';

const wanted: Wanted = {
  service: 'orders',
  kind: 'latency',
  percent: '99.9',
  ms: '100',
  window: '1d',
  zone: 'Asia/Seoul',
  description: 'd',
};

test('shares are what was written', () => {
  expect(fraction('99.9')).toBe(0.999);
  expect(fraction('99.99')).toBe(0.9999);
  expect(fraction('95')).toBe(0.95);
});

test('a new objective is what the sentence would make', () => {
  expect(specOf(wanted)).toEqual({
    description: 'd',
    service: 'orders',
    indicator: {
      spec: {
        thresholdMetric: {
          metricSource: {
            type: 'Prometheus',
            spec: { query: 'maru_gateway_request_duration_seconds_bucket{service=~"(.+/)?orders:.*"}' },
          },
        },
      },
    },
    timeWindow: [
      { duration: '1d', isRolling: false, calendar: { startTime: '2026-01-01 00:00:00', timeZone: 'Asia/Seoul' } },
    ],
    budgetingMethod: 'Occurrences',
    objectives: [{ target: 0.999, op: 'lte', value: 0.1 }],
  });
  const rolling = specOf({ ...wanted, kind: 'success', window: '28d' }) as { timeWindow: object[] };
  expect(rolling.timeWindow).toEqual([{ duration: '28d', isRolling: true }]);
  expect(queriesOf((rolling as { indicator?: unknown }).indicator)).toHaveLength(2);
});

test('windows roll or follow the calendar', () => {
  expect(windowOf({ timeWindow: [{ duration: '28d', isRolling: true }] })).toEqual({ length: '28d', zone: undefined });
  expect(windowOf({ timeWindow: [{ duration: '1d', calendar: { timeZone: 'Asia/Seoul' } }] })?.zone).toBe('Asia/Seoul');
  expect(windowOf({})).toBeUndefined();
});

test('names cannot leave their quotes', () => {
  expect(selectorOf('a', 'b"c', 't')).toBe('{slo="b\\"c",slo_namespace="a",objective="t"}');
});
