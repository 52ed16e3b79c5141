// Completion, hover and checks of YAML by the schemas that the server publishes.
import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import type { Diagnostic } from '@codemirror/lint';
import type { EditorView, Tooltip } from '@codemirror/view';
import { isMap, isScalar, isSeq } from 'yaml';
import { readYaml, type YamlDocument } from '../../lib/yaml';
import { type Place, placeAt } from './cursor';
import type { Schema, Schemas } from './schema';

/** Where schemas come from: all kinds of a group and version, asked when they are needed. */
export interface SchemaSource {
  /** `undefined` when the server has no such group and version. */
  load: (apiVersion: string) => Promise<Schemas | undefined>;
  /** Kinds that can be written, for `apiVersion` and `kind`. */
  kinds: readonly { apiVersion: string; kind: string }[];
}

interface Found {
  schemas: Schemas;
  root: Schema;
}

async function find(source: SchemaSource, apiVersion: unknown, kind: unknown): Promise<Found | undefined> {
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return undefined;
  const schemas = await source.load(apiVersion).catch(() => undefined);
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  const root = schemas?.root(group, apiVersion.slice(slash + 1), kind);
  return schemas && root && { schemas, root };
}

export function completions(source: SchemaSource) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const place = placeAt(context.state.doc.toString(), context.pos);
    if (!context.explicit && place.at === 'key' && place.prefix === '') return null;
    const identity = place.path.length === 0 ? identityOptions(source, place) : undefined;
    if (identity !== undefined) return { from: place.from, options: identity, validFor: /^[\w./-]*$/ };
    const found = await find(source, place.apiVersion, place.kind);
    const options = found === undefined ? rootOptions(place) : optionsAt(found, place);
    return options.length === 0 ? null : { from: place.from, options, validFor: /^[\w./-]*$/ };
  };
}

function identityOptions(source: SchemaSource, place: Place): Completion[] | undefined {
  if (place.at !== 'value') return undefined;
  if (place.key === 'apiVersion') {
    const wanted = source.kinds.filter((one) => place.kind === undefined || one.kind === place.kind);
    const versions = new Set((wanted.length > 0 ? wanted : source.kinds).map((one) => one.apiVersion));
    return [...versions].map((label) => ({ label, type: 'namespace' }));
  }
  if (place.key === 'kind') {
    return source.kinds
      .filter((one) => place.apiVersion === undefined || one.apiVersion === place.apiVersion)
      .map((one) => ({ label: one.kind, detail: one.apiVersion, type: 'class' }));
  }
  return undefined;
}

function rootOptions(place: Place): Completion[] {
  if (place.at !== 'key' || place.path.length > 0) return [];
  return ['apiVersion', 'kind', 'metadata', 'spec']
    .filter((name) => !place.siblings.has(name))
    .map((label) => ({ label, apply: `${label}: `, type: 'property' }));
}

export function optionsAt(found: Found, place: Place): Completion[] {
  const { schemas, root } = found;
  const schema = schemas.at(root, place.path);
  if (place.at === 'value') {
    const field = schemas.at(schema, [place.key ?? '']);
    return valuesOf(field);
  }
  const required = new Set(schema?.required ?? []);
  const fields = Object.entries(schema?.properties ?? {})
    .filter(([name]) => !place.siblings.has(name))
    .map(([name, property]): Completion => {
      const followed = schemas.follow(property);
      const description = property.description ?? followed?.description;
      const completion: Completion = {
        label: name,
        type: 'property',
        detail: schemas.typeName(property) + (required.has(name) ? ' *' : ''),
        apply: name + opening(schemas, followed, place.indent),
        boost: required.has(name) ? 2 : name === 'status' ? -2 : 0,
      };
      if (description !== undefined) completion.info = () => hint(description);
      return completion;
    });
  return fields.length > 0 ? fields : valuesOf(schema);
}

function valuesOf(schema: Schema | undefined): Completion[] {
  const values = schema?.enum ?? (schema?.type === 'boolean' ? [true, false] : []);
  return values.map((value) => ({ label: typeof value === 'string' ? quoted(value) : String(value), type: 'enum' }));
}

function quoted(text: string): string {
  return /^[A-Za-z/][\w./-]*$/.test(text) && !/^(y|n|yes|no|on|off|true|false|null)$/i.test(text)
    ? text
    : JSON.stringify(text);
}

/** What follows a name that is completed: a value on this line, or a deeper line. */
function opening(schemas: Schemas, schema: Schema | undefined, indent: number): string {
  if (schema?.type === 'array') return `:\n${' '.repeat(indent)}- `;
  const isObject = schema?.properties !== undefined || schema?.additionalProperties !== undefined;
  return isObject && schemas.typeName(schema) === 'object' ? `:\n${' '.repeat(indent + 2)}` : ': ';
}

function hint(text: string): HTMLElement {
  const element = document.createElement('div');
  element.className = 'maru-hint';
  element.textContent = text;
  return element;
}

export function hover(source: SchemaSource) {
  return async (view: EditorView, offset: number): Promise<Tooltip | null> => {
    const line = view.state.doc.lineAt(offset);
    const match = /^([\s-]*)([\w./-]+):(\s|$)/.exec(line.text);
    if (match === null) return null;
    const from = line.from + (match[1]?.length ?? 0);
    const name = match[2] ?? '';
    if (offset < from || offset > from + name.length) return null;
    const place = placeAt(view.state.doc.toString(), from);
    const found = await find(source, place.apiVersion, place.kind);
    const parent = found?.schemas.at(found.root, place.path);
    const field = found?.schemas.at(parent, [name]);
    if (found === undefined || field === undefined) return null;
    const type = found.schemas.typeName(field) + (parent?.required?.includes(name) ? ' *' : '');
    const description = parent?.properties?.[name]?.description ?? field.description ?? '';
    return {
      pos: from,
      end: from + name.length,
      above: true,
      create: () => ({ dom: hint(`${name}  ${type}\n${description}`.trim()) }),
    };
  };
}

/** What is wrong with a text by itself, in words of the chosen language. */
export interface CheckTexts {
  unknown: (name: string) => string;
  type: (expected: string) => string;
  oneOf: (values: string) => string;
  missing: (name: string) => string;
}

export async function check(text: string, source: SchemaSource | undefined, texts: CheckTexts): Promise<Diagnostic[]> {
  const found: Diagnostic[] = [];
  for (const document of readYaml(text)) {
    found.push(...document.problems);
    if (source === undefined || document.problems.length > 0) continue;
    const said = document.value as { apiVersion?: unknown; kind?: unknown };
    const schema = await find(source, said.apiVersion, said.kind);
    if (schema !== undefined) found.push(...checkDocument(document, schema, texts));
  }
  return found;
}

export function checkDocument(document: YamlDocument, found: Found, texts: CheckTexts): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const { schemas } = found;
  const visit = (node: unknown, schema: Schema | undefined, name: string) => {
    const own = schemas.follow(schema);
    if (own === undefined) return;
    if (isMap(node)) {
      if (own.type !== undefined && own.type !== 'object') return wrong(node, texts.type(schemas.typeName(own)));
      for (const pair of node.items) {
        if (!isScalar(pair.key)) continue;
        const key = String(pair.key.value);
        const field = schemas.at(own, [key]);
        if (field !== undefined) visit(pair.value, field, key);
        else if (schemas.isClosed(own)) wrong(pair.key, texts.unknown(key));
      }
    } else if (isSeq(node)) {
      if (own.type !== undefined && own.type !== 'array') return wrong(node, texts.type(schemas.typeName(own)));
      for (const item of node.items) visit(item, own.items, name);
    } else if (isScalar(node) && node.value !== null) {
      const fault = scalarFault(node.value, own, schemas, texts);
      if (fault !== undefined) wrong(node, fault);
    }
  };
  const wrong = (node: { range?: readonly [number, number, number] | null | undefined }, message: string) => {
    if (node.range) problems.push({ from: node.range[0], to: node.range[1], message, severity: 'warning' });
  };
  visit(document.root, found.root, '');
  return problems;
}

function scalarFault(value: unknown, schema: Schema, schemas: Schemas, texts: CheckTexts): string | undefined {
  if (schema['x-kubernetes-int-or-string'] === true || schema.oneOf !== undefined || schema.anyOf !== undefined) {
    return undefined;
  }
  const kind = typeof value;
  const fits =
    schema.type === undefined ||
    (schema.type === 'integer' && kind === 'number' && Number.isInteger(value)) ||
    (schema.type === 'number' && kind === 'number') ||
    schema.type === kind;
  if (!fits) return texts.type(schemas.typeName(schema));
  if (schema.enum !== undefined && !schema.enum.includes(value)) return texts.oneOf(schema.enum.join(', '));
  return undefined;
}
