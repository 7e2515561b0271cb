//! The OpenAPI 3.1 document, written from the table of endpoints. What an endpoint takes is described by the very code that
//! reads it; what it answers is described here, and a test holds the running Worker to it.
//!
//! It is written at build time (`src/bin/openapi.rs`) and served as a file: nothing here but [`serve`] is in the Worker, of
//! which it was an eighth.

use crate::api::{Answer, Call, DESCRIPTIONS, Description, not_found};
use crate::host;
use crate::response::answer;
use keyward::draft::{Draft, Settings};
use keyward::error::Invalid;
use keyward::fields::Fields;
use keyward::foreign::Row;
use keyward::time::Instant;
use keyward::verify::Code;
use serde_json::{Map, Value, json};

/// A parameter of a query.
pub struct Query {
    pub name: &'static str,
    about: &'static str,
    schema: fn() -> Value,
}

/// What stands in the body of a request; each describes itself.
pub enum Takes {
    Nothing,
    /// A JSON object.
    Json(Describe),
    /// A JSON object, or nothing, which counts as an empty one.
    MaybeJson(Describe),
    /// As `Json`, for a creation, which an `Idempotency-Key` may guard.
    Creation(Describe),
    /// As `MaybeJson`, for a creation.
    MaybeCreation(Describe),
    /// As `Json`, for a question that may want a fresh answer.
    Question(Describe),
    /// JSON lines.
    Lines(Describe),
    /// A partner's report, with its signature.
    Signed(Describe),
}

type Describe = fn() -> Value;

/// What an endpoint answers when it does what is asked, by the name of a schema below.
pub enum Answers {
    Json(u16, &'static str),
    Lines(&'static str),
    /// JSON, or CSV where the query asks for it.
    JsonOrCsv(&'static str),
    /// JSON, or Markdown where the query asks for it.
    JsonOrMarkdown(&'static str),
    /// A JSON list.
    List(&'static str),
    /// Plain text.
    Text,
}

pub const LIMIT: Query = Query {
    name: "limit",
    about: "How many at most",
    schema: || json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50}),
};
pub const CURSOR: Query = Query {
    name: "cursor",
    about: "The `next_cursor` of the page before",
    schema: || json!({"type": "string", "pattern": "^[0-9a-f]{1,13}$"}),
};
pub const OWNER: Query = Query {
    name: "owner",
    about: "Only keys of this owner",
    schema: || json!({"type": "string", "minLength": 1, "maxLength": keyward::draft::OWNER}),
};
pub const SEARCH: Query = Query {
    name: "search",
    about: "Only keys whose name begins like this, in any case",
    schema: || json!({"type": "string", "minLength": 1, "maxLength": keyward::draft::NAME}),
};
pub const ENVIRONMENT: Query =
    Query { name: "environment", about: "Only keys of this environment", schema: environment };
pub const STATUS: Query = Query {
    name: "status",
    about: "Only keys that were left so; one that has expired is still `active` here",
    schema: || json!({"enum": ["active", "disabled", "revoked"]}),
};
pub const HEAD: Query = Query {
    name: "head",
    about: "A head that was kept from a receipt or an export: the log must still hold it",
    schema: || json!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,14})-[0-9a-f]{64}$"}),
};
pub const AFTER: Query = Query {
    name: "after",
    about: "Position of the last row that is already there",
    schema: || json!({"type": "integer", "minimum": 0, "maximum": keyward::audit::MAX_POSITION}),
};
pub const LINES: Query = Query {
    name: "limit",
    about: "How many rows at most",
    schema: || json!({"type": "integer", "minimum": 1, "maximum": crate::reports::MOST_LINES, "default": crate::reports::MOST_LINES}),
};

pub const BY: Query =
    Query { name: "by", about: "What is put together", schema: || json!({"enum": ["hour", "day"], "default": "hour"}) };
pub const FROM: Query = Query {
    name: "from",
    about: "From when; a day, or 30 days, before `to` where it is not given. Counts are kept for 90 days",
    schema: || json!({"type": "string", "format": "date-time"}),
};
pub const TO: Query = Query {
    name: "to",
    about: "Until when; now where it is not given",
    schema: || json!({"type": "string", "format": "date-time"}),
};
pub const FORMAT: Query = Query {
    name: "format",
    about: "How it is written",
    schema: || json!({"enum": ["json", "csv"], "default": "json"}),
};
pub const WRITTEN: Query = Query {
    name: "format",
    about: "How it is written",
    schema: || json!({"enum": ["json", "markdown"], "default": "json"}),
};
pub const OF_KEY: Query = Query {
    name: "key_id",
    about: "Only those of this key",
    schema: || json!({"type": "string", "pattern": "^[0-9A-Za-z]{16}$"}),
};
pub const OPEN: Query = Query {
    name: "status",
    about: "Only those that are open, or closed",
    schema: || json!({"enum": ["open", "closed"]}),
};
pub const QUIET: Query = Query {
    name: "quiet_seconds",
    about: "How long it must not have been used",
    schema: || json!({"type": "integer", "minimum": 0, "maximum": crate::routes::MOST_QUIET, "default": keyward::slots::DEFAULT_QUIET}),
};
const ROUTE: Query = Query {
    name: "route",
    about: "Name of the route",
    schema: || json!({"type": "string", "pattern": keyward::route::NAME.pattern}),
};
pub const FORCE: Query =
    Query { name: "force", about: "`true`: whatever the evidence", schema: || json!({"enum": ["true", "false"]}) };

/// The document is that of any deployment, so it cannot list what only one of them knows.
fn environment() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9]{1,11}$",
        "description": "One of the deployment's: live, test, staging or dev, unless `KEYWARD_ENVIRONMENTS` names others"})
}

/// What is taken with an environment, which need not be named.
fn placed<T>(read: impl FnOnce(&mut Fields) -> Result<T, Invalid>) -> Value {
    let mut schema = described(read);
    schema["properties"]["environment"] = environment();
    schema["properties"]["environment"]["type"] = json!(["string", "null"]);
    schema
}

fn described<T>(read: impl FnOnce(&mut Fields) -> Result<T, Invalid>) -> Value {
    Fields::describe(|fields| read(fields).map(|_| ()))
}

pub fn draft() -> Value {
    placed(|fields| Draft::take(fields, &[], Instant::EPOCH))
}

pub fn settings() -> Value {
    let mut schema = described(Settings::take);
    // A change need not name what a creation must.
    schema["required"] = json!([]);
    schema
}

pub fn question() -> Value {
    placed(|fields| crate::verdict::take(fields, &[]))
}

pub fn row() -> Value {
    placed(|fields| Row::take(fields, &[], &[], Instant::EPOCH))
}

pub fn waiting() -> Value {
    described(crate::keys::waiting)
}

pub fn revocation() -> Value {
    described(crate::keys::revocation)
}

pub fn terms() -> Value {
    described(crate::rotations::terms)
}

pub fn route() -> Value {
    placed(|fields| keyward::route::Route::take(fields, &[], &[], &[]))
}

pub fn slot() -> Value {
    described(crate::routes::slot_draft)
}

pub fn webhook() -> Value {
    described(|fields| keyward::webhook::Webhook::take(fields, &[], &[]))
}

pub fn replay() -> Value {
    let mut schema = described(crate::webhooks::replayed);
    schema["oneOf"] = json!([{"required": ["event_id"]}, {"required": ["since"]}]);
    for field in ["event_id", "since"] {
        schema["properties"][field]["type"] = "string".into();
    }
    schema
}

/// What a partner sends; what it adds to its own format is passed over.
pub fn partner_report() -> Value {
    let token = json!({"type": "object", "properties": {"token": {"type": "string"}, "type": {"type": "string"}, "url": {"type": ["string", "null"]}, "source": {"type": ["string", "null"]}}, "required": ["token", "type"]});
    json!({"type": "array", "maxItems": keyward::leak::MOST_TOKENS, "items": token})
}

pub fn leaks() -> Value {
    described(crate::leaks::own)
}

pub fn leak_response() -> Value {
    described(crate::incidents::response)
}

pub fn incident_change() -> Value {
    described(keyward::incident::Change::take)
}

pub fn outcomes() -> Value {
    described(crate::usage::reports)
}

pub fn ending() -> Value {
    described(crate::rotations::ending)
}

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in DESCRIPTIONS {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        let named = endpoint.path.split(['{', '}']).skip(1).step_by(2);
        let parameters: Vec<Value> = named.map(path_parameter).collect();
        if !parameters.is_empty() {
            path["parameters"] = parameters.into();
        }
        path[endpoint.method.to_ascii_lowercase()] = operation(endpoint);
    }
    paths.insert("/v1/authorize".into(), authorize());
    paths.insert("/v1/relay/sessions".into(), sessions());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "keyward",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "API keys that never reach a browser, verified at the edge, revoked with a receipt.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key that holds the scope that the operation names"}},
            "schemas": schemas(),
            "headers": {
                "RequestId": {"description": "Id of the request, in every log line about it", "required": true, "schema": {"type": "string", "pattern": "^req_[0-9a-z]+$"}},
            },
        },
    })
}

/// `GET /openapi.json`
pub async fn serve(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let text = host::asset_text(&call.isolate.env, &call.request.host).await.ok_or_else(not_found)?;
    Ok(answer(call.request, 200, "application/json", &[], &text))
}

fn path_parameter(name: &str) -> Value {
    let (about, schema) = match name {
        "id" => ("Id of the key", json!({"type": "string", "pattern": "^[0-9A-Za-z]{16}$"})),
        "incident" => {
            ("Id of the incident", json!({"type": "string", "pattern": "^inc_[0-9A-Za-z]{16}_[1-9][0-9]{0,8}$"}))
        }
        "slot" => ("Where the secret stands", json!({"enum": keyward::slots::Slot::NAMES})),
        _ => ("Its name", json!({"type": "string", "pattern": keyward::route::NAME.pattern})),
    };
    json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
}

fn operation(endpoint: &Description) -> Value {
    let mut parameters: Vec<Value> = endpoint
        .query
        .iter()
        .map(|of| json!({"name": of.name, "in": "query", "description": of.about, "schema": (of.schema)()}))
        .collect();
    let header = |name: &str, about: &str, schema: Value| json!({"name": name, "in": "header", "description": about, "schema": schema});
    let body = match endpoint.takes {
        Takes::Nothing => None,
        Takes::Json(describe) | Takes::Creation(describe) | Takes::Question(describe) => {
            Some(("application/json", describe(), true))
        }
        Takes::MaybeJson(describe) | Takes::MaybeCreation(describe) => Some(("application/json", describe(), false)),
        Takes::Signed(describe) => Some(("application/json", describe(), true)),
        Takes::Lines(describe) => {
            // To OpenAPI 3.1 a body of lines is a text; what each of them holds stands beside it.
            let lines = json!({"type": "string", "minLength": 1, "description": "One such object on each line", "x-line": describe()});
            Some(("application/jsonl", lines, true))
        }
    };
    if matches!(endpoint.takes, Takes::Creation(_) | Takes::MaybeCreation(_)) {
        let about = "A name for this very request: sent again within a day, it creates nothing and answers the same object without the key";
        parameters.push(header(
            "Idempotency-Key",
            about,
            json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7E]+$"}),
        ));
    }
    if matches!(endpoint.takes, Takes::Question(_)) {
        parameters.push(header(
            "Cache-Control",
            "`no-cache`: the key's authority itself gives the verdict",
            json!({"type": "string", "examples": ["no-cache"]}),
        ));
    }
    if matches!(endpoint.takes, Takes::Signed(_)) {
        let mut needed = |name: &str, about: &str| {
            let mut parameter = header(name, about, json!({"type": "string"}));
            parameter["required"] = true.into();
            parameters.push(parameter);
        };
        needed("Github-Public-Key-Identifier", "Which of the configured public keys signed");
        needed("Github-Public-Key-Signature", "Base64 of the DER of its ECDSA signature (P-256, SHA-256) of the body");
    }
    let (status, success) = match endpoint.answers {
        Answers::Json(status, schema) => (status, json!({"application/json": {"schema": reference(schema)}})),
        Answers::JsonOrCsv(schema) => (
            200,
            json!({"application/json": {"schema": reference(schema)}, "text/csv": {"schema": {"type": "string"}}}),
        ),
        Answers::JsonOrMarkdown(schema) => (
            200,
            json!({"application/json": {"schema": reference(schema)}, "text/markdown": {"schema": {"type": "string"}}}),
        ),
        Answers::List(schema) => {
            (200, json!({"application/json": {"schema": {"type": "array", "items": reference(schema)}}}))
        }
        Answers::Text => (200, json!({"text/plain": {"schema": {"type": "string"}}})),
        Answers::Lines(schema) => {
            (200, json!({"application/jsonl": {"schema": {"type": "string", "x-line": reference(schema)}}}))
        }
    };
    let mut responses = Map::new();
    let mut about = headers();
    if let Answers::Lines("LogRow") = endpoint.answers {
        about["Keyward-Log-Head"] =
            json!({"description": "Head of the log", "required": true, "schema": {"type": "string"}});
        about["Link"] = json!({"description": "The next page, where there is one", "schema": {"type": "string"}});
    }
    if matches!(endpoint.takes, Takes::Creation(_) | Takes::MaybeCreation(_)) {
        about["Idempotency-Replayed"] =
            json!({"description": "`true`, where nothing was created", "schema": {"type": "string"}});
    }
    responses.insert(status.to_string(), json!({"description": "Done", "content": success, "headers": about}));
    let mut refusals: Vec<(u16, Vec<&str>)> = vec![(400, vec!["INVALID_REQUEST", "KEY_IN_URL"])];
    let mut refuse = |status: u16, code: &'static str| match refusals.iter_mut().find(|(known, _)| *known == status) {
        Some((_, codes)) => codes.push(code),
        None => refusals.push((status, vec![code])),
    };
    if endpoint.scope.is_some() {
        refuse(400, "SEVERAL_CREDENTIALS");
        refuse(401, "UNAUTHORIZED");
        for code in ["INSUFFICIENT_SCOPE", "IP_NOT_ALLOWED", "COUNTRY_NOT_ALLOWED", "ORIGIN_NOT_ALLOWED"] {
            refuse(403, code);
        }
        if endpoint.method != "GET" {
            refuse(403, "SCOPE_NOT_HELD");
        }
        refuse(503, "UNAVAILABLE");
    }
    for (status, code) in endpoint.refuses {
        refuse(*status, code);
    }
    refuse(500, "INTERNAL_ERROR");
    refuse(503, "NOT_CONFIGURED");
    for (status, codes) in refusals {
        responses.insert(status.to_string(), problem(status, &codes));
    }
    let mut operation = json!({"operationId": endpoint.name, "summary": endpoint.summary, "responses": responses});
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some((kind, schema, required)) = body {
        operation["requestBody"] = json!({"required": required, "content": {kind: {"schema": schema}}});
    }
    match endpoint.scope {
        Some(scope) => {
            operation["description"] = format!("Needs the scope `{scope}`.").into();
            operation["x-scope"] = scope.into();
        }
        None => operation["security"] = json!([]),
    }
    operation
}

fn authorize() -> Value {
    let refused = |status: u16, codes: &[&str]| {
        let mut problem = problem(status, codes);
        problem["headers"]["Keyward-Status"] =
            json!({"description": "The status once more", "schema": {"type": "string"}});
        problem
    };
    let scope = json!({"name": "scope", "in": "query", "description": "A scope that the call needs; may be repeated", "style": "form", "explode": true,
        "schema": {"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9._-]{1,49}:[a-z0-9._-]{1,49}$"}}});
    let environment = json!({"name": "environment", "in": "query", "description": "The environment that the key must be for", "schema": environment()});
    let proxy = json!({"name": "Keyward-Proxy", "in": "header", "description": "The proxy's own key, which holds `keyward.authorize:proxy`: the caller's address is the last one of `X-Forwarded-For`", "schema": {"type": "string"}});
    let known = ["Keyward-Key-Id", "Keyward-Owner", "Keyward-Scopes", "Keyward-Status"];
    let mut about = headers();
    for name in known {
        about[name] = json!({"schema": {"type": "string"}});
    }
    about["Keyward-Warning"] =
        json!({"description": "The secret is being replaced, and until when it works", "schema": {"type": "string"}});
    json!({"get": {
        "operationId": "authorize",
        "summary": "Forward authentication for a proxy: checks the caller's own key. Any method does",
        "parameters": [scope, environment, proxy],
        "responses": {
            "200": {"description": "Accepted", "headers": about},
            "400": refused(400, &["INVALID_REQUEST", "KEY_IN_URL", "SEVERAL_CREDENTIALS"]),
            "401": refused(401, &["UNAUTHORIZED", "PROXY_NOT_ACCEPTED"]),
            "403": refused(403, &["INSUFFICIENT_SCOPE", "IP_NOT_ALLOWED", "COUNTRY_NOT_ALLOWED", "ORIGIN_NOT_ALLOWED", "PROXY_NOT_ACCEPTED"]),
            "500": refused(500, &["INTERNAL_ERROR"]),
            "503": refused(503, &["UNAVAILABLE", "NOT_CONFIGURED"]),
        },
    }})
}

fn sessions() -> Value {
    let mut operation = operation(&Description {
        method: "POST",
        path: "/v1/relay/sessions",
        name: "beginSession",
        scope: None,
        summary: "Begins a session of a browser for a route: from a page of a listed origin, or with a backend's key",
        query: &[ROUTE],
        takes: Takes::MaybeJson(|| described(crate::sessions::asked)),
        answers: Answers::Json(201, "Session"),
        refuses: &[
            (400, "SEVERAL_CREDENTIALS"),
            (401, "UNAUTHORIZED"),
            (403, "INSUFFICIENT_SCOPE"),
            (403, "IP_NOT_ALLOWED"),
            (403, "COUNTRY_NOT_ALLOWED"),
            (403, "ORIGIN_NOT_ALLOWED"),
            (403, "ORIGIN_NOT_LISTED"),
            (403, "NO_SESSIONS"),
            (403, "SESSION_BY_BACKEND_ONLY"),
            (403, "TURNSTILE_FAILED"),
            (404, "ROUTE_NOT_FOUND"),
            (408, "BODY_TIMEOUT"),
            (429, "RATE_LIMITED"),
            (503, "UNAVAILABLE"),
            (503, "ROUTE_NOT_ALLOWED"),
            (503, "TURNSTILE_NOT_CONFIGURED"),
        ],
    });
    operation["parameters"][0]["required"] = true.into();
    operation["security"] = json!([{"key": []}, {}]);
    let scope = crate::relay::SESSIONS_CREATE;
    operation["description"] =
        format!("Without a key, the request's `Origin` must be listed and the route open to pages; a key needs the scope `{scope}`.").into();
    json!({ "post": operation })
}

fn headers() -> Value {
    json!({"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}})
}

fn problem(status: u16, codes: &[&str]) -> Value {
    let mut headers = headers();
    if matches!(status, 401 | 403) {
        headers["WWW-Authenticate"] =
            json!({"description": "A challenge (RFC 6750), where another key would do", "schema": {"type": "string"}});
    }
    let schema = json!({"allOf": [reference("Problem"), {"properties": {"code": {"enum": codes}}}]});
    json!({"description": codes.join(", "), "headers": headers, "content": {"application/problem+json": {"schema": schema}}})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// What is answered, by name.
const SCHEMAS: &str = include_str!("schemas.json");

fn schemas() -> Value {
    let mut schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_else(|_| unreachable!("a test parses it"));
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    schemas["Verdict"]["properties"]["code"] = json!({ "enum": codes });
    schemas["Key"]["properties"]["environment"] = environment();
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_schema() {
        let schemas: Value = serde_json::from_str(SCHEMAS).unwrap();
        for endpoint in DESCRIPTIONS {
            let name = match endpoint.answers {
                Answers::Json(_, name) | Answers::Lines(name) | Answers::JsonOrCsv(name) => name,
                Answers::JsonOrMarkdown(name) | Answers::List(name) => name,
                Answers::Text => continue,
            };
            assert!(schemas[name].is_object(), "{name}");
        }
        for reference in SCHEMAS.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas[name].is_object(), "{name}");
        }
    }
}
