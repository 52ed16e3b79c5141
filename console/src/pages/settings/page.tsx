// Language, colours, time zone, and the sessions of this user.
import { Button, Paper, SegmentedControl, Select, Stack, Text, Title, useMantineColorScheme } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { endSession, logout, type SessionRecord, sessionsQuery, useSession } from '../../api/session';
import { setPreferences, usePreferences } from '../../i18n/preferences';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { agentName } from '../../lib/agent';
import { type Column, DataTable } from '../../ui/data-table';
import { Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { When } from '../../ui/when';

const texts = defineTexts(
  {
    title: 'Settings',
    look: 'Look',
    language: 'Language',
    scheme: 'Colours',
    auto: 'As the system',
    light: 'Light',
    dark: 'Dark',
    zone: 'Time zone',
    local: (zone: string) => `This browser's (${zone})`,
    sessions: 'Where you are logged in',
    agent: 'Browser',
    created: 'Since',
    expires: 'Until',
    here: 'this one',
    end: 'End',
    endAll: 'Log out everywhere',
    you: (user: string) => `You are ${user}.`,
  },
  {
    title: '설정',
    look: '화면',
    language: '언어',
    scheme: '테마',
    auto: '시스템 설정 따름',
    light: '라이트',
    dark: '다크',
    zone: '시간대',
    local: (zone: string) => `브라우저 시간대 (${zone})`,
    sessions: '로그인 세션',
    agent: '브라우저',
    created: '로그인',
    expires: '만료',
    here: '현재 세션',
    end: '종료',
    endAll: '모든 곳에서 로그아웃',
    you: (user: string) => `사용자: ${user}`,
  },
);

export function Component() {
  const t = useTexts(texts);
  const { language, timeZone } = usePreferences();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { user } = useSession();
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [
    { value: 'local', label: t.local(here) },
    ...['UTC', ...Intl.supportedValuesOf('timeZone')].map((zone) => ({ value: zone, label: zone })),
  ];
  return (
    <Page title={t.title} wide={false}>
      <Stack>
        <Paper withBorder p="md">
          <Title order={2} mb="sm">
            {t.look}
          </Title>
          <Stack align="flex-start">
            <div>
              <Text size="sm" fw={500} mb={4} id="language">
                {t.language}
              </Text>
              <SegmentedControl
                aria-labelledby="language"
                value={language}
                onChange={(value) => setPreferences({ language: value === 'ko' ? 'ko' : 'en' })}
                data={[
                  { value: 'en', label: 'English' },
                  { value: 'ko', label: '한국어' },
                ]}
              />
            </div>
            <div>
              <Text size="sm" fw={500} mb={4} id="scheme">
                {t.scheme}
              </Text>
              <SegmentedControl
                aria-labelledby="scheme"
                value={colorScheme}
                onChange={(value) => setColorScheme(value as typeof colorScheme)}
                data={[
                  { value: 'auto', label: t.auto },
                  { value: 'light', label: t.light },
                  { value: 'dark', label: t.dark },
                ]}
              />
            </div>
            <Select
              label={t.zone}
              searchable
              allowDeselect={false}
              value={timeZone}
              data={zones}
              limit={50}
              onChange={(zone) => setPreferences({ timeZone: zone ?? 'local' })}
            />
          </Stack>
        </Paper>
        <Paper withBorder p="md">
          <Title order={2} mb={4}>
            {t.sessions}
          </Title>
          <Text size="sm" mb="sm">
            {t.you(user)}
          </Text>
          <Sessions />
        </Paper>
      </Stack>
    </Page>
  );
}

function Sessions() {
  const t = useTexts(texts);
  const format = useFormat();
  const client = useQueryClient();
  const sessions = useQuery(sessionsQuery);
  const end = useMutation({
    mutationFn: (session: SessionRecord | undefined) =>
      session?.current === true ? logout() : endSession(session?.id),
    onSuccess: () => client.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  });
  if (sessions.isPending) return <Loading />;
  if (sessions.isError) return <Failed error={sessions.error} retry={() => void sessions.refetch()} />;
  const columns: Column<SessionRecord>[] = [
    {
      id: 'agent',
      title: t.agent,
      cell: (row) => <span title={row.agent}>{agentName(row.agent ?? '—')}</span>,
      value: (row) => row.agent,
      width: '1.5fr',
    },
    { id: 'created', title: t.created, cell: (row) => <When time={row.created} />, value: (row) => row.created },
    { id: 'expires', title: t.expires, cell: (row) => format.dateTime(row.expires), value: (row) => row.expires },
    {
      id: 'end',
      title: '',
      width: '11rem',
      cell: (row) => (
        <Button size="compact-xs" variant="default" onClick={() => end.mutate(row)} loading={end.isPending}>
          {row.current ? `${t.end} (${t.here})` : t.end}
        </Button>
      ),
    },
  ];
  return (
    <Stack align="stretch">
      <DataTable label={t.sessions} columns={columns} rows={sessions.data} rowKey={(row) => row.id} />
      {end.error !== null && <Failed error={end.error} />}
      <div>
        <Button color="red" variant="light" onClick={() => end.mutate(undefined)} loading={end.isPending}>
          {t.endAll}
        </Button>
      </div>
    </Stack>
  );
}
