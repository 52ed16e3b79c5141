// What the API's OpenAPI document (version 3) says about a field of an object. Pure.

export interface Schema {
  $ref?: string;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
}

export interface OpenApi {
  components?: { schemas?: Record<string, Schema> };
}

/** The step of a path into a list. */
export const ITEM = '[]';

/** The kinds of one group and version. */
export class Schemas {
  readonly #schemas: Record<string, Schema>;

  constructor(document: OpenApi) {
    this.#schemas = document.components?.schemas ?? {};
  }

  root(group: string, version: string, kind: string): Schema | undefined {
    return Object.values(this.#schemas).find((schema) =>
      schema['x-kubernetes-group-version-kind']?.some(
        (one) => one.group === group && one.version === version && one.kind === kind,
      ),
    );
  }

  /** Follows references; what is said beside a reference wins. */
  follow(schema: Schema | undefined, depth = 0): Schema | undefined {
    if (schema === undefined || depth > 16) return undefined;
    if (schema.$ref !== undefined) {
      const target = this.#schemas[schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)];
      return this.follow(target === undefined ? undefined : { ...target }, depth + 1);
    }
    const [only, ...rest] = schema.allOf ?? [];
    if (only !== undefined && rest.length === 0) {
      const { allOf: _, ...own } = schema;
      const followed = this.follow(only, depth + 1);
      return followed && { ...followed, ...own };
    }
    return schema;
  }

  /** The schema of what is at a path: names of fields, and {@link ITEM} for items of lists. */
  at(root: Schema | undefined, path: readonly string[]): Schema | undefined {
    let schema = this.follow(root);
    for (const step of path) {
      if (schema === undefined) return undefined;
      schema = this.follow(step === ITEM ? schema.items : this.#property(schema, step));
    }
    return schema;
  }

  #property(schema: Schema, name: string): Schema | undefined {
    const own = schema.properties?.[name];
    if (own !== undefined) return own;
    return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
  }

  /** Whether fields that the schema does not know are errors. */
  isClosed(schema: Schema): boolean {
    return (
      schema.properties !== undefined &&
      schema.additionalProperties === undefined &&
      schema['x-kubernetes-preserve-unknown-fields'] !== true &&
      schema['x-kubernetes-embedded-resource'] !== true
    );
  }

  /** `string`, `integer`, `[]Container`: how a field's type is told to people. */
  typeName(schema: Schema | undefined): string {
    const followed = this.follow(schema);
    if (followed === undefined) return '';
    if (followed['x-kubernetes-int-or-string'] === true || followed.format === 'int-or-string') return 'int or string';
    if (followed.type === 'array') return `[]${this.typeName(followed.items) || 'object'}`;
    if (followed.type === undefined && followed.oneOf !== undefined) {
      return followed.oneOf
        .map((one) => this.typeName(one))
        .filter(Boolean)
        .join(' | ');
    }
    return followed.type ?? 'object';
  }
}

/** A skeleton with the fields that an object of this kind must have. */
export function skeleton(schemas: Schemas, schema: Schema | undefined, depth = 0): unknown {
  const own = schemas.follow(schema);
  if (own === undefined || depth > 5) return null;
  if (own.default !== undefined && !isEmptyObject(own.default)) return own.default;
  if (own.enum !== undefined && own.enum.length > 0) return own.enum[0];
  switch (own.type) {
    case 'array':
      return depth < 5 ? [skeleton(schemas, own.items, depth + 1)].filter((item) => item !== null) : [];
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return false;
    case 'string':
      return '';
    default: {
      const fields = (own.required ?? []).map((name) => [name, skeleton(schemas, own.properties?.[name], depth + 1)]);
      return Object.fromEntries(fields);
    }
  }
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
