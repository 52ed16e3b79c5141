// Query keys, in one place: `[resource, …]`, so that a write can invalidate by resource.

export const keys = {
  session: () => ['session'] as const,
  kinds: () => ['kinds'] as const,
  resource: (resource: string) => ['resource', resource] as const,
  object: (resource: string, namespace: string | undefined, name: string) =>
    ['resource', resource, namespace ?? '', name] as const,
  can: (question: object) => ['can', question] as const,
  schema: (group: string, version: string) => ['schema', group, version] as const,
  prometheus: (path: string, parameters: object) => ['prometheus', path, parameters] as const,
  alertmanager: (path: string, parameters: object = {}) => ['alertmanager', path, parameters] as const,
  process: (path: string, parameters: object = {}) => ['process', path, parameters] as const,
};
