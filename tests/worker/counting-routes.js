// The Worker, watched as by `counting.js`, and its Durable Objects with it: messages to each kind are counted by what they
// ask for. POST /watched {"silent": ["route"]} has those kinds carry out what they are told and never answer,
// {"offset": milliseconds} moves the clock of all of them against the real one.
import { memory } from './memory.js';
import worker, { KeyObject as Key, ProjectObject as Project, RouteObject as Route, WebhookObject as Webhook } from './index.js';

/** Messages so far, by kind of object and by what they ask for. */
const asked = { key: {}, project: {}, route: {}, webhook: {} };
let silent = [];

const real = Date.now;
let offset = 0;
Date.now = () => real() + offset;

const watched = (kind, Class) => class extends Class {
  async handle(message) {
    const parsed = JSON.parse(message);
    // What is said to the objects of webhooks says beside it to whose.
    const said = parsed.what ?? parsed;
    const what = typeof said === 'string' ? said : Object.keys(said)[0];
    asked[kind][what] = (asked[kind][what] ?? 0) + 1;
    const answer = await super.handle(message);
    // Longer than anybody waits; a promise that nothing can settle would have the runtime end the request as hung.
    if (silent.includes(kind)) await scheduler.wait(600_000);
    return answer;
  }
};

export const KeyObject = watched('key', Key);
export const ProjectObject = watched('project', Project);
export const RouteObject = watched('route', Route);
export const WebhookObject = watched('webhook', Webhook);

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/watched') return worker.fetch(request, env, ctx);
    if (request.method === 'POST') ({ silent = [], offset = 0 } = await request.json());
    return Response.json({ asked, memory: memory() });
  },
};
