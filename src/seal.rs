//! Upstream secrets at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under the sealing key, with a random nonce of
//! 24 bytes, bound to where the secret may be used: what was sealed for one place opens at no other.

use crate::root::{Purpose, RootName, RootSecret};
use base64ct::{Base64Unpadded, Encoding};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// A sealed secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The root secret whose sealing key opens it.
    pub root: RootName,
    /// Nonce, ciphertext and tag, base64.
    pub text: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, …)", self.root)
    }
}

/// The sealing keys: the current root secret's seals, all of them open.
pub struct SealingKeys(Vec<(RootName, XChaCha20Poly1305)>);

impl SealingKeys {
    /// Derives the keys.
    pub fn new<'a>(current: &'a RootSecret, retired: impl IntoIterator<Item = &'a RootSecret>) -> Self {
        let key = |root: &RootSecret| {
            let subkey = root.subkey(Purpose::Sealing);
            (root.name(), XChaCha20Poly1305::new((&*subkey).into()))
        };
        Self(std::iter::once(current).chain(retired).map(key).collect())
    }

    /// Seals `secret` for `place`.
    pub fn seal(&self, place: &str, secret: &str, fill: &mut dyn FnMut(&mut [u8])) -> Sealed {
        let (root, cipher) = &self.0[0];
        let mut nonce = [0; NONCE];
        fill(&mut nonce);
        let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap_or_else(|_| unreachable!("a secret is shorter than 256 GB"));
        Sealed { root: *root, text: Base64Unpadded::encode_string(&[&nonce[..], &sealed].concat()) }
    }

    /// The secret, if it was sealed for `place` and is whole.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Option<Zeroizing<String>> {
        let (_, cipher) = self.0.iter().find(|(root, _)| *root == sealed.root)?;
        let bytes = Base64Unpadded::decode_vec(&sealed.text).ok()?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: text, aad: place.as_bytes() };
        let secret = cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(secret).ok().map(Zeroizing::new)
    }

    /// Whether what was sealed so should be sealed anew: under a retired root secret.
    pub fn is_retired(&self, sealed: &Sealed) -> bool {
        self.0[0].0 != sealed.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::to_hex;
    use crate::key::tests::source;

    fn root(byte: u8) -> RootSecret {
        RootSecret::from_hex(&to_hex(&[byte; 32])).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_and_nowhere_else() {
        let keys = SealingKeys::new(&root(1), []);
        let sealed = keys.seal("sms\ncurrent\nhttps://a.example", "hunter2", &mut source(1));
        assert_eq!(keys.open("sms\ncurrent\nhttps://a.example", &sealed).unwrap().as_str(), "hunter2");
        for place in
            ["sms\nnext\nhttps://a.example", "sms\ncurrent\nhttps://b.example", "mail\ncurrent\nhttps://a.example", ""]
        {
            assert!(keys.open(place, &sealed).is_none(), "33: {place}");
        }
        assert!(!format!("{sealed:?}").contains(&sealed.text[..8]));
        assert!(!sealed.text.contains("hunter2"));
    }

    #[test]
    fn a_retired_root_secret_still_opens_and_a_lost_one_does_not() {
        let sealed = SealingKeys::new(&root(1), []).seal("p", "s", &mut source(1));
        let both = SealingKeys::new(&root(2), [&root(1)]);
        assert!(both.is_retired(&sealed));
        assert_eq!(both.open("p", &sealed).unwrap().as_str(), "s");
        assert!(SealingKeys::new(&root(2), []).open("p", &sealed).is_none());
    }

    #[test]
    fn altered_cut_off_and_invented_texts_do_not_open() {
        let keys = SealingKeys::new(&root(1), []);
        let sealed = keys.seal("p", "secret", &mut source(1));
        for at in 0..sealed.text.len() {
            let with = if sealed.text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let text = format!("{}{with}{}", &sealed.text[..at], &sealed.text[at + 1..]);
            assert!(keys.open("p", &Sealed { text, ..sealed.clone() }).is_none());
            assert!(keys.open("p", &Sealed { text: sealed.text[..at].to_owned(), ..sealed.clone() }).is_none());
        }
    }
}
