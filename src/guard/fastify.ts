/** `keyward/fastify`: a hook of Fastify. */
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import { sent } from './credential.js';
import { guardian } from './guard.js';
import type { GuardOptions } from './guard.js';
import type { Identity, Principal, Source } from './sources.js';

export { deployment, identity, local } from './sources.js';
export type * from './sources.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that calls, behind a guard. Absent where the guard is optional and nothing was presented. */
    keyward?: Principal;
    /** Who calls through the route, behind a guard with `identity(…)`. */
    keywardIdentity?: Identity;
  }
}

/**
 * `app.post('/calls', { onRequest: guard(keys, { scopes: ['calls:create'] }) }, …)`, or `app.addHook('onRequest', guard(keys))`; then
 * `request.keyward`. The caller's address is `request.ip`, which is right behind a proxy only where `trustProxy` says which.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export function guard<P extends Principal | Identity>(source: Source<P>, options?: GuardOptions<FastifyRequest>): onRequestAsyncHookHandler {
  const judge = guardian<FastifyRequest, P>(source, options);
  const name = source.about === 'identity' ? 'keywardIdentity' : 'keyward';
  return async (request, reply) => {
    const outcome = await judge({ request: request as FastifyRequest, url: request.originalUrl, header: (name) => sent(request.raw.rawHeaders, name), ip: request.ip });
    for (const [name, value] of outcome.admitted ? outcome.headers : outcome.answer.headers) reply.header(name, value);
    // As bytes: to a text Fastify adds a charset, which problem documents do not have.
    if (!outcome.admitted) return reply.code(outcome.answer.status).send(Buffer.from(outcome.answer.body));
    if (outcome.principal !== undefined) Object.assign(request, { [name]: outcome.principal });
    return undefined;
  };
}
