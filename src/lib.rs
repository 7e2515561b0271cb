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
//! | [`draft`] | whether a request to create a key is sound, and the record it makes |
//! | [`record`], [`life`] | what is stored of a key; which changes of status are allowed |
//! | [`verify`] | the verdict |
//! | [`edge`] | what an edge may remember, and for how long |
//!
//! The format is specified in `tests/vectors/SPEC.md`.
#![forbid(unsafe_code)]

mod base62;
pub mod crypto;
pub mod draft;
pub mod edge;
pub mod error;
pub mod fields;
mod id_map;
pub mod key;
pub mod life;
pub mod network;
pub mod record;
pub mod root;
pub mod scope;
pub mod time;
pub mod verify;

#[cfg(feature = "js")]
pub mod js;
