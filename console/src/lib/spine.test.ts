import { expect, test } from 'vitest';
import type { Evidence } from '../api/maru';
import {
  answers,
  boundOf,
  checkLabel,
  checkName,
  criterionBound,
  evidenceKind,
  evidenceName,
  freshness,
  measuredText,
  ratioOf,
  spanSeconds,
  worst,
} from './spine';

test('checks have a name and a place', () => {
  expect(checkLabel(checkName({ test: { suite: 'shop', case: 'a/*' }, in: 'dev' }))).toBe('shop a/* @dev');
  expect(checkLabel(checkName({ approval: { role: 'customer' } }))).toBe('customer');
  expect(checkName({ slo: 'orders-latency', in: 'prod' })).toEqual({
    means: 'slo',
    name: 'orders-latency',
    environment: 'prod',
  });
});

test('criteria read as people write them', () => {
  expect(criterionBound({ indicator: 'latency', quantile: 0.999, atMost: '300ms' })).toBe('p99.9 ≤ 300ms');
  expect(criterionBound({ indicator: 'availability', atLeast: '99.9%' })).toBe('≥ 99.9 %');
  expect(criterionBound({ indicator: 'errorRatio', atMost: 0.001 })).toBe('≤ 0.1 %');
  expect(criterionBound({ indicator: 'cost', atMost: '90000 KRW/month' })).toBe('≤ 90000 KRW/month');
  expect(criterionBound({ indicator: 'behaviour' })).toBe('');
});

test('quantities', () => {
  expect(spanSeconds('300ms')).toBeCloseTo(0.3);
  expect(spanSeconds('1h30m')).toBe(5_400);
  expect(spanSeconds('soon')).toBeUndefined();
  expect(spanSeconds('')).toBeUndefined();
  expect(ratioOf('99.9%')).toBe(0.999);
  expect(ratioOf(0.5)).toBe(0.5);
  expect(ratioOf('many')).toBeUndefined();
});

test('the line is drawn in the unit that was measured', () => {
  const latency = { indicator: 'latency', quantile: '99.9%', atMost: '300ms' } as const;
  expect(boundOf(latency, { outcome: 'Met', unit: 'ratio', value: 0.9995 })).toEqual({ value: 0.999, side: 'atLeast' });
  expect(boundOf(latency, { outcome: 'Met', unit: 'seconds', value: 0.1 })).toEqual({ value: 0.3, side: 'atMost' });
  const errors = { indicator: 'errorRatio', atMost: '0.1%' } as const;
  expect(boundOf(errors, { outcome: 'Met', unit: 'ratio' })).toEqual({ value: 0.999, side: 'atLeast' });
  const rate = { indicator: 'throughput', atLeast: '3,000/m' } as const;
  expect(boundOf(rate, { outcome: 'Met', unit: 'perSecond' })).toEqual({ value: 50, side: 'atLeast' });
  expect(boundOf({ indicator: 'behaviour' }, { outcome: 'Met' })).toBeUndefined();
});

test('measures keep the digits that matter', () => {
  expect(measuredText(0.99951, 'ratio')).toBe('99.951 %');
  expect(measuredText(0.9, 'ratio')).toBe('90 %');
  expect(measuredText(0.96336, 'ratio', 'down')).toBe('96.33 %');
  expect(measuredText(0.96961, 'ratio', 'up')).toBe('96.97 %');
  expect(measuredText(0.999, 'ratio', 'down')).toBe('99.9 %');
  expect(measuredText(1, 'ratio', 'up')).toBe('100 %');
  expect(measuredText(0.0831, 'seconds')).toBe('83.1 ms');
  expect(measuredText(720, 'seconds')).toBe('12 min');
  expect(measuredText(50, 'perSecond')).toBe('50 /s');
});

test('evidence is found for a check', () => {
  expect(evidenceKind('https://in-toto.io/attestation/test-result/v0.1')).toBe('test');
  expect(evidenceKind('https://maru.dev/drill/v1')).toBe('drill');
  expect(evidenceKind('https://example.com/other')).toBe('https://example.com/other');
  const evidence = {
    spec: { predicateType: 'https://maru.dev/load/v1', name: 'shop-page', environment: 'dev' },
  } as Evidence;
  expect(answers(evidence, { means: 'load', name: 'shop-page', environment: 'dev' })).toBe(true);
  expect(answers(evidence, { means: 'load', name: '*' })).toBe(true);
  expect(answers(evidence, { means: 'load', name: 'shop-page', environment: 'prod' })).toBe(false);
  expect(answers(evidence, { means: 'drill', name: 'shop-page', environment: 'dev' })).toBe(false);
  expect(evidenceName(`sha256:${'ab'.repeat(32)}`)).toBe(`sha256-${'ab'.repeat(10)}`);
});

test('freshness and the worst outcome', () => {
  expect(freshness(0, 100, 50)).toBe('fresh');
  expect(freshness(0, 100, 90)).toBe('expiring');
  expect(freshness(0, 100, 100)).toBe('expired');
  expect(freshness(0, undefined, 100)).toBe('lasting');
  expect(worst(['Met', 'Violated', undefined, 'Insufficient'])).toBe('Violated');
  expect(worst([])).toBeUndefined();
});
