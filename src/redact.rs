//! Removing every echo of an upstream's secret from what the upstream answers: a relay adds the secret to a call, and
//! an upstream that shows its requests (a debug endpoint, an error page) would hand it to whoever made the call.
//!
//! An echo of a secret is, anywhere in a text or body,
//!
//! - the secret itself, its case as it is;
//! - its hexadecimal digits, in either case;
//! - what it wholly determines of the base64 (RFC 4648, either alphabet, whatever the padding) of any text that
//!   contains it, at any of the three alignments, with the partly determined characters, where there are any, at both
//!   ends;
//!
//! each with any mixture, character by character, of the plain character, its percent-escape (RFC 3986) and its escapes
//! in a JSON string (RFC 8259). Each run of bytes that echoes cover, be they one, adjacent or overlapping, becomes one
//! `[redacted]`.
//!
//! Not found: what is escaped twice, `+` for a space, HTML entities, other cases of the secret, other encodings
//! (base32, quoted-printable, compressed bodies), base64 and hexadecimal digits with line breaks or other marks between
//! them, and a part of a secret. What is around an echo stays as it is.

use std::borrow::Cow;
use std::mem;
use std::ops::Range;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret of fewer bytes is not looked for: answers contain such a text without having been told it.
pub const SHORTEST: usize = 8;

/// What stands for an echo: the first of these that can be no part of a secret together with what is around it, since
/// the replacement would otherwise make an echo of its own. No two begin or end alike, so a secret rules out one by how
/// it begins and one by how it ends.
const MARKS: [&str; 10] = [
    "[redacted]",
    "(hidden)",
    "{hidden}",
    "*hidden*",
    "~hidden~",
    "|hidden|",
    "#hidden#",
    "!hidden!",
    ":hidden:",
    ";hidden;",
];

/// What is looked for, prepared once for each set of secrets. Has no `Debug`, and is wiped when it goes.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Echoes {
    secrets: Vec<String>,
    #[zeroize(skip)]
    patterns: Vec<Pattern>,
    /// Where in the patterns an echo may begin.
    #[zeroize(skip)]
    starts: Vec<Place>,
    /// For each of the first four bytes of an echo: in which ways of beginning one it may stand there, a bit for each
    /// way. Four bytes that have no way in common begin no echo, which is known at the speed of reading them.
    ways: [[u16; 256]; 4],
    #[zeroize(skip)]
    mark: &'static str,
}

/// One form of one secret. Its characters are computed from the secret where they are asked for.
#[derive(Clone, Copy)]
struct Pattern {
    secret: usize,
    form: Form,
    /// In characters; in bytes for `Plain`.
    length: usize,
}

#[derive(Clone, Copy)]
enum Form {
    Plain,
    Hex,
    /// With so many bytes, modulo 3, before the secret.
    Base64(usize),
}

/// A place in a pattern: what is before `index` was seen.
#[derive(Clone, Copy)]
struct Place {
    pattern: usize,
    index: usize,
    /// So was the first of the two UTF-16 units of the character at `index`.
    half: bool,
}

/// One unit of an encoded text.
#[derive(Clone, Copy)]
enum Unit {
    Byte(u8),
    /// Of UTF-16, as JSON escapes write it.
    Utf16(u16),
}

/// The escape that the last bytes begin, of `length` bytes so far, none where that is 0. Each `%` and `\` begins a new
/// one, so there is never a second.
#[derive(Clone, Copy, Default)]
struct Escape {
    json: bool,
    length: u8,
    code: u16,
}

impl Escape {
    /// Takes the next byte; the unit that the escape stands for where it is complete.
    fn take(&mut self, byte: u8) -> Option<Unit> {
        let Self { json, length, code } = *self;
        *self = Self { json: byte == b'\\', length: u8::from(matches!(byte, b'%' | b'\\')), code: 0 };
        match (json, length) {
            (_, 0) => None,
            (true, 1) if byte == b'u' => {
                *self = Self { json, length: 2, code: 0 };
                None
            }
            (true, 1) => short_escape(byte).map(Unit::Byte),
            _ => {
                let code = code << 4 | u16::from(digit(byte)?);
                match (json, length) {
                    (true, 5) => Some(Unit::Utf16(code)),
                    (false, 2) => Some(Unit::Byte(code as u8)),
                    _ => {
                        *self = Self { json, length: length + 1, code };
                        None
                    }
                }
            }
        }
    }

    /// Whether a unit, in so far as the escape has told it, may be this one.
    fn may_be(self, unit: u16) -> bool {
        let to_come = if self.json { 4 - self.length.saturating_sub(2) } else { 3 - self.length };
        u32::from(unit) >> (4 * to_come) == u32::from(self.code)
    }
}

/// The bit of a start of its number: twelve are shared by all.
fn way(number: usize) -> u16 {
    1 << (number % 12)
}

/// The byte for which `\` and this one stand in JSON.
fn short_escape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'f' => 12,
        b'r' => b'\r',
        _ => return None,
    })
}

/// The value of a hexadecimal digit of either case.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

/// The six bits of a base64 character of either alphabet.
fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// The six bits at an index of the base64 of the secret, counted from the first character that depends on it, and which
/// of them (a mask) the secret determines.
fn determined(secret: &[u8], before: usize, index: usize) -> (u8, u8) {
    // Counted from a byte before the secret, since the first character may begin there.
    let bit = 8 - 2 * before + 6 * index;
    let (mut value, mut mask) = (0u16, 0u16);
    for byte in [bit / 8, bit / 8 + 1] {
        let byte = byte.checked_sub(1).and_then(|at| secret.get(at));
        value = value << 8 | byte.map_or(0, |&byte| u16::from(byte));
        mask = mask << 8 | byte.map_or(0, |_| 0xff);
    }
    let shift = 10 - bit % 8;
    ((value >> shift) as u8 & 63, (mask >> shift) as u8 & 63)
}

/// Whether, with `mark` in a text, the secret may be found there by what the mark gives to it.
fn clash(mark: &[u8], secret: &[u8]) -> bool {
    let holds = |long: &[u8], short: &[u8]| long.windows(short.len()).any(|part| part == short);
    holds(secret, mark)
        || holds(mark, secret)
        || (1..mark.len()).any(|at| secret.starts_with(&mark[at..]) || secret.ends_with(&mark[..at]))
}

impl Echoes {
    /// Prepares secrets: of a credential that is sent as basic authentication, `user:secret` too. Those of fewer than
    /// [`SHORTEST`] bytes are ignored. Costs, as [`Stream`] does in memory, in proportion to their length.
    pub fn new(secrets: &[&str]) -> Self {
        let secrets: Vec<String> =
            secrets.iter().filter(|secret| secret.len() >= SHORTEST).map(ToString::to_string).collect();
        let clashes = |mark: &&str| secrets.iter().any(|secret| clash(mark.as_bytes(), secret.as_bytes()));
        // Only secrets that contain what they do not begin or end with can use all of them up.
        let mark = MARKS.into_iter().find(|mark| !clashes(mark)).unwrap_or(MARKS[0]);
        let (mut patterns, mut starts) = (Vec::new(), Vec::new());
        for (secret, text) in secrets.iter().enumerate() {
            for form in [Form::Plain, Form::Hex, Form::Base64(0), Form::Base64(1), Form::Base64(2)] {
                let (length, may_lack) = match form {
                    Form::Plain => (text.len(), false),
                    Form::Hex => (2 * text.len(), false),
                    Form::Base64(before) => ((8 * (before + text.len())).div_ceil(6) - before, before > 0),
                };
                let first = Place { pattern: patterns.len(), index: 0, half: false };
                starts.push(first);
                if may_lack {
                    starts.push(Place { index: 1, ..first });
                }
                patterns.push(Pattern { secret, form, length });
            }
        }
        let mut echoes = Self { secrets, patterns, starts, ways: [[0; 256]; 4], mark };
        echoes.find_ways();
        echoes
    }

    /// Fills in `ways`.
    fn find_ways(&mut self) {
        // The last four bits are for what begins with an escape, or goes on with one; the others are shared by starts.
        const HEX: [u8; 22] = *b"0123456789abcdefABCDEF";
        const PERCENT: u16 = 1 << 12;
        const JSON: u16 = 1 << 13;
        const SHORT: u16 = 1 << 14;
        const THEN_ESCAPED: u16 = 1 << 15;
        let mut ways = [[0u16; 256], [0; 256], [0; 256], [!JSON; 256]];
        let mut may = |at: usize, byte: u8, way: u16| ways[at][usize::from(byte)] |= way;
        for (number, &place) in self.starts.iter().enumerate() {
            let way = way(number);
            let first_unit = self.utf16(place).map_or(0, |(unit, _)| unit);
            let [second, third] = [1, 2].map(|further| Place { index: place.index + further, ..place });
            for byte in 0..=255 {
                if self.takes(place, byte) {
                    may(0, byte, way | THEN_ESCAPED);
                    may(0, b'%', PERCENT);
                    for hex in HEX {
                        if digit(hex) == Some(byte >> 4) {
                            may(1, hex, PERCENT);
                        }
                        if digit(hex) == Some(byte & 15) {
                            may(2, hex, PERCENT);
                        }
                    }
                }
                if self.takes(second, byte) {
                    may(1, byte, way);
                    for hex in HEX.into_iter().filter(|&hex| digit(hex) == Some(byte >> 4)) {
                        may(2, hex, THEN_ESCAPED);
                    }
                }
                if self.takes(third, byte) || matches!(byte, b'%' | b'\\') {
                    may(2, byte, way);
                }
                if let Some(meant) = short_escape(byte) {
                    if self.takes(place, meant) {
                        may(1, byte, SHORT);
                    }
                    if self.takes(second, meant) {
                        may(2, byte, THEN_ESCAPED);
                    }
                }
                may(2, byte, SHORT);
                for (at, shift) in [(2, 12), (3, 8)] {
                    if digit(byte).map(u16::from) == Some(first_unit >> shift & 15) {
                        may(at, byte, JSON);
                    }
                }
            }
            may(0, b'\\', JSON | SHORT);
            may(1, b'u', JSON);
            may(2, b'u', THEN_ESCAPED);
            may(1, b'%', THEN_ESCAPED);
            may(1, b'\\', THEN_ESCAPED);
        }
        self.ways = ways;
    }

    /// The text with every echo replaced, `None` where there is none.
    pub fn in_text(&self, text: &str) -> Option<String> {
        let bytes = self.in_whole(text.as_bytes())?;
        Some(String::from_utf8(bytes).unwrap_or_else(|_| unreachable!("echoes in a text are whole characters of it")))
    }

    /// The whole body with every echo replaced, `None` where there is none. Nothing of its size is allocated then.
    pub fn in_whole(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.stream();
        stream.run(self, body, 0);
        (!stream.found.is_empty()).then(|| stream.pass(self.mark, body, body.len()).into_owned())
    }

    /// For a body that comes in chunks.
    pub fn stream(&self) -> Stream {
        Stream::default()
    }

    /// Whether an echo may begin where these bytes do, judged by the first four: what comes after fewer is not known.
    #[inline(always)]
    fn may_begin(&self, next: &[u8]) -> bool {
        let [first, second, third, fourth, ..] = *next else { return true };
        let way = |at: usize, byte: u8| self.ways[at][usize::from(byte)];
        way(0, first) & way(1, second) & way(2, third) & way(3, fourth) != 0
    }

    /// Whether the character at the place may be this one.
    fn takes(&self, place: Place, byte: u8) -> bool {
        let Pattern { secret, form, .. } = self.patterns[place.pattern];
        let secret = self.secrets[secret].as_bytes();
        match form {
            Form::Plain => secret[place.index] == byte,
            Form::Hex => digit(byte) == Some(secret[place.index / 2] >> (4 * (1 - place.index % 2)) & 15),
            Form::Base64(before) => {
                let (value, mask) = determined(secret, before, place.index);
                sextet(byte).is_some_and(|bits| bits & mask == value)
            }
        }
    }

    /// The UTF-16 unit of the secret's own text at the place, and the place after it.
    fn utf16(&self, place: Place) -> Option<(u16, Place)> {
        let Pattern { secret, form: Form::Plain, .. } = self.patterns[place.pattern] else { return None };
        let character = self.secrets[secret].get(place.index..)?.chars().next()?;
        let mut units = [0; 2];
        let two = character.encode_utf16(&mut units).len() == 2;
        let half = two && !place.half;
        let index = if half { place.index } else { place.index + character.len_utf8() };
        Some((units[usize::from(place.half)], Place { index, half, ..place }))
    }

    /// The place after the unit, if it may be there.
    fn after(&self, place: Place, unit: Unit) -> Option<Place> {
        match unit {
            Unit::Utf16(unit @ 0x80..) => self.utf16(place).and_then(|(there, after)| (there == unit).then_some(after)),
            Unit::Utf16(ascii) => self.after(place, Unit::Byte(ascii as u8)),
            Unit::Byte(byte) => {
                (!place.half && self.takes(place, byte)).then_some(Place { index: place.index + 1, ..place })
            }
        }
    }

    /// A number of the place, no other's.
    fn number(&self, place: Place) -> usize {
        (place.index * self.patterns.len() + place.pattern) * 2 + usize::from(place.half)
    }

    /// Whether what is before the place is an echo.
    fn complete(&self, place: Place) -> bool {
        let Pattern { secret, form, length } = self.patterns[place.pattern];
        match form {
            // All that is wholly determined; a partly determined character may follow.
            Form::Base64(before) => determined(self.secrets[secret].as_bytes(), before, place.index).1 != 63,
            _ => place.index == length,
        }
    }

    /// The places after the unit where a thread is at the place, or at the start of any pattern.
    fn reached(&self, place: Option<Place>, unit: Unit) -> impl Iterator<Item = Place> {
        let ways = match unit {
            Unit::Utf16(0x80..) => !0,
            Unit::Utf16(first) => self.ways[0][usize::from(first)],
            Unit::Byte(first) => self.ways[0][usize::from(first)],
        };
        let starts = self.starts.iter().enumerate().filter(move |&(number, _)| ways & way(number) != 0);
        let starts = starts.take(if place.is_none() { usize::MAX } else { 0 }).map(|(_, &start)| start);
        place.into_iter().chain(starts).filter_map(move |place| self.after(place, unit))
    }

    /// Whether the beginning of an escape can be that of what is at the place, or at the start of any pattern.
    fn goes_on(&self, place: Option<Place>, escape: Escape) -> bool {
        place.as_ref().map_or(&self.starts[..], std::slice::from_ref).iter().any(|&place| {
            let may_be = |unit: u16, as_unit: Unit| escape.may_be(unit) && self.after(place, as_unit).is_some();
            if escape.json {
                (0..0x80).any(|unit| may_be(unit, Unit::Utf16(unit)))
                    || self.utf16(place).is_some_and(|(unit, _)| escape.may_be(unit))
            } else {
                (0..=255).any(|byte| may_be(u16::from(byte), Unit::Byte(byte)))
            }
        })
    }
}

/// What may be the beginning of an echo.
#[derive(Clone, Copy)]
struct Thread {
    /// Its first byte.
    start: usize,
    /// Where it is; `None` at the start of any pattern.
    place: Option<Place>,
    /// How many bytes it is further, all of them of the escape that is not yet complete.
    ahead: u8,
}

/// A body on its way through: what is held back of it. All of that is the beginning of an echo, so it is shorter than
/// one: 12 bytes for each of the longest secret's at the very worst (hexadecimal digits, each as `\uXXXX`), one for
/// each in an ordinary echo.
#[derive(Default)]
pub struct Stream {
    held: Vec<u8>,
    /// Every way in which the last bytes may be the beginning of an echo, the earliest first; positions count from the
    /// first held byte.
    threads: Vec<Thread>,
    escape: Escape,
    /// What echoes cover, in order, with no two adjacent.
    found: Vec<Range<usize>>,
    /// An echo covers the byte before the first held one.
    covered: bool,
    /// Empty between bytes: the next threads, and the places that are among them.
    next: Vec<Thread>,
    met: Met,
}

/// Numbers that were met.
#[derive(Default)]
struct Met(Vec<u64>);

impl Met {
    /// Whether it is for the first time.
    fn insert(&mut self, number: usize) -> bool {
        if number / 64 >= self.0.len() {
            self.0.resize(number / 64 + 1, 0);
        }
        let before = self.0[number / 64];
        self.0[number / 64] |= 1 << (number % 64);
        before != self.0[number / 64]
    }

    fn remove(&mut self, number: usize) {
        self.0[number / 64] &= !(1 << (number % 64));
    }
}

impl Stream {
    /// The bytes that may go on now: all but a tail that may be the beginning of an echo. `echoes` are those that made
    /// the stream.
    pub fn push<'a>(&mut self, echoes: &Echoes, chunk: &'a [u8]) -> Cow<'a, [u8]> {
        if self.held.is_empty() {
            self.run(echoes, chunk, 0);
            let limit = self.limit(echoes, chunk.len());
            self.held.extend_from_slice(&chunk[limit..]);
            self.pass(echoes.mark, chunk, limit)
        } else {
            let mut bytes = mem::take(&mut self.held);
            let from = bytes.len();
            bytes.extend_from_slice(chunk);
            self.run(echoes, &bytes, from);
            let limit = self.limit(echoes, bytes.len());
            let passed = self.pass(echoes.mark, &bytes, limit).into_owned();
            bytes.drain(..limit);
            self.held = bytes;
            Cow::Owned(passed)
        }
    }

    /// The rest, when there are no more chunks. The stream is then as new.
    pub fn end(&mut self, echoes: &Echoes) -> Vec<u8> {
        let mut ended = mem::take(self);
        let held = mem::take(&mut ended.held);
        ended.pass(echoes.mark, &held, held.len()).into_owned()
    }

    /// Looks at the bytes from a position on.
    fn run(&mut self, echoes: &Echoes, bytes: &[u8], from: usize) {
        let mut at = from;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if self.threads.is_empty() {
                // Nobody waits for the escape that may have begun: what is passed over begins no echo.
                self.escape = Escape::default();
                let begin = rest.windows(4).position(|next| echoes.may_begin(next));
                at += begin.unwrap_or(rest.len().saturating_sub(3));
            }
            self.step(echoes, bytes[at], at, echoes.may_begin(&bytes[at..]));
            at += 1;
        }
    }

    /// Takes one byte, with which an echo may begin or not.
    fn step(&mut self, echoes: &Echoes, byte: u8, at: usize, begins: bool) {
        let escaped = self.escape.take(byte);
        let mut found = None;
        if begins {
            self.threads.push(Thread { start: at, place: None, ahead: 0 });
        }
        for thread in &self.threads {
            // Who is ahead is so by the whole of the one escape that there was.
            let unit = if thread.ahead == 0 { Some(Unit::Byte(byte)) } else { escaped };
            if let Some(unit) = unit {
                for place in echoes.reached(thread.place, unit) {
                    if echoes.complete(place) {
                        found.get_or_insert(thread.start);
                    }
                    // The earliest to come to a place stands for the others: what they find lies within what it finds.
                    if place.index < echoes.patterns[place.pattern].length && self.met.insert(echoes.number(place)) {
                        self.next.push(Thread { start: thread.start, place: Some(place), ahead: 0 });
                    }
                }
            }
            if self.escape.length == thread.ahead + 1 {
                self.next.push(Thread { ahead: self.escape.length, ..*thread });
            }
        }
        for place in self.next.iter().filter(|thread| thread.ahead == 0).filter_map(|thread| thread.place) {
            self.met.remove(echoes.number(place));
        }
        mem::swap(&mut self.threads, &mut self.next);
        self.next.clear();
        if let Some(mut start) = found {
            while let Some(last) = self.found.pop_if(|last| last.end >= start) {
                start = start.min(last.start);
            }
            self.found.push(start..at + 1);
        }
    }

    /// The position of the first byte to hold back of so many: where the first thread began that can go on.
    /// Threads count from there from then on.
    fn limit(&mut self, echoes: &Echoes, length: usize) -> usize {
        let escape = self.escape;
        self.threads.retain(|thread| thread.ahead == 0 || echoes.goes_on(thread.place, escape));
        let limit = self.threads.first().map_or(length, |first| first.start);
        for thread in &mut self.threads {
            thread.start -= limit;
        }
        limit
    }

    /// The bytes before the limit, with what echoes cover replaced; what they cover counts from the limit from then on.
    fn pass<'a>(&mut self, mark: &str, bytes: &'a [u8], limit: usize) -> Cow<'a, [u8]> {
        let mut passed = Cow::Borrowed(&bytes[..limit]);
        if limit == 0 {
            return passed;
        }
        let mut at = 0;
        if self.found.first().is_some_and(|first| first.start < limit) {
            let mut replaced = Vec::with_capacity(limit);
            for range in self.found.iter().filter(|range| range.start < limit) {
                replaced.extend_from_slice(&bytes[at..range.start]);
                if range.start > 0 || !self.covered {
                    replaced.extend_from_slice(mark.as_bytes());
                }
                at = range.end.min(limit);
            }
            replaced.extend_from_slice(&bytes[at..limit]);
            passed = Cow::Owned(replaced);
        }
        self.covered = at == limit;
        self.found.retain_mut(|range| {
            *range = range.start.saturating_sub(limit)..range.end.saturating_sub(limit);
            range.end > 0
        });
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    /// The definition of an echo, told once more: by encoding what is looked for rather than by decoding what is met,
    /// and by trying everything everywhere.
    mod oracle {
        use std::ops::Range;

        const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

        /// Base64 without padding.
        pub(super) fn base64(bytes: &[u8], safe: bool) -> String {
            let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
            let value = |six: &[u8]| (0..6).fold(0, |value, at| value * 2 + six.get(at).copied().unwrap_or(0));
            let alphabet = if safe { SAFE } else { STANDARD };
            bits.chunks(6).map(|six| char::from(alphabet[usize::from(value(six))])).collect()
        }

        /// What may be written at each place of a form, and the numbers of places that may be left out at its ends.
        pub(super) struct Form {
            places: Vec<Vec<Vec<u8>>>,
            lacking: (usize, usize),
        }

        pub(super) fn forms(secret: &str) -> Vec<Form> {
            let written = |places: &[Vec<String>]| {
                places.iter().map(|place| place.iter().flat_map(|char| ways(char)).collect()).collect()
            };
            let whole = |places: Vec<Vec<String>>| Form { places: written(&places), lacking: (0, 0) };
            let hex = secret.bytes().flat_map(|byte| {
                let both = |digit: String| vec![digit.to_uppercase(), digit];
                [both(format!("{:x}", byte / 16)), both(format!("{:x}", byte % 16))]
            });
            let mut forms =
                vec![whole(secret.chars().map(|char| vec![char.to_string()]).collect()), whole(hex.collect())];
            for before in 0..3 {
                // The base64 of the secret among all neighbours, character by character.
                let mut places: Vec<Vec<String>> = Vec::new();
                for around in 0..=255u8 {
                    for safe in [false, true] {
                        let mut text = vec![around; before];
                        text.extend(secret.bytes());
                        text.resize(text.len().next_multiple_of(3) + 3, around);
                        for (at, char) in base64(&text, safe).chars().enumerate() {
                            if places.len() <= at {
                                places.push(Vec::new());
                            }
                            if !places[at].contains(&char.to_string()) {
                                places[at].push(char.to_string());
                            }
                        }
                    }
                }
                // One sextet is two characters at most; 64 of them are 66. What all neighbours decide is cut off.
                let sextets = |place: &Vec<String>| place.iter().filter(|char| !"-_".contains(char.as_str())).count();
                let first = places.iter().position(|place| sextets(place) < 64).unwrap();
                let last = places.iter().rposition(|place| sextets(place) < 64).unwrap();
                let places = &places[first..=last];
                let lacking = (usize::from(sextets(&places[0]) > 1), usize::from(sextets(&places[last - first]) > 1));
                forms.push(Form { places: written(places), lacking });
            }
            forms
        }

        /// Everything that may be written for a character, with whether its case counts. Bytes of one character are
        /// written one after the other, each in its way.
        fn ways(char: &str) -> Vec<Vec<u8>> {
            let mut ways: Vec<Vec<u8>> = vec![Vec::new()];
            for byte in char.bytes() {
                let of_byte = [vec![byte], format!("%{byte:02x}").into_bytes()];
                ways = ways.iter().flat_map(|way| of_byte.iter().map(|more| [&way[..], more].concat())).collect();
            }
            ways.push(char.encode_utf16().flat_map(|unit| format!("\\u{unit:04x}").into_bytes()).collect());
            for (short, meant) in
                ["\"\"", "\\\\", "//", "b\x08", "f\x0c", "n\n", "r\r", "t\t"].map(|pair| pair.split_at(1))
            {
                if meant == char {
                    ways.push(format!("\\{short}").into_bytes());
                }
            }
            ways
        }

        /// Whether the text is a way of writing, in so far as both go; only digits after `%` and `\u` have no case.
        fn agrees(text: &[u8], way: &[u8]) -> bool {
            text.iter().zip(way).enumerate().all(|(at, (is, should))| {
                let digit = should.is_ascii_hexdigit()
                    && (way[..at].ends_with(b"%") && at > 0
                        || at > 1 && way[at - 2] == b'%'
                        || way[0] == b'\\' && way.len() >= 6 && at % 6 > 1);
                is == should || digit && is.eq_ignore_ascii_case(should)
            })
        }

        /// Where the echoes of a form end that begin where the text does; and whether all of the text may begin one.
        fn read(form: &Form, text: &[u8]) -> (Vec<usize>, bool) {
            let (mut ends, mut begins) = (Vec::new(), false);
            for lacking in 0..=form.lacking.0 {
                let mut reached = vec![0];
                for (number, place) in form.places.iter().enumerate().skip(lacking) {
                    let mut next = Vec::new();
                    for &at in &reached {
                        for way in place.iter().filter(|way| agrees(&text[at..], way)) {
                            if text.len() - at >= way.len() {
                                next.push(at + way.len());
                            } else {
                                begins |= !text.is_empty();
                            }
                        }
                    }
                    next.sort();
                    next.dedup();
                    if number + 1 + form.lacking.1 >= form.places.len() {
                        ends.extend(&next);
                    }
                    reached = next;
                }
            }
            (ends, begins)
        }

        pub(super) fn covered(forms: &[Form], text: &[u8]) -> Vec<Range<usize>> {
            let mut covered = vec![false; text.len() + 1];
            for start in 0..text.len() {
                for form in forms {
                    for end in read(form, &text[start..]).0 {
                        covered[start..start + end].fill(true);
                    }
                }
            }
            let mut runs = Vec::new();
            let mut start = None;
            for (at, covered) in covered.into_iter().enumerate() {
                match (covered, start) {
                    (true, None) => start = Some(at),
                    (false, Some(from)) => {
                        runs.push(from..at);
                        start = None;
                    }
                    _ => (),
                }
            }
            runs
        }

        pub(super) fn redacted(forms: &[Form], text: &[u8], mark: &str) -> Vec<u8> {
            let (mut out, mut at) = (Vec::new(), 0);
            for run in covered(forms, text) {
                out.extend(&text[at..run.start]);
                out.extend(mark.bytes());
                at = run.end;
            }
            out.extend(&text[at..]);
            out
        }

        pub(super) fn begins(forms: &[Form], text: &[u8]) -> bool {
            forms.iter().any(|form| read(form, text).1)
        }
    }

    /// One text, written with a mixture of ways that the choices choose.
    fn mixed(text: &str, choices: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut choices = choices.iter().copied().cycle();
        for char in text.chars() {
            let choice = choices.next().unwrap();
            let case =
                |escape: String| if choice & 16 == 0 { escape } else { escape.to_uppercase().replace("\\U", "\\u") };
            match choice % 8 {
                0 => out.extend(
                    char.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| case(format!("\\u{unit:04x}")).into_bytes()),
                ),
                1 => out.extend(char.to_string().bytes().flat_map(|byte| case(format!("%{byte:02x}")).into_bytes())),
                2 if "/\"\\".contains(char) => out.extend(format!("\\{char}").bytes()),
                // Byte by byte.
                3 => {
                    for (at, byte) in char.to_string().bytes().enumerate() {
                        if ((choice >> 5) + at as u8).is_multiple_of(2) {
                            out.push(byte);
                        } else {
                            out.extend(case(format!("%{byte:02x}")).into_bytes());
                        }
                    }
                }
                _ => out.extend(char.to_string().bytes()),
            }
        }
        out
    }

    /// The body as it comes out in chunks that are cut at the given places, each time with what was then held back.
    fn streamed(echoes: &Echoes, body: &[u8], cuts: &[usize], mut look: impl FnMut(&[u8])) -> Vec<u8> {
        let mut stream = echoes.stream();
        let (mut out, mut at) = (Vec::new(), 0);
        for &cut in cuts.iter().chain([&body.len()]) {
            out.extend_from_slice(&stream.push(echoes, &body[at..cut]));
            look(&stream.held);
            at = cut;
        }
        out.extend(stream.end(echoes));
        out
    }

    fn forms(secrets: &[&str]) -> Vec<oracle::Form> {
        secrets.iter().flat_map(|secret| oracle::forms(secret)).collect()
    }

    /// Everything that is promised of a body, against the oracle. Returns what goes on.
    fn check(secrets: &[&str], body: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (echoes, forms) = (Echoes::new(secrets), forms(secrets));
        let expected = oracle::redacted(&forms, body, echoes.mark);
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let context = format!("{secrets:?} in {:?}", show(body));
        let whole = echoes.in_whole(body);
        assert_eq!(whole.is_some(), expected != body, "{context}");
        let whole = whole.unwrap_or(body.to_vec());
        assert_eq!(show(&whole), show(&expected), "{context}");
        assert_eq!(whole, expected, "{context}");
        assert!(oracle::covered(&forms, &whole).is_empty(), "{context}: {}", show(&whole));
        let look = |held: &[u8]| {
            assert!(held.is_empty() || oracle::begins(&forms, held), "{context}: {:?} was held", show(held));
        };
        assert_eq!(show(&streamed(&echoes, body, cuts, look)), show(&expected), "{context} cut at {cuts:?}");
        let everywhere: Vec<usize> = (1..body.len()).collect();
        assert_eq!(streamed(&echoes, body, &everywhere, look), expected, "{context} in single bytes");
        if let Ok(text) = std::str::from_utf8(body) {
            assert_eq!(echoes.in_text(text).map_or(body.to_vec(), String::into_bytes), expected);
        }
        expected
    }

    /// Letters and what the encodings care about; a small alphabet, so that secrets overlap with themselves.
    fn secret() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z0-9_]{8,20}",
            "[ab]{8,14}",
            r#"[a0/+=%"\\\[\]]{8,14}"#,
            r"[\\%u0]{8,12}",
            "[aé/€😀]{8,10}",
            r"(%41|\\u0041|\\n|%2525|\\\\|[a4]a){4,8}",
            r"[\[\](){}dhn]{1,5}[a-z]{8}[\[\](){}dhn]{1,5}",
        ]
    }

    /// A secret's echo in one of the forms, or something much like it.
    fn echo(secrets: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
        let around = || prop::collection::vec(any::<u8>(), 0..5);
        let choices = prop_oneof![Just(vec![7]), prop::collection::vec(any::<u8>(), 1..30)];
        (select(secrets), around(), around(), 0..5, choices, 0..8, any::<Index>()).prop_map(
            |(secret, before, after, form, choices, flaw, at)| {
                let text = match form {
                    0 | 1 => secret,
                    2 => secret
                        .bytes()
                        .map(|byte| if choices[0] & 1 == 0 { format!("{byte:02x}") } else { format!("{byte:02X}") })
                        .collect(),
                    _ => oracle::base64(&[&before[..], secret.as_bytes(), &after].concat(), form == 3),
                };
                let mut bytes = mixed(&text, &choices);
                match flaw {
                    0 => drop(bytes.remove(at.index(bytes.len()))),
                    1 => bytes.truncate(at.index(bytes.len())),
                    2 => drop(bytes.drain(..at.index(bytes.len()))),
                    _ => (),
                }
                bytes
            },
        )
    }

    fn piece(secrets: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            5 => echo(secrets),
            2 => r#"[ab0/+=%"\\\[\]u]{0,8}"#.prop_map(String::into_bytes),
            1 => "[ -~é\n]{0,12}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..6),
        ]
    }

    fn case() -> impl Strategy<Value = (Vec<String>, Vec<u8>, Vec<Index>)> {
        prop::collection::vec(secret(), 1..3).prop_flat_map(|secrets| {
            let body = prop::collection::vec(piece(secrets.clone()), 0..5).prop_map(|pieces| pieces.concat());
            (Just(secrets), body, prop::collection::vec(any::<Index>(), 0..6))
        })
    }

    proptest! {
        #[test]
        fn what_goes_on_is_what_the_definition_says_however_it_is_cut((secrets, body, cuts) in case()) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            cuts.sort();
            check(&secrets, &body, &cuts);
        }

        #[test]
        fn a_body_without_an_echo_passes_as_it_is(body in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..50) {
            let echoes = Echoes::new(&["sk_live_4eC39HqLyjWDarjtT1zdp7dc"]);
            let mut stream = echoes.stream();
            let mut out: Vec<u8> = body.chunks(size).flat_map(|chunk| stream.push(&echoes, chunk).into_owned()).collect();
            out.extend(stream.end(&echoes));
            prop_assert_eq!(&out, &body);
            prop_assert_eq!(echoes.in_whole(&body), None);
        }
    }

    const SECRET: &str = "sk_live/4eC39+HqLyjWDarjtT1zdp7dc";

    #[test]
    fn row_24_an_upstream_that_echoes_the_credential_in_any_form_shows_nothing_of_it() {
        let basic = format!("user:{SECRET}");
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        for (echo, left) in [
            (format!("Authorization: Bearer {SECRET}\r\n"), "Authorization: Bearer [redacted]\r\n"),
            (format!("Basic {}==", oracle::base64(basic.as_bytes(), false)), "Basic [redacted]=="),
            (format!("Basic {}", oracle::base64(basic.as_bytes(), true)), "Basic [redacted]"),
            (format!(r#"{{"a":"{}"}}"#, SECRET.replace('/', r"\/")), r#"{"a":"[redacted]"}"#),
            (format!("?k={}&x", SECRET.replace('/', "%2F").replace('+', "%2b")), "?k=[redacted]&x"),
            (format!("<{}>", SECRET.replace('_', r"\u005F")), "<[redacted]>"),
            (format!("{hex} {}", hex.to_uppercase()), "[redacted] [redacted]"),
            (format!("{SECRET}{SECRET}, {SECRET}"), "[redacted], [redacted]"),
        ] {
            assert_eq!(check(&[SECRET, &basic], echo.as_bytes(), &[]), left.as_bytes(), "{echo}");
            assert_eq!(Echoes::new(&[SECRET, &basic]).in_text(&echo).unwrap(), left);
        }
    }

    #[test]
    fn row_24_an_upstream_that_echoes_the_credential_inside_a_longer_base64_text_shows_nothing_of_it() {
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "x", "xy", "xyz"] {
                let text = oracle::base64(format!("{before}{SECRET}{after}").as_bytes(), false);
                let left = check(&[SECRET], text.replace('/', r"\/").as_bytes(), &[]);
                let digits = |bytes: usize| (8 * bytes) / 6;
                let end = (8 * (before.len() + SECRET.len())).div_ceil(6);
                assert_eq!(
                    String::from_utf8(left).unwrap(),
                    format!("{}[redacted]{}", &text[..digits(before.len())], &text[end..])
                );
            }
        }
    }

    #[test]
    fn server_sent_events_are_not_held_back() {
        let echoes = Echoes::new(&[SECRET]);
        let mut stream = echoes.stream();
        for event in ["data: {\"delta\":\"is sk_liv\"}\n\n", "data: [DONE]\n\n", ": sk_live\n\n"] {
            assert!(matches!(stream.push(&echoes, event.as_bytes()), Cow::Borrowed(all) if all == event.as_bytes()));
        }
        assert_eq!(&*stream.push(&echoes, b"data: sk_live%2"), b"data: ");
        assert_eq!(&*stream.push(&echoes, b"e"), b"sk_live%2e");
        assert_eq!(&*stream.push(&echoes, b"data: sk_live\\"), b"data: ");
        assert_eq!(stream.end(&echoes), b"sk_live\\");
    }

    #[test]
    fn what_is_no_echo_is_left_alone() {
        let upper = SECRET.to_uppercase();
        let other = SECRET.replace("4e", "4f");
        for text in ["", &upper, &other, &SECRET[1..], &SECRET[..32], "%", "\\", "\\u", "[redacted]"] {
            assert_eq!(check(&[SECRET], text.as_bytes(), &[]), text.as_bytes());
        }
    }

    #[test]
    fn short_secrets_are_not_looked_for() {
        for (secrets, text) in [(&[][..], "anything \\u0041"), (&["", "1234567"], "1234567 is \\u0031234567%31")] {
            assert!(Echoes::new(secrets).in_text(text).is_none());
            assert_eq!(
                streamed(&Echoes::new(secrets), text.as_bytes(), &[3, 10], |held| assert!(held.is_empty())),
                text.as_bytes()
            );
        }
        assert_eq!(Echoes::new(&["", "1234567", "12345678"]).in_text("0123456789").unwrap(), "0[redacted]9");
    }

    #[test]
    fn the_replacement_completes_no_echo() {
        for (secrets, text, left) in [
            (&["]abcdefgh"][..], "]abcdefghabcdefgh", "(hidden)abcdefgh"),
            (&["redacted"], "[redacted]", "[(hidden)]"),
            (&["ab[redacted]cd", "12345678"], "ab12345678cd", "ab(hidden)cd"),
            (&["abcdefgh[", ")abcdefgh"], ")abcdefgh", "{hidden}"),
        ] {
            assert_eq!(String::from_utf8(check(secrets, text.as_bytes(), &[])).unwrap(), left);
        }
    }

    #[test]
    fn what_is_held_is_bounded_and_a_body_of_beginnings_takes_its_length_not_its_square() {
        let secret = format!("{}zz", "a".repeat(200));
        let echoes = Echoes::new(&[&secret]);
        for unit in ["a", "%61", r"\u0061", "YWFh", r"\u0036\u0031"] {
            let body = unit.repeat(3000);
            let mut stream = echoes.stream();
            let mut out = Vec::new();
            for chunk in body.as_bytes().chunks(97) {
                out.extend_from_slice(&stream.push(&echoes, chunk));
                assert!(stream.held.len() < 12 * secret.len() && stream.threads.len() < 12 * secret.len(), "{unit}");
            }
            out.extend(stream.end(&echoes));
            assert_eq!(out, body.as_bytes());
        }
    }
}
