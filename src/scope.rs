//! Scopes: `resource:action`, with `*` for either side. A request names what it needs; a scope grants, never denies.
//! keyward's own scopes have resources that begin with `keyward.`, and no `*` reaches into those.

use crate::error::Invalid;
use serde::{Deserialize, Serialize};

/// Longest scope, in bytes.
pub const MAX_LENGTH: usize = 100;
const OWN: &str = "keyward.";
/// The one wildcard over keyward's own resources.
const ALL_OWN: &str = "keyward.*";
/// keyward's own scopes: what its endpoints ask for, and proxies.
pub const OWN_SCOPES: [&str; 13] = [
    "keyward.audit:read",
    "keyward.authorize:proxy",
    "keyward.keys:read",
    "keyward.keys:verify",
    "keyward.keys:write",
    "keyward.leaks:write",
    "keyward.metrics:read",
    "keyward.routes:read",
    "keyward.routes:write",
    "keyward.sessions:create",
    "keyward.usage:read",
    "keyward.usage:write",
    "keyward.webhooks:manage",
];

/// What a key holds: `calls:create`, `calls:*`, `*:read`, `*:*`, `keyward.keys:write`, `keyward.*:*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

/// What a request needs: a resource and an action without wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed<'a> {
    resource: &'a str,
    action: &'a str,
    text: &'a str,
}

const SHAPE: &str = "a scope is resource:action in a-z, 0-9, '.', '-', '_', with '*' alone for either side";

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
}

impl Scope {
    /// Reads a scope; the error says what a scope is.
    ///
    /// # Errors
    /// A sentence without the text itself.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (resource, action) = text.split_once(':').ok_or(SHAPE)?;
        if text.len() > MAX_LENGTH {
            return Err("a scope has at most 100 characters");
        }
        if resource == ALL_OWN && action != "*" {
            return Err("over all of keyward there is only keyward.*:*");
        }
        let resource_fits = resource == "*" || resource == ALL_OWN || is_name(resource);
        let action_fits = action == "*" || is_name(action);
        if resource_fits && action_fits { Ok(Self(text.to_owned())) } else { Err(SHAPE) }
    }

    /// Reads a scope that a key is to hold. One of keyward's own that grants nothing is a slip, and told as one; a stored record may
    /// hold what a newer version knows.
    ///
    /// # Errors
    /// A sentence without the text itself.
    pub fn parse_new(text: &str) -> Result<Self, String> {
        let scope = Self::parse(text)?;
        let grants = |own: &str| Needed::parse(own).is_ok_and(|needed| scope.grants(&needed));
        if scope.is_own() && !OWN_SCOPES.iter().any(|own| grants(own)) {
            return Err(format!("keyward has no such scope; its own are {}", OWN_SCOPES.join(", ")));
        }
        Ok(scope)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is one of keyward's own scopes, which only those may grant who hold them.
    pub fn is_own(&self) -> bool {
        self.0.starts_with(OWN)
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or_else(|| unreachable!("parsed"))
    }

    /// Whether a request that needs `needed` may pass.
    pub fn grants(&self, needed: &Needed<'_>) -> bool {
        let (resource, action) = self.parts();
        reaches(resource, needed.resource) && (action == "*" || action == needed.action)
    }

    /// Whether every request that `other` lets pass, this lets pass too.
    pub fn covers(&self, other: &Self) -> bool {
        let ((resource, action), (other_resource, other_action)) = (self.parts(), other.parts());
        reaches(resource, other_resource) && (action == "*" || action == other_action)
    }
}

/// Whether a held resource, maybe a wildcard, reaches a resource, maybe a narrower wildcard.
fn reaches(held: &str, resource: &str) -> bool {
    match held {
        "*" => !resource.starts_with(OWN),
        ALL_OWN => resource.starts_with(OWN),
        _ => held == resource,
    }
}

impl<'a> Needed<'a> {
    /// Reads what a request needs; the error says what is wrong.
    ///
    /// # Errors
    /// A sentence without the text itself.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > MAX_LENGTH {
            return Err("a scope has at most 100 characters");
        }
        match text.split_once(':') {
            Some((resource, action)) if is_name(resource) && is_name(action) => Ok(Self { resource, action, text }),
            _ => Err("a needed scope is resource:action without wildcards"),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

/// Whether the scopes that a key holds let a request pass that needs all of `needed`.
pub fn grant_all<'n>(held: &[Scope], needed: impl IntoIterator<Item = Needed<'n>>) -> bool {
    needed.into_iter().all(|n| held.iter().any(|scope| scope.grants(&n)))
}

/// The first of keyward's own scopes in `granted` that `held` does not cover: who may not hold it may not grant it.
pub fn beyond<'g>(held: &[Scope], granted: &'g [Scope]) -> Option<&'g Scope> {
    granted.iter().find(|g| g.is_own() && !held.iter().any(|h| h.covers(g)))
}

impl TryFrom<String> for Scope {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text).map_err(|problem| Invalid::new("scope", problem))
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|t| Scope::parse(t).unwrap()).collect()
    }

    fn passes(held: &[&str], needed: &str) -> bool {
        grant_all(&scopes(held), [Needed::parse(needed).unwrap()])
    }

    #[test]
    fn a_slip_in_one_of_keywards_own_scopes_is_told() {
        for text in ["keyward.keys:fly", "keyward.key:read", "keyward.key:*", "keyward.:read", "keyward.keys.x:*"] {
            assert!(Scope::parse(text).is_ok(), "{text}: a stored record may hold it");
            assert!(Scope::parse_new(text).unwrap_err().contains("keyward.keys:write"), "{text}");
        }
        for text in ["keyward.keys:*", "keyward.*:*", "keyward.authorize:proxy", "*:*", "keywards:fly", "calls:create"]
        {
            assert!(Scope::parse_new(text).is_ok(), "{text}");
        }
        assert_eq!(Scope::parse_new("calls").unwrap_err(), SHAPE);
    }

    #[test]
    fn wildcards_reach_everything_but_keyward() {
        assert!(passes(&["calls:create"], "calls:create"));
        assert!(!passes(&["calls:create"], "calls:read"));
        assert!(passes(&["calls:*"], "calls:read"));
        assert!(passes(&["*:read"], "billing:read"));
        assert!(!passes(&["*:*"], "keyward.keys:write"));
        assert!(!passes(&["*:write"], "keyward.keys:write"));
        assert!(passes(&["keyward.*:*"], "keyward.keys:write"));
        assert!(!passes(&["keyward.*:*"], "calls:create"));
        assert!(passes(&["keyward.keys:*"], "keyward.keys:write"));
        assert!(!passes(&["webhooks:manage"], "keyward.webhooks:manage"));
        assert!(!passes(&[], "calls:create"));
    }

    #[test]
    fn one_scope_of_several_needed_is_not_enough() {
        let held = scopes(&["calls:create"]);
        let needed = ["calls:create", "calls:read"].map(|t| Needed::parse(t).unwrap());
        assert!(!grant_all(&held, needed));
        assert!(grant_all(&scopes(&["calls:create", "calls:read"]), needed));
    }

    #[test]
    fn nobody_grants_a_keyward_scope_that_he_does_not_hold() {
        let held = scopes(&["*:*", "keyward.keys:write"]);
        assert_eq!(beyond(&held, &scopes(&["calls:create", "*:*", "keyward.keys:write"])), None);
        for wider in ["keyward.keys:*", "keyward.*:*", "keyward.audit:read"] {
            let granted = scopes(&["calls:create", wider]);
            assert_eq!(beyond(&held, &granted).map(Scope::as_str), Some(wider));
        }
        assert_eq!(beyond(&scopes(&["keyward.*:*"]), &scopes(&["keyward.keys:*", "keyward.*:*"])), None);
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for bad in [
            "",
            "calls",
            ":",
            "calls:",
            ":read",
            "calls:re*",
            "ca*:read",
            "Calls:read",
            "calls:read:x",
            "calls read",
            "keyward.*:read",
            "keyward.k*:read",
            "calls:réad",
            "calls:\nread",
        ] {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
        assert!(Needed::parse("calls:*").is_err());
        assert!(Scope::parse(&format!("{}:x", "a".repeat(99))).is_err());
    }

    proptest! {
        /// `covers` is about all requests at once; `grants` about one. They must never disagree.
        #[test]
        fn a_scope_that_covers_another_grants_all_that_it_grants(
            a in "(\\*|keyward\\.\\*|keyward\\.keys|calls|bill):(\\*|read|write)",
            b in "(\\*|keyward\\.\\*|keyward\\.keys|calls|bill):(\\*|read|write)",
        ) {
            let (Ok(a), Ok(b)) = (Scope::parse(&a), Scope::parse(&b)) else { return Ok(()) };
            let resources = ["keyward.keys", "keyward.audit", "calls", "bill", "other"];
            let texts: Vec<String> = resources.iter().flat_map(|r| ["read", "write", "other"].map(|a| format!("{r}:{a}"))).collect();
            let requests: Vec<Needed<'_>> = texts.iter().map(|t| Needed::parse(t).unwrap()).collect();
            let all = requests.iter().all(|r| !b.grants(r) || a.grants(r));
            prop_assert_eq!(a.covers(&b), all);
        }
    }
}
