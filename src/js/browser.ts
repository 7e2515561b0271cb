/** Entry for browsers: `await ready()` before the first call; the module is fetched from beside this file, once. */
import init from 'keyward-core';

let loading: Promise<void> | undefined;

/**
 * Loads the WebAssembly module.
 * @param source where from, if not `keyward.wasm` beside this script: a URL, a Response, or the bytes
 */
export const ready = (source: unknown = new URL('./keyward.wasm', import.meta.url)): Promise<void> =>
  (loading ??= init({ module_or_path: source }).then(() => undefined));
export * from './index.js';
