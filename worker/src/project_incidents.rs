//! The incidents, as the `ProjectObject` keeps them: one for each secret of a key that leaked. A report opens one in the transaction
//! that takes its event in, so that no crash loses an incident; each change is written with its row of the log.

use crate::config::Config;
use crate::host::clock;
use crate::messages::FromProject;
use crate::project_object::{ProjectObject, day, optional};
use crate::storage::{StorageError, bound, text};
use keyward::audit::AuditKeys;
use keyward::evidence::Use;
use keyward::incident::{Change, Incident, MOST_AT_RISK, Of, Response, at_risk, id_of, object};
use keyward::leak::Leaked;
use keyward::life::{Actor, Event, differences};
use keyward::record::Record;
use keyward::time::Instant;
use serde_json::{Map, Value};
use worker::SqlStorageValue;

pub const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS incidents (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key_id TEXT NOT NULL, status TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS incidents_by_key ON incidents (key_id, position)",
    "CREATE INDEX IF NOT EXISTS incidents_by_status ON incidents (status, position)",
];

impl ProjectObject {
    /// Takes the report of a leak into its incident. Call it in the transaction that takes its event in.
    pub fn sighted(&self, event: &Event, keys: &AuditKeys) -> Result<(), StorageError> {
        let Some(leaked) = event.detail.as_ref().and_then(Leaked::read) else { return Ok(()) };
        let known = self.incident(&leaked.incident_id)?;
        let before = known.as_ref().map(Incident::facets);
        let mut incident = match known {
            Some(incident) => incident,
            None => {
                let by_github = leaked.sightings.iter().any(|of| of["reporter"] == "github");
                let source = if by_github { "github" } else { "report" };
                let Record { id, name, owner, .. } = &event.record;
                let of = Of { key_id: id, name, owner, secret: leaked.secret };
                let mut new = Incident::new(&of, source, leaked.suspected_at, event.at);
                new.at_risk(self.keys_at_risk(&new)?);
                new
            }
        };
        incident.sighted(&leaked, event.at);
        self.keep(before, &incident, &event.by, keys)
    }

    /// Opens an incident for an answer to a leak, or goes on with the one that there is: that of the secret, or else the newest that is
    /// open.
    pub fn respond(&self, response: &Value, by: &Actor, config: &Config) -> Result<FromProject, StorageError> {
        let response = Response::read(response).ok_or_else(|| StorageError("no answer to a leak".to_owned()))?;
        let Response { key_id, name, owner, secret, .. } = &response;
        let of = Of { key_id, name, owner, secret: *secret };
        let (now, id) = (clock(), id_of(key_id, *secret));
        let rows = self.store.rows(
            "SELECT body FROM incidents WHERE key_id = ?1 AND (status = 'open' OR id = ?2) ORDER BY status = 'open' DESC, id = ?2 DESC, position DESC LIMIT 1",
            vec![key_id.as_str().into(), id.into()],
        )?;
        let known = rows.first().map(|row| read(&row[0])).transpose()?;
        let before = known.as_ref().map(Incident::facets);
        let new = || Incident::new(&of, "response", response.suspected_at, now);
        let mut incident = known.unwrap_or_else(new);
        incident.respond(&response, &by.key_id, now);
        incident.at_risk(self.keys_at_risk(&incident)?);
        self.store.transact(|| self.keep(before.clone(), &incident, by, &config.audit))?;
        Ok(FromProject::Incident { incident: Some(incident.shown()) })
    }

    /// An incident, after a change if there is one.
    pub fn one_incident(
        &self,
        id: &str,
        change: Option<Value>,
        markdown: bool,
        by: &Actor,
        config: &Config,
    ) -> Result<FromProject, StorageError> {
        let Some(mut incident) = self.incident(id)? else { return Ok(FromProject::Incident { incident: None }) };
        if let Some(body) = change {
            let (before, known) = (incident.facets(), incident.clone());
            let changed = Change::read(body).and_then(|change| incident.change(&change, &by.key_id, clock()));
            if let Err(invalid) = changed {
                return Ok(FromProject::IncidentRefused { field: invalid.field, problem: invalid.problem });
            }
            if incident != known {
                self.store.transact(|| self.keep(Some(before.clone()), &incident, by, &config.audit))?;
            }
        }
        let shown = if markdown { incident.markdown().into() } else { incident.shown() };
        Ok(FromProject::Incident { incident: Some(shown) })
    }

    fn incident(&self, id: &str) -> Result<Option<Incident>, StorageError> {
        let rows = self.store.rows("SELECT body FROM incidents WHERE id = ?", vec![id.into()])?;
        rows.first().map(|row| read(&row[0])).transpose()
    }

    pub fn incidents(
        &self,
        limit: u32,
        before: Option<u64>,
        key_id: Option<&str>,
        status: Option<&str>,
    ) -> Result<FromProject, StorageError> {
        let mut query = "SELECT position, body FROM incidents WHERE position < ?".to_owned();
        let mut values = vec![before.map_or(SqlStorageValue::Integer((1 << 53) - 1), bound)];
        for (column, wanted) in [("key_id", key_id), ("status", status)] {
            if let Some(wanted) = wanted {
                query.push_str(&format!(" AND {column} = ?"));
                values.push(wanted.into());
            }
        }
        query.push_str(" ORDER BY position DESC LIMIT ?");
        values.push(SqlStorageValue::Integer(i64::from(limit) + 1));
        self.page(&query, values, limit, &|row| Ok(Some(read(&row[1])?.summary())))
    }

    /// Other keys of the owner that are not revoked, the newest first.
    fn keys_at_risk(&self, incident: &Incident) -> Result<Vec<Value>, StorageError> {
        let rows = self.store.rows(
            "SELECT id, name, environment, status, used, coalesce(json_extract(record, '$.expires_at'), '') FROM key_index WHERE owner = ? AND id != ? AND status != 'revoked' ORDER BY position DESC LIMIT ?",
            vec![incident.text("owner").into(), incident.text("key_id").into(), bound(MOST_AT_RISK as u64)],
        )?;
        let now = clock();
        let mut all = Vec::new();
        for row in rows {
            let used: Option<Use> = optional(&row[4])?;
            let last_used_on = day(used.as_ref().and_then(Use::last_used));
            let over = Instant::parse(text(&row[5])?).is_some_and(|end| end <= now);
            let status = match text(&row[3])? {
                "active" if over => "expired",
                status => status,
            };
            all.push(at_risk(text(&row[0])?, text(&row[1])?, text(&row[2])?, status, last_used_on));
        }
        Ok(all)
    }

    /// Stores an incident with its row of the log; `before` is what the log compares, of one that there was. Call it in a transaction.
    fn keep(
        &self,
        before: Option<Map<String, Value>>,
        incident: &Incident,
        by: &Actor,
        keys: &AuditKeys,
    ) -> Result<(), StorageError> {
        let (id, body) = (incident.text("id"), incident.stored());
        let status = incident.status();
        self.store.run(
            "INSERT INTO incidents (id, key_id, status, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status = excluded.status, body = excluded.body",
            vec![id.into(), incident.text("key_id").into(), status.into(), body.into()],
        )?;
        let kind = match &before {
            None => "incident.opened",
            Some(before) if before["status"] == status => "incident.updated",
            Some(_) if status == "closed" => "incident.closed",
            Some(_) => "incident.reopened",
        };
        let changes = differences(&before.unwrap_or_default(), &incident.facets());
        let entry = object(vec![
            ("kind", kind.into()),
            ("at", clock().to_string().into()),
            ("incident", id.into()),
            ("by", by.key_id.as_str().into()),
            ("request_id", by.request_id.as_str().into()),
            ("address", by.address.clone().into()),
            ("country", by.country.clone().into()),
            ("changes", Value::Object(changes)),
        ]);
        self.append(&entry.to_string(), keys)
    }
}

fn read(column: &SqlStorageValue) -> Result<Incident, StorageError> {
    Incident::read(text(column)?).ok_or_else(|| StorageError("an incident cannot be read".to_owned()))
}
