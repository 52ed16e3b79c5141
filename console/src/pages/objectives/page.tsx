// All objectives: the verdict, the interval, what is left of the budget.
import { Anchor, Button } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import type { ServiceLevelObjective } from '../../api/maru';
import { useMetadata, useObjects } from '../../api/objects';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Interval } from '../../ui/interval';
import { Page } from '../../ui/page';
import { useLength } from '../../ui/time-range';
import { OutcomeBadge } from '../../ui/verdict';
import { Budget } from './budget';
import { CreateObjective } from './create';
import { requirementOf, windowOf, worstOf } from './model';
import { texts } from './texts';

const WEIGHT: Record<string, number> = { Violated: 0, Insufficient: 1, Met: 2 };
const COMMAND = 'maru slo from "99.9 % of a day\'s API responses within 100 ms" --service orders | kubectl apply -f -';

export function Component() {
  const t = useTexts(texts);
  const format = useFormat();
  const local = useLocalText();
  const length = useLength();
  const kinds = useKinds();
  const kind = kinds.find('servicelevelobjectives.maru.dev');
  const objectives = useObjects<ServiceLevelObjective>(kind);
  const namespaces = useMetadata(kinds.find('namespaces'));
  const mayCreate = useCan(kind && { verb: 'create', kind });
  const [filter, setFilter] = useUrlState('q');
  const [sort, setSort] = useUrlState('sort');
  const [making, setMaking] = useState(false);
  const windowText = (row: ServiceLevelObjective) => {
    const window = windowOf(row.spec);
    if (window === undefined) return '';
    const words = length(window.length);
    return window.zone === undefined ? t.rolling(words) : t.calendar(words, window.zone);
  };
  const columns: Column<ServiceLevelObjective>[] = [
    {
      id: 'name',
      title: t.name,
      width: 'minmax(8rem, 1.6fr)',
      cell: (row) => <span title={`${row.metadata.namespace}/${row.metadata.name}`}>{row.metadata.name}</span>,
      value: (row) => `${row.metadata.name} ${row.metadata.namespace}`,
    },
    {
      id: 'outcome',
      title: t.outcome,
      width: '8.2rem',
      cell: (row) => <OutcomeBadge outcome={row.status?.outcome} title={local(row.status?.reason)} />,
      value: (row) => WEIGHT[row.status?.outcome ?? ''] ?? 3,
    },
    {
      id: 'target',
      title: t.target,
      width: '5rem',
      align: 'right',
      cell: (row) => targetText(worstOf(row)?.target, format),
      value: (row) => worstOf(row)?.target,
    },
    {
      id: 'measured',
      title: t.measured,
      width: '5.2rem',
      align: 'right',
      cell: (row) => targetText(worstOf(row)?.judged.ratio, format),
      value: (row) => worstOf(row)?.judged.ratio,
    },
    {
      id: 'interval',
      title: t.interval,
      width: '8.2rem',
      cell: (row) => {
        const worst = worstOf(row);
        return worst === undefined || worst.judged.ratio === undefined ? (
          '—'
        ) : (
          <IntervalOf judged={worst.judged} target={worst.target} width={115} />
        );
      },
    },
    {
      id: 'budget',
      title: t.budget,
      width: '7.5rem',
      cell: (row) => <Budget left={worstOf(row)?.judged.budgetLeft} width={60} />,
      value: (row) => worstOf(row)?.judged.budgetLeft,
    },
    {
      id: 'gone',
      title: t.goneIn,
      width: '5.2rem',
      cell: (row) => (row.status?.hoursLeft === undefined ? '—' : format.seconds(row.status.hoursLeft * 3600)),
      value: (row) => row.status?.hoursLeft,
    },
    { id: 'window', title: t.window, width: 'minmax(5rem, 1fr)', cell: windowText, value: windowText },
    {
      id: 'requirement',
      title: t.requirement,
      width: 'minmax(6.5rem, 1fr)',
      cell: (row) => {
        const requirement = requirementOf(row);
        return requirement === undefined ? (
          ''
        ) : (
          <Anchor size="sm" href={paths.requirement(row.metadata.namespace ?? '', requirement)}>
            {requirement}
          </Anchor>
        );
      },
      value: requirementOf,
    },
  ];
  const make = (
    <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => setMaking(true)}>
      {t.make}
    </Button>
  );
  return (
    <Page title={t.title} actions={mayCreate === true ? make : undefined}>
      {objectives.status === 'loading' ? (
        <Loading />
      ) : objectives.status === 'failed' ? (
        <Failed error={objectives.error} />
      ) : objectives.items.length === 0 ? (
        <Empty title={t.empty} action={mayCreate === true ? make : undefined} command={COMMAND}>
          {t.emptyHint}
        </Empty>
      ) : (
        <DataTable
          label={t.title}
          columns={columns}
          rows={objectives.items.toSorted(
            (left, right) => (WEIGHT[left.status?.outcome ?? ''] ?? 3) - (WEIGHT[right.status?.outcome ?? ''] ?? 3),
          )}
          rowKey={(row) => row.metadata.uid}
          rowHref={(row) => paths.objective(row.metadata.namespace ?? '', row.metadata.name)}
          filter={[filter, setFilter]}
          sort={[sort, setSort]}
        />
      )}
      {kind !== undefined && (
        <CreateObjective
          kind={kind}
          namespaces={namespaces.items.map((one) => one.metadata.name)}
          opened={making}
          close={() => setMaking(false)}
        />
      )}
    </Page>
  );
}

/** 0.9995 is `99.95 %`: as many digits as tell it from the whole. */
export function targetText(ratio: number | undefined, format: ReturnType<typeof useFormat>): string {
  return ratio === undefined ? '—' : format.percent(ratio, 4);
}

export function IntervalOf(props: { judged: Parameters<typeof worstInterval>[0]; target: number; width?: number }) {
  return (
    <Interval
      measured={worstInterval(props.judged)}
      bound={{ value: props.target, side: 'atLeast' }}
      {...(props.width === undefined ? {} : { width: props.width })}
    />
  );
}

function worstInterval(judged: {
  ratio?: number;
  low?: number;
  high?: number;
  outcome: 'Met' | 'Violated' | 'Insufficient';
}) {
  return {
    outcome: judged.outcome,
    unit: 'ratio' as const,
    ...(judged.ratio === undefined ? {} : { value: judged.ratio }),
    ...(judged.low === undefined ? {} : { low: judged.low }),
    ...(judged.high === undefined ? {} : { high: judged.high }),
  };
}
