// What the topology is made of, live.
import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useKinds } from '../../api/discovery';
import type { Architecture, Project, Requirement, ServiceLevelObjective } from '../../api/maru';
import { useMetadata, useObjects } from '../../api/objects';
import { instantQuery } from '../../api/prometheus';
import { useSession } from '../../api/session';
import { type Measured, NOTHING_MEASURED, type Pod, queries, type Service, topology } from './model';

const EVERY_MS = 15_000;
const HIDDEN = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'maru-system']);
const PROJECT_LABEL = 'maru.dev/project';

/** Namespaces that have services, those of projects first. */
export function useServiceNamespaces(): { names: readonly string[]; loading: boolean; error: Error | undefined } {
  const kinds = useKinds();
  const services = useObjects<Service>(kinds.find('services.'));
  const namespaces = useMetadata(kinds.find('namespaces.'));
  const names = useMemo(() => {
    const found = new Set(
      services.items.map((one) => one.metadata.namespace ?? '').filter((name) => !HIDDEN.has(name)),
    );
    const projects = new Set(
      namespaces.items
        .filter((one) => one.metadata.labels?.[PROJECT_LABEL] !== undefined)
        .map((one) => one.metadata.name),
    );
    // Every cluster has the API's own service in `default`.
    const only = services.items.filter((one) => one.metadata.namespace === 'default').length <= 1;
    if (only && found.size > 1) found.delete('default');
    const rank = (name: string) => (projects.has(name) ? 0 : 1);
    return [...found].toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  }, [services.items, namespaces.items]);
  return {
    names,
    loading: services.status === 'loading',
    error: services.status === 'failed' ? services.error : undefined,
  };
}

export function useTopology(namespace: string, window: string) {
  const kinds = useKinds();
  const { rooms } = useSession();
  const services = useObjects<Service>(kinds.find('services.'), { namespace });
  const pods = useObjects<Pod>(kinds.find('pods.'), { namespace });
  const namespaces = useMetadata(kinds.find('namespaces.'));
  const projects = useObjects<Project>(kinds.find('projects.maru.dev'));
  const project = useMemo(() => {
    const labelled = namespaces.items.find((one) => one.metadata.name === namespace)?.metadata.labels?.[PROJECT_LABEL];
    const named = projects.items.find((one) =>
      one.spec.environments?.some((environment) => environment.namespace === namespace),
    );
    return labelled ?? named?.metadata.namespace ?? namespace;
  }, [namespaces.items, projects.items, namespace]);
  const architectures = useObjects<Architecture>(kinds.find('architectures.maru.dev'), { namespace: project });
  const requirements = useObjects<Requirement>(kinds.find('requirements.maru.dev'), { namespace: project });
  const objectives = useObjects<ServiceLevelObjective>(kinds.find('servicelevelobjectives.maru.dev'), {
    namespace: project,
  });

  const asked = useMemo(() => Object.entries(queries(namespace, window)), [namespace, window]);
  const { measured, error } = useQueries({
    queries: asked.map(([, query]) => ({
      ...instantQuery(query, undefined),
      enabled: rooms.prometheus !== undefined,
      refetchInterval: EVERY_MS,
    })),
    combine: (answers) => ({
      measured: Object.fromEntries(
        asked.map(([name], index) => [name, answers[index]?.data?.series ?? []]),
      ) as Partial<Measured>,
      error: answers.find((one) => one.error !== null)?.error ?? undefined,
    }),
  });
  const graph = useMemo(
    () =>
      topology({
        namespace,
        services: services.items,
        pods: pods.items,
        architectures: architectures.items,
        requirements: requirements.items,
        objectives: objectives.items,
        measured: { ...NOTHING_MEASURED, ...measured },
        observes: (measured.calls?.length ?? 0) > 0,
      }),
    [namespace, services.items, pods.items, architectures.items, requirements.items, objectives.items, measured],
  );
  return {
    graph,
    project,
    error,
    observes: (measured.calls?.length ?? 0) > 0,
    isDrawn: architectures.items.length > 0,
    loading: services.status === 'loading',
  };
}
