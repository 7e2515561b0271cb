// A stand-in for an SMS provider, over real HTTP on loopback: keys of its own, messages that go through their states, and a
// log of what it received and from where. It is what the route of `npm start` and of the tests calls. It knows nothing of
// keyward, as a provider would not.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './setup.mjs';

/** How a key looks: what a scanner of leaked secrets would search for. */
export const KEY_SHAPE = /smsk_[0-9a-f]{32}/;

const BODY_BYTES = 65_536;
const LOG_ENTRIES = 1000;
const MESSAGES = 1000;
const LIVE_KEYS = 100;
const REVOKED_KEYS = 50;
const TEXT_CHARACTERS = 1600;

/** The headers that tell where a call came from, and what a relay let through. */
const OF_INTEREST = /^(user-agent|origin|referer|via|forwarded|x-forwarded-.*|cf-.*|sec-.*|cookie|authorization|content-type|idempotency-key|keyward-.*)$/;

/** What the dashboard is made of. */
const DASHBOARD = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/dashboard.js': ['dashboard.js', 'text/javascript'],
  '/dashboard.css': ['dashboard.css', 'text/css'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
};

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const instant = (milliseconds = Date.now()) => new Date(milliseconds).toISOString();
const newId = (prefix) => `${prefix}_${randomBytes(8).toString('hex')}`;

/** A text with every credential in it cut to its last four characters, wherever somebody put one. */
const redacted = (text) => text.replace(/(sms[ka]_)[0-9a-f]+([0-9a-f]{4})/g, '$1…$2');

/** A call that is refused: status, a code for programs, words for people. */
class Refusal extends Error {
  constructor(status, code, message, { field, headers } = {}) {
    super(message);
    Object.assign(this, { status, code, field, headers });
  }
}

/** How many messages a text is sent as: 160 characters fit in one, 70 where one is beyond the alphabet of the networks. */
function partsOf(text) {
  const plain = /^[\n\r !-_a-z¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ{|}~€\\[\]^]*$/.test(text);
  const [alone, chained] = plain ? [160, 153] : [70, 67];
  return text.length <= alone ? 1 : Math.ceil(text.length / chained);
}

/** The states of a message and when each begins, in units of the provider's pace. Nobody is reached at numbers that end in 00. */
const phasesOf = ({ to }) => [['queued', 0], ['sent', 1], [to.endsWith('00') ? 'failed' : 'delivered', 2.5]];

async function readObject(request) {
  const tooLarge = () => new Refusal(413, 'body_too_large', `a body is at most ${BODY_BYTES} bytes`, { headers: { Connection: 'close' } });
  if (Number(request.headers['content-length']) > BODY_BYTES) throw tooLarge();
  const chunks = [];
  let size = 0;
  // The request is left whole when its reading is given up: the answer goes over the same connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  let body;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    throw new Refusal(400, 'invalid_json', `the body is not JSON: ${error.message}`);
  }
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw new Refusal(400, 'invalid_json', 'the body is to be a JSON object');
  return body;
}

/** Checks that an object has exactly these fields, each as its rule says: `[test, words]`. */
function checkFields(body, rules) {
  for (const field of Object.keys(body)) {
    if (!Object.hasOwn(rules, field)) throw new Refusal(422, 'unknown_field', `there is no field "${redacted(field.slice(0, 40))}" here, only ${Object.keys(rules).join(' and ')}`, { field: redacted(field.slice(0, 40)) });
  }
  for (const [field, [test, words]] of Object.entries(rules)) {
    if (body[field] === undefined) throw new Refusal(422, 'missing_field', `${field} is missing: ${words}`, { field });
    if (typeof body[field] !== 'string' || !test(body[field])) throw new Refusal(422, 'invalid_field', `${field} is to be ${words}`, { field });
  }
}

/** The account's token and its keys, of which only digests are kept; in `file`, if there is one, so that they outlive a restart. */
class Account {
  constructor(file, keys) {
    this.file = file;
    const kept = file && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
    this.token = kept?.account_token ?? `smsa_${randomBytes(16).toString('hex')}`;
    this.keys = kept?.keys ?? [];
    for (const [name, key] of Object.entries(keys)) this.add(name, key);
    if (!kept) this.keep();
  }

  keep() {
    // What is shown of the past is bounded; a revoked key that is forgotten is as useless as a remembered one.
    const forgotten = new Set(this.keys.filter((record) => record.revoked_at).slice(0, -REVOKED_KEYS));
    this.keys = this.keys.filter((record) => !forgotten.has(record));
    if (!this.file) return;
    // Beside it and renamed: an end in the middle of writing must not cost the keys.
    writeFileSync(`${this.file}.new`, `${JSON.stringify({ account_token: this.token, keys: this.keys }, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${this.file}.new`, this.file);
  }

  add(name, key = `smsk_${randomBytes(16).toString('hex')}`) {
    if (this.keys.filter((record) => !record.revoked_at).length >= LIVE_KEYS) throw new Refusal(409, 'too_many_keys', `an account has at most ${LIVE_KEYS} keys: revoke one first`);
    const record = { id: newId('key'), name, last4: key.slice(-4), sha256: sha256(key), created_at: instant(), revoked_at: null };
    this.keys.push(record);
    this.keep();
    return { ...this.shown(record), key };
  }

  revoke(record) {
    record.revoked_at ??= instant();
    this.keep();
    return this.shown(record);
  }

  byId(id) {
    const record = this.keys.find((each) => each.id === id);
    if (!record) throw new Refusal(404, 'no_such_key', 'no key of that id');
    return record;
  }

  /** Of a key, what anybody may see who holds the account's token. */
  shown({ id, name, last4, created_at, revoked_at }) {
    return { id, name, last4, created_at, revoked_at };
  }
}

/**
 * Starts the provider and resolves once it listens, on loopback alone.
 *
 * @param options.port 0 takes a free one
 * @param options.file where token and keys are kept; without it they end with the process
 * @param options.keys `{name: key}` that are accepted from the start
 * @param options.pace milliseconds that a message takes from `queued` to `sent`
 * @param options.onLog called with each entry of the log
 * @returns `{url, port, accountToken, log, close}`
 */
export async function startProvider({ port = 0, file, keys = {}, pace = 800, onLog } = {}) {
  const account = new Account(file, keys);
  const messages = new Map();
  const log = [];
  const watchers = new Set();
  // From the time on, so that who watched before a restart is not taken to have seen what comes after it.
  let entries = Date.now();

  const event = (entry) => `id: ${entry.number}\ndata: ${JSON.stringify(entry)}\n\n`;

  /** Writes a call into the log as it is answered; what the caller held is in it by name and last four characters. */
  function record(call, status) {
    const { request, path, caller, to } = call;
    const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => OF_INTEREST.test(name)).map(([name, value]) => {
      if (name === 'cookie') return [name, 'present'];
      if (name === 'authorization' && !/^Bearer sms[ka]_[0-9a-f]{32}$/.test(value)) return [name, `${/^\w+(?= )/.exec(value)?.[0] ?? ''} …${value.length > 12 ? value.slice(-4) : ''}`.trim()];
      return [name, redacted(String(value)).slice(0, 300)];
    }));
    const entry = {
      number: (entries += 1), at: instant(), key: caller ? { name: caller.name, last4: caller.last4 } : null,
      method: request.method, path: redacted(path), status, to: to ?? null, headers,
    };
    log.push(entry);
    if (log.length > LOG_ENTRIES) log.shift();
    for (const watcher of watchers) watcher.write(event(entry));
    onLog?.(entry);
  }

  /** Who calls: the account by its token, or one of its keys. */
  function identify(call, needs) {
    const unauthorized = (code, message) => new Refusal(401, code, message, { headers: { 'WWW-Authenticate': 'Bearer' } });
    const credential = /^Bearer +(\S+)$/i.exec(call.request.headers.authorization ?? '')?.[1];
    if (!credential) throw unauthorized('no_credential', `send ${needs === 'account' ? 'the account token' : 'an API key'}: Authorization: Bearer ${needs === 'account' ? 'smsa_…' : 'smsk_…'}`);
    const digest = sha256(credential);
    if (digest === sha256(account.token)) call.caller = { name: 'account', last4: account.token.slice(-4) };
    else call.caller = account.keys.find((each) => each.sha256 === digest);
    if (!call.caller) throw unauthorized('unknown_credential', 'no such key or token');
    if (call.caller.revoked_at) throw unauthorized('key_revoked', `this key was revoked at ${call.caller.revoked_at}`);
    if ((call.caller.name === 'account') !== (needs === 'account')) throw new Refusal(403, 'wrong_credential', needs === 'account' ? 'keys are managed with the account token' : 'messages are sent with an API key, not with the account token');
  }

  const messageOf = (id) => {
    const message = messages.get(id);
    if (!message) throw new Refusal(404, 'no_such_message', 'no message of that id');
    return message;
  };
  const stateOf = (message) => phasesOf(message).filter(([, begins]) => Date.now() >= message.accepted + begins * pace).at(-1)[0];
  const shownMessage = (message) => {
    const { id, to, parts, accepted } = message;
    return { id, to, status: stateOf(message), parts, price: { amount: (parts * 0.075).toFixed(3), currency: 'EUR' }, accepted_at: instant(accepted) };
  };

  const API = [
    ['POST', /^\/api\/sms\/api-keys$/, 'account', async ({ request }) => {
      const body = await readObject(request);
      checkFields(body, { name: [(name) => /^[\w .-]{1,64}$/.test(name) && name !== 'account' && !KEY_SHAPE.test(name), '1 to 64 letters, digits, spaces or . _ -, and a name that tells keys apart, such as "server-prod-2026q3"'] });
      return [201, account.add(body.name)];
    }],
    ['GET', /^\/api\/sms\/api-keys$/, 'account', () => [200, { data: account.keys.map(account.shown) }]],
    ['GET', /^\/api\/sms\/api-keys\/([^/]+)$/, 'account', (_, id) => [200, account.shown(account.byId(id))]],
    ['DELETE', /^\/api\/sms\/api-keys\/([^/]+)$/, 'account', (_, id) => [200, account.revoke(account.byId(id))]],
    ['POST', /^\/api\/sms\/messages$/, 'key', async (call) => {
      const body = await readObject(call.request);
      if (typeof body.to === 'string') call.to = redacted(body.to.slice(0, 32));
      checkFields(body, {
        to: [(to) => /^\+[1-9]\d{6,14}$/.test(to), 'a phone number in international form without spaces, such as "+447400123456"'],
        text: [(text) => text.length > 0 && text.length <= TEXT_CHARACTERS, `1 to ${TEXT_CHARACTERS} characters`],
      });
      const message = { id: newId('msg'), to: body.to, parts: partsOf(body.text), accepted: Date.now() };
      messages.set(message.id, message);
      if (messages.size > MESSAGES) messages.delete(messages.keys().next().value);
      return [202, shownMessage(message)];
    }],
    ['GET', /^\/api\/sms\/messages\/([^/]+)$/, 'key', (call, id) => {
      const message = messageOf(id);
      call.to = message.to;
      return [200, shownMessage(message)];
    }],
    ['GET', /^\/api\/sms\/messages\/([^/]+)\/events$/, 'key', (call, id) => {
      const message = messageOf(id);
      call.to = message.to;
      return [200, async (response) => {
        for (const [status, begins] of phasesOf(message)) {
          const at = message.accepted + begins * pace;
          if (at > Date.now()) await sleep(at - Date.now(), undefined, { ref: false });
          if (response.destroyed) return;
          response.write(`event: status\ndata: ${JSON.stringify({ id: message.id, status, at: instant(at) })}\n\n`);
        }
        response.end();
      }];
    }],
  ];

  /** What a call to the API is answered: status and a body, or a function that writes one as it comes. */
  async function answer(call) {
    const { request, path } = call;
    const matching = API.filter(([, pattern]) => pattern.test(path));
    if (matching.length === 0) throw new Refusal(404, 'no_such_path', 'there is /api/sms/messages, /api/sms/messages/{id}, /api/sms/messages/{id}/events and /api/sms/api-keys');
    const found = matching.find(([method]) => method === request.method);
    if (!found) {
      const methods = matching.map(([method]) => method).join(', ');
      throw new Refusal(405, 'method_not_allowed', `only ${methods} here`, { headers: { Allow: methods } });
    }
    const [, pattern, needs, handle] = found;
    identify(call, needs);
    return handle(call, ...pattern.exec(path).slice(1));
  }

  async function serveApi(call, response) {
    const headers = { 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'no-store' };
    if (call.request.method === 'OPTIONS') {
      record(call, 204);
      response.writeHead(204, { ...headers, 'Access-Control-Allow-Methods': 'GET, POST, DELETE', 'Access-Control-Allow-Headers': 'Authorization, Content-Type', 'Access-Control-Max-Age': '600' }).end();
      return;
    }
    let status, body;
    try {
      [status, body] = await answer(call);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      status = error.status;
      body = { error: { code: error.code, message: error.message, ...(error.field === undefined ? {} : { field: error.field }) } };
      Object.assign(headers, error.headers);
    }
    record(call, status);
    const streamed = typeof body === 'function';
    response.writeHead(status, { ...headers, 'Content-Type': streamed ? 'text/event-stream' : 'application/json' });
    if (streamed) await body(response);
    else response.end(JSON.stringify(body));
  }

  /** The log, for people and for pages of this machine: numbers stand in it, so pages from elsewhere do not get it. */
  function serveLog({ request, path }, response) {
    const { origin } = request.headers;
    const near = origin !== undefined && URL.canParse(origin) && ['127.0.0.1', 'localhost'].includes(new URL(origin).hostname);
    const headers = { 'Cache-Control': 'no-store', Vary: 'Origin', ...(near ? { 'Access-Control-Allow-Origin': origin } : {}) };
    if (path === '/log.json') {
      response.writeHead(200, { ...headers, 'Content-Type': 'application/json' }).end(JSON.stringify({ entries: log }, null, 2));
      return;
    }
    response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream' });
    const after = Number(request.headers['last-event-id']) || 0;
    response.write(`retry: 1000\n\n${log.filter(({ number }) => number > after).map(event).join('')}`);
    watchers.add(response);
    response.once('close', () => watchers.delete(response));
  }

  function servePage({ path }, response) {
    const [name, type] = DASHBOARD[path];
    response.writeHead(200, {
      'Content-Type': type, 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer',
      'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    }).end(readFileSync(join(root, '.ci', 'provider', name)));
  }

  async function serve(request, response) {
    const call = { request, path: request.url.split('?')[0] };
    // A name that somebody points at this machine is not this machine's: else any page could read what is here.
    if (![`127.0.0.1:${listening}`, `localhost:${listening}`].includes(request.headers.host)) response.writeHead(421).end();
    else if (/^\/api(\/|$)/.test(call.path)) await serveApi(call, response);
    else if (request.method !== 'GET') response.writeHead(405, { Allow: 'GET' }).end();
    else if (call.path === '/log.json' || call.path === '/log/events') serveLog(call, response);
    else if (Object.hasOwn(DASHBOARD, call.path)) servePage(call, response);
    else response.writeHead(404).end();
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error) => {
      // Who hung up needs no answer; anything else is a mistake of ours, and said.
      if (request.destroyed && !request.complete) return;
      process.stderr.write(`provider: ${error.stack}\n`);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const listening = server.address().port;
  return {
    url: `http://127.0.0.1:${listening}`,
    port: listening,
    accountToken: account.token,
    log,
    close: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
