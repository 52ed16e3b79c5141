// The whole object as YAML: edited with the server's schemas, tried out first, then written.

import type { Diagnostic } from '@codemirror/lint';
import { Alert, Button, Group, Switch, Text } from '@mantine/core';
import { IconAlertTriangle, IconCheck, IconDeviceFloppy, IconDownload, IconEye } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { useCan } from '../../api/access';
import type { Kind } from '../../api/discovery';
import { ApiError } from '../../api/http';
import { getObject, replaceObject, revealSecret } from '../../api/objects';
import { useSchemaSource } from '../../api/schema';
import type { AnyObject } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { fieldProblems, locateField, readYaml, withoutManagedFields, writeYaml } from '../../lib/yaml';
import { Copy } from '../../ui/copy';
import { YamlEditor } from '../../ui/editor/yaml-editor';
import { Empty, Loading } from '../../ui/faces';
import { Section } from '../../ui/section';
import { isSecret } from './use-pods';

const DiffView = lazy(async () => ({ default: (await import('../../ui/editor/diff')).DiffView }));

const texts = defineTexts(
  {
    label: (kind: string, name: string) => `YAML of ${kind} ${name}`,
    managed: 'Managed fields',
    check: 'Review changes',
    save: 'Save',
    discard: 'Discard changes',
    diff: 'What the server would change',
    same: 'Nothing would change.',
    saved: 'Saved.',
    readOnly: 'You may read this object, but not change it.',
    newer: 'The object has changed on the server since you began.',
    reload: 'Load the newest',
    rebase: 'Keep my text, on top of the newest',
    conflict: 'Somebody else changed it first',
    refused: 'The server refuses this',
    syntax: 'This is not YAML of one object: see the marked line.',
    masked: 'The values of a Secret are masked',
    maskedHow: 'To edit it, its values must be revealed. This is recorded: an event on this Secret will name you.',
    reveal: 'Reveal and edit',
    download: 'Download',
    hint: 'Ctrl-Space completes, Ctrl-F finds, Ctrl-S reviews.',
  },
  {
    label: (kind: string, name: string) => `${kind} ${name}의 YAML`,
    managed: '관리 필드',
    check: '변경 검토',
    save: '저장',
    discard: '변경 취소',
    diff: '서버에서 바뀌게 될 내용',
    same: '바뀌는 내용이 없습니다.',
    saved: '저장했습니다.',
    readOnly: '이 객체는 읽을 수만 있고 변경할 권한이 없습니다.',
    newer: '편집을 시작한 뒤 서버의 객체가 변경되었습니다.',
    reload: '최신 내용 불러오기',
    rebase: '내 내용을 최신 위에 적용',
    conflict: '다른 사용자가 먼저 변경했습니다',
    refused: '서버가 거부했습니다',
    syntax: '객체 하나의 YAML이 아닙니다. 표시된 줄을 확인하세요.',
    masked: '시크릿의 값은 가려져 있습니다',
    maskedHow: '편집하려면 값을 표시해야 합니다. 이 시크릿의 이벤트에 사용자 이름이 기록됩니다.',
    reveal: '값을 표시하고 편집',
    download: '내려받기',
    hint: 'Ctrl-Space 자동 완성, Ctrl-F 찾기, Ctrl-S 검토',
  },
);

export function YamlTab(props: { kind: Kind; object: AnyObject }) {
  const t = useTexts(texts);
  const { kind, object } = props;
  const { namespace = '', name } = object.metadata;
  const reveal = useMutation({ mutationFn: () => revealSecret(namespace, name), gcTime: 0 });
  if (!isSecret(kind)) return <ObjectYaml kind={kind} object={object} />;
  if (reveal.data !== undefined) {
    return <ObjectYaml kind={kind} object={reveal.data} newest={() => revealSecret(namespace, name)} />;
  }
  return (
    <Empty
      title={t.masked}
      action={
        <Button leftSection={<IconEye size={16} />} loading={reveal.isPending} onClick={() => reveal.mutate()}>
          {t.reveal}
        </Button>
      }
    >
      {t.maskedHow}
      {reveal.error !== null && <Alert color="red">{reveal.error.message}</Alert>}
    </Empty>
  );
}

interface Base {
  object: AnyObject;
  text: string;
}

function toBase(object: AnyObject, withManaged: boolean): Base {
  const shown = withManaged ? object : withoutManagedFields(object);
  const { apiVersion, kind, metadata, ...body } = shown;
  const { name, namespace, labels, annotations, ...rest } = metadata;
  const first = { name, namespace, labels, annotations };
  return { object, text: writeYaml({ apiVersion, kind, metadata: { ...first, ...rest }, ...body }) };
}

function ObjectYaml(props: {
  kind: Kind;
  object: AnyObject;
  /** How to get the newest when `object` does not follow the server by itself: a Secret, once revealed. */
  newest?: () => Promise<AnyObject>;
}) {
  const t = useTexts(texts);
  const { kind, object } = props;
  const { namespace, name } = object.metadata;
  const schemas = useSchemaSource();
  const identity = { apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`, kind: kind.kind };
  const whole = (one: AnyObject): AnyObject => ({ ...identity, ...one });
  const [managed, setManaged] = useState(false);
  const [base, setBase] = useState(() => toBase(whole(object), false));
  const [text, setText] = useState(base.text);
  const [problems, setProblems] = useState<readonly Diagnostic[]>([]);
  const may = useCan(kind.verbs.includes('update') ? { verb: 'update', kind, namespace, name } : undefined);
  const isChanged = text !== base.text;
  const isNewer = object.metadata.resourceVersion !== base.object.metadata.resourceVersion;

  const body = (): AnyObject => {
    const documents = readYaml(text);
    const [only] = documents;
    if (documents.length !== 1 || typeof only?.value !== 'object' || only.value === null || Array.isArray(only.value)) {
      throw new ApiError(400, 'Syntax', t.syntax);
    }
    return only.value as AnyObject;
  };
  const mark = (error: unknown) => {
    if (!(error instanceof ApiError)) return;
    const root = readYaml(text)[0]?.root ?? null;
    setProblems(
      fieldProblems(error.causes, error.message).map((one) => {
        const [from, to] = locateField(root, one.field) ?? [0, 0];
        return { from, to, message: [one.field, one.message].filter(Boolean).join(': '), severity: 'error' };
      }),
    );
  };
  const review = useMutation({
    mutationFn: async () => {
      const after = await replaceObject(kind, namespace, name, body(), { dryRun: true, strict: true });
      // The server masks what it answers about a Secret: what is written is compared with what was revealed.
      if (props.newest !== undefined) return { before: base.text, after: text };
      const before = await getObject(kind, namespace, name);
      return { before: writeYaml(comparable(whole(before))), after: writeYaml(comparable(whole(after))) };
    },
    onMutate: () => setProblems([]),
    onError: mark,
  });
  const load = (newest: AnyObject, withManaged = managed) => {
    const next = toBase(whole(newest), withManaged);
    setBase(next);
    setText(next.text);
    setProblems([]);
    review.reset();
  };
  const save = useMutation({
    mutationFn: () => replaceObject(kind, namespace, name, body(), { strict: true }),
    onMutate: () => setProblems([]),
    onSuccess: (saved) => {
      if (props.newest === undefined) return load(saved);
      const written = withVersion(text, saved.metadata.resourceVersion);
      setBase({ object: { ...base.object, metadata: saved.metadata }, text: written });
      setText(written);
      review.reset();
    },
    onError: (error) => {
      mark(error);
      review.reset();
    },
  });
  /** Keeps what is written, but says that it is about the newest version. */
  const rebase = async () => {
    const newest = (await props.newest?.()) ?? object;
    setBase({ object: whole(newest), text: '' });
    setText(withVersion(text, newest.metadata.resourceVersion));
    review.reset();
    save.reset();
  };
  const reload = async () => {
    load((await props.newest?.()) ?? object);
    save.reset();
  };
  const error = save.error ?? review.error;
  const isConflict = error instanceof ApiError && error.status === 409;
  if (may === undefined && kind.verbs.includes('update')) return <Loading />;
  const canEdit = may === true;
  // A text that nobody changed follows the server.
  if (isNewer && !isChanged && !save.isPending && props.newest === undefined) {
    const next = toBase(whole(object), managed);
    setBase(next);
    setText(next.text);
  }
  return (
    <>
      <Group gap="xs" mb="xs">
        {canEdit && (
          <>
            <Button
              size="xs"
              leftSection={<IconCheck size={14} aria-hidden />}
              disabled={!isChanged}
              loading={review.isPending}
              onClick={() => review.mutate()}
            >
              {t.check}
            </Button>
            <Button
              size="xs"
              variant="default"
              disabled={!isChanged}
              onClick={() => load(props.newest === undefined ? object : base.object)}
            >
              {t.discard}
            </Button>
          </>
        )}
        <Switch
          size="xs"
          label={t.managed}
          checked={managed}
          disabled={isChanged}
          onChange={(event) => {
            setManaged(event.currentTarget.checked);
            load(object, event.currentTarget.checked);
          }}
        />
        <Copy value={text} />
        <Button
          size="compact-xs"
          variant="subtle"
          color="gray"
          component="a"
          download={`${name}.yaml`}
          href={`data:application/yaml;charset=utf-8,${encodeURIComponent(text)}`}
          leftSection={<IconDownload size={14} aria-hidden />}
        >
          {t.download}
        </Button>
        <Text size="xs" c="dimmed" ml="auto" visibleFrom="md" role="status">
          {may === false ? t.readOnly : save.isSuccess && !isChanged ? t.saved : t.hint}
        </Text>
      </Group>
      {isNewer && isChanged && !isConflict && props.newest === undefined && (
        <Notice title={t.newer} color="yellow">
          <Rebase reload={() => void reload()} rebase={() => void rebase()} texts={t} />
        </Notice>
      )}
      {error instanceof Error && (
        <Notice title={isConflict ? t.conflict : t.refused} color={isConflict ? 'yellow' : 'red'} text={error.message}>
          {isConflict && <Rebase reload={() => void reload()} rebase={() => void rebase()} texts={t} />}
        </Notice>
      )}
      {review.data !== undefined && (
        <Section
          title={t.diff}
          tools={
            <Button
              size="compact-xs"
              leftSection={<IconDeviceFloppy size={14} aria-hidden />}
              loading={save.isPending}
              disabled={review.data.before === review.data.after}
              onClick={() => save.mutate()}
            >
              {t.save}
            </Button>
          }
        >
          {review.data.before === review.data.after ? (
            <Text size="sm">{t.same}</Text>
          ) : (
            <Suspense fallback={<Loading />}>
              <DiffView label={t.diff} before={review.data.before} after={review.data.after} height="45dvh" />
            </Suspense>
          )}
        </Section>
      )}
      <div style={{ marginTop: review.data === undefined ? 0 : 12 }}>
        <YamlEditor
          key={canEdit ? 'edit' : 'read'}
          label={t.label(kind.kind, name)}
          value={text}
          schemas={schemas}
          problems={problems}
          height="calc(100dvh - 16rem)"
          {...(canEdit
            ? {
                onChange: (next: string) => {
                  setText(next);
                  if (review.data !== undefined || review.error !== null) review.reset();
                  if (save.error !== null) save.reset();
                },
                onSubmit: () => {
                  if (text !== base.text) review.mutate();
                },
              }
            : {})}
        />
      </div>
    </>
  );
}

function Notice(props: { title: string; color: string; text?: string; children?: React.ReactNode }) {
  return (
    <Alert
      color={props.color}
      title={props.title}
      icon={<IconAlertTriangle size={16} />}
      mb="xs"
      py={8}
      role={props.color === 'red' ? 'alert' : 'status'}
    >
      {props.text !== undefined && <Text size="sm">{props.text}</Text>}
      {props.children}
    </Alert>
  );
}

function Rebase(props: { reload: () => void; rebase: () => void; texts: { reload: string; rebase: string } }) {
  return (
    <Group gap="xs" mt={4}>
      <Button size="compact-xs" variant="default" onClick={props.rebase}>
        {props.texts.rebase}
      </Button>
      <Button size="compact-xs" variant="default" onClick={props.reload}>
        {props.texts.reload}
      </Button>
    </Group>
  );
}

function withVersion(text: string, version: string): string {
  return text.replace(/^( +)resourceVersion: .*$/m, `$1resourceVersion: "${version}"`);
}

/** Without what every write changes. */
function comparable(object: AnyObject): AnyObject {
  const { metadata, ...rest } = withoutManagedFields(object);
  const { resourceVersion: _, generation: __, ...kept } = metadata as AnyObject['metadata'];
  const { apiVersion, kind, ...body } = rest;
  return { apiVersion, kind, metadata: kept, ...body } as unknown as AnyObject;
}
