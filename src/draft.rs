//! A request to create a key, or to change one: whether it is sound, and the record it makes. Both are read by the same
//! rules, so that no change can bring a record about that no creation could.

use crate::allowance::{self, Quota, RateLimit};
use crate::error::Invalid;
use crate::fields::{Fields, Shape};
use crate::network::{self, Range};
use crate::record::{OnAnomaly, OnLeak, Record, Status};
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
/// Days after which a secret should be replaced, where a key names none.
pub const DEFAULT_ROTATION_DAYS: u32 = 90;
/// Most of them.
pub const MAX_ROTATION_DAYS: u64 = 3650;

/// What a scope looks like.
pub const SCOPE: Shape = Shape {
    pattern: Some(r"^(keyward\.\*:\*|(\*|[a-z0-9._-]+):(\*|[a-z0-9._-]+))$"),
    most: crate::scope::MAX_LENGTH,
    example: "calls:create",
};
/// What a needed scope looks like: no wildcards.
pub const NEEDED: Shape =
    Shape { pattern: Some("^[a-z0-9._-]+:[a-z0-9._-]+$"), most: crate::scope::MAX_LENGTH, example: "calls:create" };
const RANGE: Shape = Shape { pattern: None, most: 49, example: "192.0.2.0/24" };
/// What a country looks like.
pub const COUNTRY: Shape = Shape { pattern: Some("^[A-Z]{2}$"), most: 2, example: "DE" };
const ORIGIN: Shape = Shape { pattern: Some("^https?://[^/]+$"), most: 270, example: "https://shop.example" };

/// A sound request for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// One of the deployment's environments.
    pub environment: String,
    /// Everything that can be changed later.
    pub settings: Settings,
}

/// What its owner may set of a key, at first and later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
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
    rotation_days: u32,
    rate_limits: Vec<RateLimit>,
    quotas: Vec<Quota>,
    on_anomaly: OnAnomaly,
    on_leak: OnLeak,
    metadata: Map<String, Value>,
}

impl Draft {
    /// Reads the body of `POST /v1/keys`. `environments` are the deployment's; the first is the default.
    ///
    /// # Errors
    /// [`Invalid`] naming the first field that is wrong and its bound.
    pub fn read(body: Value, environments: &[String], now: Instant) -> Result<Self, Invalid> {
        let mut fields = Fields::of(body)?;
        let draft = Self::take(&mut fields, environments, now)?;
        fields.end()?;
        Ok(draft)
    }

    /// Takes what makes a draft from fields that may hold more, or that are described.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn take(fields: &mut Fields, environments: &[String], now: Instant) -> Result<Self, Invalid> {
        let environment = fields.one_of("environment", environments)?;
        let settings = Settings::take(fields)?;
        if settings.expires_at.is_some_and(|end| end <= now) {
            return Err(Settings::expired());
        }
        Ok(Self { environment: environment.or_else(|| environments.first().cloned()).unwrap_or_default(), settings })
    }

    /// The record of the key `id` made at `now`.
    pub fn into_record(self, id: &str, brand: &str, now: Instant) -> Record {
        let blank = Record {
            id: id.to_owned(),
            brand: brand.to_owned(),
            environment: self.environment,
            name: String::new(),
            owner: String::new(),
            scopes: Vec::new(),
            created_at: now,
            updated_at: now,
            not_before: None,
            expires_at: None,
            allowed_ips: Vec::new(),
            denied_ips: Vec::new(),
            allowed_countries: Vec::new(),
            allowed_origins: Vec::new(),
            max_staleness_seconds: DEFAULT_STALENESS,
            rotation_days: DEFAULT_ROTATION_DAYS,
            rate_limits: Vec::new(),
            quotas: Vec::new(),
            on_anomaly: OnAnomaly::default(),
            on_leak: OnLeak::default(),
            metadata: Map::new(),
            status: Status::Active,
            revoked_at: None,
            revoke_reason: None,
            version: 1,
        };
        self.settings.into_record(blank)
    }
}

impl Settings {
    /// Takes all of them; what is absent gets its default.
    ///
    /// # Errors
    /// [`Invalid`] naming the first field that is wrong and its bound.
    pub fn take(fields: &mut Fields) -> Result<Self, Invalid> {
        let name = fields.required_line("name", NAME)?;
        let owner = fields.required_line("owner", OWNER)?;
        let scopes = fields.list("scopes", SCOPES, &SCOPE, Scope::parse_new)?;
        let not_before = fields.instant("not_before")?;
        let expires_at = fields.instant("expires_at")?;
        if let (Some(start), Some(end)) = (not_before, expires_at)
            && end <= start
        {
            return Err(Invalid::new("expires_at", "must lie after not_before"));
        }
        let origin = |text: &str| match network::is_origin(text) {
            true => Ok(text.to_owned()),
            false => Err("must be an origin as browsers send it, such as https://shop.example".to_owned()),
        };
        let (rate_limits, quotas) = allowance::take(fields)?;
        let on_anomaly = fields.one_of("on_anomaly", &OnAnomaly::NAMES)?;
        let on_leak = fields.one_of("on_leak", &OnLeak::NAMES)?;
        Ok(Self {
            on_anomaly: on_anomaly.and_then(|name| OnAnomaly::named(&name)).unwrap_or_default(),
            on_leak: on_leak.and_then(|name| OnLeak::named(&name)).unwrap_or_default(),
            rate_limits,
            quotas,
            scopes,
            name,
            owner,
            not_before,
            expires_at,
            allowed_ips: fields.list("allowed_ips", LIST, &RANGE, Range::parse)?,
            denied_ips: fields.list("denied_ips", LIST, &RANGE, Range::parse)?,
            allowed_countries: fields.list("allowed_countries", LIST, &COUNTRY, network::country)?,
            allowed_origins: fields.list("allowed_origins", LIST, &ORIGIN, origin)?,
            max_staleness_seconds: fields
                .whole("max_staleness_seconds", 0, MAX_STALENESS)?
                .map_or(DEFAULT_STALENESS, |seconds| seconds as u32),
            rotation_days: fields
                .whole("rotation_days", 1, MAX_ROTATION_DAYS)?
                .map_or(DEFAULT_ROTATION_DAYS, |days| days as u32),
            metadata: fields.free("metadata", METADATA, METADATA_DEPTH)?,
        })
    }

    fn expired() -> Invalid {
        Invalid::new("expires_at", "must lie in the future")
    }

    fn into_record(self, before: Record) -> Record {
        Record {
            name: self.name,
            owner: self.owner,
            scopes: self.scopes,
            not_before: self.not_before,
            expires_at: self.expires_at,
            allowed_ips: self.allowed_ips,
            denied_ips: self.denied_ips,
            allowed_countries: self.allowed_countries,
            allowed_origins: self.allowed_origins,
            max_staleness_seconds: self.max_staleness_seconds,
            rotation_days: self.rotation_days,
            rate_limits: self.rate_limits,
            quotas: self.quotas,
            on_anomaly: self.on_anomaly,
            on_leak: self.on_leak,
            metadata: self.metadata,
            ..before
        }
    }
}

/// The record after the body of `PATCH /v1/keys/{id}`: each field that is given replaces what was, `null` its default
/// (RFC 7396, one level deep: metadata is replaced whole).
///
/// # Errors
/// [`Invalid`] naming the field; the environment cannot be changed, since it is part of the key.
pub fn patched(record: &Record, body: Value, now: Instant) -> Result<Record, Invalid> {
    let Value::Object(changes) = body else { return Err(Invalid::new("", "what is sent must be a JSON object")) };
    if changes.contains_key("environment") {
        return Err(Invalid::new(
            "environment",
            "is part of the key and stays: create another key for another environment",
        ));
    }
    let ends = changes.contains_key("expires_at");
    let mut merged = match serde_json::to_value(record) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("a record is a JSON object"),
    };
    merged.retain(|field, _| SETTABLE.contains(&field.as_str()));
    merged.extend(changes);
    let mut fields = Fields::of(Value::Object(merged))?;
    let settings = Settings::take(&mut fields)?;
    fields.end()?;
    // A key that has expired can still be renamed; its end can only be moved ahead.
    if ends && settings.expires_at.is_some_and(|end| end <= now) {
        return Err(Settings::expired());
    }
    Ok(settings.into_record(record.clone()))
}

/// The fields that [`patched`] takes.
pub const SETTABLE: [&str; 16] = [
    "name",
    "owner",
    "scopes",
    "not_before",
    "expires_at",
    "allowed_ips",
    "denied_ips",
    "allowed_countries",
    "allowed_origins",
    "max_staleness_seconds",
    "rotation_days",
    "rate_limits",
    "quotas",
    "on_anomaly",
    "on_leak",
    "metadata",
];

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
            ("rotation_days", json!(0)),
            ("rotation_days", json!(3651)),
            ("on_leak", json!("throttle")),
            ("on_leak", json!(true)),
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

    #[test]
    fn a_patch_replaces_what_it_names_and_keeps_the_rest() {
        let before = crate::record::tests::record();
        let patch = |body: Value| patched(&before, body, Instant::from_millis(NOW));
        assert_eq!(patch(json!({})).unwrap(), before);
        let after = patch(json!({"scopes": ["calls:read"], "allowed_ips": null, "max_staleness_seconds": 1})).unwrap();
        assert_eq!(
            (after.scopes[0].as_str(), after.allowed_ips.len(), after.max_staleness_seconds),
            ("calls:read", 0, 1)
        );
        assert_eq!((&after.name, &after.id, after.version), (&before.name, &before.id, before.version));
        for (body, field) in [
            (json!({"name": null}), "name"),
            (json!({"environment": "live"}), "environment"),
            (json!({"status": "active"}), "status"),
            (json!({"id": "x"}), "id"),
            (json!({"version": 7}), "version"),
            (json!({"expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
            (json!({"scopes": ["calls"]}), "scopes[0]"),
            (json!([]), ""),
        ] {
            assert_eq!(patch(body).unwrap_err().field, field);
        }
    }

    #[test]
    fn an_expired_key_can_be_renamed_and_its_end_be_moved_ahead() {
        let mut before = crate::record::tests::record();
        before.expires_at = Some(Instant::from_millis(NOW - 1));
        let patch = |body: Value| patched(&before, body, Instant::from_millis(NOW));
        assert!(patch(json!({"name": "old"})).is_ok());
        assert!(patch(json!({"expires_at": "2100-01-01T00:00:00Z"})).is_ok());
        assert!(patch(json!({"expires_at": Instant::from_millis(NOW)})).is_err());
    }

    #[test]
    fn what_can_be_patched_is_what_can_be_set() {
        let described = Fields::describe(|fields| Settings::take(fields).map(|_| ()));
        let named: Vec<&String> = described["properties"].as_object().unwrap().keys().collect();
        assert!(named.iter().all(|name| SETTABLE.contains(&name.as_str())) && named.len() == SETTABLE.len());
        assert_eq!(described["required"], json!(["name", "owner"]));
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
