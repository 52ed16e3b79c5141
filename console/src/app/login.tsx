// Without a session: the one-time link, or a token of the API.
import { Alert, Anchor, Button, Center, Code, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { login } from '../api/session';
import { setPreferences, usePreferences } from '../i18n/preferences';
import { defineTexts, useTexts } from '../i18n/texts';
import { Mark } from '../ui/mark';

const texts = defineTexts(
  {
    title: 'Log in to Maru',
    link: 'Open the link that Maru printed at its start. For a new one, on the machine it runs on:',
    or: 'Or log in with a token of the API, such as a service account’s:',
    token: 'Token',
    submit: 'Log in',
    other: '한국어로 보기',
  },
  {
    title: 'Maru 로그인',
    link: 'Maru가 시작할 때 출력한 링크로 접속하세요. 새 링크는 Maru가 실행 중인 컴퓨터에서 만들 수 있습니다:',
    or: '또는 서비스 어카운트 토큰과 같은 API 토큰으로 로그인하세요:',
    token: '토큰',
    submit: '로그인',
    other: 'View in English',
  },
);

export function Login(props: { onLogin: () => void }) {
  const t = useTexts(texts);
  const { language } = usePreferences();
  const [token, setToken] = useState('');
  const enter = useMutation({ mutationFn: () => login(token.trim()), onMutate: props.onLogin });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    enter.mutate();
  };
  return (
    <Center component="main" mih="100dvh" p="md" bg="var(--maru-canvas)">
      <title>{t.title}</title>
      <Paper withBorder p="xl" maw={460} w="100%">
        <Stack>
          <Mark size={40} />
          <Title order={1}>{t.title}</Title>
          <Text>{t.link}</Text>
          <Code block>sudo maru console link</Code>
          <form onSubmit={submit}>
            <Stack>
              <PasswordInput
                label={t.token}
                description={`${t.or} kubectl create token NAME`}
                value={token}
                onChange={(event) => setToken(event.currentTarget.value)}
                autoComplete="off"
                required
              />
              {enter.error !== null && (
                <Alert color="red" role="alert">
                  {enter.error.message}
                </Alert>
              )}
              <Button type="submit" loading={enter.isPending} disabled={token.trim() === ''}>
                {t.submit}
              </Button>
            </Stack>
          </form>
          <Anchor
            component="button"
            size="sm"
            lang={language === 'en' ? 'ko' : 'en'}
            onClick={() => setPreferences({ language: language === 'en' ? 'ko' : 'en' })}
          >
            {t.other}
          </Anchor>
        </Stack>
      </Paper>
    </Center>
  );
}
