/** Entry for Node: the module is read from beside this file, synchronously, once. */
import { readFileSync } from 'node:fs';
import { initSync } from 'keyward-core';

initSync({ module: readFileSync(new URL('./keyward.wasm', import.meta.url)) });

/** Resolved from the start here; there for code that also runs in browsers. */
export const ready = (): Promise<void> => Promise.resolve();
export * from './index.js';
