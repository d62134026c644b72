// The real server as a process of its own, on a fresh database; its people and phones are made by its command line.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { extensionId } from '../browser.mjs';
import { root } from './lab.mjs';
import { until } from './record.mjs';
import { later } from './tidy.mjs';

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run scripts/test e2e, or scripts/test services and source its env`);
  return value;
}

/** The server that scripts/test has built; else one is built here. */
function binary() {
  if (process.env.CTD_SERVER) return process.env.CTD_SERVER;
  const dir = mkdtempSync(join(tmpdir(), 'ctd-e2e-server-'));
  later(() => rmSync(dir, { recursive: true, force: true }));
  execFileSync('go', ['build', '-o', join(dir, 'clicktodial'), './server'], { cwd: root, env: { ...process.env, CGO_ENABLED: '0' } });
  return join(dir, 'clicktodial');
}

/** A fresh database, dropped at the end. */
function freshDatabase() {
  const base = needed('TEST_DATABASE_URL');
  const bin = process.env.CTD_POSTGRES_BIN;
  const psql = bin && existsSync(join(bin, 'psql')) ? join(bin, 'psql') : 'psql';
  const sql = (url, text) => execFileSync(psql, [url, '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', text], { encoding: 'utf8' }).trim();
  const name = `ctd_e2e_${randomBytes(6).toString('hex')}`;
  sql(base, `CREATE DATABASE ${name}`);
  later(() => sql(base, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  const url = new URL(base);
  url.pathname = `/${name}`;
  return { url: url.href, sql: (text) => sql(url.href, text) };
}

/** Redis keys of ours end by themselves, but not soon. */
function forgetKeys(url, prefix) {
  const redis = process.env.CTD_REDIS_SERVER;
  const beside = redis ? join(dirname(redis), 'redis-cli') : 'redis-cli';
  const { hostname, port, password, pathname } = new URL(url);
  const where = ['-h', hostname, '-p', port || '6379', '-n', pathname.slice(1) || '0'];
  const env = { ...process.env, ...(password !== '' && { REDISCLI_AUTH: decodeURIComponent(password) }) };
  const cli = (...args) => execFileSync(existsSync(beside) ? beside : 'redis-cli', [...where, ...args], { env, encoding: 'utf8' });
  try {
    const keys = cli('--scan', '--pattern', `${prefix}*`).split('\n').filter((key) => key !== '');
    if (keys.length > 0) cli('del', ...keys);
  } catch {
    // no redis-cli: they stay until their time
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** An installation with one tenant, serving. */
export async function startServer({ pbxUrl, ringSeconds = 5 }) {
  const prefix = `ctd-e2e-${randomBytes(6).toString('hex')}:`;
  const redis = needed('TEST_REDIS_URL');
  later(() => forgetKeys(redis, prefix));
  const database = freshDatabase();
  const listen = `127.0.0.1:${await freePort()}`;
  const env = {
    PATH: process.env.PATH, DATABASE_URL: database.url, REDIS_URL: redis, REDIS_PREFIX: prefix, PBX_URL: pbxUrl, LISTEN: listen,
    METRICS_LISTEN: `127.0.0.1:${await freePort()}`, PUBLIC_URL: `http://${listen}`, EXTENSION_IDS: extensionId,
    SECRET_KEY: randomBytes(32).toString('base64'), LOG_LEVEL: 'debug',
  };
  const bin = binary();
  const command = (...args) => JSON.parse(execFileSync(bin, [...args, '--json'], { env, encoding: 'utf8' }));
  command('migrate');
  const { tenantId } = command('tenant', 'create', '--name', 'End to End', '--admin', 'admin@e2e.example', '--ring-seconds', String(ringSeconds));
  const server = new Server({ bin, env, database, command, tenantId, url: `http://${listen}` });
  await server.start();
  return server;
}

class Server {
  #bin;
  #env;
  #database;
  #process = null;
  log = '';

  constructor({ bin, env, database, command, tenantId, url }) {
    this.#bin = bin;
    this.#env = env;
    this.#database = database;
    this.command = command;
    this.tenantId = tenantId;
    this.url = url;
  }

  async start() {
    const child = spawn(this.#bin, ['serve'], { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = { child, gone: new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal))) };
    child.stdout.on('data', (data) => { this.log += data; });
    child.stderr.on('data', (data) => { this.log += data; });
    later(() => this.stop());
    await until(() => this.isReady(), 'the server to be ready, with its PBX', 30_000);
  }

  async isReady() {
    if (this.#process?.child.exitCode !== null) throw new Error(`the server ended: ${this.log}`);
    const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(5000) }).catch(() => null);
    if (answer?.status !== 200) return false;
    return !/"ok":false/.test(await answer.text());
  }

  /** Ends it as an operator does; gives its exit code. */
  async stop() {
    if (this.#process === null) return null;
    const { child, gone } = this.#process;
    this.#process = null;
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const code = await gone;
    clearTimeout(hard);
    return code;
  }

  addUser(email) {
    return this.command('user', 'create', '--tenant', this.tenantId, '--email', email, '--name', 'Jo Tester').userId;
  }

  addPhone(email, { label, endpoint, callerId, withheld = false }) {
    const shown = withheld ? ['--withheld'] : [];
    return this.command('device', 'add', '--user', email, '--label', label, '--endpoint', endpoint, '--caller-id', callerId, ...shown).deviceId;
  }

  /** A member of the provider's staff. */
  addSupport(email) {
    return this.command('user', 'create', '--role', 'support', '--email', email).userId;
  }

  setPassword(email, password) {
    execFileSync(this.#bin, ['user', 'password', '--email', email], { env: this.#env, input: password, encoding: 'utf8' });
  }

  pairingCode(email) {
    return this.command('user', 'pair', email).code;
  }

  /** The PBX channel id of a call, which no client is told: it ties the call to what Asterisk saw. */
  channelOf(callId) {
    if (!/^[0-9a-f-]{36}$/.test(callId)) throw new Error('not a call id');
    return this.#database.sql(`SET ROLE ctd_follow; SELECT channel_id FROM calls WHERE id = '${callId}'`);
  }
}
