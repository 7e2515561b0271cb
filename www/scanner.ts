/** The leak scanner for a page: its WebAssembly fetched once, run in a Web Worker. */
import scanUrl from '../build/scan/scan_bg.wasm?url';
import type { Outcome } from '../src/cli/scan/reader.ts';
import type { Asked, Told } from './scan-thread.ts';

export type { Finding, Outcome } from '../src/cli/scan/reader.ts';

/** A scan under way. */
export interface Scan {
  /** What came of it; `undefined` where it was given up. */
  outcome: Promise<Outcome | undefined>;
  cancel(): void;
}

interface Waiting {
  take(outcome: Outcome | undefined): void;
  progress(read: number): void;
}

export class Scanner {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }: MessageEvent<Told>) => this.#hear(data));
  }

  /** A scanner that is ready: afterwards nothing more is fetched. */
  static async start(): Promise<Scanner> {
    const worker = new Worker(new URL('./scan-thread.ts', import.meta.url), { type: 'module' });
    const failed = new Promise<never>((_, reject) => worker.addEventListener('error', () => reject(new Error('the scanner’s worker did not start')), { once: true }));
    const module = await Promise.race([WebAssembly.compileStreaming(fetch(scanUrl)), failed]);
    const scanner = new Scanner(worker);
    scanner.#ask({ module });
    // An empty text: answered once the worker's own script is there.
    await Promise.race([scanner.scan('', new Blob([])).outcome, failed]);
    return scanner;
  }

  #ask(asked: Asked): void {
    this.#worker.postMessage(asked);
  }

  #hear(told: Told): void {
    const waiting = this.#waiting.get(told.id);
    if ('read' in told) return waiting?.progress(told.read);
    this.#waiting.delete(told.id);
    waiting?.take('outcome' in told ? told.outcome : undefined);
  }

  /** Scans a text under a name; `progress` is told of the bytes that were read. */
  scan(name: string, text: Blob, progress: (read: number) => void = () => undefined): Scan {
    const id = (this.#last += 1);
    const outcome = new Promise<Outcome | undefined>((take) => this.#waiting.set(id, { take, progress }));
    this.#ask({ id, name, text });
    return { outcome, cancel: () => this.#waiting.has(id) && this.#ask({ cancel: id }) };
  }
}
