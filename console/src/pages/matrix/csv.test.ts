import { expect, test } from 'vitest';
import type { Requirement } from '../../api/maru';
import { toCsv } from './csv';
import { buildRows } from './rows';

test('a spreadsheet reads it, and runs nothing of it', () => {
  const requirements = [
    {
      metadata: { name: 'fr-1' },
      spec: { statement: 's', priority: 'must', title: '=HYPERLINK("http://x")', allocatedTo: ['a', 'b'] },
    },
  ] as unknown as Requirement[];
  const [head, line] = toCsv(buildRows({ requirements, workItems: [] })).split('\r\n');
  expect(head).toMatch(/^\uFEFFrequirement,title,/);
  expect(line).toBe(`fr-1,"'=HYPERLINK(""http://x"")",must,,,a b,,,,,,,`);
});
