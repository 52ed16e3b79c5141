// What happened: events, approvals, evidence, roll-outs and baselines on one line of time.
import { Text, Title } from '@mantine/core';
import {
  IconAlertTriangle,
  IconBookmark,
  IconCertificate,
  IconPoint,
  IconRocket,
  IconThumbDown,
  IconThumbUp,
} from '@tabler/icons-react';
import { useTexts } from '../../i18n/texts';
import { Loading } from '../../ui/faces';
import { toneColor } from '../../ui/status';
import { useSpineWord } from '../../ui/verdict';
import { When } from '../../ui/when';
import classes from './home.module.css';
import type { Activity, ActivityKind } from './model';
import { texts } from './texts';

const MARKS: Record<ActivityKind, { icon: typeof IconPoint; color: string; word: keyof typeof WORDS }> = {
  event: { icon: IconPoint, color: toneColor('unknown'), word: 'wasEvent' },
  warning: { icon: IconAlertTriangle, color: toneColor('warn'), word: 'wasWarning' },
  approval: { icon: IconThumbUp, color: toneColor('good'), word: 'wasApproval' },
  rejection: { icon: IconThumbDown, color: toneColor('bad'), word: 'wasRejection' },
  evidence: { icon: IconCertificate, color: toneColor('unknown'), word: 'wasEvidence' },
  rollout: { icon: IconRocket, color: toneColor('unknown'), word: 'wasRollout' },
  baseline: { icon: IconBookmark, color: toneColor('unknown'), word: 'wasBaseline' },
};
const WORDS = texts.en;

export function ActivityPanel(props: { items: readonly Activity[]; loading: boolean }) {
  const t = useTexts(texts);
  return (
    <section className={classes.panel} aria-labelledby="activity">
      <div className={classes.head}>
        <Title order={2} size="h4" id="activity">
          {t.activity}
        </Title>
      </div>
      {props.loading && props.items.length === 0 ? (
        <Loading />
      ) : props.items.length === 0 ? (
        <Text p="md" c="dimmed">
          {t.quiet}
        </Text>
      ) : (
        <ol className={classes.list}>
          {props.items.map((item) => (
            <News key={item.key} item={item} />
          ))}
        </ol>
      )}
    </section>
  );
}

function News(props: { item: Activity }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const { item } = props;
  const { icon: Mark, color, word: what } = MARKS[item.kind];
  return (
    <li className={classes.news}>
      <span className={classes.mark}>
        <Mark size={14} color={color} aria-hidden />
      </span>
      <div>
        <div className={classes.line}>
          {item.href === undefined ? (
            <span className={classes.name}>{item.object}</span>
          ) : (
            <a href={item.href} className={classes.name}>
              {item.object}
            </a>
          )}
          <span className={classes.small} style={{ whiteSpace: 'nowrap' }}>
            <When time={item.at} />
          </span>
        </div>
        <div className={classes.small}>
          <span className={classes.reason} style={{ fontSize: 'inherit' }}>
            {[t[what], item.namespace, ...item.details.map(word)].filter(Boolean).join(' · ')}
            {item.count > 1 && ` ×${item.count}`}
          </span>
        </div>
      </div>
    </li>
  );
}
