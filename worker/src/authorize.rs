//! `ANY /v1/authorize?scope=…`: forward authentication for a proxy. The caller's own key, in `Authorization: Bearer` only.
//! Answered synchronously from a lease in hand; this is the path that everything else is measured by.

use crate::config::Config;
use crate::edge::{About, Isolate, Mode, Verified};
use crate::host;
use crate::request::{Credential, Request};
use crate::response::{Problem, WARNING, log_refusal};
use keyward::error::Invalid;
use keyward::key::KeyText;
use keyward::record::Record;
use keyward::scope::Needed;
use keyward::verify::Code;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;

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
    let key = match request.credential() {
        Credential::Bearer(key) => key,
        Credential::None | Credential::NotBearer => return refuse(Problem::no_credential()),
        Credential::Several => return refuse(Problem::several_credentials()),
    };
    {
        let about = About { environment: wanted.environment.as_deref(), needed: &wanted.needed(), caller: &request };
        if let Some(verified) = isolate.verify_now(&key, about) {
            return answer(&isolate, &request, &wanted, &key, &verified);
        }
    }
    future_to_promise(async move {
        let about = About { environment: wanted.environment.as_deref(), needed: &wanted.needed(), caller: &request };
        let verified = isolate.verify(request.id(), &key, about, false).await;
        Ok(answer(&isolate, &request, &wanted, &key, &verified))
    })
    .into()
}

fn answer(isolate: &Isolate, request: &Request, wanted: &Wanted, key: &str, verified: &Verified) -> JsValue {
    let accepted = match (&verified.leased, verified.secret) {
        (Some(leased), Some(secret)) if verified.code == Code::Valid => leased.accepted.get(secret).zip(leased.key()),
        _ => None,
    };
    match (accepted, verified.code) {
        (Some((prepared, key)), _) => {
            let prepared = prepared.get_or_init(|| prepare(&key.record, verified.warning()));
            host::respond(prepared, request.number(), None)
        }
        (None, code) => {
            // A text that was never issued here is anybody's noise; a refused key is its owner's business.
            if verified.mode != Mode::Offline
                && let Ok(parts) = KeyText::parse(key, Some(&isolate.config.brand))
            {
                log_refusal(request, code, &parts.redacted());
            }
            let scopes: Vec<&str> = wanted.scopes.iter().map(String::as_str).collect();
            with_status(Problem::of_verdict(code, &scopes)).respond(request)
        }
    }
}

/// The status again as a header: nginx's `auth_request` turns everything but 2xx, 401 and 403 into 500.
fn with_status(problem: Problem) -> Problem {
    let status = problem.status.to_string();
    problem.header("Keyward-Status", status)
}

fn prepare(record: &Record, warning: Option<String>) -> JsValue {
    let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut pairs = vec![
        ("Cache-Control", "no-store".to_owned()),
        ("Keyward-Status", "200".to_owned()),
        ("Keyward-Key-Id", record.id.clone()),
        ("Keyward-Owner", header_safe(&record.owner)),
        ("Keyward-Scopes", scopes.join(" ")),
    ];
    pairs.extend(warning.map(|warning| (WARNING, warning)));
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
