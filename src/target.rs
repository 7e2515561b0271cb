//! What a relayed call asks for: route, path and query, taken from the request target as it was sent (RFC 9112 §3.2).
//! Whatever two readers could understand differently is refused and not repaired, so that the path that was judged is the
//! path that the upstream sees.

use crate::error::Invalid;

/// What stands before the name of the route.
const PREFIX: &str = "/r/";
/// Longest path and query, in bytes.
const MAX_LENGTH: usize = 8_192;
const AMBIGUOUS: &str = "holds what servers read differently: no `//`, `\\`, `;`, `.` or `..` as a segment, and no escapes of \
                         those, of letters, digits, `-`, `.`, `_`, `~`, `%`, `/` or control characters";

/// A call to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Name of the route.
    pub route: &'a str,
    /// The path below it, from its slash.
    pub path: &'a str,
    /// What stands after the question mark.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads path and query as they were sent.
    ///
    /// # Errors
    /// [`Invalid`] where they are ambiguous, or too long.
    pub fn read(target: &'a str) -> Result<Self, Invalid> {
        if target.len() > MAX_LENGTH {
            return Err(Invalid::new("", format!("the path and query are longer than {MAX_LENGTH} bytes")));
        }
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        if !is_plain_path(path) {
            return Err(Invalid::new("", format!("the path {AMBIGUOUS}")));
        }
        if query.is_some_and(|query| !query.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Invalid::new("", "the query holds what must be percent-escaped"));
        }
        let rest = path.strip_prefix(PREFIX).unwrap_or_default();
        let (route, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Ok(Self { route, path: if path.is_empty() { "/" } else { path }, query })
    }
}

/// Whether a path has one reading only: an absolute one, of the characters of RFC 3986 §3.3 less `;`, in which nothing is
/// escaped that need not be and no segment is empty (but the last) or made of dots.
pub fn is_plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if (segment.is_empty() && !is_last) || segment == "." || segment == ".." || !is_plain_segment(segment) {
            return false;
        }
    }
    true
}

fn is_plain_segment(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => must_be_escaped((high * 16 + low) as u8),
                    _ => false,
                }
            }
            _ => is_unreserved(byte) || b"!$&'()*+,=:@".contains(&byte),
        };
        if !plain {
            return false;
        }
    }
    true
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether an escape of this byte means one thing to everybody: it is neither one that needs none (RFC 3986 §6.2.2.2) nor
/// one that some servers take for structure.
fn must_be_escaped(byte: u8) -> bool {
    !(is_unreserved(byte) || byte < b' ' || byte == 0x7f || b"/\\;%".contains(&byte))
}

/// The query without the parameters of this name, in whatever spelling: decoded, and in any case.
pub fn without_parameter(query: &str, name: &str) -> String {
    let kept = query.split('&').filter(|pair| {
        let written = pair.split('=').next().unwrap_or_default();
        !decoded(written).trim().eq_ignore_ascii_case(name)
    });
    kept.collect::<Vec<_>>().join("&")
}

/// A form-encoded text, decoded as far as it can be; bytes that are no UTF-8 become U+FFFD.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = match tail {
            [a, b, ..] if *first == b'%' => char::from(*a).to_digit(16).zip(char::from(*b).to_digit(16)),
            _ => None,
        };
        rest = match hex {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                &tail[2..]
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `text` as a value of a query: everything but unreserved characters is escaped (RFC 3986 §2.1).
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match is_unreserved(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A pattern of paths: segments that must be equal, `*` for any one, and a last `**` for whatever follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let segments = || text.split('/').skip(1);
        let last = segments().count();
        let stars = segments().enumerate().all(|(i, segment)| match segment {
            "*" => true,
            "**" => i + 1 == last,
            _ => !segment.contains('*'),
        });
        match is_plain_path(text) && stars {
            true => Ok(Self(text.to_owned())),
            false => {
                Err("must be a path such as /messages, /messages/* (any one segment) or /files/** (whatever follows)")
            }
        }
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path` fits.
    pub fn fits(&self, path: &str) -> bool {
        let mut wanted = self.0.split('/');
        let mut given = path.split('/');
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some("**"), Some(segment)) => return !segment.is_empty(),
                (Some("*"), Some(segment)) if !segment.is_empty() => {}
                (Some(wanted), Some(segment)) if wanted == segment && wanted != "*" => {}
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_target_is_route_path_and_query() {
        let read = |text| Target::read(text).unwrap();
        assert_eq!(read("/r/sms/messages?a=1?2"), Target { route: "sms", path: "/messages", query: Some("a=1?2") });
        assert_eq!(read("/r/sms"), Target { route: "sms", path: "/", query: None });
        assert_eq!(read("/r/sms/"), Target { route: "sms", path: "/", query: None });
        assert_eq!(read("/r/"), Target { route: "", path: "/", query: None });
        assert_eq!(
            read("/r/a/x%20y/@b:c=d,e!$&'()*+"),
            Target { route: "a", path: "/x%20y/@b:c=d,e!$&'()*+", query: None }
        );
    }

    #[test]
    fn seventeen_ambiguous_paths_are_refused() {
        for path in [
            "//evil.example",
            "/r/a//b",
            "/r/a/\\evil.example",
            "/r/a/..",
            "/r/a/../b",
            "/r/a/./b",
            "/r/a/%2e%2e/b",
            "/r/a/%2E./b",
            "/r/a/b%2fc",
            "/r/a/b%5Cc",
            "/r/a/b;c",
            "/r/a/b%3bc",
            "/r/a/b%25c",
            "/r/a/b%00",
            "/r/a/b%0d%0a",
            "/r/a/%41",
            "/r/a/%zz",
            "/r/a/%4",
            "/r/a/b c",
            "/r/a/\u{e9}",
            "/r/a/b#c",
            "http://evil.example/r/a",
            "*",
            "",
            "r/a",
            "/r/a/b\"",
            "/r/a/%7f",
        ] {
            assert!(Target::read(path).is_err(), "17: {path}");
        }
        assert!(Target::read("/r/a?b c").is_err());
        assert!(Target::read(&format!("/r/a?{}", "x".repeat(9_000))).is_err());
    }

    #[test]
    fn patterns_fit_whole_segments() {
        let fits = |pattern: &str, path: &str| Pattern::parse(pattern).unwrap().fits(path);
        for (pattern, path) in [
            ("/a", "/a"),
            ("/a/*", "/a/b"),
            ("/*/c", "/b/c"),
            ("/a/**", "/a/b/c"),
            ("/**", "/a"),
            ("/", "/"),
            ("/a/", "/a/"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/a", "/a/"),
            ("/a", "/ab"),
            ("/a", "/A"),
            ("/a/*", "/a/"),
            ("/a/*", "/a/b/c"),
            ("/a/**", "/a"),
            ("/a/**", "/a/"),
            ("/a", "/*"),
            ("/", "/a"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
        for bad in ["a", "", "/a*", "/**/b", "/a/../b", "//", "/a?b", "/%2e"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_parameter_is_dropped_in_every_spelling() {
        assert_eq!(
            without_parameter("a=1&api_key=x&%61pi_key=y&API_KEY=z&api_key&b=api_key&+api_key=w", "api_key"),
            "a=1&b=api_key"
        );
        assert_eq!(without_parameter("", "api_key"), "");
    }

    proptest! {
        #[test]
        fn a_path_that_is_taken_means_the_same_to_a_url_parser(path in "/r/[a-c./%;@\\\\*2efF5c]{0,24}") {
            if let Ok(target) = Target::read(&path) {
                prop_assert!(!target.path.contains("//") && !target.path.contains('\\') && !target.path.contains(';'));
                let decoded = decoded(target.path);
                prop_assert!(decoded.split(['/', '\\']).all(|segment| segment != ".." && segment != "."));
                prop_assert_eq!(decoded.matches('/').count(), target.path.matches('/').count());
            }
        }

        #[test]
        fn what_is_escaped_is_read_back(text in "\\PC{0,40}") {
            prop_assert_eq!(decoded(&escaped(&text)), text);
        }
    }
}
