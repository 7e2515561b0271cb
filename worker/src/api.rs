//! The endpoints: one table says which there are, what each needs of the caller, takes and answers. Requests are dispatched by
//! it, and the OpenAPI document is written from it, so that the two cannot differ. It is two tables when compiled: what
//! describes ([`DESCRIPTIONS`]) is not read by the Worker and so is not in it.

use crate::authorize::authorize;
use crate::edge::{About, Isolate, Leased, Mode};
use crate::host;
use crate::openapi::{self, Answers, Query, Takes};
use crate::request::Request;
use crate::response::{Problem, json, log_refusal};
use crate::{import, incidents, keys, leaks, relay, reports, rotations, routes, sessions, usage, verdict, webhooks};
use keyward::error::Invalid;
use keyward::key::{KeyText, is_id};
use keyward::life::Actor;
use keyward::scope::{Needed, Scope};
use keyward::verify::Code;
use serde_json::{Value, json};
use std::pin::Pin;
use std::rc::Rc;
use wasm_bindgen::JsValue;

/// The answer of an endpoint that waits for something, or the problem to answer instead.
pub type Answer = Result<JsValue, Problem>;
/// What carries an endpoint out.
pub type Run = for<'a> fn(&'a Call<'a>) -> Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// One endpoint.
pub struct Endpoint {
    pub method: &'static str,
    /// Path, with names in braces for the parts that vary.
    pub path: &'static str,
    /// The scope that its caller's key must hold.
    pub scope: Option<&'static str>,
    /// Names of the parameters of its query.
    pub query: &'static [&'static str],
    pub run: Run,
}

/// What the document tells of an endpoint.
pub struct Description {
    pub method: &'static str,
    pub path: &'static str,
    /// Its stable name.
    pub name: &'static str,
    pub scope: Option<&'static str>,
    pub summary: &'static str,
    pub query: &'static [Query],
    pub takes: Takes,
    pub answers: Answers,
    /// Statuses with which it refuses, besides those of every endpoint, and their codes.
    pub refuses: &'static [(u16, &'static str)],
}

/// A request to an endpoint, by a caller who may make it.
pub struct Call<'a> {
    pub isolate: &'a Isolate,
    pub request: &'a Request,
    endpoint: &'a Endpoint,
    /// What stands in the path for the names in braces.
    parts: Vec<&'a str>,
    manager: Option<Manager>,
}

/// A management key that may do what it asks for.
struct Manager {
    id: String,
    leased: Rc<Leased>,
}

const NO_SUCH_KEY: (u16, &str) = (404, "KEY_NOT_FOUND");
const REVOKED: (u16, &str) = (409, "KEY_REVOKED");
const REUSED: (u16, &str) = (422, "IDEMPOTENCY_KEY_REUSED");
const WRITE: Option<&str> = Some("keyward.keys:write");
const READ: Option<&str> = Some("keyward.keys:read");
const USAGE: Option<&str> = Some("keyward.usage:read");
const METRICS: Option<&str> = Some("keyward.metrics:read");
const ROUTES_WRITE: Option<&str> = Some("keyward.routes:write");
const ROUTES_READ: Option<&str> = Some("keyward.routes:read");
const NO_SUCH_ROUTE: (u16, &str) = (404, "ROUTE_NOT_FOUND");
const WEBHOOKS: Option<&str> = Some("keyward.webhooks:manage");
const NO_SUCH_WEBHOOK: (u16, &str) = (404, "WEBHOOK_NOT_FOUND");
const AUDIT: Option<&str> = Some("keyward.audit:read");
const LEAKS: Option<&str> = Some("keyward.leaks:write");
const NO_SUCH_INCIDENT: (u16, &str) = (404, "INCIDENT_NOT_FOUND");
const TOO_MUCH: (u16, &str) = (413, "REPORT_TOO_LARGE");

macro_rules! run {
    ($endpoint:path) => {
        |call| Box::pin($endpoint(call))
    };
}

macro_rules! endpoints {
    ($(Endpoint {
        method: $method:expr,
        path: $path:expr,
        name: $name:expr,
        scope: $scope:expr,
        summary: $summary:expr,
        query: &[$($query:expr),* $(,)?],
        takes: $takes:expr,
        answers: $answers:expr,
        refuses: $refuses:expr,
        run: $run:expr,
    },)*) => {
        /// All of them but `/v1/authorize`, which any method reaches. Where two paths fit, the first one counts.
        pub const ENDPOINTS: &[Endpoint] = &[$(Endpoint {
            method: $method,
            path: $path,
            scope: $scope,
            query: &[$($query.name),*],
            run: $run,
        }),*];
        /// They in words, in the same order.
        pub const DESCRIPTIONS: &[Description] = &[$(Description {
            method: $method,
            path: $path,
            name: $name,
            scope: $scope,
            summary: $summary,
            query: &[$($query),*],
            takes: $takes,
            answers: $answers,
            refuses: $refuses,
        }),*];
    };
}

endpoints![
    Endpoint {
        method: "GET",
        path: "/healthz",
        name: "health",
        scope: None,
        summary: "Whether it runs",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Health"),
        refuses: &[],
        run: run!(health),
    },
    Endpoint {
        method: "GET",
        path: "/openapi.json",
        name: "openapi",
        scope: None,
        summary: "This document",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "OpenAPI"),
        refuses: &[],
        run: run!(openapi::serve),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys",
        name: "createKey",
        scope: WRITE,
        summary: "Create a key; its text is shown this once",
        query: &[],
        takes: Takes::Creation(openapi::draft),
        answers: Answers::Json(201, "CreatedKey"),
        refuses: &[REUSED],
        run: run!(keys::create),
    },
    Endpoint {
        method: "GET",
        path: "/v1/keys",
        name: "listKeys",
        scope: READ,
        summary: "Keys, the newest first, or by name where `search` asks how it begins",
        query: &[
            openapi::LIMIT,
            openapi::CURSOR,
            openapi::OWNER,
            openapi::SEARCH,
            openapi::ENVIRONMENT,
            openapi::STATUS,
        ],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Keys"),
        refuses: &[],
        run: run!(keys::list),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/verify",
        name: "verifyKey",
        scope: Some(verdict::SCOPE),
        summary: "Verify a caller's key; `Cache-Control: no-cache` asks the key's authority itself",
        query: &[],
        takes: Takes::Question(openapi::question),
        answers: Answers::Json(200, "Verdict"),
        refuses: &[],
        run: run!(verdict::verify),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/import",
        name: "importKeys",
        scope: WRITE,
        summary: "Take over keys of another system by their SHA-256, one JSON object a line; sending a line again changes nothing",
        query: &[],
        takes: Takes::Lines(openapi::row),
        answers: Answers::Lines("ImportedRow"),
        refuses: &[],
        run: run!(import::import),
    },
    Endpoint {
        method: "GET",
        path: "/v1/keys/{id}",
        name: "getKey",
        scope: READ,
        summary: "One key",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Key"),
        refuses: &[NO_SUCH_KEY],
        run: run!(keys::read),
    },
    Endpoint {
        method: "PATCH",
        path: "/v1/keys/{id}",
        name: "updateKey",
        scope: WRITE,
        summary: "Change what is named; `null` puts a field back to its default",
        query: &[],
        takes: Takes::Json(openapi::settings),
        answers: Answers::Json(200, "ChangedKey"),
        refuses: &[NO_SUCH_KEY, REVOKED],
        run: run!(keys::update),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/disable",
        name: "disableKey",
        scope: WRITE,
        summary: "Refuse a key until it is enabled",
        query: &[],
        takes: Takes::MaybeJson(openapi::waiting),
        answers: Answers::Json(200, "ChangedKey"),
        refuses: &[NO_SUCH_KEY, REVOKED],
        run: run!(keys::disable),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/enable",
        name: "enableKey",
        scope: WRITE,
        summary: "Accept a disabled key again",
        query: &[],
        takes: Takes::MaybeJson(openapi::waiting),
        answers: Answers::Json(200, "ChangedKey"),
        refuses: &[NO_SUCH_KEY, REVOKED],
        run: run!(keys::enable),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/revoke",
        name: "revokeKey",
        scope: WRITE,
        summary: "Refuse a key for ever; the receipt says from when no edge accepts it, and with `wait` comes after that",
        query: &[],
        takes: Takes::MaybeJson(openapi::revocation),
        answers: Answers::Json(200, "Receipt"),
        refuses: &[NO_SUCH_KEY],
        run: run!(keys::revoke),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/rotations",
        name: "rotateKey",
        scope: WRITE,
        summary: "Make a second secret under the same id; the key text is shown this once",
        query: &[],
        takes: Takes::MaybeCreation(openapi::terms),
        answers: Answers::Json(201, "StartedRotation"),
        refuses: &[NO_SUCH_KEY, REVOKED, (409, "ROTATION_IN_PROGRESS"), REUSED],
        run: run!(rotations::begin),
    },
    Endpoint {
        method: "GET",
        path: "/v1/keys/{id}/usage",
        name: "getUsage",
        scope: USAGE,
        summary: "How often the key was called, by hour or day: by outcome, by way, by country, and where relayed calls led; the earliest first",
        query: &[openapi::BY, openapi::FROM, openapi::TO, openapi::FORMAT],
        takes: Takes::Nothing,
        answers: Answers::JsonOrCsv("Usage"),
        refuses: &[NO_SUCH_KEY],
        run: run!(usage::usage),
    },
    Endpoint {
        method: "GET",
        path: "/v1/keys/{id}/calls",
        name: "listCalls",
        scope: USAGE,
        summary: "Its last calls, the newest first; of a key that is called more than a hundred times between two reports of an edge, the first hundred of each",
        query: &[openapi::LIMIT, openapi::FORMAT],
        takes: Takes::Nothing,
        answers: Answers::JsonOrCsv("Calls"),
        refuses: &[NO_SUCH_KEY],
        run: run!(usage::calls),
    },
    Endpoint {
        method: "GET",
        path: "/v1/keys/{id}/anomalies",
        name: "listAnomalies",
        scope: USAGE,
        summary: "What was found unusual about its use, the newest first: what was expected, what was seen, how unlikely that is",
        query: &[openapi::LIMIT],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Anomalies"),
        refuses: &[NO_SUCH_KEY],
        run: run!(usage::anomalies),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/outcomes",
        name: "reportOutcomes",
        scope: Some("keyward.usage:write"),
        summary: "Delivery reports of messages that were sent with the key: a rise in failures and bounces is told",
        query: &[],
        takes: Takes::Json(openapi::outcomes),
        answers: Answers::Json(200, "Outcomes"),
        refuses: &[NO_SUCH_KEY],
        run: run!(usage::outcomes),
    },
    Endpoint {
        method: "GET",
        path: "/v1/usage",
        name: "getOverview",
        scope: USAGE,
        summary: "Calls of all keys by day, and the busiest of them, over 30 days; up to a minute old",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Overview"),
        refuses: &[],
        run: run!(usage::overview),
    },
    Endpoint {
        method: "GET",
        path: "/metrics",
        name: "getMetrics",
        scope: METRICS,
        summary: "Figures for Prometheus",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Text,
        refuses: &[],
        run: run!(usage::metrics),
    },
    Endpoint {
        method: "GET",
        path: "/v1/keys/{id}/rotations/current",
        name: "getRotation",
        scope: READ,
        summary: "The last rotation, with what was seen of each secret",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Rotation"),
        refuses: &[NO_SUCH_KEY, (404, "NO_ROTATION")],
        run: run!(rotations::current),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/rotations/current/complete",
        name: "completeRotation",
        scope: WRITE,
        summary: "Keep the new secret alone; refused with the evidence while the old one is in use, unless forced",
        query: &[],
        takes: Takes::MaybeJson(openapi::ending),
        answers: Answers::Json(200, "EndedRotation"),
        refuses: &[NO_SUCH_KEY, REVOKED, (409, "OLD_SECRET_IN_USE"), (409, "NEW_SECRET_UNUSED"), (409, "NO_ROTATION")],
        run: run!(rotations::complete),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/rotations/current/cancel",
        name: "cancelRotation",
        scope: WRITE,
        summary: "Keep the old secret alone; refused with the evidence while the new one is in use, unless forced",
        query: &[],
        takes: Takes::MaybeJson(openapi::ending),
        answers: Answers::Json(200, "EndedRotation"),
        refuses: &[NO_SUCH_KEY, REVOKED, (409, "NEW_SECRET_IN_USE"), (409, "NO_ROTATION")],
        run: run!(rotations::cancel),
    },
    Endpoint {
        method: "GET",
        path: "/v1/reports/key-safety",
        name: "reportKeySafety",
        scope: READ,
        summary: "What is unsafe about which key, why, and the request that mends it; a page looks at `limit` keys",
        query: &[openapi::LIMIT, openapi::CURSOR],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "KeySafety"),
        refuses: &[],
        run: run!(reports::key_safety),
    },
    Endpoint {
        method: "GET",
        path: "/v1/reports/root-secrets",
        name: "reportRootSecrets",
        scope: READ,
        summary: "Which retired root secrets are still needed, and by how many keys",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "RootSecrets"),
        refuses: &[],
        run: run!(reports::root_secrets),
    },
    Endpoint {
        method: "GET",
        path: "/v1/audit",
        name: "listAudit",
        scope: AUDIT,
        summary: "Every change, the newest first",
        query: &[openapi::LIMIT, openapi::CURSOR],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Log"),
        refuses: &[],
        run: run!(reports::audit),
    },
    Endpoint {
        method: "GET",
        path: "/v1/audit/verify",
        name: "verifyAudit",
        scope: AUDIT,
        summary: "Whether the log is whole, and still holds a head that was kept",
        query: &[openapi::HEAD],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "LogCheck"),
        refuses: &[],
        run: run!(reports::verify_audit),
    },
    Endpoint {
        method: "GET",
        path: "/v1/audit/export",
        name: "exportAudit",
        scope: AUDIT,
        summary: "The log as JSON lines with its hashes, the oldest first; `Link` names the next page",
        query: &[openapi::AFTER, openapi::LINES],
        takes: Takes::Nothing,
        answers: Answers::Lines("LogRow"),
        refuses: &[],
        run: run!(reports::export_audit),
    },
    Endpoint {
        method: "GET",
        path: "/.well-known/jwks.json",
        name: "jwks",
        scope: None,
        summary: "The keys that signed identities are checked with (RFC 7517)",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Jwks"),
        refuses: &[],
        run: run!(relay::jwks),
    },
    Endpoint {
        method: "GET",
        path: "/v1/routes",
        name: "listRoutes",
        scope: ROUTES_READ,
        summary: "All routes",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Routes"),
        refuses: &[],
        run: run!(routes::list),
    },
    Endpoint {
        method: "GET",
        path: "/v1/routes/{name}",
        name: "getRoute",
        scope: ROUTES_READ,
        summary: "One route; its secrets are never shown",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Route"),
        refuses: &[NO_SUCH_ROUTE],
        run: run!(routes::read),
    },
    Endpoint {
        method: "PUT",
        path: "/v1/routes/{name}",
        name: "putRoute",
        scope: ROUTES_WRITE,
        summary: "Write a route; another upstream origin empties its secrets",
        query: &[],
        takes: Takes::Json(openapi::route),
        answers: Answers::Json(200, "ChangedRoute"),
        refuses: &[],
        run: run!(routes::put),
    },
    Endpoint {
        method: "DELETE",
        path: "/v1/routes/{name}",
        name: "deleteRoute",
        scope: ROUTES_WRITE,
        summary: "Remove a route; its sessions end with it",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "ChangedRoute"),
        refuses: &[NO_SUCH_ROUTE],
        run: run!(routes::delete),
    },
    Endpoint {
        method: "GET",
        path: "/v1/routes/{name}/use",
        name: "getRouteUse",
        scope: ROUTES_READ,
        summary: "What was seen of each secret, and which limits were run into",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "RouteUse"),
        refuses: &[NO_SUCH_ROUTE],
        run: run!(routes::usage),
    },
    Endpoint {
        method: "PUT",
        path: "/v1/routes/{name}/secrets/{slot}",
        name: "setRouteSecret",
        scope: ROUTES_WRITE,
        summary: "Set the upstream's secret, or shift traffic to the next one; it is never shown",
        query: &[],
        takes: Takes::Json(openapi::slot),
        answers: Answers::Json(200, "ChangedRoute"),
        refuses: &[NO_SUCH_ROUTE, (404, "SLOT_NOT_FOUND")],
        run: run!(routes::set_secret),
    },
    Endpoint {
        method: "DELETE",
        path: "/v1/routes/{name}/secrets/{slot}",
        name: "retireRouteSecret",
        scope: ROUTES_WRITE,
        summary: "Retire a secret; refused with its use while it carries traffic, unless forced",
        query: &[openapi::QUIET, openapi::FORCE],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "ChangedRoute"),
        refuses: &[NO_SUCH_ROUTE, (404, "SLOT_NOT_FOUND"), (404, "SLOT_EMPTY"), (409, "SLOT_IN_USE")],
        run: run!(routes::retire_secret),
    },
    Endpoint {
        method: "GET",
        path: "/v1/webhooks",
        name: "listWebhooks",
        scope: WEBHOOKS,
        summary: "All webhooks",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Webhooks"),
        refuses: &[],
        run: run!(webhooks::list),
    },
    Endpoint {
        method: "GET",
        path: "/v1/webhooks/{name}",
        name: "getWebhook",
        scope: WEBHOOKS,
        summary: "One webhook and where its deliveries stand; its secrets are never shown",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "WebhookState"),
        refuses: &[NO_SUCH_WEBHOOK],
        run: run!(webhooks::read),
    },
    Endpoint {
        method: "PUT",
        path: "/v1/webhooks/{name}",
        name: "putWebhook",
        scope: WEBHOOKS,
        summary: "Write a webhook; its secret is shown this once, and anew where another origin is named",
        query: &[],
        takes: Takes::Json(openapi::webhook),
        answers: Answers::Json(200, "WrittenWebhook"),
        refuses: &[],
        run: run!(webhooks::put),
    },
    Endpoint {
        method: "DELETE",
        path: "/v1/webhooks/{name}",
        name: "deleteWebhook",
        scope: WEBHOOKS,
        summary: "Remove a webhook; what waits is not sent",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Webhook"),
        refuses: &[NO_SUCH_WEBHOOK],
        run: run!(webhooks::delete),
    },
    Endpoint {
        method: "POST",
        path: "/v1/webhooks/{name}/rotate-secret",
        name: "rotateWebhookSecret",
        scope: WEBHOOKS,
        summary: "Make a new secret, shown this once; the old one signs beside it for a day",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "WrittenWebhook"),
        refuses: &[NO_SUCH_WEBHOOK],
        run: run!(webhooks::rotate),
    },
    Endpoint {
        method: "GET",
        path: "/v1/webhooks/{name}/deliveries",
        name: "listDeliveries",
        scope: WEBHOOKS,
        summary: "The last 200 attempts, the newest first",
        query: &[openapi::LIMIT, openapi::CURSOR],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Deliveries"),
        refuses: &[NO_SUCH_WEBHOOK],
        run: run!(webhooks::deliveries),
    },
    Endpoint {
        method: "POST",
        path: "/v1/webhooks/{name}/replay",
        name: "replayEvents",
        scope: WEBHOOKS,
        summary: "Send one event again, or all that were given up of what happened since",
        query: &[],
        takes: Takes::Json(openapi::replay),
        answers: Answers::Json(202, "Replayed"),
        refuses: &[NO_SUCH_WEBHOOK, (404, "EVENT_NOT_FOUND")],
        run: run!(webhooks::replay),
    },
    Endpoint {
        method: "POST",
        path: "/v1/webhooks/{name}/test",
        name: "testWebhook",
        scope: WEBHOOKS,
        summary: "Send the event `keyward.test`",
        query: &[],
        takes: Takes::Nothing,
        answers: Answers::Json(202, "TestEvent"),
        refuses: &[NO_SUCH_WEBHOOK, (409, "WEBHOOK_INACTIVE")],
        run: run!(webhooks::test),
    },
    Endpoint {
        method: "POST",
        path: "/v1/leaks/github",
        name: "reportPartnerLeaks",
        scope: None,
        summary: "Tokens that GitHub's secret scanning found, signed by it: those that are keys are dealt with by their `on_leak`",
        query: &[],
        takes: Takes::Signed(openapi::partner_report),
        answers: Answers::List("PartnerLabel"),
        refuses: &[
            (401, "SIGNATURE_NOT_ACCEPTED"),
            (404, "NO_LEAK_PARTNERS"),
            (408, "BODY_TIMEOUT"),
            TOO_MUCH,
            (503, "UNAVAILABLE"),
        ],
        run: run!(leaks::github),
    },
    Endpoint {
        method: "POST",
        path: "/v1/leaks",
        name: "reportLeaks",
        scope: LEAKS,
        summary: "Texts that one's own pipelines found: those that are keys are dealt with by their `on_leak`",
        query: &[],
        takes: Takes::Json(openapi::leaks),
        answers: Answers::Json(200, "ReportedLeaks"),
        refuses: &[(408, "BODY_TIMEOUT"), TOO_MUCH],
        run: run!(leaks::report),
    },
    Endpoint {
        method: "POST",
        path: "/v1/keys/{id}/leak-response",
        name: "respondToLeak",
        scope: LEAKS,
        summary: "Revoke a key, replace its secret or disable it, collect what it was used for since, and open an incident; a new key text is shown this once",
        query: &[],
        takes: Takes::Creation(openapi::leak_response),
        answers: Answers::Json(200, "LeakResponse"),
        refuses: &[NO_SUCH_KEY, REVOKED, (409, "ROTATION_IN_PROGRESS"), REUSED],
        run: run!(incidents::respond),
    },
    Endpoint {
        method: "GET",
        path: "/v1/incidents",
        name: "listIncidents",
        scope: LEAKS,
        summary: "Incidents, the newest first",
        query: &[openapi::LIMIT, openapi::CURSOR, openapi::OF_KEY, openapi::OPEN],
        takes: Takes::Nothing,
        answers: Answers::Json(200, "Incidents"),
        refuses: &[],
        run: run!(incidents::list),
    },
    Endpoint {
        method: "GET",
        path: "/v1/incidents/{incident}",
        name: "getIncident",
        scope: LEAKS,
        summary: "One incident: where the key was found, what was done, what remains to be done",
        query: &[openapi::WRITTEN],
        takes: Takes::Nothing,
        answers: Answers::JsonOrMarkdown("Incident"),
        refuses: &[NO_SUCH_INCIDENT],
        run: run!(incidents::read),
    },
    Endpoint {
        method: "PATCH",
        path: "/v1/incidents/{incident}",
        name: "updateIncident",
        scope: LEAKS,
        summary: "Tick steps off, add a note, close it or open it again",
        query: &[],
        takes: Takes::Json(openapi::incident_change),
        answers: Answers::Json(200, "Incident"),
        refuses: &[NO_SUCH_INCIDENT],
        run: run!(incidents::update),
    },
];

/// Answers a request.
pub fn route(isolate: Rc<Isolate>, request: Request) -> JsValue {
    match request.path() {
        "/v1/authorize" => authorize(isolate, request),
        "/v1/keys/verify" => verdict::verify_at_once(isolate, request),
        "/v1/relay/sessions" => sessions::sessions(isolate, request),
        path if path.starts_with("/r/") => relay::relay(isolate, request),
        _ => later(isolate, request, async |isolate, request| dispatch(isolate, request).await),
    }
}

/// A promise of an endpoint's answer.
pub fn later(
    isolate: Rc<Isolate>,
    request: Request,
    endpoint: impl AsyncFnOnce(&Isolate, &Request) -> Answer + 'static,
) -> JsValue {
    let answered = async move {
        Ok(match endpoint(&isolate, &request).await {
            Ok(response) => response,
            Err(problem) => problem.respond(&request),
        })
    };
    host::promise(Box::pin(answered)).into()
}

/// Finds the endpoint, authenticates the caller, and carries it out.
pub async fn dispatch(isolate: &Isolate, request: &Request) -> Answer {
    // As it was sent: what maps unknown methods to GET must not decide what a request does.
    let method = request.host.method();
    let path = request.path();
    if request.has_key_in_url(&isolate.config.foreign) {
        return Err(Problem::key_in_url());
    }
    let Some((template, parts)) =
        ENDPOINTS.iter().find_map(|endpoint| Some((endpoint.path, fits(endpoint.path, path)?)))
    else {
        if !path.starts_with("/v1/") && matches!(&*method, "GET" | "HEAD") {
            return host::asset(&isolate.env, &request.host).await.ok_or_else(not_found);
        }
        return Err(not_found());
    };
    let here = || ENDPOINTS.iter().filter(|endpoint| endpoint.path == template);
    let Some(endpoint) = here().find(|endpoint| endpoint.method == method) else {
        let allowed: Vec<&str> = here().map(|endpoint| endpoint.method).collect();
        return Err(Problem::method_not_allowed(&allowed.join(", ")));
    };
    let mut call = Call { isolate, request, endpoint, parts, manager: None };
    if let Some(scope) = endpoint.scope {
        call.manager = Some(manager(isolate, request, scope).await?);
    }
    (endpoint.run)(&call).await
}

/// Whether a path is of a template's form: `Some` of what stands for its names in braces.
fn fits<'p>(template: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut parts = Vec::new();
    let mut given = path.split('/');
    for wanted in template.split('/') {
        let segment = given.next()?;
        match wanted.starts_with('{') {
            true if segment.is_empty() => return None,
            true => parts.push(segment),
            false if wanted != segment => return None,
            false => {}
        }
    }
    given.next().is_none().then_some(parts)
}

pub fn not_found() -> Problem {
    Problem::new(404, "NOT_FOUND", "Nothing here", "no endpoint has this path; GET /openapi.json lists them")
}

/// Authenticates the caller's own key and asks for one of keyward's scopes.
async fn manager(isolate: &Isolate, request: &Request, scope: &'static str) -> Result<Manager, Problem> {
    let text = request.bearer()?;
    let needed: Vec<Needed<'_>> = Needed::parse(scope).into_iter().collect();
    let about = About { environment: None, needed: &needed, caller: request, cost: 1, via: "api" };
    let verified = isolate.verify(request.id(), &text, about, false).await;
    request.tell(&verified);
    match (verified.code, verified.leased) {
        (Code::Valid, Some(leased)) => Ok(Manager { id: leased.id.clone(), leased }),
        (code, _) => {
            if verified.mode != Mode::Offline
                && let Ok(key) = KeyText::parse(&text, None)
            {
                log_refusal(request, code, &key.redacted());
            }
            Err(Problem::of_verdict(code, &[scope]))
        }
    }
}

impl<'a> Call<'a> {
    /// The id in the path, of a key that this deployment made; any other is answered without asking an object.
    pub fn key_id(&self) -> Result<&'a str, Problem> {
        self.part(0).filter(|id| is_id(id) && self.isolate.config.issued_in_any(id)).ok_or_else(Problem::no_such_key)
    }

    /// What stands in the path for the name in braces at this position.
    pub fn part(&self, position: usize) -> Option<&'a str> {
        self.parts.get(position).copied()
    }

    /// What the caller's key holds.
    pub fn held(&self) -> Vec<Scope> {
        let key = self.manager.as_ref().and_then(|manager| manager.leased.key());
        key.map_or_else(Vec::new, |key| key.record.scopes.clone())
    }

    /// The caller, as the log names him.
    pub fn actor(&self) -> Actor {
        let (address, country) = self.request.client();
        Actor {
            key_id: self.manager_id().to_owned(),
            request_id: self.request.id().to_owned(),
            address: address.map(|address| address.to_string()),
            country,
        }
    }

    /// Id of the caller's key.
    pub fn manager_id(&self) -> &str {
        self.manager.as_ref().map_or("", |manager| &manager.id)
    }

    /// The parameters of the query, in the order in which the endpoint names them.
    pub fn query<const N: usize>(&self) -> Result<[Option<String>; N], Problem> {
        let mut values = [const { None }; N];
        let known = self.endpoint.query;
        for (name, value) in self.request.query() {
            let position = known.iter().position(|parameter| *parameter == name);
            match position.and_then(|position| values.get_mut(position)) {
                Some(slot @ None) => *slot = Some(value.into_owned()),
                Some(Some(_)) => return Err(Invalid::new(name, "is given twice").into()),
                None if known.is_empty() => return Err(Invalid::new("", "no query is taken here").into()),
                None => return Err(Invalid::new("", format!("the query takes {}", known.join(", "))).into()),
            }
        }
        Ok(values)
    }

    /// That there is no query.
    pub fn no_query(&self) -> Result<(), Problem> {
        self.query::<0>().map(|_| ())
    }

    /// The body, which must be JSON.
    pub async fn body(&self) -> Result<(String, Value), Problem> {
        self.no_query()?;
        let text = self.request.json_text().await?;
        let value = parse(&text)?;
        Ok((text, value))
    }

    /// The body, where none counts as an empty object.
    pub async fn optional_body(&self) -> Result<(String, Value), Problem> {
        self.no_query()?;
        let text = self.request.json_text().await?;
        let value = if text.trim().is_empty() { json!({}) } else { parse(&text)? };
        Ok((text, value))
    }
}

/// Reads JSON, in words that do not repeat the input.
pub fn parse(text: &str) -> Result<Value, Problem> {
    keyward::fields::parse(text).map_err(|problem| Problem::invalid(&format!("the body {problem}")))
}

/// `GET /healthz`
async fn health(call: &Call<'_>) -> Answer {
    call.no_query()?;
    Ok(json(call.request, 200, &json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_that_an_endpoint_asks_for_can_be_given_to_a_key() {
        for endpoint in ENDPOINTS {
            let known = endpoint.scope.is_none_or(|scope| keyward::scope::OWN_SCOPES.contains(&scope));
            assert!(known, "{} {}", endpoint.method, endpoint.path);
        }
        assert!(keyward::scope::OWN_SCOPES.contains(&crate::authorize::PROXY));
    }

    #[test]
    fn a_path_fits_its_template_and_no_other() {
        assert_eq!(fits("/v1/keys", "/v1/keys"), Some(vec![]));
        assert_eq!(fits("/v1/keys/{id}", "/v1/keys/abc"), Some(vec!["abc"]));
        assert_eq!(fits("/v1/keys/{id}/revoke", "/v1/keys/abc/revoke"), Some(vec!["abc"]));
        assert_eq!(fits("/r/{a}/s/{b}", "/r/x/s/y"), Some(vec!["x", "y"]));
        for (template, path) in [
            ("/v1/keys/{id}", "/v1/keys/"),
            ("/v1/keys/{id}", "/v1/keys/a/b"),
            ("/v1/keys/{id}/revoke", "/v1/keys//revoke"),
            ("/v1/keys/{id}/revoke", "/v1/keys/revoke"),
            ("/v1/keys", "/v1/keys/"),
        ] {
            assert_eq!(fits(template, path), None, "{path}");
        }
    }

    #[test]
    fn endpoints_are_named_apart() {
        for (i, one) in DESCRIPTIONS.iter().enumerate() {
            for other in &DESCRIPTIONS[i + 1..] {
                assert!(one.name != other.name && (one.method, one.path) != (other.method, other.path));
            }
        }
    }
}
