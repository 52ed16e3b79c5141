import { expect, test } from 'vitest';
import type { LintFinding } from '../../api/maru';
import { bySeverity, markPieces, readPlace, sentences } from './marks';

const finding = (rule: string, place: string, severity = 'warning'): LintFinding => ({ rule, place, severity });

test('places', () => {
  expect(readPlace('statement.en: "as fast as possible"')).toEqual({
    field: 'statement.en',
    phrase: 'as fast as possible',
  });
  expect(readPlace('criterion.atMost')).toEqual({ field: 'criterion.atMost', phrase: '' });
  expect(readPlace(undefined)).toEqual({ field: '', phrase: '' });
  expect(readPlace('statement: "a "quoted": word"').phrase).toBe('a "quoted": word');
});

test('a statement in two languages is two sentences', () => {
  expect(sentences('One.')).toEqual([{ field: 'statement', language: undefined, text: 'One.' }]);
  expect(sentences({ en: 'One.', ko: '하나.' }).map((one) => one.field)).toEqual(['statement.ko', 'statement.en']);
  expect(sentences({ en: 'One.', ko: '' })).toHaveLength(1);
});

test('words are marked where they are', () => {
  const vague = finding('vague-word', 'statement.en: "quickly"');
  const pieces = markPieces('It answers quickly.', 'statement.en', [vague, finding('x', 'statement.ko: "answers"')]);
  expect(pieces).toEqual([
    { text: 'It answers ', findings: [] },
    { text: 'quickly', findings: [vague] },
    { text: '.', findings: [] },
  ]);
});

test('marks over each other, and the same words twice', () => {
  const whole = finding('and-or', 'statement: "fast and easy"');
  const word = finding('vague-word', 'statement: "easy"');
  const again = finding('vague-word', 'statement: "easy"');
  const pieces = markPieces('fast and easy, so easy', 'statement', [whole, word, again]);
  expect(pieces.map((piece) => [piece.text, piece.findings.length])).toEqual([
    ['fast and ', 1],
    ['easy', 2],
    [', so ', 0],
    ['easy', 1],
  ]);
  expect(pieces.map((piece) => piece.text).join('')).toBe('fast and easy, so easy');
});

test('words that are not there, and other letters', () => {
  expect(markPieces('하나', 'statement', [finding('a', 'statement: "둘"')])).toEqual([{ text: '하나', findings: [] }]);
  expect(markPieces('Easy', 'statement', [finding('a', 'statement: "easy"')])[0]?.findings).toHaveLength(1);
  expect(markPieces('', 'statement', [])).toEqual([]);
});

test('the gravest first', () => {
  const order = bySeverity([finding('a', '', 'note'), finding('b', '', 'error'), finding('c', '', 'warning')]);
  expect(order.map((one) => one.rule)).toEqual(['b', 'c', 'a']);
});
