use std::time::Duration;

/// How long the queue waits after a failed batch: from 1 minute to 1 hour, doubling, with jitter, for as long as it takes.
///
/// "Send now" does not ask it. A new value, as after a restart, waits for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackOff {
    failures: u32,
}

impl BackOff {
    const SHORTEST: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(60 * 60);

    /// Counts a failure and gives the wait before the next try: at random in the upper half of a span that doubles from
    /// 2 minutes to 1 hour, so that the tablets of a clinic do not come back all at once.
    #[must_use]
    pub fn after_failure(&mut self, random: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures.min(16).saturating_add(1));
        self.failures = self.failures.saturating_add(1);
        let half = Self::SHORTEST.saturating_mul(doubled).min(Self::LONGEST) / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// Forgets the failures, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}
