// What ConfigMaps and Secrets hold. A Secret's values are shown when a person asks, and the asking is recorded.
import { Alert, Button, Group, Text } from '@mantine/core';
import { IconEye, IconEyeOff } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { revealSecret } from '../../api/objects';
import type { AnyObject } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { Copy } from '../../ui/copy';
import { Section } from '../../ui/section';
import classes from './object.module.css';

const texts = defineTexts(
  {
    data: 'Data',
    secret: 'Secret data',
    reveal: 'Reveal the values',
    hide: 'Hide the values',
    recorded: 'Revealing is recorded: an event on this Secret will name you.',
    was: 'Recorded: an event on this Secret names you.',
    none: 'Empty',
    binary: (bytes: number) => `${bytes} bytes that are no text`,
    masked: 'masked',
    copy: (key: string) => `Copy ${key}`,
  },
  {
    data: '데이터',
    secret: '시크릿 데이터',
    reveal: '값 보기',
    hide: '값 숨기기',
    recorded: '값을 보면 기록이 남습니다. 이 시크릿의 이벤트에 사용자 이름이 기록됩니다.',
    was: '기록되었습니다. 이 시크릿의 이벤트에 사용자 이름이 남았습니다.',
    none: '비어 있음',
    binary: (bytes: number) => `텍스트가 아닌 ${bytes}바이트`,
    masked: '가려짐',
    copy: (key: string) => `${key} 복사`,
  },
);

export function ConfigMapData(props: { object: AnyObject }) {
  const t = useTexts(texts);
  const text = Object.entries((props.object.data ?? {}) as Record<string, string>);
  const binary = Object.entries((props.object.binaryData ?? {}) as Record<string, string>);
  return (
    <Section title={t.data} count={text.length + binary.length}>
      {text.length + binary.length === 0 && <Text c="dimmed">{t.none}</Text>}
      {text.map(([key, value]) => (
        <Value key={key} name={key} text={value} copy={t.copy(key)} />
      ))}
      {binary.map(([key, value]) => (
        <Value key={key} name={key} text={t.binary(Math.floor((value.length * 3) / 4))} copy={undefined} />
      ))}
    </Section>
  );
}

export function SecretData(props: { object: AnyObject }) {
  const t = useTexts(texts);
  const { namespace = '', name, resourceVersion } = props.object.metadata;
  const reveal = useMutation({ mutationFn: () => revealSecret(namespace, name), gcTime: 0 });
  const keys = Object.keys((props.object.data ?? {}) as object);
  const shown = reveal.data?.metadata.resourceVersion === resourceVersion ? reveal.data : undefined;
  const values = (shown?.data ?? {}) as Record<string, string>;
  return (
    <Section
      title={t.secret}
      count={keys.length}
      tools={
        keys.length > 0 && (
          <Button
            size="compact-xs"
            variant="default"
            loading={reveal.isPending}
            leftSection={shown ? <IconEyeOff size={14} aria-hidden /> : <IconEye size={14} aria-hidden />}
            onClick={() => (shown ? reveal.reset() : reveal.mutate())}
          >
            {shown ? t.hide : t.reveal}
          </Button>
        )
      }
    >
      {keys.length > 0 && (
        <Text size="xs" c="dimmed" mb={6} role="status">
          {shown ? t.was : t.recorded}
        </Text>
      )}
      {reveal.error !== null && (
        <Alert color="red" role="alert" mb="xs">
          {reveal.error.message}
        </Alert>
      )}
      {keys.length === 0 && <Text c="dimmed">{t.none}</Text>}
      {keys.map((key) => {
        const value = values[key];
        const text = value === undefined ? undefined : decode(value);
        return (
          <Value
            key={key}
            name={key}
            text={value === undefined ? undefined : (text ?? t.binary(atob(value).length))}
            copy={text === undefined ? undefined : t.copy(key)}
            masked={t.masked}
          />
        );
      })}
    </Section>
  );
}

function Value(props: { name: string; text: string | undefined; copy: string | undefined; masked?: string }) {
  return (
    <div className={classes.container}>
      <Group gap={6} mb={2}>
        <Text size="sm" fw={600}>
          {props.name}
        </Text>
        {props.copy !== undefined && props.text !== undefined && <Copy value={props.text} label={props.copy} />}
      </Group>
      {props.text === undefined ? (
        <Text span size="sm" c="dimmed" aria-label={props.masked ?? ''}>
          ••••••••
        </Text>
      ) : (
        <pre className={classes.value}>{props.text}</pre>
      )}
    </div>
  );
}

/** The text of a value; `undefined` when it is no text. */
function decode(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
