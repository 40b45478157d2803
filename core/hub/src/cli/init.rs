use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use tazune_hub::{
    Random, SystemClock,
    config::FrontAddress,
    init::{InitOptions, init},
};
use tazune_model::{Clock, InstitutionCode, TextError};

use super::{Failure, output};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder to make `front` and `desk` in.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The institution's code (医療機関コード), ten digits.
    #[arg(long, value_name = "CODE", value_parser = institution)]
    institution: InstitutionCode,
    /// Where devices reach the front, best first; may be given several times.
    #[arg(long = "front-address", value_name = "https://HOST:PORT", required = true)]
    front_addresses: Vec<FrontAddress>,
    /// Where the front listens [default: every address of this computer, at the port of the first front address].
    #[arg(long, value_name = "IP:PORT")]
    front_listen: Option<SocketAddr>,
    /// The folder that the receipt computer (レセコン) takes face files from.
    #[arg(long, value_name = "DIR")]
    face_folder: PathBuf,
    /// Base address of the gateway.
    #[arg(long, value_name = "URL")]
    gateway_url: String,
    /// Certificates (PEM or DER) that the gateway's certificate is checked against.
    #[arg(long, value_name = "FILE")]
    gateway_ca: PathBuf,
    /// File with the institution's enrolment secret at the gateway.
    #[arg(long, value_name = "FILE")]
    gateway_enrolment_secret_file: PathBuf,
    /// Certificates (PEM or DER) that a card's certificate must come from; may be given several times.
    #[arg(long = "card-anchor", value_name = "FILE", required = true)]
    card_anchors: Vec<PathBuf>,
    /// Hours that a device keeps a record after the clinic accepted it.
    #[arg(long, value_name = "HOURS", default_value_t = 72)]
    purge_after_hours: u32,
}

fn institution(text: &str) -> Result<InstitutionCode, TextError> {
    InstitutionCode::new(text)
}

impl Init {
    pub(super) fn run(self) -> Result<(), Failure> {
        let data = self.data.clone();
        let options = InitOptions {
            data: self.data,
            institution: self.institution,
            front_addresses: self.front_addresses,
            front_listen: self.front_listen,
            face_folder: self.face_folder,
            gateway_url: self.gateway_url,
            gateway_ca: self.gateway_ca,
            gateway_enrolment_secret_file: self.gateway_enrolment_secret_file,
            card_anchors: self.card_anchors,
            purge_after_hours: self.purge_after_hours,
        };
        init(&options, &Random::system(), SystemClock.now())?;
        output::line(format!(
            "The hub is set up in {}. Keep the folder {} safe: it holds the clinic's key.",
            data.display(),
            data.join("desk").display()
        ))?;
        Ok(())
    }
}
