//! Renewal of a device's certificates, in good time and for the same transport key: `docs/src/protocol/pairing.md`.

use serde::{Deserialize, Serialize};
use tazune_model::{Bytes, DeviceId, FailureCode, Timestamp};

use crate::V1;

/// What a device asks new certificates with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalRequest {
    /// Version of request and answer.
    pub version: V1,
    /// PKCS#10 request, DER, of the transport key that the clinic knows.
    pub csr: Bytes,
}

/// How a renewal stands; also what the desk puts there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RenewalAnswer {
    /// The desk has not answered yet; the device asks again later.
    Waiting,
    /// New certificates.
    Renewed {
        /// The device's from the hub's CA, then the CA's, DER.
        hub_certificates: Vec<Bytes>,
        /// The device's at the gateway; `None` when the gateway gave none, and the old ones stay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gateway_certificates: Option<Vec<Bytes>>,
    },
    /// The desk does not know this device, or not with this key.
    Refused,
}

/// A renewal that waits for the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedRenewal {
    /// The device, by its certificate.
    pub device: DeviceId,
    /// PKCS#10 request, DER.
    pub csr: Bytes,
}

/// Whether a certificate is to be renewed: when a third of its life, or less, is left.
///
/// A certificate of 90 days is due at 60.
#[must_use]
pub fn is_due(begins: Timestamp, ends: Timestamp, now: Timestamp) -> bool {
    let life = begins.duration_until(ends);
    now.duration_until(ends).saturating_mul(3) <= life
}

/// The clinic did not renew the device's certificate, and it has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clinic did not renew the device's certificate, and it has run out")]
pub struct RenewalRefused;

impl RenewalRefused {
    /// The failure a person meets.
    #[must_use]
    pub const fn failure_code(self) -> FailureCode {
        FailureCode::RenewalRefused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_ninety_days_is_due_at_sixty() {
        let day = |day: i64| Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
        for (now, due) in [(-1, false), (0, false), (59, false), (60, true), (89, true), (91, true), (400, true)] {
            assert_eq!(is_due(day(0), day(90), day(now)), due, "{now}");
        }
    }
}
