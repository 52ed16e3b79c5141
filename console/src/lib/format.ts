// Numbers, times and sizes for people, in a language and a time zone. Pure.

export interface Format {
  /** `2026-11-22 14:03:07` in the chosen zone; `—` for none. */
  dateTime(time: string | number | Date | undefined): string;
  date(time: string | number | Date | undefined): string;
  time(time: string | number | Date | undefined): string;
  /** `3 minutes ago`, `in 2 days`. */
  relative(time: string | number | Date | undefined, now: number): string;
  /** `3m12s` as kubectl's AGE. */
  age(time: string | number | Date | undefined, now: number): string;
  number(value: number, digits?: number): string;
  /** 0.991 is `99.1 %`. */
  percent(ratio: number, digits?: number): string;
  /** 1536 is `1.5 KiB`. */
  bytes(count: number): string;
  /** 0.0123 is `12.3 ms`; 5400 is `1 h 30 min`. */
  seconds(value: number): string;
  zone: string;
}

export const NONE = '—';

const made = new Map<string, Format>();

/** The format of a language and a zone: always the same one, because its parts are slow to make. */
export function makeFormat(language: 'en' | 'ko', timeZone: string): Format {
  const key = `${language} ${timeZone}`;
  let format = made.get(key);
  if (format === undefined) {
    format = newFormat(language, timeZone);
    made.set(key, format);
  }
  return format;
}

/** Made when it is first wanted. */
function lazily<A extends readonly unknown[], T>(make: (...parts: A) => T): (...parts: A) => T {
  const kept = new Map<string, T>();
  return (...parts) => {
    const key = parts.join();
    let one = kept.get(key);
    if (one === undefined) {
      one = make(...parts);
      kept.set(key, one);
    }
    return one;
  };
}

function newFormat(language: 'en' | 'ko', timeZone: string): Format {
  const zone = timeZone === 'local' ? Intl.DateTimeFormat().resolvedOptions().timeZone : timeZone;
  // Swedish writes dates as ISO 8601 does.
  const both = lazily(
    () => new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }),
  );
  const day = lazily(() => new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' }));
  const clock = lazily(() => new Intl.DateTimeFormat('sv-SE', { timeZone: zone, timeStyle: 'medium' }));
  const relative = lazily(() => new Intl.RelativeTimeFormat(language, { numeric: 'auto' }));
  const numbers = lazily(
    (style: 'decimal' | 'percent', digits: number) =>
      new Intl.NumberFormat(language, { style, maximumFractionDigits: digits }),
  );
  const write = (format: () => Intl.DateTimeFormat, time: string | number | Date | undefined) => {
    const at = toMs(time);
    return at === undefined ? NONE : format().format(at);
  };
  return {
    zone,
    dateTime: (time) => write(both, time),
    date: (time) => write(day, time),
    time: (time) => write(clock, time),
    relative: (time, now) => {
      const at = toMs(time);
      if (at === undefined) return NONE;
      const seconds = Math.round((at - now) / 1000);
      for (const [unit, size] of UNITS) {
        if (Math.abs(seconds) >= size) return relative().format(Math.trunc(seconds / size), unit);
      }
      return relative().format(seconds, 'second');
    },
    age: (time, now) => {
      const at = toMs(time);
      return at === undefined ? NONE : shortDuration(Math.max(0, (now - at) / 1000));
    },
    number: (value, digits = 2) => numbers('decimal', digits).format(value),
    percent: (ratio, digits = 2) => numbers('percent', digits).format(ratio),
    bytes: (count) => scaled(count, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']),
    seconds,
  };
}

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

export function toMs(time: string | number | Date | undefined): number | undefined {
  if (time === undefined || time === '') return undefined;
  const at = time instanceof Date ? time.getTime() : typeof time === 'number' ? time : Date.parse(time);
  return Number.isFinite(at) ? at : undefined;
}

/** `5d`, `3h12m`, `45s`: as kubectl writes ages. */
export function shortDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 120) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 10) return whole % 60 === 0 ? `${minutes}m` : `${minutes}m${whole % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 730) return `${days}d`;
  return `${Math.floor(days / 365)}y`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let scale = 0;
  let rest = value;
  while (Math.abs(rest) >= base && scale < units.length - 1) {
    rest /= base;
    scale += 1;
  }
  return `${trim(rest)} ${units[scale] ?? ''}`;
}

/** Three significant digits, no trailing zeros. */
export function trim(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(3)));
}

function seconds(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return String(value);
  if (size === 0) return '0 s';
  if (size < 1e-6) return `${trim(value * 1e9)} ns`;
  if (size < 1e-3) return `${trim(value * 1e6)} µs`;
  if (size < 1) return `${trim(value * 1e3)} ms`;
  if (size < 120) return `${trim(value)} s`;
  const parts: string[] = [];
  let rest = Math.round(size);
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ] as const) {
    if (rest >= length && parts.length < 2) {
      parts.push(`${Math.floor(rest / length)} ${unit}`);
      rest %= length;
    }
  }
  return (value < 0 ? '-' : '') + parts.join(' ');
}
