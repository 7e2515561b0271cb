// keyward doctor: each thing that it finds, made so; and that it finds nothing where nothing is wrong.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { spawnSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { folder, keyward as bare, started } from './command.mjs';

const codes = ({ findings }) => findings.map(({ code }) => code).sort();
const doctor = async (args, options) => {
  const { status, stdout, stderr } = await bare(['doctor', '--json', ...args], options);
  assert.ok(stdout !== '', stderr);
  const report = JSON.parse(stdout);
  for (const { what, why, fix } of report.findings) assert.ok(what && why && fix);
  return { status, report };
};

/** A deployment behind something that changes its answers. */
async function behind(t, deployment, change) {
  const server = createServer(async (request, response) => {
    const answer = await fetch(deployment.url + request.url, { method: request.method, headers: request.headers.authorization ? { authorization: request.headers.authorization } : {} });
    const headers = Object.fromEntries([...answer.headers].filter(([name]) => !['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'date'].includes(name)));
    let [status, body] = [answer.status, await answer.text()];
    const changed = change({ path: request.url.split('?')[0], headers, body, status }) ?? {};
    response.sendDate = !('date' in headers);
    response.writeHead(changed.status ?? status, headers).end(changed.body ?? body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close().closeAllConnections());
  return `http://127.0.0.1:${server.address().port}`;
}

describe('keyward doctor of a deployment', { concurrency: false }, () => {
  let deployment;
  let env;
  let first;
  before(async () => {
    ({ deployment, env } = await started({ env: { KEYWARD_LOCAL_UPSTREAMS: 'http://127.0.0.1:9' } }));
    first = (await deployment.call('GET', '/v1/keys')).body.data[0].id;
    await deployment.call('PATCH', `/v1/keys/${first}`, { expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString() });
  });
  after(() => deployment?.stop());

  test('nothing is found where nothing is wrong', async () => {
    const { status, report } = await doctor(['--no-project'], { env });
    // workerd alone says no Date; Cloudflare does.
    assert.deepEqual([status, report.findings, report.unchecked.map(({ what }) => what)], [0, [], ['the clocks']]);
    const { stdout } = await bare(['doctor', '--no-project'], { env });
    assert.match(stdout, /ok +http.* runs keyward \d[\s\S]*kept by no cache[\s\S]*nothing found/);
  });

  test('nobody there, or somebody else, is serious', async (t) => {
    assert.deepEqual(await doctor(['--no-project', '--url', 'http://127.0.0.1:9'], { env }).then(({ status, report }) => [status, codes(report)]), [1, ['UNREACHABLE']]);
    const url = await behind(t, deployment, () => ({ status: 404, body: '<html>nothing</html>' }));
    assert.deepEqual(await doctor(['--no-project', '--url', url], { env }).then(({ status, report }) => [status, codes(report)]), [1, ['NOT_KEYWARD']]);
    assert.equal((await bare(['doctor'], { cwd: folder(t) })).status, 2, 'which deployment?');
  });

  test('a cache before it, clocks that differ and another version are told', async (t) => {
    const answers = {
      'CF-Cache-Status: HIT': ({ headers }) => void (headers['cf-cache-status'] = 'HIT'),
      'Age: 7': ({ headers }) => void (headers.age = '7'),
      'max-age=60': ({ headers }) => void (headers['cache-control'] = 'public, max-age=60'),
      'nothing, and not no-store': ({ headers }) => void delete headers['cache-control'],
    };
    for (const [words, change] of Object.entries(answers)) {
      const url = await behind(t, deployment, (answer) => (answer.path.startsWith('/v1/') ? change(answer) : undefined));
      const { status, report } = await doctor(['--no-project', '--url', url], { env });
      assert.deepEqual([words, status, codes(report), report.findings[0].what.includes(words)], [words, 1, ['ANSWERS_CACHED'], true], report.findings[0]?.what);
    }
    for (const [by, direction] of [[10_000, 'behind'], [-10_000, 'ahead of']]) {
      const url = await behind(t, deployment, ({ headers }) => void (headers.date = new Date(Date.now() + by).toUTCString()));
      const { report } = await doctor(['--no-project', '--url', url], { env });
      assert.deepEqual([codes(report), report.findings[0].what.includes(direction)], [['CLOCK_DIFFERS'], true], report.findings[0]?.what);
    }
    const near = await behind(t, deployment, ({ headers }) => void (headers.date = new Date(Date.now() + 1000).toUTCString()));
    const { report: agreeing } = await doctor(['--no-project', '--url', near], { env });
    assert.deepEqual([codes(agreeing), agreeing.unchecked, agreeing.fine.includes('the clocks agree')], [[], [], true]);
    const old = await behind(t, deployment, ({ path }) => (path === '/healthz' ? { body: '{"status":"ok","version":"9.9.9"}' } : undefined));
    assert.deepEqual(codes((await doctor(['--no-project', '--url', old], { env })).report), ['VERSION_DIFFERS']);
  });

  test('a key that is missing or not accepted is told as that', async (t) => {
    const cwd = folder(t);
    const none = await doctor(['--no-project'], { env: { KEYWARD_URL: deployment.url }, cwd });
    assert.deepEqual([none.status, codes(none.report), none.report.unchecked.map(({ what }) => what)], [0, [], ['the clocks', 'keys, root secrets and routes']]);
    const wrong = await doctor(['--no-project'], { env: { ...env, KEYWARD_KEY: 'nonsense' } });
    assert.deepEqual([wrong.status, codes(wrong.report)], [1, ['KEY_NOT_ACCEPTED']]);
    const { key } = await deployment.create({ name: 'little', scopes: ['keyward.routes:read'], expires_at: new Date(Date.now() + 86_400_000).toISOString() });
    const little = await doctor(['--no-project'], { env: { ...env, KEYWARD_KEY: key } });
    assert.deepEqual([little.status, codes(little.report), little.report.unchecked.length > 0, little.report.fine.some((text) => text.includes('route'))], [0, [], true, true]);
  });

  test('unsafe keys and routes that everybody may use are told', async () => {
    const { id } = await deployment.create({ name: 'for ever' });
    await deployment.call('PUT', '/v1/routes/open', { upstream: 'http://127.0.0.1:9', callers: { session: { origins: ['https://shop.example'], mint: 'public', calls: 5 } }, allow: [{ methods: ['POST'], path: '/**' }], credential: { type: 'header', name: 'X-Key' } });
    const { status, report } = await doctor(['--no-project'], { env });
    assert.equal(status, 1);
    const [open] = report.findings;
    assert.deepEqual([open.code, open.what.includes('5,000 calls of the route open')], ['PUBLIC_WITHOUT_LIMIT', true], open.what);
    const unsafe = report.findings.find(({ code }) => code === 'NEVER_EXPIRES');
    assert.ok(unsafe.what.includes('for ever') && unsafe.what.includes(id));
    assert.match(unsafe.what, /^1 key that never ends: /);
    assert.match(unsafe.fix, new RegExp(`keyward keys update ${id} --expires 90d$`));
    const { id: second } = await deployment.create({ name: 'and ever' });
    assert.match((await doctor(['--no-project'], { env })).report.findings.find(({ code }) => code === 'NEVER_EXPIRES').what, /^2 keys that never end: /);
    await deployment.call('POST', `/v1/keys/${second}/revoke`);
    await deployment.call('PUT', '/v1/routes/open', { upstream: 'http://127.0.0.1:9', callers: { session: { origins: ['https://shop.example'], mint: 'public', calls: 5 } }, limit: { limit: 100, window_seconds: 3600 }, allow: [{ methods: ['POST'], path: '/**' }], credential: { type: 'header', name: 'X-Key' } });
    assert.ok(!codes((await doctor(['--no-project'], { env })).report).includes('PUBLIC_WITHOUT_LIMIT'));
    await deployment.call('DELETE', '/v1/routes/open');
    await deployment.call('POST', `/v1/keys/${id}/revoke`);
  });

  test('root secrets that are missing, that can go, or none at all are told', async () => {
    const before = deployment.env.KEYWARD_ROOT_SECRET;
    const made = await deployment.create({ name: 'left behind', expires_at: new Date(Date.now() + 86_400_000).toISOString() });
    deployment.env.KEYWARD_ROOT_SECRET = randomBytes(32).toString('hex');
    deployment.env.KEYWARD_RETIRED_ROOT_SECRETS = [before, randomBytes(32).toString('hex')].join(',');
    await deployment.restart();
    env = { ...env, KEYWARD_URL: deployment.url };
    const idle = await doctor(['--no-project'], { env });
    assert.deepEqual([idle.status, codes(idle.report)], [0, ['ROOT_SECRET_CAN_GO']], JSON.stringify(idle.report));

    // The asking key is digested anew by being used; the other one is left without its root secret.
    delete deployment.env.KEYWARD_RETIRED_ROOT_SECRETS;
    await deployment.restart();
    env = { ...env, KEYWARD_URL: deployment.url };
    const missing = await doctor(['--no-project'], { env });
    assert.deepEqual([missing.status, codes(missing.report)], [1, ['ROOT_SECRET_MISSING']], JSON.stringify(missing.report));
    assert.ok(made.id);

    delete deployment.env.KEYWARD_ROOT_SECRET;
    await deployment.restart();
    env = { ...env, KEYWARD_URL: deployment.url };
    const bareWorker = await doctor(['--no-project'], { env });
    assert.deepEqual([bareWorker.status, codes(bareWorker.report), bareWorker.report.findings[0].fix.includes('KEYWARD_ROOT_SECRET')], [1, ['NOT_CONFIGURED'], true]);
  });
});

describe('keyward doctor of a project', () => {
  const look = (cwd) => doctor(['--no-deployment'], { cwd });

  test('a configuration that puts something before the Worker is told, of JSON and of TOML', async (t) => {
    for (const [name, text, expected] of [
      ['wrangler.jsonc', '{"name": "a", /* "cache": {"enabled": true} */ "assets": {"directory": "w", "run_worker_first": true}, "vars": {"KEYWARD_BRAND": "psk", "UPSTREAM_SMS_ORIGIN": "https://a"}, } // end', []],
      ['wrangler.jsonc', '{"assets": {"directory": "w", "run_worker_first": false}}', ['ASSETS_FIRST']],
      ['wrangler.jsonc', '{"assets": {"directory": "w"}}', []],
      ['wrangler.json', '{"assets": {"directory": "w", "not_found_handling": "single-page-application"}}', ['ASSETS_FIRST']],
      ['wrangler.jsonc', '{"assets": {"run_worker_first": ["/v1/*", "/r/*"]}}', []],
      ['wrangler.jsonc', '{"assets": {"run_worker_first": ["/v1/*"]}}', ['ASSETS_FIRST']],
      ['wrangler.jsonc', '{"assets": {"run_worker_first": ["/*", "!/r/*"]}}', ['ASSETS_FIRST']],
      ['wrangler.jsonc', '{"routes": [{"pattern": "a.example/*", "request_limit_fail_open": true}]}', ['FAIL_OPEN']],
      ['wrangler.jsonc', '{"env": {"production": {"cache": {"enabled": true}}}}', ['WORKERS_CACHE']],
      ['wrangler.jsonc', '{"vars": {"KEYWARD_ROOT_SECRET": "x", "UPSTREAM_SMS": "y"}}', ['SECRET_IN_SETTINGS', 'SECRET_IN_SETTINGS']],
      ['wrangler.toml', 'name = "a" # cache\n[assets]\ndirectory = "w"\nrun_worker_first = true\n', []],
      ['wrangler.toml', '[assets]\ndirectory = "w"\nrun_worker_first = false # no\n', ['ASSETS_FIRST']],
      ['wrangler.toml', '[assets]\nrun_worker_first = [\n  "/v1/*",\n  "/r/*", # both\n]\n', []],
      ['wrangler.toml', 'routes = [ { pattern = "a.example/*", request_limit_fail_open = true } ]\n', ['FAIL_OPEN']],
      ['wrangler.toml', '[[routes]]\npattern = "b.example/*"\n[[routes]]\npattern = "a.example/*"\nfail_open = true\n', ['FAIL_OPEN']],
      ['wrangler.toml', '[env.production.cache]\nenabled = true\n[env.production.vars]\nKEYWARD_TAG_KEY = "x"\n', ['SECRET_IN_SETTINGS', 'WORKERS_CACHE']],
    ]) {
      const { report } = await look(folder(t, { [name]: text }));
      assert.deepEqual([text, codes(report), report.unchecked], [text, expected, []]);
    }
    const { status, report } = await look(folder(t, { 'wrangler.json': '{' }));
    assert.deepEqual([status, report.unchecked.length], [0, 1]);
  });

  test('files of variables that git would take are told', async (t) => {
    const cwd = folder(t, { '.env': 'A=1', '.env.example': 'A=', '.dev.vars': 'B=1', '.keyward/admin-key': 'x' });
    assert.deepEqual(codes((await look(cwd)).report), [], 'without a repository nothing takes them');
    spawnSync('git', ['init', '-q'], { cwd });
    const loose = await look(cwd);
    assert.deepEqual([loose.status, codes(loose.report)], [1, ['ENV_NOT_IGNORED', 'ENV_NOT_IGNORED', 'ENV_NOT_IGNORED']]);
    spawnSync('git', ['add', '-f', '.env'], { cwd });
    spawnSync('sh', ['-c', 'printf ".env\\n.dev.vars\\n.keyward/\\n" > .gitignore'], { cwd });
    assert.deepEqual(codes((await look(cwd)).report), ['ENV_COMMITTED']);
    spawnSync('git', ['rm', '-q', '--cached', '.env'], { cwd });
    const { status, report } = await look(cwd);
    assert.deepEqual([status, codes(report), report.fine.filter((text) => text.startsWith('git ignores')).length], [0, [], 3]);
  });

  test('a key in a built front end is told, and never shown', async (t) => {
    const secret = `${'sk'}_live_${randomBytes(18).toString('base64url').replace(/[-_]/g, '7')}`;
    const cwd = folder(t, { 'dist/app.js': `const key="${secret}";fetch("/pay",{headers:{authorization:key}});`, 'public/index.html': '<p>hello</p>' });
    const { status, report } = await look(cwd);
    assert.deepEqual([status, codes(report), report.findings[0]?.what.includes('dist/app.js:1')], [1, ['KEY_IN_FRONT_END'], true]);
    assert.ok(!JSON.stringify(report).includes(secret.slice(-12)));
    assert.ok(report.fine.includes('no key in public/'));
  });
});
