// How an object is, in the words of the API: what `kubectl get` and `kubectl rollout status` would say. Pure.
import type { ContainerStatus, Pod, Workload } from '../api/kubernetes';
import type { AnyObject, Condition, KubernetesObject } from '../api/types';

export type HealthTone = 'good' | 'bad' | 'warn' | 'pending' | 'unknown';

export interface Health {
  tone: HealthTone;
  /** A word of the API: `Running`, `CrashLoopBackOff`. */
  label: string;
  /** Why, in the server's words. */
  message?: string | undefined;
}

/** Tells how an object is; `undefined` for kinds that have no state. */
export function health(kind: string, object: KubernetesObject): Health | undefined {
  if (object.metadata.deletionTimestamp !== undefined && kind !== 'Pod' && kind !== 'Namespace') {
    const finalizers = object.metadata.finalizers ?? [];
    return {
      tone: 'pending',
      label: 'Terminating',
      message: finalizers.length > 0 ? `finalizers: ${finalizers.join(', ')}` : undefined,
    };
  }
  const any = object as AnyObject;
  switch (kind) {
    case 'Pod':
      return podHealth(object as Pod);
    case 'Deployment':
      return deploymentHealth(object as Workload);
    case 'StatefulSet':
    case 'ReplicaSet':
    case 'ReplicationController':
      return replicasHealth(object as Workload);
    case 'DaemonSet':
      return daemonSetHealth(object as Workload);
    case 'Job':
      return jobHealth(object as Workload);
    case 'CronJob':
      return (object as Workload).spec?.suspend === true ? { tone: 'warn', label: 'Suspended' } : undefined;
    case 'Node':
      return nodeHealth(any);
    case 'Namespace':
    case 'PersistentVolumeClaim':
    case 'PersistentVolume':
      return phaseHealth(any);
    default:
      return conditionHealth(any);
  }
}

/** What `kubectl get pods` shows as STATUS, with its reason. */
export function podHealth(pod: Pod): Health {
  const status = pod.status ?? {};
  let label = status.reason ?? status.phase ?? 'Unknown';
  let message = status.message;
  const inits = status.initContainerStatuses ?? [];
  const sidecars = new Set(
    (pod.spec.initContainers ?? []).filter((one) => one.restartPolicy === 'Always').map((one) => one.name),
  );
  let isInitializing = false;
  for (const [index, init] of inits.entries()) {
    const { terminated, waiting } = init.state ?? {};
    if (terminated?.exitCode === 0 || (sidecars.has(init.name) && init.started === true)) continue;
    isInitializing = true;
    if (terminated !== undefined) label = `Init:${endOf(terminated)}`;
    else if (waiting?.reason !== undefined && waiting.reason !== 'PodInitializing') label = `Init:${waiting.reason}`;
    else label = `Init:${index}/${(pod.spec.initContainers ?? []).length}`;
    message = terminated?.message ?? waiting?.message ?? message;
    break;
  }
  if (!isInitializing) {
    let isRunning = false;
    for (const container of (status.containerStatuses ?? []).toReversed()) {
      const { waiting, terminated, running } = container.state ?? {};
      if (waiting?.reason) {
        label = waiting.reason;
        message = waiting.message ?? lastEnd(container) ?? message;
      } else if (terminated !== undefined) {
        label = endOf(terminated);
        message = terminated.message ?? message;
      } else if (container.ready && running !== undefined) isRunning = true;
    }
    if (label === 'Completed' && isRunning) label = 'Running';
  }
  if (pod.metadata.deletionTimestamp !== undefined) label = status.reason === 'NodeLost' ? 'Unknown' : 'Terminating';
  return { tone: podTone(pod, label), label, message: message ?? unready(status.conditions, label) };
}

const WAITS = ['Pending', 'ContainerCreating', 'PodInitializing', 'Terminating', 'SchedulingGated'];

function podTone(pod: Pod, label: string): HealthTone {
  if (label === 'Succeeded' || label === 'Completed') return 'good';
  if (WAITS.includes(label) || /^Init:\d+\/\d+$/.test(label)) {
    const scheduled = pod.status?.conditions?.find((one) => one.type === 'PodScheduled');
    return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable' ? 'bad' : 'pending';
  }
  if (label !== 'Running') return label === 'Unknown' ? 'unknown' : 'bad';
  return (pod.status?.containerStatuses ?? []).every((one) => one.ready) ? 'good' : 'warn';
}

function endOf(terminated: { reason?: string; exitCode: number; signal?: number }): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

function lastEnd(container: ContainerStatus): string | undefined {
  const end = container.lastState?.terminated;
  return end && `${container.name}: ${endOf(end)} (exit code ${end.exitCode})`;
}

function unready(conditions: readonly Condition[] | undefined, label: string): string | undefined {
  const type = label === 'Pending' ? 'PodScheduled' : 'Ready';
  const condition = conditions?.find((one) => one.type === type && one.status === 'False');
  return condition?.message ?? condition?.reason;
}

/** `1/2` as in kubectl's READY. */
export function readyContainers(pod: Pod): { ready: number; all: number; restarts: number } {
  const statuses = pod.status?.containerStatuses ?? [];
  return {
    ready: statuses.filter((one) => one.ready).length,
    all: pod.spec.containers.length,
    restarts: statuses.reduce((sum, one) => sum + one.restartCount, 0),
  };
}

function isStale(object: Workload): boolean {
  return (object.status?.observedGeneration ?? 0) < (object.metadata.generation ?? 0);
}

function deploymentHealth(deployment: Workload): Health {
  const status = deployment.status ?? {};
  const wanted = deployment.spec?.replicas ?? 1;
  const conditions = status.conditions ?? [];
  const broken = conditions.find(
    (one) =>
      (one.type === 'Progressing' && one.reason === 'ProgressDeadlineExceeded') ||
      (one.type === 'ReplicaFailure' && one.status === 'True'),
  );
  if (broken !== undefined) return { tone: 'bad', label: broken.reason ?? broken.type, message: broken.message };
  if (deployment.spec?.paused === true) return { tone: 'warn', label: 'Paused' };
  const counts = `${status.availableReplicas ?? 0}/${wanted}`;
  if (isStale(deployment)) return { tone: 'pending', label: 'Progressing' };
  if ((status.updatedReplicas ?? 0) < wanted || (status.replicas ?? 0) > (status.updatedReplicas ?? 0)) {
    return { tone: 'pending', label: 'Progressing', message: `${status.updatedReplicas ?? 0}/${wanted} updated` };
  }
  if ((status.availableReplicas ?? 0) < wanted) {
    const available = conditions.find((one) => one.type === 'Available');
    const isDown = available?.status === 'False';
    return {
      tone: isDown ? 'bad' : 'pending',
      label: isDown ? 'Unavailable' : 'Progressing',
      message: `${counts} available`,
    };
  }
  return { tone: 'good', label: 'Available', message: counts };
}

function replicasHealth(object: Workload): Health {
  const wanted = object.spec?.replicas ?? 1;
  const ready = object.status?.readyReplicas ?? 0;
  const message = `${ready}/${wanted} ready`;
  const failure = object.status?.conditions?.find((one) => one.type === 'ReplicaFailure' && one.status === 'True');
  if (failure !== undefined) return { tone: 'bad', label: failure.reason ?? failure.type, message: failure.message };
  if (isStale(object)) return { tone: 'pending', label: 'Progressing', message };
  return ready >= wanted
    ? { tone: 'good', label: 'Ready', message }
    : { tone: 'pending', label: 'Progressing', message };
}

function daemonSetHealth(object: Workload): Health {
  const wanted = object.status?.desiredNumberScheduled ?? 0;
  const ready = object.status?.numberReady ?? 0;
  const updated = object.status?.updatedNumberScheduled ?? 0;
  const message = `${ready}/${wanted} ready`;
  const isDone = !isStale(object) && ready >= wanted && updated >= wanted;
  return isDone ? { tone: 'good', label: 'Ready', message } : { tone: 'pending', label: 'Progressing', message };
}

function jobHealth(job: Workload): Health {
  const conditions = job.status?.conditions ?? [];
  const said = (type: string) => conditions.find((one) => one.type === type && one.status === 'True');
  const failed = said('Failed');
  if (failed !== undefined) return { tone: 'bad', label: failed.reason ?? 'Failed', message: failed.message };
  if (said('Complete') !== undefined) return { tone: 'good', label: 'Complete' };
  if (said('Suspended') !== undefined || job.spec?.suspend === true) return { tone: 'warn', label: 'Suspended' };
  const message = `${job.status?.succeeded ?? 0}/${job.spec?.completions ?? 1}`;
  const isFailing = (job.status?.failed ?? 0) > 0;
  return { tone: isFailing ? 'warn' : 'pending', label: 'Running', message };
}

function nodeHealth(node: AnyObject): Health {
  const conditions = (node.status?.conditions ?? []) as Condition[];
  const ready = conditions.find((one) => one.type === 'Ready');
  if (ready?.status !== 'True') {
    return { tone: ready?.status === 'False' ? 'bad' : 'unknown', label: 'NotReady', message: ready?.message };
  }
  const pressure = conditions.find((one) => one.type !== 'Ready' && one.status === 'True');
  if (pressure !== undefined) return { tone: 'warn', label: pressure.type, message: pressure.message };
  if (node.spec?.unschedulable === true) return { tone: 'warn', label: 'SchedulingDisabled' };
  return { tone: 'good', label: 'Ready' };
}

const GOOD_PHASES = ['Bound', 'Active', 'Available'];
const BAD_PHASES = ['Lost', 'Failed'];

function phaseHealth(object: AnyObject): Health | undefined {
  const phase = object.metadata.deletionTimestamp !== undefined ? 'Terminating' : object.status?.phase;
  if (typeof phase !== 'string') return undefined;
  const tone = GOOD_PHASES.includes(phase) ? 'good' : BAD_PHASES.includes(phase) ? 'bad' : 'pending';
  return { tone, label: phase };
}

/** Conditions of which `True` is what everybody wants. */
const WANTED = ['Ready', 'Available', 'Established', 'Accepted', 'Programmed', 'Healthy', 'Synced'];

function conditionHealth(object: AnyObject): Health | undefined {
  const conditions = object.status?.conditions;
  if (!Array.isArray(conditions)) return undefined;
  for (const type of WANTED) {
    const condition = (conditions as Condition[]).find((one) => one.type === type);
    if (condition === undefined) continue;
    const label = condition.status === 'True' ? type : condition.reason || `${type}=${condition.status}`;
    const tone = condition.status === 'True' ? 'good' : condition.status === 'False' ? 'bad' : 'unknown';
    return { tone, label, message: condition.message };
  }
  return undefined;
}

/** Whether a condition is as people want it: some are wanted `False`. */
export function conditionTone(condition: Condition): HealthTone {
  if (condition.status === 'Unknown') return 'unknown';
  const isBadWhenTrue = /Pressure|Unavailable|Failure|Failed|Degraded|Disruption|Terminating|Conflict|Suspended/.test(
    condition.type,
  );
  if (condition.reason === 'PodCompleted') return 'good';
  return (condition.status === 'True') !== isBadWhenTrue ? 'good' : 'bad';
}

/** Tones of single words that tables of the server show. */
export function wordTone(word: string): HealthTone | undefined {
  if (/^(Running|Ready|Active|Bound|Available|Complete|Completed|Succeeded|Healthy|Established)$/.test(word))
    return 'good';
  if (/^(Pending|ContainerCreating|PodInitializing|Terminating|Init:\d+\/\d+|Progressing)$/.test(word))
    return 'pending';
  if (/BackOff|Error|Err|Failed|NotReady|OOMKilled|Evicted|Lost|Invalid|Unschedulable/.test(word)) return 'bad';
  if (/SchedulingDisabled|Suspended|Unknown/.test(word)) return 'warn';
  return undefined;
}
