// The claim that every run over several edges is held to: after `effective_by` of a change no edge goes on with what was
// before, and nothing valid is refused but as UNAVAILABLE while a line was bad. Pure functions over what was written down;
// all instants are milliseconds of one clock.
//
//   state    `{status, scopes, origins, staleness, secrets}`: what a key is; `secrets` holds until when each secret is
//            accepted, by number (`Infinity`: without end, `-Infinity`: gone); one that is not in it is not known
//   change   `{what, sent, answered, effectiveBy, confirmed, state}`: what made a state of the one before
//   history  `{id, changes, usableBy}`: all changes of a key, the first of which made it; by number of a later secret, from
//            when every edge accepts it
//   call     `{edge, view, fresh, secret, scopes, origin, start, end, answer}`: what was asked, where and when; `view` is
//            'verify' or 'authorize', `fresh` asks the authority itself
//   answer   `{code, mode, asOf, remaining, staleness}` of a verification, `{status}` of an authorization

/** How long after a fault was lifted a question of its time may still be waited for, or be the reason not to ask again. */
export const AFTERMATH_MS = 3_000;

/** The code that a state gives a call at an instant. */
export function codeOf(state, { secret, scopes, origin }, now) {
  const until = state.secrets[secret];
  if (until === undefined) return 'NOT_FOUND';
  if (state.status !== 'active') return state.status.toUpperCase();
  if (now >= until) return 'ROTATED_OUT';
  if (state.origins.length > 0 && !state.origins.includes(origin)) return 'ORIGIN_NOT_ALLOWED';
  return scopes.every((scope) => state.scopes.includes(scope)) ? 'VALID' : 'INSUFFICIENT_SCOPE';
}

/** The last instant at which a call may begin and still meet the state before the change `next`. */
function lastStart(next, state, usableBy, { secret, fresh }) {
  // The authority's own verdict follows every change that was answered before it was asked for.
  if (fresh) return next.answered;
  const last = next.confirmed ? Math.min(next.effectiveBy, next.answered) : next.effectiveBy;
  // A secret that is not made yet has a bound of its own; one that is older than what the state knows was forgotten.
  const unmade = state.secrets[secret] === undefined && Object.keys(state.secrets).every((number) => number < secret);
  return unmade ? Math.min(last, usableBy[secret] ?? Infinity) : last;
}

/** The states that a call may have met. */
function inForce({ changes, usableBy }, call) {
  return changes.filter(({ sent, state }, i) => {
    const next = changes[i + 1];
    if (next === undefined) return call.end >= sent;
    // An answer that says when the authority was asked may not tell of what had ended by then.
    return call.end >= sent && call.start <= lastStart(next, state, usableBy, call) && !(call.answer.asOf > next.answered);
  }).map(({ state }) => state);
}

/** The codes that a call may be answered. */
const possibleCodes = (states, call) => new Set(states.flatMap((state) => [codeOf(state, call, call.start), codeOf(state, call, call.end)]));

/** Whether a call had to be refused, and would have been accepted had it begun `milliseconds` earlier: the very edge of the claim. */
export function narrowly(history, call, milliseconds) {
  const accepted = (asked) => possibleCodes(inForce(history, asked), asked).has('VALID');
  return !accepted(call) && accepted({ ...call, start: call.start - milliseconds });
}

const STATUS = { VALID: 200, ORIGIN_NOT_ALLOWED: 403, INSUFFICIENT_SCOPE: 403, UNAVAILABLE: 503 };
/** What an outsider is shown of a code. */
const statusOf = (code) => STATUS[code] ?? 401;

/** Whether a fault, `{edge, from, to}`, excuses an answer that says UNAVAILABLE. */
const excused = (faults, { edge, end }) => faults.some((fault) => fault.edge === edge && fault.from <= end && fault.to >= end - AFTERMATH_MS);

/** What is wrong with the answer to a call, or `undefined`. */
export function judge(history, call, faults) {
  const { view, answer } = call;
  const [given, shown] = view === 'verify' ? [answer.code, (code) => code] : [answer.status, statusOf];
  if (given === shown('UNAVAILABLE')) return excused(faults, call) ? undefined : 'UNAVAILABLE without a fault';
  const states = inForce(history, call);
  const possible = new Set([...possibleCodes(states, call)].map(shown));
  if (!possible.has(given)) {
    const wrong = given === shown('VALID') ? 'accepted' : 'refused';
    return `${wrong}: answered ${given}, where ${[...possible].join(' or ')} was possible`;
  }
  if (view === 'verify' && answer.mode === 'lease') {
    const { remaining, staleness } = answer;
    if (!(remaining >= 0 && remaining <= staleness * 1000 && staleness > 0)) return `a lease of ${staleness} s with ${remaining} ms to go`;
    if (!states.some((state) => state.staleness === staleness)) return `a lease of ${staleness} s, which the key did not have`;
  }
  return undefined;
}

/** What is wrong with the receipts of a history: a bound that is later than any lease, or confirmed before its time. */
export function misjudgedReceipts({ changes }) {
  return changes.slice(1).flatMap(({ what, sent, answered, effectiveBy, confirmed }) => {
    const longest = Math.max(...changes.map(({ state }) => state.staleness)) * 1000;
    if (!(effectiveBy >= sent && effectiveBy <= answered + longest)) return [`${what}: effective_by is ${effectiveBy - sent} ms after it was sent, ${effectiveBy - answered} ms after its answer`];
    if (confirmed && effectiveBy > answered) return [`${what}: confirmed ${effectiveBy - answered} ms before effective_by`];
    return [];
  });
}

/** All that is wrong: `[{history, call, why}]`; `call` has the index of its history as `key`. */
export function violations(histories, calls, faults) {
  const ofReceipts = histories.flatMap((history) => misjudgedReceipts(history).map((why) => ({ history, why })));
  const ofCalls = calls.flatMap((call) => {
    const why = judge(histories[call.key], call, faults);
    return why === undefined ? [] : [{ history: histories[call.key], call, why }];
  });
  return [...ofReceipts, ...ofCalls];
}

/** A violation in words: times are milliseconds from when the call began. */
export function told({ history, call, why }, faults) {
  const zero = call?.start ?? history.changes[0].sent;
  const plain = (state) => JSON.stringify(state, (_, value) => (Math.abs(value) === Infinity ? String(value) : value));
  const lines = history.changes.map(({ what, sent, answered, effectiveBy, confirmed, state }) =>
    `  ${sent - zero} … ${answered - zero}  ${what}${effectiveBy === undefined ? '' : `, effective by ${effectiveBy - zero}`}${confirmed ? ', confirmed' : ''}  ${plain(state)}`);
  const usable = Object.entries(history.usableBy).map(([number, at]) => `  secret ${number} usable by ${at - zero}`);
  const near = !call ? [] : faults.filter(({ edge, from, to }) => edge === call.edge && from <= call.end && to >= call.end - 10_000)
    .map(({ what, from, to }) => `  fault at that edge ${from - zero} … ${to - zero}  ${what}`);
  return [why, ...(call ? [`call at ${zero}: ${JSON.stringify(call)}, ${call.end - call.start} ms`] : []), `key ${history.id}`, ...lines, ...usable, ...near].join('\n');
}
