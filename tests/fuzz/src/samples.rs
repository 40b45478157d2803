use serde_json::Value;

/// Samples of the link's messages as `tests/vectors/link` has them.
macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("../../vectors/link/", $name, ".json"))
    };
}

pub(crate) const ENVELOPE: &[u8] = vector!("envelope");
pub(crate) const RECORD: &[u8] = vector!("record");
pub(crate) const VISIT_RECORD: &[u8] = vector!("visit-record");
pub(crate) const RECEIPTS: [&[u8]; 2] = [vector!("receipt-accepted"), vector!("receipt-quarantined")];
pub(crate) const TOMBSTONE: &[u8] = vector!("tombstone");
const AUDIT: &[u8] = vector!("audit");
const FRONT_API: &[u8] = vector!("front-api");
const PAIRING: &[u8] = vector!("pairing");
const KEYS: &[u8] = vector!("keys");

/// The sample of a body of the front's API; a list of samples gives each of its members.
pub(crate) fn front_api(member: &str) -> Vec<Vec<u8>> {
    match &read(FRONT_API)[member] {
        Value::Array(samples) => samples.iter().map(|sample| sample.to_string().into_bytes()).collect(),
        sample => vec![sample.to_string().into_bytes()],
    }
}

/// The sample of a message of the pairing, as JSON.
pub(crate) fn pairing(member: &str) -> Vec<u8> {
    read(PAIRING)[member].to_string().into_bytes()
}

/// A text among the samples of the pairing.
pub(crate) fn pairing_text(member: &str) -> String {
    text(PAIRING, member)
}

/// A key of the samples, base64.
pub(crate) fn key(member: &str) -> String {
    text(KEYS, member)
}

fn text(file: &[u8], member: &str) -> String {
    read(file)[member].as_str().expect("the member is a text").to_owned()
}

fn read(file: &[u8]) -> Value {
    serde_json::from_slice(file).expect("the samples are JSON")
}

/// The entries of the audit's samples, as exact text.
pub(crate) fn audit_entries() -> Vec<String> {
    serde_json::from_value(read(AUDIT)["entries"].clone()).expect("the entries are texts")
}

/// The checkpoint of the audit's samples, as exact text.
pub(crate) fn audit_checkpoint() -> String {
    text(AUDIT, "checkpoint")
}
