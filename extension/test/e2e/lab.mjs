// The laboratory that scripts/asterisk starts: a real Asterisk, SIP phones, and a carrier behind it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { later } from './tidy.mjs';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

function asterisk(...args) {
  const done = spawnSync(join(root, 'scripts', 'asterisk'), args, { encoding: 'utf8' });
  if (done.status === 3) return null; // not on this machine: it has said why
  if (done.status !== 0) throw new Error(`scripts/asterisk ${args.join(' ')}: ${done.stderr}${done.stdout}`);
  return done.stdout;
}

/** Why there is no laboratory here, or null. With CI set a machine that cannot is a failure. */
export const without = (() => {
  if (process.getuid?.() === 0 && process.platform === 'linux') return null;
  if (process.env.CI) throw new Error('NO REAL ASTERISK, and CI is set: scripts/asterisk needs Linux and root');
  return 'NO REAL ASTERISK HERE: scripts/asterisk needs Linux and root';
})();

/** The laboratory that scripts/test has started, for calls that disturb nobody; else one of our own. */
export function sharedLab() {
  const file = process.env.CTD_ASTERISK_LAB;
  return file === undefined || file === '' ? ownLab() : new Lab(file);
}

/** One of our own, to watch everything in it, or to break it. */
export function ownLab() {
  const dir = mkdtempSync(join(tmpdir(), 'ctd-e2e-lab-'));
  later(() => {
    asterisk('down', '--dir', dir);
    rmSync(dir, { recursive: true, force: true });
  });
  if (asterisk('up', '--dir', dir) === null) throw new Error('this machine cannot run the Asterisk laboratory');
  return new Lab(join(dir, 'lab.json'));
}

class Lab {
  #dir;
  #rowsBefore;

  constructor(file) {
    this.#dir = dirname(file);
    Object.assign(this, JSON.parse(readFileSync(file, 'utf8')));
    this.#rowsBefore = this.#rows().length;
  }

  phone(number) {
    return this.phones.find((one) => one.number === number);
  }

  /** kill, stop or start: the PBX alone. */
  pbx(what) {
    asterisk('pbx', what, '--dir', this.#dir);
  }

  #rows() {
    return readFileSync(this.carrierCalls, 'utf8').split('\n').filter((line) => line !== '').map((line) => {
      const [at, called, caller, withheld, name] = line.split(',');
      return { at: Number(at), called, caller, withheld: withheld === 'yes', name };
    });
  }

  /** The calls that reached the carrier since we came, with the caller as it knows them. */
  carrierSaw(is = () => true) {
    return this.#rows().slice(this.#rowsBefore).filter(is);
  }
}
