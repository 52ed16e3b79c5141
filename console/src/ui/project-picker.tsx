// Which project a page is about. Who may not list all projects names one.
import { Autocomplete, Select } from '@mantine/core';
import { useState } from 'react';
import { useKinds } from '../api/discovery';
import type { Project } from '../api/maru';
import { useObjects } from '../api/objects';
import { defineTexts, useLocalText, useTexts } from '../i18n/texts';

const texts = defineTexts(
  { project: 'Project', all: 'All projects', name: 'Namespace of a project' },
  { project: '프로젝트', all: '모든 프로젝트', name: '프로젝트의 네임스페이스' },
);

/** All projects that the user may see, by namespace. */
export function useProjects() {
  return useObjects<Project>(useKinds().find('projects.maru.dev'));
}

/** The project of the address, or the first there is. `undefined`: none is known (yet). */
export function useProjectOr(chosen: string): string | undefined {
  const projects = useProjects();
  if (chosen !== '') return chosen;
  return projects.items.map((one) => one.metadata.namespace ?? '').toSorted()[0];
}

export function ProjectPicker(props: { value: string; onChange: (project: string) => void; all?: boolean }) {
  const t = useTexts(texts);
  const local = useLocalText();
  const projects = useProjects();
  const [typed, setTyped] = useState(props.value);
  if (projects.status === 'failed') {
    return (
      <Autocomplete
        size="xs"
        w={190}
        aria-label={t.name}
        placeholder={t.name}
        value={typed}
        onChange={setTyped}
        onBlur={() => props.onChange(typed.trim())}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.nativeEvent.isComposing) props.onChange(typed.trim());
        }}
      />
    );
  }
  const data = projects.items
    .map((one) => ({
      value: one.metadata.namespace ?? '',
      label: local(one.spec.title) || one.metadata.name,
    }))
    .toSorted((a, b) => a.label.localeCompare(b.label));
  return (
    <Select
      size="xs"
      w={190}
      aria-label={t.project}
      allowDeselect={false}
      value={props.value === '' && props.all !== true ? (data[0]?.value ?? '') : props.value}
      data={props.all === true ? [{ value: '', label: t.all }, ...data] : data}
      onChange={(value) => props.onChange(value ?? '')}
    />
  );
}
