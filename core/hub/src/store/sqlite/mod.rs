//! Both stores on SQLite, each in a file of its own with one thread that writes it.

mod audit;
mod audit_reader;
mod audit_truth;
mod database;
mod desk;
mod front;
mod set_aside;
mod standing;
#[cfg(test)]
mod upgrades;

use std::str::FromStr;

use rusqlite::{Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};
use tazune_model::Timestamp;

pub(crate) use audit_reader::{AuditReader, WitnessError};
pub use desk::SqliteDeskStore;
pub use front::SqliteFrontStore;

/// A column that holds the text of a `T`.
fn parsed<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| unreadable(column))
}

/// A column that holds the JSON of a `T`.
fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let json: String = row.get(column)?;
    serde_json::from_str(&json).map_err(|_| unreadable(column))
}

/// A column that holds the JSON of a `T`, or null.
fn from_optional_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let json: Option<String> = row.get(column)?;
    json.map(|json| serde_json::from_str(&json)).transpose().map_err(|_| unreadable(column))
}

/// An instant as text that sorts by time.
fn instant(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// The instant that [`instant`] wrote, or null.
fn optional_instant(text: Option<String>) -> rusqlite::Result<Option<Timestamp>> {
    text.map(|text| text.parse()).transpose().map_err(|_| unreadable("of an instant"))
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("messages of the link have no map with keys other than text")
}

fn unreadable(column: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, format!("column {column} is not of its shape").into())
}
