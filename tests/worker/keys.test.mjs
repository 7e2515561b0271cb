// A key is issued, verified at the edge and revoked; who manages; what survives a restart.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Deployment, core, forge, mistyped, watched } from './harness.mjs';

describe('keys', () => {
  let keyward;
  before(async () => (keyward = await Deployment.start({ wrappers: watched })));
  after(() => keyward.stop());

  test('a created key is VALID, its typo MALFORMED, its invented twin NOT_FOUND, and after revocation it is REVOKED', async () => {
    const { key, id } = await keyward.create();
    assert.equal(await keyward.verdict(key, { scopes: ['calls:create'] }), 'VALID');
    assert.equal(await keyward.verdict(mistyped(key)), 'MALFORMED');
    assert.equal(await keyward.verdict(core.generateKey({ brand: 'psk' })), 'NOT_FOUND');
    assert.equal(await keyward.verdict(forge({ id })), 'NOT_FOUND');
    const { status, body } = await keyward.call('POST', `/v1/keys/${id}/revoke`, { reason: 'leaked' });
    assert.equal(status, 200);
    assert.equal(Date.parse(body.effective_by) - Date.parse(body.revoked_at), 5000);
    assert.deepEqual([body.status, body.confirmed], ['revoked', false]);
    assert.equal(await keyward.verdict(key), 'REVOKED');
  });

  test('a verdict tells what the record says, how fresh that is, and nothing of the digest', async () => {
    const { key, id } = await keyward.create({ name: 'n"\\', owner: 'Müller & Söhne', metadata: { team: 'α', __proto__: 1 }, expires_at: '2100-01-01T00:00:00Z' });
    const question = { key, scopes: ['calls:create'] };
    const cold = (await keyward.call('POST', '/v1/keys/verify', question)).body;
    const { body: hot, text } = await keyward.call('POST', '/v1/keys/verify', question);
    assert.deepEqual([cold.freshness.mode, hot.freshness.mode], ['authority', 'lease']);
    assert.ok(hot.freshness.lease_remaining_ms > 0 && hot.freshness.lease_remaining_ms <= 4950);
    assert.equal(hot.freshness.max_staleness_seconds, 5);
    assert.deepEqual(
      [hot.valid, hot.key_id, hot.name, hot.owner, hot.environment, hot.scopes, hot.expires_at, hot.metadata],
      [true, id, 'n"\\', 'Müller & Söhne', 'live', ['calls:create'], '2100-01-01T00:00:00.000Z', { team: 'α' }],
    );
    assert.ok(!text.includes('hmac'));
  });

  test('the checks come in their order and each has its code', async () => {
    const { key, id } = await keyward.create({
      environment: 'test', allowed_ips: ['192.0.2.0/24'], denied_ips: ['192.0.2.9'], allowed_countries: ['DE'], allowed_origins: ['https://shop.example'],
    });
    const good = { environment: 'test', ip: '192.0.2.8', country: 'DE', origin: 'https://shop.example', scopes: ['calls:create'] };
    for (const [change, code] of [
      [{}, 'VALID'],
      [{ scopes: ['calls:create', 'calls:read'] }, 'INSUFFICIENT_SCOPE'],
      [{ scopes: ['calls:read'], origin: 'https://evil.example' }, 'ORIGIN_NOT_ALLOWED'],
      [{ origin: null }, 'ORIGIN_NOT_ALLOWED'],
      [{ origin: null, country: 'FR' }, 'COUNTRY_NOT_ALLOWED'],
      [{ country: null }, 'COUNTRY_NOT_ALLOWED'],
      [{ country: 'FR', ip: '192.0.2.9' }, 'IP_NOT_ALLOWED'],
      [{ ip: null }, 'IP_NOT_ALLOWED'],
      [{ ip: '203.0.113.1' }, 'IP_NOT_ALLOWED'],
      [{ ip: null, environment: 'live' }, 'ENVIRONMENT_MISMATCH'],
    ]) {
      assert.equal(await keyward.verdict(key, { ...good, ...change }), code, JSON.stringify(change));
    }
    await keyward.call('POST', `/v1/keys/${id}/disable`);
    assert.equal(await keyward.verdict(key, { ...good, ip: null }), 'DISABLED');
    await keyward.call('POST', `/v1/keys/${id}/enable`);
    assert.equal(await keyward.verdict(key, good), 'VALID');
    const later = await keyward.create({ not_before: '2100-01-01T00:00:00Z' });
    assert.equal(await keyward.verdict(later.key), 'NOT_YET_VALID');
  });

  test('revocation is final and repeatable; disabling and enabling are repeatable', async () => {
    const { id } = await keyward.create();
    const post = (change, body) => keyward.call('POST', `/v1/keys/${id}/${change}`, body);
    assert.equal((await post('enable')).body.version, 1);
    assert.equal((await post('disable')).body.version, 2);
    assert.equal((await post('disable')).body.version, 2);
    const first = (await post('revoke', { reason: 'first' })).body;
    assert.deepEqual((await post('revoke', { reason: 'second' })).body.revoked_at, first.revoked_at);
    for (const change of ['enable', 'disable']) {
      const { status, body } = await post(change);
      assert.deepEqual([status, body.code], [409, 'KEY_REVOKED']);
    }
    const { body } = await keyward.call('GET', `/v1/keys/${id}`);
    assert.deepEqual([body.status, body.revoke_reason], ['revoked', 'first']);
  });

  test('the list is whole, newest first, whatever the page size', async () => {
    const made = [];
    for (let i = 0; i < 7; i += 1) made.unshift((await keyward.create({ name: `key ${i}` })).id);
    for (const limit of [1, 3, 100]) {
      const seen = [];
      let cursor = '';
      do {
        const { status, body } = await keyward.call('GET', `/v1/keys?limit=${limit}${cursor && `&cursor=${cursor}`}`);
        assert.equal(status, 200);
        assert.ok(body.data.length <= limit);
        seen.push(...body.data.map(({ id }) => id));
        cursor = body.next_cursor;
      } while (cursor);
      assert.equal(new Set(seen).size, seen.length);
      assert.deepEqual(seen.slice(0, 7), made);
    }
  });

  test('every change stands in the log once, by whom and under which request', async () => {
    const { id } = await keyward.create();
    const { headers } = await keyward.call('POST', `/v1/keys/${id}/disable`);
    await keyward.call('POST', `/v1/keys/${id}/revoke`, { reason: 'leaked' });
    const { body } = await keyward.call('GET', '/v1/audit?limit=100');
    const entries = body.data.filter(({ key_id }) => key_id === id).reverse();
    assert.deepEqual(entries.map(({ kind, version }) => [kind, version]), [['key.created', 1], ['key.disabled', 2], ['key.revoked', 3]]);
    assert.equal(entries[1].request_id, headers.get('keyward-request-id'));
    assert.equal(entries[2].reason, 'leaked');
    assert.ok(entries.every(({ by }) => by === core.parseKey(keyward.adminKey).id));
  });

  test('a proxy learns from /v1/authorize whose key it is, with any method', async () => {
    const { key, id } = await keyward.create({ owner: 'Müller', scopes: ['calls:create', 'calls:read'] });
    for (const method of ['GET', 'POST', 'PROPFIND', 'OPTIONS']) {
      const { status, headers } = await keyward.call(method, '/v1/authorize?scope=calls:create&scope=calls:read&environment=live', undefined, { key });
      assert.equal(status, 200, method);
      assert.deepEqual(
        ['keyward-key-id', 'keyward-owner', 'keyward-scopes', 'keyward-status', 'cache-control'].map((name) => headers.get(name)),
        [id, 'M%C3%BCller', 'calls:create calls:read', '200', 'no-store'],
      );
    }
    const denied = await keyward.authorize(key, '?scope=billing:read');
    assert.deepEqual([denied.status, denied.headers.get('keyward-status'), denied.body.code], [403, '403', 'INSUFFICIENT_SCOPE']);
    assert.match(denied.headers.get('www-authenticate'), /error="insufficient_scope", scope="billing:read"/);
  });

  test('the peer address decides, and headers that claim another do not', async () => {
    const local = await keyward.create({ allowed_ips: ['127.0.0.0/8', '::1'] });
    const remote = await keyward.create({ allowed_ips: ['203.0.113.0/24'] });
    const headers = { 'cf-connecting-ip': '203.0.113.7', 'x-forwarded-for': '203.0.113.7', 'x-real-ip': '203.0.113.7', forwarded: 'for=203.0.113.7' };
    assert.equal((await keyward.authorize(local.key, '', { headers })).status, 200);
    const { status, body } = await keyward.authorize(remote.key, '', { headers });
    assert.deepEqual([status, body.code], [403, 'IP_NOT_ALLOWED']);
  });

  test('storage calls: hot key none, invented key none, cold key one', async () => {
    const calls = async () => (await keyward.call('GET', '/watched')).body.calls;
    const spent = async (work) => {
      const start = await calls();
      await work();
      const end = await calls();
      return [end.key - start.key, end.project - start.project];
    };
    const { key } = await keyward.create({ max_staleness_seconds: 60 });
    await keyward.call('GET', '/v1/keys'); // the management key's own lease
    assert.deepEqual(await spent(() => keyward.authorize(key)), [1, 0], 'cold');
    assert.deepEqual(await spent(async () => { for (let i = 0; i < 100; i += 1) await keyward.authorize(key); }), [0, 0], 'hot');
    const invent = async () => {
      for (let i = 0; i < 200; i += 1) {
        const { status } = await keyward.authorize(core.generateKey({ brand: 'psk' }));
        assert.equal(status, 401);
      }
    };
    assert.deepEqual(await spent(invent), [0, 0], 'invented');
    // 34: a real id and invented secrets: one question a second, in whatever number they come.
    const { id } = core.parseKey(key);
    const start = Date.now();
    const [asked] = await spent(async () => {
      for (let i = 0; i < 300; i += 10) {
        await Promise.all(Array.from({ length: 10 }, async (_, j) => {
          const { status } = await keyward.authorize(forge({ id, secret: String(i + j).padStart(27, '0') }));
          assert.equal(status, 401);
        }));
      }
    });
    assert.ok(asked <= 1 + (Date.now() - start) / 1000, `${asked} questions in ${Date.now() - start} ms`);
    assert.equal((await keyward.authorize(key)).status, 200);
  });

  test('an id in a problem document, in its header and in the log is the same', async () => {
    const { key, id } = await keyward.create();
    await keyward.call('POST', `/v1/keys/${id}/disable`);
    const { headers, body } = await keyward.authorize(key);
    assert.equal(body.request_id, headers.get('keyward-request-id'));
    while (!keyward.log.includes(body.request_id)) await new Promise(setImmediate);
  });

  test('answers of the API are marked: request ids differ, nothing is stored', async () => {
    const seen = new Set();
    for (const [method, path] of [['GET', '/healthz'], ['GET', '/v1/keys'], ['GET', '/v1/nothing'], ['PUT', '/v1/keys'], ['GET', '/v1/authorize']]) {
      const { headers } = await keyward.call(method, path);
      assert.equal(headers.get('cache-control'), 'no-store', path);
      assert.match(headers.get('keyward-request-id'), /^req_[0-9a-z]{18}$/);
      seen.add(headers.get('keyward-request-id'));
    }
    assert.equal(seen.size, 5);
  });
});

describe('a deployment', () => {
  test('without a root secret answers 503 and says how to set one', async () => {
    const keyward = await Deployment.start({ env: { KEYWARD_ROOT_SECRET: undefined } });
    try {
      for (const path of ['/healthz', '/v1/keys', '/v1/authorize']) {
        const { status, body } = await keyward.call('GET', path);
        assert.deepEqual([status, body.code], [503, 'NOT_CONFIGURED']);
        assert.match(body.detail, /KEYWARD_ROOT_SECRET.*openssl rand -hex 32/);
        assert.match(body.request_id, /^req_[0-9a-z]{18}$/);
      }
    } finally {
      await keyward.stop();
    }
  });

  test('never repeats a secret that is malformed', async () => {
    const keyward = await Deployment.start({ env: { KEYWARD_ROOT_SECRET: 'correct-horse-battery-staple' } });
    try {
      const { status, text } = await keyward.call('GET', '/healthz');
      assert.equal(status, 503);
      assert.ok(!(text + keyward.log).includes('correct-horse'));
    } finally {
      await keyward.stop();
    }
  });

  test('has no default credential', async () => {
    const keyward = await Deployment.start({ env: { KEYWARD_FIRST_KEY: undefined } });
    try {
      assert.equal((await keyward.call('GET', '/v1/keys')).status, 401);
    } finally {
      await keyward.stop();
    }
  });

  test('keeps its keys over a restart, and a revoked first key stays revoked although it is still configured', async () => {
    const keyward = await Deployment.start();
    try {
      const { key, id } = await keyward.create();
      const second = await keyward.create({ name: 'second manager', scopes: ['keyward.*:*'] });
      await keyward.restart();
      assert.equal(await keyward.verdict(key), 'VALID');
      const first = core.parseKey(keyward.adminKey).id;
      assert.equal((await keyward.call('POST', `/v1/keys/${first}/revoke`, {}, { key: second.key })).status, 200);
      await keyward.restart();
      assert.equal((await keyward.call('GET', '/v1/keys')).status, 401);
      const { body } = await keyward.call('GET', '/v1/keys', undefined, { key: second.key });
      assert.deepEqual(body.data.map((entry) => [entry.id, entry.status]), [[second.id, 'active'], [id, 'active'], [first, 'revoked']]);
    } finally {
      await keyward.stop();
    }
  });

  test('ignores another first key once a management key was stored', async () => {
    const keyward = await Deployment.start();
    try {
      await keyward.create();
      // The same root secret, so that the digest of the other first key is one that this deployment would accept.
      const { id, environment } = core.parseKey(keyward.adminKey);
      const stranger = core.generateKey({ brand: 'psk', environment, tagKey: keyward.env.KEYWARD_TAG_KEY });
      const stored = JSON.parse(keyward.env.KEYWARD_FIRST_KEY);
      stored.record.id = core.parseKey(stranger).id;
      stored.secrets = [new core.Verifier({ brand: 'psk', rootSecret: keyward.env.KEYWARD_ROOT_SECRET }).digest(stranger)];
      keyward.env.KEYWARD_FIRST_KEY = JSON.stringify(stored);
      await keyward.restart();
      assert.equal((await keyward.call('GET', '/v1/keys', undefined, { key: stranger })).status, 401);
      const { body } = await keyward.call('GET', '/v1/keys');
      assert.ok(body.data.some((entry) => entry.id === id));
    } finally {
      await keyward.stop();
    }
  });

  test('verifies under a retired root secret and tag key what was issued under them', async () => {
    const keyward = await Deployment.start();
    try {
      const { key } = await keyward.create();
      keyward.env.KEYWARD_RETIRED_ROOT_SECRETS = keyward.env.KEYWARD_ROOT_SECRET;
      keyward.env.KEYWARD_RETIRED_TAG_KEYS = keyward.env.KEYWARD_TAG_KEY;
      keyward.env.KEYWARD_ROOT_SECRET = '5a'.repeat(32);
      keyward.env.KEYWARD_TAG_KEY = 'a5'.repeat(32);
      await keyward.restart();
      assert.equal(await keyward.verdict(key), 'VALID');
      assert.equal(await keyward.verdict((await keyward.create()).key), 'VALID');
    } finally {
      await keyward.stop();
    }
  });
});
