// Filters, tabs, selections and time ranges live in the address: its parameters as state.
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { type DataRouter, useLocation, useNavigation } from 'react-router';

interface Address {
  search: URLSearchParams;
  change: (edit: (search: URLSearchParams) => void, how: 'replace' | 'push') => void;
}

const AddressContext = createContext<Address | undefined>(undefined);

/**
 * What was set is the value at once, although the router draws it a moment later, when it has time: a field that shows the drawn address
 * alone loses letters of people who type fast, and breaks syllables that an input method is still composing. The router's word counts
 * again as soon as what is drawn is the newest that it knows.
 */
export function UrlStateProvider(props: { router: DataRouter; children: ReactNode }) {
  const { router } = props;
  const location = useLocation();
  const navigation = useNavigation();
  const newest = useRef<string>(undefined);
  const [written, write] = useState<string>();
  useLayoutEffect(() => {
    const { state } = router;
    if (navigation.state !== 'idle' || state.navigation.state !== 'idle' || state.location.key !== location.key) return;
    newest.current = undefined;
    write(undefined);
  }, [router, location, navigation.state]);
  const change = useCallback<Address['change']>(
    (edit, how) => {
      const search = new URLSearchParams(newest.current ?? location.search);
      edit(search);
      newest.current = search.toString();
      write(newest.current);
      void router.navigate({ pathname: location.pathname, search: newest.current }, { replace: how === 'replace' });
    },
    [router, location],
  );
  const search = useMemo(() => new URLSearchParams(written ?? location.search), [written, location.search]);
  const address = useMemo(() => ({ search, change }), [search, change]);
  return <AddressContext value={address}>{props.children}</AddressContext>;
}

function useAddress(): Address {
  const address = useContext(AddressContext);
  if (address === undefined) throw new Error('a part that reads the address stands outside of UrlStateProvider');
  return address;
}

/** A parameter of the address and what changes it; the fallback's value leaves the address clean. */
export function useUrlState(name: string, fallback = ''): [string, (value: string) => void] {
  const { search, change } = useAddress();
  const set = useCallback(
    (value: string) =>
      change((after) => {
        if (value === fallback) after.delete(name);
        else after.set(name, value);
      }, 'replace'),
    [name, fallback, change],
  );
  return [search.get(name) ?? fallback, set];
}

export type UrlChange = Record<string, string | readonly string[] | undefined>;

export interface UrlValues {
  get: (name: string, fallback?: string) => string;
  all: (name: string) => string[];
  /** An empty or absent value takes the parameter away. A pushed change can be gone back from. */
  set: (change: UrlChange, how?: 'replace' | 'push') => void;
}

/** Several parameters changed at once: a time range has two ends, an explorer has many queries. */
export function useUrlValues(): UrlValues {
  const { search, change } = useAddress();
  const set = useCallback<UrlValues['set']>(
    (values, how = 'replace') =>
      change((after) => {
        for (const [name, value] of Object.entries(values)) {
          after.delete(name);
          for (const one of typeof value === 'string' ? [value] : (value ?? [])) {
            if (one !== '') after.append(name, one);
          }
        }
      }, how),
    [change],
  );
  return { get: (name, fallback = '') => search.get(name) ?? fallback, all: (name) => search.getAll(name), set };
}
