import { expect, test } from 'vitest';
import {
  ALL,
  always,
  type Chosen,
  choicesOf,
  chosenValues,
  fillQuery,
  fillTitle,
  joinTable,
  mapped,
  safeUrl,
  type Variable,
} from './model';

const span = { start: 1000, end: 4600 };

function chosen(variable: Partial<Variable>, values: string[], choices: string[] = values): [string, Chosen] {
  const whole: Variable = { name: 'v', kind: 'labelValues', ...variable };
  return [whole.name, { variable: whole, values, choices: choices.map((value) => ({ value })) }];
}

test('variables are put into queries', () => {
  const map = new Map([
    chosen({ name: 'one' }, ['a']),
    chosen({ name: 'many', multiple: true }, ['a.b', 'c']),
    chosen({ name: 'every', multiple: true, all: true, allValue: '.+' }, [ALL], ['x']),
    chosen({ name: 'whole', all: true }, [ALL], ['x', 'y']),
    chosen({ name: 'window', kind: 'interval' }, ['auto']),
  ]);
  const fill = (text: string) => fillQuery(text, map, always(span, 15));
  expect(fill('x{a="$one"}')).toBe('x{a="a"}');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as boards write variables
  expect(fill('x{a=~"${many}"}')).toBe('x{a=~"(a\\\\.b|c)"}');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as boards write variables
  expect(fill('x{a=~"${many:raw}"}')).toBe('x{a=~"a.b|c"}');
  expect(fill('x{a=~"$every"}')).toBe('x{a=~".+"}');
  expect(fill('x{a=~"$whole"}')).toBe('x{a=~"(x|y)"}');
  expect(fill('rate(x[$window]) + $unknown')).toBe('rate(x[15s]) + $unknown');
  expect(fill('rate(x[$__rate_interval]) increase(x[$__range])')).toBe('rate(x[1m]) increase(x[1h])');
  expect(fillTitle('of $many and $every', map, new Map(), 'all')).toBe('of a.b + c and all');
});

test('a value cannot leave its quotes', () => {
  const map = new Map([chosen({ name: 'v' }, ['a"} or up{x="'])]);
  expect(fillQuery('x{a="$v"}', map, new Map())).toBe('x{a="a\\"} or up{x=\\""}');
});

test('a pattern chooses values and what is shown', () => {
  const values = [{ value: 'pod-1 web' }, { value: 'pod-2 db' }, { value: 'x' }];
  expect(choicesOf(values, '/pod-(?<value>\\d) (?<text>.*)/')).toEqual([
    { value: '1', text: 'web' },
    { value: '2', text: 'db' },
  ]);
  expect(choicesOf([{ value: 'a' }, { value: '' }], undefined)).toEqual([{ value: 'a' }]);
});

test('what is chosen can be chosen', () => {
  const variable: Variable = { name: 'v', kind: 'custom', multiple: true };
  const choices = [{ value: 'a' }, { value: 'b' }];
  expect(chosenValues(variable, choices, ['b', 'gone'])).toEqual(['b']);
  expect(chosenValues(variable, choices, ['gone'])).toEqual(['a']);
  expect(chosenValues({ ...variable, all: true }, choices, [])).toEqual([ALL]);
  expect(chosenValues({ ...variable, default: ['b'] }, choices, [])).toEqual(['b']);
  expect(chosenValues({ name: 'v', kind: 'text' }, [], ['anything'])).toEqual(['anything']);
});

test('values have names', () => {
  expect(mapped(1, [{ value: '1', text: 'up' }])?.text).toBe('up');
  expect(mapped(5, [{ from: 2, to: 9, text: 'some' }])?.text).toBe('some');
  expect(mapped(undefined, [{ value: 'null', text: 'none' }])?.text).toBe('none');
  expect(mapped(7, undefined)).toBeUndefined();
});

test('series with the same labels are one line', () => {
  const lines = joinTable(
    [
      { name: 'A', series: [{ labels: { __name__: 'x', s: '1' }, times: [1, 2], values: [3, 4] }] },
      {
        name: 'B',
        series: [
          { labels: { s: '1' }, times: [2], values: [9] },
          { labels: { s: '2' }, times: [2], values: [8] },
        ],
      },
    ],
    'last',
  );
  expect(lines.map((line) => [line.labels.s, Object.fromEntries(line.values)])).toEqual([
    ['1', { A: 4, B: 9 }],
    ['2', { B: 8 }],
  ]);
});

test('links of boards cannot run anything', () => {
  expect(safeUrl('javascript:alert(1)')).toBeUndefined();
  expect(safeUrl('//evil.example')).toBeUndefined();
  expect(safeUrl('/alerts')).toBe('/alerts');
  expect(safeUrl('https://example.com')).toBe('https://example.com');
});
