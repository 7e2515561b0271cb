// keyward incidents: what remains to be done after a leak, listed, shown, ticked off and closed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { folder, started } from './command.mjs';

describe('keyward incidents', { concurrency: false }, () => {
  let deployment;
  let keyward;
  let json;
  let key;
  let incident;
  before(async () => {
    ({ deployment, keyward, json } = await started());
    key = await deployment.create({ name: 'leaky', owner: 'acme' });
    ({ incident } = (await deployment.call('POST', `/v1/keys/${key.id}/leak-response`, { action: 'revoke', reason: 'stood in a build log' })).body);
  });
  after(() => deployment?.stop());

  test('are listed, all of them or those that are open, or of one key', async () => {
    const { stdout } = await keyward(['incidents', 'list']);
    assert.match(stdout, new RegExp(`^${incident.id} +open .* revoke +leaky +acme +\\d$`, 'm'));
    for (const [args, found] of [[['--status', 'open'], 1], [['--status', 'closed'], 0], [['--key-id', key.id], 1], [['--key-id', 'A'.repeat(16)], 0], [['--limit', '1'], 1]]) {
      assert.equal((await json(['incidents', 'list', ...args])).data.length, found, args.join(' '));
    }
    assert.deepEqual([(await keyward(['incidents', 'list', '--status', 'closed'])).stdout, (await keyward(['incidents', 'list', '--status', 'ajar'])).status], ['', 2]);
  });

  test('one is shown with what remains, as JSON, and as the Markdown that the deployment writes', async (t) => {
    const { status, stdout } = await keyward(['incidents', 'show', incident.id]);
    assert.deepEqual([status, /\[x\] key_ended /.test(stdout), /\[ \] owner_told /.test(stdout)], [0, true, true], stdout);
    assert.equal((await json(['incidents', 'show', incident.id])).id, incident.id);
    const markdown = (await keyward(['incidents', 'show', incident.id, '--markdown'])).stdout;
    assert.match(markdown, /^# [\s\S]*- \[ \] The owner is told/);
    const cwd = folder(t);
    const written = await keyward(['incidents', 'show', incident.id, '-o', 'incident.md'], { cwd });
    assert.deepEqual([written.status, written.stdout, readFileSync(join(cwd, 'incident.md'), 'utf8').trimEnd()], [0, '', markdown.trimEnd()]);
    assert.deepEqual([(await keyward(['incidents', 'show', incident.id, '--markdown', '--json'])).status, (await keyward(['incidents', 'show', 'inc_none_1'])).status], [2, 2]);
  });

  test('steps are ticked off, and taken back; a step that is none is refused', async () => {
    const { status, stdout, stderr } = await keyward(['incidents', 'tick', incident.id, 'owner_told', 'source_cleaned', '--note', 'by phone']);
    assert.deepEqual([status, /\[x\] owner_told .*\(by phone\)/.test(stdout), /\[x\] source_cleaned /.test(stdout), /^\d steps left$/m.test(stderr)], [0, true, true, true], stdout + stderr);
    const { steps } = await json(['incidents', 'tick', incident.id, 'owner_told', '--undo']);
    assert.deepEqual(['owner_told', 'source_cleaned'].map((name) => steps.find((step) => step.name === name).done_at === null), [true, false]);
    for (const args of [[], ['nonsense']]) assert.equal((await keyward(['incidents', 'tick', incident.id, ...args])).status, 2);
  });

  test('one is closed, and what was not done is said', async () => {
    const { status, stderr } = await keyward(['incidents', 'close', incident.id, '--note', 'no more to be found']);
    assert.deepEqual([status, /is closed; \d steps of it were not done$/m.test(stderr)], [0, true], stderr);
    const closed = await json(['incidents', 'show', incident.id]);
    assert.deepEqual([closed.status, closed.notes.at(-1).text], ['closed', 'no more to be found']);
    assert.equal((await json(['incidents', 'list', '--status', 'open'])).data.length, 0);
  });
});
