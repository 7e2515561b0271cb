//! What is unusual about the use of a key: one pure step from a state and an observation to a state and findings. The state
//! is of one key, its memory is bounded ([`MOST_BYTES`] of JSON), and a step costs the same however long the key is known.
//!
//! | kind | model | quiet until |
//! |---|---|---|
//! | `volume_spike` | calls of the last 5, 10 and 60 minutes against an hour-of-week rhythm times a level; negative binomial | 8 days |
//! | `volume_drop` | silence since the last call, or an hour of nearly none, unless a holiday explains it | 14 days |
//! | `unusual_hour` | calls in an hour of the week that has next to none | 14 days |
//! | `new_country` | a country that never came up, with more calls than a visitor's | 7 days |
//! | `failure_rise`, `bounce_rise` | share of calls or deliveries; Page's cumulative sum | 3 days with any, and 200 of them |
//! | `unknown_destinations` | share of calls to ranges that were not reached before today; the same sum | 14 days, 200 calls |
//! | `quota_forecast` | the rhythm, continued at today's pace, until the quota ends | 7 days |
//!
//! Where many calls are expected, a spike is also looked for by the pace of the last hour: on a holiday, five times what there
//! is may be little more than the usual.
//!
//! A finding is told once for an episode; an episode is over when its condition has not held for a while ([`Kind::calm`]).
//! What is unusual becomes usual only by and by: an hour teaches no more than it could plausibly have held.
//!
//! Rates have one scale, the server's clock in UTC. Sources: negative binomial counts as a Poisson count of a gamma rate
//! (Greenwood & Yule 1920), tails by Chernoff's bound (1952), prequential forecasts (Dawid 1984), discounted filters
//! (West & Harrison 1997), cumulative sums (Page 1954); surveillance of counts with a seasonal baseline that outbreaks do not
//! teach, after Farrington et al. (1996).

mod counts;
mod places;
mod ranges;
mod rhythm;

use crate::time::Instant;
use counts::{Rise, Share, Spread};
use places::Places;
use ranges::Ranges;
use rhythm::{Rhythm, Shape, WEEK};
use serde::{Deserialize, Serialize};

/// Most bytes of a state as JSON.
pub const MOST_BYTES: usize = 6 * 1024;

/// Minutes of windows that spikes are looked for in.
const WINDOWS: [usize; 3] = [5, 10, 60];
/// Surprise, in nats, from which a window is a spike; an episode lasts from half of it on.
const SPIKE: f64 = 8.5;
/// A spike is at least this often what was expected, and at least so many calls.
const SPIKE_RATIO: f64 = 1.6;
const SPIKE_LEAST: f64 = 10.0;
/// Surprise from which a window is a spike where so many calls a minute are expected. There a burst of five times is told
/// from chance within minutes; where fewer are, a lower limit finds little but chance.
const LARGE: (f64, f64) = (7.5, 3.0);
/// Place of the spread of the first of [`WINDOWS`] by the pace of the last hour, which keys of that size are measured by, too, in
/// all but the last of them; from [`SPIKE`] on, as a pace is a guess more.
const OF_PACE: usize = WINDOWS.len() + 1;
/// By that pace, a spike is at least this often what is expected without it: a holiday may end at any hour.
const PACED_RATIO: f64 = 1.2;
/// A pace of 1 is taken for granted with so many calls, and with this share of those expected in the window: the calls of a
/// quiet hour say little of a busy one.
const PACE_PRIOR: (f64, f64) = (10.0, 0.5);
/// As for spikes: of calls in an hour that has next to none.
const STRANGE: f64 = 13.0;
/// An hour has next to none when it has less than this of a mean hour.
const QUIET: f64 = 0.1;
/// No hour is expected to have less than this of a mean hour.
const LEAST: f64 = 0.01;
/// Surprise of a drop.
const DROP: f64 = 12.0;
/// Probability that a day is a holiday, and what is left of its calls at least.
const HOLIDAY: (f64, f64) = (0.02, 0.2);
/// Least minutes of silence.
const SILENCE: i64 = 10;
/// Surprise of a new country.
const COUNTRY: f64 = 8.0;
/// Standard deviations by which the forecast must pass the quota, and relative standard deviations of a forecast and of what it
/// is more or less than the usual.
const FORECAST: (f64, f64, f64) = (2.0, 0.12, 0.2);
/// Hours without calls after which a key begins anew.
const FORGOTTEN: i64 = 21 * 24;
/// Hours that the scatter is learned for before it is judged by.
const DAY: u32 = 24;
/// Hours of a drop that teach nothing.
const HELD: i64 = 7 * 24 * 60;

/// What is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// More calls than the hour explains. `expected` and `seen`: calls since `since`.
    VolumeSpike,
    /// Next to no calls where many were expected. `expected` and `seen`: calls since `since`.
    VolumeDrop,
    /// Calls from a country that never came up; `subject` is its code. `expected` and `seen`: calls from it since `since`.
    NewCountry,
    /// Calls in an hour of the week that has next to none. `expected` and `seen`: calls in that hour.
    UnusualHour,
    /// The quota runs out before it ends. `expected`: the quota; `seen`: calls foreseen for when it ends.
    QuotaForecast,
    /// More failures among calls. `expected` and `seen`: shares, 0 to 1.
    FailureRise,
    /// More bounces among delivery reports. `expected` and `seen`: shares, 0 to 1.
    BounceRise,
    /// More calls to destinations not reached before. `expected` and `seen`: shares, 0 to 1.
    UnknownDestinations,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::VolumeSpike,
        Self::VolumeDrop,
        Self::NewCountry,
        Self::UnusualHour,
        Self::QuotaForecast,
        Self::FailureRise,
        Self::BounceRise,
        Self::UnknownDestinations,
    ];

    /// Minutes for which the condition must not have held before the same is told again. New countries and quotas are told
    /// once each, whatever the time.
    pub const fn calm(self) -> i64 {
        match self {
            Self::VolumeDrop => 60,
            Self::VolumeSpike => 180,
            Self::UnusualHour => 720,
            Self::FailureRise | Self::BounceRise | Self::UnknownDestinations => 360,
            Self::NewCountry | Self::QuotaForecast => 0,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// What of, where it is not the key as a whole: a country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Since when the condition holds, to the minute or, for countries, the hour.
    pub since: Instant,
    /// When it was found.
    pub at: Instant,
    /// What the model expected; the unit is told with the [`Kind`].
    pub expected: f64,
    /// What was seen, in the same unit.
    pub seen: f64,
    /// A bound on how likely it is that this, or worse, comes by chance, by the model: above 0, at most 1.
    pub probability: f64,
    /// When the quota runs out, as is foreseen; for `quota_forecast` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_out_at: Option<Instant>,
}

/// A limit of calls over a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Calls in all.
    pub limit: u64,
    /// Calls until now, those of the observation included.
    pub used: u64,
    /// When the span ends.
    pub ends_at: Instant,
}

/// What was seen of a key's use since the observation before. A report of an edge, or nothing at all.
#[derive(Clone, Debug)]
pub struct Observation<'o> {
    /// When it arrived, on the server's clock. Earlier than the one before by up to an hour: taken as of then.
    pub at: Instant,
    /// Calls.
    pub calls: u64,
    /// Those of them that were refused or answered with 500 to 599.
    pub failures: u64,
    /// Calls by country, ISO 3166-1 alpha-2; need not cover all calls.
    pub countries: &'o [(String, u64)],
    /// Delivery reports of success.
    pub delivered: u64,
    /// Delivery reports of failure.
    pub bounced: u64,
    /// Calls by destination: any 64-bit hash of a range of destinations, and calls to it.
    pub destinations: &'o [(u64, u64)],
    /// The quota as it stands.
    pub quota: Option<Quota>,
}

impl Observation<'_> {
    /// An observation of nothing: what to look with when it is [`due`].
    pub const fn none(at: Instant) -> Self {
        Self { at, calls: 0, failures: 0, countries: &[], delivered: 0, bounced: 0, destinations: &[], quota: None }
    }
}

/// Something unusual that lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Episode {
    kind: Kind,
    /// Minutes since the epoch.
    since: i64,
    last: i64,
}

/// What is kept of one key: at most [`MOST_BYTES`] of JSON. A state that was written without a field is read with the field
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The minute since the epoch that was reached; none before the first call.
    #[serde(skip_serializing_if = "Option::is_none")]
    minute: Option<i64>,
    /// The minute of the last call.
    last_call: i64,
    /// Calls by minute of the hour, of the last hour.
    minutes: Vec<u32>,
    /// Calls by five minutes, of the hour before.
    before: Vec<u32>,
    rhythm: Rhythm,
    /// For [`WINDOWS`], for hours that have next to none, and for the first window by the last hour's pace.
    spreads: Vec<Spread>,
    failures: Share,
    bounces: Share,
    strangers: Share,
    places: Places,
    ranges: Ranges,
    episodes: Vec<Episode>,
    /// When the quota ends that was told of, and the ten minutes that it was last looked at, since the epoch.
    quota_told: Option<Instant>,
    quota_seen: i64,
}

/// Finite, and with exponents that sums of it survive.
fn keep(value: f64) -> f32 {
    value.clamp(-1e30, 1e30) as f32
}

/// At most 32 bits of a count.
fn whole(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Three digits: what an estimate is worth, in few bytes.
fn short(value: f64) -> f32 {
    if value < 1e-6 {
        return 0.0;
    }
    let exponent = 2 - value.log10().floor() as i32;
    let scale = 10_f64.powi(exponent.abs());
    if exponent >= 0 { keep((value * scale).round() / scale) } else { keep((value / scale).round() * scale) }
}

fn instant(minute: i64) -> Instant {
    Instant::from_millis(minute.saturating_mul(60_000))
}

fn likely(surprise: f64) -> f64 {
    (-surprise).exp().clamp(f64::MIN_POSITIVE, 1.0)
}

/// Surprise of what a holiday may explain: −ln of the mixture of both.
fn unless_holiday(usual: f64, holiday: f64) -> f64 {
    let (chance, _) = HOLIDAY;
    let explained = holiday - chance.ln();
    let least = usual.min(explained);
    // ln of a sum of exponentials, from the greater one.
    least - ((least - usual).exp() + (least - explained).exp()).min(2.0).ln()
}

/// One step. Answers what is news; the same state and observation always give the same.
pub fn observe(state: &mut State, seen: &Observation) -> Vec<Finding> {
    let mut found = Vec::new();
    let now = seen.at.millis().div_euclid(60_000);
    state.mend();
    if seen.calls == 0 {
        state.silence(now, seen.at, &mut found);
    }
    if state.minute.is_some() || seen.calls > 0 {
        state.pass(now, &mut found);
    }
    let now = state.minute.unwrap_or(now);
    if seen.calls > 0 {
        let place = now.rem_euclid(60) as usize;
        state.minutes[place] = state.minutes[place].saturating_add(whole(seen.calls));
        state.last_call = now;
        state.volume(now, seen.at, &mut found);
    }
    let day = now.div_euclid(1440);
    let hold = state
        .episodes
        .iter()
        .any(|open| open.kind == Kind::UnknownDestinations && now.saturating_sub(open.since) < HELD);
    let (strange, all) = state.ranges.add(seen.destinations, day, hold);
    let rises = [
        (Kind::FailureRise, state.failures.add(seen.failures, seen.calls, now, 72)),
        (Kind::BounceRise, state.bounces.add(seen.bounced, seen.bounced.saturating_add(seen.delivered), now, 72)),
        (
            Kind::UnknownDestinations,
            // In the first week everything is unknown.
            if state.ranges.age > 7 { state.strangers.add(strange, all, now, 7 * 24) } else { None },
        ),
    ];
    for (kind, rise) in rises {
        let Some(Rise { expected, seen: share, surprise, since, strong, weak }) = rise else { continue };
        if state.raise(kind, strong, weak, now) {
            found.push(finding(kind, since, seen.at, expected, share, surprise));
        }
    }
    if !seen.countries.is_empty() {
        // Few clusters come apart in the shorter windows: the least is nearest to one visitor's.
        let clusters =
            || state.spreads.iter().take(3).map(|spread| spread.fit().clusters).fold(f64::INFINITY, f64::min);
        for news in state.places.add(seen.countries, now.div_euclid(60), clusters, 7, COUNTRY) {
            let mut of = finding(
                Kind::NewCountry,
                news.since_hour.saturating_mul(60),
                seen.at,
                news.expected,
                news.seen,
                news.surprise,
            );
            of.subject = Some(news.code);
            found.push(of);
        }
    }
    if let Some(quota) = &seen.quota {
        state.quota(quota, now, seen.at, &mut found);
    }
    found
}

/// When to look again, with an [`Observation::none`] if nothing else came: then a key that stays silent is found to be. None
/// where silence is no news: it is not known for long enough, or was told of. Later observations only move it on, so it is
/// enough to ask when the time has come.
pub fn due(state: &State) -> Option<Instant> {
    let minute = state.minute?;
    if !state.tells_of_silence() {
        return None;
    }
    let shape = state.rhythm.shape();
    let mut walk = Silence::new(state);
    let last = state.last_call.saturating_add(FORGOTTEN * 60);
    loop {
        let before = walk.clone();
        let end = walk.end();
        walk.pass(&shape, end);
        if walk.surprise() >= DROP {
            // Within this hour, to the minute.
            let found = (before.from + 1..=end).find(|to| {
                let mut until = before.clone();
                until.pass(&shape, *to);
                until.surprise() >= DROP && *to - state.last_call > SILENCE
            });
            if let Some(found) = found {
                return Some(instant(found.max(minute.saturating_add(1))));
            }
        }
        if end >= last {
            return None;
        }
    }
}

/// Calls foreseen from a minute until another, at least; by five minutes.
fn foreseen(shape: &Shape, from: i64, until: i64) -> f64 {
    let fives = (from..until).step_by(5);
    fives.map(|start| shape.around(start + 2).0 * (until - start).min(5) as f64 / 60.0).sum()
}

/// How much of what was foreseen before a window came, 1 at most; `mean` is what is expected in the window.
fn pace(seen: f64, foreseen: f64, mean: f64) -> f64 {
    let (few, share) = PACE_PRIOR;
    let prior = few + share * mean;
    ((seen + prior) / (foreseen + prior)).min(1.0)
}

/// Sum of counts, which may pass 32 bits.
fn sum(counts: &[u32]) -> f64 {
    counts.iter().map(|calls| f64::from(*calls)).sum()
}

fn finding(kind: Kind, since: i64, at: Instant, expected: f64, seen: f64, surprise: f64) -> Finding {
    let since = instant(since).min(at);
    Finding { kind, subject: None, since, at, expected, seen, probability: likely(surprise), runs_out_at: None }
}

/// A walk along the hours since the last call.
#[derive(Clone)]
struct Silence {
    fit: counts::Fit,
    start: i64,
    from: i64,
    mean: f64,
    usual: f64,
    holiday: f64,
}

impl Silence {
    fn new(state: &State) -> Self {
        let from = state.last_call.saturating_add(1);
        Self {
            fit: state.spreads.get(2).map_or_else(|| Spread::default().fit(), Spread::fit),
            start: from,
            from,
            mean: 0.0,
            usual: 0.0,
            holiday: 0.0,
        }
    }

    /// The end of the hour that it stands in.
    fn end(&self) -> i64 {
        (self.from.div_euclid(60) + 1) * 60
    }

    /// Goes on within the hour.
    fn pass(&mut self, shape: &Shape, to: i64) {
        let part = (to - self.from) as f64 / 60.0;
        let mean = shape.low(self.from.div_euclid(60));
        self.mean += mean * part;
        self.usual += self.fit.silence(mean, part);
        let of_holiday = if self.from - self.start < 1440 { HOLIDAY.1 } else { 1.0 };
        self.holiday += self.fit.silence(mean * of_holiday, part);
        self.from = to;
    }

    fn surprise(&self) -> f64 {
        unless_holiday(self.usual, self.holiday)
    }
}

impl State {
    fn mend(&mut self) {
        self.minutes.resize(60, 0);
        self.before.resize(12, 0);
        self.spreads.resize(OF_PACE + 1, Spread::default());
        self.rhythm.mend();
    }

    fn is_open(&self, kind: Kind) -> bool {
        self.episodes.iter().any(|open| open.kind == kind)
    }

    fn tells_of_silence(&self) -> bool {
        self.rhythm.hours >= 2 * WEEK && !self.is_open(Kind::VolumeDrop)
    }

    /// Opens, keeps or closes an episode; whether it is a new one.
    fn raise(&mut self, kind: Kind, strong: bool, weak: bool, now: i64) -> bool {
        match self.episodes.iter().position(|open| open.kind == kind) {
            Some(position) if weak => self.episodes[position].last = now,
            Some(position) if now.saturating_sub(self.episodes[position].last) >= kind.calm() => {
                self.episodes.swap_remove(position);
            }
            None if strong => {
                self.episodes.push(Episode { kind, since: now, last: now });
                return true;
            }
            _ => {}
        }
        false
    }

    /// Looks at the time without calls until `now`, by what was known before it.
    fn silence(&mut self, now: i64, at: Instant, found: &mut Vec<Finding>) {
        let idle = now.saturating_sub(self.last_call);
        if self.minute.is_none() || !self.tells_of_silence() || idle <= SILENCE || idle > FORGOTTEN * 60 {
            return;
        }
        let shape = self.rhythm.shape();
        let mut walk = Silence::new(self);
        while walk.from < now {
            let to = walk.end().min(now);
            walk.pass(&shape, to);
        }
        let (surprise, start) = (walk.surprise(), walk.start);
        if surprise >= DROP && self.raise(Kind::VolumeDrop, true, true, now) {
            found.push(finding(Kind::VolumeDrop, start, at, walk.mean, 0.0, surprise));
        }
    }

    /// Lets time pass until the minute `to`, closing the hours on the way.
    fn pass(&mut self, to: i64, found: &mut Vec<Finding>) {
        let Some(mut minute) = self.minute else {
            (self.minute, self.last_call) = (Some(to), to);
            return;
        };
        // A clock that was set, or a key that was not used for so long: what hour it is, and how much is usual, begins anew.
        if to.saturating_add(60) < minute || to.saturating_sub(self.last_call) > FORGOTTEN * 60 {
            if to > minute {
                (self.rhythm, self.spreads) = (Rhythm::default(), Vec::new());
            }
            self.minutes.fill(0);
            self.before.fill(0);
            self.episodes.clear();
            self.mend();
            (self.minute, self.last_call) = (Some(to), to);
            return;
        }
        while minute < to {
            let hour = minute.div_euclid(60);
            let stop = to.min(hour * 60 + 59);
            for passed in minute + 1..=stop {
                self.minutes[passed.rem_euclid(60) as usize] = 0;
            }
            minute = stop;
            if minute < to {
                self.close(hour, found);
                minute += 1;
                self.minutes[0] = 0;
            }
        }
        self.minute = Some(minute);
    }

    /// Learns from an hour that is over.
    fn close(&mut self, hour: i64, found: &mut Vec<Finding>) {
        let end = (hour + 1) * 60;
        let calls = sum(&self.minutes);
        let ready = self.rhythm.hours >= WEEK;
        let shape = self.rhythm.shape();
        let (mean, low, overall) = (shape.at(hour), shape.low(hour), shape.mean());
        let quiet = shape.high(hour) < QUIET * overall;
        let ranges = WINDOWS.map(|window| {
            let middles = (0..60 / window).map(|place| hour * 60 + (place * window + window / 2) as i64);
            middles.map(|middle| if window == 60 { (mean, mean) } else { shape.around(middle) }).collect::<Vec<_>>()
        });
        let fits = self.spreads.iter().map(Spread::fit).collect::<Vec<_>>();
        let fives = self.minutes.chunks(5).map(|five| five.iter().copied().fold(0, u32::saturating_add));
        let fives: Vec<u32> = self.before.iter().copied().chain(fives).collect();
        // The pace before a window is that of the rest of the hour that ends with it, here as in `volume`.
        let paces = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map(|place: usize| {
            let start = (hour - 1) * 60 + (place as i64 + 1) * 5;
            pace(sum(&fives[place + 1..place + 12]), foreseen(&shape, start, start + 55), ranges[0][place].1 / 12.0)
        });
        if self.tells_of_silence() && calls < 0.05 * low {
            let surprise = unless_holiday(
                fits[2].surprise(calls, low),
                fits[2].surprise(calls.min(low * HOLIDAY.1), low * HOLIDAY.1),
            );
            if surprise >= DROP + 2.0 && self.raise(Kind::VolumeDrop, true, true, end) {
                found.push(finding(Kind::VolumeDrop, hour * 60, instant(end), low, calls, surprise));
            }
        }
        let held =
            |kind: Kind| self.episodes.iter().any(|open| open.kind == kind && end.saturating_sub(open.since) < HELD);
        let (dropped, failing) = (held(Kind::VolumeDrop), held(Kind::FailureRise));
        let (bouncing, strange) = (held(Kind::BounceRise), held(Kind::UnknownDestinations));
        if !dropped {
            let most = (2.0 * mean).max(mean + 3.0 * fits[2].variance(mean).sqrt()).max(overall);
            if ready {
                self.spreads.iter_mut().for_each(Spread::age);
                let least = LEAST * overall;
                for (scale, window) in WINDOWS.into_iter().enumerate() {
                    for (place, counts) in self.minutes.chunks(window).enumerate() {
                        let counted = sum(counts);
                        let part = window as f64 / 60.0;
                        let mut learn = |spread: usize, pace: f64| {
                            let (lowest, highest) = ranges[scale][place];
                            let (lowest, highest) = (lowest * part * pace, highest * part * pace);
                            let expected = counted.clamp(lowest, highest.max(lowest)).max(least * part);
                            self.spreads[spread].add(counted, expected, fits[spread]);
                        };
                        learn(scale, 1.0);
                        if scale == 0 {
                            learn(OF_PACE, paces[place]);
                        }
                    }
                }
                if quiet {
                    self.spreads[3].add(calls, mean, fits[3]);
                }
            }
            self.rhythm.learn(hour, calls, calls.min(most), sum(&self.minutes[..30]));
        }
        self.before = fives[12..].to_vec();
        // A share may rise for good: after a week of it, it is learned.
        self.failures.close(!failing);
        self.bounces.close(!bouncing);
        self.strangers.close(!strange);
    }

    /// Looks at the calls of the last hour.
    fn volume(&mut self, now: i64, at: Instant, found: &mut Vec<Finding>) {
        // A week for the rhythm, then a day for how far calls stray from it: of a caller that comes once an hour with a dozen
        // calls, the first forecasts know nothing of the dozen.
        if self.rhythm.hours < WEEK + DAY {
            return;
        }
        let hour = now.div_euclid(60);
        let into = now.rem_euclid(60) as usize + 1;
        let shape = self.rhythm.shape();
        let overall = shape.mean();
        let (before, current, high) = (shape.at(hour - 1), shape.at(hour), shape.high(hour));
        // Next to none are usual in the hour: there, only what is much in any hour is a spike.
        let quiet = |mean: f64| if mean < QUIET * overall { overall } else { mean };
        let mut worst: Option<(f64, f64, f64, i64)> = None;
        let mut weak = false;
        let mut drop_over = false;
        for (scale, window) in WINDOWS.into_iter().enumerate() {
            let old = window.saturating_sub(into);
            let calls: f64 = (0..window).map(|ago| f64::from(self.minutes[(into + 59 - ago) % 60])).sum();
            let mean = match window {
                60 => (quiet(current) * (window - old) as f64 + quiet(before) * old as f64) / 60.0,
                _ => quiet(shape.around(now + 1 - window as i64 / 2).1) * window as f64 / 60.0,
            };
            if window == 60 {
                drop_over = calls >= 0.2 * (current * (window - old) as f64 + before * old as f64) / 60.0;
            }
            if calls < SPIKE_LEAST || calls < PACED_RATIO * mean {
                continue;
            }
            let (start, part) = (now + 1 - window as i64, window as f64 / 60.0);
            let rest = || (window..60).map(|ago| f64::from(self.minutes[(into + 59 - ago) % 60])).sum::<f64>();
            let usual = |by: i64| foreseen(&shape, now - 59 + by * 60, start + by * 60);
            // Summer time, or a shift, moves the rhythm by an hour; unless the rest of the hour was clearly as foreseen, and
            // not as it would be then: nearer to it, by ratio, where they differ and there was enough to see.
            let moved = |by: i64| {
                calls < 1.25 * shape.at(hour + by) * part && {
                    let (then, now, rest) = (usual(by), usual(0), rest());
                    then <= 2.0 * now || rest < PACE_PRIOR.0 + PACE_PRIOR.1 * mean || rest * rest > then * now
                }
            };
            if [0, 1, -1].into_iter().any(moved) {
                continue;
            }
            let large = mean >= LARGE.1 * window as f64;
            let enough = if large { LARGE.0 } else { SPIKE };
            let fit = self.spreads[scale].fit();
            let surprise = if calls >= SPIKE_RATIO * mean { fit.surprise(calls, mean) } else { 0.0 };
            let mut by = (surprise, enough, mean);
            let paced = &self.spreads[OF_PACE];
            if surprise < enough && large && window < 60 && paced.is_known() {
                let slow = mean * pace(rest(), usual(0), mean);
                // How far a pace is off is alike for ten minutes; more of a cluster comes in them.
                let mut of_pace = paced.fit();
                if scale > 0 {
                    of_pace.clusters = of_pace.clusters.max(fit.clusters);
                }
                let surprise = of_pace.surprise(calls, slow);
                if calls >= SPIKE_RATIO * slow && surprise / SPIKE > by.0 / by.1 {
                    by = (surprise, SPIKE, slow);
                }
            }
            let (surprise, enough, mean) = by;
            weak |= surprise >= enough / 2.0;
            if surprise >= enough && worst.is_none_or(|(most, ..)| surprise > most) {
                worst = Some((surprise, mean, calls, start));
            }
        }
        let strange = (self.rhythm.hours >= 2 * WEEK && high < QUIET * overall).then(|| {
            let calls: f64 = self.minutes[..into].iter().map(|calls| f64::from(*calls)).sum();
            let mean = high.max(LEAST * overall);
            (self.spreads[3].fit().surprise(calls, mean), mean, calls)
        });
        if self.is_open(Kind::VolumeDrop) {
            self.raise(Kind::VolumeDrop, false, !drop_over, now);
        }
        if self.raise(Kind::VolumeSpike, worst.is_some(), weak, now)
            && let Some((surprise, mean, calls, since)) = worst
        {
            found.push(finding(Kind::VolumeSpike, since, at, mean, calls, surprise));
        }
        if let Some((surprise, mean, calls)) = strange
            && self.raise(Kind::UnusualHour, surprise >= STRANGE && calls >= 5.0 && calls > mean, calls > mean, now)
        {
            found.push(finding(Kind::UnusualHour, hour * 60, at, mean, calls, surprise));
        }
    }

    /// Continues the rhythm until the quota ends. Looked at every ten minutes.
    fn quota(&mut self, quota: &Quota, now: i64, at: Instant, found: &mut Vec<Finding>) {
        let slot = now.div_euclid(10);
        let ends = quota.ends_at.millis().div_euclid(60_000);
        if self.quota_seen == slot || self.quota_told == Some(quota.ends_at) || self.rhythm.hours < WEEK || ends <= now
        {
            return;
        }
        self.quota_seen = slot;
        let remaining = quota.limit.saturating_sub(quota.used) as f64;
        let shape = self.rhythm.shape();
        let fit = self.spreads[2].fit();
        let pace = self.rhythm.pace(shape.mean());
        let (mut mean, mut variance, mut besides, mut minute, mut runs_out) = (0.0, 0.0, 0.0, now, None);
        // No quota is longer than a year here; what is beyond is not foreseen.
        let end = ends.min(now.saturating_add(366 * 1440));
        while minute < end {
            let hour = minute.div_euclid(60);
            let to = ((hour + 1) * 60).min(end);
            // Today's pace goes back to the usual one, in a week or so.
            let weeks = (minute - now) as f64 / (7.0 * 1440.0);
            let usual = shape.at(hour) * (to - minute) as f64 / 60.0;
            let calls = usual * (1.0 + (pace - 1.0) * (-weeks).exp());
            besides += calls - usual;
            if runs_out.is_none() && mean + calls >= remaining {
                let part = if calls > 0.0 { (remaining - mean) / calls } else { 0.0 };
                runs_out = Some(minute + ((to - minute) as f64 * part) as i64);
            }
            mean += calls;
            variance += fit.variance(calls);
            minute = to;
        }
        let deviation = (variance + (FORECAST.1 * mean).powi(2) + (FORECAST.2 * besides).powi(2)).sqrt().max(1e-9);
        let far = (mean - remaining) / deviation;
        let Some(runs_out) = runs_out.filter(|_| far >= FORECAST.0) else { return };
        self.quota_told = Some(quota.ends_at);
        let total = quota.used as f64 + mean;
        let mut of = finding(Kind::QuotaForecast, now, at, quota.limit as f64, total, far * far / 2.0);
        of.runs_out_at = Some(instant(runs_out));
        found.push(of);
    }
}

#[cfg(test)]
mod tests;
