import { expect, test } from 'vitest';
import {
  alignSpan,
  chooseStep,
  fixedRange,
  offsetMs,
  pan,
  parseDuration,
  parseMoment,
  readStep,
  toSpan,
  writeDuration,
  zoomOut,
} from './time-range';

const NOW = Date.parse('2026-11-22T12:00:00Z');

test('lengths are read and written as PromQL does', () => {
  expect(parseDuration('1h30m')).toBe(5400);
  expect(parseDuration('500ms')).toBe(0.5);
  expect(parseDuration('15')).toBe(15);
  expect(parseDuration('soon')).toBeUndefined();
  for (const text of ['1h30m', '15s', '2w', '8d', '250ms', '1d12h']) {
    expect(writeDuration(parseDuration(text) ?? 0)).toBe(text);
  }
});

test('moments are relative, exact, or on the clocks of a zone', () => {
  expect(parseMoment('now-1h', NOW)).toBe(NOW - 3_600_000);
  expect(parseMoment('2026-11-22T12:00:00Z', 0)).toBe(NOW);
  expect(parseMoment('2026-11-22 21:00', 0, 'Asia/Seoul')).toBe(NOW);
  expect(parseMoment('2026-11-22 07:00:00', 0, 'America/New_York')).toBe(NOW);
  expect(parseMoment('now-soon', NOW)).toBeUndefined();
  expect(parseMoment('gestern', NOW)).toBeUndefined();
});

test('clocks that change are followed', () => {
  expect(offsetMs(Date.parse('2026-07-01T00:00:00Z'), 'Europe/Berlin')).toBe(7_200_000);
  expect(offsetMs(NOW, 'Europe/Berlin')).toBe(3_600_000);
  // An hour after the change, in the night of it.
  expect(parseMoment('2026-10-25 04:00', 0, 'Europe/Berlin')).toBe(Date.parse('2026-10-25T03:00:00Z'));
});

test('a range that ends before it begins is none', () => {
  expect(toSpan({ from: 'now-1h', to: 'now' }, NOW)).toEqual({ start: NOW / 1000 - 3600, end: NOW / 1000 });
  expect(toSpan({ from: 'now', to: 'now-1h' }, NOW)).toBeUndefined();
});

test('spans move and widen', () => {
  const span = { start: 1000, end: 2000 };
  expect(pan(span, -1)).toEqual({ start: 500, end: 1500 });
  expect(zoomOut(span, 2100)).toEqual({ start: 100, end: 2100 });
  expect(fixedRange({ start: NOW / 1000 - 60, end: NOW / 1000 })).toEqual({
    from: '2026-11-22T11:59:00Z',
    to: '2026-11-22T12:00:00Z',
  });
});

test('steps are ones that people know, and never too many points', () => {
  expect(chooseStep(3600, 300)).toBe(15);
  expect(chooseStep(86_400, 300)).toBe(300);
  expect(chooseStep(30 * 86_400, 300)).toBe(10_800);
  expect(chooseStep(300, 300, 15)).toBe(15);
  expect(readStep('1m', 3600)).toBe(60);
  expect(readStep('', 3600)).toBe(15);
  expect(readStep('1s', 30 * 86_400)).toBe(300);
  expect(alignSpan({ start: 107, end: 203 }, 15)).toEqual({ start: 105, end: 195 });
});
