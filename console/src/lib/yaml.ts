// YAML as Kubernetes reads it (1.1: `0644` is octal, `yes` is true; but no times and no base 60), and where a field is.
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, stringify } from 'yaml';

const TIMESTAMP = 'tag:yaml.org,2002:timestamp';

/** One document of a text, with what it says and what is wrong with its syntax. */
export interface YamlDocument {
  index: number;
  /** `undefined` when the syntax is wrong or nothing is there. */
  value: unknown;
  /** First and last offset in the whole text. */
  range: readonly [number, number];
  problems: readonly TextProblem[];
  root: Node | null;
}

export interface TextProblem {
  from: number;
  to: number;
  message: string;
  severity: 'error' | 'warning';
}

/** Reads all documents; empty ones are left out. */
export function readYaml(text: string): YamlDocument[] {
  const documents = parseAllDocuments(text, {
    version: '1.1',
    merge: true,
    customTags: (tags) =>
      tags.filter((tag) => typeof tag === 'string' || (tag.tag !== TIMESTAMP && tag.format !== 'TIME')),
    lineCounter: new LineCounter(),
    prettyErrors: false,
  });
  if (!Array.isArray(documents)) return [];
  return (documents as Document.Parsed[])
    .map((document) => {
      const problems = [
        ...document.errors.map((error) => problem(error.pos, error.message, 'error' as const)),
        ...document.warnings.map((warning) => problem(warning.pos, warning.message, 'warning' as const)),
      ];
      let value: unknown;
      try {
        value = document.errors.length === 0 ? document.toJS({ maxAliasCount: 100 }) : undefined;
      } catch (error) {
        problems.push(problem([document.range[0], document.range[1]], String(error), 'error'));
      }
      return { value, range: [document.range[0], document.range[1]] as const, problems, root: document.contents };
    })
    .filter((document) => document.problems.length > 0 || (document.value !== null && document.value !== undefined))
    .map((document, index) => ({ ...document, index }));
}

function problem(pos: readonly [number, number], message: string, severity: 'error' | 'warning'): TextProblem {
  return { from: pos[0], to: Math.max(pos[0], pos[1]), message, severity };
}

/** Writes an object as `kubectl get -o yaml` does. */
export function writeYaml(value: unknown): string {
  return stringify(value, { version: '1.1', lineWidth: 0, indentSeq: false, aliasDuplicateObjects: false });
}

/** `spec.containers[0].image`, `metadata.labels[a.b/c]`: the steps of a field's path, as the API writes it. */
export function fieldSteps(path: string): string[] {
  const steps: string[] = [];
  for (const match of path.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)) steps.push(match[1] ?? match[2] ?? '');
  return steps;
}

/** Where a field is: its key with its value, or the nearest parent that is there. */
export function locateField(root: Node | null, path: string): readonly [number, number] | undefined {
  let node: unknown = root;
  let range = isNode(root) ? keyed(root) : undefined;
  for (const step of fieldSteps(path)) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
      if (pair === undefined || !isScalar(pair.key)) return range;
      range = firstLine(pair.key.range, isScalar(pair.value) ? pair.value.range : undefined) ?? range;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      if (!isNode(item)) return range;
      range = keyed(item) ?? range;
      node = item;
    } else {
      return range;
    }
  }
  return range;
}

type Range = readonly [number, number, number] | null | undefined;

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value);
}

function keyed(node: Node): readonly [number, number] | undefined {
  if (isMap(node)) {
    const first = node.items[0]?.key;
    if (isScalar(first)) return firstLine(first.range, undefined);
  }
  return node.range ? [node.range[0], node.range[1]] : undefined;
}

function firstLine(key: Range, value: Range): readonly [number, number] | undefined {
  if (!key) return undefined;
  return [key[0], value ? Math.max(value[1], key[1]) : key[1]];
}

/** An answer of the API about fields, as `field` and `message`. Strict decoding names fields in quotes. */
export interface FieldProblem {
  field: string;
  message: string;
}

export function fieldProblems(causes: readonly string[], message: string): FieldProblem[] {
  const found = causes.map((cause) => {
    const at = cause.indexOf(': ');
    return at < 0 ? { field: '', message: cause } : { field: cause.slice(0, at), message: cause.slice(at + 2) };
  });
  if (found.length > 0) return found;
  const strict = [...message.matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)];
  return strict.map((match) => ({ field: match[1] ?? '', message: match[0] }));
}

/** Takes out what the server keeps for itself and what nobody edits. */
export function withoutManagedFields<T extends { metadata?: object }>(object: T): T {
  if (object.metadata === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata as { managedFields?: unknown };
  return { ...object, metadata };
}
