/// A command as the card sees it (ISO/IEC 7816-4, short and extended forms).
pub(super) struct Command<'a> {
    pub(super) cla: u8,
    pub(super) ins: u8,
    pub(super) p1: u8,
    pub(super) p2: u8,
    pub(super) data: &'a [u8],
    /// How many bytes are wanted; `None` when the command has no Le.
    pub(super) wanted: Option<Wanted>,
    /// Lengths of two bytes were used.
    pub(super) is_extended: bool,
}

/// What Le asks for.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// Exactly this many.
    Exactly(usize),
    /// Le `00` or `0000`: at most this many, fewer are no mistake.
    UpTo(usize),
}

impl Wanted {
    pub(super) const fn count(self) -> usize {
        match self {
            Self::Exactly(count) | Self::UpTo(count) => count,
        }
    }
}

impl<'a> Command<'a> {
    /// Takes the command apart; `None` when its lengths do not fit.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[cla, ins, p1, p2], body) = bytes.split_first_chunk::<4>()?;
        let with = |data, wanted, is_extended| Some(Self { cla, ins, p1, p2, data, wanted, is_extended });
        match body {
            [] => with(&[], None, false),
            [le] => with(&[], Some(short(*le)), false),
            [0, hi, lo] => with(&[], Some(extended(*hi, *lo)), true),
            [0, hi, lo, rest @ ..] => {
                let (data, tail) = rest.split_at_checked(usize::from(u16::from_be_bytes([*hi, *lo])))?;
                match tail {
                    _ if data.is_empty() => None,
                    [] => with(data, None, true),
                    [hi, lo] => with(data, Some(extended(*hi, *lo)), true),
                    _ => None,
                }
            }
            [lc, rest @ ..] => {
                let (data, tail) = rest.split_at_checked(usize::from(*lc))?;
                match tail {
                    _ if data.is_empty() => None,
                    [] => with(data, None, false),
                    [le] => with(data, Some(short(*le)), false),
                    _ => None,
                }
            }
        }
    }
}

const fn short(le: u8) -> Wanted {
    if le == 0 { Wanted::UpTo(256) } else { Wanted::Exactly(le as usize) }
}

const fn extended(hi: u8, lo: u8) -> Wanted {
    match u16::from_be_bytes([hi, lo]) {
        0 => Wanted::UpTo(65_536),
        count => Wanted::Exactly(count as usize),
    }
}
