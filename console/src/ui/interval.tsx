// A measured value between the bounds that its samples allow, beside the line that the criterion draws.
import type { Measured } from '../api/maru';
import { defineTexts, useTexts } from '../i18n/texts';
import { type Bound, measuredText } from '../lib/spine';
import { toneColor } from './status';
import { outcomeTone } from './verdict';

const texts = defineTexts(
  {
    label: (value: string, low: string, high: string) => `${value}, between ${low} and ${high}`,
    bound: (text: string) => `asked: ${text}`,
  },
  {
    label: (value, low, high) => `${value}, 구간 ${low} – ${high}`,
    bound: (text) => `기준: ${text}`,
  },
);

export function Interval(props: { measured: Measured; bound?: Bound | undefined; width?: number }) {
  const t = useTexts(texts);
  const { measured, bound } = props;
  const width = props.width ?? 180;
  const { value, unit } = measured;
  const low = measured.low ?? value;
  const high = measured.high ?? value;
  if (low === undefined || high === undefined) return null;
  const marks = [low, high, ...(value === undefined ? [] : [value]), ...(bound ? [bound.value] : [])];
  const place = scale(marks, unit === 'ratio', width);
  const color = toneColor(outcomeTone(measured.outcome));
  const line = bound && place(bound.value);
  const label = t.label(
    measuredText(value ?? low, unit),
    measuredText(low, unit, 'down'),
    measuredText(high, unit, 'up'),
  );
  const asked = bound && `${bound.side === 'atLeast' ? '≥' : '≤'} ${measuredText(bound.value, unit)}`;
  return (
    <svg
      width={width}
      height={26}
      role="img"
      aria-label={asked === undefined ? label : `${label}, ${t.bound(asked)}`}
      style={{ display: 'block', maxWidth: '100%' }}
    >
      <title>{asked === undefined ? label : `${label}\n${t.bound(asked)}`}</title>
      {line !== undefined && (
        <rect
          x={bound?.side === 'atLeast' ? line : 0}
          y={9}
          width={Math.max(0, bound?.side === 'atLeast' ? width - line : line)}
          height={8}
          fill="var(--maru-good)"
          opacity={0.16}
        />
      )}
      <line x1={0} x2={width} y1={13} y2={13} stroke="var(--maru-line)" />
      <line x1={place(low)} x2={place(high)} y1={13} y2={13} stroke={color} strokeWidth={3} />
      <line x1={place(low)} x2={place(low)} y1={8} y2={18} stroke={color} strokeWidth={2} />
      <line x1={place(high)} x2={place(high)} y1={8} y2={18} stroke={color} strokeWidth={2} />
      {value !== undefined && <circle cx={place(value)} cy={13} r={4} fill={color} />}
      {line !== undefined && (
        <line x1={line} x2={line} y1={2} y2={24} stroke="currentColor" strokeWidth={1.5} strokeDasharray="3 2" />
      )}
    </svg>
  );
}

/** Shares near the whole are drawn by their distance to it: 99.9 % and 99.99 % are far from each other. */
function scale(marks: readonly number[], isShare: boolean, width: number): (value: number) => number {
  const nines = isShare && Math.min(...marks) > 0.5;
  const turn = (value: number) => (nines ? -Math.log10(Math.max(1 - value, 1e-7)) : value);
  const turned = marks.map(turn);
  const from = Math.min(...turned);
  const to = Math.max(...turned);
  const margin = to > from ? (to - from) * 0.18 : Math.max(Math.abs(to) * 0.2, 1e-9);
  const start = from - margin;
  const size = to - from + 2 * margin;
  return (value) => Math.round(((turn(value) - start) / size) * (width - 10)) + 5;
}
