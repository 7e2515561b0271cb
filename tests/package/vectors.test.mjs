// The vectors through the public API of the npm package, as far as it reaches: what it does not offer is named and
// counted. The package as built (dist/) is what runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeywardError, Verifier, addressAllowed, generateKey, grants, parseKey, redactKey, verifyKey, wasIssued } from '../../dist/index.js';
import { countByOperation, vectorFiles } from '../vectors/files.mjs';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ROOT_SECRET = '00'.repeat(32);

// What a vector's input may hold (tests/vectors/SPEC.md, section 7). `?` ends the name of a field that may be absent; a
// list of one shape is a list of any length.
const leaf = true;
const bytes = { 'text?': leaf, 'hex?': leaf, 'repeat?': leaf, 'count?': leaf };
const digest = { root: leaf, hmac: leaf };
const secret = { ...digest, 'number?': leaf, 'status?': leaf, 'until?': leaf, 'created_at?': leaf };
const record = Object.fromEntries(
  ('id brand environment name owner scopes created_at updated_at not_before expires_at allowed_ips denied_ips allowed_countries '
    + 'allowed_origins max_staleness_seconds rotation_days metadata status revoked_at revoke_reason version').split(' ').map((field) => [field, leaf]),
);
const facts = { 'environment?': leaf, 'address?': leaf, 'country?': leaf, 'origin?': leaf, 'scopes?': leaf };
const INPUTS = {
  'sha256': { message: bytes },
  'hmac-sha256': { key: bytes, message: bytes, 'length?': leaf },
  'hkdf-sha256': { ikm: bytes, salt: bytes, info: bytes, length: leaf },
  'parse': { key: leaf, 'brand?': leaf },
  'generate': { brand: leaf, environment: leaf, 'tag_key?': leaf, random: leaf },
  'tag': { tag_key: leaf, brand: leaf, environment: leaf, random: leaf },
  'issued': { key: leaf, tag_key: leaf, 'retired_tag_keys?': leaf },
  'subkey': { root_secret: leaf, label: leaf },
  'root-name': { root_secret: leaf },
  'digest': { key: leaf, brand: leaf, root_secret: leaf },
  'find': { key: leaf, root_secret: leaf, 'retired_root_secrets?': leaf, digests: [digest] },
  'scope-parse': { text: leaf, as: leaf },
  'scope-grants': { held: leaf, needed: leaf },
  'scope-beyond': { held: leaf, given: leaf },
  'range': { text: leaf },
  'address': { address: leaf, allowed: leaf, denied: leaf },
  'instant': { text: leaf },
  'verdict': {
    key: leaf, brand: leaf, root_secret: leaf, 'retired_root_secrets?': leaf, 'tag_key?': leaf, 'retired_tag_keys?': leaf,
    stored: { record, secrets: [secret] }, 'facts?': facts, now: leaf,
  },
};

/** Fails where a value has another shape than it may have. */
function expectShape(value, shape, path) {
  if (shape === leaf || value === null) return;
  if (Array.isArray(shape)) {
    value.forEach((entry, index) => expectShape(entry, shape[0], `${path}[${index}]`));
    return;
  }
  const names = new Map(Object.entries(shape).map(([name, inner]) => [name.replace('?', ''), inner]));
  for (const name of Object.keys(value)) assert.ok(names.has(name), `unknown field ${path}.${name}`);
  for (const name of Object.keys(shape)) assert.ok(name.endsWith('?') || Object.hasOwn(value, name), `missing field ${path}.${name}`);
  for (const [name, inner] of Object.entries(value)) expectShape(inner, names.get(name), `${path}.${name}`);
}

/** The outcome of a call as a vector writes it. */
function outcome(call) {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof KeywardError)) throw error;
    return error.code === 'INVALID_REQUEST' ? { error: error.code, field: error.message.split(':')[0] } : { error: error.code };
  }
}

/** Runs a call whose random bytes come from blocks of 64, all of which it must use. */
function withRandom(blocks, call) {
  const left = [...blocks];
  Object.defineProperty(globalThis.crypto, 'getRandomValues', {
    configurable: true,
    value: (view) => {
      assert.equal(view.length, 64, 'random bytes are drawn in blocks of 64');
      assert.ok(left.length > 0, 'more random bytes were drawn than the vector holds');
      view.set(left.shift());
      return view;
    },
  });
  try {
    const result = call();
    assert.equal(left.length, 0, 'random bytes are left over');
    return result;
  } finally {
    delete globalThis.crypto.getRandomValues;
  }
}

function blocksOf(hex) {
  const all = Buffer.from(hex, 'hex');
  assert.equal(all.length % 64, 0, 'random bytes come in blocks of 64');
  return Array.from({ length: all.length / 64 }, (_, at) => all.subarray(64 * at, 64 * at + 64));
}

function verifier({ brand, root_secret: rootSecret, retired_root_secrets: retiredRootSecrets = [] }) {
  return new Verifier({ brand, rootSecret, retiredRootSecrets });
}

/** A verifier that holds one key, with these changes to a record that restricts nothing; and the key. */
function holding(change) {
  const key = generateKey({ brand: 'psk' });
  const held = new Verifier({ brand: 'psk', rootSecret: ROOT_SECRET });
  held.hold({ record: { ...unrestricted(parseKey(key)), ...change }, secrets: [held.digest(key)] });
  return { held, key };
}

function unrestricted({ brand, environment, id }) {
  const at = '2026-01-01T00:00:00.000Z';
  return {
    id, brand, environment, name: 'n', owner: 'o', scopes: [], created_at: at, updated_at: at, not_before: null, expires_at: null,
    allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [], max_staleness_seconds: 5, metadata: {},
    status: 'active', revoked_at: null, revoke_reason: null, version: 1,
  };
}

/** Whether a call is refused as a bad request; the API tells by its message only which failure it was. */
function refused(call) {
  const result = outcome(() => {
    call();
    return {};
  });
  if (result.error !== undefined) assert.equal(result.error, 'INVALID_REQUEST');
  return result.error !== undefined;
}

const isRefusal = (expect) => Object.hasOwn(expect, 'error');

// How each operation is run. `tells` says what of the expectation the API does not show, where it does not show all.
const RUN = {
  'parse': {
    tells: 'all but the secret',
    run({ key, brand }, expect) {
      const { secret, ...shown } = expect;
      assert.deepEqual(outcome(() => ({ ...parseKey(key, { brand }) })), shown);
      // Redaction takes any brand: it shows the redacted form of exactly what is a key.
      const anyBrand = expect.error === 'BRAND' ? outcome(() => parseKey(key)) : expect;
      assert.equal(redactKey(key), anyBrand.redacted ?? '[not a key]');
    },
  },
  'generate': {
    run({ brand, environment, tag_key: tagKey, random }, expect) {
      const generate = () => ({ key: generateKey({ brand, environment, tagKey }) });
      assert.deepEqual(outcome(() => withRandom(blocksOf(random), generate)), expect);
    },
  },
  'tag': {
    run({ brand, environment, tag_key: tagKey, random }, expect) {
      const characters = Uint8Array.from({ length: 64 }, (_, at) => Math.max(0, DIGITS.indexOf(random[at] ?? '0')));
      const generate = () => generateKey({ brand, environment, tagKey });
      const id = () => parseKey(withRandom([characters, new Uint8Array(64)], generate)).id;
      assert.deepEqual(outcome(() => ({ tag: id().slice(10) })), expect);
    },
  },
  'issued': {
    run({ key, tag_key: current, retired_tag_keys: retired = [] }, expect) {
      // One tag key at a time is what the API takes; all are asked, since a bad one must be refused wherever it stands.
      const asked = () => [current, ...retired].map((tagKey) => wasIssued(key, tagKey));
      assert.deepEqual(outcome(() => ({ issued: asked().includes(true) })), expect);
    },
  },
  'root-name': {
    run({ root_secret: rootSecret }, expect) {
      const key = generateKey({ brand: 'psk' });
      assert.deepEqual(outcome(() => ({ root: new Verifier({ brand: 'psk', rootSecret }).digest(key).root })), expect);
    },
  },
  'digest': {
    run(input, expect) {
      assert.deepEqual(outcome(() => ({ ...verifier(input).digest(input.key) })), expect);
    },
  },
  'find': {
    tells: 'whether, not where',
    run(input, expect) {
      const check = () => {
        const parts = parseKey(input.key);
        const held = verifier({ ...input, brand: parts.brand });
        held.hold({ record: unrestricted(parts), secrets: input.digests });
        return held.check(input.key);
      };
      // A verifier is made of secrets before it sees a key, so a bad one is refused first.
      const result = outcome(() => (verifier({ ...input, brand: 'psk' }), { code: check() }));
      assert.deepEqual(result, isRefusal(expect) ? expect : { code: expect.position === null ? 'NOT_FOUND' : 'VALID' });
    },
  },
  'scope-parse': {
    tells: 'whether it is one',
    run({ text, as }, expect) {
      const { held, key } = holding({});
      const call = as === 'held' ? () => holding({ scopes: [text] }) : () => held.checkScope(key, text);
      assert.equal(refused(call), isRefusal(expect));
    },
  },
  'scope-grants': {
    run({ held: scopes, needed }, expect) {
      assert.equal(grants(scopes, needed), expect.granted);
      const { held, key } = holding({ scopes });
      const codes = needed.map((scope) => held.checkScope(key, scope));
      assert.ok(codes.every((code) => ['VALID', 'INSUFFICIENT_SCOPE'].includes(code)), String(codes));
      assert.equal(codes.every((code) => code === 'VALID'), expect.granted);
    },
  },
  'range': {
    tells: 'whether it is one',
    run({ text }, expect) {
      assert.equal(refused(() => holding({ allowed_ips: [text] })), isRefusal(expect));
    },
  },
  'instant': {
    tells: 'all but how it is written',
    run({ text }, expect) {
      assert.equal(refused(() => holding({ expires_at: text })), isRefusal(expect));
      if (isRefusal(expect)) return;
      const { held, key } = holding({ expires_at: text });
      assert.equal(held.check(key, expect.milliseconds), 'EXPIRED');
      const first = Date.parse('0000-01-01T00:00:00Z');
      if (expect.milliseconds > first) assert.equal(held.check(key, expect.milliseconds - 1), 'VALID');
    },
  },
  'address': {
    run({ address, allowed, denied }, expect) {
      assert.deepEqual({ passes: addressAllowed(address, { allowed, denied }) }, expect);
    },
  },
  'verdict': {
    /** Why a verdict lies outside of what the API decides, if it does. */
    outside({ key, tag_key: tagKey, retired_tag_keys: retired = [] }) {
      const decides = tagKey !== undefined && redactKey(key) !== '[not a key]' && ![tagKey, ...retired].some((one) => wasIssued(key, one));
      return decides ? 'the verifier does not look at tags' : undefined;
    },
    run({ key, stored, facts: { address: ip, ...facts } = {}, now, tag_key: _, retired_tag_keys: __, ...of }, expect) {
      const at = Date.parse(now);
      const verdict = verifyKey(key, stored, { verifier: verifier(of), ...facts, ...(ip === undefined ? {} : { ip }), now: at });
      assert.deepEqual({ code: verdict.code }, expect);
      assert.equal(verdict.valid, expect.code === 'VALID');
      if (Object.keys({ ...facts, ip }).some((fact) => fact !== 'scopes' && { ...facts, ip }[fact] !== undefined)) return;
      // Held, and asked for one scope at a time: all must pass, and the first failure is the code.
      const held = verifier(of);
      if (stored) held.hold(stored);
      const { scopes = [] } = facts;
      const codes = scopes.length > 0 ? scopes.map((scope) => held.checkScope(key, scope, at)) : [held.check(key, at)];
      assert.deepEqual({ code: codes.find((code) => code !== 'VALID') ?? 'VALID' }, expect);
    },
  },
};

const files = vectorFiles();
const leftOut = {};

test('every vector that the public API can run holds', async (t) => {
  for (const { name, operation, json } of files) {
    const vector = JSON.parse(json);
    const runner = RUN[operation];
    const reason = runner ? runner.outside?.(vector.input) : 'not offered';
    if (reason) leftOut[`${operation}: ${reason}`] = (leftOut[`${operation}: ${reason}`] ?? 0) + 1;
    await t.test(name, (each) => {
      expectShape(vector, { description: leaf, 'source?': leaf, operation: leaf, input: INPUTS[operation] ?? {}, expect: leaf }, '');
      assert.equal(vector.operation, operation, 'the file does not lie in the folder of its operation');
      if (reason) each.skip(reason);
      else runner.run(vector.input, vector.expect);
    });
  }
});

test('the operations are the known ones, each with vectors', () => {
  assert.deepEqual(Object.keys(countByOperation(files)).sort(), Object.keys(INPUTS).sort());
});

test('what the API does not offer is exactly this', (t) => {
  const missing = Object.keys(INPUTS).filter((operation) => !RUN[operation]);
  assert.deepEqual(missing, ['sha256', 'hmac-sha256', 'hkdf-sha256', 'subkey', 'scope-beyond']);
  for (const [what, count] of Object.entries(leftOut)) t.diagnostic(`left out: ${what} (${count})`);
  for (const [operation, { tells }] of Object.entries(RUN)) if (tells) t.diagnostic(`in part: ${operation} (${tells})`);
  const sum = Object.values(leftOut).reduce((a, b) => a + b, 0);
  t.diagnostic(`${files.length} vectors: ${files.length - sum} run, ${sum} left out`);
});

test('a field that is not known is refused at every level of a vector', () => {
  const { input } = JSON.parse(files.find((file) => file.name === 'verdict/valid-all-facts.json').json);
  expectShape(input, INPUTS.verdict, 'input');
  for (const place of [(i) => i, (i) => i.facts, (i) => i.stored, (i) => i.stored.record, (i) => i.stored.secrets[0]]) {
    const changed = structuredClone(input);
    place(changed).unheard_of = 1;
    assert.throws(() => expectShape(changed, INPUTS.verdict, 'input'), /unknown field .*unheard_of/);
  }
});
