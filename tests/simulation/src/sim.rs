use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use jiff::SignedDuration;
use rusqlite::{Connection, OpenFlags};
use tazune_model::{Clock, Timestamp};
use tokio::{task::AbortHandle, time::Instant};

use crate::{
    Sabotage,
    keys::LentKeys,
    outcome::Counts,
    plan::{DEVICES, Dice, Fault, Moment, Party, Plan},
    watch::Watch,
    world::{DESK_DATABASE, FRONT_DATABASE, Site, TestDevice, World, replace_database, start},
};

/// How often the system syncs what nobody syncs, and where a copy of that lies.
const SYNC_PAUSE: Duration = Duration::from_secs(20);
const SYNCED: &str = "synced.sqlite";

/// One schedule while it runs: what every simulated part shares.
pub(crate) struct Sim {
    pub(crate) world: Arc<World>,
    pub(crate) site: Arc<Site>,
    pub(crate) plan: Plan,
    pub(crate) sabotage: Option<Sabotage>,
    /// The keys of each device.
    pub(crate) keys: Vec<Arc<LentKeys>>,
    began: Instant,
    state: Mutex<State>,
}

/// What changes in the course of a schedule.
pub(crate) struct State {
    /// The front's API as each device and the desk reach it; `None` while it is down.
    pub(crate) services: Option<Services>,
    /// The desk's admin port; `None` while it is down.
    pub(crate) admin: Option<Router>,
    parties: [Running; Party::COUNT],
    pub(crate) messages: [Dice; Party::COUNT],
    pub(crate) last_answers: BTreeMap<(usize, String), (u16, Vec<u8>)>,
    pub(crate) watch: Watch,
    pub(crate) counts: Counts,
    /// How many of the plan's [`Orders`](crate::plan::Orders) are done.
    pub(crate) orders_done: usize,
    violation: Option<String>,
    trace: Option<String>,
    restores: VecDeque<PathBuf>,
    /// When a desk that does not sync was last synced by the system, since it was started.
    desk_synced_at: Option<Duration>,
}

/// The front's API for each who may ask, by [`Party::index`].
#[derive(Clone)]
pub(crate) struct Services(pub(crate) [Option<Router>; Party::COUNT]);

#[derive(Default)]
struct Running {
    tasks: Vec<AbortHandle>,
    jobs_done: usize,
    /// How long it stays down after the crash that has just been.
    down: Duration,
    clock_offset: i64,
}

impl Sim {
    pub(crate) fn new(
        world: Arc<World>,
        site: Arc<Site>,
        plan: Plan,
        sabotage: Option<Sabotage>,
        traced: bool,
    ) -> Arc<Self> {
        let state = State {
            services: None,
            admin: None,
            parties: Default::default(),
            messages: std::array::from_fn(|party| Dice::new(plan.seed, party as u64 + 1)),
            last_answers: BTreeMap::new(),
            watch: Watch::new(&site),
            counts: Counts::default(),
            orders_done: 0,
            violation: None,
            trace: traced.then(String::new),
            restores: VecDeque::new(),
            desk_synced_at: None,
        };
        let go_together = sabotage == Some(Sabotage::KeysGoTogether);
        let lend = |device: &TestDevice| Arc::new(LentKeys::new(device.keys.clone(), go_together));
        let keys = world.devices.iter().map(lend).collect();
        Arc::new(Self { world, site, plan, sabotage, keys, began: Instant::now(), state: Mutex::new(state) })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the schedule began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.elapsed() >= self.plan.healed_at
    }

    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        let at = self.elapsed();
        if let Some(trace) = &mut self.state().trace {
            let _ = writeln!(trace, "{:>12.3} {}", at.as_secs_f64(), text());
        }
    }

    /// What must never be: ends the schedule.
    pub(crate) fn violated(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.state().violation.get_or_insert(what);
    }

    pub(crate) fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }

    pub(crate) fn take_trace(&self) -> String {
        self.state().trace.take().unwrap_or_default()
    }

    /// Whether messages pass between this party and the front.
    pub(crate) fn is_connected(&self, party: Party) -> bool {
        let now = self.elapsed();
        let cuts = |fault: &Fault| matches!(*fault, Fault::Partition { party: cut, from, to } if cut == party && from <= now && now < to);
        !self.plan.faults.iter().any(cuts)
    }

    /// Has a task die with this party.
    pub(crate) fn runs(&self, party: Party, task: AbortHandle) {
        let tasks = &mut self.state().parties[party.index()].tasks;
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Kills a party as it is: nothing of it is polled again.
    pub(crate) fn crash(&self, party: Party, down: Duration, why: &str) {
        self.note(|| format!("{party:?} is killed {why}, down for {down:?}"));
        // What is switched off or restarted later is no fault.
        let is_healed = self.is_healed();
        let mut state = self.state();
        state.counts.crashes += usize::from(!is_healed);
        match party {
            Party::Front => state.services = None,
            Party::Desk => state.admin = None,
            Party::Device(_) => {}
        }
        let running = &mut state.parties[party.index()];
        running.down = down;
        running.tasks.drain(..).for_each(|task| task.abort());
    }

    /// How long the party stays down; the next one is up at once if nobody kills it.
    pub(crate) fn take_down_time(&self, party: Party) -> Duration {
        std::mem::take(&mut self.state().parties[party.index()].down).max(Duration::from_millis(1))
    }

    pub(crate) fn jump(&self, party: Party, seconds: i64) {
        self.note(|| format!("the clock of {party:?} jumps by {seconds} s"));
        let mut state = self.state();
        state.counts.jumps += 1;
        state.parties[party.index()].clock_offset += seconds;
    }

    /// Counts a piece of work on a party's disk and tells whether a crash is due around it, before and after.
    pub(crate) fn crashes_around_next_job(&self, party: Party) -> (Option<Duration>, Option<Duration>) {
        let number = {
            let running = &mut self.state().parties[party.index()];
            running.jobs_done += 1;
            running.jobs_done - 1
        };
        let due = |wanted: fn(Moment) -> Option<usize>| {
            self.plan.faults.iter().find_map(|fault| match *fault {
                Fault::Crash { party: crashed, moment, down } if crashed == party && wanted(moment) == Some(number) => {
                    Some(down)
                }
                _ => None,
            })
        };
        if self.is_healed() {
            return (None, None);
        }
        let before = due(|moment| if let Moment::BeforeJob(number) = moment { Some(number) } else { None });
        let after = due(|moment| if let Moment::AfterJob(number) = moment { Some(number) } else { None });
        (before, after)
    }

    /// Copies the front's database aside, as a backup does.
    pub(crate) fn back_up_front(&self) {
        let copy = self.site.front().join("backup.sqlite");
        replace_database(&self.site.front().join(FRONT_DATABASE), &copy);
        self.note(|| "the front is backed up".into());
        self.state().restores.push_back(copy);
    }

    /// Puts the backup in the place of the front's database, which nobody has open now.
    pub(crate) fn restore_front(&self) {
        let Some(copy) = self.state().restores.pop_front() else { return };
        replace_database(&copy, &self.site.front().join(FRONT_DATABASE));
        self.state().counts.restores += 1;
        self.note(|| "the front is restored from its backup".into());
    }

    /// What a broken variant does before a piece of work on a disk.
    pub(crate) fn sabotage_before_job(&self, party: Party) {
        if self.sabotage != Some(Sabotage::ReceiptBeforeCommit) || party != Party::Desk {
            return;
        }
        let now = self.elapsed();
        let synced_at = &mut self.state().desk_synced_at;
        if synced_at.is_none_or(|at| now - at > SYNC_PAUSE) {
            *synced_at = Some(now);
            let desk = self.site.desk();
            replace_database(&desk.join(DESK_DATABASE), &desk.join(SYNCED));
        }
    }

    /// What a broken variant does after a piece of work on a disk.
    pub(crate) fn sabotage_after_job(&self, party: Party) {
        let sql = match (self.sabotage, party) {
            (Some(Sabotage::PurgeOnReceived), Party::Device(_)) => {
                r#"UPDATE records SET envelope = NULL, is_purged = 1, delivery = '{"state":"purged"}'
                   WHERE delivery = '{"state":"received"}'"#
            }
            (Some(Sabotage::DuplicateRefused), Party::Front) => {
                "UPDATE envelope SET sha256 = 'forgotten' WHERE receipt IS NULL"
            }
            _ => return,
        };
        let database = match party {
            Party::Device(number) => self.site.device(number).join(crate::world::DEVICE_DATABASE),
            Party::Front | Party::Desk => self.site.front().join(FRONT_DATABASE),
        };
        execute(&database, sql);
    }

    /// What a broken variant does between a crash and the next start.
    pub(crate) fn sabotage_restart(&self, party: Party) {
        let database = self.site.desk().join(DESK_DATABASE);
        match (self.sabotage, party) {
            (Some(Sabotage::ReceiptBeforeCommit), Party::Desk) if self.state().desk_synced_at.take().is_some() => {
                replace_database(&self.site.desk().join(SYNCED), &database);
            }
            (Some(Sabotage::ExportAgain), Party::Desk) => {
                execute(&database, "UPDATE record SET export = 'waiting' WHERE export = 'renaming'");
            }
            _ => {}
        }
    }

    /// What a broken variant does once the desk has been given work.
    pub(crate) fn sabotage_work_given(&self) {
        if self.sabotage == Some(Sabotage::ForgetOnSend) {
            execute(&self.site.front().join(FRONT_DATABASE), "DELETE FROM envelope WHERE sealed IS NOT NULL");
        }
    }

    /// A clock of a party.
    pub(crate) fn clock(self: &Arc<Self>, party: Party) -> Arc<dyn Clock> {
        Arc::new(PartyClock { sim: self.clone(), party })
    }

    pub(crate) fn now(&self, party: Party) -> Timestamp {
        let offset = self.state().parties[party.index()].clock_offset;
        let elapsed =
            SignedDuration::try_from(self.elapsed()).expect("a schedule is shorter than the age of the world");
        start() + elapsed + SignedDuration::from_secs(offset)
    }
}

struct PartyClock {
    sim: Arc<Sim>,
    party: Party,
}

impl Clock for PartyClock {
    fn now(&self) -> Timestamp {
        self.sim.now(self.party)
    }
}

fn execute(database: &PathBuf, sql: &str) {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("it is there");
    connection.execute(sql, []).expect("the table is there");
}

/// Every party of a schedule.
pub(crate) fn parties() -> impl Iterator<Item = Party> {
    (0..DEVICES).map(Party::Device).chain([Party::Front, Party::Desk])
}

/// Files with this ending in a folder, sorted.
pub(crate) fn files(folder: &PathBuf, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it was made").map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    files.sort();
    files
}
