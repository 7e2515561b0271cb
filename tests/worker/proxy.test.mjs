// A proxy that says where its caller is, and everybody who would like to be one. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../.ci/setup.mjs';
import { Deployment, core, mistyped } from './harness.mjs';

const platform = join(root, 'tests', 'worker', 'platform.js');
/** A proxy's scope. */
const scopes = ['keyward.authorize:proxy'];
/** Addresses that the keys below allow, and one that they do not. */
const HERE = '203.0.113.7';
const HERE6 = '2001:db8:1::7';
const ELSEWHERE = '198.51.100.9';

describe('a trusted proxy', () => {
  let keyward;
  let proxy;
  let restricted;
  before(async () => {
    keyward = await Deployment.start();
    proxy = await keyward.create({ name: 'nginx', scopes });
    restricted = await keyward.create({ allowed_ips: ['203.0.113.0/24', '2001:db8:1::/48'], denied_ips: ['203.0.113.66'] });
  });
  after(() => keyward.stop());

  /** A call of `key` as a proxy forwards it; `by` is the proxy's key. */
  const through = (by, forwarded, { key = restricted.key, query = '', headers = {} } = {}) =>
    keyward.authorize(key, query, { headers: { ...(by === undefined ? {} : { 'keyward-proxy': by }), ...(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }), ...headers } });
  const brief = ({ status, body, headers }) => {
    assert.equal(headers.get('keyward-status'), String(status));
    return body ? [status, body.code] : status;
  };

  test('23: X-Forwarded-For without a proxy\'s key counts for nothing', async () => {
    const local = await keyward.create({ allowed_ips: ['127.0.0.0/8', '::1'] });
    const denied = await keyward.create({ denied_ips: [HERE] });
    for (const forwarded of [HERE, `${HERE}, ${HERE}`, HERE6, 'nonsense', '']) {
      assert.deepEqual(brief(await through(undefined, forwarded)), [403, 'IP_NOT_ALLOWED'], forwarded);
      assert.equal(brief(await through(undefined, forwarded, { key: local.key })), 200, forwarded);
      assert.equal(brief(await through(undefined, forwarded, { key: denied.key })), 200, forwarded);
    }
  });

  test('23: through a proxy the caller is where the proxy says, and not where the proxy is', async () => {
    const local = await keyward.create({ allowed_ips: ['127.0.0.0/8', '::1'] });
    for (const forwarded of [HERE, HERE6, ` ${HERE} `, `${HERE}:4711`, `[${HERE6}]:4711`, `::ffff:${HERE}`]) {
      assert.equal(brief(await through(proxy.key, forwarded)), 200, forwarded);
      assert.deepEqual(brief(await through(proxy.key, forwarded, { key: local.key })), [403, 'IP_NOT_ALLOWED'], forwarded);
    }
    for (const forwarded of [ELSEWHERE, '2001:db8:2::7', '203.0.113.66', '127.0.0.1']) {
      assert.deepEqual(brief(await through(proxy.key, forwarded)), [403, 'IP_NOT_ALLOWED'], forwarded);
    }
  });

  test('23: of several addresses only the last counts, which the proxy has added', async () => {
    for (const before of [ELSEWHERE, `${ELSEWHERE}, ${ELSEWHERE}`, 'nonsense', '', ',,', '203.0.113.66']) {
      assert.equal(brief(await through(proxy.key, `${before}, ${HERE}`)), 200, before);
      assert.deepEqual(brief(await through(proxy.key, `${HERE}${before && `, ${before}`},${ELSEWHERE}`)), [403, 'IP_NOT_ALLOWED'], before);
    }
    // In headers of their own.
    const lines = (...values) => keyward.raw([
      'GET /v1/authorize HTTP/1.1', 'Host: x', 'Connection: close', `Authorization: Bearer ${restricted.key}`, `Keyward-Proxy: ${proxy.key}`,
      ...values.map((value) => `X-Forwarded-For: ${value}`), '', '',
    ].join('\r\n'));
    assert.match(await lines(ELSEWHERE, HERE), /^HTTP\/1.1 200 /);
    assert.match(await lines(HERE, ELSEWHERE), /^HTTP\/1.1 403 /);
  });

  test('a forwarded value that is no address is 400, whether the key restricts addresses or not', async () => {
    const open = await keyward.create();
    for (const key of [open.key, restricted.key]) {
      for (const forwarded of [undefined, '', 'unknown', '_hidden', 'localhost', '203.0.113', '203.0.113.07', 'fe80::1%eth0', 'unix:', `${HERE},`, `${HERE}, unknown`, `${HERE} ${HERE}`]) {
        const answer = await through(proxy.key, forwarded, { key });
        assert.deepEqual(brief(answer), [400, 'INVALID_REQUEST'], forwarded);
        assert.match(answer.body.detail, /X-Forwarded-For/);
      }
    }
  });

  test('a proxy\'s key that is not accepted is 401 and said to be the proxy\'s, whoever calls', async () => {
    const [revoked, disabled] = await Promise.all([keyward.create({ scopes }), keyward.create({ scopes })]);
    await keyward.call('POST', `/v1/keys/${revoked.id}/revoke`);
    await keyward.call('POST', `/v1/keys/${disabled.id}/disable`);
    const open = await keyward.create();
    const refused = {
      revoked: revoked.key,
      disabled: disabled.key,
      mistyped: mistyped(proxy.key),
      invented: core.generateKey({ brand: 'psk' }),
      unknown: core.generateKey({ brand: 'psk', tagKey: keyward.env.KEYWARD_TAG_KEY }),
      empty: '',
      'as a bearer': `Bearer ${proxy.key}`,
      twice: `${proxy.key}, ${proxy.key}`,
    };
    for (const [what, by] of Object.entries(refused)) {
      for (const key of [restricted.key, open.key, mistyped(open.key), null]) {
        const answer = await through(by, HERE, { key });
        assert.deepEqual(brief(answer), [401, 'PROXY_NOT_ACCEPTED'], what);
        assert.match(answer.body.detail, /Keyward-Proxy/);
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer realm="keyward proxy"');
      }
    }
    // The owner finds why, and never the key.
    const { body } = await through(revoked.key, HERE);
    while (!keyward.log.includes(body.request_id)) await new Promise(setImmediate);
    const line = JSON.parse(keyward.log.split('\n').find((text) => text.includes(body.request_id)));
    assert.deepEqual([line.code, line.key], ['REVOKED', `psk_live_${revoked.id}_…`]);
    assert.ok(!keyward.log.includes(revoked.key));
  });

  test('a key without the proxy\'s scope is 403, the caller\'s own and one that may do anything else included', async () => {
    const wide = await keyward.create({ scopes: ['*:*', 'keyward.keys:*'] });
    for (const by of [wide.key, restricted.key]) {
      const { status, body } = await through(by, HERE);
      assert.deepEqual([status, body.code], [403, 'PROXY_NOT_ACCEPTED']);
    }
    const { body, headers } = await through(wide.key, HERE);
    assert.match(body.detail, /Keyward-Proxy.* keyward\.authorize:proxy/);
    assert.equal(headers.get('keyward-status'), '403');
    const all = await keyward.create({ scopes: ['keyward.*:*'] });
    assert.equal(brief(await through(all.key, HERE)), 200);
  });

  test('23: a proxy\'s key that is restricted itself is judged by where the proxy is, not by what it says', async () => {
    const here = await keyward.create({ scopes, allowed_ips: ['127.0.0.0/8', '::1'] });
    const there = await keyward.create({ scopes, allowed_ips: ['203.0.113.0/24'] });
    assert.equal(brief(await through(here.key, HERE)), 200);
    const { status, body } = await through(there.key, HERE);
    assert.deepEqual([status, body.code], [403, 'PROXY_NOT_ACCEPTED']);
    assert.match(body.detail, /address/);
  });

  test('through a proxy everything else of the caller counts as it did', async () => {
    const shop = await keyward.create({ owner: 'Müller', allowed_origins: ['https://shop.example'], scopes: ['calls:create', 'calls:read'] });
    const ask = (query, headers) => through(proxy.key, HERE, { key: shop.key, query, headers });
    const origin = 'https://shop.example';
    const { status, headers } = await ask('?scope=calls:create&scope=calls:read&environment=live', { origin });
    assert.equal(status, 200);
    assert.deepEqual(
      ['keyward-key-id', 'keyward-owner', 'keyward-scopes', 'keyward-status', 'cache-control'].map((name) => headers.get(name)),
      [shop.id, 'M%C3%BCller', 'calls:create calls:read', '200', 'no-store'],
    );
    assert.deepEqual(brief(await ask('', {})), [403, 'ORIGIN_NOT_ALLOWED']);
    assert.deepEqual(brief(await ask('?scope=billing:read', { origin })), [403, 'INSUFFICIENT_SCOPE']);
    assert.deepEqual(brief(await ask('?environment=test', { origin })), [401, 'UNAUTHORIZED']);
    assert.deepEqual(brief(await ask('?environment=prod', { origin })), [400, 'INVALID_REQUEST']);
    assert.deepEqual(brief(await ask(`?scope=${proxy.key}`, { origin })), [400, 'KEY_IN_URL']);
    assert.deepEqual(brief(await through(proxy.key, HERE, { key: null })), [401, 'UNAUTHORIZED']);
    assert.deepEqual(brief(await through(proxy.key, HERE, { key: `${shop.key}, ${shop.key}` })), [400, 'SEVERAL_CREDENTIALS']);
    await keyward.call('POST', `/v1/keys/${shop.id}/rotations`, { activate: 'now', grace_seconds: 60 });
    assert.match((await ask('', { origin })).headers.get('keyward-warning'), /was replaced/);
  });

  test('23: a strict key, which its authority judges, is judged by the forwarded address, too', async () => {
    const { key } = await keyward.create({ allowed_ips: ['203.0.113.0/24'], max_staleness_seconds: 0 });
    for (let i = 0; i < 2; i += 1) {
      assert.equal(brief(await through(proxy.key, `${ELSEWHERE}, ${HERE}`, { key })), 200);
      assert.deepEqual(brief(await through(proxy.key, `${HERE}, ${ELSEWHERE}`, { key })), [403, 'IP_NOT_ALLOWED']);
      assert.deepEqual(brief(await through(undefined, HERE, { key })), [403, 'IP_NOT_ALLOWED']);
    }
  });

  test('23: in the evidence of a rotation stand the callers\' networks, not the proxy\'s', async () => {
    const { key, id } = await keyward.create({ max_staleness_seconds: 1 });
    await keyward.call('POST', `/v1/keys/${id}/rotations`, { activate: 'now', grace_seconds: 60 });
    assert.equal(brief(await through(proxy.key, HERE, { key })), 200);
    for (const end = Date.now() + 20_000; ; ) {
      const { text } = await keyward.call('GET', `/v1/keys/${id}/rotations/current`);
      if (text.includes('203.0.113.')) {
        assert.ok(!text.includes('127.0.0.'), text);
        break;
      }
      assert.ok(Date.now() < end, text);
    }
  });

  test('a revoked proxy\'s key is believed no more after its receipt', async () => {
    const { key, id } = await keyward.create({ scopes });
    assert.equal(brief(await through(key, HERE)), 200);
    const { body } = await keyward.call('POST', `/v1/keys/${id}/revoke`, { wait: true });
    assert.equal(body.confirmed, true);
    assert.deepEqual(brief(await through(key, HERE)), [401, 'PROXY_NOT_ACCEPTED']);
  });

  test('only /v1/authorize takes a proxy\'s word', async () => {
    const { key } = await keyward.create({ scopes: ['keyward.keys:read'], allowed_ips: ['203.0.113.0/24'] });
    const headers = { 'keyward-proxy': proxy.key, 'x-forwarded-for': HERE };
    const { status, body } = await keyward.call('GET', '/v1/keys', undefined, { key, headers });
    assert.deepEqual([status, body.code], [403, 'IP_NOT_ALLOWED']);
  });
});

test('23: on the platform, too: through a proxy its address and its country are not the caller\'s', async () => {
  const keyward = await Deployment.start({ wrappers: [platform] });
  try {
    const proxy = await keyward.create({ scopes });
    const codes = async (fields) => {
      const { key } = await keyward.create(fields);
      const answers = [{}, { 'keyward-proxy': proxy.key }].map((headers) => keyward.authorize(key, '', { headers: { 'x-forwarded-for': HERE, ...headers } }));
      return (await Promise.all(answers)).map(({ status, body }) => body?.code ?? status);
    };
    assert.deepEqual(await codes({ allowed_ips: ['192.0.2.1'] }), [200, 'IP_NOT_ALLOWED']);
    assert.deepEqual(await codes({ allowed_ips: [HERE] }), ['IP_NOT_ALLOWED', 200]);
    assert.deepEqual(await codes({ allowed_countries: ['DE'] }), [200, 'COUNTRY_NOT_ALLOWED']);
  } finally {
    await keyward.stop();
  }
});
