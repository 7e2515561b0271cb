// `npm start`: sets up, builds, and runs the real Worker in workerd with its state in .keyward/, then prints what to try.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { build } from './build.mjs';
import { localDeployment } from './deployment.mjs';
import { fail, root } from './setup.mjs';
import { startKeyward } from './workerd.mjs';

const port = Number(process.env.PORT ?? 8787);
if (!Number.isInteger(port) || port < 1 || port > 65535) fail(`PORT is ${process.env.PORT}`, 'a number from 1 to 65535');

const state = join(root, '.keyward');
const pidFile = join(state, 'workerd.pid');

/** Names the runtime of an earlier start from this folder that is still there, for example after a kill -9. */
function leftOver() {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    process.kill(pid, 0);
    return `, by the workerd of an earlier start from this folder: process ${pid}`;
  } catch {
    return '';
  }
}

/** Whether something listens on the port already; asked before the minutes of a first build. */
const taken = await new Promise((resolve) => {
  const probe = createServer().once('error', () => resolve(true)).once('listening', () => probe.close(() => resolve(false)));
  probe.listen(port, '127.0.0.1');
});
if (taken) fail(`port ${port} is in use${leftOver()}`, 'end what uses it, or choose another port: PORT=8788 npm start');

await build();
const core = await import(join(root, 'dist', 'node.js'));
const { env, made } = localDeployment(state, core);
const running = await startKeyward({ state, port, env, onLog: (text) => process.stderr.write(text) });

writeFileSync(pidFile, String(running.process.pid));

const { url } = running;
console.log(`
keyward runs at ${url}
  state   .keyward/ (records in objects/, secrets in secrets.json; delete the folder to begin anew)
  key     .keyward/admin-key ${made ? 'holds the first management key, made just now' : 'holds the first management key'}

Try it in another terminal, from this folder:

  ADMIN=$(cat .keyward/admin-key)

  # create a key: it is shown this once
  NEW=$(curl -s ${url}/v1/keys -H "Authorization: Bearer $ADMIN" --json '{"name": "server-prod", "owner": "acme", "scopes": ["calls:create"]}'); echo "$NEW"
  KEY=$(node -p 'JSON.parse(process.argv[1]).key' "$NEW"); ID=$(node -p 'JSON.parse(process.argv[1]).id' "$NEW")

  # verify it
  curl -s ${url}/v1/keys/verify -H "Authorization: Bearer $ADMIN" --json "{\\"key\\": \\"$KEY\\", \\"scopes\\": [\\"calls:create\\"]}"

  # use it, as a proxy would ask
  curl -si "${url}/v1/authorize?scope=calls:create" -H "Authorization: Bearer $KEY"

  # revoke it: from effective_by on, no edge accepts it
  curl -s ${url}/v1/keys/$ID/revoke -H "Authorization: Bearer $ADMIN" --json '{"reason": "trying keyward"}'

Pages at ${url}/ · stop with Ctrl-C
`);

let ending = false;
const end = () => {
  ending = true;
  running.process.kill('SIGTERM');
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
// npm does not pass on the signal that ends it: that it is gone shows in who the parent is.
if (process.env.npm_lifecycle_event === 'start') {
  const npm = process.ppid;
  setInterval(() => process.ppid === npm || end(), 300).unref();
}
const { code, signal } = await running.exited;
rmSync(pidFile, { force: true });
if (!ending) fail(`workerd ended (${code ?? signal})`, 'its last words are above');
