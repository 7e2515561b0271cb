/** Secrets that are typed or piped: never an argument, never shown. */
import { Refused } from './connection.js';

const LONGEST = 65_536;

/** Everything on the standard input. */
export async function input(most = LONGEST): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length > most) throw new Refused('the standard input is too long');
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** One line, typed without an echo. */
function typed(question: string): Promise<string> {
  const { stdin, stderr } = process;
  return new Promise((resolve, reject) => {
    let line = '';
    const end = (settle: () => void) => {
      stdin.setRawMode(false);
      stdin.pause();
      stdin.removeListener('data', take);
      stderr.write('\n');
      settle();
    };
    const take = (chunk: Buffer) => {
      for (const letter of chunk.toString('utf8')) {
        if (letter === '\r' || letter === '\n' || letter === '\x04') return end(() => resolve(line));
        if (letter === '\x03') return end(() => reject(new Refused('nothing was done')));
        if (letter === '\x7f' || letter === '\b') line = [...line].slice(0, -1).join('');
        else line += letter;
      }
    };
    // Before the question: whoever answers at once is not shown either.
    stdin.setRawMode(true);
    stdin.on('data', take);
    stdin.resume();
    stderr.write(`${question}: `);
  });
}

/** A secret: asked for at a terminal, else the line on the standard input. */
export async function secret(question: string): Promise<string> {
  const text = (process.stdin.isTTY ? await typed(question) : await input()).trim();
  if (text === '') throw new Refused(`${question}: nothing was typed, and nothing came on the standard input`);
  if (/[\r\n]/.test(text)) throw new Refused('a secret is one line');
  return text;
}
