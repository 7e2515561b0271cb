// The claim of every receipt, over five edges at once: random changes and bad lines under load, and every single answer is
// checked (claim.mjs). KEYWARD_SEED repeats the choices of a run; not its timing.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { AFTERMATH_MS, narrowly, told, violations } from './claim.mjs';
import { EDGES, Edges, authorization, verification } from './edges.mjs';
import { faulty } from './harness.mjs';

const KEYS = 48;
const CHANGERS = 4;
const LINES_PER_EDGE = 24;
/** How long a revoked key is still asked for: longer than any lease. */
const MOURNED_MS = 7_000;
/** Those that an edge keeps a lease of are the more, as the others are asked for with every call. */
const STALENESS = [0, 1, 1, 2, 2, 5, 5];
const SCOPES = ['calls:create', 'calls:read'];
const ORIGINS = ['https://shop.example', 'https://app.example'];
const GONE = -Infinity;

const seed = Number(process.env.KEYWARD_SEED ?? randomInt(2 ** 32));

/** Random choices that follow from the seed and a name (mulberry32). */
function choices(name) {
  let state = [...name].reduce((hash, letter) => Math.imul(hash ^ letter.codePointAt(0), 16_777_619), seed);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    chance: (share) => next() < share,
    below: (bound) => Math.floor(next() * bound),
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    of: (list) => list[Math.floor(next() * list.length)],
  };
}

/** A key, all that is known of it, and the changes that can be made to it. */
class Key {
  /** Its place among all that there were. */
  index;
  /** Texts by the number of their secret. */
  texts = {};
  changes = [];
  usableBy = {};
  /** `{from, to, endsAt}` of a rotation that may be open. */
  rotation;
  busy = false;
  restsUntil = 0;

  static async make(keyward, choose) {
    const key = new Key();
    const origins = choose.chance(0.5) ? ORIGINS : [];
    const state = { status: 'active', scopes: SCOPES, origins, staleness: choose.of(STALENESS), secrets: { 1: Infinity } };
    const sent = Date.now();
    const { id, key: text } = await keyward.create({ scopes: SCOPES, allowed_origins: origins, max_staleness_seconds: state.staleness });
    Object.assign(key, { keyward, id, texts: { 1: text } });
    key.changes.push({ what: 'create', sent, answered: Date.now(), state });
    return key;
  }

  get state() {
    return this.changes.at(-1).state;
  }

  /** Makes a change: `next(body)` is what the state becomes. Answers the body, or `undefined` where it was refused. */
  async change(what, method, path, body, next) {
    const sent = Date.now();
    const answer = await this.keyward.call(method, `/v1/keys/${this.id}${path}`, body);
    const answered = Date.now();
    // A rotation that has just ended by itself, or not yet.
    if ([404, 409].includes(answer.status) && path.startsWith('/rotations')) return undefined;
    assert.ok([200, 201].includes(answer.status), `${what} answered ${answer.status}: ${answer.text}`);
    const { effective_by, confirmed = false } = answer.body;
    assert.ok(confirmed || !body?.wait, `${what} was to be waited for: ${answer.text}`);
    this.changes.push({ what: `${what} ${JSON.stringify(body) ?? ''}`, sent, answered, effectiveBy: Date.parse(effective_by), confirmed, state: { ...this.state, ...next(answer.body) } });
    return answer.body;
  }

  revoke(wait) {
    return this.change('revoke', 'POST', '/revoke', { reason: 'run', wait }, () => ({ status: 'revoked' }));
  }

  disable(wait) {
    return this.change('disable', 'POST', '/disable', { wait }, () => ({ status: 'disabled' }));
  }

  enable() {
    return this.change('enable', 'POST', '/enable', undefined, () => ({ status: 'active' }));
  }

  patch(fields, next) {
    return this.change('patch', 'PATCH', '', fields, () => next);
  }

  /** Begins a rotation. Secrets that are gone are forgotten with it. */
  async rotate(activate, grace_seconds) {
    const from = Number(Object.keys(this.state.secrets).findLast((number) => this.state.secrets[number] > Date.now()));
    const to = Math.max(...Object.keys(this.texts).map(Number)) + 1;
    const end = ({ ends_at }) => (ends_at === null ? Infinity : Date.parse(ends_at));
    const begun = await this.change('rotate', 'POST', '/rotations', { activate, grace_seconds }, ({ rotation }) =>
      ({ secrets: { [from]: end(rotation), [to]: Infinity } }));
    if (begun === undefined) return;
    this.usableBy[to] = Date.parse(begun.rotation.usable_by);
    this.texts[to] = begun.key;
    this.rotation = { from, to, endsAt: end(begun.rotation) };
    if (activate === 'first_use' && grace_seconds < 60) await this.activated();
  }

  /** Waits until the first use of a new secret is known, which is when the old one is given its end. */
  async activated() {
    const { sent, effectiveBy: before } = this.changes.at(-1);
    const { from, to } = this.rotation;
    for (const end = Date.now() + 20_000; Date.now() < end; await pause(100)) {
      const { status, text, body } = await this.keyward.call('GET', `/v1/keys/${this.id}/rotations/current`);
      assert.equal(status, 200, text);
      if (body.status === 'waiting') continue;
      const endsAt = Date.parse(body.ends_at);
      this.rotation.endsAt = endsAt;
      // Nobody asked for this change, so nobody was told its bound; and it may have come at any time since the rotation began.
      const effectiveBy = Math.max(before, Date.parse(body.activated_at) + this.state.staleness * 1_000);
      this.changes.push({ what: 'activated', sent, answered: Date.now(), effectiveBy, confirmed: false, state: { ...this.state, secrets: { [from]: endsAt, [to]: Infinity } } });
      return;
    }
    assert.fail(`the first use of secret ${to} of ${this.id} did not become known within 20 s`);
  }

  /** Ends the rotation by force: `complete` keeps the new secret, `cancel` the old one. */
  async end(ending, wait) {
    const { from, to } = this.rotation;
    const [stays, goes] = ending === 'complete' ? [to, from] : [from, to];
    await this.change(ending, 'POST', `/rotations/current/${ending}`, { force: true, wait }, () => ({ secrets: { [stays]: Infinity, [goes]: GONE } }));
    this.rotation = undefined;
  }
}

/** Makes one change, chosen by chance, that the key can undergo. */
function changeOne(key, choose) {
  const { state } = key;
  const wait = choose.chance(0.15);
  if (choose.chance(0.15)) return key.revoke(wait);
  if (state.status === 'disabled' && choose.chance(0.7)) return key.enable();
  if (key.rotation && key.rotation.endsAt < Date.now()) key.rotation = undefined;
  const scopes = state.scopes.length > 1 ? [choose.of(SCOPES)] : SCOPES;
  const origins = state.origins.length > 1 ? [choose.of(ORIGINS)] : ORIGINS;
  const staleness = choose.of(STALENESS.filter((seconds) => seconds !== state.staleness));
  const terms = choose.of([['now', choose.of([0, 1, 5, 86_400])], ['first_use', choose.of([1, 3, 86_400, 86_400])]]);
  const turn = key.rotation ? () => key.end(choose.of(['complete', 'cancel']), wait) : () => key.rotate(...terms);
  return choose.of([
    () => (state.status === 'active' ? key.disable(wait) : key.enable()),
    () => key.patch({ scopes }, { scopes }),
    () => key.patch({ max_staleness_seconds: staleness }, { staleness }),
    ...(state.origins.length > 0 ? [() => key.patch({ allowed_origins: origins }, { origins })] : []),
    turn,
    turn,
  ])();
}

/** What may befall a line, chosen by chance. */
const badLine = (choose) => choose.of([
  () => ({ lost: 'question' }),
  () => ({ lost: 'answer' }),
  () => ({ silent: true }),
  () => ({ lost: 'question', share: 0.4 }),
  () => ({ silent: true, share: 0.3 }),
  () => ({ before: choose.between(10, 400), after: choose.between(10, 400) }),
  () => ({ after: choose.between(200, 1_800) }),
  () => ({ before: choose.between(200, 2_500), share: 0.7 }),
])();

const EVERYWHERE = [...Array(EDGES).keys()];

/** What befalls lines now and then: at which edges, which faults one after the other and for how long, how long nothing before. */
const nowAndThen = (choose) => ({
  after: choose.between(200, 1_200),
  edges: choose.chance(0.3) ? EVERYWHERE : [choose.below(EDGES)],
  faults: Array.from({ length: choose.between(1, 3) }, () => [badLine(choose), choose.between(200, 2_000)]),
});

/** What shows whether leases count from before the question: they are granted late, and then not renewed. */
const lateThenLost = () => ({ after: 0, edges: EVERYWHERE, faults: [[{ after: 800 }, 1_500], [{ lost: 'question' }, 2_000]] });

/**
 * Random load, changes and faults until `calls` calls were made and `milliseconds` have passed.
 * @param options.spells what befalls lines next, by a source of choices
 * @returns what there is to judge: `{histories, calls, faults}`
 */
async function randomRun(keyward, { calls: wanted, milliseconds, spells }) {
  const { key: caller } = await keyward.create({ scopes: ['keyward.keys:verify'], max_staleness_seconds: 60 });
  /** Every key there ever was. */
  const all = [];
  const add = async (choose) => {
    const key = await Key.make(keyward, choose);
    key.index = all.push(key) - 1;
    return key;
  };
  const making = choices('making');
  let alive = [];
  for (let i = 0; i < KEYS; i += 1) alive.push(await add(making));
  /** Those that were changed last, revoked ones among them: half of the calls are for these. */
  let recent = [];
  const calls = [];
  const faults = [];
  const start = Date.now();
  let failed = false;
  let changing = CHANGERS;
  const over = () => failed || (calls.length >= wanted && Date.now() - start >= milliseconds);

  const call = async (line, { edge, key, view, fresh, secret, scopes, origin }) => {
    const text = key.texts[secret];
    const bytes = view === 'verify' ? verification(caller, { key: text, scopes, origin }, { fresh }) : authorization(text, { scopes, origin });
    const { status, body, start, end } = await line.call(bytes);
    calls.push({ key: key.index, edge, view, fresh, secret, scopes, origin, start, end, answer: view === 'verify' ? verdict(status, body) : { status } });
  };

  const ask = async (edge, number) => {
    const choose = choices(`line ${edge} ${number}`);
    const line = keyward.line(edge);
    // To the end of the last change, which may be one that only calls bring about.
    while (changing > 0 && !failed) {
      const key = recent.length > 0 && choose.chance(0.5) ? choose.of(recent) : choose.of(alive);
      const secret = Number(choose.of(Object.keys(key.texts).slice(-3)));
      const scopes = choose.of([[], [SCOPES[0]], [SCOPES[1]], SCOPES]);
      const origin = choose.of([...ORIGINS, undefined]);
      const view = choose.of(['verify', 'authorize']);
      const fresh = view === 'verify' && choose.chance(0.03);
      await call(line, { edge, key, view, fresh, secret, scopes, origin });
    }
    line.close();
  };

  const change = async (number) => {
    const choose = choices(`changer ${number}`);
    while (!over()) {
      const rested = alive.filter(({ busy, restsUntil }) => !busy && restsUntil <= Date.now());
      if (rested.length > 0) {
        const key = choose.of(rested);
        key.busy = true;
        recent = [...recent.filter((other) => other !== key), key].slice(-12);
        await changeOne(key, choose);
        const { effectiveBy, state } = key.changes.at(-1);
        // One that is revoked stays so: nobody may change it while another is made in its place.
        key.busy = state.status === 'revoked';
        // Most rest until their change holds everywhere, so that its end is seen; some are changed again in between.
        key.restsUntil = choose.chance(0.7) ? (effectiveBy ?? 0) + choose.between(0, 2_000) : Date.now();
        if (state.status === 'revoked') {
          const made = await add(choose);
          alive = [...alive.filter((other) => other !== key), made];
        }
      }
      recent = recent.filter(({ state, changes }) => state.status !== 'revoked' || changes.at(-1).answered > Date.now() - MOURNED_MS);
      await pause(choose.between(0, 60));
    }
    changing -= 1;
  };

  const spoil = async () => {
    const choose = choices('faults');
    while (!over()) {
      const { after, edges, faults: next } = spells(choose);
      await pause(after);
      for (const [fault, milliseconds] of [...next, [{}, 0]]) {
        const from = Date.now();
        const met = edges.map((edge) => ({ edge, from, to: Infinity, what: JSON.stringify(fault) }));
        await Promise.all(edges.map((edge) => keyward.fault(edge, fault)));
        // The one before has ended now.
        for (const one of faults) if (edges.includes(one.edge) && one.to === Infinity) one.to = Date.now();
        if (milliseconds > 0) faults.push(...met);
        await pause(milliseconds);
      }
    }
  };

  const lanes = [
    ...Array.from({ length: EDGES * LINES_PER_EDGE }, (_, i) => ask(i % EDGES, i)),
    ...Array.from({ length: CHANGERS }, (_, i) => change(i)),
    spoil(),
  ];
  await Promise.all(lanes.map((lane) => lane.catch((error) => {
    failed = true;
    throw error;
  })));
  const seconds = (Date.now() - start) / 1000;
  assert.equal(alive.length, KEYS);
  await pause(AFTERMATH_MS);
  // Every line is good again: from here nothing excuses UNAVAILABLE.
  await Promise.all(Array.from({ length: EDGES }, async (_, edge) => {
    const line = keyward.line(edge);
    for (const key of alive) await call(line, { edge, key, view: 'verify', fresh: false, secret: Number(Object.keys(key.texts).at(-1)), scopes: [], origin: ORIGINS[0] });
    line.close();
  }));
  return { histories: all, calls, faults, seconds };
}

/** What a verification answered. */
function verdict(status, body) {
  if (status === 503) return { code: 'UNAVAILABLE' };
  if (status !== 200) return { code: `${status} ${body}` };
  const { valid, code, freshness } = JSON.parse(body);
  if (valid !== (code === 'VALID')) return { code: `${code}, valid: ${valid}` };
  const { mode, as_of, lease_remaining_ms: remaining, max_staleness_seconds: staleness } = freshness;
  return { code, mode, asOf: as_of === null ? undefined : Date.parse(as_of), remaining, staleness };
}

/** How often each item occurs. */
function tally(items) {
  const counts = {};
  for (const item of items) counts[item] = (counts[item] ?? 0) + 1;
  return counts;
}

const words = (found, faults) => `KEYWARD_SEED=${seed}: ${found.length} violations, the first of them:\n${found.slice(0, 3).map((violation) => told(violation, faults)).join('\n\n')}`;

/** Keeps asking about `key` at one edge, on many lines at once, until it is told to stop; answers every call. */
function steadily(keyward, { edge, lines, caller, key }) {
  const bytes = verification(caller, { key });
  const calls = [];
  let over = false;
  /** Called with every call that was answered. */
  const watchers = new Set();
  const lane = async () => {
    const line = keyward.line(edge);
    while (!over) {
      const { status, body, start, end } = await line.call(bytes);
      const call = { start, end, ...verdict(status, body) };
      calls.push(call);
      for (const watcher of watchers) watcher(call);
    }
    line.close();
  };
  const lanes = Promise.all(Array.from({ length: lines }, lane));
  return {
    /** The first call from now on that `matches`. */
    met: (matches) => Promise.race([lanes, new Promise((resolve) => {
      const watcher = (call) => {
        if (!matches(call)) return;
        watchers.delete(watcher);
        resolve(call);
      };
      watchers.add(watcher);
    })]),
    async stop() {
      over = true;
      await lanes;
      return calls;
    },
  };
}

describe('five edges', () => {
  test('no edge accepts after effective_by, nothing valid is refused but as UNAVAILABLE', { timeout: 300_000 }, async (t) => {
    t.diagnostic(`KEYWARD_SEED=${seed}`);
    const keyward = await Edges.start();
    try {
      const { histories, calls, faults, seconds } = await randomRun(keyward, { calls: 100_000, milliseconds: 30_000, spells: nowAndThen });
      const found = violations(histories, calls, faults);
      const narrow = calls.filter((call) => narrowly(histories[call.key], call, 1_000)).length;
      const codes = tally(calls.map(({ answer }) => answer.code ?? answer.status));
      const modes = tally(calls.map(({ answer }) => answer.mode));
      const changes = tally(histories.flatMap(({ changes }) => changes.map(({ what }) => what.split(' ', 1)[0])));
      t.diagnostic(`${calls.length} calls in ${seconds.toFixed(1)} s, ${narrow} of them within 1 s after what they need had ended; ${faults.length} faults`);
      for (const counts of [codes, modes, changes]) t.diagnostic(JSON.stringify(counts));
      assert.equal(found.length, 0, words(found, faults));
      // What did not happen proves nothing.
      const least = { create: KEYS, revoke: 20, disable: 20, enable: 20, patch: 50, rotate: 20, complete: 5, cancel: 5 };
      for (const [what, count] of Object.entries(least)) assert.ok(changes[what] >= count, `${changes[what]} times ${what}`);
      for (const code of ['VALID', 'REVOKED', 'DISABLED', 'ROTATED_OUT', 'NOT_FOUND', 'ORIGIN_NOT_ALLOWED', 'INSUFFICIENT_SCOPE', 'UNAVAILABLE', 200, 401, 403, 503]) {
        assert.ok(codes[code] >= 50, `${codes[code]} answers ${code}`);
      }
      for (const mode of ['lease', 'authority']) assert.ok(modes[mode] >= 1_000, `${modes[mode]} answers from ${mode}`);
      assert.ok(narrow >= 1_000, `${narrow} calls just after an end`);
    } finally {
      await keyward.stop();
    }
  });

  test('edges that count a lease from its answer are found out', { timeout: 120_000 }, async (t) => {
    t.diagnostic(`KEYWARD_SEED=${seed}`);
    const keyward = await Edges.start({ code: faulty, env: { KEYWARD_FAULT: 'lease-from-answer' } });
    try {
      const { histories, calls, faults } = await randomRun(keyward, { calls: 5_000, milliseconds: 14_000, spells: lateThenLost });
      // Such an edge is also wrong about when it asked; that alone is not to betray it.
      const bare = calls.map((call) => ({ ...call, answer: { ...call.answer, asOf: undefined } }));
      const accepted = violations(histories, bare, faults).filter(({ why }) => why.startsWith('accepted'));
      assert.ok(accepted.length > 0, `${calls.length} calls showed nothing`);
      t.diagnostic(`${accepted.length} of ${calls.length}, the first of them: ${told(accepted[0], faults)}`);
    } finally {
      await keyward.stop();
    }
  });

  for (const [what, fault] of Object.entries({ 'questions are lost': { lost: 'question' }, 'nothing is answered': { silent: true } })) {
    test(`1: while ${what}, leases serve to their end, then it is UNAVAILABLE, without a storm of questions; then it recovers`, { timeout: 60_000 }, async (t) => {
      const keyward = await Edges.start();
      try {
        const { key: caller } = await keyward.create({ scopes: ['keyward.keys:verify'], max_staleness_seconds: 60 });
        const { key, id } = await keyward.create({ max_staleness_seconds: 2 });
        const load = steadily(keyward, { edge: 0, lines: 50, caller, key });
        await load.met(({ mode }) => mode === 'lease');
        const from = Date.now();
        await keyward.fault(0, fault);
        const out = await load.met(({ start, code }) => start > from && code !== 'VALID');
        // As long again and more: an edge that has no lease any more is what may ask in a storm.
        await pause(4_000);
        const to = Date.now();
        const { [id]: asked = 0 } = await keyward.fault(0);
        const back = await load.met(({ start, code }) => start > to && code === 'VALID');
        await pause(500);
        const calls = await load.stop();

        const leases = calls.filter(({ end, mode }) => end < to && mode === 'lease');
        const [promised, ended] = ['start', 'end'].map((edge) => leases.reduce((latest, call) => Math.max(latest, call[edge] + call.remaining), 0));
        const early = calls.filter(({ end, code }) => end < promised && code !== 'VALID');
        const late = calls.filter(({ start, end, code }) => start > ended && end < to && code !== 'UNAVAILABLE');
        const after = calls.filter(({ start, code }) => start > back.end && code !== 'VALID');
        t.diagnostic(`out ${out.end - from} ms after the line failed; ${calls.length} calls, ${asked} questions in ${to - from} ms; back ${back.end - to} ms after it was mended`);
        assert.deepEqual([early[0], late[0], after[0]], [undefined, undefined, undefined]);
        assert.ok(promised > from && out.end >= promised, 'the lease was served');
        assert.ok(asked >= 1 && asked <= (to - from) / 500 + 2, `${asked} questions in ${to - from} ms`);
        assert.ok(back.end - to <= AFTERMATH_MS, `back after ${back.end - to} ms`);
      } finally {
        await keyward.stop();
      }
    });
  }
});
