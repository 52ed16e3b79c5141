// Objects of any kind: live reading, and writing with the answers that people need (dry run, conflicts, causes).
import { useMemo, useSyncExternalStore } from 'react';
import type { Kind } from './discovery';
import { request } from './http';
import { type LiveState, liveList } from './live';
import type { AnyObject, KubernetesObject, TableRow } from './types';

export interface Selection {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

/** The path of a collection, or of one object, or of its subresource. */
export function resourcePath(
  kind: Pick<Kind, 'group' | 'version' | 'plural'>,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const parts = [root];
  if (namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace));
  parts.push(kind.plural);
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  return parts.join('/');
}

const NOTHING: LiveState<never> = { status: 'failed', items: [], columns: [], error: undefined, revision: 0 };
const nothing = () => NOTHING;
const never = () => () => {};

function useLive(path: string | undefined, view: 'object' | 'metadata' | 'table', selection: Selection) {
  const { labelSelector, fieldSelector } = selection;
  const list = useMemo(
    () => (path === undefined ? undefined : liveList({ path, view, labelSelector, fieldSelector })),
    [path, view, labelSelector, fieldSelector],
  );
  return useSyncExternalStore(list?.subscribe ?? never, list?.state ?? nothing);
}

function collection(kind: Kind | undefined, selection: Selection): string | undefined {
  return kind && resourcePath(kind, kind.namespaced ? selection.namespace : undefined);
}

/** All objects of a kind, live. A kind that is not there (`undefined`) is an empty, failed list. */
export function useObjects<T extends KubernetesObject = AnyObject>(
  kind: Kind | undefined,
  selection: Selection = {},
): LiveState<T> {
  return useLive(collection(kind, selection), 'object', selection) as LiveState<T>;
}

/** Names, labels and times only: for secrets, and for many objects. */
export function useMetadata(kind: Kind | undefined, selection: Selection = {}): LiveState<KubernetesObject> {
  return useLive(collection(kind, selection), 'metadata', selection) as LiveState<KubernetesObject>;
}

/** Rows with the columns of `kubectl get`, for any kind. Secrets come without their content. */
export function useTable(kind: Kind | undefined, selection: Selection = {}): LiveState<TableRow> {
  return useLive(collection(kind, selection), 'table', selection) as LiveState<TableRow>;
}

/** One object, live. `item` is absent when there is none: `status` tells loading from gone. */
export function useObject<T extends KubernetesObject = AnyObject>(
  kind: Kind | undefined,
  namespace: string | undefined,
  name: string,
): LiveState<T> & { item: T | undefined } {
  const state = useObjects<T>(kind, { namespace, fieldSelector: `metadata.name=${name}` });
  return { ...state, item: state.items[0] };
}

export interface WriteOptions {
  /** Asks what would happen, and changes nothing. */
  dryRun?: boolean;
  /** Refuses fields that the server does not know, instead of leaving them out. */
  strict?: boolean;
  signal?: AbortSignal;
}

const MANAGER = 'maru-console';

function parameters(options: WriteOptions): Record<string, string | undefined> {
  return {
    fieldManager: MANAGER,
    dryRun: options.dryRun ? 'All' : undefined,
    fieldValidation: options.strict ? 'Strict' : undefined,
  };
}

export function getObject<T = AnyObject>(
  kind: Pick<Kind, 'group' | 'version' | 'plural'>,
  namespace: string | undefined,
  name: string,
  signal?: AbortSignal,
): Promise<T> {
  return request<T>(resourcePath(kind, namespace, name), { signal });
}

/** A Secret in full. The server records who asked. */
export function revealSecret(namespace: string, name: string): Promise<AnyObject> {
  const kind = { group: '', version: 'v1', plural: 'secrets' };
  return request<AnyObject>(resourcePath(kind, namespace, name), { headers: { 'maru-reveal': 'true' } });
}

export function createObject<T = AnyObject>(
  kind: Kind,
  namespace: string | undefined,
  body: object,
  options: WriteOptions = {},
): Promise<T> {
  return request<T>(resourcePath(kind, namespace), {
    method: 'POST',
    body,
    query: parameters(options),
    signal: options.signal,
  });
}

/** Replaces an object; a `resourceVersion` in the body that is not the newest is a conflict (409). */
export function replaceObject<T = AnyObject>(
  kind: Kind,
  namespace: string | undefined,
  name: string,
  body: object,
  options: WriteOptions = {},
): Promise<T> {
  return request<T>(resourcePath(kind, namespace, name), {
    method: 'PUT',
    body,
    query: parameters(options),
    signal: options.signal,
  });
}

/** A merge patch (RFC 7386), also of a subresource: `scale`, `status`. */
export function mergePatch<T = AnyObject>(
  kind: Kind,
  namespace: string | undefined,
  name: string,
  body: object,
  options: WriteOptions & { subresource?: string } = {},
): Promise<T> {
  return request<T>(resourcePath(kind, namespace, name, options.subresource), {
    method: 'PATCH',
    body,
    contentType: 'application/merge-patch+json',
    query: parameters(options),
    signal: options.signal,
  });
}

/** Server-side apply of YAML or JSON as the console. */
export function applyObject<T = AnyObject>(
  kind: Kind,
  namespace: string | undefined,
  name: string,
  yaml: string,
  options: WriteOptions & { force?: boolean } = {},
): Promise<T> {
  return request<T>(resourcePath(kind, namespace, name), {
    method: 'PATCH',
    body: yaml,
    contentType: 'application/apply-patch+yaml',
    query: { ...parameters(options), force: options.force },
    signal: options.signal,
  });
}

export function deleteObject(
  kind: Kind,
  namespace: string | undefined,
  name: string,
  options: WriteOptions & { uid?: string; propagation?: 'Background' | 'Foreground' | 'Orphan' } = {},
): Promise<unknown> {
  return request(resourcePath(kind, namespace, name), {
    method: 'DELETE',
    query: { dryRun: options.dryRun ? 'All' : undefined },
    body: {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: options.propagation ?? 'Background',
      ...(options.uid === undefined ? {} : { preconditions: { uid: options.uid } }),
    },
    signal: options.signal,
  });
}
