//! The two places for an upstream's secret, `current` and `next`, so that a provider's key is replaced by shifting traffic:
//! set the next one, give it a growing share of the calls, see that the current one is used no more, retire it.

use crate::seal::Sealed;
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// How long a secret must not have been used before it is retired, in seconds, where the request names none: longer than any
/// edge goes on with an older share, and than its report takes.
pub const DEFAULT_QUIET: u64 = 60;

/// One of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The secret that calls use.
    Current,
    /// The one that is to take its place.
    Next,
}

impl Slot {
    /// Both, by their names.
    pub const NAMES: [&str; 2] = ["current", "next"];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The slot of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Current, Self::Next].into_iter().find(|slot| slot.as_str() == name)
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Current => Self::Next,
            Self::Next => Self::Current,
        }
    }
}

/// A secret in its slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Counts the secrets of a route; its use is counted under this, whichever slot it stands in.
    pub number: u32,
    /// Since when.
    pub set_at: Instant,
    /// The secret itself, sealed.
    #[serde(default)]
    pub sealed: Option<Sealed>,
    /// Or the name of the environment's binding that holds it.
    #[serde(default)]
    pub environment: Option<String>,
}

/// Both slots of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// In the order of [`Slot`].
    pub held: [Option<Held>; 2],
    /// Of a hundred calls, how many use `next` where both are set.
    pub weight: u8,
    /// Number of the last secret that was set.
    pub last: u32,
}

/// What was seen of one secret's use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotUse {
    /// As in [`Held`].
    pub number: u32,
    /// Calls that were sent with it.
    pub calls: u64,
    /// Those that the upstream did not answer, or answered with 500 to 599.
    pub failures: u64,
    /// Those that it answered with 401: it does not accept the secret.
    pub unauthorized: u64,
    /// The last of them.
    pub last_used_at: Option<Instant>,
}

impl SlotUse {
    /// Adds what else was seen of the same secret.
    pub fn add(&mut self, more: &Self) {
        self.calls += more.calls;
        self.failures += more.failures;
        self.unauthorized += more.unauthorized;
        self.last_used_at = self.last_used_at.max(more.last_used_at);
    }
}

impl Slots {
    /// What stands in a slot.
    pub fn get(&self, slot: Slot) -> Option<&Held> {
        self.held[slot as usize].as_ref()
    }

    /// Of a hundred calls, how many use this slot.
    pub fn share(&self, slot: Slot) -> u8 {
        match (self.get(slot), self.get(slot.other()), slot) {
            (None, _, _) => 0,
            (Some(_), None, _) => 100,
            (Some(_), Some(_), Slot::Next) => self.weight,
            (Some(_), Some(_), Slot::Current) => 100 - self.weight,
        }
    }

    /// The slot for a call, and the one to fall back to, if both are set. Of any hundred calls in a row, counted by `draw`, as
    /// many as the weight says use `next`, spread evenly.
    pub fn pick(&self, draw: u32) -> Option<(Slot, Option<Slot>)> {
        // 61 has no factor in common with 100: a hundred draws in a row come to each place once.
        let next = draw.wrapping_rem(100) * 61 % 100 < u32::from(self.share(Slot::Next));
        let slot = if next { Slot::Next } else { Slot::Current };
        match (self.get(slot), self.get(slot.other())) {
            (None, None) => None,
            (None, Some(_)) => Some((slot.other(), None)),
            (Some(_), other) => Some((slot, other.map(|_| slot.other()))),
        }
    }

    /// Puts a secret into a slot. It begins with no use of its own, and `next` with no share of the calls.
    pub fn set(&mut self, slot: Slot, sealed: Option<Sealed>, environment: Option<String>, now: Instant) {
        self.last += 1;
        self.held[slot as usize] = Some(Held { number: self.last, set_at: now, sealed, environment });
        if slot == Slot::Next {
            self.weight = 0;
        }
    }

    /// Whether a secret still carries traffic: it has a share of the calls, or was used in the last `quiet` seconds.
    pub fn in_use(&self, slot: Slot, used: Option<&SlotUse>, quiet: u64, now: Instant) -> bool {
        let since = now.plus_seconds(-i64::try_from(quiet).unwrap_or(i64::MAX / 2_000));
        self.share(slot) > 0 || used.and_then(|used| used.last_used_at).is_some_and(|last| last > since)
    }

    /// Takes a secret out of its slot; `next` takes the place of `current`.
    pub fn retire(&mut self, slot: Slot) {
        self.held[slot as usize] = None;
        if slot == Slot::Current {
            self.held.swap(0, 1);
        }
        self.weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Instant = Instant::EPOCH;

    fn both(weight: u8) -> Slots {
        let mut slots = Slots::default();
        slots.set(Slot::Current, None, Some("UPSTREAM_A".to_owned()), NOW);
        slots.set(Slot::Next, None, Some("UPSTREAM_B".to_owned()), NOW);
        slots.weight = weight;
        slots
    }

    #[test]
    fn a_secret_is_replaced_by_shifting_traffic() {
        let mut slots = both(0);
        assert_eq!(slots.pick(7), Some((Slot::Current, Some(Slot::Next))));
        let used = |seconds: i64| SlotUse { last_used_at: Some(NOW.plus_seconds(seconds)), ..SlotUse::default() };
        assert!(slots.in_use(Slot::Current, None, 60, NOW), "it has all of the traffic");
        assert!(!slots.in_use(Slot::Next, None, 60, NOW));
        slots.weight = 100;
        assert!(slots.in_use(Slot::Current, Some(&used(-59)), 60, NOW), "seen a minute ago");
        assert!(!slots.in_use(Slot::Current, Some(&used(-60)), 60, NOW));
        slots.retire(Slot::Current);
        assert_eq!((slots.get(Slot::Current).unwrap().number, slots.get(Slot::Next), slots.weight), (2, None, 0));
        assert_eq!(slots.pick(3), Some((Slot::Current, None)));
        assert!(slots.in_use(Slot::Current, None, 0, NOW), "the only one");
        slots.set(Slot::Next, None, None, NOW);
        assert_eq!(slots.get(Slot::Next).unwrap().number, 3, "numbers are not used again");
        slots.retire(Slot::Next);
        assert_eq!(slots.pick(3), Some((Slot::Current, None)));
    }

    #[test]
    fn without_a_current_secret_the_next_one_is_used_alone() {
        let mut slots = Slots::default();
        assert_eq!(slots.pick(0), None);
        slots.set(Slot::Next, None, None, NOW);
        assert_eq!(slots.pick(0), Some((Slot::Next, None)));
        assert_eq!((slots.share(Slot::Next), slots.share(Slot::Current)), (100, 0));
    }

    proptest! {
        #[test]
        fn of_a_hundred_calls_in_a_row_as_many_as_the_weight_says_use_next(weight in 0u8..=100, start in 0u32..10_000) {
            let slots = both(weight);
            let next = (start..start + 100).filter(|draw| slots.pick(*draw).unwrap().0 == Slot::Next).count();
            prop_assert_eq!(next, usize::from(weight));
        }
    }
}
