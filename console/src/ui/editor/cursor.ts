// Where in an object a place of a YAML text is, read from its indentation: the text may be half written. Pure.
import { ITEM } from './schema';

export interface Place {
  /** Fields from the root of the document to the mapping or list that the place is in. */
  path: readonly string[];
  /** Writing a field's name, or the value of `key`. */
  at: 'key' | 'value';
  key: string | undefined;
  /** What is already written, and where it begins in the text. */
  prefix: string;
  from: number;
  /** Fields that the mapping has already. */
  siblings: ReadonlySet<string>;
  /** What the document says it is. */
  apiVersion: string | undefined;
  kind: string | undefined;
  /** The column of the fields. */
  indent: number;
}

interface Line {
  /** Columns of the dashes before the content. */
  dashes: number[];
  /** The column of the content. */
  column: number;
  content: string;
  key: string | undefined;
  value: string;
}

const KEY = /^("[^"]*"|'[^']*'|[^\s#'"[\]{},:-][^:#]*?|-[^\s:]+):(?:\s+(.*))?$/;

function readLine(text: string): Line | undefined {
  let column = text.length - text.trimStart().length;
  const dashes: number[] = [];
  while (text[column] === '-' && (text[column + 1] === ' ' || text[column + 1] === undefined)) {
    dashes.push(column);
    column += 1;
    while (text[column] === ' ') column += 1;
  }
  const content = text.slice(column);
  if (dashes.length === 0 && (content === '' || content.startsWith('#'))) return undefined;
  const match = KEY.exec(content.trimEnd());
  return { dashes, column, content, key: match?.[1]?.replace(/^["']|["']$/g, ''), value: match?.[2] ?? '' };
}

/** The place at an offset of a text. */
export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  const [first, last] = documentAround(text, lineStart);
  const above = text.slice(first, lineStart).split('\n').slice(0, -1);
  const lineEnd = text.indexOf('\n', offset);
  const below = lineEnd < 0 || lineEnd >= last ? [] : text.slice(lineEnd + 1, last).split('\n');
  const written = text.slice(lineStart, offset);
  const line = readLine(written) ?? { dashes: [], column: written.length, content: '', key: undefined, value: '' };
  const whole = readLine(text.slice(lineStart, lineEnd < 0 ? text.length : lineEnd));
  const isValue = line.key !== undefined;
  const prefix = isValue ? line.value : line.content.trimEnd() === line.content ? line.content : line.content.trim();
  const path = pathOf(above, line.dashes, line.column);
  const siblings = siblingsOf(above, below, line);
  if (!isValue && whole?.key !== undefined) siblings.delete(whole.key);
  const said = text.slice(first, last);
  return {
    path,
    at: isValue ? 'value' : 'key',
    key: line.key,
    prefix,
    from: offset - prefix.length,
    siblings,
    apiVersion: /^apiVersion:\s*["']?([^\s"'#]+)/m.exec(said)?.[1],
    kind: /^kind:\s*["']?([^\s"'#]+)/m.exec(said)?.[1],
    indent: line.column,
  };
}

/** The offsets of the document (between `---`) that a line belongs to. */
function documentAround(text: string, lineStart: number): [number, number] {
  let first = 0;
  let last = text.length;
  for (const match of text.matchAll(/^---.*$/gm)) {
    if (match.index < lineStart) first = match.index + match[0].length + 1;
    else if (match.index > lineStart) {
      last = match.index;
      break;
    }
  }
  return [Math.min(first, lineStart), last];
}

function pathOf(above: readonly string[], dashes: readonly number[], column: number): string[] {
  const path: string[] = [];
  let current = column;
  let isList = false;
  const climb = (columns: readonly number[]) => {
    for (const dash of columns.toReversed()) {
      path.unshift(ITEM);
      current = dash;
      isList = true;
    }
  };
  climb(dashes);
  for (let index = above.length - 1; index >= 0 && (current > 0 || isList); index -= 1) {
    const line = readLine(above[index] ?? '');
    if (line === undefined) continue;
    const isParent = line.key !== undefined && (isList ? line.column <= current : line.column < current);
    if (isParent && line.key !== undefined) {
      path.unshift(line.key);
      current = line.column;
      isList = false;
      climb(line.dashes);
    } else if (!isList && line.dashes.length > 0 && line.column === current) {
      climb(line.dashes);
    } else if (!isList && line.dashes.length > 0 && line.content === '' && (line.dashes.at(-1) ?? 0) < current) {
      climb(line.dashes);
    }
  }
  return path;
}

function siblingsOf(above: readonly string[], below: readonly string[], line: Line): Set<string> {
  const found = new Set<string>();
  if (line.dashes.length === 0) {
    for (const text of above.toReversed()) {
      const other = readLine(text);
      if (other === undefined || other.column > line.column) continue;
      if (other.column < line.column) break;
      if (other.key !== undefined) found.add(other.key);
      if (other.dashes.length > 0) break;
    }
  }
  for (const text of below) {
    const other = readLine(text);
    if (other === undefined || (other.column > line.column && other.dashes.every((dash) => dash >= line.column)))
      continue;
    if (other.column !== line.column || other.dashes.length > 0) break;
    if (other.key !== undefined) found.add(other.key);
  }
  return found;
}
