// A provider's key is replaced under load: five edges call one route all the time while traffic is shifted from the old key to
// the new one, the old one is retired and the provider revokes it. What the provider saw is what counts.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { requestBytes } from '../bench/load.mjs';
import { EDGES, Edges } from './edges.mjs';

const LANES = 2;
/** Between two calls of a lane, so that ten of them leave the machine something. */
const REST_MS = 10;
const QUIET_SECONDS = 3;
/** How late what was seen of a secret may be known. */
const LAG_MS = 2_000;
const REFUSAL = '{"error":"this api key is not valid"}';
const OLD = 'provider-key-1-f8Qz2LmX';
const NEW = 'provider-key-2-Ty7RbW0c';
/** Calls that may be sent twice. POST without an Idempotency-Key is none. */
const SAFE = { get: { method: 'GET' }, put: { method: 'PUT' }, delete: { method: 'DELETE' }, keyed: { method: 'POST' } };
const KINDS = { ...SAFE, plain: { method: 'POST' } };

/** How far a run of calls may be from its share: of the hundred places, which are 61 apart, no run is farther (slots.rs). */
const STRAY = (() => {
  let most = 0;
  for (const weight of [10, 50]) {
    for (let from = 0; from < 100; from += 1) {
      for (let seen = 0, i = 0; i < 100; i += 1) {
        seen += ((from + i) * 61) % 100 < weight ? 1 : 0;
        most = Math.max(most, Math.abs(seen - ((i + 1) * weight) / 100));
      }
    }
  }
  return Math.ceil(most);
})();

/** A provider that accepts some keys and writes down what came with which. */
class Provider {
  accepted = new Set([OLD]);
  /** `{id, key, status, at}` of every call that came. */
  arrivals = [];

  static async start() {
    const provider = new Provider();
    provider.server = createServer(async (request, response) => {
      const { authorization = '' } = request.headers;
      const key = authorization.replace(/^Bearer /, '');
      const id = request.url.split('/').at(-1);
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      // A body that is sent a second time must be the whole one again.
      const whole = request.method === 'GET' || request.method === 'DELETE' ? body === '' : body.startsWith(`{"id":"${id}"`) && body.endsWith('}');
      const status = !whole ? 400 : provider.accepted.has(key) ? 200 : 401;
      provider.arrivals.push({ id, key, status, at: Date.now() });
      const answer = status === 200 ? JSON.stringify({ id }) : REFUSAL;
      response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': answer.length }).end(answer);
    });
    // Longer than the runtime keeps a connection: it is not to be ended just as a call is put on it.
    provider.server.keepAliveTimeout = 60_000;
    provider.server.listen(0, '127.0.0.1');
    await once(provider.server, 'listening');
    provider.origin = `http://127.0.0.1:${provider.server.address().port}`;
    return provider;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** How often it was called with a key, and how often it refused that. */
  seen(key) {
    const with_ = this.arrivals.filter((arrival) => arrival.key === key);
    return { calls: with_.length, unauthorized: with_.filter(({ status }) => status === 401).length };
  }
}

/** Calls of one edge to a route, all the time. */
class Load {
  calls = [];
  #over = false;
  #inFlight = 0;
  #number = 0;
  /** Resolves when lanes that hold may go on. */
  #held;
  #left = Infinity;

  constructor(keyward, { edge, route, key, kinds }) {
    Object.assign(this, { edge, route, key, kinds });
    this.lanes = Promise.all(Array.from({ length: LANES }, () => this.#lane(keyward.line(edge))));
  }

  async #lane(line) {
    while (!this.#over) {
      if (this.#held !== undefined || this.#left === 0) {
        await pause(1);
        continue;
      }
      this.#left -= 1;
      this.#inFlight += 1;
      await this.#call(line);
      this.#inFlight -= 1;
      await pause(REST_MS);
    }
    line.close();
  }

  async #call(line) {
    const number = this.#number;
    this.#number += 1;
    // By turns that do not run with the hundred of the weight.
    const kind = this.kinds[(number + Math.floor(number / this.kinds.length)) % this.kinds.length];
    const { method } = KINDS[kind];
    const id = `${this.route}-${this.edge}-${number}`;
    const bodied = method === 'POST' || method === 'PUT';
    const bytes = requestBytes({
      method,
      path: `/r/${this.route}/items/${id}`,
      headers: { Authorization: `Bearer ${this.key}`, ...(bodied ? { 'Content-Type': 'application/json' } : {}), ...(kind === 'keyed' ? { 'Idempotency-Key': id } : {}) },
      body: bodied ? JSON.stringify({ id, text: 'Your code is 123456' }) : undefined,
    });
    const call = { edge: this.edge, kind, id };
    this.calls.push(call);
    Object.assign(call, await line.call(bytes));
  }

  async #none() {
    while (this.#inFlight > 0) await pause(1);
  }

  /** A hundred calls, of which none began before and none after the others had ended: they are a hundred draws in a row. */
  async hundred() {
    this.#held = true;
    await this.#none();
    const from = this.calls.length;
    this.#left = 100;
    this.#held = undefined;
    while (this.#left > 0) await pause(5);
    await this.#none();
    this.#left = Infinity;
    return this.calls.slice(from, from + 100);
  }

  async stop() {
    this.#over = true;
    await this.lanes;
  }
}

/** A route to the provider, and what changes it. */
class Cutover {
  static async start(keyward, provider, route, kinds) {
    const cutover = Object.assign(new Cutover(), { keyward, provider, route });
    await cutover.manage('PUT', '', {
      upstream: provider.origin,
      callers: { key: { scopes: ['items:write'] } },
      allow: [{ methods: ['GET', 'POST', 'PUT', 'DELETE'], path: '/items/*' }],
      credential: { type: 'header', name: 'Authorization', prefix: 'Bearer ' },
    });
    await cutover.until((await cutover.manage('PUT', '/secrets/current', { secret: OLD })).effective_by);
    const { key } = await keyward.create({ scopes: ['items:write'] });
    cutover.key = key;
    cutover.loads = Array.from({ length: EDGES }, (_, edge) => new Load(keyward, { edge, route, key, kinds }));
    return cutover;
  }

  async manage(method, path, body, status = [200, 201]) {
    const answer = await this.keyward.call(method, `/v1/routes/${this.route}${path}`, body);
    assert.ok([status].flat().includes(answer.status), `${method} ${path} answered ${answer.status}: ${answer.text}`);
    return answer.body;
  }

  until(instant) {
    return pause(Math.max(0, Date.parse(instant) - Date.now()) + 1);
  }

  /** Gives the next secret so many of a hundred calls; resolves when every edge goes by it. */
  async shift(weight) {
    const { effective_by, secrets } = await this.manage('PUT', '/secrets/next', { weight });
    assert.deepEqual([secrets.current.share, secrets.next.share], [100 - weight, weight]);
    await this.until(effective_by);
  }

  /** Which key a call that arrived once came with. */
  keys() {
    return new Map(this.provider.arrivals.map(({ id, key }) => [id, key]));
  }

  /** Holds every edge to its weight: a hundred calls in a row exactly, and all of them together as near as that makes it. */
  async measure(t, weight) {
    const from = Date.now();
    const hundreds = await Promise.all(this.loads.map((load) => load.hundred()));
    const keys = this.keys();
    const next = (calls) => calls.filter(({ id }) => keys.get(id) === NEW).length;
    assert.deepEqual(hundreds.map(next), hundreds.map(() => weight), 'of a hundred calls in a row at each edge');
    const all = this.loads.map(({ calls }) => calls.filter(({ start, end }) => start > from && end !== undefined));
    const [made, used] = [all.flat().length, next(all.flat())];
    const most = EDGES * (STRAY + LANES);
    t.diagnostic(`weight ${weight}: ${used} of ${made} calls with the new key`);
    assert.ok(Math.abs(used - (made * weight) / 100) <= most, `${used} of ${made} at weight ${weight}, ${most} more or fewer`);
  }

  async use(slot) {
    return (await this.manage('GET', '/use')).slots.find((of) => of.slot === slot);
  }

  /** Waits until what is known of a slot's use is what the provider saw of its key, for at most as long as a report may take. */
  async reported(t, slot, key) {
    const last = Math.max(...this.provider.arrivals.filter((arrival) => arrival.key === key).map(({ at }) => at));
    for (;;) {
      const { calls, unauthorized, failures, last_used_at } = await this.use(slot);
      const lag = Date.now() - last;
      const seen = this.provider.seen(key);
      if (calls === seen.calls && unauthorized === seen.unauthorized) {
        t.diagnostic(`${slot}: ${calls} calls, ${unauthorized} refused, as the provider saw; known ${lag} ms after the last of them`);
        assert.equal(failures, 0);
        assert.ok(Math.abs(Date.parse(last_used_at) - last) < 500, `last used at ${last_used_at}, seen at ${new Date(last).toISOString()}`);
        return;
      }
      assert.ok(lag <= LAG_MS, `${lag} ms after the last call ${calls} calls and ${unauthorized} refusals are known, ${JSON.stringify(seen)} were seen`);
      await pause(50);
    }
  }

  /** Stops calling; answers every call that was made. */
  async stop() {
    await Promise.all(this.loads.map((load) => load.stop()));
    return this.loads.flatMap(({ calls }) => calls);
  }
}

const failed = (calls) => calls.filter(({ id, status, body }) => status !== 200 || JSON.parse(body).id !== id);

describe('a provider\'s key is replaced under load', { concurrency: true }, () => {
  let keyward;
  const providers = [];
  before(async () => {
    providers.push(await Provider.start(), await Provider.start());
    keyward = await Edges.start({ faulty: false, env: { KEYWARD_LOCAL_UPSTREAMS: providers.map(({ origin }) => origin).join(',') } });
  });
  after(async () => {
    await keyward?.stop();
    for (const provider of providers) provider.stop();
  });

  test('by shifting traffic, without one failed call', { timeout: 60_000 }, async (t) => {
    const [provider] = providers;
    const cutover = await Cutover.start(keyward, provider, 'shifted', ['get', 'plain', 'keyed']);
    provider.accepted.add(NEW);
    const set = await cutover.manage('PUT', '/secrets/next', { secret: NEW });
    assert.deepEqual([set.secrets.current.share, set.secrets.next.share], [100, 0]);
    for (const weight of [10, 50]) {
      await cutover.shift(weight);
      await cutover.measure(t, weight);
    }
    const early = await cutover.manage('DELETE', '/secrets/current', undefined, 409);
    assert.deepEqual([early.code, early.use.find(({ slot }) => slot === 'current').share], ['SLOT_IN_USE', 50]);

    await cutover.shift(100);
    // No share any more, but it was used a moment ago.
    const still = await cutover.manage('DELETE', '/secrets/current?quiet_seconds=60', undefined, 409);
    const evidence = still.use.find(({ slot }) => slot === 'current');
    assert.deepEqual([still.code, evidence.share], ['SLOT_IN_USE', 0]);
    assert.ok(evidence.calls > 0 && Date.parse(evidence.last_used_at) > Date.now() - 60_000, JSON.stringify(evidence));
    await cutover.measure(t, 100);
    while (Date.now() - Date.parse((await cutover.use('current')).last_used_at) <= QUIET_SECONDS * 1_000) await pause(100);
    await cutover.reported(t, 'current', OLD);
    const retired = await cutover.manage('DELETE', `/secrets/current?quiet_seconds=${QUIET_SECONDS}`);
    assert.deepEqual([retired.secrets.current.number, retired.secrets.current.share, retired.secrets.next], [2, 100, null]);

    provider.accepted.delete(OLD);
    const revoked = Date.now();
    await cutover.until(retired.effective_by);
    await pause(500);
    const calls = await cutover.stop();
    assert.deepEqual(failed(calls)[0], undefined);
    assert.equal(provider.arrivals.length, calls.length, 'no call was sent twice');
    assert.deepEqual(provider.arrivals.filter(({ key, at }) => key === OLD && at >= revoked), []);
    const since = calls.filter(({ start }) => start >= revoked).length;
    assert.ok(since >= 500, `${since} calls since the provider revoked the old key`);
    t.diagnostic(`${calls.length} calls, none failed; ${since} of them since the provider revoked the old key`);
    await cutover.reported(t, 'current', NEW);
  });

  test('the provider revokes the old one too early: what is safe to send twice falls back once', { timeout: 60_000 }, async (t) => {
    const provider = providers[1];
    const cutover = await Cutover.start(keyward, provider, 'early', Object.keys(KINDS));
    provider.accepted.add(NEW);
    await cutover.manage('PUT', '/secrets/next', { secret: NEW });
    await cutover.shift(50);
    await cutover.measure(t, 50);
    provider.accepted.delete(OLD);
    const revoked = Date.now();
    await pause(2_500);
    const calls = await cutover.stop();

    const before = calls.filter(({ end }) => end < revoked);
    const since = calls.filter(({ start }) => start > revoked);
    const arrived = new Map(calls.map(({ id }) => [id, []]));
    for (const arrival of provider.arrivals) arrived.get(arrival.id).push(arrival);
    assert.deepEqual(failed(before)[0], undefined);
    const safe = since.filter(({ kind }) => kind !== 'plain');
    assert.deepEqual(failed(safe)[0], undefined);
    const twice = safe.filter(({ id }) => arrived.get(id).length > 1);
    for (const { id } of twice) assert.deepEqual(arrived.get(id).map(({ key, status }) => [key, status]), [[OLD, 401], [NEW, 200]]);
    for (const kind of Object.keys(SAFE)) assert.ok(twice.filter((call) => call.kind === kind).length >= 20, `${kind} was seldom sent twice`);

    const plain = since.filter(({ kind }) => kind === 'plain');
    const refused = plain.filter(({ status }) => status !== 200);
    assert.deepEqual(refused.filter(({ status, body }) => status !== 401 || body !== REFUSAL), [], 'the upstream\'s own answer');
    assert.deepEqual(plain.filter(({ id }) => arrived.get(id).length !== 1), [], 'never blindly repeated');
    assert.ok(refused.length >= 0.3 * plain.length && refused.length <= 0.7 * plain.length, `${refused.length} of ${plain.length}`);
    t.diagnostic(`since then ${safe.length} calls that may be sent twice, of which ${twice.length} were; ${plain.length} that may not, of which ${refused.length} were refused`);

    // What is too large to be kept is sent once, whatever it is.
    const line = keyward.line(0);
    const statuses = [];
    for (let i = 0; i < 10; i += 1) {
      const id = `early-large-${i}`;
      const bytes = requestBytes({
        method: 'PUT',
        path: `/r/early/items/${id}`,
        headers: { Authorization: `Bearer ${cutover.key}`, 'Content-Type': 'application/json', 'Idempotency-Key': id },
        body: JSON.stringify({ id, text: 'x'.repeat(100_000) }),
      });
      statuses.push((await line.call(bytes)).status);
      assert.equal(provider.arrivals.filter((arrival) => arrival.id === id).length, 1);
    }
    line.close();
    assert.deepEqual([...new Set(statuses)].sort(), [200, 401]);
    await cutover.reported(t, 'current', OLD);
    await cutover.reported(t, 'next', NEW);
  });
});
