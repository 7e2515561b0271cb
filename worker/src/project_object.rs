//! `ProjectObject`: what the project knows of all its keys. Contract: it decides nothing about a key; it keeps the index
//! and the log in the order in which events arrive, each event once, the log chained so that altering it shows; it alone says
//! whether the first management key may still be adopted, and what an idempotency key stands for. The routes,
//! the webhooks and the incidents are its own ([`crate::project_routes`], [`crate::project_webhooks`],
//! [`crate::project_incidents`]).
//!
//! Why that holds: the events of one message are written in one synchronous transaction with the highest number seen of
//! their key's object, so that a repeated delivery finds its number and changes nothing; a row of the log is chained to the
//! last one in the same transaction.

use crate::config::Config;
use crate::edge::Isolate;
use crate::host::clock;
use crate::messages::{Filter, FromProject, ToProject};
use crate::storage::{StorageError, Store, bound, number, text};
use crate::{project_incidents, project_routes, project_webhooks};
use keyward::audit::{AuditKeys, Checker, Head, Row};
use keyward::evidence::Use;
use keyward::idempotency::{Asked, REMEMBERED_SECONDS};
use keyward::life::{Event, EventKind};
use keyward::record::{Record, ShownSecret, Stage, Status};
use keyward::safety::{Used, findings};
use keyward::time::Instant;
use keyward::webhook;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{SqlStorageValue, State};

/// The object that knows all keys of the project.
#[wasm_bindgen]
pub struct ProjectObject {
    pub(crate) store: Store,
    env: JsValue,
    ready: Cell<bool>,
    /// The last row of the log, once read.
    last: RefCell<Option<Row>>,
    /// Kinds of what was announced and not yet told to the webhooks.
    pub(crate) announced: RefCell<Vec<String>>,
}

const TABLES: [&str; 11] = [
    "CREATE TABLE IF NOT EXISTS usage_days (day INTEGER NOT NULL, id TEXT NOT NULL, calls INTEGER NOT NULL, refused INTEGER NOT NULL, PRIMARY KEY (day, id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS key_index (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL COLLATE NOCASE, owner TEXT NOT NULL, environment TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL, secrets TEXT NOT NULL, used TEXT)",
    "CREATE INDEX IF NOT EXISTS by_name ON key_index (name, position)",
    "CREATE INDEX IF NOT EXISTS by_owner ON key_index (owner, position)",
    "CREATE INDEX IF NOT EXISTS by_status ON key_index (status, position)",
    "CREATE TABLE IF NOT EXISTS roots (id TEXT NOT NULL, root TEXT NOT NULL, PRIMARY KEY (id, root)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_root ON roots (root)",
    "CREATE TABLE IF NOT EXISTS chain (position INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash TEXT NOT NULL, root TEXT NOT NULL, mac TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS seen (key_id TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS adopted (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS asked (key TEXT PRIMARY KEY, request TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
];

/// What a list shows of a row, if anything.
pub(crate) type Show<'a> = dyn Fn(&[SqlStorageValue]) -> Result<Option<Value>, StorageError> + 'a;

/// Rows of the log that are read at a time.
const PAGE: usize = 500;

#[wasm_bindgen]
impl ProjectObject {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: JsValue) -> Self {
        Self {
            store: Store::new(State::from(state)),
            env,
            ready: Cell::new(false),
            last: RefCell::new(None),
            announced: RefCell::default(),
        }
    }

    /// Answers one [`ToProject`] with one [`FromProject`], both as JSON.
    pub async fn handle(&self, message: String) -> Result<String, JsValue> {
        let message = crate::read::read(&message).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let isolate = Isolate::get(&self.env).map_err(|problem| JsValue::from_str(&problem))?;
        let config = &isolate.config;
        let reply = self.prepare(&config.audit).and_then(|()| self.decide(message, config)).inspect_err(|_| {
            self.last.replace(None);
            self.announced.take();
        })?;
        self.call_webhooks(&self.env);
        serde_json::to_string(&reply).map_err(|e| JsValue::from_str(&e.to_string()))
    }
}

impl ProjectObject {
    /// Makes the tables, and takes over those of version 0.1.
    fn prepare(&self, keys: &AuditKeys) -> Result<(), StorageError> {
        if self.ready.get() {
            return Ok(());
        }
        let older = self.store.exists("keys")?;
        self.store.transact(|| {
            let others = [&project_routes::TABLES[..], &project_webhooks::TABLES, &project_incidents::TABLES];
            TABLES.iter().chain(others.into_iter().flatten()).try_for_each(|table| self.store.run(table, vec![]))?;
            if older {
                self.store.run(
                    "INSERT INTO key_index (position, id, name, owner, environment, status, record, secrets) SELECT position, id, json_extract(record, '$.name'), json_extract(record, '$.owner'), json_extract(record, '$.environment'), json_extract(record, '$.status'), record, '[]' FROM keys",
                    vec![],
                )?;
                // Which root secrets these keys need is known when they are next used.
                self.store.run("INSERT INTO roots (id, root) SELECT id, 'unknown' FROM key_index WHERE status != 'revoked'", vec![])?;
                for row in self.store.rows("SELECT entry FROM log ORDER BY position", vec![])? {
                    self.append(text(&row[0])?, keys)?;
                }
                self.store.run("DROP TABLE keys", vec![])?;
                self.store.run("DROP TABLE log", vec![])?;
            }
            Ok(())
        })?;
        self.ready.set(true);
        Ok(())
    }

    fn decide(&self, message: ToProject, config: &Config) -> Result<FromProject, StorageError> {
        let keys = &config.audit;
        match message {
            ToProject::Events { events } => {
                self.deliver(&events, keys)?;
                Ok(FromProject::Done)
            }
            ToProject::Deliver { events } => {
                self.deliver(&events, keys)?;
                Ok(FromProject::Delivered { head: self.head()?.to_string() })
            }
            ToProject::Adopt { id } => self.adopt(&id),
            ToProject::Standing { id } => {
                let rows = self.store.rows(
                    "SELECT record, number FROM key_index JOIN seen ON key_id = id WHERE id = ?",
                    vec![id.into()],
                )?;
                let Some(row) = rows.first() else { return Ok(FromProject::Standing { record: None, number: 0 }) };
                Ok(FromProject::Standing { record: Some(parsed(&row[0])?), number: number(&row[1])? })
            }
            ToProject::Claim { asked, id } => self.claim(&asked, &id),
            ToProject::List { limit, before, filter } => self.list(limit, before, &filter),
            ToProject::Log { limit, before } => self.log(limit, before),
            ToProject::CheckLog { heads } => self.check(&heads, keys),
            ToProject::Export { after, limit } => self.export(after, limit),
            ToProject::KeySafety { limit, before } => self.key_safety(limit, before),
            ToProject::Announce { kind, data } => {
                self.store.transact(|| self.announce(&kind, "", clock(), || data.clone()))?;
                Ok(FromProject::Done)
            }
            ToProject::Tell { id, days } => self.told(&id, &days),
            ToProject::Overview { since } => self.overview(since),
            ToProject::Metrics => self.metrics(),
            ToProject::Roots => self.roots(config),
            ToProject::Routes { known } => self.routes(known, config),
            ToProject::PutRoute { name, body, own, by } => self.put_route(&name, body, &own, &by, config),
            ToProject::DeleteRoute { name, by } => self.delete_route(&name, &by, config),
            ToProject::ChangeSlot { name, change, by } => self.change_slot(&name, &change, &by, config),
            ToProject::Webhooks => Ok(FromProject::Webhooks { webhooks: self.webhooks()? }),
            ToProject::PutWebhook { name, body, sealed, by } => self.put_webhook(&name, &body, &sealed, &by, config),
            ToProject::DeleteWebhook { name, by } => self.delete_webhook(&name, &by, config),
            ToProject::RotateWebhook { name, origin, sealed, by } => {
                self.rotate_webhook(&name, &origin, &sealed, &by, config)
            }
            ToProject::StopWebhook { name, made_at, updated_at } => {
                self.stop_webhook(&name, made_at, updated_at, config)
            }
            ToProject::News { name, made_at, after, limit } => self.news(&name, made_at, after, limit, config),
            ToProject::Incidents { limit, before, key_id, status } => {
                self.incidents(limit, before, key_id.as_deref(), status.as_deref())
            }
            ToProject::Incident { id, change, markdown, by } => self.one_incident(&id, change, markdown, &by, config),
            ToProject::Respond { response, by } => self.respond(&response, &by, config),
        }
    }

    fn deliver(&self, events: &[(u64, Event)], keys: &AuditKeys) -> Result<(), StorageError> {
        self.store.transact(|| events.iter().try_for_each(|(number, event)| self.take(*number, event, keys)))
    }

    /// Takes one event into index and log, unless its number was met before.
    fn take(&self, event_number: u64, event: &Event, keys: &AuditKeys) -> Result<(), StorageError> {
        let record = &event.record;
        let id = record.id.as_str();
        let seen = self.store.rows("SELECT number FROM seen WHERE key_id = ?", vec![id.into()])?;
        if let Some(row) = seen.first()
            && number(&row[0])? >= event_number
        {
            return Ok(());
        }
        self.store
            .run("INSERT OR REPLACE INTO seen (key_id, number) VALUES (?, ?)", vec![id.into(), bound(event_number)])?;
        self.store.run(
            "INSERT INTO key_index (id, name, owner, environment, status, record, secrets, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, owner = excluded.owner, environment = excluded.environment,
             status = excluded.status, record = excluded.record, secrets = excluded.secrets, used = coalesce(excluded.used, used)",
            vec![
                id.into(),
                record.name.as_str().into(),
                record.owner.as_str().into(),
                record.environment.as_str().into(),
                written(&record.status)?.trim_matches('"').into(),
                written(record)?.into(),
                written(&event.secrets)?.into(),
                match &event.used {
                    Some(used) => written(used)?.into(),
                    None => SqlStorageValue::Null,
                },
            ],
        )?;
        self.store.run("DELETE FROM roots WHERE id = ?", vec![id.into()])?;
        // What can never verify again needs no root secret.
        let live = |secret: &&ShownSecret| secret.status != Stage::Gone && record.status != Status::Revoked;
        for secret in event.secrets.iter().filter(live) {
            let values = vec![secret.root.to_string().into(), id.into()];
            self.store.run("INSERT OR IGNORE INTO roots (root, id) VALUES (?, ?)", values)?;
        }
        if event.kind.is_logged() {
            self.append(&event.entry().to_string(), keys)?;
        }
        if event.kind.is_logged() || event.kind.is_news() {
            self.announce(event.kind.as_str(), id, event.at, || webhook::told(event))?;
        }
        if event.kind == EventKind::LEAKED {
            self.sighted(event, keys)?;
        }
        if record.is_management() {
            self.store.run("INSERT OR IGNORE INTO adopted (one, id) VALUES (1, ?)", vec![id.into()])?;
        }
        Ok(())
    }

    /// Appends a row to the log. Call it in a transaction; where that fails, [`Self::last`] must be forgotten.
    pub(crate) fn append(&self, entry: &str, keys: &AuditKeys) -> Result<(), StorageError> {
        let last = self.last_row()?;
        let row = keys.append(last.as_ref(), entry).map_err(|broken| StorageError(format!("the log: {broken}")))?;
        let [hash, mac] = [&row.hash, &row.mac].map(|bytes| keyward::crypto::to_hex(bytes));
        self.store.run(
            "INSERT INTO chain (position, entry, hash, root, mac) VALUES (?, ?, ?, ?, ?)",
            vec![bound(row.position), entry.into(), hash.into(), row.root.to_string().into(), mac.into()],
        )?;
        self.last.replace(Some(row));
        Ok(())
    }

    fn last_row(&self) -> Result<Option<Row>, StorageError> {
        if self.last.borrow().is_none() {
            let rows = self.rows_after(None)?;
            let last = rows.into_iter().next().map(|row| row.ok_or_else(unreadable)).transpose()?;
            self.last.replace(last);
        }
        Ok(self.last.borrow().clone())
    }

    fn head(&self) -> Result<Head, StorageError> {
        Ok(self.last_row()?.map_or(Head::START, |row| row.head()))
    }

    /// The rows of the log after a position, in order; or, without one, the last row alone. `None` stands for what is no row.
    fn rows_after(&self, after: Option<(u64, usize)>) -> Result<Vec<Option<Row>>, StorageError> {
        const COLUMNS: &str = "SELECT position, entry, hash, root, mac FROM chain";
        let rows = match after {
            None => self.store.rows(&format!("{COLUMNS} ORDER BY position DESC LIMIT 1"), vec![])?,
            Some((position, limit)) => self.store.rows(
                &format!("{COLUMNS} WHERE position > ? ORDER BY position LIMIT ?"),
                vec![bound(position), bound(limit as u64)],
            )?,
        };
        let read = |row: &Vec<SqlStorageValue>| {
            let texts = row[1..].iter().map(text).collect::<Result<Vec<&str>, _>>().ok()?;
            Row::from_texts(number(&row[0]).ok()?, texts[0].to_owned(), texts[1], texts[2], texts[3])
        };
        Ok(rows.iter().map(read).collect())
    }

    /// Whether the log is whole and holds the heads that somebody kept.
    fn check(&self, heads: &[String], keys: &AuditKeys) -> Result<FromProject, StorageError> {
        let mut checker = Checker::new(keys, heads.iter().filter_map(|head| Head::parse(head)));
        let mut after = 0;
        'log: loop {
            let rows = self.rows_after(Some((after, PAGE)))?;
            for row in &rows {
                let taken = match row {
                    Some(row) => {
                        after = row.position;
                        checker.take(row)
                    }
                    None => checker.unreadable(),
                };
                if taken.is_err() {
                    break 'log;
                }
            }
            if rows.len() < PAGE {
                break;
            }
        }
        let report = serde_json::to_value(checker.end()).map_err(|e| StorageError(e.to_string()))?;
        Ok(FromProject::Checked { report })
    }

    fn export(&self, after: u64, limit: u32) -> Result<FromProject, StorageError> {
        let rows = self.rows_after(Some((after, limit as usize)))?;
        let mut lines = String::new();
        let mut last = after;
        for row in rows {
            let row = row.ok_or_else(unreadable)?;
            last = row.position;
            lines.push_str(&row.line());
            lines.push('\n');
        }
        Ok(FromProject::Export { lines, last, head: self.head()?.to_string() })
    }

    /// The first management key may be adopted while no other was ever stored. Its own id may be again: a crash may lie
    /// between this answer and the record.
    fn adopt(&self, id: &str) -> Result<FromProject, StorageError> {
        self.store.run("INSERT OR IGNORE INTO adopted (one, id) VALUES (1, ?)", vec![id.into()])?;
        let rows = self.store.rows("SELECT id FROM adopted", vec![])?;
        let allowed = rows.first().map(|row| text(&row[0])).transpose()? == Some(id);
        Ok(FromProject::Adoption { allowed })
    }

    /// The id that an idempotency key stands for: `id`, if it is new.
    fn claim(&self, asked: &Asked, id: &str) -> Result<FromProject, StorageError> {
        let now = clock();
        let forgotten = now.plus_seconds(-REMEMBERED_SECONDS).millis();
        self.store
            .run("DELETE FROM asked WHERE key = ? AND at < ?", vec![asked.key.as_str().into(), forgotten.into()])?;
        self.store.run(
            "INSERT OR IGNORE INTO asked (key, request, id, at) VALUES (?, ?, ?, ?)",
            vec![asked.key.as_str().into(), asked.request.as_str().into(), id.into(), now.millis().into()],
        )?;
        let rows = self.store.rows("SELECT id, request FROM asked WHERE key = ?", vec![asked.key.as_str().into()])?;
        let row = rows.first().ok_or_else(|| StorageError("a claim was not kept".to_owned()))?;
        let claim = FromProject::Claim { id: text(&row[0])?.to_owned(), same: text(&row[1])? == asked.request };
        // A few of those whose day is over go with each new one.
        self.store.run(
            "DELETE FROM asked WHERE key IN (SELECT key FROM asked WHERE at < ? LIMIT 3)",
            vec![forgotten.into()],
        )?;
        Ok(claim)
    }

    fn list(&self, limit: u32, before: Option<u64>, filter: &Filter) -> Result<FromProject, StorageError> {
        let mut conditions = Vec::new();
        let mut values: Vec<SqlStorageValue> = Vec::new();
        for (column, wanted) in
            [("owner", &filter.owner), ("environment", &filter.environment), ("status", &filter.status)]
        {
            if let Some(wanted) = wanted {
                conditions.push(format!("{column} = ?"));
                values.push(wanted.as_str().into());
            }
        }
        let order = match &filter.search {
            None => {
                conditions.push("position < ?".to_owned());
                values.push(before.map_or(SqlStorageValue::Integer((1 << 53) - 1), bound));
                "position DESC"
            }
            // In the order of its index, so that a page costs a page: the cursor is the last row shown.
            Some(search) => {
                conditions.push("name >= ? AND name < ?".to_owned());
                values.extend([search.as_str().into(), format!("{search}\u{10FFFF}").into()]);
                if let Some(before) = before {
                    conditions.push(
                        "(name, position) > (SELECT name, position FROM key_index WHERE position = ?)".to_owned(),
                    );
                    values.push(bound(before));
                }
                "name, position"
            }
        };
        // Conditions are this file's own words; values are bound.
        let query = format!(
            "SELECT position, record, secrets, used FROM key_index WHERE {} ORDER BY {order} LIMIT ?",
            conditions.join(" AND ")
        );
        values.push(SqlStorageValue::Integer(i64::from(limit) + 1));
        let now = clock();
        self.page(&query, values, limit, &|row| {
            let (record, secrets): (Record, Vec<ShownSecret>) = (parsed(&row[1])?, parsed(&row[2])?);
            let used: Option<Use> = optional(&row[3])?;
            let mut shown = record.shown_with(&secrets, now);
            shown["last_used_on"] = day(used.as_ref().and_then(Use::last_used));
            Ok(Some(shown))
        })
    }

    fn log(&self, limit: u32, before: Option<u64>) -> Result<FromProject, StorageError> {
        let before = before.map_or(SqlStorageValue::Integer((1 << 53) - 1), bound);
        self.page(
            "SELECT position, entry FROM chain WHERE position < ? ORDER BY position DESC LIMIT ?",
            vec![before, SqlStorageValue::Integer(i64::from(limit) + 1)],
            limit,
            &|row| {
                let mut entry: Value = parsed(&row[1])?;
                entry["position"] = number(&row[0])?.into();
                Ok(Some(entry))
            },
        )
    }

    /// Findings of `limit` keys; those about which there is nothing to say are left out.
    fn key_safety(&self, limit: u32, before: Option<u64>) -> Result<FromProject, StorageError> {
        let before = before.map_or(SqlStorageValue::Integer((1 << 53) - 1), bound);
        // What was before the first event is not known; the log begins with the deployment.
        let first = self.store.rows("SELECT entry FROM chain ORDER BY position LIMIT 1", vec![])?;
        let first: Option<Value> = first.first().map(|row| parsed(&row[0])).transpose()?;
        let began = first.and_then(|entry| Instant::parse(entry["at"].as_str()?));
        let now = clock();
        self.page(
            "SELECT position, record, secrets, used FROM key_index WHERE position < ? ORDER BY position DESC LIMIT ?",
            vec![before, SqlStorageValue::Integer(i64::from(limit) + 1)],
            limit,
            &|row| {
                let (record, secrets): (Record, Vec<ShownSecret>) = (parsed(&row[1])?, parsed(&row[2])?);
                let used: Use = optional(&row[3])?.unwrap_or_default();
                let others = self.store.rows(
                    "SELECT DISTINCT environment FROM key_index WHERE name = ? AND owner = ? AND status != 'revoked'",
                    vec![record.name.as_str().into(), record.owner.as_str().into()],
                )?;
                let current = secrets.iter().rev().find(|secret| secret.status == Stage::Active);
                let used = Used {
                    last_used: used.last_used(),
                    secret_made_at: current.map_or(record.created_at, |secret| secret.created_at),
                    scopes_asked: used.scopes,
                    environments: others
                        .iter()
                        .map(|row| text(&row[0]).map(str::to_owned))
                        .collect::<Result<_, _>>()?,
                    observed_since: began.unwrap_or(record.created_at),
                };
                let findings = findings(&record, &used, now);
                Ok((!findings.is_empty()).then(|| {
                    json!({
                        "key_id": record.id, "redacted": record.redacted(), "name": record.name, "owner": record.owner,
                        "environment": record.environment, "status": record.standing(now),
                        "last_used_on": day(used.last_used), "findings": findings,
                    })
                }))
            },
        )
    }

    /// Keeps the totals of a key's days: the larger ones, since messages may overtake each other.
    fn told(&self, id: &str, days: &[(i64, u64, u64)]) -> Result<FromProject, StorageError> {
        self.store.transact(|| {
            for (day, calls, refused) in days {
                self.store.run(
                    "INSERT INTO usage_days (day, id, calls, refused) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = max(calls, excluded.calls), refused = max(refused, excluded.refused)",
                    vec![(*day).into(), id.into(), bound(*calls), bound(*refused)],
                )?;
            }
            let kept = today() - keyward::usage::KEPT_HOURS / 24;
            self.store.run("DELETE FROM usage_days WHERE day < ?", vec![kept.into()])
        })?;
        Ok(FromProject::Done)
    }

    fn overview(&self, since: i64) -> Result<FromProject, StorageError> {
        let days = self.store.rows(
            "SELECT day, sum(calls), sum(refused), count(*) FROM usage_days WHERE day >= ? GROUP BY day ORDER BY day",
            vec![since.into()],
        )?;
        let day = |row: &Vec<SqlStorageValue>| {
            let at = Instant::from_millis(number(&row[0])? as i64 * 86_400_000);
            let date = at.to_string()[..10].to_owned();
            Ok(json!({"date": date, "calls": number(&row[1])?, "refused": number(&row[2])?, "keys": number(&row[3])?}))
        };
        let keys = self.store.rows(
            "SELECT key_index.id, name, owner, environment, sum(calls) AS all_calls, sum(refused) FROM usage_days JOIN key_index ON key_index.id = usage_days.id WHERE day >= ? GROUP BY key_index.id ORDER BY all_calls DESC LIMIT 20",
            vec![since.into()],
        )?;
        let key = |row: &Vec<SqlStorageValue>| {
            Ok(json!({
                "key_id": text(&row[0])?, "name": text(&row[1])?, "owner": text(&row[2])?, "environment": text(&row[3])?,
                "calls": number(&row[4])?, "refused": number(&row[5])?,
            }))
        };
        Ok(FromProject::Overview {
            days: days.iter().map(day).collect::<Result<_, StorageError>>()?,
            keys: keys.iter().map(key).collect::<Result<_, StorageError>>()?,
        })
    }

    fn metrics(&self) -> Result<FromProject, StorageError> {
        let count = |query: &str, values: Vec<SqlStorageValue>| {
            let rows = self.store.rows(query, values)?;
            rows.first().map_or(Ok(0), |row| number(&row[0]))
        };
        let keys = self.store.rows(
            "SELECT environment, status, count(*) FROM key_index GROUP BY environment, status ORDER BY environment, status",
            vec![],
        )?;
        let of =
            |row: &Vec<SqlStorageValue>| Ok((text(&row[0])?.to_owned(), text(&row[1])?.to_owned(), number(&row[2])?));
        let today = vec![today().into()];
        Ok(FromProject::Metrics {
            keys: keys.iter().map(of).collect::<Result<_, StorageError>>()?,
            calls: count("SELECT coalesce(sum(calls), 0) FROM usage_days WHERE day = ?", today.clone())?,
            refused: count("SELECT coalesce(sum(refused), 0) FROM usage_days WHERE day = ?", today)?,
            rows: count("SELECT count(*) FROM chain", vec![])?,
            routes: count("SELECT count(*) FROM routes", vec![])?,
        })
    }

    fn roots(&self, config: &Config) -> Result<FromProject, StorageError> {
        let rows = self.store.rows("SELECT root, count(*) FROM roots GROUP BY root", vec![])?;
        let keys = rows
            .iter()
            .map(|row| Ok((text(&row[0])?.to_owned(), number(&row[1])?)))
            .collect::<Result<_, StorageError>>()?;
        let log = self.last_row()?.map(|row| row.root.to_string());
        Ok(FromProject::Roots { keys, log, sealed: self.sealed_under(config)? })
    }

    /// A page of what `query` finds, whose first column is the position and whose limit is one row more than `limit`.
    pub(crate) fn page(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
        limit: u32,
        // Not one for each list: that is five times the same code.
        show: &Show<'_>,
    ) -> Result<FromProject, StorageError> {
        let rows = self.store.rows(query, values)?;
        let (shown, more) = rows.split_at(rows.len().min(limit as usize));
        let next = match (more.is_empty(), shown.last()) {
            (false, Some(last)) => Some(number(&last[0])?),
            _ => None,
        };
        let rows = shown.iter().filter_map(|row| show(row).transpose()).collect::<Result<Vec<Value>, _>>()?;
        Ok(FromProject::Page { rows, next })
    }
}

/// Days since 1970 (UTC).
fn today() -> i64 {
    keyward::usage::hour_of(clock()).div_euclid(24)
}

fn unreadable() -> StorageError {
    StorageError("the log: a row cannot be read".to_owned())
}

fn written<T: Serialize>(value: &T) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|e| StorageError(e.to_string()))
}

fn parsed<T: DeserializeOwned>(column: &SqlStorageValue) -> Result<T, StorageError> {
    crate::read::read(text(column)?).map_err(|e| StorageError(e.to_string()))
}

pub(crate) fn optional<T: DeserializeOwned>(column: &SqlStorageValue) -> Result<Option<T>, StorageError> {
    match column {
        SqlStorageValue::Null => Ok(None),
        column => parsed(column).map(Some),
    }
}

/// The UTC day of an instant: that a key was used on a day is what the index is told.
pub(crate) fn day(at: Option<Instant>) -> Value {
    at.map_or(Value::Null, |at| at.to_string()[..10].into())
}
