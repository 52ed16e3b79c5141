// A filter of a list: one value of a few, or all.
import { Select } from '@mantine/core';

export function FilterSelect(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  options: readonly { value: string; label: string }[];
  width?: number;
}) {
  return (
    <Select
      size="xs"
      w={props.width ?? 140}
      aria-label={props.label}
      placeholder={props.label}
      clearable
      value={props.value === '' ? null : props.value}
      data={[...props.options]}
      onChange={(value) => props.onChange(value ?? '')}
      comboboxProps={{ width: 'max-content', position: 'bottom-start' }}
    />
  );
}
