import { expect, test } from 'vitest';
import { isTyping, letterOf } from './keys';

test('letters are found by their place when an input method writes Hangul', () => {
  expect(letterOf({ key: 'g', code: 'KeyG' })).toBe('g');
  expect(letterOf({ key: 'G', code: 'KeyG' })).toBe('g');
  expect(letterOf({ key: 'ㅎ', code: 'KeyG' })).toBe('g');
  expect(letterOf({ key: 'Process', code: 'KeyW' })).toBe('w');
  expect(letterOf({ key: '/', code: 'Slash' })).toBe('');
});

test('fields keep their keys', () => {
  document.body.innerHTML = '<input id="a"><div contenteditable="true"><b id="b"></b></div><button id="c"></button>';
  const at = (id: string) => isTyping(document.getElementById(id));
  expect([at('a'), at('b'), at('c')]).toEqual([true, true, false]);
});
