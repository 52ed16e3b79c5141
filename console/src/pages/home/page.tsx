// Home: nothing green is listed. What wants a person, with its reason and the one button that helps; what happened; how far the project is.
import { Select, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Kinds, useKinds } from '../../api/discovery';
import { request } from '../../api/http';
import { keys } from '../../api/keys';
import type { LiveState } from '../../api/live';
import type { Approval, Evidence, Project, Requirement, ServiceLevelObjective } from '../../api/maru';
import { useMetadata, useObjects } from '../../api/objects';
import { useSession } from '../../api/session';
import type { KubernetesObject } from '../../api/types';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useNow } from '../../i18n/use-format';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { Page } from '../../ui/page';
import { ActivityPanel } from './activity';
import { AttentionPanel } from './attention';
import { CountStrip } from './counts';
import { FirstStep } from './first-step';
import classes from './home.module.css';
import {
  type ApiEvent,
  activity,
  attention,
  counts,
  type FiringAlert,
  namespacesOf,
  type Pod,
  type Workload,
} from './model';
import { StageLine } from './stage-line';
import { texts } from './texts';

const NEWS_MAX = 25;
const ALERTS_EVERY_MS = 10_000;
const SYSTEM = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'maru-system', 'default']);

export function Component() {
  const t = useTexts(texts);
  const local = useLocalText();
  const [chosen, choose] = useUrlState('project');
  const world = useWorld();
  const all = world.projects.items;
  const project = all.find((one) => one.metadata.namespace === chosen);
  const title = (one: Project) => local(one.spec.title) || (one.metadata.namespace ?? '');
  const only = all.length === 1 ? all[0] : project;
  if (!world.loading && world.isNew) {
    return (
      <Page title={t.title}>
        <FirstStep />
      </Page>
    );
  }
  return (
    <Page
      title={only ? title(only) : t.title}
      actions={
        all.length > 1 && (
          <Select
            size="xs"
            aria-label={t.project}
            value={project ? chosen : ''}
            onChange={(value) => choose(value ?? '')}
            allowDeselect={false}
            data={[
              { value: '', label: t.allProjects },
              ...all.map((one) => ({ value: one.metadata.namespace ?? '', label: title(one) })),
            ]}
          />
        )
      }
    >
      <Stack gap="md">
        <Overview world={world} project={project} />
      </Stack>
    </Page>
  );
}

function Overview(props: { world: ReturnType<typeof useWorld>; project: Project | undefined }) {
  const t = useTexts(texts);
  const { world, project } = props;
  const kinds = useKinds();
  const now = useNow(10_000);
  const seen = useMemo(() => {
    const inside = project && namespacesOf(project);
    const pick = <T extends KubernetesObject>(state: { items: readonly T[] }): readonly T[] =>
      inside ? state.items.filter((one) => inside.has(one.metadata.namespace ?? '')) : state.items;
    return {
      requirements: pick(world.requirements),
      projects: pick(world.projects),
      evidence: pick(world.evidence),
      objectives: pick(world.objectives),
      pods: pick(world.pods),
      nodes: world.nodes.items,
      workloads: [
        { plural: 'deployments', items: pick(world.deployments) },
        { plural: 'statefulsets', items: pick(world.statefulSets) },
        { plural: 'daemonsets', items: pick(world.daemonSets) },
      ],
      alerts: world.alerts.filter(
        (one) => !inside || one.labels.namespace === undefined || inside.has(one.labels.namespace),
      ),
      events: pick(world.events),
      approvals: pick(world.approvals),
      replicaSets: pick(world.replicaSets),
      baselines: pick(world.baselines),
    };
  }, [world, project]);
  const wanted = useMemo(() => attention(seen, now), [seen, now]);
  const news = useMemo(
    () => activity({ ...seen, hrefOf: (...object) => hrefOf(kinds, ...object) }, NEWS_MAX),
    [seen, kinds],
  );
  return (
    <>
      {seen.projects.map((one) => (
        <StageLine key={one.metadata.uid} project={one} named={seen.projects.length > 1} />
      ))}
      <CountStrip
        counts={counts(seen)}
        project={project?.metadata.namespace}
        requirements={isKnown(world.requirements) ? seen.requirements.length : undefined}
        alerts={world.hasAlerts ? seen.alerts.length : undefined}
        objectives={isKnown(world.objectives) ? seen.objectives.length : undefined}
        workloads={isKnown(world.deployments)}
      />
      <div className={classes.columns}>
        <AttentionPanel items={wanted} loading={world.loading} />
        <ActivityPanel items={news} loading={world.loading} />
      </div>
      {world.hidden.length > 0 && (
        <Text size="xs" c="dimmed">
          {t.hidden(world.hidden.join(', '))}
        </Text>
      )}
    </>
  );
}

/** Whether a list has been read; one that is not there or not allowed has not. */
function isKnown(state: LiveState<KubernetesObject>): boolean {
  return state.status === 'live' || state.status === 'behind';
}

function hrefOf(
  kinds: Kinds,
  apiVersion: string | undefined,
  kind: string | undefined,
  namespace: string | undefined,
  name: string,
): string | undefined {
  const found = kinds.of(apiVersion, kind);
  return found && paths.object(found, found.namespaced ? namespace : undefined, name);
}

/** All that Home is made of, live. A kind that is not there or not allowed is empty. */
function useWorld() {
  const kinds = useKinds();
  const { rooms } = useSession();
  const projects = useObjects<Project>(kinds.find('projects.maru.dev'));
  const requirements = useObjects<Requirement>(kinds.find('requirements.maru.dev'));
  const evidence = useObjects<Evidence>(kinds.find('evidence.maru.dev'));
  const objectives = useObjects<ServiceLevelObjective>(kinds.find('servicelevelobjectives.maru.dev'));
  const approvals = useObjects<Approval>(kinds.find('approvals.maru.dev'));
  const baselines = useMetadata(kinds.find('baselines.maru.dev'));
  const pods = useObjects<Pod>(kinds.find('pods.'));
  const nodes = useObjects<Workload>(kinds.find('nodes.'));
  const deployments = useObjects<Workload>(kinds.find('deployments.apps'));
  const statefulSets = useObjects<Workload>(kinds.find('statefulsets.apps'));
  const daemonSets = useObjects<Workload>(kinds.find('daemonsets.apps'));
  const replicaSets = useMetadata(kinds.find('replicasets.apps'));
  const events = useObjects<ApiEvent & KubernetesObject>(kinds.find('events.'));
  const firing = useQuery({
    queryKey: keys.alertmanager('alerts', { active: true }),
    queryFn: ({ signal }) =>
      request<FiringAlert[]>(`${rooms.alertmanager}/api/v2/alerts`, {
        query: { active: true, silenced: false, inhibited: false },
        signal,
      }),
    enabled: rooms.alertmanager !== undefined,
    refetchInterval: ALERTS_EVERY_MS,
    throwOnError: false,
  });
  const lists: Record<string, LiveState<KubernetesObject>> = { projects, requirements, pods, deployments, events };
  const workloads = [deployments, statefulSets, daemonSets].flatMap((state) => state.items);
  const own = workloads.filter((one) => !SYSTEM.has(one.metadata.namespace ?? ''));
  const hidden = Object.entries(lists)
    .filter(([, state]) => state.error?.status === 403)
    .map(([name]) => name);
  return {
    projects,
    requirements,
    evidence,
    objectives,
    approvals,
    baselines,
    pods,
    nodes,
    deployments,
    statefulSets,
    daemonSets,
    replicaSets,
    events,
    alerts: firing.data ?? [],
    hasAlerts: firing.data !== undefined,
    hidden,
    loading: Object.values(lists).some((state) => state.status === 'loading'),
    isNew: projects.items.length === 0 && requirements.items.length === 0 && own.length === 0,
  };
}
