// The metrics room: queries, what is known about metrics, rules and their alerts. Prometheus' HTTP API and what Maru adds.
import { queryOptions } from '@tanstack/react-query';
import type { LocalText } from '../i18n/texts';
import type { Grid, Labels } from '../lib/series';
import { request } from './http';
import { keys } from './keys';

const ROOT = '/prometheus';
/** Addresses longer than this are sent as a form. */
const ADDRESS_CHARS_MAX = 6_000;

/** One series; seconds since 1970. */
export interface Series {
  labels: Labels;
  times: number[];
  values: number[];
}

export interface QueryStatistics {
  timings: { evalTotalTime: number; execTotalTime: number; execQueueTime: number };
  samples: { totalQueryableSamples: number; peakSamples: number };
}

export interface QueryAnswer {
  type: 'vector' | 'matrix' | 'scalar' | 'string';
  series: Series[];
  /** Native histograms: what is shown of them in words, by the place in `series`. */
  histograms: number;
  /** Of a string. */
  text: string | undefined;
  statistics: QueryStatistics | undefined;
  warnings: readonly string[];
  infos: readonly string[];
}

type RawSample = [number, string];

interface RawHistogram {
  count: string;
  sum: string;
}

interface RawSeries {
  metric: Record<string, string>;
  value?: RawSample;
  values?: RawSample[];
  histogram?: [number, RawHistogram];
  histograms?: [number, RawHistogram][];
}

interface Answer<T> {
  data: T;
  warnings?: string[];
  infos?: string[];
}

interface RawResult {
  resultType: QueryAnswer['type'];
  result: RawSeries[] | RawSample;
  stats?: QueryStatistics;
}

/** Asks with GET; what is too long for an address is sent as a form. */
function ask<T>(
  path: string,
  query: Record<string, string | number | readonly string[] | undefined>,
  signal?: AbortSignal,
): Promise<Answer<T>> {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of typeof value === 'object' ? value : [value]) form.append(name, String(one));
  }
  const text = form.toString();
  if (text.length <= ADDRESS_CHARS_MAX) return request<Answer<T>>(`${ROOT}/api/v1/${path}?${text}`, { signal });
  return request<Answer<T>>(`${ROOT}/api/v1/${path}`, {
    method: 'POST',
    body: text,
    contentType: 'application/x-www-form-urlencoded',
    signal,
  });
}

/** `NaN`, `+Inf`, `-Inf` and numbers. */
export function readNumber(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

export function readResult(answer: Answer<RawResult>): QueryAnswer {
  const { resultType, result, stats } = answer.data;
  const base = {
    type: resultType,
    histograms: 0,
    text: undefined,
    statistics: stats,
    warnings: answer.warnings ?? [],
    infos: answer.infos ?? [],
  };
  if (resultType === 'string' || resultType === 'scalar') {
    const [time, text] = result as RawSample;
    if (resultType === 'string') return { ...base, series: [], text };
    return { ...base, series: [{ labels: {}, times: [time], values: [readNumber(text)] }] };
  }
  let histograms = 0;
  const series = (result as RawSeries[]).map((one): Series => {
    const samples = one.values ?? (one.value ? [one.value] : []);
    const native = one.histograms ?? (one.histogram ? [one.histogram] : []);
    if (samples.length === 0 && native.length > 0) {
      histograms += 1;
      return {
        labels: one.metric,
        times: native.map(([time]) => time),
        values: native.map(([, histogram]) => readNumber(histogram.count)),
      };
    }
    return {
      labels: one.metric,
      times: samples.map(([time]) => time),
      values: samples.map(([, text]) => readNumber(text)),
    };
  });
  return { ...base, series, histograms };
}

/** Evaluates at one moment (seconds; now without it). */
export function instantQuery(query: string, time: number | undefined) {
  const parameters = { query, time, stats: 'true' };
  return queryOptions({
    queryKey: keys.prometheus('query', parameters),
    queryFn: async ({ signal }) => readResult(await ask<RawResult>('query', parameters, signal)),
    retry: false,
  });
}

/** Evaluates at each step. Seconds. */
export function rangeQuery(query: string, range: Grid) {
  const parameters = { query, start: range.start, end: range.end, step: range.step, stats: 'true' };
  return queryOptions({
    queryKey: keys.prometheus('query_range', parameters),
    queryFn: async ({ signal }) => readResult(await ask<RawResult>('query_range', parameters, signal)),
    retry: false,
  });
}

export interface MetricMetadata {
  type: string;
  help: string;
  unit: string;
}

/** What is known about all metrics. */
export const metadataQuery = queryOptions({
  queryKey: keys.prometheus('metadata', {}),
  queryFn: async ({ signal }) => (await ask<Record<string, MetricMetadata[]>>('metadata', {}, signal)).data,
  staleTime: 60_000,
});

/** The values of a label, of the series that a selector finds within a time. */
export function labelValuesQuery(label: string, match?: string, span?: { start: number; end: number }) {
  const parameters = { 'match[]': match, start: span?.start, end: span?.end };
  return queryOptions({
    queryKey: keys.prometheus(`label/${label}/values`, parameters),
    queryFn: async ({ signal }) =>
      (await ask<string[]>(`label/${encodeURIComponent(label)}/values`, parameters, signal)).data,
    staleTime: 30_000,
  });
}

/** The names of the labels of the series that a selector finds. */
export function labelNamesQuery(match: string) {
  const parameters = { 'match[]': match };
  return queryOptions({
    queryKey: keys.prometheus('labels', parameters),
    queryFn: async ({ signal }) => (await ask<string[]>('labels', parameters, signal)).data,
    staleTime: 30_000,
  });
}

/** Lays a query out over several lines. */
export async function formatQuery(query: string): Promise<string> {
  return (await ask<string>('format_query', { query })).data;
}

export interface RuleAlert {
  labels: Labels;
  annotations: Labels;
  state: 'pending' | 'firing' | 'inactive';
  activeAt: string;
  value: string;
  keepFiringSince?: string;
}

export interface Rule {
  name: string;
  query: string;
  type: 'alerting' | 'recording';
  health: 'ok' | 'err' | 'unknown';
  lastError?: string;
  lastEvaluation: string;
  evaluationTime: number;
  state?: RuleAlert['state'];
  /** `for`, in seconds. */
  duration?: number;
  keepFiringFor?: number;
  labels?: Labels;
  annotations?: Labels;
  alerts?: RuleAlert[];
}

export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  rules: Rule[];
  problem?: string;
}

export const rulesQuery = queryOptions({
  queryKey: keys.prometheus('rules', {}),
  queryFn: async ({ signal }) => (await ask<{ groups: RuleGroup[] }>('rules', {}, signal)).data.groups,
  refetchInterval: 15_000,
});

export interface ConditionSeries {
  labels: Labels;
  value: number | string;
  holds?: boolean;
}

export interface Explanation {
  file: string;
  group: string;
  rule: Rule;
  evaluatedAt: string | null;
  nextEvaluation: string;
  reasons: LocalText[];
  conditions: {
    expression: string;
    operator?: string;
    threshold?: number | string;
    series?: ConditionSeries[] | { error: string };
    against?: ConditionSeries[];
    error?: string;
  }[];
  alerts: {
    labels: Labels;
    annotations: Labels;
    state: RuleAlert['state'];
    value: string;
    activeAt: string;
    firedAt: string | null;
    remainingForSeconds: number;
    sends: {
      alertmanager: string;
      sent: boolean;
      at?: string;
      as?: 'firing' | 'resolved';
      status?: number | string;
      error?: string;
    }[];
  }[];
}

/** Why a rule's alerts fire, or do not. `labels` are conditions as in a selector: `job="web"`. */
export function explainQuery(rule: string, labels: string) {
  const parameters = { rule, labels: labels === '' ? undefined : labels };
  return queryOptions({
    queryKey: keys.prometheus('alerts/explain', parameters),
    queryFn: async ({ signal }) =>
      (await ask<{ rules: Explanation[] }>('alerts/explain', parameters, signal)).data.rules,
    retry: false,
    refetchInterval: 15_000,
  });
}

export interface Rehearsal {
  from: string;
  to: string;
  alerts: {
    labels: Labels;
    annotations: Labels;
    activeAt: string;
    startsAt: string;
    endsAt: string | null;
    value: string;
    group: string;
  }[];
  rules: {
    group: string;
    name: string;
    firings: number;
    firingSeconds: number;
    pendingOnly: number;
    error: string | null;
  }[];
  truncated: boolean;
}

/** What a rule file would have told within a time (seconds). */
export async function rehearse(rules: string, span: { start: number; end: number }): Promise<Rehearsal> {
  const answer = await request<Answer<Rehearsal>>(`${ROOT}/api/v1/rules/rehearse`, {
    method: 'POST',
    body: rules,
    contentType: 'application/yaml',
    query: { start: span.start, end: span.end },
  });
  return answer.data;
}

/** What completion of queries asks with: PromQL's editor makes its own addresses. */
export const completionClient = {
  url: '',
  apiPrefix: `${ROOT}/api/v1`,
  httpMethod: 'GET' as const,
  lookbackInterval: 3_600_000,
  fetchFn: (input: RequestInfo, init?: RequestInit) => fetch(input, { ...init, credentials: 'same-origin' }),
};

/** Where in a query the server found a mistake: `1:6: parse error: …` counts lines and bytes. */
export function errorPlace(message: string, query: string): { from: number; to: number } | undefined {
  const found = /(?:^|[\s"])(\d+):(\d+): /.exec(message);
  if (!found) return undefined;
  const lines = query.split('\n');
  const line = lines[Number(found[1]) - 1];
  if (line === undefined) return undefined;
  const before = lines.slice(0, Number(found[1]) - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const bytes = new TextEncoder().encode(line).slice(0, Number(found[2]) - 1);
  const from = Math.min(before + new TextDecoder().decode(bytes).length, query.length);
  const word = /^[\w:]+|^./.exec(query.slice(from))?.[0].length ?? 0;
  return word > 0 ? { from, to: from + word } : { from: Math.max(0, query.length - 1), to: query.length };
}
