// Keys that leaked: reports by a partner, signed for real, and by one's own pipelines; what is done about them, once; the answer in
// one call, and the incident. Numbers as in ARCHITECTURE.md.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startProvider } from '../../.ci/provider.mjs';
import { root } from '../../.ci/setup.mjs';
import { Edges, authorization } from './edges.mjs';
import { Deployment, core, faulty, forge, mistyped, watched } from './harness.mjs';
import { Upstream, least, route, until } from './upstream.mjs';

const wrappers = [join(root, 'tests', 'worker', 'hooked.js')];
const DAY = 86_400_000;

const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256', publicKeyEncoding: { type: 'spki', format: 'pem' } });
const partner = pair();
const earlier = pair();
const PARTNERS = JSON.stringify({ public_keys: [
  { key_identifier: 'current', key: partner.publicKey, is_current: true },
  { key_identifier: 'earlier', key: earlier.publicKey, is_current: false },
] });

const hash = (token) => createHash('sha256').update(token).digest('base64');
const signed = (body, { by = partner, as = 'current' } = {}) => ({ 'Github-Public-Key-Identifier': as, 'Github-Public-Key-Signature': sign('sha256', Buffer.from(body), by.privateKey).toString('base64') });
const found = (token, fields = {}) => ({ token, type: 'keyward_key', url: 'https://git.example/acme/shop/blob/1/.env#L3', source: 'content', ...fields });
/** Sends a report as the partner does. */
const report = (keyward, tokens, options) => {
  const body = typeof tokens === 'string' ? tokens : JSON.stringify(tokens);
  return keyward.call('POST', '/v1/leaks/github', body, { key: null, headers: signed(body, options) });
};
const labels = ({ status, body, text }) => {
  assert.equal(status, 200, text);
  return body.map(({ label }) => label);
};
const TRUE = 'true_positive';
const FALSE = 'false_positive';

/** Everything that a deployment has on its disk. */
const stored = ({ state }) => readdirSync(join(state, 'objects')).map((folder) => join(state, 'objects', folder)).flatMap((folder) => readdirSync(folder).map((file) => readFileSync(join(folder, file), 'latin1')));

describe('leaks', () => {
  let keyward;
  let receiver;
  /** Texts of keys, none of which may stand anywhere. */
  const texts = [];

  before(async () => {
    receiver = await Upstream.start();
    keyward = await Deployment.start({ wrappers, env: { KEYWARD_LEAK_PARTNERS: PARTNERS, KEYWARD_LOCAL_WEBHOOKS: receiver.origin, KEYWARD_FOREIGN_PREFIXES: 'sk_live_:live' } });
    assert.equal((await keyward.call('PUT', '/v1/webhooks/pager', { url: `${receiver.origin}/hook` })).status, 200);
  });
  after(async () => {
    await keyward?.stop();
    await receiver?.stop();
  });

  const create = async (fields) => {
    const made = await keyward.create(fields);
    texts.push(made.key);
    return made;
  };
  const record = async (id) => (await keyward.call('GET', `/v1/keys/${id}`)).body;
  const incident = async (id, secret = 1) => (await keyward.call('GET', `/v1/incidents/inc_${id}_${secret}`)).body;
  const incidents = async (id) => (await keyward.call('GET', `/v1/incidents?key_id=${id}`)).body.data;
  const told = async (id) => {
    const all = await Promise.all(receiver.of('/hook').map(async (seen) => JSON.parse((await seen.body()).toString())));
    return all.filter(({ data }) => data.key?.id === id);
  };
  const respond = (id, body, options) => keyward.call('POST', `/v1/keys/${id}/leak-response`, body, options);
  const steps = ({ steps: all }) => all.filter(({ done_at }) => done_at).map(({ name }) => name);

  test('a report that a partner signed is answered in its order, and each key is dealt with as its policy says', async () => {
    const keys = {};
    for (const on_leak of ['notify', 'disable', 'revoke']) keys[on_leak] = await create({ name: on_leak, on_leak, owner: 'policies' });
    const unset = await create({ name: 'unset', owner: 'policies' });
    assert.deepEqual([unset.on_leak, keys.notify.on_leak], ['revoke', 'notify']);
    const beside = await create({ name: 'beside', owner: 'policies' });
    const tokens = [found(keys.notify.key), found('ghp_nobodys'), found(keys.disable.key, { type: 'other' }), found(keys.revoke.key), found(unset.key, { url: null, source: undefined })];
    const answer = await report(keyward, tokens);
    assert.deepEqual(labels(answer), [TRUE, FALSE, TRUE, TRUE, TRUE]);
    assert.deepEqual(answer.body, tokens.map(({ token, type }, i) => ({ token_hash: hash(token), token_type: type, label: i === 1 ? FALSE : TRUE })));
    const standing = Object.fromEntries(await Promise.all(Object.entries(keys).map(async ([policy, { id }]) => [policy, (await record(id)).status])));
    assert.deepEqual(standing, { notify: 'active', disable: 'disabled', revoke: 'revoked' });
    const { status, revoke_reason } = await record(unset.id);
    assert.deepEqual([status, revoke_reason, (await record(beside.id)).status], ['revoked', 'leaked: reported by github', 'active']);
    for (const [policy, { id, key }] of Object.entries(keys)) {
      const of = await incident(id);
      assert.deepEqual([of.key_id, of.key_name, of.owner, of.secret, of.status, of.source, of.action], [id, policy, 'policies', 1, 'open', 'github', policy]);
      assert.deepEqual(steps(of), policy === 'revoke' ? ['key_ended', 'evidence_collected'] : ['evidence_collected']);
      assert.deepEqual(of.keys_at_risk.map(({ name }) => name).includes('beside'), true);
      assert.deepEqual(of.sightings.map(({ url, source, kind, reporter }) => [url, source, kind, reporter]), [['https://git.example/acme/shop/blob/1/.env#L3', 'content', policy === 'disable' ? 'other' : 'keyward_key', 'github']]);
      assert.equal(await keyward.verdict(key), { notify: 'VALID', disable: 'DISABLED', revoke: 'REVOKED' }[policy]);
      const { data } = await until(async () => (await told(id)).find(({ type }) => type === 'key.leaked'), 15);
      assert.deepEqual([data.detail.incident_id, data.detail.action, data.by], [of.id, policy, 'keyward']);
    }
    assert.deepEqual((await told(keys.revoke.id)).map(({ type }) => type), ['key.created', 'key.leaked', 'key.revoked']);
    const { body: { data } } = await keyward.call('GET', '/v1/audit?limit=100');
    const revoked = data.find(({ kind, key_id }) => kind === 'key.revoked' && key_id === keys.revoke.id);
    assert.deepEqual([revoked.by, revoked.request_id], ['keyward', answer.headers.get('keyward-request-id')]);
    assert.equal(data.filter(({ kind, incident: id }) => kind === 'incident.opened' && id === `inc_${keys.revoke.id}_1`).length, 1);
    assert.equal(data.some(({ kind }) => kind === 'key.leaked'), false, 'the log is of changes');
    assert.deepEqual(await report(keyward, []).then(({ status: code, body }) => [code, body]), [200, []]);
    assert.deepEqual(labels(await report(keyward, [found(keys.notify.key)], { by: earlier, as: 'earlier' })), [TRUE], 'what is listed is trusted');
  });

  test('28: a report that is not signed by a partner is 401 before anything of it is looked at', async () => {
    const { id, key } = await create();
    const body = JSON.stringify([found(key)]);
    const other = JSON.stringify([found('another')]);
    const good = signed(body);
    const signature = good['Github-Public-Key-Signature'];
    const der = Buffer.from(signature, 'base64');
    const raw = sign('sha256', Buffer.from(body), { key: partner.privateKey, dsaEncoding: 'ieee-p1363' });
    const flipped = Buffer.from(der);
    flipped[flipped.length - 1] ^= 1;
    const with_ = (text) => ({ ...good, 'Github-Public-Key-Signature': text });
    for (const [what, sent, headers] of [
      ['nothing', body, {}],
      ['no signature', body, { 'Github-Public-Key-Identifier': 'current' }],
      ['no identifier', body, { 'Github-Public-Key-Signature': signature }],
      ['an unknown identifier', body, { ...good, 'Github-Public-Key-Identifier': 'nobody' }],
      ['an identifier twice', body, { ...good, 'Github-Public-Key-Identifier': 'current, current' }],
      ['the identifier of another key', body, { ...good, 'Github-Public-Key-Identifier': 'earlier' }],
      ['somebody else\'s signature', body, signed(body, { by: pair() })],
      ['the signature of another body', body, signed(other)],
      ['an altered body', `${body} `, good],
      ['an altered signature', body, with_(flipped.toString('base64'))],
      ['a signature with a byte after it', body, with_(Buffer.concat([der, Buffer.from([0])]).toString('base64'))],
      ['a signature that is cut off', body, with_(der.subarray(0, -1).toString('base64'))],
      ['raw numbers', body, with_(raw.toString('base64'))],
      ['no base64', body, with_('not base64!')],
      ['base64 without padding', body, with_(`${signature.replace(/=+$/, '')}${signature.endsWith('=') ? '' : '='}`)],
      ['a signature of 4 KB', body, with_('A'.repeat(4096))],
      ['zeros', body, with_(Buffer.from('3006020100020100', 'hex').toString('base64'))],
      ['malformed and not signed', '{', {}],
    ]) {
      const { status, body: problem, headers: answered } = await keyward.call('POST', '/v1/leaks/github', sent, { key: null, headers });
      assert.deepEqual([status, problem.code], [401, 'SIGNATURE_NOT_ACCEPTED'], what);
      assert.ok(answered.get('www-authenticate'));
    }
    // A management key is no signature.
    assert.equal((await keyward.call('POST', '/v1/leaks/github', body)).status, 401);
    assert.deepEqual([(await record(id)).status, await incidents(id)], ['active', []]);
    assert.deepEqual(labels(await report(keyward, body)), [TRUE], 'and this one is');
  });

  test('28: the same report again, and the same token in another, answer alike and do nothing twice', async () => {
    const { id, key } = await create({ on_leak: 'disable' });
    const body = JSON.stringify([found(key), found(key, { url: 'https://git.example/other' }), found(key)]);
    const first = await report(keyward, body);
    assert.deepEqual(labels(first), [TRUE, TRUE, TRUE]);
    const opened = await incident(id);
    assert.deepEqual(opened.sightings.map(({ url }) => url), ['https://git.example/acme/shop/blob/1/.env#L3', 'https://git.example/other']);
    // Its owner has decided.
    assert.equal((await keyward.call('POST', `/v1/keys/${id}/enable`)).status, 200);
    await keyward.call('PATCH', `/v1/incidents/${opened.id}`, { status: 'closed' });
    for (let i = 0; i < 3; i += 1) assert.deepEqual((await report(keyward, body)).body, first.body);
    assert.deepEqual(labels(await report(keyward, [found(key, { url: 'https://paste.example/x' }), found(key, { url: 'javascript:alert(1)' })])), [TRUE, TRUE]);
    const of = await until(async () => (await incident(id)).sightings.length === 4 && incident(id));
    assert.deepEqual(of.sightings.slice(2).map(({ url }) => url), ['https://paste.example/x', null]);
    assert.deepEqual([of.status, of.opened_at, of.action, (await record(id)).status, (await incidents(id)).length], ['closed', opened.opened_at, 'disable', 'active', 1]);
    await until(async () => (await told(id)).filter(({ type }) => type === 'key.leaked').length === 2, 15);
    assert.equal((await told(id)).filter(({ type }) => type === 'key.disabled').length, 1);
  });

  test('28: more than 500 tokens or 1 MiB is 413, and what is no report 400; nothing is done', async () => {
    const { id, key } = await create();
    const many = (count) => [found(key), ...Array.from({ length: count - 1 }, (_, i) => found(`token-${i}`))];
    const refused = async (tokens, status, code) => {
      const answer = await report(keyward, tokens);
      assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text);
      assert.ok(!answer.text.includes(key));
    };
    await refused(many(501), 413, 'REPORT_TOO_LARGE');
    await refused(many(10_000), 413, 'REPORT_TOO_LARGE');
    await refused([found(key), found('x'.repeat(1 << 20))], 413, 'REPORT_TOO_LARGE');
    for (const body of ['', '{', '{}', '"x"', 'null', `[${JSON.stringify(found(key))},1]`, JSON.stringify([found(key), { type: 't' }]), JSON.stringify([found(key), { token: 7, type: 't' }]), JSON.stringify([found(key), { token: 'x' }]), `[${JSON.stringify(found(key))},{"token":"a","token":"b","type":"t"}]`]) await refused(body, 400, 'INVALID_REQUEST');
    // Lone surrogates are no text: what such a token's hash would be nobody can say.
    await refused(`[${JSON.stringify(found(key))},{"token":"psk_\\ud800","type":"t"}]`, 400, 'INVALID_REQUEST');
    // In chunks, without a length that could be looked at first.
    const stream = new ReadableStream({ start(controller) { for (let i = 0; i < 40; i += 1) controller.enqueue(new Uint8Array(32 << 10).fill(32)); controller.close(); } });
    const long = await fetch(`${keyward.url}/v1/leaks/github`, { method: 'POST', headers: signed('x'), body: stream, duplex: 'half' });
    assert.equal(long.status, 413);
    const bytes = Buffer.from([0x5b, 0xff, 0x5d]);
    const broken = await fetch(`${keyward.url}/v1/leaks/github`, { method: 'POST', headers: signed(bytes), body: bytes });
    assert.equal(broken.status, 400, 'signed, and no UTF-8');
    assert.deepEqual([(await record(id)).status, await incidents(id)], ['active', []]);
    assert.deepEqual(labels(await report(keyward, many(500))), [TRUE, ...Array(499).fill(FALSE)]);
    assert.equal((await record(id)).status, 'revoked');
  });

  test('34: whoever knows an id, or invents, has nothing done to any key', async () => {
    const { id, key } = await create();
    const strangers = [
      forge({ id }), mistyped(key), key.slice(0, -1), `${key}x`, ` ${key}`, key.toUpperCase(), key.replace('psk_', 'abc_'), key.replace('_live_', '_test_'), forge({ id, environment: 'test', secret: core.parseKey(key).secret }),
      core.generateKey({ brand: 'psk', environment: 'live' }), forge({ id: '0123456789abcdef' }), `psk_live_${id}_…`, id, '', ' ', 'psk_', '\u0000', 'é'.repeat(60), '\u{1f511}', 'x'.repeat(5000), 'sk_live_unknown', 'null', "'; DROP TABLE incidents; --",
    ];
    assert.deepEqual(labels(await report(keyward, strangers.map((token) => found(token)))), strangers.map(() => FALSE));
    const own = await keyward.call('POST', '/v1/leaks', { leaks: strangers.map((token) => ({ key: token })) });
    assert.deepEqual(own.body.data, strangers.map(() => ({ key_id: null, label: FALSE, action: 'none', incident_id: null })));
    assert.deepEqual([(await record(id)).status, await incidents(id), (await told(id)).some(({ type }) => type === 'key.leaked')], ['active', [], false]);
  });

  test('a secret that had ended is known for one, and nothing more is done', async () => {
    const { id, key } = await create();
    const { body: { key: next } } = await keyward.call('POST', `/v1/keys/${id}/rotations`, { activate: 'now', grace_seconds: 0 });
    texts.push(next);
    assert.deepEqual(labels(await report(keyward, [found(key)])), [TRUE]);
    assert.deepEqual([(await record(id)).status, await incidents(id), await keyward.verdict(next)], ['active', [], 'VALID']);
    assert.deepEqual((await keyward.call('POST', '/v1/leaks', { leaks: [{ key }] })).body.data, [{ key_id: id, label: TRUE, action: 'none', incident_id: null }]);
    const revoked = await create();
    await keyward.call('POST', `/v1/keys/${revoked.id}/revoke`, { reason: 'unused' });
    assert.deepEqual(labels(await report(keyward, [found(revoked.key)])), [TRUE]);
    assert.deepEqual([(await record(revoked.id)).revoke_reason, await incidents(revoked.id)], ['unused', []]);
    // The new secret is another leak.
    assert.deepEqual(labels(await report(keyward, [found(next)])), [TRUE]);
    assert.deepEqual([(await record(id)).status, (await incidents(id)).map(({ id: name }) => name)], ['revoked', [`inc_${id}_2`]]);
  });

  test('one\'s own pipelines report with a key: the same is done, and where it was found is bounded and named', async () => {
    const { id, key } = await create({ on_leak: 'notify', name: 'own' });
    const reporter = await create({ name: 'ci', scopes: ['keyward.leaks:write'] });
    const leak = { key, url: 'https://ci.example/runs/7', source: 'build log', path: 'dist/app.js', commit: 'c0ffee', line: 12 };
    const answer = await keyward.call('POST', '/v1/leaks', { leaks: [leak, { key: 'nothing' }, { key }] }, { key: reporter.key });
    assert.deepEqual(answer.body.data, [{ key_id: id, label: TRUE, action: 'notify', incident_id: `inc_${id}_1` }, { key_id: null, label: FALSE, action: 'none', incident_id: null }, { key_id: id, label: TRUE, action: 'notify', incident_id: `inc_${id}_1` }]);
    const [one, two] = (await incident(id)).sightings;
    assert.deepEqual({ ...one, at: undefined }, { at: undefined, reporter: reporter.id, url: leak.url, source: 'build log', kind: null, path: 'dist/app.js', commit: 'c0ffee', line: 12 });
    assert.deepEqual([two.url, two.reporter, (await incident(id)).source], [null, reporter.id, 'report']);
    for (const [bad, field] of [[{}, 'leaks[0].key'], [{ key, url: 'ftp://x.example' }, 'leaks[0].url'], [{ key, url: `https://x.example/${'a'.repeat(500)}` }, 'leaks[0].url'], [{ key, url: `https://x.example/?k=${key}` }, 'leaks[0].url'], [{ key, path: `env ${key}` }, 'leaks[0].path'],
      [{ key, source: 'a\nb' }, 'leaks[0].source'], [{ key, line: 0 }, 'leaks[0].line'], [{ key, line: 1.5 }, 'leaks[0].line'], [{ key, line: -1 }, 'leaks[0].line'], [{ key, more: 1 }, 'leaks[0].more'], [{ key: 'sk_live_foreign', url: 'https://x.example/sk_live_foreign' }, 'leaks[0].url']]) {
      const refused = await keyward.call('POST', '/v1/leaks', { leaks: [bad] });
      assert.deepEqual([refused.status, refused.body.field], [400, field], JSON.stringify(bad).replace(key, '…'));
      assert.ok(!refused.text.includes(key));
    }
    assert.equal((await keyward.call('POST', '/v1/leaks', { leaks: Array(501).fill({ key: 'x' }) })).body.field, 'leaks');
    assert.deepEqual((await keyward.call('POST', '/v1/leaks', { leaks: Array(500).fill({ key: 'x'.repeat(1000) }) })).status, 200);
    assert.equal((await keyward.call('POST', '/v1/leaks', { leaks: [{ key: 'x'.repeat(1 << 20) }] })).status, 413);
    for (let i = 0; i < 3; i += 1) await keyward.call('POST', '/v1/leaks', { leaks: Array.from({ length: 40 }, (_, n) => ({ key, url: `https://ci.example/runs/${i * 40 + n}` })) });
    assert.equal((await until(async () => (await incident(id)).sightings.length === 50 && incident(id))).sightings.length, 50);
  });

  test('11: a key in a URL is refused, and reports leave none anywhere', async () => {
    const { id, key } = await create();
    const in_url = await keyward.call('POST', `/v1/leaks/github?token=${key}`, '[]', { key: null, headers: signed('[]') });
    assert.deepEqual([in_url.status, in_url.body.code], [400, 'KEY_IN_URL']);
    assert.deepEqual(labels(await report(keyward, [found(key, { url: `https://git.example/search?q=${key}`, source: `content ${key}`, type: key }), found(key, { url: `https://git.example/${key.replaceAll('_', '%5F')}` })])), [TRUE, TRUE]);
    const { sightings } = await incident(id);
    assert.deepEqual(sightings.map(({ url, source, kind }) => [url, source, kind]), [[null, null, null], [null, 'content', 'keyward_key']]);
  });

  test('a key of another system is found by its whole text, and a rotated one of keyward\'s in its place', async () => {
    const text = 'sk_live_4eC39HqLyjWDarjtT1zdp7dc';
    const line = JSON.stringify({ sha256: createHash('sha256').update(text).digest('hex'), prefix: 'sk_live_', name: 'imported', owner: 'acme' });
    const imported = await keyward.call('POST', '/v1/keys/import', line);
    const { id } = imported.body;
    texts.push(text);
    assert.deepEqual(labels(await report(keyward, [found('sk_live_4eC39HqLyjWDarjtT1zdp7dd'), found(text)])), [FALSE, TRUE]);
    assert.equal((await record(id)).status, 'revoked');
  });

  test('the policy can be changed, and 29: what is none is refused', async () => {
    const { id } = await create({ on_leak: 'notify' });
    const patch = async (on_leak) => (await keyward.call('PATCH', `/v1/keys/${id}`, { on_leak })).body;
    assert.deepEqual([(await patch('disable')).on_leak, (await patch(null)).on_leak], ['disable', 'revoke']);
    for (const bad of ['throttle', 'panic', 7, true, ['revoke']]) assert.equal((await patch(bad)).field, 'on_leak', String(bad));
    assert.equal((await keyward.call('POST', '/v1/keys', { name: 'n', owner: 'o', on_leak: 'throttle' })).body.field, 'on_leak');
  });

  const use = async (key, calls, question) => {
    for (let i = 0; i < calls; i += 1) await keyward.verdict(key, question);
  };
  /** Waits until so many calls of a key are known. */
  const counted = (id, calls) => until(async () => (await keyward.call('GET', `/v1/keys/${id}/usage`)).body.calls === calls, 15);

  test('an answer to a leak revokes, counts every call since by network, country and way, and lists the other keys of the owner', async () => {
    const { id, key } = await create({ name: 'used', owner: 'evidence', allowed_countries: ['DE', 'KP'] });
    const [other, foreign] = [await create({ name: 'other', owner: 'evidence', environment: 'test' }), await create({ name: 'not theirs', owner: 'somebody' })];
    await use(key, 12, { country: 'DE', ip: '192.0.2.7' });
    await use(key, 5, { country: 'KP', ip: '198.51.100.1' });
    await use(key, 3, { country: 'FR', ip: '203.0.113.9' });
    for (let i = 0; i < 4; i += 1) await keyward.authorize(key);
    await use(other.key, 1);
    await counted(id, 24);
    const before_ = Date.now();
    const { status, body, text } = await respond(id, { action: 'revoke', reason: 'seen in a ticket', note: 'ticket 4711' });
    assert.equal(status, 200, text);
    assert.deepEqual([body.action, body.status, body.revoke_reason, body.key, body.rotation, body.confirmed], ['revoke', 'revoked', 'seen in a ticket', undefined, undefined, false]);
    assert.match(body.log_head, /^[0-9]+-[0-9a-f]{64}$/);
    assert.ok(Date.parse(body.effective_by) >= before_ + 4000);
    const { incident: of } = body;
    assert.deepEqual([of.id, of.status, of.source, of.action, of.suspected_at, of.closed_at], [`inc_${id}_1`, 'open', 'response', 'revoke', (await record(id)).created_at, null]);
    assert.deepEqual(steps(of), ['key_ended', 'evidence_collected']);
    assert.deepEqual(of.steps.map(({ name }) => name), ['key_ended', 'evidence_collected', 'other_keys_reviewed', 'source_cleaned', 'owner_told', 'cause_found', 'prevention_in_place']);
    assert.equal(of.steps[0].by, core.parseKey(keyward.adminKey).id);
    assert.deepEqual(of.notes.map(({ text: said }) => said), ['seen in a ticket', 'ticket 4711']);
    const { evidence } = of;
    assert.deepEqual([evidence.calls, evidence.accepted, evidence.refused], [24, 17, 7]);
    assert.deepEqual(evidence.outcomes, { VALID: 17, COUNTRY_NOT_ALLOWED: 7 });
    assert.deepEqual(evidence.countries, { DE: 12, KP: 5, unknown: 4, FR: 3 });
    assert.deepEqual(evidence.routes, { verify: 20, authorize: 4 });
    assert.deepEqual([evidence.networks['192.0.2.0/24'], evidence.networks['198.51.100.0/24'], evidence.networks['203.0.113.0/24'], evidence.networks['127.0.0.0/24']], [12, 5, 3, 4]);
    assert.ok(Date.parse(evidence.first_call_at) >= Date.parse(of.suspected_at) && evidence.first_call_at < evidence.last_call_at && Date.parse(evidence.last_call_at) <= Date.now());
    assert.deepEqual([evidence.baseline_hours, evidence.baseline_calls, evidence.times_baseline], [0, 0, null]);
    assert.deepEqual(of.keys_at_risk.map(({ key_id, name, environment, status: standing }) => [key_id, name, environment, standing]), [[other.id, 'other', 'test', 'active']]);
    assert.ok(!text.includes(foreign.id));
    assert.equal(await keyward.verdict(key), 'REVOKED');
    const again = await respond(id, { action: 'revoke', reason: 'seen in a ticket', note: 'ticket 4711' });
    assert.deepEqual([again.status, again.body.incident.opened_at, again.body.incident.notes.length, again.body.revoked_at], [200, of.opened_at, 2, body.revoked_at], 'sent again, it is the same');
    assert.equal((await incidents(id)).length, 1);
  });

  test('an answer replaces the secret, shows the new one once, and ends the old one at once or after its grace', async () => {
    const { id, key } = await create();
    const headers = { 'Idempotency-Key': `rotate-${id}` };
    const first = await respond(id, { action: 'rotate', reason: 'leaked in chat' }, { headers });
    assert.equal(first.status, 200, first.text);
    const { key: next, rotation, incident: of } = first.body;
    texts.push(next);
    assert.deepEqual([core.parseKey(next).id, rotation.grace_seconds, of.id, of.action, steps(of)], [id, 0, `inc_${id}_1`, 'rotate', ['key_ended', 'evidence_collected']]);
    assert.deepEqual([await keyward.verdict(key), await keyward.verdict(next)], ['ROTATED_OUT', 'VALID']);
    const replay = await respond(id, { action: 'rotate', reason: 'leaked in chat' }, { headers });
    assert.deepEqual([replay.status, replay.body.key, replay.headers.get('idempotency-replayed'), replay.body.rotation.number, replay.body.incident.id], [200, undefined, 'true', rotation.number, of.id]);
    assert.equal((await respond(id, { action: 'rotate' }, { headers })).body.code, 'IDEMPOTENCY_KEY_REUSED');
    assert.deepEqual(labels(await report(keyward, [found(key)])), [TRUE], 'the old one does no more harm');
    assert.equal((await record(id)).status, 'active');
    const graced = await respond(id, { action: 'rotate', grace_seconds: 3600 });
    texts.push(graced.body.key);
    assert.equal(graced.body.incident.id, of.id, 'the incident that is open goes on');
    assert.match(graced.body.incident.steps[0].note, /the old secret works until/);
    assert.deepEqual([await keyward.verdict(next), await keyward.verdict(graced.body.key)], ['VALID', 'VALID']);
    assert.deepEqual([(await respond(id, { action: 'rotate' })).body.code, (await respond(id, { action: 'disable', grace_seconds: 1 })).body.field], ['ROTATION_IN_PROGRESS', 'grace_seconds']);
  });

  test('an answer disables, or only looks; what makes no sense is refused', async () => {
    const { id, key } = await create();
    await keyward.verdict(key);
    await counted(id, 1);
    const since = new Date(Date.now() - DAY).toISOString();
    const looked = await respond(id, { action: 'none', suspected_at: since });
    assert.deepEqual([looked.body.status, looked.body.incident.action, looked.body.incident.suspected_at, looked.body.incident.evidence.calls, steps(looked.body.incident)], ['active', 'none', since, 1, ['evidence_collected']]);
    assert.equal(await keyward.verdict(key), 'VALID');
    await keyward.call('PATCH', `/v1/incidents/inc_${id}_1`, { status: 'closed' });
    const disabled = await respond(id, { action: 'disable' });
    assert.deepEqual([disabled.body.status, disabled.body.confirmed, disabled.body.incident.status, disabled.body.incident.action, steps(disabled.body.incident)], ['disabled', false, 'open', 'disable', ['evidence_collected']]);
    for (const [bad, field] of [[{}, 'action'], [{ action: 'panic' }, 'action'], [{ action: 'none', suspected_at: new Date(Date.now() + DAY).toISOString() }, 'suspected_at'], [{ action: 'none', suspected_at: 'yesterday' }, 'suspected_at'], [{ action: 'none', reason: 'a\nb' }, 'reason'], [{ action: 'none', note: key }, 'note'], [{ action: 'rotate', grace_seconds: -1 }, 'grace_seconds'], [{ action: 'rotate', grace_seconds: 2 ** 53 }, 'grace_seconds'], [{ action: 'none', more: 1 }, 'more']]) {
      const refused = await respond(id, bad);
      assert.deepEqual([refused.status, refused.body.field], [400, field]);
    }
    assert.deepEqual([(await respond('0000000000000000', { action: 'none' })).status, (await respond(id, { action: 'revoke' })).status, (await respond(id, { action: 'rotate' })).body.code], [404, 200, 'KEY_REVOKED']);
  });

  test('the volume since is held against the hours before', async () => {
    const { id, key } = await create({ max_staleness_seconds: 0 });
    let offset = 0;
    const move = async (hours) => {
      offset += hours * 3_600_000;
      await keyward.call('POST', '/watched', { offset });
    };
    let calls = 0;
    for (let hour = 0; hour < 10; hour += 1) {
      await use(key, 2);
      await counted(id, (calls += 2));
      await move(1);
    }
    const since = new Date(Date.now() + offset).toISOString();
    await use(key, 30);
    await counted(id, calls + 30);
    const { body } = await respond(id, { action: 'none', suspected_at: since });
    const { evidence } = body.incident;
    assert.deepEqual([evidence.calls, evidence.baseline_calls, evidence.baseline_hours, evidence.baseline_calls_per_hour, evidence.busiest_hour_calls], [30, 20, 10, 2, 30], JSON.stringify(evidence));
    assert.ok(evidence.times_baseline >= 7.5 && evidence.times_baseline <= 15, String(evidence.times_baseline));
    await keyward.call('POST', '/watched', {});
  });

  test('incidents are listed, ticked off, noted and closed, each change in the log', async () => {
    const { id } = await create();
    const name = `inc_${id}_1`;
    await respond(id, { action: 'none' });
    const change = (body) => keyward.call('PATCH', `/v1/incidents/${name}`, body);
    const ticked = await change({ steps: [{ name: 'owner_told', note: 'by phone' }, { name: 'source_cleaned', done: true }], note: 'history purged' });
    assert.deepEqual([ticked.status, steps(ticked.body), ticked.body.notes.at(-1).text], [200, ['evidence_collected', 'source_cleaned', 'owner_told'], 'history purged']);
    assert.deepEqual(steps((await change({ steps: [{ name: 'owner_told', done: false }] })).body), ['evidence_collected', 'source_cleaned']);
    const closed = (await change({ status: 'closed' })).body;
    assert.deepEqual([closed.status, closed.closed_at !== null], ['closed', true]);
    const list = async (query) => (await keyward.call('GET', `/v1/incidents?${query}`)).body.data.map((of) => of.id);
    assert.deepEqual([await list(`key_id=${id}`), await list(`key_id=${id}&status=open`), (await list('status=closed')).includes(name)], [[name], [], true]);
    const [row] = (await keyward.call('GET', `/v1/incidents?key_id=${id}`)).body.data;
    assert.deepEqual([row.places, row.steps_done, row.steps_open, row.evidence, row.notes], [0, 2, 5, undefined, undefined]);
    assert.equal((await change({ status: 'open' })).body.status, 'open');
    assert.equal((await change({})).status, 200);
    for (const [bad, field] of [[{ steps: [{ name: 'dance' }] }, 'steps[0].name'], [{ steps: [{ name: 'owner_told', done: 'yes' }] }, 'steps[0].done'], [{ status: 'gone' }, 'status'], [{ note: 'a\rb' }, 'note'], [{ action: 'none' }, 'action']]) assert.equal((await change(bad)).body.field, field);
    const { body: { data } } = await keyward.call('GET', '/v1/audit?limit=20');
    const kinds = data.filter((row_) => row_.incident === name).map(({ kind }) => kind).reverse();
    assert.deepEqual(kinds, ['incident.opened', 'incident.updated', 'incident.updated', 'incident.closed', 'incident.reopened']);
    assert.deepEqual(data.find(({ kind, incident: of }) => kind === 'incident.closed' && of === name).changes.status, { before: 'open', after: 'closed' });
    const pages = [];
    for (let cursor = ''; cursor !== null; ) {
      const { body } = await keyward.call('GET', `/v1/incidents?limit=3${cursor && `&cursor=${cursor}`}`);
      pages.push(...body.data);
      cursor = body.next_cursor;
    }
    assert.equal(new Set(pages.map((of) => of.id)).size, pages.length);
    assert.ok(pages.length > 8 && pages[0].opened_at >= pages.at(-1).opened_at);
    for (const query of ['key_id=x', 'status=gone', 'limit=0', 'cursor=zz', 'more=1']) assert.equal((await keyward.call('GET', `/v1/incidents?${query}`)).status, 400, query);
    for (const path of ['inc_0000000000000000_1', `inc_${id}_9`, `inc_${id}_01`, 'x', 'inc_']) assert.deepEqual(await keyward.call('GET', `/v1/incidents/${path}`).then(({ status, body }) => [status, body.code]), [404, 'INCIDENT_NOT_FOUND'], path);
    assert.equal((await keyward.call('GET', `/v1/incidents/${name}?format=pdf`)).status, 400);
    assert.equal((await keyward.call('GET', '/v1/audit/verify')).body.whole, true);
  });

  test('as Markdown every value stays text', async () => {
    const name = '<img src=x onerror=alert(1)> `rm` **b** [x](javascript:1) # | www.evil.example';
    const { id } = await create({ name, owner: '</script><script>alert(1)//' });
    await create({ name: '# <b>heading</b>', owner: '</script><script>alert(1)//' });
    await respond(id, { action: 'revoke', reason: '- [x] `done` <u>', note: '![x](https://evil.example/pixel)' });
    const { status, headers, text } = await keyward.call('GET', `/v1/incidents/inc_${id}_1?format=markdown`);
    assert.deepEqual([status, headers.get('content-type')], [200, 'text/markdown; charset=utf-8']);
    assert.ok(text.includes('- key: &lt;img src\\=x onerror\\=alert(1)&gt; \\`rm\\` \\*\\*b\\*\\* \\[x\\](javascript:1) \\# \\| www\\.evil.example'), text);
    assert.ok(!/[<>]/.test(text), 'no HTML');
    assert.ok(!/(^|[^\\])[`*![\]]/.test(text.replaceAll(/^- \[[ x]\] /gm, '')), 'no markup but that of the template');
    assert.ok(!text.replaceAll('\\:', '').includes('://') && !text.includes('www.'));
    assert.ok(text.split('\n').every((line) => line === '' || /^(# Incident|## [A-Z]|- )/.test(line)));
    assert.deepEqual([text.match(/^- \[x\] /gm).length, text.match(/^- \[ \] /gm).length], [2, 5]);
    assert.equal((await keyward.call('GET', `/v1/incidents/inc_${id}_1?format=json`)).body.key_name, name);
  });

  test('32: leaks are for keys with keyward.leaks:write alone, and a wider key is not rotated by one', async () => {
    const [other, own] = [await create({ scopes: ['keyward.keys:write', 'keyward.keys:read', 'keyward.usage:read', '*:*'] }), await create({ scopes: ['keyward.leaks:write'] })];
    const { id } = await create();
    const wide = await create({ scopes: ['keyward.keys:write'] });
    await respond(id, { action: 'none' });
    for (const [method, path, body] of [['POST', '/v1/leaks', { leaks: [] }], ['POST', `/v1/keys/${id}/leak-response`, { action: 'none' }], ['GET', '/v1/incidents'], ['GET', `/v1/incidents/inc_${id}_1`], ['PATCH', `/v1/incidents/inc_${id}_1`, { note: 'n' }]]) {
      const as = async (key) => (await keyward.call(method, path, body, { key })).status;
      assert.deepEqual([await as(other.key), await as(null), await as(own.key)], [403, 401, 200], `${method} ${path}`);
    }
    const rotated = await respond(wide.id, { action: 'rotate' }, { key: own.key });
    assert.deepEqual([rotated.status, rotated.body.code], [403, 'SCOPE_NOT_HELD']);
    assert.equal((await respond(wide.id, { action: 'revoke' }, { key: own.key })).status, 200, 'whoever notices a leak can stop it');
  });

  test('no key stands in what was stored, printed, logged, told or answered', async () => {
    const answers = await Promise.all(['/v1/incidents', '/v1/audit/export', '/v1/keys?limit=100'].map(async (path) => (await keyward.call('GET', path)).text));
    const messages = await Promise.all(receiver.of('/hook').map(async (seen) => (await seen.body()).toString()));
    assert.ok(texts.length > 20 && messages.length > 20);
    for (const text of [keyward.log, ...stored(keyward), ...answers, ...messages]) for (const key of texts) assert.ok(!text.includes(key.slice(-33)), 'a secret');
    assert.ok(!keyward.log.includes('storage:'), keyward.log);
  });
});

describe('leaks, elsewhere', () => {
  test('without partners nobody may report, and the answer says how; a list that is none is named', async () => {
    const keyward = await Deployment.start();
    try {
      const { status, body } = await report(keyward, []);
      assert.deepEqual([status, body.code, body.detail.includes('KEYWARD_LEAK_PARTNERS')], [404, 'NO_LEAK_PARTNERS', true]);
      for (const bad of ['x', '{"public_keys":[]}', JSON.stringify({ public_keys: [{ key_identifier: 'a', key: generateKeyPairSync('ec', { namedCurve: 'P-384', publicKeyEncoding: { type: 'spki', format: 'pem' } }).publicKey }] })]) {
        keyward.env.KEYWARD_LEAK_PARTNERS = bad;
        await keyward.restart();
        const refused = await keyward.call('GET', '/v1/keys');
        assert.deepEqual([refused.status, refused.body.detail.includes('KEYWARD_LEAK_PARTNERS')], [503, true]);
      }
      // Of the right length and form, and not on the curve.
      const der = Buffer.from(partner.publicKey.split('\n').slice(1, -2).join(''), 'base64');
      der.fill(1, der.length - 64);
      keyward.env.KEYWARD_LEAK_PARTNERS = JSON.stringify({ public_keys: [{ key_identifier: 'current', key: `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----` }] });
      await keyward.restart();
      const off = await report(keyward, []);
      assert.deepEqual([off.status, off.body.code], [503, 'NOT_CONFIGURED']);
    } finally {
      await keyward.stop();
    }
  });

  test('34: invented tokens cost no storage call, and of one real id one, however many secrets are tried', async () => {
    const keyward = await Deployment.start({ wrappers: watched, env: { KEYWARD_LEAK_PARTNERS: PARTNERS } });
    try {
      const { id, key } = await keyward.create();
      const asked = async () => (await keyward.call('GET', '/watched')).body.calls.key;
      await keyward.call('GET', '/v1/keys');
      let before_ = await asked();
      const invented = Array.from({ length: 400 }, (_, i) => found(i % 2 ? core.generateKey({ brand: 'psk', environment: 'live' }) : `psk_live_${i}`));
      assert.deepEqual(labels(await report(keyward, invented)), invented.map(() => FALSE));
      assert.equal(await asked(), before_);
      const secrets = Array.from({ length: 400 }, (_, i) => found(forge({ id, secret: String(i).padStart(27, '0') })));
      assert.deepEqual(labels(await report(keyward, secrets)), secrets.map(() => FALSE));
      assert.equal(await asked(), before_ + 1);
      assert.deepEqual(labels(await report(keyward, [...secrets, found(key)])).at(-1), TRUE);
      before_ = await keyward.verdict(key);
      assert.equal(before_, 'REVOKED');
    } finally {
      await keyward.stop();
    }
  });

  test('an answer to a leak names the destinations that messages were sent to since, as they were counted', async (t) => {
    const secret = `smsk_${'0a'.repeat(16)}`;
    const provider = await startProvider({ keys: { relay: secret } });
    t.after(() => provider.close());
    const keyward = await Deployment.start({ wrappers, env: { KEYWARD_LOCAL_UPSTREAMS: provider.url } });
    t.after(() => keyward.stop());
    await route(keyward, 'sms', least(provider.url, { upstream: `${provider.url}/api/sms`, request: { numbers: { pointer: '/to' } } }), secret);
    const { id, key } = await keyward.create({ scopes: ['calls:create'], max_staleness_seconds: 0 });
    const sent = async (to) => (await keyward.call('POST', '/r/sms/messages', { to, text: 'Your code is 123456' }, { key, headers: { 'content-type': 'application/json' } })).status;
    const known = (calls) => until(async () => (await keyward.call('GET', `/v1/keys/${id}/usage`)).body.calls === calls, 15);
    assert.equal(await sent('+12025550123'), 202);
    await known(1);
    const offset = 3 * 3_600_000;
    await keyward.call('POST', '/watched', { offset });
    const since = new Date(Date.now() + offset).toISOString();
    for (const to of ['+33612345678', '+4915112345678', '+33612345679', '+881612345678', '+33612345680', '+881612345679']) assert.equal(await sent(to), 202, to);
    await until(async () => (await keyward.call('GET', `/v1/keys/${id}/usage?by=day`)).body.calls === 7, 15);
    const { status, body, text } = await keyward.call('POST', `/v1/keys/${id}/leak-response`, { action: 'revoke', suspected_at: since });
    assert.equal(status, 200, text);
    assert.equal(JSON.stringify(body.incident.evidence.destinations), '{"FR":3,"+881":2,"DE":1}', 'the most first, and nothing from before');
    const { text: markdown } = await keyward.call('GET', `/v1/incidents/inc_${id}_1?format=markdown`);
    assert.match(markdown, /^- destinations: FR 3, \+881 2, DE 1$/m);
    assert.ok(!text.includes('612345') && !markdown.includes('612345'), 'no number');
  });

  test('a first management key that was never used is found, too', async () => {
    const keyward = await Deployment.start({ env: { KEYWARD_LEAK_PARTNERS: PARTNERS } });
    try {
      const wrong = forge({ id: core.parseKey(keyward.adminKey).id });
      assert.deepEqual(labels(await report(keyward, [found(wrong), found(keyward.adminKey)])), [FALSE, TRUE]);
      assert.equal((await keyward.call('GET', '/v1/keys')).status, 401);
    } finally {
      await keyward.stop();
    }
  });

  test('every edge refuses a key within the bound after it was reported', async () => {
    const keyward = await Edges.start({ env: { KEYWARD_LEAK_PARTNERS: PARTNERS }, faulty: false });
    try {
      const { key } = await keyward.create({ max_staleness_seconds: 2 });
      const lines = keyward.names.map((_, i) => keyward.line(i));
      const bytes = authorization(key);
      for (const line of lines) assert.equal((await line.call(bytes)).status, 200);
      // By an edge, so that it is not the authority's own that is told.
      const body = JSON.stringify([found(key)]);
      const sent = await fetch(`http://127.0.0.1:${keyward.edge(0)}/v1/leaks/github`, { method: 'POST', body, headers: signed(body) });
      const answered = Date.now();
      assert.deepEqual([sent.status, (await sent.json())[0].label], [200, TRUE]);
      assert.equal((await lines[0].call(bytes)).status, 401, 'the edge that was told refuses at once');
      const late = [];
      for (let refused = 0; refused < lines.length; ) {
        refused = 0;
        for (const [i, line] of lines.entries()) {
          const { status, start } = await line.call(bytes);
          if (status === 401) refused += 1;
          else if (start > answered + 2000) late.push([i, start - answered]);
        }
        assert.ok(Date.now() < answered + 10_000, 'an edge still accepts it');
      }
      assert.deepEqual(late, []);
      lines.forEach((line) => line.close());
    } finally {
      await keyward.stop();
    }
  });

  test('3: storage that fails in the middle of a report leaves nothing of it, and the same report again is the first', { skip: !existsSync(faulty) && 'the build that can be made to fail is not there' }, async () => {
    const receiver = await Upstream.start();
    const keyward = await Deployment.start({ code: faulty, env: { KEYWARD_LEAK_PARTNERS: PARTNERS, KEYWARD_LOCAL_WEBHOOKS: receiver.origin } });
    try {
      await keyward.call('PUT', '/v1/webhooks/pager', { url: `${receiver.origin}/hook` });
      const { id, key } = await keyward.create({ metadata: { fault: 'leak' } });
      const beside = await keyward.create();
      const body = JSON.stringify([found(key), found(beside.key)]);
      const failed = await report(keyward, body);
      assert.deepEqual([failed.status, failed.body.code], [503, 'UNAVAILABLE']);
      const standing = async (of) => (await keyward.call('GET', `/v1/keys/${of}`)).body.status;
      assert.deepEqual([await standing(id), await standing(beside.id)], ['active', 'revoked']);
      assert.deepEqual(labels(await report(keyward, body)), [TRUE, TRUE]);
      assert.deepEqual(labels(await report(keyward, body)), [TRUE, TRUE]);
      assert.deepEqual([await standing(id), (await keyward.call('GET', '/v1/incidents')).body.data.length], ['revoked', 2]);
      const told = async () => (await Promise.all(receiver.of('/hook').map(async (seen) => JSON.parse((await seen.body()).toString())))).filter(({ data }) => data.key?.id === id).map(({ type }) => type);
      await until(async () => (await told()).includes('key.revoked'));
      assert.deepEqual(await told(), ['key.created', 'key.leaked', 'key.revoked']);
    } finally {
      await keyward.stop();
      await receiver.stop();
    }
  });

  test('2: kill -9 after a report that was answered: the key stays ended, and its incident and event are there', async () => {
    const keyward = await Deployment.start({ env: { KEYWARD_LEAK_PARTNERS: PARTNERS } });
    try {
      const keys = await Promise.all(Array.from({ length: 10 }, () => keyward.create()));
      const answers = keys.map(({ key }) => report(keyward, [found(key)]).then(labels, () => undefined));
      await Promise.race(answers);
      await keyward.kill('SIGKILL');
      const known = await Promise.all(answers);
      await keyward.run();
      for (const [i, { id, key }] of keys.entries()) {
        if (known[i] === undefined) assert.deepEqual(labels(await report(keyward, [found(key)])), [TRUE]);
        assert.equal((await keyward.call('GET', `/v1/keys/${id}`)).body.status, 'revoked');
        const of = await until(async () => (await keyward.call('GET', `/v1/incidents?key_id=${id}`)).body.data);
        await until(async () => (await keyward.call('GET', `/v1/incidents?key_id=${id}`)).body.data.length === 1);
        assert.ok(of.length <= 1);
      }
      assert.equal((await keyward.call('GET', '/v1/audit/verify')).body.whole, true);
    } finally {
      await keyward.stop();
    }
  });
});
