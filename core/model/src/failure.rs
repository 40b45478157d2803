use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! failure_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// A failure a person can meet; closed, stable, and explained with cause and remedy in the book.
        ///
        /// Each code is raised in one place of the source, and a test compares this list, the book and the sources.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FailureCode {
            $($(#[$doc])* $name,)*
        }

        impl FailureCode {
            /// Every code, in the order of the book.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code, for example `TZ-C01`: family letter and two digits.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The failure with this stable code, if there is one.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|failure| failure.code() == code)
            }

            /// The name of the variant, as the sources and the book write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

failure_codes! {
    /// No card came within the time the reader waited.
    CardAbsent = "TZ-C01",
    /// The card left the reader before it was done.
    CardLost = "TZ-C02",
    /// Another card than the one already read is on the reader.
    OtherCard = "TZ-C03",
    /// The thing on the reader is no My Number card.
    NotMyNumberCard = "TZ-C04",
    /// A phone was held to the reader instead of a card.
    PhoneTapped = "TZ-C05",
    /// The card has no user certificate.
    CertificateMissing = "TZ-C06",
    /// The user certificate is not valid yet.
    CertificateNotYetValid = "TZ-C07",
    /// The user certificate was not issued by a trusted authority.
    CertificateForeign = "TZ-C08",
    /// The user certificate cannot be read as one, or breaks its profile.
    CertificateBroken = "TZ-C09",
    /// The PIN was wrong; nothing is lost.
    PinWrong = "TZ-C10",
    /// Only one try is left, so the PIN is not asked.
    PinLastTry = "TZ-C11",
    /// The PIN is locked.
    PinLocked = "TZ-C12",
    /// The card gave an answer that its command does not have.
    CardUnexpected = "TZ-C13",
    /// The reader cannot be used.
    ReaderUnavailable = "TZ-C14",
    /// No reader is plugged in, or not the wanted one.
    ReaderMissing = "TZ-C15",
    /// Several readers are plugged in and none was chosen.
    ReaderNotChosen = "TZ-C16",
    /// Another program holds the reader or the card.
    ReaderBusy = "TZ-C17",
    /// This program was built without support for card readers.
    ReaderUnsupported = "TZ-C18",
    /// The system's service for card readers does not run.
    ReaderServiceDown = "TZ-C19",
    /// The gateway could not be reached.
    GatewayUnreachable = "TZ-G01",
    /// The gateway did not answer in time.
    GatewayTimeout = "TZ-G02",
    /// The gateway refused the request.
    GatewayRefused = "TZ-G03",
    /// The gateway's answer is no answer.
    GatewayGarbage = "TZ-G04",
    /// The device's clock and the gateway's are too far apart.
    ClockSkew = "TZ-G05",
    /// The answer is about another person than the planned patient.
    PersonMismatch = "TZ-V01",
    /// The record is larger than an envelope may be.
    RecordOversized = "TZ-V02",
    /// The clinic's hub could not be reached.
    HubUnreachable = "TZ-H01",
    /// The hub does not know this device.
    DeviceUnknown = "TZ-H02",
    /// The hub already holds another envelope under this record id.
    EnvelopeReplayed = "TZ-H03",
    /// The envelope was altered, or was not made by the device that sent it.
    EnvelopeAltered = "TZ-H04",
    /// The envelope or batch is larger than allowed.
    EnvelopeOversized = "TZ-H05",
    /// The envelope is addressed to another clinic or device.
    EnvelopeMisaddressed = "TZ-H06",
    /// A receipt does not verify; the record is kept.
    ReceiptInvalid = "TZ-H07",
    /// The hub's answer is no answer.
    HubGarbage = "TZ-H08",
    /// The clinic has suspended the device; it keeps everything and goes on trying.
    DeviceSuspended = "TZ-H09",
    /// The clinic has revoked the device; it takes no new visit.
    DeviceRevoked = "TZ-H10",
    /// The hub calls the device revoked, and its tombstone does not verify; nothing is destroyed.
    TombstoneInvalid = "TZ-H11",
    /// The clinic did not renew the device's certificate, and it has run out.
    RenewalRefused = "TZ-H12",
    /// The pairing code is not one of this hub.
    PairingQrInvalid = "TZ-P01",
    /// The pairing session has ended.
    PairingExpired = "TZ-P02",
    /// Another device has already answered this pairing code.
    PairingTaken = "TZ-P03",
    /// The six digits typed at the clinic are not those of the device.
    PairingCodeWrong = "TZ-P04",
    /// The clinic turned the device down.
    PairingRejected = "TZ-P05",
    /// The device is not paired with a clinic.
    NotPaired = "TZ-P06",
    /// The device still holds visits that the present clinic does not have.
    VisitsUndelivered = "TZ-P07",
    /// The disk is full; nothing that was saved is lost.
    DiskFull = "TZ-S01",
    /// The database was written by a newer program.
    DatabaseNewer = "TZ-S02",
    /// The database cannot be read; it was copied aside and left as it is.
    DatabaseDamaged = "TZ-S03",
    /// The database could not be read or written just now.
    StoreFailed = "TZ-S04",
    /// The disk is nearly full; nothing has failed yet.
    DiskNearlyFull = "TZ-S05",
    /// The key store is locked.
    KeyStoreLocked = "TZ-K01",
    /// Keys in plain files were not asked for by name.
    InsecureKeysRefused = "TZ-K02",
    /// The key store holds no key of this device, or a damaged one.
    KeyMissing = "TZ-K03",
    /// There is no key store that could be used.
    KeyStoreAbsent = "TZ-K04",
    /// The key store did not answer in time.
    KeyStoreLate = "TZ-K05",
    /// A record at the desk cannot be opened or does not verify; it is set aside.
    RecordQuarantined = "TZ-D01",
    /// The face folder cannot be written; the record waits.
    FaceFolderUnwritable = "TZ-D02",
    /// The hub does not run, or its admin port cannot be used.
    HubNotRunning = "TZ-D03",
    /// The gateway did not enrol the device.
    EnrolmentFailed = "TZ-D04",
    /// A setting is missing or malformed.
    SettingInvalid = "TZ-D05",
    /// The audit at the desk is not whole: something was altered, taken out or cut off.
    AuditBroken = "TZ-D06",
    /// The hub could not be made a service of the system, or asked about as one.
    ServiceFailed = "TZ-D07",
    /// A command names a device or record that is not there, or asks for what was decided otherwise.
    DecisionImpossible = "TZ-D08",
    /// The app and the library inside it were not made together.
    LibraryMismatch = "TZ-B01",
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for FailureCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for FailureCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_code(&code).ok_or_else(|| de::Error::custom("no failure code of this version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_of_one_shape() {
        let mut codes: Vec<_> = FailureCode::ALL.iter().map(|code| code.code()).collect();
        for code in &codes {
            let (family, number) = code.strip_prefix("TZ-").unwrap().split_at(1);
            assert!(family.bytes().all(|b| b.is_ascii_uppercase()) && number.len() == 2, "{code}");
            assert!(number.bytes().all(|b| b.is_ascii_digit()), "{code}");
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FailureCode::ALL.len());
    }
}
