// All metrics with what they are, their labels and values, and the queries that are asked of their kind.
import { Badge, Button, Code, Drawer, Group, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { labelNamesQuery, labelValuesQuery, type MetricMetadata, metadataQuery } from '../../api/prometheus';
import { defineTexts, useTexts } from '../../i18n/texts';
import { type Column, DataTable } from '../../ui/data-table';
import { Failed, Loading } from '../../ui/faces';
import { useLength } from '../../ui/time-range';

const texts = defineTexts(
  {
    title: 'Metrics',
    name: 'Name',
    type: 'Type',
    help: 'What it is',
    labels: 'Labels',
    label: 'Label',
    values: 'Values',
    use: 'Put into the query',
    suggestions: 'Usual queries',
    add: 'Add to the query',
    back: 'All metrics',
    none: 'No description.',
    more: (count: number) => `and ${count} more`,
    perSecond: (length: string) => `how fast it grew, over ${length}`,
    asIs: 'as it is',
    quantile: '99 of 100 are below',
    mean: 'mean',
    sum: 'all together',
  },
  {
    title: '메트릭',
    name: '이름',
    type: '종류',
    help: '설명',
    labels: '레이블',
    label: '레이블',
    values: '값',
    use: '쿼리에 넣기',
    suggestions: '자주 쓰는 쿼리',
    add: '쿼리에 더하기',
    back: '모든 메트릭',
    none: '설명이 없습니다.',
    more: (count) => `외 ${count}개`,
    perSecond: (length) => `${length} 동안의 초당 증가`,
    asIs: '값 그대로',
    quantile: '100개 중 99개가 이 아래',
    mean: '평균',
    sum: '전체 합',
  },
);

interface Metric {
  name: string;
  base: string;
  metadata: MetricMetadata | undefined;
}

export function MetricBrowser(props: { opened: boolean; close: () => void; use: (query: string) => void }) {
  const t = useTexts(texts);
  return (
    <Drawer opened={props.opened} onClose={props.close} title={t.title} position="right" size="xl">
      {props.opened && <Browser use={props.use} />}
    </Drawer>
  );
}

function Browser(props: { use: (query: string) => void }) {
  const t = useTexts(texts);
  const names = useQuery(labelValuesQuery('__name__'));
  const metadata = useQuery(metadataQuery);
  const [filter, setFilter] = useState('');
  const [chosen, setChosen] = useState<Metric>();
  const metrics = useMemo(
    () => (names.data ?? []).map((name): Metric => withMetadata(name, metadata.data ?? {})),
    [names.data, metadata.data],
  );
  if (names.isPending) return <Loading />;
  if (names.isError) return <Failed error={names.error} retry={() => void names.refetch()} />;
  if (chosen !== undefined) return <One metric={chosen} back={() => setChosen(undefined)} use={props.use} />;
  const columns: Column<Metric>[] = [
    {
      id: 'name',
      title: t.name,
      width: 'minmax(16rem, 2fr)',
      cell: (row) => <span style={{ fontFamily: 'var(--mantine-font-family-monospace)' }}>{row.name}</span>,
      value: (row) => row.name,
    },
    {
      id: 'type',
      title: t.type,
      width: '6rem',
      cell: (row) => row.metadata?.type ?? '',
      value: (row) => row.metadata?.type,
    },
    {
      id: 'help',
      title: t.help,
      width: 'minmax(12rem, 3fr)',
      cell: (row) => row.metadata?.help ?? '',
      value: (row) => row.metadata?.help,
    },
  ];
  return (
    <DataTable
      label={t.title}
      columns={columns}
      rows={metrics}
      rowKey={(row) => row.name}
      onRow={setChosen}
      filter={[filter, setFilter]}
      height="calc(100dvh - 8rem)"
    />
  );
}

/** The parts of a histogram or summary are described under the name of the whole. */
function withMetadata(name: string, metadata: Record<string, MetricMetadata[]>): Metric {
  const base = name.replace(/_(bucket|count|sum|total)$/, '');
  const own = metadata[name]?.[0];
  return {
    name,
    base: own === undefined && metadata[base] !== undefined ? base : name,
    metadata: own ?? metadata[base]?.[0],
  };
}

export function suggestions(
  name: string,
  base: string,
  type: string | undefined,
): { query: string; word: 'perSecond' | 'asIs' | 'quantile' | 'mean' | 'sum' }[] {
  if (type === 'histogram') {
    if (name.endsWith('_bucket') || name.endsWith('_sum') || name.endsWith('_count')) {
      return [
        { query: `histogram_quantile(0.99, sum by (le) (rate(${base}_bucket[5m])))`, word: 'quantile' },
        { query: `sum(rate(${base}_sum[5m])) / sum(rate(${base}_count[5m]))`, word: 'mean' },
        { query: `sum(rate(${base}_count[5m]))`, word: 'perSecond' },
      ];
    }
    return [{ query: `histogram_quantile(0.99, sum(rate(${name}[5m])))`, word: 'quantile' }];
  }
  if (type === 'counter' || /_(total|count|sum|bucket)$/.test(name)) {
    return [
      { query: `rate(${name}[5m])`, word: 'perSecond' },
      { query: `sum(rate(${name}[5m]))`, word: 'sum' },
    ];
  }
  return [
    { query: name, word: 'asIs' },
    { query: `sum(${name})`, word: 'sum' },
  ];
}

function One(props: { metric: Metric; back: () => void; use: (query: string) => void }) {
  const t = useTexts(texts);
  const length = useLength();
  const { metric } = props;
  const labels = useQuery(labelNamesQuery(metric.name));
  const words = { ...t, perSecond: t.perSecond(length('5m')) };
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Button size="compact-sm" variant="subtle" onClick={props.back}>
          ← {t.back}
        </Button>
        <Button size="xs" onClick={() => props.use(metric.name)}>
          {t.use}
        </Button>
      </Group>
      <div>
        <Group gap="xs">
          <Title
            order={2}
            style={{ overflowWrap: 'anywhere', fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '1rem' }}
          >
            {metric.name}
          </Title>
          {metric.metadata !== undefined && (
            <Badge variant="default" tt="none">
              {metric.metadata.type}
            </Badge>
          )}
        </Group>
        <Text size="sm" c="dimmed">
          {metric.metadata?.help || t.none}
        </Text>
      </div>
      <div>
        <Title order={3} mb={4}>
          {t.suggestions}
        </Title>
        <Stack gap={4}>
          {suggestions(metric.name, metric.base, metric.metadata?.type).map(({ query, word }) => (
            <Group key={query} gap="xs" wrap="nowrap">
              <Button
                size="compact-xs"
                variant="default"
                flex="none"
                onClick={() => props.use(query)}
                aria-label={`${t.use}: ${query}`}
              >
                {t.use}
              </Button>
              <Code style={{ overflowWrap: 'anywhere' }}>{query}</Code>
              <Text size="xs" c="dimmed" flex="none">
                {words[word]}
              </Text>
            </Group>
          ))}
        </Stack>
      </div>
      <div>
        <Title order={3} mb={4}>
          {t.labels}
        </Title>
        {labels.isPending && <Loading />}
        {labels.isError && <Failed error={labels.error} />}
        <Stack gap={6}>
          {labels.data
            ?.filter((name) => name !== '__name__')
            .map((name) => (
              <LabelValues key={name} metric={metric.name} label={name} use={props.use} />
            ))}
        </Stack>
      </div>
    </Stack>
  );
}

const VALUES_MAX = 24;

function LabelValues(props: { metric: string; label: string; use: (query: string) => void }) {
  const t = useTexts(texts);
  const values = useQuery(labelValuesQuery(props.label, props.metric));
  const shown = values.data?.slice(0, VALUES_MAX) ?? [];
  return (
    <Group gap={4} align="baseline">
      <Text size="sm" fw={600} w={120} style={{ overflowWrap: 'anywhere' }}>
        {props.label}
        {values.data !== undefined && (
          <Text span size="xs" c="dimmed" ml={4}>
            {values.data.length}
          </Text>
        )}
      </Text>
      <Group gap={4} flex={1}>
        {shown.map((value) => (
          <Button
            key={value}
            size="compact-xs"
            variant="default"
            fw={400}
            maw={280}
            onClick={() => props.use(`${props.metric}{${props.label}=${JSON.stringify(value)}}`)}
          >
            {value === '' ? '""' : value}
          </Button>
        ))}
        {(values.data?.length ?? 0) > VALUES_MAX && (
          <Text size="xs" c="dimmed">
            {t.more((values.data?.length ?? 0) - VALUES_MAX)}
          </Text>
        )}
      </Group>
    </Group>
  );
}
