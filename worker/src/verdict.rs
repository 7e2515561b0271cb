//! `POST /v1/keys/verify`: the verdict on somebody else's caller.

use crate::api::{Answer, Call, dispatch, later};
use crate::edge::{About, Caller, Isolate, Mode, Verified};
use crate::host::{self, Body, clock};
use crate::request::{Credential, MOST_BODY, Request, body_text};
use crate::response::{Problem, json_body};
use keyward::allowance::{Left, MOST_COST, Quota, RateLimit};
use keyward::draft::{COUNTRY, NEEDED, SCOPES};
use keyward::error::Invalid;
use keyward::fields::Fields;
use keyward::lease::ABSENT_SECONDS;
use keyward::network::is_country;
use keyward::record::Record;
use keyward::scope::Needed;
use keyward::verify::Code;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};
use std::net::IpAddr;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;

/// The scope that verifying needs.
pub const SCOPE: &str = "keyward.keys:verify";

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
    // As JSON has it: 1.0 is a whole number.
    #[serde(default)]
    cost: Option<f64>,
}

impl<'a> Question<'a> {
    /// Reads the text in one pass; where that fails, a second, slower reading finds words for why. The parser's own
    /// would repeat the input, and the input holds a key.
    fn read(text: &'a str, environments: &[String]) -> Result<Self, Problem> {
        let question: Self = serde_json::from_str(text).map_err(|_| Self::explain(text, environments))?;
        let too_many = question.scopes.as_ref().is_some_and(|scopes| scopes.len() > SCOPES);
        let no_line = |origin: &Cow<'_, str>| {
            origin.trim().is_empty() || origin.chars().count() > ORIGIN || origin.chars().any(char::is_control)
        };
        let unsound =
            question.cost.is_some_and(|cost| !(0.0..=MOST_COST as f64).contains(&cost) || cost.fract() != 0.0);
        if too_many || unsound || question.origin.as_ref().is_some_and(no_line) {
            return Err(Self::explain(text, environments));
        }
        Ok(question)
    }

    fn explain(text: &str, environments: &[String]) -> Problem {
        let explained = || {
            let value = serde_json::from_str(text).map_err(|_| Invalid::new("", "the body is not JSON"))?;
            let mut fields = Fields::of(value)?;
            take(&mut fields, environments)?;
            fields.end()
        };
        match explained() {
            Err(invalid) => invalid.into(),
            Ok(()) => Problem::invalid("a field is given twice"),
        }
    }

    fn cost(&self) -> u64 {
        self.cost.map_or(1, |cost| cost as u64)
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

/// Most characters of an origin.
const ORIGIN: usize = 260;

/// What a question takes.
pub fn take(fields: &mut Fields, environments: &[String]) -> Result<(), Invalid> {
    fields.required_text("key")?;
    fields.list("scopes", SCOPES, &NEEDED, |text| Needed::parse(text).map(|_| ()).map_err(str::to_owned))?;
    fields.line("ip", 45)?;
    fields.shaped("country", &COUNTRY)?;
    fields.line("origin", ORIGIN)?;
    fields.one_of("environment", environments)?;
    fields.whole("cost", 0, MOST_COST)?;
    Ok(())
}

/// The facts that a question gives about somebody else's caller.
struct Told<'a> {
    question: &'a Question<'a>,
    address: Option<IpAddr>,
}

impl Caller for Told<'_> {
    fn place(&self) -> (Option<IpAddr>, Option<String>) {
        (self.address, self.question.country.as_deref().map(str::to_owned))
    }

    fn network(&self) -> (Option<IpAddr>, Option<String>, Option<String>) {
        let owned = |value: &Option<Cow<'_, str>>| value.as_deref().map(str::to_owned);
        (self.address, owned(&self.question.country), owned(&self.question.origin))
    }
}

/// `POST /v1/keys/verify`, where it can be answered as soon as the body is there: method and caller are in order by what
/// is in hand. Everything else takes the long way, which comes to the same answers.
pub fn verify_at_once(isolate: Rc<Isolate>, request: Request) -> JsValue {
    thread_local! {
        static GO_ON: JsValue = Closure::<dyn Fn(host::Request, JsValue) -> JsValue>::new(go_on).into_js_value();
    }
    let in_order = request.host.method() == "POST"
        && !request.has_key_in_url(&isolate.config.foreign)
        && match (request.credential(), Needed::parse(SCOPE)) {
            (Credential::Bearer(text), Ok(needed)) => {
                // Not charged here: a caller with limits, or with something to hear, takes the long way.
                let about = About { environment: None, needed: &[needed], caller: &request, cost: 0, via: "api" };
                isolate.verify_now(&text, about).is_some_and(|verified| {
                    verified.code == Code::Valid && verified.warning().is_none() && verified.limited().is_none()
                })
            }
            _ => false,
        };
    match in_order {
        true => GO_ON.with(|go_on| host::with_body(&request.host, MOST_BODY, go_on)),
        false => later(isolate, request, async |isolate, request| dispatch(isolate, request).await),
    }
}

/// The rest of [`verify_at_once`]: from the leases, or by asking for the subject.
fn go_on(request: host::Request, body: JsValue) -> JsValue {
    let request = Request::new(request);
    let Ok(isolate) = Isolate::current() else { return Problem::unavailable().respond(&request) };
    let text = match body_text(Body::of(&body), MOST_BODY) {
        Ok(text) => text,
        Err(problem) => return problem.respond(&request),
    };
    let at_once = Question::read(&text, &isolate.config.environments).and_then(|question| {
        let (needed, told) = (question.needed()?, question.told()?);
        let environment = isolate.config.known_environment(question.environment.as_deref())?;
        let about = About { environment, needed: &needed, caller: &told, cost: question.cost(), via: "verify" };
        Ok(if request.wants_fresh() { None } else { isolate.verify_now(&question.key, about) })
    });
    match at_once {
        Ok(Some(verified)) => json_body(&request, &verdict_json(&verified)),
        Ok(None) => later(isolate, request, async move |isolate, request| verdict(isolate, request, &text).await),
        Err(problem) => problem.respond(&request),
    }
}

/// `POST /v1/keys/verify`
pub async fn verify(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let text = call.request.json_text().await?;
    verdict(call.isolate, call.request, &text).await
}

/// The answer to a question, for a caller who may ask it.
async fn verdict(isolate: &Isolate, request: &Request, text: &str) -> Answer {
    let question = Question::read(text, &isolate.config.environments)?;
    let (needed, told) = (question.needed()?, question.told()?);
    let environment = isolate.config.known_environment(question.environment.as_deref())?;
    let about = About { environment, needed: &needed, caller: &told, cost: question.cost(), via: "verify" };
    let verified = isolate.verify(request.id(), &question.key, about, request.wants_fresh()).await;
    Ok(json_body(request, &verdict_json(&verified)))
}

/// How the last member of a verdict begins.
const FRESHNESS: &str = r#""freshness":{"mode":"#;

fn verdict_json(verified: &Verified) -> String {
    const NOBODY: &str = r#""key_id":null,"name":null,"owner":null,"environment":null,"scopes":null,"expires_at":null,"metadata":null,"limits":null,"quotas":null,"freshness":{"mode":"#;
    let mut out = String::with_capacity(512);
    let valid = verified.code == Code::Valid;
    // Writing to a string cannot fail.
    let _ = write!(out, r#"{{"valid":{valid},"code":"{}","#, verified.code.as_str());
    let leased = verified.leased.as_deref();
    match leased.and_then(|leased| leased.key()).filter(|_| verified.code != Code::NotFound) {
        Some(key) => out.push_str(leased.map_or("", |leased| leased.members.get_or_init(|| members(&key.record)))),
        None => out.push_str(NOBODY),
    }
    // Before the freshness, which comes last and is still open.
    let at = out.len() - FRESHNESS.len();
    if let Some(warning) = verified.warning() {
        out.insert_str(at, &format!(r#""warning":{},"#, json!(warning)));
    }
    let ruled = leased.and_then(|leased| leased.key()).is_some_and(|key| key.record.rules().any());
    match verified.limited() {
        Some((record, left)) => out.insert_str(at, &limits(record, &left, verified)),
        None if ruled && verified.code != Code::NotFound => out.insert_str(at, r#""limits":null,"quotas":null,"#),
        None => {}
    }
    let mode = match verified.mode {
        Mode::Offline => "offline",
        Mode::Lease => "lease",
        Mode::Authority => "authority",
    };
    let _ = match leased {
        None => write!(out, r#""{mode}","as_of":null,"max_staleness_seconds":null,"lease_remaining_ms":0}}}}"#),
        Some(leased) => {
            let staleness = leased.key().map_or(ABSENT_SECONDS, |key| key.record.max_staleness_seconds);
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

/// The members of a verdict that tell of limits. Written by hand, since every call pays for it; names of rules are words, which
/// need no escapes.
fn limits(record: &Record, left: &[Left], verified: &Verified) -> String {
    let of = |name: &str| left.iter().find(|left| left.name == name);
    let calls = |left: Option<&Left>| left.map_or(0, |left| left.calls);
    let seconds = |ms: Option<i64>| ms.map_or(-1, |ms| (ms + 999) / 1_000);
    let mut out = String::with_capacity(384);
    // Writing to a string cannot fail.
    let _ = write!(out, r#""limits":["#);
    for (i, RateLimit { name, limit, window_seconds, burst, mode }) in record.rate_limits.iter().enumerate() {
        let (comma, mode, left) = (if i > 0 { "," } else { "" }, mode.as_str(), of(name));
        let _ = write!(
            out,
            r#"{comma}{{"name":"{name}","limit":{limit},"window_seconds":{window_seconds},"burst":{burst},"mode":"{mode}","remaining":{},"full_in_seconds":{}}}"#,
            calls(left),
            OrNull(seconds(left.and_then(|left| left.full_in_ms)))
        );
    }
    let _ = write!(out, r#"],"quotas":["#);
    for (i, Quota { name, limit, period }) in record.quotas.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(
            out,
            r#"{comma}{{"name":"{name}","limit":{limit},"period":"{}","remaining":{},"resets_at":"#,
            period.as_str(),
            calls(of(name))
        );
        let _ = match period.around(clock()).1 {
            Some(resets_at) => write!(out, r#""{resets_at}"}}"#),
            None => write!(out, "null}}"),
        };
    }
    out.push_str("],");
    if let Some(denied) = &verified.denied {
        let retry = OrNull(seconds(denied.retry_ms));
        let _ = write!(out, r#""denied_by":"{}","retry_after_seconds":{retry},"#, denied.name);
    }
    out
}

/// A number of seconds, or `null` for a negative one.
struct OrNull(i64);

impl Display for OrNull {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 < 0 { f.write_str("null") } else { self.0.fmt(f) }
    }
}

/// The members of a verdict that come from the record and stay the same for a lease, up to the freshness.
fn members(record: &Record) -> String {
    let text = |value: &Value| value.to_string();
    // What limits leave is another with each call.
    let none = if record.rules().any() { "" } else { r#""limits":[],"quotas":[],"# };
    format!(
        r#""key_id":{},"name":{},"owner":{},"environment":{},"scopes":{},"expires_at":{},"metadata":{},{none}"freshness":{{"mode":"#,
        text(&json!(record.id)),
        text(&json!(record.name)),
        text(&json!(record.owner)),
        text(&json!(record.environment)),
        text(&json!(record.scopes)),
        text(&json!(record.expires_at)),
        text(&json!(record.metadata)),
    )
}
