//! Runs one vector against the core. What a vector says is in `SPEC.md`; which vectors there are is the runners' affair:
//! `tests/vectors.rs` natively, `tests/wasm` compiled to WebAssembly. Nothing here computes what a vector expects.

use keyward::crypto::{Mac, from_hex, hkdf, sha256, to_hex};
use keyward::error::{BadSecret, Invalid, Malformed};
use keyward::key::{Key, KeyText, TagKeys};
use keyward::network::{Range, address_allowed};
use keyward::record::StoredKey;
use keyward::root::{Digest, Peppers, Purpose, RootSecret};
use keyward::scope::{Needed, Scope, beyond, grant_all};
use keyward::time::Instant;
use keyward::verify::{Code, Facts, inspect, judge};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Every operation that a vector may name.
pub(crate) const OPERATIONS: [&str; 18] = [
    "sha256",
    "hmac-sha256",
    "hkdf-sha256",
    "parse",
    "generate",
    "tag",
    "issued",
    "subkey",
    "root-name",
    "digest",
    "find",
    "scope-parse",
    "scope-grants",
    "scope-beyond",
    "range",
    "address",
    "instant",
    "verdict",
];

/// Runs the vector `json` from the file `name` (`parse/length-empty.json`); says what is wrong, if anything is.
pub(crate) fn run(name: &str, json: &str) -> Result<(), String> {
    let vector: Vector = serde_json::from_str(json).map_err(|error| format!("is no vector: {error}"))?;
    if name.split_once('/').map(|(folder, _)| folder) != Some(&*vector.operation) {
        return Err(format!("does not lie in the folder of its operation {:?}", vector.operation));
    }
    if vector.description.is_empty() || vector.source.is_some_and(|source| source.is_empty()) {
        return Err("says nothing in description or source".into());
    }
    let outcome = match perform(&vector.operation, vector.input) {
        Ok(outcome) => outcome,
        Err(Refusal::Named(failure)) => failure,
        Err(Refusal::BrokenVector(problem)) => return Err(format!("is no vector: {problem}")),
    };
    if outcome == vector.expect { Ok(()) } else { Err(format!("expects {}, got {outcome}", vector.expect)) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    description: String,
    source: Option<String>,
    operation: String,
    input: Value,
    expect: Value,
}

/// Why an operation has no result: a failure that the specification names, or a vector that cannot be run.
enum Refusal {
    Named(Value),
    BrokenVector(String),
}

type Outcome = Result<Value, Refusal>;

fn named(error: &str) -> Refusal {
    Refusal::Named(json!({ "error": error }))
}

fn broken(problem: impl ToString) -> Refusal {
    Refusal::BrokenVector(problem.to_string())
}

impl From<Malformed> for Refusal {
    fn from(error: Malformed) -> Self {
        named(error.code())
    }
}

impl From<BadSecret> for Refusal {
    fn from(_: BadSecret) -> Self {
        named("INVALID_SECRET")
    }
}

impl From<Invalid> for Refusal {
    fn from(error: Invalid) -> Self {
        Self::Named(json!({ "error": Invalid::CODE, "field": error.field }))
    }
}

fn perform(operation: &str, input: Value) -> Outcome {
    match operation {
        "sha256" => run_sha256(read(input)?),
        "hmac-sha256" => run_hmac(read(input)?),
        "hkdf-sha256" => run_hkdf(read(input)?),
        "parse" => run_parse(&read(input)?),
        "generate" => run_generate(&read(input)?),
        "tag" => run_tag(&read(input)?),
        "issued" => run_issued(&read(input)?),
        "subkey" => run_subkey(&read(input)?),
        "root-name" => run_root_name(&read(input)?),
        "digest" => run_digest(&read(input)?),
        "find" => run_find(&read(input)?),
        "scope-parse" => run_scope_parse(&read(input)?),
        "scope-grants" => run_scope_grants(&read(input)?),
        "scope-beyond" => run_scope_beyond(&read(input)?),
        "range" => run_range(&read(input)?),
        "address" => run_address(&read(input)?),
        "instant" => run_instant(&read(input)?),
        "verdict" => run_verdict(&read(input)?),
        other => Err(broken(format!("unknown operation {other:?}"))),
    }
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T, Refusal> {
    serde_json::from_value(input).map_err(broken)
}

/// Bytes as a vector writes them: exactly one of the three forms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bytes {
    text: Option<String>,
    hex: Option<String>,
    repeat: Option<String>,
    count: Option<usize>,
}

impl Bytes {
    fn take(self) -> Result<Vec<u8>, Refusal> {
        match self {
            Self { text: Some(text), hex: None, repeat: None, count: None } => Ok(text.into_bytes()),
            Self { text: None, hex: Some(hex), repeat: None, count: None } => unhex(&hex),
            Self { text: None, hex: None, repeat: Some(repeat), count: Some(count) } => {
                Ok(repeat.repeat(count).into_bytes())
            }
            _ => Err(broken("bytes are one of text, hex, repeat with count")),
        }
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, Refusal> {
    from_hex(text).map(|bytes| bytes.to_vec()).ok_or_else(|| broken("not hexadecimal"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sha256Input {
    message: Bytes,
}

fn run_sha256(input: Sha256Input) -> Outcome {
    Ok(json!({ "digest": to_hex(&sha256(&input.message.take()?)) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HmacInput {
    key: Bytes,
    message: Bytes,
    length: Option<usize>,
}

fn run_hmac(input: HmacInput) -> Outcome {
    let code = Mac::new(&input.key.take()?).code(&[&input.message.take()?]);
    let cut = code.get(..input.length.unwrap_or(code.len())).ok_or_else(|| broken("a code has 32 bytes"))?;
    Ok(json!({ "mac": to_hex(cut) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HkdfInput {
    ikm: Bytes,
    salt: Bytes,
    info: Bytes,
    length: usize,
}

fn run_hkdf(input: HkdfInput) -> Outcome {
    let mut out = vec![0; input.length];
    hkdf(&input.salt.take()?, &input.ikm.take()?, &input.info.take()?, &mut out);
    Ok(json!({ "okm": to_hex(&out) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParseInput {
    key: String,
    brand: Option<String>,
}

fn run_parse(input: &ParseInput) -> Outcome {
    let key = KeyText::parse(&input.key, input.brand.as_deref())?;
    Ok(json!({
        "brand": key.brand,
        "environment": key.environment,
        "id": key.id,
        "secret": key.secret,
        "redacted": key.redacted(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GenerateInput {
    brand: String,
    environment: String,
    tag_key: Option<String>,
    random: String,
}

fn run_generate(input: &GenerateInput) -> Outcome {
    let tags = input.tag_key.as_deref().map(|current| TagKeys::from_hex(current, [])).transpose()?;
    let mut random = Random { left: unhex(&input.random)?, fits: true };
    let key = Key::generate(&input.brand, &input.environment, tags.as_ref(), &mut |bytes| random.fill(bytes))?;
    random.finish()?;
    Ok(json!({ "key": key.expose() }))
}

/// The random bytes of a vector, handed out in order.
struct Random {
    left: Vec<u8>,
    fits: bool,
}

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() == 64 && self.left.len() >= 64 {
            bytes.copy_from_slice(&self.left[..64]);
            self.left.drain(..64);
        } else {
            // Zeros are characters, so that whoever draws comes to an end and the vector is reported.
            self.fits = false;
            bytes.fill(0);
        }
    }

    fn finish(self) -> Result<(), Refusal> {
        match self {
            Self { fits: true, left } if left.is_empty() => Ok(()),
            _ => Err(broken("other blocks of random bytes were drawn than the vector holds")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagInput {
    tag_key: String,
    brand: String,
    environment: String,
    random: String,
}

/// The core shows a tag only at the end of an id: a key is made whose random characters are the vector's.
fn run_tag(input: &TagInput) -> Outcome {
    let tags = TagKeys::from_hex(&input.tag_key, [])?;
    let digits: Vec<u8> = ('0'..='9').chain('A'..='Z').chain('a'..='z').map(|digit| digit as u8).collect();
    let values: Option<Vec<u8>> =
        input.random.bytes().map(|b| digits.iter().position(|digit| *digit == b).map(|value| value as u8)).collect();
    let values = values.filter(|v| v.len() == 10).ok_or_else(|| broken("random is ten characters of base62"))?;
    let key = Key::generate(&input.brand, &input.environment, Some(&tags), &mut |bytes| {
        bytes.fill(0);
        bytes[..values.len()].copy_from_slice(&values);
    })?;
    let (random, tag) = key.parts().id.split_at(values.len());
    if random != input.random {
        return Err(broken(format!("the id's random characters came out as {random:?}")));
    }
    Ok(json!({ "tag": tag }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuedInput {
    key: String,
    tag_key: String,
    #[serde(default)]
    retired_tag_keys: Vec<String>,
}

fn run_issued(input: &IssuedInput) -> Outcome {
    let tags = tag_keys(&input.tag_key, &input.retired_tag_keys)?;
    let key = KeyText::parse(&input.key, None)?;
    Ok(json!({ "issued": tags.issued(key.brand, key.environment, key.id) }))
}

fn tag_keys(current: &str, retired: &[String]) -> Result<TagKeys, BadSecret> {
    TagKeys::from_hex(current, retired.iter().map(String::as_str))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubkeyInput {
    root_secret: String,
    label: String,
}

fn run_subkey(input: &SubkeyInput) -> Outcome {
    let purpose =
        [Purpose::Pepper, Purpose::Session, Purpose::Sealing, Purpose::Audit, Purpose::Identity, Purpose::Name]
            .into_iter()
            .find(|purpose| purpose.label() == input.label)
            .ok_or_else(|| broken("unknown label"))?;
    Ok(json!({ "subkey": to_hex(&RootSecret::from_hex(&input.root_secret)?.subkey(purpose)[..]) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RootNameInput {
    root_secret: String,
}

fn run_root_name(input: &RootNameInput) -> Outcome {
    Ok(json!({ "root": RootSecret::from_hex(&input.root_secret)?.name().to_string() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestInput {
    key: String,
    brand: String,
    root_secret: String,
}

fn run_digest(input: &DigestInput) -> Outcome {
    let peppers = peppers(&input.root_secret, &[])?;
    let key = KeyText::parse(&input.key, Some(&input.brand))?;
    serde_json::to_value(peppers.digest(&key)).map_err(broken)
}

fn peppers(current: &str, retired: &[String]) -> Result<Peppers, BadSecret> {
    let current = RootSecret::from_hex(current)?;
    let retired: Vec<RootSecret> = retired.iter().map(|text| RootSecret::from_hex(text)).collect::<Result<_, _>>()?;
    Ok(Peppers::new(&current, &retired))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindInput {
    key: String,
    root_secret: String,
    #[serde(default)]
    retired_root_secrets: Vec<String>,
    digests: Vec<Value>,
}

fn run_find(input: &FindInput) -> Outcome {
    let peppers = peppers(&input.root_secret, &input.retired_root_secrets)?;
    let key = KeyText::parse(&input.key, None)?;
    let digests: Vec<Digest> = input.digests.iter().map(stored).collect::<Result<_, _>>()?;
    Ok(json!({ "position": peppers.find(&key, digests.iter().map(Digest::parts)) }))
}

/// A stored value. Storage ignores fields that it does not know; a vector must have none, so what was read is written
/// again and compared.
fn stored<T: DeserializeOwned + serde::Serialize>(value: &Value) -> Result<T, Refusal> {
    let read: T = read(value.clone())?;
    let unread = unread("", value, &serde_json::to_value(&read).map_err(broken)?);
    if unread.is_empty() { Ok(read) } else { Err(broken(format!("unknown or missing fields {unread:?}"))) }
}

/// The paths of the fields that only one of the two has.
fn unread(path: &str, given: &Value, read: &Value) -> Vec<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            let only_given = given.keys().filter(|field| !read.contains_key(*field));
            let only_read = read.keys().filter(|field| !given.contains_key(*field));
            let inside = given.iter().filter_map(|(field, value)| Some((field, value, read.get(field)?)));
            let deeper = inside.flat_map(|(field, a, b)| unread(&format!("{path}.{field}"), a, b));
            only_given.chain(only_read).map(|field| format!("{path}.{field}")).chain(deeper).collect()
        }
        (Value::Array(given), Value::Array(read)) => {
            given.iter().zip(read).flat_map(|(a, b)| unread(&format!("{path}[]"), a, b)).collect()
        }
        _ => vec![],
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeParseInput {
    text: String,
    r#as: String,
}

fn run_scope_parse(input: &ScopeParseInput) -> Outcome {
    let problem = match &*input.r#as {
        "held" => Scope::parse(&input.text).err(),
        "needed" => Needed::parse(&input.text).err(),
        _ => return Err(broken("a scope is held or needed")),
    };
    match problem {
        Some(sentence) => Err(scope_failure(sentence)),
        None => Ok(json!({ "own": held(&input.text)?.is_own() })),
    }
}

/// The core tells scope failures apart by their sentences only.
fn scope_failure(sentence: &str) -> Refusal {
    match sentence {
        s if s.starts_with("a scope is resource:action") => named("SHAPE"),
        s if s.starts_with("a needed scope is resource:action") => named("SHAPE"),
        s if s.starts_with("a scope has at most") => named("LENGTH"),
        s if s.starts_with("over all of keyward") => named("OWN_WILDCARD"),
        other => broken(format!("a failure without a name: {other}")),
    }
}

fn held(text: &str) -> Result<Scope, Refusal> {
    Scope::parse(text).map_err(scope_failure)
}

fn scopes(texts: &[String]) -> Result<Vec<Scope>, Refusal> {
    texts.iter().map(|text| held(text)).collect()
}

fn needs(texts: &[String]) -> Result<Vec<Needed<'_>>, Refusal> {
    texts.iter().map(|text| Needed::parse(text).map_err(scope_failure)).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeGrantsInput {
    held: Vec<String>,
    needed: Vec<String>,
}

fn run_scope_grants(input: &ScopeGrantsInput) -> Outcome {
    Ok(json!({ "granted": grant_all(&scopes(&input.held)?, needs(&input.needed)?) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeBeyondInput {
    held: Vec<String>,
    given: Vec<String>,
}

fn run_scope_beyond(input: &ScopeBeyondInput) -> Outcome {
    Ok(json!({ "beyond": beyond(&scopes(&input.held)?, &scopes(&input.given)?).map(Scope::as_str) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeInput {
    text: String,
}

fn run_range(input: &RangeInput) -> Outcome {
    Ok(json!({ "range": String::from(range(&input.text)?) }))
}

/// The core tells range failures apart by their sentences only.
fn range(text: &str) -> Result<Range, Refusal> {
    Range::parse(text).map_err(|sentence| match &*sentence {
        s if s.starts_with("not an address or a range") => named("NOT_A_RANGE"),
        s if s.starts_with("/0 is every address") => named("EVERY_ADDRESS"),
        s if s.starts_with("bits are set beyond the prefix") => named("HOST_BITS"),
        other => broken(format!("a failure without a name: {other}")),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressInput {
    address: Option<String>,
    allowed: Vec<String>,
    denied: Vec<String>,
}

fn run_address(input: &AddressInput) -> Outcome {
    let ranges = |texts: &[String]| texts.iter().map(|text| range(text)).collect::<Result<Vec<_>, _>>();
    let address = input.address.as_deref().and_then(|text| text.parse().ok());
    Ok(json!({ "passes": address_allowed(address, &ranges(&input.allowed)?, &ranges(&input.denied)?) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstantInput {
    text: String,
}

fn run_instant(input: &InstantInput) -> Outcome {
    let instant = instant(&input.text)?;
    Ok(json!({ "milliseconds": instant.millis(), "written": instant.to_string() }))
}

fn instant(text: &str) -> Result<Instant, Refusal> {
    Instant::parse(text).ok_or_else(|| named("NOT_AN_INSTANT"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerdictInput {
    key: String,
    brand: String,
    root_secret: String,
    #[serde(default)]
    retired_root_secrets: Vec<String>,
    tag_key: Option<String>,
    #[serde(default)]
    retired_tag_keys: Vec<String>,
    stored: Value,
    #[serde(default)]
    facts: FactsInput,
    now: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FactsInput {
    environment: Option<String>,
    address: Option<String>,
    country: Option<String>,
    origin: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

fn run_verdict(input: &VerdictInput) -> Outcome {
    let peppers = peppers(&input.root_secret, &input.retired_root_secrets)?;
    let tags = input.tag_key.as_deref().map(|current| tag_keys(current, &input.retired_tag_keys)).transpose()?;
    let stored: Option<StoredKey> = if input.stored.is_null() { None } else { Some(stored(&input.stored)?) };
    let needed = needs(&input.facts.scopes)?;
    let facts = Facts {
        environment: input.facts.environment.as_deref(),
        address: input.facts.address.as_deref().and_then(|text| text.parse().ok()),
        country: input.facts.country.as_deref(),
        origin: input.facts.origin.as_deref(),
        needed: &needed,
    };
    let now = instant(&input.now)?;
    let code = match inspect(&input.key, &input.brand, facts.environment) {
        Err(code) => code,
        Ok(key) if tags.is_some_and(|tags| !tags.issued(key.brand, key.environment, key.id)) => Code::NotFound,
        Ok(key) => judge(&key, &facts, stored.as_ref(), &peppers, now).code,
    };
    Ok(json!({ "code": code.as_str() }))
}
