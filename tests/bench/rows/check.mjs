// The core's check from JavaScript with the record in hand, against what a Node developer would use instead.
import { createHmac, createSecretKey, hash, randomBytes, webcrypto } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from '../../../.ci/setup.mjs';
import { advantage, alternate, perCall, quartiles } from '../cpu.mjs';
import { record } from '../deployment.mjs';

export const title = 'Verifier.check from JavaScript (Node), record in hand';

/** Keys that are met in turn, so that no contender profits from one that never changes. */
const KEYS = 64;

/** Nanoseconds per call, the keys in turn. */
const measured = (calls, call) => perCall(calls, (i) => call(i % KEYS));

/** The same for a call that answers later. */
function measuredAsync(calls, call) {
  return async () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i += 1) await call(i % KEYS);
    return Number(process.hrtime.bigint() - start) / calls;
  };
}

export async function run({ quick, progress }) {
  const { generateKey, parseKey, Verifier } = await import(join(root, 'dist', 'index.js'));
  const incumbent = createRequire(join(root, 'package.json'))('prefixed-api-key');

  const verifier = new Verifier({ brand: 'psk', rootSecret: randomBytes(32).toString('hex') });
  const keys = Array.from({ length: KEYS }, () => generateKey({ brand: 'psk' }));
  for (const key of keys) verifier.hold({ record: record(parseKey(key).id, { scopes: ['calls:create'] }), secrets: [verifier.digest(key)] });
  const prefixed = await Promise.all(keys.map(() => incumbent.generateAPIKey({ keyPrefix: 'psk' })));
  const pepper = createSecretKey(randomBytes(32));
  const bytes = keys.map((key) => new TextEncoder().encode(key));
  const short = keys.map((key) => key.slice(0, 42));

  const calls = quick ? 5_000 : 20_000;
  const contenders = {
    keyward: measured(calls, (i) => verifier.check(keys[i]) === 'VALID'),
    prefixed: measured(calls, (i) => incumbent.checkAPIKey(prefixed[i].token, prefixed[i].longTokenHash)),
    hash: measured(calls, (i) => hash('sha256', keys[i]).length === 64),
    hashShort: measured(calls, (i) => hash('sha256', short[i]).length === 64),
    hmac: measured(calls, (i) => createHmac('sha256', pepper).update(keys[i]).digest().length === 32),
    webcrypto: measuredAsync(calls / 40, (i) => webcrypto.subtle.digest('SHA-256', bytes[i])),
  };
  for (const contender of Object.values(contenders)) await contender();
  const costs = await alternate(contenders, { rounds: quick ? 5 : 60, progress });

  // Wall time, which a neighbour on the processor lengthens: the median, not the sum.
  const { overall, ...ratio } = advantage(costs.keyward, costs.prefixed);
  const line = (name, what) => ({ what, measured: quartiles(costs[name]), unit: 'ns' });
  return [
    { ...line('keyward', 'Verifier.check, ns per call'), bound: { atMost: 500 } },
    {
      what: "calls per second: Verifier.check / prefixed-api-key's checkAPIKey",
      measured: ratio,
      unit: '×',
      bound: { atLeast: 3 },
    },
    line('hashShort', 'yardstick: crypto.hash SHA-256 of 42 bytes, one compression (reference machine: 268 ns)'),
    line('hash', 'yardstick: crypto.hash SHA-256 of a key text, 59 bytes, two compressions'),
    line('prefixed', "prefixed-api-key's checkAPIKey (reference machine: 1772 ns)"),
    line('hmac', 'crypto.createHmac SHA-256 of a key text'),
    line('webcrypto', 'WebCrypto SHA-256 of a key text, awaited (reference machine: 39 945 ns)'),
  ];
}
