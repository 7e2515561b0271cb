/** What a look at a deployment and a project finds: what it is, why it matters, what to do. */

export type Severity = 'high' | 'medium' | 'low';

export interface Finding {
  /** Stable, for programs. */
  code: string;
  severity: Severity;
  what: string;
  why: string;
  fix: string;
}

/** A check that could not be made, and why. */
export interface Unchecked {
  what: string;
  why: string;
}

/** What was looked at, and what came of it. */
export interface Report {
  findings: Finding[];
  unchecked: Unchecked[];
  /** What was looked at and is as it should be. */
  fine: string[];
}

export const blank = (): Report => ({ findings: [], unchecked: [], fine: [] });
