//! P11: from the start of the hub's program to its first answers.

use std::{
    env,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use serde_json::Value;
use tazune_link::front_api::HEALTH;

use crate::{
    hub::{Hub, call},
    report::{Row, not_run, ratio},
    stopwatch::{Samples, Stopwatch},
    stored,
};

const METRIC: &str = "P11 hub, start of the program to first answer of front and desk";

/// Starts an empty hub and one with `count` records in front and desk, turn and turn about, `repeats` times each.
pub(crate) async fn rows(folder: &Path, count: u32, repeats: usize) -> Vec<Row> {
    let Some(program) = program() else {
        return vec![not_run(METRIC, "tazune-hub is not built beside this program")];
    };
    let (empty, full) = (Hub::set_up(folder.join("empty")), Hub::set_up(folder.join("full")));
    for hub in [&empty, &full] {
        // The first start makes the databases.
        first_answer(&program, hub).await;
    }
    stored::in_front(&full.front_folder().join("front.sqlite"), count);
    stored::in_desk(&full.desk_folder().join("desk.sqlite"), count);
    let (mut ours, mut reference) = (Samples::default(), Samples::default());
    for _ in 0..repeats {
        reference.push(first_answer(&program, &empty).await);
        ours.push(first_answer(&program, &full).await);
    }
    let shown = |samples: &Samples| {
        format!("p50 {:.0} ms, longest {:.0} ms", samples.percentile_ms(50), samples.percentile_ms(100))
    };
    vec![Row {
        metric: format!("{METRIC}, {count} records stored"),
        ours: shown(&ours),
        reference: format!("an empty hub: {}", shown(&reference)),
        ratio: ratio(ours.percentile_ms(50), reference.percentile_ms(50)),
        target: "≤ 500 ms".into(),
    }]
}

/// The hub's program, built beside this one or, where this is a test, above it.
fn program() -> Option<PathBuf> {
    let me = env::current_exe().ok()?;
    let name = format!("tazune-hub{}", env::consts::EXE_SUFFIX);
    me.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.exists())
}

/// Starts the program, asks front and desk once each, and ends it.
async fn first_answer(program: &Path, hub: &Hub) -> Duration {
    let client = hub.identity("bench-1").client(hub);
    let watch = Stopwatch::start();
    let mut child = Command::new(program)
        .args(["serve", "--ready-json", "--data"])
        .arg(hub.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is there");
    let ready = ready_line(&mut child).expect("a hub that was set up starts");
    let address = |role: &str| ready[role].as_str().unwrap_or_default().to_owned();
    call(&client, Method::GET, &format!("https://{}{HEALTH}", address("front")), Vec::new()).await;
    // Whatever it says to somebody without the token: it answers.
    call(&client, Method::GET, &format!("http://{}/", address("admin")), Vec::new()).await;
    let elapsed = watch.elapsed();
    end(&mut child);
    elapsed
}

fn ready_line(child: &mut Child) -> io::Result<Value> {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("it was asked for")).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Asks the hub to stop, so that the next start finds the databases at rest.
fn end(child: &mut Child) {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    if !asked.is_ok_and(|status| status.success()) {
        // It may have ended already.
        let _ = child.kill();
    }
    let _ = child.wait();
}
