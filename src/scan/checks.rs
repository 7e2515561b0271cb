//! What a credential says of itself beyond its letters: check digits, and what its encoding decodes to.

use crate::crypto::sha256;
use crc::{CRC_16_XMODEM, CRC_32_ISO_HDLC, Crc};
use serde_json::Value;

const CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A check that a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// The last six characters are the CRC-32 of those between prefix and them, in base62 (GitHub, "Behind GitHub's new
    /// authentication token formats", 2021; npm has the same).
    GithubCrc32,
    /// Three base64url parts: an object with `alg`, an object, a signature (RFC 7519).
    Jwt,
    /// What decodes to a JSON object.
    Base64Json,
    /// What decodes to a macaroon, version 2 (a version byte and a location) or 1 (a location packet).
    Macaroon,
    /// The last seven characters are the CRC-32 of all before them, in base36 (GitLab, "Routable tokens").
    GitlabCrc32,
    /// The last eight hexadecimal digits are the CRC-32 of what stands before them and their `_` (Grafana).
    GrafanaCrc32,
    /// What stands before the first dot decodes to a number of 17 to 20 digits (Discord's snowflakes).
    DiscordId,
    /// The checksum of BIP 173.
    Bech32,
    /// The checksum of Bitcoin's keys.
    Base58check,
    /// The checksum of Stellar's and NATS' keys.
    Crc16Base32,
    /// Base32 behind four letters.
    AwsAccount,
    /// What decodes to 64 bytes.
    AzureStorage,
    /// A private key's block holds DER, an OpenSSH key or an encrypted one, not an example's dots.
    Pem,
    /// A UUID of version 4 (RFC 9562).
    UuidV4,
    /// As random as its length lets it be told.
    Entropy,
    /// At least one digit and one letter.
    DigitsAndLetters,
    /// A password that somebody uses: no placeholder, no word.
    Password,
}

impl Check {
    /// Whether `secret` passes.
    pub(super) fn passes(self, secret: &[u8]) -> bool {
        match self {
            Self::GithubCrc32 => github_crc32(secret),
            Self::Jwt => jwt(secret),
            Self::Base64Json => json_object(secret).is_some(),
            Self::Macaroon => macaroon(secret),
            Self::AwsAccount => secret.iter().skip(4).all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7')),
            Self::AzureStorage => base64(secret).is_some_and(|bytes| bytes.len() == 64),
            Self::Pem => pem(secret),
            Self::GitlabCrc32 => gitlab_crc32(secret),
            Self::GrafanaCrc32 => grafana_crc32(secret),
            Self::DiscordId => discord_id(secret),
            Self::Bech32 => bech32(secret),
            Self::Base58check => base58_check(secret),
            Self::Crc16Base32 => crc16_base32(secret),
            Self::UuidV4 => uuid_v4(secret),
            Self::Entropy => is_random(body(secret)),
            Self::Password => super::plausible::password(secret),
            Self::DigitsAndLetters => {
                secret.iter().any(u8::is_ascii_digit) && secret.iter().any(u8::is_ascii_alphabetic)
            }
        }
    }
}

/// What follows the prefix of a token, up to its last `_`, `-` or `.` among the first twelve characters.
pub(super) fn body(secret: &[u8]) -> &[u8] {
    let head = &secret[..secret.len().min(12)];
    head.iter().rposition(|b| matches!(b, b'_' | b'-' | b'.')).map_or(secret, |place| &secret[place + 1..])
}

/// Shannon's entropy of the bytes, in bits for each.
pub(super) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = bytes.len() as f64;
    let of = |count: &u32| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(of).sum()
}

/// Whether the letters come as random ones of their alphabet would.
pub(super) fn is_random(bytes: &[u8]) -> bool {
    let hex = bytes.iter().all(u8::is_ascii_hexdigit);
    bytes.len() >= 8 && entropy(bytes) >= if hex || bytes.len() < 16 { 2.5 } else { 3.0 }
}

/// Whether `digits` are `number`, written with these, the most significant first, with zeros in front.
fn is_number(mut number: u32, digits: &[u8], letters: &[u8]) -> bool {
    let base = letters.len() as u32;
    digits.iter().rev().all(|digit| {
        let expected = letters[(number % base) as usize];
        number /= base;
        *digit == expected
    })
}

fn gitlab_crc32(secret: &[u8]) -> bool {
    let Some(split) = secret.len().checked_sub(7) else { return false };
    is_number(CRC32.checksum(&secret[..split]), &secret[split..], b"0123456789abcdefghijklmnopqrstuvwxyz")
}

fn grafana_crc32(secret: &[u8]) -> bool {
    let Some(split) = secret.len().checked_sub(9) else { return false };
    let digits = CRC32.checksum(&secret[..split]).swap_bytes();
    is_number(digits, &secret[split + 1..].to_ascii_lowercase(), b"0123456789abcdef")
}

fn discord_id(secret: &[u8]) -> bool {
    let first = secret.split(|byte| *byte == b'.').next().and_then(base64).unwrap_or_default();
    (17..=20).contains(&first.len()) && first.iter().all(u8::is_ascii_digit)
}

fn github_crc32(secret: &[u8]) -> bool {
    let Some(split) = secret.len().checked_sub(6) else { return false };
    let (payload, digits) = secret.split_at(split);
    let payload = payload.iter().position(|b| *b == b'_').map_or(payload, |place| &payload[place + 1..]);
    is_number(CRC32.checksum(payload), digits, BASE62)
}

/// Decodes base64 of either alphabet (RFC 4648), padded or not.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    (held < 6).then_some(out)
}

fn json_object(text: &[u8]) -> Option<serde_json::Map<String, Value>> {
    match serde_json::from_slice(&base64(text)?).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Whether there is a UUID of version 4 in it.
fn uuid_v4(secret: &[u8]) -> bool {
    secret.windows(36).any(|part| {
        let shape = part
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() });
        shape && part[14] == b'4' && matches!(part[19], b'8' | b'9' | b'a' | b'b' | b'A' | b'B')
    })
}

fn jwt(secret: &[u8]) -> bool {
    let mut parts = secret.split(|b| *b == b'.');
    let (Some(header), Some(payload)) = (parts.next(), parts.next()) else { return false };
    // The token that jwt.io shows, in all its forms.
    let is_sample =
        |payload: &serde_json::Map<String, Value>| payload.get("sub").is_some_and(|sub| sub == "1234567890");
    json_object(header).is_some_and(|header| header.contains_key("alg"))
        && json_object(payload).is_some_and(|payload| !is_sample(&payload))
}

fn macaroon(secret: &[u8]) -> bool {
    let start = secret.iter().take(8).position(|b| *b == b'-').map_or(0, |place| place + 1);
    base64(&secret[start..])
        .is_some_and(|bytes| matches!(bytes[..], [2, 1, ..]) || bytes.get(4..12) == Some(b"location"))
}

/// Bytes of an escape that begins here, with backslashes or as an entity of HTML; 0 where none does.
fn escape(rest: &[u8]) -> usize {
    if rest.first() == Some(&b'&') {
        return rest.iter().take(8).position(|byte| *byte == b';').map_or(0, |end| end + 1);
    }
    // As many backslashes as a text of JSON within one of JSON has.
    let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
    match (slashes, rest.get(slashes)) {
        (0, _) => 0,
        (_, Some(b'u')) => slashes + 5,
        (_, Some(b'x')) => slashes + 3,
        // Some write JSON with its slashes escaped.
        (_, Some(b'/')) => slashes,
        _ => slashes + 1,
    }
}

/// Bytes from a quote to behind the one that opens the next text, where the two are joined: by `+`, `.`, `,` or nothing.
fn join(rest: &[u8]) -> usize {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`');
    let blanks = |at: usize| at + rest[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let at = blanks(1);
    let joined = rest.get(at).is_some_and(|byte| matches!(byte, b'+' | b'.' | b','));
    let at = blanks(at + usize::from(joined));
    if rest.get(at).is_some_and(is_quote) { at + 1 } else { 1 }
}

/// The base64 behind a block's head, whatever breaks its lines: newlines, their escapes, quotes that are joined, marks of comments,
/// of quotations and of differences.
fn pem(block: &[u8]) -> bool {
    const END: &[u8] = b"KEY-----";
    let Some(head) = block.windows(END.len()).position(|part| part == END) else { return false };
    let rest = &block[head + END.len()..];
    // Behind the headers of an encrypted key (RFC 1421 §4.6.1) nothing tells what it is.
    let encrypted = rest
        .windows(8)
        .position(|part| part == b"DEK-Info")
        .and_then(|at| rest[at..].iter().position(|byte| *byte == b',').map(|comma| at + comma))
        .filter(|_| rest.windows(9).any(|part| part == b"ENCRYPTED"));
    let rest = encrypted.map_or(rest, |comma| &rest[comma + 1..]);
    let mut body = Vec::new();
    // What stands before the first line's letters stands before all lines. What is base64 of a key begins with a letter, so a `+` or
    // a `/` there is none of it.
    let mut prefix: &[u8] = b"";
    let mut at = 0;
    while let Some(letter) = rest.get(at) {
        at += match letter {
            b'\\' | b'&' => escape(&rest[at..]).max(1),
            b'"' | b'\'' | b'`' => join(&rest[at..]),
            b'\n' => {
                let line = &rest[at + 1..];
                if body.is_empty() {
                    let is_mark = |byte: &u8| matches!(byte, b' ' | b'\t' | b'#' | b'*' | b'>' | b'+' | b'-' | b'/');
                    prefix = &line[..line.iter().take_while(|byte| is_mark(byte)).count()];
                }
                1 + if line.starts_with(prefix) { prefix.len() } else { 0 }
            }
            // What is left out.
            b'.' => break,
            _ => {
                if matches!(letter, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/') {
                    body.push(*letter);
                }
                1
            }
        };
    }
    let first = base64(&body[..body.len().min(64)]).unwrap_or_default();
    body.len() >= 64
        && is_random(&body)
        && (encrypted.is_some() || first.starts_with(&[0x30]) || first.starts_with(b"openssh-key-v1"))
}

/// Bech32 (BIP 173), in one case.
fn bech32(secret: &[u8]) -> bool {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let lower = secret.to_ascii_lowercase();
    if lower != secret && secret.iter().any(u8::is_ascii_lowercase) {
        return false;
    }
    let Some(split) = lower.iter().rposition(|byte| *byte == b'1') else { return false };
    let (human, data) = (&lower[..split], &lower[split + 1..]);
    let Some(data) =
        data.iter().map(|byte| LETTERS.iter().position(|letter| letter == byte)).collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let high = human.iter().map(|byte| u32::from(byte >> 5));
    let low = human.iter().map(|byte| u32::from(byte & 31));
    let values = high.chain([0]).chain(low).chain(data.iter().map(|value| *value as u32));
    let sum = values.fold(1_u32, |sum, value| {
        let top = sum >> 25;
        let mixed = (sum & 0x01ff_ffff) << 5 ^ value;
        (0..5).filter(|bit| top >> bit & 1 == 1).fold(mixed, |mixed, bit| mixed ^ GENERATOR[bit])
    });
    sum == 1
}

/// Base58 whose last four bytes are the beginning of a double SHA-256 (Bitcoin's Base58Check).
fn base58_check(secret: &[u8]) -> bool {
    const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes: Vec<u8> = Vec::new();
    for letter in secret {
        let Some(value) = LETTERS.iter().position(|known| known == letter) else { return false };
        let mut carry = value as u32;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    bytes.extend(secret.iter().take_while(|letter| **letter == b'1').map(|_| 0));
    bytes.reverse();
    let Some(split) = bytes.len().checked_sub(4) else { return false };
    let (payload, digits) = bytes.split_at(split);
    sha256(&sha256(payload))[..4] == *digits
}

/// Base32 (RFC 4648) whose last two bytes are a CRC-16/XMODEM, the lower one first (Stellar's StrKey, NATS' NKeys).
fn crc16_base32(secret: &[u8]) -> bool {
    const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in secret {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return false,
        };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    let Some(split) = bytes.len().checked_sub(2) else { return false };
    let (payload, digits) = bytes.split_at(split);
    CRC16.checksum(payload).to_le_bytes() == *digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648_section_10() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmE", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64(b"Z"), None);
        assert_eq!(base64(b"Zm9v!"), None);
        assert_eq!(base64(b"-_-_"), base64(b"+/+/"));
    }

    #[test]
    fn entropy_is_shannons() {
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert_eq!(entropy(b"abcdabcd"), 2.0);
        assert!((entropy(&(0..=255).collect::<Vec<u8>>()) - 8.0).abs() < 1e-9);
    }
}
