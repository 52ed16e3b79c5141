import type { Kinds } from '../../api/discovery';
import { paths } from '../../paths';

/** Where an object that keeps a gate closed is shown. */
export function linkOf(kinds: Kinds, kind: string, namespace: string, name: string): string | undefined {
  if (kind === 'Requirement') return paths.requirement(namespace, name);
  if (kind === 'Evidence') return paths.evidence(namespace, name);
  const known = kinds.of('maru.dev/v1alpha1', kind);
  return known && paths.object(known, namespace, name);
}
