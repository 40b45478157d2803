//! Device, front and desk in a simulated network, on simulated clocks, with crashes at every step, all from one seed.
//!
//! What runs is the product's own code: the engine's device with its delivery loop and store, the front's router with
//! its handlers and store, the desk with dialler, opener, face exporter and store. Simulated are the network between
//! them, their clocks and timers, and the threads that use their disks. `docs/src/simulation.md` says the rest.

mod keys;
mod network;
mod outcome;
mod parties;
mod plan;
mod sim;
mod watch;
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

pub use outcome::{Counts, Failure};
use plan::{Party, Plan};
use sim::Sim;
use world::{Site, World};

/// All that can be left to do once nothing goes wrong any more: twice the six hours after which a device hands in again,
/// an hour's back-off, an hour's grace, an hour's idleness, and clocks that were set back.
const SETTLES_WITHIN: Duration = Duration::from_secs(30 * 60 * 60);

/// How often it is looked whether all is settled.
const LOOKS: Duration = Duration::from_secs(60);

/// A broken variant of the product, to prove that the simulation would find it. It is broken by the simulation's own
/// hand on the disks and in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The device purges as soon as the front has a record.
    PurgeOnReceived,
    /// The desk's receipt leaves before its commit is durable.
    ReceiptBeforeCommit,
    /// The front forgets an envelope when it offers it to the desk.
    ForgetOnSend,
    /// The front refuses the same envelope when it comes again.
    DuplicateRefused,
    /// The desk writes a face file again after a crash, though it may have been taken.
    ExportAgain,
    /// A revoked device destroys its transport key at once, with the staff key.
    KeysGoTogether,
}

impl Sabotage {
    /// Every variant.
    pub const ALL: [Self; 6] = [
        Self::PurgeOnReceived,
        Self::ReceiptBeforeCommit,
        Self::ForgetOnSend,
        Self::DuplicateRefused,
        Self::ExportAgain,
        Self::KeysGoTogether,
    ];
}

/// Runs the schedules of `count` seeds from `first` on, on `threads` threads, until one fails; `progress` is told the
/// number done now and then.
///
/// # Errors
/// The [`Failure`] that was met first.
pub fn campaign(
    first: u64,
    count: u64,
    threads: usize,
    sabotage: Option<Sabotage>,
    progress: impl Fn(u64) + Sync,
) -> Result<Counts, Box<Failure>> {
    let world = Arc::new(World::make());
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        let site = Arc::new(Site::make(&world));
        let mut counts = Counts::default();
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let plan = Plan::from_seed(first + number);
            let (outcome, _) = run(&world, &site, plan.clone(), sabotage, false);
            match outcome {
                Ok(of_one) => counts += of_one,
                Err(_) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(explained(&world, &site, plan, sabotage));
                }
            }
            if number % 1000 == 999 {
                progress(number + 1);
            }
        }
        Ok(counts)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut total = Counts::default();
        for worker in workers {
            total += worker.join().expect("a schedule's panic is a violation")?;
        }
        Ok(total)
    })
}

/// Runs one seed and returns its trace.
///
/// # Errors
/// The [`Failure`].
pub fn replay(seed: u64) -> Result<String, Box<Failure>> {
    let world = Arc::new(World::make());
    let site = Arc::new(Site::make(&world));
    let plan = Plan::from_seed(seed);
    let (outcome, trace) = run(&world, &site, plan.clone(), None, true);
    match outcome {
        Ok(_) => Ok(trace),
        Err(_) => Err(explained(&world, &site, plan, None)),
    }
}

/// Takes away from a failing plan what it does not need to fail.
fn explained(world: &Arc<World>, site: &Arc<Site>, mut plan: Plan, sabotage: Option<Sabotage>) -> Box<Failure> {
    let seed = plan.seed;
    let fails = |plan: &Plan| run(world, site, plan.clone(), sabotage, false).0.is_err();
    // Of a broken variant it is enough to know that it is found.
    while sabotage.is_none()
        && let Some(smaller) = plan.smaller().into_iter().find(fails)
    {
        plan = smaller;
    }
    let (outcome, trace) = run(world, site, plan.clone(), sabotage, true);
    let violation = outcome.err().unwrap_or_else(|| "does not fail again: something is not from the seed".into());
    Box::new(Failure { seed, violation, plan: format!("{plan:#?}"), trace })
}

/// Runs one schedule to its end.
fn run(
    world: &Arc<World>,
    site: &Arc<Site>,
    plan: Plan,
    sabotage: Option<Sabotage>,
    traced: bool,
) -> (Result<Counts, String>, String) {
    site.reset(world);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime without threads");
    runtime.block_on(async {
        let sim = Sim::new(world.clone(), site.clone(), plan, sabotage, traced);
        for party in sim::parties() {
            tokio::spawn(parties::supervise(sim.clone(), party));
        }
        for fault in sim.plan.faults.clone() {
            tokio::spawn(parties::fate(sim.clone(), fault));
        }
        for orders in sim.plan.orders.clone() {
            tokio::spawn(parties::admin(sim.clone(), orders));
        }
        let outcome = settled(&sim).await;
        let mut state = sim.state();
        // Front and desk hold a clock that holds the schedule.
        (state.services, state.admin) = (None, None);
        let mut counts = state.counts.clone();
        drop(state);
        counts.schedules = 1;
        counts.longest = sim.elapsed();
        (outcome.map(|()| counts), sim.take_trace())
    })
}

async fn settled(sim: &Sim) -> Result<(), String> {
    let (mut is_evening, mut is_opened) = (false, sim.plan.waits_out);
    loop {
        tokio::time::sleep(LOOKS).await;
        if let Some(violation) = sim.violation() {
            return Err(violation);
        }
        if !sim.is_healed() {
            continue;
        }
        if sim.is_settled() {
            break;
        }
        if !is_opened && sim.is_told() {
            is_opened = true;
            (0..plan::DEVICES).for_each(|number| {
                sim.crash(Party::Device(number), Duration::ZERO, "and opened again by the staff");
            });
        }
        if !is_evening && sim.is_answered() {
            // A purge needs neither front nor desk, and their idle questions would take most of the time.
            is_evening = true;
            sim.crash(Party::Desk, SETTLES_WITHIN * 2, "for the night");
        }
        if sim.elapsed() > sim.plan.healed_at + SETTLES_WITHIN {
            sim.check_end()?;
            return Err("not settled in time".into());
        }
    }
    sim.check_end()
}
