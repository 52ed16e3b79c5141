// One board: what is chosen, the time, rows of panels.
import { Alert, Button, List, Stack, Switch, Text, UnstyledButton } from '@mantine/core';
import { IconChevronDown, IconChevronRight, IconCopy, IconPencil } from '@tabler/icons-react';
import { useIsFetching } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useParams } from 'react-router';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import { useObject } from '../../api/objects';
import type { Condition, KubernetesObject } from '../../api/types';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { chooseStep, fixedRange, type Span, type TimeRange } from '../../lib/time-range';
import { useUrlValues } from '../../lib/url-state';
import { useSpan } from '../../lib/use-span';
import { paths } from '../../paths';
import { useChangeMarks } from '../../ui/change-marks';
import type { ChartMark } from '../../ui/chart/chart';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { TimeRangePicker } from '../../ui/time-range';
import classes from './board.module.css';
import {
  ALL,
  always,
  type BoardRow,
  type BoardSpec,
  type Chosen,
  type ChosenByName,
  fillTitle,
  type Panel,
} from './model';
import { PanelCard } from './panel';
import { texts } from './texts';
import { useVariables, VariableBar } from './variables';

export interface Board extends KubernetesObject {
  spec: BoardSpec;
  status?: { conditions?: Condition[] };
}

export const BUILT_IN = 'maru.dev/built-in';

export function Component() {
  const t = useTexts(texts);
  const { namespace = '', name = '' } = useParams();
  const kinds = useKinds();
  const board = useObject<Board>(kinds.find('boards.maru.dev'), namespace, name);
  if (board.status === 'loading') return <Loading />;
  if (board.status === 'failed') return <Failed error={board.error} />;
  if (board.item === undefined) {
    return (
      <Page title={t.gone(name)} crumbs={[{ label: t.title, href: paths.boards() }]}>
        <Empty
          title={t.gone(name)}
          action={
            <Button component="a" href={paths.boards()}>
              {t.title}
            </Button>
          }
        />
      </Page>
    );
  }
  return <Shown key={`${namespace}/${name}`} board={board.item} />;
}

/** Repetitions of a panel or row that are drawn at once. */
const REPEATS_MAX = 20;

function Shown(props: { board: Board }) {
  const t = useTexts(texts);
  const format = useFormat();
  const url = useUrlValues();
  const kinds = useKinds();
  const { metadata, spec, status } = props.board;
  const kind = kinds.find('boards.maru.dev');
  const isBuiltIn = metadata.labels?.[BUILT_IN] === 'true';
  const mayEdit = useCan(kind && { verb: 'update', kind, namespace: metadata.namespace, name: metadata.name });
  const range: TimeRange = {
    from: url.get('from', spec.time?.from ?? 'now-1h'),
    to: url.get('to', spec.time?.to ?? 'now'),
  };
  const refresh = url.get('refresh', spec.refresh ?? '');
  const { span, reload } = useSpan(range, refresh === 'off' ? '' : refresh, format.zone);
  const areMarksWanted = url.get('marks') !== 'off';
  const marks = useChangeMarks(span, areMarksWanted);
  const isFetching = useIsFetching({ queryKey: ['prometheus'] }) > 0;
  const wrong = status?.conditions?.find((one) => one.type === 'Accepted' && one.status === 'False');
  return (
    <Page
      title={spec.title}
      crumbs={[{ label: t.title, href: paths.boards() }]}
      actions={
        <>
          <Switch
            size="xs"
            label={t.changes}
            checked={areMarksWanted}
            onChange={(event) => url.set({ marks: event.currentTarget.checked ? '' : 'off' })}
          />
          {kind !== undefined && (
            <Button
              size="xs"
              variant="default"
              component="a"
              leftSection={isBuiltIn ? <IconCopy size={14} aria-hidden /> : <IconPencil size={14} aria-hidden />}
              href={paths.object(kind, metadata.namespace, metadata.name, 'yaml')}
            >
              {isBuiltIn || mayEdit !== true ? t.copy : t.edit}
            </Button>
          )}
          <TimeRangePicker
            range={range}
            span={span}
            onChange={(next) => url.set({ from: next.from, to: next.to }, 'push')}
            refresh={refresh === 'off' ? '' : refresh}
            onRefresh={(every) => url.set({ refresh: every === '' ? 'off' : every })}
            onReload={reload}
            isLoading={isFetching}
          />
        </>
      }
    >
      {wrong !== undefined && (
        <Alert color="red" title={t.problems} mb="sm">
          {wrong.message}
        </Alert>
      )}
      {span !== undefined && (
        <Rows
          spec={spec}
          span={span}
          marks={marks}
          syncKey={metadata.uid}
          onSpan={(start, end) => url.set({ ...fixedRange({ start, end }) }, 'push')}
        />
      )}
      {spec.notes !== undefined && spec.notes.length > 0 && (
        <Alert color="gray" variant="light" title={t.notes} mt="md">
          <List size="xs">
            {spec.notes.map((note) => (
              <List.Item key={note}>{note}</List.Item>
            ))}
          </List>
        </Alert>
      )}
    </Page>
  );
}

function Rows(props: {
  spec: BoardSpec;
  span: Span;
  marks: readonly ChartMark[];
  syncKey: string;
  onSpan: (start: number, end: number) => void;
}) {
  const t = useTexts(texts);
  const url = useUrlValues();
  const { spec, span } = props;
  const values = useMemo(() => always(span, chooseStep(span.end - span.start, 300, 15)), [span]);
  const { chosen, isReady } = useVariables(spec.variables, url, values, span);
  return (
    <Stack gap="xs">
      <VariableBar chosen={chosen} url={url} />
      {isReady ? (
        spec.rows.map((row, index) => {
          const { repeats, all } = repeated(row.repeat, chosen);
          return repeats.map((own, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name than their place
            <div key={`${index} ${at}`}>
              <RowSection {...props} row={row} chosen={own} title={fillTitle(row.title ?? '', own, values, t.all)} />
              {at === repeats.length - 1 && all > repeats.length && (
                <Text size="xs" c="dimmed">
                  {t.repeatMany(repeats.length, all)}
                </Text>
              )}
            </div>
          ));
        })
      ) : (
        <Loading />
      )}
    </Stack>
  );
}

function RowSection(props: {
  row: BoardRow;
  chosen: ChosenByName;
  title: string;
  span: Span;
  marks: readonly ChartMark[];
  syncKey: string;
  onSpan: (start: number, end: number) => void;
}) {
  const { row, title } = props;
  const [isOpen, setOpen] = useState(row.collapsed !== true);
  const Mark = isOpen ? IconChevronDown : IconChevronRight;
  return (
    <section aria-label={title}>
      {title !== '' && (
        <UnstyledButton className={classes.row} onClick={() => setOpen(!isOpen)} aria-expanded={isOpen}>
          <Mark size={14} aria-hidden />
          {title}
        </UnstyledButton>
      )}
      {isOpen && (
        <div className={classes.grid}>
          {row.panels.flatMap((panel, index) =>
            repeated(panel.repeat, props.chosen).repeats.map((own, at) => (
              <PanelCard
                // biome-ignore lint/suspicious/noArrayIndexKey: panels have no other name than their place
                key={`${index} ${at} ${panel.title ?? ''}`}
                panel={panel as Panel}
                chosen={own}
                span={props.span}
                marks={props.marks}
                syncKey={props.syncKey}
                onSpan={props.onSpan}
              />
            )),
          )}
        </div>
      )}
    </section>
  );
}

/** Once for each chosen value of a variable, with that value alone; once without a variable. */
function repeated(variable: string | undefined, chosen: ChosenByName): { repeats: ChosenByName[]; all: number } {
  const one = variable ? chosen.get(variable) : undefined;
  if (one === undefined) return { repeats: [chosen], all: 1 };
  const values = one.values.includes(ALL) ? one.choices.map((choice) => choice.value) : one.values;
  const repeats = values.slice(0, REPEATS_MAX).map((value) => {
    const alone: Chosen = { ...one, values: [value] };
    return new Map([...chosen, [one.variable.name, alone]]);
  });
  return { repeats, all: values.length };
}
