// A hostile upstream, and routes that lead to it. It is a real server on loopback that remembers whatever reaches it, from
// the head of a request on, and answers what a test has it answer.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';

/** The secret that routes send to it, unless a test says otherwise. */
export const SECRET = 'sk_up_4f9d0c7b21e84aa6b3';

/** What has come of one request: its head at once, its body when it is asked for. */
class Seen {
  constructor(request, response) {
    const [path, query] = request.url.split('?');
    Object.assign(this, { request, response, path, query, method: request.method, url: request.url, headers: request.headers });
    this.names = request.rawHeaders.filter((_, i) => i % 2 === 0);
    /** Resolves when the connection is gone before the answer was sent to its end. */
    this.gone = new Promise((resolve) => response.on('close', () => response.writableFinished || resolve()));
  }

  /** The whole body. */
  async body() {
    this.read ??= (async () => {
      const chunks = [];
      for await (const chunk of this.request) chunks.push(chunk);
      return Buffer.concat(chunks);
    })();
    return this.read;
  }
}

export class Upstream {
  /** All requests, in the order of their heads. */
  seen = [];
  #answers = new Map();
  #waiting = [];

  static async start(port = 0) {
    const upstream = new Upstream();
    upstream.server = createServer((request, response) => upstream.#take(new Seen(request, response)));
    upstream.server.on('clientError', (_, socket) => socket.destroy());
    upstream.server.listen(port, '127.0.0.1');
    await once(upstream.server, 'listening');
    upstream.origin = `http://127.0.0.1:${upstream.server.address().port}`;
    return upstream;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  async #take(seen) {
    seen.request.on('error', () => {});
    this.seen.push(seen);
    this.#waiting.splice(0).forEach((wake) => wake());
    try {
      const answer = this.#answers.get(seen.path);
      if (answer) return await answer(seen.response, seen);
      await seen.body();
      seen.response.setHeader('Content-Type', 'application/json').end('{"ok":true}\n');
    } catch (error) {
      if (!seen.response.destroyed && !seen.response.headersSent) seen.response.writeHead(599).end(String(error));
    }
  }

  /** Has `answer(response, seen)` answer at a path; without one, requests get 200 and a line of JSON. */
  at(path, answer) {
    this.#answers.set(path, answer);
  }

  /** Those that came to a path. */
  of(path) {
    return this.seen.filter((seen) => seen.path === path);
  }

  /** The request to a path, numbered from 0, as soon as its head is here. */
  async head(path, number = 0) {
    for (const end = Date.now() + 20_000; this.of(path).length <= number; ) {
      if (Date.now() > end) throw new Error(`nothing came to ${path}`);
      let timer;
      await Promise.race([new Promise((wake) => this.#waiting.push(wake)), new Promise((wake) => (timer = setTimeout(wake, 1000)))]);
      clearTimeout(timer);
    }
    return this.of(path)[number];
  }
}

/** A port of loopback on which nobody listens. */
export async function closedPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** The least that a route needs, to be spread into another. */
export const least = (upstream, fields = {}) => ({
  upstream: upstream.origin ?? upstream,
  callers: { key: { scopes: ['calls:create'] } },
  allow: [{ methods: METHODS, path: '/**' }],
  credential: { type: 'header', name: 'Authorization', prefix: 'Bearer ' },
  ...fields,
});

/** Writes a route that must be taken, with `secret` as its current one; `null` for none. */
export async function route(keyward, name, body, secret = SECRET) {
  const written = await keyward.call('PUT', `/v1/routes/${name}`, body);
  if (written.status >= 300) throw new Error(`writing the route answered ${written.status}: ${written.text}`);
  if (secret !== null) await put(keyward, name, 'current', { secret });
  return written.body;
}

/** Changes a slot, which must succeed. */
export async function put(keyward, name, slot, body) {
  const answer = await keyward.call('PUT', `/v1/routes/${name}/secrets/${slot}`, body);
  if (answer.status !== 200) throw new Error(`setting the secret answered ${answer.status}: ${answer.text}`);
  return answer.body;
}

/** A connection of one's own to the Worker: what is answered is collected, and what is sent is sent as it is. */
export class Raw {
  received = Buffer.alloc(0);
  closed = false;
  #wake = [];

  constructor(keyward, bytes) {
    this.socket = connect(keyward.port, '127.0.0.1');
    if (bytes) this.socket.write(bytes);
    const changed = () => this.#wake.splice(0).forEach((wake) => wake());
    this.socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      changed();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
      changed();
    });
  }

  get text() {
    return this.received.toString('latin1');
  }

  get status() {
    return Number(/^HTTP\/1.1 (\d+)/.exec(this.text)?.[1] ?? 0);
  }

  /** Resolves when `condition(this)` holds; rejects when the connection ends before, or after 20 s. */
  async until(condition) {
    for (const end = Date.now() + 20_000; !condition(this); ) {
      if (this.closed || Date.now() > end) throw new Error(`${this.closed ? 'closed' : 'still open'} after: ${this.text.slice(0, 500)}`);
      let timer;
      await Promise.race([new Promise((wake) => this.#wake.push(wake)), new Promise((wake) => (timer = setTimeout(wake, 1000)))]);
      clearTimeout(timer);
    }
    return this;
  }

  /** Resolves when the answer's head is here. */
  head() {
    return this.until(({ text }) => text.includes('\r\n\r\n'));
  }

  /** Resolves when the other side has closed. */
  async end() {
    await this.until(({ closed }) => closed).catch((error) => {
      if (!this.closed) throw error;
    });
    return this;
  }

  write(bytes) {
    return new Promise((resolve) => this.socket.write(bytes, resolve));
  }

  destroy() {
    this.socket.destroy();
  }
}

/** Waits for what comes about without an event of its own. */
export async function until(condition, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; ; ) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`it did not come about within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
