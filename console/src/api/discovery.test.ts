import { expect, test } from 'vitest';
import { readDiscovery } from './discovery';

const core = {
  items: [
    {
      metadata: {},
      versions: [
        {
          version: 'v1',
          resources: [
            {
              resource: 'pods',
              responseKind: { kind: 'Pod' },
              scope: 'Namespaced' as const,
              singularResource: 'pod',
              shortNames: ['po'],
              verbs: ['list'],
              subresources: [{ subresource: 'log' }],
            },
          ],
        },
      ],
    },
  ],
};
const groups = {
  items: [
    {
      metadata: { name: 'metrics.example' },
      versions: [
        { version: 'v2', resources: [{ resource: 'pods', responseKind: { kind: 'Pod' }, scope: 'Cluster' as const }] },
        { version: 'v1', resources: [{ resource: 'pods', responseKind: { kind: 'Pod' }, scope: 'Cluster' as const }] },
      ],
    },
  ],
};

test('kinds are found by every name that kubectl takes', () => {
  const kinds = readDiscovery(core, groups);
  for (const name of ['pods', 'Pod', 'po', 'pods.']) expect(kinds.find(name)?.group).toBe('');
  expect(kinds.find('pods.metrics.example')?.version).toBe('v2');
  expect(kinds.of('metrics.example/v1', 'Pod')?.group).toBe('metrics.example');
  expect(kinds.of('v1', 'Pod')?.subresources).toEqual(['log']);
  expect(kinds.has('unknown')).toBe(false);
  expect(kinds.all).toHaveLength(2);
});
