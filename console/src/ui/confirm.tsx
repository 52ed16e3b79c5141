// Destructive acts name their object, and those that cannot be undone want its name typed.
import { Alert, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { defineTexts, useTexts } from '../i18n/texts';

const texts = defineTexts(
  { cancel: 'Cancel', type: (name: string) => `Type “${name}” to confirm` },
  { cancel: '취소', type: (name: string) => `확인하려면 “${name}”을(를) 입력하세요` },
);

export function Confirm(props: {
  opened: boolean;
  close: () => void;
  title: string;
  /** What will happen. */
  children: ReactNode;
  /** The button's words: `Delete pod web-1`. */
  action: string;
  act: () => Promise<unknown>;
  /** Must be typed first. */
  typed?: string;
}) {
  const t = useTexts(texts);
  const [text, setText] = useState('');
  const act = useMutation({ mutationFn: props.act, onSuccess: props.close });
  const close = () => {
    setText('');
    act.reset();
    props.close();
  };
  return (
    <Modal opened={props.opened} onClose={close} title={props.title} centered>
      <Stack>
        <Text component="div">{props.children}</Text>
        {props.typed !== undefined && (
          <TextInput
            label={t.type(props.typed)}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            autoComplete="off"
            data-autofocus
          />
        )}
        {act.error !== null && (
          <Alert color="red" role="alert">
            {act.error.message}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {t.cancel}
          </Button>
          <Button
            color="red"
            loading={act.isPending}
            disabled={props.typed !== undefined && text !== props.typed}
            onClick={() => act.mutate()}
          >
            {props.action}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
