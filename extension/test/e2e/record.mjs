// A growing list of what happened, and a way to wait for the next thing of interest: with a deadline, without polling.
export class Record {
  #items = [];
  #waiting = new Set();

  add(item) {
    this.#items.push(item);
    for (const one of [...this.#waiting]) {
      if (one.is(item)) one.found(item);
    }
  }

  get length() {
    return this.#items.length;
  }

  all(is = () => true) {
    return this.#items.filter(is);
  }

  /** The first that is wanted, from item number `from` on: one that is here already, or one that comes in time. */
  next(is, what, { ms = 15_000, from = 0 } = {}) {
    const here = this.#items.slice(from).find(is);
    if (here !== undefined) return Promise.resolve(here);
    return new Promise((resolve, reject) => {
      const end = (act, value) => {
        clearTimeout(timer);
        this.#waiting.delete(one);
        act(value);
      };
      const one = { is, found: (item) => end(resolve, item) };
      const timer = setTimeout(() => end(reject, new Error(`waited ${ms} ms in vain for ${what}`)), ms);
      this.#waiting.add(one);
    });
  }
}

/** A promise that must come true in time. */
export function inTime(promise, what, ms = 30_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** For what tells nobody when it changes: asks again until it is so. */
export async function until(ask, what, ms = 15_000) {
  for (const deadline = Date.now() + ms; ;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
