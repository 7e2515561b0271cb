// keyward routes and keyward audit.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { folder, started } from './command.mjs';

const ROUTE = { upstream: 'http://127.0.0.1:9/api', callers: { session: { origins: ['https://shop.example'], mint: 'backend' }, key: { scopes: ['messages:send'] } }, allow: [{ methods: ['POST'], path: '/messages' }], credential: { type: 'header', name: 'X-Key' } };
const SECRET = 'smsk_of-the-provider-and-nobody-else';

describe('keyward routes and audit', { concurrency: false }, () => {
  let deployment;
  let keyward;
  let json;
  before(async () => ({ deployment, keyward, json } = await started({ env: { KEYWARD_LOCAL_UPSTREAMS: 'http://127.0.0.1:9', UPSTREAM_SMS: 'from-the-worker', UPSTREAM_SMS_ORIGIN: 'http://127.0.0.1:9' } })));
  after(() => deployment?.stop());

  test('a route is written from a file or the standard input, shown, listed and removed', async (t) => {
    const cwd = folder(t, { 'sms.json': JSON.stringify(ROUTE), 'bad.json': '{' });
    assert.equal((await json(['routes', 'put', 'sms', '--file', 'sms.json'], { cwd })).upstream, ROUTE.upstream);
    assert.equal((await json(['routes', 'put', 'mail'], { input: JSON.stringify(ROUTE) })).name, 'mail');
    const list = await keyward(['routes', 'list']);
    assert.match(list.stdout, /sms +live +http:\/\/127\.0\.0\.1:9\/api +- +- +keys with messages:send, sessions \(backend\) of https:\/\/shop\.example/);
    assert.deepEqual((await json(['routes', 'list'])).data.map(({ name }) => name).sort(), ['mail', 'sms']);
    assert.match((await keyward(['routes', 'show', 'sms'])).stdout, /POST +\/messages/);
    assert.equal((await json(['routes', 'delete', 'mail'])).name, 'mail');
    for (const [args, options, words] of [
      [['routes', 'put', 'sms', '--file', 'bad.json'], { cwd }, /no JSON/], [['routes', 'put', 'sms', '--file', 'none.json'], { cwd }, /cannot be read/], [['routes', 'put', 'sms'], { input: '{"upstream": 5}' }, /400 INVALID_REQUEST.*upstream/s],
      [['routes', 'show', 'none'], {}, /404 ROUTE_NOT_FOUND/],
    ]) {
      const { status, stderr } = await keyward(args, options);
      assert.deepEqual([args.join(' '), status, words.test(stderr)], [args.join(' '), 2, true], stderr);
    }
  });

  test('a secret is read from the standard input, shared, and retired on evidence; it is never shown', async () => {
    const shown = [];
    const run = async (args, options) => {
      const result = await keyward(args, options);
      shown.push(result.stdout, result.stderr);
      return result;
    };
    assert.equal((await run(['routes', 'secret', 'sms', 'current'], { input: `${SECRET}\n` })).status, 0);
    assert.equal((await run(['routes', 'secret', 'sms', 'next', '--from-env', 'UPSTREAM_SMS'])).status, 0);
    assert.match((await run(['routes', 'secret', 'sms', 'next', '--weight', '40'])).stdout, /next +secret 2, 40 of 100 calls.*from UPSTREAM_SMS/);
    const use = await run(['routes', 'use', 'sms']);
    assert.match(use.stdout, /current +1 +60[\s\S]*next +2 +40/);
    const refused = await run(['routes', 'secret', 'sms', 'current', '--retire']);
    assert.deepEqual([refused.status, /current +1 +60/.test(refused.stdout), /--force/.test(refused.stderr)], [1, true, true]);
    assert.equal((await run(['routes', 'secret', 'sms', 'current', '--retire', '--force'])).status, 0);
    assert.match((await run(['routes', 'show', 'sms'])).stdout, /current +secret 2, 100 of 100/);
    assert.equal((await run(['routes', 'secret', 'sms', 'current'], { input: '\n' })).status, 2);
    assert.equal((await run(['routes', 'secret', 'sms', 'current'], { input: `${SECRET}\n${SECRET}` })).status, 2);
    assert.equal((await run(['routes', 'secret', 'sms', 'current', SECRET])).status, 2, 'it is no argument');
    for (const slot of ['third', SECRET]) {
      const { status, stdout, stderr } = await run(['routes', 'secret', 'sms', slot]);
      assert.deepEqual([status, stdout, /current or next.*standard input/.test(stderr), stderr.includes(slot)], [2, '', true, false], stderr);
    }
    for (const flag of [`--secret=${SECRET}`, `--weight=${SECRET}`]) assert.equal((await run(['routes', 'secret', 'sms', 'current', flag])).status, 2);
    // A secret that is taken for a route.
    const piped = await run(['routes', 'put', 'sms'], { input: SECRET });
    assert.deepEqual([piped.status, /no JSON.*keyward routes secret sms/.test(piped.stderr)], [2, true], piped.stderr);
    for (const part of ['smsk', 'nobody', 'Unexpected']) assert.ok(!piped.stderr.includes(part), piped.stderr);
    assert.equal((await run(['routes', 'secret', 'sms', 'next', '--weight', '4', '--retire'])).status, 2);
    assert.ok(!shown.join('').includes(SECRET));
  });

  test('the log is listed, exported whole, and verified against a head that was kept', async (t) => {
    const cwd = folder(t);
    assert.match((await keyward(['audit', 'list', '--limit', '2'])).stdout, /position[\s\S]*route\.secret/);
    assert.equal((await json(['audit', 'list', '--limit', '2'])).data.length, 2);
    const written = await keyward(['audit', 'export', '-o', 'log.jsonl'], { cwd });
    const rows = readFileSync(join(cwd, 'log.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    const { rows: count, head } = await json(['audit', 'verify']);
    assert.deepEqual([rows.length, rows.map(({ position }) => position)], [count, rows.map((_, i) => i + 1)]);
    assert.ok(written.stderr.includes(head) && written.stdout === '');
    assert.equal(statSync(join(cwd, 'log.jsonl')).mode & 0o777, 0o600);
    const piped = await keyward(['audit', 'export', '--after', String(count - 2)]);
    assert.deepEqual(piped.stdout.trim().split('\n').map((line) => JSON.parse(line)), rows.slice(-2));
    assert.equal((await keyward(['audit', 'verify', '--head', head])).status, 0);
    const cut = await keyward(['audit', 'verify', '--head', `${count}-${'0'.repeat(64)}`]);
    assert.deepEqual([cut.status, /not whole/.test(cut.stdout)], [1, true], cut.stdout);
    assert.equal((await keyward(['audit', 'export', '-o', 'none/log.jsonl'], { cwd })).status, 2);
  });
});
