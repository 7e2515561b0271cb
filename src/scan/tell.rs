//! How a finding is told: where it is, why it is taken for one, and so much of it as may be shown.

use super::checks::{self, Check};
use super::plausible::Kind;
use super::stream::Place;
use super::{Confidence, Found, What};
use crate::crypto::{sha256, to_hex};
use serde::Serialize;

/// Bytes of a line that are shown on either side of a finding.
const EXCERPT: usize = 60;
/// A credential in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule found it: an id of `rules.toml`, `keyward-key`, `generic-secret`, `generic-password`, `encoded-secret`.
    pub rule: &'static str,
    /// Whose credential it is, as far as that is known.
    pub provider: &'static str,
    /// What it is.
    pub name: &'static str,
    /// How sure that is.
    pub confidence: Confidence,
    /// Where it begins: bytes from the beginning of the text (of its UTF-8, where the text is UTF-16), from 0.
    pub offset: u64,
    /// Its bytes.
    pub length: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column of its first character, in Unicode code points, from 1.
    pub column: u32,
    /// Lines that it spans beyond the first.
    pub more_lines: u32,
    /// Column behind its last character.
    pub end_column: u32,
    /// So much of it as may be shown.
    pub redacted: String,
    /// Tells it from other credentials, and does not tell what it is: the beginning of a SHA-256.
    pub fingerprint: String,
    /// The part of its line around it, credentials redacted and control characters replaced.
    pub excerpt: String,
    /// Where the redacted form begins in the excerpt, in code points, and how many it has.
    pub excerpt_at: [u32; 2],
    /// Why it is taken for one.
    pub why: String,
    /// Where its owner revokes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke: Option<&'static str>,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
    /// The id of a key of keyward's own format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The whole, for keys of keyward's own format and only where the scanner was told to keep them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Where a finding stands, and what is shown in its place.
pub(super) struct Span {
    start: usize,
    end: usize,
    /// Up to where nothing is shown: what follows it directly may be the rest of its value.
    covered: usize,
    redacted: String,
}

impl Span {
    /// The spans of findings, in their order.
    pub(super) fn all(found: &[Found], text: &[u8]) -> Vec<Self> {
        let mut to = 0;
        let of = |found: &Found| {
            to = covered(found, text).max(to);
            Self { start: found.start, end: found.end, covered: to, redacted: redacted(found, text) }
        };
        found.iter().map(of).collect()
    }
}

/// How much of a line is looked at for the end of a value.
const MOST_REST: usize = 1_000;

/// Up to where a finding's value may go on, where less of it was taken for it.
fn covered(found: &Found, text: &[u8]) -> usize {
    let Found { start, end, .. } = *found;
    let rest = &text[end..text.len().min(end + MOST_REST)];
    let rest = &rest[..rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len())];
    match &found.what {
        What::Rule { name: None, .. } if text[start..end].starts_with(b"-----") => {
            const END: &[u8] = b"KEY-----";
            end + rest.windows(END.len()).position(|part| part == END).map_or(rest.len(), |place| place + END.len())
        }
        // An `@` that should have been escaped: the last one is what the host stands behind.
        What::Rule { rule, name: None } if rule.pattern.contains("://") && rest.starts_with(b"@") => {
            let is_end = |byte: &u8| *byte <= b' ' || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`');
            let authority = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
            end + authority.iter().rposition(|byte| *byte == b'@').unwrap_or(0)
        }
        What::Own { .. } | What::Rule { name: None, .. } => end,
        _ => end + rest_of_value(&text[..start], &text[start..end], rest),
    }
}

/// How many bytes behind a value may be the rest of it: up to the quote that closes it, or else to a blank; and what is joined to it.
fn rest_of_value(before: &[u8], value: &[u8], rest: &[u8]) -> usize {
    let in_element = before.ends_with(b">") && rest.starts_with(b"</");
    let in_cdata = before.ends_with(b"[CDATA[") && rest.starts_with(b"]]>");
    if in_element || in_cdata || rest.first().is_none_or(|byte| *byte <= b' ') {
        return 0;
    }
    // A blank behind a backslash is one of the value.
    let is_end = |at: &usize| rest[*at] <= b' ' && rest[at - 1] != b'\\';
    let word = (1..rest.len()).find(is_end).unwrap_or(rest.len());
    let Some(quote) = opening(before) else { return word };
    let closes = |at: &usize| {
        let after = &rest[at + quote.len()..];
        let escaped = at.checked_sub(1).map_or(value.last(), |last| rest.get(last)) == Some(&b'\\');
        match quote[0] {
            b'\\' => {
                matches!(after, [] | [..=b' ' | b',' | b';' | b')' | b']' | b'}' | b':' | b'>' | b'\\' | b'"', ..])
            }
            b'&' | b'%' => true,
            _ if escaped => false,
            // Joined to another, or the end of an element.
            _ => {
                joined(after).is_some()
                    || matches!(
                        after,
                        [] | [..=b' ' | b',' | b';' | b')' | b']' | b'}' | b':' | b'>', ..] | [b'/', b'>', ..]
                    )
            }
        }
    };
    let parts = rest.windows(quote.len()).enumerate();
    let Some(mut end) = parts.filter(|(_, part)| *part == quote).map(|(at, _)| at).find(closes) else { return word };
    let mut behind = end + quote.len();
    while let Some(open) = joined(&rest[behind..]).map(|open| behind + open) {
        let is_end = |place: &usize| rest[*place] == rest[open] && rest[place - 1] != b'\\';
        let Some(close) = (open + 1..rest.len()).find(is_end) else { return rest.len() };
        (end, behind) = (close, close + 1);
    }
    end
}

/// Where the quote is that opens another part of a text, behind the one that closed the last: `"a" + "b"`, `"a" . "b"`, `"a" "b"`.
fn joined(behind: &[u8]) -> Option<usize> {
    let blanks = |at: usize| at + behind[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let at = blanks(0);
    let at = blanks(at + usize::from(matches!(behind.get(at), Some(b'+' | b'.'))));
    (at > 0 && matches!(behind.get(at), Some(b'"' | b'\'' | b'`'))).then_some(at)
}

/// The quote in which a value stands that begins behind this, as it is written there.
fn opening(before: &[u8]) -> Option<&[u8]> {
    let line = &before[before.len().saturating_sub(MOST_REST)..];
    let line = &line[line.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1)..];
    if let Some(written) = [&b"&quot;"[..], b"&#34;", b"%22"].into_iter().find(|quote| line.ends_with(quote)) {
        return Some(written);
    }
    let at = line.iter().rposition(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
    // One that stands farther before may have been closed.
    let count = line.iter().filter(|byte| **byte == line[at]).count();
    let slashes = line[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
    (at + 1 == line.len() || count % 2 == 1).then_some(&line[at - slashes..=at])
}

/// So much as tells its owner which it is: the prefix, and two letters of what is long.
fn redacted(found: &Found, text: &[u8]) -> String {
    if let What::Own { redacted, .. } = &found.what {
        return redacted.clone();
    }
    let secret = String::from_utf8_lossy(&text[found.start..found.end]);
    let prefix = match &found.what {
        What::Rule { name: None, .. } if secret.starts_with("-----") => {
            return "-----BEGIN … PRIVATE KEY-----".to_owned();
        }
        // What every credential of its kind begins with.
        What::Rule { rule, .. } => {
            let begins = rule.anchors.iter().filter(|anchor| secret.starts_with(**anchor));
            begins.map(|anchor| anchor.len()).max().unwrap_or(0)
        }
        _ => 0,
    };
    let shown = if secret.len() - prefix >= 16 { 2 } else { 0 };
    let shown: String = secret.chars().take(secret[..prefix].chars().count() + shown).collect();
    format!("{shown}…")
}

/// A finding as it is told.
pub(super) fn told(
    found: &Found,
    number: usize,
    spans: &[Span],
    text: &[u8],
    place: Place,
    offset: u64,
    keep: bool,
) -> Finding {
    let secret = &text[found.start..found.end];
    let (rule, provider, name, confidence, why) = match &found.what {
        What::Own { .. } => (
            "keyward-key",
            "keyward",
            "API key",
            Confidence::High,
            "known by its form, and its check digits agree".to_owned(),
        ),
        What::Rule { rule, name } => {
            let proof = match rule.check {
                Some(Check::GithubCrc32) => ", and its check digits agree",
                Some(Check::Jwt | Check::Base64Json | Check::Macaroon | Check::AzureStorage | Check::Pem) => {
                    ", and it decodes to one"
                }
                _ => "",
            };
            let why = match name {
                None => format!("known by its form{proof}"),
                Some(name) => format!("`{name}` is given a value of this form{proof}"),
            };
            // A web token may be public by design, but hardly one that a secret is set to.
            let confidence = match (rule.check, name) {
                (Some(Check::Jwt), Some(_)) => rule.confidence.max(Confidence::Medium),
                _ => rule.confidence,
            };
            (rule.id, rule.provider, rule.name, confidence, why)
        }
        What::Generic { kind, name } => {
            let bits = checks::entropy(secret);
            let (rule, what, why) = match kind {
                Kind::Random => (
                    "generic-secret",
                    "secret",
                    format!("`{name}` is given a value that looks random ({bits:.1} bits a character)"),
                ),
                Kind::Password => {
                    ("generic-password", "password", format!("`{name}` is given a value that looks like a password"))
                }
                Kind::Encoded => (
                    "encoded-secret",
                    "encoded secret",
                    format!("`{name}` is given base64 of something that looks like a secret"),
                ),
            };
            (rule, "", what, Confidence::Medium, why)
        }
    };
    let of_rule = match &found.what {
        What::Rule { rule, .. } => Some(rule),
        _ => None,
    };
    let key_id = match &found.what {
        What::Own { id, .. } => Some(id.clone()),
        _ => None,
    };
    let mut end = place;
    end.go(text, found.end);
    let (excerpt, excerpt_at) = excerpt(number, spans, text);
    let mut digest = to_hex(&sha256(&[rule.as_bytes(), b"\n", secret].concat()));
    digest.truncate(20);
    Finding {
        rule,
        provider,
        name,
        confidence,
        offset,
        length: secret.len() as u32,
        line: place.line,
        column: place.column + 1,
        more_lines: end.line - place.line,
        end_column: end.column + 1,
        redacted: spans[number].redacted.clone(),
        fingerprint: digest,
        excerpt,
        excerpt_at,
        why,
        revoke: of_rule.and_then(|rule| rule.revoke),
        note: of_rule.and_then(|rule| rule.note),
        secret: (keep && key_id.is_some()).then(|| String::from_utf8_lossy(secret).into_owned()),
        key_id,
    }
}

/// The part of the line around a finding, with every credential in it redacted, wherever it stands there.
fn excerpt(number: usize, spans: &[Span], text: &[u8]) -> (String, [u32; 2]) {
    let Span { start, end, covered, .. } = spans[number];
    let stop = |byte: &u8| *byte == b'\n' || *byte == b'\r';
    let from = text[start.saturating_sub(EXCERPT)..start]
        .iter()
        .rposition(stop)
        .map_or(start.saturating_sub(EXCERPT), |place| start.saturating_sub(EXCERPT) + place + 1);
    let to = text[covered..text.len().min(covered + EXCERPT)]
        .iter()
        .position(stop)
        .map_or(text.len().min(covered + EXCERPT), |place| covered + place);
    // Behind a block of several lines nothing is shown.
    let to = if text[start..end].contains(&b'\n') { end } else { to };
    let mut out = String::new();
    let mut at = from;
    let mut place = [0, 0];
    let first = spans.partition_point(|span| span.covered <= from);
    let around = spans.iter().enumerate().skip(first).take_while(|(_, span)| span.start < to);
    let secrets: Vec<(&[u8], &str)> =
        around.clone().map(|(_, span)| (&text[span.start..span.end], span.redacted.as_str())).collect();
    for (other, Span { start, covered, redacted, .. }) in around {
        if *start > at {
            out.push_str(&without(&text[at..*start], &secrets));
        }
        if other == number {
            place = [out.chars().count() as u32, redacted.chars().count() as u32];
        }
        out.push_str(redacted);
        at = at.max(*covered);
    }
    if at < to {
        out.push_str(&without(&text[at..to], &secrets));
    }
    (out, place)
}

/// So much of a secret is told by nothing that is shown.
const PART: usize = 8;

/// Text with each of the secrets redacted that stands in it once more, where nothing says that it is one; and what the edges of the
/// text leave of it.
fn without(bytes: &[u8], secrets: &[(&[u8], &str)]) -> String {
    let mut out = String::new();
    let mut from = 0;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let hidden = secrets.iter().find_map(|(secret, redacted)| {
            let length = if rest.starts_with(secret) || (rest.len() >= PART && secret.starts_with(rest)) {
                secret.len().min(rest.len())
            } else if at == 0 {
                (PART..secret.len()).rev().find(|length| rest.starts_with(&secret[secret.len() - length..]))?
            } else {
                return None;
            };
            (length > 0).then_some((length, redacted))
        });
        match hidden {
            Some((length, redacted)) => {
                out.push_str(&shown(&bytes[from..at]));
                out.push_str(redacted);
                at += length;
                from = at;
            }
            None => at += 1,
        }
    }
    out.push_str(&shown(&bytes[from..]));
    out
}

/// Text without what a terminal would obey.
fn shown(bytes: &[u8]) -> String {
    let plain = |letter: char| {
        if letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            ' '
        } else {
            letter
        }
    };
    String::from_utf8_lossy(bytes).chars().map(plain).collect()
}
