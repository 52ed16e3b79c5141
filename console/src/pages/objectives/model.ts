// What an objective's spec says, and the spec of a new one. Pure.
import type { Judged, ObjectiveSpec, ServiceLevelObjective } from '../../api/maru';

/** The annotation by which an objective names the requirement that it follows from. */
const DERIVED = 'maru.dev/derived-from';
const ABOUT = 'maru.dev/requirement';

export function requirementOf(objective: ServiceLevelObjective): string | undefined {
  const { annotations } = objective.metadata;
  return annotations?.[DERIVED] ?? annotations?.[ABOUT];
}

/** The window whose budget is worst: what a list shows of an objective with several targets. */
export function worstOf(objective: ServiceLevelObjective): { judged: Judged; target: number } | undefined {
  const targets = objective.status?.targets ?? [];
  const sorted = targets.toSorted((left, right) => (left.current.budgetLeft ?? 2) - (right.current.budgetLeft ?? 2));
  return sorted[0] && { judged: sorted[0].current, target: sorted[0].target };
}

export function windowOf(spec: ObjectiveSpec): { length: string; zone: string | undefined } | undefined {
  const window = spec.timeWindow?.[0];
  if (window === undefined) return undefined;
  return {
    length: window.duration,
    zone: window.isRolling === true ? undefined : (window.calendar?.timeZone ?? 'UTC'),
  };
}

/** The queries of an indicator, wherever they stand. */
export function queriesOf(indicator: unknown): string[] {
  if (typeof indicator !== 'object' || indicator === null) return [];
  return Object.entries(indicator).flatMap(([key, value]) =>
    key === 'query' && typeof value === 'string' ? [value] : queriesOf(value),
  );
}

export interface Wanted {
  service: string;
  kind: 'success' | 'latency';
  /** 99.9 */
  percent: string;
  ms: string;
  /** `1d`, `1w`, `1M` of the calendar; `28d` rolling. */
  window: string;
  zone: string;
  description: string;
}

const CALENDAR = ['1d', '1w', '1M'];

/** A decimal fraction of what was written: 99.9 becomes 0.999, not its nearest binary fraction. */
export function fraction(percent: string): number {
  const value = Number(percent);
  const digits = (percent.split('.')[1]?.length ?? 0) + 2;
  return Number((value / 100).toFixed(digits));
}

/** What the gateway counts of a service, as an OpenSLO spec. */
export function specOf(wanted: Wanted): object {
  const service = `service=~"(.+/)?${wanted.service.replaceAll('.', '[.]')}:.*"`;
  const source = (query: string) => ({ metricSource: { type: 'Prometheus', spec: { query } } });
  const target = fraction(wanted.percent);
  const isCalendar = CALENDAR.includes(wanted.window);
  return {
    description: wanted.description,
    service: wanted.service,
    indicator: {
      spec:
        wanted.kind === 'success'
          ? {
              ratioMetric: {
                counter: true,
                good: source(`maru_gateway_requests_total{${service},code!~"5.."}`),
                total: source(`maru_gateway_requests_total{${service}}`),
              },
            }
          : { thresholdMetric: source(`maru_gateway_request_duration_seconds_bucket{${service}}`) },
    },
    timeWindow: [
      isCalendar
        ? {
            duration: wanted.window,
            isRolling: false,
            calendar: { startTime: '2026-01-01 00:00:00', timeZone: wanted.zone },
          }
        : { duration: wanted.window, isRolling: true },
    ],
    budgetingMethod: 'Occurrences',
    objectives: [wanted.kind === 'success' ? { target } : { target, op: 'lte', value: Number(wanted.ms) / 1000 }],
  };
}

/** Conditions that choose the recorded series of one target. */
export function selectorOf(namespace: string, name: string, target: string): string {
  return `{slo=${JSON.stringify(name)},slo_namespace=${JSON.stringify(namespace)},objective=${JSON.stringify(target)}}`;
}
