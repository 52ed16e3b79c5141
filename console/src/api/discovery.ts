// Which kinds the server has. A room that is not there has no kinds, and so no page.
import { queryOptions, useSuspenseQuery } from '@tanstack/react-query';
import { request } from './http';
import { keys } from './keys';

export interface Kind {
  group: string;
  version: string;
  plural: string;
  singular: string;
  kind: string;
  shortNames: readonly string[];
  categories: readonly string[];
  verbs: readonly string[];
  namespaced: boolean;
  subresources: readonly string[];
}

interface DiscoveredResource {
  resource: string;
  responseKind?: { kind?: string };
  scope: 'Namespaced' | 'Cluster';
  singularResource?: string;
  shortNames?: string[];
  categories?: string[];
  verbs?: string[];
  subresources?: { subresource: string }[];
}

interface DiscoveryAnswer {
  items: { metadata: { name?: string }; versions: { version: string; resources?: DiscoveredResource[] }[] }[];
}

const ACCEPT = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** All kinds, each in the version that its group prefers. */
export class Kinds {
  readonly all: readonly Kind[];
  readonly #names = new Map<string, Kind>();

  constructor(all: readonly Kind[]) {
    this.all = all;
    for (const kind of all) {
      this.#names.set(`${kind.plural}.${kind.group}`, kind);
      for (const name of [kind.plural, kind.singular, kind.kind.toLowerCase(), ...kind.shortNames]) {
        if (!this.#names.has(name)) this.#names.set(name, kind);
      }
    }
  }

  /** Finds by `plural`, `plural.group`, singular, kind or short name, as kubectl does. */
  find(name: string): Kind | undefined {
    return this.#names.get(name.toLowerCase());
  }

  /** Finds by what an object says of itself. */
  of(apiVersion: string | undefined, kind: string | undefined): Kind | undefined {
    const group = apiVersion?.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
    return this.all.find((one) => one.kind === kind && one.group === group);
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }
}

export function readDiscovery(...answers: DiscoveryAnswer[]): Kinds {
  const all: Kind[] = [];
  const seen = new Set<string>();
  for (const group of answers.flatMap((answer) => answer.items)) {
    const name = group.metadata.name ?? '';
    for (const version of group.versions) {
      for (const resource of version.resources ?? []) {
        const id = `${resource.resource}.${name}`;
        if (seen.has(id)) continue;
        seen.add(id);
        all.push({
          group: name,
          version: version.version,
          plural: resource.resource,
          singular: resource.singularResource ?? resource.resource,
          kind: resource.responseKind?.kind ?? resource.resource,
          shortNames: resource.shortNames ?? [],
          categories: resource.categories ?? [],
          verbs: resource.verbs ?? [],
          namespaced: resource.scope === 'Namespaced',
          subresources: (resource.subresources ?? []).map((one) => one.subresource),
        });
      }
    }
  }
  return new Kinds(all);
}

export const kindsQuery = queryOptions({
  queryKey: keys.kinds(),
  queryFn: async ({ signal }) => {
    const answers = await Promise.all([
      request<DiscoveryAnswer>('/api', { accept: ACCEPT, signal }),
      request<DiscoveryAnswer>('/apis', { accept: ACCEPT, signal }),
    ]);
    return readDiscovery(...answers);
  },
  staleTime: 60_000,
  refetchInterval: 60_000,
  // The same kinds stay the same value: pages are not made anew while a person writes in them.
  structuralSharing: (before, after) =>
    before instanceof Kinds && after instanceof Kinds && JSON.stringify(before.all) === JSON.stringify(after.all)
      ? before
      : after,
});

/** All kinds; suspends until they are known. */
export function useKinds(): Kinds {
  return useSuspenseQuery(kindsQuery).data;
}
