// What numbers of metrics mean, and how they are written. Pure.
import type { Format } from './format';
import { trim } from './format';

/** Units that boards know; any other word is written behind the number. */
export const UNITS = [
  'none',
  'count',
  'ratio',
  'percent',
  'seconds',
  'milliseconds',
  'bytes',
  'bytes/s',
  'bits/s',
  'requests/s',
  'ops/s',
  'hertz',
  'celsius',
  'timestamp',
] as const;

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** Writes a value in its unit: `12.3 ms`, `1.5 MiB/s`, `99.95 %`. */
export function formatValue(value: number | null | undefined, unit: string, format: Format, decimals?: number): string {
  if (value === null || value === undefined) return '—';
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+∞' : '-∞';
  switch (unit) {
    case '':
    case 'none':
      return plain(value, decimals);
    case 'count':
      return scale(value, 1000, DECIMAL, decimals);
    case 'ratio':
      return `${share(value * 100, decimals)} %`;
    case 'percent':
      return `${share(value, decimals)} %`;
    case 'seconds':
      return decimals === undefined ? format.seconds(value) : `${value.toFixed(decimals)} s`;
    case 'milliseconds':
      return decimals === undefined ? format.seconds(value / 1000) : `${value.toFixed(decimals)} ms`;
    case 'bytes':
      return scale(value, 1024, BINARY, decimals);
    case 'bytes/s':
      return `${scale(value, 1024, BINARY, decimals)}/s`;
    case 'bits/s':
      return `${scale(value, 1000, DECIMAL, decimals)}bit/s`;
    case 'hertz':
      return `${scale(value, 1000, DECIMAL, decimals)}Hz`;
    case 'celsius':
      return `${plain(value, decimals)} °C`;
    case 'timestamp':
      return format.dateTime(value * 1000);
    case 'requests/s':
    case 'ops/s':
      return `${scale(value, 1000, DECIMAL, decimals)}/s`;
    default:
      return `${plain(value, decimals)} ${unit}`;
  }
}

function plain(value: number, decimals: number | undefined): string {
  if (decimals !== undefined) return value.toFixed(decimals);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return group(String(value));
  if (size >= 1e9 || (size < 1e-4 && size > 0)) return value.toExponential(2);
  return group(String(Number(value.toPrecision(size >= 1000 ? 6 : 4))));
}

/** 99.95, not 100: shares near the whole keep the digits that tell them from it. */
function share(percent: number, decimals: number | undefined): string {
  if (decimals !== undefined) return percent.toFixed(decimals);
  const rest = Math.abs(100 - percent);
  if (percent < 100 && rest > 0 && rest < 1) {
    const digits = Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(rest))));
    return String(Number(percent.toFixed(digits)));
  }
  return trim(percent);
}

function group(text: string): string {
  const [whole = '', fraction] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

function scale(value: number, base: number, names: readonly string[], decimals: number | undefined): string {
  let power = 0;
  let rest = value;
  while (Math.abs(rest) >= base && power < names.length - 1) {
    rest /= base;
    power += 1;
  }
  const name = names[power] ?? '';
  const number = decimals === undefined ? trim(rest) : rest.toFixed(decimals);
  return name === '' ? number : `${number} ${name}`;
}

/** A guess at what a query's values are, by the names of its metrics. */
export function guessUnit(query: string): string {
  const metric = query.match(/[a-zA-Z_:][a-zA-Z0-9_:]*/g)?.find((word) => /_|:/.test(word) && !FUNCTIONS.test(word));
  if (metric === undefined) return 'none';
  const perSecond = /\b(i?rate|deriv)\s*\(/.test(query);
  if (/histogram_(quantile|avg|stddev)/.test(query))
    return /seconds/.test(metric) ? 'seconds' : bytesOr(metric, 'none');
  if (/\bcount\s*(\(|by|without)/.test(query)) return 'none';
  if (/\)\s*\/\s*/.test(query) && perSecond) return 'none';
  if (/timestamp_seconds|(start|boot)_time_seconds$/.test(metric)) {
    return /time\s*\(\s*\)\s*-/.test(query) ? 'seconds' : 'timestamp';
  }
  if (/_(bucket|count)$/.test(metric)) return perSecond ? 'ops/s' : 'none';
  if (/seconds(_total|_sum)?$/.test(metric)) return perSecond ? 'none' : 'seconds';
  if (/_bytes(_|$)|_bytes_total$/.test(metric)) return perSecond ? 'bytes/s' : 'bytes';
  if (/_celsius$/.test(metric)) return 'celsius';
  if (/_ratio$|:ratio|_ratio:/.test(metric)) return 'ratio';
  if (/_total$/.test(metric)) return perSecond ? 'ops/s' : 'count';
  return 'none';
}

const FUNCTIONS =
  /^(histogram_|label_|.*_over_time$|group_left|group_right|sort_|days_in_|day_of_|count_values|predict_linear|limit_ratio)/;

function bytesOr(metric: string, other: string): string {
  return /bytes/.test(metric) ? 'bytes' : other;
}
