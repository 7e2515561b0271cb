//! What a key's owner is told when its time comes or its quota melts: each of it once. What was told is kept as marks.

use crate::allowance::Rules;
use crate::life::EventKind;
use crate::record::{Stage, Status, StoredKey};
use crate::time::Instant;
use serde_json::{Value, json};

/// How long before its end a key's expiry is told, in seconds; of a short life, the last fifth.
pub const EXPIRING_SECONDS: i64 = 7 * 86_400;
const DAY_SECONDS: i64 = 86_400;
/// Parts of a quota, in hundredths, that are told when they are spent.
const SPENT: [u64; 2] = [80, 100];

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What it is known by, once told.
    pub mark: String,
    /// What it is.
    pub kind: EventKind,
    /// From when.
    pub at: Instant,
    /// What is told beside the key.
    pub detail: Value,
}

/// What the clock will bring of this key.
fn coming(key: &StoredKey) -> Vec<Notice> {
    let record = &key.record;
    let mut all = Vec::new();
    if record.status != Status::Active {
        return all;
    }
    if let Some(end) = record.expires_at {
        let life = (end.millis() - record.created_at.millis()) / 1_000;
        let at = end.plus_seconds(-EXPIRING_SECONDS.min(life / 5));
        let mark = format!("expiring@{}", end.millis());
        all.push(Notice { mark, kind: EventKind::EXPIRING, at, detail: json!({ "expires_at": end }) });
    }
    let standing = key.secrets.iter().filter(|secret| matches!(secret.status, Stage::Active | Stage::Pending));
    if let Some(secret) = standing.max_by_key(|secret| secret.number) {
        let made = secret.created_at.unwrap_or(record.created_at);
        let at = made.plus_seconds(i64::from(record.rotation_days) * DAY_SECONDS);
        let mark = format!("rotation_due@{}", secret.number);
        let detail = json!({"secret": secret.number, "made_at": made, "rotation_days": record.rotation_days});
        all.push(Notice { mark, kind: EventKind::ROTATION_DUE, at, detail });
    }
    all
}

/// What is to be told now.
pub fn due(key: &StoredKey, told: &[String], now: Instant) -> Vec<Notice> {
    coming(key).into_iter().filter(|notice| notice.at <= now && !told.contains(&notice.mark)).collect()
}

/// When something is to be told next.
pub fn next(key: &StoredKey, told: &[String]) -> Option<Instant> {
    coming(key).into_iter().filter(|notice| !told.contains(&notice.mark)).map(|notice| notice.at).min()
}

/// What is to be told of quotas, of which so much is spent.
pub fn quota(rules: &Rules<'_>, used: &[(String, u64)], told: &[String], now: Instant) -> Vec<Notice> {
    let mut all = Vec::new();
    for quota in rules.quotas {
        let used = used.iter().find(|(name, _)| *name == quota.name).map_or(0, |(_, used)| *used);
        let (since, end) = quota.period.around(now);
        for percent in SPENT {
            let mark = format!("quota@{}@{percent}@{}", quota.name, since.millis());
            if u128::from(used) * 100 >= u128::from(quota.limit) * u128::from(percent) && !told.contains(&mark) {
                let detail = json!({"quota": quota.name, "limit": quota.limit, "spent": used, "percent": percent, "resets_at": end});
                all.push(Notice { mark, kind: EventKind::QUOTA, at: now, detail });
            }
        }
    }
    all
}

/// Forgets marks of what can come no more, so that they stay few.
pub fn keep(key: &StoredKey, told: &mut Vec<String>, now: Instant) {
    let coming: Vec<String> = coming(key).into_iter().map(|notice| notice.mark).collect();
    let quotas = key.record.quotas.iter().flat_map(|quota| {
        SPENT.map(|percent| format!("quota@{}@{percent}@{}", quota.name, quota.period.around(now).0.millis()))
    });
    let known: Vec<String> = coming.into_iter().chain(quotas).collect();
    told.retain(|mark| known.contains(mark));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::{Period, Quota};
    use crate::root::{Peppers, RootSecret};

    const DAY: i64 = 86_400_000;

    fn key(life_days: Option<i64>) -> StoredKey {
        let peppers = Peppers::new(&RootSecret::from_hex(&"07".repeat(32)).unwrap(), []);
        let key = crate::key::Key::generate("psk", "live", None, &mut crate::key::tests::source(1)).unwrap();
        let mut record = crate::record::tests::record();
        record.expires_at = life_days.map(|days| record.created_at.plus_millis(days * DAY));
        StoredKey::new(record, peppers.digest(&key.parts()))
    }

    fn days(key: &StoredKey, days: i64) -> Instant {
        key.record.created_at.plus_millis(days * DAY)
    }

    fn kinds(notices: &[Notice]) -> Vec<&str> {
        notices.iter().map(|notice| notice.kind.as_str()).collect()
    }

    #[test]
    fn each_is_told_once_when_its_time_has_come() {
        let key = key(Some(100));
        assert_eq!(next(&key, &[]), Some(days(&key, 90)));
        assert!(due(&key, &[], days(&key, 90).plus_millis(-1)).is_empty());
        let mut told: Vec<String> = Vec::new();
        for (day, expected) in [(90, vec!["key.rotation_due"]), (92, vec![]), (93, vec!["key.expiring"]), (99, vec![])]
        {
            let notices = due(&key, &told, days(&key, day));
            assert_eq!(kinds(&notices), expected, "day {day}");
            told.extend(notices.into_iter().map(|notice| notice.mark));
            keep(&key, &mut told, days(&key, day));
        }
        assert_eq!((told.len(), next(&key, &told)), (2, None));
        let mut later = key.clone();
        later.record.expires_at = Some(days(&key, 200));
        assert_eq!(kinds(&due(&later, &told, days(&key, 193))), ["key.expiring"], "another end is told anew");
        later.record.status = Status::Disabled;
        assert!(due(&later, &told, days(&key, 193)).is_empty());
    }

    #[test]
    fn of_a_short_life_the_last_fifth_is_told() {
        let key = key(Some(5));
        assert_eq!(next(&key, &[]), Some(days(&key, 4)));
    }

    #[test]
    fn quotas_are_told_at_four_fifths_and_at_their_end_and_again_in_the_next_period() {
        let mut key = key(None);
        key.record.quotas = vec![Quota { name: "daily".to_owned(), limit: 10, period: Period::Day }];
        let mut told = Vec::new();
        let mut tell = |used: u64, now: Instant| {
            let notices = quota(&key.record.rules(), &[("daily".to_owned(), used)], &told, now);
            let percents: Vec<u64> = notices.iter().map(|of| of.detail["percent"].as_u64().unwrap()).collect();
            told.extend(notices.into_iter().map(|notice| notice.mark));
            keep(&key, &mut told, now);
            percents
        };
        let now = days(&key, 0);
        assert!(tell(7, now).is_empty());
        assert_eq!(tell(8, now), [80]);
        assert!(tell(9, now).is_empty());
        assert_eq!(tell(10, now), [100]);
        assert!(tell(10, now).is_empty());
        assert_eq!(tell(10, days(&key, 1)), [80, 100]);
    }
}
