//! The root secret, the subkeys that come from it, and the digest under which a secret is stored. Each record says
//! which root secret its digest used, so that a retired one keeps verifying until nothing needs it.

use crate::crypto::{Mac, from_hex, subkey, to_hex};
use crate::error::BadSecret;
use crate::key::{ID_LENGTH, KeyText, SECRET_LENGTH};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// HKDF salt of every subkey: separates keyward's use of the secret from any other.
const SALT: &[u8] = b"keyward/v1";

/// What a subkey is for. The label is the HKDF `info` (RFC 5869 §3.2), so no two subkeys are ever equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Keys the digests of secrets.
    Pepper,
    /// Authenticates browser sessions.
    Session,
    /// Seals upstream secrets.
    Sealing,
    /// Chains the audit log.
    Audit,
    /// Signs the identity of callers for an origin of one's own.
    Identity,
    /// Names the root secret; public.
    Name,
}

impl Purpose {
    /// The HKDF `info`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pepper => "pepper",
            Self::Session => "session",
            Self::Sealing => "sealing",
            Self::Audit => "audit",
            Self::Identity => "identity",
            Self::Name => "name",
        }
    }
}

/// 32 secret bytes from which every other secret of a deployment, except the tag keys, is derived. Wiped when dropped.
pub struct RootSecret(Zeroizing<Vec<u8>>);

impl RootSecret {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`BadSecret`] for anything else.
    pub fn from_hex(text: &str) -> Result<Self, BadSecret> {
        from_hex(text.trim()).filter(|bytes| bytes.len() == 32).map(Self).ok_or(BadSecret::NotHex64)
    }

    /// The subkey for one purpose: HKDF-SHA-256 with salt `keyward/v1` and the purpose's label.
    pub fn subkey(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        subkey(SALT, &self.0, purpose.label().as_bytes())
    }

    /// Public name of this root secret, kept with each digest: the first 4 bytes of the subkey `name`.
    pub fn name(&self) -> RootName {
        let name = self.subkey(Purpose::Name);
        RootName([name[0], name[1], name[2], name[3]])
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootSecret({})", self.name())
    }
}

/// Which root secret a digest was made under: 8 hexadecimal digits, public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RootName([u8; 4]);

impl RootName {
    /// The name that 8 hexadecimal digits are.
    pub fn parse(text: &str) -> Option<Self> {
        bytes_of(text).map(Self)
    }
}

impl fmt::Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl Serialize for RootName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RootName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes_from_hex(deserializer).map(Self)
    }
}

fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    from_hex(text).and_then(|bytes| <[u8; N]>::try_from(bytes.as_slice()).ok())
}

fn bytes_from_hex<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    bytes_of(&text).ok_or_else(|| serde::de::Error::custom(format!("not {N} bytes of hexadecimal")))
}

/// What is stored of a secret: HMAC-SHA-256 of `id_secret` under the pepper of the named root secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Digest {
    /// The root secret whose pepper made it.
    pub root: RootName,
    /// The code itself.
    pub hmac: Code,
}

impl Digest {
    /// As [`Peppers::find`] takes it.
    pub fn parts(&self) -> (RootName, &Code) {
        (self.root, &self.hmac)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}, …)", self.root)
    }
}

/// 32 bytes that are compared in constant time, written as 64 hexadecimal digits. `Debug` shows none of them.
#[derive(Clone)]
pub struct Code([u8; 32]);

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

impl Code {
    /// Wraps the bytes of a code.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The code that 64 hexadecimal digits are.
    pub fn parse(text: &str) -> Option<Self> {
        bytes_of(text).map(Self)
    }

    /// Whether both are the same bytes, in constant time.
    pub fn equals(&self, other: &Self) -> bool {
        self.same(&other.0)
    }

    fn same(&self, other: &[u8; 32]) -> bool {
        // Eight bytes at a time: the crate's own comparison of slices goes byte by byte, each behind a barrier.
        let word = |bytes: &[u8; 32], at: usize| {
            u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap_or_else(|_| unreachable!("eight bytes")))
        };
        let difference = (0..32).step_by(8).fold(0, |seen, at| seen | (word(&self.0, at) ^ word(other, at)));
        difference.ct_eq(&0).into()
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes_from_hex(deserializer).map(Self)
    }
}

struct Pepper {
    root: RootName,
    mac: Mac,
}

/// The peppers of a deployment: the current root secret's, which digests, and those of retired ones, which still match.
pub struct Peppers {
    current: Pepper,
    retired: Vec<Pepper>,
}

impl Peppers {
    /// Derives the peppers, their pads prepared.
    pub fn new<'a>(current: &RootSecret, retired: impl IntoIterator<Item = &'a RootSecret>) -> Self {
        let pepper = |root: &RootSecret| Pepper { root: root.name(), mac: Mac::new(&root.subkey(Purpose::Pepper)[..]) };
        Self { current: pepper(current), retired: retired.into_iter().map(pepper).collect() }
    }

    /// The digest to store for a key, under the current pepper.
    pub fn digest(&self, key: &KeyText<'_>) -> Digest {
        Digest { root: self.current.root, hmac: Code(hmac(&self.current.mac, key)) }
    }

    /// The digests of a key under every root secret in use, the current one first: with these in hand, whoever holds no
    /// pepper can say whether the key is one that it knows.
    pub fn digests(&self, key: &KeyText<'_>) -> Vec<Digest> {
        self.all().map(|pepper| Digest { root: pepper.root, hmac: Code(hmac(&pepper.mac, key)) }).collect()
    }

    /// The position in `digests` of the one that `key` has, compared in constant time. A digest made under a root secret
    /// that is neither current nor retired matches nothing.
    pub fn find<'d>(
        &self,
        key: &KeyText<'_>,
        digests: impl IntoIterator<Item = (RootName, &'d Code)>,
    ) -> Option<usize> {
        // One computation for each root secret in use, not for each digest.
        let mut computed: Option<(RootName, [u8; 32])> = None;
        let mut found = None;
        for (position, (root, stored)) in digests.into_iter().enumerate() {
            let hmac = match computed {
                Some((of, code)) if of == root => code,
                _ => {
                    let Some(pepper) = self.all().find(|pepper| pepper.root == root) else { continue };
                    let code = hmac(&pepper.mac, key);
                    computed = Some((root, code));
                    code
                }
            };
            if stored.same(&hmac) && found.is_none() {
                found = Some(position);
            }
        }
        found
    }

    /// The name of the current root secret.
    pub fn current(&self) -> RootName {
        self.current.root
    }

    /// The names of the retired ones, as they were given.
    pub fn retired(&self) -> impl Iterator<Item = RootName> {
        self.retired.iter().map(|pepper| pepper.root)
    }

    fn all(&self) -> impl Iterator<Item = &Pepper> {
        std::iter::once(&self.current).chain(&self.retired)
    }
}

fn hmac(mac: &Mac, key: &KeyText<'_>) -> [u8; 32] {
    let (id, secret) = (key.id.as_bytes(), key.secret.as_bytes());
    // The lengths are the format's own (`KeyText` holds nothing else): said here, the copies are of constant size.
    match (<&[u8; ID_LENGTH]>::try_from(id), <&[u8; SECRET_LENGTH]>::try_from(secret)) {
        (Ok(id), Ok(secret)) => mac.code(&[id, b"_", secret]),
        _ => mac.code(&[id, b"_", secret]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn root(byte: u8) -> RootSecret {
        RootSecret::from_hex(&to_hex(&[byte; 32])).unwrap()
    }

    fn key(seed: u64) -> Key {
        Key::generate("psk", "live", None, &mut crate::key::tests::source(seed)).unwrap()
    }

    #[test]
    fn a_digest_matches_its_own_key_under_a_current_and_a_retired_root_secret() {
        let old = Peppers::new(&root(1), []);
        let digest = old.digest(&key(1).parts());
        let new = Peppers::new(&root(2), [&root(1)]);
        assert_eq!(old.find(&key(1).parts(), [digest.parts()]), Some(0));
        assert_eq!(new.find(&key(1).parts(), [digest.parts()]), Some(0));
        assert!(digest.root != new.current() && new.retired().eq([digest.root]));
        assert_eq!(new.digests(&key(1).parts())[1].hmac.0, digest.hmac.0);
        assert_eq!(new.find(&key(2).parts(), [digest.parts()]), None);
        assert_eq!(Peppers::new(&root(2), []).find(&key(1).parts(), [digest.parts()]), None, "the pepper is gone");
    }

    #[test]
    fn the_digest_among_several_is_found_whatever_root_secret_each_used() {
        let (old, new) = (Peppers::new(&root(1), []), Peppers::new(&root(2), [&root(1)]));
        let digests = [old.digest(&key(1).parts()), new.digest(&key(2).parts()), old.digest(&key(3).parts())];
        for (position, start) in [(0, 1), (1, 2), (2, 3)] {
            assert_eq!(new.find(&key(start).parts(), digests.iter().map(Digest::parts)), Some(position));
        }
    }

    #[test]
    fn subkeys_of_different_purposes_differ() {
        let all =
            [Purpose::Pepper, Purpose::Session, Purpose::Sealing, Purpose::Audit, Purpose::Identity, Purpose::Name];
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert_ne!(root(1).subkey(*a), root(1).subkey(*b));
            }
        }
    }

    #[test]
    fn nothing_secret_is_shown_by_debug() {
        let peppers = Peppers::new(&root(1), []);
        let digest = peppers.digest(&key(1).parts());
        let hex = serde_json::to_value(&digest).unwrap()["hmac"].as_str().unwrap().to_owned();
        assert!(!format!("{digest:?}").contains(&hex[..8]));
        assert!(!format!("{:?}", root(1)).contains("0101"));
    }
}
