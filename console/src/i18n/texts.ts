// Texts in English and Korean. A page keeps its texts beside itself; the types refuse a missing translation.
import { usePreferences } from './preferences';

export type Language = 'en' | 'ko';

type Text = string | ((...values: never[]) => string);
type Translated<T> = { readonly [Name in keyof T]: T[Name] extends string ? string : T[Name] };

export interface Texts<T> {
  readonly en: Translated<T>;
  readonly ko: Translated<T>;
}

/** `defineTexts({ title: 'Pods', many: (n: number) => `${n} pods` }, { title: '파드', many: (n) => `파드 ${n}개` })` */
export function defineTexts<T extends Record<string, Text>>(en: T, ko: Translated<NoInfer<T>>): Texts<T> {
  return { en: en as Translated<T>, ko };
}

export function useTexts<T>(texts: Texts<T>): Translated<T> {
  return texts[usePreferences().language];
}

/** A text that the API gives in both languages, or in one. */
export type LocalText = string | { en?: string | undefined; ko?: string | undefined };

export function pickText(text: LocalText | undefined, language: Language): string {
  if (text === undefined || typeof text === 'string') return text ?? '';
  return text[language] ?? text.en ?? text.ko ?? '';
}

export function useLocalText(): (text: LocalText | undefined) => string {
  const { language } = usePreferences();
  return (text) => pickText(text, language);
}
