import { expect, test } from 'vitest';
import { type Place, placeAt } from './cursor';

/** `|` is the cursor. */
function at(marked: string): Place {
  return placeAt(marked.replace('|', ''), marked.indexOf('|'));
}

const head = 'apiVersion: apps/v1\nkind: Deployment\n';

test('the path of a place, from indentation', () => {
  expect(at(`${head}|`).path).toEqual([]);
  expect(at(`${head}spec:\n  re|`).path).toEqual(['spec']);
  expect(at(`${head}spec:\n  template:\n    spec:\n      containers:\n      - name: a\n        im|`).path).toEqual([
    'spec',
    'template',
    'spec',
    'containers',
    '[]',
  ]);
  expect(at(`${head}spec:\n  containers:\n    - name: a\n      ports:\n        - |`).path).toEqual([
    'spec',
    'containers',
    '[]',
    'ports',
    '[]',
  ]);
  expect(at('spec:\n  containers:\n  - |name: a').path).toEqual(['spec', 'containers', '[]']);
  expect(at('spec:\n  rules:\n  - - a: 1\n      b|').path).toEqual(['spec', 'rules', '[]', '[]']);
  expect(at('a:\n  b:\n    c: 1\n\n  # note\n  d|').path).toEqual(['a']);
});

test('names or values', () => {
  const value = at('spec:\n  restartPolicy: On|');
  expect([value.at, value.key, value.prefix]).toEqual(['value', 'restartPolicy', 'On']);
  const key = at('spec:\n  rest|');
  expect([key.at, key.prefix]).toEqual(['key', 'rest']);
  expect(at('spec:\n  image: a:b|').prefix).toBe('a:b');
});

test('siblings are not offered again', () => {
  const place = at(
    'spec:\n  containers:\n  - name: a\n    image: b\n    |\n    ports:\n    - containerPort: 1\n    env: []\n  volumes: []',
  );
  expect([...place.siblings].sort()).toEqual(['env', 'image', 'name', 'ports']);
});

test('the document around a place', () => {
  const place = at('kind: A\n---\napiVersion: v1\nkind: "B"\nspec:\n  |\n---\nkind: C');
  expect([place.apiVersion, place.kind]).toEqual(['v1', 'B']);
  expect(place.path).toEqual(['spec']);
});
