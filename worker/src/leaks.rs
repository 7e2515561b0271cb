//! The endpoints that are told of leaks: by partners who sign what they say, and by one's own pipelines. Either way a text counts only
//! where it is a key of this deployment in full; what is done then is the key's own policy.

use crate::api::{Answer, Call};
use crate::edge::Isolate;
use crate::host::{self, Body, clock};
use crate::messages::{Found, FromKey, ToKey};
use crate::request::body_text;
use crate::response::{Problem, json};
use js_sys::Promise;
use keyward::error::Invalid;
use keyward::fields::Fields;
use keyward::foreign::Presented;
use keyward::incident::object;
use keyward::key::KeyText;
use keyward::leak::{self, MOST_BODY, MOST_TOKENS, Reported, Unread};
use keyward::life::Actor;
use keyward::verify::inspect;
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(module = "/src/leak.js")]
extern "C" {
    #[wasm_bindgen(js_name = readSigned)]
    fn signed_promise(request: &host::Request, most: u32, patience: u32, point: Vec<u8>, signature: Vec<u8>)
    -> Promise;
}

/// How long a body may take, in milliseconds.
const BODY_PATIENCE_MS: u32 = 30_000;
/// Keys that may not answer before the rest is left to the next attempt.
const MOST_SILENT: usize = 3;

fn too_much() -> Problem {
    let detail = format!("a report has at most {MOST_TOKENS} tokens and {MOST_BODY} bytes: send it in parts");
    Problem::new(413, "REPORT_TOO_LARGE", "The report is too large", detail)
}

/// The one answer to whoever is not a partner, whatever is wrong: nothing of the body is looked at before.
fn not_signed() -> Problem {
    Problem::new(
        401,
        "SIGNATURE_NOT_ACCEPTED",
        "The signature is not accepted",
        "Github-Public-Key-Identifier must name a key in KEYWARD_LEAK_PARTNERS, and Github-Public-Key-Signature must be its signature of the body",
    )
    .header("WWW-Authenticate", r#"Github-Public-Key-Signature realm="keyward""#)
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooMany => too_much(),
            Unread::Invalid(invalid) => invalid.into(),
        }
    }
}

/// `POST /v1/leaks/github`
pub async fn github(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let Some(partners) = &call.isolate.config.partners else {
        let detail = "no partner may report here: set KEYWARD_LEAK_PARTNERS to the public keys that GitHub publishes for secret scanning partners";
        return Err(Problem::new(404, "NO_LEAK_PARTNERS", "No partners are configured", detail));
    };
    let request = &call.request.host;
    let named = request.named("github-public-key-identifier");
    let point = named.as_deref().and_then(|identifier| partners.point(identifier));
    let signature = request.named("github-public-key-signature").and_then(|header| leak::signature(&header));
    let (Some(point), Some(signature)) = (point, signature) else { return Err(not_signed()) };
    let read = signed_promise(request, MOST_BODY, BODY_PATIENCE_MS, point.to_vec(), signature.to_vec());
    let read = JsFuture::from(read).await.unwrap_or(JsValue::NULL);
    let text = match (read.as_f64(), Body::of(&read)) {
        (None, Body::TooLong) => return Err(too_much()),
        (None, body) => body_text(body, MOST_BODY)?,
        (Some(401.0), _) => return Err(not_signed()),
        _ => {
            let detail = "a key in KEYWARD_LEAK_PARTNERS is no point of P-256: write down again what GitHub publishes";
            return Err(Problem::new(503, "NOT_CONFIGURED", "keyward is not configured", detail));
        }
    };
    let reported = leak::partner_report(&text, clock())?;
    let outcomes = take(call, &reported).await?;
    let labels =
        reported.iter().zip(outcomes).map(|(of, outcome)| leak::partner_label(of, !outcome["key_id"].is_null()));
    Ok(json(call.request, 200, &Value::Array(labels.collect())))
}

/// What `POST /v1/leaks` takes.
pub fn own(fields: &mut Fields) -> Result<(), Invalid> {
    leak::own_report(fields, "", keyward::time::Instant::EPOCH).map(|_| ())
}

/// `POST /v1/leaks`
pub async fn report(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let text = call.request.text_within(MOST_BODY, BODY_PATIENCE_MS / 1_000).await?.ok_or_else(too_much)?;
    let mut fields = Fields::of(crate::api::parse(&text)?)?;
    let reported = leak::own_report(&mut fields, call.manager_id(), clock())?;
    fields.end()?;
    Ok(json(call.request, 200, &object(vec![("data", Value::Array(take(call, &reported).await?))])))
}

/// Has each text looked at by the key that it may be, and answers what it is, in their order: `{key_id, label, action,
/// incident_id}`. One that comes several times is asked about once, and a key is asked once, however many texts carry its id: what is
/// invented costs no more than one message.
async fn take(call: &Call<'_>, reported: &[Reported]) -> Result<Vec<Value>, Problem> {
    // Looked through, not hashed: there are five hundred at most.
    let mut texts: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut places = Vec::new();
    for Reported { token, sighting, .. } in reported {
        let known = texts.iter().position(|(text, _)| text == token);
        let place = known.unwrap_or_else(|| {
            texts.push((token, Vec::new()));
            texts.len() - 1
        });
        texts[place].1.push(sighting.clone());
        places.push(place);
    }
    let mut asked: Vec<(String, Vec<(usize, Found)>)> = Vec::new();
    for (index, (text, sightings)) in texts.iter().enumerate() {
        for (id, found) in candidates(call.isolate, text, sightings) {
            match asked.iter_mut().find(|(known, _)| *known == id) {
                Some((_, all)) => all.push((index, found)),
                None => asked.push((id, vec![(index, found)])),
            }
        }
    }
    let outcome = |key_id: Value, label: &str, action: Value, incident_id: Value| {
        object(vec![("key_id", key_id), ("label", label.into()), ("action", action), ("incident_id", incident_id)])
    };
    let nobodys = outcome(Value::Null, "false_positive", "none".into(), Value::Null);
    let mut outcomes = vec![nobodys; texts.len()];
    let mut silent = 0;
    for (id, all) in asked {
        // Others have their turn, as in an import.
        host::pause(0).await;
        let (indexes, found): (Vec<usize>, Vec<Found>) = all.into_iter().unzip();
        match ask(call, &id, found).await {
            Some(leaks) => {
                for (index, leak) in indexes.into_iter().zip(leaks).filter(|(_, leak)| !leak.is_null()) {
                    let (action, incident_id) = (leak["action"].clone(), leak["incident_id"].clone());
                    outcomes[index] = outcome(id.as_str().into(), "true_positive", action, incident_id);
                }
            }
            None => silent += 1,
        }
        if silent > MOST_SILENT {
            break;
        }
    }
    // What was done stays done, and is answered alike when the report is sent again.
    if silent > 0 {
        return Err(Problem::unavailable());
    }
    Ok(places.into_iter().map(|place| outcomes[place].clone()).collect())
}

/// The ids that a text may stand under, with what their objects are asked. None for what was never issued here: that costs nothing.
fn candidates(isolate: &Isolate, text: &str, sightings: &[Value]) -> Vec<(String, Found)> {
    let config = &isolate.config;
    let found = |key: &KeyText<'_>| Found {
        presented: config.peppers.digests(key),
        brand: key.brand.to_owned(),
        environment: key.environment.to_owned(),
        sightings: sightings.to_vec(),
    };
    if let Ok(key) = inspect(text, &config.brand, None) {
        let issued = config.tags.issued(key.brand, key.environment, key.id);
        return if issued { vec![(key.id.to_owned(), found(&key))] } else { Vec::new() };
    }
    let Some(presented) = Presented::of(text, &config.foreign) else { return Vec::new() };
    let ids = config.tags.ids_of(&config.brand, &presented.environment, &presented.sha256);
    ids.into_iter()
        .map(|id| {
            let found = found(&presented.as_key(&config.brand, &id));
            (id, found)
        })
        .collect()
}

/// Asks the object of a key; `None` where it does not answer.
async fn ask(call: &Call<'_>, id: &str, found: Vec<Found>) -> Option<Vec<Value>> {
    let (isolate, request_id) = (call.isolate, call.request.id());
    let by = Actor { request_id: request_id.to_owned(), ..Actor::keyward("") };
    // The first management key may leak before it was ever used. Only its own text makes it an ordinary one.
    let first = isolate.config.first_key.as_ref().filter(|first| first.record.id == id);
    let is_first = first.is_some_and(|first| found.iter().any(|of| first.position_of(&of.presented).is_some()));
    let nothing = vec![Value::Null; found.len()];
    let message = ToKey::Leaked { found, by };
    let mut reply = isolate.to_key(id, &message).await.ok()?;
    if is_first && matches!(reply, FromKey::Absent) && isolate.adopt(id, request_id).await.ok()?.is_some() {
        reply = isolate.to_key(id, &message).await.ok()?;
    }
    match reply {
        FromKey::Leaked { leaks } => {
            if !leaks.iter().all(Value::is_null) {
                isolate.forget(id);
            }
            Some(leaks)
        }
        FromKey::Absent => Some(nothing),
        _ => None,
    }
}
