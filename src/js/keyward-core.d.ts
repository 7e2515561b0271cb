/** The glue that the build generates from `mod.rs`, resolved to it by the build. */
declare module 'keyward-core' {
  export function initSync(options: { module: WebAssembly.Module }): unknown;
  export function generateKey(brand: string, environment: string, tagKey?: string): string;
  export function parseKey(text: string, brand?: string): { brand: string; environment: string; id: string; redacted: string };
  export function wasIssued(text: string, tagKey: string): boolean;
  export function scopeProblem(text: string): string | undefined;
  export function grants(held: string[], needed: string[]): boolean;
  export function addressAllowed(address: string | undefined, allowed: string[], denied: string[]): boolean;
  export function sessionClaims(token: string): { id: string; route: string; origin: string; ends: number; calls: number; mock: boolean; parent?: string };
  export function verdictCodes(): string[];
  export function linearMemory(): WebAssembly.Memory;
  export function prepare(texts: string[]): Held;
  export class Held {
    private constructor();
    free(): void;
  }
  export class CoreVerifier {
    constructor(brand: string, rootSecret: string, retired: string[]);
    digest(text: string): { root: string; hmac: string };
    hold(texts: string[]): void;
    release(id: string): boolean;
    readonly input: number;
    ask(length: number): number;
    check(length: number, asked: boolean, now: number): number;
    judge(stored: Held, length: number, asked: boolean, now: number): number;
    inspect(length: number, asked: boolean): number;
    free(): void;
  }
}

/** Where an entry has the WebAssembly module from: one of `source/`, by the build. */
declare module 'keyward-source' {
  export type Source = WebAssembly.Module | BufferSource | Response | URL | string;
  /** The module, at once. Throws where that cannot be. */
  export function compile(): WebAssembly.Module;
  /** The module, from where the entry has it or from what was given. */
  export function compileLater(source?: Source | PromiseLike<Source>): Promise<WebAssembly.Module>;
}

/** The bytes of the module in base64, by the build. */
declare module 'keyward-bytes' {
  const base64: string;
  export default base64;
}
