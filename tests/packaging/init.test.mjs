// The package as it is packed, on a machine with Node alone: made ready, run and deployed by `keyward init`, `dev` and `deploy`.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { root } from '../../.ci/setup.mjs';
import { Cloudflare } from './cloudflare.mjs';
import { command, filesBelow, folder, installed, keyward, npm, pack, run, start, wrangler } from './installed.mjs';

/** The release that deploy itself takes on the Node that runs this. */
const WRANGLER = process.versions.node.localeCompare('22.12.0', 'en', { numeric: true }) < 0 ? '4.86.0' : '4.164.0';
/** How releases send secrets. */
const SECRETS_SENT = /^PATCH .*\/(settings|secrets-bulk)$/;
const READY = /keyward \S+ runs at (http:\/\/127\.0\.0\.1:\d+)/;

let tarball, packed;
before(() => {
  ({ tarball, files: packed } = pack());
});

const text = (...path) => readFileSync(join(...path), 'utf8');
const json = (...path) => JSON.parse(text(...path));
const mode = (...path) => (statSync(join(...path)).mode & 0o777).toString(8);

/** A folder that `keyward init` made ready, with the runtime of this checkout's own release. */
function ready(t, args = []) {
  const project = installed(t, tarball);
  const { status, stderr } = keyward(project, ['init', '--yes', ...args]);
  assert.equal(status, 0, stderr);
  return project;
}

/** Asks a deployment with a key. */
async function ask(url, key, method, path, body) {
  const response = await fetch(url + path, { method, headers: { authorization: `Bearer ${key}` }, ...(body ? { body: JSON.stringify(body) } : {}) });
  return { status: response.status, body: await response.json() };
}

/** Runs `keyward dev` on a free port until `use` is done, then ends it as Ctrl-C does. */
async function running(t, project, use) {
  const dev = start(t, project, ...command('dev', '--port', '0'));
  const [, url] = await dev.until(READY);
  await dev.until(/Ctrl-C ends it/);
  const result = await use(url, dev);
  dev.child.kill('SIGINT');
  const { status, output } = await dev.ended;
  assert.equal(status, 0, output);
  return result;
}

test('the tarball holds the Worker and its pages byte for byte, and this is what each part weighs', () => {
  const parts = new Map();
  for (const { path, size } of packed) {
    const part = /^dist\/(worker|www)\//.exec(path)?.[0] ?? path;
    parts.set(part, (parts.get(part) ?? 0) + size);
  }
  console.log(`# tarball ${statSync(tarball).size} bytes`);
  for (const [part, size] of [...parts].sort((a, b) => b[1] - a[1])) console.log(`#   ${String(size).padStart(8)} ${part}`);
  for (const name of ['worker', 'www']) {
    const made = filesBelow(join(root, 'build', name));
    assert.deepEqual(packed.filter(({ path }) => path.startsWith(`dist/${name}/`)).map(({ path }) => path.slice(`dist/${name}/`.length)).sort(), made.sort());
    for (const file of made) assert.ok(readFileSync(join(root, 'dist', name, file)).equals(readFileSync(join(root, 'build', name, file))), file);
  }
  assert.ok(!packed.some(({ path }) => /(^|\/)(\.keyward|\.env|src|tests)(\/|$)/.test(path)));
});

test('in an empty folder, from the tarball alone: init, dev, a key that is made and verified, and is still there after a restart', async (t) => {
  const project = folder(t);
  const made = run(project, 'npx', ['--yes', '--package', tarball, 'keyward', 'init', '--yes', '--name', 'keys', '--brand', 'acme', '--environments', 'prod,test:mock'], { env: { NODE_ENV: 'production' } });
  assert.equal(made.status, 0, made.stdout + made.stderr);
  assert.match(made.stdout, /installed +npm install/);
  assert.equal(run(project, 'npx', ['keyward', '--version']).stdout.trim(), json(root, 'package.json').version);
  const admin = text(project, '.keyward', 'admin-key').trim();
  assert.match(admin, /^acme_prod_/);
  assert.notEqual(admin, text(project, '.keyward', 'production-admin-key').trim());
  const key = await running(t, project, async (url) => {
    const created = await ask(url, admin, 'POST', '/v1/keys', { name: 'server', owner: 'acme', scopes: ['calls:create'] });
    assert.equal(created.status, 201);
    assert.match(created.body.key, /^acme_prod_/);
    assert.equal((await ask(url, admin, 'POST', '/v1/keys/verify', { key: created.body.key, scopes: ['calls:create'] })).body.code, 'VALID');
    const page = await fetch(`${url}/`);
    assert.match(page.headers.get('content-type'), /text\/html/);
    assert.equal((await (await fetch(`${url}/openapi.json`)).json()).openapi.slice(0, 3), '3.1');
    return created.body.key;
  });
  await running(t, project, async (url) => {
    assert.equal((await ask(url, admin, 'POST', '/v1/keys/verify', { key })).body.code, 'VALID');
  });
});

test('npm run dev ends when npm is told to end, and the folder is free again', async (t) => {
  const project = ready(t);
  const dev = start(t, project, 'npm', ['run', 'dev', '--', '--port', '0']);
  await dev.until(/Ctrl-C ends it/);
  const runtime = Number(text(project, '.keyward', 'workerd.pid').split('\n')[0]);
  dev.child.kill('SIGTERM');
  await dev.ended;
  assert.throws(() => process.kill(runtime, 0), { code: 'ESRCH' });
  await running(t, project, async () => {});
});

test('secrets: no key is in what is deployed, only its owner may read the files, git sees none of them, and none is printed', (t) => {
  const project = installed(t, tarball);
  run(project, 'git', ['init', '-q']);
  const { stdout, stderr } = keyward(project, ['init', '--yes']);
  assert.equal(mode(project, '.keyward'), '700');
  const kept = {};
  for (const name of ['secrets.json', 'admin-key', 'production.json', 'production-admin-key']) {
    assert.equal(mode(project, '.keyward', name), '600', name);
    kept[name] = text(project, '.keyward', name).trim();
  }
  for (const [bindings, admin] of [['secrets.json', 'admin-key'], ['production.json', 'production-admin-key']]) {
    const env = JSON.parse(kept[bindings]);
    assert.deepEqual(Object.keys(env), ['KEYWARD_ROOT_SECRET', 'KEYWARD_TAG_KEY', 'KEYWARD_FIRST_KEY']);
    assert.ok(!kept[bindings].includes(kept[admin].split('_')[3]));
    for (const secret of [env.KEYWARD_ROOT_SECRET, env.KEYWARD_TAG_KEY, kept[admin]]) assert.ok(!(stdout + stderr).includes(secret));
  }
  assert.notEqual(JSON.parse(kept['secrets.json']).KEYWARD_ROOT_SECRET, JSON.parse(kept['production.json']).KEYWARD_ROOT_SECRET);
  const seen = run(project, 'git', ['status', '--porcelain', '--untracked-files=all']).stdout;
  assert.deepEqual(seen.trim().split('\n').map((line) => line.slice(3)).sort(), ['.env.example', '.gitignore', 'package-lock.json', 'package.json', 'wrangler.jsonc']);
  const scanned = keyward(project, ['scan', '--json']);
  assert.equal(scanned.status, 0, scanned.stdout);
});

test('a second init changes no byte and says what it left alone', (t) => {
  const project = ready(t, ['--no-install']);
  const files = ['package.json', '.gitignore', 'wrangler.jsonc', '.env.example', ...['secrets.json', 'admin-key', 'production.json', 'production-admin-key'].map((name) => join('.keyward', name))];
  writeFileSync(join(project, 'wrangler.jsonc'), text(project, 'wrangler.jsonc').replace('// "routes"', '"routes"'));
  const earlier = files.map((file) => text(project, file));
  const { status, stdout } = keyward(project, ['init', '--yes', '--no-install']);
  assert.equal(status, 0);
  assert.deepEqual(files.map((file) => text(project, file)), earlier);
  for (const file of files) assert.match(stdout, new RegExp(`left alone +${file.replaceAll('.', '\\.')}`));
  assert.doesNotMatch(stdout, /^ +(made|added to|written over) /m);
  const forced = keyward(project, ['init', '--yes', '--no-install', '--force', '--environments', 'live']);
  assert.equal(forced.status, 0);
  assert.match(text(project, 'wrangler.jsonc'), /"KEYWARD_ENVIRONMENTS": "live"/);
  assert.equal(text(project, 'wrangler.jsonc.before'), earlier[2]);
  assert.deepEqual(files.slice(4).map((file) => text(project, file)), earlier.slice(4));
});

test('what a folder holds already stays: its package.json and .gitignore are added to, its scripts are kept', (t) => {
  const mine = { name: 'shop', version: '2.0.0', scripts: { dev: 'vite', test: 'true' }, license: 'MIT' };
  const project = folder(t, { 'package.json': `${JSON.stringify(mine, null, '\t')}\n`, '.gitignore': 'dist\n/.keyward\n.env' });
  const { status, stdout, stderr } = run(project, 'npx', ['--yes', '--package', tarball, 'keyward', 'init', '--yes', '--no-install']);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /its script dev is another's: npx keyward dev does the same/);
  const { scripts, dependencies, devDependencies, ...rest } = json(project, 'package.json');
  assert.deepEqual(rest, { name: 'shop', version: '2.0.0', license: 'MIT' });
  assert.deepEqual(scripts, { dev: 'vite', test: 'true', deploy: 'keyward deploy' });
  assert.deepEqual(dependencies, { keyward: `file:${tarball}` });
  assert.deepEqual(devDependencies, { workerd: json(root, 'package.json').devDependencies.workerd });
  assert.match(text(project, 'package.json'), /^\{\n\t"name"/);
  assert.equal(text(project, '.gitignore'), 'dist\n/.keyward\n.env\n.dev.vars\nnode_modules/\n.wrangler/\n');
});

test('a folder that deploys another Worker is refused, and nothing is written; --force keeps a copy', (t) => {
  const other = '{\n  // mine\n  "name": "shop", "main": "src/index.ts", // https://shop.example\n}\n';
  const project = installed(t, tarball, { 'wrangler.jsonc': other });
  const earlier = filesBelow(project).filter((file) => !file.startsWith('node_modules'));
  const refused = keyward(project, ['init', '--yes', '--no-install']);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /wrangler\.jsonc in this folder deploys another Worker: nothing was done/);
  assert.deepEqual(filesBelow(project).filter((file) => !file.startsWith('node_modules')), earlier);
  for (const name of ['dev', 'deploy']) {
    const ran = keyward(project, [name]);
    assert.equal(ran.status, 2);
    assert.match(ran.stderr, /deploys another Worker/);
  }
  assert.equal(keyward(project, ['init', '--yes', '--no-install', '--force']).status, 0);
  assert.equal(text(project, 'wrangler.jsonc.before'), other);
  const toml = folder(t, { 'wrangler.toml': 'name = "shop"\n' });
  assert.match(keyward(project, ['init', toml, '--yes', '--no-install', '--force']).stderr, /wrangler\.toml in this folder deploys another Worker/);
});

test('a brand stays what it is: init refuses another one where keys were made', (t) => {
  const project = ready(t, ['--no-install', '--brand', 'acme']);
  const { status, stderr } = keyward(project, ['init', '--yes', '--no-install', '--force', '--brand', 'other']);
  assert.equal(status, 2);
  assert.match(stderr, /the keys of this folder begin with acme/);
  assert.match(text(project, 'wrangler.jsonc'), /"KEYWARD_BRAND": "acme"/);
});

test('init asks what no flag says, and asks again where an answer does not fit; where nobody is there it says so', (t) => {
  const project = installed(t, tarball);
  const nobody = keyward(project, ['init', '--no-install']);
  assert.equal(nobody.status, 2);
  assert.match(nobody.stderr, /nobody can be asked here: add --yes to take the defaults/);
  assert.ok(!existsSync(join(project, '.keyward')));
  const left = keyward(project, ['init', '--no-install'], { input: 'keys\n', env: { KEYWARD_ASK: '1' } });
  assert.match(left.stderr, /the answers ended: nothing was done/);
  assert.ok(!existsSync(join(project, '.keyward')));
  const { status, stderr } = keyward(project, ['init', '--no-install', '--name', 'keys'], { input: 'ACME\nacme\n\n', env: { KEYWARD_ASK: '1' } });
  assert.equal(status, 0, stderr);
  assert.match(stderr, /The brand[^\n]*\[psk\] \n +A brand is 2 to 12[^\n]*\nThe brand[^\n]*\[psk\] \n/);
  assert.doesNotMatch(stderr, /The Worker's name/);
  assert.match(text(project, 'wrangler.jsonc'), /"name": "keys"[^]*"KEYWARD_BRAND": "acme",\n +"KEYWARD_ENVIRONMENTS": "live,test:mock,staging,dev"/);
});

test('flags that cannot be are refused, naming what they may be', (t) => {
  const project = installed(t, tarball);
  for (const [args, says] of [
    [['init', '--brand', 'A'], /A brand is 2 to 12 of a-z and 0-9/],
    [['init', '--brand', 'kws'], /kws is how sessions begin/],
    [['init', '--name', 'my_keys'], /A name is up to 54/],
    [['init', '--environments', 'live,live'], /each once/],
    [['init', '--environments', 'live:mocked'], /each followed by :mock/],
    [['dev', '--port', '70000'], /A port is a number from 1 to 65535/],
    [['dev', '--port', '-1'], /A port is|argument missing/],
    [['deploy', '--env', '../x'], /one of the "env"/],
    [['deploy', '--url', 'ftp://x'], /begins with https/],
    [['dev', '--prot', '1'], /unknown option '--prot'/],
  ]) {
    const { status, stderr } = keyward(project, args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, says);
  }
  for (const name of ['dev', 'deploy']) assert.match(keyward(project, [name]).stderr, /no keyward here: there is no wrangler\.jsonc in this folder\. npx keyward init makes one/);
});

test('help teaches: each command says what it does, with examples, without colours', (t) => {
  const project = installed(t, tarball);
  for (const name of ['init', 'dev', 'deploy']) {
    const { status, stdout } = keyward(project, [name, '--help']);
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`Examples\\n  keyward ${name}`));
    assert.doesNotMatch(stdout, /\u001b/);
    assert.match(keyward(project, ['--help']).stdout, new RegExp(`^  ${name} `, 'm'));
  }
});

test('without the runtime dev says what to run, and a clone without secrets makes its own', async (t) => {
  const project = ready(t, ['--no-install']);
  const { status, stderr } = keyward(project, ['dev', '--port', '0']);
  assert.equal(status, 2);
  assert.match(stderr, /workerd, the runtime, is not installed: npm install --save-dev workerd@1\./);
  npm(project, 'install');
  run(project, 'rm', ['-r', '.keyward']);
  await running(t, project, async (url, dev) => {
    assert.match(dev.output, /holds the first management key, made just now/);
    assert.equal((await ask(url, text(project, '.keyward', 'admin-key').trim(), 'GET', '/v1/keys')).status, 200);
  });
  assert.equal(text(project, '.keyward', '.gitignore'), '*\n');
});

test('one folder runs one at a time; a port that is taken is named, and the folder is free again afterwards', async (t) => {
  const project = ready(t);
  await running(t, project, async (url, dev) => {
    const second = keyward(project, ['dev', '--port', '0']);
    assert.equal(second.status, 2);
    assert.match(second.stderr, new RegExp(`keyward runs from this folder already, as process \\d+\\. End that one first: kill \\d+`));
    assert.equal(dev.child.exitCode, null);
  });
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  const { status, stderr } = keyward(project, ['dev', '--port', String(port)]);
  listener.close();
  assert.equal(status, 2);
  assert.match(stderr, new RegExp(`port ${port} is in use\\. End what uses it, or take another: npx keyward dev --port 8790`));
  assert.ok(!existsSync(join(project, '.keyward', 'lock')));
});

test('a lock that was left behind, and a runtime that outlived its keyward, are told apart', async (t) => {
  const project = ready(t);
  const dev = start(t, project, ...command('dev', '--port', '0'));
  await dev.until(/Ctrl-C ends it/);
  const runtime = Number(text(project, '.keyward', 'workerd.pid').split('\n')[0]);
  dev.child.kill('SIGKILL');
  await once(dev.child, 'exit');
  const refused = keyward(project, ['dev', '--port', '0']);
  assert.match(refused.stderr, new RegExp(`as process ${runtime}\\.`));
  process.kill(runtime, 'SIGKILL');
  await dev.ended;
  await running(t, project, async () => {});
});

test('what dev prints works as it stands, without a URL: commands in its folder find it, and find nothing once it has ended', async (t) => {
  const project = ready(t);
  await running(t, project, async (url, dev) => {
    const [commands] = /^  KEY=[^]*?^  echo .*$/m.exec(dev.output);
    const verified = run(project, 'bash', ['-c', commands]);
    assert.deepEqual([verified.status, /verdict +VALID/.test(verified.stdout)], [0, true], verified.stderr);
    assert.match(verified.stderr, new RegExp(`asking ${url}, which runs from this folder`));
    for (const path of ['/', '/docs/', '/anatomy.html']) {
      assert.ok(dev.output.includes(`: ${url}${path} `), path);
      assert.equal((await fetch(url + path)).status, 200, path);
    }
  });
  assert.match(keyward(project, ['keys', 'list']).stderr, /which deployment\?/);
});

test('variables come from wrangler.jsonc, then .env, then the shell', async (t) => {
  const project = ready(t, ['--environments', 'live,test:mock']);
  writeFileSync(join(project, '.env'), 'KEYWARD_ISSUER=\nKEYWARD_ENVIRONMENTS=live,qa\n');
  const admin = text(project, '.keyward', 'admin-key').trim();
  const made = async (url, environment) => (await ask(url, admin, 'POST', '/v1/keys', { name: 'x', owner: 'x', environment })).status;
  await running(t, project, async (url) => assert.deepEqual([await made(url, 'qa'), await made(url, 'test')], [201, 400]));
});

test('deploy says where wrangler comes from, and how to have one of your own', (t) => {
  const project = ready(t, ['--no-install', '--name', 'keys']);
  const path = folder(t, { npx: '#!/bin/sh\nexit 1\n' });
  chmodSync(join(path, 'npx'), 0o755);
  const { status, stdout, stderr } = keyward(project, ['deploy', '--dry-run'], { env: { PATH: `${path}:${process.env.PATH}` } });
  assert.deepEqual([status, /wrangler deploy --dry-run failed/.test(stderr)], [2, true], stderr);
  assert.match(stdout, new RegExp(`the Worker keys, by wrangler ${WRANGLER}, which npx brings \\(npm install -D wrangler pins your own\\)\n`));
});

test('deploy --dry-run, with the real wrangler and no network: what it would upload is what the package holds', (t) => {
  const project = ready(t, ['--no-install', '--name', 'keys']);
  wrangler(project, WRANGLER);
  // Whatever would reach out ends here.
  const offline = { CLOUDFLARE_API_BASE_URL: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9' };
  const { status, stdout, stderr } = keyward(project, ['deploy', '--dry-run'], { env: offline });
  assert.equal(status, 0, stderr);
  assert.match(stdout, new RegExp(`the Worker keys, by wrangler ${WRANGLER}`));
  assert.match(stdout, /upload +index\.js +[\d.]+ kB, .* as in the package\n +upload +worker_bg\.wasm +[\d.]+ MB, .* as in the package/);
  assert.match(stdout, /objects +KEYS \(KeyObject\), PROJECT \(ProjectObject\), ROUTES \(RouteObject\), WEBHOOKS \(WebhookObject\)/);
  assert.match(stdout, /--dry-run: nothing was sent\n$/);
  for (const secret of Object.values(json(project, '.keyward', 'production.json'))) assert.ok(!stdout.includes(secret));
  const config = text(project, 'wrangler.jsonc');
  writeFileSync(join(project, 'wrangler.jsonc'), config.replace('"no_bundle": true,', ''));
  assert.match(keyward(project, ['deploy', '--dry-run'], { env: offline }).stderr, /would upload index\.js changed: "no_bundle": true is missing/);
  writeFileSync(join(project, 'wrangler.jsonc'), config.replace(/"env"|\n\}\s*$/, ',\n  "env": { "staging": { "vars": {} } }\n}\n'));
  assert.match(keyward(project, ['deploy', '--dry-run', '--env', 'staging'], { env: offline }).stderr, /env\.staging in wrangler\.jsonc lacks durable_objects: KEYS \(KeyObject\)/);
  assert.match(keyward(project, ['deploy', '--dry-run', '--env', 'qa'], { env: offline }).stderr, /wrangler\.jsonc has no env\.qa/);
});

test('deploy uploads secrets once, to no command line and no log; what it uploaded runs and knows the first management key', async (t) => {
  const cloudflare = await Cloudflare.start();
  t.after(() => cloudflare.close());
  const project = ready(t, ['--no-install', '--name', 'keys', '--brand', 'acme']);
  const given = wrangler(project, WRANGLER);
  const settings = folder(t);
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  const url = `http://127.0.0.1:${port}`;
  const secrets = json(project, '.keyward', 'production.json');
  const deploy = (...args) => start(t, project, ...command('deploy', '--yes', ...args), { ...cloudflare.env, XDG_CONFIG_HOME: settings });

  const first = deploy('--url', url);
  await first.until(/asking http/);
  const live = await cloudflare.run({ name: 'keys', folder: folder(t), port, pages: join(project, 'node_modules', 'keyward', 'dist', 'www') });
  t.after(() => live.process.kill('SIGKILL'));
  const { status, output } = await first.ended;
  assert.equal(status, 0, output);
  assert.match(output, /Worker +new\n +secrets +uploaded in \.keyward\/production\.json/);
  assert.match(output, new RegExp(`keyward \\S+ answers at ${url}`));
  assert.deepEqual(cloudflare.unknown, []);
  assert.deepEqual(given(), [['whoami'], ['secret', 'list', '--format', 'json'], ['secret', 'bulk'], ['secret', 'list', '--format', 'json'], ['deploy']]);
  const logs = filesBelow(settings).map((file) => text(settings, file));
  assert.ok(logs.some((log) => log.includes('KEYWARD_ROOT_SECRET')));
  for (const value of Object.values(secrets)) for (const seen of [output, ...logs]) assert.ok(!seen.includes(value) && !seen.includes(JSON.stringify(value).slice(1, -1)));

  const { metadata, modules, secrets: there } = cloudflare.workers.get('keys');
  assert.deepEqual(there, secrets);
  assert.deepEqual(Object.keys(modules).sort(), ['index.js', 'worker_bg.wasm']);
  for (const [name, content] of Object.entries(modules)) assert.ok(content.equals(readFileSync(join(root, 'build', 'worker', name))), name);
  const bound = Object.fromEntries(metadata.bindings.map(({ name, type }) => [name, type]));
  assert.deepEqual(bound, {
    KEYS: 'durable_object_namespace', PROJECT: 'durable_object_namespace', ROUTES: 'durable_object_namespace', WEBHOOKS: 'durable_object_namespace',
    ASSETS: 'assets', KEYWARD_BRAND: 'plain_text', KEYWARD_ENVIRONMENTS: 'plain_text',
  });
  assert.deepEqual(metadata.migrations.steps ?? metadata.migrations, [{ new_sqlite_classes: ['KeyObject', 'ProjectObject', 'RouteObject', 'WebhookObject'] }]);
  const admin = text(project, '.keyward', 'production-admin-key').trim();
  assert.equal((await ask(url, admin, 'POST', '/v1/keys', { name: 'x', owner: 'x' })).status, 201);

  const uploads = cloudflare.asked.filter((asked) => SECRETS_SENT.test(asked)).length;
  const again = await deploy('--url', url).ended;
  assert.equal(again.status, 0, again.output);
  assert.match(again.output, /there already: a new version of it\n +secrets +left as they are/);
  assert.deepEqual(cloudflare.workers.get('keys').secrets, secrets);
  assert.equal(cloudflare.asked.filter((asked) => SECRETS_SENT.test(asked)).length, uploads);

  const file = join(project, '.keyward', 'production.json');
  const rotated = { ...secrets, KEYWARD_ROOT_SECRET: 'ab'.repeat(32), KEYWARD_RETIRED_ROOT_SECRETS: secrets.KEYWARD_ROOT_SECRET };
  writeFileSync(file, JSON.stringify(rotated));
  const unasked = await start(t, project, ...command('deploy', '--replace-secrets', '--url', url), cloudflare.env).ended;
  assert.equal(unasked.status, 2);
  assert.match(unasked.output, /Every key's digest is made with the root secret[^]*nobody can be asked here whether secrets are to be replaced/);
  assert.deepEqual(cloudflare.workers.get('keys').secrets, secrets);
  const replaced = await deploy('--replace-secrets', '--url', url).ended;
  assert.equal(replaced.status, 0, replaced.output);
  assert.deepEqual(cloudflare.workers.get('keys').secrets, rotated);
});

test('deploy does nothing where it is not logged in, where half of the secrets are there, or where wrangler fails; it says which', async (t) => {
  const cloudflare = await Cloudflare.start();
  t.after(() => cloudflare.close());
  const project = ready(t, ['--no-install', '--name', 'keys']);
  wrangler(project, WRANGLER);
  const deploy = (env = {}, ...args) => start(t, project, ...command('deploy', '--yes', ...args), { ...cloudflare.env, ...env }).ended;

  const nobody = await deploy({ CLOUDFLARE_API_TOKEN: '', XDG_CONFIG_HOME: folder(t), HOME: folder(t) });
  assert.equal(nobody.status, 2);
  assert.match(nobody.output, /not logged in to Cloudflare: npx wrangler login, or a token in the variable CLOUDFLARE_API_TOKEN/);
  assert.deepEqual(cloudflare.asked, []);

  cloudflare.workers.set('keys', { secrets: { KEYWARD_ROOT_SECRET: 'x' } });
  const half = await deploy();
  assert.equal(half.status, 2);
  assert.match(half.output, /has KEYWARD_ROOT_SECRET but not KEYWARD_TAG_KEY: nothing was done/);

  cloudflare.workers.clear();
  cloudflare.refuses = SECRETS_SENT;
  const lost = await deploy();
  assert.equal(lost.status, 2);
  assert.match(lost.output, /the secrets did not arrive, and nothing was deployed/);
  for (const value of Object.values(json(project, '.keyward', 'production.json'))) assert.ok(!lost.output.includes(value));

  cloudflare.workers.clear();
  cloudflare.refuses = /assets-upload-session$/;
  const failed = await deploy();
  assert.equal(failed.status, 2);
  assert.match(failed.output, /wrangler deploy failed; what it says is above\. The secrets are there/);
  assert.ok(!cloudflare.asked.includes('PUT /workers/scripts/keys/') && cloudflare.workers.get('keys').secrets.KEYWARD_ROOT_SECRET);

  cloudflare.refuses = undefined;
  const asking = start(t, project, ...command('deploy', '--yes'), cloudflare.env);
  await asking.until(/asking https:\/\/keys\.acme\.workers\.dev\/healthz/);
});
