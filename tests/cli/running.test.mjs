// The deployment that runs from a folder is the one that commands in it ask, as long as it runs and nothing else is named.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lockState, runningUrl } from '../../src/cli/worker/state.mjs';
import { folder, keyward, started } from './command.mjs';

/** A process that lives until the test ends, in the place of the runtime. */
function runtime(t) {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

describe('the deployment of a folder', { concurrency: false }, () => {
  let deployment;
  before(async () => ({ deployment } = await started()));
  after(() => deployment?.stop());

  /** A folder whose state says that this deployment runs from it. */
  function ran(t, pid, url = deployment.url) {
    const cwd = folder(t, { '.keyward/admin-key': `${deployment.adminKey}\n` });
    const held = lockState(join(cwd, '.keyward'));
    held.holds(pid, url);
    return { cwd, held };
  }

  test('is asked where no --url and no KEYWARD_URL is given, with the folder\'s own key, and that is said', async (t) => {
    const { cwd, held } = ran(t, runtime(t).pid);
    const { status, stdout, stderr } = await keyward(['keys', 'list', '--json'], { cwd });
    assert.deepEqual([status, JSON.parse(stdout).data.length > 0, stderr], [0, true, `keyward: asking ${deployment.url}, which runs from this folder\n`]);
    const named = await keyward(['keys', 'list', '--url', 'http://127.0.0.1:9'], { cwd });
    assert.deepEqual([named.status, /127\.0\.0\.1:9 cannot be reached/.test(named.stderr), named.stderr.includes('which runs')], [2, true, false]);
    const variable = await keyward(['keys', 'list'], { cwd, env: { KEYWARD_URL: 'http://127.0.0.1:9' } });
    assert.match(variable.stderr, /127\.0\.0\.1:9 cannot be reached/);
    held.release();
    assert.equal(existsSync(join(cwd, '.keyward', 'url')), false);
    assert.match((await keyward(['keys', 'list'], { cwd })).stderr, /which deployment\?/);
  });

  test('is no longer asked when the process that answered is gone, though its files are there', async (t) => {
    const child = runtime(t);
    const { cwd } = ran(t, child.pid);
    assert.equal(runningUrl(join(cwd, '.keyward')).origin, deployment.url);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(existsSync(join(cwd, '.keyward', 'url')), true);
    assert.match((await keyward(['keys', 'list'], { cwd })).stderr, /which deployment\?/);
  });

  test('is asked on this machine alone, whatever a file says', async (t) => {
    const { pid } = runtime(t);
    for (const url of ['https://keys.example', 'http://192.0.2.1:8787', 'http://127.0.0.1.example:80', 'http://user@127.0.0.1:80', 'http://127.0.0.1:8787/path', 'http://127.0.0.1:99999', 'file:///etc/passwd', '']) {
      const { cwd } = ran(t, pid, url);
      assert.equal(runningUrl(join(cwd, '.keyward')), undefined, url);
    }
    const { cwd } = ran(t, pid);
    const file = join(cwd, '.keyward', 'url');
    for (const text of ['', deployment.url, `${deployment.url}\n${pid}\n`, readFileSync(file, 'utf8').replace(`\n${pid}\n`, `\n${process.pid}\n`)]) {
      writeFileSync(file, text);
      assert.equal(runningUrl(join(cwd, '.keyward')), undefined, JSON.stringify(text));
    }
  });
});
