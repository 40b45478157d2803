use std::time::Duration;

use serde_json::{Value, json};
use tazune_engine::{Delivery, Device, DraftId, EngineError, FailureCode, QueueStatus, QueuedRecord, Texts, Timestamp};
use tokio::signal::ctrl_c;

use crate::{
    arguments::QueueArguments,
    console::{Console, explain, failure},
    ended::Ended,
    exit::Exit,
};

/// How long receipts are waited for after "send now".
const RECEIPTS_WITHIN: Duration = Duration::from_secs(30);

/// Shows the queue, after sending now if asked to.
pub(crate) async fn run(arguments: QueueArguments, device: &Device, console: &Console) -> Result<Exit, Ended> {
    // A mistyped folder is a device that was never paired; an empty queue would hide that.
    match device.pairing().await {
        Ok(_) | Err(EngineError::Revoked(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let sent = if arguments.send {
        tokio::select! {
            sent = device.deliver_now(RECEIPTS_WITHIN) => sent,
            _ = ctrl_c() => return Err(Ended::Cancelled),
        }
    } else {
        Ok(())
    };
    let (status, drafts) = (device.queue().await?, device.drafts().await?);
    console.say(&line(&status, &drafts, console.texts()), |texts| words(&status, &drafts, texts))?;
    sent?;
    let is_left = status.records.iter().any(|record| !is_accepted(record.delivery));
    Ok(if is_left { Exit::Undelivered } else { Exit::Done })
}

/// Whether the clinic has the record.
pub(crate) const fn is_accepted(delivery: Delivery) -> bool {
    matches!(delivery, Delivery::Accepted { .. } | Delivery::Purged)
}

/// The stable word of a state, also its key in the texts: `state-<word>`.
pub(crate) const fn word(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Sealed => "sealed",
        Delivery::Sending => "sending",
        Delivery::Received => "received",
        Delivery::Accepted { .. } => "accepted",
        Delivery::Purged => "purged",
        Delivery::Quarantined { .. } => "quarantined",
    }
}

/// The states in the order of a record's way, with how many there are of each.
fn counts(status: &QueueStatus) -> [(&'static str, usize); 7] {
    let count = |state| status.records.iter().filter(|record| word(record.delivery) == state).count();
    let purged_count = usize::try_from(status.purged_count).unwrap_or(usize::MAX);
    [
        ("draft", status.draft_count),
        ("sealed", count("sealed")),
        ("sending", count("sending")),
        ("received", count("received")),
        ("accepted", count("accepted")),
        ("purged", purged_count),
        ("quarantined", count("quarantined")),
    ]
}

fn line(status: &QueueStatus, drafts: &[(DraftId, Timestamp)], texts: &Texts) -> Value {
    let counts: serde_json::Map<_, _> =
        counts(status).into_iter().map(|(state, count)| (state.to_owned(), count.into())).collect();
    let records: Vec<_> = status
        .records
        .iter()
        .map(|record| {
            json!({
                "record_id": record.record_id.to_string(),
                "state": word(record.delivery),
                "since": since(record).to_string(),
                "failure": reason(record).map(|code| failure(code, texts)),
            })
        })
        .collect();
    json!({ "queue": {
        "counts": counts,
        "records": records,
        "drafts": drafts_json(drafts),
        "last_success_at": status.last_success_at.map(|at| at.to_string()),
        "last_failure": status.last_failure.map(|code| failure(code, texts)),
        "insecure_file_keys": status.has_insecure_file_keys,
        "revocation": status.revocation,
    } })
}

/// Drafts for a script.
pub(crate) fn drafts_json(drafts: &[(DraftId, Timestamp)]) -> Value {
    drafts.iter().map(|(id, at)| json!({ "id": id.to_string(), "saved_at": at.to_string() })).collect()
}

/// The last instant the device knows of a record: its acceptance, or else its sealing.
const fn since(record: &QueuedRecord) -> Timestamp {
    match record.delivery {
        Delivery::Accepted { at } => at,
        _ => record.sealed_at,
    }
}

/// Why a record was set aside, if it was.
fn reason(record: &QueuedRecord) -> Option<FailureCode> {
    match record.delivery {
        Delivery::Quarantined { reason } => Some(reason.failure_code()),
        _ => None,
    }
}

fn words(status: &QueueStatus, drafts: &[(DraftId, Timestamp)], texts: &Texts) -> String {
    let state = |word: &str| texts.text(&format!("state-{word}"), &[]);
    let counted = counts(status)
        .map(|(word, count)| texts.text("queue-count", &[("state", &state(word)), ("count", &count.to_string())]));
    let mut lines = vec![counted.join(" / ")];
    if status.has_insecure_file_keys {
        lines.push(texts.text("insecure-keys", &[]));
    }
    if let Some(revocation) = &status.revocation {
        lines.push(texts.revocation(revocation.state, revocation.revoked_at));
    }
    for (id, at) in drafts {
        let args = [("id", &*id.to_string()), ("at", &texts.moment(*at))];
        lines.push(format!("  {}", texts.text("tool-draft", &args)));
    }
    for record in &status.records {
        let at = texts.moment(since(record));
        let shown = texts.text("queue-record", &[("state", &state(word(record.delivery))), ("at", &at)]);
        lines.push(format!(
            "  {}",
            texts.text("tool-record", &[("id", &record.record_id.to_string()), ("state", &shown)])
        ));
        if let Some(code) = reason(record) {
            lines.push(explain(code, texts));
        }
    }
    lines.push(match status.last_success_at {
        Some(at) => texts.text("queue-last-success", &[("at", &texts.moment(at))]),
        None => texts.text("queue-never", &[]),
    });
    if let Some(code) = status.last_failure {
        lines.extend([texts.text("queue-last-failure", &[]), explain(code, texts)]);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tazune_engine::{Language, Revocation, RevocationKind, RevocationStatus};

    fn status() -> QueueStatus {
        let at: Timestamp = "2026-11-21T01:05:00Z".parse().unwrap();
        let record = |number: u8, delivery| QueuedRecord {
            record_id: format!("019a0000-0000-7000-8000-0000000000{number:02x}").parse().unwrap(),
            sealed_at: at,
            delivery,
        };
        QueueStatus {
            records: vec![
                record(1, Delivery::Sealed),
                record(2, Delivery::Received),
                record(3, Delivery::Accepted { at }),
            ],
            purged_count: 4,
            draft_count: 1,
            last_success_at: Some(at),
            last_failure: FailureCode::from_code("TZ-H01"),
            has_insecure_file_keys: true,
            revocation: None,
        }
    }

    #[test]
    fn the_queue_is_told_in_japanese() {
        let words = words(&status(), &[], &Texts::new(Language::Ja));
        let wanted = "\
下書き 1件 / 保存済み(未送信) 1件 / 送信中 0件 / 送信済み 1件 / 受付済み 1件 / 消去済み 4件 / 要確認 0件
注意: 鍵をふつうのファイルに置いています（--insecure-file-keys）。患者さんのデータには使わないでください。
  記録 019a0000-0000-7000-8000-000000000001: 保存済み(未送信)（2026年11月21日(土) 10:05 から）
  記録 019a0000-0000-7000-8000-000000000002: 送信済み（2026年11月21日(土) 10:05 から）
  記録 019a0000-0000-7000-8000-000000000003: 受付済み（2026年11月21日(土) 10:05 から）
最後に送れた日時: 2026年11月21日(土) 10:05
最後の失敗:
[TZ-H01] 医療機関につながりません";
        assert!(words.starts_with(wanted), "{words}");
    }

    #[test]
    fn a_script_is_told_the_same() {
        let line = line(&status(), &[], &Texts::new(Language::En));
        let queue = &line["queue"];
        assert_eq!(queue["counts"]["sealed"], 1);
        assert_eq!(queue["counts"]["purged"], 4);
        assert_eq!(queue["records"][1]["state"], "received");
        assert_eq!(queue["records"][1]["failure"], Value::Null);
        assert_eq!(queue["last_failure"]["code"], "TZ-H01");
        assert_eq!(queue["insecure_file_keys"], true);
    }

    #[test]
    fn only_the_clinics_receipt_counts_as_accepted() {
        let at = Timestamp::UNIX_EPOCH;
        for delivery in [Delivery::Sealed, Delivery::Sending, Delivery::Received] {
            assert!(!is_accepted(delivery), "{delivery:?}");
        }
        assert!(is_accepted(Delivery::Accepted { at }) && is_accepted(Delivery::Purged));
    }

    #[test]
    fn a_revoked_device_says_how_far_it_is_in_every_state_and_language() {
        let revoked_at: Timestamp = "2026-11-21T01:05:00Z".parse().unwrap();
        let mut told = std::collections::BTreeSet::new();
        for state in [Revocation::Destroying, Revocation::HandingIn, Revocation::Closing, Revocation::Finished] {
            let revocation = Some(RevocationStatus { state, kind: RevocationKind::Lost, revoked_at });
            let status = QueueStatus { revocation, ..status() };
            for language in Language::ALL {
                let texts = Texts::new(language);
                let words = words(&status, &[], &texts);
                let line = words.lines().nth(2).unwrap().to_owned();
                assert!(line.contains(&texts.moment(revoked_at)), "{words}");
                assert!(told.insert(line), "{words}");
            }
            let json = line(&status, &[], &Texts::new(Language::En));
            assert_eq!(json["queue"]["revocation"]["kind"], "lost");
        }
    }
}
