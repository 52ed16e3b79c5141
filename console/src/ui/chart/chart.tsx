// Lines over time: units, legend with values, zoom by dragging, pan with Shift, a crosshair that charts share, thresholds,
// marks of changes, gaps where nothing was measured, and the same numbers as a table.
import 'uplot/dist/uPlot.min.css';
import { ActionIcon, Tooltip, useComputedColorScheme } from '@mantine/core';
import { IconChartLine, IconTable } from '@tabler/icons-react';
import { type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { align, stack } from '../../lib/series';
import { formatValue } from '../../lib/units';
import { type Column, DataTable } from '../data-table';
import type { Tone } from '../status';
import classes from './chart.module.css';
import { lastOf } from './last';
import { Legend, type LegendRow } from './legend';
import { type DrawnMark, type DrawnThreshold, type Line, plotOptions } from './options';
import { namedColor, seriesColor } from './palette';
import { timeLabels } from './time-axis';

const texts = defineTexts(
  {
    table: 'Show the numbers',
    chart: 'Show the chart',
    time: 'Time',
    summary: (label: string, count: number, from: string, to: string) =>
      `${label}: ${count} series from ${from} to ${to}. Arrow keys move the crosshair.`,
    more: (count: number) => `and ${count} more`,
    nothing: 'No samples in this time.',
  },
  {
    table: '숫자로 보기',
    chart: '차트로 보기',
    time: '시각',
    summary: (label, count, from, to) =>
      `${label}: ${from}부터 ${to}까지 시계열 ${count}개. 화살표 키로 십자선을 옮깁니다.`,
    more: (count) => `외 ${count}개`,
    nothing: '이 시간에 표본이 없습니다.',
  },
);

export interface ChartSeries {
  /** The name in the legend. */
  label: string;
  /** Seconds since 1970, in order. */
  times: readonly number[];
  values: readonly number[];
  /** An earlier period, or a bound. */
  dashed?: boolean;
  /** A word (`red`) or `#rrggbb`; by its place without it. */
  color?: string | undefined;
}

/** A change: a rollout, an alert from `at` until `until` (seconds since 1970). */
export interface ChartMark {
  at: number;
  until?: number;
  label: string;
  tone?: Tone | undefined;
}

export interface ChartThreshold {
  value: number;
  label?: string;
  /** A word (`red`) or `#rrggbb`. */
  color?: string;
}

export interface ChartProps {
  /** What is shown, for people who cannot see it. */
  label: string;
  series: readonly ChartSeries[];
  /** What the time axis shows. Seconds since 1970. */
  span: { start: number; end: number };
  /** The grid of a range query: a step without a sample becomes a gap. Without it all times that occur are shown. */
  step?: number | undefined;
  /** See `lib/units.ts`. */
  unit?: string | undefined;
  decimals?: number | undefined;
  height?: number;
  min?: number | undefined;
  max?: number | undefined;
  draw?: 'line' | 'area' | 'bars' | 'points';
  stack?: 'none' | 'normal' | 'percent';
  marks?: readonly ChartMark[];
  thresholds?: readonly ChartThreshold[];
  /** Charts with the same key share their crosshair. */
  syncKey?: string;
  /** Called with seconds when a person drags (zoom), drags with Shift (pan) or clicks twice (zoom out). */
  onSpan?: ((start: number, end: number) => void) | undefined;
  legend?: 'list' | 'table' | 'none';
}

const HEIGHT_PX = 240;
const TIP_ROWS = 8;
const NOTHING: readonly never[] = [];
const TONE_COLORS: Record<Tone, string> = {
  good: 'green',
  bad: 'red',
  warn: 'orange',
  pending: 'orange',
  stale: 'gray',
  unknown: 'gray',
};

export function Chart(props: ChartProps) {
  const t = useTexts(texts);
  const format = useFormat();
  const scheme = useComputedColorScheme('light');
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [isTable, setIsTable] = useState(false);
  const { series, span, step, unit = 'none', decimals, stack: stacking = 'none' } = props;
  const marks = props.marks ?? NOTHING;
  const thresholds = props.thresholds ?? NOTHING;
  const write = useCallback(
    (value: number | null | undefined) => formatValue(value, stacking === 'percent' ? 'ratio' : unit, format, decimals),
    [unit, format, decimals, stacking],
  );
  const aligned = useMemo(() => {
    if (step === undefined) return align(series);
    // The first sample of all series tells where the grid lies.
    const first = Math.min(...series.map((one) => one.times[0] ?? Number.POSITIVE_INFINITY));
    const start = Number.isFinite(first) ? first - Math.floor((first - span.start) / step + 1e-3) * step : span.start;
    return align(series, { start, end: span.end, step });
  }, [series, span.start, span.end, step]);
  const lines: readonly Line[] = useMemo(
    () =>
      series.map((one, index) => ({
        label: one.label,
        color: namedColor(one.color, scheme) ?? seriesColor(index, scheme),
        dashed: one.dashed === true,
        hidden: hidden.has(one.label),
      })),
    [series, scheme, hidden],
  );
  const rows: LegendRow[] = lines.map((line, index) => ({ ...line, values: aligned.columns[index] ?? [] }));

  if (isTable) {
    return (
      <figure className={classes.figure} aria-label={props.label}>
        <Numbers label={props.label} lines={lines} aligned={aligned} write={write} timeTitle={t.time} more={t.more} />
        <Switch label={t.chart} act={() => setIsTable(false)} isTable />
      </figure>
    );
  }
  return (
    <figure className={classes.figure} aria-label={props.label}>
      <Plot
        {...props}
        lines={lines}
        aligned={aligned}
        write={write}
        marks={marks}
        thresholds={thresholds}
        summary={t.summary(
          props.label,
          series.length,
          format.dateTime(span.start * 1000),
          format.dateTime(span.end * 1000),
        )}
      />
      {props.legend !== 'none' && (
        <Legend rows={rows} write={write} kind={props.legend ?? 'list'} hidden={hidden} setHidden={setHidden} />
      )}
      <Switch label={t.table} act={() => setIsTable(true)} isTable={false} />
    </figure>
  );
}

function Switch(props: { label: string; act: () => void; isTable: boolean }) {
  return (
    <div className={classes.tools}>
      <Tooltip label={props.label}>
        <ActionIcon variant="default" size="xs" aria-label={props.label} onClick={props.act}>
          {props.isTable ? <IconChartLine size={12} /> : <IconTable size={12} />}
        </ActionIcon>
      </Tooltip>
    </div>
  );
}

interface Aligned {
  times: number[];
  columns: (number | null)[][];
}

/** The canvas, made anew when its form changes and given new numbers when only they do. */
function Plot(
  props: ChartProps & {
    lines: readonly Line[];
    aligned: Aligned;
    write: (value: number | null | undefined) => string;
    marks: readonly ChartMark[];
    thresholds: readonly ChartThreshold[];
    summary: string;
  },
) {
  const { lines, aligned, write, marks, thresholds, span, syncKey, draw = 'line', min, max, unit } = props;
  const { start, end } = span;
  const stacking = props.stack ?? 'none';
  const height = props.height ?? HEIGHT_PX;
  const format = useFormat();
  const scheme = useComputedColorScheme('light');
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const isZoomable = props.onSpan !== undefined;

  const drawn = useMemo(() => {
    const visible = aligned.columns.map((column, index) => (lines[index]?.hidden ? column.map(() => null) : column));
    return stacking === 'none' ? visible : stack(visible, stacking);
  }, [aligned, lines, stacking]);
  const drawnMarks: readonly DrawnMark[] = useMemo(
    () =>
      marks.map((mark) => ({ ...mark, color: namedColor(TONE_COLORS[mark.tone ?? 'unknown'], scheme) ?? '#868e96' })),
    [marks, scheme],
  );
  const drawnThresholds: readonly DrawnThreshold[] = useMemo(
    () =>
      thresholds.map((one) => ({
        value: one.value,
        label: one.label,
        color: namedColor(one.color ?? 'red', scheme) ?? '#868e96',
      })),
    [thresholds, scheme],
  );

  // What the canvas calls back; always the newest, without making the canvas anew.
  const now = useRef({ aligned, lines, write, drawnMarks, onSpan: props.onSpan, format, drawn });
  now.current = { aligned, lines, write, drawnMarks, onSpan: props.onSpan, format, drawn };
  const shape = JSON.stringify(lines.map((line) => [line.label, line.color, line.dashed, line.hidden]));

  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for the lines, and new numbers come by setData
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const made = new uPlot(
      plotOptions(
        {
          lines,
          draw,
          stacked: stacking !== 'none',
          marks: drawnMarks,
          thresholds: drawnThresholds,
          span: { start, end },
          min: stacking === 'percent' ? 0 : min,
          max: stacking === 'percent' ? 1 : max,
          binary: unit === 'bytes' || unit === 'bytes/s',
          write: (value) => now.current.write(value),
          timeLabels: timeLabels(format.zone),
          look: {
            text: style.getPropertyValue('--mantine-color-dimmed') || '#868e96',
            grid: scheme === 'dark' ? 'rgba(255,255,255,0.08)' : 'rgba(0,0,0,0.07)',
            font: `11px ${style.fontFamily}`,
          },
          syncKey,
          onSpan: isZoomable ? (from, to) => now.current.onSpan?.(from, to) : undefined,
          onCursor: (index, focused, left, top) => showTip(index, focused, left, top),
        },
        { width: Math.max(element.clientWidth, 120), height },
      ),
      [now.current.aligned.times, ...now.current.drawn] as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [
    shape,
    draw,
    stacking,
    drawnMarks,
    drawnThresholds,
    start,
    end,
    min,
    max,
    unit,
    format,
    scheme,
    syncKey,
    isZoomable,
    height,
  ]);

  useEffect(() => {
    plot.current?.setData([aligned.times, ...drawn] as uPlot.AlignedData);
  }, [aligned, drawn]);

  /** Written by hand: it follows the pointer. Texts are never markup. */
  const showTip = (index: number | undefined, focused: number | undefined, left: number, top: number) => {
    const box = tip.current;
    const made = plot.current;
    if (!box || !made) return;
    const state = now.current;
    const time = index === undefined ? undefined : state.aligned.times[index];
    box.hidden = time === undefined;
    if (time === undefined || index === undefined) {
      showValues(host.current, undefined, state.aligned, state.write);
      return;
    }
    const children: HTMLElement[] = [element('div', classes.tipTime, state.format.dateTime(time * 1000))];
    for (const mark of state.drawnMarks) {
      const at = made.valToPos(mark.at, 'x');
      const until = mark.until === undefined ? at : made.valToPos(mark.until, 'x');
      if (left < at - 5 || left > until + 5) continue;
      const row = element('div', classes.tipRow, '');
      row.append(swatch(mark.color), element('span', classes.tipName, mark.label));
      children.push(row);
    }
    const values = state.lines
      .map((line, at) => ({ line, at, value: state.aligned.columns[at]?.[index] ?? null }))
      .filter((one) => !one.line.hidden && one.value !== null)
      .sort(
        (one, other) =>
          Number(other.at === focused) - Number(one.at === focused) || (other.value ?? 0) - (one.value ?? 0),
      );
    for (const { line, at, value } of values.slice(0, TIP_ROWS)) {
      const row = element('div', classes.tipRow, '');
      if (at === focused) row.dataset.focused = '';
      row.append(
        swatch(line.color),
        element('span', classes.tipName, line.label),
        element('span', classes.tipValue, state.write(value)),
      );
      children.push(row);
    }
    if (values.length > TIP_ROWS) children.push(element('div', classes.tipName, `… ${values.length - TIP_ROWS}`));
    box.replaceChildren(...children);
    // The pointer of another chart moves the crosshair here: then `top` may be outside.
    const x = made.over.offsetLeft + left;
    const isRight = left > made.over.clientWidth / 2;
    box.style.left = isRight ? '' : `${x + 14}px`;
    box.style.right = isRight ? `${(host.current?.clientWidth ?? 0) - x + 14}px` : '';
    box.style.top = `${Math.max(0, Math.min(top, height - 60))}px`;
    showValues(host.current, index, state.aligned, state.write);
  };

  const onKey = (event: KeyboardEvent) => {
    const made = plot.current;
    if (!made) return;
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      const last = aligned.times.length - 1;
      const index = Math.max(0, Math.min(last, (made.cursor.idx ?? (step > 0 ? -1 : last + 1)) + step));
      made.setCursor({ left: made.valToPos(aligned.times[index] ?? start, 'x'), top: 20 });
    }
    const length = end - start;
    if (event.key === '+' || event.key === '=') props.onSpan?.(start + length / 4, end - length / 4);
    if (event.key === '-') props.onSpan?.(start - length / 2, end + length / 2);
    if (event.key === 'Escape') made.setCursor({ left: -10, top: -10 });
  };

  return (
    <div className={classes.plot} style={{ minHeight: height }}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys move the crosshair */}
      <div ref={host} role="img" aria-label={props.summary} tabIndex={0} onKeyDown={onKey} className={classes.plot} />
      <div ref={tip} className={classes.tip} hidden />
    </div>
  );
}

function element(tag: string, className: string | undefined, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = className ?? '';
  made.textContent = text;
  return made;
}

function swatch(color: string): HTMLElement {
  const made = element('span', classes.swatch, '');
  made.style.background = color;
  return made;
}

/** Writes the values at the crosshair, or the last ones, into the legend. */
function showValues(
  host: HTMLElement | null,
  index: number | undefined,
  aligned: Aligned,
  write: (value: number | null | undefined) => string,
): void {
  const legend = host?.closest('figure')?.querySelectorAll<HTMLElement>('[data-series-value]') ?? [];
  for (const cell of legend) {
    const column = aligned.columns[Number(cell.dataset.seriesValue)] ?? [];
    cell.textContent = write(index === undefined ? lastOf(column) : column[index]);
  }
}

const COLUMNS_MAX = 30;

/** The same numbers for those who cannot see lines, or want to copy them: a line a moment, the newest first. */
function Numbers(props: {
  label: string;
  lines: readonly Line[];
  aligned: Aligned;
  write: (value: number | null | undefined) => string;
  timeTitle: string;
  more: (count: number) => string;
}) {
  const format = useFormat();
  const { lines, aligned, write } = props;
  const rows = useMemo(() => aligned.times.map((time, index) => ({ time, index })).toReversed(), [aligned]);
  const columns: Column<{ time: number; index: number }>[] = [
    {
      id: 'time',
      title: props.timeTitle,
      cell: (row) => format.dateTime(row.time * 1000),
      value: (row) => row.time,
      width: '12rem',
    },
    ...lines.slice(0, COLUMNS_MAX).map(
      (line, at): Column<{ time: number; index: number }> => ({
        id: `series ${at}`,
        title: line.label,
        align: 'right',
        cell: (row) => write(aligned.columns[at]?.[row.index]),
        value: (row) => aligned.columns[at]?.[row.index] ?? undefined,
        width: 'minmax(8rem, 1fr)',
      }),
    ),
  ];
  return (
    <>
      <DataTable label={props.label} columns={columns} rows={rows} rowKey={(row) => String(row.time)} height="20rem" />
      {lines.length > COLUMNS_MAX && <small>{props.more(lines.length - COLUMNS_MAX)}</small>}
    </>
  );
}
