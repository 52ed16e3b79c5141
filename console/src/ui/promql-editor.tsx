// An editor for queries: PromQL with completion from the server, mistakes at their place, Enter to run.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { setDiagnostics } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { useEffect, useRef } from 'react';
import { completionClient, errorPlace } from '../api/prometheus';
import { editorTheme } from './editor/theme';

const highlight = HighlightStyle.define([
  { tag: [tags.function(tags.variableName), tags.keyword, tags.modifier], color: 'var(--maru-code-number)' },
  { tag: tags.labelName, color: 'var(--maru-code-name)' },
]);

export function PromqlEditor(props: {
  /** What is edited, for people who cannot see it. */
  label: string;
  value: string;
  onChange: (value: string) => void;
  /** Enter. */
  onRun: () => void;
  /** What the server said about this very text. */
  error?: string | undefined;
  placeholder?: string;
  autoFocus?: boolean;
}) {
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const { label, value, error } = props;

  useEffect(() => {
    if (parent.current === null) return;
    const promql = new PromQLExtension().setComplete({ remote: completionClient }).activateLinter(true);
    const made = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          editorTheme(),
          syntaxHighlighting(highlight),
          EditorView.theme({
            '.cm-content': { padding: '6px 0' },
            '.cm-scroller': { maxHeight: '12rem', overflow: 'auto' },
          }),
          EditorView.lineWrapping,
          drawSelection(),
          history(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false }),
          promql.asExtension(),
          placeholder(latest.current.placeholder ?? ''),
          EditorView.contentAttributes.of({ 'aria-label': label, 'aria-multiline': 'false' }),
          Prec.high(
            keymap.of([
              // An open completion takes Enter first.
              ...completionKeymap,
              {
                key: 'Enter',
                run: () => {
                  latest.current.onRun();
                  return true;
                },
                shift: insertNewlineAndIndent,
              },
            ]),
          ),
          keymap.of([...closeBracketsKeymap, ...historyKeymap, ...defaultKeymap]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    if (latest.current.autoFocus === true) made.focus();
    return () => {
      promql.destroy();
      made.destroy();
    };
  }, [label]);

  useEffect(() => {
    const editor = view.current;
    if (editor === undefined || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (editor === undefined) return;
    const place = error === undefined ? undefined : errorPlace(error, editor.state.doc.toString());
    editor.dispatch(
      setDiagnostics(
        editor.state,
        place === undefined || error === undefined ? [] : [{ ...place, severity: 'error', message: error }],
      ),
    );
  }, [error]);

  return <div ref={parent} className="maru-editor" />;
}
