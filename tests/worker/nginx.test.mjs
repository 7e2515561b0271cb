// nginx, as worker/recipes/nginx.conf sets it up, before a site and an API: a real one, with addresses and paths replaced and
// nothing else. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect, createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { nginx, root } from '../../.ci/setup.mjs';
import { Deployment, core } from './harness.mjs';

const recipe = readFileSync(join(root, 'worker', 'recipes', 'nginx.conf'), 'utf8');
const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A port of the loopback that was free a moment ago. */
async function freePort() {
  const socket = createSocket().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** A server that answers what `answer(request, body)` says and keeps what it was asked. */
async function serve(answer) {
  const seen = [];
  const server = createServer(async (asked, response) => {
    let body = '';
    for await (const chunk of asked.setEncoding('utf8')) body += chunk;
    seen.push({ method: asked.method, url: asked.url, headers: asked.headers, raw: asked.rawHeaders, body });
    const { status = 200, headers = {}, text = '' } = answer(asked, body);
    response.writeHead(status, headers).end(text);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return { seen, port, stop: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}

/** The recipe, running. */
class Nginx {
  static async start({ keyward, backend, proxyKey }) {
    const made = new Nginx();
    made.folder = mkdtempSync(join(tmpdir(), 'keyward-nginx-'));
    made.port = await freePort();
    const inside = (...path) => join(made.folder, ...path);
    mkdirSync(inside('site'));
    mkdirSync(inside('temporary'));
    writeFileSync(inside('site', 'secret.txt'), 'the secret of the site\n');
    writeFileSync(inside('proxy-key.conf'), proxyKey ? `proxy_set_header Keyward-Proxy "${proxyKey}";\n` : '');
    const places = {
      '127.0.0.1:8787': `127.0.0.1:${keyward}`,
      '127.0.0.1:3000': `127.0.0.1:${backend}`,
      'listen 8080': `listen 127.0.0.1:${made.port}`,
      '/srv/site': inside('site'),
      '/var/log/nginx/access.log': inside('access.log'),
      '/var/log/nginx/error.log': inside('error.log'),
      '/etc/nginx/keyward-proxy-key.conf': inside('proxy-key.conf'),
    };
    let text = recipe;
    for (const [from, to] of Object.entries(places)) {
      assert.equal(text.split(from).length, 2, `${from} stands in the recipe once`);
      text = text.replace(from, to);
    }
    writeFileSync(inside('keyward.conf'), text);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${inside('temporary', name)};`);
    // As root, nginx would let somebody else do the work, who cannot read what only root may.
    const user = process.getuid?.() === 0 ? 'user root root;' : '';
    writeFileSync(inside('nginx.conf'), `${user}
pid ${inside('nginx.pid')};
error_log ${inside('nginx.log')} info;
worker_processes 1;
daemon off;
events {}
http {
  ${temporary.join('\n  ')}
  include ${inside('keyward.conf')};
}
`);
    await made.run();
    return made;
  }

  async run() {
    const child = spawn(nginx(), ['-p', this.folder, '-c', join(this.folder, 'nginx.conf'), '-e', join(this.folder, 'nginx.log')], { stdio: ['ignore', 'ignore', 'inherit'] });
    running.add(child);
    this.process = child;
    this.exited = once(child, 'exit').then(() => running.delete(child));
    for (;;) {
      assert.equal(child.exitCode, null, 'nginx does not start');
      const socket = connect(this.port, '127.0.0.1');
      const open = await new Promise((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
      socket.destroy();
      if (open) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  read(file) {
    return readFileSync(join(this.folder, file), 'utf8');
  }

  async stop() {
    this.process.kill('SIGTERM');
    await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A request: `{status, headers, text}`. `from` is the address it is made from. */
  call(path, { key, method = 'GET', headers = {}, body, from } = {}) {
    return new Promise((resolve, reject) => {
      const authorization = key === undefined ? {} : { Authorization: `Bearer ${key}` };
      const asked = request({ port: this.port, host: '127.0.0.1', path, method, localAddress: from, headers: { ...authorization, ...headers }, agent: false }, async (response) => {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve({ status: response.statusCode, headers: response.headers, text });
      });
      asked.on('error', reject).end(body);
    });
  }
}

describe('behind nginx', () => {
  let keyward;
  let backend;
  let proxy;
  let site;
  let reader;
  before(async () => {
    keyward = await Deployment.start({ env: { KEYWARD_FOREIGN_PREFIXES: 'sk_live_:live' } });
    proxy = await keyward.create({ name: 'nginx', scopes: ['keyward.authorize:proxy'] });
    reader = await keyward.create({ owner: 'Müller', scopes: ['files:read', 'calls:create'] });
    backend = await serve(() => ({ text: 'the backend\n' }));
    site = await Nginx.start({ keyward: keyward.port, backend: backend.port, proxyKey: proxy.key });
  });
  after(async () => {
    await site?.stop();
    await backend?.stop();
    await keyward?.stop();
  });

  /** A call that must not get the file, whatever it gets. */
  const refused = async (options, path = '/secret.txt', of = site) => {
    const answer = await of.call(path, options);
    assert.ok(!answer.text.includes('the secret of the site'), `${answer.status} with the file`);
    return answer;
  };

  test('a key with the scope gets the file, and with it whose key it was', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, text } = await site.call('/secret.txt', { key: reader.key, method });
      assert.deepEqual([status, text], [200, method === 'GET' ? 'the secret of the site\n' : '']);
      assert.deepEqual([headers['keyward-key-id'], headers['keyward-owner']], [reader.id, 'M%C3%BCller']);
      assert.match(headers['keyward-request-id'], /^req_[0-9a-z]{18}$/);
      assert.equal(headers['www-authenticate'] ?? headers['retry-after'] ?? headers['keyward-warning'], undefined);
    }
    assert.equal((await site.call('/none.txt', { key: reader.key })).status, 404);
  });

  test('1: no key is 401 with keyward\'s challenge, for files that there are and that there are not', async () => {
    for (const path of ['/secret.txt', '/none.txt', '/', '/api/calls']) {
      const { status, headers } = await refused({}, path);
      assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer realm="keyward"'], path);
    }
    const { status, headers } = await refused({ key: core.generateKey({ brand: 'psk' }) });
    assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer realm="keyward", error="invalid_token"']);
  });

  test('2: of two credentials neither counts', async () => {
    const other = await keyward.create({ scopes: [] });
    for (const [first, second] of [[reader.key, other.key], [other.key, reader.key]]) {
      const { status } = await refused({ headers: { Authorization: [`Bearer ${first}`, `Bearer ${second}`] } });
      assert.equal(status, 400);
    }
  });

  test('a key without the scope of a location is 403, and the challenge names the scope', async () => {
    const { key } = await keyward.create({ scopes: ['calls:create'] });
    const { status, headers } = await refused({ key });
    assert.deepEqual([status, headers['www-authenticate']], [403, 'Bearer realm="keyward", error="insufficient_scope", scope="files:read"']);
    assert.equal((await site.call('/api/calls', { key })).status, 200);
  });

  test('what the caller says under keyward\'s names reaches no backend, and his key does not either', async () => {
    const lies = ['Keyward-Key-Id', 'keyward-owner', 'KEYWARD-SCOPES', 'Keyward-Proxy', 'Keyward-Status', 'Keyward_Owner'].flatMap((name) => [name, 'a lie']);
    const lines = Array.from({ length: lies.length / 2 }, (_, i) => `${lies[2 * i]}: ${lies[2 * i + 1]}`);
    const ask = (path, key) => new Promise((resolve, reject) => {
      let answer = '';
      const socket = connect(site.port, '127.0.0.1', () => socket.write([`POST ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...lines, `Authorization: Bearer ${key}`, 'X-Forwarded-For: 203.0.113.7', 'Content-Length: 8', '', 'the body'].join('\r\n')));
      socket.setEncoding('latin1').on('data', (chunk) => { answer += chunk; }).on('close', () => resolve(answer)).on('error', reject);
    });
    backend.seen.length = 0;
    assert.match(await ask('/api/calls?a=b', reader.key), /^HTTP\/1.1 200 [^]*the backend/);
    const [{ url, headers, raw, body }] = backend.seen;
    assert.deepEqual([url, body], ['/api/calls?a=b', 'the body']);
    assert.deepEqual(
      [headers['keyward-key-id'], headers['keyward-owner'], headers['keyward-scopes'], headers['x-forwarded-for'], headers.authorization],
      [reader.id, 'M%C3%BCller', 'files:read calls:create', '127.0.0.1', undefined],
    );
    assert.ok(!raw.some((value) => value.includes('a lie') || value.includes(reader.key) || value.includes(proxy.key)), raw.join(' '));
    // Nor where keyward has nothing to say: a key that holds nothing is not asked for a scope here.
    const { status, headers: told } = await refused({ key: reader.key, headers: { 'Keyward-Owner': 'a lie', 'Keyward-Key-Id': 'a lie' } }, '/none.txt');
    assert.deepEqual([status, told['keyward-owner']], [404, 'M%C3%BCller']);
  });

  test('23: the caller\'s address counts, and what he claims it to be does not', async () => {
    const { key } = await keyward.create({ scopes: ['files:read'], allowed_ips: ['127.0.0.2'] });
    for (const headers of [{}, { 'X-Forwarded-For': '127.0.0.1' }, { 'X-Forwarded-For': '127.0.0.1', 'Keyward-Proxy': proxy.key }]) {
      assert.equal((await site.call('/secret.txt', { key, headers, from: '127.0.0.2' })).status, 200);
    }
    for (const headers of [{}, { 'X-Forwarded-For': '127.0.0.2' }, { 'X-Forwarded-For': '127.0.0.2', 'Keyward-Proxy': proxy.key }]) {
      for (const from of ['127.0.0.1', '127.0.0.3']) assert.equal((await refused({ key, headers, from })).status, 403);
    }
  });

  test('11: a key in the URL is refused and stands in no log of nginx', async () => {
    const { key } = await keyward.create({ scopes: ['files:read'] });
    const scopeless = await keyward.create({ scopes: [] });
    const asked = [`/secret.txt?key=${key}`, `/${key}`, `/secret.txt/${key}/`, `/secret.txt?key=${key.replaceAll('_', '%5f')}`, `/%70${key.slice(1)}`, `/api/calls?a=b&k=${key}`, `/KEY_${key}`];
    backend.seen.length = 0;
    for (const path of asked) {
      const { status, text } = await refused({ key: reader.key }, path);
      assert.deepEqual([status, text.includes(key)], [400, false], path.slice(0, 20));
      assert.match(text, /leaked/);
    }
    for (const path of ['/none.txt', '/secret.txt', '/api/calls']) assert.equal((await refused({ key: reader.key, headers: { Referer: `https://shop.example/?key=${key}` } }, path)).status, 400);
    assert.equal(backend.seen.length, 0);
    // Where nginx has something to say about a request: none of the credentials it came with.
    await refused({ headers: { Authorization: [`Bearer ${reader.key}`, `Bearer ${key}`] } });
    assert.equal((await site.call('/secret.txt?token=of+somebody+else', { key: reader.key })).status, 200);
    assert.equal((await refused({ key: scopeless.key }, '/secret.txt?token=of+somebody+else')).status, 403);
    assert.equal((await refused({ key: reader.key }, '/none.txt')).status, 404);
    const secret = key.slice(-33);
    assert.match(site.read('error.log'), /none\.txt/);
    for (const file of ['access.log', 'error.log', 'nginx.log']) {
      const log = site.read(file);
      assert.ok(!log.includes(secret) && !log.includes(reader.key) && !log.includes(proxy.key), `${file}: ${log}`);
    }
    const log = site.read('access.log');
    assert.ok(!log.includes('of+somebody+else'));
    assert.match(log, new RegExp(`^127\\.0\\.0\\.1 \\[[^\\]]+\\] GET /secret\\.txt 200 "${reader.id}" req_[0-9a-z]{18}$`, 'm'));
  });

  test('the verdict UNAVAILABLE is 503 and says when to come again', async () => {
    // What keyward itself answers: more invented keys of another system than a network may have looked up.
    let unavailable;
    for (let i = 0; i < 200 && unavailable === undefined; i += 1) {
      const answer = await refused({ key: `sk_live_${String(i).padStart(24, '0')}`, from: '127.0.7.1' });
      if (answer.status !== 401) unavailable = answer;
    }
    assert.deepEqual([unavailable.status, unavailable.headers['retry-after']], [503, '1']);
    assert.match(unavailable.headers['keyward-request-id'], /^req_/);
    // Of that network: through the proxy the others have budgets of their own.
    assert.equal((await refused({ key: `sk_live_${'9'.repeat(24)}`, from: '127.0.8.1' })).status, 401);
  });

  test('a revoked key is refused after its receipt: nginx remembers no verdict', async () => {
    const { key, id } = await keyward.create({ scopes: ['files:read'] });
    assert.equal((await site.call('/secret.txt', { key })).status, 200);
    const { body } = await keyward.call('POST', `/v1/keys/${id}/revoke`, { wait: true });
    assert.equal(body.confirmed, true);
    for (let i = 0; i < 5; i += 1) assert.equal((await refused({ key })).status, 401);
  });

  test('a caller on a secret that is being replaced is warned', async () => {
    const { key, id } = await keyward.create({ scopes: ['files:read'] });
    await keyward.call('POST', `/v1/keys/${id}/rotations`, { activate: 'now', grace_seconds: 60 });
    const { status, headers } = await site.call('/secret.txt', { key });
    assert.equal(status, 200);
    assert.match(headers['keyward-warning'], /was replaced/);
  });

  test('a key of a hundred long scopes gets through', async () => {
    const scopes = ['files:read', ...Array.from({ length: 99 }, (_, i) => `${'r'.repeat(49)}:${'a'.repeat(46)}${String(i).padStart(3, '0')}`)];
    const { key } = await keyward.create({ scopes, owner: '\u{1F600}'.repeat(100) });
    assert.equal((await site.call('/secret.txt', { key })).status, 200);
  });

  test('a proxy\'s key that is not accepted lets nobody in', async () => {
    for (const [proxyKey, expected] of [[core.generateKey({ brand: 'psk' }), 401], [reader.key, 403]]) {
      const misled = await Nginx.start({ keyward: keyward.port, backend: backend.port, proxyKey });
      try {
        assert.equal((await refused({ key: reader.key }, '/secret.txt', misled)).status, expected);
      } finally {
        await misled.stop();
      }
    }
  });
});

describe('behind nginx, with a keyward that says what the test wants', () => {
  let stub;
  let backend;
  let site;
  let next;
  before(async () => {
    stub = await serve(() => next);
    backend = await serve(() => ({ text: 'the backend\n' }));
    site = await Nginx.start({ keyward: stub.port, backend: backend.port, proxyKey: 'the-key-of-the-proxy' });
  });
  after(async () => {
    await site?.stop();
    await backend?.stop();
    await stub?.stop();
  });

  test('every status arrives as keyward meant it, with Retry-After and the request\'s id', async () => {
    const cases = [[400, {}], [401, { 'WWW-Authenticate': 'Bearer realm="keyward"' }], [403, { 'WWW-Authenticate': 'Bearer error="insufficient_scope"' }], [429, { 'Retry-After': '17' }], [503, { 'Retry-After': '3' }]];
    for (const [status, extra] of cases) {
      next = { status, headers: { 'Keyward-Status': String(status), 'Keyward-Request-Id': 'req_1', ...extra } };
      for (const path of ['/secret.txt', '/api/calls']) {
        const answer = await site.call(path, { key: 'any' });
        assert.deepEqual([answer.status, answer.headers['keyward-request-id']], [status, 'req_1'], `${path} ${status}`);
        for (const name of ['Retry-After', 'WWW-Authenticate']) assert.equal(answer.headers[name.toLowerCase()], extra[name], `${path} ${status} ${name}`);
        assert.doesNotMatch(answer.text, /the secret|the backend/);
      }
    }
    assert.equal(backend.seen.length, 0);
  });

  test('an answer that keyward never gives is closed', async () => {
    for (const [status, headers] of [[500, {}], [404, {}], [302, { Location: '/' }], [503, {}], [500, { 'Keyward-Status': '200' }], [429, { 'Keyward-Status': 'x' }]]) {
      next = { status, headers };
      const answer = await site.call('/secret.txt', { key: 'any' });
      assert.ok([500, 503].includes(answer.status), `${status} → ${answer.status}`);
      assert.doesNotMatch(answer.text, /the secret/);
    }
  });

  test('keyward is asked for every call anew, and told nothing but what the verdict is about', async () => {
    next = { headers: { 'Keyward-Status': '200', 'Keyward-Key-Id': 'an-id', 'Cache-Control': 'public, max-age=3600' } };
    stub.seen.length = 0;
    const options = { key: 'any', method: 'POST', body: 'x'.repeat(100_000), headers: { Cookie: 'session=1', Origin: 'https://shop.example', 'X-Forwarded-For': '203.0.113.7', 'Keyward-Proxy': 'a lie', 'Content-Type': 'text/plain' } };
    for (let i = 0; i < 10; i += 1) {
      // A body of known length, and one in chunks.
      const headers = i % 2 ? options.headers : { ...options.headers, 'Transfer-Encoding': 'chunked' };
      assert.equal((await site.call('/api/calls?secret=1', { ...options, headers })).status, 200);
    }
    for (let i = 0; i < 10; i += 1) assert.equal((await site.call('/secret.txt', { ...options, method: 'GET', body: undefined })).status, 200);
    assert.equal(stub.seen.length, 20);
    for (const [i, { url, headers, body }] of stub.seen.entries()) {
      const { host, connection, ...rest } = headers;
      assert.equal(body, '');
      assert.equal(url, `/v1/authorize?scope=${i < 10 ? 'calls:create' : 'files:read'}`);
      assert.deepEqual(rest, { authorization: 'Bearer any', origin: 'https://shop.example', 'x-forwarded-for': '127.0.0.1', 'keyward-proxy': 'the-key-of-the-proxy' });
    }
    // The backend got the bodies.
    assert.ok(backend.seen.slice(-10).every(({ body }) => body.length === 100_000));
    assert.equal((await site.call('/_keyward', { key: 'any' })).status, 404);
  });

  test('1: with keyward down the file stays where it is: 503, and come again', async () => {
    await stub.stop();
    for (const path of ['/secret.txt', '/api/calls']) {
      const { status, headers, text } = await site.call(path, { key: 'any' });
      assert.deepEqual([status, headers['retry-after']], [503, '1']);
      assert.doesNotMatch(text, /the secret|the backend/);
    }
  });
});
