// The Worker with a clock that a test can set, and with what may go wrong between the project and the objects of webhooks. POST
// /watched with any of: {"offset": milliseconds} moves the clock of all against the real one; {"deaf": true} has the project's
// calls to those objects lost; {"forgetful": true} loses every second answer to events that were delivered to the project, after
// they were taken in; {"twice": true} has each wake-up of such an object rung twice at once, and once more after;
// {"hasty": true} makes a receiver's ten seconds a third of one.
import worker, { KeyObject, ProjectObject as Project, RouteObject, WebhookObject as Webhook } from './index.js';

export { KeyObject, RouteObject };

let faults = {};
let delivered = 0;

const { now } = Date;
Date.now = () => now() + (faults.offset ?? 0);
const { setTimeout: real } = globalThis;
globalThis.setTimeout = (call, delay, ...rest) => real(call, faults.hasty && delay === 10_000 ? 300 : delay, ...rest);

export class ProjectObject extends Project {
  async handle(message) {
    const answer = await super.handle(message);
    if (message.startsWith('{"deliver"')) {
      delivered += 1;
      if (faults.forgetful && delivered % 2 === 1) throw new Error('the answer was lost');
    }
    return answer;
  }
}

export class WebhookObject extends Webhook {
  handle(message) {
    if (faults.deaf && message.endsWith('"look"}')) throw new Error('the call was lost');
    return super.handle(message);
  }

  async alarm() {
    if (!faults.twice) return super.alarm();
    await Promise.all([super.alarm(), super.alarm()]);
    return super.alarm();
  }
}

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/watched') return worker.fetch(request, env, ctx);
    faults = await request.json();
    return new Response();
  },
};
