// The README's tour and its JavaScript, as they stand there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { setUpRoute } from '../../.ci/demo.mjs';
import { startProvider } from '../../.ci/provider.mjs';
import { root } from '../../.ci/setup.mjs';
import { Deployment } from './harness.mjs';
import { closedPort } from './upstream.mjs';

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const run = promisify(execFile);
/** The blocks of one language, in their order. */
const blocks = (language) => [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text]) => text);

test('the tour, typed word for word, gives what the README shows', async () => {
  const provider = await startProvider();
  const receiver = `http://127.0.0.1:${await closedPort()}`;
  const keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: provider.url, KEYWARD_LOCAL_WEBHOOKS: receiver } });
  const folder = mkdtempSync(join(tmpdir(), 'keyward-tour-'));
  try {
    mkdirSync(join(folder, '.keyward'));
    writeFileSync(join(folder, '.keyward', 'admin-key'), `${keyward.adminKey}\n`);
    await setUpRoute({ keyward: keyward.url, adminKey: keyward.adminKey, provider, origins: [keyward.url] });
    const typed = blocks('sh').filter((block) => !block.includes('npm start')).join('\n').replaceAll('http://127.0.0.1:8787', keyward.url).replaceAll('http://127.0.0.1:8788', provider.url).replaceAll('http://127.0.0.1:9000', receiver).replaceAll('listen(9000', `listen(${new URL(receiver).port}`);
    const { stdout } = await run('bash', ['-eu', '-c', `trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n${typed}`], { cwd: folder });
    const answers = stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    const shown = readme.replaceAll('http://127.0.0.1:8787', keyward.url).replaceAll('http://127.0.0.1:8788', provider.url).replaceAll('http://127.0.0.1:9000', receiver).split('\n').filter((line) => line.startsWith('{') && !line.includes('"event"'));
    assert.equal(answers.length, shown.length);
    /** What differs from run to run, and what the README leaves out, taken away. */
    const alike = (text) => text.replace(/"(id|key|key_id|by|request_id|at|[a-z_]+_at|as_of|effective_by)":"[^"]*"/g, '"$1":"…"').replace(/"lease_remaining_ms":\d+/, '"lease_remaining_ms":0').replace(/"name":"[0-9a-f]{8}"/, '"name":"…"');
    answers.forEach((answer, i) => {
      const parts = alike(shown[i]).split(/, … ?/).flatMap((part) => part.split(' … '));
      const whole = alike(JSON.stringify(answer));
      for (const part of parts.filter((text) => text.length > 4)) assert.ok(whole.includes(part), `${part}\n is not in\n${whole}`);
    });
    const head = blocks('http').flatMap((block) => block.trim().split('\n')).map((line) => line.replace(/: (req_)?[0-9A-Za-z]{16,}$/, '').replace(/ \d{4}-.*$/, ''));
    for (const line of head) assert.ok(stdout.includes(line), line);
  } finally {
    rmSync(folder, { recursive: true });
    await keyward.stop();
    await provider.close();
  }
});

test('the JavaScript of the README verifies as its comments say', async () => {
  const [snippet] = blocks('js');
  const results = snippet.replace(/^(verifyKey\(.*?\)\.code); +\/\/ ('\w+')$/gm, 'results.push([$1, $2]);');
  const code = `const results = [];\n${results.replace("from 'keyward'", `from ${JSON.stringify(join(root, 'dist', 'node.js'))}`)}\nconsole.log(JSON.stringify(results));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code.replace(/^(const results.*\n)([^]*?)(import .*\n)/, '$3$1$2')], { env: { ...process.env, ROOT_SECRET: '5a'.repeat(32) } });
  const pairs = JSON.parse(stdout.trim().split('\n').at(-1));
  assert.equal(pairs.length, 4);
  for (const [result, comment] of pairs) assert.equal(result, comment);
});
