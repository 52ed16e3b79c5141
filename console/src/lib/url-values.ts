// Several parameters of the address changed at once: a time range has two ends, an explorer has many queries.
import { useCallback } from 'react';
import { useSearchParams } from 'react-router';

export type UrlChange = Record<string, string | readonly string[] | undefined>;

export interface UrlValues {
  get: (name: string, fallback?: string) => string;
  all: (name: string) => string[];
  /** An empty or absent value takes the parameter away. A pushed change can be gone back from. */
  set: (change: UrlChange, how?: 'replace' | 'push') => void;
}

export function useUrlValues(): UrlValues {
  const [search, setSearch] = useSearchParams();
  const set = useCallback(
    (change: UrlChange, how: 'replace' | 'push' = 'replace') => {
      setSearch(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(change)) {
            after.delete(name);
            for (const one of typeof value === 'string' ? [value] : (value ?? [])) {
              if (one !== '') after.append(name, one);
            }
          }
          return after;
        },
        { replace: how === 'replace' },
      );
    },
    [setSearch],
  );
  return { get: (name, fallback = '') => search.get(name) ?? fallback, all: (name) => search.getAll(name), set };
}
