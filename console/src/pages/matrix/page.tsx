// Requirements against design, work, tests, objectives and evidence; gaps; and what changed between two baselines.
import { Anchor, Button, Group, Select, Text } from '@mantine/core';
import { IconDownload, IconFileText } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useMemo, useState } from 'react';
import { useKinds } from '../../api/discovery';
import { request } from '../../api/http';
import { keys } from '../../api/keys';
import type { Baseline, Requirement, WorkItem } from '../../api/maru';
import { resourcePath, useObjects } from '../../api/objects';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { CountStrip } from '../../ui/count-strip';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { FilterSelect } from '../../ui/filter-select';
import { Page } from '../../ui/page';
import { ProjectPicker, useProjectOr, useProjects } from '../../ui/project-picker';
import { StatusBadge, type Tone, toneColor } from '../../ui/status';
import { outcomeTone, PriorityMark, useSpineWord, VerdictBadge } from '../../ui/verdict';
import { When } from '../../ui/when';
import { ChangeDrawer } from './change';
import { toCsv } from './csv';
import classes from './matrix.module.css';
import {
  type BaselineContent,
  buildRows,
  type ChangeKind,
  diffRows,
  type Field,
  GAPS,
  type Gap,
  gapsOf,
  type Mark,
  type MatrixFilter,
  type MatrixRow,
  matches,
  parentNames,
  type RowChange,
} from './rows';
import { texts } from './texts';

const NOW = 'now';

export function Component() {
  const t = useTexts(texts);
  const [chosen, setProject] = useUrlState('project');
  const projects = useProjects();
  const project = useProjectOr(chosen);
  return (
    <Page
      title={t.title}
      actions={
        <>
          <ProjectPicker value={project ?? ''} onChange={setProject} />
          <Button
            component="a"
            href={paths.documents(project)}
            size="xs"
            variant="default"
            leftSection={<IconFileText size={14} aria-hidden />}
          >
            {t.document}
          </Button>
        </>
      }
    >
      {project !== undefined ? (
        <Matrix key={project} project={project} />
      ) : projects.status === 'loading' ? (
        <Loading />
      ) : projects.status === 'failed' ? (
        <Failed error={projects.error} />
      ) : (
        <Nothing />
      )}
    </Page>
  );
}

function Nothing() {
  const t = useTexts(texts);
  return (
    <Empty
      title={t.emptyTitle}
      action={
        <Button component="a" href={paths.requirements()}>
          {t.toRequirements}
        </Button>
      }
      command={'maru project init bank --language ko\nmaru apply -f bank/.maru -f bank/.maru/requirements'}
    >
      {t.empty}
    </Empty>
  );
}

/** A state of the project as rows: now, or as a baseline holds it. */
function useBaselineRows(project: string, baseline: string) {
  const kind = useKinds().find('baselines.maru.dev');
  const isAsked = baseline !== '' && baseline !== NOW && kind !== undefined;
  const path = kind ? resourcePath(kind, project, baseline, 'content') : '';
  const content = useQuery({
    queryKey: [...keys.object('baselines.maru.dev', project, baseline), 'content'],
    queryFn: ({ signal }) => request<BaselineContent>(path, { signal }),
    // What was signed never changes.
    staleTime: Number.POSITIVE_INFINITY,
    enabled: isAsked,
  });
  const objects = content.data?.objects;
  const rows = useMemo(
    () => objects && buildRows({ requirements: objects.Requirement ?? [], workItems: objects.WorkItem ?? [] }),
    [objects],
  );
  return {
    rows,
    hasWork: objects?.WorkItem !== undefined,
    error: content.error,
    isLoading: isAsked && content.isPending,
  };
}

function Matrix(props: { project: string }) {
  const { project } = props;
  const kinds = useKinds();
  const requirements = useObjects<Requirement>(kinds.find('requirements.maru.dev'), { namespace: project });
  const workItems = useObjects<WorkItem>(kinds.find('workitems.maru.dev'), { namespace: project });
  const baselines = useObjects<Baseline>(kinds.find('baselines.maru.dev'), { namespace: project });
  const [from, setFrom] = useUrlState('from');
  const [to, setTo] = useUrlState('to', NOW);
  const older = useBaselineRows(project, from);
  const newer = useBaselineRows(project, to);
  const isComparing = from !== '';
  const now = useMemo(
    () => buildRows({ requirements: requirements.items, workItems: workItems.items }),
    [requirements.items, workItems.items],
  );
  const after = !isComparing || to === NOW ? now : newer.rows;
  const before = from === NOW ? now : older.rows;
  const diff = useMemo(
    () => (isComparing && before && after ? diffRows(strip(before), strip(after)) : undefined),
    [isComparing, before, after],
  );
  const rows = useMemo(() => [...(after ?? []), ...(diff?.removed ?? [])], [after, diff]);

  if (requirements.status === 'loading') return <Loading />;
  if (requirements.status === 'failed') return <Failed error={requirements.error} />;
  if (requirements.items.length === 0) return <Nothing />;
  const error = older.error ?? newer.error;
  return (
    <>
      <Compare baselines={baselines.items} from={from} to={to} setFrom={setFrom} setTo={setTo} />
      {error !== null && <Failed error={error} />}
      {older.isLoading || newer.isLoading ? (
        <Loading />
      ) : (
        <Rows
          rows={rows}
          changes={diff?.changes}
          project={project}
          hasWork={!isComparing || to === NOW || newer.hasWork}
        />
      )}
    </>
  );
}

/** What is done for a requirement is no part of what was agreed, so it is not compared. */
function strip(rows: readonly MatrixRow[]): MatrixRow[] {
  return rows.map((row) => ({ ...row, work: [] }));
}

function Compare(props: {
  baselines: readonly Baseline[];
  from: string;
  to: string;
  setFrom: (name: string) => void;
  setTo: (name: string) => void;
}) {
  const t = useTexts(texts);
  const format = useFormat();
  const taken = props.baselines
    .filter((one) => one.status?.content !== undefined)
    .toSorted((a, b) => (b.status?.at ?? '').localeCompare(a.status?.at ?? ''));
  const data = taken.map((one) => ({
    value: one.metadata.name,
    label: t.taken(one.metadata.name, format.date(one.status?.at)),
  }));
  if (taken.length === 0) {
    return (
      <Text size="xs" c="dimmed" mb="xs">
        {t.noBaselines}
      </Text>
    );
  }
  return (
    <Group gap="xs" mb="sm" role="group" aria-label={t.compare}>
      <Select
        size="xs"
        w={210}
        aria-label={t.from}
        placeholder={t.nothing}
        leftSection={<PickLabel>{t.from}</PickLabel>}
        leftSectionWidth={44}
        clearable
        value={props.from === '' ? null : props.from}
        data={data}
        onChange={(value) => props.setFrom(value ?? '')}
      />
      {props.from !== '' && (
        <Select
          size="xs"
          w={210}
          aria-label={t.to}
          leftSection={<PickLabel>{t.to}</PickLabel>}
          leftSectionWidth={44}
          allowDeselect={false}
          value={props.to}
          data={[{ value: NOW, label: t.now }, ...data.filter((one) => one.value !== props.from)]}
          onChange={(value) => props.setTo(value ?? NOW)}
        />
      )}
    </Group>
  );
}

function PickLabel(props: { children: ReactNode }) {
  return (
    <Text size="xs" c="dimmed" aria-hidden>
      {props.children}
    </Text>
  );
}

const CHANGES: readonly { kind: ChangeKind; text: 'added' | 'changed' | 'removed' | 'verdictChanged'; tone: Tone }[] = [
  { kind: 'added', text: 'added', tone: 'good' },
  { kind: 'changed', text: 'changed', tone: 'warn' },
  { kind: 'removed', text: 'removed', tone: 'bad' },
  { kind: 'verdict', text: 'verdictChanged', tone: 'unknown' },
];

const GAP_TEXTS = {
  design: 'gapDesign',
  work: 'gapWork',
  check: 'gapCheck',
  evidence: 'gapEvidence',
  expired: 'gapExpired',
} as const;

function Rows(props: {
  rows: readonly MatrixRow[];
  changes: ReadonlyMap<string, RowChange> | undefined;
  project: string;
  /** Baselines of before hold no work items. */
  hasWork: boolean;
}) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const [text, setText] = useUrlState('q');
  const [sort, setSort] = useUrlState('sort');
  const [verdict, setVerdict] = useUrlState('verdict');
  const [priority, setPriority] = useUrlState('priority');
  const [kind, setKind] = useUrlState('class');
  const [gap, setGap] = useUrlState('gap');
  const [change, setChange] = useUrlState('change');
  const [opened, setOpened] = useState<RowChange>();
  const { rows, changes, project, hasWork } = props;
  // Expiry is looked at when rows change, not each second: five thousand rows stand still.
  const gaps = useMemo(() => {
    const parents = parentNames(rows);
    const now = Date.now();
    const of = (row: MatrixRow) => gapsOf(row, parents.has(row.name), now).filter((one) => hasWork || one !== 'work');
    return new Map(rows.map((row) => [row.name, of(row)]));
  }, [rows, hasWork]);
  const shown = useMemo(() => {
    const filter: MatrixFilter = { text, verdict, priority, kind, gap, change: changes ? change : '' };
    return rows.filter((row) => matches(row, filter, gaps.get(row.name) ?? NO_GAPS, changes?.get(row.name)));
  }, [rows, gaps, changes, text, verdict, priority, kind, gap, change]);
  const columns = useColumns(project, changes, setOpened);
  const count = (which: Gap) => rows.filter((row) => gaps.get(row.name)?.includes(which)).length;
  const isFiltered = [verdict, priority, kind, gap, change, text].some((one) => one !== '');
  return (
    <>
      <Group gap="0 0.75rem" align="flex-start">
        {changes && (
          <CountStrip
            label={t.changes}
            chosen={change}
            onChoose={setChange}
            counts={CHANGES.map((one) => ({
              id: one.kind,
              label: t[one.text],
              count: [...changes.values()].filter((own) => own.kind === one.kind).length,
              tone: one.tone,
            }))}
          />
        )}
        <CountStrip
          label={t.coverage}
          chosen={gap}
          onChoose={setGap}
          counts={GAPS.filter((one) => hasWork || one !== 'work').map((one) => ({
            id: one,
            label: t[GAP_TEXTS[one]],
            count: count(one),
            tone: 'warn' as const,
          }))}
        />
      </Group>
      <DataTable
        label={t.title}
        columns={columns}
        rows={shown}
        rowKey={(row) => row.name}
        rowHref={(row) => paths.requirement(project, row.name)}
        filter={[text, setText]}
        sort={[sort, setSort]}
        height="calc(100dvh - 17rem)"
        tools={
          <>
            <FilterSelect
              label={t.verdict}
              value={verdict}
              onChange={setVerdict}
              options={['Nonconforming', 'NotMeasured', 'Conforming', 'none'].map((one) => ({
                value: one,
                label: word(one),
              }))}
            />
            <FilterSelect
              label={t.priority}
              value={priority}
              onChange={setPriority}
              width={120}
              options={['must', 'should', 'could', 'wont'].map((one) => ({ value: one, label: word(one) }))}
            />
            <FilterSelect
              label={t.class}
              value={kind}
              onChange={setKind}
              options={['functional', 'nonFunctional'].map((one) => ({ value: one, label: word(one) }))}
            />
            {isFiltered && (
              <Anchor href={paths.matrix(project)} size="xs">
                {t.clear}
              </Anchor>
            )}
            <Button
              size="compact-xs"
              variant="subtle"
              leftSection={<IconDownload size={13} aria-hidden />}
              onClick={() => download(`${project}-matrix.csv`, toCsv(shown))}
            >
              {t.csv}
            </Button>
          </>
        }
      />
      {shown.length === 0 && (
        <Text p="md" c="dimmed" role="status">
          {t.none}
        </Text>
      )}
      <ChangeDrawer change={opened} project={project} close={() => setOpened(undefined)} />
    </>
  );
}

const NO_GAPS: readonly Gap[] = [];

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function useColumns(
  project: string,
  changes: ReadonlyMap<string, RowChange> | undefined,
  open: (change: RowChange) => void,
): Column<MatrixRow>[] {
  const t = useTexts(texts);
  const local = useLocalText();
  const word = useSpineWord();
  return useMemo(() => {
    const changed = (row: MatrixRow, ...fields: Field[]) => {
      const change = changes?.get(row.name);
      return change?.kind !== 'same' && fields.some((field) => change?.fields.has(field)) ? classes.changed : undefined;
    };
    const columns: Column<MatrixRow>[] = [
      {
        id: 'name',
        title: t.requirement,
        width: 'minmax(10rem, 2fr)',
        value: (row) => row.name,
        cell: (row) => (
          <span className={changes?.get(row.name)?.kind === 'removed' ? classes.removed : undefined}>
            <Text span inherit ff="monospace" fw={600}>
              {row.name}
            </Text>{' '}
            {local(row.title)}
          </span>
        ),
      },
      {
        id: 'verdict',
        title: t.verdict,
        width: '9.8rem',
        value: (row) => row.verdict ?? 'none',
        cell: (row) => (
          <span className={changed(row, 'verdict')}>
            <VerdictBadge verdict={row.verdict} />
          </span>
        ),
      },
      {
        id: 'priority',
        title: t.priority,
        width: '5rem',
        value: (row) => ['must', 'should', 'could', 'wont'].indexOf(row.priority),
        cell: (row) => (
          <span className={changed(row, 'priority')}>
            <PriorityMark priority={row.priority} />
          </span>
        ),
      },
      {
        id: 'design',
        title: t.design,
        width: 'minmax(6rem, 1fr)',
        value: (row) => row.design.join(' '),
        cell: (row) => <Names names={row.design} className={changed(row, 'design')} />,
      },
      {
        id: 'work',
        title: t.work,
        width: 'minmax(4.4rem, 0.7fr)',
        value: (row) => row.work.join(' '),
        cell: (row) => <Names names={row.work} className={undefined} />,
      },
      {
        id: 'tests',
        title: t.tests,
        width: 'minmax(7rem, 1.4fr)',
        value: (row) => row.tests.map((one) => one.label).join(' '),
        cell: (row) => <Marks marks={row.tests} className={changed(row, 'checks')} />,
      },
      {
        id: 'slos',
        title: t.slos,
        width: 'minmax(6.4rem, 1.1fr)',
        value: (row) => row.slos.map((one) => one.label).join(' '),
        cell: (row) => <Marks marks={row.slos} className={changed(row, 'checks')} />,
      },
      {
        id: 'others',
        title: t.others,
        width: 'minmax(6.6rem, 1.1fr)',
        value: (row) => row.others.map((one) => one.label).join(' '),
        cell: (row) => <Marks marks={row.others} className={changed(row, 'checks')} withMeans={word} />,
      },
      {
        id: 'evidence',
        title: t.evidence,
        width: 'minmax(6rem, 0.8fr)',
        value: (row) => row.measured,
        cell: (row) => {
          const [first] = row.evidence;
          if (first === undefined) return <span className={classes.none}>—</span>;
          return (
            <a href={paths.evidence(project, first)} className={classes.link}>
              {row.evidence.length} · <When time={row.measured} />
            </a>
          );
        },
      },
    ];
    if (changes) {
      // Work is not part of a baseline; a change of priority is told in the change itself.
      for (const id of ['work', 'priority']) {
        const at = columns.findIndex((column) => column.id === id);
        columns.splice(at, 1);
      }
      columns.splice(1, 0, {
        id: 'change',
        title: t.change,
        width: '9rem',
        value: (row) => CHANGES.findIndex((one) => one.kind === changes.get(row.name)?.kind),
        cell: (row) => <ChangeMark change={changes.get(row.name)} open={open} />,
      });
    }
    return columns;
  }, [t, local, word, project, changes, open]);
}

function ChangeMark(props: { change: RowChange | undefined; open: (change: RowChange) => void }) {
  const t = useTexts(texts);
  const { change, open } = props;
  const told = CHANGES.find((one) => one.kind === change?.kind);
  if (!change || !told) return <span className={classes.none}>{t.same}</span>;
  return (
    <button
      type="button"
      className={classes.button}
      aria-label={`${t[told.text]}: ${t.details((change.after ?? change.before)?.name ?? '')}`}
      onClick={() => open(change)}
    >
      <StatusBadge tone={told.tone} label={t[told.text]} title={t.show} />
    </button>
  );
}

function Names(props: { names: readonly string[]; className: string | undefined }) {
  if (props.names.length === 0) return <span className={classes.none}>—</span>;
  const text = props.names.join(', ');
  return (
    <span className={props.className} title={text}>
      {text}
    </span>
  );
}

/** Checks by a mark of their outcome, told apart by form too: a full dot, a square, a ring. */
function Marks(props: { marks: readonly Mark[]; className: string | undefined; withMeans?: (word: string) => string }) {
  const word = useSpineWord();
  if (props.marks.length === 0) return <span className={classes.none}>—</span>;
  return (
    <span className={props.className}>
      {props.marks.map((mark) => {
        const label = props.withMeans ? `${props.withMeans(mark.means)} ${mark.label}` : mark.label;
        const outcome = mark.outcome === undefined ? '' : word(mark.outcome);
        return (
          <span key={`${mark.means} ${mark.label}`} className={classes.check} title={`${label}: ${outcome}`}>
            <span
              className={classes.dot}
              data-outcome={mark.outcome}
              style={{ color: toneColor(outcomeTone(mark.outcome)) }}
              role="img"
              aria-label={outcome}
            />
            {label}
          </span>
        );
      })}
    </span>
  );
}
