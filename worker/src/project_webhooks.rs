//! The webhooks, as the `ProjectObject` keeps them, and the news that they are told of: written in the transaction that takes the
//! event in, so that there is no event without its news and no news without its event.
//!
//! The project only says that there is something to look for. Each webhook's own object keeps how far it has read, and reads
//! on whenever it is called, and once a minute without being called: a call that is lost delays, and loses nothing.

use crate::config::Config;
use crate::host::{self, Namespace, clock};
use crate::keys::random;
use crate::messages::{AskedOfWebhook, FromProject, FromWebhook, News, StoredWebhook, ToWebhook};
use crate::project_object::ProjectObject;
use crate::storage::{StorageError, bound, number, text};
use keyward::life::Actor;
use keyward::seal::Sealed;
use keyward::time::Instant;
use keyward::webhook::{Held, KEPT_SECONDS, MOST_WEBHOOKS, Webhook, payload, place, rotated};
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use worker::SqlStorageValue;

pub const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS webhooks (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    // Positions are never used twice, or a webhook that has read further would pass over what is new.
    "CREATE TABLE IF NOT EXISTS news (position INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL)",
];

impl ProjectObject {
    /// Tells the webhooks of something that happened: to the key `key` (of one key, receivers hear in this order; empty where it is
    /// no key's), at `at`, with `data` for the message's own. Call it in the transaction that takes it in; whoever asks for it by
    /// name finds its kind in [`keyward::webhook::KINDS`].
    pub fn announce(
        &self,
        kind: &str,
        key: &str,
        at: Instant,
        data: impl FnOnce() -> Value,
    ) -> Result<(), StorageError> {
        // A webhook is told of nothing that is older than itself.
        if self.store.rows("SELECT 1 FROM webhooks LIMIT 1", vec![])?.is_empty() {
            return Ok(());
        }
        let now = clock();
        self.store.run(
            "INSERT INTO news (key, kind, at, body) VALUES (?, ?, ?, ?)",
            vec![key.into(), kind.into(), now.millis().into(), payload(kind, at, &data()).into()],
        )?;
        // A few of those that are too old go with each new one.
        self.store.run(
            "DELETE FROM news WHERE at < ? AND position IN (SELECT position FROM news ORDER BY position LIMIT 3)",
            vec![now.plus_seconds(-KEPT_SECONDS).millis().into()],
        )?;
        self.announced.borrow_mut().push(kind.to_owned());
        Ok(())
    }

    /// Calls those who want to hear of what was announced, beside the answer and after it.
    pub fn call_webhooks(&self, env: &JsValue) {
        let kinds = self.announced.take();
        if kinds.is_empty() {
            return;
        }
        let Ok(webhooks) = self.webhooks() else { return };
        for webhook in webhooks.into_iter().filter(|webhook| kinds.iter().any(|kind| webhook.body.wants(kind))) {
            let env = env.clone();
            host::background(async move {
                // A call that is lost is no harm: it looks by itself, a minute later at the latest.
                let _ = ask(&env, &webhook, AskedOfWebhook::Look).await;
            });
        }
    }

    pub fn webhooks(&self) -> Result<Vec<StoredWebhook>, StorageError> {
        self.store.rows("SELECT body FROM webhooks ORDER BY name", vec![])?.iter().map(|row| read(&row[0])).collect()
    }

    /// All webhooks, their secrets sealed anew where a retired root secret sealed them.
    pub fn resealed_webhooks(&self, config: &Config) -> Result<Vec<StoredWebhook>, StorageError> {
        let mut webhooks = self.webhooks()?;
        for webhook in &mut webhooks {
            if reseal(webhook, config) {
                self.store.transact(|| self.write_webhook(webhook))?;
            }
        }
        Ok(webhooks)
    }

    pub fn put_webhook(
        &self,
        name: &str,
        body: &Webhook,
        sealed: &Sealed,
        by: &Actor,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        let now = clock();
        let Some(before) = self.webhook(name)? else {
            let count = self.store.rows("SELECT count(*) FROM webhooks", vec![])?;
            if number(&count[0][0])? >= MOST_WEBHOOKS as u64 {
                let problem = format!("there are {MOST_WEBHOOKS} webhooks already");
                return Ok(FromProject::WebhookRefused { field: String::new(), problem });
            }
            let newest = self.store.rows("SELECT coalesce(max(position), 0) FROM news", vec![])?;
            let webhook = StoredWebhook {
                name: name.to_owned(),
                body: body.clone(),
                made_at: now,
                updated_at: now,
                after: number(&newest[0][0])?,
                gone: false,
                secrets: vec![Held::new(sealed.clone(), now)],
            };
            let changes = changes(None, body);
            return self.change_webhook(webhook, "webhook.created", &changes, true, by, config);
        };
        let fresh = before.body.origin() != body.origin();
        let mut changes = changes(Some(&before.body), body);
        let mut webhook = StoredWebhook { body: body.clone(), updated_at: now, gone: false, ..before };
        if fresh {
            // Whoever is behind the former origin knows the former secret.
            webhook.secrets = vec![Held::new(sealed.clone(), now)];
            changes["secret"] = json!({"before": "set", "after": "made anew, for the new origin"});
        }
        self.change_webhook(webhook, "webhook.updated", &changes, fresh, by, config)
    }

    pub fn delete_webhook(&self, name: &str, by: &Actor, config: &Config) -> Result<FromProject, StorageError> {
        let Some(webhook) = self.webhook(name)? else { return Ok(FromProject::NoWebhook) };
        self.store.transact(|| {
            self.store.run("DELETE FROM webhooks WHERE name = ?", vec![name.into()])?;
            self.append(&entry("webhook.deleted", name, by, &json!({})).to_string(), &config.audit)
        })?;
        Ok(FromProject::Webhook { webhook: Box::new(webhook), fresh: false })
    }

    pub fn rotate_webhook(
        &self,
        name: &str,
        origin: &str,
        sealed: &Sealed,
        by: &Actor,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        let Some(mut webhook) = self.webhook(name)? else { return Ok(FromProject::NoWebhook) };
        if webhook.body.origin() != origin {
            let problem = "the webhook was changed meanwhile; try again".to_owned();
            return Ok(FromProject::WebhookRefused { field: String::new(), problem });
        }
        let now = clock();
        webhook.secrets = rotated(&webhook.secrets, sealed.clone(), now);
        webhook.updated_at = now;
        let until = webhook.secrets.get(1).and_then(|held| held.until);
        let changes = json!({"secret": {"before": "signs until", "after": until}});
        self.change_webhook(webhook, "webhook.secret_rotated", &changes, true, by, config)
    }

    pub fn stop_webhook(
        &self,
        name: &str,
        made_at: Instant,
        updated_at: Instant,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        // What was said to an earlier form of it says nothing of this one.
        let same = |webhook: &StoredWebhook| (webhook.made_at, webhook.updated_at) == (made_at, updated_at);
        if let Some(mut webhook) = self.webhook(name)?.filter(same) {
            (webhook.body.active, webhook.gone, webhook.updated_at) = (false, true, clock());
            let changes = json!({"active": {"before": true, "after": false}});
            let by = Actor::keyward("the receiver answered 410");
            self.change_webhook(webhook, "webhook.disabled", &changes, false, &by, config)?;
        }
        Ok(FromProject::Done)
    }

    pub fn news(
        &self,
        name: &str,
        made_at: Instant,
        after: Option<u64>,
        limit: u32,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        let Some(mut webhook) = self.webhook(name)?.filter(|webhook| webhook.made_at == made_at) else {
            return Ok(FromProject::News { webhook: None, news: Vec::new() });
        };
        if reseal(&mut webhook, config) {
            self.store.transact(|| self.write_webhook(&webhook))?;
        }
        let mut news = Vec::new();
        if webhook.body.active {
            let rows = self.store.rows(
                "SELECT position, key, kind, at, body FROM news WHERE position > ? ORDER BY position LIMIT ?",
                vec![bound(after.unwrap_or(webhook.after)), bound(limit.into())],
            )?;
            for row in rows {
                news.push(News {
                    position: number(&row[0])?,
                    key: text(&row[1])?.to_owned(),
                    kind: text(&row[2])?.to_owned(),
                    at: Instant::from_millis(number(&row[3])? as i64),
                    body: text(&row[4])?.to_owned(),
                });
            }
        }
        Ok(FromProject::News { webhook: Some(Box::new(webhook)), news })
    }

    /// Stores a webhook after a change, with its row of the log.
    fn change_webhook(
        &self,
        webhook: StoredWebhook,
        kind: &str,
        changes: &Value,
        fresh: bool,
        by: &Actor,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        self.store.transact(|| {
            self.write_webhook(&webhook)?;
            self.append(&entry(kind, &webhook.name, by, changes).to_string(), &config.audit)
        })?;
        Ok(FromProject::Webhook { webhook: Box::new(webhook), fresh })
    }

    fn webhook(&self, name: &str) -> Result<Option<StoredWebhook>, StorageError> {
        let rows = self.store.rows("SELECT body FROM webhooks WHERE name = ?", vec![name.into()])?;
        rows.first().map(|row| read(&row[0])).transpose()
    }

    fn write_webhook(&self, webhook: &StoredWebhook) -> Result<(), StorageError> {
        let body = serde_json::to_string(webhook).map_err(|e| StorageError(e.to_string()))?;
        self.store.run(
            "INSERT OR REPLACE INTO webhooks (name, body) VALUES (?, ?)",
            vec![webhook.name.as_str().into(), body.into()],
        )
    }
}

/// Says something to the object that delivers for a webhook.
pub async fn ask(env: &JsValue, webhook: &StoredWebhook, what: AskedOfWebhook) -> Result<FromWebhook, JsValue> {
    let message = ToWebhook { name: webhook.name.clone(), made_at: webhook.made_at, what };
    host::ask(env, Namespace::Webhooks, &webhook.object(), &message).await
}

/// Seals anew what a retired root secret sealed; whether there was anything.
fn reseal(webhook: &mut StoredWebhook, config: &Config) -> bool {
    let place = place(&webhook.name, webhook.body.origin());
    let mut any = false;
    for held in webhook.secrets.iter_mut().filter(|held| config.sealing.is_retired(&held.sealed)) {
        if let Some(secret) = config.sealing.open(&place, &held.sealed) {
            held.sealed = config.sealing.seal(&place, &secret, &mut random);
            any = true;
        }
    }
    any
}

fn read(column: &SqlStorageValue) -> Result<StoredWebhook, StorageError> {
    crate::read::read(text(column)?).map_err(|e| StorageError(e.to_string()))
}

/// What the log tells of a change. Of a URL only the origin: receivers put tokens into the rest.
fn changes(before: Option<&Webhook>, after: &Webhook) -> Value {
    let shown = |webhook: &Webhook| {
        [
            ("url", json!(webhook.origin())),
            ("events", json!(webhook.events)),
            ("description", json!(webhook.description)),
            ("active", json!(webhook.active)),
        ]
    };
    let mut changes = json!({});
    for (position, (field, after_value)) in shown(after).into_iter().enumerate() {
        let before_value = before.map_or(Value::Null, |before| shown(before)[position].1.clone());
        let moved = field == "url" && before.is_some_and(|before| before.url != after.url);
        if before_value != after_value || moved {
            changes[field] = json!({"before": before_value, "after": after_value});
        }
    }
    changes
}

/// A row of the log.
fn entry(kind: &str, webhook: &str, by: &Actor, changes: &Value) -> Value {
    json!({
        "kind": kind, "at": clock(), "webhook": webhook, "by": by.key_id, "request_id": by.request_id,
        "address": by.address, "country": by.country, "changes": changes,
    })
}
