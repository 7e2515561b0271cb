//! Keys that others found in the open: the reports of GitHub's secret scanning partner programme and who may sign them, what of a
//! report is kept, and what the policy of a key does about a secret that leaked. A report acts on a secret only, never on an id:
//! whoever knows the public part of a key can have nothing done to it.

use crate::crypto::sha256;
use crate::error::Invalid;
use crate::fields::{Fields, Shape};
use crate::incident::object;
use crate::key::holds_key;
use crate::life::{self, Actor, Change, Step};
use crate::record::{OnLeak, Status, StoredKey};
use crate::session::holds_token;
use crate::time::Instant;
use base64ct::{Base64, Encoding};
use serde_json::Value;

/// Most tokens of one report.
pub const MOST_TOKENS: usize = 500;
/// Most bytes of one report.
pub const MOST_BODY: u32 = 1 << 20;
/// Most places that are kept of one leak: the first ones.
pub const MOST_SIGHTINGS: usize = 50;
/// Longest address, or path, of a place, in characters.
const PLACE: usize = 500;
/// What is shorter than this, in bytes, is nobody's key, and may stand in any text.
const SHORT: usize = 8;
/// Longest word about a place, in characters.
const WORD: usize = 100;
const URL: Shape = Shape { pattern: Some(r"^https?://[^\s]+$"), most: PLACE, example: "https://git.example/a/b#L7" };
/// Most keys of partners.
const MOST_PARTNERS: usize = 50;
/// What comes before the 65 bytes of an uncompressed point in a public key of the curve P-256 (RFC 5480 §2).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The public keys that reports may be signed with: identifiers, and points of P-256 (SEC 1 §2.3.3, uncompressed). Whether a key
/// is the current one makes no difference: what is listed is trusted.
pub struct Partners(Vec<(String, Vec<u8>)>);

impl Partners {
    /// Reads `{"public_keys": [{"key_identifier", "key", "is_current"}]}`, as GitHub publishes it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(json: &str) -> Result<Self, &'static str> {
        let list = crate::fields::parse(json).map_err(|_| "it is not JSON")?;
        let keys = list["public_keys"].as_array().ok_or("public_keys must be a list")?;
        if !(1..=MOST_PARTNERS).contains(&keys.len()) {
            return Err("public_keys must name 1 to 50 keys");
        }
        let mut partners: Vec<(String, Vec<u8>)> = Vec::new();
        for key in keys {
            let identifier = key["key_identifier"].as_str().filter(|text| !text.is_empty());
            let identifier = identifier.ok_or("each key needs its key_identifier")?;
            let point = key["key"].as_str().and_then(point).ok_or("each key must be a PEM public key of P-256")?;
            if partners.iter().any(|(known, _)| known == identifier) {
                return Err("a key_identifier stands there twice");
            }
            partners.push((identifier.to_owned(), point));
        }
        Ok(Self(partners))
    }

    /// The point of the key of that identifier: 65 bytes.
    pub fn point(&self, identifier: &str) -> Option<&[u8]> {
        self.0.iter().find_map(|(known, point)| (known == identifier).then_some(&point[..]))
    }
}

/// The point of a public key in PEM (RFC 7468 §13).
fn point(pem: &str) -> Option<Vec<u8>> {
    let text = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let text: String = text.split_ascii_whitespace().collect();
    let der = Base64::decode_vec(&text).ok()?;
    let point = der.strip_prefix(&SPKI)?;
    (point.len() == 65 && point[0] == 4).then(|| point.to_vec())
}

/// The signature that a header carries: base64 of DER. 64 bytes as WebCrypto takes them.
pub fn signature(header: &str) -> Option<[u8; 64]> {
    // The longest is 72 bytes; nobody decodes a header of 100 KB.
    (header.len() <= 96).then(|| Base64::decode_vec(header).ok())?.as_deref().and_then(raw_signature)
}

/// An ECDSA signature over P-256, r and s of 32 bytes each, from its DER (X.690 §8, §10): one spelling for each, so what is not
/// minimal, negative, zero, too long or followed by anything is `None`.
pub fn raw_signature(der: &[u8]) -> Option<[u8; 64]> {
    let [0x30, length @ 0..=0x7f, body @ ..] = der else { return None };
    if usize::from(*length) != body.len() {
        return None;
    }
    let (r, rest) = integer(body)?;
    let (s, rest) = integer(rest)?;
    let mut raw = [0; 64];
    raw[..32].copy_from_slice(&r);
    raw[32..].copy_from_slice(&s);
    rest.is_empty().then_some(raw)
}

/// A positive integer of at most 256 bits, and what comes after it.
fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
    let digits = match bytes {
        // A leading zero is there where the number would otherwise be negative, and nowhere else.
        [0, digits @ ..] if digits.first().is_some_and(|first| *first >= 0x80) => digits,
        [1..=0x7f, ..] => bytes,
        _ => return None,
    };
    let mut number = [0; 32];
    number.get_mut(32usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some((number, rest))
}

/// Where a secret was found, as it is kept and shown: a JSON object of `at`, `reporter` (`github`, or the id of a key) and, each of them
/// or `null`, `url`, `source` (in what, in the reporter's word: `commit`, `ci`), `kind` (the type of token that it was taken for),
/// `path`, `commit`, `line`. Nobody here reads it, so it is no type of its own: what reads and writes each is 3 KB of the Worker.
fn sighting(at: Instant, reporter: &str, texts: [Option<String>; 5], line: Option<u64>) -> Value {
    let mut of = vec![("at", at.to_string().into()), ("reporter", reporter.into())];
    of.extend(["url", "source", "kind", "path", "commit"].into_iter().zip(texts.map(Value::from)));
    of.push(("line", line.into()));
    object(of)
}

/// Adds a place, unless it is known or there is no room for it; whether it was added.
pub fn add(known: &mut Vec<Value>, new: &Value) -> bool {
    let same = |one: &Value| {
        let mut parts = one.as_object().into_iter().flatten();
        parts.all(|(name, value)| name == "at" || new[name] == *value)
    };
    let is_new = known.len() < MOST_SIGHTINGS && !known.iter().any(same);
    if is_new {
        known.push(new.clone());
    }
    is_new
}

/// A text that is said to have leaked, and where. Has no `Debug`: it may be a key.
pub struct Reported {
    /// The text.
    pub token: String,
    /// The type of token that it was taken for, as it was said; empty where nothing was.
    pub kind: String,
    /// Where it was found.
    pub sighting: Value,
}

/// Why a report is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It has more than [`MOST_TOKENS`].
    TooMany,
    /// It is not what a report is.
    Invalid(Invalid),
}

/// Reads the body of a partner's report: a list of `{"token", "type", "url", "source"}`. What else stands there is passed over: the
/// format is the partner's, who may add to it.
///
/// # Errors
/// [`Unread`], in words that repeat nothing of it.
pub fn partner_report(body: &str, now: Instant) -> Result<Vec<Reported>, Unread> {
    let invalid = |field: String, problem: &str| Unread::Invalid(Invalid::new(field, problem));
    let read = crate::fields::parse(body)
        .map_err(|problem| Unread::Invalid(Invalid::new("", format!("the body {problem}"))))?;
    let Value::Array(tokens) = read else { return Err(invalid(String::new(), "the body must be a list")) };
    if tokens.len() > MOST_TOKENS {
        return Err(Unread::TooMany);
    }
    let one = |(index, of): (usize, &Value)| {
        let text = |name: &str| {
            of[name].as_str().ok_or_else(|| invalid(format!("[{index}].{name}"), "is required and must be a string"))
        };
        let (token, kind) = (text("token")?, text("type")?);
        let part = |name: &str, most| of[name].as_str().and_then(|text| kept(text, most, token));
        let url = part("url", PLACE).filter(|url| is_url(url));
        let texts = [url, part("source", WORD), kept(kind, WORD, token), None, None];
        let sighting = sighting(now, "github", texts, None);
        Ok(Reported { token: token.to_owned(), kind: kind.to_owned(), sighting })
    };
    tokens.iter().enumerate().map(one).collect()
}

/// What is answered of each token of a partner's report: its SHA-256 in base64, the type it was reported as, and whether it is a
/// key of this deployment.
pub fn partner_label(reported: &Reported, is_key: bool) -> Value {
    let hash = Base64::encode_string(&sha256(reported.token.as_bytes()));
    let label = if is_key { "true_positive" } else { "false_positive" };
    object(vec![("token_hash", hash.into()), ("token_type", reported.kind.as_str().into()), ("label", label.into())])
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

/// What may be kept of what a partner says: one line, cut to `most` characters, and nothing that holds the token or any other key.
fn kept(text: &str, most: usize, token: &str) -> Option<String> {
    let decoded = text.replace("%5F", "_").replace("%5f", "_");
    let holds = |text: &str| holds_key(text) || holds_token(text) || (token.len() >= SHORT && text.contains(token));
    if holds(text) || holds(&decoded) {
        return None;
    }
    let line: String = text.chars().filter(|c| !c.is_control()).take(most).collect();
    Some(line).filter(|line| !line.trim().is_empty())
}

/// Takes the report of one's own pipelines: a list `leaks` of `{key, url?, source?, path?, commit?, line?}`.
///
/// # Errors
/// [`Invalid`] naming the field.
pub fn own_report(fields: &mut Fields, reporter: &str, now: Instant) -> Result<Vec<Reported>, Invalid> {
    fields.objects("leaks", MOST_TOKENS, |fields| {
        let token = fields.required_text("key")?;
        let url = fields.shaped("url", &URL)?;
        let (source, path) = (fields.line("source", WORD)?, fields.line("path", PLACE)?);
        let (commit, line) = (fields.line("commit", WORD)?, fields.whole("line", 1, u64::from(u32::MAX))?);
        if url.as_deref().is_some_and(|url| !is_url(url)) {
            return Err(Invalid::new("url", "must begin with http:// or https:// and have no spaces"));
        }
        for (field, text) in [("url", &url), ("source", &source), ("path", &path), ("commit", &commit)] {
            if text.as_deref().is_some_and(|text| kept(text, PLACE, &token).is_none()) {
                return Err(Invalid::new(field, "holds the key: it is stored and shown, the key must not be"));
            }
        }
        let sighting = sighting(now, reporter, [url, source, None, path, commit], line);
        Ok(Reported { token, kind: String::new(), sighting })
    })
}

/// What was done about a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// The owner was told.
    Notify,
    /// The key was disabled.
    Disable,
    /// The key was revoked.
    Revoke,
    /// The secret was replaced.
    Rotate,
}

impl Action {
    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Notify, Self::Disable, Self::Revoke, Self::Rotate].into_iter().find(|of| of.as_str() == name)
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Notify => "notify",
            Self::Disable => "disable",
            Self::Revoke => "revoke",
            Self::Rotate => "rotate",
        }
    }
}

/// What is told of a leak, by the event `key.leaked`.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaked {
    /// The incident that it belongs to.
    pub incident_id: String,
    /// Number of the secret.
    pub secret: u32,
    /// What the policy of the key does about it.
    pub action: Action,
    /// From when the secret may have been misused: since it was made.
    pub suspected_at: Instant,
    /// Where it was found, as far as that is new.
    pub sightings: Vec<Value>,
    /// How the key was used since, where this is the first report.
    pub evidence: Option<Value>,
}

impl Leaked {
    /// As the event tells it.
    pub fn told(self) -> Value {
        object(vec![
            ("incident_id", self.incident_id.into()),
            ("secret", self.secret.into()),
            ("action", self.action.as_str().into()),
            ("suspected_at", self.suspected_at.to_string().into()),
            ("sightings", Value::Array(self.sightings)),
            ("evidence", self.evidence.into()),
        ])
    }

    /// Reads what [`Leaked::told`] wrote; `None` for what is none.
    pub fn read(told: &Value) -> Option<Self> {
        Some(Self {
            incident_id: told["incident_id"].as_str()?.to_owned(),
            secret: u32::try_from(told["secret"].as_u64()?).ok()?,
            action: Action::named(told["action"].as_str()?)?,
            suspected_at: Instant::parse(told["suspected_at"].as_str()?)?,
            sightings: told["sightings"].as_array()?.clone(),
            evidence: Some(told["evidence"].clone()).filter(|evidence| !evidence.is_null()),
        })
    }
}

/// What a report of a secret comes to.
#[derive(Debug)]
pub struct Met {
    /// What was done about it, now or before.
    pub action: Action,
    /// The incident; none where the secret had ended before anybody reported it.
    pub incident_id: Option<String>,
    /// Whether this is the first report.
    pub first: bool,
    /// What is to be told; nothing where nothing is new.
    pub news: Option<Leaked>,
    /// What the policy changes.
    pub step: Option<Step>,
}

/// Takes a report of the secret at `position` in, whose text was presented in full.
///
/// `marks` is what the key's object keeps: of each secret that leaked `{secret, action, sightings}`, so that the policy of the key is
/// carried out once. Who enables a key again has decided, and the same report a day later changes nothing.
pub fn meet(
    marks: &mut Vec<Value>,
    key: &StoredKey,
    position: usize,
    sightings: Vec<Value>,
    by: &Actor,
    now: Instant,
) -> Met {
    let record = &key.record;
    let mut met = Met { action: Action::None, incident_id: None, first: false, news: None, step: None };
    let Some(secret) = key.secrets.get(position) else { return met };
    let number = secret.number;
    // What can be presented no more needs no mark.
    marks.retain(|mark| key.secrets.iter().any(|secret| mark["secret"] == secret.number));
    met.first = !marks.iter().any(|mark| mark["secret"] == number);
    if met.first {
        if record.status == Status::Revoked || !secret.accepted(now) {
            return met;
        }
        let reporter = || sightings.first().and_then(|of| of["reporter"].as_str()).unwrap_or_default();
        let reason = || Some(format!("leaked: reported by {}", reporter()));
        let (action, change) = match record.on_leak {
            OnLeak::Notify => (Action::Notify, None),
            OnLeak::Disable => (Action::Disable, Some(Change::Disable)),
            OnLeak::Revoke => (Action::Revoke, Some(Change::Revoke { reason: reason() })),
        };
        met.step = change.and_then(|change| life::apply(key, &change, by, now).ok().flatten());
        let nothing = Value::Array(Vec::new());
        marks.push(object(vec![("secret", number.into()), ("action", action.as_str().into()), ("sightings", nothing)]));
    }
    let Some(mark) = marks.iter_mut().find(|mark| mark["secret"] == number) else { return met };
    met.action = mark["action"].as_str().and_then(Action::named).unwrap_or(Action::None);
    let Some(known) = mark["sightings"].as_array_mut() else { return met };
    let fresh: Vec<Value> = sightings.into_iter().filter(|of| add(known, of)).collect();
    let incident_id = crate::incident::id_of(&record.id, number);
    met.news = (met.first || !fresh.is_empty()).then(|| Leaked {
        incident_id: incident_id.clone(),
        secret: number,
        action: met.action,
        suspected_at: secret.created_at.unwrap_or(record.created_at),
        sightings: fresh,
        evidence: None,
    });
    met.incident_id = Some(incident_id);
    met
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::record::{Secret, Stage};
    use crate::root::{Peppers, RootSecret};
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Instant = Instant::EPOCH;

    /// DER of a signature, as an honest signer writes it.
    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let integer = |number: &[u8]| {
            let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
            let mut digits = number[start..].to_vec();
            if digits[0] >= 0x80 {
                digits.insert(0, 0);
            }
            [&[0x02, digits.len() as u8][..], &digits].concat()
        };
        let body = [integer(r), integer(s)].concat();
        [&[0x30, body.len() as u8][..], &body].concat()
    }

    fn number() -> impl Strategy<Value = [u8; 32]> {
        // Leading zeros as often as not: that is where spellings differ.
        (any::<[u8; 32]>(), 0usize..32).prop_map(|(mut number, zeros)| {
            number[..zeros].fill(0);
            number[31] |= 1;
            number
        })
    }

    proptest! {
        #[test]
        fn a_signature_is_read_from_its_one_spelling(r in number(), s in number()) {
            let raw = raw_signature(&der(&r, &s)).unwrap();
            prop_assert_eq!((&raw[..32], &raw[32..]), (&r[..], &s[..]));
        }

        #[test]
        fn no_other_spelling_of_it_is_taken(r in number(), s in number(), at in any::<prop::sample::Index>(), byte: u8, more in proptest::collection::vec(any::<u8>(), 1..4)) {
            let one = der(&r, &s);
            prop_assert!(raw_signature(&[&one[..], &more].concat()).is_none(), "bytes after it");
            prop_assert!(raw_signature(&one[..one.len() - 1]).is_none(), "cut off");
            let mut changed = one.clone();
            changed[at.index(one.len())] = byte;
            // Whatever else is taken is the one spelling of another signature.
            if let Some(raw) = raw_signature(&changed) {
                prop_assert_eq!(der(&raw[..32], &raw[32..]), changed);
            }
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in ".{0,120}") {
            let _ = raw_signature(&bytes);
            let _ = signature(&text);
            let _ = partner_report(&text, NOW);
            let _ = Partners::read(&text);
        }

        #[test]
        fn what_is_kept_holds_neither_the_token_nor_a_line_break(before in "\\PC{0,20}", after in "(\\PC|\n){0,20}", seed: u64) {
            let key = Key::generate("psk", "live", None, &mut crate::key::tests::source(seed)).unwrap();
            prop_assert_eq!(kept(&format!("{before} {} {after}", key.expose()), 500, "other token"), None);
            prop_assert_eq!(kept(&format!("{before}sk_live_abcdefgh{after}"), 500, "sk_live_abcdefgh"), None);
            if let Some(line) = kept(&format!("{before}{after}"), 10, "not in there") {
                prop_assert!(line.chars().count() <= 10 && !line.chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn each_way_to_misspell_a_signature_is_refused() {
        let (one, high) = ([1u8; 32], [0xffu8; 32]);
        assert!(raw_signature(&der(&one, &high)).is_some());
        let with = |r: &[u8], s: &[u8]| {
            let body = [&[2, r.len() as u8], r, &[2, s.len() as u8], s].concat();
            [&[0x30, body.len() as u8][..], &body].concat()
        };
        let padded = [&[0][..], &one].concat();
        let (long, zeros) = ([&[1][..], &one].concat(), [&[0, 0][..], &high].concat());
        for (what, bytes) in [
            ("nothing", vec![]),
            ("a number that is not minimal", with(&padded, &one)),
            ("a negative one", with(&one, &high)),
            ("zero", with(&[0], &one)),
            ("no number", with(&[], &one)),
            ("more than 256 bits", with(&one, &long)),
            ("two zeros", with(&zeros, &one)),
            ("a length in the long form", [&[0x30, 0x81, 68, 2, 32][..], &one, &[2, 32], &one].concat()),
            ("another type", [&[0x31, 68, 2, 32][..], &one, &[2, 32], &one].concat()),
            ("raw bytes", [one, one].concat()),
            ("three numbers", [&[0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1][..]].concat()),
            ("one number", vec![0x30, 3, 2, 1, 1]),
        ] {
            assert!(raw_signature(&bytes).is_none(), "{what}");
        }
        assert!(signature(&Base64::encode_string(&der(&one, &one))).is_some());
        for bad in ["", "====", "MEUC", &"A".repeat(97), &Base64::encode_string(&der(&one, &one)).replace('=', "")] {
            assert!(signature(bad).is_none() || !bad.contains('='), "{bad}");
        }
    }

    fn pem(point: &[u8]) -> String {
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            Base64::encode_string(&[&SPKI[..], point].concat())
        )
    }

    #[test]
    fn partners_are_read_as_they_are_published() {
        let point = [&[4][..], &[7; 64]].concat();
        let key = |identifier: &str, pem: &str| json!({"key_identifier": identifier, "key": pem, "is_current": true, "more": 1});
        let read = |keys: Value| Partners::read(&json!({ "public_keys": keys }).to_string());
        let partners = read(json!([key("a", &pem(&point)), key("b", &pem(&point))])).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((partners.point("b"), partners.point("c")), (Some(&point[..]), None));
        for bad in [
            json!([]),
            json!({}),
            json!([key("", &pem(&point))]),
            json!([key("a", &pem(&point)), key("a", &pem(&point))]),
            json!([key("a", "-----BEGIN PUBLIC KEY-----")]),
            json!([key("a", &pem(&point[..64]))]),
            json!([key("a", &pem(&[&[2][..], &[7; 64]].concat()))]),
            json!([{"key_identifier": "a"}]),
            json!([1]),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        assert!(Partners::read("[]").is_err() && Partners::read("{").is_err());
    }

    #[test]
    fn a_partners_report_is_read_whatever_the_partner_adds_and_nothing_of_it_is_kept_that_should_not_be() {
        let token = "sk_live_0123456789abcdef";
        let body = json!([
            {"token": token, "type": "some_type", "url": "https://git.example/a#L1", "source": "commit", "new": {}},
            {"token": token, "type": "t\n", "url": format!("https://git.example/?q={token}"), "source": null},
            {"token": token, "type": "t", "url": "javascript:alert(1)"},
            {"token": token, "type": "t", "url": format!("https://git.example/{}", "x".repeat(600))},
            {"token": token, "type": "t", "url": "https://git.example/a b", "source": "line\nbreak"},
        ]);
        let read = partner_report(&body.to_string(), NOW).unwrap_or_else(|_| panic!("a sound report"));
        let urls: Vec<&str> = read.iter().map(|of| of.sighting["url"].as_str().unwrap_or_default()).collect();
        assert_eq!((urls[0], urls[1], urls[2], urls[3].len(), urls[4]), ("https://git.example/a#L1", "", "", 500, ""));
        assert_eq!((read[0].kind.as_str(), read[1].kind.as_str()), ("some_type", "t\n"));
        assert_eq!((&read[1].sighting["kind"], &read[4].sighting["source"]), (&json!("t"), &json!("linebreak")));
        assert!(read.iter().all(|of| !of.sighting.to_string().contains(token)));
        let label = partner_label(&read[0], true);
        assert_eq!(label["token_hash"], Base64::encode_string(&sha256(token.as_bytes())));
        assert_eq!((&label["token_type"], &label["label"]), (&json!("some_type"), &json!("true_positive")));
        assert!(partner_report("[]", NOW).is_ok_and(|read| read.is_empty()));
        let many = |count: usize| Value::Array(vec![json!({"token": "t", "type": "t"}); count]).to_string();
        assert!(partner_report(&many(MOST_TOKENS), NOW).is_ok());
        assert!(matches!(partner_report(&many(MOST_TOKENS + 1), NOW), Err(Unread::TooMany)));
        for bad in
            ["", "{}", "[1]", r#"[{"token":"t"}]"#, r#"[{"token":1,"type":"t"}]"#, r#"[{"token":"\ud800","type":"t"}]"#]
        {
            assert!(matches!(partner_report(bad, NOW), Err(Unread::Invalid(_))), "{bad}");
        }
    }

    #[test]
    fn ones_own_report_names_what_is_wrong_and_takes_no_key_into_a_field_that_is_shown() {
        let read = |leak: Value| {
            let mut fields = Fields::of(json!({ "leaks": [leak] })).unwrap();
            own_report(&mut fields, "k", NOW).map_err(|invalid| invalid.field)
        };
        let good = json!({"key": "not a key", "url": "https://ci.example/1", "source": "ci", "path": "src/.env", "commit": "abc", "line": 7});
        let reported = read(good).unwrap_or_else(|field| panic!("{field}")).remove(0);
        assert_eq!(reported.sighting["line"], 7);
        for (field, value) in [
            ("url", json!("javascript:alert(1)")),
            ("url", json!("https://")),
            ("url", json!(format!("https://a.example/{}", "x".repeat(500)))),
            ("url", json!("https://a.example/?k=sk_live_0123")),
            ("path", json!("a\nb")),
            ("commit", json!("sk_live_0123")),
            ("line", json!(0)),
            ("line", json!(1.5)),
            ("more", json!(1)),
        ] {
            let mut leak = json!({"key": "sk_live_0123"});
            leak[field] = value.clone();
            assert_eq!(read(leak).err(), Some(format!("leaks[0].{field}")), "{value}");
        }
        assert_eq!(read(json!({})).err().as_deref(), Some("leaks[0].key"));
    }

    fn key(on_leak: OnLeak) -> StoredKey {
        let peppers = Peppers::new(&RootSecret::from_hex(&"07".repeat(32)).unwrap(), []);
        let make = |seed| Key::generate("psk", "live", None, &mut crate::key::tests::source(seed)).unwrap();
        let mut record = crate::record::tests::record();
        record.on_leak = on_leak;
        let mut key = StoredKey::new(record, peppers.digest(&make(1).parts()));
        key.secrets.push(Secret { number: 2, ..Secret::first(peppers.digest(&make(2).parts())) });
        key
    }

    fn at(url: &str) -> Vec<Value> {
        vec![sighting(NOW, "github", [Some(url.to_owned()), None, None, None, None], None)]
    }

    fn by() -> Actor {
        Actor::keyward("test")
    }

    #[test]
    fn the_policy_is_carried_out_once_for_a_secret_however_often_it_is_reported() {
        for (policy, action, status) in [
            (OnLeak::Notify, Action::Notify, Status::Active),
            (OnLeak::Disable, Action::Disable, Status::Disabled),
            (OnLeak::Revoke, Action::Revoke, Status::Revoked),
        ] {
            let mut key = key(policy);
            let mut marks = Vec::new();
            let met = meet(&mut marks, &key, 0, at("https://a.example"), &by(), NOW);
            assert!(met.first && met.action == action && met.news.is_some());
            assert_eq!(met.incident_id.as_deref(), Some("inc_7Qm2ZxT0aBcD3fGh_1"));
            key = met.step.map_or(key, |step| step.key);
            assert_eq!(key.record.status, status);
            if policy == OnLeak::Revoke {
                assert_eq!(key.record.revoke_reason.as_deref(), Some("leaked: reported by github"));
            }
            // The same report again: nothing. Another place: told, nothing done.
            let again = meet(&mut marks, &key, 0, at("https://a.example"), &by(), NOW.plus_seconds(9));
            assert!(!again.first && again.news.is_none() && again.step.is_none() && again.action == action);
            if status == Status::Disabled {
                key = life::apply(&key, &Change::Enable, &by(), NOW).unwrap().unwrap().key;
            }
            let elsewhere = meet(&mut marks, &key, 0, at("https://b.example"), &by(), NOW);
            let news = elsewhere.news.unwrap_or_else(|| panic!("a new place"));
            assert!(elsewhere.step.is_none() && news.sightings == at("https://b.example") && news.evidence.is_none());
            assert_eq!(Leaked::read(&news.clone().told()), Some(news));
        }
    }

    #[test]
    fn a_secret_that_had_ended_is_known_and_nothing_is_done() {
        let ended = |change: fn(&mut StoredKey)| {
            let mut key = key(OnLeak::Revoke);
            change(&mut key);
            let met = meet(&mut Vec::new(), &key, 0, at("https://a.example"), &by(), NOW.plus_seconds(10));
            (met.action, met.incident_id.is_some(), met.step.is_some(), met.news.is_some())
        };
        let nothing = (Action::None, false, false, false);
        assert_eq!(ended(|key| key.record.status = Status::Revoked), nothing);
        assert_eq!(ended(|key| key.secrets[0].status = Stage::Gone), nothing);
        assert_eq!(ended(|key| (key.secrets[0].status, key.secrets[0].until) = (Stage::Retiring, Some(NOW))), nothing);
        // A disabled key may be enabled again, and an expired one be prolonged.
        let revoked = (Action::Revoke, true, true, true);
        assert_eq!(ended(|key| key.record.status = Status::Disabled), revoked);
        assert_eq!(ended(|key| key.record.expires_at = Some(NOW)), revoked);
        assert_eq!(ended(|_| ()), revoked);
    }

    #[test]
    fn places_and_marks_are_bounded() {
        let key = key(OnLeak::Notify);
        let mut marks = vec![json!({"secret": 99, "action": "notify", "sightings": []})];
        let mut told = 0;
        for i in 0..100 {
            told += usize::from(
                meet(&mut marks, &key, 1, at(&format!("https://a.example/{i}")), &by(), NOW).news.is_some(),
            );
        }
        assert_eq!(
            (told, marks.len(), marks[0]["sightings"].as_array().unwrap().len()),
            (MOST_SIGHTINGS, 1, MOST_SIGHTINGS)
        );
        assert!(meet(&mut marks, &key, 0, at("https://a.example"), &by(), NOW).first, "each secret for itself");
    }
}
