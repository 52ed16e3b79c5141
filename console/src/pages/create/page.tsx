// Makes objects from YAML of one or several documents: tried out on the server, then written.

import type { Diagnostic } from '@codemirror/lint';
import { Alert, Anchor, Button, Group, Select, Text } from '@mantine/core';
import { IconCheck, IconUpload } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useMemo, useRef, useState } from 'react';
import { kindsQuery, useKinds } from '../../api/discovery';
import { loadSchemas, useSchemaSource } from '../../api/schema';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { fieldProblems, locateField, readYaml, writeYaml } from '../../lib/yaml';
import { paths, resourceName } from '../../paths';
import { skeleton } from '../../ui/editor/schema';
import { YamlEditor } from '../../ui/editor/yaml-editor';
import { Loading } from '../../ui/faces';
import { NamespacePicker } from '../../ui/namespace-picker';
import { Page } from '../../ui/page';
import { Section } from '../../ui/section';
import { StatusBadge, type Tone } from '../../ui/status';
import { type Step, tryOut, writeAll } from './plan';
import { templateText } from './templates';

const DiffView = lazy(async () => ({ default: (await import('../../ui/editor/diff')).DiffView }));

const texts = defineTexts(
  {
    title: 'Create',
    workloads: 'Workloads',
    editor: 'YAML to create from',
    kind: 'Template of a kind',
    file: 'Open a file',
    check: 'Check',
    write: 'Create',
    result: 'What the server would do',
    written: 'What was done',
    create: 'will be created',
    change: 'will change',
    same: 'stays as it is',
    later: (needs: string) => `is checked when ${needs} is there`,
    refused: 'is refused',
    created: 'was created',
    changed: 'was changed',
    hint: 'Documents are separated by ---. Ctrl-Space completes by the server’s schemas; Ctrl-S checks.',
    empty: 'Write or paste YAML first, or begin with the template of a kind.',
    syntax: 'The YAML has errors: see the marked lines.',
    some: 'Some documents were refused: mend them and create again. What is there already stays.',
    namespace: 'Objects without a namespace of their own go to the one chosen above.',
  },
  {
    title: '만들기',
    workloads: '워크로드',
    editor: '만들 객체의 YAML',
    kind: '종류별 템플릿',
    file: '파일 열기',
    check: '검사',
    write: '만들기',
    result: '서버에서 일어날 일',
    written: '실행 결과',
    create: '새로 만들어짐',
    change: '변경됨',
    same: '그대로 유지됨',
    later: (needs: string) => `${needs}이(가) 생기면 검사함`,
    refused: '거부됨',
    created: '만들었습니다',
    changed: '변경했습니다',
    hint: '문서는 ---로 나눕니다. Ctrl-Space는 서버 스키마로 자동 완성, Ctrl-S는 검사입니다.',
    empty: 'YAML을 쓰거나 붙여 넣으세요. 종류별 템플릿으로 시작할 수도 있습니다.',
    syntax: 'YAML에 오류가 있습니다. 표시된 줄을 확인하세요.',
    some: '거부된 문서가 있습니다. 고친 뒤 다시 만드세요. 이미 만든 것은 그대로 있습니다.',
    namespace: '네임스페이스가 적혀 있지 않은 객체는 위에서 고른 곳에 만들어집니다.',
  },
);

export function Component() {
  const t = useTexts(texts);
  const kinds = useKinds();
  const [namespace, setNamespace] = useUrlState('namespace', 'default');
  const [kindName, setKindName] = useUrlState('kind');
  const schemas = useSchemaSource();
  const template = useTemplate(kindName);
  const [written, setWritten] = useState<{ from: string; text: string }>();
  const text = written?.from === kindName ? written.text : (template ?? written?.text ?? '');
  const client = useQueryClient();
  const [steps, setSteps] = useState<readonly Step[]>([]);
  const file = useRef<HTMLInputElement>(null);
  const documents = useMemo(() => readYaml(text), [text]);
  const hasErrors = documents.some((one) => one.problems.some((problem) => problem.severity === 'error'));
  const setText = (next: string) => {
    setWritten({ from: kindName, text: next });
    if (steps.length > 0) setSteps([]);
  };
  const check = useMutation({
    mutationFn: () => tryOut(documents, kinds, namespace),
    onSuccess: setSteps,
  });
  const write = useMutation({
    mutationFn: () =>
      writeAll(documents, () => client.fetchQuery({ ...kindsQuery, staleTime: 0 }), namespace, setSteps),
    onSuccess: (done) => {
      setSteps(done);
      void client.invalidateQueries({ queryKey: kindsQuery.queryKey });
    },
  });
  const problems = useMemo(() => steps.flatMap(problemsOf), [steps]);
  const isWritten = steps.some((one) => one.state.outcome === 'written');
  const isChecked = steps.length === documents.length && steps.length > 0;
  const isRefused = steps.some((one) => one.state.outcome === 'refused');
  const options = kinds.all
    .filter((kind) => kind.verbs.includes('create') && kind.verbs.includes('list') && kind.group !== 'events.k8s.io')
    .map((kind) => ({ value: resourceName(kind), label: `${kind.kind}${kind.group === '' ? '' : ` · ${kind.group}`}` }))
    .toSorted((left, right) => left.label.localeCompare(right.label));
  const begin = () => {
    if (documents.length > 0 && !hasErrors) check.mutate();
  };
  return (
    <Page title={t.title} crumbs={[{ label: t.workloads, href: paths.workloads() }]}>
      <Group gap="xs" mb="xs">
        <NamespacePicker value={namespace} onChange={setNamespace} required />
        <Select
          size="xs"
          w={270}
          searchable
          aria-label={t.kind}
          placeholder={t.kind}
          value={kindName === '' ? null : kindName}
          data={options}
          onChange={(value) => {
            setSteps([]);
            setWritten(undefined);
            setKindName(value ?? '');
          }}
        />
        <Button
          size="xs"
          variant="default"
          leftSection={<IconUpload size={14} aria-hidden />}
          onClick={() => file.current?.click()}
        >
          {t.file}
        </Button>
        <input
          ref={file}
          type="file"
          accept=".yaml,.yml,.json"
          hidden
          multiple
          aria-label={t.file}
          onChange={async (event) => {
            const files = [...(event.currentTarget.files ?? [])];
            const parts = await Promise.all(files.map((one) => one.text()));
            if (parts.length > 0) setText(parts.join('\n---\n'));
          }}
        />
        <Button
          size="xs"
          variant={isChecked && !isRefused ? 'default' : 'filled'}
          leftSection={<IconCheck size={14} aria-hidden />}
          disabled={documents.length === 0 || hasErrors}
          title={documents.length === 0 ? t.empty : hasErrors ? t.syntax : undefined}
          loading={check.isPending}
          onClick={begin}
        >
          {t.check}
        </Button>
        <Button
          size="xs"
          disabled={!isChecked || isRefused || isWritten}
          loading={write.isPending}
          onClick={() => write.mutate()}
        >
          {t.write}
        </Button>
      </Group>
      {steps.length > 0 && (
        <div style={{ marginBottom: 12 }}>
          <Section title={isWritten ? t.written : t.result} count={steps.length}>
            {isWritten && isRefused && (
              <Alert color="yellow" py={6} mb="xs">
                {t.some}
              </Alert>
            )}
            {steps.map((step) => (
              <StepView key={step.document.index} step={step} />
            ))}
          </Section>
        </div>
      )}
      <Text size="xs" c="dimmed" mb={4}>
        {text === '' ? t.empty : t.hint} {t.namespace}
      </Text>
      <YamlEditor
        label={t.editor}
        value={text}
        onChange={setText}
        onSubmit={begin}
        schemas={schemas}
        problems={problems}
        height="calc(100dvh - 15rem)"
      />
    </Page>
  );
}

/** The first text of a kind: a known template, or what the schema says must be there. */
function useTemplate(kindName: string): string | undefined {
  const kinds = useKinds();
  const client = useQueryClient();
  const known = templateText(kindName);
  const kind = kinds.find(kindName);
  const generated = useQuery({
    queryKey: ['template', kindName],
    enabled: kindName !== '' && known === undefined && kind !== undefined,
    staleTime: 60_000,
    queryFn: async () => {
      if (kind === undefined) return '';
      const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
      const schemas = await loadSchemas(client, apiVersion).catch(() => undefined);
      const root = schemas?.root(kind.group, kind.version, kind.kind);
      const spec = schemas?.at(root, ['spec']);
      const head = { apiVersion, kind: kind.kind, metadata: { name: 'example' } };
      return writeYaml(schemas && spec ? { ...head, spec: skeleton(schemas, spec) } : head);
    },
  });
  return known ?? generated.data;
}

const TONES: Record<Step['state']['outcome'], Tone> = {
  create: 'good',
  change: 'warn',
  same: 'unknown',
  later: 'pending',
  refused: 'bad',
  written: 'good',
};

function StepView(props: { step: Step }) {
  const t = useTexts(texts);
  const { state, kind, namespace, title, document } = props.step;
  const name = state.outcome === 'written' ? state.object.metadata.name : undefined;
  const label =
    state.outcome === 'later'
      ? t.later(state.needs)
      : state.outcome === 'written'
        ? state.isNew
          ? t.created
          : t.changed
        : t[state.outcome];
  return (
    <div style={{ padding: '3px 0' }}>
      <Group gap="xs">
        <StatusBadge tone={TONES[state.outcome]} label={label} />
        {kind !== undefined && name !== undefined ? (
          <Anchor size="sm" fw={600} href={paths.object(kind, namespace, name)}>
            {kind.kind} {name}
          </Anchor>
        ) : (
          <Text size="sm" fw={600}>
            {title}
          </Text>
        )}
        {namespace !== undefined && (
          <Text size="xs" c="dimmed">
            {namespace}
          </Text>
        )}
      </Group>
      {state.outcome === 'refused' && (
        <Text size="sm" c="var(--maru-bad)" role="alert">
          {state.error.message}
        </Text>
      )}
      {state.outcome === 'change' && state.after !== '' && (
        <Suspense fallback={<Loading />}>
          <DiffView
            label={`${t.change}: ${title} ${document.index}`}
            before={state.before}
            after={state.after}
            height="35dvh"
          />
        </Suspense>
      )}
    </div>
  );
}

/** What the server refuses, at the lines that it is about. */
function problemsOf(step: Step): Diagnostic[] {
  const { state, document } = step;
  if (state.outcome !== 'refused') return [];
  const found = fieldProblems(state.error.causes, state.error.message);
  const told = found.length > 0 ? found : [{ field: '', message: state.error.message }];
  return told.map((one) => {
    const [from, to] = locateField(document.root, one.field) ?? [document.range[0], document.range[0]];
    return { from, to, message: [one.field, one.message].filter(Boolean).join(': '), severity: 'error' };
  });
}
