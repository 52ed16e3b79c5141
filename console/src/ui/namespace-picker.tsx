// Which namespace is shown: one, or all. Who may not list namespaces types the name.
import { Autocomplete, Select } from '@mantine/core';
import { useKinds } from '../api/discovery';
import { useMetadata } from '../api/objects';
import { defineTexts, useTexts } from '../i18n/texts';

const texts = defineTexts(
  { label: 'Namespace', all: 'All namespaces' },
  { label: '네임스페이스', all: '모든 네임스페이스' },
);

export function NamespacePicker(props: {
  value: string;
  onChange: (namespace: string) => void;
  /** Without the choice of all. */
  required?: boolean;
  label?: boolean;
}) {
  const t = useTexts(texts);
  const namespaces = useMetadata(useKinds().find('namespaces.'));
  const names = namespaces.items.map((one) => one.metadata.name).toSorted();
  const labels = props.label === true ? { label: t.label } : { 'aria-label': t.label };
  if (namespaces.status === 'failed') {
    return (
      <Autocomplete
        size="xs"
        w={190}
        {...labels}
        placeholder={props.required === true ? t.label : t.all}
        defaultValue={props.value}
        onBlur={(event) => props.onChange(event.currentTarget.value.trim())}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.nativeEvent.isComposing) props.onChange(event.currentTarget.value.trim());
        }}
      />
    );
  }
  if (props.value !== '' && !names.includes(props.value)) names.unshift(props.value);
  return (
    <Select
      size="xs"
      w={190}
      {...labels}
      placeholder={props.required === true ? t.label : t.all}
      searchable
      clearable={props.required !== true}
      value={props.value === '' ? null : props.value}
      data={names}
      onChange={(value) => props.onChange(value ?? '')}
    />
  );
}
