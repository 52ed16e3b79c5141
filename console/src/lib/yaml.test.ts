import { expect, test } from 'vitest';
import { fieldProblems, fieldSteps, locateField, readYaml, writeYaml } from './yaml';

test('values are read as the API server reads them', () => {
  const [first, second] = readYaml(
    'mode: 0644\non: yes\nports: 80:80\nday: 2026-11-22\n---\n# only a comment\n---\na: 1\n',
  );
  expect(first?.value).toEqual({ mode: 420, true: true, ports: '80:80', day: '2026-11-22' });
  expect(second?.value).toEqual({ a: 1 });
  expect(second?.index).toBe(1);
});

test('what is written is read back the same', () => {
  const value = { a: ['yes', '0644', '80:80', 'null', '1e3'], b: { c: '2026-11-22T00:00:00Z' }, d: [{ e: 1, f: '' }] };
  const text = writeYaml(value);
  expect(readYaml(text)[0]?.value).toEqual(value);
  expect(text).toContain('a:\n- ');
});

test('wrong syntax says where', () => {
  const [only] = readYaml('a: [1\nb: 2\n');
  expect(only?.value).toBeUndefined();
  expect(only?.problems[0]?.from).toBeGreaterThan(0);
});

test('fields are found by the paths of the API', () => {
  const text = 'metadata:\n  labels:\n    a.b/c: d\nspec:\n  containers:\n  - name: x\n    image: y\n';
  const root = readYaml(text)[0]?.root ?? null;
  const at = (path: string) => {
    const range = locateField(root, path);
    return range && text.slice(range[0], range[1]);
  };
  expect(at('spec.containers[0].image')).toBe('image: y');
  expect(at('metadata.labels[a.b/c]')).toBe('a.b/c: d');
  expect(at('spec.containers[0].ports[1].name')).toBe('name');
  expect(at('spec.replicas')).toBe('spec');
  expect(at('spec.containers[0]')).toBe('name');
  expect(fieldSteps('a[b.c][0].d')).toEqual(['a', 'b.c', '0', 'd']);
});

test('problems of fields', () => {
  expect(fieldProblems(['spec.replicas: must be: 1'], '')).toEqual([{ field: 'spec.replicas', message: 'must be: 1' }]);
  expect(fieldProblems([], 'strict decoding error: unknown field "spec.imgae"')).toEqual([
    { field: 'spec.imgae', message: 'unknown field "spec.imgae"' },
  ]);
});
