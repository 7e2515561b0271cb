import { waitUntil } from 'cloudflare:workers';

/** Reads a body of at most `most` bytes; `undefined` for a longer one, which is not read to its end; `false` for no UTF-8. */
export function readBody(request, most) {
  const length = request.headers.get('content-length');
  if (length !== null) return Number(length) > most ? Promise.resolve(undefined) : request.text().then(whole);
  return request.body === null ? Promise.resolve('') : readChunks(request.body, most);
}

/** As `readBody`; `true` where it has not come in so many milliseconds. */
export async function readBodyWithin(request, most, patience) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, patience, true)));
  try {
    return await Promise.race([readBody(request, most), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What is no UTF-8 is decoded to U+FFFD and would be stored as that. To look for it afterwards is cheaper than a decoder that
 * fails; nobody writes that character itself.
 */
const whole = (text) => !text.includes('\uFFFD') && text;

async function readChunks(body, most) {
  const decoder = new TextDecoder();
  let text = '';
  let seen = 0;
  for await (const chunk of body) {
    seen += chunk.byteLength;
    if (seen > most) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return whole(text + decoder.decode());
}

/** What `answer(request, body)` answers once the body is there; the body is `null` where it never came to its end. */
export function withBody(request, most, answer) {
  return readBody(request, most).then((text) => answer(request, text), () => answer(request, null));
}

/**
 * Response parts that are used again and again; only the request id changes. A `Headers` object is copied by the runtime
 * natively, where a plain one would be converted header by header for each response.
 */
export function prepare(status, pairs) {
  const headers = new Headers();
  for (let i = 0; i < pairs.length; i += 2) headers.set(pairs[i], pairs[i + 1]);
  return { status, headers };
}

let prefix = '';

/** How the request ids of this isolate begin. */
export function setPrefix(text) {
  prefix = text;
}

export function respond(prepared, number, body) {
  prepared.headers.set('Keyward-Request-Id', prefix + number.toString(36).padStart(6, '0'));
  return new Response(body ?? null, prepared);
}

/**
 * The client's address and country, from the platform alone. Bare workerd puts the peer (address:port) into `cf.clientIp`,
 * and then every header is the client's own word; Cloudflare sets `CF-Connecting-IP` itself and no `clientIp`.
 */
export function client(request) {
  const cf = request.cf ?? {};
  if (cf.clientIp !== undefined) return [cf.clientIp, undefined];
  return [request.headers.get('cf-connecting-ip') ?? undefined, cf.country];
}

/** Whether a proxy's key comes with a request. In one crossing and as no text, since every call to `/v1/authorize` asks. */
export function isProxied(request) {
  return request.headers.has('keyward-proxy');
}

/** The static asset that a request names, or `undefined`. Who wants a page has one that says that there is none. */
export async function asset(env, request) {
  const response = await env.ASSETS?.fetch(request);
  if (response?.status !== 404) return response;
  if (!request.headers.get('accept')?.includes('text/html')) return undefined;
  const page = await env.ASSETS.fetch(new URL('/404', request.url));
  return page.ok ? new Response(page.body, { status: 404, headers: page.headers }) : undefined;
}

/** Its text. Asked for by address alone: the answer to a conditional request would have none. */
export async function assetText(env, { url }) {
  return (await asset(env, new Request(url)))?.text();
}

/** Sends `message` to the object `name` of a namespace and awaits its answer, for at most `most` milliseconds. */
export async function ask(env, namespace, name, message, most) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${namespace} did not answer within ${most} ms`)), most);
  });
  try {
    return await Promise.race([env[namespace].getByName(name).handle(message), silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets `work` go on after the answer of the request that began it, and after its client went away. */
export function background(work) {
  waitUntil(work);
}

/** One row for the data set that `KEYWARD_ANALYTICS` is bound to, if it is. */
export function analyse(env, index, outcome, route, country, calls) {
  try {
    env.KEYWARD_ANALYTICS?.writeDataPoint({ indexes: [index], blobs: [outcome, route, country], doubles: [calls] });
  } catch (error) {
    console.error(JSON.stringify({ event: 'analytics', message: String(error) }));
  }
}

/** Resolves after so many milliseconds. */
export function pause(milliseconds) {
  return scheduler.wait(milliseconds);
}
