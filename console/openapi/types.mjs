// Writes src/api/maru.gen.ts from the API's own document; with --check says whether the file is what would be written.
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';

const source = new URL('./maru.dev.v1alpha1.json', import.meta.url);
const target = new URL('../src/api/maru.gen.ts', import.meta.url);

const { factory, SyntaxKind } = ts;
const word = (kind) => factory.createKeywordTypeNode(kind);
/** What the API leaves open because it may be written in two ways, by what the document says of it. */
const written = [
  [/^A text, or an object with ko and en/, () => factory.createTypeReferenceNode('LocalText')],
  [
    /^(A share of one|The bound with its unit)/,
    () => factory.createUnionTypeNode([word(SyntaxKind.StringKeyword), word(SyntaxKind.NumberKeyword)]),
  ],
];

const { paths: _, ...document } = JSON.parse(await readFile(source, 'utf8'));
const nodes = await openapiTS(
  { ...document, paths: {} },
  {
    inject: "import type { LocalText } from '../i18n/texts';",
    transform: (schema) => written.find(([pattern]) => pattern.test(schema.description ?? ''))?.[1](),
  },
);
const text = `// Written by \`npm run types\` from openapi/maru.dev.v1alpha1.json, the document of the API. Not edited by hand.\n${astToString(nodes)}`;

if (process.argv.includes('--check')) {
  if ((await readFile(target, 'utf8')) !== text) {
    process.stderr.write('src/api/maru.gen.ts is not what the document of the API says; run: npm run types\n');
    process.exitCode = 1;
  }
} else {
  await writeFile(target, text);
}
