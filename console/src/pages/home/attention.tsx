// What wants a person: its reason, and the one button that helps.
import { Button, Text, Title } from '@mantine/core';
import {
  IconAlertTriangle,
  IconBell,
  IconBox,
  IconCircleX,
  IconClock,
  IconHelpCircle,
  IconLink,
  IconLock,
  IconServer,
  IconTarget,
  IconWriting,
} from '@tabler/icons-react';
import { useState } from 'react';
import { useStageTitle } from '../../i18n/stages';
import { type LocalText, useLocalText, useTexts } from '../../i18n/texts';
import { Loading } from '../../ui/faces';
import { toneColor } from '../../ui/status';
import { useSpineWord } from '../../ui/verdict';
import { When } from '../../ui/when';
import classes from './home.module.css';
import { ATTENTION_ORDER, type Attention, type AttentionKind } from './model';
import { texts } from './texts';

/** How many of a kind are shown at first. */
const AT_FIRST = 4;

const MARKS: Record<AttentionKind, typeof IconBell> = {
  nonconforming: IconCircleX,
  alert: IconBell,
  pod: IconBox,
  rollout: IconAlertTriangle,
  node: IconServer,
  objective: IconTarget,
  gate: IconLock,
  lint: IconWriting,
  suspect: IconLink,
  evidence: IconClock,
  notMeasured: IconHelpCircle,
};

const WORDS = {
  nonconforming: 'kindNonconforming',
  alert: 'kindAlert',
  pod: 'kindPod',
  rollout: 'kindRollout',
  node: 'kindNode',
  objective: 'kindObjective',
  gate: 'kindGate',
  lint: 'kindLint',
  suspect: 'kindSuspect',
  evidence: 'kindEvidence',
  notMeasured: 'kindNotMeasured',
} as const satisfies Record<AttentionKind, keyof typeof texts.en>;

export function AttentionPanel(props: { items: readonly Attention[]; loading: boolean }) {
  const t = useTexts(texts);
  const groups = ATTENTION_ORDER.map((kind) => ({ kind, items: props.items.filter((one) => one.kind === kind) }));
  return (
    <section className={classes.panel} aria-labelledby="attention">
      <div className={classes.head}>
        <Title order={2} size="h4" id="attention">
          {t.attention}
        </Title>
        {props.items.length > 0 && (
          <Text size="sm" c="dimmed">
            {props.items.length}
          </Text>
        )}
      </div>
      {props.loading && props.items.length === 0 ? (
        <Loading />
      ) : props.items.length === 0 ? (
        <Text p="lg" ta="center">
          {t.nothing}{' '}
          <Text span c="dimmed">
            {t.nothingWhy}
          </Text>
        </Text>
      ) : (
        <ul className={classes.list}>
          {groups
            .filter((group) => group.items.length > 0)
            .map((group) => (
              <Group key={group.kind} kind={group.kind} items={group.items} />
            ))}
        </ul>
      )}
    </section>
  );
}

function Group(props: { kind: AttentionKind; items: readonly Attention[] }) {
  const t = useTexts(texts);
  const [opened, open] = useState(false);
  const { items, kind } = props;
  // One more line is as short as the button that would show it.
  const shown = opened || items.length <= AT_FIRST + 1 ? items : items.slice(0, AT_FIRST);
  return (
    <>
      {shown.map((item) => (
        <Item key={item.key} item={item} />
      ))}
      {items.length > AT_FIRST + 1 && (
        <li className={classes.item}>
          <span />
          <Button
            size="compact-xs"
            variant="subtle"
            justify="flex-start"
            aria-expanded={opened}
            onClick={() => open(!opened)}
          >
            {opened ? t.fewer : `${t[WORDS[kind]]}: ${t.more(items.length - shown.length)}`}
          </Button>
        </li>
      )}
    </>
  );
}

function Item(props: { item: Attention }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const { item } = props;
  const word = useSpineWord();
  const stageTitle = useStageTitle();
  const Mark = MARKS[item.kind];
  const name = item.kind === 'gate' ? stageTitle(item.name) : item.name;
  const title = local(item.title);
  return (
    <li className={classes.item}>
      <span className={classes.mark}>
        <Mark size={16} color={toneColor(item.tone)} aria-hidden />
      </span>
      <div>
        <a href={item.href} className={classes.name}>
          {title === '' ? name : `${name} ${title}`}
        </a>
        <div className={classes.reason}>{reason(t, item, local, word)}</div>
        <div className={classes.small}>
          {[t[WORDS[item.kind]], item.namespace].filter(Boolean).join(' · ')}
          {item.since !== undefined && (
            <>
              {' · '}
              <When time={item.since} />
            </>
          )}
        </div>
      </div>
      <Button component="a" href={item.href} size="compact-xs" variant="default" className={classes.help ?? ''}>
        {t[item.help]}
      </Button>
    </li>
  );
}

function reason(
  t: (typeof texts)['en'],
  item: Attention,
  local: (text: LocalText | undefined) => string,
  word: (word: string) => string,
): string {
  const text = local(item.reason);
  if (item.kind === 'suspect') return t.suspectReason(text);
  if (item.kind === 'evidence' && item.tone === 'stale') return t.evidenceReason(text.split(' ').map(word).join(' · '));
  return text;
}
