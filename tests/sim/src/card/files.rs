use std::{collections::BTreeMap, sync::LazyLock};

use rsa::RsaPrivateKey;

use super::{CardKind, CardSpec};
use crate::TestCa;

/// One application: its name and its elementary files by identifier.
pub(super) struct Application {
    pub(super) aid: &'static [u8],
    pub(super) files: BTreeMap<u16, File>,
}

/// An elementary file.
pub(super) enum File {
    /// Bytes; `needs` is the PIN file that opens them.
    Data { bytes: Vec<u8>, needs: Option<u16> },
    /// A PIN with its counter.
    Pin { value: Vec<u8>, most: u8, left: u8 },
    /// A private key; `needs` is the PIN file that opens it.
    Key { key: Box<RsaPrivateKey>, needs: u16 },
}

const ISSUER_DOMAIN: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00];
const JPKI: &[u8] = &[0xD3, 0x92, 0xF0, 0x00, 0x26, 0x01, 0x00, 0x00, 0x00, 0x01];
const INPUT_SUPPORT: &[u8] = &[0xD3, 0x92, 0x10, 0x00, 0x31, 0x00, 0x01, 0x01, 0x04, 0x08];
const DRIVING_LICENCE: &[u8] = &[0xA0, 0x00, 0x00, 0x02, 0x31, 0x01];

const SIGN_CERTIFICATE: u16 = 0x0001;
const SIGN_CA_CERTIFICATE: u16 = 0x0002;
const TOKEN_INFO: u16 = 0x0006;
const AVAILABLE: u16 = 0x0008;
const CERTIFICATE: u16 = 0x000A;
const CA_CERTIFICATE: u16 = 0x000B;
const KEY: u16 = 0x0017;
const PIN: u16 = 0x0018;
const SIGN_PIN: u16 = 0x001B;

const MY_NUMBER: u16 = 0x0001;
const INPUT_SUPPORT_PIN: u16 = 0x0011;

/// The applications on this card; the first is current after power-up. Source: shared facts "card-protocol" §2, §3, §8.
pub(super) fn applications(spec: &CardSpec) -> Vec<Application> {
    let issuer_domain = Application { aid: ISSUER_DOMAIN, files: BTreeMap::new() };
    let mut applications = vec![issuer_domain];
    match spec.kind {
        CardKind::MyNumber => applications.extend([jpki(spec), input_support()]),
        CardKind::AndroidPhone | CardKind::IPhone => applications.push(jpki(spec)),
        CardKind::Other => applications.push(Application { aid: DRIVING_LICENCE, files: BTreeMap::new() }),
    }
    applications
}

/// Made once: tests make hundreds of cards.
static SIGN_CA: LazyLock<Vec<u8>> = LazyLock::new(|| TestCa::signature().certificate().to_vec());

fn jpki(spec: &CardSpec) -> Application {
    let mut files = BTreeMap::new();
    let on_phone = spec.kind == CardKind::AndroidPhone;
    if let Some(certificate) = &spec.certificate {
        let mut bytes = certificate.clone();
        bytes.resize(bytes.len().max(spec.certificate_file_len), spec.filler);
        files.insert(CERTIFICATE, File::Data { bytes, needs: on_phone.then_some(PIN) });
        files.insert(KEY, File::Key { key: Box::new(spec.key.clone()), needs: PIN });
    }
    let free = |bytes| File::Data { bytes, needs: None };
    let user_exists = if spec.certificate.is_some() { 0x8F } else { 0x00 };
    files.insert(TOKEN_INFO, free(token_info(spec.kind)));
    files.insert(AVAILABLE, free(vec![0x8F, user_exists, 0x00]));
    files.insert(CA_CERTIFICATE, free(spec.ca_certificate.clone()));
    files.insert(PIN, File::Pin { value: spec.pin.clone().into_bytes(), most: 3, left: spec.tries_left });
    // The sign certificate is there to be refused: its PIN is blocked from the start.
    files.insert(SIGN_CERTIFICATE, File::Data { bytes: vec![0; 1758], needs: Some(SIGN_PIN) });
    files.insert(SIGN_CA_CERTIFICATE, free(SIGN_CA.clone()));
    files.insert(SIGN_PIN, File::Pin { value: b"LOCKED0AWAY0".to_vec(), most: 5, left: 0 });
    Application { aid: JPKI, files }
}

/// There so that a forbidden read of the individual number shows in the log; the number is none.
fn input_support() -> Application {
    let mut number = vec![0xFF, 0x10, 0x0C];
    number.extend_from_slice(b"999999999999");
    number.extend_from_slice(&[0xFF, 0xFF]);
    let files = BTreeMap::from([
        (MY_NUMBER, File::Data { bytes: number, needs: Some(INPUT_SUPPORT_PIN) }),
        (INPUT_SUPPORT_PIN, File::Pin { value: b"1234".to_vec(), most: 3, left: 3 }),
    ]);
    Application { aid: INPUT_SUPPORT, files }
}

/// PKCS#11 `CK_TOKEN_INFO` with four-byte big-endian integers: 160 bytes, the first 32 the label.
fn token_info(kind: CardKind) -> Vec<u8> {
    let label = match kind {
        CardKind::MyNumber | CardKind::Other => "JPKIAPICCTOKEN2",
        CardKind::AndroidPhone => "JPKIAPGPSETOKEN",
        CardKind::IPhone => "JPKIAPIOSTOKEN",
    };
    let mut info = format!("{label:<32}{:<32}{:<16}{:<16}", "TAZUNE-SIMULATED", "SIMULATED", "0").into_bytes();
    let integers: [u32; 11] = [0x0000_040D, 0, 0, 0, 0, 16, 4, u32::MAX, u32::MAX, u32::MAX, u32::MAX];
    info.extend(integers.into_iter().flat_map(u32::to_be_bytes));
    info.extend([1, 0, 1, 0]);
    info.extend(b"0000000000000000");
    info
}
