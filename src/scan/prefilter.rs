//! Where any of some thousand literals stands, in one pass: the three bytes at every place are hashed, in either case alike, into a
//! bitmap that few hashes are in; of what is left, four bytes into another; only then is compared. The idea is that of Wu and
//! Manber (1994, "A fast algorithm for multi-pattern searching"), without its shifts, since some literals have three bytes only.

/// Bits of the hash of three bytes, and of four.
const THREE: u32 = 16;
const FOUR: u32 = 15;
/// Sets the bit that upper and lower case differ in.
const FOLD: u32 = 0x2020_2020;

/// The literals, ready to be looked for.
pub(super) struct Prefilter {
    /// Whether any literal begins with three bytes of this hash, and with four.
    threes: Box<[u64; 1 << (THREE - 6)]>,
    fours: Box<[u64; 1 << (FOUR - 6)]>,
    /// Literals by the hash of the four bytes they begin with; where those of each hash begin.
    begins: Vec<u16>,
    first: Vec<u32>,
    literals: Vec<Vec<u8>>,
}

const fn three(folded: u32) -> usize {
    ((folded << 8).wrapping_mul(0x9E37_79B1) >> (32 - THREE)) as usize
}

const fn four(folded: u32) -> usize {
    (folded.wrapping_mul(0x9E37_79B1) >> (32 - FOUR)) as usize
}

const fn has<const WORDS: usize>(bitmap: &[u64; WORDS], hash: usize) -> bool {
    bitmap[(hash >> 6) % WORDS] >> (hash & 63) & 1 != 0
}

impl Prefilter {
    /// Literals of at least three bytes, in either case alike.
    pub(super) fn new<'l>(literals: impl IntoIterator<Item = &'l [u8]>) -> Self {
        let literals: Vec<Vec<u8>> = literals.into_iter().map(<[u8]>::to_ascii_lowercase).collect();
        let (mut threes, mut fours) = (Box::new([0; 1 << (THREE - 6)]), Box::new([0; 1 << (FOUR - 6)]));
        let mut begins = Vec::new();
        for (number, literal) in literals.iter().enumerate() {
            let [a, b, c, ..] = literal[..] else { continue };
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            let fourth = literal.get(3);
            for d in fourth.map_or(0..=u8::MAX, |d| *d..=*d) {
                let word = u32::from_le_bytes([a, b, c, d]) | FOLD;
                let (hash, hash3) = (four(word), three(word));
                threes[hash3 >> 6] |= 1 << (hash3 & 63);
                fours[hash >> 6] |= 1 << (hash & 63);
                begins.push((hash, number));
            }
        }
        begins.sort_unstable();
        begins.dedup();
        let first = (0..=1 << FOUR).map(|hash| begins.partition_point(|(known, _)| *known < hash) as u32).collect();
        Self { threes, fours, begins: begins.into_iter().map(|(_, number)| number).collect(), first, literals }
    }

    /// The literal of this number, in lower case.
    pub(super) fn literal(&self, number: usize) -> &[u8] {
        &self.literals[number]
    }

    /// Calls `found(place, literal)` for every place from `from` on where a literal stands, in order. Literals that end within
    /// three bytes of the end of `text` may be left out: no secret has room behind them.
    pub(super) fn find(&self, text: &[u8], from: usize, mut found: impl FnMut(usize, usize)) {
        let mut at = from;
        // Eight places from eleven bytes.
        while let Some(bytes) = text.get(at..at + 12) {
            let (Ok(low), Ok(high)) = (<[u8; 8]>::try_from(&bytes[..8]), <[u8; 4]>::try_from(&bytes[8..])) else {
                break;
            };
            let (low, high) = (u64::from_le_bytes(low), u64::from(u32::from_le_bytes(high)));
            let words = [
                low as u32,
                (low >> 8) as u32,
                (low >> 16) as u32,
                (low >> 24) as u32,
                (low >> 32) as u32,
                (low >> 40 | high << 24) as u32,
                (low >> 48 | high << 16) as u32,
                (low >> 56 | high << 8) as u32,
            ];
            let hits = words.map(|word| has(&self.threes, three(word | FOLD)));
            if hits.into_iter().fold(false, |any, hit| any | hit) {
                for (offset, word) in words.into_iter().enumerate() {
                    if hits[offset] && has(&self.fours, four(word | FOLD)) {
                        self.compare(text, at + offset, word, &mut found);
                    }
                }
            }
            at += 8;
        }
        while let Some(&[a, b, c, d]) = text.get(at..at + 4) {
            self.compare(text, at, u32::from_le_bytes([a, b, c, d]), &mut found);
            at += 1;
        }
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], at: usize, word: u32, found: &mut impl FnMut(usize, usize)) {
        let hash = four(word | FOLD);
        for number in &self.begins[self.first[hash] as usize..self.first[hash + 1] as usize] {
            let literal = &self.literals[usize::from(*number)];
            if text.get(at..at + literal.len()).is_some_and(|there| there.eq_ignore_ascii_case(literal)) {
                found(at, usize::from(*number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_literal_is_found_wherever_it_stands(
            literals in proptest::collection::vec("[a-cA-C_]{3,6}", 1..20),
            text in "[a-cA-C_ ]{0,200}",
        ) {
            let prefilter = Prefilter::new(literals.iter().map(|literal| literal.as_bytes()));
            // With room behind the last one.
            let text = format!("{text}    ");
            let mut found = Vec::new();
            prefilter.find(text.as_bytes(), 0, |at, literal| found.push((at, literal)));
            found.sort_unstable();
            let mut expected = Vec::new();
            for at in 0..text.len() {
                for (number, literal) in literals.iter().enumerate() {
                    if text[at..].to_ascii_lowercase().starts_with(&literal.to_ascii_lowercase()) {
                        expected.push((at, number));
                    }
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
