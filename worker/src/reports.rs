//! The endpoints about the log, and the reports.

use crate::api::{Answer, Call};
use crate::host::{self, Namespace};
use crate::keys::{listed, page_cursor, page_limit, whole};
use crate::messages::{FromProject, ToProject};
use crate::response::{Problem, answer, json};
use keyward::audit::{Head, MAX_POSITION};
use keyward::error::Invalid;
use serde_json::{Value, json};

/// How long a check of the whole log is waited for, in milliseconds.
const CHECK_MS: u32 = 30_000;
/// Most rows of the log in one export.
pub const MOST_LINES: u32 = 1_000;

/// `GET /v1/audit`
pub async fn audit(call: &Call<'_>) -> Answer {
    let [limit, cursor] = call.query()?;
    let message = ToProject::Log { limit: page_limit(limit)?, before: page_cursor(cursor)? };
    match call.isolate.to_project(&message).await {
        Ok(FromProject::Page { rows, next }) => Ok(listed(call, rows, next)),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/audit/verify`
pub async fn verify_audit(call: &Call<'_>) -> Answer {
    let [head] = call.query()?;
    if head.as_ref().is_some_and(|head| Head::parse(head).is_none()) {
        return Err(Invalid::new("head", "must be a log_head of a receipt or an export").into());
    }
    let message = ToProject::CheckLog { heads: head.into_iter().collect() };
    match host::ask_within(CHECK_MS, &call.isolate.env, Namespace::Project, "project", &message).await {
        Ok(FromProject::Checked { report }) => Ok(json(call.request, 200, &report)),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/audit/export`
pub async fn export_audit(call: &Call<'_>) -> Answer {
    let [after, limit] = call.query()?;
    let after = after.map_or(Ok(0), |after| whole("after", &after, 0, MAX_POSITION))?;
    let limit = limit.map_or(Ok(u64::from(MOST_LINES)), |limit| whole("limit", &limit, 1, MOST_LINES.into()))?;
    match call.isolate.to_project(&ToProject::Export { after, limit: limit as u32 }).await {
        Ok(FromProject::Export { lines, last, head }) => {
            let more = Head::parse(&head).is_some_and(|head| last < head.position);
            let mut headers = vec![("Keyward-Log-Head", head)];
            if more {
                headers.push(("Link", format!("</v1/audit/export?after={last}&limit={limit}>; rel=\"next\"")));
            }
            Ok(answer(call.request, 200, "application/jsonl", &headers, &lines))
        }
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/reports/key-safety`
pub async fn key_safety(call: &Call<'_>) -> Answer {
    let [limit, cursor] = call.query()?;
    let message = ToProject::KeySafety { limit: page_limit(limit)?, before: page_cursor(cursor)? };
    match call.isolate.to_project(&message).await {
        Ok(FromProject::Page { rows, next }) => Ok(listed(call, rows, next)),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/reports/root-secrets`
pub async fn root_secrets(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let Ok(FromProject::Roots { keys, log, sealed }) = call.isolate.to_project(&ToProject::Roots).await else {
        return Err(Problem::unavailable());
    };
    let peppers = &call.isolate.config.peppers;
    let current = peppers.current().to_string();
    let count = |name: &str| keys.iter().find(|(root, _)| root == name).map_or(0, |(_, keys)| *keys);
    let secrets = |name: &str| sealed.iter().find(|(root, _)| root == name).map_or(0, |(_, secrets)| *secrets);
    // Taken over from version 0.1 and not used since: any of the retired may be theirs.
    let unknown = count("unknown");
    let retired: Vec<(String, bool)> = peppers
        .retired()
        .map(|root| {
            let name = root.to_string();
            let needed = unknown > 0 || count(&name) > 0 || secrets(&name) > 0 || log.as_deref() == Some(&name);
            (name, needed)
        })
        .collect();
    let configured = |name: &str| name == current || name == "unknown" || retired.iter().any(|(root, _)| root == name);
    let only_sealed = sealed.iter().filter(|(root, _)| keys.iter().all(|(known, _)| known != root));
    let lost: Vec<Value> = keys
        .iter()
        .chain(only_sealed)
        .filter(|(root, _)| !configured(root))
        .map(|(root, _)| json!({"name": root, "keys": count(root), "upstream_secrets": secrets(root)}))
        .collect();
    let shown = |(name, needed): &(String, bool)| json!({"name": name, "keys": count(name), "upstream_secrets": secrets(name), "log": log.as_deref() == Some(name), "can_go": !needed});
    let body = json!({
        "current": {"name": current, "keys": count(&current), "upstream_secrets": secrets(&current)},
        "retired": retired.iter().map(shown).collect::<Vec<_>>(),
        "unknown_keys": unknown,
        "missing": lost,
    });
    Ok(json(call.request, 200, &body))
}
