// An origin behind a real route of the real Worker: it answers who comes through the route, and nobody else.
import assert from 'node:assert/strict';
import { generateKeyPair, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SignJWT, UnsecuredJWT, exportJWK } from 'jose';
import { Deployment } from '../worker/harness.mjs';
import { closedPort, least, route } from '../worker/upstream.mjs';
import { FRAMEWORKS, call, identity } from './frameworks.mjs';

const ISSUER = 'https://keys.shop.example';
const pair = promisify(generateKeyPair);
/** The token that a framework's request carries. */
const tokenOf = (request) => request.req?.header('keyward-identity') ?? request.headers.get?.('keyward-identity') ?? request.headers['keyward-identity'];

describe('an origin behind a route', { concurrency: false }, () => {
  let keyward;
  const origins = {};
  const told = [];
  before(async () => {
    // The deployment has to know the origins before it is there, and they its URL.
    const ports = {};
    for (const name of Object.keys(FRAMEWORKS)) ports[name] = await closedPort();
    const audienceOf = (name) => `http://127.0.0.1:${ports[name]}`;
    keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: Object.keys(ports).map(audienceOf).join(','), KEYWARD_ISSUER: ISSUER } });
    for (const [name, start] of Object.entries(FRAMEWORKS)) {
      const audience = audienceOf(name);
      const scopes = (request) => {
        origins[name].last = tokenOf(request);
        return ['calls:create'];
      };
      const source = identity({ url: keyward.url, audience, issuer: ISSUER, onProblem: (problem) => told.push(problem) });
      origins[name] = { ...(await start(source, { scopes, environment: 'live' }, ports[name])), audience };
      await route(keyward, name, least(audience, { credential: { type: 'identity' }, callers: { key: { scopes: [] }, session: { origins: ['https://shop.example'], mint: 'public', calls: 5 } } }), null);
    }
  });
  after(async () => {
    for (const { stop } of Object.values(origins)) await stop();
    await keyward?.stop();
  });
  const each = async (work) => {
    for (const [name, origin] of Object.entries(origins)) await work(origin, name);
  };
  const through = (name, key, options) => keyward.call('GET', `/r/${name}/calls`, undefined, { key, ...options });
  const present = (origin, token) => call(origin, undefined, { headers: { 'keyward-identity': token } });

  test('who comes through the route passes, and the handler knows the key; scopes of the key count there, too', async () => {
    const [good, narrow, wide] = [await keyward.create(), await keyward.create({ scopes: ['calls:read'] }), await keyward.create({ scopes: ['*:*'] })];
    await each(async (origin, name) => {
      assert.deepEqual((await through(name, good.key)).body, { by: good.id, owner: 'acme' }, name);
      assert.deepEqual((await through(name, wide.key)).body, { by: wide.id, owner: 'acme' }, name);
      const { status, body } = await through(name, narrow.key);
      assert.deepEqual([status, body.code], [403, 'INSUFFICIENT_SCOPE'], name);
    });
  });

  test('a session of a page is an identity without scopes', async () => {
    for (const [name, origin] of Object.entries(origins)) {
      const { body } = await keyward.call('POST', `/v1/relay/sessions?route=${name}`, undefined, { key: null, headers: { origin: 'https://shop.example' } });
      assert.equal((await through(name, body.token, { headers: { origin: 'https://shop.example' } })).body.code, 'INSUFFICIENT_SCOPE', name);
      const open = await FRAMEWORKS[name](identity({ url: keyward.url, audience: origin.audience, issuer: ISSUER }), {});
      const answer = await present(open, origin.last);
      assert.deepEqual([answer.status, answer.body.owner], [200, null], name);
      await open.stop();
    }
  });

  test('whoever comes past the route is refused, with a key or without', async () => {
    const { key } = await keyward.create();
    await each(async (origin, name) => {
      for (const answer of [await call(origin, undefined), await call(origin, key), await present(origin, key)]) {
        assert.deepEqual([answer.status, answer.body.code], [401, 'UNAUTHORIZED'], name);
        assert.match(answer.headers.get('www-authenticate'), /^Keyward-Identity realm="keyward"/);
      }
    });
  });

  test('forged, altered, unsigned, foreign, expired and overlong tokens are refused alike', async () => {
    const { key } = await keyward.create();
    const { privateKey } = await pair('ed25519');
    const { keys: [{ kid }] } = (await keyward.call('GET', '/.well-known/jwks.json', undefined, { key: null })).body;
    await each(async (origin, name) => {
      await through(name, key);
      const token = origin.last;
      assert.equal((await present(origin, token)).status, 200, name);
      const [head, claims, signature] = token.split('.');
      const payload = JSON.parse(Buffer.from(claims, 'base64url'));
      const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const sign = (change, header = {}) => new SignJWT({ ...payload, ...change }).setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid, ...header }).sign(privateKey);
      const other = Object.keys(origins).find((one) => one !== name);
      await through(other, key);
      const hostile = {
        'another key under the same name': await sign({}),
        'another key under a name of its own': await sign({}, { kid: 'elsewhere' }),
        'claims that were altered': `${head}.${part({ ...payload, sub: 'somebody-else' })}.${signature}`,
        'no signature': new UnsecuredJWT(payload).encode(),
        'alg none with the old signature': `${part({ alg: 'none', typ: 'JWT', kid })}.${claims}.${signature}`,
        'HMAC with the public key as its secret': await new SignJWT(payload).setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid }).sign(new TextEncoder().encode(kid)),
        'a token for another origin': origins[other].last,
        'garbage': 'x.y.z', 'an empty part': `${head}..${signature}`, 'no token': 'keyward', 'a long one': 'x'.repeat(8_000),
      };
      const answers = new Set();
      for (const [what, bad] of Object.entries(hostile)) {
        const { status, text, body } = await present(origin, bad);
        assert.equal(status, 401, `${name}: ${what}`);
        answers.add(text.replace(body.request_id, ''));
      }
      assert.equal(answers.size, 1);
    });
    assert.deepEqual(told, []);
  });

  test('time, issuer, audience and claims are checked on tokens whose signature is right', async () => {
    const { publicKey, privateKey } = await pair('ed25519');
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'EdDSA', use: 'sig' }] };
    const now = Math.floor(Date.now() / 1000);
    const good = { iss: ISSUER, aud: 'https://api.example', sub: 'CWg0OKDBAEoR0K4P', iat: now, exp: now + 60, jti: 'req_1', owner: 'acme', scopes: ['calls:create'], environment: 'live', route: 'mine', caller: 'key', origin: null };
    const signed = (claims, header = {}) => new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid: 'k', ...header }).sign(privateKey);
    const { exp, ...endless } = good;
    const wrong = [{ iat: now - 120, exp: now - 60 }, { iat: now - 120, exp: now + 3_600 }, { iat: now + 60, exp: now + 120 }, { iss: 'keyward' }, { aud: 'https://api.example.evil' }, { aud: [] }, { sub: undefined }, { jti: 7 }, { scopes: 'calls:create' },
      { scopes: undefined }, { caller: 'root' }, { environment: 'test' }, { environment: undefined }, { owner: 7 }, { origin: undefined }, { nbf: now + 60 }];
    for (const [name, start] of Object.entries(FRAMEWORKS)) {
      const guard = await start(identity({ jwks, audience: 'https://api.example', issuer: ISSUER }), { scopes: ['calls:create'], environment: 'live' });
      assert.equal((await present(guard, await signed(good))).status, 200, name);
      assert.equal((await present(guard, await signed({ ...good, aud: ['https://api.example'] }))).status, 200, name);
      for (const change of wrong) assert.equal((await present(guard, await signed({ ...good, ...change }))).status, 401, `${name}: ${JSON.stringify(change)}`);
      for (const header of [{ typ: 'at+jwt' }, { kid: 'other' }, { crit: ['x'], x: 1 }]) assert.equal((await present(guard, await signed(good, header).catch(() => 'x'))).status, 401, `${name}: ${JSON.stringify(header)}`);
      assert.equal((await present(guard, await signed(endless))).status, 401, name);
      // Nothing is wrong with the keys where a token does not say which of several it means.
      const problems = [];
      const several = await start(identity({ jwks: { keys: [...jwks.keys, { ...(await exportJWK((await pair('ed25519')).publicKey)), kid: 'l', alg: 'EdDSA', use: 'sig' }] }, audience: 'https://api.example', issuer: ISSUER, onProblem: (problem) => problems.push(problem) }), {});
      assert.equal((await present(several, await signed(good, { kid: undefined }))).status, 401, name);
      assert.equal((await present(several, await signed(good))).status, 200, name);
      assert.deepEqual(problems, [], name);
      await several.stop();
      assert.equal((await present(guard, await signed({ ...good, scopes: ['keyward.*:*', 'calls:read'] }))).status, 403, name);
      const both = `${await signed(good)}, ${await signed({ ...good, jti: randomUUID() })}`;
      assert.equal((await present(guard, both)).body.code, 'SEVERAL_CREDENTIALS', name);
      await guard.stop();
    }
  });

  test('keys that are replaced are found, invented names start no storm, and where no key can be read nobody passes', async () => {
    const pairs = { old: await pair('ed25519'), new: await pair('ed25519') };
    let published = ['old'];
    let [down, fetched] = [false, 0];
    const server = createServer(async (_, response) => {
      fetched += 1;
      if (down) return response.writeHead(500).end();
      const keys = await Promise.all(published.map(async (kid) => ({ ...(await exportJWK(pairs[kid].publicKey)), kid, alg: 'EdDSA', use: 'sig' })));
      return response.end(JSON.stringify({ keys }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: 'keyward', aud: 'https://api.example', sub: 'CWg0OKDBAEoR0K4P', iat: now, exp: now + 60, jti: 'req_1', owner: 'acme', scopes: [], environment: 'live', route: 'mine', caller: 'key', origin: null };
    const by = (kid, signer = kid) => new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid }).sign(pairs[signer].privateKey);
    const problems = [];
    const guard = await FRAMEWORKS.fetch(identity({ url: `http://127.0.0.1:${server.address().port}`, audience: 'https://api.example', onProblem: (problem) => problems.push(problem) }));
    assert.equal((await present(guard, await by('old'))).status, 200);
    published = ['new', 'old'];
    await pause(1_050);
    assert.equal((await present(guard, await by('new'))).status, 200);
    const before = fetched;
    for (let i = 0; i < 50; i += 1) assert.equal((await present(guard, await by(`invented-${i}`, 'new'))).status, 401);
    assert.ok(fetched - before <= 2, `${fetched - before} fetches for invented names`);
    await guard.stop();

    down = true;
    const closed = await FRAMEWORKS.fetch(identity({ url: `http://127.0.0.1:${server.address().port}`, audience: 'https://api.example', onProblem: (problem) => problems.push(problem) }));
    const since = fetched;
    for (let i = 0; i < 10; i += 1) assert.equal((await present(closed, await by('new'))).status, 503);
    assert.equal(fetched - since, 1, 'no storm');
    assert.deepEqual(problems.map(({ code }) => code), ['NO_KEYS']);
    down = false;
    await pause(510);
    assert.equal((await present(closed, await by('new'))).status, 200);
    await closed.stop();
    server.closeAllConnections();
    server.close();
  });
});
