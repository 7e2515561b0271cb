// What the runtime loads. It exports the handler and the two Durable Object classes and nothing else, because every
// export is a remote entry point; and it survives a panic: whoever was waiting is answered 500, the WebAssembly instance
// is replaced, the next request is served.
import { DurableObject } from 'cloudflare:workers';
import * as core from 'keyward-worker';

/** Rejections of everything that waits for the instance. */
const waiting = new Set();
/** Counts instances: an object made by an earlier one is gone with it. */
let generation = 0;

/** Replaces the instance after a trap and fails whoever waits for it. */
function replaceInstance(error) {
  console.error(JSON.stringify({ event: 'panic', message: String(error?.message ?? error), waiting: waiting.size }));
  core.__wbg_reset_state();
  generation += 1;
  const lost = [...waiting];
  waiting.clear();
  for (const reject of lost) reject(error);
}

const isTrap = (error) => error instanceof WebAssembly.RuntimeError;

// A trap inside a task of the instance surfaces here; the promise of that task would never settle.
addEventListener('error', (event) => {
  if (isTrap(event.error)) replaceInstance(event.error);
});
addEventListener('unhandledrejection', (event) => {
  if (isTrap(event.reason)) replaceInstance(event.reason);
});

/** Calls into the instance; what it answers later is awaited together with the end of the instance. */
function guarded(call) {
  let answer;
  try {
    answer = call();
  } catch (error) {
    if (isTrap(error)) replaceInstance(error);
    throw error;
  }
  if (!(answer instanceof Promise)) return answer;
  return new Promise((resolve, reject) => {
    waiting.add(reject);
    answer.then(resolve, reject).finally(() => waiting.delete(reject));
  });
}

/** The one answer that is made here: the instance that makes all others has just failed. */
function failed() {
  const request_id = `req_${crypto.randomUUID().replaceAll('-', '')}`;
  const problem = {
    type: 'urn:keyward:problem:internal-error',
    title: 'Something failed inside keyward',
    status: 500,
    detail: 'the request was not granted; whether a change was stored can be read back',
    code: 'INTERNAL_ERROR',
    request_id,
  };
  console.error(JSON.stringify({ event: 'failed', request_id }));
  return Response.json(problem, {
    status: 500,
    headers: { 'Content-Type': 'application/problem+json', 'Cache-Control': 'no-store', 'Keyward-Request-Id': request_id },
  });
}

export default {
  fetch(request, env) {
    try {
      const answer = guarded(() => core.fetch(request, env));
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch {
      return failed();
    }
  },
};

/** A Durable Object whose deciding half lives in the instance and is made anew with it. */
class Shell extends DurableObject {
  #inner;
  #generation = -1;

  inner(make) {
    if (this.#generation !== generation) {
      this.#inner = make();
      this.#generation = generation;
    }
    return this.#inner;
  }
}

export class KeyObject extends Shell {
  #core = () => this.inner(() => new core.KeyObject(this.ctx, this.env));
  handle(message) {
    return guarded(() => this.#core().handle(message));
  }
  alarm() {
    return guarded(() => this.#core().alarm());
  }
}

export class ProjectObject extends Shell {
  #core = () => this.inner(() => new core.ProjectObject(this.ctx));
  handle(message) {
    return guarded(() => this.#core().handle(message));
  }
}
