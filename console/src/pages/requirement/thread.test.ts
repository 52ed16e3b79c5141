import { expect, test } from 'vitest';
import type { Approval, CheckStatus, Evidence, Requirement } from '../../api/maru';
import { approvalsOf, Derivation, evidenceOf, history } from './thread';

const requirement = (name: string, ...parents: string[]) =>
  ({
    metadata: { name },
    spec: { statement: name, priority: 'must', derivedFrom: parents.map((parent) => ({ name: parent })) },
  }) as Requirement;

const evidence = (name: string, to: string, digest: string, environment = 'dev') =>
  ({
    metadata: { name },
    spec: {
      predicateType: 'https://maru.dev/load/v1',
      name: 'page',
      environment,
      subjects: [{ kind: 'requirement', name: 'nfr-1', digest }],
      window: { from: to, to },
      result: { outcome: 'Met' },
    },
  }) as unknown as Evidence;

test('derivation goes up, down and as far as a change reaches', () => {
  const tree = new Derivation([
    requirement('goal'),
    requirement('a', 'goal'),
    requirement('b', 'goal', 'gone'),
    requirement('c', 'a', 'b'),
  ]);
  expect(tree.down('goal').map((one) => [one.name, one.branches.map((child) => child.name)])).toEqual([
    ['a', ['c']],
    ['b', ['c']],
  ]);
  expect(tree.up('c').map((one) => one.name)).toEqual(['a', 'b']);
  expect(tree.up('b')[1]).toEqual({ name: 'gone', requirement: undefined, branches: [] });
  expect(tree.reach('goal')).toEqual(['a', 'b', 'c']);
  expect(tree.reach('c')).toEqual([]);
});

test('a ring ends', () => {
  const tree = new Derivation([requirement('a', 'b'), requirement('b', 'a')]);
  expect(tree.down('a')).toEqual([
    {
      name: 'b',
      requirement: expect.anything(),
      branches: [{ name: 'a', requirement: expect.anything(), branches: [] }],
    },
  ]);
  expect(tree.reach('a')).toEqual(['b']);
});

test('history is by check, in order, and knows what was made for other words', () => {
  const all = [
    evidence('two', '2026-01-02T00:00:00Z', 'sha256:new'),
    evidence('one', '2026-01-01T00:00:00Z', 'sha256:old'),
    evidence('else', '2026-01-03T00:00:00Z', 'sha256:new', 'prod'),
  ];
  const points = history(all, 'nfr-1', 'sha256:new', { means: 'load', name: 'page', environment: 'dev' });
  expect(points.map((point) => [point.evidence.metadata.name, point.current])).toEqual([
    ['one', false],
    ['two', true],
  ]);
  expect(evidenceOf(all, 'nfr-1')).toHaveLength(3);
  expect(evidenceOf(all, 'nfr-2')).toHaveLength(0);
});

test('approvals, latest first', () => {
  const word = (name: string, at: string, of: string) =>
    ({
      metadata: { name, creationTimestamp: at },
      spec: { of: [{ kind: 'Requirement', name: of }], role: 'customer', decision: 'approved' },
    }) as unknown as Approval;
  const all = [
    word('1', '2026-01-01T00:00:00Z', 'r'),
    word('2', '2026-01-02T00:00:00Z', 'r'),
    word('3', '2026-01-02T00:00:00Z', 'x'),
  ];
  expect(approvalsOf(all, 'r').map((one) => one.metadata.name)).toEqual(['2', '1']);
});

test('of a suite that failed, only what the controller says of the cases counts', () => {
  const suite = {
    metadata: { name: 's' },
    spec: {
      envelope: 'sha256:e',
      predicateType: 'https://in-toto.io/attestation/test-result/v0.1',
      name: 'shop',
      subjects: [{ kind: 'requirement', name: 'fr-1', digest: 'sha256:f' }],
      window: { from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z' },
      result: { outcome: 'Violated' },
    },
  } as unknown as Evidence;
  const outcome = (cases: { cases?: string }, came?: CheckStatus) =>
    history([suite], 'fr-1', 'sha256:f', { means: 'test', name: 'shop', ...cases }, came)[0]?.outcome;
  expect(outcome({})).toBe('Violated');
  expect(outcome({ cases: 'cart/*' })).toBeUndefined();
  expect(outcome({ cases: 'cart/*' }, { check: 0, outcome: 'Met', evidence: 'sha256:e' })).toBe('Met');
});
