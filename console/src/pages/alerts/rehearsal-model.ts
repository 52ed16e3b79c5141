// A rule file to begin with, and when alerts would have fired. Pure.

import type { Rehearsal } from '../../api/prometheus';
import { toMs } from '../../lib/format';

/** A rule file for an expression: one that compares is taken as it is, another asks for a bound. */
export function template(expression: string): string {
  const isComparison = /[<>]=?|[=!]=/.test(expression.replace(/\{[^}]*\}/g, ''));
  const query = expression.trim() === '' ? 'up == 0' : isComparison ? expression.trim() : `${expression.trim()} > 0.5`;
  const lines = query.split('\n').map((line) => `      ${line}`);
  return `groups:
- name: mine
  interval: 30s
  rules:
  - alert: MyAlert
    expr: |
${lines.join('\n')}
    for: 2m
    labels: {severity: page}
    annotations:
      summary: '{{ $labels.instance }} is at {{ $value | humanize }}'
`;
}

export interface Lane {
  name: string;
  labels: string;
  /** Parts of the whole time, 0 to 1. */
  bars: { from: number; to: number; isOngoing: boolean }[];
}

/** A lane for each set of labels, those that fired longest first. */
export function lanes(rehearsal: Rehearsal): Lane[] {
  const start = toMs(rehearsal.from) ?? 0;
  const end = toMs(rehearsal.to) ?? start + 1;
  const place = (at: number) => Math.max(0, Math.min(1, (at - start) / Math.max(1, end - start)));
  const found = new Map<string, Lane>();
  for (const alert of rehearsal.alerts) {
    const { alertname = '', ...rest } = alert.labels;
    const labels = Object.entries(rest)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ');
    const key = `${alertname} ${labels}`;
    const lane = found.get(key) ?? { name: alertname, labels, bars: [] };
    lane.bars.push({
      from: place(toMs(alert.startsAt) ?? start),
      to: place(toMs(alert.endsAt ?? undefined) ?? end),
      isOngoing: alert.endsAt === null,
    });
    found.set(key, lane);
  }
  const length = (lane: Lane) => lane.bars.reduce((sum, bar) => sum + bar.to - bar.from, 0);
  return [...found.values()].toSorted((left, right) => length(right) - length(left));
}
