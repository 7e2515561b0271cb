// `npm run bench:scale`: what it costs that there are many keys. The same operations on deployments that differ only in
// how many keys stand in their index, in turn, so that a drift of the machine falls on all alike; then the memory of an
// edge that has met very many keys. README.md says how to read it.
import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../../.ci/setup.mjs';
import { startKeyward } from '../../.ci/workerd.mjs';
import { newDeployment } from '../../src/cli/worker/secrets.mjs';
import { quantile, quartiles } from './cpu.mjs';
import { table } from './table.mjs';

/** Everything times this: 0.01 shows whether it runs. */
const SCALE = Number(process.env.KEYWARD_SCALE ?? 1);
const scaled = (count, least) => Math.max(least, Math.round(count * SCALE));

/** The deployments: keys in the index, and how many of those have an object of their own. */
const LEVELS = [[1_000, 1_000], [20_000, 20_000], [1_000_000, 20_000]].map(([keys, objects]) => ({ keys: scaled(keys, 200), objects: scaled(objects, 200) }));
/** Each round asks every operation of every deployment so many times; in all rounds no key twice, lest it be in hand. */
const PER_ROUND = 20;
const ROUNDS = Math.min(24, Math.floor((LEVELS[0].objects - 3) / 2 / PER_ROUND) - 1);
/** Keys that the edge meets. */
const MET = scaled(100_000, 500);
/** Requests at once where throughput is measured or keys are made for later. */
const LANES = 16;
const BATCH = 500;
/** What one isolate may hold in all is twice this. */
const MOST_MEMORY = 64;

const core = await import(join(root, 'dist', 'index.js'));
const wrappers = ['scale-worker.js', '../worker/memory.js'].map((file) => fileURLToPath(new URL(file, import.meta.url)));
const number = (count) => count.toLocaleString('en').replaceAll(',', ' ');

/** Reports on stderr: in place on a terminal, else a line every ten seconds. */
const progress = (() => {
  let last = 0;
  return (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K  ${text}`);
    else if (Date.now() - last > 10_000) {
      process.stderr.write(`  ${text}\n`);
      last = Date.now();
    }
  };
})();

/** Does `work(i)` for every i below `count`, `LANES` at a time. */
async function inLanes(count, work) {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** Bytes that a folder takes on disk. */
function diskBytes(folder) {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? diskBytes(path) : statSync(path).blocks * 512);
  }, 0);
}

/** A deployment, and what was made in it. */
class Store {
  state = mkdtempSync(join(tmpdir(), 'keyward-scale-'));
  real = [];
  named = 0;
  deployment = newDeployment(core);

  get objects() {
    return join(this.state, 'objects');
  }

  async run() {
    this.agent = new Agent({ keepAlive: true, maxSockets: LANES });
    this.workerd = await startKeyward({ state: this.state, env: this.deployment.env, wrappers });
  }

  async end() {
    this.agent.destroy();
    this.workerd.process.kill();
    await this.workerd.exited;
  }

  /** At once, however the bench ends: a million keys are not to stay behind. */
  remove() {
    this.workerd?.process.kill('SIGKILL');
    rmSync(this.state, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Begins with what stands in another, which costs less than to make it again. */
  async copy(other) {
    progress(`copying ${number(other.real.length)} keys`);
    await other.end();
    cpSync(other.objects, this.objects, { recursive: true });
    await other.run();
    Object.assign(this, { real: [...other.real], named: other.named, deployment: other.deployment });
  }

  /**
   * No object is awake, nothing waits to be merged, and the files lie as those of a copy do, wherever they were made: in a
   * folder where many files came and went, opening one costs a quarter more.
   */
  async settle() {
    progress(`settling ${number(this.named)} keys`);
    await this.end();
    cpSync(this.objects, `${this.objects}-anew`, { recursive: true });
    rmSync(this.objects, { recursive: true });
    renameSync(`${this.objects}-anew`, this.objects);
    await this.run();
  }

  /** The body of an answer that must have the status, to the deployment's own key or another. */
  ask(method, path, body, expected = 200, key = this.deployment.adminKey) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request(this.workerd.url + path, {
        method,
        agent: this.agent,
        headers: { authorization: `Bearer ${key}`, ...(text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }) },
      });
      sent.once('error', reject).once('response', (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (chunk) => (answer += chunk)).once('error', reject);
        response.once('end', () => {
          if (response.statusCode === expected) resolve(answer);
          else reject(new Error(`${method} ${path} answered ${response.statusCode}: ${answer}\n${this.workerd.log.slice(-5).join('')}`));
        });
      });
      sent.end(text);
    });
  }

  /** A key's fields: each has a name of its own, ten share an owner. */
  fields() {
    this.named += 1;
    const digits = String(this.named).padStart(8, '0');
    return { name: `server-${digits}`, owner: `customer-${digits.slice(0, -1)}` };
  }

  /** Makes a key through the API. */
  async create(more = {}) {
    const fields = this.fields();
    const { id, key } = JSON.parse(await this.ask('POST', '/v1/keys', { ...fields, scopes: ['calls:create', 'calls:read'], metadata: { team: 'billing', stage: 4 }, ...more }, 201));
    return { id, key, ...fields };
  }

  /** Brings the index to `keys` keys, of which `objects` have an object of their own. */
  async fill({ keys, objects }) {
    const title = number(keys);
    const have = this.real.length;
    await inLanes(objects - have, async (i) => {
      this.real.push(await this.create());
      progress(`${title}: ${number(have + i + 1)} of ${number(objects)} keys with an object`);
    });
    // The oldest of all, so that a list of them would have to pass by all others if it read those.
    for (const { id } of this.real.slice(0, 3)) await this.ask('POST', `/v1/keys/${id}/disable`);
    const of = keys > objects ? await this.create() : undefined;
    for (let done = objects + 1; done < keys; done += BATCH) {
      const copies = Array.from({ length: Math.min(BATCH, keys - done) }, () => ({ id: randomId(), ...this.fields() }));
      await this.ask('POST', '/scale/fill', { of, copies });
      progress(`${title}: ${number(done)} of ${number(keys)} keys in the index`);
    }
  }
}

const randomId = () => core.parseKey(core.generateKey({ brand: 'psk' })).id;
const json = (text, holds) => {
  if (!holds(JSON.parse(text))) throw new Error(`an unexpected answer: ${text.slice(0, 500)}`);
};
const lists = (count) => (text) => json(text, ({ data }) => data.length === count);

/** The operations: each makes a request of a deployment, and checks the answer where that was timed. */
const OPERATIONS = {
  'POST /v1/keys': { request: (store) => ['POST', '/v1/keys', store.fields(), 201], check: (text) => json(text, ({ key }) => key) },
  'GET /v1/keys/{id}': { request: (store, i) => ['GET', `/v1/keys/${store.sample[i].id}`], check: (text) => json(text, ({ id }) => id) },
  'GET /v1/keys?limit=50': { request: () => ['GET', '/v1/keys?limit=50'], check: lists(50) },
  'GET /v1/keys?limit=50&cursor=': {
    request: (store) => ['GET', `/v1/keys?limit=50${store.cursor ? `&cursor=${store.cursor}` : ''}`],
    check: (text, store) => json(text, ({ data, next_cursor }) => {
      store.cursor = next_cursor;
      return data.length > 0;
    }),
  },
  'GET /v1/keys?owner=, of ten keys': { request: (store, i) => ['GET', `/v1/keys?limit=50&owner=${store.sample[i].owner}`], check: (text) => json(text, ({ data }) => data.length > 0 && data.length <= 10) },
  'GET /v1/keys?status=, of the three oldest': { request: () => ['GET', '/v1/keys?limit=50&status=disabled'], check: lists(3) },
  'GET /v1/keys?search=, a whole name': { request: (store, i) => ['GET', `/v1/keys?limit=50&search=${store.sample[i].name.toUpperCase()}`], check: lists(1) },
  'GET /v1/keys?search=, what all begin with': { request: () => ['GET', '/v1/keys?limit=50&search=Server'], check: lists(50) },
  'POST /v1/keys/verify, no lease in hand': {
    // From the other end of the sample than those that were read, so that both meet objects that sleep.
    request: (store, i) => ['POST', '/v1/keys/verify', { key: store.sample.at(-1 - i).key }],
    check: (text) => json(text, ({ valid, freshness }) => valid && freshness.mode === 'authority'),
  },
};

async function timed(store, operation, i) {
  const { request, check } = OPERATIONS[operation];
  const asked = request(store, i);
  const start = process.hrtime.bigint();
  const text = await store.ask(...asked);
  const nanoseconds = Number(process.hrtime.bigint() - start);
  check(text, store);
  return nanoseconds;
}

/** Draws `count` different ones, the first three left out: those are disabled. */
function draw(keys, count) {
  const rest = keys.slice(3);
  for (let i = 0; i < count; i += 1) {
    const j = i + Math.floor(Math.random() * (rest.length - i));
    [rest[i], rest[j]] = [rest[j], rest[i]];
  }
  return rest.slice(0, count);
}

/** Latencies by operation and deployment: `times[operation][level][round]` is a list of nanoseconds. */
async function measure(stores) {
  // The first round warms up and is not counted. What is read and what is verified are different keys.
  for (const store of stores) store.sample = draw(store.real, 2 * (1 + ROUNDS) * PER_ROUND);
  const times = Object.fromEntries(Object.keys(OPERATIONS).map((name) => [name, stores.map(() => [])]));
  for (let round = 0; round <= ROUNDS; round += 1) {
    progress(`round ${round} of ${ROUNDS}`);
    for (const operation of Object.keys(OPERATIONS)) {
      const order = stores.map((_, level) => level);
      if (round % 2) order.reverse();
      for (const level of order) {
        const lot = [];
        for (let i = 0; i < PER_ROUND; i += 1) lot.push(await timed(stores[level], operation, round * PER_ROUND + i));
        if (round > 0) times[operation][level].push(lot);
      }
    }
  }
  return times;
}

/** Keys created in a second with `LANES` requests at once, in slices that alternate between the deployments. */
async function creations(stores) {
  const rates = stores.map(() => []);
  const count = scaled(400, 50);
  for (let round = 0; round < 5; round += 1) {
    for (const [level, store] of stores.entries()) {
      const start = performance.now();
      await inLanes(count, () => store.create());
      rates[level].push(count / ((performance.now() - start) / 1000));
    }
  }
  return rates;
}

/** Megabytes of linear memory of an edge that has met `MET` keys at both endpoints, then as many that are large. */
async function edgeMemory(store) {
  const { adminKey, env } = store.deployment;
  const verifier = new core.Verifier({ brand: 'psk', rootSecret: env.KEYWARD_ROOT_SECRET });
  const hmac = (key) => verifier.digest(key).hmac;
  const megabytes = async () => JSON.parse(await store.ask('POST', '/scale/memory', {})).bytes / (1 << 20);
  const meet = async (of, what) => {
    for (let done = 0; done < MET; done += BATCH) {
      const keys = Array.from({ length: BATCH }, () => {
        const key = core.generateKey({ brand: 'psk', environment: 'live', tagKey: env.KEYWARD_TAG_KEY });
        return { key, id: core.parseKey(key).id, hmac: hmac(key) };
      });
      await store.ask('POST', '/scale/make', { of: { id: of.id, hmac: hmac(of.key) }, keys: keys.map(({ id, hmac }) => ({ id, hmac })) });
      await inLanes(BATCH, async (i) => {
        await store.ask('GET', '/v1/authorize', undefined, 200, keys[i].key);
        json(await store.ask('POST', '/v1/keys/verify', { key: keys[i].key }), ({ valid, freshness }) => valid && freshness.mode === 'lease');
      });
      progress(`an edge has met ${number(done + BATCH)} ${what}`);
    }
    return megabytes();
  };
  await store.ask('GET', `/v1/keys/${core.parseKey(adminKey).id}`);
  const small = await store.create({ max_staleness_seconds: 60 });
  const large = await store.create({ max_staleness_seconds: 60, metadata: { note: 'x'.repeat(2000) } });
  return {
    'before': await megabytes(),
    [`${number(MET)} keys met`]: await meet(small, 'keys'),
    [`${number(MET)} more, each with 2 KB of metadata`]: await meet(large, 'large keys'),
  };
}

const median = (values) => quantile(values, 0.5);

function report(times, rates, disk, memory) {
  const smallest = 0;
  const largest = LEVELS.length - 1;
  const levels = LEVELS.map(({ keys }) => `${number(keys)} keys`);
  const results = Object.entries(times).map(([operation, byLevel]) => ({
    title: `Latency of ${operation}`,
    lines: byLevel.flatMap((rounds, level) => [
      { what: `${levels[level]}: median`, measured: quartiles(rounds.flat()), unit: 'ns' },
      { what: `${levels[level]}: 95 of 100 within`, measured: { median: quantile(rounds.flat(), 0.95) }, unit: 'ns' },
    ]),
  }));
  results.push({ title: `Keys created in a second, ${LANES} requests at once`, lines: rates.map((rounds, level) => ({ what: levels[level], measured: quartiles(rounds), unit: '/s' })) });
  results.push({
    title: `Latency, ${levels[largest]} : ${levels[smallest]}`,
    lines: Object.entries(times).map(([what, byLevel]) => ({
      what,
      measured: {
        overall: median(byLevel[largest].flat()) / median(byLevel[smallest].flat()),
        ...quartiles(byLevel[largest].map((lot, round) => median(lot) / median(byLevel[smallest][round]))),
      },
      unit: '×',
      // What is claimed to stay flat; a B-tree of a million has a level or two more than one of a thousand.
      ...(/^(POST \/v1\/keys|GET \/v1\/keys\?limit=50)$/.test(what) ? { bound: { atMost: 1.5 } } : {}),
    })),
  });
  results.push({
    title: 'On disk',
    lines: disk.flatMap(({ index, object }, level) => [
      { what: `${levels[level]}: index and log`, measured: { median: index / (1 << 20) }, unit: 'MB' },
      { what: `${levels[level]}: the object of one key`, measured: { median: object / (1 << 10) }, unit: 'KB' },
    ]),
  });
  results.push(ofMemory(memory));
  return printed(results);
}

const ofMemory = (memory) => ({
  title: 'Linear memory of an edge',
  lines: Object.entries(memory).map(([what, measured]) => ({ what, measured: { median: measured }, unit: 'MB', ...(what === 'before' ? {} : { bound: { atMost: MOST_MEMORY } }) })),
});

function printed(results) {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
  return `${machine}${SCALE === 1 ? '' : `; sizes × ${SCALE}`}\n\n${table(results)}`;
}

const began = Date.now();
const stores = [];
process.once('exit', () => stores.forEach((store) => store.remove()));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
// `-- --memory`: the edge alone, in a minute or two.
const onlyMemory = process.argv.includes('--memory');
for (const level of onlyMemory ? LEVELS.slice(0, 1) : LEVELS) {
  const store = new Store();
  const like = stores.find(({ real }) => real.length === level.objects);
  stores.push(store);
  if (like) await store.copy(like);
  await store.run();
  await store.fill(level);
}
for (const store of stores) await store.settle();
if (onlyMemory) {
  const memory = ofMemory(await edgeMemory(stores[0]));
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  process.stdout.write(printed([memory]));
  process.exit();
}
// First, because a process in which never many objects were awake opens each more slowly, whatever else it holds.
const rates = await creations(stores);
const times = await measure(stores);
const memory = await edgeMemory(stores[0]);
// Once they have ended, so that nothing waits to be merged. The runtime has a folder for each namespace.
for (const store of stores) await store.end();
const disk = stores.map(({ objects, named }, level) => ({
  index: diskBytes(join(objects, 'keyward-project')),
  object: diskBytes(join(objects, 'keyward-keys')) / (named - LEVELS[level].keys + LEVELS[level].objects),
}));
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
process.stdout.write(report(times, rates, disk, memory));
process.stderr.write(`${Math.round((Date.now() - began) / 1000)} s\n`);
