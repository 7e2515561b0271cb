// The guards in real frameworks over real HTTP, against the real Worker in workerd.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { guard } from '../../dist/fetch.js';
import { Deployment, forge, mistyped } from '../worker/harness.mjs';
import { join } from 'node:path';
import { root } from '../../.ci/setup.mjs';
import { closedPort } from '../worker/upstream.mjs';
import { FRAMEWORKS, call, deployment, workerdGuards } from './frameworks.mjs';

const SCOPES = ['calls:create'];
const ORIGIN = 'https://shop.example';

/** Bytes as they are; answers the response as text. */
const raw = (url, lines) =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    let answer = '';
    const socket = connect(Number(port), hostname, () => socket.write(`${['GET /calls HTTP/1.1', 'Host: api.example', 'Connection: close', ...lines].join('\r\n')}\r\n\r\n`));
    socket.setEncoding('latin1').on('data', (chunk) => (answer += chunk)).on('end', () => resolve(answer)).on('error', reject);
  });

test('needed scopes are an array, or a function that answers one: a text is refused where it is written', async () => {
  const keys = deployment({ url: 'https://keys.example', key: 'k' });
  for (const scopes of ['calls:create', 'x', null, { 0: 'calls:create' }]) {
    assert.throws(() => guard(keys, { scopes }, () => new Response()), (error) => error instanceof TypeError && /scopes is an array, such as \['calls:create'\]/.test(error.message), String(scopes));
  }
  const asked = guard(keys, { scopes: () => 'calls:create' }, () => new Response());
  await assert.rejects(asked(new Request('https://api.example/', { headers: { authorization: 'Bearer x' } })), /scopes is an array/);
});

describe('guards that ask a deployment', { concurrency: false }, () => {
  let keyward;
  let verifying;
  let workerd;
  const guards = {};
  const refusals = [];
  const problems = [];
  before(async () => {
    keyward = await Deployment.start();
    verifying = await keyward.create({ name: 'guard', scopes: ['keyward.keys:verify'] });
    const keys = () => deployment({ url: keyward.url, key: verifying.key, onProblem: (problem) => problems.push(problem) });
    const options = { scopes: SCOPES, onRefused: (refused) => refusals.push(refused) };
    for (const [name, start] of Object.entries(FRAMEWORKS)) guards[name] = await start(keys(), options);
    workerd = await workerdGuards({ url: keyward.url, key: verifying.key });
    guards['hono in workerd'] = { url: workerd.url, headers: { 'x-guard': 'hono' } };
    guards['fetch in workerd'] = { url: workerd.url, headers: { 'x-guard': 'fetch' } };
  });
  after(async () => {
    for (const name of Object.keys(FRAMEWORKS)) await guards[name]?.stop();
    await workerd?.stop();
    await keyward?.stop();
  });
  const all = (work) => Promise.all(Object.entries(guards).map(([name, guard]) => work(guard, name)));
  /** A guard of its own, for one test. */
  const using = async (name, source, options, work) => {
    const guard = await FRAMEWORKS[name](source, options);
    try {
      return await work(guard);
    } finally {
      await guard.stop();
    }
  };

  test('a key that is allowed passes, and who it is reaches the handler', async () => {
    const { key, id } = await keyward.create();
    await all(async (guard, name) => {
      for (let i = 0; i < 3; i += 1) {
        const { status, body } = await call(guard, key);
        assert.deepEqual([status, body], [200, { by: id, owner: 'acme' }], name);
      }
    });
  });

  test('unknown, revoked, disabled, expired and mistyped keys get one and the same 401; the reason goes to the owner alone', async () => {
    const [revoked, disabled, good] = [await keyward.create(), await keyward.create(), await keyward.create()];
    const expiring = await keyward.create({ expires_at: new Date(Date.now() + 300).toISOString() });
    await keyward.call('POST', `/v1/keys/${revoked.id}/revoke`, {});
    await keyward.call('POST', `/v1/keys/${disabled.id}/disable`, {});
    await pause(400);
    const wrong = forge({ id: good.id });
    const texts = { REVOKED: revoked.key, DISABLED: disabled.key, EXPIRED: expiring.key, NOT_FOUND: wrong, MALFORMED: mistyped(good.key) };
    await all(async (guard, name) => {
      const answers = [];
      for (const [code, key] of Object.entries(texts)) {
        const { status, headers, text, body } = await call(guard, key);
        assert.equal(status, 401, `${name}: ${code}`);
        assert.equal(headers.get('www-authenticate'), 'Bearer realm="keyward", error="invalid_token"');
        assert.deepEqual([headers.get('content-type'), headers.get('cache-control'), headers.get('keyward-request-id')], ['application/problem+json', 'no-store', body.request_id]);
        answers.push(text.replace(body.request_id, '…'));
        if (guards[name].headers === undefined) {
          const told = refusals.find(({ request_id }) => request_id === body.request_id);
          assert.equal(told.code, code, name);
          assert.equal(told.key, code === 'MALFORMED' ? null : `psk_live_${key.split('_')[2]}_…`);
        }
      }
      assert.equal(new Set(answers).size, 1, `${name}: ${answers.join('\n')}`);
    });
    // The Worker's own answer in the same words.
    const own = (await keyward.authorize(wrong)).body;
    const { body } = await call(guards.express, wrong);
    assert.deepEqual({ ...body, request_id: '' }, { ...own, request_id: '' });
  });

  test('no credential, several of them, and a key in the URL are told apart, as the Worker tells them', async () => {
    const { key } = await keyward.create();
    const same = ({ status, headers, body }) => [status, { ...body, request_id: '' }, headers.get('www-authenticate')];
    const none = same(await keyward.authorize(null));
    const inUrl = same(await keyward.call('GET', `/v1/authorize?scope=${key}`, undefined, { key: null }));
    await all(async (guard, name) => {
      assert.deepEqual(same(await call(guard, undefined)), none, name);
      for (const authorization of ['Basic abc', 'Bearer', `Bearer  ${key}`, key]) assert.equal((await call(guard, undefined, { headers: { authorization } })).status, 401, name);
      for (const path of [`/calls?key=${key}`, `/calls?key=${key.replaceAll('_', '%5f')}`, `/calls?x=KEY_${key}&y=1`]) assert.deepEqual(same(await call(guard, key, { path })), inUrl, `${name}: ${path}`);
      const marks = Object.entries(guard.headers ?? {}).map(([header, value]) => `${header}: ${value}`);
      for (const second of [key, 'other']) {
        const several = await raw(guard.url, [...marks, `Authorization: Bearer ${key}`, `Authorization: Bearer ${second}`]);
        assert.match(several, /^HTTP\/1.1 400 /, name);
        assert.match(several, /"code":"SEVERAL_CREDENTIALS"/, name);
      }
    });
  });

  test('a scope that is missing is 403 and named in the challenge; addresses, countries and origins are held against what is known of the call', async () => {
    const narrow = await keyward.create({ scopes: ['calls:read'] });
    const from = await keyward.create({ allowed_ips: ['192.0.2.0/24'] });
    const here = await keyward.create({ allowed_ips: ['127.0.0.1'] });
    const country = await keyward.create({ allowed_countries: ['DE'] });
    const origin = await keyward.create({ allowed_origins: [ORIGIN] });
    await all(async (guard, name) => {
      const { status, headers, body } = await call(guard, narrow.key);
      assert.deepEqual([status, body.code, headers.get('www-authenticate')], [403, 'INSUFFICIENT_SCOPE', 'Bearer realm="keyward", error="insufficient_scope", scope="calls:create"'], name);
      const brief = async (key, options) => ((answer) => answer.body.code ?? answer.status)(await call(guard, key, options));
      assert.equal(await brief(from.key, { headers: { 'x-forwarded-for': '192.0.2.1' } }), 'IP_NOT_ALLOWED', name);
      assert.equal(await brief(here.key), ['express', 'fastify'].includes(name) ? 200 : 'IP_NOT_ALLOWED', name);
      assert.equal(await brief(country.key), 'COUNTRY_NOT_ALLOWED', name);
      assert.equal(await brief(origin.key), 'ORIGIN_NOT_ALLOWED', name);
      assert.equal(await brief(origin.key, { headers: { origin: 'https://other.example' } }), 'ORIGIN_NOT_ALLOWED', name);
      assert.equal(await brief(origin.key, { headers: { origin: 'x'.repeat(300) } }), 'ORIGIN_NOT_ALLOWED', name);
      assert.equal(await brief(origin.key, { headers: { origin: ORIGIN } }), 200, name);
    });
    const keys = deployment({ url: keyward.url, key: verifying.key });
    for (const name of Object.keys(FRAMEWORKS)) {
      await using(name, keys, { ip: () => '192.0.2.7', country: () => 'DE' }, async (guard) => {
        assert.deepEqual([(await call(guard, from.key)).status, (await call(guard, country.key)).status, (await call(guard, here.key)).status], [200, 200, 403], name);
      });
      await using(name, keys, { ip: () => 'nowhere', country: () => 'Germany' }, async (guard) => {
        assert.deepEqual([(await call(guard, from.key)).status, (await call(guard, country.key)).status], [403, 403], name);
      });
    }
    assert.deepEqual(problems, []);
  });

  test('keys may come in a header of their own, scopes may depend on the request, and an optional guard lets nobody pass who presents what is wrong', async () => {
    const { key, id } = await keyward.create({ scopes: ['calls:read'] });
    const keys = deployment({ url: keyward.url, key: verifying.key });
    const method = (request) => request.method ?? request.req?.method;
    for (const name of Object.keys(FRAMEWORKS)) {
      await using(name, keys, { header: 'X-Api-Key', scopes: (request) => [method(request) === 'POST' ? 'calls:create' : 'calls:read'] }, async (guard) => {
        assert.deepEqual((await call(guard, undefined, { headers: { 'x-api-key': key } })).body.by, id, name);
        assert.equal((await call(guard, undefined, { method: 'POST', headers: { 'x-api-key': key } })).body.code, 'INSUFFICIENT_SCOPE', name);
        const bearer = await call(guard, key);
        assert.deepEqual([bearer.status, bearer.body.detail], [401, 'send it as x-api-key: <key>'], name);
        assert.equal((await call(guard, key, { headers: { 'x-api-key': key } })).body.code, 'SEVERAL_CREDENTIALS', name);
        assert.equal((await call(guard, undefined, { headers: { 'x-api-key': `${key},${key}` } })).body.code, 'SEVERAL_CREDENTIALS', name);
      });
      await using(name, keys, { optional: true }, async (guard) => {
        assert.deepEqual([(await call(guard, undefined)).body.by, (await call(guard, key)).body.by, (await call(guard, mistyped(key))).status], ['nobody', id, 401], name);
        // A slip is not taken for nothing; another scheme presents something else.
        for (const authorization of [`Bearer  ${key}`, `Bearer ${key} x`, `Bearer\t${key}`, 'Bearer', key]) assert.equal((await call(guard, undefined, { headers: { authorization } })).status, 401, `${name}: ${authorization.slice(0, 12)}`);
        assert.equal((await call(guard, undefined, { headers: { authorization: 'Basic dXNlcjpwYXNz' } })).body.by, 'nobody', name);
      });
      await using(name, keys, { environment: 'test' }, async (guard) => assert.equal((await call(guard, key)).status, 401, name));
    }
  });

  test('an option that fails, or names what is no scope, lets nobody in', async () => {
    const { key } = await keyward.create();
    const keys = deployment({ url: keyward.url, key: verifying.key });
    const failing = () => {
      throw new Error('of the user\'s own');
    };
    for (const name of ['express', 'fastify', 'hono']) {
      for (const options of [{ scopes: failing }, { scopes: () => ['*:*'] }, { cost: failing }, { cost: () => NaN }, { cost: () => -1 }, { cost: () => '2' }, { ip: failing }]) {
        const silent = console.error;
        console.error = () => {};
        try {
          await using(name, keys, options, async (guard) => assert.equal((await call(guard, key)).status, 500, name));
        } finally {
          console.error = silent;
        }
      }
    }
  });

  test('what is exactly limited is counted exactly, however many guards are asked, and told of', async () => {
    const { key } = await keyward.create({ rate_limits: [{ name: 'requests', limit: 20, window_seconds: 3_600 }], quotas: [{ name: 'monthly', limit: 1_000, period: 'month' }] });
    const answers = (await all((guard) => Promise.all(Array.from({ length: 8 }, () => call(guard, key))))).flat();
    const admitted = answers.filter(({ status }) => status === 200);
    const denied = answers.filter(({ status }) => status === 429);
    assert.deepEqual([admitted.length, denied.length], [20, 28]);
    for (const { headers } of admitted) assert.match(headers.get('ratelimit'), /^"requests";r=\d+;t=\d+, "monthly";r=\d+;t=\d+$/);
    for (const { headers, body } of denied) {
      assert.equal(body.code, 'RATE_LIMITED');
      assert.equal(headers.get('ratelimit-policy'), '"requests";q=20;w=3600, "monthly";q=1000');
      assert.ok(Number(headers.get('retry-after')) > 0 && Number(headers.get('retry-after')) <= 180, headers.get('retry-after'));
    }
  });

  test('a cost takes as much from a limit', async () => {
    const { key } = await keyward.create({ rate_limits: [{ name: 'requests', limit: 20, window_seconds: 3_600 }] });
    const keys = deployment({ url: keyward.url, key: verifying.key });
    await using('hono', keys, { cost: 8 }, async (guard) => {
      const statuses = [];
      for (let i = 0; i < 3; i += 1) statuses.push((await call(guard, key)).status);
      assert.deepEqual(statuses, [200, 200, 429]);
    });
  });

  test('a secret that is being replaced works, and whoever uses it hears until when', async () => {
    const { key, id } = await keyward.create();
    const rotated = await keyward.call('POST', `/v1/keys/${id}/rotations`, { activate: 'now', grace_seconds: 3_600 });
    const until = rotated.body.rotation.secrets[0].until ?? /./;
    await all(async (guard, name) => {
      const old = await call(guard, key);
      assert.equal(old.status, 200, name);
      assert.match(old.headers.get('keyward-warning') ?? '', /^this secret of the key was replaced and works until /, name);
      if (typeof until === 'string') assert.ok(old.headers.get('keyward-warning').includes(until), name);
    });
    await pause(1_100);
    await all(async (guard, name) => {
      const fresh = await call(guard, rotated.body.key);
      assert.deepEqual([fresh.status, fresh.headers.get('keyward-warning')], [200, null], name);
    });
  });

  test('a revocation reaches every guard by effective_by, under load', async (t) => {
    const keys = [];
    for (let i = 0; i < 3; i += 1) keys.push(await keyward.create());
    const calls = [];
    let stop = false;
    const hammering = all((guard, name) => Promise.all(keys.map(async ({ key }, i) => {
      while (!stop) {
        const start = Date.now();
        const { status } = await call(guard, key);
        calls.push({ name, i, start, status });
        // A turn for everybody else.
        await pause(2);
      }
    })));
    await pause(1_500);
    const bounds = [];
    for (const { id } of keys) {
      const { body } = await keyward.call('POST', `/v1/keys/${id}/revoke`, {});
      bounds.push(Date.parse(body.effective_by));
      await pause(300);
    }
    await pause(Math.max(...bounds) + 1_500 - Date.now());
    stop = true;
    await hammering;
    assert.deepEqual(calls.filter(({ i, start, status }) => start > bounds[i] && status === 200), []);
    for (const name of Object.keys(guards)) {
      const of = calls.filter((one) => one.name === name);
      assert.deepEqual([...new Set(of.map(({ status }) => status))].sort(), [200, 401], name);
      assert.ok(of.some(({ i, start, status }) => status === 401 && start > bounds[i]), name);
    }
    const late = Math.min(...bounds.map((bound, i) => bound - Math.max(...calls.filter((one) => one.i === i && one.status === 200).map(({ start }) => start))));
    t.diagnostic(`${calls.length} calls; the last acceptance was ${late} ms before its bound`);
  });

  test('a revocation holds by effective_by where the answer came late and every renewal is lost, and until then the lease is made use of', async (t) => {
    const { key, id } = await keyward.create();
    let first = true;
    const late = async (...what) => {
      if (!first) return new Promise((_, reject) => what[1].signal.addEventListener('abort', () => reject(new Error('lost'))));
      first = false;
      const response = await fetch(...what);
      await pause(1_800);
      return response;
    };
    const keys = deployment({ url: keyward.url, key: verifying.key, timeout_ms: 2_500, fetch: late, onProblem: () => {} });
    await using('fetch', keys, {}, async (guard) => {
      const calling = call(guard, key);
      await pause(300);
      const bound = Date.parse((await keyward.call('POST', `/v1/keys/${id}/revoke`, {})).body.effective_by);
      assert.equal((await calling).status, 200);
      let accepted = 0;
      while (Date.now() < bound + 1_500) {
        const start = Date.now();
        const { status } = await call(guard, key);
        if (status === 200) accepted = start;
        else assert.equal(status, 503);
        await pause(5);
      }
      assert.ok(accepted < bound, `accepted ${accepted - bound} ms after its bound`);
      assert.ok(accepted > bound - 1_000, `no longer used ${bound - accepted} ms before its bound`);
      t.diagnostic(`the last acceptance was ${bound - accepted} ms before its bound`);
    });
  });

  test('a busy guard asks twice in a lease and not for each call, and no call waits for a renewal', async () => {
    const { key } = await keyward.create();
    let asked = 0;
    let slow = 0;
    const keys = deployment({ url: keyward.url, key: verifying.key, fetch: async (...what) => {
      asked += 1;
      await pause(slow);
      return fetch(...what);
    } });
    await using('hono', keys, {}, async (guard) => {
      await Promise.all(Array.from({ length: 50 }, () => call(guard, key)));
      assert.equal(asked, 1, 'a cold key that many call is asked for once');
      slow = 500;
      const stop = Date.now() + 6_000;
      let [calls, longest] = [0, 0];
      while (Date.now() < stop) {
        const start = performance.now();
        assert.equal((await call(guard, key)).status, 200);
        longest = Math.max(longest, performance.now() - start);
        calls += 1;
        await pause(5);
      }
      assert.ok(asked >= 2 && asked <= 6, `${asked} questions for ${calls} calls`);
      assert.ok(longest < 400, `a call took ${longest} ms`);
    });
  });

  test('the guard\'s own key that is refused closes the guard, and the operator is told what to do, once, without the key', async () => {
    const { key } = await keyward.create();
    const narrow = await keyward.create({ scopes: ['calls:create'] });
    for (const own of [narrow.key, forge({ id: '0'.repeat(16) })]) {
      const told = [];
      const keys = deployment({ url: keyward.url, key: own, onProblem: (problem) => told.push(problem) });
      await using('fastify', keys, {}, async (guard) => {
        for (let i = 0; i < 3; i += 1) {
          const { status, headers, body } = await call(guard, key);
          assert.deepEqual([status, body.code, headers.get('retry-after')], [503, 'UNAVAILABLE', '1']);
        }
      });
      assert.deepEqual(told.map(({ code }) => code), ['MANAGEMENT_KEY_REFUSED']);
      assert.match(told[0].message, /keyward\.keys:verify/);
      assert.ok(!JSON.stringify(told).includes(own.slice(-33)));
    }
  });

  test('callers who leave take no answer from those who stay, in workerd as elsewhere', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { key } = await keyward.create();
      await all(async (guard, name) => {
        const leaving = new AbortController();
        const left = Array.from({ length: 5 }, () => fetch(`${guard.url}/calls`, { headers: { ...guard.headers, authorization: `Bearer ${key}` }, signal: leaving.signal }).catch(() => undefined));
        const stayed = Array.from({ length: 5 }, () => call(guard, key));
        await pause(round);
        leaving.abort();
        assert.deepEqual((await Promise.all(stayed)).map(({ status }) => status), Array(5).fill(200), name);
        await Promise.all(left);
      });
    }
  });

  test('the guard of the README guards', async () => {
    const snippet = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```javascript\n([^]*?)^```$/gm)].map(([, text]) => text).find((text) => text.includes('keyward/hono'));
    const port = await closedPort();
    const code = snippet.replace('https://keys.example', keyward.url).replace('port: 3000 });', `port: ${port}, hostname: '127.0.0.1' }, () => console.log('listening'));`);
    assert.ok(code.includes(`port: ${port}`) && code.includes(keyward.url));
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { cwd: root, env: { ...process.env, KEYWARD_KEY: verifying.key }, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const guard = { url: `http://127.0.0.1:${port}` };
      const [good, narrow] = [await keyward.create(), await keyward.create({ scopes: ['calls:read'] })];
      const { status, body } = await call(guard, good.key, { method: 'POST' });
      assert.deepEqual([status, body], [202, { by: good.id }]);
      assert.equal((await call(guard, narrow.key, { method: 'POST' })).status, 403);
      assert.equal((await call(guard, undefined, { method: 'POST' })).status, 401);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('nothing was told to the operator that was no problem', () => assert.deepEqual(problems, []));
});
