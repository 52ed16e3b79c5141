// What each check came to over time: values with their bounds beside the line that is asked for, and when the words changed.
import { Group, Text } from '@mantine/core';
import type { Evidence, Requirement } from '../../api/maru';
import { useTexts } from '../../i18n/texts';
import { useFormat, useNow } from '../../i18n/use-format';
import { toMs } from '../../lib/format';
import { type Bound, boundOf, checkLabel, checkName, measuredText } from '../../lib/spine';
import { paths } from '../../paths';
import { Section } from '../../ui/section';
import { toneColor } from '../../ui/status';
import { outcomeTone, useSpineWord } from '../../ui/verdict';
import classes from './requirement.module.css';
import { texts } from './texts';
import { history, type Point } from './thread';

/** More points than this are drawn over each other. */
const POINTS_MAX = 200;
const HEIGHT_PX = 76;

export function History(props: { requirement: Requirement; evidence: readonly Evidence[] }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const format = useFormat();
  const now = useNow();
  const { spec, status, metadata } = props.requirement;
  const lanes = (spec.verify ?? [])
    .map((check, index) => {
      const name = checkName(check);
      const came = status?.checks?.find((one) => one.check === index);
      const points = history(props.evidence, metadata.name, status?.fingerprint, name, came);
      return { label: `${word(name.means)} ${checkLabel(name)}`, points: points.slice(-POINTS_MAX) };
    })
    .filter((lane) => lane.points.length > 0);
  if (lanes.length === 0) {
    return (
      <Section title={t.history} id="history">
        <Text size="sm" c="dimmed">
          {t.noHistory}
        </Text>
      </Section>
    );
  }
  const changes = (status?.changed ?? []).flatMap((at) => toMs(at) ?? []);
  const times = [...lanes.flatMap((lane) => lane.points.map((point) => point.at)), ...changes];
  const from = Math.min(...times);
  const span = Math.max(now - from, 60_000);
  const place = (at: number) => `${1.5 + ((at - from) / span) * 97}%`;
  return (
    <Section title={t.history} id="history">
      {lanes.map((lane) => (
        <div key={lane.label}>
          <Group justify="space-between" gap="xs">
            <Text size="xs" fw={600}>
              {lane.label}
            </Text>
            <Text size="xs" c="dimmed">
              {t.points(lane.points.length)}
            </Text>
          </Group>
          <Lane
            points={lane.points}
            bound={boundAt(lane.points, props.requirement)}
            changes={changes}
            place={place}
            namespace={metadata.namespace ?? ''}
          />
        </div>
      ))}
      <Group justify="space-between">
        <Text size="xs" c="dimmed">
          {format.dateTime(from)}
        </Text>
        <Text size="xs" c="dimmed">
          {t.now}
        </Text>
      </Group>
    </Section>
  );
}

function boundAt(points: readonly Point[], requirement: Requirement): Bound | undefined {
  const last = points.findLast((point) => point.measured.value !== undefined);
  return last && boundOf(requirement.spec.criterion, last.measured);
}

function Lane(props: {
  points: readonly Point[];
  bound: Bound | undefined;
  changes: readonly number[];
  place: (at: number) => string;
  namespace: string;
}) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const format = useFormat();
  const { points, bound, place } = props;
  const values = points.flatMap(({ measured }) =>
    [measured.value, measured.low, measured.high].filter((value) => value !== undefined),
  );
  const y = scale(bound ? [...values, bound.value] : values);
  return (
    <svg width="100%" height={HEIGHT_PX} className={classes.lane} style={{ display: 'block', overflow: 'visible' }}>
      <title>{t.history}</title>
      <line x1="0" x2="100%" y1={HEIGHT_PX - 4} y2={HEIGHT_PX - 4} stroke="var(--maru-line)" />
      {props.changes.map((at) => (
        <line
          key={at}
          x1={place(at)}
          x2={place(at)}
          y1={0}
          y2={HEIGHT_PX - 4}
          stroke="var(--maru-warn)"
          strokeDasharray="2 3"
        >
          <title>{`${t.reworded}: ${format.dateTime(at)}`}</title>
        </line>
      ))}
      {bound !== undefined && (
        <line
          x1="0"
          x2="100%"
          y1={y(bound.value)}
          y2={y(bound.value)}
          stroke="currentColor"
          strokeDasharray="4 3"
          opacity={0.6}
        >
          <title>{`${t.asked}: ${bound.side === 'atLeast' ? '≥' : '≤'} ${measuredText(bound.value, points.at(-1)?.measured.unit)}`}</title>
        </line>
      )}
      {points.map(({ at, measured, evidence, outcome, current }) => {
        const color = toneColor(outcomeTone(outcome));
        const center = measured.value === undefined ? HEIGHT_PX / 2 : y(measured.value);
        const told = [
          format.dateTime(at),
          outcome === undefined ? '' : word(outcome),
          measuredText(measured.value, measured.unit),
          current ? '' : t.older,
        ]
          .filter(Boolean)
          .join(' · ');
        return (
          <a
            key={evidence.metadata.name}
            href={paths.evidence(props.namespace, evidence.metadata.name)}
            aria-label={told}
            style={{ opacity: current ? 1 : 0.45 }}
          >
            <title>{told}</title>
            {measured.low !== undefined && measured.high !== undefined && (
              <line
                x1={place(at)}
                x2={place(at)}
                y1={y(measured.low)}
                y2={y(measured.high)}
                stroke={color}
                strokeWidth={2}
              />
            )}
            {outcome === 'Violated' ? (
              <rect x={place(at)} y={center - 4} width={8} height={8} fill={color} transform="translate(-4 0)" />
            ) : (
              <circle
                cx={place(at)}
                cy={center}
                r={4.5}
                fill={outcome === 'Met' ? color : 'var(--maru-panel)'}
                stroke={color}
                strokeWidth={1.5}
              />
            )}
          </a>
        );
      })}
    </svg>
  );
}

function scale(values: readonly number[]): (value: number) => number {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (!Number.isFinite(low) || high <= low) return () => HEIGHT_PX / 2;
  return (value) => HEIGHT_PX - 12 - ((value - low) / (high - low)) * (HEIGHT_PX - 24);
}
