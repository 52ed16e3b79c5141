import { expect, test } from 'vitest';
import { remembered } from './history';

test('queries stand once, the newest first', () => {
  const first = remembered([], ['up', ' up ', ''], 1);
  expect(first).toEqual([{ query: 'up', at: 1 }]);
  expect(remembered(first, ['down', 'up'], 2).map((one) => one.query)).toEqual(['down', 'up']);
  expect(
    remembered(
      first,
      Array.from({ length: 200 }, (_, at) => `q${at}`),
      3,
    ),
  ).toHaveLength(100);
});
