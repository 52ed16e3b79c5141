import { useRef } from 'react';

/** The last whole answer to a question while the next one is on its way. `isNew`: there is none yet. */
export function useKept<T>(value: T, isPending: boolean, question: string): { value: T; isNew: boolean } {
  const last = useRef<{ question: string; value: T }>(undefined);
  if (!isPending) last.current = { question, value };
  if (last.current?.question === question) return { value: last.current.value, isNew: false };
  return { value, isNew: true };
}
