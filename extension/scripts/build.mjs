// Builds dist/, the folder that the browser loads. Nothing is fetched, nothing is left to run time.
import { build } from 'esbuild';
import { cp, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });

const common = {
  absWorkingDir: root,
  bundle: true,
  target: 'chrome120',
  charset: 'ascii', // a page's own encoding must not matter to a content script
  legalComments: 'none',
  minify: true,
  outdir: dist,
  logLevel: 'warning',
};

await build({
  ...common,
  format: 'esm',
  entryPoints: {
    worker: 'src/worker/index.ts',
    popup: 'src/pages/popup.ts',
    options: 'src/pages/options.ts',
    welcome: 'src/pages/welcome.ts',
  },
});
await build({ ...common, format: 'iife', entryPoints: { content: 'src/content/index.ts' } });

for (const [from, to] of [
  ['manifest.json', 'manifest.json'],
  ['schema/managed.json', 'managed.json'],
  ['_locales', '_locales'],
  ['icons', 'icons'],
  ['pages', '.'],
  ['src/content/marks.css', 'marks.css'],
]) {
  await cp(join(root, from), join(dist, to), { recursive: true });
}
