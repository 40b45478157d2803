//! The queue rules of the shared conventions that concern the device, each by its number.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use axum::http::StatusCode;
use jiff::SignedDuration;
use tazune_engine::{DeliverUntil, Device, DeviceConfig, DraftId, EngineError, FrontError, KeyStoreError};
use tazune_link::{
    delivery::{Delivery, Reason},
    envelope::Refusal,
    front_api::ApiError,
    receipt::QuarantineReason,
};
use tazune_model::{FailureCode, RecordId, StoreFault};

use crate::{Rig, SOON, clinic::Fault, delivery, finished_visit, generator, open, seal};

const NO_WAIT: Duration = Duration::ZERO;

async fn seal_many(rig: &Rig, device: &Device, count: usize) -> Vec<RecordId> {
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(seal(device, rig.now()).await);
    }
    records.sort();
    records
}

#[tokio::test]
async fn rule_1_what_was_said_to_be_saved_is_there_after_a_kill() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let record = seal(&device, rig.now()).await;
    // A killed process closes nothing.
    std::mem::forget(device);
    let device = rig.device().await;
    assert_eq!(delivery(&device, record).await, Delivery::Sealed);
    assert_eq!(device.queue().await.unwrap().draft_count, 0);
}

#[tokio::test]
async fn a_visit_is_sealed_once_and_its_draft_stays_until_it_is() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let draft = DraftId::make(&mut generator());
    let (visit, unsealed) = finished_visit(&device, rig.now()).await;
    device.add_visit(&draft, &visit).await.unwrap();
    assert_eq!(device.drafts().await.unwrap(), [(draft.clone(), rig.now())]);
    rig.keys.set_locked(true);
    let refused = device.seal(unsealed.clone(), &draft).await;
    assert_eq!(refused.unwrap_err(), EngineError::Keys(KeyStoreError::Locked));
    rig.keys.set_locked(false);
    device.load_visit(&draft).await.unwrap();
    device.seal(unsealed.clone(), &draft).await.unwrap();
    let again = device.seal(unsealed, &draft).await;
    assert_eq!(again.unwrap_err(), EngineError::Store(StoreFault::Failed));
    assert_eq!(device.load_visit(&draft).await.unwrap_err(), EngineError::Store(StoreFault::Failed));
    assert_eq!(device.queue().await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn rule_2_accepted_only_on_the_desks_own_receipt() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    rig.clinic.set_desk_off(true);
    let record = seal(&device, rig.now()).await;
    device.deliver_now(NO_WAIT).await.unwrap();
    assert_eq!(delivery(&device, record).await, Delivery::Received);
    assert_eq!(device.queue().await.unwrap().received_count(), 1);

    rig.clinic.set_desk_off(false);
    rig.clinic.set_forged_receipts(true);
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(delivery(&device, record).await, Delivery::Received, "the receipt is not the desk's");
    assert_eq!(device.queue().await.unwrap().last_failure, Some(FailureCode::ReceiptInvalid));

    rig.clinic.set_forged_receipts(false);
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(delivery(&device, record).await, Delivery::Accepted { at: rig.now() });
    assert_eq!(device.queue().await.unwrap().last_failure, None);
}

#[tokio::test]
async fn rule_3_a_lost_answer_delivers_the_same_envelope_again_and_the_clinic_has_it_once() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let records = seal_many(&rig, &device, 3).await;
    rig.clinic.set_fault(Some(Fault::LoseNextAnswer));
    let lost = device.deliver_now(SOON).await;
    assert_eq!(lost.unwrap_err(), EngineError::Front(FrontError::Unreachable));
    assert_eq!(device.queue().await.unwrap().unsent_count(), 3);
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(device.queue().await.unwrap().accepted_count(), 3);
    assert_eq!(rig.clinic.records(), records);
}

#[tokio::test]
async fn rule_4_a_bad_record_is_set_aside_and_blocks_no_other() {
    let answers =
        [None, Some(Fault::RefuseBatches(ApiError::Malformed)), Some(Fault::RefuseBatches(ApiError::Oversized))];
    for fault in answers {
        let rig = Rig::new().await;
        let device = rig.paired().await;
        let records = seal_many(&rig, &device, 5).await;
        rig.clinic.refuse(records[2], Refusal::Altered);
        rig.clinic.set_fault(fault);
        device.deliver_now(SOON).await.unwrap();
        let queue = device.queue().await.unwrap();
        assert_eq!((queue.accepted_count(), queue.quarantined_count()), (4, 1), "{fault:?}");
        let reason = match fault {
            Some(Fault::RefuseBatches(ApiError::Oversized)) => Refusal::Oversized,
            Some(_) => Refusal::Malformed,
            None => Refusal::Altered,
        };
        assert_eq!(delivery(&device, records[2]).await, Delivery::Quarantined { reason: Reason::Front(reason) });
        rig.clinic.requests();
        device.deliver_now(SOON).await.unwrap();
        assert_eq!(rig.clinic.requests(), ["GET receipts"], "it is not sent again and not deleted");
        assert_eq!(device.queue().await.unwrap().quarantined_count(), 1);
    }
}

#[tokio::test]
async fn rule_4_what_the_desk_sets_aside_is_shown_with_its_reason() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let records = seal_many(&rig, &device, 2).await;
    rig.clinic.set_aside(records[0]);
    device.deliver_now(SOON).await.unwrap();
    let reason = Reason::Desk(QuarantineReason::Replayed);
    assert_eq!(delivery(&device, records[0]).await, Delivery::Quarantined { reason });
    assert_eq!(rig.clinic.records(), [records[1]]);
}

#[tokio::test]
async fn rule_5_a_general_error_stops_the_batch_and_every_record_waits() {
    let faults = [
        (Fault::Error(ApiError::Unavailable), FrontError::Unreachable),
        (Fault::Error(ApiError::UnknownDevice), FrontError::Refused(ApiError::UnknownDevice)),
        (Fault::Garbage(StatusCode::OK), FrontError::Garbage),
        (Fault::Garbage(StatusCode::BAD_GATEWAY), FrontError::Unreachable),
    ];
    let rig = Rig::new().await;
    let device = rig.paired().await;
    seal_many(&rig, &device, 3).await;
    for (fault, error) in faults {
        rig.clinic.set_fault(Some(fault));
        rig.clinic.requests();
        assert_eq!(device.deliver_now(SOON).await.unwrap_err(), EngineError::Front(error), "{fault:?}");
        assert_eq!(rig.clinic.requests(), ["POST envelopes"], "{fault:?}");
        let queue = device.queue().await.unwrap();
        assert_eq!((queue.unsent_count(), queue.last_failure), (3, Some(error.failure_code())), "{fault:?}");
    }
    rig.clinic.set_fault(None);
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(device.queue().await.unwrap().accepted_count(), 3);
}

#[tokio::test]
async fn rule_5_a_front_that_does_not_know_the_device_gets_it_again_later() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let records = seal_many(&rig, &device, 2).await;
    records.iter().for_each(|record| rig.clinic.refuse(*record, Refusal::UnknownDevice));
    let error = device.deliver_now(SOON).await.unwrap_err();
    assert_eq!(error.failure_code(), FailureCode::DeviceUnknown);
    assert_eq!(device.queue().await.unwrap().unsent_count(), 2);
}

#[tokio::test]
async fn rule_6_the_queue_never_gives_up_and_never_waits_more_than_an_hour() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    seal(&device, rig.now()).await;
    rig.clinic.set_fault(Some(Fault::Silent));
    let before = rig.clinic.connection_count();
    tokio::time::pause();
    let days = Duration::from_secs(3 * 24 * 3600);
    let ended = tokio::time::timeout(days, device.run_delivery(DeliverUntil::Idle)).await;
    assert!(ended.is_err(), "it still tries");
    let tries = rig.clinic.connection_count() - before;
    // Waits of half an hour to an hour once it has settled, a handful of shorter ones before.
    assert!((72..=72 * 2 + 10).contains(&tries), "{tries}");
    assert_eq!(device.queue().await.unwrap().unsent_count(), 1);
}

#[tokio::test]
async fn rule_7_the_last_success_is_a_success() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    assert_eq!(device.queue().await.unwrap().last_success_at, None);
    seal(&device, rig.now()).await;
    let first = rig.now();
    device.deliver_now(SOON).await.unwrap();
    rig.clock.advance(SignedDuration::from_mins(5));
    seal(&device, rig.now()).await;
    rig.clinic.set_fault(Some(Fault::Error(ApiError::Unavailable)));
    device.deliver_now(SOON).await.unwrap_err();
    let queue = device.queue().await.unwrap();
    assert_eq!((queue.last_success_at, queue.last_failure), (Some(first), Some(FailureCode::HubUnreachable)));
}

#[tokio::test]
async fn rule_9_send_now_tries_whatever_failed_before() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    seal(&device, rig.now()).await;
    rig.clinic.set_fault(Some(Fault::Error(ApiError::Unavailable)));
    for _ in 0..10 {
        device.deliver_now(SOON).await.unwrap_err();
    }
    rig.clinic.set_fault(None);
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(device.queue().await.unwrap().accepted_count(), 1);
}

#[tokio::test]
async fn rule_10_sealed_bytes_go_only_after_receipt_and_grace() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let unsent = |queue: &tazune_engine::QueueStatus| (queue.records.len(), queue.purged_count);
    seal(&device, rig.now()).await;
    rig.clinic.set_desk_off(true);
    device.deliver_now(NO_WAIT).await.unwrap();
    rig.clock.advance(SignedDuration::from_hours(100));
    device.deliver_now(NO_WAIT).await.unwrap();
    assert_eq!(unsent(&device.queue().await.unwrap()), (1, 0), "no receipt, no purge");
    rig.clinic.set_desk_off(false);
    device.deliver_now(SOON).await.unwrap();
    rig.clock.advance(SignedDuration::from_hours(23));
    device.deliver_now(NO_WAIT).await.unwrap();
    assert_eq!(unsent(&device.queue().await.unwrap()), (1, 0), "the grace is not over");
    rig.clock.advance(SignedDuration::from_hours(1));
    device.deliver_now(NO_WAIT).await.unwrap();
    assert_eq!(unsent(&device.queue().await.unwrap()), (0, 1));
}

#[tokio::test]
async fn rule_11_a_damaged_database_is_named_and_stays() {
    let rig = Rig::new().await;
    drop(rig.paired().await);
    let path = rig.folder.path().join("device.db");
    fs::write(&path, "no database".repeat(1000)).unwrap();
    let config =
        DeviceConfig { folder: rig.folder.path().to_path_buf(), keys: rig.keys.clone(), clock: rig.clock.clone() };
    let error = Device::open(config).await.unwrap_err();
    assert_eq!(error.failure_code(), FailureCode::DatabaseDamaged);
    assert_eq!(fs::read(&path).unwrap(), "no database".repeat(1000).into_bytes());
}

#[tokio::test]
async fn fifty_records_are_delivered_and_receipted_in_three_round_trips() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let records = seal_many(&rig, &device, 50).await;
    rig.clinic.requests();
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(rig.clinic.requests(), ["POST envelopes", "GET receipts", "POST taken"]);
    assert_eq!(device.queue().await.unwrap().accepted_count(), 50);
    assert_eq!(rig.clinic.records(), records);
}

#[tokio::test]
async fn what_a_killed_process_was_sending_is_sent_again() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    seal_many(&rig, &device, 3).await;
    rig.clinic.set_fault(Some(Fault::Silent));
    // Ended in the middle of the request, at several moments.
    for millis in [1, 5, 20] {
        let _ = tokio::time::timeout(Duration::from_millis(millis), device.deliver_now(SOON)).await;
    }
    std::mem::forget(device);
    rig.clinic.set_fault(None);
    let device = rig.device().await;
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(device.queue().await.unwrap().accepted_count(), 3);
}

#[tokio::test]
async fn two_processes_deliver_one_queue_without_sending_twice() {
    let rig = Rig::new().await;
    let first = rig.paired().await;
    let second = rig.device().await;
    let records = seal_many(&rig, &first, 20).await;
    rig.clinic.requests();
    let (one, other) = tokio::join!(first.deliver_now(SOON), second.deliver_now(SOON));
    one.unwrap();
    other.unwrap();
    let sent = rig.clinic.requests().iter().filter(|request| *request == "POST envelopes").count();
    assert_eq!(sent, 1);
    assert_eq!(first.queue().await.unwrap().accepted_count(), 20);
    assert_eq!(rig.clinic.records(), records);
}

#[tokio::test]
async fn the_background_delivery_wakes_when_a_record_is_sealed_and_ends_when_asked_to() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    device.run_delivery(DeliverUntil::Idle).await.unwrap();
    let running = tokio::spawn({
        let device = device.clone();
        async move { device.run_delivery(DeliverUntil::Forever).await }
    });
    for count in 1..=3 {
        seal(&device, rig.now()).await;
        let arrived = async {
            while device.queue().await.unwrap().accepted_count() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, arrived).await.expect("it is delivered without being asked");
    }
    running.abort();
}

#[tokio::test]
async fn a_front_that_forgot_gets_the_records_again() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    rig.clinic.set_desk_off(true);
    let record = seal(&device, rig.now()).await;
    device.deliver_now(NO_WAIT).await.unwrap();
    rig.clinic.forget();
    rig.clinic.set_desk_off(false);
    device.deliver_now(NO_WAIT).await.unwrap();
    assert_eq!(delivery(&device, record).await, Delivery::Received, "too early to think of a loss");
    rig.clock.advance(SignedDuration::from_hours(6));
    device.deliver_now(SOON).await.unwrap();
    assert_eq!(device.queue().await.unwrap().accepted_count(), 1);
}

#[tokio::test]
async fn an_unpaired_device_and_a_locked_key_store_are_named() {
    let rig = Rig::new().await;
    let device = rig.device().await;
    assert_eq!(device.deliver_now(SOON).await.unwrap_err(), EngineError::NotPaired);
    assert_eq!(device.run_delivery(DeliverUntil::Forever).await.unwrap_err(), EngineError::NotPaired);
    let device = rig.paired().await;
    seal(&device, rig.now()).await;
    rig.keys.set_locked(true);
    let error = device.deliver_now(SOON).await.unwrap_err();
    assert_eq!(error, EngineError::Keys(KeyStoreError::Locked));
    let queue = device.queue().await.unwrap();
    assert_eq!((queue.unsent_count(), queue.last_failure), (1, Some(FailureCode::KeyStoreLocked)));
}

#[tokio::test]
async fn insecure_key_files_show_in_the_status() {
    use tazune_engine::{FileKeyStore, InsecureFileKeys, KeyStore};
    let rig = Rig::new().await;
    assert!(!rig.device().await.queue().await.unwrap().has_insecure_file_keys);
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(FileKeyStore::open(folder.path(), InsecureFileKeys::Allowed).unwrap());
    keys.make_keys().unwrap();
    let device = open(folder.path(), keys, rig.clock.clone()).await;
    assert!(device.queue().await.unwrap().has_insecure_file_keys);
}

#[tokio::test]
async fn record_ids_are_never_the_same() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    let records = seal_many(&rig, &device, 20).await;
    assert_eq!(records.iter().collect::<BTreeSet<_>>().len(), 20, "the clock stood still");
}

#[tokio::test]
async fn nothing_personal_lies_on_the_disk_or_in_debug() {
    let rig = Rig::new().await;
    let device = rig.paired().await;
    seal(&device, rig.now()).await;
    assert_eq!(format!("{device:?}"), "Device");
    for entry in fs::read_dir(rig.folder.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"dr-sample"), "the record is sealed");
    }
}
