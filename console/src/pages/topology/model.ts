// The graph of a namespace: services, who calls whom, and the drawn architecture against what is seen. Pure.

import type { Architecture, Requirement, ServiceLevelObjective } from '../../api/maru';
import type { Series } from '../../api/prometheus';
import type { KubernetesObject } from '../../api/types';

export interface Red {
  /** Requests a second. */
  rate: number;
  /** The share of them that failed; absent without requests. */
  errors: number | undefined;
  /** Seconds. */
  p95: number | undefined;
}

export type NodeKind = 'service' | 'drawn' | 'outside' | 'other';

export interface ServiceNode {
  id: string;
  kind: NodeKind;
  name: string;
  namespace: string | undefined;
  /** Copies that are ready, and all. */
  ready: number;
  pods: number;
  red: Red | undefined;
  requirements: readonly Requirement[];
  objectives: readonly ServiceLevelObjective[];
  context: string | undefined;
}

/**
 * `both`: drawn and seen. `drawn`: drawn and not seen, though calls are observed. `unknown`: drawn, and nothing observes calls.
 * `seen`: seen and not drawn. `plain`: seen where nothing is drawn.
 */
export type CallState = 'both' | 'drawn' | 'unknown' | 'seen' | 'plain';

export interface CallEdge {
  id: string;
  from: string;
  to: string;
  state: CallState;
  red: Red | undefined;
  /** The most connections at a time that the kernel tracked. */
  connections: number | undefined;
  critical: boolean;
}

export interface Topology {
  nodes: ServiceNode[];
  edges: CallEdge[];
}

export interface Service extends KubernetesObject {
  spec?: { selector?: Record<string, string> };
}

export interface Pod extends KubernetesObject {
  status?: { phase?: string; conditions?: { type: string; status: string }[] };
}

/** What the metrics room answered: instant vectors. Absent when it did not, or is not there. */
export interface Measured {
  gatewayRate: readonly Series[];
  gatewayErrors: readonly Series[];
  gatewayP95: readonly Series[];
  ownRate: readonly Series[];
  ownErrors: readonly Series[];
  ownP95: readonly Series[];
  calls: readonly Series[];
}

export const NOTHING_MEASURED: Measured = {
  gatewayRate: [],
  gatewayErrors: [],
  gatewayP95: [],
  ownRate: [],
  ownErrors: [],
  ownP95: [],
  calls: [],
};

/** Who calls from outside the cluster, through the gateway. */
export const OUTSIDE = 'outside';

export interface Input {
  namespace: string;
  services: readonly Service[];
  pods: readonly Pod[];
  architectures: readonly Architecture[];
  requirements: readonly Requirement[];
  objectives: readonly ServiceLevelObjective[];
  measured: Measured;
  /** Whether anything observes calls between pods. */
  observes: boolean;
}

export function topology(input: Input): Topology {
  const { namespace, measured } = input;
  const drawn = input.architectures.flatMap((one) => one.spec.services ?? []);
  const nodes = new Map<string, ServiceNode>();
  const badges = (name: string) => ({
    requirements: input.requirements.filter((one) => one.spec.allocatedTo?.includes(name)),
    objectives: input.objectives.filter((one) => one.spec.service === name),
  });
  const add = (kind: NodeKind, name: string, inNamespace: string | undefined, more: Partial<ServiceNode> = {}) => {
    const id = idOf(inNamespace, name);
    if (!nodes.has(id)) {
      const none = { ready: 0, pods: 0, red: undefined, requirements: [], objectives: [], context: undefined };
      nodes.set(id, { id, kind, name, namespace: inNamespace, ...none, ...more });
    }
    return id;
  };
  for (const service of input.services) {
    const { name } = service.metadata;
    const behind = podsOf(service, input.pods);
    add('service', name, namespace, {
      ready: behind.filter(isReady).length,
      pods: behind.length,
      red: red(measured.ownRate, measured.ownErrors, measured.ownP95, (series) => series.labels.app === name),
      context: drawn.find((one) => one.name === name)?.context,
      ...badges(name),
    });
  }
  for (const one of drawn) add('drawn', one.name, namespace, { context: one.context, ...badges(one.name) });

  const edges = new Map<string, CallEdge>();
  const call = (from: string, to: string, more: Partial<CallEdge>) => {
    const id = `${from}>${to}`;
    const before = edges.get(id) ?? {
      id,
      from,
      to,
      state: 'plain',
      red: undefined,
      connections: undefined,
      critical: false,
    };
    edges.set(id, { ...before, ...more });
  };
  for (const one of drawn) {
    for (const called of one.calls ?? []) {
      const to = add('drawn', called.to, namespace, badges(called.to));
      call(idOf(namespace, one.name), to, {
        state: input.observes ? 'drawn' : 'unknown',
        critical: called.critical === true,
      });
    }
  }
  const isDrawn = (id: string) => drawn.some((one) => idOf(namespace, one.name) === id);
  for (const series of measured.calls) {
    const { from_namespace, from, to_namespace, to } = series.labels;
    const connections = series.values.at(-1) ?? 0;
    if (!from || !to || connections <= 0 || isPlumbing(to_namespace, to)) continue;
    const source = add(from_namespace === namespace ? 'service' : 'other', from, from_namespace);
    const target = add(to_namespace === namespace ? 'service' : 'other', to, to_namespace);
    if (source === target) continue;
    const known = edges.get(`${source}>${target}`);
    const inside = isDrawn(source) || isDrawn(target);
    call(source, target, { connections, state: known ? 'both' : inside ? 'seen' : 'plain' });
  }
  for (const service of input.services) {
    const { name } = service.metadata;
    const measures = red(
      measured.gatewayRate,
      measured.gatewayErrors,
      measured.gatewayP95,
      (series) => series.labels.service?.startsWith(`${namespace}/${name}:`) === true,
    );
    if (measures === undefined) continue;
    call(add('outside', OUTSIDE, undefined), idOf(namespace, name), { red: measures });
  }
  shareRed(nodes, edges);
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** A service that is called by one caller alone tells what that call is like. */
function shareRed(nodes: ReadonlyMap<string, ServiceNode>, edges: Map<string, CallEdge>): void {
  for (const node of nodes.values()) {
    const callers = [...edges.values()].filter(
      (edge) => edge.to === node.id && edge.state !== 'drawn' && edge.state !== 'unknown',
    );
    const only = callers.length === 1 ? callers[0] : undefined;
    if (only && only.red === undefined && node.red) edges.set(only.id, { ...only, red: node.red });
  }
}

/** Names and the API are called by everything: drawing that tells nothing. */
function isPlumbing(namespace: string | undefined, name: string): boolean {
  return namespace === 'kube-system' || (namespace === 'default' && name === 'kubernetes');
}

export function idOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

function podsOf(service: Service, pods: readonly Pod[]): readonly Pod[] {
  const selector = Object.entries(service.spec?.selector ?? {});
  if (selector.length === 0) return [];
  return pods.filter(
    (pod) =>
      pod.metadata.namespace === service.metadata.namespace &&
      pod.status?.phase !== 'Succeeded' &&
      selector.every(([label, value]) => pod.metadata.labels?.[label] === value),
  );
}

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
}

function red(
  rates: readonly Series[],
  errors: readonly Series[],
  p95s: readonly Series[],
  of: (series: Series) => boolean,
): Red | undefined {
  const sum = (all: readonly Series[]) =>
    all.filter(of).reduce((total, one) => total + finite(one.values.at(-1), 0), 0);
  if (!rates.some(of)) return undefined;
  const rate = sum(rates);
  const slowest = p95s.filter(of).map((one) => one.values.at(-1) ?? Number.NaN);
  const p95 = slowest.filter(Number.isFinite).reduce((worst, one) => Math.max(worst, one), 0);
  return { rate, errors: rate > 0 ? sum(errors) / rate : undefined, p95: p95 > 0 ? p95 : undefined };
}

function finite(value: number | undefined, otherwise: number): number {
  return value !== undefined && Number.isFinite(value) ? value : otherwise;
}

/** The worst verdict of some requirements: it colours the badge. */
export function worstVerdict(requirements: readonly Requirement[]): 'good' | 'bad' | 'unknown' | undefined {
  const verdicts = requirements.flatMap((one) => one.status?.verdict ?? []);
  if (verdicts.length === 0) return undefined;
  if (verdicts.includes('Nonconforming')) return 'bad';
  return verdicts.includes('NotMeasured') ? 'unknown' : 'good';
}

export function worstOutcome(objectives: readonly ServiceLevelObjective[]): 'good' | 'bad' | 'unknown' | undefined {
  const outcomes = objectives.flatMap((one) => one.status?.outcome ?? []);
  if (outcomes.length === 0) return undefined;
  if (outcomes.includes('Violated')) return 'bad';
  return outcomes.includes('Insufficient') ? 'unknown' : 'good';
}

/** PromQL of everything that the page shows of a namespace, within a time such as `15m`. */
export function queries(namespace: string, window: string): Record<keyof Measured, string> {
  const text = JSON.stringify(namespace);
  const gateway = `service=~${JSON.stringify(`${namespace.replace(/[.-]/g, '\\$&')}/.*`)}`;
  const rate = (metric: string, selector: string) => `rate(${metric}{${selector}}[${window}])`;
  const own = `namespace=${text}`;
  const p95 = (metric: string, by: string, selector: string) =>
    `histogram_quantile(0.95, sum by (${by}, le) (${rate(`${metric}_bucket`, selector)}))`;
  return {
    gatewayRate: `sum by (service) (${rate('maru_gateway_requests_total', gateway)})`,
    gatewayErrors: `sum by (service) (${rate('maru_gateway_requests_total', `${gateway},code=~"5.."`)})`,
    gatewayP95: p95('maru_gateway_request_duration_seconds', 'service', gateway),
    ownRate: `sum by (app) (${rate('http_requests_total', own)}) or sum by (app) (${rate('http_server_request_duration_seconds_count', own)})`,
    ownErrors: `sum by (app) (${rate('http_requests_total', `${own},code=~"5.."`)}) or sum by (app) (${rate('http_server_request_duration_seconds_count', `${own},http_response_status_code=~"5.."`)})`,
    ownP95: `${p95('http_request_duration_seconds', 'app', own)} or ${p95('http_server_request_duration_seconds', 'app', own)}`,
    calls: `max_over_time(maru_network_calls{from_namespace=${text}}[${window}]) or max_over_time(maru_network_calls{to_namespace=${text}}[${window}])`,
  };
}
