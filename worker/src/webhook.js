/** Bytes of an answer that are read, so that its connection can be used again; of a longer one the rest is not awaited. */
const MOST = 4096;
/** How long the rest of an answer is waited for, in milliseconds. What it says counts for nothing. */
const REST_MS = 300;

/**
 * Sends a message to a receiver. Redirects are not followed.
 *
 * @param mark given back with what comes of it
 * @returns `[mark, status, retryAfter, milliseconds]`: in the place of the status what kept it from coming; seconds, or -1
 */
export async function post(mark, url, headers, body, most) {
  const begun = Date.now();
  const controller = new AbortController();
  let timer = setTimeout(() => controller.abort(), most);
  let status;
  let retryAfter = -1;
  try {
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: controller.signal });
    ({ status } = response);
    retryAfter = seconds(response.headers.get('retry-after'));
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(), REST_MS);
    await skim(response.body);
  } catch {
    status ??= controller.signal.aborted ? 'TIMEOUT' : 'UNREACHABLE';
  } finally {
    clearTimeout(timer);
  }
  return [mark, status, retryAfter, Date.now() - begun];
}

/** Seconds that a `Retry-After` asks for (RFC 9110 §10.2.3), or -1. */
function seconds(text) {
  if (text === null) return -1;
  const asked = /^\d{1,9}$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - Date.now()) / 1000);
  return asked >= 0 ? Math.min(asked, 0xffffffff) : -1;
}

async function skim(body) {
  if (body === null) return;
  const reader = body.getReader();
  for (let left = MOST; left > 0; ) {
    const { done, value } = await reader.read();
    if (done) return;
    left -= value.byteLength;
  }
  await reader.cancel();
}
