//! The JavaScript face of the scanner: bytes are written straight into the memory that is scanned, findings come back as JSON.

use crate::scan::export::{Format, rule};
use crate::scan::{Report, Scanner, Stream};
use wasm_bindgen::prelude::*;

/// A scanner, and the text that it reads.
#[wasm_bindgen]
pub struct LeakScanner {
    scanner: &'static Scanner,
    stream: Option<Stream<'static>>,
}

#[wasm_bindgen]
impl LeakScanner {
    /// As [`Scanner::new`]. Lives as long as its instance.
    #[wasm_bindgen(constructor)]
    pub fn new(brands: Vec<String>, keep: bool) -> Self {
        Self { scanner: Box::leak(Box::new(Scanner::new(&brands, keep))), stream: None }
    }

    /// Begins a text; one that was begun and not ended is forgotten.
    pub fn begin(&mut self, path: &str) {
        self.stream = Some(self.scanner.stream(path));
    }

    /// Address of the room for the next bytes; what was told before is no longer true.
    pub fn room(&mut self) -> usize {
        self.stream.as_mut().map_or(0, |stream| stream.room().as_ptr() as usize)
    }

    /// Bytes of that room.
    #[wasm_bindgen(js_name = roomLength)]
    pub fn room_length(&mut self) -> usize {
        self.stream.as_mut().map_or(0, |stream| stream.room().len())
    }

    /// Takes so many bytes that were written there. `false`: it is no text, and is forgotten.
    pub fn take(&mut self, count: usize) -> bool {
        let text = self.stream.as_mut().is_some_and(|stream| stream.take(count).is_ok());
        if !text {
            self.stream = None;
        }
        text
    }

    /// The report as JSON, `undefined` where nothing was found, and `null` where it is no text.
    pub fn end(&mut self) -> JsValue {
        match self.stream.take().map(Stream::end) {
            Some(Ok(Report { findings, allowed: 0, .. })) if findings.is_empty() => JsValue::UNDEFINED,
            Some(Ok(report)) => serde_json::to_string(&report).map_or(JsValue::NULL, |json| JsValue::from_str(&json)),
            Some(Err(_)) | None => JsValue::NULL,
        }
    }
}

/// A rule for another scanner: `gitleaks` or `trufflehog`. Throws a sentence.
#[wasm_bindgen(js_name = exportRule)]
pub fn export_rule(format: &str, brand: &str) -> Result<String, JsValue> {
    Format::named(format).and_then(|format| rule(format, brand)).map_err(|error| JsValue::from_str(&error.to_string()))
}
