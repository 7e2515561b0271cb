//! `KeyObject`: the authority over one key, named by its id. Contract: it is the only writer of the record; what it
//! answers as done is stored; a record and the event that tells of its change are stored together or not at all.
//!
//! Why that holds: a change is decided by one pure function and written by one synchronous transaction, with no await
//! between reading and writing, so nothing comes between; the runtime withholds the answer until the write is on disk.
//! What is kept in memory is dropped whenever a write fails, and read again from storage.

use crate::host::{Authority, clock};
use crate::messages::{FromKey, ToKey};
use crate::outbox;
use crate::storage::{StorageError, Store, text};
use keyward::life::{Actor, Event, EventKind, Receipt, apply, beyond_reach};
use keyward::record::StoredKey;
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State};

/// How long undelivered events wait before the next attempt.
const RETRY_MS: i64 = 2_000;

/// The object that owns one key.
#[wasm_bindgen]
pub struct KeyObject {
    store: Store,
    env: Env,
    /// What storage holds, once read. `Some(None)`: there is no key.
    known: RefCell<Option<Option<StoredKey>>>,
}

#[wasm_bindgen]
impl KeyObject {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self { store: Store::new(State::from(state)), env, known: RefCell::new(None) }
    }

    /// Answers one [`ToKey`] with one [`FromKey`], both as JSON.
    pub async fn handle(&self, message: String) -> Result<String, JsValue> {
        let message = serde_json::from_str(&message).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let reply = self.decide(message).await.inspect_err(|_| {
            self.known.replace(None);
        })?;
        serde_json::to_string(&reply).map_err(|e| JsValue::from_str(&e.to_string()))
    }

    /// Delivers what is still in the outbox; tried again later if the project's object cannot be reached.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        if self.store.exists("outbox")? && self.deliver().await.is_err() {
            self.store.wake_in(RETRY_MS).await?;
        }
        Ok(())
    }
}

impl KeyObject {
    async fn decide(&self, message: ToKey) -> Result<FromKey, StorageError> {
        match message {
            ToKey::Lease => Ok(FromKey::Lease { key: self.stored()?.map(Box::new) }),
            ToKey::Read => Ok(match self.stored()? {
                Some(key) => FromKey::Record { record: Box::new(key.record) },
                None => FromKey::Absent,
            }),
            ToKey::Create { key, by } => Ok(match self.stored()? {
                None => FromKey::Record { record: Box::new(self.create(*key, by).await?.record) },
                Some(stored) if stored.has_secrets_of(&key) => FromKey::Record { record: Box::new(stored.record) },
                Some(_) => FromKey::Taken,
            }),
            ToKey::Change { change, by, held } => {
                let Some(key) = self.stored()? else { return Ok(FromKey::Absent) };
                if let Some(scope) = beyond_reach(&held, &key.record, &change) {
                    return Ok(FromKey::Forbidden { scope: scope.clone() });
                }
                let now = clock();
                match apply(&key.record, &change, &by, now) {
                    Err(refusal) => Ok(FromKey::Refused { refusal }),
                    Ok(event) => {
                        let record = match event {
                            None => key.record,
                            Some(event) => {
                                let after = StoredKey { record: event.record.clone(), ..key };
                                self.write(&after, &event).await?;
                                after.record
                            }
                        };
                        let receipt = Receipt::of(&record, now);
                        Ok(FromKey::Changed { record: Box::new(record), receipt })
                    }
                }
            }
        }
    }

    fn stored(&self) -> Result<Option<StoredKey>, StorageError> {
        if let Some(known) = &*self.known.borrow() {
            return Ok(known.clone());
        }
        let stored = if self.store.exists("record")? {
            let rows = self.store.rows("SELECT body FROM record", vec![])?;
            let read = |row: &Vec<worker::SqlStorageValue>| {
                serde_json::from_str(text(&row[0])?).map_err(|e| StorageError(e.to_string()))
            };
            rows.first().map(read).transpose()?
        } else {
            None
        };
        self.known.replace(Some(stored.clone()));
        Ok(stored)
    }

    async fn create(&self, mut key: StoredKey, by: Actor) -> Result<StoredKey, StorageError> {
        let now = clock();
        (key.record.created_at, key.record.updated_at) = (now, now);
        let event = Event { kind: EventKind::Created, at: now, by, record: key.record.clone() };
        self.write(&key, &event).await?;
        Ok(key)
    }

    /// Stores a key and the event that tells of its change, then tries to hand the event on.
    async fn write(&self, key: &StoredKey, event: &Event) -> Result<(), StorageError> {
        let body = serde_json::to_string(key).map_err(|e| StorageError(e.to_string()))?;
        // Before the transaction: a wake-up for nothing is harmless, an event without one would be stuck.
        self.store.wake_in(RETRY_MS).await?;
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
        // The change is stored; that its event is late is no reason to call it failed. The alarm goes on trying.
        if let Err(error) = self.deliver().await {
            worker::console_error!("outbox of {}: {}", key.record.id, error.0);
        }
        Ok(())
    }

    async fn deliver(&self) -> Result<(), StorageError> {
        outbox::deliver(&self.store, &project(&self.env)?).await
    }
}

/// The project's object.
pub fn project(env: &Env) -> Result<Authority, StorageError> {
    Ok(env.durable_object("PROJECT")?.get_by_name("project")?.into_rpc())
}
