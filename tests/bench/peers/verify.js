// What keyward's `POST /v1/keys/verify` does, as it would be written by hand for one Worker: no WebAssembly, no check
// digits, no leases; records in a Map, WebCrypto for the digests. `HASH` picks `sha256` or `hmac`.
const encoder = new TextEncoder();
const fromHex = (hex) => Uint8Array.from(hex.match(/../g), (byte) => parseInt(byte, 16));

/** Records by id, each with the `digest` of its key. */
const records = new Map();
let hmacKey;
const startedAt = Math.floor(Date.now() / 1000);
const requestIds = { prefix: '', next: 0 };

async function setUp(env) {
  if (env.HASH === 'hmac') {
    hmacKey = await crypto.subtle.importKey('raw', fromHex(env.PEPPER), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  }
  requestIds.prefix = `req_${crypto.randomUUID().replaceAll('-', '').slice(0, 12)}`;
  for (const [id, record] of Object.entries(JSON.parse(env.RECORDS))) records.set(id, { ...record, digest: fromHex(record.digest) });
}

const requestId = () => requestIds.prefix + (requestIds.next++).toString(36).padStart(6, '0');

/** The record of a key text, or `undefined` where there is none or the secret is another. */
async function find(key) {
  const record = records.get(key.split('_')[2]?.slice(0, 16));
  if (record === undefined) return undefined;
  const bytes = encoder.encode(key);
  const digest = hmacKey === undefined ? await crypto.subtle.digest('SHA-256', bytes) : await crypto.subtle.sign('HMAC', hmacKey, bytes);
  return crypto.subtle.timingSafeEqual(digest, record.digest) ? record : undefined;
}

function grants(scopes, needed) {
  const [resource, action] = needed.split(':');
  return scopes.some((scope) => scope === needed || scope === `${resource}:*` || scope === `*:${action}` || scope === '*:*');
}

function judge(record, needed) {
  if (record === undefined) return 'NOT_FOUND';
  if (record.status !== 'active') return record.status.toUpperCase();
  if (record.expires_at !== null && Date.now() >= Date.parse(record.expires_at)) return 'EXPIRED';
  if (!needed.every((scope) => grants(record.scopes, scope))) return 'INSUFFICIENT_SCOPE';
  return 'VALID';
}

function answer(status, body) {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', 'Keyward-Request-Id': requestId() },
  });
}

export default {
  async fetch(request, env) {
    if (records.size === 0) await setUp(env);
    const credential = /^Bearer (\S+)$/i.exec(request.headers.get('Authorization') ?? '');
    const caller = credential === null ? undefined : await find(credential[1]);
    const allowed = judge(caller, ['keyward.keys:verify']);
    if (allowed !== 'VALID') return answer(allowed === 'INSUFFICIENT_SCOPE' ? 403 : 401, { code: allowed });

    const { key, scopes = [] } = await request.json();
    const record = await find(key);
    const code = judge(record, scopes);
    const staleness = record?.max_staleness_seconds ?? 5;
    return answer(200, {
      valid: code === 'VALID',
      code,
      key_id: record?.id ?? null,
      name: record?.name ?? null,
      owner: record?.owner ?? null,
      environment: record?.environment ?? null,
      scopes: record?.scopes ?? null,
      expires_at: record?.expires_at ?? null,
      metadata: record?.metadata ?? null,
      limits: record ? [] : null,
      quotas: record ? [] : null,
      freshness: {
        mode: 'lease',
        as_of: new Date(startedAt * 1000).toISOString(),
        max_staleness_seconds: staleness,
        lease_remaining_ms: Math.max(0, startedAt * 1000 + staleness * 1000 - Date.now()),
      },
    });
  },
};
