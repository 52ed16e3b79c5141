// Where in a sentence the findings of the lint are: the sentence in pieces, each with the findings that are about it.
import type { LintFinding } from '../../api/maru';
import type { LocalText } from '../../i18n/texts';

export interface Piece {
  text: string;
  findings: readonly LintFinding[];
}

/** A finding's place is `field` or `field: "the words"`. */
export function readPlace(place: string | undefined): { field: string; phrase: string } {
  const quoted = /^([^:]*): "([\s\S]*)"$/.exec(place ?? '');
  return { field: quoted?.[1] ?? place ?? '', phrase: quoted?.[2] ?? '' };
}

/** The sentences of a statement by the field that findings name. */
export function sentences(statement: LocalText): { field: string; language: 'en' | 'ko' | undefined; text: string }[] {
  if (typeof statement === 'string') return [{ field: 'statement', language: undefined, text: statement }];
  const found: { field: string; language: 'en' | 'ko'; text: string }[] = [];
  for (const language of ['ko', 'en'] as const) {
    const text = statement[language];
    if (text) found.push({ field: `statement.${language}`, language, text });
  }
  return found;
}

/** Whether a finding is about this text: by its field, or by words that are in it. */
function isAbout(finding: LintFinding, field: string): boolean {
  const at = readPlace(finding.place).field;
  return at === field || at === 'statement';
}

/** Cuts a text at the ends of all phrases that findings are about; phrases may lie over each other. */
export function markPieces(text: string, field: string, findings: readonly LintFinding[]): Piece[] {
  const spans: { start: number; end: number; finding: LintFinding }[] = [];
  const next = new Map<string, number>();
  for (const finding of findings) {
    const { phrase } = readPlace(finding.place);
    if (phrase === '' || !isAbout(finding, field)) continue;
    // The same words found twice by one rule are its first and its second place.
    const key = `${finding.rule} ${phrase}`;
    const start = indexOf(text, phrase, next.get(key) ?? 0);
    if (start < 0) continue;
    next.set(key, start + phrase.length);
    spans.push({ start, end: start + phrase.length, finding });
  }
  const cuts = [...new Set([0, text.length, ...spans.flatMap((span) => [span.start, span.end])])].toSorted(
    (a, b) => a - b,
  );
  const pieces: Piece[] = [];
  for (const [index, start] of cuts.entries()) {
    const end = cuts[index + 1];
    if (end === undefined) break;
    const about = spans.filter((span) => span.start <= start && span.end >= end).map((span) => span.finding);
    pieces.push({ text: text.slice(start, end), findings: about });
  }
  return pieces;
}

function indexOf(text: string, phrase: string, from: number): number {
  const exact = text.indexOf(phrase, from);
  return exact >= 0 ? exact : text.toLowerCase().indexOf(phrase.toLowerCase(), from);
}

const SEVERITY: Record<string, number> = { error: 0, warning: 1, note: 2 };

/** The gravest first. */
export function bySeverity(findings: readonly LintFinding[]): LintFinding[] {
  return findings.toSorted((a, b) => (SEVERITY[a.severity ?? ''] ?? 3) - (SEVERITY[b.severity ?? ''] ?? 3));
}
