//! What the object of a key does when a text of it was found in the open: whether it is one of its secrets, in full; what its policy
//! wants done, once for each secret; what is known of its use since.

use crate::key_object::KeyObject;
use crate::messages::{Found, FromKey};
use crate::outbox;
use crate::storage::StorageError;
use keyward::incident::{self, BASELINE_HOURS};
use keyward::leak::meet;
use keyward::life::{Actor, Event, EventKind, Step};
use keyward::record::{Stage, StoredKey};
use keyward::time::Instant;
use keyward::usage::{KEPT_HOURS, MOST_CALLS, hour_of};
use serde_json::Value;

/// Calls that are looked at one by one: those of the secrets that a key has at most.
const LISTED: u32 = 3 * MOST_CALLS as u32;
/// Findings that are looked through.
const FINDINGS: u32 = 100;

impl KeyObject {
    /// Takes what was found in. The mark of a secret, the event that tells of it and what the policy changes are stored together: a
    /// report that failed is sent again, and is then the first.
    pub(crate) fn leaked(
        &self,
        mut key: StoredKey,
        found: Vec<Found>,
        by: &Actor,
        now: Instant,
    ) -> Result<FromKey, StorageError> {
        let mut leaks = Vec::new();
        for Found { presented, brand, environment, sightings } in found {
            let same = key.record.brand == brand && key.record.environment == environment;
            let Some(position) = key.position_of(&presented).filter(|_| same) else {
                leaks.push(Value::Null);
                continue;
            };
            let mut marks: Vec<Value> = self.one("leaks")?;
            let met = meet(&mut marks, &key, position, sightings, by, now);
            if let Some(mut news) = met.news {
                if met.first {
                    news.evidence = Some(self.evidence(&key, news.suspected_at, now)?);
                }
                let event = Event { by: by.clone(), ..Step::news(&key, EventKind::LEAKED, news.told(), now) };
                self.store.transact(|| {
                    outbox::create(&self.store)?;
                    outbox::append(&self.store, &event)?;
                    if let Some(step) = &met.step {
                        self.write(&step.key, &step.event)?;
                    }
                    #[cfg(feature = "fault-injection")]
                    crate::faults::in_leak(&key.record)?;
                    self.keep_one("leaks", &marks)
                })?;
                self.unsent.set(true);
                key = met.step.map_or(key, |step| step.key);
            }
            let of = vec![("action", met.action.as_str().into()), ("incident_id", met.incident_id.into())];
            leaks.push(incident::object(of));
        }
        Ok(FromKey::Leaked { leaks })
    }

    /// How the key was used since `since`, or since the secret of that number, or else the current one, was made.
    pub(crate) fn evidence_since(
        &self,
        key: &StoredKey,
        since: Option<Instant>,
        secret: Option<u32>,
        now: Instant,
    ) -> Result<FromKey, StorageError> {
        let current = || key.secrets.iter().rev().find(|secret| secret.status == Stage::Active);
        let named = key.secrets.iter().find(|of| Some(of.number) == secret);
        let of = named.or_else(current).or_else(|| key.secrets.last());
        let made_at = of.and_then(|secret| secret.created_at).unwrap_or(key.record.created_at);
        let kept = now.plus_seconds(-3_600 * KEPT_HOURS);
        let since = since.unwrap_or(made_at).max(kept);
        let secret = of.map_or(1, |secret| secret.number);
        Ok(FromKey::Evidence { secret, since, evidence: self.evidence(key, since, now)? })
    }

    fn evidence(&self, key: &StoredKey, since: Instant, now: Instant) -> Result<Value, StorageError> {
        let end = hour_of(now) + 1;
        let tallies = self.tallies(hour_of(since) - BASELINE_HOURS, end, false)?;
        let led = self.led(hour_of(since), end, false)?;
        let (calls, findings) = (self.calls(LISTED)?, self.anomalies(FINDINGS)?);
        Ok(incident::evidence((&tallies, &led), &calls, &self.seen()?, &findings, key.record.created_at, since, now))
    }
}
