// The inputs that keyward survives, against the real Worker. The numbers are those of the list of inputs in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Deployment, core, forge, mistyped, watched } from './harness.mjs';

/** An answer without what differs from request to request. */
const outside = ({ status, headers, text }) => {
  const id = headers.get('keyward-request-id');
  const kept = [...headers].filter(([name]) => name !== 'date').map(([name, value]) => `${name}: ${value}`);
  return JSON.stringify([status, kept, text]).replaceAll(id, '<request id>');
};

describe('inputs', () => {
  let keyward;
  let good;
  before(async () => {
    keyward = await Deployment.start({ wrappers: watched });
    good = await keyward.create();
  });
  after(() => keyward.stop());

  const watch = async () => (await keyward.call('GET', '/watched')).body;
  /** Asserts that the work makes no storage call. */
  const withoutStorage = async (work) => {
    await keyward.call('GET', '/v1/keys');
    const { calls } = await watch();
    await work();
    assert.deepEqual((await watch()).calls, calls);
  };
  const header = (value) => keyward.call('GET', '/v1/authorize', undefined, { key: null, headers: { authorization: value } });
  const exactly = (lines) => keyward.raw(`GET /v1/authorize HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines.join('\r\n')}\r\n\r\n`);

  test('1: no credential and an empty one get a challenge without an error code', async () => {
    const answers = [await keyward.authorize(null), await header(''), await header('Bearer'), await header('Bearer ')];
    for (const { status, headers } of answers) {
      assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer realm="keyward"']);
    }
  });

  test('2: two credentials are refused, in two headers, in one, and beside one in the query', async () => {
    for (const lines of [[`Authorization: Bearer ${good.key}`, `Authorization: Bearer ${good.key}`], [`Authorization: Bearer ${good.key}, Bearer ${good.key}`]]) {
      const answer = await exactly(lines);
      assert.match(answer, /^HTTP\/1.1 400 /);
      assert.match(answer, /"code":"SEVERAL_CREDENTIALS"/);
    }
    const { status } = await keyward.authorize(good.key, `?key=${good.key}`);
    assert.equal(status, 400);
  });

  test('3: the scheme is case-insensitive, one space follows, then one token', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) assert.equal((await header(`${scheme} ${good.key}`)).status, 200, scheme);
    for (const value of [`Bearer  ${good.key}`, `Bearer\t${good.key}`, `Bearer ${good.key} x`, `Basic ${good.key}`, good.key, `Bearer:${good.key}`]) {
      assert.equal((await header(value)).status, 401, value.slice(0, 10));
    }
  });

  test('4: a wrong check, a wrong brand and a test key on a live route are 401 without a storage call', async () => {
    const testKey = await keyward.create({ environment: 'test' });
    await withoutStorage(async () => {
      assert.equal((await keyward.authorize(mistyped(good.key))).status, 401);
      assert.equal((await keyward.authorize(forge({ brand: 'abc', id: good.id }))).status, 401);
      assert.equal((await keyward.authorize(testKey.key, '?environment=live')).status, 401);
    });
    assert.equal((await keyward.authorize(testKey.key, '?environment=test')).status, 200);
  });

  test('5: an invented key with a right check is 401 without a storage call', () =>
    withoutStorage(async () => {
      const foreign = core.generateKey({ brand: 'psk', tagKey: 'ab'.repeat(32) });
      for (const key of [core.generateKey({ brand: 'psk' }), foreign]) assert.equal((await keyward.authorize(key)).status, 401);
    }));

  test('6: a credential of 100 KB and headers of 128 KB are refused by length', () =>
    withoutStorage(async () => {
      assert.match(await exactly([`Authorization: Bearer ${'a'.repeat(20_000)}`]), /^HTTP\/1.1 401 /);
      for (const lines of [[`Authorization: Bearer ${'a'.repeat(100_000)}`], Array.from({ length: 128 }, (_, i) => `X-${i}: ${'a'.repeat(1000)}`)]) {
        assert.match(await exactly(lines), /^HTTP\/1.1 4(01|31|00) /);
      }
      assert.equal(await keyward.verdict('a'.repeat(60_000)), 'MALFORMED');
    }));

  test('7: NUL, look-alike letters and percent-escapes in a key are 401', async () => {
    const { key } = good;
    for (const odd of [key.replace('_', '%5F'), `${key}%00`, `%70${key.slice(1)}`]) assert.equal((await keyward.authorize(odd)).status, 401);
    for (const odd of [`${key}\0`, key.replace('psk', 'рsk'), `${key.slice(0, -1)}ｘ`, `${key}\n`, ` ${key}`, key.toUpperCase()]) {
      assert.equal(await keyward.verdict(odd), 'MALFORMED');
    }
    assert.match(await exactly([`Authorization: Bearer ${key}\xe9`]), /^HTTP\/1.1 40[01] /);
  });

  test('8: metacharacters of SQL, JSON and markup are stored as given', async () => {
    const odd = `'; DROP TABLE keys; -- " \\ <img src=x onerror=alert(1)> %s {{7*7}} ‮`;
    const { id } = await keyward.create({ name: odd, owner: odd, metadata: { [odd]: odd } });
    const { body } = await keyward.call('GET', `/v1/keys/${id}`);
    assert.deepEqual([body.name, body.owner, body.metadata], [odd, odd, { [odd]: odd }]);
    const { body: list } = await keyward.call('GET', '/v1/keys');
    assert.equal(list.data.find((entry) => entry.id === id).name, odd);
  });

  test('8: an id that is SQL is no id', async () => {
    for (const id of ["1' OR '1'='1", '%27%3B--', 'x'.repeat(5000), '..', '%00', good.id.toLowerCase()]) {
      assert.equal((await keyward.call('GET', `/v1/keys/${encodeURIComponent(id)}`)).status, 404, id.slice(0, 20));
    }
  });

  test('9: a right key and a wrong secret under the same id are never confused, in whichever order they come', async () => {
    const { key, id } = await keyward.create({ max_staleness_seconds: 60 });
    const twin = forge({ id });
    assert.equal(await keyward.verdict(twin), 'NOT_FOUND');
    assert.equal(await keyward.verdict(key), 'VALID');
    assert.equal(await keyward.verdict(twin), 'NOT_FOUND');
    assert.equal((await keyward.authorize(twin)).status, 401);
    assert.equal((await keyward.authorize(key)).status, 200);
  });

  test('10: revoked, disabled, rotated out, unknown, invented, mistyped, expired and not yet valid look the same from outside', async () => {
    const [revoked, disabled, rotated, expiring, later] = await Promise.all([
      keyward.create(), keyward.create(), keyward.create(), keyward.create({ expires_at: new Date(Date.now() + 400).toISOString() }), keyward.create({ not_before: '2100-01-01T00:00:00Z' }),
    ]);
    await keyward.call('POST', `/v1/keys/${revoked.id}/revoke`);
    await keyward.call('POST', `/v1/keys/${disabled.id}/disable`);
    await keyward.call('POST', `/v1/keys/${rotated.id}/rotations`, { activate: 'now', grace_seconds: 0 });
    assert.equal(await keyward.verdict(rotated.key), 'ROTATED_OUT');
    while ((await keyward.verdict(expiring.key)) !== 'EXPIRED');
    const unknown = core.generateKey({ brand: 'psk', tagKey: keyward.env.KEYWARD_TAG_KEY });
    const texts = [revoked.key, disabled.key, rotated.key, expiring.key, later.key, unknown, core.generateKey({ brand: 'psk' }), forge({ id: good.id }), mistyped(good.key), 'x'];
    const answers = [];
    for (const key of texts) answers.push(await keyward.authorize(key), await keyward.authorize(key, '?scope=calls:create'));
    assert.equal(new Set(answers.map(outside)).size, 1, answers.map(outside).join('\n'));
    assert.equal(answers[0].status, 401);
  });

  test('10: the owner finds the precise code under the request id, and never the key', async () => {
    const { key, id } = await keyward.create();
    await keyward.call('POST', `/v1/keys/${id}/revoke`);
    const { headers } = await keyward.authorize(key);
    const requestId = headers.get('keyward-request-id');
    while (!keyward.log.includes(requestId)) await new Promise(setImmediate);
    const line = JSON.parse(keyward.log.split('\n').find((text) => text.includes(requestId)));
    assert.deepEqual(line, { event: 'refused', request_id: requestId, code: 'REVOKED', key: `psk_live_${id}_…` });
    assert.ok(!keyward.log.includes(key));
  });

  test('11: a key in a URL is refused everywhere and stands in no log and no answer', async () => {
    for (const path of [`/v1/authorize?key=${good.key}`, `/v1/keys/${good.key}`, `/${good.key}`, `/v1/keys?cursor=${good.key}`, `/?k=${good.key.replace('_', '%5f')}`]) {
      const { status, body, text } = await keyward.call('GET', path);
      assert.deepEqual([status, body.code], [400, 'KEY_IN_URL'], path.slice(0, 20));
      assert.ok(!text.includes(good.key));
    }
    assert.ok(!keyward.log.includes(good.key));
  });

  test('11: a key in a field that is stored and shown is refused, and not repeated', async () => {
    for (const fields of [{ name: good.key }, { owner: `for ${good.key}` }, { metadata: { old: `KEY_${good.key}` } }, { metadata: { [good.key]: 1 } }]) {
      const { status, body, text } = await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', ...fields });
      assert.equal(status, 400);
      assert.match(body.detail, /treat that key as leaked/);
      assert.ok(!text.includes(good.key));
    }
    assert.equal((await keyward.call('POST', `/v1/keys/${good.id}/revoke`, { reason: good.key })).status, 400);
  });

  test('an environment that there is not is a mistake of the asker, not of the key', async () => {
    for (const answer of [await keyward.authorize(good.key, '?environment=prod'), await keyward.call('POST', '/v1/keys/verify', { key: good.key, environment: 'prod' })]) {
      assert.deepEqual([answer.status, answer.body.field], [400, 'environment']);
      assert.match(answer.body.detail, /live, test, staging, dev/);
    }
  });

  test('12: expiry is a date in the future; its bound is exclusive and the server clock decides', async () => {
    const now = Date.now();
    for (const expires_at of [new Date(now).toISOString(), new Date(now - 1).toISOString(), '2020-01-01T00:00:00Z', '10000-01-01T00:00:00Z', 'soon', '2030-13-01T00:00:00Z', 1893456000, '', true]) {
      const { status, body } = await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', expires_at });
      assert.deepEqual([status, body.field], [400, 'expires_at'], String(expires_at));
    }
    const end = Date.now() + 300;
    const { key } = await keyward.create({ expires_at: new Date(end).toISOString() });
    for (let code = 'VALID'; code === 'VALID'; ) {
      const before = Date.now();
      code = await keyward.verdict(key);
      if (code === 'VALID') assert.ok(before < end, `accepted ${before - end} ms after its end`);
      else assert.deepEqual([code, Date.now() >= end], ['EXPIRED', true]);
    }
  });

  test('14: a flood of invented keys from one address leaves memory and storage calls where they were', async () => {
    const flood = async () => {
      const lanes = Array.from({ length: 8 }, async () => {
        for (let i = 0; i < 400; i += 1) assert.equal((await keyward.authorize(core.generateKey({ brand: 'psk' }))).status, 401);
      });
      await Promise.all(lanes);
    };
    // What was seen of the calls before is reported first: that takes memory of its own, once.
    await flood();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const { memory } = await watch();
    await withoutStorage(flood);
    assert.equal((await watch()).memory, memory);
  });

  test('14: a flood of keys that carry a right tag is remembered within the bound of the store', async () => {
    const { memory } = await watch();
    const tagged = () => core.generateKey({ brand: 'psk', tagKey: keyward.env.KEYWARD_TAG_KEY });
    for (let i = 0; i < 500; i += 1) assert.equal((await keyward.authorize(tagged())).status, 401);
    assert.ok((await watch()).memory - memory < 2 << 20);
  });

  test('27: line breaks and other control characters are refused on write', async () => {
    for (const odd of ['a\r\nSet-Cookie: x', 'a\nb', 'a\0b', 'a\u0085b', 'a\u001bb']) {
      for (const fields of [{ name: odd }, { owner: odd }, { metadata: { a: odd } }, { metadata: { [odd]: 1 } }, { metadata: { a: [{ b: odd }] } }]) {
        const { status } = await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', ...fields });
        assert.equal(status, 400, JSON.stringify(fields));
      }
      assert.equal((await keyward.call('POST', `/v1/keys/${good.id}/revoke`, { reason: odd })).status, 400);
    }
    assert.equal(await keyward.verdict(good.key), 'VALID');
  });

  test('29: numbers out of their bounds are refused with the bounds', async () => {
    for (const value of [-1, 61, 0.5, 2 ** 53, 1e400, '5', [], NaN]) {
      const body = `{"name":"n","owner":"o","max_staleness_seconds":${value === 1e400 ? '1e400' : JSON.stringify(value) ?? 'NaN'}}`;
      const answer = await keyward.call('POST', '/v1/keys', Number.isNaN(value) ? body.replace('null', 'NaN') : body);
      assert.equal(answer.status, 400, body);
    }
    assert.match((await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', max_staleness_seconds: 61 })).body.detail, /from 0 to 60/);
    for (const limit of ['0', '-1', '101', '1.5', '9007199254740992', 'x', '']) {
      assert.equal((await keyward.call('GET', `/v1/keys?limit=${limit}`)).status, 400, limit);
    }
    for (const limits of [[{ name: 'a', limit: 0, window_seconds: 1 }], [{ name: 'a', limit: -1, window_seconds: 0.5 }]]) {
      const { status, body } = await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', rate_limits: limits });
      assert.deepEqual([status, body.field], [400, 'rate_limits[0].limit'], 'a limit that could not be kept is not taken');
    }
  });

  test('31: what is too large is refused with its bound named, and nothing is written', async () => {
    const { body: before } = await keyward.call('GET', '/v1/keys?limit=1');
    const deep = '['.repeat(5000) + ']'.repeat(5000);
    for (const [body, words] of [
      [{ metadata: { a: 'x'.repeat(1 << 20) } }, /65536 bytes/],
      [{ metadata: { a: 'x'.repeat(5000) } }, /4096 bytes/],
      [{ scopes: Array.from({ length: 10_000 }, (_, i) => `a${i}:b`) }, /65536 bytes/],
      [{ scopes: Array.from({ length: 101 }, (_, i) => `a${i}:b`) }, /more than 100/],
      [{ allowed_ips: Array.from({ length: 251 }, () => '192.0.2.1') }, /more than 250/],
      [`{"name":"n","owner":"o","metadata":{"a":${deep}}}`, /not JSON|nested/],
      [{ metadata: { a: { a: { a: { a: { a: 1 } } } } } }, /at most 4 levels/],
      [{ name: 'x'.repeat(101) }, /more than 100 characters/],
      [{ scopes: [`${'a'.repeat(100)}:b`] }, /at most 100 characters/],
    ]) {
      const sent = typeof body === 'string' ? body : { name: 'n', owner: 'o', ...body };
      const { status, body: problem } = await keyward.call('POST', '/v1/keys', sent);
      assert.equal(status, 400);
      assert.match(problem.detail, words);
    }
    // Without a Content-Length, too: it is answered before all of it was sent.
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
    const chunked = await keyward.raw(`POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keyward.adminKey}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(8)}`);
    assert.match(chunked, /^HTTP\/1.1 400 [^]*65536 bytes/);
    const { body: after } = await keyward.call('GET', '/v1/keys?limit=1');
    assert.deepEqual(after.data, before.data);
  });

  test('a member given twice, and bytes that are no UTF-8, are refused: neither would be stored as it was meant', async () => {
    const twice = await keyward.call('POST', '/v1/keys', '{"name":"n","owner":"o","allowed_ips":["192.0.2.1"],"allowed_ips":[]}');
    assert.deepEqual([twice.status, /twice/.test(twice.body.detail)], [400, true]);
    const nested = await keyward.call('POST', '/v1/keys', '{"name":"n","owner":"o","metadata":{"a":1,"a":2}}');
    assert.equal(nested.status, 400);
    const body = Buffer.from('{"name":"Stra\xdfe","owner":"o"}', 'latin1');
    for (const framing of [`Content-Length: ${body.length}\r\n\r\n${body.toString('latin1')}`, `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body.toString('latin1')}\r\n0\r\n\r\n`]) {
      const answer = await keyward.raw(Buffer.from(`POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keyward.adminKey}\r\n${framing}`, 'latin1'));
      assert.match(answer, /^HTTP\/1.1 400 [^]*UTF-8/);
    }
  });

  test('32: a key cannot grant, enable or reach what it does not hold', async () => {
    const writer = await keyward.create({ name: 'writer', scopes: ['keyward.keys:write', '*:*'] });
    const wide = await keyward.create({ name: 'wide', scopes: ['keyward.*:*'] });
    const as = (key, method, path, body) => keyward.call(method, path, body, { key });
    for (const scope of ['keyward.keys:read', 'keyward.keys:*', 'keyward.*:*', 'keyward.audit:read']) {
      const { status, body } = await as(writer.key, 'POST', '/v1/keys', { name: 'n', owner: 'o', scopes: ['calls:create', scope] });
      assert.deepEqual([status, body.code], [403, 'SCOPE_NOT_HELD'], scope);
    }
    assert.equal((await as(writer.key, 'POST', '/v1/keys', { name: 'n', owner: 'o', scopes: ['keyward.keys:write', 'calls:*'] })).status, 201);
    assert.equal((await as(writer.key, 'POST', `/v1/keys/${wide.id}/disable`)).status, 200);
    assert.equal((await as(writer.key, 'POST', `/v1/keys/${wide.id}/enable`)).status, 403);
    assert.equal((await keyward.call('POST', `/v1/keys/${wide.id}/enable`)).status, 200);
    assert.equal((await as(writer.key, 'POST', `/v1/keys/${wide.id}/revoke`)).status, 200);
    for (const path of ['/v1/keys', `/v1/keys/${wide.id}`, '/v1/audit']) assert.equal((await as(writer.key, 'GET', path)).status, 403, path);
    const customer = await keyward.create({ scopes: ['*:*'] });
    for (const [method, path] of [['POST', '/v1/keys'], ['GET', '/v1/keys'], ['POST', '/v1/keys/verify'], ['POST', `/v1/keys/${good.id}/revoke`]]) {
      assert.equal((await as(customer.key, method, path, method === 'POST' ? {} : undefined)).status, 403, path);
    }
  });

  test('a verify question that is not one is refused in words that never repeat the key', async () => {
    for (const [body, field] of [
      ['', undefined], ['[]', undefined], ['{"key":', undefined], ['{}', 'key'], [{ key: 5 }, 'key'], [{ key: [good.key] }, 'key'], [{ key: null }, 'key'],
      [{ key: good.key, scopes: 'calls:create' }, 'scopes'], [{ key: good.key, scopes: ['calls:*'] }, 'scopes[0]'], [{ key: good.key, scopes: [good.key] }, 'scopes[0]'],
      [{ key: good.key, scopes: Array(101).fill('a:b') }, 'scopes'], [{ key: good.key, ip: 'localhost' }, 'ip'], [{ key: good.key, country: 'de' }, 'country'], [{ key: good.key, cost: -1 }, 'cost'],
      [`{"key":"${good.key}","key":"${good.key}"}`, undefined],
    ]) {
      const { status, body: problem, text } = await keyward.call('POST', '/v1/keys/verify', body);
      assert.deepEqual([status, problem.field], [400, field], JSON.stringify(body).slice(0, 40));
      assert.ok(!text.includes(good.key.slice(20)));
    }
  });

  test('methods are read as they were sent, and a path answers only its own', async () => {
    for (const [method, path, status] of [['PROPFIND', '/v1/keys', 405], ['DELETE', '/v1/keys', 405], ['HEAD', '/v1/keys', 405], ['GET', '/v1/keys/verify', 405], ['GET', `/v1/keys/${good.id}/revoke`, 405],
      ['POST', '/healthz', 405], ['GET', '/v1/keys/', 404], ['GET', '/v1//keys', 404], ['GET', '/v1/', 404], ['POST', '/nothing', 404], ['GET', '/nothing', 404]]) {
      const { status: answered, headers } = await keyward.call(method, path);
      assert.equal(answered, status, `${method} ${path}`);
      assert.equal(headers.has('allow'), status === 405);
    }
    assert.match(await keyward.raw(`get /v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${keyward.adminKey}\r\n\r\n`), /^HTTP\/1.1 (400|405|501) /);
  });
});
