//! The endpoints about keys: create, read, list, change, switch off and on, revoke.

use crate::api::{Answer, Call};
use crate::host::{self, clock};
use crate::messages::{Changed, Filter, FromKey, FromProject, ToKey, ToProject};
use crate::response::{Problem, answer, json};
use keyward::draft::{Draft, NAME, OWNER};
use keyward::error::Invalid;
use keyward::fields::Fields;
use keyward::idempotency::Asked;
use keyward::key::Key;
use keyward::life::{Change, Refusal};
use keyward::record::{Record, ShownSecret, StoredKey};
use keyward::scope::{Scope, beyond};
use serde_json::{Map, Value, json};
use wasm_bindgen::JsValue;

/// Fills `bytes` from the runtime's random source.
pub fn random(bytes: &mut [u8]) {
    // Without randomness no key may be made; the entry answers 500.
    getrandom::fill(bytes).unwrap_or_else(|_| panic!("the runtime has no randomness"));
}

/// What the `Idempotency-Key` of a creation, if it has one, stands for.
pub fn asked(call: &Call<'_>, body: &str) -> Result<Option<Asked>, Problem> {
    let Some(key) = call.request.idempotency_key() else { return Ok(None) };
    let target = format!("POST {}", call.request.path());
    let asked = Asked::new(call.manager_id(), &key, &target, body);
    asked.map(Some).map_err(|problem| Invalid::new("Idempotency-Key", problem).into())
}

fn reused() -> Problem {
    Problem::new(
        422,
        "IDEMPOTENCY_KEY_REUSED",
        "The Idempotency-Key stands for another request",
        "the same key came with another request within a day; use a new one for each creation",
    )
}

/// `POST /v1/keys`
pub async fn create(call: &Call<'_>) -> Answer {
    let (text, body) = call.body().await?;
    let Call { isolate, .. } = *call;
    let config = &isolate.config;
    let draft = Draft::read(body, &config.environments, clock())?;
    #[cfg(feature = "fault-injection")]
    crate::faults::in_handler(&draft);
    if let Some(scope) = beyond(&call.held(), &draft.settings.scopes) {
        return Err(not_held(scope));
    }
    let asked = asked(call, &text)?;
    // An id drawn twice is answered `Taken`; three in a row do not happen.
    for _ in 0..3 {
        let mut key = Key::generate(&config.brand, &draft.environment, Some(&config.tags), &mut random)?;
        if let Some(asked) = &asked {
            let claim = ToProject::Claim { asked: asked.clone(), id: key.parts().id.to_owned() };
            match isolate.to_project(&claim).await {
                Ok(FromProject::Claim { same: false, .. }) => return Err(reused()),
                Ok(FromProject::Claim { id, .. }) if id != key.parts().id => {
                    match isolate.to_key(&id, &ToKey::Read).await {
                        Ok(FromKey::Record { record, secrets }) => return Ok(replayed(call, &record, &secrets)),
                        // Claimed by a request that never came to its end: this one carries it out.
                        Ok(FromKey::Absent) => {
                            key = Key::renew(&config.brand, &draft.environment, &id, &mut random)?;
                        }
                        _ => return Err(Problem::unavailable()),
                    }
                }
                Ok(FromProject::Claim { .. }) => {}
                _ => return Err(Problem::unavailable()),
            }
        }
        let parts = key.parts();
        let record = draft.clone().into_record(parts.id, &config.brand, clock());
        let stored = Box::new(StoredKey::new(record, config.peppers.digest(&parts)));
        let message = ToKey::Create { key: stored, by: call.actor(), imported: false };
        match isolate.to_key(parts.id, &message).await {
            Ok(FromKey::Record { record, secrets }) => {
                let mut body = Map::new();
                body.insert("id".into(), parts.id.into());
                body.insert("key".into(), key.expose().into());
                body.extend(object(record.shown_with(&secrets, clock())));
                return Ok(json(call.request, 201, &Value::Object(body)));
            }
            Ok(FromKey::Taken) => {}
            _ => return Err(Problem::unavailable()),
        }
    }
    Err(Problem::unavailable())
}

/// A creation that was carried out before: the same object without the secret.
fn replayed(call: &Call<'_>, record: &Record, secrets: &[ShownSecret]) -> JsValue {
    let body = format!("{}\n", record.shown_with(secrets, clock()));
    answer(call.request, 201, "application/json", &[("Idempotency-Replayed", "true".to_owned())], &body)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn not_held(scope: &Scope) -> Problem {
    let detail = format!("{} can only be granted, enabled or written to by a key that holds it", scope.as_str());
    Problem::new(403, "SCOPE_NOT_HELD", "The key does not hold that scope itself", detail)
}

/// `GET /v1/keys/{id}`
pub async fn read(call: &Call<'_>) -> Answer {
    call.no_query()?;
    match call.isolate.to_key(call.key_id()?, &ToKey::Read).await {
        Ok(FromKey::Record { record, secrets }) => Ok(json(call.request, 200, &record.shown_with(&secrets, clock()))),
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/keys`
pub async fn list(call: &Call<'_>) -> Answer {
    let [limit, cursor, owner, search, environment, status] = call.query()?;
    let (limit, before) = (page_limit(limit)?, page_cursor(cursor)?);
    for (field, value, most) in [("owner", &owner, OWNER), ("search", &search, NAME)] {
        if value.as_ref().is_some_and(|text| text.is_empty() || text.chars().count() > most) {
            return Err(Invalid::new(field, format!("must have 1 to {most} characters")).into());
        }
    }
    call.isolate.config.known_environment(environment.as_deref())?;
    if status.as_deref().is_some_and(|status| !["active", "disabled", "revoked"].contains(&status)) {
        return Err(Invalid::new("status", "must be one of: active, disabled, revoked").into());
    }
    let filter = Filter { owner, search, environment, status };
    match call.isolate.to_project(&ToProject::List { limit, before, filter }).await {
        Ok(FromProject::Page { rows, next }) => Ok(listed(call, rows, next)),
        _ => Err(Problem::unavailable()),
    }
}

/// The `limit` of a list.
pub fn page_limit(limit: Option<String>) -> Result<u32, Problem> {
    let Some(limit) = limit else { return Ok(50) };
    whole("limit", &limit, 1, 100).map(|limit| limit as u32)
}

/// A whole number in a query, written plainly.
pub fn whole(field: &str, text: &str, least: u64, most: u64) -> Result<u64, Problem> {
    let number = text.parse().ok().filter(|number: &u64| (least..=most).contains(number) && number.to_string() == text);
    number.ok_or_else(|| Invalid::new(field, format!("must be a whole number from {least} to {most}")).into())
}

/// The `cursor` of a list: a position.
pub fn page_cursor(cursor: Option<String>) -> Result<Option<u64>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let known = cursor.len() <= 14 && cursor.bytes().all(|b| b.is_ascii_hexdigit());
    let position = u64::from_str_radix(&cursor, 16).ok().filter(|position| known && *position < 1 << 53);
    position.map(Some).ok_or_else(|| Invalid::new("cursor", "must be a next_cursor of this list").into())
}

/// A page of a list.
pub fn listed(call: &Call<'_>, rows: Vec<Value>, next: Option<u64>) -> JsValue {
    let next = next.map(|position| format!("{position:x}"));
    json(call.request, 200, &json!({"data": rows, "next_cursor": next}))
}

/// `PATCH /v1/keys/{id}`
pub async fn update(call: &Call<'_>) -> Answer {
    let (_, body) = call.body().await?;
    let message = ToKey::Patch { body, by: call.actor(), held: call.held() };
    let changed = change(call, &message).await?;
    Ok(json(call.request, 200, &changed_key(&changed)))
}

/// `POST /v1/keys/{id}/disable`
pub async fn disable(call: &Call<'_>) -> Answer {
    switch(call, Change::Disable).await
}

/// `POST /v1/keys/{id}/enable`
pub async fn enable(call: &Call<'_>) -> Answer {
    switch(call, Change::Enable).await
}

async fn switch(call: &Call<'_>, to: Change) -> Answer {
    let (_, body) = call.optional_body().await?;
    let mut fields = Fields::of(body)?;
    let wait = waiting(&mut fields)?;
    fields.end()?;
    let message = ToKey::Change { change: to, by: call.actor(), held: call.held() };
    let changed = settled(call, change(call, &message).await?, wait).await?;
    Ok(json(call.request, 200, &changed_key(&changed)))
}

/// Whether to answer only once the change holds everywhere.
pub fn waiting(fields: &mut Fields) -> Result<bool, Invalid> {
    fields.flag("wait")
}

/// What a revocation takes.
pub fn revocation(fields: &mut Fields) -> Result<(Option<String>, bool), Invalid> {
    Ok((fields.line("reason", 500)?, waiting(fields)?))
}

/// `POST /v1/keys/{id}/revoke`
pub async fn revoke(call: &Call<'_>) -> Answer {
    let (_, body) = call.optional_body().await?;
    let mut fields = Fields::of(body)?;
    let (reason, wait) = revocation(&mut fields)?;
    fields.end()?;
    let message = ToKey::Change { change: Change::Revoke { reason }, by: call.actor(), held: call.held() };
    let changed = settled(call, change(call, &message).await?, wait).await?;
    let receipt = json!({
        "status": changed.record.status,
        "revoked_at": changed.record.revoked_at,
        "effective_by": changed.settled.effective_by,
        "confirmed": changed.settled.confirmed,
        "log_head": changed.log_head,
    });
    Ok(json(call.request, 200, &receipt))
}

/// Has a change carried out by the key's authority.
pub async fn change(call: &Call<'_>, message: &ToKey) -> Result<Changed, Problem> {
    match told(call, message).await? {
        FromKey::Changed(changed) => Ok(*changed),
        other => Err(unchanged(other)),
    }
}

/// What the key's authority answers to a change; this edge's own lease is over with it.
pub async fn told(call: &Call<'_>, message: &ToKey) -> Result<FromKey, Problem> {
    let id = call.key_id()?;
    let reply = call.isolate.to_key(id, message).await;
    call.isolate.forget(id);
    reply.map_err(|_| Problem::unavailable())
}

/// Why a change was not made.
pub fn unchanged(reply: FromKey) -> Problem {
    match reply {
        FromKey::Refused { refusal, rotation } => {
            let mut problem = refused(refusal);
            let rotation = rotation.filter(|_| refusal != Refusal::Revoked);
            problem.extra.extend(rotation.map(|shown| ("rotation", crate::rotations::shown(&shown))));
            problem
        }
        FromKey::Forbidden { scope } => not_held(&scope),
        FromKey::Invalid { field, problem } => Invalid::new(field, problem).into(),
        FromKey::Taken => reused(),
        FromKey::Absent => Problem::no_such_key(),
        _ => Problem::unavailable(),
    }
}

fn refused(refusal: Refusal) -> Problem {
    let conflict = |code, title, detail: &str| Problem::new(409, code, title, detail);
    match refusal {
        Refusal::Revoked => conflict("KEY_REVOKED", "The key is revoked", "revocation is final; create another key"),
        Refusal::InRotation => conflict(
            "ROTATION_IN_PROGRESS",
            "A rotation is under way",
            "complete or cancel it first: a key has at most two secrets",
        ),
        Refusal::NoRotation => {
            conflict("NO_ROTATION", "No rotation is under way", "begin one with POST /v1/keys/{id}/rotations")
        }
        Refusal::OldSecretInUse => conflict(
            "OLD_SECRET_IN_USE",
            "The old secret is still in use",
            "rotation.secrets says from where; deploy the new one there, or send {\"force\": true}",
        ),
        Refusal::NewSecretUnused => conflict(
            "NEW_SECRET_UNUSED",
            "The new secret was never seen",
            "whoever calls may not have it yet; deploy it first, or send {\"force\": true}",
        ),
        Refusal::NewSecretInUse => conflict(
            "NEW_SECRET_IN_USE",
            "The new secret is already in use",
            "rotation.secrets says from where; go back to the old one there, or send {\"force\": true}",
        ),
    }
}

/// The change, once it holds everywhere, where that is waited for.
pub async fn settled(call: &Call<'_>, mut changed: Changed, wait: bool) -> Result<Changed, Problem> {
    while wait && !changed.settled.confirmed {
        let left = changed.settled.effective_by.millis() - clock().millis();
        if left >= 0 {
            host::pause(u32::try_from(left + 1).unwrap_or(1_000).min(1_000)).await;
            continue;
        }
        // By this clock it is over; the authority's own says so, too, or a moment later.
        match call.isolate.to_key(call.key_id()?, &ToKey::Settled).await {
            Ok(FromKey::Changed(now)) if now.settled.confirmed => changed.settled.confirmed = true,
            Ok(FromKey::Changed(_)) => host::pause(10).await,
            _ => return Err(Problem::unavailable()),
        }
    }
    Ok(changed)
}

/// A key after a change, as it is answered.
pub fn changed_key(changed: &Changed) -> Value {
    let mut value = changed.record.shown_with(&changed.secrets, clock());
    value["effective_by"] = json!(changed.settled.effective_by);
    value["confirmed"] = json!(changed.settled.confirmed);
    value
}
