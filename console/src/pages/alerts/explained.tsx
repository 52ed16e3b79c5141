// A rule's half of "why": its conditions with their values, its alerts, and the last hours as a chart.
import { Code, Group, List, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Explanation, explainQuery } from '../../api/prometheus';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { writeSeries } from '../../lib/series';
import { chooseStep } from '../../lib/time-range';
import { formatValue, guessUnit } from '../../lib/units';
import { useSpan } from '../../lib/use-span';
import { Failed, Loading } from '../../ui/faces';
import { QueryChart } from '../../ui/query-chart';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import { LabelList } from './frame';
import { texts } from './texts';

const LAST_HOURS = { from: 'now-3h', to: 'now' };
const SERIES_SHOWN = 20;

export function Explained(props: { rule: string; labels: string; isQuiet?: boolean }) {
  const answer = useQuery(explainQuery(props.rule, props.labels));
  if (answer.isPending) return <Loading />;
  if (answer.isError) return <Failed error={answer.error} retry={() => void answer.refetch()} />;
  return (
    <Stack gap="lg">
      {answer.data.map((one) => (
        <One key={`${one.file} ${one.group} ${one.rule.query}`} explanation={one} />
      ))}
    </Stack>
  );
}

function One(props: { explanation: Explanation }) {
  const t = useTexts(texts);
  const format = useFormat();
  const local = useLocalText();
  const { explanation } = props;
  const { span } = useSpan(LAST_HOURS, '1m', format.zone);
  return (
    <Stack gap="sm">
      <div>
        <Code block style={{ whiteSpace: 'pre-wrap' }}>
          {explanation.rule.query}
        </Code>
        <Text size="xs" c="dimmed" mt={4}>
          {explanation.group} · {explanation.file} · {t.lastEvaluation}:{' '}
          {explanation.evaluatedAt === null ? t.unknown : <When time={explanation.evaluatedAt} />}
          {(explanation.rule.duration ?? 0) > 0 && ` · ${t.for} ${format.seconds(explanation.rule.duration ?? 0)}`}
        </Text>
      </div>
      <section aria-label={t.reasons}>
        <List size="sm" spacing={2}>
          {explanation.reasons.map((reason) => (
            <List.Item key={local(reason)}>{local(reason)}</List.Item>
          ))}
        </List>
      </section>
      <Text fw={600} size="sm">
        {t.conditions}
      </Text>
      {explanation.conditions.map((condition) => {
        const series = Array.isArray(condition.series) ? condition.series : [];
        const unit = guessUnit(condition.expression);
        const threshold = typeof condition.threshold === 'number' ? condition.threshold : undefined;
        return (
          <div key={condition.expression}>
            <Code>
              {condition.expression}
              {condition.operator !== undefined && ` ${condition.operator} ${condition.threshold}`}
            </Code>
            {condition.error !== undefined && (
              <Text size="sm" c="var(--maru-bad)">
                {condition.error}
              </Text>
            )}
            {series.length > 0 && (
              <Table fz="xs" verticalSpacing={2} mt={4}>
                <Table.Tbody>
                  {series.slice(0, SERIES_SHOWN).map((one) => (
                    <Table.Tr key={writeSeries(one.labels)}>
                      <Table.Td ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                        {writeSeries(one.labels)}
                      </Table.Td>
                      <Table.Td ta="right" fw={600} style={{ whiteSpace: 'nowrap' }}>
                        {typeof one.value === 'number' ? formatValue(one.value, unit, format) : one.value}
                      </Table.Td>
                      <Table.Td w={170}>
                        {one.holds !== undefined && (
                          <StatusBadge tone={one.holds ? 'bad' : 'good'} label={one.holds ? t.holds : t.holdsNot} />
                        )}
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            )}
            {span !== undefined && (
              <Condition
                expression={condition.expression}
                threshold={threshold}
                span={span}
                rule={explanation.rule.name}
                unit={unit}
              />
            )}
          </div>
        );
      })}
      {explanation.alerts.length > 0 && (
        <section aria-label={t.alertsOf}>
          <Text fw={600} size="sm" mb={4}>
            {t.alertsOf}
          </Text>
          <Stack gap={6}>
            {explanation.alerts.map((alert) => (
              <Group key={writeSeries(alert.labels)} gap="xs">
                <StatusBadge
                  tone={alert.state === 'firing' ? 'bad' : alert.state === 'pending' ? 'pending' : 'unknown'}
                  label={alert.state === 'firing' ? t.firing : alert.state === 'pending' ? t.pending : t.resolved}
                />
                <LabelList labels={alert.labels} without={['alertname']} />
                <Text size="xs" c="dimmed">
                  {t.since} <When time={alert.activeAt} />
                  {alert.state === 'pending' && ` · ${t.firesIn(format.seconds(alert.remainingForSeconds))}`}
                  {alert.sends.map(
                    (send) =>
                      ` · ${send.sent ? t.told(send.alertmanager) : t.toldNot(send.alertmanager)}${send.error ? `: ${send.error}` : ''}`,
                  )}
                </Text>
              </Group>
            ))}
          </Stack>
        </section>
      )}
    </Stack>
  );
}

function Condition(props: {
  expression: string;
  threshold: number | undefined;
  span: { start: number; end: number };
  rule: string;
  unit: string;
}) {
  const t = useTexts(texts);
  const { expression, threshold, span } = props;
  const queries = useMemo(() => [{ query: expression }], [expression]);
  const thresholds = useMemo(() => (threshold === undefined ? [] : [{ value: threshold, color: 'red' }]), [threshold]);
  return (
    <QueryChart
      label={`${t.history}: ${expression}`}
      queries={queries}
      span={span}
      step={chooseStep(span.end - span.start, 240, 15)}
      unit={props.unit}
      thresholds={thresholds}
      height={150}
    />
  );
}
