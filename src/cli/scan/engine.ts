/** The scanner in this thread: bytes go straight into the memory of its WebAssembly, findings come out. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { type InitOutput, LeakScanner, exportRule, initSync } from 'keyward-scan';
import { publishedInCode } from './hygiene.js';

/** A credential in a text, as the core tells it (`src/scan/mod.rs`). Lines and columns count from 1, columns in code points. */
export interface Finding {
  rule: string;
  provider: string;
  name: string;
  confidence: 'low' | 'medium' | 'high';
  offset: number;
  length: number;
  line: number;
  column: number;
  more_lines: number;
  end_column: number;
  redacted: string;
  fingerprint: string;
  excerpt: string;
  excerpt_at: [number, number];
  why: string;
  revoke?: string;
  note?: string;
  key_id?: string;
  /** The whole key, of keyward's own format, where the scanner was asked to keep it. */
  secret?: string;
}

/** What came of one text. */
export interface Outcome {
  findings: Finding[];
  /** Findings beyond the ten thousand that are told. */
  more: number;
  /** Findings that a comment on their line allows. */
  allowed: number;
  bytes: number;
  /** Why it was not scanned, or not to its end. */
  skipped?: string;
  /** Whether that is a failure and no decision. */
  failed?: boolean;
}

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

const nothing = (bytes: number): Outcome => ({ findings: [], more: 0, allowed: 0, bytes });
const BINARY = 'no text';

export class Engine {
  #wasm: InitOutput;
  #scanner: LeakScanner;
  #hygiene: boolean;
  /** What habits of this text are to be told with its findings. */
  #habits: Outcome | undefined;

  constructor(module: WebAssembly.Module, { brands, keep, hygiene }: EngineOptions) {
    this.#wasm = initSync({ module });
    this.#scanner = new LeakScanner(brands, keep);
    this.#hygiene = hygiene;
  }

  /** Where the next bytes are to be written. */
  #room() {
    const address = this.#scanner.room();
    return new Uint8Array(this.#wasm.memory.buffer, address, this.#scanner.roomLength());
  }

  #end(bytes: number): Outcome {
    const report: string | null | undefined = this.#scanner.end();
    if (report === null) return { ...nothing(bytes), skipped: BINARY };
    const outcome: Outcome = report === undefined ? nothing(bytes) : { ...JSON.parse(report), bytes };
    if (this.#habits === undefined) return outcome;
    return { ...outcome, findings: [...outcome.findings, ...this.#habits.findings], allowed: outcome.allowed + this.#habits.allowed };
  }

  #begin(name: string) {
    this.#scanner.begin(name);
    this.#habits = undefined;
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
        const room = this.#room();
        const count = readSync(file, room, 0, room.length, null);
        if (bytes === 0) this.#look(name, room.subarray(0, count));
        bytes += count;
        if (count > 0 && !this.#scanner.take(count)) return { ...nothing(bytes), skipped: BINARY };
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
        for (let at = 0; at < chunk.length; ) {
          const room = this.#room();
          const part = chunk.subarray(at, at + room.length);
          room.set(part);
          if (!this.#scanner.take(part.length)) return false;
          at += part.length;
        }
        return true;
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
