// What a guard keeps of verdicts, on clocks that do what clocks do at worst.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc, { holds } from '../property.mjs';
import { part } from './frameworks.mjs';

const { Kept, MOST_LEASE_MS, MOST_REFUSED_MS, leaseOf } = await part('kept');
const { Silence } = await part('silence');
const MOST = { entries: 8, characters: 400 };
const QUESTIONS = ['a', 'b'];
const at = (monotonic, wall = monotonic + 1e12) => ({ monotonic, wall });

/** What happens between one reading of the clocks and the next. */
const stepped = fc.record({
  // A suspended machine: the monotonic clock stands still.
  monotonic: fc.oneof({ weight: 6, arbitrary: fc.nat(200) }, { weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(3_000) }, fc.nat(90_000)),
  wall: fc.oneof({ weight: 6, arbitrary: fc.nat(200) }, { weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(3_000) }, fc.nat(90_000), fc.integer({ min: -5_000, max: -1 })),
  does: fc.oneof(
    fc.record({ ask: fc.constantFrom(...QUESTIONS) }),
    // The answer to any question that is still out, however old.
    fc.record({ answer: fc.nat(), lease: fc.oneof({ weight: 4, arbitrary: fc.nat(6_000) }, fc.double(), fc.constantFrom(0, -1, NaN, Infinity, 1e300, '5000', null, undefined)), until: fc.oneof(fc.constant(Infinity), fc.nat(20_000)) }),
    fc.record({ take: fc.constantFrom(...QUESTIONS) }),
    fc.record({ take: fc.constantFrom(...QUESTIONS) }),
  ),
});

/** What says that a verdict is over. Written anew from what is claimed, with none of the module's own arithmetic. */
function overBy({ from, lease, until, backs }, now, backsNow) {
  const most = Math.min(lease, 60_000) * 0.99;
  if (!(now.monotonic - from.monotonic < most)) return 'the monotonic clock';
  if (!(now.wall - from.wall < most)) return 'the wall clock';
  if (!(now.wall < until)) return 'its own instant';
  return backs === backsNow ? undefined : 'a step back of the wall clock';
}

/** Of three questions the third's answer comes when it is over, and then the first's: neither may take the place of the second's. */
const OVERTAKEN = [
  { ask: 'b' }, { ask: 'b' }, { answer: 1, lease: 2, until: Infinity }, { ask: 'b' }, { take: 'b' },
  { wall: 1, answer: 1, lease: 1, until: Infinity }, { answer: 0, lease: 1e300, until: Infinity }, { take: 'b' },
].map(({ wall = 0, ...does }) => ({ monotonic: 0, wall, does }));

test('no verdict is used after its end on either clock, after its own instant, past a step back, or in the place of a newer one', () => {
  let used = 0;
  holds(fc.property(fc.array(stepped, { minLength: 5, maxLength: 120, size: 'max' }), (steps) => {
    const kept = new Kept(MOST);
    const now = { monotonic: 1_000, wall: 1e12 };
    const out = [];
    // Steps back that are seen: what is undone before anybody looks has not happened.
    let [backs, seen, number] = [0, 0, 0];
    const newest = {};
    for (const { monotonic, wall, does } of steps) {
      now.monotonic += monotonic;
      now.wall += wall;
      if ('answer' in does && out.length === 0) continue;
      if (now.wall < seen) backs += 1;
      seen = now.wall;
      if ('ask' in does) out.push({ question: does.ask, asked: kept.asked({ ...now }), from: { ...now }, backs, number: (number += 1) });
      else if ('answer' in does) {
        const [{ question, asked, ...rest }] = out.splice(does.answer % out.length, 1);
        const until = now.wall + does.until;
        kept.keep(question, { ...rest, lease: does.lease, until }, asked, { ...now }, { ms: leaseOf(does.lease), until, size: 10 });
      } else {
        const verdict = kept.take(does.take, { ...now }, 2_000)?.verdict;
        if (verdict === undefined) continue;
        used += 1;
        assert.equal(typeof verdict.lease, 'number');
        assert.equal(overBy(verdict, now, backs), undefined);
        const before = newest[does.take];
        if (before && overBy(before, now, backs) === undefined) assert.ok(verdict.number >= before.number, 'older than what was in hand before');
        newest[does.take] = verdict;
      }
      assert.ok(kept.size <= MOST.entries);
    }
  }), { runs: 3_000, examples: [[OVERTAKEN]] });
  assert.ok(used > 1_000, `only ${used} verdicts were used: nothing was shown`);
});

test('with one honest clock, up to 1 % slow, no verdict outlives what was granted in true time, whatever the other does', () => {
  let used = 0;
  const honest = fc.record({ rate: fc.double({ min: 0.99, max: 1.01, noNaN: true }), wall: fc.boolean(), lease: fc.integer({ min: 1, max: 60_000 }), other: fc.array(fc.nat(50_000), { minLength: 6, maxLength: 6 }), waits: fc.array(fc.nat(30_000), { minLength: 6, maxLength: 6 }) });
  holds(fc.property(honest, ({ rate, wall, lease, other, waits }) => {
    const kept = new Kept(MOST);
    let [truth, wrong] = [0, 0];
    const read = () => (wall ? { monotonic: wrong, wall: truth * rate } : { monotonic: truth * rate, wall: wrong });
    const asked = kept.asked(read());
    waits.forEach((wait, i) => {
      truth += wait;
      wrong += other[i];
      if (i === 0) kept.keep('a', 'yes', asked, read(), { ms: leaseOf(lease), until: Infinity, size: 3 });
      if (kept.take('a', read(), 1) === undefined) return;
      used += 1;
      assert.ok(truth <= lease, `used ${truth - lease} ms too late`);
    });
  }), { runs: 5_000 });
  assert.ok(used > 1_000, String(used));
});

test('what is granted is a length of time, bounded, and a hundredth shorter', () => {
  for (const none of [0, -1, -Infinity, NaN, '5000', null, undefined, {}, [5_000], true, 10n]) assert.equal(leaseOf(none), 0, String(none));
  for (const endless of [1e300, Infinity, Number.MAX_VALUE, 60_001]) assert.equal(leaseOf(endless), MOST_LEASE_MS * 0.99);
  assert.equal(leaseOf(5_000), 4_950);
  assert.equal(leaseOf(5_000, MOST_REFUSED_MS), 990);
});

test('an answer that came after its own end is not kept, nor one that was asked for before everything was dropped', () => {
  const kept = new Kept(MOST);
  const of = { ms: 1_000, until: Infinity, size: 1 };
  kept.keep('a', 'late', kept.asked(at(0)), at(1_000), of);
  assert.equal(kept.take('a', at(1_000), 1), undefined);
  const asked = kept.asked(at(2_000));
  // Somebody else sees the clock step back, and forward again, before the answer comes.
  kept.take('b', at(2_001, 5), 1);
  kept.keep('a', 'before', asked, at(2_002), of);
  assert.equal(kept.take('a', at(2_003), 1), undefined);
});

test('after half of its time one call renews, and another one only when that one has taken too long', () => {
  const kept = new Kept(MOST);
  kept.keep('a', 'yes', kept.asked(at(0)), at(0), { ms: 1_000, until: Infinity, size: 1 });
  const renews = (now) => kept.take('a', at(now), 200).renew;
  assert.deepEqual([499, 500, 501, 699, 700, 701].map(renews), [false, true, false, false, true, false]);
});

test('there is room for so many entries and characters, and refusals have no more than half of it', () => {
  const kept = new Kept(MOST);
  const keep = (question, { size = 10, minor = false } = {}) => kept.keep(question, question, kept.asked(at(1)), at(1), { ms: 1_000, until: Infinity, size, minor });
  for (let i = 0; i < 100; i += 1) keep(`yes-${i}`);
  assert.equal(kept.size, MOST.entries);
  assert.equal(kept.take('yes-99', at(1), 1).verdict, 'yes-99');
  keep('no', { minor: true });
  assert.equal(kept.take('no', at(1), 1), undefined, 'half of the room is for others');
  keep('yes-99', { minor: true });
  assert.equal(kept.take('yes-99', at(1), 1).verdict, 'yes-99', 'what is in hand is replaced by a refusal in any case');
  keep('large', { size: 350 });
  assert.ok(kept.size < MOST.entries && kept.take('large', at(1), 1));
  keep('larger than everything', { size: 1_000 });
  assert.equal(kept.take('larger than everything', at(1), 1), undefined);
  const few = new Kept(MOST);
  for (let i = 0; i < 100; i += 1) few.keep(`no-${i}`, 'no', few.asked(at(0)), at(0), { ms: 1_000, until: Infinity, size: 1, minor: true });
  assert.equal(few.size, MOST.entries / 2);
});

test('that each call has to ask is known, and nobody waits for anybody then', () => {
  const kept = new Kept(MOST);
  kept.begin('a', at(0), 2_000);
  assert.equal(kept.isAsked('a', at(1)), true);
  assert.equal(kept.isAsked('a', at(2_000)), false, 'whoever asked was ended by its runtime');
  kept.keep('a', 'limited', kept.asked(at(5)), at(6), { ms: 0, until: Infinity, size: 1 });
  assert.equal(kept.take('a', at(7), 1), undefined);
  kept.begin('a', at(7), 2_000);
  assert.equal(kept.isAsked('a', at(8)), false);
});

test('after a failure nobody asks for half a second, and then one at a time until an answer comes', () => {
  const silence = new Silence();
  const lets = (now) => silence.lets(now, 2_000);
  assert.equal(lets(0), true);
  silence.failed(5, 10);
  assert.deepEqual([11, 509, 510, 511, 2_509, 2_510].map(lets), [false, false, true, false, false, true]);
  silence.heard(2_511);
  assert.deepEqual([2_512, 2_513].map(lets), [true, true]);
  silence.failed(2_500, 4_500);
  assert.equal(lets(4_501), true, 'others were answered meanwhile');
  silence.failed(2_511, 4_511);
  assert.equal(lets(4_512), false);
});
