import { expect, test } from 'vitest';
import type { Rehearsal } from '../../api/prometheus';
import { lanes, template } from './rehearsal-model';
import { readRouting, splitMatchers, waysOf } from './routing-model';

const CONFIG = `
route:
  receiver: ops
  group_by: [alertname]
  routes:
  - matchers: [team="db", severity=~"page|critical"]
    receiver: db-pager
    continue: true
  - match: {team: db}
    receiver: db
    group_wait: 10s
receivers:
- name: ops
- name: db
  webhook_configs: [{url: 'http://x'}, {url: 'http://y'}]
- name: db-pager
inhibit_rules:
- source_matchers: [severity="page"]
  target_matchers: [severity="ticket"]
  equal: [service]
`;

test('labels go the way that the tree says', () => {
  const routing = readRouting(CONFIG);
  const { root } = routing;
  if (root === undefined) throw new Error('no tree');
  expect(waysOf(root, { team: 'db', severity: 'page' })).toEqual(['0.0', '0.1']);
  expect(waysOf(root, { team: 'db' })).toEqual(['0.1']);
  expect(waysOf(root, { team: 'web' })).toEqual(['0']);
  expect(root.routes[1]).toMatchObject({ receiver: 'db', wait: '10s', interval: '5m', groupBy: ['alertname'] });
  expect(routing.receivers.map((one) => one.integrations.length)).toEqual([0, 2, 0]);
  expect(routing.inhibitions).toEqual(['{severity="page"} → {severity="ticket"} (service)']);
});

test('a configuration that is none shows nothing', () => {
  expect(readRouting('').root).toBeUndefined();
  expect(readRouting('a: [').root).toBeUndefined();
});

test('matchers are split at commas outside quotes', () => {
  expect(splitMatchers('{a="b,c", d=~"e"}').map((one) => one.value)).toEqual(['b,c', 'e']);
});

test('a rule file begins with the query', () => {
  expect(template('up == 0')).toContain('      up == 0\n');
  expect(template('sum(rate(x{a!="b"}[5m]))')).toContain('> 0.5');
});

test('firings are placed within the time', () => {
  const base = { annotations: {}, activeAt: '', value: '1', group: 'g' };
  const rehearsal: Rehearsal = {
    from: '2026-11-22T00:00:00Z',
    to: '2026-11-22T10:00:00Z',
    alerts: [
      {
        ...base,
        labels: { alertname: 'A', job: 'x' },
        startsAt: '2026-11-22T01:00:00Z',
        endsAt: '2026-11-22T02:00:00Z',
      },
      { ...base, labels: { alertname: 'A', job: 'x' }, startsAt: '2026-11-22T05:00:00Z', endsAt: null },
    ],
    rules: [],
    truncated: false,
  };
  expect(lanes(rehearsal)).toEqual([
    {
      name: 'A',
      labels: 'job=x',
      bars: [
        { from: 0.1, to: 0.2, isOngoing: false },
        { from: 0.5, to: 1, isOngoing: true },
      ],
    },
  ]);
});
