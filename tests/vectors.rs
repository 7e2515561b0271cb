//! The vectors of `tests/vectors` against the core, natively. Every file is run, whatever became of the one before;
//! `cargo test --test vectors -- --show-output` names each and counts them by operation.

#[path = "vectors/harness.rs"]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// `(operation/scenario.json, text)` of every file below the directory but those that are no vectors.
fn files() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut found = vec![];
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        let folder = entry.file_name().into_string().unwrap();
        if !entry.file_type().unwrap().is_dir() {
            assert!(
                ["SPEC.md", "files.mjs", "harness.rs", "reference.py"].contains(&&*folder),
                "{folder} is no vector"
            );
            continue;
        }
        // What Python leaves beside a module that was imported.
        if folder == "__pycache__" {
            continue;
        }
        for file in fs::read_dir(entry.path()).unwrap() {
            let file = file.unwrap();
            let name = format!("{folder}/{}", file.file_name().into_string().unwrap());
            found.push((name, fs::read_to_string(file.path()).unwrap()));
        }
    }
    found.sort();
    found
}

/// What is wrong with a vector, a panic of the core included.
fn failure(name: &str, text: &str) -> Option<String> {
    if !name.ends_with(".json") {
        return Some("is no .json file".into());
    }
    catch_unwind(|| harness::run(name, text)).unwrap_or_else(|_| Err("the core panicked".into())).err()
}

#[test]
#[expect(clippy::print_stdout, reason = "the list of the vectors, which the test runner keeps unless it is asked for")]
fn every_vector_in_the_directory_holds() {
    let (mut counts, mut failures) = (BTreeMap::new(), vec![]);
    for (name, text) in files() {
        let operation = name.split_once('/').map_or("", |(folder, _)| folder).to_owned();
        *counts.entry(operation).or_insert(0) += 1;
        match failure(&name, &text) {
            None => println!("ok {name}"),
            Some(problem) => failures.push(format!("{name} {problem}")),
        }
    }
    counts.iter().for_each(|(operation, count)| println!("{count:4} {operation}"));
    println!("{} vectors, {} failures", counts.values().sum::<usize>(), failures.len());
    assert!(failures.is_empty(), "{} vectors fail:\n{}", failures.len(), failures.join("\n"));
    for operation in harness::OPERATIONS {
        assert!(counts.contains_key(operation), "no vector of {operation}");
    }
}

#[test]
fn what_is_no_vector_is_refused() {
    let good = r#"{"description":"d","operation":"sha256","input":{"message":{"text":""}},"expect":{"digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#;
    assert_eq!(harness::run("sha256/x.json", good), Ok(()));
    for (name, text) in [
        ("sha256/unknown-field.json", good.replace(r#""description":"#, r#""comment":"","description":"#)),
        ("sha256/unknown-input.json", good.replace(r#""message":"#, r#""salt":1,"message":"#)),
        ("sha256/unknown-form-of-bytes.json", good.replace(r#""text":"#, r#""base64":"#)),
        ("sha256/two-forms-of-bytes.json", good.replace(r#""text":"#, r#""hex":"","text":"#)),
        ("sha256/unknown-expectation.json", good.replace(r#""digest":"#, r#""mac":1,"digest":"#)),
        ("sha256/no-description.json", good.replace(r#""d""#, r#""""#)),
        ("sha256/no-expectation.json", good.replace("expect", "expected")),
        ("sha256/not-json.json", String::new()),
        ("sha512/operation.json", good.replace("sha256", "sha512")),
        ("parse/another-folder.json", good.to_owned()),
    ] {
        assert!(harness::run(name, &text).is_err(), "{name}");
    }
}

#[test]
fn an_unknown_field_is_refused_at_every_level_of_a_vector() {
    let name = "verdict/valid-all-facts.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let good = fs::read_to_string(path).unwrap();
    assert_eq!(harness::run(name, &good), Ok(()));
    for before in
        [r#""key":"#, r#""record":"#, r#""scopes":"#, r#""secrets":"#, r#""root":"#, r#""hmac":"#, r#""country":"#]
    {
        let changed = good.replace(before, &format!(r#""unheard_of": null, {before}"#));
        assert_ne!(changed, good, "{before}");
        assert!(harness::run(name, &changed).unwrap_err().contains("unheard_of"), "{before}");
    }
}
