// What happened to an object and to what it owns.
import { Anchor, Text } from '@mantine/core';
import { useMemo } from 'react';
import { type Kind, useKinds } from '../../api/discovery';
import { eventTime, type KubernetesEvent } from '../../api/kubernetes';
import { useObjects } from '../../api/objects';
import type { AnyObject, KubernetesObject } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import { useOwned } from './owned';
import { usePods } from './use-pods';

const texts = defineTexts(
  {
    label: 'Events',
    last: 'Last seen',
    type: 'Type',
    reason: 'Reason',
    object: 'Object',
    message: 'Message',
    count: 'Count',
    from: 'From',
    none: 'No events',
    noneHow: 'Events are kept for an hour. What happens from now on appears here.',
  },
  {
    label: '이벤트',
    last: '마지막 발생',
    type: '유형',
    reason: '원인',
    object: '객체',
    message: '내용',
    count: '횟수',
    from: '출처',
    none: '이벤트가 없습니다',
    noneHow: '이벤트는 한 시간 동안 보관됩니다. 앞으로 일어나는 일은 여기에 나타납니다.',
  },
);

export function EventsTab(props: { kind: Kind; object: AnyObject }) {
  const t = useTexts(texts);
  const filter = useUrlState('q');
  const sort = useUrlState('sort');
  const { events, status, error } = useEvents(props.kind, props.object);
  const kinds = useKinds();
  const columns: Column<KubernetesEvent>[] = [
    {
      id: 'last',
      title: t.last,
      width: '8.5rem',
      cell: (row) => <When time={eventTime(row)} />,
      value: (row) => -Date.parse(eventTime(row)),
    },
    {
      id: 'reason',
      title: t.reason,
      width: 'minmax(9rem, 1fr)',
      value: (row) => row.reason,
      cell: (row) =>
        row.type === 'Warning' ? (
          <StatusBadge tone="warn" label={row.reason ?? ''} title={t.type} />
        ) : (
          <span>{row.reason}</span>
        ),
    },
    {
      id: 'object',
      title: t.object,
      width: 'minmax(10rem, 1.4fr)',
      value: (row) => `${row.involvedObject.kind}/${row.involvedObject.name}`,
      cell: (row) => {
        const { apiVersion, kind, namespace, name = '' } = row.involvedObject;
        const target = kinds.of(apiVersion ?? 'v1', kind);
        const text = `${kind}/${name}`;
        return target === undefined ? (
          <span title={text}>{text}</span>
        ) : (
          <Anchor size="sm" href={paths.object(target, namespace, name)} title={text}>
            {text}
          </Anchor>
        );
      },
    },
    {
      id: 'message',
      title: t.message,
      width: 'minmax(16rem, 4fr)',
      value: (row) => row.message,
      cell: (row) => <span title={row.message}>{row.message}</span>,
    },
    {
      id: 'count',
      title: t.count,
      width: '4.5rem',
      align: 'right',
      value: (row) => row.series?.count ?? row.count ?? 1,
      cell: (row) => row.series?.count ?? row.count ?? 1,
    },
    {
      id: 'from',
      title: t.from,
      width: '8rem',
      value: (row) => row.reportingComponent || row.source?.component,
      cell: (row) => (
        <Text size="sm" c="dimmed" truncate>
          {row.reportingComponent || row.source?.component}
        </Text>
      ),
    },
  ];
  if (status === 'loading') return <Loading />;
  if (status === 'failed') return <Failed error={error} />;
  if (events.length === 0) return <Empty title={t.none}>{t.noneHow}</Empty>;
  return (
    <DataTable
      label={t.label}
      columns={columns}
      rows={events}
      rowKey={(row) => row.metadata.uid}
      filter={filter}
      sort={sort}
    />
  );
}

/** Events of an object and of all that it owns, the newest first. */
function useEvents(kind: Kind, object: AnyObject) {
  const kinds = useKinds();
  const namespace = object.metadata.namespace ?? (kind.kind === 'Namespace' ? object.metadata.name : 'default');
  const list = useObjects<KubernetesEvent>(kinds.find('events.'), { namespace });
  const owned = useOwned(kind, object);
  const pods = usePods(kind, object);
  const { uid, name } = object.metadata;
  const events = useMemo(() => {
    const own: KubernetesObject[] =
      kind.kind === 'Node' ? [] : [...owned.items.map((one) => one.object), ...pods.items];
    const uids = new Set([uid, ...own.map((one) => one.metadata.uid)]);
    return list.items
      .filter((event) => {
        const about = event.involvedObject;
        if (kind.kind === 'Namespace') return true;
        // Nodes are told of by their name.
        return (about.uid !== undefined && uids.has(about.uid)) || (about.kind === kind.kind && about.name === name);
      })
      .toSorted((left, right) => Date.parse(eventTime(right)) - Date.parse(eventTime(left)));
  }, [list.items, owned.items, pods.items, uid, name, kind.kind]);
  return { events, status: list.status, error: list.error };
}
