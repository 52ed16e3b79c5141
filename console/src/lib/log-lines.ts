// Lines of many logs in the order of their times, as many as fit: the oldest go first. Pure, without a clock.

/** One line of a container's log. */
export interface LogLine {
  /** Unix time in milliseconds with its fraction; lines without a time follow the line before. */
  at: number;
  /** Which of the sources. */
  source: number;
  text: string;
  /** Grows with each line that arrives: a stable key. */
  id: number;
}

/** What changed since the last look: parts of the list are drawn again by it. */
export interface LogChange {
  /** Lines that went from the beginning. */
  dropped: number;
  /** Lines before this index (after dropping) are as they were. */
  keptUntil: number;
}

export const LINES_MAX = 500_000;

/** A bounded list of lines, ordered by time. */
export class LogLines {
  #lines: LogLine[] = [];
  #nextId = 0;
  #dropped = 0;

  constructor(readonly max = LINES_MAX) {}

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** How many lines were let go since the beginning. */
  get dropped(): number {
    return this.#dropped;
  }

  clear(): void {
    this.#lines = [];
    this.#dropped = 0;
  }

  /** Adds lines that arrived together; those of one source are in order. */
  add(batch: readonly Omit<LogLine, 'id'>[]): LogChange {
    const before = this.#lines.length;
    const first = batch[0];
    if (first === undefined) return { dropped: 0, keptUntil: before };
    const added = batch.map((line) => ({ ...line, id: this.#nextId++ }));
    if (!isOrdered(added)) added.sort((left, right) => left.at - right.at || left.id - right.id);
    const oldest = added[0]?.at ?? 0;
    let keptUntil = before;
    const last = this.#lines[before - 1];
    if (last === undefined || last.at <= oldest) {
      for (const line of added) this.#lines.push(line);
    } else {
      keptUntil = after(this.#lines, oldest);
      const tail = this.#lines.splice(keptUntil);
      merge(this.#lines, tail, added);
    }
    const excess = this.#lines.length - this.max;
    if (excess <= 0) return { dropped: 0, keptUntil };
    // A tenth more than needed, so that the list is not moved for each line.
    const dropped = Math.min(this.#lines.length, excess + Math.floor(this.max / 10));
    this.#lines = this.#lines.slice(dropped);
    this.#dropped += dropped;
    return { dropped, keptUntil: Math.max(0, keptUntil - dropped) };
  }
}

function isOrdered(lines: readonly LogLine[]): boolean {
  let last = Number.NEGATIVE_INFINITY;
  for (const line of lines) {
    if (line.at < last) return false;
    last = line.at;
  }
  return true;
}

/** The index of the first line that is later than a time. */
function after(lines: readonly LogLine[], at: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lines[middle]?.at ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function merge(into: LogLine[], left: readonly LogLine[], right: readonly LogLine[]): void {
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const a = left[i];
    const b = right[j];
    if (b === undefined || (a !== undefined && a.at <= b.at)) {
      if (a !== undefined) into.push(a);
      i += 1;
    } else {
      into.push(b);
      j += 1;
    }
  }
}

/** Reads what the API sends with `timestamps=true`: a time, a space, the line. */
export class LineReader {
  #second = '';
  #secondMs = 0;
  #last = 0;
  #rest = '';
  /** The time of the newest line, as it was written: to go on from there. */
  newest = '';

  /** Lines that are whole; the rest waits for more. */
  read(chunk: string): { at: number; text: string }[] {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => this.#line(line));
  }

  /** What came without its end. */
  end(): { at: number; text: string }[] {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? [] : [this.#line(rest)];
  }

  #line(line: string): { at: number; text: string } {
    const space = line.indexOf(' ');
    const stamp = space < 0 ? line : line.slice(0, space);
    const at = this.#time(stamp);
    if (at === undefined) return { at: this.#last, text: line };
    this.newest = stamp;
    this.#last = at;
    return { at, text: space < 0 ? '' : line.slice(space + 1).replace(/\r$/, '') };
  }

  #time(stamp: string): number | undefined {
    if (stamp.length < 20 || stamp[10] !== 'T') return undefined;
    const second = stamp.slice(0, 19);
    const zone = stamp.indexOf('Z', 19) >= 0 ? 'Z' : stamp.slice(-6);
    if (second + zone !== this.#second) {
      const ms = Date.parse(second + zone);
      if (Number.isNaN(ms)) return undefined;
      this.#second = second + zone;
      this.#secondMs = ms;
    }
    const fraction = /^\.\d+/.exec(stamp.slice(19, 30))?.[0];
    return this.#secondMs + (fraction === undefined ? 0 : Number(fraction) * 1000);
  }
}

/** A filter: words that must all be there, or a regular expression. `undefined`: all lines. */
export type LineFilter = ((text: string) => boolean) | undefined;

/** Reads a filter; an expression that is not yet whole is an error to show. */
export function lineFilter(text: string, isRegex: boolean): { filter: LineFilter; error: string | undefined } {
  if (text === '') return { filter: undefined, error: undefined };
  if (isRegex) {
    try {
      const pattern = new RegExp(text, 'i');
      return { filter: (line) => pattern.test(line), error: undefined };
    } catch (error) {
      return { filter: undefined, error: error instanceof Error ? error.message : String(error) };
    }
  }
  const wanted = text.toLowerCase();
  return { filter: (line) => line.toLowerCase().includes(wanted), error: undefined };
}

export interface Span {
  text: string;
  /** Names of what the text is: `red`, `bold`, `match`. */
  styles: readonly string[];
}

const COLORS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;
// Colours and other sequences of terminals (ECMA-48): the first kind is shown, the others are left out.
const ESCAPES = new RegExp(
  [
    '\\u001b\\[([\\d;]*)m',
    '\\u001b\\[[\\d;?]*[A-Za-ln-z]',
    '\\u001b\\][^\\u0007]*(?:\\u0007|$)',
    '[\\u0000-\\u0008\\u000b-\\u001f]',
  ].join('|'),
  'g',
);

/** The text without the sequences of terminals. */
export function plainText(text: string): string {
  return text.includes('\u001b') ? text.replace(ESCAPES, '') : text;
}

/** A line as spans: the colours of terminals, and what the filter found. */
export function spansOf(text: string, filter: string, isRegex: boolean): Span[] {
  const colored = text.includes('\u001b') ? ansi(text) : [{ text, styles: [] as string[] }];
  if (filter === '') return colored;
  const pattern = matcher(filter, isRegex);
  return pattern === undefined ? colored : colored.flatMap((span) => marked(span, pattern));
}

function matcher(filter: string, isRegex: boolean): RegExp | undefined {
  try {
    return new RegExp(isRegex ? filter : filter.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi');
  } catch {
    return undefined;
  }
}

function marked(span: Span, pattern: RegExp): Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of span.text.matchAll(pattern)) {
    if (match[0] === '') continue;
    if (match.index > end) spans.push({ ...span, text: span.text.slice(end, match.index) });
    spans.push({ text: match[0], styles: [...span.styles, 'match'] });
    end = match.index + match[0].length;
  }
  if (end < span.text.length || spans.length === 0) spans.push({ ...span, text: span.text.slice(end) });
  return spans;
}

function ansi(text: string): Span[] {
  const spans: Span[] = [];
  let color = '';
  let isBold = false;
  let end = 0;
  const push = (until: number) => {
    if (until > end)
      spans.push({ text: text.slice(end, until), styles: [color, isBold ? 'bold' : ''].filter(Boolean) });
  };
  for (const match of text.matchAll(ESCAPES)) {
    push(match.index);
    end = match.index + match[0].length;
    if (match[1] === undefined) continue;
    const codes = (match[1] || '0').split(';').map(Number);
    for (let index = 0; index < codes.length; index += 1) {
      const code = codes[index] ?? 0;
      if (code === 0) {
        color = '';
        isBold = false;
      } else if (code === 1) isBold = true;
      else if (code === 22) isBold = false;
      else if (code === 39) color = '';
      else if (code >= 30 && code <= 37) color = COLORS[code - 30] ?? '';
      else if (code >= 90 && code <= 97) color = COLORS[code - 90] ?? '';
      else if (code === 38 || code === 48) index += codes[index + 1] === 5 ? 2 : 4;
    }
  }
  push(text.length);
  return spans;
}

const BAD = /\b(?:error|err|fatal|panic|critical|exception)\b|"level":"(?:error|fatal)"/i;
const WARN = /\b(?:warn|warning)\b/i;

/** How a line looks at first sight: what many programs write at its beginning. */
export function severity(text: string): 'bad' | 'warn' | undefined {
  const head = text.length > 160 ? text.slice(0, 160) : text;
  if (BAD.test(head)) return 'bad';
  return WARN.test(head) ? 'warn' : undefined;
}
