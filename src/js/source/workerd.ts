/** The module as Cloudflare Workers have it: compiled into the deployment. */
// @ts-expect-error: the runtime hands over a compiled WebAssembly.Module
import module from './keyward.wasm';

export const compile = (): WebAssembly.Module => module as WebAssembly.Module;
export const compileLater = (): Promise<WebAssembly.Module> => Promise.resolve(module as WebAssembly.Module);
