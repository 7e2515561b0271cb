// Runs the commands of a document as somebody would who types them, against the real Worker with the stand-in provider beside it, and
// holds what they answer to what the document shows. Blocks marked `sh` are typed; `json` shows what they answer, line for line, with
// … for what differs from run to run; lines of `http` and `text` stand somewhere in the output. Other blocks are not looked at.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setUpRoute } from '../../.ci/demo.mjs';
import { startProvider } from '../../.ci/provider.mjs';
import { root } from '../../.ci/setup.mjs';
import { Deployment } from './harness.mjs';
import { closedPort } from './upstream.mjs';

const run = promisify(execFile);

/** The blocks of one language in a Markdown text, in their order. */
export const blocks = (markdown, language) => [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text]) => text);

/** The command line of this build, under the name by which it is installed; it asks no registry. */
const NPX = `npx() { shift; ${JSON.stringify(process.execPath)} ${JSON.stringify(join(root, 'dist', 'cli.js'))} "$@"; }`;

/** What differs from run to run, and what the document leaves out, taken away. */
const alike = (text) => text.replace(/"(id|key|key_id|by|request_id|at|[a-z_]+_at|as_of|effective_by)":"[^"]*"/g, '"$1":"…"').replace(/"lease_remaining_ms":\d+/, '"lease_remaining_ms":0').replace(/"name":"[0-9a-f]{8}"/, '"name":"…"');

/** Types all commands into one shell, in a folder that looks like the project's after `npm start`. Answers what they printed. */
async function typed(commands, { env = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-tour-'));
  mkdirSync(join(folder, '.keyward'));
  const provider = await startProvider({ file: join(folder, '.keyward', 'provider.json') });
  const receiver = `http://127.0.0.1:${await closedPort()}`;
  const keyward = await Deployment.start({ env: { KEYWARD_LOCAL_UPSTREAMS: provider.url, KEYWARD_LOCAL_WEBHOOKS: receiver, ...env } });
  /** The addresses of `npm start` and those of this run. */
  const places = [['http://127.0.0.1:8787', keyward.url], ['http://127.0.0.1:8788', provider.url], ['http://127.0.0.1:9000', receiver], ['listen(9000', `listen(${new URL(receiver).port}`]];
  const here = (text) => places.reduce((changed, [from, to]) => changed.replaceAll(from, to), text);
  const there = (text) => places.reduce((changed, [to, from]) => changed.replaceAll(from, to), text);
  try {
    writeFileSync(join(folder, '.keyward', 'admin-key'), `${keyward.adminKey}\n`);
    await setUpRoute({ keyward: keyward.url, adminKey: keyward.adminKey, provider, origins: [keyward.url] });
    const { stdout } = await run('bash', ['-eu', '-c', `trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n${NPX}\n${here(commands)}`], { cwd: folder });
    return there(stdout);
  } finally {
    rmSync(folder, { recursive: true });
    await keyward.stop();
    await provider.close();
  }
}

/**
 * Types the commands of a document and compares.
 *
 * @param options.env bindings of the Worker
 * @throws where an answer is not what is shown
 */
export async function tour(markdown, options) {
  const stdout = await typed(blocks(markdown, 'sh').filter((block) => !block.includes('npm start')).join('\n'), options);
  const answers = stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const shown = blocks(markdown, 'json').flatMap((block) => block.split('\n')).filter((line) => line.startsWith('{') && !line.includes('"event"'));
  assert.equal(answers.length, shown.length, stdout);
  answers.forEach((answer, i) => {
    const parts = alike(shown[i]).split(/, … ?/).flatMap((part) => part.split(' … '));
    const whole = alike(JSON.stringify(answer));
    for (const part of parts.filter((text) => text.length > 4)) assert.ok(whole.includes(part), `${part}\n is not in\n${whole}`);
  });
  const lines = ['http', 'text'].flatMap((language) => blocks(markdown, language)).flatMap((block) => block.trim().split('\n'))
    .map((line) => line.replace(/: (req_)?[0-9A-Za-z]{16,}$/, '').replace(/ \d{4}-.*$/, ''));
  for (const line of lines) assert.ok(stdout.includes(line), `${line}\n is not in\n${stdout}`);
}
