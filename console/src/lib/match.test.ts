import { expect, test } from 'vitest';
import { initials, score, wordsOf } from './match';

const rank = (query: string, texts: string[]) =>
  texts
    .map((text) => ({ text, score: score(text, wordsOf(query)) }))
    .filter((one) => one.score > 0)
    .sort((a, b) => b.score - a.score)
    .map((one) => one.text);

test('whole words before beginnings before parts', () => {
  expect(rank('orders', ['my-orders', 'reorders', 'orders-db', 'orders'])).toEqual([
    'orders',
    'orders-db',
    'my-orders',
    'reorders',
  ]);
});

test('all words must be there, in any order', () => {
  expect(rank('shop pod', ['Pods in shop', 'Pods in bank'])).toEqual(['Pods in shop']);
  expect(rank('  ', ['a'])).toEqual(['a']);
});

test('Korean by its initial consonants, and in the form that other systems write', () => {
  expect(initials('요구사항 nfr-007')).toBe('ㅇㄱㅅㅎ nfr-007');
  expect(rank('ㅇㄱ', ['요구사항', '추적표'])).toEqual(['요구사항']);
  expect(rank('요구'.normalize('NFD'), ['요구사항'])).toEqual(['요구사항']);
});
