// Queries that were run, kept in this browser: the newest first, each once.
import { useSyncExternalStore } from 'react';

export interface RunQuery {
  query: string;
  /** Milliseconds since 1970. */
  at: number;
}

const KEY = 'maru.queries';
const QUERIES_MAX = 100;
const listeners = new Set<() => void>();

function read(): readonly RunQuery[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    if (!Array.isArray(stored)) return [];
    return stored.filter((one): one is RunQuery => typeof one?.query === 'string' && typeof one?.at === 'number');
  } catch {
    return [];
  }
}

let current = read();

/** Puts queries at the front. Pure. */
export function remembered(before: readonly RunQuery[], queries: readonly string[], at: number): RunQuery[] {
  const fresh = [...new Set(queries.map((query) => query.trim()).filter(Boolean))];
  const rest = before.filter((one) => !fresh.includes(one.query));
  return [...fresh.map((query) => ({ query, at })), ...rest].slice(0, QUERIES_MAX);
}

export function remember(queries: readonly string[]): void {
  store(remembered(current, queries, Date.now()));
}

export function forgetAll(): void {
  store([]);
}

function store(next: readonly RunQuery[]): void {
  current = next;
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // A browser that keeps nothing: the list lasts as long as the page.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useRunQueries(): readonly RunQuery[] {
  return useSyncExternalStore(subscribe, () => current);
}
