use clap::{Args, ValueEnum};
use serde_json::json;
use tazune_hub::{
    admin::{
        AdminClient,
        messages::{DevicesView, PendingDevice, StandingOrder},
    },
    store::DeviceSummary,
};
use tazune_link::{front_api::DeviceStanding, tombstone::RevocationKind};
use tazune_model::{DeviceId, Timestamp};

use super::{DeskFolder, Exit, Failure, output, table::word};

#[derive(Debug, Args)]
pub(super) struct Devices {
    #[command(flatten)]
    folder: DeskFolder,
    /// One JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub(super) const fn folder(&self) -> &DeskFolder {
        &self.folder
    }

    pub(super) async fn run(self) -> Result<(), Failure> {
        let view = AdminClient::find(&self.folder.path())?.devices().await?;
        if self.json {
            output::line(serde_json::to_string_pretty(&view).expect("a list of plain fields"))?;
            return Ok(());
        }
        let DevicesView { pending, devices } = view;
        output::line(format!(
            "{:13}  {:9}  {:20}  {:20}  {:20}  {:8}  {:8}  name, model, system",
            "device", "state", "paired", "last contact", "certificate until", "records", "aside"
        ))?;
        for PendingDevice { device, .. } in &pending {
            let about = format!("{}, {}, {}", device.name, device.model, device.os);
            output::line(format!("{:13}  {:9}  {:84}  {about}", "-", "pending", ""))?;
        }
        for device in &devices {
            output::line(row(device))?;
        }
        Ok(())
    }
}

fn row(device: &DeviceSummary) -> String {
    let instant = |at: Timestamp| format!("{at:.0}");
    let mut line = format!(
        "{:13}  {:9}  {:20}  {:20}  {:20}  {:<8}  {:<8}  {}, {}, {}",
        device.device.as_str(),
        word(&device.state),
        instant(device.paired_at),
        device.last_contact_at.map_or_else(|| "-".to_owned(), instant),
        instant(device.certificate_expires_at),
        device.accepted_count,
        device.quarantined_count,
        device.name,
        device.model,
        device.os,
    );
    if !device.is_at_front {
        line.push_str("\n               not yet at the front");
    }
    if let Some(reason) = &device.reason {
        line.push_str(&format!("\n               reason: {reason}"));
    }
    line
}

#[derive(Debug, Args)]
pub(super) struct Suspend {
    #[command(flatten)]
    target: Target,
    /// Why, in your own words; it stays at the clinic.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    reason: String,
}

impl Suspend {
    pub(super) const fn folder(&self) -> &DeskFolder {
        &self.target.folder
    }

    pub(super) async fn run(self) -> Result<(), Failure> {
        self.target.order(StandingOrder::Suspend { reason: self.reason }).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    target: Target,
}

impl Resume {
    pub(super) const fn folder(&self) -> &DeskFolder {
        &self.target.folder
    }

    pub(super) async fn run(self) -> Result<(), Failure> {
        self.target.order(StandingOrder::Resume).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    target: Target,
    /// Why, in your own words; it stays at the clinic.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    reason: String,
    /// Why, in the one word that the device is told.
    #[arg(long, value_enum, default_value_t = Kind::Other)]
    kind: Kind,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Say what would happen, and do nothing.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Nobody knows where it is (紛失).
    Lost,
    /// It was taken (盗難).
    Stolen,
    /// Another device does its work (交換).
    Replaced,
    /// Its user no longer works for the clinic (退職).
    Left,
    /// Anything else.
    Other,
}

impl From<Kind> for RevocationKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Lost => Self::Lost,
            Kind::Stolen => Self::Stolen,
            Kind::Replaced => Self::Replaced,
            Kind::Left => Self::Left,
            Kind::Other => Self::Other,
        }
    }
}

const CONSEQUENCES: &str = "\
Revoking is final. At its next contact the device destroys its drafts and the staff's key, hands its sealed records in
(they are set aside: `tazune-hub quarantine`), and then destroys its own key. It can be paired anew afterwards.";

impl Revoke {
    pub(super) const fn folder(&self) -> &DeskFolder {
        &self.target.folder
    }

    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self { target, reason, kind, yes, dry_run } = self;
        if dry_run || !yes {
            let device = target.find().await?;
            if dry_run && target.json {
                let would = device.state != DeviceStanding::Revoked;
                output::line(json!({ "device": device, "would_revoke": would }).to_string())?;
                return Ok(());
            }
            if !target.json {
                output::line(format!("{}\n{CONSEQUENCES}", row(&device)))?;
            }
            if dry_run {
                output::line("Nothing was done (--dry-run).")?;
                return Ok(());
            }
            if !target.json {
                output::line("Revoke this device? [y/n]")?;
            }
            if !output::read_yes().await? {
                return Err(Failure::new(Exit::Refused, None, "nothing was done"));
            }
        }
        target.order(StandingOrder::Revoke { reason, kind: kind.into() }).await
    }
}

/// The device that a command is about.
#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    folder: DeskFolder,
    /// The device's id, as `devices` lists it.
    #[arg(value_name = "DEVICE", value_parser = device)]
    device: DeviceId,
    /// One JSON document instead of words.
    #[arg(long)]
    json: bool,
}

fn device(text: &str) -> Result<DeviceId, tazune_model::TextError> {
    DeviceId::new(text)
}

impl Target {
    async fn find(&self) -> Result<DeviceSummary, Failure> {
        Ok(AdminClient::find(&self.folder.path())?.device(&self.device).await?)
    }

    async fn order(&self, order: StandingOrder) -> Result<(), Failure> {
        let device = AdminClient::find(&self.folder.path())?.order(&self.device, &order).await?;
        output::line(if self.json {
            serde_json::to_string_pretty(&device).expect("a line of plain fields")
        } else {
            row(&device)
        })?;
        Ok(())
    }
}
