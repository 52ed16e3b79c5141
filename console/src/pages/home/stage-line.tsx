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
              <Text span fw={600} inherit>
                {titleOf(gate.stage)}
              </Text>{' '}
              <Text span c="dimmed" inherit>
                {t.place(all.findIndex((one) => one.stage === gate.stage) + 1, all.length)}
              </Text>
              <IconLock
                size={14}
                color={toneColor('warn')}
                aria-hidden
                style={{ verticalAlign: '-2px', margin: '0 4px 0 12px' }}
              />
              {t.closed(t[gate.side], gate.blockers.length)} {first ? first.error || local(first.message) : gate.reason}
              {first?.count !== undefined && first.count > 1 && ` (${first.count})`}
            </Text>
            <Button component="a" href={paths.gates(namespace)} size="compact-xs" variant="default">
              {t.openGate}
            </Button>
          </>
        )}
      </div>
    </section>
  );
}
