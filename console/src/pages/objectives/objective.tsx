// One objective: verdict with interval, budget and how fast it burns, its windows, and where it comes from.
import { Alert, Anchor, Button, Code, Group, List, Paper, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useMemo } from 'react';
import { useParams } from 'react-router';
import { useKinds } from '../../api/discovery';
import type { Judged, ServiceLevelObjective, TargetStatus } from '../../api/maru';
import { useObject } from '../../api/objects';
import { useSession } from '../../api/session';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { toMs } from '../../lib/format';
import { chooseStep, fixedRange, type Span, type TimeRange } from '../../lib/time-range';
import { useUrlValues } from '../../lib/url-state';
import { useSpan } from '../../lib/use-span';
import { paths } from '../../paths';
import { useChangeMarks } from '../../ui/change-marks';
import type { ChartMark } from '../../ui/chart/chart';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { QueryChart } from '../../ui/query-chart';
import { TimeRangePicker, useLength } from '../../ui/time-range';
import { OutcomeBadge } from '../../ui/verdict';
import { Budget } from './budget';
import { queriesOf, requirementOf, selectorOf, windowOf } from './model';
import classes from './objectives.module.css';
import { IntervalOf, targetText } from './page';
import { texts } from './texts';

export function Component() {
  const t = useTexts(texts);
  const { namespace = '', name = '' } = useParams();
  const kinds = useKinds();
  const objective = useObject<ServiceLevelObjective>(kinds.find('servicelevelobjectives.maru.dev'), namespace, name);
  if (objective.status === 'loading') return <Loading />;
  if (objective.status === 'failed') return <Failed error={objective.error} />;
  if (objective.item === undefined) {
    return (
      <Empty
        title={t.gone(name)}
        action={
          <Button component="a" href={paths.objectives()}>
            {t.title}
          </Button>
        }
      />
    );
  }
  return <Shown objective={objective.item} />;
}

function Shown(props: { objective: ServiceLevelObjective }) {
  const t = useTexts(texts);
  const format = useFormat();
  const local = useLocalText();
  const length = useLength();
  const url = useUrlValues();
  const kinds = useKinds();
  const { rooms } = useSession();
  const { metadata, spec, status } = props.objective;
  const namespace = metadata.namespace ?? '';
  const range: TimeRange = { from: url.get('from', 'now-6h'), to: url.get('to', 'now') };
  const refresh = url.get('refresh', '30s');
  const { span, reload } = useSpan(range, refresh === 'off' ? '' : refresh, format.zone);
  const marks = useChangeMarks(
    span,
    rooms.prometheus !== undefined,
    `slo=${JSON.stringify(metadata.name)},slo_namespace=${JSON.stringify(namespace)}`,
  );
  const kind = kinds.find('servicelevelobjectives.maru.dev');
  const ruleKind = kinds.find('prometheusrules.monitoring.coreos.com');
  const requirement = requirementOf(props.objective);
  const window = windowOf(spec);
  const zoom = (start: number, end: number) => url.set({ ...fixedRange({ start, end }) }, 'push');
  return (
    <Page
      title={metadata.name}
      crumbs={[{ label: t.title, href: paths.objectives() }]}
      badge={<OutcomeBadge outcome={status?.outcome} title={local(status?.reason)} />}
      actions={
        <>
          {rooms.alertmanager !== undefined && (
            <Button
              size="xs"
              variant="default"
              component="a"
              href={`${paths.alerts()}?filter=${encodeURIComponent(`slo=${JSON.stringify(metadata.name)}`)}`}
            >
              {t.alerts}
            </Button>
          )}
          {status?.rules !== undefined && ruleKind !== undefined && (
            <Button size="xs" variant="default" component="a" href={paths.object(ruleKind, namespace, status.rules)}>
              {t.rules}
            </Button>
          )}
          {kind !== undefined && (
            <Button
              size="xs"
              variant="default"
              component="a"
              href={paths.object(kind, namespace, metadata.name, 'yaml')}
            >
              {t.yaml}
            </Button>
          )}
        </>
      }
    >
      <Stack gap="md">
        <div>
          {spec.description !== undefined && <Text>{spec.description}</Text>}
          <Group gap="md">
            {spec.service !== undefined && (
              <Text size="sm" c="dimmed">
                {t.service}: {spec.service}
              </Text>
            )}
            {window !== undefined && (
              <Text size="sm" c="dimmed">
                {t.window}:{' '}
                {window.zone === undefined
                  ? t.rolling(length(window.length))
                  : t.calendar(length(window.length), window.zone)}
              </Text>
            )}
            {requirement !== undefined && (
              <Text size="sm" c="dimmed">
                {t.requirement}: <Anchor href={paths.requirement(namespace, requirement)}>{requirement}</Anchor>
              </Text>
            )}
          </Group>
        </div>
        {(status?.problems ?? []).length > 0 && (
          <Alert color="red" title={t.problems}>
            <List size="sm">
              {(status?.problems ?? []).map((problem) => (
                <List.Item key={problem}>{problem}</List.Item>
              ))}
            </List>
          </Alert>
        )}
        {(status?.targets ?? []).map((target) => (
          <Target
            key={target.name}
            target={target}
            isOnly={status?.targets?.length === 1}
            hoursLeft={status?.hoursLeft}
          />
        ))}
        {rooms.prometheus === undefined ? (
          <Text size="sm" c="dimmed">
            {t.noMetrics}
          </Text>
        ) : (
          span !== undefined && (
            <section aria-label={t.charts}>
              <Group justify="space-between" mb="xs">
                <Title order={2} fz="h3">
                  {t.charts}
                </Title>
                <TimeRangePicker
                  range={range}
                  span={span}
                  onChange={(next) => url.set({ from: next.from, to: next.to }, 'push')}
                  refresh={refresh === 'off' ? '' : refresh}
                  onRefresh={(every) => url.set({ refresh: every === '' ? 'off' : every })}
                  onReload={reload}
                />
              </Group>
              <Stack gap="xs">
                {(status?.targets ?? []).map((target) => (
                  <Charts
                    key={target.name}
                    namespace={namespace}
                    name={metadata.name}
                    target={target}
                    span={span}
                    marks={marks}
                    onSpan={zoom}
                    isRolling={window?.zone === undefined}
                  />
                ))}
              </Stack>
            </section>
          )
        )}
        <section aria-label={t.indicator}>
          <Title order={2} fz="h3" mb={4}>
            {t.indicator}
          </Title>
          <Stack gap={4}>
            {queriesOf(spec.indicator ?? spec.objectives).map((query) => (
              <Group key={query} gap="xs" wrap="nowrap">
                <Code style={{ overflowWrap: 'anywhere' }}>{query}</Code>
                {rooms.prometheus !== undefined && (
                  <Anchor size="xs" href={paths.explore(query)}>
                    →
                  </Anchor>
                )}
              </Group>
            ))}
          </Stack>
        </section>
      </Stack>
    </Page>
  );
}

function Target(props: { target: TargetStatus; isOnly: boolean; hoursLeft: number | undefined }) {
  const t = useTexts(texts);
  const format = useFormat();
  const local = useLocalText();
  const { target } = props;
  return (
    <Paper withBorder p="sm" component="section" aria-label={target.name}>
      <Group gap="sm" mb={4}>
        {!props.isOnly && (
          <Title order={2} fz="h3">
            {target.name}
          </Title>
        )}
        <Text fw={600}>
          {t.target} {targetText(target.target, format)}
          {target.threshold !== undefined && ` ${t.within(format.seconds(target.threshold))}`}
        </Text>
        {target.note !== undefined && (
          <Text size="sm" c="var(--maru-warn)">
            {local(target.note)}
          </Text>
        )}
      </Group>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="lg">
        <Window title={t.current} judged={target.current} target={target.target} hoursLeft={props.hoursLeft} />
        {target.closed !== undefined && (
          <Window title={t.closed} judged={target.closed} target={target.target} hoursLeft={undefined} />
        )}
      </SimpleGrid>
    </Paper>
  );
}

function Window(props: { title: string; judged: Judged; target: number; hoursLeft: number | undefined }) {
  const t = useTexts(texts);
  const format = useFormat();
  const local = useLocalText();
  const { judged, hoursLeft } = props;
  return (
    <Stack gap={6}>
      <Group gap="xs">
        <Text fw={600} size="sm">
          {props.title}
        </Text>
        <OutcomeBadge outcome={judged.outcome} />
        <Text size="xs" c="dimmed">
          {format.dateTime(judged.from)} – {format.dateTime(judged.to)}
        </Text>
      </Group>
      <Text size="sm">{local(judged.reason)}</Text>
      {judged.ratio !== undefined && (
        <Group gap="md">
          <IntervalOf judged={judged} target={props.target} width={260} />
          <Text size="xs" c="dimmed">
            {targetText(judged.low, format)} – {targetText(judged.high, format)}{' '}
            {t.confidence(format.percent(judged.confidence))}
          </Text>
        </Group>
      )}
      {judged.budgetLeft !== undefined && (
        <Group gap="xs">
          <Text size="sm">{judged.budgetLeft < 0 ? t.budgetOver : t.budget}</Text>
          <Budget left={judged.budgetLeft} width={180} />
          {hoursLeft !== undefined && judged.budgetLeft > 0 && (
            <Text size="xs" c="dimmed">
              {t.goneInHours(format.seconds(hoursLeft * 3600))}
            </Text>
          )}
        </Group>
      )}
      <Pieces judged={judged} target={props.target} />
    </Stack>
  );
}

function Pieces(props: { judged: Judged; target: number }) {
  const t = useTexts(texts);
  const format = useFormat();
  const { blocks, from, to } = props.judged;
  if (blocks.length < 2) return null;
  const start = toMs(from) ?? 0;
  const each = ((toMs(to) ?? start) - start) / blocks.length;
  return (
    <div className={classes.pieces} role="img" aria-label={t.pieces} title={t.pieces}>
      {blocks.map(([good, total], index) => (
        <span
          // biome-ignore lint/suspicious/noArrayIndexKey: a piece is its place
          key={index}
          data-kept={total === 0 ? 'none' : good / total >= props.target ? 'kept' : 'missed'}
          title={t.piece(format.dateTime(start + index * each), good, total)}
        />
      ))}
    </div>
  );
}

function Charts(props: {
  namespace: string;
  name: string;
  target: TargetStatus;
  span: Span;
  marks: readonly ChartMark[];
  onSpan: (start: number, end: number) => void;
  isRolling: boolean;
}) {
  const t = useTexts(texts);
  const { target, span } = props;
  const selector = selectorOf(props.namespace, props.name, target.name);
  const budget = 1 - target.target;
  const queries = useMemo(
    () => ({
      burn: [
        { query: `slo:error_ratio:increase1h${selector} / ${budget}`, legend: t.burnHour },
        { query: `slo:error_ratio:increase1d${selector} / ${budget}`, legend: t.burnDay },
      ],
      left: [{ query: `slo:budget_left:ratio${selector}`, legend: t.left }],
      share: [{ query: `slo:good:rate5m${selector} / (slo:total:rate5m${selector} > 0)`, legend: t.share }],
      events: [{ query: `slo:total:rate5m${selector}`, legend: t.events }],
    }),
    [selector, budget, t],
  );
  const shared = {
    span,
    step: chooseStep(span.end - span.start, 240, 15),
    marks: props.marks,
    onSpan: props.onSpan,
    syncKey: `objective ${props.namespace}/${props.name}`,
    height: 170,
  };
  return (
    <div className={classes.charts}>
      <Titled title={t.burn} hint={t.burnHint}>
        <QueryChart
          {...shared}
          label={t.burn}
          queries={queries.burn}
          min={0}
          thresholds={[{ value: 1, label: t.burnOne, color: 'orange' }]}
        />
      </Titled>
      {props.isRolling && (
        <Titled title={t.left}>
          <QueryChart
            {...shared}
            label={t.left}
            queries={queries.left}
            unit="ratio"
            max={1}
            thresholds={[{ value: 0, color: 'red' }]}
            draw="area"
          />
        </Titled>
      )}
      <Titled title={t.share}>
        <QueryChart
          {...shared}
          label={t.share}
          queries={queries.share}
          unit="ratio"
          max={1}
          thresholds={[{ value: target.target, label: t.target, color: 'red' }]}
        />
      </Titled>
      <Titled title={t.events}>
        <QueryChart {...shared} label={t.events} queries={queries.events} unit="ops/s" min={0} />
      </Titled>
    </div>
  );
}

function Titled(props: { title: string; hint?: string; children: React.ReactNode }) {
  return (
    <Paper withBorder p="xs">
      <Group gap={6} align="baseline">
        <Text size="sm" fw={600}>
          {props.title}
        </Text>
        {props.hint !== undefined && (
          <Text size="xs" c="dimmed">
            {props.hint}
          </Text>
        )}
      </Group>
      {props.children}
    </Paper>
  );
}
