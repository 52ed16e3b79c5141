// The sentence with the lint's marks where they are, what they say, and the criterion.
import { Anchor, Badge, Group, Text, Tooltip } from '@mantine/core';
import { IconAlertTriangle, IconCircleX, IconInfoCircle } from '@tabler/icons-react';
import type { Criterion, LintFinding, Requirement } from '../../api/maru';
import { usePreferences } from '../../i18n/preferences';
import { useLocalText, useTexts } from '../../i18n/texts';
import { criterionBound } from '../../lib/spine';
import { paths } from '../../paths';
import { Section } from '../../ui/section';
import { useSpineWord } from '../../ui/verdict';
import { bySeverity, markPieces, readPlace, sentences } from './marks';
import classes from './requirement.module.css';
import { texts } from './texts';

export function Statement(props: { requirement: Requirement }) {
  const t = useTexts(texts);
  const { language } = usePreferences();
  const { spec, status } = props.requirement;
  const findings = bySeverity(status?.lint ?? []);
  // The reader's language first; the other below it, smaller.
  const all = sentences(spec.statement).toSorted(
    (a, b) => Number(b.language === language) - Number(a.language === language),
  );
  return (
    <Section title={t.statement} id="statement">
      {all.map((sentence, index) => (
        <p key={sentence.field} className={index === 0 ? classes.statement : classes.other} lang={sentence.language}>
          {markPieces(sentence.text, sentence.field, findings).map((piece, at) =>
            piece.findings.length === 0 ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text have no other name
              <span key={at}>{piece.text}</span>
            ) : (
              // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text have no other name
              <Marked key={at} text={piece.text} findings={piece.findings} />
            ),
          )}
        </p>
      ))}
      <CriterionLine criterion={spec.criterion} />
      {findings.length > 0 && <Findings findings={findings} project={props.requirement.metadata.namespace} />}
    </Section>
  );
}

function Marked(props: { text: string; findings: readonly LintFinding[] }) {
  const local = useLocalText();
  const label = props.findings
    .map((one) => [local(one.message), local(one.fix)].filter(Boolean).join(' — '))
    .join('\n');
  return (
    <Tooltip label={label} multiline maw={440} events={{ hover: true, focus: true, touch: true }}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what is wrong is read by pointing or by Tab */}
      <mark className={classes.mark} data-severity={props.findings[0]?.severity} tabIndex={0} aria-description={label}>
        {props.text}
      </mark>
    </Tooltip>
  );
}

function CriterionLine(props: { criterion: Criterion | undefined }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const { criterion } = props;
  if (!criterion) {
    return (
      <Text size="sm" c="dimmed">
        {t.noCriterion}
      </Text>
    );
  }
  const of = [criterion.of?.service, criterion.of?.route, criterion.of?.component].filter(Boolean).join(' ');
  const bound = criterionBound(criterion);
  return (
    <Group gap={6} mt={6} role="group" aria-label={t.criterion}>
      <Text span size="xs" c="dimmed">
        {t.criterion}
      </Text>
      <Text span size="sm" fw={650}>
        {word(criterion.indicator)} {bound}
      </Text>
      {of !== '' && (
        <Badge variant="default" tt="none" fw={500} ff="monospace">
          {of}
        </Badge>
      )}
      {criterion.window !== undefined && (
        <Text span size="sm" c="dimmed">
          {t.window} {criterion.window}
        </Text>
      )}
      {criterion.atLoad !== undefined && (
        <Text span size="sm" c="dimmed">
          {t.atLoad} {criterion.atLoad}
        </Text>
      )}
    </Group>
  );
}

const ICONS: Record<string, { icon: typeof IconCircleX; color: string }> = {
  error: { icon: IconCircleX, color: 'var(--maru-bad)' },
  warning: { icon: IconAlertTriangle, color: 'var(--maru-warn)' },
};

function Findings(props: { findings: readonly LintFinding[]; project: string | undefined }) {
  const t = useTexts(texts);
  const local = useLocalText();
  return (
    <ul className={classes.rows} aria-label={t.findings} style={{ marginTop: '0.7rem' }}>
      {props.findings.map((one, index) => {
        const { icon: Icon, color } = ICONS[one.severity ?? ''] ?? {
          icon: IconInfoCircle,
          color: 'var(--maru-unknown)',
        };
        const { field, phrase } = readPlace(one.place);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: the same rule may be broken twice at one place
          <li key={`${one.rule} ${one.place} ${index}`}>
            <Group gap={6} wrap="nowrap" align="flex-start">
              <Icon size={16} color={color} style={{ flex: 'none', marginTop: 3 }} aria-label={one.severity} />
              <div style={{ flex: 1, minWidth: 0 }}>
                <Group justify="space-between" gap={8} wrap="nowrap" align="baseline">
                  <Text size="sm">
                    {local(one.message)}{' '}
                    <Text span inherit c="dimmed">
                      {phrase === '' ? field : `“${phrase}”`}
                    </Text>
                  </Text>
                  <Anchor
                    size="xs"
                    ff="monospace"
                    style={{ flex: 'none' }}
                    title={t.allWith(one.rule)}
                    href={`${paths.requirements(props.project)}${props.project ? '&' : '?'}lint=${encodeURIComponent(one.rule)}`}
                  >
                    {one.rule}
                  </Anchor>
                </Group>
                {one.fix !== undefined && (
                  <Text size="xs" c="dimmed">
                    {t.fix}: {local(one.fix)}
                  </Text>
                )}
              </div>
            </Group>
          </li>
        );
      })}
    </ul>
  );
}
