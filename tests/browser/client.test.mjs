// keyward/client in Chromium: on a page of the deployment, with the browser's own fetch.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium as browserType } from 'playwright-core';
import { chromium, root } from '../../.ci/setup.mjs';
import { Deployment } from '../worker/harness.mjs';

let keyward;
let browser;
before(async () => {
  keyward = await Deployment.start();
  browser = await browserType.launch({ executablePath: chromium(), args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
});
after(async () => {
  await browser?.close();
  await keyward?.stop();
});

/** A page that has the client. */
async function open(origin) {
  const page = await browser.newPage();
  await page.route(`${origin}/client-page`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>client</title>' }));
  await page.route(`${origin}/client.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: readFileSync(join(root, 'dist', 'client.js'), 'utf8') }));
  await page.goto(`${origin}/client-page`);
  return page;
}

test('a page makes, lists and verifies keys, and has the codes of refusals', async () => {
  const page = await open(keyward.url);
  const seen = await page.evaluate(async ({ url, admin }) => {
    const { Keyward, KeywardApiError } = await import('/client.js');
    const client = new Keyward({ url, key: admin });
    const { key } = await client.keys.create({ name: 'from a page', owner: 'acme' });
    const names = [];
    for await (const { name } of client.keys.list({ limit: 1 })) names.push(name);
    const code = await client.keys.get('A'.repeat(16)).catch((error) => error instanceof KeywardApiError && error.code);
    const rows = [];
    for await (const { position } of client.audit.export({ limit: 1 })) rows.push(position);
    return { valid: (await client.keys.verify({ key })).valid, names, code, rows, shown: JSON.stringify(client) };
  }, { url: keyward.url, admin: keyward.adminKey });
  assert.deepEqual([seen.valid, seen.names, seen.code, seen.rows], [true, ['from a page', 'first management key'], 'KEY_NOT_FOUND', [1, 2]]);
  assert.ok(!seen.shown.includes(keyward.adminKey.slice(-30)));
  await page.close();
});

test('a redirect is refused in a browser, too', async (t) => {
  let asked = 0;
  const elsewhere = createServer((_, response) => {
    asked += 1;
    response.writeHead(200, { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  const moved = createServer((_, response) => response.writeHead(307, { location: `http://127.0.0.1:${elsewhere.address().port}/` }).end()).listen(0, '127.0.0.1');
  await once(moved, 'listening');
  t.after(() => [elsewhere, moved].forEach((server) => server.close().closeAllConnections()));
  const url = `http://127.0.0.1:${moved.address().port}`;
  const page = await open(url);
  const error = await page.evaluate(async (origin) => {
    const { Keyward } = await import('/client.js');
    return new Keyward({ url: origin, key: 'psk_live_x' }).keys.get('A'.repeat(16)).catch(({ code, detail }) => ({ code, detail }));
  }, url);
  assert.deepEqual([error.code, /redirect/.test(error.detail), asked], ['UNEXPECTED_ANSWER', true, 0]);
  await page.close();
});
