/**
 * Stands where keyward and the SMS provider are while the page "Exposed or relayed" stands alone: answers as they do, in the page, and
 * sends nothing. Its rules are those that the page tells of; they are a picture of the real ones, which run with `npm start`.
 */

/** Where the provider would be. The name is reserved for examples. */
export const PROVIDER = 'https://sms.example';
const COUNTRIES = ['+49', '+43', '+41', '+44', '+1'];
/** Codes to one number that the route lets pass. */
const MOST = 3;
const CALLS = 5;
const SESSION_SECONDS = 300;
/** How long an answer takes, and a message from one state to the next, in milliseconds. */
const AWAY = 250;
const PACE = 500;

/** A call as the provider's log has it. */
export interface Received {
  at: string;
  key: { name: string; last4: string } | null;
  method: string;
  path: string;
  status: number;
  to: string | null;
  headers: Record<string, string>;
}

const sent = new Map<string, number>();
const messages = new Map<string, string>();

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const hex = (bytes: number) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');
const problem = (status: number, code: string, headers: Record<string, string> = {}) => Response.json({ code }, { status, headers });

/** The states of a message, as they come. */
function events(id: string): Response {
  const states = messages.get(id)?.endsWith('00') ? ['queued', 'sent', 'failed'] : ['queued', 'sent', 'delivered'];
  const body = new ReadableStream<Uint8Array>({
    async start(stream) {
      for (const status of states) {
        stream.enqueue(new TextEncoder().encode(`data: ${JSON.stringify({ status })}\n\n`));
        await pause(PACE);
      }
      stream.close();
    },
  });
  return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
}

/** The provider: whoever shows its key is served. */
function provider(method: string, path: string, key: Received['key'], headers: Record<string, string>, body: { to?: string } | undefined): Response {
  const id = method === 'POST' ? `msg_${hex(8)}` : path.split('/').at(-2)!;
  if (method === 'POST') messages.set(id, body!.to!);
  const status = method === 'POST' ? 202 : 200;
  const received: Received = { at: new Date().toISOString(), key, method, path: `/api/sms${path}`, status, to: body?.to ?? messages.get(id) ?? null, headers };
  parent.postMessage({ received }, location.origin);
  return method === 'POST' ? Response.json({ id, status: 'queued' }, { status }) : events(id);
}

/** `fetch`, of a world that is only this page. */
export async function simulated(method: string, url: string, credential: string | null, body?: unknown): Promise<Response> {
  await pause(AWAY);
  const message = body as { to?: string } | undefined;
  const direct = `${PROVIDER}/api/sms`;
  if (url.startsWith(direct)) return provider(method, url.slice(direct.length), { name: 'exposed-shop', last4: credential!.slice(-4) }, { origin: location.origin, 'user-agent': navigator.userAgent }, message);
  if (url.startsWith('/v1/relay/sessions')) {
    return Response.json({ token: `kws_simulated_${hex(24)}`, calls: CALLS, expires_at: new Date(Date.now() + SESSION_SECONDS * 1000).toISOString() }, { status: 201 });
  }
  const to = message?.to;
  if (to !== undefined) {
    if (!COUNTRIES.some((country) => to.startsWith(country))) return problem(403, 'DESTINATION_NOT_ALLOWED');
    const count = (sent.get(to) ?? 0) + 1;
    if (count > MOST) return problem(429, 'RATE_LIMITED', { 'Retry-After': '3600' });
    sent.set(to, count);
  }
  // What keyward calls with is in no page: here it is not even made up.
  return provider(method, url.replace(/^\/r\/sms/, ''), { name: 'server-prod-2026q3', last4: '····' }, {}, message);
}
