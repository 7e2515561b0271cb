/** A deployment of keyward that is asked with a management key. */

/** What it refused, in its own words. */
export class Refused extends Error {}

export class Deployment {
  #origin: string;
  #key: string;

  /** `key` is the text of a management key; it goes into headers alone. */
  constructor(url: string, key: string) {
    this.#origin = url;
    this.#key = key;
  }

  /** From flags and variables; fails with a sentence that says what is missing. */
  static from({ url = process.env.KEYWARD_URL }: { url?: string }, scope: string): Deployment {
    const key = process.env.KEYWARD_KEY;
    if (!url) throw new Refused('which deployment? name it with --url https://keys.example, or in the variable KEYWARD_URL');
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new Refused('the URL of a deployment begins with https://');
    if (!key) throw new Refused(`a management key with the scope ${scope} is needed, in the variable KEYWARD_KEY`);
    return new Deployment(new URL(url).origin, key);
  }

  get origin() {
    return this.#origin;
  }

  /** Asks and answers the text; throws what the deployment says against it. */
  async text(method: string, path: string, body?: unknown): Promise<string> {
    let response: Response;
    try {
      response = await fetch(this.#origin + path, {
        method,
        redirect: 'error',
        headers: { Authorization: `Bearer ${this.#key}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new Refused(`${this.#origin} cannot be reached: ${((error as Error).cause as Error | undefined)?.message ?? (error as Error).message}`);
    }
    const text = await response.text();
    if (response.ok) return text;
    let problem: { code?: string; detail?: string; title?: string } = {};
    try {
      problem = JSON.parse(text);
    } catch {
      // No document of keyward's: the status has to do.
    }
    throw new Refused(`${this.#origin} answered ${response.status}${problem.code ? ` ${problem.code}` : ''}${problem.detail ? `: ${problem.detail}` : ''}`);
  }

  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    return JSON.parse(await this.text(method, path, body)) as T;
  }
}
