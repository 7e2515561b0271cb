/** The scanner's memory, wherever its WebAssembly runs: bytes go straight into it, findings come out. Knows no file and no host. */
import type { InitOutput, LeakScanner } from 'keyward-scan';

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

/** Why a text is skipped that is none. */
export const BINARY = 'no text';

export const nothing = (bytes: number): Outcome => ({ findings: [], more: 0, allowed: 0, bytes });

export class Reader {
  #wasm: InitOutput;
  #scanner: LeakScanner;

  constructor(wasm: InitOutput, scanner: LeakScanner) {
    this.#wasm = wasm;
    this.#scanner = scanner;
  }

  /** Begins a text; one that was begun and not ended is forgotten. */
  begin(name: string): void {
    this.#scanner.begin(name);
  }

  /** Where the next bytes are to be written. */
  room(): Uint8Array {
    const address = this.#scanner.room();
    return new Uint8Array(this.#wasm.memory.buffer, address, this.#scanner.roomLength());
  }

  /** Takes so many bytes that were written there: `false` where it is no text. */
  take(count: number): boolean {
    return this.#scanner.take(count);
  }

  /** Takes a chunk of any size: `false` where it is no text. */
  push(chunk: Uint8Array): boolean {
    for (let at = 0; at < chunk.length; ) {
      const room = this.room();
      const part = chunk.subarray(at, at + room.length);
      room.set(part);
      if (!this.take(part.length)) return false;
      at += part.length;
    }
    return true;
  }

  /** Ends a text of so many bytes. */
  end(bytes: number): Outcome {
    const report: string | null | undefined = this.#scanner.end();
    if (report === undefined) return nothing(bytes);
    return report === null ? { ...nothing(bytes), skipped: BINARY } : { ...JSON.parse(report), bytes };
  }
}
