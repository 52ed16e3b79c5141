// All rules with what they say now; one opened tells why it fires, or not.
import { Alert, Button, Drawer, Group, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type Rule, rulesQuery } from '../../api/prometheus';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { useUrlValues } from '../../lib/url-state';
import { paths } from '../../paths';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { StatusBadge, type Tone } from '../../ui/status';
import { When } from '../../ui/when';
import { Explained } from './explained';
import { AlertsPage } from './frame';
import { texts } from './texts';

interface Row {
  key: string;
  rule: Rule;
  group: string;
  file: string;
}

const TONES: Record<string, Tone> = { firing: 'bad', pending: 'pending', inactive: 'good' };
const WEIGHTS: Record<string, number> = { firing: 0, pending: 1, inactive: 2 };

export function Component() {
  const t = useTexts(texts);
  const format = useFormat();
  const url = useUrlValues();
  const groups = useQuery(rulesQuery);
  const state = url.get('state');
  const showsRecording = url.get('recording') === 'yes' || state === 'err';
  const chosen = url.get('rule');
  const rows = (groups.data ?? [])
    .flatMap((group) =>
      group.rules.map(
        (rule, index): Row => ({
          key: `${group.file} ${group.name} ${index}`,
          rule,
          group: group.name,
          file: group.file,
        }),
      ),
    )
    .filter((row) => showsRecording || row.rule.type === 'alerting')
    .filter((row) => state === '' || row.rule.state === state || row.rule.health === state)
    .toSorted((left, right) => (WEIGHTS[left.rule.state ?? ''] ?? 3) - (WEIGHTS[right.rule.state ?? ''] ?? 3));
  const problems = (groups.data ?? []).flatMap((group) =>
    group.problem === undefined ? [] : [`${group.name}: ${group.problem}`],
  );
  const word = (rule: Rule) =>
    rule.state === 'firing'
      ? t.firing
      : rule.state === 'pending'
        ? t.pending
        : rule.state === 'inactive'
          ? t.inactive
          : '';
  const columns: Column<Row>[] = [
    {
      id: 'state',
      title: t.state,
      width: '7rem',
      cell: ({ rule }) =>
        rule.state === undefined ? '' : <StatusBadge tone={TONES[rule.state] ?? 'unknown'} label={word(rule)} />,
      value: ({ rule }) => word(rule),
    },
    {
      id: 'rule',
      title: t.rule,
      width: 'minmax(11rem, 1.3fr)',
      cell: ({ rule }) => <b title={rule.name}>{rule.name}</b>,
      value: ({ rule }) => rule.name,
    },
    {
      id: 'query',
      title: t.condition,
      width: 'minmax(14rem, 3fr)',
      cell: ({ rule }) => (
        <span style={{ fontFamily: 'var(--mantine-font-family-monospace)' }} title={rule.query}>
          {rule.query}
        </span>
      ),
      value: ({ rule }) => rule.query,
    },
    {
      id: 'for',
      title: t.for,
      width: '5rem',
      cell: ({ rule }) => (rule.duration === undefined || rule.duration === 0 ? '' : format.seconds(rule.duration)),
      value: ({ rule }) => rule.duration ?? 0,
    },
    {
      id: 'group',
      title: t.group,
      width: 'minmax(8rem, 1fr)',
      cell: (row) => <span title={row.file}>{row.group}</span>,
      value: (row) => row.group,
    },
    {
      id: 'health',
      title: t.health,
      width: '7rem',
      cell: ({ rule }) =>
        rule.health === 'err' ? (
          <StatusBadge tone="bad" label={t.failing} title={rule.lastError} />
        ) : rule.health === 'ok' ? (
          <When time={rule.lastEvaluation} style="age" />
        ) : (
          t.unknown
        ),
      value: ({ rule }) => rule.health,
    },
  ];
  return (
    <AlertsPage tab="rules">
      {problems.length > 0 && (
        <Alert color="red" mb="sm">
          {problems.map((problem) => (
            <Text key={problem} size="sm">
              {problem}
            </Text>
          ))}
        </Alert>
      )}
      {groups.isPending ? (
        <Loading />
      ) : groups.isError ? (
        <Failed error={groups.error} retry={() => void groups.refetch()} />
      ) : groups.data.length === 0 ? (
        <Empty
          title={t.noRules}
          action={
            <Button component="a" href={paths.rehearsal()}>
              {t.rehearse}
            </Button>
          }
          command="kubectl apply -f rules.yaml  # kind: PrometheusRule"
        >
          {t.noRulesHint}
        </Empty>
      ) : (
        <DataTable
          label={t.rules}
          columns={columns}
          rows={rows}
          rowKey={(row) => row.key}
          onRow={({ rule }) => rule.type === 'alerting' && url.set({ rule: rule.name }, 'push')}
          filter={[url.get('q'), (q) => url.set({ q })]}
          tools={
            <Group gap="sm">
              <Switch
                size="xs"
                label={t.recording}
                checked={showsRecording}
                onChange={(event) => url.set({ recording: event.currentTarget.checked ? 'yes' : '', state: '' })}
              />
              {state !== '' && (
                <Button size="compact-xs" variant="light" color="gray" onClick={() => url.set({ state: '' })}>
                  {state === 'err' ? t.failing : word({ state } as Rule)} ×
                </Button>
              )}
            </Group>
          }
        />
      )}
      <Drawer
        opened={chosen !== ''}
        onClose={() => url.set({ rule: '', labels: '' })}
        position="right"
        size="xl"
        title={`${t.explain}: ${chosen}`}
      >
        {chosen !== '' && (
          <Opened key={chosen} rule={chosen} labels={url.get('labels')} onLabels={(labels) => url.set({ labels })} />
        )}
      </Drawer>
    </AlertsPage>
  );
}

function Opened(props: { rule: string; labels: string; onLabels: (labels: string) => void }) {
  const t = useTexts(texts);
  const [draft, setDraft] = useState(props.labels);
  return (
    <Stack gap="sm">
      <TextInput
        size="xs"
        label={t.labels}
        placeholder={t.labelsHint}
        value={draft}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onBlur={() => props.onLabels(draft.trim())}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.nativeEvent.isComposing) props.onLabels(draft.trim());
        }}
      />
      <Explained rule={props.rule} labels={props.labels} />
    </Stack>
  );
}
