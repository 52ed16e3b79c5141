// Can the requirements hold together? What stands in the way, how far each must give, and what if limits were others.
import { ActionIcon, Alert, Anchor, Button, Code, Group, Loader, Slider, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconArrowBackUp } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { request } from '../../api/http';
import { keys } from '../../api/keys';
import type { ArchitectureStatus, Relaxation } from '../../api/maru';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { ProjectPicker, useProjectOr, useProjects } from '../../ui/project-picker';
import { Section } from '../../ui/section';
import { StatusBadge } from '../../ui/status';
import { useSpineWord } from '../../ui/verdict';
import classes from './analysis.module.css';
import { atPosition, limitIn, positionOf, readTried, writeTried } from './limits';
import { texts } from './texts';

interface Limit {
  requirement: string;
  title?: { en?: string; ko?: string } | string;
  priority: string;
  indicator: string;
  field: string;
  value: string;
}

interface Answer {
  architecture: string;
  architectures: string[];
  status: ArchitectureStatus;
  limits: Limit[];
  currency?: string;
}

const NOTHING: ReadonlyMap<string, string> = new Map();

const keyOf = (limit: Pick<Limit, 'requirement' | 'field'>) => `${limit.requirement}.${limit.field}`;

export function Component() {
  const t = useTexts(texts);
  const [chosen, choose] = useUrlState('project');
  const projects = useProjects();
  const namespace = useProjectOr(chosen);
  return (
    <Page title={t.title} actions={<ProjectPicker value={chosen} onChange={choose} />}>
      {namespace !== undefined ? (
        <Analysis key={namespace} project={namespace} />
      ) : projects.status === 'loading' ? (
        <Loading />
      ) : projects.status === 'failed' ? (
        <Failed error={projects.error} />
      ) : (
        <Empty title={t.noProject} command="maru project init my-project">
          {t.noProjectWhat}
        </Empty>
      )}
    </Page>
  );
}

function useAnswer(project: string, tried: ReadonlyMap<string, string>) {
  const limits = [...tried].map(([key, value]) => {
    const at = key.lastIndexOf('.');
    return { requirement: key.slice(0, at), field: key.slice(at + 1), value };
  });
  return useQuery({
    queryKey: keys.process('analysis', { project, limits }),
    queryFn: ({ signal }) =>
      request<Answer>('/process/v1/analysis', { method: 'POST', body: { project, limits }, signal }),
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });
}

function Analysis(props: { project: string }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const [triedText, setTriedText] = useUrlState('try');
  const [settled] = useDebouncedValue(triedText, 250);
  const tried = useMemo(() => readTried(triedText), [triedText]);
  const written = useAnswer(props.project, NOTHING);
  const attempted = useAnswer(
    props.project,
    useMemo(() => readTried(settled), [settled]),
  );
  const attempt = (limit: Pick<Limit, 'requirement' | 'field'>, value: string | undefined) => {
    const next = new Map(tried);
    if (value === undefined) next.delete(keyOf(limit));
    else next.set(keyOf(limit), value);
    setTriedText(writeTried(next));
  };
  // What is tried may be what cannot be read: then the answer to what is written stays, with the reason.
  const answer = attempted.data ?? written.data;
  if (written.isPending || (answer === undefined && attempted.isPending)) return <Loading />;
  if (answer === undefined) return <Failed error={written.error} retry={() => void written.refetch()} />;
  const { status, limits } = answer;
  const running = attempted.isFetching || settled !== triedText;
  // A relaxation says which quantity; the limit that it moves is the requirement's own.
  const limitOf = (relaxation: Relaxation) =>
    limits.find(
      (limit) =>
        limit.requirement === relaxation.requirement && (relaxation.what === 'capacity') === (limit.field === 'atLoad'),
    ) ?? limits.find((limit) => limit.requirement === relaxation.requirement);
  const tryRelaxations = (relaxations: readonly Relaxation[]) => {
    const next = new Map(tried);
    for (const relaxation of relaxations) {
      const limit = limitOf(relaxation);
      if (limit && relaxation.to !== undefined) next.set(keyOf(limit), limitIn(relaxation.to));
    }
    setTriedText(writeTried(next));
  };
  const tone = status.outcome === 'Feasible' ? 'good' : status.outcome === 'Infeasible' ? 'bad' : 'unknown';
  return (
    <Stack gap="lg">
      <div className={classes.verdict}>
        <Group gap="sm">
          <StatusBadge tone={tone} label={t[status.outcome ?? 'Unknown']} />
          <Text size="sm" c="dimmed">
            {tried.size > 0 && attempted.data !== undefined ? t.tried : t.written} · {t.architecture}{' '}
            {answer.architecture}
          </Text>
          {running && (
            <Group gap={6} role="status">
              <Loader size={14} />
              <Text size="sm">{t.running}</Text>
            </Group>
          )}
        </Group>
        <Text mt={6}>{local(status.reasonText ?? status.reason)}</Text>
        {status.cost && (
          <Text size="sm" c="dimmed">
            {t.cost} {status.cost}
            {status.within && ` (${t.within(status.within)})`}
          </Text>
        )}
      </div>
      {attempted.isError && (
        <Alert color="red" role="alert">
          {attempted.error.message}
        </Alert>
      )}
      <div className={classes.columns}>
        <Stack gap="lg">
          <Conflicts status={status} project={props.project} />
          {(status.relaxations ?? []).length > 0 && (
            <Relaxations
              title={t.relaxations}
              how={t.relaxationsHow}
              relaxations={status.relaxations ?? []}
              project={props.project}
              attempt={(one) => tryRelaxations([one])}
            />
          )}
          {(status.byPriority ?? []).length > 0 && (
            <Relaxations
              title={t.byPriority}
              how={`${t.byPriorityHow} ${status.costByPriority ? t.costThen(status.costByPriority) : ''}`}
              relaxations={status.byPriority ?? []}
              project={props.project}
              attemptAll={() => tryRelaxations(status.byPriority ?? [])}
            />
          )}
          <Numbers status={status} project={props.project} />
        </Stack>
        <Limits
          limits={limits}
          tried={tried}
          attempt={attempt}
          reset={() => setTriedText('')}
          project={props.project}
        />
      </div>
    </Stack>
  );
}

function Limits(props: {
  limits: readonly Limit[];
  tried: ReadonlyMap<string, string>;
  attempt: (limit: Limit, value: string | undefined) => void;
  reset: () => void;
  project: string;
}) {
  const t = useTexts(texts);
  const local = useLocalText();
  const word = useSpineWord();
  return (
    <Section
      title={t.limits}
      count={props.limits.length}
      tools={
        <Button size="compact-xs" variant="default" onClick={props.reset} disabled={props.tried.size === 0}>
          {t.reset}
        </Button>
      }
    >
      <Text size="sm" c="dimmed" mb="xs">
        {t.limitsHow}
      </Text>
      <Stack gap="sm">
        {props.limits.map((limit) => {
          const value = props.tried.get(keyOf(limit)) ?? limit.value;
          const changed = value !== limit.value;
          const label = `${limit.requirement} ${local(limit.title)}`;
          return (
            <div key={keyOf(limit)} className={classes.limit} data-changed={changed || undefined}>
              <Group justify="space-between" wrap="nowrap" gap="xs">
                <Text size="sm" truncate>
                  <Anchor href={paths.requirement(props.project, limit.requirement)} inherit ff="monospace">
                    {limit.requirement}
                  </Anchor>{' '}
                  {local(limit.title)}
                </Text>
                <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
                  {word(limit.indicator)} · {word(limit.priority)}
                </Text>
              </Group>
              <Group wrap="nowrap" gap="sm">
                <Slider
                  flex={1}
                  size="sm"
                  min={0}
                  max={100}
                  label={null}
                  thumbLabel={label}
                  thumbProps={{ 'aria-valuetext': value }}
                  value={positionOf(limit.value, value)}
                  onChange={(position) => props.attempt(limit, atPosition(limit.value, position))}
                  marks={[{ value: 50 }]}
                />
                <TextInput
                  size="xs"
                  w={130}
                  aria-label={label}
                  value={value}
                  onChange={(event) => props.attempt(limit, event.currentTarget.value)}
                />
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  size="sm"
                  disabled={!changed}
                  aria-label={t.resetOne(limit.requirement)}
                  onClick={() => props.attempt(limit, undefined)}
                >
                  <IconArrowBackUp size={14} />
                </ActionIcon>
              </Group>
            </div>
          );
        })}
      </Stack>
    </Section>
  );
}

function Conflicts(props: { status: ArchitectureStatus; project: string }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const conflicts = props.status.conflicts ?? [];
  const command = `sudo maru -n ${props.project} analyze --certificate answer.json`;
  return (
    <Section title={t.conflicts} count={conflicts.length}>
      {conflicts.length === 0 ? (
        <Text size="sm">{t.conflictsNone}</Text>
      ) : (
        <Stack gap="sm">
          {conflicts.map((conflict, index) => (
            <div key={conflict.requirements.join(' ')} className={classes.conflict}>
              <Text fw={600} size="sm">
                {t.conflict(index + 1)}:{' '}
                {conflict.requirements.map((name, at) => (
                  <span key={name}>
                    {at > 0 && ' · '}
                    <Anchor href={paths.requirement(props.project, name)} ff="monospace" inherit>
                      {name}
                    </Anchor>
                  </span>
                ))}
              </Text>
              <ul className={classes.rows}>
                {(conflict.rows ?? []).map((row) => (
                  <li key={local(row)}>{local(row)}</li>
                ))}
              </ul>
              <Text size="xs" c="dimmed">
                {conflict.minimal ? t.minimal : t.notMinimal}
              </Text>
            </div>
          ))}
          <Text size="sm" c="dimmed">
            {props.status.complete === true ? t.complete : t.incomplete}
          </Text>
        </Stack>
      )}
      {props.status.certificate && (
        <details>
          <Text component="summary" size="sm" c="dimmed" style={{ cursor: 'pointer' }}>
            {t.certificate}
          </Text>
          <Text size="sm" my={4}>
            {t.certificateHow}
          </Text>
          <Group gap={4} wrap="nowrap">
            <Code style={{ overflowX: 'auto' }}>{command}</Code>
            <Copy value={command} />
          </Group>
          <Code block mt={4} style={{ overflowWrap: 'anywhere', whiteSpace: 'normal' }}>
            {props.status.certificate}
          </Code>
        </details>
      )}
    </Section>
  );
}

function Relaxations(props: {
  title: string;
  how: string;
  relaxations: readonly Relaxation[];
  project: string;
  attempt?: (relaxation: Relaxation) => void;
  attemptAll?: () => void;
}) {
  const t = useTexts(texts);
  const word = useSpineWord();
  return (
    <Section
      title={props.title}
      tools={
        props.attemptAll && (
          <Button size="compact-xs" variant="default" onClick={props.attemptAll}>
            {t.tryAll}
          </Button>
        )
      }
    >
      <Text size="sm" c="dimmed" mb="xs">
        {props.how}
      </Text>
      <Stack gap={6}>
        {props.relaxations.map((one) => (
          <Group key={`${one.requirement} ${one.what} ${one.service ?? ''}`} gap="sm" wrap="wrap">
            <Anchor href={paths.requirement(props.project, one.requirement)} ff="monospace" size="sm">
              {one.requirement}
            </Anchor>
            <Text size="sm" c="dimmed">
              {word(one.what)}
              {one.service && ` · ${one.service}`}
            </Text>
            <Text size="sm" fw={500}>
              {one.to === undefined ? t.noUse : t.toBe(one.now, one.to)}
            </Text>
            {one.to !== undefined && props.attempt && (
              <Button size="compact-xs" variant="default" onClick={() => props.attempt?.(one)}>
                {t.tryIt}
              </Button>
            )}
          </Group>
        ))}
      </Stack>
      {props.attempt && (
        <details>
          <Text component="summary" size="sm" c="dimmed" style={{ cursor: 'pointer' }}>
            {t.accept}
          </Text>
          <Text size="sm" my={4}>
            {t.acceptHow}
          </Text>
          <Code block>{`sudo maru -n ${props.project} analyze accept --relaxation 1 --why "…"`}</Code>
        </details>
      )}
    </Section>
  );
}

function Numbers(props: { status: ArchitectureStatus; project: string }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const word = useSpineWord();
  const { status } = props;
  const numbers = status.numbers ?? [];
  const choice = status.choice ?? [];
  type Number = (typeof numbers)[number];
  type Chosen = (typeof choice)[number];
  const columns: Column<Number>[] = [
    {
      id: 'requirement',
      title: t.requirement,
      width: '7rem',
      cell: (row) => row.requirement,
      value: (row) => row.requirement,
    },
    {
      id: 'what',
      title: t.what,
      width: 'minmax(6rem, 1.2fr)',
      cell: (row) => `${word(row.what)}${row.service ? ` · ${row.service}` : ''}`,
      value: (row) => row.what,
    },
    { id: 'asked', title: t.asked, width: 'minmax(6rem, 1fr)', cell: (row) => row.asked, align: 'right' },
    { id: 'reached', title: t.reached, width: 'minmax(6rem, 1fr)', cell: (row) => row.reached, align: 'right' },
  ];
  const chosen: Column<Chosen>[] = [
    { id: 'service', title: t.service, cell: (row) => row.service, value: (row) => row.service },
    { id: 'option', title: t.option, cell: (row) => row.option, value: (row) => row.option },
    { id: 'cost', title: t.optionCost, cell: (row) => row.cost ?? '', align: 'right' },
  ];
  return (
    <>
      {numbers.length > 0 && (
        <Section title={t.numbers}>
          <DataTable
            label={t.numbers}
            columns={columns}
            rows={numbers}
            rowKey={(row) => `${row.requirement} ${row.what} ${row.service ?? ''}`}
            rowHref={(row) => paths.requirement(props.project, row.requirement)}
            height="22rem"
          />
        </Section>
      )}
      {choice.length > 0 && (
        <Section title={t.choice}>
          <DataTable label={t.choice} columns={chosen} rows={choice} rowKey={(row) => row.service} height="22rem" />
        </Section>
      )}
      {(status.measured ?? []).length > 0 && (
        <Section title={t.measured}>
          <ul className={classes.rows}>
            {(status.measured ?? []).map((one) => (
              <li key={`${one.service} ${one.option} ${one.number}`}>
                {one.service} · {one.number}: {one.value}
                {one.estimate !== undefined && ` (${t.estimate} ${one.estimate})`}
              </li>
            ))}
          </ul>
        </Section>
      )}
      {(status.notAnalysed ?? []).length > 0 && (
        <Section title={t.notAnalysed} count={(status.notAnalysed ?? []).length}>
          <ul className={classes.rows}>
            {(status.notAnalysed ?? []).map((one) => (
              <li key={one.requirement}>
                <Anchor href={paths.requirement(props.project, one.requirement)} ff="monospace" inherit>
                  {one.requirement}
                </Anchor>
                : {local(one.why)}
              </li>
            ))}
          </ul>
        </Section>
      )}
      {(status.findings ?? []).length > 0 && (
        <Section title={t.findings} count={(status.findings ?? []).length}>
          <ul className={classes.rows}>
            {(status.findings ?? []).map((one) => (
              <li key={`${one.rule} ${(one.services ?? []).join(' ')}`}>
                <Text span fw={600} size="sm" c={one.severity === 'error' ? 'var(--maru-bad)' : 'var(--maru-warn)'}>
                  {one.rule}
                </Text>{' '}
                {local(one.message)} {local(one.fix)}
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}
