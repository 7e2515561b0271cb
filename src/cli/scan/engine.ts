/** The scanner in this thread: bytes go straight into the memory of its WebAssembly, findings come out. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { LeakScanner, exportRule, initSync } from 'keyward-scan';
import { publishedInCode } from './hygiene.js';
import { BINARY, type Outcome, Reader, nothing } from './reader.js';

export type { Finding, Outcome } from './reader.js';

export interface EngineOptions {
  /** Brands of one's own deployments, whose keys are known in whatever environment. */
  brands: string[];
  /** Whether findings hold keys of keyward's own format whole. */
  keep: boolean;
  /** Whether names of secrets that a bundler publishes are findings, too. */
  hygiene: boolean;
}

/** The compiled scanner, from beside this file; compiled once and shared by all threads. */
export const compile = () => new WebAssembly.Module(readFileSync(new URL('./scan.wasm', import.meta.url)));

export class Engine {
  #reader: Reader;
  #hygiene: boolean;
  /** What habits of this text are to be told with its findings. */
  #habits: Outcome | undefined;

  constructor(module: WebAssembly.Module, { brands, keep, hygiene }: EngineOptions) {
    this.#reader = new Reader(initSync({ module }), new LeakScanner(brands, keep));
    this.#hygiene = hygiene;
  }

  #begin(name: string) {
    this.#reader.begin(name);
    this.#habits = undefined;
  }

  #end(bytes: number): Outcome {
    const outcome = this.#reader.end(bytes);
    if (this.#habits === undefined || outcome.skipped !== undefined) return outcome;
    return { ...outcome, findings: [...outcome.findings, ...this.#habits.findings], allowed: outcome.allowed + this.#habits.allowed };
  }

  /** Looks at the first bytes of a text, up to a megabyte: sources are no longer. */
  #look(name: string, bytes: Uint8Array) {
    if (this.#hygiene) this.#habits = publishedInCode(name, bytes);
  }

  /** A file of this system, read in chunks; `name` is what it is called in its tree. */
  file(path: string, name: string): Outcome {
    let bytes = 0;
    let file: number | undefined;
    try {
      // A pipe that nobody writes to would be waited for; what became a link since it was listed is not followed.
      file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      if (!fstatSync(file).isFile()) return { ...nothing(0), skipped: 'no file' };
      this.#begin(name);
      for (;;) {
        const room = this.#reader.room();
        const count = readSync(file, room, 0, room.length, null);
        if (bytes === 0) this.#look(name, room.subarray(0, count));
        bytes += count;
        if (count > 0 && !this.#reader.take(count)) return { ...nothing(bytes), skipped: BINARY };
        if (count < room.length) return this.#end(bytes);
      }
    } catch (error) {
      return { ...nothing(bytes), skipped: (error as NodeJS.ErrnoException).code ?? String(error), failed: true };
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  /** Bytes at hand. */
  bytes(name: string, text: Uint8Array): Outcome {
    const reader = this.begin(name);
    return reader.push(text) ? reader.end() : { ...nothing(text.length), skipped: BINARY };
  }

  /** A text that comes in chunks. Only one is read at a time; `push` answers `false` where it is no text. */
  begin(name: string) {
    let bytes = 0;
    this.#begin(name);
    return {
      push: (chunk: Uint8Array): boolean => {
        if (bytes === 0) this.#look(name, chunk);
        bytes += chunk.length;
        return this.#reader.push(chunk);
      },
      end: () => this.#end(bytes),
    };
  }
}

/** A rule for another scanner that finds keys of a brand. */
export function ruleFor(format: string, brand: string): string {
  initSync({ module: compile() });
  try {
    return exportRule(format, brand);
  } catch (sentence) {
    throw new Error(String(sentence));
  }
}
