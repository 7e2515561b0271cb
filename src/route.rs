//! A route: who may call it, where it leads, what it lets through in either direction. It is stored as the JSON that it is
//! shown as, and read by the same rules as when it was written.

use crate::draft::{NEEDED, SCOPES};
use crate::error::Invalid;
use crate::fields::{Fields, Shape};
use crate::limit::Limit;
use crate::network::is_origin;
use crate::numbers::Numbers;
use crate::scope::Needed;
use crate::session::{MOST_CALLS, MOST_SECONDS};
use crate::target::{Pattern, Target, escaped, without_parameter};
use crate::upstream::{self, Upstream};
use serde_json::{Map, Value, json};

/// What the name of a route looks like.
pub const NAME: Shape = Shape { pattern: Some("^[a-z][a-z0-9-]{0,31}$"), most: 32, example: "sms" };
/// Most routes of a deployment: every edge keeps all of them.
pub const MOST_ROUTES: usize = 100;
const MOST_ALLOWED: usize = 50;
const MOST_METHODS: usize = 9;
const MOST_HEADERS: usize = 30;
const METHOD: Shape = Shape { pattern: Some("^[A-Z]{3,10}$"), most: 10, example: "POST" };
const PATH: Shape = Shape { pattern: None, most: 500, example: "/messages/*" };
const HEADER: Shape = Shape { pattern: Some("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"), most: 64, example: "X-Request-Cost" };
const ORIGIN: Shape = Shape { pattern: Some("^https?://[^/]+$"), most: 270, example: "https://shop.example" };
const UPSTREAM: Shape = Shape { pattern: None, most: upstream::MAX_LENGTH, example: "https://api.sms.example/v1" };
/// Largest body that rules look into, in bytes: it is held in memory.
pub const MOST_JUDGED: u64 = 65_536;
/// Largest body in either direction, in bytes.
const MOST_BYTES: u64 = 10 << 30;
const DEFAULT_BYTES: u64 = 10 << 20;
const MOST_TIMEOUT: u64 = 300;

/// Whether `name` can be a route's.
pub fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= NAME.most
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub upstream: Upstream,
    /// Whose keys may call it.
    pub environment: String,
    /// Scopes that a key needs; `None`: no key may call.
    pub key: Option<Vec<String>>,
    /// What browsers need; `None`: no session may call.
    pub session: Option<Sessions>,
    /// What may be called. Not empty.
    pub allow: Vec<Allowed>,
    /// What is added for the upstream.
    pub credential: Credential,
    /// Most bytes of a request's body.
    pub most_request: u64,
    /// The rule for phone numbers in bodies.
    pub numbers: Option<Numbers>,
    /// Response headers that pass besides the harmless ones, in lower case.
    pub response_headers: Vec<String>,
    /// Whether echoes of the secret are removed from answers.
    pub redact: bool,
    /// Whether redirects are passed on; else they are refused.
    pub redirects: bool,
    /// Most bytes of an answer's body.
    pub most_response: u64,
    /// How long the upstream may take to begin its answer, in seconds.
    pub timeout_seconds: u32,
    /// How long a body may pause, in seconds.
    pub idle_seconds: u32,
    /// Calls of all callers together.
    pub limit: Option<Limit>,
    /// What callers of mock environments are answered.
    pub mock: Option<Mock>,
}

/// Methods that may be called at paths of one pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// As they are sent, in capitals.
    pub methods: Vec<String>,
    /// The paths below the route.
    pub path: Pattern,
}

/// Who may begin a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mint {
    /// Only the app's backend, with a key that holds `keyward.sessions:create`.
    Backend,
    /// Pages whose visitor passed a Turnstile check, too.
    Turnstile,
    /// Any page of a listed origin, and so any program that says it is one.
    Public,
}

impl Mint {
    const WORDS: [&str; 3] = ["backend", "turnstile", "public"];
}

/// Rules for sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Origins of the pages. Not empty.
    pub origins: Vec<String>,
    /// Who may begin one.
    pub mint: Mint,
    /// Most calls of a session.
    pub calls: u32,
    /// Longest life of a session, in seconds.
    pub seconds: u32,
    /// Sessions for one client address (IPv6: its /64).
    pub per_address: Limit,
    /// Sessions in all.
    pub per_route: Limit,
}

/// What is added for the upstream, so that it accepts the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// A header whose value is the prefix and the secret.
    Header {
        /// As it is sent.
        name: String,
        /// Before the secret; may be empty.
        prefix: String,
    },
    /// A parameter of the query.
    Query {
        /// Its name.
        name: String,
    },
    /// Basic authentication (RFC 7617) with the secret as password.
    Basic {
        /// The user.
        user: String,
    },
    /// A signed token that says who calls, for an origin of one's own.
    Identity,
}

/// The header that carries a signed identity.
pub const IDENTITY_HEADER: &str = "Keyward-Identity";

/// An answer without an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mock {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, with places to fill ([`Mock::body`]).
    pub body: String,
    /// Milliseconds before it comes.
    pub latency_ms: u32,
}

impl Route {
    /// Reads a route. `environments` are the deployment's; `local` and `own` as in [`Upstream::parse`].
    ///
    /// # Errors
    /// [`Invalid`] naming the first field that is wrong and its bound.
    pub fn read(body: Value, environments: &[String], local: &[String], own: &[&str]) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body)?;
        let route = Self::take(&mut fields, environments, local, own)?;
        fields.end()?;
        Ok(route)
    }

    /// Takes what makes a route from fields that are read or described.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn take(fields: &mut Fields, environments: &[String], local: &[String], own: &[&str]) -> Result<Self, Invalid> {
        let upstream = fields.required_shaped("upstream", &UPSTREAM)?;
        let environment = fields.one_of("environment", environments)?;
        let callers = fields.object("callers", |fields| {
            let key = fields.object("key", |fields| fields.list("scopes", SCOPES, &NEEDED, needed))?;
            Ok((key, fields.object("session", Sessions::take)?))
        })?;
        let allow = fields.objects("allow", MOST_ALLOWED, Allowed::take)?;
        let credential = fields.object("credential", Credential::take)?.unwrap_or(Credential::None);
        let (most_request, numbers) = fields
            .object("request", |fields| {
                let most = fields.whole("max_bytes", 0, MOST_BYTES)?;
                Ok((most, fields.object("numbers", Numbers::take)?))
            })?
            .unwrap_or_default();
        let most_request = most_request.unwrap_or(DEFAULT_BYTES);
        let response = fields.object("response", |fields| {
            let headers = fields.list("headers", MOST_HEADERS, &HEADER, passable)?;
            let redact = fields.default_flag("redact", true)?;
            let redirects = fields.one_of("redirects", &["refuse", "pass"])?.as_deref() == Some("pass");
            Ok((headers, redact, redirects, fields.whole("max_bytes", 0, MOST_BYTES)?))
        })?;
        let (response_headers, redact, redirects, most_response) =
            response.unwrap_or_else(|| (Vec::new(), true, false, None));
        let timeout_seconds = fields.whole("timeout_seconds", 1, MOST_TIMEOUT)?.unwrap_or(30) as u32;
        let idle_seconds = fields.whole("idle_seconds", 1, MOST_TIMEOUT)?.unwrap_or(60) as u32;
        let limit = Limit::take(fields, "limit")?;
        let mock = fields.object("mock", Mock::take)?;
        if fields.is_description() {
            return Err(Invalid::new("", "a description is no route"));
        }
        let upstream = Upstream::parse(&upstream, local, own).map_err(|problem| Invalid::new("upstream", problem))?;
        let (key, session) = callers.unwrap_or_default();
        if key.is_none() && session.is_none() {
            return Err(Invalid::new("callers", "must name key, session or both: a route for nobody is no route"));
        }
        if allow.is_empty() {
            return Err(Invalid::new(
                "allow",
                "must list what may be called, such as {\"methods\": [\"POST\"], \"path\": \"/messages\"}",
            ));
        }
        let most_request = match &numbers {
            Some(_) => most_request.min(MOST_JUDGED),
            None => most_request,
        };
        Ok(Self {
            upstream,
            environment: environment.or_else(|| environments.first().cloned()).unwrap_or_default(),
            key,
            session,
            allow,
            credential,
            most_request,
            numbers,
            response_headers,
            redact,
            redirects,
            most_response: most_response.unwrap_or(MOST_BYTES),
            timeout_seconds,
            idle_seconds,
            limit,
            mock,
        })
    }

    /// The route as it is stored and shown, every default written out.
    pub fn shown(&self) -> Value {
        let mut callers = Map::new();
        if let Some(scopes) = &self.key {
            callers.insert("key".to_owned(), json!({"scopes": scopes}));
        }
        if let Some(session) = &self.session {
            callers.insert("session".to_owned(), session.shown());
        }
        let allow = self.allow.iter().map(|of| json!({"methods": of.methods, "path": of.path.as_str()}));
        json!({
            "upstream": format!("{}{}", self.upstream.origin, self.upstream.base),
            "environment": self.environment,
            "callers": callers,
            "allow": allow.collect::<Vec<_>>(),
            "credential": self.credential.shown(),
            "request": {"max_bytes": self.most_request, "numbers": self.numbers.as_ref().map(Numbers::shown)},
            "response": {
                "headers": self.response_headers, "redact": self.redact,
                "redirects": if self.redirects { "pass" } else { "refuse" }, "max_bytes": self.most_response,
            },
            "timeout_seconds": self.timeout_seconds,
            "idle_seconds": self.idle_seconds,
            "limit": self.limit,
            "mock": self.mock.as_ref().map(Mock::shown),
        })
    }

    /// Whether a method may be called at a path.
    ///
    /// # Errors
    /// The methods that may be, none where the path is not on the list at all.
    pub fn admit(&self, method: &str, path: &str) -> Result<(), Vec<&str>> {
        let here = || self.allow.iter().filter(|of| of.path.fits(path)).flat_map(|of| &of.methods);
        match here().any(|allowed| allowed == method) {
            true => Ok(()),
            false => Err(here().map(String::as_str).collect()),
        }
    }

    /// The URL of a call, with the secret in its query where the credential goes there. The client's own parameter of that
    /// name is dropped.
    pub fn url(&self, target: &Target<'_>, secret: Option<&str>) -> String {
        let Upstream { origin, base } = &self.upstream;
        let path = target.path;
        let query = match (&self.credential, target.query) {
            (Credential::Query { name }, query) => {
                let kept = query.map_or_else(String::new, |query| without_parameter(query, name));
                let join = if kept.is_empty() { "" } else { "&" };
                Some(format!("{kept}{join}{}={}", escaped(name), escaped(secret.unwrap_or_default())))
            }
            (_, query) => query.map(str::to_owned),
        };
        match query {
            Some(query) => format!("{origin}{base}{path}?{query}"),
            None => format!("{origin}{base}{path}"),
        }
    }

    /// Whether secrets that were set for one route may stay when another takes its place: they are bound to the origin.
    pub fn keeps_secrets_of(&self, before: &Self) -> bool {
        self.upstream.origin == before.upstream.origin
    }

    /// Whether the credential needs a secret.
    pub fn needs_secret(&self) -> bool {
        !matches!(self.credential, Credential::None | Credential::Identity)
    }

    /// Where a secret of one slot may be opened ([`crate::seal`]).
    pub fn place(&self, name: &str, slot: &str) -> String {
        place(name, slot, &self.upstream.origin)
    }
}

/// Where the secret of a slot of the route `name` to `origin` may be opened.
pub fn place(name: &str, slot: &str, origin: &str) -> String {
    format!("keyward upstream\n{name}\n{slot}\n{origin}")
}

fn needed(text: &str) -> Result<String, String> {
    Needed::parse(text).map(|_| text.to_owned()).map_err(str::to_owned)
}

/// A response header that may be listed.
fn passable(name: &str) -> Result<String, String> {
    let lower = header_name(name)?.to_ascii_lowercase();
    let own = ["set-cookie", "set-cookie2", "cache-control", "via", "date", "server", "alt-svc", "content-encoding"];
    let refused = own.contains(&&*lower)
        || lower.starts_with("access-control-")
        || lower.starts_with("keyward-")
        || HOP_BY_HOP.contains(&&*lower);
    match refused {
        true => Err("is never passed on: cookies, CORS, caching and the connection are keyward's own".to_owned()),
        false => Ok(lower),
    }
}

fn header_name(name: &str) -> Result<&str, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte);
    match !name.is_empty() && name.len() <= HEADER.most && name.bytes().all(token) {
        true => Ok(name),
        false => Err("must be the name of a header".to_owned()),
    }
}

/// A text that can stand in a header: printable ASCII.
fn header_value(field: &str, text: String) -> Result<String, Invalid> {
    match text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        true => Ok(text),
        false => Err(Invalid::new(field, "must be printable ASCII")),
    }
}

impl Allowed {
    fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let methods = fields.list("methods", MOST_METHODS, &METHOD, |text| {
            let fits = (3..=METHOD.most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
            match fits && !["CONNECT", "TRACE", "OPTIONS"].contains(&text) {
                true => Ok(text.to_owned()),
                false => Err("must be a method in capitals; CONNECT, TRACE and OPTIONS are not relayed".to_owned()),
            }
        })?;
        let path = fields.required_shaped("path", &PATH)?;
        if methods.is_empty() {
            return Err(Invalid::new("methods", "must name at least one"));
        }
        Ok(Self { methods, path: Pattern::parse(&path).map_err(|problem| Invalid::new("path", problem))? })
    }
}

impl Sessions {
    fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let origins = fields.list("origins", 50, &ORIGIN, |text| match is_origin(text) {
            true => Ok(text.to_owned()),
            false => Err("must be an origin as browsers send it, such as https://shop.example".to_owned()),
        })?;
        let mint = match fields.one_of("mint", &Mint::WORDS)?.as_deref() {
            Some("public") => Mint::Public,
            Some("turnstile") => Mint::Turnstile,
            _ => Mint::Backend,
        };
        let calls = fields.whole("calls", 1, MOST_CALLS)?.unwrap_or(10) as u32;
        let seconds = fields.whole("seconds", 10, MOST_SECONDS)?.unwrap_or(300) as u32;
        let per_address = Limit::take(fields, "per_address")?.unwrap_or(Limit::new(10, 3_600));
        let per_route = Limit::take(fields, "per_route")?.unwrap_or(Limit::new(1_000, 3_600));
        if origins.is_empty() {
            return Err(Invalid::new("origins", "must list the origins of the pages that may call"));
        }
        Ok(Self { origins, mint, calls, seconds, per_address, per_route })
    }

    fn shown(&self) -> Value {
        json!({
            "origins": self.origins, "mint": Mint::WORDS[self.mint as usize], "calls": self.calls, "seconds": self.seconds,
            "per_address": self.per_address, "per_route": self.per_route,
        })
    }

    /// Whether pages of this origin may call.
    pub fn lists(&self, origin: &str) -> bool {
        self.origins.iter().any(|listed| listed == origin)
    }
}

impl Credential {
    const TYPES: [&str; 4] = ["header", "query", "basic", "identity"];

    fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let of_type = fields.required_one_of("type", &Self::TYPES)?;
        let name = fields.shaped("name", &HEADER)?;
        let prefix = fields.line("prefix", 100)?.map(|text| header_value("prefix", text)).transpose()?;
        let user = fields.line("user", 200)?;
        let named = |name: Option<String>| {
            let name = name.ok_or_else(|| Invalid::new("name", "is required"))?;
            header_name(&name).map_err(|problem| Invalid::new("name", problem))?;
            Ok(name)
        };
        let credential = match of_type.as_str() {
            "header" => {
                let name = named(name.clone())?;
                let lower = name.to_ascii_lowercase();
                let reserved = ["host", "content-length", "content-type", "cookie", "via", "accept-encoding", "expect"];
                if reserved.contains(&&*lower) || HOP_BY_HOP.contains(&&*lower) || lower.starts_with("keyward-") {
                    return Err(Invalid::new("name", "is a header that keyward or the connection itself needs"));
                }
                Self::Header { name, prefix: prefix.clone().unwrap_or_default() }
            }
            "query" => Self::Query { name: named(name.clone())? },
            "basic" => {
                let user = user.clone().ok_or_else(|| Invalid::new("user", "is required"))?;
                // RFC 7617 §2.
                if user.contains(':') {
                    return Err(Invalid::new("user", "must hold no colon"));
                }
                Self::Basic { user: header_value("user", user)? }
            }
            _ => Self::Identity,
        };
        let stray = [
            ("name", name.is_some() && !matches!(credential, Self::Header { .. } | Self::Query { .. })),
            ("prefix", prefix.is_some() && !matches!(credential, Self::Header { .. })),
            ("user", user.is_some() && !matches!(credential, Self::Basic { .. })),
        ];
        match stray.iter().find(|(_, stray)| *stray) {
            Some((field, _)) => Err(Invalid::new(*field, "does not belong to this type of credential")),
            None => Ok(credential),
        }
    }

    fn shown(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Header { name, prefix } if prefix.is_empty() => json!({"type": "header", "name": name}),
            Self::Header { name, prefix } => json!({"type": "header", "name": name, "prefix": prefix}),
            Self::Query { name } => json!({"type": "query", "name": name}),
            Self::Basic { user } => json!({"type": "basic", "user": user}),
            Self::Identity => json!({"type": "identity"}),
        }
    }

    /// The header that carries the secret, if one does.
    pub fn header(&self, secret: &str) -> Option<(String, String)> {
        use base64ct::{Base64, Encoding};
        match self {
            Self::Header { name, prefix } => Some((name.clone(), format!("{prefix}{secret}"))),
            Self::Basic { user } => {
                let pair = Base64::encode_string(format!("{user}:{secret}").as_bytes());
                Some(("Authorization".to_owned(), format!("Basic {pair}")))
            }
            Self::None | Self::Query { .. } | Self::Identity => None,
        }
    }
}

/// What belongs to one connection (RFC 9110 §7.6.1, RFC 9112).
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Request headers that never reach an upstream: credentials of the caller, what belongs to the connection, and what says where
/// a call comes from, in which only the platform can be believed. Names are compared with `_` as `-`, which many servers do not tell
/// apart (RFC 3875 §4.1.18).
pub const DROPPED: [&str; 28] = [
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "authorization",
    "cookie",
    "cookie2",
    "host",
    "origin",
    "referer",
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    "cdn-loop",
    "expect",
    "content-length",
    "x-client-ip",
    "x-cluster-client-ip",
    // What makes some servers go by another method, path or host than was judged.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
    "x-host",
    "x-http-host-override",
];
/// How others that are dropped begin.
pub const DROPPED_PREFIXES: [&str; 6] = ["keyward-", "x-forwarded-", "cf-", "sec-", "proxy-", "x-original-"];

/// Response headers that every route passes on.
pub const PASSED: [&str; 19] = [
    "accept-ranges",
    "content-disposition",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "deprecation",
    "etag",
    "last-modified",
    "link",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "sunset",
    "vary",
    "x-request-id",
];

impl Mock {
    fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let status = fields.whole("status", 200, 599)?.unwrap_or(200) as u16;
        let headers = fields.free("headers", 4_096, 1)?;
        let body = fields.free_text("body", 65_536)?;
        let latency_ms = fields.whole("latency_ms", 0, 10_000)?.unwrap_or(0) as u32;
        let read = |(name, value): (String, Value)| {
            let at = |problem| Invalid::new("headers", problem);
            passable(&name).map_err(at)?;
            let value = value.as_str().ok_or_else(|| at("must have texts as values".to_owned()))?;
            Ok((name, header_value("headers", value.to_owned())?))
        };
        let headers = headers.into_iter().map(read).collect::<Result<Vec<_>, Invalid>>()?;
        if [204, 205, 304].contains(&status) && !body.is_empty() {
            return Err(Invalid::new("body", "an answer of that status has none"));
        }
        Ok(Self { status, headers, body, latency_ms })
    }

    fn shown(&self) -> Value {
        let headers: Map<String, Value> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        json!({"status": self.status, "headers": headers, "body": self.body, "latency_ms": self.latency_ms})
    }

    /// The body with its places filled: `{{request_id}}`, `{{now}}`, `{{path}}`, and `{{body:/to}}`, what the JSON pointer
    /// finds in the request's body. Texts are escaped as inside a JSON string; what is not there is empty.
    pub fn body(&self, request_id: &str, now: &str, path: &str, body: &Value) -> String {
        let mut out = String::with_capacity(self.body.len());
        let mut rest = self.body.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((place, after)) = after.split_once("}}") else { break };
            out.push_str(before);
            let found = match place.trim() {
                "request_id" => Value::from(request_id),
                "now" => Value::from(now),
                "path" => Value::from(path),
                place => {
                    let found = place.strip_prefix("body:").and_then(|pointer| body.pointer(pointer));
                    found.cloned().unwrap_or_else(|| Value::from(""))
                }
            };
            let text = found.to_string();
            out.push_str(match found {
                Value::String(_) => &text[1..text.len() - 1],
                _ => &text,
            });
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Route, Invalid> {
        let environments = ["live".to_owned(), "test".to_owned()];
        Route::read(body, &environments, &["http://127.0.0.1:8788".to_owned()], &["keys.example.com"])
    }

    fn full() -> Value {
        json!({
            "upstream": "https://api.sms.example/v1", "environment": "live",
            "callers": {
                "key": {"scopes": ["messages:send"]},
                "session": {
                    "origins": ["https://shop.example"], "mint": "public", "calls": 5, "seconds": 300,
                    "per_address": {"limit": 5, "window_seconds": 3600}, "per_route": {"limit": 1000, "window_seconds": 3600},
                },
            },
            "allow": [{"methods": ["POST"], "path": "/messages"}, {"methods": ["GET", "DELETE"], "path": "/messages/*"}],
            "credential": {"type": "header", "name": "Authorization", "prefix": "Bearer "},
            "request": {"max_bytes": 65536, "numbers": {
                "pointer": "/to", "countries": ["DE", "AT"], "per_number": {"limit": 3, "window_seconds": 3600},
                "per_range": {"limit": 10, "window_seconds": 3600}, "per_country": {"limit": 100, "window_seconds": 3600},
            }},
            "response": {"headers": ["x-cost"], "redact": true, "redirects": "refuse", "max_bytes": 1_000_000},
            "timeout_seconds": 30, "idle_seconds": 60, "limit": {"limit": 100, "window_seconds": 60},
            "mock": {"status": 202, "headers": {"Content-Type": "application/json"}, "body": "{\"to\":\"{{body:/to}}\"}", "latency_ms": 50},
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut body = full();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    }

    fn least() -> Value {
        json!({"upstream": "https://api.sms.example", "callers": {"key": {}}, "allow": [{"methods": ["GET"], "path": "/**"}]})
    }

    #[test]
    fn what_is_shown_is_what_was_written_and_is_read_again() {
        let route = read(full()).unwrap();
        assert_eq!(route.shown(), full(), "the stored form: what changes it must still read what was stored before");
        for body in [full(), least()] {
            let route = read(body).unwrap();
            assert_eq!(read(route.shown()).unwrap(), route);
        }
        let route = read(least()).unwrap();
        assert!(route.redact && !route.redirects && route.environment == "live" && route.session.is_none());
    }

    #[test]
    fn every_refusal_names_its_field() {
        for (pointer, value, field) in [
            ("/upstream", json!("https://10.0.0.1"), "upstream"),
            ("/upstream", json!("https://keys.example.com"), "upstream"),
            ("/environment", json!("nowhere"), "environment"),
            ("/callers", json!({}), "callers"),
            ("/callers", json!(7), "callers"),
            ("/callers/key", json!({"scope": []}), "callers.key.scope"),
            ("/callers/key/scopes", json!(["*:*"]), "callers.key.scopes[0]"),
            ("/callers/session/origins", json!([]), "callers.session.origins"),
            ("/callers/session/origins", json!(["https://shop.example/"]), "callers.session.origins[0]"),
            ("/callers/session/mint", json!("anybody"), "callers.session.mint"),
            ("/callers/session/calls", json!(0), "callers.session.calls"),
            ("/callers/session/per_address", json!({"limit": 1}), "callers.session.per_address.window_seconds"),
            ("/callers/session/per_address/limit", json!(0), "callers.session.per_address.limit"),
            ("/callers/session/per_address/limit", json!(1.5), "callers.session.per_address.limit"),
            ("/allow", json!([]), "allow"),
            ("/allow", json!([{"methods": ["get"], "path": "/a"}]), "allow[0].methods[0]"),
            ("/allow", json!([{"methods": ["TRACE"], "path": "/a"}]), "allow[0].methods[0]"),
            ("/allow", json!([{"methods": ["GET"], "path": "a"}]), "allow[0].path"),
            ("/allow", json!([{"methods": [], "path": "/a"}]), "allow[0].methods"),
            ("/allow/1", json!("GET /"), "allow[1]"),
            ("/credential", json!({"type": "header", "name": "a b"}), "credential.name"),
            ("/credential", json!({"type": "header", "name": "Host"}), "credential.name"),
            ("/credential", json!({"type": "header", "name": "Keyward-Identity"}), "credential.name"),
            ("/credential", json!({"type": "header", "name": "X", "prefix": "a\u{e9}"}), "credential.prefix"),
            ("/credential", json!({"type": "query"}), "credential.name"),
            ("/credential", json!({"type": "basic", "user": "a:b"}), "credential.user"),
            ("/credential", json!({"type": "identity", "name": "X"}), "credential.name"),
            ("/credential", json!({"name": "X"}), "credential.type"),
            ("/request/numbers", json!({"pointer": "to"}), "request.numbers.pointer"),
            ("/request/numbers/countries", json!(["de"]), "request.numbers.countries[0]"),
            ("/response/headers", json!(["Set-Cookie"]), "response.headers[0]"),
            ("/response/headers", json!(["Access-Control-Allow-Origin"]), "response.headers[0]"),
            ("/response/headers", json!(["Keyward-Mock"]), "response.headers[0]"),
            ("/response/headers", json!(["Transfer-Encoding"]), "response.headers[0]"),
            ("/timeout_seconds", json!(0), "timeout_seconds"),
            ("/mock/status", json!(101), "mock.status"),
            ("/mock/headers", json!({"Set-Cookie": "a"}), "mock.headers"),
            ("/mock/headers", json!({"X": "a\u{1f600}"}), "mock.headers"),
            ("/mock/headers", json!({"X": 1}), "mock.headers"),
        ] {
            assert_eq!(read(with(pointer, value.clone())).unwrap_err().field, field, "{pointer} {value}");
        }
        let mut unknown = full();
        unknown["base_url"] = json!("https://evil.example");
        assert_eq!(read(unknown).unwrap_err().field, "base_url", "18: nothing else says where calls go");
    }

    #[test]
    fn fifteen_a_method_counts_as_it_is_sent() {
        let route = read(full()).unwrap();
        assert_eq!(route.admit("POST", "/messages"), Ok(()));
        assert_eq!(route.admit("post", "/messages"), Err(vec!["POST"]));
        assert_eq!(route.admit("PROPFIND", "/messages/1"), Err(vec!["GET", "DELETE"]));
        assert_eq!(route.admit("GET", "/messages/1/2"), Err(vec![]));
    }

    #[test]
    fn the_credential_goes_where_the_route_says_and_the_clients_own_is_dropped() {
        let with_credential = |credential: Value| read(with("/credential", credential)).unwrap();
        let url = |route: &Route, target: &str| route.url(&Target::read(target).unwrap(), Some("s e&c"));
        let header = with_credential(json!({"type": "header", "name": "X-Key"}));
        assert_eq!(header.credential.header("s"), Some(("X-Key".to_owned(), "s".to_owned())));
        assert_eq!(
            url(&header, "/r/sms/messages?a=//evil.example"),
            "https://api.sms.example/v1/messages?a=//evil.example"
        );
        let query = with_credential(json!({"type": "query", "name": "api_key"}));
        assert_eq!(url(&query, "/r/sms/m"), "https://api.sms.example/v1/m?api_key=s%20e%26c");
        assert_eq!(url(&query, "/r/sms/m?API_KEY=mine&b=1"), "https://api.sms.example/v1/m?b=1&api_key=s%20e%26c");
        let basic = with_credential(json!({"type": "basic", "user": "Aladdin"}));
        assert_eq!(
            basic.credential.header("open sesame"),
            Some(("Authorization".to_owned(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned())),
            "RFC 7617 §2"
        );
        assert!(with_credential(json!({"type": "identity"})).credential.header("s").is_none());
    }

    #[test]
    fn thirty_three_secrets_stay_with_their_origin() {
        let route = read(full()).unwrap();
        let moved = |upstream: &str| read(with("/upstream", json!(upstream))).unwrap();
        assert!(moved("https://api.sms.example/v2").keeps_secrets_of(&route));
        for other in ["https://api.sms.example:8443/v1", "https://sms.example/v1", "http://127.0.0.1:8788"] {
            assert!(!moved(other).keeps_secrets_of(&route), "{other}");
            assert_ne!(moved(other).place("sms", "current"), route.place("sms", "current"));
        }
    }

    #[test]
    fn a_mock_is_filled_and_what_fills_it_cannot_break_its_json() {
        let mock = |body: &str| Mock { status: 200, headers: Vec::new(), body: body.to_owned(), latency_ms: 0 };
        let asked = json!({"to": "+49\"}", "n": 7, "list": [1]});
        let fill = |body: &str| mock(body).body("req_1", "2030-01-01T00:00:00Z", "/m", &asked);
        assert_eq!(
            fill(
                r#"{"id":"{{request_id}}","to":"{{body:/to}}","n":{{ body:/n }},"l":{{body:/list}},"at":"{{now}}","p":"{{path}}","x":"{{body:/none}}{{what}}"}"#
            ),
            r#"{"id":"req_1","to":"+49\"}","n":7,"l":[1],"at":"2030-01-01T00:00:00Z","p":"/m","x":""}"#
        );
        assert_eq!(fill("{{ unclosed"), "{{ unclosed");
    }

    #[test]
    fn a_description_names_what_is_read() {
        let described = Fields::describe(|fields| Route::take(fields, &["live".to_owned()], &[], &[]).map(|_| ()));
        let named = |value: &Value| value["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(named(&described), named(&json!({"properties": full()})));
        assert_eq!(named(&described["properties"]["callers"]["properties"]["session"]).len(), 6);
    }
}
