// All addresses of the console. A page builds links by these functions only; `paths.test.ts` lists them.
import type { Kind } from './api/discovery';

const enc = encodeURIComponent;

/** Cluster-wide objects have `-` in the place of the namespace. */
const NO_NAMESPACE = '-';

function query(values: Record<string, string | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value) search.set(name, value);
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

export type ObjectTab = 'overview' | 'yaml' | 'logs' | 'terminal' | 'events' | 'history';

export const paths = {
  home: () => '/',
  requirements: (project?: string) => `/spine/requirements${query({ project })}`,
  requirement: (namespace: string, name: string) => `/spine/requirements/${enc(namespace)}/${enc(name)}`,
  matrix: (project?: string) => `/spine/matrix${query({ project })}`,
  analysis: (project?: string) => `/spine/analysis${query({ project })}`,
  gates: (project?: string) => `/spine/gates${query({ project })}`,
  documents: (project?: string) => `/spine/documents${query({ project })}`,
  evidenceList: (project?: string) => `/spine/evidence${query({ project })}`,
  evidence: (namespace: string, name: string) => `/spine/evidence/${enc(namespace)}/${enc(name)}`,
  topology: (namespace?: string) => `/topology${query({ namespace })}`,
  workloads: (namespace?: string) => `/workloads${query({ namespace })}`,
  kind: (kind: Pick<Kind, 'group' | 'plural'>, namespace?: string) =>
    `/workloads/${enc(resourceName(kind))}${query({ namespace })}`,
  object: (kind: Pick<Kind, 'group' | 'plural'>, namespace: string | undefined, name: string, tab?: ObjectTab) =>
    `/workloads/${enc(resourceName(kind))}/${enc(namespace ?? NO_NAMESPACE)}/${enc(name)}${query({ tab })}`,
  create: (namespace?: string, kind?: Pick<Kind, 'group' | 'plural'>) =>
    `/create${query({ namespace, kind: kind && resourceName(kind) })}`,
  logs: (namespace?: string, selector?: string) => `/logs${query({ namespace, selector })}`,
  explore: (expression?: string) => `/metrics/explore${query({ expr: expression })}`,
  boards: () => '/metrics/boards',
  board: (namespace: string, name: string) => `/metrics/boards/${enc(namespace)}/${enc(name)}`,
  objectives: () => '/objectives',
  objective: (namespace: string, name: string) => `/objectives/${enc(namespace)}/${enc(name)}`,
  alerts: () => '/alerts',
  alertRules: (rule?: string, labels?: string) => `/alerts/rules${query({ rule, labels })}`,
  alertTrace: (fingerprint: string) => `/alerts/why/${enc(fingerprint)}`,
  alertRouting: () => '/alerts/routing',
  rehearsal: (expression?: string) => `/alerts/rehearsal${query({ expr: expression })}`,
  /** With matchers (`severity="page"`), the form of a new silence. */
  silences: (matchers?: string) => `/alerts/silences${query({ new: matchers })}`,
  settings: () => '/settings',
} as const;

/** `pods`, `deployments.apps`: as kubectl names resources. */
export function resourceName(kind: Pick<Kind, 'group' | 'plural'>): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** The namespace that a path's parameter says. */
export function namespaceOf(parameter: string | undefined): string | undefined {
  return parameter === undefined || parameter === NO_NAMESPACE ? undefined : parameter;
}
