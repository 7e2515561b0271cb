// What the runtime loads. It exports the handler and the four Durable Object classes and nothing else, because every
// export is a remote entry point; and it survives a panic: whoever was waiting is answered 500, the WebAssembly instance
// is replaced, the next request is served.
import { DurableObject } from 'cloudflare:workers';
import * as core from 'keyward-worker';

/** Whoever waits for the instance: called with the error that ended it. */
const waiting = new Set();
/** Counts instances: an object made by an earlier one is gone with it. */
let generation = 0;
/** Traps that were dealt with; one may surface in several places. */
const met = new WeakSet();

/** Replaces the instance where the error is a trap, which leaves it unusable, and fails whoever waits for it. */
function recover(error) {
  if (!(error instanceof WebAssembly.RuntimeError) || met.has(error)) return;
  met.add(error);
  console.error(JSON.stringify({ event: 'panic', message: error.message, waiting: waiting.size }));
  core.__wbg_reset_state();
  generation += 1;
  for (const lost of [...waiting]) lost(error);
}

// A trap inside a task of the instance surfaces here; the promise of that task would never settle.
addEventListener('error', (event) => recover(event.error));
addEventListener('unhandledrejection', (event) => recover(event.reason));

/** Calls into the instance. What it answers later is awaited together with its end; `otherwise` makes of an error. */
function guarded(call, otherwise) {
  let answer;
  try {
    answer = call();
  } catch (error) {
    recover(error);
    return otherwise(error);
  }
  if (!(answer instanceof Promise)) return answer;
  return new Promise((resolve) => {
    const lost = (error) => {
      waiting.delete(lost);
      recover(error);
      resolve(otherwise(error));
    };
    waiting.add(lost);
    answer.then((value) => {
      waiting.delete(lost);
      resolve(value);
    }, lost);
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
    return guarded(() => core.fetch(request, env), failed);
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
    return guarded(() => this.#core().handle(message), (error) => Promise.reject(error));
  }
  alarm() {
    return guarded(() => this.#core().alarm(), (error) => Promise.reject(error));
  }
}

export class RouteObject extends Shell {
  #core = () => this.inner(() => new core.RouteObject(this.ctx));
  handle(message) {
    return guarded(() => this.#core().handle(message), (error) => Promise.reject(error));
  }
}

export class WebhookObject extends Shell {
  #core = () => this.inner(() => new core.WebhookObject(this.ctx, this.env));
  handle(message) {
    return guarded(() => this.#core().handle(message), (error) => Promise.reject(error));
  }
  alarm() {
    return guarded(() => this.#core().alarm(), (error) => Promise.reject(error));
  }
}

export class ProjectObject extends Shell {
  #core = () => this.inner(() => new core.ProjectObject(this.ctx, this.env));
  handle(message) {
    return guarded(() => this.#core().handle(message), (error) => Promise.reject(error));
  }
}
