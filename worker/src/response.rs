//! Answers: JSON, problem documents (RFC 9457), request ids. One place makes a status of a code. Bodies end in a line
//! break, for whoever reads them in a terminal.

use crate::host;
use crate::request::Request;
use keyward::error::Invalid;
use keyward::verify::Code;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use wasm_bindgen::JsValue;

/// Tells a caller whose secret is being replaced until when it works.
pub const WARNING: &str = "Keyward-Warning";

/// A request that is not granted, as the caller will read it.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: u16,
    pub code: &'static str,
    pub title: &'static str,
    pub detail: String,
    /// Extra members of the document, such as `field`.
    pub extra: Vec<(&'static str, Value)>,
    /// Extra headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), extra: Vec::new(), headers: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A request that cannot be read as a whole.
    pub fn invalid(detail: &str) -> Self {
        Self::new(400, Invalid::CODE, "The request is not valid", detail)
    }

    /// No credential, or none under the one scheme that counts: a challenge without an error code (RFC 6750 §3).
    pub fn no_credential() -> Self {
        Self::new(401, "UNAUTHORIZED", "A key is required", "send it as Authorization: Bearer <key>")
            .header("WWW-Authenticate", r#"Bearer realm="keyward""#)
    }

    /// A credential that is not accepted. Unknown, revoked, expired and mistyped keys get this same answer.
    pub fn not_accepted() -> Self {
        Self::new(
            401,
            "UNAUTHORIZED",
            "The key is not accepted",
            "it is not valid here; its owner finds why under the request id",
        )
        .header("WWW-Authenticate", r#"Bearer realm="keyward", error="invalid_token""#)
    }

    /// Two credentials where one is wanted (RFC 6750 §3.1).
    pub fn several_credentials() -> Self {
        Self::new(400, "SEVERAL_CREDENTIALS", "More than one credential", "send one key, in one Authorization header")
            .header("WWW-Authenticate", r#"Bearer realm="keyward", error="invalid_request""#)
    }

    /// A body that stopped on its way here.
    pub fn body_late() -> Self {
        Self::new(408, "BODY_TIMEOUT", "The body came too slowly", "nothing came of it for too long; send it again")
    }

    /// A key in a URL, where it would be logged.
    pub fn key_in_url() -> Self {
        let detail = "a URL ends up in logs and histories: treat that key as leaked, and send keys as Authorization: Bearer <key>";
        Self::new(400, "KEY_IN_URL", "A key stands in the URL", detail)
    }

    /// A management key without the scope that the endpoint needs.
    pub fn scope_needed(scope: &str) -> Self {
        Self::new(403, "INSUFFICIENT_SCOPE", "The key lacks a scope", format!("this needs the scope {scope}")).header(
            "WWW-Authenticate",
            format!(r#"Bearer realm="keyward", error="insufficient_scope", scope="{scope}""#),
        )
    }

    /// The authority did not answer.
    pub fn unavailable() -> Self {
        Self::new(
            503,
            "UNAVAILABLE",
            "Not available right now",
            "the key could not be checked; nothing was changed; try again",
        )
        .header("Retry-After", "1")
    }

    /// No such key.
    pub fn no_such_key() -> Self {
        Self::new(404, "KEY_NOT_FOUND", "No such key", "no key of this deployment has that id")
    }

    /// A path that is there, with another method.
    pub fn method_not_allowed(allowed: &str) -> Self {
        Self::new(405, "METHOD_NOT_ALLOWED", "Method not allowed", format!("allowed here: {allowed}"))
            .header("Allow", allowed)
    }

    /// The answer for a verdict that is not `VALID`, to an outsider. `scopes` are those that were needed.
    pub fn of_verdict(code: Code, scopes: &[&str]) -> Self {
        let forbidden = |title, detail: &str| Self::new(403, code.as_str(), title, detail);
        match code {
            Code::IpNotAllowed => {
                forbidden("Not from this address", "the key is not allowed from the address of this call")
            }
            Code::CountryNotAllowed => {
                forbidden("Not from this country", "the key is not allowed from the country of this call")
            }
            Code::OriginNotAllowed => {
                forbidden("Not from this origin", "the key is not allowed from the origin of this call")
            }
            Code::InsufficientScope => Self::scope_needed(&scopes.join(" ")),
            Code::Unavailable => Self::unavailable(),
            Code::RateLimited => Self::new(429, code.as_str(), "Too many calls", "a rate limit of the key is reached"),
            Code::QuotaExceeded => Self::new(429, code.as_str(), "No calls left", "a quota of the key is spent"),
            _ => Self::not_accepted(),
        }
    }

    /// The answer for a verdict on the proxy's own key. That the caller's was not refused has to be plain: he can do nothing.
    pub fn of_proxy(code: Code, scope: &str) -> Self {
        let problem = Self::of_verdict(code, &[scope]);
        if problem.status == 503 {
            return problem;
        }
        let detail = format!("refused was not the caller's key but the one in Keyward-Proxy: {}", problem.detail);
        Self::new(problem.status, "PROXY_NOT_ACCEPTED", "The proxy's key is not accepted", detail)
            .header("WWW-Authenticate", r#"Bearer realm="keyward proxy""#)
    }

    /// The response.
    pub fn respond(self, request: &Request) -> JsValue {
        let kebab = self.code.to_ascii_lowercase().replace('_', "-");
        let mut document = Map::new();
        document.insert("type".into(), format!("urn:keyward:problem:{kebab}").into());
        document.insert("title".into(), self.title.into());
        document.insert("status".into(), self.status.into());
        document.insert("detail".into(), self.detail.into());
        document.insert("code".into(), self.code.into());
        document.insert("request_id".into(), request.id().into());
        document.extend(self.extra.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let body = format!("{}\n", Value::Object(document));
        answer(request, self.status, "application/problem+json", &self.headers, &body)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let mut problem = Self::invalid(&invalid.to_string());
        if !invalid.field.is_empty() {
            problem.extra.push(("field", invalid.field.into()));
        }
        problem
    }
}

/// An answer of whatever kind.
pub fn answer(request: &Request, status: u16, kind: &str, headers: &[(&'static str, String)], body: &str) -> JsValue {
    let mut pairs = vec!["Content-Type".to_owned(), kind.to_owned(), "Cache-Control".to_owned(), "no-store".to_owned()];
    let warning = request.warning().map(|warning| (WARNING, warning));
    for (name, value) in headers.iter().chain(warning.as_ref()).chain(&request.limits()) {
        pairs.extend([(*name).to_owned(), value.clone()]);
    }
    host::respond(&host::prepare(status, pairs), request.number(), Some(body))
}

/// An answer without a kind of its own.
pub fn answer_with(request: &Request, status: u16, headers: &[(&'static str, String)], body: Option<&str>) -> JsValue {
    let own = ("Cache-Control", "no-store".to_owned());
    let pairs = std::iter::once(&own).chain(headers).flat_map(|(name, value)| [(*name).to_owned(), value.clone()]);
    host::respond(&host::prepare(status, pairs.collect()), request.number(), body)
}

/// A JSON answer.
pub fn json(request: &Request, status: u16, body: &Value) -> JsValue {
    answer(request, status, "application/json", &[], &format!("{body}\n"))
}

/// A JSON 200 whose body is written already.
pub fn json_body(request: &Request, body: &str) -> JsValue {
    if request.warning().is_some() || !request.limits().is_empty() {
        return answer(request, 200, "application/json", &[], body);
    }
    thread_local! {
        static PREPARED: JsValue = host::prepare(
            200,
            ["Content-Type", "application/json", "Cache-Control", "no-store"].map(str::to_owned).to_vec(),
        );
    }
    PREPARED.with(|prepared| host::respond(prepared, request.number(), Some(body)))
}

/// Writes the precise reason of a refusal to the owner's log.
pub fn log_refusal(request: &Request, code: Code, key: &str) {
    let line = json!({"event": "refused", "request_id": request.id(), "code": code.as_str(), "key": key});
    worker::console_log!("{line}");
}

/// Numbers the requests of this isolate, from 0 to 36⁶ and around.
pub fn next_number() -> u32 {
    thread_local! {
        static NEXT: Cell<u32> = {
            // Before any number is used: `host.js` writes ids from it.
            host::set_prefix(&request_id(0)[.."req_".len() + 12]);
            Cell::new(0)
        };
    }
    NEXT.with(|next| next.replace((next.get() + 1) % 36u32.pow(6)))
}

/// The id of request `number`: `req_`, 12 random characters of this isolate, then the number in base 36. `host.js` writes
/// the same text by itself, so that an accepted call carries no string across.
pub fn request_id(number: u32) -> String {
    thread_local! {
        static PREFIX: String = {
            let mut random = [0u8; 12];
            // A weak prefix would only make ids less unique; requests are still answered.
            let _ = getrandom::fill(&mut random);
            random.iter().fold("req_".to_owned(), |text, byte| text + &digit(u32::from(*byte)).to_string())
        };
    }
    let mut digits = [' '; 6];
    let mut rest = number;
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= 36;
    }
    PREFIX.with(|prefix| prefix.chars().chain(digits).collect())
}

fn digit(number: u32) -> char {
    char::from_digit(number % 36, 36).unwrap_or('0')
}
