// The objective that a check names, as it is now: share of good events over time, its budget, the pieces of its window.
import { Anchor, Group, SegmentedControl, Text } from '@mantine/core';
import { lazy, Suspense, useMemo } from 'react';
import { useKinds } from '../../api/discovery';
import type { Judged, Requirement, ServiceLevelObjective, TargetStatus } from '../../api/maru';
import { useObjects } from '../../api/objects';
import { useSession } from '../../api/session';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useFormat, useNow } from '../../i18n/use-format';
import { toMs } from '../../lib/format';
import { measuredText } from '../../lib/spine';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { Loading } from '../../ui/faces';
import { Section } from '../../ui/section';
import { OutcomeBadge } from '../../ui/verdict';
import classes from './requirement.module.css';
import { texts } from './texts';

const QueryChart = lazy(async () => ({ default: (await import('../../ui/query-chart')).QueryChart }));

/** Objectives that a requirement is checked by, or that say that they are about it. */
export function objectivesOf(requirement: Requirement, all: readonly ServiceLevelObjective[]): string[] {
  const { name } = requirement.metadata;
  const named = (requirement.spec.verify ?? []).flatMap((check) => check.slo ?? []);
  const about = all
    .filter(({ metadata }) =>
      ['maru.dev/derived-from', 'maru.dev/requirement'].some((key) => metadata.annotations?.[key] === name),
    )
    .map((one) => one.metadata.name);
  return [...new Set([...named, ...about])];
}

export function Objectives(props: { requirement: Requirement }) {
  const t = useTexts(texts);
  const namespace = props.requirement.metadata.namespace ?? '';
  const all = useObjects<ServiceLevelObjective>(useKinds().find('servicelevelobjectives.maru.dev'), { namespace });
  return objectivesOf(props.requirement, all.items).map((name) => {
    const objective = all.items.find((one) => one.metadata.name === name);
    return (
      <Section
        key={name}
        id={`objective-${name}`}
        title={`${t.objective} ${name}`}
        tools={
          <Anchor size="xs" href={paths.objective(namespace, name)}>
            {t.open}
          </Anchor>
        }
      >
        {objective ? (
          <Objective objective={objective} />
        ) : (
          <Text size="sm" c="dimmed">
            {all.status === 'loading' ? '…' : t.noObjective(name)}
          </Text>
        )}
      </Section>
    );
  });
}

function Objective(props: { objective: ServiceLevelObjective }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const { rooms } = useSession();
  const { metadata, status } = props.objective;
  return (
    <>
      {(status?.problems ?? []).map((problem) => (
        <Text key={problem} size="sm" c="var(--maru-bad)">
          {problem}
        </Text>
      ))}
      {(status?.targets ?? []).map((target) => (
        <div key={target.name}>
          <Group gap={8} mb={4}>
            <OutcomeBadge outcome={target.current.outcome} />
            <Text size="sm">{local(target.current.reason)}</Text>
          </Group>
          <Budget judged={target.current} hoursLeft={status?.hoursLeft} />
          {rooms.prometheus === undefined ? (
            <Text size="xs" c="dimmed">
              {t.noMetrics}
            </Text>
          ) : (
            <ShareChart namespace={metadata.namespace ?? ''} name={metadata.name} target={target} />
          )}
          <Pieces judged={target.current} target={target.target} />
        </div>
      ))}
      {status?.targets === undefined && status?.problems === undefined && (
        <Text size="sm" c="dimmed">
          {local(status?.reason)}
        </Text>
      )}
    </>
  );
}

function Budget(props: { judged: Judged; hoursLeft: number | undefined }) {
  const t = useTexts(texts);
  const format = useFormat();
  const { budgetLeft, good, total } = props.judged;
  const left = budgetLeft ?? 0;
  const color =
    budgetLeft === undefined
      ? 'var(--maru-unknown)'
      : left <= 0
        ? 'var(--maru-bad)'
        : left < 0.25
          ? 'var(--maru-warn)'
          : 'var(--maru-good)';
  return (
    <>
      <Group gap={8} justify="space-between">
        <Text size="xs">
          {left < 0 ? t.budgetOver : t.budget}:{' '}
          <Text span inherit fw={700} c={color}>
            {budgetLeft === undefined ? '—' : format.percent(left, 1)}
          </Text>
          {props.hoursLeft !== undefined && left > 0 && (
            <Text span inherit c="dimmed">
              {' '}
              · {t.hoursLeft(format.number(props.hoursLeft, 1))}
            </Text>
          )}
        </Text>
        <Text size="xs" c="dimmed">
          {t.good(format.number(good, 0), format.number(total, 0))}
        </Text>
      </Group>
      <div
        role="meter"
        aria-label={t.budget}
        aria-valuemin={0}
        aria-valuemax={1}
        aria-valuenow={Math.max(0, Math.min(1, left))}
        className={classes.meter}
      >
        <div style={{ width: `${Math.max(0, Math.min(1, left)) * 100}%`, background: color }} />
      </div>
    </>
  );
}

const RANGES: Record<string, number> = { '1h': 3_600, '6h': 21_600, '1d': 86_400, '7d': 604_800 };

function ShareChart(props: { namespace: string; name: string; target: TargetStatus }) {
  const t = useTexts(texts);
  const now = useNow();
  const [range, setRange] = useUrlState('range', '6h');
  const seconds = RANGES[range] ?? 21_600;
  const step = Math.max(15, Math.ceil(seconds / 300 / 15) * 15);
  // A new question each step, not each second.
  const end = Math.floor(now / 1_000 / step) * step;
  const span = useMemo(() => ({ start: end - seconds, end }), [end, seconds]);
  const { namespace, name, target } = props;
  const queries = useMemo(() => {
    const selector = `{slo=${JSON.stringify(name)},slo_namespace=${JSON.stringify(namespace)},objective=${JSON.stringify(target.name)}}`;
    return [{ query: `slo:good:rate5m${selector} / (slo:total:rate5m${selector} > 0)`, legend: t.share }];
  }, [name, namespace, target.name, t]);
  return (
    <div style={{ marginTop: '0.5rem' }}>
      <Group justify="space-between" mb={4}>
        <Text size="xs" c="dimmed">
          {t.share} · {t.target} {measuredText(target.target, 'ratio')}
        </Text>
        <SegmentedControl
          size="xs"
          aria-label={t.range}
          value={range in RANGES ? range : '6h'}
          onChange={setRange}
          data={Object.keys(RANGES)}
        />
      </Group>
      <Suspense fallback={<Loading />}>
        <QueryChart
          label={`${t.share}: ${name}`}
          queries={queries}
          span={span}
          step={step}
          unit="ratio"
          height={180}
          max={1}
          legend="none"
          thresholds={[{ value: target.target, label: t.target, color: 'red' }]}
        />
      </Suspense>
    </div>
  );
}

/** The window in its pieces: kept, missed, or without events. */
function Pieces(props: { judged: Judged; target: number }) {
  const t = useTexts(texts);
  const format = useFormat();
  const { blocks, from, to } = props.judged;
  const start = toMs(from) ?? 0;
  const length = ((toMs(to) ?? start) - start) / Math.max(blocks.length, 1);
  if (blocks.length < 2) return null;
  return (
    <>
      <div className={classes.pieces} role="img" aria-label={t.pieces}>
        {blocks.map(([good, total], index) => {
          const at = format.dateTime(start + index * length);
          const kept = total === 0 ? 'none' : good / total >= props.target ? 'kept' : 'missed';
          // biome-ignore lint/suspicious/noArrayIndexKey: a piece is its place
          return <span key={index} data-kept={kept} title={t.piece(at, good, total)} />;
        })}
      </div>
      <Group justify="space-between">
        <Text size="xs" c="dimmed">
          {format.dateTime(from)}
        </Text>
        <Text size="xs" c="dimmed">
          {format.dateTime(to)}
        </Text>
      </Group>
    </>
  );
}
