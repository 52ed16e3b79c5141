// What people said about a requirement, and one's own word on it.
import { Alert, Anchor, Button, Group, Modal, SegmentedControl, Stack, Text, Textarea, Tooltip } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import type { Approval, Requirement } from '../../api/maru';
import { createObject } from '../../api/objects';
import { useTexts } from '../../i18n/texts';
import { evidenceName } from '../../lib/spine';
import { paths } from '../../paths';
import { Section } from '../../ui/section';
import { StatusBadge } from '../../ui/status';
import { useSpineWord } from '../../ui/verdict';
import { When } from '../../ui/when';
import classes from './requirement.module.css';
import { texts } from './texts';

export function Approvals(props: { requirement: Requirement; approvals: readonly Approval[] }) {
  const t = useTexts(texts);
  const word = useSpineWord();
  const { metadata, spec, status } = props.requirement;
  const namespace = metadata.namespace ?? '';
  const roles = [...new Set((spec.verify ?? []).flatMap((check) => check.approval?.role ?? []))];
  return (
    <Section title={t.approvals} count={props.approvals.length} id="approvals">
      {props.approvals.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t.noApprovals}
        </Text>
      ) : (
        <ul className={classes.rows}>
          {props.approvals.map((one) => {
            const of = one.spec.of.find((own) => own.kind === 'Requirement' && own.name === metadata.name);
            const isOther = of?.fingerprint !== undefined && of.fingerprint !== status?.fingerprint;
            return (
              <li key={one.metadata.name}>
                <Group gap={6}>
                  <StatusBadge
                    tone={one.spec.decision === 'approved' ? 'good' : 'bad'}
                    label={word(one.spec.decision)}
                  />
                  <Text span size="sm" fw={600}>
                    {one.spec.role}
                  </Text>
                  <Text span size="sm">
                    {t.by} {one.spec.by}
                  </Text>
                  <Text span size="xs" c="dimmed">
                    <When time={one.spec.at ?? one.metadata.creationTimestamp} />
                  </Text>
                </Group>
                {one.spec.comment && <Text size="sm">“{one.spec.comment}”</Text>}
                {isOther && (
                  <Text size="xs" c="var(--maru-warn)">
                    {t.forOther}
                  </Text>
                )}
                {one.status?.evidence !== undefined ? (
                  <Anchor size="xs" ff="monospace" href={paths.evidence(namespace, evidenceName(one.status.evidence))}>
                    {evidenceName(one.status.evidence)}
                  </Anchor>
                ) : (
                  <Text size="xs" c="var(--maru-warn)">
                    {one.status?.reason}
                  </Text>
                )}
              </li>
            );
          })}
        </ul>
      )}
      {roles.map((role) => (
        <ApproveButton key={role} role={role} requirement={props.requirement} />
      ))}
    </Section>
  );
}

function ApproveButton(props: { role: string; requirement: Requirement }) {
  const t = useTexts(texts);
  const { role } = props;
  const { metadata, status } = props.requirement;
  const namespace = metadata.namespace ?? '';
  const kind = useKinds().find('approvals.maru.dev');
  const mayCreate = useCan(kind && { verb: 'create', kind, namespace });
  const holdsRole = useCan({
    verb: 'approve',
    kind: { group: 'maru.dev', plural: 'approvalroles' },
    namespace,
    name: role,
  });
  const [opened, setOpened] = useState(false);
  const [decision, setDecision] = useState('approved');
  const [comment, setComment] = useState('');
  const say = useMutation({
    mutationFn: () => {
      if (!kind) throw new Error('approvals are not served');
      return createObject(kind, namespace, {
        apiVersion: 'maru.dev/v1alpha1',
        kind: 'Approval',
        metadata: { generateName: `${metadata.name}-${role.toLowerCase()}-` },
        spec: {
          role,
          of: [{ kind: 'Requirement', name: metadata.name, fingerprint: status?.fingerprint }],
          decision,
          comment: comment.trim(),
        },
      });
    },
    onSuccess: () => {
      setOpened(false);
      setComment('');
    },
  });
  const may = mayCreate === true && holdsRole === true;
  return (
    <>
      <Tooltip label={t.mayNot(role)} disabled={may || mayCreate === undefined || holdsRole === undefined}>
        <Button
          size="compact-sm"
          variant="default"
          mt="xs"
          {...(may ? {} : { 'data-disabled': true })}
          aria-disabled={!may}
          onClick={() => may && setOpened(true)}
        >
          {t.approve(role)}
        </Button>
      </Tooltip>
      <Modal opened={opened} onClose={() => setOpened(false)} title={t.approveTitle(metadata.name)} centered>
        <Stack>
          <Text size="sm">{t.signs}</Text>
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
              disabled={decision === 'rejected' && comment.trim() === ''}
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
