import { expect, test } from 'vitest';
import { makeFormat, shortDuration } from './format';

const seoul = makeFormat('ko', 'Asia/Seoul');
const utc = makeFormat('en', 'UTC');
const at = Date.parse('2026-03-01T23:30:00Z');

test('times are told in the chosen zone', () => {
  expect(utc.dateTime(at)).toBe('2026-03-01 23:30:00');
  expect(seoul.dateTime(at)).toBe('2026-03-02 08:30:00');
  expect(seoul.date('2026-03-01T23:30:00Z')).toBe('2026-03-02');
  expect(utc.dateTime('nonsense')).toBe('—');
  expect(utc.dateTime(undefined)).toBe('—');
});

test('how long ago', () => {
  expect(utc.relative(at, at + 5_000)).toBe('5 seconds ago');
  expect(utc.relative(at, at + 3 * 3_600_000)).toBe('3 hours ago');
  expect(seoul.relative(at, at + 3 * 3_600_000)).toBe('3시간 전');
  expect(utc.relative(at + 86_400_000, at)).toBe('tomorrow');
});

test('ages as kubectl writes them', () => {
  const ages = [5, 119, 120, 200, 599, 660, 10_799, 10_800, 14_460, 100_000, 200_000, 700_000, 80_000_000];
  expect(ages.map(shortDuration)).toEqual([
    '5s',
    '119s',
    '2m',
    '3m20s',
    '9m59s',
    '11m',
    '179m',
    '3h',
    '4h1m',
    '27h',
    '2d7h',
    '8d',
    '2y',
  ]);
});

test('sizes', () => {
  expect([0, 1023, 1536, 5 * 2 ** 30].map(utc.bytes)).toEqual(['0 B', '1020 B', '1.5 KiB', '5 GiB']);
  expect([0, 2.5e-7, 0.0123, 1.5, 90, 5_400, 90_061, -180].map(utc.seconds)).toEqual([
    '0 s',
    '250 ns',
    '12.3 ms',
    '1.5 s',
    '90 s',
    '1 h 30 min',
    '1 d 1 h',
    '-3 min',
  ]);
  expect(utc.percent(0.99123)).toBe('99.12%');
});
