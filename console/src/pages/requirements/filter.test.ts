import { expect, test } from 'vitest';
import type { Requirement } from '../../api/maru';
import { categories, countVerdicts, isShown } from './filter';

const one = (status: Requirement['status'], priority: Requirement['spec']['priority'] = 'must') =>
  ({ metadata: { name: 'r' }, spec: { statement: 's', priority }, status }) as Requirement;
const ANY = { verdict: '', kind: '', priority: '', lint: '' };

test('by verdict, class, priority', () => {
  const row = one({ verdict: 'Conforming', class: { kind: 'nonFunctional', category: 'performance' } }, 'should');
  expect(isShown(row, ANY)).toBe(true);
  expect(isShown(row, { ...ANY, verdict: 'Conforming', kind: 'performance', priority: 'should' })).toBe(true);
  expect(isShown(row, { ...ANY, kind: 'nonFunctional' })).toBe(true);
  expect(isShown(row, { ...ANY, kind: 'functional' })).toBe(false);
  expect(isShown(row, { ...ANY, verdict: 'none' })).toBe(false);
  expect(isShown(one(undefined, 'wont'), { ...ANY, verdict: 'none' })).toBe(true);
});

test('by findings', () => {
  const linted = one({ lint: [{ rule: 'vague-word', severity: 'warning' }] });
  expect(isShown(linted, { ...ANY, lint: 'any' })).toBe(true);
  expect(isShown(linted, { ...ANY, lint: 'warning' })).toBe(true);
  expect(isShown(linted, { ...ANY, lint: 'error' })).toBe(false);
  expect(isShown(linted, { ...ANY, lint: 'vague-word' })).toBe(true);
  expect(isShown(linted, { ...ANY, lint: 'suspect' })).toBe(false);
  expect(isShown(one({ suspect: [{ name: 'goal' }] }), { ...ANY, lint: 'suspect' })).toBe(true);
  expect(isShown(one({ conflicts: [['r', 'x']] }), { ...ANY, lint: 'conflict' })).toBe(true);
  expect(isShown(one({}), { ...ANY, lint: 'clean' })).toBe(true);
});

test('counts and qualities', () => {
  const all = [
    one({ verdict: 'Conforming', class: { category: 'security' } }),
    one(undefined),
    one({ verdict: 'Conforming' }),
  ];
  expect(countVerdicts(all)).toEqual({ Conforming: 2, none: 1 });
  expect(categories(all)).toEqual(['security']);
});
