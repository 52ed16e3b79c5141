// Colours of series, readable on both grounds. Thresholds and boards name colours by words.

export type Scheme = 'light' | 'dark';

const SERIES: Record<Scheme, readonly string[]> = {
  light: [
    '#0b7285',
    '#c2410c',
    '#5f3dc4',
    '#2b8a3e',
    '#c2255c',
    '#1864ab',
    '#8f5f00',
    '#862e9c',
    '#087f5b',
    '#495057',
    '#1098ad',
    '#a61e4d',
  ],
  dark: [
    '#3bc9db',
    '#ffa94d',
    '#b197fc',
    '#69db7c',
    '#faa2c1',
    '#74c0fc',
    '#ffe066',
    '#e599f7',
    '#38d9a9',
    '#ced4da',
    '#99e9f2',
    '#ff8787',
  ],
};

const NAMED: Record<Scheme, Record<string, string>> = {
  light: {
    green: '#2b7a3d',
    yellow: '#8f6b00',
    orange: '#b35300',
    red: '#c92a2a',
    blue: '#1864ab',
    purple: '#6741d9',
    gray: '#5c636a',
  },
  dark: {
    green: '#69db7c',
    yellow: '#ffe066',
    orange: '#ffa94d',
    red: '#ff8787',
    blue: '#74c0fc',
    purple: '#b197fc',
    gray: '#adb5bd',
  },
};

export function seriesColor(index: number, scheme: Scheme): string {
  const colors = SERIES[scheme];
  return colors[index % colors.length] ?? '#868e96';
}

/** A colour by its word, or `#rrggbb`; nothing else is taken from data. */
export function namedColor(name: string | undefined, scheme: Scheme): string | undefined {
  if (name === undefined || name === '') return undefined;
  return NAMED[scheme][name] ?? (/^#[0-9a-fA-F]{6}$/.test(name) ? name : undefined);
}

export interface ColorStep {
  from?: number;
  color: string;
}

/** The colour of the highest step that a value reaches; the first step without `from` holds below all others. */
export function stepColor(
  value: number | undefined,
  steps: readonly ColorStep[] | undefined,
  scheme: Scheme,
): string | undefined {
  if (value === undefined || Number.isNaN(value) || steps === undefined) return undefined;
  const reached = steps.filter((step) => step.from === undefined || value >= step.from).at(-1);
  return namedColor(reached?.color, scheme);
}

/** A colour with less weight, for areas below lines. */
export function faded(color: string, alpha: number): string {
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}
