// Filters, tabs, selections and time ranges live in the URL: one parameter as state.
import { useCallback } from 'react';
import { useSearchParams } from 'react-router';

/** A parameter of the address and what changes it; the fallback's value leaves the address clean. */
export function useUrlState(name: string, fallback = ''): [string, (value: string) => void] {
  const [search, setSearch] = useSearchParams();
  const set = useCallback(
    (value: string) => {
      setSearch(
        (before) => {
          const after = new URLSearchParams(before);
          if (value === fallback) after.delete(name);
          else after.set(name, value);
          return after;
        },
        { replace: true },
      );
    },
    [name, fallback, setSearch],
  );
  return [search.get(name) ?? fallback, set];
}
