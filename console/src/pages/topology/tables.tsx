// The graph in words: for keyboards, screen readers and small screens.
import { Stack, Title } from '@mantine/core';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { NONE } from '../../lib/format';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { type Column, DataTable } from '../../ui/data-table';
import { StatusBadge, type Tone } from '../../ui/status';
import { nodeName } from './graph';
import {
  type CallEdge,
  type CallState,
  type Red,
  type ServiceNode,
  type Topology,
  worstOutcome,
  worstVerdict,
} from './model';
import { texts } from './texts';

export const CALL_TONES: Record<CallState, Tone> = {
  both: 'good',
  plain: 'unknown',
  unknown: 'unknown',
  drawn: 'warn',
  seen: 'bad',
};
const SERVICE = { group: '', plural: 'services' };

export function Tables(props: { topology: Topology }) {
  const t = useTexts(texts);
  const format = useFormat();
  const filter = useUrlState('q');
  const { nodes, edges } = props.topology;
  const nameOf = new Map(nodes.map((node) => [node.id, nodeName(t, node)]));
  const redColumns = <T extends { red: Red | undefined }>(): Column<T>[] => [
    {
      id: 'rate',
      title: t.rate,
      cell: ({ red }) => (red ? t.perSecond(format.number(red.rate)) : NONE),
      value: ({ red }) => red?.rate,
      align: 'right',
      width: '7rem',
    },
    {
      id: 'errors',
      title: t.errors,
      cell: ({ red }) => (red?.errors === undefined ? NONE : format.percent(red.errors)),
      value: ({ red }) => red?.errors,
      align: 'right',
      width: '6rem',
    },
    {
      id: 'p95',
      title: t.p95,
      cell: ({ red }) => (red?.p95 === undefined ? NONE : format.seconds(red.p95)),
      value: ({ red }) => red?.p95,
      align: 'right',
      width: '8rem',
    },
  ];
  const calls: Column<CallEdge>[] = [
    { id: 'from', title: t.from, cell: (one) => nameOf.get(one.from), value: (one) => nameOf.get(one.from) },
    { id: 'to', title: t.to, cell: (one) => nameOf.get(one.to), value: (one) => nameOf.get(one.to) },
    {
      id: 'state',
      title: t.state,
      cell: (one) => <StatusBadge tone={CALL_TONES[one.state]} label={t[one.state]} />,
      value: (one) => t[one.state],
      width: '11rem',
    },
    ...redColumns<CallEdge>(),
    {
      id: 'connections',
      title: t.connectionsTitle,
      cell: (one) => one.connections ?? NONE,
      value: (one) => one.connections,
      align: 'right',
      width: '7rem',
    },
  ];
  const services: Column<ServiceNode>[] = [
    { id: 'name', title: t.name, cell: (one) => nodeName(t, one), value: (one) => nodeName(t, one) },
    {
      id: 'copies',
      title: t.copies,
      cell: (one) => (one.kind === 'drawn' ? t.notThere : one.pods === 0 ? NONE : `${one.ready}/${one.pods}`),
      value: (one) => one.ready,
      width: '9rem',
    },
    ...redColumns<ServiceNode>(),
    {
      id: 'requirements',
      title: t.requirements,
      cell: (one) => {
        const tone = worstVerdict(one.requirements);
        return tone === undefined ? (
          one.requirements.length || NONE
        ) : (
          <StatusBadge
            tone={tone}
            label={`${one.requirements.length}`}
            title={t.requirementsOf(one.requirements.length)}
          />
        );
      },
      value: (one) => one.requirements.length,
      width: '8rem',
    },
    {
      id: 'objectives',
      title: t.objectives,
      cell: (one) => {
        const tone = worstOutcome(one.objectives);
        return tone === undefined ? (
          one.objectives.length || NONE
        ) : (
          <StatusBadge tone={tone} label={`${one.objectives.length}`} title={t.objectivesOf(one.objectives.length)} />
        );
      },
      value: (one) => one.objectives.length,
      width: '7rem',
    },
    { id: 'context', title: t.context, cell: (one) => one.context ?? NONE, value: (one) => one.context, width: '8rem' },
  ];
  return (
    <Stack>
      <section aria-labelledby="calls">
        <Title order={2} size="h4" mb="xs" id="calls">
          {t.calls}
        </Title>
        <DataTable
          label={t.calls}
          columns={calls}
          rows={edges}
          rowKey={(one) => one.id}
          filter={filter}
          height="40dvh"
        />
      </section>
      <section aria-labelledby="services">
        <Title order={2} size="h4" mb="xs" id="services">
          {t.services}
        </Title>
        <DataTable
          label={t.services}
          columns={services}
          rows={nodes.filter((one) => one.kind !== 'outside')}
          rowKey={(one) => one.id}
          rowHref={(one) => (one.kind === 'drawn' ? undefined : paths.object(SERVICE, one.namespace, one.name))}
          height="40dvh"
        />
      </section>
    </Stack>
  );
}
