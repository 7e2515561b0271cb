/** Threads that scan side by side, or none where there is little to do. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Engine, type EngineOptions, type Outcome, compile } from './engine.js';
import type { Batch, Done } from './thread.js';

/** Batches that a thread has ahead of it: while the main thread lists a large folder it hands out nothing. */
const AHEAD = 4;
/** Texts of one batch. */
export const BATCH = 128;

/** Told as the scan goes on. */
export interface Progress {
  texts: number;
  bytes: number;
}

type Take = (place: number, outcome: Outcome) => void;

export class Pool {
  #module = compile();
  #options: EngineOptions;
  #threads: { worker: Worker; waiting: Take[] }[] = [];
  #queue: [Batch, Take][] = [];
  #idle: (() => void) | undefined;
  #failure: Error | undefined;
  /** What was scanned so far. */
  readonly progress: Progress = { texts: 0, bytes: 0 };

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** An engine in this thread, of the same module. */
  engine = () => new Engine(this.#module, this.#options);

  /** Has a batch scanned; `take` is called for each of its texts of which there is something to say. */
  add(batch: Batch, take: Take) {
    this.#queue.push([batch, take]);
    if (this.#threads.length === 0) for (let i = 0; i < Math.max(1, Math.min(8, availableParallelism())); i += 1) this.#start();
    this.#feed();
  }

  #start() {
    const worker = new Worker(new URL('./scan-thread.js', import.meta.url), { workerData: { module: this.#module, options: this.#options } });
    const thread = { worker, waiting: [] as Take[] };
    worker.on('message', ({ texts, bytes, outcomes }: Done) => {
      const take = thread.waiting.shift();
      this.progress.texts += texts;
      this.progress.bytes += bytes;
      for (const [place, outcome] of outcomes) take?.(place, outcome);
      this.#feed();
    });
    worker.on('error', (error) => {
      this.#failure = error;
      this.#idle?.();
    });
    this.#threads.push(thread);
  }

  #feed() {
    for (const thread of this.#threads.toSorted((a, b) => a.waiting.length - b.waiting.length)) {
      while (thread.waiting.length < AHEAD) {
        // To whoever has least ahead: one at a time.
        const next = this.#queue.shift();
        if (next === undefined) break;
        thread.waiting.push(next[1]);
        thread.worker.postMessage(next[0]);
        if (this.#threads.some(({ waiting }) => waiting.length < thread.waiting.length)) break;
      }
    }
    if (this.#queue.length > 0 && this.#threads.some(({ waiting }) => waiting.length < AHEAD)) this.#feed();
    else if (this.#queue.length === 0 && this.#threads.every(({ waiting }) => waiting.length === 0)) this.#idle?.();
  }

  /** Resolves when everything that was added is scanned, and ends the threads. */
  async end() {
    if (this.#threads.some(({ waiting }) => waiting.length > 0) || this.#queue.length > 0) {
      await new Promise<void>((resolve) => (this.#idle = resolve));
    }
    for (const { worker } of this.#threads) worker.postMessage('end');
    if (this.#failure) throw this.#failure;
  }
}
