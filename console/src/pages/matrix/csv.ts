// The matrix as a table for spreadsheets (RFC 4180).
import type { LocalText } from '../../i18n/texts';
import type { Mark, MatrixRow } from './rows';

const HEAD = [
  'requirement',
  'title',
  'priority',
  'verdict',
  'derivedFrom',
  'design',
  'work',
  'criterion',
  'tests',
  'slos',
  'otherChecks',
  'evidence',
  'measured',
];

export function toCsv(rows: readonly MatrixRow[]): string {
  const lines = rows.map((row) => [
    row.name,
    text(row.title),
    row.priority,
    row.verdict ?? '',
    row.parents.join(' '),
    row.design.join(' '),
    row.work.join(' '),
    row.criterion,
    marks(row.tests),
    marks(row.slos),
    marks(row.others),
    row.evidence.join(' '),
    row.measured === undefined ? '' : new Date(row.measured).toISOString(),
  ]);
  // The mark of byte order tells spreadsheets that Korean is UTF-8.
  return `\uFEFF${[HEAD, ...lines].map((line) => line.map(cell).join(',')).join('\r\n')}\r\n`;
}

function marks(all: readonly Mark[]): string {
  return all.map((one) => `${one.label} ${one.outcome ?? ''}`.trim()).join('; ');
}

function text(value: LocalText): string {
  return typeof value === 'string' ? value : (value.ko ?? value.en ?? '');
}

/** A text that a spreadsheet would take for a formula is kept a text. */
function cell(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
