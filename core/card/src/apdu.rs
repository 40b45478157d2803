use std::{fmt, ops::Deref};

use tazune_model::Pin;
use zeroize::Zeroizing;

/// The kinds of command that are ever sent to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// SELECT of the JPKI application (公的個人認証AP).
    SelectApplication,
    /// READ BINARY of the token information.
    ReadToken,
    /// READ BINARY of the user certificate.
    ReadCertificate,
    /// VERIFY without data: asks the counter and costs no try.
    CountTries,
    /// VERIFY with a PIN.
    Verify,
    /// The card's own signature command.
    Sign,
    /// SELECT of the issuer domain, which leaves every application and its verified state.
    Leave,
}

/// A command for the card, ready to be transmitted as it is.
///
/// It is wiped when dropped, because it may hold a PIN; `Debug` shows its header and its length only.
pub struct CommandApdu {
    bytes: Zeroizing<Vec<u8>>,
    command: Command,
    expected_bytes: usize,
}

impl CommandApdu {
    /// The bytes to transmit.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What kind of command it is.
    #[must_use]
    pub const fn command(&self) -> Command {
        self.command
    }
}

impl Deref for CommandApdu {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for CommandApdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(", self.command)?;
        self.bytes.iter().take(4).try_for_each(|byte| write!(f, "{byte:02X}"))?;
        write!(f, ", {} bytes)", self.bytes.len())
    }
}

/// The most bytes a short Le can ask for; it is written as `00`.
pub(crate) const SHORT_LE_MAX: usize = 256;

/// AID of the JPKI application, all ten bytes: the card would also take a prefix. Source: card-protocol §2.
const JPKI_AID: [u8; 10] = [0xD3, 0x92, 0xF0, 0x00, 0x26, 0x01, 0x00, 0x00, 0x00, 0x01];

/// AID of the GlobalPlatform issuer domain. Source: card-protocol §2.
const ISSUER_DOMAIN_AID: [u8; 7] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00];

/// Short identifiers with bit 8 set, as P1 or P2 wants them. Source: card-protocol §3.1.
const TOKEN: u8 = 0x80 + 0x06;
const CERTIFICATE: u8 = 0x80 + 0x0A;
const USER_KEY: u8 = 0x80 + 0x17;
const USER_PIN: u8 = 0x80 + 0x18;

/// What stands before a SHA-256 hash in a DigestInfo. Source: card-protocol §4.3.
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// How many bytes to ask for, and in which form of Le.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Le {
    /// One byte, 1 to 256 bytes.
    Short(usize),
    /// Three bytes, 1 to 65,535 bytes.
    Extended(u16),
}

impl Le {
    fn write(self, bytes: &mut Vec<u8>) -> usize {
        match self {
            Self::Short(count) => {
                let count = count.clamp(1, SHORT_LE_MAX);
                // 256 becomes 00.
                bytes.push((count % SHORT_LE_MAX) as u8);
                count
            }
            Self::Extended(count) => {
                bytes.push(0);
                bytes.extend(count.to_be_bytes());
                usize::from(count)
            }
        }
    }
}

impl CommandApdu {
    /// `00 A4 04 0C 0A <AID>`: select the JPKI application. Source: card-protocol §4.1, §4.2.
    pub(crate) fn select_jpki() -> Self {
        Self::with_data(Command::SelectApplication, [0x00, 0xA4, 0x04, 0x0C], &JPKI_AID)
    }

    /// `00 A4 04 0C 07 <AID>`: select the issuer domain, which leaves any application. Source: card-protocol §2, §1 line 8.
    pub(crate) fn leave() -> Self {
        Self::with_data(Command::Leave, [0x00, 0xA4, 0x04, 0x0C], &ISSUER_DOMAIN_AID)
    }

    /// `00 B0 86 00 20`: the name of the token, by short identifier. Source: card-protocol §4.2.
    pub(crate) fn read_token() -> Self {
        Self::with_le(Command::ReadToken, [0x00, 0xB0, TOKEN, 0x00], Le::Short(0x20))
    }

    /// `00 B0 8A 00 <Le>`: the certificate from its first byte; it becomes the current file. Source: card-protocol §4.1, §4.3.
    pub(crate) fn read_certificate(le: Le) -> Self {
        Self::with_le(Command::ReadCertificate, [0x00, 0xB0, CERTIFICATE, 0x00], le)
    }

    /// `00 B0 <offset> <Le>`: more of the certificate; only after [`Self::read_certificate`] on the same link.
    ///
    /// `offset` is below 0x8000. Source: card-protocol §4.1, §4.3.
    pub(crate) fn read_certificate_from(offset: u16, le: Le) -> Self {
        let [high, low] = offset.to_be_bytes();
        Self::with_le(Command::ReadCertificate, [0x00, 0xB0, high, low], le)
    }

    /// `00 20 00 98`: how many tries the PIN has left. Source: card-protocol §4.4.
    pub(crate) fn count_tries() -> Self {
        Self { bytes: vec![0x00, 0x20, 0x00, USER_PIN].into(), command: Command::CountTries, expected_bytes: 0 }
    }

    /// `00 20 00 98 04 <4 digits>`: give the PIN; it is consumed, so one entry is one command. Source: card-protocol §4.3, §6.
    pub(crate) fn verify(pin: Pin) -> Self {
        // EXPOSE: the VERIFY command is where the PIN goes.
        Self::with_data(Command::Verify, [0x00, 0x20, 0x00, USER_PIN], pin.expose())
    }

    /// `80 2A 00 97 33 <DigestInfo> 00`: sign a SHA-256 hash with the user's key. Source: card-protocol §4.3.
    pub(crate) fn sign(hash: &[u8; 32]) -> Self {
        let mut apdu =
            Self::with_data(Command::Sign, [0x80, 0x2A, 0x00, USER_KEY], &[&SHA256_DIGEST_INFO[..], hash].concat());
        apdu.expected_bytes = Le::Short(SHORT_LE_MAX).write(&mut apdu.bytes);
        apdu
    }

    /// `00 C0 00 00 <Le>`: the rest of the answer to `command`, after `61xx`. Source: card-protocol §5.
    pub(crate) fn get_response(command: Command, sw2: u8) -> Self {
        Self::with_le(command, [0x00, 0xC0, 0x00, 0x00], Le::Short(count_of(sw2)))
    }

    /// The same command with the Le that the card asked for in `6Cxx`; `None` for what must not be sent again.
    ///
    /// Source: card-protocol §5, §6 (one VERIFY per entry).
    pub(crate) fn again_with(&self, sw2: u8) -> Option<Self> {
        let before_le = match self.command {
            Command::ReadToken | Command::ReadCertificate => 4,
            Command::Sign => self.bytes.len().checked_sub(1)?,
            Command::SelectApplication | Command::CountTries | Command::Verify | Command::Leave => return None,
        };
        let mut bytes = self.bytes.get(..before_le)?.to_vec();
        let expected_bytes = Le::Short(count_of(sw2)).write(&mut bytes);
        Some(Self { bytes: bytes.into(), command: self.command, expected_bytes })
    }

    /// The most data bytes its answer may carry.
    pub(crate) const fn expected_bytes(&self) -> usize {
        self.expected_bytes
    }

    fn with_data(command: Command, header: [u8; 4], data: &[u8]) -> Self {
        let length = u8::try_from(data.len()).expect("no command of this file carries more than 51 bytes");
        // Room for all of it at once: a vector that grew would leave a copy of the PIN behind.
        let mut bytes = Vec::with_capacity(header.len() + 1 + data.len() + 1);
        bytes.extend(header);
        bytes.push(length);
        bytes.extend(data);
        Self { bytes: bytes.into(), command, expected_bytes: 0 }
    }

    fn with_le(command: Command, header: [u8; 4], le: Le) -> Self {
        let mut bytes = header.to_vec();
        let expected_bytes = le.write(&mut bytes);
        Self { bytes: bytes.into(), command, expected_bytes }
    }
}

/// How many bytes the second status byte of `61xx` and `6Cxx` speaks of.
fn count_of(sw2: u8) -> usize {
    if sw2 == 0 { SHORT_LE_MAX } else { usize::from(sw2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(apdu: &CommandApdu) -> String {
        apdu.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    #[test]
    fn bytes_are_those_of_the_protocol_page() {
        let pin = Pin::from_entry("4911").unwrap();
        let signature =
            format!("802A00973330313 00D060960864801650304020105000420{}00", "AB".repeat(32)).replace(' ', "");
        let table = [
            (CommandApdu::select_jpki(), "00A4040C0AD392F000260100000001"),
            (CommandApdu::leave(), "00A4040C07A0000001510000"),
            (CommandApdu::read_token(), "00B0860020"),
            (CommandApdu::read_certificate(Le::Short(256)), "00B08A0000"),
            (CommandApdu::read_certificate(Le::Short(175)), "00B08A00AF"),
            (CommandApdu::read_certificate(Le::Extended(2048)), "00B08A00000800"),
            (CommandApdu::read_certificate_from(0x0600, Le::Short(54)), "00B0060036"),
            (CommandApdu::read_certificate_from(0x0800, Le::Extended(300)), "00B0080000012C"),
            (CommandApdu::count_tries(), "00200098"),
            (CommandApdu::verify(pin), "002000980434393131"),
            (CommandApdu::sign(&[0xAB; 32]), signature.as_str()),
            (CommandApdu::get_response(Command::Sign, 0x10), "00C0000010"),
        ];
        for (apdu, expected) in &table {
            assert_eq!(hex(apdu), *expected);
        }
    }

    #[test]
    fn only_reads_and_the_signature_are_sent_again_with_another_le() {
        let again = |apdu: CommandApdu| apdu.again_with(0x20).map(|apdu| hex(&apdu));
        assert_eq!(again(CommandApdu::read_certificate(Le::Extended(2048))).unwrap(), "00B08A0020");
        assert_eq!(again(CommandApdu::read_certificate_from(0x0100, Le::Short(256))).unwrap(), "00B0010020");
        assert!(again(CommandApdu::sign(&[7; 32])).unwrap().ends_with("0720"));
        for apdu in [
            CommandApdu::select_jpki(),
            CommandApdu::count_tries(),
            CommandApdu::verify(Pin::from_entry("4911").unwrap()),
            CommandApdu::leave(),
        ] {
            assert!(apdu.again_with(0x20).is_none(), "{apdu:?}");
        }
    }

    #[test]
    fn debug_shows_neither_pin_nor_hash() {
        let shown = format!("{:?}", CommandApdu::verify(Pin::from_entry("4911").unwrap()));
        assert_eq!(shown, "Verify(00200098, 9 bytes)");
        assert_eq!(format!("{:?}", CommandApdu::sign(&[0xAB; 32])), "Sign(802A0097, 57 bytes)");
    }
}
