use std::{fmt, ops::AddAssign, time::Duration};

/// What happened in one schedule, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Schedules that ended well.
    pub schedules: usize,
    /// Records sealed.
    pub records: usize,
    /// Records that a revoked device did not seal any more.
    pub refused: usize,
    /// Times a device was suspended, resumed or revoked.
    pub orders: usize,
    /// Devices that were revoked and have nothing left.
    pub revoked: usize,
    /// Records of revoked devices that the desk set aside because of that.
    pub aside: usize,
    /// Requests sent.
    pub requests: usize,
    /// Requests that met a partition.
    pub cut: usize,
    /// Requests lost.
    pub lost_requests: usize,
    /// Answers lost.
    pub lost_answers: usize,
    /// Requests that arrived twice.
    pub duplicates: usize,
    /// Answers in whose place the one before came.
    pub repeated_answers: usize,
    /// Messages held up for more than a second.
    pub delays: usize,
    /// Partitions.
    pub partitions: usize,
    /// Crashes of a device, the front or the desk.
    pub crashes: usize,
    /// Times the front was restored from an older backup.
    pub restores: usize,
    /// Jumps of a clock.
    pub jumps: usize,
    /// Longest virtual time of a schedule.
    pub longest: Duration,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.records += other.records;
        self.refused += other.refused;
        self.orders += other.orders;
        self.revoked += other.revoked;
        self.aside += other.aside;
        self.requests += other.requests;
        self.cut += other.cut;
        self.lost_requests += other.lost_requests;
        self.lost_answers += other.lost_answers;
        self.duplicates += other.duplicates;
        self.repeated_answers += other.repeated_answers;
        self.delays += other.delays;
        self.partitions += other.partitions;
        self.crashes += other.crashes;
        self.restores += other.restores;
        self.jumps += other.jumps;
        self.longest = self.longest.max(other.longest);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} schedules, {} records, {} requests; {} orders, {} devices gone, {} of their records set aside, {} not sealed any \
             more; faults: {} partitions (met by {} requests), {} requests lost, \
             {} answers lost, {} requests twice, {} answers repeated, {} delays, {} crashes, {} restores, {} clock \
             jumps; longest virtual time {:.1} h",
            self.schedules,
            self.records,
            self.requests,
            self.orders,
            self.revoked,
            self.aside,
            self.refused,
            self.partitions,
            self.cut,
            self.lost_requests,
            self.lost_answers,
            self.duplicates,
            self.repeated_answers,
            self.delays,
            self.crashes,
            self.restores,
            self.jumps,
            self.longest.as_secs_f64() / 3600.0
        )
    }
}

/// A schedule in which something happened that must not.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What happened.
    pub violation: String,
    /// The smallest schedule found that still fails.
    pub plan: String,
    /// What went before, with the virtual time in seconds.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, violation, plan, trace } = self;
        write!(f, "seed {seed}: {violation}\n{plan}\n{trace}\nTAZUNE_SEED={seed} replays it")
    }
}
