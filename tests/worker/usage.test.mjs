// How keys are used: what is counted, how soon it is known, and who may look.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { python, root } from '../../.ci/setup.mjs';
import { Deployment, mistyped } from './harness.mjs';
import { Upstream, least, route, until } from './upstream.mjs';

describe('usage', () => {
  let keyward;
  let upstream;
  before(async () => {
    upstream = await Upstream.start();
    keyward = await Deployment.start({ wrappers: ['addressed.js', 'counting-routes.js', 'memory.js'].map((file) => join(root, 'tests', 'worker', file)), env: { KEYWARD_LOCAL_UPSTREAMS: upstream.origin } });
  });
  after(async () => {
    await keyward.stop();
    await upstream.stop();
  });

  const usage = async (id, query = '') => (await keyward.call('GET', `/v1/keys/${id}/usage${query}`)).body;
  const from = (address) => ({ headers: { 'X-Test-Address': address } });

  test('counts are the calls made, by outcome, way and country, within two seconds and a little of the last of them', async () => {
    await route(keyward, 'sms', least(upstream));
    const { id, key } = await keyward.create({ scopes: ['calls:create'], rate_limits: [{ name: 'requests', limit: 40, window_seconds: 86_400 }] });
    const made = { VALID: 0, INSUFFICIENT_SCOPE: 0, RATE_LIMITED: 0 };
    const ways = { authorize: 0, verify: 0, '/r/sms': 0 };
    const countries = { DE: 0, FR: 0, unknown: 0 };
    for (let i = 0; i < 12; i += 1) {
      const { code } = (await keyward.call('POST', '/v1/keys/verify', { key, country: i % 2 ? 'DE' : 'FR', scopes: i % 3 ? [] : ['calls:delete'] })).body;
      made[code] += 1;
      countries[i % 2 ? 'DE' : 'FR'] += 1;
      ways.verify += 1;
    }
    for (let i = 0; i < 20; i += 1) {
      assert.equal((await keyward.authorize(key)).status, 200);
      made.VALID += 1;
      ways.authorize += 1;
      countries.unknown += 1;
    }
    for (let i = 0; i < 15; i += 1) {
      made[(await keyward.call('GET', '/r/sms/x', undefined, { key })).status === 200 ? 'VALID' : 'RATE_LIMITED'] += 1;
      ways['/r/sms'] += 1;
      countries.unknown += 1;
    }
    assert.equal(made.VALID, 40);
    // Not with the key: what is no key of ours, or not its secret, is nobody's use.
    await keyward.authorize(mistyped(key));
    const last = Date.now();
    const seen = await until(async () => {
      const body = await usage(id);
      return body.calls >= 47 && body;
    }, 6);
    assert.ok(Date.now() - last < 3_500, `${Date.now() - last} ms`);
    const sum = (field) => seen.data.reduce((all, of) => {
      for (const [name, calls] of Object.entries(of[field])) all[name] = (all[name] ?? 0) + calls;
      return all;
    }, {});
    assert.deepEqual([seen.calls, sum('outcomes'), sum('routes'), sum('countries')], [47, made, ways, countries]);
    const day = await usage(id, '?by=day');
    assert.equal(day.calls, 47);
    assert.match(day.data[0].at, /T00:00:00\.000Z$/);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.equal((await usage(id)).calls, 47, 'and never more');
  });

  test('where relayed calls led is counted by country, or calling code where there is none, once for each number that was let through', async () => {
    const wide = { limit: 1000, window_seconds: 3600 };
    const numbers = (fields) => least(upstream, { request: { numbers: { pointer: '/to', per_number: wide, per_range: wide, ...fields } } });
    await route(keyward, 'all', numbers());
    await route(keyward, 'some', numbers({ countries: ['DE'] }));
    for (const max_staleness_seconds of [5, 0]) {
      const { id, key } = await keyward.create({ scopes: ['calls:create'], max_staleness_seconds });
      const send = async (name, to) => (await keyward.call('POST', `/r/${name}/messages`, { to }, { key, headers: { 'content-type': 'application/json' } })).status;
      for (const to of ['+4915112345678', '+4915112345679', ['+4915212345678', '+33612345678', '+33612345679'], '+881612345678']) assert.equal(await send('all', to), 200, String(to));
      assert.deepEqual([await send('some', '+4915112345678'), await send('some', '+12025550123'), await send('all', '+999123456789')], [200, 403, 400]);
      await keyward.authorize(key);
      const seen = await until(async () => {
        const body = await usage(id);
        return body.calls === 8 && body;
      }, 6);
      const sum = {};
      for (const { destinations } of seen.data) for (const [place, count] of Object.entries(destinations)) sum[place] = (sum[place] ?? 0) + count;
      assert.deepEqual(sum, { DE: 4, FR: 2, '+881': 1 });
      await keyward.restart('SIGKILL');
      assert.deepEqual((await usage(id)).data, seen.data, 'they outlive the process');
      const [day] = (await usage(id, '?by=day')).data.slice(-1);
      assert.ok(day.destinations.DE >= 1, JSON.stringify(day));
    }
    for (const name of ['all', 'some']) assert.equal((await keyward.call('DELETE', `/v1/routes/${name}`)).status, 200);
  });

  test('a key is reported when its own calls have paused, however often another one is called', async () => {
    const { id, key } = await keyward.create();
    for (let i = 0; i < 30; i += 1) await keyward.authorize(key);
    const last = Date.now();
    // Whoever asks is a key, too, and asks without a pause.
    while ((await usage(id)).calls < 30) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(Date.now() - last < 2_500, `${Date.now() - last} ms`);
  });

  test('the last calls are told one by one, with networks instead of addresses, and outlive the process', async () => {
    const { id, key } = await keyward.create();
    for (let i = 0; i < 130; i += 1) await keyward.authorize(key, '', from(`192.0.2.${i % 200}`));
    await keyward.authorize(key, '?scope=calls:delete', from('2001:db8:1:2:3::4'));
    const { data } = await until(async () => {
      const { body } = await keyward.call('GET', `/v1/keys/${id}/calls?limit=100`);
      return body.data.length === 100 && body;
    }, 6);
    assert.ok(data.every(({ at, secret, route, address }) => Date.parse(at) > 0 && secret === 1 && route === 'authorize' && ['192.0.2.0/24', '2001:db8:1::/48'].includes(address)));
    await until(async () => (await usage(id)).calls === 131, 6);
    const csv = await keyward.call('GET', `/v1/keys/${id}/calls?format=csv&limit=3`);
    assert.match(csv.headers.get('content-type'), /^text\/csv/);
    assert.match(csv.text, /^at,secret,outcome,route,address,country\r\n(20\d\d-[^,]+,1,[A-Z_]+,authorize,[^,]+,\r\n){3}$/);
    assert.match((await keyward.call('GET', `/v1/keys/${id}/usage?format=csv`)).text, /^at,outcome,route,country,calls\r\n[^]*,VALID,authorize,,130\r\n/);
    await keyward.restart('SIGKILL');
    assert.equal((await usage(id)).calls, 131);
    assert.ok(!JSON.stringify(data).includes(key.slice(-20)));
  });

  test('the overview and the figures for Prometheus tell of all keys', async () => {
    const { id, key } = await keyward.create({ name: 'busy' });
    for (let i = 0; i < 200; i += 1) await keyward.authorize(key, i % 4 ? '' : '?scope=calls:delete');
    const body = await until(async () => {
      const { body } = await keyward.call('GET', '/v1/usage');
      return body.busiest_keys.some(({ key_id: of, calls }) => of === id && calls === 200) && body;
    }, 8);
    const [today] = body.days.slice(-1);
    assert.equal(today.date, new Date().toISOString().slice(0, 10));
    assert.ok(today.calls >= 200 && today.refused >= 50 && today.keys >= 1, JSON.stringify(today));
    assert.deepEqual(body.busiest_keys.find(({ key_id: of }) => of === id), { key_id: id, name: 'busy', owner: 'acme', environment: 'live', calls: 200, refused: 50 });
    const { text, headers } = await keyward.call('GET', '/metrics');
    assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const parsed = JSON.parse(execFileSync(python, ['-c', 'import json, sys\nfrom prometheus_client.parser import text_string_to_metric_families as parse\nprint(json.dumps([[s.name, s.labels, s.value, f.type] for f in parse(sys.stdin.read()) for s in f.samples]))'], { input: text, encoding: 'utf8' }));
    const of = (name, labels = {}) => parsed.find(([known, of]) => known === name && Object.entries(labels).every(([label, value]) => of[label] === value));
    assert.ok(of('keyward_keys', { environment: 'live', status: 'active' })[2] >= 3);
    assert.ok(of('keyward_calls_today', { result: 'refused' })[2] >= 50 && of('keyward_calls_today', { result: 'accepted' })[2] >= 150);
    assert.equal(of('keyward_log_rows_total')[3], 'counter');
    assert.equal(of('keyward_routes')[2], 1);
  });

  test('who may look', async () => {
    const { id } = await keyward.create();
    const { key } = await keyward.create({ scopes: ['keyward.usage:read'] });
    const { key: other } = await keyward.create({ scopes: ['keyward.keys:read'] });
    for (const path of [`/v1/keys/${id}/usage`, `/v1/keys/${id}/calls`, '/v1/usage']) {
      assert.equal((await keyward.call('GET', path, undefined, { key })).status, 200, path);
      assert.equal((await keyward.call('GET', path, undefined, { key: other })).status, 403, path);
      assert.equal((await keyward.call('GET', path, undefined, { key: null })).status, 401, path);
    }
    assert.equal((await keyward.call('GET', '/metrics', undefined, { key })).status, 403);
    for (const query of ['?by=week', '?from=yesterday', '?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', '?format=xml', '?by=hour&from=2020-01-01T00:00:00Z&to=2020-01-01T00:00:00Z', '?x=1']) {
      assert.equal((await keyward.call('GET', `/v1/keys/${id}/usage${query}`)).status, 400, query);
    }
  });
});

describe('usage with a data set of Workers Analytics Engine', () => {
  let keyward;
  before(async () => {
    keyward = await Deployment.start({ wrappers: [join(root, 'tests', 'worker', 'analytics.js')] });
  });
  after(() => keyward.stop());

  test('what is counted is written there, too, and a row that is not taken costs nothing', async () => {
    const { id, key } = await keyward.create();
    for (let i = 0; i < 7; i += 1) await keyward.authorize(key, i < 5 ? '' : '?scope=calls:delete');
    for (const country of ['FR', 'DE']) assert.equal((await keyward.call('POST', '/v1/keys/verify', { key, country })).body.code, 'VALID');
    await until(async () => (await keyward.call('GET', `/v1/keys/${id}/usage`)).body.calls === 9, 6);
    const rows = await until(async () => {
      const rows = (await (await fetch(`${keyward.url}/analytics`)).json()).filter(({ indexes }) => indexes[0] === id);
      return rows.reduce((sum, { doubles }) => sum + doubles[0], 0) >= 8 && rows;
    }, 6);
    const sums = {};
    for (const { indexes, blobs, doubles, ...more } of rows) {
      assert.deepEqual([indexes, doubles.length, more], [[id], 1, {}]);
      sums[blobs.join()] = (sums[blobs.join()] ?? 0) + doubles[0];
    }
    assert.deepEqual(sums, { 'VALID,authorize,': 5, 'INSUFFICIENT_SCOPE,authorize,': 2, 'VALID,verify,DE': 1 });
  });
});
