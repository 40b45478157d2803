use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tazune_engine::{CardPort, ReaderTrouble, VirtualSlot};

use crate::{console::Console, ended::Ended};

/// Where a card is read: what `--card` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CardSource {
    /// `virtual:127.0.0.1:PORT`: a slot for virtual cards.
    Virtual(SocketAddr),
    /// `pcsc`, `pcsc:NAME-PART`: a reader that the system drives; without a part, the only one.
    Pcsc(Option<String>),
}

impl CardSource {
    /// Reads the value of `--card`.
    pub(crate) fn parse(text: &str) -> Result<Self, Ended> {
        let malformed = Ended::Usage("tool-card-malformed");
        match text.split_once(':') {
            None if text == "pcsc" => Ok(Self::Pcsc(None)),
            Some(("pcsc", part)) if !part.trim().is_empty() => Ok(Self::Pcsc(Some(part.trim().to_owned()))),
            Some(("virtual", address)) => {
                let address = address.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback());
                address.map(Self::Virtual).ok_or(malformed)
            }
            _ => Err(malformed),
        }
    }

    /// Opens it and says what it is: where a virtual card connects, or which readers there are.
    ///
    /// The port waits for a card as long as `patience` says, each time one is wanted.
    pub(crate) async fn open(self, patience: Duration, console: &Console) -> Result<Box<dyn CardPort>, Ended> {
        match self {
            Self::Virtual(address) => {
                let unusable = |_| Ended::from(ReaderTrouble::Unusable);
                let slot = VirtualSlot::listen(address, patience).await.map_err(unusable)?;
                let address = slot.address().map_err(unusable)?.to_string();
                console.say(&json!({ "slot": address }), |texts| texts.text("tool-slot", &[("address", &address)]))?;
                Ok(Box::new(slot))
            }
            Self::Pcsc(part) => open_reader(part, patience, console).await,
        }
    }
}

#[cfg(feature = "pcsc")]
async fn open_reader(part: Option<String>, patience: Duration, console: &Console) -> Result<Box<dyn CardPort>, Ended> {
    use crate::{output::harmless, pcsc_port};

    let listed = tokio::task::spawn_blocking(pcsc_port::readers).await;
    let readers = listed.unwrap_or(Err(ReaderTrouble::Unusable))?;
    let chosen = pcsc_port::choose(&readers, part.as_deref());
    let name = chosen.ok().and_then(|chosen| readers.get(chosen));
    if readers.is_empty() {
        return Err(ReaderTrouble::Missing.into());
    }
    console.say(&json!({ "readers": readers, "reader": name }), |texts| {
        let line = |reader: &String| {
            let key = if Some(reader) == name { "tool-reader-chosen" } else { "tool-reader" };
            texts.text(key, &[("name", &harmless(reader))])
        };
        readers.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    chosen?;
    Ok(Box::new(pcsc_port::PcscPort::new(part, patience)))
}

#[cfg(not(feature = "pcsc"))]
async fn open_reader(_: Option<String>, _: Duration, _: &Console) -> Result<Box<dyn CardPort>, Ended> {
    Err(ReaderTrouble::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_read_at_a_reader_or_at_a_loopback_address() {
        assert_eq!(CardSource::parse("virtual:127.0.0.1:0"), Ok(CardSource::Virtual(([127, 0, 0, 1], 0).into())));
        assert_eq!(CardSource::parse("pcsc"), Ok(CardSource::Pcsc(None)));
        assert_eq!(CardSource::parse("pcsc:RC-S300"), Ok(CardSource::Pcsc(Some("RC-S300".into()))));
        for wrong in ["127.0.0.1:0", "virtual:", "virtual:0.0.0.0:1", "virtual:127.0.0.1", "usb", "pcsc:", "pcsc: ", ""]
        {
            assert_eq!(CardSource::parse(wrong), Err(Ended::Usage("tool-card-malformed")), "{wrong}");
        }
    }
}
