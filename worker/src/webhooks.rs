//! The endpoints about webhooks.

use crate::api::{Answer, Call};
use crate::host::clock;
use crate::keys::{listed, page_cursor, page_limit, random};
use crate::messages::{AskedOfWebhook, FromProject, FromWebhook, StoredWebhook, ToProject};
use crate::project_webhooks::ask;
use crate::response::{Problem, json};
use keyward::error::Invalid;
use keyward::fields::{Fields, Shape};
use keyward::route::is_name;
use keyward::time::Instant;
use keyward::webhook::{TEST, Webhook, new_secret, payload, place};
use serde_json::{Value, json};

const EVENT_ID: Shape = Shape { pattern: Some("^msg_[a-z0-9_-]{1,80}$"), most: 84, example: "" };

/// Which messages are to be sent again.
pub enum Replay {
    One(String),
    Since(Instant),
}

/// Takes what a replay takes.
pub fn replayed(fields: &mut Fields) -> Result<Replay, Invalid> {
    match (fields.shaped("event_id", &EVENT_ID)?, fields.instant("since")?) {
        (Some(id), None) => Ok(Replay::One(id)),
        (None, Some(since)) => Ok(Replay::Since(since)),
        _ => Err(Invalid::new("", "give event_id or since, one of them")),
    }
}

fn no_such_webhook() -> Problem {
    Problem::new(
        404,
        "WEBHOOK_NOT_FOUND",
        "No such webhook",
        "no webhook of this deployment has that name; GET /v1/webhooks lists them",
    )
}

fn name<'a>(call: &Call<'a>) -> Result<&'a str, Problem> {
    call.part(0).filter(|name| is_name(name)).ok_or_else(no_such_webhook)
}

/// A webhook as it is answered.
fn shown(of: &StoredWebhook) -> Value {
    let now = clock();
    let secrets = of.secrets.iter().filter(|held| held.signs(now));
    json!({
        "name": of.name, "url": of.body.url, "events": of.body.events, "description": of.body.description,
        "active": of.body.active, "gone": of.gone,
        "secrets": secrets.map(|held| json!({"created_at": held.made_at, "until": held.until})).collect::<Vec<_>>(),
        "created_at": of.made_at, "updated_at": of.updated_at,
    })
}

async fn all(call: &Call<'_>) -> Result<Vec<StoredWebhook>, Problem> {
    match call.isolate.to_project(&ToProject::Webhooks).await {
        Ok(FromProject::Webhooks { webhooks }) => Ok(webhooks),
        _ => Err(Problem::unavailable()),
    }
}

async fn one(call: &Call<'_>) -> Result<StoredWebhook, Problem> {
    let name = name(call)?;
    all(call).await?.into_iter().find(|webhook| webhook.name == name).ok_or_else(no_such_webhook)
}

/// Asks the object that delivers for a webhook.
async fn told(call: &Call<'_>, webhook: &StoredWebhook, what: AskedOfWebhook) -> Result<FromWebhook, Problem> {
    ask(&call.isolate.env, webhook, what).await.map_err(|_| Problem::unavailable())
}

/// Has a webhook changed, and its object look at the change; whether the secret that came with it is its own now.
async fn changed(call: &Call<'_>, message: &ToProject) -> Result<(StoredWebhook, bool), Problem> {
    match call.isolate.to_project(message).await {
        Ok(FromProject::Webhook { webhook, fresh }) => {
            // The change is stored. That the object hears of it later is no reason to keep a new secret from its owner.
            let _ = told(call, &webhook, AskedOfWebhook::Look).await;
            Ok((*webhook, fresh))
        }
        Ok(FromProject::NoWebhook) => Err(no_such_webhook()),
        Ok(FromProject::WebhookRefused { field, problem }) => Err(Invalid::new(field, problem).into()),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/webhooks`
pub async fn list(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let webhooks: Vec<Value> = all(call).await?.iter().map(shown).collect();
    Ok(json(call.request, 200, &json!({"data": webhooks, "next_cursor": null})))
}

/// `GET /v1/webhooks/{name}`
pub async fn read(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let webhook = one(call).await?;
    let FromWebhook::State { state } = told(call, &webhook, AskedOfWebhook::State).await? else {
        return Err(Problem::unavailable());
    };
    let mut value = shown(&webhook);
    value["state"] = state;
    Ok(json(call.request, 200, &value))
}

/// `PUT /v1/webhooks/{name}`
pub async fn put(call: &Call<'_>) -> Answer {
    let (_, body) = call.body().await?;
    let name = name(call)
        .map_err(|_| Invalid::new("name", "a webhook's name is 1 to 32 of a-z, 0-9 and -, a letter first"))?;
    let config = &call.isolate.config;
    let own = call.request.own_host();
    let body = Webhook::read(body, &config.local_webhooks, &[&own])?;
    let secret = new_secret(&mut random);
    let sealed = config.sealing.seal(&place(name, body.origin()), &secret, &mut random);
    let message = ToProject::PutWebhook { name: name.to_owned(), body, sealed, by: call.actor() };
    let (webhook, fresh) = changed(call, &message).await?;
    let mut value = shown(&webhook);
    if fresh {
        value["secret"] = secret.as_str().into();
    }
    Ok(json(call.request, 200, &value))
}

/// `DELETE /v1/webhooks/{name}`
pub async fn delete(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let message = ToProject::DeleteWebhook { name: name(call)?.to_owned(), by: call.actor() };
    Ok(json(call.request, 200, &shown(&changed(call, &message).await?.0)))
}

/// `POST /v1/webhooks/{name}/rotate-secret`
pub async fn rotate(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let webhook = one(call).await?;
    let origin = webhook.body.origin().to_owned();
    let secret = new_secret(&mut random);
    let sealed = call.isolate.config.sealing.seal(&place(&webhook.name, &origin), &secret, &mut random);
    let message = ToProject::RotateWebhook { name: webhook.name, origin, sealed, by: call.actor() };
    let (webhook, _) = changed(call, &message).await?;
    let mut value = shown(&webhook);
    value["secret"] = secret.as_str().into();
    Ok(json(call.request, 200, &value))
}

/// `GET /v1/webhooks/{name}/deliveries`
pub async fn deliveries(call: &Call<'_>) -> Answer {
    let [limit, cursor] = call.query()?;
    let what = AskedOfWebhook::Attempts { limit: page_limit(limit)?, before: page_cursor(cursor)? };
    match told(call, &one(call).await?, what).await? {
        FromWebhook::Attempts { rows, next } => Ok(listed(call, rows, next)),
        _ => Err(Problem::unavailable()),
    }
}

/// `POST /v1/webhooks/{name}/replay`
pub async fn replay(call: &Call<'_>) -> Answer {
    let (_, body) = call.body().await?;
    let mut fields = Fields::of(body)?;
    let replay = replayed(&mut fields)?;
    fields.end()?;
    let is_one = matches!(replay, Replay::One(_));
    let what = match replay {
        Replay::One(event_id) => AskedOfWebhook::Replay { event_id },
        Replay::Since(since) => AskedOfWebhook::ReplaySince { since },
    };
    match told(call, &one(call).await?, what).await? {
        FromWebhook::Queued { count: 0 } if is_one => Err(Problem::new(
            404,
            "EVENT_NOT_FOUND",
            "No such event",
            "the webhook was never told of it, or days ago; GET …/deliveries lists the attempts",
        )),
        FromWebhook::Queued { count } => Ok(json(call.request, 202, &json!({"queued": count}))),
        _ => Err(Problem::unavailable()),
    }
}

/// `POST /v1/webhooks/{name}/test`
pub async fn test(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let webhook = one(call).await?;
    if !webhook.body.active {
        let detail = "nothing is sent while it is not active; write it anew with \"active\": true";
        return Err(Problem::new(409, "WEBHOOK_INACTIVE", "The webhook is not active", detail));
    }
    let body = payload(TEST, clock(), &json!({"webhook": webhook.name, "by": call.manager_id()}));
    match told(call, &webhook, AskedOfWebhook::Test { body }).await? {
        FromWebhook::Tested { event_id } => Ok(json(call.request, 202, &json!({"event_id": event_id}))),
        _ => Err(Problem::unavailable()),
    }
}
