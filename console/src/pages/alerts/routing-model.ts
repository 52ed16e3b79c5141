// The routing tree of an Alertmanager's configuration, and the way of labels through it. Pure.
import { parse } from 'yaml';
import { type Matcher, readMatcher, writeMatcher } from '../../api/alertmanager';
import type { Labels } from '../../lib/series';

export interface Route {
  /** By which it is found among all: `0`, `0.1`. */
  path: string;
  receiver: string;
  matchers: Matcher[];
  groupBy: string[];
  wait: string;
  interval: string;
  repeat: string;
  mute: string[];
  continues: boolean;
  routes: Route[];
}

export interface Routing {
  root: Route | undefined;
  receivers: { name: string; integrations: string[] }[];
  inhibitions: string[];
}

interface RawRoute {
  receiver?: string;
  group_by?: string[];
  group_wait?: string;
  group_interval?: string;
  repeat_interval?: string;
  mute_time_intervals?: string[];
  active_time_intervals?: string[];
  continue?: boolean;
  matchers?: string[];
  match?: Record<string, string>;
  match_re?: Record<string, string>;
  routes?: RawRoute[];
}

interface RawConfig {
  route?: RawRoute;
  receivers?: ({ name: string } & Record<string, unknown>)[];
  inhibit_rules?: Record<string, unknown>[];
}

const DEFAULTS = { receiver: '', groupBy: [] as string[], wait: '30s', interval: '5m', repeat: '4h' };

export function readRouting(original: string): Routing {
  let config: RawConfig | null;
  try {
    config = parse(original) as RawConfig | null;
  } catch {
    config = null;
  }
  return {
    root: config?.route == null ? undefined : readRoute(config.route, '0', DEFAULTS),
    receivers: (config?.receivers ?? []).map((receiver) => ({
      name: receiver.name,
      integrations: Object.entries(receiver)
        .filter(([key, value]) => key.endsWith('_configs') && Array.isArray(value))
        .flatMap(([key, value]) => (value as unknown[]).map(() => key.replace('_configs', ''))),
    })),
    inhibitions: (config?.inhibit_rules ?? []).map(writeInhibition),
  };
}

function readRoute(raw: RawRoute, path: string, above: typeof DEFAULTS): Route {
  const own = {
    receiver: raw.receiver ?? above.receiver,
    groupBy: raw.group_by ?? above.groupBy,
    wait: raw.group_wait ?? above.wait,
    interval: raw.group_interval ?? above.interval,
    repeat: raw.repeat_interval ?? above.repeat,
  };
  return {
    path,
    ...own,
    matchers: [
      ...(raw.matchers ?? []).flatMap(splitMatchers),
      ...Object.entries(raw.match ?? {}).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true })),
      ...Object.entries(raw.match_re ?? {}).map(([name, value]) => ({ name, value, isRegex: true, isEqual: true })),
    ],
    mute: [...(raw.mute_time_intervals ?? []), ...(raw.active_time_intervals ?? []).map((name) => `not ${name}`)],
    continues: raw.continue === true,
    routes: (raw.routes ?? []).map((route, index) => readRoute(route, `${path}.${index}`, own)),
  };
}

/** `{a="b", c=~"d"}` or one matcher. */
export function splitMatchers(text: string): Matcher[] {
  const inner = text.trim().replace(/^\{(.*)\}$/s, '$1');
  const parts = inner.match(/(?:"(?:\\.|[^"\\])*"|[^,"])+/g) ?? [];
  return parts.flatMap((part) => readMatcher(part) ?? []);
}

function writeInhibition(rule: Record<string, unknown>): string {
  const side = (name: string) => {
    const matchers = (rule[`${name}_matchers`] as string[] | undefined) ?? [];
    const classic = Object.entries((rule[`${name}_match`] as Record<string, string> | undefined) ?? {}).map(
      ([label, value]) => `${label}=${JSON.stringify(value)}`,
    );
    return [...matchers, ...classic].join(', ');
  };
  const equal = (rule.equal as string[] | undefined) ?? [];
  return `{${side('source')}} → {${side('target')}}${equal.length > 0 ? ` (${equal.join(', ')})` : ''}`;
}

/** Whether labels meet a condition; a label that is not there is the empty text. */
export function fits(matcher: Matcher, labels: Labels): boolean {
  const value = labels[matcher.name] ?? '';
  let isMatch = value === matcher.value;
  if (matcher.isRegex) {
    try {
      isMatch = new RegExp(`^(?:${matcher.value})$`, 's').test(value);
    } catch {
      isMatch = false;
    }
  }
  return isMatch === matcher.isEqual;
}

/** The paths of the routes that take an alert: the deepest that fit, more than one where a route continues. */
export function waysOf(route: Route, labels: Labels): string[] {
  if (!route.matchers.every((matcher) => fits(matcher, labels))) return [];
  const found: string[] = [];
  for (const child of route.routes) {
    const ways = waysOf(child, labels);
    found.push(...ways);
    if (ways.length > 0 && !child.continues) break;
  }
  return found.length > 0 ? found : [route.path];
}

export function writeMatchers(matchers: readonly Matcher[]): string {
  return matchers.map(writeMatcher).join(', ');
}
