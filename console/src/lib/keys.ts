// Keys that work anywhere on a page, and when they must not: while somebody types or an input method composes.

/** Whether keys belong to what has the focus: a field, an editor, a terminal. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return false;
  return (
    target.closest('input, textarea, select, [contenteditable=""], [contenteditable="true"], [role="textbox"]') !== null
  );
}

/** Whether an input method is at work on this key: such an Enter or letter is not ours. */
export function isComposing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}

/** The letter of a key by its place, so that shortcuts work while Hangul is switched on: ㅎ is `g`. */
export function letterOf(event: Pick<KeyboardEvent, 'key' | 'code'>): string {
  if (/^[a-zA-Z]$/.test(event.key)) return event.key.toLowerCase();
  const placed = /^Key([A-Z])$/.exec(event.code)?.[1];
  return placed !== undefined && !/^[\x20-\x7e]$/.test(event.key) ? placed.toLowerCase() : '';
}
