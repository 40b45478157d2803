//! Every message of device, front, desk, gateway and card as a fuzz target.
//!
//! A target takes any bytes, reads them as its receiver does, and panics when a rule is broken: what can be read can be
//! written, and reads as the same again; what does not verify is refused; nothing panics, whatever comes.
//!
//! `cargo test -p tazune-fuzz` replays the samples of `tests/vectors`, the findings kept in `corpus/<target>`, and fixed
//! mutations of both. `cargo xtask fuzz <target>` searches for new ones with libFuzzer.

mod card;
mod gateway;
mod link;
mod samples;

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

/// One message, or one family of them, under test.
pub struct Target {
    /// Its name: lower-case words with `-`, as `cargo xtask fuzz` takes it.
    pub name: &'static str,
    /// Reads any bytes; panics when a rule is broken.
    pub run: fn(&[u8]),
    /// Good and bad samples to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub static TARGETS: &[Target] = &[
    link::ENVELOPES_REQUEST,
    link::ENVELOPES_ANSWER,
    link::RECEIPTS_ANSWER,
    link::RECEIPTS_TAKEN,
    link::PAIRING_ANSWER,
    link::SEALED_HELLO,
    link::HELLO,
    link::REPLY,
    link::OFFER,
    link::TYPED_CODE,
    link::DESK_WORK,
    link::DESK_RECEIPTS,
    link::PAIRING_OPENED,
    link::DEVICE_REGISTRATION,
    link::REFUSAL,
    link::ENVELOPE,
    link::RECORD,
    link::RECEIPT,
    link::TOMBSTONE,
    link::RENEWAL,
    link::REFUSALS_NOTED,
    link::AUDIT,
    gateway::CHALLENGE,
    gateway::ANSWER,
    gateway::REQUEST,
    card::CONVERSATION,
];

/// Reads JSON as a `T`; what can be read can be written and is the same when read again.
fn readable<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(value, again, "written and read again it is another");
    Some(value)
}

/// As [`readable`], of a message about which there is nothing more to say.
fn shape<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    let _ = readable::<T>(data);
}
