// The documents of www/docs: each command that stands in one, typed as it stands, answers what is shown below it; and what the guide to
// self-hosting has somebody write runs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { root, run } from '../../.ci/setup.mjs';
import { workerdBinary } from '../../.ci/workerd.mjs';
import { blocks, tour } from './tour.mjs';
import { closedPort } from './upstream.mjs';

const folder = join(root, 'www', 'docs');
const documents = readdirSync(folder).filter((file) => file.endsWith('.md')).map((file) => [file, readFileSync(join(folder, file), 'utf8')]);

for (const [file, text] of documents.filter(([, text]) => blocks(text, 'sh').length > 0)) {
  test(`the commands of ${file}, typed as they stand, answer what it shows`, () => tour(text, { env: { KEYWARD_FOREIGN_PREFIXES: 'acme_live_:live,acme_test_:test' } }));
}

test('every answer that a document shows follows a command that is run', () => {
  for (const [file, text] of documents) {
    if (blocks(text, 'json').length > 0) assert.ok(blocks(text, 'sh').length > 0, file);
    assert.ok(!/TODO/.test(text), file);
  }
});

test('the configuration for workerd runs as the guide has it, with the secrets that its script makes', async () => {
  const [, text] = documents.find(([file]) => file === 'self-host.md');
  const place = mkdtempSync(join(tmpdir(), 'keyward-self-host-'));
  const port = await closedPort();
  let child;
  try {
    for (const part of ['build', 'dist', 'src']) symlinkSync(join(root, part), join(place, part));
    mkdirSync(join(place, 'objects'));
    writeFileSync(join(place, 'make-secrets.mjs'), blocks(text, 'js')[0]);
    run(process.execPath, ['make-secrets.mjs'], { cwd: place, what: 'make-secrets.mjs' });
    writeFileSync(join(place, 'keyward.capnp'), blocks(text, 'capnp')[0].replace('127.0.0.1:8787', `127.0.0.1:${port}`));
    const [prepare, source, serve] = blocks(text, 'console').find((block) => block.includes('workerd serve')).trim().split('\n').map((line) => line.replace('$ ', ''));
    assert.ok(prepare && source && serve);
    child = spawn('bash', ['-c', `${source}\nexec ${serve.replace('node_modules/.bin/workerd', JSON.stringify(workerdBinary()))} --control-fd=3`], { cwd: place, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
    const [event] = await Promise.race([once(child.stdio[3], 'data'), once(child, 'exit').then(() => ['workerd ended'])]);
    assert.match(String(event), /"listen"/);
    const admin = readFileSync(join(place, 'admin-key'), 'utf8').trim();
    const answer = await fetch(`http://127.0.0.1:${port}/v1/keys`, { headers: { authorization: `Bearer ${admin}` } });
    assert.equal(answer.status, 200);
    assert.equal((await answer.json()).data[0].name, 'first management key');
    assert.match(await (await fetch(`http://127.0.0.1:${port}/docs/self-host.html`)).text(), /<h1>Run it on a server of your own/);
  } finally {
    if (child) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    rmSync(place, { recursive: true, force: true });
  }
});
