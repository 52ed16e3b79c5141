// What writing a text of several documents would do: each is tried out on the server before anything is written.
import type { Kind, Kinds } from '../../api/discovery';
import { ApiError, request } from '../../api/http';
import { applyObject, createObject, resourcePath } from '../../api/objects';
import type { AnyObject } from '../../api/types';
import { withoutManagedFields, writeYaml, type YamlDocument } from '../../lib/yaml';

export type StepState =
  /** Is new; `after` is what it would become. */
  | { outcome: 'create'; after: string }
  /** Is there already and would change. */
  | { outcome: 'change'; before: string; after: string }
  | { outcome: 'same' }
  /** Needs what another document of the text makes: only tried when that is there. */
  | { outcome: 'later'; needs: string }
  | { outcome: 'refused'; error: ApiError }
  /** After writing. */
  | { outcome: 'written'; isNew: boolean; object: AnyObject };

export interface Step {
  document: YamlDocument;
  kind: Kind | undefined;
  namespace: string | undefined;
  /** `Deployment web`. */
  title: string;
  state: StepState;
}

interface Said {
  apiVersion?: string;
  kind?: string;
  metadata?: { name?: string; namespace?: string; generateName?: string };
  spec?: { group?: string; names?: { kind?: string } };
}

/** Lists (`kind: List`) are no documents of their own on the server: told as an error. */
function read(document: YamlDocument): Said {
  const { value } = document;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError(400, 'Syntax', 'a document must be one object with apiVersion, kind and metadata');
  }
  const said = value as Said;
  if (!said.apiVersion || !said.kind) throw new ApiError(400, 'Syntax', 'apiVersion and kind must be set');
  if (!said.metadata?.name && !said.metadata?.generateName) {
    throw new ApiError(400, 'Syntax', 'metadata.name must be set', ['metadata.name: must be set']);
  }
  return said;
}

/** What the documents themselves make: others may need it. */
function made(documents: readonly YamlDocument[]): { namespaces: Set<string>; kinds: Set<string> } {
  const namespaces = new Set<string>();
  const kinds = new Set<string>();
  for (const { value } of documents) {
    const said = value as Said | undefined;
    if (said?.kind === 'Namespace' && said.metadata?.name) namespaces.add(said.metadata.name);
    if (said?.kind === 'CustomResourceDefinition') kinds.add(`${said.spec?.group}/${said.spec?.names?.kind}`);
  }
  return { namespaces, kinds };
}

export async function tryOut(
  documents: readonly YamlDocument[],
  kinds: Kinds,
  defaultNamespace: string,
): Promise<Step[]> {
  const own = made(documents);
  const steps: Step[] = [];
  for (const document of documents) steps.push(await step(document, kinds, defaultNamespace, own, true));
  return steps;
}

/** Writes all documents in their order; one that is refused does not stop the others. */
export async function writeAll(
  documents: readonly YamlDocument[],
  kinds: () => Promise<Kinds>,
  defaultNamespace: string,
  tell: (steps: readonly Step[]) => void,
): Promise<Step[]> {
  const own = made(documents);
  const steps: Step[] = [];
  for (const document of documents) {
    let known = await kinds();
    const said = document.value as Said;
    // A kind that a document before has made: discovery tells of it soon.
    for (
      let turn = 0;
      turn < 20 && own.kinds.size > 0 && known.of(said.apiVersion, said.kind) === undefined;
      turn += 1
    ) {
      await new Promise((wake) => setTimeout(wake, 250));
      known = await kinds();
    }
    steps.push(await step(document, known, defaultNamespace, own, false));
    tell([...steps]);
  }
  return steps;
}

async function step(
  document: YamlDocument,
  kinds: Kinds,
  defaultNamespace: string,
  own: { namespaces: Set<string>; kinds: Set<string> },
  dryRun: boolean,
): Promise<Step> {
  let title = `#${document.index + 1}`;
  let kind: Kind | undefined;
  let namespace: string | undefined;
  const done = (state: StepState): Step => ({ document, kind, namespace, title, state });
  try {
    const said = read(document);
    const { name = '', generateName = '' } = said.metadata ?? {};
    title = `${said.kind} ${name || `${generateName}…`}`;
    kind = kinds.of(said.apiVersion, said.kind);
    const group = said.apiVersion?.includes('/') ? said.apiVersion.slice(0, said.apiVersion.indexOf('/')) : '';
    if (kind === undefined) {
      if (dryRun && own.kinds.has(`${group}/${said.kind}`)) return done({ outcome: 'later', needs: `${said.kind}` });
      throw new ApiError(404, 'NotFound', `the server has no kind "${said.kind}" in "${said.apiVersion}"`, [
        `kind: no "${said.kind}" in "${said.apiVersion}"`,
      ]);
    }
    namespace = kind.namespaced ? (said.metadata?.namespace ?? defaultNamespace) : undefined;
    const version = said.apiVersion?.slice(group === '' ? 0 : group.length + 1) ?? kind.version;
    const target: Kind = { ...kind, version };
    return done(await write(target, namespace, name, document.value as AnyObject, dryRun));
  } catch (error) {
    const failure = error instanceof ApiError ? error : new ApiError(0, 'Error', String(error));
    if (dryRun && failure.status === 404 && namespace !== undefined && own.namespaces.has(namespace)) {
      return done({ outcome: 'later', needs: `Namespace ${namespace}` });
    }
    return done({ outcome: 'refused', error: failure });
  }
}

const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

async function write(
  kind: Kind,
  namespace: string | undefined,
  name: string,
  body: AnyObject,
  dryRun: boolean,
): Promise<StepState> {
  const options = { dryRun, strict: true };
  const isSecret = kind.group === '' && kind.plural === 'secrets';
  const before =
    name === ''
      ? undefined
      : await request<AnyObject>(resourcePath(kind, namespace, name), isSecret ? { accept: METADATA } : {}).catch(
          (error: unknown) => {
            if (error instanceof ApiError && error.status === 404) return undefined;
            throw error;
          },
        );
  if (before === undefined) {
    const object = await createObject(kind, namespace, body, options);
    return dryRun ? { outcome: 'create', after: text(object) } : { outcome: 'written', isNew: true, object };
  }
  const object = await applyObject(kind, namespace, name, JSON.stringify(withNamespace(body, namespace)), options);
  if (!dryRun) return { outcome: 'written', isNew: false, object };
  if (isSecret) return { outcome: 'change', before: '', after: '' };
  const [was, becomes] = [text(before), text(object)];
  return was === becomes ? { outcome: 'same' } : { outcome: 'change', before: was, after: becomes };
}

function withNamespace(body: AnyObject, namespace: string | undefined): AnyObject {
  return namespace === undefined ? body : { ...body, metadata: { ...body.metadata, namespace } };
}

function text(object: AnyObject): string {
  const { status: _, ...rest } = withoutManagedFields(object);
  const { resourceVersion: __, uid: ___, creationTimestamp: ____, generation: _____, ...metadata } = rest.metadata;
  return writeYaml({ ...rest, metadata });
}
