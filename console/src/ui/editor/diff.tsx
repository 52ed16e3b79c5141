// What would change: the text as it is, with what goes and what comes, unchanged parts folded.
import { yaml } from '@codemirror/lang-yaml';
import { MergeView, unifiedMergeView } from '@codemirror/merge';
import { EditorState } from '@codemirror/state';
import { EditorView, lineNumbers } from '@codemirror/view';
import { useMediaQuery } from '@mantine/hooks';
import { useEffect, useRef } from 'react';
import { editorTheme } from './theme';

export function DiffView(props: { label: string; before: string; after: string; height?: string }) {
  const parent = useRef<HTMLDivElement>(null);
  const { label, before, after, height } = props;
  const isWide = useMediaQuery('(min-width: 75em)') === true;
  useEffect(() => {
    if (parent.current === null) return;
    const shared = [
      editorTheme(),
      lineNumbers(),
      yaml(),
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0', role: 'document' }),
    ];
    const collapseUnchanged = { margin: 3, minSize: 5 };
    if (isWide) {
      const merge = new MergeView({
        parent: parent.current,
        a: { doc: before, extensions: shared },
        b: { doc: after, extensions: shared },
        collapseUnchanged,
        gutter: true,
      });
      return () => merge.destroy();
    }
    const view = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: after,
        extensions: [...shared, unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged })],
      }),
    });
    return () => view.destroy();
  }, [label, before, after, isWide]);
  return <div ref={parent} className="maru-editor" style={{ maxHeight: height ?? '60dvh', overflow: 'auto' }} />;
}
