// Containers with how they are, their ports, images and resources; and, of a template, what they will be.
import { Anchor, Group, Text } from '@mantine/core';
import type { Container, ContainerState, ContainerStatus, PodSpec } from '../../api/kubernetes';
import { defineTexts, useTexts } from '../../i18n/texts';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { Facts, Section } from '../../ui/section';
import { StatusBadge, type Tone } from '../../ui/status';
import { When } from '../../ui/when';
import classes from './object.module.css';

const texts = defineTexts(
  {
    title: 'Containers',
    init: 'init',
    sidecar: 'sidecar',
    ephemeral: 'ephemeral',
    image: 'Image',
    ports: 'Ports',
    requests: 'Requests',
    limits: 'Limits',
    none: 'none',
    command: 'Command',
    restarts: (count: number) => `${count} restarts`,
    last: 'Last end',
    since: 'since',
    logs: 'Logs',
    terminal: 'Terminal',
    message: 'Message',
  },
  {
    title: '컨테이너',
    init: '초기화',
    sidecar: '사이드카',
    ephemeral: '임시',
    image: '이미지',
    ports: '포트',
    requests: '요청량',
    limits: '한도',
    none: '없음',
    command: '명령',
    restarts: (count: number) => `재시작 ${count}회`,
    last: '마지막 종료',
    since: '시작',
    logs: '로그',
    terminal: '터미널',
    message: '메시지',
  },
);

export function Containers(props: {
  spec: PodSpec;
  /** Of a pod; absent for a template. */
  statuses?: readonly ContainerStatus[];
  pod?: { namespace: string; name: string };
}) {
  const t = useTexts(texts);
  const { containers, initContainers = [], ephemeralContainers = [] } = props.spec;
  const all = [
    ...containers.map((container) => ({ container, role: undefined })),
    ...initContainers.map((container) => ({
      container,
      role: container.restartPolicy === 'Always' ? t.sidecar : t.init,
    })),
    ...ephemeralContainers.map((container) => ({ container, role: t.ephemeral })),
  ];
  return (
    <Section title={t.title} count={all.length}>
      {all.map(({ container, role }) => (
        <div key={container.name} className={classes.container}>
          <ContainerPart
            container={container}
            role={role}
            status={props.statuses?.find((one) => one.name === container.name)}
            pod={props.pod}
          />
        </div>
      ))}
    </Section>
  );
}

function ContainerPart(props: {
  container: Container;
  role: string | undefined;
  status: ContainerStatus | undefined;
  pod: { namespace: string; name: string } | undefined;
}) {
  const t = useTexts(texts);
  const { container, status, pod } = props;
  const state = status && stateOf(status);
  const ended = status?.lastState?.terminated;
  const command = [...(container.command ?? []), ...(container.args ?? [])].join(' ');
  const pods = { group: '', plural: 'pods' };
  const link = (tab: 'logs' | 'terminal', parameter: string) =>
    pod &&
    `${paths.object(pods, pod.namespace, pod.name, tab)}&${parameter}=${encodeURIComponent(`${pod.name}/${container.name}`)}`;
  return (
    <>
      <div className={classes.containerHead}>
        <Text fw={600} size="sm">
          {container.name}
        </Text>
        {props.role !== undefined && (
          <Text size="xs" c="dimmed">
            {props.role}
          </Text>
        )}
        {state !== undefined && <StatusBadge tone={state.tone} label={state.label} title={state.message} />}
        {status !== undefined && status.restartCount > 0 && (
          <Text size="xs" fw={600} c="var(--maru-warn)">
            {t.restarts(status.restartCount)}
          </Text>
        )}
        {status?.state?.running?.startedAt !== undefined && (
          <Text size="xs" c="dimmed">
            {t.since} <When time={status.state.running.startedAt} />
          </Text>
        )}
        {pod !== undefined && (
          <Group gap="sm" ml="auto">
            <Anchor size="xs" href={link('logs', 'containers')}>
              {t.logs}
            </Anchor>
            {status?.state?.running !== undefined && (
              <Anchor size="xs" href={link('terminal', 'container')}>
                {t.terminal}
              </Anchor>
            )}
          </Group>
        )}
      </div>
      <Facts
        facts={[
          [
            t.image,
            <Group key="image" gap={4} wrap="nowrap">
              <span className={classes.value}>{container.image}</span>
              <Copy value={container.image ?? ''} />
            </Group>,
          ],
          container.ports && [
            t.ports,
            container.ports
              .map((port) => `${port.name ? `${port.name} ` : ''}${port.containerPort}/${port.protocol ?? 'TCP'}`)
              .join(', '),
          ],
          [t.requests, quantities(container.resources?.requests) ?? t.none],
          [t.limits, quantities(container.resources?.limits) ?? t.none],
          command === ''
            ? undefined
            : [
                t.command,
                <pre key="command" className={classes.value}>
                  {command}
                </pre>,
              ],
          state?.message === undefined ? undefined : [t.message, state.message],
          ended === undefined
            ? undefined
            : [
                t.last,
                <span key="last">
                  {ended.reason ?? ''} ({ended.exitCode}) <When time={ended.finishedAt} />
                  {ended.message ? ` — ${ended.message}` : ''}
                </span>,
              ],
        ]}
      />
    </>
  );
}

function quantities(values: Record<string, string> | undefined): string | undefined {
  const parts = Object.entries(values ?? {}).map(([name, value]) => `${name} ${value}`);
  return parts.length === 0 ? undefined : parts.join(', ');
}

function stateOf(status: ContainerStatus): { tone: Tone; label: string; message: string | undefined } {
  const { waiting, running, terminated } = status.state ?? ({} as ContainerState);
  if (terminated !== undefined) {
    const label = terminated.reason ?? `ExitCode:${terminated.exitCode}`;
    return { tone: terminated.exitCode === 0 ? 'good' : 'bad', label, message: terminated.message };
  }
  if (running !== undefined) {
    return { tone: status.ready ? 'good' : 'warn', label: status.ready ? 'Running' : 'NotReady', message: undefined };
  }
  const reason = waiting?.reason ?? 'Waiting';
  const isFine = ['ContainerCreating', 'PodInitializing', 'Waiting'].includes(reason);
  return { tone: isFine ? 'pending' : 'bad', label: reason, message: waiting?.message };
}
