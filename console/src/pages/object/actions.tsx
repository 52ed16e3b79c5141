// What can be done to an object: only what the API would let this user do is offered.
import { Button, Group, Menu, Modal, NumberInput, Select, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import {
  IconArrowsDiagonal,
  IconBan,
  IconChevronDown,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerTrackNext,
  IconRefresh,
  IconTrash,
} from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useMemo, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import { useCan } from '../../api/access';
import { restart, scaleTo, setFlag, trigger } from '../../api/actions';
import { type Kind, useKinds } from '../../api/discovery';
import type { Workload } from '../../api/kubernetes';
import { deleteObject } from '../../api/objects';
import type { AnyObject } from '../../api/types';
import { type PaletteAction, usePaletteActions } from '../../app/palette';
import { defineTexts, useTexts } from '../../i18n/texts';
import { paths, resourceName } from '../../paths';
import { Confirm } from '../../ui/confirm';

const texts = defineTexts(
  {
    actions: 'Actions',
    scale: 'Scale',
    scaleTitle: (name: string) => `Scale ${name}`,
    replicas: 'Replicas',
    restart: 'Restart',
    restartTitle: (name: string) => `Restart ${name}?`,
    restartWhat: 'New pods replace the present ones step by step, as the update strategy says.',
    pause: 'Pause rollout',
    resume: 'Resume rollout',
    suspend: 'Suspend',
    unsuspend: 'Resume',
    cordon: 'Cordon',
    uncordon: 'Uncordon',
    trigger: 'Run now',
    triggered: (name: string) => `Job ${name} was created.`,
    delete: 'Delete',
    deleteTitle: (kind: string, name: string) => `Delete ${kind} “${name}”?`,
    deleteNamespace: 'Everything in this namespace is deleted with it. This cannot be undone.',
    deleteData: 'What it stores may be lost with it. This cannot be undone.',
    deleteKind: 'All objects of this kind are deleted with it. This cannot be undone.',
    deletePod: 'Its controller makes a new pod in its place.',
    deleteBare: 'No controller makes it again.',
    propagation: 'What it owns',
    background: 'is deleted afterwards',
    foreground: 'is deleted first',
    orphan: 'stays',
    deleted: (name: string) => `${name} is being deleted.`,
    done: (action: string, name: string) => `${action}: ${name}`,
    failed: (action: string) => `${action} did not work`,
    cancel: 'Cancel',
  },
  {
    actions: '작업',
    scale: '크기 조정',
    scaleTitle: (name: string) => `${name} 크기 조정`,
    replicas: '레플리카 수',
    restart: '재시작',
    restartTitle: (name: string) => `${name}을(를) 재시작할까요?`,
    restartWhat: '업데이트 전략에 따라 새 파드가 현재 파드를 차례로 대체합니다.',
    pause: '롤아웃 일시 정지',
    resume: '롤아웃 재개',
    suspend: '일시 중지',
    unsuspend: '재개',
    cordon: '스케줄링 중지',
    uncordon: '스케줄링 재개',
    trigger: '지금 실행',
    triggered: (name: string) => `작업 ${name}을(를) 만들었습니다.`,
    delete: '삭제',
    deleteTitle: (kind: string, name: string) => `${kind} “${name}”을(를) 삭제할까요?`,
    deleteNamespace: '이 네임스페이스의 모든 객체가 함께 삭제됩니다. 되돌릴 수 없습니다.',
    deleteData: '저장된 데이터가 함께 사라질 수 있습니다. 되돌릴 수 없습니다.',
    deleteKind: '이 종류의 모든 객체가 함께 삭제됩니다. 되돌릴 수 없습니다.',
    deletePod: '컨트롤러가 새 파드를 만들어 대체합니다.',
    deleteBare: '다시 만들어 주는 컨트롤러가 없습니다.',
    propagation: '소유한 객체',
    background: '나중에 삭제',
    foreground: '먼저 삭제',
    orphan: '남겨 두기',
    deleted: (name: string) => `${name}을(를) 삭제하고 있습니다.`,
    done: (action: string, name: string) => `${action}: ${name}`,
    failed: (action: string) => `${action} 실패`,
    cancel: '취소',
  },
);

interface Action {
  id: string;
  label: string;
  icon: ReactNode;
  /** Asks first, or acts at once. */
  act: () => void;
}

type Asked = 'scale' | 'restart' | 'delete' | undefined;

const RESTARTS = ['Deployment', 'StatefulSet', 'DaemonSet'];

export function ObjectActions(props: { kind: Kind; object: AnyObject }) {
  const { kind, object } = props;
  const t = useTexts(texts);
  const kinds = useKinds();
  const navigate = useNavigate();
  const [asked, ask] = useState<Asked>();
  const { namespace, name } = object.metadata;
  const spec = (object as Workload).spec ?? {};
  const isApps = kind.group === 'apps';
  const isCronJob = kind.group === 'batch' && kind.kind === 'CronJob';
  const isNode = kind.group === '' && kind.kind === 'Node';
  const jobs = kinds.find('jobs.batch');
  const own = { kind, namespace, name };
  const mayPatch = useCan(kind.verbs.includes('patch') ? { verb: 'patch', ...own } : undefined) === true;
  const mayScale =
    useCan(kind.subresources.includes('scale') ? { verb: 'patch', subresource: 'scale', ...own } : undefined) === true;
  const mayDelete = useCan(kind.verbs.includes('delete') ? { verb: 'delete', ...own } : undefined) === true;
  const mayTrigger = useCan(isCronJob && jobs ? { verb: 'create', kind: jobs, namespace } : undefined) === true;
  const run = useMutation({
    mutationFn: (action: { label: string; act: () => Promise<string | undefined> }) => action.act(),
    onSuccess: (message, action) =>
      notifications.show({ message: message ?? t.done(action.label, name), color: 'teal', autoClose: 4000 }),
    onError: (error, action) =>
      notifications.show({ title: t.failed(action.label), message: error.message, color: 'red', autoClose: 10_000 }),
  });
  const flag = (label: string, field: string, value: boolean) => () =>
    run.mutate({ label, act: async () => void (await setFlag(kind, object, field, value)) as undefined });
  const isPaused = spec.paused === true;
  const isSuspended = spec.suspend === true;
  const isCordoned = object.spec?.unschedulable === true;
  const candidates: (Action | false)[] = [
    mayScale && {
      id: 'scale',
      label: t.scale,
      icon: <IconArrowsDiagonal size={14} aria-hidden />,
      act: () => ask('scale'),
    },
    mayPatch &&
      isApps &&
      RESTARTS.includes(kind.kind) && {
        id: 'restart',
        label: t.restart,
        icon: <IconRefresh size={14} aria-hidden />,
        act: () => ask('restart'),
      },
    mayTrigger && {
      id: 'trigger',
      label: t.trigger,
      icon: <IconPlayerTrackNext size={14} aria-hidden />,
      act: () =>
        run.mutate({
          label: t.trigger,
          act: async () => (jobs === undefined ? undefined : t.triggered((await trigger(jobs, object)).metadata.name)),
        }),
    },
    mayPatch &&
      isApps &&
      kind.kind === 'Deployment' && {
        id: 'pause',
        label: isPaused ? t.resume : t.pause,
        icon: isPaused ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />,
        act: flag(isPaused ? t.resume : t.pause, 'paused', !isPaused),
      },
    mayPatch &&
      kind.group === 'batch' && {
        id: 'suspend',
        label: isSuspended ? t.unsuspend : t.suspend,
        icon: isSuspended ? <IconPlayerPlay size={14} aria-hidden /> : <IconPlayerPause size={14} aria-hidden />,
        act: flag(isSuspended ? t.unsuspend : t.suspend, 'suspend', !isSuspended),
      },
    mayPatch &&
      isNode && {
        id: 'cordon',
        label: isCordoned ? t.uncordon : t.cordon,
        icon: isCordoned ? <IconPlayerPlay size={14} aria-hidden /> : <IconBan size={14} aria-hidden />,
        act: flag(isCordoned ? t.uncordon : t.cordon, 'unschedulable', !isCordoned),
      },
    mayDelete &&
      object.metadata.deletionTimestamp === undefined && {
        id: 'delete',
        label: t.delete,
        icon: <IconTrash size={14} aria-hidden />,
        act: () => ask('delete'),
      },
  ];
  const actions = candidates.filter((one): one is Action => one !== false);
  usePalette(actions, `${kind.kind} ${name}`);
  if (actions.length === 0) return null;
  const shown = actions.slice(0, actions.length > 3 ? 2 : 3);
  const rest = actions.filter((one) => !shown.includes(one));
  return (
    <>
      <Group gap="xs">
        {shown.map((action) => (
          <ActionButton key={action.id} action={action} loading={run.isPending} />
        ))}
        {rest.length > 0 && (
          <Menu position="bottom-end">
            <Menu.Target>
              <Button size="xs" variant="default" rightSection={<IconChevronDown size={14} aria-hidden />}>
                {t.actions}
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {rest.map((action) => (
                <Menu.Item
                  key={action.id}
                  leftSection={action.icon}
                  onClick={action.act}
                  {...(action.id === 'delete' ? { c: 'var(--maru-bad)' } : {})}
                >
                  {action.label}
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        )}
      </Group>
      {mayScale && asked === 'scale' && <Scale kind={kind} object={object} close={() => ask(undefined)} />}
      <Confirm
        opened={asked === 'restart'}
        close={() => ask(undefined)}
        title={t.restartTitle(name)}
        action={t.restart}
        act={() => restart(kind, object, new Date())}
      >
        {t.restartWhat}
      </Confirm>
      {mayDelete && (
        <Delete
          kind={kind}
          object={object}
          opened={asked === 'delete'}
          close={() => ask(undefined)}
          done={() => {
            notifications.show({ message: t.deleted(name), autoClose: 4000 });
            void navigate(paths.kind(kind, namespace));
          }}
        />
      )}
    </>
  );
}

function ActionButton(props: { action: Action; loading: boolean }) {
  const { action } = props;
  return (
    <Button
      size="xs"
      variant="default"
      leftSection={action.icon}
      onClick={action.act}
      loading={props.loading}
      {...(action.id === 'delete' ? { c: 'var(--maru-bad)' } : {})}
    >
      {action.label}
    </Button>
  );
}

/** The same actions by name, in the palette. */
function usePalette(actions: readonly Action[], what: string): void {
  const latest = useRef(actions);
  latest.current = actions;
  const names = JSON.stringify(actions.map(({ id, label }) => [id, label]));
  const offered = useMemo(
    (): PaletteAction[] =>
      (JSON.parse(names) as [string, string][]).map(([id, label]) => ({
        id,
        label: `${label}: ${what}`,
        act: () => latest.current.find((one) => one.id === id)?.act(),
      })),
    [names, what],
  );
  usePaletteActions(offered);
}

function Scale(props: { kind: Kind; object: AnyObject; close: () => void }) {
  const t = useTexts(texts);
  const { kind, object } = props;
  const current = (object as Workload).spec?.replicas ?? 1;
  const [replicas, setReplicas] = useState<number | string>(current);
  const scale = useMutation({
    mutationFn: () => scaleTo(kind, object, Number(replicas)),
    onSuccess: props.close,
  });
  return (
    <Modal opened onClose={props.close} title={t.scaleTitle(object.metadata.name)} centered size="sm">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          scale.mutate();
        }}
      >
        <Stack>
          <NumberInput
            label={t.replicas}
            value={replicas}
            onChange={setReplicas}
            min={0}
            max={10_000}
            allowDecimal={false}
            error={scale.error?.message}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={props.close}>
              {t.cancel}
            </Button>
            <Button type="submit" loading={scale.isPending} disabled={replicas === '' || replicas === current}>
              {t.scale}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

type Propagation = 'Background' | 'Foreground' | 'Orphan';

function Delete(props: { kind: Kind; object: AnyObject; opened: boolean; close: () => void; done: () => void }) {
  const t = useTexts(texts);
  const { kind, object } = props;
  const { namespace, name, uid } = object.metadata;
  const [propagation, setPropagation] = useState<Propagation>('Background');
  const resource = resourceName(kind);
  const loss =
    resource === 'namespaces'
      ? t.deleteNamespace
      : resource === 'persistentvolumeclaims' || resource === 'persistentvolumes'
        ? t.deleteData
        : resource === 'customresourcedefinitions.apiextensions.k8s.io'
          ? t.deleteKind
          : undefined;
  const isPod = resource === 'pods';
  const isOwned = object.metadata.ownerReferences?.some((one) => one.controller === true) === true;
  return (
    <Confirm
      opened={props.opened}
      close={props.close}
      title={t.deleteTitle(kind.kind, name)}
      action={`${t.delete} ${name}`}
      act={async () => {
        await deleteObject(kind, namespace, name, { uid, propagation });
        props.done();
      }}
      {...(loss === undefined ? {} : { typed: name })}
    >
      <Stack gap="xs">
        {loss !== undefined && <Text size="sm">{loss}</Text>}
        {isPod && <Text size="sm">{isOwned ? t.deletePod : t.deleteBare}</Text>}
        <Text size="sm" c="dimmed">
          {namespace === undefined ? resource : `${resource} · ${namespace}`}
        </Text>
        {!isPod && (
          <Select
            size="xs"
            label={t.propagation}
            allowDeselect={false}
            value={propagation}
            data={[
              { value: 'Background', label: t.background },
              { value: 'Foreground', label: t.foreground },
              { value: 'Orphan', label: t.orphan },
            ]}
            onChange={(value) => setPropagation((value ?? 'Background') as Propagation)}
          />
        )}
      </Stack>
    </Confirm>
  );
}
