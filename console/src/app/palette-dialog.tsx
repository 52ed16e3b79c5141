// The palette itself, and the list of keys. Objects are asked for by their metadata while the dialog is open, and kept no longer.
import {
  Badge,
  Kbd,
  Modal,
  ScrollArea,
  Table,
  Text,
  TextInput,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { type KeyboardEvent, useDeferredValue, useEffect, useMemo, useState } from 'react';
import { useNavigate } from 'react-router';
import { type Kind, type Kinds, useKinds } from '../api/discovery';
import type { Requirement } from '../api/maru';
import { useMetadata, useObjects } from '../api/objects';
import { logout, useSession } from '../api/session';
import type { KubernetesObject } from '../api/types';
import { setPreferences, usePreferences } from '../i18n/preferences';
import { defineTexts, pickText, useTexts } from '../i18n/texts';
import { score, wordsOf } from '../lib/match';
import { recent } from '../lib/recent';
import { paths, resourceName } from '../paths';
import '@mantine/core/styles/Kbd.layer.css';
import '@mantine/core/styles/Modal.layer.css';
import '@mantine/core/styles/Table.layer.css';
import { navigationTexts, pages } from './navigation';
import { GO_KEYS, type PaletteAction, useGoTargets } from './palette';
import classes from './palette.module.css';

const texts = defineTexts(
  {
    title: 'Go to, or do',
    search: 'A page, an object or an action… or :pods shop',
    nothing: 'Nothing found.',
    recent: 'Recent',
    here: 'On this page',
    pages: 'Pages',
    objects: 'Objects',
    kinds: 'Kinds',
    actions: 'Actions',
    in: (kind: string, namespace: string) => `${kind} in ${namespace}`,
    all: (kind: string) => `${kind}, all namespaces`,
    loading: 'Still reading names…',
    results: (n: number) => (n === 1 ? '1 result' : `${n} results`),
    toDark: 'Dark colours',
    toLight: 'Light colours',
    toOther: '한국어로 보기',
    create: 'Create objects',
    copy: 'Copy the link to this page',
    logout: 'Log out',
    move: 'move',
    open: 'open',
    tab: 'open in a new tab',
    close: 'close',
    keys: 'Keys',
    anywhere: 'Anywhere',
    lists: 'In lists',
    goTo: 'Go to',
    palette: 'Find and do anything',
    kindsKey: 'Jump to a kind: :po, :deploy shop',
    filter: 'Filter the list',
    help: 'These keys',
    next: 'Next row, previous row',
    openRow: 'Open the row',
    clear: 'Clear the filter',
  },
  {
    title: '이동 및 실행',
    search: '페이지, 객체, 동작 검색… 또는 :pods shop',
    nothing: '검색 결과가 없습니다.',
    recent: '최근 방문',
    here: '현재 페이지',
    pages: '페이지',
    objects: '객체',
    kinds: '종류',
    actions: '동작',
    in: (kind: string, namespace: string) => `${namespace}의 ${kind}`,
    all: (kind: string) => `${kind}, 전체 네임스페이스`,
    loading: '이름을 읽는 중…',
    results: (n: number) => `결과 ${n}개`,
    toDark: '다크 모드',
    toLight: '라이트 모드',
    toOther: 'View in English',
    create: '객체 만들기',
    copy: '이 페이지의 링크 복사',
    logout: '로그아웃',
    move: '이동',
    open: '열기',
    tab: '새 탭에서 열기',
    close: '닫기',
    keys: '단축키',
    anywhere: '모든 화면',
    lists: '목록',
    goTo: '바로 가기',
    palette: '검색 및 명령',
    kindsKey: '종류로 이동: :po, :deploy shop',
    filter: '목록 필터',
    help: '단축키 보기',
    next: '다음 행, 이전 행',
    openRow: '행 열기',
    clear: '필터 지우기',
  },
);

interface Choice {
  id: string;
  label: string;
  /** What kind of object, or where. */
  detail?: string | undefined;
  badge?: string | undefined;
  keys?: string | undefined;
  href?: string;
  act?: () => void;
  score: number;
}

interface Section {
  title: string;
  choices: Choice[];
}

/** The kinds whose objects are found by name; any other kind by `:kind name`. */
const FOUND_KINDS = [
  'projects.maru.dev',
  'servicelevelobjectives.maru.dev',
  'boards.maru.dev',
  'deployments.apps',
  'statefulsets.apps',
  'daemonsets.apps',
  'jobs.batch',
  'cronjobs.batch',
  'services.',
  'ingresses.networking.k8s.io',
  'pods.',
  'configmaps.',
  'namespaces.',
] as const;
const SECTION_MAX = 8;
const OBJECTS_MAX = 20;

export function PaletteDialog(props: { query: string; here: readonly PaletteAction[]; close: () => void }) {
  const t = useTexts(texts);
  const navigate = useNavigate();
  const [query, setQuery] = useState(props.query);
  const [at, setAt] = useState(0);
  const asked = useDeferredValue(query);
  const kinds = useKinds();
  const general = useGeneral(asked, props.here);
  const ofKind = useOfKind(kinds, asked);
  const { sections, loading } = asked.startsWith(':') ? ofKind : general;
  const choices = sections.flatMap((section) => section.choices);
  const chosen = choices[Math.min(at, choices.length - 1)];
  useEffect(() => {
    const option = chosen && document.getElementById(optionId(chosen));
    option?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);

  const take = (choice: Choice | undefined, elsewhere: boolean) => {
    if (choice === undefined) return;
    if (choice.href !== undefined && elsewhere) {
      window.open(choice.href, '_blank', 'noopener');
      return;
    }
    props.close();
    if (choice.href !== undefined) void navigate(choice.href);
    choice.act?.();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || event.nativeEvent.keyCode === 229) return;
    const to = (index: number) => {
      event.preventDefault();
      setAt(Math.max(0, Math.min(choices.length - 1, index)));
    };
    const place = Math.min(at, choices.length - 1);
    if (event.key === 'ArrowDown' || (event.ctrlKey && event.key === 'n'))
      to(place === choices.length - 1 ? 0 : place + 1);
    else if (event.key === 'ArrowUp' || (event.ctrlKey && event.key === 'p'))
      to(place <= 0 ? choices.length - 1 : place - 1);
    else if (event.key === 'PageDown') to(place + 8);
    else if (event.key === 'PageUp') to(place - 8);
    else if (event.key === 'Enter') {
      event.preventDefault();
      take(chosen, event.ctrlKey || event.metaKey);
    }
  };
  return (
    <Modal.Root opened onClose={props.close} size={640} yOffset="10dvh" transitionProps={{ duration: 0 }}>
      <Modal.Overlay backgroundOpacity={0.35} />
      <Modal.Content aria-label={t.title} radius="md">
        <TextInput
          variant="unstyled"
          size="md"
          px="md"
          py={4}
          className={classes.search ?? ''}
          leftSection={<IconSearch size={16} aria-hidden />}
          leftSectionWidth={44}
          placeholder={t.search}
          aria-label={t.search}
          role="combobox"
          aria-expanded={choices.length > 0}
          aria-controls="palette-list"
          aria-activedescendant={chosen && optionId(chosen)}
          aria-autocomplete="list"
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          value={query}
          onChange={(event) => {
            setQuery(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={onKey}
        />
        <ScrollArea.Autosize mah="min(26rem, 60dvh)" type="auto">
          <div id="palette-list" role="listbox" aria-label={t.title} className={classes.list}>
            {sections.map((section) => (
              <div key={section.title} role="group" aria-label={section.title}>
                <div className={classes.title} aria-hidden>
                  {section.title}
                </div>
                {section.choices.map((choice) => (
                  // biome-ignore lint/a11y/useKeyWithClickEvents: keys are heard by the field that has the focus
                  <div
                    key={choice.id}
                    id={optionId(choice)}
                    role="option"
                    tabIndex={-1}
                    aria-selected={choice === chosen}
                    className={classes.option}
                    onClick={(event) => take(choice, event.ctrlKey || event.metaKey)}
                    onMouseMove={() => setAt(choices.indexOf(choice))}
                  >
                    <span className={classes.label}>{choice.label}</span>
                    <span className={classes.detail}>{choice.detail}</span>
                    {choice.badge !== undefined && (
                      <Badge size="sm" variant="default" tt="none" fw={500}>
                        {choice.badge}
                      </Badge>
                    )}
                    {choice.keys !== undefined && <Kbd size="xs">{choice.keys}</Kbd>}
                  </div>
                ))}
              </div>
            ))}
          </div>
          {choices.length === 0 && (
            <Text p="lg" ta="center" c="dimmed">
              {loading ? t.loading : t.nothing}
            </Text>
          )}
        </ScrollArea.Autosize>
        <div className={classes.foot}>
          <span>
            <Kbd size="xs">↑</Kbd> <Kbd size="xs">↓</Kbd> {t.move}
          </span>
          <span>
            <Kbd size="xs">Enter</Kbd> {t.open}
          </span>
          <span>
            <Kbd size="xs">Ctrl Enter</Kbd> {t.tab}
          </span>
          <span>
            <Kbd size="xs">Esc</Kbd> {t.close}
          </span>
          <span role="status" className={classes.count}>
            {t.results(choices.length)}
          </span>
        </div>
      </Modal.Content>
    </Modal.Root>
  );
}

function optionId(choice: Choice): string {
  return `palette-${choice.id.replace(/\s/g, '-')}`;
}

interface Answer {
  sections: Section[];
  loading: boolean;
}

/** Pages, actions, recent places, and the objects of the kinds that people look for most. */
function useGeneral(query: string, here: readonly PaletteAction[]): Answer {
  const t = useTexts(texts);
  const names = useTexts(navigationTexts);
  const kinds = useKinds();
  const session = useSession();
  const actions = useActions();
  const { objects, loading } = useFoundObjects(kinds, !query.startsWith(':'));
  return useMemo(() => {
    const words = wordsOf(query);
    const rate = <T extends Omit<Choice, 'score'>>(choices: readonly T[], text: (one: T) => string, max: number) =>
      choices
        .map((one): Choice => ({ ...one, score: Math.max(score(one.label, words), score(text(one), words) * 0.9) }))
        .filter((one) => one.score > 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, max);
    const plain = (one: Omit<Choice, 'score'>) => [one.label, one.detail, one.badge].filter(Boolean).join(' ');
    const toPages = pages
      .filter((page) => page.needs({ kinds, session }))
      .flatMap((page) => page.entry ?? [])
      .map((entry) => {
        const keys = GO_KEYS[entry.label];
        return { id: `page ${entry.href}`, label: names[entry.label], keys: keys && `g ${keys}`, href: entry.href };
      });
    const toKinds = kinds.all
      .filter((kind) => kind.verbs.includes('list'))
      .map((kind) => ({
        id: `kind ${resourceName(kind)}`,
        label: kind.kind,
        detail: [resourceName(kind), ...kind.shortNames].join(' '),
        href: paths.kind(kind),
      }));
    const onPage = here.map((action) => ({
      id: `here ${action.id}`,
      label: action.label,
      detail: action.description,
      act: action.act,
    }));
    const lately = recent().map((visit) => ({
      id: `recent ${visit.href}`,
      label: visit.label,
      detail: visit.href,
      href: visit.href,
    }));
    const sections =
      words.length === 0
        ? [
            { title: t.here, choices: rate(onPage, plain, SECTION_MAX) },
            { title: t.recent, choices: rate(lately.slice(0, 6), plain, SECTION_MAX) },
            { title: t.pages, choices: rate(toPages, plain, 99) },
            { title: t.actions, choices: rate(actions, plain, SECTION_MAX) },
          ]
        : [
            { title: t.here, choices: rate(onPage, plain, SECTION_MAX) },
            { title: t.pages, choices: rate(toPages, plain, SECTION_MAX) },
            { title: t.objects, choices: rate(objects, plain, OBJECTS_MAX) },
            { title: t.actions, choices: rate(actions, plain, SECTION_MAX) },
            { title: t.kinds, choices: rate(toKinds, plain, SECTION_MAX) },
          ];
    const filled = sections.filter((section) => section.choices.length > 0);
    // What fits best comes first; without words the order is that of sections.
    const best = (section: Section) => section.choices[0]?.score ?? 0;
    return { sections: words.length === 0 ? filled : filled.sort((a, b) => best(b) - best(a)), loading };
  }, [query, t, names, kinds, session, actions, here, objects, loading]);
}

function useActions(): Omit<Choice, 'score'>[] {
  const t = useTexts(texts);
  const { language } = usePreferences();
  const scheme = useComputedColorScheme('light');
  const { setColorScheme } = useMantineColorScheme();
  return useMemo(
    () => [
      { id: 'act create', label: t.create, keys: 'c', href: paths.create() },
      {
        id: 'act scheme',
        label: scheme === 'dark' ? t.toLight : t.toDark,
        act: () => setColorScheme(scheme === 'dark' ? 'light' : 'dark'),
      },
      {
        id: 'act language',
        label: t.toOther,
        act: () => setPreferences({ language: language === 'en' ? 'ko' : 'en' }),
      },
      { id: 'act copy', label: t.copy, act: () => void navigator.clipboard?.writeText(window.location.href) },
      { id: 'act logout', label: t.logout, act: () => void logout() },
    ],
    [t, scheme, setColorScheme, language],
  );
}

function objectChoice(kind: Kind, object: KubernetesObject, title = ''): Omit<Choice, 'score'> {
  const { namespace, name, uid } = object.metadata;
  return {
    id: `object ${uid}`,
    label: name,
    detail: [title, namespace].filter(Boolean).join(' · '),
    badge: kind.kind,
    href: objectHref(kind, namespace, name),
  };
}

/** Kinds with a page of their own are shown there. */
function objectHref(kind: Kind, namespace: string | undefined, name: string): string {
  const own = namespace ?? '';
  switch (resourceName(kind)) {
    case 'requirements.maru.dev':
      return paths.requirement(own, name);
    case 'projects.maru.dev':
      return paths.requirements(own);
    case 'evidence.maru.dev':
      return paths.evidence(own, name);
    case 'servicelevelobjectives.maru.dev':
      return paths.objective(own, name);
    default:
      return paths.object(kind, namespace, name);
  }
}

function useFoundObjects(kinds: Kinds, wanted: boolean): { objects: Omit<Choice, 'score'>[]; loading: boolean } {
  const { language } = usePreferences();
  const requirementKind = wanted ? kinds.find('requirements.maru.dev') : undefined;
  const requirements = useObjects<Requirement>(requirementKind);
  // The list of kinds never changes, and so neither does the number of hooks.
  const lists = FOUND_KINDS.map((name) => {
    const kind = wanted ? kinds.find(name) : undefined;
    // biome-ignore lint/correctness/useHookAtTopLevel: once for each of a constant list
    return { kind, state: useMetadata(kind) };
  });
  const loading = lists.some(({ state }) => state.status === 'loading');
  const revision = [requirements.revision, ...lists.map(({ state }) => state.revision)].join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the revisions say when one of the lists has changed
  return useMemo(() => {
    const titled = requirementKind
      ? requirements.items.map((one) => objectChoice(requirementKind, one, pickText(one.spec.title, language)))
      : [];
    const rest = lists.flatMap(({ kind, state }) => (kind ? state.items.map((one) => objectChoice(kind, one)) : []));
    return { objects: [...titled, ...rest], loading };
  }, [revision, requirementKind, language, loading]);
}

/** `:deploy shop web`: a kind, a namespace, a part of a name, as k9s does. */
function useOfKind(kinds: Kinds, query: string): Answer {
  const t = useTexts(texts);
  const [first = '', ...rest] = wordsOf(query.slice(1));
  const wanted = query.startsWith(':');
  const exact = wanted ? kinds.find(first) : undefined;
  const kind = exact?.verbs.includes('list') ? exact : undefined;
  const namespaces = useMetadata(wanted ? kinds.find('namespaces.') : undefined);
  const objects = useMetadata(kind && rest.length > 0 ? kind : undefined);
  const words = rest.join(' ');
  return useMemo(() => {
    if (!wanted) return { sections: [], loading: false };
    const matching = kinds.all
      .filter((one) => one.verbs.includes('list') && one !== kind)
      .map((one) => ({
        kind: one,
        score: Math.max(...[one.plural, ...one.shortNames].map((name) => score(name, first === '' ? [] : [first]))),
      }))
      .filter((one) => one.score >= (first === '' ? 0 : 50))
      .sort((a, b) => b.score - a.score || a.kind.plural.localeCompare(b.kind.plural))
      .slice(0, first === '' ? 99 : SECTION_MAX)
      .map(({ kind: one }) => kindChoice(one, one.kind, undefined));
    const sections: Section[] = [];
    if (kind) {
      const known = namespaces.items.map((one) => one.metadata.name);
      const asked = wordsOf(words);
      const inside = kind.namespaced
        ? known
            .filter((name) => score(name, asked.slice(0, 1)) > 0)
            .slice(0, SECTION_MAX)
            .map((name) => kindChoice(kind, t.in(kind.kind, name), name))
        : [];
      const all =
        asked.length === 0 ? [kindChoice(kind, kind.namespaced ? t.all(kind.kind) : kind.kind, undefined)] : [];
      sections.push({ title: t.kinds, choices: [...all, ...inside] });
      const named =
        asked.length === 0
          ? []
          : objects.items
              .map((one) => ({
                ...objectChoice(kind, one),
                score: score(`${one.metadata.name} ${one.metadata.namespace ?? ''}`, asked),
              }))
              .filter((one) => one.score > 0)
              .sort((a, b) => b.score - a.score)
              .slice(0, OBJECTS_MAX);
      sections.push({ title: t.objects, choices: named });
    }
    if (words === '') sections.push({ title: kind ? `${t.kinds} :${first}…` : t.kinds, choices: matching });
    return {
      sections: sections.filter((section) => section.choices.length > 0),
      loading: objects.status === 'loading',
    };
  }, [wanted, kinds, kind, first, words, namespaces, objects, t]);
}

function kindChoice(kind: Kind, label: string, namespace: string | undefined): Choice {
  return {
    id: `kind ${resourceName(kind)} ${namespace ?? ''}`,
    label,
    detail: [resourceName(kind), ...kind.shortNames].join(' '),
    href: paths.kind(kind, namespace),
    score: 1,
  };
}

export function KeysDialog(props: { close: () => void }) {
  const t = useTexts(texts);
  const names = useTexts(navigationTexts);
  const targets = useGoTargets();
  const rows = (title: string, keys: readonly (readonly [string, string])[]) => (
    <Table.Tbody key={title}>
      <Table.Tr>
        <Table.Th colSpan={2} scope="colgroup">
          {title}
        </Table.Th>
      </Table.Tr>
      {keys.map(([key, what]) => (
        <Table.Tr key={key}>
          <Table.Td w={130}>
            {key.split(' ').map((one) => (
              <Kbd key={one} mr={4}>
                {one}
              </Kbd>
            ))}
          </Table.Td>
          <Table.Td>{what}</Table.Td>
        </Table.Tr>
      ))}
    </Table.Tbody>
  );
  return (
    <Modal opened onClose={props.close} title={t.keys} closeButtonProps={{ 'aria-label': t.close }}>
      <Table verticalSpacing={4} withRowBorders={false}>
        {rows(t.anywhere, [
          ['Ctrl K', t.palette],
          [':', t.kindsKey],
          ['/', t.filter],
          ['c', t.create],
          ['?', t.help],
        ])}
        {rows(t.lists, [
          ['j k', t.next],
          ['Enter', t.openRow],
          ['Esc', t.clear],
        ])}
        {rows(
          t.goTo,
          [...targets].map(([key, target]) => [`g\u00a0${key}`, names[target.label]] as const),
        )}
      </Table>
    </Modal>
  );
}
