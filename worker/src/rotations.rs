//! The endpoints about rotation.

use crate::api::{Answer, Call};
use crate::host::clock;
use crate::keys::{asked, change, random, settled, told, unchanged, waiting};
use crate::messages::{Changed, FromKey, RotationShown, ToKey};
use crate::response::{Problem, answer, json};
use keyward::error::Invalid;
use keyward::evidence::Evidence;
use keyward::fields::Fields;
use keyward::idempotency::Asked;
use keyward::key::Key;
use keyward::rotation::{Activate, DEFAULT_GRACE, DEFAULT_QUIET, Ending, MOST_GRACE, Terms};
use serde_json::{Value, json};

/// What `POST …/rotations` takes.
pub fn terms(fields: &mut Fields) -> Result<Terms, Invalid> {
    let activate = match fields.one_of("activate", &["first_use", "now"])?.as_deref() {
        Some("now") => Activate::Now,
        _ => Activate::FirstUse,
    };
    let grace = fields.whole("grace_seconds", 0, MOST_GRACE)?;
    let quiet = fields.whole("quiet_seconds", 0, MOST_GRACE)?;
    Ok(Terms {
        activate,
        grace_seconds: grace.map_or(DEFAULT_GRACE, |seconds| seconds as u32),
        quiet_seconds: quiet.map_or(DEFAULT_QUIET, |seconds| seconds as u32),
    })
}

/// `POST /v1/keys/{id}/rotations`
pub async fn begin(call: &Call<'_>) -> Answer {
    let (text, body) = call.optional_body().await?;
    let mut fields = Fields::of(body)?;
    let terms = terms(&mut fields)?;
    fields.end()?;
    let (message, key) = begun(call, terms, asked(call, &text)?).await?;
    match told(call, &message).await? {
        FromKey::Changed(changed) => {
            let body = json!({
                "rotation": changed.rotation.as_ref().map(shown), "key": key.expose(),
                "effective_by": changed.settled.effective_by, "confirmed": changed.settled.confirmed,
                "log_head": changed.log_head,
            });
            Ok(json(call.request, 201, &body))
        }
        FromKey::Repeated(rotation) => {
            let body = format!("{}\n", json!({ "rotation": shown(&rotation) }));
            let replayed = [("Idempotency-Replayed", "true".to_owned())];
            Ok(answer(call.request, 201, "application/json", &replayed, &body))
        }
        other => Err(unchanged(other)),
    }
}

/// A new secret for the key in the path, and what its authority is asked to take it.
pub async fn begun(call: &Call<'_>, terms: Terms, asked_as: Option<Asked>) -> Result<(ToKey, Key), Problem> {
    let (id, isolate) = (call.key_id()?, call.isolate);
    let record = match isolate.to_key(id, &ToKey::Read).await {
        Ok(FromKey::Record { record, .. }) => record,
        Ok(FromKey::Absent) => return Err(Problem::no_such_key()),
        _ => return Err(Problem::unavailable()),
    };
    let key = Key::renew(&record.brand, &record.environment, id, &mut random)?;
    let digest = isolate.config.peppers.digest(&key.parts());
    Ok((ToKey::Rotate { terms, digest, asked_as, by: call.actor(), held: call.held() }, key))
}

/// `GET /v1/keys/{id}/rotations/current`
pub async fn current(call: &Call<'_>) -> Answer {
    call.no_query()?;
    match call.isolate.to_key(call.key_id()?, &ToKey::Rotation).await {
        Ok(FromKey::Rotation(rotation)) => Ok(json(call.request, 200, &shown(&rotation))),
        Ok(FromKey::Refused { .. }) => Err(Problem::new(
            404,
            "NO_ROTATION",
            "The key was never rotated",
            "begin with POST /v1/keys/{id}/rotations",
        )),
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// `POST /v1/keys/{id}/rotations/current/complete`
pub async fn complete(call: &Call<'_>) -> Answer {
    end(call, Ending::Complete).await
}

/// `POST /v1/keys/{id}/rotations/current/cancel`
pub async fn cancel(call: &Call<'_>) -> Answer {
    end(call, Ending::Cancel).await
}

/// What the end of a rotation takes: whether it is forced, and waited for.
pub fn ending(fields: &mut Fields) -> Result<(bool, bool), Invalid> {
    Ok((fields.flag("force")?, waiting(fields)?))
}

async fn end(call: &Call<'_>, ending: Ending) -> Answer {
    let (_, body) = call.optional_body().await?;
    let mut fields = Fields::of(body)?;
    let (force, wait) = self::ending(&mut fields)?;
    fields.end()?;
    let message = ToKey::EndRotation { ending, force, by: call.actor(), held: call.held() };
    let changed: Changed = settled(call, change(call, &message).await?, wait).await?;
    let body = json!({
        "rotation": changed.rotation.as_ref().map(shown), "effective_by": changed.settled.effective_by,
        "confirmed": changed.settled.confirmed, "log_head": changed.log_head,
    });
    Ok(json(call.request, 200, &body))
}

/// A rotation as it is answered, with what was seen of its two secrets.
pub fn shown(of: &RotationShown) -> Value {
    let rotation = &of.rotation;
    let secrets: Vec<Value> = of
        .secrets
        .iter()
        .map(|secret| {
            let nothing = Evidence::first(secret.number, clock());
            let seen = of.seen.secrets.iter().find(|seen| seen.number == secret.number);
            let at = |instant: fn(&Evidence) -> keyward::time::Instant| seen.map(instant);
            json!({
                "number": secret.number, "status": secret.status, "created_at": secret.created_at, "until": secret.until,
                "calls": seen.map_or(0, |seen| seen.calls),
                "first_seen": at(|seen| seen.first_seen), "last_seen": at(|seen| seen.last_seen),
                "addresses": seen.unwrap_or(&nothing).addresses, "countries": seen.unwrap_or(&nothing).countries,
                "in_use": of.in_use.contains(&secret.number),
            })
        })
        .collect();
    json!({
        "number": rotation.number, "status": rotation.status, "activate": rotation.activate,
        "grace_seconds": rotation.grace_seconds, "quiet_seconds": rotation.quiet_seconds,
        "started_at": rotation.started_at, "usable_by": rotation.usable_by,
        "activated_at": rotation.activated_at, "ends_at": rotation.ends_at, "secrets": secrets,
    })
}
