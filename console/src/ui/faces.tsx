// The faces of a page or a part of it: loading, empty, failed, forbidden.
import { Alert, Button, Center, Code, Group, List, Loader, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle, IconLock, IconPlugConnectedX } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { ApiError } from '../api/http';
import { defineTexts, useTexts } from '../i18n/texts';

const texts = defineTexts(
  {
    loading: 'Loading…',
    retry: 'Try again',
    failed: 'This could not be loaded',
    forbidden: 'You may not see this',
    forbiddenHow: 'Ask whoever administers this Maru for a role that allows it. The server said:',
    unreachable: 'The server does not answer',
    unreachableHow: 'The page tries again by itself. Is Maru running? Look with:',
    or: 'or on the command line:',
  },
  {
    loading: '불러오는 중…',
    retry: '다시 시도',
    failed: '불러오지 못했습니다',
    forbidden: '조회 권한이 없습니다',
    forbiddenHow: '관리자에게 이 작업을 허용하는 역할을 요청하세요. 서버의 응답:',
    unreachable: '서버가 응답하지 않습니다',
    unreachableHow: '자동으로 다시 시도합니다. Maru가 실행 중인지 확인하세요:',
    or: '또는 명령줄에서:',
  },
);

export function Loading() {
  const t = useTexts(texts);
  return (
    <Center p="xl" role="status" aria-label={t.loading}>
      <Loader size="sm" />
    </Center>
  );
}

/** Nothing is there yet: says so, and offers the first step as a button and as a command. */
export function Empty(props: { title: string; children?: ReactNode; action?: ReactNode; command?: string }) {
  const t = useTexts(texts);
  return (
    <Center p="xl">
      <Stack align="center" gap="xs" maw={560}>
        <Title order={3} ta="center">
          {props.title}
        </Title>
        {props.children !== undefined && (
          <Text c="dimmed" ta="center" component="div">
            {props.children}
          </Text>
        )}
        {props.action}
        {props.command !== undefined && (
          <>
            {props.action !== undefined && (
              <Text size="sm" c="dimmed">
                {t.or}
              </Text>
            )}
            <Code block>{props.command}</Code>
          </>
        )}
      </Stack>
    </Center>
  );
}

/** What went wrong, and what to do. Forbidden and unreachable have faces of their own. */
export function Failed(props: { error: unknown; retry?: (() => void) | undefined }) {
  const t = useTexts(texts);
  const { error } = props;
  const status = error instanceof ApiError ? error.status : undefined;
  const message = error instanceof Error ? error.message : String(error);
  const causes = error instanceof ApiError ? error.causes : [];
  const face =
    status === 403
      ? { title: t.forbidden, how: t.forbiddenHow, icon: <IconLock size={18} />, color: 'yellow' }
      : status === 0
        ? { title: t.unreachable, how: t.unreachableHow, icon: <IconPlugConnectedX size={18} />, color: 'orange' }
        : { title: t.failed, how: undefined, icon: <IconAlertTriangle size={18} />, color: 'red' };
  return (
    <Alert m="md" title={face.title} icon={face.icon} color={face.color} variant="light" role="alert">
      <Stack gap="xs" align="flex-start">
        {face.how !== undefined && <Text size="sm">{face.how}</Text>}
        {status === 0 ? <Code>maru doctor</Code> : <Text size="sm">{message}</Text>}
        {causes.length > 0 && (
          <List size="sm">
            {causes.map((cause) => (
              <List.Item key={cause}>{cause}</List.Item>
            ))}
          </List>
        )}
        {props.retry !== undefined && (
          <Group>
            <Button size="xs" variant="default" onClick={props.retry}>
              {t.retry}
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}
