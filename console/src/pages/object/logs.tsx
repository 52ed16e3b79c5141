// The logs of an object's pods, as one.
import { useMemo } from 'react';
import type { Kind } from '../../api/discovery';
import type { AnyObject } from '../../api/types';
import { useUrlState } from '../../lib/url-state';
import { Loading } from '../../ui/faces';
import { LogPanel, type LogState } from '../../ui/log/log-view';
import { logSources, usePods } from './use-pods';

/** What of a log is wanted, in the address. */
export function useLogState(): LogState {
  return {
    filter: useUrlState('q'),
    regex: useUrlState('regex'),
    only: useUrlState('containers'),
    tail: useUrlState('tail'),
    since: useUrlState('since'),
    previous: useUrlState('previous'),
  };
}

export function LogsTab(props: { kind: Kind; object: AnyObject }) {
  const pods = usePods(props.kind, props.object);
  const state = useLogState();
  const sources = useMemo(() => logSources(pods.items), [pods.items]);
  if (pods.status === 'loading') return <Loading />;
  return <LogPanel sources={sources} state={state} />;
}
