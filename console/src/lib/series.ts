// Series of numbers over time: brought to common moments, stacked, reduced, named. Pure.

export type Labels = Readonly<Record<string, string>>;

/** Samples in the order of time; seconds since 1970. */
export interface Samples {
  times: readonly number[];
  values: readonly number[];
}

/** Where the samples of a range query lie. Seconds. */
export interface Grid {
  start: number;
  end: number;
  step: number;
}

export type Column = (number | null)[];

/** Brings series to common moments: those of the grid, or all that occur. What is missing is `null`, a gap in the line. */
export function align(series: readonly Samples[], grid?: Grid): { times: number[]; columns: Column[] } {
  const times = grid === undefined ? union(series) : moments(grid);
  const index = new Map(
    times.map((time, at) => [grid === undefined ? time : Math.round((time - grid.start) / grid.step), at]),
  );
  const columns = series.map((one) => {
    const column: Column = new Array<number | null>(times.length).fill(null);
    for (const [at, time] of one.times.entries()) {
      const place = index.get(grid === undefined ? time : Math.round((time - grid.start) / grid.step));
      const value = one.values[at];
      if (place !== undefined && value !== undefined && Number.isFinite(value)) column[place] = value;
    }
    return column;
  });
  return { times, columns };
}

function moments(grid: Grid): number[] {
  const count = Math.floor((grid.end - grid.start) / grid.step + 1e-3) + 1;
  return Array.from({ length: Math.max(count, 0) }, (_, at) => grid.start + at * grid.step);
}

function union(series: readonly Samples[]): number[] {
  return [...new Set(series.flatMap((one) => [...one.times]))].sort((left, right) => left - right);
}

/** Puts columns on one another, the first at the bottom. A gap counts as nothing but stays a gap of its own series. */
export function stack(columns: readonly Column[], mode: 'normal' | 'percent'): Column[] {
  const length = columns[0]?.length ?? 0;
  const sums = new Array<number>(length).fill(0);
  if (mode === 'percent') {
    for (const column of columns) for (const [at, value] of column.entries()) sums[at] = (sums[at] ?? 0) + (value ?? 0);
  }
  const below = new Array<number>(length).fill(0);
  return columns.map((column) =>
    column.map((value, at) => {
      const sum = sums[at] ?? 0;
      const own = mode === 'percent' ? (sum === 0 ? 0 : (value ?? 0) / sum) : (value ?? 0);
      below[at] = (below[at] ?? 0) + own;
      return value === null ? null : (below[at] ?? 0);
    }),
  );
}

export type Reduction = 'last' | 'first' | 'mean' | 'min' | 'max' | 'sum' | 'count' | 'delta';

/** One number of many; nothing of none. */
export function reduce(values: readonly number[], how: Reduction): number | undefined {
  const finite = values.filter((value) => !Number.isNaN(value));
  const first = finite[0];
  const last = finite.at(-1);
  if (how === 'count') return finite.length;
  if (first === undefined || last === undefined) return undefined;
  const sum = () => finite.reduce((left, right) => left + right, 0);
  switch (how) {
    case 'last':
      return last;
    case 'first':
      return first;
    case 'delta':
      return last - first;
    case 'sum':
      return sum();
    case 'mean':
      return sum() / finite.length;
    case 'min':
      return finite.reduce((left, right) => Math.min(left, right));
    case 'max':
      return finite.reduce((left, right) => Math.max(left, right));
  }
}

/** `name{label="value"}` as PromQL writes a series. */
export function writeSeries(labels: Labels): string {
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 && name !== '' ? name : `${name}{${pairs.join(', ')}}`;
}

/** Fills `{{label}}` of a legend. */
export function fillLegend(legend: string, labels: Labels): string {
  return legend.replace(/\{\{\s*([\w.:]+)\s*\}\}/g, (_, label: string) => labels[label] ?? '').trim();
}

/** Names that tell series of one chart apart: only the labels in which they differ. */
export function distinctNames(all: readonly Labels[]): string[] {
  const names = new Set(all.flatMap((labels) => Object.keys(labels)));
  const differing = [...names].filter((name) => new Set(all.map((labels) => labels[name])).size > 1);
  return all.map((labels) => {
    if (all.length === 1) return writeSeries(labels);
    const kept = Object.fromEntries(
      differing.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])),
    );
    return Object.keys(kept).length === 0 ? writeSeries(labels) : writeSeries(kept as Labels);
  });
}

/** Numbers of buckets per moment from cumulative ones (`le`), the lowest first. */
export function bucketCounts(columns: readonly Column[]): Column[] {
  return columns.map((column, at) => {
    const below = columns[at - 1];
    return column.map((value, moment) => {
      if (value === null) return null;
      return Math.max(0, value - (below?.[moment] ?? 0));
    });
  });
}
