//! Rules for other scanners, so that they find keys of one's own brand. What they cannot do is to confirm the check digits.

use crate::error::Invalid;
use crate::key::{BODY_LENGTH, ID_LENGTH, is_word};

/// A scanner that reads rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A configuration of gitleaks (TOML) that extends its own.
    Gitleaks,
    /// A custom detector of TruffleHog (YAML).
    TruffleHog,
}

impl Format {
    /// By its name.
    ///
    /// # Errors
    /// [`Invalid`] for another name.
    pub fn named(name: &str) -> Result<Self, Invalid> {
        match name {
            "gitleaks" => Ok(Self::Gitleaks),
            "trufflehog" => Ok(Self::TruffleHog),
            _ => Err(Invalid::new("format", "must be gitleaks or trufflehog")),
        }
    }
}

/// A rule that finds keys of `brand`, from the lengths and letters of the key format itself.
///
/// # Errors
/// [`Invalid`] where `brand` cannot be one.
pub fn rule(format: Format, brand: &str) -> Result<String, Invalid> {
    if !is_word(brand) {
        return Err(Invalid::new("brand", "must be 2 to 12 of a-z and 0-9, a letter first"));
    }
    let regex = format!(r"\b({brand}_[a-z][a-z0-9]{{1,11}}_[0-9A-Za-z]{{{ID_LENGTH}}}_[0-9A-Za-z]{{{BODY_LENGTH}}})\b");
    Ok(match format {
        Format::Gitleaks => format!(
            "title = \"keys of {brand}\"\n\n[extend]\nuseDefault = true\n\n[[rules]]\nid = \"{brand}-api-key\"\n\
             description = \"API key issued by keyward under the brand {brand}\"\nregex = '''{regex}'''\nsecretGroup = 1\nkeywords = [\"{brand}_\"]\n"
        ),
        Format::TruffleHog => format!(
            "detectors:\n  - name: {brand}-api-key\n    description: API key issued by keyward under the brand {brand}\n    \
             keywords:\n      - {brand}_\n    regex:\n      key: '{regex}'\n"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    #[test]
    fn the_rule_finds_every_key_of_its_brand_and_no_other() {
        let written = rule(Format::Gitleaks, "acme").expect("a brand");
        let regex = written.split("'''").nth(1).expect("a pattern");
        assert!(rule(Format::TruffleHog, "acme").expect("a brand").contains(&format!("key: '{regex}'")));
        let regex = regex::Regex::new(regex).expect("a regular expression");
        for environment in ["live", "t1", "staging12345"] {
            for seed in 0..50_u8 {
                let mut next = seed;
                let mut fill = |bytes: &mut [u8]| {
                    bytes.iter_mut().for_each(|byte| (*byte, next) = (next, next.wrapping_mul(37).wrapping_add(11)))
                };
                let key = Key::generate("acme", environment, None, &mut fill).expect("a key");
                let text = format!("x={};", key.expose());
                assert_eq!(regex.captures(&text).map(|found| found[1].to_owned()).as_deref(), Some(key.expose()));
                let other = Key::generate("other", environment, None, &mut fill).expect("a key");
                assert!(!regex.is_match(other.expose()) && !regex.is_match(&format!("{}a", key.expose())));
            }
        }
    }

    #[test]
    fn brands_that_are_none_write_no_rule() {
        for brand in ["", "a", "Acme", "a_b", "ac'me", "'''", "ab\nc", "abcdefghijklm"] {
            assert!(rule(Format::Gitleaks, brand).is_err(), "{brand:?}");
        }
    }
}
