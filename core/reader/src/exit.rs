use std::process::ExitCode;

/// How a command ended (終了コード); the numbers are stable, and README.md lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All was done, and the clinic has every record.
    Done = 0,
    /// A failure without an area of its own.
    Failed = 1,
    /// The arguments are not what the command needs.
    Usage = 2,
    /// The device is not paired, or could not be.
    NotPaired = 3,
    /// The reader, or what is on it.
    Card = 4,
    /// The clinic's hub.
    Hub = 6,
    /// The database or the disk.
    Store = 7,
    /// The key store.
    Keys = 8,
    /// The person cancelled.
    Cancelled = 9,
    /// The command did its work, but the clinic has not accepted every record: unsent, without receipt, or set aside.
    Undelivered = 10,
    /// The visit was left before it was over; its draft is kept.
    Unfinished = 11,
    /// Nobody reads the output any more.
    OutputClosed = 12,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
