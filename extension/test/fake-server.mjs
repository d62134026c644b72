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
    lostRefreshes: 0, // so many of the next renewals lose their answer
    revokedBy: null, // {by, reason, at}: what the token endpoint says of a refused refresh token
    oauth: {
      issuer: null, // what the metadata calls it, where that is not the server; 404: there is none
      heldMetadata: null, // a promise that the metadata waits for
      asked: [], // the queries of /oauth/authorize
      waiting: new Map(), // requests whose page is shown
      codes: new Map(), // code: {challenge, redirectUri, used, tokens}
      sent: [], // forms with a code, as they came
      answer: {}, // changes the next redirect: {state, iss, error, code}; null leaves it out
      lost: 0, // so many of the next codes are taken, and the answer is lost on the way
      reset: 0, // so many are taken, and the connection is lost before any answer: a browser then sends again by itself
      held: null, // a promise that the next answers to a code wait for
      refusal: null, // {status, error}: the answer to the next code
    },
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
    return access;
  }

  /** Breaks off after the head of the answer, so that the browser does not send the request again by itself. */
  function loseAnswer(response) {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{', () => response.destroy());
  }

  function page(response, status, html) {
    const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' };
    response.writeHead(status, headers).end(`<!doctype html><html lang="en"><title>Sign in</title><body>${html}</body></html>`);
  }

  /** RFC 8414. */
  async function metadata(response) {
    await state.oauth.heldMetadata;
    if (state.oauth.issuer === 404) return problem(response, 404, 'not-found');
    json(response, 200, { issuer: state.oauth.issuer ?? base(), authorization_endpoint: `${base()}/oauth/authorize`, token_endpoint: `${base()}/oauth/token` });
  }

  /** RFC 6749 4.1.1 with PKCE. The person of this server is always signed in already. */
  function authorize(response, query) {
    state.oauth.asked.push(Object.fromEntries(query));
    const right = query.get('response_type') === 'code' && query.get('client_id') === 'extension' && query.get('redirect_uri') === `${base()}/oauth/done`
      && query.get('code_challenge_method') === 'S256' && /^[A-Za-z0-9_-]{43}$/.test(query.get('code_challenge') ?? '') && (query.get('state') ?? '').length >= 22
      && new Set([...query.keys()]).size === [...query.keys()].length;
    if (!right) return page(response, 400, '<p id="bad">This request is not understood.</p>');
    const id = randomUUID();
    state.oauth.waiting.set(id, query);
    page(response, 200, `<form method="post" action="/oauth/decide"><p>May this browser make calls for you?</p><input type="hidden" name="id" value="${id}">
      <button id="allow" name="choice" value="allow">Allow</button> <button id="deny" name="choice" value="deny">Deny</button></form>`);
  }

  function decide(response, form) {
    const query = state.oauth.waiting.get(form.get('id'));
    state.oauth.waiting.delete(form.get('id'));
    if (query === undefined) return page(response, 400, '<p id="bad">Once only.</p>');
    const code = `c2dc_${randomBytes(16).toString('hex')}`;
    const plain = { ...(form.get('choice') === 'allow' ? { code } : { error: 'access_denied' }), state: query.get('state'), iss: base() };
    if (plain.code !== undefined) state.oauth.codes.set(code, { challenge: query.get('code_challenge'), redirectUri: query.get('redirect_uri'), used: false, access: null });
    const answer = Object.entries({ ...plain, ...state.oauth.answer }).filter(([, value]) => value !== null);
    state.oauth.answer = {};
    response.writeHead(303, { location: `${query.get('redirect_uri')}?${new URLSearchParams(answer)}`, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }).end();
  }

  /** RFC 6749 4.1.3 and RFC 7636 4.6; a code that comes twice ends what it gave (RFC 6749 4.1.2). */
  async function redeem(request, response, form) {
    state.oauth.sent.push(Object.fromEntries(form));
    const known = state.oauth.codes.get(form.get('code'));
    const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
    if (known?.used === true) {
      state.access.delete(known.access);
      state.refresh = 'none';
    }
    const right = known?.used === false && known.challenge === challenge && known.redirectUri === form.get('redirect_uri') && form.get('client_id') === 'extension'
      && /^[A-Za-z0-9._~-]{43,128}$/.test(form.get('code_verifier') ?? '');
    if (!right) return json(response, 400, { error: 'invalid_grant', error_description: 'no', code: 'code-invalid' });
    if (state.oauth.refusal !== null) {
      const { status, error } = state.oauth.refusal;
      state.oauth.refusal = null;
      return json(response, status, { error });
    }
    known.used = true;
    await state.oauth.held;
    if (state.oauth.lost > 0) {
      state.oauth.lost -= 1;
      return loseAnswer(response);
    }
    if (state.oauth.reset > 0) {
      state.oauth.reset -= 1;
      return request.socket.destroy();
    }
    known.access = tokens(response);
  }

  function base() {
    return `http://127.0.0.1:${server.address().port}`;
  }

  function answer(request, response, body) {
    const url = new URL(request.url, 'http://127.0.0.1');
    const route = `${request.method} ${url.pathname}`;
    state.requests.push({ method: request.method, path: request.url, headers: request.headers, body });
    if (state.pages.has(url.pathname)) return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(state.pages.get(url.pathname));
    if (route === 'POST /oauth/token') {
      const form = new URLSearchParams(body);
      if (form.get('grant_type') === 'refresh_token') {
        if (form.get('refresh_token') !== state.refresh) {
          return json(response, 400, { error: 'invalid_grant', error_description: 'This sign-in has ended.', code: 'refresh-token-invalid', ...(state.revokedBy && { revoked: state.revokedBy }) });
        }
        state.refreshes += 1;
        if (state.lostRefreshes > 0) {
          state.lostRefreshes -= 1;
          return loseAnswer(response); // and this same token still gives the same successor
        }
        return tokens(response);
      }
      if (form.get('grant_type') === 'authorization_code') return redeem(request, response, form);
      if (form.get('code')?.toUpperCase() !== state.code || form.get('client_id') !== 'extension') return json(response, 400, { error: 'invalid_grant' });
      return tokens(response);
    }
    if (route === 'GET /.well-known/oauth-authorization-server') return void metadata(response);
    if (route === 'GET /oauth/authorize') return authorize(response, url.searchParams);
    if (route === 'POST /oauth/decide') return decide(response, new URLSearchParams(body));
    if (route === 'GET /oauth/done') return page(response, 200, '<p id="done">You can close this window.</p>');
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
      tell({ type: 'revoked', reason: 'laptop lost', by, at: now() });
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
