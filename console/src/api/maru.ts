// The kinds of maru.dev by name. Their fields come from the API's own document (maru.gen.ts, `npm run types`).
import type { LocalText } from '../i18n/texts';
import type { components } from './maru.gen';
import type { KubernetesObject } from './types';

type Schemas = components['schemas'];
type Of<Name extends string> = `dev.maru.v1alpha1.${Name}` extends infer Key extends keyof Schemas
  ? KubernetesObject & Omit<Schemas[Key], 'apiVersion' | 'kind' | 'metadata'>
  : never;

export type Requirement = Of<'Requirement'>;
export type Evidence = Of<'Evidence'>;
export type Architecture = Omit<Of<'Architecture'>, 'status'> & { status?: ArchitectureStatus };
export type Project = Of<'Project'>;
export type Gate = Of<'Gate'>;
export type Approval = Of<'Approval'>;
export type Baseline = Of<'Baseline'>;
export type Document = Of<'Document'>;
export type WorkItem = Of<'WorkItem'>;
export type Environment = Of<'Environment'>;
export type Method = Of<'Method'>;
export type Glossary = Of<'Glossary'>;
export type ServiceLevelObjective = KubernetesObject & { spec: ObjectiveSpec; status?: ObjectiveStatus };

export type RequirementStatus = NonNullable<Requirement['status']>;
export type Verdict = NonNullable<RequirementStatus['verdict']>;
export type Priority = Requirement['spec']['priority'];
export type Criterion = NonNullable<Requirement['spec']['criterion']>;
export type Check = NonNullable<Requirement['spec']['verify']>[number];
export type CheckStatus = NonNullable<RequirementStatus['checks']>[number];
export type LintFinding = NonNullable<RequirementStatus['lint']>[number];
export type Outcome = CheckStatus['outcome'];
export type Measured = Evidence['spec']['result'];
export type Subject = Evidence['spec']['subjects'][number];
export type BaselineItem = NonNullable<Baseline['spec']['items']>[number];

// The API keeps the fields of these as they are written, without a schema.

/** OpenSLO 1, as far as the console reads it. */
export interface ObjectiveSpec {
  service?: string;
  description?: string;
  timeWindow?: { duration: string; isRolling?: boolean; calendar?: { startTime?: string; timeZone?: string } }[];
  budgetingMethod?: string;
  objectives?: { displayName?: string; target?: number; op?: string; value?: number }[];
  indicator?: unknown;
}

/** What is known of a target in one window. */
export interface Judged {
  outcome: Outcome;
  reason: LocalText;
  from: string;
  to: string;
  good: number;
  total: number;
  /** Good and all events of each piece of the window, in order. */
  blocks: [number, number][];
  ratio?: number;
  low?: number;
  high?: number;
  confidence: number;
  /** The share of the budget that is left; negative when it is overdrawn. */
  budgetLeft?: number;
}

export interface TargetStatus {
  name: string;
  target: number;
  /** Of a latency, in seconds. */
  threshold?: number;
  note?: LocalText;
  current: Judged;
  closed?: Judged;
}

export interface ObjectiveStatus {
  outcome?: Outcome;
  reason?: LocalText;
  budgetLeft?: string;
  hoursLeft?: number;
  compositeRatio?: number;
  /** The PrometheusRule that it was compiled to. */
  rules?: string;
  problems?: string[];
  targets?: TargetStatus[];
  observedGeneration?: number;
}

export type Feasibility = 'Feasible' | 'Infeasible' | 'Unknown';

export interface Relaxation {
  requirement: string;
  what: string;
  service?: string;
  now: string;
  /** The strictest value with which all can hold; none: no value of it alone is enough. */
  to?: string;
  within?: string;
}

export interface ArchitectureStatus {
  observedGeneration?: number;
  question?: string;
  outcome?: Feasibility;
  cost?: string;
  within?: string;
  reason?: string;
  reasonText?: LocalText;
  choice?: { service: string; option: string; cost?: string }[];
  numbers?: { requirement: string; what: string; service?: string; asked: string; reached: string }[];
  conflicts?: { requirements: string[]; minimal: boolean; rows?: LocalText[] }[];
  /** Whether there are no other conflicts. */
  complete?: boolean;
  relaxations?: Relaxation[];
  byPriority?: Relaxation[];
  costByPriority?: string;
  certificate?: string;
  measured?: {
    service: string;
    option: string;
    number: string;
    value: string;
    estimate?: string;
    requirement: string;
    evidence?: string;
  }[];
  notAnalysed?: { requirement: string; why: LocalText }[];
  findings?: { rule: string; severity: string; services?: string[]; message: LocalText; fix: LocalText }[];
}
