// What a person does here: takes a baseline, and says a word on one.
import {
  Alert,
  Button,
  Group,
  Modal,
  SegmentedControl,
  Stack,
  Text,
  Textarea,
  TextInput,
  Tooltip,
} from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import type { Baseline } from '../../api/maru';
import { createObject } from '../../api/objects';
import { useTexts } from '../../i18n/texts';
import { texts } from './texts';

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

export function TakeBaseline(props: { namespace: string }) {
  const t = useTexts(texts);
  const kind = useKinds().find('baselines.maru.dev');
  const may = useCan(kind && { verb: 'create', kind, namespace: props.namespace });
  const [opened, setOpened] = useState(false);
  const [name, setName] = useState('');
  const [title, setTitle] = useState('');
  const [change, setChange] = useState('');
  const take = useMutation({
    mutationFn: async () => {
      if (!kind) throw new Error('baselines are not served');
      return createObject(kind, props.namespace, {
        apiVersion: 'maru.dev/v1alpha1',
        kind: 'Baseline',
        metadata: { name },
        spec: { title: title.trim() || name, change: change.trim() },
      });
    },
    onSuccess: () => setOpened(false),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    take.mutate();
  };
  if (kind === undefined) return null;
  return (
    <>
      <Tooltip label={t.mayNotTake} disabled={may !== false}>
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => may === true && setOpened(true)}
          aria-disabled={may !== true}
          {...(may === true ? {} : { 'data-disabled': true })}
        >
          {t.take}
        </Button>
      </Tooltip>
      <Modal opened={opened} onClose={() => setOpened(false)} title={t.takeTitle} centered>
        <form onSubmit={submit}>
          <Stack>
            <TextInput
              label={t.name}
              description={t.nameHint}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              error={name !== '' && !NAME.test(name) ? t.nameHint : undefined}
              required
              autoComplete="off"
              data-autofocus
            />
            <TextInput
              label={t.baselineTitle}
              value={title}
              onChange={(event) => setTitle(event.currentTarget.value)}
              autoComplete="off"
            />
            <Textarea
              label={t.why}
              value={change}
              onChange={(event) => setChange(event.currentTarget.value)}
              autosize
              minRows={2}
            />
            {take.error !== null && (
              <Alert color="red" role="alert">
                {take.error.message}
              </Alert>
            )}
            <Group justify="flex-end">
              <Button variant="default" onClick={() => setOpened(false)}>
                {t.cancel}
              </Button>
              <Button type="submit" loading={take.isPending} disabled={!NAME.test(name)}>
                {t.take}
              </Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}

export function ApproveBaseline(props: { namespace: string; baseline: Baseline }) {
  const t = useTexts(texts);
  const { namespace, baseline } = props;
  const kind = useKinds().find('approvals.maru.dev');
  const mayCreate = useCan(kind && { verb: 'create', kind, namespace });
  const [opened, setOpened] = useState(false);
  const [role, setRole] = useState('customer');
  const [decision, setDecision] = useState('approved');
  const [comment, setComment] = useState('');
  const holds = useCan(
    opened
      ? { verb: 'approve', kind: { group: 'maru.dev', plural: 'approvalroles' }, namespace, name: role.trim() }
      : undefined,
  );
  const say = useMutation({
    mutationFn: async () => {
      if (!kind) throw new Error('approvals are not served');
      return createObject(kind, namespace, {
        apiVersion: 'maru.dev/v1alpha1',
        kind: 'Approval',
        metadata: { generateName: `${baseline.metadata.name}-${role.trim().toLowerCase()}-` },
        spec: {
          role: role.trim(),
          of: [{ kind: 'Baseline', name: baseline.metadata.name, fingerprint: baseline.status?.fingerprint }],
          decision,
          comment: comment.trim(),
        },
      });
    },
    onSuccess: () => setOpened(false),
  });
  if (mayCreate !== true || baseline.status?.fingerprint === undefined) return null;
  return (
    <>
      <Button size="compact-xs" variant="default" onClick={() => setOpened(true)}>
        {t.approve}
      </Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title={t.approveTitle(baseline.metadata.name)} centered>
        <Stack>
          <Text size="sm">{t.signs}</Text>
          <TextInput
            label={t.inRole}
            description={t.roleHint}
            value={role}
            onChange={(event) => setRole(event.currentTarget.value)}
            error={holds === false && role.trim() !== '' ? t.mayNot(role.trim()) : undefined}
            autoComplete="off"
          />
          <SegmentedControl
            aria-label={t.decision}
            value={decision}
            onChange={setDecision}
            data={[
              { value: 'approved', label: t.approved },
              { value: 'rejected', label: t.rejected },
            ]}
          />
          <Textarea
            label={t.comment}
            value={comment}
            onChange={(event) => setComment(event.currentTarget.value)}
            autosize
            minRows={2}
            required={decision === 'rejected'}
          />
          {say.error !== null && (
            <Alert color="red" role="alert">
              {say.error.message}
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setOpened(false)}>
              {t.cancel}
            </Button>
            <Button
              loading={say.isPending}
              disabled={holds !== true || (decision === 'rejected' && comment.trim() === '')}
              onClick={() => say.mutate()}
            >
              {t.say}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
