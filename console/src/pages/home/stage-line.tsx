// How far a project is, and what blocks its next gate.
import { Button, Text, VisuallyHidden } from '@mantine/core';
import { IconLock, IconLockOpen } from '@tabler/icons-react';
import type { Project } from '../../api/maru';
import { useStageTitle } from '../../i18n/stages';
import { useLocalText, useTexts } from '../../i18n/texts';
import { paths } from '../../paths';
import { toneColor } from '../../ui/status';
import classes from './home.module.css';
import { nextGate, stages } from './model';
import { texts } from './texts';

export function StageLine(props: { project: Project; named: boolean }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const titleOf = useStageTitle();
  const { project } = props;
  const all = stages(project);
  if (all.length === 0) return null;
  const gate = nextGate(project);
  const namespace = project.metadata.namespace;
  const first = gate?.blockers[0];
  const words = { done: t.done, now: t.current, ahead: t.ahead };
  return (
    <section aria-label={t.stages}>
      {props.named && (
        <Text fw={600} size="sm" mb={4}>
          {local(project.spec.title) || namespace}
        </Text>
      )}
      <ol className={classes.stages}>
        {all.map(({ stage, state }) => (
          <li
            key={stage}
            className={classes.stage}
            data-state={state}
            aria-current={state === 'now' ? 'step' : undefined}
            title={titleOf(stage)}
          >
            <div className={classes.bar} />
            <span className={classes.stagename}>{titleOf(stage)}</span>
            <VisuallyHidden>{`${titleOf(stage)}: ${words[state]}`}</VisuallyHidden>
          </li>
        ))}
      </ol>
      <div className={classes.gate}>
        {gate === undefined ? (
          <Text size="sm">
            <IconLockOpen size={14} color={toneColor('good')} aria-hidden /> {t.allDone}
          </Text>
        ) : (
          <>
            <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
              <IconLock
                size={14}
                color={toneColor('warn')}
                aria-hidden
                style={{ verticalAlign: '-2px', marginRight: 4 }}
              />
              <Text span fw={600} inherit>
                {`${t.next}: ${titleOf(gate.stage)} (${t[gate.side]})`}
              </Text>
              {gate.blockers.length > 0 && ` · ${t.blocked(gate.blockers.length)}`}
              {`: ${first ? first.error || local(first.message) : gate.reason}`}
              {first?.count !== undefined && first.count > 0 && ` (${first.count})`}
            </Text>
            <Button component="a" href={paths.gates(namespace)} size="compact-sm" variant="light">
              {t.openGate}
            </Button>
          </>
        )}
      </div>
    </section>
  );
}
