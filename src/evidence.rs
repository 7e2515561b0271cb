//! Evidence of use: what edges saw of each secret of a key, and which scopes were asked of it. Bounded, and with addresses
//! only as networks (/24, /48): enough to find the server that still has the old secret, too little to follow a person.

use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most networks, and most countries, kept for one secret; the latest stay.
pub const MOST_PLACES: usize = 16;
/// Most scopes kept that were asked of one key.
pub const MOST_SCOPES: usize = 100;

/// What was seen of one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Number of the secret.
    pub number: u32,
    /// Calls. A report whose receipt is lost is sent again: never too few.
    pub calls: u64,
    /// The first call, on the edge's clock.
    pub first_seen: Instant,
    /// The last call, on the edge's clock.
    pub last_seen: Instant,
    /// Networks that it was used from, the latest last: `192.0.2.0/24`, `2001:db8::/48`.
    pub addresses: Vec<String>,
    /// Countries that it was used from, the latest last.
    pub countries: Vec<String>,
}

impl Evidence {
    /// The first sight of a secret.
    pub fn first(number: u32, now: Instant) -> Self {
        Self { number, calls: 0, first_seen: now, last_seen: now, addresses: Vec::new(), countries: Vec::new() }
    }

    /// Notes that it is in use, by a call that will be counted with a report.
    pub fn touch(&mut self, now: Instant) {
        self.last_seen = self.last_seen.max(now);
    }

    /// Counts one call.
    pub fn count(&mut self, now: Instant) {
        self.calls += 1;
        self.last_seen = self.last_seen.max(now);
    }

    /// Notes where a call came from.
    pub fn came_from(&mut self, address: Option<IpAddr>, country: Option<&str>) {
        if let Some(address) = address {
            note(&mut self.addresses, network(address), MOST_PLACES);
        }
        if let Some(country) = country {
            note(&mut self.countries, country.to_owned(), MOST_PLACES);
        }
    }

    fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        for address in &other.addresses {
            note(&mut self.addresses, address.clone(), MOST_PLACES);
        }
        for country in &other.countries {
            note(&mut self.countries, country.clone(), MOST_PLACES);
        }
    }
}

/// What an edge reports, and what the authority keeps of all reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// By secret.
    pub secrets: Vec<Evidence>,
    /// Scopes that were asked of the key and granted.
    pub scopes: Vec<String>,
    /// The last call with any secret, those included whose evidence is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Instant>,
}

impl Use {
    /// Nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.scopes.is_empty()
    }

    /// The evidence of one secret.
    pub fn of(&mut self, number: u32, now: Instant) -> &mut Evidence {
        let position = self.secrets.iter().position(|evidence| evidence.number == number).unwrap_or_else(|| {
            self.secrets.push(Evidence::first(number, now));
            self.secrets.len() - 1
        });
        &mut self.secrets[position]
    }

    /// Notes that a scope was asked; whether it is the first time.
    pub fn asked(&mut self, scope: &str) -> bool {
        let news = self.scopes.len() < MOST_SCOPES && !self.scopes.iter().any(|known| known == scope);
        if news {
            self.scopes.push(scope.to_owned());
        }
        news
    }

    /// The last call with any secret.
    pub fn last_used(&self) -> Option<Instant> {
        self.secrets.iter().map(|evidence| evidence.last_seen).chain(self.last_used).max()
    }

    /// Adds a report. Answers whether the index should hear of it: a scope that was not asked before, or the first use on
    /// another day (UTC). So a busy key costs the project's object one message a day.
    pub fn add(&mut self, report: &Self) -> bool {
        const DAY: i64 = 86_400_000;
        let day = |used: Option<Instant>| used.map(|at| at.millis().div_euclid(DAY));
        let before = day(self.last_used());
        for evidence in &report.secrets {
            match self.secrets.iter_mut().find(|known| known.number == evidence.number) {
                Some(known) => known.add(evidence),
                None => self.secrets.push(evidence.clone()),
            }
        }
        let news = report.scopes.iter().fold(false, |news, scope| self.asked(scope) | news);
        news || day(self.last_used()) != before
    }

    /// Forgets secrets that are not among `numbers`, but not when the key was last used.
    pub fn keep(&mut self, numbers: &[u32]) {
        self.last_used = self.last_used();
        self.secrets.retain(|evidence| numbers.contains(&evidence.number));
    }
}

/// Keeps the latest `most` different values, the latest last.
fn note(list: &mut Vec<String>, value: String, most: usize) {
    match list.iter().position(|known| *known == value) {
        Some(last) if last + 1 == list.len() => {}
        Some(position) => {
            let known = list.remove(position);
            list.push(known);
        }
        None => {
            if list.len() == most {
                list.remove(0);
            }
            list.push(value);
        }
    }
}

/// The network of an address: /24 for IPv4, /48 for IPv6.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn addresses_are_kept_as_networks() {
        assert_eq!(network("192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2:3::4".parse().unwrap()), "2001:db8:1::/48");
    }

    #[test]
    fn the_index_hears_of_a_new_day_and_of_a_new_scope_only() {
        const DAY: i64 = 86_400_000;
        let report = |at_ms: i64, scope: &str| {
            let mut report = Use::default();
            report.of(1, at(at_ms)).count(at(at_ms));
            report.asked(scope);
            report
        };
        let mut all = Use::default();
        assert!(all.add(&report(10, "a:b")));
        assert!(!all.add(&report(DAY - 1, "a:b")));
        assert!(all.add(&report(DAY, "a:b")));
        assert!(all.add(&report(DAY, "a:c")));
        assert_eq!((all.secrets[0].calls, all.last_used()), (4, Some(at(DAY))));
    }

    proptest! {
        #[test]
        fn evidence_is_bounded_and_counts_every_call(calls in proptest::collection::vec((1u32..4, 0i64..1000, any::<u32>(), "[A-Z]{2}"), 0..200)) {
            let mut all = Use::default();
            for (number, millis, address, country) in &calls {
                let mut report = Use::default();
                let seen = report.of(*number, at(*millis));
                seen.count(at(*millis));
                seen.came_from(Some(IpAddr::from(address.to_be_bytes())), Some(country));
                all.add(&report);
            }
            prop_assert_eq!(all.secrets.iter().map(|e| e.calls).sum::<u64>(), calls.len() as u64);
            for evidence in &all.secrets {
                prop_assert!(evidence.addresses.len() <= MOST_PLACES && evidence.countries.len() <= MOST_PLACES);
                let mut of = calls.iter().filter(|call| call.0 == evidence.number);
                prop_assert_eq!(evidence.last_seen.millis(), of.clone().map(|c| c.1).max().unwrap());
                prop_assert_eq!(evidence.first_seen.millis(), of.clone().map(|c| c.1).min().unwrap());
                prop_assert_eq!(evidence.countries.last(), of.next_back().map(|c| &c.3));
            }
        }
    }
}
