// The tests' own eyes at the PBX: an AMI session of the watcher, who sees everything. Not the account of the service.
import { connect } from 'node:net';
import { Record } from './record.mjs';
import { later } from './tidy.mjs';

const kept = new Set(['Newchannel', 'Newstate', 'Newexten', 'DialBegin', 'Hangup', 'OriginateResponse', 'BlindTransfer']);

/** Gives { events, ask }: the events that matter here, and a way to have the PBX do something. */
export async function watch({ host, port, user, secret }) {
  const events = new Record();
  const answers = new Record();
  const socket = connect(port, host);
  later(() => socket.destroy());
  socket.setEncoding('utf8');
  let rest = '';
  socket.on('data', (data) => {
    const parts = (rest + data).split('\r\n\r\n');
    rest = parts.pop();
    for (const message of parts.map(parse)) {
      if (!('Event' in message)) answers.add(message); // OriginateResponse has a Response too
      else if (kept.has(message.Event)) events.add(message);
    }
  });
  socket.on('error', () => undefined); // a PBX that is killed; what is waited for says so
  let asked = 0;
  const ask = (Action, fields = {}) => {
    const ActionID = `e2e-${process.pid}-${asked += 1}`;
    const lines = Object.entries({ Action, ActionID, ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${lines.join('')}\r\n`);
    return answers.next((one) => one.ActionID === ActionID, `the PBX's answer to ${Action}`);
  };
  const answer = await ask('Login', { Username: user, Secret: secret });
  if (answer.Response !== 'Success') throw new Error('the PBX does not let the watcher in');
  return { events, ask };
}

function parse(text) {
  const message = {};
  for (const line of text.split('\r\n')) {
    const at = line.indexOf(':');
    if (at > 0) message[line.slice(0, at)] ??= line.slice(at + 1).trim();
  }
  return message;
}

/** Waits until a leg of a call, known by how its channel's name begins, is `Ringing` or `Up`. */
export function legIs({ events }, id, start, state) {
  const is = (one) => one.Event === 'Newstate' && one.Linkedid === id && one.Channel.startsWith(start) && one.ChannelStateDesc === state;
  return events.next(is, `${start} to be ${state}`);
}

/** All that Asterisk saw of one call of ours: its channels by kind, and where its own leg went in the dialplan (first it stands at `s`). */
export function seenOf({ events }, id, endpoint) {
  const mine = events.all((one) => one.Linkedid === id || one.Uniqueid === id);
  const named = (start) => mine.filter((one) => one.Event === 'Newchannel' && one.Channel.startsWith(start));
  return {
    originated: mine.filter((one) => one.Event === 'OriginateResponse').length,
    main: mine.filter((one) => one.Event === 'Newchannel' && one.Uniqueid === id).length,
    own: named(`PJSIP/${endpoint}-`).length,
    callee: named('PJSIP/carrier-').length,
    dialled: [...new Set(mine.filter((one) => one.Event === 'Newexten' && one.Uniqueid === id && one.Extension !== 's').map((one) => one.Extension))],
    left: mine.filter((one) => one.Event === 'Newchannel').length - mine.filter((one) => one.Event === 'Hangup').length,
  };
}
