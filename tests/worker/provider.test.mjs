// The stand-in for an SMS provider (.ci/provider.mjs): what the demonstration and the tests of routes rest on.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KEY_SHAPE, startProvider } from '../../.ci/provider.mjs';

const KEY = `smsk_${'0a'.repeat(16)}`;
const PACE = 60;

let provider;
before(async () => {
  provider = await startProvider({ keys: { 'server-prod': KEY }, pace: PACE });
});
after(() => provider.close());

/** Calls the provider; answers `{status, headers, text, body}`. */
async function call(method, path, { body, credential = KEY, headers = {}, at = provider } = {}) {
  const response = await fetch(at.url + path, {
    method,
    headers: { ...(credential === null ? {} : { authorization: `Bearer ${credential}` }), ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: /json/.test(response.headers.get('content-type')) ? JSON.parse(text) : undefined };
}

const account = (method, path, body, at = provider) => call(method, `/api/sms/api-keys${path}`, { body, at, credential: at.accountToken });
const send = (to, text = 'Your code is 123456', options = {}) => call('POST', '/api/sms/messages', { body: { to, text }, ...options });

test('a key is made with the account token, works, and is refused once it is revoked', async () => {
  const made = await account('POST', '', { name: 'server-prod-2026q3' });
  assert.equal(made.status, 201);
  const { id, key, name, last4 } = made.body;
  assert.match(key, new RegExp(`^${KEY_SHAPE.source}$`));
  assert.deepEqual([name, last4], ['server-prod-2026q3', key.slice(-4)]);
  assert.equal((await send('+447700900123', 'hello', { credential: key })).status, 202);
  const shown = await account('GET', `/${id}`);
  assert.deepEqual(shown.body, { id, name, last4, created_at: made.body.created_at, revoked_at: null });
  assert.ok((await account('GET', '')).body.data.some((record) => record.id === id));
  assert.ok((await account('DELETE', `/${id}`)).body.revoked_at);
  const refused = await send('+447700900123', 'hello', { credential: key });
  assert.deepEqual([refused.status, refused.body.error.code], [401, 'key_revoked']);
  assert.equal((await account('GET', '/key_0000')).status, 404);
});

test('without a right key a call is 401, and a credential is good only for what it is for', async () => {
  for (const [credential, status, code] of [[null, 401, 'no_credential'], [`smsk_${'f'.repeat(32)}`, 401, 'unknown_credential'], [provider.accountToken, 403, 'wrong_credential']]) {
    const { status: answered, body } = await send('+447700900123', 'hello', { credential });
    assert.deepEqual([answered, body.error.code], [status, code]);
  }
  assert.equal((await send('+447700900123', 'hello', { credential: null })).headers.get('www-authenticate'), 'Bearer');
  assert.equal((await call('POST', '/api/sms/api-keys', { body: { name: 'more' } })).status, 403);
});

test('a message goes from queued over sent to delivered; one to a number that ends in 00 fails', async () => {
  for (const [to, last] of [['+447700900123', 'delivered'], ['+447700900100', 'failed']]) {
    const { status, body } = await send(to);
    assert.equal(status, 202);
    assert.deepEqual(Object.keys(body), ['id', 'to', 'status', 'parts', 'price', 'accepted_at']);
    assert.deepEqual([body.to, body.status, body.parts, body.price], [to, 'queued', 1, { amount: '0.075', currency: 'EUR' }]);
    const { text, headers } = await call('GET', `/api/sms/messages/${body.id}/events`);
    assert.equal(headers.get('content-type'), 'text/event-stream');
    assert.deepEqual([...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data).status), ['queued', 'sent', last]);
    assert.equal((await call('GET', `/api/sms/messages/${body.id}`)).body.status, last);
  }
  assert.equal((await call('GET', '/api/sms/messages/msg_0000')).status, 404);
});

test('the events come as they happen, not all at the end', async () => {
  const { body } = await send('+447700900123');
  const response = await fetch(`${provider.url}/api/sms/messages/${body.id}/events`, { headers: { authorization: `Bearer ${KEY}` } });
  const first = await response.body.pipeThrough(new TextDecoderStream()).getReader().read();
  assert.match(first.value, /queued/);
  assert.doesNotMatch(first.value, /delivered/);
});

test('a text is as many parts as the networks make of it', async () => {
  for (const [text, parts] of [['a'.repeat(160), 1], ['a'.repeat(161), 2], ['ж'.repeat(70), 1], ['ж'.repeat(71), 2], ['Grüße, ÄÖÜ, 5 €', 1], ['a'.repeat(1600), 11]]) {
    assert.equal((await send('+447700900123', text)).body.parts, parts, text.slice(0, 20));
  }
});

test('what is wrong with a request is said in JSON, naming the field', async () => {
  const wrong = [
    ['{', 400, 'invalid_json', undefined], ['[]', 400, 'invalid_json', undefined], ['null', 400, 'invalid_json', undefined], ['', 400, 'invalid_json', undefined],
    [{ text: 'hello' }, 422, 'missing_field', 'to'], [{ to: '+447700900123' }, 422, 'missing_field', 'text'],
    [{ to: '07700 900123', text: 'hello' }, 422, 'invalid_field', 'to'], [{ to: 447700900123, text: 'hello' }, 422, 'invalid_field', 'to'],
    [{ to: '+447700900123', text: '' }, 422, 'invalid_field', 'text'], [{ to: '+447700900123', text: 'a'.repeat(1601) }, 422, 'invalid_field', 'text'],
    [{ to: '+447700900123', text: 'hello', from: 'me' }, 422, 'unknown_field', 'from'],
  ];
  for (const [body, status, code, field] of wrong) {
    const answer = await call('POST', '/api/sms/messages', { body });
    assert.deepEqual([answer.status, answer.body.error.code, answer.body.error.field], [status, code, field], JSON.stringify(body));
    assert.ok(answer.body.error.message.length > 10);
  }
  assert.equal((await account('POST', '', { name: 'a\nb' })).status, 422);
  const { status, headers } = await call('PUT', '/api/sms/messages');
  assert.deepEqual([status, headers.get('allow')], [405, 'POST']);
  assert.equal((await call('GET', '/api/voice')).status, 404);
});

test('a body beyond 64 KB is 413, whether its length is said or not', async () => {
  assert.equal((await call('POST', '/api/sms/messages', { body: 'a'.repeat(65_537) })).status, 413);
  const streamed = await fetch(`${provider.url}/api/sms/messages`, {
    method: 'POST', headers: { authorization: `Bearer ${KEY}` }, duplex: 'half',
    body: ReadableStream.from([new Uint8Array(40_000), new Uint8Array(40_000)]),
  }).then((response) => response.status, () => 413);
  assert.equal(streamed, 413);
  assert.equal((await send('+447700900123')).status, 202);
});

test('a page may call it: preflights are answered, and answers can be read from anywhere', async () => {
  const preflight = await call('OPTIONS', '/api/sms/messages', { credential: null, headers: { origin: 'https://shop.example' } });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
  assert.match(preflight.headers.get('access-control-allow-headers'), /Authorization/);
  for (const credential of [KEY, null]) assert.equal((await send('+447700900123', 'hello', { credential })).headers.get('access-control-allow-origin'), '*');
});

test('the log says who called from where, and holds no credential', async () => {
  await send('+447700900456', 'hello', { headers: { origin: 'https://shop.example', referer: 'https://shop.example/', cookie: 'session=abc', 'user-agent': `browser/1 ${KEY}` } });
  await call('GET', `/api/sms/messages/${KEY}`);
  await send('+447700900456', 'hello', { credential: 'kws_0123456789abcdef' });
  const { entries } = (await call('GET', '/log.json', { credential: null })).body;
  const [called, misplaced, refused] = entries.slice(-3);
  assert.deepEqual([called.method, called.path, called.status, called.to], ['POST', '/api/sms/messages', 202, '+447700900456']);
  assert.deepEqual(called.key, { name: 'server-prod', last4: KEY.slice(-4) });
  const { origin, referer, cookie, authorization, 'user-agent': agent } = called.headers;
  assert.deepEqual({ origin, referer, cookie, authorization, agent }, {
    origin: 'https://shop.example', referer: 'https://shop.example/', cookie: 'present', authorization: `Bearer smsk_…${KEY.slice(-4)}`, agent: `browser/1 smsk_…${KEY.slice(-4)}`,
  });
  assert.equal(misplaced.path, `/api/sms/messages/smsk_…${KEY.slice(-4)}`);
  assert.deepEqual([refused.key, refused.status, refused.headers.authorization], [null, 401, 'Bearer …cdef']);
  assert.doesNotMatch(JSON.stringify(entries), /sms[ka]_[0-9a-f]{32}|0123456789abcdef/);
});

test('the log is given to pages of this machine alone, and not under a name that is pointed here', async () => {
  const allowed = async (origin) => (await call('GET', '/log.json', { credential: null, headers: { origin } })).headers.get('access-control-allow-origin');
  assert.equal(await allowed('http://127.0.0.1:8787'), 'http://127.0.0.1:8787');
  assert.equal(await allowed('http://localhost:8787'), 'http://localhost:8787');
  for (const origin of ['https://shop.example', 'http://127.0.0.1.example', 'null']) assert.equal(await allowed(origin), null);
  const rebound = await new Promise((resolve) => httpRequest(`${provider.url}/log.json`, { headers: { host: 'rebound.example' } }, (response) => resolve(response.statusCode)).end());
  assert.equal(rebound, 421);
});

test('the log is bounded, and streams on from where a reader was', async () => {
  for (let batch = 0; batch < 26; batch += 1) await Promise.all(Array.from({ length: 40 }, () => call('GET', '/api/sms/messages/msg_0000')));
  assert.equal(provider.log.length, 1000);
  const events = async (after) => {
    const response = await fetch(`${provider.url}/log/events`, { headers: { 'last-event-id': String(after) } });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    await send('+447700900789');
    let text = '';
    while (!text.includes('+447700900789')) text += (await reader.read()).value;
    await reader.cancel();
    return [...text.matchAll(/^data: (.*)$/gm)].length;
  };
  assert.equal(await events(provider.log.at(-3).number), 3);
});

test('the dashboard is a page with a policy', async () => {
  const { status, headers, text } = await call('GET', '/', { credential: null });
  assert.equal(status, 200);
  assert.match(headers.get('content-security-policy'), /default-src 'none'/);
  assert.match(text, /<title>Heliograph SMS/);
  for (const path of ['/dashboard.js', '/dashboard.css', '/icon.svg']) assert.equal((await call('GET', path, { credential: null })).status, 200);
  assert.equal((await call('GET', '/toString', { credential: null })).status, 404);
});

test('keys outlive a restart, as digests in a file that only its owner reads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-provider-'));
  const file = join(folder, 'provider.json');
  try {
    const first = await startProvider({ file });
    const { key } = (await account('POST', '', { name: 'server-prod' }, first)).body;
    const gone = (await account('POST', '', { name: 'gone' }, first)).body;
    await account('DELETE', `/${gone.id}`, undefined, first);
    await first.close();
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.doesNotMatch(readFileSync(file, 'utf8'), KEY_SHAPE);
    const second = await startProvider({ file });
    assert.equal(second.accountToken, first.accountToken);
    assert.equal((await send('+447700900123', 'hello', { credential: key, at: second })).status, 202);
    assert.equal((await send('+447700900123', 'hello', { credential: gone.key, at: second })).status, 401);
    await second.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
