// Where the boxes stand: callers left of the called.
import dagre from '@dagrejs/dagre';
import type { Topology } from './model';

export const NODE_WIDTH = 190;
export const NODE_HEIGHT = 76;

export function place(topology: Topology): Map<string, { x: number; y: number }> {
  const graph = new dagre.graphlib.Graph({ directed: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 28, ranksep: 130, edgesep: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of topology.nodes) graph.setNode(node.id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const edge of topology.edges) graph.setEdge(edge.from, edge.to);
  dagre.layout(graph);
  return new Map(
    topology.nodes.map((node) => {
      const { x, y } = graph.node(node.id);
      return [node.id, { x: x - NODE_WIDTH / 2, y: y - NODE_HEIGHT / 2 }];
    }),
  );
}
