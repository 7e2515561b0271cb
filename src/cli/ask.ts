/** Questions to whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises';
import { Refused } from './connection.js';

/** Whether there is somebody to ask. */
export const asks = () => process.stdin.isTTY === true || process.env.KEYWARD_ASK === '1';

/** Asks one thing; an empty answer is `otherwise`, which stands in brackets where it is not empty itself. */
export type Ask = (question: string, otherwise: string) => Promise<string>;

/** Asks one thing after the other. Closes the input at the end. */
export async function asking<T>(work: (ask: Ask) => Promise<T>): Promise<T> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const lines = terminal[Symbol.asyncIterator]();
  try {
    return await work(async (question, otherwise) => {
      process.stderr.write(`${question} ${otherwise === '' ? '' : `[${otherwise}] `}`);
      const { value, done } = await lines.next();
      // Whoever types ends the line for the eye, too; what is piped does not.
      if (!process.stdin.isTTY) process.stderr.write('\n');
      if (done) throw new Refused('the answers ended: nothing was done');
      return value.trim() || otherwise;
    });
  } finally {
    terminal.close();
  }
}
