// `POST /v1/keys/verify` with the leases of caller and subject in hand, against a Worker written by hand that does the
// same with WebCrypto and a Map.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { advantage, alternate, cheapest, quartiles } from '../cpu.mjs';
import { contender, createKey, withDeployment } from '../deployment.mjs';
import { requestBytes } from '../load.mjs';

export const title = 'POST /v1/keys/verify, leases in hand, against a Worker written by hand';

const PATH = '/v1/keys/verify';
const esModule = fileURLToPath(new URL('../peers/verify.js', import.meta.url));

async function verify(port, caller, key) {
  const response = await fetch(`http://127.0.0.1:${port}${PATH}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${caller}` },
    body: JSON.stringify({ key, scopes: ['calls:create'] }),
  });
  if (response.status !== 200) return { status: response.status };
  const verdict = await response.json();
  // The clock's part.
  verdict.freshness.as_of = verdict.freshness.lease_remaining_ms = null;
  return { status: response.status, headers: [...response.headers.keys()], verdict };
}

/** Fails unless all Workers give the same answer: the same headers, the same members in the same order. */
async function agree(ports, caller, key) {
  const answers = [];
  for (const port of Object.values(ports)) {
    await verify(port, caller, key); // Leases are taken.
    answers.push(JSON.stringify(await verify(port, caller, key)));
  }
  if (!answers.every((answer) => answer === answers[0])) throw new Error(`the Workers disagree:\n${answers.join('\n')}`);
}

export const run = ({ quick, progress }) => withDeployment(async (deployment) => {
  const [caller, subject, narrow] = await deployment.run({}, ({ ports }) => {
    const create = (fields) => createKey(ports.keyward, deployment.managementKey, fields);
    return Promise.all([
      create({ name: 'backend', scopes: ['keyward.keys:verify'] }),
      create({ name: 'hot', scopes: ['calls:create'], metadata: { plan: 'pro' } }),
      create({ name: 'narrow', scopes: ['calls:read'] }),
    ]);
  });

  const pepper = randomBytes(32);
  const digests = {
    sha256: (key) => createHash('sha256').update(key).digest('hex'),
    hmac: (key) => createHmac('sha256', pepper).update(key).digest('hex'),
  };
  const peer = (hash) => {
    const records = [caller, subject, narrow].map(({ key, ...record }) => [record.id, { ...record, digest: digests[hash](key) }]);
    return { esModule, env: { HASH: hash, PEPPER: pepper.toString('hex'), RECORDS: JSON.stringify(Object.fromEntries(records)) } };
  };
  const costs = await deployment.run({ sha256: peer('sha256'), hmac: peer('hmac') }, async ({ ports, pid }) => {
    await agree(ports, caller.key, subject.key);
    await agree(ports, caller.key, narrow.key);
    await agree(ports, narrow.key, subject.key);
    const common = {
      pid,
      request: requestBytes({
        method: 'POST',
        path: PATH,
        headers: { Authorization: `Bearer ${caller.key}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ key: subject.key, scopes: ['calls:create'] }),
      }),
      accepts: ({ status, body }) => status === 200 && body.startsWith('{"valid":true,'),
      count: quick ? 1_000 : 5_000,
    };
    const contenders = {};
    for (const [name, port] of Object.entries(ports)) contenders[name] = await contender({ ...common, port });
    return alternate(contenders, { rounds: quick ? 3 : 20, progress });
  });

  const best = cheapest(costs, ['sha256', 'hmac']);
  return [
    {
      what: 'requests per CPU second: keyward / Worker by hand',
      measured: advantage(costs.keyward, costs[best]),
      unit: '×',
      bound: { atLeast: 1 },
    },
    { what: 'CPU per request: keyward', measured: quartiles(costs.keyward), unit: 'ns' },
    ...['sha256', 'hmac'].map((hash) => ({
      what: `CPU per request: by hand, WebCrypto ${hash === 'hmac' ? 'HMAC' : 'SHA-256'}${hash === best ? ' (compared with)' : ''}`,
      measured: quartiles(costs[hash]),
      unit: 'ns',
    })),
  ];
});
