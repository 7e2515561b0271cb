//! Phone numbers in the bodies of calls: where they stand, which countries may be reached, and how often the same number, its
//! neighbours and its country may be. Toll fraud sends many messages into one range of numbers that earns its owner money; a
//! rule for each range stops what a rule for each number does not see. Which country a number belongs to is told from
//! outside: numbering plans are a library's business.

use crate::draft::COUNTRY;
use crate::error::Invalid;
use crate::fields::{Fields, Shape};
use crate::limit::Limit;
use crate::network::is_country;
use serde_json::{Value, json};

/// Most numbers in one body.
pub const MOST: usize = 20;
/// Last digits that numbers of one range differ in.
const RANGE_DIGITS: usize = 4;
const POINTER: Shape = Shape { pattern: Some("^(/[^/]*)+$"), most: 200, example: "/to" };

/// The rule for numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Where they stand in a JSON body (RFC 6901); in a form, the name of the field after a slash.
    pub pointer: String,
    /// Countries that may be reached; empty: all.
    pub countries: Vec<String>,
    /// Calls for one number.
    pub per_number: Limit,
    /// Calls for numbers that differ in their last four digits only.
    pub per_range: Limit,
    /// Calls for one country.
    pub per_country: Option<Limit>,
}

/// A number of which it is known where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// E.164, with its plus.
    pub number: String,
    /// ISO 3166-1 alpha-2; the calling code, with its plus, of numbers of no country, such as satellite phones.
    pub place: String,
}

impl Destination {
    /// Its country, if it has one.
    pub fn country(&self) -> Option<&str> {
        Some(self.place.as_str()).filter(|place| !place.starts_with('+'))
    }
}

/// A call that is to be taken from a limit, under the name that it is counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What kind of limit it is.
    pub kind: &'static str,
    /// What it is for, as it may be shown.
    pub of: String,
    /// The name of the bucket. Holds the number.
    pub bucket: String,
    /// The limit.
    pub limit: Limit,
}

impl Numbers {
    /// Takes the rule from its fields.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let pointer = fields.required_shaped("pointer", &POINTER)?;
        let countries = fields.list("countries", 250, &COUNTRY, |text| match is_country(text) {
            true => Ok(text.to_owned()),
            false => Err("must be two capital letters, ISO 3166-1 alpha-2".to_owned()),
        })?;
        let per_number = Limit::take(fields, "per_number")?.unwrap_or(Limit::new(5, 3_600));
        let per_range = Limit::take(fields, "per_range")?.unwrap_or(Limit::new(20, 3_600));
        let per_country = Limit::take(fields, "per_country")?;
        if !pointer.starts_with('/') || pointer.len() > POINTER.most {
            return Err(Invalid::new("pointer", "must be a JSON pointer such as /to (RFC 6901)"));
        }
        Ok(Self { pointer, countries, per_number, per_range, per_country })
    }

    /// The rule as it is shown.
    pub fn shown(&self) -> Value {
        json!({
            "pointer": self.pointer, "countries": self.countries, "per_number": self.per_number,
            "per_range": self.per_range, "per_country": self.per_country,
        })
    }

    /// The numbers in a body: one, or a list of them.
    ///
    /// # Errors
    /// [`Invalid`] where there is none, or what is there is no number in E.164.
    pub fn find(&self, body: &Value) -> Result<Vec<String>, Invalid> {
        let refuse = |problem: String| Err(Invalid::new(self.pointer.clone(), problem));
        const SHAPE: &str = "must be a number in E.164, such as +4915112345678";
        if let Some(name) = second_spelling(body, &self.pointer) {
            return refuse(format!("has a second spelling in the body ({name}): servers differ in which one counts"));
        }
        let found = match body.pointer(&self.pointer) {
            Some(Value::Array(values)) if values.len() <= MOST => values.iter().collect(),
            Some(Value::Array(_)) => return refuse(format!("must list at most {MOST} numbers")),
            Some(value) => vec![value],
            None => return refuse(SHAPE.to_owned()),
        };
        let texts: Option<Vec<String>> =
            found.into_iter().map(|value| value.as_str().filter(|text| is_e164(text)).map(str::to_owned)).collect();
        match texts {
            Some(texts) if !texts.is_empty() => Ok(texts),
            _ => refuse(SHAPE.to_owned()),
        }
    }

    /// The first of the destinations that may not be reached.
    pub fn refuses<'d>(&self, destinations: &'d [Destination]) -> Option<&'d Destination> {
        let passes = |of: &Destination| self.countries.is_empty() || self.countries.contains(&of.place);
        destinations.iter().find(|destination| !passes(destination))
    }

    /// What a call for these destinations is charged for.
    pub fn charges(&self, destinations: &[Destination]) -> Vec<Charge> {
        let mut charges = Vec::new();
        for destination in destinations {
            let number = &destination.number;
            let bucket = format!("number:{number}");
            charges.push(Charge { kind: "destination", of: redacted(number), bucket, limit: self.per_number });
            let of = range(number);
            charges.push(Charge {
                kind: "destination_range",
                bucket: format!("range:{of}"),
                of,
                limit: self.per_range,
            });
            if let (Some(limit), Some(country)) = (self.per_country, destination.country()) {
                let bucket = format!("country:{country}");
                charges.push(Charge { kind: "destination_country", of: country.to_owned(), bucket, limit });
            }
        }
        charges
    }
}

/// A member of the body that some servers take for the one that the pointer leads to, or for one on the way: the same name in
/// another case (Go), or with an index or a member of its own (PHP, Rack).
fn second_spelling<'b>(body: &'b Value, pointer: &str) -> Option<&'b str> {
    // The long s and the Kelvin sign are the only others that fold to ASCII (Unicode's CaseFolding.txt).
    let folded = |name: &str| name.to_ascii_lowercase().replace('\u{17f}', "s").replace('\u{212a}', "k");
    let mut at = body;
    for name in pointer.split('/').skip(1) {
        let name = name.replace("~1", "/").replace("~0", "~");
        let wanted = folded(&name);
        let alike = |other: &str| {
            let other = folded(other);
            other.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.', ' ']))
        };
        let members = at.as_object()?;
        if let Some((other, _)) = members.iter().find(|(other, _)| **other != name && alike(other.trim())) {
            // The name is the caller's: only a plain one is repeated.
            return Some(if other.bytes().all(|b| b.is_ascii_alphanumeric()) { other } else { "…" });
        }
        at = members.get(&name)?;
    }
    None
}

/// Whether `text` is a number in E.164 as it is dialled: a plus and 7 to 15 digits, the first of them no zero.
pub fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The range that a number stands in.
fn range(number: &str) -> String {
    format!("{}****", &number[..number.len() - RANGE_DIGITS])
}

/// A number as it may be shown and logged: the country's digits and the last two.
pub fn redacted(number: &str) -> String {
    format!("{}…{}", &number[..3], &number[number.len() - 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(body: Value) -> Result<Numbers, Invalid> {
        let mut fields = Fields::of(body)?;
        Numbers::take(&mut fields)
    }

    fn to(number: &str, place: &str) -> Destination {
        Destination { number: number.to_owned(), place: place.to_owned() }
    }

    #[test]
    fn numbers_are_found_where_the_pointer_says_and_only_in_e164() {
        let rule = rule(json!({"pointer": "/message/to"})).unwrap();
        let find = |to: Value| rule.find(&json!({"message": {"to": to}}));
        assert_eq!(find(json!("+4915112345678")).unwrap(), ["+4915112345678"]);
        assert_eq!(find(json!(["+4915112345678", "+12025550123"])).unwrap().len(), 2);
        for bad in [
            json!("4915112345678"),
            json!("+0915112345678"),
            json!("+49 151 12345678"),
            json!("+49151"),
            json!("+4915112345678901"),
            json!(4915112345678u64),
            json!([]),
            json!(["+4915112345678", 1]),
            json!({}),
            json!(null),
            json!("+49151123456é"),
            json!(vec!["+4915112345678"; 21]),
        ] {
            assert_eq!(find(bad.clone()).unwrap_err().field, "/message/to", "{bad}");
        }
        assert!(rule.find(&json!([])).is_err());
    }

    #[test]
    fn a_second_spelling_that_some_servers_prefer_is_refused() {
        let find = |pointer: &str, body: Value| rule(json!({ "pointer": pointer })).unwrap().find(&body);
        let good = "+4915112345678";
        for body in [
            json!({"to": good, "To": "+33612345678"}),
            json!({"to": good, "TO": good}),
            json!({"to": good, "to[]": good}),
            json!({"to": good, "to[0]": good}),
            json!({"to": good, "to.x": good}),
            json!({"to": good, " to": good}),
            json!({"to": good, "TO ": good}),
        ] {
            assert!(find("/to", body.clone()).is_err(), "{body}");
        }
        assert!(find("/msg/to", json!({"msg": {"to": good}, "MSG": {"to": good}})).is_err());
        assert!(find("/skip", json!({"skip": good, "s\u{212a}ip": good})).is_err(), "the Kelvin sign");
        assert!(find("/to", json!({"to": good, "tool": 1, "too": 2, "text": "to"})).is_ok());
    }

    #[test]
    fn a_country_that_is_not_listed_is_refused_and_so_is_none() {
        let rule = rule(json!({"pointer": "/to", "countries": ["DE"]})).unwrap();
        assert_eq!(rule.refuses(&[to("+4915112345678", "DE")]), None);
        assert!(rule.refuses(&[to("+4915112345678", "DE"), to("+12025550123", "US")]).is_some());
        assert!(rule.refuses(&[to("+8816123456789", "+881")]).is_some());
    }

    #[test]
    fn neighbours_share_a_range_and_nothing_shown_holds_a_number() {
        let rule = rule(json!({"pointer": "/to", "per_country": {"limit": 1, "window_seconds": 1}})).unwrap();
        let (one, two) = (rule.charges(&[to("+4915112345678", "DE")]), rule.charges(&[to("+4915112349999", "DE")]));
        assert_ne!(one[0].bucket, two[0].bucket);
        assert_eq!((one[1].bucket.as_str(), one[1].kind), (two[1].bucket.as_str(), "destination_range"));
        assert_eq!(one[2].of, "DE");
        assert_eq!(rule.charges(&[to("+8816123456789", "+881")]).len(), 2, "of no country");
        assert!(one.iter().all(|charge| !charge.of.contains("15112345678")));
        assert_eq!((one[0].of.as_str(), one[1].of.as_str()), ("+49…78", "+491511234****"));
    }
}
