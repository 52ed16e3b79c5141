import { ActionIcon, CopyButton, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { defineTexts, useTexts } from '../i18n/texts';

const texts = defineTexts({ copy: 'Copy', copied: 'Copied' }, { copy: '복사', copied: '복사됨' });

export function Copy(props: { value: string; label?: string }) {
  const t = useTexts(texts);
  return (
    <CopyButton value={props.value}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t.copied : (props.label ?? t.copy)}>
          <ActionIcon variant="subtle" color="gray" size="sm" onClick={copy} aria-label={props.label ?? t.copy}>
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}
