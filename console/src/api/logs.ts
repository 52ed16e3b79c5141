// Logs of containers: live over WebSockets, whole for a download.
import type { ApiError } from './http';
import { request, withQuery } from './http';
import { openSocket } from './socket';

export interface LogSource {
  namespace: string;
  pod: string;
  container: string;
}

export interface LogOptions {
  tailLines?: number | undefined;
  sinceSeconds?: number | undefined;
  /** The container before its last restart. */
  previous?: boolean | undefined;
}

function path(source: LogSource): string {
  const enc = encodeURIComponent;
  return `/api/v1/namespaces/${enc(source.namespace)}/pods/${enc(source.pod)}/log`;
}

/** The address of the whole log, for a download without the page's memory. */
export function logAddress(source: LogSource, previous: boolean): string {
  return withQuery(path(source), {
    container: source.container,
    timestamps: true,
    previous: previous ? true : undefined,
  });
}

/** The log of the container before its last restart: it does not grow any more. */
export function previousLog(source: LogSource, options: LogOptions, signal: AbortSignal): Promise<string> {
  return request<string>(path(source), {
    accept: '*/*',
    signal,
    query: {
      container: source.container,
      timestamps: true,
      previous: true,
      tailLines: options.tailLines,
      sinceSeconds: options.sinceSeconds,
    },
  });
}

/** Follows a log; text comes in pieces. Returns what ends it. */
export function followLog(
  source: LogSource,
  options: LogOptions & { sinceTime?: string | undefined },
  events: { text: (text: string) => void; closed: (error: ApiError | undefined) => void },
): () => void {
  const socket = openSocket(
    path(source),
    {
      container: source.container,
      follow: true,
      timestamps: true,
      tailLines: options.sinceTime === undefined ? options.tailLines : undefined,
      sinceSeconds: options.sinceTime === undefined ? options.sinceSeconds : undefined,
      sinceTime: options.sinceTime,
    },
    { message: events.text, closed: events.closed },
  );
  return () => socket.close(1000);
}
