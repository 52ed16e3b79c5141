// The graph. What it shows is in the table too.
import { useComputedColorScheme } from '@mantine/core';
import {
  BaseEdge,
  Controls,
  type Edge,
  EdgeLabelRenderer,
  type EdgeProps,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from '@xyflow/react';
import '@xyflow/react/dist/style.css';
import { IconClipboardCheck, IconTarget, IconWorld } from '@tabler/icons-react';
import { useMemo } from 'react';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { toneColor } from '../../ui/status';
import { NODE_HEIGHT, NODE_WIDTH, place, type Route, softPath } from './layout';
import {
  type CallEdge,
  type CallState,
  type Red,
  type ServiceNode,
  type Topology,
  worstOutcome,
  worstVerdict,
} from './model';
import { texts } from './texts';
import classes from './topology.module.css';

type BoxNode = Node<{ node: ServiceNode }, 'box'>;
type LineEdge = Edge<{ edge: CallEdge; route: Route | undefined }, 'line'>;

const boxes = { box: Box };
const lines = { line: Line };

/** A colour and a dash for each state: never by colour alone. */
export const STROKES: Record<CallState, { color: string; dash: string | undefined }> = {
  both: { color: toneColor('good'), dash: undefined },
  plain: { color: toneColor('unknown'), dash: undefined },
  unknown: { color: toneColor('unknown'), dash: '2 4' },
  drawn: { color: toneColor('warn'), dash: '7 5' },
  seen: { color: toneColor('bad'), dash: '12 3 2 3' },
};

export function Graph(props: { topology: Topology; namespace: string; chosen: string; choose: (id: string) => void }) {
  const t = useTexts(texts);
  const scheme = useComputedColorScheme('light');
  const sayRed = useSayRed();
  const { topology, chosen } = props;
  const layout = useMemo(() => place(topology), [topology]);
  // Another layout is fitted into the window anew; numbers that change leave the view where the reader moved it.
  const places = [...layout.nodes].map(([id, at]) => `${id}@${at.x},${at.y}`).join();
  const nodes = useMemo((): BoxNode[] => {
    return topology.nodes.map((node) => ({
      id: node.id,
      type: 'box',
      position: layout.nodes.get(node.id) ?? { x: 0, y: 0 },
      data: { node },
      width: NODE_WIDTH,
      height: NODE_HEIGHT,
      selected: node.id === chosen,
      ariaLabel: [nodeName(t, node), sayRed(node.red)].filter(Boolean).join(', '),
    }));
  }, [topology, layout, chosen, t, sayRed]);
  const edges = useMemo(
    (): LineEdge[] =>
      topology.edges.map((edge) => ({
        id: edge.id,
        source: edge.from,
        target: edge.to,
        type: 'line',
        data: { edge, route: layout.edges.get(edge.id) },
        selected: edge.id === chosen,
        focusable: true,
        ariaLabel: [
          `${edge.from.replace(/^[^/]*\//, '')} → ${edge.to.replace(/^[^/]*\//, '')}`,
          t[edge.state],
          sayRed(edge.red),
        ]
          .filter(Boolean)
          .join(', '),
        markerEnd: { type: MarkerType.ArrowClosed, color: STROKES[edge.state].color, width: 16, height: 16 },
      })),
    [topology, layout, chosen, t, sayRed],
  );
  return (
    <section className={classes.canvas} aria-label={t.graphLabel(props.namespace)}>
      <ReactFlow
        key={places}
        nodes={nodes}
        edges={edges}
        nodeTypes={boxes}
        edgeTypes={lines}
        colorMode={scheme}
        fitView
        fitViewOptions={{ maxZoom: 1.1, padding: 0.08 }}
        minZoom={0.2}
        maxZoom={2}
        nodesDraggable={false}
        nodesConnectable={false}
        onNodeClick={(_, node) => props.choose(node.id)}
        onEdgeClick={(_, edge) => props.choose(edge.id)}
        onPaneClick={() => props.choose('')}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' && event.key !== ' ') return;
          const id = event.target instanceof Element && event.target.closest('[data-id]')?.getAttribute('data-id');
          if (id) props.choose(id);
        }}
      >
        <Controls showInteractive={false} />
      </ReactFlow>
    </section>
  );
}

export function nodeName(t: (typeof texts)['en'], node: ServiceNode): string {
  return node.kind === 'outside' ? t.outside : node.name;
}

/** Rate, errors and duration in words. */
export function useSayRed(): (red: Red | undefined) => string {
  const t = useTexts(texts);
  const format = useFormat();
  return useMemo(
    () => (red) =>
      red === undefined
        ? ''
        : [
            t.perSecond(format.number(red.rate, red.rate < 1 ? 2 : 1)),
            red.errors === undefined ? '' : `${t.errors} ${format.percent(red.errors, 1)}`,
            red.p95 === undefined ? '' : format.seconds(red.p95),
          ]
            .filter(Boolean)
            .join(' · '),
    [t, format],
  );
}

function Box(props: NodeProps<BoxNode>) {
  const t = useTexts(texts);
  const sayRed = useSayRed();
  const { node } = props.data;
  const verdict = worstVerdict(node.requirements);
  const outcome = worstOutcome(node.objectives);
  const isUp = node.pods > 0 && node.ready === node.pods;
  const tone = node.kind !== 'service' || node.pods === 0 ? undefined : isUp ? 'good' : 'bad';
  return (
    <div
      className={classes.node}
      data-kind={node.kind}
      data-tone={tone}
      style={{
        minHeight: NODE_HEIGHT,
        outline: props.selected ? '2px solid var(--mantine-primary-color-filled)' : undefined,
      }}
    >
      <Handle type="target" position={Position.Left} className={classes.handle ?? ''} isConnectable={false} />
      <div className={classes.name} title={nodeName(t, node)}>
        {node.kind === 'outside' && (
          <IconWorld size={14} aria-hidden style={{ verticalAlign: '-2px', marginRight: 4 }} />
        )}
        {nodeName(t, node)}
      </div>
      <div className={classes.dim}>
        {node.kind === 'outside' && t.outsideWhat}
        {node.kind === 'other' && node.namespace}
        {node.kind === 'drawn' && t.notThere}
        {node.kind === 'service' && node.pods > 0 && t.ready(node.ready, node.pods)}
      </div>
      <div className={classes.badges}>
        {node.requirements.length > 0 && (
          <span className={classes.badge} title={t.requirementsOf(node.requirements.length)}>
            <IconClipboardCheck size={13} color={toneColor(verdict ?? 'unknown')} aria-hidden />
            {node.requirements.length}
          </span>
        )}
        {node.objectives.length > 0 && (
          <span className={classes.badge} title={t.objectivesOf(node.objectives.length)}>
            <IconTarget size={13} color={toneColor(outcome ?? 'unknown')} aria-hidden />
            {node.objectives.length}
          </span>
        )}
        {node.red && <span className={classes.dim}>{sayRed(node.red)}</span>}
      </div>
      <Handle type="source" position={Position.Right} className={classes.handle ?? ''} isConnectable={false} />
    </div>
  );
}

function Line(props: EdgeProps<LineEdge>) {
  const t = useTexts(texts);
  const format = useFormat();
  const sayRed = useSayRed();
  const { edge, route } = props.data ?? {};
  if (edge === undefined || route === undefined) return null;
  const stroke = STROKES[edge.state];
  const red = edge.red && { ...edge.red, errors: undefined };
  const words = sayRed(red) || (edge.connections === undefined ? '' : t.connections(edge.connections));
  const failing =
    edge.red?.errors !== undefined && edge.red.errors > 0 ? `${t.errors} ${format.percent(edge.red.errors, 1)}` : '';
  const marked = edge.state === 'drawn' || edge.state === 'seen';
  return (
    <>
      <BaseEdge
        id={props.id}
        path={softPath(route.points)}
        interactionWidth={16}
        {...(props.markerEnd && { markerEnd: props.markerEnd })}
        style={{
          stroke: stroke.color,
          strokeWidth: props.selected ? 3 : edge.critical ? 2.2 : 1.5,
          ...(stroke.dash && { strokeDasharray: stroke.dash }),
        }}
      />
      {(words !== '' || marked) && (
        <EdgeLabelRenderer>
          <div
            className={classes.label}
            aria-hidden
            style={{
              transform: `translate(-50%, -50%) translate(${route.label.x}px, ${route.label.y}px)`,
              borderColor: marked ? stroke.color : undefined,
            }}
          >
            {marked && <div style={{ color: stroke.color, fontWeight: 600 }}>{t[edge.state]}</div>}
            {words}
            {failing !== '' && <div style={{ color: toneColor('bad') }}>{failing}</div>}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
}
