// A requirement's whole thread on one screen: from where it comes to what evidence says of what runs now.
import { Button, Text } from '@mantine/core';
import { IconCode } from '@tabler/icons-react';
import { type ReactNode, useMemo } from 'react';
import { useParams } from 'react-router';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import type { Approval, Architecture, Evidence, Requirement, WorkItem } from '../../api/maru';
import { useObjects } from '../../api/objects';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useNow } from '../../i18n/use-format';
import { toMs } from '../../lib/format';
import { paths } from '../../paths';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { type Tone, toneColor } from '../../ui/status';
import { useSpineWord, VerdictBadge, verdictTone } from '../../ui/verdict';
import { When } from '../../ui/when';
import { Approvals } from './approve';
import { Allocation, Conflicts, Details, Impact, Work } from './beside';
import { Checks } from './checks';
import { DerivationTree } from './derivation';
import { History } from './history';
import { Objectives } from './objective';
import classes from './requirement.module.css';
import { Statement } from './statement';
import { texts } from './texts';
import { approvalsOf, Derivation, evidenceOf } from './thread';

export function Component() {
  const t = useTexts(texts);
  const { namespace = '', name = '' } = useParams();
  const kinds = useKinds();
  const all = useObjects<Requirement>(kinds.find('requirements.maru.dev'), { namespace });
  const requirement = all.items.find((one) => one.metadata.name === name);
  if (all.status === 'loading') return <Loading />;
  if (all.status === 'failed') return <Failed error={all.error} />;
  if (!requirement) {
    return (
      <Page title={name} crumbs={[{ label: t.list, href: paths.requirements(namespace) }]}>
        <Empty
          title={t.gone}
          action={
            <Button component="a" href={paths.requirements(namespace)}>
              {t.toList}
            </Button>
          }
        >
          {t.goneWhat(name, namespace)}
        </Empty>
      </Page>
    );
  }
  return <Thread requirement={requirement} all={all.items} />;
}

function Thread(props: { requirement: Requirement; all: readonly Requirement[] }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const kinds = useKinds();
  const { requirement, all } = props;
  const { metadata, spec, status } = requirement;
  const namespace = metadata.namespace ?? '';
  const allEvidence = useObjects<Evidence>(kinds.find('evidence.maru.dev'), { namespace }).items;
  const workItems = useObjects<WorkItem>(kinds.find('workitems.maru.dev'), { namespace }).items;
  const allApprovals = useObjects<Approval>(kinds.find('approvals.maru.dev'), { namespace }).items;
  const architectures = useObjects<Architecture>(kinds.find('architectures.maru.dev'), { namespace }).items;
  const derivation = useMemo(() => new Derivation(all), [all]);
  const byName = useMemo(() => new Map(all.map((one) => [one.metadata.name, one])), [all]);
  const evidence = useMemo(() => evidenceOf(allEvidence, metadata.name), [allEvidence, metadata.name]);
  const approvals = useMemo(() => approvalsOf(allApprovals, metadata.name), [allApprovals, metadata.name]);
  const work = useMemo(
    () => workItems.filter((one) => one.spec.requirements?.includes(metadata.name)),
    [workItems, metadata.name],
  );
  const kind = kinds.find('requirements.maru.dev');
  const mayEdit = useCan(kind && { verb: 'update', kind, namespace, name: metadata.name });
  const editHref = kind && mayEdit === true ? paths.object(kind, namespace, metadata.name, 'yaml') : undefined;
  const hasChildren = derivation.children(metadata.name).length > 0;
  const title = local(spec.title);
  const reason = local(status?.reasonText) || (status?.reason ?? '');
  return (
    <Page
      title={title === '' ? metadata.name : `${metadata.name} ${title}`}
      crumbs={[
        { label: t.list, href: paths.requirements() },
        { label: namespace, href: paths.requirements(namespace) },
      ]}
      badge={<VerdictBadge verdict={status?.verdict} title={reason} />}
      actions={
        editHref !== undefined && (
          <Button
            component="a"
            href={editHref}
            size="xs"
            variant="default"
            leftSection={<IconCode size={14} aria-hidden />}
          >
            {t.yaml}
          </Button>
        )
      }
    >
      {reason !== '' && (
        <Text size="sm" mt={-10} mb="xs">
          {reason}{' '}
          {status?.since !== undefined && (
            <Text span inherit c="dimmed">
              ({t.since} <When time={status.since} />)
            </Text>
          )}
        </Text>
      )}
      <Stops requirement={requirement} work={work} />
      <div className={classes.layout}>
        <div className={classes.column}>
          <Statement requirement={requirement} />
          <Checks requirement={requirement} evidence={evidence} hasChildren={hasChildren} editHref={editHref} />
          <Objectives requirement={requirement} />
          {(spec.verify ?? []).length > 0 && <History requirement={requirement} evidence={evidence} />}
        </div>
        <div className={classes.column}>
          <DerivationTree requirement={requirement} derivation={derivation} />
          <Allocation requirement={requirement} architectures={architectures} />
          <Work items={work} />
          <Approvals requirement={requirement} approvals={approvals} />
          <Conflicts requirement={requirement} />
          <Impact requirement={requirement} derivation={derivation} byName={byName} evidence={evidence} />
          <Details requirement={requirement} />
        </div>
      </div>
    </Page>
  );
}

/** The thread in one line: each stop with what is there, leading to its part of the page. */
function Stops(props: { requirement: Requirement; work: readonly WorkItem[] }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const now = useNow();
  const { spec, status } = props.requirement;
  const parents = (spec.derivedFrom ?? []).map((link) => link.name);
  const checks = status?.checks ?? [];
  const met = checks.filter((one) => one.outcome === 'Met').length;
  const isViolated = checks.some((one) => one.outcome === 'Violated');
  const verify = spec.verify ?? [];
  const done = props.work.filter((one) => one.spec.state === 'done').length;
  const measured = checks.filter((one) => one.evidence !== undefined);
  const isExpired = measured.some((one) => (toMs(one.expires) ?? now) < now);
  const lint = status?.lint ?? [];
  const isSuspect = (status?.suspect ?? []).length > 0;
  const stops: { id: string; name: string; value: ReactNode; tone: Tone }[] = [
    {
      id: parents.length > 0 ? 'derivation' : 'details',
      name: t.source,
      value: parents.length > 0 ? parents.join(', ') : (spec.source?.document ?? '—'),
      tone: isSuspect ? 'warn' : parents.length > 0 || spec.source ? 'good' : 'unknown',
    },
    {
      id: 'statement',
      name: t.statement,
      value: spec.criterion ? word(spec.criterion.indicator) : lint.length > 0 ? t.findingCount(lint.length) : '✓',
      tone: lint.some((one) => one.severity === 'error') ? 'bad' : lint.length > 0 ? 'warn' : 'good',
    },
    {
      id: 'design',
      name: t.design,
      value: spec.allocatedTo?.join(', ') || '—',
      tone: (spec.allocatedTo ?? []).length > 0 ? 'good' : 'unknown',
    },
    {
      id: 'work',
      name: t.work,
      value: props.work.length === 0 ? '—' : `${done}/${props.work.length}`,
      tone: props.work.length === 0 ? 'unknown' : done === props.work.length ? 'good' : 'pending',
    },
    {
      id: 'checks',
      name: t.checks,
      value: verify.length === 0 ? '—' : `${met}/${verify.length}`,
      tone: isViolated ? 'bad' : verify.length > 0 && met === verify.length ? 'good' : 'unknown',
    },
    {
      id: 'history',
      name: t.evidence,
      value:
        measured.length === 0 ? (
          '—'
        ) : (
          <When
            time={measured
              .map((one) => one.at ?? '')
              .toSorted()
              .at(-1)}
          />
        ),
      tone: measured.length === 0 ? 'unknown' : isExpired ? 'stale' : 'good',
    },
    {
      id: 'checks',
      name: t.verdict,
      value: word(status?.verdict ?? 'none'),
      tone: verdictTone(status?.verdict),
    },
  ];
  return (
    <ol className={classes.thread} aria-label={t.thread}>
      {stops.map((stop) => (
        <li key={stop.name} className={classes.stop}>
          <a href={`#${stop.id}`} className={classes.stopLink}>
            <span className={classes.stopName}>
              <svg width={9} height={9} aria-hidden="true">
                <circle
                  cx={4.5}
                  cy={4.5}
                  r={3.5}
                  fill={stop.tone === 'unknown' ? 'none' : toneColor(stop.tone)}
                  stroke={toneColor(stop.tone)}
                  strokeWidth={1.5}
                />
              </svg>
              {stop.name}
            </span>
            <span className={classes.stopValue} style={{ display: 'block' }}>
              {stop.value}
            </span>
          </a>
        </li>
      ))}
    </ol>
  );
}
