use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use tazune_model::{Sha256, TextError, Timestamp};

use super::PairingError;
use crate::{V1, keys::SealingKey};

const PREFIX: &str = "TZ1:";

/// Longest text of an offer; far more than a QR code that a tablet reads at ease.
const MAX_TEXT_BYTES: usize = 2048;

/// Most front addresses in one offer.
pub const MAX_FRONTS: usize = 8;

/// Name of one pairing session: 32 lower-case hexadecimal characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

impl SessionId {
    /// Makes a name from 16 random bytes.
    #[must_use]
    pub fn make(random: &[u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(*random)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl TryFrom<String> for SessionId {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        if text.len() != 32 {
            return Err(TextError::Length { what: "session id" });
        }
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(TextError::Alphabet { what: "session id" });
        }
        Ok(Self(text))
    }
}

impl From<SessionId> for String {
    fn from(session: SessionId) -> Self {
        session.0
    }
}

/// What the QR code on the console says: where the front is, how to know it, and the key to answer under.
///
/// As text `TZ1:` and base64url (no padding) of its JSON. Whoever sees it may answer; the six digits decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingOffer {
    /// Version of the offer and of all that follows from it.
    pub version: V1,
    /// Addresses of the front, best first: `https://` host, and port unless 443; 1 to 8.
    pub fronts: Vec<String>,
    /// SHA-256 of the SubjectPublicKeyInfo of the front's TLS key.
    pub spki_sha256: Sha256,
    /// The session.
    pub session: SessionId,
    /// The session's own key, made for this offer and forgotten with it.
    pub session_key: SealingKey,
    /// Until when the offer may be answered, on the desk's clock.
    pub expires_at: Timestamp,
}

impl PairingOffer {
    /// The text for the QR code.
    #[must_use]
    pub fn to_text(&self) -> String {
        let json = serde_json::to_vec(self).expect("an offer is plain fields");
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads a scanned text, exactly as scanned.
    ///
    /// # Errors
    /// [`PairingError::QrInvalid`] when it is no offer, or one of its addresses is more than `https://`, host and port.
    pub fn parse(text: &str) -> Result<Self, PairingError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(PairingError::QrInvalid);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(PairingError::QrInvalid)?;
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| PairingError::QrInvalid)?;
        let offer: Self = serde_json::from_slice(&json).map_err(|_| PairingError::QrInvalid)?;
        let has_good_fronts =
            (1..=MAX_FRONTS).contains(&offer.fronts.len()) && offer.fronts.iter().all(|front| is_front(front));
        if has_good_fronts { Ok(offer) } else { Err(PairingError::QrInvalid) }
    }
}

/// Whether a text is `https://`, a host name, IPv4 or bracketed IPv6 address, and perhaps a port: no user, path or query.
///
/// A host name is ASCII letters, digits, `.`, `-` and `_`, which names of Windows computers may have.
#[must_use]
pub fn is_front(text: &str) -> bool {
    let Some(authority) = text.strip_prefix("https://") else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    is_host && is_port
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(fronts: Vec<String>, seed: u8) -> PairingOffer {
        PairingOffer {
            version: V1,
            fronts,
            spki_sha256: Sha256([seed; 32]),
            session: SessionId::make(&[seed; 16]),
            session_key: crate::keys::OpeningKey::from_bytes(&[seed; 32]).unwrap().sealing_key(),
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_front_is_an_address_and_nothing_more() {
        for good in [
            "https://a",
            "https://clinic.example:8443",
            "https://192.0.2.7:8443",
            "https://hub_pc:8443",
            "https://[2001:db8::1]:8443",
            "https://[::1]",
        ] {
            assert!(PairingOffer::parse(&offer(vec![good.into()], 1).to_text()).is_ok(), "{good}");
        }
        for bad in [
            "http://a",
            "https://",
            "https://:1",
            "https://a:",
            "https://a:65536",
            "https://a:+1",
            "https://a/b",
            "https://a?b",
            "https://u@a",
            "https://a b",
            "https://[::1",
            "https://[x]",
            "javascript:x",
            "https://診療所",
        ] {
            let text = offer(vec![bad.into()], 1).to_text();
            assert_eq!(PairingOffer::parse(&text), Err(PairingError::QrInvalid), "{bad}");
        }
    }

    #[test]
    fn an_offer_has_one_to_eight_fronts_and_a_short_text() {
        let with = |count| PairingOffer::parse(&offer(vec!["https://a".into(); count], 1).to_text()).is_ok();
        assert_eq!([with(0), with(1), with(8), with(9)], [false, true, true, false]);
        let long = offer(vec![format!("https://{}", "a".repeat(253)); 8], 1).to_text();
        assert_eq!(PairingOffer::parse(&long), Err(PairingError::QrInvalid));
    }

    #[test]
    fn other_texts_are_no_offers() {
        let good = offer(vec!["https://a".into()], 1).to_text();
        let later = URL_SAFE_NO_PAD.encode(
            String::from_utf8(URL_SAFE_NO_PAD.decode(&good[4..]).unwrap())
                .unwrap()
                .replace("\"version\":1", "\"version\":2"),
        );
        for text in ["", "TZ1:", "TZ1:%", "https://a", &good[1..], &good.replace("TZ1", "TZ2"), &format!("TZ1:{later}")]
        {
            assert_eq!(PairingOffer::parse(text), Err(PairingError::QrInvalid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(count in 1_usize..=8, host in "[a-z0-9.-]{1,40}", port: u16, seed: u8) {
            let offer = offer(vec![format!("https://{host}:{port}"); count], seed);
            prop_assert_eq!(PairingOffer::parse(&offer.to_text()).unwrap(), offer);
        }

        #[test]
        fn no_text_makes_reading_panic(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let encoded = URL_SAFE_NO_PAD.encode(bytes);
            for text in [format!("{PREFIX}{text}"), format!("{PREFIX}{encoded}"), text] {
                prop_assert!(PairingOffer::parse(&text).is_err());
            }
        }
    }
}
