// Sessions of browsers: who begins them, what they are good for, and what they are not. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../.ci/setup.mjs';
import { Deployment } from './harness.mjs';
import { Siteverify, TURNSTILE_SECRET } from './siteverify.mjs';
import { Upstream, closedPort, least, route, until } from './upstream.mjs';

const wrappers = ['addressed.js', 'counting-routes.js', 'memory.js'].map((file) => join(root, 'tests', 'worker', file));
const SHOP = 'https://shop.example';
const APP = 'https://app.example';
/** Origins that are not SHOP, and look like it to whoever compares carelessly. */
const LOOK_ALIKES = ['null', 'http://shop.example', `${SHOP}:443`, `${SHOP}:8443`, `${SHOP}.evil.example`, 'https://evilshop.example', 'https://evil.shop.example', 'https://shop.exampl', 'https://SHOP.example', `${SHOP}/`,
  `${SHOP}, https://evil.example`, `https://evil.example, ${SHOP}`, `https://evil.example/?${SHOP}`, 'https://shop.example@evil.example', 'https://shopxexample', '*', 'https://*', 'https://evil.example'];

describe('sessions', () => {
  let keyward;
  let other;
  let upstream;
  let siteverify;
  let backend;
  /** All that was issued, none of which may stand anywhere else. */
  const issued = new Set();
  before(async () => {
    [upstream, siteverify] = [await Upstream.start(), await Siteverify.start()];
    const env = { KEYWARD_LOCAL_UPSTREAMS: upstream.origin, KEYWARD_TURNSTILE_SECRET: TURNSTILE_SECRET };
    keyward = await Deployment.start({ wrappers, env: { ...env, KEYWARD_TURNSTILE_URL: siteverify.url } });
    other = await Deployment.start({ env: { ...env, KEYWARD_TURNSTILE_URL: `http://127.0.0.1:${await closedPort()}/` } });
    backend = await keyward.create({ scopes: ['keyward.sessions:create'] });
    await route(keyward, 'shop', rules());
    await route(keyward, 'small', rules({}, { allow: [{ methods: ['POST'], path: '/messages' }] }));
  });
  after(async () => {
    await Promise.all([keyward.stop(), other.stop()]);
    await Promise.all([upstream.stop(), siteverify.stop()]);
  });

  /** A route for sessions that any page of SHOP begins. */
  const rules = (session, fields) => least(upstream, { callers: { session: { origins: [SHOP], mint: 'public', calls: 100, per_address: { limit: 10_000, window_seconds: 3600 }, per_route: { limit: 10_000, window_seconds: 3600 }, ...session } }, ...fields });
  const begin = async (name, body, { origin = SHOP, key = null, headers, of = keyward } = {}) => {
    const answer = await of.call('POST', `/v1/relay/sessions?route=${name}`, body, { key, headers: { ...(origin === null ? {} : { origin }), ...headers } });
    const token = answer.body?.token ?? /=(kws_[^;]+)/.exec(answer.headers.get('set-cookie'))?.[1];
    if (token) issued.add(token);
    return answer;
  };
  const begun = async (...asked) => {
    const { status, text, body, headers } = await begin(...asked);
    assert.equal(status, 201, text);
    return body.token ?? headers.get('set-cookie').split(';')[0];
  };
  const call = (path, token, { method = 'GET', body, origin = SHOP, headers, of = keyward } = {}) => {
    const credential = token?.startsWith('__Secure-') ? { cookie: token } : {};
    return of.call(method, path, body, { key: credential.cookie ? null : token, headers: { ...(origin === null ? {} : { origin }), ...credential, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers } });
  };
  const preflight = (path, origin, method = 'POST', headers = 'authorization,content-type') =>
    keyward.call('OPTIONS', path, undefined, { key: null, headers: { ...(origin === null ? {} : { origin }), 'access-control-request-method': method, 'access-control-request-headers': headers } });
  const brief = ({ status, body }) => [status, body?.code];
  const corsOf = ({ headers }) => [...headers.keys()].filter((name) => name.startsWith('access-control-'));
  const last = () => upstream.seen.at(-1);
  const unreached = async (work) => {
    const before = upstream.seen.length;
    const result = await work();
    assert.deepEqual(upstream.seen.slice(before).map(({ method, url }) => `${method} ${url}`), []);
    return result;
  };
  /** Asserts that the work asks no object anything; the edge's own renewals and reports are no part of a call. */
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
  let offset = 0;
  const now = () => Date.now() + offset;
  /** Has the Worker's clock go on by so many seconds; it never goes back. */
  const later = async (seconds) => {
    offset += Math.ceil(seconds * 1000);
    assert.equal((await keyward.call('POST', '/watched', { offset })).status, 200);
  };

  describe('pages', () => {
    test('a preflight from a listed origin is answered with that origin, the method and the headers, for ten minutes, asking no object; for what the route does not do it is refused', () => withoutStorage(async () => {
      for (const path of ['/v1/relay/sessions?route=shop', '/r/shop/x']) {
        const { status, headers, text } = await preflight(path, SHOP);
        const [allowed, names] = [headers.get('access-control-allow-methods').split(/, */), headers.get('access-control-allow-headers').toLowerCase().split(/, */)];
        assert.deepEqual([status, text, headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials'), headers.get('access-control-max-age')], [204, '', SHOP, 'true', '600'], path);
        assert.ok(allowed.includes('POST') && ['authorization', 'content-type'].every((name) => names.includes(name)));
        assert.match(headers.get('vary'), /\borigin\b/i);
      }
      for (const [path, method] of [['/r/small/messages', 'DELETE'], ['/r/small/other', 'POST'], ['/v1/relay/sessions?route=small', 'DELETE'], ['/r/none/x', 'POST']]) assert.ok((await preflight(path, SHOP, method)).status >= 400, `${method} ${path}`);
    }));

    test('from no origin, null, and any that only looks like a listed one there is no session, no call and not a word of CORS', async () => {
      const token = await begun('shop');
      await unreached(async () => {
        for (const origin of [...LOOK_ALIKES, null]) {
          for (const path of ['/v1/relay/sessions?route=shop', '/r/shop/x']) {
            const answer = await preflight(path, origin);
            assert.deepEqual([answer.status >= 400, corsOf(answer)], [true, []], `${origin} ${path}`);
          }
          const answer = await begin('shop', {}, { origin });
          assert.deepEqual([answer.status, answer.body.token, corsOf(answer)], [origin === null ? 401 : 403, undefined, []], String(origin));
          for (const method of ['GET', 'POST']) {
            const called = await call('/r/shop/x', token, { origin, method });
            assert.deepEqual([called.status, corsOf(called)], [403, []], `${method} ${origin}`);
          }
        }
      });
      assert.equal((await call('/r/shop/x', token)).headers.get('keyward-session-calls-left'), '99', 'and nothing was spent');
    });

    test('a session is for the one listed origin that began it, not for another listed one', async () => {
      await route(keyward, 'two', rules({ origins: [SHOP, APP] }));
      const token = await begun('two', {}, { origin: APP });
      await unreached(async () => {
        const answer = await call('/r/two/x', token, { origin: SHOP });
        assert.deepEqual([...brief(answer), answer.headers.get('access-control-allow-origin')], [403, 'ORIGIN_NOT_ALLOWED', SHOP]);
      });
      const answer = await call('/r/two/x', token, { origin: APP });
      assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin')], [200, APP]);
      assert.equal((await begin('two', { origin: APP }, { origin: SHOP })).status, 400, 'nor does a page begin one for another');
    });

    test('an answer carries keyward\'s own CORS headers, whatever the upstream says of them', async () => {
      upstream.at('/cors', (response) => response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'false', 'Access-Control-Expose-Headers': '*', Vary: 'Accept', 'Set-Cookie': 'a=b', 'X-Cost': '7' }).end('hi'));
      await route(keyward, 'costs', rules({}, { response: { headers: ['X-Cost'] } }));
      const { headers } = await call('/r/costs/cors', await begun('costs'));
      assert.deepEqual([headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials'), headers.get('set-cookie'), headers.get('x-cost')], [SHOP, 'true', null, '7']);
      const exposed = headers.get('access-control-expose-headers').toLowerCase().split(/, */);
      for (const name of ['x-cost', 'keyward-request-id', 'keyward-session-calls-left', 'retry-after']) assert.ok(exposed.includes(name), name);
      assert.ok(!exposed.includes('*'));
      assert.deepEqual(headers.get('vary').toLowerCase().split(/, */).sort(), ['accept', 'origin']);
      const written = await keyward.call('PUT', '/v1/routes/refused', rules({}, { response: { headers: ['Access-Control-Allow-Origin'] } }));
      assert.equal(written.status, 400, 'a route cannot pass the upstream\'s on');
    });

    test('a refusal can be read by the page that it is for', async () => {
      upstream.at('/dies', (response) => response.socket.destroy());
      await route(keyward, 'errors', rules({ calls: 2, per_address: { limit: 2, window_seconds: 3600 } }, { allow: [{ methods: ['POST'], path: '/*' }], request: { max_bytes: 10 } }));
      await route(keyward, 'narrow', rules({}, { limit: { limit: 1, window_seconds: 86_400 }, request: { numbers: { pointer: '/to', countries: ['DE'] } } }));
      await route(keyward, 'keys-only', { ...least(upstream), callers: { key: { scopes: ['calls:create'] }, session: { origins: [SHOP] } } });
      const [token, narrow] = [await begun('errors', {}, { origin: SHOP }), await begun('narrow')];
      const post = (path, body, options) => call(path, token, { method: 'POST', body, ...options });
      const answers = [
        [401, await call('/r/errors/x', null, { method: 'POST' })], [401, await call('/r/errors/x', `${token}x`, { method: 'POST' })], [400, await post('/r/errors/x', {}, { headers: { cookie: `__Secure-keyward-errors=${token}` } })],
        [404, await post('/r/errors/a/b', {})], [405, await call('/r/errors/x', token)], [413, await post('/r/errors/x', { a: 'long enough' })],
        [502, await post('/r/errors/dies', '{}')],
        [403, await call('/r/narrow/x', narrow, { method: 'POST', body: { to: '+33612345678' } })], [415, await call('/r/narrow/x', narrow, { method: 'POST', body: 'a', headers: { 'content-type': 'text/plain' } })],
        [400, await call('/r/narrow/x', narrow, { method: 'POST', body: '{' })], [200, await call('/r/narrow/x', narrow)], [429, await call('/r/narrow/x', narrow)],
        [400, await begin('errors', { nonsense: 1 })], [400, await begin('errors', '{')], [405, await keyward.call('GET', '/v1/relay/sessions?route=errors', undefined, { key: null, headers: { origin: SHOP } })],
        [403, await begin('keys-only')], [401, await begin('errors', {}, { key: 'x' })], [201, await begin('errors')], [429, await begin('errors')],
      ];
      answers.push([429, await until(async () => { const answer = await post('/r/errors/y', '{}'); return answer.status === 200 ? undefined : answer; })]);
      for (const [i, [status, answer]] of answers.entries()) assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin'), answer.headers.get('access-control-allow-credentials'), /origin/i.test(answer.headers.get('vary'))], [status, SHOP, 'true', true], `${i}: ${answer.text}`);
    });

    test('where only backends begin sessions, and where the route takes none, no page begins one', async () => {
      await route(keyward, 'backend', rules({ mint: 'backend' }));
      await route(keyward, 'default', rules({ mint: undefined }));
      await route(keyward, 'none', least(upstream));
      for (const [name, code] of [['backend', 'SESSION_BY_BACKEND_ONLY'], ['default', 'SESSION_BY_BACKEND_ONLY'], ['none', 'NO_SESSIONS']]) assert.deepEqual(brief(await begin(name)), [403, code]);
      for (const query of ['', '?route=', '?route=shop&route=shop', '?route=shop&x=1', '?Route=shop']) assert.equal((await keyward.call('POST', `/v1/relay/sessions${query}`, undefined, { key: null, headers: { origin: SHOP } })).status, query === '?route=' ? 404 : 400, query);
    });
  });

  describe('backends', () => {
    test('a backend begins sessions with a key that holds keyward.sessions:create, and with no other', async () => {
      const keys = await Promise.all([['keyward.sessions:create'], ['keyward.*:*'], ['*:*'], ['calls:create'], ['keyward.routes:write'], ['keyward.keys:verify', 'keyward.keys:write']].map((scopes) => keyward.create({ scopes })));
      const [gone, staging] = [await keyward.create({ scopes: ['keyward.sessions:create'] }), await keyward.create({ scopes: ['keyward.sessions:create'], environment: 'staging' })];
      await keyward.call('POST', `/v1/keys/${gone.id}/revoke`);
      for (const name of ['shop', 'backend']) {
        const ask = async (key) => brief(await begin(name, {}, { key, origin: null }));
        for (const { key } of keys.slice(0, 2)) assert.deepEqual(await ask(key), [201, undefined]);
        for (const { key } of keys.slice(2)) assert.deepEqual(await ask(key), [403, 'INSUFFICIENT_SCOPE']);
        for (const key of [null, gone.key, staging.key, await begun('shop'), 'nonsense']) assert.deepEqual(await ask(key), [401, 'UNAUTHORIZED']);
      }
      const { body, headers } = await begin('backend', {}, { key: backend.key, origin: null });
      assert.deepEqual([body.route, body.origin, body.calls, headers.get('cache-control')], ['backend', SHOP, 100, 'no-store']);
      assert.equal((await call('/r/backend/x', body.token)).status, 200);
      assert.equal((await call('/r/backend/x', body.token, { origin: null })).status, 403, 'it is for the page, not for the backend');
    });

    test('a backend narrows calls, seconds and origin, and widens none', async () => {
      await route(keyward, 'narrowed', rules({ mint: 'backend', origins: [SHOP, APP], calls: 5, seconds: 60 }));
      const ask = (body) => begin('narrowed', body, { key: backend.key, origin: null });
      const { body: { token, calls, expires_at, origin } } = await ask({ origin: APP, calls: 2, seconds: 10 });
      assert.deepEqual([calls, origin], [2, APP]);
      assert.ok(Date.parse(expires_at) <= now() + 10_000 && Date.parse(expires_at) > now() + 5_000);
      const statuses = [];
      for (let i = 0; i < 3; i += 1) statuses.push((await call('/r/narrowed/x', token, { origin: APP })).status);
      assert.deepEqual(statuses, [200, 200, 429]);
      for (const body of [{}, { origin: 'https://evil.example' }, { origin: 'null' }, { origin: '' }, { origin: SHOP, calls: 0 }, { origin: SHOP, calls: -1 }, { origin: SHOP, calls: 1.5 }, { origin: SHOP, calls: '2' }, { origin: SHOP, seconds: 0 }, { origin: SHOP, scopes: [] }, { origin: SHOP, route: 'shop' }, []]) {
        assert.equal((await ask(body)).status, 400, JSON.stringify(body));
      }
      for (const more of [{ calls: 6 }, { calls: 10_000 }, { seconds: 3600 }]) {
        const { status, body } = await ask({ origin: SHOP, ...more });
        if (status === 201) assert.ok(body.calls <= 5 && Date.parse(body.expires_at) <= now() + 60_000, JSON.stringify(more));
        else assert.equal(status, 400, JSON.stringify(more));
      }
      await route(keyward, 'few', rules({ calls: 5, seconds: 60 }));
      const { body } = await begin('few', { calls: 10_000, seconds: 3600 });
      assert.ok(body.calls <= 5 && Date.parse(body.expires_at) <= now() + 60_000, 'a page neither');
    });

    test('a session ends with the key that began it: revoked, disabled, or without its scope, strict or not', async () => {
      for (const max_staleness_seconds of [0, 5]) {
        for (const end of [({ id }) => keyward.call('POST', `/v1/keys/${id}/revoke`), ({ id }) => keyward.call('POST', `/v1/keys/${id}/disable`), ({ id }) => keyward.call('PATCH', `/v1/keys/${id}`, { scopes: ['calls:create'] })]) {
          const parent = await keyward.create({ scopes: ['keyward.sessions:create'], max_staleness_seconds });
          const token = await begun('backend', {}, { key: parent.key, origin: null });
          assert.equal((await call('/r/backend/x', token)).status, 200);
          assert.equal((await end(parent)).status, 200);
          await unreached(async () => assert.deepEqual(brief(await call('/r/backend/x', token)), [401, 'UNAUTHORIZED'], String(end)));
        }
      }
    });

    test('mock: a session that a key of a mock environment begins gets the mock, and never reaches the upstream', async () => {
      const mock = { status: 202, headers: { 'Content-Type': 'application/json' }, body: '{"id":"mock"}' };
      await route(keyward, 'mocked', rules({ calls: 2, per_route: { limit: 1, window_seconds: 86_400 } }, { mock }));
      const tester = await keyward.create({ scopes: ['keyward.sessions:create'], environment: 'test' });
      const token = await begun('mocked', {}, { key: tester.key, origin: null });
      await unreached(async () => {
        for (const status of [202, 202, 429]) {
          const answer = await call('/r/mocked/x', token, { method: 'POST', body: {} });
          assert.deepEqual([answer.status, answer.headers.get('keyward-mock')], [status, status === 202 ? 'true' : null]);
          assert.equal(answer.headers.get('access-control-allow-origin'), SHOP);
        }
        assert.equal((await begin('shop', {}, { key: tester.key, origin: null })).status, 401, 'a route without a mock has nothing for it');
      });
      const live = await call('/r/mocked/x', await begun('mocked'));
      assert.deepEqual([live.status, live.headers.get('keyward-mock')], [200, null], 'and live ones have a budget of their own');
      await route(keyward, 'unmocked', rules({}, { mock }));
      const orphan = await begun('unmocked', {}, { key: tester.key, origin: null });
      await route(keyward, 'unmocked', rules());
      await unreached(async () => assert.ok((await call('/r/unmocked/x', orphan)).status >= 400, 'without the mock there is nothing, not the upstream'));
    });
  });

  describe('cookies', () => {
    test('a cookie is HttpOnly, Secure, SameSite=Strict, of one route\'s path, no longer-lived than its session, and its token stands in no body', async () => {
      const { status, headers, text, body } = await begin('shop', { cookie: true, seconds: 60 });
      const [pair, ...attributes] = headers.get('set-cookie').split('; ');
      assert.equal(status, 201);
      assert.match(pair, /^__Secure-keyward-shop=kws_[\w.-]+$/);
      assert.deepEqual(attributes.sort(), ['HttpOnly', 'Max-Age=60', 'Path=/r/shop/', 'SameSite=Strict', 'Secure']);
      assert.ok(!text.includes('kws_') && body.token === undefined);
      assert.equal((await begin('shop')).headers.get('set-cookie'), null);
    });

    test('a cookie calls from its own origin, is counted, and goes to no upstream', async () => {
      const cookie = await begun('shop', { cookie: true });
      const answer = await call('/r/shop/cookie', cookie, { method: 'POST', body: {}, headers: { cookie: `theme=dark; ${cookie}; __Secure-keyward-small=kws_a.b` } });
      assert.deepEqual([answer.status, answer.headers.get('keyward-session-calls-left'), answer.headers.get('set-cookie')], [200, '99', null]);
      assert.deepEqual([last().path, last().headers.cookie, last().headers.origin], ['/cookie', undefined, undefined]);
      assert.ok(!JSON.stringify(last().headers).includes('kws_'));
    });

    test('a cookie that another site\'s page, a form, an image or a link has the browser send does nothing', async () => {
      const cookie = await begun('shop', { cookie: true });
      await unreached(async () => {
        for (const [origin, site] of [['https://evil.example', 'cross-site'], ['https://other.shop.example', 'same-site'], ['null', 'cross-site'], ['null', 'same-origin'], [null, 'cross-site'], [null, 'same-site'], [null, 'none'], [null, 'same-origin'], [null, undefined]]) {
          for (const method of ['GET', 'POST', 'DELETE']) {
            const answer = await call('/r/shop/x', cookie, { origin, method, headers: { 'content-type': 'text/plain', ...(site && { 'sec-fetch-site': site }) } });
            assert.deepEqual([answer.status, corsOf(answer)], [403, []], `${method} ${origin} ${site}`);
          }
        }
      });
    });

    test('on keyward\'s own origin, whose pages send no Origin with GET, the browser\'s word that it is the same origin counts, and no other', async () => {
      await route(keyward, 'own', rules({ origins: [keyward.url] }));
      for (const token of [await begun('own', { cookie: true }, { origin: keyward.url }), await begun('own', {}, { origin: keyward.url })]) {
        const ask = async (site) => (await call('/r/own/x', token, { origin: null, headers: site && { 'sec-fetch-site': site } })).status;
        assert.equal(await ask('same-origin'), 200);
        await unreached(async () => { for (const site of ['same-site', 'cross-site', 'none', 'same-origin, cross-site', '', undefined]) assert.equal(await ask(site), 403, site); });
      }
    });

    test('2: two credentials are refused: a cookie beside a bearer, two bearers, two cookies of one name', async () => {
      const [cookie, token, second] = [await begun('shop', { cookie: true }), await begun('shop'), await begun('shop', { cookie: true })];
      await unreached(async () => {
        for (const headers of [{ cookie, authorization: `Bearer ${token}` }, { cookie, authorization: 'Basic dTpw' }, { authorization: `Bearer ${token}, Bearer ${token}` }, { authorization: `Bearer ${token},${token}` }, { cookie: `${cookie}; ${second}` }]) {
          assert.deepEqual(brief(await call('/r/shop/x', null, { headers })), [400, 'SEVERAL_CREDENTIALS'], JSON.stringify(headers).replace(/kws_[\w.-]+/g, 'kws_…'));
        }
        assert.equal((await begin('shop', {}, { headers: { authorization: `Bearer ${backend.key}, Bearer ${backend.key}` } })).status, 400);
      });
    });

    test('a key is no cookie: what browsers send by themselves, whoever asks, opens only sessions', async () => {
      await route(keyward, 'both', { ...rules(), callers: { ...rules().callers, key: { scopes: ['calls:create'] } } });
      const { key } = await keyward.create();
      assert.equal((await call('/r/both/x', key, { origin: null })).status, 200);
      await unreached(async () => { for (const origin of [null, 'https://evil.example', SHOP]) assert.equal((await call('/r/both/x', `__Secure-keyward-both=${key}`, { origin, method: 'POST' })).status, 401, origin); });
    });
  });

  describe('counts', () => {
    test('of fifty calls at once on a session of twenty, exactly twenty reach the upstream and thirty are 429', async () => {
      await route(keyward, 'twenty', rules({ calls: 20 }));
      const [token, another] = [await begun('twenty'), await begun('twenty')];
      const answers = await Promise.all(Array.from({ length: 50 }, () => call('/r/twenty/twenty', token)));
      assert.equal(upstream.of('/twenty').length, 20);
      const passed = answers.filter(({ status }) => status === 200);
      assert.deepEqual(passed.map(({ headers }) => Number(headers.get('keyward-session-calls-left'))).sort((a, b) => a - b), Array.from({ length: 20 }, (_, i) => i));
      for (const answer of answers) if (answer.status !== 200) assert.deepEqual(brief(answer), [429, 'SESSION_SPENT']);
      await unreached(async () => assert.equal((await call('/r/twenty/twenty', `__Secure-keyward-twenty=${token}`)).status, 429, 'nor as a cookie'));
      assert.equal((await call('/r/twenty/x', another)).headers.get('keyward-session-calls-left'), '19', 'sessions count apart');
    });

    test('a call that one of the route\'s rules refuses spends nothing of its session; one whose upstream fails was sent, and is spent', async () => {
      upstream.at('/fails', (response) => response.socket.destroy());
      await route(keyward, 'fails', rules({ calls: 1 }));
      const failing = await begun('fails');
      assert.deepEqual([(await call('/r/fails/fails', failing)).status, (await call('/r/fails/fails', failing)).status, upstream.of('/fails').length], [502, 429, 1]);
      const window_seconds = 86_400;
      await route(keyward, 'ruled', rules({ calls: 3 }, { allow: [{ methods: ['POST'], path: '/messages' }], request: { max_bytes: 200, numbers: { pointer: '/to', countries: ['DE'], per_number: { limit: 1, window_seconds } } } }));
      const token = await begun('ruled');
      const send = (body, options) => call('/r/ruled/messages', token, { method: 'POST', body, ...options });
      const left = async (to) => { const { status, headers } = await send({ to }); return [status, headers.get('keyward-session-calls-left')]; };
      assert.deepEqual(await left('+4915112341001'), [200, '2']);
      await unreached(async () => {
        const refused = [await send({ to: '+4915112341001' }), await send({ to: '+33612345678' }), await send('a', { headers: { 'content-type': 'text/plain' } }), await send('{'), await send({ to: 'a'.repeat(300) }), await call('/r/ruled/other', token, { method: 'POST', body: {} }), await call('/r/ruled/messages', token), await send({ to: '+4915112341002' }, { origin: APP })];
        assert.deepEqual(refused.map(({ status }) => status), [429, 403, 415, 400, 413, 404, 405, 403]);
      });
      assert.deepEqual([await left('+4915112341002'), await left('+4915112341003'), await left('+4915112341004')], [[200, '1'], [200, '0'], [429, null]]);
    });

    test('a call that is refused for the length of its body, or for want of the route\'s secret, spends nothing either', async () => {
      await route(keyward, 'bounded', rules({ calls: 2 }, { request: { max_bytes: 10 } }));
      await route(keyward, 'unset', rules({ calls: 2 }), null);
      for (const [name, status, body] of [['bounded', 413, 'a'.repeat(11)], ['unset', 503, 'a']]) {
        const token = await begun(name);
        await unreached(async () => { for (let i = 0; i < 3; i += 1) assert.equal((await call(`/r/${name}/x`, token, { method: 'POST', body })).status, status, `${name}: call ${i + 1}`); });
      }
    });

    test('where nobody can count, or say whether the key that began a session stands, no session begins and no call goes through', async () => {
      const strict = await keyward.create({ scopes: ['keyward.sessions:create'], max_staleness_seconds: 0 });
      const [token, born] = [await begun('shop'), await begun('shop', {}, { key: strict.key, origin: null })];
      await unreached(async () => {
        for (const [silent, work] of [['route', () => [begin('shop'), call('/r/shop/x', token)]], ['key', () => [call('/r/shop/x', born)]]]) {
          await keyward.call('POST', '/watched', { offset, silent: [silent] });
          for (const answer of await Promise.all(work())) assert.deepEqual([...brief(answer), answer.body.token, answer.headers.get('access-control-allow-origin')], [503, 'UNAVAILABLE', undefined, SHOP], silent);
        }
      });
      await later(0);
      assert.equal((await call('/r/shop/x', born)).status, 200);
    });

    test('a session is over at expires_at, as bearer and as cookie, and asks no object then', async () => {
      await route(keyward, 'short', rules({ seconds: 60 }));
      const began = now();
      const { body: { token, expires_at } } = await begin('short');
      const cookie = await begun('short', { cookie: true });
      assert.ok(Date.parse(expires_at) >= began + 60_000 && Date.parse(expires_at) <= now() + 60_000);
      await later((Date.parse(expires_at) - now()) / 1000 - 2);
      for (const credential of [token, cookie]) assert.equal((await call('/r/short/x', credential)).status, 200);
      await later((Date.parse(expires_at) - now()) / 1000 + 0.5);
      await call('/r/short/x', null);
      await unreached(() => withoutStorage(async () => { for (const credential of [token, `__Secure-keyward-short=${token}`]) assert.deepEqual(brief(await call('/r/short/x', credential)), [401, 'UNAUTHORIZED']); }));
    });

    test('one address begins exactly as many sessions as the route says, others are not the worse for it, and Retry-After says when', async () => {
      await route(keyward, 'budget', rules({ per_address: { limit: 5, window_seconds: 1000 } }));
      const ask = async (address, count = 1, headers) => (await Promise.all(Array.from({ length: count }, () => begin('budget', {}, { headers: { ...(address && { 'x-test-address': address }), ...headers } }))));
      const many = await ask('192.0.2.1', 20);
      assert.equal(many.filter(({ status }) => status === 201).length, 5);
      for (const answer of many) {
        if (answer.status === 201) continue;
        const retry = Number(answer.headers.get('retry-after'));
        assert.deepEqual([...brief(answer), answer.body.token, retry > 190 && retry <= 200], [429, 'RATE_LIMITED', undefined, true], `${retry}`);
      }
      assert.equal((await ask('192.0.2.2', 6)).filter(({ status }) => status === 201).length, 5);
      assert.equal((await ask('::ffff:192.0.2.1'))[0].status, 429, 'the same address, written as IPv6');
      await later(201);
      assert.equal((await ask('192.0.2.1', 4)).filter(({ status }) => status === 201).length, 1);
      assert.equal((await begin('budget', {}, { key: backend.key, headers: { 'x-test-address': '192.0.2.1' } })).status, 201, 'a backend begins them for many');
      for (let i = 0; i < 5; i += 1) assert.equal((await ask())[0].status, 201);
      assert.equal((await ask(undefined, 1, { 'cf-connecting-ip': '198.51.100.1', 'x-forwarded-for': '198.51.100.2', 'x-real-ip': '198.51.100.3', forwarded: 'for=198.51.100.4' }))[0].status, 429, 'and nobody says himself where he is');
    });

    test('of IPv6 the first 64 bits are the address: its holder has the rest of them', async () => {
      await route(keyward, 'six', rules({ per_address: { limit: 2, window_seconds: 86_400 } }));
      const statuses = [];
      for (const address of ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::3', '2001:DB8:1:2:0::4', '2001:db8:1:3::1', '2001:db8:1:3::2', '2001:db8:1:3::3']) statuses.push((await begin('six', {}, { headers: { 'x-test-address': address } })).status);
      assert.deepEqual(statuses, [201, 201, 429, 429, 201, 201, 429]);
    });

    test('the route\'s own ceiling holds for all addresses and backends together, exactly, and what it stopped is an anomaly; what is refused before counts nothing', async () => {
      await route(keyward, 'ceiling', rules({ per_route: { limit: 6, window_seconds: 86_400 } }));
      for (let i = 0; i < 10; i += 1) await begin('ceiling', {}, { origin: i % 2 ? null : 'https://evil.example' });
      for (let i = 0; i < 10; i += 1) await begin('ceiling', i % 2 ? { nonsense: 1 } : {}, { key: i % 2 ? null : 'nonsense' });
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => begin('ceiling', {}, i % 4 ? { headers: { 'x-test-address': `192.0.2.${i}` } } : { key: backend.key })));
      assert.equal(answers.filter(({ status }) => status === 201).length, 6);
      for (const { status, headers } of answers) if (status !== 201) assert.deepEqual([status, Number(headers.get('retry-after')) > 0], [429, true]);
      const { anomalies } = (await keyward.call('GET', '/v1/routes/ceiling/use')).body;
      assert.deepEqual(anomalies.map(({ kind, refused, expected }) => [kind, refused, expected]), [['sessions', 14, { limit: 6, window_seconds: 86_400 }]]);
    });
  });

  describe('what a session is bound to', () => {
    test('a session is good for its route alone, and for nothing else here', async () => {
      await route(keyward, 'bound', rules());
      const [token, cookie] = [await begun('bound'), await begun('bound', { cookie: true })];
      await unreached(() => withoutStorage(async () => {
        for (const credential of [token, cookie, cookie.replace('-bound=', '-shop=')]) assert.deepEqual(brief(await call('/r/shop/x', credential)), [401, 'UNAUTHORIZED']);
        for (const [method, path] of [['GET', '/v1/routes'], ['GET', '/v1/routes/bound'], ['DELETE', '/v1/routes/bound'], ['GET', '/v1/keys'], ['POST', '/v1/keys'], ['GET', '/v1/authorize'], ['GET', '/v1/audit'], ['POST', '/v1/relay/sessions?route=bound']]) {
          for (const credential of [token, cookie]) assert.equal((await call(path, credential, { method, origin: path.includes('relay') && credential === token ? null : 'https://evil.example' })).status, path.includes('relay') && credential === cookie ? 403 : 401, path);
        }
      }));
      assert.equal(await keyward.verdict(token), 'MALFORMED');
      assert.equal((await call('/r/bound/x', token)).status, 200);
    });

    test('a session outlives a change of its route that concerns others, and ends with the rule for sessions, with its origin, and with the route, whatever is made under that name later', async () => {
      const refused = async (token) => unreached(async () => assert.ok([401, 404].includes((await call('/r/changing/x', token)).status)));
      await route(keyward, 'changing', rules({ origins: [SHOP, APP] }));
      let token = await begun('changing');
      await route(keyward, 'changing', rules({ origins: [SHOP] }, { timeout_seconds: 5 }));
      assert.equal((await call('/r/changing/x', token)).status, 200);
      await route(keyward, 'changing', rules({ origins: [APP] }));
      await refused(token);
      await route(keyward, 'changing', least(upstream));
      await refused(token);
      await route(keyward, 'changing', rules());
      token = await begun('changing');
      await keyward.call('DELETE', '/v1/routes/changing');
      await refused(token);
      assert.equal((await begin('changing')).status, 404);
      await route(keyward, 'changing', rules());
      await refused(token);
      assert.equal((await call('/r/changing/x', await begun('changing'))).status, 200);
    });

    test('a forged token is refused without asking anybody: any bit changed, shortened, lengthened, with another end, count, route or origin, or of another deployment', async () => {
      await route(other, 'shop', rules());
      const token = await begun('shop');
      const [payload, code] = token.slice(4).split('.');
      const lines = Buffer.from(payload, 'base64url').toString().split('\n');
      assert.equal(lines.length, 9, 'the payload is what src/session.rs says');
      const encode = (text) => Buffer.from(text).toString('base64url');
      const replaced = (at, value) => `kws_${encode(Object.assign([...lines], { [at]: value }).join('\n'))}.${code}`;
      const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const forged = [replaced(1, 'aaaaaaaaaaaaaaaa'), replaced(2, 'two'), replaced(4, 'https://evil.example'), replaced(5, String(now() + 3_600_000)), replaced(6, '10000'), replaced(7, '1'), replaced(8, backend.id), replaced(0, '00000000'),
        token.slice(0, -1), token.slice(1), token.slice(4), `kws_${payload}`, `kws_${payload}.`, `kws_.${code}`, 'kws_', 'kws_.', `${token}A`, `${token}=`, `${token}.${code}`, `${token}.`, `KWS_${token.slice(4)}`, `kws_${code}.${payload}`, `kws_${encode('')}.${code}`,
        `kws_${payload}.${'A'.repeat(43)}`, `kws_${payload}.${encode(Buffer.alloc(32))}`, `kws_${payload}.${encode(Buffer.alloc(1))}`, `kws_${payload}.${code}${code}`, await begun('shop', {}, { of: other }), `kws_${payload}.${(await begun('shop', {}, { of: other })).split('.')[1]}`];
      for (let at = 0; at < token.length; at += 1) {
        const digit = ALPHABET.indexOf(token[at]);
        // Of a digit each of its six bits, elsewhere the lowest one of the character.
        const bits = at > 3 && digit >= 0 ? [1, 2, 4, 8, 16, 32].map((bit) => ALPHABET[digit ^ bit]) : [String.fromCharCode(token.charCodeAt(at) ^ 1)];
        for (const bit of bits) forged.push(token.slice(0, at) + bit + token.slice(at + 1));
      }
      await unreached(() => withoutStorage(async () => {
        for (let i = 0; i < forged.length; i += 40) {
          const answers = await Promise.all(forged.slice(i, i + 40).map((text, j) => call('/r/shop/x', j % 2 ? text : `__Secure-keyward-shop=${text}`)));
          answers.forEach((answer, j) => assert.deepEqual(brief(answer), [401, 'UNAUTHORIZED'], forged[i + j]));
        }
        for (const long of [`kws_${'a'.repeat(100_000)}.${code}`, `${token}${'a'.repeat(100_000)}`]) {
          for (const line of [`Authorization: Bearer ${long}`, `Cookie: __Secure-keyward-shop=${long}`]) assert.match(await keyward.raw(`GET /r/shop/x HTTP/1.1\r\nHost: x\r\nOrigin: ${SHOP}\r\nConnection: close\r\n${line}\r\n\r\n`), /^HTTP\/1.1 4(01|31|00) /);
        }
      }));
      assert.equal((await call('/r/shop/x', token)).status, 200);
    });

    test('a session of a root secret that was retired is good to its end, and of one that is gone it is not', async () => {
      await route(other, 'plain', rules({}, { credential: undefined }), null);
      const token = await begun('plain', {}, { of: other });
      const status = async () => (await call('/r/plain/x', token, { of: other })).status;
      assert.equal(await status(), 200);
      Object.assign(other.env, { KEYWARD_ROOT_SECRET: '5a'.repeat(32), KEYWARD_RETIRED_ROOT_SECRETS: other.env.KEYWARD_ROOT_SECRET });
      await other.restart();
      assert.equal(await status(), 200);
      const retired = other.env.KEYWARD_RETIRED_ROOT_SECRETS;
      delete other.env.KEYWARD_RETIRED_ROOT_SECRETS;
      await other.restart();
      await unreached(async () => assert.equal(await status(), 401));
      other.env.KEYWARD_RETIRED_ROOT_SECRETS = retired;
      await other.restart();
    });
  });

  describe('Turnstile', () => {
    before(() => route(keyward, 'checked', rules({ mint: 'turnstile', origins: [SHOP, 'http://localhost:5173'] })));
    const check = (turnstile, options) => begin('checked', { turnstile }, options);

    test('a page begins a session with a token that siteverify accepts, which gets the secret, the token and the visitor\'s address', async () => {
      const { status, body } = await check('good-1', { headers: { 'x-test-address': '203.0.113.9' } });
      assert.equal(status, 201);
      const { method, url, type, form } = siteverify.seen.at(-1);
      assert.deepEqual([method, url, type.split(';')[0], Object.fromEntries(form)], ['POST', '/turnstile/v0/siteverify', 'application/x-www-form-urlencoded', { secret: TURNSTILE_SECRET, response: 'good-1', remoteip: '203.0.113.9' }]);
      assert.equal((await call('/r/checked/x', body.token)).status, 200);
      assert.equal((await check('of-localhost', { origin: 'http://localhost:5173' })).status, 201, 'a port is no part of the hostname');
    });

    test('a token that was refused, used before, or begun on another site begins no session', async () => {
      assert.equal((await check('good-twice')).status, 201);
      for (const token of ['good-twice', 'wrong', 'says-1', 'says-true', 'says-nothing', 'other-site', 'lower-site', 'longer-site', 'no-site', 'empty-site', 'of-localhost']) {
        const answer = await check(token);
        assert.deepEqual([...brief(answer), answer.body.token, answer.headers.get('set-cookie'), answer.headers.get('access-control-allow-origin')], [403, 'TURNSTILE_FAILED', undefined, null, SHOP], token);
      }
      assert.ok((await check('says-internal-error')).status >= 400);
      const twins = await Promise.all(Array.from({ length: 10 }, () => check('good-at-once')));
      assert.equal(twins.filter(({ status }) => status === 201).length, 1);
    });

    test('without a token, with one that is none, or from an origin that is not listed, nobody is asked', async () => {
      const before = siteverify.seen.length;
      for (const body of [{}, undefined, { turnstile: null }, { turnstile: '' }, { turnstile: 7 }, { turnstile: ['good-2'] }, { turnstile: 'a'.repeat(5000) }]) assert.equal((await begin('checked', body)).status, 400, JSON.stringify(body)?.slice(0, 40));
      for (const origin of ['https://evil.example', 'null', null]) assert.equal((await check('good-3', { origin })).status, origin === null ? 401 : 403);
      assert.equal(siteverify.seen.length, before);
    });

    test('where siteverify is down, slow or makes no sense there is no session, the page may try again, and the secret is not told', async () => {
      const answers = await Promise.all(['never-answered', 'stalls', 'breaks-off', 'is-html', 'is-empty', 'is-null', 'answers-500', 'answers-302'].map(async (token) => [token, await check(token)]));
      await route(other, 'checked', rules({ mint: 'turnstile' }));
      answers.push(['down', await check('good-4', { of: other })]);
      for (const [token, answer] of answers) assert.deepEqual([...brief(answer), answer.body.token, answer.headers.get('access-control-allow-origin')], [503, 'UNAVAILABLE', undefined, SHOP], token);
      assert.ok(!siteverify.seen.some(({ url }) => url === '/moved'), 'a redirect is not followed with the secret');
      const texts = [keyward.log, other.log, ...answers.flatMap(([, { text, headers }]) => [text, JSON.stringify([...headers])])];
      for (const path of ['/v1/routes/checked', '/v1/routes/checked/use', '/openapi.json', '/v1/audit?limit=100']) texts.push((await keyward.call('GET', path)).text);
      assert.ok(!texts.some((text) => text.includes(TURNSTILE_SECRET) || text.includes('answers-500')));
    });

    test('a backend needs no check; without the setting, no page begins a session and it says so', async () => {
      const before = siteverify.seen.length;
      assert.equal((await begin('checked', { origin: SHOP }, { key: backend.key, origin: null })).status, 201);
      assert.equal(siteverify.seen.length, before);
      delete other.env.KEYWARD_TURNSTILE_SECRET;
      await other.restart();
      assert.deepEqual(brief(await check('good-5', { of: other })), [503, 'TURNSTILE_NOT_CONFIGURED']);
    });
  });

  test('11: a token in the URL of a call is refused as a key is, and goes to no upstream', async () => {
    const token = await begun('shop');
    await unreached(async () => {
      for (const path of [`/r/shop/x?token=${token}`, `/r/shop/${token}`, `/r/shop/x?a=${token.replace('_', '%5f')}`, `/v1/relay/sessions?route=${token}`, `/v1/relay/sessions?route=shop&token=${token}`]) {
        for (const credential of [token, null]) {
          const { status, text } = await call(path, credential, { method: path.startsWith('/r') ? 'GET' : 'POST' });
          assert.deepEqual([status, text.includes(token)], [400, false], path.replace(token, 'kws_…'));
        }
      }
    });
  });

  test('11: no token stands in a log line, in the log of changes or in what is shown of a route', async () => {
    assert.ok(issued.size > 30);
    const texts = [keyward.log, other.log];
    for (const path of ['/v1/routes', '/v1/routes/shop/use', '/v1/routes/ceiling/use', '/v1/routes/ruled/use', '/v1/audit/export']) texts.push((await keyward.call('GET', path)).text);
    for (const token of issued) assert.ok(!texts.some((text) => text.includes(token) || text.includes(token.split('.')[1])));
    assert.ok(!texts.some((text) => text.includes('kws_')));
  });
});
