// Lists that stay true: a list, then a watch from its revision, over the Kubernetes protocol. One socket for each
// question however many parts of a page ask it; a question nobody asks any more is kept for a while and then ended.
import type { ApiError } from './http';
import { ApiError as Failure, request } from './http';
import { openSocket } from './socket';
import type { KubernetesObject, TableAnswer, TableColumn, TableRow, WatchEvent } from './types';

/** `loading` until the first list; `behind` while the socket is down and what is shown may be old. */
export interface LiveState<T> {
  status: 'loading' | 'live' | 'behind' | 'failed';
  items: readonly T[];
  columns: readonly TableColumn[];
  error: ApiError | undefined;
  /** Grows with each change: cheap to compare. */
  revision: number;
}

/** How the server shows objects: whole, their metadata only, or as rows with the columns of `kubectl get`. */
export type View = 'object' | 'metadata' | 'table';

export interface LiveQuestion {
  path: string;
  view: View;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

const ACCEPT: Record<View, string> = {
  object: 'application/json',
  metadata:
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  table: 'application/json;as=Table;g=meta.k8s.io;v=v1',
};
/** Changes are told to the page at most this often. */
const TELL_EVERY_MS = 100;
/** How long a question is kept that nobody asks: going back to a page shows it at once. */
const LINGER_MS = 30_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000] as const;

type Row = KubernetesObject | TableRow;

/** One question to the server and its answer as it is now. */
export class LiveList {
  #state: LiveState<Row> = { status: 'loading', items: [], columns: [], error: undefined, revision: 0 };
  readonly #items = new Map<string, Row>();
  #columns: readonly TableColumn[] = [];
  #resourceVersion = '';
  #listeners = new Set<() => void>();
  #socket: WebSocket | undefined;
  #abort: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;
  #tell: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #running = false;

  constructor(
    readonly question: LiveQuestion,
    private readonly forget: () => void,
  ) {}

  readonly state = (): LiveState<Row> => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    clearTimeout(this.#linger);
    this.#listeners.add(listener);
    if (!this.#running) {
      this.#running = true;
      void this.#list();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#linger = setTimeout(() => this.#end(), LINGER_MS);
    };
  };

  /** Lists again: after a write, when no watch told of it yet, or when a person asks. */
  refresh(): void {
    clearTimeout(this.#retry);
    this.#closeSocket();
    void this.#list();
  }

  #end(): void {
    this.#running = false;
    this.#abort?.abort();
    clearTimeout(this.#retry);
    clearTimeout(this.#tell);
    this.#closeSocket();
    this.forget();
  }

  #closeSocket(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(1000);
  }

  #selectors(): Record<string, string | undefined> {
    return { labelSelector: this.question.labelSelector, fieldSelector: this.question.fieldSelector };
  }

  async #list(): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const answer = await request<TableAnswer & { items?: KubernetesObject[] }>(this.question.path, {
        accept: ACCEPT[this.question.view],
        query: { ...this.#selectors(), includeObject: this.question.view === 'table' ? 'Object' : undefined },
        signal: abort.signal,
      });
      if (abort.signal.aborted) return;
      this.#items.clear();
      this.#columns = answer.columnDefinitions ?? this.#columns;
      for (const row of answer.items ?? answer.rows ?? []) this.#items.set(identity(row), row);
      this.#resourceVersion = answer.metadata.resourceVersion;
      this.#failures = 0;
      this.#publish('live', undefined);
      this.#watch();
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#failed(error instanceof Failure ? error : new Failure(0, 'Error', String(error)));
    }
  }

  #watch(): void {
    const socket = openSocket(
      this.question.path,
      {
        ...this.#selectors(),
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: this.#resourceVersion,
        // A WebSocket cannot say what it accepts by a header.
        as: this.question.view === 'object' ? undefined : this.question.view,
        includeObject: this.question.view === 'table' ? 'Object' : undefined,
      },
      {
        open: () => {
          this.#failures = 0;
          if (this.#state.status !== 'live') this.#publish('live', undefined);
        },
        message: (text) => {
          if (socket !== this.#socket) return;
          for (const line of text.split('\n')) if (line !== '') this.#event(JSON.parse(line) as WatchEvent<unknown>);
        },
        closed: (error) => {
          if (socket !== this.#socket) return;
          this.#socket = undefined;
          if (error?.status === 410) void this.#list();
          else if (error === undefined) this.#watchSoon();
          else this.#failed(error);
        },
      },
    );
    this.#socket = socket;
  }

  #watchSoon(): void {
    this.#retry = setTimeout(() => this.#watch(), BACKOFF_MS[0]);
  }

  #event(event: WatchEvent<unknown>): void {
    if (event.type === 'ERROR') {
      this.#closeSocket();
      void this.#list();
      return;
    }
    const rows = rowsOf(event.object);
    for (const row of rows) {
      const version = (isTableRow(row) ? row.object : row).metadata.resourceVersion;
      if (version) this.#resourceVersion = version;
      if (event.type === 'DELETED') this.#items.delete(identity(row));
      else if (event.type !== 'BOOKMARK') this.#items.set(identity(row), row);
    }
    if (event.type !== 'BOOKMARK') this.#tellSoon();
  }

  #tellSoon(): void {
    this.#tell ??= setTimeout(() => this.#publish(this.#state.status, this.#state.error), TELL_EVERY_MS);
  }

  #failed(error: ApiError): void {
    const known = this.#items.size > 0 || this.#resourceVersion !== '';
    const final = [400, 401, 403, 404, 405, 406].includes(error.status);
    this.#publish(known && !final ? 'behind' : 'failed', error);
    if (error.status === 401) return;
    const wait = final ? 30_000 : (BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)] ?? 8_000);
    this.#failures += 1;
    this.#retry = setTimeout(() => void this.#list(), wait);
  }

  #publish(status: LiveState<Row>['status'], error: ApiError | undefined): void {
    clearTimeout(this.#tell);
    this.#tell = undefined;
    const items = [...this.#items.values()];
    this.#state = { status, items, columns: this.#columns, error, revision: this.#state.revision + 1 };
    for (const listener of this.#listeners) listener();
  }
}

function isTableRow(row: Row): row is TableRow {
  return 'cells' in row;
}

function identity(row: Row): string {
  const { namespace, name } = (isTableRow(row) ? row.object : row).metadata;
  return `${namespace ?? ''}/${name}`;
}

function rowsOf(object: unknown): Row[] {
  const table = object as Partial<TableAnswer>;
  return table.rows ?? [object as KubernetesObject];
}

const lists = new Map<string, LiveList>();

/** The one live list of a question. */
export function liveList(question: LiveQuestion): LiveList {
  const key = JSON.stringify([question.path, question.view, question.labelSelector, question.fieldSelector]);
  let list = lists.get(key);
  if (!list) {
    list = new LiveList(question, () => lists.delete(key));
    lists.set(key, list);
  }
  return list;
}

/** Lists again whatever is asked of a path: after a write that a watch has not told of. */
export function refreshLive(path: string): void {
  for (const list of lists.values()) if (list.question.path === path) list.refresh();
}

/** Ends all questions: after a logout. */
export function forgetLive(): void {
  lists.clear();
}
