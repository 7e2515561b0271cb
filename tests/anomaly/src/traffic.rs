//! Traffic of keys, minute by minute.

use crate::random::Random;
use keyward::anomaly::{Finding, Kind, Observation, Quota, State, due, observe};
use keyward::time::Instant;

pub(crate) const DAY: i64 = 1_440;
pub(crate) const WEEK: i64 = 7 * DAY;
/// A Monday, 00:00 UTC, in minutes since the epoch.
pub(crate) const START: i64 = 4 * DAY + 2_900 * WEEK;
/// Weeks of clean traffic.
pub(crate) const WEEKS: i64 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    Office,
    Evening,
    Flat,
    Night,
    Sparse,
}

impl Rhythm {
    pub(crate) const ALL: [Self; 5] = [Self::Office, Self::Evening, Self::Flat, Self::Night, Self::Sparse];

    /// Relative rate at a local minute of the week; its mean is 1, nearly.
    fn at(self, minute: i64) -> f64 {
        let (day, hour) = (minute.rem_euclid(WEEK) / DAY, (minute.rem_euclid(DAY)) as f64 / 60.0);
        let weekend = day >= 5;
        match self {
            // Up from 7:30 to 9:30, down from 16:30 to 19, next to nothing at night and at weekends.
            Self::Office => {
                let up = ((hour - 7.5) / 2.0).clamp(0.0, 1.0);
                let down = ((19.0 - hour) / 2.5).clamp(0.0, 1.0);
                let lunch = if (12.0..13.0).contains(&hour) { 0.75 } else { 1.0 };
                if weekend { 0.02 } else { 3.4 * up.min(down) * lunch + 0.02 }
            }
            // Highest at 20:00, a tenth of that at 4:00; a third more at weekends.
            Self::Evening => {
                let wave = (std::f64::consts::TAU * (hour - 20.0) / 24.0).cos();
                (1.3 * wave).exp() / 1.47 * if weekend { 1.25 } else { 0.9 }
            }
            Self::Flat | Self::Sparse => 1.0,
            // From 1:00 to 4:00, every night.
            Self::Night => {
                if (1.0..4.0).contains(&hour) {
                    7.6
                } else {
                    0.05
                }
            }
        }
    }
}

/// What a key is like.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) rhythm: Rhythm,
    pub(crate) per_day: f64,
    zone: i64,
    growth: f64,
    ramp_from: Option<i64>,
    holidays: Vec<i64>,
    /// Relative variances of the factors of an hour and of ten minutes, and mean calls of a session.
    pub(crate) by_hour: f64,
    pub(crate) by_ten: f64,
    pub(crate) session: f64,
    countries: Vec<(String, f64)>,
    failures: f64,
    pub(crate) messages: bool,
    bounces: f64,
    new_ranges: f64,
    quota_slack: f64,
    quota_phase: i64,
}

impl Key {
    pub(crate) fn draw(number: usize, random: &mut Random) -> Self {
        let rhythm = Rhythm::ALL[number % 5];
        let per_day = if rhythm == Rhythm::Sparse { 5.0 } else { 10_f64.powf(random.between(1.0, 6.0)) };
        let codes =
            ["DE", "US", "GB", "FR", "IN", "BR", "JP", "ES", "IT", "NL", "PL", "CA", "MX", "AU", "SE", "CH", "AT"];
        let wide = number.is_multiple_of(3);
        let many = if wide { 45 } else { 1 + random.below(3) as usize };
        let countries = (0..many)
            .map(|place| {
                let code = codes.get(place).map_or_else(
                    || format!("{}{}", (b'A' + (place % 20) as u8) as char, (b'A' + (place / 20) as u8) as char),
                    |code| (*code).to_owned(),
                );
                (code, if wide { (1.0 + place as f64).powf(-1.6) } else { 0.15_f64.powi(place as i32) })
            })
            .collect();
        Self {
            rhythm,
            per_day,
            zone: random.below(24) as i64 * 60,
            growth: [-0.05, 0.0, 0.05][random.below(3) as usize],
            ramp_from: (random.unit() < 0.1).then(|| START + random.below(5) as i64 * WEEK),
            holidays: (0..WEEKS * 7 + 40).filter(|_| random.unit() < 1.0 / 40.0).collect(),
            by_hour: random.between(0.005, 0.1),
            by_ten: random.between(0.0, 0.05),
            session: if random.unit() < 0.5 { 1.0 } else { random.between(1.0, 10.0) },
            countries,
            failures: random.between(0.002, 0.015),
            messages: number.is_multiple_of(2),
            bounces: random.between(0.01, 0.05),
            new_ranges: random.between(0.05, 0.2),
            quota_slack: random.between(1.4, 3.0),
            quota_phase: random.below(30) as i64 * DAY,
        }
    }

    /// Calls expected in a minute, bar chance.
    pub(crate) fn expected(&self, minute: i64) -> f64 {
        let local = minute + self.zone;
        let weeks = (minute - START) as f64 / WEEK as f64;
        let ramp =
            self.ramp_from.map_or(1.0, |from| 2_f64.powf(((minute - from) as f64 / (4 * WEEK) as f64).clamp(0.0, 1.0)));
        let day = (local - START).div_euclid(DAY);
        let holiday = if self.holidays.contains(&day) { 0.3 } else { 1.0 };
        self.per_day / 1_440.0 * self.rhythm.at(local) * (1.0 + self.growth).powf(weeks) * ramp * holiday
    }

    /// Whether the hour has next to none.
    pub(crate) fn is_quiet(&self, minute: i64) -> bool {
        let rate = |ago: i64| self.rhythm.at(minute + self.zone + ago);
        rate(0) < 0.06 && rate(-60) < 0.06 && rate(60) < 0.06 && rate(120) < 0.06
    }
}

/// What goes wrong in a minute.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wrong {
    /// So many times what is expected besides.
    pub(crate) more: f64,
    /// So many calls a minute besides.
    pub(crate) besides: f64,
    pub(crate) none: bool,
    /// Share of calls from a new country.
    pub(crate) elsewhere: f64,
    pub(crate) failures: Option<f64>,
    pub(crate) bounces: Option<f64>,
    /// Share of calls to a few new ranges.
    pub(crate) pumped: f64,
}

/// What chance does to the counts of a key: its factors as they stand, and calls of sessions that are still to come.
#[derive(Clone)]
pub(crate) struct Chance {
    hour: f64,
    ten: f64,
    failures: f64,
    later: [u64; 10],
}

impl Chance {
    pub(crate) fn new() -> Self {
        Self { hour: 1.0, ten: 1.0, failures: 1.0, later: [0; 10] }
    }

    /// Calls of a minute. `expected` are those of [`Key::expected`].
    pub(crate) fn calls(&mut self, random: &mut Random, key: &Key, minute: i64, expected: f64, wrong: &Wrong) -> u64 {
        if minute % 60 == 0 {
            self.hour = random.factor(key.by_hour);
            self.failures = random.factor(0.1);
        }
        if minute % 10 == 0 {
            self.ten = random.factor(key.by_ten);
        }
        let mut mean = expected * (self.hour * self.ten + wrong.more);
        if wrong.none {
            mean = 0.0;
            self.later = [0; 10];
        }
        // Sessions begin, and bring a geometric number of calls, within ten minutes.
        let sessions = random.poisson(mean / key.session);
        let mut calls = sessions;
        if key.session > 1.0 && sessions > 0 {
            let rate = random.gamma(sessions as f64) * (key.session - 1.0);
            calls += random.poisson(rate);
        }
        if key.session > 1.0 && calls > 0 {
            let parts = calls.min(40);
            for part in 0..parts {
                let place = random.below(10) as usize;
                self.later[place] += calls / parts + u64::from(part < calls % parts);
            }
            calls = 0;
        }
        calls + std::mem::take(&mut self.later[minute.rem_euclid(10) as usize]) + random.poisson(wrong.besides)
    }
}

/// A key in use.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) random: Random,
    pub(crate) minute: i64,
    pub(crate) state: State,
    due: Option<i64>,
    chance: Chance,
    pub(crate) used: u64,
    pub(crate) quota: (u64, i64),
    pub(crate) observations: u64,
    pub(crate) found: Vec<Finding>,
}

impl Run {
    pub(crate) fn new(key: &Key, random: Random) -> Self {
        let mut run = Self {
            random,
            minute: START,
            state: State::default(),
            due: None,
            chance: Chance::new(),
            used: 0,
            quota: (0, 0),
            observations: 0,
            found: Vec::new(),
        };
        run.renew(key, START + key.quota_phase);
        run
    }

    fn renew(&mut self, key: &Key, ends: i64) {
        let span = 30.0 * key.per_day * (ends - self.minute) as f64 / (30 * DAY) as f64;
        let weeks = (self.minute - START) as f64 / WEEK as f64;
        let ramp = if key.ramp_from.is_some() { 2.0 } else { 1.0 };
        let limit = span * (1.0 + key.growth).powf(weeks + 4.0).max(1.0) * ramp * key.quota_slack;
        self.quota = (limit as u64 + 50, ends);
        self.used = 0;
    }

    fn tell(&mut self, observation: &Observation) {
        self.observations += 1;
        self.found.extend(observe(&mut self.state, observation));
    }

    /// One minute: what came is told in up to six reports.
    pub(crate) fn step(&mut self, key: &Key, wrong: &Wrong) {
        let minute = self.minute;
        if minute >= self.quota.1 {
            self.renew(key, self.quota.1 + 30 * DAY);
        }
        let calls = self.chance.calls(&mut self.random, key, minute, key.expected(minute), wrong);
        let start = Instant::from_millis(minute * 60_000);
        if self.due.is_none_or(|due| due <= minute) {
            let first = self.due.is_some();
            if first {
                self.tell(&Observation::none(start));
            }
            self.due = due(&self.state).map(|at| at.millis() / 60_000);
        }
        if calls > 0 {
            self.report(key, wrong, calls, start);
        }
        // What is not due is asked for again now and then: a host would when it writes the state.
        if self.due.is_none() && minute % 60 != 0 {
            self.due = Some(minute / 60 * 60 + 60);
        }
        self.minute += 1;
    }

    fn report(&mut self, key: &Key, wrong: &Wrong, calls: u64, start: Instant) {
        let mut countries = Vec::new();
        let foreign = self.random.poisson(calls as f64 * wrong.elsewhere).min(calls);
        if foreign > 0 {
            countries.push(("KP".to_owned(), foreign));
        }
        let total: f64 = key.countries.iter().map(|(_, weight)| weight).sum();
        let local = calls - foreign;
        let draws = if key.countries.len() == 1 { 1 } else { local.min(8) };
        for draw in 0..draws.min(local) {
            let mut left = self.random.unit() * total;
            let (code, _) = key
                .countries
                .iter()
                .find(|(_, weight)| {
                    left -= weight;
                    left <= 0.0
                })
                .unwrap_or(&key.countries[0]);
            countries.push((code.clone(), local / draws + u64::from(draw < local % draws)));
        }
        let failure = wrong.failures.unwrap_or((key.failures * self.chance.failures).min(0.5));
        let failures = self.random.poisson(calls as f64 * failure).min(calls);
        let (mut bounced, mut destinations) = (0, Vec::new());
        if key.messages {
            bounced = self.random.poisson(calls as f64 * wrong.bounces.unwrap_or(key.bounces)).min(calls);
            let pumped = self.random.poisson(calls as f64 * wrong.pumped).min(calls);
            if pumped > 0 {
                destinations.push((7_777_000 + self.random.below(5), pumped));
            }
            let usual = calls - pumped;
            let draws = usual.min(8);
            for draw in 0..draws {
                let hash = if self.random.unit() < key.new_ranges {
                    self.random.bits()
                } else {
                    (300.0 * self.random.unit().powi(2)) as u64
                };
                destinations.push((hash, usual / draws + u64::from(draw < usual % draws)));
            }
        }
        self.used += calls;
        let quota =
            Quota { limit: self.quota.0, used: self.used, ends_at: Instant::from_millis(self.quota.1 * 60_000) };
        let reports = calls.min(6);
        let mut left = (calls, failures);
        for report in 0..reports {
            let last = report + 1 == reports;
            let part = if last { left.0 } else { calls / reports };
            let failed = if last { left.1 } else { (failures / reports).min(part) };
            left = (left.0 - part, left.1 - failed);
            let seconds = (report * 60 / reports) as i64 - (self.random.bits() % 3) as i64;
            self.tell(&Observation {
                at: start.plus_seconds(seconds.max(0)),
                calls: part,
                failures: failed.min(part),
                countries: if last { &countries } else { &[] },
                delivered: if last && key.messages { calls - bounced } else { 0 },
                bounced: if last { bounced } else { 0 },
                destinations: if last { &destinations } else { &[] },
                quota: Some(quota),
            });
        }
    }

    /// Whether a finding of the kind was made from `from` on, and in which minute.
    pub(crate) fn first(&self, kind: Kind, from: i64) -> Option<i64> {
        let minute = |finding: &Finding| finding.at.millis().div_euclid(60_000);
        self.found.iter().filter(|found| found.kind == kind).map(minute).find(|at| *at >= from)
    }
}
