//! `POST /v1/keys/import`: keys of other systems, taken over by their SHA-256. Each line is a creation of its own; lines that
//! were taken before are answered as such, so that whoever was interrupted sends the whole file again.

use crate::api::{Answer, Call};
use crate::host::{clock, pause};
use crate::messages::{FromKey, ToKey};
use crate::response::{Problem, answer};
use keyward::error::Invalid;
use keyward::foreign::{MOST_ROWS, Row};
use keyward::key::KeyText;
use keyward::record::StoredKey;
use serde_json::{Value, json};

/// Most bytes of a body.
pub const MOST_BODY: u32 = 1 << 20;

/// `POST /v1/keys/import`
pub async fn import(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let text = call.request.text(MOST_BODY).await?;
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(at, line)| (at + 1, line)).collect();
    if lines.is_empty() || lines.len() > MOST_ROWS {
        let detail = format!("the body must have 1 to {MOST_ROWS} lines; send a longer file in parts");
        return Err(Invalid::new("", detail).into());
    }
    let mut report = String::new();
    for (line, text) in lines {
        // Others have their turn: where objects live in the same process, a chain of questions to them is always ready to go on,
        // and workerd would read no socket until its end.
        pause(0).await;
        let mut row = take(call, text).await;
        let mut shown = json!({ "line": line });
        shown
            .as_object_mut()
            .unwrap_or_else(|| unreachable!("just made"))
            .append(row.as_object_mut().unwrap_or_else(|| unreachable!("rows are objects")));
        report.push_str(&shown.to_string());
        report.push('\n');
    }
    Ok(answer(call.request, 200, "application/jsonl", &[], &report))
}

/// Takes one line, and says what became of it.
async fn take(call: &Call<'_>, text: &str) -> Value {
    let isolate = call.isolate;
    let config = &isolate.config;
    let invalid =
        |invalid: &Invalid| json!({"status": "invalid", "field": invalid.field, "detail": invalid.to_string()});
    let body = match keyward::fields::parse(text) {
        Ok(body) => body,
        Err(problem) => return invalid(&Invalid::new("", format!("the line {problem}"))),
    };
    let row = match Row::read(body, &config.foreign, &config.environments, clock()) {
        Ok(row) => row,
        Err(error) => return invalid(&error),
    };
    let ids = config.tags.ids_of(&config.brand, &row.draft.environment, &row.sha256);
    let unavailable = || {
        let Problem { code, detail, .. } = Problem::unavailable();
        json!({"status": "unavailable", "code": code, "detail": detail})
    };
    let exists = |id: &str| json!({"status": "exists", "code": "KEY_EXISTS", "id": id});
    // Under a retired tag key it may be there already.
    for id in &ids[1..] {
        match isolate.to_key(id, &ToKey::Read).await {
            Ok(FromKey::Absent) => {}
            Ok(_) => return exists(id),
            Err(_) => return unavailable(),
        }
    }
    let Some(id) = ids.first() else { return unavailable() };
    let environment = row.draft.environment.clone();
    let key = KeyText { brand: &config.brand, environment: &environment, id, secret: &row.sha256 };
    let record = row.draft.clone().into_record(id, &config.brand, clock());
    let stored = Box::new(StoredKey::new(record, config.peppers.digest(&key)));
    let reply = isolate.to_key(id, &ToKey::Create { key: stored, by: call.actor(), imported: true }).await;
    isolate.forget(id);
    match reply {
        Ok(FromKey::Record { .. }) => json!({"status": "created", "id": id}),
        Ok(FromKey::Taken) => exists(id),
        _ => unavailable(),
    }
}
