//! The key text: `brand_environment_id_secretcheck`. Parse, generate, tag, check digits, redact. What a key may do is
//! not here. Normative text: `tests/vectors/SPEC.md`.

use crate::base62;
use crate::crypto::{Mac, from_hex};
use crate::error::{BadSecret, Invalid, Malformed};
use crc::{CRC_32_ISO_HDLC, Crc, Table};
use std::fmt;
use zeroize::Zeroizing;

/// Characters of an id: 10 random, 6 of tag.
pub const ID_LENGTH: usize = 16;
const ID_RANDOM: usize = 10;
/// Characters of a secret: 27 of base62 are 160.8 bits.
pub const SECRET_LENGTH: usize = 27;
const CHECK_LENGTH: usize = 6;
/// Characters of a secret with its check digits.
pub const BODY_LENGTH: usize = SECRET_LENGTH + CHECK_LENGTH;
/// From the end: secret and check, underscore, id, underscore.
const TAIL: usize = 1 + ID_LENGTH + 1 + SECRET_LENGTH + CHECK_LENGTH;
/// Shortest key text, in bytes: two-letter brand and environment.
pub const MIN_LENGTH: usize = 2 + 1 + 2 + TAIL;
/// Longest key text, in bytes.
pub const MAX_LENGTH: usize = 12 + 1 + 12 + TAIL;

/// Tables for one byte at a time, 1 KB in the binary; or, where a check is held to nanoseconds, for sixteen, which are made
/// when they are first needed: 16 KB that no compression would make smaller.
#[cfg(not(feature = "js"))]
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
#[cfg(feature = "js")]
static CRC: std::sync::LazyLock<Crc<u32, Table<16>>> =
    std::sync::LazyLock::new(|| Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC));

fn crc32(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// Whether `text` can be a brand or an environment: `[a-z][a-z0-9]{1,11}`.
pub fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    (2..=12).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Whether `text` has the shape of an id: 16 characters of base62.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && base62::is_base62(text.as_bytes())
}

/// A well-formed key text, by its parts. Well-formed says nothing of whether it was ever issued. `Debug` redacts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyText<'a> {
    /// Who issues: `psk`.
    pub brand: &'a str,
    /// What for: `live`, `test`.
    pub environment: &'a str,
    /// The public, loggable part.
    pub id: &'a str,
    /// The part only the holder knows. Never log it.
    pub secret: &'a str,
}

impl<'a> KeyText<'a> {
    /// Takes a text apart. `brand` is the one expected, or `None` to take any.
    ///
    /// # Errors
    /// The first of [`Malformed`]'s variants, in their order, that applies.
    pub fn parse(text: &'a str, brand: Option<&str>) -> Result<Self, Malformed> {
        let bytes = text.as_bytes();
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&bytes.len()) {
            return Err(Malformed::Length);
        }
        // The text in a block of fixed size, padded with a digit, so that the compiler checks sixteen bytes at a time.
        let mut block = [b'0'; MAX_LENGTH.next_multiple_of(16)];
        block[..bytes.len()].copy_from_slice(bytes);
        let (mut foreign, mut underscores) = (0u8, 0u8);
        for byte in block {
            let is_underscore = byte == b'_';
            underscores += u8::from(is_underscore);
            foreign |= u8::from(!(byte.is_ascii_alphanumeric() | is_underscore));
        }
        if foreign != 0 {
            return Err(Malformed::Alphabet);
        }
        // Three underscores, the last two where the fixed lengths put them: then all the rest is base62.
        let tail = text.len() - TAIL;
        let first = bytes.iter().position(|byte| *byte == b'_').unwrap_or(tail);
        if underscores != 3 || first >= tail || bytes[tail] != b'_' || bytes[tail + 1 + ID_LENGTH] != b'_' {
            return Err(Malformed::Structure);
        }
        let (brand_part, environment) = (&text[..first], &text[first + 1..tail]);
        let id = &text[tail + 1..tail + 1 + ID_LENGTH];
        let secret = &text[tail + 2 + ID_LENGTH..text.len() - CHECK_LENGTH];
        if !(is_word(brand_part) && is_word(environment)) {
            return Err(Malformed::Structure);
        }
        if brand.is_some_and(|expected| expected != brand_part) {
            return Err(Malformed::Brand);
        }
        let (checked, check) = bytes.split_at(bytes.len() - CHECK_LENGTH);
        if base62::decode(check) != Some(u64::from(crc32(checked))) {
            return Err(Malformed::Check);
        }
        Ok(Self { brand: brand_part, environment, id, secret })
    }

    /// `psk_live_7Qm2ZxT0aBcD3fGh_…`: the only form that is ever logged or shown.
    pub fn redacted(&self) -> String {
        redacted(self.brand, self.environment, self.id)
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// Whether `text` holds a whole key, of any brand, anywhere. The check digits make a false alarm one in 2³².
pub fn holds_key(text: &str) -> bool {
    let runs = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|run| run.len() >= MIN_LENGTH);
    // A key may follow other words in its run (`KEY_psk_live_…`), and end where the run does.
    let mut starts = runs.flat_map(|run| {
        let after_underscores = run.match_indices('_').map(|(at, _)| &run[at + 1..]);
        std::iter::once(run).chain(after_underscores)
    });
    starts.any(|start| KeyText::parse(start, None).is_ok())
}

/// The redacted form of the key with these public parts.
pub fn redacted(brand: &str, environment: &str, id: &str) -> String {
    format!("{brand}_{environment}_{id}_…")
}

/// A key that was just made: the one moment at which its whole text exists here. `Debug` redacts, there is no
/// `Display`, and the text is wiped when it is dropped.
pub struct Key(Zeroizing<String>);

impl Key {
    /// Makes a key from a source of uniformly random bytes. With tag keys the id ends in a tag that proves, without any
    /// look-up, that it was issued here; without them all of the id is random.
    ///
    /// # Errors
    /// [`Invalid`] where `brand` or `environment` is not `[a-z][a-z0-9]{1,11}`.
    pub fn generate(
        brand: &str,
        environment: &str,
        tags: Option<&TagKeys>,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, Invalid> {
        Self::make(brand, environment, fill, |text, fill| match tags {
            None => base62::push_random(text, ID_LENGTH, fill),
            Some(tags) => {
                base62::push_random(text, ID_RANDOM, fill);
                let tag = tag(&tags.current, &[text.as_bytes()]);
                text.push_str(tag.as_str());
            }
        })
    }

    /// Makes another key text under an id that there is: its new secret.
    ///
    /// # Errors
    /// [`Invalid`] where `brand`, `environment` or `id` has not its form.
    pub fn renew(brand: &str, environment: &str, id: &str, fill: &mut dyn FnMut(&mut [u8])) -> Result<Self, Invalid> {
        if !is_id(id) {
            return Err(Invalid::new("id", "16 characters of base62"));
        }
        Self::make(brand, environment, fill, |text, _| text.push_str(id))
    }

    fn make(
        brand: &str,
        environment: &str,
        fill: &mut dyn FnMut(&mut [u8]),
        push_id: impl FnOnce(&mut String, &mut dyn FnMut(&mut [u8])),
    ) -> Result<Self, Invalid> {
        for (field, word) in [("brand", brand), ("environment", environment)] {
            if !is_word(word) {
                return Err(Invalid::new(field, "2 to 12 of a-z and 0-9, a letter first"));
            }
        }
        // Reserved whole, so that no copy of a secret is left behind by a growing string.
        let mut text = Zeroizing::new(String::with_capacity(MAX_LENGTH));
        text.push_str(brand);
        text.push('_');
        text.push_str(environment);
        text.push('_');
        push_id(&mut text, fill);
        text.push('_');
        base62::push_random(&mut text, SECRET_LENGTH, fill);
        let check = base62::digits::<CHECK_LENGTH>(u64::from(crc32(text.as_bytes())));
        text.extend(check.map(char::from));
        Ok(Self(text))
    }

    /// The whole text, to be shown to its holder once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The parts.
    pub fn parts(&self) -> KeyText<'_> {
        KeyText::parse(&self.0, None).unwrap_or_else(|_| unreachable!("a generated key is well formed"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.parts(), f)
    }
}

struct Tag([u8; 6]);

impl Tag {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_else(|_| unreachable!("base62 is ASCII"))
    }
}

/// The first 8 bytes of HMAC-SHA-256, big-endian.
fn head(key: &Mac, message: &[&[u8]]) -> u64 {
    let code = key.code(message);
    u64::from_be_bytes([code[0], code[1], code[2], code[3], code[4], code[5], code[6], code[7]])
}

/// Six digits of HMAC-SHA-256: its first 8 bytes, big-endian, modulo 62⁶.
fn tag(key: &Mac, message: &[&[u8]]) -> Tag {
    let head = head(key, message);
    Tag(base62::digits(head % 62u64.pow(6)))
}

/// The tag keys of a deployment: one that tags, and older ones whose tags stay good, since an id never changes. Losing
/// them costs protection against floods of invented keys, not security.
#[derive(Clone)]
pub struct TagKeys {
    current: Mac,
    retired: Vec<Mac>,
}

impl TagKeys {
    /// The current tag key and those it replaced, each 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`BadSecret`] for anything else.
    pub fn from_hex<'a>(current: &str, retired: impl IntoIterator<Item = &'a str>) -> Result<Self, BadSecret> {
        Ok(Self { current: hex_mac(current)?, retired: retired.into_iter().map(hex_mac).collect::<Result<_, _>>()? })
    }

    /// Whether this deployment made `id` for keys of `brand` and `environment`. False positives: one in 62⁶ for each
    /// key tried.
    pub fn issued(&self, brand: &str, environment: &str, id: &str) -> bool {
        let Some((random, presented)) = id.split_at_checked(ID_RANDOM) else { return false };
        std::iter::once(&self.current).chain(&self.retired).any(|key| {
            let parts = [brand.as_bytes(), b"_", environment.as_bytes(), b"_", random.as_bytes()];
            tag(key, &parts).as_str() == presented
        })
    }
}

impl TagKeys {
    /// The ids under which a key of another system may be known here, made of the SHA-256 of its text: that of the current
    /// tag key first. They carry a tag like any other id; whoever has no tag key learns nothing of the text from them.
    pub fn ids_of(&self, brand: &str, environment: &str, sha256: &str) -> Vec<String> {
        let id = |key: &Mac| {
            let random: [u8; ID_RANDOM] = base62::digits(head(key, &[b"import_", sha256.as_bytes()]) % 62u64.pow(10));
            let tag = tag(key, &[brand.as_bytes(), b"_", environment.as_bytes(), b"_", &random]);
            random.iter().copied().map(char::from).chain(tag.as_str().chars()).collect()
        };
        std::iter::once(&self.current).chain(&self.retired).map(id).collect()
    }
}

fn hex_mac(text: &str) -> Result<Mac, BadSecret> {
    match from_hex(text) {
        Some(bytes) if bytes.len() == 32 => Ok(Mac::new(&bytes)),
        _ => Err(BadSecret::NotHex64),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Deterministic bytes from a seed: SHA-256 of a counter.
    pub(crate) fn source(seed: u64) -> impl FnMut(&mut [u8]) {
        let mut counter = 0u64;
        move |bytes| {
            for chunk in bytes.chunks_mut(32) {
                counter += 1;
                let block = crate::crypto::sha256(&[seed.to_be_bytes(), counter.to_be_bytes()].concat());
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
        }
    }

    fn tags() -> TagKeys {
        TagKeys::from_hex(&"11".repeat(32), []).unwrap()
    }

    fn word() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9]{1,11}"
    }

    proptest! {
        #[test]
        fn every_generated_key_parses_into_what_it_was_made_of(brand in word(), environment in word(), seed: u64) {
            let key = Key::generate(&brand, &environment, Some(&tags()), &mut source(seed)).unwrap();
            let parts = KeyText::parse(key.expose(), Some(&brand)).unwrap();
            prop_assert_eq!(parts.brand, &brand);
            prop_assert_eq!(parts.environment, &environment);
            prop_assert!(is_id(parts.id));
            prop_assert!(tags().issued(&brand, &environment, parts.id));
        }

        #[test]
        fn every_single_wrong_character_is_caught(seed: u64, position in 0usize..58, replacement in "[0-9A-Za-z_]") {
            let key = Key::generate("psk", "live", Some(&tags()), &mut source(seed)).unwrap();
            let mut text = key.expose().to_owned();
            prop_assume!(text[position..=position] != replacement);
            text.replace_range(position..=position, &replacement);
            prop_assert!(KeyText::parse(&text, Some("psk")).is_err());
        }

        #[test]
        fn every_swap_of_neighbours_is_caught(seed: u64, position in 0usize..57) {
            let key = Key::generate("psk", "live", None, &mut source(seed)).unwrap();
            let mut bytes = key.expose().as_bytes().to_vec();
            prop_assume!(bytes[position] != bytes[position + 1]);
            bytes.swap(position, position + 1);
            prop_assert!(KeyText::parse(std::str::from_utf8(&bytes).unwrap(), None).is_err());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,90}") {
            let _ = KeyText::parse(&text, Some("psk"));
        }

        #[test]
        fn what_looks_nearly_like_a_key_makes_no_panic_either(text in "[a-z]{1,4}_[a-z]{1,4}_[0-9A-Za-z_é]{14,18}_[0-9A-Za-z_]{31,35}") {
            let _ = KeyText::parse(&text, None);
        }
    }

    #[test]
    fn a_whole_key_is_found_anywhere_in_a_text() {
        let key = Key::generate("psk", "live", None, &mut source(9)).unwrap();
        let text = key.expose();
        for holder in
            [text.to_owned(), format!("/v1/keys?k={text}&x=1"), format!("SMS_KEY_{text}\n"), format!("é{text}é")]
        {
            assert!(holds_key(&holder), "{}", holder.replace(text, "<key>"));
        }
        for clean in
            [key.parts().redacted(), key.parts().id.to_owned(), text[..58].to_owned(), "psk_".repeat(40), String::new()]
        {
            assert!(!holds_key(&clean));
        }
    }

    #[test]
    fn neither_debug_form_shows_the_secret() {
        let key = Key::generate("psk", "live", None, &mut source(1)).unwrap();
        let secret = key.parts().secret.to_owned();
        for shown in [format!("{key:?}"), format!("{:?}", key.parts()), key.parts().redacted()] {
            assert!(!shown.contains(&secret[..4]), "{shown}");
            assert!(shown.ends_with("_…"));
        }
    }

    #[test]
    fn retired_tag_keys_stay_good_and_foreign_ones_never_are() {
        let old = TagKeys::from_hex(&"22".repeat(32), []).unwrap();
        let key = Key::generate("psk", "live", Some(&old), &mut source(3)).unwrap();
        let id = key.parts().id;
        assert!(!tags().issued("psk", "live", id));
        let both = TagKeys::from_hex(&"11".repeat(32), [&*"22".repeat(32)]).unwrap();
        assert!(both.issued("psk", "live", id));
        assert!(!both.issued("psk", "test", id), "the tag binds the environment");
        assert!(!both.issued("abc", "live", id), "the tag binds the brand");
        assert!(!both.issued("psk", "live", ""), "a short id is never issued");
    }

    #[test]
    fn a_renewed_key_has_the_id_and_another_secret() {
        let key = Key::generate("psk", "live", Some(&tags()), &mut source(4)).unwrap();
        let renewed = Key::renew("psk", "live", key.parts().id, &mut source(5)).unwrap();
        assert_eq!(renewed.parts().id, key.parts().id);
        assert_ne!(renewed.parts().secret, key.parts().secret);
        assert!(Key::renew("psk", "live", "short", &mut source(5)).is_err());
    }

    #[test]
    fn ids_of_foreign_keys_are_tagged_and_differ_by_text_and_tag_key() {
        let both = TagKeys::from_hex(&"11".repeat(32), [&*"22".repeat(32)]).unwrap();
        let ids = both.ids_of("psk", "live", &"ab".repeat(32));
        assert_eq!(ids.len(), 2);
        assert!(ids.iter().all(|id| is_id(id) && both.issued("psk", "live", id)));
        assert_ne!(ids[0], ids[1]);
        assert_ne!(ids[0], both.ids_of("psk", "live", &"ac".repeat(32))[0]);
        assert_eq!(ids[0], tags().ids_of("psk", "live", &"ab".repeat(32))[0]);
    }

    #[test]
    fn a_tag_key_is_64_hexadecimal_digits() {
        for bad in ["", "11", &"1".repeat(63), &"g1".repeat(32), &"11".repeat(33)] {
            assert_eq!(TagKeys::from_hex(bad, []).err(), Some(BadSecret::NotHex64));
        }
    }
}
