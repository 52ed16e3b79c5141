// One object of any kind: how it is, its YAML, its events, and what its pods say and do.
import { Button, Tabs, Text } from '@mantine/core';
import { lazy, Suspense } from 'react';
import { useParams } from 'react-router';
import { useCan } from '../../api/access';
import { type Kind, useKinds } from '../../api/discovery';
import type { AnyObject } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { health } from '../../lib/health';
import { useUrlState } from '../../lib/url-state';
import { namespaceOf, paths, resourceName } from '../../paths';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { StatusBadge } from '../../ui/status';
import { ObjectActions } from './actions';
import { EventsTab } from './events';
import { HistoryTab, hasHistory } from './history';
import { LogsTab } from './logs';
import { Overview } from './overview';
import { hasPods, usePageObject } from './use-pods';

const YamlTab = lazy(async () => ({ default: (await import('./yaml')).YamlTab }));
const TerminalTab = lazy(async () => ({ default: (await import('./terminal')).TerminalTab }));

const texts = defineTexts(
  {
    workloads: 'Workloads',
    overview: 'Overview',
    yaml: 'YAML',
    logs: 'Logs',
    terminal: 'Terminal',
    events: 'Events',
    history: 'History',
    behind: 'Not up to date: the connection is lost.',
    gone: (kind: string, name: string) => `There is no ${kind} “${name}”`,
    goneHow: 'It may have been deleted, or its name is different.',
    list: (kind: string) => `Show all of kind ${kind}`,
    noKind: (name: string) => `The server has no “${name}”`,
  },
  {
    workloads: '워크로드',
    overview: '개요',
    yaml: 'YAML',
    logs: '로그',
    terminal: '터미널',
    events: '이벤트',
    history: '이력',
    behind: '연결이 끊겨 최신이 아닙니다.',
    gone: (kind: string, name: string) => `${kind} “${name}”이(가) 없습니다`,
    goneHow: '삭제되었거나 이름이 다를 수 있습니다.',
    list: (kind: string) => `모든 ${kind} 보기`,
    noKind: (name: string) => `서버에 “${name}” 종류가 없습니다`,
  },
);

export function Component() {
  const t = useTexts(texts);
  const { resource = '', namespace, name = '' } = useParams();
  const kind = useKinds().find(resource);
  if (kind === undefined) {
    return (
      <Page title={name} crumbs={[{ label: t.workloads, href: paths.workloads() }]}>
        <Empty title={t.noKind(resource)} />
      </Page>
    );
  }
  return <ObjectPage kind={kind} namespace={namespaceOf(namespace)} name={name} />;
}

function ObjectPage(props: { kind: Kind; namespace: string | undefined; name: string }) {
  const { kind, namespace, name } = props;
  const t = useTexts(texts);
  const { item, status, error } = usePageObject(kind, namespace, name);
  const crumbs = [
    { label: t.workloads, href: paths.workloads() },
    ...(namespace === undefined ? [] : [{ label: namespace, href: paths.workloads(namespace) }]),
    { label: kind.kind, href: paths.kind(kind, namespace) },
  ];
  if (item === undefined) {
    return (
      <Page title={name} crumbs={crumbs}>
        {status === 'loading' && <Loading />}
        {status === 'failed' && <Failed error={error} />}
        {(status === 'live' || status === 'behind') && (
          <Empty
            title={t.gone(kind.kind, name)}
            action={
              <Button component="a" variant="default" href={paths.kind(kind, namespace)}>
                {t.list(kind.kind)}
              </Button>
            }
          >
            {t.goneHow}
          </Empty>
        )}
      </Page>
    );
  }
  const state = health(kind.kind, item);
  return (
    <Page
      title={name}
      crumbs={crumbs}
      badge={
        <>
          {state !== undefined && <StatusBadge tone={state.tone} label={state.label} title={state.message} />}
          {status === 'behind' && (
            <Text size="xs" c="dimmed" role="status">
              {t.behind}
            </Text>
          )}
        </>
      }
      actions={<ObjectActions kind={kind} object={item} />}
    >
      <ObjectTabs kind={kind} object={item} />
    </Page>
  );
}

function ObjectTabs(props: { kind: Kind; object: AnyObject }) {
  const { kind, object } = props;
  const t = useTexts(texts);
  const kinds = useKinds();
  const [tab, setTab] = useUrlState('tab', 'overview');
  const pods = kinds.find('pods.');
  const { namespace, name } = object.metadata;
  const withPods = hasPods(kind, object);
  const isPod = kind.group === '' && kind.kind === 'Pod';
  const named = { namespace: kind.kind === 'Node' ? undefined : namespace, name: isPod ? name : undefined };
  const mayLog = useCan(withPods && pods ? { verb: 'get', kind: pods, subresource: 'log', ...named } : undefined);
  const mayExec = useCan(withPods && pods ? { verb: 'create', kind: pods, subresource: 'exec', ...named } : undefined);
  const events = kinds.find('events.');
  const mayEvents = useCan(events && { verb: 'list', kind: events, namespace });
  const tabs = [
    { id: 'overview', label: t.overview, panel: () => <Overview kind={kind} object={object} /> },
    { id: 'yaml', label: t.yaml, panel: () => <YamlTab kind={kind} object={object} /> },
    mayLog === true && { id: 'logs', label: t.logs, panel: () => <LogsTab kind={kind} object={object} /> },
    mayExec === true && { id: 'terminal', label: t.terminal, panel: () => <TerminalTab kind={kind} object={object} /> },
    mayEvents === true && { id: 'events', label: t.events, panel: () => <EventsTab kind={kind} object={object} /> },
    hasHistory(kind) && { id: 'history', label: t.history, panel: () => <HistoryTab kind={kind} object={object} /> },
  ].filter((one) => one !== false);
  return (
    <Tabs
      value={tabs.some((one) => one.id === tab) ? tab : 'overview'}
      onChange={(value) => setTab(value ?? 'overview')}
      keepMounted={false}
      key={resourceName(kind)}
    >
      <Tabs.List mb="sm">
        {tabs.map((one) => (
          <Tabs.Tab key={one.id} value={one.id}>
            {one.label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {tabs.map((one) => (
        <Tabs.Panel key={one.id} value={one.id}>
          <Suspense fallback={<Loading />}>{one.panel()}</Suspense>
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}
