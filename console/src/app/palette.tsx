// Ctrl-K or `:` opens what leads to every page, kind, object and action. Parts of pages add actions while they are shown.
import { Spotlight, type SpotlightActionData, spotlight } from '@mantine/spotlight';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { useNavigate } from 'react-router';
import { useKinds } from '../api/discovery';
import { useSession } from '../api/session';
import { defineTexts, useTexts } from '../i18n/texts';
import { paths, resourceName } from '../paths';
import { navigationTexts, pages } from './navigation';

const texts = defineTexts(
  {
    search: 'A page, a kind, an object or an action…',
    nothing: 'Nothing found.',
    pages: 'Pages',
    kinds: 'Kinds',
    here: 'On this page',
  },
  {
    search: '페이지, 종류, 객체 또는 동작…',
    nothing: '찾은 것이 없습니다.',
    pages: '페이지',
    kinds: '종류',
    here: '이 페이지에서',
  },
);

export function openPalette(): void {
  spotlight.open();
}

export interface PaletteAction {
  id: string;
  label: string;
  description?: string;
  act: () => void;
}

let offered: readonly PaletteAction[] = [];
const listeners = new Set<() => void>();

function offer(change: (actions: readonly PaletteAction[]) => readonly PaletteAction[]): void {
  offered = change(offered);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Offers actions in the palette while the calling part is shown. Memoise the list. */
export function usePaletteActions(actions: readonly PaletteAction[]): void {
  useEffect(() => {
    offer((before) => [...before, ...actions]);
    return () => offer((before) => before.filter((one) => !actions.includes(one)));
  }, [actions]);
}

export function Palette() {
  const t = useTexts(texts);
  const names = useTexts(navigationTexts);
  const navigate = useNavigate();
  const kinds = useKinds();
  const session = useSession();
  const [query, setQuery] = useState('');
  const here = useSyncExternalStore(subscribe, () => offered);
  const groups = useMemo(() => {
    const toPages: SpotlightActionData[] = pages
      .filter((page) => page.needs({ kinds, session }))
      .flatMap((page) => page.entry ?? [])
      .map((entry) => ({
        id: `page ${entry.href}`,
        label: names[entry.label],
        onClick: () => void navigate(entry.href),
      }));
    const toKinds: SpotlightActionData[] = kinds.all
      .filter((kind) => kind.verbs.includes('list'))
      .map((kind) => ({
        id: `kind ${resourceName(kind)}`,
        label: kind.kind,
        description: [resourceName(kind), ...kind.shortNames].join(' '),
        keywords: [...kind.shortNames],
        onClick: () => void navigate(paths.kind(kind)),
      }));
    const onPage: SpotlightActionData[] = here.map((action) => ({
      id: `here ${action.id}`,
      label: action.label,
      ...(action.description === undefined ? {} : { description: action.description }),
      onClick: action.act,
    }));
    return [
      { group: t.here, actions: onPage },
      { group: t.pages, actions: toPages },
      { group: t.kinds, actions: toKinds },
    ].filter((group) => group.actions.length > 0);
  }, [kinds, session, names, navigate, here, t]);
  return (
    <Spotlight
      actions={groups}
      query={query}
      onQueryChange={setQuery}
      shortcut={['mod + K', ':']}
      nothingFound={t.nothing}
      highlightQuery
      scrollable
      limit={12}
      maxHeight={420}
      searchProps={{ leftSection: <IconSearch size={16} aria-hidden />, placeholder: t.search, 'aria-label': t.search }}
    />
  );
}
