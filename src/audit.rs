//! The log that shows tampering: rows that are chained by hash, each vouched for by a code under a root secret's audit
//! key. Rows are written by [`AuditKeys::append`] and judged, page by page, by a [`Checker`].
//!
//! A row's hash is SHA-256 over the label `keyward/log/v1`, the position (8 bytes, big-endian), the hash before (at
//! first 32 zero bytes), the root secret's name (8 hexadecimal digits), the entry's length in bytes (8 bytes,
//! big-endian) and the entry itself. Its code is HMAC-SHA-256 of that hash under the audit key of that root secret. So
//! three things are kept apart:
//!
//! - **Inside the log** nothing can be changed, taken out, put in or moved: the chain no longer fits, and whoever makes
//!   it fit again without an audit key has no code for the new hashes.
//! - **Who vouches.** A hash binds everything before it, so the code of one row vouches for all rows up to it. A root
//!   secret that was retired is no longer needed by the log once one row was written under the current one: codes under
//!   a name that nobody knows any more are passed over where a later row is vouched for. That holds because nothing is
//!   ever appended to a row that is not itself vouched for ([`AuditKeys::append`] refuses), else a forged log would be
//!   made good by the next genuine row. A code that no known key can check proves nothing, so altering that code alone
//!   is not seen; altering anything that it stood for is.
//! - **The end.** A log that was cut, or set back and continued, is whole in itself. Only a [`Head`] that was kept
//!   elsewhere, from a receipt or an export, shows it.

use crate::crypto::{Mac, from_hex, sha256, to_hex};
use crate::root::{Purpose, RootName, RootSecret};
use serde::de::IgnoredAny;
use serde::de::value::{Error as Unread, StrDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use subtle::ConstantTimeEq;

/// Separates a row's hash from any other SHA-256, and this form of the log from later ones.
const LABEL: &[u8] = b"keyward/log/v1";
/// Highest position: the largest whole number that every reader of JSON holds exactly.
pub const MAX_POSITION: u64 = (1 << 53) - 1;

/// How far a log reaches, and the hash that binds all of it: `12-9f86d081…`, the position and 64 hexadecimal digits.
/// That text stands in receipts and exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// Position of the last row, 0 before the first.
    pub position: u64,
    /// Hash of that row.
    pub hash: [u8; 32],
}

impl Head {
    /// The head of a log without rows.
    pub const START: Self = Self { position: 0, hash: [0; 32] };

    /// Reads the text of a head, exactly as it was written; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (position, hash) = text.split_once('-')?;
        let head = Self { position: position.parse().ok()?, hash: code_from_hex(hash)? };
        (head.position <= MAX_POSITION && head.to_string() == text).then_some(head)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position, to_hex(&self.hash))
    }
}

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the head of a log"))
    }
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counts the rows, from 1, without gaps.
    pub position: u64,
    /// What happened: one JSON object on one line, byte for byte as it was stored.
    pub entry: String,
    /// Binds this row and all before it.
    pub hash: [u8; 32],
    /// The root secret whose audit key made the code.
    pub root: RootName,
    /// Vouches for the hash.
    pub mac: [u8; 32],
}

impl Row {
    /// Puts a row together from what is stored of it: the hash, the root secret's name and the code as hexadecimal
    /// digits. `None` where these are not 64, 8 and 64 of them; tell the checker with [`Checker::unreadable`].
    pub fn from_texts(position: u64, entry: String, hash: &str, root: &str, mac: &str) -> Option<Self> {
        let root = RootName::deserialize(StrDeserializer::<Unread>::new(root)).ok()?;
        Some(Self { position, entry, hash: code_from_hex(hash)?, root, mac: code_from_hex(mac)? })
    }

    /// The head of a log that ends with this row.
    pub fn head(&self) -> Head {
        Head { position: self.position, hash: self.hash }
    }

    /// The row as a line of an export, without the line's end:
    /// `{"position":1,"entry":{…},"hash":"…","root":"…","mac":"…"}`. The entry stands in it verbatim: a reader that
    /// parses and writes it again may write other bytes (an escape, a number), which no longer have that hash.
    pub fn line(&self) -> String {
        let (hash, mac) = (to_hex(&self.hash), to_hex(&self.mac));
        format!(
            r#"{{"position":{},"entry":{},"hash":"{hash}","root":"{}","mac":"{mac}"}}"#,
            self.position, self.entry, self.root
        )
    }

    /// Reads a line of an export, exactly as [`Row::line`] writes it; `None` for anything else. What any reader of JSON
    /// takes for the entry is the very text that is checked, since it must be one JSON object by itself.
    pub fn read(line: &str) -> Option<Self> {
        /// Bytes that follow the entry: they do not vary.
        const TAIL: usize = r#","hash":"","root":"","mac":""}"#.len() + 64 + 8 + 64;
        let (rest, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
        let (position, entry) = rest.strip_prefix(r#"{"position":"#)?.split_once(r#","entry":"#)?;
        let (hash, tail) = tail.strip_prefix(r#","hash":""#)?.split_at_checked(64)?;
        let (root, tail) = tail.strip_prefix(r#"","root":""#)?.split_at_checked(8)?;
        let (mac, _) = tail.strip_prefix(r#"","mac":""#)?.split_at_checked(64)?;
        if !(entry.starts_with('{') && entry.ends_with('}'))
            || entry.contains('\n')
            || serde_json::from_str::<IgnoredAny>(entry).is_err()
        {
            return None;
        }
        let row = Self::from_texts(position.parse().ok()?, entry.to_owned(), hash, root, mac)?;
        (row.position <= MAX_POSITION && row.line() == line).then_some(row)
    }
}

fn code_from_hex(text: &str) -> Option<[u8; 32]> {
    from_hex(text)?.as_slice().try_into().ok()
}

/// The hash of the row that follows `head`.
fn hash_after(head: &Head, root: RootName, entry: &str) -> [u8; 32] {
    let length = entry.len() as u64;
    let position = head.position + 1;
    sha256(
        &[
            LABEL,
            &position.to_be_bytes(),
            &head.hash,
            root.to_string().as_bytes(),
            &length.to_be_bytes(),
            entry.as_bytes(),
        ]
        .concat(),
    )
}

struct AuditKey {
    root: RootName,
    mac: Mac,
}

/// What a key has to say about a row.
#[derive(PartialEq, Eq)]
enum Voucher {
    Fits,
    Differs,
    UnknownRoot,
}

/// The audit keys of a deployment: the current root secret's, which writes, and those of retired ones, which still
/// check. Has no `Debug`.
pub struct AuditKeys {
    current: AuditKey,
    retired: Vec<AuditKey>,
}

impl AuditKeys {
    /// Derives the keys, their pads prepared.
    pub fn new<'a>(current: &RootSecret, retired: impl IntoIterator<Item = &'a RootSecret>) -> Self {
        let key = |root: &RootSecret| AuditKey { root: root.name(), mac: Mac::new(&root.subkey(Purpose::Audit)[..]) };
        Self { current: key(current), retired: retired.into_iter().map(key).collect() }
    }

    /// Name of the root secret that rows are written under. Once the last row bears it, the log needs no other.
    pub fn current_name(&self) -> RootName {
        self.current.root
    }

    /// The row that follows `last`, which is `None` only where the log is empty. `entry` is one JSON object on one
    /// line, as `serde_json` writes it, and is stored as it is.
    ///
    /// # Errors
    /// [`Broken`], `FORGED` or `UNAUTHENTICATED`, where no known key vouches for `last`: a genuine row after it would
    /// make good whatever it stands on. A root secret that was dropped before a row was written under its successor
    /// must be given back, as a retired one.
    pub fn append(&self, last: Option<&Row>, entry: &str) -> Result<Row, Broken> {
        if let Some(last) = last {
            match self.voucher(last) {
                Voucher::Fits => {}
                Voucher::Differs => return Err(Broken::forged(last)),
                Voucher::UnknownRoot => return Err(Broken::unauthenticated(last.position)),
            }
        }
        let head = last.map_or(Head::START, Row::head);
        let AuditKey { root, mac } = &self.current;
        let hash = hash_after(&head, *root, entry);
        Ok(Row {
            position: head.position + 1,
            entry: entry.to_owned(),
            hash,
            root: *root,
            mac: mac.code(&[hash.as_slice()]),
        })
    }

    fn voucher(&self, row: &Row) -> Voucher {
        let mut voucher = Voucher::UnknownRoot;
        // Names are four bytes: two root secrets may share one.
        for key in std::iter::once(&self.current).chain(&self.retired).filter(|key| key.root == row.root) {
            if key.mac.code(&[row.hash.as_slice()])[..].ct_eq(&row.mac[..]).into() {
                return Voucher::Fits;
            }
            voucher = Voucher::Differs;
        }
        voucher
    }
}

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Problem {
    /// A position was passed over: a row was removed or moved.
    Gap,
    /// A position came again: a row was put in or moved.
    Repeat,
    /// What is stored of the row, or the line, is no row.
    Unreadable,
    /// The hash does not fit the row and what stands before it: one of them was altered.
    Altered,
    /// The code was not made with the audit key whose name the row bears.
    Forged,
    /// From here to the end no code is under a known root secret.
    Unauthenticated,
    /// A head that was kept is of another row at this position: the log was set back and went on differently.
    Forked,
    /// A head that was kept lies beyond the last row: the end was cut off.
    Cut,
}

impl Problem {
    /// Stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Gap => "GAP",
            Self::Repeat => "REPEAT",
            Self::Unreadable => "UNREADABLE",
            Self::Altered => "ALTERED",
            Self::Forged => "FORGED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forked => "FORKED",
            Self::Cut => "CUT",
        }
    }
}

/// Where a log is not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Position of the first row that is not right, is missing, or has nobody who vouches for it.
    pub position: u64,
    /// What is wrong there.
    pub what: Problem,
    /// The same for a human: one sentence.
    pub detail: String,
}

impl Broken {
    fn new(position: u64, what: Problem, detail: String) -> Self {
        Self { position, what, detail }
    }

    fn forged(row: &Row) -> Self {
        let detail = format!(
            "the code of row {} was not made with the audit key of root secret {}, whose name it bears",
            row.position, row.root
        );
        Self::new(row.position, Problem::Forged, detail)
    }

    fn unauthenticated(position: u64) -> Self {
        let detail = format!(
            "from row {position} on no code is under a known root secret: one was dropped too early, or they are forged"
        );
        Self::new(position, Problem::Unauthenticated, detail)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what.code(), self.detail)
    }
}

impl std::error::Error for Broken {}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether every row is there, as it was written, vouched for, and every kept head among them.
    pub whole: bool,
    /// Rows checked, up to the first problem.
    pub rows: u64,
    /// Position up to which a known key vouches for every row; 0 where for none.
    pub authenticated: u64,
    /// The head after the rows checked.
    pub head: Head,
    /// The first problem.
    pub problem: Option<Broken>,
}

/// Judges a log whose rows are given in order, in pages of any size; remembers nothing but how far it came.
pub struct Checker<'k> {
    keys: &'k AuditKeys,
    head: Head,
    authenticated: u64,
    /// Heads that are still to be met: few, and in any order.
    kept: Vec<Head>,
    problem: Option<Broken>,
}

impl<'k> Checker<'k> {
    /// A check from the first row on. `kept` are the heads that must be met on the way, in any order: the one stored
    /// beside the log and those kept from receipts and exports.
    pub fn new(keys: &'k AuditKeys, kept: impl IntoIterator<Item = Head>) -> Self {
        let kept = kept.into_iter().collect();
        let mut checker = Self { keys, head: Head::START, authenticated: 0, kept, problem: None };
        checker.problem = checker.meet().err();
        checker
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// [`Broken`], the first problem, now and whenever asked again: there is no need to go on.
    pub fn take(&mut self, row: &Row) -> Result<(), Broken> {
        self.go_on(|checker| checker.judge(row))
    }

    /// Takes the next line of an export, without the line's end.
    ///
    /// # Errors
    /// As [`Checker::take`]; `UNREADABLE` where it is not exactly as it was exported.
    pub fn take_line(&mut self, line: &str) -> Result<(), Broken> {
        match Row::read(line) {
            Some(row) => self.take(&row),
            None => self.unreadable(),
        }
    }

    /// Takes note that what is stored of the next row is no row.
    ///
    /// # Errors
    /// Always: as [`Checker::take`].
    pub fn unreadable(&mut self) -> Result<(), Broken> {
        self.go_on(|checker| {
            let position = checker.head.position + 1;
            Err(Broken::new(position, Problem::Unreadable, format!("what stands for row {position} cannot be read")))
        })
    }

    /// The end of the log.
    pub fn end(self) -> Report {
        let Head { position: last, .. } = self.head;
        let problem = self
            .problem
            .or_else(|| {
                let kept = self.kept.iter().min()?;
                let detail = format!("row {} was kept as the head {kept}, but the last row is {last}", kept.position);
                Some(Broken::new(last + 1, Problem::Cut, detail))
            })
            .or_else(|| (self.authenticated < last).then(|| Broken::unauthenticated(self.authenticated + 1)));
        Report { whole: problem.is_none(), rows: last, authenticated: self.authenticated, head: self.head, problem }
    }

    fn go_on(&mut self, step: impl FnOnce(&mut Self) -> Result<(), Broken>) -> Result<(), Broken> {
        if self.problem.is_none() {
            self.problem = step(self).err();
        }
        self.problem.clone().map_or(Ok(()), Err)
    }

    fn judge(&mut self, row: &Row) -> Result<(), Broken> {
        let next = self.head.position + 1;
        if row.position > next {
            let detail = format!("row {next} is missing: after row {} comes row {}", next - 1, row.position);
            return Err(Broken::new(next, Problem::Gap, detail));
        }
        if row.position < next {
            let detail = format!("row {} stands where row {next} should: put in or moved", row.position);
            return Err(Broken::new(next, Problem::Repeat, detail));
        }
        if row.hash != hash_after(&self.head, row.root, &row.entry) {
            let detail = format!("row {next} does not have the hash of what it says after the rows before it");
            return Err(Broken::new(next, Problem::Altered, detail));
        }
        let voucher = self.keys.voucher(row);
        if voucher == Voucher::Differs {
            return Err(Broken::forged(row));
        }
        self.head = row.head();
        if voucher == Voucher::Fits {
            self.authenticated = next;
        }
        self.meet()
    }

    /// Compares the kept heads that lie here.
    fn meet(&mut self) -> Result<(), Broken> {
        while let Some(at) = self.kept.iter().position(|kept| kept.position == self.head.position) {
            let kept = self.kept.swap_remove(at);
            if kept != self.head {
                let detail = format!("the head {kept} was kept, but the log reads {} there", self.head);
                return Err(Broken::new(kept.position, Problem::Forked, detail));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;

    fn root(byte: u8) -> RootSecret {
        RootSecret::from_hex(&to_hex(&[byte; 32])).unwrap()
    }

    /// The keys while root secret 1 was the only one, after it was retired for 2, and after it was dropped.
    fn before() -> AuditKeys {
        AuditKeys::new(&root(1), [])
    }

    fn during() -> AuditKeys {
        AuditKeys::new(&root(2), [&root(1)])
    }

    fn after() -> AuditKeys {
        AuditKeys::new(&root(2), [])
    }

    fn extend(rows: &mut Vec<Row>, keys: &AuditKeys, entries: &[String]) {
        for entry in entries {
            let row = keys.append(rows.last(), entry).unwrap();
            rows.push(row);
        }
    }

    /// A log of which `rotated` rows were written before the root secret was rotated.
    fn log(entries: &[String], rotated: usize) -> Vec<Row> {
        let (first, second) = entries.split_at(rotated.min(entries.len()));
        let mut rows = vec![];
        extend(&mut rows, &before(), first);
        extend(&mut rows, &during(), second);
        rows
    }

    fn check(keys: &AuditKeys, rows: &[Row], kept: &[Head]) -> Report {
        let mut checker = Checker::new(keys, kept.iter().copied());
        rows.iter().try_for_each(|row| checker.take(row)).ok();
        checker.end()
    }

    fn found(report: &Report) -> Option<(u64, Problem)> {
        assert_eq!(report.whole, report.problem.is_none());
        report.problem.as_ref().map(|broken| (broken.position, broken.what))
    }

    fn entries(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| serde_json::json!({ "kind": text }).to_string()).collect()
    }

    fn five() -> Vec<Row> {
        log(&entries(&["a", "b", "c", "d", "e"]), 3)
    }

    fn some_entries(least: usize) -> impl Strategy<Value = Vec<String>> {
        let entry = any::<(String, u32)>().prop_map(|(text, n)| serde_json::json!({"text": text, "n": n}).to_string());
        proptest::collection::vec(entry, least..12)
    }

    #[derive(Clone, Debug)]
    enum Field {
        Position(u64),
        Entry(String),
        Character(Index),
        Hash(usize),
        Root(u8),
        Mac(usize),
    }

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![
            any::<u64>().prop_map(Field::Position),
            any::<String>().prop_map(Field::Entry),
            any::<Index>().prop_map(Field::Character),
            (0..256usize).prop_map(Field::Hash),
            any::<u8>().prop_map(Field::Root),
            (0..256usize).prop_map(Field::Mac),
        ]
    }

    fn alter(row: &mut Row, field: &Field) {
        match field {
            Field::Position(position) => row.position = *position,
            Field::Entry(entry) => row.entry.clone_from(entry),
            Field::Character(index) => {
                let at = index.index(row.entry.chars().count());
                row.entry = row.entry.chars().enumerate().map(|(i, c)| if i == at { '~' } else { c }).collect();
            }
            Field::Hash(bit) => row.hash[bit / 8] ^= 1 << (bit % 8),
            Field::Root(byte) => row.root = root(*byte).name(),
            Field::Mac(bit) => row.mac[bit / 8] ^= 1 << (bit % 8),
        }
    }

    /// What somebody with the store, but without an audit key, can do at best: alter an entry and make the chain fit.
    fn rewrite(rows: &mut [Row], from: usize, entry: &str, code: impl Fn(&mut Row)) {
        rows[from].entry = entry.to_owned();
        let mut head = if from == 0 { Head::START } else { rows[from - 1].head() };
        for row in &mut rows[from..] {
            code(row);
            row.hash = hash_after(&head, row.root, &row.entry);
            head = row.head();
        }
    }

    proptest! {
        #[test]
        fn an_untouched_log_is_whole_across_a_rotation_and_after_it(
            entries in some_entries(0), rotated in any::<Index>(),
            kept in proptest::collection::vec(any::<Index>(), 0..4),
        ) {
            let rotated = rotated.index(entries.len() + 1);
            let rows = log(&entries, rotated);
            let heads: Vec<Head> = std::iter::once(Head::START).chain(rows.iter().map(Row::head)).collect();
            let kept: Vec<Head> = kept.iter().map(|index| *index.get(&heads)).collect();
            let (last, count) = (*heads.last().unwrap(), rows.len() as u64);
            let whole = Report { whole: true, rows: count, authenticated: count, head: last, problem: None };
            prop_assert_eq!(&check(&during(), &rows, &kept), &whole);
            let dropped = check(&after(), &rows, &kept);
            if rotated < rows.len() || rows.is_empty() {
                prop_assert_eq!(&dropped, &whole);
            } else {
                prop_assert_eq!(found(&dropped), Some((1, Problem::Unauthenticated)));
            }
        }

        #[test]
        fn an_exported_log_is_checked_line_by_line(entries in some_entries(0), rotated in 0..12usize) {
            let rows = log(&entries, rotated);
            let keys = during();
            let mut checker = Checker::new(&keys, rows.last().map(Row::head));
            for row in &rows {
                let line = row.line();
                prop_assert!(!line.contains('\n'));
                let json: serde_json::Value = serde_json::from_str(&line).unwrap();
                prop_assert_eq!(json["entry"].to_string(), &row.entry[..]);
                prop_assert_eq!(Row::read(&line), Some(row.clone()));
                prop_assert_eq!(checker.take_line(&line), Ok(()));
            }
            prop_assert!(checker.end().whole);
        }

        #[test]
        fn any_altered_field_is_found(
            entries in some_entries(1), rotated in 0..12usize, at in any::<Index>(), field in field(),
        ) {
            let rows = log(&entries, rotated);
            let mut altered = rows.clone();
            let at = at.index(rows.len());
            alter(&mut altered[at], &field);
            prop_assume!(altered != rows);
            prop_assert!(!check(&during(), &altered, &[]).whole);
            // A code that nobody can check any more is the one thing that proves nothing.
            let proves_nothing = matches!(field, Field::Mac(_)) && at < rotated && rotated < rows.len();
            prop_assert_eq!(check(&after(), &altered, &[]).whole, proves_nothing);
        }

        #[test]
        fn a_row_removed_put_in_or_moved_is_found(
            entries in some_entries(2), rotated in 0..12usize, a in any::<Index>(), b in any::<Index>(),
        ) {
            let rows = log(&entries, rotated);
            let kept = [rows.last().unwrap().head()];
            let (a, b) = (a.index(rows.len()), b.index(rows.len()));
            let mut removed = rows.clone();
            removed.remove(a);
            prop_assert!(!check(&during(), &removed, &kept).whole);
            prop_assert_eq!(check(&during(), &removed, &[]).whole, a + 1 == rows.len(), "its end only heads know");
            let mut repeated = rows.clone();
            repeated.insert(b, rows[a].clone());
            prop_assert!(!check(&during(), &repeated, &[]).whole);
            let mut swapped = rows.clone();
            swapped.swap(a, b);
            prop_assert_eq!(check(&during(), &swapped, &[]).whole, a == b);
        }

        #[test]
        fn a_cut_end_is_found_by_any_head_that_was_kept_beyond_it(
            entries in some_entries(1), rotated in 0..12usize, cut in any::<Index>(), kept in any::<Index>(),
        ) {
            let rows = log(&entries, rotated);
            let cut = cut.index(rows.len());
            let head = rows[cut + kept.index(rows.len() - cut)].head();
            prop_assert_eq!(found(&check(&during(), &rows[..cut], &[head])), Some((cut as u64 + 1, Problem::Cut)));
        }

        #[test]
        fn a_chain_made_to_fit_without_an_audit_key_is_found(
            entries in some_entries(1), rotated in 0..12usize, from in any::<Index>(), entry in any::<String>(),
            other in 3u8..,
        ) {
            let rows = log(&entries, rotated);
            let from = from.index(rows.len());
            prop_assume!(rows[from].entry != entry);
            let guess = Mac::new(&root(other).subkey(Purpose::Audit)[..]);
            // With the codes as they were, with codes of another key, under a name that nobody knows.
            let attempts: [&dyn Fn(&mut Row); 2] = [&|_| {}, &|row| row.root = root(other).name()];
            for attempt in attempts {
                let mut forged = rows.clone();
                rewrite(&mut forged, from, &entry, attempt);
                let first = from as u64 + 1;
                for _ in 0..2 {
                    let report = check(&during(), &forged, &[]);
                    prop_assert_eq!(found(&report).map(|(position, _)| position), Some(first));
                    prop_assert_eq!(report.authenticated, first - 1);
                    prop_assert!(!check(&after(), &forged, &[]).whole);
                    // Nor does the next genuine row make it good: it is not written.
                    let next = during().append(forged.last(), &entry);
                    prop_assert!(next.is_err());
                    forged[from..].iter_mut().for_each(|row| row.mac = guess.code(&[row.hash.as_slice()]));
                }
            }
        }

        #[test]
        fn no_text_makes_the_readers_panic(
            text in ".{0,300}", line in r#"\{"position":[0-9]{0,3},"entry":.{0,200}"\}"#,
        ) {
            let _ = (Head::parse(&text), Row::read(&text), Row::read(&line));
            let row = Row::from_texts(1, text.clone(), &text, &text, &text);
            prop_assert_eq!(row, None);
        }
    }

    /// Computed by another implementation (Python's hashlib and hmac).
    const FIRST: &str = r#"{"position":1,"entry":{"kind":"a"},"hash":"ae4233973183600bc4281251b4b56989d28a0397482a1a5a6001dff15608817f","root":"fb6af3e7","mac":"17ee279eeacc462ff6a222e3a71d779e05b15930e37623d21e5d4f55385c5a40"}"#;
    const SECOND: &str = r#"{"position":2,"entry":{"kind":"b"},"hash":"ef5c96d644c7238cb8ef01d1dbc4527d2103a343b700d7c1b6822a7a2ccbd73a","root":"16ba935e","mac":"66a907f03b434e31def4d568ea922237e134350df90eec008665adf6a566fe00"}"#;

    #[test]
    fn the_stored_form_is_what_it_was() {
        let rows = log(&entries(&["a", "b"]), 1);
        let lines = [FIRST, SECOND];
        assert_eq!(rows.iter().map(Row::line).collect::<Vec<_>>(), lines);
        let head = rows[1].head();
        assert_eq!(serde_json::to_value(head).unwrap(), head.to_string());
        assert_eq!(Head::parse(&head.to_string()), Some(head));
        let report = check(&during(), &rows[..1], &[]);
        let head = rows[0].head();
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            format!(r#"{{"whole":true,"rows":1,"authenticated":1,"head":"{head}","problem":null}}"#)
        );
    }

    #[test]
    fn each_kind_of_damage_has_its_code_and_its_position() {
        let rows = five();
        let keys = during();
        let with = |change: &dyn Fn(&mut Vec<Row>)| {
            let mut rows = rows.clone();
            change(&mut rows);
            found(&check(&keys, &rows, &[]))
        };
        assert_eq!(with(&|_| {}), None);
        assert_eq!(with(&|rows| drop(rows.remove(2))), Some((3, Problem::Gap)));
        assert_eq!(with(&|rows| rows.insert(2, rows[1].clone())), Some((3, Problem::Repeat)));
        assert_eq!(with(&|rows| rows.swap(1, 2)), Some((2, Problem::Gap)));
        assert_eq!(with(&|rows| rows[1].entry.push(' ')), Some((2, Problem::Altered)));
        assert_eq!(with(&|rows| rows[1].root = root(9).name()), Some((2, Problem::Altered)));
        assert_eq!(with(&|rows| rows[1].mac[0] ^= 1), Some((2, Problem::Forged)));
        assert_eq!(with(&|rows| rewrite(rows, 1, "{}", |row| row.root = root(9).name())), {
            Some((2, Problem::Unauthenticated))
        });
        assert_eq!(found(&check(&keys, &rows[..3], &[rows[4].head()])), Some((4, Problem::Cut)));
        let mut checker = Checker::new(&keys, []);
        assert_eq!(checker.take(&rows[0]), Ok(()));
        let broken = checker.take_line(&rows[1].line().replace(r#","entry""#, r#", "entry""#)).unwrap_err();
        assert_eq!((broken.position, broken.what), (2, Problem::Unreadable));
        assert_eq!(checker.take(&rows[1]), Err(broken), "the first problem stays");
        assert_eq!(serde_json::to_value(Problem::Forked).unwrap(), Problem::Forked.code());
    }

    #[test]
    fn a_log_that_was_set_back_and_went_on_is_found_by_a_kept_head() {
        let rows = five();
        let mut other = rows[..3].to_vec();
        extend(&mut other, &during(), &entries(&["x", "y", "z"]));
        assert!(check(&during(), &other, &[rows[2].head()]).whole);
        assert_eq!(found(&check(&during(), &other, &[rows[4].head()])), Some((5, Problem::Forked)));
        assert_eq!(found(&check(&during(), &[], &[rows[0].head()])), Some((1, Problem::Cut)));
        let nowhere = Head { position: 0, hash: [1; 32] };
        assert_eq!(found(&check(&during(), &rows, &[nowhere])), Some((0, Problem::Forked)));
    }

    #[test]
    fn a_root_secret_dropped_too_early_stops_the_log_until_it_is_given_back() {
        let mut rows = log(&entries(&["a", "b"]), 2);
        assert_eq!(found(&check(&after(), &rows, &[])), Some((1, Problem::Unauthenticated)));
        assert_eq!(after().append(rows.last(), "{}").unwrap_err().what, Problem::Unauthenticated);
        extend(&mut rows, &during(), &entries(&["c"]));
        assert_eq!(rows[2].root, during().current_name());
        extend(&mut rows, &after(), &entries(&["d"]));
        assert!(check(&after(), &rows, &[]).whole);
        assert_eq!(found(&check(&before(), &rows, &[])), Some((3, Problem::Unauthenticated)));
        rows[3].mac[31] ^= 1;
        assert_eq!(after().append(rows.last(), "{}").unwrap_err().what, Problem::Forged);
    }

    #[test]
    fn a_line_is_read_only_as_it_was_written() {
        let line = five()[0].line();
        for (from, to) in [
            (r#""position":1"#, r#""position":01"#),
            (r#""position":1"#, r#""position":+1"#),
            (r#""position":1"#, r#""position":9007199254740992"#),
            (r#"{"kind":"a"}"#, r#"{"kind":"a"}, "entry":{}"#),
            (r#"{"kind":"a"}"#, r#"{"kind":"a"},"hash":"","entry":{}"#),
            (r#"{"kind":"a"}"#, r#"["a"]"#),
            (r#"{"kind":"a"}"#, r#"{"kind":"a"#),
            (r#"{"kind":"a"}"#, "{\"kind\":\n\"a\"}"),
            (r#""mac":""#, r#""mac":"é"#),
            (r#""}"#, r#""} "#),
        ] {
            let changed = line.replacen(from, to, 1);
            assert_ne!(changed, line);
            assert_eq!(Row::read(&changed), None, "{changed}");
        }
        let capital = line[..line.len() - 66].to_owned() + &line[line.len() - 66..].to_uppercase();
        assert_eq!(Row::read(&capital), None);
    }

    #[test]
    fn only_the_text_of_a_head_is_a_head() {
        let zeros = "0".repeat(64);
        assert_eq!(Head::parse(&format!("0-{zeros}")), Some(Head::START));
        assert_eq!(Head::parse(&format!("{MAX_POSITION}-{zeros}")).map(|head| head.position), Some(MAX_POSITION));
        for bad in [
            String::new(),
            zeros.clone(),
            format!("-{zeros}"),
            format!("00-{zeros}"),
            format!("+1-{zeros}"),
            format!("1-{zeros}0"),
            format!("1-{}A", &zeros[1..]),
            format!("{}-{zeros}", MAX_POSITION + 1),
        ] {
            assert_eq!(Head::parse(&bad), None, "{bad}");
        }
    }
}
