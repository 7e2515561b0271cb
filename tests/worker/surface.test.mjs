// What the built Worker shows to the outside: every export of its module is an entry point.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { root } from '../../.ci/setup.mjs';
import { Deployment } from './harness.mjs';

const folder = join(root, 'build', 'worker');

test('the Worker exports its handler and its four Durable Objects, nothing else', () => {
  const source = readFileSync(join(folder, 'index.js'), 'utf8');
  const exported = [...source.matchAll(/export\s*\{([^}]*)\}/g)].flatMap(([, list]) => list.split(',').map((entry) => entry.split(/\sas\s/).pop().trim()));
  assert.deepEqual(exported.sort(), ['KeyObject', 'ProjectObject', 'RouteObject', 'WebhookObject', 'default']);
  assert.ok(!/export\s+(default|const|class|function|async)/.test(source));
});

test('the Worker is uploaded in at most 480 KB gzip', () => {
  const bytes = ['index.js', 'worker_bg.wasm'].reduce((sum, file) => sum + gzipSync(readFileSync(join(folder, file)), { level: 9 }).length, 0);
  assert.ok(bytes <= 480 * 1024, `${bytes} bytes`);
});

test('the upload carries no class that nobody makes, and no long names of imports', () => {
  const [source, wasm] = [readFileSync(join(folder, 'index.js'), 'utf8'), readFileSync(join(folder, 'worker_bg.wasm'))];
  const module = new WebAssembly.Module(wasm);
  const own = WebAssembly.Module.imports(module).filter(({ module: from }) => from.endsWith('_bg.js'));
  assert.ok(own.length > 50 && own.every(({ name }) => name.length <= 2), JSON.stringify(own.slice(0, 3)));
  for (const foreign of ['containerstartupoptions', 'intounderlyingsource', 'minifyconfig', 'r2range']) {
    assert.ok(!WebAssembly.Module.exports(module).some(({ name }) => name.includes(foreign)) && !source.includes(foreign), foreign);
  }
});

test('the shipped Worker cannot be made to fail by name', () => {
  assert.ok(!readFileSync(join(folder, 'worker_bg.wasm')).includes('injected'));
  assert.ok(readFileSync(join(root, 'build', 'worker-faulty', 'worker_bg.wasm')).includes('injected'));
});

test('pages are found as Cloudflare\'s asset server finds them, other edges of a local run beside them, and no other host', async () => {
  const keyward = await Deployment.start({ places: 2 });
  try {
    const get = async (path, options) => {
      const { status, headers } = await keyward.call('GET', path, undefined, { key: null, ...options });
      return [status, headers.get('location') ?? headers.get('content-type')?.split(';')[0]];
    };
    assert.deepEqual(await get('/'), [200, 'text/html']);
    assert.deepEqual(await get('/anatomy'), [200, 'text/html']);
    assert.deepEqual(await get('/docs/start'), [200, 'text/html']);
    assert.deepEqual(await get('/docs'), [307, '/docs/']);
    for (const path of ['/nothing', '//docs', '//example.com', '/%2f%2fexample.com', '/docs/nothing']) assert.equal((await get(path))[0], 404, path);
    assert.deepEqual((await keyward.call('GET', '/edges.json')).body, { edges: 2 });
    const { key } = await keyward.create();
    for (const path of ['/v1/authorize', '/edges/2/v1/authorize']) {
      assert.equal((await keyward.call('GET', `${path}?scope=calls:create`, undefined, { key })).status, 200, path);
      assert.equal((await keyward.call('GET', `${path}?scope=calls:delete`, undefined, { key })).status, 403, path);
      assert.equal((await get(path))[0], 401, path);
    }
    for (const path of ['/edges/1/v1/authorize', '/edges/3/v1/authorize', '/edges/2/v1/keys', '/edges/2/']) assert.equal((await get(path, { key: keyward.adminKey }))[0], 404, path);
  } finally {
    await keyward.stop();
  }
});
