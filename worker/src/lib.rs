//! keyward on Cloudflare Workers. The only place that knows Cloudflare: it reads requests, asks the core, writes.
//!
//! | module | does |
//! |---|---|
//! | [`request`], [`response`] | the request as far as keyward looks at it; answers and problem documents |
//! | [`config`] | the deployment's bindings, read once for each isolate |
//! | [`edge`] | verification from leases; asking the authority on a miss |
//! | [`api`], [`openapi`] | the table of endpoints, and the document that is written from it |
//! | [`authorize`], [`verdict`] | the two hot ones |
//! | [`keys`], [`rotations`], [`import`], [`reports`] | the others |
//! | [`relay`], [`sessions`] | calls to routes; who may begin them from a browser |
//! | [`routes`], [`route_table`] | the endpoints about routes; the routes as an edge holds them |
//! | [`webhooks`] | the endpoints about webhooks |
//! | [`leaks`], [`incidents`] | the endpoints that are told of leaks; the answer to one, and what remains to be done |
//! | [`key_object`], [`project_object`], [`route_object`], [`webhook_object`] | the Durable Objects; [`messages`] is what is said to them |
//!
//! `entry.js` is the module that the runtime loads; it holds what cannot be said from wasm.
#![forbid(unsafe_code)]
// Everything here is reached through the exports of `entry.js`; none of it is a library's API.
#![allow(unreachable_pub, missing_docs)]

mod api;
mod authorize;
mod config;
mod edge;
#[cfg(feature = "fault-injection")]
mod faults;
mod host;
mod import;
mod incidents;
mod key_leak;
mod key_object;
mod key_usage;
mod key_watch;
mod keys;
mod leaks;
mod messages;
pub mod openapi;
mod outbox;
mod project_incidents;
mod project_object;
mod project_routes;
mod project_webhooks;
mod read;
mod redaction;
mod relay;
mod reports;
mod request;
mod response;
mod rotations;
mod route_object;
mod route_table;
mod routes;
mod sessions;
mod storage;
mod usage;
mod verdict;
mod webhook_object;
mod webhooks;

use crate::edge::Isolate;
use crate::request::Request;
use wasm_bindgen::prelude::*;

/// Answers a request: with a `Response` at once where nothing has to be waited for, else with a promise of one, else
/// (`undefined`) with nothing, where the path is none of keyward's.
#[wasm_bindgen]
pub fn fetch(request: host::Request, env: JsValue) -> JsValue {
    let request = Request::new(request);
    match Isolate::get(&env) {
        Err(problem) => config::unconfigured(&request, &problem),
        Ok(isolate) => api::route(isolate, request),
    }
}
