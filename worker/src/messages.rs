//! What is said to the Durable Objects and what they answer: JSON, so that two versions of the Worker during a rollout
//! read each other.

use keyward::life::{Actor, Change, Event, Receipt, Refusal};
use keyward::record::{Record, StoredKey};
use keyward::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// To the object that owns a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToKey {
    /// Store a new key. Answers `Record`, for the same key again the record as it is, for another one `Taken`.
    Create { key: Box<StoredKey>, by: Actor },
    /// What an edge may go on with. Answers `Lease`.
    Lease,
    /// The record. Answers `Record` or `Absent`.
    Read,
    /// A change of status by a key that holds the scopes `held`. Answers `Changed`, `Refused`, `Forbidden` or `Absent`.
    Change { change: Change, by: Actor, held: Vec<Scope> },
}

/// From the object that owns a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromKey {
    /// The stored key, if there is one.
    Lease {
        key: Option<Box<StoredKey>>,
    },
    Record {
        record: Box<Record>,
    },
    Changed {
        record: Box<Record>,
        receipt: Option<Receipt>,
    },
    Refused {
        refusal: Refusal,
    },
    Forbidden {
        scope: Scope,
    },
    /// Another key has that id.
    Taken,
    Absent,
}

/// To the object that knows all keys of the project.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToProject {
    /// Events of one key's object, in the order of their numbers. Answers `Done`; numbers met before are skipped.
    Events { events: Vec<(u64, Event)> },
    /// Whether the first management key may be adopted. Answers `Adoption`.
    Adopt { id: String },
    /// A page of the index, newest first, from before `before`. Answers `Page`.
    List { limit: u32, before: Option<u64> },
    /// A page of the log, newest first, from before `before`. Answers `Page`.
    Log { limit: u32, before: Option<u64> },
}

/// From the object that knows all keys of the project.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromProject {
    Done,
    Adoption {
        allowed: bool,
    },
    /// Rows, and where the next page begins.
    Page {
        rows: Vec<Value>,
        next: Option<u64>,
    },
}
