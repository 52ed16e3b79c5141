// Who is logged in, and which rooms answer.
import { queryOptions, useSuspenseQuery } from '@tanstack/react-query';
import { forgetRecent } from '../lib/recent';
import { connection } from './connection';
import { request } from './http';
import { keys } from './keys';

export interface Session {
  user: string;
  groups: string[];
  /** When this session ends, RFC 3339. */
  expires: string;
  version: string;
  instance: string;
  /** Rooms that answer beside the API, with their path: `prometheus`, `alertmanager`, `process`. */
  rooms: Partial<Record<'prometheus' | 'alertmanager' | 'process', string>>;
  secretsMasked: boolean;
}

export interface SessionRecord {
  id: string;
  user: string;
  created: string;
  expires: string;
  /** The browser's own words. */
  agent?: string;
  current: boolean;
}

export const sessionQuery = queryOptions({
  queryKey: keys.session(),
  queryFn: ({ signal }) => request<Session>('/console/v1/session', { signal }),
  staleTime: 60_000,
  retry: false,
});

export function useSession(): Session {
  return useSuspenseQuery(sessionQuery).data;
}

export async function login(token: string): Promise<void> {
  await request('/console/v1/login', { method: 'POST', body: { token } });
  connection.signedIn();
}

export async function logout(): Promise<void> {
  await request('/console/v1/logout', { method: 'POST', body: {} });
  forgetRecent();
  connection.signedOut();
}

export const sessionsQuery = queryOptions({
  queryKey: [...keys.session(), 'all'],
  queryFn: async ({ signal }) => {
    const answer = await request<{ items: SessionRecord[] }>('/console/v1/sessions', { signal });
    return answer.items;
  },
});

/** Ends one session, or all of one's own when `id` is absent. */
export async function endSession(id?: string): Promise<void> {
  await request(id === undefined ? '/console/v1/sessions' : `/console/v1/sessions/${encodeURIComponent(id)}`, {
    method: 'DELETE',
  });
}
