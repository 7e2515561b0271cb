//! API keys that never reach a browser, verified at the edge, revoked with a receipt: the core.
//!
//! Values in, values out. Nothing here is async, reads a clock, keeps a store, draws its own randomness or knows a host:
//! `now`, the random source and the record are arguments. The Worker (`worker/`) and the npm package (`src/js`, feature
//! `js`) are rims around these decisions:
//!
//! | module | decides |
//! |---|---|
//! | [`key`] | what a key text is: parse, generate, tag, check digits, redact |
//! | [`root`] | which subkeys come from the root secret; what a secret's digest is |
//! | [`scope`], [`network`] | what a scope grants; which addresses, countries and origins match |
//! | [`draft`] | whether a request to create or change a key is sound, and the record it makes |
//! | [`foreign`] | keys of other systems, known by their SHA-256 |
//! | [`record`], [`life`] | what is stored of a key; which changes are allowed, and what is told of them |
//! | [`rotation`], [`evidence`] | how a secret is replaced, and on what is known of its use |
//! | [`verify`] | the verdict |
//! | [`lease`], [`edge`] | how long an edge may go on with what it was told; from when a change holds everywhere |
//! | [`audit`] | the log that shows when it was altered |
//! | [`safety`] | what is unsafe about a key, and the request that mends it |
//! | [`route`], [`target`], [`upstream`] | what a relayed call may ask for, where it goes, what passes in either direction |
//! | [`session`], [`limit`], [`numbers`] | what a browser may call, how often, and to which phone numbers |
//! | [`redact`] | what of an upstream's answer is an echo of its secret, and goes no further |
//! | [`seal`], [`slots`] | upstream secrets at rest, and how one takes the place of another |
//! | `scan` (feature `scan`) | what of a text is a credential, and how sure that is |
//! | [`webhook`] | who is told of events, how a message is signed, when it is tried again |
//! | [`idempotency`] | when a creation was asked for before |
//! | [`leak`], [`incident`] | who may report a leak, and what is done about it; what is kept of one, and what remains to be done |
//! | [`anomaly`] | what is unusual about the use of a key, and when to look at one that is silent |
//!
//! The format is specified in `tests/vectors/SPEC.md`.
#![forbid(unsafe_code)]

pub mod allowance;
pub mod anomaly;
pub mod audit;
mod base62;
pub mod crypto;
pub mod draft;
pub mod edge;
pub mod error;
pub mod evidence;
pub mod fields;
pub mod foreign;
mod id_map;
pub mod idempotency;
pub mod incident;
pub mod key;
pub mod leak;
pub mod lease;
pub mod life;
pub mod limit;
pub mod network;
pub mod notices;
pub mod numbers;
pub mod record;
pub mod redact;
pub mod root;
pub mod rotation;
pub mod route;
pub mod safety;
#[cfg(feature = "scan")]
pub mod scan;
pub mod scope;
pub mod seal;
pub mod session;
pub mod slots;
pub mod target;
pub mod time;
pub mod upstream;
pub mod usage;
pub mod verify;
pub mod webhook;

#[cfg(feature = "js")]
pub mod js;
#[cfg(feature = "playground-js")]
#[path = "js/playground.rs"]
pub mod playground;
#[cfg(feature = "scan-js")]
#[path = "js/scanner.rs"]
pub mod scanner;
