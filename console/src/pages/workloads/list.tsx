// The objects of one kind, with the columns that `kubectl get` shows.
import { Anchor, Button, Chip, Text, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { useParams } from 'react-router';
import { useCan } from '../../api/access';
import { type Kind, useKinds } from '../../api/discovery';
import { useTable } from '../../api/objects';
import type { TableColumn, TableRow } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { health, wordTone } from '../../lib/health';
import { useUrlState } from '../../lib/url-state';
import { paths, resourceName } from '../../paths';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { NamespacePicker } from '../../ui/namespace-picker';
import { Page } from '../../ui/page';
import { StatusBadge, toneColor } from '../../ui/status';
import { When } from '../../ui/when';

const texts = defineTexts(
  {
    workloads: 'Workloads',
    namespace: 'Namespace',
    create: (kind: string) => `Create ${kind}`,
    none: (kind: string) => `No ${kind} here yet`,
    noneIn: (kind: string, namespace: string) => `No ${kind} in namespace “${namespace}”`,
    selector: 'Label selector',
    selectorHint: 'app=web,tier!=cache',
    wide: 'All columns',
    behind: 'not up to date',
    noKind: (name: string) => `The server has no “${name}”`,
    noKindHow: 'Its custom resource definition may not be installed, or its room is not running.',
    all: 'Show all kinds',
  },
  {
    workloads: '워크로드',
    namespace: '네임스페이스',
    create: (kind: string) => `${kind} 만들기`,
    none: (kind: string) => `${kind}이(가) 아직 없습니다`,
    noneIn: (kind: string, namespace: string) => `“${namespace}” 네임스페이스에 ${kind}이(가) 없습니다`,
    selector: '레이블 셀렉터',
    selectorHint: 'app=web,tier!=cache',
    wide: '모든 열',
    behind: '최신이 아님',
    noKind: (name: string) => `서버에 “${name}” 종류가 없습니다`,
    noKindHow: '사용자 정의 리소스 정의가 설치되지 않았거나 해당 기능이 실행 중이 아닐 수 있습니다.',
    all: '모든 종류 보기',
  },
);

export function Component() {
  const t = useTexts(texts);
  const { resource = '' } = useParams();
  const kind = useKinds().find(resource);
  if (kind === undefined || !kind.verbs.includes('list')) {
    return (
      <Page title={resource}>
        <Empty
          title={t.noKind(resource)}
          action={
            <Button component="a" href={paths.workloads()} variant="default">
              {t.all}
            </Button>
          }
        >
          {t.noKindHow}
        </Empty>
      </Page>
    );
  }
  return <KindList key={resourceName(kind)} kind={kind} />;
}

function KindList(props: { kind: Kind }) {
  const { kind } = props;
  const t = useTexts(texts);
  const [namespace, setNamespace] = useUrlState('namespace');
  const [selector, setSelector] = useUrlState('selector');
  const [wide, setWide] = useUrlState('wide');
  const filter = useUrlState('q');
  const sort = useUrlState('sort');
  const table = useTable(kind, { namespace: namespace || undefined, labelSelector: selector || undefined });
  const may = useCan(
    kind.verbs.includes('create') ? { verb: 'create', kind, namespace: namespace || undefined } : undefined,
  );
  const hasNamespaces = kind.namespaced && namespace === '';
  const columns = useMemo(
    () => makeColumns(kind, table.columns, hasNamespaces ? t.namespace : undefined, wide === '1'),
    [kind, table.columns, hasNamespaces, t, wide],
  );
  const create = may === true && (
    <Button
      size="xs"
      component="a"
      leftSection={<IconPlus size={14} aria-hidden />}
      href={paths.create(namespace || undefined, kind)}
    >
      {t.create(kind.kind)}
    </Button>
  );
  const tools = (
    <>
      {kind.namespaced && <NamespacePicker value={namespace} onChange={setNamespace} />}
      <SelectorInput key={selector} label={t.selector} hint={t.selectorHint} value={selector} onChange={setSelector} />
      {table.columns.some((column) => column.priority > 0) && (
        <Chip size="xs" radius="sm" checked={wide === '1'} onChange={(on) => setWide(on ? '1' : '')}>
          {t.wide}
        </Chip>
      )}
    </>
  );
  const isEmpty = table.items.length === 0 && table.status !== 'loading' && table.status !== 'failed';
  return (
    <Page
      title={kind.kind}
      crumbs={[{ label: t.workloads, href: paths.workloads(namespace || undefined) }]}
      badge={
        <Text size="sm" c="dimmed">
          {resourceName(kind)}
          {table.status === 'behind' && ` · ${t.behind}`}
        </Text>
      }
      actions={create}
    >
      {table.status === 'loading' && <Loading />}
      {table.status === 'failed' && (
        <>
          {tools}
          <Failed error={table.error} />
        </>
      )}
      {(table.status === 'live' || table.status === 'behind') && (
        <>
          <DataTable
            label={kind.kind}
            columns={columns}
            rows={table.items}
            rowKey={(row) => `${row.object.metadata.namespace ?? ''}/${row.object.metadata.name}`}
            rowHref={(row) => paths.object(kind, row.object.metadata.namespace, row.object.metadata.name)}
            filter={filter}
            sort={sort}
            tools={tools}
          />
          {isEmpty && (
            <Empty
              title={namespace === '' ? t.none(kind.kind) : t.noneIn(kind.kind, namespace)}
              action={create}
              command={`kubectl get ${resourceName(kind)}${namespace === '' ? (kind.namespaced ? ' -A' : '') : ` -n ${namespace}`}`}
            />
          )}
        </>
      )}
    </Page>
  );
}

/** A selector is asked when it is whole: at Enter, or when the field is left. */
function SelectorInput(props: { label: string; hint: string; value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(props.value);
  return (
    <TextInput
      size="xs"
      w={190}
      aria-label={props.label}
      placeholder={`${props.label}: ${props.hint}`}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={() => props.onChange(text.trim())}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && !event.nativeEvent.isComposing) props.onChange(text.trim());
      }}
    />
  );
}

function makeColumns(
  kind: Kind,
  defined: readonly TableColumn[],
  namespaceTitle: string | undefined,
  isWide: boolean,
): Column<TableRow>[] {
  const columns: Column<TableRow>[] = [];
  for (const [index, column] of defined.entries()) {
    if (column.priority > 0 && !isWide) continue;
    columns.push(makeColumn(kind, column, index));
    if (columns.length === 1 && namespaceTitle !== undefined) {
      columns.push({
        id: 'namespace',
        title: namespaceTitle,
        width: 'minmax(6rem, 1fr)',
        value: (row) => row.object.metadata.namespace,
        cell: (row) => (
          <Anchor href={paths.kind(kind, row.object.metadata.namespace)} size="sm" c="inherit">
            {row.object.metadata.namespace}
          </Anchor>
        ),
      });
    }
  }
  return columns;
}

function makeColumn(kind: Kind, column: TableColumn, index: number): Column<TableRow> {
  const isName = column.format === 'name' || index === 0;
  const isNumber = column.type === 'integer' || column.type === 'number';
  const isState = ['Status', 'Phase', 'State'].includes(column.name);
  const shared = { id: column.name.toLowerCase(), title: column.name };
  if (column.name === 'Age') {
    return {
      ...shared,
      width: '6rem',
      value: (row) => -Date.parse(row.object.metadata.creationTimestamp),
      cell: (row) => <When time={row.object.metadata.creationTimestamp} style="age" />,
    };
  }
  const text = (row: TableRow) => write(row.cells[index]);
  return {
    ...shared,
    width: isName
      ? 'minmax(12rem, 2.4fr)'
      : isState
        ? 'minmax(10.5rem, 1.2fr)'
        : isNumber
          ? '6.5rem'
          : 'minmax(5.5rem, 1fr)',
    value: (row) => {
      const cell = row.cells[index];
      return typeof cell === 'number' ? cell : text(row);
    },
    cell: (row) =>
      isState ? <State kind={kind} row={row} text={text(row)} /> : <span title={text(row)}>{text(row)}</span>,
    ...(isNumber ? { align: 'right' as const } : {}),
  };
}

function State(props: { kind: Kind; row: TableRow; text: string }) {
  const own = health(props.kind.kind, props.row.object);
  const tone = wordTone(props.text) ?? own?.tone;
  if (tone === undefined || props.text === '') return <span>{props.text}</span>;
  if (tone === 'good') return <span style={{ color: toneColor(tone) }}>{props.text}</span>;
  return <StatusBadge tone={tone} label={props.text} title={own?.message} />;
}

function write(cell: unknown): string {
  if (cell === null || cell === undefined) return '';
  return typeof cell === 'object' ? JSON.stringify(cell) : String(cell);
}
