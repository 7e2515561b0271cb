// The types of the package, as a project sees them that has it installed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../.ci/setup.mjs';

test('the types say who calls in each framework, what may be undefined, and which options there are', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', join(root, 'tests', 'package', 'types')], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
});
