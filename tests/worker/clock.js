// The Worker on a clock that a test can set: POST /clock with {"offset": milliseconds} moves the clock of this isolate, its
// Durable Objects included, against the real one.
import worker from './index.js';

export { KeyObject, ProjectObject } from './index.js';

const real = Date.now;
let offset = 0;
Date.now = () => real() + offset;

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/clock') return worker.fetch(request, env, ctx);
    ({ offset } = await request.json());
    return new Response();
  },
};
