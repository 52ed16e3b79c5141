import { expect, test } from 'vitest';
import type { Requirement, WorkItem } from '../../api/maru';
import { buildRows, diffRows, gapsOf, type MatrixFilter, matches, parentNames, wordDiff } from './rows';

type Spec = Partial<Requirement['spec']>;
const requirement = (name: string, spec: Spec = {}, status: Requirement['status'] = {}) =>
  ({ metadata: { name }, spec: { statement: `${name} shall`, priority: 'must', ...spec }, status }) as Requirement;
const rowsOf = (...requirements: Requirement[]) => buildRows({ requirements, workItems: [] });
const ANY: MatrixFilter = { text: '', verdict: '', priority: '', kind: '', gap: '', change: '' };
const DIGEST = `sha256:${'0a'.repeat(32)}`;

test('a row holds the whole thread', () => {
  const full = requirement(
    'nfr-10',
    {
      title: { ko: '응답', en: 'Latency' },
      allocatedTo: ['web', 'api'],
      criterion: { indicator: 'latency', quantile: 0.9, atMost: '1s' },
      verify: [{ load: 'page', in: 'dev' }, { slo: 'web' }, { test: { suite: 'shop' } }],
    },
    {
      verdict: 'NotMeasured',
      checks: [
        { check: 0, outcome: 'Met', evidence: DIGEST, at: '2026-01-01T00:00:00Z', expires: '2026-02-01T00:00:00Z' },
        { check: 2, outcome: 'Insufficient' },
      ],
    },
  );
  const work = { metadata: { name: 'shop-1' }, spec: { title: 'x', requirements: ['nfr-10'] } } as unknown as WorkItem;
  const [first, row] = buildRows({ requirements: [full, requirement('nfr-9')], workItems: [work] });
  expect(first?.name).toBe('nfr-9');
  expect(row).toMatchObject({
    design: ['api', 'web'],
    work: ['shop-1'],
    criterion: 'latency p90 ≤ 1s',
    evidence: [`sha256-${'0a'.repeat(10)}`],
    measured: Date.parse('2026-01-01T00:00:00Z'),
    tests: [{ label: 'shop', outcome: 'Insufficient' }],
    slos: [{ label: 'web', outcome: undefined }],
    others: [{ label: 'page @dev', outcome: 'Met' }],
  });
});

test('gaps are told of what is to be done and has no children', () => {
  const rows = rowsOf(
    requirement('goal'),
    requirement('bare', { derivedFrom: [{ name: 'goal' }] }),
    requirement('never', { priority: 'wont' }),
    requirement('unmeasured', { allocatedTo: ['a'], verify: [{ slo: 'x' }] }),
  );
  const parents = parentNames(rows);
  const gaps = Object.fromEntries(rows.map((row) => [row.name, gapsOf(row, parents.has(row.name), 0)]));
  expect(gaps).toEqual({ goal: [], bare: ['design', 'work', 'check'], never: [], unmeasured: ['work', 'evidence'] });
});

test('filters', () => {
  const [row] = rowsOf(requirement('nfr-1', { title: { ko: '주문 응답', en: '' } }, { verdict: 'Conforming' }));
  if (!row) throw new Error('there is a row');
  const shown = (filter: Partial<MatrixFilter>) => matches(row, { ...ANY, ...filter }, ['work'], undefined);
  expect(shown({})).toBe(true);
  expect(shown({ text: '주문 nfr' })).toBe(true);
  expect(shown({ text: '결제' })).toBe(false);
  expect(shown({ verdict: 'Conforming', priority: 'must' })).toBe(true);
  expect(shown({ verdict: 'none' })).toBe(false);
  expect(shown({ gap: 'any' })).toBe(true);
  expect(shown({ gap: 'design' })).toBe(false);
});

test('between two states: added, removed, changed in meaning, changed in verdict', () => {
  const before = rowsOf(
    requirement('gone'),
    requirement('same', {}, { verdict: 'Conforming' }),
    requirement('reworded'),
    requirement('worse', {}, { verdict: 'Conforming' }),
    requirement('titled', { title: 'a' }),
  );
  const after = rowsOf(
    requirement('new'),
    requirement('same', {}, { verdict: 'Conforming' }),
    requirement('reworded', { statement: 'It shall not', allocatedTo: ['web'] }),
    requirement('worse', {}, { verdict: 'Nonconforming' }),
    requirement('titled', { title: 'b' }),
  );
  const { changes, removed } = diffRows(before, after);
  expect(Object.fromEntries([...changes].map(([name, change]) => [name, change.kind]))).toEqual({
    new: 'added',
    gone: 'removed',
    same: 'same',
    reworded: 'changed',
    worse: 'verdict',
    titled: 'same',
  });
  expect([...(changes.get('reworded')?.fields ?? [])]).toEqual(['statement', 'design']);
  expect(removed.map((row) => row.name)).toEqual(['gone']);
});

test('words', () => {
  expect(wordDiff('within 300 ms of it', 'within 200 ms')).toEqual([
    { text: 'within ', kind: 'same' },
    { text: '300', kind: 'removed' },
    { text: '200', kind: 'added' },
    { text: ' ms', kind: 'same' },
    { text: ' of it', kind: 'removed' },
  ]);
  expect(wordDiff('a', 'a')).toEqual([{ text: 'a', kind: 'same' }]);
  expect(wordDiff('', 'a')).toEqual([{ text: 'a', kind: 'added' }]);
});

test('five thousand rows are built and compared at once', () => {
  const many = (verdict: 'Conforming' | 'Nonconforming') =>
    Array.from({ length: 5_000 }, (_, index) =>
      requirement(`r-${index}`, { allocatedTo: ['a'], verify: [{ slo: 'x', in: 'prod' }] }, { verdict }),
    );
  const rows = rowsOf(...many('Conforming'));
  expect(rows).toHaveLength(5_000);
  expect(rows[1]?.name).toBe('r-1');
  const { changes } = diffRows(rows, rowsOf(...many('Nonconforming')));
  expect([...changes.values()].every((change) => change.kind === 'verdict')).toBe(true);
});
