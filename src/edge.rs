//! What an edge remembers of keys. How long it may is decided in [`crate::lease`]; here it is kept, and ended. The store is
//! bounded in entries and in bytes, whatever is thrown at it.

use crate::id_map::{IdMap, key_of};
use crate::key::ID_LENGTH;
use crate::time::Instant;

/// What was leased, until when.
struct Entry<V> {
    asked_at: Instant,
    ends_at: Instant,
    bytes: usize,
    value: V,
}

/// Half of the store: when the younger half is full it becomes the older one, and what was in that is dropped.
struct Generation<V> {
    entries: IdMap<Entry<V>>,
    bytes: usize,
}

impl<V> Default for Generation<V> {
    fn default() -> Self {
        Self { entries: IdMap::default(), bytes: 0 }
    }
}

/// Leases by key id. `V` is whatever the edge keeps with one; absent keys are remembered the same way.
pub struct EdgeStore<V> {
    younger: Generation<V>,
    older: Generation<V>,
    most_entries: usize,
    most_bytes: usize,
    latest: Instant,
}

impl<V> EdgeStore<V> {
    /// A store of at most `most_entries` leases that together weigh at most `most_bytes` (and never less than one).
    pub fn new(most_entries: usize, most_bytes: usize) -> Self {
        Self {
            younger: Generation::default(),
            older: Generation::default(),
            most_entries,
            most_bytes,
            latest: Instant::from_millis(i64::MIN),
        }
    }

    /// What is leased under `id` at `now`, if anything is. A clock that is seen to step back drops every lease: how
    /// long they still have is then unknown.
    pub fn get(&mut self, id: &str, now: Instant) -> Option<&V> {
        self.observe(now);
        let id = key_of(id)?;
        if !self.younger.entries.contains_key(&id) {
            // Kept with the young, so that a flood of other keys does not push out one that is in use.
            let entry = self.older.entries.remove(&id)?;
            self.older.bytes -= entry.bytes;
            if entry.ends_at <= now {
                return None;
            }
            self.insert(id, entry);
        }
        self.younger.entries.get(&id).filter(|entry| now < entry.ends_at).map(|entry| &entry.value)
    }

    /// Keeps `value` under `id` until `ends_at` (see [`crate::lease::end`]), weighing `bytes`. An answer that arrives after
    /// its own end, or whose question lies before a step back of the clock, is not kept; nor is one to an older question
    /// than what is in hand: it may tell of an older state.
    pub fn put(&mut self, id: &str, asked_at: Instant, ends_at: Instant, now: Instant, bytes: usize, value: V) {
        self.observe(now);
        let Some(key) = key_of(id) else { return };
        let known = self.younger.entries.get(&key).or_else(|| self.older.entries.get(&key));
        if known.is_some_and(|known| asked_at < known.asked_at && now < known.ends_at) {
            return;
        }
        self.forget(id);
        if asked_at <= now && now < ends_at {
            self.insert(key, Entry { asked_at, ends_at, bytes, value });
        }
    }

    /// Drops what is leased under `id`: this edge knows that it is out of date.
    pub fn forget(&mut self, id: &str) {
        let Some(id) = key_of(id) else { return };
        for generation in [&mut self.younger, &mut self.older] {
            if let Some(entry) = generation.entries.remove(&id) {
                generation.bytes -= entry.bytes;
            }
        }
    }

    /// Leases held, ended ones that were not met again included.
    pub fn len(&self) -> usize {
        self.younger.entries.len() + self.older.entries.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn observe(&mut self, now: Instant) {
        if now < self.latest {
            self.younger = Generation::default();
            self.older = Generation::default();
        }
        self.latest = now;
    }

    fn insert(&mut self, id: [u8; ID_LENGTH], entry: Entry<V>) {
        let full = self.younger.entries.len() >= self.most_entries.div_ceil(2)
            || self.younger.bytes + entry.bytes > self.most_bytes / 2;
        if full {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.bytes += entry.bytes;
        self.younger.entries.insert(id, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::end as lease_end;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    fn id(number: usize) -> String {
        format!("{number:016}")
    }

    fn ask(store: &mut EdgeStore<usize>, number: usize, asked: i64, seconds: u32, now: i64) {
        store.put(&id(number), at(asked), lease_end(at(asked), seconds), at(now), 100, number);
    }

    #[test]
    fn a_lease_counts_from_before_the_question_and_ends_a_hundredth_early() {
        let mut store = EdgeStore::new(10, 10_000);
        ask(&mut store, 1, 0, 5, 3000);
        assert_eq!(store.get(&id(1), at(4949)), Some(&1));
        assert_eq!(store.get(&id(1), at(4950)), None);
    }

    #[test]
    fn an_answer_after_its_own_end_is_not_used() {
        let mut store = EdgeStore::new(10, 10_000);
        ask(&mut store, 1, 0, 5, 4950);
        assert_eq!(store.get(&id(1), at(4950)), None);
        ask(&mut store, 2, 0, 0, 0);
        assert_eq!(store.get(&id(2), at(0)), None, "a lease of 0 seconds never begins");
    }

    #[test]
    fn a_clock_that_steps_back_drops_every_lease_and_answers_to_older_questions() {
        let mut store = EdgeStore::new(10, 10_000);
        ask(&mut store, 1, 10_000, 5, 10_000);
        assert_eq!(store.get(&id(1), at(9_999)), None);
        assert_eq!(store.get(&id(1), at(10_001)), None);
        ask(&mut store, 2, 20_000, 5, 19_000);
        assert_eq!(store.get(&id(2), at(19_001)), None, "asked in what is now the future");
    }

    #[test]
    fn an_answer_to_an_older_question_does_not_replace_a_newer_one() {
        let mut store = EdgeStore::new(10, 10_000);
        let put = |store: &mut EdgeStore<usize>, asked: i64, now: i64, value: usize| {
            store.put(&id(1), at(asked), lease_end(at(asked), 5), at(now), 100, value);
        };
        put(&mut store, 1000, 1500, 2);
        put(&mut store, 900, 1600, 1);
        assert_eq!(store.get(&id(1), at(1600)), Some(&2));
        put(&mut store, 1000, 1700, 3);
        assert_eq!(store.get(&id(1), at(1700)), Some(&3));
    }

    #[test]
    fn a_key_in_use_survives_a_flood_of_others() {
        let mut store = EdgeStore::new(100, 1_000_000);
        ask(&mut store, 0, 0, 60, 0);
        for number in 1..10_000 {
            ask(&mut store, number, 0, 60, 0);
            assert_eq!(store.get(&id(0), at(0)), Some(&0));
        }
        assert!(store.len() <= 100);
    }

    proptest! {
        #[test]
        fn the_store_stays_in_its_bounds_and_serves_no_ended_lease(
            steps in proptest::collection::vec((0usize..40, 0i64..2000, 0u32..8, 1usize..400), 1..400)
        ) {
            let mut store = EdgeStore::new(16, 2_000);
            let mut ends = HashMap::new();
            let mut now = 0;
            for (number, step, seconds, bytes) in steps {
                now += step;
                if let Some(value) = store.get(&id(number), at(now)) {
                    prop_assert_eq!(*value, number);
                    prop_assert!(at(now) < ends[&number]);
                }
                let end = lease_end(at(now), seconds);
                store.put(&id(number), at(now), end, at(now), bytes, number);
                ends.insert(number, end);
                prop_assert!(store.len() <= 16);
                prop_assert!(store.younger.bytes + store.older.bytes <= 2_000);
                for generation in [&store.younger, &store.older] {
                    prop_assert_eq!(generation.bytes, generation.entries.values().map(|e| e.bytes).sum::<usize>());
                }
            }
        }
    }
}
