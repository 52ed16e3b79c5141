// Limits as text with a unit, and as a place on a slider. Pure.

/** A limit's text as a number and what follows it: `300ms`, `99.5%`, `500000 KRW/month`, `40/s`. */
export interface Amount {
  value: number;
  unit: string;
}

export function readAmount(text: string): Amount | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)(.*)$/.exec(text);
  if (!match?.[1]) return undefined;
  const amount = { value: Number(match[1]), unit: (match[2] ?? '').trimEnd() };
  // A share of one is told in percent.
  if (amount.unit === '' && amount.value > 0 && amount.value <= 1) {
    return { value: Number((amount.value * 100).toPrecision(12)), unit: '%' };
  }
  return amount;
}

/** The limit in what people are told: `≥ 99 %` is `99%`, `at most 90,000 KRW/month` is `90000 KRW/month`. */
export function limitIn(told: string): string {
  const match = /(\d[\d,]*(?:\.\d+)?)(.*)$/.exec(told);
  if (!match?.[1]) return told;
  const unit = (match[2] ?? '').trim();
  return match[1].replaceAll(',', '') + (unit.includes('/') && /^[A-Z]/.test(unit) ? ` ${unit}` : unit);
}

/** How a limit moves: a ratio's distance to 100 % by factors, everything else by factors of itself. */
const SPAN = 8;
/** The slider's positions: 0 is an eighth, 100 eight times, 50 what is written. */
export const MIDDLE = 50;

export function atPosition(written: string, position: number): string {
  const amount = readAmount(written);
  if (!amount || position === MIDDLE) return written;
  const factor = SPAN ** ((position - MIDDLE) / MIDDLE);
  if (amount.unit === '%') {
    const rest = Math.min(100, (100 - amount.value || 0.0001) * factor);
    return `${decimals(100 - rest, rest)}%`;
  }
  const value = amount.value * factor;
  return `${decimals(value, value)}${amount.unit}`;
}

export function positionOf(written: string, tried: string): number {
  const from = readAmount(written);
  const to = readAmount(tried);
  if (!from || !to || from.unit.trim() !== to.unit.trim()) return MIDDLE;
  const ratio = from.unit === '%' ? (100 - to.value) / (100 - from.value || 0.0001) : to.value / from.value;
  if (!(ratio > 0)) return ratio === 0 ? 0 : MIDDLE;
  return Math.max(0, Math.min(100, MIDDLE + (MIDDLE * Math.log(ratio)) / Math.log(SPAN)));
}

/** Three digits that matter of `size`, written without exponents. */
function decimals(value: number, size: number): string {
  const digits = size <= 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(size)));
  return String(Number(value.toFixed(Math.min(digits, 9))));
}

/** Limits that are tried, in the address: `nfr-001.atMost=400ms;…` */
export function writeTried(tried: ReadonlyMap<string, string>): string {
  return [...tried].map(([key, value]) => `${key}=${value}`).join(';');
}

export function readTried(text: string): Map<string, string> {
  const tried = new Map<string, string>();
  for (const part of text.split(';')) {
    const at = part.indexOf('=');
    if (at > 0) tried.set(part.slice(0, at), part.slice(at + 1));
  }
  return tried;
}
