// What uPlot is told: axes with units and zone, lines with gaps, marks and thresholds, zoom and pan.
import uPlot from 'uplot';
import { faded } from './palette';
import type { TimeLabels } from './time-axis';

export interface Line {
  label: string;
  color: string;
  dashed: boolean;
  /** Not drawn, but still in the legend. */
  hidden: boolean;
}

/** A vertical line, or a stretch: a rollout, an alert. Seconds since 1970. */
export interface DrawnMark {
  at: number;
  until?: number | undefined;
  color: string;
  label: string;
}

export interface DrawnThreshold {
  value: number;
  color: string;
  label?: string | undefined;
}

export interface Look {
  text: string;
  grid: string;
  font: string;
}

export interface Drawing {
  lines: readonly Line[];
  draw: 'line' | 'area' | 'bars' | 'points';
  stacked: boolean;
  marks: readonly DrawnMark[];
  thresholds: readonly DrawnThreshold[];
  span: { start: number; end: number };
  min: number | undefined;
  max: number | undefined;
  binary: boolean;
  write: (value: number) => string;
  timeLabels: TimeLabels;
  look: Look;
  syncKey: string | undefined;
  /** A person chose another stretch of time. */
  onSpan: ((start: number, end: number) => void) | undefined;
  onCursor: (index: number | undefined, focused: number | undefined, left: number, top: number) => void;
}

const BINARY_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** (power - 6));

export function plotOptions(drawing: Drawing, size: { width: number; height: number }): uPlot.Options {
  const { look } = drawing;
  let focused: number | undefined;
  const ratio = () => uPlot.pxRatio;
  return {
    ...size,
    legend: { show: false },
    padding: [10, 12, 0, 0],
    focus: { alpha: 0.3 },
    cursor: {
      focus: { prox: 24 },
      points: { size: 7 },
      drag: { x: drawing.onSpan !== undefined, y: false, setScale: false, dist: 4 },
      ...(drawing.syncKey === undefined ? {} : { sync: { key: drawing.syncKey, setSeries: false } }),
      bind: {
        mousedown: (plot, _target, handler) => (event) => {
          if (event.shiftKey && drawing.onSpan !== undefined) pan(plot, event, drawing.onSpan);
          else handler(event);
          return null;
        },
        dblclick: (plot) => () => {
          const { min, max } = plot.scales.x ?? {};
          if (typeof min === 'number' && typeof max === 'number') {
            drawing.onSpan?.(min - (max - min) / 2, max + (max - min) / 2);
          }
          return null;
        },
      },
    },
    scales: {
      x: { time: true, range: () => [drawing.span.start, drawing.span.end] },
      y: { range: (_plot, low, high) => valueRange(low, high, drawing) },
    },
    axes: [
      {
        stroke: look.text,
        font: look.font,
        grid: { stroke: look.grid, width: 1 },
        ticks: { stroke: look.grid, width: 1, size: 4 },
        size: 34,
        space: 64,
        values: (_plot, splits, _axis, _space, increment) => drawing.timeLabels(splits, increment),
      },
      {
        stroke: look.text,
        font: look.font,
        grid: { stroke: look.grid, width: 1 },
        ticks: { show: false },
        space: 34,
        ...(drawing.binary ? { incrs: BINARY_STEPS } : {}),
        values: (_plot, splits) => splits.map(drawing.write),
        size: (_plot, values) => 14 + 6.6 * Math.max(3, ...(values ?? []).map((text) => text?.length ?? 0)),
      },
    ],
    series: [{}, ...drawing.lines.map((line, index) => lineOptions(line, index, drawing))],
    ...(drawing.stacked && drawing.draw !== 'points'
      ? {
          bands: drawing.lines.slice(1).map((line, index) => ({
            series: [index + 2, index + 1] as [number, number],
            fill: faded(line.color, 0.35),
          })),
        }
      : {}),
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 4) return;
          drawing.onSpan?.(plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setSeries: [
        (_plot, index) => {
          focused = index === null || index === 0 ? undefined : index - 1;
        },
      ],
      setCursor: [
        (plot) => {
          const { idx, left = -1, top = -1 } = plot.cursor;
          drawing.onCursor(left < 0 || idx === null ? undefined : idx, focused, left, top);
        },
      ],
      draw: [
        (plot) => {
          for (const threshold of drawing.thresholds) drawThreshold(plot, threshold, look, ratio());
          for (const mark of drawing.marks) drawMark(plot, mark, ratio());
        },
      ],
    },
  };
}

function lineOptions(line: Line, index: number, drawing: Drawing): uPlot.Series {
  const { draw, stacked } = drawing;
  const bars = draw === 'bars' ? uPlot.paths.bars?.({ size: [0.8, 40], align: 1 }) : undefined;
  const none = draw === 'points' ? () => null : undefined;
  const paths = bars ?? none;
  const isFilled = draw === 'area' || draw === 'bars' || (stacked && draw === 'line');
  // In a stack the lowest series fills to the ground, the others to the one below by bands.
  const fill =
    isFilled && (!stacked || index === 0)
      ? faded(line.color, stacked ? 0.35 : draw === 'bars' ? 0.6 : 0.14)
      : undefined;
  return {
    label: line.label,
    stroke: line.color,
    width: draw === 'bars' ? 0 : 1.5,
    show: !line.hidden,
    spanGaps: false,
    ...(line.dashed ? { dash: [5, 4] } : {}),
    ...(paths === undefined ? {} : { paths }),
    ...(fill === undefined ? {} : { fill }),
    points: {
      show: draw === 'points' ? true : undefined,
      size: draw === 'points' ? 4 : 5,
      fill: line.color,
      width: 0,
      // A sample between two gaps is a point: a line has no length there.
      filter: (plot: uPlot, series: number, isShown: boolean) =>
        isShown || draw === 'points' ? null : lonely(plot.data[series] ?? []),
    } as uPlot.Series.Points,
  };
}

/** Where a sample has no neighbour. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let at = 0; at < values.length; at += 1) {
    const has = (index: number) => values[index] !== null && values[index] !== undefined;
    if (has(at) && !has(at - 1) && !has(at + 1)) found.push(at);
  }
  return found;
}

/** The ends of the value axis: with air, from zero where zero is near, with what thresholds need. */
export function valueRange(
  low: number | null,
  high: number | null,
  wanted: { min: number | undefined; max: number | undefined; thresholds: readonly DrawnThreshold[] },
): [number, number] {
  const own = wanted.thresholds.map((one) => one.value);
  // One threshold far away must not flatten the line: it is shown when it is within twice the values.
  const reach = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0)) * 2;
  const near = low === null ? own : own.filter((value) => Math.abs(value) <= reach);
  const least = Math.min(low ?? Number.POSITIVE_INFINITY, ...near);
  const most = Math.max(high ?? Number.NEGATIVE_INFINITY, ...near);
  if (!Number.isFinite(least) || !Number.isFinite(most)) return [wanted.min ?? 0, wanted.max ?? 1];
  // A line of zeros lies at the bottom, not below a hundred.
  if (least === 0 && most === 0) return [wanted.min ?? 0, wanted.max ?? 1];
  const part = { pad: 0.1, soft: 0, mode: 3 as const };
  const [bottom, top] = uPlot.rangeNum(least, most, { min: part, max: part });
  const from = wanted.min ?? bottom ?? 0;
  const to = wanted.max ?? top ?? 1;
  return to > from ? [from, to] : [from, from + 1];
}

function pan(plot: uPlot, down: MouseEvent, onSpan: (start: number, end: number) => void): void {
  const { min, max } = plot.scales.x ?? {};
  if (typeof min !== 'number' || typeof max !== 'number') return;
  down.preventDefault();
  const perPixel = (max - min) / plot.over.clientWidth;
  plot.over.style.cursor = 'grabbing';
  const shift = (event: MouseEvent) => (down.clientX - event.clientX) * perPixel;
  const end = (event: MouseEvent) => {
    window.removeEventListener('mouseup', end);
    plot.over.style.cursor = '';
    const by = shift(event);
    if (by !== 0) onSpan(min + by, max + by);
  };
  window.addEventListener('mouseup', end);
}

function drawThreshold(plot: uPlot, threshold: DrawnThreshold, look: Look, ratio: number): void {
  const { left, top, width, height } = plot.bbox;
  const y = Math.round(plot.valToPos(threshold.value, 'y', true)) + 0.5;
  if (y < top || y > top + height) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = threshold.color;
  ctx.lineWidth = ratio;
  ctx.setLineDash([6 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + width, y);
  ctx.stroke();
  if (threshold.label) {
    ctx.font = look.font.replace(/(\d+)px/, (_, size) => `${Number(size) * ratio}px`);
    ctx.fillStyle = threshold.color;
    ctx.textAlign = 'right';
    ctx.textBaseline = y - top < 16 * ratio ? 'top' : 'bottom';
    ctx.fillText(threshold.label, left + width - 4 * ratio, y + (y - top < 16 * ratio ? 3 : -3) * ratio);
  }
  ctx.restore();
}

function drawMark(plot: uPlot, mark: DrawnMark, ratio: number): void {
  const { left, top, width, height } = plot.bbox;
  const place = (at: number) => plot.valToPos(at, 'x', true);
  const from = place(mark.at);
  const until = mark.until === undefined ? from : place(mark.until);
  if (until < left || from > left + width) return;
  const { ctx } = plot;
  ctx.save();
  if (until > from) {
    const start = Math.max(from, left);
    ctx.fillStyle = faded(mark.color, 0.1);
    ctx.fillRect(start, top, Math.min(until, left + width) - start, height);
  }
  if (from >= left) {
    const x = Math.round(from) + 0.5;
    ctx.strokeStyle = faded(mark.color, 0.55);
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    ctx.fillStyle = mark.color;
    ctx.beginPath();
    ctx.moveTo(x - 4 * ratio, top - 5 * ratio);
    ctx.lineTo(x + 4 * ratio, top - 5 * ratio);
    ctx.lineTo(x, top + 2 * ratio);
    ctx.fill();
  }
  ctx.restore();
}
