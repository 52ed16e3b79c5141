// What workloads own and how they are changed, as kubectl does it. Pure.
import type { ControllerRevision, LabelSelector, PodTemplate, Workload } from '../api/kubernetes';
import type { AnyObject, KubernetesObject } from '../api/types';

/** `app=web,tier in (a,b)`: a selector as the API takes it; `undefined` selects nothing. */
export function selectorText(selector: LabelSelector | undefined): string | undefined {
  if (selector === undefined) return undefined;
  const parts = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    if (operator === 'Exists') parts.push(key);
    else if (operator === 'DoesNotExist') parts.push(`!${key}`);
    else parts.push(`${key} ${operator === 'In' ? 'in' : 'notin'} (${(values ?? []).join(',')})`);
  }
  return parts.length === 0 ? undefined : parts.join(',');
}

/** `a=b` parts of a map of labels. */
export function labelsText(labels: Record<string, string> | undefined): string | undefined {
  return selectorText(labels === undefined ? undefined : { matchLabels: labels });
}

/** The objects that one owns, directly or through others. */
export function ownedBy<T extends KubernetesObject>(uid: string, objects: readonly T[]): T[] {
  const owned = new Set([uid]);
  const found = new Set<T>();
  for (let isGrowing = true; isGrowing; ) {
    isGrowing = false;
    for (const object of objects) {
      if (found.has(object) || !object.metadata.ownerReferences?.some((one) => owned.has(one.uid))) continue;
      found.add(object);
      owned.add(object.metadata.uid);
      isGrowing = true;
    }
  }
  return [...found];
}

/** Which kinds (as `plural.group`) objects of a kind make; `undefined`: not known, look at all. */
export function childKinds(kind: string): readonly string[] | undefined {
  switch (kind) {
    case 'Deployment':
      return ['replicasets.apps', 'pods.'];
    case 'StatefulSet':
    case 'DaemonSet':
      return ['pods.', 'controllerrevisions.apps'];
    case 'ReplicaSet':
    case 'ReplicationController':
    case 'Job':
      return ['pods.'];
    case 'CronJob':
      return ['jobs.batch', 'pods.'];
    case 'Service':
      return ['endpointslices.discovery.k8s.io'];
    case 'Pod':
    case 'ConfigMap':
    case 'Secret':
    case 'Event':
    case 'PersistentVolumeClaim':
    case 'ServiceAccount':
    case 'EndpointSlice':
    case 'ControllerRevision':
      return [];
    default:
      return undefined;
  }
}

/** The template of a workload's pods. */
export function templateOf(kind: string, object: Workload): PodTemplate | undefined {
  return kind === 'CronJob' ? object.spec?.jobTemplate?.spec.template : object.spec?.template;
}

/** One state that a workload had. */
export interface Revision {
  number: number;
  name: string;
  created: string;
  cause: string | undefined;
  template: PodTemplate | undefined;
  /** Whether it is what the workload says now. */
  isCurrent: boolean;
  replicas: number | undefined;
}

const REVISION = 'deployment.kubernetes.io/revision';
const CAUSE = 'kubernetes.io/change-cause';
const HASH = 'pod-template-hash';

export function deploymentRevisions(deployment: Workload, replicaSets: readonly Workload[]): Revision[] {
  const current = Number(deployment.metadata.annotations?.[REVISION] ?? 0);
  return replicaSets
    .filter((one) => one.metadata.ownerReferences?.some((owner) => owner.uid === deployment.metadata.uid))
    .map((one) => ({
      number: Number(one.metadata.annotations?.[REVISION] ?? 0),
      name: one.metadata.name,
      created: one.metadata.creationTimestamp,
      cause: one.metadata.annotations?.[CAUSE],
      template: one.spec?.template && withoutHash(one.spec.template),
      isCurrent: Number(one.metadata.annotations?.[REVISION] ?? 0) === current,
      replicas: one.status?.replicas ?? 0,
    }))
    .toSorted((left, right) => right.number - left.number);
}

export function controllerRevisions(owner: Workload, revisions: readonly ControllerRevision[]): Revision[] {
  const own = revisions
    .filter((one) => one.metadata.ownerReferences?.some((reference) => reference.uid === owner.metadata.uid))
    .toSorted((left, right) => right.revision - left.revision);
  const newest = own[0]?.metadata.name;
  const current = owner.status?.updateRevision || newest;
  return own.map((one) => ({
    number: one.revision,
    name: one.metadata.name,
    created: one.metadata.creationTimestamp,
    cause: one.metadata.annotations?.[CAUSE],
    template: withoutPatchMark(one.data?.spec?.template),
    isCurrent: one.metadata.name === current,
    replicas: undefined,
  }));
}

/** A revision's data is a patch that replaces the template: what says so is no part of the template. */
function withoutPatchMark(template: PodTemplate | undefined): PodTemplate | undefined {
  if (template === undefined) return undefined;
  const { $patch: _, ...rest } = template as PodTemplate & { $patch?: string };
  return rest;
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Annotations that stay with the deployment when it goes back (kubectl's `annotationsToSkip`). */
const STAYING = [
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  'deployment.kubernetes.io/revision-history',
  'deployment.kubernetes.io/desired-replicas',
  'deployment.kubernetes.io/max-replicas',
  'deprecated.deployment.rollback.to',
];

export interface JsonPatchOperation {
  op: 'replace' | 'add' | 'test';
  path: string;
  value: unknown;
}

/** The patch by which `kubectl rollout undo` takes a deployment back to what a replica set says. */
export function undoPatch(deployment: Workload, replicaSet: Workload): JsonPatchOperation[] {
  const annotations: Record<string, string> = {};
  for (const key of STAYING) {
    const value = deployment.metadata.annotations?.[key];
    if (value !== undefined) annotations[key] = value;
  }
  for (const [key, value] of Object.entries(replicaSet.metadata.annotations ?? {})) {
    if (!STAYING.includes(key)) annotations[key] = value;
  }
  const template = replicaSet.spec?.template;
  return [
    { op: 'replace', path: '/spec/template', value: template && withoutHash(template) },
    {
      op: deployment.metadata.annotations === undefined ? 'add' : 'replace',
      path: '/metadata/annotations',
      value: annotations,
    },
  ];
}

/** The job that `kubectl create job --from=cronjob/…` makes. */
export function manualJob(cronJob: AnyObject, suffix: string): object {
  const { name, namespace, uid } = cronJob.metadata;
  const template = (cronJob.spec?.jobTemplate ?? {}) as {
    metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
    spec?: unknown;
  };
  const { metadata, spec } = template;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${name.slice(0, 63 - suffix.length - 8)}-manual-${suffix}`,
      namespace,
      labels: metadata?.labels ?? {},
      annotations: { ...metadata?.annotations, 'cronjob.kubernetes.io/instantiate': 'manual' },
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'CronJob', name, uid, controller: true }],
    },
    spec,
  };
}
