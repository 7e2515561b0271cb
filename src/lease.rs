//! The lease: how long an edge may go on with what the authority told it, and from when a change holds everywhere. Both
//! sides of the promise stand here, because each is right only because of the other.
//!
//! The edge counts a lease on its own clock *from before it asked*, so no two clocks are compared; and a hundredth shorter
//! than what was granted ([`end`]), so that an edge whose clock runs up to 1 % slow still ends it in time. The authority
//! therefore knows, without keeping a list of who asked, that whatever it granted up to now is over by [`Reach::effective_by`].
//! That instant is on the authority's clock; a step back of that clock is harmless, and a step ahead between a change and its
//! bound brings the bound nearer by as much. `tests/model` checks both sides over all interleavings.

use crate::time::Instant;

/// How often an edge may ask again about one id because of a secret that it does not know, in milliseconds. A new secret
/// is accepted everywhere this much after it was made, whatever the staleness.
pub const PROBE_MS: i64 = 1_000;
/// How long that a key is absent is remembered, in seconds.
pub const ABSENT_SECONDS: u32 = 5;
/// How long an edge that got no answer about an id refuses to ask again, in milliseconds: no storm on a struggling authority.
pub const SILENT_MS: i64 = 500;
/// Milliseconds of a lease for each second granted: the margin for the rate of the edge's clock is the missing 10.
const MS_PER_SECOND: i64 = 990;

/// The end of a lease of `seconds` whose question was sent at `asked_at`, on the edge's own clock.
pub fn end(asked_at: Instant, seconds: u32) -> Instant {
    asked_at.plus_millis(i64::from(seconds) * MS_PER_SECOND)
}

/// As [`end`], of what was given for so many milliseconds.
pub fn end_of_ms(asked_at: Instant, milliseconds: i64) -> Instant {
    asked_at.plus_millis(milliseconds * MS_PER_SECOND / 1_000)
}

/// From when a call that meets this lease renews it in the background: half way.
pub fn renew_from(asked_at: Instant, seconds: u32) -> Instant {
    asked_at.plus_millis(i64::from(seconds) * MS_PER_SECOND / 2)
}

/// Whether a text whose secret is not among the leased ones is a reason to ask again: what is in hand was asked for at
/// `asked_at`, and the secret may be newer.
pub fn may_probe(asked_at: Instant, now: Instant) -> bool {
    now.millis() - asked_at.millis() >= PROBE_MS
}

/// What the authority knows of the leases it granted: the staleness it grants now, and the end of whatever it granted
/// while it granted more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Seconds of every lease granted from now on.
    pub staleness: u32,
    /// The end of the last lease that was longer than that, if there may be one.
    pub horizon: Option<Instant>,
}

impl Reach {
    /// The instant after which no edge goes on with what it was told before `now`.
    pub fn effective_by(self, now: Instant) -> Instant {
        let last = now.plus_seconds(self.staleness.into());
        self.horizon.map_or(last, |horizon| horizon.max(last))
    }

    /// The reach after the staleness is changed at `now`: leases of the old length stay out.
    pub fn with_staleness(self, staleness: u32, now: Instant) -> Self {
        let longest = self.effective_by(now);
        let horizon = Some(longest).filter(|horizon| *horizon > now.plus_seconds(staleness.into()));
        Self { staleness, horizon }
    }

    /// The instant from which every edge accepts a secret made at `now`: it asks for what it does not know, though not more
    /// often than every [`PROBE_MS`] on a clock that may run 1 % slow. Two milliseconds more, since both clocks are read in
    /// whole ones.
    pub fn usable_by(self, now: Instant) -> Instant {
        self.effective_by(now).min(now.plus_millis(PROBE_MS * 100 / 99 + 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    proptest! {
        // The claim of both sides together, on one true time: an edge's clock may have any offset and run up to 1 % slow.
        #[test]
        fn no_lease_outlives_what_the_authority_says(
            steps in proptest::collection::vec((0i64..20_000, 0u32..=60), 1..20),
            slow in 0.99f64..1.01, offset in -1_000_000i64..1_000_000, flight in 0i64..5_000,
        ) {
            let edge_clock = |truth: i64| at(((truth as f64) * slow) as i64 + offset);
            let mut reach = Reach { staleness: 60, horizon: None };
            let mut truth = 0i64;
            // True ends of the leases that are out: where the edge's clock passes the end it computed.
            let mut ends: Vec<i64> = vec![];
            for (step, staleness) in steps {
                truth += step;
                let asked = truth - flight.min(truth);
                let end = end(edge_clock(asked), reach.staleness);
                ends.push((((end.millis() - offset) as f64) / slow).ceil() as i64);
                let effective_by = reach.effective_by(at(truth)).millis();
                for end in &ends {
                    prop_assert!(*end <= effective_by + 1, "a lease ends at {end}, after {effective_by}");
                }
                reach = reach.with_staleness(staleness, at(truth));
            }
        }
    }

    #[test]
    fn a_lowered_staleness_does_not_shorten_what_is_out() {
        let reach = Reach { staleness: 60, horizon: None }.with_staleness(1, at(0));
        assert_eq!(reach.effective_by(at(10_000)), at(60_000));
        assert_eq!(reach.effective_by(at(59_500)), at(60_500));
        let again = reach.with_staleness(0, at(1_000));
        assert_eq!(again.effective_by(at(2_000)), at(60_000));
        assert_eq!(Reach { staleness: 5, horizon: None }.with_staleness(30, at(0)).horizon, None);
    }

    #[test]
    fn strict_keys_are_effective_at_once_and_new_secrets_within_a_second() {
        let strict = Reach { staleness: 0, horizon: None };
        assert_eq!((strict.effective_by(at(7)), strict.usable_by(at(7))), (at(7), at(7)));
        assert_eq!(Reach { staleness: 60, horizon: None }.usable_by(at(0)), at(1_012));
    }

    #[test]
    fn an_edge_asks_again_for_an_unknown_secret_once_a_second() {
        assert!(!may_probe(at(0), at(999)));
        assert!(may_probe(at(0), at(1000)));
    }
}
