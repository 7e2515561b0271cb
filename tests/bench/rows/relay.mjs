// Calls through a route against a proxy Worker written by hand, both to the same upstream in a process of its own: what a
// call costs, what it adds to the time of a direct one, and how fast a large download goes.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { advantage, alternate, quartiles } from '../cpu.mjs';
import { contender, createKey, withDeployment } from '../deployment.mjs';
import { load, parseAnswer, requestBytes } from '../load.mjs';

export const title = 'a call through a route, lease in hand, against a proxy Worker written by hand';

const DOWNLOAD = 100_000_000;
const SECRET = 'sk_live_9fQ2mX7cT1vB8nK4wR6yZ3pL';
const ORIGIN = 'https://shop.example';
/** As a client's library sends it. */
const HEADERS = { Accept: 'application/json', 'Accept-Encoding': 'gzip, br', 'User-Agent': 'bench/1.0' };
const BODY = JSON.stringify({ to: '+4915112345678', text: 'Your code is 123456', sender: 'Shop' });
const peers = new URL('../peers/', import.meta.url);

async function withUpstream(work) {
  const child = fork(fileURLToPath(new URL('upstream.mjs', peers)), { env: { ...process.env, DOWNLOAD_BYTES: DOWNLOAD } });
  try {
    const [port] = await once(child, 'message');
    return await work(port);
  } finally {
    child.disconnect();
  }
}

async function manage(port, key, method, path, body, headers) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { Authorization: `Bearer ${key}`, ...headers }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

/** Makes a route to the upstream with its secret. */
async function makeRoute(port, key, name, upstream, response) {
  await manage(port, key, 'PUT', `/v1/routes/${name}`, {
    upstream,
    callers: {
      key: { scopes: ['messages:send'] },
      session: { origins: [ORIGIN], calls: 10_000, seconds: 3_600, per_route: { limit: 1_000, window_seconds: 3_600 } },
    },
    allow: [{ methods: ['POST'], path: '/messages' }, { methods: ['GET'], path: '/messages/*' }, { methods: ['GET'], path: '/files/*' }],
    credential: { type: 'header', name: 'Authorization', prefix: 'Bearer ' },
    response,
  });
  await manage(port, key, 'PUT', `/v1/routes/${name}/secrets/current`, { secret: SECRET });
}

/** Milliseconds of `count` calls, one after the other on one connection. */
function latencies({ port, request, count }) {
  return new Promise((resolve, reject) => {
    const times = [];
    let [received, sent] = ['', 0];
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }).setEncoding('latin1');
    const next = () => {
      sent = performance.now();
      socket.write(request);
    };
    socket.on('connect', next).on('error', reject).on('data', (chunk) => {
      received += chunk;
      const answer = parseAnswer(received);
      if (answer === undefined) return;
      times.push(performance.now() - sent);
      received = '';
      if (answer.status === 200 && times.length < count) next();
      else {
        socket.destroy();
        if (answer.status === 200) resolve(times);
        else reject(new Error(`an unexpected answer: ${answer.status} ${answer.body}`));
      }
    });
  });
}

/** Megabytes a second of a download. */
function download({ port, request }) {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    let seen = 0;
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }, () => socket.write(request));
    const done = () => {
      // With its head and, where its length was not told, the frames of its chunks.
      if (seen < DOWNLOAD) reject(new Error(`a download ended after ${seen} bytes`));
      else resolve(DOWNLOAD / 1e3 / (performance.now() - begin));
    };
    socket.on('error', reject).on('end', done).on('data', (chunk) => {
      seen += chunk.length;
      if (seen === chunk.length && !chunk.latin1Slice(0, 12).endsWith('200')) reject(new Error(chunk.latin1Slice(0, 500)));
    });
  });
}

export const run = ({ quick, progress }) => withUpstream((upstreamPort) => {
  const upstream = `http://127.0.0.1:${upstreamPort}`;
  const proxy = { esModule: fileURLToPath(new URL('proxy.js', peers)), env: { UPSTREAM: upstream, SECRET } };
  return withDeployment((deployment) => deployment.run({ proxy }, async ({ ports, pid }) => {
    const { keyward: port } = ports;
    const { managementKey } = deployment;
    await makeRoute(port, managementKey, 'bench', upstream, {});
    await makeRoute(port, managementKey, 'plain', upstream, { redact: false });
    const { key } = await createKey(port, managementKey, { name: 'caller', scopes: ['messages:send'] });
    // Enough calls for the whole run: a session has no more than 10 000.
    const sessions = [];
    const session = async () => (await manage(port, managementKey, 'POST', '/v1/relay/sessions?route=bench', {})).token;
    const count = quick ? 1_000 : 5_000;
    const rounds = quick ? 3 : 20;

    const requests = (path, credential, headers = {}) => {
      const all = { ...HEADERS, ...headers, Authorization: `Bearer ${credential}` };
      return {
        post: requestBytes({ method: 'POST', path: `${path}/messages`, headers: { ...all, 'Content-Type': 'application/json' }, body: BODY }),
        get: requestBytes({ path: `${path}/messages/msg_01jb2v5w8q`, headers: all }),
        file: requestBytes({ path: `${path}/files/export.csv`, headers: { ...all, Connection: 'close' } }),
      };
    };
    const [relayed, plain, bare] = [requests('/r/bench', key), requests('/r/plain', key), requests('', key)];
    const accepts = ({ status, body }) => status === 200 && body.startsWith('{"id":"msg_');
    const common = { pid, accepts, count };
    const make = (over) => contender({ ...common, ...over });
    let calls = 0;
    const bySession = () => {
      calls += 1;
      return requests('/r/bench', sessions[Math.floor(calls / 9_000)], { Origin: ORIGIN }).post;
    };
    for (let need = count * (2 * rounds + 1); need > -9_000; need -= 9_000) sessions.push(await session());
    const contenders = {
      keywardPost: await make({ port, request: relayed.post }),
      proxyPost: await make({ port: ports.proxy, request: bare.post }),
      keywardGet: await make({ port, request: relayed.get }),
      proxyGet: await make({ port: ports.proxy, request: bare.get }),
      session: await make({ port, request: bySession }),
    };
    // Whether the upstream is what bounds: it must answer far more in a second than any Worker here.
    await load({ port: upstreamPort, request: bare.post, accepts, count });
    const began = performance.now();
    await load({ port: upstreamPort, request: bare.post, accepts, count });
    const direct = count / ((performance.now() - began) / 1000);
    const costs = await alternate(contenders, { rounds, progress });

    const ways = {
      direct: { port: upstreamPort, request: bare.post },
      proxy: { port: ports.proxy, request: bare.post },
      keyward: { port, request: relayed.post },
    };
    const times = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
    for (let round = 0; round < 2 * rounds; round += 1) {
      progress(`latency, round ${round + 1} of ${2 * rounds}`);
      for (const way of Object.keys(ways)) times[way].push(...(await latencies({ ...ways[way], count: 100 })));
    }
    const median = (way) => quartiles(times[way]).median;
    const added = (way) => ({ overall: median(way) - median('direct') });

    const files = {
      'keyward, redaction on': { port, request: relayed.file },
      'keyward, redaction off': { port, request: plain.file },
      'proxy by hand': { port: ports.proxy, request: bare.file },
    };
    const speeds = Object.fromEntries(Object.keys(files).map((name) => [name, []]));
    for (let round = 0; round < (quick ? 1 : 5); round += 1) {
      progress(`download, round ${round + 1}`);
      for (const name of Object.keys(files)) speeds[name].push(await download(files[name]));
    }

    return [
      ...['Post', 'Get'].map((method) => ({
        what: `requests per CPU second: keyward / proxy by hand, ${method === 'Post' ? 'POST of small JSON' : 'GET'}`,
        measured: advantage(costs[`keyward${method}`], costs[`proxy${method}`]),
        unit: '×',
        bound: { atLeast: 0.8 },
      })),
      { what: 'the same, POST with a session, which one object counts', measured: advantage(costs.session, costs.proxyPost), unit: '×' },
      { what: 'CPU per POST: keyward, by key', measured: quartiles(costs.keywardPost), unit: 'ns' },
      { what: 'CPU per POST: keyward, by session', measured: quartiles(costs.session), unit: 'ns' },
      { what: 'CPU per POST: proxy by hand', measured: quartiles(costs.proxyPost), unit: 'ns' },
      { what: 'CPU per GET: keyward, by key', measured: quartiles(costs.keywardGet), unit: 'ns' },
      { what: 'CPU per GET: proxy by hand', measured: quartiles(costs.proxyGet), unit: 'ns' },
      { what: 'POSTs that the upstream itself answers in a second', measured: { overall: direct }, unit: '' },
      { what: 'latency of a direct POST', measured: quartiles(times.direct), unit: 'ms' },
      { what: 'added to it by keyward (difference of medians)', measured: added('keyward'), unit: 'ms' },
      { what: 'added to it by the proxy by hand', measured: added('proxy'), unit: 'ms' },
      ...Object.keys(files).map((name) => ({ what: `download of 100 MB: ${name}`, measured: quartiles(speeds[name]), unit: 'MB/s' })),
    ];
  }), { KEYWARD_LOCAL_UPSTREAMS: upstream });
});
