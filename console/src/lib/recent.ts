// The pages that were looked at last, kept in this browser.

export interface Visit {
  href: string;
  label: string;
}

const KEY = 'maru.recent';
const MAX = 12;

export function recent(): readonly Visit[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isVisit) : [];
  } catch {
    return [];
  }
}

function isVisit(value: unknown): value is Visit {
  const visit = value as Partial<Visit> | null;
  // Only addresses of this console: whatever else wrote here leads nowhere.
  return typeof visit?.href === 'string' && /^\/(?!\/)/.test(visit.href) && typeof visit.label === 'string';
}

export function remember(visit: Visit): void {
  const pathOf = (href: string) => href.split('?')[0];
  const others = recent().filter((one) => pathOf(one.href) !== pathOf(visit.href));
  try {
    localStorage.setItem(KEY, JSON.stringify([visit, ...others].slice(0, MAX)));
  } catch {
    // A browser that keeps nothing has no recent pages.
  }
}

export function forgetRecent(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // There is nothing to forget.
  }
}
