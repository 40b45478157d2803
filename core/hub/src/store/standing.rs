use std::fmt;

use serde::{Deserialize, Serialize};
use tazune_link::{
    audit::reason_digest,
    front_api::DeviceStanding,
    keys::VerifyingKey,
    tombstone::{RevocationKind, SignedTombstone},
};
use tazune_model::{DeviceId, Sha256, Timestamp};

/// A change of a device's standing, as a person ordered it.
#[derive(Clone, Debug)]
pub struct StandingChange {
    /// The device.
    pub device: DeviceId,
    /// What it is from now on.
    pub to: NewStanding,
    /// The person's own words, or none.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

/// Why a person decided something, in their own words; it stays at the desk, and the audit has only a digest of it.
#[derive(Clone)]
pub struct Reason {
    /// The words; may be empty.
    pub text: String,
    /// Random, and kept beside the words: without it nobody can try out what the digest may be of.
    pub salt: [u8; 16],
}

impl Reason {
    pub(super) fn digest(&self) -> Sha256 {
        reason_digest(&self.salt, &self.text)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reason")
    }
}

/// What a device is from now on.
#[derive(Clone, Debug)]
pub enum NewStanding {
    /// It may hand in.
    Active,
    /// It may not, until it is resumed.
    Suspended,
    /// It never may again.
    Revoked {
        /// Why, as the device is told.
        kind: RevocationKind,
        /// What the device is told.
        tombstone: SignedTombstone,
    },
}

impl NewStanding {
    /// The word for it.
    #[must_use]
    pub const fn standing(&self) -> DeviceStanding {
        match self {
            Self::Active => DeviceStanding::Active,
            Self::Suspended => DeviceStanding::Suspended,
            Self::Revoked { .. } => DeviceStanding::Revoked,
        }
    }
}

/// What became of a [`StandingChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingChanged {
    /// It is so from now on.
    Changed,
    /// It was so before; nothing was changed.
    Already,
    /// The device is revoked, which is final; nothing was changed.
    Final,
    /// There is no such device.
    Unknown,
}

/// What the front has not been told of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntoldDevice {
    /// The device.
    pub device: DeviceId,
    /// The key it signs with.
    pub device_key: VerifyingKey,
    /// Whether it may hand in.
    pub standing: DeviceStanding,
    /// What a revoked device is told.
    pub tombstone: Option<SignedTombstone>,
    /// Counts the changes of this device; says which of them the front was told.
    pub change: i64,
}

/// One line of the list of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSummary {
    /// The device's id.
    pub device: DeviceId,
    /// What the staff call it.
    pub name: String,
    /// Make and model.
    pub model: String,
    /// System and version.
    pub os: String,
    /// Whether it may hand in.
    pub state: DeviceStanding,
    /// When that was last changed; `None` since it was paired.
    pub changed_at: Option<Timestamp>,
    /// Why, in the person's own words.
    pub reason: Option<String>,
    /// Why it was revoked, as it is told.
    pub kind: Option<RevocationKind>,
    /// Whether the front knows the state; until then it goes by the one before.
    pub is_at_front: bool,
    /// When it was approved.
    pub paired_at: Timestamp,
    /// When it last asked the front for anything, whatever the answer.
    pub last_contact_at: Option<Timestamp>,
    /// The last instant of its certificate.
    pub certificate_expires_at: Timestamp,
    /// How many of its records were accepted.
    pub accepted_count: u32,
    /// How many of its envelopes are set aside, undecided.
    pub quarantined_count: u32,
}
