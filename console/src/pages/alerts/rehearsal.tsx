// Rules tried on what was recorded, before they are saved.
import { Alert, Box, Button, Group, Paper, Stack, Table, Text, TextInput } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { parse } from 'yaml';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import { createObject } from '../../api/objects';
import { type Rehearsal, rehearse } from '../../api/prometheus';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import type { TimeRange } from '../../lib/time-range';
import { useUrlValues } from '../../lib/url-state';
import { useSpan } from '../../lib/use-span';
import { paths } from '../../paths';
import { Failed, Loading } from '../../ui/faces';
import { TimeRangePicker } from '../../ui/time-range';
import classes from './alerts.module.css';
import { AlertsPage } from './frame';
import { lanes, template } from './rehearsal-model';
import { texts } from './texts';

const YamlEditor = lazy(async () => ({ default: (await import('../../ui/editor/yaml-editor')).YamlEditor }));

export function Component() {
  const t = useTexts(texts);
  const format = useFormat();
  const url = useUrlValues();
  const [rules, setRules] = useState(() => template(url.get('expr')));
  const range: TimeRange = { from: url.get('from', 'now-1d'), to: url.get('to', 'now') };
  const { span, reload } = useSpan(range, '', format.zone);
  const run = useMutation({
    mutationFn: () => {
      if (span === undefined) throw new Error(`${range.from} – ${range.to}`);
      return rehearse(rules, { start: Math.floor(span.start), end: Math.floor(span.end) });
    },
  });
  return (
    <AlertsPage
      tab="rehearsal"
      actions={
        <TimeRangePicker
          range={range}
          span={span}
          onChange={(next) => url.set({ from: next.from, to: next.to })}
          refresh=""
          onRefresh={() => {}}
          onReload={reload}
        />
      }
    >
      <Stack gap="sm">
        <Text size="sm" c="dimmed">
          {t.rehearsalHint}
        </Text>
        <Suspense fallback={<Loading />}>
          <YamlEditor
            label={t.ruleFile}
            value={rules}
            onChange={setRules}
            onSubmit={() => run.mutate()}
            height="17rem"
          />
        </Suspense>
        <Group gap="xs">
          <Button
            size="xs"
            leftSection={<IconPlayerPlay size={14} aria-hidden />}
            loading={run.isPending}
            disabled={span === undefined}
            onClick={() => run.mutate()}
          >
            {t.rehearse}
          </Button>
          <SaveRule rules={rules} />
        </Group>
        {run.isError && <Failed error={run.error} />}
        {run.data !== undefined && <Outcome rehearsal={run.data} />}
      </Stack>
    </AlertsPage>
  );
}

function Outcome(props: { rehearsal: Rehearsal }) {
  const t = useTexts(texts);
  const format = useFormat();
  const { rehearsal } = props;
  const found = lanes(rehearsal);
  return (
    <Paper withBorder p="sm">
      <Stack gap="sm">
        <Text fw={600} role="status">
          {t.wouldFire(rehearsal.alerts.length)} {rehearsal.truncated && t.truncated}
        </Text>
        <Table fz="sm" verticalSpacing={4} aria-label={t.rules}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t.rule}</Table.Th>
              <Table.Th ta="right">{t.firings}</Table.Th>
              <Table.Th ta="right">{t.firingFor}</Table.Th>
              <Table.Th ta="right">{t.pendingOnly}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rehearsal.rules.map((rule) => (
              <Table.Tr key={`${rule.group} ${rule.name}`}>
                <Table.Td>
                  <b>{rule.name}</b>
                  {rule.error !== null && (
                    <Text size="xs" c="var(--maru-bad)">
                      {rule.error}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td ta="right">{rule.firings}</Table.Td>
                <Table.Td ta="right">{format.seconds(rule.firingSeconds)}</Table.Td>
                <Table.Td ta="right">{rule.pendingOnly}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
        {found.length > 0 && (
          <figure aria-label={t.timeline} className={classes.lanes}>
            <Group justify="space-between">
              <Text size="xs" c="dimmed">
                {format.dateTime(rehearsal.from)}
              </Text>
              <Text size="xs" c="dimmed">
                {format.dateTime(rehearsal.to)}
              </Text>
            </Group>
            {found.slice(0, 40).map((lane) => (
              <div key={`${lane.name} ${lane.labels}`} className={classes.lane}>
                <Text size="xs" truncate title={`${lane.name} ${lane.labels}`}>
                  <b>{lane.name}</b> {lane.labels}
                </Text>
                <div className={classes.track}>
                  {lane.bars.map((bar) => (
                    <Box
                      key={bar.from}
                      className={classes.bar}
                      style={{ left: `${bar.from * 100}%`, width: `max(2px, ${(bar.to - bar.from) * 100}%)` }}
                    />
                  ))}
                </div>
              </div>
            ))}
          </figure>
        )}
        {rehearsal.alerts.length > 0 && (
          <Table.ScrollContainer minWidth={500} mah={320}>
            <Table fz="xs" verticalSpacing={2} stickyHeader aria-label={t.alert}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t.begin}</Table.Th>
                  <Table.Th>{t.end}</Table.Th>
                  <Table.Th>{t.alert}</Table.Th>
                  <Table.Th ta="right">{t.value}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rehearsal.alerts.slice(0, 200).map((alert) => (
                  <Table.Tr key={`${alert.startsAt} ${JSON.stringify(alert.labels)}`}>
                    <Table.Td>{format.dateTime(alert.startsAt)}</Table.Td>
                    <Table.Td>{alert.endsAt === null ? t.ongoing : format.dateTime(alert.endsAt)}</Table.Td>
                    <Table.Td>
                      <b>{alert.labels.alertname}</b> {alert.annotations.summary}
                    </Table.Td>
                    <Table.Td ta="right">{format.number(Number(alert.value))}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Stack>
    </Paper>
  );
}

/** The rules as an object, where the kind is there and the user may make it. */
function SaveRule(props: { rules: string }) {
  const t = useTexts(texts);
  const kinds = useKinds();
  const kind = kinds.find('prometheusrules.monitoring.coreos.com');
  const [name, setName] = useState('');
  const [namespace, setNamespace] = useState('default');
  const mayCreate = useCan(kind && { verb: 'create', kind, namespace });
  const save = useMutation({
    mutationFn: async () => {
      if (kind === undefined) return;
      await createObject(kind, namespace, {
        apiVersion: `${kind.group}/${kind.version}`,
        kind: kind.kind,
        metadata: { name, namespace },
        spec: parse(props.rules) as object,
      });
    },
  });
  if (kind === undefined || mayCreate !== true) return null;
  return (
    <Group gap="xs">
      <TextInput
        size="xs"
        w={130}
        aria-label={t.namespace}
        value={namespace}
        onChange={(event) => setNamespace(event.currentTarget.value)}
      />
      <TextInput
        size="xs"
        w={150}
        aria-label={t.name}
        placeholder={t.name}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <Button size="xs" variant="default" loading={save.isPending} disabled={name === ''} onClick={() => save.mutate()}>
        {t.saveRule}
      </Button>
      {save.isSuccess && (
        <Text size="xs" component="a" href={paths.object(kind, namespace, name)}>
          {t.saved(name)}
        </Text>
      )}
      {save.isError && (
        <Alert color="red" p={6} role="alert">
          {save.error.message}
        </Alert>
      )}
    </Group>
  );
}
