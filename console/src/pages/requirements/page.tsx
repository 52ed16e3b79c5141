// All requirements with their verdicts: counted, filtered, sorted; what is filtered stands in the address.
import { Anchor, Button, Group, Text } from '@mantine/core';
import { IconAlertTriangle, IconLink, IconTable } from '@tabler/icons-react';
import { useMemo } from 'react';
import { useKinds } from '../../api/discovery';
import type { Requirement } from '../../api/maru';
import { useObjects } from '../../api/objects';
import { defineTexts, useLocalText, useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { CountStrip } from '../../ui/count-strip';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { FilterSelect } from '../../ui/filter-select';
import { Page } from '../../ui/page';
import { ProjectPicker } from '../../ui/project-picker';
import { PriorityMark, useSpineWord, VerdictBadge } from '../../ui/verdict';
import { categories, countVerdicts, isShown, LINTS, PRIORITIES, type RequirementFilter, VERDICTS } from './filter';

const texts = defineTexts(
  {
    title: 'Requirements',
    name: 'Name',
    project: 'Project',
    verdict: 'Verdict',
    verdicts: 'Verdicts',
    class: 'Class',
    priority: 'Priority',
    checks: 'Checks',
    components: 'Components',
    why: 'Why',
    findings: 'Findings',
    lint: 'Text and links',
    any: 'Any finding',
    error: 'Errors',
    warning: 'Warnings',
    suspect: 'Suspect links',
    conflict: 'In a conflict',
    clean: 'Nothing found',
    matrix: 'Matrix',
    clear: 'Clear all filters',
    none: 'No requirement is like this.',
    emptyTitle: 'No requirements yet',
    empty:
      'A requirement says what the system must do or be, and how that is checked. Its verdict follows from evidence.',
    first: 'Write the first requirement',
    count: (n: number) => `${n} findings`,
    suspectLinks: (n: number) => `${n} suspect links`,
    conflicts: (n: number) => `part of ${n} conflicts`,
  },
  {
    title: '요구사항',
    name: '이름',
    project: '프로젝트',
    verdict: '판정',
    verdicts: '판정별 개수',
    class: '분류',
    priority: '우선순위',
    checks: '검증',
    components: '구성 요소',
    why: '사유',
    findings: '지적',
    lint: '문장과 연결',
    any: '지적 있음',
    error: '오류',
    warning: '경고',
    suspect: '재검토할 연결',
    conflict: '충돌에 포함',
    clean: '지적 없음',
    matrix: '추적표',
    clear: '필터 모두 지우기',
    none: '조건에 맞는 요구사항이 없습니다.',
    emptyTitle: '아직 요구사항이 없습니다',
    empty: '요구사항은 시스템이 무엇을 해야 하는지, 그것을 어떻게 검증하는지 적은 것입니다. 판정은 증거에서 나옵니다.',
    first: '첫 요구사항 작성',
    count: (n) => `지적 ${n}건`,
    suspectLinks: (n) => `재검토할 연결 ${n}개`,
    conflicts: (n) => `충돌 ${n}건에 포함`,
  },
);

export function Component() {
  const t = useTexts(texts);
  const word = useSpineWord();
  const kinds = useKinds();
  const [project, setProject] = useUrlState('project');
  const [verdict, setVerdict] = useUrlState('verdict');
  const [kind, setKind] = useUrlState('class');
  const [priority, setPriority] = useUrlState('priority');
  const [lint, setLint] = useUrlState('lint');
  const [text, setText] = useUrlState('q');
  const [sort, setSort] = useUrlState('sort', 'name');
  const all = useObjects<Requirement>(kinds.find('requirements.maru.dev'), { namespace: project || undefined });
  const filter: RequirementFilter = useMemo(() => ({ verdict, kind, priority, lint }), [verdict, kind, priority, lint]);
  const rows = useMemo(() => all.items.filter((one) => isShown(one, filter)), [all.items, filter]);
  const namespaces = useMemo(() => new Set(all.items.map((one) => one.metadata.namespace)).size, [all.items]);
  const columns = useColumns(namespaces > 1);

  const counts = useMemo(() => countVerdicts(all.items), [all.items]);
  const isFiltered = [verdict, kind, priority, lint].some((one) => one !== '');

  return (
    <Page
      title={t.title}
      actions={
        <Button
          component="a"
          href={paths.matrix(project || undefined)}
          size="xs"
          variant="default"
          leftSection={<IconTable size={14} aria-hidden />}
        >
          {t.matrix}
        </Button>
      }
    >
      {all.status === 'loading' ? (
        <Loading />
      ) : all.status === 'failed' ? (
        <>
          <ProjectPicker value={project} onChange={setProject} all />
          <Failed error={all.error} />
        </>
      ) : all.items.length === 0 ? (
        <Empty
          title={t.emptyTitle}
          action={
            <Button component="a" href={paths.create(project || undefined)} size="sm">
              {t.first}
            </Button>
          }
          command={'maru project init bank --language ko\nmaru apply -f bank/.maru -f bank/.maru/requirements'}
        >
          {t.empty}
        </Empty>
      ) : (
        <>
          <CountStrip
            label={t.verdicts}
            chosen={verdict}
            onChoose={setVerdict}
            counts={VERDICTS.map((one) => ({
              id: one.id,
              label: word(one.id),
              count: counts[one.id] ?? 0,
              tone: one.tone,
            })).filter((one) => one.id !== 'none' || one.count > 0)}
          />
          <DataTable
            label={t.title}
            columns={columns}
            rows={rows}
            rowKey={(row) => `${row.metadata.namespace}/${row.metadata.name}`}
            rowHref={(row) => paths.requirement(row.metadata.namespace ?? '', row.metadata.name)}
            filter={[text, setText]}
            sort={[sort, setSort]}
            height="calc(100dvh - 13.5rem)"
            tools={
              <>
                <ProjectPicker value={project} onChange={setProject} all />
                <FilterSelect
                  label={t.class}
                  value={kind}
                  onChange={setKind}
                  options={['functional', 'nonFunctional', ...categories(all.items)].map((one) => ({
                    value: one,
                    label: word(one),
                  }))}
                />
                <FilterSelect
                  label={t.priority}
                  value={priority}
                  onChange={setPriority}
                  width={120}
                  options={PRIORITIES.map((one) => ({ value: one, label: word(one) }))}
                />
                <FilterSelect
                  label={t.lint}
                  value={lint}
                  onChange={setLint}
                  options={LINTS.map((one) => ({ value: one, label: t[one] }))}
                />
                {isFiltered && (
                  <Anchor href={paths.requirements(project || undefined)} size="xs">
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
      )}
    </Page>
  );
}

function useColumns(withProject: boolean): Column<Requirement>[] {
  const t = useTexts(texts);
  const local = useLocalText();
  const word = useSpineWord();
  return useMemo(() => {
    const reason = (row: Requirement) => local(row.status?.reasonText) || (row.status?.reason ?? '');
    const classOf = (row: Requirement) => {
      const told = row.status?.class;
      return told?.category ? word(told.category) : told?.kind ? word(told.kind) : '';
    };
    const columns: Column<Requirement>[] = [
      {
        id: 'name',
        title: t.name,
        width: 'minmax(12rem, 2.6fr)',
        value: (row) => `${row.metadata.name} ${local(row.spec.title)}`,
        cell: (row) => (
          <>
            <Text span inherit ff="monospace" fw={600}>
              {row.metadata.name}
            </Text>
            {row.spec.title !== undefined && <span> {local(row.spec.title)}</span>}
          </>
        ),
      },
      {
        id: 'verdict',
        title: t.verdict,
        width: '9.8rem',
        value: (row) => row.status?.verdict ?? 'none',
        cell: (row) => <VerdictBadge verdict={row.status?.verdict} />,
      },
      {
        id: 'why',
        title: t.why,
        width: 'minmax(9rem, 3fr)',
        value: reason,
        cell: (row) => (
          <Text span inherit c="dimmed" title={reason(row)}>
            {reason(row)}
          </Text>
        ),
      },
      { id: 'class', title: t.class, width: '7rem', value: classOf, cell: classOf },
      {
        id: 'priority',
        title: t.priority,
        width: '5rem',
        value: (row) => PRIORITIES.indexOf(row.spec.priority),
        cell: (row) => <PriorityMark priority={row.spec.priority} />,
      },
      {
        id: 'checks',
        title: t.checks,
        width: '4.8rem',
        align: 'right',
        value: (row) => row.spec.verify?.length ?? 0,
        cell: (row) => {
          const met = row.status?.checks?.filter((check) => check.outcome === 'Met').length ?? 0;
          const count = row.spec.verify?.length ?? 0;
          return count === 0 ? '—' : `${met}/${count}`;
        },
      },
      {
        id: 'components',
        title: t.components,
        width: 'minmax(6.6rem, 1fr)',
        value: (row) => row.spec.allocatedTo?.join(', '),
        cell: (row) => row.spec.allocatedTo?.join(', ') ?? '—',
      },
      {
        id: 'findings',
        title: t.findings,
        width: '5rem',
        value: (row) =>
          (row.status?.lint?.length ?? 0) + (row.status?.suspect?.length ?? 0) + (row.status?.conflicts?.length ?? 0),
        cell: (row) => <Findings row={row} />,
      },
    ];
    if (withProject) {
      columns.splice(1, 0, {
        id: 'project',
        title: t.project,
        width: '5.5rem',
        value: (row) => row.metadata.namespace,
        cell: (row) => row.metadata.namespace,
      });
    }
    return columns;
  }, [t, local, word, withProject]);
}

function Findings(props: { row: Requirement }) {
  const t = useTexts(texts);
  const { lint = [], suspect = [], conflicts = [] } = props.row.status ?? {};
  const isGrave = lint.some((one) => one.severity === 'error');
  if (lint.length + suspect.length + conflicts.length === 0) return <>—</>;
  const color = isGrave || conflicts.length > 0 ? 'var(--maru-bad)' : 'var(--maru-warn)';
  const told = [
    lint.length > 0 ? t.count(lint.length) : '',
    suspect.length > 0 ? t.suspectLinks(suspect.length) : '',
    conflicts.length > 0 ? t.conflicts(conflicts.length) : '',
  ].filter(Boolean);
  return (
    <Group gap={8} wrap="nowrap" title={told.join(', ')} c={color}>
      {lint.length > 0 && (
        <Group gap={3} wrap="nowrap">
          <IconAlertTriangle size={14} aria-label={t.count(lint.length)} />
          {lint.length}
        </Group>
      )}
      {suspect.length > 0 && (
        <Group gap={3} wrap="nowrap">
          <IconLink size={14} aria-label={t.suspectLinks(suspect.length)} />
          {suspect.length}
        </Group>
      )}
      {conflicts.length > 0 && (
        <Text span inherit fw={700} aria-label={t.conflicts(conflicts.length)}>
          ≠ {conflicts.length}
        </Text>
      )}
    </Group>
  );
}
