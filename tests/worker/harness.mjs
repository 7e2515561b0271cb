// A deployment for one test file: the real Worker in workerd with its storage on disk, and a client that speaks to it.
// Everything is on loopback and ends with the test.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import * as core from '../../dist/index.js';
import { root } from '../../.ci/setup.mjs';
import { startKeyward } from '../../.ci/workerd.mjs';
import { newDeployment } from '../../src/cli/worker/secrets.mjs';

export { core };
export const faulty = join(root, 'build', 'worker-faulty');
export const watched = ['counting.js', 'memory.js'].map((file) => join(root, 'tests', 'worker', file));

/** What was started and may still run: a test that is ended for its time leaves nothing behind. */
const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A running deployment. */
export class Deployment {
  /**
   * @param options.env bindings to add or, as `undefined`, to leave out
   * @param options.code folder of another build of the Worker
   * @param options.wrappers modules that watch the Worker
   * @param options.pages folder of pages other than build/www
   * @param options.places how many edges a page reaches
   */
  static async start({ env = {}, code, wrappers, pages, places } = {}) {
    const made = newDeployment(core);
    const deployment = new Deployment();
    deployment.adminKey = made.adminKey;
    deployment.env = Object.fromEntries(Object.entries({ ...made.env, ...env }).filter(([, value]) => value !== undefined));
    deployment.options = { code, wrappers, pages, places };
    deployment.state = mkdtempSync(join(tmpdir(), 'keyward-test-'));
    await deployment.run();
    return deployment;
  }

  async run() {
    this.running = await startKeyward({ state: this.state, env: this.env, ...this.options });
    running.add(this.running.process);
    this.url = this.running.url;
    this.port = this.running.ports.http;
  }

  /** Ends the process with `signal` and starts another on the same storage. */
  async restart(signal = 'SIGTERM') {
    await this.kill(signal);
    await this.run();
  }

  async kill(signal) {
    this.running.process.kill(signal);
    await this.running.exited;
    running.delete(this.running.process);
  }

  async stop() {
    await this.kill('SIGKILL');
    rmSync(this.state, { recursive: true, force: true });
  }

  /** What the Workers have printed so far. */
  get log() {
    return this.running.log.join('');
  }

  /** Sends a request; `key` is the bearer credential, `null` for none. Answers `{status, headers, text, body}`. */
  async call(method, path, body, { key = this.adminKey, headers = {} } = {}) {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      redirect: 'manual',
    });
    const text = await response.text();
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    return { status: response.status, headers: response.headers, text, body: parsed };
  }

  /** Creates a key that must be created; answers the body with the key. */
  async create(fields = {}, options) {
    const { status, body, text } = await this.call('POST', '/v1/keys', { name: 'server-prod', owner: 'acme', scopes: ['calls:create'], ...fields }, options);
    if (status !== 201) throw new Error(`creating a key answered ${status}: ${text}`);
    return body;
  }

  /** The code of a verification. */
  async verdict(key, question = {}) {
    const { status, body, text } = await this.call('POST', '/v1/keys/verify', { key, ...question });
    if (status !== 200) throw new Error(`verifying answered ${status}: ${text}`);
    return body.code;
  }

  authorize(key, query = '', options = {}) {
    return this.call('GET', `/v1/authorize${query}`, undefined, { key, ...options });
  }

  /** Bytes as they are, for requests that no client library sends; answers the response, head and first of its body. */
  raw(bytes) {
    return new Promise((resolve, reject) => {
      let answer = '';
      const socket = connect(this.port, '127.0.0.1', () => socket.write(bytes));
      const end = (error) => (answer ? resolve(answer) : reject(error ?? new Error('closed without an answer')));
      socket.setEncoding('latin1').on('close', () => end()).on('error', end).on('data', (chunk) => {
        answer += chunk;
        const [head, ...body] = answer.split('\r\n\r\n');
        const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
        if (answer.includes('\r\n\r\n') && body.join('\r\n\r\n').length >= length) socket.destroy();
      });
    });
  }
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A key text from its parts, with right check digits. */
export function forge({ brand = 'psk', environment = 'live', id, secret = '0'.repeat(27) }) {
  const checked = `${brand}_${environment}_${id}_${secret}`;
  let number = crc32(checked);
  let check = '';
  for (let i = 0; i < 6; i += 1) {
    check = DIGITS[number % 62] + check;
    number = Math.floor(number / 62);
  }
  return checked + check;
}

/** The text with one character of its check digits changed. */
export const mistyped = (key) => key.slice(0, -1) + (key.endsWith('x') ? 'y' : 'x');
