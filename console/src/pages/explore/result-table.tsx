// What a query is at one moment: a line a series, a column a label.
import { Code, Text } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { instantQuery, type QueryAnswer } from '../../api/prometheus';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import type { Labels } from '../../lib/series';
import { formatValue } from '../../lib/units';
import { type Column, DataTable } from '../../ui/data-table';
import { Failed, Loading } from '../../ui/faces';
import { Remarks } from '../../ui/query-chart';

const texts = defineTexts(
  {
    result: (query: string) => `Values of ${query}`,
    metric: 'Metric',
    value: 'Value',
    nothing: 'No series at this moment.',
    at: (time: string) => `At ${time}`,
    samples: (count: number, last: string) => `${count} samples, the last ${last}`,
  },
  {
    result: (query) => `${query}의 값`,
    metric: '메트릭',
    value: '값',
    nothing: '이 시각에 시계열이 없습니다.',
    at: (time) => `${time} 기준`,
    samples: (count, last) => `표본 ${count}개, 마지막 값 ${last}`,
  },
);

const LABELS_MAX = 14;

interface Row {
  key: string;
  labels: Labels;
  value: number;
  text: string;
}

export function ResultTable(props: { query: string; time: number; unit: string }) {
  const t = useTexts(texts);
  const format = useFormat();
  const answer = useQuery({
    ...instantQuery(props.query, props.time),
    enabled: props.query.trim() !== '',
    placeholderData: keepPreviousData,
  });
  const [filter, setFilter] = useState('');
  const rows = useMemo(() => rowsOf(answer.data, props.unit, format, t), [answer.data, props.unit, format, t]);
  if (answer.isPending) return <Loading />;
  if (answer.isError) return <Failed error={answer.error} />;
  if (answer.data.text !== undefined) return <Code block>{answer.data.text}</Code>;
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort(byName).slice(0, LABELS_MAX);
  const columns: Column<Row>[] = [
    ...names.map(
      (name): Column<Row> => ({
        id: name,
        title: name === '__name__' ? t.metric : name,
        cell: (row) => <span title={row.labels[name]}>{row.labels[name] ?? ''}</span>,
        value: (row) => row.labels[name],
        width: 'minmax(7rem, 1fr)',
      }),
    ),
    {
      id: 'value',
      title: t.value,
      align: 'right',
      width: 'minmax(8rem, 1fr)',
      cell: (row) => <b title={String(row.value)}>{row.text}</b>,
      value: (row) => row.value,
    },
  ];
  return (
    <>
      <Remarks answers={[answer.data]} />
      {rows.length === 0 ? (
        <Text size="sm" c="dimmed" p="md" role="status">
          {t.nothing}
        </Text>
      ) : (
        <DataTable
          label={t.result(props.query)}
          columns={columns}
          rows={rows}
          rowKey={(row) => row.key}
          filter={[filter, setFilter]}
          height="26rem"
          tools={
            <Text size="xs" c="dimmed">
              {t.at(format.dateTime(props.time * 1000))}
            </Text>
          }
        />
      )}
    </>
  );
}

function byName(left: string, right: string): number {
  return Number(right === '__name__') - Number(left === '__name__') || (left < right ? -1 : 1);
}

function rowsOf(
  answer: QueryAnswer | undefined,
  unit: string,
  format: ReturnType<typeof useFormat>,
  t: { samples: (count: number, last: string) => string },
): Row[] {
  return (answer?.series ?? []).map((series, index) => {
    const value = series.values.at(-1) ?? Number.NaN;
    const text = formatValue(value, unit, format);
    return {
      key: `${index} ${JSON.stringify(series.labels)}`,
      labels: series.labels,
      value,
      text: series.values.length > 1 || answer?.type === 'matrix' ? t.samples(series.values.length, text) : text,
    };
  });
}
