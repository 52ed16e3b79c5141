// How many fell into which bucket, over time: the darker the more.
import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { align, bucketCounts } from '../../lib/series';
import { formatValue } from '../../lib/units';
import classes from './chart.module.css';
import { plotOptions } from './options';
import { faded, seriesColor } from './palette';
import { timeLabels } from './time-axis';

const texts = defineTexts(
  {
    summary: (label: string, buckets: number) => `${label}: ${buckets} buckets over time`,
    upTo: (bound: string) => `up to ${bound}`,
    between: (from: string, to: string) => `${from} to ${to}`,
    above: (bound: string) => `above ${bound}`,
  },
  {
    summary: (label, buckets) => `${label}: 시간에 따른 구간 ${buckets}개`,
    upTo: (bound) => `${bound} 이하`,
    between: (from, to) => `${from} ~ ${to}`,
    above: (bound) => `${bound} 초과`,
  },
);

export interface Bucket {
  /** The upper bound; infinite for the last one. */
  bound: number;
  times: readonly number[];
  /** Cumulative: all up to the bound. */
  values: readonly number[];
}

export function Heatmap(props: {
  label: string;
  buckets: readonly Bucket[];
  span: { start: number; end: number };
  step: number;
  unit?: string | undefined;
  height?: number;
  syncKey?: string;
  onSpan?: ((start: number, end: number) => void) | undefined;
}) {
  const t = useTexts(texts);
  const format = useFormat();
  const scheme = useComputedColorScheme('light');
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const onSpan = useRef(props.onSpan);
  onSpan.current = props.onSpan;
  const { buckets, span, step, unit = 'none', syncKey } = props;
  const { start, end } = span;
  const height = props.height ?? 240;
  const cells = useMemo(() => {
    const sorted = buckets.toSorted((left, right) => left.bound - right.bound);
    const first = Math.min(...sorted.map((one) => one.times[0] ?? Number.POSITIVE_INFINITY));
    const from = Number.isFinite(first) ? first - Math.floor((first - start) / step + 1e-3) * step : start;
    const { times, columns } = align(sorted, { start: from, end, step });
    const counts = bucketCounts(columns);
    // Buckets above and below in which nothing ever fell say nothing.
    const used = counts.flatMap((column, index) => (column.some((count) => (count ?? 0) > 0) ? [index] : []));
    const low = Math.max(0, (used[0] ?? 0) - 1);
    const high = Math.min(counts.length, (used.at(-1) ?? counts.length - 1) + 2);
    return {
      times,
      counts: counts.slice(low, high),
      bounds: sorted.slice(low, high).map((one) => one.bound),
      below: sorted[low - 1]?.bound,
      most: counts.reduce((most, column) => column.reduce<number>((own, count) => Math.max(own, count ?? 0), most), 0),
    };
  }, [buckets, start, end, step]);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const write = (bound: number) => formatValue(bound, unit, format);
    const color = seriesColor(0, scheme);
    const name = (index: number) => {
      const below = index === 0 ? cells.below : cells.bounds[index - 1];
      const bound = cells.bounds[index] ?? Number.POSITIVE_INFINITY;
      if (below === undefined) return t.upTo(write(bound));
      return Number.isFinite(bound) ? t.between(write(below), write(bound)) : t.above(write(below));
    };
    const options = plotOptions(
      {
        lines: [{ label: '', color: 'transparent', dashed: false, hidden: false }],
        draw: 'points',
        stacked: false,
        marks: [],
        thresholds: [],
        span: { start, end },
        min: 0,
        max: cells.bounds.length,
        binary: false,
        write: (index) => {
          const bound = cells.bounds[Math.round(index) - 1];
          if (Math.round(index) === 0) return cells.below === undefined ? '' : write(cells.below);
          return bound === undefined || !Number.isInteger(index) ? '' : write(bound);
        },
        timeLabels: timeLabels(format.zone),
        look: {
          text: style.getPropertyValue('--mantine-color-dimmed') || '#868e96',
          grid: scheme === 'dark' ? 'rgba(255,255,255,0.08)' : 'rgba(0,0,0,0.07)',
          font: `11px ${style.fontFamily}`,
        },
        syncKey,
        onSpan: onSpan.current === undefined ? undefined : (from, to) => onSpan.current?.(from, to),
        onCursor: (index, _focused, left, top) => {
          const box = tip.current;
          if (!box) return;
          const time = index === undefined ? undefined : cells.times[index];
          const bucket = Math.floor(made.posToVal(top, 'y'));
          const count = index === undefined ? undefined : cells.counts[bucket]?.[index];
          box.hidden = time === undefined || count === undefined || count === null;
          if (time === undefined || count === undefined || count === null) return;
          box.textContent = `${format.dateTime(time * 1000)} · ${name(bucket)}: ${formatValue(count, 'count', format)}`;
          const isRight = left > made.over.clientWidth / 2;
          const x = made.over.offsetLeft + left;
          box.style.left = isRight ? '' : `${x + 14}px`;
          box.style.right = isRight ? `${element.clientWidth - x + 14}px` : '';
          box.style.top = `${Math.max(0, top - 30)}px`;
        },
      },
      { width: Math.max(element.clientWidth, 120), height },
    );
    // Bounds stand between whole buckets only.
    const axis = options.axes?.[1];
    if (axis !== undefined) axis.incrs = [1, 2, 3, 5, 10, 20, 50];
    const paint = (plot: uPlot) => {
      const { ctx } = plot;
      const { left, top, width, height: tall } = plot.bbox;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, top, width, tall);
      ctx.clip();
      for (const [bucket, column] of cells.counts.entries()) {
        const upper = plot.valToPos(bucket + 1, 'y', true);
        const lower = plot.valToPos(bucket, 'y', true);
        for (const [at, count] of column.entries()) {
          if (count === null || count <= 0) continue;
          const time = cells.times[at] ?? 0;
          const right = plot.valToPos(time, 'x', true);
          const from = plot.valToPos(time - step, 'x', true);
          // The root tells few from none without hiding where most are.
          ctx.fillStyle = faded(color, 0.12 + 0.88 * Math.sqrt(count / Math.max(cells.most, 1e-9)));
          ctx.fillRect(from, upper, Math.max(1, right - from - 1), Math.max(1, lower - upper - 1));
        }
      }
      ctx.restore();
    };
    const made = new uPlot(
      { ...options, hooks: { ...options.hooks, draw: [paint] } },
      [cells.times, cells.times.map(() => null)] as uPlot.AlignedData,
      element,
    );
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [cells, start, end, step, unit, format, scheme, syncKey, height, t]);

  return (
    <figure className={classes.figure} aria-label={props.label}>
      <div className={classes.plot} style={{ minHeight: height }}>
        <div ref={host} role="img" aria-label={t.summary(props.label, cells.bounds.length)} className={classes.plot} />
        <div ref={tip} className={classes.tip} hidden />
      </div>
    </figure>
  );
}
