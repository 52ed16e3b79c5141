// What the reader of a board chooses: the values come from the server, the choice stands in the address.
import { Group, MultiSelect, Select, TextInput } from '@mantine/core';
import { useQueries, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { instantQuery, labelValuesQuery, type QueryAnswer } from '../../api/prometheus';
import { useTexts } from '../../i18n/texts';
import { writeSeries } from '../../lib/series';
import type { Span } from '../../lib/time-range';
import type { UrlValues } from '../../lib/url-state';
import {
  ALL,
  type Choice,
  type Chosen,
  type ChosenByName,
  choicesOf,
  chosenValues,
  fillQuery,
  type Variable,
} from './model';
import { texts } from './texts';

function parameter(variable: Variable): string {
  return `var-${variable.name}`;
}

/** How a variable's values are asked; nothing where the board lists them. */
function question(variable: Variable, before: ChosenByName, always: ReadonlyMap<string, string>, span: Span) {
  // Whole minutes, so that a moving window does not ask anew each second.
  const within = { start: Math.floor(span.start / 60) * 60, end: Math.ceil(span.end / 60) * 60 };
  switch (variable.kind) {
    case 'labelValues': {
      const match = variable.match ? fillQuery(variable.match, before, always) : undefined;
      return labelValuesQuery(variable.label ?? '', match, within);
    }
    case 'metricNames':
      return labelValuesQuery('__name__', undefined, within);
    case 'query':
      return instantQuery(fillQuery(variable.query ?? '', before, always), within.end);
    default:
      return undefined;
  }
}

function fromAnswer(variable: Variable, answer: unknown): Choice[] {
  if (variable.kind === 'custom' || variable.kind === 'interval') return variable.values ?? [];
  if (answer === undefined) return [];
  if (variable.kind === 'query') {
    const { series } = answer as QueryAnswer;
    const texts = series.map((one) => ({ value: `${writeSeries(one.labels)} ${one.values.at(-1) ?? ''}` }));
    return choicesOf(texts, variable.regex);
  }
  return choicesOf(
    (answer as string[]).map((value) => ({ value })),
    variable.regex,
  );
}

const NONE: readonly Variable[] = [];

/** All variables of a board with what is chosen; one may name those before it. */
export function useVariables(
  variables: readonly Variable[] = NONE,
  url: UrlValues,
  always: ReadonlyMap<string, string>,
  span: Span,
): { chosen: ChosenByName; isReady: boolean } {
  const client = useQueryClient();
  const chosen = new Map<string, Chosen>();
  const questions = [];
  let isReady = true;
  for (const variable of variables) {
    const asked = question(variable, chosen, always, span);
    let answer: unknown;
    if (asked !== undefined) {
      answer = client.getQueryData(asked.queryKey as readonly unknown[]);
      // What was asked a minute ago serves until the newer answer is there.
      questions.push({ ...asked, staleTime: 60_000, gcTime: 300_000 });
      if (answer === undefined && client.getQueryState(asked.queryKey as readonly unknown[])?.status !== 'error') {
        isReady = false;
      }
    }
    const choices = fromAnswer(variable, answer);
    chosen.set(variable.name, {
      variable,
      choices,
      values: chosenValues(variable, choices, url.all(parameter(variable))),
    });
  }
  useQueries({ queries: questions as unknown as { queryKey: readonly unknown[]; queryFn: () => Promise<unknown> }[] });
  return { chosen, isReady };
}

export function VariableBar(props: { chosen: ChosenByName; url: UrlValues }) {
  const shown = [...props.chosen.values()].filter(
    ({ variable }) => variable.hidden !== true && variable.kind !== 'constant',
  );
  if (shown.length === 0) return null;
  return (
    <Group gap="xs" align="flex-end">
      {shown.map((one) => (
        <Field
          key={one.variable.name}
          chosen={one}
          onChange={(values) => props.url.set({ [parameter(one.variable)]: values })}
        />
      ))}
    </Group>
  );
}

function Field(props: { chosen: Chosen; onChange: (values: string[]) => void }) {
  const t = useTexts(texts);
  const { variable, choices, values } = props.chosen;
  const label = variable.title || variable.name;
  const data = [
    ...(variable.all === true ? [{ value: ALL, label: t.all }] : []),
    ...choices.map((choice) => ({ value: choice.value, label: choice.text ?? choice.value })),
  ];
  if (variable.kind === 'text') return <FreeText label={label} value={values[0] ?? ''} onChange={props.onChange} />;
  if (variable.multiple === true) {
    return (
      <MultiSelect
        size="xs"
        label={label}
        miw={160}
        maw={420}
        searchable
        hidePickedOptions
        data={data}
        value={[...values]}
        limit={200}
        onChange={(next) => {
          const added = next.find((value) => !values.includes(value));
          // All and some exclude each other: what was chosen last counts.
          props.onChange(added === ALL ? [ALL] : next.filter((value) => value !== ALL));
        }}
      />
    );
  }
  return (
    <Select
      size="xs"
      label={label}
      w={200}
      searchable
      allowDeselect={false}
      data={data}
      value={values[0] ?? null}
      limit={200}
      onChange={(value) => props.onChange(value === null ? [] : [value])}
    />
  );
}

function FreeText(props: { label: string; value: string; onChange: (values: string[]) => void }) {
  const [draft, setDraft] = useState(props.value);
  return (
    <TextInput
      size="xs"
      label={props.label}
      w={200}
      value={draft}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={() => props.onChange([draft])}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && !event.nativeEvent.isComposing) props.onChange([draft]);
      }}
    />
  );
}
