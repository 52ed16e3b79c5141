// Silences: what holds, what comes, what is over; made from an alert or from nothing, with a look at what they would quiet.
import {
  ActionIcon,
  Alert,
  Button,
  Group,
  Modal,
  Select,
  Stack,
  Switch,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  alertsQuery,
  expireSilence,
  type Matcher,
  putSilence,
  readMatcher,
  type Silence,
  silencesQuery,
  writeMatcher,
} from '../../api/alertmanager';
import { useSession } from '../../api/session';
import { useTexts } from '../../i18n/texts';
import { useFormat, useNow } from '../../i18n/use-format';
import { parseDuration, parseMoment } from '../../lib/time-range';
import { useUrlValues } from '../../lib/url-state';
import { Confirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/data-table';
import { Empty, Failed, Loading } from '../../ui/faces';
import { StatusBadge, type Tone } from '../../ui/status';
import { useLength } from '../../ui/time-range';
import { When } from '../../ui/when';
import { AlertsPage } from './frame';
import { texts } from './texts';

const TONES: Record<Silence['status']['state'], Tone> = { active: 'warn', pending: 'pending', expired: 'unknown' };

export function Component() {
  const t = useTexts(texts);
  const format = useFormat();
  const url = useUrlValues();
  const silences = useQuery(silencesQuery);
  const client = useQueryClient();
  const [ending, setEnding] = useState<Silence>();
  const [editing, setEditing] = useState<Silence>();
  const showsExpired = url.get('expired') === 'yes';
  const wanted = url.get('new');
  const word = (state: Silence['status']['state']) =>
    state === 'active' ? t.silenced : state === 'pending' ? t.comes : t.expired;
  const rows = (silences.data ?? []).filter((one) => showsExpired || one.status.state !== 'expired');
  const columns: Column<Silence>[] = [
    {
      id: 'state',
      title: t.state,
      width: '7.5rem',
      cell: (row) => <StatusBadge tone={TONES[row.status.state]} label={word(row.status.state)} />,
      value: (row) => row.status.state,
    },
    {
      id: 'matchers',
      title: t.matchers,
      width: 'minmax(14rem, 3fr)',
      cell: (row) => (
        <span title={row.matchers.map(writeMatcher).join('\n')}>{row.matchers.map(writeMatcher).join(', ')}</span>
      ),
      value: (row) => row.matchers.map(writeMatcher).join(', '),
    },
    {
      id: 'comment',
      title: t.comment,
      width: 'minmax(10rem, 2fr)',
      cell: (row) => <span title={row.comment}>{row.comment}</span>,
      value: (row) => row.comment,
    },
    { id: 'by', title: t.by, width: 'minmax(7rem, 1fr)', cell: (row) => row.createdBy, value: (row) => row.createdBy },
    { id: 'ends', title: t.ends, width: '9rem', cell: (row) => <When time={row.endsAt} />, value: (row) => row.endsAt },
    {
      id: 'acts',
      title: '',
      width: '11rem',
      cell: (row) => {
        const name = row.matchers.map(writeMatcher).join(', ');
        return row.status.state === 'expired' ? (
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => url.set({ new: row.matchers.map(writeMatcher).join('\n') })}
          >
            {t.again}
          </Button>
        ) : (
          <Group gap={4} wrap="nowrap">
            <Button
              size="compact-xs"
              variant="default"
              aria-label={`${t.edit}: ${name}`}
              onClick={() => setEditing(row)}
            >
              {t.edit}
            </Button>
            <Button size="compact-xs" variant="default" aria-label={t.expireOf(name)} onClick={() => setEnding(row)}>
              {t.expire}
            </Button>
          </Group>
        );
      },
    },
  ];
  const isForm = wanted !== '' || editing !== undefined;
  const close = () => {
    setEditing(undefined);
    url.set({ new: undefined });
  };
  return (
    <AlertsPage
      tab="silences"
      actions={
        <Button
          size="xs"
          leftSection={<IconPlus size={14} aria-hidden />}
          onClick={() => url.set({ new: 'alertname=""' })}
        >
          {t.newSilence}
        </Button>
      }
    >
      {silences.isPending ? (
        <Loading />
      ) : silences.isError ? (
        <Failed error={silences.error} retry={() => void silences.refetch()} />
      ) : silences.data.length === 0 ? (
        <Empty
          title={t.noSilences}
          action={<Button onClick={() => url.set({ new: 'alertname=""' })}>{t.newSilence}</Button>}
          command="amtool --alertmanager.url=URL silence add alertname=NAME --duration 2h --comment WHY"
        >
          {t.noSilencesHint}
        </Empty>
      ) : (
        <DataTable
          label={t.silences}
          columns={columns}
          rows={rows}
          rowKey={(row) => row.id}
          filter={[url.get('q'), (q) => url.set({ q })]}
          tools={
            <Switch
              size="xs"
              label={t.showExpired}
              checked={showsExpired}
              onChange={(event) => url.set({ expired: event.currentTarget.checked ? 'yes' : '' })}
            />
          }
        />
      )}
      <Modal opened={isForm} onClose={close} title={editing === undefined ? t.newSilence : t.editSilence} size="lg">
        {isForm && <SilenceForm key={editing?.id ?? wanted} wanted={wanted} silence={editing} close={close} />}
      </Modal>
      <Confirm
        opened={ending !== undefined}
        close={() => setEnding(undefined)}
        title={t.expireOf(ending?.matchers.map(writeMatcher).join(', ') ?? '')}
        action={t.expire}
        act={async () => {
          if (ending !== undefined) await expireSilence(ending.id);
          await client.invalidateQueries({ queryKey: ['alertmanager'] });
        }}
      >
        {t.expireHow}
        {ending !== undefined && (
          <Text size="sm" c="dimmed">
            {ending.comment} ({ending.createdBy}, {format.dateTime(ending.endsAt)})
          </Text>
        )}
      </Confirm>
    </AlertsPage>
  );
}

const DURATIONS = ['30m', '1h', '2h', '4h', '8h', '1d', '3d', '7d'] as const;

function SilenceForm(props: { wanted: string; silence: Silence | undefined; close: () => void }) {
  const t = useTexts(texts);
  const format = useFormat();
  const length = useLength();
  const now = useNow();
  const { user } = useSession();
  const client = useQueryClient();
  const { silence } = props;
  const [matchers, setMatchers] = useState<readonly string[]>(() =>
    silence === undefined ? props.wanted.split('\n').filter(Boolean) : silence.matchers.map(writeMatcher),
  );
  const [duration, setDuration] = useState<string>(silence === undefined ? '2h' : 'exact');
  const [until, setUntil] = useState(() => format.dateTime(silence?.endsAt ?? Date.now() + 7_200_000).slice(0, 16));
  const [comment, setComment] = useState(silence?.comment ?? '');
  const read = matchers.map(readMatcher);
  const whole = read.filter((one): one is Matcher => one !== undefined);
  // What matches the empty text alone fits everything that lacks the label: one condition must say more.
  const saysSomething = whole.some((one) =>
    one.isEqual ? one.value !== '' && !/^(\.\*)?$/.test(one.isRegex ? one.value : 'x') : true,
  );
  const isRight = whole.length === matchers.length && saysSomething;
  const texts_ = whole.map(writeMatcher);
  const preview = useQuery({ ...alertsQuery(texts_), enabled: isRight });
  const all = useQuery(alertsQuery([]));
  const endMs =
    duration === 'exact' ? parseMoment(until, now, format.zone) : now + (parseDuration(duration) ?? 0) * 1000;
  const isEndRight = endMs !== undefined && endMs > now;
  const save = useMutation({
    mutationFn: () =>
      putSilence({
        id: silence?.id,
        matchers: whole,
        startsAt:
          silence !== undefined && silence.status.state !== 'expired' ? silence.startsAt : new Date().toISOString(),
        endsAt: new Date(endMs ?? 0).toISOString(),
        createdBy: user,
        comment: comment.trim(),
      }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['alertmanager'] });
      props.close();
    },
  });
  const set = (index: number, text: string) => setMatchers(matchers.with(index, text));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (isRight && isEndRight && comment.trim() !== '') save.mutate();
      }}
    >
      <Stack gap="sm">
        <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
          <Text component="legend" size="sm" fw={500}>
            {t.matchers}
          </Text>
          <Text size="xs" c="dimmed" mb={4}>
            {t.matchersHint}
          </Text>
          <Stack gap={4}>
            {matchers.map((text, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: conditions have no other name than their place
              <Group key={index} gap={4} wrap="nowrap" align="flex-start">
                <TextInput
                  size="xs"
                  flex={1}
                  aria-label={`${t.matchers} ${index + 1}`}
                  value={text}
                  placeholder={t.filterHint}
                  error={read[index] === undefined ? t.filterWrong : undefined}
                  onChange={(event) => set(index, event.currentTarget.value)}
                  styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
                />
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  mt={2}
                  aria-label={t.removeMatcher(text)}
                  onClick={() => setMatchers(matchers.toSpliced(index, 1))}
                >
                  <IconX size={14} />
                </ActionIcon>
              </Group>
            ))}
            <div>
              <Button size="compact-xs" variant="default" onClick={() => setMatchers([...matchers, ''])}>
                {t.addMatcher}
              </Button>
            </div>
          </Stack>
        </fieldset>
        <Group align="flex-start" grow>
          <Select
            size="xs"
            label={t.duration}
            allowDeselect={false}
            value={duration}
            onChange={(value) => setDuration(value ?? '2h')}
            data={[
              ...DURATIONS.map((one) => ({ value: one as string, label: length(one) })),
              { value: 'exact', label: `${t.until}…` },
            ]}
          />
          {duration === 'exact' ? (
            <TextInput
              size="xs"
              label={t.until}
              value={until}
              error={isEndRight ? undefined : t.endWrong}
              onChange={(event) => setUntil(event.currentTarget.value)}
            />
          ) : (
            <TextInput
              size="xs"
              label={t.until}
              value={format.dateTime(endMs).slice(0, 16)}
              readOnly
              variant="filled"
            />
          )}
        </Group>
        <Textarea
          size="xs"
          label={t.comment}
          description={t.commentHint}
          withAsterisk
          autosize
          minRows={2}
          value={comment}
          onChange={(event) => setComment(event.currentTarget.value)}
        />
        <Preview isRight={isRight} names={preview.data} all={all.data?.length} />
        {save.error !== null && (
          <Alert color="red" role="alert">
            {save.error.message}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={props.close}>
            {t.cancel}
          </Button>
          <Button
            type="submit"
            loading={save.isPending}
            disabled={!isRight || !isEndRight || comment.trim() === ''}
            title={isRight ? (comment.trim() === '' ? t.commentHint : undefined) : t.needMatcher}
          >
            {silence === undefined ? t.create : t.save}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

const NAMES_MAX = 8;

function Preview(props: {
  isRight: boolean;
  names: readonly { fingerprint: string; labels: Readonly<Record<string, string>> }[] | undefined;
  all: number | undefined;
}) {
  const t = useTexts(texts);
  const { names } = props;
  return (
    <Alert
      color={names !== undefined && names.length > 1 && names.length === props.all ? 'orange' : 'gray'}
      variant="light"
      p="xs"
      title={t.preview}
      styles={{ title: { color: 'inherit' } }}
    >
      {!props.isRight ? (
        <Text size="xs">{t.needMatcher}</Text>
      ) : names === undefined ? (
        <Loading />
      ) : names.length === 0 ? (
        <Text size="xs">{t.previewNone}</Text>
      ) : (
        <Stack gap={2} role="status">
          {names.length > 1 && names.length === props.all && (
            <Text size="xs" fw={600}>
              {t.previewAll}
            </Text>
          )}
          {names.slice(0, NAMES_MAX).map((one) => {
            const { alertname = '', ...rest } = one.labels;
            return (
              <Text key={one.fingerprint} size="xs" truncate>
                <b>{alertname}</b>{' '}
                {Object.entries(rest)
                  .map(([name, value]) => `${name}=${value}`)
                  .join(' ')}
              </Text>
            );
          })}
          {names.length > NAMES_MAX && <Text size="xs">… {names.length - NAMES_MAX}</Text>}
        </Stack>
      )}
    </Alert>
  );
}
