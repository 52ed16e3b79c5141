import { expect, test } from 'vitest';
import type { Evidence, Project, Requirement } from '../../api/maru';
import { activity, attention, counts, isReady, namespacesOf, nextGate, type Pod, stages, type World } from './model';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const empty: World = {
  requirements: [],
  projects: [],
  evidence: [],
  objectives: [],
  pods: [],
  workloads: [],
  nodes: [],
  alerts: [],
  events: [],
};

const metadata = (name: string, creationTimestamp = '2026-11-22T09:00:00Z') => ({
  name,
  namespace: 'shop',
  uid: name,
  resourceVersion: '1',
  creationTimestamp,
});

function requirement(name: string, status: Requirement['status']): Requirement {
  return {
    metadata: metadata(name),
    spec: { statement: 's', title: name, priority: 'must' },
    ...(status && { status }),
  };
}

function evidence(name: string, to: string, validUntil: string): Evidence {
  return {
    metadata: metadata(name),
    spec: {
      envelope: `sha256:${name}`,
      predicateType: 'https://maru.dev/slo-window/v1',
      name: 'orders-latency',
      environment: 'prod',
      subjects: [],
      producer: { tool: 'maru' },
      window: { from: to, to },
      result: { outcome: 'Met' },
      validUntil,
    },
  };
}

test('nothing green is listed', () => {
  const world = {
    ...empty,
    requirements: [requirement('fr-001', { verdict: 'Conforming' })],
    pods: [pod({ phase: 'Running' })],
  };
  expect(attention(world, NOW)).toEqual([]);
});

test('what hurts now comes first, each with its reason and help', () => {
  const found = attention(
    {
      ...empty,
      requirements: [
        requirement('fr-001', { verdict: 'NotMeasured', reason: 'no evidence' }),
        requirement('fr-002', {
          verdict: 'Nonconforming',
          reason: 'too slow',
          suspect: [{ name: 'goal-001' }],
          lint: [{ rule: 'vague', severity: 'error', place: 'statement', message: 'vague word' }],
        }),
      ],
      alerts: [{ fingerprint: 'f', startsAt: '2026-11-22T11:00:00Z', labels: { alertname: 'Down' }, annotations: {} }],
    },
    NOW,
  );
  expect(found.map((one) => [one.kind, one.name, one.reason, one.help])).toEqual([
    ['alert', 'Down', '', 'seeAlert'],
    ['nonconforming', 'fr-002', 'too slow', 'seeEvidence'],
    ['suspect', 'fr-002', 'goal-001', 'reviewLink'],
    ['lint', 'fr-002', 'vague word', 'mendStatement'],
    ['notMeasured', 'fr-001', 'no evidence', 'seeMissing'],
  ]);
});

function pod(status: Pod['status'], deletionTimestamp?: string): Pod {
  return {
    metadata: { ...metadata('web-1'), ...(deletionTimestamp && { deletionTimestamp }) },
    ...(status && { status }),
  };
}

test.each<[string, Pod, string | undefined, string?]>([
  [
    'crashing',
    pod({
      phase: 'Running',
      containerStatuses: [
        {
          name: 'web',
          restartCount: 5,
          state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s' } },
          lastState: { terminated: { exitCode: 42, reason: 'Error' } },
        },
      ],
    }),
    'web: CrashLoopBackOff · Error 42 ×5 · back-off 40s',
    'readLog',
  ],
  [
    'no image',
    pod({ phase: 'Pending', containerStatuses: [{ name: 'web', state: { waiting: { reason: 'ErrImagePull' } } }] }),
    'web: ErrImagePull',
    'seeEvents',
  ],
  [
    'no room',
    pod({
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no node' }],
    }),
    'Unschedulable · no node',
    'seeEvents',
  ],
  [
    'starting',
    pod({
      phase: 'Pending',
      containerStatuses: [{ name: 'web', state: { waiting: { reason: 'ContainerCreating' } } }],
    }),
    undefined,
  ],
  ['ending', pod({ phase: 'Failed' }, '2026-11-22T11:59:00Z'), undefined],
  ['done', pod({ phase: 'Succeeded' }), undefined],
])('a pod that is %s', (_, one, reason, help) => {
  const found = attention({ ...empty, pods: [one] }, NOW)[0];
  expect([found?.reason, found?.help]).toEqual([reason, help]);
});

test('evidence is expired only when nothing newer has replaced it', () => {
  const old = evidence('a', '2026-11-01T00:00:00Z', '2026-11-10T00:00:00Z');
  const next = evidence('b', '2026-11-20T00:00:00Z', '2026-11-30T00:00:00Z');
  expect(attention({ ...empty, evidence: [old, next] }, NOW)).toEqual([]);
  expect(attention({ ...empty, evidence: [old] }, NOW).map((one) => [one.kind, one.reason])).toEqual([
    ['evidence', 'slo prod'],
  ]);
});

const project: Project = {
  metadata: metadata('shop'),
  spec: { environments: [{ name: 'dev' }, { name: 'prod', namespace: 'live' }] },
  status: {
    stage: 'as-is',
    gates: [
      { gate: 'requirements/exit', open: true },
      { gate: 'as-is/entry', open: true },
      { gate: 'as-is/exit', open: false, blocked: [{ expression: 'false', message: 'no survey', count: 1 }] },
      { gate: 'tests/exit', open: false },
    ],
  },
};

test('a project’s line and its next gate', () => {
  expect(stages(project).map((one) => one.state)).toEqual(['done', 'now', 'ahead']);
  expect(nextGate(project)).toMatchObject({ stage: 'as-is', side: 'exit' });
  expect(attention({ ...empty, projects: [project] }, NOW)).toMatchObject([
    { kind: 'gate', name: 'as-is', reason: 'no survey' },
  ]);
  expect([...namespacesOf(project)]).toEqual(['shop', 'shop-dev', 'live']);
  const done = { ...project, status: { ...project.status, stage: 'done' } };
  expect(stages(done).map((one) => one.state)).toEqual(['done', 'done', 'done']);
});

test('workloads are ready when what was asked for last is there', () => {
  const one = (generation: number, observedGeneration: number, readyReplicas: number) =>
    isReady({
      metadata: { ...metadata('web'), generation },
      spec: { replicas: 2 },
      status: { observedGeneration, readyReplicas },
    });
  expect([one(2, 2, 2), one(2, 1, 2), one(2, 2, 1)]).toEqual([true, false, false]);
  expect(
    counts({
      ...empty,
      workloads: [{ plural: 'deployments', items: [{ metadata: metadata('a'), spec: { replicas: 0 } }] }],
    }).ready,
  ).toBe(1);
});

test('activity leaves out the noise of pods that do well', () => {
  const event = (uid: string, kind: string, type: string, lastTimestamp: string) => ({
    metadata: { ...metadata(uid), uid },
    involvedObject: { kind, name: 'x', namespace: 'shop' },
    type,
    reason: 'R',
    lastTimestamp,
  });
  const news = activity(
    {
      events: [
        event('a', 'Pod', 'Normal', '2026-11-22T11:00:00Z'),
        event('b', 'Pod', 'Warning', '2026-11-22T10:00:00Z'),
        event('c', 'Deployment', 'Normal', '2026-11-22T11:30:00Z'),
      ],
      approvals: [],
      evidence: [evidence('e', '2026-11-01T00:00:00Z', '2026-11-10T00:00:00Z')],
      replicaSets: [],
      baselines: [],
      hrefOf: () => undefined,
    },
    10,
  );
  expect(news.map((one) => [one.kind, one.key])).toEqual([
    ['event', 'c'],
    ['warning', 'b'],
    ['evidence', 'e'],
  ]);
});
