// The guard against deployments that are down, slow or hostile: no answer of theirs opens it but a verdict, and for no longer than a lease can be.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import fc, { holds } from '../property.mjs';
import { forge } from '../worker/harness.mjs';
import { closedPort } from '../worker/upstream.mjs';
import { FRAMEWORKS, call, deployment, part } from './frameworks.mjs';

const { readVerdict } = await part('verdict');
const { holdsKey, presented } = await part('credential');
const ID = 'CWg0OKDBAEoR0K4P';
const KEY = forge({ id: ID });
const OWN = forge({ id: '0'.repeat(16), secret: 'Z'.repeat(27) });

/** What a deployment says of a key that is in order. */
const verdict = (change = {}, lease_remaining_ms = 4_950) => ({
  valid: true, code: 'VALID', key_id: ID, name: 'server-prod', owner: 'acme', environment: 'live', scopes: ['calls:create'], expires_at: null, metadata: {},
  limits: [], quotas: [], freshness: { mode: 'lease', as_of: '2026-11-21T07:52:20.493Z', max_staleness_seconds: 5, lease_remaining_ms }, ...change,
});
const question = (change = {}) => ({ key: KEY, scopes: [], cost: 1, ...change });
const json = (body) => new Response(typeof body === 'string' ? body : JSON.stringify(body));

/** A source whose deployment answers what `answer` makes, on clocks that the test sets. */
function faked(answer, options = {}) {
  const state = { asked: 0, now: { monotonic: 1_000, wall: 1e12 }, told: [], sent: [] };
  state.source = deployment({
    url: 'https://keys.example', key: OWN, clock: () => ({ ...state.now }), onProblem: (problem) => state.told.push(problem), ...options,
    fetch: async (url, init) => {
      state.asked += 1;
      state.sent.push({ url, ...init });
      return answer(init, state.asked);
    },
  });
  state.pass = (milliseconds) => {
    state.now.monotonic += milliseconds;
    state.now.wall += milliseconds;
  };
  state.judge = (change) => state.source.judge(question(change));
  return state;
}

test('a lease that is lied about is bounded to a minute, and what is no length of time is none', async () => {
  for (const lie of ['1e300', '1e999', '61000', '9007199254740993', '60000']) {
    // No answer to a renewal: nothing is left after a minute.
    const state = faked((_, n) => (n === 1 ? json(JSON.stringify(verdict()).replace('4950', lie)) : Promise.reject(new Error('gone'))));
    assert.equal((await state.judge()).valid, true, lie);
    state.pass(59_399);
    assert.equal((await state.judge()).valid, true, lie);
    state.pass(2);
    assert.deepEqual((await state.judge()).code, 'UNAVAILABLE', lie);
  }
  for (const lie of ['-1', '-1e300', '0', 'null', '"5000"', '[5000]', '{}', 'true']) {
    const state = faked(() => json(JSON.stringify(verdict()).replace('4950', lie)));
    await state.judge();
    await state.judge();
    assert.equal(state.asked, 2, lie);
  }
});

test('what is kept is for the very same question: key, scopes, address, country, origin, environment', async () => {
  const state = faked(() => json(verdict()));
  const other = forge({ id: ID, secret: '1'.repeat(27) });
  const questions = [{}, { key: other }, { scopes: ['calls:create'] }, { scopes: ['calls:read'] }, { ip: '192.0.2.1' }, { country: 'DE' }, { origin: 'https://a.example' }, { environment: 'live' }, { origin: 'DE' }];
  for (const change of questions) await state.judge(change);
  assert.equal(state.asked, questions.length);
  for (const change of questions) await state.judge(change);
  assert.equal(state.asked, questions.length);
});

test('never kept: verdicts of keys with limits or quotas, past their expiry, without a lease, and where it is said to keep none', async () => {
  const limit = { name: 'requests', limit: 5, window_seconds: 60, remaining: 4, full_in_seconds: 12 };
  const quota = { name: 'monthly', limit: 5, period: 'month', remaining: 4, resets_at: '2026-12-01T00:00:00.000Z' };
  const asks = async (body, options) => {
    const state = faked(() => json(body), options);
    for (let i = 0; i < 3; i += 1) await state.judge();
    return state.asked;
  };
  assert.equal(await asks(verdict()), 1);
  for (const change of [{ limits: [limit] }, { quotas: [quota] }, { limits: null }, { limits: undefined }, { quotas: undefined }]) assert.equal(await asks(verdict(change)), 3, JSON.stringify(change));
  assert.equal(await asks(verdict({}, 0)), 3);
  assert.equal(await asks(verdict(), { keep: false }), 3);
  assert.equal(await asks(verdict({ warning: 'this secret was replaced' })), 3, 'until when is not known');
  for (const code of ['RATE_LIMITED', 'QUOTA_EXCEEDED', 'UNAVAILABLE']) assert.equal(await asks({ ...verdict({ valid: false, code }) }), 3, code);

  const expires = new Date(1e12 + 1_000).toISOString();
  for (const change of [{ expires_at: expires }, { warning: `this secret of the key was replaced and works until ${expires}; deploy the new one` }]) {
    const state = faked((_, n) => json(n === 1 ? verdict(change) : verdict({ valid: false, code: 'EXPIRED' }, 0)));
    await state.judge();
    state.now.wall += 999;
    assert.equal((await state.judge()).valid, true);
    state.now.wall += 1;
    assert.equal((await state.judge()).code, 'EXPIRED');
  }
});

test('a refusal is kept for a second at most, and takes the place of what was accepted before', async () => {
  const state = faked((_, n) => json(n === 1 ? verdict() : n === 2 ? verdict({ valid: false, code: 'REVOKED' }) : verdict()));
  assert.equal((await state.judge()).valid, true);
  state.pass(3_000);
  assert.equal((await state.judge()).valid, true, 'renewed beside the call');
  await pause(5);
  assert.equal((await state.judge()).code, 'REVOKED');
  state.pass(989);
  assert.equal((await state.judge()).code, 'REVOKED');
  assert.equal(state.asked, 2);
  state.pass(1);
  assert.equal((await state.judge()).valid, true);
});

test('a wall clock that steps back drops what is kept; a machine that slept does not wake with it', async () => {
  const state = faked(() => json(verdict()));
  await state.judge();
  state.now.wall -= 1;
  await state.judge();
  assert.equal(state.asked, 2);
  state.now.wall += 5_000;
  await state.judge();
  assert.equal(state.asked, 3, 'the monotonic clock stood still');
});

test('the question holds what is known of the call and the guard\'s own key in a header alone; no redirect is followed', async () => {
  const state = faked(() => json(verdict()));
  await state.judge({ scopes: ['calls:create'], ip: '192.0.2.1', country: 'DE', origin: 'https://a.example', environment: 'live', cost: 3 });
  const [{ url, method, headers, body, redirect }] = state.sent;
  assert.deepEqual([url, method, redirect, headers.Authorization], ['https://keys.example/v1/keys/verify', 'POST', 'manual', `Bearer ${OWN}`]);
  assert.deepEqual(JSON.parse(body), { key: KEY, scopes: ['calls:create'], ip: '192.0.2.1', country: 'DE', origin: 'https://a.example', environment: 'live', cost: 3 });
});

test('a key that the deployment is silent about closes the way for that key alone, and is not asked for again at once', async () => {
  const other = forge({ id: ID, secret: '1'.repeat(27) });
  const state = faked(({ body, signal }) => (JSON.parse(body).key === KEY ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) : json(verdict({}, 0))), { timeout_ms: 60 });
  const silent = state.judge();
  await pause(10);
  state.pass(10);
  assert.equal((await state.judge({ key: other })).valid, true);
  state.pass(50);
  assert.equal((await silent).code, 'UNAVAILABLE');
  const asked = state.asked;
  assert.equal((await state.judge()).code, 'UNAVAILABLE');
  assert.equal(state.asked, asked);
  assert.equal((await state.judge({ key: other })).valid, true);
  state.pass(501);
  await state.judge();
  assert.equal(state.asked, asked + 2);
});

test('a renewal that fails takes nothing away before its time', async () => {
  const state = faked((_, n) => (n === 1 ? json(verdict()) : Promise.reject(new Error('gone'))));
  await state.judge();
  for (const step of [3_000, 1_000, 800]) {
    state.pass(step);
    assert.equal((await state.judge()).valid, true);
    await pause(2);
  }
  state.pass(200);
  assert.equal((await state.judge()).code, 'UNAVAILABLE');
});

test('what a handler does to the principal is not done to the next call', async () => {
  const state = faked(() => json(verdict({ metadata: { plan: { seats: [1] } } })));
  const { principal } = await state.judge();
  for (const change of [() => principal.scopes.push('admin:write'), () => (principal.owner = 'root'), () => principal.metadata.plan.seats.push(2)]) assert.throws(change, TypeError);
  const deep = faked(() => json(JSON.stringify(verdict()).replace('"metadata":{}', `"metadata":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`)));
  assert.equal(typeof (await deep.judge()).valid, 'boolean');
});

test('a text that cannot be a key leaves the process for nobody', async () => {
  const state = faked(() => json(verdict()));
  const unfit = ['', 'x', KEY.slice(0, -1), `${KEY}x`, KEY.replace('psk', 'PSK'), ` ${KEY}`, KEY.slice(0, -1) + (KEY.endsWith('0') ? '1' : '0'), 'x'.repeat(1e6), KEY.replace('_', '-')];
  for (const key of unfit) assert.equal((await state.judge({ key })).code, 'MALFORMED');
  assert.equal(state.asked, 0);
  const foreign = faked(() => json(verdict({ key_id: 'abcdefghij012345' })), { foreign_prefixes: ['sk_live_'] });
  assert.equal((await foreign.judge({ key: 'sk_live_51H' })).valid, true);
  assert.equal((await foreign.judge({ key: 'sk_test_51H' })).code, 'MALFORMED');
});

test('no answer but a verdict on this very key is believed', async () => {
  const answers = [JSON.stringify(verdict()).replace('4950', 'NaN'), JSON.stringify(verdict()).replace('4950', 'Infinity'), '', 'null', '[]', '{}', '"VALID"', 'VALID', '{"valid":true}', '<html>200 OK</html>', verdict({ valid: 'true' }), verdict({ valid: 1 }), verdict({ code: 'REVOKED' }), verdict({ valid: false }),
    verdict({ key_id: '0000000000000000' }), verdict({ key_id: null }), verdict({ scopes: null }), verdict({ scopes: [1] }), verdict({ owner: {} }), verdict({ metadata: [] }), verdict({ expires_at: 'never' }), verdict({ code: 'VALID\r\nX: y' }),
    verdict({ limits: [{ name: 'a"\r\nSet-Cookie: x', limit: 1, window_seconds: 1, remaining: 1, full_in_seconds: 1 }] }), verdict({ quotas: [{ name: 'a', limit: -1 }] }),
    new Uint8Array([0xff, 0xfe, 0x7b]), `${JSON.stringify(verdict())}x`, JSON.stringify(verdict()).slice(0, -1), JSON.stringify({ ...verdict(), metadata: { large: 'x'.repeat(70_000) } })];
  for (const answer of answers) {
    const state = faked(() => (answer instanceof Uint8Array ? new Response(answer) : json(answer)));
    const shown = JSON.stringify(answer)?.slice(0, 80);
    assert.equal((await state.judge()).code, 'UNAVAILABLE', shown);
    assert.deepEqual(state.told.map(({ code }) => code), ['NO_VERDICT'], shown);
  }
});

test('property: whatever is answered, reading it never throws, and only a whole verdict of this key is valid', () => {
  const anything = fc.oneof(fc.string(), fc.json(), fc.dictionary(fc.constantFrom('valid', 'code', 'key_id', 'scopes', 'limits', 'quotas', 'freshness', 'expires_at', 'warning'), fc.jsonValue()).map((change) => JSON.stringify({ ...verdict(), ...change })));
  holds(fc.property(anything, (text) => {
    const told = readVerdict(text, ID);
    if (told?.verdict.valid !== true) return;
    const { valid, code, key_id } = JSON.parse(text);
    assert.deepEqual([valid, code, key_id], [true, 'VALID', ID]);
  }), { runs: 5_000 });
});

test('a key in a URL is found wherever it stands, and nothing else is taken for one', () => {
  for (const url of [`/x?key=${KEY}`, `/${KEY}/x`, `/x?a=KEY_${KEY}`, `/x?k=${encodeURIComponent(KEY).replaceAll('_', '%5F')}`, `https://api.example/#${KEY}`, `/x?${KEY}=`]) assert.ok(holdsKey(url), url);
  for (const url of ['/x', `/x?key=${KEY}0`, `/x?key=${KEY.slice(0, -1)}`, `/${'a_'.repeat(4_000)}`, '/%', '/x?key=psk_live_CWg0OKDBAEoR0K4P_…']) assert.ok(!holdsKey(url), url.slice(0, 90));
  assert.ok(holdsKey('/x?key=sk_live_51H', ['sk_live_']));
  assert.equal(presented(KEY).redacted, `psk_live_${ID}_…`);
});

test('options that cannot be meant are refused where they are written, and no secret is in what is said', () => {
  const secret = `${OWN}\n`;
  const good = { url: 'https://keys.example', key: OWN };
  for (const wrong of [{}, { ...good, key: undefined }, { ...good, key: secret }, { ...good, url: 'http://keys.example' }, { ...good, url: 'keys.example' }, { ...good, url: 'https://keys.example/keyward' }, { ...good, url: 'https://u:p@keys.example' }, { ...good, foreign_prefixes: [''] }, { ...good, foreign_prefixes: 'sk_live_' }, { ...good, foreign_prefixes: null }, { ...good, timeout: 5 }, { ...good, timeout_ms: NaN }, { ...good, timeout_ms: -1 }]) {
    assert.throws(() => deployment(wrong), (error) => error instanceof TypeError && !error.message.includes(OWN.slice(-20)));
  }
  for (const url of ['http://127.0.0.1:8787', 'http://localhost:1', 'http://[::1]:2', 'https://keys.example/']) assert.ok(deployment({ ...good, url }));
});

describe('a deployment over HTTP that is not as it should be', { concurrency: false }, () => {
  let server;
  let url;
  let answer;
  let seen = 0;
  before(async () => {
    server = createServer((request, response) => {
      seen += 1;
      request.resume();
      answer(response, request);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${server.address().port}`;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  /** A guard of its own in each framework, one after the other. */
  const inEach = async (options, work) => {
    for (const [name, start] of Object.entries(FRAMEWORKS)) {
      const told = [];
      const guard = await start(deployment({ url, key: OWN, timeout_ms: 300, onProblem: (problem) => told.push(problem), ...options }));
      try {
        seen = 0;
        await work(guard, told, name);
        assert.ok(!JSON.stringify(told).includes(OWN.slice(-20)) && !JSON.stringify(told).includes(KEY.slice(-20)), 'no secret is told');
      } finally {
        await guard.stop();
      }
    }
  };
  const closed = async (guard) => {
    const { status, headers, body } = await call(guard, KEY);
    assert.deepEqual([status, body.code, body.type, headers.get('retry-after'), headers.get('cache-control')], [503, 'UNAVAILABLE', 'urn:keyward:problem:unavailable', '1', 'no-store']);
  };

  test('down: 503, and half a second of silence for it', async () => {
    const gone = `http://127.0.0.1:${await closedPort()}`;
    await inEach({ url: gone }, async (guard, told) => {
      for (let i = 0; i < 3; i += 1) await closed(guard);
      assert.deepEqual(told.map(({ code }) => code), ['NO_ANSWER']);
    });
  });

  test('silent, slow to begin, and slow to end: 503 when the time is over, and no storm', async () => {
    const hang = () => {};
    const drip = (response) => {
      response.writeHead(200).write('{"valid":true,');
      const drops = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drops));
    };
    for (const slow of [hang, drip]) {
      answer = slow;
      await inEach({}, async (guard, told, name) => {
        const start = performance.now();
        await closed(guard);
        const took = performance.now() - start;
        assert.ok(took >= 290 && took < 1_500, `${name}: ${took} ms`);
        const asked = seen;
        const quick = performance.now();
        await Promise.all(Array.from({ length: 20 }, () => closed(guard)));
        assert.ok(performance.now() - quick < 450, name);
        assert.equal(seen, asked, 'nobody asks for half a second');
        assert.deepEqual(told.map(({ code }) => code), ['NO_ANSWER']);
      });
    }
  });

  test('it recovers: one question finds out, and then everybody passes', async () => {
    await inEach({}, async (guard) => {
      answer = (response) => response.writeHead(502).end('bad gateway');
      await closed(guard);
      answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(verdict()));
      await closed(guard);
      await pause(510);
      assert.deepEqual((await call(guard, KEY)).body, { by: ID, owner: 'acme' });
    });
  });

  test('a connection that was closed meanwhile is no failure', async () => {
    await inEach({}, async (guard, told) => {
      let broken = 1;
      answer = (response, request) => {
        if (broken-- > 0) return request.socket.destroy();
        return response.end(JSON.stringify(verdict()));
      };
      assert.equal((await call(guard, KEY)).status, 200);
      assert.deepEqual(told, []);
    });
  });

  for (const [what, code, hostile] of [
    ['an error', 'DEPLOYMENT_FAILED', (response) => response.writeHead(500).end(JSON.stringify(verdict()))],
    ['a redirect to where a verdict would be', 'DEPLOYMENT_REDIRECTS', (response, request) => (request.url === '/there' ? response.end(JSON.stringify(verdict())) : response.writeHead(307, { location: '/there' }).end())],
    ['a success that is not 200', 'DEPLOYMENT_REDIRECTS', (response) => response.writeHead(203).end(JSON.stringify(verdict()))],
    ['no end of bytes', 'NO_VERDICT', (response) => {
      response.writeHead(200);
      const more = () => response.write(' '.repeat(65_536)) && setImmediate(more);
      response.on('drain', more).on('close', () => response.destroy());
      more();
    }],
    ['another key\'s verdict', 'NO_VERDICT', (response) => response.end(JSON.stringify(verdict({ key_id: '0'.repeat(16) })))],
    ['a refusal of the question', 'QUESTION_REFUSED', (response) => response.writeHead(400).end(JSON.stringify({ code: KEY, detail: KEY }))],
    ['its own limits', 'MANAGEMENT_KEY_LIMITED', (response) => response.writeHead(429).end()],
  ]) {
    test(`it answers ${what}: closed, and the operator is told`, async () => {
      answer = hostile;
      await inEach({ timeout_ms: 2_000 }, async (guard, told) => {
        await closed(guard);
        assert.deepEqual(told.map((problem) => problem.code), [code]);
        assert.equal(seen, 1);
      });
    });
  }
});
