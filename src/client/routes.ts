/** Routes to upstreams, their secrets, and sessions of browsers. */
import type {
  BeginSessionBody, ChangedRoute, PutRouteBody, RetireRouteSecretQuery, Route, RouteUse, Routes, Session, SetRouteSecretBody,
} from './api.js';
import { json, type CallOptions, type Send } from './send.js';

/** Where a secret of an upstream stands. */
export type Slot = 'current' | 'next';

/** As the query of the document, with a truth for `force`. */
export interface RetireOptions extends Omit<RetireRouteSecretQuery, 'force'> {
  force?: boolean | undefined;
}

export const routes = (send: Send) => ({
  /** All routes; there are at most a hundred. */
  list: async (options?: CallOptions) => (await json<Routes>(send('listRoutes', options))).data,
  /** One route; its secrets are never shown. */
  get: (name: string, options?: CallOptions) => json<Route>(send('getRoute', { path: { name }, ...options })),
  /** Writes a route. Another upstream origin empties its secrets. */
  put: (name: string, body: PutRouteBody, options?: CallOptions) => json<ChangedRoute>(send('putRoute', { path: { name }, body, ...options })),
  /** Removes a route; its sessions end with it. Where an answer was lost and it is asked for again, that is a `ROUTE_NOT_FOUND`. */
  delete: (name: string, options?: CallOptions) => json<ChangedRoute>(send('deleteRoute', { path: { name }, ...options })),
  /** What was seen of each secret, and which limits were run into. */
  use: (name: string, options?: CallOptions) => json<RouteUse>(send('getRouteUse', { path: { name }, ...options })),
  secrets: {
    /** Sets the upstream's secret, or shifts traffic to the next one. It is never shown. */
    set: (name: string, slot: Slot, body: SetRouteSecretBody, options?: CallOptions) => json<ChangedRoute>(send('setRouteSecret', { path: { name, slot }, body, hide: [body.secret], ...options })),
    /** Retires a secret: of `current`, `next` takes its place. Refused with its use (`problem.use`) while it carries traffic, unless forced. */
    retire: (name: string, slot: Slot, { force, ...query }: RetireOptions = {}, options?: CallOptions) =>
      json<ChangedRoute>(send('retireRouteSecret', { path: { name, slot }, query: { ...query, ...(force ? { force: 'true' } : {}) }, ...options })),
  },
});

export const sessions = (send: Send) => ({
  /** Begins a session of a browser for a route: with a backend's key, or without one from a page of a listed origin. */
  begin: (route: string, body?: BeginSessionBody, options?: CallOptions) => json<Session>(send('beginSession', { query: { route }, body, hide: [body?.turnstile], ...options })),
});
