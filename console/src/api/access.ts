// What the user may do: a page offers nothing that the API would refuse.
import { useQuery } from '@tanstack/react-query';
import type { Kind } from './discovery';
import { request } from './http';
import { keys } from './keys';

export interface Question {
  verb: string;
  kind: Pick<Kind, 'group' | 'plural'>;
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
}

interface ReviewAnswer {
  status: { allowed: boolean; reason?: string };
}

/** `undefined` while it is not known: offer nothing yet. */
export function useCan(question: Question | undefined): boolean | undefined {
  const query = useQuery({
    queryKey: keys.can(question ?? {}),
    queryFn: async ({ signal }) => (question ? can(question, signal) : false),
    staleTime: 30_000,
    enabled: question !== undefined,
  });
  return query.data;
}

/** Asks the API: a SelfSubjectAccessReview. */
export async function can(question: Question, signal?: AbortSignal): Promise<boolean> {
  const answer = await request<ReviewAnswer>('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    method: 'POST',
    signal,
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: {
        resourceAttributes: {
          verb: question.verb,
          group: question.kind.group,
          resource: question.kind.plural,
          subresource: question.subresource,
          namespace: question.namespace,
          name: question.name,
        },
      },
    },
  });
  return answer.status.allowed;
}
