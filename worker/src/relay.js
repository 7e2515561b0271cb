// Forwarding: bodies go through as streams of the runtime, and only what must be looked at is. What may pass, and with which
// credential, was decided before (`relay.rs`) and is handed over as a plan.
import { parsePhoneNumberFromString } from 'libphonenumber-js/core';
import metadata from 'libphonenumber-js/metadata.min.json';

/** Bodies of at most so many bytes are taken whole, which is cheaper than a stream of them. */
const SMALL = 65_536;
/** How much of a body is read at a time: the runtime's own readers take 4 KB, and each crossing costs as much as 100 KB. */
const PIECE = 65_536;
/** Content encodings that the runtime decodes when a body is read: in this spelling alone. */
const DECODED = new Set(['identity', 'gzip', 'br']);

/** Makes a plan of its JSON: names are looked up, not searched. `redaction` removes echoes, or is absent. */
export function makePlan(json, redaction) {
  const plan = JSON.parse(json);
  return { ...plan, drop: new Set(plan.drop), pass: new Set(plan.pass), redaction };
}

/** What ended a call, and the code that `relay.rs` makes a problem of. */
class Ended extends Error {}

/** A timer that ends a call when a step takes too long. */
class Patience {
  #timer;
  controller = new AbortController();
  /** Whether the upstream's answer has begun: what becomes of the upload then no longer ends the call. */
  answered = false;
  arm(seconds, code) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.controller.abort(new Ended(code)), seconds * 1000);
  }
  rest() {
    clearTimeout(this.#timer);
  }
}

/**
 * Forwards a request along the first of its attempts `[url, plan, headers]`, and along the second where the upstream answers
 * the first with 401 and the body can be sent again.
 *
 * @param body what was read of the body already, or `undefined`
 * @param added headers of the answer, name and value in turn
 * @returns `[response, ...statuses]`, or a code in the response's place
 */
export async function forward(request, body, attempts, added) {
  const statuses = [];
  try {
    const [, plan] = attempts[0];
    let held = body ?? null;
    let streamed = false;
    if (body === undefined && request.body !== null) {
      const length = lengthOf(request.headers);
      if (length > plan.mostRequest) return ['TOO_LARGE'];
      if (length <= SMALL && attempts.length > 1) held = await request.arrayBuffer();
      else streamed = true;
    }
    for (const [i, [url, plan, headers]] of attempts.entries()) {
      const response = await send(request, streamed ? undefined : held, url, plan, headers);
      statuses.push(response.upstream.status);
      if (response.upstream.status === 401 && i + 1 < attempts.length && !streamed) {
        response.patience.rest();
        await response.upstream.body?.cancel();
        continue;
      }
      return [await answer(request, response, plan, added), ...statuses];
    }
  } catch (error) {
    return [error instanceof Ended ? error.message : 'UNREACHABLE', ...statuses];
  }
}

/** A body's length where it is told, else NaN, which is neither more nor less than anything. */
function lengthOf(headers) {
  const length = headers.get('content-length');
  return length === null ? NaN : Number(length);
}

async function send(request, held, url, plan, extra) {
  const headers = new Headers();
  const named = nominated(request.headers.get('connection'));
  for (const [name, value] of request.headers) {
    const read = name.includes('_') ? name.replaceAll('_', '-') : name;
    if (plan.drop.has(read) || named.has(name) || plan.dropPrefixes.some((prefix) => read.startsWith(prefix))) continue;
    headers.append(name, value);
  }
  for (const [name, value] of plan.set) headers.set(name, value);
  for (let i = 0; i < extra.length; i += 2) headers.set(extra[i], extra[i + 1]);
  const patience = new Patience();
  const { signal } = patience.controller;
  request.signal?.addEventListener('abort', () => patience.controller.abort(new Ended('CLIENT_GONE')));
  let sent = held;
  if (held === undefined) {
    const length = lengthOf(request.headers);
    // A small body comes at once, or the time for the whole call is over.
    sent = length <= SMALL ? request.body : upload(request.body, length, plan, patience);
  }
  if (sent === held || sent === request.body) patience.arm(plan.timeout, 'TIMEOUT');
  let upstream;
  try {
    upstream = await fetch(url, { method: request.method, headers, body: sent, redirect: 'manual', signal });
  } catch (error) {
    patience.rest();
    throw signal.aborted ? signal.reason : error;
  }
  patience.answered = true;
  patience.rest();
  return { upstream, patience };
}

/** Header names that `Connection` makes part of the connection (RFC 9110 §7.6.1). */
const nominated = (connection) => new Set(connection?.toLowerCase().split(',').map((name) => name.trim()));

/** A body on its way up: no more than its cap, no longer without a byte than the plan allows. */
function upload(body, length, plan, patience) {
  const { readable, writable } = Number.isNaN(length) ? new IdentityTransformStream() : new FixedLengthStream(length);
  const reader = body.getReader({ mode: 'byob' });
  const writer = writable.getWriter();
  const end = (reason) => {
    if (!patience.answered) patience.controller.abort(reason);
    reader.cancel(reason).catch(() => {});
    writer.abort(reason).catch(() => {});
  };
  const arm = (seconds, code) => patience.answered || patience.arm(seconds, code);
  (async () => {
    let seen = 0;
    let buffer = new ArrayBuffer(PIECE);
    for (;;) {
      arm(plan.idle, 'TIMEOUT_BODY');
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) break;
      buffer = value.buffer;
      seen += value.byteLength;
      if (seen > plan.mostRequest) throw new Ended('TOO_LARGE');
      arm(plan.idle, 'TIMEOUT');
      await writer.write(value);
    }
    await writer.close();
    arm(plan.timeout, 'TIMEOUT');
  })().catch((error) => end(error instanceof Ended ? error : new Ended('BODY_BROKE_OFF')));
  return readable;
}

/** What the client is answered of the upstream's answer. */
async function answer(request, { upstream, patience }, plan, added) {
  const refuse = async (code) => {
    patience.rest();
    await upstream.body?.cancel();
    throw new Ended(code);
  };
  const { status } = upstream;
  if (status >= 300 && status < 400 && status !== 304 && !plan.redirects) await refuse('REDIRECT');
  const encoding = upstream.headers.get('content-encoding');
  if (encoding !== null && !DECODED.has(encoding)) await refuse('ENCODING');
  const headers = new Headers();
  const named = nominated(upstream.headers.get('connection'));
  for (const [name, value] of upstream.headers) {
    if (plan.pass.has(name) && !named.has(name)) headers.append(name, (value.length >= 8 && plan.redaction?.text(value)) || value);
  }
  const length = encoding === null ? lengthOf(upstream.headers) : NaN;
  if (request.method !== 'HEAD') headers.delete('content-length');
  for (let i = 0; i < added.length; i += 2) headers.append(added[i], added[i + 1]);
  const init = { status, headers };
  if (upstream.body === null || request.method === 'HEAD') {
    patience.rest();
    return new Response(null, init);
  }
  if (length > plan.mostResponse) await refuse('ANSWER_TOO_LARGE');
  if (length <= SMALL) {
    patience.arm(plan.idle, 'BROKE_OFF');
    try {
      const whole = new Uint8Array(await upstream.arrayBuffer());
      return new Response(plan.redaction?.whole(whole) ?? whole, init);
    } catch {
      throw new Ended('BROKE_OFF');
    } finally {
      patience.rest();
    }
  }
  const body = download(upstream.body, plan, patience);
  // Redaction may change the length; else it is told, as the upstream told it.
  return new Response(plan.redaction === undefined && length >= 0 ? body.pipeThrough(new FixedLengthStream(length)) : body, init);
}

/** A body on its way down: redacted, no more than its cap, no longer without a byte than the plan allows. Pulled by the client. */
function download(body, plan, patience) {
  const reader = body.getReader({ mode: 'byob' });
  const redacting = plan.redaction?.stream();
  let seen = 0;
  let buffer;
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      for (;;) {
        patience.arm(plan.idle, 'BROKE_OFF');
        const { done, value } = await reader.read(new Uint8Array(buffer ?? new ArrayBuffer(PIECE)));
        patience.rest();
        if (done) {
          const rest = redacting?.end();
          redacting?.free();
          if (rest?.byteLength > 0) controller.enqueue(rest);
          controller.close();
          controller.byobRequest?.respond(0);
          return;
        }
        seen += value.byteLength;
        if (seen > plan.mostResponse) {
          await reader.cancel();
          throw new Ended('ANSWER_TOO_LARGE');
        }
        // What is passed on as it is takes its buffer along.
        buffer = redacting === undefined ? undefined : value.buffer;
        const passed = redacting === undefined ? value : redacting.push(value);
        if (passed.byteLength > 0) {
          controller.enqueue(passed);
          return;
        }
      }
    },
    cancel(reason) {
      patience.rest();
      patience.controller.abort(reason);
      return reader.cancel(reason).catch(() => {});
    },
  });
}

/** The country of a number in E.164 by its numbering plan, its calling code where it has none; `undefined` where no such number can be. */
export function placeOf(number) {
  const parsed = parsePhoneNumberFromString(number, metadata);
  return parsed?.isValid() ? (parsed.country ?? `+${parsed.countryCallingCode}`) : undefined;
}

const ED25519 = { name: 'Ed25519' };
/** Signing keys by name. */
const signers = new Map();

/** The Ed25519 key of a seed. WebCrypto takes private keys in PKCS #8: for this algorithm a constant, then the seed (RFC 8410 §7). */
function importSeed(seed) {
  const prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
  return crypto.subtle.importKey('pkcs8', Uint8Array.of(...prefix, ...seed), ED25519, true, ['sign']);
}

/** The public key of a seed, base64url, as a JWK has it in `x` (RFC 8037 §2). */
export async function publicKey(seed) {
  return (await crypto.subtle.exportKey('jwk', await importSeed(seed))).x;
}

/** The signature of a text under the seed of that name. Promises are not kept: requests must not share them. */
export async function sign(name, seed, text) {
  if (!signers.has(name)) signers.set(name, await importSeed(seed));
  return new Uint8Array(await crypto.subtle.sign(ED25519, signers.get(name), new TextEncoder().encode(text)));
}

/** What Turnstile says when it did not look at the token. */
const NOT_LOOKED_AT = new Map([['missing-input-secret', 'SECRET'], ['invalid-input-secret', 'SECRET'], ['internal-error', 'DOWN']]);

/** Whether Turnstile accepts the token of a visitor on a page of this host, or why it cannot say: `SECRET`, `DOWN`. */
export async function passesTurnstile(url, secret, response, remoteip, host) {
  const body = new URLSearchParams({ secret, response, ...(remoteip === undefined ? {} : { remoteip }) });
  try {
    const answer = await fetch(url, { method: 'POST', body, redirect: 'manual', signal: AbortSignal.timeout(5_000) });
    if (!answer.ok) return 'DOWN';
    const { success, hostname, 'error-codes': codes = [] } = await answer.json();
    return NOT_LOOKED_AT.get(codes.find((code) => NOT_LOOKED_AT.has(code))) ?? (success === true && hostname === host);
  } catch {
    return 'DOWN';
  }
}
