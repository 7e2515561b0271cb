//! The endpoints: which path and method is which, what each needs of the caller, what it answers.

use crate::authorize::authorize;
use crate::edge::{Caller, Isolate, Leased, Mode, Verified};
use crate::host::{self, Body, clock};
use crate::messages::{FromKey, FromProject, ToKey, ToProject};
use crate::request::{Credential, MOST_BODY, Request, json_text};
use crate::response::{Problem, json, json_body, log_refusal};
use keyward::draft::Draft;
use keyward::error::Invalid;
use keyward::fields::Fields;
use keyward::key::{Key, KeyText, is_id};
use keyward::life::{Actor, Change};
use keyward::network::is_country;
use keyward::record::{Record, StoredKey};
use keyward::scope::{Needed, Scope, beyond};
use keyward::verify::Code;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::future_to_promise;

/// The scope that verifying needs.
const VERIFY: &str = "keyward.keys:verify";

/// Endpoints that wait for something: their answer, or the problem to answer instead.
type Answer = Result<JsValue, Problem>;

/// Answers a request.
pub fn route(isolate: Rc<Isolate>, request: Request) -> JsValue {
    match request.path() {
        "/v1/authorize" => authorize(isolate, request),
        "/v1/keys/verify" => verify_at_once(isolate, request),
        _ => later(isolate, request, async |isolate, request| answer(isolate, request).await),
    }
}

/// A promise of an endpoint's answer.
fn later(
    isolate: Rc<Isolate>,
    request: Request,
    endpoint: impl AsyncFnOnce(&Isolate, &Request) -> Answer + 'static,
) -> JsValue {
    future_to_promise(async move {
        Ok(match endpoint(&isolate, &request).await {
            Ok(response) => response,
            Err(problem) => problem.respond(&request),
        })
    })
    .into()
}

async fn answer(isolate: &Isolate, request: &Request) -> Answer {
    // As it was sent: what maps unknown methods to GET must not decide what a request does.
    let method = request.host.method();
    let path = request.path();
    if request.has_key_in_url() {
        return Err(Problem::key_in_url());
    }
    let only = |allowed: &'static str| match allowed.split(", ").any(|one| one == method) {
        true => Ok(()),
        false => Err(Problem::method_not_allowed(allowed)),
    };
    let Some(rest) = path.strip_prefix("/v1/") else {
        if path == "/healthz" {
            only("GET, HEAD")?;
            return Ok(json(request, 200, &json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})));
        }
        if matches!(&*method, "GET" | "HEAD") {
            return host::asset(&isolate.env, &request.host).await.ok_or_else(not_found);
        }
        return Err(not_found());
    };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        ["keys"] => {
            only("GET, POST")?;
            if method == "POST" { create(isolate, request).await } else { list(isolate, request).await }
        }
        ["keys", "verify"] => {
            only("POST")?;
            verify(isolate, request).await
        }
        ["keys", id] => {
            only("GET")?;
            read(isolate, request, id).await
        }
        ["keys", id, change @ ("disable" | "enable" | "revoke")] => {
            only("POST")?;
            self::change(isolate, request, id, change).await
        }
        ["audit"] => {
            only("GET")?;
            audit(isolate, request).await
        }
        _ => Err(not_found()),
    }
}

fn not_found() -> Problem {
    Problem::new(404, "NOT_FOUND", "Nothing here", "no endpoint has this path")
}

/// A management key that may do what it asks for.
struct Manager {
    id: String,
    leased: Rc<Leased>,
}

impl Manager {
    fn scopes(&self) -> &[Scope] {
        self.leased.key.as_ref().map_or(&[], |key| &key.record.scopes)
    }

    fn actor(&self, request: &Request) -> Actor {
        Actor { key_id: self.id.clone(), request_id: request.id().to_owned() }
    }
}

/// Authenticates the caller's own key and asks for one of keyward's scopes.
async fn manager(isolate: &Isolate, request: &Request, scope: &'static str) -> Result<Manager, Problem> {
    let text = match request.credential() {
        Credential::Bearer(text) => text,
        Credential::None | Credential::NotBearer => return Err(Problem::no_credential()),
        Credential::Several => return Err(Problem::several_credentials()),
    };
    let needed: Vec<Needed<'_>> = Needed::parse(scope).into_iter().collect();
    let verified = isolate.verify(request.id(), &text, None, &needed, request).await;
    match (verified.code, verified.leased, KeyText::parse(&text, None)) {
        (Code::Valid, Some(leased), Ok(key)) => Ok(Manager { id: key.id.to_owned(), leased }),
        (code, _, key) => {
            if verified.mode != Mode::Offline
                && let Ok(key) = key
            {
                log_refusal(request, code, &key.redacted());
            }
            Err(Problem::of_verdict(code, &[scope]))
        }
    }
}

async fn body(request: &Request) -> Result<Value, Problem> {
    let text = request.json_text().await?;
    serde_json::from_str(&text).map_err(|error| {
        // The parser's words may repeat the input; where it stopped is enough to find the place.
        Problem::invalid(&format!("the body is not JSON: line {}, column {}", error.line(), error.column()))
    })
}

fn random(bytes: &mut [u8]) {
    // Without randomness no key may be made; the entry answers 500.
    getrandom::fill(bytes).unwrap_or_else(|_| panic!("the runtime has no randomness"));
}

/// `POST /v1/keys`
async fn create(isolate: &Isolate, request: &Request) -> Answer {
    let manager = manager(isolate, request, "keyward.keys:write").await?;
    let config = &isolate.config;
    let draft = Draft::read(body(request).await?, &config.environments, clock())?;
    #[cfg(feature = "fault-injection")]
    crate::faults::in_handler(&draft);
    if let Some(scope) = beyond(manager.scopes(), &draft.scopes) {
        return Err(not_held(scope));
    }
    // An id drawn twice is answered `Taken`; three in a row do not happen.
    for _ in 0..3 {
        let key = Key::generate(&config.brand, &draft.environment, Some(&config.tags), &mut random)?;
        let parts = key.parts();
        let stored = StoredKey {
            record: draft.clone().into_record(parts.id, &config.brand, clock()),
            secrets: vec![config.peppers.digest(&parts)],
        };
        let message = ToKey::Create { key: Box::new(stored), by: manager.actor(request) };
        match isolate.to_key(parts.id, &message).await {
            Ok(FromKey::Record { record }) => {
                let mut answer = Map::new();
                answer.insert("id".into(), parts.id.into());
                answer.insert("key".into(), key.expose().into());
                answer.extend(record.shown(clock()).as_object().cloned().unwrap_or_default());
                return Ok(json(request, 201, &Value::Object(answer)));
            }
            Ok(FromKey::Taken) => {}
            _ => return Err(Problem::unavailable()),
        }
    }
    Err(Problem::unavailable())
}

fn not_held(scope: &Scope) -> Problem {
    let detail = format!("{} can only be granted or enabled by a key that holds it", scope.as_str());
    Problem::new(403, "SCOPE_NOT_HELD", "The key does not hold that scope itself", detail)
}

/// An id that this deployment made; any other is answered without asking an object.
fn known_id<'a>(isolate: &Isolate, id: &'a str) -> Result<&'a str, Problem> {
    match is_id(id) && isolate.config.issued_in_any(id) {
        true => Ok(id),
        false => Err(Problem::no_such_key()),
    }
}

/// `GET /v1/keys/{id}`
async fn read(isolate: &Isolate, request: &Request, id: &str) -> Answer {
    manager(isolate, request, "keyward.keys:read").await?;
    match isolate.to_key(known_id(isolate, id)?, &ToKey::Read).await {
        Ok(FromKey::Record { record }) => Ok(json(request, 200, &record.shown(clock()))),
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// `POST /v1/keys/{id}/disable`, `/enable`, `/revoke`
async fn change(isolate: &Isolate, request: &Request, id: &str, name: &str) -> Answer {
    let manager = manager(isolate, request, "keyward.keys:write").await?;
    let text = request.json_text().await?;
    let mut fields = Fields::of(match text.trim().is_empty() {
        true => json!({}),
        false => serde_json::from_str(&text).map_err(|_| Problem::invalid("the body is not JSON"))?,
    })?;
    let change = match name {
        "disable" => Change::Disable,
        "enable" => Change::Enable,
        _ => Change::Revoke { reason: fields.line("reason", 500)? },
    };
    fields.end()?;
    let by = manager.actor(request);
    let message = ToKey::Change { change, by, held: manager.scopes().to_vec() };
    let reply = isolate.to_key(known_id(isolate, id)?, &message).await;
    isolate.forget(id);
    match reply {
        Ok(FromKey::Changed { receipt: Some(receipt), .. }) => Ok(json(request, 200, &json!(receipt))),
        Ok(FromKey::Changed { record, receipt: None }) => Ok(json(request, 200, &record.shown(clock()))),
        Ok(FromKey::Refused { .. }) => {
            Err(Problem::new(409, "KEY_REVOKED", "The key is revoked", "revocation is final; create another key"))
        }
        Ok(FromKey::Forbidden { scope }) => Err(not_held(&scope)),
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// `limit` and `cursor` of a list.
fn page(request: &Request) -> Result<(u32, Option<u64>), Problem> {
    let (mut limit, mut before) = (50, None);
    for (name, value) in request.query() {
        match &*name {
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=100).contains(limit))
                    .ok_or_else(|| Invalid::new("limit", "must be a whole number from 1 to 100"))?;
            }
            "cursor" => {
                let known = value.len() <= 14 && value.bytes().all(|b| b.is_ascii_hexdigit());
                let position = u64::from_str_radix(&value, 16).ok().filter(|p| known && *p < 1 << 53);
                before = Some(position.ok_or_else(|| Invalid::new("cursor", "must be a next_cursor of this list"))?);
            }
            _ => return Err(Invalid::new("", "the query takes limit and cursor").into()),
        }
    }
    Ok((limit, before))
}

fn listed(request: &Request, rows: Vec<Value>, next: Option<u64>) -> JsValue {
    json(request, 200, &json!({"data": rows, "next_cursor": next.map(|position| format!("{position:x}"))}))
}

/// `GET /v1/keys`
async fn list(isolate: &Isolate, request: &Request) -> Answer {
    manager(isolate, request, "keyward.keys:read").await?;
    let (limit, before) = page(request)?;
    match isolate.to_project(&ToProject::List { limit, before }).await {
        Ok(FromProject::Page { rows, next }) => {
            let now = clock();
            let shown = |row| serde_json::from_value::<Record>(row).map(|record| record.shown(now));
            let rows = rows.into_iter().map(shown).collect::<Result<_, _>>().map_err(|_| Problem::unavailable())?;
            Ok(listed(request, rows, next))
        }
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/audit`
async fn audit(isolate: &Isolate, request: &Request) -> Answer {
    manager(isolate, request, "keyward.audit:read").await?;
    let (limit, before) = page(request)?;
    match isolate.to_project(&ToProject::Log { limit, before }).await {
        Ok(FromProject::Page { rows, next }) => Ok(listed(request, rows, next)),
        _ => Err(Problem::unavailable()),
    }
}

/// The body of `POST /v1/keys/verify`, borrowed from its text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    scopes: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    ip: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    country: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    origin: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    environment: Option<Cow<'a, str>>,
}

impl<'a> Question<'a> {
    /// Reads the text in one pass; where that fails, a second, slower reading finds words for why. The parser's own
    /// would repeat the input, and the input holds a key.
    fn read(text: &'a str) -> Result<Self, Problem> {
        let question: Self = serde_json::from_str(text).map_err(|_| Self::explain(text))?;
        if question.scopes.as_ref().is_some_and(|scopes| scopes.len() > keyward::draft::SCOPES) {
            return Err(Self::explain(text));
        }
        Ok(question)
    }

    fn explain(text: &str) -> Problem {
        let explained = || {
            let value = serde_json::from_str(text).map_err(|_| Invalid::new("", "the body is not JSON"))?;
            let mut fields = Fields::of(value)?;
            fields.required_text("key")?;
            fields.list("scopes", keyward::draft::SCOPES, |text| {
                Needed::parse(text).map(|_| ()).map_err(str::to_owned)
            })?;
            for (field, most) in [("ip", 45), ("country", 2), ("origin", 260), ("environment", 12)] {
                fields.line(field, most)?;
            }
            fields.end()
        };
        match explained() {
            Err(invalid) => invalid.into(),
            Ok(()) => Problem::invalid("a field is given twice"),
        }
    }

    fn needed(&self) -> Result<Vec<Needed<'_>>, Problem> {
        let scopes = self.scopes.iter().flatten().enumerate();
        scopes
            .map(|(index, scope)| {
                Needed::parse(scope).map_err(|problem| Invalid::new(format!("scopes[{index}]"), problem).into())
            })
            .collect()
    }

    fn told(&self) -> Result<Told<'_>, Problem> {
        let parse = |ip: &Cow<'_, str>| ip.parse().map_err(|_| Invalid::new("ip", "is no IPv4 or IPv6 address"));
        if self.country.as_deref().is_some_and(|country| !is_country(country)) {
            return Err(Invalid::new("country", "must be two capital letters, ISO 3166-1 alpha-2").into());
        }
        Ok(Told { question: self, address: self.ip.as_ref().map(parse).transpose()? })
    }
}

/// The facts that a question gives about somebody else's caller.
struct Told<'a> {
    question: &'a Question<'a>,
    address: Option<IpAddr>,
}

impl Caller for Told<'_> {
    fn network(&self) -> (Option<IpAddr>, Option<String>, Option<String>) {
        let owned = |value: &Option<Cow<'_, str>>| value.as_deref().map(str::to_owned);
        (self.address, owned(&self.question.country), owned(&self.question.origin))
    }
}

/// `POST /v1/keys/verify`, where it can be answered as soon as the body is there: method and caller are in order by what
/// is in hand. Everything else takes the long way, which comes to the same answers.
fn verify_at_once(isolate: Rc<Isolate>, request: Request) -> JsValue {
    thread_local! {
        static GO_ON: JsValue = Closure::<dyn Fn(host::Request, JsValue) -> JsValue>::new(go_on).into_js_value();
    }
    let in_order = request.host.method() == "POST"
        && !request.has_key_in_url()
        && match (request.credential(), Needed::parse(VERIFY)) {
            (Credential::Bearer(text), Ok(needed)) => isolate
                .verify_now(&text, None, &[needed], &request)
                .is_some_and(|verified| verified.code == Code::Valid),
            _ => false,
        };
    match in_order {
        true => GO_ON.with(|go_on| host::with_body(&request.host, MOST_BODY, go_on)),
        false => later(isolate, request, async |isolate, request| answer(isolate, request).await),
    }
}

/// The rest of [`verify_at_once`]: from the leases, or by asking for the subject.
fn go_on(request: host::Request, body: JsValue) -> JsValue {
    let request = Request::new(request);
    let Ok(isolate) = Isolate::current() else { return Problem::unavailable().respond(&request) };
    let text = match json_text(Body::of(&body)) {
        Ok(text) => text,
        Err(problem) => return problem.respond(&request),
    };
    let at_once = Question::read(&text).and_then(|question| {
        let (needed, told) = (question.needed()?, question.told()?);
        let environment = isolate.config.known_environment(question.environment.as_deref())?;
        Ok(isolate.verify_now(&question.key, environment, &needed, &told))
    });
    match at_once {
        Ok(Some(verified)) => json_body(&request, &verdict_json(&verified)),
        Ok(None) => later(isolate, request, async move |isolate, request| verdict(isolate, request, &text).await),
        Err(problem) => problem.respond(&request),
    }
}

/// `POST /v1/keys/verify`
async fn verify(isolate: &Isolate, request: &Request) -> Answer {
    manager(isolate, request, VERIFY).await?;
    let text = request.json_text().await?;
    verdict(isolate, request, &text).await
}

/// The answer to a question, for a caller who may ask it.
async fn verdict(isolate: &Isolate, request: &Request, text: &str) -> Answer {
    let question = Question::read(text)?;
    let (needed, told) = (question.needed()?, question.told()?);
    let environment = isolate.config.known_environment(question.environment.as_deref())?;
    let verified = isolate.verify(request.id(), &question.key, environment, &needed, &told).await;
    Ok(json_body(request, &verdict_json(&verified)))
}

fn verdict_json(verified: &Verified) -> String {
    const NOBODY: &str = r#""key_id":null,"name":null,"owner":null,"environment":null,"scopes":null,"expires_at":null,"metadata":null,"freshness":{"mode":"#;
    let mut out = String::with_capacity(512);
    let valid = verified.code == Code::Valid;
    // Writing to a string cannot fail.
    let _ = write!(out, r#"{{"valid":{valid},"code":"{}","#, verified.code.as_str());
    let leased = verified.leased.as_deref();
    match leased.and_then(|leased| leased.key.as_ref()).filter(|_| verified.code != Code::NotFound) {
        Some(key) => out.push_str(leased.map_or("", |leased| leased.members.get_or_init(|| members(&key.record)))),
        None => out.push_str(NOBODY),
    }
    let mode = match verified.mode {
        Mode::Offline => "offline",
        Mode::Lease => "lease",
        Mode::Authority => "authority",
    };
    let _ = match leased {
        None => write!(out, r#""{mode}","as_of":null,"max_staleness_seconds":null,"lease_remaining_ms":0}}}}"#),
        Some(leased) => {
            let staleness =
                leased.key.as_ref().map_or(keyward::draft::DEFAULT_STALENESS, |k| k.record.max_staleness_seconds);
            let remaining = (leased.ends_at.millis() - clock().millis()).max(0);
            let as_of = leased.as_of;
            write!(
                out,
                r#""{mode}","as_of":"{as_of}","max_staleness_seconds":{staleness},"lease_remaining_ms":{remaining}}}}}"#
            )
        }
    };
    out.push('\n');
    out
}

/// The members of a verdict that come from the record and stay the same for a lease, up to the freshness.
fn members(record: &Record) -> String {
    let text = |value: &Value| value.to_string();
    format!(
        r#""key_id":{},"name":{},"owner":{},"environment":{},"scopes":{},"expires_at":{},"metadata":{},"freshness":{{"mode":"#,
        text(&json!(record.id)),
        text(&json!(record.name)),
        text(&json!(record.owner)),
        text(&json!(record.environment)),
        text(&json!(record.scopes)),
        text(&json!(record.expires_at)),
        text(&json!(record.metadata)),
    )
}
