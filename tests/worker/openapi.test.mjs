// The OpenAPI document that the Worker serves: whether it is one, whether it is whole, and whether the Worker does as it
// says. The last is judged by schemathesis, which makes requests of the document and holds every answer against it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { python, root } from '../../.ci/setup.mjs';
import { Deployment, core } from './harness.mjs';

const folder = join(root, 'tests', 'openapi');
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

/** Nobody listens there. */
const UPSTREAM = 'http://127.0.0.1:9';

/** What there is, as it is told to users. `/v1/authorize` takes any method; GET stands for all. */
const ENDPOINTS = [
  'POST /v1/keys',
  'GET /v1/keys',
  'GET /v1/keys/{id}',
  'PATCH /v1/keys/{id}',
  'POST /v1/keys/{id}/disable',
  'POST /v1/keys/{id}/enable',
  'POST /v1/keys/{id}/revoke',
  'POST /v1/keys/{id}/rotations',
  'GET /v1/keys/{id}/rotations/current',
  'POST /v1/keys/{id}/rotations/current/complete',
  'POST /v1/keys/{id}/rotations/current/cancel',
  'POST /v1/keys/verify',
  'POST /v1/keys/import',
  'GET /v1/authorize',
  'GET /v1/audit',
  'GET /v1/audit/verify',
  'GET /v1/audit/export',
  'GET /v1/reports/key-safety',
  'GET /v1/reports/root-secrets',
  'GET /v1/routes',
  'GET /v1/routes/{name}',
  'PUT /v1/routes/{name}',
  'DELETE /v1/routes/{name}',
  'GET /v1/routes/{name}/use',
  'PUT /v1/routes/{name}/secrets/{slot}',
  'DELETE /v1/routes/{name}/secrets/{slot}',
  'GET /v1/webhooks',
  'GET /v1/webhooks/{name}',
  'PUT /v1/webhooks/{name}',
  'DELETE /v1/webhooks/{name}',
  'POST /v1/webhooks/{name}/rotate-secret',
  'GET /v1/webhooks/{name}/deliveries',
  'POST /v1/webhooks/{name}/replay',
  'POST /v1/webhooks/{name}/test',
  'POST /v1/relay/sessions',
  'GET /.well-known/jwks.json',
  'GET /v1/keys/{id}/usage',
  'GET /v1/keys/{id}/calls',
  'GET /v1/keys/{id}/anomalies',
  'POST /v1/keys/{id}/outcomes',
  'GET /v1/usage',
  'GET /metrics',
  'GET /openapi.json',
  'POST /v1/leaks/github',
  'POST /v1/leaks',
  'POST /v1/keys/{id}/leak-response',
  'GET /v1/incidents',
  'GET /v1/incidents/{incident}',
  'PATCH /v1/incidents/{incident}',
];

/** Runs a Python module to its end: `{code, output}`. */
const run = (args, options) => new Promise((resolve) => {
  execFile(python, ['-m', ...args], { encoding: 'utf8', maxBuffer: 1 << 28, ...options }, (error, stdout, stderr) => {
    resolve({ code: error ? error.code ?? error.signal : 0, output: stdout + stderr || String(error) });
  });
});

/** Operations of a document: `['GET /path', operation]`. */
const operations = (document) => Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => [`${method.toUpperCase()} ${path}`, item[method]]));

/** Keys in every condition that a key can be in, so that not every call ends at a key that is as new. */
async function populate(keyward) {
  const keys = [];
  for (let i = 0; i < 4; i += 1) {
    for (const change of [undefined, 'disable', 'rotations', 'revoke']) {
      const made = await keyward.create({ name: `key ${i} ${change}`, max_staleness_seconds: i });
      if (change) await keyward.call('POST', `/v1/keys/${made.id}/${change}`);
      await keyward.call('POST', `/v1/keys/${made.id}/leak-response`, { action: 'none' });
      keys.push({ ...made, change });
    }
  }
  return keys;
}

describe('the OpenAPI document', () => {
  let keyward;
  let document;
  let state;
  before(async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding: { type: 'spki', format: 'pem' } });
    const partners = JSON.stringify({ public_keys: [{ key_identifier: 'partner', key: publicKey, is_current: true }] });
    keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: UPSTREAM, KEYWARD_LOCAL_WEBHOOKS: UPSTREAM, KEYWARD_LEAK_PARTNERS: partners } });
    state = mkdtempSync(join(tmpdir(), 'keyward-openapi-'));
    const { status, headers, text, body } = await keyward.call('GET', '/openapi.json', undefined, { key: null });
    assert.equal(status, 200);
    assert.match(headers.get('content-type'), /^application\/(vnd\.oai\.openapi\+)?json/);
    document = body;
    writeFileSync(join(state, 'openapi.json'), text);
  });
  after(async () => {
    await keyward?.stop();
    if (state) rmSync(state, { recursive: true });
  });

  test('it is an OpenAPI 3.1 document by the specification\'s own schema', async () => {
    assert.match(document.openapi, /^3\.1\.\d+$/);
    const { code, output } = await run(['openapi_spec_validator', '--schema', '3.1', '--validation-errors', 'all', join(state, 'openapi.json')]);
    assert.equal(code, 0, output);
  });

  test('it has every endpoint', () => {
    const described = new Set(operations(document).map(([name]) => name));
    assert.deepEqual(ENDPOINTS.filter((name) => !described.has(name)), []);
  });

  test('every operation has an id of its own', () => {
    const ids = operations(document).map(([, { operationId }]) => operationId);
    assert.ok(ids.every((id) => typeof id === 'string' && id !== ''));
    assert.equal(new Set(ids).size, ids.length, ids.join(' '));
  });

  test('the Worker does as the document says, whatever is asked', { timeout: 400_000 }, async ({ signal }) => {
    const keys = await populate(keyward);
    for (const name of ['sms', 'mail']) {
      const made = await keyward.call('PUT', `/v1/routes/${name}`, { upstream: UPSTREAM, callers: { key: { scopes: [] }, session: { origins: ['https://shop.example'], mint: 'public' } }, allow: [{ methods: ['POST'], path: '/**' }], credential: { type: 'header', name: 'X-Key' } });
      assert.equal(made.status, 200, made.text);
      assert.equal((await keyward.call('PUT', `/v1/routes/${name}/secrets/current`, { secret: 'never-to-be-sent' })).status, 200);
      assert.equal((await keyward.call('PUT', `/v1/webhooks/${name}`, { url: `${UPSTREAM}/in` })).status, 200);
    }
    const [bearer] = Object.entries(document.components.securitySchemes).find(([, { type, scheme }]) => type === 'http' && scheme.toLowerCase() === 'bearer');
    const config = join(state, 'schemathesis.toml');
    const texts = (values) => JSON.stringify(values.map(String));
    // Made-up ids and keys are nobody's: without some that exist, most calls would end at 404.
    writeFileSync(config, `${readFileSync(join(folder, 'schemathesis.toml'), 'utf8')}
[auth.openapi.${JSON.stringify(bearer)}]
bearer = "\${KEYWARD_MANAGEMENT_KEY}"

[dictionaries.ids]
values = ${texts(keys.map(({ id }) => id))}

[dictionaries.keys]
values = ${texts(keys.map(({ key }) => key))}

[dictionaries.environments]
values = ${texts(['live', 'test', 'staging', 'dev'])}

[parameters."body.environment"]
dictionary = "environments"
probability = 0.9

[parameters."query.environment"]
dictionary = "environments"
probability = 0.9

[parameters."path.id"]
dictionary = "ids"
probability = 0.6

[dictionaries.incidents]
values = ${texts(keys.map(({ id, change }) => `inc_${id}_${change === 'rotations' ? 2 : 1}`))}

[parameters."path.incident"]
dictionary = "incidents"
probability = 0.7

[dictionaries.routes]
values = ${texts(['sms', 'mail'])}

[dictionaries.upstreams]
values = ${texts([UPSTREAM])}

[parameters."path.name"]
dictionary = "routes"
probability = 0.7

[parameters."query.route"]
dictionary = "routes"
probability = 0.8

[parameters."body.upstream"]
dictionary = "upstreams"
probability = 0.9

[dictionaries.urls]
values = ${texts([`${UPSTREAM}/in`])}

[parameters."body.url"]
dictionary = "urls"
probability = 0.9

[parameters."body.key"]
dictionary = "keys"
probability = 0.6
`);
    const { code, output } = await run(['schemathesis.cli', '--config-file', config, 'run', `${keyward.url}/openapi.json`, '--no-color', ...(process.env.KEYWARD_SEED ? ['--seed', process.env.KEYWARD_SEED] : [])], {
      signal,
      // It leaves files where it runs.
      cwd: state,
      env: {
        ...process.env,
        // Nothing here is for a proxy.
        NO_PROXY: '127.0.0.1',
        no_proxy: '127.0.0.1',
        PYTHONDONTWRITEBYTECODE: '1',
        KEYWARD_HOOKS: join(folder, 'hooks.py'),
        KEYWARD_MANAGEMENT_KEY: keyward.adminKey,
        KEYWARD_OWN_ID: core.parseKey(keyward.adminKey).id,
        KEYWARD_KEPT_IDS: keys.filter(({ change }) => change !== 'revoke').map(({ id }) => id).join(' '),
        KEYWARD_OTHER_ID: keys.find(({ change }) => change === 'revoke').id,
      },
    });
    assert.equal(code, 0, output);
    console.log(output.slice(output.indexOf('= SUMMARY =')).split('\n').slice(1).filter((line) => line.trim()).join('\n'));
  });
});
