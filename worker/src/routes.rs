//! The endpoints about routes and their upstreams' secrets.

use crate::api::{Answer, Call};
use crate::config::upstream_secret;
use crate::host::clock;
use crate::keys::{random, whole};
use crate::messages::{FromProject, FromRoute, SlotChange, StoredRoute, ToProject, ToRoute};
use crate::project_routes::known;
use crate::response::{Problem, json};
use crate::route_table::LEASE_SECONDS;
use keyward::error::Invalid;
use keyward::fields::{Fields, Shape};
use keyward::route::{Route, is_name};
use keyward::slots::{DEFAULT_QUIET, Held, Slot, SlotUse};
use serde_json::{Value, json};

const ENVIRONMENT: Shape = Shape { pattern: Some("^UPSTREAM_[A-Z0-9_]+$"), most: 64, example: "UPSTREAM_SMS" };
/// Shortest and longest secret of an upstream: echoes of a shorter one could not be told from chance.
const SECRET: std::ops::RangeInclusive<usize> = 8..=4_096;
/// Longest time a secret may have to be out of use, in seconds: 31 days.
pub const MOST_QUIET: u64 = 31 * 86_400;

/// What a change of a slot takes.
#[derive(Default)]
pub struct SlotDraft {
    secret: Option<String>,
    environment: Option<String>,
    weight: Option<u8>,
}

/// Takes what a change of a slot takes.
pub fn slot_draft(fields: &mut Fields) -> Result<SlotDraft, Invalid> {
    let secret = fields.secret("secret", *SECRET.end())?;
    let environment = fields.shaped("environment", &ENVIRONMENT)?;
    let weight = fields.whole("weight", 0, 100)?.map(|weight| weight as u8);
    if secret.as_ref().is_some_and(|secret| !SECRET.contains(&secret.len()) || secret.chars().any(char::is_control)) {
        return Err(Invalid::new("secret", "must have 8 to 4096 bytes without control characters"));
    }
    Ok(SlotDraft { secret, environment, weight })
}

fn no_such_route() -> Problem {
    Problem::new(
        404,
        "ROUTE_NOT_FOUND",
        "No such route",
        "no route of this deployment has that name; GET /v1/routes lists them",
    )
}

fn name<'a>(call: &Call<'a>) -> Result<&'a str, Problem> {
    call.part(0).filter(|name| is_name(name)).ok_or_else(no_such_route)
}

/// A route as it is answered.
fn shown(of: &StoredRoute) -> Value {
    let slot = |slot: Slot| {
        of.slots.get(slot).map(|held| {
            json!({
                "number": held.number, "set_at": held.set_at, "environment": held.environment,
                "share": of.slots.share(slot),
            })
        })
    };
    let mut value = json!({"name": of.name});
    if let (Value::Object(value), Value::Object(body)) = (&mut value, of.body.clone()) {
        value.extend(body);
    }
    value["secrets"] = json!({"current": slot(Slot::Current), "next": slot(Slot::Next)});
    value["created_at"] = json!(of.made_at);
    value["updated_at"] = json!(of.updated_at);
    value
}

/// What a change comes to: from `effective_by` on, every edge goes by it.
async fn changed(call: &Call<'_>, message: &ToProject) -> Result<StoredRoute, Problem> {
    let reply = call.isolate.to_project(message).await;
    call.isolate.forget_routes();
    match reply {
        Ok(FromProject::Route { route }) => Ok(*route),
        Ok(FromProject::NoRoute) => Err(no_such_route()),
        Ok(FromProject::RouteRefused { field, problem }) => Err(Invalid::new(field, problem).into()),
        _ => Err(Problem::unavailable()),
    }
}

fn answered(call: &Call<'_>, route: &StoredRoute) -> Answer {
    let mut value = shown(route);
    value["effective_by"] = json!(clock().plus_seconds(LEASE_SECONDS.into()));
    Ok(json(call.request, 200, &value))
}

/// The routes as the project has them.
async fn all(call: &Call<'_>) -> Result<Vec<StoredRoute>, Problem> {
    match call.isolate.to_project(&ToProject::Routes { known: None }).await {
        Ok(FromProject::Routes { routes: Some(routes), .. }) => Ok(routes),
        _ => Err(Problem::unavailable()),
    }
}

async fn one(call: &Call<'_>) -> Result<StoredRoute, Problem> {
    let name = name(call)?;
    all(call).await?.into_iter().find(|route| route.name == name).ok_or_else(no_such_route)
}

/// `GET /v1/routes`
pub async fn list(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let routes: Vec<Value> = all(call).await?.iter().map(shown).collect();
    Ok(json(call.request, 200, &json!({"data": routes, "next_cursor": null})))
}

/// `GET /v1/routes/{name}`
pub async fn read(call: &Call<'_>) -> Answer {
    call.no_query()?;
    Ok(json(call.request, 200, &shown(&one(call).await?)))
}

/// `PUT /v1/routes/{name}`
pub async fn put(call: &Call<'_>) -> Answer {
    let (_, body) = call.body().await?;
    let name =
        name(call).map_err(|_| Invalid::new("name", "a route's name is 1 to 32 of a-z, 0-9 and -, a letter first"))?;
    let config = &call.isolate.config;
    // Read here, too, so that the object is asked only what can be.
    let own = [call.request.own_host()];
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    Route::read(body.clone(), &config.environments, &config.local_upstreams, &own)?;
    let own = own.into_iter().map(str::to_owned).collect();
    let message = ToProject::PutRoute { name: name.to_owned(), body, own, by: call.actor() };
    answered(call, &changed(call, &message).await?)
}

/// `DELETE /v1/routes/{name}`
pub async fn delete(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let message = ToProject::DeleteRoute { name: name(call)?.to_owned(), by: call.actor() };
    answered(call, &changed(call, &message).await?)
}

fn slot(call: &Call<'_>) -> Result<Slot, Problem> {
    call.part(1).and_then(Slot::named).ok_or_else(|| {
        Problem::new(404, "SLOT_NOT_FOUND", "No such slot", "the slots for an upstream's secret are current and next")
    })
}

/// `PUT /v1/routes/{name}/secrets/{slot}`
pub async fn set_secret(call: &Call<'_>) -> Answer {
    let (_, body) = call.body().await?;
    let (name, slot) = (name(call)?, slot(call)?);
    let mut fields = Fields::of(body)?;
    let SlotDraft { secret, environment, weight } = slot_draft(&mut fields)?;
    fields.end()?;
    if weight.is_some() && slot == Slot::Current {
        return Err(Invalid::new("weight", "belongs to next: the share of the calls that it gets").into());
    }
    let stored = one(call).await?;
    let config = &call.isolate.config;
    let route = known(&stored.body, config).ok_or_else(no_such_route)?;
    let origin = route.upstream.origin.clone();
    let held = |sealed, environment| Some(Held { number: 0, set_at: clock(), sealed, environment });
    let held = match (secret, environment) {
        (Some(_), Some(_)) => return Err(Invalid::new("environment", "is given beside a secret").into()),
        (Some(secret), None) => {
            held(Some(config.sealing.seal(&route.place(name, slot.as_str()), &secret, &mut random)), None)
        }
        (None, Some(binding)) => {
            let (secret, fixed) = upstream_secret(&call.isolate.env, &binding).ok_or_else(|| {
                let how = "names no secret: bind UPSTREAM_… and beside it UPSTREAM_…_ORIGIN, the origin that it may be sent to";
                Invalid::new("environment", how)
            })?;
            if fixed != origin {
                return Err(Invalid::new("environment", "that secret is for another origin than the route's").into());
            }
            if !SECRET.contains(&secret.len()) {
                return Err(
                    Invalid::new("environment", "that secret is shorter than 8 bytes, or longer than 4096").into()
                );
            }
            held(None, Some(binding))
        }
        (None, None) if weight.is_none() => {
            return Err(Invalid::new("", "give secret or environment, weight, or both").into());
        }
        (None, None) => None,
    };
    let change = SlotChange::Set { slot, held, origin, weight };
    let message = ToProject::ChangeSlot { name: name.to_owned(), change, by: call.actor() };
    answered(call, &changed(call, &message).await?)
}

/// `DELETE /v1/routes/{name}/secrets/{slot}`
pub async fn retire_secret(call: &Call<'_>) -> Answer {
    let [quiet, force] = call.query()?;
    let (name, slot) = (name(call)?, slot(call)?);
    let quiet = quiet.map_or(Ok(DEFAULT_QUIET), |quiet| whole("quiet_seconds", &quiet, 0, MOST_QUIET))?;
    let force = match force.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Invalid::new("force", "must be true or false").into()),
    };
    let stored = one(call).await?;
    let Some(held) = stored.slots.get(slot) else {
        return Err(Problem::new(404, "SLOT_EMPTY", "The slot is empty", "there is no secret in it to retire"));
    };
    let (used, _) = used(call, &stored).await?;
    let seen = used.iter().find(|of| of.number == held.number);
    if !force && stored.slots.in_use(slot, seen, quiet, clock()) {
        let detail = match stored.slots.share(slot) {
            0 => "it was used within quiet_seconds; wait, see where from, or send force=true".to_owned(),
            share => format!(
                "{share} of 100 calls use it: shift them first with PUT …/secrets/next {{\"weight\": …}}, or send force=true"
            ),
        };
        let mut problem = Problem::new(409, "SLOT_IN_USE", "The secret still carries traffic", detail);
        problem.extra.push(("use", shown_use(&stored, &used)));
        return Err(problem);
    }
    let change = SlotChange::Retire { slot, number: held.number };
    let message = ToProject::ChangeSlot { name: name.to_owned(), change, by: call.actor() };
    answered(call, &changed(call, &message).await?)
}

async fn used(call: &Call<'_>, route: &StoredRoute) -> Result<(Vec<SlotUse>, Vec<Value>), Problem> {
    match call.isolate.to_route(route, &ToRoute::Use).await {
        Ok(FromRoute::Use { used, anomalies }) => Ok((used, anomalies)),
        _ => Err(Problem::unavailable()),
    }
}

fn shown_use(stored: &StoredRoute, used: &[SlotUse]) -> Value {
    let shown = |slot: &Slot| {
        let held = stored.slots.get(*slot)?;
        let nothing = SlotUse::default();
        let seen = used.iter().find(|of| of.number == held.number).unwrap_or(&nothing);
        Some(json!({
            "slot": slot, "number": held.number, "share": stored.slots.share(*slot), "calls": seen.calls,
            "failures": seen.failures, "unauthorized": seen.unauthorized, "last_used_at": seen.last_used_at,
        }))
    };
    [Slot::Current, Slot::Next].iter().filter_map(shown).collect()
}

/// `GET /v1/routes/{name}/use`
pub async fn usage(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let stored = one(call).await?;
    let (used, anomalies) = used(call, &stored).await?;
    Ok(json(call.request, 200, &json!({"slots": shown_use(&stored, &used), "anomalies": anomalies})))
}
