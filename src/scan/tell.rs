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

/// So much as tells its owner which it is: the prefix, and two letters of what is long.
pub(super) fn redacted(found: &Found, text: &[u8]) -> String {
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
    spans: &[(usize, usize, String)],
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
            (rule.id, rule.provider, rule.name, rule.confidence, why)
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
        redacted: spans[number].2.clone(),
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
fn excerpt(number: usize, spans: &[(usize, usize, String)], text: &[u8]) -> (String, [u32; 2]) {
    let (start, end, _) = spans[number];
    let stop = |byte: &u8| *byte == b'\n' || *byte == b'\r';
    let from = text[start.saturating_sub(EXCERPT)..start]
        .iter()
        .rposition(stop)
        .map_or(start.saturating_sub(EXCERPT), |place| start.saturating_sub(EXCERPT) + place + 1);
    let to = text[end..text.len().min(end + EXCERPT)]
        .iter()
        .position(stop)
        .map_or(text.len().min(end + EXCERPT), |place| end + place);
    // Behind a block of several lines nothing is shown.
    let to = if text[start..end].contains(&b'\n') { end } else { to };
    let mut out = String::new();
    let mut at = from;
    let mut place = [0, 0];
    let first = spans.partition_point(|(_, end, _)| *end <= from);
    let around = spans.iter().enumerate().skip(first).take_while(|(_, (start, ..))| *start < to);
    let secrets: Vec<(&[u8], &str)> =
        around.clone().map(|(_, (start, end, redacted))| (&text[*start..*end], redacted.as_str())).collect();
    for (other, (start, end, redacted)) in around {
        if *start > at {
            out.push_str(&without(&text[at..*start], &secrets));
        }
        if other == number {
            place = [out.chars().count() as u32, redacted.chars().count() as u32];
        }
        out.push_str(redacted);
        at = *end;
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
