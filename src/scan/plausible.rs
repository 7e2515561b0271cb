//! Whether a value that a secret's name is given is one, or a placeholder, a reference, a word, a hash.

use super::checks::{base64, entropy};

/// What stands in values that somebody is to replace, in lower case.
const PLACEHOLDERS: &[&str] = &[
    "your",
    "example",
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "dummy",
    "sample",
    "redacted",
    "replace",
    "insert",
    "todo",
    "fixme",
    "xxxx",
    "****",
    "....",
    "secret_here",
    "key_here",
    "token_here",
    "goes-here",
    "goes_here",
    "foobar",
    "deadbeef",
    "abcdef",
    "123456",
    "qwerty",
    "p@ssw0rd",
    "passw0rd",
    "lorem",
    "notasecret",
    "not-a-secret",
    "not_a_secret",
    "hunter2",
    "fake",
    "mock",
    "<",
    "{{",
    "${",
    "#{",
    "%(",
    "$(",
    "…",
    "undefined",
    "process.env",
    "os.environ",
    "getenv",
    "secretkeyref",
    "vault:",
    "op://",
    "enc[",
    "arn:aws",
    "ssm:",
    "!ref",
];

/// Names that speak of something about a secret, and hold none: how they end, in lower case, without separators.
const NOT_SECRETS: &[&str] = &[
    "type",
    "name",
    "field",
    "label",
    "url",
    "uri",
    "endpoint",
    "path",
    "file",
    "filename",
    "length",
    "len",
    "size",
    "count",
    "limit",
    "ttl",
    "expiry",
    "expires",
    "expiresin",
    "expiration",
    "timeout",
    "policy",
    "regex",
    "pattern",
    "hint",
    "placeholder",
    "title",
    "text",
    "message",
    "error",
    "prefix",
    "suffix",
    "header",
    "headername",
    "param",
    "id",
    "ids",
    "index",
    "hash",
    "digest",
    "checksum",
    "algorithm",
    "alg",
    "format",
    "version",
    "status",
    "state",
    "class",
    "classname",
    "input",
    "form",
    "reset",
    "required",
    "enabled",
    "valid",
    "visible",
    "strength",
    "min",
    "max",
    "description",
    "help",
    "provider",
    "issuer",
    "audience",
    "scope",
    "scopes",
    "location",
    "region",
    "kind",
    "mode",
    "store",
    "storage",
    "storagekey",
    "cookie",
    "cookiename",
    "address",
    "symbol",
    "usage",
    "tokens",
    "contract",
    "standard",
    "icon",
    "selector",
    "testid",
    "ref",
    "arn",
];

/// Names whose values are hashes.
const HASHES: &[&str] = &[
    "sha",
    "md5",
    "hash",
    "digest",
    "checksum",
    "integrity",
    "commit",
    "revision",
    "etag",
    "fingerprint",
    "thumbprint",
    "public",
    "pubkey",
    "csrf",
    "nonce",
    "uuid",
    "guid",
    "cachekey",
    "cache_key",
    "sortkey",
    "primarykey",
    "foreignkey",
    "keyid",
    "key_id",
    "publishable",
];

fn folded(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

/// Whether the name could hold a secret.
pub(super) fn is_secret_name(name: &[u8]) -> bool {
    let lower = folded(name);
    let plain: String = lower.chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
    !NOT_SECRETS.iter().any(|end| plain.ends_with(end)) && !is_hash_name(name)
}

/// Whether the name speaks of a hash, or of what is public.
pub(super) fn is_hash_name(name: &[u8]) -> bool {
    let lower = folded(name);
    HASHES.iter().any(|part| lower.contains(part))
}

/// Whether a value is to be replaced, is taken from elsewhere, or says of itself that it is none.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let lower = folded(value);
    if PLACEHOLDERS.iter().any(|part| lower.contains(part))
        || lower.starts_with('$')
        || lower.starts_with('%')
        || lower.starts_with('@')
    {
        return true;
    }
    // A few letters again and again, or in the order of the alphabet or the digits.
    let distinct = {
        let mut seen = [false; 256];
        value.iter().for_each(|b| seen[usize::from(*b)] = true);
        seen.iter().filter(|s| **s).count()
    };
    let steps = value.windows(2).filter(|pair| pair[1] == pair[0] || pair[1] == pair[0].wrapping_add(1)).count();
    distinct < 5.min(value.len()) || steps * 2 > value.len()
}

/// How a value is made of runs of letters of one kind.
struct Shape {
    letters: usize,
    upper: usize,
    digits: usize,
    others: usize,
    /// Places where one kind of letter follows another.
    turns: usize,
    /// Longest run of letters of the alphabet.
    word: usize,
}

fn shape(value: &[u8]) -> Shape {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let mut shape = Shape { letters: 0, upper: 0, digits: 0, others: 0, turns: 0, word: 0 };
    let mut run = 0;
    for (at, &byte) in value.iter().enumerate() {
        match kind(byte) {
            0 => shape.letters += 1,
            1 => (shape.letters, shape.upper) = (shape.letters + 1, shape.upper + 1),
            2 => shape.digits += 1,
            _ => shape.others += 1,
        }
        run = if byte.is_ascii_alphabetic() { run + 1 } else { 0 };
        shape.word = shape.word.max(run);
        // A capital that begins a word is no turn.
        let turn = at > 0 && kind(value[at - 1]) != kind(byte) && !(kind(value[at - 1]) == 1 && kind(byte) == 0);
        shape.turns += usize::from(turn);
    }
    shape
}

/// How well the letters follow one another as they do in words: the share of pairs that are among the frequent ones of English
/// and of programs. Random letters have about a quarter.
fn wordiness(value: &[u8]) -> f64 {
    // The hundred most frequent pairs or so, of text and of identifiers.
    const PAIRS: &str = "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke ui ap ag ki ck ey ss en ok to us up au ut if af fa ob bo ke do cu ef bi up go av ov ow ub";
    let pairs = value.windows(2).filter(|pair| pair.iter().all(u8::is_ascii_alphabetic));
    let (mut all, mut known) = (0_u32, 0_u32);
    for pair in pairs {
        all += 1;
        let pair = [pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase()];
        known += u32::from(PAIRS.as_bytes().chunks(3).any(|of| of[..2] == pair));
    }
    // Of few pairs, nothing can be said.
    if all * 2 < value.len() as u32 { 0.0 } else { f64::from(known) / f64::from(all) }
}

/// Why a value that a secret's name is given is taken for one, or `None`.
pub(super) fn secret(name: &[u8], value: &[u8], is_literal: bool) -> Option<Kind> {
    if value.len() < 8 || value.len() > 400 || is_placeholder(value) || !value.is_ascii() {
        return None;
    }
    if value.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return None;
    }
    let lower = folded(name);
    let password = ["passw", "pwd", "passphrase", "_pass", "pass"].iter().any(|part| lower.contains(part));
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    if is_uuid(value) || is_date(value) || is_path(value) || is_encrypted(value) {
        return None;
    }
    // What is base64 of text is judged by the text (Kubernetes' secrets).
    if value.len().is_multiple_of(4)
        && value.len() >= 12
        && !hex
        && let Some(inner) =
            base64(value).filter(|inner| inner.iter().all(|b| (b' '..0x7f).contains(b)) && entropy(inner) < 5.5)
    {
        let inner = inner.trim_ascii();
        return (inner.len() >= 8 && !is_placeholder(inner) && !is_words(inner)).then_some(Kind::Encoded);
    }
    let Shape { letters, upper, digits, others, turns, word } = shape(value);
    if !is_literal && (value.contains(&b'(') || is_expression(value)) {
        return None;
    }
    if hex {
        return (value.len() >= 16 && digits > 0 && letters > 0 && entropy(value) > 2.5).then_some(Kind::Random);
    }
    if letters == 0 || is_words(value) {
        return None;
    }
    let bits = entropy(value);
    let mixed = digits > 0 || (upper > 0 && upper < letters) || others > 1;
    let random = turns as f64 >= value.len() as f64 * 0.2 || (digits > 0 && wordiness(value) < 0.45 && word < 14);
    if password {
        // Passwords are short: all that counts is that they are no word with a number behind it.
        return (mixed
            && bits >= 2.7
            && (turns >= 3 || others > 0 || value.len() >= 16)
            && digits + others + upper > 0)
            .then_some(Kind::Password);
    }
    (value.len() >= 12 && mixed && bits >= 3.0 && random && wordiness(value) < 0.62).then_some(Kind::Random)
}

/// Whether the password of an address or a login is one that somebody uses: no placeholder, and no word.
pub(super) fn password(value: &[u8]) -> bool {
    const USUAL: [&str; 22] = [
        "password",
        "passwd",
        "pass",
        "pwd",
        "secret",
        "postgres",
        "mysql",
        "root",
        "admin",
        "user",
        "username",
        "guest",
        "redis",
        "mongo",
        "rabbitmq",
        "test",
        "token",
        "pw",
        "dev",
        "local",
        "default",
        "minioadmin",
    ];
    // `app$DB_PASSWORD`: what a variable holds.
    let variable = value.iter().rposition(|byte| *byte == b'$').map_or(&b""[..], |place| &value[place + 1..]);
    let is_variable = variable.len() >= 2
        && !variable[0].is_ascii_digit()
        && variable.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    value.len() >= 5 && !is_variable && !is_placeholder(value) && !USUAL.contains(&&*folded(value)) && !is_words(value)
}

/// What a generic secret looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Random,
    Password,
    Encoded,
}

/// Words, joined or not, with at most a number: `refresh_token`, `app.auth.token`, `Test1234`.
fn is_words(value: &[u8]) -> bool {
    // The name of a constant.
    if value.contains(&b'_') && value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_') {
        return true;
    }
    let parts: Vec<&[u8]> = value.split(|byte| !byte.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let plain = |part: &&[u8]| {
        let Shape { letters, digits, turns, word, .. } = shape(part);
        let end = part.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |place| place + 1);
        let trailing = part.len() - end;
        // One word, then at most a number behind it.
        let number = digits == 0 || trailing == digits;
        letters == 0 && digits <= 4
            || number
                && digits <= 4
                && (wordiness(part) >= 0.45 || word <= 4 && turns <= 1)
                && turns <= 1 + part.len() / 4
    };
    parts.iter().all(plain)
}

/// An expression of a program and no value: a path of members, a constant.
fn is_expression(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let members = value.split(|byte| *byte == b'.').all(|part| {
        part.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
            && part.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'[' | b'$' | b'?' | b'!'))
    });
    value.contains(&b'[') || value.contains(&b'{') || (members && (value.contains(&b'.') || digits == 0))
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// Begins as a date does (RFC 3339).
fn is_date(value: &[u8]) -> bool {
    let digit = |at: usize| value.get(at).is_some_and(u8::is_ascii_digit);
    [0, 1, 2, 3, 5, 6, 8, 9].into_iter().all(digit) && value[4] == b'-' && value[7] == b'-'
}

/// A file, a folder, an address.
fn is_path(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    let separators = value.iter().filter(|byte| **byte == b'/').count();
    text.contains("://")
        || text.starts_with(['/', '.', '~'])
        || text.starts_with("data:")
        || separators >= 1
            && value.iter().position(|b| *b == b'/').is_some_and(|at| is_words(&value[..at]))
            && !text.ends_with('=')
        || [
            ".js", ".ts", ".json", ".pem", ".key", ".txt", ".com", ".org", ".io", ".local", ".yml", ".yaml", ".html",
            ".png", ".svg",
        ]
        .iter()
        .any(|end| text.ends_with(end))
        || text.contains('@')
            && text.contains('.')
            && !text.contains(['!', '#', '$', '%', '^', '&', '*', '/', '+', '='])
}

/// Hashes of passwords, sealed values, and what is public by design: bcrypt, argon2, scrypt, PHC strings, SRI, Spring's and Jasypt's
/// ciphers, AWS KMS, Mapbox, PostHog.
fn is_encrypted(value: &[u8]) -> bool {
    [
        &b"$2a$"[..],
        b"$2b$",
        b"$2y$",
        b"$argon2",
        b"$scrypt",
        b"$pbkdf2",
        b"$5$",
        b"$6$",
        b"$1$",
        b"pbkdf2_",
        b"sha256-",
        b"sha384-",
        b"sha512-",
        b"sha1-",
        b"sha256=",
        b"sha256:",
        b"sha512:",
        b"{SSHA}",
        b"AgA",
        b"-----BEGIN",
        b"{cipher}",
        b"ENC(",
        b"AQICAH",
        b"pk.eyJ",
        b"phc_",
    ]
    .iter()
    .any(|start| value.starts_with(start))
        // Bitnami's sealed secrets.
        || value.len() > 200 && value.starts_with(b"Ag")
}
