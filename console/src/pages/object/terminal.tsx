// A shell in one of an object's containers.
import { Button, Group, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Kind } from '../../api/discovery';
import type { AnyObject } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useUrlState } from '../../lib/url-state';
import { Empty, Loading } from '../../ui/faces';
import { Terminal } from '../../ui/terminal/terminal';
import { usePods } from './use-pods';

const texts = defineTexts(
  {
    container: 'Container',
    command: 'Command',
    shell: 'A shell (bash, or else sh)',
    run: 'Run',
    none: 'No running container',
    noneHow: 'A terminal needs a container that runs. It appears here as soon as there is one.',
  },
  {
    container: '컨테이너',
    command: '명령',
    shell: '셸 (bash, 없으면 sh)',
    run: '실행',
    none: '실행 중인 컨테이너가 없습니다',
    noneHow: '터미널은 실행 중인 컨테이너에서 열립니다. 실행되면 여기에 나타납니다.',
  },
);

const SHELL = ['sh', '-c', 'command -v bash >/dev/null && exec bash || exec sh'];

export function TerminalTab(props: { kind: Kind; object: AnyObject }) {
  const t = useTexts(texts);
  const pods = usePods(props.kind, props.object);
  const [chosen, choose] = useUrlState('container');
  const [written, setWritten] = useState('');
  const [command, setCommand] = useState<readonly string[]>(SHELL);
  if (pods.status === 'loading') return <Loading />;
  const running = pods.items.flatMap((pod) =>
    [
      ...(pod.status?.containerStatuses ?? []),
      ...(pod.status?.initContainerStatuses ?? []),
      ...(pod.status?.ephemeralContainerStatuses ?? []),
    ]
      .filter((one) => one.state?.running !== undefined)
      .map((one) => ({ namespace: pod.metadata.namespace ?? '', pod: pod.metadata.name, container: one.name })),
  );
  const target = running.find((one) => `${one.pod}/${one.container}` === chosen) ?? running[0];
  if (target === undefined) return <Empty title={t.none}>{t.noneHow}</Empty>;
  const run = () => {
    const parts = written.trim() === '' ? SHELL : splitCommand(written);
    setCommand(parts);
  };
  return (
    <>
      <Group gap="xs" mb="xs" align="end">
        <Select
          size="xs"
          w={320}
          label={t.container}
          allowDeselect={false}
          value={`${target.pod}/${target.container}`}
          data={running.map((one) => `${one.pod}/${one.container}`)}
          onChange={(value) => choose(value ?? '')}
        />
        <TextInput
          size="xs"
          w={240}
          label={t.command}
          placeholder={t.shell}
          value={written}
          onChange={(event) => setWritten(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.nativeEvent.isComposing) run();
          }}
        />
        <Button size="xs" variant="default" onClick={run}>
          {t.run}
        </Button>
      </Group>
      <Terminal key={`${target.pod}/${target.container}`} target={target} command={command} />
    </>
  );
}

/** Words of a command; quotes keep spaces. */
export function splitCommand(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}
