// The Worker, watched: storage calls are counted (each message to a Durable Object is one), and the linear memory of its
// WebAssembly instance, where an edge keeps all that it knows of keys, is measured.
import { memory } from './memory.js';
import worker, { KeyObject as Key, ProjectObject as Project } from './index.js';

// Reports of use, and the news and totals of it that go on to the index, come in their own time: they are no part of a call.
const calls = { key: 0, project: 0 };
const isPart = (message) => !['{"report"', '{"deliver"', '{"tell"'].some((begin) => message.startsWith(begin));

export class KeyObject extends Key {
  handle(message) {
    calls.key += isPart(message);
    return super.handle(message);
  }
}

export class ProjectObject extends Project {
  handle(message) {
    calls.project += isPart(message);
    return super.handle(message);
  }
}

export default {
  fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname !== '/watched') return worker.fetch(request, env, ctx);
    return Response.json({ calls, memory: memory() });
  },
};
