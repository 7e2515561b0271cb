//! What is said to the Durable Objects and what they answer: JSON, so that two versions of the Worker during a rollout
//! read each other. Variants and fields are added, never changed.

use keyward::allowance::{Denied, Left, Returned, Slice};
use keyward::evidence::Use;
use keyward::idempotency::Asked;
use keyward::life::{Actor, Change, Event, Refusal, Settled};
use keyward::limit::Limit;
use keyward::record::{Record, ShownSecret, StoredKey};
use keyward::root::Digest;
use keyward::rotation::{Ending, Rotation, Terms};
use keyward::scope::Scope;
use keyward::seal::Sealed;
use keyward::slots::{Held, Slot, SlotUse, Slots};
use keyward::time::Instant;
use keyward::usage::{Call, Led, Tally, Usage};
use keyward::webhook::{self, Webhook};
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
    Ask {
        question: Option<Question>,
        strict: bool,
        report: Option<Use>,
        #[serde(default)]
        usage: Usage,
    },
    /// What an edge saw, and slices that it spends no more. Answers `Noted`.
    Report {
        report: Use,
        #[serde(default)]
        returned: Vec<Returned>,
        #[serde(default)]
        usage: Usage,
    },
    /// Counts of the hours from `from` to before `to`, by day where `daily`. Answers `Usage`.
    Usage { from: i64, to: i64, daily: bool },
    /// Delivery reports. Answers `Noted`.
    Outcomes { delivered: u64, bounced: u64 },
    /// What was found unusual, the newest first. Answers `Anomalies`.
    Anomalies { limit: u32 },
    /// The last calls, the newest first, of all secrets. Answers `Calls`.
    Calls { limit: u32 },
    /// A slice of the key's limits, for a call that costs so much. Answers `Drawn` or `Absent`.
    Draw { returned: Vec<Returned>, cost: u64, wanted: u64 },
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
    /// Texts that were found in the open and may be this key's. Answers `Leaked` or `Absent`.
    Leaked { found: Vec<Found>, by: Actor },
    /// How the key was used since, or since the secret of that number, or else the current one, was made. Answers `Evidence` or
    /// `Absent`.
    Evidence { since: Option<Instant>, secret: Option<u32> },
}

/// A text that was found in the open.
#[derive(Clone, Serialize, Deserialize)]
pub struct Found {
    /// Its digests, under every root secret that the edge has.
    pub presented: Vec<Digest>,
    pub brand: String,
    pub environment: String,
    pub sightings: Vec<Value>,
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
    /// What the call costs, where it is charged with the authority's own verdict.
    #[serde(default)]
    pub cost: Option<u64>,
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
    Usage {
        tallies: Vec<Tally>,
        #[serde(default)]
        led: Vec<Led>,
    },
    Calls {
        calls: Vec<Call>,
    },
    Anomalies {
        found: Vec<Value>,
    },
    /// A slice, or why there is none; what is left.
    Drawn {
        slice: Option<Slice>,
        denied: Option<Denied>,
        left: Vec<Left>,
    },
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
    /// Of each text that was found `{action, incident_id}`, the latter none where the secret had ended before it was first
    /// reported; none where the text is not this key's.
    Leaked {
        leaks: Vec<Value>,
    },
    Evidence {
        secret: u32,
        since: Instant,
        evidence: Value,
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
    /// The limit that is passed, where one is.
    #[serde(default)]
    pub denied: Option<Denied>,
    #[serde(default)]
    pub left: Vec<Left>,
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
    /// Something that is no key's, for the webhooks. Answers `Done`.
    Announce { kind: String, data: Value },
    /// Calls of a key on some days (counted from 1970): all, and those that were refused. Answers `Done`.
    Tell { id: String, days: Vec<(i64, u64, u64)> },
    /// Calls of all keys since a day. Answers `Overview`.
    Overview { since: i64 },
    /// What `/metrics` tells. Answers `Metrics`.
    Metrics,
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
    /// All webhooks. Answers `Webhooks`.
    Webhooks,
    /// A webhook under a name, in the place of the one that has it, if one has. `sealed` is its secret, where it is new or leads to
    /// another origin than before. Answers `Webhook` or `WebhookRefused`.
    PutWebhook { name: String, body: Webhook, sealed: Sealed, by: Actor },
    /// The end of a webhook. Answers `Webhook`, `NoWebhook`.
    DeleteWebhook { name: String, by: Actor },
    /// A new secret for a webhook that leads to this origin. Answers `Webhook`, `NoWebhook` or `WebhookRefused`.
    RotateWebhook { name: String, origin: String, sealed: Sealed, by: Actor },
    /// The receiver of a webhook, as it was written at `updated_at`, wants no more. Answers `Done`.
    StopWebhook { name: String, made_at: Instant, updated_at: Instant },
    /// The webhook as it is, and the news after this position, or after those that are older than it; none while it is not active.
    /// Answers `News`.
    News { name: String, made_at: Instant, after: Option<u64>, limit: u32 },
    /// A page of the incidents, newest first, from before `before`. Answers `Page`.
    Incidents { limit: u32, before: Option<u64>, key_id: Option<String>, status: Option<String> },
    /// One incident, after this change if there is one, as it is shown, or as Markdown. Answers `Incident` or `IncidentRefused`.
    Incident { id: String, change: Option<Value>, markdown: bool, by: Actor },
    /// An answer to the leak of a secret of a key ([`keyward::incident::Response::told`]), which opens an incident or goes on with
    /// one. Answers `Incident`.
    Respond { response: Value, by: Actor },
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

/// A webhook as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredWebhook {
    pub name: String,
    pub body: Webhook,
    /// With the name, what its object is named by.
    pub made_at: Instant,
    pub updated_at: Instant,
    /// Position of the last news that are older than it.
    pub after: u64,
    /// Whether its receiver answered that it wants no more.
    #[serde(default)]
    pub gone: bool,
    /// The newest first.
    pub secrets: Vec<webhook::Held>,
}

impl StoredWebhook {
    /// Name of the object that delivers for it: one that is made anew under its name begins with nothing.
    pub fn object(&self) -> String {
        format!("{}@{}", self.name, self.made_at.millis())
    }
}

/// Something that happened, as receivers are told of it.
#[derive(Serialize, Deserialize)]
pub struct News {
    pub position: u64,
    /// Of whom it tells: of one key, in this order.
    pub key: String,
    pub kind: String,
    /// When it was taken in.
    pub at: Instant,
    /// The body of the message.
    pub body: String,
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
    /// Calls by day, and of the busiest keys.
    Overview {
        days: Vec<Value>,
        keys: Vec<Value>,
    },
    /// Keys by environment and status; calls of today, all and refused; rows of the log; routes.
    Metrics {
        keys: Vec<(String, String, u64)>,
        calls: u64,
        refused: u64,
        rows: u64,
        routes: u64,
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
    Webhooks {
        webhooks: Vec<StoredWebhook>,
    },
    /// A webhook after a change, and whether the secret that came with the change is its own now.
    Webhook {
        webhook: Box<StoredWebhook>,
        fresh: bool,
    },
    NoWebhook,
    WebhookRefused {
        field: String,
        problem: String,
    },
    /// An incident as it is shown, or its Markdown; none where there is no such.
    Incident {
        incident: Option<Value>,
    },
    IncidentRefused {
        field: String,
        problem: String,
    },
    /// No webhook: it was deleted, or another one has its name.
    News {
        webhook: Option<Box<StoredWebhook>>,
        news: Vec<News>,
    },
}

/// To the object that delivers for a webhook, which learns from any message whose it is.
#[derive(Serialize, Deserialize)]
pub struct ToWebhook {
    pub name: String,
    pub made_at: Instant,
    pub what: AskedOfWebhook,
}

/// What is asked of the object that delivers for a webhook.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedOfWebhook {
    /// There may be news, or the webhook was changed. Answers `Noted`.
    Look,
    /// Where it stands. Answers `State`.
    State,
    /// A page of its attempts, newest first, from before `before`. Answers `Attempts`.
    Attempts { limit: u32, before: Option<u64> },
    /// Send this one again. Answers `Queued`.
    Replay { event_id: String },
    /// Send again what was given up of what happened since. Answers `Queued`.
    ReplaySince { since: Instant },
    /// Send a test with this body. Answers `Tested`.
    Test { body: String },
}

/// From the object that delivers for a webhook.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWebhook {
    Noted,
    State { state: Value },
    Attempts { rows: Vec<Value>, next: Option<u64> },
    Queued { count: u64 },
    Tested { event_id: String },
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
        /// The anomaly that this is, where it is news.
        #[serde(default)]
        news: Option<Value>,
    },
    Noted,
    Use {
        used: Vec<SlotUse>,
        anomalies: Vec<Value>,
    },
}
