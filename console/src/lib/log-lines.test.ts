import { expect, test } from 'vitest';
import { LineReader, LogLines, lineFilter, plainText, severity, spansOf } from './log-lines';

test('lines of two logs come in the order of their times', () => {
  const log = new LogLines();
  log.add([
    { at: 1, source: 0, text: 'a' },
    { at: 3, source: 0, text: 'c' },
    { at: 5, source: 0, text: 'e' },
  ]);
  const change = log.add([
    { at: 2, source: 1, text: 'b' },
    { at: 3, source: 1, text: 'd' },
    { at: 6, source: 1, text: 'f' },
  ]);
  expect(log.lines.map((line) => line.text).join('')).toBe('abcdef');
  expect(change).toEqual({ dropped: 0, keptUntil: 1 });
  expect(log.add([{ at: 7, source: 0, text: 'g' }]).keptUntil).toBe(6);
});

test('the oldest lines go first', () => {
  const log = new LogLines(10);
  const line = (at: number) => ({ at, source: 0, text: String(at) });
  log.add(Array.from({ length: 10 }, (_, at) => line(at)));
  expect(log.add([line(10)])).toEqual({ dropped: 2, keptUntil: 8 });
  expect(log.lines[0]?.text).toBe('2');
  expect(log.dropped).toBe(2);
});

test('a million lines are taken in a moment', () => {
  const log = new LogLines();
  const reader = new LineReader();
  const chunk = Array.from(
    { length: 1000 },
    (_, n) => `2026-11-22T10:00:00.${String(n).padStart(9, '0')}Z line ${n}\n`,
  );
  const text = chunk.join('');
  for (let part = 0; part < 1000; part += 1)
    log.add(reader.read(text).map((line) => ({ ...line, at: part, source: 0 })));
  expect(log.lines.length).toBeLessThanOrEqual(log.max);
  expect(log.lines.length + log.dropped).toBe(1_000_000);
});

test('lines are read with their times, also when they come in pieces', () => {
  const reader = new LineReader();
  expect(reader.read('2026-11-22T10:00:00.5Z on')).toEqual([]);
  const [line, other] = reader.read('e\r\n  at no time\n2026');
  expect(line).toEqual({ at: Date.parse('2026-11-22T10:00:00Z') + 500, text: 'one' });
  expect(other).toEqual({ at: line?.at, text: '  at no time' });
  expect(reader.newest).toBe('2026-11-22T10:00:00.5Z');
  expect(reader.end()).toEqual([{ at: line?.at, text: '2026' }]);
  expect(reader.read('2026-11-22T19:00:01+09:00 x\n')[0]?.at).toBe(Date.parse('2026-11-22T10:00:01Z'));
});

test('filters', () => {
  expect(lineFilter('GET', false).filter?.('a get b')).toBe(true);
  expect(lineFilter('g.t', false).filter?.('get')).toBe(false);
  expect(lineFilter('g.t', true).filter?.('GET')).toBe(true);
  expect(lineFilter('(', true).error).toBeDefined();
  expect(lineFilter('', true).filter).toBeUndefined();
});

test('colours of terminals become spans, other sequences go', () => {
  const line = '\u001b[1;31mfail\u001b[0m ok \u001b[38;5;200mx\u001b[2K';
  expect(spansOf(line, '', false)).toEqual([
    { text: 'fail', styles: ['red', 'bold'] },
    { text: ' ok ', styles: [] },
    { text: 'x', styles: [] },
  ]);
  expect(plainText(line)).toBe('fail ok x');
  expect(spansOf('a.b a-b', 'a.b', false)).toEqual([
    { text: 'a.b', styles: ['match'] },
    { text: ' a-b', styles: [] },
  ]);
});

test('what a line looks like', () => {
  expect(severity('2026 ERROR cannot')).toBe('bad');
  expect(severity('[warn] x')).toBe('warn');
  expect(severity('terror')).toBeUndefined();
});
