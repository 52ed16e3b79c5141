import { expect, test } from 'vitest';
import { readYaml } from '../../lib/yaml';
import { checkDocument, optionsAt } from './complete';
import { placeAt } from './cursor';
import { type Schema, Schemas, skeleton } from './schema';

const schemas = new Schemas({
  components: {
    schemas: {
      Thing: {
        type: 'object',
        required: ['spec'],
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: { allOf: [{ $ref: '#/components/schemas/Meta' }], description: 'about it' },
          spec: { default: {}, allOf: [{ $ref: '#/components/schemas/Spec' }] },
        },
        'x-kubernetes-group-version-kind': [{ group: 'a.b', version: 'v1', kind: 'Thing' }],
      },
      Meta: { type: 'object', properties: { labels: { type: 'object', additionalProperties: { type: 'string' } } } },
      Spec: {
        type: 'object',
        required: ['items', 'mode'],
        properties: {
          mode: { type: 'string', enum: ['Fast', 'Slow'] },
          size: { type: 'integer' },
          port: { 'x-kubernetes-int-or-string': true },
          items: { type: 'array', items: { allOf: [{ $ref: '#/components/schemas/Item' }] } },
        },
      },
      Item: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, on: { type: 'boolean' } } },
    },
  },
});
const root = schemas.root('a.b', 'v1', 'Thing') as Schema;

function labels(marked: string): string[] {
  const place = placeAt(marked.replace('|', ''), marked.indexOf('|'));
  return optionsAt({ schemas, root }, place).map((option) => `${option.label} ${option.detail ?? ''}`.trim());
}

test('fields and values are completed', () => {
  expect(labels('spec:\n  |')).toEqual(['mode string *', 'size integer', 'port int or string', 'items []object *']);
  expect(labels('spec:\n  items:\n  - name: a\n    |')).toEqual(['on boolean']);
  expect(labels('spec:\n  mode: |')).toEqual(['Fast', 'Slow']);
  expect(labels('spec:\n  items:\n  - on: |')).toEqual(['true', 'false']);
  expect(labels('metadata:\n  labels:\n    |')).toEqual([]);
});

test('a completed list begins its first item', () => {
  const place = placeAt('spec:\n  it', 10);
  expect(optionsAt({ schemas, root }, place).find((option) => option.label === 'items')?.apply).toBe('items:\n  - ');
});

test('what the schema does not allow is marked', () => {
  const text =
    'spec:\n  mode: Medium\n  size: big\n  sise: 1\n  port: http\n  items:\n  - name: 1\nmetadata:\n  labels: {x: z}\n';
  const [document] = readYaml(text);
  const words = {
    unknown: (name: string) => `unknown ${name}`,
    type: (expected: string) => `not ${expected}`,
    oneOf: (values: string) => `not in ${values}`,
    missing: (name: string) => name,
  };
  const found = document && checkDocument(document, { schemas, root }, words);
  expect(found?.map((one) => `${text.slice(one.from, one.to)}: ${one.message}`)).toEqual([
    'Medium: not in Fast, Slow',
    'big: not integer',
    'sise: unknown sise',
    '1: not string',
  ]);
});

test('a skeleton has what must be there', () => {
  expect(skeleton(schemas, root)).toEqual({ spec: { items: [{ name: '' }], mode: 'Fast' } });
});
