//! The routes at the edge: all of them, leased together for five seconds and renewed beside a call, so that a call to a hot
//! route asks nobody and a name that no route has costs nothing. What was prepared from a route stays until it changes.

use crate::edge::Isolate;
use crate::host::{self, Namespace, clock};
use crate::messages::{FromProject, FromRoute, StoredRoute, ToProject, ToRoute};
use crate::project_routes::known;
use crate::redaction::Redaction;
use keyward::lease;
use keyward::route::Route;
use keyward::slots::{Slot, SlotUse};
use keyward::time::Instant;
use serde_json::{Value, json};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use zeroize::Zeroizing;

/// For how long routes are leased, in seconds.
pub const LEASE_SECONDS: u32 = 5;
/// How long after a call what was seen of its secret is reported, in milliseconds.
const REPORT_MS: u32 = 1_000;

/// What the runtime needs of a call, and the secret.
pub type Plan = (JsValue, Option<Zeroizing<String>>);

/// A route as an edge holds it.
pub struct LiveRoute {
    pub stored: StoredRoute,
    /// What its calls are counted as in the usage of a key.
    pub counted_as: String,
    /// None where the configuration no longer allows it.
    pub route: Option<Route>,
    /// What is looked for in answers, once made.
    pub redaction: OnceCell<Option<Redaction>>,
    /// What calls with the secret of each slot need, once made; nothing where the secret cannot be opened.
    pub plans: [OnceCell<Option<Plan>>; 2],
    /// Counts calls, to spread them over the slots. One state of a route hands it to the next, which calls under way share.
    draws: Rc<Cell<u32>>,
    used: Rc<Used>,
}

/// Name of the object that counts for a route: another one when a route of the same name is made anew.
fn counter(route: &StoredRoute) -> String {
    format!("{}@{}", route.name, route.made_at.millis())
}

/// What was seen of a route's secrets and not yet reported. One state of a route hands it to the next.
struct Used {
    /// A state of the route, for its name.
    route: StoredRoute,
    seen: RefCell<Vec<SlotUse>>,
    /// Until when a request's background work will have reported it.
    reported_by: Cell<Option<Instant>>,
}

#[derive(Clone)]
struct Leased {
    version: u64,
    as_of: Instant,
    routes: Rc<HashMap<String, Rc<LiveRoute>>>,
}

/// All routes.
#[derive(Default)]
pub struct RouteTable {
    leased: RefCell<Option<Leased>>,
    renew_from: Cell<Option<Instant>>,
    silent_until: Cell<Option<Instant>>,
    /// When a change last went through this edge: what was asked for before that is no longer good.
    changed_at: Cell<Option<Instant>>,
}

impl Isolate {
    /// The route of that name. An error: nobody could say.
    pub async fn route(&self, name: &str) -> Result<Option<Rc<LiveRoute>>, ()> {
        let now = clock();
        if let Some(leased) = self.routes.in_hand(now) {
            return Ok(leased.routes.get(name).cloned());
        }
        if self.routes.silent_until.get().is_some_and(|until| now < until) {
            return Err(());
        }
        Ok(self.renew_routes().await?.routes.get(name).cloned())
    }

    async fn renew_routes(&self) -> Result<Leased, ()> {
        let known = self.routes.leased.borrow().as_ref().map(|leased| leased.version);
        let as_of = clock();
        let reply = host::ask(&self.env, Namespace::Project, "project", &ToProject::Routes { known }).await;
        // Not what was held before: of renewals side by side, the first makes what the others go on with.
        let held = self.routes.leased.borrow().clone();
        let routes = match (reply, held) {
            (Ok(FromProject::Routes { version, .. }), Some(held)) if held.version == version => (version, held.routes),
            (Ok(FromProject::Routes { version, routes: Some(routes) }), held) => {
                let live = |stored: StoredRoute| {
                    let old = held.as_ref().and_then(|held| held.routes.get(&stored.name));
                    let kept = old.filter(|old| old.stored.version == stored.version).cloned();
                    let name = stored.name.clone();
                    (name, kept.unwrap_or_else(|| Rc::new(LiveRoute::new(self, stored, old.map(Rc::as_ref)))))
                };
                (version, Rc::new(routes.into_iter().map(live).collect()))
            }
            _ => {
                self.routes.silent_until.set(Some(clock().plus_millis(lease::SILENT_MS)));
                self.routes.renew_from.set(Some(clock().plus_millis(lease::SILENT_MS)));
                return Err(());
            }
        };
        let leased = Leased { version: routes.0, as_of, routes: routes.1 };
        if self.routes.leased.borrow().as_ref().is_none_or(|held| held.as_of <= as_of) {
            self.routes.leased.replace(Some(leased.clone()));
            self.routes.renew_from.set(Some(lease::renew_from(as_of, LEASE_SECONDS)));
        }
        Ok(leased)
    }

    /// Has the routes asked for anew, after a change that went through this edge.
    pub fn forget_routes(&self) {
        self.routes.changed_at.set(Some(clock()));
    }
}

impl RouteTable {
    /// The routes, while their lease lasts; one that grows old is renewed beside the call.
    fn in_hand(&self, now: Instant) -> Option<Leased> {
        let leased = self.leased.borrow().clone()?;
        // A clock that was set back must not make a lease longer.
        let outdated = self.changed_at.get().is_some_and(|changed| leased.as_of <= changed);
        if outdated || now < leased.as_of || now >= lease::end(leased.as_of, LEASE_SECONDS) {
            return None;
        }
        if self.renew_from.get().is_none_or(|from| now >= from) {
            // Once: what comes of it sets the next time.
            self.renew_from.set(Some(lease::end(leased.as_of, LEASE_SECONDS)));
            host::background(async {
                if let Ok(isolate) = Isolate::current() {
                    let _ = isolate.renew_routes().await;
                }
            });
        }
        Some(leased)
    }
}

impl LiveRoute {
    fn new(isolate: &Isolate, stored: StoredRoute, before: Option<&Self>) -> Self {
        let used = || Used { route: stored.clone(), seen: RefCell::default(), reported_by: Cell::new(None) };
        let before = before.filter(|before| before.stored.made_at == stored.made_at);
        let used = before.map_or_else(|| Rc::new(used()), |before| before.used.clone());
        Self {
            route: known(&stored.body, &isolate.config),
            counted_as: format!("/r/{}", stored.name),
            stored,
            redaction: OnceCell::new(),
            plans: [OnceCell::new(), OnceCell::new()],
            draws: before.map_or_else(Rc::default, |before| before.draws.clone()),
            used,
        }
    }

    /// The slots for a call: the first to try, and the one to fall back to.
    pub fn pick(&self) -> Option<(Slot, Option<Slot>)> {
        let draw = self.draws.get();
        self.draws.set(draw.wrapping_add(1));
        self.stored.slots.pick(draw)
    }

    /// Counts what came of a call with the secret of a slot: the upstream's status, or none.
    pub fn count(&self, slot: Slot, status: Option<u16>) {
        let Some(number) = self.stored.slots.get(slot).map(|held| held.number) else { return };
        let now = clock();
        let seen = SlotUse {
            number,
            calls: 1,
            failures: u64::from(status.is_none_or(|status| status >= 500)),
            unauthorized: u64::from(status == Some(401)),
            last_used_at: Some(now),
        };
        self.used.add(&seen);
        if self.used.reported_by.get().is_none_or(|by| by < now) {
            // Longer than it takes: the runtime may end it before its time.
            self.used.reported_by.set(Some(now.plus_millis(3 * i64::from(REPORT_MS))));
            let used = self.used.clone();
            host::background(async move { used.report().await });
        }
    }
}

impl Used {
    fn add(&self, more: &SlotUse) {
        let mut seen = self.seen.borrow_mut();
        match seen.iter_mut().find(|of| of.number == more.number) {
            Some(of) => of.add(more),
            None => seen.push(more.clone()),
        }
    }

    async fn report(&self) {
        host::pause(REPORT_MS).await;
        let used = self.seen.take();
        self.reported_by.set(None);
        let Ok(isolate) = Isolate::current() else { return };
        if isolate.to_route(&self.route, &ToRoute::Note { used: used.clone() }).await.is_err() {
            // Kept for the next report: counted twice rather than never.
            used.iter().for_each(|more| self.add(more));
        }
    }
}

impl Isolate {
    /// Tells the webhooks of an anomaly of a route, if there is one to tell. A word that is lost stands in the route's use.
    pub fn announce_anomaly(&self, route: &str, anomaly: Option<Value>) {
        let Some(anomaly) = anomaly else { return };
        let data = json!({"route": route, "anomaly": anomaly});
        host::background(async move {
            if let Ok(isolate) = Self::current() {
                let _ = isolate.to_project(&ToProject::Announce { kind: "route.anomaly".to_owned(), data }).await;
            }
        });
    }

    /// Says something to the object that counts the calls of a route.
    pub async fn to_route(&self, route: &StoredRoute, message: &ToRoute) -> Result<FromRoute, JsValue> {
        host::ask(&self.env, Namespace::Routes, &counter(route), message).await
    }
}
