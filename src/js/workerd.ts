/** Entry for Cloudflare Workers: the module is compiled into the deployment. */
import { initSync } from 'keyward-core';
// @ts-expect-error: the runtime hands over a compiled WebAssembly.Module
import module from './keyward.wasm';

initSync({ module });

/** Resolved from the start here; there for code that also runs in browsers. */
export const ready = (): Promise<void> => Promise.resolve();
export * from './index.js';
