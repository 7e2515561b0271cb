//! Verification at the edge: from a lease in hand without any I/O, else by asking the authority. How long a lease lasts, when
//! it is renewed and when an unknown secret is a reason to ask again is decided in `keyward::lease`; here it is done.
//!
//! Requests never wait for each other's promises, which the runtime would cancel with the request that made them. Whoever finds
//! that a question about an id is under way looks again a few milliseconds later for what it brought.

use crate::config::Config;
use crate::host::{self, Namespace, PATIENCE_MS, clock};
use crate::messages::{FromKey, FromProject, Question, ToKey, ToProject, Verdict};
use crate::request::Request;
use crate::route_table::RouteTable;
use js_sys::{Array, Promise};
use keyward::allowance::{Denied, Left, Purse, Returned, Spent};
use keyward::edge::EdgeStore;
use keyward::evidence::{Use, network};
use keyward::foreign::{Budget, Presented};
use keyward::key::KeyText;
use keyward::lease;
use keyward::life::Actor;
use keyward::numbers::Destination;
use keyward::record::{Record, StoredKey};
use keyward::root::Digest;
use keyward::scope::Needed;
use keyward::time::Instant;
use keyward::usage::{Usage, range_of};
use keyward::verify::{Code, Facts, Judged, inspect, judge};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// Leases that an isolate keeps at most, and what they may weigh together.
const MOST_LEASES: usize = 100_000;
const MOST_BYTES: usize = 38 << 20;
/// Questions under way that are remembered at most.
const MOST_QUESTIONS: usize = 10_000;
/// What a lease without a key weighs, in bytes.
const MARK_BYTES: usize = 800;
/// How soon, and how often at the least, a request looks for what another one's question brought, in milliseconds.
const LOOK_MS: u32 = 4;
const SLOWEST_LOOK_MS: u32 = 64;
/// How long after the last call what was seen is reported at the latest, in milliseconds.
const REPORT_MS: i64 = 1_500;
/// How often a call asks for a slice at most: others may have spent the last one before it came to it.
const MOST_DRAWS: usize = 8;
/// For how long one request's background work reports, in milliseconds: the runtime ends it after half a minute.
const REPORTER_MS: i64 = 20_000;
/// How many reports one request's background work sends at most, and how many of them at a time: a request may ask only so
/// often.
const MOST_REPORTS: usize = 400;
const REPORTS_AT_A_TIME: usize = 32;
/// Keys whose use waits to be reported, at most; of more, what is seen goes with the next renewal or not at all.
const MOST_UNREPORTED: usize = 10_000;
/// How long that a key wants the authority's own verdicts is remembered, in seconds: it is no permission, only a hint.
const STRICT_SECONDS: u32 = 60;

/// What this isolate knows: its configuration and its leases.
pub struct Isolate {
    pub config: Config,
    pub env: JsValue,
    leases: RefCell<EdgeStore<Rc<Leased>>>,
    pub routes: RouteTable,
    /// Questions under way, and since when.
    asking: RefCell<HashMap<String, Instant>>,
    foreign: RefCell<Budget>,
    /// What waits to be reported, and from when, the earliest first.
    unreported: RefCell<VecDeque<(Instant, Rc<Seen>)>>,
    /// Until when a request's background work reports them, if one does.
    reporting: Cell<Option<Instant>>,
}

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

/// What the authority answered about an id.
pub enum Held {
    Key(Box<StoredKey>),
    /// There is no such key.
    Absent,
    /// Nothing that may be used, only a reason to ask: the key wants the authority's own verdict on each call, or it was
    /// changed through this edge.
    Strict,
    /// The authority did not answer a moment ago.
    Silent,
}

/// What is known of one key, and what was prepared from it.
pub struct Leased {
    pub id: String,
    pub held: Held,
    /// The instant before the question was sent.
    pub as_of: Instant,
    pub ends_at: Instant,
    /// From when a call renews it.
    renew_from: Cell<Instant>,
    /// Until when no question is asked because of an unknown secret, the last one having got no answer.
    quiet_until: Cell<Option<Instant>>,
    /// The accepting answers of `/v1/authorize`, all but the request id, by position of the secret.
    pub accepted: Box<[OnceCell<JsValue>]>,
    /// The constant members of a verify answer.
    pub members: OnceCell<String>,
    seen: Rc<Seen>,
    /// Bits of the secrets whose use was reported at once.
    announced: Cell<u64>,
    redigesting: Cell<bool>,
}

/// What was seen of a key and not yet reported, and what is held of its limits. One lease hands it to the next.
#[derive(Default)]
struct Seen {
    id: String,
    used: RefCell<Use>,
    usage: RefCell<Usage>,
    /// Whether it stands among the unreported.
    waits: Cell<bool>,
    purse: RefCell<Purse>,
    /// The version of the record whose rules the purse is for.
    rules: Cell<u64>,
    /// Since when a question about limits is under way.
    drawing: Cell<Option<Instant>>,
    /// Until when none is asked, the last one having got no answer.
    quiet_until: Cell<Option<Instant>>,
}

/// The authority's own verdict.
struct Given {
    code: Code,
    secret: Option<usize>,
    denied: Option<Denied>,
    left: Vec<Left>,
}

impl Leased {
    fn new(id: &str, held: Held, as_of: Instant, seconds: u32, before: Option<&Self>) -> Rc<Self> {
        let secrets = match &held {
            Held::Key(key) => key.secrets.len(),
            _ => 0,
        };
        let leased = Rc::new(Self {
            id: id.to_owned(),
            held,
            as_of,
            ends_at: lease::end(as_of, seconds),
            renew_from: Cell::new(lease::renew_from(as_of, seconds)),
            quiet_until: Cell::new(None),
            accepted: (0..secrets).map(|_| OnceCell::new()).collect(),
            members: OnceCell::new(),
            seen: before
                .map_or_else(|| Rc::new(Seen { id: id.to_owned(), ..Seen::default() }), |before| before.seen.clone()),
            announced: Cell::new(0),
            redigesting: Cell::new(false),
        });
        if let Some(key) = leased.key()
            && key.record.rules().any()
            && leased.seen.rules.replace(key.record.version) != key.record.version
        {
            // What was held under other rules is left to the authority, which counts it as spent.
            leased.seen.purse.take();
        }
        leased
    }

    /// The key, if it is one.
    pub fn key(&self) -> Option<&StoredKey> {
        match &self.held {
            Held::Key(key) => Some(key),
            _ => None,
        }
    }
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
    /// Position of the secret that was presented.
    pub secret: Option<usize>,
    /// The limit that the call would pass.
    pub denied: Option<Denied>,
    /// What is left under each limit, where the authority itself charged the call.
    left: Option<Vec<Left>>,
}

impl Verified {
    fn new(code: Code, mode: Mode) -> Self {
        Self { code, mode, leased: None, secret: None, denied: None, left: None }
    }

    fn offline(code: Code) -> Self {
        Self::new(code, Mode::Offline)
    }

    fn unavailable() -> Self {
        Self::new(Code::Unavailable, Mode::Authority)
    }

    /// The key and what is left under each of its limits, of one that has any and that this call was judged by.
    pub fn limited(&self) -> Option<(&Record, Vec<Left>)> {
        let leased = self.leased.as_ref()?;
        let record = &leased.key()?.record;
        // What is refused for another reason draws on no limit, so an edge may know nothing of what is left.
        let judged = matches!(self.code, Code::Valid | Code::RateLimited | Code::QuotaExceeded);
        if !judged || !record.rules().any() {
            return None;
        }
        let left = self.left.clone();
        Some((record, left.unwrap_or_else(|| leased.seen.purse.borrow().left(&record.rules(), clock()))))
    }

    /// What a caller should hear whose secret is being replaced: until when it works.
    pub fn warning(&self) -> Option<String> {
        let secret = self.leased.as_ref()?.key()?.secrets.get(self.secret?)?;
        let until = secret.until.filter(|_| self.code == Code::Valid)?;
        Some(format!("this secret of the key was replaced and works until {until}; deploy the new one"))
    }
}

/// Where the facts about a caller come from: they are read only where they are needed.
pub trait Caller {
    /// Address and country.
    fn place(&self) -> (Option<IpAddr>, Option<String>);
    /// Address, country, origin.
    fn network(&self) -> (Option<IpAddr>, Option<String>, Option<String>);
}

impl Caller for Request {
    fn place(&self) -> (Option<IpAddr>, Option<String>) {
        self.client()
    }

    fn network(&self) -> (Option<IpAddr>, Option<String>, Option<String>) {
        let (address, country) = self.client();
        (address, country, self.origin())
    }
}

/// What a verification is about, besides the text.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub environment: Option<&'a str>,
    pub needed: &'a [Needed<'a>],
    pub caller: &'a dyn Caller,
    /// What the call costs of the key's limits.
    pub cost: u64,
    /// By what way it comes, for its usage.
    pub via: &'a str,
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
                env: env.clone(),
                leases: RefCell::new(EdgeStore::new(MOST_LEASES, MOST_BYTES)),
                routes: RouteTable::default(),
                asking: RefCell::default(),
                foreign: RefCell::default(),
                unreported: RefCell::default(),
                reporting: Cell::new(None),
            });
            Ok(ISOLATE.with(|isolate| isolate.get_or_init(|| made).clone()))
        })
    }

    /// This isolate, if a request has configured it.
    pub fn current() -> Result<Rc<Self>, ()> {
        ISOLATE.with(|isolate| isolate.get().cloned()).ok_or(())
    }

    /// The verdict where it can be had without I/O: from the text alone or from a lease in hand.
    pub fn verify_now(&self, text: &str, about: About<'_>) -> Option<Verified> {
        match inspect(text, &self.config.brand, about.environment) {
            Ok(key) => {
                if let Some(verified) = self.in_hand(&key, about) {
                    return verified;
                }
                let issued = self.config.tags.issued(key.brand, key.environment, key.id);
                (!issued).then(|| Verified::offline(Code::NotFound))
            }
            Err(Code::Malformed) if !self.config.foreign.is_empty() => self.foreign_now(text, about),
            Err(code) => Some(Verified::offline(code)),
        }
    }

    /// The verdict, asking the authority where nothing is in hand, or anyway where it has to be `fresh`.
    pub async fn verify(&self, request_id: &str, text: &str, about: About<'_>, fresh: bool) -> Verified {
        if !fresh && let Some(verified) = self.verify_now(text, about) {
            return verified;
        }
        match inspect(text, &self.config.brand, about.environment) {
            Ok(key) if !self.config.tags.issued(key.brand, key.environment, key.id) => {
                Verified::offline(Code::NotFound)
            }
            Ok(key) if !fresh && let Some(verified) = self.drawn(&key, about).await => verified,
            Ok(key) => self.verify_with_authority(&key, request_id, about, fresh).await,
            Err(code) => match Presented::of(text, &self.config.foreign) {
                Some(presented) => self.verify_foreign(&presented, request_id, about, fresh).await,
                None => Verified::offline(code),
            },
        }
    }

    /// What a lease in hand makes of a key: `None` where there is none, `Some(None)` where there is one and it is not enough.
    fn in_hand(&self, key: &KeyText<'_>, about: About<'_>) -> Option<Option<Verified>> {
        let now = clock();
        let leased = self.leases.borrow_mut().get(key.id, now)?.clone();
        Some(match &leased.held {
            Held::Strict => None,
            Held::Silent => Some(Verified::unavailable()),
            Held::Absent => Some(Verified { leased: Some(leased), ..Verified::new(Code::NotFound, Mode::Lease) }),
            Held::Key(stored) => {
                let mut judged = self.judge(key, about, stored, now);
                if judged.secret.is_none() && lease::may_probe(leased.as_of, now) {
                    let quiet = leased.quiet_until.get().is_some_and(|until| now < until);
                    return Some(quiet.then(Verified::unavailable));
                }
                let rules = stored.record.rules();
                let mut denied = None;
                if judged.code == Code::Valid && rules.any() {
                    match leased.seen.purse.borrow_mut().spend(&rules, about.cost, now) {
                        Spent::Admitted => {}
                        Spent::Denied(by) => (judged.code, denied) = (Code::of_limit(&by), Some(by)),
                        Spent::Ask => return Some(None),
                    }
                }
                self.met(&leased, key, stored, judged, about, now);
                let Judged { code, secret } = judged;
                Some(Verified { secret, denied, leased: Some(leased), ..Verified::new(code, Mode::Lease) })
            }
        })
    }

    /// What comes of a call for which the limits of a key have to be asked: `None` where it is not they.
    async fn drawn(&self, key: &KeyText<'_>, about: About<'_>) -> Option<Verified> {
        // Others may spend what was brought before it is looked at.
        for _ in 0..MOST_DRAWS {
            let now = clock();
            let leased = self.leases.borrow_mut().get(key.id, now).cloned()?;
            let stored = leased.key()?;
            let rules = stored.record.rules();
            // Only for a call that passes all else: an invented secret of a real key must cost nothing.
            if !rules.any() || self.judge(key, about, stored, now).code != Code::Valid {
                return None;
            }
            if !leased.seen.purse.borrow().wants(&rules, about.cost, now) {
                return self.in_hand(key, about).flatten();
            }
            if self.draw(&leased, about.cost).await.is_err() {
                return Some(Verified::unavailable());
            }
            match self.in_hand(key, about) {
                Some(Some(verified)) => return Some(verified),
                Some(None) => {}
                None => return None,
            }
        }
        Some(Verified::unavailable())
    }

    /// Asks for a slice of the limits of a key, or waits for what a question that is under way brings.
    async fn draw(&self, leased: &Leased, cost: u64) -> Result<(), ()> {
        let seen = &leased.seen;
        let key = leased.key().ok_or(())?;
        let under_way = || {
            let since = seen.drawing.get();
            since.filter(|since| clock().millis() - since.millis() < i64::from(PATIENCE_MS))
        };
        if under_way().is_some() {
            let mut pause = 1;
            while under_way().is_some() {
                host::pause(pause).await;
                pause = (pause * 2).min(LOOK_MS);
            }
            return Ok(());
        }
        let asked_at = clock();
        if seen.quiet_until.get().is_some_and(|until| asked_at < until) {
            return Err(());
        }
        seen.drawing.set(Some(asked_at));
        let returned: Vec<Returned> = seen.purse.borrow_mut().hand_back(asked_at).into_iter().collect();
        let wanted = seen.purse.borrow().wanted(cost);
        let answer = self.to_key(&leased.id, &ToKey::Draw { returned, cost, wanted }).await;
        if seen.drawing.get() == Some(asked_at) {
            seen.drawing.set(None);
        }
        let now = clock();
        let (answer, left) = match answer {
            Ok(FromKey::Drawn { slice: Some(slice), left, .. }) => (Ok(slice), left),
            Ok(FromKey::Drawn { denied: Some(denied), left, .. }) => (Err(denied), left),
            _ => {
                seen.quiet_until.set(Some(now.plus_millis(lease::SILENT_MS)));
                return Err(());
            }
        };
        let rules_changed = seen.rules.get() != key.record.version;
        let spare = match (answer, rules_changed) {
            // What was asked for under other rules is nothing to spend under these.
            (Ok(slice), true) => Some(Returned { id: slice.id, spent: 0 }),
            (answer, _) => seen.purse.borrow_mut().receive(answer, cost, left, asked_at, now),
        };
        if let Some(spare) = spare {
            let (id, message) = (
                leased.id.clone(),
                ToKey::Report { report: Use::default(), returned: vec![spare], usage: Usage::default() },
            );
            host::background(async move {
                if let Ok(isolate) = Self::current() {
                    let _ = isolate.to_key(&id, &message).await;
                }
            });
        }
        Ok(())
    }

    fn judge(&self, key: &KeyText<'_>, about: About<'_>, stored: &StoredKey, now: Instant) -> Judged {
        let peppers = &self.config.peppers;
        let needed = about.needed;
        if !stored.record.restricts_network() {
            return judge(key, &Facts { needed, ..Facts::default() }, Some(stored), peppers, now);
        }
        let (address, country, origin) = about.caller.network();
        let facts =
            Facts { environment: None, address, country: country.as_deref(), origin: origin.as_deref(), needed };
        judge(key, &facts, Some(stored), peppers, now)
    }

    /// Everything that a call with a known secret sets off: it is counted, a lease that grows old is renewed, and a digest
    /// under a retired root secret is made anew.
    fn met(
        &self,
        leased: &Rc<Leased>,
        key: &KeyText<'_>,
        stored: &StoredKey,
        judged: Judged,
        about: About<'_>,
        now: Instant,
    ) {
        let Some(secret) = judged.secret.and_then(|position| stored.secrets.get(position)) else { return };
        let rotating = stored.rotation.as_ref().is_some_and(|rotation| rotation.is_open());
        {
            let mut seen = leased.seen.used.borrow_mut();
            for needed in about.needed.iter().filter(|_| judged.code == Code::Valid) {
                seen.asked(needed.as_str());
            }
            let evidence = seen.of(secret.number, now);
            let (address, country) = about.caller.place();
            // Places are a list; that it is looked through for each call is worth its while during a rotation only.
            if evidence.calls == 0 || rotating {
                evidence.came_from(address, country.as_deref());
            }
            evidence.count(now);
            let mut usage = leased.seen.usage.borrow_mut();
            usage.count(now, secret.number, judged.code, about.via, address, country.as_deref());
        }
        let bit = 1 << (secret.number % 64);
        if rotating && leased.announced.get() & bit == 0 {
            // Once in a lease and secret: the authority waits for the first use of a new one, and must not let an old one go
            // that is in use here.
            leased.announced.set(leased.announced.get() | bit);
            let seen = leased.seen.clone();
            host::background(async move { seen.report().await });
        }
        if !leased.seen.waits.get() {
            self.report_later(&leased.seen, now);
        }
        if matches!(leased.held, Held::Key(_)) && now >= leased.renew_from.get() {
            // Once: what comes of it, or that nothing did, sets the next time.
            leased.renew_from.set(leased.ends_at);
            let id = leased.id.clone();
            host::background(async move {
                if let Ok(isolate) = Self::current() {
                    isolate.send(&id, None, false, "renewal").await;
                }
            });
        }
        if secret.root != self.config.peppers.current()
            && judged.code == Code::Valid
            && !leased.redigesting.replace(true)
        {
            let old = Digest { root: secret.root, hmac: secret.hmac.clone() };
            let (id, message) = (leased.id.clone(), ToKey::Redigest { old, new: self.config.peppers.digest(key) });
            host::background(async move {
                if let Ok(isolate) = Self::current()
                    && isolate.to_key(&id, &message).await.is_ok()
                {
                    isolate.forget(&id);
                }
            });
        }
    }

    async fn verify_with_authority(
        &self,
        key: &KeyText<'_>,
        request_id: &str,
        about: About<'_>,
        fresh: bool,
    ) -> Verified {
        let begun = clock();
        let (address, country, origin) = about.caller.network();
        let needed = about.needed.iter().map(|needed| needed.as_str().to_owned()).collect();
        let cost = Some(about.cost);
        let question = Question { presented: self.config.peppers.digests(key), address, country, origin, needed, cost };
        // A second time where the answer is to a question that was under way, and older than an unknown secret may be.
        for _ in 0..2 {
            let Some((leased, verdict)) = self.ask(key.id, question.clone(), fresh, request_id).await else { break };
            let mode = Mode::Authority;
            let Some(stored) = leased.key() else {
                return Verified { leased: Some(leased), ..Verified::new(Code::NotFound, mode) };
            };
            let now = clock();
            let by_authority = verdict.is_some();
            let (judged, denied, left) = match verdict {
                Some(Given { code, secret, denied, left }) => (Judged { code, secret }, denied, Some(left)),
                None => (self.judge(key, about, stored, now), None, None),
            };
            if judged.secret.is_none() && lease::may_probe(leased.as_of, begun) {
                continue;
            }
            if !by_authority && judged.code == Code::Valid && stored.record.rules().any() {
                // From the lease that was just taken, once its limits were asked, too.
                let verified = match self.in_hand(key, about) {
                    Some(Some(verified)) => Some(verified),
                    _ => self.drawn(key, about).await,
                };
                return verified.map_or_else(Verified::unavailable, |verified| Verified { mode, ..verified });
            }
            // What was seen is counted where it stays: a strict key's lease is over before it begins.
            let kept = self.leases.borrow_mut().get(key.id, now).cloned();
            self.met(kept.as_ref().unwrap_or(&leased), key, stored, judged, about, now);
            let Judged { code, secret } = judged;
            return Verified { secret, denied, left, leased: Some(leased), ..Verified::new(code, mode) };
        }
        Verified::unavailable()
    }

    fn foreign_now(&self, text: &str, about: About<'_>) -> Option<Verified> {
        let Some(presented) = Presented::of(text, &self.config.foreign) else {
            return Some(Verified::offline(Code::Malformed));
        };
        if about.environment.is_some_and(|asked| asked != presented.environment) {
            return Some(Verified::offline(Code::EnvironmentMismatch));
        }
        let mut last = None;
        for id in self.config.tags.ids_of(&self.config.brand, &presented.environment, &presented.sha256) {
            match self.in_hand(&presented.as_key(&self.config.brand, &id), about) {
                Some(Some(verified)) if verified.code == Code::NotFound => last = Some(verified),
                Some(Some(verified)) => return Some(verified),
                _ => return None,
            }
        }
        last
    }

    /// Looks a key of another system up under each of its ids. What finds nothing is paid for by the client's network.
    async fn verify_foreign(&self, presented: &Presented, request_id: &str, about: About<'_>, fresh: bool) -> Verified {
        let payer = about.caller.network().0.map_or_else(|| "unknown".to_owned(), network);
        let mut last = Verified::offline(Code::NotFound);
        for id in self.config.tags.ids_of(&self.config.brand, &presented.environment, &presented.sha256) {
            let key = presented.as_key(&self.config.brand, &id);
            let in_hand = match self.in_hand(&key, about).flatten().filter(|_| !fresh) {
                None if !fresh => self.drawn(&key, about).await,
                in_hand => in_hand,
            };
            last = match in_hand {
                Some(verified) => verified,
                None if !self.foreign.borrow_mut().spend(&payer, &id, clock()) => return Verified::unavailable(),
                None => {
                    let verified = self.verify_with_authority(&key, request_id, about, fresh).await;
                    if verified.code != Code::NotFound {
                        self.foreign.borrow_mut().refund(&payer, &id);
                    }
                    verified
                }
            };
            if last.code != Code::NotFound {
                break;
            }
        }
        last
    }

    /// What the authority knows of `id`, and its verdict where it, or the caller, insists on giving its own. Waits for a
    /// question that is under way rather than asking the same. `None` where there is no answer in time.
    async fn ask(
        &self,
        id: &str,
        question: Question,
        strict: bool,
        request_id: &str,
    ) -> Option<(Rc<Leased>, Option<Given>)> {
        if !strict && let Some(joined) = self.join(id).await {
            return joined.map(|leased| (leased, None));
        }
        self.send(id, Some(question), strict, request_id).await
    }

    /// Waits for a question about `id` that is under way: `None` where there is none, or what it brings cannot serve others;
    /// `Some(None)` where it gets no answer.
    async fn join(&self, id: &str) -> Option<Option<Rc<Leased>>> {
        let mut pause = LOOK_MS;
        loop {
            let now = clock();
            let since = self.asking.borrow().get(id).copied();
            let since = since.filter(|since| now.millis() - since.millis() < i64::from(PATIENCE_MS))?;
            host::pause(pause).await;
            pause = (pause * 2).min(SLOWEST_LOOK_MS);
            let in_hand = self.leases.borrow_mut().get(id, clock()).cloned();
            match in_hand {
                Some(leased) if matches!(leased.held, Held::Strict) => return None,
                Some(leased) if matches!(leased.held, Held::Silent) => return Some(None),
                Some(leased) if leased.as_of >= since => return Some(Some(leased)),
                _ => {}
            }
        }
    }

    /// Asks, and keeps the answer for as long as it may be kept.
    async fn send(
        &self,
        id: &str,
        question: Option<Question>,
        strict: bool,
        request_id: &str,
    ) -> Option<(Rc<Leased>, Option<Given>)> {
        let in_hand = self.leases.borrow_mut().get(id, clock()).cloned();
        let report = in_hand.as_ref().map(|leased| leased.seen.used.take()).filter(|seen| !seen.is_empty());
        let usage = in_hand.as_ref().map(|leased| leased.seen.usage.take()).unwrap_or_default();
        let as_of = clock();
        {
            let mut asking = self.asking.borrow_mut();
            if asking.len() >= MOST_QUESTIONS {
                asking.retain(|_, since| as_of.millis() - since.millis() < i64::from(PATIENCE_MS));
            }
            asking.insert(id.to_owned(), as_of);
        }
        let answer =
            self.to_key(id, &ToKey::Ask { question, strict, report: report.clone(), usage: usage.clone() }).await;
        let answer = match answer {
            Ok(FromKey::Lease { key: None, .. }) => self.adopt(id, request_id).await.map(|key| (key, None)).ok(),
            Ok(FromKey::Lease { key: Some(key), verdict }) => Some((Some(key), verdict)),
            _ => None,
        };
        #[cfg(feature = "fault-injection")]
        let as_of = if self.config.fault.as_deref() == Some("lease-from-answer") { clock() } else { as_of };
        let mut asking = self.asking.borrow_mut();
        if asking.get(id).is_some_and(|since| *since <= as_of) {
            asking.remove(id);
        }
        drop(asking);
        let now = clock();
        let Some((key, verdict)) = answer else {
            if let Some(leased) = &in_hand {
                leased.seen.usage.borrow_mut().add(usage);
            }
            self.silent(id, as_of, now, in_hand.as_deref(), report);
            return None;
        };
        let seconds = key.as_ref().map_or(lease::ABSENT_SECONDS, |key| key.record.max_staleness_seconds);
        // An estimate by the parts that can be long; the store's bound is on the sum.
        let json = key.as_ref().map_or(0, |key| serde_json::to_string(&key.record).map_or(0, |json| json.len()));
        let bytes = 1_500 + json * 13 / 5;
        let leased = Leased::new(id, key.map_or(Held::Absent, Held::Key), as_of, seconds, in_hand.as_deref());
        if seconds == 0 {
            let ends_at = lease::end(as_of, STRICT_SECONDS);
            let mark = in_hand.clone().filter(|leased| matches!(leased.held, Held::Strict));
            let mark = mark.unwrap_or_else(|| Leased::new(id, Held::Strict, as_of, STRICT_SECONDS, in_hand.as_deref()));
            self.leases.borrow_mut().put(id, as_of, ends_at, now, MARK_BYTES, mark);
        } else if let Some(newer) = self.newer_than(&leased, now) {
            return Some((newer, None));
        } else if now < leased.ends_at {
            self.leases.borrow_mut().put(id, as_of, leased.ends_at, now, bytes, leased.clone());
        } else if verdict.is_none() {
            // It arrived after its own end.
            return None;
        }
        let verdict = verdict.and_then(|Verdict { code, secret, denied, left }| {
            Some(Given { code: Code::named(&code)?, secret, denied, left })
        });
        match (seconds, &verdict) {
            // Only a version of the object that gives no verdicts leaves this open.
            (0, None) if leased.key().is_some() => None,
            _ => Some((leased, verdict)),
        }
    }

    /// Remembers that the authority did not answer: a lease in hand goes on to its end, everything else is refused without
    /// asking for a moment.
    fn silent(&self, id: &str, as_of: Instant, now: Instant, in_hand: Option<&Leased>, report: Option<Use>) {
        let again = now.plus_millis(lease::SILENT_MS);
        if let Some(leased) = in_hand.filter(|leased| !matches!(leased.held, Held::Silent)) {
            leased.renew_from.set(again);
            leased.quiet_until.set(Some(again));
            if let Some(report) = report {
                leased.seen.used.borrow_mut().add(&report);
            }
            if matches!(leased.held, Held::Key(_)) && now < leased.ends_at {
                return;
            }
        }
        let mark = Leased::new(id, Held::Silent, as_of, 0, in_hand);
        self.leases.borrow_mut().put(id, as_of, again, now, MARK_BYTES, mark);
    }

    /// A lease in hand on a later version of the same key: answers may overtake each other, and what was refused once must not
    /// be accepted again because of an older one.
    fn newer_than(&self, leased: &Leased, now: Instant) -> Option<Rc<Leased>> {
        let version = leased.key()?.record.version;
        let in_hand = self.leases.borrow_mut().get(&leased.id, now).cloned()?;
        in_hand.key().is_some_and(|key| key.record.version > version).then_some(in_hand)
    }

    /// The first management key becomes an ordinary one when it is first used, if no other was ever stored.
    pub async fn adopt(&self, id: &str, request_id: &str) -> Result<Option<Box<StoredKey>>, JsValue> {
        let Some(first) = self.config.first_key.as_ref().filter(|first| first.record.id == id) else { return Ok(None) };
        match self.to_project(&ToProject::Adopt { id: id.to_owned() }).await? {
            FromProject::Adoption { allowed: true } => {}
            _ => return Ok(None),
        }
        let by = Actor { key_id: id.to_owned(), request_id: request_id.to_owned(), address: None, country: None };
        self.to_key(id, &ToKey::Create { key: Box::new(first.clone()), by, imported: false }).await?;
        Ok(Some(Box::new(first.clone())))
    }

    /// Drops this isolate's own lease, after a change that was made through it, and whatever is answered to a question that
    /// was asked before. Other edges go on to the end of theirs.
    pub fn forget(&self, id: &str) {
        let now = clock();
        let in_hand = self.leases.borrow_mut().get(id, now).cloned();
        let mark = Leased::new(id, Held::Strict, now, STRICT_SECONDS, in_hand.as_deref());
        self.leases.borrow_mut().put(id, now, mark.ends_at, now, MARK_BYTES, mark.clone());
    }

    /// Whether a key is accepted for what it needs, without its text: what was made with it lives no longer than it. None where
    /// nobody can say.
    pub async fn stands(&self, id: &str, needed: &str) -> Option<bool> {
        let stands = |record: &Record| {
            let grants =
                Needed::parse(needed).is_ok_and(|needed| record.scopes.iter().any(|held| held.grants(&needed)));
            grants && record.standing(clock()) == "active"
        };
        let in_hand = self.leases.borrow_mut().get(id, clock()).cloned();
        let leased = match in_hand {
            Some(leased) if matches!(leased.held, Held::Silent) => return None,
            Some(leased) if matches!(leased.held, Held::Strict) => None,
            Some(leased) => Some(leased),
            None => self.send(id, None, false, "session").await.map(|(leased, _)| leased),
        };
        match leased {
            Some(leased) => Some(leased.key().is_some_and(|key| stands(&key.record))),
            // A strict key is not leased: its authority is asked each time.
            None => match self.to_key(id, &ToKey::Read).await {
                Ok(FromKey::Record { record, .. }) => Some(stands(&record)),
                Ok(FromKey::Absent) => Some(false),
                _ => None,
            },
        }
    }

    /// Notes where a call with a key led, for what is told and watched of its use.
    pub fn led_to(&self, id: &str, destinations: &[Destination]) {
        let now = clock();
        let in_hand = self.leases.borrow_mut().get(id, now).cloned();
        let Some(leased) = in_hand.filter(|_| !destinations.is_empty()) else { return };
        let mut usage = leased.seen.usage.borrow_mut();
        for Destination { number, place } in destinations {
            usage.led_to(now, range_of(number), place);
        }
        drop(usage);
        // The call itself may have been reported meanwhile: its limits were asked in between.
        if !leased.seen.waits.get() {
            self.report_later(&leased.seen, now);
        }
    }

    /// Says something to the object that owns a key.
    pub async fn to_key(&self, id: &str, message: &ToKey) -> Result<FromKey, JsValue> {
        host::ask(&self.env, Namespace::Keys, id, message).await
    }

    /// Says something to the project's object.
    pub async fn to_project(&self, message: &ToProject) -> Result<FromProject, JsValue> {
        host::ask(&self.env, Namespace::Project, "project", message).await
    }
}

impl Isolate {
    /// Has what was seen reported once calls have paused for [`REPORT_MS`]; a renewal that comes first takes it along.
    fn report_later(&self, seen: &Rc<Seen>, now: Instant) {
        let mut unreported = self.unreported.borrow_mut();
        if unreported.len() >= MOST_UNREPORTED {
            return;
        }
        seen.waits.set(true);
        unreported.push_back((now.plus_millis(REPORT_MS), seen.clone()));
        drop(unreported);
        // One that the runtime has ended before its time is known by that it is overdue.
        if self.reporting.get().is_none_or(|end| end.plus_millis(2 * i64::from(PATIENCE_MS)) < now) {
            let end = now.plus_millis(REPORTER_MS);
            self.reporting.set(Some(end));
            host::background(async move {
                if let Ok(isolate) = Self::current() {
                    isolate.report(end).await;
                    isolate.reporting.set(None);
                }
            });
        }
    }

    /// Reports what is due until nothing waits, or until `end`, when all of it is.
    async fn report(&self, end: Instant) {
        let mut sent = 0;
        while sent < MOST_REPORTS {
            let Some(due) = self.unreported.borrow().front().map(|(due, _)| *due) else { return };
            let now = clock();
            if now < end.min(due) {
                host::pause(u32::try_from(end.min(due).millis() - now.millis()).unwrap_or(1)).await;
                continue;
            }
            let batch = Array::new();
            while batch.length() < REPORTS_AT_A_TIME as u32 {
                let mut unreported = self.unreported.borrow_mut();
                if unreported.front().is_none_or(|(due, _)| now < *due && now < end) {
                    break;
                }
                let Some((_, seen)) = unreported.pop_front() else { break };
                let last = seen.used.borrow().last_used();
                let again = last.map(|last| last.plus_millis(REPORT_MS)).filter(|again| now < *again && now < end);
                if let Some(again) = again {
                    // In its place: behind a key that is called all the time it would wait for that one.
                    let place = unreported.partition_point(|(due, _)| *due <= again);
                    unreported.insert(place, (again, seen));
                    continue;
                }
                seen.waits.set(false);
                drop(unreported);
                batch.push(&host::promise(Box::pin(async move {
                    seen.report().await;
                    Ok(JsValue::UNDEFINED)
                })));
            }
            sent += batch.length() as usize;
            if batch.length() > 0 {
                // None of them fails: what could not be reported waits again.
                let _ = JsFuture::from(Promise::all(&batch)).await;
            }
        }
    }
}

impl Seen {
    /// Reports what was seen. Where that fails it is kept for another try: evidence may count a call twice, never lose one.
    async fn report(self: Rc<Self>) {
        let report = self.used.take();
        let Ok(isolate) = Isolate::current() else { return };
        // Calls have paused: what is left of a slice is of more use elsewhere.
        let now = clock();
        let paused = report.last_used().is_none_or(|last| last.plus_millis(REPORT_MS) <= now);
        let returned = paused.then(|| self.purse.borrow_mut().hand_back(now)).flatten().into_iter().collect::<Vec<_>>();
        let usage = self.usage.take();
        if report.is_empty() && returned.is_empty() && usage.is_empty() {
            return;
        }
        let message = ToKey::Report { report: report.clone(), returned, usage: usage.clone() };
        if isolate.to_key(&self.id, &message).await.is_ok() {
            return;
        }
        self.used.borrow_mut().add(&report);
        self.usage.borrow_mut().add(usage);
        if !self.waits.get() {
            isolate.report_later(&self, clock());
        }
    }
}
