// The table of all lists: sorted, filtered by `/`, walked by j/k and Enter, thousands of rows drawn as they scroll by.
import { Box, CloseButton, Group, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, type ReactNode, useDeferredValue, useMemo, useRef, useState } from 'react';
import { defineTexts, useTexts } from '../i18n/texts';
import classes from './data-table.module.css';

const texts = defineTexts(
  {
    filter: 'Filter',
    filterHint: 'Filter (press /)',
    clear: 'Clear the filter',
    rows: (shown: number, all: number) => {
      const rows = all === 1 ? 'row' : 'rows';
      return shown === all ? `${all} ${rows}` : `${shown} of ${all} ${rows}`;
    },
    nothing: 'Nothing matches the filter.',
  },
  {
    filter: '필터',
    filterHint: '필터 ( / 키)',
    clear: '필터 지우기',
    rows: (shown: number, all: number) => (shown === all ? `${all}행` : `${all}행 중 ${shown}행`),
    nothing: '필터에 맞는 항목이 없습니다.',
  },
);

export interface Column<T> {
  id: string;
  title: string;
  /** What a cell shows. */
  cell: (row: T) => ReactNode;
  /** What it is sorted by and filtered with; a column without is neither. */
  value?: (row: T) => string | number | undefined;
  /** A CSS grid track: `2fr`, `120px`, `minmax(8rem, 1fr)`. */
  width?: string;
  align?: 'right';
}

export interface DataTableProps<T> {
  /** What the rows are, for people who cannot see the table. */
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  /** Where a row leads; the first cell is a link. */
  rowHref?: (row: T) => string | undefined;
  onRow?: (row: T) => void;
  /** Kept by the caller, in the address: `useUrlState('q')`. */
  filter?: readonly [string, (filter: string) => void];
  /** Kept by the caller: a column's id, `-` before it for descending. */
  sort?: readonly [string, (sort: string) => void];
  /** Left of the filter. */
  tools?: ReactNode;
  height?: string;
}

const ROW_HEIGHT_PX = 36;

export function DataTable<T>(props: DataTableProps<T>) {
  const t = useTexts(texts);
  const ownSort = useState('');
  const [sort, setSort] = props.sort ?? ownSort;
  const [filter, setFilter] = props.filter ?? ['', undefined];
  // Letters appear at once; thousands of rows follow when there is time.
  const wanted = useDeferredValue(filter);
  const shown = useMemo(
    () => order(matching(props.rows, props.columns, wanted), props.columns, sort),
    [props.rows, props.columns, wanted, sort],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT_PX,
    overscan: 12,
    getItemKey: (index) => {
      const row = shown[index];
      return row === undefined ? index : props.rowKey(row);
    },
  });
  const template = props.columns.map((column) => column.width ?? 'minmax(6rem, 1fr)').join(' ');
  const onKey = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.target instanceof HTMLInputElement) return;
    if (event.key === '/') {
      event.preventDefault();
      search.current?.focus();
      return;
    }
    const step =
      event.key === 'j' || event.key === 'ArrowDown' ? 1 : event.key === 'k' || event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0) return;
    const focused = document.activeElement?.closest('[data-row]');
    const at = focused ? Number(focused.getAttribute('data-row')) : -1;
    const next = Math.max(0, Math.min(shown.length - 1, at + step));
    event.preventDefault();
    virtual.scrollToIndex(next);
    requestAnimationFrame(() => {
      const row = scroller.current?.querySelector<HTMLElement>(`[data-row="${next}"]`);
      (row?.querySelector<HTMLElement>('a') ?? row)?.focus();
    });
  };
  return (
    <Box onKeyDown={onKey}>
      {(setFilter !== undefined || props.tools !== undefined) && (
        <Group gap="xs" mb="xs" wrap="wrap">
          {props.tools}
          {setFilter !== undefined && (
            <TextInput
              ref={search}
              size="xs"
              w={260}
              data-filter
              aria-label={t.filter}
              placeholder={t.filterHint}
              leftSection={<IconSearch size={14} aria-hidden />}
              value={filter}
              onChange={(event) => setFilter(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Escape') {
                  setFilter('');
                  event.currentTarget.blur();
                }
              }}
              rightSection={
                filter === '' ? null : <CloseButton size="xs" aria-label={t.clear} onClick={() => setFilter('')} />
              }
            />
          )}
          <Text size="xs" c="dimmed" role="status">
            {t.rows(shown.length, props.rows.length)}
          </Text>
        </Group>
      )}
      <div
        ref={scroller}
        className={classes.scroller}
        style={{ maxHeight: props.height ?? 'calc(100dvh - 15rem)', ['--columns' as string]: props.columns.length }}
        role="table"
        aria-label={props.label}
        aria-rowcount={shown.length + 1}
      >
        <div role="rowgroup" className={classes.head}>
          <div role="row" className={classes.row} style={{ gridTemplateColumns: template }}>
            {props.columns.map((column) => (
              <Head key={column.id} column={column} sort={sort} setSort={setSort} />
            ))}
          </div>
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {virtual.getVirtualItems().map((item) => {
            const row = shown[item.index];
            if (row === undefined) return null;
            const href = props.rowHref?.(row);
            const { onRow } = props;
            return (
              <div
                key={item.key}
                role="row"
                aria-rowindex={item.index + 2}
                data-row={item.index}
                tabIndex={href === undefined ? 0 : undefined}
                className={`${classes.row} ${classes.body}`}
                data-clickable={onRow !== undefined || undefined}
                style={{ gridTemplateColumns: template, transform: `translateY(${item.start}px)` }}
                onClick={onRow && (() => onRow(row))}
                onKeyDown={
                  onRow &&
                  ((event) => {
                    if (event.key === 'Enter' && event.target === event.currentTarget) onRow(row);
                  })
                }
              >
                {props.columns.map((column, index) => (
                  <div key={column.id} role="cell" className={classes.cell} data-align={column.align}>
                    {index === 0 && href !== undefined ? (
                      <a href={href} className={classes.link}>
                        {column.cell(row)}
                      </a>
                    ) : (
                      column.cell(row)
                    )}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
        {shown.length === 0 && props.rows.length > 0 && (
          <Text p="md" c="dimmed">
            {t.nothing}
          </Text>
        )}
      </div>
    </Box>
  );
}

function Head<T>(props: { column: Column<T>; sort: string; setSort: (sort: string) => void }) {
  const { column, sort } = props;
  const direction = sort === column.id ? 'ascending' : sort === `-${column.id}` ? 'descending' : undefined;
  return (
    <div role="columnheader" aria-sort={direction ?? 'none'} className={classes.cell} data-align={column.align}>
      {column.value === undefined ? (
        column.title
      ) : (
        <UnstyledButton
          className={classes.sort}
          onClick={() => props.setSort(direction === 'ascending' ? `-${column.id}` : column.id)}
        >
          {column.title}
          {direction === 'ascending' && <IconArrowUp size={12} aria-hidden />}
          {direction === 'descending' && <IconArrowDown size={12} aria-hidden />}
        </UnstyledButton>
      )}
    </div>
  );
}

/** Rows in which each word of the filter is found, in any column. */
function matching<T>(rows: readonly T[], columns: readonly Column<T>[], filter: string): readonly T[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter((row) => {
    const text = columns
      .map((column) => column.value?.(row) ?? '')
      .join('\n')
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function order<T>(rows: readonly T[], columns: readonly Column<T>[], sort: string): readonly T[] {
  const descending = sort.startsWith('-');
  const value = columns.find((column) => column.id === (descending ? sort.slice(1) : sort))?.value;
  if (value === undefined) return rows;
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  const sorted = rows.toSorted((left, right) => {
    const a = value(left);
    const b = value(right);
    if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
    return typeof a === 'number' && typeof b === 'number' ? a - b : compare(String(a), String(b));
  });
  return descending ? sorted.toReversed() : sorted;
}
