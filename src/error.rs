//! Every way in which an input can be wrong, as closed enums with a stable code. One mapping each turns them into a
//! problem document over HTTP (worker) and into a `KeywardError` in JavaScript (`js`).

use std::fmt;

/// Why a text is no key. The order of the variants is the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than 56 or longer than 76 bytes: no key has that length.
    Length,
    /// A byte outside `0-9A-Za-z_`.
    Alphabet,
    /// The four parts, their lengths or their leading letters are not those of a key.
    Structure,
    /// A key of another brand.
    Brand,
    /// The check digits do not belong to the rest: a typo or an invented text.
    Check,
}

impl Malformed {
    /// Stable name, as the vectors and JavaScript see it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Length => "LENGTH",
            Self::Alphabet => "ALPHABET",
            Self::Structure => "STRUCTURE",
            Self::Brand => "BRAND",
            Self::Check => "CHECK",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "no key has this length (56 to 76 characters)",
            Self::Alphabet => "a key has only letters, digits and underscores",
            Self::Structure => "a key is brand_environment_id_secret: 16 characters of id, 33 of secret and check",
            Self::Brand => "this key is of another brand",
            Self::Check => "the check digits do not fit: mistyped, cut off or invented",
        })
    }
}

impl std::error::Error for Malformed {}

/// A request that cannot be taken as it stands: which field, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Name of the field as the caller wrote it, with an index where it is a list (`scopes[3]`); empty for the whole body.
    pub field: String,
    /// What is wrong and what would be right. Never repeats the value.
    pub problem: String,
}

impl Invalid {
    /// The stable code of every such refusal.
    pub const CODE: &'static str = "INVALID_REQUEST";

    /// A refusal of `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.problem) } else { write!(f, "{}: {}", self.field, self.problem) }
    }
}

impl std::error::Error for Invalid {}

/// A deployment secret that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// Not 64 hexadecimal digits (32 bytes).
    NotHex64,
}

impl fmt::Display for BadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHex64 => f.write_str("a secret is 64 hexadecimal digits: openssl rand -hex 32"),
        }
    }
}

impl std::error::Error for BadSecret {}
