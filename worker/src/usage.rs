//! The endpoints about use.

use crate::api::{Answer, Call};
use crate::host::clock;
use crate::keys::page_limit;
use crate::messages::{FromKey, FromProject, ToKey, ToProject};
use crate::response::{Problem, answer, json};
use keyward::error::Invalid;
use keyward::fields::Fields;
use keyward::time::Instant;
use keyward::usage::{By, KEPT_HOURS, calls_csv, csv, hour_of, series};
use serde_json::json;

/// Longest span of an answer by the hour, in hours.
const MOST_HOURS: i64 = 31 * 24;
/// Most delivery reports in one message.
const MOST_REPORTS: u64 = 1_000_000_000;
/// Days of the overview.
const OVERVIEW_DAYS: i64 = 30;

fn is_csv(format: Option<&str>) -> Result<bool, Problem> {
    match format {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(_) => Err(Invalid::new("format", "must be one of: json, csv").into()),
    }
}

fn instant(field: &str, text: Option<String>) -> Result<Option<Instant>, Problem> {
    let parse =
        |text: String| Instant::parse(&text).ok_or_else(|| Invalid::new(field, "must be an instant as in RFC 3339"));
    Ok(text.map(parse).transpose()?)
}

/// `GET /v1/keys/{id}/usage`
pub async fn usage(call: &Call<'_>) -> Answer {
    let [by, from, to, format] = call.query()?;
    let by = match by.as_deref() {
        None | Some("hour") => By::Hour,
        Some("day") => By::Day,
        Some(_) => return Err(Invalid::new("by", "must be one of: hour, day").into()),
    };
    let csv_wanted = is_csv(format.as_deref())?;
    let to = instant("to", to)?.map_or_else(|| hour_of(clock()) + 1, |to| hour_of(to.plus_millis(3_599_999)));
    let span = if by == By::Hour { 24 } else { 30 * 24 };
    let from = instant("from", from)?.map_or(to - span, hour_of).max(hour_of(clock()) - KEPT_HOURS);
    if from >= to {
        return Err(Invalid::new("from", "must lie before to").into());
    }
    if by == By::Hour && to - from > MOST_HOURS {
        return Err(Invalid::new("from", "by the hour at most 31 days are answered: ask by=day, or for less").into());
    }
    let message = ToKey::Usage { from: from.div_euclid(by.hours()) * by.hours(), to, daily: by == By::Day };
    match call.isolate.to_key(call.key_id()?, &message).await {
        Ok(FromKey::Usage { tallies, .. }) if csv_wanted => {
            Ok(answer(call.request, 200, "text/csv", &[], &csv(&tallies)))
        }
        Ok(FromKey::Usage { tallies, led }) => {
            let calls: u64 = tallies.iter().map(|of| of.calls).sum();
            let instant = |hour: i64| Instant::from_millis(hour * 3_600_000);
            let body =
                json!({"data": series(&tallies, &led, by), "calls": calls, "from": instant(from), "to": instant(to)});
            Ok(json(call.request, 200, &body))
        }
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/keys/{id}/calls`
pub async fn calls(call: &Call<'_>) -> Answer {
    let [limit, format] = call.query()?;
    let csv_wanted = is_csv(format.as_deref())?;
    match call.isolate.to_key(call.key_id()?, &ToKey::Calls { limit: page_limit(limit)? }).await {
        Ok(FromKey::Calls { calls }) if csv_wanted => {
            Ok(answer(call.request, 200, "text/csv", &[], &calls_csv(&calls)))
        }
        Ok(FromKey::Calls { calls }) => Ok(json(call.request, 200, &json!({ "data": calls }))),
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/keys/{id}/anomalies`
pub async fn anomalies(call: &Call<'_>) -> Answer {
    let [limit] = call.query()?;
    match call.isolate.to_key(call.key_id()?, &ToKey::Anomalies { limit: page_limit(limit)? }).await {
        Ok(FromKey::Anomalies { found }) => Ok(json(call.request, 200, &json!({ "data": found }))),
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// Takes delivery reports: how many messages were delivered, failed, bounced.
pub fn reports(fields: &mut Fields) -> Result<[u64; 3], Invalid> {
    let mut take = |field: &str| Ok(fields.whole(field, 0, MOST_REPORTS)?.unwrap_or(0));
    Ok([take("delivered")?, take("failed")?, take("bounced")?])
}

/// `POST /v1/keys/{id}/outcomes`
pub async fn outcomes(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let mut fields = Fields::of(call.body().await?.1)?;
    let [delivered, failed, bounced] = reports(&mut fields)?;
    fields.end()?;
    let message = ToKey::Outcomes { delivered, bounced: failed + bounced };
    match call.isolate.to_key(call.key_id()?, &message).await {
        Ok(FromKey::Noted) => {
            let body = json!({"delivered": delivered, "failed": failed, "bounced": bounced});
            Ok(json(call.request, 200, &body))
        }
        Ok(FromKey::Absent) => Err(Problem::no_such_key()),
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /v1/usage`
pub async fn overview(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let since = hour_of(clock()).div_euclid(24) - OVERVIEW_DAYS + 1;
    match call.isolate.to_project(&ToProject::Overview { since }).await {
        Ok(FromProject::Overview { days, keys }) => {
            Ok(json(call.request, 200, &json!({"days": days, "busiest_keys": keys})))
        }
        _ => Err(Problem::unavailable()),
    }
}

/// `GET /metrics`: the Prometheus text format, version 0.0.4.
pub async fn metrics(call: &Call<'_>) -> Answer {
    call.no_query()?;
    let Ok(FromProject::Metrics { keys, calls, refused, rows, routes }) =
        call.isolate.to_project(&ToProject::Metrics).await
    else {
        return Err(Problem::unavailable());
    };
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in values {
            text.push_str(&format!("{name}{labels} {value}\n"));
        }
    };
    let of_keys: Vec<(String, u64)> = keys
        .iter()
        .map(|(environment, status, count)| (format!("{{environment=\"{environment}\",status=\"{status}\"}}"), *count))
        .collect();
    let one = |value: u64| [(String::new(), value)];
    metric(
        "keyward_info",
        "gauge",
        "The version that answers.",
        &[(format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1)],
    );
    metric("keyward_keys", "gauge", "Keys by environment and stored status.", &of_keys);
    let by_result = [
        ("{result=\"accepted\"}".to_owned(), calls - refused.min(calls)),
        ("{result=\"refused\"}".to_owned(), refused),
    ];
    metric("keyward_calls_today", "gauge", "Calls with known keys since midnight UTC, as far as reported.", &by_result);
    metric("keyward_log_rows_total", "counter", "Rows of the log of changes.", &one(rows));
    metric("keyward_routes", "gauge", "Routes.", &one(routes));
    Ok(answer(call.request, 200, "text/plain; version=0.0.4; charset=utf-8", &[], &text))
}
