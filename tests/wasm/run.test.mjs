// The vectors against the core compiled to WebAssembly (tests/wasm/src/lib.rs, built into build/wasm-tests).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { initSync, operations, runVector } from '../../build/wasm-tests/tests.js';
import { countByOperation, vectorFiles } from '../vectors/files.mjs';

initSync({ module: readFileSync(new URL('../../build/wasm-tests/tests_bg.wasm', import.meta.url)) });
const files = vectorFiles();

test('every vector in the directory holds in WebAssembly', async (t) => {
  for (const { name, json } of files) {
    await t.test(name, () => assert.equal(runVector(name, json), null));
  }
});

test('every operation has vectors and every folder is an operation', (t) => {
  const counts = countByOperation(files);
  assert.deepEqual(Object.keys(counts).sort(), operations().sort());
  t.diagnostic(`${files.length} vectors: ${Object.entries(counts).map(([operation, count]) => `${operation} ${count}`).join(', ')}`);
});

test('a vector with a wrong expectation is reported by what was expected and what came', () => {
  const { name, json } = files.find((file) => file.name === 'parse/length-empty.json');
  assert.match(runVector(name, json.replace('"LENGTH"', '"CHECK"')), /expects .*CHECK.*, got .*LENGTH/);
});
