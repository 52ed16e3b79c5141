// Which requirements a list shows.
import type { Requirement } from '../../api/maru';
import type { Tone } from '../../ui/status';

export const PRIORITIES = ['must', 'should', 'could', 'wont'] as const;
export const LINTS = ['any', 'error', 'warning', 'suspect', 'conflict', 'clean'] as const;
/** What the strip counts; `none`: agreed not to be done. The bad come first. */
export const VERDICTS: readonly { id: 'Nonconforming' | 'NotMeasured' | 'Conforming' | 'none'; tone: Tone }[] = [
  { id: 'Nonconforming', tone: 'bad' },
  { id: 'NotMeasured', tone: 'unknown' },
  { id: 'Conforming', tone: 'good' },
  { id: 'none', tone: 'unknown' },
];

export interface RequirementFilter {
  verdict: string;
  /** `functional`, `nonFunctional`, or a quality. */
  kind: string;
  priority: string;
  lint: string;
}

export function isShown(requirement: Requirement, filter: RequirementFilter): boolean {
  const { spec, status } = requirement;
  const told = status?.class;
  if (filter.verdict !== '' && (status?.verdict ?? 'none') !== filter.verdict) return false;
  if (filter.kind !== '' && told?.kind !== filter.kind && told?.category !== filter.kind) return false;
  if (filter.priority !== '' && spec.priority !== filter.priority) return false;
  return hasFinding(requirement, filter.lint);
}

function hasFinding({ status }: Requirement, which: string): boolean {
  const { lint = [], suspect = [], conflicts = [] } = status ?? {};
  const count = lint.length + suspect.length + conflicts.length;
  switch (which) {
    case 'any':
      return count > 0;
    case 'clean':
      return count === 0;
    case 'suspect':
      return suspect.length > 0;
    case 'conflict':
      return conflicts.length > 0;
    case 'error':
    case 'warning':
      return lint.some((one) => one.severity === which);
    default:
      // A rule's id, from a finding of one requirement to all that have it.
      return which === '' || lint.some((one) => one.rule === which);
  }
}

/** The qualities that occur. */
export function categories(requirements: readonly Requirement[]): string[] {
  return [...new Set(requirements.flatMap((one) => one.status?.class?.category ?? []))].toSorted();
}

export function countVerdicts(requirements: readonly Requirement[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of requirements) {
    const verdict = one.status?.verdict ?? 'none';
    counts[verdict] = (counts[verdict] ?? 0) + 1;
  }
  return counts;
}
