// What lines are called, with their values at the crosshair (or the last ones). A click shows one alone, with Ctrl it hides it.
import { defineTexts, useTexts } from '../../i18n/texts';
import { reduce } from '../../lib/series';
import classes from './chart.module.css';
import { lastOf } from './last';
import type { Line } from './options';

const texts = defineTexts(
  {
    series: 'Series',
    value: 'Value',
    min: 'Least',
    mean: 'Mean',
    max: 'Most',
    hint: 'Click: only this one. Ctrl-click: hide or show it.',
    more: (count: number) => `and ${count} more`,
  },
  {
    series: '시계열',
    value: '값',
    min: '최소',
    mean: '평균',
    max: '최대',
    hint: '클릭: 이것만 보기. Ctrl+클릭: 숨기기/보이기.',
    more: (count) => `외 ${count}개`,
  },
);

export interface LegendRow extends Line {
  values: readonly (number | null)[];
}

/** More lines than this are drawn but not listed. */
const ROWS_MAX = 200;

export function Legend(props: {
  rows: readonly LegendRow[];
  write: (value: number | null | undefined) => string;
  kind: 'list' | 'table';
  hidden: ReadonlySet<string>;
  setHidden: (hidden: ReadonlySet<string>) => void;
}) {
  const t = useTexts(texts);
  const { rows, write, hidden } = props;
  const choose = (label: string, isOne: boolean) => {
    if (isOne) {
      const next = new Set(hidden);
      if (!next.delete(label)) next.add(label);
      props.setHidden(next);
      return;
    }
    const others = rows.map((row) => row.label).filter((one) => one !== label);
    const isAlone = !hidden.has(label) && others.every((one) => hidden.has(one));
    props.setHidden(new Set(isAlone ? [] : others));
  };
  const entry = (row: LegendRow) => (
    <button
      type="button"
      className={classes.entry}
      aria-pressed={!row.hidden}
      title={`${row.label}\n${t.hint}`}
      onClick={(event) => choose(row.label, event.ctrlKey || event.metaKey)}
    >
      <span className={classes.swatch} style={{ background: row.color }} />
      <span className={classes.name}>{row.label}</span>
    </button>
  );
  const shown = rows.slice(0, ROWS_MAX);
  const rest = rows.length > ROWS_MAX && <small>{t.more(rows.length - ROWS_MAX)}</small>;
  if (props.kind === 'list') {
    return (
      <div className={classes.legend}>
        {shown.map((row, index) => (
          <span key={row.label} style={{ display: 'inline-flex', maxWidth: '100%', alignItems: 'baseline' }}>
            {entry(row)}
            <span
              className={classes.value}
              style={{ fontSize: 'var(--mantine-font-size-xs)' }}
              data-series-value={index}
            >
              {write(lastOf(row.values))}
            </span>
          </span>
        ))}
        {rest}
      </div>
    );
  }
  return (
    <div className={classes.table}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t.series}</th>
            <th scope="col">{t.value}</th>
            <th scope="col">{t.min}</th>
            <th scope="col">{t.mean}</th>
            <th scope="col">{t.max}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row, index) => {
            const numbers = row.values.filter((value) => value !== null);
            return (
              <tr key={row.label}>
                <td>{entry(row)}</td>
                <td className={classes.value} data-series-value={index}>
                  {write(lastOf(row.values))}
                </td>
                <td>{write(reduce(numbers, 'min'))}</td>
                <td>{write(reduce(numbers, 'mean'))}</td>
                <td>{write(reduce(numbers, 'max'))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {rest}
    </div>
  );
}
