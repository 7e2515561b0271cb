//! What is called on the runtime directly, because the `worker` crate's conversions cost more than the cryptography or
//! do not exist: requests read in place, responses from prepared parts, RPC to Durable Objects, synchronous
//! transactions. `host.js` holds the few lines that are one crossing in JavaScript and several from here.

use crate::read::read;
use js_sys::{JsString, Promise};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::pin::Pin;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

#[wasm_bindgen]
extern "C" {
    /// A WHATWG `Request`.
    pub type Request;
    #[wasm_bindgen(method, getter)]
    pub fn url(this: &Request) -> String;
    #[wasm_bindgen(method, getter)]
    pub fn method(this: &Request) -> String;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &Request) -> Headers;

    #[wasm_bindgen(method, getter)]
    fn body(this: &Request) -> JsValue;

    type Headers;
    #[wasm_bindgen(method)]
    fn get(this: &Headers, name: &JsString) -> Option<String>;
    #[wasm_bindgen(method, js_name = get)]
    fn get_named(this: &Headers, name: &str) -> Option<String>;

    /// The clock of the runtime: milliseconds since the epoch. Stands still while code runs without I/O.
    #[wasm_bindgen(js_namespace = Date)]
    fn now() -> f64;

    /// A Durable Object's storage.
    pub type Transactional;
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Transactional,
        callback: &mut dyn FnMut() -> Result<JsValue, JsValue>,
    ) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen(module = "/src/host.js")]
extern "C" {
    /// A promise of the body, as [`Body::of`] reads it.
    #[wasm_bindgen(js_name = readBodyWithin)]
    fn body_promise(request: &Request, most: u32, patience: u32) -> Promise;
    /// A promise of what `answer(request, body)` answers, where the body is as [`Body::of`] reads it.
    #[wasm_bindgen(js_name = withBody)]
    pub fn with_body(request: &Request, most: u32, answer: &JsValue) -> JsValue;
    /// `{status, headers}` with a place for the request id, from pairs of header names and values.
    #[wasm_bindgen(js_name = prepare)]
    pub fn prepare(status: u16, headers: Vec<String>) -> JsValue;
    /// A response from prepared parts, under the id of the request with this number.
    #[wasm_bindgen(js_name = respond)]
    pub fn respond(prepared: &JsValue, number: u32, body: Option<&str>) -> JsValue;
    /// How the request ids of this isolate begin.
    #[wasm_bindgen(js_name = setPrefix)]
    pub fn set_prefix(prefix: &str);
    /// The static asset that a request names, or `undefined`.
    #[wasm_bindgen(js_name = asset)]
    fn asset_promise(env: &JsValue, request: &Request) -> Promise;
    #[wasm_bindgen(js_name = assetText)]
    fn asset_text_promise(env: &JsValue, request: &Request) -> Promise;
    #[wasm_bindgen(catch, js_name = ask)]
    fn ask_promise(env: &JsValue, namespace: &str, name: &str, message: &str, most: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_name = background)]
    fn background_promise(work: &Promise);
    #[wasm_bindgen(js_name = analyse)]
    fn analyse_row(env: &JsValue, index: &str, outcome: &str, route: &str, country: &str, calls: f64);
    #[wasm_bindgen(js_name = pause)]
    pub fn pause_promise(milliseconds: u32) -> Promise;
    /// What the platform says of the client: `[address, country]`.
    #[wasm_bindgen(js_name = client)]
    pub fn client(request: &Request) -> Vec<JsValue>;
    /// Whether there is a `Keyward-Proxy`.
    #[wasm_bindgen(js_name = isProxied)]
    pub fn is_proxied(request: &Request) -> bool;
}

// Names of the request headers that are read, made once.
thread_local! {
    static AUTHORIZATION: JsString = JsString::from("authorization");
    static ORIGIN: JsString = JsString::from("origin");
    static CACHE_CONTROL: JsString = JsString::from("cache-control");
    static COOKIE: JsString = JsString::from("cookie");
    static IDEMPOTENCY_KEY: JsString = JsString::from("idempotency-key");
    static KEYWARD_PROXY: JsString = JsString::from("keyward-proxy");
    static X_FORWARDED_FOR: JsString = JsString::from("x-forwarded-for");
}

/// Request headers that keyward reads.
#[derive(Clone, Copy)]
pub enum Header {
    Authorization,
    Origin,
    CacheControl,
    Cookie,
    IdempotencyKey,
    KeywardProxy,
    XForwardedFor,
}

impl Request {
    /// The value of a header; several of one name arrive joined by `, `.
    pub fn header(&self, header: Header) -> Option<String> {
        let headers = self.headers();
        match header {
            Header::Authorization => AUTHORIZATION.with(|name| headers.get(name)),
            Header::Origin => ORIGIN.with(|name| headers.get(name)),
            Header::CacheControl => CACHE_CONTROL.with(|name| headers.get(name)),
            Header::Cookie => COOKIE.with(|name| headers.get(name)),
            Header::IdempotencyKey => IDEMPOTENCY_KEY.with(|name| headers.get(name)),
            Header::KeywardProxy => KEYWARD_PROXY.with(|name| headers.get(name)),
            Header::XForwardedFor => X_FORWARDED_FOR.with(|name| headers.get(name)),
        }
    }

    /// As [`Request::header`], for headers that few requests have.
    pub fn named(&self, name: &str) -> Option<String> {
        self.headers().get_named(name)
    }

    /// Whether there is a body, empty or not.
    pub fn has_body(&self) -> bool {
        !self.body().is_null()
    }

    /// The body, if it has at most `most` bytes and is there within so many milliseconds.
    pub async fn text(&self, most: u32, patience: u32) -> Body {
        Body::of(&JsFuture::from(body_promise(self, most, patience)).await.unwrap_or(JsValue::NULL))
    }
}

/// A body that was read, or why it was not.
pub enum Body {
    /// All of it.
    Text(String),
    /// It has more bytes than were asked for.
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// It ended before it was whole.
    Broken,
    /// It did not come in time.
    Late,
}

impl Body {
    /// As `host.js` hands it over: a string, `undefined`, `false`, `null`, `true`.
    pub fn of(value: &JsValue) -> Self {
        match value.as_string() {
            Some(text) => Self::Text(text),
            None if value.is_undefined() => Self::TooLong,
            None if value.is_truthy() => Self::Late,
            None if value.is_falsy() && !value.is_null() => Self::NotText,
            None => Self::Broken,
        }
    }
}

/// The namespaces of Durable Objects that the Worker is bound to.
#[derive(Clone, Copy)]
pub enum Namespace {
    Keys,
    Project,
    Routes,
    Webhooks,
}

/// How long an object is waited for, in milliseconds. Then the verdict is `UNAVAILABLE`: closed, never open.
pub const PATIENCE_MS: u32 = 2_000;

/// Sends a message to an object and awaits the reply, within [`PATIENCE_MS`].
pub async fn ask<T: Serialize, R: DeserializeOwned>(
    env: &JsValue,
    namespace: Namespace,
    name: &str,
    message: &T,
) -> Result<R, JsValue> {
    ask_within(PATIENCE_MS, env, namespace, name, message).await
}

/// Sends a message to an object and awaits the reply for at most so many milliseconds.
pub async fn ask_within<T: Serialize, R: DeserializeOwned>(
    patience: u32,
    env: &JsValue,
    namespace: Namespace,
    name: &str,
    message: &T,
) -> Result<R, JsValue> {
    let unreadable = |error: &dyn Display| JsValue::from_str(&error.to_string());
    let message = serde_json::to_string(message).map_err(|error| unreadable(&error))?;
    let reply = exchange(patience, env, namespace, name, message).await?;
    read(&reply).map_err(|error| unreadable(&error))
}

/// What is the same whatever is said, boxed so that it is compiled once.
fn exchange<'a>(
    patience: u32,
    env: &'a JsValue,
    namespace: Namespace,
    name: &'a str,
    message: String,
) -> Pin<Box<dyn Future<Output = Result<String, JsValue>> + 'a>> {
    let binding = match namespace {
        Namespace::Keys => "KEYS",
        Namespace::Project => "PROJECT",
        Namespace::Routes => "ROUTES",
        Namespace::Webhooks => "WEBHOOKS",
    };
    Box::pin(async move {
        let reply = JsFuture::from(ask_promise(env, binding, name, &message, patience)?).await?;
        reply.as_string().ok_or_else(|| JsValue::from_str("the object answered no text"))
    })
}

/// A promise of what comes of `work`: boxed, since what drives a future is compiled once more for each type of them.
pub fn promise(work: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>) -> Promise {
    future_to_promise(work)
}

/// Does `work` beside the request, and after its end.
pub fn background(work: impl Future<Output = ()> + 'static) {
    background_promise(&promise(Box::pin(async move {
        work.await;
        Ok(JsValue::UNDEFINED)
    })));
}

/// Writes a row to Workers Analytics Engine, where the deployment is bound to a data set of it: index the key's id, blobs
/// outcome, way and country, double the calls. What becomes of it is nobody's answer: the counts that are told are stored here.
pub fn analyse(env: &JsValue, index: &str, [outcome, route, country]: [&str; 3], calls: u64) {
    analyse_row(env, index, outcome, route, country, calls as f64);
}

/// Waits.
pub async fn pause(milliseconds: u32) {
    // A pause that is cut short is no harm: whoever waits looks at the clock.
    let _ = JsFuture::from(pause_promise(milliseconds)).await;
}

impl Transactional {
    /// Runs `write` in one transaction: all of it is stored or, where it fails or panics, none.
    pub fn transact(&self, mut write: impl FnMut() -> Result<(), JsValue>) -> Result<(), JsValue> {
        self.transaction_sync(&mut || write().map(|()| JsValue::UNDEFINED)).map(|_| ())
    }
}

/// The static asset that a request names, if the deployment has assets and one of that name.
pub async fn asset(env: &JsValue, request: &Request) -> Option<JsValue> {
    let found = JsFuture::from(asset_promise(env, request)).await.ok()?;
    (!found.is_undefined()).then_some(found)
}

/// The text of the static asset that a request names.
pub async fn asset_text(env: &JsValue, request: &Request) -> Option<String> {
    JsFuture::from(asset_text_promise(env, request)).await.ok()?.as_string()
}

/// The instant by the runtime's clock.
pub fn clock() -> keyward::time::Instant {
    keyward::time::Instant::from_millis(now() as i64)
}
