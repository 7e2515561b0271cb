// Bodies through routes, in both directions: large, slow, endless, broken off, and with the secret in them in pieces; upstreams
// that fail and clients that leave. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { root } from '../../.ci/setup.mjs';
import { Deployment, faulty } from './harness.mjs';
import { Raw, SECRET, Upstream, closedPort, least, route, until } from './upstream.mjs';

const wrappers = ['counting-routes.js', 'memory.js'].map((file) => join(root, 'tests', 'worker', file));
const MEGABYTE = 1 << 20;
/** What the process of the Worker may grow by while a body passes that would not fit: buffers, and garbage not yet collected. */
const SLACK = 80 * MEGABYTE;

describe('streams', () => {
  let keyward;
  let upstream;
  let good;
  let dead;
  before(async () => {
    upstream = await Upstream.start();
    dead = `http://127.0.0.1:${await closedPort()}`;
    keyward = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_UPSTREAMS: `${upstream.origin},${dead}` } });
    good = await keyward.create();
    const quick = { timeout_seconds: 1, idle_seconds: 1 };
    await Promise.all([
      route(keyward, 'plain', least(upstream)),
      route(keyward, 'bare', least(upstream, { response: { redact: false } })),
      route(keyward, 'quick', least(upstream, quick)),
      route(keyward, 'quickbare', least(upstream, { ...quick, response: { redact: false } })),
      route(keyward, 'small', least(upstream, { request: { max_bytes: 100_000 }, response: { max_bytes: MEGABYTE } })),
      route(keyward, 'large', least(upstream, { request: { max_bytes: 200 * MEGABYTE } })),
      route(keyward, 'dead', least(dead)),
    ]);
  });
  after(async () => {
    await keyward.stop();
    await upstream.stop();
  });

  const get = (path) => keyward.call('GET', path, undefined, { key: good.key });
  const brief = ({ status, body }) => [status, body?.code];
  const head = (method, path, lines = []) => `${method} ${path} HTTP/1.1\r\nHost: keys.example\r\nAuthorization: Bearer ${good.key}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
  const chunk = (bytes) => `${bytes.length.toString(16)}\r\n${bytes}\r\n`;
  /** The body of an answer in chunks, so far. */
  const arrived = ({ text }) => {
    let rest = text.slice(text.indexOf('\r\n\r\n') + 4);
    let body = '';
    for (let at; (at = rest.indexOf('\r\n')) > 0; ) {
      const size = parseInt(rest, 16);
      body += rest.slice(at + 2, at + 2 + size);
      rest = rest.slice(at + 4 + size);
    }
    return body;
  };
  const whole = ({ text }) => text.endsWith('\r\n0\r\n\r\n');
  /** Memory of the Worker's process, in bytes. */
  const resident = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${keyward.running.process.pid}/status`, 'utf8'))[1]) * 1024;
  /** Does the work; answers by how much the process grew at most, and the linear memory of the instance. */
  const grown = async (work) => {
    const linear = async () => (await keyward.call('GET', '/watched')).body.memory;
    const [before, linearBefore] = [resident(), await linear()];
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, resident())), 20);
    try {
      await work();
    } finally {
      clearInterval(watch);
    }
    return { process: most - before, linear: (await linear()) - linearBefore };
  };
  /** A hundred megabytes that no two of which are alike, one at a time. */
  function* megabytes(count = 100) {
    const block = Buffer.alloc(MEGABYTE, 'the quick brown fox jumps over the lazy dog; ');
    for (let i = 0; i < count; i += 1) {
      block.writeUInt32BE(i, 0);
      block.writeUInt32BE(i * 7919, MEGABYTE - 4);
      yield block;
    }
  }
  const send = async (stream, blocks) => {
    for (const block of blocks) if (!stream.write(Buffer.from(block))) await once(stream, 'drain');
    stream.end();
  };
  const digest = async (stream) => {
    const hash = createHash('sha256');
    let length = 0;
    for await (const bytes of stream) {
      hash.update(bytes);
      length += bytes.length;
    }
    return [length, hash.digest('hex')];
  };
  const expected = () => {
    const hash = createHash('sha256');
    for (const block of megabytes()) hash.update(block);
    return [100 * MEGABYTE, hash.digest('hex')];
  };

  for (const [form, echo] of [['as it is', SECRET], ['as base64', Buffer.from(`Authorization: Bearer ${SECRET}`).toString('base64')], ['escaped', [...SECRET].map((char) => `\\u00${char.charCodeAt(0).toString(16)}`).join('')]]) {
    test(`24: the secret ${form}, split over two chunks at any position, is redacted, and what was before it has arrived`, async () => {
      const raws = [];
      const at = form === 'as it is' ? Array.from({ length: echo.length + 1 }, (_, i) => i) : Array.from({ length: Math.floor(echo.length / 5) }, (_, i) => i * 5 + 1);
      for (const position of at) {
        const path = `/split/${form.length}/${position}`;
        let go;
        const gone = new Promise((resolve) => (go = resolve));
        upstream.at(path, async (response) => {
          response.writeHead(200, { 'Content-Type': 'text/plain' });
          response.write(`<p>before</p>\n${echo.slice(0, position)}`);
          await gone;
          response.write(echo.slice(position));
          response.end('\n<p>after</p>');
        });
        raws.push((async () => {
          const raw = new Raw(keyward, head('GET', `/r/plain${path}`));
          await raw.until((raw) => arrived(raw).includes('<p>before</p>\n'));
          go();
          await raw.until(whole);
          raw.destroy();
          return [position, arrived(raw)];
        })());
      }
      for (const [position, body] of await Promise.all(raws)) {
        assert.match(body, /^<p>before<\/p>\n[A-Za-z0-9+/=]*\[redacted\][A-Za-z0-9+/=]*\n<p>after<\/p>$/, `at ${position}: ${body}`);
        assert.ok(!body.includes(echo.slice(3, -3)));
      }
    });
  }

  test('24: the secret, a byte at a time, and in the midst of many megabytes, is redacted', async () => {
    upstream.at('/bytes', async (response) => {
      response.writeHead(200);
      for (const byte of `a${SECRET}b`) {
        response.write(byte);
        await new Promise(setImmediate);
      }
      response.end();
    });
    assert.equal((await get('/r/plain/bytes')).text, 'a[redacted]b');
    const filler = Buffer.alloc(65_536 * 3 + 7, 'x');
    upstream.at('/midst', async (response) => {
      for (let i = 0; i < 40; i += 1) {
        response.write(filler);
        response.write(SECRET);
      }
      response.end();
    });
    const { text } = await get('/r/plain/midst');
    assert.equal(text, `${filler}[redacted]`.repeat(40));
  });

  test('24: the beginning of a secret that never becomes one is not kept back', async () => {
    upstream.at('/almost', (response) => {
      response.write('a');
      response.end(SECRET.slice(0, -1));
    });
    assert.equal((await get('/r/plain/almost')).text, `a${SECRET.slice(0, -1)}`);
  });

  test('24: inside an answer that is compressed though it was asked not to be, the secret is found', async () => {
    const text = `before ${SECRET} after`;
    for (const [encoding, body] of [['gzip', gzipSync(text)], ['br', brotliCompressSync(text)], ['GZIP', gzipSync(text)], ['Br', brotliCompressSync(text)], [' gzip ', gzipSync(text)], ['x-gzip', gzipSync(text)], ['gzip,', gzipSync(text)]]) {
      for (const length of [true, false]) {
        upstream.at('/zipped', (response) => {
          response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': encoding, ...(length ? { 'Content-Length': body.length } : {}) });
          response.write(body.subarray(0, 9));
          response.end(body.subarray(9));
        });
        const raw = await new Raw(keyward, head('GET', '/r/plain/zipped', ['Accept-Encoding: gzip, br', 'Connection: close'])).end();
        assert.equal(upstream.seen.at(-1).headers['accept-encoding'], 'identity');
        assert.ok(!raw.text.includes('sk_up'), encoding);
        if (encoding !== 'gzip' && encoding !== 'br' && raw.status === 502) continue;
        assert.equal(raw.status, 200, encoding);
        assert.doesNotMatch(raw.text, /^content-encoding/im);
        assert.equal(raw.text.includes('chunked') ? arrived(raw) : raw.text.split('\r\n\r\n')[1], 'before [redacted] after', `${encoding}, ${length}`);
      }
    }
    upstream.at('/lying', (response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(text));
    const lying = await new Raw(keyward, head('GET', '/r/plain/lying', ['Connection: close'])).end();
    assert.ok(!lying.text.includes(SECRET) && !whole(lying), 'what says that it is compressed and is not breaks off');
    upstream.at('/zipped', (response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(text)));
    assert.equal((await get('/r/bare/zipped')).text, text);
  });

  test('24, 26: a few bytes that are megabytes when they are unpacked are held to the cap', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * MEGABYTE));
    upstream.at('/bomb', (response) => response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Length': bomb.length }).end(bomb));
    const growth = await grown(async () => {
      const raw = await new Raw(keyward, head('GET', '/r/small/bomb', ['Connection: close'])).end();
      assert.ok(!whole(raw) && raw.received.length < 2 * MEGABYTE, String(raw.received.length));
    });
    assert.ok(growth.process < SLACK && growth.linear <= MEGABYTE, JSON.stringify(growth));
  });

  test('a range is not asked for where what comes is redacted, and is where it is not', async () => {
    const headers = { range: 'bytes=3-9' };
    await keyward.call('GET', '/r/plain/range', undefined, { key: good.key, headers });
    assert.equal(upstream.seen.at(-1).headers.range, undefined, 'a part of a secret is not found');
    upstream.at('/range', (response) => response.writeHead(206, { 'Content-Range': 'bytes 3-9/20' }).end('1234567'));
    const answer = await keyward.call('GET', '/r/bare/range', undefined, { key: good.key, headers });
    assert.deepEqual([answer.status, answer.headers.get('content-range'), answer.text, upstream.seen.at(-1).headers.range], [206, 'bytes 3-9/20', '1234567', 'bytes=3-9']);
  });

  test('HEAD, 204 and 304 have no body, and HEAD tells the length', async () => {
    upstream.at('/length', (response) => response.writeHead(200, { 'Content-Length': 1234, 'Content-Type': 'text/plain' }).end());
    const raw = await new Raw(keyward, head('HEAD', '/r/plain/length', ['Connection: close'])).end();
    assert.match(raw.text, /^HTTP\/1.1 200 [^]*content-length: 1234\r\n[^]*\r\n\r\n$/i);
    for (const status of [204, 304]) {
      upstream.at('/none', (response) => response.writeHead(status).end());
      const answer = await get('/r/plain/none');
      assert.deepEqual([answer.status, answer.text], [status, '']);
    }
  });

  test('26: an upload that is longer than the route takes is refused: unsent where its length is told, cut off where it is not', async () => {
    const before = upstream.seen.length;
    const told = await new Raw(keyward, head('POST', '/r/small/up', ['Content-Length: 100001'])).head();
    assert.match(told.text, /^HTTP\/1.1 413 [^]*BODY_TOO_LARGE/);
    told.destroy();
    assert.equal(upstream.seen.length, before);
    const taken = await new Raw(keyward, head('POST', '/r/small/up', ['Content-Length: 100000', 'Connection: close']) + 'x'.repeat(100_000)).end();
    assert.equal(taken.status, 200);
    assert.equal((await upstream.seen.at(-1).body()).length, 100_000);
    let gone;
    upstream.at('/endless', (_, seen) => {
      gone = seen.gone;
      seen.request.resume();
    });
    const growth = await grown(async () => {
      const raw = new Raw(keyward, head('POST', '/r/small/endless', ['Transfer-Encoding: chunked']));
      const block = chunk('x'.repeat(16_384));
      for (let i = 0; i < 2_000 && raw.status === 0 && !raw.closed; i += 1) await Promise.race([raw.write(block), raw.until(({ status }) => status > 0).catch(() => {})]);
      // Whoever goes on sending may have the connection ended before he reads why.
      await raw.until(({ status, closed }) => status > 0 || closed).catch(() => {});
      if (raw.status > 0) assert.equal(raw.status, 413);
      raw.destroy();
      await gone;
    });
    assert.ok(growth.process < SLACK && growth.linear <= MEGABYTE, JSON.stringify(growth));
  });

  test('26: an upload that stops is given up after the route\'s idle time, and the upstream is told', async () => {
    for (const [path, lines] of [['/stops/chunked', ['Transfer-Encoding: chunked']], ['/stops/length', ['Content-Length: 200000']]]) {
      let gone;
      upstream.at(path, (_, seen) => {
        gone = seen.gone;
        seen.request.resume();
      });
      const start = Date.now();
      const raw = new Raw(keyward, head('POST', `/r/quick${path}`, lines) + (path.endsWith('chunked') ? chunk('hello') : 'hello'));
      await raw.head();
      assert.match(raw.text, /^HTTP\/1.1 408 [^]*BODY_TIMEOUT/, path);
      assert.ok(Date.now() - start >= 950 && Date.now() - start < 5_000, `${Date.now() - start} ms`);
      await gone;
      raw.destroy();
    }
  });

  test('26: a slow upload passes while something comes of it within the idle time, however long it takes', async () => {
    const raw = new Raw(keyward, head('POST', '/r/quick/trickle', ['Transfer-Encoding: chunked', 'Connection: close']));
    for (let i = 0; i < 5; i += 1) {
      await raw.write(chunk('drop'));
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    await raw.write('0\r\n\r\n');
    await raw.end();
    assert.equal(raw.status, 200);
    assert.equal((await upstream.of('/trickle')[0].body()).toString(), 'drop'.repeat(5));
  });

  test('26: a short body that stops, and one that a rule looks into, are given up, too', async () => {
    await route(keyward, 'looks', least(upstream, { timeout_seconds: 1, idle_seconds: 1, request: { numbers: { pointer: '/to' } } }));
    for (const [name, status] of [['quick', /^HTTP\/1.1 (408|504) /], ['looks', /^HTTP\/1.1 408 /]]) {
      const raw = new Raw(keyward, head('POST', `/r/${name}/short`, ['Content-Type: application/json', 'Content-Length: 100']) + '{"to":');
      let timer;
      await Promise.race([raw.head(), new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${name}: nothing was answered in 6 s`)), 6_000)))]);
      clearTimeout(timer);
      assert.match(raw.text, status, name);
      raw.destroy();
    }
  });

  test('26: an upstream that does not take what is uploaded is the upstream\'s fault, not the client\'s', async () => {
    let gone;
    upstream.at('/deaf', (_, seen) => {
      gone = seen.gone;
      seen.request.pause();
    });
    const raw = new Raw(keyward, head('POST', '/r/quick/deaf', [`Content-Length: ${10 * MEGABYTE}`]));
    raw.socket.write(Buffer.alloc(10 * MEGABYTE));
    await raw.head();
    assert.match(raw.text, /^HTTP\/1.1 504 /);
    // Only who reads sees the end of a connection.
    upstream.of('/deaf')[0].request.resume();
    await gone;
    raw.destroy();
  });

  test('26: an upstream that answers before it has the whole upload is answered from, and not cut off for the upload\'s time', async () => {
    upstream.at('/early', (response, seen) => {
      seen.request.resume();
      response.writeHead(409, { 'Content-Type': 'text/plain', 'Content-Length': 5 }).end('early');
    });
    const raw = new Raw(keyward, head('POST', '/r/quick/early', ['Content-Length: 200000']) + 'x'.repeat(70_000));
    await raw.until(({ text }) => text.endsWith('early'));
    assert.equal(raw.status, 409);
    raw.destroy();
  });

  test('26: an answer that is longer than the route lets through is refused where its length is told, and breaks off where it is not', async () => {
    upstream.at('/long/told', async (response) => {
      response.writeHead(200, { 'Content-Length': 2 * MEGABYTE });
      response.write('x'.repeat(1000));
    });
    assert.deepEqual(brief(await get('/r/small/long/told')), [502, 'UPSTREAM_TOO_LARGE']);
    await upstream.of('/long/told')[0].gone;
    let sent = 0;
    upstream.at('/long/endless', async (response) => {
      const block = Buffer.alloc(65_536, 'y');
      while (!response.destroyed) {
        sent += block.length;
        if (!response.write(block)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
    });
    const growth = await grown(async () => {
      const raw = await new Raw(keyward, head('GET', '/r/small/long/endless')).end();
      assert.equal(raw.status, 200);
      assert.ok(!whole(raw), 'nobody takes it for whole');
      assert.ok(arrived(raw).length <= MEGABYTE, String(arrived(raw).length));
      await upstream.of('/long/endless')[0].gone;
    });
    assert.ok(sent < 30 * MEGABYTE, `the upstream sent ${sent}`);
    assert.ok(growth.process < SLACK && growth.linear <= MEGABYTE, JSON.stringify(growth));
  });

  test('26: a client that reads nothing holds up the upstream, and no memory', async () => {
    let sent = 0;
    upstream.at('/unread', async (response) => {
      const block = Buffer.alloc(65_536, 'z');
      while (!response.destroyed && sent < 200 * MEGABYTE) {
        sent += block.length;
        if (!response.write(block)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
    });
    for (const name of ['plain', 'bare']) {
      sent = 0;
      const growth = await grown(async () => {
        const raw = new Raw(keyward, head('GET', `/r/${name}/unread`));
        await raw.head();
        raw.socket.pause();
        let before;
        do {
          before = sent;
          await new Promise((resolve) => setTimeout(resolve, 400));
        } while (before !== sent);
        assert.ok(sent < 40 * MEGABYTE, `${name}: ${sent} bytes are under way`);
        raw.destroy();
        await upstream.of('/unread').at(-1).gone;
      });
      assert.ok(growth.process < SLACK && growth.linear <= MEGABYTE, `${name}: ${JSON.stringify(growth)}`);
    }
  });

  for (const name of ['large', 'bare']) {
    test(`26: 100 MB pass down unchanged, in flat memory, ${name === 'bare' ? 'as they are' : 'with an eye on the secret'}`, async () => {
      upstream.at('/down', (response) => {
        response.writeHead(200, name === 'bare' ? { 'Content-Length': 100 * MEGABYTE } : {});
        return send(response, megabytes());
      });
      const growth = await grown(async () => {
        const asked = request(`${keyward.url}/r/${name}/down`, { headers: { authorization: `Bearer ${good.key}` } }).end();
        const [response] = await once(asked, 'response');
        assert.equal(response.headers['content-length'], name === 'bare' ? String(100 * MEGABYTE) : undefined);
        assert.deepEqual(await digest(response), expected());
      });
      assert.ok(growth.process < SLACK && growth.linear <= MEGABYTE, JSON.stringify(growth));
    });
  }

  for (const length of [true, false]) {
    test(`26: 100 MB pass up unchanged, in flat memory, ${length ? 'with their length told' : 'in chunks'}`, async () => {
      let received;
      upstream.at('/up', async (response, seen) => {
        received = [await digest(seen.request), seen.headers['content-length']];
        response.end('done');
      });
      const growth = await grown(async () => {
        const asked = request(`${keyward.url}/r/large/up`, { method: 'POST', headers: { authorization: `Bearer ${good.key}`, ...(length ? { 'content-length': 100 * MEGABYTE } : {}) } });
        const answered = once(asked, 'response');
        await send(asked, megabytes());
        const [response] = await answered;
        response.resume();
        assert.equal(response.statusCode, 200);
      });
      assert.deepEqual(received, [expected(), length ? String(100 * MEGABYTE) : undefined]);
      assert.ok(growth.process < SLACK && growth.linear <= MEGABYTE, JSON.stringify(growth));
    });
  }

  for (const name of ['plain', 'bare']) {
    test(`server-sent events pass as they come, each before the next is sent, ${name === 'bare' ? 'without' : 'with'} redaction`, async () => {
      let next;
      let stream;
      upstream.at('/events', (response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.flushHeaders();
        stream = response;
        next?.();
      });
      const begun = new Promise((resolve) => (next = resolve));
      const raw = new Raw(keyward, head('GET', `/r/${name}/events`));
      await begun;
      await raw.head();
      assert.match(raw.text, /content-type: text\/event-stream/i);
      let all = '';
      for (const event of ['data: hello\n\n', `data: ${'x'.repeat(100_000)}\n\n`, 'event: tick\ndata: {"a":"\\u0073"}\n\n', ': ping\n\n', ...Array.from({ length: 50 }, (_, i) => `id: ${i}\ndata: s\n\n`)]) {
        stream.write(event);
        all += event;
        await raw.until((raw) => arrived(raw) === all);
      }
      stream.end(`data: ${SECRET}\n\n`);
      await raw.until(whole);
      assert.equal(arrived(raw), `${all}data: ${name === 'bare' ? SECRET : '[redacted]'}\n\n`);
      raw.destroy();
    });
  }

  describe('faults', () => {
    test('8: an upstream that does not answer in time is 504, is asked once, and its connection is closed', async () => {
      upstream.at('/silent', (_, seen) => seen.request.resume());
      for (const [method, body] of [['GET', undefined], ['POST', '{}'], ['PUT', 'x'.repeat(100_000)]]) {
        const before = upstream.of('/silent').length;
        const start = Date.now();
        const answer = await keyward.call(method, '/r/quick/silent', body, { key: good.key });
        assert.deepEqual(brief(answer), [504, 'UPSTREAM_TIMEOUT'], method);
        assert.ok(Date.now() - start >= 950 && Date.now() - start < 5_000);
        const [seen, ...more] = upstream.of('/silent').slice(before);
        await seen.gone;
        assert.equal(more.length, 0);
      }
    });

    test('8: an upstream that refuses the connection, resets it, answers nonsense or half a head is 502, and is asked once', async () => {
      assert.deepEqual(brief(await get('/r/dead/x')), [502, 'UPSTREAM_UNREACHABLE']);
      const ends = {
        reset: (response) => response.socket.resetAndDestroy(),
        closed: (response) => response.socket.end(),
        nonsense: (response) => response.socket.end('SSH-2.0-OpenSSH_9.6\r\n\r\n'),
        'half a head': (response) => response.socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/pl'),
        'two lengths': (response) => response.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'),
      };
      for (const [name, end] of Object.entries(ends)) {
        const path = `/ends/${name.replaceAll(' ', '-')}`;
        upstream.at(path, end);
        for (const method of ['GET', 'POST']) {
          // The second call finds a connection that was used before: whoever repeats blindly does it then.
          assert.equal((await get('/r/plain/warm')).status, 200);
          const before = upstream.of(path).length;
          const answer = await keyward.call(method, `/r/plain${path}`, method === 'POST' ? '{}' : undefined, { key: good.key });
          assert.equal(answer.status, 502, `${name}, ${method}: ${answer.text}`);
          assert.ok(['UPSTREAM_UNREACHABLE', 'UPSTREAM_BROKE_OFF'].includes(answer.body.code), name);
          assert.equal(answer.headers.get('content-type'), 'application/problem+json');
          assert.equal(upstream.of(path).length - before, 1, `${name}, ${method}`);
        }
      }
    });

    test('8: half an answer is 502 where it is short, and breaks off where it is long: nobody takes it for whole', async () => {
      upstream.at('/half/short', (response) => {
        response.writeHead(200, { 'Content-Length': 100, 'Content-Type': 'application/json' });
        response.write('{"half":');
        response.socket.end();
      });
      assert.deepEqual(brief(await get('/r/plain/half/short')), [502, 'UPSTREAM_BROKE_OFF']);
      for (const [form, headers] of [['chunks', {}], ['length', { 'Content-Length': MEGABYTE }]]) {
        for (const name of ['plain', 'bare']) {
          const path = `/half/${form}/${name}`;
          upstream.at(path, (response) => {
            response.writeHead(200, headers);
            response.write('x'.repeat(70_000), () => response.socket.resetAndDestroy());
          });
          const raw = await new Raw(keyward, head('GET', `/r/${name}${path}`)).end();
          const told = Number(/content-length: (\d+)/i.exec(raw.text)?.[1] ?? NaN);
          if (raw.status === 200) assert.ok(Number.isNaN(told) ? !whole(raw) : raw.text.length < told, `${form}, ${name}`);
          else assert.equal(raw.status, 502);
          assert.equal(upstream.of(path).length, 1);
        }
      }
      assert.equal((await get('/r/plain/after')).status, 200);
    });

    test('8, 26: an answer that stops is given up after the route\'s idle time', async () => {
      upstream.at('/stops/short', (response) => {
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('x');
      });
      assert.deepEqual(brief(await get('/r/quick/stops/short')), [502, 'UPSTREAM_BROKE_OFF']);
      await upstream.of('/stops/short')[0].gone;
      for (const name of ['quick', 'quickbare']) {
        for (const headers of [{}, { 'Content-Length': MEGABYTE }]) {
          const path = `/stops/${name}/${Object.keys(headers).length}`;
          upstream.at(path, (response) => {
            response.writeHead(200, headers);
            response.write('x\n');
          });
          const start = Date.now();
          const raw = await new Raw(keyward, head('GET', `/r/${name}${path}`)).end();
          assert.ok(!whole(raw));
          assert.ok(Date.now() - start >= 950 && Date.now() - start < 6_000, `${Date.now() - start} ms`);
          await upstream.of(path)[0].gone;
        }
      }
    });

    test('8: a call that fails is charged once', async () => {
      const limit = { limit: 4, window_seconds: 86_400 };
      await route(keyward, 'charged', least(upstream, { limit, timeout_seconds: 1 }));
      await route(keyward, 'chargeddead', least(dead, { limit }));
      upstream.at('/charged/reset', (response) => response.socket.resetAndDestroy());
      upstream.at('/charged/silent', () => {});
      const statuses = [];
      for (const path of ['reset', 'silent', 'reset', 'ok', 'ok']) statuses.push((await get(`/r/charged/charged/${path}`)).status);
      assert.deepEqual(statuses, [502, 504, 502, 200, 429]);
      const refused = [];
      for (let i = 0; i < 5; i += 1) refused.push((await get('/r/chargeddead/x')).status);
      assert.deepEqual(refused, [502, 502, 502, 502, 429]);
    });

    test('9: a client that goes away while an answer comes down ends the upstream\'s call', async () => {
      for (const name of ['plain', 'bare']) {
        const path = `/leaves/down/${name}`;
        let sent = 0;
        upstream.at(path, async (response) => {
          response.writeHead(200, { 'Content-Type': 'text/plain' });
          while (!response.destroyed) {
            response.write(`tick ${sent}\n`);
            sent += 1;
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        });
        const raw = new Raw(keyward, head('GET', `/r/${name}${path}`));
        await raw.until((raw) => arrived(raw).includes('tick 3'));
        raw.destroy();
        await upstream.of(path)[0].gone;
      }
    });

    test('9: a client that leaves while nothing comes, of which bare workerd does not tell, ends the upstream\'s call with the idle time', async () => {
      const path = '/leaves/quiet';
      upstream.at(path, (response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write('data: once\n\n');
      });
      const raw = new Raw(keyward, head('GET', `/r/quick${path}`));
      await raw.until((raw) => arrived(raw).includes('once'));
      raw.destroy();
      await upstream.of(path)[0].gone;
    });

    test('9: a client that goes away while it uploads ends the upstream\'s call', async () => {
      for (const [path, lines, begin] of [['/leaves/up/chunked', ['Transfer-Encoding: chunked'], chunk('hello')], ['/leaves/up/length', ['Content-Length: 200000'], 'hello']]) {
        upstream.at(path, (_, seen) => seen.request.resume());
        const raw = new Raw(keyward, head('POST', `/r/plain${path}`, lines) + begin);
        const seen = await upstream.head(path);
        raw.destroy();
        await seen.gone;
      }
    });

    test('9: where bare workerd does not tell that a client left before the answer began, the call ends with its time', async () => {
      upstream.at('/leaves/before', () => {});
      const raw = new Raw(keyward, head('GET', '/r/quick/leaves/before'));
      const seen = await upstream.head('/leaves/before');
      raw.destroy();
      await seen.gone;
      assert.equal(upstream.of('/leaves/before').length, 1);
    });

    const watched = async (body) => (await keyward.call(body ? 'POST' : 'GET', '/watched', body, { key: null })).body.asked;

    test('1: while the authority is silent, leases of keys and routes serve to their end, then calls are 503 and reach no upstream', async () => {
      const relaxed = await keyward.create({ max_staleness_seconds: 60 });
      const ask = async () => {
        const { status, body } = await keyward.call('GET', '/r/plain/lease', undefined, { key: relaxed.key });
        return status === 200 ? 200 : `${status} ${body.code}`;
      };
      assert.equal(await ask(), 200);
      await watched({ silent: ['key', 'project', 'route'] });
      try {
        const start = Date.now();
        const answers = [];
        let end;
        while (Date.now() - start < 12_000 && answers.filter((answer) => answer !== 200).length < 5) {
          const before = upstream.of('/lease').length;
          const answer = await ask();
          if (answer === 200) end = Date.now();
          else assert.equal(upstream.of('/lease').length, before);
          answers.push(answer);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        const first = answers.findIndex((answer) => answer !== 200);
        assert.deepEqual([...new Set(answers.slice(first))], ['503 UNAVAILABLE'], 'and never open again');
        assert.ok(first > 10, `${first} calls were served from leases`);
        assert.ok(end - start <= 5_500, `${end - start} ms`);
      } finally {
        await watched({});
      }
      await until(async () => (await ask()) === 200);
    });

    test('1: while the object that counts is silent, calls that it must count are 503, asked of it once each, and never forwarded', async () => {
      await route(keyward, 'counted', least(upstream, { limit: { limit: 100, window_seconds: 60 } }));
      const ask = () => keyward.call('GET', '/r/counted/counted', undefined, { key: good.key });
      assert.equal((await ask()).status, 200);
      const { route: { Spend, spend = Spend } } = await watched({ silent: ['route'] });
      try {
        const answers = await Promise.all(Array.from({ length: 10 }, ask));
        for (const answer of answers) assert.deepEqual(brief(answer), [503, 'UNAVAILABLE']);
        assert.equal(upstream.of('/counted').length, 1);
        const now = (await watched()).route;
        assert.ok((now.spend ?? now.Spend) - spend <= 10, 'no storm of repeats');
        assert.equal((await get('/r/plain/uncounted')).status, 200, 'what need not be counted goes on');
      } finally {
        await watched({});
      }
      assert.equal((await ask()).status, 200);
    });
  });

  test('6: a panic ends the calls under way whose answers are looked into, without a word of the secret; the others and the next go on', async () => {
    const beside = await Deployment.start({ code: faulty, env: { KEYWARD_LOCAL_UPSTREAMS: upstream.origin } });
    try {
      const { key } = await beside.create();
      await Promise.all([route(beside, 'plain', least(upstream)), route(beside, 'bare', least(upstream, { response: { redact: false } }))]);
      const open = async (name) => {
        const path = `/beside/${name}`;
        let stream;
        upstream.at(path, (response) => {
          stream = response;
          response.write('data: hello\n\n');
        });
        const raw = new Raw(beside, `GET /r/${name}${path} HTTP/1.1\r\nHost: keys.example\r\nAuthorization: Bearer ${key}\r\n\r\n`);
        await raw.until((raw) => arrived(raw).startsWith('data: hello'));
        return { raw, stream };
      };
      const [watched, unwatched] = [await open('plain'), await open('bare')];
      const { status } = await beside.call('POST', '/v1/keys', { name: 'fault: panic in handler', owner: 'o' });
      assert.equal(status, 500);
      for (const { stream } of [watched, unwatched]) stream.end(`data: ${SECRET}\n\n`);
      await watched.raw.end();
      assert.ok(!whole(watched.raw) && !watched.raw.text.includes(SECRET.slice(0, 8)), watched.raw.text);
      await unwatched.raw.until(whole);
      assert.equal(arrived(unwatched.raw), `data: hello\n\ndata: ${SECRET}\n\n`);
      upstream.at('/beside/next', (response) => response.end(SECRET));
      const next = await beside.call('GET', '/r/plain/beside/next', undefined, { key });
      assert.deepEqual([next.status, next.text], [200, '[redacted]']);
    } finally {
      await beside.stop();
    }
  });
});
