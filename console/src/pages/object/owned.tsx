// What an object owns: from owner references, for any kind.
import { Anchor, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Kind, useKinds } from '../../api/discovery';
import { request } from '../../api/http';
import { keys } from '../../api/keys';
import type { Pod } from '../../api/kubernetes';
import { resourcePath, useMetadata, useObjects } from '../../api/objects';
import type { AnyObject, KubernetesObject, ListAnswer } from '../../api/types';
import { health, readyContainers } from '../../lib/health';
import { childKinds, ownedBy } from '../../lib/workload';
import { paths, resourceName } from '../../paths';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import classes from './object.module.css';

export interface Owned {
  kind: Kind;
  object: KubernetesObject;
}

const METADATA = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const MANY = 500;

/** Everything that an object owns, directly or through others. Well-known kinds are live, others looked up. */
export function useOwned(kind: Kind, object: AnyObject): { items: readonly Owned[] } {
  const kinds = useKinds();
  const { namespace, uid } = object.metadata;
  const children = childKinds(kind.kind);
  const [first, second] = (children ?? []).map((name) => kinds.find(name));
  const one = useObjects(first, { namespace });
  const two = useObjects(second?.kind === 'Pod' ? second : undefined, { namespace });
  const three = useMetadata(second !== undefined && second.kind !== 'Pod' ? second : undefined, { namespace });
  const others = useQuery({
    queryKey: [...keys.resource('owned'), uid],
    enabled: children === undefined,
    refetchInterval: 15_000,
    queryFn: async ({ signal }) => {
      const looked = kinds.all.filter(
        (candidate) =>
          candidate.verbs.includes('list') &&
          candidate.plural !== 'events' &&
          (candidate.namespaced || namespace === undefined) &&
          candidate.group !== 'metrics.k8s.io',
      );
      const answers = await Promise.all(
        looked.map(async (candidate): Promise<Owned[]> => {
          const path = resourcePath(candidate, candidate.namespaced ? namespace : undefined);
          const query = { limit: MANY };
          const answer = await request<ListAnswer<KubernetesObject>>(path, { accept: METADATA, query, signal }).catch(
            () => undefined,
          );
          return (answer?.items ?? [])
            .filter((item) => item.metadata.ownerReferences !== undefined)
            .map((item) => ({ kind: candidate, object: item }));
        }),
      );
      return answers.flat();
    },
  });
  const items = useMemo(() => {
    const known: Owned[] = [
      ...one.items.map((item) => ({ kind: first, object: item })),
      ...two.items.map((item) => ({ kind: second, object: item })),
      ...three.items.map((item) => ({ kind: second, object: item })),
      ...(others.data ?? []),
    ].filter((item): item is Owned => item.kind !== undefined);
    const owned = new Set(
      ownedBy(
        uid,
        known.map((item) => item.object),
      ),
    );
    return known.filter((item) => owned.has(item.object));
  }, [one.items, two.items, three.items, others.data, first, second, uid]);
  return { items };
}

/** Objects as lines: how they are, what they are called, how old they are. Those that do nothing come last. */
export function ObjectLines(props: { items: readonly Owned[]; max?: number; more?: (count: number) => string }) {
  const max = props.max ?? 20;
  const sorted = props.items.toSorted((left, right) => rank(left) - rank(right) || byAge(left, right));
  return (
    <>
      <ul className={classes.lines}>
        {sorted.slice(0, max).map((one) => {
          const { name, namespace, uid, creationTimestamp } = one.object.metadata;
          const state = health(one.kind.kind, one.object);
          return (
            <li key={uid} data-idle={isIdle(one) || undefined}>
              <span className={classes.lineKind}>{one.kind.kind}</span>
              <Anchor size="sm" href={paths.object(one.kind, namespace, name)}>
                {name}
              </Anchor>
              {state !== undefined && !isIdle(one) && (
                <StatusBadge tone={state.tone} label={state.label} title={state.message} />
              )}
              <Text span size="xs" c="dimmed" className={classes.lineDetail}>
                {detail(one)}
              </Text>
              <Text span size="xs" c="dimmed">
                <When time={creationTimestamp} style="age" />
              </Text>
            </li>
          );
        })}
      </ul>
      {sorted.length > max && (
        <Text size="xs" c="dimmed">
          {props.more?.(sorted.length - max)}
        </Text>
      )}
    </>
  );
}

function isIdle(one: Owned): boolean {
  const { spec } = one.object as AnyObject;
  return resourceName(one.kind) === 'replicasets.apps' && spec?.replicas === 0;
}

function rank(one: Owned): number {
  if (isIdle(one)) return 9;
  return one.kind.kind === 'Pod' ? 1 : one.kind.kind === 'ControllerRevision' ? 8 : 0;
}

function byAge(left: Owned, right: Owned): number {
  return Date.parse(right.object.metadata.creationTimestamp) - Date.parse(left.object.metadata.creationTimestamp);
}

function detail(one: Owned): string {
  if (one.kind.kind === 'Pod' && 'spec' in one.object) {
    const { ready, all, restarts } = readyContainers(one.object as Pod);
    const node = (one.object as Pod).spec.nodeName;
    return [`${ready}/${all}`, restarts > 0 ? `↻ ${restarts}` : '', node ?? ''].filter(Boolean).join(' · ');
  }
  const revision = one.object.metadata.annotations?.['deployment.kubernetes.io/revision'];
  return revision === undefined ? '' : `#${revision}`;
}
