// Queries drawn over time: asks, waits, says what is wrong, and draws what came.
import { Alert, Box, List, Text } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type QueryAnswer, rangeQuery } from '../api/prometheus';
import { defineTexts, useTexts } from '../i18n/texts';
import { distinctNames, fillLegend, type Labels, writeSeries } from '../lib/series';
import { alignSpan, type Span, writeDuration } from '../lib/time-range';
import { useKept } from '../lib/use-kept';
import { Chart, type ChartProps, type ChartSeries } from './chart/chart';
import { Failed, Loading } from './faces';

const texts = defineTexts(
  {
    nothing: 'No series in this time.',
    earlier: (name: string, length: string) => `${name} (${length} earlier)`,
    many: (shown: number, all: number) => `${shown} of ${all} series are drawn: the ones with the highest values.`,
    histograms: (count: number) => `${count} native histograms are drawn by their number of observations.`,
  },
  {
    nothing: '이 시간에 시계열이 없습니다.',
    earlier: (name, length) => `${name} (${length} 전)`,
    many: (shown, all) => `시계열 ${all}개 중 값이 큰 ${shown}개를 그렸습니다.`,
    histograms: (count) => `네이티브 히스토그램 ${count}개는 관측 수로 그렸습니다.`,
  },
);

export interface DrawnQuery {
  query: string;
  /** `{{label}}` names series; their differing labels without it. */
  legend?: string | undefined;
}

export interface RangeAnswers {
  series: ChartSeries[];
  labels: Labels[];
  answers: (QueryAnswer | undefined)[];
  /** The first failure of each query. */
  errors: (Error | null)[];
  isLoading: boolean;
  isFetching: boolean;
  /** How many series there were before the ones that are drawn were chosen. */
  all: number;
}

/** More lines than this tell nobody anything. */
const LINES_MAX = 60;

/** Asks all queries over a time, and with `compare` (seconds) also over the same time earlier. */
export function useRangeAnswers(
  queries: readonly DrawnQuery[],
  span: Span | undefined,
  step: number,
  compare = 0,
): RangeAnswers {
  const t = useTexts(texts);
  const shifts = compare > 0 ? [0, compare] : [0];
  const asked = shifts.flatMap((shift) => queries.map((query) => ({ ...query, shift })));
  const results = useQueries({
    queries: asked.map(({ query, shift }) => {
      const aligned = alignSpan(span ?? { start: 0, end: 0 }, step);
      return {
        ...rangeQuery(query, { start: aligned.start - shift, end: aligned.end - shift, step }),
        enabled: span !== undefined && query.trim() !== '',
      };
    }),
  });
  const stamp = results.map((result) => `${result.dataUpdatedAt} ${result.isPlaceholderData}`).join(' ');
  const shape = JSON.stringify([asked, compare]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `stamp` and `shape` change when answers and questions do
  const drawn = useMemo(() => {
    const found = asked.flatMap((one, index) => {
      const result = results[index]?.data;
      return (result?.series ?? []).map((series) => ({ ...series, asked: one, query: index % queries.length }));
    });
    const names = distinctNames(found.map((one) => one.labels));
    const named = found.map((one, index) => {
      const plain =
        one.asked.legend !== undefined && one.asked.legend !== ''
          ? fillLegend(one.asked.legend, one.labels)
          : nameOf(one.labels, names[index] ?? '', one.asked.query);
      return { one, name: one.asked.shift > 0 ? t.earlier(plain, writeDuration(one.asked.shift)) : plain };
    });
    const kept = named.length > LINES_MAX ? highest(named, LINES_MAX) : named;
    const taken = new Map<string, number>();
    return {
      all: named.length,
      labels: kept.map(({ one }) => one.labels),
      series: kept.map(({ one, name }): ChartSeries => {
        // Two series of one name are told apart by a number.
        const count = (taken.get(name) ?? 0) + 1;
        taken.set(name, count);
        const { shift } = one.asked;
        return {
          label: count === 1 ? name : `${name} (${count})`,
          times: shift === 0 ? one.times : one.times.map((time) => time + shift),
          values: one.values,
          dashed: shift > 0,
        };
      }),
    };
  }, [stamp, shape, t]);
  const isPending = results.some((result) => result.isPending && result.fetchStatus !== 'idle');
  // biome-ignore lint/correctness/useExhaustiveDependencies: `stamp` changes when answers do
  const own = useMemo(() => results.slice(0, queries.length).map((result) => result.data), [stamp, queries.length]);
  // While the next moment is asked, the last answer to the same questions stays on the screen.
  const kept = useKept({ ...drawn, answers: own }, isPending, shape);
  return {
    ...kept.value,
    errors: results.slice(0, queries.length).map((result) => result.error),
    isLoading: isPending && kept.isNew,
    isFetching: results.some((result) => result.isFetching),
  };
}

function nameOf(labels: Labels, distinct: string, query: string): string {
  if (distinct !== '' && distinct !== '{}') return distinct;
  const own = writeSeries(labels);
  return own === '{}' ? query : own;
}

function highest<T extends { one: { values: readonly number[] } }>(all: readonly T[], count: number): T[] {
  const last = (entry: T) => entry.one.values.at(-1) ?? Number.NEGATIVE_INFINITY;
  return all.toSorted((left, right) => last(right) - last(left)).slice(0, count);
}

export function QueryChart(
  props: Omit<ChartProps, 'series' | 'span' | 'step'> & {
    queries: readonly DrawnQuery[];
    span: Span;
    /** Seconds. */
    step: number;
    /** Draws the same so many seconds earlier, dashed. */
    compare?: number;
  },
) {
  const { queries, span, step, compare, ...rest } = props;
  const answers = useRangeAnswers(queries, span, step, compare);
  return <AnsweredChart {...rest} answers={answers} span={span} step={step} />;
}

/** Draws what {@link useRangeAnswers} brought. */
export function AnsweredChart(props: Omit<ChartProps, 'series'> & { answers: RangeAnswers; span: Span; step: number }) {
  const t = useTexts(texts);
  const { answers, ...rest } = props;
  const error = answers.errors.find((one) => one !== null);
  const height = props.height ?? 240;
  if (error && answers.series.length === 0) return <Failed error={error} />;
  if (answers.isLoading && answers.series.length === 0) {
    return (
      <Box h={height} style={{ display: 'grid', placeItems: 'center' }}>
        <Loading />
      </Box>
    );
  }
  if (answers.series.length === 0) {
    return (
      <Box h={height} style={{ display: 'grid', placeItems: 'center' }}>
        <Text size="sm" c="dimmed" role="status">
          {t.nothing}
        </Text>
      </Box>
    );
  }
  const histograms = answers.answers.reduce((sum, one) => sum + (one?.histograms ?? 0), 0);
  return (
    <>
      {error && <Failed error={error} />}
      <Chart {...rest} series={answers.series} />
      {answers.series.length < answers.all && (
        <Text size="xs" c="dimmed">
          {t.many(answers.series.length, answers.all)}
        </Text>
      )}
      {histograms > 0 && (
        <Text size="xs" c="dimmed">
          {t.histograms(histograms)}
        </Text>
      )}
    </>
  );
}

/** What the server remarks about answers: once each. */
export function Remarks(props: { answers: readonly (QueryAnswer | undefined)[] }) {
  const remarks = [...new Set(props.answers.flatMap((one) => [...(one?.warnings ?? []), ...(one?.infos ?? [])]))];
  if (remarks.length === 0) return null;
  return (
    <Alert color="yellow" variant="light" p="xs" role="note">
      <List size="xs">
        {remarks.map((remark) => (
          <List.Item key={remark}>{remark}</List.Item>
        ))}
      </List>
    </Alert>
  );
}
