// A new objective for what the gateway counts of a service: the words of the sentence as a form.
import {
  Alert,
  Button,
  Code,
  Group,
  Modal,
  NumberInput,
  Select,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
} from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import type { Kind } from '../../api/discovery';
import { createObject } from '../../api/objects';
import { labelValuesQuery } from '../../api/prometheus';
import { useSession } from '../../api/session';
import { useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { paths } from '../../paths';
import { fraction, specOf } from './model';
import { texts } from './texts';

export function CreateObjective(props: {
  kind: Kind;
  namespaces: readonly string[];
  opened: boolean;
  close: () => void;
}) {
  const t = useTexts(texts);
  return (
    <Modal opened={props.opened} onClose={props.close} title={t.make} size="lg">
      {props.opened && <Form {...props} />}
    </Modal>
  );
}

/** `shop/orders:8080` is the service `orders` of the gateway. */
function serviceNames(labels: readonly string[]): string[] {
  return [...new Set(labels.map((label) => label.replace(/^.*\//, '').replace(/:.*$/, '')))].filter(Boolean).sort();
}

function Form(props: { kind: Kind; namespaces: readonly string[]; close: () => void }) {
  const t = useTexts(texts);
  const { zone } = useFormat();
  const navigate = useNavigate();
  const { rooms } = useSession();
  const services = useQuery({
    ...labelValuesQuery('service', 'maru_gateway_requests_total'),
    enabled: rooms.prometheus !== undefined,
  });
  const [service, setService] = useState('');
  const [what, setWhat] = useState<'success' | 'latency'>('latency');
  const [percent, setPercent] = useState('99.9');
  const [ms, setMs] = useState('300');
  const [window, setWindow] = useState('28d');
  const [namespace, setNamespace] = useState(props.namespaces[0] ?? 'default');
  const [ownName, setName] = useState('');
  const name = ownName || (service === '' ? '' : `${service}-${what === 'success' ? 'availability' : 'latency'}`);
  const target = fraction(percent);
  const isRight = target > 0 && target < 1;
  const windows = [
    { value: '1d', label: t.day },
    { value: '1w', label: t.week },
    { value: '1M', label: t.month },
    { value: '7d', label: t.rollingDays(7) },
    { value: '28d', label: t.rollingDays(28) },
    { value: '30d', label: t.rollingDays(30) },
  ];
  const over = windows.find((one) => one.value === window)?.label ?? window;
  const sentence = t.sentence(percent, over, what === 'latency' ? t.sentenceWithin(ms) : '');
  const create = useMutation({
    mutationFn: () =>
      createObject(props.kind, namespace, {
        apiVersion: `${props.kind.group}/${props.kind.version}`,
        kind: props.kind.kind,
        metadata: { name, namespace },
        spec: specOf({ service, kind: what, percent, ms, window, zone, description: sentence }),
      }),
    onSuccess: () => {
      props.close();
      void navigate(paths.objective(namespace, name));
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (isRight && service !== '' && name !== '') create.mutate();
      }}
    >
      <Stack gap="sm">
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm" verticalSpacing="xs">
          <TextInput
            size="xs"
            label={t.service}
            description={t.serviceHint}
            withAsterisk
            value={service}
            list="maru-services"
            onChange={(event) => setService(event.currentTarget.value.trim())}
          />
          <Select
            size="xs"
            label={t.kind}
            description=" "
            allowDeselect={false}
            value={what}
            onChange={(value) => setWhat(value === 'success' ? 'success' : 'latency')}
            data={[
              { value: 'latency', label: t.latency },
              { value: 'success', label: t.success },
            ]}
          />
          <TextInput
            size="xs"
            label={t.percent}
            inputMode="decimal"
            value={percent}
            error={isRight ? undefined : t.wrong}
            onChange={(event) => setPercent(event.currentTarget.value.trim())}
          />
          {what === 'latency' && (
            <NumberInput size="xs" label={t.ms} min={1} value={Number(ms)} onChange={(value) => setMs(String(value))} />
          )}
          <Select
            size="xs"
            label={t.over}
            allowDeselect={false}
            value={window}
            data={windows}
            onChange={(value) => setWindow(value ?? '28d')}
          />
          <Select
            size="xs"
            label={t.namespace}
            allowDeselect={false}
            searchable
            value={namespace}
            data={[...props.namespaces]}
            onChange={(value) => setNamespace(value ?? 'default')}
          />
          <TextInput
            size="xs"
            label={t.name}
            description={t.nameHint}
            value={name}
            onChange={(event) => setName(event.currentTarget.value.trim())}
          />
        </SimpleGrid>
        <datalist id="maru-services">
          {serviceNames(services.data ?? []).map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <Text fw={600}>{sentence}</Text>
        <Text size="xs" c="dimmed">
          {t.counted} {t.command}
        </Text>
        <Code block>{`maru slo from "${sentence}" --service ${service || 'SERVICE'} | kubectl apply -f -`}</Code>
        {create.error !== null && (
          <Alert color="red" role="alert">
            {create.error.message}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={props.close}>
            {t.cancel}
          </Button>
          <Button
            type="submit"
            loading={create.isPending}
            disabled={!isRight || service === '' || name === ''}
            title={service === '' ? t.serviceHint : undefined}
          >
            {t.create}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
