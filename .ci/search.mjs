// `npm run test:search [times]`: the tests that draw their values, with a new seed and so many times as many values as `npm test`
// (20). What it finds becomes an example in its test.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { build, buildFaultyWorker } from './build.mjs';
import { root, setup } from './setup.mjs';

const [times = '20'] = process.argv.slice(2);
const seed = process.env.KEYWARD_SEED ?? String(randomInt(2 ** 31));
const env = { ...process.env, KEYWARD_SEED: seed, KEYWARD_MORE: times, PROPTEST_RNG_SEED: seed, PROPTEST_CASES: String(256 * Number(times)) };

setup({ tests: true });
await build();
await buildFaultyWorker();
let failed = false;
for (const [command, ...args] of [
  ['cargo', 'test', '--locked', '--quiet', '-p', 'keyward', '-p', 'keyward-worker', '--features', 'keyward/scan', '--lib'],
  [process.execPath, '--test', '--test-concurrency=2', ...['api', 'deployment', 'kept'].map((name) => `tests/package/${name}.test.mjs`)],
  [process.execPath, '--test', 'tests/worker/edges.test.mjs', 'tests/worker/openapi.test.mjs'],
]) failed = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' }).status !== 0 || failed;
console.log(`\n${failed ? 'Found something; again' : 'Found nothing; the same again'}: KEYWARD_SEED=${seed} npm run test:search -- ${times}`);
process.exitCode = failed ? 1 : 0;
