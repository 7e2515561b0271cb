/** The one instance of the core: made when it is first needed, from where the entry has its module. */
import * as glue from 'keyward-core';
import { type Source, compile, compileLater } from 'keyward-source';
import { KeywardError } from './error.js';

let started = false;
let starting: Promise<void> | undefined;

function start(module: WebAssembly.Module): void {
  if (!started) glue.initSync({ module });
  started = true;
}

/** The core, started. */
export function core(): typeof glue {
  if (!started) start(compile());
  return glue;
}

/** Starts the core, of the module that comes from the source. Throws `NOT_READY` where none comes. */
export function startLater(source?: Source | PromiseLike<Source>): Promise<void> {
  if (started) return Promise.resolve();
  starting ??= compileLater(source).then(start, (failure: unknown) => {
    // Another attempt may have more luck.
    starting = undefined;
    throw failure instanceof KeywardError ? failure : new KeywardError('NOT_READY', `the WebAssembly module of keyward could not be loaded: ${String((failure as Error)?.message ?? failure)}`);
  });
  return starting;
}
