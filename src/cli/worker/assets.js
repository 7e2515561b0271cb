// Stands where Cloudflare's asset server is when the Worker is deployed: serves a folder of pages with content types.
const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css', js: 'text/javascript', wasm: 'application/wasm', svg: 'image/svg+xml', json: 'application/json', png: 'image/png' };

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const path = url.pathname.endsWith('/') ? `${url.pathname}index.html` : url.pathname;
    const file = await env.FILES.fetch(new URL(path, 'http://files'), { method: request.method });
    const type = TYPES[path.split('.').pop()];
    if (!file.ok || !type) return new Response(null, { status: 404 });
    return new Response(file.body, { headers: { 'Content-Type': type, 'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff' } });
  },
};
