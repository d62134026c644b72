// What was started is ended, in the reverse order: after the tests, and when somebody stops them.
const stack = [];
let running = null;

/** `end` is called at the end, also when a test failed or the run was interrupted. */
export function later(end) {
  stack.push(end);
}

/** Ends everything; tells of what did not end, but ends the rest all the same. */
export function tidyUp() {
  running ??= (async () => {
    const faults = [];
    while (stack.length > 0) await Promise.resolve().then(stack.pop()).catch((fault) => faults.push(fault));
    if (faults.length > 0) throw new AggregateError(faults, faults.map(String).join('; '));
  })();
  return running;
}

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.once(signal, () => void tidyUp().catch((fault) => console.error(String(fault))).finally(() => process.exit(code)));
}
