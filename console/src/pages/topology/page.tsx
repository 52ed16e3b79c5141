// Who calls whom: services with their numbers, their requirements and objectives, and what is drawn against what is seen.
import { Alert, Button, Group, SegmentedControl, Select, Stack, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { paths } from '../../paths';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Page } from '../../ui/page';
import { Details } from './details';
import { Graph, STROKES } from './graph';
import type { CallState, Topology } from './model';
import { Tables } from './tables';
import { texts } from './texts';
import classes from './topology.module.css';
import { useServiceNamespaces, useTopology } from './use-topology';

const WINDOWS = ['5m', '15m', '1h', '6h', '1d'];

export function Component() {
  const t = useTexts(texts);
  const { names, loading, error } = useServiceNamespaces();
  const [asked, setNamespace] = useUrlState('namespace');
  const [window, setWindow] = useUrlState('window', '15m');
  const isNarrow = useMediaQuery('(max-width: 48em)', false, { getInitialValueInEffect: false });
  const [view, setView] = useUrlState('view', isNarrow ? 'table' : 'graph');
  const namespace = asked || names[0];
  return (
    <Page
      title={t.title}
      actions={
        <>
          <Select
            size="xs"
            aria-label={t.namespace}
            value={namespace ?? null}
            data={[...new Set([...(asked ? [asked] : []), ...names])]}
            onChange={(value) => setNamespace(value ?? '')}
            allowDeselect={false}
            searchable
          />
          <SegmentedControl size="xs" aria-label={t.window} value={window} onChange={setWindow} data={WINDOWS} />
          <SegmentedControl
            size="xs"
            aria-label={t.view}
            value={view}
            onChange={setView}
            data={[
              { value: 'graph', label: t.graph },
              { value: 'table', label: t.table },
            ]}
          />
        </>
      }
    >
      {loading && namespace === undefined ? (
        <Loading />
      ) : namespace === undefined ? (
        error ? (
          <Failed error={error} />
        ) : (
          <Nothing namespace={undefined} />
        )
      ) : (
        <Shown key={namespace} namespace={namespace} window={WINDOWS.includes(window) ? window : '15m'} view={view} />
      )}
    </Page>
  );
}

function Nothing(props: { namespace: string | undefined }) {
  const t = useTexts(texts);
  return (
    <Empty
      title={t.empty}
      action={
        <Button component="a" href={paths.create(props.namespace)}>
          {t.createService}
        </Button>
      }
      command="kubectl expose deployment NAME --port 80"
    >
      {t.emptyWhat}
    </Empty>
  );
}

function Shown(props: { namespace: string; window: string; view: string }) {
  const t = useTexts(texts);
  const [chosen, choose] = useUrlState('chosen');
  const { graph, loading, error, observes, isDrawn } = useTopology(props.namespace, props.window);
  if (loading) return <Loading />;
  if (graph.nodes.length === 0) return <Nothing namespace={props.namespace} />;
  return (
    <Stack gap="xs">
      {error !== undefined && (
        <Alert color="red" py={6} role="alert">
          {t.noMetrics} {error.message}
        </Alert>
      )}
      <Legend topology={graph} observes={observes} isDrawn={isDrawn} />
      {props.view === 'table' ? (
        <Tables topology={graph} />
      ) : (
        <div className={classes.side}>
          <Graph topology={graph} namespace={props.namespace} chosen={chosen} choose={choose} />
          <Details topology={graph} chosen={chosen} close={() => choose('')} />
        </div>
      )}
    </Stack>
  );
}

function Legend(props: { topology: Topology; observes: boolean; isDrawn: boolean }) {
  const t = useTexts(texts);
  const count = (state: CallState) => props.topology.edges.filter((edge) => edge.state === state).length;
  const states = (['both', 'plain', 'unknown', 'drawn', 'seen'] as const).filter((state) => count(state) > 0);
  const [drawn, seen] = [count('drawn'), count('seen')];
  return (
    <Group justify="space-between" gap="xs">
      <Text size="sm" role="status">
        {props.isDrawn &&
          (!props.observes ? t.notObserved : drawn + seen === 0 ? t.agrees : t.differences(drawn, seen))}
      </Text>
      <div className={classes.legend}>
        {states.map((state) => (
          <span key={state} className={classes.line}>
            <svg width="34" height="8" aria-hidden="true">
              <path d="M0 4h34" stroke={STROKES[state].color} strokeWidth="2" strokeDasharray={STROKES[state].dash} />
            </svg>
            <Text size="xs">{t[state]}</Text>
          </span>
        ))}
      </div>
    </Group>
  );
}
