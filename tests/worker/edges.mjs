// Five edges and one authority in one process: the real Worker six times, each with leases of its own, on one clock and
// one set of Durable Objects. Changes are made at the authority; the edges are asked. Connections that are kept open make
// it fast enough to ask a hundred thousand times.
import { existsSync, mkdtempSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../.ci/setup.mjs';
import { newDeployment } from '../../src/cli/worker/secrets.mjs';
import { parseAnswer, requestBytes } from '../bench/load.mjs';
import { Deployment, core } from './harness.mjs';

export const EDGES = 5;
/** How long a connection may hear nothing of an answer. */
const STALL_MS = 15_000;
/** Storage in memory, where the system has a place for that: how fast a disk is is not what is asked here. */
const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const faultyEdge = join(root, 'tests', 'worker', 'faulty-edge.js');

/** A deployment whose own socket is the authority's, with edges beside it. */
export class Edges extends Deployment {
  /**
   * @param options.code folder of another build of the Worker
   * @param options.env bindings to add
   * @param options.faulty whether the edges' lines to the authority can be made bad; else they are the Worker as it is
   */
  static async start({ code, env = {}, faulty = true } = {}) {
    const made = newDeployment(core);
    const deployment = new Edges();
    deployment.adminKey = made.adminKey;
    deployment.env = { ...made.env, ...env };
    const wrappers = faulty ? [faultyEdge] : [];
    deployment.names = Array.from({ length: EDGES }, (_, i) => `edge${i + 1}`);
    deployment.options = { code, edges: deployment.names.map((name) => ({ name, code, wrappers })) };
    deployment.state = mkdtempSync(join(folder, 'keyward-edges-'));
    await deployment.run();
    // The first management key is adopted before an edge can be in the way.
    await deployment.call('GET', '/v1/keys');
    return deployment;
  }

  /** The port of the edge with this number, from 0. */
  edge(number) {
    return this.running.ports[this.names[number]];
  }

  /** Has `fault` (see faulty-edge.js) befall an edge's messages; answers how many were sent before, by key id. */
  async fault(number, fault = {}) {
    const response = await fetch(`http://127.0.0.1:${this.edge(number)}/faults`, { method: 'POST', body: JSON.stringify(fault) });
    return (await response.json()).asked;
  }

  /** A connection to the edge with this number. */
  line(number) {
    return new Line(this.edge(number));
  }
}

/** One connection that is kept open; one call at a time. */
export class Line {
  #port;
  #socket;
  #received = '';
  /** The call that waits for its answer. */
  #waiting;

  constructor(port) {
    this.#port = port;
  }

  /**
   * Sends the bytes of a request and resolves to `{status, body, start, end}`: the body as text (one character a byte), and
   * the milliseconds of this process's clock before the first byte was sent and after the last one came.
   */
  call(bytes) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject, start: Date.now() };
      this.#socket ??= this.#open();
      this.#socket.write(bytes);
    });
  }

  close() {
    this.#socket?.destroy();
  }

  #open() {
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true }).setEncoding('latin1').setTimeout(STALL_MS);
    const fail = (error) => {
      const waiting = this.#waiting;
      this.#waiting = this.#socket = undefined;
      socket.destroy();
      waiting?.reject(error);
    };
    socket.on('error', fail).on('close', () => fail(new Error('the server closed the connection')));
    socket.on('timeout', () => fail(new Error(`no answer in ${STALL_MS / 1000} s`)));
    return socket.on('data', (chunk) => {
      const end = Date.now();
      this.#received += chunk;
      try {
        const answer = parseAnswer(this.#received);
        if (answer === undefined) return;
        if (answer.end !== this.#received.length) throw new Error('more was answered than was asked for');
        const { resolve, start } = this.#waiting;
        this.#received = '';
        this.#waiting = undefined;
        resolve({ status: answer.status, body: answer.body, start, end });
      } catch (error) {
        fail(error);
      }
    });
  }
}

/** The bytes of a verification that `caller` asks for. `fresh`: the authority itself is to give the verdict. */
export const verification = (caller, question, { fresh = false } = {}) => requestBytes({
  method: 'POST',
  path: '/v1/keys/verify',
  headers: { Authorization: `Bearer ${caller}`, 'Content-Type': 'application/json', ...(fresh ? { 'Cache-Control': 'no-cache' } : {}) },
  body: JSON.stringify(question),
});

/** The bytes of an authorization. */
export const authorization = (key, { scopes = [], origin } = {}) => requestBytes({
  path: `/v1/authorize${scopes.length ? `?${scopes.map((scope) => `scope=${scope}`).join('&')}` : ''}`,
  headers: { Authorization: `Bearer ${key}`, ...(origin === undefined ? {} : { Origin: origin }) },
});
