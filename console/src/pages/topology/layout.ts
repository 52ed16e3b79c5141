// Where the boxes stand, and how the lines go around them: callers left of the called.
import dagre from '@dagrejs/dagre';
import type { Topology } from './model';

export const NODE_WIDTH = 168;
export const NODE_HEIGHT = 76;
const LABEL_WIDTH = 96;
const LABEL_HEIGHT = 34;

export interface Point {
  x: number;
  y: number;
}

export interface Route {
  points: readonly Point[];
  label: Point;
}

export interface Layout {
  nodes: ReadonlyMap<string, Point>;
  edges: ReadonlyMap<string, Route>;
}

export function place(topology: Topology): Layout {
  const graph = new dagre.graphlib.Graph({ directed: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 30, ranksep: 26, edgesep: 24 });
  for (const node of topology.nodes) graph.setNode(node.id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const edge of topology.edges) {
    graph.setEdge(edge.from, edge.to, { width: LABEL_WIDTH, height: LABEL_HEIGHT, labelpos: 'c' });
  }
  dagre.layout(graph);
  const nodes = topology.nodes.map((node): [string, Point] => {
    const { x, y } = graph.node(node.id);
    return [node.id, { x: x - NODE_WIDTH / 2, y: y - NODE_HEIGHT / 2 }];
  });
  const edges = topology.edges.map((edge): [string, Route] => {
    const { points, x, y } = graph.edge(edge.from, edge.to) as { points: Point[]; x?: number; y?: number };
    const middle = points[Math.floor(points.length / 2)] ?? { x: 0, y: 0 };
    return [edge.id, { points, label: { x: x ?? middle.x, y: y ?? middle.y } }];
  });
  return { nodes: new Map(nodes), edges: new Map(edges) };
}

/** A line that bends softly at each point between its ends. */
export function softPath(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return '';
  const parts = [`M${first.x},${first.y}`];
  for (const [index, point] of rest.entries()) {
    const next = rest[index + 1];
    if (next === undefined) parts.push(`L${point.x},${point.y}`);
    else parts.push(`Q${point.x},${point.y} ${(point.x + next.x) / 2},${(point.y + next.y) / 2}`);
  }
  return parts.join(' ');
}
