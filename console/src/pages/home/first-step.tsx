// A Maru without anything: makes the first project here.
import { Alert, Anchor, Button, Code, Stack, Text, TextInput, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useNavigate } from 'react-router';
import { useCan } from '../../api/access';
import { useKinds } from '../../api/discovery';
import { ApiError } from '../../api/http';
import { createObject } from '../../api/objects';
import { useTexts } from '../../i18n/texts';
import { paths } from '../../paths';
import { Empty } from '../../ui/faces';
import { texts } from './texts';

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export function FirstStep() {
  const t = useTexts(texts);
  const kinds = useKinds();
  const navigate = useNavigate();
  const namespaces = kinds.find('namespaces.');
  const projects = kinds.find('projects.maru.dev');
  const may = useCan(namespaces && { verb: 'create', kind: namespaces });
  const mayProject = useCan(projects && { verb: 'create', kind: projects });
  const [name, setName] = useState('');
  const make = useMutation({
    mutationFn: async () => {
      if (!namespaces || !projects) return;
      try {
        await createObject(namespaces, undefined, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      } catch (error) {
        // A namespace that is there already is as good.
        if (!(error instanceof ApiError && error.status === 409)) throw error;
      }
      await createObject(projects, name, {
        apiVersion: `${projects.group}/${projects.version}`,
        kind: projects.kind,
        metadata: { name, namespace: name },
        spec: { title: name },
      });
    },
    onSuccess: () => navigate(paths.requirements(name)),
  });
  if (may === false || (projects !== undefined && mayProject === false)) {
    return <Empty title={t.emptyTitle}>{t.emptyForbidden}</Empty>;
  }
  const wrong = name !== '' && !NAME.test(name);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (NAME.test(name)) make.mutate();
  };
  return (
    <Stack align="center" py="xl" gap="lg">
      <Stack maw={520} gap="sm">
        <Title order={2}>{t.emptyTitle}</Title>
        {projects !== undefined && (
          <>
            <Text>{t.emptyWhat}</Text>
            <form onSubmit={submit}>
              <Stack gap="sm">
                <TextInput
                  label={t.name}
                  description={t.nameHint}
                  value={name}
                  onChange={(event) => setName(event.currentTarget.value.trim())}
                  error={wrong ? t.nameWrong : undefined}
                  autoComplete="off"
                  spellCheck={false}
                  required
                />
                {make.error !== null && (
                  <Alert color="red" role="alert">
                    {make.error.message}
                  </Alert>
                )}
                <div>
                  <Button type="submit" loading={make.isPending} disabled={name === '' || wrong || may !== true}>
                    {t.make}
                  </Button>
                </div>
              </Stack>
            </form>
          </>
        )}
        <Anchor href={paths.create()} size="sm">
          {t.orWorkload}
        </Anchor>
        <Text size="sm" c="dimmed">
          {t.orDemo}
        </Text>
        <Code block>make demo</Code>
      </Stack>
    </Stack>
  );
}
