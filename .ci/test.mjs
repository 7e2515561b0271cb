// `npm test`: sets up, checks, builds and runs every test, showing each runner's own output, and says at the end what failed
// and how many of each kind passed.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, buildFaultyWorker, buildWasmTests } from './build.mjs';
import { check } from './check.mjs';
import { root, setup } from './setup.mjs';

const start = Date.now();
const results = [];
const failures = [];
// The same values in every run, so that a change is judged by what it changed; `npm run test:search` draws new ones.
process.env.PROPTEST_RNG_SEED ??= '20261121';

/** Runs a test runner, passing its output on, and reads its counts. */
async function runner(kind, command, args, read) {
  process.stderr.write(`\nkeyward: ${kind}\n`);
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, FORCE_COLOR: '0' } });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    output += chunk;
    process.stdout.write(chunk);
  });
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  const { passed, failed } = read(output);
  results.push({ kind, passed, failed: failed + (code !== 0 && failed === 0 ? 1 : 0) });
  if (code !== 0) failures.push(`${kind} ended with ${code}`, ...told(output));
}

/** What a runner's output tells of each failure: node's `not ok` with what belongs to it, and cargo's list. */
function told(output) {
  const tap = [...output.matchAll(/^( *)not ok .*\n\1  ---\n[^]*?\n\1  \.\.\.$/gm)].map(([failure]) => failure).filter((failure) => !failure.includes("failureType: 'subtestsFailed'"));
  const cargo = [...output.matchAll(/^failures:\n\n([^]*?)^failures:$/gm)].map(([, failure]) => failure);
  return [...tap, ...cargo];
}

const sum = (output, pattern) => [...output.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
const cargoCounts = (output) => ({ passed: sum(output, /(\d+) passed;/g), failed: sum(output, /(\d+) failed;/g) });
const vectorCounts = (output) => {
  const failed = sum(output, /vectors, (\d+) failures/g) || cargoCounts(output).failed;
  return { passed: sum(output, /(\d+) vectors, \d+ failures/g) - failed, failed };
};
const nodeCounts = (output) => ({ passed: sum(output, /^# pass (\d+)$/gm), failed: sum(output, /^# (?:fail|cancelled) (\d+)$/gm) });

/** The test files of a folder, in node's own runner, so many at a time; `only` says which of them. */
const nodeTests = (kind, folder, concurrency = 1, only = () => true) => {
  const files = readdirSync(join(root, 'tests', folder)).filter((file) => file.endsWith('.test.mjs') && only(file)).map((file) => join('tests', folder, file));
  return runner(kind, process.execPath, ['--test', '--test-reporter=tap', '--test-timeout=420000', `--test-concurrency=${concurrency}`, ...files], nodeCounts);
};

setup({ tests: true });
check();
await build();
await buildWasmTests();
await buildFaultyWorker();

await runner('Rust unit and property tests', 'cargo', ['test', '--locked', '--quiet', '-p', 'keyward', '-p', 'keyward-worker', '--features', 'keyward/scan', '--lib'], cargoCounts);
await runner('Vectors in native Rust', 'cargo', ['test', '--locked', '--quiet', '-p', 'keyward', '--test', 'vectors', '--', '--nocapture'], vectorCounts);
await runner('The model of the lease, all interleavings', 'cargo', ['test', '--locked', '--quiet', '-p', 'keyward-model'], cargoCounts);
await nodeTests('Vectors and tests in wasm', 'wasm');
await nodeTests('The npm package, vectors included', 'package', 2);
await nodeTests('The package, packed and installed elsewhere', 'packaging', 2);
await nodeTests('The leak scanner', 'scan', 2);
await nodeTests('The command line', 'cli', 2);
// These load five edges as much as the machine can.
const demanding = (file) => /^(edges|limits)\./.test(file);
await nodeTests('The Worker in workerd, five edges under load', 'worker', 1, demanding);
await nodeTests('The Worker in workerd', 'worker', 2, (file) => !demanding(file));
await nodeTests('The pages in Chromium', 'browser', 2);

console.log(`\nkeyward: ${((Date.now() - start) / 1000).toFixed(0)} s`);
for (const { kind, passed, failed } of results) console.log(`  ${kind}: ${passed} passed, ${failed} failed`);
if (failures.length > 0) console.log(`\n${failures.join('\n')}\n`);
const failed = results.reduce((total, result) => total + result.failed, 0);
console.log(`${results.reduce((total, result) => total + result.passed, 0)} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
