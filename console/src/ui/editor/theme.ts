// The look of all editors, from the theme's variables: one style for both colour schemes.
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { pageNonce } from '../nonce';
import './editor.css';

const look = EditorView.theme({
  '&': { fontSize: '13px', color: 'var(--mantine-color-text)', backgroundColor: 'var(--maru-panel)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mantine-font-family-monospace)', lineHeight: '1.5' },
  '.cm-content': { caretColor: 'var(--mantine-color-text)' },
  '.cm-cursor': { borderLeftColor: 'var(--mantine-color-text)' },
  '.cm-gutters': {
    backgroundColor: 'var(--maru-canvas)',
    color: 'var(--maru-code-comment)',
    borderRight: '1px solid var(--maru-line)',
  },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--mantine-color-text) 5%, transparent)' },
  '.cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--mantine-color-text) 9%, transparent)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in srgb, var(--mantine-primary-color-filled) 35%, transparent)',
  },
  '.cm-selectionMatch': { backgroundColor: 'color-mix(in srgb, var(--mantine-primary-color-filled) 18%, transparent)' },
  '.cm-tooltip': {
    backgroundColor: 'var(--maru-panel)',
    color: 'var(--mantine-color-text)',
    border: '1px solid var(--maru-line)',
    borderRadius: 'var(--mantine-radius-sm)',
    boxShadow: 'var(--mantine-shadow-md)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': {
    fontFamily: 'var(--mantine-font-family-monospace)',
    maxHeight: '16rem',
  },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    backgroundColor: 'var(--mantine-primary-color-filled)',
    color: 'var(--mantine-primary-color-contrast)',
  },
  '.cm-completionDetail': { fontStyle: 'normal', opacity: '0.75' },
  '.cm-panels': { backgroundColor: 'var(--maru-canvas)', color: 'var(--mantine-color-text)' },
  '.cm-textfield': { backgroundColor: 'var(--maru-panel)', color: 'var(--mantine-color-text)' },
  '.cm-button': { backgroundImage: 'none', backgroundColor: 'var(--maru-panel)', color: 'var(--mantine-color-text)' },
  '.cm-foldPlaceholder': { backgroundColor: 'transparent', borderColor: 'var(--maru-line)', color: 'inherit' },
  '.cm-changedLine, .cm-insertedLine': { backgroundColor: 'var(--maru-code-added) !important' },
  '.cm-deletedChunk': { backgroundColor: 'var(--maru-code-removed) !important' },
  '.cm-changedText, ins.cm-insertedLine .cm-changedText': { background: 'var(--maru-code-added-strong) !important' },
  '.cm-deletedText, .cm-deletedChunk .cm-deletedText': { background: 'var(--maru-code-removed-strong) !important' },
  '.cm-collapsedLines': {
    backgroundImage: 'none',
    backgroundColor: 'var(--maru-canvas)',
    color: 'var(--maru-code-comment)',
  },
});

const highlight = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.labelName], color: 'var(--maru-code-name)' },
  { tag: [tags.string, tags.content, tags.special(tags.string)], color: 'var(--maru-code-text)' },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword, tags.typeName], color: 'var(--maru-code-number)' },
  { tag: [tags.comment, tags.meta], color: 'var(--maru-code-comment)' },
]);

/** Colours and fonts, and the nonce for CodeMirror's style elements. */
export function editorTheme(): Extension {
  return [EditorView.cspNonce.of(pageNonce()), look, syntaxHighlighting(highlight)];
}
