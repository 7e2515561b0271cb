/** keyward for those who bring the WebAssembly module themselves, as a file that is cached for itself: `keyward/keyward.wasm`. */
import { startLater } from './instance.js';

export * from './index.js';

/** Where the module is: compiled, its bytes, a response with them, or an address that `fetch` can read: Node's reads no files, so hand it their bytes. */
export type Source = WebAssembly.Module | BufferSource | Response | URL | string;

/**
 * Starts the core; awaited before the first call.
 * @throws {KeywardError} `NOT_READY` where no module comes from the source
 */
export function ready(source: Source | PromiseLike<Source>): Promise<void> {
  return startLater(source);
}
