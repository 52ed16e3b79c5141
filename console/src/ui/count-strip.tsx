// How many of each there are; a count is a button that shows those alone.
import { UnstyledButton } from '@mantine/core';
import classes from './count-strip.module.css';
import { type Tone, toneColor } from './status';

export interface Count {
  /** The filter's value. */
  id: string;
  label: string;
  count: number;
  tone?: Tone;
}

export function CountStrip(props: {
  label: string;
  counts: readonly Count[];
  chosen: string;
  onChoose: (id: string) => void;
}) {
  return (
    <div role="group" aria-label={props.label} className={classes.strip}>
      {props.counts.map((one) => (
        <UnstyledButton
          key={one.id}
          className={classes.count}
          aria-pressed={props.chosen === one.id}
          onClick={() => props.onChoose(props.chosen === one.id ? '' : one.id)}
        >
          <span className={classes.number} style={one.tone && one.count > 0 ? { color: toneColor(one.tone) } : {}}>
            {one.count}
          </span>
          <span className={classes.label}>{one.label}</span>
        </UnstyledButton>
      ))}
    </div>
  );
}
