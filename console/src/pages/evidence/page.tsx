// All evidence of a project, newest first, and the state of its chain.
import { Anchor, Group, Text } from '@mantine/core';
import { useMemo } from 'react';
import { useKinds } from '../../api/discovery';
import type { Evidence, Project } from '../../api/maru';
import { useObjects } from '../../api/objects';
import { useTexts } from '../../i18n/texts';
import { useNow } from '../../i18n/use-format';
import { toMs } from '../../lib/format';
import { evidenceKind, measuredText, shortDigest } from '../../lib/spine';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { CountStrip } from '../../ui/count-strip';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { FilterSelect } from '../../ui/filter-select';
import { Page } from '../../ui/page';
import { ProjectPicker, useProjectOr, useProjects } from '../../ui/project-picker';
import { StatusBadge } from '../../ui/status';
import { OutcomeBadge, useSpineWord } from '../../ui/verdict';
import { When } from '../../ui/when';
import { texts } from './texts';

export function Component() {
  const t = useTexts(texts);
  const [chosen, setProject] = useUrlState('project');
  const projects = useProjects();
  const project = useProjectOr(chosen);
  const own = projects.items.find((one) => one.metadata.namespace === project);
  return (
    <Page title={t.title} actions={<ProjectPicker value={project ?? ''} onChange={setProject} />}>
      {own && <Chain project={own} />}
      {project !== undefined ? (
        <List project={project} />
      ) : projects.status === 'loading' ? (
        <Loading />
      ) : projects.status === 'failed' ? (
        <Failed error={projects.error} />
      ) : (
        <Nothing project="shop" />
      )}
    </Page>
  );
}

function Nothing(props: { project: string }) {
  const t = useTexts(texts);
  return (
    <Empty title={t.emptyTitle} command={`sudo maru -n ${props.project} evidence attest --environment dev report.xml`}>
      {t.empty}
    </Empty>
  );
}

function Chain(props: { project: Project }) {
  const t = useTexts(texts);
  const { status } = props.project;
  if (!status?.chainLength) return null;
  return (
    <Group gap="md" mb="sm" fz="sm">
      <Text inherit>
        <Text span inherit c="dimmed">
          {t.chain}
        </Text>{' '}
        {t.allOf(status.chainLength)}
      </Text>
      {status.chainHead !== undefined && (
        <Group gap={4}>
          <Text inherit c="dimmed">
            {t.head}
          </Text>
          <Text inherit ff="monospace">
            {shortDigest(status.chainHead)}
          </Text>
          <Copy value={status.chainHead} />
        </Group>
      )}
      {status.keyId !== undefined && (
        <Group gap={4}>
          <Text inherit c="dimmed">
            {t.key}
          </Text>
          <Text inherit ff="monospace">
            {status.keyId.slice(0, 12)}
          </Text>
          <Copy value={status.keyId} />
        </Group>
      )}
    </Group>
  );
}

type Standing = 'verified' | 'broken' | 'unchecked';

function standing(evidence: Evidence): Standing {
  if (evidence.status?.verified === undefined) return 'unchecked';
  return evidence.status.verified ? 'verified' : 'broken';
}

function List(props: { project: string }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const all = useObjects<Evidence>(useKinds().find('evidence.maru.dev'), { namespace: props.project });
  const [text, setText] = useUrlState('q');
  const [sort, setSort] = useUrlState('sort', '-sequence');
  const [kind, setKind] = useUrlState('kind');
  const [outcome, setOutcome] = useUrlState('outcome');
  const [environment, setEnvironment] = useUrlState('environment');
  const [stands, setStands] = useUrlState('stands');
  const rows = useMemo(
    () =>
      all.items.filter(
        (one) =>
          (kind === '' || evidenceKind(one.spec.predicateType) === kind) &&
          (outcome === '' || one.spec.result.outcome === outcome) &&
          (environment === '' || one.spec.environment === environment) &&
          (stands === '' || standing(one) === stands),
      ),
    [all.items, kind, outcome, environment, stands],
  );
  const columns = useColumns(all.items.some((one) => one.spec.validUntil !== undefined));
  if (all.status === 'loading') return <Loading />;
  if (all.status === 'failed') return <Failed error={all.error} />;
  if (all.items.length === 0) return <Nothing project={props.project} />;
  const distinct = (of: (one: Evidence) => string | undefined) =>
    [...new Set(all.items.flatMap((one) => of(one) ?? []))].toSorted();
  const count = (which: Standing) => all.items.filter((one) => standing(one) === which).length;
  return (
    <>
      <CountStrip
        label={t.stands}
        chosen={stands}
        onChoose={setStands}
        counts={[
          { id: 'broken', label: t.broken, count: count('broken'), tone: 'bad' as const },
          { id: 'unchecked', label: t.unchecked, count: count('unchecked'), tone: 'warn' as const },
          { id: 'verified', label: t.verified, count: count('verified'), tone: 'good' as const },
        ]}
      />
      <DataTable
        label={t.title}
        columns={columns}
        rows={rows}
        rowKey={(row) => row.metadata.name}
        rowHref={(row) => paths.evidence(row.metadata.namespace ?? '', row.metadata.name)}
        filter={[text, setText]}
        sort={[sort, setSort]}
        height="calc(100dvh - 16rem)"
        tools={
          <>
            <FilterSelect
              label={t.kind}
              value={kind}
              onChange={setKind}
              options={distinct((one) => evidenceKind(one.spec.predicateType)).map((one) => ({
                value: one,
                label: word(one),
              }))}
            />
            <FilterSelect
              label={t.outcome}
              value={outcome}
              onChange={setOutcome}
              width={120}
              options={['Met', 'Violated', 'Insufficient'].map((one) => ({ value: one, label: word(one) }))}
            />
            <FilterSelect
              label={t.environment}
              value={environment}
              onChange={setEnvironment}
              width={120}
              options={distinct((one) => one.spec.environment).map((one) => ({ value: one, label: one }))}
            />
            {[kind, outcome, environment, stands].some((one) => one !== '') && (
              <Anchor href={paths.evidenceList(props.project)} size="xs">
                {t.clear}
              </Anchor>
            )}
          </>
        }
      />
      {rows.length === 0 && (
        <Text p="md" c="dimmed" role="status">
          {t.none}
        </Text>
      )}
    </>
  );
}

function useColumns(withExpiry: boolean): Column<Evidence>[] {
  const t = useTexts(texts);
  const word = useSpineWord();
  return useMemo(() => {
    const about = (row: Evidence) =>
      row.spec.subjects
        .filter((one) => one.kind === 'requirement')
        .map((one) => one.name)
        .join(', ') || row.spec.subjects.map((one) => one.name).join(', ');
    const columns: Column<Evidence>[] = [
      {
        id: 'name',
        title: t.name,
        width: 'minmax(10rem, 1.4fr)',
        value: (row) => `${row.spec.name ?? ''} ${row.metadata.name}`,
        cell: (row) => (
          <span title={row.metadata.name}>
            <Text span inherit fw={600}>
              {row.spec.name || '—'}
            </Text>{' '}
            <Text span inherit ff="monospace" size="xs" c="dimmed">
              {row.metadata.name.replace('sha256-', '').slice(0, 8)}
            </Text>
          </span>
        ),
      },
      {
        id: 'sequence',
        title: t.sequence,
        width: '3.8rem',
        align: 'right',
        value: (row) => row.status?.sequence,
        cell: (row) => row.status?.sequence ?? '—',
      },
      {
        id: 'kind',
        title: t.kind,
        width: '6.2rem',
        value: (row) => word(evidenceKind(row.spec.predicateType)),
        cell: (row) => word(evidenceKind(row.spec.predicateType)),
      },
      {
        id: 'outcome',
        title: t.outcome,
        width: '7.6rem',
        value: (row) => row.spec.result.outcome,
        cell: (row) => <OutcomeBadge outcome={row.spec.result.outcome} />,
      },
      {
        id: 'value',
        title: t.value,
        width: '5.6rem',
        align: 'right',
        value: (row) => row.spec.result.value,
        cell: (row) => measuredText(row.spec.result.value, row.spec.result.unit) || '—',
      },
      { id: 'about', title: t.about, width: 'minmax(7rem, 1.6fr)', value: about, cell: about },
      {
        id: 'environment',
        title: t.environment,
        width: '6.8rem',
        value: (row) => row.spec.environment,
        cell: (row) => row.spec.environment ?? '—',
      },
      {
        id: 'measured',
        title: t.measured,
        width: '7.8rem',
        value: (row) => toMs(row.spec.window.to),
        cell: (row) => <When time={row.spec.window.to} />,
      },
      {
        id: 'until',
        title: t.until,
        width: '9rem',
        value: (row) => toMs(row.spec.validUntil),
        cell: (row) => <Until time={row.spec.validUntil} />,
      },
      {
        id: 'stands',
        title: t.stands,
        width: '8.5rem',
        value: standing,
        cell: (row) => <Stands evidence={row} />,
      },
    ];
    return columns.filter((column) => withExpiry || column.id !== 'until');
  }, [t, word, withExpiry]);
}

function Until(props: { time: string | undefined }) {
  const t = useTexts(texts);
  const now = useNow();
  const at = toMs(props.time);
  if (at === undefined) return <>—</>;
  return at <= now ? (
    <Text span inherit c="var(--maru-bad)">
      {t.expired} <When time={props.time} />
    </Text>
  ) : (
    <When time={props.time} />
  );
}

export function Stands(props: { evidence: Evidence }) {
  const t = useTexts(texts);
  const state = standing(props.evidence);
  const tone = state === 'verified' ? 'good' : state === 'broken' ? 'bad' : 'pending';
  return <StatusBadge tone={tone} label={t[state]} title={props.evidence.status?.reason || t[state]} />;
}
