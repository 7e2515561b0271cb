//! Writes `rules.toml` as constants: a rule that is not sound fails the build, and nothing is parsed when a scan begins.
#![allow(clippy::print_stdout)]

fn main() {
    println!("cargo::rerun-if-changed=src/scan/rules.toml");
    println!("cargo::rerun-if-changed=src/scan/build.rs");
    #[cfg(feature = "scan")]
    scan::write();
}

#[cfg(feature = "scan")]
mod scan {
    use std::fmt::Write as _;
    use std::{collections::HashSet, env, fs, path::Path};
    use toml::{Table, Value};

    const FIELDS: [&str; 12] = [
        "id",
        "provider",
        "name",
        "pattern",
        "anchors",
        "keywords",
        "check",
        "confidence",
        "revoke",
        "note",
        "examples",
        "counterexamples",
    ];

    struct Rule<'t>(&'t Table);

    impl<'t> Rule<'t> {
        fn text(&self, field: &str) -> Option<&'t str> {
            self.0.get(field).map(|value| value.as_str().unwrap_or_else(|| panic!("{field} is no text: {:?}", self.0)))
        }

        fn needed(&self, field: &str) -> &'t str {
            self.text(field).unwrap_or_else(|| panic!("a rule has no {field}: {:?}", self.0))
        }

        fn list(&self, field: &str) -> Vec<&'t str> {
            let list = self.0.get(field).map_or(&[][..], |value| value.as_array().expect("a list"));
            list.iter().map(|value| value.as_str().expect("a text")).collect()
        }
    }

    /// `github-crc32` to `GithubCrc32`.
    fn camel(name: &str) -> String {
        let word = |word: &str| word[..1].to_uppercase() + &word[1..];
        name.split('-').map(word).collect()
    }

    /// The literal that a pattern begins with.
    fn leading(pattern: &str) -> String {
        let mut out = String::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            let literal = match letter {
                '\\' => match letters.next() {
                    Some(escaped) if !escaped.is_ascii_alphanumeric() => escaped,
                    _ => break,
                },
                '(' | ')' | '[' | ']' | '{' | '}' | '?' | '*' | '+' | '|' | '.' => break,
                literal => literal,
            };
            // What is repeated is no literal.
            if matches!(letters.peek(), Some('?' | '*' | '+' | '{')) {
                break;
            }
            out.push(literal);
        }
        // An alternation at the top is begun by each of its parts.
        let mut depth = 0;
        for letter in pattern.replace("\\(", "").replace("\\)", "").replace("\\|", "").chars() {
            match letter {
                '(' | '[' => depth += 1,
                ')' | ']' => depth -= 1,
                '|' if depth == 0 => return String::new(),
                _ => {}
            }
        }
        out
    }

    pub(super) fn write() {
        let text = fs::read_to_string("src/scan/rules.toml").expect("src/scan/rules.toml");
        let file: Table = text.parse().unwrap_or_else(|error| panic!("src/scan/rules.toml: {error}"));
        let rules = file["rule"].as_array().expect("rules");
        let mut out = String::from("/// The rules of `rules.toml`.\nstatic RULES: &[Rule] = &[\n");
        let mut samples = String::from(
            "/// Their examples and counter-examples.\n#[cfg(test)]\nstatic SAMPLES: &[(&[&str], &[&str])] = &[\n",
        );
        let mut ids = HashSet::new();
        for rule in rules.iter().map(Value::as_table).map(|table| Rule(table.expect("a rule"))) {
            let id = rule.needed("id");
            let unknown: Vec<&String> = rule.0.keys().filter(|field| !FIELDS.contains(&field.as_str())).collect();
            assert!(unknown.is_empty(), "rule {id} has fields that nobody knows: {unknown:?}");
            assert!(ids.insert(id), "rule {id} is there twice");
            let (examples, counterexamples) = (rule.list("examples"), rule.list("counterexamples"));
            assert!(
                !examples.is_empty() && !counterexamples.is_empty(),
                "rule {id} has no example or no counter-example"
            );
            let (pattern, keywords, mut anchors) =
                (rule.needed("pattern"), rule.list("keywords"), rule.list("anchors"));
            let begins = leading(pattern.strip_prefix("(?i)").unwrap_or(pattern));
            if anchors.is_empty() && keywords.is_empty() {
                anchors.push(&begins);
            }
            let sound = anchors.iter().chain(&keywords).all(|literal| literal.len() >= 3 && literal.is_ascii());
            assert!(sound, "rule {id} has an anchor or a keyword of less than three bytes");
            assert!(anchors.is_empty() != keywords.is_empty(), "rule {id} has both anchors and keywords");
            let check = rule.text("check").map_or("None".to_owned(), |check| format!("Some(Check::{})", camel(check)));
            let (provider, name, confidence) =
                (rule.needed("provider"), rule.needed("name"), camel(rule.needed("confidence")));
            let (revoke, note) = (rule.text("revoke"), rule.text("note"));
            writeln!(
                out,
                "Rule {{ id: {id:?}, provider: {provider:?}, name: {name:?}, pattern: {pattern:?}, anchors: &{anchors:?}, \
                 keywords: &{keywords:?}, check: {check}, confidence: Confidence::{confidence}, revoke: {revoke:?}, note: {note:?} }},"
            )
            .expect("a string");
            writeln!(samples, "(&{examples:?}, &{counterexamples:?}),").expect("a string");
        }
        let folder = env::var_os("OUT_DIR").expect("OUT_DIR");
        fs::write(Path::new(&folder).join("rules.rs"), format!("{out}];\n{samples}];\n"))
            .expect("OUT_DIR can be written");
    }
}
