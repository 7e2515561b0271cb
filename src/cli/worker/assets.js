// Stands where Cloudflare's asset server is when the Worker is deployed: serves a folder of pages with content types. Beside them,
// a page finds the other edges of a local run here: deployed, a browser reaches the nearest alone.
const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css', js: 'text/javascript', wasm: 'application/wasm', svg: 'image/svg+xml', json: 'application/json', png: 'image/png' };

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const edges = Object.entries(env).filter(([name]) => name.startsWith('edge-'));
    if (url.pathname === '/edges.json') return Response.json({ edges: 1 + edges.length }, { headers: { 'Cache-Control': 'no-cache' } });
    for (const [name, edge] of edges) {
      if (url.pathname === `/edges/${name.slice('edge-'.length)}/v1/authorize`) return edge.fetch(new Request(new URL(`/v1/authorize${url.search}`, url), request));
    }
    // As Cloudflare's does: a page is found without its ending, too.
    const path = url.pathname.endsWith('/') ? `${url.pathname}index.html` : /\.\w+$/.test(url.pathname) ? url.pathname : `${url.pathname}.html`;
    const file = await env.FILES.fetch(`http://files${path}`, { method: request.method });
    const type = TYPES[path.split('.').pop()];
    if (!file.ok || !type) {
      // As there: a folder's name leads to its page. With two slashes before it, it would be a host's.
      const folder = /^(\/[\w-]+)+$/.test(url.pathname) && (await env.FILES.fetch(`http://files${url.pathname}/index.html`, { method: 'HEAD' })).ok;
      return folder ? new Response(null, { status: 307, headers: { Location: `${url.pathname}/` } }) : new Response(null, { status: 404 });
    }
    // As build/www/_headers tells a host: what has a hash in its name never changes.
    const cache = path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    const policy = path.startsWith('/assets/scan-thread-') ? { 'Content-Security-Policy': "default-src 'none'" } : {};
    return new Response(file.body, { headers: { 'Content-Type': type, 'Cache-Control': cache, 'X-Content-Type-Options': 'nosniff', ...policy } });
  },
};
