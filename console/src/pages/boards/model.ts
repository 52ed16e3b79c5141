// A board as data: its fields, variables put into queries, what becomes of answers. Pure.
import { type Labels, type Reduction, reduce } from '../../lib/series';
import { parseDuration, type Span, writeDuration } from '../../lib/time-range';
import type { ColorStep } from '../../ui/chart/palette';

export interface BoardSpec {
  title: string;
  description?: string;
  tags?: string[];
  time?: { from: string; to: string };
  refresh?: string;
  variables?: Variable[];
  rows: BoardRow[];
  notes?: string[];
}

export interface Variable {
  name: string;
  title?: string;
  kind: 'labelValues' | 'metricNames' | 'query' | 'custom' | 'interval' | 'constant' | 'text';
  label?: string;
  match?: string;
  query?: string;
  regex?: string;
  values?: Choice[];
  default?: string[];
  multiple?: boolean;
  all?: boolean;
  allValue?: string;
  hidden?: boolean;
}

export interface Choice {
  value: string;
  text?: string;
}

export interface BoardRow {
  title?: string;
  collapsed?: boolean;
  repeat?: string;
  panels: Panel[];
}

export interface PanelQuery {
  name?: string;
  query: string;
  legend?: string;
  instant?: boolean;
  step?: string;
  hidden?: boolean;
}

export interface Mapping {
  value?: string;
  from?: number;
  to?: number;
  text?: string;
  color?: string;
}

export interface TableColumn {
  field: string;
  title?: string;
  unit?: string;
  decimals?: number;
  thresholds?: ColorStep[];
}

export interface Panel {
  title?: string;
  description?: string;
  kind: 'timeSeries' | 'stat' | 'gauge' | 'bar' | 'table' | 'heatmap' | 'text';
  width?: number;
  height?: number;
  queries?: PanelQuery[];
  unit?: string;
  decimals?: number;
  min?: number;
  max?: number;
  thresholds?: ColorStep[];
  mappings?: Mapping[];
  draw?: 'line' | 'area' | 'bars' | 'points';
  stack?: 'none' | 'normal' | 'percent';
  reduce?: Reduction;
  columns?: TableColumn[];
  text?: string;
  repeat?: string;
  links?: { title: string; url: string }[];
}

/** What stands in the address for all values of a variable. */
export const ALL = '$__all';

/** A variable with what can be and what is chosen. */
export interface Chosen {
  variable: Variable;
  choices: readonly Choice[];
  /** {@link ALL}, or values. */
  values: readonly string[];
}

export type ChosenByName = ReadonlyMap<string, Chosen>;

const PATTERN = /\$(?:\{([A-Za-z_]\w*)(?::([a-z]+))?\}|([A-Za-z_]\w*))/g;

/** Puts variables into a query; a name that is no variable stays as it is. */
export function fillQuery(text: string, chosen: ChosenByName, always: ReadonlyMap<string, string>): string {
  return text.replace(PATTERN, (whole: string, braced?: string, format?: string, plain?: string) => {
    const name = braced ?? plain ?? '';
    const one = chosen.get(name);
    if (one === undefined) return always.get(name) ?? whole;
    return queryValue(one, format === 'raw', always);
  });
}

function queryValue(chosen: Chosen, isRaw: boolean, always: ReadonlyMap<string, string>): string {
  const { variable, choices, values } = chosen;
  if (values.includes(ALL) && variable.allValue) return variable.allValue;
  const wanted = values.includes(ALL) ? choices.map((choice) => choice.value) : values;
  if (variable.kind === 'interval') {
    const value = wanted[0] ?? 'auto';
    return value === 'auto' ? (always.get('__interval') ?? '1m') : value;
  }
  const mayBeMany = variable.multiple === true || variable.all === true;
  const written = wanted.map((value) => (isRaw ? value : mayBeMany ? escapePattern(value) : escapeText(value)));
  if (written.length === 1) return written[0] ?? '';
  return isRaw ? written.join('|') : `(${written.join('|')})`;
}

/** For a regular expression within a quoted text of PromQL: each backslash stands twice. */
function escapePattern(value: string): string {
  return value
    .replaceAll('\\', '\\\\\\\\')
    .replace(/[.*+?^${}()|[\]]/g, '\\\\$&')
    .replaceAll('"', '\\"');
}

function escapeText(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

/** Puts what is chosen into a title, as people call it. */
export function fillTitle(
  text: string,
  chosen: ChosenByName,
  always: ReadonlyMap<string, string>,
  all: string,
): string {
  return text.replace(PATTERN, (whole: string, braced?: string, _format?: string, plain?: string) => {
    const name = braced ?? plain ?? '';
    const one = chosen.get(name);
    if (one === undefined) return always.get(name) ?? whole;
    if (one.values.includes(ALL)) return all;
    return one.values.map((value) => textOf(one, value)).join(' + ');
  });
}

export function textOf(chosen: Pick<Chosen, 'choices'>, value: string): string {
  return chosen.choices.find((choice) => choice.value === value)?.text ?? value;
}

/** What every reader has: the step, the window for rates, the time. */
export function always(span: Span, step: number): ReadonlyMap<string, string> {
  const range = Math.max(1, Math.round(span.end - span.start));
  const rate = Math.max(step, 60);
  return new Map([
    ['__interval', writeDuration(step)],
    ['__interval_ms', String(step * 1000)],
    ['__auto', writeDuration(step)],
    ['__rate_interval', writeDuration(rate)],
    ['__rate_interval_ms', String(rate * 1000)],
    ['__range', writeDuration(range)],
    ['__range_s', String(range)],
    ['__range_ms', String(range * 1000)],
    ['__from', String(Math.round(span.start * 1000))],
    ['__to', String(Math.round(span.end * 1000))],
  ]);
}

/** Keeps the values that a pattern matches; its groups say what queries get and what is shown. */
export function choicesOf(values: readonly Choice[], regex: string | undefined): Choice[] {
  if (!regex) return values.filter((choice) => choice.value !== '');
  let pattern: RegExp;
  try {
    const body = /^\/(.*)\/([a-z]*)$/.exec(regex);
    pattern = new RegExp(body?.[1] ?? regex, body?.[2] ?? '');
  } catch {
    return [...values];
  }
  const kept = new Map<string, Choice>();
  for (const choice of values) {
    const found = pattern.exec(choice.value);
    if (!found) continue;
    const value = found.groups?.value ?? found[1] ?? choice.value;
    const text = found.groups?.text;
    if (value !== '') kept.set(value, text === undefined ? { value } : { value, text });
  }
  return [...kept.values()];
}

/** What is chosen: what the address says as far as it can be chosen, else what the board says, else the first. */
export function chosenValues(variable: Variable, choices: readonly Choice[], wanted: readonly string[]): string[] {
  const isFree = variable.kind === 'text' || variable.kind === 'constant';
  const isPossible = (value: string) =>
    isFree ||
    value === '' ||
    (value === ALL ? variable.all === true : choices.length === 0 || choices.some((choice) => choice.value === value));
  const given = wanted.filter(isPossible);
  if (given.length > 0) return variable.multiple === true ? given : given.slice(0, 1);
  const usual = (variable.default ?? []).filter(isPossible);
  if (usual.length > 0) return usual;
  if (isFree) return [variable.query ?? ''];
  if (variable.all === true) return [ALL];
  const first = choices[0]?.value;
  return first === undefined ? [] : [first];
}

export function stepOf(panel: Panel, query: PanelQuery | undefined): number {
  // Buckets over time count what came within a step: that wants some samples.
  const least = panel.kind === 'heatmap' ? 60 : 15;
  return Math.max(least, parseDuration(query?.step ?? '') ?? 0);
}

/** What a value is called, where the board names it. */
export function mapped(value: number | undefined, mappings: readonly Mapping[] | undefined): Mapping | undefined {
  return mappings?.find((mapping) => {
    if (mapping.value !== undefined) {
      if (value === undefined || Number.isNaN(value)) return mapping.value === 'null' || mapping.value === 'NaN';
      return Number(mapping.value) === value;
    }
    if (value === undefined) return false;
    return value >= (mapping.from ?? Number.NEGATIVE_INFINITY) && value <= (mapping.to ?? Number.POSITIVE_INFINITY);
  });
}

export interface TableLine {
  labels: Labels;
  /** By the name of the query. */
  values: ReadonlyMap<string, number>;
  time: number;
}

/** One line for all series with the same labels; the query's name tells their values apart. */
export function joinTable(
  answers: readonly {
    name: string;
    series: readonly { labels: Labels; times: readonly number[]; values: readonly number[] }[];
  }[],
  how: Reduction,
): TableLine[] {
  const lines = new Map<string, { labels: Labels; values: Map<string, number>; time: number }>();
  for (const { name, series } of answers) {
    for (const one of series) {
      const { __name__: _metric, ...labels } = one.labels;
      const key = JSON.stringify(Object.entries(labels).sort());
      const value = reduce(one.values, how);
      if (value === undefined) continue;
      const line = lines.get(key) ?? { labels, values: new Map(), time: one.times.at(-1) ?? 0 };
      line.values.set(name, value);
      lines.set(key, line);
    }
  }
  return [...lines.values()];
}

/** The columns of a table: those that the board says, or all labels and values. */
export function tableColumns(panel: Panel, lines: readonly TableLine[], names: readonly string[]): TableColumn[] {
  if (panel.columns !== undefined && panel.columns.length > 0) return panel.columns;
  const labels = [...new Set(lines.flatMap((line) => Object.keys(line.labels)))].sort();
  const values = names.length === 1 ? [{ field: 'value' }] : names.map((name) => ({ field: `value ${name}` }));
  return [...labels.map((field) => ({ field })), ...values];
}

export function queryName(query: PanelQuery, index: number): string {
  return query.name || String.fromCharCode(65 + (index % 26));
}

/** Only addresses that cannot run anything. */
export function safeUrl(url: string): string | undefined {
  return /^(https?:\/\/|\/(?!\/))/.test(url) ? url : undefined;
}
