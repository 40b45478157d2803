//! Whatever holds a key or a PIN can be printed, logged and passed on as an error without showing it.

use std::{
    fmt::{Debug, Display},
    fs,
};

use tazune_e2e::traces::Traces;
use tazune_engine::{FileKeyStore, InsecureFileKeys, Intent, KeyStore, KeyStoreError, MemoryKeyStore, Pin};
use tazune_link::keys::OpeningKey;

/// What was printed, and what must not be in it.
struct Shown {
    what: &'static str,
    printed: String,
    secret: Traces,
}

fn debug(what: &'static str, value: &impl Debug, secret: Traces) -> Shown {
    Shown { what, printed: format!("{value:?}\n{value:#?}"), secret }
}

fn error(what: &'static str, value: &(impl Debug + Display), secret: Traces) -> Shown {
    Shown { what, printed: format!("{value}\n{value:?}\n{value:#?}"), secret }
}

#[test]
fn nothing_that_holds_a_key_or_a_pin_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = FileKeyStore::open(folder.path(), InsecureFileKeys::Allowed).unwrap();
    files.make_keys().unwrap();
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let (transport, staff) = (read("transport.key"), read("staff.key"));
    // The private number of the transport key lies where PKCS#8 has it; 32 bytes are looked for wherever they are.
    let of_files =
        || Traces::of_secret("transport key", &transport[36..68]).and(Traces::of_secret("staff key", &staff));
    assert!(!of_files().found_in(&[transport.as_slice(), &staff].concat()).is_empty(), "the search finds the keys");
    assert!(!of_files().found_in(format!("{staff:?}").as_bytes()).is_empty(), "and as they would be printed");

    let memory = MemoryKeyStore::new();
    memory.make_keys().unwrap();
    let wrapped_key = [0x5a; 32];
    let wrapped = memory.wrap_key(&wrapped_key).unwrap();
    let of_wrapped = || Traces::of_secret("wrapped key", &wrapped_key);

    let opening_bytes: [u8; 32] = std::array::from_fn(|index| index as u8 + 64);
    let opening = OpeningKey::from_bytes(&opening_bytes).unwrap();
    let of_opening = Traces::of_secret("opening key", &*opening.to_bytes());

    let pin = || Pin::from_entry("4911").unwrap();
    let of_pin = || Traces::of_texts(["4911"]);
    fs::write(folder.path().join("staff.key"), &staff[1..]).unwrap();
    let damaged =
        FileKeyStore::open(folder.path(), InsecureFileKeys::Allowed).unwrap().wrap_key(&wrapped_key).unwrap_err();
    let mut foreign = wrapped.clone();
    foreign[20] ^= 1;

    let table = [
        debug("FileKeyStore", &files, of_files()),
        error("the error of a damaged key file", &damaged, of_files()),
        debug("MemoryKeyStore", &memory, of_wrapped()),
        error("the error of a key that does not open", &memory.unwrap_key(&foreign).unwrap_err(), of_wrapped()),
        debug("OpeningKey", &opening, of_opening),
        error("the error of a short opening key", &OpeningKey::from_bytes(&opening_bytes[1..]).unwrap_err(), {
            Traces::of_secret("opening key", &opening_bytes[1..])
        }),
        debug("Pin", &pin(), of_pin()),
        debug("Intent::EnterPin", &Intent::EnterPin(pin()), of_pin()),
        error("the error of a long PIN", &Pin::from_entry("4911 4911").unwrap_err(), of_pin()),
        error("the error of letters as PIN", &Pin::from_entry("49a1").unwrap_err(), Traces::of_texts(["49a1"])),
    ];
    for Shown { what, printed, secret } in table {
        assert!(!printed.trim().is_empty(), "{what}");
        assert!(secret.found_in(printed.as_bytes()).is_empty(), "{what}: {printed}");
    }
    assert_eq!(damaged, KeyStoreError::Missing);
}
