const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The text of a body whose very bytes are signed: ECDSA over P-256 and SHA-256, by the key whose point is given, `signature` being r
 * and s of 32 bytes each. `undefined` for more than `most` bytes, `true` for what has not come in so many milliseconds, `false` for
 * no UTF-8, `null` for what never came to its end; a status where the signature is not good (401), or the key is none (503).
 */
export async function readSigned(request, most, patience, point, signature) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, patience, true)));
  try {
    const bytes = await Promise.race([readBytes(request, most).catch(() => null), late]);
    if (!(bytes instanceof Uint8Array)) return bytes;
    const curve = { name: 'ECDSA', namedCurve: 'P-256' };
    const key = await crypto.subtle.importKey('raw', point, curve, false, ['verify']).catch(() => null);
    if (key === null) return 503;
    if (!(await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, bytes))) return 401;
    try {
      return decoder.decode(bytes);
    } catch {
      return false;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** The bytes of a body of at most `most` of them; `undefined` for a longer one, which is not read to its end. */
async function readBytes(request, most) {
  if (Number(request.headers.get('content-length')) > most) return undefined;
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.byteLength;
    if (length > most) return undefined;
    chunks.push(chunk);
  }
  const all = new Uint8Array(length);
  for (const chunk of chunks.reverse()) all.set(chunk, (length -= chunk.byteLength));
  return all;
}
