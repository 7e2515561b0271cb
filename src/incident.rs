//! Incidents: what is known of one leaked secret of a key, what was done about it, and what remains to be done. One for each
//! secret, however often it is reported. What is written here is shown to people, so every text in it is one line and bounded, and
//! the Markdown form escapes all of it.

use crate::error::Invalid;
use crate::evidence::Use;
use crate::fields::Fields;
use crate::key::{ID_LENGTH, is_id};
use crate::leak::{Action, Leaked, add};
use crate::time::Instant;
use crate::usage::{Call, Led, Tally, hour_of};
use crate::verify::Code;
use serde_json::{Map, Value};

/// Hours before the suspicion that its volume is held against, at most: a week.
pub const BASELINE_HOURS: i64 = 168;
/// Other keys of the owner that are listed, at most.
pub const MOST_AT_RISK: usize = 50;
/// Anomalies that are listed as evidence, at most.
pub const MOST_ANOMALIES: usize = 20;
/// Most notes of an incident.
pub const MOST_NOTES: usize = 100;
/// Longest note, in characters.
const NOTE: usize = 1000;
/// Different countries, ways or networks that are told apart; of more, those with the fewest calls are left out.
const MOST_PARTS: usize = 50;
const HOUR_MS: i64 = 3_600_000;
const PREFIX: &str = "inc_";

/// What is to be done about a leak, in this order: name, and what it says.
pub const STEPS: [(&str, &str); 7] = [
    (ENDED, "The key is revoked, or its secret replaced"),
    (EVIDENCE, "Evidence is collected: what the key was used for since"),
    ("other_keys_reviewed", "The other keys of the owner were looked at"),
    ("source_cleaned", "Where it leaked it is removed, and the history is purged"),
    ("owner_told", "The owner is told"),
    ("cause_found", "The cause is found"),
    ("prevention_in_place", "Prevention is in place"),
];
const ENDED: &str = "key_ended";
const EVIDENCE: &str = "evidence_collected";

/// The id of the incident about a secret of a key.
pub fn id_of(key_id: &str, secret: u32) -> String {
    format!("{PREFIX}{key_id}_{secret}")
}

/// Whether `text` is what [`id_of`] writes.
pub fn is_incident_id(text: &str) -> bool {
    let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_at_checked(ID_LENGTH));
    parts.is_some_and(|(id, number)| {
        let secret = number.strip_prefix('_').and_then(|number| number.parse().ok());
        is_id(id) && secret.is_some_and(|secret| id_of(id, secret) == text)
    })
}

/// An incident, as it is stored: a JSON object of
///
/// | member | holds |
/// |---|---|
/// | `id` | [`id_of`] |
/// | `key_id`, `key_name`, `owner` | the key, as it was when the incident was opened |
/// | `secret` | the number of the secret that leaked |
/// | `opened_at`, `closed_at` | instants; it is open while `closed_at` is `null` |
/// | `source` | what opened it: `github`, `report`, `response` |
/// | `sightings` | where the secret was found ([`crate::leak`]) |
/// | `suspected_at` | from when the secret may have been misused |
/// | `action` | what was done about the key, last: name of an [`Action`] |
/// | `steps` | `{name, done_at, by, note}` for each of [`STEPS`] |
/// | `evidence` | [`evidence`], or `null` |
/// | `keys_at_risk` | [`at_risk`] for other keys of the owner |
/// | `notes` | `{at, by, text}` |
///
/// It is no type with these fields, since nothing decides by them but what is here, and what reads and writes such a type is 10 KB of
/// the Worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident(Value);

/// An answer to a leak that somebody asked for, once its action is carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The key.
    pub key_id: String,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// The number of the secret that leaked.
    pub secret: u32,
    /// What was done.
    pub action: Action,
    /// From when the secret may have been misused.
    pub suspected_at: Instant,
    /// How the key was used since.
    pub evidence: Value,
    /// Until when the secret that was replaced works, where that is not over.
    pub works_until: Option<Instant>,
    /// Why, and what else there is to say.
    pub notes: Vec<String>,
}

impl Response {
    /// As it is sent to whoever keeps incidents.
    pub fn told(self) -> Value {
        object(vec![
            ("key_id", self.key_id.into()),
            ("name", self.name.into()),
            ("owner", self.owner.into()),
            ("secret", self.secret.into()),
            ("action", self.action.as_str().into()),
            ("suspected_at", self.suspected_at.to_string().into()),
            ("evidence", self.evidence),
            ("works_until", self.works_until.map(|until| until.to_string()).into()),
            ("notes", self.notes.into()),
        ])
    }

    /// Reads what [`Response::told`] wrote; `None` for what is none.
    pub fn read(told: &Value) -> Option<Self> {
        let instant = |name: &str| told[name].as_str().and_then(Instant::parse);
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let notes = told["notes"].as_array()?.iter().filter_map(|note| note.as_str().map(str::to_owned));
        Some(Self {
            key_id: text("key_id")?,
            name: text("name")?,
            owner: text("owner")?,
            secret: u32::try_from(told["secret"].as_u64()?).ok()?,
            action: Action::named(told["action"].as_str()?)?,
            suspected_at: instant("suspected_at")?,
            evidence: told["evidence"].clone(),
            works_until: instant("works_until"),
            notes: notes.collect(),
        })
    }
}

/// A key, as far as an incident says whose it is.
pub struct Of<'a> {
    /// Its id.
    pub key_id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its owner.
    pub owner: &'a str,
    /// The number of the secret that leaked.
    pub secret: u32,
}

/// A change of an incident that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Steps: name, whether it is done, what there is to say about it.
    pub steps: Vec<(String, bool, Option<String>)>,
    /// A note.
    pub note: Option<String>,
    /// Whether it is closed from now on, or open.
    pub closed: Option<bool>,
}

impl Change {
    /// Reads the body of `PATCH /v1/incidents/{id}`.
    ///
    /// # Errors
    /// As [`Change::take`].
    pub fn read(body: Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body)?;
        let change = Self::take(&mut fields)?;
        fields.end()?;
        Ok(change)
    }

    /// Takes the body of `PATCH /v1/incidents/{id}`.
    ///
    /// # Errors
    /// [`Invalid`] naming the field.
    pub fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let names = STEPS.map(|(name, _)| name);
        let steps = fields.objects("steps", STEPS.len(), |fields| {
            let name = fields.required_one_of("name", &names)?;
            Ok((name, fields.default_flag("done", true)?, fields.line("note", NOTE)?))
        })?;
        let status = fields.one_of("status", &["open", "closed"])?;
        Ok(Self { steps, note: fields.line("note", NOTE)?, closed: status.map(|status| status == "closed") })
    }
}

impl Incident {
    /// A new one about a secret of a key.
    pub fn new(of: &Of<'_>, source: &str, suspected_at: Instant, now: Instant) -> Self {
        let step = |(name, _): (&str, &str)| {
            object(vec![("name", name.into()), ("done_at", Value::Null), ("by", Value::Null), ("note", Value::Null)])
        };
        let nothing = || Value::Array(Vec::new());
        Self(object(vec![
            ("id", id_of(of.key_id, of.secret).into()),
            ("key_id", of.key_id.into()),
            ("key_name", of.name.into()),
            ("owner", of.owner.into()),
            ("secret", of.secret.into()),
            ("opened_at", now.to_string().into()),
            ("closed_at", Value::Null),
            ("source", source.into()),
            ("sightings", nothing()),
            ("suspected_at", suspected_at.to_string().into()),
            ("action", Action::None.as_str().into()),
            ("steps", Value::Array(STEPS.map(step).into())),
            ("evidence", Value::Null),
            ("keys_at_risk", nothing()),
            ("notes", nothing()),
        ]))
    }

    /// Reads what [`Incident::stored`] wrote; `None` for what is none.
    pub fn read(text: &str) -> Option<Self> {
        crate::fields::parse(text).ok().filter(|of| is_incident_id(of["id"].as_str().unwrap_or_default())).map(Self)
    }

    /// As it is stored.
    pub fn stored(&self) -> String {
        self.0.to_string()
    }

    /// A member that is a text; empty where it is none.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// Whether it is `open` or `closed`.
    pub fn status(&self) -> &'static str {
        if self.0["closed_at"].is_null() { "open" } else { "closed" }
    }

    /// Takes a report in: places that are new, and, of the first, what was done about it. One that was closed stays so: who closed
    /// it knew the secret to be worthless.
    pub fn sighted(&mut self, leaked: &Leaked, now: Instant) {
        for sighting in &leaked.sightings {
            add(self.list("sightings"), sighting);
        }
        if let Some(evidence) = &leaked.evidence {
            self.0["evidence"] = evidence.clone();
            self.0["action"] = leaked.action.as_str().into();
            self.tick(EVIDENCE, "keyward", None, now);
            if leaked.action == Action::Revoke {
                self.tick(ENDED, "keyward", Some("by the policy of the key"), now);
            }
        }
    }

    /// Takes the answer of somebody in. One that was closed is open again.
    pub fn respond(&mut self, response: &Response, by: &str, now: Instant) {
        self.0["closed_at"] = Value::Null;
        self.0["suspected_at"] = response.suspected_at.to_string().into();
        self.0["evidence"] = response.evidence.clone();
        self.tick(EVIDENCE, by, None, now);
        if response.action != Action::None {
            self.0["action"] = response.action.as_str().into();
        }
        if matches!(response.action, Action::Revoke | Action::Rotate) {
            let until = response.works_until.map(|until| format!("the old secret works until {until}"));
            self.tick(ENDED, by, until.as_deref(), now);
        }
        for text in &response.notes {
            let notes = self.list("notes");
            // Sent again, it is still said once; and an answer to a leak is not refused for want of room.
            if notes.len() < MOST_NOTES && !notes.iter().any(|note| note["by"] == by && note["text"] == *text) {
                notes.push(note(text, by, now));
            }
        }
    }

    /// Notes the other keys of the owner.
    pub fn at_risk(&mut self, keys: Vec<Value>) {
        self.0["keys_at_risk"] = Value::Array(keys);
    }

    /// Carries a change out.
    ///
    /// # Errors
    /// [`Invalid`] where there is no room for another note.
    pub fn change(&mut self, change: &Change, by: &str, now: Instant) -> Result<(), Invalid> {
        if let Some(text) = &change.note {
            let notes = self.list("notes");
            if notes.len() >= MOST_NOTES {
                return Err(Invalid::new("note", format!("there are {MOST_NOTES} notes already")));
            }
            notes.push(note(text, by, now));
        }
        for (name, done, note) in &change.steps {
            if *done {
                self.tick(name, by, note.as_deref(), now);
            } else if let Some(step) = self.step(name) {
                (step["done_at"], step["by"]) = (Value::Null, Value::Null);
                if let Some(note) = note {
                    step["note"] = note.as_str().into();
                }
            }
        }
        match change.closed {
            Some(true) if self.status() == "open" => self.0["closed_at"] = now.to_string().into(),
            Some(false) => self.0["closed_at"] = Value::Null,
            _ => {}
        }
        Ok(())
    }

    /// A member that is a list; one that is none becomes one.
    fn list(&mut self, name: &str) -> &mut Vec<Value> {
        if !self.0[name].is_array() {
            self.0[name] = Value::Array(Vec::new());
        }
        self.0[name].as_array_mut().unwrap_or_else(|| unreachable!("made one above"))
    }

    fn step(&mut self, name: &str) -> Option<&mut Value> {
        self.list("steps").iter_mut().find(|step| step["name"] == name)
    }

    /// Notes that a step is done; who did it first stays.
    fn tick(&mut self, name: &str, by: &str, note: Option<&str>, now: Instant) {
        let Some(step) = self.step(name) else { return };
        if step["done_at"].is_null() {
            (step["done_at"], step["by"]) = (now.to_string().into(), by.into());
        }
        if let Some(note) = note {
            step["note"] = note.into();
        }
    }

    /// As it is answered.
    pub fn shown(&self) -> Value {
        let mut shown = self.clone();
        shown.0["status"] = self.status().into();
        for step in shown.list("steps") {
            step["title"] = title(step["name"].as_str().unwrap_or_default()).into();
        }
        shown.0
    }

    /// As it stands in a list: how much there is of what is long.
    pub fn summary(&self) -> Value {
        let mut value = self.shown();
        value["places"] = self.parts("sightings").len().into();
        let done = self.parts("steps").iter().filter(|step| !step["done_at"].is_null()).count();
        value["steps_done"] = done.into();
        value["steps_open"] = (self.parts("steps").len() - done).into();
        if let Some(map) = value.as_object_mut() {
            map.retain(|name, _| !["evidence", "keys_at_risk", "notes", "sightings", "steps"].contains(&name.as_str()));
        }
        value
    }

    fn parts(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map_or(&[], |list| list)
    }

    /// What the log compares: members, steps by name, of lists how long they are.
    pub fn facets(&self) -> Map<String, Value> {
        let mut facets = Map::new();
        facets.insert("status".to_owned(), self.status().into());
        for name in ["action", "suspected_at"] {
            facets.insert(name.to_owned(), self.0[name].clone());
        }
        for name in ["sightings", "notes"] {
            facets.insert(name.to_owned(), self.parts(name).len().into());
        }
        for step in self.parts("steps") {
            facets.insert(step["name"].as_str().unwrap_or_default().to_owned(), step["done_at"].clone());
        }
        facets
    }

    /// As Markdown (CommonMark), for a ticket. Every value is text: whatever stands in a name, it makes no heading, link or HTML.
    pub fn markdown(&self) -> String {
        let mut out = format!("# Incident {}\n\n", escaped(self.text("id")));
        let mut line = |name: &str, value: &str| out.push_str(&format!("- {name}: {}\n", escaped(value)));
        line("key", &format!("{} ({})", self.text("key_name"), self.text("key_id")));
        line("status", self.status());
        line("number of the secret", &worded(&self.0["secret"]));
        for name in ["owner", "source", "opened_at", "closed_at", "suspected_at", "action"] {
            line(&name.replace('_', " "), &worded(&self.0[name]));
        }
        out.push_str("\n## Checklist\n\n");
        for step in self.parts("steps") {
            let text = |name: &str| step[name].as_str().unwrap_or_default();
            let mark = if text("done_at").is_empty() { ' ' } else { 'x' };
            let said = [text("done_at"), text("by"), text("note")];
            let said: Vec<&str> = said.into_iter().filter(|part| !part.is_empty()).collect();
            let said = if said.is_empty() { String::new() } else { format!(": {}", said.join(", ")) };
            out.push_str(&format!("- [{mark}] {}{}\n", escaped(title(text("name"))), escaped(&said)));
        }
        for (heading, name) in [
            ("Where it was found", "sightings"),
            ("Evidence", "evidence"),
            ("Other keys of the owner", "keys_at_risk"),
            ("Notes", "notes"),
        ] {
            out.push_str(&format!("\n## {heading}\n\n"));
            match &self.0[name] {
                Value::Object(members) => members.iter().for_each(|(name, value)| {
                    out.push_str(&format!("- {}: {}\n", escaped(&name.replace('_', " ")), escaped(&worded(value))));
                }),
                _ if self.parts(name).is_empty() => out.push_str("- none\n"),
                _ => self.parts(name).iter().for_each(|of| out.push_str(&format!("- {}\n", escaped(&listed(of))))),
            }
        }
        out
    }
}

fn note(text: &str, by: &str, now: Instant) -> Value {
    object(vec![("at", now.to_string().into()), ("by", by.into()), ("text", text.into())])
}

/// Another key of the owner as it is kept and shown.
pub fn at_risk(key_id: &str, name: &str, environment: &str, status: &str, last_used_on: Value) -> Value {
    object(vec![
        ("key_id", key_id.into()),
        ("name", name.into()),
        ("environment", environment.into()),
        ("status", status.into()),
        ("last_used_on", last_used_on),
    ])
}

/// A JSON object; the macro of that purpose is inlined for each member.
pub fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The members of an object that say something, on one line.
fn listed(of: &Value) -> String {
    let members = of.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    members.map(|(name, value)| format!("{}: {}", name.replace('_', " "), worded(value))).collect::<Vec<_>>().join(", ")
}

/// A value in words: `VALID 4, REVOKED 1` of what is counted by name.
fn worded(value: &Value) -> String {
    let of = match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(worded).collect::<Vec<_>>().join("; "),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{} {}", name.replace('_', " "), worded(value));
            members.iter().map(member).collect::<Vec<_>>().join(", ")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if of.is_empty() { "none".to_owned() } else { of }
}

fn title(name: &str) -> &str {
    STEPS.iter().find(|(known, _)| *known == name).map_or(name, |(_, title)| title)
}

/// A text as Markdown that shows it and does nothing else, anywhere but where a line begins: on one line, no character of it markup.
/// What HTML is made of is written as entities, so that a reader which takes Markdown for HTML finds none either.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // No markup within a line, and every date and path is full of them.
            '-' | ',' | '(' | ')' | '/' | '+' => out.push(c),
            // Unless they begin an address, which would become a link.
            ':' if !rest.as_str().starts_with('/') => out.push(c),
            '.' if !out.to_ascii_lowercase().ends_with("www") => out.push(c),
            // Line breaks of every alphabet, and what turns the direction of a line.
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push(' ');
            }
            c if c.is_ascii_punctuation() => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// What is known of the use of a key since `since`: its counts by hour (`tallies`, from [`BASELINE_HOURS`] before on), where its calls
/// `led`, the calls that are kept one by one, what was seen of its secrets, and what was found unusual. Counts begin with the hour of `since`; the key
/// was made at `made_at`, before which there is nothing to compare with.
pub fn evidence(
    (tallies, led): (&[Tally], &[Led]),
    listed: &[Call],
    seen: &Use,
    anomalies: &[Value],
    made_at: Instant,
    since: Instant,
    now: Instant,
) -> Value {
    let (from, end) = (hour_of(since), hour_of(now) + 1);
    let baseline_from = (from - BASELINE_HOURS).max(hour_of(made_at)).min(from);
    let within = |start: i64, end: i64| tallies.iter().filter(move |of| (start..end).contains(&of.hour));
    let sum = |start: i64, end: i64| within(start, end).map(|of| of.calls).sum::<u64>();
    let part = |name: fn(&Tally) -> &str| top(within(from, end).map(|of| (name(of), of.calls)).collect());
    let destinations = led.iter().filter(|of| (from..end).contains(&of.hour));
    let calls = sum(from, end);
    let refused = within(from, end).filter(|of| of.outcome != Code::Valid.as_str()).map(|of| of.calls).sum::<u64>();
    let listed: Vec<&Call> = listed.iter().filter(|call| call.at >= since).collect();
    let of_secrets = || seen.secrets.iter().filter(|of| of.last_seen >= since);
    let places = of_secrets().flat_map(|of| &of.addresses).map(|network| (network.as_str(), 0));
    let networks = listed.iter().filter(|call| !call.address.is_empty()).map(|call| (call.address.as_str(), 1));
    let mut by_hour: Vec<(i64, u64)> = Vec::new();
    for of in within(from, end) {
        match by_hour.iter_mut().rev().find(|(hour, _)| *hour == of.hour) {
            Some((_, sum)) => *sum += of.calls,
            None => by_hour.push((of.hour, of.calls)),
        }
    }
    let busiest = by_hour.iter().max_by_key(|(hour, calls)| (*calls, -*hour));
    let at = |hour: i64| Instant::from_millis(hour * HOUR_MS);
    // Where not every call is kept one by one, the first is known by its hour alone.
    let first_hour = within(from, end).map(|of| of.hour).min().map(|hour| at(hour).max(since));
    let first_listed = listed.iter().map(|call| call.at).min();
    let all_listed = listed.len() as u64 >= calls;
    let first = if all_listed { first_listed.or(first_hour) } else { first_hour };
    let last = listed.iter().map(|call| call.at).chain(of_secrets().map(|of| of.last_seen)).max();
    let (hours, before_hours, before) = (end - from, from - baseline_from, sum(baseline_from, from));
    let round = |number: f64| (number * 100.0).round() / 100.0;
    let usual = (before_hours > 0).then(|| before as f64 / before_hours as f64);
    let rate = calls as f64 / hours as f64;
    let times = usual.filter(|usual| *usual > 0.0).map(|usual| round(rate / usual));
    let recent = |found: &&Value| found["at"].as_str().and_then(Instant::parse).is_some_and(|at| at >= since);
    let anomalies = Value::Array(anomalies.iter().filter(recent).take(MOST_ANOMALIES).cloned().collect());
    let instant = |at: Instant| Value::from(at.to_string());
    object(vec![
        ("since", instant(since)),
        ("counted_from", instant(at(from))),
        ("until", instant(now)),
        ("calls", calls.into()),
        ("accepted", (calls - refused).into()),
        ("refused", refused.into()),
        ("first_call_at", first.map(instant).into()),
        ("last_call_at", last.map(instant).into()),
        ("outcomes", part(|of| &of.outcome)),
        ("routes", part(|of| &of.route)),
        ("countries", part(|of| &of.country)),
        ("destinations", top(destinations.map(|of| (of.destination.as_str(), of.numbers)).collect())),
        ("networks", top(networks.chain(places).collect())),
        ("listed_calls", listed.len().into()),
        ("busiest_hour_at", busiest.map(|(hour, _)| instant(at(*hour))).into()),
        ("busiest_hour_calls", busiest.map_or(0, |(_, calls)| *calls).into()),
        ("calls_per_hour", round(rate).into()),
        ("baseline_from", instant(at(baseline_from))),
        ("baseline_hours", before_hours.into()),
        ("baseline_calls", before.into()),
        ("baseline_calls_per_hour", usual.map(round).into()),
        ("times_baseline", times.into()),
        ("anomalies", anomalies),
    ])
}

/// Calls by name, those with the most first.
fn top(parts: Vec<(&str, u64)>) -> Value {
    let mut all: Vec<(&str, u64)> = Vec::new();
    for (name, calls) in parts {
        let name = if name.is_empty() { "unknown" } else { name };
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += calls,
            None => all.push((name, calls)),
        }
    }
    let mut map = Map::new();
    // Not sorted: a sort is 5 KB of the Worker, and there are few.
    while map.len() < MOST_PARTS
        && let Some(most) = (0..all.len()).rev().max_by_key(|at| all[*at].1)
    {
        let (name, calls) = all.remove(most);
        map.insert(name.to_owned(), calls.into());
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const HOUR: i64 = HOUR_MS;

    fn now() -> Instant {
        Instant::from_millis(1_700_000_000_000)
    }

    fn incident() -> Incident {
        let of = Of { key_id: "7Qm2ZxT0aBcD3fGh", name: "server-prod", owner: "acme", secret: 1 };
        Incident::new(&of, "github", now(), now())
    }

    fn leaked(url: &str, evidence: Option<Value>) -> Leaked {
        let sightings = vec![json!({"at": now(), "reporter": "github", "url": url})];
        let incident_id = id_of("7Qm2ZxT0aBcD3fGh", 1);
        Leaked { incident_id, secret: 1, action: Action::Revoke, suspected_at: now(), sightings, evidence }
    }

    fn response(action: Action) -> Response {
        let notes = vec!["why".to_owned()];
        let [key_id, name, owner] = ["7Qm2ZxT0aBcD3fGh", "server-prod", "acme"].map(str::to_owned);
        let evidence = json!({"calls": 1});
        Response { key_id, name, owner, secret: 1, action, suspected_at: now(), evidence, works_until: None, notes }
    }

    fn done(of: &Incident) -> Vec<String> {
        let steps = of.parts("steps").iter().filter(|step| !step["done_at"].is_null());
        steps.map(|step| step["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn ids_name_a_key_and_a_secret_and_nothing_else_is_one() {
        assert!(is_incident_id(&id_of("7Qm2ZxT0aBcD3fGh", 12)));
        for bad in [
            "",
            "inc_",
            "inc_7Qm2ZxT0aBcD3fGh",
            "inc_7Qm2ZxT0aBcD3fGh_",
            "inc_7Qm2ZxT0aBcD3fGh_01",
            "inc_7Qm2ZxT0aBcD3fGh_+1",
            "inc_7Qm2ZxT0aBcD3fG._1",
            "inc_é_1",
            "x7Qm2ZxT0aBcD3fGh_1",
        ] {
            assert!(!is_incident_id(bad), "{bad}");
        }
    }

    #[test]
    fn the_stored_form_is_what_it_was() {
        let stored = r#"{"id":"inc_7Qm2ZxT0aBcD3fGh_1","key_id":"7Qm2ZxT0aBcD3fGh","key_name":"server-prod","owner":"acme","secret":1,"opened_at":"2023-11-14T22:13:20.000Z","closed_at":null,"source":"github","sightings":[],"suspected_at":"2023-11-14T22:13:20.000Z","action":"none","steps":[{"name":"key_ended","done_at":null,"by":null,"note":null},"#;
        assert!(incident().stored().starts_with(stored), "{}", incident().stored());
        assert_eq!(Incident::read(&incident().stored()), Some(incident()));
        assert!(Incident::read("{}").is_none() && Incident::read("[").is_none());
        // What another version left out is no obstacle.
        let bare = Incident::read(r#"{"id":"inc_7Qm2ZxT0aBcD3fGh_1"}"#).unwrap_or_else(|| panic!("an incident"));
        assert_eq!((bare.status(), bare.shown()["steps"].clone()), ("open", json!([])));
        assert!(bare.markdown().starts_with("# Incident inc"));
    }

    #[test]
    fn a_report_is_merged_and_opens_nothing_that_was_closed() {
        let mut of = incident();
        of.sighted(&leaked("https://a.example", Some(json!({"calls": 7}))), now());
        assert_eq!(done(&of), [ENDED, EVIDENCE]);
        assert_eq!((of.text("action"), of.0["evidence"]["calls"].as_u64()), ("revoke", Some(7)));
        let close = Change { closed: Some(true), ..Change::default() };
        of.change(&close, "k", now()).unwrap();
        of.sighted(&leaked("https://b.example", None), now());
        of.sighted(&leaked("https://b.example", None), now().plus_seconds(9));
        assert_eq!((of.parts("sightings").len(), of.status()), (2, "closed"));
        for i in 0..200 {
            of.sighted(&leaked(&format!("https://c.example/{i}"), None), now());
        }
        assert_eq!(of.parts("sightings").len(), crate::leak::MOST_SIGHTINGS);
    }

    #[test]
    fn an_answer_ticks_what_it_did_and_opens_it_again() {
        let later = now().plus_seconds(60);
        for (action, steps) in [
            (Action::Revoke, vec![ENDED, EVIDENCE]),
            (Action::Rotate, vec![ENDED, EVIDENCE]),
            (Action::Disable, vec![EVIDENCE]),
            (Action::None, vec![EVIDENCE]),
        ] {
            assert_eq!(Response::read(&response(action).told()), Some(response(action)));
            let mut of = incident();
            of.change(&Change { closed: Some(true), ..Change::default() }, "k", now()).unwrap();
            let before = of.facets();
            of.respond(&response(action), "k", later);
            of.respond(&response(action), "k", later);
            assert_eq!(
                (done(&of), of.status(), of.parts("notes").len()),
                (steps.iter().map(|s| (*s).to_owned()).collect(), "open", 1)
            );
            let changes = crate::life::differences(&before, &of.facets());
            assert_eq!(changes["status"], json!({"before": "closed", "after": "open"}));
        }
        let mut of = incident();
        of.respond(&Response { works_until: Some(later), ..response(Action::Rotate) }, "k", now());
        assert!(of.parts("steps")[0]["note"].as_str().is_some_and(|note| note.contains("works until")));
    }

    #[test]
    fn steps_are_ticked_and_taken_back_and_notes_are_bounded() {
        let read = |body: Value| Change::read(body);
        let mut of = incident();
        let change = read(
            json!({"steps": [{"name": "owner_told", "note": "by phone"}, {"name": "cause_found", "done": false}], "note": "x", "status": "closed"}),
        );
        of.change(&change.unwrap(), "k", now()).unwrap();
        assert_eq!((done(&of), of.status()), (vec!["owner_told".to_owned()], "closed"));
        let first = of.parts("steps")[4].clone();
        of.change(
            &read(json!({"steps": [{"name": "owner_told", "done": true}]})).unwrap(),
            "other",
            now().plus_seconds(5),
        )
        .unwrap();
        assert_eq!(of.parts("steps")[4], first, "who did it first stays");
        of.change(
            &read(json!({"steps": [{"name": "owner_told", "done": false}], "status": "open"})).unwrap(),
            "k",
            now(),
        )
        .unwrap();
        assert_eq!((done(&of).len(), of.status()), (0, "open"));
        for bad in [
            json!([]),
            json!({"steps": [{"name": "other"}]}),
            json!({"steps": [{}]}),
            json!({"status": "gone"}),
            json!({"note": "a\nb"}),
            json!({"note": "x".repeat(1001)}),
            json!({"more": 1}),
            json!({"steps": vec![json!({"name": "owner_told"}); 8]}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
        let note = Change { note: Some("n".to_owned()), ..Change::default() };
        (1..MOST_NOTES).for_each(|_| of.change(&note, "k", now()).unwrap());
        assert_eq!(of.change(&note, "k", now()).unwrap_err().field, "note");
        of.respond(&response(Action::Revoke), "k", now());
        assert_eq!(of.parts("notes").len(), MOST_NOTES);
    }

    #[test]
    fn what_is_shown_has_titles_and_a_summary_has_numbers() {
        let mut of = incident();
        of.sighted(&leaked("https://a.example", Some(json!({}))), now());
        let shown = of.shown();
        assert_eq!((&shown["status"], &shown["steps"][0]["title"]), (&json!("open"), &json!(STEPS[0].1)));
        let summary = of.summary();
        assert_eq!(
            (&summary["places"], &summary["steps_done"], &summary["steps_open"]),
            (&json!(1), &json!(2), &json!(5))
        );
        assert!(summary.get("evidence").is_none() && summary.get("steps").is_none());
    }

    /// The text that Markdown written by [`escaped`] shows.
    fn read_back(markdown: &str) -> String {
        let mut out = String::new();
        let mut rest = markdown;
        while let Some(c) = rest.chars().next() {
            let entity = [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')];
            if let Some((entity, c)) = entity.iter().find(|(entity, _)| rest.starts_with(entity)) {
                out.push(*c);
                rest = &rest[entity.len()..];
                continue;
            }
            let c = if c == '\\' {
                rest = &rest[1..];
                rest.chars().next().unwrap()
            } else {
                c
            };
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
        out
    }

    proptest! {
        #[test]
        fn any_text_is_shown_as_it_is_and_makes_no_markup(text in "(\\PC|[\n\r\t`*_\\[\\]<>&#!|~\\\\]|<img|www\\.|https://|\u{2028}|\u{202e}){0,40}") {
            let markdown = escaped(&text);
            let broken = markdown.contains(['<', '>', '\n', '\r', '\u{2028}', '\u{202e}']);
            prop_assert!(!broken);
            prop_assert!(!markdown.replace("\\:", "").contains("://") && !markdown.to_ascii_lowercase().contains("www."));
            let mut before = ' ';
            for c in markdown.chars() {
                if before == '\\' {
                    before = ' ';
                    continue;
                }
                let markup = "`*_[]#!|~{}=$^@'%?".contains(c);
                prop_assert!(!markup, "{} in {}", c, markdown);
                before = c;
            }
            let plain: String = text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c }).collect();
            prop_assert_eq!(read_back(&markdown), plain);
        }

        #[test]
        fn whatever_stands_in_an_incident_its_markdown_has_the_lines_of_the_template_alone(name in "(\\PC|[\n`<#-]){0,30}", note in "(\\PC|\n){0,30}") {
            let key = Of { key_id: "7Qm2ZxT0aBcD3fGh", name: &name, owner: &note, secret: 1 };
            let mut of = Incident::new(&key, "github", now(), now());
            of.at_risk(vec![at_risk("id", &name, "live", "active", Value::Null)]);
            let mut response = response(Action::Revoke);
            response.notes = vec![note.clone(), name.clone()];
            of.respond(&response, "k", now());
            let markdown = of.markdown();
            prop_assert!(!markdown.contains('<'));
            for line in markdown.lines() {
                prop_assert!(line.is_empty() || line.starts_with("- ") || line.starts_with("## ") || line.starts_with("# Incident inc"), "{}", line);
            }
            prop_assert_eq!(markdown.lines().filter(|line| line.starts_with('#')).count(), 6);
        }

        #[test]
        fn evidence_counts_every_call_since_once(
            hours in proptest::collection::vec((0i64..400, 0usize..3, 0usize..4, 1u64..50), 0..60), since in 0i64..400, made in 0i64..400,
        ) {
            let (codes, countries) = ([Code::Valid, Code::RateLimited, Code::Expired], ["DE", "FR", "", "KP"]);
            let tallies: Vec<Tally> = hours.iter().map(|(hour, code, country, calls)| Tally {
                hour: *hour, outcome: codes[*code].as_str().to_owned(), route: "verify".to_owned(), country: countries[*country].to_owned(), calls: *calls,
            }).collect();
            let at = |hour: i64| Instant::from_millis(hour * HOUR + 1);
            let of = evidence((&tallies, &[]), &[], &Use::default(), &[], at(made), at(since), at(399));
            let expected: u64 = hours.iter().filter(|of| of.0 >= since).map(|of| of.3).sum();
            let refused: u64 = hours.iter().filter(|of| of.0 >= since && of.1 > 0).map(|of| of.3).sum();
            prop_assert_eq!(of["calls"].as_u64(), Some(expected));
            prop_assert_eq!((of["refused"].as_u64(), of["accepted"].as_u64()), (Some(refused), Some(expected - refused)));
            let sum = |name: &str| of[name].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
            prop_assert_eq!((sum("outcomes"), sum("countries"), sum("routes")), (expected, expected, expected));
            let from = (since - BASELINE_HOURS).max(made).min(since);
            let before: u64 = hours.iter().filter(|of| (from..since).contains(&of.0)).map(|of| of.3).sum();
            prop_assert_eq!((of["baseline_calls"].as_u64(), of["baseline_hours"].as_i64()), (Some(before), Some(since - from)));
        }
    }

    #[test]
    fn evidence_names_networks_first_and_last_calls_and_how_many_times_the_usual() {
        let at = |hour: i64, minute: i64| Instant::from_millis(hour * HOUR + minute * 60_000);
        let tally = |hour: i64, outcome: Code, calls: u64| Tally {
            hour,
            outcome: outcome.as_str().to_owned(),
            route: "authorize".to_owned(),
            country: "DE".to_owned(),
            calls,
        };
        let tallies = [
            tally(1, Code::Valid, 10),
            tally(2, Code::Valid, 10),
            tally(3, Code::Valid, 100),
            tally(4, Code::Revoked, 20),
        ];
        let call = |minute: i64, address: &str| Call {
            at: at(3, minute),
            secret: 1,
            outcome: "VALID".to_owned(),
            route: "authorize".to_owned(),
            address: address.to_owned(),
            country: "DE".to_owned(),
        };
        let listed = [
            call(50, "192.0.2.0/24"),
            call(40, "192.0.2.0/24"),
            call(30, "198.51.100.0/24"),
            call(5, "203.0.113.0/24"),
        ];
        let mut seen = Use::default();
        let secret = seen.of(1, at(0, 0));
        secret.came_from(Some("2001:db8::1".parse().unwrap()), None);
        secret.touch(at(4, 1));
        let led = [(2, "DE", 9), (3, "KP", 2), (3, "+881", 1), (4, "KP", 3), (5, "FR", 1)]
            .map(|(hour, place, numbers)| Led { hour, destination: place.to_owned(), numbers });
        let found = [json!({"kind": "volume_spike", "at": at(3, 30)}), json!({"kind": "new_country", "at": at(1, 0)})];
        let of = evidence((&tallies, &led), &listed, &seen, &found, at(1, 0), at(3, 20), at(4, 30));
        assert_eq!((of["calls"].as_u64(), of["counted_from"].as_str()), (Some(120), Some("1970-01-01T03:00:00.000Z")));
        assert_eq!(of["destinations"].to_string(), r#"{"KP":5,"+881":1}"#, "since then, those with the most first");
        assert_eq!(of["networks"], json!({"192.0.2.0/24": 2, "198.51.100.0/24": 1, "2001:db8::/48": 0}));
        assert_eq!(
            (of["first_call_at"].as_str(), of["last_call_at"].as_str()),
            (Some("1970-01-01T03:20:00.000Z"), Some("1970-01-01T04:01:00.000Z"))
        );
        assert_eq!((of["busiest_hour_calls"].as_u64(), of["listed_calls"].as_u64()), (Some(100), Some(3)));
        assert_eq!(
            (of["calls_per_hour"].as_f64(), of["baseline_calls_per_hour"].as_f64(), of["times_baseline"].as_f64()),
            (Some(60.0), Some(10.0), Some(6.0))
        );
        assert_eq!(of["anomalies"].as_array().map(Vec::len), Some(1));
        let none = evidence((&[], &[]), &[], &Use::default(), &[], at(3, 0), at(3, 0), at(3, 0));
        assert_eq!(
            (none["calls"].as_u64(), &none["first_call_at"], &none["times_baseline"], &none["busiest_hour_at"]),
            (Some(0), &Value::Null, &Value::Null, &Value::Null)
        );
    }

    #[test]
    fn of_many_parts_those_with_the_most_calls_are_named() {
        let names: Vec<String> = (0..200).map(|i| format!("c{i}")).collect();
        let parts = names.iter().enumerate().map(|(i, name)| (name.as_str(), i as u64 % 100)).collect();
        let top = top(parts);
        let top = top.as_object().unwrap();
        assert_eq!(
            (top.len(), top.values().next().and_then(Value::as_u64), top.values().next_back().and_then(Value::as_u64)),
            (MOST_PARTS, Some(99), Some(75))
        );
    }
}
