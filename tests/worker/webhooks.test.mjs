// Webhooks against receivers that are down, slow, hostile or gone, and against what may go wrong on keyward's own side. Signatures
// are checked by the library that the specification's authors publish. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { root } from '../../.ci/setup.mjs';
import { Deployment, core } from './harness.mjs';
import { Upstream, closedPort, until } from './upstream.mjs';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const wrappers = [join(root, 'tests', 'worker', 'hooked.js')];

/** The message that a request carried, if its signature is good under the secret. The library holds its instant to its own clock. */
async function verified(seen, secret, at = Date.now()) {
  const body = (await seen.body()).toString();
  const { now } = Date;
  Date.now = () => at;
  try {
    return new Webhook(secret).verify(body, seen.headers);
  } finally {
    Date.now = now;
  }
}

const id = (seen) => seen.headers['webhook-id'];
const parsed = async (seen) => JSON.parse((await seen.body()).toString());
/** What came to a path: type and key of each message. */
const told = (receiver, path) => Promise.all(receiver.of(path).map(async (seen) => {
  const { type, data } = await parsed(seen);
  return `${type} ${data.key?.name ?? ''}`.trim();
}));

describe('webhooks', () => {
  let keyward;
  let receiver;
  let faults = {};
  /** Secrets that were ever shown. */
  const secrets = [];
  let number = 0;
  let name;
  let path;

  before(async () => {
    receiver = await Upstream.start();
    keyward = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_WEBHOOKS: receiver.origin } });
  });
  after(async () => {
    await keyward?.stop();
    await receiver?.stop();
  });
  beforeEach(() => {
    number += 1;
    name = `hook-${number}`;
    path = `/${name}`;
  });
  afterEach(async () => {
    await keyward.call('DELETE', `/v1/webhooks/${name}`);
    await watched({});
  });

  const watched = async (fault) => {
    faults = fault;
    await keyward.call('POST', '/watched', faults);
  };
  /** Moves the clock on, and has the webhook look at it. */
  const pass = async (milliseconds) => {
    await watched({ ...faults, offset: (faults.offset ?? 0) + milliseconds });
    await state();
  };
  const at = () => Date.now() + (faults.offset ?? 0);
  const api = (method, rest = '', body) => keyward.call(method, `/v1/webhooks/${name}${rest}`, body);
  const state = async () => (await api('GET')).body.state;
  const log = async () => (await api('GET', '/deliveries?limit=100')).body.data;
  /** Writes the webhook; answers its secret. */
  const hook = async (fields = {}) => {
    const { status, body, text } = await api('PUT', '', { url: receiver.origin + path, ...fields });
    assert.equal(status, 200, text);
    if (body.secret) secrets.push(body.secret);
    return body.secret;
  };
  /** Waits until so many attempts are noted. */
  const attempted = (number) => until(async () => (await log()).length >= number);
  const quiet = () => until(async () => (await state()).pending === 0);
  const outcomes = async () => (await log()).map(({ outcome, status, error }) => [outcome, status, error].filter((part) => part !== null).join(' ')).reverse();
  /** Has the path answer with a status. */
  const answers = (status, headers = {}) => receiver.at(path, async (response, seen) => {
    await seen.body();
    response.writeHead(status, headers).end();
  });
  const revoke = ({ id: key }, reason) => keyward.call('POST', `/v1/keys/${key}/revoke`, reason && { reason });

  test('each event of a key arrives, in order, signed as the specification\'s own library wants it, with the key as it is shown', async () => {
    const secret = await hook();
    const made = await keyward.create({ name: 'told', metadata: { team: 'a' } });
    await keyward.call('PATCH', `/v1/keys/${made.id}`, { scopes: ['calls:read'] });
    for (const change of ['disable', 'enable']) await keyward.call('POST', `/v1/keys/${made.id}/${change}`);
    const rotated = await keyward.call('POST', `/v1/keys/${made.id}/rotations`, { activate: 'now' });
    await keyward.call('POST', `/v1/keys/${made.id}/rotations/current/complete`, { force: true });
    await revoke(made, 'leaked in a ticket');
    await receiver.head(path, 6);
    await quiet();
    const messages = await Promise.all(receiver.of(path).map((seen) => verified(seen, secret)));
    assert.deepEqual(messages.map(({ type }) => type), ['key.created', 'key.updated', 'key.disabled', 'key.enabled', 'key.rotation_started', 'key.rotation_completed', 'key.revoked']);
    const { timestamp, data } = messages.at(-1);
    const { secrets: shown, ...key } = (await keyward.call('GET', `/v1/keys/${made.id}`)).body;
    assert.deepEqual({ ...data.key, secrets: undefined }, { ...key, secrets: undefined });
    assert.deepEqual([data.reason, data.key.id, timestamp], ['leaked in a ticket', made.id, key.revoked_at]);
    assert.deepEqual(messages[1].data.changes.scopes, { before: ['calls:create'], after: ['calls:read'] });
    const [seen] = receiver.of(path);
    assert.deepEqual([seen.method, seen.headers['content-type']], ['POST', 'application/json']);
    assert.match(id(seen), /^msg_hook-1_[0-9a-f]+_\d+$/);
    assert.equal(new Set(receiver.of(path).map(id)).size, 7);
    for (const one of receiver.of(path)) {
      const text = JSON.stringify(one.headers) + (await one.body());
      for (const [what, part] of [['key', made.key.slice(-39)], ['new key', rotated.body.key.slice(-39)], ['webhook secret', secret.slice(6)], ['digest', 'hmac']]) assert.ok(!text.includes(part), what);
    }
    const body = (await seen.body()).toString();
    for (const [altered, headers] of [[body.replace('told', 'tola'), seen.headers], [body, { ...seen.headers, 'webhook-id': 'msg_other' }], [body, { ...seen.headers, 'webhook-timestamp': `${Number(seen.headers['webhook-timestamp']) + 1}` }]]) {
      assert.throws(() => new Webhook(secret).verify(altered, headers));
    }
    assert.throws(() => new Webhook(`whsec_${'A'.repeat(48)}`).verify(body, seen.headers));
    assert.deepEqual([(await state()).pending, (await state()).failing_since], [0, null]);
  });

  test('only what is asked for is sent, and nothing of before', async () => {
    await keyward.create({ name: 'before' });
    await hook({ events: ['key.revoked', 'key.disabled'], description: 'the shop\'s pager' });
    const made = await keyward.create({ name: 'after' });
    await keyward.call('POST', `/v1/keys/${made.id}/disable`);
    await keyward.call('POST', `/v1/keys/${made.id}/enable`);
    await revoke(made);
    await receiver.head(path, 1);
    await quiet();
    assert.deepEqual(await told(receiver, path), ['key.disabled after', 'key.revoked after']);
    const { body } = await api('GET');
    assert.deepEqual([body.events, body.description, body.active, body.gone, body.secret, body.secrets.length], [['key.revoked', 'key.disabled'], 'the shop\'s pager', true, false, undefined, 1]);
    assert.equal((await keyward.call('GET', '/v1/webhooks')).body.data.filter((hook) => hook.name === name).length, 1);
    assert.equal(await hook({ events: ['key.*'] }), undefined, 'no new secret for a change');
    await keyward.create({ name: 'more' });
    await receiver.head(path, 2);
    assert.deepEqual((await told(receiver, path)).at(-1), 'key.created more');
  });

  test('20: a target that is private, local, this deployment, ambiguous or not encrypted is refused when it is written', async () => {
    const refused = async (fields, field) => {
      const { status, body, text } = await api('PUT', '', fields);
      assert.deepEqual([status, body.field], [400, field], `${JSON.stringify(fields)} ${text}`);
    };
    const { host } = new URL(keyward.url);
    const port = new URL(receiver.origin).port;
    for (const url of [
      'http://hooks.shop.example/in', `http://127.0.0.1:${Number(port) - 1}/`, `https://127.0.0.1:${port}/`, `http://localhost:${port}/`, `http://127.1:${port}/`, `http://[::ffff:127.0.0.1]:${port}/`, `${receiver.origin}@evil.example/`,
      `http://${host}/`, `https://${host}/`, 'https://127.0.0.1/', 'https://10.1.2.3/', 'https://192.168.0.1/', 'https://172.16.0.1/', 'https://100.64.0.1/', 'https://169.254.169.254/latest/', 'https://0.0.0.0/', 'https://2130706433/', 'https://0x7f000001/',
      'https://[::1]/', 'https://[::ffff:10.0.0.1]/', 'https://[fe80::1]/', 'https://[fd00::1]/', 'https://[64:ff9b::a00:1]/', 'https://localhost/', 'https://localhost./', 'https://hooks.shop.example./', 'https://printer.local/', 'https://metadata.google.internal/',
      'https://user:pass@hooks.shop.example/', 'https://hooks.shop.example/#x', 'https://hooks.shop.example/a/../b', 'https://hooks.shop.example\\@127.0.0.1/', 'ftp://hooks.shop.example/', '//hooks.shop.example/', 'hooks.shop.example', '', `https://hooks.shop.example/${'a'.repeat(500)}`,
    ]) await refused({ url }, 'url');
    await refused({}, 'url');
    await refused({ url: 'https://hooks.shop.example/', events: ['key.revoked', 'key.gone'] }, 'events[1]');
    await refused({ url: 'https://hooks.shop.example/', secret: 'whsec_mine' }, 'secret');
    await refused({ url: 'https://hooks.shop.example/', active: 'yes' }, 'active');
    assert.equal((await keyward.call('PUT', '/v1/webhooks/Not_a_name', { url: 'https://hooks.shop.example/' })).body.field, 'name');
    assert.equal((await api('GET')).status, 404);
    assert.equal((await api('PUT', '', { url: 'https://hooks.shop.example/in?token=a%20b' })).status, 200);
  });

  test('a redirect is not followed, and counts as a failure', async () => {
    receiver.at(path, async (response, seen) => {
      await seen.body();
      response.writeHead(307, { Location: `${receiver.origin}${path}/elsewhere` }).end();
    });
    await hook();
    await keyward.create();
    await attempted(1);
    assert.deepEqual(await outcomes(), ['retry 307 REDIRECT']);
    answers(200);
    await pass(10 * SECOND);
    await quiet();
    assert.equal(receiver.of(`${path}/elsewhere`).length, 0);
  });

  test('10: while a receiver is down events wait, each key\'s in their order; then they arrive', async () => {
    const port = await closedPort();
    const origin = `http://127.0.0.1:${port}`;
    const beside = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_WEBHOOKS: origin } });
    let back;
    try {
      const made = await beside.call('PUT', '/v1/webhooks/down', { url: `${origin}/down` });
      const { secret } = made.body;
      const look = async () => (await beside.call('GET', '/v1/webhooks/down')).body.state;
      const [a, b] = [await beside.create({ name: 'a' }), await beside.create({ name: 'b' })];
      for (const key of [a, b]) {
        await beside.call('POST', `/v1/keys/${key.id}/disable`);
        await beside.call('POST', `/v1/keys/${key.id}/revoke`);
      }
      await until(async () => (await beside.call('GET', '/v1/webhooks/down/deliveries')).body.data.length >= 2);
      assert.equal((await look()).pending, 6);
      assert.ok(Date.parse((await look()).failing_since) > 0);
      const attempts = (await beside.call('GET', '/v1/webhooks/down/deliveries')).body.data;
      assert.deepEqual([...new Set(attempts.map(({ type, outcome, error }) => `${type} ${outcome} ${error}`))], ['key.created retry UNREACHABLE'], 'nothing of a key is tried before what came first');
      for (const { at, next_at } of attempts) {
        const delay = Date.parse(next_at) - Date.parse(at);
        assert.ok(delay >= 5000 && delay <= 6000, `${delay}`);
      }
      back = await Upstream.start(port);
      await beside.call('POST', '/watched', { offset: 10 * SECOND });
      await until(async () => (await look()).pending === 0);
      const order = await told(back, '/down');
      assert.deepEqual(order.filter((line) => line.endsWith('a')), ['key.created a', 'key.disabled a', 'key.revoked a']);
      assert.deepEqual(order.filter((line) => line.endsWith('b')), ['key.created b', 'key.disabled b', 'key.revoked b']);
      assert.equal(order.length, 6);
      for (const seen of back.of('/down')) await verified(seen, secret, Date.now() + 10 * SECOND);
      assert.equal((await look()).failing_since, null);
    } finally {
      await beside.stop();
      await back?.stop();
    }
  });

  test('one key\'s failing event holds up that key and no other', async () => {
    const [slow, other] = [await keyward.create({ name: 'slow' }), await keyward.create({ name: 'other' })];
    await hook();
    let broken = true;
    receiver.at(path, async (response, seen) => response.writeHead((await parsed(seen)).data.key.name === 'slow' && broken ? 500 : 204).end());
    for (const change of ['disable', 'enable', 'revoke']) for (const { id: key } of [slow, other]) await keyward.call('POST', `/v1/keys/${key}/${change}`);
    await attempted(4);
    assert.equal((await state()).pending, 3);
    assert.deepEqual(await told(receiver, path), (await told(receiver, path)).filter((line) => line.endsWith('other') || line === 'key.disabled slow'));
    const before = receiver.of(path).length;
    await pass(2 * SECOND);
    assert.equal(receiver.of(path).length, before, 'not before its time');
    await pass(6 * SECOND);
    await until(async () => receiver.of(path).length === before + 1);
    broken = false;
    await pass(40 * SECOND);
    await quiet();
    assert.deepEqual((await told(receiver, path)).filter((line) => line.endsWith('slow')), ['key.disabled slow', 'key.disabled slow', 'key.disabled slow', 'key.enabled slow', 'key.revoked slow']);
    const ids = new Map((await Promise.all(receiver.of(path).map(async (seen) => [id(seen), (await parsed(seen)).type]))));
    assert.equal(ids.size, 6, 'a repeated message has its first id');
  });

  test('different keys are told beside each other, eight at a time at most', async () => {
    await hook({ events: ['key.revoked'] });
    let [now, most] = [0, 0];
    receiver.at(path, async (response) => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setTimeout(resolve, 60));
      now -= 1;
      response.end();
    });
    const keys = await Promise.all(Array.from({ length: 24 }, (_, i) => keyward.create({ name: `k${i}` })));
    // All of them at once: while nobody is told, they gather.
    await hook({ events: ['key.revoked'], active: false });
    await Promise.all(keys.map((key) => revoke(key)));
    await hook({ events: ['key.revoked'] });
    await receiver.head(path, 23);
    await quiet();
    assert.equal(most, 8);
    assert.equal(new Set(receiver.of(path).map(id)).size, 24);
    assert.equal(receiver.of(path).length, 24);
  });

  test('4: events delivered twice to the project and wake-ups rung twice send each message once', async () => {
    await hook();
    await watched({ forgetful: true, twice: true });
    const keys = await Promise.all(Array.from({ length: 6 }, (_, i) => keyward.create({ name: `k${i}` })));
    for (const key of keys) await revoke(key);
    // Those whose answers were lost are handed over again, two seconds later.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await until(async () => receiver.of(path).length >= 12);
    await quiet();
    assert.deepEqual((await told(receiver, path)).sort(), [...keys.keys()].flatMap((i) => [`key.created k${i}`, `key.revoked k${i}`]).sort());
  });

  test('a call from the project that is lost delays, and loses nothing', async () => {
    await hook();
    await quiet();
    await watched({ deaf: true });
    await keyward.create({ name: 'unheard' });
    assert.equal((await state()).pending, 0);
    assert.equal(receiver.of(path).length, 0);
    await pass(61 * SECOND);
    await receiver.head(path);
    assert.deepEqual(await told(receiver, path), ['key.created unheard']);
  });

  test('a receiver that is slow, endless, empty-handed or speaks no HTTP ends its attempt, and nothing else', async () => {
    await hook();
    await watched({ hasty: true });
    receiver.at(path, () => {});
    await keyward.create({ name: 'slow' });
    await attempted(1);
    assert.deepEqual(await outcomes(), ['retry TIMEOUT']);
    let ended;
    receiver.at(path, (response, seen) => {
      ended = seen.gone;
      response.writeHead(200);
      const more = setInterval(() => response.write('x'.repeat(1000)), 5);
      response.on('close', () => clearInterval(more));
    });
    await pass(10 * SECOND);
    await attempted(2);
    await ended;
    receiver.at(path, (response, seen) => {
      ended = seen.gone;
      response.writeHead(200, { 'Content-Length': '100' }).write('never more');
    });
    await keyward.create({ name: 'stuck' });
    await attempted(3);
    await ended;
    receiver.at(path, (response, { request }) => request.socket.end('garbage\r\n\r\n'));
    await keyward.create({ name: 'garbage' });
    await attempted(4);
    receiver.at(path, (response) => response.destroy());
    await pass(10 * SECOND);
    await attempted(5);
    assert.deepEqual(await outcomes(), ['retry TIMEOUT', 'delivered 200', 'delivered 200', 'retry UNREACHABLE', 'retry UNREACHABLE']);
    answers(204);
    await pass(60 * SECOND);
    await quiet();
  });

  test('Retry-After of 429 and 503 is kept, for whatever else waits too, an hour at most', async () => {
    await hook();
    answers(429, { 'Retry-After': '120' });
    await keyward.create({ name: 'first' });
    await attempted(1);
    answers(200);
    await keyward.create({ name: 'second' });
    await pass(60 * SECOND);
    await until(async () => (await state()).pending === 2);
    assert.equal(receiver.of(path).length, 1);
    await pass(61 * SECOND);
    await quiet();
    answers(503, { 'Retry-After': new Date(at() + 100 * HOUR).toUTCString() });
    await keyward.create({ name: 'third' });
    await attempted(4);
    const [{ at: tried, next_at }] = await log();
    assert.equal(Date.parse(next_at) - Date.parse(tried), HOUR);
    answers(200);
    await pass(HOUR);
    await quiet();
  });

  test('a new secret signs beside the old one for a day, then alone', async () => {
    const first = await hook();
    const rotated = await api('POST', '/rotate-secret');
    assert.equal(rotated.status, 200);
    const { secret: second, secrets: both } = rotated.body;
    secrets.push(second);
    assert.deepEqual([both.length, both[0].until], [2, null]);
    assert.ok(Math.abs(Date.parse(both[1].until) - Date.now() - 24 * HOUR) < 10 * SECOND);
    await keyward.create();
    const seen = await receiver.head(path);
    assert.equal(seen.headers['webhook-signature'].split(' ').length, 2);
    for (const secret of [first, second]) await verified(seen, secret);
    await pass(24 * HOUR);
    await keyward.create();
    const later = await receiver.head(path, 1);
    await verified(later, second, at());
    await assert.rejects(verified(later, first, at()));
    assert.equal((await api('GET')).body.secrets.length, 1);
  });

  test('another origin gets a secret of its own; whoever had the former one signs nothing there', async () => {
    const elsewhere = await Upstream.start();
    const beside = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_WEBHOOKS: `${receiver.origin},${elsewhere.origin}` } });
    try {
      const write = async (url) => (await beside.call('PUT', '/v1/webhooks/moved', { url })).body.secret;
      const first = await write(`${receiver.origin}/a`);
      assert.equal(await write(`${receiver.origin}/b?c=d`), undefined);
      const second = await write(`${elsewhere.origin}/a`);
      await beside.create();
      const seen = await elsewhere.head('/a');
      await verified(seen, second);
      await assert.rejects(verified(seen, first));
    } finally {
      await beside.stop();
      await elsewhere.stop();
    }
  });

  test('410 disables the webhook; written anew, it goes on with what happened meanwhile', async () => {
    await hook();
    answers(410);
    await keyward.create({ name: 'refused' });
    await until(async () => (await api('GET')).body.gone);
    assert.equal((await api('GET')).body.active, false);
    answers(200);
    await keyward.create({ name: 'meanwhile' });
    await pass(HOUR);
    assert.equal(receiver.of(path).length, 1);
    assert.deepEqual(await outcomes(), ['gone 410']);
    assert.equal((await api('POST', '/test')).status, 409);
    const { body: { data } } = await keyward.call('GET', '/v1/audit?limit=5');
    const entry = data.find(({ kind }) => kind === 'webhook.disabled');
    assert.deepEqual([entry.webhook, entry.by, entry.changes.active], [name, 'keyward', { before: true, after: false }]);
    await hook();
    await receiver.head(path, 1);
    await quiet();
    assert.deepEqual(await told(receiver, path), ['key.created refused', 'key.created meanwhile']);
    assert.equal((await api('GET')).body.gone, false);
  });

  test('an event is tried for a day and then given up, so that the next of its key goes on; both can be sent again', async () => {
    const started = new Date(at()).toISOString();
    await hook();
    answers(500);
    const key = await keyward.create({ name: 'dead' });
    let tried = 0;
    for (const delay of [0, 6, 40, 150, 750, 2200, 4400, 8700, 17_300, 34_600, 34_600]) {
      await pass(delay * SECOND);
      tried += 1;
      await attempted(tried);
    }
    assert.deepEqual((await outcomes()).slice(-2), ['retry 500', 'given_up 500']);
    assert.deepEqual([(await state()).given_up, (await state()).pending], [1, 0]);
    answers(200);
    await revoke(key);
    await attempted(tried + 1);
    assert.equal((await outcomes()).at(-1), 'delivered 200');
    const since = await api('POST', '/replay', { since: started });
    assert.deepEqual([since.status, since.body], [202, { queued: 1 }]);
    await attempted(tried + 2);
    const [again, last] = await log();
    assert.deepEqual([again.type, again.outcome, again.attempt, last.type], ['key.created', 'delivered', tried + 1, 'key.revoked']);
    const one = await api('POST', '/replay', { event_id: last.event_id });
    assert.deepEqual([one.status, one.body], [202, { queued: 1 }]);
    await attempted(tried + 3);
    assert.equal(receiver.of(path).filter((seen) => id(seen) === last.event_id).length, 2);
    assert.equal((await api('POST', '/replay', { since: started })).body.queued, 0);
    assert.deepEqual(await api('POST', '/replay', { event_id: 'msg_never_0_1' }).then(({ status, body }) => [status, body.code]), [404, 'EVENT_NOT_FOUND']);
    for (const body of [{}, { event_id: last.event_id, since: started }, { since: 'yesterday' }]) assert.equal((await api('POST', '/replay', body)).status, 400);
  });

  test('a test is an event of its own, whatever the webhook asks for', async () => {
    const secret = await hook({ events: ['key.revoked'] });
    const { status, body } = await api('POST', '/test');
    assert.equal(status, 202);
    const seen = await receiver.head(path);
    const message = await verified(seen, secret);
    assert.deepEqual([message.type, message.data.webhook, id(seen)], ['keyward.test', name, body.event_id]);
    await quiet();
    const [entry] = await log();
    assert.deepEqual([entry.event_id, entry.type, entry.key_id, entry.attempt, entry.outcome, entry.status, entry.error, entry.next_at], [body.event_id, 'keyward.test', null, 1, 'delivered', 200, null, null]);
    assert.ok(entry.duration_ms >= 0 && entry.duration_ms < 5000);
  });

  test('the last two hundred attempts are kept, and read in pages', async () => {
    await hook({ events: ['key.revoked'] });
    for (let sent = 0; sent < 205; sent += 41) await Promise.all(Array.from({ length: 41 }, () => api('POST', '/test')));
    await quiet();
    const all = [];
    for (let cursor = ''; cursor !== null; ) {
      const { body } = await api('GET', `/deliveries?limit=90${cursor && `&cursor=${cursor}`}`);
      all.push(...body.data);
      cursor = body.next_cursor;
    }
    assert.equal(all.length, 200);
    assert.equal(new Set(all.map(({ event_id }) => event_id)).size, 200);
    assert.equal(new Set(receiver.of(path).map(id)).size, 205);
  });

  test('of a flood a thousand messages wait with the webhook and the rest with the project; none is lost', async () => {
    await hook();
    answers(503, { 'Retry-After': '3600' });
    await keyward.create({ name: 'first' });
    await attempted(1);
    for (let sent = 0; sent < 1040; sent += 40) await Promise.all(Array.from({ length: 40 }, () => api('POST', '/test')));
    for (let i = 0; i < 3; i += 1) await keyward.create({ name: `k${i}` });
    assert.equal((await state()).pending, 1041);
    answers(200);
    await pass(HOUR + SECOND);
    await until(async () => new Set(receiver.of(path).map(id)).size === 1044, 30);
    assert.deepEqual((await told(receiver, path)).filter((line) => !line.startsWith('keyward.test')).slice(1).sort(), ['first', 'k0', 'k1', 'k2'].map((key) => `key.created ${key}`));
    assert.equal(receiver.of(path).length, 1045);
  });

  test('a webhook that was deleted sends nothing more, and one that is made anew under its name begins with nothing', async () => {
    await hook();
    answers(500);
    await keyward.create({ name: 'lost' });
    await attempted(1);
    assert.equal((await api('DELETE')).body.name, name);
    for (const [method, rest, body] of [['GET', ''], ['DELETE', ''], ['POST', '/rotate-secret'], ['GET', '/deliveries'], ['POST', '/replay', { since: '2020-01-01T00:00:00Z' }], ['POST', '/test']]) {
      assert.deepEqual(await api(method, rest, body).then(({ status, body: problem }) => [status, problem.code]), [404, 'WEBHOOK_NOT_FOUND'], method + rest);
    }
    answers(200);
    await hook();
    await pass(HOUR);
    assert.deepEqual([await log(), (await state()).pending], [[], 0]);
    await keyward.create({ name: 'new' });
    await receiver.head(path, 1);
    assert.deepEqual(await told(receiver, path), ['key.created lost', 'key.created new']);
  });

  test('32: webhooks are for keys with keyward.webhooks:manage alone', async () => {
    await hook();
    const [writer, manager] = [await keyward.create({ scopes: ['keyward.keys:write', 'keyward.routes:write', '*:*'] }), await keyward.create({ scopes: ['keyward.webhooks:manage'] })];
    for (const [method, rest, body] of [['GET', ''], ['GET', '/deliveries'], ['PUT', '', { url: `${receiver.origin}${path}` }], ['POST', '/rotate-secret'], ['POST', '/test'], ['POST', '/replay', { since: '2100-01-01T00:00:00Z' }], ['DELETE', '']]) {
      const as = async (key) => (await keyward.call(method, `/v1/webhooks/${name}${rest}`, body, { key })).status;
      assert.deepEqual([await as(writer.key), await as(null)], [403, 401], method + rest);
      assert.equal(Math.floor((await as(manager.key)) / 100), 2, method + rest);
    }
  });

  test('there are fifty at most', async () => {
    const { body: { data } } = await keyward.call('GET', '/v1/webhooks');
    const names = Array.from({ length: 50 - data.length }, (_, i) => `many-${i}`);
    for (const one of names) assert.equal((await keyward.call('PUT', `/v1/webhooks/${one}`, { url: `${receiver.origin}/many`, active: false })).status, 200);
    const { status, text } = await api('PUT', '', { url: `${receiver.origin}/many` });
    assert.deepEqual([status, text.includes('50 webhooks')], [400, true]);
    for (const one of names) await keyward.call('DELETE', `/v1/webhooks/${one}`);
  });

  test('every change stands in the log; no secret, key or whole URL in it, in what the Worker prints, in answers or in storage', async () => {
    await hook();
    assert.ok(secrets.length > 5);
    const audit = (await keyward.call('GET', '/v1/audit/export')).text;
    const kinds = new Set(audit.match(/"kind":"webhook\.[a-z_]+"/g));
    assert.deepEqual([...kinds].sort(), ['created', 'deleted', 'disabled', 'secret_rotated', 'updated'].map((kind) => `"kind":"webhook.${kind}"`));
    assert.ok(!audit.includes(`${receiver.origin}${path}`), 'a URL may hold a token');
    const answers = await Promise.all(['/v1/webhooks', `/v1/webhooks/${name}`, `/v1/webhooks/${name}/deliveries`].map(async (path) => (await keyward.call('GET', path)).text));
    const folders = readdirSync(join(keyward.state, 'objects')).map((folder) => join(keyward.state, 'objects', folder));
    const stored = folders.flatMap((folder) => readdirSync(folder).map((file) => readFileSync(join(folder, file), 'latin1')));
    for (const text of [audit, keyward.log, ...answers, ...stored]) for (const secret of secrets) assert.ok(!text.includes(secret.slice(6, 40)));
    assert.equal((await keyward.call('GET', '/v1/audit/verify')).body.whole, true);
    assert.ok(!keyward.log.includes('storage:'), keyward.log);
  });
});

describe('webhooks of a Worker that ends', () => {
  test('8: kill -9 in mid-delivery: every event arrives, one that was under way once more under its id, with nobody calling', async () => {
    const receiver = await Upstream.start();
    const keyward = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_WEBHOOKS: receiver.origin } });
    try {
      const { body: { secret } } = await keyward.call('PUT', '/v1/webhooks/killed', { url: `${receiver.origin}/in` });
      receiver.at('/in', () => {});
      const keys = await Promise.all(Array.from({ length: 12 }, (_, i) => keyward.create({ name: `k${i}` })));
      await receiver.head('/in', 7);
      // The calls for these may be lost with the process; the events are not.
      await Promise.all(keys.map(({ id: key }) => keyward.call('POST', `/v1/keys/${key}/revoke`)));
      await keyward.kill('SIGKILL');
      const under = receiver.of('/in').map(id);
      receiver.at('/in', async (response, seen) => response.end(String((await seen.body()).length)));
      await keyward.run();
      const events = () => new Set(receiver.of('/in').map(id));
      await until(() => events().size === 24, 25);
      const later = receiver.of('/in').slice(under.length).map(id);
      for (const one of under) assert.ok(later.includes(one), 'what was under way is sent again, under the same id');
      await until(async () => (await keyward.call('GET', '/v1/webhooks/killed')).body.state.pending === 0);
      const order = await Promise.all(receiver.of('/in').slice(under.length).map(async (seen) => (await verified(seen, secret)) && (await parsed(seen))));
      for (const { name } of keys) assert.deepEqual(order.filter(({ data }) => data.key.name === name).map(({ type }) => type), ['key.created', 'key.revoked']);
    } finally {
      await keyward.stop();
      await receiver.stop();
    }
  });

  test('8: kill -9 at any moment: whatever happened is told, in the order in which it happened', async () => {
    const receiver = await Upstream.start();
    const keyward = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_WEBHOOKS: receiver.origin } });
    try {
      await keyward.call('PUT', '/v1/webhooks/killed', { url: `${receiver.origin}/in` });
      for (const moment of [250, 450, 700, 950]) {
        const work = Array.from({ length: 8 }, async (_, i) => {
          try {
            for (let round = 0; ; round += 1) {
              const { id: key } = await keyward.create({ name: `k${moment}-${i}-${round}` });
              await keyward.call('POST', `/v1/keys/${key}/revoke`);
            }
          } catch {
            // The Worker is gone.
          }
        });
        await new Promise((resolve) => setTimeout(resolve, moment));
        await keyward.kill('SIGKILL');
        await Promise.all(work);
        await keyward.run();
      }
      // What the crash left with a key's object is handed over two seconds later; a call that it swallowed is made up for by the next.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      await keyward.create({ name: 'last' });
      const logged = (await keyward.call('GET', '/v1/audit/export')).text.trim().split('\n').map((line) => JSON.parse(line).entry).filter(({ kind, key_id }) => kind.startsWith('key.') && key_id !== core.parseKey(keyward.adminKey).id);
      assert.ok(logged.length > 20, `${logged.length} events`);
      await until(() => new Set(receiver.of('/in').map(id)).size >= logged.length);
      await until(async () => (await keyward.call('GET', '/v1/webhooks/killed')).body.state.pending === 0);
      const order = new Map();
      for (const seen of receiver.of('/in')) {
        const { type, data } = await parsed(seen);
        order.set(data.key.id, [...(order.get(data.key.id) ?? []), [id(seen), type]]);
      }
      assert.equal(new Set(receiver.of('/in').map(id)).size, logged.length);
      for (const [key, told] of order) {
        // A message may come twice, never after a later one.
        const kinds = told.filter(([one], i) => one !== told[i - 1]?.[0]).map(([, type]) => type);
        assert.deepEqual(kinds, logged.filter(({ key_id }) => key_id === key).map(({ kind }) => kind));
      }
    } finally {
      await keyward.stop();
      await receiver.stop();
    }
  });

  test('secrets outlive the root secret that sealed them; what is no longer allowed is not sent', async () => {
    const receiver = await Upstream.start();
    const keyward = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_WEBHOOKS: receiver.origin } });
    try {
      const { body: { secret } } = await keyward.call('PUT', '/v1/webhooks/kept', { url: `${receiver.origin}/in` });
      Object.assign(keyward.env, { KEYWARD_RETIRED_ROOT_SECRETS: keyward.env.KEYWARD_ROOT_SECRET, KEYWARD_ROOT_SECRET: '6d'.repeat(32) });
      await keyward.restart();
      await keyward.create();
      const report = async () => (await keyward.call('GET', '/v1/reports/root-secrets')).body;
      await until(async () => (await report()).retired[0].can_go);
      assert.equal((await report()).current.upstream_secrets, 1);
      delete keyward.env.KEYWARD_RETIRED_ROOT_SECRETS;
      await keyward.restart();
      await verified(await receiver.head('/in'), secret);
      await keyward.create();
      await verified(await receiver.head('/in', 1), secret);
      keyward.env.KEYWARD_LOCAL_WEBHOOKS = 'http://127.0.0.1:1';
      await keyward.restart();
      await keyward.create();
      const log = async () => (await keyward.call('GET', '/v1/webhooks/kept/deliveries')).body.data;
      await until(async () => (await log()).some(({ error, outcome }) => error === 'NOT_ALLOWED' && outcome === 'retry'));
      assert.equal(receiver.of('/in').length, 2);
    } finally {
      await keyward.stop();
      await receiver.stop();
    }
  });
});
