//! Reads what keyward itself wrote: messages between edges and objects, and stored rows. The text is parsed once, by the
//! one parser there is; types are then made of the tree. `serde_json::from_str` would be a parser for each type, each of
//! which also takes what is never written here, such as a list for a struct: a fifth of the Worker.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected};
use serde::de::{Expected, IntoDeserializer, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Value, map};
use std::fmt::{Display, Formatter};
use std::slice;

/// Reads a value from JSON text.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    let value = keyward::fields::parse(text).map_err(|_| Unreadable("JSON"))?;
    T::deserialize(Tree(&value))
}

/// What another version wrote, or nobody. Tells what was wanted; never what stands there.
#[derive(Debug)]
pub struct Unreadable(&'static str);

impl Display for Unreadable {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot be read: {} is wanted", self.0)
    }
}

impl std::error::Error for Unreadable {}

// Of all that can be told, only what is known before: texts that are put together would be told of every field of every type.
impl Error for Unreadable {
    fn custom<M: Display>(_: M) -> Self {
        Self("another value")
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self("another type")
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self("another value")
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self("another length")
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self("another variant")
    }

    fn missing_field(field: &'static str) -> Self {
        Self(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(field)
    }
}

/// A value to make something of.
struct Tree<'a>(&'a Value);

/// Methods for which one kind of value is all that is ever wanted.
macro_rules! only {
    ($($method:ident $kind:pat => $visit:ident($value:expr)),* $(,)?) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            match self.0 {
                $kind => visitor.$visit($value),
                _ => Err(Unreadable(stringify!($kind))),
            }
        })*
    };
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            match self.0.as_u64() {
                Some(number) => visitor.visit_u64(number),
                None => visitor.visit_i64(self.0.as_i64().ok_or(Unreadable("a whole number"))?),
            }
        })*
    };
}

impl<'a> Deserializer<'a> for Tree<'a> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => number.deserialize_any(visitor).map_err(|_| Unreadable("a number")),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(values) => visitor.visit_seq(List(values.iter())),
            Value::Object(members) => visitor.visit_map(Members(members.iter(), &Value::Null)),
        }
    }

    only! {
        deserialize_bool Value::Bool(value) => visit_bool(*value),
        deserialize_str Value::String(text) => visit_str(text),
        deserialize_string Value::String(text) => visit_str(text),
        deserialize_seq Value::Array(values) => visit_seq(List(values.iter())),
        deserialize_map Value::Object(members) => visit_map(Members(members.iter(), &Value::Null)),
    }

    numbers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant(name, &Value::Null)),
            Value::Object(members) => match members.iter().next() {
                Some((name, content)) => visitor.visit_enum(Variant(name, content)),
                None => Err(Unreadable("a variant")),
            },
            _ => Err(Unreadable("a variant")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { <V: Visitor<'a>> i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct identifier }
}

struct List<'a>(slice::Iter<'a, Value>);

impl<'a> SeqAccess<'a> for List<'a> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        self.0.next().map(|value| seed.deserialize(Tree(value))).transpose()
    }
}

/// Members of an object, and the value of the one whose name was asked for last.
struct Members<'a>(map::Iter<'a>, &'a Value);

impl<'a> MapAccess<'a> for Members<'a> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let Some((name, value)) = self.0.next() else { return Ok(None) };
        self.1 = value;
        let name: StrDeserializer<'_, Unreadable> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        seed.deserialize(Tree(self.1))
    }
}

/// A variant's name, and what it holds.
struct Variant<'a>(&'a str, &'a Value);

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = Unreadable;
    type Variant = Tree<'a>;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Tree<'a>), Unreadable> {
        let name: StrDeserializer<'_, Unreadable> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, Tree(self.1)))
    }
}

impl<'a> VariantAccess<'a> for Tree<'a> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, Unreadable> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_map(visitor)
    }
}
