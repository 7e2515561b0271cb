/** The module from within the script: nothing to fetch, read or configure, in any runtime and behind any bundler. */
import base64 from 'keyward-bytes';
import { KeywardError } from '../error.js';

/** What decodes base64 natively, where there is such a thing: Node's buffers, or ECMAScript 2026. */
declare const Buffer: { from(text: string, encoding: 'base64'): Uint8Array<ArrayBuffer> } | undefined;

function bytes(): Uint8Array<ArrayBuffer> {
  if (typeof Buffer !== 'undefined') return Buffer.from(base64, 'base64');
  const { fromBase64 } = Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };
  if (typeof fromBase64 === 'function') return fromBase64.call(Uint8Array, base64);
  const text = atob(base64);
  const decoded = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) decoded[i] = text.charCodeAt(i);
  return decoded;
}

/** Chrome before 115 compiles no more than 4 KB at once on a page's main thread, and a page may forbid it altogether. */
export function compile(): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes());
  } catch (failure) {
    throw new KeywardError('NOT_READY', `WebAssembly cannot be compiled here at once: await ready() first; a Content-Security-Policy must allow 'wasm-unsafe-eval' (${String((failure as Error)?.message)})`);
  }
}

export const compileLater = (): Promise<WebAssembly.Module> => WebAssembly.compile(bytes());
