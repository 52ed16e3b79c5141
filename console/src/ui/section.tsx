// A part of a page under a small heading: a line, not a card.
import { Group, Text, Title } from '@mantine/core';
import { type ReactNode, useId } from 'react';
import classes from './section.module.css';

export function Section(props: {
  title: string;
  /** How many there are. */
  count?: number | undefined;
  /** Right of the heading. */
  tools?: ReactNode;
  id?: string;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className={classes.section} aria-labelledby={id} id={props.id}>
      <Group justify="space-between" className={classes.head} wrap="nowrap">
        <Group gap={6} wrap="nowrap">
          <Title order={2} id={id} className={classes.title}>
            {props.title}
          </Title>
          {props.count !== undefined && (
            <Text span size="xs" c="dimmed">
              {props.count}
            </Text>
          )}
        </Group>
        {props.tools}
      </Group>
      <div className={classes.body}>{props.children}</div>
    </section>
  );
}

/** Names and values below each other, as in a form that is read. */
export function Facts(props: { facts: readonly (readonly [string, ReactNode] | undefined)[] }) {
  return (
    <dl className={classes.facts}>
      {props.facts.map(
        (fact) =>
          fact !== undefined && (
            <div key={fact[0]} className={classes.fact}>
              <dt>{fact[0]}</dt>
              <dd>{fact[1]}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
