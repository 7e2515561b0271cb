//! The outbox of a key's object: events wait beside the record, written in its transaction, until the project's object
//! has them. Delivered at least once; the receiver skips numbers that it has met.

use crate::host::Authority;
use crate::messages::{FromProject, ToProject};
use crate::storage::{StorageError, Store, bound, number, text};
use keyward::life::Event;

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

/// Hands everything that waits to the project's object and forgets what it took. On failure everything stays.
pub async fn deliver(store: &Store, project: &Authority) -> Result<(), StorageError> {
    loop {
        let rows = store.rows("SELECT number, event FROM outbox ORDER BY number LIMIT 50", vec![])?;
        let Some(last) = rows.last() else { return store.sleep().await };
        let last = number(&last[0])?;
        let read = |row: &Vec<worker::SqlStorageValue>| {
            let event = serde_json::from_str(text(&row[1])?).map_err(|e| StorageError(e.to_string()))?;
            Ok((number(&row[0])?, event))
        };
        let events = rows.iter().map(read).collect::<Result<Vec<(u64, Event)>, StorageError>>()?;
        let message = serde_json::to_string(&ToProject::Events { events }).map_err(|e| StorageError(e.to_string()))?;
        let reply = project.ask(&message).await.map_err(|e| StorageError(format!("project: {e:?}")))?;
        match serde_json::from_str(&reply) {
            Ok(FromProject::Done) => store.run("DELETE FROM outbox WHERE number <= ?", vec![bound(last)])?,
            _ => return Err(StorageError("the project answered something else".to_owned())),
        }
    }
}
