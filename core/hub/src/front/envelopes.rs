use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::Value;
use tazune_link::{
    envelope::{Envelope, Refusal, check_at_front},
    front_api::{ApiError, EnvelopeResult, EnvelopesAnswer, HandIn},
    keys::sha256,
};
use tazune_model::{Bytes, RecordId};

use super::{
    Shared,
    api::{Body, Failed},
    peer::Device,
};
use crate::{disk::Room, store::NewEnvelope, telemetry::word};

/// An `EnvelopesRequest` of which each envelope is read by itself, so that one that is none holds up no other.
#[derive(Deserialize)]
pub(super) struct Batch {
    envelopes: Vec<Value>,
}

/// `POST /v1/envelopes`: takes a batch; what is answered `received` is on the disk.
///
/// A refused envelope does not hold up the others of its batch. When the disk is all but full nothing is taken, so that
/// there is room for receipts; the device keeps what it has.
pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    device: Device,
    Body(batch): Body<Batch>,
) -> Result<Json<EnvelopesAnswer>, Failed> {
    device.recheck(&shared).await?;
    if shared.disk.look() == Room::Critical {
        return Err(ApiError::Unavailable.into());
    }
    let mut good = Vec::new();
    let mut checked = Vec::new();
    for envelope in batch.envelopes {
        let envelope = serde_json::from_value::<Envelope>(envelope).ok();
        match check(envelope.as_ref(), &device) {
            Ok(new) => {
                checked.push((Some(new.record_id), None));
                good.push(new);
            }
            Err(refusal) => checked.push((claimed_record_id(envelope.as_ref()), Some(refusal))),
        }
    }
    let mut stored = shared.store.receive(good, shared.clock.now()).await?.into_iter();
    let mut results = Vec::new();
    for (record_id, refusal) in checked {
        let result = match refusal {
            Some(refusal) => HandIn::Refused(refusal),
            None => stored.next().expect("the store answers for every envelope"),
        };
        if result == HandIn::Received {
            metrics::counter!("tazune_envelopes_received_total").increment(1);
        }
        if let HandIn::Refused(refusal) = result {
            metrics::counter!("tazune_envelopes_refused_total", "reason" => word(&refusal)).increment(1);
            tracing::warn!(device = %device.id, code = %refusal.failure_code(), %refusal, "envelope refused");
        }
        results.push(EnvelopeResult { record_id, result });
    }
    if results.iter().any(|result| result.result == HandIn::Received) {
        shared.work.ring();
    }
    Ok(Json(EnvelopesAnswer { results }))
}

fn check(envelope: Option<&Envelope>, device: &Device) -> Result<NewEnvelope, Refusal> {
    let envelope = envelope.ok_or(Refusal::Malformed)?;
    let header = check_at_front(envelope, &device.tenant, &device.id, &device.key)?;
    let sealed = envelope.to_bytes();
    Ok(NewEnvelope {
        record_id: header.record_id,
        device: header.device,
        sha256: sha256(&sealed),
        sealed: Bytes(sealed),
    })
}

fn claimed_record_id(envelope: Option<&Envelope>) -> Option<RecordId> {
    envelope?.header().ok().map(|header| header.record_id)
}
