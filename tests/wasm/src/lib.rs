//! The harness of `tests/vectors`, exported to JavaScript one vector at a time: `tests/wasm/run.test.mjs` enumerates the
//! files, since WebAssembly sees none.
#![forbid(unsafe_code)]

#[path = "../../vectors/harness.rs"]
mod harness;

use wasm_bindgen::prelude::*;

/// Runs the vector `json` from the file `name` (`parse/length-empty.json`): `null`, or what is wrong.
#[wasm_bindgen(js_name = runVector)]
pub fn run_vector(name: &str, json: &str) -> JsValue {
    harness::run(name, json).map_or_else(JsValue::from, |()| JsValue::NULL)
}

/// Every operation that a vector may name.
#[wasm_bindgen]
pub fn operations() -> Vec<String> {
    harness::OPERATIONS.map(str::to_owned).to_vec()
}
