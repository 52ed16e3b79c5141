// All boards: those that come with Maru, and everybody's own.
import { Badge, Button, Code, Group, Modal, Stack, Text } from '@mantine/core';
import { IconFileImport, IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import { useObjects } from '../../api/objects';
import { useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { Copy } from '../../ui/copy';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { type Board, BUILT_IN } from './board';
import { texts } from './texts';

const COMMAND = 'maru -n NAMESPACE metrics board import dashboard.json | kubectl apply -f -';

export function Component() {
  const t = useTexts(texts);
  const kinds = useKinds();
  const kind = kinds.find('boards.maru.dev');
  const boards = useObjects<Board>(kind);
  const mayCreate = useCan(kind && { verb: 'create', kind });
  const [filter, setFilter] = useUrlState('q');
  const [sort, setSort] = useUrlState('sort', 'title');
  const [importing, setImporting] = useState(false);
  const columns: Column<Board>[] = [
    {
      id: 'title',
      title: t.name,
      width: 'minmax(10rem, 1.2fr)',
      cell: (row) => row.spec.title,
      value: (row) => row.spec.title,
    },
    {
      id: 'about',
      title: t.about,
      width: 'minmax(14rem, 3fr)',
      cell: (row) => <span title={row.spec.description}>{row.spec.description ?? ''}</span>,
      value: (row) => row.spec.description,
    },
    {
      id: 'tags',
      title: t.tags,
      width: 'minmax(9rem, 1.4fr)',
      cell: (row) => (
        <Group gap={4} wrap="nowrap">
          {(row.spec.tags ?? []).map((tag) => (
            <Badge key={tag} variant="default" size="sm" tt="none" fw={500}>
              {tag}
            </Badge>
          ))}
        </Group>
      ),
      value: (row) => (row.spec.tags ?? []).join(' '),
    },
    {
      id: 'namespace',
      title: t.namespace,
      width: 'minmax(9rem, 1fr)',
      cell: (row) => (row.metadata.labels?.[BUILT_IN] === 'true' ? t.builtIn : (row.metadata.namespace ?? '')),
      value: (row) => row.metadata.namespace,
    },
  ];
  return (
    <Page
      title={t.title}
      actions={
        <>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconFileImport size={14} aria-hidden />}
            onClick={() => setImporting(true)}
          >
            {t.import}
          </Button>
          {mayCreate === true && (
            <Button size="xs" component="a" href={paths.create()} leftSection={<IconPlus size={14} aria-hidden />}>
              {t.make}
            </Button>
          )}
        </>
      }
    >
      {boards.status === 'loading' ? (
        <Loading />
      ) : boards.status === 'failed' ? (
        <Failed error={boards.error} />
      ) : boards.items.length === 0 ? (
        <Empty title={t.empty} command={COMMAND}>
          {t.emptyHint}
        </Empty>
      ) : (
        <DataTable
          label={t.title}
          columns={columns}
          rows={boards.items}
          rowKey={(row) => row.metadata.uid}
          rowHref={(row) => paths.board(row.metadata.namespace ?? '', row.metadata.name)}
          filter={[filter, setFilter]}
          sort={[sort, setSort]}
        />
      )}
      <Modal opened={importing} onClose={() => setImporting(false)} title={t.import} size="lg">
        <Stack gap="xs">
          <Text size="sm">{t.importHow}</Text>
          <Group gap="xs" wrap="nowrap">
            <Code block flex={1}>
              {COMMAND}
            </Code>
            <Copy value={COMMAND} />
          </Group>
          <Text size="sm" c="dimmed">
            {t.importThen}
          </Text>
        </Stack>
      </Modal>
    </Page>
  );
}
