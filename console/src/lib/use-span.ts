import { useEffect, useMemo, useState } from 'react';
import { parseDuration, type Span, type TimeRange, toSpan } from './time-range';

/** A range as moments: read again with each refresh (`30s`; empty: never by itself), not while nobody looks. */
export function useSpan(
  range: TimeRange,
  refresh: string,
  zone: string,
): { span: Span | undefined; nowMs: number; reload: () => void } {
  const [nowMs, setNow] = useState(() => Date.now());
  const every = parseDuration(refresh) ?? 0;
  useEffect(() => {
    if (every <= 0) return;
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, every * 1000);
    return () => clearInterval(timer);
  }, [every]);
  const { from, to } = range;
  const span = useMemo(() => toSpan({ from, to }, nowMs, zone), [from, to, nowMs, zone]);
  return { span, nowMs, reload: () => setNow(Date.now()) };
}
