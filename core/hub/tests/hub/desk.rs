use std::{fs, sync::Arc, time::Duration};

use rusqlite::Connection;
use tazune_hub::{
    Stop,
    desk::{Desk, FrontAt},
    store::{DeskStore, ExportState, OutcomeKind, RecordSummary},
};
use tazune_link::{
    envelope::EnvelopeHeader,
    front_api::HandIn,
    keys::OpeningKey,
    receipt::{QuarantineReason, Verdict},
};
use tazune_model::{FailureCode, RecordedOutcome, Validity};

use crate::{
    clinic::{Clinic, Roles},
    device::{ANSWER_VALID, MARKED},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_becomes_a_receipt_and_one_face_file() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let record = device.answered(&clinic, ANSWER_VALID);
    let envelope = device.seal(&clinic, &record);
    assert_eq!(device.hand_in(&clinic, std::slice::from_ref(&envelope)).await, [HandIn::Received]);
    let receipts = device.receipts(&clinic).await;
    assert_eq!(device.verify(&receipts[0], &envelope).verdict, Verdict::Accepted);

    let records = clinic.records(|records| records.iter().any(|r| r.export == ExportState::Written)).await;
    let [line] = records.as_slice() else { panic!("one record") };
    assert_eq!((line.record_id, &line.device), (record.record_id, &device.reply.device_id));
    assert_eq!((line.outcome, line.validity), (Some(OutcomeKind::Answer), Some(Validity::Valid)));
    let name = line.file.clone().unwrap();
    assert_eq!(clinic.face_files(), std::slice::from_ref(&name));
    let content = fs::read(clinic.face_folder().join(name)).unwrap();
    let written = tazune_oqs::parse(&content).unwrap();
    assert_eq!(written.eligibility().unwrap(), tazune_oqs::parse(ANSWER_VALID).unwrap().eligibility().unwrap());

    let list = serde_json::to_string(&clinic.admin().records().await.unwrap()).unwrap();
    assert!(!list.contains(MARKED) && !list.contains("見本"), "the list names nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_answer_that_can_be_read_becomes_a_face_file() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let lost = include_bytes!("../../../../tests/vectors/oqs/answer-insurance-lost.xml");
    let with = |outcome| tazune_model::VisitRecord { outcome, ..device.record(&clinic) };
    let table = [
        (device.record(&clinic), OutcomeKind::Deferred, ExportState::NotDue),
        (
            with(RecordedOutcome::Trouble { code: FailureCode::ALL[0].code().into() }),
            OutcomeKind::Trouble,
            ExportState::NotDue,
        ),
        (with(RecordedOutcome::PersonMismatch), OutcomeKind::PersonMismatch, ExportState::NotDue),
        (device.answered(&clinic, b"<html/>"), OutcomeKind::Answer, ExportState::Unreadable),
        (device.answered(&clinic, lost), OutcomeKind::Answer, ExportState::Written),
    ];
    let envelopes: Vec<_> = table.iter().map(|(record, _, _)| device.seal(&clinic, record)).collect();
    device.hand_in(&clinic, &envelopes).await;
    let is_done =
        |r: &[RecordSummary]| r.len() == table.len() && r.iter().all(|record| record.export != ExportState::Waiting);
    let records = clinic.records(is_done).await;
    for (record, outcome, export) in &table {
        let line = records.iter().find(|line| line.record_id == record.record_id).unwrap();
        assert_eq!((line.outcome, line.export), (Some(*outcome), *export));
        assert_eq!(line.file.is_some(), *export == ExportState::Written);
    }
    assert_eq!(clinic.face_files().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_is_set_aside_with_a_receipt_and_blocks_nothing() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    let other_key = OpeningKey::make(&mut clinic.random.clone()).sealing_key();
    let record = device.record(&clinic);
    let wrong_key = device.seal_to(&clinic, &record, &other_key, EnvelopeHeader::new(&other_key, &record));
    // The header names a record other than the one inside.
    let (inside, named) = (device.record(&clinic), device.record(&clinic));
    let clinic_key = &device.reply.clinic_key;
    let misnamed = device.seal_to(&clinic, &inside, clinic_key, EnvelopeHeader::new(clinic_key, &named));
    // The header names the clinic's key, but another was used.
    let record = device.record(&clinic);
    let broken = device.seal_to(&clinic, &record, &other_key, EnvelopeHeader::new(clinic_key, &record));
    let good = device.seal(&clinic, &device.record(&clinic));
    let table = [
        (wrong_key, Some(QuarantineReason::WrongKey)),
        (misnamed, Some(QuarantineReason::Misaddressed)),
        (broken, Some(QuarantineReason::Altered)),
        (good, None),
    ];
    let envelopes: Vec<_> = table.iter().map(|(envelope, _)| envelope.clone()).collect();
    assert_eq!(device.hand_in(&clinic, &envelopes).await, [HandIn::Received; 4]);
    let records = clinic.records(|records| records.len() == 4).await;
    let mut receipts = device.receipts(&clinic).await;
    while receipts.len() < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        receipts = device.receipts(&clinic).await;
    }
    for (envelope, reason) in &table {
        let record_id = envelope.header().unwrap().record_id;
        let line = records.iter().find(|line| line.record_id == record_id).unwrap();
        assert_eq!((line.quarantine, line.accepted_at.is_none()), (*reason, reason.is_some()));
        let receipt = receipts.iter().find(|receipt| receipt.claimed_record_id() == Ok(record_id)).unwrap();
        let expected = reason.map_or(Verdict::Accepted, |reason| Verdict::Quarantined { reason });
        assert_eq!(device.verify(receipt, envelope).verdict, expected);
    }
}

/// As when the desk was killed between its commit and its word to the front.
#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_comes_again_gets_its_first_receipt_and_no_second_file() {
    let mut clinic = Clinic::open().await;
    let device = clinic.pair().await;
    clinic.restart(Roles::FrontOnly).await;
    let good = device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID));
    let other_key = OpeningKey::make(&mut clinic.random.clone()).sealing_key();
    let record = device.record(&clinic);
    let bad = device.seal_to(&clinic, &record, &other_key, EnvelopeHeader::new(&other_key, &record));
    assert_eq!(device.hand_in(&clinic, &[good, bad]).await, [HandIn::Received; 2]);
    let front = Connection::open(clinic.front_folder().join("front.sqlite")).unwrap();
    front.execute_batch("CREATE TABLE before AS SELECT * FROM envelope").unwrap();

    let both_receipts = async |clinic: &Clinic| {
        let mut receipts = device.receipts(clinic).await;
        while receipts.len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            receipts = device.receipts(clinic).await;
        }
        receipts
    };
    clinic.restart(Roles::Both).await;
    let first = both_receipts(&clinic).await;
    clinic.records(|records| records.iter().any(|line| line.export == ExportState::Written)).await;
    fs::remove_file(clinic.face_folder().join(&clinic.face_files()[0])).unwrap();
    clinic.stop().await;
    front.execute_batch("DELETE FROM envelope; INSERT INTO envelope SELECT * FROM before").unwrap();

    clinic.clock.advance(jiff::SignedDuration::from_hours(1));
    clinic.start(Roles::Both).await;
    assert_eq!(both_receipts(&clinic).await, first);
    assert_eq!(clinic.records(|_| true).await.len(), 2);
    assert!(clinic.face_files().is_empty(), "the consumer has taken it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_face_folder_that_is_not_there_keeps_only_the_file_waiting() {
    let clinic = Clinic::open().await;
    let device = clinic.pair().await;
    fs::remove_dir_all(clinic.face_folder()).unwrap();
    let envelope = device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID));
    device.hand_in(&clinic, std::slice::from_ref(&envelope)).await;
    assert_eq!(device.verify(&device.receipts(&clinic).await[0], &envelope).verdict, Verdict::Accepted);
    while clinic.admin().records().await.unwrap().face_failure.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let view = clinic.admin().records().await.unwrap();
    assert_eq!(view.face_failure.map(FailureCode::name), Some("FaceFolderUnwritable"));
    assert_eq!(view.records[0].export, ExportState::Waiting);

    // The place where the share is mounted is not the share.
    fs::create_dir(clinic.face_folder()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(fs::read_dir(clinic.face_folder()).unwrap().count(), 0);
    fs::remove_dir(clinic.face_folder()).unwrap();
    clinic.connect_face_folder();
    clinic.records(|records| records[0].export == ExportState::Written).await;
    assert_eq!(clinic.face_files().len(), 1);
    assert_eq!(clinic.admin().records().await.unwrap().face_failure, None);
}

/// Where the hub was killed, made by hand in database and folder: state, what lies in the folder, and what must come.
#[tokio::test(flavor = "multi_thread")]
async fn a_face_file_is_written_once_wherever_the_hub_was_killed() {
    struct Kill {
        at: &'static str,
        is_renaming: bool,
        staged: Option<&'static [u8]>,
        named: bool,
        files_after: usize,
    }
    let table = [
        Kill { at: "before staging", is_renaming: false, staged: None, named: false, files_after: 1 },
        Kill { at: "while staging", is_renaming: false, staged: Some(b"<Xml"), named: false, files_after: 1 },
        Kill { at: "before the rename", is_renaming: true, staged: Some(b"whole"), named: false, files_after: 1 },
        Kill { at: "after the rename, not taken", is_renaming: true, staged: None, named: true, files_after: 1 },
        Kill { at: "after the rename, taken", is_renaming: true, staged: None, named: false, files_after: 0 },
    ];
    for Kill { at, is_renaming, staged, named, files_after } in table {
        let mut clinic = Clinic::open().await;
        let device = clinic.pair().await;
        // A first file has been written, so the folder is known.
        device.hand_in(&clinic, &[device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID))]).await;
        clinic.records(|records| records.iter().any(|r| r.export == ExportState::Written)).await;
        fs::remove_file(clinic.face_folder().join(&clinic.face_files()[0])).unwrap();

        // The second is committed while the folder cannot be reached.
        let away = clinic.face_folder().with_extension("away");
        fs::rename(clinic.face_folder(), &away).unwrap();
        device.hand_in(&clinic, &[device.seal(&clinic, &device.answered(&clinic, ANSWER_VALID))]).await;
        clinic.records(|records| records.len() == 2).await;
        clinic.stop().await;
        let store = clinic.desk_store().await;
        let [export] = store.next_exports(10).await.unwrap().try_into().unwrap();
        assert!(!export.is_renaming);
        if is_renaming {
            store.exports_renaming(vec![export.record_id]).await.unwrap();
        }
        drop(store);
        if let Some(content) = staged {
            fs::write(away.join(format!(".{}.tmp", export.name)), content).unwrap();
        }
        if named {
            fs::write(away.join(&export.name), "whole").unwrap();
        }

        clinic.start(Roles::Both).await;
        // A folder that is not there says nothing about the file.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let has_state = |records: &[RecordSummary], state| {
            records.iter().any(|line| line.record_id == export.record_id && line.export == state)
        };
        assert!(has_state(&clinic.records(|_| true).await, ExportState::Waiting), "{at}");
        fs::rename(&away, clinic.face_folder()).unwrap();
        clinic.records(|records| has_state(records, ExportState::Written)).await;
        let files = clinic.face_files();
        assert_eq!(files.len(), files_after, "{at}");
        if !is_renaming {
            let content = fs::read(clinic.face_folder().join(&files[0])).unwrap();
            assert_eq!(content, export.content.0, "{at}: staged anew, whole");
        }
        let staged_left = fs::read_dir(clinic.face_folder())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"))
            .count();
        assert_eq!(staged_left, 0, "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_serves_one_process_and_a_port_of_its_own_must_be_known() {
    let mut clinic = Clinic::open().await;
    let open = async |clinic: &Clinic, at: FrontAt| {
        let (_stop, stopping) = Stop::new();
        let clock: Arc<dyn tazune_model::Clock> = clinic.clock.clone();
        Desk::open(&clinic.desk_folder(), at, clock, clinic.random.clone(), stopping).await.map(drop)
    };
    let second = open(&clinic, FrontAt::Here(clinic.front)).await.unwrap_err();
    assert_eq!(second.failure_code().name(), "SettingInvalid");
    clinic.stop().await;
    assert!(open(&clinic, FrontAt::Settings).await.unwrap_err().to_string().contains("port 0"));
    let address = "https://127.0.0.1:4433".parse().unwrap();
    assert!(open(&clinic, FrontAt::Address(address)).await.is_ok());
}
