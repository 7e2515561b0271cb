// The Worker as Cloudflare calls it: the client's address in a header that only the platform sets, his country beside it. Bare
// workerd knows no country.
import worker from './index.js';

export { KeyObject, ProjectObject } from './index.js';

export default {
  fetch(request, env, ctx) {
    const headers = new Headers(request.headers);
    headers.set('CF-Connecting-IP', '192.0.2.1');
    return worker.fetch(new Request(request, { headers, cf: { country: 'DE' } }), env, ctx);
  },
};
