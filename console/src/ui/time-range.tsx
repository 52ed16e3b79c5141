// Which time is shown: usual lengths, exact moments in the chosen zone, earlier and later, wider, and how often it is read again.
import {
  ActionIcon,
  Button,
  Group,
  Menu,
  Popover,
  Select,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
  Tooltip,
} from '@mantine/core';
import {
  IconChevronDown,
  IconChevronLeft,
  IconChevronRight,
  IconClock,
  IconRefresh,
  IconZoomOut,
} from '@tabler/icons-react';
import { useState } from 'react';
import { defineTexts, useTexts } from '../i18n/texts';
import { useFormat } from '../i18n/use-format';
import { toMs } from '../lib/format';
import {
  fixedRange,
  isMoving,
  pan,
  parseDuration,
  parseMoment,
  type Span,
  type TimeRange,
  toSpan,
  writeDuration,
  zoomOut,
} from '../lib/time-range';

const texts = defineTexts(
  {
    range: 'Time',
    last: (length: string) => `Last ${length}`,
    exact: 'Exact times',
    from: 'From',
    to: 'Until',
    hint: (zone: string) => `In ${zone}; also now-6h`,
    wrong: 'Write 2026-11-22 14:00, or now-6h',
    reversed: 'It ends before it begins',
    apply: 'Show',
    earlier: 'Earlier',
    later: 'Later',
    wider: 'Wider',
    reload: 'Read again',
    refresh: 'Read again by itself',
    off: 'off',
    every: (length: string) => `every ${length}`,
  },
  {
    range: '시간',
    last: (length) => `최근 ${length}`,
    exact: '정확한 시각',
    from: '시작',
    to: '끝',
    hint: (zone) => `${zone} 기준; now-6h도 가능`,
    wrong: '2026-11-22 14:00 또는 now-6h 형식으로 쓰세요',
    reversed: '끝이 시작보다 앞섭니다',
    apply: '보기',
    earlier: '이전',
    later: '이후',
    wider: '넓게',
    reload: '다시 읽기',
    refresh: '자동으로 다시 읽기',
    off: '끔',
    every: (length) => `${length}마다`,
  },
);

const lengths = defineTexts(
  { m: 'min', h: 'h', d: 'd', s: 's', w: 'wk' },
  { m: '분', h: '시간', d: '일', s: '초', w: '주' },
);

const USUAL = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d', '2d', '7d', '14d', '30d'] as const;
const REFRESHES = ['', '5s', '15s', '30s', '1m', '5m'] as const;

/** `15m` as `15 min`, `15분`. */
export function useLength(): (length: string) => string {
  const words: Record<string, string> = useTexts(lengths);
  return (length) => {
    const parts = [...length.matchAll(/(\d+)([a-z]+)/g)];
    const space = words.h === 'h' ? ' ' : '';
    return parts.map(([, count, unit]) => `${count}${space}${words[unit ?? ''] ?? unit}`).join(' ');
  };
}

export function TimeRangePicker(props: {
  range: TimeRange;
  span: Span | undefined;
  onChange: (range: TimeRange) => void;
  refresh: string;
  onRefresh: (refresh: string) => void;
  onReload: () => void;
  isLoading?: boolean;
}) {
  const t = useTexts(texts);
  const format = useFormat();
  const length = useLength();
  const [opened, setOpened] = useState(false);
  const { range, span } = props;
  const now = () => Date.now() / 1000;
  const usual =
    isMoving(range) && range.to === 'now' && range.from.startsWith('now-') ? range.from.slice(4) : undefined;
  const label =
    usual !== undefined && parseDuration(usual) !== undefined
      ? t.last(length(usual))
      : span === undefined
        ? `${range.from} – ${range.to}`
        : `${format.dateTime(span.start * 1000).slice(0, 16)} – ${sameDay(format.dateTime(span.start * 1000), format.dateTime(span.end * 1000))}`;
  return (
    <Group gap={4} wrap="nowrap">
      <Tooltip label={t.earlier}>
        <ActionIcon
          variant="default"
          size="input-xs"
          aria-label={t.earlier}
          disabled={span === undefined}
          onClick={() => span && props.onChange(fixedRange(pan(span, -1)))}
        >
          <IconChevronLeft size={14} />
        </ActionIcon>
      </Tooltip>
      <Popover opened={opened} onChange={setOpened} position="bottom-end" shadow="md" trapFocus withArrow={false}>
        <Popover.Target>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconClock size={14} aria-hidden />}
            rightSection={<IconChevronDown size={12} aria-hidden />}
            aria-label={`${t.range}: ${label}`}
            onClick={() => setOpened(!opened)}
          >
            {label}
          </Button>
        </Popover.Target>
        <Popover.Dropdown p="sm">
          {opened && (
            <Choose
              range={range}
              span={span}
              onChange={(next) => {
                setOpened(false);
                props.onChange(next);
              }}
            />
          )}
        </Popover.Dropdown>
      </Popover>
      <Tooltip label={t.later}>
        <ActionIcon
          variant="default"
          size="input-xs"
          aria-label={t.later}
          disabled={span === undefined || isMoving(range)}
          onClick={() => span && props.onChange(fixedRange(pan(span, 1)))}
        >
          <IconChevronRight size={14} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label={t.wider}>
        <ActionIcon
          variant="default"
          size="input-xs"
          aria-label={t.wider}
          disabled={span === undefined}
          onClick={() => {
            if (!span) return;
            const length = parseDuration(usual ?? '');
            props.onChange(
              length === undefined
                ? fixedRange(zoomOut(span, now()))
                : { from: `now-${writeDuration(length * 2)}`, to: 'now' },
            );
          }}
        >
          <IconZoomOut size={14} />
        </ActionIcon>
      </Tooltip>
      <Button.Group>
        <Tooltip label={t.reload}>
          <Button
            variant="default"
            size="xs"
            px={8}
            aria-label={t.reload}
            onClick={props.onReload}
            loading={props.isLoading === true}
          >
            <IconRefresh size={14} />
          </Button>
        </Tooltip>
        <Menu position="bottom-end">
          <Menu.Target>
            <Button
              variant="default"
              size="xs"
              px={6}
              aria-label={t.refresh}
              rightSection={<IconChevronDown size={12} />}
            >
              {props.refresh === '' ? '' : props.refresh}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            {REFRESHES.map((one) => (
              <Menu.Item key={one} onClick={() => props.onRefresh(one)} fw={one === props.refresh ? 700 : 400}>
                {one === '' ? t.off : t.every(length(one))}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      </Button.Group>
    </Group>
  );
}

function sameDay(from: string, to: string): string {
  return from.slice(0, 10) === to.slice(0, 10) ? to.slice(11, 16) : to.slice(0, 16);
}

function Choose(props: { range: TimeRange; span: Span | undefined; onChange: (range: TimeRange) => void }) {
  const t = useTexts(texts);
  const format = useFormat();
  const length = useLength();
  const shown = (text: string, seconds: number | undefined) =>
    text.startsWith('now') ? text : format.dateTime(seconds === undefined ? toMs(text) : seconds * 1000);
  const [from, setFrom] = useState(() => shown(props.range.from, props.span?.start));
  const [to, setTo] = useState(() => shown(props.range.to, props.span?.end));
  const now = Date.now();
  const parsed = [from, to].map((text) => parseMoment(text, now, format.zone));
  const span = toSpan({ from, to }, now, format.zone);
  const wrong = parsed.map((one) => (one === undefined ? t.wrong : null));
  const apply = () => {
    if (span === undefined) return;
    const fixed = fixedRange(span);
    props.onChange({ from: from.startsWith('now') ? from : fixed.from, to: to.startsWith('now') ? to : fixed.to });
  };
  return (
    <Stack gap="sm" w={300}>
      <SimpleGrid cols={3} spacing={4} verticalSpacing={4}>
        {USUAL.map((one) => (
          <Button
            key={one}
            size="compact-xs"
            variant={props.range.from === `now-${one}` && props.range.to === 'now' ? 'light' : 'subtle'}
            color="gray"
            onClick={() => props.onChange({ from: `now-${one}`, to: 'now' })}
          >
            {length(one)}
          </Button>
        ))}
      </SimpleGrid>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <Stack gap={6}>
          <Text size="xs" c="dimmed">
            {t.exact} · {t.hint(format.zone)}
          </Text>
          <TextInput
            size="xs"
            label={t.from}
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
            error={wrong[0]}
          />
          <TextInput
            size="xs"
            label={t.to}
            value={to}
            onChange={(event) => setTo(event.currentTarget.value)}
            error={wrong[1] ?? (wrong[0] === null && span === undefined ? t.reversed : null)}
          />
          <Button size="xs" type="submit" disabled={span === undefined}>
            {t.apply}
          </Button>
        </Stack>
      </form>
    </Stack>
  );
}

export function StepSelect(props: {
  step: string;
  chosen: number;
  onChange: (step: string) => void;
  label: string;
  auto: string;
}) {
  const usual = ['5s', '15s', '30s', '1m', '5m', '15m', '1h', '6h', '1d'];
  const own = props.step !== '' && !usual.includes(props.step) ? [props.step] : [];
  return (
    <Select
      size="xs"
      w={130}
      aria-label={props.label}
      leftSectionWidth={0}
      value={props.step === '' ? 'auto' : props.step}
      allowDeselect={false}
      data={[
        { value: 'auto', label: `${props.auto} (${writeDuration(props.chosen)})` },
        ...[...own, ...usual].map((one) => ({ value: one, label: one })),
      ]}
      onChange={(value) => props.onChange(value === null || value === 'auto' ? '' : value)}
    />
  );
}
