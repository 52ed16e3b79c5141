// The object of the page, and the pods that stand behind it.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Kind, useKinds } from '../../api/discovery';
import { request } from '../../api/http';
import { keys } from '../../api/keys';
import type { ContainerStatus, LabelSelector, Pod } from '../../api/kubernetes';
import type { LiveState } from '../../api/live';
import { resourcePath, type Selection, useMetadata, useObjects } from '../../api/objects';
import type { AnyObject } from '../../api/types';
import { labelsText, ownedBy, selectorText } from '../../lib/workload';
import { resourceName } from '../../paths';
import type { LogSourceInfo } from '../../ui/log/log-view';

export function isSecret(kind: Kind): boolean {
  return kind.group === '' && kind.plural === 'secrets';
}

/** One object, live. Of a Secret only the names of its values are known: the server keeps the values until asked. */
export function usePageObject(
  kind: Kind,
  namespace: string | undefined,
  name: string,
): Pick<LiveState<AnyObject>, 'status' | 'error'> & { item: AnyObject | undefined } {
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  const masked = isSecret(kind);
  const whole = useObjects<AnyObject>(masked ? undefined : kind, selection);
  const metadata = useMetadata(masked ? kind : undefined, selection);
  const version = metadata.items[0]?.metadata.resourceVersion;
  const secret = useQuery({
    queryKey: [...keys.object(resourceName(kind), namespace, name), version],
    queryFn: ({ signal }) =>
      request<AnyObject>(resourcePath(kind, namespace, name), { headers: { 'maru-reveal': 'keys' }, signal }),
    enabled: masked && version !== undefined,
    placeholderData: (before) => before,
  });
  if (!masked) return { status: whole.status, error: whole.error, item: whole.items[0] };
  const isThere = version !== undefined;
  return {
    status: isThere && secret.data === undefined ? 'loading' : metadata.status,
    error: metadata.error,
    item: isThere ? secret.data : undefined,
  };
}

/** Which pods belong to an object; `undefined`: it has none. */
function podSelection(kind: Kind, object: AnyObject): Selection | undefined {
  const { namespace, name } = object.metadata;
  if (kind.group === '' && kind.kind === 'Pod') return { namespace, fieldSelector: `metadata.name=${name}` };
  if (kind.group === '' && kind.kind === 'Node') return { fieldSelector: `spec.nodeName=${name}` };
  if (kind.group === 'batch' && kind.kind === 'CronJob') return { namespace };
  const selector = object.spec?.selector;
  if (kind.group === '' && ['Service', 'ReplicationController'].includes(kind.kind)) {
    const labelSelector = labelsText(selector as Record<string, string> | undefined);
    return labelSelector === undefined ? undefined : { namespace, labelSelector };
  }
  if (!['apps', 'batch', 'policy'].includes(kind.group)) return undefined;
  const labelSelector = selectorText(selector as LabelSelector | undefined);
  return labelSelector === undefined ? undefined : { namespace, labelSelector };
}

export function hasPods(kind: Kind, object: AnyObject): boolean {
  return podSelection(kind, object) !== undefined;
}

export interface Pods {
  status: LiveState<Pod>['status'];
  items: readonly Pod[];
}

/** The pods of an object, live. */
export function usePods(kind: Kind, object: AnyObject): Pods {
  const kinds = useKinds();
  const selection = podSelection(kind, object);
  const isCronJob = kind.group === 'batch' && kind.kind === 'CronJob';
  const pods = useObjects<Pod>(selection && kinds.find('pods.'), selection ?? {});
  const jobs = useMetadata(isCronJob ? kinds.find('jobs.batch') : undefined, {
    namespace: object.metadata.namespace,
  });
  const { uid } = object.metadata;
  const items = useMemo(() => {
    if (!isCronJob) return pods.items;
    return ownedBy(uid, [...jobs.items, ...pods.items]).filter((one): one is Pod => 'spec' in one);
  }, [isCronJob, uid, jobs.items, pods.items]);
  return { status: pods.status, items };
}

/** All containers of pods, as sources of logs. */
export function logSources(pods: readonly Pod[]): LogSourceInfo[] {
  return pods.flatMap((pod) => {
    const status = pod.status ?? {};
    const known = new Map<string, ContainerStatus>();
    for (const one of [
      ...(status.initContainerStatuses ?? []),
      ...(status.containerStatuses ?? []),
      ...(status.ephemeralContainerStatuses ?? []),
    ]) {
      known.set(one.name, one);
    }
    const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec;
    return [...containers, ...initContainers, ...ephemeralContainers].map((container) => {
      const own = known.get(container.name);
      return {
        namespace: pod.metadata.namespace ?? '',
        pod: pod.metadata.name,
        container: container.name,
        restarts: own?.restartCount ?? 0,
        hasPrevious: own?.lastState?.terminated !== undefined,
      };
    });
  });
}
