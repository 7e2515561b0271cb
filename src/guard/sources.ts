/** What every entry exports beside its guard: where verdicts come from, and the types. */
export { deployment } from './deployment.js';
export { identity } from './identity.js';
export { local } from './local.js';
export type { DeploymentOptions } from './deployment.js';
export type { GuardOptions, Refused } from './guard.js';
export type { Identity, IdentityOptions } from './identity.js';
export type { Allowance, CoreVerdict, Facts, LocalOptions } from './local.js';
export type { Problem } from './notice.js';
export type { Limit, Principal, Question, Quota, Source, Verdict } from './verdict.js';

import type { Identity } from './identity.js';
import type { Principal } from './verdict.js';

/** Where a framework's request has the principal: `keyward` after a key, `keywardIdentity` behind a route. */
export type Guarded<P extends Principal | Identity> = P extends Identity ? { keywardIdentity: Identity } : { keyward: Principal };
