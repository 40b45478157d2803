use clap::Args;
use tazune_hub::{
    admin::{AdminClient, messages::RecordsView},
    store::RecordSummary,
};

use super::{DeskFolder, Failure, output, table::word};

#[derive(Debug, Args)]
pub(super) struct Records {
    #[command(flatten)]
    folder: DeskFolder,
    /// One JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

impl Records {
    pub(super) const fn folder(&self) -> &DeskFolder {
        &self.folder
    }

    pub(super) async fn run(self) -> Result<(), Failure> {
        let view = AdminClient::find(&self.folder.path())?.records().await?;
        if self.json {
            output::line(serde_json::to_string_pretty(&view).expect("a list of plain fields"))?;
            return Ok(());
        }
        let RecordsView { records, face_failure, .. } = view;
        output::line(format!(
            "{:36}  {:13}  {:20}  {:16}  {:20}  {:10}  {}",
            "record", "device", "received", "outcome", "validity", "export", "file or reason"
        ))?;
        for record in &records {
            output::line(row(record))?;
        }
        if let Some(code) = face_failure {
            output::line(format!("Face files wait: {code}."))?;
        }
        Ok(())
    }
}

fn row(record: &RecordSummary) -> String {
    let outcome = match record.quarantine {
        Some(_) => "set aside".to_owned(),
        None => word(&record.outcome),
    };
    let last = match record.quarantine {
        Some(reason) => word(&reason),
        None => record.file.clone().unwrap_or_default(),
    };
    format!(
        "{:36}  {:13}  {:20}  {outcome:16}  {:20}  {:10}  {last}",
        record.record_id.to_string(),
        record.device.as_str(),
        format!("{:.0}", record.received_at),
        word(&record.validity),
        word(&record.export),
    )
}
