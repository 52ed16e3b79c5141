// The words under a time axis, in a zone. Pure.

export type TimeLabels = (splits: readonly number[], increment: number) => string[];

/** Writes `14:05`, `14:05:30`, `11-22` or `2026-11`, as fine as the distance of the marks wants; a new day is named. */
export function timeLabels(zone: string): TimeLabels {
  const make = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('sv-SE', { timeZone: zone, ...options });
  const day = make({ month: '2-digit', day: '2-digit' });
  const month = make({ year: 'numeric', month: '2-digit' });
  const minute = make({ hour: '2-digit', minute: '2-digit' });
  const second = make({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
  const fraction = make({ minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });
  return (splits, increment) => {
    let before = '';
    return splits.map((seconds) => {
      const at = seconds * 1000;
      if (increment >= 28 * 86_400) return month.format(at);
      const today = day.format(at);
      const isNew = before !== '' && today !== before;
      before = today;
      if (increment >= 86_400) return today;
      if (isNew) return minute.format(at) === '00:00' ? today : `${minute.format(at)}\n${today}`;
      if (increment < 1) return fraction.format(at);
      return increment < 60 ? second.format(at) : minute.format(at);
    });
  };
}
