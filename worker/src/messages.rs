//! What is said to the Durable Objects and what they answer: JSON, so that two versions of the Worker during a rollout
//! read each other. Variants and fields are added, never changed.

use keyward::evidence::Use;
use keyward::idempotency::Asked;
use keyward::life::{Actor, Change, Event, Refusal, Settled};
use keyward::limit::Limit;
use keyward::record::{Record, ShownSecret, StoredKey};
use keyward::root::Digest;
use keyward::rotation::{Ending, Rotation, Terms};
use keyward::scope::Scope;
use keyward::slots::{Held, Slot, SlotUse, Slots};
use keyward::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// To the object that owns a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToKey {
    /// Store a new key. Answers `Record`, for the same key again the record as it is, for another one, and for an imported
    /// one again, `Taken`.
    Create {
        key: Box<StoredKey>,
        by: Actor,
        #[serde(default)]
        imported: bool,
    },
    /// What an edge may go on with. Answers `Lease`. Asked by version 0.1 only.
    Lease,
    /// What an edge may go on with, and a verdict where the key, or the edge, wants the authority's own. Answers `Lease`.
    Ask { question: Option<Question>, strict: bool, report: Option<Use> },
    /// What an edge saw. Answers `Noted`.
    Report { report: Use },
    /// A digest under the current root secret for one that is there under a retired one. Answers `Noted`.
    Redigest { old: Digest, new: Digest },
    /// The record. Answers `Record` or `Absent`.
    Read,
    /// A change of status by a key that holds the scopes `held`. Answers `Changed`, `Refused`, `Forbidden` or `Absent`.
    Change { change: Change, by: Actor, held: Vec<Scope> },
    /// A change of the record. Answers as `Change`, or `Invalid`.
    Patch { body: Value, by: Actor, held: Vec<Scope> },
    /// A rotation to the secret with this digest. Answers as `Change`, or `Repeated`.
    Rotate { terms: Terms, digest: Digest, asked_as: Option<Asked>, by: Actor, held: Vec<Scope> },
    /// The rotation with its evidence. Answers `Rotation`, `Refused` or `Absent`.
    Rotation,
    /// The end of the rotation. Answers as `Change`.
    EndRotation { ending: Ending, force: bool, by: Actor, held: Vec<Scope> },
    /// What the last change comes to. Answers `Changed` or `Absent`.
    Settled,
}

/// What is to be judged of a caller.
#[derive(Clone, Serialize, Deserialize)]
pub struct Question {
    /// The digests of what was presented, under every root secret that the edge has.
    pub presented: Vec<Digest>,
    pub address: Option<IpAddr>,
    pub country: Option<String>,
    pub origin: Option<String>,
    pub needed: Vec<String>,
}

/// From the object that owns a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromKey {
    /// The stored key, if there is one.
    Lease {
        key: Option<Box<StoredKey>>,
        #[serde(default)]
        verdict: Option<Verdict>,
    },
    Noted,
    Record {
        record: Box<Record>,
        #[serde(default)]
        secrets: Vec<ShownSecret>,
    },
    Changed(Box<Changed>),
    Rotation(Box<RotationShown>),
    /// The very request was carried out before.
    Repeated(Box<RotationShown>),
    Refused {
        refusal: Refusal,
        #[serde(default)]
        rotation: Option<Box<RotationShown>>,
    },
    Forbidden {
        scope: Scope,
    },
    Invalid {
        field: String,
        problem: String,
    },
    /// Another key has that id; or the idempotency key was used for something else.
    Taken,
    Absent,
}

/// The authority's own verdict.
#[derive(Serialize, Deserialize)]
pub struct Verdict {
    /// Name of a [`keyward::verify::Code`].
    pub code: String,
    /// Position of the secret that matched.
    pub secret: Option<usize>,
}

/// A key after a change.
#[derive(Serialize, Deserialize)]
pub struct Changed {
    pub record: Record,
    pub secrets: Vec<ShownSecret>,
    pub settled: Settled,
    pub rotation: Option<RotationShown>,
    /// The head of the log once this change stood in it; none where it is still on its way.
    pub log_head: Option<String>,
}

/// A rotation with what is known of its two secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct RotationShown {
    pub rotation: Rotation,
    pub secrets: Vec<ShownSecret>,
    pub seen: Use,
    /// Numbers of the secrets that were seen within the quiet time.
    pub in_use: Vec<u32>,
}

/// To the object that knows all keys of the project.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToProject {
    /// Events of one key's object, in the order of their numbers. Answers `Done`. Sent by version 0.1 only.
    Events { events: Vec<(u64, Event)> },
    /// Events of one key's object, in the order of their numbers; those met before are skipped. Answers `Delivered`.
    Deliver { events: Vec<(u64, Event)> },
    /// Whether the first management key may be adopted. Answers `Adoption`.
    Adopt { id: String },
    /// What index and log know of a key. Answers `Standing`.
    Standing { id: String },
    /// Whether a request is new under its idempotency key, and the id that it is for. Answers `Claim`.
    Claim { asked: Asked, id: String },
    /// A page of the index, newest first, from before `before`. Answers `Page`.
    List {
        limit: u32,
        before: Option<u64>,
        #[serde(default)]
        filter: Filter,
    },
    /// A page of the log, newest first, from before `before`. Answers `Page`.
    Log { limit: u32, before: Option<u64> },
    /// Whether the log is whole, and reaches these heads. Answers `Checked`.
    CheckLog { heads: Vec<String> },
    /// Rows of the log as they are exported, oldest first, from after `after`. Answers `Export`.
    Export { after: u64, limit: u32 },
    /// Findings of a page of keys, newest first. Answers `Page`.
    KeySafety { limit: u32, before: Option<u64> },
    /// How many keys need each root secret. Answers `Roots`.
    Roots,
    /// The routes, unless they are still those of version `known`. Answers `Routes`.
    Routes { known: Option<u64> },
    /// A route under a name, in the place of the one that has it, if one has; `own` are hosts of this deployment. Answers `Route`
    /// or `RouteRefused`.
    PutRoute { name: String, body: Value, own: Vec<String>, by: Actor },
    /// The end of a route. Answers `Route`, `NoRoute`.
    DeleteRoute { name: String, by: Actor },
    /// A change of a route's secrets. Answers `Route`, `NoRoute` or `RouteRefused`.
    ChangeSlot { name: String, change: SlotChange, by: Actor },
}

/// A change of a route's secrets.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotChange {
    /// A secret for a slot, if one is given, for a route that leads to this origin; a share of the calls for `next`, if one is.
    Set { slot: Slot, held: Option<Held>, origin: String, weight: Option<u8> },
    /// The secret of this number leaves its slot.
    Retire { slot: Slot, number: u32 },
}

/// A route as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredRoute {
    pub name: String,
    /// As [`keyward::route::Route::shown`] writes it.
    pub body: Value,
    pub made_at: Instant,
    pub updated_at: Instant,
    /// Of all routes together: no two states of any have the same.
    pub version: u64,
    pub slots: Slots,
}

/// Which keys a list holds. Absent does not restrict.
#[derive(Default, Serialize, Deserialize)]
pub struct Filter {
    pub owner: Option<String>,
    /// How the name begins, in any case.
    pub search: Option<String>,
    pub environment: Option<String>,
    pub status: Option<String>,
}

/// From the object that knows all keys of the project.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromProject {
    Done,
    Delivered {
        head: String,
    },
    Adoption {
        allowed: bool,
    },
    /// The record as the index has it, and the number of the last event that was taken.
    Standing {
        record: Option<Box<Record>>,
        #[serde(default)]
        number: u64,
    },
    /// The id that the idempotency key stands for, and whether the request is the one it was first used for.
    Claim {
        id: String,
        same: bool,
    },
    /// Rows, and where the next page begins.
    Page {
        rows: Vec<Value>,
        next: Option<u64>,
    },
    Checked {
        report: Value,
    },
    Export {
        lines: String,
        last: u64,
        head: String,
    },
    /// Keys by the name of the root secret that a digest of theirs needs, and the newest row of the log by its own.
    Roots {
        keys: Vec<(String, u64)>,
        log: Option<String>,
        /// Upstream secrets by the root secret that opens them.
        #[serde(default)]
        sealed: Vec<(String, u64)>,
    },
    /// All routes, or none where they have not changed.
    Routes {
        version: u64,
        routes: Option<Vec<StoredRoute>>,
    },
    /// A route after a change.
    Route {
        route: Box<StoredRoute>,
    },
    NoRoute,
    RouteRefused {
        field: String,
        problem: String,
    },
}

/// To the object that counts the calls of a route.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToRoute {
    /// One call: from what is left of a session, and from limits. All of it is taken or nothing. Answers `Spent`, `Over` or
    /// `Limited`.
    Spend { session: Option<SessionSpend>, charges: Vec<Spend>, by: String },
    /// What an edge saw of the upstream's secrets. Answers `Noted`.
    Note { used: Vec<SlotUse> },
    /// What is known of secrets and of what was stopped. Answers `Use`.
    Use,
}

/// A call of a session.
#[derive(Serialize, Deserialize)]
pub struct SessionSpend {
    pub id: String,
    pub calls: u32,
    pub ends_at: Instant,
}

/// A call that is taken from a limit.
#[derive(Serialize, Deserialize)]
pub struct Spend {
    pub bucket: String,
    pub limit: Limit,
    /// Kind and subject of the anomaly that passing it is, where it is one.
    pub anomaly: Option<(String, String)>,
}

/// From the object that counts the calls of a route.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromRoute {
    /// The call may go on; so many are left of the session.
    Spent {
        left: Option<u32>,
    },
    /// The session has no calls left.
    Over,
    /// This one of the limits is passed; when a call may come again.
    Limited {
        position: usize,
        retry_ms: i64,
    },
    Noted,
    Use {
        used: Vec<SlotUse>,
        anomalies: Vec<Value>,
    },
}
