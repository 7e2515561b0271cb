// Limits that hold over all edges together. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EDGES, Edges, authorization } from './edges.mjs';
import { Deployment } from './harness.mjs';

/**
 * Calls a key from every edge on `lanes` connections each, for so long; answers `{status, start, end}` of each call. A call whose
 * connection ends without an answer has status 0 where edges are `mortal`, and fails the test where they are not.
 */
async function hammer(keyward, key, { lanes = 2, milliseconds, rest = 0, mortal = false }) {
  const calls = [];
  const bytes = authorization(key);
  const stop = Date.now() + milliseconds;
  await Promise.all(Array.from({ length: EDGES * lanes }, async (_, lane) => {
    const line = keyward.line(lane % EDGES);
    while (Date.now() < stop) {
      const start = Date.now();
      calls.push(await line.call(bytes).catch((error) => {
        if (!mortal) throw error;
        return { status: 0, start, end: Date.now() };
      }));
      if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    }
    line.close();
  }));
  return calls;
}

/**
 * Asserts that no interval holds more admitted calls than `burst + limit·t/window`. A call is admitted at some instant between
 * its start and its end, so only those count that lie in the interval whole.
 */
function within(calls, { limit, window_seconds, burst = limit }) {
  const admitted = calls.filter(({ status }) => status === 200);
  const starts = admitted.map(({ start }) => start).sort((a, b) => a - b);
  for (const from of new Set(starts)) {
    const ends = admitted.filter(({ start }) => start >= from).map(({ end }) => end).sort((a, b) => a - b);
    ends.forEach((end, i) => {
      // The clocks are of whole milliseconds.
      const most = burst + (limit * (end - from + 2)) / (window_seconds * 1000);
      assert.ok(i + 1 <= most, `${i + 1} calls in ${end - from} ms, where ${most.toFixed(1)} may be`);
    });
  }
  return admitted;
}

describe('limits over five edges', { concurrency: false }, () => {
  let keyward;
  before(async () => {
    keyward = await Edges.start();
  });
  after(() => keyward.stop());

  const limited = async (rule, fields = {}) => (await keyward.create({ rate_limits: [{ name: 'requests', ...rule }], ...fields })).key;

  for (const rule of [{ limit: 300, window_seconds: 2, burst: 150 }, { limit: 40, window_seconds: 10 }]) {
    test(`an exact limit of ${rule.limit} in ${rule.window_seconds} s, hammered from all sides, admits not one call too many and nearly all it allows`, async (t) => {
      const key = await limited(rule);
      const calls = await hammer(keyward, key, { milliseconds: 5_000 });
      const admitted = within(calls, rule);
      assert.deepEqual([...new Set(calls.map(({ status }) => status))].sort(), [200, 429]);
      const lasted = Math.max(...calls.map(({ start }) => start)) - Math.min(...calls.map(({ start }) => start));
      const allowed = (rule.burst ?? rule.limit) + (rule.limit * lasted) / (rule.window_seconds * 1000);
      t.diagnostic(`${admitted.length} admitted of ${allowed.toFixed(1)} that the limit allows, ${calls.length} calls`);
      assert.ok(admitted.length >= 0.99 * allowed - 1, `${admitted.length} of ${allowed}`);
    });
  }

  test('a strict key, whose verdicts are its authority\'s, keeps its limit as exactly', async () => {
    const rule = { limit: 100, window_seconds: 2, burst: 20 };
    const key = await limited(rule, { max_staleness_seconds: 0 });
    const admitted = within(await hammer(keyward, key, { milliseconds: 2_000, rest: 5 }), rule);
    assert.ok(admitted.length >= 0.95 * 120, String(admitted.length));
  });

  test('5: edges whose questions and answers are lost with their slices never have more admitted, and what was lost is refilled', async (t) => {
    const rule = { limit: 200, window_seconds: 2, burst: 100 };
    const key = await limited(rule);
    await hammer(keyward, key, { milliseconds: 300 });
    for (const [edge, fault] of [[0, { lost: 'answer', share: 0.5 }], [1, { lost: 'question', share: 0.5 }], [2, { before: 40, after: 40 }]]) await keyward.fault(edge, fault);
    const calls = await hammer(keyward, key, { milliseconds: 4_000, rest: 1 });
    within(calls, rule);
    for (let edge = 0; edge < 3; edge += 1) await keyward.fault(edge);
    assert.deepEqual([...new Set(calls.map(({ status }) => status))].filter((status) => ![200, 429, 503].includes(status)), []);
    await new Promise((resolve) => setTimeout(resolve, 6_500));
    const after = within(await hammer(keyward, key, { milliseconds: 2_000 }), rule);
    t.diagnostic(`${after.length} admitted in the 2 s after`);
    assert.ok(after.length >= 0.99 * 300 - 3, String(after.length));
  });

  test('5: edges that are killed in mid-run never have more admitted, and what they held is refilled within one window', async (t) => {
    const rule = { limit: 200, window_seconds: 2, burst: 100 };
    const key = await limited(rule);
    let kills = 0;
    const started = Date.now();
    const [calls, last] = await Promise.all([
      hammer(keyward, key, { milliseconds: 8_000, mortal: true }),
      (async () => {
        for (; kills < 12; kills += 1) {
          await new Promise((resolve) => setTimeout(resolve, 150));
          await keyward.fault(kills % 3, { killed: true });
        }
        return Date.now();
      })(),
    ]);
    const admitted = within(calls, rule);
    const by = calls.reduce((all, { status }) => ({ ...all, [status]: (all[status] ?? 0) + 1 }), {});
    assert.deepEqual(Object.keys(by).filter((status) => !['0', '200', '429', '500', '503'].includes(status)), []);
    const rested = last + rule.window_seconds * 1000;
    const after = admitted.filter(({ start, end }) => start >= rested && end <= started + 8_000).length;
    const allowed = (rule.limit * (started + 8_000 - rested)) / (rule.window_seconds * 1000);
    t.diagnostic(`${kills} kills; answers ${JSON.stringify(by)}; from one window after the last kill ${after} of ${allowed.toFixed(0)} that refill`);
    assert.ok(started + 8_000 - rested > 2_000, 'there is something to see afterwards');
    assert.ok(after >= 0.99 * allowed - 3, `${after} of ${allowed}`);
  });

  test('5: a quota is spent to the last call and no further, by all edges together, and denied calls burn nothing', async () => {
    const { key } = await keyward.create({ quotas: [{ name: 'calls', limit: 250, period: 'total' }] });
    const first = await hammer(keyward, key, { milliseconds: 1_500 });
    // Slices that lie at an edge that is not called come back when its calls pause.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const second = await hammer(keyward, key, { milliseconds: 1_000 });
    const admitted = [...first, ...second].filter(({ status }) => status === 200).length;
    assert.equal(admitted, 250);
    const { body } = await keyward.call('POST', '/v1/keys/verify', { key });
    assert.deepEqual([body.code, body.valid, body.denied_by, body.quotas[0].remaining, body.retry_after_seconds], ['QUOTA_EXCEEDED', false, 'calls', 0, null]);
  });
});

describe('limits', () => {
  let keyward;
  before(async () => {
    keyward = await Deployment.start();
  });
  after(() => keyward.stop());

  const verify = async (key, question = {}) => (await keyward.call('POST', '/v1/keys/verify', { key, ...question })).body;

  test('a verification says what is left, which limit denied, and when to come again', async () => {
    const { key, rate_limits: shown } = await keyward.create({
      rate_limits: [{ name: 'requests', limit: 10, window_seconds: 60 }, { name: 'burst', limit: 600, window_seconds: 60, burst: 20 }],
      quotas: [{ name: 'daily', limit: 100, period: 'day' }, { name: 'ever', limit: 1000, period: 'total' }],
    });
    assert.deepEqual(shown, [{ name: 'requests', limit: 10, window_seconds: 60, burst: 10, mode: 'exact' }, { name: 'burst', limit: 600, window_seconds: 60, burst: 20, mode: 'exact' }]);
    const first = await verify(key, { cost: 4 });
    assert.deepEqual([first.code, first.limits.map(({ name, remaining }) => [name, remaining]), first.quotas.map(({ name, remaining }) => [name, remaining])],
      ['VALID', [['requests', 6], ['burst', 16]], [['daily', 96], ['ever', 996]]]);
    const midnight = new Date(Math.ceil((Date.now() + 1) / 86_400_000) * 86_400_000).toISOString();
    assert.deepEqual(first.quotas.map(({ resets_at }) => resets_at), [midnight, null]);
    assert.equal((await verify(key, { cost: 6 })).code, 'VALID');
    const denied = await verify(key);
    assert.deepEqual([denied.valid, denied.code, denied.denied_by, denied.limits[0].remaining], [false, 'RATE_LIMITED', 'requests', 0]);
    assert.ok(denied.retry_after_seconds >= 4 && denied.retry_after_seconds <= 6, String(denied.retry_after_seconds));
    assert.equal(denied.key_id, first.key_id, 'whose key it is, is told');
    for (let i = 0; i < 20; i += 1) assert.equal((await verify(key)).code, 'RATE_LIMITED');
    assert.deepEqual((await verify(key)).quotas.map(({ remaining }) => remaining), [90, 990], 'denied calls burn nothing');
    assert.equal((await verify(key, { cost: 0 })).code, 'VALID', 'a look costs nothing');
    assert.deepEqual([(await verify(key, { cost: 11 })).retry_after_seconds], [null], 'more than will ever be there at once');
  });

  test('only a call that passes all else is counted', async () => {
    const { key } = await keyward.create({ scopes: ['calls:create'], allowed_countries: ['DE'], rate_limits: [{ name: 'requests', limit: 3, window_seconds: 3600 }] });
    for (let i = 0; i < 5; i += 1) {
      assert.equal((await verify(key, { country: 'FR' })).code, 'COUNTRY_NOT_ALLOWED');
      assert.equal((await verify(key, { country: 'DE', scopes: ['calls:delete'] })).code, 'INSUFFICIENT_SCOPE');
    }
    for (let i = 0; i < 3; i += 1) assert.equal((await verify(key, { country: 'DE' })).code, 'VALID');
    assert.equal((await verify(key, { country: 'DE' })).code, 'RATE_LIMITED');
  });

  test('what is refused for another reason says nothing of limits, which it drew nothing from', async () => {
    const { key } = await keyward.create({ allowed_countries: ['DE'], rate_limits: [{ name: 'requests', limit: 3, window_seconds: 3600 }], quotas: [{ name: 'ever', limit: 9, period: 'total' }] });
    const refused = await verify(key, { country: 'FR' });
    assert.deepEqual([refused.code, refused.limits, refused.quotas], ['COUNTRY_NOT_ALLOWED', null, null]);
    const { status, headers } = await keyward.authorize(key);
    assert.deepEqual([status, headers.get('ratelimit'), headers.get('ratelimit-policy')], [403, null, null]);
    assert.deepEqual((await verify(key, { country: 'DE' })).limits.map(({ remaining }) => remaining), [2]);
  });

  test('fresh verdicts are charged by the authority, from the same bucket', async () => {
    const { key } = await keyward.create({ rate_limits: [{ name: 'requests', limit: 5, window_seconds: 3600 }] });
    const codes = [];
    for (let i = 0; i < 8; i += 1) codes.push((await keyward.call('POST', '/v1/keys/verify', { key }, { headers: { 'Cache-Control': 'no-cache' } })).body.code);
    assert.deepEqual(codes, [...Array(5).fill('VALID'), ...Array(3).fill('RATE_LIMITED')]);
  });

  test('an authorized call carries what is left; a denied one is 429 and says when', async () => {
    const { key } = await keyward.create({ rate_limits: [{ name: 'requests', limit: 3, window_seconds: 30 }], quotas: [{ name: 'ever', limit: 9, period: 'total' }] });
    for (const left of [2, 1, 0]) {
      const { status, headers } = await keyward.authorize(key);
      assert.deepEqual([status, headers.get('ratelimit-policy')], [200, '"requests";q=3;w=30, "ever";q=9']);
      assert.match(headers.get('ratelimit'), new RegExp(`^"requests";r=${left};t=${(3 - left) * 10}, "ever";r=${left + 6}$`));
    }
    const { status, headers, body } = await keyward.authorize(key);
    assert.deepEqual([status, body.code, headers.get('keyward-status'), headers.get('content-type')], [429, 'RATE_LIMITED', '429', 'application/problem+json']);
    assert.ok(Number(headers.get('retry-after')) >= 9 && Number(headers.get('retry-after')) <= 10, headers.get('retry-after'));
    assert.match(headers.get('ratelimit'), /^"requests";r=0;t=30, "ever";r=6$/);
    // A management key is a key like any other.
    const manager = await keyward.create({ scopes: ['keyward.keys:read'], rate_limits: [{ name: 'requests', limit: 2, window_seconds: 3600 }] });
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await keyward.call('GET', '/v1/keys?limit=1', undefined, { key: manager.key })).status);
    assert.deepEqual(statuses, [200, 200, 429]);
  });

  test('a management key with limits is charged once for each verification, whatever way it takes', async () => {
    const { key: subject } = await keyward.create();
    const { key } = await keyward.create({ scopes: ['keyward.keys:verify'], rate_limits: [{ name: 'requests', limit: 10, window_seconds: 3600 }] });
    const answers = [];
    for (let i = 0; i < 11; i += 1) answers.push(await keyward.call('POST', '/v1/keys/verify', { key: subject }, { key }));
    assert.deepEqual(answers.map(({ status }) => status), [...Array(10).fill(200), 429]);
    assert.match(answers[9].headers.get('ratelimit'), /^"requests";r=0/);
    assert.deepEqual([answers[0].body.limits, answers[0].body.quotas], [[], []], 'what is left of the subject, which has none');
  });

  test('limits outlive the process, and a changed limit holds', async () => {
    const { key, id } = await keyward.create({ rate_limits: [{ name: 'requests', limit: 20, window_seconds: 86_400 }] });
    for (let i = 0; i < 5; i += 1) await verify(key);
    // What is out in slices is lost with the edge, and counted as spent.
    await keyward.restart('SIGKILL');
    let valid = 0;
    for (let i = 0; i < 30; i += 1) valid += (await verify(key)).valid ? 1 : 0;
    assert.ok(valid <= 15 && valid >= 5, String(valid));
    const { body } = await keyward.call('PATCH', `/v1/keys/${id}`, { rate_limits: [{ name: 'other', limit: 2, window_seconds: 60 }] });
    assert.equal(body.rate_limits.length, 1);
    const codes = [];
    for (let i = 0; i < 3; i += 1) codes.push((await verify(key)).code);
    assert.deepEqual(codes, ['VALID', 'VALID', 'RATE_LIMITED']);
    assert.deepEqual((await keyward.call('PATCH', `/v1/keys/${id}`, { rate_limits: null })).body.rate_limits, []);
    assert.equal((await verify(key)).code, 'VALID');
  });

  test('an approximate limit is kept by each edge for itself, without a question', async () => {
    const { key } = await keyward.create({ rate_limits: [{ name: 'requests', limit: 4, window_seconds: 3600, mode: 'approximate' }] });
    const codes = [];
    for (let i = 0; i < 6; i += 1) codes.push((await verify(key)).code);
    assert.deepEqual(codes, [...Array(4).fill('VALID'), 'RATE_LIMITED', 'RATE_LIMITED']);
  });

  test('29: limits that could not be kept are not taken', async () => {
    const good = { name: 'requests', limit: 5, window_seconds: 60 };
    for (const [field, rule] of [
      ['limit', { ...good, limit: 0 }], ['limit', { ...good, limit: -1 }], ['limit', { ...good, limit: 1.5 }], ['limit', { ...good, limit: 2 ** 53 }], ['limit', { ...good, limit: '5' }],
      ['window_seconds', { ...good, window_seconds: 0 }], ['window_seconds', { ...good, window_seconds: 0.5 }], ['window_seconds', { ...good, window_seconds: 2 ** 53 }],
      ['burst', { ...good, burst: 0 }], ['burst', { ...good, burst: 2 ** 53 }], ['mode', { ...good, mode: 'about' }], ['name', { ...good, name: 'Two words' }], ['name', { ...good, name: 'a"b' }], ['name', { limit: 5, window_seconds: 60 }], ['extra', { ...good, extra: 1 }],
    ]) {
      const { status, body } = await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', rate_limits: [rule] });
      assert.deepEqual([status, body.field], [400, `rate_limits[0].${field}`], JSON.stringify(rule));
    }
    for (const [field, body] of [
      ['rate_limits', { rate_limits: [good, good] }], ['quotas', { rate_limits: [good], quotas: [{ name: 'requests', limit: 1, period: 'day' }] }],
      ['rate_limits', { rate_limits: Array.from({ length: 9 }, (_, i) => ({ ...good, name: `r${i}` })) }], ['quotas[0].period', { quotas: [{ name: 'q', limit: 1 }] }], ['quotas[0].period', { quotas: [{ name: 'q', limit: 1, period: 'week' }] }],
      ['quotas[0].limit', { quotas: [{ name: 'q', limit: 2 ** 53 + 2, period: 'day' }] }],
    ]) {
      const answer = await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', ...body });
      assert.deepEqual([answer.status, answer.body.field], [400, field], JSON.stringify(body));
    }
    const { key } = await keyward.create();
    for (const cost of [-1, 1.5, 1_000_001, '1']) assert.deepEqual([(await keyward.call('POST', '/v1/keys/verify', { key, cost })).body.field], ['cost'], String(cost));
  });
});
