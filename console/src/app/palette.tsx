// Ctrl-K or `:` opens what leads to every page, kind, object and action; other keys go straight there. Parts of pages add actions
// while they are shown. The dialog itself is loaded when it is first opened.
import { lazy, Suspense, useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { useKinds } from '../api/discovery';
import { useSession } from '../api/session';
import { isComposing, isTyping, letterOf } from '../lib/keys';
import { remember } from '../lib/recent';
import { paths } from '../paths';
import { pages, type TextName } from './navigation';

export interface PaletteAction {
  id: string;
  label: string;
  description?: string;
  act: () => void;
}

export type Dialog = { kind: 'palette'; query: string } | { kind: 'keys' } | undefined;

let dialog: Dialog;
let offered: readonly PaletteAction[] = [];
const listeners = new Set<() => void>();

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function show(next: Dialog): void {
  dialog = next;
  tell();
}

/** Opens the palette, with something typed already: `:po`. */
export function openPalette(query = ''): void {
  show({ kind: 'palette', query });
}

/** Offers actions in the palette while the calling part is shown. Memoise the list. */
export function usePaletteActions(actions: readonly PaletteAction[]): void {
  useEffect(() => {
    offered = [...offered, ...actions];
    tell();
    return () => {
      offered = offered.filter((one) => !actions.includes(one));
      tell();
    };
  }, [actions]);
}

/** `g` and then this letter goes to a page. */
export const GO_KEYS: Partial<Record<TextName, string>> = {
  home: 'h',
  requirements: 'r',
  matrix: 'm',
  analysis: 'c',
  gates: 'g',
  evidence: 'e',
  documents: 'd',
  topology: 't',
  workloads: 'w',
  logs: 'l',
  objectives: 'o',
  explore: 'x',
  boards: 'b',
  alerts: 'a',
  settings: 's',
};
/** How long `g` waits for its letter. */
const CHORD_MS = 1_500;
/** A page has its title by then. */
const TITLED_MS = 800;

const load = () => import('./palette-dialog');
const PaletteDialog = lazy(() => load().then((part) => ({ default: part.PaletteDialog })));
const KeysDialog = lazy(() => load().then((part) => ({ default: part.KeysDialog })));

export function Palette() {
  const shown = useSyncExternalStore(subscribe, () => dialog);
  const here = useSyncExternalStore(subscribe, () => offered);
  useKeys();
  useRecent();
  const close = () => show(undefined);
  return (
    <Suspense fallback={null}>
      {shown?.kind === 'palette' && <PaletteDialog query={shown.query} here={here} close={close} />}
      {shown?.kind === 'keys' && <KeysDialog close={close} />}
    </Suspense>
  );
}

/** The pages that this Maru has and that have a key, by the key. */
export function useGoTargets(): ReadonlyMap<string, { label: TextName; href: string }> {
  const kinds = useKinds();
  const session = useSession();
  return useMemo(() => {
    const entries = pages.filter((page) => page.needs({ kinds, session })).flatMap((page) => page.entry ?? []);
    return new Map(entries.flatMap((entry) => (GO_KEYS[entry.label] ? [[GO_KEYS[entry.label] ?? '', entry]] : [])));
  }, [kinds, session]);
}

function useKeys(): void {
  const navigate = useNavigate();
  const targets = useGoTargets();
  const chord = useRef(0);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || isComposing(event)) return;
      // In a terminal every key is the terminal's.
      if (event.target instanceof Element && event.target.closest('.xterm')) return;
      const act = (what: () => void) => {
        event.preventDefault();
        what();
      };
      const modified = event.ctrlKey || event.metaKey;
      if (modified && !event.altKey && !event.shiftKey && letterOf(event) === 'k') return act(() => openPalette());
      if (
        dialog?.kind === 'palette' &&
        event.key.length === 1 &&
        !modified &&
        !document.getElementById('palette-list')
      ) {
        // Typed while the dialog is on its way: it finds this in its field.
        return act(() => openPalette((dialog?.kind === 'palette' ? dialog.query : '') + event.key));
      }
      if (modified || event.altKey || isTyping(event.target) || dialog !== undefined) return;
      // What lies under a dialog does not hear keys.
      if (document.querySelector('[role="dialog"], [role="alertdialog"], [role="menu"]')) return;
      const letter = letterOf(event);
      const isChord = event.timeStamp - chord.current < CHORD_MS;
      chord.current = 0;
      if (isChord && targets.has(letter)) return act(() => void navigate(targets.get(letter)?.href ?? paths.home()));
      if (event.key === ':') return act(() => openPalette(':'));
      if (event.key === '?') return act(() => show({ kind: 'keys' }));
      if (event.key === '/') {
        const filter = document.querySelector<HTMLElement>('#content [data-filter]');
        if (filter) act(() => filter.focus());
      } else if (letter === 'g' && !event.shiftKey) {
        chord.current = event.timeStamp;
      } else if (letter === 'c' && !event.shiftKey) {
        act(() => void navigate(paths.create()));
      }
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [navigate, targets]);
}

/** Remembers where somebody was, by the title that the page gave itself. */
function useRecent(): void {
  const location = useLocation();
  useEffect(() => {
    const timer = setTimeout(() => {
      const title = document.title.replace(/ · Maru$/, '');
      if (title !== 'Maru') remember({ href: location.pathname + location.search, label: title });
    }, TITLED_MS);
    return () => clearTimeout(timer);
  }, [location.pathname, location.search]);
}
