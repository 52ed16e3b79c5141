// What is left of a budget: a bar, a share, and when it is gone.
import { Text } from '@mantine/core';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import classes from './objectives.module.css';
import { texts } from './texts';

export function budgetColor(left: number): string {
  return left <= 0 ? 'var(--maru-bad)' : left < 0.25 ? 'var(--maru-warn)' : 'var(--maru-good)';
}

export function Budget(props: { left: number | undefined; width?: number | string }) {
  const t = useTexts(texts);
  const format = useFormat();
  const { left } = props;
  if (left === undefined) return <>—</>;
  const shown = Math.max(0, Math.min(1, left));
  return (
    <span className={classes.budget}>
      <span
        role="meter"
        aria-label={t.budget}
        aria-valuemin={0}
        aria-valuemax={1}
        aria-valuenow={shown}
        className={classes.meter}
        style={{ width: props.width ?? 90 }}
      >
        <span style={{ width: `${shown * 100}%`, background: budgetColor(left) }} />
      </span>
      <Text span inherit fw={600} style={{ color: budgetColor(left) }}>
        {format.percent(left, 1)}
      </Text>
    </span>
  );
}
