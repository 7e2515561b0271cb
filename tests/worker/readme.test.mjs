// The README's tour and its JavaScript, as they stand there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { root } from '../../.ci/setup.mjs';
import { blocks, tour } from './tour.mjs';

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const run = promisify(execFile);

test('the tour, typed word for word, gives what the README shows', () => tour(readme));

test('the JavaScript of the README verifies as its comments say', async () => {
  const [snippet] = blocks(readme, 'js');
  const results = snippet.replace(/^(verifyKey\(.*?\)\.code); +\/\/ ('\w+')$/gm, 'results.push([$1, $2]);');
  const code = `const results = [];\n${results.replace("from 'keyward'", `from ${JSON.stringify(join(root, 'dist', 'index.js'))}`)}\nconsole.log(JSON.stringify(results));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code.replace(/^(const results.*\n)([^]*?)(import .*\n)/, '$3$1$2')], { env: { ...process.env, ROOT_SECRET: '5a'.repeat(32) } });
  const pairs = JSON.parse(stdout.trim().split('\n').at(-1));
  assert.equal(pairs.length, 4);
  for (const [result, comment] of pairs) assert.equal(result, comment);
});
