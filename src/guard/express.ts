/** `keyward/express`: middleware of Express. */
import type { Request, RequestHandler } from 'express';
import { sent } from './credential.js';
import { guardian } from './guard.js';
import type { GuardOptions } from './guard.js';
import type { Identity, Principal, Source } from './sources.js';

export { deployment, identity, local } from './sources.js';
export type * from './sources.js';

declare global {
  namespace Express {
    interface Request {
      /** The key that calls, behind a guard. Absent where the guard is optional and nothing was presented. */
      keyward?: Principal;
      /** Who calls through the route, behind a guard with `identity(…)`. */
      keywardIdentity?: Identity;
    }
  }
}

/**
 * `app.use('/calls', guard(keys, { scopes: ['calls:create'] }))`; then `req.keyward`. The caller's address is `req.ip`, which is right
 * behind a proxy only where the setting `trust proxy` says which.
 *
 * @throws {TypeError} for options that cannot be meant
 */
export function guard<P extends Principal | Identity>(source: Source<P>, options?: GuardOptions<Request>): RequestHandler {
  const judge = guardian<Request, P>(source, options);
  const name = source.about === 'identity' ? 'keywardIdentity' : 'keyward';
  return async (req, res, next) => {
    const outcome = await judge({ request: req as Request, url: req.originalUrl, header: (name) => sent(req.rawHeaders, name), ip: req.ip });
    for (const [name, value] of outcome.admitted ? outcome.headers : outcome.answer.headers) res.setHeader(name, value);
    if (!outcome.admitted) {
      res.status(outcome.answer.status).end(outcome.answer.body);
      return;
    }
    if (outcome.principal !== undefined) Object.assign(req, { [name]: outcome.principal });
    next();
  };
}
