// A second sign-in of the same user, without a browser: the API and its live events, beside what the extension shows.
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { inTime, Record } from './record.mjs';
import { later } from './tidy.mjs';

/** Pairs, and gives { ask, dial, history, live }. */
export async function signIn(server, email) {
  const form = new URLSearchParams({
    grant_type: 'urn:clicktodial:pairing-code', code: server.pairingCode(email), client_id: 'extension', device_name: 'end-to-end test',
  });
  const { access_token: token } = await (await fetch(`${server.url}/oauth/token`, { method: 'POST', body: form, signal: AbortSignal.timeout(15_000) })).json();
  if (typeof token !== 'string') throw new Error('the pairing code was not taken');

  const ask = async (method, path, body, headers = {}) => {
    const answer = await fetch(`${server.url}${path}`, {
      method, signal: AbortSignal.timeout(15_000),
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, type: answer.headers.get('content-type'), body: text === '' ? null : JSON.parse(text) };
  };
  return {
    ask,
    dial: (body) => ask('POST', '/v1/calls', body, { 'idempotency-key': randomBytes(16).toString('hex') }),
    history: async () => (await ask('GET', '/v1/history?limit=100')).body.items,
    live: () => follow(server.url, token),
  };
}

/** The WebSocket of /v1/events (RFC 6455, as little of it as this stream needs; Node 20 has none of its own). */
async function follow(url, token) {
  const messages = new Record();
  const socket = await inTime(new Promise((resolve, reject) => {
    const upgrade = request(`${url}/v1/events`, {
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') },
    });
    upgrade.once('upgrade', (_, opened, head) => {
      if (head.length > 0) opened.unshift(head);
      resolve(opened);
    });
    upgrade.once('response', (answer) => reject(new Error(`no WebSocket but ${answer.statusCode}`))).once('error', reject).end();
  }), 'the WebSocket');
  later(() => socket.destroy());
  socket.on('error', () => undefined); // the server has stopped
  let rest = Buffer.alloc(0);
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    for (let frame = readFrame(rest); frame !== null; frame = readFrame(rest)) {
      rest = rest.subarray(frame.size);
      if (frame.opcode === 1) messages.add(JSON.parse(frame.payload.toString()));
    }
  });
  socket.write(textFrame(JSON.stringify({ type: 'hello', token, after: '' })));
  await messages.next((one) => one.type === 'ready', 'the live link');
  return messages;
}

function readFrame(data) {
  if (data.length < 2) return null;
  const short = data[1] & 0x7f;
  const head = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (data.length < head) return null;
  const size = short === 127 ? Number(data.readBigUInt64BE(2)) : short === 126 ? data.readUInt16BE(2) : short;
  if (data.length < head + size) return null;
  return { opcode: data[0] & 0x0f, payload: data.subarray(head, head + size), size: head + size };
}

function textFrame(text) { // masked, as a client must
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  const head = payload.length < 126 ? Buffer.from([0x81, 0x80 | payload.length]) : Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
}
