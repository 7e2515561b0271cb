//! Rate limits as a token bucket in its leanest form, GCRA: all that is kept of a bucket is one instant, the *theoretical
//! arrival time* (ITU-T I.371, Annex A). A limit of `limit` calls in `window_seconds` admits `limit` calls at once and then
//! one each `window / limit`: in t seconds at most `limit + limit·t/window`.

use crate::error::Invalid;
use crate::fields::Fields;
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// Most calls of one limit.
pub const MOST: u64 = 1_000_000;
/// Longest window, in seconds: 31 days.
pub const LONGEST: u64 = 31 * 86_400;

/// So many calls in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Calls, at least one.
    pub limit: u32,
    /// Seconds, at least one.
    pub window_seconds: u32,
}

impl Limit {
    /// A limit; nothing is checked.
    pub const fn new(limit: u32, window_seconds: u32) -> Self {
        Self { limit, window_seconds }
    }

    /// Takes a limit from a field that holds `{limit, window_seconds}`.
    ///
    /// # Errors
    /// [`Invalid`] naming the bounds.
    pub fn take(fields: &mut Fields, field: &str) -> Result<Option<Self>, Invalid> {
        fields.object(field, |fields| {
            let limit = fields.required_whole("limit", 1, MOST)?;
            let window = fields.required_whole("window_seconds", 1, LONGEST)?;
            Ok(Self::new(limit as u32, window as u32))
        })
    }

    /// Microseconds between two calls once the bucket is empty, rounded up so that the bound is never passed.
    fn interval(self) -> i64 {
        let window = i64::from(self.window_seconds) * 1_000_000;
        let limit = i64::from(self.limit.max(1));
        (window + limit - 1) / limit
    }

    /// Takes one call: the new theoretical arrival time to keep, in microseconds since the epoch. `arrival` is the one that
    /// was kept, 0 for a bucket that was never used. A clock that steps back only refuses longer.
    ///
    /// # Errors
    /// In how many milliseconds a call will be admitted, at least 1.
    pub fn spend(self, arrival: i64, now: Instant) -> Result<i64, i64> {
        let micros = now.millis() * 1_000;
        let next = arrival.max(micros) + self.interval();
        // What a full bucket allows to be ahead of now.
        match next - (micros + self.interval() * i64::from(self.limit.max(1))) {
            over if over > 0 => Err((over + 999) / 1_000),
            _ => Ok(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_790_000_000_000;

    #[test]
    fn a_full_bucket_admits_its_limit_at_once_and_says_when_the_next_may_come() {
        let limit = Limit::new(3, 60);
        let now = Instant::from_millis(START);
        let mut arrival = 0;
        for _ in 0..3 {
            arrival = limit.spend(arrival, now).unwrap();
        }
        assert_eq!(limit.spend(arrival, now), Err(20_000));
        assert_eq!(limit.spend(arrival, now.plus_millis(19_999)), Err(1));
        assert!(limit.spend(arrival, now.plus_millis(20_000)).is_ok());
    }

    proptest! {
        #[test]
        fn no_interval_admits_more_than_the_bound(
            limit in 1u32..50, window in 1u32..5_000, steps in proptest::collection::vec(0i64..3_000, 1..300),
        ) {
            let rule = Limit::new(limit, window);
            let (mut now, mut arrival, mut admitted) = (START, 0, Vec::new());
            for step in steps {
                now += step;
                if let Ok(next) = rule.spend(arrival, Instant::from_millis(now)) {
                    arrival = next;
                    admitted.push(now);
                }
            }
            for (i, from) in admitted.iter().enumerate() {
                for (j, to) in admitted.iter().enumerate().skip(i) {
                    let most = f64::from(limit) + f64::from(limit) * (to - from) as f64 / 1e3 / f64::from(window);
                    prop_assert!((j - i + 1) as f64 <= most + 1e-6);
                }
            }
        }

        #[test]
        fn what_is_refused_is_admitted_when_it_was_said_to_be_and_not_before(
            limit in 1u32..50, window in 1u32..5_000, back in 0i64..100_000,
        ) {
            let rule = Limit::new(limit, window);
            let mut arrival = 0;
            let now = Instant::from_millis(START);
            let wait = loop {
                match rule.spend(arrival, now) {
                    Ok(next) => arrival = next,
                    Err(wait) => break wait,
                }
            };
            prop_assert!(rule.spend(arrival, now.plus_millis(wait)).is_ok());
            prop_assert!(rule.spend(arrival, now.plus_millis(wait - 1)).is_err());
            prop_assert!(rule.spend(arrival, now.plus_millis(-back)).is_err(), "7: a clock that steps back mints no tokens");
        }
    }
}
