// What was chosen in the graph: its numbers, its requirements and objectives, and where to go on.
import { Anchor, CloseButton, Group, List, Stack, Text, Title } from '@mantine/core';
import { useSession } from '../../api/session';
import { useLocalText, useTexts } from '../../i18n/texts';
import { paths } from '../../paths';
import { StatusBadge } from '../../ui/status';
import { OutcomeBadge, VerdictBadge } from '../../ui/verdict';
import { nodeName, useSayRed } from './graph';
import type { CallEdge, ServiceNode, Topology } from './model';
import { CALL_TONES } from './tables';
import { texts } from './texts';
import classes from './topology.module.css';

const SERVICE = { group: '', plural: 'services' };

export function Details(props: { topology: Topology; chosen: string; close: () => void }) {
  const t = useTexts(texts);
  const node = props.topology.nodes.find((one) => one.id === props.chosen);
  const edge = props.topology.edges.find((one) => one.id === props.chosen);
  if (node === undefined && edge === undefined) return null;
  const name = (id: string) => {
    const found = props.topology.nodes.find((one) => one.id === id);
    return found ? nodeName(t, found) : id;
  };
  return (
    <aside className={classes.details} aria-label={t.details}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Title order={2} size="h4" style={{ overflowWrap: 'anywhere' }}>
          {node ? nodeName(t, node) : `${name(edge?.from ?? '')} → ${name(edge?.to ?? '')}`}
        </Title>
        <CloseButton size="sm" aria-label={t.close} onClick={props.close} />
      </Group>
      {node && <NodeDetails node={node} />}
      {edge && <EdgeDetails edge={edge} />}
    </aside>
  );
}

function EdgeDetails(props: { edge: CallEdge }) {
  const t = useTexts(texts);
  const sayRed = useSayRed();
  const { edge } = props;
  return (
    <Stack gap={6} align="flex-start" mt="xs">
      <StatusBadge tone={CALL_TONES[edge.state]} label={t[edge.state]} />
      {edge.red && <Text size="sm">{sayRed(edge.red)}</Text>}
      {edge.connections !== undefined && <Text size="sm">{t.connections(edge.connections)}</Text>}
      {edge.critical && (
        <Text size="sm" c="dimmed">
          {t.critical}
        </Text>
      )}
    </Stack>
  );
}

function NodeDetails(props: { node: ServiceNode }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const sayRed = useSayRed();
  const { rooms } = useSession();
  const { node } = props;
  const { namespace = '' } = node;
  const gateway = `maru_gateway_requests_total{service=~"${namespace}/${node.name}:.*"}`;
  return (
    <Stack gap={6} align="flex-start" mt="xs">
      {node.kind === 'drawn' && <Text size="sm">{t.notThere}</Text>}
      {node.pods > 0 && (
        <StatusBadge tone={node.ready === node.pods ? 'good' : 'bad'} label={t.ready(node.ready, node.pods)} />
      )}
      {node.red && <Text size="sm">{sayRed(node.red)}</Text>}
      {node.kind === 'service' && (
        <Group gap="sm">
          <Anchor size="sm" href={paths.object(SERVICE, namespace, node.name)}>
            {t.open}
          </Anchor>
          <Anchor size="sm" href={paths.logs(namespace, `app=${node.name}`)}>
            {t.logs}
          </Anchor>
          {rooms.prometheus !== undefined && (
            <Anchor size="sm" href={paths.explore(`sum by (code) (rate(${gateway}[5m]))`)}>
              {t.metrics}
            </Anchor>
          )}
        </Group>
      )}
      {node.requirements.length > 0 && (
        <section>
          <Title order={3} size="h6" mt="xs">
            {t.requirements}
          </Title>
          <List size="sm" listStyleType="none">
            {node.requirements.map((one) => (
              <List.Item key={one.metadata.uid}>
                <Anchor inherit href={paths.requirement(one.metadata.namespace ?? '', one.metadata.name)}>
                  {one.metadata.name} {local(one.spec.title)}
                </Anchor>{' '}
                <VerdictBadge verdict={one.status?.verdict} />
              </List.Item>
            ))}
          </List>
        </section>
      )}
      {node.objectives.length > 0 && (
        <section>
          <Title order={3} size="h6" mt="xs">
            {t.objectives}
          </Title>
          <List size="sm" listStyleType="none">
            {node.objectives.map((one) => (
              <List.Item key={one.metadata.uid}>
                <Anchor inherit href={paths.objective(one.metadata.namespace ?? '', one.metadata.name)}>
                  {one.metadata.name}
                </Anchor>{' '}
                <OutcomeBadge outcome={one.status?.outcome} />
              </List.Item>
            ))}
          </List>
        </section>
      )}
    </Stack>
  );
}
