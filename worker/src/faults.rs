//! Ways to make this Worker fail, for the tests that it survives failing. Compiled only with the feature
//! `fault-injection`, which no shipped build has.

use crate::storage::StorageError;
use keyward::draft::Draft;
use keyward::record::Record;

/// Panics in the handler of a request for a key named so.
pub fn in_handler(draft: &Draft) {
    let record = draft.clone().into_record("", "", keyward::time::Instant::EPOCH);
    assert!(record.name != "fault: panic in handler", "injected");
}

/// Fails, or panics, in the transaction, after the record was written and before its event.
pub fn after_record(record: &Record) -> Result<(), StorageError> {
    assert!(record.name != "fault: panic in object", "injected");
    match record.revoke_reason.as_deref() == Some("fault: storage") || record.name == "fault: storage" {
        true => Err(StorageError("injected".to_owned())),
        false => Ok(()),
    }
}

/// Fails where a leak was taken in and is not marked yet, every second time, for a key whose metadata asks for it.
pub fn in_leak(record: &Record) -> Result<(), StorageError> {
    thread_local! {
        static FAILED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    let asked = record.metadata.get("fault").is_some_and(|fault| fault == "leak");
    match asked && !FAILED.with(|failed| failed.replace(!failed.get())) {
        true => Err(StorageError("injected".to_owned())),
        false => Ok(()),
    }
}
