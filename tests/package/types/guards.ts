// What the types of the guards say to whoever uses them. Compiled by a test, never run.
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import * as onExpress from 'keyward/express';
import * as onFastify from 'keyward/fastify';
import * as onFetch from 'keyward/fetch';
import { deployment, guard, identity, local } from 'keyward/hono';
import type { Identity, Principal } from 'keyward/hono';

const keys = deployment({ url: 'https://keys.example', key: process.env.KEYWARD_KEY });
const route = identity({ url: 'https://keys.example', audience: 'https://api.example' });
const text = (value: string) => value;
const maybe = (value: Principal | undefined) => value?.key_id;

// Hono: wherever the middleware stands.
const app = new Hono();
app.use('/calls/*', guard(keys, { scopes: ['calls:create'], ip: (c) => c.req.header('cf-connecting-ip') }));
app.post('/calls', (c) => c.json({ by: text(c.get('keyward').key_id) }));
app.get('/inline', guard(keys), (c) => c.text(text(c.var.keyward.owner)));
app.get('/route', guard(route), (c) => c.text(text(c.get('keywardIdentity').id)));
app.get('/optional', guard(keys, { optional: true }), (c) => c.text(maybe(c.get('keyward')) ?? ''));
// @ts-expect-error an optional guard may have let nobody in particular pass
app.get('/optional', guard(keys, { optional: true }), (c) => c.text(c.get('keyward').key_id));
// @ts-expect-error there is no such option
guard(keys, { scope: ['calls:create'] });
// @ts-expect-error a guard needs a source
guard({ url: 'https://keys.example' });

// Express
express().use('/calls', onExpress.guard(keys, { scopes: (request) => [request.method === 'GET' ? 'calls:read' : 'calls:create'] }), (request, response) => {
  response.json({ by: maybe(request.keyward), route: request.keywardIdentity?.route });
});

// Fastify
fastify().post('/calls', { onRequest: onFastify.guard(keys, { ip: (request) => request.ip }) }, async (request) => ({ by: maybe(request.keyward) }));
fastify().addHook('onRequest', onFastify.guard(keys));

// Any (Request) => Response
interface Env {
  name: string;
}
export const plain: (request: Request) => Promise<Response> = onFetch.guard(keys, {}, (_, { key_id }) => new Response(text(key_id)));
export const optional = onFetch.guard(keys, { optional: true }, (_, principal) => new Response(maybe(principal) ?? ''));
export const behind = onFetch.guard(route, {}, (_, caller: Identity) => new Response(caller.owner));
export default {
  fetch: onFetch.guard(keys, { scopes: ['calls:create'] }, (_request, { owner }, env: Env, _context: { waitUntil(work: Promise<unknown>): void }) => new Response(text(owner) + env.name)),
};

// A store of one's own: a Map is one.
local({ verifier: { verify: () => ({ valid: false, code: 'NOT_FOUND', key_id: null }) }, store: new Map(), limit: (record, cost) => ({ allowed: record.quotas === undefined || cost > 1 }) });
