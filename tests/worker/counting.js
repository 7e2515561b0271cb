// The Worker with its storage calls counted (each message to a Durable Object is one), and its garbage collected on demand.
import worker, { KeyObject as Key, ProjectObject as Project } from './index.js';

const calls = { key: 0, project: 0 };

export class KeyObject extends Key {
  handle(message) {
    calls.key += 1;
    return super.handle(message);
  }
}

export class ProjectObject extends Project {
  handle(message) {
    calls.project += 1;
    return super.handle(message);
  }
}

export default {
  fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === '/collect') globalThis.gc();
    return pathname === '/calls' || pathname === '/collect' ? Response.json(calls) : worker.fetch(request, env, ctx);
  },
};
