use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tazune_model::FailureCode;
use tokio::time::Instant;

/// Pause between two looks at everything.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A role that nobody has looked at for so long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What keeps a role from doing its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ailment {
    /// Nothing can be committed.
    StoreUnwritable,
    /// The disk of the data or face folder is nearly full.
    DiskNearlyFull(FailureCode),
    /// The front has not answered the desk for minutes.
    FrontUnreached,
    /// The face folder cannot be written.
    FaceFolderUnwritable,
}

/// The state of one role, as its own monitor sees it: not well before the first look.
#[derive(Debug)]
pub struct Health {
    role: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ailments: BTreeSet<Ailment>,
    looked_at: Option<Instant>,
}

impl Health {
    pub(crate) fn new(role: &'static str) -> Self {
        Self { role, state: Mutex::default() }
    }

    /// Takes what was seen in a look at everything.
    pub(crate) fn looked(&self, ailments: BTreeSet<Ailment>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ailments != ailments {
            match ailments.is_empty() {
                true => tracing::info!(role = self.role, "well again"),
                false => tracing::warn!(role = self.role, ?ailments, "not well"),
            }
        }
        metrics::gauge!("tazune_healthy", "role" => self.role).set(f64::from(u8::from(ailments.is_empty())));
        *state = State { ailments, looked_at: Some(Instant::now()) };
    }

    /// Whether everything was in order at the last look, which was not long ago.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ailments.is_empty() && state.is_fresh()
    }

    /// Whether the role still looks after itself, well or not; true before the first look.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.looked_at.is_none() || state.is_fresh()
    }

    /// What a person at a command is told beside its answer.
    pub(crate) fn warnings(&self) -> BTreeSet<FailureCode> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let codes = state.ailments.iter().filter_map(|ailment| match ailment {
            Ailment::DiskNearlyFull(code) => Some(*code),
            Ailment::StoreUnwritable | Ailment::FrontUnreached | Ailment::FaceFolderUnwritable => None,
        });
        codes.collect()
    }
}

impl State {
    fn is_fresh(&self) -> bool {
        self.looked_at.is_some_and(|at| at.elapsed() < HANGS_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_well_after_a_good_look_and_neither_before_nor_long_after() {
        let health = Health::new("desk");
        assert!(!health.is_well() && health.is_alive());
        health.looked(BTreeSet::from([Ailment::FrontUnreached]));
        assert!(!health.is_well() && health.is_alive());
        health.looked(BTreeSet::new());
        assert!(health.is_well());
        health.state.lock().unwrap().looked_at = Instant::now().checked_sub(HANGS_AFTER);
        assert!(!health.is_well() && !health.is_alive());
    }
}
