// Live logs of one or many containers: merged by time, filtered, followed; hundreds of thousands of lines scroll.
import {
  ActionIcon,
  Alert,
  Button,
  CloseButton,
  Menu,
  MultiSelect,
  Select,
  Text,
  TextInput,
  Tooltip,
} from '@mantine/core';
import {
  IconArrowDown,
  IconClock,
  IconDownload,
  IconHistory,
  IconPlayerPause,
  IconPlayerPlay,
  IconRegex,
  IconSearch,
  IconTextWrap,
} from '@tabler/icons-react';
import { type ReactNode, useDeferredValue, useMemo, useRef, useState } from 'react';
import { logAddress } from '../../api/logs';
import { defineTexts, useTexts } from '../../i18n/texts';
import { useFormat } from '../../i18n/use-format';
import { type LogLine, lineFilter, plainText } from '../../lib/log-lines';
import { Empty } from '../faces';
import { LogLinesView } from './lines';
import classes from './log.module.css';
import { type FollowedSource, sourceKey, useLogs } from './use-logs';

const texts = defineTexts(
  {
    label: 'Log',
    filter: 'Filter lines',
    regex: 'Regular expression',
    containers: 'Containers',
    all: 'All containers',
    tail: 'Lines',
    last: (count: string) => `Last ${count}`,
    everything: 'All',
    since: 'Since',
    ever: 'Any time',
    minutes: (count: number) => `${count} min`,
    hours: (count: number) => `${count} h`,
    previous: 'Before the last restart',
    wrap: 'Wrap lines',
    times: 'Show times',
    pause: 'Pause',
    resume: 'Follow',
    newest: (count: number) => (count === 0 ? 'To the newest' : `${count} new lines`),
    download: 'Download',
    shown: 'Lines shown here',
    whole: (name: string) => `Whole log of ${name}`,
    clear: 'Clear the filter',
    count: (shown: string, all: string) => (shown === all ? `${all} lines` : `${shown} of ${all} lines`),
    dropped: (count: string) => `${count} older lines are no longer kept`,
    nothing: 'No lines yet',
    waiting: 'New lines appear here as they are written.',
    none: 'No container to read from',
    noneHow: 'Pods appear here as soon as they are created.',
    noMatch: 'No line matches the filter.',
    cannot: 'Some logs cannot be read',
    many: (count: number) => `Only the first ${count} containers are followed: choose fewer.`,
  },
  {
    label: '로그',
    filter: '줄 필터',
    regex: '정규 표현식',
    containers: '컨테이너',
    all: '모든 컨테이너',
    tail: '줄 수',
    last: (count: string) => `최근 ${count}줄`,
    everything: '전체',
    since: '기간',
    ever: '전체 기간',
    minutes: (count: number) => `최근 ${count}분`,
    hours: (count: number) => `최근 ${count}시간`,
    previous: '마지막 재시작 이전',
    wrap: '줄 바꿈',
    times: '시각 표시',
    pause: '일시 정지',
    resume: '따라가기',
    newest: (count: number) => (count === 0 ? '최신으로' : `새 줄 ${count}개`),
    download: '내려받기',
    shown: '여기에 보이는 줄',
    whole: (name: string) => `${name}의 전체 로그`,
    clear: '필터 지우기',
    count: (shown: string, all: string) => (shown === all ? `${all}줄` : `${all}줄 중 ${shown}줄`),
    dropped: (count: string) => `오래된 ${count}줄은 더 이상 보관하지 않습니다`,
    nothing: '아직 로그가 없습니다',
    waiting: '새 줄이 기록되면 여기에 나타납니다.',
    none: '읽을 컨테이너가 없습니다',
    noneHow: '파드가 생성되면 바로 여기에 나타납니다.',
    noMatch: '필터에 맞는 줄이 없습니다.',
    cannot: '일부 로그를 읽을 수 없습니다',
    many: (count: number) => `처음 ${count}개 컨테이너만 따라갑니다. 더 적게 고르세요.`,
  },
);

const SOURCES_MAX = 50;
const TAILS = ['1000', '10000', '100000', 'all'] as const;

/** What of a log is wanted: the caller keeps it in the address. */
export interface LogState {
  /** Text or expression. */
  filter: readonly [string, (value: string) => void];
  /** `1` when the filter is an expression. */
  regex: readonly [string, (value: string) => void];
  /** Containers as `pod/container`, joined by commas; empty: all. */
  only: readonly [string, (value: string) => void];
  tail: readonly [string, (value: string) => void];
  since: readonly [string, (value: string) => void];
  previous: readonly [string, (value: string) => void];
}

export interface LogSourceInfo extends FollowedSource {
  /** Whether it has a log of before its last restart. */
  hasPrevious: boolean;
}

export function LogPanel(props: {
  sources: readonly LogSourceInfo[];
  state: LogState;
  height?: string;
  tools?: ReactNode;
}) {
  const t = useTexts(texts);
  const format = useFormat();
  const { sources, state } = props;
  const [filter, setFilter] = state.filter;
  const [regex, setRegex] = state.regex;
  const [only, setOnly] = state.only;
  const [tail, setTail] = state.tail;
  const [since, setSince] = state.since;
  const [previous, setPrevious] = state.previous;
  const [wrap, setWrap] = useState(false);
  const [times, setTimes] = useState(true);
  const [isFollowing, setFollowing] = useState(true);
  const deferred = useDeferredValue(filter);
  const chosen = useMemo(() => new Set(only.split(',').filter(Boolean)), [only]);
  const wanted = useMemo(
    () => sources.filter((source) => chosen.size === 0 || chosen.has(shortKey(source))).slice(0, SOURCES_MAX),
    [sources, chosen],
  );
  const isPrevious = previous === '1';
  const followed = useStable(wanted);
  const logs = useLogs(followed, {
    tailLines: tail === 'all' ? undefined : Number(tail || TAILS[1]),
    sinceSeconds: since === '' ? undefined : Number(since),
    previous: isPrevious,
  });
  const { filter: keep, error } = useMemo(() => lineFilter(deferred, regex === '1'), [deferred, regex]);
  const shown = useShown(logs.log.lines, logs.revision, logs.keptUntil, keep);
  const frozen = useRef(shown);
  if (isFollowing) frozen.current = shown;
  const lines = isFollowing ? shown : frozen.current;
  const pods = new Set(sources.map((source) => source.pod)).size;
  const containers = new Set(sources.map((source) => source.container)).size;
  const names = logs.names.map((source) =>
    sources.length <= 1 ? '' : containers === 1 ? source.pod : pods === 1 ? source.container : shortKey(source),
  );
  const download = () => {
    const parts = shown.lines.map(
      (line) => `${new Date(line.at).toISOString()} ${names[line.source] ?? ''} ${plainText(line.text)}\n`,
    );
    save(new Blob(parts, { type: 'text/plain' }), `${wanted[0]?.pod ?? 'maru'}.log`);
  };
  if (sources.length === 0) return <Empty title={t.none}>{t.noneHow}</Empty>;
  const fresh = isFollowing ? 0 : Math.max(0, shown.lines.length - lines.lines.length);
  return (
    <div>
      <div className={classes.bar}>
        {props.tools}
        <TextInput
          size="xs"
          w={240}
          data-filter
          aria-label={t.filter}
          placeholder={t.filter}
          value={filter}
          error={error !== undefined}
          title={error}
          onChange={(event) => setFilter(event.currentTarget.value)}
          leftSection={<IconSearch size={14} aria-hidden />}
          rightSection={
            filter === '' ? undefined : <CloseButton size="xs" aria-label={t.clear} onClick={() => setFilter('')} />
          }
        />
        <Toggle
          label={t.regex}
          on={regex === '1'}
          set={(on) => setRegex(on ? '1' : '')}
          icon={<IconRegex size={16} />}
        />
        {sources.length > 1 && (
          <MultiSelect
            size="xs"
            miw={180}
            maw={420}
            aria-label={t.containers}
            placeholder={chosen.size === 0 ? t.all : ''}
            data={sources.map((source) => ({ value: shortKey(source), label: shortKey(source) }))}
            value={[...chosen]}
            onChange={(values) => setOnly(values.join(','))}
            searchable
            clearable
          />
        )}
        <Select
          size="xs"
          w={130}
          aria-label={t.tail}
          allowDeselect={false}
          value={tail || TAILS[1]}
          onChange={(value) => setTail(value === TAILS[1] || value === null ? '' : value)}
          data={TAILS.map((value) => ({
            value,
            label: value === 'all' ? t.everything : t.last(format.number(Number(value))),
          }))}
        />
        <Select
          size="xs"
          w={120}
          aria-label={t.since}
          allowDeselect={false}
          value={since === '' ? 'ever' : since}
          onChange={(value) => setSince(value === 'ever' || value === null ? '' : value)}
          data={[
            { value: 'ever', label: t.ever },
            { value: '60', label: t.minutes(1) },
            { value: '900', label: t.minutes(15) },
            { value: '3600', label: t.hours(1) },
            { value: '21600', label: t.hours(6) },
            { value: '86400', label: t.hours(24) },
          ]}
        />
        <Toggle label={t.times} on={times} set={setTimes} icon={<IconClock size={16} />} />
        <Toggle label={t.wrap} on={wrap} set={setWrap} icon={<IconTextWrap size={16} />} />
        {(isPrevious || sources.some((source) => source.hasPrevious)) && (
          <Toggle
            label={t.previous}
            on={isPrevious}
            set={(on) => setPrevious(on ? '1' : '')}
            icon={<IconHistory size={16} />}
          />
        )}
        <Menu position="bottom-end">
          <Menu.Target>
            <Tooltip label={t.download}>
              <ActionIcon variant="default" size={30} aria-label={t.download}>
                <IconDownload size={16} />
              </ActionIcon>
            </Tooltip>
          </Menu.Target>
          <Menu.Dropdown mah={360} style={{ overflowY: 'auto' }}>
            <Menu.Item onClick={download}>{t.shown}</Menu.Item>
            {wanted.map((source) => (
              <Menu.Item
                key={sourceKey(source)}
                component="a"
                href={logAddress(source, isPrevious)}
                download={`${source.pod}-${source.container}.log`}
              >
                {t.whole(shortKey(source))}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
        <Button
          size="xs"
          variant="default"
          leftSection={isFollowing ? <IconPlayerPause size={14} /> : <IconPlayerPlay size={14} />}
          onClick={() => setFollowing(!isFollowing)}
        >
          {isFollowing ? t.pause : t.resume}
        </Button>
        <Text size="xs" c="dimmed" role="status" ml="auto">
          {t.count(format.number(lines.lines.length), format.number(logs.log.lines.length))}
          {logs.log.dropped > 0 && ` · ${t.dropped(format.number(logs.log.dropped))}`}
        </Text>
      </div>
      {sources.length > SOURCES_MAX && chosen.size === 0 && (
        <Alert color="yellow" py={6} mb="xs">
          {t.many(SOURCES_MAX)}
        </Alert>
      )}
      <Errors errors={logs.errors} title={t.cannot} />
      <div className={classes.frame}>
        <LogLinesView
          label={t.label}
          lines={lines.lines}
          revision={lines.revision}
          names={names}
          filter={deferred}
          isRegex={regex === '1'}
          showTimes={times}
          wrap={wrap}
          follow={isFollowing}
          setFollow={setFollowing}
          height={props.height ?? 'calc(100dvh - 16rem)'}
          empty={
            logs.log.lines.length === 0 ? (
              <Empty title={t.nothing}>{t.waiting}</Empty>
            ) : (
              <Text p="md" c="dimmed" size="sm">
                {t.noMatch}
              </Text>
            )
          }
        />
        {!isFollowing && (
          <Button
            className={classes.newer}
            size="xs"
            leftSection={<IconArrowDown size={14} />}
            onClick={() => setFollowing(true)}
          >
            {t.newest(fresh)}
          </Button>
        )}
      </div>
    </div>
  );
}

function shortKey(source: { pod: string; container: string }): string {
  return `${source.pod}/${source.container}`;
}

function Toggle(props: { label: string; on: boolean; set: (on: boolean) => void; icon: ReactNode }) {
  return (
    <Tooltip label={props.label}>
      <ActionIcon
        variant={props.on ? 'light' : 'default'}
        size={30}
        aria-label={props.label}
        aria-pressed={props.on}
        onClick={() => props.set(!props.on)}
      >
        {props.icon}
      </ActionIcon>
    </Tooltip>
  );
}

function Errors(props: { errors: ReadonlyMap<string, string>; title: string }) {
  const [isOpen, setOpen] = useState(true);
  if (props.errors.size === 0 || !isOpen) return null;
  const shown = [...props.errors].slice(0, 3);
  return (
    <Alert
      color="yellow"
      title={props.title}
      mb="xs"
      py={6}
      withCloseButton
      onClose={() => setOpen(false)}
      role="status"
    >
      {shown.map(([key, message]) => (
        <Text size="xs" key={key}>
          {key}: {message}
        </Text>
      ))}
      {props.errors.size > shown.length && <Text size="xs">… {props.errors.size - shown.length}</Text>}
    </Alert>
  );
}

/** The same list for as long as it says the same. */
function useStable(sources: readonly LogSourceInfo[]): readonly LogSourceInfo[] {
  const key = sources.map((source) => `${sourceKey(source)} ${source.restarts}`).join('\n');
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says all that matters of the list
  return useMemo(() => sources, [key]);
}

interface Shown {
  lines: readonly LogLine[];
  revision: number;
}

/** Lines that pass the filter; only new lines are looked at. */
function useShown(
  all: readonly LogLine[],
  revision: number,
  keptUntil: number,
  keep: ((text: string) => boolean) | undefined,
): Shown {
  const before = useRef<{ keep: typeof keep; revision: number; count: number; lines: LogLine[] }>(undefined);
  return useMemo(() => {
    if (keep === undefined) {
      before.current = undefined;
      return { lines: all.slice(), revision };
    }
    const last = before.current;
    const goesOn =
      last !== undefined && last.keep === keep && last.count === keptUntil && last.revision + 1 === revision;
    const from = goesOn ? last.count : 0;
    const lines = goesOn ? last.lines : [];
    for (let index = from; index < all.length; index += 1) {
      const line = all[index];
      if (line !== undefined && keep(plainText(line.text))) lines.push(line);
    }
    before.current = { keep, revision, count: all.length, lines };
    return { lines: lines.slice(), revision };
  }, [all, revision, keptUntil, keep]);
}

function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
