//! What is stored of a key: its record, the digests of its secrets, and the form in which the record is shown. This is
//! also the stored JSON; `tests` below pin it, since records outlive the code that wrote them.

use crate::network::Range;
use crate::root::Digest;
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
        value["redacted"] = self.redacted().into();
        value["status"] = self.standing(now).into();
        value
    }
}

/// A record with the digests of its secrets: what storage keeps and a lease carries. Never answered to a caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredKey {
    /// The record.
    pub record: Record,
    /// Digests of the secrets that may verify.
    pub secrets: Vec<Digest>,
}

impl StoredKey {
    /// Whether `other` is this very key: the same id and the same digests.
    pub fn has_secrets_of(&self, other: &Self) -> bool {
        self.record.id == other.record.id
            && self.secrets.len() == other.secrets.len()
            && self.secrets.iter().zip(&other.secrets).all(|(a, b)| a.same(b))
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
            metadata: Map::new(),
            status: Status::Active,
            revoked_at: None,
            revoke_reason: None,
            version: 1,
        }
    }

    #[test]
    fn the_stored_form_is_what_it_was() {
        let stored = r#"{"record":{"id":"7Qm2ZxT0aBcD3fGh","brand":"psk","environment":"live","name":"server-prod","owner":"acme","scopes":["calls:create"],"created_at":"2023-11-14T22:13:20.000Z","updated_at":"2023-11-14T22:13:20.000Z","not_before":null,"expires_at":null,"allowed_ips":["192.0.2.0/24"],"denied_ips":[],"allowed_countries":[],"allowed_origins":[],"max_staleness_seconds":5,"metadata":{},"status":"active","revoked_at":null,"revoke_reason":null,"version":1},"secrets":[{"root":"01020304","hmac":"0505050505050505050505050505050505050505050505050505050505050505"}]}"#;
        let read: StoredKey = serde_json::from_str(stored).unwrap();
        assert_eq!(read.record, record());
        assert_eq!(serde_json::to_string(&read).unwrap(), stored);
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
    }
}
