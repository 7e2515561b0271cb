// How the JavaScript API behaves at its edges: what it refuses and how, what it never shows, what survives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequire } from 'node:module';
import fc, { holds } from '../property.mjs';
import { KeywardError, Verifier, addressAllowed, digestKey, generateKey, grants, issueKey, parseKey, ready, redactKey, sessionClaims, verifyKey, wasIssued } from '../../dist/index.js';

const CODES = ['LENGTH', 'ALPHABET', 'STRUCTURE', 'BRAND', 'CHECK', 'INVALID_REQUEST', 'INVALID_SECRET', 'SESSION', 'TYPE'];
const ROOT_SECRET = 'ab'.repeat(32);
const TAG_KEY = 'cd'.repeat(32);
const KEY = generateKey({ brand: 'psk' });

const record = {
  id: parseKey(KEY).id, brand: 'psk', environment: 'live', name: 'server-prod', owner: 'acme', scopes: ['calls:create'],
  created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z', not_before: null, expires_at: null,
  allowed_ips: [], denied_ips: [], allowed_countries: [], allowed_origins: [], max_staleness_seconds: 5, metadata: {},
  status: 'active', revoked_at: null, revoke_reason: null, version: 1,
};

function verifier() {
  return new Verifier({ brand: 'psk', rootSecret: ROOT_SECRET });
}

function stored(change = {}, secrets = [verifier().digest(KEY)]) {
  return { record: { ...record, ...change }, secrets };
}

function holding(change) {
  const held = verifier();
  held.hold(stored(change));
  return held;
}

/** Fails if a text shows eight characters in a row of the key's secret. */
function showsNoSecret(text, key) {
  const secret = key.slice(key.length - 33);
  for (let at = 0; at + 8 <= secret.length; at += 1) assert.ok(!text.includes(secret.slice(at, at + 8)), `shows the secret: ${text}`);
}

/** The error of a call that must be refused as keyward refuses: by a KeywardError with a documented code. */
function refusal(call, what) {
  let error;
  try {
    call();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error !== undefined, `${what}: was taken`);
  assert.ok(error instanceof KeywardError, `${what}: ${error?.constructor?.name}: ${error?.message}`);
  assert.ok(error instanceof Error && error.name === 'KeywardError', what);
  assert.ok(CODES.includes(error.code), `${what}: ${error.code}`);
  assert.ok(error.message.length > 0 && error.message.length < 300, `${what}: a message of ${error.message.length} characters`);
  return error;
}

/** Fails unless the next call of each kind works as ever. */
function worksAsEver(what) {
  assert.equal(parseKey(KEY, { brand: 'psk' }).id, record.id, what);
  assert.equal(holding({}).checkScope(KEY, 'calls:create'), 'VALID', what);
  assert.match(generateKey({ brand: 'psk', tagKey: TAG_KEY }), /^psk_live_/, what);
}

const replaced = (at, by) => KEY.slice(0, at) + by + KEY.slice(at + 1);
const nearlyKeys = {
  'an empty text': '',
  'a key cut off': KEY.slice(0, -1),
  'a key with something after it': `${KEY}0`,
  'a key and a newline': `${KEY}\n`,
  'a key with a wrong check': replaced(58, KEY[58] === '0' ? '1' : '0'),
  'a key in quotes': `"${KEY}"`,
  'two keys': KEY + KEY,
  'a key with its scheme': `Bearer ${KEY}`,
  'a key in upper case': KEY.toUpperCase(),
};

// Whatever is no string, among it what would become the key if it were asked to.
const notStrings = {
  'undefined': undefined, 'null': null, 'a number': 5, 'NaN': Number.NaN, 'a bigint': 10n, 'a boolean': true, 'a symbol': Symbol('key'),
  'an array': [], 'an array of the key': [KEY], 'an object': {}, 'a function': () => KEY,
  'a String object': Object(KEY), 'an object that becomes the key': { toString: () => KEY, toJSON: () => KEY },
};

test('what is no key is refused with a code, and the error never shows the text', () => {
  for (const [what, text] of Object.entries(nearlyKeys)) {
    const calls = [() => parseKey(text), () => parseKey(text, { brand: 'psk' }), () => wasIssued(text, TAG_KEY), () => verifier().digest(text)];
    for (const call of calls) {
      const error = refusal(call, what);
      for (const shown of [error.message, String(error), error.stack, JSON.stringify(error)]) showsNoSecret(shown, KEY);
    }
    assert.equal(verifier().check(text), 'MALFORMED', what);
  }
  worksAsEver('after texts that are no keys');
});

test('a key in a place where none belongs is refused without being shown', () => {
  const places = {
    'brand': () => generateKey({ brand: KEY }),
    'environment': () => generateKey({ brand: 'psk', environment: KEY }),
    'tag key': () => generateKey({ brand: 'psk', tagKey: KEY }),
    'tag key asked about': () => wasIssued(KEY, KEY),
    'expected brand': () => parseKey(KEY, { brand: KEY }),
    'root secret': () => new Verifier({ brand: 'psk', rootSecret: KEY }),
    'retired root secret': () => new Verifier({ brand: 'psk', rootSecret: ROOT_SECRET, retiredRootSecrets: [KEY] }),
    'scope': () => verifier().checkScope(KEY, KEY),
  };
  for (const [what, call] of Object.entries(places)) showsNoSecret(refusal(call, what).message, KEY);
});

test('a key in a stored record where none belongs is refused without being shown', async (t) => {
  const places = {
    'for the stored key': KEY,
    'for the record': { record: KEY, secrets: [] },
    'for the secrets': { record, secrets: KEY },
    'for a secret': { record, secrets: [KEY] },
    'for a root name': { record, secrets: [{ root: KEY, hmac: KEY }] },
    ...Object.fromEntries(
      ['scopes', 'created_at', 'expires_at', 'allowed_ips', 'max_staleness_seconds', 'metadata', 'status', 'version'].map((field) => [
        `in ${field}`,
        stored({ [field]: KEY }),
      ]),
    ),
    'in a list of scopes': stored({ scopes: [KEY] }),
    'in a list of ranges': stored({ allowed_ips: [KEY] }),
  };
  for (const [what, value] of Object.entries(places)) {
    await t.test(what, () => {
      const error = refusal(() => verifier().hold(value), what);
      assert.equal(error.code === 'INVALID_REQUEST' || error.code === 'TYPE', true, error.code);
      showsNoSecret(error.message, KEY);
    });
  }
});

test('whatever is no string is refused where a string belongs, and the next call works', async (t) => {
  const places = {
    'parseKey key': (value) => parseKey(value),
    'parseKey brand': (value) => parseKey(KEY, { brand: value }),
    'generateKey brand': (value) => generateKey({ brand: value }),
    'generateKey environment': (value) => generateKey({ brand: 'psk', environment: value }),
    'generateKey tagKey': (value) => generateKey({ brand: 'psk', tagKey: value }),
    'wasIssued key': (value) => wasIssued(value, TAG_KEY),
    'wasIssued tagKey': (value) => wasIssued(KEY, value),
    'Verifier brand': (value) => new Verifier({ brand: value, rootSecret: ROOT_SECRET }),
    'Verifier rootSecret': (value) => new Verifier({ brand: 'psk', rootSecret: value }),
    'Verifier retiredRootSecrets, an entry': (value) => new Verifier({ brand: 'psk', rootSecret: ROOT_SECRET, retiredRootSecrets: [value] }),
    'digest': (value) => verifier().digest(value),
    'release': (value) => verifier().release(value),
    'checkScope scope': (value) => holding({}).checkScope(KEY, value),
  };
  // Left out is what these mean by undefined.
  const optional = ['parseKey brand', 'generateKey environment', 'generateKey tagKey'];
  for (const [place, call] of Object.entries(places)) {
    await t.test(place, () => {
      for (const [what, value] of Object.entries(notStrings)) {
        if (value === undefined && optional.includes(place)) continue;
        assert.equal(refusal(() => call(value), what).code, 'TYPE', what);
        worksAsEver(`${place}: after ${what}`);
      }
    });
  }
});

test('whatever is no string is a malformed key and redacts to nothing', () => {
  const held = holding({});
  for (const [what, value] of Object.entries(notStrings)) {
    assert.equal(held.check(value), 'MALFORMED', what);
    assert.equal(held.checkScope(value, 'calls:create'), 'MALFORMED', what);
    assert.equal(redactKey(value), '[not a key]', what);
  }
  worksAsEver('after values that are no keys');
});

test('options that are none are refused, and the next call works', async (t) => {
  const circular = {};
  circular.self = circular;
  const list = (retiredRootSecrets) => new Verifier({ brand: 'psk', rootSecret: ROOT_SECRET, retiredRootSecrets });
  const calls = {
    'generateKey of nothing': () => generateKey(),
    'generateKey of null': () => generateKey(null),
    'parseKey with null': () => parseKey(KEY, null),
    'Verifier of nothing': () => new Verifier(),
    'Verifier of null': () => new Verifier(null),
    'retired root secrets as null': () => list(null),
    'retired root secrets as a number': () => list(5),
    'retired root secrets as an object': () => list({}),
    'retired root secrets as one text': () => list(ROOT_SECRET),
    'hold of nothing': () => verifier().hold(),
    'hold of null': () => verifier().hold(null),
    'hold of a number': () => verifier().hold(5),
    'hold of a function': () => verifier().hold(() => stored()),
    'hold of an empty object': () => verifier().hold({}),
    'hold of an array': () => verifier().hold([]),
    'hold of a circle': () => verifier().hold(circular),
    'hold of an object that is nothing in JSON': () => verifier().hold({ toJSON: () => undefined }),
    'hold of a bigint inside': () => verifier().hold(stored({ version: 1n })),
  };
  for (const [what, call] of Object.entries(calls)) {
    await t.test(what, () => {
      refusal(call, what);
      worksAsEver(`after ${what}`);
    });
  }
});

test('empty strings are refused like any other that does not fit', () => {
  assert.equal(refusal(() => parseKey(''), 'key').code, 'LENGTH');
  assert.equal(refusal(() => parseKey(KEY, { brand: '' }), 'expected brand').code, 'BRAND');
  assert.equal(refusal(() => generateKey({ brand: '' }), 'brand').code, 'INVALID_REQUEST');
  assert.equal(refusal(() => generateKey({ brand: 'psk', environment: '' }), 'environment').code, 'INVALID_REQUEST');
  assert.equal(refusal(() => generateKey({ brand: 'psk', tagKey: '' }), 'tag key').code, 'INVALID_SECRET');
  assert.equal(refusal(() => new Verifier({ brand: 'psk', rootSecret: '' }), 'root secret').code, 'INVALID_SECRET');
  assert.equal(refusal(() => verifier().checkScope(KEY, ''), 'scope').code, 'INVALID_REQUEST');
  assert.equal(verifier().check(''), 'MALFORMED');
  assert.equal(verifier().release(''), false);
  assert.equal(redactKey(''), '[not a key]');
  worksAsEver('after empty strings');
});

test('lone surrogates are refused, and the next call works', () => {
  for (const surrogate of ['\ud800', '\udc00', '\udc00\ud800']) {
    assert.equal(refusal(() => parseKey(replaced(30, surrogate)), 'in a key').code, 'ALPHABET');
    assert.equal(refusal(() => generateKey({ brand: `ps${surrogate}` }), 'in a brand').code, 'INVALID_REQUEST');
    assert.equal(refusal(() => verifier().checkScope(KEY, `calls:${surrogate}`), 'in a scope').code, 'INVALID_REQUEST');
    assert.equal(refusal(() => verifier().hold(stored({ owner: surrogate })), 'in a record').code, 'INVALID_REQUEST');
    assert.equal(verifier().check(replaced(30, surrogate)), 'MALFORMED');
    assert.equal(verifier().release(surrogate), false);
    assert.equal(redactKey(KEY + surrogate), '[not a key]');
    worksAsEver('after a lone surrogate');
  }
});

test('strings of ten megabytes are refused, and the next call works', () => {
  for (const [what, text] of [['ASCII', 'x'.repeat(1e7)], ['two-byte', 'é'.repeat(5e6)], ['surrogate pairs', '🔑'.repeat(25e5)], ['the key again and again', KEY.repeat(2e5)]]) {
    assert.equal(refusal(() => parseKey(text), what).code, 'LENGTH');
    assert.equal(refusal(() => parseKey(KEY, { brand: text }), what).code, 'BRAND');
    assert.equal(refusal(() => generateKey({ brand: text }), what).code, 'INVALID_REQUEST');
    assert.equal(refusal(() => wasIssued(KEY, text), what).code, 'INVALID_SECRET');
    assert.equal(refusal(() => new Verifier({ brand: 'psk', rootSecret: text }), what).code, 'INVALID_SECRET');
    assert.equal(refusal(() => verifier().checkScope(KEY, text), what).code, 'INVALID_REQUEST');
    refusal(() => verifier().hold(stored({ status: text })), what);
    assert.equal(verifier().check(text), 'MALFORMED');
    assert.equal(verifier().release(text), false);
    assert.equal(redactKey(text), '[not a key]');
    worksAsEver(`after ${what}`);
  }
});

test('a moment that is no finite number never makes an expired or a future key valid', async (t) => {
  const expired = holding({ expires_at: '2026-02-01T00:00:00Z' });
  const future = holding({ not_before: '9000-01-01T00:00:00Z' });
  const moments = { 'NaN': Number.NaN, 'Infinity': Infinity, '-Infinity': -Infinity, 'null': null, 'a text': 'yesterday', 'an object': {}, 'an array': [], 'a boolean': false, 'a bigint': 5n, 'an invalid date': new Date('x') };
  for (const [what, now] of Object.entries(moments)) {
    await t.test(what, () => {
      for (const held of [expired, future]) {
        for (const call of [() => held.check(KEY, now), () => held.checkScope(KEY, 'calls:create', now)]) {
          let code;
          try {
            code = call();
          } catch (error) {
            assert.ok(error instanceof KeywardError, `${what}: ${error}`);
          }
          assert.notEqual(code, 'VALID', what);
        }
      }
    });
  }
});

test('a verdict at a moment left out is that of now', () => {
  const at = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
  assert.equal(holding({ expires_at: at(3600) }).check(KEY), 'VALID');
  assert.equal(holding({ expires_at: at(-3600) }).check(KEY), 'EXPIRED');
  assert.equal(holding({ not_before: at(3600) }).check(KEY, undefined), 'NOT_YET_VALID');
});

test('what is held replaces what was held under the same id, and what is released is not found', () => {
  const held = holding({});
  assert.equal(held.check(KEY), 'VALID');
  held.hold(stored({ status: 'disabled' }));
  assert.equal(held.check(KEY), 'DISABLED');
  assert.throws(() => held.hold(stored({ status: 'unheard of' })));
  assert.equal(held.check(KEY), 'DISABLED', 'what is refused replaces nothing');
  assert.equal(held.release(record.id), true);
  assert.equal(held.release(record.id), false);
  assert.equal(held.check(KEY), 'NOT_FOUND');
});

test('what a verifier took in hand does not change with the object it was taken from', () => {
  const object = stored();
  const held = verifier();
  held.hold(object);
  object.record.status = 'revoked';
  object.secrets.length = 0;
  assert.equal(held.check(KEY), 'VALID');
});

test('metadata named like parts of an object stays data', () => {
  const metadata = JSON.parse('{"__proto__": {"polluted": true, "status": "revoked"}, "constructor": {"prototype": {"polluted": true}}, "toString": "x", "toJSON": null}');
  assert.ok(Object.hasOwn(metadata, '__proto__'));
  assert.equal(holding({ metadata }).check(KEY), 'VALID');
  assert.equal({}.polluted, undefined);
  assert.equal(Object.getPrototypeOf(parseKey(KEY)), Object.prototype);
  assert.deepEqual(Object.keys(parseKey(KEY)), ['brand', 'environment', 'id', 'redacted']);
  assert.deepEqual(Object.keys(verifier().digest(KEY)), ['root', 'hmac']);
});

test('ten thousand generated keys are all different and all well formed', () => {
  for (const tagKey of [undefined, TAG_KEY]) {
    const [keys, ids, secrets, characters] = [new Set(), new Set(), new Set(), new Set()];
    for (let made = 0; made < 10_000; made += 1) {
      const key = generateKey({ brand: 'acme2', environment: 'test', tagKey });
      assert.match(key, /^acme2_test_[0-9A-Za-z]{16}_[0-9A-Za-z]{33}$/);
      const parts = parseKey(key, { brand: 'acme2' });
      assert.equal(parts.redacted, `acme2_test_${parts.id}_…`);
      if (tagKey) assert.ok(wasIssued(key, tagKey));
      keys.add(key);
      ids.add(parts.id);
      const secret = key.slice(28, 55);
      secrets.add(secret);
      for (const character of secret) characters.add(character);
    }
    assert.deepEqual([keys.size, ids.size, secrets.size, characters.size], [10_000, 10_000, 10_000, 62]);
  }
});

test('without a tag key an id is not one that was issued under any', () => {
  const issued = Array.from({ length: 100 }, () => wasIssued(generateKey({ brand: 'psk' }), TAG_KEY));
  assert.ok(!issued.includes(true));
});

test('redaction shows the public part of a key and never the text of what is none', () => {
  const redacted = redactKey(KEY);
  assert.equal(redacted, `psk_live_${record.id}_…`);
  showsNoSecret(redacted, KEY);
  for (const [what, text] of Object.entries(nearlyKeys)) assert.equal(redactKey(text), '[not a key]', what);
  assert.equal(redactKey(redacted), '[not a key]', 'a redacted form');
});

test('an error is an Error of the class that the package exports', () => {
  const error = refusal(() => parseKey('x'), 'a short text');
  assert.equal(Object.getPrototypeOf(error), KeywardError.prototype);
  assert.equal(Object.prototype.toString.call(error), '[object Error]');
  assert.match(error.stack, /api\.test\.mjs/, 'the stack leads to the caller');
  assert.equal(new KeywardError('TYPE', 'words').code, 'TYPE');
});

test('the package is ready from the start in Node', async () => {
  assert.equal(await ready(), undefined);
});

test('a verdict depends on what is handed over alone: a change in place is seen, whatever was seen before', () => {
  const held = verifier();
  const changing = structuredClone(stored());
  const code = (facts = {}) => verifyKey(KEY, changing, { verifier: held, ...facts }).code;
  const steps = [
    ['VALID', () => {}],
    ['REVOKED', () => (changing.record.status = 'revoked')],
    ['VALID', () => (changing.record.status = 'active')],
    ['EXPIRED', () => (changing.record.expires_at = '2026-02-01T00:00:00Z')],
    ['VALID', () => (changing.record.expires_at = null)],
    ['IP_NOT_ALLOWED', () => changing.record.allowed_ips.push('192.0.2.0/24')],
    ['IP_NOT_ALLOWED', () => (changing.record.allowed_ips[0] = '198.51.100.0/24'), { ip: '192.0.2.7' }],
    ['VALID', () => {}, { ip: '198.51.100.7' }],
    ['VALID', () => changing.record.allowed_ips.pop()],
    ['COUNTRY_NOT_ALLOWED', () => changing.record.allowed_countries.push('DE')],
    ['VALID', () => {}, { country: 'DE' }],
    ['ORIGIN_NOT_ALLOWED', () => changing.record.allowed_origins.push('https://shop.example'), { country: 'DE' }],
    ['INSUFFICIENT_SCOPE', () => {}, { country: 'DE', origin: 'https://shop.example', scopes: ['billing:read'] }],
    ['VALID', () => changing.record.scopes.push('billing:*'), { country: 'DE', origin: 'https://shop.example', scopes: ['billing:read', 'calls:create'] }],
    ['ROTATED_OUT', () => (changing.secrets[0].status = 'gone'), { country: 'DE', origin: 'https://shop.example' }],
    ['NOT_FOUND', () => (changing.secrets[0].hmac = '0'.repeat(64)), { country: 'DE', origin: 'https://shop.example' }],
    ['NOT_FOUND', () => changing.secrets.pop()],
  ];
  for (const [expected, change, facts] of steps) {
    change();
    assert.equal(code(facts), expected);
    assert.equal(code(facts), expected, 'and again');
  }
  assert.equal(verifyKey(KEY, undefined, { verifier: held }).code, 'NOT_FOUND');
  assert.equal(verifyKey(KEY, null, { verifier: held, environment: 'test' }).code, 'ENVIRONMENT_MISMATCH');
});

test('a verdict says whose the key is, and that its secret is being replaced', () => {
  const until = '2999-01-01T00:00:00Z';
  const metadata = JSON.parse('{"__proto__": {"admin": true}, "plan": "free"}');
  const [digest] = stored().secrets;
  assert.deepEqual(digestKey(KEY, { verifier: verifier() }), digest);
  const verdict = verifyKey(KEY, stored({ metadata }, [{ ...digest, status: 'retiring', until }]), { verifier: verifier() });
  assert.equal(verdict.valid, true);
  assert.equal(verdict.key_id, record.id);
  assert.match(verdict.warning, /replaced and works until 2999-01-01T00:00:00Z/);
  // What is called __proto__ stays a name like any other.
  assert.deepEqual(Object.keys(verdict.metadata), ['__proto__', 'plan']);
  assert.equal(verdict.metadata.admin, undefined);
  assert.equal({}.admin, undefined);
  assert.deepEqual(verifyKey(KEY, stored({ status: 'revoked' }), { verifier: verifier() }), { valid: false, code: 'REVOKED', key_id: record.id });
  const another = generateKey({ brand: 'psk' });
  assert.deepEqual(verifyKey(another, stored(), { verifier: verifier() }), { valid: false, code: 'NOT_FOUND', key_id: null });
});

test('frozen, proxied and inherited records are read like any other', () => {
  const frozen = Object.freeze({ record: Object.freeze({ ...record, scopes: Object.freeze(['calls:create']) }), secrets: Object.freeze(stored().secrets.map(Object.freeze)) });
  const proxied = new Proxy(stored(), { get: (target, name) => (typeof target[name] === 'object' ? new Proxy(target[name], {}) : target[name]) });
  for (const value of [frozen, proxied, Object.create(stored())]) {
    for (let i = 0; i < 3; i += 1) assert.equal(verifyKey(KEY, value, { verifier: verifier(), scopes: ['calls:create'] }).code, 'VALID');
  }
});

test('a record of a newer version is refused where it may hold a restriction that this one does not know', () => {
  const error = refusal(() => verifyKey(KEY, stored({ allowed_asns: [64496] }), { verifier: verifier() }), 'unknown field');
  assert.equal(error.code, 'INVALID_REQUEST');
  assert.match(error.message, /record\.allowed_asns is not known to this version/);
  for (const change of [{ status: 'frozen' }, { scopes: ['calls:create:twice'] }, { allowed_ips: ['2001:db8::/129'] }]) refusal(() => verifyKey(KEY, stored(change), { verifier: verifier() }), JSON.stringify(change));
  worksAsEver('after newer records');
});

test('objects that throw, recurse or change while they are read end in an error or a verdict, and the next call works', () => {
  const held = verifier();
  const throwing = (name) => new Proxy(stored(), { get: (target, field) => { if (field === name) throw new Error(KEY); return target[field]; } });
  for (const name of ['record', 'secrets']) {
    const error = refusal2(() => held.verify(KEY, throwing(name)));
    showsNoSecret(error.message, KEY);
  }
  // A getter that verifies another key in the midst of it.
  const nosy = { ...stored(), get record() { held.verify(generateKey({ brand: 'psk' }), stored(), { scopes: ['billing:read'] }); return record; } };
  for (let i = 0; i < 3; i += 1) assert.equal(held.verify(KEY, nosy, { scopes: ['calls:create'] }).code, 'VALID');
  let reads = 0;
  const fickle = { ...stored(), get record() { reads += 1; return { ...record, status: reads % 2 ? 'active' : 'revoked' }; } };
  for (let i = 0; i < 20; i += 1) assert.ok(['VALID', 'REVOKED'].includes(held.verify(KEY, fickle).code));
  worksAsEver('after hostile objects');
});

/** As {@link refusal}, where the code may be the one for what was not foreseen. */
function refusal2(call) {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof KeywardError, String(error));
    return error;
  }
  return assert.fail('was taken');
}

test('whatever is given, the answer is a verdict or a KeywardError, and never a trap', () => {
  const held = verifier();
  const anything = fc.oneof(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true, withTypedArray: true }), fc.string({ unit: 'binary' }), fc.constantFrom(KEY, KEY.slice(1), undefined, null));
  const recordLike = fc.record(Object.fromEntries(Object.entries(record).map(([field, value]) => [field, fc.oneof({ weight: 6, arbitrary: fc.constant(value) }, anything)])), { requiredKeys: [] });
  const storedLike = fc.oneof(anything, fc.record({ record: fc.oneof(recordLike, anything), secrets: fc.oneof(fc.constant(stored().secrets), fc.array(anything), anything) }));
  const facts = fc.record({ scopes: fc.oneof(fc.array(fc.oneof(fc.constant('calls:create'), anything)), anything), environment: anything, ip: anything, country: anything, origin: anything, now: anything }, { requiredKeys: [] });
  const calls = [
    (a, b, c) => held.verify(a, b, c), (a, b, c) => verifyKey(a, b, { verifier: held, ...c }), (_, b) => held.hold(b), (a) => held.digest(a), (a) => parseKey(a), (a, b) => generateKey({ brand: a, tagKey: b }),
    (a) => sessionClaims(a), (a, b) => grants([a], [b]), (a, b) => addressAllowed(a, { allowed: [b] }), (a) => held.checkScope(KEY, a), (a) => wasIssued(KEY, a),
  ];
  holds(fc.property(anything, storedLike, facts, (a, b, c) => {
    for (const call of calls) {
      try {
        call(a, b, c);
      } catch (error) {
        assert.ok(error instanceof KeywardError, `${error?.constructor?.name}: ${error?.stack}`);
        assert.notEqual(error.code, 'INTERNAL', error.message);
      }
    }
    assert.equal(held.verify(KEY, stored(), { scopes: ['calls:create'] }).code, 'VALID');
  }), { runs: 1000 });
});

test('holes end in errors by name, however often, and leave the core as it was', () => {
  const stores = { allowed_ips: ['192.0.2.0/24', '192.0.2.1'] };
  const torn = stored(stores);
  delete torn.record.allowed_ips[0];
  const held = verifier();
  // A failure inside the core would leave a piece of its stack behind, of which there is 1 MiB.
  for (let i = 0; i < 12_000; i += 1) {
    for (const call of [() => grants(new Array(1), []), () => grants(['a:b'], [,]), () => addressAllowed('192.0.2.1', { denied: [,] }), () => held.verify(KEY, torn)]) assert.throws(call, KeywardError);
  }
  assert.match(refusal(() => grants(new Array(1), []), 'grants').message, /^held\[0\] must be a string/);
  refusal(() => new Verifier({ brand: 'psk', rootSecret: ROOT_SECRET, retiredRootSecrets: [,] }), 'retired');
  worksAsEver('after many holes');
  assert.equal(held.verify(KEY, stored()).code, 'VALID');
});

test('code of the caller’s that runs while its objects are read changes no verdict on them', () => {
  const held = verifier();
  const good = stored();
  const scoped = { scopes: ['calls:create'] };
  for (let i = 0; i < 10_000; i += 1) {
    // A fact that has the same stored key read anew.
    const facts = { get scopes() { good.record.name = `name ${i}`; good.record.scopes = [i % 2 ? 'calls:*' : 'calls:create']; held.verify(KEY, good, scoped); return scoped.scopes; } };
    assert.equal(held.verify(KEY, good, facts).code, 'VALID');
  }
  // A needed scope that asks something else when it is looked at.
  const nosy = new Proxy(['billing:read'], { get: (list, at) => { if (at === '0') held.verify(KEY, stored(), scoped); return list[at]; } });
  held.verify(KEY, stored(), { scopes: ['billing:read'] });
  for (let i = 0; i < 3; i += 1) assert.equal(held.verify(KEY, stored(), { scopes: nosy }).code, 'INSUFFICIENT_SCOPE');
  // A stored key that does.
  const record = stored().record;
  const asking = { ...stored(), get record() { held.verify(KEY, stored(), scoped); return record; } };
  assert.equal(held.verify(KEY, asking, { scopes: ['billing:read'] }).code, 'INSUFFICIENT_SCOPE');
  worksAsEver('after code of the caller’s');
});

test('what is done to a verdict, or to what a key was issued with, is done to no record', () => {
  const good = stored();
  const { scopes } = verifyKey(KEY, good, { verifier: verifier() });
  assert.throws(() => scopes.push('admin:write'), TypeError);
  const defaults = { scopes: ['calls:create'], metadata: { seats: [1] }, rate_limits: [{ name: 'requests', limit: 1, window_seconds: 60, burst: 1, mode: 'exact' }] };
  const { stored: issued } = issueKey({ verifier: verifier(), name: 'n', owner: 'o', ...defaults });
  defaults.scopes.push('admin:write');
  defaults.metadata.seats.push(2);
  defaults.rate_limits[0].limit = 1e6;
  assert.deepEqual([issued.record.scopes, issued.record.metadata, issued.record.rate_limits[0].limit], [['calls:create'], { seats: [1] }, 1]);
});

test('a stored key is refused where it holds what would be passed over: limits that are no list, an unknown field of a secret, a replaced secret without an end', () => {
  const [secret] = stored().secrets;
  for (const [what, of] of Object.entries({
    'a limit without its list': stored({ rate_limits: { name: 'requests', limit: 0 } }), 'a set of quotas': stored({ quotas: new Set() }), 'an unknown field of a secret': stored({}, [{ ...secret, revoked: true }]),
    'retiring without an end': stored({}, [{ ...secret, status: 'retiring' }]),
  })) assert.equal(refusal(() => verifyKey(KEY, of, { verifier: verifier() }), what).code, 'INVALID_REQUEST');
  assert.equal(verifyKey(KEY, stored({}, [{ number: 1, ...secret, status: 'active', created_at: record.created_at }]), { verifier: verifier() }).code, 'VALID');
});

test('a verifier that is none is refused by name, and so is what a key cannot be issued with', () => {
  for (const call of [() => verifyKey(KEY, stored(), {}), () => digestKey(KEY, {}), () => issueKey({ name: 'n', owner: 'o' })]) assert.equal(refusal(call, String(call)).message, 'verifier must be a Verifier');
  const made = (change) => issueKey({ verifier: verifier(), name: 'n', owner: 'o', ...change });
  for (const change of [{ name: '' }, { name: 'a\nb' }, { name: 'x'.repeat(101) }, { owner: 'x'.repeat(201) }, { id: record.id }, { brand: 'other' }, { status: 'revoked' }, { now: 8.64e15 }, { now: -1 }, { metadata: { big: 1n } }]) refusal(() => made(change), JSON.stringify(change, (_, value) => String(value)));
  assert.equal(made({ expires_at: undefined, name: '😀'.repeat(100) }).stored.record.expires_at, null);
});

test('a hole in a list of a stored record is an entry that is no text, and refused by name', () => {
  for (const [field, holes] of [['scopes', new Array(1)], ['denied_ips', ['192.0.2.0/24', , '192.0.2.1']], ['allowed_ips', new Array(3)], ['allowed_countries', [,]], ['allowed_origins', [,]]]) {
    assert.match(refusal(() => verifyKey(KEY, stored({ [field]: holes }), { verifier: verifier() }), field).message, new RegExp(`record\\.${field}\\[[01]\\]`));
    refusal(() => verifier().hold(stored({ [field]: holes })), field);
  }
  refusal(() => verifyKey(KEY, stored({}, new Array(1)), { verifier: verifier() }), 'secrets');
});

test('scopes that are none are refused by name, after a call with the same facts too', () => {
  const held = verifier();
  for (const wrong of [null, 'calls:create', { length: 1, 0: 'calls:create' }, 5, Symbol('scopes')]) {
    assert.equal(held.verify(KEY, stored(), { scopes: ['calls:create'] }).code, 'VALID');
    assert.equal(refusal(() => held.verify(KEY, stored(), { scopes: wrong }), String(wrong)).message, 'scopes must be an array');
  }
  for (const wrong of [[undefined], ['calls:create', undefined], new Array(2), [null], [['calls:create']]]) {
    assert.match(refusal(() => held.verify(KEY, stored(), { scopes: wrong }), String(wrong)).message, /^scopes\[[01]\] must be a string/);
  }
});

test('scopes, ranges and the tokens of sessions have their helpers', () => {
  assert.equal(grants(['calls:*', 'keyward.*:*'], ['calls:create', 'keyward.keys:write']), true);
  assert.equal(grants(['*:*'], ['keyward.keys:write']), false);
  assert.equal(refusal(() => grants(['calls'], ['calls:create']), 'held').message.startsWith('held[0]'), true);
  assert.equal(addressAllowed('2001:db8::7', { allowed: ['2001:db8::/32'], denied: ['2001:db8:1::/48'] }), true);
  assert.equal(addressAllowed(undefined, { denied: ['192.0.2.0/24'] }), false);
  assert.equal(refusal(() => addressAllowed('192.0.2.1', { allowed: ['192.0.2.1/24'] }), 'range').message.startsWith('allowed[0]'), true);
  const payload = ['01020304', '0123456789abcdef', 'sms', '7', 'https://shop.example', '1800000000000', '5', '0', ''].join('\n');
  const token = `kws_${Buffer.from(payload).toString('base64url')}.${Buffer.alloc(32).toString('base64url')}`;
  assert.deepEqual({ ...sessionClaims(token) }, { id: '0123456789abcdef', route: 'sms', origin: 'https://shop.example', calls: 5, mock: false, expires_at: '2027-01-15T08:00:00.000Z', parent: null });
  for (const text of ['', 'kws_', token.slice(0, -1), KEY]) assert.equal(refusal(() => sessionClaims(text), text).code, 'SESSION');
});

test('an error that a require threw is one for who imports, and the other way round', () => {
  const required = createRequire(import.meta.url)('../../dist/cjs/index.js');
  const thrown = (parse) => refusal2(() => parse('no key'));
  assert.ok(thrown(required.parseKey) instanceof KeywardError);
  assert.ok(thrown(parseKey) instanceof required.KeywardError);
  assert.ok(!(new Error('another') instanceof KeywardError) && !(null instanceof KeywardError) && !({ code: 'TYPE' } instanceof KeywardError));
  assert.equal(required.verifyKey(KEY, stored(), { verifier: verifier() }).code, 'VALID');
});

test('a key is issued with its record, and what cannot be is refused by name', () => {
  const made = issueKey({ verifier: verifier(), name: 'n', owner: 'o', scopes: ['calls:*'], expires_at: '2999-01-01T00:00:00Z', environment: 'test', now: 0 });
  assert.equal(made.stored.record.created_at, '1970-01-01T00:00:00.000Z');
  assert.ok(!JSON.stringify(made.stored).includes(made.key.slice(-33)), 'what is stored does not hold the secret');
  assert.equal(verifyKey(made.key, JSON.parse(JSON.stringify(made.stored)), { verifier: verifier(), scopes: ['calls:create'], environment: 'test' }).code, 'VALID');
  assert.match(refusal(() => issueKey({ verifier: verifier(), name: 'n', owner: 'o', scope: ['calls:*'] }), 'scope').message, /record\.scope is not known/);
  assert.match(refusal(() => issueKey({ verifier: verifier(), name: 'n', owner: 'o', allowed_ips: ['192.0.2.1/24'] }), 'range').message, /record\.allowed_ips\[0\]/);
  assert.match(refusal(() => issueKey({ verifier: verifier(), owner: 'o' }), 'name').message, /record\.name is missing/);
});
