//! Credentials in texts: found in one pass, proven where they carry a proof, never shown whole.
//!
//! A [`Scanner`] is made once; a [`Stream`] reads one text in chunks of any size, in memory that does not grow with it. A literal that
//! every credential of a rule holds is looked for first ([`prefilter`]); only where one stands is more looked at, in this order of
//! trust: keys of keyward's own format, confirmed by their check digits; credentials that are known by their shape ([`RULES`], each
//! with its check); values given to names that speak of a provider; values given to names that speak of a secret, if they look
//! random ([`plausible`]). The rules stand in `rules.toml`, with the examples that test them.

mod checks;
mod context;
pub mod export;
mod pattern;
mod plausible;
mod prefilter;
mod stream;
mod tell;
#[cfg(test)]
mod tests;

use crate::key::KeyText;
use checks::Check;
use context::Assigned;
use pattern::{Match, Pattern};
use plausible::Kind;
use prefilter::Prefilter;
use serde::Serialize;
use std::cell::{OnceCell, RefCell};

pub use stream::{Binary, Report, Stream};
pub use tell::Finding;

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// How far before an anchor a credential begins at most.
const MOST_BEFORE: usize = 200;

/// How far before and behind the line that says of what kind it is a document of Kubernetes is read: no farther than every window
/// reaches.
const DOCUMENT: (usize, usize) = (4 << 10, 16 << 10);

/// Literals in names of secrets.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "_pass",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "access-key",
    "auth_key",
    "authkey",
    "private_key",
    "privatekey",
    "encryption_key",
    "encryptionkey",
    "signing_key",
    "signingkey",
    "master_key",
    "masterkey",
    "account_key",
    "accountkey",
    "shared_key",
    "sharedkey",
    "service_key",
    "session_key",
    "license_key",
    "credential",
    "authorization",
    "\"auth\"",
    "_auth",
    "_key",
    "security_key",
    "webhook_key",
    "client_key",
    "app_key",
    "appkey",
    "salt",
    "identified by",
];
/// Environments that keys of keyward's own format name.
const ENVIRONMENTS: &[&str] = &["_live_", "_test_", "_staging_", "_dev_", "_prod_"];

/// How sure it is that a finding is a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It may be something else.
    Low,
    /// Its shape or its name speak for it.
    Medium,
    /// Its structure leaves little doubt.
    High,
}

/// A kind of credential.
struct Rule {
    id: &'static str,
    provider: &'static str,
    name: &'static str,
    pattern: &'static str,
    anchors: &'static [&'static str],
    keywords: &'static [&'static str],
    check: Option<Check>,
    confidence: Confidence,
    revoke: Option<&'static str>,
    note: Option<&'static str>,
}

impl Rule {
    /// What credentials of a shape begin with, where that is a prefix of four letters or more.
    fn beginnings(&self) -> impl Iterator<Item = &'static str> {
        let prefix = |anchor: &&'static str| {
            anchor.len() >= 4 && self.pattern.starts_with(*anchor) && anchor.ends_with(['_', '-', '.'])
                || *anchor == "AIza"
        };
        self.anchors.iter().copied().filter(prefix)
    }
}

/// What is done where a literal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Own,
    Token(u16),
    Named(u16),
    Generic,
    /// `curl -u name:password`.
    Login,
    /// A document of Kubernetes whose values are encoded.
    Kubernetes,
}

impl Use {
    fn order(self) -> (u8, u16) {
        match self {
            Self::Own => (0, 0),
            Self::Token(number) => (1, number),
            Self::Named(number) => (2, number),
            Self::Generic => (3, 0),
            Self::Login => (4, 0),
            Self::Kubernetes => (5, 0),
        }
    }
}

/// What is expected of a text, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    /// Values without quotes are expressions.
    Code,
    /// Values without quotes are values.
    Config,
    /// Written by programs and full of hashes: only what is known by its shape is looked for.
    Machine,
}

/// The rules, ready to be looked for.
pub struct Scanner {
    prefilter: Prefilter,
    uses: Vec<Vec<Use>>,
    /// Compiled when they are first needed; one that is not of the subset finds nothing, and a test compiles them all.
    patterns: Vec<OnceCell<Option<Pattern>>>,
    /// How credentials begin that leave no doubt.
    shaped: Vec<&'static str>,
    keep: bool,
    /// The buffer of the last text, for the next one.
    spare: RefCell<Vec<u8>>,
}

/// How much a finding says, of those that overlap.
const GENERIC: u8 = 1;
const NAMED: u8 = 2;
const SHAPED: u8 = 3;
const OWN: u8 = 4;

/// A match, before it is told.
struct Found {
    rank: u8,
    start: usize,
    end: usize,
    /// Bytes that speak for it: of its whole match.
    whole: usize,
    /// Letters of it that its rule knows for sure.
    certain: usize,
    what: What,
}

enum What {
    Own { id: String, redacted: String },
    Rule { rule: &'static Rule, name: Option<String> },
    Generic { kind: Kind, name: String },
}

impl Scanner {
    /// A scanner that knows all rules. Keys of keyward's own format are told of whatever brand; of these brands, in whatever
    /// environment. `keep`: whether findings hold such keys whole, for whoever reports them to their deployment.
    pub fn new(brands: &[String], keep: bool) -> Self {
        let mut literals: Vec<(String, Use)> = Vec::new();
        literals.extend(ENVIRONMENTS.iter().map(|environment| ((*environment).to_owned(), Use::Own)));
        literals.extend(brands.iter().map(|brand| (format!("{brand}_"), Use::Own)));
        for (number, rule) in (0_u16..).zip(RULES) {
            literals.extend(rule.anchors.iter().map(|anchor| (anchor.to_ascii_lowercase(), Use::Token(number))));
            literals.extend(rule.keywords.iter().map(|keyword| (keyword.to_ascii_lowercase(), Use::Named(number))));
        }
        literals.extend(SECRETS.iter().map(|keyword| ((*keyword).to_owned(), Use::Generic)));
        literals.extend([" -u ", "--user ", "--user="].map(|option| (option.to_owned(), Use::Login)));
        literals.extend(["kind:", "kind\":"].map(|name| (name.to_owned(), Use::Kubernetes)));
        // `api_key` is written `apiKey`, `api-key` and `api.key`, too.
        let spellings = |(literal, of): &(String, Use)| match of {
            Use::Named(_) | Use::Generic => {
                ["", "-", "."].map(|separator| (literal.replace('_', separator), *of)).to_vec()
            }
            _ => Vec::new(),
        };
        let more: Vec<(String, Use)> = literals
            .iter()
            .filter(|(literal, _)| literal.trim_matches('_').contains('_'))
            .flat_map(spellings)
            .collect();
        literals.extend(more);
        literals.sort_by(|a, b| (&a.0, a.1.order()).cmp(&(&b.0, b.1.order())));
        literals.dedup();
        let mut names: Vec<String> = Vec::new();
        let mut uses: Vec<Vec<Use>> = Vec::new();
        for (literal, of) in literals {
            if names.last() != Some(&literal) {
                names.push(literal);
                uses.push(Vec::new());
            }
            if let Some(last) = uses.last_mut() {
                last.push(of);
            }
        }
        Self {
            prefilter: Prefilter::new(names.iter().map(String::as_bytes)),
            uses,
            patterns: RULES.iter().map(|_| OnceCell::new()).collect(),
            shaped: RULES
                .iter()
                .filter(|rule| rule.confidence == Confidence::High)
                .flat_map(Rule::beginnings)
                .collect(),
            keep,
            spare: RefCell::default(),
        }
    }

    /// Begins to read a text; `path` tells of what kind it is.
    pub fn stream(&self, path: &str) -> Stream<'_> {
        Stream::new(self, path)
    }

    /// All of a text at once.
    ///
    /// # Errors
    /// [`Binary`] for what is no text.
    pub fn scan(&self, path: &str, text: &[u8]) -> Result<Vec<Finding>, Binary> {
        let mut stream = self.stream(path);
        stream.push(text)?;
        stream.end().map(|report| report.findings)
    }

    fn pattern(&self, number: u16) -> Option<&Pattern> {
        let cell = self.patterns.get(usize::from(number))?;
        cell.get_or_init(|| Pattern::new(RULES[usize::from(number)].pattern).ok()).as_ref()
    }

    /// Everything that begins where a literal stands.
    fn look(&self, text: &[u8], at: usize, literal: &[u8], of: Use, syntax: Syntax, found: &mut Vec<Found>) {
        match of {
            Use::Own => found.extend(self.own(text, at)),
            Use::Token(number) => found.extend(self.token(text, at, number)),
            Use::Named(number) => found.extend(self.named(text, at, at + literal.len(), number)),
            Use::Generic if syntax != Syntax::Machine => {
                found.extend(self.generic(text, at, at + literal.len(), syntax))
            }
            Use::Login if syntax != Syntax::Machine => found.extend(login(text, at + literal.len())),
            Use::Kubernetes if is_secret_kind(&text[at + literal.len()..]) => self.kubernetes(text, at, found),
            _ => {}
        }
    }

    /// The values of a Secret of Kubernetes, before and behind the line that says that it is one: base64 of what would be found if
    /// it stood there.
    fn kubernetes(&self, text: &[u8], at: usize, found: &mut Vec<Found>) {
        let farthest = at.saturating_sub(DOCUMENT.0);
        let start = text[farthest..at]
            .windows(4)
            .rposition(|part| part == b"\n---")
            .map_or(farthest, |place| farthest + place + 4);
        let behind = &text[at..text.len().min(at + DOCUMENT.1)];
        let end = behind.windows(4).position(|part| part == b"\n---").map_or(at + behind.len(), |place| at + place);
        let colons = (start..end).filter(|place| text[*place] == b':');
        for (name, value) in colons.filter_map(|colon| encoded(&text[..end], start, colon)) {
            let Some(inner) =
                checks::base64(&text[value.0..value.1]).filter(|inner| inner.len() >= 8 && inner.is_ascii())
            else {
                continue;
            };
            let inner = [&text[name.0..name.1], b": ", &inner].concat();
            let mut within = Vec::new();
            self.prefilter.find(&inner, 0, |at, literal| {
                let uses = self.uses[literal].iter().filter(|of| **of != Use::Kubernetes);
                uses.for_each(|of| {
                    self.look(&inner, at, self.prefilter.literal(literal), *of, Syntax::Config, &mut within)
                });
            });
            found.extend(best(within).into_iter().take(1).map(|inner| Found { start: value.0, end: value.1, ..inner }));
        }
    }

    fn own(&self, text: &[u8], at: usize) -> Option<Found> {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let before = text[..at].iter().rev().take(64).take_while(|byte| is_part(byte)).count();
        let length = text[at..].iter().take(128).take_while(|byte| is_part(byte)).count();
        let run = std::str::from_utf8(&text[at - before..at + length]).ok()?;
        // What is glued in front by an underscore, or an escape, is none of it.
        let starts = run.char_indices().map(|(place, _)| place).filter(|place| {
            *place <= before
                && (*place == 0 || run.as_bytes()[*place - 1] == b'_' || is_boundary(text, at - before + place))
        });
        for start in starts {
            if let Ok(key) = KeyText::parse(&run[start..], None) {
                let what = What::Own { id: key.id.to_owned(), redacted: key.redacted() };
                return Some(Found {
                    rank: OWN,
                    start: at - before + start,
                    end: at + length,
                    whole: length,
                    certain: 0,
                    what,
                });
            }
        }
        None
    }

    fn token(&self, text: &[u8], at: usize, number: u16) -> Option<Found> {
        let (rule, pattern) = (&RULES[usize::from(number)], self.pattern(number)?);
        let farthest = at.saturating_sub(MOST_BEFORE);
        let reach = text[farthest..at]
            .iter()
            .rposition(|byte| *byte <= b' ' || matches!(byte, b'"' | b'\'' | b'`'))
            .map_or(farthest, |place| farthest + place + 1);
        let starts = std::iter::once(at).chain(reach..at);
        for start in starts.filter(|start| is_boundary(text, *start)) {
            let Some(found) = pattern.at(text, start).filter(|found| found.end > at) else { continue };
            let secret = &text[found.secret.0..found.secret.1];
            // In a block of a thousand letters any word may come by chance.
            let good = (secret.len() > 200 || !plausible::is_placeholder(checks::body(secret)))
                && rule.check.is_none_or(|check| check.passes(secret))
                && (!rule.pattern.contains("://") || found.secret == (start, found.end) || plausible::password(secret));
            if good {
                let what = What::Rule { rule, name: None };
                return Some(Found {
                    rank: SHAPED,
                    start: found.secret.0,
                    end: found.secret.1,
                    whole: found.end - start,
                    certain: pattern.certain(),
                    what,
                });
            }
        }
        None
    }

    fn named(&self, text: &[u8], from: usize, to: usize, number: u16) -> Option<Found> {
        let (rule, pattern) = (&RULES[usize::from(number)], self.pattern(number)?);
        let Assigned { name, value, .. } = context::assigned(text, from, to)?;
        let secret = &text[value.0..value.1];
        let good = pattern.is(secret)
            && !plausible::is_placeholder(secret)
            && !plausible::is_hash_name(&text[name.0..name.1])
            && rule.check.is_none_or(|check| check.passes(secret));
        let (name_at, name) = (name.0, String::from_utf8_lossy(&text[name.0..name.1]).into_owned());
        good.then_some(Found {
            rank: NAMED,
            start: value.0,
            end: value.1,
            whole: value.1 - name_at,
            certain: 0,
            what: What::Rule { rule, name: Some(name) },
        })
    }

    /// A web token that a name is given which speaks of a secret, and not of what Supabase calls anonymous and shows to everybody.
    fn web_token(&self, text: &[u8], name: &[u8], start: usize) -> Option<Found> {
        let number = RULES.iter().position(|rule| rule.id == "jwt")?;
        let (rule, pattern) = (&RULES[number], self.pattern(number as u16)?);
        // As long as it is, whatever values have at most.
        let Match { end, .. } = pattern.at(text, start)?;
        let name = String::from_utf8_lossy(name).into_owned();
        let is_public = name.to_ascii_lowercase().contains("anon");
        let good = !is_public && rule.check.is_none_or(|check| check.passes(&text[start..end]));
        // More than the same token without its name, and less than one whose rule knows more of its letters.
        good.then(|| Found {
            rank: SHAPED,
            start,
            end,
            whole: end - start,
            certain: pattern.certain() + 1,
            what: What::Rule { rule, name: Some(name) },
        })
    }

    /// A value that is given to a name that speaks of a secret.
    fn generic(&self, text: &[u8], from: usize, to: usize, syntax: Syntax) -> Option<Found> {
        // `tokenizer` and `secretary` are other words; `tokens`, `tokenValue` and `TOKEN_1` are not.
        let plural = usize::from(matches!(text.get(to)?, b's' | b'S'));
        let next = *text.get(to + plural)?;
        let same_word = match text[to - 1] {
            last if last.is_ascii_lowercase() => next.is_ascii_lowercase(),
            last if last.is_ascii_uppercase() => next.is_ascii_uppercase(),
            _ => false,
        };
        if same_word {
            return None;
        }
        let Assigned { name, value, quoted, listed, .. } = context::assigned(text, from, to)?;
        // `AWS::SecretsManager::Secret` is the name of a kind, not of a value.
        if text[..name.0].ends_with(b"::") {
            return None;
        }
        let (name, secret) = (&text[name.0..name.1], &text[value.0..value.1]);
        let is_literal = quoted || syntax == Syntax::Config;
        if secret.starts_with(b"eyJ") && plausible::is_secret_name(name) {
            return self.web_token(text, name, value.0);
        }
        let kind = plausible::is_secret_name(name).then(|| plausible::secret(name, secret, is_literal)).flatten()?;
        if listed && (kind == Kind::Password || secret.contains(&b'_') || !secret.iter().any(u8::is_ascii_digit)) {
            return None;
        }
        // What begins as a known kind of credential and is none, is none: cut off, or with wrong check digits.
        if self.shaped.iter().any(|begins| secret.starts_with(begins.as_bytes())) {
            return None;
        }
        let name = String::from_utf8_lossy(name).into_owned();
        Some(Found {
            rank: GENERIC,
            start: value.0,
            end: value.1,
            whole: 0,
            certain: 0,
            what: What::Generic { kind, name },
        })
    }
}

/// Whether what is said of a document's kind is that it is a Secret.
fn is_secret_kind(said: &[u8]) -> bool {
    let said = said[..said.len().min(40)].trim_ascii_start();
    let said = said.strip_prefix(b"\"").or_else(|| said.strip_prefix(b"'")).unwrap_or(said);
    said.strip_prefix(b"Secret").is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
}

/// A name and a value that may be base64, on either side of a colon: in YAML or JSON, one to a line or not.
fn encoded(text: &[u8], from: usize, colon: usize) -> Option<((usize, usize), (usize, usize))> {
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let end = colon - usize::from(text[from..colon].last().is_some_and(is_quote));
    let start = end - text[from..end].iter().rev().take_while(|byte| is_name(byte)).count();
    let at = colon + 1 + text[colon + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let quote = text.get(at).filter(|byte| is_quote(byte));
    let at = at + usize::from(quote.is_some());
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let length = text[at..].iter().take_while(|byte| is_letter(byte)).count();
    let next = text.get(at + length);
    let ends = match quote {
        Some(quote) => next == Some(quote),
        None => next.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}')),
    };
    (start < end && length >= 11 && ends).then_some(((start, end), (at, at + length)))
}

/// `name:password` behind an option of curl.
fn login(text: &[u8], at: usize) -> Option<Found> {
    let rest = &text[at..text.len().min(at + 300)];
    let quote = rest.first().filter(|byte| matches!(byte, b'"' | b'\'')).copied();
    let start = usize::from(quote.is_some());
    let end =
        rest[start..].iter().position(|byte| quote.map_or(*byte <= b' ', |quote| *byte == quote || *byte == b'\n'))?
            + start;
    let colon = rest[start..end].iter().position(|byte| *byte == b':')? + start + 1;
    let password = &rest[colon..end];
    let line = text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let curl = text[line..at].windows(4).any(|word| matches!(word, b"curl" | b"wget" | b"http"));
    let what = What::Generic { kind: Kind::Password, name: "the password of a login".to_owned() };
    (curl && plausible::password(password)).then_some(Found {
        rank: GENERIC,
        start: at + colon,
        end: at + end,
        whole: 0,
        certain: 0,
        what,
    })
}

/// Whether a credential may begin here: no letter before it, or one that is part of an escape.
fn is_boundary(text: &[u8], at: usize) -> bool {
    let before = &text[at.saturating_sub(24)..at];
    let is_octal = |byte: u8| matches!(byte, b'0'..=b'7');
    match *before {
        [] => true,
        [.., byte] if !byte.is_ascii_alphanumeric() && byte != b'_' => true,
        [.., b'\\', b'n' | b't' | b'r' | b'0'] => true,
        [.., b'\\', b'x', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [.., b'\\', b'0'..=b'3', high, low] if is_octal(high) && is_octal(low) => true,
        [.., b'm'] => is_colour(before),
        [.., b'\\', b'u', b'0', b'0', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [.., b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    }
}

/// Whether this ends with what makes a terminal change its colour: `ESC [ 1;32 m`, the first written in any way.
fn is_colour(text: &[u8]) -> bool {
    let Some(open) = text.iter().rposition(|byte| *byte == b'[') else { return false };
    let escapes = [&b"\x1b"[..], b"\\e", b"\\x1b", b"\\x1B", b"\\033", b"\\u001b", b"\\u001B"];
    text[open + 1..text.len() - 1].iter().all(|byte| byte.is_ascii_digit() || *byte == b';')
        && escapes.iter().any(|escape| text[..open].ends_with(escape))
}

impl Syntax {
    fn of(path: &str) -> Self {
        const MACHINE: [&str; 14] = [
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "cargo.lock",
            "go.sum",
            "poetry.lock",
            "composer.lock",
            "gemfile.lock",
            "uv.lock",
            "deno.lock",
            "bun.lock",
            "flake.lock",
            "podfile.lock",
        ];
        const CODE: [&str; 28] = [
            "js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "vue", "svelte", "py", "go", "java", "kt", "scala",
            "rb", "php", "rs", "c", "h", "cc", "cpp", "cs", "swift", "dart", "ex", "lua", "map",
        ];
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if MACHINE.contains(&&*name) || ["svg", "css", "ttf", "po", "pot"].contains(&extension) {
            return Self::Machine;
        }
        if CODE.contains(&extension) { Self::Code } else { Self::Config }
    }
}

impl Found {
    /// Whether it says more than another one that it overlaps: of the same letters, a name or a shape, whichever takes in more
    /// around them; else the shape before the name, then the longer one, then the rule with the longer anchor.
    fn beats(&self, other: &Self) -> bool {
        let of = |found: &Self| (found.rank, found.whole, found.certain);
        let same = (self.start, self.end) == (other.start, other.end)
            && self.rank.min(other.rank) == NAMED
            && self.rank.max(other.rank) == SHAPED;
        if same && self.whole != other.whole {
            return self.whole > other.whole;
        }
        of(self) > of(other)
    }
}

/// Of findings that overlap, the ones that say most.
fn best(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| found.start);
    let mut kept: Vec<Found> = Vec::new();
    for next in found {
        match kept.last_mut() {
            Some(last) if next.start < last.end => {
                if next.beats(last) {
                    *last = next;
                }
            }
            _ => kept.push(next),
        }
    }
    kept
}
