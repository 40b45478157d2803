//! `tazune-sim`: the simulated world, its gateway and its cards as processes.
//!
//! Exit status: 0 done, 1 the command failed (the reason is on standard error), 2 wrong arguments.

use std::{
    error::Error,
    io::BufRead as _,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use clap::{Parser, Subcommand};
use jiff::{SignedDuration, Timestamp, tz::Offset};
use serde_json::json;
use tazune_model::Clock;
use tazune_sim::{
    card::{Tear, TearMoment, VirtualCard},
    gateway::{Call, Fault, FaultOrder, Gateway},
    population::Sex,
    vpcd::InField,
    world::World,
};

/// Simulators for Tazune: a test world, the gateway of the direct check, a My Number card on a socket.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a test world in a folder and print where its files are, as one line of JSON.
    World {
        /// The folder.
        #[arg(long)]
        dir: PathBuf,
        /// The institution whose desk may enrol devices: ten digits.
        #[arg(long)]
        institution: String,
    },
    /// Serve the gateway; prints one line of JSON with its URL and runs until standard input ends.
    ///
    /// Each line of standard input is a fault as `--fault` takes it, or `unreachable`, or `reachable`.
    Gateway {
        /// The folder of the world.
        #[arg(long)]
        dir: PathBuf,
        /// The port of 127.0.0.1; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// <enrol|challenge|check>:<drop-answer|time-out|garbage|other-person|busy>[:<times>], may be repeated.
        #[arg(long)]
        fault: Vec<FaultOrder>,
        /// Process the first N checks and close the socket instead of answering.
        #[arg(long, value_name = "N", default_value_t = 0)]
        drop_answers: usize,
        /// Seconds by which the gateway's clock is ahead of the system's.
        #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
        clock_offset: i32,
        /// Do not read standard input: run until killed.
        #[arg(long)]
        detached: bool,
    },
    /// Hold a person's card to a reader that listens with vpcd's framing; runs until killed.
    Card {
        /// The folder of the world.
        #[arg(long)]
        dir: PathBuf,
        /// Whose card: a key that `people` lists.
        #[arg(long)]
        person: String,
        /// Where the reader listens, for example 127.0.0.1:35963.
        #[arg(long, value_name = "ADDRESS")]
        connect: SocketAddr,
        /// Refuse extended lengths.
        #[arg(long)]
        short_le: bool,
        /// Leave the field after N answered commands, and again N commands after each return.
        #[arg(long, value_name = "N", value_delimiter = ',')]
        tear_after: Vec<usize>,
        /// The command at which the card leaves still takes effect.
        #[arg(long)]
        lose_answer: bool,
        /// How long a card that was lost stays away.
        #[arg(long, value_name = "MS", default_value_t = 2000)]
        return_after_ms: u64,
        /// The PIN.
        #[arg(long, default_value = "1234")]
        pin: String,
        /// Tries left, 0 to 3.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=3))]
        tries: u8,
    },
    /// List the people of a world.
    People {
        /// The folder of the world.
        #[arg(long)]
        dir: PathBuf,
        /// As one line of JSON.
        #[arg(long)]
        json: bool,
    },
}

#[expect(clippy::print_stderr, reason = "the reason of a failure belongs on standard error")]
fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tazune-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::World { dir, institution } => {
            let world =
                World::create(&dir, &institution, Offset::constant(9).to_datetime(SystemClock(0).now()).date())?;
            print(&json!({
                "dir": dir,
                "institution": world.institution(),
                "gateway_ca": world.path("gateway-ca.pem"),
                "user_ca": world.path("user-ca.pem"),
                "foreign_ca": world.path("foreign-ca.pem"),
                "enrolment_secret": world.path("enrolment-secret"),
            }));
            Ok(())
        }
        Command::Gateway { dir, port, fault, drop_answers, clock_offset, detached } => {
            let world = World::load(&dir)?;
            let drop = FaultOrder { call: Call::Check, fault: Fault::DropAnswer, times: drop_answers };
            let runtime = tokio::runtime::Runtime::new()?;
            let gateway = runtime.block_on(Gateway::start(&world, Arc::new(SystemClock(clock_offset)), port))?;
            fault.into_iter().chain([drop]).for_each(|order| gateway.fail(order));
            print(&json!({ "url": gateway.url() }));
            if detached {
                wait_for_ever();
            }
            obey(&gateway)
        }
        Command::Card { dir, person, connect, short_le, tear_after, lose_answer, return_after_ms, pin, tries } => {
            let mut spec = World::load(&dir)?.card(&person)?;
            spec.takes_extended = !short_le;
            spec.pin = pin;
            spec.tries_left = tries;
            let moment = if lose_answer { TearMoment::AnswerLost } else { TearMoment::BeforeProcessing };
            let mut card = VirtualCard::new(&spec);
            tear_after.into_iter().for_each(|answered| card.tear(Tear { at: answered.saturating_add(1), moment }));
            let _field = InField::serve(Arc::new(Mutex::new(card)), connect, Duration::from_millis(return_after_ms));
            wait_for_ever()
        }
        Command::People { dir, json } => {
            people(&World::load(&dir)?, json);
            Ok(())
        }
    }
}

/// Takes orders from standard input until it ends.
#[expect(clippy::print_stderr, reason = "a line that is no order is answered where a person sees it")]
fn obey(gateway: &Gateway) -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        match line?.trim() {
            "" => {}
            "unreachable" => gateway.set_reachable(false),
            "reachable" => gateway.set_reachable(true),
            line => match line.parse() {
                Ok(order) => gateway.fail(order),
                Err(error) => eprintln!("tazune-sim: {error}"),
            },
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn people(world: &World, as_json: bool) {
    if as_json {
        let people = world.people().iter().map(|person| {
            json!({
                "key": person.key,
                "case": person.case,
                "name": person.name,
                "kana": person.kana,
                "birth_date": person.birth_date.to_string(),
                "sex": if person.sex == Sex::Male { "male" } else { "female" },
                "certificate_serial": person.certificate.serial,
            })
        });
        return print(&people.collect());
    }
    for person in world.people() {
        println!("{:<14} {}  {}  {}", person.key, person.birth_date, person.name, person.case);
    }
}

#[expect(clippy::print_stdout, reason = "the answer to the command")]
fn print(line: &serde_json::Value) {
    println!("{line}");
}

fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// The system's clock, put forward by some seconds.
struct SystemClock(i32);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where this program asks the system for the time")]
    fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.0.into());
        Timestamp::now().saturating_add(offset).expect("seconds always add")
    }
}
