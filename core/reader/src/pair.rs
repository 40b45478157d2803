use std::sync::Arc;

use serde_json::json;
use tazune_engine::{AboutDevice, Device};
use tokio::signal::ctrl_c;

use crate::{arguments::PairArguments, console::Console, ended::Ended, exit::Exit, input::Input};

/// Longest text about a device that the clinic shows.
const LONGEST_NAME: usize = 100;

/// Pairs the device: the clinic's offer comes in, six digits go out, the clinic decides.
pub(crate) async fn run(arguments: PairArguments, device: &Arc<Device>, console: &Console) -> Result<Exit, Ended> {
    tokio::select! {
        paired = pair(arguments, device, console) => paired,
        _ = ctrl_c() => Err(Ended::Cancelled),
    }
}

async fn pair(arguments: PairArguments, device: &Arc<Device>, console: &Console) -> Result<Exit, Ended> {
    let offer = match arguments.offer {
        Some(offer) => offer,
        None => {
            console.hint("tool-paste-offer")?;
            let line = Input::start().line().await.ok_or(Ended::Usage("tool-paste-offer"))?;
            line.trim().to_owned()
        }
    };
    let attempt = device.pair(&offer, about(arguments.name)).await?;
    let digits = attempt.code().digits();
    console.say(&json!({ "code": digits }), |texts| {
        format!(
            "{}\n\n        {}\n\n{}",
            texts.text("tool-pair-code", &[]),
            spaced(&digits),
            texts.text("tool-pair-wait", &[])
        )
    })?;
    let pairing = attempt.finish().await?;
    let (institution, device_id) = (pairing.tenant.to_string(), pairing.device_id.to_string());
    console.say(&json!({ "paired": { "institution": institution, "device_id": device_id } }), |texts| {
        texts.text("tool-paired", &[("institution", &institution), ("device", &device_id)])
    })?;
    Ok(Exit::Done)
}

/// Six digits as they are read out.
fn spaced(digits: &str) -> String {
    digits.split_at_checked(3).map_or_else(|| digits.to_owned(), |(first, last)| format!("{first} {last}"))
}

fn about(name: Option<String>) -> AboutDevice {
    let system_name = || ["COMPUTERNAME", "HOSTNAME"].iter().find_map(|variable| std::env::var(variable).ok());
    let name = name.or_else(system_name).unwrap_or_else(|| "tazune".to_owned());
    AboutDevice {
        // The clinic refuses a name with control characters, and a failed pairing would not say so.
        name: name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect(),
        model: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_shown_in_two_groups() {
        assert_eq!(spaced("012345"), "012 345");
    }

    #[test]
    fn a_name_fits_the_clinics_table() {
        assert_eq!(about(Some("訪".repeat(200))).name.chars().count(), LONGEST_NAME);
        assert_eq!(about(Some("訪問\u{1b}1号\n".into())).name, "訪問1号");
    }
}
