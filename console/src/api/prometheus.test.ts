import { expect, test } from 'vitest';
import { readMatcher, writeMatcher } from './alertmanager';
import { errorPlace, readResult } from './prometheus';

test('results of all types become series', () => {
  const matrix = readResult({
    data: {
      resultType: 'matrix',
      result: [
        {
          metric: { a: 'b' },
          values: [
            [1, '2'],
            [2, '+Inf'],
          ],
        },
      ],
    },
  });
  expect(matrix.series).toEqual([{ labels: { a: 'b' }, times: [1, 2], values: [2, Number.POSITIVE_INFINITY] }]);
  expect(readResult({ data: { resultType: 'scalar', result: [1, '3'] } }).series[0]?.values).toEqual([3]);
  expect(readResult({ data: { resultType: 'string', result: [1, 'x'] } }).text).toBe('x');
  const native = readResult({
    data: { resultType: 'vector', result: [{ metric: {}, histogram: [1, { count: '7', sum: '1' }] }] },
  });
  expect(native.histograms).toBe(1);
});

test('a mistake is found at its place', () => {
  expect(errorPlace('invalid parameter "query": 1:6: parse error: expected type', 'rate(up)')).toEqual({
    from: 5,
    to: 7,
  });
  expect(errorPlace('2:1: parse error: unexpected', 'up +\n) x')).toEqual({ from: 5, to: 6 });
  expect(errorPlace('1:4: parse error: unexpected end', 'up{')).toEqual({ from: 2, to: 3 });
  expect(errorPlace('query timed out', 'up')).toBeUndefined();
});

test('matchers are read and written', () => {
  for (const text of ['team="db"', 'severity=~"page|ticket"', 'job!="a\\"b"', 'x!~".*"']) {
    const matcher = readMatcher(text);
    expect(matcher && writeMatcher(matcher)).toBe(text);
  }
  expect(readMatcher('team=db')).toEqual({ name: 'team', value: 'db', isRegex: false, isEqual: true });
  expect(readMatcher('team')).toBeUndefined();
});
