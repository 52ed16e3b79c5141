/** The last value that there is. */
export function lastOf(column: readonly (number | null)[]): number | null {
  return column.findLast((value) => value !== null) ?? null;
}
