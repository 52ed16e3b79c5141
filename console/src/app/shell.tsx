// The frame of all pages: navigation, search, language, colours, the connection's state, and links without reload.
import {
  ActionIcon,
  Alert,
  AppShell,
  Box,
  Burger,
  Button,
  Group,
  Menu,
  NavLink,
  ScrollArea,
  Text,
  Tooltip,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  IconLanguage,
  IconLogout,
  IconMoon,
  IconPlugConnectedX,
  IconSearch,
  IconSettings,
  IconSun,
  IconUser,
} from '@tabler/icons-react';
import { type MouseEvent, Suspense, useSyncExternalStore } from 'react';
import { Outlet, useLocation, useNavigate } from 'react-router';
import { connection } from '../api/connection';
import { useKinds } from '../api/discovery';
import { logout, useSession } from '../api/session';
import { setPreferences, usePreferences } from '../i18n/preferences';
import { defineTexts, useTexts } from '../i18n/texts';
import { paths } from '../paths';
import { Loading } from '../ui/faces';
import { Mark } from '../ui/mark';
import { PageBoundary } from './boundary';
import { navigationTexts, pages, type TextName } from './navigation';
import { openPalette, Palette } from './palette';

const texts = defineTexts(
  {
    skip: 'Skip to the content',
    menu: 'Navigation',
    search: 'Search or command',
    language: '한국어로 보기',
    dark: 'Dark colours',
    light: 'Light colours',
    account: 'Account',
    logout: 'Log out',
    settings: 'Settings',
    lost: 'The connection is lost. What you see may be old; the page comes back by itself.',
  },
  {
    skip: '본문으로 건너뛰기',
    menu: '탐색 메뉴',
    search: '검색 또는 명령',
    language: 'View in English',
    dark: '다크 모드',
    light: '라이트 모드',
    account: '계정',
    logout: '로그아웃',
    settings: '설정',
    lost: '연결이 끊겼습니다. 보이는 내용이 오래되었을 수 있으며, 연결되면 자동으로 갱신됩니다.',
  },
);

export function Shell() {
  const t = useTexts(texts);
  const names = useTexts(navigationTexts);
  const kinds = useKinds();
  const session = useSession();
  const location = useLocation();
  const navigate = useNavigate();
  const { language } = usePreferences();
  const [opened, menu] = useDisclosure(false);
  const scheme = useComputedColorScheme('light');
  const { setColorScheme } = useMantineColorScheme();
  const offered = pages.filter((page) => page.needs({ kinds, session })).flatMap((page) => page.entry ?? []);
  const groups = runs(offered);

  // One place turns plain links into navigation without reload, so that every part may write <a href>.
  const follow = (event: MouseEvent) => {
    const found = event.target instanceof Element ? event.target.closest<HTMLAnchorElement | SVGAElement>('a') : null;
    // Marks of drawings are links too.
    if (found instanceof SVGAElement) {
      if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      navigate(found.href.baseVal);
      return;
    }
    const link = found;
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target !== '' || link.hasAttribute('download') || link.origin !== window.location.origin) return;
    if (link.hash !== '' && link.pathname === location.pathname && link.search === location.search) return;
    event.preventDefault();
    menu.close();
    navigate(link.pathname + link.search + link.hash);
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: links inside are what is clicked
    // biome-ignore lint/a11y/useKeyWithClickEvents: a link's Enter is a click
    <div onClick={follow}>
      <a href="#content" className="maru-skip">
        {t.skip}
      </a>
      <AppShell
        header={{ height: 48 }}
        navbar={{ width: 220, breakpoint: 'md', collapsed: { mobile: !opened } }}
        padding={0}
      >
        <AppShell.Header>
          <Group h="100%" px="sm" justify="space-between" wrap="nowrap" gap="xs">
            <Group gap="xs" wrap="nowrap">
              <Burger opened={opened} onClick={menu.toggle} hiddenFrom="md" size="sm" aria-label={t.menu} />
              <UnstyledButton component="a" href={paths.home()} aria-label="Maru">
                <Group gap={6} wrap="nowrap">
                  <Mark size={24} />
                  <Text fw={700} visibleFrom="xs">
                    Maru
                  </Text>
                </Group>
              </UnstyledButton>
              {session.instance !== '' && (
                <Text size="xs" c="dimmed" visibleFrom="sm">
                  {session.instance}
                </Text>
              )}
            </Group>
            <Button
              variant="default"
              size="xs"
              leftSection={<IconSearch size={14} aria-hidden />}
              rightSection={
                <Text size="xs" c="dimmed" span visibleFrom="sm">
                  Ctrl K
                </Text>
              }
              onClick={() => openPalette()}
              aria-keyshortcuts="Control+K"
            >
              {t.search}
            </Button>
            <Group gap={4} wrap="nowrap">
              <Tooltip label={t.language}>
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  lang={language === 'en' ? 'ko' : 'en'}
                  aria-label={t.language}
                  onClick={() => setPreferences({ language: language === 'en' ? 'ko' : 'en' })}
                >
                  <IconLanguage size={18} />
                </ActionIcon>
              </Tooltip>
              <Tooltip label={scheme === 'dark' ? t.light : t.dark}>
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  aria-label={scheme === 'dark' ? t.light : t.dark}
                  onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')}
                >
                  {scheme === 'dark' ? <IconSun size={18} /> : <IconMoon size={18} />}
                </ActionIcon>
              </Tooltip>
              <Menu position="bottom-end">
                <Menu.Target>
                  <ActionIcon variant="subtle" color="gray" aria-label={t.account}>
                    <IconUser size={18} />
                  </ActionIcon>
                </Menu.Target>
                <Menu.Dropdown>
                  <Menu.Label>{session.user}</Menu.Label>
                  <Menu.Item component="a" href={paths.settings()} leftSection={<IconSettings size={14} />}>
                    {t.settings}
                  </Menu.Item>
                  <Menu.Item leftSection={<IconLogout size={14} />} onClick={() => void logout()}>
                    {t.logout}
                  </Menu.Item>
                </Menu.Dropdown>
              </Menu>
            </Group>
          </Group>
        </AppShell.Header>
        <AppShell.Navbar aria-label={t.menu}>
          <ScrollArea p="xs" type="auto">
            {groups.map((entries) => (
              <Box key={entries[0]?.href} mb="xs">
                {entries[0]?.section !== undefined && (
                  <Text size="xs" fw={700} c="dimmed" px="xs" mt="xs" mb={2}>
                    {names[entries[0].section]}
                  </Text>
                )}
                {entries.map((entry) => (
                  <NavLink
                    key={entry.href}
                    href={entry.href}
                    label={names[entry.label as TextName]}
                    leftSection={<entry.icon size={16} />}
                    active={isHere(entry.href, location.pathname)}
                    aria-current={isHere(entry.href, location.pathname) ? 'page' : undefined}
                    py={5}
                  />
                ))}
              </Box>
            ))}
          </ScrollArea>
        </AppShell.Navbar>
        <AppShell.Main id="content" tabIndex={-1} bg="var(--maru-canvas)">
          <Lost text={t.lost} />
          <PageBoundary key={location.pathname}>
            <Suspense fallback={<Loading />}>
              <Outlet />
            </Suspense>
          </PageBoundary>
        </AppShell.Main>
      </AppShell>
      <Palette />
    </div>
  );
}

/** Entries that stand beside each other and belong together; settings, the last, stand alone. */
function runs<T extends { section: unknown }>(entries: readonly T[]): T[][] {
  const all: T[][] = [];
  for (const entry of entries) {
    const last = all.at(-1);
    if (last !== undefined && last[0]?.section === entry.section) last.push(entry);
    else all.push([entry]);
  }
  return all;
}

function isHere(href: string, pathname: string): boolean {
  return href === '/' ? pathname === '/' : pathname === href || pathname.startsWith(`${href}/`);
}

function Lost(props: { text: string }) {
  const state = useSyncExternalStore(connection.subscribe, connection.state);
  if (state !== 'lost') return null;
  return (
    <Alert color="orange" radius={0} py={6} icon={<IconPlugConnectedX size={16} />} role="status">
      {props.text}
    </Alert>
  );
}
