/** The one instance of the core: made when it is first needed, from where the entry has its module. */
import { CoreVerifier, addressAllowed, generateKey, grants, initSync, linearMemory, parseKey, prepare, scopeProblem, sessionClaims, verdictCodes, wasIssued } from 'keyward-core';
import { type Source, compile, compileLater } from 'keyward-source';
import { KeywardError } from './error.js';

/** By name, and not the module as a whole, which no bundler could leave out. */
const glue = { CoreVerifier, addressAllowed, generateKey, grants, linearMemory, parseKey, prepare, scopeProblem, sessionClaims, verdictCodes, wasIssued };

let started = false;
let starting: Promise<void> | undefined;

function start(module: WebAssembly.Module): void {
  if (!started) initSync({ module });
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
