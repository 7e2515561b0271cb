// What keyward watches by itself: unusual use and what is done about it, quotas that melt, keys whose time comes. Weeks pass on a
// clock that is moved; what is told arrives at a real receiver.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../.ci/setup.mjs';
import { Deployment } from './harness.mjs';
import { Upstream, least, route, until } from './upstream.mjs';

const HOUR = 3_600_000;
const wrappers = [join(root, 'tests', 'worker', 'hooked.js')];

describe('watch', () => {
  let keyward;
  let receiver;
  let offset = 0;
  before(async () => {
    receiver = await Upstream.start();
    keyward = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_WEBHOOKS: receiver.origin, KEYWARD_LOCAL_UPSTREAMS: receiver.origin } });
    const { status } = await keyward.call('PUT', '/v1/webhooks/pager', { url: `${receiver.origin}/hook` });
    assert.equal(status, 200);
  });
  after(async () => {
    await keyward?.stop();
    await receiver?.stop();
  });

  const move = async (milliseconds) => {
    offset += milliseconds;
    await keyward.call('POST', '/watched', { offset }, { key: null });
  };
  /** What the receiver was told of a key, by type. */
  const told = async (id) => {
    const all = await Promise.all(receiver.of('/hook').map(async (seen) => JSON.parse((await seen.body()).toString())));
    return all.filter(({ data }) => data.key?.id === id);
  };
  const heard = (id, type) => until(async () => (await told(id)).find((message) => message.type === type), 20);
  const found = async (id) => (await keyward.call('GET', `/v1/keys/${id}/anomalies`)).body.data;
  const verify = (key, country, headers = {}) => keyward.call('POST', '/v1/keys/verify', { key, country }, { headers });
  /** As many calls at once, and one that has the edge tell of them before the clock is moved on: else an hour may be told with the next one's. */
  const spend = async (key, calls, country) => {
    await Promise.all(Array.from({ length: calls - 1 }, () => verify(key, country)));
    await verify(key, country, { 'cache-control': 'no-cache' });
  };

  test('after weeks of the same a burst, another country and bounces are found once, told, and answered as the key wants it', async () => {
    const keys = {};
    for (const on_anomaly of ['notify', 'throttle', 'disable', 'revoke']) keys[on_anomaly] = await keyward.create({ name: on_anomaly, on_anomaly, expires_at: new Date(Date.now() + 400 * 24 * HOUR).toISOString() });
    const calm = await keyward.create({ name: 'calm', on_anomaly: 'revoke' });
    const all = [...Object.values(keys), calm];
    const manager = await keyward.create({ scopes: ['keyward.usage:write', 'keyward.usage:read'] });
    const report = (id, body) => keyward.call('POST', `/v1/keys/${id}/outcomes`, body, { key: manager.key });
    // Ten days: twelve to eighteen calls an hour from one country, nine in ten of which were delivered.
    for (let hour = 0; hour < 240; hour += 1) {
      await move(HOUR);
      await Promise.all(all.map(({ key }) => spend(key, 12 + (hour % 7), 'DE')));
      if (hour % 2 === 0) assert.equal((await report(keys.notify.id, { delivered: 27, failed: 2, bounced: 1 })).status, 200);
    }
    for (const { id } of all) assert.deepEqual(await found(id), [], 'nothing is unusual yet');

    await move(HOUR);
    for (const { key } of Object.values(keys)) for (let i = 0; i < 20; i += 1) await Promise.all(Array.from({ length: 40 }, () => verify(key, 'DE')));
    await spend(calm.key, 15, 'DE');
    for (const [policy, { id }] of Object.entries(keys)) {
      const [spike, ...more] = await until(async () => {
        const all = await found(id);
        return all.length > 0 && all;
      }, 10);
      assert.deepEqual([spike.kind, more, spike.action], ['volume_spike', [], policy], policy);
      // Of the burst, as much as had been reported when it was found.
      assert.ok(spike.seen > 2 * spike.expected && spike.probability < 0.001, JSON.stringify(spike));
      const { data } = await heard(id, 'key.anomaly');
      assert.deepEqual([data.detail.kind, data.detail.action, data.key.id], ['volume_spike', policy, id]);
    }
    const standing = async ({ id }) => (await keyward.call('GET', `/v1/keys/${id}`)).body;
    assert.equal((await standing(keys.notify)).status, 'active');
    assert.equal((await standing(keys.disable)).status, 'disabled');
    assert.deepEqual([(await standing(keys.revoke)).status, (await standing(keys.revoke)).revoke_reason], ['revoked', 'unusual use: volume_spike']);
    const [limit] = (await standing(keys.throttle)).rate_limits;
    assert.deepEqual([limit.name, limit.window_seconds, limit.mode], ['anomaly-throttle', 3600, 'exact']);
    // Every edge goes by it once its lease is over.
    await move(6_000);
    const throttled = await Promise.all(Array.from({ length: limit.limit + 20 }, () => verify(keys.throttle.key, 'DE')));
    assert.equal(throttled.filter(({ body }) => body.valid).length, limit.limit);
    assert.ok((await told(keys.disable.id)).some(({ type, data }) => type === 'key.disabled' && data.by === 'keyward'));
    assert.deepEqual([await found(calm.id), (await standing(calm)).status], [[], 'active'], 'a key beside them that goes on as ever');

    for (let i = 0; i < 40; i += 1) await report(keys.notify.id, { delivered: 10, bounced: 20 });
    await until(async () => (await found(keys.notify.id)).some(({ kind }) => kind === 'bounce_rise'), 5);
    await move(HOUR);
    for (let i = 0; i < 3; i += 1) await Promise.all(Array.from({ length: 20 }, () => verify(keys.notify.key, 'KP')));
    const abroad = await until(async () => (await found(keys.notify.id)).find(({ kind }) => kind === 'new_country'), 10);
    assert.deepEqual([abroad.subject, abroad.expected < 1], ['KP', true], JSON.stringify(abroad));
    assert.equal((await found(keys.notify.id)).filter(({ kind }) => kind === 'volume_spike').length, 1, 'one finding for an episode');
    assert.ok(!JSON.stringify(await told(keys.notify.id)).includes(keys.notify.key));
  });

  test('a quota is told at four fifths and at its end, each once', async () => {
    const { id, key } = await keyward.create({ quotas: [{ name: 'calls', limit: 20, period: 'total' }] });
    for (let i = 0; i < 25; i += 1) await verify(key);
    await until(async () => (await told(id)).filter(({ type }) => type === 'key.quota').length === 2, 15);
    const messages = (await told(id)).filter(({ type }) => type === 'key.quota');
    assert.deepEqual(messages.map(({ data: { detail } }) => [detail.quota, detail.percent, detail.limit, detail.resets_at]), [['calls', 80, 20, null], ['calls', 100, 20, null]]);
    for (let i = 0; i < 5; i += 1) await verify(key);
    assert.equal((await told(id)).filter(({ type }) => type === 'key.quota').length, 2);
  });

  test('a key that ends before long, and one whose secret is to be replaced, are told when it is time, by an alarm', async () => {
    const now = Date.now() + offset;
    const ending = await keyward.create({ expires_at: new Date(now + 10_000).toISOString() });
    const old = await keyward.create({ rotation_days: 1 });
    const { data, timestamp } = await heard(ending.id, 'key.expiring');
    assert.equal(data.detail.expires_at, ending.expires_at);
    // The last fifth of ten seconds.
    assert.ok(Date.parse(timestamp) >= now + 7_900 && Date.parse(timestamp) < now + 12_000, timestamp);
    assert.deepEqual((await told(old.id)).map(({ type }) => type), ['key.created']);
    await move(24 * HOUR);
    assert.equal((await keyward.call('GET', `/v1/keys/${old.id}`)).status, 200);
    assert.equal((await heard(old.id, 'key.rotation_due')).data.detail.rotation_days, 1);
    assert.equal((await keyward.call('GET', '/v1/audit?limit=100')).body.data.filter(({ kind }) => ['key.expiring', 'key.rotation_due', 'key.quota', 'key.anomaly'].includes(kind)).length, 0, 'the log is of changes');
    // Alarms that ring again, and objects that start again, tell nothing twice.
    await keyward.restart('SIGKILL');
    await keyward.call('POST', '/watched', { offset }, { key: null });
    for (const { id } of [ending, old]) await keyward.call('GET', `/v1/keys/${id}`);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal((await told(ending.id)).filter(({ type }) => type === 'key.expiring').length, 1);
    assert.equal((await told(old.id)).filter(({ type }) => type === 'key.rotation_due').length, 1);
  });

  test('toll fraud that a route stops is told, too', async () => {
    await route(keyward, 'sms', least(receiver, { request: { numbers: { pointer: '/to', per_range: { limit: 3, window_seconds: 3600 } } } }));
    const { key } = await keyward.create();
    const statuses = [];
    for (let i = 0; i < 6; i += 1) statuses.push((await keyward.call('POST', '/r/sms/messages', { to: `+49151123456${10 + i}` }, { key, headers: { 'Content-Type': 'application/json' } })).status);
    assert.deepEqual(statuses, [200, 200, 200, 429, 429, 429]);
    const { data } = await until(async () => {
      const all = await Promise.all(receiver.of('/hook').map(async (seen) => JSON.parse((await seen.body()).toString())));
      return all.find(({ type }) => type === 'route.anomaly');
    }, 10);
    assert.deepEqual([data.route, data.anomaly.kind, data.anomaly.expected], ['sms', 'destination_range', { limit: 3, window_seconds: 3600 }], JSON.stringify(data));
  });

  test('29: policies and reports that make no sense are refused', async () => {
    assert.deepEqual([(await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', on_anomaly: 'panic' })).body.field], ['on_anomaly']);
    const { id } = await keyward.create();
    for (const body of [{ delivered: -1 }, { bounced: 1.5 }, { delivered: 2 ** 53 }, { lost: 1 }, []]) assert.equal((await keyward.call('POST', `/v1/keys/${id}/outcomes`, body)).status, 400, JSON.stringify(body));
    assert.equal((await keyward.call('POST', '/v1/keys/0000000000000000/outcomes', { delivered: 1 })).status, 404);
  });
});
