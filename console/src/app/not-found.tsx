import { Button } from '@mantine/core';
import { useLocation } from 'react-router';
import { defineTexts, useTexts } from '../i18n/texts';
import { paths } from '../paths';
import { Empty } from '../ui/faces';
import { Page } from '../ui/page';

const texts = defineTexts(
  {
    title: 'There is no such page',
    what: (path: string) => `“${path}” is no page of this Maru. Its room may not be running.`,
    home: 'Go home',
  },
  {
    title: '페이지를 찾을 수 없습니다',
    what: (path: string) => `“${path}”은(는) 이 Maru에 없는 페이지입니다. 해당 기능이 실행 중이 아닐 수 있습니다.`,
    home: '홈으로',
  },
);

export function NotFound() {
  const t = useTexts(texts);
  const { pathname } = useLocation();
  return (
    <Page title={t.title}>
      <Empty
        title={t.title}
        action={
          <Button component="a" href={paths.home()}>
            {t.home}
          </Button>
        }
      >
        {t.what(pathname)}
      </Empty>
    </Page>
  );
}
