//! A revoked device: what goes when, whatever is killed, and what a tombstone must prove.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tazune_engine::{
    DeliverUntil, Device, DraftId, EngineError, KeyStore, KeyStoreError, MemoryKeyStore, Revocation, RevocationKind,
};
use tazune_link::{
    delivery::{Delivery, Reason},
    envelope::Refusal,
    front_api::ApiError,
    keys::VerifyingKey,
    revocation::Revoked,
    tombstone::{SignedTombstone, TombstoneError},
};
use tazune_model::{Clock as _, DeviceId, FailureCode, InstitutionCode, StoreFault};
use zeroize::Zeroizing;

use crate::{Rig, SOON, about, clinic::Fault, delivery, finished_visit, generator, open, seal};

const REVOKED: EngineError = EngineError::Revoked(Revoked);

/// Keys that note what is destroyed, and fail where a test lets the device be killed.
#[derive(Default)]
struct WatchedKeys {
    keys: MemoryKeyStore,
    log: Mutex<Vec<&'static str>>,
    kill: Mutex<Option<Kill>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    BeforeStaff,
    AfterStaff,
    BeforeTransport,
    AfterTransport,
}

impl WatchedKeys {
    fn step(&self, name: &'static str, before: Kill, after: Kill) -> Result<bool, KeyStoreError> {
        let killed = Err(KeyStoreError::Storage(StoreFault::Failed));
        let kill = *self.kill.lock().unwrap();
        if kill == Some(before) {
            return killed;
        }
        self.log.lock().unwrap().push(name);
        if kill == Some(after) { Ok(true) } else { Ok(false) }
    }
}

fn die(is_killed: bool) -> Result<(), KeyStoreError> {
    if is_killed { Err(KeyStoreError::Storage(StoreFault::Failed)) } else { Ok(()) }
}

impl KeyStore for WatchedKeys {
    fn make_keys(&self) -> Result<(), KeyStoreError> {
        self.keys.make_keys()
    }

    fn transport_public(&self) -> Result<VerifyingKey, KeyStoreError> {
        self.keys.transport_public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        self.log.lock().unwrap().push("sign");
        self.keys.sign(message)
    }

    fn wrap_key(&self, key: &[u8; 32]) -> Result<Vec<u8>, KeyStoreError> {
        self.keys.wrap_key(key)
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyStoreError> {
        self.keys.unwrap_key(wrapped)
    }

    fn destroy_staff_key(&self) -> Result<(), KeyStoreError> {
        let is_killed = self.step("staff key", Kill::BeforeStaff, Kill::AfterStaff)?;
        self.keys.destroy_staff_key()?;
        die(is_killed)
    }

    fn destroy_transport_key(&self) -> Result<(), KeyStoreError> {
        let is_killed = self.step("transport key", Kill::BeforeTransport, Kill::AfterTransport)?;
        self.keys.destroy_transport_key()?;
        die(is_killed)
    }
}

/// A paired device with an accepted record, an unsent one and a draft, and its watched keys.
async fn loaded(rig: &Rig) -> (Arc<Device>, Arc<WatchedKeys>) {
    let keys = Arc::new(WatchedKeys::default());
    let device = open(rig.folder.path(), keys.clone(), rig.clock.clone()).await;
    pair(rig, &device).await;
    seal(&device, rig.now()).await;
    device.deliver_now(SOON).await.unwrap();
    seal(&device, rig.now()).await;
    let (visit, _) = finished_visit(&device, rig.now()).await;
    device.add_visit(&DraftId::make(&mut generator()), &visit).await.unwrap();
    (device, keys)
}

async fn pair(rig: &Rig, device: &Arc<Device>) {
    let attempt = device.pair(&rig.clinic.offer(), about()).await.unwrap();
    rig.clinic.approve(attempt.code());
    attempt.finish().await.unwrap();
}

async fn state(device: &Device) -> Option<Revocation> {
    device.queue().await.unwrap().revocation.map(|revocation| revocation.state)
}

async fn is_all_gone(device: &Device, keys: &WatchedKeys) {
    let queue = device.queue().await.unwrap();
    assert_eq!(queue.revocation.map(|revocation| revocation.state), Some(Revocation::Finished));
    assert_eq!((queue.records.len(), queue.purged_count, queue.draft_count), (0, 2, 0));
    assert_eq!(keys.keys.sign(b"x").unwrap_err(), KeyStoreError::Missing);
    assert_eq!(keys.keys.wrap_key(&[1; 32]).unwrap_err(), KeyStoreError::Missing);
    assert_eq!(device.pairing().await.unwrap_err(), REVOKED);
}

#[tokio::test]
async fn what_the_staff_can_read_goes_first_then_the_records_then_the_transport_key() {
    let rig = Rig::new().await;
    let (device, keys) = loaded(&rig).await;
    rig.clinic.revoke_with(Some(rig.clinic.tombstone(|_| {})));
    rig.clinic.requests();
    keys.log.lock().unwrap().clear();
    assert_eq!(device.deliver_now(SOON).await.unwrap_err(), REVOKED);
    is_all_gone(&device, &keys).await;
    assert_eq!(rig.clinic.quarantine().len(), 1);
    let log = keys.log.lock().unwrap().clone();
    let at = |name| log.iter().position(|entry| *entry == name).unwrap();
    assert!(at("staff key") < at("transport key") && log.last() == Some(&"transport key"), "{log:?}");
    let requests = rig.clinic.requests();
    assert_eq!(requests[0], "POST envelopes", "where it heard of it");
    assert!(requests[1..].iter().all(|request| request.ends_with("of revoked")), "{requests:?}");
    let queue = device.queue().await.unwrap();
    assert_eq!(queue.last_failure, Some(FailureCode::DeviceRevoked));
    assert_eq!(queue.revocation.unwrap().kind, RevocationKind::Stolen);
}

#[tokio::test]
async fn a_kill_between_any_two_steps_is_made_good_at_the_next_start() {
    for kill in [Kill::BeforeStaff, Kill::AfterStaff, Kill::BeforeTransport, Kill::AfterTransport] {
        let rig = Rig::new().await;
        let (device, keys) = loaded(&rig).await;
        rig.clinic.revoke_with(Some(rig.clinic.tombstone(|_| {})));
        *keys.kill.lock().unwrap() = Some(kill);
        let failed = device.deliver_now(SOON).await.unwrap_err();
        assert_eq!(failed, EngineError::Keys(KeyStoreError::Storage(StoreFault::Failed)), "{kill:?}");
        // A killed process closes nothing.
        std::mem::forget(device);

        let device = open(rig.folder.path(), keys.clone(), rig.clock.clone()).await;
        let expected = match kill {
            Kill::BeforeStaff | Kill::AfterStaff => Revocation::Destroying,
            Kill::BeforeTransport | Kill::AfterTransport => Revocation::Closing,
        };
        assert_eq!(state(&device).await, Some(expected), "{kill:?}: a step that fails again is kept for later");
        let (draft, unpaired) = (DraftId::make(&mut generator()), Rig::new().await);
        let other = unpaired.paired().await;
        let (visit, unsealed) = finished_visit(&other, rig.now()).await;
        assert!(device.add_visit(&draft, &visit).await.is_err(), "{kill:?}: it takes nothing new");
        assert_eq!(device.seal(unsealed, &draft).await.unwrap_err(), REVOKED);
        drop(device);

        *keys.kill.lock().unwrap() = None;
        let device = open(rig.folder.path(), keys.clone(), rig.clock.clone()).await;
        let after_start = if expected == Revocation::Destroying { Revocation::HandingIn } else { Revocation::Finished };
        assert_eq!(state(&device).await, Some(after_start), "{kill:?}: opening goes on");
        assert_eq!(keys.keys.wrap_key(&[1; 32]).unwrap_err(), KeyStoreError::Missing);
        assert_eq!(device.deliver_now(SOON).await.unwrap_err(), REVOKED);
        is_all_gone(&device, &keys).await;
        assert_eq!(rig.clinic.quarantine().len(), 1, "{kill:?}");
    }
}

#[tokio::test]
async fn records_wait_for_a_desk_that_is_off_and_the_transport_key_with_them() {
    let rig = Rig::new().await;
    let (device, keys) = loaded(&rig).await;
    rig.clinic.revoke_with(Some(rig.clinic.tombstone(|_| {})));
    rig.clinic.set_desk_off(true);
    for fault in [None, Some(Fault::Silent), Some(Fault::Error(ApiError::Unavailable)), None] {
        rig.clinic.set_fault(fault);
        assert!(device.deliver_now(Duration::from_millis(50)).await.is_err());
    }
    assert_eq!(state(&device).await, Some(Revocation::HandingIn));
    assert_eq!(device.queue().await.unwrap().draft_count, 0);
    keys.keys.sign(b"x").unwrap();
    assert_eq!(keys.keys.wrap_key(&[1; 32]).unwrap_err(), KeyStoreError::Missing);
    rig.clinic.set_desk_off(false);
    assert_eq!(device.deliver_now(SOON).await.unwrap_err(), REVOKED);
    is_all_gone(&device, &keys).await;
}

#[tokio::test]
async fn a_record_that_the_front_refuses_stays_and_the_transport_key_with_it() {
    let rig = Rig::new().await;
    let (device, keys) = loaded(&rig).await;
    let refused =
        device.queue().await.unwrap().records.iter().find(|one| one.delivery == Delivery::Sealed).unwrap().record_id;
    rig.clinic.refuse(refused, Refusal::Altered);
    rig.clinic.revoke_with(Some(rig.clinic.tombstone(|_| {})));
    for _ in 0..2 {
        assert_eq!(device.deliver_now(SOON).await.unwrap_err(), REVOKED);
        let reason = Reason::Front(Refusal::Altered);
        assert_eq!(delivery(&device, refused).await, Delivery::Quarantined { reason });
        assert_eq!(device.queue().await.unwrap().records.len(), 2, "nothing is purged before all is answered");
        assert_eq!(state(&device).await, Some(Revocation::HandingIn));
        keys.keys.sign(b"x").unwrap();
    }
    assert_eq!(device.pair(&rig.clinic.offer(), about()).await.err(), Some(REVOKED));
}

#[tokio::test]
async fn what_does_not_prove_that_this_device_is_revoked_changes_nothing() {
    let rig = Rig::new().await;
    let (device, keys) = loaded(&rig).await;
    let clinic = &rig.clinic;
    let of_another_key = {
        let mut json = serde_json::to_value(clinic.tombstone(|_| {})).unwrap();
        json["signature"] = serde_json::to_value(tazune_model::Bytes(keys.keys.sign(b"forged").unwrap())).unwrap();
        serde_json::from_value::<SignedTombstone>(json).unwrap()
    };
    let other_key = VerifyingKey::from_bytes(&[4; 65]).unwrap().key_id();
    let table = [
        (None, TombstoneError::Missing),
        (Some(of_another_key), TombstoneError::Signature),
        (Some(clinic.tombstone(|body| body.device = DeviceId::new("device-2").unwrap())), TombstoneError::AboutAnother),
        (Some(clinic.tombstone(|body| body.device_key_id = other_key)), TombstoneError::AboutAnother),
        (
            Some(clinic.tombstone(|body| body.tenant = InstitutionCode::new("1310123458").unwrap())),
            TombstoneError::AboutAnother,
        ),
    ];
    let before = device.queue().await.unwrap();
    for (tombstone, error) in table {
        clinic.revoke_with(tombstone);
        assert_eq!(device.deliver_now(SOON).await.unwrap_err(), EngineError::Tombstone(error));
        let queue = device.queue().await.unwrap();
        assert_eq!((&queue.records, queue.draft_count, queue.revocation), (&before.records, 1, None), "{error:?}");
        assert_eq!(queue.last_failure, Some(FailureCode::TombstoneInvalid));
        keys.keys.wrap_key(&[1; 32]).unwrap();
    }
    clinic.forget_revocation();
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(device.queue().await.unwrap().accepted_count(), 2);
}

#[tokio::test]
async fn a_device_that_is_revoked_to_its_end_is_paired_anew_with_other_keys() {
    let rig = Rig::new().await;
    let (device, keys) = loaded(&rig).await;
    let old_key = keys.keys.transport_public().unwrap();
    let old = rig.clinic.tombstone(|_| {});
    rig.clinic.revoke_with(Some(old.clone()));
    assert_eq!(device.deliver_now(SOON).await.unwrap_err(), REVOKED);
    is_all_gone(&device, &keys).await;
    rig.clinic.forget_revocation();
    pair(&rig, &device).await;
    assert_ne!(keys.keys.transport_public().unwrap(), old_key);
    assert_eq!(state(&device).await, None);
    // The tombstone of the one before, replayed.
    rig.clinic.revoke_with(Some(old));
    let replayed = device.deliver_now(SOON).await.unwrap_err();
    assert_eq!(replayed, EngineError::Tombstone(TombstoneError::AboutAnother));
    rig.clinic.forget_revocation();
    let record = seal(&device, rig.now()).await;
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(delivery(&device, record).await, Delivery::Accepted { at: rig.clock.now() });
}

#[tokio::test]
async fn a_device_with_nothing_to_send_hears_of_it_too() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let (visit, _) = finished_visit(&device, rig.now()).await;
    device.add_visit(&DraftId::make(&mut generator()), &visit).await.unwrap();
    rig.clinic.revoke_with(Some(rig.clinic.tombstone(|_| {})));
    let ended = tokio::time::timeout(SOON, device.run_delivery(DeliverUntil::Forever)).await;
    assert_eq!(ended.expect("it ends by itself").unwrap_err(), REVOKED);
    assert_eq!(state(&device).await, Some(Revocation::Finished));
    assert_eq!(device.queue().await.unwrap().draft_count, 0);
}

#[tokio::test]
async fn a_suspended_device_keeps_everything_and_delivers_afterwards() {
    let rig = Rig::new().await;
    let (device, _keys) = loaded(&rig).await;
    rig.clinic.set_fault(Some(Fault::Error(ApiError::Suspended)));
    let suspended = device.deliver_now(SOON).await.unwrap_err();
    assert_eq!(suspended.failure_code(), FailureCode::DeviceSuspended);
    let queue = device.queue().await.unwrap();
    assert_eq!((queue.records.len(), queue.draft_count, queue.revocation), (2, 1, None));
    rig.clinic.set_fault(None);
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(device.queue().await.unwrap().accepted_count(), 2);
}
