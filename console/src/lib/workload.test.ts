import { expect, test } from 'vitest';
import type { Kind } from '../api/discovery';
import type { Workload } from '../api/kubernetes';
import type { KubernetesObject } from '../api/types';
import { grouped } from './kind-groups';
import { controllerRevisions, deploymentRevisions, manualJob, ownedBy, selectorText, undoPatch } from './workload';

function object(name: string, owner?: string): KubernetesObject {
  return {
    metadata: {
      name,
      uid: name,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'A', name: owner, uid: owner }] }),
    },
  };
}

test('selectors', () => {
  expect(
    selectorText({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['a', 'b'] },
        { key: 'x', operator: 'Exists' },
        { key: 'y', operator: 'DoesNotExist' },
      ],
    }),
  ).toBe('app=web,tier in (a,b),x,!y');
  expect(selectorText({})).toBeUndefined();
});

test('what an object owns, through others too', () => {
  const objects = [object('pod', 'rs'), object('rs', 'deploy'), object('other', 'x')];
  expect(ownedBy('deploy', objects).map((one) => one.metadata.name)).toEqual(['rs', 'pod']);
});

function replicaSet(revision: string, image: string): Workload {
  const { metadata } = object(`web-${revision}`, 'web');
  return {
    metadata: { ...metadata, annotations: { 'deployment.kubernetes.io/revision': revision, note: image } },
    spec: {
      template: {
        metadata: { labels: { app: 'web', 'pod-template-hash': revision } },
        spec: { containers: [{ name: 'a', image }] },
      },
    },
  };
}

const deployment: Workload = {
  metadata: {
    ...object('web').metadata,
    annotations: { 'deployment.kubernetes.io/revision': '2', mine: 'x' },
  },
};

test('history of a deployment, and going back as kubectl does', () => {
  const first = replicaSet('1', 'one');
  const revisions = deploymentRevisions(deployment, [first, replicaSet('2', 'two')]);
  expect(revisions.map((one) => [one.number, one.isCurrent])).toEqual([
    [2, true],
    [1, false],
  ]);
  expect(undoPatch(deployment, first)).toEqual([
    {
      op: 'replace',
      path: '/spec/template',
      value: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a', image: 'one' }] } },
    },
    {
      op: 'replace',
      path: '/metadata/annotations',
      value: { 'deployment.kubernetes.io/revision': '2', note: 'one' },
    },
  ]);
});

test('history of a stateful set', () => {
  const set: Workload = { ...object('db'), status: { updateRevision: 'db-1' } };
  const revisions = controllerRevisions(set, [
    { ...object('db-1', 'db'), revision: 3 },
    { ...object('db-0', 'db'), revision: 2 },
    { ...object('x', 'y'), revision: 9 },
  ]);
  expect(revisions.map((one) => [one.number, one.isCurrent])).toEqual([
    [3, true],
    [2, false],
  ]);
});

test('a job by hand', () => {
  const job = manualJob({ ...object('tick'), spec: { jobTemplate: { spec: { a: 1 } } } }, 'abc12');
  expect(job).toMatchObject({
    metadata: { name: 'tick-manual-abc12', annotations: { 'cronjob.kubernetes.io/instantiate': 'manual' } },
    spec: { a: 1 },
  });
});

test('kinds in their groups', () => {
  const kind = (plural: string, group: string, verbs = ['list']) =>
    ({ plural, group, kind: plural, verbs }) as unknown as Kind;
  const groups = grouped([
    kind('deployments', 'apps'),
    kind('pods', ''),
    kind('crontabs', 'stable.example.com'),
    kind('requirements', 'maru.dev'),
    kind('events', ''),
    kind('events', 'events.k8s.io'),
    kind('bindings', '', ['create']),
  ]);
  expect(groups.map((one) => [one.group, ...one.kinds.map((each) => each.plural)])).toEqual([
    ['workloads', 'pods', 'deployments'],
    ['cluster', 'events'],
    ['maru', 'requirements'],
    ['custom', 'crontabs'],
  ]);
});
