//! The rules held to their examples, and streams to what one look at the whole gives.

use super::*;
use base64ct::{Base64, Encoding as _};
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

/// The first example of a rule.
fn example_of(id: &str) -> String {
    let number = RULES.iter().position(|rule| rule.id == id).expect(id);
    example(SAMPLES[number].0[0])
}

#[test]
fn places_are_those_of_the_whole_text_however_many_windows_it_has() {
    // Lines of many lengths, with letters of several bytes: every so often a finding stands just before a window's limit.
    let secret = example(SAMPLES[0].0[0]);
    for mark in ["", "\u{feff}"] {
        let mut text = mark.to_owned();
        let mut expected = Vec::new();
        for line in 1..=12_000_u32 {
            let indent = "é".repeat(line as usize * 7 % 300);
            if line % 5 == 0 {
                expected.push((line, indent.chars().count() as u32 + 2));
                text.push_str(&format!("{indent} {secret}\n"));
            } else {
                text.push_str(&format!("{indent}{}\n", "x".repeat(line as usize * 13 % 200)));
            }
        }
        assert!(text.len() > 3 << 20);
        let found = scanner().scan("x.txt", text.as_bytes()).expect("text");
        let places: Vec<(u32, u32)> = found.iter().map(|finding| (finding.line, finding.column)).collect();
        assert_eq!(places.len(), expected.len());
        assert_eq!(places.iter().zip(&expected).find(|(told, right)| told != right), None);
    }
    // The mark of the byte order is no column.
    let found = scanner().scan("x", format!("\u{feff}{secret} \n").as_bytes()).expect("text");
    assert_eq!((found[0].line, found[0].column), (1, 1));
}

#[test]
fn what_belongs_to_a_value_that_was_cut_short_is_not_shown() {
    let scanner = scanner();
    for (path, text) in [
        ("a.yml", "password: kX9m¦Q2vL7pR4,Tz8w¦Hq3c"),
        ("a.yml", "password: kX9m¦Q2vL7pR4;Tz8w¦Hq3c"),
        ("a.properties", "db.password = Xk9m¦2QpLw8vT&Tz8w¦Hq3c"),
        ("a.ini", "password = kX9m¦Q2vL7pR4)Tz8w¦Hq3c"),
        ("a.ini", "password = kX9m¦Q2vL7pR4]Tz8w¦Hq3c"),
        ("a.env", "DB_PASSWORD=kX9m¦Q2vL7pR4\"Tz8w¦Hq3c"),
        ("a.env", "DB_PASSWORD=kX9m¦Q2vL7pR4'Tz8w¦Hq3c"),
        ("a.env", "DB_PASSWORD=kX9m¦Q2vL7pR4\\Tz8w¦Hq3c"),
        ("a.netrc", "machine h login svc password kX9m¦Q2vL7pR4;Tz8w¦Hq3c"),
        ("a.xml", "<password>kX9m¦Q2vL7pR4]Tz8w¦Hq3c</password>"),
        ("a.yml", "password: 'kX9m¦Q2vL7pR4''Tz8w¦Hq3c'"),
        ("a.yml", "password: 'kX9m¦Q2vL7pR4''b Tz8w¦Hq3c'"),
        ("a.sh", "export DB_PASSWORD='kX9m¦Q2vL7pR4'\"'\"'Tz8w¦Hq3c'"),
        ("a.js", "password = \"kX9m¦Q2vL7pR4\" + \"Tz8w¦Hq3c\";"),
        ("a.js", "password = \"kX9m¦Q2vL7pR4\"+'Tz8 \\'w¦Hq3c' + `Tz8w¦Hq3c`;"),
        ("a.php", "$password = \"kX9m¦Q2vL7pR4\" . \"Tz8w¦Hq3c\";"),
        ("a.py", "password = \"kX9m¦Q2vL7pR4\" \"Tz8w¦Hq3c\""),
        ("a.txt", "postgres://svc:Xq7m¦2Wp@Tz8w¦Hq3c@db.acme.io/app"),
        ("a.sh", "mysql --password=kX9m¦Q2vL7pR4\\ Tz8w¦Hq3c db"),
        ("a.sh", "cu¦rl -u \"svc:kX9m¦Q2v\\\"Tz8w¦Hq3c\" https://x"),
        ("a.txt", "Server=db;Password=kX9m¦Q2vL7pR4,Tz8w¦Hq3c;Uid=x"),
    ] {
        let text = example(text) + "\n";
        let found = scanner.scan(path, text.as_bytes()).expect("text");
        assert_eq!(found.len(), 1, "{text}");
        let Finding { excerpt, excerpt_at: [at, length], redacted, .. } = &found[0];
        assert!(!excerpt.contains("Hq3c") && !excerpt.contains("Tz8"), "{text}{excerpt}");
        let shown: String = excerpt.chars().skip(*at as usize).take(*length as usize).collect();
        assert_eq!(shown, *redacted, "{text}");
    }
    // Behind a true end all is shown.
    for (path, text, rest) in [
        ("a.js", "f({ password: 'kX9m¦Q2vL7pR4' }, next)", "…' }, next)"),
        ("a.json", "{\"password\":\"kX9m¦Q2vL7pR4\",\"user\":\"ada\"}", "…\",\"user\":\"ada\"}"),
        ("a.json", "\"{\\\"password\\\":\\\"kX9m¦Q2vL7pR4\\\",\\\"user\\\":1}\"", "…\\\",\\\"user\\\":1}\""),
        ("a.html", "{&quot;password&quot;:&quot;kX9m¦Q2vL7pR4&quot;,&quot;a&quot;:1}", "…&quot;,&quot;a&quot;:1}"),
        ("a.xml", "<password>kX9m¦Q2vL7pR4</password> <a/>", "…</password> <a/>"),
        ("a.html", "<x data-password=\"kX9m¦Q2vL7pR4\"/>", "…\"/>"),
        ("a.txt", "postgres://svc:Xq7m¦2Wp@db.acme.io/app?x=a@b", "…@db.acme.io/app?x=a@b"),
        ("a.env", "DB_PASSWORD=kX9m¦Q2vL7pR4 # of the test", "… # of the test"),
        ("a.yml", "- \"DB_PASSWORD=kX9m¦Q2vL7pR4\" # x", "…\" # x"),
    ] {
        let text = example(text);
        let found = scanner.scan(path, text.as_bytes()).expect("text");
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].excerpt.ends_with(rest), "{text}\n{}", found[0].excerpt);
    }
    // A value that is hidden hides nothing of the finding behind it.
    let text = example("?password=kX9m¦Q2vL7pR4&api_secret=h7Kq¦2mZp9wXc4vBn8tRs&x=1");
    let found = scanner.scan("a.env", text.as_bytes()).expect("text");
    assert_eq!(found.len(), 2);
    for finding in found {
        let [at, length] = finding.excerpt_at.map(|place| place as usize);
        assert_eq!(finding.excerpt.chars().skip(at).take(length).collect::<String>(), finding.redacted);
        assert!(!finding.excerpt.contains("h7Kq2mZp9") && !finding.excerpt.contains("kX9mQ"), "{}", finding.excerpt);
    }
}

#[test]
fn padding_of_base64_is_no_type() {
    for text in ["api_secret: u8jz¦Pde0IgxLd6GncfBAepfJBd0=\n", "api_secret: u8jz¦Pde0IgxLd6GncfBAepfJBd0=\nx: 'y'\n"]
    {
        let text = example(text);
        let found = scanner().scan("x.yaml", text.as_bytes()).expect("text");
        assert_eq!(found.iter().map(|finding| finding.length).collect::<Vec<_>>(), [28], "{text}");
    }
}

#[test]
fn private_keys_are_found_however_their_lines_are_joined() {
    let key = example_of("private-key-rsa");
    let key = &key[..key.rfind("-----END").expect("an end")];
    let lines: Vec<&str> = key.trim_end().lines().collect();
    let prefixed = |prefix: &str| lines.iter().map(|line| format!("{prefix}{line}\n")).collect::<String>();
    let joined = |between: &str| format!("k = \"{}\"", lines.join(between));
    for text in [
        joined("\\n"),
        joined("\\r\\n"),
        joined("\\\\n"),
        joined("\\\\\\\\n"),
        joined("\\u000a"),
        joined("&#10;"),
        joined("\\n\" +\n \""),
        joined("\\n\"\n  + \""),
        joined("\\n\" . \""),
        joined("\\n\" .\n '"),
        joined("\",\n  \""),
        joined("\\n\\\n"),
        joined("\\n").replace('/', "\\/"),
        prefixed("    "),
        prefixed("// "),
        prefixed("# "),
        prefixed("> "),
        prefixed("+"),
        prefixed("-"),
        prefixed(" * "),
        lines.join("\r\n"),
    ] {
        let found = scanner().scan("x.txt", text.as_bytes()).expect("text");
        assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["private-key-rsa"], "{text}");
        let part = |line: &&&str| found[0].excerpt.contains(&line[..12]);
        assert_eq!(lines[1..].iter().find(part), None, "{}", found[0].excerpt);
    }
    // Cut short for a document, with words behind.
    let text = format!(
        "{}...\n\nand what else is to be said of this key in the document that shows it, in many a word\n",
        &key[..60]
    );
    assert_eq!(scanner().scan("x.txt", text.as_bytes()).expect("text"), []);
}

#[test]
fn what_a_terminal_or_an_escape_puts_before_a_token_is_none_of_it() {
    let secret = example(SAMPLES[0].0[0]);
    for before in [
        "\\x22",
        "x\\x3d",
        "a\\0",
        "a\\012",
        "\x1b[32m",
        "\x1b[1;38;5;208m",
        "\\x1b[32m",
        "\\033[1;32m",
        "\\u001b[0m",
        "\\e[0m",
    ] {
        let text = format!("{before}{secret} ");
        assert_eq!(scanner().scan("x", text.as_bytes()).expect("text").len(), 1, "{text}");
    }
    for before in ["a[32m", "x22", "x0", "\\\\q0", "m"] {
        let text = format!("{before}{secret} ");
        assert_eq!(scanner().scan("x", text.as_bytes()).expect("text").len(), 0, "{text}");
    }
}

#[test]
fn secrets_of_kubernetes_are_found_as_kubectl_prints_them() {
    // Under names that speak of nothing: it is the kind of the document that tells.
    let value = Base64::encode_string(example(SAMPLES[0].0[0]).as_bytes());
    for text in [
        format!("apiVersion: v1\nkind: Secret\ndata:\n  gh: {value}\n"),
        format!("apiVersion: v1\ndata:\n  gh: {value}\nkind: Secret\nmetadata:\n  name: x\n"),
        format!("kind:   Secret\ndata:\n  gh: \"{value}\"\n"),
        format!("kind: \"Secret\"\ndata:\n  gh: '{value}' # of the test\n"),
        format!("kind: 'Secret'\r\ndata: {{gh: {value}}}\r\n"),
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"data\":{{\"user\":\"YWRh\",\"gh\":\"{value}\"}}}}"),
        format!("{{\n  \"data\": {{\n    \"gh\": \"{value}\"\n  }},\n  \"kind\": \"Secret\"\n}}\n"),
    ] {
        let found = scanner().scan("x.yaml", text.as_bytes()).expect("text");
        let places: Vec<(u64, u32)> = found.iter().map(|finding| (finding.offset, finding.length)).collect();
        assert_eq!(places, [(text.find(&value).expect("a value") as u64, value.len() as u32)], "{text}");
    }
    for text in [
        format!("kind: SecretStore\ndata:\n  gh: {value}\n"),
        format!("data:\n  gh: {value}\n---\nkind: Secret\n"),
        format!("kind: Secret\n---\ndata:\n  gh: {value}\n"),
    ] {
        assert_eq!(scanner().scan("x.yaml", text.as_bytes()).expect("text"), [], "{text}");
    }
}

#[test]
fn a_mark_that_allows_is_a_word_of_its_own() {
    let secret = example(SAMPLES[0].0[0]);
    for (text, found) in [
        (format!("{secret} # keyward:allowlist\n"), 1),
        (format!("{secret} # keyward:allow_list\n"), 1),
        (format!("{secret} # keyward:allow-list\n"), 1),
        (format!("{secret} # notkeyward:allow\n"), 1),
        (format!("{secret} # keyward:allowlist keyward:allow\n"), 0),
        (format!("{secret} <!--keyward:allow-->\n"), 0),
        (format!("{secret} /*gitleaks:allow*/\n"), 0),
    ] {
        assert_eq!(scanner().scan("x", text.as_bytes()).expect("text").len(), found, "{text}");
    }
}

#[test]
fn a_web_token_that_a_secret_is_set_to_is_more_than_one_somewhere() {
    let token = example_of("jwt");
    for (text, confidence) in [
        (format!("SECRET_TOKEN={token}\n"), Confidence::Medium),
        (format!("const apiToken = \"{token}\";\n"), Confidence::Medium),
        (format!("SUPABASE_ANON_KEY={token}\n"), Confidence::Low),
        (format!("value={token}\n"), Confidence::Low),
    ] {
        let found = scanner().scan("x.env", text.as_bytes()).expect("text");
        assert_eq!(
            found.iter().map(|finding| (finding.rule, finding.confidence)).collect::<Vec<_>>(),
            [("jwt", confidence)]
        );
    }
}

#[test]
fn passwords_of_connection_strings_hold_what_drivers_take() {
    for (password, found) in [
        ("Xq7m2Wp#Rt9v", 1),
        ("Xq7m2Wp$Rt9v", 1),
        ("Xq7m2Wp^Rt9v", 1),
        ("Xq7m2Wp!Rt9v", 1),
        ("app$DB_PASS", 0),
        ("$DB_PASS", 0),
    ] {
        let text = format!("postgres://svc:{password}@db.acme.io/app\n");
        assert_eq!(scanner().scan("x.txt", text.as_bytes()).expect("text").len(), found, "{text}");
    }
}
