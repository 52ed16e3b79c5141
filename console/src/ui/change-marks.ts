// What changed while lines moved: rollouts, and alerts that fired. For the marks of charts.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useKinds } from '../api/discovery';
import { useMetadata } from '../api/objects';
import { rangeQuery } from '../api/prometheus';
import { useSession } from '../api/session';
import { defineTexts, useTexts } from '../i18n/texts';
import { toMs } from '../lib/format';
import { alignSpan, chooseStep, type Span } from '../lib/time-range';
import type { ChartMark } from './chart/chart';

const texts = defineTexts(
  {
    rollout: (kind: string, name: string) => `Rollout of ${kind} ${name}`,
    alert: (name: string, count: number) => (count === 1 ? `Alert ${name}` : `Alert ${name} (${count})`),
  },
  {
    rollout: (kind, name) => `${kind} ${name} 롤아웃`,
    alert: (name, count) => (count === 1 ? `경보 ${name}` : `경보 ${name} (${count})`),
  },
);

const NONE: readonly ChartMark[] = [];
const MARKS_MAX = 60;

/** Marks within a time; `isWanted` false asks for none. `only` are conditions on the alerts: `slo="a"`. */
export function useChangeMarks(span: Span | undefined, isWanted: boolean, only?: string): readonly ChartMark[] {
  const t = useTexts(texts);
  const kinds = useKinds();
  const { rooms } = useSession();
  const replicaSets = useMetadata(isWanted ? kinds.find('replicasets.apps') : undefined);
  const step = span === undefined ? 15 : chooseStep(span.end - span.start, 240, 15);
  const selector = only === undefined ? '' : `,${only}`;
  const alerts = useQuery({
    ...rangeQuery(`count by (alertname) (ALERTS{alertstate="firing"${selector}})`, {
      ...alignSpan(span ?? { start: 0, end: 0 }, step),
      step,
    }),
    enabled: isWanted && span !== undefined && rooms.prometheus !== undefined,
  });
  const start = span?.start ?? 0;
  const end = span?.end ?? 0;
  return useMemo(() => {
    if (!isWanted) return NONE;
    const marks: ChartMark[] = [];
    for (const { metadata } of replicaSets.items) {
      const at = (toMs(metadata.creationTimestamp) ?? 0) / 1000;
      const owner = metadata.ownerReferences?.find((one) => one.controller === true);
      if (at < start || at > end || owner === undefined) continue;
      marks.push({ at, label: t.rollout(owner.kind, owner.name), tone: 'unknown' });
    }
    for (const series of alerts.data?.series ?? []) {
      for (const [from, until, count] of stretches(series.times, series.values, step)) {
        marks.push({ at: from, until, label: t.alert(series.labels.alertname ?? '', count), tone: 'bad' });
      }
    }
    return marks.toSorted((left, right) => right.at - left.at).slice(0, MARKS_MAX);
  }, [isWanted, replicaSets.items, alerts.data, start, end, step, t]);
}

/** Runs of samples without a gap: from, until, and the highest value. */
export function stretches(
  times: readonly number[],
  values: readonly number[],
  step: number,
): [from: number, until: number, most: number][] {
  const found: [number, number, number][] = [];
  for (const [at, time] of times.entries()) {
    const last = found.at(-1);
    const value = values[at] ?? 0;
    if (last !== undefined && time - last[1] <= step * 1.5) {
      last[1] = time;
      last[2] = Math.max(last[2], value);
    } else {
      found.push([time, time, value]);
    }
  }
  return found;
}
