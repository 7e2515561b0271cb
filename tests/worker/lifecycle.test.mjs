// A key's life: restricted, changed, rotated on evidence, revoked with a receipt; the log of it all; what comes from elsewhere.
// Time is moved, not waited for, except where the claim is about real edges and their receipts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { root } from '../../.ci/setup.mjs';
import { Deployment, core } from './harness.mjs';

const clock = join(root, 'tests', 'worker', 'clock.js');
const SECOND = 1000;
const DAY = 86_400 * SECOND;

/** Waits until a condition that nothing announces holds. */
const until = async (condition) => {
  for (const end = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const value = await condition();
    if (value) return value;
    assert.ok(Date.now() < end, 'it did not come about within 20 s');
  }
};

/** Runs SQL on a database file of a deployment that is stopped; answers the rows. */
const sqlite = (file, sql, ...values) =>
  JSON.parse(execFileSync('python3', ['-c', 'import json,sqlite3,sys\nd=sqlite3.connect(sys.argv[1])\nr=d.execute(sys.argv[2],json.loads(sys.argv[3])).fetchall()\nd.commit()\nd.close()\nprint(json.dumps(r))', file, sql, JSON.stringify(values)], { encoding: 'utf8' }));

const databases = (state, kind) => readdirSync(join(state, 'objects', kind)).filter((file) => file.endsWith('.sqlite') && file !== 'metadata.sqlite').map((file) => join(state, 'objects', kind, file));

/** Every entry of the log about a key, oldest first. */
const history = async (keyward, id) => {
  const { body } = await keyward.call('GET', '/v1/audit?limit=100');
  return body.data.filter(({ key_id }) => key_id === id).reverse();
};

describe('lifecycle', () => {
  let keyward;
  let offset = 0;
  /** Moves the clock of the Worker on. */
  const pass = (milliseconds) => setClock(offset + milliseconds);
  const setClock = async (to) => {
    offset = to;
    await keyward.call('POST', '/clock', { offset });
  };
  const now = () => Date.now() + offset;
  before(async () => (keyward = await Deployment.start({ wrappers: [clock], env: { KEYWARD_FOREIGN_PREFIXES: 'sk_live_:live,sk_test_:test' } })));
  after(() => keyward.stop());

  const post = (path, body, options) => keyward.call('POST', path, body, options);
  const rotate = async (id, terms = {}) => {
    const { status, body, text } = await post(`/v1/keys/${id}/rotations`, terms);
    assert.equal(status, 201, text);
    return body;
  };

  describe('restrictions', () => {
    test('every setting can be changed, each refusal names its field, and the answer says from when it holds', async () => {
      const { id, key } = await keyward.create();
      const change = {
        name: 'renamed', owner: 'other', scopes: ['calls:*'], not_before: '2020-01-01T00:00:00Z', expires_at: '2100-01-01T00:00:00Z', allowed_ips: ['192.0.2.0/24', '2001:db8::/32'],
        denied_ips: ['192.0.2.9'], allowed_countries: ['DE'], allowed_origins: ['https://shop.example'], max_staleness_seconds: 0, rotation_days: 30, metadata: { team: 'a' },
      };
      const { status, body } = await keyward.call('PATCH', `/v1/keys/${id}`, change);
      assert.equal(status, 200);
      for (const [field, value] of Object.entries(change)) {
        const written = field === 'not_before' ? '2020-01-01T00:00:00.000Z' : field === 'expires_at' ? '2100-01-01T00:00:00.000Z' : field === 'denied_ips' ? ['192.0.2.9/32'] : value;
        assert.deepEqual(body[field], written, field);
      }
      assert.equal(Date.parse(body.effective_by) - Date.parse(body.updated_at), 5000, 'leases of five seconds were out');
      const good = { ip: '2001:db8::1', country: 'DE', origin: 'https://shop.example', scopes: ['calls:create'] };
      assert.equal(await keyward.verdict(key, good), 'VALID');
      assert.equal(await keyward.verdict(key, { ...good, ip: '192.0.2.9' }), 'IP_NOT_ALLOWED');
      for (const [wrong, field] of [[{ scopes: ['x'] }, 'scopes[0]'], [{ environment: 'test' }, 'environment'], [{ status: 'revoked' }, 'status'], [{ name: null }, 'name'], [{ expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
        [{ not_before: '2200-01-01T00:00:00Z' }, 'expires_at'], [{ max_staleness_seconds: 61 }, 'max_staleness_seconds'], [{ rotation_days: 0 }, 'rotation_days'], [{ allowed_ips: ['0.0.0.0/0'] }, 'allowed_ips[0]']]) {
        const refused = await keyward.call('PATCH', `/v1/keys/${id}`, wrong);
        assert.deepEqual([refused.status, refused.body.field], [400, field]);
      }
      const { body: unchanged } = await keyward.call('GET', `/v1/keys/${id}`);
      assert.equal(unchanged.version, body.version, 'what is refused changes nothing');
      const cleared = await keyward.call('PATCH', `/v1/keys/${id}`, { allowed_ips: null, denied_ips: null, allowed_countries: null, allowed_origins: null, expires_at: null });
      assert.deepEqual([cleared.body.allowed_ips, cleared.body.expires_at, cleared.body.name], [[], null, 'renamed']);
    });

    test('30: ranges are canonical or refused: /0, host bits, zones, mapped addresses', async () => {
      const { id } = await keyward.create();
      const allow = (range) => keyward.call('PATCH', `/v1/keys/${id}`, { allowed_ips: [range] });
      for (const bad of ['0.0.0.0/0', '::/0', '192.0.2.1/24', '2001:db8::1/32', 'fe80::1%eth0', '::ffff:0:0/96', '192.0.2.0/33', '192.0.2/24', '10.0.0.0/08']) {
        const { status, body } = await allow(bad);
        assert.deepEqual([status, body.field], [400, 'allowed_ips[0]'], bad);
      }
      for (const [given, kept] of [['192.0.2.7', '192.0.2.7/32'], ['::ffff:192.0.2.0/120', '192.0.2.0/24'], ['2001:DB8::/32', '2001:db8::/32']]) assert.deepEqual((await allow(given)).body.allowed_ips, [kept]);
    });

    test('23: an unknown address, country or origin is refused wherever it is restricted, whatever a header claims', async () => {
      const { id, key } = await keyward.create({ allowed_countries: ['DE'] });
      const headers = { 'cf-ipcountry': 'DE', 'x-forwarded-for': '203.0.113.9', 'cf-connecting-ip': '203.0.113.9' };
      assert.deepEqual((await keyward.authorize(key, '', { headers })).body.code, 'COUNTRY_NOT_ALLOWED');
      await keyward.call('PATCH', `/v1/keys/${id}`, { allowed_countries: null, denied_ips: ['203.0.113.0/24'] });
      assert.equal(await keyward.verdict(key), 'IP_NOT_ALLOWED', 'the asker did not say from where');
      assert.equal(await keyward.verdict(key, { ip: '198.51.100.1' }), 'VALID');
      await pass(6 * SECOND);
      assert.equal((await keyward.authorize(key, '', { headers })).status, 200, 'the peer is not in the denied range, whatever it says of itself');
    });

    test('32: a narrower key neither patches, rotates, completes nor cancels a wider one, nor itself wider', async () => {
      const writer = await keyward.create({ name: 'writer', scopes: ['keyward.keys:write', 'keyward.keys:read'] });
      const wide = await keyward.create({ name: 'wide', scopes: ['keyward.audit:read', 'calls:create'] });
      const as = { key: writer.key };
      const forbidden = async (method, path, body) => {
        const { status, body: problem } = await keyward.call(method, path, body, as);
        assert.deepEqual([status, problem.code], [403, 'SCOPE_NOT_HELD'], `${method} ${path} ${JSON.stringify(body)}`);
      };
      await forbidden('PATCH', `/v1/keys/${wide.id}`, { name: 'mine' });
      await forbidden('PATCH', `/v1/keys/${wide.id}`, { scopes: [] });
      await forbidden('POST', `/v1/keys/${wide.id}/rotations`, {});
      await rotate(wide.id);
      await forbidden('POST', `/v1/keys/${wide.id}/rotations/current/complete`, { force: true });
      await forbidden('POST', `/v1/keys/${wide.id}/rotations/current/cancel`, { force: true });
      for (const scopes of [['keyward.*:*'], ['keyward.keys:*'], ['keyward.keys:write', 'keyward.audit:read']]) await forbidden('PATCH', `/v1/keys/${writer.id}`, { scopes });
      const customer = await keyward.create({ scopes: [] });
      await forbidden('PATCH', `/v1/keys/${customer.id}`, { scopes: ['keyward.audit:read'] });
      assert.equal((await keyward.call('PATCH', `/v1/keys/${customer.id}`, { scopes: ['webhooks:manage', '*:*'] }, as)).status, 200);
      assert.equal((await keyward.call('GET', '/v1/audit', undefined, { key: customer.key })).status, 403, 'a wildcard does not reach into keyward');
      assert.equal((await keyward.call('POST', `/v1/keys/${wide.id}/revoke`, {}, as)).status, 200, 'whoever notices a leak can stop it');
      assert.equal((await keyward.call('PATCH', `/v1/keys/${writer.id}`, { scopes: ['keyward.keys:read'] }, as)).status, 200, 'giving up is free');
    });

    test('15: a method is decided by as it was sent, on each of the paths', async () => {
      for (const [method, path, allow] of [['PROPFIND', '/v1/keys', 'POST, GET'], ['PATCH', '/v1/keys', 'POST, GET'], ['DELETE', '/v1/keys/0000000000000000', 'GET, PATCH'], ['PUT', '/v1/keys/x/rotations', 'POST'], ['POST', '/v1/audit', 'GET'], ['POST', '/openapi.json', 'GET']]) {
        const { status, headers } = await keyward.call(method, path);
        assert.deepEqual([status, headers.get('allow')], [405, allow], `${method} ${path}`);
      }
    });
  });

  describe('receipts', () => {
    test('a receipt counts the longest lease that is out, and waits for it where it is asked to', async () => {
      const { id, key } = await keyward.create({ max_staleness_seconds: 60 });
      const lowered = (await keyward.call('PATCH', `/v1/keys/${id}`, { max_staleness_seconds: 1 })).body;
      const first = (await post(`/v1/keys/${id}/revoke`, { reason: 'leaked' })).body;
      assert.ok(Math.abs(Date.parse(first.effective_by) - Date.parse(lowered.updated_at) - 60_000) < 2000, 'leases of a minute may be out');
      await pass(30 * SECOND);
      const again = (await post(`/v1/keys/${id}/revoke`, {})).body;
      assert.deepEqual([again.effective_by, again.revoked_at, again.confirmed], [first.effective_by, first.revoked_at, false]);
      assert.match(again.log_head, /^[0-9]+-[0-9a-f]{64}$/);
      await pass(31 * SECOND);
      assert.equal((await post(`/v1/keys/${id}/revoke`, {})).body.confirmed, true);
      assert.equal(await keyward.verdict(key), 'REVOKED');
      const waited = await keyward.create({ max_staleness_seconds: 1 });
      const sent = now();
      const { body } = await post(`/v1/keys/${waited.id}/revoke`, { wait: true });
      assert.equal(body.confirmed, true);
      assert.ok(now() > Date.parse(body.effective_by) && now() - sent >= 1000);
    });

    test('a strict key is judged by its authority each time, and a change of it holds at once', async () => {
      const { id, key } = await keyward.create({ max_staleness_seconds: 0 });
      for (let i = 0; i < 3; i += 1) {
        const { body } = await post('/v1/keys/verify', { key, scopes: ['calls:create'] });
        assert.deepEqual([body.code, body.freshness.mode, body.freshness.lease_remaining_ms, body.freshness.max_staleness_seconds], ['VALID', 'authority', 0, 0]);
      }
      assert.equal(await keyward.verdict(key, { scopes: ['calls:read'] }), 'INSUFFICIENT_SCOPE');
      assert.equal((await keyward.authorize(key, '?scope=calls:create')).status, 200);
      const receipt = (await post(`/v1/keys/${id}/revoke`)).body;
      assert.equal(receipt.effective_by, receipt.revoked_at);
      assert.equal(await keyward.verdict(key), 'REVOKED');
    });

    test('a key in use is renewed beside its calls, so that no call waits and no lease is older than its staleness', async () => {
      const { key } = await keyward.create({ max_staleness_seconds: 2 });
      const ask = async () => (await post('/v1/keys/verify', { key })).body.freshness;
      assert.equal((await ask()).mode, 'authority');
      for (let i = 0; i < 5; i += 1) {
        const { as_of: before } = await ask();
        await pass(1200);
        assert.equal((await ask()).mode, 'lease');
        const { mode, as_of } = await until(async () => {
          const freshness = await ask();
          return freshness.as_of !== before && freshness;
        });
        assert.deepEqual([mode, now() - Date.parse(as_of) < 2000], ['lease', true]);
      }
    });

    test('no-cache asks the authority itself', async () => {
      const { key } = await keyward.create({ max_staleness_seconds: 60 });
      const mode = async (headers) => (await post('/v1/keys/verify', { key }, { headers })).body.freshness.mode;
      assert.deepEqual([await mode({}), await mode({}), await mode({ 'cache-control': 'no-cache' }), await mode({ 'cache-control': 'max-age=0, No-Cache' }), await mode({ 'cache-control': 'no-store' })], ['authority', 'lease', 'authority', 'authority', 'lease']);
    });

    test('7: a clock that steps back drops the leases, and one that stands still does not lengthen them', async () => {
      const { id, key } = await keyward.create({ max_staleness_seconds: 5 });
      assert.equal((await keyward.authorize(key)).status, 200);
      const before = offset;
      await setClock(before - 10 * SECOND);
      const { body } = await post('/v1/keys/verify', { key });
      assert.deepEqual([body.code, body.freshness.mode], ['VALID', 'authority'], 'the lease in hand was dropped');
      assert.ok(body.freshness.lease_remaining_ms <= 5000);
      const { body: receipt } = await post(`/v1/keys/${id}/revoke`);
      assert.ok(Date.parse(receipt.revoked_at) >= Date.parse((await keyward.call('GET', `/v1/keys/${id}`)).body.created_at), 'history does not run backwards');
      await setClock(before);
    });
  });

  describe('rotation', () => {
    test('the id stays, both secrets verify, the old one is warned, evidence is kept for each, and completion waits for it', async () => {
      const { id, key } = await keyward.create();
      assert.equal((await keyward.authorize(key)).headers.get('keyward-warning'), null);
      const { rotation, key: next } = await rotate(id, { activate: 'now', grace_seconds: 3600, quiet_seconds: 60 });
      assert.deepEqual([core.parseKey(next).id, rotation.status, Date.parse(rotation.ends_at) - Date.parse(rotation.activated_at)], [id, 'overlap', 3600_000]);
      assert.ok(Date.parse(rotation.usable_by) - Date.parse(rotation.started_at) <= 1012);
      assert.equal((await rotate404(id)).body.code, 'ROTATION_IN_PROGRESS');
      const old = await keyward.authorize(key);
      assert.match(old.headers.get('keyward-warning'), new RegExp(`works until ${rotation.ends_at}`));
      assert.match((await post('/v1/keys/verify', { key })).body.warning, /works until/);
      const fresh = await keyward.authorize(next);
      assert.deepEqual([fresh.status, fresh.headers.get('keyward-warning')], [200, null]);
      const refused = await post(`/v1/keys/${id}/rotations/current/complete`, {});
      assert.deepEqual([refused.status, refused.body.code, refused.body.rotation.secrets[0].in_use], [409, 'OLD_SECRET_IN_USE', true]);
      // What edges have counted arrives within two seconds.
      const seen = await until(async () => {
        const { body } = await keyward.call('GET', `/v1/keys/${id}/rotations/current`);
        return body.secrets.every(({ calls }) => calls > 0) && body.secrets;
      });
      assert.deepEqual(seen.map(({ number, status, calls, addresses }) => [number, status, calls, addresses]), [[1, 'retiring', 3, ['127.0.0.0/24']], [2, 'active', 1, ['127.0.0.0/24']]]);
      await pass(61 * SECOND);
      const { status, body } = await post(`/v1/keys/${id}/rotations/current/complete`, {});
      assert.deepEqual([status, body.rotation.status], [200, 'completed']);
      assert.equal(await keyward.verdict(key), 'ROTATED_OUT');
      assert.equal(await keyward.verdict(next), 'VALID');
      const again = await post(`/v1/keys/${id}/rotations/current/complete`, {});
      assert.deepEqual([again.status, again.body.rotation.status, again.body.effective_by, again.body.log_head !== null], [200, 'completed', body.effective_by, true], 'said twice, done once');
      assert.equal((await post(`/v1/keys/${id}/rotations/current/cancel`, {})).body.code, 'NO_ROTATION');
      assert.deepEqual((await history(keyward, id)).map(({ kind }) => kind), ['key.created', 'key.rotation_started', 'key.rotation_completed']);
    });
    const rotate404 = (id) => post(`/v1/keys/${id}/rotations`, {});

    test('13: the old secret is good until the instant that the rotation names, and not at it', async () => {
      const { id, key } = await keyward.create();
      const { rotation, key: next } = await rotate(id, { activate: 'now', grace_seconds: 20 });
      const end = Date.parse(rotation.ends_at);
      await pass(end - now() - 400);
      for (let code = 'VALID'; code === 'VALID'; ) {
        const sent = now();
        code = await keyward.verdict(key);
        if (code === 'VALID') assert.ok(sent < end, 'accepted after its end');
        else assert.deepEqual([code, now() >= end], ['ROTATED_OUT', true]);
      }
      assert.equal((await keyward.authorize(key)).status, 401);
      assert.equal(await keyward.verdict(next), 'VALID');
      const { body } = await keyward.call('GET', `/v1/keys/${id}/rotations/current`);
      assert.equal(body.status, 'completed', 'it ends by itself');
      assert.equal((await history(keyward, id)).at(-1).by, 'keyward');
    });

    test('with first_use the overlap begins when the new secret is seen, whoever sees it', async () => {
      const { id, key } = await keyward.create();
      const { rotation, key: next } = await rotate(id, { grace_seconds: 100 });
      assert.deepEqual([rotation.status, rotation.activate, rotation.ends_at, rotation.secrets.map(({ status }) => status)], ['waiting', 'first_use', null, ['active', 'pending']]);
      await pass(10 * DAY);
      assert.equal(await keyward.verdict(key), 'VALID', 'nothing ends before it began');
      await pass(2 * SECOND);
      assert.equal(await keyward.verdict(next), 'VALID');
      const body = await until(async () => {
        const { body: rotation } = await keyward.call('GET', `/v1/keys/${id}/rotations/current`);
        return rotation.status === 'overlap' && rotation;
      });
      assert.equal(Date.parse(body.ends_at) - Date.parse(body.activated_at), 100_000);
      await pass(101 * SECOND);
      assert.equal(await keyward.verdict(key), 'ROTATED_OUT');
      assert.equal((await history(keyward, id))[2].kind, 'key.rotation_activated');
    });

    test('a rotation is not completed before the new secret was seen, and a quiet time is never shorter than reports take', async () => {
      const { id, key } = await keyward.create({ max_staleness_seconds: 60 });
      const { key: next } = await rotate(id, { activate: 'now', quiet_seconds: 0 });
      const complete = async () => (await post(`/v1/keys/${id}/rotations/current/complete`, {})).body;
      assert.equal((await complete()).code, 'NEW_SECRET_UNUSED');
      assert.equal((await keyward.authorize(next)).status, 200);
      assert.equal((await keyward.authorize(key)).status, 200);
      // From a lease that another call asked for: reported at once, since a rotation is under way.
      await until(async () => (await keyward.call('GET', `/v1/keys/${id}/rotations/current`)).body.secrets[0].calls === 1);
      await pass(5 * SECOND);
      assert.equal((await complete()).code, 'OLD_SECRET_IN_USE', 'edges may still hold later calls');
      await pass(64 * SECOND);
      assert.equal((await complete()).rotation.status, 'completed');
    });

    test('a rotation can be cancelled, which is refused while the new secret is in use', async () => {
      const { id, key } = await keyward.create();
      const { key: next } = await rotate(id, { activate: 'now', grace_seconds: 3600 });
      assert.equal(await keyward.verdict(next), 'VALID');
      assert.deepEqual((await post(`/v1/keys/${id}/rotations/current/cancel`, {})).body.code, 'NEW_SECRET_IN_USE');
      const { status, body } = await post(`/v1/keys/${id}/rotations/current/cancel`, { force: true });
      assert.deepEqual([status, body.rotation.status], [200, 'cancelled']);
      assert.equal(await keyward.verdict(next), 'ROTATED_OUT');
      await pass(2 * 3600 * SECOND);
      assert.equal(await keyward.verdict(key), 'VALID', 'the old secret is as good as ever');
      const { key: third } = await rotate(id, { activate: 'now', grace_seconds: 0 });
      assert.equal(await keyward.verdict(third), 'VALID');
      assert.equal(await keyward.verdict(key), 'ROTATED_OUT', 'without grace, on suspicion');
    });

    test('calls with a new secret that come while an edge asks about it wait for the answer', async () => {
      const { id, key } = await keyward.create({ max_staleness_seconds: 60 });
      await keyward.authorize(key);
      const { key: next } = await rotate(id);
      await pass(1100);
      // Both at once, right after an edge may ask again: the question of one serves the other.
      const codes = await Promise.all([keyward.verdict(next), keyward.verdict(next), keyward.verdict(key)]);
      assert.deepEqual(codes, ['VALID', 'VALID', 'VALID']);
    });

    test('29: what is asked of a rotation has bounds', async () => {
      const { id } = await keyward.create();
      for (const [body, field] of [[{ grace_seconds: -1 }, 'grace_seconds'], [{ grace_seconds: 2_592_001 }, 'grace_seconds'], [{ quiet_seconds: 0.5 }, 'quiet_seconds'], [{ activate: 'later' }, 'activate'], [{ grace: 5 }, 'grace'], [[], undefined]]) {
        const { status, body: problem } = await post(`/v1/keys/${id}/rotations`, body);
        assert.deepEqual([status, problem.field], [400, field]);
      }
      assert.equal((await keyward.call('GET', `/v1/keys/${id}/rotations/current`)).body.code, 'NO_ROTATION');
      await post(`/v1/keys/${id}/revoke`);
      assert.equal((await post(`/v1/keys/${id}/rotations`, {})).body.code, 'KEY_REVOKED');
      assert.equal((await post('/v1/keys/0000000000000000/rotations', {})).status, 404);
    });
  });

  describe('idempotency', () => {
    const once = (name) => ({ headers: { 'idempotency-key': name } });

    test('a creation sent again answers the same object without the secret, and another request under its key is refused', async () => {
      const body = { name: 'once', owner: 'acme' };
      const first = await post('/v1/keys', body, once('order-1'));
      const again = await post('/v1/keys', body, once('order-1'));
      assert.deepEqual([first.status, again.status, again.body.id, again.body.key, again.headers.get('idempotency-replayed')], [201, 201, first.body.id, undefined, 'true']);
      assert.ok(first.body.key && !again.text.includes(first.body.key));
      const other = await post('/v1/keys', { ...body, name: 'twice' }, once('order-1'));
      assert.deepEqual([other.status, other.body.code], [422, 'IDEMPOTENCY_KEY_REUSED']);
      const writer = await keyward.create({ scopes: ['keyward.keys:write'] });
      const stranger = await post('/v1/keys', body, { ...once('order-1'), key: writer.key });
      assert.notEqual(stranger.body.id, first.body.id, 'keys of different callers do not meet');
      assert.equal((await post('/v1/keys', body, once('é'.repeat(3)))).status, 400);
      await pass(DAY + SECOND);
      assert.notEqual((await post('/v1/keys', body, once('order-1'))).body.id, first.body.id, 'a day later it is forgotten');
    });

    test('creations under one key at the same moment make one key', async () => {
      const answers = await Promise.all(Array.from({ length: 12 }, () => post('/v1/keys', { name: 'race', owner: 'acme' }, once('race'))));
      assert.deepEqual([new Set(answers.map(({ body }) => body.id)).size, answers.filter(({ body }) => body.key).length], [1, 1]);
    });

    test('a rotation sent again answers the same rotation without the secret', async () => {
      const { id } = await keyward.create();
      const [first, again] = [await post(`/v1/keys/${id}/rotations`, { grace_seconds: 9 }, once('r')), await post(`/v1/keys/${id}/rotations`, { grace_seconds: 9 }, once('r'))];
      assert.deepEqual([again.status, again.body.rotation.number, again.body.key, again.headers.get('idempotency-replayed')], [201, first.body.rotation.number, undefined, 'true']);
      assert.equal((await post(`/v1/keys/${id}/rotations`, { grace_seconds: 10 }, once('r'))).status, 422);
    });
  });

  describe('reports', () => {
    test('unsafe keys are named with the reason and the request that mends it, and the request does', async () => {
      await setClock(0);
      const environments = await Promise.all(['live', 'test'].map((environment) => keyward.create({ name: 'checkout', owner: 'shop', environment, scopes: ['calls:*', 'billing:read'], expires_at: '2100-01-01T00:00:00Z' })));
      const [live] = environments;
      for (let day = 0; day < 2; day += 1) {
        assert.equal(await keyward.verdict(live.key, { scopes: ['calls:create'] }), 'VALID');
        await pass(20 * DAY);
      }
      await until(async () => (await keyward.call('GET', '/v1/keys?owner=shop')).body.data.some(({ last_used_on }) => last_used_on));
      await pass(100 * DAY);
      const report = async () => {
        const all = new Map();
        for (let cursor = ''; cursor !== undefined; ) {
          const { body } = await keyward.call('GET', `/v1/reports/key-safety?limit=7${cursor && `&cursor=${cursor}`}`);
          for (const row of body.data) all.set(row.key_id, row.findings);
          cursor = body.next_cursor ?? undefined;
        }
        return all;
      };
      const findings = (await report()).get(live.id);
      assert.deepEqual(findings.map(({ code }) => code).sort(), ['OVER_SCOPED', 'ROTATION_OVERDUE', 'SHARED_ACROSS_ENVIRONMENTS', 'UNUSED']);
      assert.deepEqual((await report()).get(environments[1].id).map(({ code }) => code).sort(), ['ROTATION_OVERDUE', 'SAFE_TO_REVOKE', 'SHARED_ACROSS_ENVIRONMENTS']);
      const scoped = findings.find(({ code }) => code === 'OVER_SCOPED');
      assert.deepEqual(scoped.fix.body, { scopes: ['calls:create'] });
      for (const { fix } of findings) assert.ok([200, 201].includes((await keyward.call(fix.method, fix.path, fix.body)).status), JSON.stringify(fix));
      assert.equal((await report()).get(live.id), undefined, 'a disabled key has nothing left to mend');
    });

    test('lists are searched by the beginning of a name, by owner, status and environment, page by page', async () => {
      const made = await Promise.all(Array.from({ length: 9 }, (_, i) => keyward.create({ name: `Find-${i % 3}%_'`, owner: 'finder', environment: i % 2 ? 'test' : 'live' })));
      const ids = async (query, limit = 100) => {
        const found = [];
        for (let cursor = ''; cursor !== undefined; ) {
          const { status, body } = await keyward.call('GET', `/v1/keys?limit=${limit}&${query}${cursor && `&cursor=${cursor}`}`);
          assert.equal(status, 200);
          found.push(...body.data.map(({ id }) => id));
          cursor = body.next_cursor ?? undefined;
        }
        return found;
      };
      for (const limit of [1, 2, 100]) {
        assert.deepEqual((await ids('search=find-1', limit)).sort(), made.filter((_, i) => i % 3 === 1).map(({ id }) => id).sort(), `limit ${limit}`);
        assert.equal(new Set(await ids('owner=finder', limit)).size, 9);
      }
      assert.equal((await ids('owner=finder&environment=test')).length, 4);
      await post(`/v1/keys/${made[0].id}/revoke`);
      assert.deepEqual(await ids('owner=finder&status=revoked'), [made[0].id]);
      assert.deepEqual(await ids('search=%25'), []);
      assert.deepEqual(await ids(`search=${encodeURIComponent("find-1%_'")}&owner=nobody`), []);
      for (const wrong of ['status=expired', 'environment=prod', 'search=', 'owner=a&owner=b', 'name=x']) assert.equal((await keyward.call('GET', `/v1/keys?${wrong}`)).status, 400, wrong);
    });
  });

  describe('import', () => {
    const sha256 = (text) => createHash('sha256').update(text).digest('hex');
    const row = (text, more = {}) => ({ sha256: sha256(text), prefix: `${text.split('_').slice(0, 2).join('_')}_`, name: 'moved', owner: 'acme', scopes: ['calls:create'], ...more });
    const send = async (...rows) => {
      const { status, headers, text } = await post('/v1/keys/import', rows.map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry))).join('\n'));
      assert.deepEqual([status, headers.get('content-type')], [200, 'application/jsonl'], text);
      return text.trim().split('\n').map((line) => JSON.parse(line));
    };

    test('keys of another system verify by their old texts, row by row and resumably, and are rotated to own ones', async () => {
      const texts = ['sk_live_4eC39HqLyjWDarjtT1zdp7dc', 'sk_test_BQokikJOvBiI2HlWgH4olfQ2'];
      const first = await send(row(texts[0]));
      const both = await send('', row(texts[0]), row(texts[1]), '{"sha256"', row('sk_live_x', { scopes: ['keyward.keys:read'] }), row('pk_live_x'), row('sk_live_y', { key: 'sk_live_y' }));
      assert.deepEqual(both.map(({ line, status, field }) => [line, status, field]), [[2, 'exists', undefined], [3, 'created', undefined], [4, 'invalid', ''], [5, 'invalid', 'scopes'], [6, 'invalid', 'prefix'], [7, 'invalid', 'key']]);
      const [{ id }] = first;
      assert.equal(both[0].id, id);
      const { body } = await post('/v1/keys/verify', { key: texts[0], scopes: ['calls:create'] });
      assert.deepEqual([body.code, body.key_id, body.environment], ['VALID', id, 'live']);
      assert.equal((await post('/v1/keys/verify', { key: texts[0] })).body.freshness.mode, 'lease');
      assert.equal((await keyward.authorize(texts[0], '?scope=calls:create')).headers.get('keyward-key-id'), id);
      assert.equal(await keyward.verdict(texts[1], { environment: 'live' }), 'ENVIRONMENT_MISMATCH');
      assert.equal((await history(keyward, id))[0].kind, 'key.imported');
      const { key: own } = await rotate(id, { activate: 'now', grace_seconds: 0 });
      assert.equal(await keyward.verdict(own), 'VALID');
      assert.equal(await keyward.verdict(texts[0]), 'ROTATED_OUT');
      await post(`/v1/keys/${id}/revoke`);
      assert.equal(await keyward.verdict(texts[0]), 'REVOKED');
      assert.ok(!keyward.log.includes(texts[0]));
    });

    test('an import of many lines holds up no other call', async () => {
      const { key } = await keyward.create();
      let over = false;
      const importing = send(...Array.from({ length: 500 }, (_, i) => row(`sk_live_${i}beside`))).finally(() => (over = true));
      let answered = 0;
      for (; !over; answered += 1) assert.equal(await keyward.verdict(key), 'VALID');
      assert.ok((await importing).every(({ status }) => status === 'created'));
      assert.ok(answered >= 100, `${answered} calls were answered meanwhile`);
    });

    test('an import has bounds, and needs the scope of a creation', async () => {
      const many = Array.from({ length: 501 }, (_, i) => row(`sk_live_${i}abc`));
      const refused = await post('/v1/keys/import', many.map((entry) => JSON.stringify(entry)).join('\n'));
      assert.deepEqual([refused.status, /500 lines/.test(refused.body.detail)], [400, true]);
      assert.equal((await post('/v1/keys/import', '')).status, 400);
      const reader = await keyward.create({ scopes: ['keyward.keys:read'] });
      assert.equal((await post('/v1/keys/import', JSON.stringify(row('sk_live_z1')), { key: reader.key })).status, 403);
    });

    test('11: a text that begins like an imported key is refused in a URL', async () => {
      for (const path of ['/v1/authorize?key=sk_live_4eC39HqLyjWDarjtT1', '/v1/keys?search=sk_live_4eC39HqLyjWDarjtT1', '/sk%5flive_4eC39HqLyjWDarjtT1']) {
        assert.deepEqual((await keyward.call('GET', path)).body.code, 'KEY_IN_URL', path);
      }
    });

    test('invented texts with a foreign prefix are looked up within a budget of their network; others never', async () => {
      const codes = [];
      for (let i = 0; i < 70; i += 1) codes.push(await keyward.verdict(`sk_live_invented${i}`, { ip: '203.0.113.7' }));
      assert.deepEqual([codes.filter((code) => code === 'NOT_FOUND').length >= 50, codes.includes('UNAVAILABLE')], [true, true]);
      assert.ok(codes.filter((code) => code === 'NOT_FOUND').length <= 60);
      assert.equal(await keyward.verdict('sk_live_invented0', { ip: '203.0.113.7' }), 'NOT_FOUND', 'what is known to be absent costs nothing');
      await send(row('sk_live_known'));
      assert.equal(await keyward.verdict('sk_live_known', { ip: '198.51.100.8' }), 'VALID');
      await pass(10 * SECOND);
      for (let i = 0; i < 70; i += 1) await keyward.verdict(`sk_live_again${i}`, { ip: '203.0.113.7' });
      assert.equal(await keyward.verdict('sk_live_known', { ip: '203.0.113.7' }), 'VALID', 'what was found once is not held up by what others invent');
      assert.equal(await keyward.verdict('sk_live_invented99', { ip: '198.51.100.7' }), 'NOT_FOUND');
      assert.equal(await keyward.verdict('rk_live_invented'), 'MALFORMED');
      assert.equal((await keyward.authorize('sk_live_invented98')).status, 401);
    });
  });
});

describe('the log', () => {
  let keyward;
  afterEach(() => keyward.stop());

  /** A deployment with some history, stopped; answers the log's database and a head from a receipt. */
  const written = async () => {
    keyward = await Deployment.start();
    const { id } = await keyward.create();
    await keyward.call('PATCH', `/v1/keys/${id}`, { name: 'renamed' });
    await keyward.call('POST', `/v1/keys/${id}/disable`);
    const { body: receipt } = await keyward.call('POST', `/v1/keys/${id}/revoke`, { reason: 'leaked' });
    await keyward.create();
    const { body } = await keyward.call('GET', '/v1/audit/verify');
    assert.deepEqual([body.whole, body.problem, body.rows >= 6], [true, null, true]);
    await keyward.kill('SIGTERM');
    return { file: databases(keyward.state, 'keyward-project')[0], head: receipt.log_head };
  };
  const check = async (head) => {
    await keyward.run();
    const { status, body } = await keyward.call('GET', `/v1/audit/verify${head ? `?head=${head}` : ''}`);
    assert.equal(status, 200);
    return [body.whole, body.problem?.what, body.problem?.position];
  };

  test('says who did what from where, and what was before and after', async () => {
    keyward = await Deployment.start();
    const { id } = await keyward.create();
    const { headers } = await keyward.call('PATCH', `/v1/keys/${id}`, { scopes: ['calls:read'], name: 'b' });
    const entries = await history(keyward, id);
    assert.deepEqual(entries[1].changes, { name: { before: 'server-prod', after: 'b' }, scopes: { before: ['calls:create'], after: ['calls:read'] } });
    assert.deepEqual([entries[1].by, entries[1].request_id, entries[1].address], [core.parseKey(keyward.adminKey).id, headers.get('keyward-request-id'), '127.0.0.1']);
    assert.ok(!JSON.stringify(entries).includes('hmac'));
  });

  test('is whole as it was written, and holds the head of a receipt', async () => {
    const { head } = await written();
    assert.deepEqual(await check(head), [true, undefined, undefined]);
    const { status } = await keyward.call('GET', '/v1/audit/verify?head=7-xyz');
    assert.equal(status, 400);
  });

  for (const [what, sql, found] of [
    ['altered', "UPDATE chain SET entry = replace(entry, 'leaked', 'a whim') WHERE entry LIKE '%leaked%'", 'ALTERED'],
    ['removed', 'DELETE FROM chain WHERE position = 3', 'GAP'],
    ['reordered', 'UPDATE chain SET position = CASE position WHEN 2 THEN -3 ELSE -2 END WHERE position IN (2, 3)', 'GAP'],
    ['given another hash', "UPDATE chain SET hash = '" + '00'.repeat(32) + "' WHERE position = 2", 'ALTERED'],
    ['signed by nobody', "UPDATE chain SET mac = '" + '00'.repeat(32) + "' WHERE position = 2", 'FORGED'],
  ]) {
    test(`shows that a row was ${what}`, async () => {
      const { file } = await written();
      sqlite(file, sql);
      if (what === 'reordered') sqlite(file, 'UPDATE chain SET position = -position WHERE position < 0');
      const [whole, problem] = await check();
      assert.deepEqual([whole, [found, 'ALTERED'].includes(problem)], [false, true], problem);
    });
  }

  test('shows that its end was cut to whoever kept a receipt', async () => {
    const { file, head } = await written();
    sqlite(file, 'DELETE FROM chain WHERE position >= ?', Number(head.split('-')[0]));
    assert.deepEqual((await check(head)).slice(0, 2), [false, 'CUT']);
  });

  test('is exported as JSON lines that chain by themselves', async () => {
    await written();
    await keyward.run();
    const lines = [];
    let next = '/v1/audit/export?limit=2';
    while (next) {
      const { status, headers, text } = await keyward.call('GET', next);
      assert.deepEqual([status, headers.get('content-type')], [200, 'application/jsonl']);
      lines.push(...text.trim().split('\n').filter(Boolean));
      next = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
      if (!next) assert.equal(headers.get('keyward-log-head'), `${JSON.parse(lines.at(-1)).position}-${JSON.parse(lines.at(-1)).hash}`);
    }
    let before = Buffer.alloc(32);
    lines.forEach((line, i) => {
      const { position, hash, root: name } = JSON.parse(line);
      assert.equal(position, i + 1);
      const entry = Buffer.from(line.slice(line.indexOf('"entry":') + 8, line.lastIndexOf(',"hash"')));
      const long = (number) => Buffer.from(BigInt(number).toString(16).padStart(16, '0'), 'hex');
      const computed = createHash('sha256').update(Buffer.concat([Buffer.from('keyward/log/v1'), long(position), before, Buffer.from(name), long(entry.length), entry])).digest();
      assert.equal(computed.toString('hex'), hash, `row ${position}`);
      before = computed;
    });
    assert.ok(lines.length >= 6);
  });
});

describe('a new root secret', () => {
  test('takes over: every key verifies, is digested anew as it is used, and the report says when the old one can go', async () => {
    const keyward = await Deployment.start();
    try {
      const [used, unused] = [await keyward.create({ name: 'used' }), await keyward.create({ name: 'unused' })];
      await keyward.create({ name: 'spare manager', scopes: ['keyward.*:*'] });
      const old = keyward.env.KEYWARD_ROOT_SECRET;
      Object.assign(keyward.env, { KEYWARD_ROOT_SECRET: '5a'.repeat(32), KEYWARD_RETIRED_ROOT_SECRETS: old });
      await keyward.restart();
      const report = async () => (await keyward.call('GET', '/v1/reports/root-secrets')).body;
      assert.equal(await keyward.verdict(used.key), 'VALID');
      const counted = await until(async () => {
        const body = await report();
        return body.current.keys === 2 && body;
      });
      assert.deepEqual([counted.retired[0].keys, counted.retired[0].can_go, counted.missing], [2, false, []], 'the used key and the admin key were taken over');
      assert.equal((await keyward.call('GET', '/v1/audit/verify')).body.whole, true, 'the log chains on under the new one');
      assert.equal(await keyward.verdict(unused.key), 'VALID');
      const { body: list } = await keyward.call('GET', '/v1/keys');
      await keyward.call('POST', `/v1/keys/${list.data.find(({ name }) => name === 'spare manager').id}/revoke`);
      await until(async () => (await report()).retired[0].can_go);
      delete keyward.env.KEYWARD_RETIRED_ROOT_SECRETS;
      await keyward.restart();
      for (const { key } of [used, unused]) assert.equal(await keyward.verdict(key), 'VALID');
      assert.equal((await keyward.call('GET', '/v1/audit/verify')).body.whole, true, 'without the old one');
    } finally {
      await keyward.stop();
    }
  });
});

describe('storage', () => {
  test('a restore of a key to an earlier time does not bring it back: the log is asked when it starts', async () => {
    const keyward = await Deployment.start();
    const kept = join(keyward.state, 'kept');
    try {
      const { id, key } = await keyward.create();
      await keyward.kill('SIGTERM');
      cpSync(join(keyward.state, 'objects', 'keyward-keys'), kept, { recursive: true });
      await keyward.run();
      assert.equal((await keyward.call('POST', `/v1/keys/${id}/revoke`, { reason: 'leaked' })).status, 200);
      await keyward.kill('SIGTERM');
      rmSync(join(keyward.state, 'objects', 'keyward-keys'), { recursive: true });
      cpSync(kept, join(keyward.state, 'objects', 'keyward-keys'), { recursive: true });
      await keyward.run();
      assert.equal(await keyward.verdict(key), 'REVOKED');
      const { body } = await keyward.call('GET', `/v1/keys/${id}`);
      assert.deepEqual([body.status, body.revoke_reason], ['revoked', 'leaked']);
      assert.equal((await history(keyward, id)).at(-1).kind, 'key.restored');
    } finally {
      await keyward.stop();
    }
  });

  test('11: what version 0.1 wrote is read: keys verify, the index is whole, the log is chained', async () => {
    const keyward = await Deployment.start();
    try {
      await keyward.kill('SIGTERM');
      rmSync(join(keyward.state, 'objects'), { recursive: true });
      execFileSync('tar', ['xzf', join(root, 'tests', 'worker', 'fixtures', '0.1.tar.gz'), '-C', keyward.state]);
      const { env, admin, active, disabled, revoked } = JSON.parse(readFileSync(join(keyward.state, 'keys.json'), 'utf8'));
      Object.assign(keyward, { env, adminKey: admin });
      await keyward.run();
      assert.deepEqual([await keyward.verdict(active.key), await keyward.verdict(disabled.key), await keyward.verdict(revoked.key)], ['VALID', 'DISABLED', 'REVOKED']);
      const { body: list } = await keyward.call('GET', '/v1/keys');
      assert.deepEqual(list.data.map(({ name, status }) => [name, status]), [['revoked', 'revoked'], ['disabled', 'disabled'], ['active', 'active'], ['first management key', 'active']]);
      assert.deepEqual((await history(keyward, revoked.id)).map(({ kind }) => kind), ['key.created', 'key.revoked']);
      assert.deepEqual((await keyward.call('GET', '/v1/audit/verify')).body.whole, true);
      assert.equal((await keyward.call('PATCH', `/v1/keys/${active.id}`, { name: 'renamed' })).status, 200);
      assert.equal((await keyward.call('GET', '/v1/reports/root-secrets')).body.unknown_keys > 0, true, 'which root secret they need is not known before they are used');
      await keyward.restart();
      assert.equal(await keyward.verdict(active.key), 'VALID');
    } finally {
      await keyward.stop();
    }
  });
});
