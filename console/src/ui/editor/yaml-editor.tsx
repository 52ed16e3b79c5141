// An editor for YAML of Kubernetes: completion and hover from the server's schemas, problems at their line.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit } from '@codemirror/language';
import { type Diagnostic, linter, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  hoverTooltip,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { useEffect, useRef } from 'react';
import { defineTexts, useTexts } from '../../i18n/texts';
import { type CheckTexts, check, completions, hover, type SchemaSource } from './complete';
import { editorTheme } from './theme';

const texts = defineTexts(
  {
    unknown: (name: string) => `The server knows no field “${name}” here.`,
    type: (expected: string) => `Must be of type ${expected}.`,
    oneOf: (values: string) => `Must be one of ${values}.`,
    missing: (name: string) => `“${name}” is required.`,
  },
  {
    unknown: (name: string) => `서버가 알지 못하는 필드입니다: “${name}”`,
    type: (expected: string) => `${expected} 형식이어야 합니다.`,
    oneOf: (values: string) => `다음 중 하나여야 합니다: ${values}`,
    missing: (name: string) => `“${name}” 필드가 필요합니다.`,
  },
);

export interface YamlEditorProps {
  /** What is edited, for people who cannot see it. */
  label: string;
  value: string;
  /** Absent: the text is only read. */
  onChange?: (value: string) => void;
  /** Problems that the server told of, beside those that the editor finds. Offsets are those of `value`. */
  problems?: readonly Diagnostic[];
  schemas?: SchemaSource | undefined;
  /** Ctrl-Enter and Ctrl-S. */
  onSubmit?: () => void;
  height?: string;
}

export function YamlEditor(props: YamlEditorProps) {
  const t = useTexts(texts);
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const words = useRef<CheckTexts>(t);
  words.current = t;
  const readOnly = props.onChange === undefined;
  const { label, height, schemas, value, problems } = props;

  useEffect(() => {
    if (parent.current === null) return;
    const submit = () => {
      latest.current.onSubmit?.();
      return true;
    };
    const own = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          editorTheme(),
          EditorView.theme({
            '&': { height: height ?? 'auto' },
            '.cm-scroller': { minHeight: height === undefined ? '6rem' : 'auto' },
          }),
          lineNumbers(),
          foldGutter(),
          drawSelection(),
          bracketMatching(),
          highlightSelectionMatches(),
          search({ top: true }),
          yaml(),
          EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
          keymap.of([
            { key: 'Mod-Enter', run: submit, preventDefault: true },
            { key: 'Mod-s', run: submit, preventDefault: true },
            ...closeBracketsKeymap,
            ...completionKeymap,
            ...lintKeymap,
            ...searchKeymap,
            ...foldKeymap,
            ...historyKeymap,
            ...defaultKeymap,
            indentWithTab,
          ]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange?.(update.state.doc.toString());
          }),
          readOnly
            ? [EditorState.readOnly.of(true)]
            : [
                history(),
                indentUnit.of('  '),
                indentOnInput(),
                closeBrackets(),
                highlightActiveLine(),
                highlightActiveLineGutter(),
                lintGutter(),
                linter((editor) => check(editor.state.doc.toString(), schemas, words.current), { delay: 400 }),
              ],
          schemas === undefined
            ? []
            : [
                hoverTooltip(hover(schemas)),
                readOnly ? [] : autocompletion({ override: [completions(schemas)], icons: false }),
              ],
        ],
      }),
    });
    view.current = own;
    return () => own.destroy();
  }, [label, height, schemas, readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (editor === undefined) return;
    const change = difference(editor.state.doc.toString(), value);
    if (change !== undefined) editor.dispatch({ changes: change });
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    const first = problems?.[0];
    if (editor === undefined || problems === undefined || first === undefined) return;
    const end = editor.state.doc.length;
    const kept = problems.map((one) => ({ ...one, from: Math.min(one.from, end), to: Math.min(one.to, end) }));
    editor.dispatch(setDiagnostics(editor.state, kept));
    editor.dispatch({ effects: EditorView.scrollIntoView(Math.min(first.from, end), { y: 'center' }) });
  }, [problems]);

  return <div ref={parent} className="maru-editor" />;
}

/** The one stretch that makes one text of the other: cursor and scrolling stay where they are. */
function difference(before: string, after: string): { from: number; to: number; insert: string } | undefined {
  if (before === after) return undefined;
  let from = 0;
  const shorter = Math.min(before.length, after.length);
  while (from < shorter && before[from] === after[from]) from += 1;
  let same = 0;
  while (same < shorter - from && before[before.length - 1 - same] === after[after.length - 1 - same]) same += 1;
  return { from, to: before.length - same, insert: after.slice(from, after.length - same) };
}
