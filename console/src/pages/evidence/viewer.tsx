// A piece of evidence: what was measured about what, whether it still stands, the cases, the signed statement, its place.
import { Anchor, Button, Code, Group, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useParams } from 'react-router';
import { useKinds } from '../../api/discovery';
import { requestBlob } from '../../api/http';
import { keys } from '../../api/keys';
import type { Environment, Evidence, Requirement, Subject } from '../../api/maru';
import { resourcePath, useObjects } from '../../api/objects';
import { useTexts } from '../../i18n/texts';
import { useFormat, useNow } from '../../i18n/use-format';
import { type Answer, checkEnvelope, type Recorded, readEnvelope, sha256 } from '../../lib/envelope';
import { toMs } from '../../lib/format';
import { boundOf, evidenceKind, evidenceName, measuredText, shortDigest } from '../../lib/spine';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Interval } from '../../ui/interval';
import { Page } from '../../ui/page';
import { Facts, Section } from '../../ui/section';
import { StatusBadge, type Tone } from '../../ui/status';
import { OutcomeBadge, useSpineWord } from '../../ui/verdict';
import { When } from '../../ui/when';
import classes from './evidence.module.css';
import { Stands } from './page';
import { texts } from './texts';

export function Component() {
  const t = useTexts(texts);
  const { namespace = '', name = '' } = useParams();
  const all = useObjects<Evidence>(useKinds().find('evidence.maru.dev'), { namespace });
  const evidence = all.items.find((one) => one.metadata.name === name);
  if (all.status === 'loading') return <Loading />;
  if (all.status === 'failed') return <Failed error={all.error} />;
  if (!evidence) {
    return (
      <Page title={name} crumbs={[{ label: t.list, href: paths.evidenceList(namespace) }]}>
        <Empty
          title={t.gone}
          action={
            <Button component="a" href={paths.evidenceList(namespace)}>
              {t.toList}
            </Button>
          }
        >
          {t.goneWhat(name, namespace)}
        </Empty>
      </Page>
    );
  }
  return <Viewer evidence={evidence} all={all.items} />;
}

interface Loaded {
  bytes: ArrayBuffer;
  pem: string;
  report: Answer | undefined;
}

/** The envelope, its key, and whether the report is the one that was signed. */
function useEnvelope(evidence: Evidence) {
  const kind = useKinds().find('evidence.maru.dev');
  const { namespace, name } = evidence.metadata;
  return useQuery({
    queryKey: [...keys.object('evidence.maru.dev', namespace, name), 'envelope'],
    queryFn: async ({ signal }): Promise<Loaded> => {
      if (!kind) throw new Error('evidence is not served');
      const part = (which: string) =>
        requestBlob(resourcePath(kind, namespace, name, which), { accept: '*/*', signal });
      const [envelope, key] = await Promise.all([part('envelope'), part('key')]);
      const bytes = await envelope.arrayBuffer();
      const { raw } = evidence.spec;
      const report =
        raw === undefined
          ? undefined
          : (await sha256(await (await part('report')).arrayBuffer())) === raw
            ? 'right'
            : 'wrong';
      return { bytes, pem: await key.text(), report };
    },
    // Evidence never changes.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

function Viewer(props: { evidence: Evidence; all: readonly Evidence[] }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const { evidence, all } = props;
  const { metadata, spec } = evidence;
  const namespace = metadata.namespace ?? '';
  const envelope = useEnvelope(evidence);
  const read = useMemo(() => envelope.data && readEnvelope(envelope.data.bytes), [envelope.data]);
  const recorded = read?.statement.predicate.maru;
  const title = `${word(evidenceKind(spec.predicateType))} ${spec.name ?? ''}`;
  return (
    <Page
      title={title}
      crumbs={[
        { label: t.list, href: paths.evidenceList() },
        { label: namespace, href: paths.evidenceList(namespace) },
      ]}
      badge={
        <>
          <OutcomeBadge outcome={spec.result.outcome} />
          <Stands evidence={evidence} />
        </>
      }
      actions={<Downloads evidence={evidence} />}
    >
      <div className={classes.layout}>
        <div className={classes.column}>
          <Result evidence={evidence} recorded={recorded} />
          <Subjects evidence={evidence} />
          {recorded?.cases !== undefined && recorded.cases.length > 0 && <Cases cases={recorded.cases} />}
          {(spec.result.notes ?? []).length > 0 && (
            <Section title={t.notes}>
              <ul className={classes.notes}>
                {spec.result.notes?.map((note) => (
                  <li key={note}>{note}</li>
                ))}
              </ul>
            </Section>
          )}
          {envelope.isError && (
            <Section title={t.payload}>
              <Text size="sm">{t.noEnvelope}</Text>
              <Failed error={envelope.error} retry={() => void envelope.refetch()} />
            </Section>
          )}
          {read && (
            <Section title={t.payload} tools={<Copy value={JSON.stringify(read.statement, null, 2)} />}>
              <Code block tabIndex={0} className={classes.payload}>
                {JSON.stringify(read.statement, null, 2)}
              </Code>
            </Section>
          )}
        </div>
        <div className={classes.column}>
          <Verification evidence={evidence} loaded={envelope.data} isLoading={envelope.isPending} />
          <Chain evidence={evidence} all={all} />
          {read && (
            <Section title={t.signatures} count={read.envelope.signatures.length}>
              {read.envelope.signatures.map((signature) => (
                <Facts
                  key={signature.keyid}
                  facts={[
                    [t.key, <Mono key="key" text={signature.keyid} />],
                    ['Ed25519', <Mono key="sig" text={signature.sig} />],
                  ]}
                />
              ))}
            </Section>
          )}
        </div>
      </div>
    </Page>
  );
}

function Mono(props: { text: string }) {
  return (
    <Text span inherit ff="monospace" fz="xs" className={classes.wrap}>
      {props.text} <Copy value={props.text} />
    </Text>
  );
}

function Downloads(props: { evidence: Evidence }) {
  const t = useTexts(texts);
  const kind = useKinds().find('evidence.maru.dev');
  const { metadata, spec } = props.evidence;
  if (!kind) return null;
  const files = [
    { part: 'envelope', label: t.envelope, file: `${metadata.name}.json` },
    ...(spec.raw === undefined ? [] : [{ part: 'report', label: t.rawReport, file: `${metadata.name}-report` }]),
    { part: 'key', label: t.publicKey, file: `${metadata.name}-key.pem` },
  ];
  return files.map(({ part, label, file }) => (
    <Button
      key={part}
      component="a"
      href={resourcePath(kind, metadata.namespace, metadata.name, part)}
      download={file}
      size="xs"
      variant="default"
      leftSection={<IconDownload size={14} aria-hidden />}
      aria-label={`${t.download}: ${label}`}
    >
      {label}
    </Button>
  ));
}

function Result(props: { evidence: Evidence; recorded: Recorded | undefined }) {
  const t = useTexts(texts);
  const format = useFormat();
  const now = useNow();
  const { metadata, spec } = props.evidence;
  const { result } = spec;
  const requirements = useObjects<Requirement>(useKinds().find('requirements.maru.dev'), {
    namespace: metadata.namespace,
  }).items;
  // The line that a requirement draws, when all that it is about draw the same.
  const about = spec.subjects.filter((one) => one.kind === 'requirement').map((one) => one.name);
  const criterion =
    about.length === 1 ? requirements.find((one) => one.metadata.name === about[0])?.spec.criterion : undefined;
  const bound = boundOf(criterion, result);
  const until = toMs(spec.validUntil);
  return (
    <Section title={t.result}>
      {result.value !== undefined && (
        <Group gap="md" mb="xs">
          <Text fz={26} fw={700} className={classes.number}>
            {measuredText(result.value, result.unit)}
          </Text>
          <div>
            <Interval measured={result} bound={bound} width={240} />
            {result.low !== undefined && result.high !== undefined && result.confidence !== undefined && (
              <Text size="xs" c="dimmed">
                {t.interval(
                  measuredText(result.low, result.unit, 'down'),
                  measuredText(result.high, result.unit, 'up'),
                  format.number((result.confidence ?? 0) * 100, 1),
                )}
              </Text>
            )}
          </div>
        </Group>
      )}
      <Facts
        facts={[
          result.samples === undefined ? undefined : [t.samples, format.number(result.samples, 0)],
          result.threshold === undefined ? undefined : [t.threshold, measuredText(result.threshold, 'seconds')],
          result.quantile === undefined ? undefined : [t.quantile, measuredText(result.quantile, 'ratio')],
          result.load === undefined ? undefined : [t.load, measuredText(result.load, 'perSecond')],
          spec.environment === undefined ? undefined : [t.environment, spec.environment],
          [t.window, `${format.dateTime(spec.window.from)} – ${format.dateTime(spec.window.to)}`],
          [t.producer, [spec.producer.tool, spec.producer.version].filter(Boolean).join(' ')],
          props.recorded?.recorded === undefined
            ? undefined
            : [t.recorded, <When key="recorded" time={props.recorded.recorded} style="exact" />],
          until === undefined
            ? undefined
            : [
                t.until,
                <Text key="until" span inherit {...(until <= now ? { c: 'var(--maru-bad)' } : {})}>
                  {format.dateTime(until)} {until <= now ? t.expired : ''}
                </Text>,
              ],
          [t.digestLabel, <Mono key="digest" text={spec.envelope} />],
        ]}
      />
    </Section>
  );
}

function Subjects(props: { evidence: Evidence }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const kinds = useKinds();
  const { metadata, spec } = props.evidence;
  const namespace = metadata.namespace ?? '';
  const requirements = useObjects<Requirement>(kinds.find('requirements.maru.dev'), { namespace }).items;
  const environments = useObjects<Environment>(kinds.find('environments.maru.dev'), { namespace }).items;
  const fingerprints = new Map(requirements.map((one) => [one.metadata.name, one.status?.fingerprint]));
  const running = environments.find((one) => one.metadata.name === spec.environment)?.status?.subjects;
  const digest = (subject: Subject) => subject.digest ?? subject.fingerprint ?? '';
  const state = (subject: Subject): { label: string; tone: Tone } | undefined => {
    if (subject.kind === 'requirement') {
      const current = fingerprints.get(subject.name);
      if (current === undefined) return undefined;
      return current === digest(subject)
        ? { label: t.requirementNow, tone: 'good' }
        : { label: t.requirementOther, tone: 'stale' };
    }
    const now = running?.filter((one) => one.kind === subject.kind && one.name === subject.name);
    if (!now || now.length === 0) return undefined;
    return now.some((one) => digest(one) === digest(subject))
      ? { label: t.runsNow, tone: 'good' }
      : { label: t.runsOther, tone: 'stale' };
  };
  return (
    <Section title={t.subjects} count={spec.subjects.length}>
      <ul className={classes.rows}>
        {spec.subjects.map((subject) => {
          const now = state(subject);
          return (
            <li key={`${subject.kind} ${subject.name} ${digest(subject)}`}>
              <Group gap={8} justify="space-between">
                <Group gap={8}>
                  <Text span size="xs" c="dimmed">
                    {word(subject.kind)}
                  </Text>
                  {subject.kind === 'requirement' ? (
                    <Anchor size="sm" href={paths.requirement(namespace, subject.name)}>
                      {subject.name}
                    </Anchor>
                  ) : (
                    <Text span size="sm">
                      {subject.name}
                    </Text>
                  )}
                  <Text span size="xs" ff="monospace" c="dimmed" title={digest(subject)}>
                    {shortDigest(digest(subject))}
                  </Text>
                </Group>
                {now && <StatusBadge tone={now.tone} label={now.label} />}
              </Group>
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

function Cases(props: { cases: NonNullable<Recorded['cases']> }) {
  const t = useTexts(texts);
  // Two cases may have one name.
  const rows = useMemo(() => props.cases.map((one, index) => ({ ...one, index })), [props.cases]);
  type Case = (typeof rows)[number];
  const columns: Column<Case>[] = [
    { id: 'name', title: t.case, width: '2fr', value: (row) => row.name, cell: (row) => row.name },
    {
      id: 'outcome',
      title: t.outcome,
      width: '9rem',
      value: (row) => row.outcome,
      cell: (row) => <CaseOutcome outcome={row.outcome} />,
    },
    { id: 'note', title: t.note, width: '2fr', value: (row) => row.note, cell: (row) => row.note ?? '' },
  ];
  return (
    <Section title={t.cases} count={props.cases.length}>
      <DataTable label={t.cases} columns={columns} rows={rows} rowKey={(row) => String(row.index)} height="22rem" />
    </Section>
  );
}

/** Tools have words of their own for what a case came to. */
function CaseOutcome(props: { outcome: string }) {
  const word = useSpineWord();
  const tone: Tone = /^(met|passed|pass)$/i.test(props.outcome)
    ? 'good'
    : /^(violated|failed|fail|error)$/i.test(props.outcome)
      ? 'bad'
      : 'unknown';
  return <StatusBadge tone={tone} label={word(props.outcome)} />;
}

function Verification(props: { evidence: Evidence; loaded: Loaded | undefined; isLoading: boolean }) {
  const t = useTexts(texts);
  const { metadata, spec, status } = props.evidence;
  const { loaded } = props;
  const checked = useQuery({
    queryKey: [...keys.object('evidence.maru.dev', metadata.namespace, metadata.name), 'checked'],
    queryFn: () =>
      checkEnvelope(
        loaded?.bytes ?? new ArrayBuffer(0),
        { envelope: spec.envelope, previous: spec.previous },
        loaded?.pem ?? '',
      ),
    enabled: loaded !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const lines: [string, Answer | undefined][] = [
    [t.digest, checked.data?.digest],
    [t.signature, checked.data?.signature],
    [t.keyRight, checked.data?.key],
    [t.chainRight, checked.data?.chain],
    ...(spec.raw === undefined ? [] : [[t.report, loaded?.report] as [string, Answer | undefined]]),
  ];
  return (
    <Section title={t.verification}>
      <Text size="xs" c="dimmed" mb={6}>
        {t.verificationWhat}
      </Text>
      <ul className={classes.rows}>
        {lines.map(([label, answer]) => (
          <li key={label}>
            <Group justify="space-between" gap={6} wrap="nowrap">
              <Text size="sm">{label}</Text>
              <span style={{ flex: 'none' }}>
                {answer === undefined ? (
                  <Text span size="xs" c="dimmed">
                    {props.isLoading || checked.isFetching ? t.checking : '—'}
                  </Text>
                ) : (
                  <StatusBadge
                    tone={answer === 'right' ? 'good' : answer === 'wrong' ? 'bad' : 'unknown'}
                    label={t[answer]}
                  />
                )}
              </span>
            </Group>
          </li>
        ))}
        <li>
          <Group justify="space-between" gap={6} wrap="nowrap">
            <Text size="sm">
              {t.server}
              {status?.reason ? `: ${status.reason}` : ''}
            </Text>
            <span style={{ flex: 'none' }}>
              <Stands evidence={props.evidence} />
            </span>
          </Group>
        </li>
      </ul>
      <Text size="xs" c="dimmed" mt={6}>
        {t.trust}
      </Text>
      <Text size="xs" mt={8} mb={4}>
        {t.verifyCommand}
      </Text>
      <Code
        block
        fz="xs"
        className={classes.command}
      >{`maru -n ${metadata.namespace ?? ''} evidence export evidence.tar\nmaru evidence verify evidence.tar`}</Code>
    </Section>
  );
}

function Chain(props: { evidence: Evidence; all: readonly Evidence[] }) {
  const t = useTexts(texts);
  const { metadata, spec, status } = props.evidence;
  const namespace = metadata.namespace ?? '';
  const next = props.all.find((one) => one.spec.previous === spec.envelope);
  const link = (name: string) => (
    <Anchor size="sm" ff="monospace" href={paths.evidence(namespace, name)}>
      {name}
    </Anchor>
  );
  return (
    <Section title={t.chain}>
      <Facts
        facts={[
          [t.sequence, status?.sequence ?? '—'],
          [t.before, spec.previous === undefined ? t.first : link(evidenceName(spec.previous))],
          [t.after, next ? link(next.metadata.name) : t.last],
        ]}
      />
    </Section>
  );
}
