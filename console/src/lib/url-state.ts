// Filters, tabs, selections and time ranges live in the URL: one parameter as state.
import { useCallback, useEffect, useState } from 'react';
import { useSearchParams } from 'react-router';

/** The router answers within a few milliseconds; a draft that it has not taken by then was overtaken by another navigation. */
const DRAFT_LIVES_MS = 1000;

/**
 * A parameter of the address and what changes it; the fallback's value leaves the address clean. What was set is the value at once,
 * although the address follows a moment later: a field that shows the address alone loses letters of people who type fast, and breaks
 * syllables that an input method is still composing.
 */
export function useUrlState(name: string, fallback = ''): [string, (value: string) => void] {
  const [search, setSearch] = useSearchParams();
  const [draft, setDraft] = useState<string>();
  const inAddress = search.get(name) ?? fallback;
  useEffect(() => {
    if (draft === undefined) return;
    if (draft === inAddress) {
      setDraft(undefined);
      return;
    }
    const timer = setTimeout(() => setDraft(undefined), DRAFT_LIVES_MS);
    return () => clearTimeout(timer);
  }, [draft, inAddress]);
  const set = useCallback(
    (value: string) => {
      setDraft(value);
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
  return [draft ?? inAddress, set];
}
