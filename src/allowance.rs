//! Limits of a key that hold over all edges together: token buckets (rate limits) and counters of a day, a month or for ever
//! (quotas).
//!
//! The authority keeps a [`Ledger`]. An edge is given a *slice* of some calls and spends it on its own; a slice is debited when
//! it is given, comes back with what was not spent, and counts as spent where nothing is heard of it until its end. What is
//! available and what is out in slices is never more than the depth of a bucket, so in t seconds at most
//! `burst + limit·t/window` calls are admitted, whatever the number of edges and whatever befalls them.
//!
//! A bucket's level is kept in units of which one call costs as many as the window has milliseconds and each millisecond
//! brings as many as the limit has calls: nothing is ever rounded.

use crate::error::Invalid;
use crate::fields::{Fields, Shape};
use crate::lease;
use crate::limit::{LONGEST, MOST};
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// Most rate limits, and most quotas, of one key.
pub const MOST_RULES: usize = 8;
/// Most calls of a quota: what JavaScript counts exactly.
pub const MOST_QUOTA: u64 = 1 << 53;
/// Most calls that one call may cost.
pub const MOST_COST: u64 = 1_000_000;
/// For how long an edge may spend a slice, in seconds.
pub const SLICE_SECONDS: u32 = 5;
/// How much longer the authority waits for what comes back of a slice, in milliseconds.
const GRACE_MS: i64 = 1_000;
/// Slices of one key that are out at most; an edge that asks for more gets single calls.
const MOST_SLICES: usize = 256;
/// For how long an edge looks ahead when it asks for a slice, in milliseconds.
const AHEAD_MS: u64 = 1_000;
/// How a rule's name looks.
const NAME: Shape = Shape { pattern: Some("^[a-z][a-z0-9_-]{0,31}$"), most: 32, example: "requests" };

/// Whether a limit holds over all edges together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Not one call over, by slices.
    #[default]
    Exact,
    /// Each edge counts for itself: cheaper, and over by a factor of up to the number of edges.
    Approximate,
}

impl Mode {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
        }
    }
}

/// A token bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Unique among the rules of its key.
    pub name: String,
    /// Calls, refilled evenly over the window.
    pub limit: u32,
    /// Seconds.
    pub window_seconds: u32,
    /// Depth of the bucket, in calls.
    pub burst: u32,
    /// Whether it holds over all edges together.
    pub mode: Mode,
}

/// What a quota counts over, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
    /// Since the key was made.
    Total,
}

impl Period {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// A number of calls in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Unique among the rules of its key.
    pub name: String,
    /// Calls.
    pub limit: u64,
    /// What they are counted over.
    pub period: Period,
}

/// Everything that limits a key.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Its rate limits.
    pub rate_limits: &'a [RateLimit],
    /// Its quotas.
    pub quotas: &'a [Quota],
}

/// Takes `rate_limits` and `quotas`.
///
/// # Errors
/// [`Invalid`] naming the field and its bound.
pub fn take(fields: &mut Fields) -> Result<(Vec<RateLimit>, Vec<Quota>), Invalid> {
    let rate_limits = fields.objects("rate_limits", MOST_RULES, RateLimit::take)?;
    let quotas = fields.objects("quotas", MOST_RULES, Quota::take)?;
    let names: Vec<&str> = rate_limits.iter().map(|of| &*of.name).chain(quotas.iter().map(|of| &*of.name)).collect();
    for (position, name) in names.iter().enumerate() {
        if names[..position].contains(name) {
            let field = if position < rate_limits.len() { "rate_limits" } else { "quotas" };
            return Err(Invalid::new(field, "names a rule twice: rate limits and quotas share their names"));
        }
    }
    Ok((rate_limits, quotas))
}

fn name(fields: &mut Fields) -> Result<String, Invalid> {
    let name = fields.required_shaped("name", &NAME)?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(fits);
    if !is_name && !fields.is_description() {
        return Err(Invalid::new(
            "name",
            "must begin with a small letter and hold small letters, digits, - and _ only",
        ));
    }
    Ok(name)
}

impl RateLimit {
    fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let name = name(fields)?;
        let limit = fields.required_whole("limit", 1, MOST)? as u32;
        let window_seconds = fields.required_whole("window_seconds", 1, LONGEST)? as u32;
        let burst = fields.whole("burst", 1, MOST)?.map_or(limit, |burst| burst as u32);
        let mode = match fields.one_of("mode", &["exact", "approximate"])?.as_deref() {
            Some("approximate") => Mode::Approximate,
            _ => Mode::Exact,
        };
        Ok(Self { name, limit, window_seconds, burst, mode })
    }

    /// What one call costs, in units of a level; what a millisecond brings is `limit`.
    fn call(&self) -> u64 {
        u64::from(self.window_seconds.max(1)) * 1_000
    }

    /// Milliseconds in which `units` come.
    fn wait(&self, units: u64) -> i64 {
        units.div_ceil(u64::from(self.limit.max(1))) as i64
    }
}

impl Quota {
    fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let name = name(fields)?;
        let limit = fields.required_whole("limit", 1, MOST_QUOTA)?;
        let period = match fields.required_one_of("period", &["day", "month", "total"])?.as_str() {
            "day" => Period::Day,
            "month" => Period::Month,
            _ => Period::Total,
        };
        Ok(Self { name, limit, period })
    }
}

impl Period {
    /// The first instant of the period that `now` is in, and the first that is no longer in it.
    pub fn around(self, now: Instant) -> (Instant, Option<Instant>) {
        const DAY: i64 = 86_400_000;
        let day = now.millis().div_euclid(DAY);
        match self {
            Self::Day => (Instant::from_millis(day * DAY), Some(Instant::from_millis((day + 1) * DAY))),
            Self::Month => {
                let (year, month) = month_of(day);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                let first = |(year, month)| Instant::from_millis(days_before(year, month) * DAY);
                (first((year, month)), Some(first(next)))
            }
            Self::Total => (Instant::EPOCH, None),
        }
    }
}

/// Year and month of a day counted from 1970-01-01, in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level
/// date algorithms", `civil_from_days`).
fn month_of(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// Days from 1970-01-01 to the first of a month (`days_from_civil`).
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Why a call is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Name of the rule.
    pub name: String,
    /// Whether that is a quota.
    pub quota: bool,
    /// In how many milliseconds to try again, at least 1; none where that helps nothing.
    pub retry_ms: Option<i64>,
}

/// How much is left under one rule, as the authority knew it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Name of the rule.
    pub name: String,
    /// Calls that are neither spent nor out in slices.
    pub calls: u64,
    /// Milliseconds until all of it is there again, if that will ever be.
    pub full_in_ms: Option<i64>,
}

/// What an edge says of a slice that it spends no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The slice.
    pub id: u64,
    /// Calls that it admitted.
    pub spent: u64,
}

/// Calls that an edge may admit on its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// What it is returned under.
    pub id: u64,
    /// How many.
    pub calls: u64,
    /// For how long, from before the edge asked.
    pub lasts_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Bucket {
    name: String,
    /// The last slice that was not debited from it: it was given when there was no such rule.
    #[serde(default)]
    after: u64,
    level: u64,
    /// Until when it was refilled. A clock that steps back brings nothing.
    at: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    name: String,
    /// Since when it counts.
    since: Instant,
    used: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Out {
    id: u64,
    calls: u64,
    given_at: Instant,
    ends_at: Instant,
}

/// What the authority keeps of all limits of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(default)]
    buckets: Vec<Bucket>,
    #[serde(default)]
    counters: Vec<Counter>,
    #[serde(default)]
    out: Vec<Out>,
    #[serde(default)]
    last: u64,
}

impl<'a> Rules<'a> {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        !(self.rate_limits.is_empty() && self.quotas.is_empty())
    }

    /// Whether any holds over all edges together.
    pub fn shared(&self) -> bool {
        !self.quotas.is_empty() || self.rate_limits.iter().any(|limit| limit.mode == Mode::Exact)
    }

    fn exact(&self) -> impl Iterator<Item = &'a RateLimit> + use<'a> {
        self.rate_limits.iter().filter(|limit| limit.mode == Mode::Exact)
    }
}

impl Ledger {
    /// Takes back what edges return, and brings buckets and counters up to `now` and to the rules.
    pub fn settle(&mut self, rules: &Rules<'_>, returned: &[Returned], now: Instant) {
        let mut unspent = Vec::new();
        let mut ended = Vec::new();
        self.out.retain(|out| match returned.iter().find(|of| of.id == out.id) {
            Some(of) => {
                let spent = of.spent.min(out.calls);
                unspent.push((out.id, out.calls - spent));
                ended.push((out.given_at, spent));
                false
            }
            None if now >= out.ends_at => {
                ended.push((out.given_at, out.calls));
                false
            }
            None => true,
        });
        self.buckets.retain(|bucket| rules.rate_limits.iter().any(|limit| limit.name == bucket.name));
        for limit in rules.rate_limits {
            match self.buckets.iter_mut().find(|bucket| bucket.name == limit.name) {
                None => {
                    let level = u64::from(limit.burst) * limit.call();
                    self.buckets.push(Bucket { name: limit.name.clone(), after: self.last, level, at: now });
                }
                Some(bucket) => {
                    let out: u64 = self.out.iter().filter(|out| out.id > bucket.after).map(|out| out.calls).sum();
                    let most = u64::from(limit.burst).saturating_sub(out) * limit.call();
                    let unspent = unspent.iter().filter(|(id, _)| *id > bucket.after);
                    let unspent: u64 = unspent.map(|(_, calls)| calls).sum();
                    let passed = (now.millis() - bucket.at.millis()).max(0) as u64;
                    let brought = passed.saturating_mul(u64::from(limit.limit));
                    let back = unspent.saturating_mul(limit.call());
                    bucket.level = bucket.level.saturating_add(brought).saturating_add(back).min(most);
                    bucket.at = bucket.at.max(now);
                }
            }
        }
        self.counters.retain(|counter| rules.quotas.iter().any(|quota| quota.name == counter.name));
        for quota in rules.quotas {
            let (since, _) = quota.period.around(now);
            let position = self.counters.iter().position(|counter| counter.name == quota.name);
            let position = position.unwrap_or_else(|| {
                self.counters.push(Counter { name: quota.name.clone(), since, used: 0 });
                self.counters.len() - 1
            });
            let counter = &mut self.counters[position];
            // A clock that steps back must not begin an earlier period anew.
            if since > counter.since {
                (counter.since, counter.used) = (since, 0);
            }
            for (given_at, spent) in &ended {
                if *given_at >= counter.since {
                    counter.used = counter.used.saturating_add(*spent);
                }
            }
        }
    }

    /// Calls that each rule has left.
    pub fn left(&self, rules: &Rules<'_>, now: Instant) -> Vec<Left> {
        let limits = rules.rate_limits.iter().map(|limit| {
            let level = self.buckets.iter().find(|bucket| bucket.name == limit.name).map_or(0, |bucket| bucket.level);
            let full = u64::from(limit.burst) * limit.call();
            Left {
                name: limit.name.clone(),
                calls: level / limit.call(),
                full_in_ms: Some(limit.wait(full - level.min(full))),
            }
        });
        let quotas = rules.quotas.iter().map(|quota| {
            let end = quota.period.around(now).1;
            Left {
                name: quota.name.clone(),
                calls: self.unused(quota),
                full_in_ms: end.map(|end| end.millis() - now.millis()),
            }
        });
        limits.chain(quotas).collect()
    }

    fn unused(&self, quota: &Quota) -> u64 {
        let Some(counter) = self.counters.iter().find(|counter| counter.name == quota.name) else { return quota.limit };
        let out: u64 = self.out.iter().filter(|out| out.given_at >= counter.since).map(|out| out.calls).sum();
        quota.limit.saturating_sub(counter.used).saturating_sub(out)
    }

    /// Calls of a quota that were spent or are out in slices in its period, by name.
    pub fn used(&self, rules: &Rules<'_>) -> Vec<(String, u64)> {
        rules.quotas.iter().map(|quota| (quota.name.clone(), quota.limit - self.unused(quota))).collect()
    }

    /// Which of `limits` or of the quotas does not have `cost` calls.
    fn denied(&self, limits: &[&RateLimit], quotas: &[Quota], cost: u64, now: Instant) -> Option<Denied> {
        let mut denied: Option<Denied> = None;
        for limit in limits {
            let level = self.buckets.iter().find(|bucket| bucket.name == limit.name).map_or(0, |bucket| bucket.level);
            let needed = cost.saturating_mul(limit.call());
            if level >= needed {
                continue;
            }
            // What is out in slices may come back before that, or never.
            let wait = (cost <= u64::from(limit.burst)).then(|| limit.wait(needed - level).max(1));
            let longer = denied.as_ref().is_none_or(|known| match (known.retry_ms, wait) {
                (Some(known), Some(wait)) => wait > known,
                (known, _) => known.is_some(),
            });
            if longer {
                denied = Some(Denied { name: limit.name.clone(), quota: false, retry_ms: wait });
            }
        }
        denied.or_else(|| {
            let quota = quotas.iter().find(|quota| self.unused(quota) < cost)?;
            let end = quota.period.around(now).1.filter(|_| cost <= quota.limit);
            // What is out in slices may come back.
            let used =
                self.counters.iter().find(|counter| counter.name == quota.name).map_or(0, |counter| counter.used);
            let retry_ms = match quota.limit.saturating_sub(used) >= cost {
                true => Some(GRACE_MS),
                false => end.map(|end| (end.millis() - now.millis()).max(1)),
            };
            Some(Denied { name: quota.name.clone(), quota: true, retry_ms })
        })
    }

    fn debit(&mut self, limits: &[&RateLimit], calls: u64) {
        for limit in limits {
            if let Some(bucket) = self.buckets.iter_mut().find(|bucket| bucket.name == limit.name) {
                bucket.level = bucket.level.saturating_sub(calls.saturating_mul(limit.call()));
            }
        }
    }

    /// Admits one call at once, by all rules. Call [`Ledger::settle`] before.
    ///
    /// # Errors
    /// [`Denied`]; then nothing is spent.
    pub fn spend(&mut self, rules: &Rules<'_>, cost: u64, now: Instant) -> Result<(), Denied> {
        let limits: Vec<&RateLimit> = rules.rate_limits.iter().collect();
        if let Some(denied) = self.denied(&limits, rules.quotas, cost, now) {
            return Err(denied);
        }
        self.debit(&limits, cost);
        for counter in &mut self.counters {
            counter.used = counter.used.saturating_add(cost);
        }
        Ok(())
    }

    /// Gives a slice of at least `cost` calls and, while there is plenty, up to `wanted`. Call [`Ledger::settle`] before.
    ///
    /// # Errors
    /// [`Denied`]; then nothing is spent.
    pub fn slice(&mut self, rules: &Rules<'_>, cost: u64, wanted: u64, now: Instant) -> Result<Slice, Denied> {
        let limits: Vec<&RateLimit> = rules.exact().collect();
        if let Some(denied) = self.denied(&limits, rules.quotas, cost, now) {
            return Err(denied);
        }
        let of_limits = limits.iter().filter_map(|limit| {
            let bucket = self.buckets.iter().find(|bucket| bucket.name == limit.name)?;
            Some(bucket.level / limit.call())
        });
        let of_quotas = rules.quotas.iter().map(|quota| self.unused(quota));
        let available = of_limits.chain(of_quotas).min().unwrap_or(cost);
        // An eighth, so that the others find something, too: down to one call at a time as it empties.
        let plenty = if self.out.len() < MOST_SLICES { available / 8 } else { 0 };
        let calls = wanted.min(plenty).max(cost);
        let period_ends = rules.quotas.iter().filter_map(|quota| quota.period.around(now).1).min();
        let lasts_ms = i64::from(SLICE_SECONDS) * 1_000;
        let lasts_ms = period_ends.map_or(lasts_ms, |end| lasts_ms.min(end.millis() - now.millis()));
        self.debit(&limits, calls);
        self.last += 1;
        let ends_at = now.plus_millis(lasts_ms + GRACE_MS);
        self.out.push(Out { id: self.last, calls, given_at: now, ends_at });
        Ok(Slice { id: self.last, calls, lasts_ms })
    }
}

/// What an edge makes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It is admitted.
    Admitted,
    /// It is not.
    Denied(Denied),
    /// The authority has to be asked for a slice.
    Ask,
}

#[derive(Clone, Debug)]
struct Held {
    id: u64,
    left: u64,
    spent: u64,
    since: Instant,
    ends_at: Instant,
}

/// What the authority denied.
#[derive(Clone, Debug)]
struct Refused {
    denied: Denied,
    cost: u64,
    at: Instant,
    /// Until when it is not asked again.
    until: Instant,
}

/// What an edge holds of the limits of one key.
#[derive(Clone, Debug, Default)]
pub struct Purse {
    slice: Option<Held>,
    denied: Option<Refused>,
    left: Vec<Left>,
    known_at: Option<Instant>,
    /// Calls that the last slice admitted in how many milliseconds.
    pace: (u64, u64),
    /// Theoretical arrival times of approximate limits (see [`crate::limit`]), in milliseconds times the limit.
    arrivals: Vec<(String, u64)>,
}

impl Purse {
    /// One call that costs `cost`: from all limits or from none.
    pub fn spend(&mut self, rules: &Rules<'_>, cost: u64, now: Instant) -> Spent {
        let mut arrivals = Vec::new();
        for limit in rules.rate_limits.iter().filter(|limit| limit.mode == Mode::Approximate) {
            match self.arrival(limit, cost, now) {
                Ok(arrival) => arrivals.push((limit.name.clone(), arrival)),
                Err(denied) => return Spent::Denied(denied),
            }
        }
        if rules.shared() {
            match &mut self.slice {
                Some(slice) if slice.left >= cost && now >= slice.since && now < slice.ends_at => {
                    slice.left -= cost;
                    slice.spent += cost;
                }
                _ => match &self.denied {
                    Some(Refused { denied, cost: of, at, until }) if cost >= *of && now >= *at && now < *until => {
                        let passed = now.millis() - at.millis();
                        let retry_ms = denied.retry_ms.map(|retry| (retry - passed).max(1));
                        return Spent::Denied(Denied { retry_ms, ..denied.clone() });
                    }
                    _ => return Spent::Ask,
                },
            }
        }
        for (name, arrival) in arrivals {
            match self.arrivals.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = arrival,
                None => self.arrivals.push((name, arrival)),
            }
        }
        Spent::Admitted
    }

    /// Whether a call would have to ask the authority.
    pub fn wants(&self, rules: &Rules<'_>, cost: u64, now: Instant) -> bool {
        self.clone().spend(rules, cost, now) == Spent::Ask
    }

    /// The arrival time after a call under an approximate limit.
    fn arrival(&self, limit: &RateLimit, cost: u64, now: Instant) -> Result<u64, Denied> {
        let rate = u64::from(limit.limit.max(1));
        let clock = (now.millis().max(0) as u64).saturating_mul(rate);
        let before = self.arrivals.iter().find(|(name, _)| *name == limit.name).map_or(0, |(_, arrival)| *arrival);
        let next = before.max(clock).saturating_add(cost.saturating_mul(limit.call()));
        let most = clock.saturating_add(u64::from(limit.burst) * limit.call());
        match next.checked_sub(most).filter(|over| *over > 0) {
            None => Ok(next),
            Some(over) => {
                let retry_ms = (cost <= u64::from(limit.burst)).then(|| limit.wait(over).max(1));
                Err(Denied { name: limit.name.clone(), quota: false, retry_ms })
            }
        }
    }

    /// What has to be said of the slice before another one is asked for: from now on nothing of it is spent here.
    pub fn hand_back(&mut self, now: Instant) -> Option<Returned> {
        let slice = self.slice.take()?;
        self.pace = (slice.spent, (now.millis() - slice.since.millis()).max(1) as u64);
        Some(Returned { id: slice.id, spent: slice.spent })
    }

    /// How many calls to ask for: as many as the last slice admitted in the time that is looked ahead, and twice that, since a
    /// slice that was spent early says only that it was too small.
    pub fn wanted(&self, cost: u64) -> u64 {
        let (spent, millis) = self.pace;
        let ahead = spent.saturating_mul(AHEAD_MS) / millis.max(1);
        (2 * spent).min(2 * ahead).max(4 * cost)
    }

    /// Takes what the authority answered to a question that was sent at `asked_at`. Answers a slice that has to be given back,
    /// where another one came meanwhile.
    pub fn receive(
        &mut self,
        answer: Result<Slice, Denied>,
        cost: u64,
        left: Vec<Left>,
        asked_at: Instant,
        now: Instant,
    ) -> Option<Returned> {
        self.known_at = Some(now);
        self.left = left;
        match answer {
            Ok(slice) => {
                self.denied = None;
                let before = self.hand_back(now);
                let ends_at = lease::end_of_ms(asked_at, slice.lasts_ms);
                self.slice = Some(Held { id: slice.id, left: slice.calls, spent: 0, since: asked_at, ends_at });
                before
            }
            Err(denied) => {
                // Again after a second at the latest: what others hold may have come back.
                let wait = denied.retry_ms.unwrap_or(AHEAD_MS as i64).clamp(1, AHEAD_MS as i64);
                self.denied = Some(Refused { denied, cost, at: now, until: now.plus_millis(wait) });
                None
            }
        }
    }

    /// What is left under each rule, as far as this edge can know: what the authority had left and what is held here.
    pub fn left(&self, rules: &Rules<'_>, now: Instant) -> Vec<Left> {
        let held = self.slice.as_ref().map_or(0, |slice| slice.left);
        let passed = self.known_at.map_or(0, |at| (now.millis() - at.millis()).max(0));
        let limits = rules.rate_limits.iter().map(|limit| {
            let (name, full) = (limit.name.clone(), u64::from(limit.burst) * limit.call());
            let level = match limit.mode {
                Mode::Approximate => {
                    let clock = (now.millis().max(0) as u64).saturating_mul(u64::from(limit.limit));
                    let arrival = self.arrivals.iter().find(|(known, _)| *known == limit.name).map_or(0, |(_, at)| *at);
                    full.saturating_sub(arrival.saturating_sub(clock))
                }
                Mode::Exact => {
                    let there = self.left.iter().find(|left| left.name == limit.name).map_or(0, |left| left.calls);
                    let brought = (passed as u64).saturating_mul(u64::from(limit.limit));
                    ((there + held) * limit.call() + brought).min(full)
                }
            };
            Left { name, calls: level / limit.call(), full_in_ms: Some(limit.wait(full - level)) }
        });
        let quotas = rules.quotas.iter().map(|quota| {
            let there = self.left.iter().find(|left| left.name == quota.name).map_or(0, |left| left.calls);
            let end = quota.period.around(now).1;
            let full_in_ms = end.map(|end| end.millis() - now.millis());
            Left { name: quota.name.clone(), calls: (there + held).min(quota.limit), full_in_ms }
        });
        limits.chain(quotas).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_790_000_000_000;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(START + millis)
    }

    fn limit(limit: u32, window_seconds: u32, burst: u32) -> RateLimit {
        RateLimit { name: "requests".to_owned(), limit, window_seconds, burst, mode: Mode::Exact }
    }

    fn quota(limit: u64, period: Period) -> Quota {
        Quota { name: "quota".to_owned(), limit, period }
    }

    #[test]
    fn days_and_months_are_those_of_utc() {
        let parse = |text: &str| Instant::parse(text).unwrap();
        for (now, day, month) in [
            (
                "2026-11-21T16:00:00Z",
                ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"],
                ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"],
            ),
            (
                "2026-12-31T23:59:59.999Z",
                ["2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"],
                ["2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
            ),
            (
                "2028-02-29T00:00:00Z",
                ["2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"],
                ["2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
            ),
            (
                "2100-02-28T12:00:00Z",
                ["2100-02-28T00:00:00Z", "2100-03-01T00:00:00Z"],
                ["2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"],
            ),
            (
                "1970-01-01T00:00:00Z",
                ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"],
                ["1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z"],
            ),
        ] {
            assert_eq!(Period::Day.around(parse(now)), (parse(day[0]), Some(parse(day[1]))), "{now}");
            assert_eq!(Period::Month.around(parse(now)), (parse(month[0]), Some(parse(month[1]))), "{now}");
        }
    }

    /// An edge and its line to the authority.
    #[derive(Default)]
    struct Edge {
        purse: Purse,
        dead: bool,
    }

    struct World {
        limits: Vec<RateLimit>,
        quotas: Vec<Quota>,
        ledger: Ledger,
        edges: Vec<Edge>,
        admitted: Vec<(i64, u64)>,
    }

    impl World {
        fn new(limits: Vec<RateLimit>, quotas: Vec<Quota>, edges: usize) -> Self {
            let edges = (0..edges).map(|_| Edge::default()).collect();
            Self { limits, quotas, ledger: Ledger::default(), edges, admitted: Vec::new() }
        }

        /// A call at an edge; the question and its answer take so long, or one of them is lost.
        fn call(&mut self, edge: usize, cost: u64, mut now: i64, there: i64, lost: u8) -> Option<Denied> {
            let rules = Rules { rate_limits: &self.limits, quotas: &self.quotas };
            let purse = &mut self.edges[edge].purse;
            for _ in 0..2 {
                match purse.spend(&rules, cost, at(now)) {
                    Spent::Admitted => {
                        self.admitted.push((now, cost));
                        return None;
                    }
                    Spent::Denied(denied) => return Some(denied),
                    Spent::Ask => {}
                }
                let returned: Vec<Returned> = purse.hand_back(at(now)).into_iter().collect();
                let wanted = purse.wanted(cost);
                if lost == 1 {
                    return None;
                }
                let asked_at = at(now);
                now += there;
                let arrives = at(now);
                self.ledger.settle(&rules, &returned, arrives);
                let answer = self.ledger.slice(&rules, cost, wanted, arrives);
                let left = self.ledger.left(&rules, arrives);
                if lost == 2 {
                    return None;
                }
                purse.receive(answer, cost, left, asked_at, at(now));
            }
            None
        }

        /// Whether an ideal bucket of that depth would have admitted all of it.
        fn within(&self, limit: &RateLimit) -> bool {
            let mut calls = self.admitted.clone();
            calls.sort_unstable();
            let full = u64::from(limit.burst) * limit.call();
            let (mut level, mut before) = (full, 0);
            calls.iter().all(|(now, cost)| {
                level = (level + (now - before) as u64 * u64::from(limit.limit)).min(full);
                before = *now;
                let cost = cost * limit.call();
                level = level.saturating_sub(cost).max(if level >= cost { 0 } else { u64::MAX });
                level != u64::MAX
            })
        }
    }

    proptest! {
        #[test]
        fn no_edges_and_no_faults_admit_more_than_the_bound(
            rate in 1u32..200, window in 1u32..20, burst in 1u32..300, quota_of in 1u64..400,
            // The authority hears of a call no earlier than it is made; an edge that dies takes its slice with it.
            steps in proptest::collection::vec((0usize..5, 1u64..4, 0i64..400, 0i64..300, 0u8..8, 0u8..40), 1..400),
        ) {
            let mut world = World::new(vec![limit(rate, window, burst)], vec![quota(quota_of, Period::Total)], 5);
            let mut now = 0;
            for (edge, cost, pause, there, lost, death) in steps {
                now += pause;
                if death == 0 {
                    world.edges[edge] = Edge::default();
                }
                world.call(edge, cost, now, there, lost);
                // Time goes on at the authority: messages reach it in the order of the steps.
                now += there;
            }
            prop_assert!(world.within(&world.limits[0]));
            prop_assert!(world.admitted.iter().map(|(_, cost)| cost).sum::<u64>() <= quota_of);
        }

        #[test]
        fn a_clock_that_steps_back_brings_nothing(steps in proptest::collection::vec((-5_000i64..1_000, 1u64..3), 1..200)) {
            let limits = [limit(10, 1, 10)];
            let rules = Rules { rate_limits: &limits, quotas: &[] };
            let (mut ledger, mut now, mut latest, mut spent) = (Ledger::default(), 0i64, 0i64, 0);
            ledger.settle(&rules, &[], at(0));
            for (step, cost) in steps {
                now += step;
                latest = latest.max(now);
                ledger.settle(&rules, &[], at(now));
                spent += ledger.spend(&rules, cost, at(now)).map_or(0, |()| cost);
                prop_assert!(spent as i64 * 100 <= 10 * 100 + latest, "{spent} in {latest} ms");
            }
        }

        #[test]
        fn what_is_stored_is_read_back(rate in 1u32..50, calls in proptest::collection::vec((0i64..500, 1u64..3, any::<bool>()), 0..40)) {
            let (limits, quotas) = ([limit(rate, 7, rate)], [quota(100, Period::Day)]);
            let rules = Rules { rate_limits: &limits, quotas: &quotas };
            let (mut ledger, mut now) = (Ledger::default(), 0);
            for (pause, cost, slice) in calls {
                now += pause;
                ledger.settle(&rules, &[], at(now));
                let _ = if slice { ledger.slice(&rules, cost, 10, at(now)).map(|_| ()) } else { ledger.spend(&rules, cost, at(now)) };
                let json = serde_json::to_string(&ledger).unwrap();
                prop_assert!(json.len() < 40_000);
                prop_assert_eq!(&serde_json::from_str::<Ledger>(&json).unwrap(), &ledger);
            }
        }
    }

    #[test]
    fn five_edges_that_hammer_get_nearly_all_that_the_limit_allows() {
        for (rate, window, burst) in [(100, 1, 100), (1_000, 60, 50), (10, 10, 10), (5_000, 1, 5_000)] {
            let mut world = World::new(vec![limit(rate, window, burst)], vec![], 5);
            let seconds = 60;
            for now in 0..seconds * 1_000 {
                for edge in 0..5 {
                    // As many calls as could ever be admitted.
                    for _ in 0..=(rate / window / 200) {
                        world.call(edge, 1, now, 1, 0);
                    }
                }
            }
            assert!(world.within(&world.limits[0]));
            let admitted = world.admitted.len() as f64;
            let allowed = f64::from(burst) + f64::from(rate) * seconds as f64 / f64::from(window);
            assert!(admitted >= 0.99 * allowed - 1.0, "{admitted} of {allowed} at {rate} in {window}");
        }
    }

    #[test]
    fn a_moderate_caller_on_one_edge_gets_all_of_it_however_long_his_slices_lie() {
        // Ten calls a second under a limit of ten a second and nothing to spare.
        let mut world = World::new(vec![limit(10, 1, 10)], vec![quota(1_000_000, Period::Month)], 1);
        for i in 0..3_000 {
            world.call(0, 1, i * 100, 5, 0);
        }
        assert!(world.admitted.len() >= 2_970, "{}", world.admitted.len());
    }

    #[test]
    fn what_an_edge_took_with_it_is_refilled_within_a_window() {
        let mut world = World::new(vec![limit(100, 10, 100)], vec![], 2);
        for i in 0..50 {
            world.call(0, 1, i, 0, 0);
        }
        world.edges[0] = Edge { purse: Purse::default(), dead: true };
        let mut admitted = 0;
        for i in 0..400 {
            admitted += u32::from(world.call(1, 1, 17_000 + i, 0, 0).is_none());
        }
        assert!(world.edges[0].dead && (100..=105).contains(&admitted), "{admitted}");
    }

    #[test]
    fn denied_calls_burn_nothing_and_say_when() {
        let limits = [limit(2, 10, 2)];
        let quotas = [quota(3, Period::Day)];
        let rules = Rules { rate_limits: &limits, quotas: &quotas };
        let mut ledger = Ledger::default();
        let mut spend = |cost, now| {
            ledger.settle(&rules, &[], at(now));
            ledger.spend(&rules, cost, at(now))
        };
        assert_eq!(spend(2, 0), Ok(()));
        for _ in 0..100 {
            let denied = Denied { name: "requests".to_owned(), quota: false, retry_ms: Some(5_000) };
            assert_eq!(spend(1, 0), Err(denied));
        }
        assert_eq!(spend(3, 0).unwrap_err().retry_ms, None, "more than the bucket is deep");
        assert_eq!(spend(1, 5_000), Ok(()));
        let denied = spend(1, 10_000).unwrap_err();
        let (_, end) = Period::Day.around(at(10_000));
        assert_eq!((denied.quota, denied.retry_ms), (true, Some(end.unwrap().millis() - START - 10_000)));
        assert_eq!(spend(1, end.unwrap().millis() - START), Ok(()), "another day");
    }

    #[test]
    fn an_approximate_limit_is_kept_at_each_edge_without_asking() {
        let limits = [RateLimit { mode: Mode::Approximate, ..limit(3, 60, 3) }];
        let rules = Rules { rate_limits: &limits, quotas: &[] };
        let mut purse = Purse::default();
        for _ in 0..3 {
            assert_eq!(purse.spend(&rules, 1, at(0)), Spent::Admitted);
        }
        let Spent::Denied(denied) = purse.spend(&rules, 1, at(0)) else { panic!() };
        assert_eq!(denied.retry_ms, Some(20_000));
        assert_eq!(purse.left(&rules, at(0))[0].calls, 0);
        assert_eq!(purse.spend(&rules, 1, at(20_000)), Spent::Admitted);
    }
}
