// Workloads as a person works with them: looking, making, editing, following logs, a shell, going back, and what a viewer is offered.
import type { Page } from '@playwright/test';
import { type Api, expect, loginAs, look, settled, test } from './support';

// Every Maru that runs the demo has it; it has a shell.
const IMAGE = 'maru/base:latest';
const START_MS = 60_000;

function container(name: string, script: string) {
  return { name, image: IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script] };
}

async function deploy(api: Api, namespace: string, name: string, script: string): Promise<void> {
  const labels = { app: name };
  await api.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, annotations: { 'kubernetes.io/change-cause': 'the first' } },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [container('app', script), container('side', 'while true; do echo side; sleep 2; done')],
        },
      },
    },
  });
}

async function podRuns(api: Api, namespace: string, app: string): Promise<string> {
  let name = '';
  await expect
    .poll(
      async () => {
        const pods = await api.items<{ metadata: { name: string }; status?: { phase?: string } }>(
          `/api/v1/namespaces/${namespace}/pods?labelSelector=app%3D${app}`,
        );
        const running = pods.find((pod) => pod.status?.phase === 'Running');
        name = running?.metadata.name ?? '';
        return name;
      },
      { timeout: START_MS },
    )
    .not.toBe('');
  return name;
}

/** Replaces all of an editor's text. */
async function write(page: Page, label: RegExp | string, text: string): Promise<void> {
  const editor = page.getByRole('textbox', { name: label });
  await editor.click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(text);
}

test('kinds of the server are found in their groups, custom ones with their own columns', async ({ page, api }) => {
  const namespace = await api.namespace('kinds');
  const group = `${namespace}.example`;
  await api.create({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `boats.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'boats', singular: 'boat', kind: 'Boat' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          additionalPrinterColumns: [{ name: 'Crew', type: 'integer', jsonPath: '.spec.crew' }],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: {
                  type: 'object',
                  required: ['crew'],
                  properties: {
                    crew: { type: 'integer', minimum: 1 },
                    mode: { type: 'string', enum: ['Sail', 'Engine'] },
                  },
                },
              },
            },
          },
        },
      ],
    },
  });
  await expect
    .poll(async () => (await page.request.get(`/apis/${group}/v1/boats`, { headers: api.headers })).ok())
    .toBe(true);
  await api.create({
    apiVersion: `${group}/v1`,
    kind: 'Boat',
    metadata: { name: 'argo', namespace },
    spec: { crew: 50 },
  });

  await page.goto('/workloads');
  const custom = page.getByRole('region', { name: 'Custom resources' });
  await custom.getByRole('listitem').filter({ hasText: group }).getByRole('link', { name: 'Boat' }).click();
  await expect(page).toHaveURL(`/workloads/boats.${group}`);
  const table = page.getByRole('table', { name: 'Boat' });
  await expect(table.getByRole('columnheader', { name: 'Crew' })).toBeVisible();
  await expect(table.getByRole('row').filter({ hasText: 'argo' })).toContainText('50');

  // A new one, from what its schema says must be there; what the server refuses is told and can be mended.
  await page.getByRole('link', { name: 'Create Boat' }).click();
  const editor = page.getByRole('textbox', { name: 'YAML to create from' });
  await expect(editor).toContainText('crew: 1');
  await write(
    page,
    'YAML to create from',
    `apiVersion: ${group}/v1\nkind: Boat\nmetadata:\n  name: fram\n  namespace: ${namespace}\nspec:\n  crew: 0`,
  );
  await page.getByRole('button', { name: 'Check' }).click();
  await expect(page.getByRole('alert').filter({ hasText: 'spec.crew' })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Create', exact: true })).toBeDisabled();
  await write(
    page,
    'YAML to create from',
    `apiVersion: ${group}/v1\nkind: Boat\nmetadata:\n  name: fram\n  namespace: ${namespace}\nspec:\n  crew: 16\n  mode: Eng`,
  );
  await page.keyboard.press('Control+Space');
  await page.getByRole('option', { name: 'Engine' }).click();
  await page.getByRole('button', { name: 'Check' }).click();
  await expect(page.getByText('will be created')).toBeVisible();
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('link', { name: 'Boat fram' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'fram' })).toBeVisible();
});

test('a file of several documents is tried out as a whole and then written', async ({ page, api }) => {
  const namespace = `made-${Math.random().toString(36).slice(2, 8)}`;
  await page.goto('/create');
  await write(
    page,
    'YAML to create from',
    `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${namespace}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  namespace: ${namespace}\ndata:\n  mode: "0644"`,
  );
  await page.getByRole('button', { name: 'Check' }).click();
  const result = page.getByRole('region', { name: 'What the server would do' });
  await expect(result).toContainText('will be created');
  await expect(result).toContainText(`is checked when Namespace ${namespace} is there`);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(page.getByRole('region', { name: 'What was done' }).getByText('was created')).toHaveCount(2);
  await page.getByRole('link', { name: 'ConfigMap settings' }).click();
  await expect(page.getByRole('region', { name: 'Data' })).toContainText('0644');
  await api.delete(`/api/v1/namespaces/${namespace}`);
});

test('editing shows what the server would change; conflicts and refusals are told at their place', async ({
  page,
  api,
}) => {
  const namespace = await api.namespace('edit');
  await api.create({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace },
    data: { mode: 'slow' },
  });
  await page.goto(`/workloads/configmaps/${namespace}/settings?tab=yaml`);
  const editor = page.getByRole('textbox', { name: 'YAML of ConfigMap settings' });
  await expect(editor).toContainText('mode: slow');
  await expect(editor).not.toContainText('managedFields');
  await editor.getByText('slow').dblclick();
  await page.keyboard.insertText('fast');
  await page.keyboard.press('Control+s');
  const review = page.getByRole('region', { name: 'What the server would change' });
  await expect(review).toContainText('mode: fast');
  await review.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'Saved.' })).toBeVisible();

  // Somebody else is faster.
  await editor.getByText('fast').dblclick();
  await page.keyboard.insertText('fastest');
  await api.patch(`/api/v1/namespaces/${namespace}/configmaps/settings`, { data: { other: 'value' } });
  await expect(page.getByText('The object has changed on the server since you began.')).toBeVisible();
  await page.getByRole('button', { name: 'Review changes' }).click();
  await expect(page.getByRole('status').filter({ hasText: 'Somebody else changed it first' })).toBeVisible();
  await page.getByRole('button', { name: 'Load the newest' }).click();
  await expect(editor).toContainText('other: value');

  // What the server does not know is refused at its line.
  await editor.getByText('metadata', { exact: true }).click();
  await page.keyboard.press('Home');
  await page.keyboard.insertText('colour: red\n');
  await page.getByRole('button', { name: 'Review changes' }).click();
  await expect(page.getByRole('alert').filter({ hasText: 'The server refuses this' })).toContainText('colour');
});

test('logs of all containers as one: filtered, paused, by an expression', async ({ page, api }) => {
  const namespace = await api.namespace('logs');
  await deploy(api, namespace, 'web', 'seq -f "line %.0f" 1 20000; while true; do echo "<b>tick</b>"; sleep 1; done');
  await podRuns(api, namespace, 'web');
  await page.goto(`/workloads/deployments.apps/${namespace}/web?tab=logs`);
  const log = page.getByRole('log', { name: 'Log' });
  await expect(log).toContainText('<b>tick</b>');
  await expect(log.getByText('side', { exact: true }).first()).toBeVisible();
  await page.getByRole('textbox', { name: 'Filter lines' }).fill('line 19999');
  await expect(log).toContainText('line 19999');
  await expect(log).not.toContainText('tick');
  await page.getByRole('button', { name: 'Regular expression' }).click();
  await page.getByRole('textbox', { name: 'Filter lines' }).fill('line 1999[0-3]$');
  await expect(page.getByRole('status').filter({ hasText: /^4 of / })).toBeVisible();
  await page.getByRole('button', { name: 'Clear the filter' }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect(page.getByRole('button', { name: /new lines/ })).toBeVisible();
  await page.getByRole('button', { name: 'Follow' }).click();
  await page.getByRole('button', { name: 'Wrap lines' }).click();
  await expect(log).toContainText('tick');

  await page.goto(`/logs?namespace=${namespace}&selector=app%3Dweb`);
  await expect(page.getByRole('log', { name: 'Log' })).toContainText('tick');
});

test('a shell in a container, and its end', async ({ page, api }) => {
  const namespace = await api.namespace('shell');
  await api.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'box', namespace, labels: { app: 'box' } },
    spec: { terminationGracePeriodSeconds: 1, containers: [container('main', 'sleep infinity')] },
  });
  await podRuns(api, namespace, 'box');
  await page.goto(`/workloads/pods/${namespace}/box?tab=terminal`);
  const terminal = page.getByRole('region', { name: 'Terminal in main' });
  await expect(terminal).toHaveAttribute('aria-busy', 'false');
  await terminal.getByRole('textbox').focus();
  await page.keyboard.type('echo $((6*7)) "\\033[38;2;9;9;250mblue"; stty size\n', { delay: 15 });
  await expect(terminal).toContainText('42');
  await expect(terminal).toContainText(/\d{2} \d{2,3}/);
  await page.keyboard.type('exit 3\n', { delay: 15 });
  await expect(page.getByText('The command ended with code 3.')).toBeVisible();
  await page.getByRole('button', { name: 'Start again' }).click();
  await expect(terminal).toHaveAttribute('aria-busy', 'false');
});

test('scale, restart, pause, go back, delete', async ({ page, api }) => {
  test.setTimeout(180_000);
  const namespace = await api.namespace('rollout');
  await deploy(api, namespace, 'web', 'echo version one; sleep infinity');
  await podRuns(api, namespace, 'web');
  const address = `/apis/apps/v1/namespaces/${namespace}/deployments/web`;
  const deployment = () =>
    api.get<{
      spec: {
        replicas: number;
        paused?: boolean;
        template: { metadata: { annotations?: object }; spec: { containers: { command: string[] }[] } };
      };
    }>(address);
  await page.goto(`/workloads/deployments.apps/${namespace}/web`);
  await page.getByRole('button', { name: 'Scale' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Replicas').fill('2');
  await dialog.getByRole('button', { name: 'Scale' }).click();
  await expect.poll(async () => (await deployment()).spec.replicas).toBe(2);

  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Pause rollout' }).click();
  await expect(page.getByText('Paused', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Resume rollout' }).click();
  await expect(page.getByText('Paused', { exact: true })).toHaveCount(0);

  const patch = {
    spec: { template: { spec: { containers: [container('app', 'echo version two; sleep infinity')] } } },
  };
  await api.patch(address, patch);
  await page.getByRole('tab', { name: 'History' }).click();
  await expect(page.getByRole('region', { name: 'Revisions' })).toContainText('the first');
  await expect(page.getByRole('region', { name: /going back to revision 1/ })).toContainText('version one');
  await page.getByRole('button', { name: 'Roll back to revision 1' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back to revision 1' }).click();
  // It stays and tells why when the server refuses.
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect
    .poll(async () => (await deployment()).spec.template.spec.containers[0]?.command.join(' '))
    .toContain('version one');
  await expect(page.getByRole('region', { name: 'Revisions' })).toContainText('3');

  await page.getByRole('button', { name: 'Restart' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
  await expect
    .poll(async () => Object.keys((await deployment()).spec.template.metadata.annotations ?? {}))
    .toContain('kubectl.kubernetes.io/restartedAt');
  await page.getByRole('tab', { name: 'Events' }).click();
  await expect(page.getByRole('table', { name: 'Events' })).toContainText('ScalingReplicaSet');

  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete web' }).click();
  await expect(page).toHaveURL(`/workloads/deployments.apps?namespace=${namespace}`);
  await expect(page.getByRole('heading', { name: /No Deployment in namespace/ })).toBeVisible();
});

test('a cron job runs when a person says so', async ({ page, api }) => {
  const namespace = await api.namespace('cron');
  await api.create({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'nightly', namespace },
    spec: {
      schedule: '0 3 1 1 *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [container('task', 'echo done by hand')] } } },
      },
    },
  });
  await page.goto(`/workloads/cronjobs.batch/${namespace}/nightly`);
  await page.getByRole('button', { name: 'Run now' }).click();
  const owned = page.getByRole('region', { name: 'What it owns' });
  await expect(owned.getByRole('link', { name: /nightly-manual-\w{5}$/ })).toBeVisible();
  await expect(owned.getByText('Completed')).toBeVisible({ timeout: START_MS });
  await page.getByRole('tab', { name: 'Logs' }).click();
  await expect(page.getByRole('log')).toContainText('done by hand');
});

test('the values of a secret are shown when asked, and the asking is recorded', async ({ page, api }) => {
  const namespace = await api.namespace('secret');
  await api.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'credentials', namespace },
    stringData: { password: 'open-sesame' },
  });
  await page.goto(`/workloads/secrets/${namespace}/credentials`);
  const data = page.getByRole('region', { name: 'Secret data' });
  await expect(data).toContainText('password');
  await expect(data).not.toContainText('open-sesame');
  await data.getByRole('button', { name: 'Reveal the values' }).click();
  await expect(data).toContainText('open-sesame');
  await data.getByRole('button', { name: 'Hide the values' }).click();
  await expect(data).not.toContainText('open-sesame');
  await page.getByRole('tab', { name: 'Events' }).click();
  await expect(page.getByRole('table', { name: 'Events' })).toContainText('SecretRevealed');
});

test('a viewer is offered nothing that the API would refuse', async ({ page, api, browser, baseURL }) => {
  const namespace = await api.namespace('viewer');
  await deploy(api, namespace, 'web', 'echo hello; sleep infinity');
  await podRuns(api, namespace, 'web');
  const context = await loginAs(browser, baseURL ?? '', await api.tokenOf(namespace, 'view'));
  const viewer = await context.newPage();
  await viewer.goto(`/workloads/deployments.apps/${namespace}/web`);
  await expect(viewer.getByRole('tab', { name: 'Logs' })).toBeVisible();
  await expect(viewer.getByRole('region', { name: 'What it owns' })).toBeVisible();
  for (const name of ['Scale', 'Restart', 'Actions', 'Delete']) {
    await expect(viewer.getByRole('button', { name })).toHaveCount(0);
  }
  await expect(viewer.getByRole('tab', { name: 'Terminal' })).toHaveCount(0);
  await viewer.getByRole('tab', { name: 'YAML' }).click();
  await expect(viewer.getByText('You may read this object, but not change it.')).toBeVisible();
  await expect(viewer.getByRole('button', { name: 'Review changes' })).toHaveCount(0);
  await viewer.goto(`/workloads/pods?namespace=${namespace}`);
  await expect(viewer.getByRole('table', { name: 'Pod' }).getByRole('link')).toHaveCount(1);
  await expect(viewer.getByRole('link', { name: 'Create Pod' })).toHaveCount(0);
  await viewer.goto(`/workloads/pods`);
  await expect(viewer.getByRole('alert')).toContainText('forbidden');
  await context.close();
  await page.goto('/workloads');
});

test('the same in Korean', async ({ page, api }) => {
  const namespace = await api.namespace('korean');
  await deploy(api, namespace, 'web', 'echo 안녕하세요; sleep infinity');
  await podRuns(api, namespace, 'web');
  await look(page, { language: 'ko', theme: 'dark', width: 1280 });
  await page.goto(`/workloads?namespace=${namespace}`);
  await settled(page);
  await page.getByRole('region', { name: '워크로드' }).getByRole('link', { name: 'Deployment' }).click();
  await page.getByRole('link', { name: 'web' }).click();
  await expect(page.getByRole('region', { name: '소유한 객체' })).toBeVisible();
  await page.getByRole('tab', { name: '로그' }).click();
  await expect(page.getByRole('log', { name: '로그' })).toContainText('안녕하세요');
  await page.getByRole('tab', { name: 'YAML' }).click();
  await expect(page.getByRole('textbox', { name: 'Deployment web의 YAML' })).toContainText('안녕하세요');
  await page.getByRole('button', { name: '작업' }).click();
  await page.getByRole('menuitem', { name: '삭제' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '취소' }).click();
});
