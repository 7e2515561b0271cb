/** The glue that the build generates from `mod.rs`, resolved to it by the build. */
declare module 'keyward-core' {
  export function initSync(options: { module: WebAssembly.Module | BufferSource }): unknown;
  export default function init(options: { module_or_path: unknown }): Promise<unknown>;
  export function generateKey(brand: string, environment: string, tagKey?: string): string;
  export function parseKey(text: string, brand?: string): { brand: string; environment: string; id: string; redacted: string };
  export function wasIssued(text: string, tagKey: string): boolean;
  export function verdictCodes(): string[];
  export function linearMemory(): WebAssembly.Memory;
  export class Verifier {
    constructor(brand: string, rootSecret: string, retired: string[]);
    digest(text: string): { root: string; hmac: string };
    hold(stored: string): void;
    release(id: string): boolean;
    readonly input: number;
    check(length: number, now: number): number;
    checkScope(length: number, scope: string, now: number): number;
    free(): void;
  }
}
