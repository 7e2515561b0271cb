//! What the object of a key keeps of its use: counts by hour, and the last calls of each secret. The project's object is told
//! the totals of a day, at most once a minute: totals and not differences, so that telling twice counts once.

use crate::host::{self, clock};
use crate::key_object::KeyObject;
use crate::messages::ToProject;
use crate::storage::{StorageError, bound, number, text};
use keyward::usage::{Call, KEPT_HOURS, Led, MOST_CALLS, Tally, Usage, hour_of};
use keyward::verify::Code;
use worker::SqlStorageValue;

/// How long a total may be old before the project hears of it, in milliseconds.
const TELL_MS: i64 = 60_000;
/// How soon it hears of the first call after a while, in milliseconds.
const SOON_MS: i64 = 500;
/// Different tallies of one hour that are kept; of more, way and country are not told apart.
const MOST_OF_HOUR: u64 = 500;
/// Tallies in one answer.
const MOST_ROWS: u64 = 20_000;
const DAY: i64 = 24;

impl KeyObject {
    /// Takes in what an edge counted of the key `id`.
    pub(crate) fn count(&self, id: &str, usage: &Usage) -> Result<(), StorageError> {
        if usage.is_empty() {
            return Ok(());
        }
        let now = clock();
        self.store.transact(|| {
            for table in [
                "CREATE TABLE IF NOT EXISTS usage (hour INTEGER, outcome TEXT, route TEXT, country TEXT, calls INTEGER NOT NULL, PRIMARY KEY (hour, outcome, route, country)) WITHOUT ROWID",
                "CREATE TABLE IF NOT EXISTS destinations (hour INTEGER, destination TEXT, numbers INTEGER NOT NULL, PRIMARY KEY (hour, destination)) WITHOUT ROWID",
                "CREATE TABLE IF NOT EXISTS calls (position INTEGER PRIMARY KEY AUTOINCREMENT, secret INTEGER NOT NULL, body TEXT NOT NULL)",
            ] {
                self.store.run(table, vec![])?;
            }
            for Tally { hour, outcome, route, country, calls } in &usage.tallies {
                let rows = self.store.rows("SELECT count(*) FROM usage WHERE hour = ?", vec![(*hour).into()])?;
                let full = rows.first().map_or(Ok(0), |row| number(&row[0]))? >= MOST_OF_HOUR;
                let (route, country) = if full { ("", "") } else { (route.as_str(), country.as_str()) };
                self.store.run(
                    "INSERT INTO usage (hour, outcome, route, country, calls) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls",
                    vec![(*hour).into(), outcome.as_str().into(), route.into(), country.into(), bound(*calls)],
                )?;
            }
            // Numbering plans know some 260 places: an hour has no more of them, whatever is called.
            for Led { hour, destination, numbers } in &usage.led {
                self.store.run(
                    "INSERT INTO destinations (hour, destination, numbers) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET numbers = numbers + excluded.numbers",
                    vec![(*hour).into(), destination.as_str().into(), bound(*numbers)],
                )?;
            }
            for call in &usage.calls {
                let body = serde_json::to_string(call).map_err(|e| StorageError(e.to_string()))?;
                self.store.run("INSERT INTO calls (secret, body) VALUES (?, ?)", vec![i64::from(call.secret).into(), body.into()])?;
            }
            let mut secrets: Vec<u32> = usage.calls.iter().map(|call| call.secret).collect();
            secrets.sort_unstable();
            secrets.dedup();
            for secret in secrets {
                self.store.run(
                    "DELETE FROM calls WHERE secret = ?1 AND position <= (SELECT position FROM calls WHERE secret = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2)",
                    vec![i64::from(secret).into(), bound(MOST_CALLS as u64)],
                )?;
            }
            let kept = hour_of(now) - KEPT_HOURS;
            self.store.run("DELETE FROM destinations WHERE hour < ?", vec![kept.into()])?;
            self.store.run("DELETE FROM usage WHERE hour < ?", vec![kept.into()])
        })?;
        for Tally { outcome, route, country, calls, .. } in &usage.tallies {
            host::analyse(&self.env, id, [outcome.as_str(), route, country], *calls);
        }
        if self.tell_at.get().is_none() {
            let soon = now.plus_millis(SOON_MS);
            self.tell_at.set(self.told_at.get().map(|told| told.plus_millis(TELL_MS).max(soon)).or(Some(soon)));
            self.unsent.set(true);
        }
        Ok(())
    }

    /// Counts from one hour to before another.
    pub(crate) fn tallies(&self, from: i64, to: i64, daily: bool) -> Result<Vec<Tally>, StorageError> {
        if !self.store.exists("usage")? {
            return Ok(Vec::new());
        }
        let hour = if daily { "hour / 24 * 24" } else { "hour" };
        let rows = self.store.rows(
            &format!("SELECT {hour} AS start, outcome, route, country, sum(calls) FROM usage WHERE hour >= ? AND hour < ? GROUP BY start, outcome, route, country ORDER BY start DESC LIMIT ?"),
            vec![from.into(), to.into(), bound(MOST_ROWS)],
        )?;
        let read = |row: &Vec<SqlStorageValue>| {
            Ok(Tally {
                hour: number(&row[0])? as i64,
                outcome: text(&row[1])?.to_owned(),
                route: text(&row[2])?.to_owned(),
                country: text(&row[3])?.to_owned(),
                calls: number(&row[4])?,
            })
        };
        rows.iter().rev().map(read).collect()
    }

    /// Where calls led, from one hour to before another.
    pub(crate) fn led(&self, from: i64, to: i64, daily: bool) -> Result<Vec<Led>, StorageError> {
        if !self.store.exists("destinations")? {
            return Ok(Vec::new());
        }
        let hour = if daily { "hour / 24 * 24" } else { "hour" };
        let rows = self.store.rows(
            &format!("SELECT {hour} AS start, destination, sum(numbers) FROM destinations WHERE hour >= ? AND hour < ? GROUP BY start, destination ORDER BY start DESC LIMIT ?"),
            vec![from.into(), to.into(), bound(MOST_ROWS)],
        )?;
        let read = |row: &Vec<SqlStorageValue>| {
            Ok(Led { hour: number(&row[0])? as i64, destination: text(&row[1])?.to_owned(), numbers: number(&row[2])? })
        };
        rows.iter().rev().map(read).collect()
    }

    /// The last calls, the newest first.
    pub(crate) fn calls(&self, limit: u32) -> Result<Vec<Call>, StorageError> {
        if !self.store.exists("calls")? {
            return Ok(Vec::new());
        }
        let rows =
            self.store.rows("SELECT body FROM calls ORDER BY position DESC LIMIT ?", vec![i64::from(limit).into()])?;
        let read =
            |row: &Vec<SqlStorageValue>| crate::read::read(text(&row[0])?).map_err(|e| StorageError(e.to_string()));
        rows.iter().map(read).collect()
    }

    /// What the project is to hear of the calls of today and yesterday, if there were any.
    pub(crate) fn totals(&self, id: &str) -> Result<Option<ToProject>, StorageError> {
        let today = hour_of(clock()).div_euclid(DAY);
        let mut days: Vec<(i64, u64, u64)> = Vec::new();
        for tally in self.tallies((today - 1) * DAY, (today + 1) * DAY, true)? {
            let day = tally.hour.div_euclid(DAY);
            let refused = if tally.outcome == Code::Valid.as_str() { 0 } else { tally.calls };
            match days.iter_mut().find(|(known, ..)| *known == day) {
                Some((_, all, of)) => (*all, *of) = (*all + tally.calls, *of + refused),
                None => days.push((day, tally.calls, refused)),
            }
        }
        Ok((!days.is_empty()).then(|| ToProject::Tell { id: id.to_owned(), days }))
    }
}
