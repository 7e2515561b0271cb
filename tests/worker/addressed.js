// The Worker, watched as by `counting-routes.js`, as Cloudflare calls it for a client at the address that a test names in
// X-Test-Address; without that header, as bare workerd calls it.
import worker from './counting-routes.js';

export { KeyObject, ProjectObject, RouteObject, WebhookObject } from './counting-routes.js';

export default {
  fetch(request, env, ctx) {
    const address = request.headers.get('x-test-address');
    if (address === null) return worker.fetch(request, env, ctx);
    const headers = new Headers(request.headers);
    headers.delete('x-test-address');
    headers.set('CF-Connecting-IP', address);
    return worker.fetch(new Request(request, { headers, cf: {} }), env, ctx);
  },
};
