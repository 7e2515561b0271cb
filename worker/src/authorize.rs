//! `ANY /v1/authorize?scope=…`: forward authentication for a proxy. The caller's own key, in `Authorization: Bearer` only.
//! Answered synchronously from a lease in hand; this is the path that everything else is measured by.
//!
//! A proxy that presents a key of its own in `Keyward-Proxy` is believed where its caller is.

use crate::api::{Answer, later};
use crate::config::Config;
use crate::edge::{About, Isolate, Mode, Verified};
use crate::host;
use crate::request::Request;
use crate::response::{Problem, WARNING, log_refusal};
use keyward::error::Invalid;
use keyward::key::KeyText;
use keyward::record::Record;
use keyward::scope::Needed;
use keyward::verify::Code;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// The scope that a proxy's own key needs.
pub const PROXY: &str = "keyward.authorize:proxy";

/// What the proxy asks for beside the key.
#[derive(Default)]
struct Wanted {
    scopes: Vec<String>,
    environment: Option<String>,
}

impl Wanted {
    fn read(request: &Request, config: &Config) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in request.query() {
            match &*name {
                "scope" => {
                    Needed::parse(&value).map_err(|problem| Invalid::new("scope", problem))?;
                    wanted.scopes.push(value.into_owned());
                }
                "environment" => wanted.environment = Some(value.into_owned()),
                _ => return Err(Invalid::new("", "the query takes scope and environment").into()),
            }
        }
        config.known_environment(wanted.environment.as_deref())?;
        Ok(wanted)
    }

    fn needed(&self) -> Vec<Needed<'_>> {
        self.scopes.iter().filter_map(|scope| Needed::parse(scope).ok()).collect()
    }

    fn about<'a>(&'a self, caller: &'a Request, needed: &'a [Needed<'a>]) -> About<'a> {
        About { environment: self.environment.as_deref(), needed, caller, cost: 1, via: "authorize" }
    }
}

pub fn authorize(isolate: Rc<Isolate>, request: Request) -> JsValue {
    let refuse = |problem: Problem| with_status(problem).respond(&request);
    if request.has_key_in_url(&isolate.config.foreign) {
        return refuse(Problem::key_in_url());
    }
    let wanted = match Wanted::read(&request, &isolate.config) {
        Ok(wanted) => wanted,
        Err(problem) => return refuse(problem),
    };
    // Looked for in every call, though the address decides over few of them: a proxy whose key is refused must hear so on its
    // first call, and not when the first key comes that is restricted to addresses. It costs a quarter of a µs of some 70.
    let proxy = request.proxy();
    if proxy.is_none() {
        let key = match request.bearer() {
            Ok(key) => key,
            Err(problem) => return refuse(problem),
        };
        if let Some(verified) = isolate.verify_now(&key, wanted.about(&request, &wanted.needed())) {
            return answer(&isolate, &request, &wanted, &key, &verified);
        }
    }
    later(isolate, request, async move |isolate, request| {
        decide(isolate, request, &wanted, proxy.as_deref()).await.map_err(with_status)
    })
}

/// The answer where something has to be asked for, or a proxy believed first.
async fn decide(isolate: &Isolate, request: &Request, wanted: &Wanted, proxy: Option<&str>) -> Answer {
    if let Some(key) = proxy {
        // Before anything is forwarded: a proxy's own key is judged by where the proxy is.
        let needed: Vec<Needed<'_>> = Needed::parse(PROXY).into_iter().collect();
        let about = About { environment: None, needed: &needed, caller: request, cost: 1, via: "authorize" };
        let verified = isolate.verify(request.id(), key, about, false).await;
        if verified.code != Code::Valid {
            log(isolate, request, key, &verified);
            return Err(Problem::of_proxy(verified.code, PROXY));
        }
        request.forward()?;
    }
    let key = request.bearer()?;
    let verified = isolate.verify(request.id(), &key, wanted.about(request, &wanted.needed()), false).await;
    Ok(answer(isolate, request, wanted, &key, &verified))
}

fn answer(isolate: &Isolate, request: &Request, wanted: &Wanted, key: &str, verified: &Verified) -> JsValue {
    let accepted = match (&verified.leased, verified.secret) {
        (Some(leased), Some(secret)) if verified.code == Code::Valid => leased.accepted.get(secret).zip(leased.key()),
        _ => None,
    };
    request.tell(verified);
    match (accepted, verified.code) {
        (Some((_, key)), _) if !request.limits().is_empty() => {
            host::respond(&prepare(&key.record, verified.warning(), request.limits()), request.number(), None)
        }
        (Some((prepared, key)), _) => {
            let prepared = prepared.get_or_init(|| prepare(&key.record, verified.warning(), Vec::new()));
            host::respond(prepared, request.number(), None)
        }
        (None, code) => {
            log(isolate, request, key, verified);
            let scopes: Vec<&str> = wanted.scopes.iter().map(String::as_str).collect();
            with_status(Problem::of_verdict(code, &scopes)).respond(request)
        }
    }
}

/// A text that was never issued here is anybody's noise; a refused key is its owner's business.
fn log(isolate: &Isolate, request: &Request, key: &str, verified: &Verified) {
    if verified.mode != Mode::Offline
        && let Ok(parts) = KeyText::parse(key, Some(&isolate.config.brand))
    {
        log_refusal(request, verified.code, &parts.redacted());
    }
}

/// The status again as a header: nginx's `auth_request` turns everything but 2xx, 401 and 403 into 500.
fn with_status(problem: Problem) -> Problem {
    let status = problem.status.to_string();
    problem.header("Keyward-Status", status)
}

fn prepare(record: &Record, warning: Option<String>, limits: Vec<(&'static str, String)>) -> JsValue {
    let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut pairs = vec![
        ("Cache-Control", "no-store".to_owned()),
        ("Keyward-Status", "200".to_owned()),
        ("Keyward-Key-Id", record.id.clone()),
        ("Keyward-Owner", header_safe(&record.owner)),
        ("Keyward-Scopes", scopes.join(" ")),
    ];
    pairs.extend(warning.map(|warning| (WARNING, warning)));
    pairs.extend(limits);
    host::prepare(200, pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect())
}

/// A text as a header value: what is not printable ASCII, and `%`, percent-encoded as UTF-8 (RFC 3986 §2.1).
fn header_safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => safe.push(char::from(byte)),
            _ => safe.push_str(&format!("%{byte:02X}")),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_owner_fits_into_a_header() {
        assert_eq!(super::header_safe("Acme Ltd."), "Acme Ltd.");
        assert_eq!(super::header_safe("Münz 5%\u{1F600}"), "M%C3%BCnz 5%25%F0%9F%98%80");
    }
}
