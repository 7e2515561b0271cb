//! The rules held to their examples, and streams to what one look at the whole gives.

use super::*;
use proptest::prelude::*;

thread_local! {
    /// Made once: it compiles hundreds of patterns by and by.
    static SCANNER: &'static Scanner = Box::leak(Box::new(Scanner::new(&[], false)));
}

fn scanner() -> &'static Scanner {
    SCANNER.with(|scanner| *scanner)
}

/// Examples have a mark behind their prefix, so that no scanner takes the rules themselves for a leak.
fn example(text: &str) -> String {
    text.replace('¦', "")
}

#[test]
fn every_rule_finds_its_examples_and_not_its_counterexamples() {
    let scanner = scanner();
    let mut wrong = Vec::new();
    for (rule, (examples, counterexamples)) in RULES.iter().zip(SAMPLES) {
        if let Err(problem) = Pattern::new(rule.pattern) {
            wrong.push(format!("{}: {problem}: {}", rule.id, rule.pattern));
            continue;
        }
        for text in *examples {
            let found = scanner.scan("", example(text).as_bytes()).expect("text");
            if !found.iter().any(|finding| finding.rule == rule.id) {
                wrong.push(format!(
                    "{}: finds {:?} in {text}",
                    rule.id,
                    found.iter().map(|f| f.rule).collect::<Vec<_>>()
                ));
            }
        }
        for text in *counterexamples {
            let found = scanner.scan("", example(text).as_bytes()).expect("text");
            if found.iter().any(|finding| finding.rule == rule.id) {
                wrong.push(format!("{}: is found in {text}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} rules:\n{}", wrong.len(), RULES.len(), wrong.join("\n"));
}

/// A text of secrets and what looks like some, with line ends and letters of several bytes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<String> = SAMPLES
        .iter()
        .flat_map(|(examples, counterexamples)| examples.iter().chain(*counterexamples))
        .map(|text| example(text))
        .collect();
    let piece = prop_oneof![
        3 => proptest::sample::select(samples).prop_map(String::into_bytes),
        1 => "[a-z =:\"']{0,20}".prop_map(String::into_bytes),
        1 => Just("\n".into()),
        1 => Just("ключ \u{1f511} = ".into()),
        1 => proptest::collection::vec(1_u8..255, 0..10),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(&b' '))
}

proptest! {
    #[test]
    fn chunks_change_nothing(text in pieces(), cuts in proptest::collection::vec(1_usize..400, 1..20)) {
        let scanner = scanner();
        let whole = scanner.scan("x.yaml", &text);
        let mut stream = scanner.stream("x.yaml");
        let mut rest = &text[..];
        let mut broken = false;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() || broken {
                break;
            }
            let (chunk, more) = rest.split_at(rest.len().min(*cut));
            broken = stream.push(chunk).is_err();
            rest = more;
        }
        let chunked = if broken { Err(Binary) } else { stream.end().map(|report| report.findings) };
        prop_assert_eq!(chunked, whole);
    }

    #[test]
    fn findings_tell_where_and_never_what(text in pieces()) {
        for finding in scanner().scan("x.yaml", &text).unwrap_or_default() {
            let at = finding.offset as usize;
            let secret = &text[at..at + finding.length as usize];
            let before = String::from_utf8_lossy(&text[..at]).into_owned();
            prop_assert_eq!(finding.line as usize, before.matches('\n').count() + 1);
            let told = serde_json::to_string(&finding).expect("JSON");
            let secret = String::from_utf8_lossy(secret).into_owned();
            prop_assert!(secret.len() < 12 || finding.rule.starts_with("private-key") || !told.contains(&secret), "{}", told);
            let excerpt: Vec<char> = finding.excerpt.chars().collect();
            let [from, length] = finding.excerpt_at.map(|place| place as usize);
            prop_assert_eq!(excerpt[from..from + length].iter().collect::<String>(), finding.redacted);
        }
    }

    #[test]
    fn no_text_brings_it_down(text in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = scanner().scan("x", &text);
    }
}

#[test]
fn what_a_finding_hides_is_hidden_wherever_its_line_says_it() {
    // The same text twice: of a name that speaks of no secret, and of one that does. Then cut by the edges of what is shown.
    let secret = ["d442d53ea3d8fbf50109", "5a9f1b91ee9957ab86"].concat();
    let scanner = scanner();
    for text in [
        format!("unrelated={secret} SPARKPOST_API_KEY={secret}"),
        format!("SPARKPOST_API_KEY={secret} unrelated={secret} {secret}"),
        format!("unrelated={secret}{}SPARKPOST_API_KEY={secret}", " ".repeat(25)),
        format!("SPARKPOST_API_KEY={secret}{}unrelated={secret}", " ".repeat(25)),
    ] {
        let found = scanner.scan("x.yaml", text.as_bytes()).expect("text");
        assert_eq!(found.len(), 1, "{text}");
        let parts = (0..=secret.len() - 8).map(|at| &secret[at..at + 8]);
        for part in parts {
            assert!(!found[0].excerpt.contains(part), "{}", found[0].excerpt);
        }
    }
}

#[test]
fn an_allow_comment_is_of_its_line_or_alone_of_the_next() {
    let secret = example(SAMPLES[0].0[0]);
    let scanner = scanner();
    for (text, lines, allowed) in [
        (format!("{secret} # keyward:allow\n{secret}\n"), vec![2], 1),
        (format!("  // keyward:allow\r\n{secret}\r\n{secret}\r\n"), vec![3], 1),
        (format!("<!-- Keyward:Allow: a sample -->\n{secret}\n"), vec![], 1),
        (format!("# keyward:allow\n\n{secret}\n"), vec![3], 0),
        (format!("x # keyward:allow\n{secret}"), vec![2], 0),
        (format!("{secret}\n# keyward:allow\n"), vec![1], 0),
    ] {
        let mut stream = scanner.stream("x");
        stream.push(text.as_bytes()).expect("text");
        let report = stream.end().expect("text");
        let found: Vec<u32> = report.findings.iter().map(|finding| finding.line).collect();
        assert_eq!((found, report.allowed), (lines, allowed), "{text}");
    }
}
