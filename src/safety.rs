//! The key-safety report of one key: what about it is less safe than it need be, and the request that mends it.
//!
//! A rule that waits for a time holds from the instant at which that time is full, as `expires_at` is the first instant
//! at which a key is no longer valid. Where a time is known only roughly it is taken for the shorter one: a finding may
//! come late, never early. A revoked key has no findings; [`SAFE_TO_REVOKE`](FindingCode::SafeToRevoke) speaks of every
//! other, the rest only of keys that can be used now or later: neither disabled nor expired.

use crate::draft;
use crate::evidence::MOST_SCOPES;
use crate::record::{Record, Status};
use crate::scope::{Needed, Scope};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Without use for this long, a key counts as unused, in days.
pub const UNUSED_DAYS: i64 = 90;
/// For this long a key must have been watched, unchanged, before what it never asked for counts as not needed, in days.
pub const WATCHED_DAYS: i64 = 30;
/// Disabled or expired for this long, a key is missed by nobody, in days.
pub const SETTLED_DAYS: i64 = 30;
/// Life that is proposed for a key that never expires, in days from now, or from `not_before` where that is later.
pub const PROPOSED_LIFE_DAYS: i64 = 365;
/// Overlap of old and new secret that is proposed for a rotation, in seconds: a week.
pub const PROPOSED_GRACE_SECONDS: u32 = 604_800;
const DAY_SECONDS: i64 = 86_400;

/// What is known of a key's use, beside its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// When it was last used, rounded down to the day (UTC); `None` where no use was seen with the secrets it has.
    pub last_used: Option<Instant>,
    /// When its current secret was made.
    pub secret_made_at: Instant,
    /// What was asked of it, as `resource:action`, whether it was granted or not; at most [`MOST_SCOPES`].
    pub scopes_asked: Vec<String>,
    /// Other environments in which a live key with the same owner and name exists.
    pub environments: Vec<String>,
    /// Since when use is recorded: what was before that is not known.
    pub observed_since: Instant,
}

/// What is unsafe about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FindingCode {
    /// It has no `expires_at`: a copy of it works until somebody revokes it.
    NeverExpires,
    /// Its secret is as old as its rotation allows, or older.
    RotationOverdue,
    /// It was used, or may have been before use was recorded, but not for [`UNUSED_DAYS`].
    Unused,
    /// It holds more than was asked of it in [`WATCHED_DAYS`] or longer.
    OverScoped,
    /// Other environments have a key with the same owner and name.
    SharedAcrossEnvironments,
    /// Disabled or expired for [`SETTLED_DAYS`], or never used in [`UNUSED_DAYS`]: nothing will miss it.
    SafeToRevoke,
}

impl FindingCode {
    /// Stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::NeverExpires => "NEVER_EXPIRES",
            Self::RotationOverdue => "ROTATION_OVERDUE",
            Self::Unused => "UNUSED",
            Self::OverScoped => "OVER_SCOPED",
            Self::SharedAcrossEnvironments => "SHARED_ACROSS_ENVIRONMENTS",
            Self::SafeToRevoke => "SAFE_TO_REVOKE",
        }
    }
}

/// How much a finding matters; in order, so that the greatest is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Tidy up when there is time.
    Low,
    /// Plan it.
    Medium,
    /// Now.
    High,
}

/// One thing that is unsafe about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub code: FindingCode,
    /// How much it matters: for a management key one step more than for another, sharing aside.
    pub severity: Severity,
    /// Why, for a human: one sentence with its numbers and dates.
    pub reason: String,
    /// What mends it.
    pub fix: Fix,
}

/// A request that mends a finding, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// `PATCH` or `POST`.
    pub method: &'static str,
    /// Path on the deployment.
    pub path: String,
    /// JSON body.
    pub body: Value,
    /// What to know before sending it: one sentence.
    pub note: &'static str,
}

/// What is unsafe about the key of `record` at `now`, the worst first.
pub fn findings(record: &Record, used: &Used, now: Instant) -> Vec<Finding> {
    if record.status == Status::Revoked {
        return vec![];
    }
    let key = Judged { record, used, now };
    let mut findings: Vec<Finding> = key.safe_to_revoke().into_iter().collect();
    if record.standing(now) == "active" {
        // Of a key that was never used there is nothing to say about its disuse but that it can go.
        let unused = if findings.is_empty() { key.unused() } else { None };
        findings.extend(
            [unused, key.rotation_overdue(), key.over_scoped(), key.never_expires(), key.shared()]
                .into_iter()
                .flatten(),
        );
    }
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity).cloned();
    [Severity::High, Severity::Medium, Severity::Low].into_iter().flat_map(of).collect()
}

/// The part of `held` that `asked` shows to be needed: it grants everything asked that `held` grants, and nothing that
/// `held` does not. `None` where that is no narrower; where nothing asked was granted, since a key that is used without
/// scopes shows nothing about them; and where `asked` is as long as it can be, since more may have been asked.
pub fn narrower(held: &[Scope], asked: &[String]) -> Option<Vec<Scope>> {
    // Else what is proposed might be more than a key may list.
    const { assert!(MOST_SCOPES <= draft::SCOPES) };
    if asked.len() >= MOST_SCOPES {
        return None;
    }
    let granted = |text: &&String| Needed::parse(text).is_ok_and(|n| held.iter().any(|scope| scope.grants(&n)));
    let mut proposed: Vec<Scope> = Vec::new();
    for scope in asked.iter().filter(granted).filter_map(|text| Scope::parse(text).ok()) {
        if let Err(at) = proposed.binary_search(&scope) {
            proposed.insert(at, scope);
        }
    }
    let is_narrower = held.iter().any(|scope| !proposed.iter().any(|proposed| proposed.covers(scope)));
    (is_narrower && !proposed.is_empty()).then_some(proposed)
}

struct Judged<'a> {
    record: &'a Record,
    used: &'a Used,
    now: Instant,
}

impl Judged<'_> {
    /// The first instant from which use of the key was possible and would have been seen.
    fn usable_since(&self) -> Instant {
        let since = self.record.created_at.max(self.used.observed_since);
        self.record.not_before.map_or(since, |start| since.max(start))
    }

    /// The instant from which no use was seen. Of secrets that are gone the evidence may be gone with them.
    fn idle_since(&self) -> Instant {
        // Somewhere in that day: at its end at the latest.
        let last = self.used.last_used.map_or(self.used.secret_made_at, |last| last.plus_seconds(DAY_SECONDS));
        self.usable_since().max(last)
    }

    /// Whole days from `since` to now; negative where that is yet to come.
    fn days_since(&self, since: Instant) -> i64 {
        (self.now.millis() - since.millis()).div_euclid(DAY_SECONDS * 1000)
    }

    fn never_expires(&self) -> Option<Finding> {
        if self.record.expires_at.is_some() {
            return None;
        }
        let start = self.record.not_before.map_or(self.now, |start| start.max(self.now));
        let expires_at = start.plus_seconds(PROPOSED_LIFE_DAYS * DAY_SECONDS);
        let reason =
            format!("made on {} without an end: a copy works until it is revoked", day(self.record.created_at));
        let note = "Any end will do that the holder knows of; replace the key before it comes.";
        Some(self.finding(
            FindingCode::NeverExpires,
            Severity::Low,
            reason,
            self.patch(json!({ "expires_at": expires_at }), note),
        ))
    }

    fn rotation_overdue(&self) -> Option<Finding> {
        let rotation_days = i64::from(self.record.rotation_days);
        let made_at = self.used.secret_made_at;
        let age = self.days_since(made_at);
        if age < rotation_days {
            return None;
        }
        let reason = format!(
            "its secret was made on {}, {age} days ago, and is to be replaced every {rotation_days}",
            day(made_at)
        );
        let body = json!({ "activate": "first_use", "grace_seconds": PROPOSED_GRACE_SECONDS });
        let note = "Both secrets verify until the overlap ends, which begins when the new one is first seen.";
        Some(self.finding(FindingCode::RotationOverdue, Severity::Medium, reason, self.post("rotations", body, note)))
    }

    fn unused(&self) -> Option<Finding> {
        let since = self.idle_since();
        let days = self.days_since(since);
        if days < UNUSED_DAYS {
            return None;
        }
        let reason = match self.used.last_used {
            Some(last) => format!("last used on {}; {days} days without use", day(last)),
            None => format!("made on {}; no use in the {days} days since {}", day(self.record.created_at), day(since)),
        };
        let note = "Disabling can be undone: if nothing breaks in a month, revoke it.";
        Some(self.finding(FindingCode::Unused, Severity::Medium, reason, self.post("disable", json!({}), note)))
    }

    fn over_scoped(&self) -> Option<Finding> {
        let since = self.usable_since().max(self.record.updated_at);
        let days = self.days_since(since);
        if self.used.last_used.is_none() || days < WATCHED_DAYS {
            return None;
        }
        let proposed = narrower(&self.record.scopes, &self.used.scopes_asked)?;
        let covered = |scope: &&Scope| proposed.iter().any(|proposed| proposed.covers(scope));
        let partly = |scope: &&Scope| proposed.iter().any(|proposed| scope.covers(proposed));
        let too_much: Vec<&Scope> = self.record.scopes.iter().filter(|scope| !covered(scope)).collect();
        let (wide, idle): (Vec<&Scope>, Vec<&Scope>) = too_much.into_iter().partition(partly);
        let idle = (!idle.is_empty()).then(|| format!("never asked for {}", list(&idle)));
        let wide = (!wide.is_empty()).then(|| format!("asked for only a part of {}", list(&wide)));
        let what: Vec<String> = idle.into_iter().chain(wide).collect();
        let reason = format!("watched for {days} days, since {}: {}", day(since), what.join("; "));
        let note = match self.record.is_management() {
            false => "A call that comes once a quarter may not have come yet: ask the holder.",
            true => "A management key also needs every scope of keyward's that the keys it makes or changes hold.",
        };
        Some(self.finding(
            FindingCode::OverScoped,
            Severity::Medium,
            reason,
            self.patch(json!({ "scopes": proposed }), note),
        ))
    }

    fn shared(&self) -> Option<Finding> {
        let Record { name, owner, environment, .. } = self.record;
        let mut others: Vec<&str> = Vec::new();
        for other in self.used.environments.iter().map(String::as_str).filter(|other| other != environment) {
            if let Err(at) = others.binary_search(&other) {
                others.insert(at, other);
            }
        }
        if others.is_empty() {
            return None;
        }
        let reason = format!(
            "{owner} has keys named {name} in {} environments: {environment}, {}",
            others.len() + 1,
            others.join(", ")
        );
        let room = draft::NAME.saturating_sub(environment.len() + 1);
        let own_name = format!("{}-{environment}", name.chars().take(room).collect::<String>());
        let fix = self.patch(
            json!({ "name": own_name }),
            "One key for each purpose and environment, named apart, can be revoked alone without looking twice.",
        );
        Some(Finding { code: FindingCode::SharedAcrossEnvironments, severity: Severity::Low, reason, fix })
    }

    fn safe_to_revoke(&self) -> Option<Finding> {
        let Record { status, created_at, updated_at, expires_at, .. } = *self.record;
        let settled = |since: &Instant| self.days_since(*since) >= SETTLED_DAYS;
        // The last change may have been another one: then it was disabled earlier still.
        let disabled = Some(updated_at).filter(|_| status == Status::Disabled).filter(settled);
        let expired = expires_at.filter(settled);
        // Before use was recorded it may have been used.
        let seen_all = self.used.last_used.is_none() && created_at >= self.used.observed_since;
        let idle = Some(self.idle_since()).filter(|since| seen_all && self.days_since(*since) >= UNUSED_DAYS);
        let (severity, reason) = if let Some(since) = disabled {
            (Severity::Low, format!("disabled and unchanged since {}, {} days ago", day(since), self.days_since(since)))
        } else if let Some(since) = expired {
            (Severity::Low, format!("expired on {}, {} days ago", day(since), self.days_since(since)))
        } else {
            let since = idle?;
            (Severity::Medium, format!("never used in the {} days since {}", self.days_since(since), day(since)))
        };
        let note = match self.record.is_management() {
            false => "Revoking is final.",
            true => "Revoking is final: leave it if it is kept for emergencies.",
        };
        let fix = self.post("revoke", json!({ "reason": reason }), note);
        Some(self.finding(FindingCode::SafeToRevoke, severity, reason, fix))
    }

    fn finding(&self, code: FindingCode, severity: Severity, reason: String, fix: Fix) -> Finding {
        let severity = match severity {
            severity if !self.record.is_management() => severity,
            Severity::Low => Severity::Medium,
            Severity::Medium | Severity::High => Severity::High,
        };
        Finding { code, severity, reason, fix }
    }

    fn patch(&self, body: Value, note: &'static str) -> Fix {
        Fix { method: "PATCH", path: format!("/v1/keys/{}", self.record.id), body, note }
    }

    fn post(&self, what: &str, body: Value, note: &'static str) -> Fix {
        Fix { method: "POST", path: format!("/v1/keys/{}/{what}", self.record.id), body, note }
    }
}

/// The UTC day of an instant: `2026-11-21`.
fn day(at: Instant) -> String {
    at.to_string().chars().take(10).collect()
}

fn list(scopes: &[&Scope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::grant_all;
    use proptest::prelude::*;

    /// Midnight, when everything below was made.
    const MADE: i64 = 1_700_006_400_000;

    /// `days` after [`MADE`].
    fn at(days: i64) -> Instant {
        Instant::from_millis(MADE).plus_seconds(days * DAY_SECONDS)
    }

    fn just_before(instant: Instant) -> Instant {
        Instant::from_millis(instant.millis() - 1)
    }

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::parse(text).unwrap()).collect()
    }

    /// A key without a flaw, if it is looked at on `today`: it expires, is used, rotated and needs all it holds.
    fn sound(today: i64) -> (Record, Used) {
        let mut record = crate::record::tests::record();
        (record.created_at, record.updated_at) = (at(0), at(0));
        record.expires_at = Some(at(10_000));
        let used = Used {
            last_used: Some(at(today)),
            secret_made_at: at(today),
            scopes_asked: vec!["calls:create".into()],
            environments: vec![],
            observed_since: at(0),
        };
        (record, used)
    }

    fn codes(record: &Record, used: &Used, now: Instant) -> Vec<FindingCode> {
        findings(record, used, now).into_iter().map(|finding| finding.code).collect()
    }

    fn only(record: &Record, used: &Used, now: Instant) -> Finding {
        let mut findings = findings(record, used, now);
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings.remove(0)
    }

    #[test]
    fn a_sound_key_has_no_findings_and_a_revoked_one_has_none_whatever_it_was() {
        let (mut record, mut used) = sound(400);
        assert_eq!(findings(&record, &used, at(400)), []);
        (record.expires_at, used.last_used, used.secret_made_at) = (None, None, at(0));
        used.environments = vec!["test".into()];
        assert_eq!(codes(&record, &used, at(400)).len(), 4);
        (record.status, record.revoked_at) = (Status::Revoked, Some(at(1)));
        assert_eq!(findings(&record, &used, at(400)), []);
    }

    #[test]
    fn a_key_without_an_end_is_found_and_a_management_key_matters_more() {
        let (mut record, used) = sound(0);
        record.expires_at = None;
        let finding = only(&record, &used, at(0));
        assert_eq!((finding.code, finding.severity), (FindingCode::NeverExpires, Severity::Low));
        assert_eq!(finding.fix.body, json!({ "expires_at": at(365) }));
        assert!(finding.reason.contains("2023-11-15"), "{}", finding.reason);
        record.not_before = Some(at(1000));
        assert_eq!(only(&record, &used, at(0)).fix.body, json!({ "expires_at": at(1365) }));
        record.scopes = scopes(&["keyward.keys:read"]);
        assert_eq!(only(&record, &used, at(0)).severity, Severity::Medium);
        record.status = Status::Disabled;
        assert_eq!(findings(&record, &used, at(0)), []);
    }

    #[test]
    fn a_secret_is_overdue_from_the_instant_its_days_are_full() {
        let (mut record, mut used) = sound(100);
        used.secret_made_at = at(10);
        assert_eq!(codes(&record, &used, just_before(at(100))), []);
        let finding = only(&record, &used, at(100));
        assert_eq!((finding.code, finding.severity), (FindingCode::RotationOverdue, Severity::Medium));
        assert_eq!(finding.reason, "its secret was made on 2023-11-25, 90 days ago, and is to be replaced every 90");
        assert_eq!((finding.fix.method, finding.fix.path.as_str()), ("POST", "/v1/keys/7Qm2ZxT0aBcD3fGh/rotations"));
        assert_eq!(finding.fix.body, json!({ "activate": "first_use", "grace_seconds": 604_800 }));
        record.rotation_days = 91;
        assert_eq!(codes(&record, &used, at(100)), []);
        record.rotation_days = 90;
        record.status = Status::Disabled;
        record.updated_at = at(99);
        assert_eq!(codes(&record, &used, at(100)), []);
    }

    #[test]
    fn a_key_is_unused_from_90_days_after_the_end_of_the_day_it_was_last_used_on() {
        let (mut record, mut used) = sound(200);
        used.last_used = Some(at(109));
        assert_eq!(codes(&record, &used, just_before(at(200))), []);
        let finding = only(&record, &used, at(200));
        assert_eq!((finding.code, finding.severity), (FindingCode::Unused, Severity::Medium));
        assert_eq!(finding.reason, "last used on 2024-03-03; 90 days without use");
        assert_eq!(finding.fix.path, "/v1/keys/7Qm2ZxT0aBcD3fGh/disable");
        // Not yet valid is not unused.
        record.not_before = Some(at(111));
        assert_eq!(codes(&record, &used, at(200)), []);
        record.not_before = None;
        record.expires_at = Some(at(200));
        assert_eq!(codes(&record, &used, at(200)), [], "expired, but not for long");
    }

    #[test]
    fn a_key_from_before_use_was_recorded_is_unused_at_most_since_then() {
        let (mut record, mut used) = sound(0);
        record.rotation_days = 1000;
        (used.last_used, used.observed_since) = (None, at(300));
        assert_eq!(codes(&record, &used, just_before(at(390))), []);
        let finding = only(&record, &used, at(390));
        assert_eq!(finding.code, FindingCode::Unused, "it may have been used before: to be tried, not safe");
        assert_eq!(finding.reason, "made on 2023-11-15; no use in the 90 days since 2024-09-10");
    }

    #[test]
    fn a_key_never_used_is_safe_to_revoke_after_90_days_and_not_called_unused_beside() {
        let (mut record, mut used) = sound(0);
        record.rotation_days = 1000;
        used.last_used = None;
        assert_eq!(codes(&record, &used, just_before(at(90))), []);
        let finding = only(&record, &used, at(90));
        assert_eq!((finding.code, finding.severity), (FindingCode::SafeToRevoke, Severity::Medium));
        assert_eq!(finding.reason, "never used in the 90 days since 2023-11-15");
        assert_eq!(finding.fix.path, "/v1/keys/7Qm2ZxT0aBcD3fGh/revoke");
        assert_eq!(finding.fix.body, json!({ "reason": finding.reason }));
        record.scopes = scopes(&["keyward.keys:read"]);
        let finding = only(&record, &used, at(90));
        assert!(finding.severity == Severity::High && finding.fix.note.contains("emergencies"));
        record.not_before = Some(at(1));
        assert_eq!(codes(&record, &used, at(90)), []);
        record.not_before = None;
        used.secret_made_at = at(1);
        assert_eq!(codes(&record, &used, at(90)), [], "the secret before it may have been used");
        assert_eq!(codes(&record, &used, at(91)), [FindingCode::SafeToRevoke]);
    }

    #[test]
    fn a_key_is_safe_to_revoke_after_30_days_disabled_or_expired() {
        let (mut record, used) = sound(100);
        (record.status, record.updated_at) = (Status::Disabled, at(100));
        assert_eq!(codes(&record, &used, just_before(at(130))), []);
        let finding = only(&record, &used, at(130));
        assert_eq!((finding.code, finding.severity), (FindingCode::SafeToRevoke, Severity::Low));
        assert_eq!(finding.reason, "disabled and unchanged since 2024-02-23, 30 days ago");
        let (mut record, used) = sound(100);
        record.expires_at = Some(at(100));
        assert_eq!(codes(&record, &used, just_before(at(130))), []);
        let finding = only(&record, &used, at(130));
        assert_eq!(finding.reason, "expired on 2024-02-23, 30 days ago");
    }

    #[test]
    fn scopes_never_asked_for_in_30_days_unchanged_are_named() {
        let (mut record, mut used) = sound(30);
        record.scopes = scopes(&["calls:create", "billing:read", "users:manage"]);
        assert_eq!(codes(&record, &used, just_before(at(30))), []);
        let finding = only(&record, &used, at(30));
        assert_eq!((finding.code, finding.severity), (FindingCode::OverScoped, Severity::Medium));
        assert_eq!(finding.reason, "watched for 30 days, since 2023-11-15: never asked for billing:read, users:manage");
        assert_eq!((finding.fix.method, finding.fix.path.as_str()), ("PATCH", "/v1/keys/7Qm2ZxT0aBcD3fGh"));
        assert_eq!(finding.fix.body, json!({ "scopes": ["calls:create"] }));
        for (updated, observed) in [(1, 0), (0, 1)] {
            (record.updated_at, used.observed_since) = (at(updated), at(observed));
            assert_eq!(codes(&record, &used, at(30)), []);
            assert_eq!(codes(&record, &used, at(31)), [FindingCode::OverScoped]);
        }
        used.last_used = None;
        assert_eq!(codes(&record, &used, at(31)), [], "never used: that is another finding");
    }

    #[test]
    fn wildcards_are_narrowed_to_what_was_asked() {
        let (mut record, mut used) = sound(30);
        record.scopes = scopes(&["calls:*", "*:read", "keyward.*:*", "mail:send"]);
        used.scopes_asked = ["keyward.keys:write", "calls:read", "calls:create", "calls:read", "bill:pay", "no scope"]
            .map(String::from)
            .into();
        let finding = only(&record, &used, at(30));
        assert_eq!(finding.severity, Severity::High);
        assert_eq!(finding.fix.body, json!({ "scopes": ["calls:create", "calls:read", "keyward.keys:write"] }));
        assert!(
            finding
                .reason
                .ends_with("never asked for mail:send; asked for only a part of calls:*, *:read, keyward.*:*")
        );
    }

    #[test]
    fn no_list_is_proposed_where_use_shows_nothing() {
        assert_eq!(narrower(&[], &["calls:create".into()]), None);
        assert_eq!(narrower(&scopes(&["calls:create"]), &[]), None);
        assert_eq!(narrower(&scopes(&["calls:create"]), &["calls:read".into()]), None, "asked, but never granted");
        assert_eq!(narrower(&scopes(&["calls:create", "calls:create"]), &["calls:create".into()]), None);
    }

    #[test]
    fn no_list_is_proposed_where_more_may_have_been_asked_than_is_kept() {
        let asked: Vec<String> = (0..MOST_SCOPES).map(|n| format!("calls:a{n}")).collect();
        let held = scopes(&["calls:*", "billing:read"]);
        assert_eq!(narrower(&held, &asked[1..]).map(|proposed| proposed.len()), Some(MOST_SCOPES - 1));
        assert_eq!(narrower(&held, &asked), None);
    }

    #[test]
    fn one_name_in_several_environments_is_told_apart() {
        let (mut record, mut used) = sound(0);
        used.environments = vec!["live".into()];
        assert_eq!(codes(&record, &used, at(0)), [], "its own is no other");
        used.environments = ["test", "staging", "live", "test"].map(String::from).into();
        let finding = only(&record, &used, at(0));
        assert_eq!((finding.code, finding.severity), (FindingCode::SharedAcrossEnvironments, Severity::Low));
        assert_eq!(finding.reason, "acme has keys named server-prod in 3 environments: live, staging, test");
        assert_eq!(finding.fix.body, json!({ "name": "server-prod-live" }));
        record.name = "é".repeat(draft::NAME);
        let name = only(&record, &used, at(0)).fix.body["name"].as_str().unwrap().to_owned();
        assert!(name.chars().count() == draft::NAME && name.ends_with("é-live"));
    }

    #[test]
    fn findings_are_json_with_the_worst_first() {
        let (mut record, mut used) = sound(0);
        (record.expires_at, used.environments) = (None, vec!["test".into()]);
        let now = at(90);
        used.last_used = Some(now);
        let json = serde_json::to_value(findings(&record, &used, now)).unwrap();
        let codes: Vec<&str> =
            json.as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect();
        assert_eq!(codes, ["ROTATION_OVERDUE", "NEVER_EXPIRES", "SHARED_ACROSS_ENVIRONMENTS"]);
        assert_eq!(codes[0], FindingCode::RotationOverdue.code());
        assert_eq!((&json[0]["severity"], &json[1]["severity"]), (&json!("medium"), &json!("low")));
        assert_eq!(json[1]["fix"]["path"], "/v1/keys/7Qm2ZxT0aBcD3fGh");
    }

    proptest! {
        #[test]
        fn a_narrower_list_grants_all_that_was_asked_and_nothing_new(
            held in proptest::collection::vec("(\\*|keyward\\.(\\*|keys|audit)|calls|bill):(\\*|read|write)", 0..6),
            asked in proptest::collection::vec("(keyward\\.(keys|audit)|calls|bill):(read|write|other)", 0..8),
        ) {
            let held: Vec<Scope> = held.iter().filter_map(|text| Scope::parse(text).ok()).collect();
            let granted = || asked.iter().map(|text| Needed::parse(text).unwrap()).filter(|n| grant_all(&held, [*n]));
            match narrower(&held, &asked) {
                Some(proposed) => {
                    prop_assert!(!proposed.is_empty());
                    prop_assert!(grant_all(&proposed, granted()));
                    prop_assert!(proposed.iter().all(|scope| held.iter().any(|held| held.covers(scope))));
                    prop_assert!(!held.iter().all(|scope| proposed.iter().any(|proposed| proposed.covers(scope))));
                    prop_assert_eq!(narrower(&proposed, &asked), None, "once is enough");
                }
                // Nothing to tell from, or each scope held is the very one asked for.
                None => {
                    let is_asked = |scope: &Scope| asked.iter().any(|text| text == scope.as_str());
                    prop_assert!(granted().next().is_none() || held.iter().all(is_asked));
                }
            }
        }

        #[test]
        fn no_instants_make_it_panic_and_the_causes_stay_apart(
            times in proptest::array::uniform7(any::<i64>()), near in any::<bool>(), disabled in any::<bool>(),
            last_used in any::<bool>(), rotation_days in any::<u32>(),
        ) {
            let [now, created, updated, expires, last, made, observed] =
                times.map(|time| if near { at(time.rem_euclid(400)) } else { Instant::from_millis(time) });
            let (mut record, mut used) = sound(0);
            (record.created_at, record.updated_at, record.expires_at) = (created, updated, Some(expires));
            record.status = if disabled { Status::Disabled } else { Status::Active };
            (used.last_used, used.secret_made_at, used.observed_since) = (last_used.then_some(last), made, observed);
            record.rotation_days = rotation_days;
            let codes = codes(&record, &used, now);
            prop_assert!(!(codes.contains(&FindingCode::Unused) && codes.contains(&FindingCode::SafeToRevoke)));
        }
    }
}
