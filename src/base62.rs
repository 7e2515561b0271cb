//! Base62 over `0-9A-Za-z`: digits, fixed-width numbers, uniformly random characters. Nothing here knows what a key is.

/// The digits in ascending order of value.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Value of each byte as a digit, 255 where it is none.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Whether every byte is a base62 digit.
pub(crate) fn is_base62(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_alphanumeric)
}

/// The number that the digits write, most significant first, or `None` for a foreign byte. At most 10 digits fit `u64`.
pub(crate) fn decode(digits: &[u8]) -> Option<u64> {
    debug_assert!(digits.len() <= 10);
    digits.iter().try_fold(0, |number, byte| match VALUES[*byte as usize] {
        255 => None,
        digit => Some(number * 62 + u64::from(digit)),
    })
}

/// `number` in exactly `N` digits, zero-padded. The number must be below 62ᴺ.
pub(crate) fn digits<const N: usize>(mut number: u64) -> [u8; N] {
    debug_assert!(u128::from(number) < 62u128.pow(N as u32));
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    digits
}

/// Appends `count` uniformly random digits. Six bits are drawn at a time and the two values past 61 rejected, so that no
/// digit is likelier than another.
pub(crate) fn push_random(text: &mut String, count: usize, fill: &mut dyn FnMut(&mut [u8])) {
    let mut pool = zeroize::Zeroizing::new([0u8; 64]);
    let mut left = count;
    while left > 0 {
        fill(&mut pool[..]);
        for byte in pool.iter() {
            let value = usize::from(byte & 63);
            if value < 62 && left > 0 {
                text.push(char::from(ALPHABET[value]));
                left -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_and_decode_are_inverse_at_the_ends() {
        for number in [0, 1, 61, 62, u64::from(u32::MAX), 62u64.pow(6) - 1] {
            assert_eq!(decode(&digits::<6>(number)), Some(number));
        }
        assert_eq!(&digits::<6>(0), b"000000");
        assert_eq!(&digits::<6>(62u64.pow(6) - 1), b"zzzzzz");
    }

    #[test]
    fn a_foreign_byte_is_no_number() {
        assert_eq!(decode(b"00-000"), None);
        assert!(!is_base62("0é".as_bytes()));
    }

    #[test]
    fn random_digits_are_uniform_where_bytes_are() {
        // Every byte value equally often: each digit must come out equally often, the rejected ones not at all.
        let mut next = 0u8;
        let mut text = String::new();
        push_random(&mut text, 62 * 64, &mut |bytes| {
            for byte in bytes {
                *byte = next;
                next = next.wrapping_add(1);
            }
        });
        for digit in ALPHABET {
            let seen = text.bytes().filter(|b| b == digit).count();
            assert_eq!(seen, 64, "{}", char::from(*digit));
        }
    }
}
