//! A whole test world in a folder: authorities, the institution's enrolment secret, the people and their cards.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::civil::Date;
use rand::Rng as _;
use rsa::{
    RsaPrivateKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _},
};
use serde::{Deserialize, Serialize};

use crate::{
    TestCa,
    card::CardSpec,
    gateway::{Authority, is_institution},
    population::{self, Person},
};

/// A test world; separate processes share it by its folder.
///
/// | file | content |
/// |---|---|
/// | `world.json` | institution code and the day the world was made for |
/// | `gateway-ca.pem`, `gateway-ca.p8` | the CA that a client trusts for TLS, and its key (DER) |
/// | `user-ca.pem`, `foreign-ca.pem` | the trusted CA of user certificates, and one that nobody trusts |
/// | `enrolment-secret` | what the desk presents to enrol a device, one line |
/// | `people/<key>.pem`, `people/<key>.p8` | user certificate and key (DER) of a person's card |
pub struct World {
    dir: PathBuf,
    about: About,
    enrolment_secret: String,
    gateway_ca: Vec<u8>,
    user_ca: Vec<u8>,
    people: Vec<Person>,
}

/// The content of `world.json`.
#[derive(Serialize, Deserialize)]
struct About {
    institution: String,
    day: Date,
}

/// Why a world cannot be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The institution code has not ten digits.
    #[error("an institution code has ten digits")]
    Institution,
    /// A file of the folder cannot be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    /// A file of the folder is not what it should be.
    #[error("{0}: not what this program wrote")]
    Content(PathBuf),
    /// The population has no such person.
    #[error("nobody has the key {0}")]
    Nobody(String),
}

impl World {
    /// Makes a world for `institution` (ten digits) as it is on `day`, and writes it to `dir`, which is made if missing.
    ///
    /// # Errors
    /// [`WorldError::Institution`], or [`WorldError::File`] when something cannot be written.
    pub fn create(dir: &Path, institution: &str, day: Date) -> Result<Self, WorldError> {
        if !is_institution(institution) {
            return Err(WorldError::Institution);
        }
        let mut secret = [0; 32];
        crate::generator().fill_bytes(&mut secret);
        let gateway = Authority::make();
        let users = TestCa::user();
        let world = Self {
            dir: dir.to_owned(),
            about: About { institution: institution.to_owned(), day },
            enrolment_secret: secret.iter().map(|byte| format!("{byte:02x}")).collect(),
            gateway_ca: gateway.certificate.to_vec(),
            user_ca: users.certificate().to_vec(),
            people: population::people(day),
        };
        world.write("world.json", &serde_json::to_vec(&world.about).expect("two texts can be written as JSON"))?;
        world.write("gateway-ca.pem", pem(&world.gateway_ca).as_bytes())?;
        world.write_secret("gateway-ca.p8", gateway.private_key())?;
        world.write("user-ca.pem", pem(&world.user_ca).as_bytes())?;
        world.write("foreign-ca.pem", pem(TestCa::foreign().certificate()).as_bytes())?;
        world.write_secret("enrolment-secret", format!("{}\n", world.enrolment_secret).as_bytes())?;
        for Person { key, certificate, .. } in &world.people {
            let private = crate::rsa_key(&certificate.key).to_pkcs8_der().expect("a key of the cache can be encoded");
            world.write(&format!("people/{key}.pem"), pem(&users.issue(certificate)).as_bytes())?;
            world.write_secret(&format!("people/{key}.p8"), private.as_bytes())?;
        }
        Ok(world)
    }

    /// Loads the world that [`World::create`] wrote to `dir`.
    ///
    /// # Errors
    /// [`WorldError::File`] when a file cannot be read, [`WorldError::Content`] when one is broken.
    pub fn load(dir: &Path) -> Result<Self, WorldError> {
        let content = |name: &str| WorldError::Content(dir.join(name));
        let about: About = serde_json::from_slice(&read(dir, "world.json")?).map_err(|_| content("world.json"))?;
        let secret = String::from_utf8(read(dir, "enrolment-secret")?).map_err(|_| content("enrolment-secret"))?;
        Ok(Self {
            enrolment_secret: secret.trim_end().to_owned(),
            gateway_ca: read_pem(dir, "gateway-ca.pem")?,
            user_ca: read_pem(dir, "user-ca.pem")?,
            people: population::people(about.day),
            about,
            dir: dir.to_owned(),
        })
    }

    /// The institution that the enrolment secret belongs to.
    #[must_use]
    pub fn institution(&self) -> &str {
        &self.about.institution
    }

    /// The secret that the desk presents to enrol a device.
    #[must_use]
    pub fn enrolment_secret(&self) -> &str {
        &self.enrolment_secret
    }

    /// The CA certificate of the gateway, DER.
    #[must_use]
    pub fn gateway_ca(&self) -> &[u8] {
        &self.gateway_ca
    }

    /// The trusted CA certificate of user certificates, DER.
    #[must_use]
    pub fn user_ca(&self) -> &[u8] {
        &self.user_ca
    }

    /// The people, all of whom have a card.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The plastic card of a person: PIN `1234`, three tries.
    ///
    /// # Errors
    /// [`WorldError::Nobody`], or the files of the card are missing or broken.
    pub fn card(&self, key: &str) -> Result<CardSpec, WorldError> {
        if !self.people.iter().any(|person| person.key == key) {
            return Err(WorldError::Nobody(key.to_owned()));
        }
        let key_file = format!("people/{key}.p8");
        let private = RsaPrivateKey::from_pkcs8_der(&read(&self.dir, &key_file)?);
        let private = private.map_err(|_| WorldError::Content(self.dir.join(key_file)))?;
        Ok(CardSpec::plastic(read_pem(&self.dir, &format!("people/{key}.pem"))?, self.user_ca.clone(), private))
    }

    /// The path of a file of the world, as the table of [`World`] names it.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// The gateway's CA with its key; `None` when the files do not fit together.
    pub(crate) fn gateway_authority(&self) -> Option<Authority> {
        Authority::load(&self.gateway_ca, &read(&self.dir, "gateway-ca.p8").ok()?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WorldError> {
        self.write_with(name, bytes, 0o644)
    }

    fn write_secret(&self, name: &str, bytes: &[u8]) -> Result<(), WorldError> {
        self.write_with(name, bytes, 0o600)
    }

    fn write_with(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), WorldError> {
        let path = self.dir.join(name);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
            #[cfg(not(unix))]
            let _ = mode;
            io::Write::write_all(&mut options.open(&path)?, bytes)
        };
        write().map_err(|error| WorldError::File(path.clone(), error))
    }
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, WorldError> {
    let path = dir.join(name);
    fs::read(&path).map_err(|error| WorldError::File(path, error))
}

fn read_pem(dir: &Path, name: &str) -> Result<Vec<u8>, WorldError> {
    let text = read(dir, name)?;
    match der::pem::decode_vec(&text) {
        Ok(("CERTIFICATE", der)) => Ok(der),
        _ => Err(WorldError::Content(dir.join(name))),
    }
}

fn pem(certificate: &[u8]) -> String {
    der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, certificate).expect("a certificate fits PEM")
}
