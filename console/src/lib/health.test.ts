import { expect, test } from 'vitest';
import type { Pod } from '../api/kubernetes';
import type { KubernetesObject } from '../api/types';
import { conditionTone, health, podHealth, readyContainers } from './health';

const metadata = {
  name: 'a',
  namespace: 'b',
  uid: 'u',
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
};

function pod(status: Pod['status'], more: Partial<Pod> = {}): Pod {
  return { metadata, spec: { containers: [{ name: 'x' }] }, ...more, ...(status ? { status } : {}) };
}

const base = { name: 'x', restartCount: 0, image: 'i', imageID: 'd' };

test('pods are told as kubectl tells them', () => {
  const running = pod({ phase: 'Running', containerStatuses: [{ ...base, ready: true, state: { running: {} } }] });
  expect(podHealth(running)).toMatchObject({ tone: 'good', label: 'Running' });
  const crash = pod({
    phase: 'Running',
    containerStatuses: [
      {
        ...base,
        ready: false,
        restartCount: 3,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 1, reason: 'Error' } },
      },
    ],
  });
  expect(podHealth(crash)).toEqual({ tone: 'bad', label: 'CrashLoopBackOff', message: 'x: Error (exit code 1)' });
  expect(readyContainers(crash)).toEqual({ ready: 0, all: 1, restarts: 3 });
  const unready = pod({ phase: 'Running', containerStatuses: [{ ...base, ready: false, state: { running: {} } }] });
  expect(podHealth(unready).tone).toBe('warn');
  const done = pod({
    phase: 'Succeeded',
    containerStatuses: [{ ...base, ready: false, state: { terminated: { exitCode: 0, reason: 'Completed' } } }],
  });
  expect(podHealth(done)).toMatchObject({ tone: 'good', label: 'Completed' });
  const unscheduled = pod({
    phase: 'Pending',
    conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes' }],
  });
  expect(podHealth(unscheduled)).toEqual({ tone: 'bad', label: 'Pending', message: '0/1 nodes' });
  const init = pod(
    { phase: 'Pending', initContainerStatuses: [{ ...base, name: 'i', ready: false, state: { running: {} } }] },
    { spec: { containers: [{ name: 'x' }], initContainers: [{ name: 'i' }] } },
  );
  expect(podHealth(init)).toMatchObject({ tone: 'pending', label: 'Init:0/1' });
  expect(podHealth({ ...running, metadata: { ...metadata, deletionTimestamp: 'x' } }).label).toBe('Terminating');
});

function told(kind: string, object: object) {
  const found = health(kind, { metadata: { ...metadata, generation: 2 }, ...object } as KubernetesObject);
  return found && [found.tone, found.label];
}

test('workloads', () => {
  const done = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2, readyReplicas: 2 };
  expect(told('Deployment', { spec: { replicas: 2 }, status: done })).toEqual(['good', 'Available']);
  expect(told('Deployment', { spec: { replicas: 2 }, status: { ...done, observedGeneration: 1 } })).toEqual([
    'pending',
    'Progressing',
  ]);
  expect(told('Deployment', { spec: { replicas: 2 }, status: { ...done, replicas: 3 } })).toEqual([
    'pending',
    'Progressing',
  ]);
  expect(told('Deployment', { spec: { replicas: 2, paused: true }, status: done })).toEqual(['warn', 'Paused']);
  const late = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' };
  expect(told('Deployment', { spec: {}, status: { ...done, conditions: [late] } })).toEqual([
    'bad',
    'ProgressDeadlineExceeded',
  ]);
  expect(told('StatefulSet', { spec: { replicas: 3 }, status: done })).toEqual(['pending', 'Progressing']);
  expect(told('Job', { status: { conditions: [{ type: 'Complete', status: 'True' }] } })).toEqual(['good', 'Complete']);
  expect(
    told('Node', { spec: { unschedulable: true }, status: { conditions: [{ type: 'Ready', status: 'True' }] } }),
  ).toEqual(['warn', 'SchedulingDisabled']);
  expect(told('PersistentVolumeClaim', { status: { phase: 'Pending' } })).toEqual(['pending', 'Pending']);
  expect(told('Thing', { status: { conditions: [{ type: 'Ready', status: 'False', reason: 'Broken' }] } })).toEqual([
    'bad',
    'Broken',
  ]);
  expect(told('ConfigMap', {})).toBeUndefined();
});

test('conditions that are wanted false', () => {
  expect(conditionTone({ type: 'MemoryPressure', status: 'False' })).toBe('good');
  expect(conditionTone({ type: 'Ready', status: 'False' })).toBe('bad');
  expect(conditionTone({ type: 'Ready', status: 'Unknown' })).toBe('unknown');
});
