//! Countries that a key is used from.

use super::{keep, whole};
use base64ct::{Base64Unpadded, Encoding};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Two characters of 0-9 and A-Z.
const CODES: usize = 36 * 36;
/// Most countries watched at a time; what comes up besides is known without.
const MOST: usize = 8;
/// What is left of a count after a day: half in four weeks.
const LEFT: f64 = 0.975_55;
/// Hours in which a country that came up is watched.
const WATCHED: u64 = 7 * 24;
/// Days after which a country that was not seen since may be new again, at the earliest.
const TURN: u32 = 90;
/// Most calls that one visitor is taken to bring at once.
const MOST_CLUSTERS: f64 = 20.0;

/// A set of codes, one bit each.
#[derive(Clone, Debug, Default, PartialEq)]
struct Codes(Vec<u8>);

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64Unpadded::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = Base64Unpadded::decode_vec(&text).map_err(|_| serde::de::Error::custom("not base64"))?;
        match bytes.len() {
            0 | 162 => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("a set of codes has 162 bytes")),
        }
    }
}

impl Codes {
    fn has(&self, place: usize) -> bool {
        self.0.get(place / 8).is_some_and(|byte| byte & 1 << (place % 8) != 0)
    }

    fn put(&mut self, place: usize) {
        self.0.resize(CODES / 8, 0);
        self.0[place / 8] |= 1 << (place % 8);
    }
}

/// Of ISO 3166-1 and what Cloudflare says besides, such as T1 for Tor.
fn place_of(code: &str) -> Option<usize> {
    let digit = |byte: &u8| (*byte as char).to_digit(36).filter(|_| !byte.is_ascii_lowercase());
    match code.as_bytes() {
        [first, second] => Some((digit(first)? * 36 + digit(second)?) as usize),
        _ => None,
    }
}

/// A country that came up lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Fresh {
    code: String,
    /// Hour since when.
    since: i64,
    /// Its calls since, and those from anywhere.
    calls: u32,
    all: u32,
}

/// Which countries were seen, how many calls, and how often a new country comes up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Places {
    /// Seen in this span of [`TURN`] days, and in the one before.
    known: Codes,
    older: Codes,
    fresh: Vec<Fresh>,
    day: i64,
    /// Days known.
    age: u32,
    today: u32,
    /// Calls up to yesterday, days, and countries that came up after the first day; decayed.
    total: f32,
    days: f32,
    news: f32,
}

/// A country that came up, and with how many calls.
pub(super) struct News {
    pub(super) code: String,
    pub(super) expected: f64,
    pub(super) seen: f64,
    pub(super) surprise: f64,
    pub(super) since_hour: i64,
}

impl Places {
    fn turn(&mut self, day: i64) {
        if self.day == day || self.days == 0.0 {
            (self.day, self.days) = (day, self.days.max(1.0));
            return;
        }
        let left = LEFT.powf(day.abs_diff(self.day).min(10_000) as f64);
        self.total = keep((f64::from(self.total) + f64::from(self.today)) * left);
        self.days = keep(f64::from(self.days) * left + 1.0);
        self.news = keep(f64::from(self.news) * left);
        self.fresh.retain(|fresh| day.saturating_mul(24).abs_diff(fresh.since) <= WATCHED);
        self.age = self.age.saturating_add(1);
        (self.day, self.today) = (day, 0);
        if self.age.is_multiple_of(TURN) {
            self.older = std::mem::take(&mut self.known);
        }
    }

    /// Adds calls by country. A country that never came up is news once its calls are too many for a passing visitor: new
    /// ones come up at ν a day, and that one then brings k calls or more of the n since is given `(n/(N+n))^((k−1)/D)`, as in a
    /// Pólya urn that holds N calls of others (Blackwell & MacQueen 1973), where D calls come together. Quiet until
    /// `least_days` are known.
    pub(super) fn add(
        &mut self,
        countries: &[(String, u64)],
        hour: i64,
        clusters: impl Fn() -> f64,
        least_days: u32,
        least_surprise: f64,
    ) -> Vec<News> {
        self.turn(hour.div_euclid(24));
        let all = whole(countries.iter().fold(0_u64, |sum, (_, calls)| sum.saturating_add(*calls)));
        self.today = self.today.saturating_add(all);
        for fresh in &mut self.fresh {
            fresh.all = fresh.all.saturating_add(all);
        }
        let mut news = Vec::new();
        for (code, calls) in countries {
            let Some(place) = place_of(code).filter(|_| *calls > 0) else { continue };
            if !self.known.has(place) {
                self.known.put(place);
                if !self.older.has(place) && self.age > 0 {
                    self.news = keep(f64::from(self.news) + 1.0);
                    if self.age >= least_days && self.fresh.len() < MOST {
                        self.fresh.push(Fresh { code: code.clone(), since: hour, calls: 0, all });
                    }
                }
            }
            let Some(position) = self.fresh.iter().position(|fresh| fresh.code == *code) else { continue };
            self.fresh[position].calls = self.fresh[position].calls.saturating_add(whole(*calls));
            if let Some(told) = self.judge(&self.fresh[position], clusters().clamp(1.0, MOST_CLUSTERS))
                && told.surprise >= least_surprise
                && told.seen >= 3.0
            {
                self.fresh.swap_remove(position);
                news.push(told);
            }
        }
        news
    }

    fn judge(&self, fresh: &Fresh, clusters: f64) -> Option<News> {
        let (days, known) = (f64::from(self.days).max(1.0), f64::from(self.total));
        // This one is among those that came up.
        let rate = ((f64::from(self.news) - 1.0).max(0.0) + 0.5) / (days + 1.0);
        let (calls, all) = (f64::from(fresh.calls), f64::from(fresh.all));
        // At least a day's calls: a look at the first few would be one of many looks.
        let span = all.max(known / days).max(1.0);
        let again = ((known + span) / span).ln();
        let surprise = (calls - 1.0).max(0.0) / clusters * again - rate.ln();
        let expected = rate * all / (known + all).max(1.0);
        (calls > 0.0).then(|| News {
            code: fresh.code.clone(),
            expected,
            seen: calls,
            surprise,
            since_hour: fresh.since,
        })
    }
}
