//! The device as an app holds it: a key store that the app wrote, which hangs, throws, and does not destroy what it says it did.
//!
//! Kotlin and Swift do the same through the generated code, in `android` and `ios`.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use tazune::{AboutDevice, Device, Failure, KeyError, KeyStore, Language, Revocation, TazuneError};
use tazune_e2e::clinic::Clinic;
use tazune_engine::{KeyStore as _, MemoryKeyStore};
use tazune_model::FailureCode;
use tazune_visit::Texts;
use tempfile::TempDir;
use tokio::{runtime::Runtime, task};

/// How an app's key store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Willing,
    Refuses(KeyError),
    Panics,
    Hangs,
    /// Says that a key was destroyed, and keeps it.
    Keeps,
}

struct AppKeys {
    keys: MemoryKeyStore,
    mood: Mutex<Mood>,
    changed: Condvar,
    /// How many calls began.
    calls: Mutex<usize>,
}

impl AppKeys {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            keys: MemoryKeyStore::new(),
            mood: Mutex::new(mood),
            changed: Condvar::new(),
            calls: Mutex::default(),
        })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
        self.changed.notify_all();
    }

    fn use_keys<T>(
        &self,
        use_them: impl FnOnce(&MemoryKeyStore) -> Result<T, tazune_engine::KeyStoreError>,
    ) -> Result<T, KeyError> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let mood = self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        let mood = *self.changed.wait_while(mood, |mood| *mood == Mood::Hangs).unwrap_or_else(PoisonError::into_inner);
        match mood {
            Mood::Refuses(error) => Err(error),
            Mood::Panics => panic!("as asked"),
            Mood::Willing | Mood::Keeps | Mood::Hangs => use_them(&self.keys).map_err(|_| KeyError::Missing),
        }
    }

    fn keeps(&self) -> bool {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) == Mood::Keeps
    }

    fn call_count(&self) -> usize {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyStore for AppKeys {
    fn make_keys(&self) -> Result<(), KeyError> {
        self.use_keys(MemoryKeyStore::make_keys)
    }

    fn transport_public(&self) -> Result<Vec<u8>, KeyError> {
        self.use_keys(|keys| keys.transport_public().map(|key| key.as_bytes().to_vec()))
    }

    fn sign(&self, bytes: Vec<u8>) -> Result<Vec<u8>, KeyError> {
        self.use_keys(|keys| keys.sign(&bytes))
    }

    fn wrap_key(&self, key: Vec<u8>) -> Result<Vec<u8>, KeyError> {
        self.use_keys(|keys| keys.wrap_key(&key.try_into().expect("a key has 32 bytes")))
    }

    fn unwrap_key(&self, wrapped: Vec<u8>) -> Result<Vec<u8>, KeyError> {
        self.use_keys(|keys| keys.unwrap_key(&wrapped).map(|key| key.to_vec()))
    }

    fn destroy_staff_key(&self) -> Result<(), KeyError> {
        if self.keeps() { Ok(()) } else { self.use_keys(MemoryKeyStore::destroy_staff_key) }
    }

    fn destroy_transport_key(&self) -> Result<(), KeyError> {
        if self.keeps() { Ok(()) } else { self.use_keys(MemoryKeyStore::destroy_transport_key) }
    }
}

struct Scene {
    runtime: Runtime,
    clinic: Clinic,
    folder: TempDir,
}

impl Scene {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { runtime: Runtime::new().unwrap(), clinic: Clinic::open(folder.path()), folder }
    }

    fn device(&self, keys: Arc<AppKeys>) -> Arc<Device> {
        let folder = self.folder.path().join("device").to_str().unwrap().to_owned();
        Arc::new(self.runtime.block_on(Device::open(folder, keys, Language::Ja)).unwrap())
    }

    /// Pairs, and gives the device's id.
    fn pair(&self, device: &Device) -> String {
        let mut desk = self.clinic.start("pair", &["--json"]);
        let offer = desk.expect_event("opened")["offer"].as_str().unwrap().to_owned();
        self.runtime.block_on(async {
            let attempt = device.pair(offer, about()).await.unwrap();
            let code = attempt.code();
            let approved = task::spawn_blocking(move || {
                desk.expect_event("awaiting_code");
                desk.say(&code);
                desk.expect_event("awaiting_approval");
                desk.say("y");
                desk.expect_event("approved");
                desk.finish().success();
            });
            let paired = attempt.finish().await.unwrap();
            approved.await.unwrap();
            paired.device_id
        })
    }

    fn deliver(&self, device: &Device) -> Result<(), TazuneError> {
        self.runtime.block_on(device.deliver_now(Duration::from_secs(10)))
    }
}

fn about() -> AboutDevice {
    AboutDevice { name: "見本の端末".into(), model: "test".into(), os: "test".into() }
}

/// The failure of this code in the language of the device's owner.
fn failed(code: &str) -> TazuneError {
    let code = FailureCode::from_code(code).unwrap();
    let texts = Texts::new(Language::Ja);
    let failure =
        Failure { code: code.code().to_owned(), title: texts.failure_title(code), remedy: texts.failure_remedy(code) };
    failure.into()
}

#[test]
fn whatever_an_apps_key_store_refuses_or_does_has_a_code_and_can_be_tried_again() {
    let scene = Scene::open();
    let keys = AppKeys::new(Mood::Willing);
    let device = scene.device(keys.clone());
    let mut desk = scene.clinic.start("pair", &["--json"]);
    let offer = desk.expect_event("opened")["offer"].as_str().unwrap().to_owned();
    for (mood, code) in [
        (Mood::Refuses(KeyError::Locked), "TZ-K01"),
        (Mood::Refuses(KeyError::Missing), "TZ-K03"),
        (Mood::Refuses(KeyError::Absent), "TZ-K04"),
        (Mood::Refuses(KeyError::Failed), "TZ-S04"),
        (Mood::Panics, "TZ-S04"),
    ] {
        keys.set(mood);
        let refused = scene.runtime.block_on(device.pair(offer.clone(), about()));
        assert_eq!(refused.err(), Some(failed(code)), "{mood:?}");
    }
    assert!(!desk.kill().transcript.contains("awaiting_code"), "nothing was sent");
    keys.set(Mood::Willing);
    scene.pair(&device);
    // Also in the middle of a connection, where only the key of the handshake is asked for.
    for (error, code) in [(KeyError::Locked, "TZ-K01"), (KeyError::Missing, "TZ-K03"), (KeyError::Failed, "TZ-S04")] {
        keys.set(Mood::Refuses(error));
        assert_eq!(scene.deliver(&device), Err(failed(code)), "{error:?}");
    }
    keys.set(Mood::Willing);
    assert_eq!(scene.deliver(&device), Ok(()));
}

#[test]
fn while_an_apps_key_store_hangs_the_device_goes_on_and_the_call_ends_by_name() {
    let scene = Scene::open();
    let keys = AppKeys::new(Mood::Willing);
    let device = scene.device(keys.clone());
    scene.pair(&device);
    keys.set(Mood::Hangs);
    let before = keys.call_count();
    scene.runtime.block_on(async {
        let delivery = task::spawn({
            let device = device.clone();
            async move { device.deliver_now(Duration::from_secs(10)).await }
        });
        while keys.call_count() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(device.queue().await.unwrap().draft_count, 0);
        assert!(device.pairing().await.is_ok());
        assert!(!delivery.is_finished());
        assert_eq!(delivery.await.unwrap(), Err(failed("TZ-K05")));
    });
    keys.set(Mood::Willing);
    assert_eq!(scene.deliver(&device), Ok(()));
}

#[test]
fn a_revoked_app_says_so_and_believes_in_no_destroyed_key_that_it_can_use() {
    let scene = Scene::open();
    let keys = AppKeys::new(Mood::Willing);
    let device = scene.device(keys.clone());
    let id = scene.pair(&device);
    assert_eq!(scene.runtime.block_on(device.queue()).unwrap().revoked, None);
    let mut revoke = scene.clinic.start("revoke", &[&id, "--reason", "見本", "--kind", "lost", "--yes"]);
    revoke.close_input();
    revoke.finish().success();
    keys.set(Mood::Keeps);
    for _ in 0..2 {
        assert_eq!(scene.deliver(&device), Err(failed("TZ-S04")));
        let revoked = scene.runtime.block_on(device.queue()).unwrap().revoked.unwrap();
        assert_eq!((revoked.state, TazuneError::from(revoked.failure)), (Revocation::Destroying, failed("TZ-H10")));
    }
    keys.set(Mood::Willing);
    assert_eq!(scene.deliver(&device), Err(failed("TZ-H10")));
    let revoked = scene.runtime.block_on(device.queue()).unwrap().revoked.unwrap();
    assert_eq!(revoked.state, Revocation::Finished);
    assert!(revoked.text.contains("登録し直せます"), "{}", revoked.text);
    assert_eq!(scene.runtime.block_on(device.pairing()).err(), Some(failed("TZ-H10")));
    assert!(keys.keys.sign(b"x").is_err() && keys.keys.wrap_key(&[7; 32]).is_err());
    scene.pair(&device);
    assert_eq!(scene.runtime.block_on(device.queue()).unwrap().revoked, None);
}
