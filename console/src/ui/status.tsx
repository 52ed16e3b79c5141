// States as a word with a mark: never by colour alone.
import { Badge } from '@mantine/core';
import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconClock,
  IconHelpCircle,
  IconLoader2,
} from '@tabler/icons-react';

export type Tone = 'good' | 'bad' | 'warn' | 'unknown' | 'pending' | 'stale';

const MARKS = {
  good: IconCircleCheck,
  bad: IconCircleX,
  warn: IconAlertTriangle,
  unknown: IconHelpCircle,
  pending: IconLoader2,
  stale: IconClock,
  none: IconCircleDashed,
} as const;

const COLORS: Record<Tone, string> = {
  good: 'var(--maru-good)',
  bad: 'var(--maru-bad)',
  warn: 'var(--maru-warn)',
  unknown: 'var(--maru-unknown)',
  pending: 'var(--maru-warn)',
  stale: 'var(--maru-warn)',
};

/** The colour of a tone, for marks and lines. */
export function toneColor(tone: Tone): string {
  return COLORS[tone];
}

export function StatusBadge(props: { tone: Tone; label: string; title?: string | undefined }) {
  const Mark = MARKS[props.tone];
  return (
    <Badge
      variant="outline"
      tt="none"
      title={props.title ?? props.label}
      leftSection={<Mark size={13} aria-hidden />}
      styles={{
        root: { color: COLORS[props.tone], borderColor: COLORS[props.tone], fontWeight: 600, maxWidth: '100%' },
      }}
    >
      {props.label}
    </Badge>
  );
}
