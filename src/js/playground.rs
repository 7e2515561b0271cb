//! The core for pages on which the visitor moves the clock: an authority with one key, and edges that go on with what it told
//! them. Nothing is decided here: leases, receipts, verdicts and rotations are those of the core, as in the Worker; what the page
//! brings is the instants at which messages go and arrive. Instants are milliseconds since the epoch.

use crate::draft::Draft;
use crate::edge::EdgeStore;
use crate::evidence::Use;
use crate::key::{Key, KeyText};
use crate::lease;
use crate::life::{Actor, Change, Refusal, Settled, Step, apply, update};
use crate::record::{Record, StoredKey};
use crate::root::{Peppers, RootSecret};
use crate::rotation::{self, Activate, Ending, Rotation, Terms};
use crate::time::Instant;
use crate::verify::{Code, Facts, Judged, inspect, judge};
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

const BRAND: &str = "psk";
const ENVIRONMENT: &str = "live";
/// One key is all that an edge of a page meets.
const MOST_LEASES: usize = 4;
const LEASE_BYTES: usize = 1_000;

fn at(now: f64) -> Instant {
    Instant::from_millis(now as i64)
}

fn visitor() -> Actor {
    Actor { key_id: "visitor".to_owned(), request_id: "playground".to_owned(), address: None, country: None }
}

fn random(bytes: &mut [u8]) {
    // A page without a random source must not make keys; the trap is raised before anything was made.
    getrandom::fill(bytes).unwrap_or_else(|_| panic!("this runtime has no source of randomness"));
}

fn refused(refusal: Refusal) -> JsValue {
    JsValue::from_str(match refusal {
        Refusal::Revoked => "KEY_REVOKED",
        Refusal::InRotation => "ROTATION_IN_PROGRESS",
        Refusal::NoRotation => "NO_ROTATION",
        Refusal::OldSecretInUse => "OLD_SECRET_IN_USE",
        Refusal::NewSecretInUse => "NEW_SECRET_IN_USE",
        Refusal::NewSecretUnused => "NEW_SECRET_UNUSED",
    })
}

fn judged(text: &str, key: Option<&StoredKey>, peppers: &Peppers, now: Instant) -> Judged {
    match inspect(text, BRAND, None) {
        Err(code) => Judged { code, secret: None },
        Ok(presented) => judge(&presented, &Facts::default(), key, peppers, now),
    }
}

/// The owner of one key: the only place that decides and writes.
#[wasm_bindgen]
pub struct Authority {
    peppers: Rc<Peppers>,
    /// Texts of the key, one for each secret, the first first.
    texts: Vec<Key>,
    key: StoredKey,
    used: Use,
}

#[wasm_bindgen]
impl Authority {
    /// With a new key of `max_staleness_seconds` (0 to 60). Throws a sentence.
    #[wasm_bindgen(constructor)]
    pub fn new(max_staleness_seconds: u32, now: f64) -> Result<Authority, JsValue> {
        let sentence = |error: &dyn std::fmt::Display| JsValue::from_str(&error.to_string());
        let mut root = [0; 32];
        random(&mut root);
        let root = RootSecret::from_hex(&crate::crypto::to_hex(&root)).map_err(|e| sentence(&e))?;
        let peppers = Peppers::new(&root, []);
        let text = Key::generate(BRAND, ENVIRONMENT, None, &mut random).map_err(|e| sentence(&e))?;
        let body =
            json!({"name": "made in the page", "owner": "visitor", "max_staleness_seconds": max_staleness_seconds});
        let draft = Draft::read(body, &[ENVIRONMENT.to_owned()], at(now)).map_err(|e| sentence(&e))?;
        let key = StoredKey::new(draft.into_record(text.parts().id, BRAND, at(now)), peppers.digest(&text.parts()));
        Ok(Self { peppers: Rc::new(peppers), texts: vec![text], key, used: Use::default() })
    }

    /// The key with its secret of that number, from 1. It opens nothing but this page.
    pub fn text(&self, secret: usize) -> Option<String> {
        Some(self.texts.get(secret.checked_sub(1)?)?.expose().to_owned())
    }

    /// The only form of it that is shown.
    pub fn redacted(&self) -> String {
        self.key.record.redacted()
    }

    /// What an edge is told that asks about `text` at `now`: a lease, or of a strict key the verdict.
    pub fn answer(&self, text: &str, now: f64) -> Answer {
        let strict = self.key.record.max_staleness_seconds == 0;
        let verdict = strict.then(|| judged(text, Some(&self.key), &self.peppers, at(now)).code);
        Answer { key: Rc::new(self.key.clone()), verdict }
    }

    /// The verdict on a call, as an index into `verdictCodes`, and the call counted as evidence: with which secret, from which
    /// network and country. The first use of a new secret begins the overlap of a rotation that waits for it.
    pub fn call(&mut self, text: &str, address: &str, country: &str, now: f64) -> u32 {
        let now = at(now);
        let Judged { code, secret } = judged(text, Some(&self.key), &self.peppers, now);
        if let Some(number) = secret.and_then(|position| self.key.secrets.get(position)).map(|secret| secret.number) {
            let evidence = self.used.of(number, now);
            evidence.came_from(address.parse().ok(), Some(country));
            evidence.count(now);
            self.take(rotation::seen(&self.key, number, now));
        }
        code as u32
    }

    /// Changes for how long edges may go on without asking.
    #[wasm_bindgen(js_name = setStaleness)]
    pub fn set_staleness(&mut self, seconds: u32, now: f64) -> Result<(), JsValue> {
        let record = Record { max_staleness_seconds: seconds.min(60), ..self.key.record.clone() };
        let step = update(&self.key, record, &visitor(), at(now)).map_err(refused)?;
        self.take(step);
        Ok(())
    }

    /// Revokes the key. Answers the receipt's `effective_by`.
    pub fn revoke(&mut self, now: f64) -> Result<f64, JsValue> {
        let step = apply(&self.key, &Change::Revoke { reason: None }, &visitor(), at(now)).map_err(refused)?;
        self.take(step);
        Ok(Settled::of(&self.key, at(now)).effective_by.millis() as f64)
    }

    /// Begins a rotation. Answers the number of the new secret. Throws the code of a refusal.
    #[wasm_bindgen(js_name = beginRotation)]
    pub fn begin_rotation(
        &mut self,
        first_use: bool,
        grace_seconds: u32,
        quiet_seconds: u32,
        now: f64,
    ) -> Result<usize, JsValue> {
        let activate = if first_use { Activate::FirstUse } else { Activate::Now };
        let terms = Terms { activate, grace_seconds, quiet_seconds };
        let text = Key::renew(BRAND, ENVIRONMENT, &self.key.record.id, &mut random)
            .map_err(|error| JsValue::from_str(&error.to_string()))?;
        let digest = self.peppers.digest(&text.parts());
        let step = rotation::begin(&self.key, terms, digest, None, &visitor(), at(now)).map_err(refused)?;
        self.texts.push(text);
        self.take(Some(step));
        Ok(self.texts.len())
    }

    /// Completes the rotation (or cancels it). Throws the code of a refusal: `OLD_SECRET_IN_USE`, `NEW_SECRET_UNUSED` …
    #[wasm_bindgen(js_name = endRotation)]
    pub fn end_rotation(&mut self, complete: bool, force: bool, now: f64) -> Result<(), JsValue> {
        let ending = if complete { Ending::Complete } else { Ending::Cancel };
        let step = rotation::end(&self.key, ending, force, &self.used.secrets, &visitor(), at(now)).map_err(refused)?;
        self.take(step);
        Ok(())
    }

    /// What happens by itself at `now`: the overlap ends when its grace does. Whether anything did.
    pub fn due(&mut self, now: f64) -> bool {
        let step = rotation::due(&self.key, at(now));
        let happens = step.is_some();
        self.take(step);
        happens
    }

    /// `{rotation, secrets, settled, status}` as JSON: the last rotation, and of each secret where it stands, what was seen of it
    /// (`evidence`) and whether that is use (`in_use`).
    pub fn shown(&self, now: f64) -> String {
        let now = at(now);
        let secrets = self.key.secrets.iter().map(|secret| self.secret(secret.number, now)).collect::<Vec<_>>();
        json!({
            "status": self.key.record.standing(now), "rotation": self.key.rotation, "secrets": secrets,
            "settled": Settled::of(&self.key, now),
        })
        .to_string()
    }
}

impl Authority {
    fn take(&mut self, step: Option<Step>) {
        if let Some(step) = step {
            self.key = step.key;
        }
    }

    fn secret(&self, number: u32, now: Instant) -> Value {
        let shown = self.key.shown_secrets().into_iter().find(|secret| secret.number == number);
        let mut shown = json!(shown);
        shown["evidence"] = json!(self.used.secrets.iter().find(|evidence| evidence.number == number));
        let in_use = |rotation: &Rotation| rotation::in_use(&self.key, rotation, number, &self.used.secrets, now);
        shown["in_use"] = self.key.rotation.as_ref().is_some_and(in_use).into();
        shown
    }
}

/// What an authority told an edge, on its way.
#[wasm_bindgen]
pub struct Answer {
    key: Rc<StoredKey>,
    verdict: Option<Code>,
}

#[wasm_bindgen]
impl Answer {
    /// Whether it holds the verdict itself, as for a strict key: it was given when the authority was asked.
    #[wasm_bindgen(getter)]
    pub fn decides(&self) -> bool {
        self.verdict.is_some()
    }
}

/// What an edge keeps of an answer.
struct Leased {
    key: Rc<StoredKey>,
    renew_from: Cell<Instant>,
    ends_at: Instant,
}

/// An isolate that verifies from what it was told.
#[wasm_bindgen]
pub struct Edge {
    peppers: Rc<Peppers>,
    leases: EdgeStore<Leased>,
}

#[wasm_bindgen]
impl Edge {
    /// An edge of the deployment that the authority belongs to. It knows nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new(authority: &Authority) -> Self {
        Self { peppers: authority.peppers.clone(), leases: EdgeStore::new(MOST_LEASES, MOST_LEASES * LEASE_BYTES * 2) }
    }

    /// The verdict from a lease in hand, on the edge's own clock; `undefined` where the authority has to be asked.
    pub fn verify(&mut self, text: &str, now: f64) -> Option<u32> {
        let id = KeyText::parse(text, Some(BRAND)).ok()?.id;
        let leased = self.leases.get(id, at(now))?;
        Some(judged(text, Some(&leased.key), &self.peppers, at(now)).code as u32)
    }

    /// The end of the lease in hand, on the edge's own clock.
    #[wasm_bindgen(js_name = leaseEnd)]
    pub fn lease_end(&mut self, text: &str, now: f64) -> Option<f64> {
        let id = KeyText::parse(text, Some(BRAND)).ok()?.id;
        Some(self.leases.get(id, at(now))?.ends_at.millis() as f64)
    }

    /// Whether a call that meets the lease now should have it renewed in the background; says so once for each lease.
    #[wasm_bindgen(js_name = wantsRenewal)]
    pub fn wants_renewal(&mut self, text: &str, now: f64) -> bool {
        let Ok(key) = KeyText::parse(text, Some(BRAND)) else { return false };
        let Some(leased) = self.leases.get(key.id, at(now)) else { return false };
        if at(now) < leased.renew_from.get() {
            return false;
        }
        leased.renew_from.set(leased.ends_at);
        true
    }

    /// Takes the answer to what was asked at `asked_at`, on the edge's own clock, and gives the verdict on `text`: the
    /// authority's own for a strict key, else that of the lease; `UNAVAILABLE` where the answer came after its own end.
    pub fn take(&mut self, answer: &Answer, text: &str, asked_at: f64, now: f64) -> u32 {
        if let Some(code) = answer.verdict {
            return code as u32;
        }
        let (id, seconds) = (&answer.key.record.id, answer.key.record.max_staleness_seconds);
        // Answers may overtake each other: what was refused once must not be accepted again because of an older one.
        let newer = |held: &Leased| held.key.record.version > answer.key.record.version;
        if !self.leases.get(id, at(now)).is_some_and(newer) {
            let renew_from = Cell::new(lease::renew_from(at(asked_at), seconds));
            let ends_at = lease::end(at(asked_at), seconds);
            let leased = Leased { key: answer.key.clone(), renew_from, ends_at };
            self.leases.put(id, at(asked_at), ends_at, at(now), LEASE_BYTES, leased);
        }
        self.verify(text, now).unwrap_or(Code::Unavailable as u32)
    }
}

/// The names of the verdicts, by the index that a verdict is.
#[wasm_bindgen(js_name = verdictCodes)]
pub fn verdict_codes() -> Vec<String> {
    Code::ALL.iter().map(|code| code.as_str().to_owned()).collect()
}
