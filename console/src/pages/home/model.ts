// What Home tells, made of what the API says. Pure.
import type { Approval, Evidence, Project, Requirement, ServiceLevelObjective } from '../../api/maru';
import type { Condition, KubernetesObject } from '../../api/types';
import type { LocalText } from '../../i18n/texts';
import { toMs } from '../../lib/format';
import { evidenceKind } from '../../lib/spine';
import { type ObjectTab, paths } from '../../paths';
import type { Tone } from '../../ui/status';

export type Blocker = NonNullable<NonNullable<NonNullable<Project['status']>['gates']>[number]['blocked']>[number];

interface ContainerState {
  waiting?: { reason?: string; message?: string };
  terminated?: { reason?: string; message?: string; exitCode: number; finishedAt?: string };
}

interface ContainerStatus {
  name: string;
  ready?: boolean;
  restartCount?: number;
  state?: ContainerState;
  lastState?: ContainerState;
}

export interface Pod extends KubernetesObject {
  spec?: { nodeName?: string };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    startTime?: string;
    conditions?: Condition[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}

/** A Deployment, StatefulSet or DaemonSet. */
export interface Workload extends KubernetesObject {
  spec?: { replicas?: number };
  status?: {
    observedGeneration?: number;
    readyReplicas?: number;
    updatedReplicas?: number;
    numberReady?: number;
    desiredNumberScheduled?: number;
    conditions?: Condition[];
  };
}

export interface FiringAlert {
  fingerprint: string;
  startsAt: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

export interface ApiEvent extends KubernetesObject {
  involvedObject: { kind?: string; namespace?: string; name?: string; uid?: string; apiVersion?: string };
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  lastTimestamp?: string | null;
  eventTime?: string | null;
  firstTimestamp?: string | null;
}

export type AttentionKind =
  | 'nonconforming'
  | 'alert'
  | 'pod'
  | 'rollout'
  | 'node'
  | 'objective'
  | 'gate'
  | 'lint'
  | 'suspect'
  | 'evidence'
  | 'notMeasured';

/** What helps: the words of its one button. */
export type Help =
  | 'seeEvidence'
  | 'seeMissing'
  | 'mendStatement'
  | 'reviewLink'
  | 'readLog'
  | 'seeEvents'
  | 'undoRollout'
  | 'seeNode'
  | 'seeAlert'
  | 'seeObjective'
  | 'openGate'
  | 'renewEvidence';

export interface Attention {
  key: string;
  kind: AttentionKind;
  tone: Tone;
  name: string;
  namespace: string | undefined;
  title: LocalText | undefined;
  reason: LocalText;
  since: string | undefined;
  help: Help;
  href: string;
}

/** The order in which kinds are told: what hurts now comes first. */
export const ATTENTION_ORDER: readonly AttentionKind[] = [
  'alert',
  'pod',
  'node',
  'rollout',
  'nonconforming',
  'objective',
  'gate',
  'suspect',
  'lint',
  'evidence',
  'notMeasured',
];

export interface World {
  requirements: readonly Requirement[];
  projects: readonly Project[];
  evidence: readonly Evidence[];
  objectives: readonly ServiceLevelObjective[];
  pods: readonly Pod[];
  workloads: readonly { plural: string; items: readonly Workload[] }[];
  nodes: readonly Workload[];
  alerts: readonly FiringAlert[];
  /** Warnings tell more than conditions do. */
  events: readonly ApiEvent[];
}

const POD = { group: '', plural: 'pods' };
const NODE = { group: '', plural: 'nodes' };
const PENDING_MS = 30_000;
const UNREADY_MS = 60_000;

function of(object: KubernetesObject) {
  const { namespace, name, uid } = object.metadata;
  return { key: uid, name, namespace };
}

/** Everything that wants a person, the most urgent first. */
export function attention(world: World, now: number): Attention[] {
  const warnings = lastWarnings(world.events);
  const all: Attention[] = [
    ...world.alerts.map(alertAttention),
    ...world.pods.flatMap((pod) => podAttention(pod, warnings, now) ?? []),
    ...world.nodes.flatMap((node) => nodeAttention(node) ?? []),
    ...world.workloads.flatMap(({ plural, items }) => items.flatMap((one) => rolloutAttention(plural, one) ?? [])),
    ...world.requirements.flatMap(requirementAttention),
    ...world.objectives.flatMap((objective) => objectiveAttention(objective) ?? []),
    ...world.projects.flatMap((project) => gateAttention(project) ?? []),
    ...expired(world.evidence, now),
  ];
  const rank = (one: Attention) => ATTENTION_ORDER.indexOf(one.kind);
  return all.sort((a, b) => rank(a) - rank(b) || (toMs(b.since) ?? 0) - (toMs(a.since) ?? 0));
}

function requirementAttention(requirement: Requirement): Attention[] {
  const { status } = requirement;
  const { namespace = '', name } = requirement.metadata;
  const base = { ...of(requirement), title: requirement.spec.title, href: paths.requirement(namespace, name) };
  const found: Attention[] = [];
  const add = (kind: AttentionKind, tone: Tone, reason: LocalText, help: Help) =>
    found.push({ ...base, key: `${base.key} ${kind}`, kind, tone, reason, since: status?.since, help });
  if (status?.verdict === 'Nonconforming') add('nonconforming', 'bad', verdictReason(requirement), 'seeEvidence');
  if (status?.verdict === 'NotMeasured') add('notMeasured', 'unknown', verdictReason(requirement), 'seeMissing');
  const suspects = status?.suspect ?? [];
  if (suspects.length > 0) add('suspect', 'warn', suspects.map((one) => one.name).join(', '), 'reviewLink');
  const wrong = status?.lint?.find((finding) => finding.severity === 'error');
  if (wrong) add('lint', 'warn', wrong.message ?? wrong.rule ?? '', 'mendStatement');
  return found;
}

export function verdictReason(requirement: Requirement): LocalText {
  return requirement.status?.reasonText ?? requirement.status?.reason ?? '';
}

function alertAttention(alert: FiringAlert): Attention {
  const name = alert.labels.alertname ?? alert.fingerprint;
  return {
    key: `alert ${alert.fingerprint}`,
    kind: 'alert',
    tone: alert.labels.severity === 'info' ? 'warn' : 'bad',
    name,
    namespace: alert.labels.namespace,
    title: undefined,
    reason:
      alert.annotations.summary ??
      alert.annotations.description ??
      alert.annotations.message ??
      labelText(alert.labels),
    since: alert.startsAt,
    help: 'seeAlert',
    href: paths.alerts(),
  };
}

function labelText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .filter(([name]) => name !== 'alertname')
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

/** Why a pod does not do its work; nothing when it does, or ends. */
function podAttention(pod: Pod, warnings: ReadonlyMap<string, string>, now: number): Attention | undefined {
  if (pod.metadata.deletionTimestamp !== undefined) return undefined;
  const { namespace, name, creationTimestamp } = pod.metadata;
  const trouble = podTrouble(pod, warnings.get(pod.metadata.uid), now);
  if (trouble === undefined) return undefined;
  const { reason, since, tab } = trouble;
  return {
    ...of(pod),
    kind: 'pod',
    tone: 'bad',
    title: undefined,
    reason,
    since: since ?? creationTimestamp,
    help: tab === 'logs' ? 'readLog' : 'seeEvents',
    href: paths.object(POD, namespace, name, tab),
  };
}

function podTrouble(
  pod: Pod,
  warning: string | undefined,
  now: number,
): { reason: string; since?: string | undefined; tab: ObjectTab } | undefined {
  const { status } = pod;
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const container of containers) {
    const waiting = container.state?.waiting;
    if (
      waiting?.reason === undefined ||
      waiting.reason === 'ContainerCreating' ||
      waiting.reason === 'PodInitializing'
    ) {
      continue;
    }
    const last = container.lastState?.terminated;
    const parts = [
      `${container.name}: ${waiting.reason}`,
      last && `${last.reason ?? 'ended'} ${last.exitCode} ×${container.restartCount ?? 0}`,
      waiting.message,
    ];
    const crashed = last !== undefined;
    return { reason: parts.filter(Boolean).join(' · '), since: last?.finishedAt, tab: crashed ? 'logs' : 'events' };
  }
  if (status?.phase === 'Failed') {
    const ended = containers.find((one) => (one.state?.terminated?.exitCode ?? 0) !== 0);
    const said = ended?.state?.terminated;
    const reason = status.reason ?? (said ? `${ended?.name}: ${said.reason ?? 'Error'} ${said.exitCode}` : 'Failed');
    return {
      reason: [reason, status.message].filter(Boolean).join(' · '),
      since: said?.finishedAt,
      tab: said ? 'logs' : 'events',
    };
  }
  const condition = (type: string) => status?.conditions?.find((one) => one.type === type && one.status === 'False');
  const scheduled = condition('PodScheduled');
  if (scheduled && olderThan(pod.metadata.creationTimestamp, PENDING_MS, now)) {
    const reason = [scheduled.reason, scheduled.message].filter(Boolean).join(' · ');
    return { reason, since: scheduled.lastTransitionTime, tab: 'events' };
  }
  const ready = condition('Ready');
  if (status?.phase === 'Running' && ready && olderThan(ready.lastTransitionTime, UNREADY_MS, now)) {
    const reason = warning ?? [ready.reason, ready.message].filter(Boolean).join(' · ');
    return { reason, since: ready.lastTransitionTime, tab: 'logs' };
  }
  return undefined;
}

/** What was last wrong with each object, by its uid. */
function lastWarnings(events: readonly ApiEvent[]): Map<string, string> {
  const last = new Map<string, { at: number; text: string }>();
  for (const event of events) {
    const { uid } = event.involvedObject;
    if (event.type !== 'Warning' || uid === undefined) continue;
    const at = eventTime(event);
    if (at >= (last.get(uid)?.at ?? 0))
      last.set(uid, { at, text: [event.reason, event.message].filter(Boolean).join(': ') });
  }
  return new Map([...last].map(([uid, { text }]) => [uid, text]));
}

function eventTime(event: ApiEvent): number {
  return toMs(event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp ?? event.metadata.creationTimestamp) ?? 0;
}

function olderThan(time: string | undefined, ageMs: number, now: number): boolean {
  const at = toMs(time);
  return at !== undefined && now - at > ageMs;
}

function nodeAttention(node: Workload): Attention | undefined {
  const ready = node.status?.conditions?.find((one) => one.type === 'Ready');
  if (ready === undefined || ready.status === 'True') return undefined;
  const { name } = node.metadata;
  return {
    ...of(node),
    kind: 'node',
    tone: 'bad',
    title: undefined,
    reason: [ready.reason, ready.message].filter(Boolean).join(' · '),
    since: ready.lastTransitionTime,
    help: 'seeNode',
    href: paths.object(NODE, undefined, name),
  };
}

function rolloutAttention(plural: string, workload: Workload): Attention | undefined {
  const stuck = workload.status?.conditions?.find(
    (one) =>
      (one.type === 'Progressing' && one.status === 'False') ||
      (one.type === 'ReplicaFailure' && one.status === 'True'),
  );
  if (stuck === undefined) return undefined;
  const { namespace, name } = workload.metadata;
  return {
    ...of(workload),
    kind: 'rollout',
    tone: 'bad',
    title: undefined,
    reason: [stuck.reason, stuck.message].filter(Boolean).join(' · '),
    since: stuck.lastTransitionTime,
    help: 'undoRollout',
    href: paths.object({ group: 'apps', plural }, namespace, name, 'history'),
  };
}

function objectiveAttention(objective: ServiceLevelObjective): Attention | undefined {
  if (objective.status?.outcome !== 'Violated') return undefined;
  const { namespace = '', name } = objective.metadata;
  return {
    ...of(objective),
    kind: 'objective',
    tone: 'bad',
    title: undefined,
    reason: objective.status.reason ?? '',
    since: undefined,
    help: 'seeObjective',
    href: paths.objective(namespace, name),
  };
}

export interface NextGate {
  stage: string;
  side: 'entry' | 'exit';
  blockers: readonly Blocker[];
  reason: string;
}

/** The closed gate that the project stands before. */
export function nextGate(project: Project): NextGate | undefined {
  const gate = project.status?.gates?.find((one) => !one.open && one.gate?.startsWith(`${project.status?.stage}/`));
  if (gate === undefined) return undefined;
  const [stage = '', side] = (gate.gate ?? '').split('/');
  return { stage, side: side === 'entry' ? 'entry' : 'exit', blockers: gate.blocked ?? [], reason: gate.reason ?? '' };
}

function gateAttention(project: Project): Attention | undefined {
  const gate = nextGate(project);
  if (gate === undefined) return undefined;
  const first = gate.blockers[0];
  return {
    ...of(project),
    kind: 'gate',
    tone: 'warn',
    name: gate.stage,
    namespace: project.metadata.namespace,
    title: undefined,
    reason: first ? first.error || (first.message ?? first.expression) : gate.reason,
    since: undefined,
    help: 'openGate',
    href: paths.gates(project.metadata.namespace),
  };
}

/** Evidence that no longer counts and that nothing newer has replaced. */
function expired(evidence: readonly Evidence[], now: number): Attention[] {
  const newest = new Map<string, Evidence>();
  const end = (one: Evidence) => toMs(one.spec.window?.to) ?? toMs(one.metadata.creationTimestamp) ?? 0;
  for (const one of evidence) {
    const { predicateType, name, environment } = one.spec;
    const key = [one.metadata.namespace, predicateType, name, environment].join('\n');
    const known = newest.get(key);
    if (known === undefined || end(one) > end(known)) newest.set(key, one);
  }
  return [...newest.values()].flatMap((one): Attention[] => {
    const { namespace = '', name } = one.metadata;
    const until = toMs(one.spec.validUntil);
    const broken = one.status?.verified === false && one.status.reason !== undefined;
    if (!broken && (until === undefined || until > now)) return [];
    return [
      {
        ...of(one),
        kind: 'evidence',
        tone: broken ? 'bad' : 'stale',
        name: one.spec.name || name,
        title: undefined,
        reason: broken
          ? (one.status?.reason ?? '')
          : words(evidenceKind(one.spec.predicateType), one.spec.environment).join(' '),
        since: one.spec.validUntil,
        help: 'renewEvidence',
        href: paths.evidence(namespace, name),
      },
    ];
  });
}

function words(...all: (string | undefined)[]): string[] {
  return all.filter((one) => one !== undefined && one !== '') as string[];
}

export interface Counts {
  conforming: number;
  nonconforming: number;
  notMeasured: number;
  ready: number;
  notReady: number;
  met: number;
  missed: number;
  undecided: number;
}

export function counts(world: Pick<World, 'requirements' | 'workloads' | 'objectives'>): Counts {
  const verdicts = (verdict: string) => world.requirements.filter((one) => one.status?.verdict === verdict).length;
  const outcomes = (outcome: string) => world.objectives.filter((one) => one.status?.outcome === outcome).length;
  const workloads = world.workloads.flatMap(({ items }) => items);
  const ready = workloads.filter(isReady).length;
  const met = outcomes('Met');
  const missed = outcomes('Violated');
  return {
    conforming: verdicts('Conforming'),
    nonconforming: verdicts('Nonconforming'),
    notMeasured: verdicts('NotMeasured'),
    ready,
    notReady: workloads.length - ready,
    met,
    missed,
    undecided: world.objectives.length - met - missed,
  };
}

export function isReady(workload: Workload): boolean {
  const { metadata, spec, status } = workload;
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0)) return false;
  const wanted = status?.desiredNumberScheduled ?? spec?.replicas ?? 1;
  return (status?.numberReady ?? status?.readyReplicas ?? 0) >= wanted;
}

/** The namespaces of a project: its own and those of its environments. */
export function namespacesOf(project: Project): Set<string> {
  const own = project.metadata.namespace ?? '';
  const others = (project.spec.environments ?? []).map((one) => one.namespace ?? `${own}-${one.name}`);
  return new Set([own, ...others]);
}

export interface Stage {
  stage: string;
  state: 'done' | 'now' | 'ahead';
}

/** The stages of a project in the order of its gates. */
export function stages(project: Project): Stage[] {
  const all = [...new Set((project.status?.gates ?? []).map((gate) => gate.gate?.split('/')[0] ?? ''))];
  const at = project.status?.stage === 'done' ? all.length : all.indexOf(project.status?.stage ?? '');
  return all.map((stage, index) => ({ stage, state: index < at ? 'done' : index === at ? 'now' : 'ahead' }));
}

export type ActivityKind = 'event' | 'warning' | 'approval' | 'rejection' | 'evidence' | 'rollout' | 'baseline';

export interface Activity {
  key: string;
  kind: ActivityKind;
  at: number;
  /** The object's kind and name: `deployment shop`. */
  object: string;
  namespace: string | undefined;
  /** Words of the spine among them are shown in the reader's language. */
  details: readonly string[];
  count: number;
  href: string | undefined;
}

/** Events of pods that all goes well make noise: only these kinds of news are told. */
function isNews(event: ApiEvent): boolean {
  return event.type === 'Warning' || (event.involvedObject.kind !== 'Pod' && event.involvedObject.kind !== 'Node');
}

/** The same thing with the same object again and again is told once, with how often. */
function newestOfEach(events: readonly ApiEvent[]): ApiEvent[] {
  const newest = new Map<string, ApiEvent>();
  for (const event of events) {
    const { kind, namespace, name } = event.involvedObject;
    const key = [kind, namespace, name, event.reason].join('\n');
    const known = newest.get(key);
    const count = (event.count ?? 1) + (known?.count ?? (known ? 1 : 0));
    newest.set(key, { ...(known && eventTime(known) > eventTime(event) ? known : event), count });
  }
  return [...newest.values()];
}

export interface History {
  events: readonly ApiEvent[];
  approvals: readonly Approval[];
  evidence: readonly Evidence[];
  replicaSets: readonly KubernetesObject[];
  baselines: readonly KubernetesObject[];
  /** Where an object of this kind is. */
  hrefOf: (
    apiVersion: string | undefined,
    kind: string | undefined,
    namespace: string | undefined,
    name: string,
  ) => string | undefined;
}

/** What happened, the newest first. */
export function activity(history: History, max: number): Activity[] {
  const all: Activity[] = [];
  for (const event of newestOfEach(history.events.filter(isNews))) {
    const { kind, name = '', namespace, apiVersion } = event.involvedObject;
    all.push({
      key: event.metadata.uid,
      kind: event.type === 'Warning' ? 'warning' : 'event',
      at: eventTime(event),
      object: `${kind ?? ''} ${name}`.trim(),
      namespace,
      details: [[event.reason, event.message].filter(Boolean).join(': ')],
      count: event.count ?? 1,
      href: history.hrefOf(apiVersion, kind, namespace, name),
    });
  }
  for (const one of history.approvals) {
    const { namespace, creationTimestamp, uid } = one.metadata;
    all.push({
      key: uid,
      kind: one.spec.decision === 'rejected' ? 'rejection' : 'approval',
      at: toMs(one.spec.at ?? creationTimestamp) ?? 0,
      object: one.spec.of.map((what) => `${what.kind} ${what.name}`).join(', '),
      namespace,
      details: words(one.spec.role, one.spec.by),
      count: 1,
      href: paths.gates(namespace),
    });
  }
  for (const one of history.evidence) {
    const { namespace = '', name, creationTimestamp, uid } = one.metadata;
    // An approval is a record too; it is told as what it is.
    if (evidenceKind(one.spec.predicateType) === 'approval') continue;
    all.push({
      key: uid,
      kind: 'evidence',
      at: toMs(creationTimestamp) ?? 0,
      object: one.spec.name || name,
      namespace,
      details: words(evidenceKind(one.spec.predicateType), one.spec.environment, one.spec.result?.outcome),
      count: 1,
      href: paths.evidence(namespace, name),
    });
  }
  for (const one of history.replicaSets) {
    const owner = one.metadata.ownerReferences?.find((reference) => reference.controller);
    const revision = one.metadata.annotations?.['deployment.kubernetes.io/revision'];
    if (owner === undefined || revision === undefined) continue;
    all.push({
      key: one.metadata.uid,
      kind: 'rollout',
      at: toMs(one.metadata.creationTimestamp) ?? 0,
      object: `${owner.kind} ${owner.name}`,
      namespace: one.metadata.namespace,
      details: [`#${revision}`],
      count: 1,
      href: paths.object({ group: 'apps', plural: 'deployments' }, one.metadata.namespace, owner.name, 'history'),
    });
  }
  for (const one of history.baselines) {
    const { namespace, name, creationTimestamp, uid } = one.metadata;
    all.push({
      key: uid,
      kind: 'baseline',
      at: toMs(creationTimestamp) ?? 0,
      object: name,
      namespace,
      details: [],
      count: 1,
      href: paths.gates(namespace),
    });
  }
  return all.sort((a, b) => b.at - a.at).slice(0, max);
}
