//! The life of a key: `active ⇄ disabled`, either → `revoked`, which is final; and the form that every change takes. A change
//! is one [`Step`]: the key after it and the event that tells of it, written in one transaction by whoever stores them, and
//! the instant from which no edge goes on with what was before.

use crate::evidence::Use;
use crate::lease::Reach;
use crate::record::{Record, ShownSecret, Status, StoredKey};
use crate::scope::{Scope, beyond};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// A change of status that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Refuse it until further notice.
    Disable,
    /// Accept it again.
    Enable,
    /// Refuse it for ever.
    Revoke {
        /// Why, in the words of whoever revokes: one line.
        reason: Option<String>,
    },
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The key was revoked, and that is final.
    Revoked,
    /// A rotation is under way already.
    InRotation,
    /// No rotation is under way.
    NoRotation,
    /// The secret that would go was seen within the quiet time.
    OldSecretInUse,
    /// The secret that would go was seen within the quiet time.
    NewSecretInUse,
    /// The secret that would stay was never seen.
    NewSecretUnused,
}

/// Who asked for a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Id of the key that authorised it; `keyward` for what happens by itself.
    pub key_id: String,
    /// Request under which it came, or what made it happen.
    pub request_id: String,
    /// The address it came from, as the platform knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The country it came from, as the platform knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl Actor {
    /// keyward itself.
    pub fn keyward(because: &str) -> Self {
        Self { key_id: "keyward".to_owned(), request_id: because.to_owned(), address: None, country: None }
    }
}

/// What happened to a key. Open: a version of the Worker passes on what only a later one knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKind(Cow<'static, str>);

impl EventKind {
    /// It was made.
    pub const CREATED: Self = Self(Cow::Borrowed("key.created"));
    /// It was taken over from another system.
    pub const IMPORTED: Self = Self(Cow::Borrowed("key.imported"));
    /// Its name, scopes, restrictions or policies were changed.
    pub const UPDATED: Self = Self(Cow::Borrowed("key.updated"));
    /// It was disabled.
    pub const DISABLED: Self = Self(Cow::Borrowed("key.disabled"));
    /// It was enabled again.
    pub const ENABLED: Self = Self(Cow::Borrowed("key.enabled"));
    /// It was revoked.
    pub const REVOKED: Self = Self(Cow::Borrowed("key.revoked"));
    /// A second secret was made.
    pub const ROTATION_STARTED: Self = Self(Cow::Borrowed("key.rotation_started"));
    /// The second secret was seen; the first one's end is set.
    pub const ROTATION_ACTIVATED: Self = Self(Cow::Borrowed("key.rotation_activated"));
    /// The first secret is gone.
    pub const ROTATION_COMPLETED: Self = Self(Cow::Borrowed("key.rotation_completed"));
    /// The second secret is gone.
    pub const ROTATION_CANCELLED: Self = Self(Cow::Borrowed("key.rotation_cancelled"));
    /// Storage was older than the log, and was brought up to it.
    pub const RESTORED: Self = Self(Cow::Borrowed("key.restored"));
    /// A digest was made anew under the current root secret. For the index, not for the log: nobody changed anything.
    pub const REDIGESTED: Self = Self(Cow::Borrowed("key.redigested"));
    /// It was used, for the first time on that day or for a new scope. For the index, not for the log.
    pub const USED: Self = Self(Cow::Borrowed("key.used"));
    /// It ends before long. For whoever wants to be told, as what follows: nobody changed anything.
    pub const EXPIRING: Self = Self(Cow::Borrowed("key.expiring"));
    /// Its secret is to be replaced.
    pub const ROTATION_DUE: Self = Self(Cow::Borrowed("key.rotation_due"));
    /// A part of a quota is spent.
    pub const QUOTA: Self = Self(Cow::Borrowed("key.quota"));
    /// Something about its use is unusual.
    pub const ANOMALY: Self = Self(Cow::Borrowed("key.anomaly"));
    /// A secret of it was found in the open. What its policy does about it is a change of its own.
    pub const LEAKED: Self = Self(Cow::Borrowed("key.leaked"));

    /// The stable name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it belongs into the log.
    pub fn is_logged(&self) -> bool {
        !self.is_news() && *self != Self::REDIGESTED && *self != Self::USED
    }

    /// Whether it is told to whoever wants to know, though nothing was changed.
    pub fn is_news(&self) -> bool {
        [Self::EXPIRING, Self::ROTATION_DUE, Self::QUOTA, Self::ANOMALY, Self::LEAKED].contains(self)
    }
}

/// One line of a key's history, with the record as it stood after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, on the authority's clock.
    pub at: Instant,
    /// By whom.
    pub by: Actor,
    /// The record after it.
    pub record: Record,
    /// What changed, by field: `{"before", "after"}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub changes: Map<String, Value>,
    /// The secrets after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<ShownSecret>,
    /// What is known of its use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Use>,
    /// What else there is to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

impl Event {
    /// The line as the log keeps it.
    pub fn entry(&self) -> Value {
        let mut entry = json!({
            "kind": self.kind, "at": self.at, "key_id": self.record.id, "version": self.record.version,
            "by": self.by.key_id, "request_id": self.by.request_id,
            "address": self.by.address, "country": self.by.country, "changes": self.changes,
        });
        if let Some(reason) = &self.record.revoke_reason {
            entry["reason"] = reason.as_str().into();
        }
        entry
    }
}

/// One change of a key: to be stored whole or not at all.
#[derive(Clone, Debug)]
pub struct Step {
    /// The key after it. Its `effective_by` is the instant from which no edge goes on with what was before.
    pub key: StoredKey,
    /// The event that tells of it.
    pub event: Event,
}

impl Step {
    /// The change from `before` to `after`: counts the version, sets the clock and the bound, and writes down what differs.
    pub fn of(before: &StoredKey, mut after: StoredKey, kind: EventKind, by: &Actor, now: Instant) -> Self {
        after.record.version = before.record.version + 1;
        // A clock that steps back must not make history run backwards.
        after.record.updated_at = now.max(before.record.updated_at);
        let reach = before.reach();
        after.effective_by = Some(reach.effective_by(now));
        if after.record.max_staleness_seconds != before.record.max_staleness_seconds {
            after.horizon = reach.with_staleness(after.record.max_staleness_seconds, now).horizon;
        }
        let changes = differences(&facets(before), &facets(&after));
        Self { event: Self::event(&after, kind, by, now, changes), key: after }
    }

    /// A new key.
    pub fn new(mut key: StoredKey, kind: EventKind, by: &Actor, now: Instant) -> Self {
        (key.record.created_at, key.record.updated_at) = (now, now);
        let changes = differences(&Map::new(), &facets(&key));
        Self { event: Self::event(&key, kind, by, now, changes), key }
    }

    fn event(key: &StoredKey, kind: EventKind, by: &Actor, now: Instant, changes: Map<String, Value>) -> Event {
        let at = now.max(key.record.updated_at);
        let (record, secrets) = (key.record.clone(), key.shown_secrets());
        Event { kind, at, by: by.clone(), record, changes, secrets, used: None, detail: None }
    }

    /// What whoever wants to know is told of a key that did not change.
    pub fn news(key: &StoredKey, kind: EventKind, detail: Value, now: Instant) -> Event {
        Event { detail: Some(detail), ..Self::event(key, kind, &Actor::keyward("watch"), now, Map::new()) }
    }

    /// What the index should know of a key that did not change.
    pub fn note(key: &StoredKey, kind: EventKind, used: Option<Use>, now: Instant) -> Event {
        let by = Actor::keyward("use");
        Event { used, ..Self::event(key, kind, &by, now, Map::new()) }
    }
}

/// What the log compares: the record and the secrets, without what every change moves.
fn facets(key: &StoredKey) -> Map<String, Value> {
    let mut all = match serde_json::to_value(&key.record) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("a record is a JSON object"),
    };
    for moved in ["version", "updated_at", "created_at"] {
        all.remove(moved);
    }
    let secrets = key
        .secrets
        .iter()
        .map(|secret| json!({"number": secret.number, "status": secret.status, "until": secret.until}));
    all.insert("secrets".into(), secrets.collect());
    all
}

/// What differs, by field: `{"before", "after"}`.
pub fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    // Of a new key, what it was not given is not worth a line.
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let differs = |field: &String, value: &Value| match before.get(field) {
        Some(known) => known != value,
        None => !empty(value),
    };
    let differing = after.iter().filter(|(field, value)| differs(field, value));
    differing
        .map(|(field, value)| {
            (field.clone(), json!({"before": before.get(field).cloned().unwrap_or_default(), "after": value}))
        })
        .collect()
}

/// The first of keyward's scopes that stands in the way of a write: whoever writes to a key must hold all of them that the
/// key holds, since with the key comes its power.
pub fn beyond_key<'r>(held: &[Scope], record: &'r Record) -> Option<&'r Scope> {
    beyond(held, &record.scopes)
}

/// As [`beyond_key`], for a change of status: taking power away needs none of it.
pub fn beyond_reach<'r>(held: &[Scope], record: &'r Record, change: &Change) -> Option<&'r Scope> {
    match change {
        Change::Enable => beyond_key(held, record),
        Change::Disable | Change::Revoke { .. } => None,
    }
}

/// The change of status, or `None` where the key already stands as asked.
///
/// # Errors
/// [`Refusal::Revoked`] where the key's life does not allow it.
pub fn apply(key: &StoredKey, change: &Change, by: &Actor, now: Instant) -> Result<Option<Step>, Refusal> {
    let (kind, status) = match (change, key.record.status) {
        (Change::Revoke { .. }, Status::Revoked) => return Ok(None),
        (_, Status::Revoked) => return Err(Refusal::Revoked),
        (Change::Disable, Status::Disabled) | (Change::Enable, Status::Active) => return Ok(None),
        (Change::Disable, Status::Active) => (EventKind::DISABLED, Status::Disabled),
        (Change::Enable, Status::Disabled) => (EventKind::ENABLED, Status::Active),
        (Change::Revoke { .. }, _) => (EventKind::REVOKED, Status::Revoked),
    };
    let mut after = key.clone();
    after.record.status = status;
    if let Change::Revoke { reason } = change {
        after.record.revoked_at = Some(now.max(key.record.updated_at));
        after.record.revoke_reason = reason.clone();
    }
    Ok(Some(Step::of(key, after, kind, by, now)))
}

/// The change of the record to `record`, or `None` where nothing differs.
///
/// # Errors
/// [`Refusal::Revoked`].
pub fn update(key: &StoredKey, record: Record, by: &Actor, now: Instant) -> Result<Option<Step>, Refusal> {
    if key.record.status == Status::Revoked {
        return Err(Refusal::Revoked);
    }
    if record == key.record {
        return Ok(None);
    }
    Ok(Some(Step::of(key, StoredKey { record, ..key.clone() }, EventKind::UPDATED, by, now)))
}

/// The change that tells the log that a key's storage was set back to before what the log knows; a revocation is made good
/// again, since a restore of storage must not bring a revoked key back. `None` where storage is as new as the log.
pub fn restore(key: &StoredKey, logged: &Record, now: Instant) -> Option<Step> {
    let revoked = logged.status == Status::Revoked && key.record.status != Status::Revoked;
    if logged.id != key.record.id || !(revoked || logged.version > key.record.version) {
        return None;
    }
    let mut after = key.clone();
    if revoked {
        after.record.status = Status::Revoked;
        after.record.revoked_at = logged.revoked_at;
        after.record.revoke_reason = logged.revoke_reason.clone();
    }
    let mut step = Step::of(key, after, EventKind::RESTORED, &Actor::keyward("storage was older than the log"), now);
    let version = step.key.record.version.max(logged.version + 1);
    (step.key.record.version, step.event.record.version) = (version, version);
    Some(step)
}

/// From when a change holds at every edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// From this instant no edge goes on with what was before.
    pub effective_by: Instant,
    /// Whether that instant had passed when this was answered.
    pub confirmed: bool,
}

impl Settled {
    /// Of the last change of a key, at `now`.
    pub fn of(key: &StoredKey, now: Instant) -> Self {
        // A key that was never changed since it was made, or that an earlier version of this code changed.
        let effective_by = key
            .effective_by
            .unwrap_or_else(|| Reach { horizon: None, ..key.reach() }.effective_by(key.record.updated_at));
        Self { effective_by, confirmed: now > effective_by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{Peppers, RootSecret};
    use proptest::prelude::*;

    fn actor() -> Actor {
        Actor { key_id: "k".into(), request_id: "r".into(), address: None, country: None }
    }

    fn key() -> StoredKey {
        let peppers = Peppers::new(&RootSecret::from_hex(&"07".repeat(32)).unwrap(), []);
        let key = crate::key::Key::generate("psk", "live", None, &mut crate::key::tests::source(1)).unwrap();
        StoredKey::new(crate::record::tests::record(), peppers.digest(&key.parts()))
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            Just(Change::Disable),
            Just(Change::Enable),
            Just(Change::Revoke { reason: None }),
            Just(Change::Revoke { reason: Some("leaked".into()) })
        ]
    }

    proptest! {
        #[test]
        fn no_sequence_of_changes_brings_a_revoked_key_back(changes in proptest::collection::vec((change(), -5000i64..5000), 0..20)) {
            let mut key = key();
            let mut now = key.record.created_at;
            for (change, step) in changes {
                now = now.plus_millis(step);
                let before = key.clone();
                match apply(&key, &change, &actor(), now) {
                    Ok(Some(step)) => {
                        prop_assert!(before.record.status != Status::Revoked);
                        prop_assert_eq!(step.event.record.version, before.record.version + 1);
                        prop_assert!(step.event.record.updated_at >= before.record.updated_at);
                        prop_assert_eq!(&step.event.record, &step.key.record);
                        prop_assert!(step.event.changes.contains_key("status"));
                        key = step.key;
                    }
                    Ok(None) => {}
                    Err(_) => prop_assert_eq!(before.record.status, Status::Revoked),
                }
                prop_assert_eq!(key.record.status == Status::Revoked, key.record.revoked_at.is_some());
            }
        }
    }

    #[test]
    fn a_wider_key_can_be_switched_off_but_not_on() {
        let mut record = crate::record::tests::record();
        record.scopes = vec![Scope::parse("keyward.*:*").unwrap()];
        let narrow = [Scope::parse("keyward.keys:write").unwrap()];
        assert!(beyond_reach(&narrow, &record, &Change::Enable).is_some());
        assert!(beyond_reach(&record.scopes.clone(), &record, &Change::Enable).is_none());
        for change in [Change::Disable, Change::Revoke { reason: None }] {
            assert!(beyond_reach(&narrow, &record, &change).is_none());
        }
    }

    #[test]
    fn revoking_twice_keeps_the_first_bound() {
        let now = Instant::from_millis(1_700_000_100_000);
        let leaked = Change::Revoke { reason: Some("leaked".into()) };
        let revoked = apply(&key(), &leaked, &actor(), now).unwrap().unwrap().key;
        let later = now.plus_seconds(60);
        assert!(apply(&revoked, &Change::Revoke { reason: None }, &actor(), later).unwrap().is_none());
        let settled = Settled::of(&revoked, later);
        assert_eq!((revoked.record.revoked_at, settled.effective_by), (Some(now), now.plus_seconds(5)));
        assert!(settled.confirmed && !Settled::of(&revoked, now).confirmed);
    }

    #[test]
    fn a_change_counts_leases_of_the_old_length() {
        let mut long = key();
        long.record.max_staleness_seconds = 60;
        let now = Instant::from_millis(1_700_000_100_000);
        let record = Record { max_staleness_seconds: 1, ..long.record.clone() };
        let lowered = update(&long, record, &actor(), now).unwrap().unwrap();
        assert_eq!(lowered.key.effective_by, Some(now.plus_seconds(60)));
        assert_eq!(lowered.event.changes["max_staleness_seconds"], json!({"before": 60, "after": 1}));
        let revoked = apply(&lowered.key, &Change::Revoke { reason: None }, &actor(), now.plus_seconds(10));
        assert_eq!(revoked.unwrap().unwrap().key.effective_by, Some(now.plus_seconds(60)));
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let key = key();
        assert!(update(&key, key.record.clone(), &actor(), key.record.created_at).unwrap().is_none());
    }

    #[test]
    fn storage_that_is_older_than_the_log_is_said_to_be_and_learns_of_a_revocation() {
        let (key, now) = (key(), Instant::from_millis(1_700_000_100_000));
        assert!(restore(&key, &key.record, now).is_none());
        let disabled = apply(&key, &Change::Disable, &actor(), now).unwrap().unwrap().key;
        assert!(restore(&disabled, &key.record, now).is_none(), "the log may be behind");
        let back = restore(&key, &disabled.record, now).unwrap();
        assert_eq!((back.key.record.status, back.key.record.version), (Status::Active, 3));
        let revoked = apply(&disabled, &Change::Revoke { reason: None }, &actor(), now).unwrap().unwrap().key;
        let step = restore(&key, &revoked.record, now.plus_seconds(9)).unwrap();
        assert_eq!((step.key.record.status, step.key.record.version), (Status::Revoked, 4));
        assert!(restore(&step.key, &revoked.record, now).is_none());
    }

    #[test]
    fn an_event_of_an_earlier_version_is_read_and_one_of_a_later_is_passed_on() {
        let record = serde_json::to_string(&crate::record::tests::record()).unwrap();
        let text = format!(
            r#"{{"kind":"key.frozen","at":"2023-11-14T22:13:20.000Z","by":{{"key_id":"k","request_id":"r"}},"record":{record}}}"#
        );
        let event: Event = serde_json::from_str(&text).unwrap();
        assert!(event.kind.is_logged() && event.changes.is_empty());
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
}
