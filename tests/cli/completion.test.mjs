// keyward completion: what it prints is what shells take.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { folder, keyward } from './command.mjs';

/** What bash would offer after these words. */
function bash(script, ...words) {
  const line = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _keyward; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-c', line], { encoding: 'utf8', cwd: '/' });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.split('\n').filter(Boolean);
}

test('bash completes commands, their commands, flags and the values that these take', async () => {
  const { stdout: script } = await keyward(['completion', 'bash']);
  assert.deepEqual(bash(script, 'keyward', 'ke'), ['keys']);
  assert.deepEqual(bash(script, 'keyward', 'keys', 're'), ['revoke']);
  assert.deepEqual(bash(script, 'keyward', 'keys', 'c').sort(), ['calls', 'cancel', 'complete', 'create']);
  assert.deepEqual(bash(script, 'keyward', 'keys', 'create', '--sc'), ['--scope']);
  assert.deepEqual(bash(script, 'keyward', 'keys', 'list', '--status', 'd'), ['disabled']);
  assert.deepEqual(bash(script, 'keyward', 'keys', 'create', '--name', 'list', '--on-l'), ['--on-leak'], 'a value is no command');
  assert.deepEqual(bash(script, 'keyward', 'routes', 'secret', 'sms', 'n'), ['next']);
  assert.deepEqual(bash(script, 'keyward', 'completion', 'z'), ['zsh']);
  assert.deepEqual(bash(script, 'keyward', 'help', 'keys', 're'), ['revoke']);
  assert.deepEqual(bash(script, 'keyward', 'incidents', 't'), ['tick']);
  assert.match((await keyward(['completion', '--help'])).stdout, /npm install -g keyward[\s\S]*node_modules\/\.bin/);
  assert.ok(bash(script, 'keyward', 'scan', '--').includes('--history'));
});

for (const [shell, args] of [['zsh', ['-n']], ['fish', ['--no-execute']]]) {
  const there = spawnSync(shell, ['--version']).status === 0;
  test(`${shell} takes what is printed for it`, { skip: there ? false : `no ${shell} here` }, async (t) => {
    const { stdout } = await keyward(['completion', shell]);
    const { status, stderr } = spawnSync(shell, [...args, join(folder(t, { script: stdout }), 'script')], { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, '']);
  });
}

test('fish completes what bash does', { skip: spawnSync('fish', ['--version']).status === 0 ? false : 'no fish here' }, async () => {
  const { stdout: script } = await keyward(['completion', 'fish']);
  for (const [line, offered] of [['keyward ke', 'keys'], ['keyward keys re', 'revoke'], ['keyward keys create --name list --on-l', '--on-leak'], ['keyward routes secret sms n', 'next'], ['keyward keys list --status d', 'disabled']]) {
    const { stdout } = spawnSync('fish', ['--no-config', '-c', `${script}\ncomplete -C '${line}'`], { encoding: 'utf8' });
    assert.deepEqual(stdout.trim().split('\n').map((one) => one.split('\t')[0]), [offered], line);
  }
});

test('what is printed for zsh and fish names every command and flag', async () => {
  for (const shell of ['zsh', 'fish']) {
    const { stdout } = await keyward(['completion', shell]);
    for (const word of ['keys', 'revoke', 'routes', 'secret', 'audit', 'export', 'doctor', 'scan', 'respond']) assert.match(stdout, new RegExp(`\\b${word}\\b`), `${shell}: ${word}`);
    for (const flag of ['on-leak', 'history', 'idempotency-key']) assert.match(stdout, new RegExp(shell === 'zsh' ? `--${flag}` : `-l ${flag}`), `${shell}: ${flag}`);
    assert.ok(!/--key[ :']|-l key /.test(stdout));
  }
  assert.equal((await keyward(['completion', 'tcsh'])).status, 2);
});
