//! How a key is used, counted by hour: what came of calls, by what way they came, from which country, and to which they led; and
//! the last calls one by one, with addresses only as networks.

use crate::evidence::network;
use crate::time::Instant;
use crate::verify::Code;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Different tallies that an edge keeps of one key between two reports; of more, way and country are not told apart.
pub const MOST_TALLIES: usize = 100;
/// Calls that an edge keeps one by one between two reports, and that are kept of each secret: of a key that is called more often
/// than that between two reports, the first hundred of each.
pub const MOST_CALLS: usize = 100;
/// For how many hours counts are kept: 90 days.
pub const KEPT_HOURS: i64 = 90 * 24;
const HOUR: i64 = 3_600_000;

/// Calls of one hour that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Hours since 1970 (UTC).
    pub hour: i64,
    /// Name of a [`Code`].
    pub outcome: String,
    /// `authorize`, `verify`, `api`, `session`, or `/r/` and a route's name.
    pub route: String,
    /// ISO 3166-1 alpha-2, or empty where it is not known.
    pub country: String,
    /// How many.
    pub calls: u64,
}

/// Numbers of one hour that calls led to, in the same country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Led {
    /// As in [`Tally`].
    pub hour: i64,
    /// As [`crate::numbers::Destination::place`], or empty where it is not told apart.
    pub destination: String,
    /// How many numbers: a call may name several.
    pub numbers: u64,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// On the edge's clock.
    pub at: Instant,
    /// Number of the secret.
    pub secret: u32,
    /// Name of a [`Code`].
    pub outcome: String,
    /// As in [`Tally`].
    pub route: String,
    /// `192.0.2.0/24`, `2001:db8::/48`, or empty.
    pub address: String,
    /// As in [`Tally`].
    pub country: String,
}

/// What an edge saw since its last report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// By hour.
    #[serde(default)]
    pub tallies: Vec<Tally>,
    /// One by one.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// Ranges of destinations that its calls named ([`range_of`]), and how often.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<(u64, u64)>,
    /// Where its calls led, by hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub led: Vec<Led>,
}

/// What stands for the range of a phone number in E.164, its last four digits left out: FNV-1a, 64 bits.
pub fn range_of(number: &str) -> u64 {
    let range = &number.as_bytes()[..number.len().saturating_sub(4)];
    range.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Usage {
    /// Nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty() && self.led.is_empty()
    }

    /// Counts one call.
    pub fn count(
        &mut self,
        now: Instant,
        secret: u32,
        code: Code,
        route: &str,
        address: Option<IpAddr>,
        country: Option<&str>,
    ) {
        let (outcome, country) = (code.as_str(), country.unwrap_or_default());
        let hour = now.millis().div_euclid(HOUR);
        self.tally(hour, outcome, route, country, 1);
        if self.calls.len() < MOST_CALLS {
            let address = address.map(network).unwrap_or_default();
            let (outcome, route, country) = (outcome.to_owned(), route.to_owned(), country.to_owned());
            self.calls.push(Call { at: now, secret, outcome, route, address, country });
        }
    }

    /// Notes a number that a call led to: its range, and its country or calling code.
    pub fn led_to(&mut self, now: Instant, range: u64, destination: &str) {
        self.lead_to_range(range, 1);
        self.lead_to(hour_of(now), destination, 1);
    }

    fn lead_to_range(&mut self, range: u64, numbers: u64) {
        if let Some((_, count)) = self.ranges.iter_mut().find(|(known, _)| *known == range) {
            *count += numbers;
        } else if self.ranges.len() < MOST_TALLIES {
            self.ranges.push((range, numbers));
        }
    }

    fn lead_to(&mut self, hour: i64, destination: &str, numbers: u64) {
        let known =
            |led: &[Led], destination: &str| led.iter().position(|of| of.hour == hour && of.destination == destination);
        // Of more than are told apart, how many there are is still counted.
        let apart = known(&self.led, destination).is_some() || self.led.len() < MOST_TALLIES;
        let destination = if apart { destination } else { "" };
        match known(&self.led, destination) {
            Some(at) => self.led[at].numbers += numbers,
            None => self.led.push(Led { hour, destination: destination.to_owned(), numbers }),
        }
    }

    fn tally(&mut self, hour: i64, outcome: &str, route: &str, country: &str, calls: u64) {
        let alike =
            |of: &&mut Tally| of.hour == hour && of.outcome == outcome && of.route == route && of.country == country;
        // The last one first: most calls are like the one before.
        if let Some(known) = self.tallies.iter_mut().rev().find(alike) {
            known.calls += calls;
            return;
        }
        let (route, country) = if self.tallies.len() < MOST_TALLIES { (route, country) } else { ("", "") };
        let alike =
            |of: &&mut Tally| of.hour == hour && of.outcome == outcome && of.route == route && of.country == country;
        match self.tallies.iter_mut().find(alike) {
            Some(known) => known.calls += calls,
            None => self.tallies.push(Tally {
                hour,
                outcome: outcome.to_owned(),
                route: route.to_owned(),
                country: country.to_owned(),
                calls,
            }),
        }
    }

    /// Adds what else was seen.
    pub fn add(&mut self, more: Self) {
        for Tally { hour, outcome, route, country, calls } in more.tallies {
            self.tally(hour, &outcome, &route, &country, calls);
        }
        for (range, numbers) in more.ranges {
            self.lead_to_range(range, numbers);
        }
        for Led { hour, destination, numbers } in more.led {
            self.lead_to(hour, &destination, numbers);
        }
        self.calls.extend(more.calls);
        let extra = self.calls.len().saturating_sub(MOST_CALLS);
        self.calls.drain(..extra);
    }
}

/// What counts are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Each hour.
    Hour,
    /// Each day, in UTC.
    Day,
}

impl By {
    /// Hours in one of them.
    pub fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
        }
    }
}

/// Counts by hour or day, the earliest first: `{at, calls, outcomes, routes, countries, destinations}`. Those without calls are left out.
pub fn series(tallies: &[Tally], led: &[Led], by: By) -> Vec<Value> {
    let hours = tallies.iter().map(|of| of.hour).chain(led.iter().map(|of| of.hour));
    let mut starts: Vec<i64> = hours.map(|hour| hour.div_euclid(by.hours()) * by.hours()).collect();
    starts.sort_unstable();
    starts.dedup();
    let of = |start: i64| {
        let [mut outcomes, mut routes, mut countries, mut destinations] = [(); 4].map(|()| Map::new());
        let mut calls = 0;
        let add = |map: &mut Map<String, Value>, name: &str, calls: u64| {
            let name = if name.is_empty() { "unknown" } else { name };
            let before = map.get(name).and_then(Value::as_u64).unwrap_or(0);
            map.insert(name.to_owned(), (before + calls).into());
        };
        let within = start..start + by.hours();
        for of in tallies.iter().filter(|of| within.contains(&of.hour)) {
            calls += of.calls;
            add(&mut outcomes, &of.outcome, of.calls);
            add(&mut routes, &of.route, of.calls);
            add(&mut countries, &of.country, of.calls);
        }
        for of in led.iter().filter(|of| within.contains(&of.hour)) {
            add(&mut destinations, &of.destination, of.numbers);
        }
        let at = Instant::from_millis(start * HOUR);
        json!({"at": at, "calls": calls, "outcomes": outcomes, "routes": routes, "countries": countries, "destinations": destinations})
    };
    starts.into_iter().map(of).collect()
}

/// Counts as CSV (RFC 4180): a line for each tally.
pub fn csv(tallies: &[Tally]) -> String {
    let mut out = "at,outcome,route,country,calls\r\n".to_owned();
    for Tally { hour, outcome, route, country, calls } in tallies {
        let at = Instant::from_millis(hour * HOUR);
        out.push_str(&format!("{at},{outcome},{route},{country},{calls}\r\n"));
    }
    out
}

/// Calls as CSV.
pub fn calls_csv(calls: &[Call]) -> String {
    let mut out = "at,secret,outcome,route,address,country\r\n".to_owned();
    for Call { at, secret, outcome, route, address, country } in calls {
        out.push_str(&format!("{at},{secret},{outcome},{route},{address},{country}\r\n"));
    }
    out
}

/// The hour that an instant is in.
pub fn hour_of(at: Instant) -> i64 {
    at.millis().div_euclid(HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    proptest! {
        #[test]
        fn every_call_is_counted_once_however_different_they_are(
            calls in proptest::collection::vec((0i64..200_000_000, 0usize..3, 0u32..50, "[A-Z]{2}"), 0..400), parts in 1usize..5,
        ) {
            let codes = [Code::Valid, Code::RateLimited, Code::Expired];
            let mut all = Usage::default();
            let mut waiting = Usage::default();
            for (i, (millis, code, route, country)) in calls.iter().enumerate() {
                waiting.count(at(*millis), 1, codes[*code], &format!("/r/{route}"), None, Some(country));
                if i % parts == 0 {
                    all.add(std::mem::take(&mut waiting));
                }
            }
            all.add(waiting);
            prop_assert_eq!(all.tallies.iter().map(|of| of.calls).sum::<u64>(), calls.len() as u64);
            for code in codes {
                let counted: u64 = all.tallies.iter().filter(|of| of.outcome == code.as_str()).map(|of| of.calls).sum();
                prop_assert_eq!(counted, calls.iter().filter(|call| codes[call.1] == code).count() as u64);
            }
            // What is not told apart is a tally for each hour and outcome at most.
            prop_assert!(all.tallies.len() <= MOST_TALLIES + 3 * 57 && all.calls.len() <= MOST_CALLS);
            let days: u64 = series(&all.tallies, &[], By::Day).iter().map(|of| of["calls"].as_u64().unwrap()).sum();
            prop_assert_eq!(days, calls.len() as u64);
            prop_assert_eq!(csv(&all.tallies).lines().count(), all.tallies.len() + 1);
        }
    }

    #[test]
    fn every_number_is_counted_once_however_many_places_there_are_and_they_are_bounded() {
        let (mut all, mut waiting) = (Usage::default(), Usage::default());
        for i in 0..1_000 {
            waiting.led_to(at(i * HOUR / 100), i as u64, &format!("+{}", i % 250));
            if i % 7 == 0 {
                all.add(std::mem::take(&mut waiting));
            }
        }
        assert!(!waiting.is_empty() && waiting.tallies.is_empty(), "a number without a call is reported, too");
        all.add(waiting);
        assert_eq!(all.led.iter().map(|of| of.numbers).sum::<u64>(), 1_000);
        assert!(all.led.len() <= MOST_TALLIES + 10 && all.ranges.len() == MOST_TALLIES);
        assert!(all.led.iter().any(|of| of.destination.is_empty()));
    }

    #[test]
    fn counts_are_put_together_by_hour_and_by_day() {
        let mut usage = Usage::default();
        for (hour, code, country) in
            [(0, Code::Valid, "DE"), (0, Code::Valid, "FR"), (1, Code::Expired, "DE"), (25, Code::Valid, "")]
        {
            usage.count(at(hour * HOUR + 5), 1, code, "verify", Some("192.0.2.7".parse().unwrap()), Some(country));
        }
        for (hour, place) in [(0, "DE"), (0, "DE"), (0, "+881"), (26, "KP")] {
            usage.led_to(at(hour * HOUR + 7), 1, place);
        }
        let hours = series(&usage.tallies, &usage.led, By::Hour);
        assert_eq!(hours.len(), 4, "an hour to which only numbers were noted");
        assert_eq!(
            hours[0],
            json!({"at": "1970-01-01T00:00:00.000Z", "calls": 2, "outcomes": {"VALID": 2}, "routes": {"verify": 2}, "countries": {"DE": 1, "FR": 1}, "destinations": {"DE": 2, "+881": 1}})
        );
        let days = series(&usage.tallies, &usage.led, By::Day);
        assert_eq!(days[1]["destinations"], json!({"KP": 1}));
        assert_eq!(days[0]["outcomes"], json!({"VALID": 2, "EXPIRED": 1}));
        assert_eq!((days.len(), &days[1]["countries"]), (2, &json!({"unknown": 1})));
        assert_eq!(usage.calls[0].address, "192.0.2.0/24");
    }
}
