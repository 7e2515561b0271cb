//! Maps by key id. An id is random and, where it matters, tagged: nobody can choose ids that collide, so its own bytes
//! serve as its hash.

use crate::key::ID_LENGTH;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from ids.
pub(crate) type IdMap<V> = HashMap<[u8; ID_LENGTH], V, BuildHasherDefault<IdHasher>>;

/// The bytes of an id, `None` for a text of another length.
pub(crate) fn key_of(id: &str) -> Option<[u8; ID_LENGTH]> {
    id.as_bytes().try_into().ok()
}

/// Folds the bytes of an id into a number and spreads it: base62 leaves the high bits of each byte nearly constant.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks_exact(8) {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_else(|_| unreachable!("eight bytes")));
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        }
    }

    // The length of an id is constant and says nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
