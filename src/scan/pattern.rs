//! Patterns of credentials: a subset of regular expressions that backtracks over few places, in bounded steps.
//!
//! Literals, `\d \w \s` and escaped punctuation, classes, `(?:a|b)`, one capture, `{n,m} ? * +` (greedy), `(?i)` in front. What it
//! means is what Rust's `regex` crate means by it in ASCII, which a property test holds it to.

/// Steps after which a match is given up: patterns are ours, texts are not.
const MOST_STEPS: u32 = 20_000;
/// Longest unrolled repetition of a group.
const MOST_UNROLLED: u32 = 64;
/// Stands for "without end".
const UNBOUNDED: u32 = u32::MAX;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set([u64; 4]);

impl Set {
    const fn has(self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn add_range(&mut self, from: u8, to: u8) {
        (from..=to).for_each(|byte| self.add(byte));
    }

    fn add_all(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, more)| *own |= more);
    }

    fn of(bytes: &[u8]) -> Self {
        let mut set = Self::default();
        bytes.iter().for_each(|byte| set.add(*byte));
        set
    }

    fn escape(letter: u8) -> Option<Self> {
        let mut set = Self::default();
        match letter {
            b'd' => set.add_range(b'0', b'9'),
            b'w' => set.add_all(word()),
            b's' => set = Self::of(b" \t\n\r\x0b\x0c"),
            b'n' => set.add(b'\n'),
            b'r' => set.add(b'\r'),
            b't' => set.add(b'\t'),
            _ => return None,
        }
        Some(set)
    }

    /// With the other case of each letter.
    fn folded(self) -> Self {
        let mut set = self;
        for byte in (b'a'..=b'z').filter(|byte| self.has(*byte) || self.has(byte.to_ascii_uppercase())) {
            set.add(byte);
            set.add(byte.to_ascii_uppercase());
        }
        set
    }
}

fn word() -> Set {
    let mut set = Set::of(b"_");
    set.add_range(b'0', b'9');
    set.add_range(b'A', b'Z');
    set.add_range(b'a', b'z');
    set
}

enum Tree {
    Set(Set),
    Row(Vec<Tree>),
    Either(Vec<Tree>),
    Repeat(Box<Tree>, u32, u32),
    Capture(Box<Tree>),
}

#[derive(Debug)]
enum Step {
    /// As many bytes of a set as there are, from `min` to `max`.
    Run {
        set: Set,
        min: u32,
        max: u32,
    },
    /// One of these places, the first that leads to an end.
    Either(Vec<usize>),
    Go(usize),
    Save(usize),
    /// The end of the pattern, where no byte of this set may follow.
    End(Set),
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    steps: Vec<Step>,
    captures: bool,
}

/// What a pattern matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) end: usize,
    /// What was captured, or the whole.
    pub(super) secret: (usize, usize),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let (text, fold) = text.strip_prefix("(?i)").map_or((text, false), |rest| (rest, true));
        let mut reader = Reader { text: text.as_bytes(), at: 0, fold, captures: 0 };
        let tree = reader.either()?;
        if reader.at < text.len() {
            return Err(format!("stray `{}` at {}", char::from(reader.text[reader.at]), reader.at));
        }
        let mut pattern = Self { steps: Vec::new(), captures: reader.captures > 0 };
        if reader.captures > 1 {
            return Err("more than one capture".to_owned());
        }
        pattern.emit(&tree)?;
        let mut follow = word();
        for byte in [b'-', b'+', b'/', b'='] {
            if last(&tree).has(byte) && last(&tree) != Set::of(&[byte]) {
                follow.add(byte);
            }
        }
        pattern.steps.push(Step::End(follow));
        Ok(pattern)
    }

    /// Letters that it knows for sure.
    pub(super) fn certain(&self) -> usize {
        let of = |step: &Step| match step {
            Step::Run { set, min, .. } if set.0.iter().map(|bits| bits.count_ones()).sum::<u32>() == 1 => *min as usize,
            _ => 0,
        };
        self.steps.iter().map(of).sum()
    }

    /// Matches at `start` exactly.
    pub(super) fn at(&self, text: &[u8], start: usize) -> Option<Match> {
        let mut run = Run { text, steps: &self.steps, saved: [start, start], left: MOST_STEPS };
        let end = run.go(0, start)?;
        Some(Match { end, secret: if self.captures { run.saved.into() } else { (start, end) } })
    }

    /// Matches all of `text`.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        self.at(text, 0).is_some_and(|found| found.end == text.len())
    }

    fn emit(&mut self, tree: &Tree) -> Result<(), String> {
        match tree {
            Tree::Set(set) => self.steps.push(Step::Run { set: *set, min: 1, max: 1 }),
            Tree::Row(parts) => parts.iter().try_for_each(|part| self.emit(part))?,
            Tree::Either(parts) => {
                let fork = self.steps.len();
                self.steps.push(Step::Go(0));
                let (mut places, mut exits) = (Vec::new(), Vec::new());
                for part in parts {
                    places.push(self.steps.len());
                    self.emit(part)?;
                    exits.push(self.steps.len());
                    self.steps.push(Step::Go(0));
                }
                let end = self.steps.len();
                exits.into_iter().for_each(|exit| self.steps[exit] = Step::Go(end));
                self.steps[fork] = Step::Either(places);
            }
            Tree::Repeat(what, min, max) => match &**what {
                Tree::Set(set) => self.steps.push(Step::Run { set: *set, min: *min, max: *max }),
                what => self.unroll(what, *min, *max)?,
            },
            Tree::Capture(what) => {
                self.steps.push(Step::Save(0));
                self.emit(what)?;
                self.steps.push(Step::Save(1));
            }
        }
        Ok(())
    }

    fn unroll(&mut self, what: &Tree, min: u32, max: u32) -> Result<(), String> {
        if min > MOST_UNROLLED || (max != UNBOUNDED && max > MOST_UNROLLED) {
            return Err(format!("a group repeats more than {MOST_UNROLLED} times"));
        }
        (0..min).try_for_each(|_| self.emit(what))?;
        let mut forks = Vec::new();
        for _ in min..if max == UNBOUNDED { min + 1 } else { max } {
            forks.push(self.steps.len());
            self.steps.push(Step::Go(0));
            self.emit(what)?;
        }
        if max == UNBOUNDED {
            self.steps.push(Step::Go(forks[0]));
        }
        let end = self.steps.len();
        forks.into_iter().for_each(|fork| self.steps[fork] = Step::Either(vec![fork + 1, end]));
        Ok(())
    }
}

/// What the last byte of a match is of, as far as it is known.
fn last(tree: &Tree) -> Set {
    match tree {
        Tree::Set(set) => *set,
        Tree::Row(parts) => {
            // What may be absent lets what stands before it be the last.
            let mut set = Set::default();
            for part in parts.iter().rev() {
                set.add_all(last(part));
                if !matches!(part, Tree::Repeat(_, 0, _)) {
                    break;
                }
            }
            set
        }
        Tree::Either(parts) => parts.iter().map(last).fold(Set::default(), |mut all, set| {
            all.add_all(set);
            all
        }),
        Tree::Repeat(what, ..) | Tree::Capture(what) => last(what),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    fold: bool,
    captures: u32,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, wanted: &[u8]) -> bool {
        let there = self.text[self.at..].starts_with(wanted);
        self.at += if there { wanted.len() } else { 0 };
        there
    }

    fn set(&self, set: Set) -> Tree {
        Tree::Set(if self.fold { set.folded() } else { set })
    }

    fn either(&mut self) -> Result<Tree, String> {
        let mut parts = vec![self.row()?];
        while self.eat(b"|") {
            parts.push(self.row()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::Either(parts) })
    }

    fn row(&mut self) -> Result<Tree, String> {
        let mut parts = Vec::new();
        while self.peek().is_some_and(|byte| byte != b'|' && byte != b')') {
            let part = self.atom()?;
            parts.push(self.repeated(part)?);
        }
        Ok(Tree::Row(parts))
    }

    fn atom(&mut self) -> Result<Tree, String> {
        let byte = self.text[self.at];
        self.at += 1;
        match byte {
            b'(' => {
                let captures = !self.eat(b"?:");
                self.captures += u32::from(captures);
                let inner = self.either()?;
                if !self.eat(b")") {
                    return Err("a group does not end".to_owned());
                }
                Ok(if captures { Tree::Capture(Box::new(inner)) } else { inner })
            }
            b'[' => self.class(),
            b'\\' => {
                let set = self.escaped()?;
                Ok(self.set(set))
            }
            b'*' | b'+' | b'?' | b'{' | b'}' | b']' | b'.' | b'^' | b'$' => {
                Err(format!("`{}` at {} is not of the subset", char::from(byte), self.at - 1))
            }
            _ => Ok(self.set(Set::of(&[byte]))),
        }
    }

    fn escaped(&mut self) -> Result<Set, String> {
        let letter = self.peek().ok_or("a backslash at the end")?;
        self.at += 1;
        match Set::escape(letter) {
            Some(set) => Ok(set),
            None if letter.is_ascii_alphanumeric() => Err(format!("`\\{}` is not of the subset", char::from(letter))),
            None => Ok(Set::of(&[letter])),
        }
    }

    fn class(&mut self) -> Result<Tree, String> {
        let negated = self.eat(b"^");
        let mut set = Set::default();
        loop {
            let byte = self.peek().ok_or("a class does not end")?;
            self.at += 1;
            match byte {
                b']' => break,
                b'\\' => set.add_all(self.escaped()?),
                _ if self.eat(b"-") => {
                    let to = self.peek().filter(|to| *to >= byte && *to != b']').ok_or("a range without an end")?;
                    self.at += 1;
                    set.add_range(byte, to);
                }
                _ => set.add(byte),
            }
        }
        if self.fold {
            set = set.folded();
        }
        Ok(Tree::Set(if negated { Set(set.0.map(|bits| !bits)) } else { set }))
    }

    fn repeated(&mut self, part: Tree) -> Result<Tree, String> {
        let (min, max) = match self.peek() {
            Some(b'?') => (0, 1),
            Some(b'*') => (0, UNBOUNDED),
            Some(b'+') => (1, UNBOUNDED),
            Some(b'{') => {
                let end = self.text[self.at..].iter().position(|b| *b == b'}').ok_or("a count does not end")? + self.at;
                let inner = std::str::from_utf8(&self.text[self.at + 1..end]).map_err(|e| e.to_string())?;
                let number = |text: &str| text.parse::<u32>().map_err(|_| format!("`{{{inner}}}` is no count"));
                self.at = end;
                match inner.split_once(',') {
                    None => (number(inner)?, number(inner)?),
                    Some((min, "")) => (number(min)?, UNBOUNDED),
                    Some((min, max)) => (number(min)?, number(max)?),
                }
            }
            _ => return Ok(part),
        };
        self.at += 1;
        if max < min || matches!(self.peek(), Some(b'?' | b'*' | b'+')) {
            return Err(format!("a repetition at {} is not of the subset", self.at));
        }
        Ok(Tree::Repeat(Box::new(part), min, max))
    }
}

struct Run<'r> {
    text: &'r [u8],
    steps: &'r [Step],
    saved: [usize; 2],
    left: u32,
}

impl Run<'_> {
    fn go(&mut self, mut step: usize, mut at: usize) -> Option<usize> {
        loop {
            self.left = self.left.checked_sub(1)?;
            match &self.steps[step] {
                Step::Run { set, min, max } => {
                    let rest = &self.text[at..];
                    let most = rest.len().min(*max as usize);
                    let count = rest[..most].iter().position(|byte| !set.has(*byte)).unwrap_or(most);
                    if count < *min as usize {
                        return None;
                    }
                    for count in (*min as usize + 1..=count).rev() {
                        if let Some(end) = self.go(step + 1, at + count) {
                            return Some(end);
                        }
                    }
                    at += *min as usize;
                    step += 1;
                }
                Step::Either(places) => {
                    let (rest, others) = places.split_last()?;
                    for place in others {
                        if let Some(end) = self.go(*place, at) {
                            return Some(end);
                        }
                    }
                    step = *rest;
                }
                Step::Go(place) => step = *place,
                Step::Save(which) => {
                    let before = self.saved[*which];
                    self.saved[*which] = at;
                    let end = self.go(step + 1, at);
                    if end.is_none() {
                        self.saved[*which] = before;
                    }
                    return end;
                }
                Step::End(follow) => {
                    return self.text.get(at).is_none_or(|byte| !follow.has(*byte)).then_some(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `regex` finds at the beginning of the text, with what may follow a match written as a class.
    fn reference(pattern: &str, text: &str) -> Option<(usize, (usize, usize))> {
        // Every match must end at the end of the text or before a space: no letter of the texts below is a boundary.
        let regex = regex::bytes::Regex::new(&format!("^(?:{pattern})(?: |$)")).ok()?;
        let found = regex.captures(text.as_bytes())?;
        let whole = found.get(0)?;
        let end = whole.end() - usize::from(whole.as_bytes().ends_with(b" ") && !text[..whole.end()].is_empty());
        let inner = found.get(1).map_or((0, end), |inner| (inner.start(), inner.end()));
        Some((end, inner))
    }

    /// Patterns of the subset, without spaces and signs, so that a match ends where no letter follows.
    fn patterns() -> impl Strategy<Value = String> {
        let atom = prop_oneof![
            "[a-c]",
            Just("[ab]".to_owned()),
            Just("[^c ]".to_owned()),
            Just(r"\d".to_owned()),
            Just("[a-c0-9]".to_owned())
        ];
        let counted =
            (atom, prop_oneof![Just(""), Just("?"), Just("*"), Just("+"), Just("{2}"), Just("{1,3}"), Just("{2,}")]);
        let row = proptest::collection::vec(counted.prop_map(|(atom, count)| atom + count), 1..4)
            .prop_map(|parts| parts.concat());
        (row.clone(), row.clone(), row, any::<bool>(), prop_oneof![Just(""), Just("?"), Just("{1,2}")]).prop_map(
            |(a, b, c, capture, count)| format!("{a}(?:{b}|{c}){count}{}", if capture { "([ab]+)" } else { "" }),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]
        #[test]
        fn patterns_mean_what_they_mean_to_regex(pattern in patterns(), text in "[a-c0-2]{0,10}( [a-c]{0,3})?") {
            let own = Pattern::new(&pattern).expect(&pattern).at(text.as_bytes(), 0);
            prop_assert_eq!(own.map(|found| (found.end, found.secret)), reference(&pattern, &text), "{} in {:?}", pattern, text);
        }

        #[test]
        fn any_text_is_read_or_refused(pattern in r"[a-c\[\](){}?*+|\\\-^0-9,dws]{0,30}", text in "[a-c0-9]{0,40}") {
            if let Ok(pattern) = Pattern::new(&pattern) {
                let _ = pattern.at(text.as_bytes(), 0);
            }
        }
    }

    #[test]
    fn what_explodes_elsewhere_is_given_up() {
        let pattern = Pattern::new("(?:a*a*a*a*a*a*){0,40}b").expect("of the subset");
        assert_eq!(pattern.at(&[b'a'; 4_000], 0), None);
    }

    #[test]
    fn what_is_not_of_the_subset_is_refused() {
        for pattern in [
            "a.b", "^a", "a$", "[a", "(a", "a)", "a{2", "a{x}", "a{3,2}", "a**", "(a)(b)", r"\b", r"\p{L}", "(?i",
            "[b-a]", "a+?",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_match_ends_where_its_letters_end() {
        let pattern = Pattern::new("ab[0-9]{2}").expect("of the subset");
        assert!(pattern.at(b"ab12", 0).is_some() && pattern.at(b"ab12-", 0).is_some());
        assert!(
            pattern.at(b"ab123", 0).is_none() && pattern.at(b"ab12_", 0).is_none() && pattern.at(b"ab12x", 0).is_none()
        );
        let signs = Pattern::new(r"ab[0-9\-]{2}").expect("of the subset");
        assert!(signs.at(b"ab12-", 0).is_none(), "a hyphen is one of its letters");
        let captured = Pattern::new("(?i)KEY=([a-f]{2})").expect("of the subset").at(b"key=Ab;", 0).expect("a match");
        assert_eq!((captured.end, captured.secret), (6, (4, 6)));
    }
}
