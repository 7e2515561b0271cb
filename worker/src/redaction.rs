//! The core's redaction, as the runtime's streams call it.

use keyward::redact::{Echoes, Stream};
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// What removes echoes of a route's secrets.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Redaction(Rc<Echoes>);

impl Redaction {
    pub fn new(secrets: &[&str]) -> Self {
        Self(Rc::new(Echoes::new(secrets)))
    }
}

#[wasm_bindgen]
impl Redaction {
    /// The text of a header without echoes; `undefined` where it has none.
    pub fn text(&self, text: &str) -> Option<String> {
        self.0.in_text(text)
    }

    /// A whole body without echoes; `undefined` where it has none.
    pub fn whole(&self, body: &[u8]) -> Option<Vec<u8>> {
        self.0.in_whole(body)
    }

    /// For one body that comes in chunks.
    pub fn stream(&self) -> RedactionStream {
        RedactionStream { echoes: self.0.clone(), stream: self.0.stream() }
    }
}

/// What removes echoes from one body.
#[wasm_bindgen]
pub struct RedactionStream {
    echoes: Rc<Echoes>,
    stream: Stream,
}

#[wasm_bindgen]
impl RedactionStream {
    /// What may go on of what has come.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.stream.push(&self.echoes, chunk).into_owned()
    }

    /// The rest.
    pub fn end(&mut self) -> Vec<u8> {
        self.stream.end(&self.echoes)
    }
}
