//! Durable Object storage: SQL with plain values, and transactions that are all or nothing.

use crate::host::Transactional;
use wasm_bindgen::{JsCast, JsValue};
use worker::{SqlStorageValue, State};

/// The SQLite database of one object.
pub struct Store {
    state: State,
    sql: worker::SqlStorage,
}

/// A statement that failed, in the database's words.
#[derive(Debug)]
pub struct StorageError(pub String);

impl From<worker::Error> for StorageError {
    fn from(error: worker::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<StorageError> for JsValue {
    fn from(error: StorageError) -> Self {
        js_sys::Error::new(&format!("storage: {}", error.0)).into()
    }
}

impl Store {
    pub fn new(state: State) -> Self {
        let sql = state.storage().sql();
        Self { state, sql }
    }

    /// Runs a statement and returns its rows.
    pub fn rows(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<Vec<SqlStorageValue>>, StorageError> {
        self.sql.exec(query, values)?.raw().collect::<worker::Result<_>>().map_err(StorageError::from)
    }

    /// Runs a statement for its effect.
    pub fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<(), StorageError> {
        self.sql.exec(query, values).map(|_| ()).map_err(StorageError::from)
    }

    /// Runs `write` in one transaction.
    pub fn transact(&self, mut write: impl FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        let storage = self.state.storage();
        let raw: &Transactional = storage.as_raw().unchecked_ref();
        raw.transact(|| write().map_err(JsValue::from)).map_err(|error| StorageError(format!("{error:?}")))
    }

    /// Whether the tables of this object were ever made. Asking makes nothing.
    pub fn exists(&self, table: &str) -> Result<bool, StorageError> {
        Ok(!self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", vec![table.into()])?.is_empty())
    }

    /// Wakes the object in `milliseconds`.
    pub async fn wake_in(&self, milliseconds: i64) -> Result<(), StorageError> {
        Ok(self.state.storage().set_alarm(milliseconds).await?)
    }

    /// Forgets everything, the wake-up too.
    pub async fn clear(&self) -> Result<(), StorageError> {
        self.sleep().await?;
        Ok(self.state.storage().delete_all().await?)
    }

    /// Cancels the wake-up.
    pub async fn sleep(&self) -> Result<(), StorageError> {
        Ok(self.state.storage().delete_alarm().await?)
    }
}

/// A text column.
pub fn text(value: &SqlStorageValue) -> Result<&str, StorageError> {
    match value {
        SqlStorageValue::String(text) => Ok(text),
        _ => Err(StorageError("a column holds no text".to_owned())),
    }
}

/// A counter column; below 2^53, since the runtime passes numbers as doubles.
pub fn number(value: &SqlStorageValue) -> Result<u64, StorageError> {
    match value {
        SqlStorageValue::Integer(number) => {
            u64::try_from(*number).map_err(|_| StorageError("a counter is negative".to_owned()))
        }
        _ => Err(StorageError("a column holds no number".to_owned())),
    }
}

/// A counter as a value to bind.
pub fn bound(number: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
