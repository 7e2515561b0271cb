//! `KeyObject`: the authority over one key, named by its id. Contract: it is the only writer of the record; what it
//! answers as done is stored; a record and the event that tells of its change are stored together or not at all; a key that
//! the log knows as revoked is revoked, whatever its own storage says when it starts.
//!
//! Why that holds: [`KeyObject::decide`] reads, asks one pure function of the core and writes in one synchronous transaction,
//! and awaits nothing, so no other message comes between; the runtime withholds the answer until the write is on disk. What
//! has to be waited for, the log before it and the delivery of events after it, stands outside. What is kept in memory is
//! dropped whenever a write fails, and read again from storage.

use crate::host::{self, Namespace, clock};
use crate::messages::{Changed, FromKey, FromProject, Question, RotationShown, ToKey, ToProject, Verdict};
use crate::outbox;
use crate::storage::{StorageError, Store, text};
use keyward::allowance::{Denied, Ledger, Left, Returned, Rules};
use keyward::draft::patched;
use keyward::evidence::Use;
use keyward::life::{self, Actor, Event, EventKind, Refusal, Settled, Step, beyond_key, beyond_reach};
use keyward::record::{Stage, Status, StoredKey};
use keyward::rotation::{self, in_use};
use keyward::scope::{Needed, Scope};
use keyward::time::Instant;
use keyward::verify::{Code, Facts, weigh};
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;
use worker::State;
use worker::worker_sys::DurableObjectState;

/// How long undelivered events wait before the next attempt.
const RETRY_MS: i64 = 2_000;

/// The object that owns one key.
#[wasm_bindgen]
pub struct KeyObject {
    pub(crate) store: Store,
    pub(crate) env: JsValue,
    /// What storage holds, once read. `Some(None)`: there is no key.
    known: RefCell<Option<Option<StoredKey>>>,
    /// What was seen of its use, once read.
    used: RefCell<Option<Use>>,
    /// What its limits have left, once read.
    ledger: RefCell<Option<Ledger>>,
    /// Calls that asked here and are not reported yet. What counts them comes with a report; that a secret is in use is known
    /// at once, so that no rotation is completed in between.
    touched: RefCell<Use>,
    /// Whether the log was asked, since this object started, what it knows of the key.
    compared: Cell<bool>,
    /// Whether something was written whose event was not yet handed on.
    pub(crate) unsent: Cell<bool>,
    /// When the detectors want to look again; the outer one is none while that is not known.
    pub(crate) watch_due: Cell<Option<Option<Instant>>>,
    /// What was told, once read.
    pub(crate) told_marks: RefCell<Option<Vec<String>>>,
    /// When the project is to be told how often the key was called.
    pub(crate) tell_at: Cell<Option<Instant>>,
    /// When it last was.
    pub(crate) told_at: Cell<Option<Instant>>,
}

#[wasm_bindgen]
impl KeyObject {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: JsValue) -> Self {
        Self {
            store: Store::new(State::from(state)),
            env,
            known: RefCell::new(None),
            used: RefCell::new(None),
            ledger: RefCell::new(None),
            touched: RefCell::default(),
            compared: Cell::new(false),
            unsent: Cell::new(false),
            watch_due: Cell::new(None),
            told_marks: RefCell::new(None),
            tell_at: Cell::new(None),
            told_at: Cell::new(None),
        }
    }

    /// Answers one [`ToKey`] with one [`FromKey`], both as JSON.
    pub async fn handle(&self, message: String) -> Result<String, JsValue> {
        let message = crate::read::read(&message).map_err(|e| JsValue::from_str(&e.to_string()))?;
        self.compare().await.inspect_err(|_| self.forget())?;
        let mut reply = self.decide(message).inspect_err(|_| self.forget())?;
        let unsent = self.unsent.replace(false);
        match &mut reply {
            // A receipt has a head of the log, also where it is asked for again.
            FromKey::Changed(changed) => {
                changed.log_head = self.send(true).await.inspect_err(|_| self.forget())?;
            }
            _ if unsent => {
                self.send(false).await.inspect_err(|_| self.forget())?;
            }
            _ => {}
        }
        serde_json::to_string(&reply).map_err(|e| JsValue::from_str(&e.to_string()))
    }

    /// The work of time: what is due is done, what waits in the outbox is delivered. Doing either again changes nothing.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        self.tell().await;
        if self.store.exists("outbox")? {
            self.compare().await.inspect_err(|_| self.forget())?;
            self.current(clock()).inspect_err(|_| self.forget())?;
            self.unsent.set(false);
            self.send(false).await?;
        }
        Ok(())
    }
}

impl KeyObject {
    /// Tells the project how often the key was called. That this fails is no reason to do anything but tell it later.
    async fn tell(&self) {
        self.tell_at.set(None);
        self.told_at.set(Some(clock()));
        let totals = self.stored().and_then(|key| key.map_or(Ok(None), |key| self.totals(&key.record.id)));
        if let Ok(Some(message)) = totals {
            let _ = host::ask::<_, FromProject>(&self.env, Namespace::Project, "project", &message).await;
        }
    }

    fn forget(&self) {
        self.known.replace(None);
        self.used.replace(None);
        self.ledger.replace(None);
        self.watch_due.set(None);
        self.told_marks.replace(None);
    }

    /// Once after each start: what does the log know of the key? Storage may have been set back to before a revocation.
    async fn compare(&self) -> Result<(), StorageError> {
        if self.compared.get() {
            return Ok(());
        }
        let asked = self.stored()?.filter(|key| key.record.status != Status::Revoked);
        if let Some(key) = asked {
            let standing = ToProject::Standing { id: key.record.id };
            let reply = host::ask(&self.env, Namespace::Project, "project", &standing).await;
            let Ok(FromProject::Standing { record, number }) = reply else {
                return Err(StorageError("the log could not be asked what it knows of this key".to_owned()));
            };
            // Read again: another message may have been answered in the meantime.
            let now = clock();
            if let (Some(key), Some(logged)) = (self.stored()?, record)
                && let Some(step) = life::restore(&key, &logged, now)
            {
                // Numbers that the project has met would be passed over.
                self.store.transact(|| outbox::go_on_after(&self.store, number))?;
                self.write(&step.key, &step.event)?;
            }
        }
        self.compared.set(true);
        Ok(())
    }

    fn decide(&self, message: ToKey) -> Result<FromKey, StorageError> {
        let now = clock();
        if let ToKey::Create { key, by, imported } = message {
            return self.create(*key, by, imported, now);
        }
        let Some(key) = self.current(now)? else {
            return Ok(match message {
                ToKey::Lease | ToKey::Ask { .. } => FromKey::Lease { key: None, verdict: None },
                ToKey::Report { .. } | ToKey::Redigest { .. } => FromKey::Noted,
                _ => FromKey::Absent,
            });
        };
        Ok(match message {
            ToKey::Create { .. } => unreachable!("answered above"),
            ToKey::Lease => FromKey::Lease { key: Some(Box::new(key)), verdict: None },
            ToKey::Ask { question, strict, report, usage } => {
                self.count(&key.record.id, &usage)?;
                let key = self.watch(key, &usage, now)?;
                self.answer(key, question, strict, report, now)?
            }
            ToKey::Usage { from, to, daily } => {
                FromKey::Usage { tallies: self.tallies(from, to, daily)?, led: self.led(from, to, daily)? }
            }
            ToKey::Outcomes { delivered, bounced } => {
                self.outcomes(key, delivered, bounced)?;
                FromKey::Noted
            }
            ToKey::Anomalies { limit } => FromKey::Anomalies { found: self.anomalies(limit)? },
            ToKey::Calls { limit } => FromKey::Calls { calls: self.calls(limit)? },
            ToKey::Report { report, returned, usage } => {
                self.count(&key.record.id, &usage)?;
                let key = self.watch(key, &usage, now)?;
                if !returned.is_empty() {
                    let (Ok(()) | Err(_), _) = self.settle(&key, &returned, now, |_, _| Ok(()))?;
                }
                if !report.is_empty() {
                    self.note(key, &report, now)?;
                }
                FromKey::Noted
            }
            ToKey::Draw { returned, cost, wanted } => {
                let (drawn, left) =
                    self.settle(&key, &returned, now, |ledger, rules| ledger.slice(rules, cost, wanted, now))?;
                let (slice, denied) = match drawn {
                    Ok(slice) => (Some(slice), None),
                    Err(denied) => (None, Some(denied)),
                };
                FromKey::Drawn { slice, denied, left }
            }
            ToKey::Redigest { old, new } => {
                let mut after = key;
                if let Some(secret) = after.position_of(std::slice::from_ref(&old)).map(|at| &mut after.secrets[at]) {
                    (secret.root, secret.hmac) = (new.root, new.hmac);
                    self.write(&after, &Step::note(&after, EventKind::REDIGESTED, None, now))?;
                }
                FromKey::Noted
            }
            ToKey::Read => FromKey::Record { secrets: key.shown_secrets(), record: Box::new(key.record) },
            ToKey::Settled => FromKey::Changed(Box::new(self.changed(key, now)?)),
            ToKey::Change { change, by, held } => match beyond_reach(&held, &key.record, &change) {
                Some(scope) => FromKey::Forbidden { scope: scope.clone() },
                None => {
                    let step = life::apply(&key, &change, &by, now);
                    self.take(key, step, now)?
                }
            },
            ToKey::Patch { body, by, held } => {
                let record = match (forbidden(&held, &key), patched(&key.record, body, now)) {
                    (Some(forbidden), _) => return Ok(forbidden),
                    (None, Ok(record)) => record,
                    (None, Err(invalid)) => {
                        return Ok(FromKey::Invalid { field: invalid.field, problem: invalid.problem });
                    }
                };
                match beyond_key(&held, &record) {
                    Some(scope) => FromKey::Forbidden { scope: scope.clone() },
                    None => {
                        let step = life::update(&key, record, &by, now);
                        self.take(key, step, now)?
                    }
                }
            }
            ToKey::Rotate { terms, digest, asked_as, by, held } => {
                if let Some(forbidden) = forbidden(&held, &key) {
                    return Ok(forbidden);
                }
                let before = key.rotation.as_ref().and_then(|last| last.asked_as.as_ref());
                match (before, &asked_as) {
                    (Some(before), Some(asked)) if before == asked => {
                        let shown = self.rotation(&key, now)?;
                        return Ok(shown.map_or(FromKey::Absent, |shown| FromKey::Repeated(Box::new(shown))));
                    }
                    (Some(before), Some(asked)) if before.same_key(asked) => return Ok(FromKey::Taken),
                    _ => {}
                }
                let step = rotation::begin(&key, terms, digest, asked_as, &by, now).map(Some);
                self.take(key, step, now)?
            }
            ToKey::Rotation => match self.rotation(&key, now)? {
                Some(rotation) => FromKey::Rotation(Box::new(rotation)),
                None => FromKey::Refused { refusal: Refusal::NoRotation, rotation: None },
            },
            ToKey::EndRotation { ending, force, by, held } => {
                if let Some(forbidden) = forbidden(&held, &key) {
                    return Ok(forbidden);
                }
                let step = rotation::end(&key, ending, force, &self.seen()?.secrets, &by, now);
                self.take(key, step, now)?
            }
            ToKey::Leaked { found, by } => self.leaked(key, found, &by, now)?,
            ToKey::Evidence { since, secret } => self.evidence_since(&key, since, secret, now)?,
        })
    }

    /// What an edge may go on with; the verdict, where the key or the edge wants it from here.
    fn answer(
        &self,
        mut key: StoredKey,
        question: Option<Question>,
        strict: bool,
        report: Option<Use>,
        now: Instant,
    ) -> Result<FromKey, StorageError> {
        if let Some(report) = report {
            key = self.note(key, &report, now)?;
        }
        let Some(question) = question else { return Ok(FromKey::Lease { key: Some(Box::new(key)), verdict: None }) };
        let secret = key.position_of(&question.presented);
        if let Some(secret) = secret.map(|at| &key.secrets[at]) {
            self.touched.borrow_mut().of(secret.number, now).touch(now);
        }
        if let Some(secret) = secret.map(|at| &key.secrets[at])
            && secret.status == Stage::Pending
            && key.record.status == Status::Active
            && let Some(step) = rotation::seen(&key, secret.number, now)
        {
            self.write(&step.key, &step.event)?;
            key = step.key;
        }
        let verdict = (strict || key.record.max_staleness_seconds == 0).then(|| {
            let needed: Vec<Needed<'_>> = question.needed.iter().filter_map(|text| Needed::parse(text).ok()).collect();
            let facts = Facts {
                environment: None,
                address: question.address,
                country: question.country.as_deref(),
                origin: question.origin.as_deref(),
                needed: &needed,
            };
            let code = secret.map_or(Code::NotFound, |position| weigh(&key, position, &facts, now));
            let cost = question.cost.filter(|_| code == Code::Valid && key.record.rules().any());
            let (denied, left) = match cost {
                None => (None, Vec::new()),
                Some(cost) => {
                    let (spent, left) = self.settle(&key, &[], now, |ledger, rules| ledger.spend(rules, cost, now))?;
                    (spent.err(), left)
                }
            };
            let code = denied.as_ref().map_or(code, Code::of_limit);
            Ok::<_, StorageError>(Verdict { code: code.as_str().to_owned(), secret, denied, left })
        });
        let verdict = verdict.transpose()?;
        Ok(FromKey::Lease { key: Some(Box::new(key)), verdict })
    }

    /// Brings the limits up to now, does `step` with them, and stores what came of it; with what is left.
    fn settle<T>(
        &self,
        key: &StoredKey,
        returned: &[Returned],
        now: Instant,
        step: impl FnOnce(&mut Ledger, &Rules<'_>) -> Result<T, Denied>,
    ) -> Result<(Result<T, Denied>, Vec<Left>), StorageError> {
        let rules = key.record.rules();
        let mut ledger = self.ledger()?;
        ledger.settle(&rules, returned, now);
        let done = step(&mut ledger, &rules);
        self.store.transact(|| self.keep_one("ledger", &ledger))?;
        let left = ledger.left(&rules, now);
        self.ledger.replace(Some(ledger));
        if !rules.quotas.is_empty() {
            self.tell_due(key, now)?;
        }
        Ok((done, left))
    }

    pub(crate) fn ledger(&self) -> Result<Ledger, StorageError> {
        if let Some(ledger) = &*self.ledger.borrow() {
            return Ok(ledger.clone());
        }
        self.one("ledger")
    }

    /// What stands in a table of one row, or nothing yet.
    pub(crate) fn one<T: DeserializeOwned + Default>(&self, table: &str) -> Result<T, StorageError> {
        let rows = match self.store.exists(table)? {
            true => self.store.rows(&format!("SELECT body FROM {table}"), vec![])?,
            false => Vec::new(),
        };
        let read = |row: &Vec<worker::SqlStorageValue>| {
            crate::read::read(text(&row[0])?).map_err(|e| StorageError(e.to_string()))
        };
        Ok(rows.first().map(read).transpose()?.unwrap_or_default())
    }

    /// Takes a report in: evidence, a first use that begins an overlap, and now and then a word to the index.
    fn note(&self, key: StoredKey, report: &Use, now: Instant) -> Result<StoredKey, StorageError> {
        let mut used = self.used()?;
        let news = used.add(report);
        let numbers: Vec<u32> = key.secrets.iter().map(|secret| secret.number).collect();
        used.keep(&numbers);
        let body = serde_json::to_string(&used).map_err(|e| StorageError(e.to_string()))?;
        self.store.transact(|| {
            self.store.run(
                "CREATE TABLE IF NOT EXISTS used (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL)",
                vec![],
            )?;
            self.store.run("INSERT OR REPLACE INTO used (one, body) VALUES (1, ?)", vec![body.as_str().into()])
        })?;
        self.used.replace(Some(used.clone()));
        if news {
            self.write(&key, &Step::note(&key, EventKind::USED, Some(used), now))?;
        }
        match report.secrets.iter().find_map(|evidence| rotation::seen(&key, evidence.number, now)) {
            None => Ok(key),
            Some(step) => {
                self.write(&step.key, &step.event)?;
                Ok(step.key)
            }
        }
    }

    /// Writes what was decided, and says what it comes to.
    fn take(
        &self,
        key: StoredKey,
        decided: Result<Option<Step>, Refusal>,
        now: Instant,
    ) -> Result<FromKey, StorageError> {
        Ok(match decided {
            Err(refusal) => FromKey::Refused { refusal, rotation: self.rotation(&key, now)?.map(Box::new) },
            Ok(None) => FromKey::Changed(Box::new(self.changed(key, now)?)),
            Ok(Some(step)) => {
                self.write(&step.key, &step.event)?;
                FromKey::Changed(Box::new(self.changed(step.key, now)?))
            }
        })
    }

    fn changed(&self, key: StoredKey, now: Instant) -> Result<Changed, StorageError> {
        let (secrets, settled, rotation) = (key.shown_secrets(), Settled::of(&key, now), self.rotation(&key, now)?);
        Ok(Changed { record: key.record, secrets, settled, rotation, log_head: None })
    }

    fn rotation(&self, key: &StoredKey, now: Instant) -> Result<Option<RotationShown>, StorageError> {
        let Some(rotation) = key.rotation.clone() else { return Ok(None) };
        let mut seen = self.seen()?;
        seen.keep(&[rotation.from, rotation.to]);
        let in_use = |number: &u32| in_use(key, &rotation, *number, &seen.secrets, now);
        let in_use = [rotation.from, rotation.to].into_iter().filter(in_use).collect();
        let of_rotation = |secret: &keyward::record::ShownSecret| [rotation.from, rotation.to].contains(&secret.number);
        let secrets = key.shown_secrets().into_iter().filter(of_rotation).collect();
        Ok(Some(RotationShown { rotation, secrets, seen, in_use }))
    }

    /// Everything that is known of its use, reported or not.
    pub(crate) fn seen(&self) -> Result<Use, StorageError> {
        let mut seen = self.used()?;
        seen.add(&self.touched.borrow());
        Ok(seen)
    }

    fn used(&self) -> Result<Use, StorageError> {
        if let Some(used) = &*self.used.borrow() {
            return Ok(used.clone());
        }
        let used: Use = self.one("used")?;
        self.used.replace(Some(used.clone()));
        Ok(used)
    }

    /// The key as it stands now, with everything done that is due.
    fn current(&self, now: Instant) -> Result<Option<StoredKey>, StorageError> {
        let Some(mut key) = self.stored()? else { return Ok(None) };
        if let Some(step) = rotation::due(&key, now) {
            self.write(&step.key, &step.event)?;
            key = step.key;
        }
        if self.next_watch(&key)?.is_some_and(|next| next <= now) {
            self.tell_due(&key, now)?;
            key = self.look(key, now)?;
        }
        Ok(Some(key))
    }

    fn stored(&self) -> Result<Option<StoredKey>, StorageError> {
        if let Some(known) = &*self.known.borrow() {
            return Ok(known.clone());
        }
        let stored: Option<StoredKey> = self.one("record")?;
        self.known.replace(Some(stored.clone()));
        Ok(stored)
    }

    fn create(&self, key: StoredKey, by: Actor, imported: bool, now: Instant) -> Result<FromKey, StorageError> {
        match self.stored()? {
            None => {}
            Some(stored) if !imported && stored.has_secrets_of(&key) => {
                return Ok(FromKey::Record { secrets: stored.shown_secrets(), record: Box::new(stored.record) });
            }
            Some(_) => return Ok(FromKey::Taken),
        }
        let kind = if imported { EventKind::IMPORTED } else { EventKind::CREATED };
        let step = Step::new(key, kind, &by, now);
        self.write(&step.key, &step.event)?;
        Ok(FromKey::Record { secrets: step.key.shown_secrets(), record: Box::new(step.key.record) })
    }

    /// Stores a key and the event that tells of its change.
    pub(crate) fn write(&self, key: &StoredKey, event: &Event) -> Result<(), StorageError> {
        let body = serde_json::to_string(key).map_err(|e| StorageError(e.to_string()))?;
        self.store.transact(|| {
            self.store.run(
                "CREATE TABLE IF NOT EXISTS record (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL)",
                vec![],
            )?;
            outbox::create(&self.store)?;
            self.store.run("INSERT OR REPLACE INTO record (one, body) VALUES (1, ?)", vec![body.as_str().into()])?;
            #[cfg(feature = "fault-injection")]
            crate::faults::after_record(&event.record)?;
            outbox::append(&self.store, event)
        })?;
        self.known.replace(Some(Some(key.clone())));
        self.unsent.set(true);
        Ok(())
    }

    /// Sets the wake-up, then tries to hand on what waits. Answers the head of the log, where it has all of it, and there was
    /// anything to tell it or the head is `wanted` anyway. What is stored is stored: that its event is late is no reason to
    /// call a change failed.
    async fn send(&self, wanted: bool) -> Result<Option<String>, StorageError> {
        // First, and with the write, since nothing was awaited in between: an event without a wake-up would be stuck.
        self.wake(RETRY_MS).await?;
        let delivered = outbox::deliver(&self.store, &self.env, wanted).await;
        match &delivered {
            Err(error) => worker::console_error!("outbox: {}", error.0),
            // Another message may have written in the meantime; then it sees to its own.
            Ok(_) if outbox::is_empty(&self.store)? => self.wake(i64::MAX).await?,
            Ok(_) => {}
        }
        Ok(delivered.ok().flatten())
    }

    /// Wakes the object in so many milliseconds, or earlier, when something is due; not at all if neither.
    async fn wake(&self, milliseconds: i64) -> Result<(), StorageError> {
        let key = self.stored()?;
        let due = key.as_ref().and_then(rotation::next_due);
        let watch = key.map(|key| self.next_watch(&key)).transpose()?.flatten();
        let due = due.into_iter().chain(self.tell_at.get()).chain(watch).min();
        let due = due.map(|end| (end.millis() - clock().millis()).max(0));
        match milliseconds.min(due.unwrap_or(i64::MAX)) {
            i64::MAX => self.store.sleep().await,
            next => self.store.wake_in(next).await,
        }
    }
}

/// Whoever writes to a key must hold what it holds of keyward's own scopes.
fn forbidden(held: &[Scope], key: &StoredKey) -> Option<FromKey> {
    beyond_key(held, &key.record).map(|scope| FromKey::Forbidden { scope: scope.clone() })
}
