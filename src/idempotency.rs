//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a creation that is asked for again under the same key is
//! not done again. What is compared is a digest of the request, so that a key used for something else is noticed.

use crate::crypto::{sha256, to_hex};
use serde::{Deserialize, Serialize};

/// How long a key is remembered, in seconds: a day.
pub const REMEMBERED_SECONDS: i64 = 86_400;
/// Longest key, in bytes.
pub const MAX_LENGTH: usize = 255;

/// A request under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Digest of who asked and under which key: 64 hexadecimal digits.
    pub key: String,
    /// Digest of what was asked: 64 hexadecimal digits.
    pub request: String,
}

impl Asked {
    /// Of a caller's request to `target` with `body`, under the idempotency key `key`.
    ///
    /// # Errors
    /// A sentence, for a key that is not 1 to 255 visible ASCII characters.
    pub fn new(caller: &str, key: &str, target: &str, body: &str) -> Result<Self, &'static str> {
        if !(1..=MAX_LENGTH).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err("must be 1 to 255 visible ASCII characters");
        }
        let digest = |parts: &[&str]| to_hex(&sha256(parts.join("\n").as_bytes()));
        Ok(Self { key: digest(&[caller, key]), request: digest(&[target, body]) })
    }

    /// Whether `other` came under the same key.
    pub fn same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_keys_and_requests_are_told_apart() {
        let asked = |caller, key, target, body| Asked::new(caller, key, target, body).unwrap();
        let one = asked("a", "k", "/v1/keys", "{}");
        assert_eq!(one, asked("a", "k", "/v1/keys", "{}"));
        assert!(!one.same_key(&asked("b", "k", "/v1/keys", "{}")));
        assert!(!one.same_key(&asked("a", "l", "/v1/keys", "{}")));
        for other in [asked("a", "k", "/v1/keys", "[]"), asked("a", "k", "/v1/other", "{}")] {
            assert!(one.same_key(&other) && one != other);
        }
    }

    #[test]
    fn a_key_is_visible_ascii() {
        for bad in ["", "a\nb", "é", &"x".repeat(256)] {
            assert!(Asked::new("a", bad, "t", "b").is_err());
        }
    }
}
