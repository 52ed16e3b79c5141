import { expect, test } from 'vitest';
import { align, bucketCounts, distinctNames, fillLegend, reduce, stack, writeSeries } from './series';

test('series are brought to one grid; what is missing is a gap', () => {
  const { times, columns } = align(
    [
      { times: [100, 115, 145], values: [1, 2, 4] },
      { times: [115, 130], values: [5, Number.NaN] },
    ],
    { start: 100, end: 145, step: 15 },
  );
  expect(times).toEqual([100, 115, 130, 145]);
  expect(columns).toEqual([
    [1, 2, null, 4],
    [null, 5, null, null],
  ]);
});

test('fractions of seconds do not move samples off the grid', () => {
  const start = 1_763_800_000.123;
  const { columns } = align([{ times: [start, start + 0.1 + 0.2], values: [1, 2] }], {
    start,
    end: start + 0.3,
    step: 0.3,
  });
  expect(columns).toEqual([[1, 2]]);
});

test('without a grid all times that occur are there, in order', () => {
  const { times, columns } = align([
    { times: [3, 9], values: [1, 2] },
    { times: [5], values: [7] },
  ]);
  expect(times).toEqual([3, 5, 9]);
  expect(columns).toEqual([
    [1, null, 2],
    [null, 7, null],
  ]);
});

test('stacks stand on one another and keep gaps', () => {
  expect(
    stack(
      [
        [1, null, 3],
        [1, 2, 3],
      ],
      'normal',
    ),
  ).toEqual([
    [1, null, 3],
    [2, 2, 6],
  ]);
  expect(
    stack(
      [
        [1, 0],
        [3, 0],
      ],
      'percent',
    ),
  ).toEqual([
    [0.25, 0],
    [1, 0],
  ]);
});

test('many values become one', () => {
  const values = [4, Number.NaN, 1, 7];
  expect(reduce(values, 'last')).toBe(7);
  expect(reduce(values, 'first')).toBe(4);
  expect(reduce(values, 'mean')).toBe(4);
  expect(reduce(values, 'min')).toBe(1);
  expect(reduce(values, 'delta')).toBe(3);
  expect(reduce(values, 'count')).toBe(3);
  expect(reduce([], 'last')).toBeUndefined();
});

test('series are named by what tells them apart', () => {
  expect(
    distinctNames([
      { __name__: 'up', job: 'a', node: 'n' },
      { __name__: 'up', job: 'b', node: 'n' },
    ]),
  ).toEqual(['{job="a"}', '{job="b"}']);
  expect(distinctNames([{ __name__: 'up', job: 'a' }])).toEqual(['up{job="a"}']);
  expect(writeSeries({ __name__: 'up', path: 'a"b' })).toBe('up{path="a\\"b"}');
  expect(fillLegend('{{job}} at {{ node }}{{none}}', { job: 'a', node: 'n' })).toBe('a at n');
});

test('cumulative buckets become counts', () => {
  expect(
    bucketCounts([
      [1, null],
      [3, 2],
      [3, 5],
    ]),
  ).toEqual([
    [1, null],
    [2, 2],
    [0, 3],
  ]);
});
