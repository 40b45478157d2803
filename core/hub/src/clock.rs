use tazune_model::{Clock, Timestamp};

/// The wall clock of this computer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the hub's one reading of the clock, handed down as `Clock`")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
