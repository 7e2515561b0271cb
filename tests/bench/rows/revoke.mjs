// How long a revoked key goes on being accepted: over five edges that are all asked about it the whole time.
import { quantile, quartiles } from '../cpu.mjs';

export const title = 'From the call that revokes to the last acceptance, over five edges under load';

const STALENESS = [0, 1, 5];
const LINES_PER_EDGE = 4;
/** How long a key is asked for after its `effective_by`. */
const WATCHED_MS = 500;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Revokes `count` keys of one staleness at random instants, under load. Answers `{sent, effectiveBy, promised, lasts}` of each. */
async function revocations(keyward, { ask, staleness, count, progress }) {
  const keys = [];
  for (let i = 0; i < count; i += 1) {
    const { id, key } = await keyward.create({ scopes: ['calls:create'], max_staleness_seconds: staleness });
    keys.push({ id, bytes: ask(key), lasts: 0 });
  }
  let watched = keys;
  const lane = async (edge) => {
    const line = keyward.line(edge);
    while (watched.length > 0) {
      const key = watched[Math.floor(Math.random() * watched.length)];
      const { status, body, start } = await line.call(key.bytes);
      if (status !== 200) throw new Error(`verifying answered ${status}: ${body}`);
      if (body.startsWith('{"valid":true,')) key.lasts = Math.max(key.lasts, start);
      else if (!body.includes('"code":"REVOKED"')) throw new Error(`an unexpected answer: ${body}`);
    }
    line.close();
  };
  const revoke = async (key) => {
    // Long enough for every edge to have a lease, then anywhere in the life of one.
    await pause(1_000 + Math.random() * 2_000 * Math.max(1, staleness));
    key.sent = Date.now();
    const { status, body } = await keyward.call('POST', `/v1/keys/${key.id}/revoke`);
    if (status !== 200) throw new Error(`revoking answered ${status}`);
    key.effectiveBy = Date.parse(body.effective_by);
    key.promised = key.effectiveBy - Date.parse(body.revoked_at);
    await pause(key.effectiveBy + WATCHED_MS - Date.now());
    watched = watched.filter((other) => other !== key);
    progress(`${staleness} s: ${keys.length - watched.length} of ${keys.length}`);
  };
  await Promise.all([...Array.from({ length: keyward.names.length * LINES_PER_EDGE }, (_, i) => lane(i % keyward.names.length)), ...keys.map(revoke)]);
  return keys;
}

export async function run({ quick, progress }) {
  // Here and not above: it reads what is built.
  const { Edges, verification } = await import('../../worker/edges.mjs');
  const keyward = await Edges.start({ faulty: false });
  const kill = () => keyward.running.process.kill('SIGKILL');
  process.once('exit', kill);
  try {
    const { key: caller } = await keyward.create({ scopes: ['keyward.keys:verify'], max_staleness_seconds: 60 });
    const ask = (key) => verification(caller, { key, scopes: ['calls:create'] });
    const lines = [];
    for (const staleness of STALENESS) {
      const keys = await revocations(keyward, { ask, staleness, count: quick ? 8 : 40, progress });
      // Nothing, where no call that began later was accepted.
      const lasted = keys.map(({ sent, lasts }) => Math.max(0, lasts - sent));
      const spare = keys.map(({ effectiveBy, lasts }) => effectiveBy - lasts);
      const promised = Math.max(...keys.map((key) => key.promised));
      lines.push(
        { what: `max_staleness_seconds ${staleness}: to the last acceptance`, measured: quartiles(lasted), unit: 'ms' },
        { what: `max_staleness_seconds ${staleness}: the same, nine in ten within`, measured: { median: quantile(lasted, 0.9) }, unit: 'ms' },
        { what: `max_staleness_seconds ${staleness}: the same, longest`, measured: { median: Math.max(...lasted) }, unit: 'ms' },
        { what: `max_staleness_seconds ${staleness}: last acceptance before effective_by, least`, measured: { median: Math.min(...spare) }, unit: 'ms', bound: { atLeast: 0 } },
        { what: `max_staleness_seconds ${staleness}: effective_by after revoked_at, most`, measured: { median: promised }, unit: 'ms', bound: { atMost: staleness * 1_000 } },
      );
    }
    return lines;
  } finally {
    process.off('exit', kill);
    await keyward.stop();
  }
}
