// The traceability matrix as rows, and what became of each between two states of a project.
import type { CheckStatus, Outcome, Priority, Requirement, Verdict, WorkItem } from '../../api/maru';
import type { LocalText } from '../../i18n/texts';
import { toMs } from '../../lib/format';
import { checkLabel, checkName, criterionBound, evidenceName, type Means } from '../../lib/spine';

/** A check in a cell: what it is called and what it came to. */
export interface Mark {
  label: string;
  means: Means;
  outcome: Outcome | undefined;
  evidence: string | undefined;
  at: number | undefined;
  expires: number | undefined;
}

export interface MatrixRow {
  name: string;
  title: LocalText;
  statement: LocalText;
  priority: Priority;
  kind: string;
  category: string;
  verdict: Verdict | undefined;
  parents: readonly string[];
  design: readonly string[];
  work: readonly string[];
  criterion: string;
  tests: readonly Mark[];
  slos: readonly Mark[];
  others: readonly Mark[];
  /** Names of the evidence that the checks rest on. */
  evidence: readonly string[];
  /** When it was measured at last. */
  measured: number | undefined;
  /** When the first of it ceases to count. */
  expires: number | undefined;
  fingerprint: string | undefined;
  /** The words that rows are found by. */
  text: string;
}

/** What the matrix is made of: objects as they are, or as a baseline holds them. */
export interface MatrixSource {
  requirements: readonly Requirement[];
  workItems: readonly WorkItem[];
}

export function buildRows(source: MatrixSource): MatrixRow[] {
  const work = new Map<string, string[]>();
  for (const item of source.workItems) {
    for (const name of item.spec.requirements ?? []) {
      const known = work.get(name);
      if (known) known.push(item.metadata.name);
      else work.set(name, [item.metadata.name]);
    }
  }
  return source.requirements
    .map((one) => buildRow(one, work.get(one.metadata.name) ?? []))
    .toSorted((a, b) => COLLATOR.compare(a.name, b.name));
}

const COLLATOR = new Intl.Collator('en', { numeric: true });

function buildRow(requirement: Requirement, work: readonly string[]): MatrixRow {
  const { spec, status, metadata } = requirement;
  const statuses = new Map((status?.checks ?? []).map((check) => [check.check, check]));
  const marks = (spec.verify ?? []).map((check, index) => mark(checkName(check), statuses.get(index)));
  const title = spec.title ?? '';
  const known = marks.flatMap((one) => (one.evidence === undefined ? [] : [one.evidence]));
  const row: MatrixRow = {
    name: metadata.name,
    title,
    statement: spec.statement,
    priority: spec.priority,
    kind: status?.class?.kind ?? '',
    category: status?.class?.category ?? '',
    verdict: status?.verdict,
    parents: (spec.derivedFrom ?? []).map((link) => link.name),
    design: (spec.allocatedTo ?? []).toSorted(),
    work: work.toSorted(),
    criterion: spec.criterion ? [spec.criterion.indicator, criterionBound(spec.criterion)].join(' ').trim() : '',
    tests: marks.filter((one) => one.means === 'test'),
    slos: marks.filter((one) => one.means === 'slo'),
    others: marks.filter((one) => one.means !== 'test' && one.means !== 'slo'),
    evidence: [...new Set(known)],
    measured: extreme(marks, 'at', Math.max),
    expires: extreme(marks, 'expires', Math.min),
    fingerprint: status?.fingerprint,
    text: '',
  };
  row.text = [
    row.name,
    ...texts(title),
    ...texts(spec.statement),
    row.category,
    ...row.design,
    ...row.work,
    ...row.parents,
    ...marks.map((one) => one.label),
  ]
    .join('\n')
    .toLowerCase();
  return row;
}

function mark(name: ReturnType<typeof checkName>, status: CheckStatus | undefined): Mark {
  return {
    label: checkLabel(name),
    means: name.means,
    outcome: status?.outcome,
    evidence: status?.evidence === undefined ? undefined : evidenceName(status.evidence),
    at: toMs(status?.at),
    expires: toMs(status?.expires),
  };
}

function extreme(marks: readonly Mark[], field: 'at' | 'expires', of: (...times: number[]) => number) {
  const times = marks.flatMap((one) => (one[field] === undefined ? [] : [one[field]]));
  return times.length === 0 ? undefined : of(...times);
}

function texts(text: LocalText): string[] {
  return typeof text === 'string' ? [text] : [text.ko ?? '', text.en ?? ''];
}

/** Where a thread has a gap. A requirement that is not to be done has none. */
export const GAPS = ['design', 'work', 'check', 'evidence', 'expired'] as const;
export type Gap = (typeof GAPS)[number];

/** `hasChildren`: what others derive from is fulfilled and checked by them. */
export function gapsOf(row: MatrixRow, hasChildren: boolean, now: number): Gap[] {
  if (row.priority === 'wont' || hasChildren) return [];
  const gaps: Gap[] = [];
  const checks = row.tests.length + row.slos.length + row.others.length;
  if (row.design.length === 0) gaps.push('design');
  if (row.work.length === 0) gaps.push('work');
  if (checks === 0) gaps.push('check');
  else if (row.evidence.length === 0) gaps.push('evidence');
  if (row.expires !== undefined && row.expires <= now) gaps.push('expired');
  return gaps;
}

/** Names that others derive from. */
export function parentNames(rows: readonly MatrixRow[]): Set<string> {
  return new Set(rows.flatMap((row) => row.parents));
}

export interface MatrixFilter {
  text: string;
  verdict: string;
  priority: string;
  kind: string;
  gap: string;
  change: string;
}

export function matches(
  row: MatrixRow,
  filter: MatrixFilter,
  gaps: readonly Gap[],
  change: RowChange | undefined,
): boolean {
  if (filter.verdict !== '' && (row.verdict ?? 'none') !== filter.verdict) return false;
  if (filter.priority !== '' && row.priority !== filter.priority) return false;
  if (filter.kind !== '' && row.kind !== filter.kind) return false;
  if (filter.gap !== '' && !(filter.gap === 'any' ? gaps.length > 0 : gaps.includes(filter.gap as Gap))) return false;
  if (filter.change !== '' && !(filter.change === 'any' ? change?.kind !== 'same' : change?.kind === filter.change)) {
    return false;
  }
  return filter.text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => row.text.includes(word));
}

// Between two states.

/** `verdict`: it means the same, and evidence says something else of it. */
export type ChangeKind = 'added' | 'removed' | 'changed' | 'verdict' | 'same';
export type Field =
  | 'title'
  | 'statement'
  | 'priority'
  | 'criterion'
  | 'parents'
  | 'design'
  | 'work'
  | 'checks'
  | 'verdict'
  | 'evidence';

export interface RowChange {
  kind: ChangeKind;
  fields: ReadonlySet<Field>;
  before: MatrixRow | undefined;
  after: MatrixRow | undefined;
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
const checks = (row: MatrixRow) => [...row.tests, ...row.slos, ...row.others].map((one) => `${one.means} ${one.label}`);

/** Fields whose change is a change of meaning. */
const MEANING: readonly Field[] = ['statement', 'priority', 'criterion', 'parents', 'design', 'checks'];

export function changedFields(before: MatrixRow, after: MatrixRow): Set<Field> {
  const fields = new Set<Field>();
  for (const field of [
    'title',
    'statement',
    'priority',
    'criterion',
    'parents',
    'design',
    'work',
    'verdict',
    'evidence',
  ] as const) {
    if (!same(before[field], after[field])) fields.add(field);
  }
  if (!same(checks(before), checks(after))) fields.add('checks');
  return fields;
}

/** What became of each requirement, by name; rows of what is gone are in `removed`. */
export function diffRows(
  before: readonly MatrixRow[],
  after: readonly MatrixRow[],
): { changes: Map<string, RowChange>; removed: MatrixRow[] } {
  const old = new Map(before.map((row) => [row.name, row]));
  const changes = new Map<string, RowChange>();
  for (const row of after) {
    const was = old.get(row.name);
    old.delete(row.name);
    if (!was) {
      changes.set(row.name, { kind: 'added', fields: new Set(), before: undefined, after: row });
      continue;
    }
    const fields = changedFields(was, row);
    const kind = MEANING.some((field) => fields.has(field)) ? 'changed' : fields.has('verdict') ? 'verdict' : 'same';
    changes.set(row.name, { kind, fields, before: was, after: row });
  }
  const removed = [...old.values()];
  for (const row of removed) {
    changes.set(row.name, { kind: 'removed', fields: new Set(), before: row, after: undefined });
  }
  return { changes, removed };
}

/** A baseline's content as the matrix reads it. */
export interface BaselineContent {
  name: string;
  at: string;
  /** Baselines of before do not hold work items. */
  objects: { Requirement?: Requirement[]; WorkItem?: WorkItem[] };
}

export interface Word {
  text: string;
  kind: 'same' | 'added' | 'removed';
}

const WORDS_MAX = 400;

/** What became of a sentence, word by word (the longest common subsequence). */
export function wordDiff(before: string, after: string): Word[] {
  const old = before.split(/(\s+)/);
  const now = after.split(/(\s+)/);
  if (old.length > WORDS_MAX || now.length > WORDS_MAX) {
    return [
      { text: before, kind: 'removed' },
      { text: after, kind: 'added' },
    ];
  }
  const width = now.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  const at = (row: number, column: number) => lengths[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row -= 1) {
    for (let column = now.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] =
        old[row] === now[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const words: Word[] = [];
  const push = (text: string, kind: Word['kind']) => {
    const last = words.at(-1);
    if (last?.kind === kind) last.text += text;
    else words.push({ text, kind });
  };
  let row = 0;
  let column = 0;
  while (row < old.length || column < now.length) {
    const left = old[row];
    const right = now[column];
    if (left !== undefined && left === right) {
      push(left, 'same');
      row += 1;
      column += 1;
    } else if (left !== undefined && (right === undefined || at(row + 1, column) >= at(row, column + 1))) {
      push(left, 'removed');
      row += 1;
    } else {
      push(right ?? '', 'added');
      column += 1;
    }
  }
  return words.filter((word) => word.text !== '');
}
