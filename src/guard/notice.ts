/** What the operator has to know: the same thing at most once a minute, and never a secret in it. */

/** Something that only the operator can mend. */
export interface Problem {
  /** `MANAGEMENT_KEY_REFUSED`, `MANAGEMENT_KEY_LIMITED`, `QUESTION_REFUSED`, `DEPLOYMENT_REDIRECTS`, `DEPLOYMENT_FAILED`, `NO_VERDICT`, `NO_ANSWER`, `LIMITS_NOT_COUNTED`, `STORE_FAILED`, `LIMIT_FAILED`, `NO_KEYS`. */
  code: string;
  /** What is wrong and what to do about it. */
  message: string;
  /** What was thrown, by the operator's own code or the network; not part of the line that is written by default, since it may hold anything. */
  cause?: unknown;
}

const EVERY_MS = 60_000;

/** A teller of problems. Without a callback they are lines of `console.error`. */
export function teller(onProblem: ((problem: Problem) => void) | undefined): (problem: Problem) => void {
  const told = new Map<string, number>();
  return (problem) => {
    const now = Date.now();
    if (Math.abs(now - (told.get(problem.code) ?? -Infinity)) < EVERY_MS) return;
    told.set(problem.code, now);
    if (onProblem === undefined) console.error(`keyward: ${problem.message} [${problem.code}]`);
    else quietly(() => onProblem(problem));
  };
}

/** Runs a callback of the user's whose failure is nobody else's. */
export function quietly(call: () => unknown): void {
  try {
    Promise.resolve(call()).catch(() => undefined);
  } catch {
    // What it throws must not change the answer.
  }
}

/** @throws {TypeError} for an option that there is not: a restriction that was misspelt must not be silently absent. */
export function known(options: object, names: readonly string[], of: string): void {
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new TypeError(`${of} has no option ${name}; it takes ${names.join(', ')}`);
  }
}
