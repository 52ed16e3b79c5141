// The stages of a project with what keeps each gate closed and what opens it; baselines; people's words.
import { Accordion, Anchor, Badge, Code, Group, Stack, Text } from '@mantine/core';
import { useKinds } from '../../api/discovery';
import type { Approval, Baseline, Project } from '../../api/maru';
import { useObjects } from '../../api/objects';
import { useStageTitle } from '../../i18n/stages';
import { useLocalText, useTexts } from '../../i18n/texts';
import { evidenceName } from '../../lib/spine';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { ProjectPicker, useProjectOr, useProjects } from '../../ui/project-picker';
import { Section } from '../../ui/section';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import { ApproveBaseline, TakeBaseline } from './acts';
import { linkOf } from './links';
import { texts } from './texts';

type Gate = NonNullable<NonNullable<Project['status']>['gates']>[number];
type Blocker = Gate['blocked'] extends readonly (infer One)[] | undefined ? One : never;

export function Component() {
  const t = useTexts(texts);
  const [chosen, choose] = useUrlState('project');
  const projects = useProjects();
  const namespace = useProjectOr(chosen);
  const project = projects.items.find((one) => one.metadata.namespace === namespace);
  return (
    <Page title={t.title} actions={<ProjectPicker value={chosen} onChange={choose} />}>
      {projects.status === 'loading' ? (
        <Loading />
      ) : project === undefined ? (
        projects.status === 'failed' && chosen === '' ? (
          <Failed error={projects.error} />
        ) : (
          <Empty title={t.empty} command="maru project init my-project">
            {t.emptyWhat}
          </Empty>
        )
      ) : (
        <Content project={project} />
      )}
    </Page>
  );
}

function Content(props: { project: Project }) {
  const t = useTexts(texts);
  const kinds = useKinds();
  const { project } = props;
  const namespace = project.metadata.namespace ?? '';
  const baselines = useObjects<Baseline>(kinds.find('baselines.maru.dev'), { namespace });
  const approvals = useObjects<Approval>(kinds.find('approvals.maru.dev'), { namespace });
  return (
    <Stack gap="lg">
      <Gates project={project} />
      <Section title={t.baselines} count={baselines.items.length} tools={<TakeBaseline namespace={namespace} />}>
        <Baselines project={project} baselines={baselines.items} />
      </Section>
      <Section title={t.approvals} count={approvals.items.length}>
        <Words namespace={namespace} approvals={approvals.items} />
      </Section>
    </Stack>
  );
}

/** Stages in their order, each with its gates. */
function byStage(gates: readonly Gate[]): [string, Gate[]][] {
  const stages = new Map<string, Gate[]>();
  for (const gate of gates) {
    const name = gate.gate ?? '';
    const stage = name.slice(0, Math.max(0, name.lastIndexOf('/'))) || name;
    stages.set(stage, [...(stages.get(stage) ?? []), gate]);
  }
  return [...stages];
}

function Gates(props: { project: Project }) {
  const t = useTexts(texts);
  const titleOf = useStageTitle();
  const { status } = props.project;
  const stages = byStage(status?.gates ?? []);
  return (
    <Section title={t.stages} count={stages.length}>
      {status?.reason && <Text c="var(--maru-bad)">{status.reason}</Text>}
      <Accordion multiple defaultValue={status?.stage ? [status.stage] : []} chevronPosition="left" variant="default">
        {stages.map(([stage, gates]) => {
          const blocked = gates.reduce((sum, gate) => sum + (gate.blocked?.length ?? 0), 0);
          const isOpen = gates.every((gate) => gate.open);
          return (
            <Accordion.Item key={stage} value={stage}>
              <Accordion.Control>
                <Group gap="sm" wrap="wrap">
                  <StatusBadge tone={isOpen ? 'good' : 'warn'} label={isOpen ? t.open : t.closed} />
                  <Text fw={600}>{titleOf(stage)}</Text>
                  {stage === status?.stage && (
                    <Badge variant="light" tt="none">
                      {t.now}
                    </Badge>
                  )}
                  {blocked > 0 && (
                    <Text size="sm" c="dimmed">
                      {t.blockers(blocked)}
                    </Text>
                  )}
                </Group>
              </Accordion.Control>
              <Accordion.Panel>
                {blocked === 0 ? (
                  <Text size="sm">{t.nothingBlocks}</Text>
                ) : (
                  <Stack gap="md">
                    {gates.flatMap((gate) =>
                      (gate.blocked ?? []).map((blocker) => (
                        <BlockerRow
                          key={`${gate.gate} ${blocker.from ?? ''} ${blocker.expression}`}
                          gate={gate}
                          blocker={blocker}
                          namespace={props.project.metadata.namespace ?? ''}
                        />
                      )),
                    )}
                  </Stack>
                )}
              </Accordion.Panel>
            </Accordion.Item>
          );
        })}
      </Accordion>
    </Section>
  );
}

function BlockerRow(props: { gate: Gate; blocker: Blocker; namespace: string }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const kinds = useKinds();
  const { blocker } = props;
  const objects = blocker.objects ?? [];
  const rest = (blocker.count ?? 0) - objects.length;
  return (
    <div>
      <Text fw={500}>
        {local(blocker.message)}
        {blocker.from && (
          <Text span size="sm" c="dimmed">
            {` (${t.from(blocker.from)})`}
          </Text>
        )}
      </Text>
      {blocker.error && (
        <Text size="sm" c="var(--maru-bad)">
          {blocker.error}
        </Text>
      )}
      {objects.length > 0 && (
        <Text size="sm">
          {t.because}:{' '}
          {objects.map((one, index) => {
            const href = linkOf(kinds, one.kind, props.namespace, one.name);
            return (
              <span key={`${one.kind} ${one.name}`}>
                {index > 0 && ', '}
                {href === undefined ? one.name : <Anchor href={href}>{one.name}</Anchor>}
              </span>
            );
          })}
          {rest > 0 && ` ${t.more(rest)}`}
        </Text>
      )}
      {(blocker.unblock ?? []).length > 0 && (
        <div>
          <Text size="sm" c="dimmed">
            {t.helps}:
          </Text>
          {(blocker.unblock ?? []).map((command) => (
            <Group key={command} gap={4} wrap="nowrap">
              <Code style={{ overflowX: 'auto' }}>{command}</Code>
              <Copy value={command} />
            </Group>
          ))}
        </div>
      )}
      {blocker.expression !== '' && (
        <details>
          <Text component="summary" size="xs" c="dimmed" style={{ cursor: 'pointer' }}>
            {t.condition}
          </Text>
          <Code block>{blocker.expression}</Code>
        </details>
      )}
    </div>
  );
}

function Baselines(props: { project: Project; baselines: readonly Baseline[] }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const namespace = props.project.metadata.namespace ?? '';
  if (props.baselines.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t.noBaselines}
      </Text>
    );
  }
  const last = props.project.status?.baseline;
  const columns: Column<Baseline>[] = [
    {
      id: 'name',
      title: t.name,
      cell: (row) => row.metadata.name,
      value: (row) => row.metadata.name,
    },
    { id: 'title', title: t.baselineTitle, cell: (row) => local(row.spec.title), width: '2fr' },
    {
      id: 'at',
      title: t.taken,
      cell: (row) => (row.status?.at ? <When time={row.status.at} style="exact" /> : row.status?.reason || t.waiting),
      value: (row) => row.status?.at,
      width: '11rem',
    },
    { id: 'holds', title: t.holds, cell: (row) => row.status?.requirements ?? 0, align: 'right', width: '7rem' },
    {
      id: 'changes',
      title: t.changes,
      width: '2fr',
      cell: (row) =>
        row.metadata.name === last && (props.project.status?.changeCount ?? 0) > 0
          ? t.changedSince(props.project.status?.changeCount ?? 0)
          : (row.status?.changeCount ?? 0),
    },
    {
      id: 'acts',
      title: '',
      width: '10rem',
      cell: (row) => <ApproveBaseline namespace={namespace} baseline={row} />,
    },
  ];
  return (
    <Stack gap="xs">
      <DataTable
        label={t.baselines}
        columns={columns}
        rows={props.baselines.toSorted((a, b) => (b.status?.at ?? '~').localeCompare(a.status?.at ?? '~'))}
        rowKey={(row) => row.metadata.name}
        height="20rem"
      />
      <div>
        <Anchor size="sm" href={paths.matrix(namespace)}>
          {t.compare}
        </Anchor>
      </div>
    </Stack>
  );
}

function Words(props: { namespace: string; approvals: readonly Approval[] }) {
  const t = useTexts(texts);
  if (props.approvals.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t.noApprovals}
      </Text>
    );
  }
  const about = (row: Approval) => row.spec.of.map((one) => `${one.kind} ${one.name}`).join(', ');
  const at = (row: Approval) => row.spec.at ?? row.metadata.creationTimestamp;
  const columns: Column<Approval>[] = [
    { id: 'about', title: t.what, cell: about, value: about, width: '2fr' },
    {
      id: 'decision',
      title: t.decision,
      width: '8rem',
      cell: (row) => (
        <StatusBadge
          tone={row.spec.decision === 'approved' ? 'good' : 'bad'}
          label={row.spec.decision === 'approved' ? t.approved : t.rejected}
        />
      ),
      value: (row) => row.spec.decision,
    },
    { id: 'role', title: t.role, cell: (row) => row.spec.role, value: (row) => row.spec.role },
    { id: 'by', title: t.who, cell: (row) => row.spec.by, value: (row) => row.spec.by },
    { id: 'at', title: t.when, cell: (row) => <When time={at(row)} />, value: at },
    {
      id: 'comment',
      title: t.comment,
      cell: (row) => row.spec.comment,
      value: (row) => row.spec.comment,
      width: '2fr',
    },
    {
      id: 'evidence',
      title: t.evidence,
      cell: (row) =>
        row.status?.evidence ? (
          <Anchor size="sm" href={paths.evidence(props.namespace, evidenceName(row.status.evidence))}>
            {evidenceName(row.status.evidence).slice(0, 15)}
          </Anchor>
        ) : (
          row.status?.reason
        ),
    },
  ];
  return (
    <DataTable
      label={t.approvals}
      columns={columns}
      rows={props.approvals.toSorted((a, b) => at(b).localeCompare(at(a)))}
      rowKey={(row) => row.metadata.name}
      height="24rem"
    />
  );
}
