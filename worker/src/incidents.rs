//! The endpoints about incidents: the answer to a leak in one call, and what remains to be done after it.

use crate::api::{Answer, Call};
use crate::host::clock;
use crate::keys::{asked, changed_key, listed, page_cursor, page_limit, told, unchanged};
use crate::messages::{Changed, FromKey, FromProject, ToKey, ToProject};
use crate::response::{Problem, answer, json};
use crate::rotations;
use keyward::error::Invalid;
use keyward::fields::Fields;
use keyward::incident::{Response, is_incident_id};
use keyward::key::is_id;
use keyward::leak::Action;
use keyward::life;
use keyward::record::Record;
use keyward::rotation::{Activate, DEFAULT_QUIET, MOST_GRACE, Terms};
use keyward::time::Instant;
use serde_json::Value;

/// Longest note, in characters.
const NOTE: usize = 1000;

/// What an answer to a leak is to do.
pub struct Asked {
    action: Action,
    suspected_at: Option<Instant>,
    reason: Option<String>,
    note: Option<String>,
    grace_seconds: u32,
}

/// What `POST /v1/keys/{id}/leak-response` takes.
pub fn response(fields: &mut Fields) -> Result<Asked, Invalid> {
    let action = match fields.required_one_of("action", &["revoke", "rotate", "disable", "none"])?.as_str() {
        "revoke" => Action::Revoke,
        "rotate" => Action::Rotate,
        "disable" => Action::Disable,
        _ => Action::None,
    };
    let grace = fields.whole("grace_seconds", 0, MOST_GRACE)?;
    if grace.is_some() && action != Action::Rotate {
        return Err(Invalid::new("grace_seconds", "is for the action rotate: how long the old secret still works"));
    }
    Ok(Asked {
        action,
        suspected_at: fields.instant("suspected_at")?,
        reason: fields.line("reason", 500)?,
        note: fields.line("note", NOTE)?,
        grace_seconds: grace.map_or(0, |seconds| seconds as u32),
    })
}

/// `POST /v1/keys/{id}/leak-response`
pub async fn respond(call: &Call<'_>) -> Answer {
    let (text, body) = call.body().await?;
    let mut fields = Fields::of(body)?;
    let of = response(&mut fields)?;
    fields.end()?;
    if of.suspected_at.is_some_and(|at| at > clock()) {
        return Err(Invalid::new("suspected_at", "must not lie in the future").into());
    }
    let id = call.key_id()?;
    let rotates = of.action == Action::Rotate;
    let because = || Some(of.reason.clone().unwrap_or_else(|| "leaked".to_owned()));
    let changing = |change| ToKey::Change { change, by: call.actor(), held: call.held() };
    let (message, key) = match of.action {
        Action::Revoke => (changing(life::Change::Revoke { reason: because() }), None),
        Action::Disable => (changing(life::Change::Disable), None),
        Action::Rotate => {
            let terms =
                Terms { activate: Activate::Now, grace_seconds: of.grace_seconds, quiet_seconds: DEFAULT_QUIET };
            let (message, key) = rotations::begun(call, terms, asked(call, &text)?).await?;
            (message, Some(key))
        }
        Action::None | Action::Notify => (ToKey::Settled, None),
    };
    let (mut message, mut replayed) = (message, false);
    let reply = loop {
        match told(call, &message).await? {
            FromKey::Repeated(_) => (message, replayed) = (ToKey::Settled, true),
            reply => break reply,
        }
    };
    let FromKey::Changed(changed) = reply else { return Err(unchanged(reply)) };
    // From here on the action is done, and its answer is not kept from whoever asked for it: a new secret is shown this once.
    let incident = open(call, id, &of, &changed).await;
    let mut value = changed_key(&changed);
    value["action"] = of.action.as_str().into();
    value["log_head"] = changed.log_head.clone().into();
    value["incident"] = incident.into();
    if let Some(shown) = changed.rotation.as_ref().filter(|_| rotates) {
        value["rotation"] = rotations::shown(shown);
    }
    if let Some(key) = key.filter(|_| !replayed) {
        value["key"] = key.expose().into();
    }
    let headers: &[(&'static str, String)] = &[("Idempotency-Replayed", "true".to_owned())];
    let headers = if replayed { headers } else { &[] };
    Ok(answer(call.request, 200, "application/json", headers, &format!("{value}\n")))
}

/// Collects the evidence and has the incident opened; `None` where that failed.
async fn open(call: &Call<'_>, id: &str, of: &Asked, changed: &Changed) -> Option<Value> {
    // The secret that leaked: after a rotation the one that was replaced.
    let rotation = changed.rotation.as_ref().map(|shown| &shown.rotation).filter(|_| of.action == Action::Rotate);
    let message = ToKey::Evidence { since: of.suspected_at, secret: rotation.map(|rotation| rotation.from) };
    let Ok(FromKey::Evidence { secret, since, evidence }) = call.isolate.to_key(id, &message).await else {
        return None;
    };
    let Record { name, owner, .. } = &changed.record;
    let response = Response {
        key_id: id.to_owned(),
        name: name.clone(),
        owner: owner.clone(),
        secret,
        action: of.action,
        suspected_at: of.suspected_at.unwrap_or(since),
        evidence,
        works_until: rotation.and_then(|rotation| rotation.ends_at).filter(|_| of.grace_seconds > 0),
        notes: [&of.reason, &of.note].into_iter().flatten().cloned().collect(),
    };
    let message = ToProject::Respond { response: response.told(), by: call.actor() };
    match call.isolate.to_project(&message).await {
        Ok(FromProject::Incident { incident }) => incident,
        _ => None,
    }
}

fn no_such_incident() -> Problem {
    Problem::new(404, "INCIDENT_NOT_FOUND", "No such incident", "no incident has that id; GET /v1/incidents lists them")
}

fn incident_id<'a>(call: &Call<'a>) -> Result<&'a str, Problem> {
    call.part(0).filter(|id| is_incident_id(id)).ok_or_else(no_such_incident)
}

/// `GET /v1/incidents`
pub async fn list(call: &Call<'_>) -> Answer {
    let [limit, cursor, key_id, status] = call.query()?;
    if key_id.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(Invalid::new("key_id", "must be the id of a key: 16 letters and digits").into());
    }
    if status.as_deref().is_some_and(|status| !["open", "closed"].contains(&status)) {
        return Err(Invalid::new("status", "must be one of: open, closed").into());
    }
    let message = ToProject::Incidents { limit: page_limit(limit)?, before: page_cursor(cursor)?, key_id, status };
    match call.isolate.to_project(&message).await {
        Ok(FromProject::Page { rows, next }) => Ok(listed(call, rows, next)),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/incidents/{incident}`
pub async fn read(call: &Call<'_>) -> Answer {
    let [format] = call.query()?;
    let markdown = match format.as_deref() {
        None | Some("json") => false,
        Some("markdown") => true,
        Some(_) => return Err(Invalid::new("format", "must be one of: json, markdown").into()),
    };
    let incident = one(call, None, markdown).await?;
    match incident.as_str() {
        Some(text) => Ok(answer(call.request, 200, "text/markdown; charset=utf-8", &[], text)),
        None => Ok(json(call.request, 200, &incident)),
    }
}

/// `PATCH /v1/incidents/{incident}`
pub async fn update(call: &Call<'_>) -> Answer {
    let (_, body) = call.body().await?;
    Ok(json(call.request, 200, &one(call, Some(body), false).await?))
}

/// The incident in the path, after a change if there is one.
async fn one(call: &Call<'_>, change: Option<Value>, markdown: bool) -> Result<Value, Problem> {
    let message = ToProject::Incident { id: incident_id(call)?.to_owned(), change, markdown, by: call.actor() };
    match call.isolate.to_project(&message).await {
        Ok(FromProject::Incident { incident: Some(incident) }) => Ok(incident),
        Ok(FromProject::Incident { incident: None }) => Err(no_such_incident()),
        Ok(FromProject::IncidentRefused { field, problem }) => Err(Invalid::new(field, problem).into()),
        _ => Err(Problem::unavailable()),
    }
}
