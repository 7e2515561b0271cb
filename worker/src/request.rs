//! A request as far as keyward looks at it: its method as it was sent, its path and query, its one credential.

use crate::edge::Verified;
use crate::host::{self, Body, Header};
use crate::response::{Problem, next_number, request_id};
use keyward::foreign::{Prefix, Presented};
use keyward::key::holds_key;
use keyward::session::holds_token;
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};

/// A request being answered.
pub struct Request {
    pub host: host::Request,
    url: OnceCell<String>,
    number: u32,
    id: OnceCell<String>,
    warning: RefCell<Option<String>>,
    limits: RefCell<Vec<(&'static str, String)>>,
    forwarded: OnceCell<IpAddr>,
}

/// How a caller presented himself.
#[derive(PartialEq, Eq)]
pub enum Credential {
    /// No `Authorization`, or an empty one.
    None,
    /// The token of a well-formed `Bearer` header.
    Bearer(String),
    /// Anything else under `Authorization`.
    NotBearer,
    /// Two headers, or two credentials in one.
    Several,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::NotBearer => "NotBearer",
            Self::Several => "Several",
        })
    }
}

impl Request {
    pub fn new(host: host::Request) -> Self {
        Self {
            host,
            url: OnceCell::new(),
            number: next_number(),
            id: OnceCell::new(),
            warning: RefCell::new(None),
            limits: RefCell::default(),
            forwarded: OnceCell::new(),
        }
    }

    /// Path and query of the URL, as they were sent.
    pub fn target(&self) -> &str {
        let url = self.url.get_or_init(|| self.host.url());
        let after_scheme = url.find("://").map_or(0, |at| at + 3);
        url[after_scheme..].find('/').map_or("/", |at| &url[after_scheme + at..])
    }

    /// The path, from its first slash.
    pub fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The pairs of the query, decoded as a form is.
    pub fn query(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.target().split_once('?').map_or("", |(_, query)| query);
        query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
    }

    /// Whether a whole key stands anywhere in the URL, where logs and histories would keep it: one of keyward's own, a session's
    /// token, or a text that begins like a key of another system.
    pub fn has_key_in_url(&self, foreign: &[Prefix]) -> bool {
        let target = self.target();
        let has_key = |text: &str| {
            let words = || text.split(['/', '?', '&', '=', '#']);
            holds_key(text)
                || holds_token(text)
                || (!foreign.is_empty() && words().any(|word| Presented::of(word, foreign).is_some()))
        };
        has_key(target) || (target.contains('%') && has_key(&decoded(target)))
    }

    /// The one credential of the request.
    pub fn credential(&self) -> Credential {
        self.host.header(Header::Authorization).map_or(Credential::None, |value| credential(&value))
    }

    /// The key that the caller presents.
    pub fn bearer(&self) -> Result<String, Problem> {
        match self.credential() {
            Credential::Bearer(key) => Ok(key),
            Credential::None | Credential::NotBearer => Err(Problem::no_credential()),
            Credential::Several => Err(Problem::several_credentials()),
        }
    }

    /// The key of a proxy that wants to say where its caller is.
    pub fn proxy(&self) -> Option<String> {
        host::is_proxied(&self.host).then(|| self.host.header(Header::KeywardProxy).unwrap_or_default())
    }

    /// From now on the client is where the proxy says: at the last address of `X-Forwarded-For`. That one the proxy has added
    /// itself; those before it are the caller's own word.
    pub fn forward(&self) -> Result<(), Problem> {
        let said = self.host.header(Header::XForwardedFor).unwrap_or_default();
        let last = said.rsplit(',').next().and_then(|text| address(text.trim())).ok_or_else(|| {
            Problem::invalid(
                "with Keyward-Proxy, X-Forwarded-For must end in the caller's address: the proxy has to add it",
            )
        })?;
        self.forwarded.get_or_init(|| last);
        Ok(())
    }

    /// The client's address and country as the platform knows them, or the address as a trusted proxy does: the country would
    /// be the proxy's, so there is none.
    pub fn client(&self) -> (Option<IpAddr>, Option<String>) {
        if let Some(address) = self.forwarded.get() {
            return (Some(*address), None);
        }
        let mut client = host::client(&self.host).into_iter();
        let mut next = || client.next().and_then(|value| value.as_string());
        (next().and_then(|text| address(&text)), next())
    }

    /// The web origin that the browser names.
    pub fn origin(&self) -> Option<String> {
        self.host.header(Header::Origin)
    }

    /// The method that a preflight asks for, if this is one (Fetch §3.2.2).
    pub fn preflight(&self) -> Option<String> {
        let asked = || self.origin().and_then(|_| self.host.named("access-control-request-method"));
        (self.host.method() == "OPTIONS").then(asked).flatten()
    }

    /// What stands in the cookie of that name. Two of them are several credentials: one may be another site's doing.
    pub fn cookie(&self, name: &str) -> Credential {
        let Some(cookies) = self.host.header(Header::Cookie) else { return Credential::None };
        let mut values = cookies
            .split(';')
            .filter_map(|pair| pair.trim_ascii().split_once('='))
            .filter_map(|(known, value)| (known == name).then_some(value));
        match (values.next(), values.next()) {
            (None, _) => Credential::None,
            (Some(value), None) => Credential::Bearer(value.to_owned()),
            (Some(_), Some(_)) => Credential::Several,
        }
    }

    /// The origin that this request was sent to, as its URL has it.
    pub fn own_origin(&self) -> Option<String> {
        let target = self.target().len();
        let url = self.url.get()?;
        Some(url[..url.len() - target].to_owned())
    }

    /// The host that this request was sent to, with its port where it names one.
    pub fn own_host(&self) -> String {
        self.own_origin().and_then(|origin| Some(origin.split_once("://")?.1.to_owned())).unwrap_or_default()
    }

    /// The number of this request in its isolate.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The id of this request, in its answer and in every log line about it.
    pub fn id(&self) -> &str {
        self.id.get_or_init(|| request_id(self.number))
    }

    /// What its answer should warn of.
    pub fn warning(&self) -> Option<String> {
        self.warning.borrow().clone()
    }

    /// Keeps what its answer should tell the caller of his own key: that its secret is being replaced, and what is left of its
    /// limits.
    pub fn tell(&self, verified: &Verified) {
        *self.warning.borrow_mut() = verified.warning();
        *self.limits.borrow_mut() = limit_headers(verified);
    }

    /// The headers of [`limit_headers`], if there are any.
    pub fn limits(&self) -> Vec<(&'static str, String)> {
        self.limits.borrow().clone()
    }

    /// Whether the caller wants what the authority knows now (RFC 9111 §5.2.1.4).
    pub fn wants_fresh(&self) -> bool {
        let value = self.host.header(Header::CacheControl).unwrap_or_default();
        value.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
    }

    /// The `Idempotency-Key`.
    pub fn idempotency_key(&self) -> Option<String> {
        self.host.header(Header::IdempotencyKey)
    }

    /// The body, as JSON text of at most [`MOST_BODY`] bytes.
    pub async fn json_text(&self) -> Result<String, Problem> {
        self.text(MOST_BODY).await
    }

    /// The body, as text, if it is there within so many seconds; `None` where it has more than `most` bytes.
    pub async fn text_within(&self, most: u32, seconds: u32) -> Result<Option<String>, Problem> {
        match self.host.text(most, seconds * 1_000).await {
            Body::TooLong => Ok(None),
            body => body_text(body, most).map(Some),
        }
    }

    /// The body, as text of at most `most` bytes.
    pub async fn text(&self, most: u32) -> Result<String, Problem> {
        body_text(self.host.text(most, BODY_PATIENCE_MS).await, most)
    }
}

/// What is left of the limits of a key, for whoever calls with it (draft-ietf-httpapi-ratelimit-headers-11); with `Retry-After`,
/// where nothing is.
pub fn limit_headers(verified: &Verified) -> Vec<(&'static str, String)> {
    let Some((record, left)) = verified.limited() else { return Vec::new() };
    let seconds = |ms: i64| (ms + 999) / 1_000;
    let policy = record.rate_limits.iter().map(|of| format!("\"{}\";q={};w={}", of.name, of.limit, of.window_seconds));
    let quotas = record.quotas.iter().map(|of| format!("\"{}\";q={}", of.name, of.limit));
    let now = left.iter().map(|of| {
        let full = of.full_in_ms.map_or_else(String::new, |ms| format!(";t={}", seconds(ms)));
        format!("\"{}\";r={}{full}", of.name, of.calls)
    });
    let mut headers = vec![
        ("RateLimit-Policy", policy.chain(quotas).collect::<Vec<_>>().join(", ")),
        ("RateLimit", now.collect::<Vec<_>>().join(", ")),
    ];
    let retry_ms = verified.denied.as_ref().and_then(|denied| denied.retry_ms);
    headers.extend(retry_ms.map(|ms| ("Retry-After", seconds(ms).to_string())));
    headers
}

/// Most bytes of a body.
pub const MOST_BODY: u32 = 65_536;
/// How long a body may take, in milliseconds.
const BODY_PATIENCE_MS: u32 = 30_000;

/// The text of a body of at most `most` bytes, or the problem to answer for it.
pub fn body_text(body: Body, most: u32) -> Result<String, Problem> {
    match body {
        Body::Text(text) => Ok(text),
        Body::TooLong => Err(Problem::invalid(&format!("the body is longer than {most} bytes"))),
        Body::NotText => Err(Problem::invalid("the body is not UTF-8, or holds its replacement character U+FFFD")),
        Body::Broken => Err(Problem::invalid("the body ended before it was whole")),
        Body::Late => Err(Problem::body_late()),
    }
}

/// An address, or the one of a peer that was reported with its port.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|peer| peer.ip()))
}

/// Reads an `Authorization` value (RFC 6750 §2.1): the scheme in any case, exactly one space, one token.
fn credential(value: &str) -> Credential {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if value.is_empty() || (scheme.eq_ignore_ascii_case("bearer") && token.is_empty()) {
        return Credential::None;
    }
    // Two headers of one name arrive as one, joined by a comma, which no token contains.
    if value.contains(',') {
        return Credential::Several;
    }
    let one_word = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && one_word {
        Credential::Bearer(token.to_owned())
    } else {
        Credential::NotBearer
    }
}

/// A form-encoded text, decoded; bytes that are no UTF-8 become U+FFFD.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let plain = text.replace('+', " ");
    let mut bytes = Vec::with_capacity(plain.len());
    let mut rest = plain.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = match tail {
            [a, b, ..] if *first == b'%' => char::from(*a).to_digit(16).zip(char::from(*b).to_digit(16)),
            _ => None,
        };
        match hex {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_credential_is_one_scheme_one_space_one_token() {
        let bearer = Credential::Bearer("abc".to_owned());
        assert_eq!(credential("Bearer abc"), bearer);
        assert_eq!(credential("bEARER abc"), bearer);
        for none in ["", "Bearer", "bearer "] {
            assert_eq!(credential(none), Credential::None, "{none}");
        }
        for wrong in
            ["Bearer  abc", "Bearer\tabc", "Bearer abc ", "Bearer abc def", "Basic abc", "abc", "Bearer a\u{e9}"]
        {
            assert_eq!(credential(wrong), Credential::NotBearer, "{wrong}");
        }
        for several in ["Bearer abc, Bearer def", "Bearer abc,def"] {
            assert_eq!(credential(several), Credential::Several, "{several}");
        }
    }

    #[test]
    fn an_address_may_come_with_a_port() {
        let (v4, v6) = ("192.0.2.7".parse().ok(), "2001:db8::1".parse().ok());
        assert_eq!((address("192.0.2.7"), address("192.0.2.7:80")), (v4, v4));
        assert_eq!((address("2001:db8::1"), address("[2001:db8::1]:80")), (v6, v6));
        assert_eq!(address("unix:/run/socket"), None);
    }

    #[test]
    fn forms_are_decoded() {
        assert_eq!(decoded("calls%3Acreate+x%zz%"), "calls:create x%zz%");
        assert_eq!(decoded("%ff"), "\u{fffd}");
    }
}
