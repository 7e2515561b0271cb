//! The routes, as the `ProjectObject` keeps them: each change is written with its row of the log in one synchronous
//! transaction. Edges take all of them at once, so that a name that is nobody's costs no question.

use crate::config::Config;
use crate::host::clock;
use crate::keys::random;
use crate::messages::{FromProject, SlotChange, StoredRoute};
use crate::project_object::ProjectObject;
use crate::storage::{StorageError, bound, number, text};
use keyward::life::Actor;
use keyward::route::{MOST_ROUTES, Route, place};
use keyward::seal::Sealed;
use keyward::slots::{Slot, Slots};
use keyward::upstream::origin_of;
use serde_json::{Value, json};
use worker::SqlStorageValue;

pub const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS routes (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
];

/// What a change of a route comes to.
enum Changed {
    To(Box<StoredRoute>, &'static str, Value),
    Refused(String, String),
}

impl ProjectObject {
    /// All routes, unless the asker has them. Secrets that are sealed under a retired root secret are sealed anew first.
    pub fn routes(&self, known: Option<u64>, config: &Config) -> Result<FromProject, StorageError> {
        let version = self.version()?;
        if known == Some(version) {
            return Ok(FromProject::Routes { version, routes: None });
        }
        Ok(FromProject::Routes { version, routes: Some(self.all_routes(config)?) })
    }

    fn all_routes(&self, config: &Config) -> Result<Vec<StoredRoute>, StorageError> {
        let rows = self.store.rows("SELECT body FROM routes ORDER BY name", vec![])?;
        let mut routes = rows.iter().map(|row| read(&row[0])).collect::<Result<Vec<_>, _>>()?;
        for stored in &mut routes {
            if reseal(stored, config) {
                self.store.transact(|| self.write(stored))?;
            }
        }
        Ok(routes)
    }

    /// How many upstream secrets, and secrets of webhooks, need each root secret, once those that can be are sealed anew.
    pub fn sealed_under(&self, config: &Config) -> Result<Vec<(String, u64)>, StorageError> {
        let mut counts: Vec<(String, u64)> = Vec::new();
        let mut count = |sealed: &Sealed| {
            let root = sealed.root.to_string();
            match counts.iter_mut().find(|(name, _)| *name == root) {
                Some((_, count)) => *count += 1,
                None => counts.push((root, 1)),
            }
        };
        for route in self.all_routes(config)? {
            route.slots.held.iter().flatten().filter_map(|held| held.sealed.as_ref()).for_each(&mut count);
        }
        for webhook in self.resealed_webhooks(config)? {
            webhook.secrets.iter().for_each(|held| count(&held.sealed));
        }
        Ok(counts)
    }

    pub fn put_route(
        &self,
        name: &str,
        body: Value,
        own: &[String],
        by: &Actor,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        self.change_route(name, by, config, |before, version| {
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            let route = match Route::read(body.clone(), &config.environments, &config.local_upstreams, &own) {
                Ok(route) => route,
                Err(invalid) => return Ok(Some(refused(invalid.field, invalid.problem))),
            };
            let now = clock();
            let shown = route.shown();
            let Some(before) = before else {
                let count = self.store.rows("SELECT count(*) FROM routes", vec![])?;
                if number(&count[0][0])? >= MOST_ROUTES as u64 {
                    return Ok(Some(refused(String::new(), format!("there are {MOST_ROUTES} routes already"))));
                }
                let changes = json!({"upstream": {"before": null, "after": shown["upstream"]}});
                let slots = Slots::default();
                let stored =
                    StoredRoute { name: name.to_owned(), body: shown, made_at: now, updated_at: now, version, slots };
                return Ok(Some(Changed::To(Box::new(stored), "route.created", changes)));
            };
            let old = known(&before.body, config);
            let kept = old.is_some_and(|old| route.keeps_secrets_of(&old));
            let mut changes = json!({});
            for (field, after) in shown.as_object().into_iter().flatten() {
                if before.body[field] != *after {
                    changes[field] = json!({"before": before.body[field], "after": after});
                }
            }
            let mut slots = before.slots;
            if !kept && slots.held.iter().any(Option::is_some) {
                slots = Slots { last: slots.last, ..Slots::default() };
                changes["secrets"] = json!({"before": "set", "after": "emptied: they are bound to the origin"});
            }
            let stored = StoredRoute { body: shown, updated_at: now, version, slots, ..before };
            Ok(Some(Changed::To(Box::new(stored), "route.updated", changes)))
        })
    }

    pub fn change_slot(
        &self,
        name: &str,
        change: &SlotChange,
        by: &Actor,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        self.change_route(name, by, config, |before, version| {
            let Some(mut stored) = before else { return Ok(None) };
            let now = clock();
            let route = known(&stored.body, config);
            let slots = stored.slots.clone();
            let kind = match change {
                SlotChange::Set { slot, held, origin, weight } => {
                    // What was sealed is bound to the origin that the route had a moment ago.
                    if route.as_ref().is_none_or(|route| route.upstream.origin != *origin) {
                        return Ok(Some(refused(
                            String::new(),
                            "the route was changed meanwhile; try again".to_owned(),
                        )));
                    }
                    if let Some(held) = held {
                        stored.slots.set(*slot, held.sealed.clone(), held.environment.clone(), now);
                    }
                    if let Some(weight) = weight {
                        if *weight > 0 && stored.slots.get(Slot::Next).is_none() {
                            return Ok(Some(refused("weight".to_owned(), "needs a secret in next".to_owned())));
                        }
                        stored.slots.weight = *weight;
                    }
                    if held.is_some() { "route.secret_set" } else { "route.traffic_shifted" }
                }
                SlotChange::Retire { slot, number } => {
                    if stored.slots.get(*slot).is_none_or(|held| held.number != *number) {
                        return Ok(Some(refused(
                            String::new(),
                            "the slot was changed meanwhile; look again".to_owned(),
                        )));
                    }
                    let origin = origin_of(stored.body["upstream"].as_str().unwrap_or_default());
                    let [current, next] = Slot::NAMES.map(|slot| place(name, slot, origin));
                    stored.slots.retire(*slot);
                    // What moves from one slot to the other is bound to the one that it leaves.
                    let moved = stored.slots.held[0].as_mut().filter(|_| *slot == Slot::Current);
                    if let Some(held) = moved {
                        let opened = held.sealed.as_ref().map(|sealed| config.sealing.open(&next, sealed));
                        match opened {
                            Some(Some(secret)) => {
                                held.sealed = Some(config.sealing.seal(&current, &secret, &mut random));
                            }
                            Some(None) => {
                                let problem = "what is in next cannot be opened: its root secret is gone; set it anew";
                                return Ok(Some(refused(String::new(), problem.to_owned())));
                            }
                            None => {}
                        }
                    }
                    "route.secret_retired"
                }
            };
            (stored.updated_at, stored.version) = (now, version);
            let changes = changes(&slots, &stored.slots);
            Ok(Some(Changed::To(Box::new(stored), kind, changes)))
        })
    }

    pub fn delete_route(&self, name: &str, by: &Actor, config: &Config) -> Result<FromProject, StorageError> {
        let Some(stored) = self.route(name)? else { return Ok(FromProject::NoRoute) };
        self.store.transact(|| {
            self.store.run("DELETE FROM routes WHERE name = ?", vec![name.into()])?;
            self.next_version()?;
            self.append(&entry("route.deleted", name, by, &json!({})).to_string(), &config.audit)
        })?;
        Ok(FromProject::Route { route: Box::new(stored) })
    }

    /// Has a route changed, with its row of the log.
    fn change_route(
        &self,
        name: &str,
        by: &Actor,
        config: &Config,
        change: impl Fn(Option<StoredRoute>, u64) -> Result<Option<Changed>, StorageError>,
    ) -> Result<FromProject, StorageError> {
        let mut reply = FromProject::NoRoute;
        self.store.transact(|| {
            let before = self.route(name)?;
            reply = match change(before, self.version()? + 1)? {
                None => FromProject::NoRoute,
                Some(Changed::Refused(field, problem)) => FromProject::RouteRefused { field, problem },
                Some(Changed::To(route, kind, changes)) => {
                    self.next_version()?;
                    self.write(&route)?;
                    self.append(&entry(kind, name, by, &changes).to_string(), &config.audit)?;
                    FromProject::Route { route }
                }
            };
            Ok(())
        })?;
        Ok(reply)
    }

    fn route(&self, name: &str) -> Result<Option<StoredRoute>, StorageError> {
        let rows = self.store.rows("SELECT body FROM routes WHERE name = ?", vec![name.into()])?;
        rows.first().map(|row| read(&row[0])).transpose()
    }

    fn write(&self, route: &StoredRoute) -> Result<(), StorageError> {
        let body = serde_json::to_string(route).map_err(|e| StorageError(e.to_string()))?;
        self.store.run(
            "INSERT OR REPLACE INTO routes (name, body) VALUES (?, ?)",
            vec![route.name.as_str().into(), body.into()],
        )
    }

    fn version(&self) -> Result<u64, StorageError> {
        let rows = self.store.rows("SELECT value FROM counters WHERE name = 'routes'", vec![])?;
        rows.first().map_or(Ok(0), |row| number(&row[0]))
    }

    fn next_version(&self) -> Result<(), StorageError> {
        let next = self.version()? + 1;
        self.store.run("INSERT OR REPLACE INTO counters (name, value) VALUES ('routes', ?)", vec![bound(next)])
    }
}

fn refused(field: String, problem: String) -> Changed {
    Changed::Refused(field, problem)
}

fn read(column: &SqlStorageValue) -> Result<StoredRoute, StorageError> {
    crate::read::read(text(column)?).map_err(|e| StorageError(e.to_string()))
}

/// A stored route, unless what it says is no longer allowed by the configuration.
pub fn known(body: &Value, config: &Config) -> Option<Route> {
    Route::read(body.clone(), &config.environments, &config.local_upstreams, &[]).ok()
}

/// Seals anew what a retired root secret sealed, also where the configuration does not allow the route now; whether there was
/// anything.
fn reseal(stored: &mut StoredRoute, config: &Config) -> bool {
    let origin = origin_of(stored.body["upstream"].as_str().unwrap_or_default()).to_owned();
    let mut any = false;
    for slot in [Slot::Current, Slot::Next] {
        let place = place(&stored.name, slot.as_str(), &origin);
        let sealed = stored.slots.held[slot as usize].as_mut().and_then(|held| held.sealed.as_mut());
        if let Some(sealed) = sealed.filter(|sealed| config.sealing.is_retired(sealed))
            && let Some(secret) = config.sealing.open(&place, sealed)
        {
            *sealed = config.sealing.seal(&place, &secret, &mut random);
            any = true;
        }
    }
    any
}

/// What the log tells of a change of slots.
fn changes(before: &Slots, after: &Slots) -> Value {
    let shown = |slots: &Slots, slot| {
        slots.get(slot).map(|held| json!({"number": held.number, "environment": held.environment}))
    };
    let mut changes = json!({});
    for slot in [Slot::Current, Slot::Next] {
        let (before, after) = (shown(before, slot), shown(after, slot));
        if before != after {
            changes[slot.as_str()] = json!({"before": before, "after": after});
        }
    }
    if before.weight != after.weight {
        changes["weight"] = json!({"before": before.weight, "after": after.weight});
    }
    changes
}

/// A row of the log.
fn entry(kind: &str, route: &str, by: &Actor, changes: &Value) -> Value {
    json!({
        "kind": kind, "at": clock(), "route": route, "by": by.key_id, "request_id": by.request_id,
        "address": by.address, "country": by.country, "changes": changes,
    })
}
