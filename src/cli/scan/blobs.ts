/** Blobs of a repository, through one `git cat-file` that stays open. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Engine, Outcome } from './engine.js';

export class Blobs {
  #git: ChildProcessWithoutNullStreams;
  #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #problem = '';

  constructor(repository: string) {
    this.#git = spawn('git', ['-C', repository, 'cat-file', '--batch']);
    this.#git.stderr.on('data', (text) => (this.#problem += text));
    this.#git.on('error', (error) => (this.#problem = error.message));
    this.#git.stdin.on('error', () => {});
    this.#chunks = this.#git.stdout[Symbol.asyncIterator]();
  }

  close() {
    this.#git.stdin.end();
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done) throw new Error(`git cat-file ended: ${this.#problem.trim()}`);
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, value]) : value;
  }

  /** The next bytes, at most `most`. */
  async #some(most: number): Promise<Buffer> {
    if (this.#rest.length === 0) await this.#more();
    const some = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(some.length);
    return some;
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end >= 0) {
        const line = this.#rest.toString('utf8', 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      await this.#more();
    }
  }

  /** Hands the bytes of a blob to `take`, as they come; `undefined` where the repository does not have it. */
  async read(id: string, take: (chunk: Buffer) => void): Promise<number | undefined> {
    this.#git.stdin.write(`${id}\n`);
    const head = await this.#line();
    const [, kind, length] = head.split(' ');
    if (length === undefined || kind === 'missing') return undefined;
    let left = Number(length);
    while (left > 0) {
      const some = await this.#some(left);
      left -= some.length;
      take(some);
    }
    await this.#some(1);
    return Number(length);
  }

  /** Scans a blob under a name. */
  async scan(id: string, name: string, engine: Engine): Promise<Outcome> {
    const reader = engine.begin(name);
    let text = true;
    try {
      const bytes = await this.read(id, (chunk) => (text &&= reader.push(chunk)));
      if (bytes === undefined) return { findings: [], more: 0, allowed: 0, bytes: 0, skipped: `blob ${id} is not in this clone`, failed: true };
      return text ? reader.end() : { findings: [], more: 0, allowed: 0, bytes, skipped: 'no text' };
    } catch (error) {
      return { findings: [], more: 0, allowed: 0, bytes: 0, skipped: (error as Error).message, failed: true };
    }
  }
}
