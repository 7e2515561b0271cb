//! The outbox of a key's object: events wait beside the record, written in its transaction, until the project's object
//! has them. Delivered at least once; the receiver skips numbers that it has met.

use crate::host::{self, Namespace};
use crate::messages::{FromProject, ToProject};
use crate::storage::{StorageError, Store, bound, number, text};
use keyward::life::Event;
use wasm_bindgen::JsValue;

/// Makes the table.
pub fn create(store: &Store) -> Result<(), StorageError> {
    store.run(
        "CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL)",
        vec![],
    )
}

/// Appends an event. Call it in the transaction that writes what the event tells.
pub fn append(store: &Store, event: &Event) -> Result<(), StorageError> {
    let json = serde_json::to_string(event).map_err(|e| StorageError(e.to_string()))?;
    store.run("INSERT INTO outbox (event) VALUES (?)", vec![json.into()])
}

/// Gives the next events numbers beyond `number`. Call it in a transaction.
pub fn go_on_after(store: &Store, number: u64) -> Result<(), StorageError> {
    create(store)?;
    // The highest number ever used counts, whether or not its row is still there.
    store.run("INSERT OR IGNORE INTO outbox (number, event) VALUES (?, '')", vec![bound(number)])?;
    store.run("DELETE FROM outbox WHERE number = ? AND event = ''", vec![bound(number)])
}

/// Whether anything waits. The table must be there.
pub fn is_empty(store: &Store) -> Result<bool, StorageError> {
    Ok(store.rows("SELECT 1 FROM outbox LIMIT 1", vec![])?.is_empty())
}

/// Hands everything that waits to the project's object and forgets what it took. On failure everything stays. Answers the
/// head of the log after the last event; where nothing waits only if it is `wanted`.
pub async fn deliver(store: &Store, env: &JsValue, wanted: bool) -> Result<Option<String>, StorageError> {
    let mut head = None;
    loop {
        let rows = store.rows("SELECT number, event FROM outbox ORDER BY number LIMIT 50", vec![])?;
        let last = match rows.last() {
            None if head.is_some() || !wanted => return Ok(head),
            None => 0,
            Some(last) => number(&last[0])?,
        };
        let read = |row: &Vec<worker::SqlStorageValue>| {
            let event = crate::read::read(text(&row[1])?).map_err(|e| StorageError(e.to_string()))?;
            Ok((number(&row[0])?, event))
        };
        let events = rows.iter().map(read).collect::<Result<Vec<(u64, Event)>, StorageError>>()?;
        let reply = host::ask(env, Namespace::Project, "project", &ToProject::Deliver { events }).await;
        match reply.map_err(|error| StorageError(format!("project: {error:?}")))? {
            FromProject::Delivered { head: new } => {
                store.run("DELETE FROM outbox WHERE number <= ?", vec![bound(last)])?;
                head = Some(new);
            }
            _ => return Err(StorageError("the project answered something else".to_owned())),
        }
    }
}
