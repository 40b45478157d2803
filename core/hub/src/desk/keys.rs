use std::{fs, path::Path, sync::Arc};

use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use tazune_link::keys::{OpeningKey, VerifyingKey};
use tazune_model::InstitutionCode;
use zeroize::Zeroizing;

use crate::{
    Random,
    ca::{HubCa, Identity},
    config::SettingError,
    files,
};

const CA_KEY: &str = "ca.key";
const CA_CERTIFICATE: &str = "ca.crt";
const CLIENT_KEY: &str = "desk.key";
const CLIENT_CERTIFICATE: &str = "desk.crt";
const CLINIC_KEY: &str = "clinic.key";
const RECEIPT_KEY: &str = "receipt.key";
const ENROLMENT_SECRET: &str = "gateway-secret";

/// The secrets of the desk, each a file of mode 0600 in its data folder.
pub(crate) struct DeskKeys {
    /// The hub's authority.
    pub(crate) ca: HubCa,
    /// The desk's identity at the front.
    pub(crate) client: Identity,
    /// The clinic's key: opens what devices sealed.
    pub(crate) clinic: OpeningKey,
    /// Signs receipts.
    pub(crate) receipt: Arc<ReceiptKey>,
    /// The institution's secret for enrolling devices at the gateway.
    pub(crate) enrolment_secret: Zeroizing<String>,
}

/// Makes the clinic's and the receipt key and stores them with the rest.
pub(crate) fn make(
    folder: &Path,
    ca: Identity,
    client: Identity,
    enrolment_secret: &Zeroizing<String>,
    random: &Random,
) -> Result<(), SettingError> {
    let clinic = OpeningKey::make(&mut random.clone());
    let receipt = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, random.for_signing())
        .expect("the generator always has bytes");
    files::create_private_folder(folder).map_err(SettingError::file(folder))?;
    for (name, content) in [
        (CA_KEY, Zeroizing::new(ca.key).as_slice()),
        (CA_CERTIFICATE, &ca.certificate),
        (CLIENT_KEY, Zeroizing::new(client.key).as_slice()),
        (CLIENT_CERTIFICATE, &client.certificate),
        (CLINIC_KEY, clinic.to_bytes().as_ref()),
        (RECEIPT_KEY, receipt.as_ref()),
        (ENROLMENT_SECRET, enrolment_secret.as_bytes()),
    ] {
        let path = folder.join(name);
        files::write_private(&path, content).map_err(SettingError::file(&path))?;
    }
    Ok(())
}

impl DeskKeys {
    /// Reads every secret of the desk.
    pub(crate) fn load(folder: &Path, institution: InstitutionCode, random: &Random) -> Result<Self, SettingError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map(Zeroizing::new).map_err(SettingError::file(&path))
        };
        let identity = |key: &str, certificate: &str| {
            Ok::<_, SettingError>(Identity { key: read(key)?.to_vec(), certificate: read(certificate)?.to_vec() })
        };
        let ca = HubCa::load(identity(CA_KEY, CA_CERTIFICATE)?, institution, random.clone())
            .map_err(|error| SettingError::value(CA_KEY, error))?;
        let clinic =
            OpeningKey::from_bytes(&read(CLINIC_KEY)?).map_err(|error| SettingError::value(CLINIC_KEY, error))?;
        let enrolment_secret = str::from_utf8(&read(ENROLMENT_SECRET)?)
            .map(|secret| Zeroizing::new(secret.to_owned()))
            .map_err(|error| SettingError::value(ENROLMENT_SECRET, error))?;
        Ok(Self {
            ca,
            client: identity(CLIENT_KEY, CLIENT_CERTIFICATE)?,
            clinic,
            receipt: Arc::new(ReceiptKey::load(folder, random)?),
            enrolment_secret,
        })
    }
}

/// The P-256 key that receipts and checkpoints of the audit are signed with.
pub struct ReceiptKey {
    pair: EcdsaKeyPair,
    random: Random,
}

impl ReceiptKey {
    /// Reads the key from the desk's data folder.
    ///
    /// # Errors
    /// [`SettingError`] when it is missing or no key.
    pub fn load(folder: &Path, random: &Random) -> Result<Self, SettingError> {
        let path = folder.join(RECEIPT_KEY);
        let pkcs8 = fs::read(&path).map(Zeroizing::new).map_err(SettingError::file(&path))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, random.for_signing())
            .map_err(|error| SettingError::value(RECEIPT_KEY, error))?;
        Ok(Self { pair, random: random.clone() })
    }

    /// A key of its own for a test.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Arc<Self> {
        let random = Random::system();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, random.for_signing()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), random.for_signing());
        Arc::new(Self { pair: pair.unwrap(), random })
    }

    /// The key to verify with.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(self.pair.public_key().as_ref()).expect("ring's public key is an uncompressed point")
    }

    /// Signs what the link wants signed.
    pub(crate) fn sign(&self, bytes_to_sign: &[u8]) -> Vec<u8> {
        let signature =
            self.pair.sign(self.random.for_signing(), bytes_to_sign).expect("the generator always has bytes");
        signature.as_ref().to_vec()
    }
}
