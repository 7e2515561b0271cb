//! `ProjectObject`: what the project knows of all its keys. Contract: it decides nothing about a key; it keeps the index
//! and the log in the order in which events arrive, each event once, and it alone says whether the first management key
//! may still be adopted.
//!
//! Why that holds: the events of one message are written in one synchronous transaction with the highest number seen of
//! their key's object, so that a repeated delivery finds its number and changes nothing.

use crate::messages::{FromProject, ToProject};
use crate::storage::{StorageError, Store, bound, number, text};
use keyward::life::Event;
use serde_json::{Value, json};
use std::cell::Cell;
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{SqlStorageValue, State};

/// The object that knows all keys of the project.
#[wasm_bindgen]
pub struct ProjectObject {
    store: Store,
    ready: Cell<bool>,
}

const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS keys (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, record TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS log (position INTEGER PRIMARY KEY AUTOINCREMENT, key_id TEXT NOT NULL, entry TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS seen (key_id TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS adopted (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL)",
];

#[wasm_bindgen]
impl ProjectObject {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState) -> Self {
        Self { store: Store::new(State::from(state)), ready: Cell::new(false) }
    }

    /// Answers one [`ToProject`] with one [`FromProject`], both as JSON.
    pub async fn handle(&self, message: String) -> Result<String, JsValue> {
        let message = serde_json::from_str(&message).map_err(|e| JsValue::from_str(&e.to_string()))?;
        if !self.ready.get() {
            self.store.transact(|| TABLES.iter().try_for_each(|table| self.store.run(table, vec![])))?;
            self.ready.set(true);
        }
        let reply = self.decide(message)?;
        serde_json::to_string(&reply).map_err(|e| JsValue::from_str(&e.to_string()))
    }
}

impl ProjectObject {
    fn decide(&self, message: ToProject) -> Result<FromProject, StorageError> {
        match message {
            ToProject::Events { events } => {
                self.store.transact(|| events.iter().try_for_each(|(number, event)| self.take(*number, event)))?;
                Ok(FromProject::Done)
            }
            ToProject::Adopt { id } => self.adopt(&id),
            ToProject::List { limit, before } => self.page("keys", "record", limit, before),
            ToProject::Log { limit, before } => self.page("log", "entry", limit, before),
        }
    }

    /// Takes one event into index and log, unless its number was met before.
    fn take(&self, event_number: u64, event: &Event) -> Result<(), StorageError> {
        let id = event.record.id.as_str();
        let seen = self.store.rows("SELECT number FROM seen WHERE key_id = ?", vec![id.into()])?;
        if let Some(row) = seen.first()
            && number(&row[0])? >= event_number
        {
            return Ok(());
        }
        let record = serde_json::to_string(&event.record).map_err(|e| StorageError(e.to_string()))?;
        let mut entry = json!({
            "kind": event.kind, "at": event.at, "key_id": id, "version": event.record.version,
            "by": event.by.key_id, "request_id": event.by.request_id,
        });
        if let Some(reason) = &event.record.revoke_reason {
            entry["reason"] = reason.as_str().into();
        }
        self.store
            .run("INSERT OR REPLACE INTO seen (key_id, number) VALUES (?, ?)", vec![id.into(), bound(event_number)])?;
        self.store.run(
            "INSERT INTO keys (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            vec![id.into(), record.into()],
        )?;
        self.store.run("INSERT INTO log (key_id, entry) VALUES (?, ?)", vec![id.into(), entry.to_string().into()])?;
        if event.record.is_management() {
            self.store.run("INSERT OR IGNORE INTO adopted (one, id) VALUES (1, ?)", vec![id.into()])?;
        }
        Ok(())
    }

    /// The first management key may be adopted while no other was ever stored. Its own id may be again: a crash may lie
    /// between this answer and the record.
    fn adopt(&self, id: &str) -> Result<FromProject, StorageError> {
        self.store.run("INSERT OR IGNORE INTO adopted (one, id) VALUES (1, ?)", vec![id.into()])?;
        let rows = self.store.rows("SELECT id FROM adopted", vec![])?;
        let allowed = rows.first().map(|row| text(&row[0])).transpose()? == Some(id);
        Ok(FromProject::Adoption { allowed })
    }

    fn page(&self, table: &str, column: &str, limit: u32, before: Option<u64>) -> Result<FromProject, StorageError> {
        // `table` and `column` are this file's own words; values are bound.
        let query = format!("SELECT position, {column} FROM {table} WHERE position < ? ORDER BY position DESC LIMIT ?");
        let before = before.map_or(SqlStorageValue::Integer((1 << 53) - 1), bound);
        let rows = self.store.rows(&query, vec![before, SqlStorageValue::Integer(i64::from(limit) + 1)])?;
        let (shown, more) = rows.split_at(rows.len().min(limit as usize));
        let next = match (more.is_empty(), shown.last()) {
            (false, Some(last)) => Some(number(&last[0])?),
            _ => None,
        };
        let read =
            |row: &Vec<SqlStorageValue>| serde_json::from_str(text(&row[1])?).map_err(|e| StorageError(e.to_string()));
        let rows = shown.iter().map(read).collect::<Result<Vec<Value>, StorageError>>()?;
        Ok(FromProject::Page { rows, next })
    }
}
