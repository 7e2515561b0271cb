/** `keyward/fetch`: a guard around any `(Request) => Response`: Cloudflare Workers, Deno, Bun, service workers. */
import { guardian } from './guard.js';
import type { GuardOptions } from './guard.js';
import type { Source } from './verdict.js';

export { deployment, identity, local } from './sources.js';
export type * from './sources.js';

/** Answers a request of a caller whom the guard has admitted. What the platform hands over besides (`env`, `ctx`) comes after. */
export type Handler<P, A extends unknown[]> = (request: Request, principal: P, ...rest: A) => Response | Promise<Response>;

/** The platform's own context among what it hands over, by its `waitUntil`. */
function waitUntilOf(rest: readonly unknown[]): ((work: Promise<unknown>) => void) | undefined {
  const context = rest.find((value) => typeof (value as { waitUntil?: unknown } | null | undefined)?.waitUntil === 'function');
  return context === undefined ? undefined : (work) => (context as { waitUntil(work: Promise<unknown>): void }).waitUntil(work);
}

/**
 * `guard(keys, { scopes: ['calls:create'] }, (request, keyward, ...rest) => …)`. A `Request` says nothing of where it comes from: keys that
 * are restricted to addresses or countries are refused unless `ip` and `country` tell.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export function guard<P, A extends unknown[] = []>(
  source: Source<P>,
  options: GuardOptions<Request> & { optional: true },
  handler: Handler<P | undefined, A>,
): (request: Request, ...rest: A) => Promise<Response>;
export function guard<P, A extends unknown[] = []>(
  source: Source<P>,
  options: GuardOptions<Request>,
  handler: Handler<P, A>,
): (request: Request, ...rest: A) => Promise<Response>;
export function guard<P, A extends unknown[]>(
  source: Source<P>,
  options: GuardOptions<Request>,
  handler: Handler<P, A>,
): (request: Request, ...rest: A) => Promise<Response> {
  const judge = guardian<Request, P>(source, options);
  return async (request, ...rest) => {
    const header = (name: string) => request.headers.get(name) ?? undefined;
    const outcome = await judge({ request, url: request.url, header, waitUntil: waitUntilOf(rest) });
    if (!outcome.admitted) return new Response(outcome.answer.body, outcome.answer);
    // Undefined only where the guard is optional, and then the handler's type says so.
    const response = await handler(request, outcome.principal as P, ...rest);
    if (outcome.headers.length === 0) return response;
    const told = new Response(response.body, response);
    for (const [name, value] of outcome.headers) told.headers.set(name, value);
    return told;
  };
}
