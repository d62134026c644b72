// A softphone in the test's hand: baresip, by its ctrl_tcp module (netstrings of JSON).
import { connect } from 'node:net';
import { Record } from './record.mjs';
import { later } from './tidy.mjs';

/** Gives { events, tell }: what happens on the phone, and a way to press its buttons. */
export async function holdPhone({ controlPort, number }) {
  const events = new Record();
  const answers = new Record();
  const socket = connect(controlPort, '127.0.0.1');
  later(() => socket.destroy());
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.on('error', () => undefined); // the lab went down; what is waited for says so
  let rest = Buffer.alloc(0);
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    for (let at = rest.indexOf(':'); at > 0; at = rest.indexOf(':')) {
      const size = Number(rest.subarray(0, at));
      if (rest.length < at + size + 2) return;
      const message = JSON.parse(rest.subarray(at + 1, at + 1 + size).toString());
      rest = rest.subarray(at + size + 2);
      (message.event === true ? events : answers).add(message);
    }
  });
  let asked = 0;
  const tell = async (command, params = '') => {
    const token = String(asked += 1);
    const text = JSON.stringify({ command, params, token });
    socket.write(`${Buffer.byteLength(text)}:${text},`);
    const answer = await answers.next((one) => one.token === token, `phone ${number} to ${command}`);
    if (answer.ok !== true) throw new Error(`phone ${number} would not ${command}`);
    return answer.data;
  };
  return { events, tell };
}
