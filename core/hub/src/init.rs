//! Setting up a hub: every key is made here, once, in the folder of the role that holds it.
//!
//! | folder | holds |
//! |---|---|
//! | `front` | the front's TLS key and certificate, the hub CA's certificate, its settings; nothing secret to the clinic |
//! | `desk` | the hub CA's key, the clinic's opening key, the receipt key, the desk's client identity, the enrolment secret |
//!
//! The two are not tied together: a front that runs elsewhere is given its folder.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use ring::digest;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tazune_link::pairing::MAX_FRONTS;
use tazune_model::{Bytes, ConsentItem, InstitutionCode, Sha256, Timestamp};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::{
    Random,
    ca::{CaError, HubCa, Identity},
    config::{self, DeskSettings, FrontAddress, FrontSettings, SETTINGS, SettingError},
    desk::{face::FaceFolder, keys},
    disk::DiskLimits,
    files,
};

/// File names in the front's folder.
pub(crate) mod front_files {
    pub(crate) const TLS_KEY: &str = "front.key";
    pub(crate) const TLS_CERTIFICATE: &str = "front.crt";
    pub(crate) const HUB_CA: &str = "hub-ca.crt";
}

/// What a hub is set up with.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The folder to make `front` and `desk` in.
    pub data: PathBuf,
    /// The institution (医療機関コード).
    pub institution: InstitutionCode,
    /// Where devices reach the front; 1 to 8.
    pub front_addresses: Vec<FrontAddress>,
    /// Where the front listens; by default every address of this computer, at the port of the first front address.
    pub front_listen: Option<SocketAddr>,
    /// The folder that the receipt computer takes face files from; made if only its last step is missing.
    pub face_folder: PathBuf,
    /// Base address of the gateway.
    pub gateway_url: String,
    /// Authorities of the gateway, PEM or DER.
    pub gateway_ca: PathBuf,
    /// The institution's enrolment secret at the gateway, one line of text.
    pub gateway_enrolment_secret_file: PathBuf,
    /// Authorities that a card's certificate must come from, PEM or DER.
    pub card_anchors: Vec<PathBuf>,
    /// Hours that a device keeps a record after the clinic accepted it.
    pub purge_after_hours: u32,
}

/// Makes the data folders of a front and a desk.
///
/// # Errors
/// [`SettingError`] when a value or a named file cannot be used, or when a hub is already set up there.
pub fn init(options: &InitOptions, random: &Random, now: Timestamp) -> Result<(), SettingError> {
    let (front, desk) = (options.data.join("front"), options.data.join("desk"));
    for folder in [&front, &desk] {
        if folder.join(SETTINGS).exists() {
            return Err(SettingError::AlreadySetUp { path: folder.clone() });
        }
    }
    let first = options.front_addresses.first().ok_or_else(|| SettingError::value("front address", "is missing"))?;
    if options.front_addresses.len() > MAX_FRONTS {
        return Err(SettingError::value("front address", format!("may be given {MAX_FRONTS} times at most")));
    }
    if !options.face_folder.is_dir() {
        // Only the last step of the path is made, so that a wrong path is noticed.
        fs::create_dir(&options.face_folder).map_err(SettingError::file(&options.face_folder))?;
    }
    if !reqwest::Url::parse(&options.gateway_url).is_ok_and(|url| url.scheme() == "https") {
        return Err(SettingError::value("gateway url", "must be an https address"));
    }
    let face_folder = std::path::absolute(&options.face_folder).map_err(SettingError::file(&options.face_folder))?;
    let secret = read_secret(&options.gateway_enrolment_secret_file)?;
    let gateway_ca_certificates = read_certificates(&options.gateway_ca)?;
    let card_anchors =
        options.card_anchors.iter().map(|path| read_certificates(path)).collect::<Result<Vec<_>, _>>()?.concat();

    let issued = |error: CaError| SettingError::value("hub CA", error);
    let ca_identity = HubCa::make(&options.institution, random, now).map_err(issued)?;
    let ca_key = ca_identity.key.clone();
    let ca = HubCa::load(ca_identity, options.institution.clone(), random.clone()).map_err(issued)?;
    let hosts: Vec<String> = options.front_addresses.iter().map(|address| address.host().to_owned()).collect();
    let front_identity = ca.issue_front(&hosts, now).map_err(|error| SettingError::value("front address", error))?;
    let desk_identity = ca.issue_desk(now).map_err(issued)?;
    let front_spki_sha256 = spki_sha256(&front_identity.certificate)?;

    make_front(&front, front_identity, ca.certificate())?;
    keys::make(
        &desk,
        Identity { key: ca_key, certificate: ca.certificate().to_vec() },
        desk_identity,
        &secret,
        random,
    )?;

    let claimed = FaceFolder::new(face_folder.clone(), &desk).claim();
    claimed.map_err(SettingError::file(&face_folder))?;

    config::save(
        &desk,
        &DeskSettings {
            institution: options.institution.clone(),
            front_addresses: options.front_addresses.clone(),
            front_spki_sha256,
            face_folder,
            gateway_url: options.gateway_url.trim_end_matches('/').to_owned(),
            gateway_ca_certificates,
            card_anchors,
            consent_items: ConsentItem::ALL.to_vec(),
            purge_after_hours: options.purge_after_hours,
            audit_witness: None,
            disk: DiskLimits::default(),
        },
    )?;
    let listen = options.front_listen.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, first.port()).into());
    config::save(
        &front,
        &FrontSettings { institution: options.institution.clone(), listen, disk: DiskLimits::default() },
    )
}

fn make_front(folder: &Path, identity: Identity, hub_ca: &[u8]) -> Result<(), SettingError> {
    files::create_private_folder(folder).map_err(SettingError::file(folder))?;
    for (name, content) in [
        (front_files::TLS_KEY, Zeroizing::new(identity.key).as_slice()),
        (front_files::TLS_CERTIFICATE, &identity.certificate),
        (front_files::HUB_CA, hub_ca),
    ] {
        let path = folder.join(name);
        files::write_private(&path, content).map_err(SettingError::file(&path))?;
    }
    Ok(())
}

fn spki_sha256(certificate: &[u8]) -> Result<Sha256, SettingError> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|error| SettingError::value("front certificate", error))?;
    let hash = digest::digest(&digest::SHA256, certificate.public_key().raw);
    Ok(Sha256(hash.as_ref().try_into().expect("SHA-256 has 32 bytes")))
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, SettingError> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(SettingError::file(path))?);
    let secret = text.trim();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SettingError::value(path.display().to_string(), "must hold one line of visible ASCII"));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

/// Reads the certificates of a file: any number as PEM, or one as DER.
fn read_certificates(path: &Path) -> Result<Vec<Bytes>, SettingError> {
    let refused = |why: String| SettingError::value(path.display().to_string(), why);
    let content = fs::read(path).map_err(SettingError::file(path))?;
    let certificates = if content.starts_with(b"-----BEGIN") {
        CertificateDer::pem_slice_iter(&content)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refused(error.to_string()))?
    } else {
        vec![CertificateDer::from(content)]
    };
    if certificates.is_empty() {
        return Err(refused("holds no certificate".into()));
    }
    for certificate in &certificates {
        let (rest, _) = X509Certificate::from_der(certificate).map_err(|_| refused("holds no certificate".into()))?;
        if !rest.is_empty() {
            return Err(refused("has bytes after the certificate".into()));
        }
    }
    Ok(certificates.iter().map(|certificate| Bytes(certificate.to_vec())).collect())
}
