// Logs of many containers as one list: followed, merged, told to the page a few times a second.
import { useEffect, useRef, useState } from 'react';
import { ApiError } from '../../api/http';
import { followLog, type LogSource, previousLog } from '../../api/logs';
import { LineReader, type LogLine, LogLines } from '../../lib/log-lines';

export interface FollowedSource extends LogSource {
  /** Grows when the container starts again: its log is followed anew. */
  restarts: number;
}

export interface LogQuestion {
  tailLines: number | undefined;
  sinceSeconds: number | undefined;
  previous: boolean;
}

export interface LogView {
  log: LogLines;
  /** Grows with each change of the list. */
  revision: number;
  /** Lines before this index are as they were at the revision before. */
  keptUntil: number;
  /** Why a source says nothing, by its key. */
  errors: ReadonlyMap<string, string>;
  open: number;
}

const TELL_EVERY_MS = 100;
const AGAIN_MS = 2_000;

export function sourceKey(source: LogSource): string {
  return `${source.namespace}/${source.pod}/${source.container}`;
}

/** Follows all sources. A change of the question begins anew; sources come and go without it. */
export function useLogs(sources: readonly FollowedSource[], question: LogQuestion): LogView & { names: Sources } {
  const { tailLines, sinceSeconds, previous } = question;
  const collector = useRef<Collector>(undefined);
  const [view, setView] = useState<LogView>(() => ({
    log: new LogLines(),
    revision: 0,
    keptUntil: 0,
    errors: new Map(),
    open: 0,
  }));
  useEffect(() => {
    const own = new Collector({ tailLines, sinceSeconds, previous }, setView);
    collector.current = own;
    return () => own.end();
  }, [tailLines, sinceSeconds, previous]);
  useEffect(() => {
    // The question is named so that a new collector gets its sources.
    void [tailLines, sinceSeconds, previous];
    collector.current?.follow(sources);
  }, [sources, tailLines, sinceSeconds, previous]);
  return { ...view, names: collector.current?.names ?? NO_SOURCES };
}

export type Sources = readonly LogSource[];
const NO_SOURCES: Sources = [];

interface Followed {
  restarts: number;
  stop: () => void;
}

class Collector {
  readonly names: LogSource[] = [];
  readonly #log = new LogLines();
  readonly #followed = new Map<string, Followed>();
  readonly #errors = new Map<string, string>();
  #batch: Omit<LogLine, 'id'>[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #revision = 0;
  #open = 0;
  #isEnded = false;

  constructor(
    readonly question: LogQuestion,
    private readonly tell: (view: LogView) => void,
  ) {
    this.#publish(0);
  }

  follow(sources: readonly FollowedSource[]): void {
    const wanted = new Set(sources.map(sourceKey));
    for (const [key, followed] of this.#followed) {
      if (wanted.has(key)) continue;
      followed.stop();
      this.#followed.delete(key);
      this.#errors.delete(key);
    }
    for (const source of sources) {
      const key = sourceKey(source);
      const followed = this.#followed.get(key);
      if (followed !== undefined) {
        followed.restarts = source.restarts;
        continue;
      }
      let number = this.names.findIndex((one) => sourceKey(one) === key);
      if (number < 0) number = this.names.push(source) - 1;
      const entry: Followed = { restarts: source.restarts, stop: () => {} };
      this.#followed.set(key, entry);
      entry.stop = this.question.previous ? this.#once(source, number) : this.#follow(source, number, key);
    }
    this.#soon();
  }

  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    for (const followed of this.#followed.values()) followed.stop();
    this.#followed.clear();
  }

  /** The log before the last restart: read once. */
  #once(source: LogSource, number: number): () => void {
    const abort = new AbortController();
    const reader = new LineReader();
    const key = sourceKey(source);
    previousLog(source, this.question, abort.signal)
      .then((text) => this.#add([...reader.read(String(text)), ...reader.end()], number))
      .catch((error: unknown) => {
        if (!abort.signal.aborted) this.#failed(key, error instanceof Error ? error.message : String(error));
      });
    return () => abort.abort();
  }

  #follow(source: LogSource, number: number, key: string): () => void {
    const reader = new LineReader();
    let stop = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isStopped = false;
    const begin = () => {
      const from = reader.newest;
      // The API takes whole seconds only: lines of that second come again and are left out.
      const sinceTime = from === '' ? undefined : `${from.slice(0, 19)}Z`;
      let isFresh = true;
      this.#open += 1;
      stop = followLog(
        source,
        { ...this.question, sinceTime: from.endsWith('Z') ? sinceTime : from || undefined },
        {
          text: (text) => {
            if (this.#errors.delete(key)) this.#soon();
            const known = isFresh && from !== '' ? timeOf(from) : undefined;
            const lines = reader.read(text);
            const fresh = known === undefined ? lines : lines.filter((line) => line.at > known);
            if (fresh.length > 0) isFresh = false;
            this.#add(fresh, number);
          },
          closed: (error) => {
            this.#open -= 1;
            if (isStopped) return;
            this.#add(reader.end(), number);
            this.#closed(key, error);
            if (!isFinal(error)) timer = setTimeout(() => this.#resume(key, begin, error), AGAIN_MS);
          },
        },
      );
    };
    begin();
    return () => {
      isStopped = true;
      clearTimeout(timer);
      stop();
    };
  }

  /** After an end the container has ended: followed again when it starts again. After a loss: at once. */
  #resume(key: string, begin: () => void, error: ApiError | undefined): void {
    const followed = this.#followed.get(key);
    if (followed === undefined || this.#isEnded) return;
    if (error !== undefined) {
      begin();
      return;
    }
    const before = followed.restarts;
    const wait = () => {
      if (this.#isEnded || this.#followed.get(key) !== followed) return;
      if (followed.restarts !== before) begin();
      else setTimeout(wait, AGAIN_MS);
    };
    wait();
  }

  #closed(key: string, error: ApiError | undefined): void {
    if (error !== undefined) this.#failed(key, error.message);
    else this.#soon();
  }

  #failed(key: string, message: string): void {
    this.#errors.set(key, message);
    this.#soon();
  }

  #add(lines: readonly { at: number; text: string }[], source: number): void {
    for (const line of lines) this.#batch.push({ at: line.at, text: line.text, source });
    if (lines.length > 0) this.#soon();
  }

  #soon(): void {
    if (this.#isEnded) return;
    this.#timer ??= setTimeout(() => {
      const batch = this.#batch;
      this.#batch = [];
      const change = this.#log.add(batch);
      this.#publish(change.keptUntil);
    }, TELL_EVERY_MS);
  }

  #publish(keptUntil: number): void {
    this.#timer = undefined;
    this.#revision += 1;
    this.tell({
      log: this.#log,
      revision: this.#revision,
      keptUntil,
      errors: new Map(this.#errors),
      open: this.#open,
    });
  }
}

function timeOf(stamp: string): number {
  return new LineReader().read(`${stamp} \n`)[0]?.at ?? 0;
}

function isFinal(error: ApiError | undefined): boolean {
  return error instanceof ApiError && [401, 403, 404].includes(error.status);
}
