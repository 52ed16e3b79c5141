import { expect, test } from 'vitest';
import { atPosition, limitIn, MIDDLE, positionOf, readAmount, readTried, writeTried } from './limits';

test('limits are numbers with units', () => {
  expect(readAmount('300ms')).toEqual({ value: 300, unit: 'ms' });
  expect(readAmount('99.95%')).toEqual({ value: 99.95, unit: '%' });
  expect(readAmount('0.999')).toEqual({ value: 99.9, unit: '%' });
  expect(readAmount('500000 KRW/month')).toEqual({ value: 500000, unit: ' KRW/month' });
  expect(readAmount('soon')).toBeUndefined();
});

test('limits are found in what people are told', () => {
  expect(limitIn('≥ 99 %')).toBe('99%');
  expect(limitIn('at most 90,000 KRW/month')).toBe('90000 KRW/month');
  expect(limitIn('≤ 12.5 ms')).toBe('12.5ms');
  expect(limitIn('≥ 40/s')).toBe('40/s');
});

test('a slider moves by factors, an availability by its distance to 100 %', () => {
  expect(atPosition('300ms', MIDDLE)).toBe('300ms');
  expect(atPosition('300ms', 100)).toBe('2400ms');
  expect(atPosition('300ms', 0)).toBe('37.5ms');
  expect(atPosition('99.9%', 0)).toBe('99.9875%');
  expect(atPosition('99.9%', 100)).toBe('99.2%');
  expect(atPosition('500000 KRW/month', 100)).toBe('4000000 KRW/month');
  expect(atPosition('soon', 80)).toBe('soon');
});

test('a place is found again', () => {
  for (const written of ['300ms', '99.9%', '40/s']) {
    for (const position of [0, 20, 50, 75, 100]) {
      expect(positionOf(written, atPosition(written, position))).toBeCloseTo(position, -1);
    }
  }
  expect(positionOf('300ms', '1h')).toBe(MIDDLE);
});

test('what is tried is in the address', () => {
  const tried = new Map([
    ['nfr-001.atMost', '400ms'],
    ['nfr-010.atMost', '600000 KRW/month'],
  ]);
  expect(readTried(writeTried(tried))).toEqual(tried);
  expect(readTried('')).toEqual(new Map());
});
