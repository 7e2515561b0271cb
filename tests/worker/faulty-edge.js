// The Worker as an edge with a bad line to the authority: its messages to the objects that own keys are counted and, as
// the test says with POST /faults, late, lost or never answered.
import worker from './index.js';

/**
 * What befalls messages from now on; nothing, where it is empty.
 *   before, after  milliseconds that the question takes, and the answer
 *   lost           'question' or 'answer': that is where the message fails
 *   silent         it is handled, and never answered
 *   share          of the messages that this befalls, 0 to 1; all, where it is left out
 *   killed         the edge loses all that it knows, once, as where its machine goes: calls under way fail
 */
let fault = {};
/** Messages since the last POST /faults, by key id. */
let asked = {};

async function carried(stub, message) {
  const { before = 0, after = 0, lost, silent = false, share = 1 } = fault;
  if (share < 1 && Math.random() >= share) return stub.handle(message);
  if (before > 0) await scheduler.wait(before);
  if (lost === 'question') throw new Error('the question was lost');
  const answer = await stub.handle(message);
  // Longer than anybody waits; a promise that nothing can settle would have the runtime end the request as hung.
  if (silent) await scheduler.wait(600_000);
  if (after > 0) await scheduler.wait(after);
  if (lost === 'answer') throw new Error('the answer was lost');
  return answer;
}

/** The namespace of those objects, as far as the Worker uses it. */
const badly = (keys) => ({
  getByName(id) {
    const stub = keys.getByName(id);
    return {
      handle(message) {
        asked[id] = (asked[id] ?? 0) + 1;
        return carried(stub, message);
      },
    };
  },
});

/** The environment that the Worker is given: always the same object. */
let given;

export default {
  async fetch(request, env, ctx) {
    given ??= { ...env, KEYS: badly(env.KEYS) };
    if (new URL(request.url).pathname !== '/faults') return worker.fetch(request, given, ctx);
    const before = asked;
    if (request.method === 'POST') [fault, asked] = [await request.json(), {}];
    if (fault.killed) dispatchEvent(new ErrorEvent('error', { error: new WebAssembly.RuntimeError('killed by the test') }));
    return Response.json({ asked: before });
  },
};
