// The checker of the claim, against histories that are made up: what it must find, and what it must let pass.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { codeOf, judge, misjudgedReceipts, narrowly, told, violations } from './claim.mjs';

const active = { status: 'active', scopes: ['a', 'b'], origins: [], staleness: 5, secrets: { 1: Infinity } };
const made = { what: 'create', sent: 0, answered: 10, state: active };
const change = (sent, fields, { effectiveBy = sent + 5_000, ...rest } = {}) => ({ what: 'change', sent, answered: sent + 10, effectiveBy, confirmed: false, state: { ...active, ...fields }, ...rest });
const history = (...changes) => ({ id: 'k', changes: [made, ...changes], usableBy: {} });
const call = (start, code, fields) => ({ key: 0, edge: 0, view: 'verify', secret: 1, scopes: [], start, end: start + 5, answer: { code }, ...fields });
const status = (start, status, fields) => call(start, undefined, { view: 'authorize', answer: { status }, ...fields });
const right = (history, call, faults = []) => assert.equal(judge(history, call, faults), undefined);
const wrong = (history, call, why, faults = []) => assert.match(judge(history, call, faults) ?? 'nothing is wrong', why);

describe('the claim', () => {
  test('a revoked key is VALID up to effective_by and never after; REVOKED from when the change was sent and never before', () => {
    const revoked = history(change(1_000, { status: 'revoked' }));
    right(revoked, call(500, 'VALID'));
    right(revoked, call(6_000, 'VALID'));
    wrong(revoked, call(6_001, 'VALID'), /^accepted: answered VALID, where REVOKED was possible/);
    right(revoked, call(995, 'REVOKED'));
    wrong(revoked, call(994, 'REVOKED'), /^refused: answered REVOKED, where VALID/);
    right(revoked, call(1_000_000, 'REVOKED'));
    assert.equal(violations([history(), revoked], [call(7_000, 'VALID'), call(6_001, 'VALID', { key: 1 }), call(6_001, 'REVOKED', { key: 1 })], []).length, 1);
  });

  test('authorize shows 200, 401, 403 and 503 only, and is held to the same', () => {
    const revoked = history(change(1_000, { status: 'revoked' }));
    right(revoked, status(6_000, 200));
    wrong(revoked, status(6_001, 200), /^accepted: answered 200, where 401/);
    right(revoked, status(6_001, 401));
    wrong(history(), status(100, 401), /^refused/);
    right(history(), status(100, 403, { scopes: ['c'] }));
    wrong(history(), status(100, 500), /^refused/);
    wrong(history(), status(100, 503), /^UNAVAILABLE/);
  });

  test('whatever ends at a change ends with it: a scope, an origin, disabled and enabled', () => {
    const narrowed = history(change(1_000, { scopes: ['a'] }));
    wrong(narrowed, call(6_001, 'VALID', { scopes: ['b'] }), /INSUFFICIENT_SCOPE/);
    right(narrowed, call(6_001, 'VALID', { scopes: ['a'] }));
    const bound = history(change(1_000, { origins: ['https://a.example'] }));
    wrong(bound, call(6_001, 'VALID', { origin: 'https://b.example' }), /ORIGIN_NOT_ALLOWED/);
    wrong(bound, call(6_001, 'VALID'), /ORIGIN_NOT_ALLOWED/);
    const toggled = history(change(1_000, { status: 'disabled' }), change(7_000, {}));
    wrong(toggled, call(6_500, 'VALID'), /^accepted/);
    right(toggled, call(7_000, 'VALID'));
    right(toggled, call(12_000, 'DISABLED'));
    wrong(toggled, call(12_001, 'DISABLED'), /^refused/);
  });

  test('a state that a call meets only with its end may have been met', () => {
    right(history(change(1_000, { status: 'revoked' })), call(0, 'REVOKED', { end: 1_000 }));
  });

  test('the authority itself follows every change that was answered', () => {
    const revoked = history(change(1_000, { status: 'revoked' }));
    right(revoked, call(1_010, 'VALID', { fresh: true }));
    wrong(revoked, call(1_011, 'VALID', { fresh: true }), /^accepted/);
  });

  test('an answer that says when the authority was asked does not tell of what had ended by then', () => {
    const revoked = history(change(1_000, { status: 'revoked' }));
    const asked = (asOf) => call(3_000, undefined, { answer: { code: 'VALID', mode: 'lease', asOf, remaining: 1, staleness: 5 } });
    right(revoked, asked(1_010));
    wrong(revoked, asked(1_011), /^accepted/);
  });

  test('calls just after the end of what was accepted are told from all others', () => {
    const revoked = history(change(1_000, { status: 'revoked' }));
    assert.deepEqual([6_000, 6_001, 7_000, 7_001].map((start) => narrowly(revoked, call(start, 'REVOKED'), 1_000)), [false, true, true, false]);
    assert.ok(!narrowly(revoked, call(6_001, 'REVOKED', { scopes: ['c'] }), 1_000));
  });

  test('after a receipt that says confirmed nothing is accepted', () => {
    const revoked = history(change(1_000, { status: 'revoked' }, { answered: 3_000, confirmed: true }));
    wrong(revoked, call(3_001, 'VALID'), /^accepted/);
    assert.deepEqual(misjudgedReceipts(revoked), ['change: confirmed 3000 ms before effective_by']);
    assert.deepEqual(misjudgedReceipts(history(change(1_000, { status: 'revoked' }, { answered: 6_000, confirmed: true }))), []);
  });

  test('a bound that is missing, before its change or later than any lease is no bound', () => {
    for (const [effectiveBy, count] of [[NaN, 1], [999, 1], [1_000, 0], [6_010, 0], [6_011, 1]]) {
      assert.equal(misjudgedReceipts(history(change(1_000, {}, { effectiveBy }))).length, count, String(effectiveBy));
    }
  });

  test('a new secret may be accepted from when it was asked for, and must be after usable_by', () => {
    const rotated = { ...history(change(1_000, { secrets: { 1: Infinity, 2: Infinity } })), usableBy: { 2: 2_000 } };
    const second = { secret: 2 };
    right(rotated, call(1_000, 'VALID', second));
    right(rotated, call(2_000, 'NOT_FOUND', second));
    wrong(rotated, call(2_001, 'NOT_FOUND', second), /^refused/);
    wrong(rotated, call(900, 'VALID', second), /^accepted: answered VALID, where NOT_FOUND/);
  });

  test('a secret that retires is accepted until its instant; one that is gone ends by effective_by; one that is forgotten is NOT_FOUND', () => {
    const ends = history(change(1_000, { secrets: { 1: 9_000, 2: Infinity } }));
    right(ends, call(8_999, 'VALID'));
    right(ends, call(8_999, 'ROTATED_OUT'));
    wrong(ends, call(8_990, 'ROTATED_OUT'), /^refused/);
    wrong(ends, call(9_000, 'VALID'), /^accepted: answered VALID, where ROTATED_OUT/);
    const completed = { ...history(change(1_000, { secrets: { 1: -Infinity, 2: Infinity } }), change(20_000, { secrets: { 2: Infinity, 3: Infinity } })), usableBy: { 2: 2_000, 3: 21_000 } };
    right(completed, call(6_000, 'VALID'));
    wrong(completed, call(6_001, 'VALID'), /^accepted/);
    right(completed, call(25_000, 'ROTATED_OUT'));
    right(completed, call(25_001, 'NOT_FOUND'));
    wrong(completed, call(25_001, 'ROTATED_OUT'), /^refused/);
  });

  test('refusals come in the order of the verdict', () => {
    const state = { ...active, origins: ['https://a.example'], scopes: [], secrets: { 1: -Infinity } };
    const asked = { secret: 1, scopes: ['a'] };
    assert.equal(codeOf({ ...state, status: 'revoked' }, asked, 0), 'REVOKED');
    assert.equal(codeOf({ ...state, status: 'disabled' }, asked, 0), 'DISABLED');
    assert.equal(codeOf(state, asked, 0), 'ROTATED_OUT');
    assert.equal(codeOf({ ...state, secrets: { 1: Infinity } }, asked, 0), 'ORIGIN_NOT_ALLOWED');
    assert.equal(codeOf({ ...state, secrets: { 1: Infinity }, origins: [] }, asked, 0), 'INSUFFICIENT_SCOPE');
    assert.equal(codeOf({ ...state, status: 'revoked' }, { ...asked, secret: 2 }, 0), 'NOT_FOUND');
  });

  test('UNAVAILABLE is excused by a fault at that edge within 3 s, by nothing else', () => {
    const faults = [{ edge: 0, from: 1_000, to: 2_000 }];
    right(history(), call(1_500, 'UNAVAILABLE'), faults);
    right(history(), call(4_995, 'UNAVAILABLE'), faults);
    wrong(history(), call(4_996, 'UNAVAILABLE'), /^UNAVAILABLE/, faults);
    wrong(history(), call(900, 'UNAVAILABLE'), /^UNAVAILABLE/, faults);
    wrong(history(), call(1_500, 'UNAVAILABLE', { edge: 1 }), /^UNAVAILABLE/, faults);
  });

  test('a lease says how long it lasts, and no longer than the key allows', () => {
    const lease = (remaining, staleness = 5) => call(100, undefined, { answer: { code: 'VALID', mode: 'lease', remaining, staleness } });
    right(history(), lease(0));
    right(history(), lease(5_000));
    for (const [remaining, staleness] of [[-1, 5], [5_001, 5], [undefined, 5], [0, 0], [100, 60]]) wrong(history(), lease(remaining, staleness), /^a lease of/);
  });

  test('a violation is told with its key, its call and the faults at that edge', () => {
    const faults = [{ edge: 0, from: 5_000, to: 6_000, what: '{"lost":"answer"}' }];
    const [violation] = violations([history(change(1_000, { status: 'revoked' }))], [call(6_101, 'VALID')], faults);
    const text = told(violation, faults);
    for (const part of ['accepted: answered VALID', 'call at 6101', 'effective by -101', '"1":"Infinity"', 'fault at that edge -1101 … -101']) assert.ok(text.includes(part), `${part} is not in\n${text}`);
  });
});
