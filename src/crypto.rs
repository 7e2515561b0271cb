//! The three primitives, as keyward uses them: SHA-256 (FIPS 180-4), HMAC-SHA-256 (FIPS 198-1) with its pads prepared
//! once, HKDF-SHA-256 (RFC 5869). The published vectors of each pass through these very functions (`tests/vectors`).

use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// SHA-256 of `message`.
pub fn sha256(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// SHA-256's initial state (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const BLOCK: usize = 64;

/// HMAC-SHA-256 under one key, its two pads compressed when it is made. A message of up to 55 bytes then costs the two
/// compressions and next to nothing else, which the general interface of the `hmac` crate cannot give (it copies and
/// pads through its own buffers, a tenth of a verification); the compression is `sha2`'s, and a property test holds the
/// whole to the `hmac` crate. Has no `Debug`: its state is as good as the key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Mac {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Mac {
    /// Prepares a key of any length.
    pub fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0u8; BLOCK]);
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&sha256(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let pad = |with: u8| {
            let mut state = INITIAL;
            compress256(&mut state, &[block.map(|byte| byte ^ with)]);
            state
        };
        Self { inner: pad(0x36), outer: pad(0x5c) }
    }

    /// The 32-byte code of the message that `parts` write one after the other.
    // Inlined, and `continued` with it, so that lengths which are known where it is called cost no copy loops.
    #[inline(always)]
    pub fn code(&self, parts: &[&[u8]]) -> [u8; 32] {
        let inner = continued(self.inner, parts);
        continued(self.outer, &[&inner])
    }
}

/// The digest of one block already compressed into `state`, followed by `parts` and the padding (FIPS 180-4 §5.1.1).
#[inline(always)]
fn continued(mut state: [u32; 8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0u8; BLOCK];
    let (mut filled, mut length) = (0, BLOCK as u64);
    for part in parts {
        length += part.len() as u64;
        let mut rest = *part;
        while rest.len() >= BLOCK - filled {
            let (head, tail) = rest.split_at(BLOCK - filled);
            block[filled..].copy_from_slice(head);
            compress256(&mut state, &[block]);
            (rest, filled) = (tail, 0);
        }
        block[filled..filled + rest.len()].copy_from_slice(rest);
        filled += rest.len();
    }
    block[filled] = 0x80;
    block[filled + 1..].fill(0);
    if filled >= BLOCK - 8 {
        compress256(&mut state, &[block]);
        block.fill(0);
    }
    block[BLOCK - 8..].copy_from_slice(&(length * 8).to_be_bytes());
    compress256(&mut state, &[block]);
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// HKDF-SHA-256, extract then expand, into `out` (at most 8 160 bytes).
pub fn hkdf(salt: &[u8], input: &[u8], info: &[u8], out: &mut [u8]) {
    hkdf::Hkdf::<Sha256>::new(Some(salt), input)
        .expand(info, out)
        .unwrap_or_else(|_| unreachable!("outputs are at most 255 blocks"));
}

/// A 32-byte subkey of `input`, wiped when dropped.
pub fn subkey(salt: &[u8], input: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf(salt, input, info, &mut out[..]);
    out
}

/// Lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

/// The bytes that an even number of hexadecimal digits of either case write, else `None`.
pub fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8))
        .collect::<Option<Vec<u8>>>()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac as _};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_code_is_what_the_hmac_crate_says(
            key in proptest::collection::vec(any::<u8>(), 0..200),
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..150), 0..5),
        ) {
            let mut incumbent = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            parts.iter().for_each(|part| incumbent.update(part));
            let expected: [u8; 32] = incumbent.finalize().into_bytes().into();
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(Mac::new(&key).code(&parts), expected);
        }
    }

    #[test]
    fn every_length_around_the_blocks_is_padded_right() {
        let message = [7u8; 200];
        for length in 0..=200 {
            let mut incumbent = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
            incumbent.update(&message[..length]);
            let expected: [u8; 32] = incumbent.finalize().into_bytes().into();
            assert_eq!(Mac::new(b"key").code(&[&message[..length]]), expected, "{length}");
        }
    }

    #[test]
    fn hexadecimal_is_read_in_either_case_and_nothing_else_is() {
        assert_eq!(from_hex("00fF").unwrap().as_slice(), [0, 255]);
        assert_eq!(to_hex(&[0, 255]), "00ff");
        for bad in ["0", "0g", "+0", "é0", " 0"] {
            assert!(from_hex(bad).is_none(), "{bad}");
        }
    }
}
