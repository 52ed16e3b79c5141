// How it is checked: each check with what it came to, between which bounds, by which evidence, and how fresh that is.
import { Anchor, Button, Group, Text } from '@mantine/core';
import { IconRosetteDiscountCheck, IconRosetteDiscountCheckOff } from '@tabler/icons-react';
import type { Check, CheckStatus, Criterion, Evidence, Requirement } from '../../api/maru';
import { useLocalText, useTexts } from '../../i18n/texts';
import { useFormat, useNow } from '../../i18n/use-format';
import { toMs } from '../../lib/format';
import { boundOf, checkLabel, checkName, evidenceName, freshness, measuredText } from '../../lib/spine';
import { paths } from '../../paths';
import { Interval } from '../../ui/interval';
import { Section } from '../../ui/section';
import { OutcomeBadge, useSpineWord } from '../../ui/verdict';
import { When } from '../../ui/when';
import classes from './requirement.module.css';
import { texts } from './texts';

export function Checks(props: {
  requirement: Requirement;
  evidence: readonly Evidence[];
  hasChildren: boolean;
  editHref: string | undefined;
}) {
  const t = useTexts(texts);
  const { spec, status, metadata } = props.requirement;
  const verify = spec.verify ?? [];
  const byDigest = new Map(props.evidence.map((one) => [one.spec.envelope, one]));
  return (
    <Section title={t.checks} count={verify.length} id="checks">
      {verify.length === 0 ? (
        <Group justify="space-between">
          <Text size="sm" c="dimmed">
            {props.hasChildren ? t.noChecksChildren : t.noChecks}
          </Text>
          {!props.hasChildren && props.editHref !== undefined && (
            <Button component="a" href={props.editHref} size="compact-xs" variant="default">
              {t.addChecks}
            </Button>
          )}
        </Group>
      ) : (
        <ul className={classes.rows}>
          {verify.map((check, index) => {
            const came = status?.checks?.find((one) => one.check === index);
            return (
              <CheckRow
                // biome-ignore lint/suspicious/noArrayIndexKey: the place is a check's name
                key={index}
                check={check}
                came={came}
                criterion={spec.criterion}
                evidence={came?.evidence === undefined ? undefined : byDigest.get(came.evidence)}
                namespace={metadata.namespace ?? ''}
              />
            );
          })}
        </ul>
      )}
    </Section>
  );
}

function CheckRow(props: {
  check: Check;
  came: CheckStatus | undefined;
  criterion: Criterion | undefined;
  evidence: Evidence | undefined;
  namespace: string;
}) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const local = useLocalText();
  const format = useFormat();
  const { came, evidence } = props;
  const name = checkName(props.check);
  const label = checkLabel(name);
  const result = evidence?.spec.result;
  const bound = result && boundOf(props.criterion, result);
  return (
    <li>
      <div className={classes.check}>
        <div>
          <Group gap={8}>
            <OutcomeBadge outcome={came?.outcome} />
            <Text span fw={600} size="sm">
              {word(name.means)}
            </Text>
            {name.means === 'slo' ? (
              <Anchor href={paths.objective(props.namespace, name.name)} size="sm" ff="monospace">
                {label}
              </Anchor>
            ) : (
              <Text span size="sm" ff="monospace">
                {label}
              </Text>
            )}
          </Group>
          {came?.reason !== undefined && (
            <Text size="sm" mt={2}>
              {local(came.reason)}
            </Text>
          )}
          {came?.evidence === undefined ? (
            <Text size="xs" c="dimmed">
              {t.noEvidence}
            </Text>
          ) : (
            <Group gap={8} mt={2}>
              <Anchor size="xs" ff="monospace" href={paths.evidence(props.namespace, evidenceName(came.evidence))}>
                {evidenceName(came.evidence)}
              </Anchor>
              {evidence !== undefined && <Verified evidence={evidence} />}
              <Text span size="xs" c="dimmed">
                {t.measured} <When time={came.at} />
              </Text>
              <Fresh from={came.at} until={came.expires} />
            </Group>
          )}
        </div>
        {result?.value !== undefined && (
          <div className={classes.checkSide}>
            <Text span fw={700} className={classes.number}>
              {measuredText(result.value, result.unit)}
            </Text>
            <Interval measured={result} bound={bound} width={150} />
            <Text span size="xs" c="dimmed" className={classes.number}>
              {result.low !== undefined && result.high !== undefined && result.confidence !== undefined
                ? t.interval(
                    measuredText(result.low, result.unit, 'down'),
                    measuredText(result.high, result.unit, 'up'),
                    format.number((result.confidence ?? 0) * 100, 1),
                  )
                : ''}
              {result.samples !== undefined && (
                <>
                  <br />
                  {t.samples(format.number(result.samples, 0))}
                </>
              )}
            </Text>
          </div>
        )}
      </div>
    </li>
  );
}

export function Verified(props: { evidence: Evidence }) {
  const t = useTexts(texts);
  const { status } = props.evidence;
  if (status === undefined) return null;
  const color = status.verified ? 'var(--maru-good)' : 'var(--maru-bad)';
  const Icon = status.verified ? IconRosetteDiscountCheck : IconRosetteDiscountCheckOff;
  return (
    <Text span size="xs" c={color} title={status.reason}>
      <Icon size={14} aria-hidden style={{ verticalAlign: '-2px' }} /> {status.verified ? t.verified : t.unverified}
    </Text>
  );
}

export function Fresh(props: { from: string | undefined; until: string | undefined }) {
  const t = useTexts(texts);
  const now = useNow();
  const state = freshness(toMs(props.from), toMs(props.until), now);
  if (state === 'lasting') return null;
  const color = state === 'expired' ? 'var(--maru-bad)' : state === 'expiring' ? 'var(--maru-warn)' : 'dimmed';
  return (
    <Text span size="xs" c={color}>
      {state === 'expired' ? t.expired : state === 'expiring' ? t.expiring : t.expires}{' '}
      <When time={props.until} style={state === 'fresh' ? 'exact' : 'relative'} />
    </Text>
  );
}
