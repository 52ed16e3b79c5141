// Ask metrics anything: several queries, as lines over time or as a table, with what the server knows about them.
import {
  ActionIcon,
  Badge,
  Box,
  Button,
  Group,
  Menu,
  Paper,
  Select,
  Stack,
  Switch,
  Tabs,
  Text,
  Tooltip,
} from '@mantine/core';
import {
  IconAlignLeft,
  IconBell,
  IconCopy,
  IconEye,
  IconEyeOff,
  IconHistory,
  IconListSearch,
  IconPlayerPlay,
  IconPlus,
  IconX,
} from '@tabler/icons-react';
import { useIsFetching } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { ApiError } from '../../api/http';
import { formatQuery, type QueryAnswer } from '../../api/prometheus';
import { usePaletteActions } from '../../app/palette';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { fixedRange, parseDuration, readStep, type TimeRange } from '../../lib/time-range';
import { guessUnit, UNITS } from '../../lib/units';
import { useUrlValues } from '../../lib/url-state';
import { useSpan } from '../../lib/use-span';
import { paths } from '../../paths';
import { useChangeMarks } from '../../ui/change-marks';
import { Empty } from '../../ui/faces';
import { Page } from '../../ui/page';
import { PromqlEditor } from '../../ui/promql-editor';
import { AnsweredChart, Remarks, useRangeAnswers } from '../../ui/query-chart';
import { StepSelect, TimeRangePicker } from '../../ui/time-range';
import { forgetAll, remember, useRunQueries } from './history';
import { MetricBrowser } from './metric-browser';
import { ResultTable } from './result-table';
import { texts } from './texts';

const MARKS_OFF = 'off';
const POINTS = 400;

export function Component() {
  const t = useTexts(texts);
  const format = useFormat();
  const url = useUrlValues();
  const queries = url.all('expr');
  const stamp = queries.join('\u0000');
  const [drafts, setDrafts] = useState<string[]>(() => (queries.length > 0 ? queries : ['']));
  const [seen, setSeen] = useState(stamp);
  const [focused, setFocused] = useState(0);
  const [browsing, setBrowsing] = useState(false);
  // The address changed by another way than this page's button: a link, the history.
  if (seen !== stamp) {
    setSeen(stamp);
    setDrafts(queries.length > 0 ? queries : ['']);
  }

  const range: TimeRange = { from: url.get('from', 'now-1h'), to: url.get('to', 'now') };
  const refresh = url.get('refresh');
  const { span, reload } = useSpan(range, refresh, format.zone);
  const length = span === undefined ? 3600 : span.end - span.start;
  const step = readStep(url.get('step'), length, POINTS, 1);
  const compare = parseDuration(url.get('compare')) ?? 0;
  const view = url.get('view', 'chart');
  const hidden = url.all('hide').map(Number);
  const unit = url.get('unit', 'auto');
  const shownUnit = unit === 'auto' ? commonUnit(queries) : unit;
  const asked = queries.flatMap((query, index) => (hidden.includes(index) ? [] : [{ query, index }]));
  const answers = useRangeAnswers(view === 'chart' ? asked : [], span, step, compare);
  const areMarksWanted = url.get('marks') !== MARKS_OFF;
  const marks = useChangeMarks(span, areMarksWanted && view === 'chart' && queries.length > 0);
  const isFetching = useIsFetching({ queryKey: ['prometheus'] }) > 0;

  const run = (next = drafts) => {
    const kept = next.map((query) => query.trim()).filter((query) => query !== '');
    remember(kept);
    setSeen(kept.join('\u0000'));
    setDrafts(kept.length > 0 ? kept : ['']);
    if (kept.join('\u0000') === stamp) reload();
    else url.set({ expr: kept, hide: undefined }, 'push');
  };
  const change = (index: number, query: string) => setDrafts((before) => before.with(index, query));
  const put = (query: string) => {
    setBrowsing(false);
    const at = Math.min(focused, drafts.length - 1);
    run(drafts.with(at, query));
  };
  const zoom = (start: number, end: number) => url.set({ ...fixedRange({ start, end }) }, 'push');

  usePaletteActions(
    useMemo(
      () => [
        { id: 'browse', label: t.browse, act: () => setBrowsing(true) },
        { id: 'add', label: t.add, act: () => setDrafts((before) => [...before, '']) },
      ],
      [t],
    ),
  );

  return (
    <Page
      title={t.title}
      actions={
        <TimeRangePicker
          range={range}
          span={span}
          onChange={(next) => url.set({ from: next.from, to: next.to }, 'push')}
          refresh={refresh}
          onRefresh={(every) => url.set({ refresh: every })}
          onReload={reload}
          isLoading={isFetching}
        />
      }
    >
      <Stack gap="sm">
        <Paper withBorder p="xs">
          <Stack gap={6}>
            {drafts.map((draft, index) => {
              const place = asked.findIndex((one) => one.index === index);
              return (
                <QueryRow
                  // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name than their place
                  key={index}
                  index={index}
                  query={draft}
                  isHidden={hidden.includes(index)}
                  answer={view === 'chart' && place >= 0 ? answers.answers[place] : undefined}
                  error={
                    place >= 0 && queries[index] === draft.trim() ? (answers.errors[place] ?? undefined) : undefined
                  }
                  isOnly={drafts.length === 1}
                  onFocus={() => setFocused(index)}
                  onChange={(query) => change(index, query)}
                  onRun={() => run()}
                  onHide={() =>
                    url.set({
                      hide: (hidden.includes(index) ? hidden.filter((one) => one !== index) : [...hidden, index]).map(
                        String,
                      ),
                    })
                  }
                  onCopy={() => setDrafts(drafts.toSpliced(index + 1, 0, draft))}
                  onRemove={() => run(drafts.toSpliced(index, 1))}
                />
              );
            })}
            <Group gap="xs" justify="space-between">
              <Group gap="xs">
                <Button size="xs" leftSection={<IconPlayerPlay size={14} aria-hidden />} onClick={() => run()}>
                  {t.run}
                </Button>
                <Button
                  size="xs"
                  variant="default"
                  leftSection={<IconPlus size={14} aria-hidden />}
                  onClick={() => {
                    setDrafts([...drafts, '']);
                    setFocused(drafts.length);
                  }}
                >
                  {t.add}
                </Button>
                <Button
                  size="xs"
                  variant="default"
                  leftSection={<IconListSearch size={14} aria-hidden />}
                  onClick={() => setBrowsing(true)}
                >
                  {t.browse}
                </Button>
                <History use={put} />
              </Group>
              <Text size="xs" c="dimmed" visibleFrom="sm">
                {t.keys}
              </Text>
            </Group>
          </Stack>
        </Paper>

        {queries.length === 0 || span === undefined ? (
          <Empty title={t.empty} action={<Button onClick={() => put('up')}>{t.emptyAct}</Button>}>
            {t.emptyHint}
          </Empty>
        ) : (
          <Paper withBorder p="xs">
            <Group justify="space-between" mb="xs" gap="xs">
              <Tabs
                value={view}
                onChange={(next) => url.set({ view: next === 'chart' || next === null ? '' : next })}
                variant="pills"
              >
                <Tabs.List>
                  <Tabs.Tab value="chart" py={5}>
                    {t.chart}
                  </Tabs.Tab>
                  <Tabs.Tab value="table" py={5}>
                    {t.table}
                  </Tabs.Tab>
                </Tabs.List>
              </Tabs>
              <Group gap="xs">
                {view === 'chart' && (
                  <>
                    <StepSelect
                      step={url.get('step')}
                      chosen={step}
                      onChange={(next) => url.set({ step: next })}
                      label={t.step}
                      auto={t.stepAuto}
                    />
                    <Select
                      size="xs"
                      w={150}
                      aria-label={t.compare}
                      allowDeselect={false}
                      value={url.get('compare', 'none')}
                      data={[
                        { value: 'none', label: t.compareNone },
                        { value: '1h', label: t.compareHour },
                        { value: '1d', label: t.compareDay },
                        { value: '7d', label: t.compareWeek },
                      ]}
                      onChange={(value) => url.set({ compare: value === 'none' || value === null ? '' : value })}
                    />
                    <Select
                      size="xs"
                      w={110}
                      aria-label={t.draw}
                      allowDeselect={false}
                      value={url.get('draw', 'line')}
                      data={[
                        { value: 'line', label: t.lines },
                        { value: 'area', label: t.area },
                        { value: 'stack', label: t.stacked },
                        { value: 'bars', label: t.bars },
                        { value: 'points', label: t.points },
                      ]}
                      onChange={(value) => url.set({ draw: value === 'line' || value === null ? '' : value })}
                    />
                    <Switch
                      size="xs"
                      label={t.marks}
                      checked={areMarksWanted}
                      onChange={(event) => url.set({ marks: event.currentTarget.checked ? '' : MARKS_OFF })}
                    />
                  </>
                )}
                <Select
                  size="xs"
                  w={130}
                  aria-label={t.unit}
                  allowDeselect={false}
                  value={unit}
                  data={[
                    { value: 'auto', label: `${t.unitAuto} (${shownUnit})` },
                    ...UNITS.map((one) => ({ value: one, label: one })),
                  ]}
                  onChange={(value) => url.set({ unit: value === 'auto' || value === null ? '' : value })}
                />
              </Group>
            </Group>
            {view === 'table' ? (
              <Stack gap="sm">
                {asked.map(({ query, index }) => (
                  <Box key={`${index} ${query}`}>
                    {asked.length > 1 && (
                      <Text size="sm" fw={600} mb={4} ff="monospace" truncate>
                        {letter(index)} {query}
                      </Text>
                    )}
                    <ResultTable query={query} time={span.end} unit={unit === 'auto' ? guessUnit(query) : unit} />
                  </Box>
                ))}
              </Stack>
            ) : (
              <>
                <Remarks answers={answers.answers} />
                <AnsweredChart
                  label={queries.join(', ')}
                  answers={answers}
                  span={span}
                  step={step}
                  unit={shownUnit}
                  height={340}
                  draw={url.get('draw') === 'stack' ? 'area' : (url.get('draw', 'line') as 'line')}
                  stack={url.get('draw') === 'stack' ? 'normal' : 'none'}
                  marks={marks}
                  onSpan={zoom}
                  legend="table"
                />
                <Text size="xs" c="dimmed" mt={4}>
                  {t.mouse}
                </Text>
              </>
            )}
          </Paper>
        )}
      </Stack>
      <MetricBrowser opened={browsing} close={() => setBrowsing(false)} use={put} />
    </Page>
  );
}

function letter(index: number): string {
  return String.fromCharCode(65 + (index % 26));
}

/** One unit for all lines, when all queries are guessed to have the same. */
export function commonUnit(queries: readonly string[]): string {
  const units = new Set(queries.map(guessUnit));
  const [only] = units;
  return units.size === 1 && only !== undefined ? only : 'none';
}

function QueryRow(props: {
  index: number;
  query: string;
  isHidden: boolean;
  answer: QueryAnswer | undefined;
  error: Error | undefined;
  isOnly: boolean;
  onFocus: () => void;
  onChange: (query: string) => void;
  onRun: () => void;
  onHide: () => void;
  onCopy: () => void;
  onRemove: () => void;
}) {
  const t = useTexts(texts);
  const format = useFormat();
  const { statistics } = props.answer ?? {};
  const name = letter(props.index);
  const actions = [
    { label: props.isHidden ? t.show : t.hide, icon: props.isHidden ? IconEyeOff : IconEye, act: props.onHide },
    { label: t.copy, icon: IconCopy, act: props.onCopy },
    ...(props.isOnly ? [] : [{ label: t.remove, icon: IconX, act: props.onRemove }]),
  ];
  const layOut = () => {
    formatQuery(props.query).then(props.onChange, props.onRun);
  };
  return (
    <Box role="group" aria-label={t.query(name)} onFocus={props.onFocus}>
      <Group gap={6} wrap="nowrap" align="flex-start">
        <Badge variant="default" radius="sm" mt={6} style={{ opacity: props.isHidden ? 0.5 : 1 }}>
          {name}
        </Badge>
        <Box flex={1} miw={0}>
          <PromqlEditor
            label={t.query(name)}
            value={props.query}
            onChange={props.onChange}
            onRun={props.onRun}
            error={props.error instanceof ApiError ? props.error.message : undefined}
            placeholder={t.placeholder}
            autoFocus={props.index === 0 && props.query === ''}
          />
        </Box>
        <Group gap={2} wrap="nowrap" mt={3}>
          {actions.map(({ label, icon: Icon, act }) => (
            <Tooltip key={label} label={label}>
              <ActionIcon variant="subtle" color="gray" aria-label={`${label} (${name})`} onClick={act}>
                <Icon size={15} />
              </ActionIcon>
            </Tooltip>
          ))}
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon variant="subtle" color="gray" aria-label={`${t.more} (${name})`}>
                …
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item
                leftSection={<IconAlignLeft size={14} />}
                onClick={layOut}
                disabled={props.query.trim() === ''}
              >
                {t.layOut}
              </Menu.Item>
              <Menu.Item
                component="a"
                href={paths.rehearsal(props.query)}
                leftSection={<IconBell size={14} />}
                disabled={props.query.trim() === ''}
              >
                {t.alert}
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        </Group>
      </Group>
      {props.answer !== undefined && (
        <Text size="xs" c="dimmed" ml={34} mt={2}>
          {t.series(props.answer.series.length)}
          {statistics !== undefined &&
            ` · ${format.seconds(statistics.timings.execTotalTime)} · ${t.samples(format.number(statistics.samples.totalQueryableSamples))}`}
        </Text>
      )}
    </Box>
  );
}

function History(props: { use: (query: string) => void }) {
  const t = useTexts(texts);
  const ran = useRunQueries();
  return (
    <Menu position="bottom-start" width={560}>
      <Menu.Target>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconHistory size={14} aria-hidden />}
          disabled={ran.length === 0}
        >
          {t.history}
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah={360} style={{ overflow: 'auto' }}>
        {ran.slice(0, 40).map((one) => (
          <Menu.Item key={one.query} onClick={() => props.use(one.query)} ff="monospace" fz="xs">
            {one.query}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item c="dimmed" onClick={forgetAll}>
          {t.forget}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
