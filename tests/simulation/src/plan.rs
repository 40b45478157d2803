use std::time::Duration;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Devices of a clinic, at most.
pub(crate) const DEVICES: usize = 2;
/// Records of a device, at most.
pub(crate) const RECORDS: usize = 3;

/// Who can crash, and whose clock can jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Device(usize),
    Front,
    Desk,
}

impl Party {
    pub(crate) const COUNT: usize = DEVICES + 2;

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Device(number) => number,
            Self::Front => DEVICES,
            Self::Desk => DEVICES + 1,
        }
    }
}

/// What a sealed record is, and so what must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With an answer: accepted, and one face file.
    Answer,
    /// Without an answer: accepted, no face file.
    Deferred,
    /// Sealed to another clinic's key: the desk sets it aside.
    WrongKey,
    /// About another record than its header says: the desk sets it aside.
    Misaddressed,
    /// With a broken signature: the front refuses it, the device sets it aside.
    Unsigned,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Answer, Self::Deferred, Self::WrongKey, Self::Misaddressed, Self::Unsigned];
}

/// One record that is sealed in the course of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing {
    pub(crate) device: usize,
    pub(crate) record: usize,
    pub(crate) kind: Kind,
    pub(crate) at: Duration,
    /// Whether the staff tap "send now", or leave it to the background.
    pub(crate) send_now: bool,
}

/// What the clinic's admin says of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Suspend,
    Resume,
    Revoke,
}

/// What an admin orders about one device, one after the other; each is repeated until the desk answers.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) device: usize,
    /// A device that is suspended is resumed or revoked in the end, or nothing would ever come of its records.
    pub(crate) words: Vec<(Duration, Word)>,
}

impl Orders {
    pub(crate) fn revokes(&self) -> bool {
        self.words.last().is_some_and(|(_, word)| *word == Word::Revoke)
    }
}

/// When a party is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    At(Duration),
    /// Before its n-th piece of work on the disk is done.
    BeforeJob(usize),
    /// After it is done and before anybody hears of it.
    AfterJob(usize),
}

/// One fault of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing passes between this party and the front.
    Partition { party: Party, from: Duration, to: Duration },
    /// It is killed and started again after a while.
    Crash { party: Party, moment: Moment, down: Duration },
    /// The front's database is replaced by an older copy of it.
    Restore { backup: Duration, restore: Duration },
    /// A clock jumps.
    Jump { party: Party, at: Duration, seconds: i64 },
}

/// How often a message meets something, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) lose_request: u32,
    pub(crate) lose_answer: u32,
    /// The request arrives a second time, any time later.
    pub(crate) duplicate: u32,
    /// In place of the answer comes the one to the same question before.
    pub(crate) repeat_answer: u32,
    pub(crate) delay: u32,
}

/// One schedule: what is sealed when, and what goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) sealings: Vec<Sealing>,
    pub(crate) orders: Vec<Orders>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) rates: Rates,
    /// How many pieces of work on the desk's disk a face file lies there before the consumer takes it.
    pub(crate) consumer_lag: usize,
    /// Whether, once nothing goes wrong any more, all waits for the devices' next try, up to an hour; in most schedules the
    /// staff open the app again, which takes a fraction of the time to run.
    pub(crate) waits_out: bool,
    /// From here on nothing goes wrong any more.
    pub(crate) healed_at: Duration,
}

/// Numbers of a seed.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Less than `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < u64::from(percent)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Between a millisecond and `end`, short times as likely as long ones.
    pub(crate) fn time(&mut self, end: Duration) -> Duration {
        let digits = (end.as_millis().max(10) as f64).log10();
        let exponent = self.below(1 << 20) as f64 / f64::from(1 << 20) * digits;
        Duration::from_millis(10_f64.powf(exponent) as u64)
    }

    fn within(&mut self, span: Duration) -> Duration {
        Duration::from_millis(self.below(span.as_millis() as u64 + 1))
    }
}

impl Plan {
    /// The schedule of a seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let span = Duration::from_secs(60) * dice.pick(&[1, 1, 1, 1, 2, 2, 5, 20]);
        let devices = 1 + dice.below(DEVICES as u64) as usize;
        let party = |dice: &mut Dice| match dice.below(4) {
            0 | 1 => Party::Device(dice.below(devices as u64) as usize),
            2 => Party::Front,
            _ => Party::Desk,
        };
        let mut sealings = Vec::new();
        for device in 0..devices {
            for record in 0..1 + dice.below(RECORDS as u64) as usize {
                let kind = dice.pick(&[
                    Kind::Answer,
                    Kind::Answer,
                    Kind::Answer,
                    Kind::Answer,
                    Kind::Deferred,
                    Kind::Deferred,
                    Kind::WrongKey,
                    Kind::Misaddressed,
                    Kind::Unsigned,
                ]);
                let at = dice.within(span / 2);
                sealings.push(Sealing { device, record, kind, at, send_now: dice.percent(70) });
            }
        }
        sealings.sort_by_key(|sealing| sealing.at);

        let mut faults = Vec::new();
        for _ in 0..dice.below(4) {
            let party = match party(&mut dice) {
                Party::Front => Party::Desk,
                other => other,
            };
            let from = dice.within(span);
            faults.push(Fault::Partition { party, from, to: from + dice.time(span) });
        }
        for _ in 0..dice.below(5) {
            let (party, job) = (party(&mut dice), dice.below(60) as usize);
            let moment = match dice.below(3) {
                0 => Moment::At(dice.within(span)),
                1 => Moment::BeforeJob(job),
                _ => Moment::AfterJob(job),
            };
            faults.push(Fault::Crash { party, moment, down: dice.time(span) });
        }
        if dice.percent(3) {
            let backup = dice.within(span);
            faults.push(Fault::Restore { backup, restore: backup + dice.within(span) });
        }
        for _ in 0..dice.below(3) {
            let seconds = dice.time(Duration::from_secs(3 * 60 * 60)).as_secs() as i64;
            let seconds = if dice.percent(50) { seconds } else { -seconds };
            faults.push(Fault::Jump { party: party(&mut dice), at: dice.within(span), seconds });
        }
        let rate = |dice: &mut Dice| dice.pick(&[0, 0, 5, 20, 50]);
        let rates = Rates {
            lose_request: rate(&mut dice),
            lose_answer: rate(&mut dice),
            duplicate: rate(&mut dice),
            repeat_answer: rate(&mut dice),
            delay: rate(&mut dice),
        };
        let consumer_lag = dice.pick(&[0, 0, 1, 5]);
        let waits_out = dice.percent(5);
        let mut orders = Vec::new();
        for device in 0..devices {
            if dice.percent(25) {
                use Word::{Resume, Revoke, Suspend};
                let words: &[Word] =
                    dice.pick(&[&[Revoke], &[Suspend, Revoke], &[Suspend, Resume], &[Suspend, Resume, Revoke]]);
                let mut times: Vec<_> = words.iter().map(|_| dice.within(span)).collect();
                times.sort();
                orders.push(Orders { device, words: times.into_iter().zip(words.iter().copied()).collect() });
            }
        }
        let mut plan =
            Self { seed, sealings, orders, faults, rates, consumer_lag, waits_out, healed_at: Duration::ZERO };
        plan.healed_at = plan.end_of_faults().max(span);
        plan
    }

    fn end_of_faults(&self) -> Duration {
        let end = |fault: &Fault| match *fault {
            Fault::Partition { to, .. } => to,
            Fault::Crash { moment: Moment::At(at), .. } | Fault::Jump { at, .. } => at,
            Fault::Crash { .. } => Duration::ZERO,
            Fault::Restore { restore, .. } => restore,
        };
        self.faults.iter().map(end).max().unwrap_or_default()
    }

    /// Whether the clinic revokes the device.
    pub(crate) fn revokes(&self, device: usize) -> bool {
        self.orders.iter().any(|orders| orders.device == device && orders.revokes())
    }

    /// Every plan with one thing less that goes wrong or is sealed.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        for index in 0..self.faults.len() {
            let mut plan = self.clone();
            plan.faults.remove(index);
            smaller.push(plan);
        }
        let fields: [fn(&mut Rates) -> &mut u32; 5] = [
            |rates| &mut rates.lose_request,
            |rates| &mut rates.lose_answer,
            |rates| &mut rates.duplicate,
            |rates| &mut rates.repeat_answer,
            |rates| &mut rates.delay,
        ];
        for field in fields {
            let mut plan = self.clone();
            if std::mem::take(field(&mut plan.rates)) > 0 {
                smaller.push(plan);
            }
        }
        for index in 0..self.orders.len() {
            let mut plan = self.clone();
            plan.orders.remove(index);
            smaller.push(plan);
        }
        for index in 0..self.sealings.len() {
            let mut plan = self.clone();
            plan.sealings.remove(index);
            smaller.push(plan);
        }
        smaller
    }
}
