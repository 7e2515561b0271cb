/** What can go wrong between a client and a deployment, as one class with a stable code. */
import type { Problem, ProblemCode } from './api.js';

/**
 * No answer of keyward's: `UNREACHABLE` (no connection, or it was cut), `TIMEOUT` (none in time), `ABORTED` (the caller's own signal),
 * `UNEXPECTED_ANSWER` (something answered that is not keyward: a proxy's page, a redirect, half a document).
 */
export type FailureCode = 'UNREACHABLE' | 'TIMEOUT' | 'ABORTED' | 'UNEXPECTED_ANSWER';

/** Every code that a call can fail with. */
export type KeywardApiErrorCode = ProblemCode | FailureCode;

/** What {@link KeywardApiError} is made of. */
interface Told {
  code: KeywardApiErrorCode;
  detail: string;
  title?: string;
  status?: number;
  request_id?: string | null;
  problem?: Problem;
  retry_after_seconds?: number;
}

/** A call that was refused or got no answer. Neither the client's key nor what was sent is in it. */
export class KeywardApiError extends Error {
  /** Stable: a problem document's own, or a {@link FailureCode}. A deployment that is newer than this package may say others. */
  readonly code: KeywardApiErrorCode;
  /** The HTTP status; 0 where none arrived. */
  readonly status: number;
  /** What kind of thing it is, in a few words. */
  readonly title: string;
  /** What it is this time, in a sentence. */
  readonly detail: string;
  /** Under which the deployment's own log tells more. */
  readonly request_id: string | null;
  /** The problem document, with its evidence (`rotation`, `use`, `field`), where there is one. */
  readonly problem: Problem | null;
  /** How long the deployment asks to be left alone, in seconds. */
  readonly retry_after_seconds: number | null;

  constructor({ code, detail, title = code, status = 0, request_id = null, problem, retry_after_seconds }: Told) {
    super(`${code}: ${detail}`);
    this.name = 'KeywardApiError';
    this.code = code;
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.request_id = request_id;
    this.problem = problem ?? null;
    this.retry_after_seconds = retry_after_seconds ?? null;
  }
}
