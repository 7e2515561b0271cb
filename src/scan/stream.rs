//! One text, read in chunks: a window of it is looked at, its end is kept for the next, and what was found is told in order.

use super::tell::{Finding, Span, told};
use super::{Scanner, Syntax, best};
use serde::Serialize;

/// Bytes that are looked at together.
const WINDOW: usize = 1 << 20;
/// What a credential and what belongs to it may have in bytes; a match that is longer is found by its beginning.
const OVERLAP: usize = 16 << 10;
/// What may stand before an anchor and belong to its credential.
const LOOK_BACK: usize = 4 << 10;
/// Findings of one text; what more there is is counted.
const MOST_FINDINGS: usize = 10_000;
/// Bytes that tell text from what is none.
const SNIFFED: usize = 8_000;
/// What allows a finding on its line, or on the next where it stands alone.
const ALLOWED: [&[u8]; 2] = [b"keyward:allow", b"gitleaks:allow"];
/// Why a text was not read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary;

/// What came of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of the text; at most 10 000.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u32,
    /// How many were allowed by a comment.
    pub allowed: u32,
}

/// One text that is read.
pub struct Stream<'s> {
    scanner: &'s Scanner,
    syntax: Syntax,
    buffer: Vec<u8>,
    filled: usize,
    /// Literals before this place of the buffer were looked at.
    from: usize,
    sniffed: bool,
    /// A text in UTF-16, and what of it is not decoded yet.
    wide: Option<Wide>,
    /// Of the buffer's beginning: bytes before it, its line, and the code points of that line before it.
    offset: u64,
    line: u32,
    column: u32,
    findings: Vec<Finding>,
    /// Where the last finding ended, in bytes of the text.
    told_to: u64,
    allowed: u32,
    more: u32,
}

struct Wide {
    big: bool,
    rest: Vec<u8>,
    high: Option<u16>,
}

impl<'s> Stream<'s> {
    pub(super) fn new(scanner: &'s Scanner, path: &str) -> Self {
        Self {
            scanner,
            syntax: Syntax::of(path),
            buffer: scanner.spare.take(),
            filled: 0,
            from: 0,
            sniffed: false,
            wide: None,
            offset: 0,
            line: 1,
            column: 0,
            findings: Vec::new(),
            told_to: 0,
            allowed: 0,
            more: 0,
        }
    }

    /// Reads on.
    ///
    /// # Errors
    /// [`Binary`] where the beginning shows that this is no text.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Binary> {
        while !bytes.is_empty() {
            let room = self.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.take(count)?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Where the next bytes of the text are to be written: never empty.
    pub fn room(&mut self) -> &mut [u8] {
        self.buffer.resize(WINDOW, 0);
        &mut self.buffer[self.filled..]
    }

    /// Takes so many bytes that were written into [`Stream::room`].
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub fn take(&mut self, count: usize) -> Result<(), Binary> {
        let end = (self.filled + count).min(self.buffer.len());
        if self.wide.is_some() {
            let bytes = self.buffer[self.filled..end].to_vec();
            self.widen(&bytes);
            return Ok(());
        }
        self.filled = end;
        if !self.sniffed && self.filled >= SNIFFED {
            self.sniff()?;
        }
        if self.filled == WINDOW {
            self.look(false);
        }
        Ok(())
    }

    /// Everything that was found, at the end of the text.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub fn end(mut self) -> Result<Report, Binary> {
        if !self.sniffed {
            self.sniff()?;
        }
        self.look(true);
        self.scanner.spare.replace(self.buffer);
        Ok(Report { findings: self.findings, more: self.more, allowed: self.allowed })
    }

    /// Tells UTF-16, by its mark or by its zeros, and what is no text at all.
    fn sniff(&mut self) -> Result<(), Binary> {
        self.sniffed = true;
        let head = &self.buffer[..self.filled.min(SNIFFED)];
        let zeros = |odd: usize| {
            head.chunks_exact(2).filter(|pair| pair[odd] == 0 && pair[1 - odd] != 0).count() * 10 > head.len() * 4
        };
        let big = match head {
            [0xff, 0xfe, ..] => false,
            [0xfe, 0xff, ..] => true,
            _ if !head.contains(&0) => return Ok(()),
            _ if zeros(1) => false,
            _ if zeros(0) => true,
            _ => return Err(Binary),
        };
        let bytes = self.buffer[..self.filled].to_vec();
        self.filled = 0;
        self.wide = Some(Wide { big, rest: Vec::new(), high: None });
        self.widen(&bytes);
        Ok(())
    }

    /// Decodes UTF-16 into the buffer; what is none becomes U+FFFD.
    fn widen(&mut self, bytes: &[u8]) {
        let Some(mut wide) = self.wide.take() else { return };
        wide.rest.extend_from_slice(bytes);
        let units = wide.rest.chunks_exact(2).map(|pair| {
            let pair = [pair[0], pair[1]];
            if wide.big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        });
        let mut units: Vec<u16> = wide.high.into_iter().chain(units).collect();
        wide.high = units.pop_if(|unit| (0xd800..0xdc00).contains(unit));
        wide.rest = wide.rest.split_off(wide.rest.len() & !1);
        // The mark of the order is no letter of the text.
        if self.offset == 0 && self.filled == 0 && units.first() == Some(&0xfeff) {
            units.remove(0);
        }
        for letter in char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)) {
            if self.filled + 4 > WINDOW {
                self.look(false);
            }
            self.buffer.resize(WINDOW, 0);
            self.filled += letter.encode_utf8(&mut self.buffer[self.filled..]).len();
        }
        self.wide = Some(wide);
    }

    /// Looks at what the buffer holds and, where more is to come, keeps its end.
    fn look(&mut self, last: bool) {
        let text = &self.buffer[..self.filled];
        let limit = if last { text.len() } else { text.len() - OVERLAP };
        let mut found = Vec::new();
        let scanner = self.scanner;
        scanner.prefilter.find(&text[..text.len().min(limit + OVERLAP / 2)], self.from, |at, literal| {
            if at < limit {
                let (name, uses) = (scanner.prefilter.literal(literal), &scanner.uses[literal]);
                uses.iter().for_each(|of| scanner.look(text, at, name, *of, self.syntax, &mut found));
            }
        });
        let found = best(found);
        let spans = Span::all(&found, text);
        // The mark of the byte order is no letter of the text.
        let mark = if self.offset == 0 && text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut place = Place { at: mark, line: self.line, column: self.column };
        let kept = limit.saturating_sub(LOOK_BACK);
        // The last place that is not behind what is kept: from there, and not from behind it, the beginning of that is counted.
        let mut counted = place;
        for (number, found) in found.iter().enumerate() {
            let offset = self.offset + found.start as u64;
            if offset < self.told_to {
                continue;
            }
            self.told_to = self.offset + found.end as u64;
            place.go(text, found.start);
            if found.start <= kept {
                counted = place;
            }
            if is_allowed(text, found.start, found.end) {
                self.allowed += 1;
            } else if self.findings.len() == MOST_FINDINGS {
                self.more += 1;
            } else {
                self.findings.push(told(found, number, &spans, text, place, offset, scanner.keep));
            }
        }
        if !last {
            counted.go(text, kept);
            (self.line, self.column) = (counted.line, counted.column);
            self.buffer.copy_within(kept..self.filled, 0);
            self.filled -= kept;
            self.offset += kept as u64;
            self.from = limit - kept;
        }
    }
}

/// A place in the buffer, as an editor tells it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) line: u32,
    /// Code points before it in its line.
    pub(super) column: u32,
}

impl Place {
    /// Goes on to `to`; a place that was passed stays.
    pub(super) fn go(&mut self, text: &[u8], to: usize) {
        let Some(passed) = text.get(self.at..to) else { return };
        let lines = passed.iter().filter(|byte| **byte == b'\n').count();
        let tail = passed.iter().rposition(|byte| *byte == b'\n').map_or(passed, |place| &passed[place + 1..]);
        let points = tail.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u32;
        self.column = if lines > 0 { points } else { self.column + points };
        self.line += lines as u32;
        self.at = to;
    }
}

fn is_allowed(text: &[u8], start: usize, end: usize) -> bool {
    let line = text[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let after = text[end..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |place| end + place);
    // A bundle of one line cannot be allowed whole by one word in it.
    let own = &text[line.max(start.saturating_sub(1_000))..after.min(end + 1_000)];
    if mark_in(own).is_some() {
        return true;
    }
    let above = &text[..line.saturating_sub(1)];
    let above = &above[above.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1)..];
    // A comment and nothing else: what stands behind a secret of the line above is meant for that one.
    mark_in(above).is_some_and(|mark| !above[..mark].iter().any(u8::is_ascii_alphanumeric))
}

/// Where a mark begins that allows a finding.
fn mark_in(line: &[u8]) -> Option<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    // A word of its own: `keyward:allowlist` and `keyward:allow-list` are others.
    let stands_alone = |at: usize, end: usize| {
        let more = line.get(end).is_some_and(is_word)
            || line.get(end) == Some(&b'-') && line.get(end + 1).is_some_and(is_word);
        !more && !line[..at].last().is_some_and(is_word)
    };
    let of = |allowed: &&[u8]| {
        let mut parts = line.windows(allowed.len()).enumerate();
        let of = parts.find(|(at, part)| part.eq_ignore_ascii_case(allowed) && stands_alone(*at, at + allowed.len()));
        of.map(|(at, _)| at)
    };
    ALLOWED.iter().filter_map(of).min()
}
