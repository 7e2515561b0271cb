// The command line as a user runs it, while this process goes on.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from '../../.ci/setup.mjs';
import { Deployment } from '../worker/harness.mjs';

export const cli = join(root, 'dist', 'cli.js');

/** Runs `keyward …`; answers what it printed and how it ended. `input` is what comes on its standard input. */
export async function keyward(args, { cwd, env = {}, input = '', command = [process.execPath, cli] } = {}) {
  const { KEYWARD_URL, KEYWARD_KEY, FORCE_COLOR, ...inherited } = process.env;
  const child = spawn(command[0], [...command.slice(1), ...args], { cwd, env: { ...inherited, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  // Whoever wants no input may be gone before it is written.
  child.stdin.on('error', () => {}).end(input);
  const status = await new Promise((resolve) => child.once('close', resolve));
  return { status, stdout, stderr };
}

/** A deployment, and `keyward` with its variables set. */
export async function started(options) {
  const deployment = await Deployment.start(options);
  const env = { KEYWARD_URL: deployment.url, KEYWARD_KEY: deployment.adminKey };
  const asked = (args, { env: more = {}, ...rest } = {}) => keyward(args, { ...rest, env: { ...env, ...more } });
  /** Runs a command with `--json` that must end well; answers the object. */
  const json = async (args, rest) => {
    const { status, stdout, stderr } = await asked([...args, '--json'], rest);
    if (status !== 0) throw new Error(`keyward ${args.join(' ')}: ${status}: ${stderr}`);
    return JSON.parse(stdout);
  };
  return { deployment, env, keyward: asked, json };
}

/** A folder with these files, gone after the test. */
export function folder(t, files = {}) {
  const path = mkdtempSync(join(tmpdir(), 'keyward-cli-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return path;
}
