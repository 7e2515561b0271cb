// A stand-in for Turnstile's siteverify: a real server on loopback that remembers what it was asked.
import { once } from 'node:events';
import { createServer } from 'node:http';

/** The secret of the widget. */
export const TURNSTILE_SECRET = '0x4AAAAAAA-turnstile-secret-of-the-test';

/** A token that begins with `good` is good once; what others are called says what comes of them. */
export class Siteverify {
  seen = [];
  #used = new Set();
  /** What is said of tokens that are called so. */
  #says = {
    'says-1': { success: 1 }, 'says-true': { success: 'true' }, 'says-nothing': {}, 'says-internal-error': { success: false, 'error-codes': ['internal-error'] }, 'other-site': { success: true, hostname: 'evil.example' }, 'lower-site': { success: true, hostname: 'cdn.shop.example' },
    'longer-site': { success: true, hostname: 'shop.example.evil.example' }, 'no-site': { success: true, hostname: undefined }, 'empty-site': { success: true, hostname: '' }, 'of-localhost': { success: true, hostname: 'localhost' },
  };
  /** What is done with tokens that are called so. */
  #does = {
    'never-answered': () => {}, 'breaks-off': (response) => response.socket.destroy(), 'is-html': (response) => response.end('<h1>Welcome</h1>'), 'is-empty': (response) => response.end(), 'is-null': (response) => response.end('null'),
    stalls: (response) => response.writeHead(200, { 'Content-Type': 'application/json' }).write('{"success": true, "hostname": "shop.exa'),
    'answers-500': (response, body) => response.writeHead(500).end(JSON.stringify({ success: true, hostname: 'shop.example', body })),
    'answers-302': (response, body) => response.writeHead(302, { Location: '/moved' }).end(JSON.stringify({ success: true, hostname: 'shop.example', body })),
  };

  static async start() {
    const siteverify = new Siteverify();
    siteverify.server = createServer((request, response) => siteverify.#take(request, response)).listen(0, '127.0.0.1');
    await once(siteverify.server, 'listening');
    siteverify.url = `http://127.0.0.1:${siteverify.server.address().port}/turnstile/v0/siteverify`;
    return siteverify;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  async #take(request, response) {
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    this.seen.push({ method: request.method, url: request.url, type: request.headers['content-type'], form });
    const token = form.get('response');
    if (this.#does[token]) return this.#does[token](response, body);
    const refused = (code) => ({ success: false, hostname: undefined, 'error-codes': [code] });
    const judge = () => {
      if (form.get('secret') !== TURNSTILE_SECRET) return refused('invalid-input-secret');
      if (!token?.startsWith('good')) return this.#says[token] ?? refused('invalid-input-response');
      if (this.#used.has(token)) return refused('timeout-or-duplicate');
      this.#used.add(token);
      return { success: true };
    };
    response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ 'error-codes': [], challenge_ts: new Date().toISOString(), hostname: 'shop.example', action: 'send', ...judge() }));
  }
}
