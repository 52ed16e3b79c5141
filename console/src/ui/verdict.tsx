// The words of the spine with their marks: verdicts, outcomes of checks, priorities, kinds of checks.
import { Badge, Tooltip } from '@mantine/core';
import type { Outcome, Priority, Verdict } from '../api/maru';
import { defineTexts, useTexts } from '../i18n/texts';
import { StatusBadge, type Tone } from './status';

export const spineTexts = defineTexts(
  {
    Conforming: 'Conforming',
    Nonconforming: 'Nonconforming',
    NotMeasured: 'Not measured',
    none: 'Not planned',
    Met: 'Met',
    Violated: 'Violated',
    Insufficient: 'Insufficient',
    must: 'Must',
    should: 'Should',
    could: 'Could',
    wont: 'Won’t',
    functional: 'Functional',
    nonFunctional: 'Non-functional',
    slo: 'Objective',
    test: 'Test',
    approval: 'Approval',
    scan: 'Scan',
    load: 'Load',
    drill: 'Drill',
    install: 'Installation',
    survey: 'Survey',
    experiment: 'Experiment',
    bom: 'Parts list',
    provenance: 'Provenance',
    baseline: 'Baseline',
    decision: 'Decision',
    key: 'New key',
    latency: 'Latency',
    availability: 'Availability',
    errorRatio: 'Error ratio',
    throughput: 'Throughput',
    capacity: 'Capacity',
    cost: 'Cost',
    recoveryPoint: 'Recovery point',
    recoveryTime: 'Recovery time',
    licence: 'Licences',
    control: 'Security check',
    behaviour: 'Behaviour',
    acceptance: 'Acceptance',
    performance: 'Performance',
    reliability: 'Reliability',
    recoverability: 'Recoverability',
    security: 'Security',
    usability: 'Usability',
    compliance: 'Compliance',
    maintainability: 'Maintainability',
    stable: 'Stable',
    moderate: 'Moderate',
    volatile: 'Volatile',
    new: 'New',
    source: 'From a source',
    derived: 'Derived',
    todo: 'To do',
    doing: 'Doing',
    done: 'Done',
    story: 'Story',
    task: 'Task',
    bug: 'Bug',
    approved: 'Approved',
    rejected: 'Rejected',
    image: 'Image',
    configuration: 'Configuration',
    commit: 'Commit',
    requirement: 'Requirement',
    environment: 'Environment',
    artifact: 'File',
  },
  {
    Conforming: '적합',
    Nonconforming: '부적합',
    NotMeasured: '미측정',
    none: '제외',
    Met: '충족',
    Violated: '위반',
    Insufficient: '부족',
    must: '필수',
    should: '권장',
    could: '선택',
    wont: '제외',
    functional: '기능',
    nonFunctional: '비기능',
    slo: '서비스 목표',
    test: '시험',
    approval: '승인',
    scan: '점검',
    load: '부하',
    drill: '훈련',
    install: '설치',
    survey: '현황 조사',
    experiment: '실험',
    bom: '부품표',
    provenance: '출처 증명',
    baseline: '기준선',
    decision: '결정',
    key: '새 키',
    latency: '응답 시간',
    availability: '가용성',
    errorRatio: '오류 비율',
    throughput: '처리량',
    capacity: '용량',
    cost: '비용',
    recoveryPoint: '복구 시점',
    recoveryTime: '복구 시간',
    licence: '라이선스',
    control: '보안 점검',
    behaviour: '동작',
    acceptance: '인수',
    performance: '성능',
    reliability: '신뢰성',
    recoverability: '복구성',
    security: '보안',
    usability: '사용성',
    compliance: '준수',
    maintainability: '유지보수성',
    stable: '안정',
    moderate: '보통',
    volatile: '잦은 변경',
    new: '신규',
    source: '원천에서',
    derived: '파생',
    todo: '할 일',
    doing: '진행 중',
    done: '완료',
    story: '스토리',
    task: '작업',
    bug: '버그',
    approved: '승인',
    rejected: '반려',
    image: '이미지',
    configuration: '구성',
    commit: '커밋',
    requirement: '요구사항',
    environment: '환경',
    artifact: '파일',
  },
);

/** A word of the spine in the chosen language; a word that is none of it stays as it is. */
export function useSpineWord(): (word: string) => string {
  const t: Record<string, string> = useTexts(spineTexts);
  return (word) => t[word] ?? word;
}

const VERDICTS: Record<Verdict, Tone> = { Conforming: 'good', Nonconforming: 'bad', NotMeasured: 'unknown' };
const OUTCOMES: Record<Outcome, Tone> = { Met: 'good', Violated: 'bad', Insufficient: 'unknown' };

export function verdictTone(verdict: Verdict | undefined): Tone {
  return verdict === undefined ? 'unknown' : VERDICTS[verdict];
}

export function outcomeTone(outcome: Outcome | undefined): Tone {
  return outcome === undefined ? 'unknown' : OUTCOMES[outcome];
}

/** A requirement's verdict; none is written about what is agreed not to be done, and before the first look. */
export function VerdictBadge(props: { verdict: Verdict | undefined; title?: string | undefined }) {
  const word = useSpineWord();
  return (
    <StatusBadge
      tone={verdictTone(props.verdict)}
      label={props.verdict === undefined ? word('none') : word(props.verdict)}
      title={props.title}
    />
  );
}

export function OutcomeBadge(props: { outcome: Outcome | undefined; title?: string | undefined }) {
  const word = useSpineWord();
  return (
    <StatusBadge
      tone={outcomeTone(props.outcome)}
      label={props.outcome === undefined ? '—' : word(props.outcome)}
      title={props.title}
    />
  );
}

export function PriorityMark(props: { priority: Priority | undefined }) {
  const word = useSpineWord();
  const priority = props.priority ?? 'must';
  return (
    <Badge
      variant={priority === 'must' ? 'filled' : 'default'}
      color="gray"
      tt="none"
      size="sm"
      fw={priority === 'must' ? 700 : 500}
      styles={priority === 'must' ? { root: { background: 'var(--maru-unknown)', color: 'var(--maru-panel)' } } : {}}
    >
      {word(priority)}
    </Badge>
  );
}

/** A short text whose whole is told when it is pointed at. */
export function Told(props: { text: string; children: React.ReactNode }) {
  if (props.text === '') return props.children;
  return (
    <Tooltip label={props.text} multiline maw={420}>
      <span>{props.children}</span>
    </Tooltip>
  );
}
