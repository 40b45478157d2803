use rand::{rand_core::UnwrapErr, rngs::SysRng};
use tazune_model::{Clock, Timestamp};

/// The wall clock of the operating system; the engine's only reading of ambient time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock that the engine hands down")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's generator of random bytes; it has no state, so a copy is the same generator.
pub(crate) type Generator = UnwrapErr<SysRng>;

/// The one generator that the engine hands down.
pub(crate) const fn system_generator() -> Generator {
    UnwrapErr(SysRng)
}
