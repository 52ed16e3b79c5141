// What hangs on a requirement: parents and children, evidence over time, conflicts, approvals.
import type { Approval, CheckStatus, Evidence, Measured, Outcome, Requirement } from '../../api/maru';
import { toMs } from '../../lib/format';
import { answers, type CheckName } from '../../lib/spine';

/** A requirement and those above or below it; a ring is cut where it closes. */
export interface Branch {
  name: string;
  /** Absent: named, but not there. */
  requirement: Requirement | undefined;
  branches: readonly Branch[];
}

export class Derivation {
  readonly #all: ReadonlyMap<string, Requirement>;
  readonly #children = new Map<string, string[]>();

  constructor(requirements: readonly Requirement[]) {
    this.#all = new Map(requirements.map((one) => [one.metadata.name, one]));
    for (const one of requirements) {
      for (const link of one.spec.derivedFrom ?? []) {
        const known = this.#children.get(link.name);
        if (known) known.push(one.metadata.name);
        else this.#children.set(link.name, [one.metadata.name]);
      }
    }
    for (const names of this.#children.values()) names.sort();
  }

  children(name: string): readonly string[] {
    return this.#children.get(name) ?? [];
  }

  parents(name: string): readonly string[] {
    return (this.#all.get(name)?.spec.derivedFrom ?? []).map((link) => link.name);
  }

  up(name: string): readonly Branch[] {
    return this.#grow(this.parents(name), (one) => this.parents(one), [name]);
  }

  down(name: string): readonly Branch[] {
    return this.#grow(this.children(name), (one) => this.children(one), [name]);
  }

  #grow(names: readonly string[], next: (name: string) => readonly string[], above: readonly string[]): Branch[] {
    return names.map((name) => ({
      name,
      requirement: this.#all.get(name),
      branches: above.includes(name) ? [] : this.#grow(next(name), next, [...above, name]),
    }));
  }

  /** All that a change reaches, nearest first, each once. */
  reach(name: string): string[] {
    const seen = new Set([name]);
    const found: string[] = [];
    let ring: readonly string[] = [name];
    while (ring.length > 0) {
      const further: string[] = [];
      for (const child of ring.flatMap((one) => this.children(one))) {
        if (seen.has(child)) continue;
        seen.add(child);
        found.push(child);
        further.push(child);
      }
      ring = further;
    }
    return found;
  }
}

/** A measurement of a check, at a time. */
export interface Point {
  at: number;
  measured: Measured;
  evidence: Evidence;
  /** What it says of this check; absent where a suite failed and only some of its cases count. */
  outcome: Outcome | undefined;
  /** Whether it was made for the requirement as it is now. */
  current: boolean;
}

/** Evidence about a requirement: what names it as a subject. */
export function evidenceOf(evidence: readonly Evidence[], name: string): Evidence[] {
  return evidence.filter((one) =>
    one.spec.subjects.some((subject) => subject.kind === 'requirement' && subject.name === name),
  );
}

/** The measurements of a check over time, oldest first. */
export function history(
  evidence: readonly Evidence[],
  name: string,
  fingerprint: string | undefined,
  check: CheckName,
  came?: CheckStatus,
): Point[] {
  const points: Point[] = [];
  for (const one of evidence) {
    const at = toMs(one.spec.window.to);
    if (at === undefined || !answers(one, check)) continue;
    const subject = one.spec.subjects.find((own) => own.kind === 'requirement' && own.name === name);
    if (!subject) continue;
    const madeFor = subject.digest ?? subject.fingerprint;
    const measured = one.spec.result;
    const isPart = check.cases !== undefined && measured.outcome !== 'Met';
    const outcome =
      came !== undefined && came.evidence === one.spec.envelope ? came.outcome : isPart ? undefined : measured.outcome;
    points.push({ at, measured, evidence: one, outcome, current: madeFor === fingerprint });
  }
  return points.toSorted((a, b) => a.at - b.at);
}

/** What people said about a requirement, latest first. */
export function approvalsOf(approvals: readonly Approval[], name: string): Approval[] {
  return approvals
    .filter((one) => one.spec.of.some((of) => of.kind === 'Requirement' && of.name === name))
    .toSorted((a, b) => saidAt(b) - saidAt(a));
}

function saidAt(approval: Approval): number {
  return toMs(approval.spec.at ?? approval.metadata.creationTimestamp) ?? 0;
}
