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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_jitter_stays_within_the_upper_half() {
        let mut shortest = BackOff::default();
        let mut longest = BackOff::default();
        for (low, high) in [(60, 120), (120, 240), (240, 480), (480, 960), (960, 1920), (1800, 3600), (1800, 3600)] {
            assert_eq!(shortest.after_failure(0), Duration::from_secs(low));
            assert_eq!(longest.after_failure(u32::MAX), Duration::from_secs(high));
        }
        let mut some = BackOff::default();
        assert!((60..120).contains(&some.after_failure(1 << 31).as_secs()));
    }

    #[test]
    fn never_gives_up_and_begins_anew_after_a_success() {
        let mut back_off = BackOff { failures: u32::MAX - 2 };
        for random in [0, 1, u32::MAX, 7, u32::MAX] {
            let wait = back_off.after_failure(random);
            assert!(wait >= Duration::from_secs(60) && wait <= Duration::from_secs(3600), "{wait:?}");
        }
        back_off.reset();
        assert_eq!(back_off.after_failure(0), Duration::from_secs(60));
    }
}
