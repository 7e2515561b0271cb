//! What the object of a key watches its use for: what is unusual ([`keyward::anomaly`]), quotas that melt, and what its time
//! brings. The owner is told by events; what his policy wants done is done in the same message.

use crate::host::clock;
use crate::key_object::KeyObject;
use crate::outbox;
use crate::storage::{StorageError, bound, text};
use keyward::allowance::{Mode, RateLimit};
use keyward::anomaly::{self, Finding, Kind, Observation, Quota, State};
use keyward::life::{self, Actor, Change, EventKind, Step};
use keyward::notices::{self, Notice};
use keyward::record::{OnAnomaly, Status, StoredKey};
use keyward::time::Instant;
use keyward::usage::Usage;
use keyward::verify::Code;
use serde::Serialize;
use serde_json::{Value, json};

/// Findings that are kept.
const MOST_FINDINGS: u64 = 100;
/// Name of the rate limit that a throttled key gets.
const THROTTLE: &str = "anomaly-throttle";
/// Calls an hour that it admits at least.
const LEAST: f64 = 10.0;

impl KeyObject {
    /// Judges what an edge saw; the key, after what its policy did about it.
    pub(crate) fn watch(&self, key: StoredKey, usage: &Usage, now: Instant) -> Result<StoredKey, StorageError> {
        if usage.is_empty() {
            return Ok(key);
        }
        let calls = usage.tallies.iter().map(|of| of.calls).sum();
        let failures = usage.tallies.iter().filter(|of| of.outcome != Code::Valid.as_str()).map(|of| of.calls).sum();
        let mut countries: Vec<(String, u64)> = Vec::new();
        for of in usage.tallies.iter().filter(|of| !of.country.is_empty()) {
            match countries.iter_mut().find(|(known, _)| *known == of.country) {
                Some((_, calls)) => *calls += of.calls,
                None => countries.push((of.country.clone(), of.calls)),
            }
        }
        let (countries, destinations) = (&countries[..], &usage.ranges[..]);
        let quota = self.next_quota(&key, now)?;
        self.observe(
            key,
            &Observation { calls, failures, countries, destinations, quota, ..Observation::none(now) },
            now,
        )
    }

    /// The quota of the key that ends next.
    fn next_quota(&self, key: &StoredKey, now: Instant) -> Result<Option<Quota>, StorageError> {
        let rules = key.record.rules();
        if rules.quotas.is_empty() {
            return Ok(None);
        }
        let used = self.ledger()?.used(&rules);
        let of = |quota: &keyward::allowance::Quota| {
            let used = used.iter().find(|(name, _)| *name == quota.name).map_or(0, |(_, used)| *used);
            Some(Quota { limit: quota.limit, used, ends_at: quota.period.around(now).1? })
        };
        Ok(rules.quotas.iter().filter_map(of).min_by_key(|quota| quota.ends_at))
    }

    /// One observation: findings are kept and told, and what the policy wants is done.
    pub(crate) fn observe(
        &self,
        key: StoredKey,
        seen: &Observation<'_>,
        now: Instant,
    ) -> Result<StoredKey, StorageError> {
        let mut state: State = self.one("watch")?;
        let found = anomaly::observe(&mut state, seen);
        self.store.transact(|| self.keep_one("watch", &state))?;
        self.watch_due.set(Some(anomaly::due(&state)));
        let mut key = key;
        for finding in found {
            let acted = self.act(&key, &finding, now);
            let detail = told(&finding, acted.as_ref().map(|_| key.record.on_anomaly));
            self.tell_news(&key, EventKind::ANOMALY, detail, now)?;
            if let Some(step) = acted {
                self.write(&step.key, &step.event)?;
                key = step.key;
            }
        }
        Ok(key)
    }

    /// What the policy of the key does about a finding. Silence, bounces and a quota that melts are for its owner to judge.
    fn act(&self, key: &StoredKey, finding: &Finding, now: Instant) -> Option<Step> {
        if matches!(finding.kind, Kind::VolumeDrop | Kind::BounceRise | Kind::QuotaForecast)
            || key.record.status != Status::Active
        {
            return None;
        }
        let by = Actor::keyward("anomaly");
        let name = serde_json::to_value(finding.kind).unwrap_or_default();
        let step = match key.record.on_anomaly {
            OnAnomaly::Notify => return None,
            OnAnomaly::Disable => life::apply(key, &Change::Disable, &by, now),
            OnAnomaly::Revoke => {
                let reason = Some(format!("unusual use: {}", name.as_str().unwrap_or_default()));
                life::apply(key, &Change::Revoke { reason }, &by, now)
            }
            OnAnomaly::Throttle => {
                let mut record = key.record.clone();
                if record.rate_limits.len() == keyward::allowance::MOST_RULES
                    || record.rate_limits.iter().any(|limit| limit.name == THROTTLE)
                {
                    return None;
                }
                let usual = if finding.kind == Kind::VolumeSpike { finding.expected } else { 0.0 };
                let limit = (usual * 2.0).clamp(LEAST, 1e6) as u32;
                record.rate_limits.push(RateLimit {
                    name: THROTTLE.to_owned(),
                    limit,
                    window_seconds: 3_600,
                    burst: limit,
                    mode: Mode::Exact,
                });
                life::update(key, record, &by, now)
            }
        };
        step.ok().flatten()
    }

    /// Tells what time and quotas bring, each of it once.
    pub(crate) fn tell_due(&self, key: &StoredKey, now: Instant) -> Result<(), StorageError> {
        let mut told = self.told()?;
        let mut notices = notices::due(key, &told, now);
        let rules = key.record.rules();
        if !rules.quotas.is_empty() {
            notices.extend(notices::quota(&rules, &self.ledger()?.used(&rules), &told, now));
        }
        for Notice { mark, kind, detail, .. } in notices {
            told.push(mark);
            notices::keep(key, &mut told, now);
            self.store.transact(|| self.keep_one("told", &told))?;
            self.told_marks.replace(Some(told.clone()));
            self.tell_news(key, kind, detail, now)?;
        }
        Ok(())
    }

    /// When something is to be told, or to be looked at, next.
    pub(crate) fn next_watch(&self, key: &StoredKey) -> Result<Option<Instant>, StorageError> {
        if self.watch_due.get().is_none() {
            let state: State = self.one("watch")?;
            self.watch_due.set(Some(anomaly::due(&state)));
        }
        let told = self.told()?;
        Ok(self.watch_due.get().flatten().into_iter().chain(notices::next(key, &told)).min())
    }

    /// What silence tells, where it is time to look.
    pub(crate) fn look(&self, key: StoredKey, now: Instant) -> Result<StoredKey, StorageError> {
        match self.watch_due.get().flatten() {
            Some(due) if due <= now => self.observe(key, &Observation::none(now), now),
            _ => Ok(key),
        }
    }

    fn told(&self) -> Result<Vec<String>, StorageError> {
        if self.told_marks.borrow().is_none() {
            let told = self.one("told")?;
            self.told_marks.replace(Some(told));
        }
        Ok(self.told_marks.borrow().clone().unwrap_or_default())
    }

    /// Keeps a finding, and puts the event that tells of it into the outbox.
    fn tell_news(&self, key: &StoredKey, kind: EventKind, detail: Value, now: Instant) -> Result<(), StorageError> {
        let event = Step::news(key, kind, detail.clone(), now);
        self.store.transact(|| {
            self.store.run(
                "CREATE TABLE IF NOT EXISTS findings (position INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)",
                vec![],
            )?;
            if event.kind == EventKind::ANOMALY {
                self.store.run("INSERT INTO findings (body) VALUES (?)", vec![detail.to_string().into()])?;
                self.store.run(
                    "DELETE FROM findings WHERE position <= (SELECT max(position) FROM findings) - ?",
                    vec![bound(MOST_FINDINGS)],
                )?;
            }
            outbox::create(&self.store)?;
            outbox::append(&self.store, &event)
        })?;
        self.unsent.set(true);
        Ok(())
    }

    /// What was found unusual, the newest first.
    pub(crate) fn anomalies(&self, limit: u32) -> Result<Vec<Value>, StorageError> {
        if !self.store.exists("findings")? {
            return Ok(Vec::new());
        }
        let rows = self
            .store
            .rows("SELECT body FROM findings ORDER BY position DESC LIMIT ?", vec![i64::from(limit).into()])?;
        rows.iter().map(|row| serde_json::from_str(text(&row[0])?).map_err(|e| StorageError(e.to_string()))).collect()
    }

    /// Stores the one value of a table. Call it in a transaction.
    pub(crate) fn keep_one<T: Serialize>(&self, table: &str, value: &T) -> Result<(), StorageError> {
        let body = serde_json::to_string(value).map_err(|e| StorageError(e.to_string()))?;
        self.store.run(
            &format!(
                "CREATE TABLE IF NOT EXISTS {table} (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL)"
            ),
            vec![],
        )?;
        self.store.run(&format!("INSERT OR REPLACE INTO {table} (one, body) VALUES (1, ?)"), vec![body.into()])
    }

    /// Delivery reports of messages that were sent with the key.
    pub(crate) fn outcomes(&self, key: StoredKey, delivered: u64, bounced: u64) -> Result<(), StorageError> {
        let now = clock();
        self.observe(key, &Observation { delivered, bounced, ..Observation::none(now) }, now).map(|_| ())
    }
}

/// A finding as it is told.
fn told(finding: &Finding, done: Option<OnAnomaly>) -> Value {
    let mut told = serde_json::to_value(finding).unwrap_or_default();
    told["action"] = json!(done.unwrap_or_default());
    told
}
