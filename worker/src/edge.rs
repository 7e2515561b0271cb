//! Verification at the edge: from a lease in hand without any I/O, else by asking the authority once.

use crate::config::Config;
use crate::host::clock;
use crate::key_object::project;
use crate::messages::{FromKey, FromProject, ToKey, ToProject};
use crate::request::Request;
use keyward::draft::DEFAULT_STALENESS;
use keyward::edge::{EdgeStore, lease_end};
use keyward::key::KeyText;
use keyward::life::Actor;
use keyward::record::StoredKey;
use keyward::scope::Needed;
use keyward::time::Instant;
use keyward::verify::{Code, Facts, inspect, judge};
use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

/// Leases that an isolate keeps at most, and what they may weigh together.
const MOST_LEASES: usize = 100_000;
const MOST_BYTES: usize = 48 << 20;

/// What this isolate knows: its configuration and its leases.
pub struct Isolate {
    pub config: Config,
    pub env: Env,
    leases: RefCell<EdgeStore<Rc<Leased>>>,
}

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

/// What the authority answered about one key, and what was prepared from it.
pub struct Leased {
    /// The key, or `None`: there is no such key.
    pub key: Option<StoredKey>,
    /// The instant before the question was sent.
    pub as_of: Instant,
    pub ends_at: Instant,
    /// The accepting answer of `/v1/authorize`, all but its request id.
    pub accepted: OnceCell<JsValue>,
    /// The constant members of a verify answer.
    pub members: OnceCell<String>,
}

/// How fresh a verdict is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Decided from the text alone.
    Offline,
    /// From a lease in hand.
    Lease,
    /// From what the authority answered just now.
    Authority,
}

/// A verdict, and on what it rests.
pub struct Verified {
    pub code: Code,
    pub mode: Mode,
    pub leased: Option<Rc<Leased>>,
}

/// Where the facts about a caller come from: they are read only where the record asks for them.
pub trait Caller {
    /// Address, country, origin.
    fn network(&self) -> (Option<IpAddr>, Option<String>, Option<String>);
}

impl Caller for Request {
    fn network(&self) -> (Option<IpAddr>, Option<String>, Option<String>) {
        let (address, country) = self.client();
        (address, country, self.origin())
    }
}

impl Isolate {
    /// This isolate, configured on its first request.
    ///
    /// # Errors
    /// What is missing in the configuration.
    pub fn get(env: &JsValue) -> Result<Rc<Self>, String> {
        Self::current().or_else(|()| {
            let made = Rc::new(Self {
                config: Config::read(env)?,
                env: env.clone().unchecked_into(),
                leases: RefCell::new(EdgeStore::new(MOST_LEASES, MOST_BYTES)),
            });
            Ok(ISOLATE.with(|isolate| isolate.get_or_init(|| made).clone()))
        })
    }

    /// This isolate, if a request has configured it.
    pub fn current() -> Result<Rc<Self>, ()> {
        ISOLATE.with(|isolate| isolate.get().cloned()).ok_or(())
    }

    /// The verdict where it can be had without I/O: from the text alone or from a lease in hand.
    pub fn verify_now(
        &self,
        text: &str,
        environment: Option<&str>,
        needed: &[Needed<'_>],
        caller: &dyn Caller,
    ) -> Option<Verified> {
        let offline = |code| Some(Verified { code, mode: Mode::Offline, leased: None });
        let key = match inspect(text, &self.config.brand, environment) {
            Ok(key) => key,
            Err(code) => return offline(code),
        };
        let now = clock();
        if let Some(leased) = self.leases.borrow_mut().get(key.id, now) {
            let code = self.judge(&key, needed, caller, leased, now);
            return Some(Verified { code, mode: Mode::Lease, leased: Some(leased.clone()) });
        }
        if !self.config.tags.issued(key.brand, key.environment, key.id) {
            return offline(Code::NotFound);
        }
        None
    }

    /// The verdict, asking the authority where nothing is in hand.
    pub async fn verify(
        &self,
        request_id: &str,
        text: &str,
        environment: Option<&str>,
        needed: &[Needed<'_>],
        caller: &dyn Caller,
    ) -> Verified {
        if let Some(verified) = self.verify_now(text, environment, needed, caller) {
            return verified;
        }
        let unavailable = Verified { code: Code::Unavailable, mode: Mode::Authority, leased: None };
        let Ok(key) = KeyText::parse(text, Some(&self.config.brand)) else { return unavailable };
        match self.ask(key.id, request_id).await {
            None => unavailable,
            Some(leased) => {
                let code = self.judge(&key, needed, caller, &leased, clock());
                Verified { code, mode: Mode::Authority, leased: Some(leased) }
            }
        }
    }

    fn judge(
        &self,
        key: &KeyText<'_>,
        needed: &[Needed<'_>],
        caller: &dyn Caller,
        leased: &Leased,
        now: Instant,
    ) -> Code {
        let stored = leased.key.as_ref();
        let peppers = &self.config.peppers;
        if !stored.is_some_and(|stored| stored.record.restricts_network()) {
            return judge(key, &Facts { needed, ..Facts::default() }, stored, peppers, now);
        }
        let (address, country, origin) = caller.network();
        let facts =
            Facts { environment: None, address, country: country.as_deref(), origin: origin.as_deref(), needed };
        judge(key, &facts, stored, peppers, now)
    }

    /// Asks the authority what it knows of `id` and keeps that for as long as it may be kept. `None` where there is no
    /// answer in time.
    async fn ask(&self, id: &str, request_id: &str) -> Option<Rc<Leased>> {
        let as_of = clock();
        let key = match self.to_key(id, &ToKey::Lease).await {
            Ok(FromKey::Lease { key: Some(key) }) => Some(*key),
            Ok(FromKey::Lease { key: None }) => self.adopt(id, request_id).await.ok()?,
            _ => return None,
        };
        let seconds = key.as_ref().map_or(DEFAULT_STALENESS, |key| key.record.max_staleness_seconds);
        let ends_at = lease_end(as_of, seconds);
        let now = clock();
        if seconds > 0 && now >= ends_at {
            return None;
        }
        // An estimate by the parts that can be long; the store's bound is on the sum.
        let bytes = 600 + key.as_ref().map_or(0, |k| serde_json::to_string(&k.record).map_or(0, |json| 2 * json.len()));
        let leased = Rc::new(Leased { key, as_of, ends_at, accepted: OnceCell::new(), members: OnceCell::new() });
        self.leases.borrow_mut().put(id, as_of, ends_at, now, bytes, leased.clone());
        Some(leased)
    }

    /// The first management key becomes an ordinary one when it is first used, if no other was ever stored.
    async fn adopt(&self, id: &str, request_id: &str) -> Result<Option<StoredKey>, JsValue> {
        let Some(first) = self.config.first_key.as_ref().filter(|first| first.record.id == id) else { return Ok(None) };
        match self.to_project(&ToProject::Adopt { id: id.to_owned() }).await? {
            FromProject::Adoption { allowed: true } => {}
            _ => return Ok(None),
        }
        let by = Actor { key_id: id.to_owned(), request_id: request_id.to_owned() };
        self.to_key(id, &ToKey::Create { key: Box::new(first.clone()), by }).await?;
        Ok(Some(first.clone()))
    }

    /// Drops this isolate's own lease, after a change that was made through it. Other edges go on to the end of theirs.
    pub fn forget(&self, id: &str) {
        self.leases.borrow_mut().forget(id);
    }

    /// Says something to the object that owns a key.
    pub async fn to_key(&self, id: &str, message: &ToKey) -> Result<FromKey, JsValue> {
        let object: crate::host::Authority = self.env.durable_object("KEYS")?.get_by_name(id)?.into_rpc();
        ask(&object, message).await
    }

    /// Says something to the project's object.
    pub async fn to_project(&self, message: &ToProject) -> Result<FromProject, JsValue> {
        ask(&project(&self.env)?, message).await
    }
}

async fn ask<T: serde::Serialize, R: serde::de::DeserializeOwned>(
    object: &crate::host::Authority,
    message: &T,
) -> Result<R, JsValue> {
    let unreadable = |error: serde_json::Error| JsValue::from_str(&error.to_string());
    let reply = object.ask(&serde_json::to_string(message).map_err(unreadable)?).await?;
    serde_json::from_str(&reply).map_err(unreadable)
}
