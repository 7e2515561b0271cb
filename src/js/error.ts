/** The one kind of error that keyward throws. */

const KIND = /* @__PURE__ */ Symbol.for('keyward.KeywardError');

/** Whatever keyward refuses. `code` is stable; `message` is for people and never repeats a secret. */
export class KeywardError extends Error {
  /** One that a `require` threw is one for who imports, too: both may be loaded in a process. */
  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && KIND in value;
  }

  /** @internal */
  readonly [KIND] = true;

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
