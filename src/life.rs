//! The life of a key: `active ⇄ disabled`, either → `revoked`, which is final. A change makes an event; both are
//! written in one transaction by whoever stores them.

use crate::record::{Record, Status};
use crate::scope::{Scope, beyond};
use crate::time::Instant;
use serde::{Deserialize, Serialize};

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
}

/// Who asked for a change: the id of a management key, and the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Id of the key that authorised it.
    pub key_id: String,
    /// Request under which it came.
    pub request_id: String,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// It was made.
    #[serde(rename = "key.created")]
    Created,
    /// It was disabled.
    #[serde(rename = "key.disabled")]
    Disabled,
    /// It was enabled again.
    #[serde(rename = "key.enabled")]
    Enabled,
    /// It was revoked.
    #[serde(rename = "key.revoked")]
    Revoked,
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
}

/// The first of keyward's scopes that stands in the way of a change: to give power back to a key, the one who does must
/// hold all of it. Taking power away needs none of it.
pub fn beyond_reach<'r>(held: &[Scope], record: &'r Record, change: &Change) -> Option<&'r Scope> {
    match change {
        Change::Enable => beyond(held, &record.scopes),
        Change::Disable | Change::Revoke { .. } => None,
    }
}

/// The record after `change` and its event, or `None` where the key already stands as asked.
///
/// # Errors
/// [`Refusal`] where the key's life does not allow it.
pub fn apply(record: &Record, change: &Change, by: &Actor, now: Instant) -> Result<Option<Event>, Refusal> {
    let (kind, status) = match (change, record.status) {
        (Change::Revoke { .. }, Status::Revoked) => return Ok(None),
        (_, Status::Revoked) => return Err(Refusal::Revoked),
        (Change::Disable, Status::Disabled) | (Change::Enable, Status::Active) => return Ok(None),
        (Change::Disable, Status::Active) => (EventKind::Disabled, Status::Disabled),
        (Change::Enable, Status::Disabled) => (EventKind::Enabled, Status::Active),
        (Change::Revoke { .. }, _) => (EventKind::Revoked, Status::Revoked),
    };
    let mut after = record.clone();
    after.status = status;
    after.version += 1;
    // A clock that steps back must not make history run backwards.
    after.updated_at = now.max(record.updated_at);
    if let Change::Revoke { reason } = change {
        after.revoked_at = Some(after.updated_at);
        after.revoke_reason = reason.clone();
    }
    Ok(Some(Event { kind, at: after.updated_at, by: by.clone(), record: after }))
}

/// What a revocation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// `revoked`.
    pub status: Status,
    /// When the authority stored it.
    pub revoked_at: Instant,
    /// From this instant no edge accepts the key.
    pub effective_by: Instant,
    /// Whether that instant had passed when this was answered.
    pub confirmed: bool,
}

impl Receipt {
    /// The receipt of a revoked record, `None` for one that is not. Every lease ends within `max_staleness_seconds` of
    /// the grant (the edge counts a shorter time from before it asked, see [`crate::edge`]), so none outlives
    /// `effective_by`.
    pub fn of(record: &Record, now: Instant) -> Option<Self> {
        let revoked_at = record.revoked_at?;
        let effective_by = revoked_at.plus_seconds(record.max_staleness_seconds.into());
        Some(Self { status: record.status, revoked_at, effective_by, confirmed: now > effective_by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn actor() -> Actor {
        Actor { key_id: "k".into(), request_id: "r".into() }
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
            let mut record = crate::record::tests::record();
            let mut now = record.created_at;
            for (change, step) in changes {
                now = Instant::from_millis(now.millis() + step);
                let before = record.clone();
                match apply(&record, &change, &actor(), now) {
                    Ok(Some(event)) => {
                        prop_assert!(before.status != Status::Revoked);
                        prop_assert_eq!(event.record.version, before.version + 1);
                        prop_assert!(event.record.updated_at >= before.updated_at);
                        record = event.record;
                    }
                    Ok(None) => {}
                    Err(Refusal::Revoked) => prop_assert_eq!(before.status, Status::Revoked),
                }
                prop_assert_eq!(record.status == Status::Revoked, record.revoked_at.is_some());
                prop_assert_eq!(Receipt::of(&record, now).is_some(), record.revoked_at.is_some());
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
    fn revoking_twice_keeps_the_first_receipt() {
        let record = crate::record::tests::record();
        let now = Instant::from_millis(1_700_000_100_000);
        let revoked =
            apply(&record, &Change::Revoke { reason: Some("leaked".into()) }, &actor(), now).unwrap().unwrap().record;
        let later = now.plus_seconds(60);
        assert_eq!(apply(&revoked, &Change::Revoke { reason: None }, &actor(), later), Ok(None));
        let receipt = Receipt::of(&revoked, later).unwrap();
        assert_eq!((receipt.revoked_at, receipt.effective_by), (now, now.plus_seconds(5)));
        assert!(receipt.confirmed && !Receipt::of(&revoked, now).unwrap().confirmed);
    }
}
