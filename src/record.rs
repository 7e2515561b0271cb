//! What is stored of a key: its record, the digests of its secrets, and the form in which the record is shown. This is
//! also the stored JSON; `tests` below pin it, since records outlive the code that wrote them.

use crate::allowance::{Quota, RateLimit, Rules};
use crate::draft::DEFAULT_ROTATION_DAYS;
use crate::lease::Reach;
use crate::network::Range;
use crate::root::{Code, Digest, RootName};
use crate::rotation::Rotation;
use crate::scope::Scope;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where a key stands. `expired` is not a status: it is read off the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Usable, within its instants.
    Active,
    /// Refused until enabled again.
    Disabled,
    /// Refused for ever.
    Revoked,
}

/// What is done when something about the use of a key is unusual; its owner is told in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnAnomaly {
    /// Nothing more.
    #[default]
    Notify,
    /// It gets a rate limit of what is usual.
    Throttle,
    /// It is disabled.
    Disable,
    /// It is revoked.
    Revoke,
}

impl OnAnomaly {
    /// Their names.
    pub const NAMES: [&str; 4] = ["notify", "throttle", "disable", "revoke"];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Notify, Self::Throttle, Self::Disable, Self::Revoke];
        Self::NAMES.iter().zip(all).find_map(|(known, of)| (*known == name).then_some(of))
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done when a secret of a key was found in the open; its owner is told in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLeak {
    /// Nothing more.
    Notify,
    /// It is disabled.
    Disable,
    /// It is revoked: whoever found it may use it until then.
    #[default]
    Revoke,
}

impl OnLeak {
    /// Their names.
    pub const NAMES: [&str; 3] = ["notify", "disable", "revoke"];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Notify, Self::Disable, Self::Revoke];
        Self::NAMES.iter().zip(all).find_map(|(known, of)| (*known == name).then_some(of))
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A key's record. Lists that are empty do not restrict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// 16 characters of base62; never changes.
    pub id: String,
    /// Who issued it.
    pub brand: String,
    /// What it is for.
    pub environment: String,
    /// One line, up to 100 characters.
    pub name: String,
    /// Whose key it is, in the issuer's words: one line, up to 200 characters.
    pub owner: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Instant,
    /// When anything here last changed.
    pub updated_at: Instant,
    /// First instant at which it is valid.
    pub not_before: Option<Instant>,
    /// First instant at which it is no longer valid.
    pub expires_at: Option<Instant>,
    /// Address ranges a call may come from.
    pub allowed_ips: Vec<Range>,
    /// Address ranges a call may not come from, whatever is allowed.
    pub denied_ips: Vec<Range>,
    /// ISO 3166-1 alpha-2 countries a call may come from.
    pub allowed_countries: Vec<String>,
    /// Web origins a call may come from.
    pub allowed_origins: Vec<String>,
    /// Seconds, 0 to 60, for which an edge may go on with what it knows of this key.
    pub max_staleness_seconds: u32,
    /// Days after which its secret should be replaced.
    #[serde(default = "default_rotation_days")]
    pub rotation_days: u32,
    /// Token buckets. Not written where there are none, as by versions that knew none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    /// Numbers of calls in a day, a month or for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<Quota>,
    /// What is done about unusual use.
    #[serde(default, skip_serializing_if = "OnAnomaly::is_default")]
    pub on_anomaly: OnAnomaly,
    /// What is done about a leak.
    #[serde(default, skip_serializing_if = "OnLeak::is_default")]
    pub on_leak: OnLeak,
    /// The issuer's own notes.
    pub metadata: Map<String, Value>,
    /// Where it stands.
    pub status: Status,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
    /// Why, in the words of whoever revoked it.
    pub revoke_reason: Option<String>,
    /// Counts the changes, from 1.
    pub version: u64,
}

impl Record {
    /// Whether verifying needs the caller's address, country or origin.
    pub fn restricts_network(&self) -> bool {
        !(self.allowed_ips.is_empty()
            && self.denied_ips.is_empty()
            && self.allowed_countries.is_empty()
            && self.allowed_origins.is_empty())
    }

    /// What limits its calls.
    pub fn rules(&self) -> Rules<'_> {
        Rules { rate_limits: &self.rate_limits, quotas: &self.quotas }
    }

    /// Whether the key holds any of keyward's own scopes.
    pub fn is_management(&self) -> bool {
        self.scopes.iter().any(Scope::is_own)
    }

    /// `psk_live_7Qm2ZxT0aBcD3fGh_…`.
    pub fn redacted(&self) -> String {
        crate::key::redacted(&self.brand, &self.environment, &self.id)
    }

    /// The word for where the key stands at `now`: a status, or `expired`.
    pub fn standing(&self, now: Instant) -> &'static str {
        match self.status {
            Status::Revoked => "revoked",
            Status::Disabled => "disabled",
            Status::Active if self.expires_at.is_some_and(|end| now >= end) => "expired",
            Status::Active => "active",
        }
    }

    /// The record as it is answered: with its redacted text, and its standing at `now` for a status.
    pub fn shown(&self, now: Instant) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_else(|_| unreachable!("a record is plain JSON"));
        value["rate_limits"] = serde_json::to_value(&self.rate_limits).unwrap_or_default();
        value["quotas"] = serde_json::to_value(&self.quotas).unwrap_or_default();
        value["on_anomaly"] = serde_json::to_value(self.on_anomaly).unwrap_or_default();
        value["on_leak"] = serde_json::to_value(self.on_leak).unwrap_or_default();
        value["redacted"] = self.redacted().into();
        value["status"] = self.standing(now).into();
        value
    }

    /// As [`Record::shown`], with its secrets.
    pub fn shown_with(&self, secrets: &[ShownSecret], now: Instant) -> Value {
        let mut value = self.shown(now);
        value["secrets"] = serde_json::to_value(secrets).unwrap_or_else(|_| unreachable!("secrets are plain JSON"));
        value
    }
}

fn default_rotation_days() -> u32 {
    DEFAULT_ROTATION_DAYS
}

/// Where a secret stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Accepted, and waits for its first use.
    Pending,
    /// Accepted.
    #[default]
    Active,
    /// Accepted until an instant.
    Retiring,
    /// Accepted no more.
    Gone,
}

/// What is stored of one secret of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// The root secret whose pepper made the digest.
    pub root: RootName,
    /// The digest.
    pub hmac: Code,
    /// Counts the secrets of a key, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub number: u32,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "is_active")]
    pub status: Stage,
    /// First instant at which it is no longer accepted, where it is retiring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// When it was made; with the key where nothing stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Instant>,
}

fn first() -> u32 {
    1
}

fn is_first(number: &u32) -> bool {
    *number == 1
}

fn is_active(status: &Stage) -> bool {
    *status == Stage::Active
}

impl Secret {
    /// The first secret of a key.
    pub fn first(digest: Digest) -> Self {
        Self { root: digest.root, hmac: digest.hmac, number: 1, status: Stage::Active, until: None, created_at: None }
    }

    /// As [`crate::root::Peppers::find`] takes it.
    pub fn digest(&self) -> (RootName, &Code) {
        (self.root, &self.hmac)
    }

    /// Whether it verifies at `now`.
    pub fn accepted(&self, now: Instant) -> bool {
        match self.status {
            Stage::Gone => false,
            Stage::Retiring => self.until.is_none_or(|until| now < until),
            Stage::Pending | Stage::Active => true,
        }
    }

    /// What may be shown of it.
    pub fn shown(&self, record: &Record) -> ShownSecret {
        ShownSecret {
            number: self.number,
            status: self.status,
            created_at: self.created_at.unwrap_or(record.created_at),
            until: self.until,
            root: self.root,
        }
    }
}

/// A secret as it is answered and logged: nothing of its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownSecret {
    /// Counts the secrets of a key, from 1.
    pub number: u32,
    /// Where it stands.
    pub status: Stage,
    /// When it was made.
    pub created_at: Instant,
    /// First instant at which it is no longer accepted, where it is retiring.
    pub until: Option<Instant>,
    /// The root secret that its digest needs.
    pub root: RootName,
}

/// A record with its secrets and what the authority keeps beside them: what storage holds and a lease carries. Never
/// answered to a caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredKey {
    /// The record.
    pub record: Record,
    /// Its secrets, the oldest first; of those that are gone only the latest.
    pub secrets: Vec<Secret>,
    /// The end of the last lease that was longer than those granted now ([`Reach`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<Instant>,
    /// From when no edge goes on with what was before the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_by: Option<Instant>,
    /// The last rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

impl StoredKey {
    /// A key with its first secret.
    pub fn new(record: Record, digest: Digest) -> Self {
        Self { record, secrets: vec![Secret::first(digest)], horizon: None, effective_by: None, rotation: None }
    }

    /// Whether `other` is this very key: the same id and the same digests.
    pub fn has_secrets_of(&self, other: &Self) -> bool {
        self.record.id == other.record.id
            && self.secrets.len() == other.secrets.len()
            && self.secrets.iter().zip(&other.secrets).all(|(a, b)| a.root == b.root && a.hmac.equals(&b.hmac))
    }

    /// The position of the secret that has one of these digests.
    pub fn position_of(&self, presented: &[Digest]) -> Option<usize> {
        self.secrets.iter().position(|s| presented.iter().any(|d| d.root == s.root && d.hmac.equals(&s.hmac)))
    }

    /// What the authority knows of the leases that are out.
    pub fn reach(&self) -> Reach {
        Reach { staleness: self.record.max_staleness_seconds, horizon: self.horizon }
    }

    /// Its secrets as they may be shown.
    pub fn shown_secrets(&self) -> Vec<ShownSecret> {
        self.secrets.iter().map(|secret| secret.shown(&self.record)).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record() -> Record {
        Record {
            id: "7Qm2ZxT0aBcD3fGh".into(),
            brand: "psk".into(),
            environment: "live".into(),
            name: "server-prod".into(),
            owner: "acme".into(),
            scopes: vec![Scope::parse("calls:create").unwrap()],
            created_at: Instant::from_millis(1_700_000_000_000),
            updated_at: Instant::from_millis(1_700_000_000_000),
            not_before: None,
            expires_at: None,
            allowed_ips: vec![Range::parse("192.0.2.0/24").unwrap()],
            denied_ips: vec![],
            allowed_countries: vec![],
            allowed_origins: vec![],
            max_staleness_seconds: 5,
            rotation_days: 90,
            rate_limits: vec![],
            quotas: vec![],
            on_anomaly: OnAnomaly::Notify,
            on_leak: OnLeak::Revoke,
            metadata: Map::new(),
            status: Status::Active,
            revoked_at: None,
            revoke_reason: None,
            version: 1,
        }
    }

    const RECORD: &str = r#""id":"7Qm2ZxT0aBcD3fGh","brand":"psk","environment":"live","name":"server-prod","owner":"acme","scopes":["calls:create"],"created_at":"2023-11-14T22:13:20.000Z","updated_at":"2023-11-14T22:13:20.000Z","not_before":null,"expires_at":null,"allowed_ips":["192.0.2.0/24"],"denied_ips":[],"allowed_countries":[],"allowed_origins":[],"max_staleness_seconds":5,ROTATION"metadata":{},"status":"active","revoked_at":null,"revoke_reason":null,"version":1"#;
    const DIGEST: &str =
        r#""root":"01020304","hmac":"0505050505050505050505050505050505050505050505050505050505050505""#;

    #[test]
    fn the_stored_form_is_what_it_was() {
        let now = RECORD.replace("ROTATION", r#""rotation_days":90,"#);
        let stored = format!(r#"{{"record":{{{now}}},"secrets":[{{{DIGEST}}}]}}"#);
        let read: StoredKey = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.record, record());
        assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        let full = format!(
            r#"{{"record":{{{now}}},"secrets":[{{{DIGEST},"status":"retiring","until":"2023-11-15T22:13:20.000Z"}},{{{DIGEST},"number":2,"created_at":"2023-11-14T22:13:20.000Z"}}],"horizon":"2023-11-14T22:14:20.000Z","effective_by":"2023-11-14T22:14:20.000Z","rotation":{{"number":1,"status":"overlap","activate":"now","grace_seconds":86400,"quiet_seconds":3600,"started_at":"2023-11-14T22:13:20.000Z","usable_by":"2023-11-14T22:13:21.012Z","activated_at":"2023-11-14T22:13:20.000Z","ends_at":"2023-11-15T22:13:20.000Z","from":1,"to":2}}}}"#
        );
        let read: StoredKey = serde_json::from_str(&full).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), full);
    }

    #[test]
    fn what_an_earlier_version_wrote_is_read() {
        let stored = format!(r#"{{"record":{{{}}},"secrets":[{{{DIGEST}}}]}}"#, RECORD.replace("ROTATION", ""));
        let read: StoredKey = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.record, record());
        assert_eq!((read.secrets[0].number, read.secrets[0].status), (1, Stage::Active));
        // A policy that is not the default is written and read back.
        let told = stored.replace(r#""metadata":"#, r#""on_leak":"notify","metadata":"#);
        let read: StoredKey = serde_json::from_str(&told).unwrap();
        assert_eq!(read.record.on_leak, OnLeak::Notify);
        assert!(serde_json::to_string(&read).unwrap().contains(r#""on_leak":"notify""#));
        // And what a later one writes besides is no obstacle.
        let later = stored.replace(r#""secrets":"#, r#""limits":[{}],"secrets":"#);
        assert!(serde_json::from_str::<StoredKey>(&later).is_ok());
    }

    #[test]
    fn what_is_shown_has_no_digest_and_the_standing_of_the_moment() {
        let mut record = record();
        record.expires_at = Some(Instant::from_millis(1_800_000_000_000));
        let before = record.shown(Instant::from_millis(1_799_999_999_999));
        let after = record.shown(Instant::from_millis(1_800_000_000_000));
        assert_eq!((before["status"].as_str(), after["status"].as_str()), (Some("active"), Some("expired")));
        assert_eq!(before["redacted"], "psk_live_7Qm2ZxT0aBcD3fGh_…");
        assert!(before.get("secrets").is_none());
        assert_eq!((before["on_anomaly"].as_str(), before["on_leak"].as_str()), (Some("notify"), Some("revoke")));
    }
}
