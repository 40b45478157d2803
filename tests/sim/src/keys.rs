use std::{
    collections::HashMap,
    env, fs,
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rsa::{
    RsaPrivateKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _},
};

/// The RSA-2048 key of this name, made at its first use and kept under `target/tazune-sim-keys`.
///
/// Generation takes seconds in a debug build, so the key is shared by all tests and runs; the environment variable
/// `TAZUNE_SIM_KEYS` names another folder. `name` is letters, digits and hyphens.
///
/// # Panics
/// When the folder cannot be written or holds a file that is not a key: nothing of the simulator works then.
#[must_use]
pub fn rsa_key(name: &str) -> RsaPrivateKey {
    static LOADED: Mutex<Option<HashMap<String, RsaPrivateKey>>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.get_or_insert_default().entry(name.to_owned()).or_insert_with(|| load_or_make(name)).clone()
}

fn load_or_make(name: &str) -> RsaPrivateKey {
    assert!(
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'),
        "a key is named by letters, digits and hyphens"
    );
    let folder = folder();
    let file = folder.join(format!("{name}.p8"));
    let read = || fs::read(&file).ok().map(|der| RsaPrivateKey::from_pkcs8_der(&der).expect("a cached key is PKCS#8"));
    if let Some(key) = read() {
        return key;
    }
    let key = RsaPrivateKey::new(&mut crate::generator(), 2048).expect("2048 bits is a size RSA keys come in");
    let der = key.to_pkcs8_der().expect("a fresh key can be encoded");
    fs::create_dir_all(&folder).expect("the key folder can be made");
    let mut temporary = tempfile::NamedTempFile::new_in(&folder).expect("the key folder can be written");
    temporary.write_all(der.as_bytes()).expect("the key folder can be written");
    // Another process may have made the same key meanwhile: the first file stays, and everybody uses that one.
    match temporary.persist_noclobber(&file) {
        Ok(_) => key,
        Err(_) => read().expect("a key file that could not be written exists already"),
    }
}

fn folder() -> PathBuf {
    env::var_os("TAZUNE_SIM_KEYS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tazune-sim-keys")),
        PathBuf::from,
    )
}
