// What requirements, checks and evidence say, as plain values: names, bounds, freshness, kinds of evidence.
import type { Check, Criterion, Evidence, Measured, Outcome } from '../api/maru';
import { trim } from './format';

/** What measures: `slo`, `test` … in the order in which tables show them. */
export const MEANS = [
  'test',
  'slo',
  'load',
  'scan',
  'drill',
  'approval',
  'install',
  'survey',
  'experiment',
  'bom',
  'provenance',
] as const;
export type Means = (typeof MEANS)[number];

/** Whether checks ask for evidence of this kind; others are of the chain itself. */
export function isMeans(kind: string): kind is Means {
  return (MEANS as readonly string[]).includes(kind);
}

export interface CheckName {
  means: Means;
  /** The objective, the suite, the role, the scenario. */
  name: string;
  /** Of a test: which cases. */
  cases?: string;
  environment?: string;
}

export function checkName(check: Check): CheckName {
  const environment = check.in === undefined ? {} : { environment: check.in };
  if (check.test) {
    const cases = check.test.case === undefined ? {} : { cases: check.test.case };
    return { means: 'test', name: check.test.suite, ...cases, ...environment };
  }
  if (check.approval) return { means: 'approval', name: check.approval.role, ...environment };
  for (const means of MEANS) {
    const name = means === 'test' || means === 'approval' ? undefined : check[means];
    if (name !== undefined) return { means, name, ...environment };
  }
  return { means: 'test', name: '?', ...environment };
}

/** `shop storefront/* @dev` */
export function checkLabel(check: CheckName): string {
  const name = check.cases === undefined ? check.name : `${check.name} ${check.cases}`;
  return check.environment === undefined ? name : `${name} @${check.environment}`;
}

const PREDICATES: Record<string, Means> = {
  'https://in-toto.io/attestation/test-result/v0.1': 'test',
  'https://maru.dev/slo-window/v1': 'slo',
  'https://cyclonedx.org/bom': 'bom',
  'https://slsa.dev/provenance/v1': 'provenance',
};

/** What kind of evidence a predicate is; those of the chain itself (`baseline`, `key`, `decision`) have their own name. */
export function evidenceKind(predicateType: string): string {
  const known = PREDICATES[predicateType];
  if (known) return known;
  const own = /^https:\/\/maru\.dev\/([a-z-]+)\/v\d+$/.exec(predicateType);
  return own?.[1] ?? predicateType;
}

/** Whether a piece of evidence is of the kind and name that a check asks for. */
export function answers(evidence: Evidence, check: CheckName): boolean {
  const { spec } = evidence;
  return (
    evidenceKind(spec.predicateType) === check.means &&
    (check.name === '*' || spec.name === check.name) &&
    (check.environment === undefined || spec.environment === check.environment)
  );
}

/** The object that indexes an envelope. */
export function evidenceName(digest: string): string {
  return `sha256-${digest.replace('sha256:', '').slice(0, 20)}`;
}

export function shortDigest(digest: string): string {
  return digest.replace('sha256:', '').slice(0, 12);
}

const SECONDS: Record<string, number> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  min: 60,
  h: 3_600,
  d: 86_400,
  w: 604_800,
};

/** `300ms`, `1h30m`, `30m` in seconds. */
export function spanSeconds(text: string | number | undefined): number | undefined {
  if (typeof text !== 'string') return undefined;
  let total = 0;
  let rest = text.replaceAll(' ', '');
  if (rest === '') return undefined;
  while (rest !== '') {
    const part = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|min|s|m|h|d|w)/.exec(rest);
    const size = SECONDS[part?.[2] ?? ''];
    if (!part || size === undefined) return undefined;
    total += Number(part[1]) * size;
    rest = rest.slice(part[0].length);
  }
  return total;
}

/** `0.999`, `"99.9%"` and `"99.9 %"` are the same share. */
export function ratioOf(value: string | number | undefined): number | undefined {
  if (typeof value === 'number') return value;
  const part = /^(\d+(?:\.\d+)?)\s*(%)?$/.exec(value ?? '');
  return part ? Number((Number(part[1]) / (part[2] ? 100 : 1)).toPrecision(12)) : undefined;
}

function rateOf(value: string | number | undefined): number | undefined {
  const part = /^([\d,]+(?:\.\d+)?)\s*\/\s*(s|m|min|h|d)$/.exec(String(value ?? ''));
  const per = SECONDS[part?.[2] ?? ''];
  return part && per ? Number((part[1] ?? '').replaceAll(',', '')) / per : undefined;
}

export interface Bound {
  value: number;
  side: 'atLeast' | 'atMost';
}

/** Where a criterion draws the line, in the unit in which something was measured. */
export function boundOf(criterion: Criterion | undefined, measured: Measured): Bound | undefined {
  const bound = (value: number | undefined, side: Bound['side']) => (value === undefined ? undefined : { value, side });
  switch (criterion?.indicator) {
    case 'latency':
      return measured.unit === 'ratio'
        ? bound(ratioOf(criterion.quantile), 'atLeast')
        : bound(spanSeconds(criterion.atMost), 'atMost');
    case 'availability':
      return bound(ratioOf(criterion.atLeast), 'atLeast');
    case 'errorRatio': {
      const share = ratioOf(criterion.atMost);
      return bound(share === undefined ? undefined : Number((1 - share).toPrecision(12)), 'atLeast');
    }
    case 'throughput':
      return bound(rateOf(criterion.atLeast), 'atLeast');
    case 'recoveryPoint':
    case 'recoveryTime':
      return bound(spanSeconds(criterion.atMost), 'atMost');
    default:
      return undefined;
  }
}

/** `99.9` of 0.999: quantiles and shares as people say them. */
export function percentText(ratio: number): string {
  return trimZeros((ratio * 100).toPrecision(12));
}

function trimZeros(text: string): string {
  return String(Number(text));
}

/** The quantity that a criterion asks for: `p99.9 ≤ 300ms`, `≥ 99.9 %`. Empty where there is none. */
export function criterionBound(criterion: Criterion): string {
  const most = criterion.atMost === undefined ? '' : `≤ ${amount(criterion, criterion.atMost)}`;
  const least = criterion.atLeast === undefined ? '' : `≥ ${amount(criterion, criterion.atLeast)}`;
  const quantile = ratioOf(criterion.quantile);
  const quantity = [quantile === undefined ? '' : `p${percentText(quantile)}`, most, least];
  if (criterion.per) quantity.push(`/ ${criterion.per}`);
  if (criterion.in) quantity.push(criterion.in.join(', '));
  if (criterion.id) quantity.push(criterion.id);
  if (criterion.by) quantity.push(criterion.by);
  return quantity.filter(Boolean).join(' ');
}

function amount(criterion: Criterion, value: string | number): string {
  const isShare = criterion.indicator === 'availability' || criterion.indicator === 'errorRatio';
  const share = isShare ? ratioOf(value) : undefined;
  return share === undefined ? String(value) : `${percentText(share)} %`;
}

export type Rounding = 'nearest' | 'down' | 'up';

/** What was measured in its unit: `99.95 %`, `83 ms`, `120 /s`. Bounds of shares are rounded outwards, so that they stay true. */
export function measuredText(
  value: number | undefined,
  unit: string | undefined,
  rounding: Rounding = 'nearest',
): string {
  if (value === undefined) return '';
  switch (unit) {
    case 'ratio':
      return `${shareText(value, rounding)} %`;
    case 'seconds':
      return secondsText(value);
    case 'perSecond':
      return `${trim(value)} /s`;
    default:
      return `${trim(value)}${unit ? ` ${unit}` : ''}`;
  }
}

/** Digits by the distance to the whole: 99.995 % is not 100 %. */
function shareText(value: number, rounding: Rounding): string {
  const scale = 10 ** digitsOfShare(value);
  const exact = value * 100 * scale;
  const near = Math.round(exact);
  // What is a whole number of digits but for the noise of floats stays that number.
  const rounded =
    Math.abs(exact - near) < 1e-6 || rounding === 'nearest'
      ? near
      : rounding === 'down'
        ? Math.floor(exact)
        : Math.ceil(exact);
  return trimZeros((rounded / scale).toFixed(5));
}

function digitsOfShare(value: number): number {
  const distance = Math.max(Math.min(1 - value, value), 1e-7);
  return distance >= 1e-3 ? 2 : distance >= 1e-4 ? 3 : distance >= 1e-5 ? 4 : 5;
}

function secondsText(value: number): string {
  if (value >= 3_600) return `${trim(value / 3_600)} h`;
  if (value >= 120) return `${trim(value / 60)} min`;
  if (value >= 1) return `${trim(value)} s`;
  return value >= 1e-3 ? `${trim(value * 1e3)} ms` : `${trim(value * 1e6)} µs`;
}

export type Freshness = 'fresh' | 'expiring' | 'expired' | 'lasting';

/** How much longer a piece of evidence counts: the last fifth of its time is told apart. */
export function freshness(from: number | undefined, until: number | undefined, now: number): Freshness {
  if (until === undefined) return 'lasting';
  if (until <= now) return 'expired';
  if (from === undefined || until <= from) return 'fresh';
  return (until - now) / (until - from) < 0.2 ? 'expiring' : 'fresh';
}

const ORDER: Record<Outcome, number> = { Violated: 0, Insufficient: 1, Met: 2 };

/** The worst of some outcomes, as a verdict is. */
export function worst(outcomes: readonly (Outcome | undefined)[]): Outcome | undefined {
  let found: Outcome | undefined;
  for (const outcome of outcomes) {
    if (outcome !== undefined && (found === undefined || ORDER[outcome] < ORDER[found])) found = outcome;
  }
  return found;
}
