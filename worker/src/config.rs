//! The deployment's bindings, read once for each isolate. Without a root secret nothing works and every answer says so.

use crate::request::Request;
use crate::response::Problem;
use js_sys::Reflect;
use keyward::audit::AuditKeys;
use keyward::error::Invalid;
use keyward::foreign::Prefix;
use keyward::key::{TagKeys, is_word};
use keyward::leak::Partners;
use keyward::network::is_origin;
use keyward::record::StoredKey;
use keyward::root::{Peppers, Purpose, RootSecret};
use keyward::seal::SealingKeys;
use keyward::session::SessionKeys;
use wasm_bindgen::JsValue;
use zeroize::Zeroizing;

/// Everything that a deployment is told.
pub struct Config {
    /// `KEYWARD_BRAND`; `psk`.
    pub brand: String,
    /// `KEYWARD_ENVIRONMENTS`, comma-separated; `live,test,staging,dev`. The first is the default.
    pub environments: Vec<String>,
    /// Those of them whose callers are answered by a route's mock: written `test:mock`.
    pub mocks: Vec<String>,
    /// From `KEYWARD_ROOT_SECRET` and `KEYWARD_RETIRED_ROOT_SECRETS`.
    pub peppers: Peppers,
    /// What authenticates sessions and what seals upstream secrets; from the same root secrets.
    pub sessions: SessionKeys,
    pub sealing: SealingKeys,
    /// Seeds of the keys that sign identities (RFC 8032), the current one first, with the names of their root secrets.
    pub identity: Vec<(String, Zeroizing<[u8; 32]>)>,
    /// `KEYWARD_ISSUER`: who signs them; `keyward`.
    pub issuer: String,
    /// `KEYWARD_LOCAL_UPSTREAMS`: origins that routes may lead to although they are private or not encrypted.
    pub local_upstreams: Vec<String>,
    /// `KEYWARD_LOCAL_WEBHOOKS`: the same for webhooks.
    pub local_webhooks: Vec<String>,
    /// `KEYWARD_TURNSTILE_SECRET`, and `KEYWARD_TURNSTILE_URL`, which verifies under it.
    pub turnstile: Option<(String, String)>,
    /// From `KEYWARD_TAG_KEY` and `KEYWARD_RETIRED_TAG_KEYS`.
    pub tags: TagKeys,
    /// What chains the log; from the same root secrets.
    pub audit: AuditKeys,
    /// `KEYWARD_FOREIGN_PREFIXES`: how imported keys of other systems begin, `sk_live_:live,sk_test_:test`.
    pub foreign: Vec<Prefix>,
    /// `KEYWARD_LEAK_PARTNERS`: the public keys that reports of leaks may be signed with, as GitHub publishes them.
    pub partners: Option<Partners>,
    /// `KEYWARD_FAULT`: a fault that tests ask for.
    #[cfg(feature = "fault-injection")]
    pub fault: Option<String>,
    /// `KEYWARD_FIRST_KEY`: record and digest of the first management key, which is adopted when it is first used.
    pub first_key: Option<StoredKey>,
}

fn text(env: &JsValue, name: &str) -> Option<String> {
    let value = Reflect::get(env, &name.into()).ok()?.as_string()?;
    Some(value.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A binding that holds an upstream's secret, and the origin that is fixed beside it: only names that begin with `UPSTREAM_`
/// are looked at, so that no route can send the deployment's own secrets anywhere.
pub fn upstream_secret(env: &JsValue, name: &str) -> Option<(String, String)> {
    let named = name.starts_with("UPSTREAM_")
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !named {
        return None;
    }
    text(env, name).zip(text(env, &format!("{name}_ORIGIN")))
}

fn list(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect()
}

impl Config {
    /// Reads the bindings.
    ///
    /// # Errors
    /// A sentence that names the binding and says how to set it. Never its value.
    pub fn read(env: &JsValue) -> Result<Self, String> {
        const HOW: &str = "set it to 64 hexadecimal digits, such as openssl rand -hex 32 prints";
        let secret =
            |name: &str, value: &str| RootSecret::from_hex(value).map_err(|_| format!("{name} is no secret: {HOW}"));
        let root = text(env, "KEYWARD_ROOT_SECRET").ok_or_else(|| format!("KEYWARD_ROOT_SECRET is not set: {HOW}"))?;
        let root = secret("KEYWARD_ROOT_SECRET", &root)?;
        let retired = text(env, "KEYWARD_RETIRED_ROOT_SECRETS").unwrap_or_default();
        let retired = list(&retired)
            .into_iter()
            .map(|value| secret("KEYWARD_RETIRED_ROOT_SECRETS", value))
            .collect::<Result<Vec<_>, _>>()?;
        let tag = text(env, "KEYWARD_TAG_KEY").ok_or_else(|| format!("KEYWARD_TAG_KEY is not set: {HOW}"))?;
        let retired_tags = text(env, "KEYWARD_RETIRED_TAG_KEYS").unwrap_or_default();
        let tags = TagKeys::from_hex(&tag, list(&retired_tags))
            .map_err(|_| format!("KEYWARD_TAG_KEY or KEYWARD_RETIRED_TAG_KEYS is no secret: {HOW}"))?;
        let brand = text(env, "KEYWARD_BRAND").unwrap_or_else(|| "psk".to_owned());
        let named = text(env, "KEYWARD_ENVIRONMENTS").unwrap_or_else(|| "live,test:mock,staging,dev".to_owned());
        let named: Vec<(&str, bool)> = list(&named)
            .into_iter()
            .map(|word| word.strip_suffix(":mock").map_or((word, false), |word| (word, true)))
            .collect();
        let environments: Vec<String> = named.iter().map(|(word, _)| (*word).to_owned()).collect();
        let mocks = named.iter().filter(|(_, mock)| *mock).map(|(word, _)| (*word).to_owned()).collect();
        if !is_word(&brand) {
            return Err("KEYWARD_BRAND must be 2 to 12 of a-z and 0-9, a letter first".to_owned());
        }
        if environments.is_empty() || !environments.iter().all(|word| is_word(word)) {
            return Err("KEYWARD_ENVIRONMENTS must be words of 2 to 12 of a-z and 0-9, separated by commas, each followed by :mock where it is one".to_owned());
        }
        let origins = |name: &str| {
            let named = text(env, name).unwrap_or_default();
            let origins: Vec<String> = list(&named).into_iter().map(str::to_owned).collect();
            match origins.iter().all(|origin| is_origin(origin)) {
                true => Ok(origins),
                false => Err(format!("{name} must be origins such as http://127.0.0.1:8788, separated by commas")),
            }
        };
        let turnstile_url = text(env, "KEYWARD_TURNSTILE_URL")
            .unwrap_or_else(|| "https://challenges.cloudflare.com/turnstile/v0/siteverify".to_owned());
        let turnstile = text(env, "KEYWARD_TURNSTILE_SECRET").map(|secret| (secret, turnstile_url));
        let seed = |root: &RootSecret| (root.name().to_string(), root.subkey(Purpose::Identity));
        let first_key = text(env, "KEYWARD_FIRST_KEY")
            .map(|json| crate::read::read(&json))
            .transpose()
            .map_err(|_| "KEYWARD_FIRST_KEY is not what `npm start` or `keyward init` wrote".to_owned())?;
        let foreign = text(env, "KEYWARD_FOREIGN_PREFIXES").unwrap_or_default();
        let foreign = Prefix::read_all(&foreign, &brand, &environments)
            .map_err(|problem| format!("KEYWARD_FOREIGN_PREFIXES, such as sk_live_:live,sk_test_:test: {problem}"))?;
        let partners =
            text(env, "KEYWARD_LEAK_PARTNERS").map(|json| Partners::read(&json)).transpose().map_err(|problem| {
                format!("KEYWARD_LEAK_PARTNERS is not the list of public keys that GitHub publishes: {problem}")
            })?;
        Ok(Self {
            peppers: Peppers::new(&root, &retired),
            audit: AuditKeys::new(&root, &retired),
            sessions: SessionKeys::new(&root, &retired),
            sealing: SealingKeys::new(&root, &retired),
            identity: std::iter::once(&root).chain(&retired).map(seed).collect(),
            issuer: text(env, "KEYWARD_ISSUER").unwrap_or_else(|| "keyward".to_owned()),
            local_upstreams: origins("KEYWARD_LOCAL_UPSTREAMS")?,
            local_webhooks: origins("KEYWARD_LOCAL_WEBHOOKS")?,
            turnstile,
            mocks,
            brand,
            environments,
            tags,
            foreign,
            partners,
            #[cfg(feature = "fault-injection")]
            fault: text(env, "KEYWARD_FAULT"),
            first_key,
        })
    }

    /// An environment that a caller asks for; a misspelt one must not look like a wrong key.
    ///
    /// # Errors
    /// [`Invalid`] naming those that there are.
    pub fn known_environment<'e>(&self, asked: Option<&'e str>) -> Result<Option<&'e str>, Invalid> {
        match asked.is_none_or(|name| self.environments.iter().any(|known| known == name)) {
            true => Ok(asked),
            false => Err(Invalid::new("environment", format!("must be one of: {}", self.environments.join(", ")))),
        }
    }

    /// Whether this deployment made `id`, in whichever environment.
    pub fn issued_in_any(&self, id: &str) -> bool {
        self.environments.iter().any(|environment| self.tags.issued(&self.brand, environment, id))
    }
}

/// The answer to everything while the deployment is not configured.
pub fn unconfigured(request: &Request, problem: &str) -> JsValue {
    Problem::new(503, "NOT_CONFIGURED", "keyward is not configured", problem).respond(request)
}
