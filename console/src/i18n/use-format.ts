import { useSyncExternalStore } from 'react';
import { type Format, makeFormat } from '../lib/format';
import { usePreferences } from './preferences';

/** Formats in the chosen language and time zone. */
export function useFormat(): Format {
  const { language, timeZone } = usePreferences();
  return makeFormat(language, timeZone);
}

let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) now = Date.now();
  timer ??= setInterval(() => {
    now = Date.now();
    for (const one of listeners) one();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The time, told by one clock for the whole page, each second or in longer steps. */
export function useNow(stepMs = 1_000): number {
  return useSyncExternalStore(subscribe, () => (stepMs <= 1_000 ? now : Math.floor(now / stepMs) * stepMs));
}
