// How an object is, at a glance: state, conditions, containers, what it owns, what it is called and by whom it is owned.
import { Anchor, Spoiler, Text } from '@mantine/core';
import { type ReactNode, useMemo } from 'react';
import { type Kind, useKinds } from '../../api/discovery';
import type { Pod, Workload } from '../../api/kubernetes';
import type { AnyObject, Condition, OwnerReference } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { conditionTone } from '../../lib/health';
import { selectorText, templateOf } from '../../lib/workload';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { Facts, Section } from '../../ui/section';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import { Containers } from './containers';
import { ConfigMapData, SecretData } from './data';
import classes from './object.module.css';
import { ObjectLines, type Owned, useOwned } from './owned';
import { isSecret, usePods } from './use-pods';

const texts = defineTexts(
  {
    summary: 'Summary',
    namespace: 'Namespace',
    created: 'Created',
    owner: 'Owned by',
    labels: 'Labels',
    annotations: 'Annotations',
    none: 'none',
    showMore: 'Show all',
    showLess: 'Show less',
    conditions: 'Conditions',
    type: 'Type',
    status: 'Status',
    reason: 'Reason',
    message: 'Message',
    changed: 'Changed',
    owned: 'What it owns',
    pods: 'Pods',
    more: (count: number) => `and ${count} more`,
    image: 'Image',
    finalizers: 'Finalizers',
    deleting: 'Being deleted since',
    ports: 'Ports',
    port: 'Port',
    target: 'Target',
    name: 'Name',
    protocol: 'Protocol',
  },
  {
    summary: '요약',
    namespace: '네임스페이스',
    created: '생성',
    owner: '소유자',
    labels: '레이블',
    annotations: '주석',
    none: '없음',
    showMore: '모두 보기',
    showLess: '접기',
    conditions: '조건',
    type: '유형',
    status: '상태',
    reason: '원인',
    message: '내용',
    changed: '변경',
    owned: '소유한 객체',
    pods: '파드',
    more: (count: number) => `외 ${count}개`,
    image: '이미지',
    finalizers: '파이널라이저',
    deleting: '삭제 시작',
    ports: '포트',
    port: '포트',
    target: '대상',
    name: '이름',
    protocol: '프로토콜',
  },
);

export function Overview(props: { kind: Kind; object: AnyObject }) {
  const { kind, object } = props;
  const t = useTexts(texts);
  const kinds = useKinds();
  const owned = useOwned(kind, object);
  const pods = usePods(kind, object);
  const isPod = kind.group === '' && kind.kind === 'Pod';
  const podKind = kinds.find('pods.');
  const behind = useMemo(() => {
    const uids = new Set(owned.items.map((one) => one.object.metadata.uid));
    return isPod || podKind === undefined
      ? []
      : pods.items.filter((pod) => !uids.has(pod.metadata.uid)).map((pod): Owned => ({ kind: podKind, object: pod }));
  }, [owned.items, pods.items, isPod, podKind]);
  const template = templateOf(kind.kind, object as Workload);
  const conditions = (object.status?.conditions ?? []) as Condition[];
  return (
    <div className={classes.columns}>
      <div className={classes.stack}>
        {isPod && (
          <Containers
            spec={(object as unknown as Pod).spec}
            statuses={allStatuses(object as unknown as Pod)}
            pod={{ namespace: object.metadata.namespace ?? '', name: object.metadata.name }}
          />
        )}
        {kind.group === '' && kind.plural === 'configmaps' && <ConfigMapData object={object} />}
        {isSecret(kind) && <SecretData object={object} />}
        {kind.group === '' && kind.plural === 'services' && <ServicePorts object={object} />}
        {owned.items.length > 0 && (
          <Section title={t.owned} count={owned.items.length}>
            <ObjectLines items={owned.items} more={t.more} />
          </Section>
        )}
        {behind.length > 0 && (
          <Section title={t.pods} count={behind.length}>
            <ObjectLines items={behind} more={t.more} max={50} />
          </Section>
        )}
        {!isPod && template?.spec?.containers !== undefined && <Containers spec={template.spec} />}
        {conditions.length > 0 && <Conditions conditions={conditions} />}
      </div>
      <div className={classes.stack}>
        <Summary kind={kind} object={object} />
      </div>
    </div>
  );
}

function allStatuses(pod: Pod) {
  const status = pod.status ?? {};
  return [
    ...(status.containerStatuses ?? []),
    ...(status.initContainerStatuses ?? []),
    ...(status.ephemeralContainerStatuses ?? []),
  ];
}

function Conditions(props: { conditions: readonly Condition[] }) {
  const t = useTexts(texts);
  return (
    <Section title={t.conditions} count={props.conditions.length}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keys */}
      <div className={classes.scroll} tabIndex={0} role="group" aria-label={t.conditions}>
        <table className={classes.table}>
          <thead>
            <tr>
              <th>{t.type}</th>
              <th>{t.status}</th>
              <th>{t.reason}</th>
              <th>{t.message}</th>
              <th>{t.changed}</th>
            </tr>
          </thead>
          <tbody>
            {props.conditions.map((condition) => (
              <tr key={condition.type}>
                <td className={classes.tight}>{condition.type}</td>
                <td className={classes.tight}>
                  <StatusBadge tone={conditionTone(condition)} label={condition.status} />
                </td>
                <td>{condition.reason}</td>
                <td>{condition.message}</td>
                <td>
                  <When time={condition.lastTransitionTime} style="age" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

interface ServicePort {
  name?: string;
  port: number;
  targetPort?: number | string;
  nodePort?: number;
  protocol?: string;
}

function ServicePorts(props: { object: AnyObject }) {
  const t = useTexts(texts);
  const ports = (props.object.spec?.ports ?? []) as ServicePort[];
  if (ports.length === 0) return null;
  return (
    <Section title={t.ports} count={ports.length}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th>{t.name}</th>
            <th>{t.port}</th>
            <th>{t.target}</th>
            <th>NodePort</th>
            <th>{t.protocol}</th>
          </tr>
        </thead>
        <tbody>
          {ports.map((port) => (
            <tr key={`${port.port}/${port.protocol}`}>
              <td>{port.name}</td>
              <td>{port.port}</td>
              <td>{port.targetPort}</td>
              <td>{port.nodePort}</td>
              <td>{port.protocol}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  );
}

function Summary(props: { kind: Kind; object: AnyObject }) {
  const t = useTexts(texts);
  const { kind, object } = props;
  const { metadata } = object;
  return (
    <Section title={t.summary}>
      <Facts
        facts={[
          metadata.namespace === undefined
            ? undefined
            : [
                t.namespace,
                <Anchor key="namespace" size="sm" href={paths.workloads(metadata.namespace)}>
                  {metadata.namespace}
                </Anchor>,
              ],
          [t.created, <When key="created" time={metadata.creationTimestamp} />],
          metadata.deletionTimestamp === undefined
            ? undefined
            : [t.deleting, <When key="deleting" time={metadata.deletionTimestamp} />],
          metadata.ownerReferences && [
            t.owner,
            <Owners key="owners" references={metadata.ownerReferences} namespace={metadata.namespace} />,
          ],
          ...details(kind, object),
          [t.labels, <Labels key="labels" values={metadata.labels} none={t.none} />],
          [
            t.annotations,
            <Spoiler
              key="annotations"
              maxHeight={90}
              showLabel={t.showMore}
              hideLabel={t.showLess}
              styles={{ control: { fontSize: 'var(--mantine-font-size-xs)' } }}
            >
              <Labels values={metadata.annotations} none={t.none} />
            </Spoiler>,
          ],
          metadata.finalizers && [t.finalizers, metadata.finalizers.join(', ')],
          [
            'UID',
            <span key="uid" className={classes.value}>
              {metadata.uid} <Copy value={metadata.uid} />
            </span>,
          ],
        ]}
      />
    </Section>
  );
}

function Labels(props: { values: Record<string, string> | undefined; none: string }) {
  const entries = Object.entries(props.values ?? {});
  if (entries.length === 0)
    return (
      <Text span inherit c="dimmed">
        {props.none}
      </Text>
    );
  return (
    <div className={classes.labels}>
      {entries.map(([key, value]) => (
        <span key={key} className={classes.label} title={`${key}=${value}`}>
          {key}={value.length > 90 ? `${value.slice(0, 90)}…` : value}
        </span>
      ))}
    </div>
  );
}

function Owners(props: { references: readonly OwnerReference[]; namespace: string | undefined }) {
  const kinds = useKinds();
  return props.references.map((reference) => {
    const kind = kinds.of(reference.apiVersion, reference.kind);
    const text = `${reference.kind}/${reference.name}`;
    if (kind === undefined) return <span key={reference.uid}>{text}</span>;
    return (
      <div key={reference.uid}>
        <Anchor size="sm" href={paths.object(kind, kind.namespaced ? props.namespace : undefined, reference.name)}>
          {text}
        </Anchor>
      </div>
    );
  });
}

type Fact = readonly [string, ReactNode];

/** What a kind's own fields say, by the names that the API gives them. */
function details(kind: Kind, object: AnyObject): Fact[] {
  const facts: Fact[] = [];
  const spec = object.spec ?? {};
  const status = object.status ?? {};
  const add = (name: string, value: unknown) => {
    if (value === undefined || value === null || value === '') return;
    facts.push([name, typeof value === 'object' ? JSON.stringify(value) : String(value)]);
  };
  const link = (name: string, target: { group: string; plural: string }, value: unknown, namespace?: string) => {
    if (typeof value !== 'string' || value === '') return;
    facts.push([
      name,
      <Anchor key={name} size="sm" href={paths.object(target, namespace, value)}>
        {value}
      </Anchor>,
    ]);
  };
  const { namespace } = object.metadata;
  switch (kind.kind) {
    case 'Pod':
      link('node', { group: '', plural: 'nodes' }, spec.nodeName);
      add('podIP', status.podIP);
      add('qosClass', status.qosClass);
      link('serviceAccount', { group: '', plural: 'serviceaccounts' }, spec.serviceAccountName, namespace);
      add('restartPolicy', spec.restartPolicy);
      break;
    case 'Service':
      add('type', spec.type);
      add('clusterIP', spec.clusterIP);
      add('selector', selectorText({ matchLabels: (spec.selector ?? {}) as Record<string, string> }));
      break;
    case 'Node': {
      const info = (status.nodeInfo ?? {}) as Record<string, string>;
      add('kubelet', info.kubeletVersion);
      add('osImage', info.osImage);
      add('runtime', info.containerRuntimeVersion);
      for (const [name, value] of Object.entries((status.allocatable ?? {}) as Record<string, string>))
        add(name, value);
      break;
    }
    case 'CronJob':
      add('schedule', spec.schedule);
      add('timeZone', spec.timeZone);
      add('concurrencyPolicy', spec.concurrencyPolicy);
      if (typeof status.lastScheduleTime === 'string') {
        facts.push(['lastScheduleTime', <When key="last" time={status.lastScheduleTime} />]);
      }
      break;
    case 'PersistentVolumeClaim':
      link('volume', { group: '', plural: 'persistentvolumes' }, spec.volumeName);
      add('storageClass', spec.storageClassName);
      add('capacity', (status.capacity as Record<string, string> | undefined)?.storage);
      add('accessModes', (spec.accessModes as string[] | undefined)?.join(', '));
      break;
    case 'Secret':
      add('type', object.type);
      break;
    default: {
      if (spec.replicas !== undefined) {
        add('replicas', `${(status.readyReplicas as number | undefined) ?? 0}/${String(spec.replicas)}`);
      }
      const strategy = (spec.strategy ?? spec.updateStrategy) as { type?: string } | undefined;
      add('strategy', strategy?.type);
      if (typeof spec.selector === 'object' && spec.selector !== null && 'matchLabels' in spec.selector) {
        add('selector', selectorText(spec.selector as Parameters<typeof selectorText>[0]));
      }
    }
  }
  return facts;
}
