// keyward/client as built: against the real Worker, and against servers that answer as nobody should. Time is the test's own.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect, promisify } from 'node:util';
import { build } from 'esbuild';
import { root } from '../../.ci/setup.mjs';
import { types } from '../../.ci/types.mjs';
import { scriptService, startWorkerd } from '../../.ci/workerd.mjs';
import { Keyward, KeywardApiError } from '../../dist/client.js';
import { Deployment } from '../worker/harness.mjs';

const document = JSON.parse(readFileSync(join(root, 'build', 'www', 'openapi.json'), 'utf8'));
const ID = 'A'.repeat(16);
const INCIDENT = `inc_${ID}_1`;
const KEY = `psk_live_${ID}_${'s3cretS3cretS3cretS3cretS3c'}0check`;

/** Time that passes only where a test lets it: pauses end at once and are noted, timeouts when they are asked for. */
class TestClock {
  pauses = [];
  timeouts = [];
  chance = 0.5;
  at = Date.UTC(2026, 10, 21);
  now = () => this.at;
  random = () => this.chance;
  after = (ms, then) => {
    if (ms >= 10_000) {
      this.timeouts.push(then);
      return () => this.timeouts.splice(this.timeouts.indexOf(then), 1);
    }
    this.pauses.push(ms);
    const soon = setImmediate(then);
    return () => clearImmediate(soon);
  };
}

/** The failure of a call that must fail. */
async function failure(call) {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof KeywardApiError, `${error?.constructor?.name}: ${error?.stack}`);
    return error;
  }
  return assert.fail('the call was answered');
}

/** A server that does with each request what `script` says next; the last entry counts for all further ones. */
async function misbehaving(t, ...script) {
  const seen = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text) => (body += text)).on('end', () => {
      seen.push({ method: request.method, path: request.url, headers: request.headers, body });
      script[Math.min(seen.length, script.length) - 1](response, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const clock = new TestClock();
  const url = `http://127.0.0.1:${server.address().port}`;
  return { seen, clock, url, client: (options) => new Keyward({ url, key: KEY, clock, ...options }) };
}
const says = (status, body, headers = {}) => (response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(typeof body === 'string' ? body : JSON.stringify(body));
const problem = (status, code, headers) => says(status, { type: `urn:keyward:problem:${code}`, title: code, status, detail: `it is ${code}`, code, request_id: 'req_1' }, { 'keyward-request-id': 'req_1', ...headers });
const cut = (response) => response.socket.destroy();
const half = (response) => {
  response.writeHead(200, { 'content-length': 1000 }).write('{"data":');
  setImmediate(() => response.socket.destroy());
};
const never = () => {};
const page = says(200, { data: [], next_cursor: null });
/** What is no JSON has a type of its own, and what a proxy asks is answered in headers: a page of anybody's is neither. */
const text = (type, body, headers) => says(200, body, { 'content-type': type, ...headers });
const ACCEPTED = { getMetrics: text('text/plain; version=0.0.4; charset=utf-8', ''), exportAudit: text('application/jsonl', ''), importKeys: text('application/jsonl', ''), authorize: says(200, '', { 'keyward-key-id': ID }) };

/** Each operation, called. The test below fails where the document has one that is not here. */
const CALLS = {
  health: (k) => k.health(),
  openapi: (k) => k.openapi(),
  jwks: (k) => k.jwks(),
  createKey: (k) => k.keys.create({ name: 'a', owner: 'b' }),
  listKeys: (k) => k.keys.list().page(),
  verifyKey: (k) => k.keys.verify({ key: KEY }),
  importKeys: (k) => k.keys.import([{ sha256: '0'.repeat(64), name: 'a', owner: 'b' }]),
  getKey: (k) => k.keys.get(ID),
  updateKey: (k) => k.keys.update(ID, { name: 'b' }),
  disableKey: (k) => k.keys.disable(ID),
  enableKey: (k) => k.keys.enable(ID),
  revokeKey: (k) => k.keys.revoke(ID, { wait: true }),
  rotateKey: (k) => k.keys.rotations.start(ID),
  getRotation: (k) => k.keys.rotations.get(ID),
  completeRotation: (k) => k.keys.rotations.complete(ID),
  cancelRotation: (k) => k.keys.rotations.cancel(ID),
  getUsage: (k) => k.keys.usage(ID),
  listCalls: (k) => k.keys.calls(ID),
  listAnomalies: (k) => k.keys.anomalies(ID),
  reportOutcomes: (k) => k.keys.reportOutcomes(ID, { failed: 1 }),
  getOverview: (k) => k.usage(),
  getMetrics: (k) => k.metrics(),
  reportKeySafety: (k) => k.reports.keySafety().page(),
  reportRootSecrets: (k) => k.reports.rootSecrets(),
  listAudit: (k) => k.audit.list().page(),
  verifyAudit: (k) => k.audit.verify(),
  exportAudit: (k) => k.audit.exportPage(),
  listRoutes: (k) => k.routes.list(),
  getRoute: (k) => k.routes.get('sms'),
  putRoute: (k) => k.routes.put('sms', { upstream: 'https://api.example' }),
  deleteRoute: (k) => k.routes.delete('sms'),
  getRouteUse: (k) => k.routes.use('sms'),
  setRouteSecret: (k) => k.routes.secrets.set('sms', 'current', { secret: 'x' }),
  retireRouteSecret: (k) => k.routes.secrets.retire('sms', 'current', { force: true }),
  listWebhooks: (k) => k.webhooks.list(),
  getWebhook: (k) => k.webhooks.get('pager'),
  putWebhook: (k) => k.webhooks.put('pager', { url: 'https://in.example' }),
  deleteWebhook: (k) => k.webhooks.delete('pager'),
  rotateWebhookSecret: (k) => k.webhooks.rotateSecret('pager'),
  listDeliveries: (k) => k.webhooks.deliveries('pager').page(),
  replayEvents: (k) => k.webhooks.replay('pager', { event_id: 'msg_a' }),
  testWebhook: (k) => k.webhooks.test('pager'),
  reportPartnerLeaks: (k) => k.leaks.reportSigned('[]', { identifier: 'i', signature: 's' }),
  reportLeaks: (k) => k.leaks.report({ leaks: [] }),
  respondToLeak: (k) => k.leaks.respond(ID, { action: 'none' }),
  listIncidents: (k) => k.incidents.list().page(),
  getIncident: (k) => k.incidents.get(INCIDENT),
  updateIncident: (k) => k.incidents.update(INCIDENT, { status: 'closed' }),
  authorize: (k) => k.authorize({ key: KEY, scope: ['calls:create', 'calls:read'] }),
  beginSession: (k) => k.sessions.begin('sms'),
};
/** Of those, the ones that may be sent again whatever became of the first attempt. */
const SAFE = new Set(['verifyKey', 'createKey', 'rotateKey', 'respondToLeak']);

const operations = Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).filter(([, { operationId }]) => operationId)
  .map(([method, operation]) => ({ id: operation.operationId, method: method.toUpperCase(), path, security: operation.security, header: (name) => (operation.parameters ?? []).some((parameter) => parameter.name === name) })));

test('the types of the API are those of the document: node .ci/types.mjs writes them anew', () => {
  assert.equal(readFileSync(join(root, 'src', 'client', 'api.ts'), 'utf8'), types(document));
});

test('every operation of the document has a method, which asks for exactly it', async (t) => {
  assert.deepEqual(Object.keys(CALLS).sort(), operations.map(({ id }) => id).sort());
  let answer;
  const { seen, client } = await misbehaving(t, (response) => answer(response));
  for (const { id, method, path, security, header } of operations) {
    seen.length = 0;
    answer = ACCEPTED[id] ?? page;
    await CALLS[id](client());
    const [request] = seen;
    assert.equal(request.method, method, id);
    assert.match(request.path, new RegExp(`^${path.replace(/\{\w+\}/g, '[^/?]+').replace(/\./g, '\\.')}(\\?|$)`), id);
    assert.equal(request.headers.authorization, security?.length === 0 ? undefined : `Bearer ${KEY}`, `${id}: a key goes only where one is asked for`);
    assert.equal(request.headers['idempotency-key'] !== undefined, header('Idempotency-Key'), id);
  }
});

test('what may be sent again is, after a cut connection, a 429 or a 503; what may not is sent once', async (t) => {
  const { seen, client, clock } = await misbehaving(t, cut);
  for (const { id, method } of operations) {
    for (const [what, answer, status] of [['cut', cut, 0], ['busy', problem(503, 'UNAVAILABLE'), 503], ['limited', problem(429, 'RATE_LIMITED'), 429]]) {
      const server = await misbehaving(t, answer);
      const error = await failure(CALLS[id](server.client()));
      // Retiring a secret twice would retire its successor.
      const safe = (['GET', 'PUT', 'DELETE'].includes(method) || SAFE.has(id)) && id !== 'retireRouteSecret';
      assert.deepEqual([id, what, server.seen.length, error.status], [id, what, safe ? 3 : 1, status]);
      assert.equal(new Set(server.seen.map(({ headers, body }) => JSON.stringify([headers['idempotency-key'], body]))).size, 1, `${id}: the same request each time`);
    }
  }
  assert.deepEqual([seen.length, clock.pauses.length], [0, 0]);
  const named = await misbehaving(t, cut, page);
  await named.client().keys.create({ name: 'a', owner: 'b' }, { idempotencyKey: 'mine' });
  assert.deepEqual(named.seen.map(({ headers }) => headers['idempotency-key']), ['mine', 'mine']);
});

test('what never left is sent again, whatever it is', async () => {
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  gone.close();
  await once(gone, 'close');
  const clock = new TestClock();
  const error = await failure(new Keyward({ url: `http://127.0.0.1:${port}`, key: KEY, clock }).keys.update(ID, { name: 'b' }));
  assert.deepEqual([error.code, error.status, clock.pauses.length], ['UNREACHABLE', 0, 2]);
});

test('pauses have full jitter, and a Retry-After is kept in either form unless it asks for too much', async (t) => {
  const pauses = async (headers, chance) => {
    const server = await misbehaving(t, problem(503, 'UNAVAILABLE', headers));
    server.clock.chance = chance;
    const error = await failure(server.client({ retries: 3 }).keys.get(ID));
    return [...server.clock.pauses, error.retry_after_seconds];
  };
  assert.deepEqual(await pauses({}, 0), [0, 0, 0, null]);
  assert.deepEqual(await pauses({}, 0.5), [100, 200, 400, null]);
  assert.deepEqual(await pauses({ 'retry-after': '3' }, 0.5), [3100, 3200, 3400, 3]);
  assert.deepEqual(await pauses({ 'retry-after': 'Sat, 21 Nov 2026 00:00:07 GMT' }, 0), [7000, 7000, 7000, 7]);
  assert.deepEqual(await pauses({ 'retry-after': 'Fri, 20 Nov 2026 00:00:07 GMT' }, 0), [0, 0, 0, 0]);
  assert.deepEqual(await pauses({ 'retry-after': '31' }, 0), [31]);
  for (const none of ['soon', '1.5', '-5', '1e3', '0x9', '2026-11-21', '2026-11-21T00:00:07Z', 'Sat, 21 Nov 2026 00:00:07 +0000', 'Sat, 21 Nox 2026 00:00:07 GMT', '5, 5']) {
    assert.deepEqual([none, ...await pauses({ 'retry-after': none }, 0)], [none, 0, 0, 0, null], 'neither seconds nor a date of HTTP');
  }
  for (const obsolete of ['Saturday, 21-Nov-26 00:00:07 GMT', 'Sat Nov 21 00:00:07 2026']) assert.deepEqual(await pauses({ 'retry-after': obsolete }, 0), [7000, 7000, 7000, 7], obsolete);
  assert.deepEqual(await pauses({ 'retry-after': 'Friday, 20-Nov-99 00:00:07 GMT' }, 0), [0, 0, 0, 0], 'two digits that would be more than fifty years ahead are past');
  assert.deepEqual(await pauses({ 'retry-after': '9999999999' }, 0), [9_999_999_999]);
  assert.deepEqual(await pauses({ 'retry-after': '9'.repeat(400) }, 0), [Number.MAX_SAFE_INTEGER]);
});

test('a call that was refused twice and then accepted is accepted', async (t) => {
  const server = await misbehaving(t, problem(503, 'UNAVAILABLE'), half, says(200, { id: ID }));
  assert.deepEqual(await server.client().keys.get(ID), { id: ID });
  assert.equal(server.seen.length, 3);
});

test('what is not keyward\'s answer is told as that, and neither repeated nor shown', async (t) => {
  const html = `<html><body>Bad gateway ${KEY}</body></html>`;
  for (const [what, answer, status, attempts] of [
    ['a proxy\'s page', says(502, html, { 'content-type': 'text/html' }), 502, 1], ['a page with 503', says(503, html, { 'content-type': 'text/html' }), 503, 3],
    ['no JSON', says(200, 'ok'), 200, 1], ['half of a JSON', says(200, '{"id":'), 200, 1], ['null', says(200, 'null'), 200, 1], ['a number', says(200, '5'), 200, 1], ['nothing', says(200, ''), 200, 1],
    ['an error of another kind', says(500, { error: KEY }), 500, 1], ['an error that is a text', says(500, JSON.stringify(KEY)), 500, 1],
  ]) {
    const server = await misbehaving(t, answer);
    const error = await failure(server.client().keys.get(ID));
    assert.deepEqual([what, error.code, error.status, server.seen.length], [what, 'UNEXPECTED_ANSWER', status, attempts]);
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(KEY.slice(-30)), what);
  }
  const list = await misbehaving(t, says(200, { items: [] }));
  assert.equal((await failure(list.client().keys.list().page())).code, 'UNEXPECTED_ANSWER');
  const circle = await misbehaving(t, says(200, { data: [{ id: ID }], next_cursor: 'a' }));
  assert.equal((await failure(circle.client().keys.list().all())).code, 'UNEXPECTED_ANSWER', 'a list that leads back to itself ends');
  assert.equal(circle.seen.length, 2);
  const to = (next_cursor) => says(200, { data: [{ id: ID }], next_cursor });
  const wider = await misbehaving(t, to('a'), to('b'), to('a'), to('b'), page);
  assert.equal((await failure(wider.client().keys.list().all())).code, 'UNEXPECTED_ANSWER', 'also over several pages');
  assert.equal(wider.seen.length, 3);
  for (const next of [5, {}, ['a'], false]) {
    const server = await misbehaving(t, to(next));
    for (const call of [(k) => k.keys.list().all(), (k) => k.keys.list().page()]) assert.equal((await failure(call(server.client()))).code, 'UNEXPECTED_ANSWER', JSON.stringify(next));
    assert.equal(server.seen.length, 2);
  }
});

test('what is answered in headers, or as another text than JSON, is not believed of a page of anybody\'s', async (t) => {
  const html = text('text/html', '<html>ok</html>');
  const nothing = (response) => response.writeHead(204).end();
  const calls = {
    authorize: (k) => k.authorize({ key: KEY }), metrics: (k) => k.metrics(), usageCsv: (k) => k.keys.usageCsv(ID), callsCsv: (k) => k.keys.callsCsv(ID), exportPage: (k) => k.audit.exportPage(),
    export: (k) => k.audit.export().next(), import: (k) => k.keys.import([]), markdown: (k) => k.incidents.markdown(INCIDENT),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const [answer, status] of [[html, 200], [nothing, 204]]) {
      const server = await misbehaving(t, answer);
      const error = await failure(call(server.client()));
      assert.deepEqual([name, error.code, error.status, server.seen.length], [name, 'UNEXPECTED_ANSWER', status, 1]);
    }
  }
  for (const id of ['', 'A'.repeat(15), `${'A'.repeat(15)}-`, 'A'.repeat(17), `${ID}, ${ID}`]) {
    const server = await misbehaving(t, says(200, '', { 'keyward-key-id': id }));
    assert.deepEqual([id, (await failure(calls.authorize(server.client()))).code], [id, 'UNEXPECTED_ANSWER']);
  }
});

test('a caller without a key is never taken for the client itself', async (t) => {
  const server = await misbehaving(t, ACCEPTED.authorize);
  for (const question of [{}, { key: undefined }, { key: '' }, { key: 5 }, { key: [KEY] }, undefined, null]) {
    await assert.rejects(async () => server.client().authorize(question), (error) => error instanceof TypeError && /key/.test(error.message), JSON.stringify(question));
  }
  // Nor where what is said with the call names another.
  await server.client().authorize({ key: 'callers-own-key' }, { key: undefined });
  assert.deepEqual(server.seen.map(({ headers }) => headers.authorization), ['Bearer callers-own-key']);
  await server.client().authorize({ key: null });
  assert.deepEqual([server.seen.length, 'authorization' in server.seen[1].headers], [2, false], 'null is a caller that came with none: the deployment says 401');
});

test('what cannot be a header is refused before anything is sent, and not shown', async (t) => {
  const server = await misbehaving(t, ACCEPTED.authorize);
  const client = server.client();
  for (const bad of [`${KEY}\nline2\n`, `${KEY}\r\nHost: x`, `${KEY}\0`, `${KEY}\u20ac`, `${KEY}\n`]) {
    for (const call of [() => client.authorize({ key: bad }), () => client.keys.create({ name: 'a', owner: 'b' }, { idempotencyKey: bad }), () => client.leaks.reportSigned('[]', { identifier: 'i', signature: bad })]) {
      await assert.rejects(async () => call(), (error) => error instanceof TypeError && !inspect(error, { depth: 9 }).includes(KEY.slice(-30)));
    }
  }
  for (const idempotencyKey of ['', 5, null]) await assert.rejects(async () => client.keys.create({ name: 'a', owner: 'b' }, { idempotencyKey }), { name: 'TypeError', message: /idempotencyKey/ });
  assert.equal(server.seen.length, 0);
});

test('the timeout of a call is held to what that of a client is', async (t) => {
  const server = await misbehaving(t, says(200, {}));
  for (const timeout_ms of [Infinity, 2 ** 31, NaN, 0, -1, null, 'abc', '70']) {
    await assert.rejects(async () => server.client().keys.get(ID, { timeout_ms }), { name: 'TypeError', message: /timeout_ms must be a number from 1 to 600000/ }, String(timeout_ms));
  }
  assert.equal(server.seen.length, 0);
  await server.client().keys.get(ID, { timeout_ms: undefined });
  assert.equal(server.seen.length, 1);
});

test('a redirect is not followed: the key goes nowhere else', async (t) => {
  const other = await misbehaving(t, page);
  for (const status of [301, 302, 303, 307, 308]) {
    const server = await misbehaving(t, (response) => response.writeHead(status, { location: `${other.url}/v1/keys` }).end());
    const error = await failure(server.client().keys.list().page());
    assert.deepEqual([error.code, error.status, server.seen.length], ['UNEXPECTED_ANSWER', status, 1]);
  }
  assert.equal(other.seen.length, 0);
});

test('an attempt that takes too long is ended and told as TIMEOUT, also in the middle of a body', async (t) => {
  for (const stall of [never, (response) => void response.writeHead(200).write('{')]) {
    const server = await misbehaving(t, (response) => {
      stall(response);
      setImmediate(() => server.clock.timeouts.splice(0).forEach((fire) => fire()));
    });
    const error = await failure(server.client().keys.get(ID));
    assert.deepEqual([error.code, error.status, server.seen.length], ['TIMEOUT', 0, 3]);
  }
  const waiting = await misbehaving(t, says(200, {}));
  const asked = [];
  const clock = { ...waiting.clock, after: (ms) => (asked.push(ms), () => {}) };
  await waiting.client({ clock, timeout_ms: 5000 }).keys.revoke(ID, { wait: true });
  await waiting.client({ clock }).keys.revoke(ID, {}, { timeout_ms: 70 });
  assert.deepEqual(asked, [70_000, 70], 'an answer that waits for every edge is waited for');
});

test('an aborted signal ends a call before it, within it and between its attempts', async (t) => {
  const server = await misbehaving(t, (response) => setImmediate(() => controller.abort()));
  let controller = new AbortController();
  assert.equal((await failure(server.client().keys.get(ID, { signal: controller.signal }))).code, 'ABORTED');
  assert.equal(server.seen.length, 1);
  assert.equal((await failure(server.client().keys.get(ID, { signal: controller.signal }))).code, 'ABORTED');
  assert.equal(server.seen.length, 1, 'nothing is sent once it is aborted');
  const busy = await misbehaving(t, problem(503, 'UNAVAILABLE'));
  controller = new AbortController();
  const paused = busy.client({ clock: { ...busy.clock, after: (ms, then) => (ms >= 10_000 || setImmediate(() => controller.abort()), () => {}) } }).keys.get(ID, { signal: controller.signal });
  assert.equal((await failure(paused)).code, 'ABORTED');
  assert.equal(busy.seen.length, 1);
});

test('neither the key nor a secret that is sent is in any error, inspection or JSON', async (t) => {
  const secret = 'upstream-"secret"-upstream-secret';
  const echo = await misbehaving(t, (response, request) => {
    const text = `no: ${request.headers.authorization} ${secret}`;
    says(400, { type: 'x', title: text, status: 400, detail: text, code: 'INVALID_REQUEST', request_id: 'req_1', field: text })(response);
  });
  const client = echo.client();
  const shown = (value) => `${inspect(value, { depth: 20, showHidden: true, getters: true })} ${JSON.stringify(value)} ${String(value)} ${value?.stack ?? ''} ${JSON.stringify(Object.getOwnPropertyDescriptors(value))}`;
  assert.ok(!shown(client).includes(KEY.slice(-30)));
  const error = await failure(client.routes.secrets.set('sms', 'current', { secret }));
  assert.equal(error.code, 'INVALID_REQUEST');
  assert.match(error.detail, /^no: Bearer \[key\]/);
  for (const hidden of [KEY, KEY.slice(-30), secret, 'upstream-secret']) assert.ok(!shown(error).includes(hidden), shown(error));
  // What is echoed as the name of a field, or in the header that names a request, is no other.
  const names = await misbehaving(t, (response, request) => {
    const { authorization } = request.headers;
    says(409, { code: 'OLD_SECRET_IN_USE', detail: 'no', rotation: { [authorization]: [{ [authorization]: 1 }] } }, { 'keyward-request-id': authorization })(response);
  }, (response, request) => text('text/html', '', { 'keyward-request-id': request.headers.authorization })(response), (response, request) => response.writeHead(302, { location: '/', 'keyward-request-id': request.headers.authorization }).end());
  for (const code of ['OLD_SECRET_IN_USE', 'UNEXPECTED_ANSWER', 'UNEXPECTED_ANSWER']) {
    const told = await failure(names.client().keys.get(ID));
    assert.deepEqual([told.code, told.request_id, shown(told).includes(KEY.slice(-30))], [code, 'Bearer [key]', false], shown(told));
  }
  const parrot = await misbehaving(t, (response) => says(400, { code: 'INVALID_REQUEST', detail: parrot.seen.at(-1).body })(response));
  const digest = '0123456789abcdef'.repeat(4);
  for (const [sent, call] of [[digest, (k) => k.keys.import([{ sha256: digest, name: 'a', owner: 'b' }])], [secret, (k) => k.sessions.begin('sms', { turnstile: secret })], [KEY, (k) => k.leaks.reportSigned(JSON.stringify([{ token: KEY, type: 'keyward' }]), { identifier: 'i', signature: 's' })]]) {
    const told = await failure(call(parrot.client({ key: 'another-key' })));
    assert.ok(told.detail.includes('[key]') && !shown(told).includes(sent) && !shown(told).includes('upstream-secret'), shown(told));
  }
  const failing = new Keyward({ url: echo.url, key: KEY, retries: 0, fetch: async (_, { headers }) => { throw new TypeError(`bad header ${headers.Authorization}`); } });
  const cutOff = await failure(failing.keys.get(ID));
  assert.ok(cutOff.code === 'UNREACHABLE' && !shown(cutOff).includes(KEY.slice(-30)));
  assert.equal('cause' in cutOff, false);
});

test('options that are none are refused, without being shown', () => {
  for (const [options, about] of [
    [{ url: 'http://keys.example', key: KEY }, /https/], [{ url: 'ftp://keys.example', key: KEY }, /url/], [{ url: KEY }, /url/], [{ url: `https://user:${KEY}@keys.example` }, /origin alone/],
    [{ url: `https://keys.example/?key=${KEY}` }, /origin alone/], [{ url: 'https://keys.example/v1' }, /origin alone/], [{}, /url/], [{ url: 'http://127.0.0.1.example' }, /https/], [{ url: 'http://localhost.example' }, /https/],
    [{ url: 'https://keys.example', key: `${KEY}\n` }, /key/], [{ url: 'https://keys.example', key: '' }, /is its variable set\?/], [{ url: 'https://keys.example', key: undefined }, /is its variable set\?/], [{ url: 'https://keys.example', key: 5 }, /key/],
    [{ url: 'https://keys.example', timeout_ms: 0 }, /timeout_ms/], [{ url: 'https://keys.example', timeout_ms: NaN }, /timeout_ms/], [{ url: 'https://keys.example', retries: -1 }, /retries/], [{ url: 'https://keys.example', retries: '2' }, /retries/],
  ]) {
    assert.throws(() => new Keyward(options), (error) => error instanceof TypeError && about.test(error.message) && !error.message.includes(KEY.slice(-30)));
  }
  for (const url of ['https://keys.example', 'https://keys.example/', 'http://127.0.0.1:8787', 'http://localhost:1', 'http://[::1]:1', 'https://keys.example:8443']) assert.equal(new Keyward({ url }).origin, new URL(url).origin);
  assert.equal(new Keyward({ url: 'http://keys.internal', insecure: true }).origin, 'http://keys.internal');
});

test('what stands in a path is one segment, whatever it holds', async (t) => {
  const server = await misbehaving(t, page);
  await server.client().keys.get('../audit?x=1#/%2f');
  assert.equal(server.seen[0].path, '/v1/keys/..%2Faudit%3Fx%3D1%23%2F%252f');
  for (const bad of ['', '.', '..', undefined, 5, '\ud800', 'a\udc00b']) await assert.rejects(async () => server.client().keys.get(bad), TypeError);
  await server.client().keys.get('\u{1f511}');
  assert.equal(server.seen.length, 2);
});

describe('the client and the real Worker', { concurrency: false }, () => {
  let deployment;
  let keyward;
  before(async () => {
    deployment = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: 'http://127.0.0.1:9', KEYWARD_LOCAL_WEBHOOKS: 'http://127.0.0.1:9', KEYWARD_FOREIGN_PREFIXES: 'sk_old_:live' } });
    keyward = new Keyward({ url: deployment.url, key: deployment.adminKey });
  });
  after(() => deployment?.stop());

  test('a key is made, found, changed, verified, replaced and ended', async () => {
    const made = await keyward.keys.create({ name: 'server-prod', owner: 'acme', scopes: ['calls:create'], expires_at: undefined });
    assert.match(made.key, /^psk_live_/);
    assert.equal((await keyward.keys.get(made.id)).name, 'server-prod');
    assert.equal((await keyward.keys.update(made.id, { name: 'server-2', rotation_days: null })).name, 'server-2');
    const verdict = await keyward.keys.verify({ key: made.key, scopes: ['calls:create'] });
    assert.deepEqual([verdict.code, verdict.key_id], ['VALID', made.id]);
    assert.equal((await keyward.keys.verify({ key: made.key }, { fresh: true })).freshness.mode, 'authority');
    assert.equal((await keyward.keys.verify({ key: 'nonsense' })).code, 'MALFORMED');
    // A key that is missing is nobody's, not the client's own.
    for (const key of [undefined, null]) assert.equal((await failure(keyward.keys.verify({ key }))).status, 400);
    assert.equal((await keyward.keys.verify({ key: '' })).valid, false);
    assert.equal((await failure(keyward.authorize({ key: null }))).status, 401);
    const who = await keyward.authorize({ key: made.key, scope: ['calls:create'] });
    assert.deepEqual([who.key_id, who.owner, who.scopes], [made.id, 'acme', ['calls:create']]);
    const refused = await failure(keyward.authorize({ key: made.key, scope: ['billing:read'] }));
    assert.deepEqual([refused.code, refused.status], ['INSUFFICIENT_SCOPE', 403]);

    const started = await keyward.keys.rotations.start(made.id, { activate: 'now' });
    assert.ok(started.key.includes(made.id) && started.key !== made.key);
    assert.equal((await keyward.keys.verify({ key: made.key }, { fresh: true })).code, 'VALID');
    const early = await failure(keyward.keys.rotations.complete(made.id));
    assert.deepEqual([early.code, early.status, early.problem.rotation.status, early.request_id?.startsWith('req_')], ['OLD_SECRET_IN_USE', 409, 'overlap', true]);
    assert.equal((await keyward.keys.rotations.get(made.id)).secrets.length, 2);
    assert.equal((await keyward.keys.rotations.complete(made.id, { force: true })).rotation.status, 'completed');
    assert.equal((await failure(keyward.keys.rotations.cancel(made.id))).code, 'NO_ROTATION');

    assert.equal((await keyward.keys.disable(made.id)).status, 'disabled');
    assert.equal((await keyward.keys.enable(made.id)).status, 'active');
    const receipt = await keyward.keys.revoke(made.id, { reason: 'done', wait: true });
    assert.deepEqual([receipt.status, receipt.confirmed], ['revoked', true]);
    assert.equal((await keyward.audit.verify({ head: receipt.log_head })).whole, true);
    assert.equal((await keyward.keys.verify({ key: started.key })).code, 'REVOKED');
    assert.equal((await failure(keyward.keys.get(ID))).code, 'KEY_NOT_FOUND');
  });

  test('a creation whose answer was lost has made one key, and says by an absent text that this was so', async (t) => {
    let lost = 0;
    const lossy = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const answer = await fetch(deployment.url + request.url, { method: request.method, headers: { authorization: request.headers.authorization, 'idempotency-key': request.headers['idempotency-key'], 'content-type': 'application/json' }, body: Buffer.concat(chunks) });
      const text = await answer.text();
      if (lost++ === 0) return response.socket.destroy();
      return response.writeHead(answer.status).end(text);
    }).listen(0, '127.0.0.1');
    await once(lossy, 'listening');
    t.after(() => lossy.close().closeAllConnections());
    const client = new Keyward({ url: `http://127.0.0.1:${lossy.address().port}`, key: deployment.adminKey, clock: new TestClock() });
    const made = await client.keys.create({ name: 'lost and found', owner: 'acme' });
    assert.deepEqual([made.key, made.name, lost], [undefined, 'lost and found', 2]);
    assert.deepEqual((await keyward.keys.list({ search: 'lost and' }).all()).map(({ id }) => id), [made.id]);
  });

  test('a list is gone through over all its pages, or page by page', async () => {
    const names = Array.from({ length: 7 }, (_, i) => `paged ${i}`);
    for (const name of names) await keyward.keys.create({ name, owner: 'pages' });
    const found = [];
    for await (const { name } of keyward.keys.list({ owner: 'pages', limit: 3 })) found.push(name);
    assert.deepEqual(found.sort(), names);
    const list = keyward.keys.list({ search: 'paged', limit: 4 });
    const first = await list.page();
    const second = await list.page(first.next_cursor);
    assert.deepEqual([first.data.length, second.data.length, second.next_cursor], [4, 3, null]);
    assert.deepEqual((await keyward.audit.list({ limit: 100 }).page()).data[0].kind, 'key.created');
  });

  test('what is counted, logged and reported is read in every form', async () => {
    const { id, key } = await keyward.keys.create({ name: 'counted', owner: 'acme' });
    await keyward.keys.verify({ key });
    assert.deepEqual(await keyward.keys.reportOutcomes(id, { delivered: 3 }).then(({ delivered }) => delivered), 3);
    assert.ok(Array.isArray((await keyward.keys.usage(id, { by: 'day' })).data));
    assert.match(await keyward.keys.usageCsv(id), /^at,/);
    assert.ok(Array.isArray((await keyward.keys.calls(id, { limit: 5 })).data));
    assert.match(await keyward.keys.callsCsv(id), /^at,/);
    assert.deepEqual((await keyward.keys.anomalies(id)).data, []);
    assert.ok(Array.isArray((await keyward.usage()).days));
    assert.match(await keyward.metrics(), /^# (HELP|TYPE) keyward_/m);
    assert.deepEqual([(await keyward.health()).status, (await keyward.openapi()).openapi, (await keyward.jwks()).keys.length], ['ok', document.openapi, 1]);
    assert.ok((await keyward.reports.keySafety().all()).some(({ key_id: of }) => of === id));
    assert.equal((await keyward.reports.rootSecrets()).missing.length, 0);
    const rows = [];
    for await (const row of keyward.audit.export({ limit: 3 })) rows.push(row.position);
    assert.deepEqual(rows, rows.map((_, i) => i + rows[0]), 'no row is left out and none comes twice');
    const { rows: count } = await keyward.audit.verify();
    assert.equal(rows.length, count);
    const { text, head } = await keyward.audit.exportPage({ limit: 2 });
    assert.equal(text.trim().split('\n').length, 2);
    assert.match(head, /^\d+-[0-9a-f]{64}$/);
    const imported = await keyward.keys.import([{ sha256: 'ab'.repeat(32), prefix: 'sk_old_', name: 'old', owner: 'acme' }, { sha256: 'zz', name: 'x', owner: 'y' }]);
    assert.deepEqual(imported.map(({ status }) => status), ['created', 'invalid']);
  });

  test('routes, their secrets, sessions and webhooks are written, read and removed', async () => {
    const route = await keyward.routes.put('sms', { upstream: 'http://127.0.0.1:9/api', callers: { session: { origins: ['https://shop.example'], mint: 'public' }, key: { scopes: [] } }, allow: [{ methods: ['POST'], path: '/**' }], credential: { type: 'header', name: 'X-Key' } });
    assert.equal(route.name, 'sms');
    assert.equal((await keyward.routes.secrets.set('sms', 'current', { secret: 'first-secret' })).secrets.current.number, 1);
    await keyward.routes.secrets.set('sms', 'next', { secret: 'second-secret' });
    assert.equal((await keyward.routes.secrets.set('sms', 'next', { weight: 100 })).secrets.next.share, 100);
    assert.equal((await keyward.routes.secrets.retire('sms', 'current', { force: true })).secrets.next, null);
    assert.equal((await keyward.routes.get('sms')).secrets.current.number, 2);
    assert.deepEqual((await keyward.routes.list()).map(({ name }) => name), ['sms']);
    assert.deepEqual((await keyward.routes.use('sms')).anomalies, []);
    const session = await keyward.sessions.begin('sms', { origin: 'https://shop.example', calls: 2 });
    assert.deepEqual([session.calls, session.token.startsWith('kws_')], [2, true]);
    assert.equal((await keyward.routes.delete('sms')).name, 'sms');
    assert.equal((await failure(keyward.routes.get('sms'))).code, 'ROUTE_NOT_FOUND');

    assert.match((await keyward.webhooks.put('pager', { url: 'http://127.0.0.1:9/in', events: ['key.revoked'], active: false })).secret, /^whsec_/);
    assert.match((await keyward.webhooks.rotateSecret('pager')).secret, /^whsec_/);
    assert.equal((await keyward.webhooks.get('pager')).state.pending, 0);
    assert.deepEqual([(await keyward.webhooks.list()).length, await keyward.webhooks.deliveries('pager').all()], [1, []]);
    assert.equal((await failure(keyward.webhooks.test('pager'))).code, 'WEBHOOK_INACTIVE');
    assert.equal((await failure(keyward.webhooks.replay('pager', { event_id: 'msg_nothing' }))).status, 404);
    assert.equal((await keyward.webhooks.delete('pager')).name, 'pager');
  });

  test('a leak is reported and answered, and its incident kept', async () => {
    const { id, key } = await keyward.keys.create({ name: 'leaky', owner: 'acme', on_leak: 'disable' });
    assert.deepEqual((await keyward.leaks.report({ leaks: [{ key, path: '.env' }] })).data.map(({ label, action }) => [label, action]), [['true_positive', 'disable']]);
    const answer = await keyward.leaks.respond(id, { action: 'rotate', grace_seconds: 0 });
    assert.ok(answer.key.includes(id));
    assert.deepEqual((await keyward.incidents.list({ key_id: id }).all()).map(({ status }) => status), ['open']);
    assert.match(await keyward.incidents.markdown(answer.incident.id), /^# /);
    assert.equal((await keyward.incidents.update(answer.incident.id, { status: 'closed' })).status, 'closed');
    assert.equal((await keyward.incidents.get(answer.incident.id)).status, 'closed');
    assert.equal((await failure(keyward.leaks.reportSigned('[]', { identifier: 'x', signature: 'y' }))).code, 'NO_LEAK_PARTNERS');
  });

  test('a key that is refused is refused with the document\'s code', async () => {
    const { key } = await keyward.keys.create({ name: 'reader', owner: 'acme', scopes: ['keyward.keys:verify'] });
    const reader = new Keyward({ url: deployment.url, key });
    assert.deepEqual([(await failure(reader.keys.list().page())).code, (await reader.keys.verify({ key })).code], ['INSUFFICIENT_SCOPE', 'VALID']);
    assert.equal((await failure(new Keyward({ url: deployment.url, key: KEY }).keys.get(ID))).code, 'UNAUTHORIZED');
    assert.equal((await failure(new Keyward({ url: deployment.url }).keys.get(ID))).code, 'UNAUTHORIZED');
    const invalid = await failure(keyward.keys.create({ name: '', owner: 'acme' }));
    assert.deepEqual([invalid.code, invalid.problem.field], ['INVALID_REQUEST', 'name']);
  });

  test('it runs in a Worker', async (t) => {
    const state = mkdtempSync(join(tmpdir(), 'keyward-client-'));
    const script = join(state, 'index.js');
    writeFileSync(join(state, 'in.js'), `import { Keyward, KeywardApiError } from ${JSON.stringify(join(root, 'dist', 'client.js'))};
      export default { async fetch(request) {
        const keyward = new Keyward({ url: ${JSON.stringify(deployment.url)}, key: request.headers.get('authorization').slice(7) });
        const made = await keyward.keys.create({ name: 'from a Worker', owner: 'acme' });
        const names = [];
        for await (const { name } of keyward.keys.list({ search: 'from a', limit: 1 })) names.push(name);
        let code;
        try { await keyward.keys.get('${ID}'); } catch (error) { code = error instanceof KeywardApiError && error.code; }
        return Response.json({ made: typeof made.key, names, code });
      } };`);
    await build({ entryPoints: [join(state, 'in.js')], outfile: script, bundle: true, format: 'esm', platform: 'neutral', logLevel: 'error' });
    const running = await startWorkerd({ state, services: [scriptService({ state, name: 'app', esModule: script })], sockets: [{ name: 'http', service: 'app' }], env: { KEYWARD_LOCAL_UPSTREAMS: deployment.url } });
    t.after(async () => {
      running.process.kill('SIGKILL');
      await running.exited;
      rmSync(state, { recursive: true });
    });
    const answer = await fetch(`http://127.0.0.1:${running.ports.http}/`, { headers: { authorization: `Bearer ${deployment.adminKey}` } });
    assert.deepEqual(await answer.json(), { made: 'string', names: ['from a Worker'], code: 'KEY_NOT_FOUND' }, running.log.join(''));
  });

  test('the example of the README runs as it stands', async () => {
    const [, example] = readFileSync(join(root, 'README.md'), 'utf8').match(/^```ts\n(import \{ Keyward, [^]*?)^```$/m);
    const { outputFiles } = await build({ stdin: { contents: example.replace("'keyward/client'", JSON.stringify(join(root, 'dist', 'client.js'))).replace('https://keys.example', deployment.url), loader: 'ts', resolveDir: root }, bundle: true, write: false, platform: 'node', format: 'esm' });
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', outputFiles[0].text], { env: { ...process.env, KEYWARD_KEY: deployment.adminKey } });
    assert.match(stdout, /^server-prod null$/m);
    assert.match(stdout, /^true VALID \d{4}-.*Z$/m);
  });

  test('bundled to CommonJS it works as ever', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'keyward-client-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const out = join(folder, 'client.cjs');
    await build({ entryPoints: [join(root, 'dist', 'client.js')], outfile: out, bundle: true, format: 'cjs', logLevel: 'error' });
    const { Keyward: Required } = createRequire(import.meta.url)(out);
    assert.equal((await new Required({ url: deployment.url }).health()).status, 'ok');
  });
});

test('the types say what is taken and answered, and refuse the rest', (t) => {
  const folder = join(root, 'build', 'client-types');
  mkdirSync(folder, { recursive: true });
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'use.ts'), `import { Keyward, KeywardApiError, type Key, type Verdict } from 'keyward/client';
const keyward = new Keyward({ url: 'https://keys.example', key: 'k' });
const made = await keyward.keys.create({ name: 'a', owner: 'b', rate_limits: [{ name: 'r', limit: 1, window_seconds: 2 }], expires_at: null });
const text: string | undefined = made.key;
const verdict: Verdict = await keyward.keys.verify({ key: text ?? '' }, { fresh: true, signal: AbortSignal.timeout(5) });
if (verdict.code === 'ROTATED_OUT') console.log(verdict.limits?.[0]?.remaining.toFixed());
for await (const key of keyward.keys.list({ status: 'active' })) { const k: Key = key; const on: string | null = key.last_used_on; console.log(k, on); }
for await (const { entry, hash } of keyward.audit.export()) console.log(entry.kind, hash);
const csv: string = await keyward.keys.usageCsv('id');
try { await keyward.routes.secrets.retire('sms', 'current'); } catch (error) {
  if (error instanceof KeywardApiError && error.code === 'SLOT_IN_USE') console.log(error.problem?.use?.[0]?.calls, csv);
  // @ts-expect-error there is no such code
  if (error instanceof KeywardApiError && error.code === 'NONSENSE') console.log();
}
// @ts-expect-error an owner is needed
await keyward.keys.create({ name: 'a' });
// @ts-expect-error no such field
await keyward.keys.create({ name: 'a', owner: 'b', scope: [] });
// @ts-expect-error no such status
keyward.keys.list({ status: 'gone' });
// @ts-expect-error no such slot
await keyward.routes.secrets.set('sms', 'third', { weight: 5 });
`);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { target: 'es2022', module: 'nodenext', lib: ['es2023', 'dom'], types: [], strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true }, include: ['use.ts'] }));
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  assert.equal(execFileSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' }), '');
});
