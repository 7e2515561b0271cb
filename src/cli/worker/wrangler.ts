/** wrangler, Cloudflare's command line: found, or fetched by npx, and run. What is secret goes to its standard input alone. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Releases that this Worker was uploaded with in dry runs: the last for Node 20, and one that asks for Node 22.12. */
const FOR_NODE_20 = '4.86.0';
const FOR_NODE_22 = '4.164.0';

/** Which release a Node runs. */
export function releaseFor(node: string): string {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 12) ? FOR_NODE_22 : FOR_NODE_20;
}

export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

export interface Wrangler {
  /** Which one. */
  shown: string;
  /** How one types it: another release may ask for a newer Node. */
  typed: string;
  /** `show`: the terminal is its own, questions included, and nothing of it is kept. `input` goes to its standard input. */
  run(args: string[], how?: { input?: string; show?: boolean; env?: Record<string, string> }): Promise<Ran>;
}

/** The project's own, where it has one; else the release that fits this Node. */
export function wranglerFor(folder: string): Wrangler {
  let command: string[];
  let shown: string;
  let typed = 'npx wrangler';
  try {
    const require = createRequire(join(folder, 'package.json'));
    const manifest = require.resolve('wrangler/package.json');
    const { version, bin } = require(manifest) as { version: string; bin: { wrangler: string } };
    command = [process.execPath, join(dirname(manifest), bin.wrangler)];
    shown = `wrangler ${version}, the project's own`;
  } catch {
    const release = releaseFor(process.versions.node);
    command = ['npx', '--yes', `wrangler@${release}`];
    typed = `npx wrangler@${release}`;
    shown = `wrangler ${release}, which npx brings (npm install -D wrangler pins your own)`;
  }
  const run: Wrangler['run'] = (args, { input, show = false, env = {} } = {}) =>
    new Promise((resolve, reject) => {
      const [first = '', ...rest] = [...command, ...args];
      const child = spawn(first, rest, {
        cwd: folder,
        env: { ...process.env, ...env },
        stdio: [input === undefined ? 'inherit' : 'pipe', ...(show ? ['inherit', 'inherit'] as const : ['pipe', 'pipe'] as const)],
        shell: process.platform === 'win32' && first === 'npx',
      });
      const ran = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const) {
        child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
          ran[name] += chunk;
        });
      }
      child.once('error', (error) => reject(new Error(`${first} cannot be run: ${error.message}`)));
      child.once('close', (code) => resolve({ ...ran, status: code ?? 1 }));
      // Where it ends before it has read all, its exit code says why.
      child.stdin?.on('error', () => {}).end(input);
    });
  return { shown, typed, run };
}
