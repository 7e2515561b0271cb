//! The lease protocol, checked over every order of events: the rules of [`keyward::lease`] between two edges and one
//! authority, over a network that loses, delays and reorders what it carries. The edges decide with `end`, `renew_from` and
//! `may_probe`, the authority with `Reach`; only what surrounds those rules is told again here.
//!
//! **Modelled.** True time, which is the authority's clock, goes on in steps of [`TICK_MS`] between any two events. Each edge
//! has a clock of its own, that is ahead or behind and slow or fast. An edge is called with the secret that the key always
//! had or with another one; it answers from its lease or asks, and renews a lease in the background. A question is answered
//! with what the authority knows when it arrives; any message may arrive at any time or never. The authority changes the
//! length of its leases, then makes one change for good: it revokes the key or adds a secret.
//!
//! **Not modelled.** Clocks that jump or change their rate (an edge that sees its clock step back drops every lease; the
//! authority's clock is taken for the truth). The bounds of an edge's store: a dropped lease is one whose answer was lost. A
//! restart of the authority: it forgets nothing that is stored, and [`Flaw::HorizonForgotten`] tells what must be. Verdicts
//! that the authority gives itself, for staleness 0: an answer that is no lease is none for an edge to accept by. How long
//! an edge stays silent when it got no answer.

use keyward::lease::{Reach, end, may_probe, renew_from};
use keyward::time::Instant;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::io::Write;

/// A step of true time. With it the margins are tight: on a clock that is 1 % slow two steps are 1 999 ms, hardly past the
/// end of a lease of 2 s, and one step is just short of the second after which an edge may ask again.
const TICK_MS: i64 = 1_010;

/// The claim of a receipt, and not an instant less: the one that it names is already over.
const NONE_ACCEPTS: &str = "no edge accepts a revoked key from effective_by on";
/// That the claim is not an empty one.
const ONE_ACCEPTS_YET: &str = "an edge accepts a revoked key before effective_by";
/// The claim of the answer that tells a new secret.
const NONE_REFUSES: &str = "no edge refuses a new secret from usable_by on";
const ONE_REFUSES_YET: &str = "an edge refuses a new secret before usable_by";
const NOT_TOO_SOON: &str = "no edge decides by a change before it is made";
const LATER_IS_KEPT: &str = "no edge drops what it was told for the answer to an older question";
const RENEWS: &str = "an edge asks with a lease in hand";

#[derive(Clone, Copy, Debug)]
struct Protocol {
    clocks: [Clock; 2],
    change: Change,
    /// Steps of time that a run lasts.
    ticks: u8,
    /// Seconds of the longest lease. The authority begins with it and may grant any shorter one, down to none.
    longest: u32,
    /// How often it changes the length of its leases, at most.
    length_changes: u8,
    /// Messages that are under way at once, at most.
    under_way: usize,
    flaw: Option<Flaw>,
}

/// An edge's clock: how far it is ahead of the authority's, and what it counts while a hundred pass.
#[derive(Clone, Copy, Debug)]
struct Clock {
    ahead: i64,
    per_hundred: i64,
}

/// The change for good that the authority makes in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Revoke,
    AddSecret,
}

/// A departure from the protocol, to see that the checker meets what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// A lease counts from when its answer arrived.
    CountedFromAnswer,
    /// When shorter leases are granted, the longer ones that are out are forgotten.
    HorizonForgotten,
    /// The authority reads its clock a step before the change is stored.
    DatedBeforeStored,
    /// The last answer to arrive is kept, whenever its question was sent.
    LastArrivalKept,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    ticks: u8,
    length: u32,
    horizon: Option<Instant>,
    length_changes: u8,
    /// Once the change is made: the instant from which it holds everywhere.
    holds_from: Option<Instant>,
    edges: [Edge; 2],
    /// A verdict alters nothing, so whatever may follow it follows without it too: a state with a verdict ends its run.
    verdict: Option<(Secret, Verdict)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Edge {
    lease: Option<Told>,
    /// Its messages, sorted so that states which differ in nothing else are one: any may be the next to arrive.
    wire: Vec<Message>,
    /// Whether a lease that held gave way to the answer to an older question.
    went_back: bool,
}

/// A message between an edge and the authority, beside what the edge noted before it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    Question(Instant),
    Answer(Told),
}

/// What the authority answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Told {
    asked_at: Instant,
    seconds: u32,
    changed: bool,
}

/// The secret of a call: the one that the key always had, or the one that is added (before that, an invented one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Secret {
    Old,
    New,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    Accepted,
    Revoked,
    NotFound,
}

/// What may happen next. An edge goes by its number, a message by its place on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Tick,
    /// The authority grants leases of so many seconds from now on.
    Grant(u32),
    /// The authority makes its change.
    Change,
    /// An edge is called, and answers from its lease or asks.
    Call(usize, Secret),
    /// An edge renews a lease that a call met.
    Renew(usize),
    /// A message arrives: the authority answers it, or the edge keeps it.
    Arrive(usize, usize),
    /// An answer arrives and decides the call with the old secret that waited for it.
    Conclude(usize, usize),
    /// A message is lost. Told only where that makes room for another: otherwise it is one that does not arrive.
    Lose(usize, usize),
}

impl Told {
    fn holds(&self, now: Instant) -> bool {
        now < end(self.asked_at, self.seconds)
    }
}

impl State {
    fn truth(&self) -> Instant {
        Instant::from_millis(i64::from(self.ticks) * TICK_MS)
    }

    fn reach(&self) -> Reach {
        Reach { staleness: self.length, horizon: self.horizon }
    }

    fn under_way(&self) -> usize {
        self.edges.iter().map(|edge| edge.wire.len()).sum()
    }

    fn changed(&self) -> bool {
        self.holds_from.is_some()
    }

    fn changed_everywhere(&self) -> bool {
        self.holds_from.is_some_and(|instant| instant <= self.truth())
    }

    fn ends_with(&self, secret: Secret, verdict: Verdict) -> bool {
        self.verdict == Some((secret, verdict))
    }

    /// The end of a run, less what no claim about verdicts looks at.
    fn end(&self, secret: Secret, verdict: Verdict) -> Self {
        Self { edges: Default::default(), verdict: Some((secret, verdict)), ..*self }
    }
}

impl Protocol {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn clock(&self, edge: usize, state: &State) -> Instant {
        let Clock { ahead, per_hundred } = self.clocks[edge];
        Instant::from_millis(ahead + state.truth().millis() * per_hundred / 100)
    }

    /// What an edge decides by what it was told, or `None`: it asks.
    fn decide(&self, told: Told, secret: Secret, now: Instant) -> Option<Verdict> {
        let known = secret == Secret::Old || (self.change == Change::AddSecret && told.changed);
        match self.change {
            _ if !known => (!may_probe(told.asked_at, now)).then_some(Verdict::NotFound),
            Change::Revoke if told.changed => Some(Verdict::Revoked),
            _ => Some(Verdict::Accepted),
        }
    }

    fn ask(&self, mut state: State, edge: usize, now: Instant) -> Option<State> {
        let room = state.under_way() < self.under_way;
        state.edges[edge].wire.push(Message::Question(now));
        state.edges[edge].wire.sort();
        room.then_some(state)
    }

    fn arrive(&self, state: &mut State, edge: usize, place: usize, now: Instant) {
        let (seconds, changed) = (state.length, state.changed());
        let Edge { lease, wire, went_back } = &mut state.edges[edge];
        match wire.remove(place) {
            Message::Question(asked_at) => {
                wire.push(Message::Answer(Told { asked_at, seconds, changed }));
                wire.sort();
            }
            Message::Answer(told) => {
                let told = self.received(told, now);
                let older = lease.is_some_and(|lease| told.asked_at < lease.asked_at);
                if !older || self.has(Flaw::LastArrivalKept) {
                    *lease = Some(told).filter(|told| told.holds(now));
                    *went_back |= older;
                }
            }
        }
    }

    fn received(&self, told: Told, now: Instant) -> Told {
        let asked_at = if self.has(Flaw::CountedFromAnswer) { now } else { told.asked_at };
        Told { asked_at, ..told }
    }

    /// Drops what an edge can no longer use: a lease that is over, and messages too late to become one.
    fn forget_what_is_over(&self, state: &mut State, edge: usize) {
        let now = self.clock(edge, state);
        let Edge { lease, wire, .. } = &mut state.edges[edge];
        *lease = lease.filter(|told| told.holds(now));
        let in_time = |message: &Message| match message {
            Message::Question(asked_at) => now < end(*asked_at, self.longest),
            Message::Answer(told) => told.holds(now),
        };
        wire.retain(|message| in_time(message) || self.has(Flaw::CountedFromAnswer));
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { length: self.longest, ..State::default() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.verdict.is_some() {
            return;
        }
        actions.extend((state.ticks < self.ticks).then_some(Action::Tick));
        if !state.changed() {
            actions.push(Action::Change);
            if state.length_changes < self.length_changes {
                actions.extend((0..=self.longest).filter(|length| *length != state.length).map(Action::Grant));
            }
        }
        let full = state.under_way() == self.under_way;
        for (edge, Edge { wire, .. }) in state.edges.iter().enumerate() {
            actions.extend([Action::Call(edge, Secret::Old), Action::Renew(edge)]);
            actions.extend((self.change == Change::AddSecret).then_some(Action::Call(edge, Secret::New)));
            for place in 0..wire.len() {
                actions.extend([Action::Arrive(edge, place), Action::Conclude(edge, place)]);
                actions.extend(full.then_some(Action::Lose(edge, place)));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => {
                state.ticks += 1;
                (0..state.edges.len()).for_each(|edge| self.forget_what_is_over(&mut state, edge));
            }
            Action::Grant(length) => {
                let Reach { staleness, horizon } = state.reach().with_staleness(length, state.truth());
                (state.length, state.length_changes) = (staleness, state.length_changes + 1);
                state.horizon = horizon.filter(|_| !self.has(Flaw::HorizonForgotten));
            }
            Action::Change => {
                let early = if self.has(Flaw::DatedBeforeStored) { TICK_MS } else { 0 };
                let now = state.truth().plus_millis(-early);
                state.holds_from = Some(match self.change {
                    Change::Revoke => state.reach().effective_by(now),
                    Change::AddSecret => state.reach().usable_by(now),
                });
            }
            Action::Call(edge, secret) => {
                let now = self.clock(edge, last);
                let verdict = last.edges[edge].lease.and_then(|told| self.decide(told, secret, now));
                return verdict.map_or_else(|| self.ask(state, edge, now), |verdict| Some(last.end(secret, verdict)));
            }
            Action::Renew(edge) => {
                let now = self.clock(edge, last);
                last.edges[edge].lease.filter(|told| renew_from(told.asked_at, told.seconds) <= now)?;
                return self.ask(state, edge, now);
            }
            Action::Arrive(edge, place) => self.arrive(&mut state, edge, place, self.clock(edge, last)),
            Action::Conclude(edge, place) => {
                let now = self.clock(edge, last);
                let Message::Answer(told) = last.edges[edge].wire[place] else { return None };
                let told = Some(self.received(told, now)).filter(|told| told.holds(now))?;
                return self.decide(told, Secret::Old, now).map(|verdict| last.end(Secret::Old, verdict));
            }
            Action::Lose(edge, place) => {
                state.edges[edge].wire.remove(place);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        use {Secret::*, Verdict::*};
        let mut claims = vec![
            Property::always(LATER_IS_KEPT, |_, s: &State| s.edges.iter().all(|edge| !edge.went_back)),
            Property::sometimes(RENEWS, |_, s: &State| s.edges.iter().any(|e| e.lease.is_some() && !e.wire.is_empty())),
        ];
        claims.extend(match self.change {
            Change::Revoke => [
                Property::always(NONE_ACCEPTS, |_, s: &State| !(s.changed_everywhere() && s.ends_with(Old, Accepted))),
                Property::always(NOT_TOO_SOON, |_, s: &State| s.changed() || !s.ends_with(Old, Revoked)),
                Property::sometimes(ONE_ACCEPTS_YET, |_, s: &State| s.changed() && s.ends_with(Old, Accepted)),
                Property::sometimes("an edge refuses a revoked key", |_, s: &State| s.ends_with(Old, Revoked)),
            ],
            Change::AddSecret => [
                Property::always(NONE_REFUSES, |_, s: &State| !(s.changed_everywhere() && s.ends_with(New, NotFound))),
                Property::always(NOT_TOO_SOON, |_, s: &State| s.changed() || !s.ends_with(New, Accepted)),
                Property::sometimes(ONE_REFUSES_YET, |_, s: &State| s.changed() && s.ends_with(New, NotFound)),
                Property::sometimes("an edge accepts a new secret", |_, s: &State| s.ends_with(New, Accepted)),
            ],
        });
        claims
    }
}

/// An hour ahead and 1 % slow; a minute behind and 1 % fast.
const CLOCKS: [Clock; 2] = [Clock { ahead: 3_600_000, per_hundred: 99 }, Clock { ahead: -60_000, per_hundred: 101 }];
const REVOKING: Protocol = Protocol {
    clocks: CLOCKS,
    change: Change::Revoke,
    ticks: 4,
    longest: 2,
    length_changes: 2,
    under_way: 3,
    flaw: None,
};

/// Past the test harness, which keeps to itself what a test that passes prints.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Visits every state.
fn holds(protocol: Protocol) -> impl Checker<Protocol> {
    let checker = protocol.checker().spawn_bfs().join();
    let (unique, all) = (checker.unique_state_count(), checker.state_count());
    tell(&format!("{:?}: {unique} states, met {all} times", protocol.change));
    checker.assert_properties();
    checker
}

/// Visits states until a claim is broken.
fn breaks(protocol: Protocol, claim: &'static str) {
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let run = checker.assert_any_discovery(claim).into_actions();
    tell(&format!("{:?}, a clock of {} %: {run:?}", protocol.flaw, protocol.clocks[0].per_hundred));
}

#[test]
fn no_edge_accepts_a_revoked_key_from_the_instant_that_its_receipt_names() {
    use {Action::*, Secret::Old};
    let checker = holds(REVOKING);
    // A lease whose answer was late still accepts a call after the revocation.
    let late = vec![Call(0, Old), Arrive(0, 0), Tick, Arrive(0, 0), Change, Call(0, Old)];
    checker.assert_discovery(ONE_ACCEPTS_YET, late);
    checker.assert_discovery(RENEWS, vec![Call(0, Old), Arrive(0, 0), Arrive(0, 0), Tick, Renew(0)]);
}

#[test]
fn every_edge_accepts_a_new_secret_from_the_instant_that_is_told_with_it() {
    // A lease that is still good when it may be asked about a second time.
    holds(Protocol { change: Change::AddSecret, ticks: 3, longest: 3, length_changes: 1, under_way: 2, ..REVOKING });
}

#[test]
fn a_lease_that_is_counted_from_its_answer_outlives_the_receipt() {
    breaks(Protocol { flaw: Some(Flaw::CountedFromAnswer), ..REVOKING }, NONE_ACCEPTS);
}

#[test]
fn without_the_horizon_a_longer_lease_outlives_the_receipt() {
    breaks(Protocol { flaw: Some(Flaw::HorizonForgotten), ..REVOKING }, NONE_ACCEPTS);
}

#[test]
fn a_receipt_that_is_dated_before_the_revocation_is_stored_is_outlived() {
    breaks(Protocol { flaw: Some(Flaw::DatedBeforeStored), ..REVOKING }, NONE_ACCEPTS);
}

#[test]
fn keeping_the_last_arrival_brings_back_what_was_replaced() {
    breaks(Protocol { flaw: Some(Flaw::LastArrivalKept), ..REVOKING }, LATER_IS_KEPT);
}

#[test]
fn on_a_clock_slower_than_the_margin_a_lease_outlives_the_receipt() {
    breaks(Protocol { clocks: [Clock { ahead: 0, per_hundred: 98 }; 2], ..REVOKING }, NONE_ACCEPTS);
}
