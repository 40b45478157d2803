//! Device and hub are killed at random moments while visits are sealed and delivered, and a receipt computer takes each
//! face file at once: no record is lost, none comes twice, every receipt verifies.
//!
//! The moments are drawn from a seed, which a failure prints; `TAZUNE_SEED` sets it. The machine's own pace makes two runs
//! of one seed alike, not equal.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    hash::{BuildHasher as _, RandomState},
    thread,
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::Value;
use tazune_e2e::{
    clinic::{Clinic, ReceiptComputer},
    process::Program,
    tablet::{Tablet, Visiting},
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Half of them for either victim.
const KILLS: usize = 200;

/// A kill of a device that comes when the visit is over is drawn again; with this many draws something else is wrong.
const MAX_ATTEMPTS: usize = 2 * KILLS;

/// Who answers with a qualification, so that the face file names them.
const PEOPLE: [&str; 6] = ["valid", "lost", "elder", "hidden", "unknown-kanji", "grace"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Device,
    Hub,
}

/// From when a kill's delay counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// The program is up: the whole visit can be hit.
    Start,
    /// The staff close the visit: sealing, delivery, commit, receipt and export can be hit.
    Closing,
}

#[derive(Clone, Copy, Debug)]
struct Kill {
    victim: Victim,
    since: Since,
}

/// How long an undisturbed visit takes, and its end from the closing on.
#[derive(Clone, Copy, Debug)]
struct Usual {
    whole: Duration,
    end: Duration,
}

/// What became of one run of the program.
struct Run {
    was_killed: bool,
    bodies: Vec<String>,
    usual: Usual,
}

struct Scene {
    clinic: Clinic,
    tablet: Tablet,
    computer: ReceiptComputer,
    generator: StdRng,
    /// Every record that was sealed, with the person whose card it was.
    sealed: BTreeMap<String, &'static str>,
    has_draft: bool,
    /// Printed when the test fails.
    story: String,
    _folder: TempDir,
}

#[test]
fn two_hundred_kills_lose_no_record_and_bring_none_twice() {
    let seed = env::var("TAZUNE_SEED")
        .map_or_else(|_| RandomState::new().hash_one(0), |seed| seed.parse().expect("TAZUNE_SEED is a number"));
    let mut scene = Scene::new(seed);
    // The first visit also makes caches and keys; the second is the measure.
    scene.attempt(None);
    let mut usual = scene.attempt(None).usual;
    scene.tell(&format!("undisturbed: {usual:?}"));

    let mut kills = scene.draw_kills();
    let mut attempts = 0;
    while let Some(kill) = kills.pop() {
        attempts += 1;
        assert!(attempts <= MAX_ATTEMPTS, "kills keep missing");
        let run = scene.attempt(Some((kill, usual)));
        if kill.victim == Victim::Device && !run.was_killed {
            // Nothing disturbed this one either; what else the machine does changes.
            usual = run.usual;
            kills.insert(0, kill);
        }
    }
    if scene.has_draft {
        scene.attempt(None);
    }

    scene.drain();
    scene.check_the_clinic();
    // A hub that starts anew has nothing to write again.
    scene.clinic.stop_hub();
    scene.clinic.start_hub();
    thread::sleep(Duration::from_millis(500));
    scene.check_the_clinic();
    scene.clinic.stop_hub();
    let hub = scene.clinic.hub_folder();
    let verified = Program::run("tazune-hub", &["audit", "verify", "--data", hub.to_str().unwrap()]);
    assert_eq!(verified.code(), 0, "{}", verified.transcript);
}

impl Scene {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clinic = Clinic::open(folder.path());
        let tablet = clinic.pair("tablet-1");
        let computer = ReceiptComputer::watch(clinic.face_folder());
        Self {
            clinic,
            tablet,
            computer,
            generator: StdRng::seed_from_u64(seed),
            sealed: BTreeMap::new(),
            has_draft: false,
            story: format!("TAZUNE_SEED={seed}\n"),
            _folder: folder,
        }
    }

    /// Half of the kills for either victim, most of them after the closing, in random order.
    fn draw_kills(&mut self) -> Vec<Kill> {
        let kinds = [Since::Start, Since::Closing, Since::Closing, Since::Closing]
            .into_iter()
            .flat_map(|since| [Victim::Device, Victim::Hub].map(|victim| Kill { victim, since }));
        let mut kills: Vec<_> = kinds.cycle().take(KILLS).collect();
        kills.shuffle(&mut self.generator);
        kills
    }

    /// Runs the visit program once: it goes on with the draft that is there, or begins with the next person.
    fn attempt(&mut self, kill: Option<(Kill, Usual)>) -> Run {
        let person = PEOPLE[self.sealed.len() % PEOPLE.len()];
        let card = self.clinic.card(person);
        let delay = kill.map_or(Duration::ZERO, |(kill, usual)| {
            let usual = if kill.since == Since::Start { usual.whole } else { usual.end };
            // A little longer than usual, because what follows the visit's end is to be hit too.
            usual.mul_f64(self.generator.random_range(0.0..1.25))
        });
        let down = Duration::from_millis(self.generator.random_range(0..100));
        self.tell(&format!("{person}: {:?} after {delay:?}, down {down:?}", kill.map(|(kill, _)| kill)));

        let mut visit = self.tablet.begin_visit(if self.has_draft { &["--resume"] } else { &[] });
        visit.hold(card);
        let killer = visit.program().killer();
        let clinic = &mut self.clinic;
        let mut victim = kill.map(|(kill, _)| {
            let strike = move || {
                thread::sleep(delay);
                match kill.victim {
                    Victim::Device => killer.kill(),
                    Victim::Hub => {
                        clinic.kill_hub();
                        thread::sleep(down);
                        clinic.start_hub();
                    }
                }
            };
            (kill.since, strike)
        });
        let (started, mut closing) = (Instant::now(), None);
        let mut bodies = Vec::new();
        thread::scope(|scope| {
            let mut reached = |since: Since| {
                if let Some((_, strike)) = victim.take_if(|(at, _)| *at == since) {
                    scope.spawn(strike);
                }
            };
            reached(Since::Start);
            while visit.next_screen().is_some() {
                if is_at_its_end(&visit) {
                    closing.get_or_insert_with(Instant::now);
                    reached(Since::Closing);
                }
                bodies.push(visit.body().to_owned());
                visit.go_on();
            }
        });
        let usual = Usual { whole: started.elapsed(), end: closing.map(|at| at.elapsed()).unwrap_or_default() };
        let ended = visit.finish();
        let was_killed = ended.status.code().is_none();
        assert!(was_killed || [0, 10].contains(&ended.code()), "ended with {}:\n{}", ended.status, ended.transcript);
        self.tell(&format!("ended with {} after {bodies:?}\n{}", ended.status, ended.transcript));
        let run = Run { was_killed, bodies, usual };
        self.take_stock(&run, person);
        run
    }

    /// Counts on the device what the run left behind, because its process may have died before it could say so.
    fn take_stock(&mut self, run: &Run, person: &'static str) {
        let queue = self.queue(&[]);
        let ids: Vec<_> = of_each(&queue["records"], "record_id").collect();
        for id in self.sealed.keys() {
            assert!(ids.contains(id), "{id} is gone: {queue}");
        }
        let new: Vec<_> = ids.into_iter().filter(|id| !self.sealed.contains_key(id)).collect();
        let drafts = queue["drafts"].as_array().unwrap().len();
        let was_saved = self.has_draft || run.bodies.iter().any(|body| body != "consent");
        match (new.as_slice(), drafts) {
            ([id], 0) => drop(self.sealed.insert(id.clone(), person)),
            ([], 1) => assert!(run.was_killed, "left unfinished: {:?}", run.bodies),
            ([], 0) => assert!(run.was_killed && !was_saved, "the visit is lost: {:?}", run.bodies),
            _ => panic!("one visit left {new:?} and {drafts} drafts"),
        }
        let was_told = run.bodies.iter().any(|body| body == "sealed");
        assert!(!was_told || new.len() == 1, "shown as saved, and not there");
        self.has_draft = drafts == 1;
    }

    /// Sends undisturbed until the clinic has answered for every record.
    fn drain(&self) {
        let queue = (0..10)
            .map(|_| self.queue(&["--send"]))
            .find(|queue| queue["counts"]["accepted"] == self.sealed.len())
            .expect("every record is accepted, and its receipt verifies");
        let counts = queue["counts"].as_object().unwrap();
        let others: Vec<_> = counts.iter().filter(|(state, count)| *state != "accepted" && **count != 0).collect();
        assert!(others.is_empty(), "{others:?}");
    }

    /// Each sealed record is at the clinic once, and was given to the receipt computer once, about the right person.
    fn check_the_clinic(&self) {
        let patience = Instant::now() + Duration::from_secs(30);
        let (mut records, mut taken) = (self.clinic.records(), self.computer.taken());
        let is_waiting = |records: &[Value]| records.iter().any(|record| record["export"] != "written");
        while (is_waiting(&records) || taken.len() < records.len()) && Instant::now() < patience {
            thread::sleep(Duration::from_millis(50));
            (records, taken) = (self.clinic.records(), self.computer.taken());
        }
        assert_eq!(records.len(), self.sealed.len(), "{records:#?}");
        assert_eq!(taken.len(), records.len(), "{:?}", taken.iter().map(|(name, _)| name).collect::<Vec<_>>());
        assert_eq!(taken.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), taken.len(), "names differ");
        for record in &records {
            assert_eq!((&record["outcome"], &record["export"]), (&"answer".into(), &"written".into()), "{record}");
            // With as many records as were sealed, and each of them one that was sealed, none can be missing or double.
            let person = self.sealed.get(record["record_id"].as_str().unwrap()).expect("a record that was sealed");
            let (_, content) = taken.iter().find(|(name, _)| record["file"] == name.as_str()).expect("its file");
            let answer = tazune_oqs::parse(content).unwrap().eligibility().unwrap();
            let expected = self.clinic.world().people().iter().find(|one| one.key == *person).unwrap();
            assert_eq!(answer.qualifications[0].name.expose(), expected.name);
        }
        let distinct: BTreeSet<_> = records.iter().map(|record| record["record_id"].as_str()).collect();
        assert_eq!(distinct.len(), records.len(), "{records:#?}");
    }

    fn queue(&self, arguments: &[&str]) -> Value {
        let mut queue = self.tablet.start(&[&["queue"], arguments].concat());
        let told = queue.expect("queue");
        let _ = queue.finish();
        told
    }

    fn tell(&mut self, line: &str) {
        self.story.push_str(line);
        self.story.push('\n');
    }
}

impl Drop for Scene {
    #[expect(clippy::print_stderr, reason = "who looks into a failed run needs its seed and its story")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}\nhub:\n{}", self.story, self.clinic.hub_transcript());
        }
    }
}

fn is_at_its_end(visit: &Visiting) -> bool {
    ["closing", "sealing", "sealed"].contains(&visit.body())
}

fn of_each(list: &Value, key: &str) -> impl Iterator<Item = String> {
    let values = list.as_array().into_iter().flatten();
    values.filter_map(move |value| value[key].as_str()).map(ToOwned::to_owned).collect::<Vec<_>>().into_iter()
}
