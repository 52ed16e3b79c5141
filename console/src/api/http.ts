// The only place with `fetch`. Errors of all rooms (Kubernetes Status, Prometheus, Alertmanager, plain text) become one type.
import { connection } from './connection';

/** An answer that is no success. `status` 0 means that the server could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    /** The fields that the server complains about: `spec.replicas: must be …`. */
    readonly causes: readonly string[] = [],
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON; a string is sent as it is, with `contentType`. */
  body?: unknown;
  contentType?: string;
  accept?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  query?: Record<string, string | number | boolean | readonly string[] | undefined>;
}

/** Asks the server and returns the JSON answer; text when it is not JSON. Throws {@link ApiError}, or the abort. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options);
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('json') === true;
  return (json ? JSON.parse(text) : text) as T;
}

/** Asks for bytes: a document to download. */
export async function requestBlob(path: string, options: RequestOptions = {}): Promise<Blob> {
  return (await send(path, options)).blob();
}

async function send(path: string, options: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = { accept: options.accept ?? 'application/json', ...options.headers };
  const init: RequestInit = { method: options.method ?? 'GET', headers, credentials: 'same-origin', redirect: 'error' };
  if (options.body !== undefined) {
    headers['content-type'] = options.contentType ?? 'application/json';
    init.body = typeof options.body === 'string' ? options.body : JSON.stringify(options.body);
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(withQuery(path, options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    connection.lost();
    throw new ApiError(0, 'Unreachable', error instanceof Error ? error.message : String(error));
  }
  connection.seen();
  if (response.ok) return response;
  const failure = await explain(response);
  if (failure.status === 401) connection.signedOut();
  throw failure;
}

/** Adds query parameters; lists repeat their name. */
export function withQuery(path: string, query: RequestOptions['query']): string {
  if (!query) return path;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    if (typeof value === 'object') for (const one of value) search.append(name, one);
    else search.append(name, String(value));
  }
  const text = search.toString();
  return text === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${text}`;
}

async function explain(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  try {
    return fromBody(response.status, JSON.parse(text));
  } catch {
    return new ApiError(response.status, response.statusText, text.trim() || `the server answered ${response.status}`);
  }
}

interface ErrorBody {
  kind?: string;
  message?: string;
  reason?: string;
  error?: string;
  errorType?: string;
  details?: { causes?: { field?: string; message?: string }[] };
}

/** Reads the error bodies of Kubernetes (Status), Prometheus (`errorType`) and Alertmanager (a string). */
export function fromBody(status: number, body: ErrorBody | string): ApiError {
  if (typeof body === 'string') return new ApiError(status, 'Error', body);
  const causes = (body.details?.causes ?? []).map((cause) => [cause.field, cause.message].filter(Boolean).join(': '));
  const message = body.message ?? body.error ?? `the server answered ${status}`;
  return new ApiError(status, body.reason ?? body.errorType ?? 'Error', message, causes);
}
