// `GET /v1/authorize` with the lease in hand, against Workers that read nothing and answer with the same status and
// headers.
import { fileURLToPath } from 'node:url';
import { advantage, alternate, quartiles } from '../cpu.mjs';
import { contender, createKey, withDeployment } from '../deployment.mjs';
import { requestBytes } from '../load.mjs';

export const title = 'GET /v1/authorize, lease in hand, against an empty Worker';

const PATH = '/v1/authorize?scope=calls:create';
const esModule = fileURLToPath(new URL('../peers/empty.js', import.meta.url));
/** What the server adds to every answer by itself. */
const HOP = new Set(['connection', 'content-length', 'date', 'keep-alive', 'transfer-encoding']);

const get = (port, authorization) => fetch(`http://127.0.0.1:${port}${PATH}`, { headers: { Authorization: authorization } });
const headersOf = (response) => Object.fromEntries([...response.headers].filter(([name]) => !HOP.has(name)));

export const run = ({ quick, progress }) => withDeployment(async (deployment) => {
  const { authorization, headers } = await deployment.run({}, async ({ ports }) => {
    const { key } = await createKey(ports.keyward, deployment.managementKey, { name: 'hot', scopes: ['calls:create'] });
    const authorization = `Bearer ${key}`;
    const response = await get(ports.keyward, authorization);
    if (response.status !== 200) throw new Error(`not authorized: ${response.status}`);
    return { authorization, headers: headersOf(response) };
  });

  const peer = (form) => ({ esModule, env: { FORM: form, HEADERS: JSON.stringify(headers) } });
  const costs = await deployment.run({ object: peer('object'), headers: peer('headers') }, async ({ ports, pid }) => {
    const expected = JSON.stringify(Object.keys(headers));
    for (const [name, port] of Object.entries(ports)) {
      const response = await get(port, authorization);
      const same = response.status === 200 && JSON.stringify(Object.keys(headersOf(response))) === expected;
      if (!same) throw new Error(`${name} answers something else`);
    }
    const common = {
      pid,
      request: requestBytes({ path: PATH, headers: { Authorization: authorization } }),
      accepts: ({ status }) => status === 200,
      count: quick ? 2_000 : 10_000,
    };
    const contenders = {};
    for (const [name, port] of Object.entries(ports)) contenders[name] = await contender({ ...common, port });
    return alternate(contenders, { rounds: quick ? 3 : 20, progress });
  });

  const described = { object: 'headers written as an object', headers: 'a ready Headers object' };
  return [
    // Both ways in which an empty Worker may keep its headers: how most are written, and the cheapest there is.
    ...Object.entries(described).map(([form, words]) => ({
      what: `requests per CPU second: keyward / empty Worker, ${words}`,
      measured: advantage(costs.keyward, costs[form]),
      unit: '×',
      bound: { atLeast: 0.85 },
    })),
    { what: 'CPU per request: keyward', measured: quartiles(costs.keyward), unit: 'ns' },
    ...Object.entries(described).map(([form, words]) => ({
      what: `CPU per request: empty Worker, ${words}`,
      measured: quartiles(costs[form]),
      unit: 'ns',
    })),
  ];
});
