use zeroize::Zeroizing;

use crate::{
    CertificateFault, CommandApdu, LeMode, Progress,
    apdu::{Le, SHORT_LE_MAX},
    exchange::Reply,
    prefix,
    status::ReadOutcome,
};

/// The file of the user certificate while it is being read: what to read next, and what an answer brought.
///
/// A refused long read, or a card lost in one, changes to short reads once and for all. Source: card-protocol §4.3.
pub(crate) struct CertificateFile {
    le: LeMode,
    /// The certificate as far as it has been read, without filler.
    bytes: Zeroizing<Vec<u8>>,
}

/// What came of one read.
pub(crate) enum Taken {
    /// The next read has to be sent.
    More,
    /// The certificate is there as a whole.
    Whole,
    /// There is no such file.
    Missing,
    /// What came is no certificate.
    Broken(CertificateFault),
    /// The answer is none to this command.
    Unexpected,
}

/// What the first long read asks for, before the length is known: a certificate of the measured 1,590 bytes.
///
/// More would bring filler, 94 µs a byte over the air; a longer certificate costs one more read.
/// Source: card-protocol §3.1, §10.3.
const FIRST_EXTENDED_LE: u16 = 1600;

impl CertificateFile {
    pub(crate) fn new(le: LeMode) -> Self {
        Self { le, bytes: Zeroizing::default() }
    }

    /// The bytes read so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The form of Le that card and reader take, as far as is known.
    pub(crate) const fn le(&self) -> LeMode {
        self.le
    }

    /// Wipes what was read.
    pub(crate) fn begin_anew(&mut self) {
        self.bytes = Zeroizing::default();
    }

    /// The card left during a read.
    pub(crate) const fn lost(&mut self) {
        self.le = LeMode::Short;
    }

    pub(crate) fn progress(&self) -> Progress {
        let total_bytes = prefix::announced_bytes(&self.bytes).unwrap_or_default();
        Progress { read_bytes: self.bytes.len(), total_bytes }
    }

    /// The command that reads on from where it is.
    pub(crate) fn next_read(&self) -> Result<CommandApdu, CertificateFault> {
        let offset = self.bytes.len();
        let missing = prefix::announced_bytes(&self.bytes).ok().flatten().map(|total| total.saturating_sub(offset));
        let le = match self.le {
            LeMode::Short => Le::Short(missing.unwrap_or(SHORT_LE_MAX)),
            LeMode::Extended => {
                Le::Extended(missing.and_then(|count| u16::try_from(count).ok()).unwrap_or(FIRST_EXTENDED_LE))
            }
        };
        match u16::try_from(offset) {
            Ok(0) => Ok(CommandApdu::read_certificate(le)),
            Ok(offset) => Ok(CommandApdu::read_certificate_from(offset, le)),
            Err(_) => Err(CertificateFault::TooLong),
        }
    }

    /// Takes the answer to [`Self::next_read`].
    pub(crate) fn take(&mut self, reply: &Reply) -> Taken {
        match ReadOutcome::from(reply.status) {
            ReadOutcome::Data if !reply.data.is_empty() => {
                self.bytes.extend_from_slice(&reply.data);
                match prefix::announced_bytes(&self.bytes) {
                    Err(fault) => Taken::Broken(fault),
                    Ok(Some(total)) if self.bytes.len() >= total => {
                        self.bytes.truncate(total);
                        Taken::Whole
                    }
                    Ok(_) => Taken::More,
                }
            }
            ReadOutcome::Absent if self.bytes.is_empty() => Taken::Missing,
            // Whatever refuses a long read may take a short one; if not, the short one tells what it is.
            _ if self.le == LeMode::Extended => {
                self.le = LeMode::Short;
                Taken::More
            }
            ReadOutcome::Data => Taken::Broken(CertificateFault::Truncated),
            ReadOutcome::Absent | ReadOutcome::Protected | ReadOutcome::Other => Taken::Unexpected,
        }
    }
}
