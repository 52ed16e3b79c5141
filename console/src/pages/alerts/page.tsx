// What fires now, in the groups in which people are told.
import { Anchor, Box, Button, CloseButton, Group, Paper, Pill, Stack, Switch, Text, TextInput } from '@mantine/core';
import { IconBellOff, IconHelp } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type Alert, type AlertGroup, groupsQuery, readMatcher, writeMatcher } from '../../api/alertmanager';
import { rulesQuery } from '../../api/prometheus';
import { useSession } from '../../api/session';
import { useTexts } from '../../i18n/texts';
import { useUrlValues } from '../../lib/url-state';
import { paths } from '../../paths';
import { Empty, Failed, Loading } from '../../ui/faces';
import { StatusBadge, toneColor } from '../../ui/status';
import { When } from '../../ui/when';
import { AlertsPage, expressionOf, LabelList, severityTone } from './frame';
import { texts } from './texts';

export function Component() {
  const t = useTexts(texts);
  const url = useUrlValues();
  const { rooms } = useSession();
  const filter = url.all('filter');
  const showsSilenced = url.get('silenced') === 'yes';
  const groups = useQuery(groupsQuery(filter));
  const rules = useQuery({ ...rulesQuery, enabled: rooms.prometheus !== undefined });
  const alerts = new Map(
    (groups.data ?? []).flatMap((group) => group.alerts).map((alert) => [alert.fingerprint, alert]),
  );
  const isLoud = (alert: Alert) => alert.status.state !== 'suppressed';
  const shown = (groups.data ?? [])
    .map((group) => ({ ...group, alerts: showsSilenced ? group.alerts : group.alerts.filter(isLoud) }))
    .filter((group) => group.alerts.length > 0)
    .toSorted((left, right) => worst(right) - worst(left));
  const allRules = (rules.data ?? []).flatMap((group) => group.rules);
  const pending = allRules.flatMap((rule) => (rule.alerts ?? []).filter((alert) => alert.state === 'pending'));
  const broken = allRules.filter((rule) => rule.health === 'err');
  const all = [...alerts.values()];
  return (
    <AlertsPage tab="groups">
      <Group gap="lg" mb="sm">
        <Count tone={all.some(isLoud) ? 'bad' : 'good'} count={all.filter(isLoud).length} word={t.firing} />
        <Count
          tone={pending.length > 0 ? 'warn' : 'unknown'}
          count={pending.length}
          word={t.pending}
          href={`${paths.alertRules()}?state=pending`}
        />
        <Count
          tone="unknown"
          count={all.filter((one) => one.status.silencedBy.length > 0).length}
          word={t.silenced}
          href={paths.silences()}
        />
        <Count
          tone="unknown"
          count={all.filter((one) => one.status.inhibitedBy.length > 0).length}
          word={t.inhibited}
        />
        {broken.length > 0 && (
          <Count tone="bad" count={broken.length} word={t.broken} href={`${paths.alertRules()}?state=err`} />
        )}
      </Group>
      <Group mb="sm" gap="sm">
        <Filter filter={filter} onChange={(next) => url.set({ filter: next })} />
        <Switch
          size="xs"
          label={t.showSilenced}
          checked={showsSilenced}
          onChange={(event) => url.set({ silenced: event.currentTarget.checked ? 'yes' : '' })}
        />
      </Group>
      {groups.isPending ? (
        <Loading />
      ) : groups.isError ? (
        <Failed error={groups.error} retry={() => void groups.refetch()} />
      ) : shown.length === 0 ? (
        <Empty
          title={filter.length > 0 ? t.quietFiltered : t.quiet}
          action={
            <Button component="a" href={paths.alertRules()} variant="default">
              {t.seeRules}
            </Button>
          }
        >
          {filter.length > 0 ? undefined : t.quietHint}
        </Empty>
      ) : (
        <Stack gap="sm">
          {shown.map((group) => (
            <GroupCard
              key={`${group.receiver.name} ${JSON.stringify(group.labels)}`}
              group={group}
              onPick={(name, value) => {
                const text = writeMatcher({ name, value, isRegex: false, isEqual: true });
                if (!filter.includes(text)) url.set({ filter: [...filter, text] });
              }}
            />
          ))}
        </Stack>
      )}
    </AlertsPage>
  );
}

const WEIGHT = { bad: 3, warn: 2, pending: 2, stale: 1, unknown: 1, good: 0 } as const;

function worst(group: AlertGroup): number {
  return Math.max(...group.alerts.map((alert) => WEIGHT[severityTone(alert.labels.severity)]));
}

function Count(props: { tone: 'good' | 'bad' | 'warn' | 'unknown'; count: number; word: string; href?: string }) {
  const content = (
    <Group gap={6} align="baseline" wrap="nowrap">
      <Text
        span
        fz="1.4rem"
        fw={700}
        lh={1}
        style={{ color: toneColor(props.tone), fontVariantNumeric: 'tabular-nums' }}
      >
        {props.count}
      </Text>
      <Text span size="sm" c="dimmed">
        {props.word}
      </Text>
    </Group>
  );
  return props.href === undefined ? (
    content
  ) : (
    <Anchor href={props.href} underline="hover" c="inherit">
      {content}
    </Anchor>
  );
}

function Filter(props: { filter: readonly string[]; onChange: (filter: string[]) => void }) {
  const t = useTexts(texts);
  const [draft, setDraft] = useState('');
  const [isWrong, setWrong] = useState(false);
  const add = () => {
    if (draft.trim() === '') return;
    const matcher = readMatcher(draft);
    setWrong(matcher === undefined);
    if (matcher === undefined) return;
    props.onChange([...props.filter.filter((one) => one !== writeMatcher(matcher)), writeMatcher(matcher)]);
    setDraft('');
  };
  return (
    <Group gap={6}>
      <TextInput
        size="xs"
        w={260}
        data-filter
        aria-label={t.filter}
        placeholder={`${t.filter}: ${t.filterHint}`}
        value={draft}
        error={isWrong ? t.filterWrong : undefined}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
          setWrong(false);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.nativeEvent.isComposing) add();
        }}
      />
      {props.filter.map((one) => (
        <Pill
          key={one}
          withRemoveButton
          removeButtonProps={{ 'aria-label': t.removeMatcher(one) }}
          onRemove={() => props.onChange(props.filter.filter((other) => other !== one))}
        >
          {one}
        </Pill>
      ))}
      {props.filter.length > 1 && <CloseButton size="sm" aria-label={t.cancel} onClick={() => props.onChange([])} />}
    </Group>
  );
}

function GroupCard(props: { group: AlertGroup; onPick: (name: string, value: string) => void }) {
  const t = useTexts(texts);
  const { group } = props;
  const names = Object.entries(group.labels).map(([name, value]) => `${name}=${value}`);
  const shared = Object.keys(group.labels);
  return (
    <Paper withBorder component="section" aria-label={names.join(', ') || t.ungrouped}>
      <Group px="sm" py={6} justify="space-between" gap="xs" style={{ borderBottom: '1px solid var(--maru-line)' }}>
        <Group gap={6}>
          {names.length === 0 ? (
            <Text size="sm" fw={600}>
              {t.ungrouped}
            </Text>
          ) : (
            <LabelList labels={group.labels} onPick={props.onPick} />
          )}
        </Group>
        <Text size="xs" c="dimmed">
          {group.alerts.length} · {t.to(group.receiver.name)}
        </Text>
      </Group>
      {group.alerts.map((alert) => (
        <AlertRow key={alert.fingerprint} alert={alert} shared={shared} onPick={props.onPick} />
      ))}
    </Paper>
  );
}

function AlertRow(props: { alert: Alert; shared: readonly string[]; onPick: (name: string, value: string) => void }) {
  const t = useTexts(texts);
  const { alert, shared } = props;
  const { rooms } = useSession();
  const name = alert.labels.alertname ?? alert.fingerprint;
  const { status } = alert;
  const severity = alert.labels.severity ?? t.firing;
  const quiet =
    status.silencedBy.length > 0
      ? t.silenced
      : status.inhibitedBy.length > 0
        ? t.inhibited
        : status.mutedBy.length > 0
          ? t.muted
          : undefined;
  const summary = alert.annotations.summary ?? alert.annotations.message ?? alert.annotations.description;
  const expression = expressionOf(alert.generatorURL);
  const matchers = Object.entries(alert.labels).map(([label, value]) =>
    writeMatcher({ name: label, value, isRegex: false, isEqual: true }),
  );
  return (
    <Group
      px="sm"
      py={6}
      gap="sm"
      wrap="wrap"
      align="flex-start"
      justify="space-between"
      role="group"
      aria-label={name}
    >
      <Group gap="sm" align="flex-start" flex={1} miw={260} wrap="nowrap">
        <Box w={110} flex="none" pt={2}>
          {quiet === undefined ? (
            <StatusBadge tone={severityTone(alert.labels.severity)} label={severity} />
          ) : (
            <StatusBadge tone="unknown" label={quiet} title={severity} />
          )}
        </Box>
        <Box miw={0}>
          <Anchor href={paths.alertTrace(alert.fingerprint)} fw={600} size="sm">
            {name}
          </Anchor>
          <Text size="xs" c="dimmed" span ml={8}>
            {t.since} <When time={alert.startsAt} />
          </Text>
          {summary !== undefined && <Text size="sm">{summary}</Text>}
          <Box mt={2}>
            <LabelList labels={alert.labels} without={['alertname', 'severity', ...shared]} onPick={props.onPick} />
          </Box>
        </Box>
      </Group>
      <Group gap={4}>
        <Button
          size="compact-xs"
          variant="default"
          component="a"
          href={paths.alertTrace(alert.fingerprint)}
          leftSection={<IconHelp size={13} aria-hidden />}
          aria-label={t.whyOf(name)}
        >
          {t.why}
        </Button>
        <Button
          size="compact-xs"
          variant="default"
          component="a"
          href={paths.silences(matchers.join('\n'))}
          leftSection={<IconBellOff size={13} aria-hidden />}
          aria-label={t.silenceOf(name)}
        >
          {t.silence}
        </Button>
        {expression !== undefined && rooms.prometheus !== undefined && (
          <Button size="compact-xs" variant="default" component="a" href={paths.explore(expression)}>
            {t.query}
          </Button>
        )}
      </Group>
    </Group>
  );
}
