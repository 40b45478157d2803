use std::time::Duration;

/// How long what failed rests until it is tried again: it doubles with each failure, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pause {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Counts a failure, and gives the rest that is due.
    pub(super) fn after_failure(&mut self) -> Duration {
        let due = self.next;
        self.next = due.saturating_mul(2).min(self.longest);
        due
    }

    /// Forgets the failures, after a success.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_limit_and_begins_anew_after_a_success() {
        let mut pause = Pause::new(Duration::from_secs(1), Duration::from_secs(5));
        for _ in 0..2 {
            for due in [1, 2, 4, 5, 5] {
                assert_eq!(pause.after_failure(), Duration::from_secs(due));
            }
            pause.reset();
        }
    }
}
