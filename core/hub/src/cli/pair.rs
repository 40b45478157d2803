use clap::Args;
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use serde_json::{Value, json};
use tazune_hub::admin::{
    AdminClient,
    messages::{DeviceView, OpenedPairing, PairingView},
};
use tazune_link::pairing::{PairingCode, PairingError, SessionId};

use super::{DeskFolder, Exit, Failure, output};

/// Seconds of one question; short, so that the end of the time is noticed.
const WAIT_S: u32 = 2;

#[derive(Debug, Args)]
pub(super) struct Pair {
    #[command(flatten)]
    folder: DeskFolder,
    /// For scripts: one JSON object per line instead of text; the digits, and y or n, are read as lines.
    #[arg(long)]
    json: bool,
    /// Approve the device as soon as its digits were right.
    #[arg(long)]
    yes: bool,
}

impl Pair {
    pub(super) const fn folder(&self) -> &DeskFolder {
        &self.folder
    }

    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = AdminClient::find(&self.folder.path())?;
        let opened = client.open_pairing().await?;
        self.show_offer(&opened)?;
        let session = opened.session;
        let mut view = PairingView::Open;
        loop {
            view = match view {
                PairingView::Open => client.pairing(&session, WAIT_S).await?,
                PairingView::AwaitingCode { device } => {
                    self.show_device("awaiting_code", &device)?;
                    match self.ask_code().await? {
                        Some(code) => client.type_code(&session, &code).await?,
                        None => client.decide(&session, false).await?,
                    }
                }
                PairingView::AwaitingApproval { device } => {
                    self.show_device("awaiting_approval", &device)?;
                    let approve = self.yes || self.ask_approval().await?;
                    client.decide(&session, approve).await?
                }
                PairingView::Approved { device_id } => {
                    return self.say(
                        json!({ "event": "approved", "device_id": device_id }),
                        &format!("The device is paired as {device_id}."),
                    );
                }
                PairingView::Rejected => return self.fail(&session, PairingError::Rejected),
                PairingView::CodeWrong => return self.fail(&session, PairingError::CodeWrong),
                PairingView::Expired => return self.fail(&session, PairingError::Expired),
            };
        }
    }

    fn say(&self, event: Value, text: &str) -> Result<(), Failure> {
        let line = if self.json { event.to_string() } else { text.to_owned() };
        Ok(output::line(line)?)
    }

    fn show_offer(&self, opened: &OpenedPairing) -> Result<(), Failure> {
        let OpenedPairing { session, offer, expires_at } = opened;
        let event = json!({ "event": "opened", "session": session, "offer": offer, "expires_at": expires_at });
        let text = format!("{}\n{offer}\nScan this code with the device within 60 seconds.", qr(offer));
        self.say(event, &text)
    }

    fn show_device(&self, event: &str, device: &DeviceView) -> Result<(), Failure> {
        let DeviceView { name, model, os, key_sha256 } = device;
        let text = format!("Device   {name}\nModel    {model}\nSystem   {os}\nKey      {key_sha256}");
        self.say(json!({ "event": event, "device": device }), &text)
    }

    /// The digits, once they are six; `None` when the input ends.
    async fn ask_code(&self) -> Result<Option<String>, Failure> {
        loop {
            if !self.json {
                output::line("Type the six digits shown on the device. There is one attempt.")?;
            }
            let Some(line) = output::read_line().await? else { return Ok(None) };
            match PairingCode::parse(&line) {
                Ok(_) => return Ok(Some(line)),
                Err(error) => self.say(json!({ "event": "not_six_digits" }), &error.to_string())?,
            }
        }
    }

    async fn ask_approval(&self) -> Result<bool, Failure> {
        if !self.json {
            output::line("Pair this device? [y/n]")?;
        }
        Ok(output::read_yes().await?)
    }

    fn fail(&self, session: &SessionId, error: PairingError) -> Result<(), Failure> {
        let code = error.failure_code();
        if self.json {
            self.say(json!({ "event": "failed", "session": session, "code": code }), "")?;
        }
        Err(Failure::new(Exit::Refused, Some(code), error))
    }
}

/// The QR code for a terminal with a dark background.
fn qr(offer: &str) -> String {
    QrCode::with_error_correction_level(offer, EcLevel::L).map_or_else(
        |_| "(the code is too long for a QR code)".to_owned(),
        |code| {
            code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build()
        },
    )
}
