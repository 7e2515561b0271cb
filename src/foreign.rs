//! Keys of other systems, taken over without their holders noticing. keyward never has their text before it is presented: it
//! is given the SHA-256. From that an id is made with the tag key, under which the record stands like any other, and the digest
//! is kept as any other, with the 64 hexadecimal digits in the place of a secret. Only texts with a configured prefix are
//! looked up at all: unlike a key of keyward's own, an invented one cannot be told from its text.

use crate::crypto::{from_hex, sha256, to_hex};
use crate::draft::Draft;
use crate::error::Invalid;
use crate::fields::{Fields, Shape};
use crate::key::KeyText;
use crate::scope::Scope;
use crate::time::Instant;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Longest text of a foreign key, in bytes.
pub const MOST_TEXT: usize = 512;
/// Most rows of one import.
pub const MOST_ROWS: usize = 500;

/// How the keys of another system begin, and the environment that they are for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    text: String,
    environment: String,
}

/// A text that begins like a key of another system.
pub struct Presented {
    /// What it is for.
    pub environment: String,
    /// SHA-256 of the text: 64 hexadecimal digits.
    pub sha256: String,
}

impl Prefix {
    /// Reads `sk_live_:live,sk_test_:test`. `brand` is keyward's own, `environments` the deployment's.
    ///
    /// # Errors
    /// A sentence for what is no prefix: 3 to 40 visible characters, an environment that there is, and not the own brand's.
    pub fn read_all(text: &str, brand: &str, environments: &[String]) -> Result<Vec<Self>, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| {
                let (text, environment) = entry.rsplit_once(':').ok_or("each entry is prefix:environment")?;
                if !(3..=40).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err("a prefix is 3 to 40 visible ASCII characters".to_owned());
                }
                if !environments.iter().any(|known| known == environment) {
                    return Err(format!("the environment must be one of: {}", environments.join(", ")));
                }
                let own = format!("{brand}_");
                if text.starts_with(&own) || own.starts_with(text) {
                    return Err("a prefix must not be that of keyward's own keys".to_owned());
                }
                Ok(Self { text: text.to_owned(), environment: environment.to_owned() })
            })
            .collect()
    }
}

impl Presented {
    /// Recognises a text by its prefix. `None` for one that has none of them, or that is no single word of visible ASCII.
    pub fn of(text: &str, prefixes: &[Prefix]) -> Option<Self> {
        let prefix = prefixes.iter().find(|prefix| text.starts_with(&prefix.text))?;
        let fits = (prefix.text.len() + 1..=MOST_TEXT).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic()))
            .then(|| Self { environment: prefix.environment.clone(), sha256: to_hex(&sha256(text.as_bytes())) })
    }

    /// As a key text under one of its ids, to be digested and judged like any other.
    pub fn as_key<'k>(&'k self, brand: &'k str, id: &'k str) -> KeyText<'k> {
        KeyText { brand, environment: &self.environment, id, secret: &self.sha256 }
    }
}

/// Lookups that found nothing, by network of the client: five a second after the first fifty. An invented text with a foreign
/// prefix costs a storage call, which one of keyward's own does not; this is what holds them.
#[derive(Default)]
pub struct Budget {
    /// When each network will have no debt left.
    clear_at: HashMap<String, Instant>,
    /// Ids that were found: looking those up again costs nothing, whoever else has spent what.
    found: HashSet<String>,
}

/// Milliseconds that one lookup costs.
const COST_MS: i64 = 200;
/// Lookups that may be spent at once.
const BURST: i64 = 50;
/// Found ids that are remembered.
const MOST_FOUND: usize = 100_000;
/// Networks that are remembered.
const MOST_NETWORKS: usize = 10_000;

impl Budget {
    /// Spends one lookup of `id` by a network; whether it had one.
    pub fn spend(&mut self, network: &str, id: &str, now: Instant) -> bool {
        if self.found.contains(id) {
            return true;
        }
        if self.clear_at.len() >= MOST_NETWORKS && !self.clear_at.contains_key(network) {
            self.clear_at.retain(|_, clear_at| *clear_at > now);
            if self.clear_at.len() >= MOST_NETWORKS {
                return false;
            }
        }
        // A clock that steps back forgives nothing for longer than the whole burst takes.
        let debt = self.clear_at.get(network).map_or(0, |at| (at.millis() - now.millis()).clamp(0, BURST * COST_MS));
        let allowed = debt + COST_MS <= BURST * COST_MS;
        if allowed {
            self.clear_at.insert(network.to_owned(), now.plus_millis(debt + COST_MS));
        }
        allowed
    }

    /// Gives a lookup back: it found a key.
    pub fn refund(&mut self, network: &str, id: &str) {
        if self.found.len() >= MOST_FOUND {
            self.found.clear();
        }
        if !self.found.insert(id.to_owned()) {
            return;
        }
        if let Some(clear_at) = self.clear_at.get_mut(network) {
            *clear_at = clear_at.plus_millis(-COST_MS);
        }
    }
}

/// One line of an import.
#[derive(Clone, Debug)]
pub struct Row {
    /// SHA-256 of the key's text: 64 hexadecimal digits, lower case.
    pub sha256: String,
    /// The record it gets.
    pub draft: Draft,
}

impl Row {
    /// Reads one line.
    ///
    /// # Errors
    /// [`Invalid`] naming the field: those of a creation, `sha256`, `prefix`, and scopes of keyward's own, which no imported
    /// key may hold.
    pub fn read(body: Value, prefixes: &[Prefix], environments: &[String], now: Instant) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body)?;
        let row = Self::take(&mut fields, prefixes, environments, now)?;
        fields.end()?;
        Ok(row)
    }

    /// As [`Row::read`], from fields that may be described.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn take(
        fields: &mut Fields,
        prefixes: &[Prefix],
        environments: &[String],
        now: Instant,
    ) -> Result<Self, Invalid> {
        const SHA256: Shape = Shape { pattern: Some("^[0-9A-Fa-f]{64}$"), most: 64, example: "" };
        let sha256 = fields.required_shaped("sha256", &SHA256)?.to_ascii_lowercase();
        let prefix = fields.line("prefix", 40)?;
        let environment = fields.one_of("environment", environments)?;
        let mut draft = Draft::take(fields, environments, now)?;
        if fields.is_description() {
            return Ok(Self { sha256, draft });
        }
        if from_hex(&sha256).is_none_or(|bytes| bytes.len() != 32) {
            return Err(Invalid::new("sha256", "must be the SHA-256 of the key's text, 64 hexadecimal digits"));
        }
        let fitting: Vec<&Prefix> =
            prefixes.iter().filter(|known| prefix.as_deref().is_none_or(|text| text == known.text)).collect();
        draft.environment = match fitting.as_slice() {
            [] if prefixes.is_empty() => {
                return Err(Invalid::new("prefix", "no prefix is configured: set KEYWARD_FOREIGN_PREFIXES"));
            }
            [] => return Err(Invalid::new("prefix", "is not among the configured ones")),
            [one] => one.environment.clone(),
            _ => return Err(Invalid::new("prefix", "is required where several are configured")),
        };
        if environment.is_some_and(|named| named != draft.environment) {
            return Err(Invalid::new("environment", format!("keys with this prefix are for {}", draft.environment)));
        }
        match draft.settings.scopes.iter().find(|scope: &&Scope| scope.is_own()) {
            Some(_) => Err(Invalid::new("scopes", "an imported key can hold none of keyward's own scopes")),
            None => Ok(Self { sha256, draft }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environments() -> Vec<String> {
        vec!["live".into(), "test".into()]
    }

    fn prefixes() -> Vec<Prefix> {
        Prefix::read_all("sk_live_:live, sk_test_:test", "psk", &environments()).unwrap()
    }

    #[test]
    fn prefixes_are_those_of_others() {
        for bad in ["sk_live_", "sk:live", "sk_live_:prod", "psk_:live", "psk_live_:live", "psk:live", "a b_:live"] {
            assert!(Prefix::read_all(bad, "psk", &environments()).is_err(), "{bad}");
        }
        assert!(Prefix::read_all("", "psk", &environments()).unwrap().is_empty());
    }

    #[test]
    fn only_texts_with_a_prefix_are_recognised() {
        let presented = Presented::of("sk_test_abc", &prefixes()).unwrap();
        assert_eq!(presented.environment, "test");
        assert_eq!(presented.sha256, to_hex(&sha256(b"sk_test_abc")));
        let long = format!("sk_live_{}", "a".repeat(505));
        for other in ["sk_abc", "sk_live_", "sk_live_a b", "sk_live_é", "psk_live_abc", "", &long] {
            assert!(Presented::of(other, &prefixes()).is_none(), "{other}");
        }
        assert!(Presented::of("sk_test_abc", &[]).is_none());
    }

    #[test]
    fn a_budget_is_fifty_and_five_a_second_and_what_was_found_is_free() {
        let mut budget = Budget::default();
        let at = Instant::from_millis;
        let spent = (0..100).filter(|_| budget.spend("192.0.2.0/24", "x", at(0))).count();
        assert_eq!(spent, 50);
        assert!(budget.spend("198.51.100.0/24", "x", at(0)), "another network has its own");
        assert!(!budget.spend("192.0.2.0/24", "x", at(199)));
        assert!(budget.spend("192.0.2.0/24", "good", at(200)) && !budget.spend("192.0.2.0/24", "x", at(200)));
        budget.refund("192.0.2.0/24", "good");
        assert!(budget.spend("192.0.2.0/24", "x", at(200)) && !budget.spend("192.0.2.0/24", "x", at(200)));
        assert!((0..100).all(|_| budget.spend("192.0.2.0/24", "good", at(200))));
        for i in 0..20_000 {
            budget.spend(&i.to_string(), "x", at(200));
        }
        assert!(budget.clear_at.len() <= MOST_NETWORKS);
    }

    #[test]
    fn a_row_names_what_is_wrong_with_it() {
        let row = |change: Value| {
            let mut body = json!({"sha256": "ab".repeat(32), "prefix": "sk_live_", "name": "n", "owner": "o"});
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            Row::read(body, &prefixes(), &environments(), Instant::EPOCH)
        };
        assert_eq!(row(json!({"sha256": "AB".repeat(32)})).unwrap().sha256, "ab".repeat(32));
        assert_eq!(row(json!({})).unwrap().draft.environment, "live");
        assert!(row(json!({"environment": "live"})).is_ok());
        for (change, field) in [
            (json!({"sha256": "ab"}), "sha256"),
            (json!({"sha256": null}), "sha256"),
            (json!({"prefix": "pk_"}), "prefix"),
            (json!({"environment": "test"}), "environment"),
            (json!({"prefix": null}), "prefix"),
            (json!({"scopes": ["keyward.keys:read"]}), "scopes"),
            (json!({"name": ""}), "name"),
            (json!({"key": "x"}), "key"),
        ] {
            assert_eq!(row(change).unwrap_err().field, field);
        }
    }
}
