use clap::{Args, ValueEnum};
use tazune_hub::{admin::AdminClient, store::SetAsideSummary};
use tazune_model::{RecordId, Sha256};

use super::{DeskFolder, Failure, output, table::word};

#[derive(Debug, Args)]
pub(super) struct Quarantine {
    #[command(flatten)]
    folder: DeskFolder,
    /// What to do.
    #[arg(value_enum, default_value_t = Action::List)]
    action: Action,
    /// The record that the envelope names.
    #[arg(value_name = "RECORD", required_if_eq_any([("action", "accept"), ("action", "reject")]))]
    record: Option<RecordId>,
    /// Which envelope, where several name this record.
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<Sha256>,
    /// Why it is turned down, in your own words.
    #[arg(long, value_name = "TEXT", value_parser = super::reason, required_if_eq("action", "reject"))]
    reason: Option<String>,
    /// One JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Action {
    /// List what was set aside, and what was decided about it.
    List,
    /// Take an envelope as a record of the clinic; final.
    Accept,
    /// Turn an envelope down; its bytes are kept; final.
    Reject,
}

impl Quarantine {
    pub(super) const fn folder(&self) -> &DeskFolder {
        &self.folder
    }

    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = AdminClient::find(&self.folder.path())?;
        let line = match (self.action, self.record, self.reason) {
            (Action::Accept, Some(record), _) => client.accept_set_aside(record, self.sha256).await?,
            (Action::Reject, Some(record), Some(reason)) => {
                client.reject_set_aside(record, self.sha256, reason).await?
            }
            _ => return list(&client.set_asides().await?, self.json),
        };
        output::line(if self.json {
            serde_json::to_string_pretty(&line).expect("a line of plain fields")
        } else {
            row(&line)
        })?;
        Ok(())
    }
}

fn list(lines: &[SetAsideSummary], json: bool) -> Result<(), Failure> {
    if json {
        output::line(serde_json::to_string_pretty(lines).expect("a list of plain fields"))?;
        return Ok(());
    }
    output::line(format!(
        "{:36}  {:13}  {:20}  {:14}  {:8}  {}",
        "record", "device", "set aside", "reason", "decision", "why"
    ))?;
    for line in lines {
        output::line(row(line))?;
    }
    Ok(())
}

fn row(line: &SetAsideSummary) -> String {
    format!(
        "{:36}  {:13}  {:20}  {:14}  {:8}  {}",
        line.record_id.to_string(),
        line.device.as_str(),
        format!("{:.0}", line.at),
        word(&line.reason),
        word(&line.decision),
        line.decision_reason.as_deref().unwrap_or_default(),
    )
}
