// Documents of a project: what there is, a look at it, its files, and new ones of now or of a baseline.
import { Alert, Anchor, Button, Group, Modal, MultiSelect, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import { requestBlob } from '../../api/http';
import { keys } from '../../api/keys';
import type { Baseline, Document } from '../../api/maru';
import { createObject, deleteObject, resourcePath, useObjects } from '../../api/objects';
import { usePreferences } from '../../i18n/preferences';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { useUrlState } from '../../lib/url-state';
import { Confirm } from '../../ui/confirm';
import { Empty, Failed, Loading } from '../../ui/faces';
import { pageNonce } from '../../ui/nonce';
import { Page } from '../../ui/page';
import { ProjectPicker, useProjectOr, useProjects } from '../../ui/project-picker';
import { When } from '../../ui/when';
import classes from './documents.module.css';
import { previewOf } from './preview';

const texts = defineTexts(
  {
    title: 'Documents',
    noProject: 'No project yet',
    noDocuments: 'No documents yet',
    noDocumentsWhat:
      'Documents are made of the project’s state, or of a signed baseline, and can be made again at any time.',
    make: 'Make a document',
    type: 'Document',
    requirementsDefinition: 'Requirements definition',
    traceabilityMatrix: 'Traceability matrix',
    testResult: 'Test result',
    auditMatrix: 'Audit matrix',
    language: 'Language',
    of: 'Of',
    ofNow: 'The state as it is now',
    ofBaseline: (name: string) => `Baseline ${name}`,
    formats: 'Formats',
    name: 'Name',
    nameHint: 'Lower-case letters, digits and dashes',
    cancel: 'Cancel',
    made: 'Made',
    notMade: 'Not made yet',
    preview: 'Preview',
    noPreview: 'There is no HTML file to preview; download another format.',
    download: (format: string, size: string) => `${format} (${size})`,
    remove: 'Delete',
    removeTitle: (name: string) => `Delete document ${name}`,
    removeWhat: 'The object and its files go. The document can be made again from the same state.',
    mayNot: 'You may not create documents in this project.',
    list: 'Documents of this project',
  },
  {
    title: '문서',
    noProject: '아직 프로젝트가 없습니다',
    noDocuments: '아직 문서가 없습니다',
    noDocumentsWhat: '문서는 프로젝트의 현재 상태나 서명된 기준선으로 만들며, 언제든지 다시 만들 수 있습니다.',
    make: '문서 만들기',
    type: '문서 종류',
    requirementsDefinition: '요구사항 정의서',
    traceabilityMatrix: '추적표',
    testResult: '시험 결과서',
    auditMatrix: '감리 대응표',
    language: '언어',
    of: '대상',
    ofNow: '현재 상태',
    ofBaseline: (name: string) => `기준선 ${name}`,
    formats: '형식',
    name: '이름',
    nameHint: '영문 소문자, 숫자, 붙임표',
    cancel: '취소',
    made: '작성',
    notMade: '아직 작성되지 않음',
    preview: '미리보기',
    noPreview: '미리 볼 HTML 파일이 없습니다. 다른 형식을 내려받으세요.',
    download: (format: string, size: string) => `${format} (${size})`,
    remove: '삭제',
    removeTitle: (name: string) => `문서 ${name} 삭제`,
    removeWhat: '객체와 파일이 삭제됩니다. 같은 상태에서 다시 만들 수 있습니다.',
    mayNot: '이 프로젝트에서 문서를 만들 권한이 없습니다.',
    list: '이 프로젝트의 문서',
  },
);

const TYPES = ['requirementsDefinition', 'traceabilityMatrix', 'testResult', 'auditMatrix'] as const;
const FORMATS = ['html', 'docx', 'xlsx', 'hwpx', 'pdf'];
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

export function Component() {
  const t = useTexts(texts);
  const [chosen, choose] = useUrlState('project');
  const projects = useProjects();
  const namespace = useProjectOr(chosen);
  return (
    <Page
      title={t.title}
      actions={
        <>
          <ProjectPicker value={chosen} onChange={choose} />
          {namespace !== undefined && <Make namespace={namespace} />}
        </>
      }
    >
      {namespace !== undefined ? (
        <Documents key={namespace} namespace={namespace} />
      ) : projects.status === 'loading' ? (
        <Loading />
      ) : projects.status === 'failed' ? (
        <Failed error={projects.error} />
      ) : (
        <Empty title={t.noProject} command="maru project init my-project" />
      )}
    </Page>
  );
}

function Documents(props: { namespace: string }) {
  const t = useTexts(texts);
  const kind = useKinds().find('documents.maru.dev');
  const documents = useObjects<Document>(kind, { namespace: props.namespace });
  const [selected, select] = useUrlState('document');
  if (documents.status === 'loading') return <Loading />;
  if (documents.status === 'failed') return <Failed error={documents.error} />;
  if (documents.items.length === 0) {
    return (
      <Empty
        title={t.noDocuments}
        action={<Make namespace={props.namespace} />}
        command={`maru -n ${props.namespace} export --help`}
      >
        {t.noDocumentsWhat}
      </Empty>
    );
  }
  const sorted = documents.items.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  const shown = sorted.find((one) => one.metadata.name === selected) ?? sorted[0];
  return (
    <div className={classes.columns}>
      <nav aria-label={t.list}>
        <ul className={classes.list}>
          {sorted.map((one) => (
            <li key={one.metadata.name}>
              <button
                type="button"
                className={classes.entry}
                aria-current={one === shown || undefined}
                onClick={() => select(one.metadata.name)}
              >
                <Text size="sm" fw={600}>
                  {t[one.spec.type]}
                </Text>
                <Text size="xs" c="dimmed">
                  {one.metadata.name} · {one.spec.language} ·{' '}
                  {one.spec.baseline ? t.ofBaseline(one.spec.baseline) : t.ofNow}
                </Text>
              </button>
            </li>
          ))}
        </ul>
      </nav>
      {shown && <Shown key={shown.metadata.name} document={shown} />}
    </div>
  );
}

function Shown(props: { document: Document }) {
  const t = useTexts(texts);
  const format = useFormat();
  const { metadata, spec, status } = props.document;
  const namespace = metadata.namespace ?? '';
  const kind = useKinds().find('documents.maru.dev');
  const mayDelete = useCan(kind && { verb: 'delete', kind, namespace, name: metadata.name });
  const [removing, setRemoving] = useState(false);
  const html = status?.files?.find((file) => file.format === 'html');
  const preview = useQuery({
    queryKey: [...keys.object('documents.maru.dev', namespace, metadata.name), 'html', html?.digest],
    queryFn: async ({ signal }) => {
      if (!kind) throw new Error('documents are not served');
      const path = resourcePath(kind, namespace, metadata.name, 'file');
      const html = await (await requestBlob(path, { accept: '*/*', query: { format: 'html' }, signal })).text();
      return previewOf(html, pageNonce());
    },
    enabled: html !== undefined && kind !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <section aria-label={t[spec.type]} className={classes.shown}>
      <Group justify="space-between" mb="xs" gap="xs">
        <Text size="sm" c="dimmed">
          {status?.at ? (
            <>
              {t.made} <When time={status.at} style="exact" />
            </>
          ) : (
            status?.reason || t.notMade
          )}
        </Text>
        <Group gap="xs">
          {kind &&
            status?.files?.map((file) => (
              <Anchor
                key={file.format}
                size="sm"
                href={`${resourcePath(kind, namespace, metadata.name, 'file')}?format=${file.format}`}
                download={`${metadata.name}.${file.format}`}
              >
                {t.download(file.format.toUpperCase(), format.bytes(file.bytes ?? 0))}
              </Anchor>
            ))}
          {mayDelete === true && (
            <Button size="compact-xs" variant="default" onClick={() => setRemoving(true)}>
              {t.remove}
            </Button>
          )}
        </Group>
      </Group>
      {status?.reason && status.at && (
        <Alert color="yellow" mb="xs">
          {status.reason}
        </Alert>
      )}
      {html === undefined ? (
        <Text size="sm" c="dimmed">
          {t.noPreview}
        </Text>
      ) : preview.isPending ? (
        <Loading />
      ) : preview.isError ? (
        <Failed error={preview.error} retry={() => void preview.refetch()} />
      ) : (
        // The document is shown without scripts, forms or an origin of its own.
        <iframe title={`${t.preview}: ${metadata.name}`} className={classes.preview} sandbox="" srcDoc={preview.data} />
      )}
      {kind && (
        <Confirm
          opened={removing}
          close={() => setRemoving(false)}
          title={t.removeTitle(metadata.name)}
          action={t.removeTitle(metadata.name)}
          act={() => deleteObject(kind, namespace, metadata.name, { uid: metadata.uid })}
        >
          {t.removeWhat}
        </Confirm>
      )}
    </section>
  );
}

function Make(props: { namespace: string }) {
  const t = useTexts(texts);
  const { language: spoken } = usePreferences();
  const kinds = useKinds();
  const kind = kinds.find('documents.maru.dev');
  const may = useCan(kind && { verb: 'create', kind, namespace: props.namespace });
  const baselines = useObjects<Baseline>(kinds.find('baselines.maru.dev'), { namespace: props.namespace });
  const [, select] = useUrlState('document');
  const [opened, setOpened] = useState(false);
  const [type, setType] = useState<(typeof TYPES)[number]>('requirementsDefinition');
  const [language, setLanguage] = useState<string>(spoken);
  const [baseline, setBaseline] = useState('');
  const [formats, setFormats] = useState<string[]>(['html', 'docx']);
  const [typed, setTyped] = useState<string>();
  const name =
    typed ??
    [type.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), baseline, language].filter(Boolean).join('-');
  const make = useMutation({
    mutationFn: async () => {
      if (!kind) throw new Error('documents are not served');
      return createObject(kind, props.namespace, {
        apiVersion: 'maru.dev/v1alpha1',
        kind: 'Document',
        metadata: { name },
        spec: { type, language, formats, ...(baseline === '' ? {} : { baseline }) },
      });
    },
    onSuccess: () => {
      setOpened(false);
      select(name);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    make.mutate();
  };
  if (kind === undefined) return null;
  return (
    <>
      <Button
        size="xs"
        title={may === false ? t.mayNot : undefined}
        aria-disabled={may !== true}
        {...(may === true ? {} : { 'data-disabled': true })}
        onClick={() => may === true && setOpened(true)}
      >
        {t.make}
      </Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title={t.make} centered>
        <form onSubmit={submit}>
          <Stack>
            <Select
              label={t.type}
              data={TYPES.map((one) => ({ value: one, label: t[one] }))}
              value={type}
              allowDeselect={false}
              onChange={(value) => setType(TYPES.find((one) => one === value) ?? type)}
            />
            <Select
              label={t.language}
              data={[
                { value: 'ko', label: '한국어' },
                { value: 'en', label: 'English' },
              ]}
              value={language}
              allowDeselect={false}
              onChange={(value) => setLanguage(value ?? language)}
            />
            <Select
              label={t.of}
              data={[
                { value: '', label: t.ofNow },
                ...baselines.items.map((one) => ({
                  value: one.metadata.name,
                  label: t.ofBaseline(one.metadata.name),
                })),
              ]}
              value={baseline}
              allowDeselect={false}
              onChange={(value) => setBaseline(value ?? '')}
            />
            <MultiSelect label={t.formats} data={FORMATS} value={formats} onChange={setFormats} />
            <TextInput
              label={t.name}
              value={name}
              onChange={(event) => setTyped(event.currentTarget.value)}
              error={NAME.test(name) ? undefined : t.nameHint}
              autoComplete="off"
            />
            {make.error !== null && (
              <Alert color="red" role="alert">
                {make.error.message}
              </Alert>
            )}
            <Group justify="flex-end">
              <Button variant="default" onClick={() => setOpened(false)}>
                {t.cancel}
              </Button>
              <Button type="submit" loading={make.isPending} disabled={!NAME.test(name) || formats.length === 0}>
                {t.make}
              </Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}
