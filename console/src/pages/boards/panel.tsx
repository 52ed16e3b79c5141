// One picture of a board: asks when it comes into view, and draws by its kind.
import {
  ActionIcon,
  Box,
  Group,
  Menu,
  Paper,
  SemiCircleProgress,
  Stack,
  Table,
  Text,
  Tooltip,
  useComputedColorScheme,
} from '@mantine/core';
import { useIntersection } from '@mantine/hooks';
import { IconDots, IconInfoCircle } from '@tabler/icons-react';
import { useQueries } from '@tanstack/react-query';
import { type CSSProperties, useMemo } from 'react';
import { instantQuery, type QueryAnswer, rangeQuery, readNumber } from '../../api/prometheus';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { distinctNames, fillLegend, type Labels, reduce } from '../../lib/series';
import { alignSpan, chooseStep, type Span } from '../../lib/time-range';
import { formatValue } from '../../lib/units';
import { useKept } from '../../lib/use-kept';
import { paths } from '../../paths';
import type { ChartMark } from '../../ui/chart/chart';
import { Heatmap } from '../../ui/chart/heatmap';
import { namedColor, seriesColor, stepColor } from '../../ui/chart/palette';
import { Failed, Loading } from '../../ui/faces';
import { Markdown } from '../../ui/markdown';
import { AnsweredChart, useRangeAnswers } from '../../ui/query-chart';
import classes from './board.module.css';
import {
  always,
  type ChosenByName,
  fillQuery,
  fillTitle,
  joinTable,
  mapped,
  type Panel,
  type PanelQuery,
  queryName,
  safeUrl,
  stepOf,
  tableColumns,
} from './model';
import { texts } from './texts';

export interface PanelProps {
  panel: Panel;
  chosen: ChosenByName;
  span: Span;
  marks: readonly ChartMark[];
  syncKey: string;
  onSpan: (start: number, end: number) => void;
}

const STEP_PX = 30;
const HEAD_PX = 30;

export function PanelCard(props: PanelProps) {
  const t = useTexts(texts);
  const { panel, chosen, span } = props;
  const { ref, entry } = useIntersection({ rootMargin: '200px' });
  const isSeen = entry?.isIntersecting === true;
  const width = panel.width ?? 12;
  const height = (panel.height ?? 8) * STEP_PX;
  const step = chooseStep(span.end - span.start, Math.max(120, width * 16), stepOf(panel, panel.queries?.[0]));
  const values = useMemo(() => always(span, step), [span, step]);
  const title = fillTitle(panel.title ?? '', chosen, values, t.all);
  const queries = (panel.queries ?? [])
    .filter((query) => query.hidden !== true)
    .map((query, index) => ({
      ...query,
      name: queryName(query, index),
      query: fillQuery(query.query, chosen, values),
      legend: fillTitle(query.legend ?? '', chosen, values, t.all),
    }));
  const links = (panel.links ?? []).flatMap((link) => {
    const url = safeUrl(fillQuery(link.url, chosen, values));
    return url === undefined ? [] : [{ title: fillTitle(link.title, chosen, values, t.all), url }];
  });
  return (
    <Paper
      ref={ref}
      withBorder
      component="section"
      aria-label={title === '' ? t.text : title}
      className={classes.panel}
      style={{ '--span': width, minHeight: height } as CSSProperties}
    >
      {(title !== '' || queries.length > 0) && (
        <Group justify="space-between" wrap="nowrap" gap={4} px="xs" h={HEAD_PX}>
          <Group gap={4} wrap="nowrap" miw={0}>
            <Text size="sm" fw={600} truncate title={title}>
              {title}
            </Text>
            {panel.description !== undefined && panel.description !== '' && (
              <Tooltip label={panel.description} multiline maw={360} events={{ hover: true, focus: true, touch: true }}>
                <ActionIcon variant="transparent" color="gray" size="xs" aria-label={panel.description}>
                  <IconInfoCircle size={13} />
                </ActionIcon>
              </Tooltip>
            )}
          </Group>
          {queries.length > 0 && (
            <Menu position="bottom-end">
              <Menu.Target>
                <ActionIcon variant="subtle" color="gray" size="xs" aria-label={t.menu(title)}>
                  <IconDots size={14} />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item component="a" href={paths.explore(queries[0]?.query)}>
                  {t.explore}
                </Menu.Item>
                {links.map((link) => (
                  <Menu.Item key={link.url} component="a" href={link.url}>
                    {link.title}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          )}
        </Group>
      )}
      <Box
        px="xs"
        pb={4}
        className={classes.content}
        style={{ height: panel.kind === 'timeSeries' || panel.kind === 'heatmap' ? undefined : height - HEAD_PX }}
      >
        {panel.kind === 'text' ? (
          <Markdown text={fillTitle(panel.text ?? '', chosen, values, t.all)} />
        ) : isSeen || entry === null ? (
          <Content {...props} queries={queries} step={step} height={height - HEAD_PX} title={title} isSeen={isSeen} />
        ) : null}
      </Box>
    </Paper>
  );
}

type Filled = PanelQuery & { name: string };

interface ContentProps extends PanelProps {
  queries: readonly Filled[];
  step: number;
  height: number;
  title: string;
  isSeen: boolean;
}

function Content(props: ContentProps) {
  switch (props.panel.kind) {
    case 'timeSeries':
      return <Lines {...props} />;
    case 'heatmap':
      return <Buckets {...props} />;
    case 'table':
      return <Lined {...props} />;
    default:
      return <Numbers {...props} />;
  }
}

/** Room for a legend of one line. */
const LEGEND_PX = 26;

function Lines(props: ContentProps) {
  const { panel, span, step, queries } = props;
  const answers = useRangeAnswers(queries, props.isSeen ? span : undefined, step);
  const thresholds = (panel.thresholds ?? []).flatMap((one) =>
    one.from === undefined ? [] : [{ value: one.from, color: one.color }],
  );
  return (
    <AnsweredChart
      label={props.title}
      answers={answers}
      span={span}
      step={step}
      unit={panel.unit}
      decimals={panel.decimals}
      min={panel.min}
      max={panel.max}
      draw={panel.draw ?? 'line'}
      stack={panel.stack ?? 'none'}
      thresholds={thresholds}
      marks={props.marks}
      syncKey={props.syncKey}
      onSpan={props.onSpan}
      height={Math.max(80, props.height - LEGEND_PX)}
    />
  );
}

/** Asks each query at the end of the time, or over it where many values become one. */
function useAnswers(props: ContentProps): {
  answers: (QueryAnswer | undefined)[];
  error: Error | null;
  isLoading: boolean;
} {
  const { queries, span, step, isSeen, panel } = props;
  const results = useQueries({
    queries: queries.map((query) => {
      const wantsRange = query.instant !== true && panel.reduce !== undefined && panel.reduce !== 'last';
      const question = wantsRange
        ? rangeQuery(query.query, { ...alignSpan(span, step), step })
        : instantQuery(query.query, Math.floor(span.end));
      return {
        queryKey: question.queryKey as readonly unknown[],
        queryFn: question.queryFn as never,
        retry: false,
        enabled: isSeen,
      };
    }),
  });
  const isPending = results.some((result) => result.isPending);
  const answers = results.map((result) => result.data as QueryAnswer | undefined);
  const kept = useKept(answers, isPending, JSON.stringify(queries.map((query) => query.query)));
  return {
    answers: kept.value,
    error: results.find((result) => result.error !== null)?.error ?? null,
    isLoading: isPending && kept.isNew,
  };
}

interface Figure {
  key: string;
  name: string;
  value: number | undefined;
}

function Numbers(props: ContentProps) {
  const t = useTexts(texts);
  const format = useFormat();
  const scheme = useComputedColorScheme('light');
  const { panel, queries } = props;
  const { answers, error, isLoading } = useAnswers(props);
  if (error !== null) return <Failed error={error} />;
  const found = answers.flatMap((answer, index) =>
    (answer?.series ?? []).map((series) => ({
      series,
      legend: queries[index]?.legend,
      query: queries[index]?.query ?? '',
    })),
  );
  if (found.length === 0) return isLoading ? <Loading /> : <Nothing text={t.nothing} />;
  const names = distinctNames(found.map((one) => one.series.labels));
  const figures: Figure[] = found.map((one, index) => {
    const plain = one.legend ? fillLegend(one.legend, one.series.labels) : names[index];
    return {
      key: `${index} ${plain}`,
      name: plain === undefined || plain === '{}' ? '' : plain,
      value: reduce(one.series.values, panel.reduce ?? 'last'),
    };
  });
  const word = (value: number | undefined) =>
    mapped(value, panel.mappings)?.text || formatValue(value, panel.unit ?? 'none', format, panel.decimals);
  const color = (value: number | undefined) =>
    namedColor(mapped(value, panel.mappings)?.color, scheme) ?? stepColor(value, panel.thresholds, scheme);
  const low = panel.min ?? 0;
  const high =
    panel.max ??
    (panel.unit === 'percent'
      ? 100
      : panel.unit === 'ratio'
        ? 1
        : Math.max(...figures.map((one) => one.value ?? 0), 1e-9));
  const part = (value: number | undefined) => Math.max(0, Math.min(100, (((value ?? low) - low) / (high - low)) * 100));
  if (panel.kind === 'bar') {
    return (
      <Stack gap={6} py={4} className={classes.scroll} tabIndex={0} role="group" aria-label={props.title}>
        {figures
          .toSorted((left, right) => (right.value ?? 0) - (left.value ?? 0))
          .map((one) => (
            <div key={one.key}>
              <Group justify="space-between" gap="xs" wrap="nowrap">
                <Text size="xs" truncate>
                  {one.name}
                </Text>
                <Text size="xs" fw={600}>
                  {word(one.value)}
                </Text>
              </Group>
              <div className={classes.track}>
                <div style={{ width: `${part(one.value)}%`, background: color(one.value) ?? seriesColor(0, scheme) }} />
              </div>
            </div>
          ))}
      </Stack>
    );
  }
  return (
    <div className={classes.figures}>
      {figures.map((one) => (
        <div key={one.key} className={classes.figure}>
          {panel.kind === 'gauge' ? (
            <SemiCircleProgress
              value={part(one.value)}
              size={Math.min(180, Math.max(90, props.height - 20))}
              thickness={12}
              filledSegmentColor={color(one.value) ?? seriesColor(0, scheme)}
              label={word(one.value)}
              aria-label={`${one.name} ${word(one.value)}`}
            />
          ) : (
            <span className={classes.large} style={{ color: color(one.value) }}>
              {word(one.value)}
            </span>
          )}
          {(figures.length > 1 || panel.kind === 'gauge') && (
            <Text size="xs" c="dimmed" truncate title={one.name}>
              {one.name}
            </Text>
          )}
        </div>
      ))}
    </div>
  );
}

function Nothing(props: { text: string }) {
  return (
    <Text size="sm" c="dimmed" ta="center" pt="sm" role="status">
      {props.text}
    </Text>
  );
}

function Lined(props: ContentProps) {
  const t = useTexts(texts);
  const format = useFormat();
  const scheme = useComputedColorScheme('light');
  const { panel, queries } = props;
  const { answers, error, isLoading } = useAnswers(props);
  if (error !== null) return <Failed error={error} />;
  const named = answers.map((answer, index) => ({ name: queries[index]?.name ?? 'A', series: answer?.series ?? [] }));
  const lines = joinTable(named, panel.reduce ?? 'last');
  if (lines.length === 0) return isLoading ? <Loading /> : <Nothing text={t.nothing} />;
  const columns = tableColumns(
    panel,
    lines,
    named.map((one) => one.name),
  );
  const isValue = (field: string) => field === 'value' || field.startsWith('value ');
  const numberOf = (line: (typeof lines)[number], field: string) =>
    field === 'value' ? [...line.values.values()][0] : line.values.get(field.slice('value '.length));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keys
    <div className={classes.scroll} tabIndex={0}>
      <Table fz="xs" stickyHeader verticalSpacing={3} horizontalSpacing="xs" highlightOnHover aria-label={props.title}>
        <Table.Thead>
          <Table.Tr>
            {columns.map((column) => (
              <Table.Th key={column.field} ta={isValue(column.field) ? 'right' : undefined}>
                {column.title || column.field}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {lines.map((line) => (
            <Table.Tr key={JSON.stringify(line.labels)}>
              {columns.map((column) => {
                if (column.field === 'time') return <Table.Td key="time">{format.dateTime(line.time * 1000)}</Table.Td>;
                if (!isValue(column.field))
                  return <Table.Td key={column.field}>{line.labels[column.field] ?? ''}</Table.Td>;
                const value = numberOf(line, column.field);
                const name = mapped(value, panel.mappings);
                return (
                  <Table.Td
                    key={column.field}
                    ta="right"
                    fw={600}
                    style={{
                      color: stepColor(value, column.thresholds ?? panel.thresholds, scheme),
                      whiteSpace: 'nowrap',
                    }}
                  >
                    {name?.text ||
                      formatValue(
                        value,
                        column.unit ?? panel.unit ?? 'none',
                        format,
                        column.decimals ?? panel.decimals,
                      )}
                  </Table.Td>
                );
              })}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function Buckets(props: ContentProps) {
  const t = useTexts(texts);
  const { panel, span, step, queries } = props;
  const { answers, errors, isLoading } = useRangeAnswers(queries, props.isSeen ? span : undefined, step);
  const stamp = answers.map((answer) => answer?.series);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the answers themselves
  const buckets = useMemo(() => toBuckets(stamp.flatMap((series) => series ?? [])), stamp);
  const error = errors.find((one) => one !== null);
  if (error) return <Failed error={error} />;
  if (buckets.length === 0) return isLoading ? <Loading /> : <Nothing text={t.nothing} />;
  return (
    <Heatmap
      label={props.title}
      buckets={buckets}
      span={span}
      step={step}
      unit={panel.unit}
      height={Math.max(80, props.height - 6)}
      syncKey={props.syncKey}
      onSpan={props.onSpan}
    />
  );
}

function toBuckets(series: readonly { labels: Labels; times: number[]; values: number[] }[]) {
  return series.flatMap((one) => {
    const bound = readNumber(one.labels.le ?? '');
    return one.labels.le === undefined || Number.isNaN(bound) ? [] : [{ bound, times: one.times, values: one.values }];
  });
}
