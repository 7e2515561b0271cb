/** The module from wherever the caller has it: `keyward/keyward.wasm`, served or read by oneself. */
import type { Source } from 'keyward-source';
import { KeywardError } from '../error.js';

export function compile(): WebAssembly.Module {
  throw new KeywardError('NOT_READY', 'keyward/slim is started by its user: await ready(source) first, where source leads to keyward.wasm');
}

export async function compileLater(given?: Source | PromiseLike<Source>): Promise<WebAssembly.Module> {
  let source = await given;
  if (source === undefined) return compile();
  if (typeof source === 'string' || source instanceof URL) source = await fetch(source);
  if (typeof Response === 'function' && source instanceof Response) {
    if (!source.ok) throw new KeywardError('NOT_READY', `keyward.wasm is not there: ${source.status}`);
    // Compiled as it arrives, where the server says what it is.
    if (WebAssembly.compileStreaming && source.headers.get('content-type')?.startsWith('application/wasm')) return WebAssembly.compileStreaming(source);
    source = await source.arrayBuffer();
  }
  return source instanceof WebAssembly.Module ? source : WebAssembly.compile(source as BufferSource);
}
