//! Reading a JSON object field by field, so that each refusal names its field and its bound. Unknown fields are refused:
//! a restriction that was misspelt must not be silently absent.

use crate::error::Invalid;
use crate::key::holds_key;
use crate::time::Instant;
use serde_json::{Map, Value};

/// The fields of one object, taken one at a time.
pub struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    /// Takes the fields of a JSON object.
    ///
    /// # Errors
    /// [`Invalid`] for any other JSON value.
    pub fn of(value: Value) -> Result<Self, Invalid> {
        match value {
            Value::Object(map) => Ok(Self { map }),
            _ => Err(Invalid::new("", "the body must be a JSON object")),
        }
    }

    /// Takes a field; `null` counts as absent.
    fn take(&mut self, field: &str) -> Option<Value> {
        self.map.remove(field).filter(|value| !value.is_null())
    }

    /// An optional line of text of 1 to `most` characters, without control characters (they forge log lines and headers) and without a whole key.
    ///
    /// # Errors
    /// [`Invalid`] naming the bound.
    pub fn line(&mut self, field: &str, most: usize) -> Result<Option<String>, Invalid> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => {
                check_line(field, &text, most)?;
                Ok(Some(text))
            }
            Some(_) => Err(Invalid::new(field, "must be a string")),
        }
    }

    /// A required text of whatever length and content: one that is neither stored nor shown.
    ///
    /// # Errors
    /// [`Invalid`] where it is absent or no string.
    pub fn required_text(&mut self, field: &str) -> Result<String, Invalid> {
        match self.take(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Invalid::new(field, "must be a string")),
            None => Err(Invalid::new(field, "is required")),
        }
    }

    /// As [`Fields::line`], where the field is required.
    ///
    /// # Errors
    /// [`Invalid`] where it is absent, too.
    pub fn required_line(&mut self, field: &str, most: usize) -> Result<String, Invalid> {
        self.line(field, most)?.ok_or_else(|| Invalid::new(field, "is required"))
    }

    /// An optional whole number from `least` to `most`.
    ///
    /// # Errors
    /// [`Invalid`] naming the bounds.
    pub fn whole(&mut self, field: &str, least: u64, most: u64) -> Result<Option<u64>, Invalid> {
        let Some(value) = self.take(field) else { return Ok(None) };
        match value.as_u64().filter(|n| (least..=most).contains(n)) {
            Some(number) => Ok(Some(number)),
            None => Err(Invalid::new(field, format!("must be a whole number from {least} to {most}"))),
        }
    }

    /// An optional instant.
    ///
    /// # Errors
    /// [`Invalid`] for what is not RFC 3339.
    pub fn instant(&mut self, field: &str) -> Result<Option<Instant>, Invalid> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Instant::parse(&text).map(Some).ok_or_else(|| Self::no_instant(field)),
            Some(_) => Err(Self::no_instant(field)),
        }
    }

    fn no_instant(field: &str) -> Invalid {
        Invalid::new(field, "must be an RFC 3339 instant up to year 9999, such as 2030-01-31T12:00:00Z")
    }

    /// A list of at most `most` texts, each read by `read`; absent is empty.
    ///
    /// # Errors
    /// [`Invalid`] naming the bound, or the element that `read` refused.
    pub fn list<T>(
        &mut self,
        field: &str,
        most: usize,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Invalid> {
        let values = match self.take(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(_) => return Err(Invalid::new(field, "must be a list of strings")),
        };
        if values.len() > most {
            return Err(Invalid::new(field, format!("has more than {most} entries")));
        }
        let read_one = |(index, value): (usize, &Value)| {
            let text = value.as_str().ok_or_else(|| "must be a string".to_owned());
            text.and_then(&mut read).map_err(|problem| Invalid::new(format!("{field}[{index}]"), problem))
        };
        values.iter().enumerate().map(read_one).collect()
    }

    /// Free-form JSON of at most `most` bytes when written and `deepest` levels; absent is an empty object.
    ///
    /// # Errors
    /// [`Invalid`] naming the bound.
    pub fn free(&mut self, field: &str, most: usize, deepest: usize) -> Result<Map<String, Value>, Invalid> {
        let map = match self.take(field) {
            None => return Ok(Map::new()),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(Invalid::new(field, "must be a JSON object")),
        };
        let value = Value::Object(map);
        check_free(field, &value, deepest)?;
        if value.to_string().len() > most {
            return Err(Invalid::new(field, format!("is longer than {most} bytes of JSON")));
        }
        match value {
            Value::Object(map) => Ok(map),
            _ => unreachable!("it was wrapped above"),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Invalid`] naming a field that nobody took.
    pub fn end(self) -> Result<(), Invalid> {
        match self.map.into_iter().next() {
            None => Ok(()),
            Some((field, _)) => {
                // The name is the caller's and goes into an answer: long or odd ones are not repeated.
                let plain =
                    field.len() <= 40 && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                Err(Invalid::new(if plain { field } else { String::new() }, "there is no such field here"))
            }
        }
    }
}

fn check_line(field: &str, text: &str, most: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "must not be empty"));
    }
    if text.chars().count() > most {
        return Err(Invalid::new(field, format!("has more than {most} characters")));
    }
    check_text(field, text)
}

/// What no stored text may contain: control characters, and a key, which storage and lists would then show.
fn check_text(field: &str, text: &str) -> Result<(), Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, "must not contain control characters such as line breaks"));
    }
    if holds_key(text) {
        return Err(Invalid::new(field, "holds a whole key: treat that key as leaked, and name keys by their id"));
    }
    Ok(())
}

fn check_free(field: &str, value: &Value, deepest: usize) -> Result<(), Invalid> {
    if deepest == 0 && (value.is_object() || value.is_array()) {
        return Err(Invalid::new(field, "is nested too deeply: at most 4 levels"));
    }
    match value {
        Value::String(text) => check_text(field, text),
        Value::Array(values) => values.iter().try_for_each(|v| check_free(field, v, deepest - 1)),
        Value::Object(map) => {
            map.iter().try_for_each(|(k, v)| check_text(field, k).and_then(|()| check_free(field, v, deepest - 1)))
        }
        _ => Ok(()),
    }
}
