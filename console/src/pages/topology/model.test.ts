import { expect, test } from 'vitest';
import type { Architecture } from '../../api/maru';
import type { Series } from '../../api/prometheus';
import { type Input, NOTHING_MEASURED, queries, type Service, topology } from './model';

const metadata = (name: string) => ({
  name,
  namespace: 'shop',
  uid: name,
  resourceVersion: '1',
  creationTimestamp: '',
});
const service = (name: string): Service => ({ metadata: metadata(name), spec: { selector: { app: name } } });
const series = (labels: Record<string, string>, value: number): Series => ({ labels, times: [0], values: [value] });
const call = (from: string, to: string, toNamespace = 'shop') =>
  series({ from_namespace: 'shop', from, to_namespace: toNamespace, to }, 2);

const drawn = {
  metadata: metadata('shop'),
  spec: {
    services: [
      { name: 'web', calls: [{ to: 'orders', critical: true }, { to: 'mail' }] },
      { name: 'orders', calls: [] },
    ],
  },
} as unknown as Architecture;

const input: Input = {
  namespace: 'shop',
  services: [service('web'), service('orders')],
  pods: [],
  architectures: [drawn],
  requirements: [],
  objectives: [],
  measured: {
    ...NOTHING_MEASURED,
    calls: [call('web', 'orders'), call('orders', 'web'), call('web', 'kube-dns', 'kube-system')],
  },
  observes: true,
};

const states = (one: Input) => topology(one).edges.map((edge) => `${edge.id} ${edge.state}`);

test('what is drawn stands against what is seen', () => {
  expect(states(input)).toEqual(['shop/web>shop/orders both', 'shop/web>shop/mail drawn', 'shop/orders>shop/web seen']);
  expect(topology(input).nodes.map((node) => [node.name, node.kind])).toEqual([
    ['web', 'service'],
    ['orders', 'service'],
    ['mail', 'drawn'],
  ]);
});

test('nothing is called unseen where nothing observes', () => {
  expect(states({ ...input, measured: NOTHING_MEASURED, observes: false })).toEqual([
    'shop/web>shop/orders unknown',
    'shop/web>shop/mail unknown',
  ]);
  expect(states({ ...input, architectures: [] })).toEqual(['shop/web>shop/orders plain', 'shop/orders>shop/web plain']);
});

test('rate, errors and p95: of the gateway from outside, of the service itself when it has one caller', () => {
  const measured = {
    ...NOTHING_MEASURED,
    calls: [call('web', 'orders')],
    gatewayRate: [series({ service: 'shop/web:80' }, 10), series({ service: 'shop/web-2:80' }, 99)],
    gatewayErrors: [series({ service: 'shop/web:80' }, 1)],
    gatewayP95: [series({ service: 'shop/web:80' }, 0.2)],
    ownRate: [series({ app: 'orders' }, 4)],
    ownErrors: [],
    ownP95: [series({ app: 'orders' }, Number.NaN)],
  };
  const { edges } = topology({ ...input, measured });
  expect(edges.find((edge) => edge.from === '/outside')?.red).toEqual({ rate: 10, errors: 0.1, p95: 0.2 });
  expect(edges.find((edge) => edge.to === 'shop/orders')?.red).toEqual({ rate: 4, errors: 0, p95: undefined });
});

test('a namespace’s name is no regular expression', () => {
  expect(queries('a.b-c', '5m').gatewayRate).toContain('service=~"a\\\\.b\\\\-c/.*"');
});
