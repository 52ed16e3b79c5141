// "Why was I (not) paged?": the way of one alert, from its arrival to the answer of the receiver.
import { Anchor, Button, Group, List, Alert as Notice, Paper, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { type Trace, traceQuery, writeMatcher } from '../../api/alertmanager';
import { ApiError } from '../../api/http';
import { useSession } from '../../api/session';
import { useTexts } from '../../i18n/texts';
import { useFormat, useNow } from '../../i18n/use-format';
import { writeSeries } from '../../lib/series';
import { paths } from '../../paths';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import { Explained } from './explained';
import { LabelList } from './frame';
import { texts } from './texts';

export function Component() {
  const t = useTexts(texts);
  const { fingerprint = '' } = useParams();
  const trace = useQuery(traceQuery(fingerprint));
  if (trace.isPending) return <Loading />;
  if (trace.isError) {
    if (trace.error instanceof ApiError && trace.error.status === 404) {
      return (
        <Empty
          title={t.forgotten}
          action={
            <Button component="a" href={paths.alerts()}>
              {t.title}
            </Button>
          }
        >
          {t.forgottenHint}
        </Empty>
      );
    }
    return <Failed error={trace.error} retry={() => void trace.refetch()} />;
  }
  return <Shown trace={trace.data} />;
}

export type Cause =
  | { kind: 'told'; receiver: string; at: string }
  | { kind: 'silenced'; by: string; comment: string }
  | { kind: 'inhibited'; by: string }
  | { kind: 'muted'; times: string }
  | { kind: 'waiting'; until: string }
  | { kind: 'noIntegration'; receiver: string }
  | { kind: 'failed'; integration: string; answer: string };

/** In short: who was told when, and what kept others from being told. Pure. */
export function causes(trace: Trace): Cause[] {
  const found: Cause[] = [];
  const deliveries = trace.decisions.flatMap((decision) =>
    decision.integrations.filter((one) => one.delivered).map((one) => ({ receiver: one.integration, at: decision.at })),
  );
  const told = new Map<string, string>();
  for (const { receiver, at } of deliveries) if (!told.has(receiver)) told.set(receiver, at);
  for (const [receiver, at] of told) found.push({ kind: 'told', receiver, at });
  for (const one of trace.silencedBy) found.push({ kind: 'silenced', by: one.createdBy, comment: one.comment });
  if (trace.inhibitedBy !== null) {
    found.push({
      kind: 'inhibited',
      by: trace.inhibitedBy.labels === null ? trace.inhibitedBy.by : writeSeries(trace.inhibitedBy.labels),
    });
  }
  for (const route of trace.routes) {
    if (route.mutedBy.length > 0) found.push({ kind: 'muted', times: route.mutedBy.join(', ') });
    if (route.integrations.length === 0) found.push({ kind: 'noIntegration', receiver: route.receiver });
    else if (route.isWaiting && route.nextFlush !== null) found.push({ kind: 'waiting', until: route.nextFlush });
  }
  const last = trace.decisions.at(-1);
  for (const one of last?.integrations ?? []) {
    const answer = one.attempts.at(-1)?.answer;
    if (one.sends && !one.delivered && !one.isUnderWay && answer !== undefined) {
      found.push({ kind: 'failed', integration: one.integration, answer });
    }
  }
  return found;
}

function Shown(props: { trace: Trace }) {
  const t = useTexts(texts);
  const format = useFormat();
  const now = useNow();
  const { rooms } = useSession();
  const { trace } = props;
  const name = trace.labels.alertname ?? trace.fingerprint;
  const found = causes(trace);
  const isTold = found.some((one) => one.kind === 'told');
  const sentence = (cause: Cause): string => {
    switch (cause.kind) {
      case 'told':
        return t.wasTold(cause.receiver, format.relative(cause.at, now));
      case 'silenced':
        return t.becauseSilenced(cause.by, cause.comment);
      case 'inhibited':
        return t.becauseInhibited(cause.by);
      case 'muted':
        return t.becauseMuted(cause.times);
      case 'waiting':
        return t.waiting(format.time(cause.until));
      case 'noIntegration':
        return t.becauseNoIntegration(cause.receiver);
      case 'failed':
        return t.becauseFailed(cause.integration, cause.answer);
    }
  };
  const matchers = Object.entries(trace.labels).map(([label, value]) =>
    writeMatcher({ name: label, value, isRegex: false, isEqual: true }),
  );
  return (
    <Page
      title={t.traceTitle(name)}
      crumbs={[{ label: t.title, href: paths.alerts() }]}
      badge={
        <StatusBadge
          tone={trace.status === 'firing' ? 'bad' : 'good'}
          label={trace.status === 'firing' ? t.firing : t.resolved}
        />
      }
      actions={
        <Button size="xs" variant="default" component="a" href={paths.silences(matchers.join('\n'))}>
          {t.silence}
        </Button>
      }
    >
      <Stack gap="md">
        <LabelList labels={trace.labels} />
        <Notice
          color="gray"
          variant="light"
          title={isTold ? undefined : t.wasNot}
          styles={{ title: { color: 'var(--maru-warn)' } }}
        >
          <List size="sm">
            {found.map((cause) => (
              <List.Item key={JSON.stringify(cause)}>{sentence(cause)}</List.Item>
            ))}
            {found.length === 0 && <List.Item>{t.noDecisions}</List.Item>}
          </List>
        </Notice>
        <Group gap="xl">
          <Fact label={t.startsAt}>
            <When time={trace.startsAt} />
          </Fact>
          <Fact label={t.updatedAt}>
            <When time={trace.updatedAt} />
          </Fact>
          {trace.status === 'resolved' && (
            <Fact label={t.endsAt}>
              <When time={trace.endsAt} />
            </Fact>
          )}
        </Group>
        {Object.keys(trace.annotations).length > 0 && (
          <Paper withBorder p="sm">
            <Title order={2} mb={4} fz="h3">
              {t.annotations}
            </Title>
            {Object.entries(trace.annotations).map(([label, text]) => (
              <Text key={label} size="sm">
                <Text span c="dimmed" size="sm">
                  {label}:{' '}
                </Text>
                {/^https?:\/\/\S+$/.test(text) ? (
                  <Anchor href={text} rel="noreferrer" target="_blank">
                    {text}
                  </Anchor>
                ) : (
                  text
                )}
              </Text>
            ))}
          </Paper>
        )}
        <Paper withBorder p="sm">
          <Title order={2} mb={4} fz="h3">
            {t.route}
          </Title>
          <Table fz="sm" verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t.receiver}</Table.Th>
                <Table.Th>{t.route}</Table.Th>
                <Table.Th>{t.group}</Table.Th>
                <Table.Th>{t.nextFlush}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {trace.routes.map((route) => (
                <Table.Tr key={route.path + route.receiver}>
                  <Table.Td fw={600}>{route.receiver}</Table.Td>
                  <Table.Td ff="monospace">{route.path}</Table.Td>
                  <Table.Td>
                    <LabelList labels={route.groupLabels} />
                  </Table.Td>
                  <Table.Td>{route.nextFlush === null ? '—' : <When time={route.nextFlush} />}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Paper>
        <Paper withBorder p="sm">
          <Title order={2} mb={4} fz="h3">
            {t.decisions}
          </Title>
          {trace.decisions.length === 0 ? (
            <Text size="sm" c="dimmed">
              {t.noDecisions}
            </Text>
          ) : (
            <Decisions trace={trace} />
          )}
        </Paper>
        {rooms.prometheus !== undefined && trace.labels.alertname !== undefined && (
          <Paper withBorder p="sm">
            <Title order={2} mb={4} fz="h3">
              {t.ruleHalf}
            </Title>
            <Explained rule={trace.labels.alertname} labels={ruleLabels(trace)} isQuiet />
          </Paper>
        )}
      </Stack>
    </Page>
  );
}

/** The labels that tell this alert from others of its rule. */
function ruleLabels(trace: Trace): string {
  return Object.entries(trace.labels)
    .filter(([name]) => name !== 'alertname')
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',');
}

function Fact(props: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <Text size="xs" c="dimmed">
        {props.label}
      </Text>
      <Text size="sm" component="div">
        {props.children}
      </Text>
    </div>
  );
}

function Decisions(props: { trace: Trace }) {
  const t = useTexts(texts);
  const format = useFormat();
  const rows = props.trace.decisions
    .toReversed()
    .flatMap((decision) =>
      decision.integrations.map((one) => ({ decision, one, key: `${decision.at} ${one.integration}` })),
    );
  return (
    <Table fz="sm" verticalSpacing={4}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{t.at}</Table.Th>
          <Table.Th>{t.integration}</Table.Th>
          <Table.Th>{t.decision}</Table.Th>
          <Table.Th>{t.answers}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map(({ decision, one, key }) => (
          <Table.Tr key={key}>
            <Table.Td style={{ whiteSpace: 'nowrap' }}>
              {format.dateTime(decision.at)}
              {decision.times > 1 && (
                <Text size="xs" c="dimmed">
                  {t.times(decision.times, format.time(decision.lastAt))}
                </Text>
              )}
            </Table.Td>
            <Table.Td>{one.integration}</Table.Td>
            <Table.Td>
              <Group gap={6}>
                {one.sends ? (
                  <StatusBadge
                    tone={one.delivered ? 'good' : one.isUnderWay ? 'pending' : 'bad'}
                    label={one.delivered ? t.delivered : t.notDelivered}
                  />
                ) : (
                  <StatusBadge tone="unknown" label={t.notSent} />
                )}
                <Text size="sm" span>
                  {one.reason}
                </Text>
              </Group>
            </Table.Td>
            <Table.Td>
              {one.attempts.map((attempt) => (
                <Text key={attempt.at} size="xs">
                  {format.time(attempt.at)} {attempt.answer}
                </Text>
              ))}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
