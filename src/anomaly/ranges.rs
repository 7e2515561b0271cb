//! Destinations that were reached before.

use base64ct::{Base64Unpadded, Encoding};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const BYTES: usize = 256;
/// Days after which what was known is the older half, and the older half is forgotten.
const TURN: i64 = 21;

/// A set that may take a stranger for a member, never a member for a stranger (Bloom 1970): 2,048 bits, three for each.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sketch(Vec<u8>);

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64Unpadded::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = Base64Unpadded::decode_vec(&text).map_err(|_| serde::de::Error::custom("not base64"))?;
        match bytes.len() {
            0 | BYTES => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("a sketch has 256 bytes")),
        }
    }
}

/// Three places from one hash; mixed once more (SplitMix64's finaliser), for hashes that are not.
fn places(hash: u64) -> [usize; 3] {
    let mut mixed = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    [0, 16, 32].map(|shift| (mixed >> shift) as usize % (BYTES * 8))
}

impl Sketch {
    fn has(&self, hash: u64) -> bool {
        !self.0.is_empty() && places(hash).iter().all(|place| self.0[place / 8] & 1 << (place % 8) != 0)
    }

    fn put(&mut self, hash: u64) {
        self.0.resize(BYTES, 0);
        for place in places(hash) {
            self.0[place / 8] |= 1 << (place % 8);
        }
    }

    fn join(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// More than half of the bits: an eighth of all strangers pass.
    fn is_full(&self) -> bool {
        self.0.iter().map(|byte| byte.count_ones()).sum::<u32>() as usize > BYTES * 4
    }
}

/// Ranges reached today, before today, and before that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Ranges {
    today: Sketch,
    known: Sketch,
    older: Sketch,
    day: i64,
    turned: i64,
    /// Days known.
    pub(super) age: u32,
}

impl Ranges {
    /// Counts calls to ranges: those to ranges that were not reached before today, and all. Today's ranges become known when
    /// the day ends, unless `hold`.
    pub(super) fn add(&mut self, destinations: &[(u64, u64)], day: i64, hold: bool) -> (u64, u64) {
        if destinations.is_empty() {
            return (0, 0);
        }
        if self.age == 0 {
            (self.age, self.day, self.turned) = (1, day, day);
        }
        if self.day != day {
            let today = std::mem::take(&mut self.today);
            if !hold {
                if self.known.is_full() || day.abs_diff(self.turned) >= TURN.unsigned_abs() {
                    self.older = std::mem::take(&mut self.known);
                    self.turned = day;
                }
                self.known.join(&today);
            }
            (self.day, self.age) = (day, self.age.saturating_add(1));
        }
        let (mut strange, mut all) = (0_u64, 0_u64);
        for (hash, calls) in destinations {
            all = all.saturating_add(*calls);
            if !self.older.has(*hash) && !self.known.has(*hash) {
                strange = strange.saturating_add(*calls);
            }
            if !self.today.is_full() {
                self.today.put(*hash);
            }
        }
        (strange, all)
    }
}
