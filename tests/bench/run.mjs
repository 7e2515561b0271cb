// `npm run bench`: measures keyward beside what it is compared with, in one run on one machine, and prints what came out
// beside the budgets of ARCHITECTURE.md. A missed budget is said, not failed: a bench is no test. README.md says how to
// read it.
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../.ci/setup.mjs';
import * as authorize from './rows/authorize.mjs';
import * as check from './rows/check.mjs';
import * as cold from './rows/cold.mjs';
import * as limits from './rows/limits.mjs';
import * as relay from './rows/relay.mjs';
import * as revoke from './rows/revoke.mjs';
import * as sizes from './rows/sizes.mjs';
import * as verify from './rows/verify.mjs';
import * as verifyKey from './rows/verify-key.mjs';
import { table } from './table.mjs';

const rows = { authorize, verify, cold, limits, relay, revoke, check, verifyKey, sizes };

const USAGE = `usage: npm run bench -- [--quick] [--only NAME]… [--json FILE]
  --quick       few short rounds: whether it runs, not what it measures
  --only NAME   one of ${Object.keys(rows).join(', ')}; may be repeated
  --json FILE   also write the results as JSON
`;

function options() {
  try {
    const { values } = parseArgs({
      options: { quick: { type: 'boolean', default: false }, only: { type: 'string', multiple: true }, json: { type: 'string' }, help: { type: 'boolean' } },
    });
    const unknown = values.only?.find((name) => !Object.hasOwn(rows, name));
    if (unknown !== undefined) throw new Error(`there is no row ${unknown}`);
    if (!values.help) return values;
    process.stdout.write(USAGE);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** Reports on stderr: in place on a terminal, else a line every ten seconds. */
function reporter(name) {
  let last = 0;
  return (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K  ${name}: ${text}`);
    else if (Date.now() - last > 10_000) {
      process.stderr.write(`  ${name}: ${text}\n`);
      last = Date.now();
    }
  };
}

const { quick, only = Object.keys(rows), json } = options();
for (const built of ['build/worker/index.js', 'dist/index.js']) {
  if (!existsSync(join(root, built))) {
    process.stderr.write(`${built} is missing: run npm run build first\n`);
    process.exit(2);
  }
}

const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, platform: `${process.platform} ${process.arch}`, node: process.versions.node };
const results = [];
for (const name of only) {
  process.stderr.write(`${name}: ${rows[name].title}\n`);
  const lines = await rows[name].run({ quick, progress: reporter(name) });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  results.push({ name, title: rows[name].title, lines });
}
process.stdout.write(`${machine.cores} × ${machine.cpu}, ${machine.platform}, Node ${machine.node}${quick ? '; quick: too short to mean much' : ''}\n\n${table(results)}`);
if (json) writeFileSync(json, `${JSON.stringify({ measured_at: new Date().toISOString(), quick, machine, results }, null, 2)}\n`);
