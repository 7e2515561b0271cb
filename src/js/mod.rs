//! The JavaScript face of the core: thin exports that the TypeScript beside this file turns into the npm package's API.
//! Values cross as strings, numbers and plain objects; a failure crosses as `{code, message}`.

use crate::error::{BadSecret, Invalid, Malformed};
use crate::id_map::{IdMap, key_of};
use crate::key::{Key, KeyText, MAX_LENGTH, TagKeys};
use crate::record::StoredKey;
use crate::root::{Peppers, RootSecret};
use crate::scope::Needed;
use crate::time::Instant;
use crate::verify::{Code, Facts, inspect, judge};
use js_sys::{Object, Reflect};
use serde::Serialize;
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

/// Digests and verifies under one root secret and those it replaced, with the records it was given in hand.
#[wasm_bindgen]
pub struct Verifier {
    brand: String,
    peppers: Peppers,
    held: IdMap<StoredKey>,
    /// Where JavaScript writes the text to check: passing a string would allocate and free one for each call.
    input: Box<[u8; MAX_LENGTH]>,
}

#[wasm_bindgen]
impl Verifier {
    /// Of one brand, from a root secret and retired ones, each 64 hexadecimal digits.
    #[wasm_bindgen(constructor)]
    pub fn new(brand: String, root_secret: &str, retired: Vec<String>) -> Result<Verifier, JsValue> {
        let current = RootSecret::from_hex(root_secret).map_err(bad_secret)?;
        let retired: Vec<RootSecret> =
            retired.iter().map(|hex| RootSecret::from_hex(hex)).collect::<Result<_, _>>().map_err(bad_secret)?;
        Ok(Self {
            brand,
            peppers: Peppers::new(&current, &retired),
            held: IdMap::default(),
            input: Box::new([0; MAX_LENGTH]),
        })
    }

    /// The digest to store for a key: `{root, hmac}`.
    pub fn digest(&self, text: &str) -> Result<JsValue, JsValue> {
        let key = KeyText::parse(text, Some(&self.brand)).map_err(malformed)?;
        Ok(serde_wasm_bindgen::to_value(&self.peppers.digest(&key))?)
    }

    /// Takes a stored key, as JSON, in hand; it replaces an earlier one of the same id.
    pub fn hold(&mut self, stored: &str) -> Result<(), JsValue> {
        let stored: StoredKey = serde_json::from_str(stored).map_err(|e| {
            // serde's own words repeat the value, which may be a secret in the wrong place; a missing field has none.
            let words = e.to_string();
            let missing = words.split_once('`').and_then(|(_, rest)| rest.split_once('`')).map(|(field, _)| field);
            let problem = match missing.filter(|_| words.starts_with("missing field")) {
                Some(field) => format!("{field} is missing"),
                None => format!("line {} column {} of it as JSON", e.line(), e.column()),
            };
            failure(Invalid::CODE, &format!("not a stored key: {problem}"))
        })?;
        let id = key_of(&stored.record.id).ok_or_else(|| failure(Invalid::CODE, "record.id: is no id"))?;
        self.held.insert(id, stored);
        Ok(())
    }

    /// Lets a stored key go; whether it was held.
    pub fn release(&mut self, id: &str) -> bool {
        key_of(id).is_some_and(|id| self.held.remove(&id).is_some())
    }

    /// Address, in the linear memory, of the `MAX_LENGTH` bytes that [`Verifier::check`] reads.
    #[wasm_bindgen(getter)]
    pub fn input(&self) -> *const u8 {
        self.input.as_ptr()
    }

    /// The verdict, at `now` (milliseconds since the epoch), on the text of `length` ASCII bytes that was written to the
    /// input; as an index into `verdictCodes`.
    pub fn check(&self, length: usize, now: f64) -> u32 {
        match self.input.get(..length).map(std::str::from_utf8) {
            Some(Ok(text)) => self.decide(text, &[], now) as u32,
            _ => Code::Malformed as u32,
        }
    }

    /// As `check`, for a request that needs one scope.
    #[wasm_bindgen(js_name = checkScope)]
    pub fn check_scope(&self, length: usize, scope: &str, now: f64) -> Result<u32, JsValue> {
        let needed = Needed::parse(scope).map_err(|problem| failure(Invalid::CODE, problem))?;
        Ok(match self.input.get(..length).map(std::str::from_utf8) {
            Some(Ok(text)) => self.decide(text, &[needed], now) as u32,
            _ => Code::Malformed as u32,
        })
    }
}

impl Verifier {
    fn decide(&self, text: &str, needed: &[Needed<'_>], now: f64) -> Code {
        let facts = Facts { needed, ..Facts::default() };
        match inspect(text, &self.brand, None) {
            Err(code) => code,
            Ok(key) => {
                let stored = key_of(key.id).and_then(|id| self.held.get(&id));
                judge(&key, &facts, stored, &self.peppers, Instant::from_millis(now as i64)).code
            }
        }
    }
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
