// Times as people write them: `now-6h`, `2026-11-22 14:00` in a zone, `1h30m`. Pure.

/** Two moments as they stand in an address: `now-1h`, or RFC 3339. */
export interface TimeRange {
  from: string;
  to: string;
}

/** The same in seconds since 1970, as queries want them. */
export interface Span {
  start: number;
  end: number;
}

export const LAST_HOUR: TimeRange = { from: 'now-1h', to: 'now' };

const UNIT_SECONDS: Record<string, number> = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3_600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
};

/** Reads `1h30m`, `90s`, `2w`, or a number of seconds. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  if (!/^(\d+(ms|[smhdwy]))+$/.test(trimmed)) return undefined;
  let seconds = 0;
  for (const [, count, unit] of trimmed.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    seconds += Number(count) * (UNIT_SECONDS[unit ?? ''] ?? 0);
  }
  return seconds;
}

/** Writes seconds as PromQL does: `1h30m`. */
export function writeDuration(seconds: number): string {
  let rest = Math.round(seconds * 1000);
  if (rest <= 0) return '0s';
  let text = '';
  for (const unit of ['w', 'd', 'h', 'm', 's', 'ms'] as const) {
    const size = Math.round((UNIT_SECONDS[unit] ?? 1) * 1000);
    // A week is written only where it is whole: `8d`, not `1w1d`.
    if (unit === 'w' && rest % size !== 0) continue;
    if (rest >= size) {
      text += `${Math.floor(rest / size)}${unit}`;
      rest %= size;
    }
  }
  return text;
}

/** Milliseconds since 1970 of `now-6h`, RFC 3339, or a time in a zone (`2026-11-22 14:00`). */
export function parseMoment(text: string, nowMs: number, zone = 'UTC'): number | undefined {
  const relative = /^now(?:([+-])(.+))?$/.exec(text.trim());
  if (relative) {
    if (relative[1] === undefined) return nowMs;
    const seconds = parseDuration(relative[2] ?? '');
    if (seconds === undefined) return undefined;
    return nowMs + (relative[1] === '-' ? -1 : 1) * seconds * 1000;
  }
  if (/^\d{12,14}$/.test(text)) return Number(text);
  const local = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text.trim());
  if (local) {
    const [year, month, day, hour, minute, second] = local.slice(1).map((part) => Number(part ?? 0));
    return zonedToMs(Date.UTC(year ?? 0, (month ?? 1) - 1, day ?? 1, hour ?? 0, minute ?? 0, second ?? 0), zone);
  }
  const at = Date.parse(text);
  return Number.isFinite(at) ? at : undefined;
}

/** The moment at which clocks of a zone show what `wallMs` shows in UTC. */
function zonedToMs(wallMs: number, zone: string): number {
  const first = wallMs - offsetMs(wallMs, zone);
  // Once more, for moments near a change of the clocks.
  return wallMs - offsetMs(first, zone);
}

/** How far a zone's clocks are before UTC at a moment. */
export function offsetMs(atMs: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(atMs);
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value ?? 0);
  const wall = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return wall - Math.floor(atMs / 1000) * 1000;
}

/** The span of a range; nothing when it is not understood or ends before it begins. */
export function toSpan(range: TimeRange, nowMs: number, zone = 'UTC'): Span | undefined {
  const from = parseMoment(range.from, nowMs, zone);
  const to = parseMoment(range.to, nowMs, zone);
  if (from === undefined || to === undefined || to <= from) return undefined;
  return { start: from / 1000, end: to / 1000 };
}

/** A range of fixed moments. */
export function fixedRange(span: Span): TimeRange {
  const write = (seconds: number) => new Date(Math.round(seconds) * 1000).toISOString().replace('.000Z', 'Z');
  return { from: write(span.start), to: write(span.end) };
}

export function isMoving(range: TimeRange): boolean {
  return range.to.startsWith('now');
}

/** Half a span earlier (-1) or later (1). */
export function pan(span: Span, direction: 1 | -1): Span {
  const half = ((span.end - span.start) / 2) * direction;
  return { start: span.start + half, end: span.end + half };
}

/** Twice as long around the same middle, but not beyond `now`. */
export function zoomOut(span: Span, nowSeconds: number): Span {
  const length = span.end - span.start;
  const end = Math.min(span.end + length / 2, Math.max(nowSeconds, span.end));
  return { start: end - 2 * length, end };
}

const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
] as const;
/** What the server allows for one series. */
const POINTS_MAX = 11_000;

/** A step that people know (15 s, 1 m, 5 m …) with about as many points as are wanted. */
export function chooseStep(lengthSeconds: number, points = 300, least = 1): number {
  const wanted = Math.max(lengthSeconds / points, least);
  return STEPS.find((step) => step >= wanted * 0.99) ?? Math.ceil(wanted / 604_800) * 604_800;
}

/** Reads a step that a person wrote; one that the server would refuse is made longer. */
export function readStep(text: string, lengthSeconds: number, points = 300, least = 1): number {
  const step = text === '' || text === 'auto' ? undefined : parseDuration(text);
  if (step === undefined || step <= 0) return chooseStep(lengthSeconds, points, least);
  return lengthSeconds / step > POINTS_MAX ? chooseStep(lengthSeconds, POINTS_MAX) : step;
}

/** A span that begins and ends at multiples of the step, so that a moving window keeps its points. */
export function alignSpan(span: Span, step: number): Span {
  return { start: Math.floor(span.start / step) * step, end: Math.floor(span.end / step) * step };
}
