// From what it derives, what derives from it, and links that want a review.
import { Alert, Anchor, Button, Group, Stack, Text } from '@mantine/core';
import { IconLink } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import type { Requirement } from '../../api/maru';
import { mergePatch } from '../../api/objects';
import { useLocalText, useTexts } from '../../i18n/texts';
import { paths } from '../../paths';
import { Section } from '../../ui/section';
import { toneColor } from '../../ui/status';
import { useSpineWord, verdictTone } from '../../ui/verdict';
import classes from './requirement.module.css';
import { texts } from './texts';
import type { Branch, Derivation } from './thread';

/** Deeper than this a tree is followed by opening it. */
const DEPTH_MAX = 3;

export function DerivationTree(props: { requirement: Requirement; derivation: Derivation }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const { metadata, spec } = props.requirement;
  const namespace = metadata.namespace ?? '';
  const up = props.derivation.up(metadata.name);
  const down = props.derivation.down(metadata.name);
  const suspects = new Set((props.requirement.status?.suspect ?? []).map((one) => one.name));
  return (
    <Section title={t.derivation} id="derivation">
      {up.length === 0 && down.length === 0 && (
        <Text size="sm" c="dimmed">
          {t.noDerivation}
        </Text>
      )}
      {up.length > 0 && <Parents branches={up} namespace={namespace} suspects={suspects} depth={0} />}
      {(up.length > 0 || down.length > 0) && (
        <ul className={classes.tree} style={{ marginLeft: up.length > 0 ? '1.1rem' : 0 }}>
          <li>
            <span className={`${classes.node} ${classes.here}`} aria-current="true">
              <VerdictDot requirement={props.requirement} />
              {metadata.name} {local(spec.title)}
            </span>
            <Children branches={down} namespace={namespace} parent={metadata.name} depth={0} />
          </li>
        </ul>
      )}
      <Suspects requirement={props.requirement} />
    </Section>
  );
}

function Parents(props: {
  branches: readonly Branch[];
  namespace: string;
  suspects: ReadonlySet<string>;
  depth: number;
}) {
  if (props.depth >= DEPTH_MAX) return null;
  return props.branches.map((branch) => (
    <div key={branch.name}>
      {branch.branches.length > 0 && (
        <Parents branches={branch.branches} namespace={props.namespace} suspects={NONE} depth={props.depth + 1} />
      )}
      <Node branch={branch} namespace={props.namespace} isSuspect={props.suspects.has(branch.name)} />
    </div>
  ));
}

const NONE: ReadonlySet<string> = new Set();

function Children(props: { branches: readonly Branch[]; namespace: string; parent: string; depth: number }) {
  if (props.branches.length === 0 || props.depth >= DEPTH_MAX) return null;
  return (
    <ul className={classes.tree}>
      {props.branches.map((branch) => (
        <li key={branch.name}>
          <Node
            branch={branch}
            namespace={props.namespace}
            isSuspect={branch.requirement?.status?.suspect?.some((one) => one.name === props.parent) === true}
          />
          <Children
            branches={branch.branches}
            namespace={props.namespace}
            parent={branch.name}
            depth={props.depth + 1}
          />
        </li>
      ))}
    </ul>
  );
}

function Node(props: { branch: Branch; namespace: string; isSuspect: boolean }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const { name, requirement } = props.branch;
  if (!requirement) {
    return (
      <span className={classes.node}>
        {name}{' '}
        <Text span size="xs" c="var(--maru-bad)">
          {t.missing}
        </Text>
      </span>
    );
  }
  return (
    <span className={classes.node}>
      <VerdictDot requirement={requirement} />
      <a href={paths.requirement(props.namespace, name)} style={{ color: 'var(--mantine-color-anchor)' }}>
        {name} <span style={{ color: 'var(--mantine-color-text)' }}>{local(requirement.spec.title)}</span>
      </a>
      {props.isSuspect && (
        <IconLink size={14} color="var(--maru-warn)" aria-label={t.suspect} style={{ flex: 'none' }} />
      )}
    </span>
  );
}

export function VerdictDot(props: { requirement: Requirement }) {
  const word = useSpineWord();
  const verdict = props.requirement.status?.verdict;
  const label = word(verdict ?? 'none');
  const color = toneColor(verdictTone(verdict));
  // Told apart by form too: a full dot, a square, a ring.
  return (
    <svg width={10} height={10} role="img" aria-label={label} style={{ flex: 'none' }}>
      <title>{label}</title>
      {verdict === 'Nonconforming' ? (
        <rect x={1} y={1} width={8} height={8} fill={color} />
      ) : (
        <circle
          cx={5}
          cy={5}
          r={3.8}
          fill={verdict === 'Conforming' ? color : 'none'}
          stroke={color}
          strokeWidth={1.6}
        />
      )}
    </svg>
  );
}

function Suspects(props: { requirement: Requirement }) {
  const t = useTexts(texts);
  const kind = useKinds().find('requirements.maru.dev');
  const { metadata, spec, status } = props.requirement;
  const namespace = metadata.namespace ?? '';
  const suspects = status?.suspect ?? [];
  const mayPatch = useCan(kind && { verb: 'patch', kind, namespace, name: metadata.name });
  const review = useMutation({
    mutationFn: (of: { name: string; fingerprint: string }) => {
      if (!kind) throw new Error('requirements are not served');
      const derivedFrom = (spec.derivedFrom ?? []).map((link) => (link.name === of.name ? of : link));
      // The version makes sure that what was reviewed is what is there.
      const body = { metadata: { resourceVersion: metadata.resourceVersion }, spec: { derivedFrom } };
      return mergePatch(kind, namespace, metadata.name, body);
    },
  });
  if (suspects.length === 0) return null;
  return (
    <Alert color="orange" variant="light" p="xs" mt="xs" icon={<IconLink size={16} />} title={t.suspect}>
      <Stack gap={6}>
        {suspects.map((suspect) => {
          const { current } = suspect;
          return (
            <Group key={suspect.name} justify="space-between" gap="xs">
              <Text size="sm">
                <Anchor href={paths.requirement(namespace, suspect.name)}>{suspect.name}</Anchor>:{' '}
                {current === undefined ? t.missing : t.suspectWhat}
              </Text>
              {current !== undefined && mayPatch === true && (
                <Button
                  size="compact-xs"
                  variant="default"
                  loading={review.isPending}
                  onClick={() => review.mutate({ name: suspect.name, fingerprint: current })}
                >
                  {t.reviewed}
                </Button>
              )}
            </Group>
          );
        })}
        <Text size="xs">{t.reviewing}</Text>
        {review.error !== null && (
          <Text size="sm" c="var(--maru-bad)" role="alert">
            {review.error.message}
          </Text>
        )}
      </Stack>
    </Alert>
  );
}
