/** The one kind of error that keyward throws. */

/** Whatever keyward refuses. `code` is stable; `message` is for people and never repeats a secret. */
export class KeywardError extends Error {
  /**
   * `LENGTH`, `ALPHABET`, `STRUCTURE`, `BRAND`, `CHECK`: why a text is no key. `INVALID_REQUEST`, `INVALID_SECRET`, `SESSION`: a value
   * that is not what it should be. `TYPE`: a value of another type. `NOT_READY`: the WebAssembly module is not there yet.
   */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'KeywardError';
    this.code = code;
  }
}
