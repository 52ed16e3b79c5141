// The alerts room: groups of alerts, silences, receivers, and why somebody was (not) told. Alertmanager's API version 2.
import { queryOptions } from '@tanstack/react-query';
import type { Labels } from '../lib/series';
import { request } from './http';
import { keys } from './keys';

const ROOT = '/alertmanager/api/v2';

export interface Alert {
  fingerprint: string;
  labels: Labels;
  annotations: Labels;
  startsAt: string;
  endsAt: string;
  updatedAt: string;
  generatorURL: string;
  receivers: { name: string }[];
  status: {
    state: 'active' | 'suppressed' | 'unprocessed';
    inhibitedBy: string[];
    mutedBy: string[];
    silencedBy: string[];
  };
}

export interface AlertGroup {
  labels: Labels;
  receiver: { name: string };
  alerts: Alert[];
}

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

export interface Silence {
  id: string;
  status: { state: 'active' | 'pending' | 'expired' };
  updatedAt: string;
  comment: string;
  createdBy: string;
  startsAt: string;
  endsAt: string;
  matchers: Matcher[];
}

export interface Trace {
  fingerprint: string;
  labels: Labels;
  annotations: Labels;
  status: 'firing' | 'resolved';
  startsAt: string;
  endsAt: string;
  updatedAt: string;
  inhibitedBy: { by: string; labels: Labels | null; rule: string; ruleNumber: number } | null;
  silencedBy: { id: string; createdBy: string; comment: string; endsAt: string }[];
  routes: {
    path: string;
    receiver: string;
    integrations: string[];
    groupKey: string;
    groupLabels: Labels;
    mutedBy: string[];
    isWaiting: boolean;
    nextFlush: string | null;
    told: { integration: string; at: string; asFiring: boolean; asResolved: boolean }[];
  }[];
  decisions: {
    at: string;
    lastAt: string;
    times: number;
    receiver: string;
    mutedBy: string[];
    inhibitedBy: string | null;
    silencedBy: string[];
    integrations: {
      integration: string;
      sends: boolean;
      reason: string;
      delivered: boolean;
      isUnderWay: boolean;
      attemptCount: number;
      attempts: { at: string; answer: string }[];
    }[];
  }[];
}

const EVERY_MS = 10_000;

/** Groups, with silenced and inhibited alerts too. `filter` holds matchers: `severity="page"`. */
export function groupsQuery(filter: readonly string[]) {
  return queryOptions({
    queryKey: keys.alertmanager('alerts/groups', { filter }),
    queryFn: ({ signal }) => request<AlertGroup[]>(`${ROOT}/alerts/groups`, { query: { filter }, signal }),
    refetchInterval: EVERY_MS,
    retry: false,
  });
}

/** The alerts that matchers find. */
export function alertsQuery(filter: readonly string[]) {
  return queryOptions({
    queryKey: keys.alertmanager('alerts', { filter }),
    queryFn: ({ signal }) => request<Alert[]>(`${ROOT}/alerts`, { query: { filter }, signal }),
    refetchInterval: EVERY_MS,
    retry: false,
  });
}

export const silencesQuery = queryOptions({
  queryKey: keys.alertmanager('silences'),
  queryFn: ({ signal }) => request<Silence[]>(`${ROOT}/silences`, { signal }),
  refetchInterval: EVERY_MS,
});

/** Makes a silence, or changes the one whose id is given. Returns its id: a changed one may get another. */
export async function putSilence(silence: {
  id?: string | undefined;
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
}): Promise<string> {
  const answer = await request<{ silenceID: string }>(`${ROOT}/silences`, { method: 'POST', body: silence });
  return answer.silenceID;
}

export async function expireSilence(id: string): Promise<void> {
  await request(`${ROOT}/silence/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** The whole way of one alert. */
export function traceQuery(fingerprint: string) {
  return queryOptions({
    queryKey: keys.alertmanager(`alerts/${fingerprint}/trace`),
    queryFn: ({ signal }) => request<Trace>(`${ROOT}/alerts/${encodeURIComponent(fingerprint)}/trace`, { signal }),
    refetchInterval: EVERY_MS,
    retry: false,
  });
}

/** The ways of all alerts that matchers find, also of those that are over. */
export function tracesQuery(filter: readonly string[]) {
  return queryOptions({
    queryKey: keys.alertmanager('alerts/traces', { filter }),
    queryFn: ({ signal }) => request<Trace[]>(`${ROOT}/alerts/traces`, { query: { filter }, signal }),
    retry: false,
  });
}

/** The configuration in force, with its secrets masked. */
export const statusQuery = queryOptions({
  queryKey: keys.alertmanager('status'),
  queryFn: ({ signal }) =>
    request<{ config: { original: string }; uptime: string; versionInfo: { version: string } }>(`${ROOT}/status`, {
      signal,
    }),
  staleTime: 30_000,
});

/** `severity="page"`, as Alertmanager reads it. */
export function writeMatcher(matcher: Matcher): string {
  const operator = matcher.isRegex ? (matcher.isEqual ? '=~' : '!~') : matcher.isEqual ? '=' : '!=';
  return `${matcher.name}${operator}${JSON.stringify(matcher.value)}`;
}

/** Reads `team="db"`, `severity=~page|ticket`; nothing when it is no matcher. */
export function readMatcher(text: string): Matcher | undefined {
  const parts = /^\s*("?)([^"=~!\s]+)\1\s*(=~|!~|!=|=)\s*(.*?)\s*$/.exec(text);
  if (!parts) return undefined;
  const [, , name = '', operator = '=', raw = ''] = parts;
  let value = raw;
  if (raw.startsWith('"')) {
    try {
      value = JSON.parse(raw) as string;
    } catch {
      return undefined;
    }
  }
  return { name, value, isRegex: operator.endsWith('~'), isEqual: !operator.startsWith('!') };
}
