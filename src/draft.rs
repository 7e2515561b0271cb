//! A request to create a key: whether it is sound, and the record it makes.

use crate::error::Invalid;
use crate::fields::Fields;
use crate::network::{self, Range};
use crate::record::{Record, Status};
use crate::scope::Scope;
use crate::time::Instant;
use serde_json::{Map, Value};

/// Longest name, in characters.
pub const NAME: usize = 100;
/// Longest owner, in characters.
pub const OWNER: usize = 200;
/// Most scopes of one key.
pub const SCOPES: usize = 100;
/// Most ranges, countries or origins in one list.
pub const LIST: usize = 250;
/// Most metadata, in bytes of JSON.
pub const METADATA: usize = 4096;
/// Deepest metadata, in levels.
pub const METADATA_DEPTH: usize = 4;
/// Largest staleness a key may allow, in seconds.
pub const MAX_STALENESS: u64 = 60;
/// Staleness of a key that names none, in seconds.
pub const DEFAULT_STALENESS: u32 = 5;

/// A sound request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// One of the deployment's environments.
    pub environment: String,
    /// What the key may do.
    pub scopes: Vec<Scope>,
    name: String,
    owner: String,
    not_before: Option<Instant>,
    expires_at: Option<Instant>,
    allowed_ips: Vec<Range>,
    denied_ips: Vec<Range>,
    allowed_countries: Vec<String>,
    allowed_origins: Vec<String>,
    max_staleness_seconds: u32,
    metadata: Map<String, Value>,
}

impl Draft {
    /// Reads the body of `POST /v1/keys`. `environments` are the deployment's; the first is the default.
    ///
    /// # Errors
    /// [`Invalid`] naming the first field that is wrong and its bound.
    pub fn read(body: Value, environments: &[String], now: Instant) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body)?;
        let name = fields.required_line("name", NAME)?;
        let owner = fields.required_line("owner", OWNER)?;
        let environment = match fields.line("environment", 12)? {
            None => environments.first().cloned().unwrap_or_default(),
            Some(named) if environments.contains(&named) => named,
            Some(_) => {
                return Err(Invalid::new("environment", format!("must be one of: {}", environments.join(", "))));
            }
        };
        let scopes = fields.list("scopes", SCOPES, |text| Scope::parse(text).map_err(str::to_owned))?;
        let not_before = fields.instant("not_before")?;
        let expires_at = fields.instant("expires_at")?;
        if expires_at.is_some_and(|end| end <= now) {
            return Err(Invalid::new("expires_at", "must lie in the future"));
        }
        if let (Some(start), Some(end)) = (not_before, expires_at)
            && end <= start
        {
            return Err(Invalid::new("expires_at", "must lie after not_before"));
        }
        let country = |text: &str| match network::is_country(text) {
            true => Ok(text.to_owned()),
            false => Err("must be two capital letters, ISO 3166-1 alpha-2".to_owned()),
        };
        let origin = |text: &str| match network::is_origin(text) {
            true => Ok(text.to_owned()),
            false => Err("must be an origin as browsers send it, such as https://shop.example".to_owned()),
        };
        let draft = Self {
            environment,
            scopes,
            name,
            owner,
            not_before,
            expires_at,
            allowed_ips: fields.list("allowed_ips", LIST, Range::parse)?,
            denied_ips: fields.list("denied_ips", LIST, Range::parse)?,
            allowed_countries: fields.list("allowed_countries", LIST, country)?,
            allowed_origins: fields.list("allowed_origins", LIST, origin)?,
            max_staleness_seconds: fields
                .whole("max_staleness_seconds", 0, MAX_STALENESS)?
                .map_or(DEFAULT_STALENESS, |seconds| seconds as u32),
            metadata: fields.free("metadata", METADATA, METADATA_DEPTH)?,
        };
        fields.end()?;
        Ok(draft)
    }

    /// The record of the key `id` made at `now`.
    pub fn into_record(self, id: &str, brand: &str, now: Instant) -> Record {
        Record {
            id: id.to_owned(),
            brand: brand.to_owned(),
            environment: self.environment,
            name: self.name,
            owner: self.owner,
            scopes: self.scopes,
            created_at: now,
            updated_at: now,
            not_before: self.not_before,
            expires_at: self.expires_at,
            allowed_ips: self.allowed_ips,
            denied_ips: self.denied_ips,
            allowed_countries: self.allowed_countries,
            allowed_origins: self.allowed_origins,
            max_staleness_seconds: self.max_staleness_seconds,
            metadata: self.metadata,
            status: Status::Active,
            revoked_at: None,
            revoke_reason: None,
            version: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000_000;

    fn read(body: Value) -> Result<Draft, Invalid> {
        Draft::read(body, &["live".into(), "test".into()], Instant::from_millis(NOW))
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body = json!({"name": "n", "owner": "o"});
        body[field] = value;
        body
    }

    #[test]
    fn the_least_request_gets_the_defaults() {
        let record =
            read(json!({"name": "n", "owner": "o"})).unwrap().into_record("i", "psk", Instant::from_millis(NOW));
        assert_eq!((record.environment.as_str(), record.max_staleness_seconds), ("live", 5));
        assert!(record.scopes.is_empty() && !record.restricts_network());
    }

    #[test]
    fn each_bad_field_is_refused_by_its_name() {
        let deep = json!({"a": {"a": {"a": {"a": {}}}}});
        let long = "x".repeat(101);
        for (field, value) in [
            ("name", json!("")),
            ("name", json!("  ")),
            ("name", json!("two\nlines")),
            ("name", json!("a\u{85}b")),
            ("name", json!(long)),
            ("name", json!(7)),
            ("owner", json!("carriage\rreturn")),
            ("environment", json!("prod")),
            ("scopes", json!("calls:create")),
            ("scopes", json!(vec!["a:b"; 101])),
            ("expires_at", json!("never")),
            ("expires_at", json!(NOW)),
            ("expires_at", json!("10000-01-01T00:00:00Z")),
            ("expires_at", json!(Instant::from_millis(NOW))),
            ("expires_at", json!(Instant::from_millis(NOW - 1))),
            ("not_before", json!("tomorrow")),
            ("allowed_ips", json!({})),
            ("max_staleness_seconds", json!(-1)),
            ("max_staleness_seconds", json!(61)),
            ("max_staleness_seconds", json!(1.5)),
            ("max_staleness_seconds", json!(9_007_199_254_740_992u64)),
            ("max_staleness_seconds", json!("5")),
            ("metadata", json!([])),
            ("metadata", deep),
            ("metadata", json!({"a": "x".repeat(4096)})),
            ("metadata", json!({"a": "line\nbreak"})),
            ("metadata", json!({"line\nbreak": 1})),
            ("rate_limit", json!(5)),
        ] {
            assert_eq!(read(with(field, value.clone())).unwrap_err().field, field, "{value}");
        }
        for (field, value, at) in [
            ("scopes", json!(["a:b", "nonsense"]), "scopes[1]"),
            ("scopes", json!([1]), "scopes[0]"),
            ("allowed_ips", json!(["10.0.0.1/8"]), "allowed_ips[0]"),
            ("denied_ips", json!(["::/0"]), "denied_ips[0]"),
            ("allowed_countries", json!(["DE", "de"]), "allowed_countries[1]"),
            ("allowed_origins", json!(["https://shop.example/"]), "allowed_origins[0]"),
        ] {
            assert_eq!(read(with(field, value)).unwrap_err().field, at);
        }
        assert!(read(json!({"owner": "o"})).unwrap_err().problem.contains("required"));
        assert!(read(json!([])).unwrap_err().problem.contains("object"));
    }

    #[test]
    fn the_bound_of_expiry_is_exclusive() {
        assert!(read(with("expires_at", json!(Instant::from_millis(NOW + 1)))).is_ok());
        let same = json!({"name": "n", "owner": "o", "not_before": "2030-01-01T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"});
        assert_eq!(read(same).unwrap_err().field, "expires_at");
    }

    #[test]
    fn an_unknown_field_is_refused_without_repeating_odd_names() {
        assert_eq!(read(with("scope", json!([]))).unwrap_err().field, "scope");
        assert_eq!(read(with("<script>", json!([]))).unwrap_err().field, "");
    }

    proptest! {
        #[test]
        fn sql_json_and_markup_are_stored_as_given(name in "[ -~]{1,100}", note in "[ -~]{0,200}") {
            prop_assume!(!name.trim().is_empty());
            let draft = read(json!({"name": name, "owner": "o'; DROP TABLE keys; --", "metadata": {"note": note, "__proto__": note}})).unwrap();
            let record = draft.into_record("i", "psk", Instant::from_millis(NOW));
            prop_assert_eq!(&record.name, &name);
            prop_assert_eq!(&record.metadata["__proto__"], &json!(note));
        }
    }
}
