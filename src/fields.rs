//! Reading a JSON object field by field, so that each refusal names its field and its bound. Unknown fields are refused:
//! a restriction that was misspelt must not be silently absent.
//!
//! The same code that reads a body also describes it ([`Fields::describe`]): run without a body, each call notes what it
//! would take as JSON Schema. So the description cannot differ from what is served. What only describes is compiled in with
//! the feature `describe`, which the Worker is built without: its document is written at build time.

use crate::error::Invalid;
use crate::key::holds_key;
use crate::time::Instant;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

/// Reads JSON text in which no object has two members of one name: of a restriction given twice, one would be silently
/// absent.
///
/// # Errors
/// What is wrong, to be read after the name of what was to be JSON. Never repeats the text: the parser's own words may.
pub fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str::<Unambiguous>(text).map(|read| read.0).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "names a member of an object twice".to_owned(),
        _ => format!("is not JSON: line {}, column {}", error.line(), error.column()),
    })
}

/// A JSON value without members of the same name.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor).map(Self)
    }
}

struct UnambiguousVisitor;

impl<'de> Visitor<'de> for UnambiguousVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(value)) = values.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if map.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

/// The fields of one object, taken one at a time.
pub struct Fields {
    map: Map<String, Value>,
    described: Option<Described>,
}

#[derive(Default)]
struct Described {
    properties: Map<String, Value>,
    required: Vec<Value>,
}

/// What a text has to look like, for the description; what reads it decides.
pub struct Shape {
    /// A regular expression (ECMA-262) that every accepted text fits.
    pub pattern: Option<&'static str>,
    /// Most characters.
    pub most: usize,
    /// One that is accepted, or empty.
    pub example: &'static str,
}

impl Shape {
    fn schema(&self) -> Value {
        let mut schema = json!({"type": "string", "maxLength": self.most});
        match self.pattern {
            Some(pattern) => schema["pattern"] = pattern.into(),
            None => schema["minLength"] = 1.into(),
        }
        if !self.example.is_empty() {
            schema["examples"] = json!([self.example]);
        }
        schema
    }
}

/// No control characters, and something besides white space.
const LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*[^\u0000-\u001F\u007F-\u009F\s][^\u0000-\u001F\u007F-\u009F]*$";

impl Fields {
    /// Takes the fields of a JSON object.
    ///
    /// # Errors
    /// [`Invalid`] for any other JSON value.
    pub fn of(value: Value) -> Result<Self, Invalid> {
        match value {
            Value::Object(map) => Ok(Self { map, described: None }),
            _ => Err(Invalid::new("", "what is sent must be a JSON object")),
        }
    }

    /// The JSON Schema of what `read` takes.
    pub fn describe(read: impl FnOnce(&mut Self) -> Result<(), Invalid>) -> Value {
        let mut fields = Self { map: Map::new(), described: Some(Described::default()) };
        // What is read is nobody's request; that it does not make sense as one is no matter.
        let _ = read(&mut fields);
        let Described { properties, required } = fields.described.unwrap_or_default();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    /// Whether nothing is read and everything described: values are then placeholders, and judging them is pointless.
    pub fn is_description(&self) -> bool {
        cfg!(any(test, feature = "describe")) && self.described.is_some()
    }

    /// Notes an optional field, where this is a description.
    fn note(&mut self, field: &str, schema: impl FnOnce() -> Value, required: bool) -> bool {
        if !self.is_description() {
            return false;
        }
        let Some(described) = &mut self.described else { return false };
        let mut schema = schema();
        if required {
            described.required.push(field.into());
        } else if let Some(kind) = schema.get("type").cloned() {
            // `null` counts as absent.
            schema["type"] = json!([kind, "null"]);
        }
        described.properties.insert(field.to_owned(), schema);
        true
    }

    /// Takes a field; `null` counts as absent.
    fn take(&mut self, field: &str) -> Option<Value> {
        self.map.remove(field).filter(|value| !value.is_null())
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, Invalid> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Invalid::new(field, "must be a string")),
        }
    }

    /// An optional line of text of 1 to `most` characters, without control characters (they forge log lines and headers) and without a whole key.
    ///
    /// # Errors
    /// [`Invalid`] naming the bound.
    pub fn line(&mut self, field: &str, most: usize) -> Result<Option<String>, Invalid> {
        if self.note(field, || line_schema(most), false) {
            return Ok(None);
        }
        let text = self.text(field)?;
        if let Some(text) = &text {
            check_line(field, text, most)?;
        }
        Ok(text)
    }

    /// As [`Fields::line`], where the field is required.
    ///
    /// # Errors
    /// [`Invalid`] where it is absent, too.
    pub fn required_line(&mut self, field: &str, most: usize) -> Result<String, Invalid> {
        if self.note(field, || line_schema(most), true) {
            return Ok(String::new());
        }
        self.line(field, most)?.ok_or_else(|| Self::required(field))
    }

    /// A required text of whatever length and content: one that is neither stored nor shown.
    ///
    /// # Errors
    /// [`Invalid`] where it is absent or no string.
    pub fn required_text(&mut self, field: &str) -> Result<String, Invalid> {
        if self.note(field, || json!({"type": "string"}), true) {
            return Ok(String::new());
        }
        self.text(field)?.ok_or_else(|| Self::required(field))
    }

    /// An optional text of at most `most` bytes that is sealed and never shown, whatever it holds.
    ///
    /// # Errors
    /// [`Invalid`] where it is no string, or longer.
    pub fn secret(&mut self, field: &str, most: usize) -> Result<Option<String>, Invalid> {
        if self.note(field, || json!({"type": "string", "minLength": 8, "maxLength": most, "writeOnly": true}), false) {
            return Ok(None);
        }
        match self.text(field)? {
            Some(text) if text.len() > most => Err(Invalid::new(field, format!("is longer than {most} bytes"))),
            text => Ok(text),
        }
    }

    /// A required text of a certain shape, which the caller checks.
    ///
    /// # Errors
    /// [`Invalid`] where it is absent or no string.
    pub fn required_shaped(&mut self, field: &str, shape: &Shape) -> Result<String, Invalid> {
        if self.note(field, || shape.schema(), true) {
            return Ok(String::new());
        }
        self.required_text(field)
    }

    /// An optional text of a certain shape, which the caller checks.
    ///
    /// # Errors
    /// [`Invalid`] where it is no string, or longer than the shape.
    pub fn shaped(&mut self, field: &str, shape: &Shape) -> Result<Option<String>, Invalid> {
        if self.note(field, || shape.schema(), false) {
            return Ok(None);
        }
        self.line(field, shape.most)
    }

    /// An optional one of some words.
    ///
    /// # Errors
    /// [`Invalid`] naming them.
    pub fn one_of<W: AsRef<str>>(&mut self, field: &str, words: &[W]) -> Result<Option<String>, Invalid> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        if self.note(
            field,
            || json!({"enum": words.iter().copied().map(Value::from).chain([Value::Null]).collect::<Vec<_>>()}),
            false,
        ) {
            return Ok(None);
        }
        match self.text(field)? {
            Some(word) if !words.contains(&word.as_str()) => {
                Err(Invalid::new(field, format!("must be one of: {}", words.join(", "))))
            }
            word => Ok(word),
        }
    }

    /// One of `words`, which must be named.
    ///
    /// # Errors
    /// [`Invalid`] naming them.
    pub fn required_one_of(&mut self, field: &str, words: &[&str]) -> Result<String, Invalid> {
        if self.note(field, || json!({ "enum": words }), true) {
            return Ok(String::new());
        }
        self.one_of(field, words)?.ok_or_else(|| Invalid::new(field, format!("must be one of: {}", words.join(", "))))
    }

    /// An optional `true` or `false`.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn flag(&mut self, field: &str) -> Result<bool, Invalid> {
        if self.note(field, || json!({"type": "boolean"}), false) {
            return Ok(false);
        }
        match self.take(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Invalid::new(field, "must be true or false")),
        }
    }

    /// As [`Fields::flag`], where absent counts as `default`.
    ///
    /// # Errors
    /// As [`Fields::flag`].
    pub fn default_flag(&mut self, field: &str, default: bool) -> Result<bool, Invalid> {
        let absent = self.map.get(field).is_none_or(Value::is_null);
        let flag = self.flag(field)?;
        Ok(if absent { default } else { flag })
    }

    /// A text of at most `most` bytes that may have several lines; absent is empty. It must hold no whole key.
    ///
    /// # Errors
    /// [`Invalid`] naming the bound.
    pub fn free_text(&mut self, field: &str, most: usize) -> Result<String, Invalid> {
        if self.note(field, || json!({"type": "string", "maxLength": most}), false) {
            return Ok(String::new());
        }
        match self.text(field)?.unwrap_or_default() {
            text if text.len() > most => Err(Invalid::new(field, format!("is longer than {most} bytes"))),
            text if holds_key(&text) => Err(Invalid::new(field, "holds a key")),
            text => Ok(text),
        }
    }

    fn required(field: &str) -> Invalid {
        Invalid::new(field, "is required")
    }

    /// An optional whole number from `least` to `most`.
    ///
    /// # Errors
    /// [`Invalid`] naming the bounds.
    pub fn whole(&mut self, field: &str, least: u64, most: u64) -> Result<Option<u64>, Invalid> {
        if self.note(field, || json!({"type": "integer", "minimum": least, "maximum": most}), false) {
            return Ok(None);
        }
        let Some(value) = self.take(field) else { return Ok(None) };
        // 5.0 is a whole number to JSON Schema, and to JavaScript the same as 5.
        let number = value
            .as_u64()
            .or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n)).map(|n| n as u64));
        match number.filter(|n| (least..=most).contains(n)) {
            Some(number) => Ok(Some(number)),
            None => Err(Invalid::new(field, format!("must be a whole number from {least} to {most}"))),
        }
    }

    /// As [`Fields::whole`], where the field is required.
    ///
    /// # Errors
    /// [`Invalid`] where it is absent, too.
    pub fn required_whole(&mut self, field: &str, least: u64, most: u64) -> Result<u64, Invalid> {
        if self.note(field, || json!({"type": "integer", "minimum": least, "maximum": most}), true) {
            return Ok(least);
        }
        self.whole(field, least, most)?.ok_or_else(|| Self::required(field))
    }

    /// An optional instant.
    ///
    /// # Errors
    /// [`Invalid`] for what is not RFC 3339.
    pub fn instant(&mut self, field: &str) -> Result<Option<Instant>, Invalid> {
        if self.note(field, || json!({"type": "string", "format": "date-time"}), false) {
            return Ok(None);
        }
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Instant::parse(&text).map(Some).ok_or_else(|| Self::no_instant(field)),
            Some(_) => Err(Self::no_instant(field)),
        }
    }

    fn no_instant(field: &str) -> Invalid {
        Invalid::new(field, "must be an RFC 3339 instant up to year 9999, such as 2030-01-31T12:00:00Z")
    }

    /// A list of at most `most` texts of a shape, each read by `read`; absent is empty.
    ///
    /// # Errors
    /// [`Invalid`] naming the bound, or the element that `read` refused.
    pub fn list<T>(
        &mut self,
        field: &str,
        most: usize,
        shape: &Shape,
        mut read: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Invalid> {
        let mut all = Vec::new();
        self.each_text(field, most, shape, &mut |text| read(text).map(|value| all.push(value)))?;
        Ok(all)
    }

    /// What [`Fields::list`] does, whatever is read: compiled once and not for each list, as what lists objects below.
    fn each_text(
        &mut self,
        field: &str,
        most: usize,
        shape: &Shape,
        read: &mut dyn FnMut(&str) -> Result<(), String>,
    ) -> Result<(), Invalid> {
        if self.note(field, || json!({"type": "array", "maxItems": most, "items": shape.schema()}), false) {
            return Ok(());
        }
        let values = match self.take(field) {
            None => return Ok(()),
            Some(Value::Array(values)) => values,
            Some(_) => return Err(Invalid::new(field, "must be a list of strings")),
        };
        if values.len() > most {
            return Err(Invalid::new(field, format!("has more than {most} entries")));
        }
        for (index, value) in values.iter().enumerate() {
            let text = value.as_str().ok_or_else(|| "must be a string".to_owned());
            text.and_then(&mut *read).map_err(|problem| Invalid::new(format!("{field}[{index}]"), problem))?;
        }
        Ok(())
    }

    /// Free-form JSON of at most `most` bytes when written and `deepest` levels; absent is an empty object.
    ///
    /// # Errors
    /// [`Invalid`] naming the bound.
    pub fn free(&mut self, field: &str, most: usize, deepest: usize) -> Result<Map<String, Value>, Invalid> {
        let bounds = || format!("at most {most} bytes of JSON and {deepest} levels");
        if self.note(field, || json!({"type": "object", "description": bounds()}), false) {
            return Ok(Map::new());
        }
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

    /// An optional object, its fields taken by `read`; what is wrong in it is named by its path (`callers.key`).
    ///
    /// # Errors
    /// [`Invalid`] for any other value, of `read`, or for a field that it did not take.
    pub fn object<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        if self.is_description() {
            self.note(field, || Self::describe(|fields| read(fields).map(|_| ())), false);
            return Ok(None);
        }
        let Some(value) = self.take(field) else { return Ok(None) };
        let (mut read, mut object) = (Some(read), None);
        Self::within(value, field, &mut |fields| {
            object = read.take().map(|read| read(fields)).transpose()?;
            Ok(())
        })?;
        Ok(object)
    }

    /// A list of at most `most` objects, the fields of each taken by `read`; absent is empty.
    ///
    /// # Errors
    /// As [`Fields::object`], or naming the bound.
    pub fn objects<T>(
        &mut self,
        field: &str,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        if self.is_description() {
            let items = Self::describe(|fields| read(fields).map(|_| ()));
            self.note(field, || json!({"type": "array", "maxItems": most, "items": items}), false);
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        self.each_object(field, most, &mut |fields| read(fields).map(|value| all.push(value)))?;
        Ok(all)
    }

    fn each_object(
        &mut self,
        field: &str,
        most: usize,
        read: &mut dyn FnMut(&mut Self) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        let values = match self.take(field) {
            None => return Ok(()),
            Some(Value::Array(values)) if values.len() <= most => values,
            Some(_) => return Err(Invalid::new(field, format!("must be a list of at most {most} objects"))),
        };
        let mut numbered = values.into_iter().enumerate();
        numbered.try_for_each(|(index, value)| Self::within(value, &format!("{field}[{index}]"), read))
    }

    fn within(
        value: Value,
        field: &str,
        read: &mut dyn FnMut(&mut Self) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        let inside = || {
            let mut fields = Self::of(value)?;
            read(&mut fields)?;
            fields.end()
        };
        inside().map_err(|Invalid { field: inner, problem }| match inner.as_str() {
            "" => Invalid::new(field, problem),
            inner => Invalid::new(format!("{field}.{inner}"), problem),
        })
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

fn line_schema(most: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most, "pattern": LINE})
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_read_alike(value in value()) {
            let text = value.to_string();
            prop_assert_eq!(parse(&text).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn a_member_given_twice_is_refused_wherever_it_stands() {
        for twice in [r#"{"a":1,"a":2}"#, r#"{"a":{"b":[],"b":1}}"#, r#"[{"\u0061":1,"a":1}]"#] {
            assert!(parse(twice).unwrap_err().contains("twice"), "{twice}");
        }
        assert!(parse(r#"[{"a":1},{"a":1}]"#).is_ok());
        assert!(parse("{").unwrap_err().contains("line 1"));
    }
}
