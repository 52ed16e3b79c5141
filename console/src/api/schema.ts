// The server's OpenAPI documents (version 3): one for each group and version, asked when an editor needs it.
import { type QueryClient, queryOptions, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { SchemaSource } from '../ui/editor/complete';
import { type OpenApi, Schemas } from '../ui/editor/schema';
import { useKinds } from './discovery';
import { ApiError, request } from './http';
import { keys } from './keys';

function schemaQuery(apiVersion: string) {
  const slash = apiVersion.indexOf('/');
  const [group, version] = slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
  const enc = encodeURIComponent;
  const path = group === '' ? `/openapi/v3/api/${enc(version)}` : `/openapi/v3/apis/${enc(group)}/${enc(version)}`;
  return queryOptions({
    queryKey: keys.schema(group, version),
    queryFn: async ({ signal }) => {
      try {
        return new Schemas(await request<OpenApi>(path, { signal }));
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
    staleTime: 60_000,
    gcTime: 10 * 60_000,
    retry: 1,
  });
}

/** All kinds of `apps/v1` or `v1`; `undefined` when the server has none of them. */
export async function loadSchemas(client: QueryClient, apiVersion: string): Promise<Schemas | undefined> {
  return (await client.fetchQuery(schemaQuery(apiVersion))) ?? undefined;
}

/** Schemas for an editor. */
export function useSchemaSource(): SchemaSource {
  const client = useQueryClient();
  const kinds = useKinds();
  return useMemo(
    () => ({
      load: (apiVersion) => loadSchemas(client, apiVersion),
      kinds: kinds.all
        .filter((kind) => kind.verbs.includes('create'))
        .map((kind) => ({
          apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`,
          kind: kind.kind,
        })),
    }),
    [client, kinds],
  );
}
