// Logs of all pods that a namespace and a label selector choose.
import { Autocomplete } from '@mantine/core';
import { useMemo, useState } from 'react';
import { useKinds } from '../../api/discovery';
import type { Pod } from '../../api/kubernetes';
import { useObjects } from '../../api/objects';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { Empty, Failed, Loading } from '../../ui/faces';
import { LogPanel } from '../../ui/log/log-view';
import { NamespacePicker } from '../../ui/namespace-picker';
import { Page } from '../../ui/page';
import { useLogState } from '../object/logs';
import { logSources } from '../object/use-pods';

const texts = defineTexts(
  {
    title: 'Logs',
    selector: 'Label selector',
    choose: 'Choose a namespace',
    chooseHow: 'The logs of all its pods appear here as one, in the order of their times.',
    none: (namespace: string) => `No pod to read from in “${namespace}”`,
    noneHow: 'Pods appear here as soon as they are created, or when the selector chooses them.',
  },
  {
    title: '로그',
    selector: '레이블 셀렉터',
    choose: '네임스페이스를 고르세요',
    chooseHow: '모든 파드의 로그가 시간 순서대로 하나로 합쳐져 여기에 나타납니다.',
    none: (namespace: string) => `“${namespace}”에 로그를 읽을 파드가 없습니다`,
    noneHow: '파드가 생성되거나 셀렉터에 맞으면 여기에 나타납니다.',
  },
);

export function Component() {
  const t = useTexts(texts);
  const kinds = useKinds();
  const [namespace, setNamespace] = useUrlState('namespace');
  const [selector, setSelector] = useUrlState('selector');
  const state = useLogState();
  const all = useObjects<Pod>(namespace === '' ? undefined : kinds.find('pods.'), { namespace });
  const pods = useObjects<Pod>(namespace === '' ? undefined : kinds.find('pods.'), {
    namespace,
    labelSelector: selector || undefined,
  });
  const sources = useMemo(
    () => logSources(pods.items.toSorted((left, right) => left.metadata.name.localeCompare(right.metadata.name))),
    [pods.items],
  );
  const suggestions = useMemo(() => commonLabels(all.items), [all.items]);
  const tools = (
    <>
      <NamespacePicker value={namespace} onChange={setNamespace} required />
      <Selector
        key={`${namespace} ${selector}`}
        label={t.selector}
        value={selector}
        onChange={setSelector}
        suggestions={suggestions}
      />
    </>
  );
  const isReady = pods.status === 'live' || pods.status === 'behind';
  return (
    <Page title={t.title}>
      {(namespace === '' || !isReady || sources.length === 0) && (
        <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>{tools}</div>
      )}
      {namespace === '' ? (
        <Empty title={t.choose}>{t.chooseHow}</Empty>
      ) : pods.status === 'loading' ? (
        <Loading />
      ) : pods.status === 'failed' ? (
        <Failed error={pods.error} />
      ) : sources.length === 0 ? (
        <Empty title={t.none(namespace)}>{t.noneHow}</Empty>
      ) : (
        <LogPanel sources={sources} state={state} tools={tools} height="calc(100dvh - 11rem)" />
      )}
    </Page>
  );
}

function Selector(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  suggestions: readonly string[];
}) {
  const [text, setText] = useState(props.value);
  return (
    <Autocomplete
      size="xs"
      w={210}
      aria-label={props.label}
      placeholder={props.label}
      data={[...props.suggestions]}
      value={text}
      onChange={setText}
      onOptionSubmit={props.onChange}
      onBlur={() => props.onChange(text.trim())}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && !event.nativeEvent.isComposing) props.onChange(text.trim());
      }}
    />
  );
}

/** Labels by which people choose pods, those of most pods first. */
function commonLabels(pods: readonly Pod[]): string[] {
  const counts = new Map<string, number>();
  for (const pod of pods) {
    for (const [key, value] of Object.entries(pod.metadata.labels ?? {})) {
      if (/hash|revision|uid|index|ordinal/.test(key)) continue;
      const label = `${key}=${value}`;
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
  }
  return [...counts].toSorted((left, right) => right[1] - left[1]).map(([label]) => label);
}
