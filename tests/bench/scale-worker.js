// The Worker with two back doors for the bench of scale, so that a million keys need not be made one by one: events of
// made-up keys go to the project's object as any key's object sends them, and leases of made-up keys are answered as any
// key's object answers them. Both are copies of what a real key's object said, under other names; what the Worker does
// with them is its own.
import { memory } from './memory.js';
import worker, { KeyObject, ProjectObject as Project } from './index.js';

export { KeyObject };

/** The last message by which an object of a key told the project of events. */
let delivery;
/** What the index is filled with copies of: the event of the key `id`, with its number, as a text. */
let event = {};

export class ProjectObject extends Project {
  handle(message) {
    if (message.startsWith('{"deliver":')) delivery = message;
    return super.handle(message);
  }
}

/** The one event of a key that was created just now. */
function eventOf(id) {
  const all = JSON.parse(delivery).deliver.events.filter(([, { record }]) => record.id === id);
  if (all.length !== 1) throw new Error(`the last delivery holds ${all.length} events of the key to be copied`);
  return { id, text: JSON.stringify(all[0]) };
}

/** The key that made-up keys are copies of: `{id, hmac}`. */
let model;
/** Made-up keys: the digest of each by its id. */
const made = new Map();
/** What the model's object answered, by the kind of question. */
const answers = new Map();

/** The object of a made-up key: says of it what the model's object says of the model. */
function standIn(keys, id) {
  return {
    async handle(message) {
      const kind = /\w+/.exec(message)[0];
      if (!answers.has(kind)) answers.set(kind, await keys.getByName(model.id).handle(message));
      return answers.get(kind).replaceAll(model.id, id).replaceAll(model.hmac, made.get(id));
    },
  };
}

/** The namespace of keys, with the made-up ones among them. */
const withMade = (keys) => ({ getByName: (id) => (made.has(id) ? standIn(keys, id) : keys.getByName(id)) });

const doors = {
  /** Puts copies of the key that was created last into the index: `{of: {id, name, owner}, copies: [{id, name, owner}]}`. */
  async '/scale/fill'({ of, copies }, env) {
    if (event.id !== of.id) event = eventOf(of.id);
    const copy = (to) => ['id', 'name', 'owner'].reduce((text, field) => text.replaceAll(of[field], to[field]), event.text);
    await env.PROJECT.getByName('project').handle(`{"deliver":{"events":[${copies.map(copy).join(',')}]}}`);
    return {};
  },

  /** Makes keys up, as copies of one that there is: `{of: {id, hmac}, keys: [{id, hmac}]}`. */
  async '/scale/make'({ of, keys }) {
    if (model?.id !== of.id) {
      model = of;
      answers.clear();
    }
    for (const { id, hmac } of keys) made.set(id, hmac);
    return {};
  },

  async '/scale/memory'() {
    return { bytes: memory() };
  },
};

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (!Object.hasOwn(doors, pathname)) return worker.fetch(request, { ...env, KEYS: withMade(env.KEYS) }, ctx);
    return Response.json(await doors[pathname](await request.json(), env));
  },
};
