// How well a text fits what somebody types: whole words before parts, and Korean also by its initial consonants (ㅇㄱㅅㅎ finds 요구사항).

const INITIALS = 'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ';
const SYLLABLE_FIRST = 0xac00;
const SYLLABLE_LAST = 0xd7a3;
const SYLLABLES_PER_INITIAL = 588;

/** 요구사항 → ㅇㄱㅅㅎ; all else stays. */
export function initials(text: string): string {
  let out = '';
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    const syllable = code >= SYLLABLE_FIRST && code <= SYLLABLE_LAST;
    out += syllable ? (INITIALS[Math.floor((code - SYLLABLE_FIRST) / SYLLABLES_PER_INITIAL)] ?? letter) : letter;
  }
  return out;
}

/** The words of what somebody typed. */
export function wordsOf(query: string): string[] {
  return query.normalize('NFC').toLowerCase().split(/\s+/).filter(Boolean);
}

/**
 * How well a text has all words; 0 when one is missing. A text that is the word is best, then one that begins with it,
 * then one in which a word begins with it.
 */
export function score(text: string, words: readonly string[]): number {
  const low = text.normalize('NFC').toLowerCase();
  let sum = 0;
  for (const word of words) {
    const one = scoreWord(low, word) || (isInitials(word) ? scoreWord(initials(low), word) : 0);
    if (one === 0) return 0;
    sum += one;
  }
  return words.length === 0 ? 1 : sum / words.length;
}

function isInitials(word: string): boolean {
  return [...word].every((letter) => INITIALS.includes(letter));
}

function scoreWord(text: string, word: string): number {
  const at = text.indexOf(word);
  if (at < 0) return 0;
  if (text.length === word.length) return 100;
  // A short text that begins with the word is nearer to it than a long one.
  const near = 10 * (word.length / text.length);
  if (at === 0) return 70 + near;
  for (let from = at; from >= 0; from = text.indexOf(word, from + 1)) {
    if (/[\s\-_./:()]/.test(text[from - 1] ?? ' ')) return 50 + near;
  }
  return 20 + near;
}
