// Takes the API's document of maru.dev from standard input and keeps it here, sorted, so that its changes can be read:
//   kubectl get --raw /openapi/v3/apis/maru.dev/v1alpha1 | npm run document && npm run types
import { writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name])]),
  );
}

const document = JSON.parse(await text(process.stdin));
if (!document.openapi?.startsWith('3')) throw new Error('this is no OpenAPI 3 document');
await writeFile(
  new URL('./maru.dev.v1alpha1.json', import.meta.url),
  `${JSON.stringify(sorted(document), null, 1)}\n`,
);
