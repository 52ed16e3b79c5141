import { expect, test } from 'vitest';
import { fromBody, withQuery } from './http';

test('errors of all rooms become one type', () => {
  const status = fromBody(422, {
    kind: 'Status',
    message: 'Deployment.apps "web" is invalid',
    reason: 'Invalid',
    details: { causes: [{ field: 'spec.replicas', message: 'must be greater than or equal to 0' }] },
  });
  expect([status.status, status.reason, status.message]).toEqual([422, 'Invalid', 'Deployment.apps "web" is invalid']);
  expect(status.causes).toEqual(['spec.replicas: must be greater than or equal to 0']);
  const query = fromBody(400, { errorType: 'bad_data', error: 'parse error at char 3' });
  expect([query.reason, query.message]).toEqual(['bad_data', 'parse error at char 3']);
  expect(fromBody(404, 'silence not found').message).toBe('silence not found');
  expect(fromBody(500, {}).message).toBe('the server answered 500');
});

test('query parameters', () => {
  expect(withQuery('/a', undefined)).toBe('/a');
  expect(withQuery('/a', { none: undefined })).toBe('/a');
  expect(withQuery('/a?b=1', { 'match[]': ['x{a="b"}', 'y'], n: 2, yes: true })).toBe(
    '/a?b=1&match%5B%5D=x%7Ba%3D%22b%22%7D&match%5B%5D=y&n=2&yes=true',
  );
});
