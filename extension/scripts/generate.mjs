// npm run generate -- <openapi.json>          writes src/api/schema.ts
// npm run generate -- <openapi.json> --check  exits 1 when it differs from what is there
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';

const target = join(dirname(fileURLToPath(import.meta.url)), '..', 'src', 'api', 'schema.ts');
const [source, option] = process.argv.slice(2);
if (source === undefined) {
  console.error('usage: npm run generate -- <openapi.json> [--check]');
  process.exit(2);
}
const text = `// Generated from the server's OpenAPI document by npm run generate. Do not edit.\n\n${astToString(await openapiTS(pathToFileURL(resolve(source))))}`;
if (option !== '--check') {
  writeFileSync(target, text);
} else if (readFileSync(target, 'utf8') !== text) {
  console.error('src/api/schema.ts is not what the OpenAPI document says: run npm run generate');
  process.exit(1);
}
