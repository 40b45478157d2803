//! OpenSC, which shares no code with us, uses the same virtual card: what both accept is not one mistake made twice.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::digest::{SHA256, digest};
use tazune_card::UserCertificate;
use tazune_e2e::{
    reader_rig::{ReaderRig, SOCKET_VARIABLE},
    tablet::PIN,
};
use tazune_model::Bytes;
use tazune_sim::{
    card::CardSpec,
    vpcd::{InField, SharedCard},
};
use tempfile::TempDir;

use crate::{sample, shared};

/// Only the card's own driver, or its probes would be counted; and nothing remembered between two programs.
const CONFIGURATION: &str = "app default { card_drivers = jpki; framework pkcs15 { use_file_caching = no; } }\n";

const MESSAGE: &[u8] = b"a message that a card signs";

/// OpenSC at a reader, with a card on it.
struct Peer {
    folder: TempDir,
    rig: ReaderRig,
    spec: CardSpec,
    card: SharedCard,
    _field: InField,
}

impl Peer {
    fn with(change: impl FnOnce(&mut CardSpec)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("opensc.conf"), CONFIGURATION).unwrap();
        fs::write(folder.path().join("message"), MESSAGE).unwrap();
        fs::write(folder.path().join("hash"), digest(&SHA256, MESSAGE)).unwrap();
        let mut spec = sample();
        change(&mut spec);
        let (rig, card) = (ReaderRig::open(), shared(&spec));
        let field = rig.hold(0, card.clone(), Duration::ZERO);
        let peer = Self { folder, rig, spec, card, _field: field };
        let is_seen = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            peer.run("opensc-tool", &["-r", "0", "--atr"]).status.success()
        });
        assert!(is_seen, "OpenSC does not see the card");
        peer
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new("timeout")
            .args(["60", program])
            .args(arguments)
            .current_dir(self.folder.path())
            .env(SOCKET_VARIABLE, self.rig.socket())
            .env("OPENSC_CONF", self.file("opensc.conf"))
            .output()
            .unwrap()
    }

    /// Signs the message with the user key; the signature, if there is one.
    fn sign(&self, pin: &str) -> Option<Vec<u8>> {
        let hash = ["--sha-256", "--pkcs1", "-R", "-i", "hash", "-o", "signature"];
        let _ = fs::remove_file(self.file("signature"));
        let signed =
            self.run("pkcs15-crypt", &[&["-r", "0", "--sign", "--key", "01", "--pin", pin], &hash[..]].concat());
        signed.status.success().then(|| fs::read(self.file("signature")).unwrap())
    }

    fn tries_left(&self) -> String {
        let pins = self.run("pkcs15-tool", &["-r", "0", "--list-pins"]);
        let pins = String::from_utf8(pins.stdout).unwrap();
        let line = pins.lines().find(|line| line.contains("Tries left")).unwrap_or_else(|| panic!("{pins}"));
        line.rsplit(' ').next().unwrap().to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn verifies(&self, signature: &[u8]) -> bool {
        let certificate = Bytes::from(self.spec.certificate.as_deref().unwrap());
        UserCertificate::try_from(certificate).unwrap().verifies(MESSAGE, signature)
    }
}

#[test]
fn it_reads_the_user_certificate_byte_for_byte() {
    let peer = Peer::with(|_| {});
    let read = peer.run("pkcs15-tool", &["-r", "0", "--read-certificate", "01"]);
    let pem = String::from_utf8(read.stdout).unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(&BASE64_STANDARD.decode(base64).unwrap(), peer.spec.certificate.as_ref().unwrap());
    let listed = peer.run("pkcs15-tool", &["-r", "0", "-D"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(listed.matches("PIN [").count(), 2, "{listed}");
    assert_eq!(listed.matches("Private RSA Key [").count(), 2, "{listed}");
    assert_eq!(listed.matches("X.509 Certificate [").count(), 4, "{listed}");
    assert_eq!(listed.matches("Encoded serial").count(), 3, "all but the sign certificate are free: {listed}");
    assert_eq!(peer.card.lock().unwrap().tries_left(), Some(3), "looking costs nothing");
}

#[test]
fn it_signs_with_the_user_key_and_the_signature_verifies() {
    let peer = Peer::with(|_| {});
    assert!(peer.verifies(&peer.sign(PIN).expect("pkcs15-crypt signs")));

    let module = module();
    let signed = peer.run(
        "pkcs11-tool",
        &[
            "--module",
            module.to_str().unwrap(),
            "--slot-index",
            "0",
            "--login",
            "--pin",
            PIN,
            "--id",
            "01",
            "--sign",
            "-m",
            "SHA256-RSA-PKCS",
            "-i",
            "message",
            "-o",
            "signature11",
        ],
    );
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    assert!(peer.verifies(&fs::read(peer.file("signature11")).unwrap()));
}

#[test]
fn wrong_pins_lock_the_card_for_it_as_for_everybody() {
    let peer = Peer::with(|_| {});
    for left in ["2", "1", "0"] {
        assert_eq!(peer.sign("9999"), None);
        assert_eq!(peer.tries_left(), left);
    }
    assert_eq!(peer.sign(PIN), None, "the right one comes too late");
    assert_eq!(peer.tries_left(), "0");

    let peer = Peer::with(|spec| spec.tries_left = 2);
    assert!(peer.sign(PIN).is_some());
    assert_eq!(peer.tries_left(), "3", "a right entry brings the number back");
}

#[test]
fn it_is_refused_the_sign_certificate_without_its_pin() {
    let peer = Peer::with(|_| {});
    let read = peer.run("pkcs15-tool", &["-r", "0", "--read-certificate", "02"]);
    assert!(!read.status.success() && read.stdout.is_empty());
}

/// Debian and others keep it in a folder named after the machine.
fn module() -> PathBuf {
    let candidates = [
        "/usr/lib/pkcs11",
        "/usr/lib64/pkcs11",
        "/usr/lib/x86_64-linux-gnu/pkcs11",
        "/usr/lib/aarch64-linux-gnu/pkcs11",
    ];
    let found = candidates.iter().map(|folder| Path::new(folder).join("opensc-pkcs11.so")).find(|path| path.exists());
    found.expect("OpenSC has its PKCS#11 module")
}
