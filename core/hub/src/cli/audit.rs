use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use tazune_hub::{
    Random,
    audit::{Audit, Verified},
};
use tazune_link::{
    audit::{AuditBroken, Chain, EntryRow, Finding},
    keys::sha256,
};
use tazune_model::{DeviceId, Sha256, TextError};

use super::{DeskFolder, Exit, Failure, output};

/// Most findings that are listed; the others are counted.
const LISTED: u64 = 1000;

/// After how many entries the reader says how far it is.
const STEP: u64 = 50_000;

#[derive(Debug, Args)]
pub(super) struct AuditCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Verify that nothing in the audit was altered, taken out, swapped or cut off; also while the hub runs.
    Verify(Verify),
    /// List entries, oldest first; nothing in the list names a person.
    List(List),
}

#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    folder: DeskFolder,
    /// The witness file that the desk writes; without it a database that was set back as a whole is not noticed.
    #[arg(long, value_name = "FILE")]
    witness: Option<PathBuf>,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    folder: DeskFolder,
    /// Only what concerns this device.
    #[arg(long, value_name = "ID", value_parser = device)]
    device: Option<DeviceId>,
    /// Only entries after this position.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: i64,
    /// Most entries to list.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
}

fn device(text: &str) -> Result<DeviceId, TextError> {
    DeviceId::new(text)
}

/// The JSON of `verify`.
#[derive(Serialize)]
struct Report {
    whole: bool,
    entries: u64,
    checkpoints: u64,
    chains: u64,
    key_sha256: Sha256,
    /// Lines of the witness that were compared; null without a witness.
    witnessed: Option<i64>,
    /// How many things are wrong; the first of them are in `findings`.
    finding_count: u64,
    findings: Vec<Finding>,
}

impl AuditCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Action::Verify(command) => command.run(),
            Action::List(command) => command.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<(), Failure> {
        let audit = Audit::open(&self.folder.path(), &Random::system())?;
        let total = audit.entry_count()?;
        let (mut findings, mut count) = (Vec::new(), 0);
        let verified = audit.verify(
            self.witness.as_ref(),
            |read| {
                if read % STEP == 0 {
                    // Who closed stderr does not want to know.
                    let _ = writeln!(std::io::stderr(), "{read} of {total} entries read");
                }
            },
            |finding| {
                count += 1;
                if count <= LISTED {
                    findings.push(finding);
                }
            },
        )?;
        self.tell(verified, findings, count)?;
        if count == 0 {
            return Ok(());
        }
        let broken = AuditBroken { findings: count };
        Err(Failure::new(Exit::Refused, Some(broken.failure_code()), broken))
    }

    fn tell(&self, verified: Verified, findings: Vec<Finding>, finding_count: u64) -> Result<(), Failure> {
        let Verified { summary, witnessed, key } = verified;
        let report = Report {
            whole: finding_count == 0,
            entries: summary.entries,
            checkpoints: summary.checkpoints,
            chains: summary.chains,
            key_sha256: sha256(key.as_bytes()),
            witnessed,
            finding_count,
            findings,
        };
        if self.json {
            output::line(serde_json::to_string_pretty(&report).expect("a report of plain fields"))?;
            return Ok(());
        }
        for finding in &report.findings {
            output::line(finding.to_string())?;
        }
        let Report { entries, checkpoints, chains, key_sha256, .. } = report;
        output::line(format!("{entries} entries in {chains} chains, {checkpoints} checkpoints, key {key_sha256}"))?;
        output::line(match witnessed {
            Some(lines) => format!("{lines} lines of the witness compared."),
            None => "Without a witness: it cannot be seen whether the whole database was set back.".into(),
        })?;
        if report.whole {
            output::line("The audit is whole.")?;
        }
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let audit = Audit::open(&self.folder.path(), &Random::system())?;
        let chain = self.device.clone().map(Chain::Device);
        let rows = audit.entries(chain.as_ref(), self.after, self.limit)?;
        // A full page may have a next one.
        let next = rows.last().filter(|_| rows.len() == self.limit as usize).map(|row| row.position);
        if self.json {
            let entries: Vec<Value> = rows.iter().map(entry).collect();
            let page = json!({ "entries": entries, "next": next });
            output::line(serde_json::to_string_pretty(&page).expect("a page of plain fields"))?;
            return Ok(());
        }
        for row in &rows {
            output::line(line(row))?;
        }
        if let Some(next) = next {
            output::line(format!("Perhaps there is more: --after {next}"))?;
        }
        Ok(())
    }
}

/// An entry as it was written; one that cannot be read is shown as text.
fn entry(row: &EntryRow) -> Value {
    serde_json::from_str(&row.entry).unwrap_or_else(|_| Value::String(row.entry.clone()))
}

fn line(row: &EntryRow) -> String {
    let entry = entry(row);
    let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let EntryRow { position, chain, number, .. } = row;
    let subject = [word("record_id"), word("session"), word("reason")].join(" ");
    format!("{position:>8}  {:30}  {chain:24} {number:>6}  {:24}  {}", word("at"), word("event"), subject.trim())
}
