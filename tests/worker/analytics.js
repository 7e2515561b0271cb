// The Worker, bound to a data set of Workers Analytics Engine that keeps what is written to it: GET /analytics. Bare workerd
// has none. Rows of calls from France fail, as where the platform's bound of rows is reached.
import worker, { KeyObject as Key } from './index.js';

const written = [];
const KEYWARD_ANALYTICS = {
  writeDataPoint(point) {
    if (point.blobs[2] === 'FR') throw new Error('no more rows');
    written.push(point);
  },
};

export class KeyObject extends Key {
  constructor(ctx, env) {
    super(ctx, { ...env, KEYWARD_ANALYTICS });
  }
}

export default {
  fetch: (request, env, ctx) => (new URL(request.url).pathname === '/analytics' ? Response.json(written) : worker.fetch(request, env, ctx)),
};

export { ProjectObject, RouteObject, WebhookObject } from './index.js';
