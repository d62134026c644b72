// Compiles test/*.test.ts (Node 20 runs no TypeScript) and runs them with Node's own test runner.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, '.test-build');
rmSync(out, { recursive: true, force: true });
const names = readdirSync(join(root, 'test')).filter((name) => name.endsWith('.test.ts'));
await build({
  absWorkingDir: root, entryPoints: names.map((name) => `test/${name}`), outdir: out, bundle: true, format: 'esm', platform: 'node',
  target: 'node20', outExtension: { '.js': '.mjs' }, logLevel: 'warning',
});
const run = spawnSync(process.execPath, ['--test', ...names.map((name) => join(out, name.replace(/\.ts$/, '.mjs')))], { stdio: 'inherit' });
process.exit(run.status ?? 1);
