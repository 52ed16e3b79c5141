// Kinds in the groups that people expect, whatever the server has. Pure.
import type { Kind } from '../api/discovery';

export const GROUPS = ['workloads', 'network', 'config', 'storage', 'access', 'cluster', 'maru', 'custom'] as const;
export type GroupName = (typeof GROUPS)[number];

const PLACES: Record<string, GroupName> = {
  pods: 'workloads',
  replicationcontrollers: 'workloads',
  podtemplates: 'workloads',
  services: 'network',
  endpoints: 'network',
  configmaps: 'config',
  secrets: 'config',
  limitranges: 'config',
  resourcequotas: 'config',
  persistentvolumeclaims: 'storage',
  persistentvolumes: 'storage',
  serviceaccounts: 'access',
};

const API_GROUPS: Record<string, GroupName> = {
  '': 'cluster',
  apps: 'workloads',
  batch: 'workloads',
  autoscaling: 'workloads',
  policy: 'workloads',
  'networking.k8s.io': 'network',
  'discovery.k8s.io': 'network',
  'gateway.networking.k8s.io': 'network',
  'storage.k8s.io': 'storage',
  'rbac.authorization.k8s.io': 'access',
  'certificates.k8s.io': 'access',
  'admissionregistration.k8s.io': 'cluster',
  'apiextensions.k8s.io': 'cluster',
  'apiregistration.k8s.io': 'cluster',
  'coordination.k8s.io': 'cluster',
  'events.k8s.io': 'cluster',
  'flowcontrol.apiserver.k8s.io': 'cluster',
  'node.k8s.io': 'cluster',
  'scheduling.k8s.io': 'cluster',
  'resource.k8s.io': 'cluster',
  'metrics.k8s.io': 'cluster',
};

export function groupOf(kind: Pick<Kind, 'group' | 'plural'>): GroupName {
  if (kind.group === '') return PLACES[kind.plural] ?? 'cluster';
  const known = API_GROUPS[kind.group];
  if (known !== undefined) return known;
  return kind.group === 'maru.dev' || kind.group.endsWith('.maru.dev') ? 'maru' : 'custom';
}

/** What people look for first in a group; other kinds follow by name. */
const FIRST = [
  'pods',
  'deployments',
  'statefulsets',
  'daemonsets',
  'jobs',
  'cronjobs',
  'services',
  'ingresses',
  'configmaps',
  'secrets',
  'persistentvolumeclaims',
  'persistentvolumes',
  'serviceaccounts',
  'nodes',
  'namespaces',
];

/** Kinds that can be listed, in their groups. Events of two API groups are the same events: told once. */
export function grouped(kinds: readonly Kind[]): { group: GroupName; kinds: Kind[] }[] {
  const listed = kinds.filter((kind) => kind.verbs.includes('list') && kind.group !== 'events.k8s.io');
  const rank = (kind: Kind) => {
    const at = FIRST.indexOf(kind.plural);
    return at < 0 || kind.group === 'metrics.k8s.io' ? FIRST.length : at;
  };
  return GROUPS.map((group) => ({
    group,
    kinds: listed
      .filter((kind) => groupOf(kind) === group)
      .toSorted((left, right) => rank(left) - rank(right) || left.kind.localeCompare(right.kind)),
  })).filter((one) => one.kinds.length > 0);
}
