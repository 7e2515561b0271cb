//! `RouteObject`: counts the calls of one route, named by its name. Contract: what it answers as spent is stored before the
//! answer leaves; of a session no more calls are spent than it has, of a limit no more than its bound; a call that is refused
//! spends nothing, wherever it was refused.
//!
//! Why that holds: [`RouteObject::decide`] reads, decides and writes in one synchronous transaction and awaits nothing, so no
//! other call comes between; the runtime withholds the answer until the write is on disk.

use crate::host::clock;
use crate::messages::{FromRoute, SessionSpend, Spend, ToRoute};
use crate::storage::{StorageError, Store, bound, number, text};
use keyward::slots::SlotUse;
use keyward::time::Instant;
use serde_json::{Value, json};
use std::cell::Cell;
use wasm_bindgen::prelude::*;
use worker::State;
use worker::worker_sys::DurableObjectState;

/// The object that counts the calls of one route.
#[wasm_bindgen]
pub struct RouteObject {
    store: Store,
    ready: Cell<bool>,
}

const TABLES: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, spent INTEGER NOT NULL, ends_at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_end ON sessions (ends_at)",
    "CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, arrival INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_arrival ON buckets (arrival)",
    "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
];
/// How long an anomaly must not have come up to be news again, in seconds.
const QUIET_SECONDS: i64 = 3_600;
/// Anomalies that are kept.
const MOST_ANOMALIES: u64 = 100;

#[wasm_bindgen]
impl RouteObject {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState) -> Self {
        Self { store: Store::new(State::from(state)), ready: Cell::new(false) }
    }

    /// Answers one [`ToRoute`] with one [`FromRoute`], both as JSON.
    pub fn handle(&self, message: &str) -> Result<String, JsValue> {
        let message = crate::read::read(message).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let reply = self.decide(message)?;
        serde_json::to_string(&reply).map_err(|e| JsValue::from_str(&e.to_string()))
    }
}

impl RouteObject {
    fn decide(&self, message: ToRoute) -> Result<FromRoute, StorageError> {
        if !self.ready.get() {
            self.store.transact(|| TABLES.iter().try_for_each(|table| self.store.run(table, vec![])))?;
            self.ready.set(true);
        }
        let now = clock();
        match message {
            ToRoute::Spend { session, charges, by } => {
                let mut reply = FromRoute::Noted;
                self.store.transact(|| {
                    reply = self.spend(session.as_ref(), &charges, &by, now)?;
                    Ok(())
                })?;
                Ok(reply)
            }
            ToRoute::Note { used } => {
                self.store.transact(|| {
                    let mut known = self.used()?;
                    for more in &used {
                        match known.iter_mut().find(|of| of.number == more.number) {
                            Some(of) => of.add(more),
                            None => known.push(more.clone()),
                        }
                    }
                    // Of secrets long gone nobody asks.
                    let extra = known.len().saturating_sub(10);
                    known.drain(..extra);
                    let body = serde_json::to_string(&known).map_err(|e| StorageError(e.to_string()))?;
                    self.note("used", &body, now)
                })?;
                Ok(FromRoute::Noted)
            }
            ToRoute::Use => {
                let rows = self.store.rows("SELECT body FROM notes WHERE name != 'used' ORDER BY at DESC", vec![])?;
                let read = |row: &Vec<worker::SqlStorageValue>| {
                    crate::read::read(text(&row[0])?).map_err(|e| StorageError(e.to_string()))
                };
                let anomalies = rows.iter().map(read).collect::<Result<Vec<Value>, StorageError>>()?;
                Ok(FromRoute::Use { used: self.used()?, anomalies })
            }
        }
    }

    /// Spends a call, in a transaction.
    fn spend(
        &self,
        session: Option<&SessionSpend>,
        charges: &[Spend],
        by: &str,
        now: Instant,
    ) -> Result<FromRoute, StorageError> {
        let mut left = None;
        if let Some(session) = session {
            let rows = self.store.rows("SELECT spent FROM sessions WHERE id = ?", vec![session.id.as_str().into()])?;
            let spent = rows.first().map_or(Ok(0), |row| number(&row[0]))?;
            match u64::from(session.calls).checked_sub(spent + 1).filter(|_| now < session.ends_at) {
                None => return Ok(FromRoute::Over),
                Some(rest) => left = Some(rest as u32),
            }
        }
        let mut arrivals: Vec<(&str, i64)> = Vec::with_capacity(charges.len());
        for (position, Spend { bucket, limit, anomaly }) in charges.iter().enumerate() {
            // The same bucket may be charged twice by one call: several numbers of a range.
            let before = match arrivals.iter().rev().find(|(name, _)| name == bucket) {
                Some((_, arrival)) => *arrival,
                None => {
                    let rows =
                        self.store.rows("SELECT arrival FROM buckets WHERE name = ?", vec![bucket.as_str().into()])?;
                    rows.first().map_or(Ok(0), |row| number(&row[0]))? as i64
                }
            };
            match limit.spend(before, now) {
                Ok(next) => arrivals.push((bucket, next)),
                Err(retry_ms) => {
                    let news = match anomaly {
                        Some((kind, of)) => self.stopped(kind, of, limit.limit, limit.window_seconds, by, now)?,
                        None => None,
                    };
                    return Ok(FromRoute::Limited { position, retry_ms, news });
                }
            }
        }
        if let Some(SessionSpend { id, ends_at, .. }) = session {
            self.store.run(
                "INSERT INTO sessions (id, spent, ends_at) VALUES (?, 1, ?) ON CONFLICT (id) DO UPDATE SET spent = spent + 1",
                vec![id.as_str().into(), ends_at.millis().into()],
            )?;
            // A few of those that are over go with each call.
            self.store.run(
                "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ends_at < ? LIMIT 3)",
                vec![now.plus_seconds(-60).millis().into()],
            )?;
        }
        for (name, arrival) in arrivals {
            self.store.run(
                "INSERT OR REPLACE INTO buckets (name, arrival) VALUES (?, ?)",
                vec![name.into(), bound(arrival as u64)],
            )?;
        }
        if !charges.is_empty() {
            // A bucket that is full again says nothing.
            self.store.run(
                "DELETE FROM buckets WHERE name IN (SELECT name FROM buckets WHERE arrival < ? LIMIT 5)",
                vec![bound((now.plus_seconds(-60).millis() * 1_000).max(0) as u64)],
            )?;
        }
        Ok(FromRoute::Spent { left })
    }

    /// Keeps that something was stopped that honest callers do not do, once for each kind and subject. Answers what is kept,
    /// where it is news: the first time, and again after a quiet hour.
    fn stopped(
        &self,
        kind: &str,
        of: &str,
        limit: u32,
        window: u32,
        by: &str,
        now: Instant,
    ) -> Result<Option<Value>, StorageError> {
        let name = format!("anomaly:{kind}:{of}");
        let rows = self.store.rows("SELECT body FROM notes WHERE name = ?", vec![name.as_str().into()])?;
        let before: Option<Value> = rows.first().and_then(|row| crate::read::read(text(&row[0]).ok()?).ok());
        let seen = before.as_ref().and_then(|before| before["refused"].as_u64()).unwrap_or(0) + 1;
        let last: Option<Instant> = before.as_ref().and_then(|before| Instant::parse(before["last_at"].as_str()?));
        let first = before.map_or_else(|| json!(now), |before| before["first_at"].clone());
        let body = json!({
            "kind": kind, "of": of, "expected": {"limit": limit, "window_seconds": window}, "refused": seen,
            "first_at": first, "last_at": now, "last_by": by,
        });
        let is_news = last.is_none_or(|last| last.plus_seconds(QUIET_SECONDS) <= now);
        if is_news {
            let line = json!({"event": "anomaly", "kind": kind, "of": of, "by": by});
            worker::console_log!("{line}");
        }
        self.note(&name, &body.to_string(), now)?;
        self.store.run(
            "DELETE FROM notes WHERE name != 'used' AND name NOT IN (SELECT name FROM notes WHERE name != 'used' ORDER BY at DESC LIMIT ?)",
            vec![bound(MOST_ANOMALIES)],
        )?;
        Ok(is_news.then_some(body))
    }

    fn used(&self) -> Result<Vec<SlotUse>, StorageError> {
        let rows = self.store.rows("SELECT body FROM notes WHERE name = 'used'", vec![])?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        crate::read::read(text(&row[0])?).map_err(|e| StorageError(e.to_string()))
    }

    fn note(&self, name: &str, body: &str, now: Instant) -> Result<(), StorageError> {
        self.store.run(
            "INSERT OR REPLACE INTO notes (name, body, at) VALUES (?, ?, ?)",
            vec![name.into(), body.into(), now.millis().into()],
        )
    }
}
