//! Rotation: a key's secret is replaced under the same id. The new secret verifies beside the old one; the overlap begins at
//! once or when the new one is first seen, and ends by itself, or earlier when somebody says so and the evidence agrees.
//!
//! ```text
//!            begin                     first use, or at once            end of grace, or complete
//!   old  active ───────────── active ─────────────────────── retiring ──────────────────────────── gone
//!   new            pending ────────────────────────────────── active ───────────────────────────── active
//!                  rotation: waiting                          overlap                              completed
//! ```

use crate::evidence::Evidence;
use crate::life::{Actor, EventKind, Refusal, Step};
use crate::record::{Secret, Stage, Status, StoredKey};
use crate::root::Digest;
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// Longest overlap, in seconds: 30 days.
pub const MOST_GRACE: u64 = 30 * 86_400;
/// Overlap where none is asked for, in seconds: a day.
pub const DEFAULT_GRACE: u32 = 86_400;
/// A secret that was seen within this many seconds is in use, where the rotation does not say otherwise: a day.
pub const DEFAULT_QUIET: u32 = 86_400;

/// When the overlap begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activate {
    /// With the rotation.
    Now,
    /// When the new secret is first seen.
    #[default]
    FirstUse,
}

/// What is asked of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// When the overlap begins.
    pub activate: Activate,
    /// How long the old secret is accepted from then on, in seconds.
    pub grace_seconds: u32,
    /// A secret that was seen within this many seconds is in use.
    pub quiet_seconds: u32,
}

/// Where a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RotationStatus {
    /// The new secret was not seen yet; the old one is as good as ever.
    Waiting,
    /// Both verify; the old one until an instant.
    Overlap,
    /// Only the new one verifies.
    Completed,
    /// Only the old one verifies.
    Cancelled,
}

/// The last rotation of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Counts the rotations of a key, from 1.
    pub number: u32,
    /// Where it stands.
    pub status: RotationStatus,
    /// When the overlap begins.
    pub activate: Activate,
    /// Length of the overlap, in seconds.
    pub grace_seconds: u32,
    /// A secret that was seen within this many seconds is in use.
    pub quiet_seconds: u32,
    /// When it was begun.
    pub started_at: Instant,
    /// From this instant every edge accepts the new secret.
    pub usable_by: Instant,
    /// When the overlap began.
    pub activated_at: Option<Instant>,
    /// First instant at which the old secret is no longer accepted by whoever knows of the overlap; every edge does by the
    /// `effective_by` of the change that began it, should that be later.
    pub ends_at: Option<Instant>,
    /// Number of the old secret.
    pub from: u32,
    /// Number of the new secret.
    pub to: u32,
    /// The `Idempotency-Key` it was asked for with, and by which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_as: Option<crate::idempotency::Asked>,
}

impl Rotation {
    /// Whether both secrets may still verify.
    pub fn is_open(&self) -> bool {
        matches!(self.status, RotationStatus::Waiting | RotationStatus::Overlap)
    }
}

/// How a rotation is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The new secret stays.
    Complete,
    /// The old secret stays.
    Cancel,
}

/// Begins a rotation: `digest` is the new secret's.
///
/// # Errors
/// [`Refusal::Revoked`], or [`Refusal::InRotation`] where one is under way.
pub fn begin(
    key: &StoredKey,
    terms: Terms,
    digest: Digest,
    asked_as: Option<crate::idempotency::Asked>,
    by: &Actor,
    now: Instant,
) -> Result<Step, Refusal> {
    if key.record.status == Status::Revoked {
        return Err(Refusal::Revoked);
    }
    if key.rotation.as_ref().is_some_and(Rotation::is_open) {
        return Err(Refusal::InRotation);
    }
    let mut after = key.clone();
    // The highest number ever given: those that are gone may be forgotten, the rotation is not.
    let used = after.secrets.iter().map(|secret| secret.number).chain(key.rotation.as_ref().map(|r| r.to)).max();
    let from = current(key).map_or(1, |secret| secret.number);
    let to = used.unwrap_or(0) + 1;
    after.secrets.retain(|secret| secret.status != Stage::Gone);
    after.secrets.push(Secret {
        root: digest.root,
        hmac: digest.hmac,
        number: to,
        status: Stage::Pending,
        until: None,
        created_at: Some(now),
    });
    after.rotation = Some(Rotation {
        number: key.rotation.as_ref().map_or(1, |last| last.number + 1),
        status: RotationStatus::Waiting,
        activate: terms.activate,
        grace_seconds: terms.grace_seconds,
        quiet_seconds: terms.quiet_seconds,
        started_at: now,
        usable_by: key.reach().usable_by(now),
        activated_at: None,
        ends_at: None,
        from,
        to,
        asked_as,
    });
    if terms.activate == Activate::Now {
        activate(&mut after, now);
    }
    Ok(Step::of(key, after, EventKind::ROTATION_STARTED, by, now))
}

/// The overlap begins, because the secret of this number was seen: `None` where that changes nothing.
pub fn seen(key: &StoredKey, number: u32, now: Instant) -> Option<Step> {
    let rotation = key.rotation.as_ref()?;
    if rotation.status != RotationStatus::Waiting || rotation.to != number || key.record.status == Status::Revoked {
        return None;
    }
    let mut after = key.clone();
    activate(&mut after, now);
    Some(Step::of(key, after, EventKind::ROTATION_ACTIVATED, &Actor::keyward("first use of the new secret"), now))
}

/// When [`due`] will have something to do, if ever.
pub fn next_due(key: &StoredKey) -> Option<Instant> {
    let rotation = key.rotation.as_ref().filter(|rotation| rotation.status == RotationStatus::Overlap)?;
    rotation.ends_at.filter(|_| key.record.status != Status::Revoked)
}

/// The overlap ends by itself: `None` before its time.
pub fn due(key: &StoredKey, now: Instant) -> Option<Step> {
    next_due(key).filter(|end| *end <= now)?;
    let after = ended(key, Ending::Complete, now);
    Some(Step::of(key, after, EventKind::ROTATION_COMPLETED, &Actor::keyward("end of grace"), now))
}

/// Ends a rotation before its time; `None` where it was ended in this very way already.
///
/// # Errors
/// [`Refusal::Revoked`]; [`Refusal::NoRotation`] where none is under way; and, unless forced, [`Refusal::OldSecretInUse`] or
/// [`Refusal::NewSecretInUse`] where the secret that would go was seen within the quiet time, and
/// [`Refusal::NewSecretUnused`] where the one that would stay was never seen: its holder may not have it.
pub fn end(
    key: &StoredKey,
    ending: Ending,
    force: bool,
    evidence: &[Evidence],
    by: &Actor,
    now: Instant,
) -> Result<Option<Step>, Refusal> {
    if key.record.status == Status::Revoked {
        return Err(Refusal::Revoked);
    }
    let rotation = key.rotation.as_ref().ok_or(Refusal::NoRotation)?;
    match (rotation.status, ending) {
        (RotationStatus::Completed, Ending::Complete) | (RotationStatus::Cancelled, Ending::Cancel) => return Ok(None),
        (RotationStatus::Completed | RotationStatus::Cancelled, _) => return Err(Refusal::NoRotation),
        _ => {}
    }
    let (going, refusal, kind) = match ending {
        Ending::Complete => (rotation.from, Refusal::OldSecretInUse, EventKind::ROTATION_COMPLETED),
        Ending::Cancel => (rotation.to, Refusal::NewSecretInUse, EventKind::ROTATION_CANCELLED),
    };
    if !force {
        if in_use(key, rotation, going, evidence, now) {
            return Err(refusal);
        }
        if ending == Ending::Complete && !evidence.iter().any(|of| of.number == rotation.to) {
            return Err(Refusal::NewSecretUnused);
        }
    }
    Ok(Some(Step::of(key, ended(key, ending, now), kind, by, now)))
}

/// Seconds that edges may take to report a use beyond the lease from which they answered.
const REPORT_SECONDS: u32 = 3;

/// Whether the secret of this number was seen within the quiet time of the rotation; that is at least as long as edges may
/// take to report a use.
pub fn in_use(key: &StoredKey, rotation: &Rotation, number: u32, evidence: &[Evidence], now: Instant) -> bool {
    let quiet = rotation.quiet_seconds.max(key.record.max_staleness_seconds + REPORT_SECONDS);
    evidence.iter().filter(|of| of.number == number).any(|of| of.last_seen.plus_seconds(quiet.into()) > now)
}

/// The secret that verifies outside of any rotation.
fn current(key: &StoredKey) -> Option<&Secret> {
    key.secrets.iter().rev().find(|secret| secret.status == Stage::Active)
}

fn activate(key: &mut StoredKey, now: Instant) {
    let Some(rotation) = &mut key.rotation else { return };
    let ends_at = now.plus_seconds(rotation.grace_seconds.into());
    (rotation.status, rotation.activated_at, rotation.ends_at) = (RotationStatus::Overlap, Some(now), Some(ends_at));
    for secret in &mut key.secrets {
        if secret.number == rotation.to {
            secret.status = Stage::Active;
        } else if secret.number == rotation.from {
            (secret.status, secret.until) = (Stage::Retiring, Some(ends_at));
        }
    }
}

fn ended(key: &StoredKey, ending: Ending, now: Instant) -> StoredKey {
    let mut after = key.clone();
    let Some(rotation) = &mut after.rotation else { return after };
    let (stays, goes) = match ending {
        Ending::Complete => (rotation.to, rotation.from),
        Ending::Cancel => (rotation.from, rotation.to),
    };
    rotation.status = match ending {
        Ending::Complete => RotationStatus::Completed,
        Ending::Cancel => RotationStatus::Cancelled,
    };
    rotation.ends_at = Some(rotation.ends_at.map_or(now, |end| end.min(now)));
    for secret in &mut after.secrets {
        if secret.number == stays {
            (secret.status, secret.until) = (Stage::Active, None);
        } else if secret.number == goes {
            (secret.status, secret.until) = (Stage::Gone, None);
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::{Change, apply};
    use crate::root::{Peppers, RootSecret};
    use proptest::prelude::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_millis(1_700_000_000_000 + seconds * 1000)
    }

    fn digest(seed: u64) -> Digest {
        let peppers = Peppers::new(&RootSecret::from_hex(&"07".repeat(32)).unwrap(), []);
        let key = crate::key::Key::generate("psk", "live", None, &mut crate::key::tests::source(seed)).unwrap();
        peppers.digest(&key.parts())
    }

    fn key() -> StoredKey {
        StoredKey::new(crate::record::tests::record(), digest(1))
    }

    fn actor() -> Actor {
        Actor { key_id: "k".into(), request_id: "r".into(), address: None, country: None }
    }

    fn terms(activate: Activate, grace_seconds: u32) -> Terms {
        Terms { activate, grace_seconds, quiet_seconds: 3600 }
    }

    fn evidence(number: u32, last_seen: Instant) -> Evidence {
        Evidence { number, calls: 1, first_seen: last_seen, last_seen, addresses: vec![], countries: vec![] }
    }

    fn stages(key: &StoredKey, now: Instant) -> Vec<(u32, Stage, bool)> {
        key.secrets.iter().map(|secret| (secret.number, secret.status, secret.accepted(now))).collect()
    }

    #[test]
    fn the_overlap_begins_with_the_first_use_and_ends_by_itself() {
        let waiting = begin(&key(), terms(Activate::FirstUse, 100), digest(2), None, &actor(), at(0)).unwrap().key;
        assert_eq!(stages(&waiting, at(1)), [(1, Stage::Active, true), (2, Stage::Pending, true)]);
        assert!(seen(&waiting, 1, at(5)).is_none());
        assert!(due(&waiting, at(1_000_000)).is_none(), "what never began does not end");
        let overlap = seen(&waiting, 2, at(10)).unwrap().key;
        assert_eq!(stages(&overlap, at(109)), [(1, Stage::Retiring, true), (2, Stage::Active, true)]);
        assert_eq!(stages(&overlap, at(110))[0], (1, Stage::Retiring, false), "the bound is exclusive");
        assert!(seen(&overlap, 2, at(11)).is_none() && due(&overlap, at(109)).is_none());
        let done = due(&overlap, at(110)).unwrap();
        assert_eq!(stages(&done.key, at(110)), [(1, Stage::Gone, false), (2, Stage::Active, true)]);
        assert_eq!((done.event.kind.as_str(), &*done.event.by.key_id), ("key.rotation_completed", "keyward"));
        assert!(due(&done.key, at(111)).is_none(), "an alarm that comes twice changes nothing");
    }

    #[test]
    fn completing_is_refused_while_the_old_secret_is_in_use() {
        let overlap = begin(&key(), terms(Activate::Now, 86_400), digest(2), None, &actor(), at(0)).unwrap().key;
        let used = [evidence(1, at(100)), evidence(2, at(100))];
        let complete = |force, now| end(&overlap, Ending::Complete, force, &used, &actor(), now);
        assert_eq!(complete(false, at(3699)).unwrap_err(), Refusal::OldSecretInUse);
        assert!(complete(true, at(101)).is_ok());
        let done = complete(false, at(3700)).unwrap().unwrap().key;
        assert!(
            end(&done, Ending::Complete, false, &used, &actor(), at(3701)).unwrap().is_none(),
            "said twice, done once"
        );
        let unseen = end(&overlap, Ending::Complete, false, &used[..1], &actor(), at(3700));
        assert_eq!(unseen.unwrap_err(), Refusal::NewSecretUnused);
        assert_eq!(stages(&done, at(3700)), [(1, Stage::Gone, false), (2, Stage::Active, true)]);
        assert_eq!(end(&done, Ending::Cancel, true, &[], &actor(), at(3701)).unwrap_err(), Refusal::NoRotation);
    }

    #[test]
    fn a_quiet_time_is_never_shorter_than_reports_may_take() {
        let mut key = key();
        key.record.max_staleness_seconds = 60;
        let terms = Terms { activate: Activate::Now, grace_seconds: 86_400, quiet_seconds: 0 };
        let overlap = begin(&key, terms, digest(2), None, &actor(), at(0)).unwrap().key;
        let used = [evidence(1, at(100)), evidence(2, at(100))];
        let complete = |now| end(&overlap, Ending::Complete, false, &used, &actor(), now);
        assert_eq!(complete(at(162)).unwrap_err(), Refusal::OldSecretInUse);
        assert!(complete(at(163)).is_ok());
    }

    #[test]
    fn cancelling_restores_the_old_secret_and_is_refused_while_the_new_one_is_in_use() {
        let overlap = begin(&key(), terms(Activate::Now, 100), digest(2), None, &actor(), at(0)).unwrap().key;
        let refused = end(&overlap, Ending::Cancel, false, &[evidence(2, at(1))], &actor(), at(2));
        assert_eq!(refused.unwrap_err(), Refusal::NewSecretInUse);
        let back = end(&overlap, Ending::Cancel, false, &[evidence(1, at(1))], &actor(), at(2)).unwrap().unwrap().key;
        assert_eq!(stages(&back, at(1000)), [(1, Stage::Active, true), (2, Stage::Gone, false)]);
        let again = begin(&back, terms(Activate::Now, 100), digest(3), None, &actor(), at(2000)).unwrap().key;
        assert_eq!(stages(&again, at(2000)), [(1, Stage::Retiring, true), (3, Stage::Active, true)]);
        assert_eq!(again.rotation.unwrap().number, 2);
    }

    #[test]
    fn a_revoked_key_and_one_in_rotation_are_not_rotated() {
        let revoked = apply(&key(), &Change::Revoke { reason: None }, &actor(), at(0)).unwrap().unwrap().key;
        let rotate = |key: &StoredKey| begin(key, terms(Activate::Now, 1), digest(2), None, &actor(), at(1));
        assert_eq!(rotate(&revoked).unwrap_err(), Refusal::Revoked);
        let once = rotate(&key()).unwrap().key;
        assert_eq!(rotate(&once).unwrap_err(), Refusal::InRotation);
    }

    #[derive(Clone, Debug)]
    enum Act {
        Begin(Activate, u32),
        Seen(u32),
        Due,
        End(Ending, bool),
    }

    fn act() -> impl Strategy<Value = Act> {
        let activate = prop_oneof![Just(Activate::Now), Just(Activate::FirstUse)];
        let ending = prop_oneof![Just(Ending::Complete), Just(Ending::Cancel)];
        prop_oneof![
            (activate, 0u32..50).prop_map(|(a, grace)| Act::Begin(a, grace)),
            (1u32..6).prop_map(Act::Seen),
            Just(Act::Due),
            (ending, any::<bool>()).prop_map(|(e, force)| Act::End(e, force)),
        ]
    }

    proptest! {
        #[test]
        fn there_is_always_a_secret_that_works_and_never_more_than_two(
            acts in proptest::collection::vec((act(), 0i64..60), 0..40)
        ) {
            let (mut key, mut now, mut fresh) = (key(), 0, 2);
            for (act, step) in acts {
                now += step;
                let before = key.clone();
                let done = match act {
                    Act::Begin(activate, grace) => {
                        fresh += 1;
                        begin(&key, terms(activate, grace), digest(fresh), None, &actor(), at(now)).ok()
                    }
                    Act::Seen(number) => seen(&key, number, at(now)),
                    Act::Due => due(&key, at(now)),
                    Act::End(ending, force) => end(&key, ending, force, &[evidence(1, at(now))], &actor(), at(now)).ok().flatten(),
                };
                if let Some(step) = done {
                    prop_assert_eq!(step.event.record.version, before.record.version + 1);
                    key = step.key;
                }
                // Whoever is woken for it has something to do, once: else it would be woken for ever.
                let mut woken = key.clone();
                if let Some(instant) = next_due(&woken) {
                    woken = due(&woken, instant).unwrap().key;
                    prop_assert_eq!(next_due(&woken), None);
                }
                let revoked = apply(&key, &Change::Revoke { reason: None }, &actor(), at(now)).unwrap().unwrap().key;
                prop_assert_eq!(next_due(&revoked), None);
                let live = key.secrets.iter().filter(|secret| secret.accepted(at(now))).count();
                prop_assert!((1..=2).contains(&live), "{live} secrets verify");
                prop_assert!(key.secrets.len() <= 3);
                let active = key.secrets.iter().filter(|secret| secret.status == Stage::Active).count();
                prop_assert_eq!(active, 1);
                let mut numbers: Vec<u32> = key.secrets.iter().map(|secret| secret.number).collect();
                numbers.dedup();
                prop_assert_eq!(numbers.len(), key.secrets.len());
            }
        }
    }
}
