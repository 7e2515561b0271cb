/** That somebody does not answer is remembered for half a second; then one question at a time finds out whether he does again. */

/** How long nobody asks after a failure, in milliseconds. */
export const SILENT_MS = 500;

/** Instants are those of a monotonic clock, in milliseconds. */
export class Silence {
  #failed: number | undefined;
  #heard = -Infinity;
  #trying = -Infinity;

  /** Whether a question may be sent. After a failure, the one that may has so many milliseconds to its answer. */
  lets(now: number, patience_ms: number): boolean {
    if (this.#failed === undefined) return true;
    if (Math.abs(now - this.#failed) < SILENT_MS || now < this.#trying) return false;
    this.#trying = now + patience_ms;
    return true;
  }

  /** An answer came. */
  heard(now: number): void {
    this.#failed = undefined;
    this.#heard = now;
    this.#trying = -Infinity;
  }

  /** None came to a question that was asked at `asked`. Where others were answered meanwhile, it says nothing of them. */
  failed(asked: number, now: number): void {
    if (this.#heard > asked) return;
    this.#failed = now;
    this.#trying = -Infinity;
  }
}
