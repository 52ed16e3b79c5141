// The frame of a page: its title (also the document's), where it is, what can be done, and its content.
import { Anchor, Box, Breadcrumbs, Group, Title } from '@mantine/core';
import type { ReactNode } from 'react';

export interface Crumb {
  label: string;
  href: string;
}

export function Page(props: {
  title: string;
  crumbs?: readonly Crumb[];
  /** Beside the title: a verdict, a state. */
  badge?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** Renders links; the router's by default through the shell. */
  wide?: boolean;
}) {
  return (
    <Box p="md" maw={props.wide === false ? 1100 : undefined}>
      <title>{`${props.title} · Maru`}</title>
      {props.crumbs !== undefined && props.crumbs.length > 0 && (
        <Breadcrumbs mb={4} separatorMargin={6}>
          {props.crumbs.map((crumb) => (
            <Anchor key={crumb.href} href={crumb.href} size="sm">
              {crumb.label}
            </Anchor>
          ))}
        </Breadcrumbs>
      )}
      <Group justify="space-between" mb="md" gap="sm" wrap="wrap">
        <Group gap="sm">
          <Title order={1}>{props.title}</Title>
          {props.badge}
        </Group>
        {props.actions !== undefined && <Group gap="xs">{props.actions}</Group>}
      </Group>
      {props.children}
    </Box>
  );
}
