//! `WebhookObject`: delivers what happened to one receiver. Contract: what it has read of the news and its webhook asks for is
//! delivered at least once, under one id, or tried for a day; of one key nothing is sent before what happened earlier is delivered
//! or given up; of different keys up to eight messages are under way at once.
//!
//! Why that holds: news are queued in the transaction that moves the place up to which they were read; a message leaves the queue
//! in the transaction that notes its answer. A wake-up is set before anything is awaited, and there always is one, a minute ahead
//! at the latest: whatever ends this object in between, and whoever forgets to call it, it goes on from there. Only the wake-up
//! sends, and the runtime runs one at a time.

use crate::config::Config;
use crate::edge::Isolate;
use crate::host::{self, Namespace, clock};
use crate::keys::random;
use crate::messages::{AskedOfWebhook, FromProject, FromWebhook, StoredWebhook, ToProject, ToWebhook};
use crate::storage::{StorageError, Store, bound, number, text};
use js_sys::{Array, Promise};
use keyward::time::Instant;
use keyward::webhook::{self, ATTEMPT_MS, KEPT_SECONDS, MOST_ATTEMPTS, Outcome, message_id, outcome, place, signature};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::worker_sys::DurableObjectState;
use worker::{SqlStorageValue, State};

#[wasm_bindgen(module = "/src/webhook.js")]
extern "C" {
    #[wasm_bindgen(js_name = post)]
    fn post_promise(mark: f64, url: &str, headers: Array, body: &str, most: u32) -> Promise;
}

/// The object that delivers for one webhook.
#[wasm_bindgen]
pub struct WebhookObject {
    store: Store,
    env: JsValue,
    ready: Cell<bool>,
    /// Whether there may be news that were not read.
    news: Cell<bool>,
    /// The webhook as it was last read.
    webhook: RefCell<Option<StoredWebhook>>,
    /// Until when a wake-up works, at the latest: a second one would send what is under way again.
    working_until: Cell<Instant>,
}

const TABLES: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS about (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS messages (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL, tries INTEGER NOT NULL, attempts INTEGER NOT NULL, due INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_state ON messages (state, due)",
    "CREATE INDEX IF NOT EXISTS by_key ON messages (state, key, position)",
    "CREATE TABLE IF NOT EXISTS attempts (number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL)",
];

/// Messages that wait and have no earlier one of the same key before them.
const FIRST: &str = "m.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM messages e WHERE e.state = 'waiting' AND e.key = m.key AND e.position < m.position)";

/// Messages that are under way at once.
const MOST_AT_ONCE: usize = 8;
/// Messages that wait at most; further news stay where they are.
const MOST_WAITING: u64 = 1_000;
/// News that are read at a time.
const PAGE: u64 = 100;
/// How long one wake-up works, in milliseconds. The next one follows at once.
const WORK_MS: i64 = 60_000;
/// How soon it looks again: where something failed here or at the project, while it sends, and without any reason.
const FAILED_MS: i64 = 5_000;
const SENDING_MS: i64 = 15_000;
const IDLE_MS: i64 = 60_000;
/// How often it looks for news while it waits for answers, in milliseconds.
const TICK_MS: u32 = 500;

/// What it knows of itself.
#[derive(Serialize, Deserialize)]
struct About {
    name: String,
    made_at: Instant,
    /// Up to which position the news were read.
    read_to: Option<u64>,
    looked_at: Instant,
    /// Nothing is sent before.
    quiet_until: Option<Instant>,
    failing_since: Option<Instant>,
    last_success_at: Option<Instant>,
    /// The receiver wants no more of what its webhook was at this instant; the project does not know yet.
    gone: Option<Instant>,
}

/// A message that is to be sent.
struct Message {
    position: u64,
    id: String,
    body: String,
}

#[wasm_bindgen]
impl WebhookObject {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: JsValue) -> Self {
        Self {
            store: Store::new(State::from(state)),
            env,
            ready: Cell::new(false),
            news: Cell::new(false),
            webhook: RefCell::default(),
            working_until: Cell::new(Instant::EPOCH),
        }
    }

    /// Answers one [`ToWebhook`] with one [`FromWebhook`], both as JSON.
    pub async fn handle(&self, message: String) -> Result<String, JsValue> {
        let message: ToWebhook = crate::read::read(&message).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let now = clock();
        self.prepare(&message)?;
        let (reply, changed) = self.decide(message.what, now)?;
        // Whoever looks finds out, too, where a wake-up has not come.
        if changed || self.next_look()? <= now {
            self.news.set(true);
            self.store.wake_in(0).await?;
        }
        serde_json::to_string(&reply).map_err(|e| JsValue::from_str(&e.to_string()))
    }

    /// Reads news and sends what is due.
    pub async fn alarm(&self) -> Result<(), JsValue> {
        if !self.store.exists("about")? {
            return Ok(());
        }
        let now = clock();
        if now < self.working_until.get() {
            self.news.set(true);
            // Should the one that works not come to its end.
            return Ok(self.store.wake_in(SENDING_MS).await?);
        }
        self.working_until.set(now.plus_millis(WORK_MS + 2 * i64::from(ATTEMPT_MS)));
        // First: what is under way when this object ends is sent again.
        let slept = self.store.wake_in(SENDING_MS).await;
        let worked = self.work(now.plus_millis(WORK_MS)).await;
        self.working_until.set(Instant::EPOCH);
        slept?;
        if let Err(error) = &worked {
            worker::console_error!("webhook: {}", error.0);
        }
        if self.store.exists("about")? {
            let next = self.next_look()?.millis() - clock().millis();
            let failed = worked.is_err().then_some(FAILED_MS);
            self.store.wake_in(failed.unwrap_or(next.clamp(0, IDLE_MS))).await?;
        }
        Ok(())
    }
}

impl WebhookObject {
    /// Makes the tables, where they are not there.
    fn prepare(&self, message: &ToWebhook) -> Result<(), StorageError> {
        if self.ready.get() {
            return Ok(());
        }
        let about = About {
            name: message.name.clone(),
            made_at: message.made_at,
            read_to: None,
            looked_at: Instant::EPOCH,
            quiet_until: None,
            failing_since: None,
            last_success_at: None,
            gone: None,
        };
        self.store.transact(|| {
            TABLES.iter().try_for_each(|table| self.store.run(table, vec![]))?;
            let body = written(&about)?;
            self.store.run("INSERT OR IGNORE INTO about (one, body) VALUES (1, ?)", vec![body.into()])
        })?;
        self.ready.set(true);
        Ok(())
    }

    /// The reply, and whether there is something to send.
    fn decide(&self, asked: AskedOfWebhook, now: Instant) -> Result<(FromWebhook, bool), StorageError> {
        Ok(match asked {
            AskedOfWebhook::Look => (FromWebhook::Noted, true),
            AskedOfWebhook::State => (FromWebhook::State { state: self.state()? }, false),
            AskedOfWebhook::Attempts { limit, before } => (self.attempts(limit, before)?, false),
            AskedOfWebhook::Replay { event_id } => (self.replay("id = ?", event_id.into(), now)?, true),
            AskedOfWebhook::ReplaySince { since } => {
                (self.replay("state = 'given_up' AND at >= ?", since.millis().into(), now)?, true)
            }
            AskedOfWebhook::Test { body } => {
                let about = self.about()?;
                let mut drawn = [0; 2];
                random(&mut drawn);
                let number = format!("t{:x}{:04x}", now.millis(), u16::from_be_bytes(drawn));
                let event_id = message_id(&about.name, about.made_at, &number);
                // Under a key of its own: nothing waits for it, nor it for anything.
                self.store.transact(|| self.queue(&event_id, &event_id, webhook::TEST, &body, now, now))?;
                (FromWebhook::Tested { event_id }, true)
            }
        })
    }

    /// Puts a message into the queue, unless it is or was there.
    fn queue(
        &self,
        id: &str,
        key: &str,
        kind: &str,
        body: &str,
        at: Instant,
        now: Instant,
    ) -> Result<(), StorageError> {
        self.store.run(
            "INSERT OR IGNORE INTO messages (id, key, kind, body, at, state, since, tries, attempts, due) VALUES (?, ?, ?, ?, ?, 'waiting', ?, 0, 0, ?)",
            vec![
                id.into(),
                key.into(),
                kind.into(),
                body.into(),
                at.millis().into(),
                now.millis().into(),
                now.millis().into(),
            ],
        )
    }

    /// Has what fits a condition of this file's own sent again, as if it had never been tried.
    fn replay(&self, condition: &str, value: SqlStorageValue, now: Instant) -> Result<FromWebhook, StorageError> {
        let mut count = 0;
        self.store.transact(|| {
            let rows =
                self.store.rows(&format!("SELECT count(*) FROM messages WHERE {condition}"), vec![value.clone()])?;
            count = number(&rows[0][0])?;
            let now = now.millis();
            self.store.run(
                &format!("UPDATE messages SET state = 'waiting', since = ?, tries = 0, due = ? WHERE {condition}"),
                vec![now.into(), now.into(), value.clone()],
            )
        })?;
        Ok(FromWebhook::Queued { count })
    }

    fn state(&self) -> Result<Value, StorageError> {
        let about = self.about()?;
        let count = |state: &str| {
            let rows = self.store.rows("SELECT count(*) FROM messages WHERE state = ?", vec![state.into()])?;
            number(&rows[0][0])
        };
        Ok(json!({
            "pending": count("waiting")?, "given_up": count("given_up")?, "failing_since": about.failing_since,
            "last_success_at": about.last_success_at, "next_attempt_at": self.next_due(&about)?,
        }))
    }

    fn attempts(&self, limit: u32, before: Option<u64>) -> Result<FromWebhook, StorageError> {
        let rows = self.store.rows(
            "SELECT number, body FROM attempts WHERE number < ? ORDER BY number DESC LIMIT ?",
            vec![bound(before.unwrap_or((1 << 53) - 1)), bound(u64::from(limit) + 1)],
        )?;
        let (shown, more) = rows.split_at(rows.len().min(limit as usize));
        let next = match (more.is_empty(), shown.last()) {
            (false, Some(last)) => Some(number(&last[0])?),
            _ => None,
        };
        let rows = shown.iter().map(|row| parsed(&row[1])).collect::<Result<Vec<Value>, _>>()?;
        Ok(FromWebhook::Attempts { rows, next })
    }

    /// When the next message may be sent, if one waits.
    fn next_due(&self, about: &About) -> Result<Option<Instant>, StorageError> {
        let rows = self.store.rows(&format!("SELECT coalesce(min(m.due), 0) FROM messages m WHERE {FIRST}"), vec![])?;
        let due = Some(number(&rows[0][0])?).filter(|due| *due > 0).map(|due| Instant::from_millis(due as i64));
        Ok(due.map(|due| about.quiet_until.map_or(due, |until| until.max(due))))
    }

    /// When there is something to do again.
    fn next_look(&self) -> Result<Instant, StorageError> {
        let about = self.about()?;
        let idle = about.looked_at.plus_millis(IDLE_MS);
        // While it may not send, only a change of the webhook makes a difference.
        let stopped = self.webhook.borrow().as_ref().is_some_and(|webhook| !webhook.body.active);
        match self.next_due(&about)? {
            Some(due) if !stopped => Ok(due.min(idle)),
            _ => Ok(idle),
        }
    }

    /// Sends what is due, and reads news, until there is nothing more to do or `end` is there.
    async fn work(&self, end: Instant) -> Result<(), StorageError> {
        let isolate = Isolate::get(&self.env).map_err(StorageError)?;
        self.news.set(true);
        let mut under_way: Vec<(u64, Promise)> = Vec::new();
        let mut failed = Ok(());
        loop {
            if failed.is_ok() && self.news.replace(false) {
                failed = self.read_news().await;
            }
            let Some(webhook) = self.webhook.borrow().clone() else { return failed };
            if failed.is_err() {
                // What is under way is noted all the same.
                while self.note_next(&mut under_way).await? {}
                return failed;
            }
            while clock() < end
                && under_way.len() < MOST_AT_ONCE
                && let Some(message) = self.next(&webhook, &under_way)?
            {
                match self.send(&webhook, &message, &isolate.config) {
                    Ok(promise) => under_way.push((message.position, promise)),
                    Err(problem) => self.note(message.position, None, Some(problem), -1.0, 0.0)?,
                }
            }
            if !self.note_next(&mut under_way).await? && !self.news.get() {
                return Ok(());
            }
        }
    }

    /// Waits for the next answer, or for a moment, and notes what came of it; whether there was anything to wait for.
    async fn note_next(&self, under_way: &mut Vec<(u64, Promise)>) -> Result<bool, StorageError> {
        if under_way.is_empty() {
            return Ok(false);
        }
        let race: Array = under_way.iter().map(|(_, promise)| JsValue::from(promise)).collect();
        if under_way.len() < MOST_AT_ONCE {
            race.push(&host::pause_promise(TICK_MS));
        }
        let answer = JsFuture::from(Promise::race(&race)).await.map_err(|_| StorageError("an attempt broke".into()))?;
        if let Some(answer) = answer.dyn_ref::<Array>() {
            let position = answer.get(0).as_f64().unwrap_or_default() as u64;
            under_way.retain(|(of, _)| *of != position);
            let status = answer.get(1);
            let numbers = [answer.get(2), answer.get(3)].map(|value| value.as_f64().unwrap_or(-1.0));
            self.note(
                position,
                status.as_f64().map(|status| status as u16),
                status.as_string(),
                numbers[0],
                numbers[1],
            )?;
        }
        Ok(true)
    }

    /// The next message that is due and not under way.
    fn next(&self, webhook: &StoredWebhook, under_way: &[(u64, Promise)]) -> Result<Option<Message>, StorageError> {
        let (about, now) = (self.about()?, clock());
        if !webhook.body.active || about.gone.is_some() || about.quiet_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        let rows = self.store.rows(
            &format!(
                "SELECT m.position, m.id, m.body FROM messages m WHERE {FIRST} AND m.due <= ? ORDER BY m.due, m.position LIMIT ?"
            ),
            vec![now.millis().into(), bound(MOST_AT_ONCE as u64)],
        )?;
        for row in rows {
            let position = number(&row[0])?;
            if under_way.iter().all(|(of, _)| *of != position) {
                let (id, body) = (text(&row[1])?.to_owned(), text(&row[2])?.to_owned());
                return Ok(Some(Message { position, id, body }));
            }
        }
        Ok(None)
    }

    /// Begins an attempt, or says why there can be none.
    fn send(&self, webhook: &StoredWebhook, message: &Message, config: &Config) -> Result<Promise, String> {
        if !webhook.body.is_allowed(&config.local_webhooks) {
            return Err("NOT_ALLOWED".to_owned());
        }
        let now = clock();
        let place = place(&webhook.name, webhook.body.origin());
        let opened: Vec<_> = webhook
            .secrets
            .iter()
            .filter(|held| held.signs(now))
            .filter_map(|held| config.sealing.open(&place, &held.sealed))
            .collect();
        let seconds = now.millis().div_euclid(1_000);
        let signed = signature(opened.iter().map(|secret| secret.as_str()), &message.id, seconds, &message.body);
        let signed = signed.ok_or_else(|| "NO_SECRET".to_owned())?;
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", concat!("keyward/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signed),
        ];
        let headers: Array = headers.iter().map(|(name, value)| Array::of2(&(*name).into(), &value.into())).collect();
        Ok(post_promise(message.position as f64, &webhook.body.url, headers, &message.body, ATTEMPT_MS))
    }

    /// Notes what came of an attempt: `status`, or the word for why there was none; seconds to be left alone for, or -1; how long it
    /// took in milliseconds.
    fn note(
        &self,
        position: u64,
        status: Option<u16>,
        error: Option<String>,
        retry_after: f64,
        took: f64,
    ) -> Result<(), StorageError> {
        let now = clock();
        let retry_after = (retry_after >= 0.0).then_some(retry_after as u32);
        let error = error.or_else(|| matches!(status, Some(300..400)).then(|| "REDIRECT".to_owned()));
        let mut jitter = [0];
        random(&mut jitter);
        self.store.transact(|| {
            let rows = self.store.rows(
                "SELECT id, key, kind, since, tries, attempts FROM messages WHERE position = ? AND state = 'waiting'",
                vec![bound(position)],
            )?;
            // Forgotten meanwhile, or noted already.
            let Some(row) = rows.first() else { return Ok(()) };
            let since = Instant::from_millis(number(&row[3])? as i64);
            let (tries, attempts) = (number(&row[4])? + 1, number(&row[5])? + 1);
            let answer = webhook::Answer { status, retry_after };
            let outcome = outcome(answer, u32::try_from(tries).unwrap_or(u32::MAX), since, now, jitter[0]);
            let mut about = self.about()?;
            let (state, word, next) = match outcome {
                Outcome::Delivered => ("delivered", "delivered", None),
                Outcome::Gone => ("given_up", "gone", None),
                Outcome::Again { at, .. } => ("waiting", "retry", Some(at)),
                Outcome::GivenUp => ("given_up", "given_up", None),
            };
            self.store.run(
                "UPDATE messages SET state = ?, tries = ?, attempts = ?, due = ? WHERE position = ?",
                vec![
                    state.into(),
                    bound(tries),
                    bound(attempts),
                    next.unwrap_or(now).millis().into(),
                    bound(position),
                ],
            )?;
            match outcome {
                Outcome::Delivered => {
                    about.failing_since = None;
                    about.quiet_until = None;
                    about.last_success_at = Some(now);
                }
                _ => about.failing_since = about.failing_since.or(Some(now)),
            }
            match outcome {
                Outcome::Gone => {
                    about.gone = self.webhook.borrow().as_ref().map(|webhook| webhook.updated_at);
                    self.news.set(true);
                }
                Outcome::Again { quiet_until: Some(until), .. } => about.quiet_until = Some(until),
                _ => {}
            }
            self.write_about(&about)?;
            let (id, key) = (text(&row[0])?, text(&row[1])?);
            let entry = json!({
                "event_id": id, "type": text(&row[2])?, "key_id": Some(key).filter(|key| !key.is_empty() && *key != id),
                "attempt": attempts, "outcome": word, "status": status, "error": error, "duration_ms": took.max(0.0) as u64,
                "at": now, "next_at": next,
            });
            self.store.run("INSERT INTO attempts (body) VALUES (?)", vec![entry.to_string().into()])?;
            self.store.run(
                "DELETE FROM attempts WHERE number <= (SELECT max(number) FROM attempts) - ?",
                vec![bound(MOST_ATTEMPTS)],
            )?;
            // A few of those that nobody may ask for any more go with each attempt.
            self.store.run(
                "DELETE FROM messages WHERE state != 'waiting' AND at < ? AND position IN (SELECT position FROM messages ORDER BY position LIMIT 3)",
                vec![now.plus_seconds(-2 * KEPT_SECONDS).millis().into()],
            )?;
            // There may be room for what stayed behind.
            if next.is_none() && self.waiting()? == MOST_WAITING - PAGE {
                self.news.set(true);
            }
            if state == "given_up" {
                let line = json!({"event": "webhook", "webhook": about.name, "event_id": id, "outcome": word});
                worker::console_log!("{line}");
            }
            Ok(())
        })
    }

    /// Takes the webhook as it is and the news that it wants. Where it is gone, all is forgotten.
    async fn read_news(&self) -> Result<(), StorageError> {
        let about = self.about()?;
        if let Some(updated_at) = about.gone {
            let message = ToProject::StopWebhook { name: about.name.clone(), made_at: about.made_at, updated_at };
            match self.project(&message).await? {
                FromProject::Done => {
                    self.store.transact(|| self.write_about(&About { gone: None, ..self.about()? }))?
                }
                _ => return Err(StorageError("the project answered something else".to_owned())),
            }
        }
        let limit = PAGE.min(MOST_WAITING.saturating_sub(self.waiting()?));
        let message = ToProject::News {
            name: about.name.clone(),
            made_at: about.made_at,
            after: about.read_to,
            limit: limit as u32,
        };
        let FromProject::News { webhook, news } = self.project(&message).await? else {
            return Err(StorageError("the project answered something else".to_owned()));
        };
        let Some(webhook) = webhook else {
            self.webhook.replace(None);
            self.ready.set(false);
            return self.store.clear().await;
        };
        let now = clock();
        self.store.transact(|| {
            let mut about = self.about()?;
            about.looked_at = now;
            about.read_to = Some(news.last().map_or(about.read_to.unwrap_or(webhook.after), |last| last.position));
            for one in news.iter().filter(|one| webhook.body.wants(&one.kind)) {
                let id = message_id(&about.name, about.made_at, &one.position.to_string());
                self.queue(&id, &one.key, &one.kind, &one.body, one.at, now)?;
            }
            self.write_about(&about)
        })?;
        if limit > 0 && news.len() as u64 == limit {
            self.news.set(true);
        }
        self.webhook.replace(Some(*webhook));
        Ok(())
    }

    async fn project(&self, message: &ToProject) -> Result<FromProject, StorageError> {
        let reply = host::ask(&self.env, Namespace::Project, "project", message).await;
        reply.map_err(|error| StorageError(format!("project: {error:?}")))
    }

    fn waiting(&self) -> Result<u64, StorageError> {
        let rows = self.store.rows("SELECT count(*) FROM messages WHERE state = 'waiting'", vec![])?;
        number(&rows[0][0])
    }

    fn about(&self) -> Result<About, StorageError> {
        let rows = self.store.rows("SELECT body FROM about", vec![])?;
        rows.first().map_or_else(|| Err(StorageError("the object was emptied".to_owned())), |row| parsed(&row[0]))
    }

    fn write_about(&self, about: &About) -> Result<(), StorageError> {
        let body = written(about)?;
        self.store.run("INSERT OR REPLACE INTO about (one, body) VALUES (1, ?)", vec![body.into()])
    }
}

fn written<T: Serialize>(value: &T) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|e| StorageError(e.to_string()))
}

fn parsed<T: serde::de::DeserializeOwned>(column: &SqlStorageValue) -> Result<T, StorageError> {
    crate::read::read(text(column)?).map_err(|e| StorageError(e.to_string()))
}
