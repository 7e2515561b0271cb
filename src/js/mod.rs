//! The JavaScript face of the core: thin exports that the TypeScript beside this file turns into the npm package's API.
//! Values cross as strings, numbers and plain objects; a failure crosses as `{code, message}`.

use crate::error::{BadSecret, Invalid, Malformed};
use crate::id_map::{IdMap, key_of};
use crate::key::{Key, KeyText, TagKeys, is_id};
use crate::network::{Range, address_allowed};
use crate::record::{OnAnomaly, OnLeak, Record, Secret, Stage, Status, StoredKey};
use crate::root::{Code as Digits, Peppers, RootName, RootSecret};
use crate::scope::{Needed, Scope, grant_all};
use crate::session;
use crate::time::Instant;
use crate::verify::{Code, Facts, inspect, judge};
use js_sys::{Object, Reflect};
use serde::Serialize;
use serde_json::Map;
use std::net::IpAddr;
use wasm_bindgen::prelude::*;

/// The failure `{code, message}` that the TypeScript side raises as a `KeywardError`.
fn failure(code: &str, message: &str) -> JsValue {
    let object = Object::new();
    // Setting a property of a fresh plain object cannot fail.
    let _ = Reflect::set(&object, &"code".into(), &code.into());
    let _ = Reflect::set(&object, &"message".into(), &message.into());
    object.into()
}

fn invalid(error: &Invalid) -> JsValue {
    failure(Invalid::CODE, &error.to_string())
}

fn bad_secret(error: BadSecret) -> JsValue {
    failure("INVALID_SECRET", &error.to_string())
}

fn malformed(error: Malformed) -> JsValue {
    failure(error.code(), &error.to_string())
}

fn random(bytes: &mut [u8]) {
    // A runtime without a random source must not make keys; the trap is raised before anything was made.
    getrandom::fill(bytes).unwrap_or_else(|_| panic!("this runtime has no source of randomness"));
}

/// The text of a new key.
#[wasm_bindgen(js_name = generateKey)]
pub fn generate_key(brand: &str, environment: &str, tag_key: Option<String>) -> Result<String, JsValue> {
    let tags = tag_key.map(|hex| TagKeys::from_hex(&hex, [])).transpose().map_err(bad_secret)?;
    let key = Key::generate(brand, environment, tags.as_ref(), &mut random).map_err(|e| invalid(&e))?;
    Ok(key.expose().to_owned())
}

/// `{brand, environment, id, redacted}` of a key text.
#[wasm_bindgen(js_name = parseKey)]
pub fn parse_key(text: &str, brand: Option<String>) -> Result<JsValue, JsValue> {
    #[derive(Serialize)]
    struct Parts<'a> {
        brand: &'a str,
        environment: &'a str,
        id: &'a str,
        redacted: String,
    }
    let key = KeyText::parse(text, brand.as_deref()).map_err(malformed)?;
    let parts = Parts { brand: key.brand, environment: key.environment, id: key.id, redacted: key.redacted() };
    Ok(serde_wasm_bindgen::to_value(&parts)?)
}

/// Whether the deployment with this tag key made the id of the key.
#[wasm_bindgen(js_name = wasIssued)]
pub fn was_issued(text: &str, tag_key: &str) -> Result<bool, JsValue> {
    let tags = TagKeys::from_hex(tag_key, []).map_err(bad_secret)?;
    let key = KeyText::parse(text, None).map_err(malformed)?;
    Ok(tags.issued(key.brand, key.environment, key.id))
}

/// What was read of a stored key, text after text; a list is its length and its entries.
struct Reader(std::vec::IntoIter<String>);

impl Reader {
    /// The next text; there is one, since both sides of this file agree.
    fn text(&mut self) -> String {
        self.0.next().unwrap_or_default()
    }

    fn instant(&mut self, field: &str) -> Result<Option<Instant>, Invalid> {
        let text = self.text();
        let instant = Instant::parse(&text);
        if text.is_empty() || instant.is_some() {
            Ok(instant)
        } else {
            Err(Invalid::new(field, "is no RFC 3339 instant"))
        }
    }

    /// A list whose entries are read by `parse`; a refusal names the entry.
    fn list<T>(&mut self, field: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Invalid> {
        let mut entries = Vec::new();
        for index in 0..self.length() {
            let entry = parse(&self.text());
            entries.push(entry.map_err(|problem| Invalid::new(format!("record.{field}[{index}]"), problem))?);
        }
        Ok(entries)
    }

    fn length(&mut self) -> usize {
        self.text().parse().unwrap_or_default()
    }
}

/// The value of that name among those of a closed set.
fn one_of<T: Copy>(text: &str, all: &[(&str, T)], field: &str) -> Result<T, Invalid> {
    all.iter().find_map(|(name, value)| (*name == text).then_some(*value)).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        Invalid::new(field, format!("is none of {}", names.join(", ")))
    })
}

/// A stored key as the verdict takes it, of texts in this order: id, brand, environment, status, not_before, expires_at,
/// scopes, allowed_ips, denied_ips, allowed_countries, allowed_origins; and of each secret root, hmac, status, until. What no
/// verdict depends on is left blank.
fn stored(texts: Vec<String>) -> Result<StoredKey, Invalid> {
    let mut from = Reader(texts.into_iter());
    let plain = |text: &str| Ok(text.to_owned());
    let statuses = [("active", Status::Active), ("disabled", Status::Disabled), ("revoked", Status::Revoked)];
    let stages =
        [("active", Stage::Active), ("pending", Stage::Pending), ("retiring", Stage::Retiring), ("gone", Stage::Gone)];
    let id = from.text();
    if !is_id(&id) {
        return Err(Invalid::new("record.id", "is no id: 16 letters and digits"));
    }
    let record = Record {
        id,
        brand: from.text(),
        environment: from.text(),
        status: one_of(&from.text(), &statuses, "record.status")?,
        not_before: from.instant("record.not_before")?,
        expires_at: from.instant("record.expires_at")?,
        scopes: from.list("scopes", |text| Scope::parse(text).map_err(str::to_owned))?,
        allowed_ips: from.list("allowed_ips", Range::parse)?,
        denied_ips: from.list("denied_ips", Range::parse)?,
        allowed_countries: from.list("allowed_countries", plain)?,
        allowed_origins: from.list("allowed_origins", plain)?,
        name: String::new(),
        owner: String::new(),
        created_at: Instant::EPOCH,
        updated_at: Instant::EPOCH,
        max_staleness_seconds: 0,
        rotation_days: 0,
        rate_limits: Vec::new(),
        quotas: Vec::new(),
        on_anomaly: OnAnomaly::default(),
        on_leak: OnLeak::default(),
        metadata: Map::new(),
        revoked_at: None,
        revoke_reason: None,
        version: 0,
    };
    let mut secrets = Vec::new();
    for index in 0..from.length() {
        let field = |name: &str| format!("secrets[{index}].{name}");
        let wrong = |name: &str, digits: &str| Invalid::new(field(name), format!("is not {digits} hexadecimal digits"));
        secrets.push(Secret {
            root: RootName::parse(&from.text()).ok_or_else(|| wrong("root", "8"))?,
            hmac: Digits::parse(&from.text()).ok_or_else(|| wrong("hmac", "64"))?,
            status: one_of(&from.text(), &stages, &field("status"))?,
            until: from.instant(&field("until"))?,
            number: 1,
            created_at: None,
        });
    }
    Ok(StoredKey { record, secrets, horizon: None, effective_by: None, rotation: None })
}

/// A stored key, ready to be judged by.
#[wasm_bindgen]
pub struct Held(StoredKey);

/// Bytes that JavaScript may write: a key text, and, from `FACTS` on, the facts of a request.
const INPUT: usize = 16_384;
const FACTS: usize = 128;

/// The facts of a request, as they were taken in.
#[derive(Default)]
struct Asked {
    environment: Option<String>,
    address: Option<IpAddr>,
    country: Option<String>,
    origin: Option<String>,
    scopes: Vec<String>,
}

/// Digests and verifies under one root secret and those it replaced. Named apart from the class that wraps it: bundlers would number one.
#[wasm_bindgen(js_name = CoreVerifier)]
pub struct Verifier {
    brand: String,
    peppers: Peppers,
    held: IdMap<StoredKey>,
    asked: Asked,
    /// Where JavaScript writes what is to be checked: passing strings would allocate and free for each call.
    input: Box<[u8; INPUT]>,
}

#[wasm_bindgen(js_class = CoreVerifier)]
impl Verifier {
    /// Of one brand, from a root secret and retired ones, each 64 hexadecimal digits.
    #[wasm_bindgen(constructor)]
    pub fn new(brand: String, root_secret: &str, retired: Vec<String>) -> Result<Verifier, JsValue> {
        let current = RootSecret::from_hex(root_secret).map_err(bad_secret)?;
        let retired: Vec<RootSecret> =
            retired.iter().map(|hex| RootSecret::from_hex(hex)).collect::<Result<_, _>>().map_err(bad_secret)?;
        let peppers = Peppers::new(&current, &retired);
        Ok(Self { brand, peppers, held: IdMap::default(), asked: Asked::default(), input: Box::new([0; INPUT]) })
    }

    /// The digest to store for a key: `{root, hmac}`.
    pub fn digest(&self, text: &str) -> Result<JsValue, JsValue> {
        let key = KeyText::parse(text, Some(&self.brand)).map_err(malformed)?;
        Ok(serde_wasm_bindgen::to_value(&self.peppers.digest(&key))?)
    }

    /// Takes a stored key in hand; it replaces an earlier one of the same id.
    pub fn hold(&mut self, texts: Vec<String>) -> Result<(), JsValue> {
        let stored = stored(texts).map_err(|e| invalid(&e))?;
        if let Some(id) = key_of(&stored.record.id) {
            self.held.insert(id, stored);
        }
        Ok(())
    }

    /// Lets a stored key go; whether it was held.
    pub fn release(&mut self, id: &str) -> bool {
        key_of(id).is_some_and(|id| self.held.remove(&id).is_some())
    }

    /// Address, in the linear memory, of the bytes that are read by what judges.
    #[wasm_bindgen(getter)]
    pub fn input(&self) -> *const u8 {
        self.input.as_ptr()
    }

    /// Takes the facts of the next requests in: in the input, from byte 128 on, `length` bytes: environment, address, country,
    /// origin, and scopes, each behind a line break, empty where there is none. Answers the place, from 1, of a scope that no
    /// request can need; 0 where there is none such.
    pub fn ask(&mut self, length: usize) -> usize {
        let facts = self.input.get(FACTS..FACTS + length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let mut lines = facts.unwrap_or_default().split('\n').skip(1);
        let mut line = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        let (environment, address, country, origin) = (line(), line(), line(), line());
        let address = address.and_then(|text| text.parse().ok());
        let scopes: Vec<_> = lines.map(str::to_owned).collect();
        let unknown = scopes.iter().position(|scope| Needed::parse(scope).is_err());
        self.asked = Asked { environment, address, country, origin, scopes };
        unknown.map_or(0, |index| index + 1)
    }

    /// The verdict at `now` (milliseconds since the epoch) by the stored key that is held under the id. The input has the
    /// key text, `length` ASCII bytes; `asked`: whether the facts that were taken in are those of the request. Answers the
    /// index into `verdictCodes`, and from the ninth bit on the number, from 1, of the secret that was presented.
    pub fn check(&self, length: usize, asked: bool, now: f64) -> u32 {
        self.decide(length, asked, now, |id| key_of(id).and_then(|id| self.held.get(&id)))
    }

    /// As `check`, by a stored key in hand.
    pub fn judge(&self, stored: &Held, length: usize, asked: bool, now: f64) -> u32 {
        self.decide(length, asked, now, |_| Some(&stored.0))
    }

    /// As `check`, where nothing is stored.
    pub fn inspect(&self, length: usize, asked: bool) -> u32 {
        self.decide(length, asked, 0.0, |_| None)
    }
}

/// A stored key, of the texts that [`stored`] names.
#[wasm_bindgen]
pub fn prepare(texts: Vec<String>) -> Result<Held, JsValue> {
    stored(texts).map(Held).map_err(|e| invalid(&e))
}

impl Verifier {
    fn decide<'s>(&self, length: usize, asked: bool, now: f64, find: impl Fn(&str) -> Option<&'s StoredKey>) -> u32 {
        // ASCII, as JavaScript has seen to; what is not is no key.
        let text = self.input.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let now = Instant::from_millis(now as i64);
        let (environment, facts);
        // Nearly always one scope: then nothing is allocated.
        let (one, several);
        if asked {
            let Asked { address, country, origin, scopes, .. } = &self.asked;
            let needed = match scopes.as_slice() {
                [scope] => {
                    one = Needed::parse(scope).ok();
                    one.as_slice()
                }
                scopes => {
                    several = scopes.iter().filter_map(|scope| Needed::parse(scope).ok()).collect::<Vec<_>>();
                    &several
                }
            };
            environment = self.asked.environment.as_deref();
            facts = Facts {
                environment,
                address: *address,
                country: country.as_deref(),
                origin: origin.as_deref(),
                needed,
            };
        } else {
            (environment, facts) = (None, Facts::default());
        }
        let key = match text.map_or(Err(Code::Malformed), |text| inspect(text, &self.brand, environment)) {
            Err(code) => return code as u32,
            Ok(key) => key,
        };
        let judged = judge(&key, &facts, find(key.id), &self.peppers, now);
        judged.code as u32 | (judged.secret.map_or(0, |position| position as u32 + 1) << 8)
    }
}

/// Why a text is no scope that a request can need; `None` for one that is.
#[wasm_bindgen(js_name = scopeProblem)]
pub fn scope_problem(text: &str) -> Option<String> {
    Needed::parse(text).err().map(str::to_owned)
}

/// Whether the scopes that are held grant all that are needed.
#[wasm_bindgen]
pub fn grants(held: Vec<String>, needed: Vec<String>) -> Result<bool, JsValue> {
    let at = |list: &str, index: usize, problem: &str| invalid(&Invalid::new(format!("{list}[{index}]"), problem));
    let parse = |(index, text): (usize, &String)| Scope::parse(text).map_err(|problem| at("held", index, problem));
    let held: Vec<Scope> = held.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    let parse = |(index, text)| Needed::parse(text).map_err(|problem| at("needed", index, problem));
    let needed: Vec<_> = needed.iter().map(String::as_str).enumerate().map(parse).collect::<Result<_, _>>()?;
    Ok(grant_all(&held, needed))
}

/// Whether an address passes a list of allowed and one of denied ranges.
#[wasm_bindgen(js_name = addressAllowed)]
pub fn address_is_allowed(address: Option<String>, allowed: Vec<String>, denied: Vec<String>) -> Result<bool, JsValue> {
    let address = address.and_then(|text| text.parse().ok());
    let ranges = |list: &[String], name: &str| {
        let parse = |(index, text): (usize, &String)| {
            Range::parse(text).map_err(|problem| invalid(&Invalid::new(format!("{name}[{index}]"), problem)))
        };
        list.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()
    };
    Ok(address_allowed(address, &ranges(&allowed, "allowed")?, &ranges(&denied, "denied")?))
}

/// What the token of a session says: `{id, route, origin, ends, calls, mock, parent}`, `ends` in milliseconds; nothing of whether it is genuine.
#[wasm_bindgen(js_name = sessionClaims)]
pub fn session_claims(token: &str) -> Result<JsValue, JsValue> {
    #[derive(Serialize)]
    struct Claims {
        id: String,
        route: String,
        origin: String,
        ends: f64,
        calls: u32,
        mock: bool,
        parent: Option<String>,
    }
    let session = session::claims(token).ok_or_else(|| failure("SESSION", "this is no token of a session"))?;
    let session::Session { id, route, origin, ends_at, calls, mock, parent, .. } = session;
    let claims = Claims { id, route, origin, ends: ends_at.millis() as f64, calls, mock, parent };
    Ok(claims.serialize(&serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true))?)
}

/// The linear memory, for writing inputs.
#[wasm_bindgen(js_name = linearMemory)]
pub fn linear_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// The names of the verdicts, by the index that `check` answers.
#[wasm_bindgen(js_name = verdictCodes)]
pub fn verdict_codes() -> Vec<String> {
    Code::ALL.iter().map(|code| code.as_str().to_owned()).collect()
}
