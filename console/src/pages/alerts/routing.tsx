// Who is told of what: receivers, the routing tree, and the way that given labels would go.
import { Badge, Code, Group, List, Paper, Spoiler, Stack, Text, TextInput, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { statusQuery } from '../../api/alertmanager';
import { useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { Empty, Failed, Loading } from '../../ui/faces';
import { StatusBadge } from '../../ui/status';
import classes from './alerts.module.css';
import { AlertsPage } from './frame';
import { type Route, readRouting, splitMatchers, waysOf, writeMatchers } from './routing-model';
import { texts } from './texts';

const COMMAND =
  'kubectl -n maru-system create secret generic alertmanager-main --from-file=alertmanager.yaml=alertmanager.yml';

export function Component() {
  const t = useTexts(texts);
  const status = useQuery(statusQuery);
  const [labels, setLabels] = useUrlState('labels');
  const original = status.data?.config.original ?? '';
  const routing = useMemo(() => readRouting(original), [original]);
  const wanted = splitMatchers(labels);
  const ways =
    routing.root === undefined || wanted.length === 0
      ? []
      : waysOf(routing.root, Object.fromEntries(wanted.map((one) => [one.name, one.value])));
  const tells = routing.receivers.some((receiver) => receiver.integrations.length > 0);
  return (
    <AlertsPage tab="routing">
      {status.isPending ? (
        <Loading />
      ) : status.isError ? (
        <Failed error={status.error} />
      ) : (
        <Stack gap="md">
          {!tells && (
            <Empty title={t.noReceivers} command={COMMAND}>
              {t.noReceiversHint}
            </Empty>
          )}
          {routing.receivers.length > 0 && (
            <Paper withBorder p="sm">
              <Title order={2} fz="h3" mb={4}>
                {t.receivers}
              </Title>
              <Group gap="md">
                {routing.receivers.map((receiver) => (
                  <Group key={receiver.name} gap={6}>
                    <Text size="sm" fw={600}>
                      {receiver.name}
                    </Text>
                    {receiver.integrations.map((integration, index) => (
                      // biome-ignore lint/suspicious/noArrayIndexKey: two of one kind have no other name
                      <Badge key={index} variant="default" tt="none" size="sm">
                        {integration}
                      </Badge>
                    ))}
                    {receiver.integrations.length === 0 && (
                      <Text size="xs" c="dimmed">
                        —
                      </Text>
                    )}
                  </Group>
                ))}
              </Group>
            </Paper>
          )}
          {routing.root !== undefined && (
            <Paper withBorder p="sm">
              <Title order={2} fz="h3" mb={4}>
                {t.tree}
              </Title>
              <TextInput
                size="xs"
                maw={480}
                mb="sm"
                label={t.try}
                placeholder={t.tryHint}
                value={labels}
                onChange={(event) => setLabels(event.currentTarget.value)}
              />
              <RouteView route={routing.root} ways={ways} />
            </Paper>
          )}
          {routing.inhibitions.length > 0 && (
            <Paper withBorder p="sm">
              <Title order={2} fz="h3" mb={4}>
                {t.inhibitions}
              </Title>
              <List size="sm">
                {routing.inhibitions.map((rule) => (
                  <List.Item key={rule}>
                    <Code>{rule}</Code>
                  </List.Item>
                ))}
              </List>
            </Paper>
          )}
          {original !== '' && (
            <Paper withBorder p="sm">
              <Title order={2} fz="h3" mb={4}>
                {t.configuration}
              </Title>
              <Spoiler maxHeight={200} showLabel="…" hideLabel="▲">
                <Code block>{original}</Code>
              </Spoiler>
            </Paper>
          )}
        </Stack>
      )}
    </AlertsPage>
  );
}

function RouteView(props: { route: Route; ways: readonly string[] }) {
  const t = useTexts(texts);
  const { route, ways } = props;
  const takes = ways.includes(route.path);
  return (
    <div className={classes.route} data-takes={takes || undefined}>
      <Group gap={8}>
        <Code>{route.matchers.length === 0 ? t.default : writeMatchers(route.matchers)}</Code>
        <Text size="sm">
          → <b>{route.receiver}</b>
        </Text>
        {takes && <StatusBadge tone="good" label={t.takes} />}
        {route.continues && (
          <Text size="xs" c="dimmed">
            {t.continues}
          </Text>
        )}
      </Group>
      <Text size="xs" c="dimmed">
        {route.groupBy.length > 0 && `${t.groupBy(route.groupBy.join(', '))} · `}
        {t.waits(route.wait, route.interval, route.repeat)}
        {route.mute.length > 0 && ` · ${t.muteTimes(route.mute.join(', '))}`}
      </Text>
      {route.routes.length > 0 && (
        <Stack gap={4} mt={4} ml="sm">
          {route.routes.map((child) => (
            <RouteView key={child.path} route={child} ways={ways} />
          ))}
        </Stack>
      )}
    </div>
  );
}
