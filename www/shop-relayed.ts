/** The relayed shop: asks keyward for a session of a few calls and minutes, and calls the provider through keyward with it. */
import { accepted, call, openShop, Refused } from './shop.ts';

const ROUTE = 'sms';

/** What one code takes: the message, and the events that follow it. */
const CALLS = 2;

interface Session {
  token: string;
  expires_at: string;
  calls: number;
}

/** Kept in this variable and nowhere else: it is worth a few messages from this page, for minutes. */
let session: Session | undefined;

async function sessionFor(calls: number): Promise<Session> {
  if (session === undefined || session.calls < calls || Date.parse(session.expires_at) < Date.now() + 5000) {
    const response = await call('POST', `/v1/relay/sessions?route=${ROUTE}`, null);
    if (response.status === 404) throw new Refused('keyward has no route to the SMS provider here. “npm start” in the checkout sets it up.');
    session = await (await accepted(response)).json() as Session;
  }
  return session;
}

async function relay(method: string, path: string, calls: number, body?: unknown): Promise<Response> {
  const current = await sessionFor(calls);
  current.calls -= 1;
  const response = await call(method, `/r/${ROUTE}${path}`, `Bearer ${current.token}`, body);
  // What is over, at the other end, is not tried again: the next call gets a new one.
  if (response.status === 401) session = undefined;
  return response;
}

openShop({
  name: 'keyward',
  send: (message) => relay('POST', '/messages', CALLS, message),
  follow: (id) => relay('GET', `/messages/${id}/events`, 1),
});
