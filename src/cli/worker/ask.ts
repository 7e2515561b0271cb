/** Questions to whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises';
import { Refused } from '../connection.js';

/** Whether there is somebody to ask. */
export const asks = () => process.stdin.isTTY === true || process.env.KEYWARD_ASK === '1';

/** Asks one thing after the other; an empty answer takes what stands in brackets. Closes the input at the end. */
export async function asking<T>(work: (ask: (question: string, otherwise: string) => Promise<string>) => Promise<T>): Promise<T> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const lines = terminal[Symbol.asyncIterator]();
  try {
    return await work(async (question, otherwise) => {
      process.stderr.write(`${question} [${otherwise}] `);
      const { value, done } = await lines.next();
      if (done) throw new Refused('the answers ended: nothing was done');
      return value.trim() || otherwise;
    });
  } finally {
    terminal.close();
  }
}
