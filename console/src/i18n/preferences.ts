// What a person chose, kept in this browser: language and time zone. (The colour scheme is Mantine's.)
import { useSyncExternalStore } from 'react';
import type { Language } from './texts';

export interface Preferences {
  language: Language;
  /** An IANA name; `local` is the browser's. */
  timeZone: string;
}

const KEY = 'maru.preferences';
const listeners = new Set<() => void>();

function read(): Preferences {
  const chosen: Partial<Preferences> = (() => {
    try {
      return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Preferences>;
    } catch {
      return {};
    }
  })();
  const language = chosen.language ?? (navigator.language.startsWith('ko') ? 'ko' : 'en');
  return { language: language === 'ko' ? 'ko' : 'en', timeZone: validZone(chosen.timeZone ?? 'local') };
}

function validZone(zone: string): string {
  if (zone === 'local') return zone;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    return 'local';
  }
}

let current = read();
document.documentElement.lang = current.language;

export function preferences(): Preferences {
  return current;
}

export function setPreferences(change: Partial<Preferences>): void {
  current = { ...current, ...change };
  document.documentElement.lang = current.language;
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // A browser that keeps nothing: the choice lasts as long as the page.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(subscribe, preferences);
}
