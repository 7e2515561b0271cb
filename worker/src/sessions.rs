//! `POST /v1/relay/sessions`: begins a session of a browser, for pages of a listed origin or for the app's own backend.

use crate::api::{Answer, later};
use crate::edge::{About, Isolate};
use crate::host::clock;
use crate::keys::random;
use crate::messages::{FromRoute, Spend, ToRoute};
use crate::relay::{
    SESSIONS_CREATE, allow_preflight, cookie_name, cors_headers, environment_of, limited, no_route, not_allowed_now,
    origin_not_listed, passes_turnstile_promise, with_cors,
};
use crate::request::{Credential, Request};
use crate::response::{Problem, answer};
use crate::route_table::LiveRoute;
use keyward::error::Invalid;
use keyward::fields::{Fields, Shape};
use keyward::limit::Limit;
use keyward::route::{Mint, Route, Sessions};
use keyward::scope::Needed;
use keyward::session::{Session, draw_id};
use keyward::verify::Code;
use serde_json::json;
use std::net::IpAddr;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

const ORIGIN: Shape = Shape { pattern: Some("^https?://[^/]+$"), most: 270, example: "https://shop.example" };

/// What a request for a session takes.
pub struct Asked {
    turnstile: Option<String>,
    origin: Option<String>,
    calls: Option<u32>,
    seconds: Option<u32>,
    cookie: bool,
}

/// Takes what a request for a session takes.
pub fn asked(fields: &mut Fields) -> Result<Asked, Invalid> {
    Ok(Asked {
        turnstile: fields.line("turnstile", 2_048)?,
        origin: fields.shaped("origin", &ORIGIN)?,
        calls: fields.whole("calls", 1, keyward::session::MOST_CALLS)?.map(|calls| calls as u32),
        seconds: fields.whole("seconds", 10, keyward::session::MOST_SECONDS)?.map(|seconds| seconds as u32),
        cookie: fields.flag("cookie")?,
    })
}

pub fn sessions(isolate: Rc<Isolate>, request: Request) -> JsValue {
    later(isolate, request, async |isolate, request| begin(isolate, request).await)
}

async fn begin(isolate: &Isolate, request: &Request) -> Answer {
    if request.has_key_in_url(&isolate.config.foreign) {
        return Err(Problem::key_in_url());
    }
    let mut query = request.query();
    let name = match (query.next(), query.next()) {
        (Some((name, route)), None) if name == "route" => route.into_owned(),
        _ => return Err(Invalid::new("route", "is the one parameter of the query: ?route=<name>").into()),
    };
    let post = request.host.method() == "POST" || request.preflight().is_some();
    let none = || if post { no_route() } else { Problem::method_not_allowed("POST") };
    let live = isolate.route(&name).await.map_err(|()| Problem::unavailable())?.ok_or_else(none)?;
    let Some(rules) = &live.route else { return Err(not_allowed_now()) };
    let origin = request.origin();
    let cors = cors_headers(rules, origin.as_deref());
    if let Some(method) = request.preflight() {
        return match (cors.is_empty(), method.as_str()) {
            (true, _) => Err(origin_not_listed()),
            (false, "POST") => Ok(allow_preflight(request, &cors, "POST")),
            _ => Err(with_cors(Problem::method_not_allowed("POST"), &cors)),
        };
    }
    if !post {
        return Err(with_cors(Problem::method_not_allowed("POST"), &cors));
    }
    let begun = match &rules.session {
        Some(session) => begin_for(isolate, request, &live, rules, session, &cors).await,
        None => Err(Problem::new(403, "NO_SESSIONS", "The route takes no sessions", "it is called with keys")),
    };
    begun.map_err(|problem| with_cors(problem, &cors))
}

async fn begin_for(
    isolate: &Isolate,
    request: &Request,
    live: &LiveRoute,
    rules: &Route,
    session: &Sessions,
    cors: &[(&'static str, String)],
) -> Answer {
    let text = request.json_text().await?;
    let body = if text.trim().is_empty() { json!({}) } else { crate::api::parse(&text)? };
    let mut fields = Fields::of(body)?;
    let asked = asked(&mut fields)?;
    fields.end()?;
    let Begun { parent, by, origin, mock, charges } = match request.credential() {
        Credential::Bearer(key) => by_backend(isolate, request, rules, session, &key, &asked).await?,
        Credential::None => by_origin(isolate, request, session, &asked)?,
        Credential::NotBearer => return Err(Problem::no_credential()),
        Credential::Several => return Err(Problem::several_credentials()),
    };
    let name = &live.stored.name;
    match isolate.to_route(&live.stored, &ToRoute::Spend { session: None, charges, by }).await {
        Ok(FromRoute::Spent { .. }) => {}
        Ok(FromRoute::Limited { retry_ms, news, .. }) => {
            isolate.announce_anomaly(name, news);
            return Err(limited(retry_ms));
        }
        _ => return Err(Problem::unavailable()),
    }
    // Last: a token is good for one question, and questions are within the budget, too.
    if parent.is_none() && session.mint == Mint::Turnstile {
        turnstile(isolate, asked.turnstile.as_deref(), request.client().0, &origin).await?;
    }
    let seconds = asked.seconds.map_or(session.seconds, |asked| asked.min(session.seconds));
    let begun = Session {
        id: draw_id(&mut random),
        route: name.clone(),
        made_at: live.stored.made_at,
        origin,
        ends_at: clock().plus_seconds(seconds.into()),
        calls: asked.calls.map_or(session.calls, |asked| asked.min(session.calls)),
        mock,
        parent,
    };
    let token = isolate.config.sessions.issue(&begun);
    let mut headers = cors.to_vec();
    let mut shown = json!({
        "route": name, "origin": begun.origin, "expires_at": begun.ends_at, "calls": begun.calls, "session_id": begun.id,
    });
    if asked.cookie {
        let cookie = cookie_name(name);
        let attributes = format!("Path=/r/{name}/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict");
        headers.push(("Set-Cookie", format!("{cookie}={token}; {attributes}")));
    } else {
        shown["token"] = token.into();
    }
    Ok(answer(request, 201, "application/json", &headers, &format!("{shown}\n")))
}

/// What a session begins with.
struct Begun {
    /// Id of the key of the backend that began it.
    parent: Option<String>,
    /// Who an anomaly is reported of: that key, or the network of the page's visitor.
    by: String,
    origin: String,
    mock: bool,
    charges: Vec<Spend>,
}

/// By the app's backend, with a key of its own.
async fn by_backend(
    isolate: &Isolate,
    request: &Request,
    rules: &Route,
    session: &Sessions,
    key: &str,
    asked: &Asked,
) -> Result<Begun, Problem> {
    let environment = environment_of(isolate, key, rules);
    let needed: Vec<Needed<'_>> = Needed::parse(SESSIONS_CREATE).into_iter().collect();
    let about = About { environment: Some(&environment), needed: &needed, caller: request, cost: 1, via: "session" };
    let verified = isolate.verify(request.id(), key, about, false).await;
    request.tell(&verified);
    let parent = match (verified.code, &verified.leased) {
        (Code::Valid, Some(leased)) => leased.id.clone(),
        (code, _) => return Err(Problem::of_verdict(code, &[SESSIONS_CREATE])),
    };
    let origin = match (&asked.origin, session.origins.as_slice()) {
        (Some(origin), _) if session.lists(origin) => origin.clone(),
        (None, [only]) => only.clone(),
        (Some(_), _) => return Err(Invalid::new("origin", "is not among the route's").into()),
        (None, _) => return Err(Invalid::new("origin", "is required: the route has several").into()),
    };
    let mock = isolate.config.mocks.contains(&environment);
    let mut charge = per_route(session.per_route);
    if mock {
        charge = Spend { bucket: format!("mock {}", charge.bucket), anomaly: None, ..charge };
    }
    Ok(Begun { by: parent.clone(), parent: Some(parent), origin, mock, charges: vec![charge] })
}

/// By a page of a listed origin. Its `Origin` proves nothing outside a browser, so that this is open only where the route says
/// so, and counted exactly.
fn by_origin(isolate: &Isolate, request: &Request, session: &Sessions, asked: &Asked) -> Result<Begun, Problem> {
    let Some(origin) = request.origin() else { return Err(Problem::no_credential()) };
    if !session.lists(&origin) {
        return Err(origin_not_listed());
    }
    if asked.origin.as_ref().is_some_and(|asked| *asked != origin) {
        return Err(Invalid::new("origin", "is the page's own").into());
    }
    match session.mint {
        Mint::Backend => {
            let detail = "only the app's backend begins sessions here, with a key that holds keyward.sessions:create";
            return Err(Problem::new(403, "SESSION_BY_BACKEND_ONLY", "Not from a page", detail));
        }
        Mint::Turnstile if isolate.config.turnstile.is_none() => return Err(no_turnstile("is not set")),
        Mint::Turnstile if asked.turnstile.is_none() => {
            return Err(Invalid::new("turnstile", "is required: the token of the page's widget").into());
        }
        Mint::Turnstile | Mint::Public => {}
    }
    let by = request.client().0.map_or_else(|| "unknown".to_owned(), network);
    let of_address = Spend { bucket: format!("address:{by}"), limit: session.per_address, anomaly: None };
    Ok(Begun { parent: None, by, origin, mock: false, charges: vec![of_address, per_route(session.per_route)] })
}

fn per_route(limit: Limit) -> Spend {
    Spend { bucket: "sessions".to_owned(), limit, anomaly: Some(("sessions".to_owned(), "route".to_owned())) }
}

/// The part of an address that its holder cannot change at will: of IPv6 the first 64 bits.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

async fn turnstile(
    isolate: &Isolate,
    token: Option<&str>,
    address: Option<IpAddr>,
    origin: &str,
) -> Result<(), Problem> {
    let Some((secret, url)) = &isolate.config.turnstile else { return Err(no_turnstile("is not set")) };
    let token = token.unwrap_or_default();
    let host = origin.split("://").nth(1).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let address = address.map(|address| address.to_string());
    let verified = JsFuture::from(passes_turnstile_promise(url, secret, token, address.as_deref(), host)).await;
    let said = verified.unwrap_or_default();
    match (said.as_bool(), said.as_string().as_deref()) {
        (Some(true), _) => Ok(()),
        (Some(false), _) => Err(Problem::new(
            403,
            "TURNSTILE_FAILED",
            "The check was not passed",
            "have the page's widget give a new token",
        )),
        (None, Some("SECRET")) => Err(no_turnstile("is none that Turnstile knows")),
        _ => Err(Problem::new(503, "UNAVAILABLE", "Not available right now", "Turnstile did not answer; try again")),
    }
}

fn no_turnstile(why: &str) -> Problem {
    let detail = format!("the route asks for Turnstile, and KEYWARD_TURNSTILE_SECRET {why}");
    Problem::new(503, "TURNSTILE_NOT_CONFIGURED", "Turnstile is not configured", detail)
}
