// What is uploaded and what is downloaded, compressed.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../../../.ci/setup.mjs';

export const title = 'Sizes, gzip';

/** KB (1024 bytes) of files, each compressed by itself. */
function kilobytes(...files) {
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0) / 1024;
}

export async function run() {
  const worker = join(root, 'build', 'worker');
  const uploaded = readdirSync(worker).filter((name) => /\.(js|wasm)$/.test(name)).map((name) => join(worker, name));
  const dist = (name) => join(root, 'dist', name);
  const size = (what, files, bound) => ({ what, measured: { median: kilobytes(...files) }, unit: 'KB', bound });
  return [
    size('Worker upload (build/worker)', uploaded, { atMost: 300 }),
    size('npm core (dist/keyward.wasm)', [dist('keyward.wasm')], { atMost: 60 }),
    size('npm core in one script (dist/index.js)', [dist('index.js')]),
    size('npm core with its module as a file (dist/slim.js, dist/keyward.wasm)', [dist('keyward.wasm'), dist('slim.js')]),
  ];
}
