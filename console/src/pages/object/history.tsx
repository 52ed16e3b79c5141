// What a workload was before, how it differs, and the way back.
import { Button, Group, Select, Text } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { useCan } from '../../api/access';
import { undoByRevision, undoDeployment } from '../../api/actions';
import { type Kind, useKinds } from '../../api/discovery';
import type { ControllerRevision, Workload } from '../../api/kubernetes';
import { useObjects } from '../../api/objects';
import type { AnyObject } from '../../api/types';
import { defineTexts, useTexts } from '../../i18n/texts';
import { controllerRevisions, deploymentRevisions, type Revision } from '../../lib/workload';
import { writeYaml } from '../../lib/yaml';
import { Confirm } from '../../ui/confirm';
import { Empty, Failed, Loading } from '../../ui/faces';
import { Section } from '../../ui/section';
import { StatusBadge } from '../../ui/status';
import { When } from '../../ui/when';
import classes from './object.module.css';

const DiffView = lazy(async () => ({ default: (await import('../../ui/editor/diff')).DiffView }));

const texts = defineTexts(
  {
    title: 'Revisions',
    revision: 'Revision',
    created: 'Created',
    images: 'Images',
    cause: 'Change cause',
    pods: 'Pods',
    current: 'current',
    compare: (number: number) => `What would change by going back to revision ${number}`,
    choose: 'Compare with',
    same: 'This revision is the same as the current one.',
    undo: (number: number) => `Roll back to revision ${number}`,
    undoWhat: (name: string, number: number) =>
      `“${name}” gets the pod template of revision ${number} again; its pods are replaced step by step.`,
    paused: 'It is paused: resume it before rolling back.',
    forbidden: 'You may not change this object.',
    none: 'No revisions yet',
    gone: (number: number) => `Revision ${number} is not kept any more; choose another one.`,
  },
  {
    title: '리비전',
    revision: '리비전',
    created: '생성',
    images: '이미지',
    cause: '변경 사유',
    pods: '파드',
    current: '현재',
    compare: (number: number) => `리비전 ${number}(으)로 되돌리면 바뀌는 내용`,
    choose: '비교 대상',
    same: '현재 리비전과 같습니다.',
    undo: (number: number) => `리비전 ${number}(으)로 되돌리기`,
    undoWhat: (name: string, number: number) =>
      `“${name}”의 파드 템플릿이 리비전 ${number}의 것으로 돌아가고, 파드가 차례로 교체됩니다.`,
    paused: '일시 정지 상태입니다. 되돌리려면 먼저 재개하세요.',
    forbidden: '이 객체를 변경할 권한이 없습니다.',
    none: '아직 리비전이 없습니다',
    gone: (number: number) => `리비전 ${number}은(는) 더 이상 보관되어 있지 않습니다. 다른 리비전을 고르세요.`,
  },
);

export function hasHistory(kind: Kind): boolean {
  return kind.group === 'apps' && ['Deployment', 'StatefulSet', 'DaemonSet'].includes(kind.kind);
}

export function HistoryTab(props: { kind: Kind; object: AnyObject }) {
  const t = useTexts(texts);
  const kinds = useKinds();
  const object = props.object as Workload;
  const { namespace } = object.metadata;
  const isDeployment = props.kind.kind === 'Deployment';
  const sets = useObjects<Workload>(isDeployment ? kinds.find('replicasets.apps') : undefined, { namespace });
  const revisions = useObjects<ControllerRevision>(isDeployment ? undefined : kinds.find('controllerrevisions.apps'), {
    namespace,
  });
  const list = isDeployment ? sets : revisions;
  if (list.status === 'loading') return <Loading />;
  if (list.status === 'failed') return <Failed error={list.error} />;
  const known = isDeployment ? deploymentRevisions(object, sets.items) : controllerRevisions(object, revisions.items);
  if (known.length === 0) return <Empty title={t.none} />;
  const undo = async (revision: Revision) => {
    const isMeant = (one: { metadata: { name: string } }) => one.metadata.name === revision.name;
    const set = sets.items.find(isMeant);
    if (set !== undefined) return undoDeployment(props.kind, object, set);
    const kept = revisions.items.find(isMeant);
    if (kept !== undefined) return undoByRevision(props.kind, object, kept);
    throw new Error(t.gone(revision.number));
  };
  return <Revisions kind={props.kind} object={object} revisions={known} undo={undo} />;
}

function Revisions(props: {
  kind: Kind;
  object: Workload;
  revisions: readonly Revision[];
  undo: (revision: Revision) => Promise<unknown>;
}) {
  const t = useTexts(texts);
  const { object, revisions } = props;
  const { namespace, name } = object.metadata;
  const may = useCan({ verb: 'patch', kind: props.kind, namespace, name });
  const [chosenName, choose] = useState<string>();
  const [isAsking, ask] = useState(false);
  const current = revisions.find((one) => one.isCurrent);
  const older = revisions.filter((one) => !one.isCurrent);
  const chosen = older.find((one) => one.name === chosenName) ?? older[0];
  const before = writeYaml(object.spec?.template ?? current?.template ?? {});
  const after = chosen === undefined ? '' : writeYaml(chosen.template ?? {});
  const hindrance = may === false ? t.forbidden : object.spec?.paused === true ? t.paused : undefined;
  return (
    <div className={classes.stack}>
      <Section title={t.title} count={revisions.length}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keys */}
        <div className={classes.scroll} tabIndex={0} role="group" aria-label={t.title}>
          <table className={classes.table}>
            <thead>
              <tr>
                <th>{t.revision}</th>
                <th>{t.created}</th>
                <th>{t.images}</th>
                <th>{t.pods}</th>
                <th>{t.cause}</th>
                <th aria-hidden />
              </tr>
            </thead>
            <tbody>
              {revisions.map((revision) => (
                <tr key={revision.name}>
                  <td title={revision.name}>
                    <Group gap={6}>
                      {revision.number}
                      {revision.isCurrent && <StatusBadge tone="good" label={t.current} />}
                    </Group>
                  </td>
                  <td>
                    <When time={revision.created} />
                  </td>
                  <td>{(revision.template?.spec.containers ?? []).map((one) => one.image).join(', ')}</td>
                  <td>{revision.replicas}</td>
                  <td>{revision.cause}</td>
                  <td>
                    {!revision.isCurrent && (
                      <Button
                        size="compact-xs"
                        variant="default"
                        disabled={may !== true || hindrance !== undefined}
                        title={hindrance}
                        onClick={() => {
                          choose(revision.name);
                          ask(true);
                        }}
                      >
                        {t.undo(revision.number)}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Section>
      {chosen !== undefined && (
        <Section
          title={t.compare(chosen.number)}
          tools={
            older.length > 1 && (
              <Select
                size="xs"
                w={120}
                aria-label={t.choose}
                allowDeselect={false}
                value={chosen.name}
                data={older.map((one) => ({ value: one.name, label: `${t.revision} ${one.number}` }))}
                onChange={(value) => choose(value ?? undefined)}
              />
            )
          }
        >
          {before === after ? (
            <Text c="dimmed">{t.same}</Text>
          ) : (
            <Suspense fallback={<Loading />}>
              <DiffView label={t.compare(chosen.number)} before={before} after={after} />
            </Suspense>
          )}
        </Section>
      )}
      {chosen !== undefined && (
        <Confirm
          opened={isAsking}
          close={() => ask(false)}
          title={t.undo(chosen.number)}
          action={t.undo(chosen.number)}
          act={() => props.undo(chosen)}
        >
          {t.undoWhat(name, chosen.number)}
        </Confirm>
      )}
    </div>
  );
}
