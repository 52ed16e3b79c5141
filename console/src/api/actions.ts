// What people do to workloads, by the same requests that kubectl makes.

import { manualJob, undoPatch } from '../lib/workload';
import type { Kind } from './discovery';
import { request } from './http';
import type { ControllerRevision, Workload } from './kubernetes';
import { createObject, mergePatch, resourcePath } from './objects';
import type { AnyObject, KubernetesObject } from './types';

const MANAGER = { fieldManager: 'maru-console' };

export function scaleTo(kind: Kind, object: KubernetesObject, replicas: number): Promise<unknown> {
  const { namespace, name } = object.metadata;
  return mergePatch(kind, namespace, name, { spec: { replicas } }, { subresource: 'scale' });
}

/** `kubectl rollout restart`: a new annotation of the template makes new pods. */
export function restart(kind: Kind, object: KubernetesObject, now: Date): Promise<unknown> {
  const { namespace, name } = object.metadata;
  const annotations = { 'kubectl.kubernetes.io/restartedAt': now.toISOString() };
  return mergePatch(kind, namespace, name, { spec: { template: { metadata: { annotations } } } });
}

/** Sets a flag of the specification: `paused`, `suspend`, `unschedulable`. */
export function setFlag(kind: Kind, object: KubernetesObject, flag: string, value: boolean): Promise<unknown> {
  const { namespace, name } = object.metadata;
  return mergePatch(kind, namespace, name, { spec: { [flag]: value || null } });
}

/** `kubectl create job --from=cronjob/…` */
export function trigger(jobs: Kind, cronJob: AnyObject): Promise<AnyObject> {
  const suffix = Math.random().toString(36).slice(2, 7).padEnd(5, '0');
  return createObject(jobs, cronJob.metadata.namespace, manualJob(cronJob, suffix));
}

/** `kubectl rollout undo` of a deployment, to what one of its replica sets says. */
export function undoDeployment(kind: Kind, deployment: Workload, replicaSet: Workload): Promise<unknown> {
  return request(resourcePath(kind, deployment.metadata.namespace, deployment.metadata.name), {
    method: 'PATCH',
    contentType: 'application/json-patch+json',
    body: undoPatch(deployment, replicaSet),
    query: MANAGER,
  });
}

/** `kubectl rollout undo` of a stateful set or daemon set: its revision is a patch. */
export function undoByRevision(kind: Kind, object: Workload, revision: ControllerRevision): Promise<unknown> {
  return request(resourcePath(kind, object.metadata.namespace, object.metadata.name), {
    method: 'PATCH',
    contentType: 'application/strategic-merge-patch+json',
    body: revision.data ?? {},
    query: MANAGER,
  });
}
