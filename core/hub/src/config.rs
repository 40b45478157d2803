//! What a hub is told once, by `init`, and reads at every start: one `settings.json` per role.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tazune_link::pairing::is_front;
use tazune_model::{Bytes, ConsentItem, FailureCode, InstitutionCode, Sha256, StoreFault};

use crate::{disk::DiskLimits, files};

/// Name of the settings file in either data folder; it is written last, so where it is, everything else is.
pub(crate) const SETTINGS: &str = "settings.json";

/// A setting, or a file that a setting names, is missing or malformed.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// A value that cannot be.
    #[error("{name}: {why}")]
    Value {
        /// The setting or file it stands in.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file or folder that cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An address or port that cannot be listened on.
    #[error("{name}: {source}")]
    Address {
        /// The setting, and what it says.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The folder already holds a hub; its keys are never replaced.
    #[error("{path}: a hub is already set up here")]
    AlreadySetUp {
        /// The folder.
        path: PathBuf,
    },
    /// Another process uses the folder.
    #[error("{path}: another tazune-hub is running on this folder")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl SettingError {
    /// The failure a person meets: a full or failing disk is not mended by another setting.
    #[must_use]
    pub fn failure_code(&self) -> FailureCode {
        match self {
            Self::File { source, .. } if is_full(source) => StoreFault::DiskFull.failure_code(),
            Self::File { .. } if self.may_pass() => StoreFault::Failed.failure_code(),
            _ => FailureCode::SettingInvalid,
        }
    }

    /// Whether it may be gone at the next try though nobody changed a setting, as when an address comes late.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::File { source, .. } => !is_about_the_path(source),
            Self::Address { .. } => true,
            Self::Value { .. } | Self::AlreadySetUp { .. } | Self::InUse { .. } => false,
        }
    }

    /// A value that cannot be.
    pub fn value(name: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Value { name: name.into(), why: why.to_string() }
    }

    /// An address or port that cannot be listened on, for `map_err`.
    pub(crate) fn address(name: String) -> impl Fn(io::Error) -> Self {
        move |source| Self::Address { name: name.clone(), source }
    }

    /// A file or folder that cannot be used, for `map_err`.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether the system says that the path is wrong or may not be used, rather than that reading or writing it failed.
fn is_about_the_path(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidData
    )
}

/// Where a front is reached: `https://host:port` and nothing else.
///
/// Port 0 stands for the port that the front is given when it starts; only a front in the same process can be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FrontAddress {
    host: String,
    port: u16,
}

impl FrontAddress {
    /// Host name or IP address; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same address, with `port` where it has port 0.
    #[must_use]
    pub fn with_port_if_open(mut self, port: u16) -> Self {
        if self.port == 0 {
            self.port = port;
        }
        self
    }
}

impl fmt::Display for FrontAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "https://[{}]:{}", self.host, self.port),
            false => write!(f, "https://{}:{}", self.host, self.port),
        }
    }
}

impl std::str::FromStr for FrontAddress {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let refused = |why: &str| SettingError::value("front address", why);
        let url = reqwest::Url::parse(text).map_err(|error| refused(&error.to_string()))?;
        // Read as an address at all, which also turns other scripts into ASCII; then as strictly as a device reads it.
        if !is_front(url.as_str().trim_end_matches('/')) {
            return Err(refused("must be https://host:port"));
        }
        let host = url.host_str().ok_or_else(|| refused("has no host"))?;
        let port = url.port_or_known_default().ok_or_else(|| refused("has no port"))?;
        Ok(Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port })
    }
}

impl TryFrom<String> for FrontAddress {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        text.parse()
    }
}

impl From<FrontAddress> for String {
    fn from(address: FrontAddress) -> Self {
        address.to_string()
    }
}

/// What the front must know: nothing here is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontSettings {
    /// The institution (医療機関コード) whose mailbox this is.
    pub institution: InstitutionCode,
    /// Address and port to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// When the disk of this folder counts as nearly full.
    #[serde(default)]
    pub disk: DiskLimits,
}

/// What the desk must know; secrets are files of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskSettings {
    /// The institution (医療機関コード).
    pub institution: InstitutionCode,
    /// Where devices, and the desk itself, reach the front; the desk uses the first.
    pub front_addresses: Vec<FrontAddress>,
    /// SHA-256 of the front's public key (SPKI, DER), which devices pin.
    pub front_spki_sha256: Sha256,
    /// The folder that the receipt computer (レセコン) takes face files from.
    pub face_folder: PathBuf,
    /// Base address of the gateway, for example `https://gateway.example:8443`.
    pub gateway_url: String,
    /// The authorities (DER) that the gateway's certificate is checked against.
    pub gateway_ca_certificates: Vec<Bytes>,
    /// The authorities (DER) that a card's certificate must come from.
    pub card_anchors: Vec<Bytes>,
    /// What patients are asked to consent to.
    pub consent_items: Vec<ConsentItem>,
    /// Hours that a device keeps a record after the clinic accepted it.
    pub purge_after_hours: u32,
    /// Where the audit's checkpoints are witnessed, best on another disk; relative paths begin at the desk's folder. `None`
    /// is a file beside the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_witness: Option<PathBuf>,
    /// When the disks of this folder and of the face folder count as nearly full.
    #[serde(default)]
    pub disk: DiskLimits,
}

impl DeskSettings {
    /// The witness of the desk in `folder`; a relative path is one from there.
    pub(crate) fn audit_witness_in(&self, folder: &Path) -> PathBuf {
        folder.join(self.audit_witness.as_deref().unwrap_or_else(|| Path::new("audit-witness.jsonl")))
    }
}

/// What settings ask of the service that runs a hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceNeeds {
    /// Folders outside the data folder that are written to, for face files and the witness of the audit.
    pub writes_to: Vec<PathBuf>,
    /// Whether the front listens on a port that only a privileged program may take.
    pub low_port: bool,
}

impl ServiceNeeds {
    /// Adds what the settings of a front in `folder` ask.
    ///
    /// # Errors
    /// [`SettingError`] when there are none, or they are not of their shape.
    pub fn of_front(&mut self, folder: &Path) -> Result<(), SettingError> {
        self.low_port = (1..1024).contains(&load::<FrontSettings>(folder)?.listen.port());
        Ok(())
    }

    /// Adds what the settings of a desk in `folder` ask.
    ///
    /// # Errors
    /// As [`Self::of_front`].
    pub fn of_desk(&mut self, folder: &Path) -> Result<(), SettingError> {
        let settings: DeskSettings = load(folder)?;
        let witness = settings.audit_witness_in(folder);
        self.writes_to.push(settings.face_folder);
        // The file itself may have to be made.
        self.writes_to.extend(witness.parent().filter(|parent| *parent != folder).map(Path::to_owned));
        Ok(())
    }
}

/// Reads the settings of a role from its data folder.
///
/// # Errors
/// [`SettingError`] when the file is missing or not of its shape.
pub(crate) fn load<T: DeserializeOwned>(folder: &Path) -> Result<T, SettingError> {
    let path = folder.join(SETTINGS);
    let json = fs::read(&path).map_err(SettingError::file(&path))?;
    serde_json::from_slice(&json).map_err(|error| SettingError::value(path.display().to_string(), error))
}

/// Writes the settings of a role into its data folder.
pub(crate) fn save<T: Serialize>(folder: &Path, settings: &T) -> Result<(), SettingError> {
    let path = folder.join(SETTINGS);
    let json = serde_json::to_vec_pretty(settings).map_err(|error| SettingError::value(SETTINGS, error))?;
    files::write_private(&path, &json).map_err(SettingError::file(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_address_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("https://hub.example:8443", "hub.example", 8443),
            ("https://hub.example", "hub.example", 443),
            ("https://127.0.0.1:0", "127.0.0.1", 0),
            ("https://[::1]:8443/", "::1", 8443),
            ("https://hub_pc:8443", "hub_pc", 8443),
            ("https://診療所.example", "xn--8ou585bfso.example", 443),
        ] {
            let address: FrontAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(address.to_string().parse::<FrontAddress>().unwrap(), address);
        }
        for text in [
            "http://hub.example",
            "https://hub.example/path",
            "https://hub.example?query",
            "https://hub.example#part",
            "https://u@hub.example",
            "https://:p@hub.example",
            "https://hub+pc",
            "hub.example:1",
            "",
        ] {
            assert!(text.parse::<FrontAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_disk_that_is_full_or_broken_is_no_wrong_setting() {
        let code = |error: io::Error| SettingError::file(Path::new("lock"))(error).failure_code();
        assert_eq!(code(ErrorKind::StorageFull.into()), FailureCode::DiskFull);
        assert_eq!(code(io::Error::other("input/output error")), FailureCode::StoreFailed);
        assert_eq!(code(ErrorKind::NotFound.into()), FailureCode::SettingInvalid);
        assert_eq!(code(ErrorKind::PermissionDenied.into()), FailureCode::SettingInvalid);
    }

    #[test]
    fn a_service_is_let_write_where_its_settings_say() {
        let folder = tempfile::tempdir().unwrap();
        let (front, desk) = (folder.path().join("front"), folder.path().join("desk"));
        for (port, low_port) in [(443, true), (0, false), (1024, false)] {
            files::create_private_folder(&front).unwrap();
            let institution = InstitutionCode::new("1310123458").unwrap();
            let listen = SocketAddr::from(([0, 0, 0, 0], port));
            save(&front, &FrontSettings { institution, listen, disk: DiskLimits::default() }).unwrap();
            let mut needs = ServiceNeeds::default();
            needs.of_front(&front).unwrap();
            assert_eq!(needs, ServiceNeeds { writes_to: Vec::new(), low_port });
            assert!(needs.of_desk(&front).is_err());
        }
        files::create_private_folder(&desk).unwrap();
        for (witness, writes_to) in [
            (None, vec!["/face"]),
            (Some("own.jsonl"), vec!["/face"]),
            (Some("/share/of audits/clinic.jsonl"), vec!["/face", "/share/of audits"]),
        ] {
            let settings = DeskSettings {
                institution: InstitutionCode::new("1310123458").unwrap(),
                front_addresses: Vec::new(),
                front_spki_sha256: Sha256([0; 32]),
                face_folder: "/face".into(),
                gateway_url: "https://gateway.example".into(),
                gateway_ca_certificates: Vec::new(),
                card_anchors: Vec::new(),
                consent_items: Vec::new(),
                purge_after_hours: 72,
                audit_witness: witness.map(PathBuf::from),
                disk: DiskLimits::default(),
            };
            save(&desk, &settings).unwrap();
            let mut needs = ServiceNeeds::default();
            needs.of_desk(&desk).unwrap();
            assert_eq!(needs.writes_to, writes_to.into_iter().map(PathBuf::from).collect::<Vec<_>>(), "{witness:?}");
        }
    }

    #[test]
    fn an_open_port_is_filled_in_and_a_chosen_one_stays() {
        let port = |text: &str| text.parse::<FrontAddress>().unwrap().with_port_if_open(7).port();
        assert_eq!((port("https://127.0.0.1:0"), port("https://127.0.0.1:9")), (7, 9));
    }
}
