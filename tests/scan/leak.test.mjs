// From a commit to every edge: a key that leaked is found, reported and refused.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { spawn } from 'node:child_process';
import { EDGES, Edges, authorization } from '../worker/edges.mjs';
import { cli, commit, keyward, repository } from './command.mjs';

/** Runs `keyward …` while this process goes on; what is typed comes one line after another. */
async function command(args, { cwd, env, typed = [] }) {
  const child = spawn(process.execPath, [cli, ...args], { cwd, env: { ...process.env, NO_COLOR: '1', ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += text));
  child.stderr.on('data', (text) => (stderr += text));
  child.stdin.end(typed.map((line) => `${line}\n`).join(''));
  const status = await new Promise((resolve) => child.once('close', resolve));
  return { status, stdout, stderr };
}

describe('a leak', { concurrency: false }, () => {
  let deployment;
  let env;
  before(async () => {
    deployment = await Edges.start({ faulty: false });
    const { key } = await deployment.create({ name: 'pipeline', scopes: ['keyward.leaks:write', 'keyward.keys:read'] });
    env = { KEYWARD_KEY: key, KEYWARD_URL: deployment.url };
  });
  after(() => deployment.stop());

  test('a key that was committed and removed is found in the history, reported, revoked by its policy, and refused by every edge inside the bound', async (t) => {
    const { id, key } = await deployment.create({ name: 'leaky', on_leak: 'revoke' });
    const { key: spared } = await deployment.create({ name: 'elsewhere', on_leak: 'revoke' });
    const lines = Array.from({ length: EDGES }, (_, edge) => deployment.line(edge));
    t.after(() => lines.forEach((line) => line.close()));
    const ask = (edge, text = key) => lines[edge].call(authorization(text));
    for (let edge = 0; edge < EDGES; edge += 1) assert.equal((await ask(edge)).status, 200);
    const path = repository(t, { 'app.js': 'start();\n' });
    writeFileSync(join(path, 'app.js'), `start("${key}");\n`);
    const guilty = commit(path, 'works on my machine');
    writeFileSync(join(path, 'app.js'), 'start(process.env.KEY);\n');
    commit(path, 'take the key out');
    assert.deepEqual(keyward(['scan', path]).status, 0, 'the files of today are clean');
    assert.match(keyward(['scan', '--history', path]).stdout, new RegExp(`answer it: npx keyward respond ${id}\\n`));

    // The edges are asked all the while.
    let done = false;
    const accepted = [];
    const hammer = Promise.all(lines.map(async (_, edge) => {
      while (!done) {
        const { status, start } = await ask(edge);
        if (status === 200) accepted.push(start);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }));
    const { status, stdout, stderr } = await command(['scan', '--history', '--json', '--report-to', deployment.url, path], { env });
    const reported = Date.now();
    const { findings } = JSON.parse(stdout);
    assert.deepEqual([status, findings.map((f) => [f.rule, f.key_id, f.introduced.id, f.in_head])], [1, [['keyward-key', id, guilty, false]]]);
    assert.match(stderr, new RegExp(`reported 1 key to ${deployment.url}: 1 known \\(revoked?\\)`));
    assert.ok(!(stdout + stderr).includes(key.slice(-30)), 'the key itself is told to its deployment alone');
    const record = (await deployment.call('GET', `/v1/keys/${id}`)).body;
    assert.deepEqual([record.status, record.on_leak], ['revoked', 'revoke']);
    await new Promise((resolve) => setTimeout(resolve, record.max_staleness_seconds * 1000 + 500));
    done = true;
    await hammer;
    const late = accepted.filter((start) => start > reported + record.max_staleness_seconds * 1000);
    t.diagnostic(`${accepted.length} calls accepted, the last ${Math.max(...accepted) - reported} ms after the report was answered`);
    assert.deepEqual(late, []);
    for (let edge = 0; edge < EDGES; edge += 1) assert.deepEqual([(await ask(edge)).status, (await ask(edge, spared)).status], [401, 200]);
    const again = await command(['scan', '--history', '--report-to', deployment.url, path], { env });
    assert.equal(again.status, 1, 'told again, it is known');
    assert.equal((await deployment.call('GET', `/v1/incidents?key_id=${id}`)).body.data.length, 1, 'one incident');

    const { id: over, key: ended } = await deployment.create({ name: 'ended before', on_leak: 'revoke' });
    await deployment.call('POST', `/v1/keys/${over}/revoke`);
    writeFileSync(join(path, 'app.js'), `start("${ended}");\n`);
    const afterwards = await command(['scan', '--report-to', deployment.url, path], { env });
    assert.match(afterwards.stderr, /: 1 known \(it was dealt with already\)\n/);
  });

  test('keyward respond leads through the answer, asked or told', async (t) => {
    const out = join(mkdtempSync(join(tmpdir(), 'keyward-respond-')), 'incident.md');
    t.after(() => rmSync(join(out, '..'), { recursive: true }));
    const { id, key } = await deployment.create({ name: 'shop <b>front</b>', owner: 'acme' });
    const asked = await command(['respond', '-o', out], { env: { ...env, KEYWARD_ASK: '1' }, typed: [key, '1', '', 'stood in a build log', 'y'] });
    assert.deepEqual([asked.status, /\[x\].*revoked/i.test(asked.stdout), /\[ \]/.test(asked.stdout)], [0, true, true], asked.stdout + asked.stderr);
    assert.ok(!(asked.stdout + asked.stderr).includes(key.slice(-30)));
    assert.match(asked.stderr, new RegExp(`\\nrevoke .*front.* \\(${id}\\) of acme at ${deployment.url}: end it at every edge.*\\nGo on\\? \\[y/N\\] \\n$`), 'which key, what will happen, and a line of its own for each question');
    assert.ok(!asked.stdout.includes('GET ') && asked.stdout.includes(`keyward incidents close inc_${id}_1`), asked.stdout);
    const { status: state, revoke_reason: why } = (await deployment.call('GET', `/v1/keys/${id}`)).body;
    assert.deepEqual([state, why], ['revoked', 'stood in a build log']);
    const markdown = readFileSync(out, 'utf8');
    assert.ok(markdown.includes(id) && !markdown.includes('<b>'), markdown);

    const { id: other, key: old } = await deployment.create({ name: 'backend' });
    for (const typed of [[other, 'revoke', '', '', ''], [other, 'revoke', '', '', 'n'], [other, 'revoke', '', '']]) {
      const { status, stderr } = await command(['respond'], { env: { ...env, KEYWARD_ASK: '1' }, typed });
      assert.deepEqual([status, /nothing was done\n$/.test(stderr), (await deployment.call('GET', `/v1/keys/${other}`)).body.status], [2, true, 'active'], stderr);
    }
    const unasked = await command(['respond', other, '--action', 'none', '--suspected-at', '2026-01-01T00:00:00Z', '--reason', 'only a look', '--yes'], { env: { ...env, KEYWARD_ASK: '1' } });
    assert.equal(unasked.status, 0, unasked.stderr);
    const told = await command(['respond', other, '--action', 'rotate', '--reason', 'laptop stolen'], { env });
    const fresh = told.stdout.match(/shown this once:\n(\S+)/)?.[1];
    assert.deepEqual([told.status, fresh?.includes(other)], [0, true], told.stdout + told.stderr);
    assert.deepEqual([(await deployment.call('POST', '/v1/keys/verify', { key: fresh })).body.code, (await deployment.call('POST', '/v1/keys/verify', { key: old }, { headers: { 'Cache-Control': 'no-cache' } })).body.code], ['VALID', 'ROTATED_OUT']);

    const lingering = await command(['respond', other, '--action', 'rotate', '--grace', '1h'], { env });
    assert.equal(lingering.status, 0, lingering.stderr);
    assert.equal((await deployment.call('POST', '/v1/keys/verify', { key: fresh }, { headers: { 'Cache-Control': 'no-cache' } })).body.code, 'VALID', 'the old secret works for its grace');

    for (const [args, more, problem] of [
      [['respond', other, '--action', 'revoke', '--grace', '1h'], env, /--grace/], [['respond', other], env, /--action/], [['respond'], env, /id of the key/], [['respond', 'nonsense', '--action', 'none'], env, /no key and no id/], [['respond', other, '--action', 'none'], { ...env, KEYWARD_KEY: '' }, /KEYWARD_KEY/],
      [['respond', other, '--action', 'none'], { ...env, KEYWARD_URL: '' }, /--url/], [['respond', other, '--action', 'none', '--url', 'http://127.0.0.1:9'], env, /cannot be reached/], [['respond', 'AAAAAAAAAAAAAAAA', '--action', 'none'], env, /404/],
      [['respond', other, '--action', 'none', '--suspected-at', 'yesterday'], env, /suspected_at/],
    ]) {
      const { status, stderr } = await command(args, { env: more });
      assert.deepEqual([status, problem.test(stderr)], [2, true], `${args}: ${stderr}`);
    }
  });
});
