// The count strip: how many of what, each a link to them.
import { Text } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconHelpCircle } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { paths } from '../../paths';
import { type Tone, toneColor } from '../../ui/status';
import classes from './home.module.css';
import type { Counts } from './model';
import { texts } from './texts';

export function CountStrip(props: {
  counts: Counts;
  project: string | undefined;
  /** How many there are; absent when the kind or room is not there. */
  requirements: number | undefined;
  alerts: number | undefined;
  objectives: number | undefined;
  workloads: boolean;
}) {
  const t = useTexts(texts);
  const { counts, project } = props;
  const verdict = (value: string) => withQuery(paths.requirements(project), 'verdict', value);
  return (
    <div className={classes.strip}>
      {props.requirements !== undefined && (
        <Group title={t.requirements} href={paths.requirements(project)}>
          <Figure tone="bad" count={counts.nonconforming} word={t.nonconforming} href={verdict('Nonconforming')} />
          <Figure tone="unknown" count={counts.notMeasured} word={t.notMeasured} href={verdict('NotMeasured')} />
          <Figure tone="good" count={counts.conforming} word={t.conforming} href={verdict('Conforming')} />
        </Group>
      )}
      {props.workloads && (
        <Group title={t.workloads} href={paths.workloads()}>
          <Figure tone="bad" count={counts.notReady} word={t.notReady} href={paths.workloads()} />
          <Figure tone="good" count={counts.ready} word={t.ready} href={paths.workloads()} />
        </Group>
      )}
      {props.alerts !== undefined && (
        <Group title={t.alerts} href={paths.alerts()}>
          <Figure tone="bad" count={props.alerts} word={t.firing} href={paths.alerts()} />
        </Group>
      )}
      {props.objectives !== undefined && (
        <Group title={t.objectives} href={paths.objectives()}>
          <Figure tone="bad" count={counts.missed} word={t.missed} href={paths.objectives()} />
          {counts.undecided > 0 && (
            <Figure tone="unknown" count={counts.undecided} word={t.undecided} href={paths.objectives()} />
          )}
          <Figure tone="good" count={counts.met} word={t.met} href={paths.objectives()} />
        </Group>
      )}
    </div>
  );
}

function withQuery(path: string, name: string, value: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${name}=${value}`;
}

function Group(props: { title: string; href: string; children: ReactNode }) {
  return (
    <section className={classes.group} aria-label={props.title}>
      <Text component="a" href={props.href} size="xs" fw={600} c="dimmed" td="none">
        {props.title}
      </Text>
      <div className={classes.numbers}>{props.children}</div>
    </section>
  );
}

const MARKS = { bad: IconCircleX, warn: IconAlertTriangle, unknown: IconHelpCircle, good: IconCircleCheck } as const;

/** Zero has no colour: only what is there does. */
function Figure(props: { tone: keyof typeof MARKS & Tone; count: number; word: string; href: string }) {
  const { number } = useFormat();
  const Mark = MARKS[props.tone];
  const color = props.count === 0 ? 'var(--mantine-color-dimmed)' : toneColor(props.tone);
  return (
    <a href={props.href} className={classes.number}>
      <Mark size={14} color={color} aria-hidden style={{ alignSelf: 'center' }} />
      <span className={classes.count} style={{ color: props.count === 0 || props.tone === 'good' ? undefined : color }}>
        {number(props.count)}
      </span>
      <span className={classes.word}>{props.word}</span>
    </a>
  );
}
