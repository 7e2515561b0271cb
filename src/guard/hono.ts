/** `keyward/hono`: middleware of Hono. */
import type { Context, MiddlewareHandler } from 'hono';
import { guardian } from './guard.js';
import type { GuardOptions } from './guard.js';
import type { Guarded, Identity, Principal, Source } from './sources.js';

export { deployment, identity, local } from './sources.js';
export type * from './sources.js';

declare module 'hono' {
  interface ContextVariableMap {
    /** The key that calls, behind a guard. Absent where the guard is optional and nothing was presented. */
    keyward: Principal;
    /** Who calls through the route, behind a guard with `identity(…)`. */
    keywardIdentity: Identity;
  }
}

/** What keeps work beside a call alive, where the platform has it: Hono throws where there is none. */
function waitUntilOf(c: Context): ((work: Promise<unknown>) => void) | undefined {
  try {
    const { executionCtx } = c;
    return (work) => executionCtx.waitUntil(work);
  } catch {
    return undefined;
  }
}

/**
 * `app.use('/calls/*', guard(keys, { scopes: ['calls:create'] }))`; then `c.get('keyward').key_id`. Hono does not know where a request comes
 * from: keys that are restricted to addresses or countries are refused unless `ip` and `country` tell.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export function guard<P extends Principal | Identity>(
  source: Source<P>,
  options: GuardOptions<Context> & { optional: true },
): MiddlewareHandler<{ Variables: Partial<Guarded<P>> }>;
export function guard<P extends Principal | Identity>(source: Source<P>, options?: GuardOptions<Context>): MiddlewareHandler<{ Variables: Guarded<P> }>;
export function guard<P extends Principal | Identity>(source: Source<P>, options?: GuardOptions<Context>): MiddlewareHandler {
  const judge = guardian<Context, P>(source, options);
  const name = source.about === 'identity' ? 'keywardIdentity' : 'keyward';
  return async (c, next) => {
    const outcome = await judge({ request: c, url: c.req.url, header: (name) => c.req.header(name), waitUntil: waitUntilOf(c) });
    if (!outcome.admitted) return new Response(outcome.answer.body, outcome.answer);
    if (outcome.principal !== undefined) c.set(name, outcome.principal as never);
    await next();
    for (const [name, value] of outcome.headers) c.header(name, value);
    return undefined;
  };
}
