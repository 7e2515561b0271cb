// The guard that verifies in its own process, on a store of the user's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as core from '../../dist/index.js';
import { forge, mistyped } from '../worker/harness.mjs';
import { FRAMEWORKS, call, local } from './frameworks.mjs';

const verifier = new core.Verifier({ brand: 'psk', rootSecret: 'ab'.repeat(32) });

/** A key and what is stored of it. */
function stored(change = {}, secret = {}) {
  const key = core.generateKey({ brand: 'psk', environment: change.environment ?? 'live' });
  const record = {
    id: core.parseKey(key).id, brand: 'psk', environment: 'live', name: 'server-prod', owner: 'acme', scopes: ['calls:create'],
    created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z', not_before: null, expires_at: null,
    allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [], max_staleness_seconds: 5, metadata: {},
    status: 'active', revoked_at: null, revoke_reason: null, version: 1, ...change,
  };
  return { key, stored: { record, secrets: [{ ...verifier.digest(key), ...secret }] } };
}

const storeOf = (...entries) => new Map(entries.map(({ stored }) => [stored.record.id, stored]));

/** Starts a guard in each framework, one after the other. */
async function inEach(options, guarding, work) {
  for (const [name, start] of Object.entries(FRAMEWORKS)) {
    const told = [];
    const guard = await start(local({ verifier, onProblem: (problem) => told.push(problem), ...options }), guarding);
    try {
      await work(guard, told, name);
    } finally {
      await guard.stop();
    }
  }
}

test('a key of the store passes, any other is refused, and a record that changes counts at once', async () => {
  const [good, narrow, gone, at] = [stored(), stored({ scopes: ['calls:read'] }), stored({ status: 'revoked', revoked_at: '2026-02-01T00:00:00.000Z' }), stored({ allowed_ips: ['127.0.0.0/8'] })];
  const store = storeOf(good, narrow, gone, at);
  const later = { get: async (id) => store.get(id) };
  for (const from of [store, later]) {
    await inEach({ store: from }, { scopes: ['calls:create'] }, async (guard, told, name) => {
      assert.deepEqual((await call(guard, good.key)).body, { by: good.stored.record.id, owner: 'acme' }, name);
      assert.equal((await call(guard, narrow.key)).body.code, 'INSUFFICIENT_SCOPE', name);
      for (const key of [gone.key, mistyped(good.key), forge({ id: good.stored.record.id }), core.generateKey({ brand: 'psk' })]) assert.equal((await call(guard, key)).status, 401, name);
      assert.equal((await call(guard, at.key)).status, ['express', 'fastify'].includes(name) ? 200 : 403, name);
      good.stored.record = { ...good.stored.record, status: 'disabled' };
      assert.equal((await call(guard, good.key)).status, 401, name);
      good.stored.record = { ...good.stored.record, status: 'active' };
      assert.deepEqual(told, [], name);
    });
  }
});

test('what a handler does to the principal is done to no record and to no later call', async () => {
  const good = stored({ metadata: { plan: { seats: [1] } } });
  const source = local({ verifier, store: storeOf(good) });
  const judged = () => source.judge({ key: good.key, scopes: ['calls:create'], cost: 1 });
  const { principal } = await judged();
  for (const change of [() => principal.scopes.push('admin:write'), () => (principal.owner = 'root'), () => principal.metadata.plan.seats.push(2)]) assert.throws(change, TypeError);
  assert.equal((await source.judge({ key: good.key, scopes: ['admin:write'], cost: 1 })).valid, false);
  assert.deepEqual(good.stored.record.metadata, { plan: { seats: [1] } });
  good.stored.record.metadata.plan.seats.push(2);
  assert.deepEqual((await judged()).principal.metadata, { plan: { seats: [1, 2] } });
});

test('a secret that is being replaced works, and whoever uses it hears until when', async () => {
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const old = stored({}, { status: 'retiring', until });
  await inEach({ store: storeOf(old) }, {}, async (guard, _, name) => {
    const { status, headers } = await call(guard, old.key);
    assert.equal(status, 200, name);
    assert.ok(headers.get('keyward-warning')?.includes(until), name);
  });
});

test('limits are never silently ignored: a key that has some is refused until somebody counts', async () => {
  const limited = stored({ rate_limits: [{ name: 'requests', limit: 2, window_seconds: 60, burst: 2, mode: 'exact' }] });
  const quota = stored({ quotas: [{ name: 'monthly', limit: 2, period: 'month' }] });
  const store = storeOf(limited, quota);
  await inEach({ store }, {}, async (guard, told, name) => {
    for (const { key } of [limited, quota]) {
      const { status, body } = await call(guard, key);
      assert.deepEqual([status, body.code], [503, 'LIMITS_NOT_COUNTED'], name);
    }
    assert.deepEqual(told.map(({ code }) => code), ['LIMITS_NOT_COUNTED'], name);
  });
  const spent = [];
  const limit = async (record, cost) => (spent.push([record.id, cost]), spent.length % 3 === 0 ? { allowed: false, retry_after_seconds: 29.2 } : { allowed: true });
  await inEach({ store, limit }, { cost: 2, scopes: ['calls:create'] }, async (guard, _, name) => {
    const answers = [await call(guard, limited.key), await call(guard, limited.key), await call(guard, limited.key)];
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 429], name);
    assert.deepEqual([answers[2].body.code, answers[2].headers.get('retry-after')], ['RATE_LIMITED', '30'], name);
    assert.deepEqual(spent.at(-1), [limited.stored.record.id, 2], name);
    const before = spent.length;
    await call(guard, forge({ id: limited.stored.record.id }));
    assert.equal(spent.length, before, 'only what passed all else is counted');
  });
});

test('a store or a limit that fails, or answers what is nothing, closes the guard; what it threw is not told to callers', async () => {
  const { key, stored: good } = stored({ quotas: [{ name: 'monthly', limit: 2, period: 'month' }] });
  const thrown = () => {
    throw new Error(`password=hunter2 ${key}`);
  };
  const rejected = async () => thrown();
  const odd = [{ get: thrown }, { get: rejected }, { get: () => ({}) }, { get: () => 'x' }, { get: () => ({ record: {}, secrets: null }) }];
  for (const store of odd) {
    await inEach({ store }, {}, async (guard, told, name) => {
      const { status, text } = await call(guard, key);
      assert.equal(status, 503, name);
      assert.ok(!/hunter2/.test(text));
      assert.deepEqual(told.map(({ code }) => code), ['STORE_FAILED'], name);
      assert.ok(!told[0].message.includes('hunter2'));
    });
  }
  for (const limit of [thrown, rejected, () => undefined]) {
    await inEach({ store: { get: () => good }, limit }, {}, async (guard, told, name) => {
      assert.equal((await call(guard, key)).status, 503, name);
      assert.deepEqual(told.map(({ code }) => code), ['LIMIT_FAILED'], name);
    });
  }
  await inEach({ store: { get: () => good }, limit: () => ({ allowed: 'yes' }) }, {}, async (guard) => assert.equal((await call(guard, key)).status, 429));
});
