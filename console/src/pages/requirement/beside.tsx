// Beside the thread: components, work, conflicts, what a change reaches, and the rest of what is known.
import { Anchor, Group, Text } from '@mantine/core';
import type { Architecture, Evidence, Requirement, WorkItem } from '../../api/maru';
import { useLocalText, useTexts } from '../../i18n/texts';
import { evidenceKind, isMeans, shortDigest } from '../../lib/spine';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { Facts, Section } from '../../ui/section';
import { StatusBadge } from '../../ui/status';
import { PriorityMark, useSpineWord } from '../../ui/verdict';
import { When } from '../../ui/when';
import { VerdictDot } from './derivation';
import classes from './requirement.module.css';
import { texts } from './texts';
import type { Derivation } from './thread';

export function Allocation(props: { requirement: Requirement; architectures: readonly Architecture[] }) {
  const t = useTexts(texts);
  const { metadata, spec } = props.requirement;
  const components = spec.allocatedTo ?? [];
  const choices = props.architectures.flatMap((one) => one.status?.choice ?? []);
  const numbers = props.architectures
    .flatMap((one) => one.status?.numbers ?? [])
    .filter((one) => one.requirement === metadata.name);
  return (
    <Section title={t.allocation} count={components.length} id="design">
      {components.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t.noAllocation}
        </Text>
      ) : (
        <ul className={classes.rows}>
          {components.map((component) => {
            const chosen = choices.find((one) => one.service === component);
            return (
              <li key={component}>
                <Group justify="space-between" gap={6}>
                  <Anchor href={paths.topology(metadata.namespace)} size="sm" ff="monospace">
                    {component}
                  </Anchor>
                  {chosen !== undefined && (
                    <Text span size="xs" c="dimmed">
                      {t.option} {chosen.option}
                    </Text>
                  )}
                </Group>
              </li>
            );
          })}
        </ul>
      )}
      {numbers.map((one) => (
        <Text key={`${one.what} ${one.service}`} size="xs" mt={6}>
          {[one.service, one.what].filter(Boolean).join(' ')} · {t.askedFor} {one.asked} · {t.reached}{' '}
          <Text span inherit fw={700}>
            {one.reached}
          </Text>
        </Text>
      ))}
    </Section>
  );
}

const STATES = { todo: 'unknown', doing: 'pending', done: 'good' } as const;

export function Work(props: { items: readonly WorkItem[] }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const local = useLocalText();
  return (
    <Section title={t.work} count={props.items.length} id="work">
      {props.items.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t.noWork}
        </Text>
      ) : (
        <ul className={classes.rows}>
          {props.items.map((item) => {
            const state = item.spec.state ?? 'todo';
            return (
              <li key={item.metadata.name}>
                <Group justify="space-between" gap={6} wrap="nowrap" align="flex-start">
                  <Anchor
                    size="sm"
                    href={paths.object(
                      { group: 'maru.dev', plural: 'workitems' },
                      item.metadata.namespace,
                      item.metadata.name,
                    )}
                  >
                    {local(item.spec.title)}
                  </Anchor>
                  <span style={{ flex: 'none' }}>
                    <StatusBadge tone={STATES[state]} label={word(state)} />
                  </span>
                </Group>
                <Text size="xs" c="dimmed">
                  {[item.metadata.name, word(item.spec.type ?? ''), item.spec.assignee].filter(Boolean).join(' · ')}
                  {' · '}
                  {(item.spec.commits ?? []).length === 0 ? (
                    t.noCommits
                  ) : (
                    <Text span inherit ff="monospace">
                      {item.spec.commits?.join(' ')}
                    </Text>
                  )}
                </Text>
              </li>
            );
          })}
        </ul>
      )}
    </Section>
  );
}

export function Conflicts(props: { requirement: Requirement }) {
  const t = useTexts(texts);
  const { metadata, status } = props.requirement;
  const namespace = metadata.namespace ?? '';
  const sets = status?.conflicts ?? [];
  return (
    <Section
      title={t.conflicts}
      count={sets.length}
      id="conflicts"
      tools={
        sets.length > 0 ? (
          <Anchor size="xs" href={paths.analysis(namespace)}>
            {t.analysis}
          </Anchor>
        ) : undefined
      }
    >
      {sets.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t.noConflicts}
        </Text>
      ) : (
        <ul className={classes.rows}>
          {sets.map((set) => (
            <li key={set.join(' ')}>
              <Text size="sm">
                {t.conflictWith}{' '}
                {set
                  .filter((name) => name !== metadata.name)
                  .map((name) => (
                    <Anchor key={name} href={paths.requirement(namespace, name)} mr={6}>
                      {name}
                    </Anchor>
                  ))}
              </Text>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

/** More names than this are told by their number. */
const NAMES_MAX = 12;

export function Impact(props: {
  requirement: Requirement;
  derivation: Derivation;
  byName: ReadonlyMap<string, Requirement>;
  evidence: readonly Evidence[];
}) {
  const t = useTexts(texts);
  const local = useLocalText();
  const { metadata, status } = props.requirement;
  const reached = props.derivation.reach(metadata.name);
  const lost = props.evidence.filter(
    (one) =>
      isMeans(evidenceKind(one.spec.predicateType)) &&
      one.spec.subjects.some(
        (subject) =>
          subject.kind === 'requirement' &&
          subject.name === metadata.name &&
          (subject.digest ?? subject.fingerprint) === status?.fingerprint,
      ),
  ).length;
  return (
    <Section title={t.impact} count={reached.length} id="impact">
      <Text size="sm" {...(reached.length === 0 ? { c: 'dimmed' } : {})}>
        {reached.length === 0 ? t.noImpact : t.impactWhat(reached.length)}
      </Text>
      <ul className={classes.tree}>
        {reached.slice(0, NAMES_MAX).map((name) => {
          const one = props.byName.get(name);
          return (
            <li key={name} className={classes.node}>
              {one && <VerdictDot requirement={one} />}
              <a
                href={paths.requirement(metadata.namespace ?? '', name)}
                style={{ color: 'var(--mantine-color-anchor)' }}
              >
                {name} <span style={{ color: 'var(--mantine-color-text)' }}>{local(one?.spec.title)}</span>
              </a>
            </li>
          );
        })}
      </ul>
      {reached.length > NAMES_MAX && (
        <Text size="xs" c="dimmed">
          + {reached.length - NAMES_MAX}
        </Text>
      )}
      {lost > 0 && (
        <Text size="sm" mt={4}>
          {t.evidenceLost(lost)}
        </Text>
      )}
    </Section>
  );
}

export function Details(props: { requirement: Requirement }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const local = useLocalText();
  const { spec, status } = props.requirement;
  const told = status?.class;
  return (
    <Section title={t.facts} id="details">
      <Facts
        facts={[
          [t.priority, <PriorityMark key="priority" priority={spec.priority} />],
          told && [
            t.class,
            <span key="class" title={local(told.why)}>
              {[told.kind, told.category].flatMap((one) => (one ? word(one) : [])).join(' · ')}
              <Text size="xs" c="dimmed">
                {local(told.why)}
              </Text>
            </span>,
          ],
          spec.source && [
            t.source,
            spec.source.clause === undefined
              ? spec.source.document
              : t.clause(spec.source.document, spec.source.clause),
          ],
          (spec.stakeholders ?? []).length > 0 ? [t.stakeholders, spec.stakeholders?.join(', ')] : undefined,
          told?.volatility ? [t.volatility, word(told.volatility)] : undefined,
          (status?.changed ?? []).length > 0
            ? [t.changed, <When key="changed" time={status?.changed?.at(-1)} />]
            : undefined,
          status?.fingerprint !== undefined
            ? [
                t.fingerprint,
                <Group key="fingerprint" gap={2}>
                  <Text span inherit ff="monospace">
                    {shortDigest(status.fingerprint)}
                  </Text>
                  <Copy value={status.fingerprint} />
                </Group>,
              ]
            : undefined,
        ]}
      />
    </Section>
  );
}
