// Routes against a hostile upstream and hostile callers. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { deflateRawSync, deflateSync } from 'node:zlib';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { root } from '../../.ci/setup.mjs';
import { Deployment, core, forge, mistyped } from './harness.mjs';
import { SECRET, Upstream, least, put, route, until } from './upstream.mjs';

const wrappers = ['counting-routes.js', 'memory.js'].map((file) => join(root, 'tests', 'worker', file));
const JSON_TYPE = { 'content-type': 'application/json' };
const MOBILE = '+4915112345678';

describe('routes', () => {
  let keyward;
  let upstream;
  let elsewhere;
  let good;
  before(async () => {
    [upstream, elsewhere] = [await Upstream.start(), await Upstream.start()];
    keyward = await Deployment.start({
      wrappers,
      env: {
        KEYWARD_LOCAL_UPSTREAMS: `${upstream.origin},${elsewhere.origin}`, KEYWARD_ISSUER: 'https://keys.shop.example',
        UPSTREAM_BOUND: 'bound-secret-0123456789', UPSTREAM_BOUND_ORIGIN: upstream.origin,
        UPSTREAM_FOREIGN: 'foreign-secret-01234567', UPSTREAM_FOREIGN_ORIGIN: elsewhere.origin,
        UPSTREAM_LOOSE: 'loose-secret-0123456789', UPSTREAM_SHORT: 'short', UPSTREAM_SHORT_ORIGIN: upstream.origin,
      },
    });
    good = await keyward.create();
    await route(keyward, 'plain', least(upstream));
    await route(keyward, 'open', least(`${upstream.origin}/base`, { allow: [{ methods: ['GET', 'POST'], path: '/open/*' }] }));
  });
  after(async () => {
    await keyward.stop();
    await Promise.all([upstream.stop(), elsewhere.stop()]);
  });

  const as = (method, path, body, { headers, key = good.key } = {}) =>
    keyward.call(method, path, body, { key, headers: { ...(body === undefined ? {} : JSON_TYPE), ...headers } });
  const raw = (line, lines = []) => keyward.raw(Buffer.from(`${line} HTTP/1.1\r\nHost: keys.example\r\nAuthorization: Bearer ${good.key}\r\nConnection: close\r\n${lines.map((text) => `${text}\r\n`).join('')}\r\n`, 'latin1'));
  const statusOf = (answer) => Number(/^HTTP\/1.1 (\d+)/.exec(answer)[1]);
  const brief = ({ status, body }) => [status, body?.code];
  const last = () => upstream.seen.at(-1);
  /** Asserts that the work reaches no upstream. */
  const unreached = async (work) => {
    const before = upstream.seen.length + elsewhere.seen.length;
    const result = await work();
    assert.deepEqual([...upstream.seen, ...elsewhere.seen].slice(before).map(({ url }) => url), []);
    assert.equal(upstream.seen.length + elsewhere.seen.length, before);
    return result;
  };
  /** Asserts that the work asks neither the objects of keys nor those of routes anything; the edge's own renewal of its routes is no part of a call. */
  const withoutStorage = async (work) => {
    const asked = async () => {
      const { key: { report, ...key }, project: { routes, deliver, tell, ...project }, route: { note, ...route } } = (await keyward.call('GET', '/watched')).body.asked;
      return { key, project, route };
    };
    await until(async () => JSON.stringify(await asked()) === JSON.stringify(await asked()));
    const before = await asked();
    await work();
    assert.deepEqual(await asked(), before);
  };

  test('a call goes to the route\'s upstream with the route\'s credential and comes back with the upstream\'s answer', async () => {
    upstream.at('/base/open/hello', async (response, seen) => response.writeHead(201, { 'Content-Type': 'text/plain' }).end(`you said ${await seen.body()}`));
    const answer = await as('POST', '/r/open/open/hello?a=1&b=%20', { hi: 1 });
    assert.deepEqual([answer.status, answer.text, answer.headers.get('content-type')], [201, 'you said {"hi":1}', 'text/plain']);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.match(answer.headers.get('keyward-request-id'), /^req_/);
    assert.deepEqual([last().url, last().headers.authorization, last().headers.host], ['/base/open/hello?a=1&b=%20', `Bearer ${SECRET}`, new URL(upstream.origin).host]);
  });

  test('a route is listed and shown as it was written, and gone at once where it was deleted', async () => {
    const body = least(upstream);
    await route(keyward, 'brief', body);
    const replaced = await keyward.call('PUT', '/v1/routes/brief', body);
    assert.equal(replaced.status, 200);
    const { name, secrets, created_at, updated_at, ...shown } = (await keyward.call('GET', '/v1/routes/brief')).body;
    assert.equal((await keyward.call('PUT', '/v1/routes/brief', shown)).status, 200, 'what is shown can be written');
    assert.ok(Date.parse(replaced.body.effective_by) > Date.now());
    assert.equal((await keyward.call('GET', '/v1/routes')).body.data.filter(({ name }) => name === 'brief').length, 1);
    await put(keyward, 'brief', 'current', { secret: SECRET });
    assert.equal((await as('GET', '/r/brief/x')).status, 200);
    const deleted = await keyward.call('DELETE', '/v1/routes/brief');
    assert.deepEqual([deleted.status, deleted.body.name], [200, 'brief']);
    await unreached(async () => assert.deepEqual(brief(await as('GET', '/r/brief/x')), [404, 'ROUTE_NOT_FOUND']));
    assert.equal((await keyward.call('GET', '/v1/routes/brief')).status, 404);
    assert.equal((await keyward.call('DELETE', '/v1/routes/brief')).status, 404);
  });

  test('32: routes are read with keyward.routes:read and written with keyward.routes:write alone', async () => {
    const [reader, customer] = [await keyward.create({ scopes: ['keyward.routes:read'] }), await keyward.create({ scopes: ['*:*'] })];
    for (const [method, path, body] of [['GET', '/v1/routes'], ['GET', '/v1/routes/plain'], ['GET', '/v1/routes/plain/use'], ['PUT', '/v1/routes/plain', least(upstream)], ['DELETE', '/v1/routes/plain'],
      ['PUT', '/v1/routes/plain/secrets/current', { secret: 'mine-0123456789' }], ['DELETE', '/v1/routes/plain/secrets/current']]) {
      assert.equal((await keyward.call(method, path, body, { key: reader.key })).status, method === 'GET' ? 200 : 403, `${method} ${path}`);
      assert.equal((await keyward.call(method, path, body, { key: customer.key })).status, 403, `${method} ${path}`);
      assert.equal((await keyward.call(method, path, body, { key: null })).status, 401, `${method} ${path}`);
    }
    assert.equal((await as('GET', '/r/plain/x')).status, 200);
  });

  test('2: two credentials are refused, in two headers, in one, beside a cookie, and beside a key in the query', () => unreached(async () => {
    const bearer = `Authorization: Bearer ${good.key}`;
    assert.match(await raw('GET /r/plain/x', [bearer]), /^HTTP\/1.1 400 [^]*SEVERAL_CREDENTIALS/);
    assert.deepEqual(brief(await as('GET', '/r/plain/x', undefined, { headers: { authorization: `Bearer ${good.key}, Bearer ${good.key}` } })), [400, 'SEVERAL_CREDENTIALS']);
    assert.deepEqual(brief(await as('GET', '/r/plain/x', undefined, { headers: { cookie: `__Secure-keyward-plain=${good.key}` } })), [400, 'SEVERAL_CREDENTIALS']);
    assert.equal((await as('GET', `/r/plain/x?key=${good.key}`)).status, 400);
  }));

  test('1, 4: no credential, a wrong check, a wrong brand, another environment and a test key on a live route without a mock are 401 without a storage call', async () => {
    const [testKey, staging] = [await keyward.create({ environment: 'test' }), await keyward.create({ environment: 'staging' })];
    await as('GET', '/r/plain/x');
    await unreached(() => withoutStorage(async () => {
      for (const key of [null, mistyped(good.key), forge({ brand: 'abc', id: good.id }), testKey.key, staging.key, core.generateKey({ brand: 'psk' }), 'kws_forged.token', 'x']) {
        for (const method of ['GET', 'POST']) assert.equal((await as(method, '/r/plain/x', method === 'POST' ? {} : undefined, { key })).status, 401, key?.slice(0, 10));
      }
    }));
    assert.equal(await keyward.verdict(testKey.key, { environment: 'test' }), 'VALID', 'which is a good key elsewhere');
  });

  test('a key without the route\'s scopes, from an address that it does not allow, or revoked, is refused and the upstream not reached', async () => {
    const [narrow, gone] = [await keyward.create({ scopes: ['calls:read'] }), await keyward.create()];
    assert.equal((await as('GET', '/r/plain/x', undefined, { key: gone.key })).status, 200);
    await keyward.call('POST', `/v1/keys/${gone.id}/revoke`);
    await unreached(async () => {
      assert.deepEqual(brief(await as('GET', '/r/plain/x', undefined, { key: narrow.key })), [403, 'INSUFFICIENT_SCOPE']);
      assert.equal((await as('GET', '/r/plain/x', undefined, { key: gone.key })).status, 401);
    });
  });

  test('6: a credential of 100 KB and headers of 128 KB are refused by length', () => unreached(() => withoutStorage(async () => {
    const exactly = (lines) => keyward.raw(`GET /r/plain/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines.join('\r\n')}\r\n\r\n`);
    for (const token of ['a'.repeat(20_000), `kws_${'a'.repeat(20_000)}.${'b'.repeat(43)}`]) assert.match(await exactly([`Authorization: Bearer ${token}`]), /^HTTP\/1.1 401 /);
    assert.match(await exactly([`Cookie: __Secure-keyward-plain=kws_${'a'.repeat(20_000)}`]), /^HTTP\/1.1 401 /);
    for (const lines of [[`Authorization: Bearer ${'a'.repeat(100_000)}`], Array.from({ length: 128 }, (_, i) => `X-${i}: ${'a'.repeat(1000)}`)]) {
      assert.match(await exactly(lines), /^HTTP\/1.1 4(01|31|00) /);
    }
  })));

  test('11: a key in the URL of a call is refused, goes to no upstream and stands in no log', async () => {
    await unreached(async () => {
      for (const path of [`/r/plain/${good.key}`, `/r/plain/x?key=${good.key}`, `/r/plain/x?a=${good.key.replace('_', '%5f')}`, `/r/${good.key}/x`, `/v1/relay/sessions?route=${good.key}`]) {
        for (const key of [good.key, null]) {
          const { status, body, text } = await as('GET', path, undefined, { key });
          assert.deepEqual([status, body.code], [400, 'KEY_IN_URL'], path.slice(0, 20));
          assert.ok(!text.includes(good.key));
        }
      }
    });
    assert.ok(!keyward.log.includes(good.key));
  });

  test('15: a method counts as it was sent: what the route does not list is 405, and never another method', async () => {
    await unreached(async () => {
      for (const method of ['PUT', 'DELETE', 'PATCH', 'PROPFIND', 'HEAD', 'OPTIONS', 'TRACE', 'PURGE', 'QUERY', 'get', 'Post', 'POST2']) {
        const answer = await raw(`${method} /r/open/open/x`);
        assert.match(answer, /^HTTP\/1.1 (405|501|400) /, method);
        if (statusOf(answer) === 405) assert.match(answer, /^Allow: GET, POST\r$/im, method);
      }
      assert.deepEqual(brief(await as('PUT', '/r/open/open/x', {})), [405, 'METHOD_NOT_ALLOWED']);
    });
    for (const method of ['PUT', 'PATCH', 'DELETE', 'HEAD']) {
      assert.equal((await as(method, '/r/plain/method')).status, 200);
      assert.equal(last().method, method);
    }
  });

  test('15: a body\'s or header\'s word for another method changes nothing', async () => {
    await as('POST', '/r/open/open/x?_method=DELETE', { _method: 'DELETE' }, { headers: { 'x-http-method-override': 'DELETE', 'x-http-method': 'DELETE', 'x-method-override': 'DELETE' } });
    assert.equal(last().method, 'POST');
    assert.deepEqual(last().names.filter((name) => /method/i.test(name)), [], 'an upstream that heeds them would be led past the list');
  });

  test('17: every spelling of a way out of the route is refused, and reaches no upstream', () => unreached(async () => {
    const paths = ['..', '../x', '../../v1/keys', '%2e%2e', '%2E%2e/x', '.%2e/x', '%2e', '.', './open/x', 'open/..', 'open/%2e%2e/closed', 'open/..%2fclosed', 'open/../closed', 'open%2f..%2fclosed', 'open/%2f', 'open/a%2fb', 'open/a%5cb',
      'open\\x', 'open\\..\\closed', '\\evil.example', '/evil.example', '//evil.example/x', '/\\evil.example', 'open//x', 'open/x;a=b', 'open/..;/closed', 'open;/x', 'open/x%3ba', 'open/x%00', 'open/x%0d%0aHost:%20evil', 'open/%252e%252e', 'open/x%25',
      'open/%', 'open/%2', 'open/%zz', 'open/%41', 'open/%6fpen', '%6fpen/x', 'open/\xe9', 'open/%c0%ae%c0%ae/closed', 'open/x%7f', 'open/x"y', 'open/<x>', 'open/x|y', 'open/x^y', 'open/x`y', 'open/{x}', 'open/[x]',
      'http://evil.example/', 'https:/evil.example', '@evil.example', 'open@evil.example/x', 'open:80/x', 'closed', 'OPEN/x', 'open', 'open/', 'open/x/y', 'open/%E2%80%A5/x/y'];
    for (const path of paths) {
      const answer = await raw(`GET /r/open/${path}`);
      assert.match(answer, /^HTTP\/1.1 4(00|04) /, `${path}: ${answer.slice(0, 60)}`);
    }
    for (const target of ['/r/open@evil.example/open/x', '//evil.example/r/open/open/x', '/\\evil.example/r/open/open/x', '/r//open/open/x', '/r/open;x/open/x', '/R/open/open/x', '/%72/open/open/x', '/r%2fopen/open/x', '/r/OPEN/open/x', '/r/open%20/open/x', '/./r/open/open/x', '/x/../r/open/open/x', '/r/../r/open/open/x', '/r/other/../open/open/x', '/r/', '/r', '/r/open?x', 'r/open/open/x', '*', '/;/r/open/open/x']) {
      const answer = await raw(`GET ${target}`);
      assert.match(answer, /^HTTP\/1.1 4(00|01|04|05) /, `${target}: ${answer.slice(0, 60)}`);
    }
  }));

  test('17: an absolute request target, of whatever host, leads where the route leads or is refused', async () => {
    const own = new URL(upstream.origin).host;
    for (const target of ['http://evil.example/r/open/open/abs', `${elsewhere.origin}/r/open/open/abs`, 'https://evil.example:444/r/open/open/abs', 'http://user:pass@evil.example/r/open/open/abs', 'HTTP://EVIL.example/r/open/open/abs']) {
      const before = upstream.of('/base/open/abs').length;
      const answer = await raw(`GET ${target}`);
      assert.match(answer, /^HTTP\/1.1 (200|400|404) /, target);
      const reached = upstream.of('/base/open/abs').slice(before);
      assert.equal(reached.length, statusOf(answer) === 200 ? 1 : 0, target);
      for (const seen of reached) assert.deepEqual([seen.headers.host, seen.headers.authorization], [own, `Bearer ${SECRET}`]);
    }
    await unreached(async () => {
      for (const target of ['http://evil.example/open/x', `${upstream.origin}/base/open/x`, 'http://evil.example/r/open/../closed', 'http://evil.example//r/open/open/x', 'ftp://evil.example/x', 'evil.example:443', 'file:///etc/passwd', 'http://keys.example@evil.example/closed']) {
        assert.ok(statusOf(await raw(`GET ${target}`)) < 500, target);
      }
    });
    assert.equal(elsewhere.seen.length, 0);
  });

  test('17: what stands after a # is no part of what is judged nor of what is sent', async () => {
    assert.equal(statusOf(await raw('GET /r/open/open/x#/../../closed')), 200);
    assert.equal(last().url, '/base/open/x');
    await unreached(async () => assert.match(await raw('GET /r/open/closed#/open/x'), /^HTTP\/1.1 404 /));
  });

  test('17: what has one reading only arrives as it was sent', async () => {
    for (const path of ['@evil.example', 'a:b', "$&'()*+,=!", 'a%20b', '%C3%A9', 'a?u=http://evil.example/../x&v=%2e%2e/;%00', 'http:', '...', '..a', 'a?', 'a??b', 'a?/../x']) {
      const answer = await raw(`GET /r/open/open/${path}`);
      assert.equal(statusOf(answer), 200, path);
      assert.deepEqual([last().url, last().headers.host], [`/base/open/${path}`, new URL(upstream.origin).host]);
    }
  });

  test('18: Host, X-Forwarded-Host and their like, base_url and host in query and body move neither the upstream nor what it is told', async () => {
    const own = new URL(upstream.origin).host;
    const lines = ['X-Forwarded-Host: evil.example', 'X-Forwarded-Server: evil.example', 'X-Forwarded-Proto: https', 'X-Forwarded-Port: 444', 'X-Forwarded-Prefix: /evil', 'Forwarded: host=evil.example', 'X-Original-URL: /closed', 'X-Original-Host: evil.example', 'X-Rewrite-URL: /closed', 'X-Host: evil.example'];
    const answer = await raw(`GET /r/plain/host?base_url=${elsewhere.origin}&host=evil.example&upstream=${elsewhere.origin}`, lines);
    assert.equal(statusOf(answer), 200);
    assert.equal(last().headers.host, own);
    const told = last().names.filter((name) => /forwarded|original|rewrite|^x-host$/i.test(name));
    const twice = await keyward.raw(`GET /r/plain/host2 HTTP/1.1\r\nHost: evil.example\r\nHost: ${new URL(elsewhere.origin).host}\r\nAuthorization: Bearer ${good.key}\r\nConnection: close\r\n\r\n`);
    if (statusOf(twice) === 200) assert.equal(upstream.of('/host2')[0].headers.host, own);
    await as('POST', '/r/plain/host', { base_url: elsewhere.origin, host: 'evil.example' });
    assert.equal(last().path, '/host');
    assert.equal(elsewhere.seen.length, 0);
    for (const extra of [{ base_url: elsewhere.origin }, { host: 'evil.example' }, { url: elsewhere.origin }]) {
      const refused = await keyward.call('PUT', '/v1/routes/plain', { ...least(upstream), ...extra });
      assert.deepEqual([refused.status, refused.body.field], [400, Object.keys(extra)[0]]);
    }
    assert.deepEqual(told, [], 'an upstream that heeds them would leave the path that was judged');
  });

  test('19: a redirect is refused, its target never asked', async () => {
    const codes = [300, 301, 302, 303, 305, 307, 308, 399];
    for (const code of codes) upstream.at(`/to/${code}`, (response) => response.writeHead(code, { Location: `${elsewhere.origin}/stolen`, 'Content-Type': 'text/plain' }).end('x'));
    for (const code of codes) {
      const before = upstream.seen.length;
      const answer = await as('GET', `/r/plain/to/${code}`);
      assert.deepEqual([...brief(answer), answer.headers.get('location')], [502, 'UPSTREAM_REDIRECT', null], String(code));
      assert.equal(upstream.seen.length, before + 1);
    }
    assert.equal((await as('POST', '/r/plain/to/307', { a: 1 })).status, 502);
    assert.equal(elsewhere.seen.length, 0);
  });

  test('19: a redirect that the route passes on is passed on, not followed, and tells no secret', async () => {
    await route(keyward, 'redirects', least(upstream, { response: { redirects: 'pass' } }));
    for (const location of [`${elsewhere.origin}/stolen`, '/relative', '//evil.example', `${elsewhere.origin}/?k=${SECRET}`, `/?k=${encodeURIComponent(`Bearer ${SECRET}`)}`]) {
      upstream.at('/moved', (response) => response.writeHead(302, { Location: location }).end());
      const answer = await as('GET', '/r/redirects/moved');
      assert.deepEqual([answer.status, answer.headers.get('location')], [302, location.replace(SECRET, '[redacted]')]);
    }
    assert.equal(elsewhere.seen.length, 0);
    upstream.at('/same', (response) => response.writeHead(304, { ETag: '"1"' }).end());
    const same = await as('GET', '/r/plain/same', undefined, { headers: { 'if-none-match': '"1"' } });
    assert.deepEqual([same.status, same.headers.get('etag')], [304, '"1"']);
  });

  test('20: an upstream that is private, local, ambiguous or this deployment is refused when the route is written', async () => {
    const write = (text, headers) => keyward.call('PUT', '/v1/routes/refused', least(text), { headers });
    for (const text of ['http://api.sms.example', 'https://127.0.0.1', 'https://127.1', 'https://2130706433', 'https://0x7f.1', 'https://0177.0.0.1', 'https://10.1.2.3', 'https://192.168.0.1', 'https://172.31.0.1', 'https://169.254.169.254', 'https://100.64.0.1', 'https://0.0.0.0', 'https://[::1]',
      'https://[::ffff:10.0.0.1]', 'https://[fe80::1]', 'https://[fe80::1%25eth0]', 'https://[fc00::1]', 'https://[::]', 'https://localhost', 'https://a.localhost', 'https://metadata.google.internal', 'https://db.internal', 'https://printer.local', 'https://intranet',
      'https://api.sms.example.', 'https://api.sms.example..', 'https://API.sms.example', 'https://api.sms.example:443', 'https://user:pass@api.sms.example', 'https://api.sms.example@127.0.0.1', 'https://api.sms.example/../x', 'https://api.sms.example/a//b', 'https://api.sms.example/%2e%2e',
      'https://api.sms.example?x', 'https://api.sms.example/#x', 'https://api.sms.example\\@127.0.0.1', 'https:/api.sms.example', '//api.sms.example', 'https://xn--', 'https://ａpi.example', 'https://127。0。0。1', 'https://①②⑦.0.0.1', 'ftp://api.sms.example', 'file:///etc/passwd', '', 'https://', keyward.url, 'http://127.0.0.1:1', 'http://127.0.0.1']) {
      const { status, body } = await write(text);
      assert.deepEqual([status, body.field], [400, 'upstream'], text);
    }
    const itself = await keyward.raw(`PUT /v1/routes/refused HTTP/1.1\r\nHost: keys.example.com\r\nAuthorization: Bearer ${keyward.adminKey}\r\nContent-Type: application/json\r\nContent-Length: ${JSON.stringify(least('https://keys.example.com')).length}\r\n\r\n${JSON.stringify(least('https://keys.example.com'))}`);
    assert.match(itself, /^HTTP\/1.1 400 [^]*this deployment itself/);
    assert.equal((await keyward.call('GET', '/v1/routes/refused')).status, 404, 'nothing was written');
  });

  test('20: a call that comes back to this deployment by a way round is ended, not answered in circles', async () => {
    let turns = 0;
    upstream.at('/round', (response, seen) => {
      turns += 1;
      const headers = { ...seen.headers, host: undefined, authorization: `Bearer ${good.key}` };
      delete headers.host;
      request(`${keyward.url}/r/plain/round`, { headers }, (answer) => response.writeHead(answer.statusCode, { 'Content-Type': 'application/json' }) && answer.pipe(response)).end();
    });
    assert.deepEqual(brief(await as('GET', '/r/plain/round')), [508, 'LOOP']);
    assert.equal(turns, 1);
  });

  test('21: a client\'s own header under the credential\'s name is dropped, whatever its case', async () => {
    await route(keyward, 'header', least(upstream, { credential: { type: 'header', name: 'X-Api-Key' } }));
    for (const name of ['X-Api-Key', 'x-api-key', 'X-API-KEY', 'x-Api-kEy']) {
      assert.equal(statusOf(await raw('GET /r/header/own', [`${name}: mine`, `${name}: mine too`])), 200);
      assert.deepEqual([last().headers['x-api-key'], last().names.filter((sent) => sent.toLowerCase() === 'x-api-key').length], [SECRET, 1], name);
      assert.equal(last().headers.authorization, undefined, 'the caller\'s key goes no further');
    }
    await as('GET', '/r/plain/own');
    assert.equal(last().headers.authorization, `Bearer ${SECRET}`);
    assert.equal(last().names.filter((sent) => sent.toLowerCase() === 'authorization').length, 1);
  });

  test('21, 22: a name that an upstream may read as the credential\'s or as Keyward-*, for its underscores, is dropped', async () => {
    await raw('GET /r/header/own', ['X_Api_Key: mine', 'X_Api-Key: mine', 'Keyward_Identity: mine', 'X_Forwarded_For: 192.0.2.1']);
    assert.deepEqual(last().names.filter((sent) => /^(x.api.key|keyward|x.forwarded)/i.test(sent) && sent.includes('_')), [], 'CGI, WSGI and Rack fold _ and - into one');
  });

  test('21: a client\'s own parameter under the credential\'s name is dropped in every spelling', async () => {
    await route(keyward, 'query', least(upstream, { credential: { type: 'query', name: 'api_key' } }));
    for (const query of ['?api_key=mine', '?API_KEY=mine', '?api_key', '?%61pi_key=mine', '?api%5Fkey=mine', '?a=1&api_key=mine&b=2&Api_Key=x', '?api_key=mine&api_key=mine', '?+api_key=mine', '?']) {
      assert.equal((await as('GET', `/r/query/own${query}`)).status, 200);
      const pairs = [...new URLSearchParams(last().query)];
      assert.deepEqual(pairs.filter(([name]) => name.trim().toLowerCase() === 'api_key'), [['api_key', SECRET]], query);
      if (query.includes('a=1')) assert.deepEqual(pairs.slice(0, 2), [['a', '1'], ['b', '2']]);
    }
  });

  test('21: basic credentials are the route\'s user and secret, whatever the client sends', async () => {
    await route(keyward, 'basic', least(upstream, { credential: { type: 'basic', user: 'AC123' } }));
    await as('GET', '/r/basic/own');
    assert.equal(last().headers.authorization, `Basic ${Buffer.from(`AC123:${SECRET}`).toString('base64')}`);
    upstream.at('/echo-basic', (response, { headers }) => response.writeHead(200, { 'X-Request-Id': headers.authorization }).end(`${headers.authorization} ${SECRET}`));
    const { text, headers } = await as('GET', '/r/basic/echo-basic');
    for (const shown of [text, headers.get('x-request-id')]) {
      assert.ok(!shown.includes(SECRET) && !Buffer.from(shown.split(' ')[1], 'base64').toString().includes(SECRET.slice(4)), shown);
    }
  });

  test('22: Keyward-*, X-Forwarded-*, CF-*, cookies, Origin and what belongs to the connection never reach the upstream', async () => {
    const dropped = ['Keyward-Identity', 'keyward-key-id', 'KEYWARD-OWNER', 'Keyward-Anything', 'X-Forwarded-For', 'X-Forwarded-Proto', 'Forwarded', 'CF-Connecting-IP', 'CF-Ray', 'True-Client-IP', 'X-Real-IP', 'CDN-Loop', 'Origin', 'Referer', 'Sec-Fetch-Site', 'Proxy-Authorization', 'Cookie', 'TE', 'X-Original-URL', 'Via', 'X-Hop'];
    const answer = await raw('GET /r/plain/dropped', [...dropped.map((name) => `${name}: forged`), 'X-Kept: yes', 'Connection: x-hop']);
    assert.equal(statusOf(answer), 200);
    const names = last().names.map((name) => name.toLowerCase());
    assert.deepEqual(dropped.map((name) => name.toLowerCase()).filter((name) => names.includes(name) && name !== 'via'), []);
    assert.match(last().headers.via, /^1\.1 keyward-[0-9a-f]+$/);
    assert.equal(last().headers['x-kept'], 'yes');
    assert.deepEqual([last().names.some((name) => /^keyward-/i.test(name)), JSON.stringify(last().headers).includes(good.key)], [false, false]);
  });

  test('23: forged X-Forwarded-For and platform headers do not move a caller to an address that his key allows', async () => {
    const [far, near] = [await keyward.create({ allowed_ips: ['203.0.113.7'] }), await keyward.create({ allowed_ips: ['127.0.0.0/8', '::1'] })];
    for (const name of ['X-Forwarded-For', 'CF-Connecting-IP', 'True-Client-IP', 'X-Real-IP', 'Forwarded']) {
      const headers = { [name]: name === 'Forwarded' ? 'for=203.0.113.7' : '203.0.113.7' };
      await unreached(async () => assert.deepEqual(brief(await as('GET', '/r/plain/x', undefined, { key: far.key, headers })), [403, 'IP_NOT_ALLOWED'], name));
      assert.equal((await as('GET', '/r/plain/x', undefined, { key: near.key, headers })).status, 200, name);
    }
  });

  const b64 = (text) => Buffer.from(text).toString('base64');
  const echoes = {
    plain: SECRET,
    'with its scheme': `Bearer ${SECRET}`,
    base64: b64(SECRET),
    'base64 of the header': b64(`Authorization: Bearer ${SECRET}\r\n`),
    'base64url of a pair': b64(`user:${SECRET}`).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
    'base64 at the third alignment': b64(`ab${SECRET}cd`),
    percent: [...SECRET].map((char) => `%${char.charCodeAt(0).toString(16)}`).join(''),
    'percent in part': SECRET.replaceAll('_', '%5F'),
    'JSON escapes': [...SECRET].map((char) => `\\u00${char.charCodeAt(0).toString(16)}`).join(''),
    hex: Buffer.from(SECRET).toString('hex').toUpperCase(),
    twice: SECRET + SECRET,
  };
  /** Whether a text still tells the secret to somebody who decodes it. */
  const tells = (text) => {
    const plain = [text, decodeURIComponent(text.replaceAll(/%(?![0-9a-f]{2})/gi, '%25')), text.replaceAll(/\\u([0-9a-f]{4})/gi, (_, code) => String.fromCharCode(parseInt(code, 16)))];
    for (const word of text.split(/[^A-Za-z0-9+/_-]+/)) plain.push(Buffer.from(word, 'base64').toString('latin1'), Buffer.from(word, 'hex').toString('latin1'), ...[1, 2, 3].map((skip) => Buffer.from(word.slice(skip), 'base64').toString('latin1')));
    return plain.some((shown) => shown.includes(SECRET.slice(2, -2)));
  };

  test('24: an echo of the secret in a header is redacted, in every form', async () => {
    await route(keyward, 'echo', least(upstream, { response: { headers: ['X-Debug'] } }));
    for (const [form, echo] of Object.entries(echoes)) {
      assert.ok(tells(echo), `${form}: the test itself sees it`);
      upstream.at('/echo-header', (response) => response.writeHead(200, { 'X-Debug': `sent ${echo} to us`, ETag: `"${echo}"`, 'X-Request-Id': echo, Link: `</?k=${echo}>; rel=next` }).end('{}'));
      const { headers } = await as('GET', '/r/echo/echo-header');
      for (const name of ['x-debug', 'etag', 'x-request-id', 'link']) {
        assert.match(headers.get(name), /\[redacted\]/, `${form} in ${name}: ${headers.get(name)}`);
        assert.ok(!tells(headers.get(name)), `${form} in ${name}: ${headers.get(name)}`);
      }
      assert.match(headers.get('x-debug'), /^sent .* to us$/);
    }
  });

  test('24: an echo of the secret in a body is redacted, in every form, in answers of all statuses, and of both slots', async () => {
    await put(keyward, 'echo', 'next', { secret: 'the-next-secret-987654' });
    for (const [form, echo] of Object.entries(echoes)) {
      for (const status of [200, 404, 500]) {
        upstream.at('/echo-body', (response) => response.writeHead(status, { 'Content-Type': 'text/html' }).end(`<p>before ${echo} after, the-next-secret-987654</p>`));
        const { status: answered, text } = await as('GET', '/r/echo/echo-body');
        assert.equal(answered, status);
        assert.match(text, /^<p>before .*\[redacted\].* after, \[redacted\]<\/p>$/, form);
        assert.ok(!tells(text), `${form}: ${text}`);
      }
    }
  });

  test('24: an echo of the caller\'s own headers has no key in it: the key was never sent', async () => {
    upstream.at('/echo-all', (response, seen) => response.end(JSON.stringify(seen.request.rawHeaders)));
    const { text } = await as('GET', '/r/plain/echo-all', undefined, { headers: { cookie: 'a=b' } });
    assert.ok(!text.includes(good.key) && !text.includes(SECRET) && !text.includes('a=b'));
  });

  test('24: an answer that is compressed in a way that cannot be looked into is refused', async () => {
    const bodies = { deflate: deflateSync(SECRET), zstd: Buffer.from('28b52ffd', 'hex'), compress: Buffer.from('x'), 'x-made-up': Buffer.from(SECRET), 'gzip, gzip': Buffer.from('x'), 'deflate, gzip': deflateRawSync(SECRET), '': undefined };
    for (const [encoding, body] of Object.entries(bodies)) {
      if (body === undefined) continue;
      upstream.at('/packed', (response) => response.writeHead(200, { 'Content-Encoding': encoding }).end(body));
      const answer = await as('GET', '/r/plain/packed', undefined, { headers: { 'accept-encoding': encoding } });
      assert.deepEqual(brief(answer), [502, 'UPSTREAM_ENCODING'], encoding);
      assert.equal(last().headers['accept-encoding'], 'identity');
    }
  });

  test('25: of the upstream\'s headers only the listed ones pass: no cookies, no CORS, nothing of the connection, nothing of keyward\'s own', async () => {
    await route(keyward, 'headers', least(upstream, { response: { headers: ['X-Cost'] } }));
    const sent = {
      'Set-Cookie': ['a=b', 'c=d; Domain=example'], 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true', 'Access-Control-Expose-Headers': '*', 'Keep-Alive': 'timeout=5', 'Proxy-Authenticate': 'Basic', 'Proxy-Connection': 'keep-alive', 'WWW-Authenticate': 'Basic realm=x',
      Upgrade: 'h2c', 'Keyward-Mock': 'true', 'Keyward-Status': '200', 'Keyward-Request-Id': 'forged', 'Keyward-Identity': 'forged', 'Keyward-Session-Calls-Left': '99', 'Strict-Transport-Security': 'max-age=0', 'Content-Security-Policy': 'x', 'Clear-Site-Data': '"*"', 'Alt-Svc': 'h3=":443"', 'Service-Worker-Allowed': '/',
      Refresh: '0; url=//evil.example', Location: '//evil.example', 'Cache-Control': 'public, max-age=9999', Expires: 'Fri, 01 Jan 2100 00:00:00 GMT', Server: 'evil/1', 'X-Powered-By': 'evil', 'X-Other': 'x', 'Content-Type': 'text/plain', 'X-Cost': '7', ETag: '"e"', 'Retry-After': '3', 'X-Request-Id': 'theirs', 'Content-Language': 'de', 'Content-Length': '100',
    };
    upstream.at('/headers', (response) => response.writeHead(200, sent).end('x'.repeat(100)));
    const { headers } = await as('GET', '/r/headers/headers');
    assert.deepEqual([...headers.keys()].sort(), ['cache-control', 'content-language', 'content-length', 'content-type', 'etag', 'keyward-request-id', 'retry-after', 'via', 'x-cost', 'x-request-id'].sort());
    assert.deepEqual([headers.get('cache-control'), headers.get('x-cost'), headers.get('x-request-id')], ['no-store', '7', 'theirs']);
    assert.match(headers.get('keyward-request-id'), /^req_/);
  });

  test('25: a header that the upstream\'s Connection names belongs to the connection, though the route lists it', async () => {
    upstream.at('/nominated', (response) => {
      response.socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX-Cost: 7\r\nETag: "e"\r\nConnection: close, X-COST , etag\r\n\r\nok');
    });
    const answer = await as('GET', '/r/headers/nominated');
    assert.deepEqual([answer.status, answer.text, answer.headers.get('x-cost'), answer.headers.get('etag')], [200, 'ok', null, null]);
  });

  test('25: a route cannot list what must never pass', async () => {
    for (const name of ['Set-Cookie', 'set-cookie2', 'Access-Control-Allow-Origin', 'Keyward-Mock', 'Connection', 'Transfer-Encoding', 'Cache-Control', 'Content-Encoding', 'Upgrade', 'Via', 'Alt-Svc']) {
      const { status, body } = await keyward.call('PUT', '/v1/routes/refused', least(upstream, { response: { headers: [name] } }));
      assert.deepEqual([status, body.field], [400, 'response.headers[0]'], name);
    }
  });

  test('33: a route that is repointed to another origin loses its secrets, for good', async () => {
    await route(keyward, 'moving', least(upstream));
    await put(keyward, 'moving', 'next', { secret: 'another-0123456789', weight: 50 });
    assert.ok((await keyward.call('PUT', '/v1/routes/moving', least(`${upstream.origin}/v2`))).body.secrets.current, 'another path of the same origin keeps them');
    for (const to of [elsewhere, upstream]) {
      const { body } = await keyward.call('PUT', '/v1/routes/moving', least(to));
      assert.deepEqual(body.secrets, { current: null, next: null });
      await unreached(async () => assert.deepEqual(brief(await as('GET', '/r/moving/x')), [503, 'NO_UPSTREAM_SECRET']));
    }
    await put(keyward, 'moving', 'current', { environment: 'UPSTREAM_BOUND' });
    assert.deepEqual((await keyward.call('PUT', '/v1/routes/moving', least(elsewhere))).body.secrets, { current: null, next: null });
    await unreached(async () => assert.equal((await as('GET', '/r/moving/x')).status, 503));
    assert.equal(elsewhere.seen.length, 0);
  });

  test('33: a secret of the environment goes to its own origin alone, and no other binding can be named', async () => {
    await route(keyward, 'bound', least(upstream), null);
    await unreached(async () => assert.deepEqual(brief(await as('GET', '/r/bound/x')), [503, 'NO_UPSTREAM_SECRET']));
    const shown = await put(keyward, 'bound', 'current', { environment: 'UPSTREAM_BOUND' });
    assert.equal(shown.secrets.current.environment, 'UPSTREAM_BOUND');
    await as('GET', '/r/bound/x');
    assert.equal(last().headers.authorization, 'Bearer bound-secret-0123456789');
    for (const environment of ['UPSTREAM_FOREIGN', 'UPSTREAM_LOOSE', 'UPSTREAM_SHORT', 'UPSTREAM_BOUND_ORIGIN', 'UPSTREAM_MISSING', 'KEYWARD_ROOT_SECRET', 'KEYWARD_TAG_KEY', 'KEYWARD_FIRST_KEY', 'UPSTREAM_', 'upstream_bound', 'UPSTREAM_BOUND ', '__proto__', 'constructor', 'KEYS', '', 7, null, ['UPSTREAM_BOUND'], 'X'.repeat(5000)]) {
      const { status, body, text } = await keyward.call('PUT', '/v1/routes/bound/secrets/current', { environment });
      assert.equal(status, 400, JSON.stringify(environment));
      assert.ok(!text.includes(keyward.env.KEYWARD_ROOT_SECRET) && !text.includes('-secret-'), text);
      if (typeof environment === 'string' && environment) assert.equal(body.field, 'environment', environment);
    }
    assert.equal((await keyward.call('PUT', '/v1/routes/bound/secrets/current', { environment: 'UPSTREAM_BOUND', secret: 'both-0123456789' })).status, 400);
    await as('GET', '/r/bound/x');
    assert.equal(last().headers.authorization, 'Bearer bound-secret-0123456789', 'and nothing was changed');
  });

  test('slots: next gets exactly its share of the calls', async () => {
    await route(keyward, 'shared', least(upstream), 'first-secret-01234567');
    assert.equal((await keyward.call('PUT', '/v1/routes/shared/secrets/next', { weight: 20 })).status, 400, 'there is no secret in it yet');
    assert.equal((await keyward.call('PUT', '/v1/routes/shared/secrets/current', { weight: 20 })).status, 400);
    await put(keyward, 'shared', 'next', { secret: 'second-secret-0123456' });
    for (const weight of [0, 25, 99, 100]) {
      await put(keyward, 'shared', 'next', { weight });
      const before = upstream.of('/share').length;
      for (let i = 0; i < 10; i += 1) await Promise.all(Array.from({ length: 10 }, () => as('GET', '/r/shared/share')));
      const seconds = upstream.of('/share').slice(before).filter(({ headers }) => headers.authorization === 'Bearer second-secret-0123456');
      assert.equal(seconds.length, weight);
    }
    for (const weight of [-1, 101, 1.5, '5', null]) assert.equal((await keyward.call('PUT', '/v1/routes/shared/secrets/next', { weight })).status, 400, String(weight));
  });

  test('slots: a secret is not retired while it carries traffic; then next takes the place of current', async () => {
    const retire = (slot, query = '') => keyward.call('DELETE', `/v1/routes/shared/secrets/${slot}${query}`);
    await put(keyward, 'shared', 'next', { weight: 50 });
    for (const slot of ['current', 'next']) {
      const refused = await retire(slot, '?quiet_seconds=0');
      assert.deepEqual(brief(refused), [409, 'SLOT_IN_USE'], slot);
      assert.equal(refused.body.use.length, 2);
    }
    await put(keyward, 'shared', 'next', { weight: 100 });
    await as('GET', '/r/shared/x');
    const use = await until(async () => {
      const { slots } = (await keyward.call('GET', '/v1/routes/shared/use')).body;
      return slots.length === 2 && slots[0].calls + slots[1].calls === 401 && slots;
    });
    assert.deepEqual(use.map(({ slot, calls, failures, unauthorized }) => [slot, calls, failures, unauthorized]), [['current', 176, 0, 0], ['next', 225, 0, 0]]);
    assert.deepEqual(brief(await retire('current')), [409, 'SLOT_IN_USE'], 'it was used a moment ago');
    const retired = await retire('current', '?quiet_seconds=0');
    assert.equal(retired.status, 200, retired.text);
    assert.deepEqual([retired.body.secrets.current.number, retired.body.secrets.current.share, retired.body.secrets.next], [2, 100, null]);
    await as('GET', '/r/shared/promoted');
    assert.equal(last().headers.authorization, 'Bearer second-secret-0123456', 'sealed anew for its new place');
    assert.deepEqual(brief(await retire('current', '?quiet_seconds=0')), [409, 'SLOT_IN_USE'], 'the only one');
    assert.equal((await retire('next')).status, 404);
    assert.equal((await retire('current', '?force=true')).status, 200);
    assert.deepEqual(brief(await as('GET', '/r/shared/x')), [503, 'NO_UPSTREAM_SECRET']);
  });

  test('slots: what the upstream answers with 401 is tried once with the other secret, where a repeat is safe', async () => {
    await route(keyward, 'fallback', least(upstream, { limit: { limit: 1000, window_seconds: 3600 } }), 'dead-secret-012345678');
    await put(keyward, 'fallback', 'next', { secret: 'alive-secret-01234567' });
    const accepts = (secrets) => upstream.at('/guarded', async (response, seen) => {
      const body = await seen.body();
      const known = secrets.some((secret) => seen.headers.authorization === `Bearer ${secret}`);
      response.writeHead(known ? 200 : 401, { 'Content-Type': 'text/plain' }).end(known ? `took ${body}` : 'no');
    });
    const ask = async (method, headers, body = method === 'GET' || method === 'DELETE' ? undefined : { n: 1 }) => {
      const before = upstream.of('/guarded').length;
      const { status, text } = await as(method, '/r/fallback/guarded', body, { headers });
      return [status, upstream.of('/guarded').length - before, text];
    };
    accepts(['alive-secret-01234567']);
    for (const method of ['GET', 'DELETE']) assert.deepEqual(await ask(method), [200, 2, 'took '], method);
    assert.deepEqual(await ask('PUT'), [200, 2, 'took {"n":1}']);
    assert.deepEqual(await ask('POST'), [401, 1, 'no']);
    assert.deepEqual(await ask('PATCH'), [401, 1, 'no']);
    assert.deepEqual(await ask('POST', { 'idempotency-key': 'k1' }), [200, 2, 'took {"n":1}']);
    assert.deepEqual(await ask('PUT', {}, 'x'.repeat(100_000)), [401, 1, 'no'], 'a body that is streamed is gone');
    accepts([]);
    assert.deepEqual(await ask('GET'), [401, 2, 'no'], 'once, not in circles');
    upstream.at('/guarded', (response) => response.writeHead(403).end('no'));
    assert.deepEqual(await ask('GET'), [403, 1, 'no']);
    upstream.at('/guarded', (response) => response.writeHead(500).end('no'));
    assert.deepEqual(await ask('GET'), [500, 1, 'no']);
    const slots = await until(async () => {
      const { slots } = (await keyward.call('GET', '/v1/routes/fallback/use')).body;
      return slots[0].calls === 10 && slots;
    });
    assert.deepEqual(slots.map(({ slot, calls, failures, unauthorized }) => [slot, calls, failures, unauthorized]), [['current', 10, 1, 8], ['next', 5, 0, 1]]);
  });

  test('slots: a route made anew begins without the use of the one that had its name', async () => {
    await route(keyward, 'again', least(upstream));
    await as('GET', '/r/again/x');
    const use = async () => (await keyward.call('GET', '/v1/routes/again/use')).body.slots;
    await until(async () => (await use())[0].calls === 1);
    await keyward.call('DELETE', '/v1/routes/again');
    await route(keyward, 'again', least(upstream));
    assert.deepEqual((await use()).map(({ calls, last_used_at }) => [calls, last_used_at]), [[0, null]]);
  });

  describe('numbers', () => {
    const wide = { limit: 1000, window_seconds: 3600 };
    const numbers = (fields) => least(upstream, { request: { numbers: { pointer: '/to', per_number: wide, per_range: wide, ...fields } } });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const send = (name, body, headers) => as('POST', `/r/${name}/messages`, body, { headers });

    test('only numbers of listed countries are reached, from JSON and from forms, one or many', async () => {
      await route(keyward, 'sms', numbers({ countries: ['DE', 'US'] }));
      for (const [body, headers] of [[{ to: MOBILE }], [{ to: [MOBILE, '+14155552671'] }], ['to=%2B4915112345678&text=hi', form], ['text=hi&to=%2B14155552671', { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }], [{ to: MOBILE }, { 'content-type': 'APPLICATION/JSON; charset=utf-8' }]]) {
        assert.equal((await send('sms', body, headers)).status, 200, JSON.stringify(body));
        assert.equal((await last().body()).toString(), typeof body === 'string' ? body : JSON.stringify(body), 'the body goes on as it came');
      }
      await unreached(async () => {
        for (const to of ['+33612345678', '+18765551234', '+14168765432', '+881612345678', '+883510012345', [MOBILE, '+33612345678']]) {
          const answer = await send('sms', { to });
          assert.deepEqual(brief(answer), [403, 'DESTINATION_NOT_ALLOWED'], String(to));
          assert.ok(!answer.text.includes([to].flat().at(-1)), 'the number is not repeated');
        }
        assert.equal((await send('sms', 'to=%2B33612345678', form)).status, 403);
      });
    });

    test('a body in which the number could be read in two ways, or not at all, is refused', () => unreached(async () => {
      for (const body of [`{"to":"${MOBILE}","to":"+33612345678"}`, `{"to":"+33612345678","to":"${MOBILE}"}`, `{"t\\u006f":"+33612345678","to":"${MOBILE}"}`, `{"to":"${MOBILE}"} {"to":"+33612345678"}`, `[{"to":"${MOBILE}"}]`, '', '{}', 'null', '"x"', `{"TO":"${MOBILE}"}`,
        ...[null, 4915112345678, '', '4915112345678', '004915112345678', '015112345678', '+49 151 12345678', ' +4915112345678', '+4915112345678 ', '+4915112345678;ext=1', '+49151123456781234', '+4911', '+0491511234567', '+４９15112345678', { number: MOBILE }, [], [[MOBILE]], Array(21).fill(MOBILE), [MOBILE, 7], `${MOBILE},+33612345678`, `${MOBILE}\n+33612345678`].map((to) => JSON.stringify({ to }))]) {
        const { status } = await send('sms', body);
        assert.equal(status, 400, body.slice(0, 80));
      }
      for (const body of ['to=%2B4915112345678&to=%2B33612345678', 'to=%2B4915112345678&%74o=%2B33612345678', 'to=+4915112345678', 'text=x', 'to', 'To=%2B4915112345678']) {
        assert.equal((await send('sms', body, form)).status, 400, body);
      }
      for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': 'multipart/form-data; boundary=x' }, { 'content-type': '' }, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, { 'content-type': 'application/json, text/plain' }, { 'content-type': 'application/vnd.api+json' }]) {
        const { status } = await send('sms', JSON.stringify({ to: MOBILE }), headers);
        assert.equal(status, 415, JSON.stringify(headers));
      }
      assert.deepEqual(brief(await send('sms', JSON.stringify({ to: MOBILE, text: 'x'.repeat(70_000) }))), [413, 'BODY_TOO_LARGE']);
    }));

    test('a second spelling of the number\'s field, which some servers prefer, is refused', () => unreached(async () => {
      for (const body of [`{"to":"${MOBILE}","To":"+33612345678"}`, `{"TO":"+33612345678","to":"${MOBILE}"}`]) assert.equal((await send('sms', body)).status, 400, `${body}: Go's encoding/json takes the last in any case`);
      for (const body of ['to=%2B4915112345678&to%5B%5D=%2B33612345678', 'to=%2B4915112345678&to[0]=%2B33612345678', 'to=%2B4915112345678&TO=%2B33612345678']) assert.equal((await send('sms', body, form)).status, 400, `${body}: PHP and Rack make a list of it`);
    }));

    test('a pointer leads into the body, and a call without a body needs no number', async () => {
      await route(keyward, 'deep', numbers({ pointer: '/message/0/to~1from', countries: ['DE'] }));
      assert.equal((await send('deep', { message: [{ 'to/from': MOBILE }] })).status, 200);
      assert.equal((await send('deep', { message: [{ 'to/from': '+33612345678' }] })).status, 403);
      assert.equal((await send('deep', { to: MOBILE })).status, 400);
      assert.equal((await as('GET', '/r/deep/messages')).status, 200);
      await unreached(async () => {
        assert.equal((await as('POST', '/r/deep/messages')).status, 415);
        assert.ok([400, 415].includes((await as('DELETE', '/r/deep/messages', { message: [{ 'to/from': '+3361' }] })).status));
        const chunked = `DELETE /r/deep/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${good.key}\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
        assert.match(await keyward.raw(chunked), /^HTTP\/1.1 400 /);
      });
    });

    test('one number, one range and one country are reached exactly as often as their limits say, by all callers together', async () => {
      await route(keyward, 'fraud', numbers({ per_number: { limit: 3, window_seconds: 86_400 }, per_range: { limit: 7, window_seconds: 86_400 }, per_country: { limit: 12, window_seconds: 86_400 } }));
      const keys = [good, ...(await Promise.all([keyward.create(), keyward.create()]))];
      const flood = async (list) => {
        const before = upstream.of('/messages').length;
        const answers = await Promise.all(list.map((to, i) => as('POST', '/r/fraud/messages', { to }, { key: keys[i % 3].key })));
        const passed = answers.filter(({ status }) => status === 200).length;
        for (const answer of answers) {
          if (answer.status === 200) continue;
          assert.deepEqual(brief(answer), [429, 'RATE_LIMITED']);
          assert.ok(Number(answer.headers.get('retry-after')) > 0);
        }
        assert.equal(upstream.of('/messages').length - before, passed, 'each that passed was one call of the upstream');
        return passed;
      };
      assert.equal(await flood(Array(15).fill('+4915112340000')), 3);
      assert.equal(await flood(Array.from({ length: 30 }, (_, i) => `+49151123400${String(i + 10)}`)), 4, 'the rest of the range');
      assert.equal(await flood(Array.from({ length: 30 }, (_, i) => `+4915${String(20000000 + i * 10_001)}0`.slice(0, 14))), 5, 'the rest of the country');
      assert.equal(await flood(['+436641234567', '+436641234567', '+436641234567', '+436641234567']), 3, 'another country has its own');
      const { anomalies } = (await keyward.call('GET', '/v1/routes/fraud/use')).body;
      const found = anomalies.map(({ kind, expected, refused }) => [kind, expected.limit, refused]);
      assert.deepEqual(found.filter(([kind]) => kind === 'destination').sort(), [['destination', 3, 1], ['destination', 3, 12]]);
      assert.deepEqual(found.find(([kind]) => kind === 'destination_range'), ['destination_range', 7, 26]);
      assert.deepEqual(found.find(([kind]) => kind === 'destination_country'), ['destination_country', 12, 25]);
      for (const { of, first_at, last_at, last_by } of anomalies) {
        assert.ok(Date.parse(first_at) <= Date.parse(last_at) && keys.some(({ id }) => id === last_by));
        assert.ok(!of.includes('4915112340000') && !of.includes('436641234567'), of);
      }
      await until(() => ['destination', 'destination_range', 'destination_country'].every((kind) => keyward.log.includes(`"kind":"${kind}"`)));
      assert.ok(!keyward.log.includes('4915112340000') && !keyward.log.includes('436641234567'));
    });

    test('a call to several numbers is taken from all limits or from none', async () => {
      await route(keyward, 'several', numbers({ per_number: { limit: 2, window_seconds: 86_400 }, per_range: { limit: 100, window_seconds: 86_400 } }));
      const [a, b] = ['+4915112349991', '+4915112349992'];
      assert.equal((await send('several', { to: [a, a] })).status, 200, 'two of two');
      assert.equal((await send('several', { to: [b, a] })).status, 429);
      assert.equal((await send('several', { to: [b, b, b] })).status, 429, 'three of two');
      assert.equal((await send('several', { to: [b, b] })).status, 200, 'what was refused was not taken');
      assert.equal((await send('several', { to: b })).status, 429);
    });
  });

  test('a route\'s limit holds exactly under load, and what is refused for it reaches no upstream', async () => {
    await route(keyward, 'limited', least(upstream, { limit: { limit: 9, window_seconds: 86_400 } }));
    const answers = await Promise.all(Array.from({ length: 40 }, () => as('GET', '/r/limited/limit')));
    assert.equal(answers.filter(({ status }) => status === 200).length, 9);
    assert.equal(upstream.of('/limit').length, 9);
    for (const { status, headers } of answers) if (status !== 200) assert.deepEqual([status, Number(headers.get('retry-after')) > 0], [429, true]);
  });

  test('29: limits and bounds that would not be kept are not taken', async () => {
    for (const [field, value] of [['limit', { limit: 0, window_seconds: 1 }], ['limit', { limit: -1, window_seconds: 1 }], ['limit', { limit: 1.5, window_seconds: 1 }], ['limit', { limit: 2 ** 53, window_seconds: 1 }], ['limit', { limit: 1, window_seconds: 0.5 }], ['limit', { limit: '1', window_seconds: 1 }],
      ['timeout_seconds', 0], ['timeout_seconds', -1], ['timeout_seconds', 1e9], ['idle_seconds', 0.5], ['request', { max_bytes: -1 }], ['request', { max_bytes: 2 ** 53 }], ['response', { max_bytes: 0.1 }], ['environment', 'prod'], ['allow', []], ['callers', {}], ['callers', undefined], ['credential', { type: 'cookie' }], ['credential', { type: 'header', name: 'Host' }],
      ['credential', { type: 'header', name: 'A\r\nB' }], ['credential', { type: 'header', name: 'X', prefix: 'a\r\nb' }], ['mock', { headers: { 'Set-Cookie': 'a' } }], ['mock', { body: 'x'.repeat(70_000) }]]) {
      const { status, body } = await keyward.call('PUT', '/v1/routes/refused', least(upstream, { [field]: value }));
      assert.equal(status, 400, `${field} ${JSON.stringify(value)?.slice(0, 60)}`);
      assert.ok((body.field ?? field).startsWith(field) || body.detail.includes('65536'), `${field}: ${body.field}`);
    }
    for (const name of ['A', '1a', 'a_b', 'a'.repeat(33), '-a', 'a%2fb', 'ä']) assert.ok([400, 404].includes((await keyward.call('PUT', `/v1/routes/${encodeURIComponent(name)}`, least(upstream))).status), name);
  });

  test('27: a secret with a line break, or too short to be told from chance, is refused and not repeated', async () => {
    for (const secret of ['short', 'a\r\nX-Injected: 1', 'line\nbreak-0123', '\0'.repeat(10), 'x'.repeat(4097), 7, null, '']) {
      const { status, text } = await keyward.call('PUT', '/v1/routes/plain/secrets/current', { secret });
      assert.equal(status, 400, String(secret).slice(0, 10));
      assert.ok(!text.includes('Injected') && !text.includes('break-'));
    }
  });

  test('mock: a test key gets the mock, marked as one, and the upstream is never reached', async () => {
    const testKey = await keyward.create({ environment: 'test' });
    const mock = { status: 202, headers: { 'Content-Type': 'application/json', 'X-Cost': '0' }, body: '{"id":"mock_{{request_id}}","to":"{{body:/to}}","n":{{body:/n}},"path":"{{path}}","at":"{{now}}","none":"{{body:/none}}"}', latency_ms: 50 };
    await route(keyward, 'mocked', least(upstream, { mock, request: { numbers: { pointer: '/to', countries: ['DE'] } } }));
    await unreached(async () => {
      const start = Date.now();
      const answer = await as('POST', '/r/mocked/messages', { to: MOBILE, n: 7 }, { key: testKey.key });
      assert.ok(Date.now() - start >= 49);
      assert.deepEqual([answer.status, answer.headers.get('keyward-mock'), answer.headers.get('x-cost'), answer.headers.get('cache-control')], [202, 'true', '0', 'no-store']);
      const { at, ...rest } = answer.body;
      assert.deepEqual(rest, { id: `mock_${answer.headers.get('keyward-request-id')}`, to: MOBILE, n: 7, path: '/messages', none: '' });
      assert.ok(Math.abs(Date.parse(at) - Date.now()) < 10_000);
      assert.equal((await as('POST', '/r/mocked/messages', { to: '+33612345678' }, { key: testKey.key })).status, 403, 'the rules hold, too');
      assert.equal((await as('PUT', '/r/mocked/messages', `{"to":"${MOBILE}","n":"\\",{{body:/to}}"}`, { key: testKey.key })).headers.get('keyward-mock'), 'true');
      const staging = await keyward.create({ environment: 'staging' });
      assert.equal((await as('POST', '/r/mocked/messages', { to: MOBILE }, { key: staging.key })).status, 401, 'which is no mock environment');
      await keyward.call('POST', `/v1/keys/${testKey.id}/revoke`);
      assert.equal((await as('POST', '/r/mocked/messages', { to: MOBILE }, { key: testKey.key })).status, 401, 'revoked it gets nothing');
    });
    const live = await as('POST', '/r/mocked/messages', { to: MOBILE });
    assert.deepEqual([live.status, live.headers.get('keyward-mock')], [200, null]);
  });

  test('mock: what stands in the body cannot break out of the template\'s JSON', async () => {
    const testKey = await keyward.create({ environment: 'test' });
    await route(keyward, 'template', least(upstream, { mock: { headers: JSON_TYPE, body: '{"a":"{{body:/a}}","b":{{body:/b}}}' } }));
    for (const a of ['"', '\\', '","admin":true,"x":"', '{{body:/b}}', '{{request_id}}', '\u2028', '\n', '😀']) {
      const { body } = await as('POST', '/r/template/x', { a, b: { c: [1] } }, { key: testKey.key });
      assert.deepEqual(body, { a, b: { c: [1] } });
    }
  });

  test('mock: what test keys send is not taken from the limits of live calls', async () => {
    const testKey = await keyward.create({ environment: 'test' });
    await route(keyward, 'apart', least(upstream, { mock: {}, limit: { limit: 2, window_seconds: 86_400 } }));
    for (let i = 0; i < 3; i += 1) await as('GET', '/r/apart/x', undefined, { key: testKey.key });
    assert.equal((await as('GET', '/r/apart/x')).status, 200);
  });

  test('identity: the upstream gets a token that jose verifies against the published keys, and can tell whom it is for', async () => {
    await route(keyward, 'identity', least(upstream, { credential: { type: 'identity' } }), null);
    const keys = createRemoteJWKSet(new URL(`${keyward.url}/.well-known/jwks.json`));
    const before = Math.floor(Date.now() / 1000);
    const answer = await as('GET', '/r/identity/who', undefined, { headers: { 'keyward-identity': 'forged.by.client', 'Keyward-Owner': 'root' } });
    assert.equal(answer.status, 200);
    assert.equal(last().names.filter((name) => /^keyward-identity$/i.test(name)).length, 1);
    assert.deepEqual([last().headers.authorization, last().headers['keyward-owner']], [undefined, undefined]);
    const token = last().headers['keyward-identity'];
    const { payload, protectedHeader } = await jwtVerify(token, keys, { algorithms: ['EdDSA'], issuer: 'https://keys.shop.example', audience: upstream.origin, subject: good.id, requiredClaims: ['exp', 'iat', 'jti'], maxTokenAge: 60 });
    assert.ok(payload.exp - payload.iat <= 60 && payload.iat >= before - 1 && payload.iat <= Date.now() / 1000);
    assert.deepEqual([payload.route, payload.owner, payload.scopes, payload.environment, payload.jti], ['identity', 'acme', ['calls:create'], 'live', answer.headers.get('keyward-request-id')]);
    assert.equal(protectedHeader.typ, 'JWT');
    await assert.rejects(jwtVerify(token, keys, { audience: elsewhere.origin }));
    const [head, claims, signature] = token.split('.');
    const forged = Buffer.from(JSON.stringify({ ...payload, sub: 'somebody-else' })).toString('base64url');
    await assert.rejects(jwtVerify(`${head}.${forged}.${signature}`, keys));
    await assert.rejects(jwtVerify(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`, keys));
    await as('GET', '/r/identity/who');
    assert.notEqual(last().headers['keyward-identity'], token);
  });

  test('identity: the published keys are public parts alone, and nobody needs a key to read them', async () => {
    const { status, body, headers } = await keyward.call('GET', '/.well-known/jwks.json', undefined, { key: null });
    assert.equal(status, 200);
    assert.match(headers.get('content-type'), /json/);
    for (const key of body.keys) assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x']);
  });

  test('identity: a token that an upstream echoes, or is sent, opens nothing here', async () => {
    await as('GET', '/r/identity/who');
    const token = last().headers['keyward-identity'];
    await unreached(async () => assert.equal((await as('GET', '/r/identity/who', undefined, { key: token })).status, 401));
  });

  test('11: no secret of an upstream stands in any answer of the management, in the log of changes or in a log line', async () => {
    const texts = [];
    for (const path of ['/v1/routes', ...['plain', 'bound', 'moving', 'echo', 'fallback', 'shared'].flatMap((name) => [`/v1/routes/${name}`, `/v1/routes/${name}/use`]), '/v1/audit?limit=100', '/openapi.json', '/healthz', '/.well-known/jwks.json', '/v1/audit/export']) {
      texts.push((await keyward.call('GET', path)).text);
    }
    for (let cursor = ''; cursor !== null; ) {
      const { text, body } = await keyward.call('GET', `/v1/audit?limit=100${cursor && `&cursor=${cursor}`}`);
      texts.push(text);
      cursor = body.next_cursor;
    }
    texts.push((await put(keyward, 'plain', 'current', { secret: SECRET }), keyward.log));
    for (const secret of [SECRET, 'bound-secret-0123456789', 'foreign-secret-01234567', 'another-0123456789', 'dead-secret-012345678', 'alive-secret-01234567', 'the-next-secret-987654', 'first-secret-01234567', keyward.env.KEYWARD_ROOT_SECRET, keyward.env.KEYWARD_TAG_KEY]) {
      for (const form of [secret, b64(secret), encodeURIComponent(secret), Buffer.from(secret).toString('hex'), createHash('sha256').update(secret).digest('hex')]) {
        assert.ok(!texts.some((text) => text.includes(form)), secret);
      }
    }
    const kinds = new Set(texts.join('').match(/"kind":"route\.[a-z_]+"/g));
    assert.deepEqual([...kinds].sort(), ['route.created', 'route.deleted', 'route.secret_retired', 'route.secret_set', 'route.traffic_shifted', 'route.updated'].map((kind) => `"kind":"${kind}"`));
    assert.equal((await keyward.call('GET', '/v1/audit/verify')).body.whole, true);
  });
});

describe('a new root secret', () => {
  test('sealed secrets and signed identities outlive it: sealed anew under it, and verified under both while both stand', async () => {
    const upstream = await Upstream.start();
    const keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: upstream.origin } });
    try {
      const { key } = await keyward.create();
      const call = async (path) => {
        const answer = await keyward.call('GET', path, undefined, { key });
        assert.equal(answer.status, 200, answer.text);
        return upstream.seen.at(-1).headers;
      };
      const kids = async () => (await keyward.call('GET', '/.well-known/jwks.json')).body.keys.map(({ kid }) => kid);
      const published = () => createRemoteJWKSet(new URL(`${keyward.url}/.well-known/jwks.json`));
      await route(keyward, 'sealed', least(upstream));
      await put(keyward, 'sealed', 'next', { secret: 'the-next-secret-987654' });
      await route(keyward, 'who', least(upstream, { credential: { type: 'identity' } }), null);
      assert.equal((await call('/r/sealed/x')).authorization, `Bearer ${SECRET}`);
      const old = (await call('/r/who/x'))['keyward-identity'];
      const [first] = await kids();

      const retired = keyward.env.KEYWARD_ROOT_SECRET;
      Object.assign(keyward.env, { KEYWARD_ROOT_SECRET: '6b'.repeat(32), KEYWARD_RETIRED_ROOT_SECRETS: retired });
      await keyward.restart();
      assert.equal((await call('/r/sealed/x')).authorization, `Bearer ${SECRET}`);
      const both = await kids();
      assert.deepEqual([both.length, both[1]], [2, first]);
      const now = (await call('/r/who/x'))['keyward-identity'];
      assert.deepEqual([decodeProtectedHeader(old).kid, decodeProtectedHeader(now).kid], [first, both[0]]);
      for (const token of [old, now]) await jwtVerify(token, published(), { issuer: 'keyward', audience: upstream.origin });
      // The keys of callers are digested anew as they are used, the log's head as it grows; that they are is another test's business.
      await keyward.create();
      await until(async () => (await keyward.call('GET', '/v1/reports/root-secrets')).body.retired[0].can_go);

      delete keyward.env.KEYWARD_RETIRED_ROOT_SECRETS;
      await keyward.restart();
      assert.deepEqual(await kids(), [both[0]]);
      assert.equal((await call('/r/sealed/x')).authorization, `Bearer ${SECRET}`, 'without the old one');
      await put(keyward, 'sealed', 'next', { weight: 100 });
      assert.equal((await call('/r/sealed/x')).authorization, 'Bearer the-next-secret-987654', 'both slots');
      await assert.rejects(jwtVerify(old, published()));
    } finally {
      await keyward.stop();
      await upstream.stop();
    }
  });

  test('the report lets no old root secret go that a sealed secret still needs', async () => {
    const upstream = await Upstream.start();
    const keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: upstream.origin } });
    try {
      const { key } = await keyward.create();
      await route(keyward, 'quiet', least(upstream));
      Object.assign(keyward.env, { KEYWARD_RETIRED_ROOT_SECRETS: keyward.env.KEYWARD_ROOT_SECRET, KEYWARD_ROOT_SECRET: '6c'.repeat(32) });
      await keyward.restart();
      assert.equal(await keyward.verdict(key), 'VALID');
      await keyward.create();
      await until(async () => (await keyward.call('GET', '/v1/reports/root-secrets')).body.retired[0].can_go);
      delete keyward.env.KEYWARD_RETIRED_ROOT_SECRETS;
      await keyward.restart();
      const { status, text } = await keyward.call('GET', '/r/quiet/x', undefined, { key });
      assert.equal(status, 200, `the route was not called meanwhile: ${text}`);
      assert.equal(upstream.seen.at(-1).headers.authorization, `Bearer ${SECRET}`);
    } finally {
      await keyward.stop();
      await upstream.stop();
    }
  });

  test('33: a secret whose root secret is gone without a successor is not sent, and neither is one whose binding was moved to another origin', async () => {
    const upstream = await Upstream.start();
    const keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: upstream.origin, UPSTREAM_A: 'bound-secret-0123456789', UPSTREAM_A_ORIGIN: upstream.origin } });
    try {
      const { key } = await keyward.create();
      await route(keyward, 'bound', least(upstream), null);
      await put(keyward, 'bound', 'current', { environment: 'UPSTREAM_A' });
      const call = async () => (await keyward.call('GET', '/r/bound/x', undefined, { key })).status;
      assert.equal(await call(), 200);
      keyward.env.UPSTREAM_A_ORIGIN = 'https://api.sms.example';
      await keyward.restart();
      assert.equal(await call(), 503);
      keyward.env.UPSTREAM_A_ORIGIN = upstream.origin;
      keyward.env.KEYWARD_LOCAL_UPSTREAMS = 'http://127.0.0.1:1';
      await keyward.restart();
      assert.equal(await call(), 503, 'a route to an origin that is no longer allowed is not in force');
      assert.equal(upstream.seen.length, 1);
    } finally {
      await keyward.stop();
      await upstream.stop();
    }
  });
});
