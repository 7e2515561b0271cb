//! Calls to routes: who calls, what may be asked, what it is charged, and where it goes. Each step is the core's decision;
//! the forwarding itself is the runtime's (`relay.js`).

use crate::api::{Answer, Call, later};
use crate::config::upstream_secret;
use crate::edge::{About, Isolate, Mode};
use crate::host::{self, clock};
use crate::messages::{FromRoute, SessionSpend, Spend, ToRoute};
use crate::redaction::Redaction;
use crate::request::{Credential, Request};
use crate::response::{Problem, WARNING, answer_with, json as json_answer, log_refusal};
use crate::route_table::LiveRoute;
use base64ct::{Base64UrlUnpadded, Encoding};
use keyward::error::Invalid;
use keyward::key::KeyText;
use keyward::numbers::{Charge, Destination};
use keyward::route::{self, DROPPED, DROPPED_PREFIXES, IDENTITY_HEADER, PASSED, Route};
use keyward::scope::Needed;
use keyward::session::{PREFIX, Session};
use keyward::slots::Slot;
use keyward::target::{Target, decoded};
use keyward::verify::Code;
use serde_json::{Map, Value, json};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use zeroize::Zeroizing;

#[wasm_bindgen(module = "/src/relay.js")]
extern "C" {
    #[wasm_bindgen(js_name = makePlan)]
    fn make_plan(json: &str, redaction: Option<Redaction>) -> JsValue;
    #[wasm_bindgen(js_name = forward)]
    fn forward_promise(
        request: &host::Request,
        body: Option<&str>,
        attempts: js_sys::Array,
        added: Vec<String>,
    ) -> js_sys::Promise;
    #[wasm_bindgen(js_name = placeOf)]
    fn place_of(number: &str) -> Option<String>;
    #[wasm_bindgen(js_name = sign)]
    fn sign_promise(name: &str, seed: &[u8], text: &str) -> js_sys::Promise;
    #[wasm_bindgen(js_name = publicKey)]
    pub fn public_key_promise(seed: &[u8]) -> js_sys::Promise;
    #[wasm_bindgen(js_name = passesTurnstile)]
    pub fn passes_turnstile_promise(
        url: &str,
        secret: &str,
        token: &str,
        address: Option<&str>,
        host: &str,
    ) -> js_sys::Promise;
}

/// How long an identity token is good for, in seconds.
const IDENTITY_SECONDS: i64 = 60;

/// Answers a call to a route.
pub fn relay(isolate: Rc<Isolate>, request: Request) -> JsValue {
    later(isolate, request, async |isolate, request| relayed(isolate, request).await)
}

async fn relayed(isolate: &Isolate, request: &Request) -> Answer {
    if request.has_key_in_url(&isolate.config.foreign) {
        return Err(Problem::key_in_url());
    }
    let target = Target::read(request.target())?;
    let live = isolate.route(target.route).await.map_err(|()| Problem::unavailable())?.ok_or_else(no_route)?;
    let Some(rules) = &live.route else { return Err(not_allowed_now()) };
    let origin = request.origin();
    let cors = cors_headers(rules, origin.as_deref());
    if let Some(method) = request.preflight() {
        return preflight(request, rules, &cors, &target, &method);
    }
    let call = Relayed { isolate, request, live: &live, rules, target, cors: &cors };
    call.answer(origin.as_deref()).await.map_err(|problem| with_cors(problem, &cors))
}

pub fn no_route() -> Problem {
    Problem::new(404, "ROUTE_NOT_FOUND", "No such route", "no route of this deployment has that name")
}

pub fn not_allowed_now() -> Problem {
    let detail = "its upstream or environment is no longer allowed by the configuration; write it anew";
    Problem::new(503, "ROUTE_NOT_ALLOWED", "The route is not in force", detail)
}

/// What pages of a listed origin need to read the answer (Fetch §3.2); nothing for any other.
pub fn cors_headers(rules: &Route, origin: Option<&str>) -> Vec<(&'static str, String)> {
    let listed = |origin: &&str| rules.session.as_ref().is_some_and(|session| session.lists(origin));
    let Some(origin) = origin.filter(listed) else { return Vec::new() };
    let mut exposed = "Keyward-Request-Id, Keyward-Mock, Keyward-Session-Calls-Left, Retry-After".to_owned();
    for name in &rules.response_headers {
        exposed.push_str(", ");
        exposed.push_str(name);
    }
    vec![
        ("Access-Control-Allow-Origin", origin.to_owned()),
        ("Access-Control-Allow-Credentials", "true".to_owned()),
        ("Access-Control-Expose-Headers", exposed),
        ("Vary", "Origin".to_owned()),
    ]
}

pub fn with_cors(mut problem: Problem, cors: &[(&'static str, String)]) -> Problem {
    problem.headers.extend(cors.iter().cloned());
    problem
}

/// The answer to a preflight: 204 where a listed origin asks for a method that the route has, 403 without a word of CORS else.
fn preflight(
    request: &Request,
    rules: &Route,
    cors: &[(&'static str, String)],
    target: &Target<'_>,
    method: &str,
) -> Answer {
    if cors.is_empty() {
        return Err(origin_not_listed());
    }
    match rules.admit(method, target.path) {
        Ok(()) => Ok(allow_preflight(request, cors, method)),
        Err(allowed) => Err(with_cors(not_on_route(&allowed), cors)),
    }
}

pub fn origin_not_listed() -> Problem {
    Problem::new(
        403,
        "ORIGIN_NOT_LISTED",
        "Not from this origin",
        "the route lists the origins of the pages that may call it",
    )
}

pub fn allow_preflight(request: &Request, cors: &[(&'static str, String)], method: &str) -> JsValue {
    let mut headers = cors.to_vec();
    headers.push(("Access-Control-Allow-Methods", method.to_owned()));
    // Whatever the page asks for: what must not pass is dropped on the way, not here.
    let asked = request.host.named("access-control-request-headers").unwrap_or_default();
    let fits = asked.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-, ".contains(&b));
    headers.push(("Access-Control-Allow-Headers", if fits { asked } else { "authorization, content-type".to_owned() }));
    headers.push(("Access-Control-Max-Age", "600".to_owned()));
    answer_with(request, 204, &headers, None)
}

fn not_on_route(allowed: &[&str]) -> Problem {
    match allowed {
        [] => Problem::new(
            404,
            "NOT_ON_ROUTE",
            "The route does not lead there",
            "this path is not among those that the route allows",
        ),
        allowed => Problem::method_not_allowed(&allowed.join(", ")),
    }
}

/// Who calls.
struct Caller {
    /// Id of the key or of the session.
    id: String,
    owner: Option<String>,
    scopes: Vec<String>,
    environment: String,
    mock: bool,
    session: Option<Session>,
}

/// What was made of a body.
#[derive(Default)]
struct Judged {
    /// As it was read, if it was.
    text: Option<String>,
    /// As JSON.
    body: Value,
    /// What the call is taken from for it.
    charges: Vec<Charge>,
    /// The numbers in it.
    destinations: Vec<Destination>,
}

/// A call to a route.
struct Relayed<'a> {
    isolate: &'a Isolate,
    request: &'a Request,
    live: &'a LiveRoute,
    rules: &'a Route,
    target: Target<'a>,
    cors: &'a [(&'static str, String)],
}

impl Relayed<'_> {
    async fn answer(&self, origin: Option<&str>) -> Answer {
        let Self { request, rules, target, .. } = self;
        let method = request.host.method();
        rules.admit(&method, target.path).map_err(|allowed| not_on_route(&allowed))?;
        let via = format!("keyward-{}", self.isolate.config.peppers.current());
        if request.host.named("via").is_some_and(|passed| passed.contains(&via)) {
            let detail = "the upstream of this route, or of one before it, leads back to this deployment";
            return Err(Problem::new(508, "LOOP", "The call goes round in circles", detail));
        }
        let caller = self.caller(origin).await?;
        let Judged { text: body, body: parsed, charges, destinations } = self.judge_body(&method, caller.mock).await?;
        self.check_way(&caller)?;
        let left = self.charge(&caller, charges).await?;
        if caller.session.is_none() && !caller.mock {
            self.isolate.led_to(&caller.id, &destinations);
        }
        let mut added = self.added(&caller, left);
        if caller.mock {
            return self.mock(&caller, &parsed, added).await;
        }
        added.extend(["Via".to_owned(), format!("1.1 {via}")]);
        self.forward(&method, &caller, body, added, &via).await
    }

    /// Who calls, if he may.
    async fn caller(&self, origin: Option<&str>) -> Result<Caller, Problem> {
        let Self { request, live, .. } = self;
        let cookie = request.cookie(&cookie_name(&live.stored.name));
        match (request.credential(), cookie) {
            // Browsers send cookies by themselves, whoever asks: in them only what is bound to an origin counts.
            (Credential::None, Credential::Bearer(token)) => self.session(&token, origin).await,
            (Credential::Bearer(token), Credential::None) if token.starts_with(PREFIX) => {
                self.session(&token, origin).await
            }
            (Credential::Bearer(key), Credential::None) => self.key(&key).await,
            (Credential::None | Credential::NotBearer, Credential::None) => Err(Problem::no_credential()),
            _ => Err(Problem::several_credentials()),
        }
    }

    async fn key(&self, text: &str) -> Result<Caller, Problem> {
        let Self { isolate, request, rules, .. } = self;
        // A route for browsers takes no key; whatever is sent is refused unread.
        let Some(scopes) = &rules.key else { return Err(Problem::not_accepted()) };
        let environment = environment_of(isolate, text, rules);
        let needed: Vec<Needed<'_>> = scopes.iter().filter_map(|scope| Needed::parse(scope).ok()).collect();
        let about = About {
            environment: Some(&environment),
            needed: &needed,
            caller: *request,
            cost: 1,
            via: &self.live.counted_as,
        };
        let verified = isolate.verify(request.id(), text, about, false).await;
        request.tell(&verified);
        match (verified.code, verified.leased.as_ref().and_then(|leased| leased.key())) {
            (Code::Valid, Some(key)) => Ok(Caller {
                id: key.record.id.clone(),
                owner: Some(key.record.owner.clone()),
                scopes: key.record.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
                mock: isolate.config.mocks.contains(&environment),
                environment,
                session: None,
            }),
            (code, _) => {
                if verified.mode != Mode::Offline
                    && let Ok(key) = KeyText::parse(text, None)
                {
                    log_refusal(request, code, &key.redacted());
                }
                let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
                Err(Problem::of_verdict(code, &scopes))
            }
        }
    }

    async fn session(&self, token: &str, origin: Option<&str>) -> Result<Caller, Problem> {
        let Self { isolate, request, rules, live, .. } = self;
        // Without asking anybody: forged, over, another route's, or one of the route that had this name before.
        let session = isolate.config.sessions.read(token, clock()).filter(|session| {
            session.route == live.stored.name
                && session.made_at == live.stored.made_at
                && rules.session.as_ref().is_some_and(|rule| rule.lists(&session.origin))
        });
        let Some(session) = session else { return Err(Problem::not_accepted()) };
        // A page on keyward's own origin sends none with GET and HEAD, but its browser says that it is the same (Fetch Metadata).
        let same = || {
            matches!(&*request.host.method(), "GET" | "HEAD")
                && request.host.named("sec-fetch-site").as_deref() == Some("same-origin")
                && request.own_origin().as_deref() == Some(&session.origin)
        };
        if !origin.map_or_else(same, |origin| origin == session.origin) {
            return Err(Problem::new(
                403,
                "ORIGIN_NOT_ALLOWED",
                "Not from this origin",
                "the session is for pages of another origin",
            ));
        }
        if let Some(parent) = &session.parent
            && !isolate.stands(parent, SESSIONS_CREATE).await.ok_or_else(Problem::unavailable)?
        {
            return Err(Problem::not_accepted());
        }
        Ok(Caller {
            id: session.id.clone(),
            owner: None,
            scopes: Vec::new(),
            environment: rules.environment.clone(),
            mock: session.mock,
            session: Some(session),
        })
    }

    /// What the route's rule for numbers says of the body: the body as it was read, as JSON, and what the call is charged for.
    async fn judge_body(&self, method: &str, mock: bool) -> Result<Judged, Problem> {
        let Self { request, rules, .. } = self;
        let bare = matches!(method, "GET" | "HEAD" | "DELETE") && !request.host.has_body();
        let Some(numbers) = &rules.numbers else {
            if !mock || bare {
                return Ok(Judged::default());
            }
            // What a mock answers may quote the body, if it is one that can be quoted.
            let text = request.text(route::MOST_JUDGED as u32).await.unwrap_or_default();
            return Ok(Judged { body: keyward::fields::parse(&text).unwrap_or_default(), ..Judged::default() });
        };
        if bare {
            return Ok(Judged::default());
        }
        let kind = request.host.named("content-type").unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let encoded = request.host.named("content-encoding").is_some_and(|encoding| encoding != "identity");
        if !matches!(kind, "application/json" | "application/x-www-form-urlencoded") || encoded {
            let detail = "the route looks into bodies: send application/json or application/x-www-form-urlencoded, not compressed";
            return Err(Problem::new(415, "UNSUPPORTED_MEDIA_TYPE", "The body cannot be read", detail));
        }
        let text = request
            .text_within(rules.most_request as u32, rules.idle_seconds)
            .await?
            .ok_or_else(|| too_large(rules))?;
        let body = if kind == "application/json" { crate::api::parse(&text)? } else { form(&text)? };
        let mut destinations = Vec::new();
        for number in numbers.find(&body)? {
            let Some(place) = place_of(&number) else {
                return Err(Invalid::new(numbers.pointer.clone(), "is a number that no numbering plan has").into());
            };
            destinations.push(Destination { number, place });
        }
        if let Some(refused) = numbers.refuses(&destinations) {
            let country = refused.country().unwrap_or("no country");
            let detail = format!(
                "{} belongs to {country}, which the route does not reach",
                keyward::numbers::redacted(&refused.number)
            );
            return Err(Problem::new(403, "DESTINATION_NOT_ALLOWED", "Not to this number", detail));
        }
        Ok(Judged { text: Some(text), body, charges: numbers.charges(&destinations), destinations })
    }

    /// Refuses what could not be carried out anyhow, before it is charged.
    fn check_way(&self, caller: &Caller) -> Result<(), Problem> {
        let Self { isolate, request, rules, live, .. } = self;
        let length = request.host.named("content-length").and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > rules.most_request) {
            return Err(too_large(rules));
        }
        if caller.mock {
            let detail = "callers of this environment never reach an upstream, and the route has no mock";
            let none = || Problem::new(503, "NO_MOCK", "The route has no mock", detail);
            return rules.mock.as_ref().map(|_| ()).ok_or_else(none);
        }
        let opens = |slot| live.plan(isolate, rules, slot).is_some();
        if rules.needs_secret() && ![Slot::Current, Slot::Next].into_iter().any(opens) {
            return Err(no_secret());
        }
        Ok(())
    }

    /// Has the call taken from what is left of the session and from the limits, all or nothing.
    async fn charge(&self, caller: &Caller, charges: Vec<Charge>) -> Result<Option<u32>, Problem> {
        let session = caller.session.as_ref().map(|session| SessionSpend {
            id: session.id.clone(),
            calls: session.calls,
            ends_at: session.ends_at,
        });
        // Callers of the mock have buckets of their own: they must not spend what live ones have.
        let mock = if caller.mock { "mock " } else { "" };
        let of_route = self.rules.limit.map(|limit| Spend { bucket: format!("{mock}calls"), limit, anomaly: None });
        let of_numbers = charges.into_iter().map(|Charge { kind, of, bucket, limit }| {
            let anomaly = (!caller.mock).then(|| (kind.to_owned(), of));
            Spend { bucket: format!("{mock}{bucket}"), limit, anomaly }
        });
        let charges: Vec<Spend> = of_route.into_iter().chain(of_numbers).collect();
        if session.is_none() && charges.is_empty() {
            return Ok(None);
        }
        let message = ToRoute::Spend { session, charges, by: caller.id.clone() };
        match self.isolate.to_route(&self.live.stored, &message).await {
            Ok(FromRoute::Spent { left }) => Ok(left),
            Ok(FromRoute::Over) => Err(Problem::new(
                429,
                "SESSION_SPENT",
                "The session has no calls left",
                "begin another one with POST /v1/relay/sessions",
            )),
            Ok(FromRoute::Limited { retry_ms, news, .. }) => {
                self.isolate.announce_anomaly(&self.live.stored.name, news);
                Err(limited(retry_ms))
            }
            _ => Err(Problem::unavailable()),
        }
    }

    /// Headers of the answer that are keyward's own.
    fn added(&self, caller: &Caller, left: Option<u32>) -> Vec<String> {
        let mut added = vec!["Cache-Control".to_owned(), "no-store".to_owned()];
        let mut add = |name: &str, value: String| added.extend([name.to_owned(), value]);
        add("Keyward-Request-Id", self.request.id().to_owned());
        if let Some(left) = left {
            add("Keyward-Session-Calls-Left", left.to_string());
        }
        if caller.mock {
            add("Keyward-Mock", "true".to_owned());
        }
        if let Some(warning) = self.request.warning() {
            add(WARNING, warning);
        }
        for (name, value) in self.request.limits() {
            add(name, value);
        }
        for (name, value) in self.cors {
            add(name, value.clone());
        }
        added
    }

    async fn mock(&self, _: &Caller, body: &Value, added: Vec<String>) -> Answer {
        let Some(mock) = &self.rules.mock else { unreachable!("the way was checked") };
        if mock.latency_ms > 0 {
            host::pause(mock.latency_ms).await;
        }
        let text = mock.body(self.request.id(), &clock().to_string(), self.target.path, body);
        let own = mock.headers.iter().flat_map(|(name, value)| [name.clone(), value.clone()]);
        let headers: Vec<String> = own.chain(added).collect();
        let empty = matches!(mock.status, 204 | 205 | 304) || self.request.host.method() == "HEAD";
        Ok(host::respond(&host::prepare(mock.status, headers), self.request.number(), (!empty).then_some(&text)))
    }

    async fn forward(
        &self,
        method: &str,
        caller: &Caller,
        body: Option<String>,
        added: Vec<String>,
        via: &str,
    ) -> Answer {
        let Self { isolate, request, live, rules, target, .. } = self;
        let mut slots = Vec::with_capacity(2);
        match live.pick() {
            Some((first, second)) if rules.needs_secret() => {
                slots.push(first);
                let idempotent = matches!(method, "GET" | "HEAD" | "PUT" | "DELETE");
                slots.extend(second.filter(|_| idempotent || request.idempotency_key().is_some()));
            }
            None if rules.needs_secret() => return Err(no_secret()),
            _ => slots.push(Slot::Current),
        }
        let mut extra = vec!["Via".to_owned(), format!("1.1 {via}")];
        if rules.credential == route::Credential::Identity {
            extra.extend([IDENTITY_HEADER.to_owned(), self.identity(caller).await?]);
        }
        let attempts = js_sys::Array::new();
        for slot in &slots {
            let Some((plan, secret)) = live.plan(isolate, rules, *slot) else { continue };
            let url = rules.url(target, secret);
            let headers: js_sys::Array = extra.iter().map(|text| JsValue::from_str(text)).collect();
            attempts.push(&js_sys::Array::of3(&url.into(), plan, &headers));
        }
        if attempts.length() == 0 {
            return Err(no_secret());
        }
        let outcome = JsFuture::from(forward_promise(&request.host, body.as_deref(), attempts, added)).await;
        let outcome =
            js_sys::Array::from(&outcome.unwrap_or_else(|_| js_sys::Array::of1(&"UNREACHABLE".into()).into()));
        let response = outcome.get(0);
        let failed = response.as_string();
        let client = matches!(failed.as_deref(), Some("TOO_LARGE" | "CLIENT_GONE" | "BODY_BROKE_OFF" | "TIMEOUT_BODY"));
        if rules.needs_secret() && !client {
            let statuses = outcome.length().saturating_sub(1).max(1);
            for (slot, at) in slots.iter().zip(1..=statuses) {
                live.count(*slot, outcome.get(at).as_f64().map(|status| status as u16));
            }
        }
        match failed {
            None => Ok(response),
            Some(code) => Err(failure(&code, rules)),
        }
    }

    /// A token that says who calls (RFC 7519), signed with EdDSA (RFC 8037).
    async fn identity(&self, caller: &Caller) -> Result<String, Problem> {
        let config = &self.isolate.config;
        let now = clock().millis() / 1_000;
        let (name, seed) = &config.identity[0];
        let claims = json!({
            "iss": config.issuer, "aud": self.rules.upstream.origin, "sub": caller.id, "iat": now, "exp": now + IDENTITY_SECONDS,
            "jti": self.request.id(), "owner": caller.owner, "scopes": caller.scopes, "environment": caller.environment,
            "route": self.live.stored.name, "caller": if caller.session.is_some() { "session" } else { "key" },
            "origin": caller.session.as_ref().map(|session| &session.origin),
        });
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let text = format!("{}.{}", part(&json!({"alg": "EdDSA", "typ": "JWT", "kid": name})), part(&claims));
        let signature =
            JsFuture::from(sign_promise(name, &seed[..], &text)).await.map_err(|_| Problem::unavailable())?;
        let signature = js_sys::Uint8Array::from(signature).to_vec();
        Ok(format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature)))
    }
}

impl LiveRoute {
    /// What the runtime needs of a call with the secret of a slot, and the secret.
    fn plan(&self, isolate: &Isolate, rules: &Route, slot: Slot) -> Option<(&JsValue, Option<&str>)> {
        let prepared = self.plans[slot as usize].get_or_init(|| {
            let secret = self.secret(isolate, rules, slot);
            if secret.is_none() && rules.needs_secret() {
                return None;
            }
            let redaction = self.redaction.get_or_init(|| {
                let held = [Slot::Current, Slot::Next].map(|slot| self.secret(isolate, rules, slot));
                let secrets: Vec<&str> = held.iter().flatten().map(|secret| secret.as_str()).collect();
                (rules.redact && !secrets.is_empty()).then(|| Redaction::new(&secrets))
            });
            let header = secret.as_ref().and_then(|secret| rules.credential.header(secret));
            let mut drop: Vec<String> = DROPPED.iter().map(|name| (*name).to_owned()).collect();
            // Ranges of what is redacted would be counted in other bytes than the upstream's.
            drop.extend(redaction.as_ref().map(|_| "range".to_owned()));
            drop.extend(header.as_ref().map(|(name, _)| name.to_ascii_lowercase().replace('_', "-")));
            let mut set = vec![("Accept-Encoding".to_owned(), "identity".to_owned())];
            set.extend(header);
            let mut pass: Vec<&str> =
                PASSED.iter().copied().chain(rules.response_headers.iter().map(String::as_str)).collect();
            if rules.redirects {
                pass.push("location");
            }
            let plan = json!({
                "drop": drop, "dropPrefixes": DROPPED_PREFIXES, "set": set, "pass": pass, "redirects": rules.redirects,
                "timeout": rules.timeout_seconds, "idle": rules.idle_seconds, "mostRequest": rules.most_request,
                "mostResponse": rules.most_response,
            });
            Some((make_plan(&plan.to_string(), redaction.clone()), secret))
        });
        prepared.as_ref().map(|(plan, secret)| (plan, secret.as_ref().map(|secret| secret.as_str())))
    }

    fn secret(&self, isolate: &Isolate, rules: &Route, slot: Slot) -> Option<Zeroizing<String>> {
        let held = self.stored.slots.get(slot)?;
        match (&held.sealed, &held.environment) {
            (Some(sealed), _) => isolate.config.sealing.open(&rules.place(&self.stored.name, slot.as_str()), sealed),
            (None, Some(binding)) => {
                let (secret, origin) = upstream_secret(&isolate.env, binding)?;
                (origin == rules.upstream.origin).then(|| Zeroizing::new(secret))
            }
            (None, None) => None,
        }
    }
}

/// `GET /.well-known/jwks.json`: the public keys of signed identities, the current one first (RFC 7517, RFC 8037).
pub async fn jwks(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let mut keys = Vec::new();
    for (name, seed) in &call.isolate.config.identity {
        let public = JsFuture::from(public_key_promise(&seed[..])).await.map_err(|_| Problem::unavailable())?;
        keys.push(
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": name, "x": public.as_string()}),
        );
    }
    Ok(json_answer(call.request, 200, &json!({ "keys": keys })))
}

/// The scope that making sessions needs.
pub const SESSIONS_CREATE: &str = "keyward.sessions:create";

/// The environment that a caller's key must be for: the route's, or a mock one where the key is of one and the route has a mock.
pub fn environment_of(isolate: &Isolate, text: &str, rules: &Route) -> String {
    let named = KeyText::parse(text, Some(&isolate.config.brand)).ok().map(|key| key.environment.to_owned());
    let mock = named.filter(|environment| rules.mock.is_some() && isolate.config.mocks.contains(environment));
    mock.unwrap_or_else(|| rules.environment.clone())
}

/// The name of the cookie that holds a session for a route: `__Secure-`, so that no page without TLS can set it.
pub fn cookie_name(route: &str) -> String {
    format!("__Secure-keyward-{route}")
}

pub fn limited(retry_ms: i64) -> Problem {
    let seconds = (retry_ms + 999) / 1_000;
    Problem::new(429, "RATE_LIMITED", "Too many calls", format!("try again in {seconds} s"))
        .header("Retry-After", seconds.to_string())
}

fn no_secret() -> Problem {
    let detail = "the upstream's secret is not set, or cannot be opened; PUT /v1/routes/{name}/secrets/current sets it";
    Problem::new(503, "NO_UPSTREAM_SECRET", "The route has no secret for its upstream", detail)
}

fn too_large(rules: &Route) -> Problem {
    let detail = format!("the route takes bodies of at most {} bytes", rules.most_request);
    Problem::new(413, "BODY_TOO_LARGE", "The body is too large", detail)
}

/// The fields of a form, each a text; a name that comes twice is refused, since servers differ in which one counts.
fn form(text: &str) -> Result<Value, Problem> {
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if fields.insert(decoded(name), decoded(value).into()).is_some() {
            return Err(Problem::invalid("the body names a field twice"));
        }
    }
    Ok(Value::Object(fields))
}

/// What is answered when a call ended without the upstream's answer. It was sent once, and charged once.
fn failure(code: &str, rules: &Route) -> Problem {
    let bad = |code, title, detail: &str| Problem::new(502, code, title, detail);
    match code {
        "TOO_LARGE" => too_large(rules),
        "TIMEOUT" => Problem::new(
            504,
            "UPSTREAM_TIMEOUT",
            "The upstream did not answer in time",
            format!(
                "it has {} s to answer, {} s to take the next piece of a body; whether it carried the call out is not known",
                rules.timeout_seconds, rules.idle_seconds
            ),
        ),
        "TIMEOUT_BODY" => Problem::body_late(),
        "BODY_BROKE_OFF" | "CLIENT_GONE" => Problem::invalid("the body ended before it was whole"),
        "REDIRECT" => bad(
            "UPSTREAM_REDIRECT",
            "The upstream redirects",
            "the route does not pass redirects on, and never follows them",
        ),
        "ENCODING" => bad(
            "UPSTREAM_ENCODING",
            "The upstream's answer cannot be read",
            "it is compressed in a way that was not asked for",
        ),
        "ANSWER_TOO_LARGE" => {
            bad("UPSTREAM_TOO_LARGE", "The upstream's answer is too large", "it is larger than the route allows")
        }
        "BROKE_OFF" => {
            bad("UPSTREAM_BROKE_OFF", "The upstream's answer broke off", "whether it carried the call out is not known")
        }
        _ => bad(
            "UPSTREAM_UNREACHABLE",
            "The upstream cannot be reached",
            "no connection, or it ended without an answer; whether the call was carried out is not known",
        ),
    }
}
