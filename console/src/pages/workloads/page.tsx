// All kinds that the server has, in groups, with their counts; above them, what needs a person.
import { Anchor, Button, Group, Text } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Kind, useKinds } from '../../api/discovery';
import { ApiError, request } from '../../api/http';
import { keys } from '../../api/keys';
import { resourcePath, useObjects } from '../../api/objects';
import type { KubernetesObject, ListAnswer } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { type Health, health } from '../../lib/health';
import { type GroupName, grouped } from '../../lib/kind-groups';
import { useUrlState } from '../../lib/url-state';
import { paths, resourceName } from '../../paths';
import { NamespacePicker } from '../../ui/namespace-picker';
import { Page } from '../../ui/page';
import { Section } from '../../ui/section';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import classes from './workloads.module.css';

const texts = defineTexts(
  {
    title: 'Workloads',
    create: 'Create',
    problems: 'Needs attention',
    fine: 'Every workload is as it should be.',
    more: (count: number) => `and ${count} more`,
    workloads: 'Workloads',
    network: 'Network',
    config: 'Configuration',
    storage: 'Storage',
    access: 'Access',
    cluster: 'Cluster',
    maru: 'Maru',
    custom: 'Custom resources',
    hidden: 'not visible to you',
  },
  {
    title: '워크로드',
    create: '만들기',
    problems: '확인이 필요한 항목',
    fine: '모든 워크로드가 정상입니다.',
    more: (count: number) => `외 ${count}개`,
    workloads: '워크로드',
    network: '네트워크',
    config: '구성',
    storage: '스토리지',
    access: '접근 권한',
    cluster: '클러스터',
    maru: 'Maru',
    custom: '사용자 정의 리소스',
    hidden: '볼 권한이 없음',
  },
);

export function Component() {
  const t = useTexts(texts);
  const kinds = useKinds();
  const [namespace, setNamespace] = useUrlState('namespace');
  const groups = useMemo(() => grouped(kinds.all), [kinds]);
  const counts = useCounts(
    groups.flatMap((group) => group.kinds).filter((kind) => kind.namespaced || namespace === ''),
    namespace,
  );
  return (
    <Page
      title={t.title}
      actions={
        <>
          <NamespacePicker value={namespace} onChange={setNamespace} />
          <Button
            size="xs"
            leftSection={<IconPlus size={14} aria-hidden />}
            component="a"
            href={paths.create(namespace || undefined)}
          >
            {t.create}
          </Button>
        </>
      }
    >
      <Problems namespace={namespace || undefined} />
      <div className={classes.groups}>
        {groups.map(({ group, kinds: members }) => {
          const shown = members.filter((kind) => kind.namespaced || namespace === '');
          if (shown.length === 0) return null;
          return (
            <Section key={group} title={t[group satisfies GroupName]}>
              <ul className={classes.kinds}>
                {shown.map((kind) => (
                  <li key={resourceName(kind)}>
                    <Anchor href={paths.kind(kind, namespace || undefined)} size="sm" title={resourceName(kind)}>
                      {kind.kind}
                    </Anchor>
                    {group === 'custom' && <span className={classes.api}>{kind.group}</span>}
                    <Count count={counts.get(resourceName(kind))} hidden={t.hidden} />
                  </li>
                ))}
              </ul>
            </Section>
          );
        })}
      </div>
    </Page>
  );
}

function Count(props: { count: number | 'hidden' | undefined; hidden: string }) {
  const format = useFormat();
  if (props.count === undefined) return <span className={classes.number}>·</span>;
  if (props.count === 'hidden') {
    return (
      <span className={classes.number} title={props.hidden}>
        —
      </span>
    );
  }
  return (
    <span className={classes.number} data-none={props.count === 0 || undefined}>
      {format.number(props.count)}
    </span>
  );
}

const METADATA = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

/** How many there are: the server says how many follow the first. */
function useCounts(kinds: readonly Kind[], namespace: string): Map<string, number | 'hidden' | undefined> {
  return useQueries({
    queries: kinds.map((kind) => ({
      queryKey: [...keys.resource(resourceName(kind)), 'count', namespace],
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        const path = resourcePath(kind, kind.namespaced && namespace !== '' ? namespace : undefined);
        const answer = await request<ListAnswer<KubernetesObject> & { metadata: { remainingItemCount?: number } }>(
          path,
          {
            accept: METADATA,
            query: { limit: 1 },
            signal,
          },
        );
        return answer.items.length + (answer.metadata.remainingItemCount ?? 0);
      },
      refetchInterval: 20_000,
    })),
    combine: (results) =>
      new Map(
        kinds.map((kind, index) => {
          const result = results[index];
          return [resourceName(kind), result?.data ?? (isRefused(result?.error) ? 'hidden' : undefined)] as const;
        }),
      ),
  });
}

function isRefused(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500;
}

interface Problem {
  kind: Kind;
  object: KubernetesObject;
  health: Health;
}

const WATCHED = [
  'nodes.',
  'deployments.apps',
  'statefulsets.apps',
  'daemonsets.apps',
  'jobs.batch',
  'pods.',
  'persistentvolumeclaims.',
] as const;
const PROBLEMS_MAX = 12;

/** What is not as it should be, the worst first. Nothing green is listed. */
function Problems(props: { namespace: string | undefined }) {
  const t = useTexts(texts);
  const kinds = useKinds();
  const [nodes, deployments, statefulSets, daemonSets, jobs, pods, claims] = WATCHED.map((name) => kinds.find(name));
  const { namespace } = props;
  const lists = [
    [namespace === undefined ? nodes : undefined, useObjects(namespace === undefined ? nodes : undefined)],
    [deployments, useObjects(deployments, { namespace })],
    [statefulSets, useObjects(statefulSets, { namespace })],
    [daemonSets, useObjects(daemonSets, { namespace })],
    [jobs, useObjects(jobs, { namespace })],
    [pods, useObjects(pods, { namespace })],
    [claims, useObjects(claims, { namespace })],
  ] as const;
  const problems: Problem[] = [];
  let isKnown = false;
  for (const [kind, list] of lists) {
    if (kind === undefined || list.status === 'failed') continue;
    if (list.status === 'live' || list.status === 'behind') isKnown = true;
    for (const object of list.items) {
      const state = health(kind.kind, object);
      if (state === undefined || state.tone === 'good' || isYoung(object, state)) continue;
      problems.push({ kind, object, health: state });
    }
  }
  const order = ['bad', 'unknown', 'warn', 'pending'];
  problems.sort((left, right) => order.indexOf(left.health.tone) - order.indexOf(right.health.tone));
  if (!isKnown) return null;
  if (problems.length === 0) {
    return (
      <Text size="sm" c="dimmed" mb="md">
        {t.fine}
      </Text>
    );
  }
  return (
    <div className={classes.problems}>
      <Section title={t.problems} count={problems.length}>
        <ul className={classes.list}>
          {problems.slice(0, PROBLEMS_MAX).map(({ kind, object, health: state }) => (
            <li key={object.metadata.uid}>
              <StatusBadge tone={state.tone} label={state.label} />
              <Anchor href={paths.object(kind, object.metadata.namespace, object.metadata.name)} size="sm" fw={600}>
                {object.metadata.name}
              </Anchor>
              <Text span size="xs" c="dimmed">
                {kind.kind}
                {object.metadata.namespace !== undefined && ` · ${object.metadata.namespace}`}
              </Text>
              <Text span size="xs" c="dimmed" truncate title={state.message} className={classes.reason}>
                {state.message}
              </Text>
              <Group gap={8} wrap="nowrap">
                <Text span size="xs" c="dimmed">
                  <When time={object.metadata.creationTimestamp} style="age" />
                </Text>
              </Group>
            </li>
          ))}
        </ul>
        {problems.length > PROBLEMS_MAX && (
          <Text size="xs" c="dimmed" mt={4}>
            {t.more(problems.length - PROBLEMS_MAX)}
          </Text>
        )}
      </Section>
    </div>
  );
}

/** What is still starting is no problem yet. */
function isYoung(object: KubernetesObject, state: Health): boolean {
  return state.tone === 'pending' && Date.now() - Date.parse(object.metadata.creationTimestamp) < 60_000;
}
