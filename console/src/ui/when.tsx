// A moment: how long ago, with the exact time in the chosen zone when pointed at.
import { Text } from '@mantine/core';
import { useFormat, useNow } from '../i18n/use-format';
import { NONE, toMs } from '../lib/format';

export function When(props: { time: string | number | undefined; style?: 'relative' | 'age' | 'exact' }) {
  const format = useFormat();
  const now = useNow();
  const at = toMs(props.time);
  if (at === undefined) return <span>{NONE}</span>;
  const exact = `${format.dateTime(at)} (${format.zone})`;
  const shown =
    props.style === 'exact'
      ? format.dateTime(at)
      : props.style === 'age'
        ? format.age(at, now)
        : format.relative(at, now);
  return (
    <Text component="time" inherit span dateTime={new Date(at).toISOString()} title={exact}>
      {shown}
    </Text>
  );
}
