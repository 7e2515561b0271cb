// `POST /v1/keys/verify` on one hot key while one call in a hundred is for a key that the edge has to ask for, against the
// same with hot calls alone.
import { advantage, alternate, quartiles } from '../cpu.mjs';
import { contender, createKey, withDeployment } from '../deployment.mjs';
import { requestBytes } from '../load.mjs';

export const title = 'POST /v1/keys/verify, one call in a hundred for a cold key, against hot calls alone';

const ONE_IN = 100;
/** Keys whose lease is over again, a second later, before their turn comes back. */
const COLD_KEYS = 250;
const FROM_AUTHORITY = '"mode":"authority"';

export const run = ({ quick, progress }) => withDeployment(async (deployment) => deployment.run({}, async ({ ports, pid }) => {
  const create = (fields) => createKey(ports.keyward, deployment.managementKey, fields);
  const caller = await create({ name: 'backend', scopes: ['keyward.keys:verify'] });
  const hot = await create({ name: 'hot', scopes: ['calls:create'] });
  const cold = [];
  while (cold.length < COLD_KEYS) cold.push(...(await Promise.all(Array.from({ length: 10 }, () => create({ name: 'cold', scopes: ['calls:create'], max_staleness_seconds: 1 })))));

  const question = ({ key }) => requestBytes({
    method: 'POST',
    path: '/v1/keys/verify',
    headers: { Authorization: `Bearer ${caller.key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ key, scopes: ['calls:create'] }),
  });
  const count = quick ? 1_000 : 5_000;
  const [hotQuestion, coldQuestions] = [question(hot), cold.map(question)];
  let [sent, asked] = [0, 0];
  const mixed = () => {
    sent += 1;
    return sent % ONE_IN === 0 ? coldQuestions[(sent / ONE_IN) % COLD_KEYS] : hotQuestion;
  };
  const accepts = ({ status, body }) => {
    if (body.includes(FROM_AUTHORITY)) asked += 1;
    return status === 200 && body.startsWith('{"valid":true,');
  };
  const common = { pid, port: ports.keyward, count };
  const contenders = {
    mixed: await contender({ ...common, request: mixed, accepts }),
    hot: await contender({ ...common, request: () => hotQuestion, accepts }),
  };
  const costs = await alternate(contenders, { rounds: quick ? 3 : 20, progress });
  if (asked < 0.99 * (sent / ONE_IN)) throw new Error(`only ${asked} of ${sent / ONE_IN} cold calls were cold`);

  return [
    { what: 'requests per CPU second: with cold calls / hot calls alone', measured: advantage(costs.mixed, costs.hot), unit: '×' },
    { what: 'CPU per request: hot calls alone', measured: quartiles(costs.hot), unit: 'ns' },
    { what: 'CPU per request: one in a hundred cold', measured: quartiles(costs.mixed), unit: 'ns' },
  ];
}));
