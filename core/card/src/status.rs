use std::fmt;

/// The two bytes at the end of every answer of a card; their meaning depends on the command.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(pub u16);

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({self})")
    }
}

/// Meaning of the status word after SELECT of an application (CLA 00, INS A4). Source: card-protocol §4.1, §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectOutcome {
    /// `9000`: the application is current.
    Selected,
    /// `6A82`: no such application; `6D00`, `6E00`: not this kind of card at all.
    Absent,
    /// Anything else.
    Other,
}

impl From<StatusWord> for SelectOutcome {
    fn from(status: StatusWord) -> Self {
        match status.0 {
            0x9000 => Self::Selected,
            0x6A82 | 0x6D00 | 0x6E00 => Self::Absent,
            _ => Self::Other,
        }
    }
}

/// Meaning of the status word after READ BINARY (CLA 00, INS B0). Source: card-protocol §4.1, §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// `9000`: the data asked for, or less at the end of the file; `6282`, `6B00`: the file ends here, keep what came.
    Data,
    /// `6A82`: no such file.
    Absent,
    /// `6982`: the file wants a PIN first, as a phone's certificate does.
    Protected,
    /// Anything else; `6700`, `6A86`, `6A87` among it refuse the form of the command.
    Other,
}

impl From<StatusWord> for ReadOutcome {
    fn from(status: StatusWord) -> Self {
        match status.0 {
            0x9000 | 0x6282 | 0x6B00 => Self::Data,
            0x6A82 => Self::Absent,
            0x6982 => Self::Protected,
            _ => Self::Other,
        }
    }
}

/// Meaning of the status word after VERIFY without data (CLA 00, INS 20): the counter. Source: card-protocol §4.4, §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CounterOutcome {
    /// `63Cx`: tries left, 1..=15.
    TriesLeft(u8),
    /// `63C0`, `6984`, and ISO's spelling `6983`: no entry will be taken.
    Locked,
    /// Anything else; the card never answers `9000` here, also after a correct PIN.
    Other,
}

impl From<StatusWord> for CounterOutcome {
    fn from(status: StatusWord) -> Self {
        match status.0 {
            0x63C0 | 0x6984 | 0x6983 => Self::Locked,
            0x63C1..=0x63CF => Self::TriesLeft(low_digit(status)),
            _ => Self::Other,
        }
    }
}

/// Meaning of the status word after VERIFY with a PIN (CLA 00, INS 20). Source: card-protocol §5, §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyOutcome {
    /// `9000`: accepted, the counter is full again.
    Accepted,
    /// `63Cx`: wrong, with tries left, 1..=15.
    WrongPin(u8),
    /// `63C0`: wrong, and this try locked it; `6984`, `6983`: it was locked before.
    Locked,
    /// Anything else.
    Other,
}

impl From<StatusWord> for VerifyOutcome {
    fn from(status: StatusWord) -> Self {
        match status.0 {
            0x9000 => Self::Accepted,
            0x63C0 | 0x6984 | 0x6983 => Self::Locked,
            0x63C1..=0x63CF => Self::WrongPin(low_digit(status)),
            _ => Self::Other,
        }
    }
}

/// Meaning of the status word after the signature command (CLA 80, INS 2A). Source: card-protocol §4.3, §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignOutcome {
    /// `9000`: the signature came.
    Signed,
    /// `6982`: the card no longer knows that the PIN was right.
    NotVerified,
    /// Anything else.
    Other,
}

impl From<StatusWord> for SignOutcome {
    fn from(status: StatusWord) -> Self {
        match status.0 {
            0x9000 => Self::Signed,
            0x6982 => Self::NotVerified,
            _ => Self::Other,
        }
    }
}

fn low_digit(status: StatusWord) -> u8 {
    (status.0 & 0x0F) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every status word of card-protocol §5, and what each command takes it for.
    #[test]
    fn a_status_word_means_something_only_for_its_command() {
        use CounterOutcome as C;
        use ReadOutcome as R;
        use SelectOutcome as S;
        use SignOutcome as G;
        use VerifyOutcome as V;
        let table = [
            (0x9000, S::Selected, R::Data, C::Other, V::Accepted, G::Signed),
            (0x63C3, S::Other, R::Other, C::TriesLeft(3), V::WrongPin(3), G::Other),
            (0x63C1, S::Other, R::Other, C::TriesLeft(1), V::WrongPin(1), G::Other),
            (0x63CF, S::Other, R::Other, C::TriesLeft(15), V::WrongPin(15), G::Other),
            (0x63C0, S::Other, R::Other, C::Locked, V::Locked, G::Other),
            (0x6300, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6984, S::Other, R::Other, C::Locked, V::Locked, G::Other),
            (0x6983, S::Other, R::Other, C::Locked, V::Locked, G::Other),
            (0x6982, S::Other, R::Protected, C::Other, V::Other, G::NotVerified),
            (0x6985, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6986, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6981, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6A82, S::Absent, R::Absent, C::Other, V::Other, G::Other),
            (0x6A86, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6A87, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6700, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6A88, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6B00, S::Other, R::Data, C::Other, V::Other, G::Other),
            (0x6282, S::Other, R::Data, C::Other, V::Other, G::Other),
            (0x6881, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6882, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6D00, S::Absent, R::Other, C::Other, V::Other, G::Other),
            (0x6E00, S::Absent, R::Other, C::Other, V::Other, G::Other),
            (0x6581, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x6F00, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x69FC, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x66F1, S::Other, R::Other, C::Other, V::Other, G::Other),
            (0x0000, S::Other, R::Other, C::Other, V::Other, G::Other),
        ];
        for (word, select, read, counter, verify, sign) in table {
            let status = StatusWord(word);
            let found = (select, read, counter, verify, sign);
            let meant: (S, R, C, V, G) = (status.into(), status.into(), status.into(), status.into(), status.into());
            assert_eq!(meant, found, "{status}");
        }
    }
}
