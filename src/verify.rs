//! The verdict: one order of checks, the first failure is the code. Steps 1 to 3 need no record ([`inspect`] and
//! [`crate::key::TagKeys::issued`]), the rest are [`judge`].

use crate::allowance::Denied;
use crate::key::KeyText;
use crate::network::address_allowed;
use crate::record::{Secret, Status, StoredKey};
use crate::root::Peppers;
use crate::scope::{Needed, grant_all};
use crate::time::Instant;
use std::net::IpAddr;

/// The outcome of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Everything holds.
    Valid,
    /// No key text: length, alphabet, brand or check digits.
    Malformed,
    /// A key for another environment than was asked for.
    EnvironmentMismatch,
    /// Never issued here, or the secret is wrong.
    NotFound,
    /// Revoked, for ever.
    Revoked,
    /// Disabled, for now.
    Disabled,
    /// Before its `not_before`.
    NotYetValid,
    /// At or after its `expires_at`.
    Expired,
    /// The key is good, this secret of it was replaced.
    RotatedOut,
    /// From an address that its ranges exclude, or an unknown one.
    IpNotAllowed,
    /// From a country that is not listed, or an unknown one.
    CountryNotAllowed,
    /// From an origin that is not listed, or none.
    OriginNotAllowed,
    /// It does not hold a scope that is needed.
    InsufficientScope,
    /// Of a rate limit it has nothing left for now.
    RateLimited,
    /// Of a quota it has nothing left.
    QuotaExceeded,
    /// The authority could not be reached within the bound.
    Unavailable,
}

impl Code {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 16] = [
        Self::Valid,
        Self::Malformed,
        Self::EnvironmentMismatch,
        Self::NotFound,
        Self::Revoked,
        Self::Disabled,
        Self::NotYetValid,
        Self::Expired,
        Self::RotatedOut,
        Self::IpNotAllowed,
        Self::CountryNotAllowed,
        Self::OriginNotAllowed,
        Self::InsufficientScope,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::Unavailable,
    ];

    /// The code of a call that a limit does not admit.
    pub fn of_limit(denied: &Denied) -> Self {
        if denied.quota { Self::QuotaExceeded } else { Self::RateLimited }
    }

    /// The code of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Malformed => "MALFORMED",
            Self::EnvironmentMismatch => "ENVIRONMENT_MISMATCH",
            Self::NotFound => "NOT_FOUND",
            Self::Revoked => "REVOKED",
            Self::Disabled => "DISABLED",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::Expired => "EXPIRED",
            Self::RotatedOut => "ROTATED_OUT",
            Self::IpNotAllowed => "IP_NOT_ALLOWED",
            Self::CountryNotAllowed => "COUNTRY_NOT_ALLOWED",
            Self::OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
            Self::InsufficientScope => "INSUFFICIENT_SCOPE",
            Self::RateLimited => "RATE_LIMITED",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// What is known of a request besides the key text. What is unknown is `None`; it fails wherever it is restricted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The environment that the caller insists on.
    pub environment: Option<&'a str>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The client's country, ISO 3166-1 alpha-2.
    pub country: Option<&'a str>,
    /// The client's web origin.
    pub origin: Option<&'a str>,
    /// The scopes that the request needs; all of them.
    pub needed: &'a [Needed<'a>],
}

/// Steps 1 and 2: the shape of the text and the environment asked for. No record, no tag.
///
/// # Errors
/// [`Code::Malformed`] or [`Code::EnvironmentMismatch`].
pub fn inspect<'k>(text: &'k str, brand: &str, environment: Option<&str>) -> Result<KeyText<'k>, Code> {
    let key = KeyText::parse(text, Some(brand)).map_err(|_| Code::Malformed)?;
    match environment {
        Some(asked) if asked != key.environment => Err(Code::EnvironmentMismatch),
        _ => Ok(key),
    }
}

/// The outcome of steps 4 to 9, and the position of the secret that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The code.
    pub code: Code,
    /// The position in [`StoredKey::secrets`] of the secret that was presented; `None` where it is none of them.
    pub secret: Option<usize>,
}

/// Steps 4 to 9 for a key that passed the first three: what the record, or its absence, makes of it.
pub fn judge(
    key: &KeyText<'_>,
    facts: &Facts<'_>,
    stored: Option<&StoredKey>,
    peppers: &Peppers,
    now: Instant,
) -> Judged {
    const UNKNOWN: Judged = Judged { code: Code::NotFound, secret: None };
    let Some(stored) = stored else { return UNKNOWN };
    let record = &stored.record;
    if record.id != key.id || record.brand != key.brand || record.environment != key.environment {
        return UNKNOWN;
    }
    match peppers.find(key, stored.secrets.iter().map(Secret::digest)) {
        None => UNKNOWN,
        Some(position) => Judged { code: weigh(stored, position, facts, now), secret: Some(position) },
    }
}

/// Steps 5 to 9 for a caller who presented the secret at `position`.
pub fn weigh(stored: &StoredKey, position: usize, facts: &Facts<'_>, now: Instant) -> Code {
    let StoredKey { record, secrets, .. } = stored;
    match record.status {
        Status::Revoked => return Code::Revoked,
        Status::Disabled => return Code::Disabled,
        Status::Active => {}
    }
    if record.not_before.is_some_and(|start| now < start) {
        return Code::NotYetValid;
    }
    if record.expires_at.is_some_and(|end| now >= end) {
        return Code::Expired;
    }
    if !secrets.get(position).is_some_and(|secret| secret.accepted(now)) {
        return Code::RotatedOut;
    }
    if !address_allowed(facts.address, &record.allowed_ips, &record.denied_ips) {
        return Code::IpNotAllowed;
    }
    if !listed(facts.country, &record.allowed_countries) {
        return Code::CountryNotAllowed;
    }
    if !listed(facts.origin, &record.allowed_origins) {
        return Code::OriginNotAllowed;
    }
    if !grant_all(&record.scopes, facts.needed.iter().copied()) {
        return Code::InsufficientScope;
    }
    Code::Valid
}

fn listed(value: Option<&str>, list: &[String]) -> bool {
    list.is_empty() || value.is_some_and(|v| list.iter().any(|entry| entry == v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::to_hex;
    use crate::key::Key;
    use crate::network::Range;
    use crate::record::Stage;
    use crate::root::RootSecret;

    const NOW: Instant = Instant::EPOCH;

    fn peppers() -> Peppers {
        Peppers::new(&RootSecret::from_hex(&to_hex(&[7; 32])).unwrap(), [])
    }

    fn keys() -> (Key, Key) {
        let mut fill = crate::key::tests::source(1);
        let mut make = || Key::generate("psk", "live", None, &mut fill).unwrap();
        (make(), make())
    }

    fn stored(key: &Key) -> StoredKey {
        let mut record = crate::record::tests::record();
        record.id = key.parts().id.into();
        record.allowed_ips = vec![];
        StoredKey::new(record, peppers().digest(&key.parts()))
    }

    fn verdict(change: impl FnOnce(&mut StoredKey, &mut Facts<'_>)) -> Code {
        let (key, _) = keys();
        let mut stored = stored(&key);
        let mut facts = Facts::default();
        change(&mut stored, &mut facts);
        judge(&key.parts(), &facts, Some(&stored), &peppers(), NOW).code
    }

    #[test]
    fn the_first_failure_in_the_order_of_checks_is_the_code() {
        // Each line breaks one thing more than the line after it, from the last check to the first.
        let ip = |s: &mut StoredKey| s.record.allowed_ips = vec![Range::parse("192.0.2.0/24").unwrap()];
        let country = |s: &mut StoredKey| s.record.allowed_countries = vec!["DE".into()];
        let origin = |s: &mut StoredKey| s.record.allowed_origins = vec!["https://shop.example".into()];
        assert_eq!(verdict(|_, _| ()), Code::Valid);
        assert_eq!(verdict(|s, _| origin(s)), Code::OriginNotAllowed);
        assert_eq!(
            verdict(|s, _| {
                origin(s);
                country(s)
            }),
            Code::CountryNotAllowed
        );
        assert_eq!(
            verdict(|s, _| {
                origin(s);
                country(s);
                ip(s)
            }),
            Code::IpNotAllowed
        );
        assert_eq!(
            verdict(|s, _| {
                ip(s);
                s.record.expires_at = Some(NOW)
            }),
            Code::Expired
        );
        assert_eq!(
            verdict(|s, _| {
                s.record.expires_at = Some(NOW);
                s.record.not_before = Some(NOW.plus_seconds(1))
            }),
            Code::NotYetValid
        );
        assert_eq!(
            verdict(|s, _| {
                s.record.expires_at = Some(NOW);
                s.record.status = Status::Disabled
            }),
            Code::Disabled
        );
        assert_eq!(
            verdict(|s, _| {
                ip(s);
                s.secrets[0].status = Stage::Gone
            }),
            Code::RotatedOut
        );
        assert_eq!(
            verdict(|s, _| {
                s.record.expires_at = Some(NOW);
                s.secrets[0].status = Stage::Gone
            }),
            Code::Expired
        );
        assert_eq!(verdict(|s, _| s.record.status = Status::Revoked), Code::Revoked);
        assert_eq!(
            verdict(|s, _| {
                s.record.status = Status::Revoked;
                s.secrets.clear()
            }),
            Code::NotFound
        );
        assert_eq!(verdict(|s, _| s.record.environment = "test".into()), Code::NotFound);
        assert_eq!(verdict(|s, _| s.record.brand = "abc".into()), Code::NotFound);
    }

    #[test]
    fn what_is_listed_passes() {
        let verdict = verdict(|s, f| {
            s.record.allowed_ips = vec![Range::parse("192.0.2.0/24").unwrap()];
            s.record.allowed_countries = vec!["DE".into()];
            s.record.allowed_origins = vec!["https://shop.example".into()];
            f.address = Some("192.0.2.9".parse().unwrap());
            f.country = Some("DE");
            f.origin = Some("https://shop.example");
        });
        assert_eq!(verdict, Code::Valid);
    }

    #[test]
    fn a_needed_scope_must_be_held() {
        let (key, _) = keys();
        let stored = stored(&key);
        for (needed, code) in [("calls:create", Code::Valid), ("calls:read", Code::InsufficientScope)] {
            let needed = [Needed::parse(needed).unwrap()];
            let facts = Facts { needed: &needed, ..Facts::default() };
            assert_eq!(judge(&key.parts(), &facts, Some(&stored), &peppers(), NOW).code, code);
        }
    }

    #[test]
    fn the_bounds_of_time_are_inclusive_at_the_start_and_exclusive_at_the_end() {
        let later = NOW.plus_seconds(1);
        let at = |instant: Instant| {
            let (key, _) = keys();
            let mut stored = stored(&key);
            (stored.record.not_before, stored.record.expires_at) = (Some(NOW), Some(later));
            judge(&key.parts(), &Facts::default(), Some(&stored), &peppers(), instant).code
        };
        assert_eq!(at(Instant::from_millis(NOW.millis() - 1)), Code::NotYetValid);
        assert_eq!(at(NOW), Code::Valid);
        assert_eq!(at(Instant::from_millis(later.millis() - 1)), Code::Valid);
        assert_eq!(at(later), Code::Expired);
    }

    #[test]
    fn a_retiring_secret_is_good_until_its_instant_and_not_at_it() {
        let at = |millis: i64| {
            let (key, _) = keys();
            let mut stored = stored(&key);
            (stored.secrets[0].status, stored.secrets[0].until) = (Stage::Retiring, Some(NOW));
            judge(&key.parts(), &Facts::default(), Some(&stored), &peppers(), NOW.plus_millis(millis)).code
        };
        assert_eq!((at(-1), at(0)), (Code::Valid, Code::RotatedOut));
    }

    #[test]
    fn another_secret_under_the_same_id_is_not_found_whatever_the_record_says() {
        let (key, other) = keys();
        let mut record = stored(&key);
        record.record.status = Status::Revoked;
        let twin = KeyText { secret: other.parts().secret, ..key.parts() };
        assert_eq!(judge(&twin, &Facts::default(), Some(&record), &peppers(), NOW).code, Code::NotFound);
        assert_eq!(judge(&key.parts(), &Facts::default(), None, &peppers(), NOW).code, Code::NotFound);
    }

    #[test]
    fn inspection_needs_no_record() {
        let (key, _) = keys();
        assert!(inspect(key.expose(), "psk", Some("live")).is_ok());
        assert_eq!(inspect(key.expose(), "psk", Some("test")).unwrap_err(), Code::EnvironmentMismatch);
        assert_eq!(inspect(key.expose(), "abc", None).unwrap_err(), Code::Malformed);
        assert_eq!(inspect("", "psk", None).unwrap_err(), Code::Malformed);
    }
}
