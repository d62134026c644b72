// A server that speaks the contract on a real socket, for tests of the extension alone. It keeps what it was asked, and
// does what a test tells it to. Never used where the real server can be.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const days = 24 * 3600 * 1000;

export async function startFakeServer() {
  const state = {
    requests: [], // {method, path, headers, body}
    code: 'PAIRCODE',
    access: new Set(),
    refresh: 'c2dr_first',
    refreshes: 0,
    calls: new Map(),
    keys: new Map(),
    history: [],
    sockets: new Set(),
    events: 0,
    deafUpgrades: 0, // so many of the next handshakes get no answer
    nextProblems: [], // {status, code, …}: answers to the next POST /v1/calls
    drops: 0, // how many of the next POST /v1/calls lose their answer on the way
    devices: [
      { id: 'dev-1', label: 'Desk phone', state: 'idle', default: true },
      { id: 'dev-2', label: 'Home office', state: 'offline', default: false },
    ],
    accessSeconds: 600,
  };

  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => answer(request, response, Buffer.concat(chunks).toString()));
  });
  server.on('upgrade', upgrade);

  function problem(response, status, code, more = {}) {
    response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ type: 'about:blank', title: code, status, detail: code, code, ...more }));
  }

  function json(response, status, value) {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(value));
  }

  function tokens(response) {
    const access = `c2da_${randomBytes(12).toString('hex')}`;
    state.access.add(access);
    state.refresh = `c2dr_${randomBytes(12).toString('hex')}`;
    json(response, 200, { access_token: access, refresh_token: state.refresh, token_type: 'Bearer', expires_in: state.accessSeconds });
  }

  function answer(request, response, body) {
    const url = new URL(request.url, 'http://127.0.0.1');
    const route = `${request.method} ${url.pathname}`;
    state.requests.push({ method: request.method, path: request.url, headers: request.headers, body });
    if (state.pages.has(url.pathname)) return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(state.pages.get(url.pathname));
    if (route === 'POST /oauth/token') {
      const form = new URLSearchParams(body);
      if (form.get('grant_type') === 'refresh_token') {
        if (form.get('refresh_token') !== state.refresh) return json(response, 400, { error: 'invalid_grant' });
        state.refreshes += 1;
        return tokens(response);
      }
      if (form.get('code')?.toUpperCase() !== state.code || form.get('client_id') !== 'extension') return json(response, 400, { error: 'invalid_grant' });
      return tokens(response);
    }
    if (route === 'POST /oauth/revoke') return response.writeHead(200).end();
    if (!url.pathname.startsWith('/v1/')) return problem(response, 404, 'not-found');
    if (!state.access.has((request.headers.authorization ?? '').replace(/^Bearer /, ''))) return problem(response, 401, 'unauthorized');
    if (route === 'GET /v1/me') {
      return json(response, 200, {
        user: { id: 'u', email: 'anna@acme.example', name: 'Anna de Vries', role: 'user' }, tenant: { id: 't', name: 'Acme B.V.', region: 'NL' },
        devices: state.devices, signIn: { id: 's', label: 'Chrome, Linux', supportCode: 'KRTWPX' }, limits: { callsPerMinute: 10, callsAtOnce: 2 }, historyDays: 90,
      });
    }
    if (route === 'POST /v1/numbers/check') return json(response, 200, check(JSON.parse(body).number));
    if (route === 'GET /v1/history') return json(response, 200, { items: state.history, next: null });
    if (route === 'POST /v1/calls') return place(request, response, JSON.parse(body));
    const id = /^\/v1\/calls\/(.+)$/.exec(url.pathname)?.[1];
    const call = state.calls.get(id);
    if (call === undefined) return problem(response, 404, 'not-found');
    if (request.method === 'GET') return json(response, 200, call);
    step(id, { status: 'disconnected', reason: call.connectedAt ? 'hangUp' : 'callerAbandon', endedAt: now() });
    return response.writeHead(204).end();
  }

  function check(number) {
    const digits = number.replace(/[^\d+]/g, '');
    const base = { number: digits, display: digits, class: 'geographic', region: 'NL', code: null, sentence: null, confirm: null };
    if (digits.length < 7) return { ...base, verdict: 'denied', code: 'number-invalid', sentence: 'This is not a telephone number.' };
    if (/^(?:0|\+31)900/.test(digits)) return { ...base, verdict: 'denied', code: 'premium-number', sentence: 'This number costs extra and may not be called.' };
    if (/^\+1/.test(digits)) return { ...base, verdict: 'confirm', sentence: 'You have not called this country before.', confirm: 'confirm-token' };
    return { ...base, verdict: 'allowed' };
  }

  function place(request, response, body) {
    const key = request.headers['idempotency-key'];
    if (key === undefined) return problem(response, 400, 'invalid-request');
    const known = state.keys.get(key);
    if (known !== undefined) return json(response, 200, state.calls.get(known));
    const next = state.nextProblems.shift();
    if (next !== undefined) return problem(response, next.status, next.code, next);
    const verdict = check(body.number);
    if (verdict.verdict === 'confirm' && body.confirm !== 'confirm-token') return problem(response, 422, 'confirmation-required');
    if (verdict.verdict === 'denied') return problem(response, 422, verdict.code);
    const id = randomUUID();
    const device = state.devices.find((one) => one.id === (body.deviceId ?? 'dev-1'));
    const call = {
      id, number: body.number, display: body.number, name: body.name ?? null, status: 'initiating', reason: null, diagnosis: null,
      device: { id: device.id, label: device.label }, signIn: { id: 's', label: 'Chrome, Linux' }, createdAt: now(), callerAnsweredAt: null, connectedAt: null,
      endedAt: null, durationSeconds: null, expiresAt: new Date(Date.now() + 90 * days).toISOString(), private: false, can: { hangUp: true },
    };
    state.calls.set(id, call);
    state.keys.set(key, id);
    if (state.drops > 0) {
      state.drops -= 1;
      return request.socket.destroy(); // the call is there, the answer is lost
    }
    return json(response, 201, call);
  }

  function now() {
    return new Date().toISOString();
  }

  /** Moves a call on and tells every socket. */
  function step(id, change) {
    const call = Object.assign(state.calls.get(id), change);
    if (call.status === 'disconnected' || call.status === 'failed') {
      call.can = { hangUp: false };
      state.history.unshift(call);
    }
    state.events += 1;
    tell({ type: 'call', id: String(state.events), call });
  }

  function tell(message) {
    for (const socket of state.sockets) if (socket.greeted) socket.write(frame(JSON.stringify(message)));
  }

  function upgrade(request, socket) {
    if (state.deafUpgrades > 0) {
      state.deafUpgrades -= 1;
      state.sockets.add(socket);
      socket.on('error', () => undefined);
      return;
    }
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    state.sockets.add(socket);
    state.origins.push(request.headers.origin);
    let pending = Buffer.alloc(0);
    socket.on('data', (data) => {
      pending = Buffer.concat([pending, data]);
      for (let message; (message = unframe(pending)) !== null;) {
        pending = pending.subarray(message.length);
        if (message.opcode === 8) return socket.end(frame('', 8));
        if (message.opcode === 1) hello(socket, JSON.parse(message.text));
      }
    });
    socket.on('close', () => state.sockets.delete(socket));
    socket.on('error', () => state.sockets.delete(socket));
  }

  function hello(socket, message) {
    state.hellos.push(message);
    if (message.type !== 'hello' || !state.access.has(message.token)) return close(socket, 4401);
    socket.greeted = true;
    socket.write(frame(JSON.stringify({ type: 'ready', id: String(state.events), ...(message.after !== '' && Number(message.after) > state.events && { reset: true }) })));
    for (const call of state.calls.values()) {
      if (call.can.hangUp) socket.write(frame(JSON.stringify({ type: 'call', id: String(state.events), call })));
    }
  }

  function close(socket, code) {
    const reason = Buffer.alloc(2);
    reason.writeUInt16BE(code);
    socket.end(frame(reason, 8));
  }

  state.hellos = [];
  state.origins = [];
  state.pages = new Map();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = server.address().port;
  return {
    url: `http://127.0.0.1:${port}`,
    state,
    step,
    tell,
    posted: () => state.requests.filter((one) => one.method === 'POST' && one.path === '/v1/calls'),
    lastCall: () => [...state.calls.values()].at(-1),
    revoke: (by) => {
      state.access.clear();
      state.refresh = 'none';
      tell({ type: 'revoked', reason: 'lost', by, at: now() });
      for (const socket of state.sockets) close(socket, 4403);
    },
    dropSockets: () => { for (const socket of state.sockets) socket.destroy(); },
    stop: () => new Promise((resolve) => {
      for (const socket of state.sockets) socket.destroy();
      server.close(resolve);
      server.closeAllConnections();
    }),
    again: () => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve)),
  };
}

function frame(payload, opcode = 1) {
  const data = Buffer.from(payload);
  const head = data.length < 126 ? Buffer.from([0x80 | opcode, data.length]) : Buffer.from([0x80 | opcode, 126, data.length >> 8, data.length & 255]);
  return Buffer.concat([head, data]);
}

function unframe(data) {
  if (data.length < 6) return null;
  let size = data[1] & 127;
  let at = 2;
  if (size === 126) {
    size = data.readUInt16BE(2);
    at = 4;
  }
  if (data.length < at + 4 + size) return null;
  const mask = data.subarray(at, at + 4);
  const payload = Buffer.from(data.subarray(at + 4, at + 4 + size)).map((byte, i) => byte ^ mask[i % 4]);
  return { opcode: data[0] & 15, text: payload.toString(), length: at + 4 + size };
}
