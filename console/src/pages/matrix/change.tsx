// What changed in a requirement between two states: its sentence word by word, and each other field before and after.
import { Anchor, Drawer, Stack, Text } from '@mantine/core';
import { usePreferences } from '../../i18n/preferences';
import { type LocalText, pickText, useTexts } from '../../i18n/texts';
import { paths } from '../../paths';
import { useSpineWord } from '../../ui/verdict';
import classes from './matrix.module.css';
import { type Field, type MatrixRow, type RowChange, wordDiff } from './rows';
import { texts } from './texts';

type FieldText =
  | 'fieldStatement'
  | 'fieldTitle'
  | 'fieldPriority'
  | 'fieldCriterion'
  | 'fieldParents'
  | 'fieldDesign'
  | 'fieldChecks'
  | 'fieldVerdict'
  | 'fieldEvidence';

const FIELDS: readonly { field: Field; text: FieldText }[] = [
  { field: 'statement', text: 'fieldStatement' },
  { field: 'title', text: 'fieldTitle' },
  { field: 'priority', text: 'fieldPriority' },
  { field: 'criterion', text: 'fieldCriterion' },
  { field: 'parents', text: 'fieldParents' },
  { field: 'design', text: 'fieldDesign' },
  { field: 'checks', text: 'fieldChecks' },
  { field: 'verdict', text: 'fieldVerdict' },
  { field: 'evidence', text: 'fieldEvidence' },
];

export function ChangeDrawer(props: { change: RowChange | undefined; project: string; close: () => void }) {
  const t = useTexts(texts);
  const { change } = props;
  const row = change?.after ?? change?.before;
  return (
    <Drawer
      opened={change !== undefined}
      onClose={props.close}
      position="right"
      size="lg"
      title={row ? t.details(row.name) : ''}
    >
      {change && row && (
        <Stack gap="md">
          {FIELDS.filter(({ field }) => isShown(change, field)).map(({ field, text }) => (
            <div key={field}>
              <Text size="xs" c="dimmed">
                {t[text]}
              </Text>
              <FieldChange change={change} field={field} />
            </div>
          ))}
          {change.after && (
            <Anchor href={paths.requirement(props.project, row.name)} onClick={props.close}>
              {t.open}
            </Anchor>
          )}
        </Stack>
      )}
    </Drawer>
  );
}

/** Of what is new or gone, all that it says. */
function isShown(change: RowChange, field: Field): boolean {
  if (change.before && change.after) return change.fields.has(field);
  const row = change.after ?? change.before;
  return row !== undefined && written(row, field, 'en', (word) => word) !== '';
}

function FieldChange(props: { change: RowChange; field: Field }) {
  const { language } = usePreferences();
  const word = useSpineWord();
  const { before, after } = props.change;
  const tell = (row: MatrixRow | undefined) => (row ? written(row, props.field, language, word) : '');
  return (
    <Text component="p" m={0} style={{ whiteSpace: 'pre-wrap' }}>
      {wordDiff(tell(before), tell(after)).map((part, index) =>
        part.kind === 'same' ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of one text have no other name
          <span key={index}>{part.text}</span>
        ) : part.kind === 'added' ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of one text have no other name
          <ins key={index} className={classes.word} data-kind="added">
            {part.text}
          </ins>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts of one text have no other name
          <del key={index} className={classes.word} data-kind="removed">
            {part.text}
          </del>
        ),
      )}
    </Text>
  );
}

function written(row: MatrixRow, field: Field, language: 'en' | 'ko', word: (word: string) => string): string {
  const text = (value: LocalText) => pickText(value, language);
  switch (field) {
    case 'statement':
      return text(row.statement);
    case 'title':
      return text(row.title);
    case 'priority':
      return word(row.priority);
    case 'criterion':
      return row.criterion;
    case 'parents':
      return row.parents.join(', ');
    case 'design':
      return row.design.join(', ');
    case 'work':
      return row.work.join(', ');
    case 'checks':
      return [...row.tests, ...row.slos, ...row.others].map((one) => `${word(one.means)} ${one.label}`).join('\n');
    case 'verdict':
      return word(row.verdict ?? 'none');
    case 'evidence':
      return row.evidence.join('\n');
  }
}
