// The look: colours that are readable in both schemes (WCAG AA), one radius, system fonts with Korean.
import { CloseButton, type CSSVariablesResolver, createTheme, type MantineThemeOverride } from '@mantine/core';
import { defineTexts, type Language } from '../i18n/texts';

const texts = defineTexts({ close: 'Close' }, { close: '닫기' });

const theme = createTheme({
  primaryColor: 'cyan',
  primaryShade: { light: 9, dark: 4 },
  autoContrast: true,
  luminanceThreshold: 0.35,
  defaultRadius: 'sm',
  cursorType: 'pointer',
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", Roboto, Pretendard, "Apple SD Gothic Neo", "Noto Sans KR", "Noto Sans CJK KR", NanumGothic, "Malgun Gothic", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "D2Coding", "Nanum Gothic Coding", monospace',
  headings: { sizes: { h1: { fontSize: '1.5rem' }, h2: { fontSize: '1.2rem' }, h3: { fontSize: '1.05rem' } } },
});

/** Names for what colours mean; pages use these and no colour of their own. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--maru-good': '#2b7a3d',
    '--maru-bad': '#c92a2a',
    '--maru-warn': '#a15c00',
    '--maru-unknown': '#5c636a',
    '--maru-line': 'var(--mantine-color-gray-3)',
    '--maru-panel': 'var(--mantine-color-white)',
    '--maru-canvas': 'var(--mantine-color-gray-0)',
    '--mantine-color-dimmed': '#5c636a',
  },
  dark: {
    '--maru-good': '#69db7c',
    '--maru-bad': '#ff8787',
    '--maru-warn': '#ffc078',
    '--maru-unknown': '#adb5bd',
    '--maru-line': 'var(--mantine-color-dark-4)',
    '--maru-panel': 'var(--mantine-color-dark-7)',
    '--maru-canvas': 'var(--mantine-color-dark-8)',
    '--mantine-color-dimmed': '#adb5bd',
  },
});

/** The theme with the words that its parts have of their own: every close button has a name. */
export function themeFor(language: Language): MantineThemeOverride {
  return {
    ...theme,
    components: {
      ...theme.components,
      CloseButton: CloseButton.extend({ defaultProps: { ...{ 'aria-label': texts[language].close } } }),
    },
  };
}
