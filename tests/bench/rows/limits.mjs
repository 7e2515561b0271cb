// What limits cost a verification, and how well they hold over five edges.
import { advantage, alternate, quartiles } from '../cpu.mjs';
import { contender, createKey, withDeployment } from '../deployment.mjs';
import { requestBytes } from '../load.mjs';

export const title = 'Limits: a verification with them against one without, and five edges that hammer one key';

const LIMITS = {
  rate_limits: [{ name: 'minute', limit: 1_000_000, window_seconds: 60 }, { name: 'hour', limit: 1_000_000, window_seconds: 3_600 }],
  quotas: [{ name: 'daily', limit: 1_000_000_000, period: 'day' }],
};
const RULE = { name: 'requests', limit: 300, window_seconds: 2, burst: 150 };

/** Where the memory of a process happens to lie favours the one or the other by a fifth, as long as it lives: several are asked. */
const PROCESSES = 5;

async function cost(options) {
  const costs = { free: [], limited: [] };
  for (let i = 0; i < (options.quick ? 1 : PROCESSES); i += 1) {
    const some = await costOfOne(options);
    for (const name of Object.keys(costs)) costs[name].push(...some[name]);
  }
  return costs;
}

const costOfOne = ({ quick, progress }) => withDeployment((deployment) => deployment.run({}, async ({ ports, pid }) => {
  const create = (fields) => createKey(ports.keyward, deployment.managementKey, { scopes: ['calls:create'], ...fields });
  const caller = await create({ name: 'backend', scopes: ['keyward.keys:verify'] });
  const [free, limited] = [await create({ name: 'free' }), await create({ name: 'limited', ...LIMITS })];
  const request = (key) => requestBytes({
    method: 'POST', path: '/v1/keys/verify', headers: { Authorization: `Bearer ${caller.key}`, 'Content-Type': 'application/json' }, body: JSON.stringify({ key, scopes: ['calls:create'] }),
  });
  const common = { pid, port: ports.keyward, accepts: ({ status, body }) => status === 200 && body.startsWith('{"valid":true,'), count: quick ? 1_000 : 5_000 };
  const contenders = { free: await contender({ ...common, request: request(free.key) }), limited: await contender({ ...common, request: request(limited.key) }) };
  return alternate(contenders, { rounds: quick ? 3 : 4, progress });
}));

/** Calls that five edges admit of one key in some seconds, by the kind of its limit, and what the limit allows. */
async function hammered({ quick, progress }) {
  const { Edges, EDGES, authorization } = await import('../../worker/edges.mjs');
  const keyward = await Edges.start({ faulty: false });
  const kill = () => keyward.running.process.kill('SIGKILL');
  process.once('exit', kill);
  const admitted = {};
  try {
    for (const mode of ['exact', 'approximate']) {
      progress(`five edges, ${mode}`);
      const { key } = await keyward.create({ rate_limits: [{ ...RULE, mode }] });
      const [bytes, start] = [authorization(key), Date.now()];
      const end = start + (quick ? 2_000 : 10_000);
      let count = 0;
      await Promise.all(Array.from({ length: 2 * EDGES }, async (_, lane) => {
        const line = keyward.line(lane % EDGES);
        while (Date.now() < end) {
          const { status } = await line.call(bytes);
          if (status === 200) count += 1;
        }
        line.close();
      }));
      admitted[mode] = count / (RULE.burst + (RULE.limit * (Date.now() - start)) / (RULE.window_seconds * 1_000));
    }
  } finally {
    process.off('exit', kill);
    await keyward.stop();
  }
  return admitted;
}

export async function run(options) {
  const costs = await cost(options);
  const admitted = await hammered(options);
  return [
    { what: 'verifications per CPU second: with two rate limits and a quota / without', measured: advantage(costs.limited, costs.free), unit: '×', bound: { atLeast: 0.8 } },
    { what: 'CPU per verification: with', measured: quartiles(costs.limited), unit: 'ns' },
    { what: 'CPU per verification: without', measured: quartiles(costs.free), unit: 'ns' },
    { what: 'admitted of what an exact limit allows, five edges', measured: { overall: admitted.exact }, unit: '×', bound: { atLeast: 0.99 } },
    { what: 'admitted of what an approximate limit allows, five edges', measured: { overall: admitted.approximate }, unit: '×' },
  ];
}
