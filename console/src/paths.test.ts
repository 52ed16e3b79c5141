import { expect, test } from 'vitest';
import { namespaceOf, paths } from './paths';

test('all addresses', () => {
  const kind = { group: 'apps', plural: 'deployments' };
  const addresses = [
    paths.home(),
    paths.requirements(),
    paths.requirements('shop'),
    paths.requirement('shop', 'nfr-001'),
    paths.matrix('shop'),
    paths.analysis('shop'),
    paths.gates('shop'),
    paths.documents('shop'),
    paths.evidenceList('shop'),
    paths.evidence('shop', 'a b/c'),
    paths.topology('shop'),
    paths.workloads('shop'),
    paths.kind(kind, 'shop'),
    paths.object(kind, 'shop', 'web'),
    paths.object({ group: '', plural: 'nodes' }, undefined, 'one', 'yaml'),
    paths.create('shop'),
    paths.logs('shop', 'app=web'),
    paths.explore('sum(rate(x[5m]))'),
    paths.boards(),
    paths.board('use'),
    paths.objectives(),
    paths.objective('shop', 'latency'),
    paths.alerts(),
    paths.silences(),
    paths.settings(),
  ];
  expect(addresses).toMatchInlineSnapshot(`
    [
      "/",
      "/spine/requirements",
      "/spine/requirements?project=shop",
      "/spine/requirements/shop/nfr-001",
      "/spine/matrix?project=shop",
      "/spine/analysis?project=shop",
      "/spine/gates?project=shop",
      "/spine/documents?project=shop",
      "/spine/evidence?project=shop",
      "/spine/evidence/shop/a%20b%2Fc",
      "/topology?namespace=shop",
      "/workloads?namespace=shop",
      "/workloads/deployments.apps?namespace=shop",
      "/workloads/deployments.apps/shop/web",
      "/workloads/nodes/-/one?tab=yaml",
      "/create?namespace=shop",
      "/logs?namespace=shop&selector=app%3Dweb",
      "/metrics/explore?expr=sum%28rate%28x%5B5m%5D%29%29",
      "/metrics/boards",
      "/metrics/boards/use",
      "/objectives",
      "/objectives/shop/latency",
      "/alerts",
      "/alerts/silences",
      "/settings",
    ]
  `);
  expect(namespaceOf('-')).toBeUndefined();
  expect(namespaceOf('shop')).toBe('shop');
});
